"""
Write a copy of an image to a path that the caller names.
"""

from __future__ import annotations

import uuid
from pathlib import Path

from imagesession._domain.image_header import SUFFIXES
from imagesession._domain.turn import ImageRecord
from imagesession._domain.wording import quote
from imagesession.errors import InvalidRequestError, StorageIOError

from .files.atomic_write import translate_os_errors, write_public
from .files.paths import resolve_path

# Besides those of the formats that the provider makes.
_FORMATS = {
    **{suffix: kind for kind, suffix in SUFFIXES.items()},
    ".jpeg": "jpeg",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".bmp": "bmp",
    ".avif": "avif",
}


def write_copy(root: str, image: ImageRecord, data: bytes, path: object, *, overwrite: bool) -> str:
    """
    Write a copy of an image: its own bytes, or converted to the format of the path's suffix.
    """
    target = resolve_path(path)
    wanted = _FORMATS.get(target.suffix.lower())
    with translate_os_errors(target):
        _check_target(target, root, image, wanted, overwrite=overwrite)
    if wanted not in {None, image.format}:
        from imagesession._imaging.convert import to_format  # noqa: PLC0415 - loads Pillow

        data = to_format(data, f"Image {image.id}", str(wanted))
    with translate_os_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_public(target, data, target.with_name(f".{uuid.uuid4().hex}"), replace=overwrite)
        except FileExistsError as error:
            raise _taken(target) from error
    return str(target)


def _check_target(
    target: Path, root: str, image: ImageRecord, wanted: str | None, *, overwrite: bool
) -> None:
    if target.is_dir():
        raise StorageIOError(
            f"{target} is a folder. Name a file in it, such as "
            f"{str(target / Path(image.file).name)!r}."
        )
    if wanted is None or (wanted == "svg" != image.format):
        raise InvalidRequestError(
            f"{quote(target.name)} does not end in a format that this image can be saved in: "
            f"{', '.join(suffix for suffix in _FORMATS if suffix != '.svg')}."
        )
    within = target.is_relative_to(root)  # in a folder; a URL is no path
    if target.exists() and (not overwrite or within):
        raise _taken(target, may_replace=not within)


def _taken(target: Path, *, may_replace: bool = True) -> StorageIOError:
    remedy = "Choose another name, or replace it with overwrite=True."
    return StorageIOError(
        f"{target} exists already. {remedy}"
        if may_replace
        else f"{target} is a file of the library, which keeps its files. Choose another name."
    )
