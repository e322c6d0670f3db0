"""
The one place where Pillow opens bytes that come from outside.

Each kind is opened by its own reader and not by `Image.open`: which checks against a limit that
belongs to the whole process, and warns where we refuse.
"""

from __future__ import annotations

import contextlib
import io
import threading
import warnings
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from imagesession._domain.image_header import parse_header
from imagesession.errors import InvalidImageError

from .color import apply_orientation, to_8bit
from .limits import MAX_PIXELS, check_pixels
from .sniff import Kind, sniff_format

if TYPE_CHECKING:
    from PIL import Image, JpegImagePlugin, TiffImagePlugin

READABLE = "PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF or HEIC"
# Kinds whose size can be read without a decoder, some of which make room for all pixels at once.
_MEASURED: frozenset[Kind] = frozenset({"png", "jpeg", "webp", "gif"})
# Kinds of which Pillow warns where it could refuse, and how its warnings of odd metadata begin.
_WARNED_OF: frozenset[Kind | None] = frozenset({"gif", "tiff"})
_HARMLESS = "Metadata Warning"
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_warnings = threading.Lock()


def decode_image(data: bytes, name: str, *, edge: int | None = None) -> Image.Image:
    """
    Open a picture and decode its first frame, as it lies in the file.

    Args:
        data: The file's bytes.
        name: What to call it in errors.
        edge: As long as its longer edge has to be, in pixels, where less will do: a JPEG comes at
            a half, a quarter or an eighth of its size if that is enough. None for all of it.

    Returns:
        The picture, fully loaded; not yet turned upright.

    Raises:
        InvalidImageError: It is no picture that can be read, not whole, or has too many pixels.
    """
    kind = sniff_format(data)
    if kind is None:
        raise InvalidImageError(f"{name} is not a whole picture; it must be {READABLE}.")
    if kind == "svg":
        raise InvalidImageError(
            f"{name} is an SVG, which is drawn from text and has no pixels. Export it as PNG first."
        )
    _check_header(kind, data, name)
    return _decode(_reader(kind, name), data, name, edge)


def decode_upright(data: bytes, name: str, *, edge: int | None = None) -> Image.Image:
    """
    Open a picture as it is to be seen: upright, and in 8 bits a channel.

    Args:
        data: As for `decode_image`.
        name: As for `decode_image`.
        edge: As for `decode_image`.

    Returns:
        The picture, in L, LA, RGB or RGBA.

    Raises:
        InvalidImageError: As for `decode_image`; or its pixels are numbers without a known range.
    """
    return to_8bit(apply_orientation(decode_image(data, name, edge=edge)), name)


def _check_header(kind: Kind, data: bytes, name: str) -> None:
    """
    Refuse what the first bytes give away, before a decoder makes room for it.
    """
    if kind in _MEASURED:
        facts = parse_header(data)
        if facts is None:
            raise InvalidImageError(_broken(name, kind))
        check_pixels((facts.width, facts.height), name)


def _decode(
    reader: Callable[[io.BytesIO], Image.Image], data: bytes, name: str, edge: int | None
) -> Image.Image:
    from PIL import Image  # noqa: PLC0415 - slow to import, and hardly ever needed

    kind = sniff_format(data)
    try:
        with _refused_if_warned() if kind in _WARNED_OF else contextlib.nullcontext():
            picture = reader(io.BytesIO(data))
            _check_size(picture, name)
            if edge and picture.format == "JPEG":
                _reduce_draft(cast("JpegImagePlugin.JpegImageFile", picture), edge)
            picture.load()
    except InvalidImageError:
        raise
    except Image.DecompressionBombError as error:
        raise InvalidImageError(
            f"{name} has too many pixels; the limit is {MAX_PIXELS / 1e6:.0f} million. Make it "
            "smaller."
        ) from error
    # A damaged file makes a decoder fail in any way, and warn where warnings are errors.
    except Exception as error:
        raise InvalidImageError(_broken(name, kind)) from error
    return picture


@contextlib.contextmanager
def _refused_if_warned() -> Generator[None]:
    """
    Raise what Pillow would warn of, such as a directory that is cut off.

    Warnings belong to the whole process: what other threads warn of meanwhile is passed on.
    """
    with _warnings, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for item in caught:
        if Path(item.filename).parent.name != "PIL":
            with contextlib.suppress(Warning):
                warnings.warn_explicit(item.message, item.category, item.filename, item.lineno)
        elif not str(item.message).startswith(_HARMLESS):
            raise ValueError(item.message)


def _check_size(picture: Image.Image, name: str) -> None:
    check_pixels(picture.size, name)
    if picture.format == "TIFF":
        # A decoder makes room for a whole tile, however small the picture is.
        tags = cast("TiffImagePlugin.TiffImageFile", picture).tag_v2
        check_pixels((tags.get(_TILE_WIDTH, 0), tags.get(_TILE_HEIGHT, 0)), name)


def _reduce_draft(picture: JpegImagePlugin.JpegImageFile, edge: int) -> None:
    """
    Let a JPEG be decoded at a fraction of its size, which its cosines give in passing.
    """
    times = max(picture.size) // edge
    if times > 1:
        width, height = picture.size
        picture.draft(None, (-(-width // times), -(-height // times)))


def _broken(name: str, kind: Kind | None) -> str:
    return (
        f"{name} begins like a {str(kind).upper()} and is not a whole picture: it is cut short or "
        "damaged. Save or download it again."
    )


def _reader(kind: Kind, name: str) -> Callable[[io.BytesIO], Image.Image]:
    from PIL import (  # noqa: PLC0415 - slow to import, and hardly ever needed
        BmpImagePlugin,
        GifImagePlugin,
        JpegImagePlugin,
        PngImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    match kind:
        case "avif":
            return _avif_reader(name)
        case "heic":
            return _heic_reader(name)
        case "bmp":
            return BmpImagePlugin.BmpImageFile
        case "gif":
            return GifImagePlugin.GifImageFile
        case "jpeg":
            return JpegImagePlugin.JpegImageFile
        case "tiff":
            return TiffImagePlugin.TiffImageFile
        case "webp":
            return WebPImagePlugin.WebPImageFile
        case _:
            return PngImagePlugin.PngImageFile


def _avif_reader(name: str) -> Callable[[io.BytesIO], Image.Image]:
    from PIL import AvifImagePlugin  # noqa: PLC0415 - slow to import, and hardly used

    if not AvifImagePlugin.SUPPORTED:
        raise InvalidImageError(
            f"{name} is an AVIF picture, which this build of Pillow cannot read. Save it as JPEG "
            "or PNG, or install Pillow from its wheels."
        )
    return AvifImagePlugin.AvifImageFile


def _heic_reader(name: str) -> Callable[[io.BytesIO], Image.Image]:
    try:
        from pillow_heif import HeifImageFile  # noqa: PLC0415 - an extra; not everybody has it
    except ImportError as error:
        raise InvalidImageError(
            f"{name} is a HEIC picture. To read it: pip install 'imagesession[heic]'; or save it "
            "as JPEG."
        ) from error
    return HeifImageFile
