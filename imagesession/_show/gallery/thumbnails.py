"""
Small pictures for a page that carries all of them in itself.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import attrs

from imagesession._model.turns import ImageRecord
from imagesession._pixels.door import open_picture
from imagesession._pixels.forms import plain, upright
from imagesession._pixels.svg import sanitise
from imagesession._plan.store import Store
from imagesession.errors import ImageSessionError

if TYPE_CHECKING:
    from PIL import Image

_ALL = 4_600_000
# In steps, so that a few pictures more leave the thumbnails of an earlier gallery as they are.
_ALLOWANCES = (20_000, 14_000, 10_000, 7_000, 5_000, 3_500, 2_400, 1_700, 1_200, 900)
_SVG_TIMES = 4
# The longer edge in pixels, and WebP's quality, from the finest to the coarsest.
_STEPS = ((448, 74), (320, 66), (256, 60), (192, 54), (144, 46), (112, 40), (96, 32), (80, 22))
_BITS_EXPECTED = 0.3
_OPAQUE = 255


@attrs.frozen(kw_only=True)
class Thumbnail:
    """
    A small picture, as a page shows it.

    Attributes:
        kind: "webp" for pixels; "svg" for a drawing that was made safe.
        data: Its bytes in base64.
        alpha: Whether something of it is transparent.
    """

    kind: str
    data: str
    alpha: bool


def allowance(count: int) -> int:
    """
    Return how many bytes one of so many thumbnails may have, so that their page stays light.
    """
    share = _ALL // max(count, 1)
    return next((one for one in _ALLOWANCES if one <= share), _ALLOWANCES[-1])


def thumbnail(store: Store, image: ImageRecord, most: int) -> Thumbnail | None:
    """
    Make a picture small.

    Args:
        store: Where it is kept.
        image: Which one it is.
        most: As many bytes as it may have, unless it cannot be made that small; a drawing may
            have four times as many.

    Returns:
        The thumbnail; None where the file is gone or damaged, or a drawing is too large.
    """
    try:
        data = store.read(image)
        if image.format == "svg":
            return _drawing(sanitise(data, f"Picture {image.id}"), most * _SVG_TIMES)
        return _pixels(open_picture(data, f"Picture {image.id}"), image, most)
    except ImageSessionError:
        return None


def _drawing(safe: bytes, most: int) -> Thumbnail | None:
    if len(safe) > most:
        return None
    return Thumbnail(kind="svg", data=base64.b64encode(safe).decode(), alpha=True)


def _pixels(picture: Image.Image, image: ImageRecord, most: int) -> Thumbnail:
    shown = _small(picture, f"Picture {image.id}")
    begin = next(
        (at for at, (edge, _) in enumerate(_STEPS) if edge**2 * _BITS_EXPECTED / 8 <= most),
        len(_STEPS) - 1,
    )
    data = b""
    for edge, quality in _STEPS[begin:]:
        data = _webp(shown, edge, quality)
        if len(data) <= most:
            break
    alpha = shown.mode == "RGBA" and min(shown.getchannel("A").tobytes()) < _OPAQUE
    return Thumbnail(kind="webp", data=base64.b64encode(data).decode(), alpha=alpha)


def _small(picture: Image.Image, name: str) -> Image.Image:
    """
    Bring a picture to the finest step's size first, so that what follows costs little.
    """
    edge = _STEPS[0][0]
    # A JPEG of many million pixels is made half or a quarter as large in passing.
    factor = max(1, min(picture.size) // (edge * 2))
    shown = plain(upright(picture), name)
    if factor > 1:
        shown = shown.reduce(factor)
    shown = shown.convert("RGBA" if shown.mode in {"LA", "RGBA"} else "RGB")
    shown.thumbnail((edge, edge))
    return shown


def _webp(picture: Image.Image, edge: int, quality: int) -> bytes:
    small = picture
    if max(picture.size) > edge:
        small = picture.copy()
        small.thumbnail((edge, edge))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=quality, method=4, exif=b"", xmp=b"", icc_profile=b"")
    return buffer.getvalue()
