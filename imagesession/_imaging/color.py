"""
Bring images into the few forms that this package works with: upright, 8-bit, plain modes.
"""

from __future__ import annotations

import io
import struct
from typing import cast

from imagesession.errors import InvalidImageError

from . import pillow
from .pillow import Picture

# https://www.cipa.jp/std/documents/e/DC-X008-Translation-2019-E.pdf, 4.6.5
_ORIENTATION = 0x0112
_TRANSPOSITIONS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
# After conversion to RGB, a profile for one of these modes no longer applies.
_OTHER_SPACES = frozenset({"CMYK", "LAB", "YCbCr", "HSV"})
_PIXEL_INFO = ("icc_profile", "transparency")
_PLAIN_MODES = frozenset({"L", "LA", "RGB", "RGBA"})
_PROFILE_SPACES = {"L": b"GRAY", "LA": b"GRAY", "RGB": b"RGB ", "RGBA": b"RGB "}
_JPEG_QUALITY = 95
# Print profiles have about 3 MB; a JPEG cannot hold more than 16.
_MAX_PROFILE_BYTES = 8_000_000


def has_orientation(picture: Picture) -> bool:
    return _orientation(picture) in _TRANSPOSITIONS


def apply_orientation(picture: Picture) -> Picture:
    transposition = _TRANSPOSITIONS.get(_orientation(picture))
    return (
        strip_metadata(picture.transpose(pillow.Image.Transpose[transposition]))
        if transposition
        else picture
    )


def strip_metadata(picture: Picture) -> Picture:
    stripped = picture.copy()
    stripped.info = {key: picture.info[key] for key in _PIXEL_INFO if key in picture.info}
    return stripped


def to_8bit(picture: Picture, name: str) -> Picture:
    """
    Convert an image to 8 bits a channel: L, LA, RGB or RGBA, whichever loses least.
    """
    mode = picture.mode
    if mode in {"I", "F"}:
        raise InvalidImageError(
            f"{name} has 32-bit numbers for pixels, and does not say which of them is white. "
            "Convert it to 8 bits first."
        )
    if mode == "La":
        return picture.convert("LA")
    if mode in _PLAIN_MODES and "transparency" not in picture.info:
        return picture
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    if mode.startswith("I;16"):
        return _narrow_16bit(picture)
    if mode == "1":
        return picture.convert("L")
    return _to_rgb(picture)


def icc_profile(picture: Picture) -> bytes | None:
    """
    Return an image's ICC profile, if the profile matches the image's mode.
    """
    found = cast("bytes | None", picture.info.get("icc_profile"))
    # https://www.color.org/specification/ICC.1-2022-05.pdf, 7.2.8
    if not found or found[16:20] != _PROFILE_SPACES.get(picture.mode):
        return None
    return found if len(found) <= _MAX_PROFILE_BYTES else None


def convert_profile(picture: Picture, own: bytes | None, target: bytes | None) -> Picture | None:
    """
    Convert an opaque image from one profile's colours to another's in RGB; None is that of sRGB.
    The result is None if a profile cannot be read or is for another mode.
    """
    try:
        srgb = pillow.load("ImageCms").createProfile("sRGB")
        before, after = (
            pillow.ImageCms.ImageCmsProfile(srgb if icc is None else io.BytesIO(icc))
            for icc in (own, target)
        )
        return pillow.ImageCms.profileToProfile(picture, before, after, outputMode="RGB")
    except (pillow.ImageCms.PyCMSError, OSError):
        return None


def match_profile(picture: Picture, icc: bytes | None) -> Picture:
    """
    Convert an image in RGB or RGBA from its own colours to those of another image, whose profile is
    `icc`; without a profile an image is in sRGB. If a profile cannot be read, it stays as it is.
    """
    own = icc_profile(picture)
    if own == icc:
        return picture
    matched = convert_profile(picture.convert("RGB"), own, icc)
    if matched is not None and has_alpha(picture):
        matched.putalpha(picture.getchannel("A"))
    return matched or picture


def has_alpha(picture: Picture) -> bool:
    return picture.mode in {"LA", "RGBA"}


def encode_png(picture: Picture, icc: bytes | None = None) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", icc_profile=icc, exif=b"")
    return buffer.getvalue()


def encode_jpeg(picture: Picture, icc: bytes | None = None) -> bytes:
    buffer = io.BytesIO()
    picture.save(
        buffer,
        "JPEG",
        quality=_JPEG_QUALITY,
        subsampling=0,
        icc_profile=icc,
        # A leftover orientation tag would make readers rotate the image a second time.
        exif=b"",
        xmp=b"",
        comment=b"",
    )
    return buffer.getvalue()


def _orientation(picture: Picture) -> int:
    try:
        found: object = picture.getexif().get(_ORIENTATION, 1)
    # Unreadable metadata are ignored: the pixels are intact.
    except (OSError, ValueError, SyntaxError, TypeError, LookupError, struct.error, Warning):
        found = 1
    return found if isinstance(found, int) else 1


def _narrow_16bit(picture: Picture) -> Picture:
    """
    Reduce 16 bits a pixel to 8; Pillow's own conversion clips bright pixels.
    """
    wide = picture.tobytes("raw", "I;16B")
    # In big-endian order, the first of two bytes is the more significant one.
    return pillow.Image.frombytes("L", picture.size, wide[::2])


def _to_rgb(picture: Picture) -> Picture:
    """
    Convert CMYK and other colour spaces to RGB, through the image's profile if it is usable.
    """
    found = cast("bytes | None", picture.info.get("icc_profile"))
    by_profile = convert_profile(picture, found, None) if found and picture.mode == "CMYK" else None
    converted = by_profile or picture.convert("RGB")
    if picture.mode in _OTHER_SPACES:
        converted.info.pop("icc_profile", None)
    return converted
