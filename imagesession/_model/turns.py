"""
One turn of a conversation: what was asked, what came back, and what became of it.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import attrs

from .options import Options
from .pictures import PictureFormat

Status = Literal["pending", "completed", "failed", "refused"]
Knowing = Literal["fresh", "continued", "rebuilt"]
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
class Usage:
    """
    What the provider says was used, in tokens, as it said it.

    Attributes:
        mainline: Of the model that leads the conversation.
        image: Of the model that draws, which is billed apart.
    """

    mainline: dict[str, Any] | None = None
    image: dict[str, Any] | None = None


@attrs.frozen(kw_only=True)
class Turn:
    """
    One turn of a session, or a one-shot.

    Attributes:
        id: Ordered by time: a later turn has a greater id.
        session: The session's id; None for a one-shot.
        parent: The turn that it grew from; None at the start of a line.
        branch: The line of the session that it grew on.
        status: Failed and refused turns are kept as facts and are never sent as context; a
            pending one stands only in the journal.
        prompt: What was asked.
        options: What was asked beside the prompt, after all defaults.
        references: The pictures that were sent along.
        masked: Whether a mask was sent along.
        images: The pictures that came back.
        text: What the model said beside them.
        context: How the model knew what came before: its provider remembered
            ("continued"), it was told again ("rebuilt"), or there was nothing ("fresh").
        model: The mainline model that answered.
        provider: Where the request went, so that another provider's ids are not sent to it.
        response_id: The provider's id of the reply.
        usage: What the provider says was used.
        failure: Why there is no picture.
        started: When the request was planned.
        finished: When the turn was settled; None while it is pending.
        version: The version of imagesession that wrote it.
    """

    id: str
    session: str | None = None
    parent: str | None = None
    branch: str = "main"
    status: Status = "pending"
    prompt: str
    options: Options
    references: tuple[Reference, ...] = ()
    masked: bool = False
    images: tuple[ImageRecord, ...] = ()
    text: str = ""
    context: Knowing = "fresh"
    model: str | None = None
    provider: str = ""
    response_id: str | None = None
    usage: Usage = Usage()
    failure: Failure | None = None
    started: dt.datetime
    finished: dt.datetime | None = None
    version: str = ""


Turn.__module__ = "imagesession"
