"""
The few forms in which the rest of this room handles pictures: upright, and in plain modes.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, cast

from imagesession.errors import InvalidImageError

from .pillow_typing import srgb

if TYPE_CHECKING:
    from PIL import Image

# https://www.cipa.jp/std/documents/e/DC-X008-Translation-2019-E.pdf, 4.6.5
_ORIENTATION = 0x0112
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
# Their profiles say nothing of the colours that they are converted to.
_OTHER_SPACES = frozenset({"CMYK", "LAB", "YCbCr", "HSV"})
_NEEDED = ("icc_profile", "transparency")
_PLAIN = frozenset({"L", "LA", "RGB", "RGBA"})
_SPACES = {"L": b"GRAY", "LA": b"GRAY", "RGB": b"RGB ", "RGBA": b"RGB "}
_JPEG_QUALITY = 95
# Profiles for printing have 3 MB; a JPEG could not hold more than 16.
_LARGEST_PROFILE = 8_000_000


def has_orientation(picture: Image.Image) -> bool:
    """
    Tell whether a picture's metadata say that it is to be turned or mirrored when shown.
    """
    return _orientation(picture) in _TURNS


def apply_orientation(picture: Image.Image) -> Image.Image:
    """
    Turn a picture as its metadata say; without the tag that said so.
    """
    from PIL import Image  # noqa: PLC0415 - slow to import, and hardly ever needed

    turn = _TURNS.get(_orientation(picture))
    return strip_metadata(picture.transpose(Image.Transpose[turn])) if turn else picture


def strip_metadata(picture: Image.Image) -> Image.Image:
    """
    Return a picture of its own without any metadata but those that its pixels need.
    """
    bared = picture.copy()
    bared.info = {key: picture.info[key] for key in _NEEDED if key in picture.info}
    return bared


def to_8bit(picture: Image.Image, name: str) -> Image.Image:
    """
    Bring a picture into 8 bits a channel: L, LA, RGB or RGBA, whichever loses least.

    Raises:
        InvalidImageError: Its pixels are numbers without a known range.
    """
    mode = picture.mode
    if mode in {"I", "F"}:
        raise InvalidImageError(
            f"{name} has 32-bit numbers for pixels, and does not say which of them is white. "
            "Convert it to 8 bits first."
        )
    if mode == "La":
        return picture.convert("LA")
    if mode in _PLAIN and "transparency" not in picture.info:
        return picture
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    if mode.startswith("I;16"):
        return _narrowed(picture)
    if mode == "1":
        return picture.convert("L")
    return _in_rgb(picture)


def icc_profile(picture: Image.Image) -> bytes | None:
    """
    Return a picture's ICC profile, if it speaks of the colours that the picture has.
    """
    found = cast("bytes | None", picture.info.get("icc_profile"))
    # https://www.color.org/specification/ICC.1-2022-05.pdf, 7.2.8
    if not found or found[16:20] != _SPACES.get(picture.mode):
        return None
    return found if len(found) <= _LARGEST_PROFILE else None


def to_srgb(picture: Image.Image, icc: bytes) -> Image.Image | None:
    """
    Bring an opaque picture from its profile's colours to those that are meant where no profile
    says otherwise.

    Returns:
        It in RGB; None where the profile cannot be read, or is another mode's.
    """
    from PIL import ImageCms  # noqa: PLC0415 - slow to import, and hardly ever needed

    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        return ImageCms.profileToProfile(picture, own, srgb(), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return None


def has_alpha(picture: Image.Image) -> bool:
    """
    Tell whether a plain picture has an alpha channel.
    """
    return picture.mode in {"LA", "RGBA"}


def encode_png(picture: Image.Image, icc: bytes | None = None) -> bytes:
    """
    Write a plain picture as PNG, with nothing beside its pixels and its profile.
    """
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", icc_profile=icc, exif=b"")
    return buffer.getvalue()


def encode_jpeg(picture: Image.Image, icc: bytes | None = None) -> bytes:
    """
    Write a plain picture without alpha as JPEG, with all of its colours' detail.
    """
    buffer = io.BytesIO()
    picture.save(
        buffer,
        "JPEG",
        quality=_JPEG_QUALITY,
        subsampling=0,
        icc_profile=icc,
        # Told to turn a second time, readers would.
        exif=b"",
        xmp=b"",
        comment=b"",
    )
    return buffer.getvalue()


def _orientation(picture: Image.Image) -> int:
    try:
        found: object = picture.getexif().get(_ORIENTATION, 1)
    # Metadata that cannot be read say nothing, and the pixels are whole.
    except (OSError, ValueError, SyntaxError, TypeError, LookupError, struct.error, Warning):
        found = 1
    return found if isinstance(found, int) else 1


def _narrowed(picture: Image.Image) -> Image.Image:
    """
    Bring 16 bits a pixel to 8; Pillow's own conversion cuts all bright ones off.
    """
    from PIL import Image  # noqa: PLC0415 - slow to import, and hardly ever needed

    wide = picture.tobytes("raw", "I;16B")
    # The first of two bytes is the pixel's upper half.
    return Image.frombytes("L", picture.size, wide[::2])


def _in_rgb(picture: Image.Image) -> Image.Image:
    """
    Convert inks and other colour spaces, by their own profile where there is a good one.
    """
    found = cast("bytes | None", picture.info.get("icc_profile"))
    by_profile = to_srgb(picture, found) if found and picture.mode == "CMYK" else None
    converted = by_profile or picture.convert("RGB")
    if picture.mode in _OTHER_SPACES:
        converted.info.pop("icc_profile", None)
    return converted
