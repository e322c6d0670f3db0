"""
One turn of a conversation: what was asked, what came back, and what became of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Literal

import attrs

from imagesession.errors import OutcomeUnknownError

from .cost import Cost
from .image_header import PictureFormat
from .options import GenerateOptions
from .usage import Usage

Kind = Literal[
    "general",
    "product",
    "ui_asset",
    "edit",
    "improvement",
    "variation",
    "batch",
    "import",
    "promotion",
    "analysis",
]
Status = Literal["pending", "completed", "failed", "refused"]
ContextMode = Literal["fresh", "continued", "rebuilt"]
ProviderState = Literal["responses", "conversation", "none"]
Source = Literal["reply", "composite", "copy"]
SHORT_ID = 8


def short_id(long_id: str) -> str:
    """
    Return the part of an id that tells it from others at a glance: its random end.
    """
    return long_id[-SHORT_ID:].lower()


@attrs.frozen(kw_only=True)
class ImageRecord:
    """
    One picture that a turn brought, as it lies in the library.

    Attributes:
        id: Its id in the library.
        file: Its path beneath the library's folder, with forward slashes.
        format: Its file format, recognised from its bytes.
        width: In pixels; 0 where an SVG leaves it open.
        height: In pixels; 0 where an SVG leaves it open.
        bytes: The file's size in bytes.
        sha256: Of the file's bytes, in hexadecimal.
        revised_prompt: What the mainline model told the image model.
        call_id: The provider's id of the call that drew it.
        source: Whether its bytes are the provider's reply ("reply"), were put together from a
            reply and the original around its mask ("composite"), or were there before ("copy").
    """

    id: str
    file: str
    format: PictureFormat
    width: int
    height: int
    bytes: int
    sha256: str
    revised_prompt: str | None = None
    call_id: str | None = None
    source: Source = "reply"


@attrs.frozen(kw_only=True)
class Reference:
    """
    A picture that was sent along with a prompt.

    Attributes:
        sha256: Of its bytes, in hexadecimal.
        image_id: Its id, when it is a picture of this library.
    """

    sha256: str
    image_id: str | None = None


@attrs.frozen(kw_only=True)
class ImportOrigin:
    """
    Where a picture came from that was not drawn for its turn.

    Attributes:
        image_id: Its id in this library, if it was there.
        file: The name of its file, if it came from elsewhere.
    """

    image_id: str | None = None
    file: str | None = None


@attrs.frozen(kw_only=True)
class Failure:
    """
    Why a turn brought no picture.

    Attributes:
        error: The name of the error that was raised.
        message: What it said.
    """

    error: str
    message: str


@attrs.frozen(kw_only=True)
class Turn:
    """
    One turn of a session, or a one-shot.

    Attributes:
        id: Ordered by time: a later turn has a greater id.
        session: The session's id; None for a one-shot.
        parent: The turn that it grew from; None at the start of a line.
        branch: The line of the session that it grew on.
        depth: Its place in its line, from 1.
        kind: What it was for; its pictures lie in a folder of that kind.
        label: Whose folder of that kind: a product's name, an asset's type; may be empty.
        status: Failed and refused turns are kept as facts and are never sent as context; a
            pending one stands only in the journal.
        prompt: What was asked.
        parameters: What the verb was told beside the prompt, such as a product's angle.
        options: What was asked beside the prompt, after all defaults.
        references: The pictures that were sent along.
        parents: The ids of the kept pictures that it grew from or that were sent along.
        masked: Whether a mask was sent along.
        images: The pictures that came back.
        text: What the model said beside them.
        context: How the model knew what came before: its provider remembered
            ("continued"), history from the library went along ("rebuilt"), or there was nothing
            ("fresh").
        context_turns: How many earlier turns the model was told of; fewer than there are where
            `remember=` caps them or they outgrew the model's context. None where that was not
            recorded.
        model: The mainline model that answered.
        provider: Where the request went, so that another provider's ids are not sent to it.
        provider_state: What its provider keeps of it: the response, by whose id the next turn
            goes on ("responses"), the items of a conversation ("conversation"), or nothing
            ("none").
        conversation: The provider's id of the conversation in which it was asked.
        response_id: The provider's id of the reply.
        item_ids: The provider's ids of all items of the reply, in its order: they are only ever
            named together, as an image item is refused without its reasoning item.
        usage: What the provider says was used.
        cost: What that costs; None where nothing was asked of a provider.
        reserved: US dollars that a budget set aside for it before it was asked.
        idempotency_key: The caller's own name for it, by which it is made only once.
        batch: The id of the batch in which it was asked, at half the price.
        origin: Where its picture came from, when it was not drawn for this turn.
        failure: Why there is no picture.
        started: When the request was planned.
        finished: When its picture came, or it was settled without one; None while it is pending.
        version: The version of imagesession that wrote it.
    """

    id: str
    session: str | None = None
    parent: str | None = None
    branch: str = "main"
    depth: int = 1
    kind: Kind = "general"
    label: str = ""
    status: Status = "pending"
    prompt: str
    parameters: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    options: GenerateOptions
    references: tuple[Reference, ...] = ()
    parents: tuple[str, ...] = ()
    masked: bool = False
    images: tuple[ImageRecord, ...] = ()
    text: str = ""
    context: ContextMode = "fresh"
    context_turns: int | None = None
    model: str | None = None
    provider: str = ""
    provider_state: ProviderState = "responses"
    conversation: str | None = None
    response_id: str | None = None
    item_ids: tuple[str, ...] = ()
    usage: Usage = Usage()
    cost: Cost | None = None
    reserved: float | None = None
    idempotency_key: str | None = None
    batch: str | None = None
    origin: ImportOrigin | None = None
    failure: Failure | None = None
    started: dt.datetime
    finished: dt.datetime | None = None
    version: str = ""

    @property
    def has_image(self) -> bool:
        """
        Whether it brought a picture, so that another turn can grow on it.
        """
        return self.status == "completed" and bool(self.images)

    @property
    def is_outcome_unknown(self) -> bool:
        """
        Whether nobody can tell what became of it: it may have been carried out and billed.
        """
        return self.failure is not None and self.failure.error == OutcomeUnknownError.__name__


Turn.__module__ = "imagesession"
