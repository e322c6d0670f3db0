"""
Prepare masks and markup overlays for a request, and combine its reply with the original image.
"""

from __future__ import annotations

import hashlib

import attrs

from imagesession._domain.image_header import ImageHeader, parse_header
from imagesession._engine.http import ReceivedImage
from imagesession._engine.store import InputImage
from imagesession._imaging import outpaint
from imagesession._imaging.composite import restore_unmasked, validate_markup
from imagesession._imaging.mask import Mask


def mask(source: object, image: InputImage, *, resize_mask: bool) -> InputImage:
    """
    Write a mask in the provider's format: a PNG of the image's size, transparent where it opens.

    Raises:
        InvalidImageError: It is not a mask, has another size, or opens nothing or everything.
    """
    read = Mask.of(source)
    encoded = read.png(_size(image), resize_mask=resize_mask)
    coverage = read.coverage(_size(image), resize_mask=resize_mask)
    return attrs.evolve(_as_input(encoded, image), coverage=round(coverage, 4))


def extend_canvas(
    image: InputImage, canvas: tuple[int, int], anchor: str, *, fill: bool
) -> tuple[InputImage, InputImage]:
    """
    Lay an image on a larger canvas, and write the mask of its new part.

    Raises:
        InvalidImageError: The image fills the canvas.
    """
    data, mask_data = outpaint.extend_canvas(image.data, canvas, anchor, fill=fill)
    facts = attrs.evolve(image.facts, format="png", width=canvas[0], height=canvas[1])
    extended = InputImage(
        data=data,
        facts=facts,
        sha256=hashlib.sha256(data).hexdigest(),
        image_id=image.image_id,
    )
    return extended, _as_input(mask_data, extended)


def markup(source: object, image: InputImage, *, resize_mask: bool) -> InputImage:
    """
    Write a markup overlay as a PNG of the image's size.

    Raises:
        InvalidImageError: It is not an image, has another size, or draws nothing.
    """
    return _as_input(validate_markup(source, _size(image), resize_mask=resize_mask), image)


def composite(original: InputImage, wire_mask: InputImage, reply: bytes) -> ReceivedImage:
    """
    Combine a reply with its original: the reply where the mask is open, else the original.

    Args:
        original: The image that was sent.
        wire_mask: The mask, as `mask` returned it.
        reply: The image in the reply, as a file's bytes.

    Raises:
        InvalidImageError: The reply has no pixels that can be read.
    """
    size = _size(original)
    data = restore_unmasked(original.data, reply, Mask.from_alpha(wire_mask.data).alpha(size))
    facts = parse_header(data)
    if facts is None:
        raise AssertionError("the composite is not an image")
    return ReceivedImage(data=data, facts=facts, source="composite")


def _size(image: InputImage) -> tuple[int, int]:
    return image.facts.width, image.facts.height


def _as_input(data: bytes, image: InputImage) -> InputImage:
    width, height = _size(image)
    return InputImage(
        data=data,
        facts=ImageHeader(format="png", width=width, height=height, alpha=True),
        sha256=hashlib.sha256(data).hexdigest(),
    )
