"""
Masks and drawings that go along with a picture, and what is put together from its reply.
"""

from __future__ import annotations

import hashlib

from imagesession._domain.image_header import ImageHeader, parse_header
from imagesession._engine.http import ReceivedImage
from imagesession._engine.store import InputImage
from imagesession._imaging.composite import restore_unmasked, validate_markup
from imagesession._imaging.mask import Mask


def mask(source: object, picture: InputImage, *, fit: bool) -> InputImage:
    """
    Draw a mask as the wire takes it: a PNG of the picture's size, transparent where it opens.

    Raises:
        InvalidImageError: It is none, has another size, or opens nothing or everything.
    """
    return _drawn(Mask.of(source).png(_size(picture), fit=fit), picture)


def markup(source: object, picture: InputImage, *, fit: bool) -> InputImage:
    """
    Draw what lies over a picture to mark what to change.

    Raises:
        InvalidImageError: It is none, has another size, or draws nothing.
    """
    return _drawn(validate_markup(source, _size(picture), fit=fit), picture)


def composite(original: InputImage, wire_mask: InputImage, reply: bytes) -> ReceivedImage:
    """
    Put a reply into its original where the mask opens it; every other pixel is the original's.

    Args:
        original: The picture that was sent.
        wire_mask: As `mask` drew it.
        reply: The picture that came back, as a file's bytes.

    Raises:
        InvalidImageError: The reply has no pixels that can be read.
    """
    size = _size(original)
    data = restore_unmasked(original.data, reply, Mask.from_alpha(wire_mask.data).alpha(size))
    facts = parse_header(data)
    if facts is None:
        raise AssertionError("what was just written is a picture")
    return ReceivedImage(data=data, facts=facts, source="composite")


def _size(picture: InputImage) -> tuple[int, int]:
    return picture.facts.width, picture.facts.height


def _drawn(data: bytes, picture: InputImage) -> InputImage:
    width, height = _size(picture)
    return InputImage(
        data=data,
        facts=ImageHeader(format="png", width=width, height=height, alpha=True),
        sha256=hashlib.sha256(data).hexdigest(),
    )
