"""
Images as requests need them: read from any source, converted, masked and put together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import attrs

from imagesession._domain.image_header import ImageHeader, parse_header
from imagesession._domain.turn import ImageRecord, is_id
from imagesession._engine.http import ReceivedImage
from imagesession._engine.pixels import ImportedImage, InputImage, Source
from imagesession._engine.store import ImageStore

from .allowed_folders import metadata_files
from .composite import restore_unmasked, validate_markup
from .convert import to_provider_format
from .inputs import path_of, read_image_input
from .limits import MAX_BYTES
from .mask import Mask
from .metadata import without_private_metadata
from .outpaint import extend_canvas

_MAX_SIDECAR = 1_000_000


@attrs.frozen
class LibraryPixels:
    """
    The pixels that workflows ask for; `Pixels` documents its methods, which raise InvalidImageError
    for what is no image, or none that the provider accepts.
    """

    images: ImageStore

    def load(self, source: Source, *, keep_exif: bool = False) -> InputImage:
        image = self._image_of(source)
        if image is None:
            return load_input(source, keep_exif=keep_exif)
        data = self.images.read(image)
        return _prepare_input(data, f"Image {image.id}", image.id, keep_exif=keep_exif)

    def load_original(self, source: Source) -> ImportedImage:
        # A sidecar of the same name, written by this library or by older tools, has the prompt.
        data, name = read_image_input(source)
        facts = parse_header(data)
        if facts is None:
            data, facts = to_provider_format(data, name)
        elif facts.format != "svg":
            to_provider_format(data, name)  # to check that it opens, whatever its header says
        path = path_of(source)
        sidecar = _read_sidecar(path)
        return ImportedImage(
            data=data,
            facts=facts,
            file=None if path is None else path.name,
            prompt=_text(sidecar, "original_prompt") or "",
            revised_prompt=_text(sidecar, "revised_prompt"),
            model=_text(sidecar, "model"),
        )

    def load_stored(self, image: ImageRecord) -> InputImage | None:
        if image.format == "svg":
            return None
        # No size limit: the image came from the provider.
        data = self.images.read(image)
        return _prepare_input(data, f"Image {image.id}", image.id, limit=None)

    def mask(self, source: object, picture: InputImage, *, resize_mask: bool) -> InputImage:
        mask = Mask.of(self._mask_source(source))
        encoded = mask.png(_size(picture), resize_mask=resize_mask)
        coverage = mask.coverage(_size(picture), resize_mask=resize_mask)
        return attrs.evolve(_as_input(encoded, picture), coverage=round(coverage, 4))

    def extend_canvas(
        self, picture: InputImage, canvas: tuple[int, int], anchor: str, *, fill: bool
    ) -> tuple[InputImage, InputImage]:
        data, mask = extend_canvas(picture.data, canvas, anchor, fill=fill)
        extended = attrs.evolve(
            picture,
            data=data,
            facts=attrs.evolve(picture.facts, format="png", width=canvas[0], height=canvas[1]),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        return extended, _as_input(mask, extended)

    def markup(self, source: Source, picture: InputImage, *, resize_mask: bool) -> InputImage:
        drawing = self._mask_source(source)
        data = validate_markup(drawing, _size(picture), resize_mask=resize_mask)
        return _as_input(data, picture)

    def composite(self, original: InputImage, mask: InputImage, reply: bytes) -> ReceivedImage:
        area = Mask.from_alpha(mask.data).alpha(_size(original))
        data = restore_unmasked(original.data, reply, area)
        facts = parse_header(data)
        if facts is None:
            raise AssertionError("the composite is not an image")
        return ReceivedImage(data=data, facts=facts, source="composite")

    def _image_of(self, source: Source) -> ImageRecord | None:
        if isinstance(source, ImageRecord):
            return source
        if isinstance(source, str) and is_id(source):
            turn, position = self.images.find(source)
            return turn.images[position]
        return None

    def _mask_source(self, source: object) -> object:
        image = self._image_of(source)
        return source if image is None else self.images.read(image)


def load_input(source: Source, *, keep_exif: bool = False) -> InputImage:
    if isinstance(source, InputImage):
        return source
    return _prepare_input(*read_image_input(source, "The reference"), keep_exif=keep_exif)


def _prepare_input(
    data: bytes,
    name: str,
    image_id: str | None = None,
    *,
    limit: int | None = MAX_BYTES,
    keep_exif: bool = False,
) -> InputImage:
    """
    Check that bytes are an image, and convert it if the provider does not accept its format. What a
    photo's metadata tell of its place, time and camera is removed, unless `keep_exif` and it is not
    converted.
    """
    data, facts = to_provider_format(data, name, limit=limit)
    data = data if keep_exif else without_private_metadata(data)
    digest = hashlib.sha256(data).hexdigest()
    return InputImage(data=data, facts=facts, sha256=digest, image_id=image_id)


def _size(image: InputImage) -> tuple[int, int]:
    return image.facts.width, image.facts.height


def _as_input(data: bytes, image: InputImage) -> InputImage:
    width, height = _size(image)
    return InputImage(
        data=data,
        facts=ImageHeader(format="png", width=width, height=height, alpha=True),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _read_sidecar(path: Path | None) -> Mapping[str, Any]:
    if path is None:
        return {}
    for file in metadata_files(path):
        try:
            if file.stat().st_size > _MAX_SIDECAR:
                continue
            facts = json.loads(file.read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(facts, dict):
            return cast("dict[str, Any]", facts)
    return {}


def _text(facts: Mapping[str, Any], name: str) -> str | None:
    value = facts.get(name)
    if not isinstance(value, str):
        return None
    # JSON may hold a lone surrogate, which can be neither written nor sent.
    return value.encode("utf-8", "replace").decode("utf-8").strip() or None
