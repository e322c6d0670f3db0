"""
The only place where Pillow opens untrusted bytes.

Each format is opened by its own reader, not by `Image.open`, which uses a process-wide pixel limit
and only warns where this library raises.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
import warnings
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, cast

from imagesession._domain.image_header import parse_header
from imagesession.errors import InvalidImageError

from . import pillow
from .color import apply_orientation, to_8bit
from .limits import MAX_PIXELS, check_pixels
from .pillow import Picture
from .sniff import Kind, sniff_format

READABLE = "PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF or HEIC"
# Formats whose size is read from the header, since decoders may allocate all pixels at once.
_HEADER_CHECKED: frozenset[Kind] = frozenset({"png", "jpeg", "webp", "gif"})
# For these formats Pillow warns of damage instead of raising.
_WARNING_KINDS: frozenset[Kind | None] = frozenset({"gif", "tiff"})
# The start of Pillow's warnings of odd metadata, which are ignored.
_HARMLESS_WARNING = "Metadata Warning"
_TILE_WIDTH_TAG, _TILE_HEIGHT_TAG = 322, 323
# What is often saved in the place of a picture.
_NO_PICTURES = (
    (b"<!doctype html", "an HTML page, perhaps a server's error that was saved under its name"),
    (b"<html", "an HTML page, perhaps a server's error that was saved under its name"),
    (b"<?xml", "an XML document, perhaps a server's error that was saved under its name"),
    (b"{", "a JSON text, perhaps a server's error that was saved under its name"),
    (b"%pdf", "a PDF, whose pages have to be exported as PNG first"),
    (b"version https://git-lfs", "a Git LFS pointer, whose file `git lfs pull` fetches"),
)
_TEXT_HEAD = 1_000
_warnings_lock = threading.Lock()
if hasattr(os, "register_at_fork"):  # otherwise a fork might find it locked, and filters changed
    os.register_at_fork(
        before=_warnings_lock.acquire,
        after_in_parent=_warnings_lock.release,
        after_in_child=_warnings_lock.release,
    )


def decode_image(data: bytes, name: str, *, edge: int | None = None) -> Picture:
    """
    Decode an image's first frame fully, in the orientation stored in the file.

    If the longer edge needs to have only `edge` pixels, a JPEG is decoded at a half, a quarter or
    an eighth of its size.

    Raises:
        InvalidImageError: The image cannot be read, is truncated, or has too many pixels.
    """
    kind = sniff_format(data)
    if kind is None:
        raise InvalidImageError(_unknown_message(data, name))
    if kind == "svg":
        raise InvalidImageError(
            f"{name} is an SVG, which is drawn from text and has no pixels. Export it as PNG first."
        )
    _check_header(kind, data, name)
    return _decode(_reader(kind, name), data, name, edge)


def decode_upright(data: bytes, name: str, *, edge: int | None = None) -> Picture:
    """
    Decode an image as `decode_image` does, and as it is to be shown: upright, in L, LA, RGB or RGBA
    with 8 bits a channel.
    """
    return to_8bit(apply_orientation(decode_image(data, name, edge=edge)), name)


def _check_header(kind: Kind, data: bytes, name: str) -> None:
    """
    Reject an image by its header, before a decoder allocates memory for it.
    """
    if kind in _HEADER_CHECKED:
        header = parse_header(data)
        if header is None:
            raise InvalidImageError(_damaged_message(name, kind))
        check_pixels((header.width, header.height), name)


def _decode(
    reader: Callable[[io.BytesIO], Picture], data: bytes, name: str, edge: int | None
) -> Picture:
    kind = sniff_format(data)
    try:
        with _raise_on_pillow_warning() if kind in _WARNING_KINDS else contextlib.nullcontext():
            picture = reader(io.BytesIO(data))
            _check_decoded_size(picture, name)
            if edge and picture.format == "JPEG":
                _reduce_draft(picture, edge)
            picture.load()
    except InvalidImageError:
        raise
    except pillow.Image.DecompressionBombError as error:
        raise InvalidImageError(
            f"{name} has too many pixels; the limit is {MAX_PIXELS / 1e6:.0f} million. Make it "
            "smaller."
        ) from error
    # A damaged file can make a decoder raise anything, including warnings turned into errors.
    except Exception as error:
        raise InvalidImageError(_damaged_message(name, kind)) from error
    return picture


@contextlib.contextmanager
def _raise_on_pillow_warning() -> Generator[None]:
    """
    Raise Pillow's warnings as errors, such as that of a truncated directory. Warnings are
    process-wide, so those of other threads are passed on.
    """
    with _warnings_lock, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        if Path(warning.filename).parent.name != "PIL":
            with contextlib.suppress(Warning):
                warnings.warn_explicit(
                    warning.message, warning.category, warning.filename, warning.lineno
                )
        elif not str(warning.message).startswith(_HARMLESS_WARNING):
            raise ValueError(warning.message)


def _check_decoded_size(picture: Picture, name: str) -> None:
    check_pixels(picture.size, name)
    if picture.format == "TIFF":
        # A decoder allocates a whole tile, however small the image is.
        tags = cast("Any", picture).tag_v2
        check_pixels((tags.get(_TILE_WIDTH_TAG, 0), tags.get(_TILE_HEIGHT_TAG, 0)), name)


def _reduce_draft(picture: Picture, edge: int) -> None:
    """
    Decode a JPEG at a fraction of its size, which its DCT blocks allow at no extra cost.
    """
    reduction = max(picture.size) // edge
    if reduction > 1:
        width, height = picture.size
        picture.draft(None, (-(-width // reduction), -(-height // reduction)))


def _unknown_message(data: bytes, name: str) -> str:
    if not data:
        return f"{name} is empty: it has no bytes. Save or download it again."
    head = data[:_TEXT_HEAD].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for start, found in _NO_PICTURES:
        if head.startswith(start):
            return f"{name} is {found}, and no image."
    return f"{name} is not a whole image; it must be {READABLE}."


def _damaged_message(name: str, kind: Kind | None) -> str:
    return (
        f"{name} begins like a {str(kind).upper()} and is not a whole image: it is cut short or "
        "damaged. Save or download it again."
    )


def _reader(kind: Kind, name: str) -> Callable[[io.BytesIO], Picture]:
    if kind == "heic":
        return _heic_reader(name)
    prefix = "WebP" if kind == "webp" else kind.capitalize()
    plugin = pillow.load(f"{prefix}ImagePlugin")
    if kind == "avif" and not plugin.SUPPORTED:
        raise InvalidImageError(
            f"{name} is an AVIF image, which this build of Pillow cannot read. Save it as JPEG "
            "or PNG, or install Pillow from its wheels."
        )
    reader: Callable[[io.BytesIO], Picture] = getattr(plugin, f"{prefix}ImageFile")
    return reader


def _heic_reader(name: str) -> Callable[[io.BytesIO], Picture]:
    try:
        from pillow_heif import HeifImageFile  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise InvalidImageError(
            f"{name} is a HEIC image. To read it: pip install 'imagesession[heic]'; or save it "
            "as JPEG."
        ) from error
    return HeifImageFile
