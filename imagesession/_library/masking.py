"""
Masks and drawings that go along with a picture, and what is put together from its reply.
"""

from __future__ import annotations

import hashlib

from imagesession._model.pictures import PictureFacts, read_facts
from imagesession._pixels.composite import keep_outside, markup_png
from imagesession._pixels.masks import Mask
from imagesession._plan.store import Fetched
from imagesession._plan.wire import Received


def mask(source: object, picture: Fetched, *, fit: bool) -> Fetched:
    """
    Draw a mask as the wire takes it: a PNG of the picture's size, transparent where it opens.

    Raises:
        PictureError: It is none, has another size, or opens nothing or everything.
    """
    return _drawn(Mask.of(source).png(_size(picture), fit=fit), picture)


def markup(source: object, picture: Fetched, *, fit: bool) -> Fetched:
    """
    Draw what lies over a picture to mark what to change.

    Raises:
        PictureError: It is none, has another size, or draws nothing.
    """
    return _drawn(markup_png(source, _size(picture), fit=fit), picture)


def composite(original: Fetched, wire_mask: Fetched, reply: bytes) -> Received:
    """
    Put a reply into its original where the mask opens it; every other pixel is the original's.

    Args:
        original: The picture that was sent.
        wire_mask: As `mask` drew it.
        reply: The picture that came back, as a file's bytes.

    Raises:
        PictureError: The reply has no pixels that can be read.
    """
    size = _size(original)
    data = keep_outside(original.data, reply, Mask.from_alpha(wire_mask.data).opening(size))
    facts = read_facts(data)
    if facts is None:
        raise AssertionError("what was just written is a picture")
    return Received(data=data, facts=facts, source="composite")


def _size(picture: Fetched) -> tuple[int, int]:
    return picture.facts.width, picture.facts.height


def _drawn(data: bytes, picture: Fetched) -> Fetched:
    width, height = _size(picture)
    return Fetched(
        data=data,
        facts=PictureFacts(format="png", width=width, height=height, alpha=True),
        sha256=hashlib.sha256(data).hexdigest(),
    )
