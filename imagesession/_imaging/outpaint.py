"""
Lay an image on a larger canvas, and draw the mask that opens the new part.
"""

from __future__ import annotations

import attrs

from imagesession.errors import InvalidImageError

from . import pillow
from .color import encode_png, has_alpha, icc_profile
from .decode import decode_upright
from .mask import Mask
from .pillow import resize

# How much of the image, on the sides that are extended, is drawn anew so that no seam shows.
_OVERLAP = 0.02
_BLUR = 0.05


@attrs.frozen
class Placement:
    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def of(
        cls, image: tuple[int, int], canvas: tuple[int, int], anchor: str, *, fill: bool
    ) -> Placement:
        """
        Place an image on a canvas, both of a width and height, at an edge or corner such as "left"
        or "top-right"; "center" is between. If it is to fill, a smaller image is enlarged to touch
        two edges.
        """
        scale = min(canvas[0] / image[0], canvas[1] / image[1])
        scale = scale if fill else min(scale, 1.0)
        width, height = (max(1, round(edge * scale)) for edge in image)
        across = 0.0 if "left" in anchor else 1.0 if "right" in anchor else 0.5
        down = 0.0 if "top" in anchor else 1.0 if "bottom" in anchor else 0.5
        left, top = round((canvas[0] - width) * across), round((canvas[1] - height) * down)
        return cls(left, top, left + width, top + height)


def extend_canvas(
    data: bytes, canvas: tuple[int, int], anchor: str, *, fill: bool
) -> tuple[bytes, bytes]:
    """
    Lay an image on a canvas whose rest continues its colours, blurred; see `Placement.of`. Return
    it with the image's colour profile, and a mask of its new part; both as PNG.
    """
    plain = decode_upright(data, "The image")
    mode, icc = ("RGBA" if has_alpha(plain) else "RGB"), icc_profile(plain)
    picture = plain.convert(mode)
    place = Placement.of(picture.size, canvas, anchor, fill=fill)
    if (place.right - place.left, place.bottom - place.top) == canvas:
        raise InvalidImageError(
            f"The image of {picture.width}x{picture.height} pixels fills {canvas[0]}x{canvas[1]} "
            "already, and leaves nothing to add. Choose another shape or a larger size with to=."
        )
    ground = resize(picture, canvas, pillow.Image.Resampling.BILINEAR)
    ground = ground.filter(pillow.ImageFilter.GaussianBlur(_BLUR * max(canvas)))
    scaled = resize(
        picture,
        (place.right - place.left, place.bottom - place.top),
        pillow.Image.Resampling.LANCZOS,
    )
    ground.paste(scaled, (place.left, place.top))
    return encode_png(ground, icc), _new_part(place, canvas).png(canvas)


def _new_part(place: Placement, canvas: tuple[int, int]) -> Mask:
    """
    Return the mask of what the image does not cover, with a soft edge within the image.
    """
    overlap = max(1, round(_OVERLAP * min(place.right - place.left, place.bottom - place.top)))
    kept = Mask.rectangle(
        (
            place.left + overlap if place.left else 0,
            place.top + overlap if place.top else 0,
            place.right - overlap if place.right < canvas[0] else canvas[0],
            place.bottom - overlap if place.bottom < canvas[1] else canvas[1],
        )
    )
    return kept.invert().feather(overlap / 2)
