"""
Turns: a request with its options, response and outcome.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

import attrs

from imagesession.errors import OutcomeUnknownError

from .cost import Cost
from .image_header import ImageFormat
from .model_catalog import CompletionWindow
from .options import GenerateOptions
from .readable import readable
from .token_counts import Usage

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
Api = Literal["responses", "images"]
APIS: tuple[Api, ...] = get_args(Api)
Source = Literal["reply", "composite", "copy"]
SHORT_ID = 8
_SHOWN = 60
# https://github.com/ulid/spec
_ID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_ID_ENDING = re.compile(r"[0-9A-HJKMNP-TV-Z]{8,26}")


def is_id(text: str) -> bool:
    """
    Tell whether a text is an id, and so is safe as a file's name.
    """
    return _ID.fullmatch(text) is not None


def is_id_ending(text: str) -> bool:
    """
    Tell whether a text can be the end of an id, by which people name an image.
    """
    return _ID_ENDING.fullmatch(text) is not None


def short_id(long_id: str) -> str:
    return long_id[-SHORT_ID:].lower()


@attrs.frozen(kw_only=True)
class ImageRecord:
    """
    One image of a turn, as it is stored in the library.

    Attributes:
        id: Its id in the library.
        file: Its path relative to the library's folder, with forward slashes.
        format: Its file format, recognised from its bytes.
        width: In pixels; 0 if an SVG does not define it.
        height: In pixels; 0 if an SVG does not define it.
        bytes: The file's size in bytes.
        sha256: The digest of the file's bytes, in hexadecimal.
        revised_prompt: The prompt that the mainline model wrote for the image model.
        call_id: The provider's id of the image generation call.
        received_sha256: The digest of the bytes as they were received, if the prompt was written
            into the file since; None if the file has exactly these bytes.
        source: "reply" if its bytes are the provider's, "composite" if it combines a reply inside
            the mask with the original outside of it, "copy" if it existed before.
    """

    id: str
    file: str
    format: ImageFormat
    width: int
    height: int
    bytes: int
    sha256: str
    revised_prompt: str | None = None
    call_id: str | None = None
    received_sha256: str | None = None
    source: Source = "reply"


def count_made(images: Iterable[ImageRecord]) -> int:
    """
    Count the images that a provider made, without those made from others or copied.
    """
    return sum(image.source == "reply" for image in images)


@attrs.frozen(kw_only=True)
class Reference:
    """
    An image that was sent along with a prompt.

    Attributes:
        sha256: The digest of its bytes, in hexadecimal.
        image_id: Its id, if it is an image of this library.
        role: What it is to the image in words, such as "logo"; may be empty.
    """

    sha256: str
    image_id: str | None = None
    role: str = ""


@attrs.frozen(kw_only=True)
class ImportOrigin:
    """
    The origin of an image that no provider made for its turn.

    Attributes:
        image_id: Its id in this library, if it is a copy of an image of this library.
        file: The name of its file, if it was imported.
    """

    image_id: str | None = None
    file: str | None = None


@attrs.frozen(kw_only=True)
class Failure:
    """
    Why a turn has no image.

    Attributes:
        error: The name of the error that was raised.
        message: The error's message.
    """

    error: str
    message: str


@readable
@attrs.frozen(kw_only=True)
class Turn:
    """
    One turn of a session, or a standalone image.

    Attributes:
        id: Its id; ids are ordered by time, so a later turn has a greater one.
        session: The session's id; None for a standalone image.
        owner: Whose it is; None if it is nobody's.
        parent: The id of the turn that it continues; None at the start.
        branch: The branch on which it was made.
        depth: Its position in its lineage, from 1.
        kind: What it was made for; its images are saved in a folder of that kind.
        label: The subfolder: a product's name or an asset's type; may be empty.
        status: "pending", "completed", "failed" or "refused". Failed and refused turns are recorded
            but never sent as context; a pending turn is only in the journal.
        prompt: The prompt.
        parameters: The verb's arguments beside the prompt, such as a product's angle.
        options: The options, with all defaults resolved.
        references: The input images.
        parents: The ids of the library's images that it continues or that were input images.
        masked: Whether a mask was sent.
        mask_coverage: The fraction of the image that the mask let change, from 0.0 to 1.0; None
            without a mask.
        images: The images of the response.
        text: The model's text beside the images.
        context: How the model got the earlier turns: from the provider's state ("continued"), from
            the library ("rebuilt"), or not at all ("fresh").
        context_turns: How many earlier turns the model got; fewer than there are if `remember=`
            limits them or they exceed the model's context. None if that was not recorded.
        model: The mainline model that answered.
        provider: The provider's address, so that its ids are not sent to another provider.
        provider_state: What the provider keeps: the response, which the next turn names by id
            ("responses"), the items of a conversation ("conversation"), or nothing ("none").
        conversation: The provider's id of the conversation.
        response_id: The provider's id of the response.
        request_id: The provider's id of the HTTP request, which its support asks for.
        item_ids: The provider's ids of all output items, in order. They are always sent together,
            because an image item is refused without its reasoning item.
        usage: The usage that the provider reported.
        cost: What it cost; None if no request was sent to a provider.
        reserved: US dollars that were reserved from a budget before the request.
        idempotency_key: The caller's own name for it; only one turn is made under a name.
        batch: The id of its batch, whose images are made at half the price.
        within: The window in which the provider may complete it; all but "soonest" at a discount.
        origin: Where its image is from, if no provider made it for this turn.
        failure: Why it has no image.
        started: When the request was prepared.
        finished: When it was settled; None while it is pending.
        deleted: When it was deleted, and its words with it; None if it was not. Its place in the
            tree and its cost stay.
        erased_images: How many of its images were erased; reports of costs still count them.
        version: The version of imagesession that wrote it.
    """

    id: str
    session: str | None = None
    owner: str | None = None
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
    mask_coverage: float | None = None
    images: tuple[ImageRecord, ...] = ()
    text: str = ""
    context: ContextMode = "fresh"
    context_turns: int | None = None
    model: str | None = None
    provider: str = ""
    provider_state: ProviderState = "responses"
    conversation: str | None = None
    response_id: str | None = None
    request_id: str | None = None
    item_ids: tuple[str, ...] = ()
    usage: Usage = Usage()
    cost: Cost | None = None
    reserved: float | None = None
    idempotency_key: str | None = None
    batch: str | None = None
    within: CompletionWindow = "soonest"
    origin: ImportOrigin | None = None
    failure: Failure | None = None
    started: dt.datetime
    finished: dt.datetime | None = None
    deleted: dt.datetime | None = None
    erased_images: int = 0
    version: str = ""

    @property
    def has_image(self) -> bool:
        """
        Whether it has an image, so that another turn can continue it.
        """
        return self.status == "completed" and bool(self.images)

    @property
    def is_outcome_unknown(self) -> bool:
        """
        Whether its outcome is unknown: it may have been processed and billed.
        """
        return self.failure is not None and self.failure.error == OutcomeUnknownError.__name__

    def __str__(self) -> str:
        made = f", images: {', '.join(image.id for image in self.images)}" if self.images else ""
        why = f", {self.failure.error}" if self.failure else ""
        cost = f", {self.cost}" if self.cost else ""
        prompt = " ".join(self.prompt.split())[:_SHOWN]
        return f"{self.id}: {prompt!r}, {self.status}{why}{made}{cost}"


Turn.__module__ = "imagesession"
