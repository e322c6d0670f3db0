"""
Images as requests need them: read from any source, converted, masked and put together.
"""

from __future__ import annotations

import os
from typing import Protocol, TypeAlias

import attrs

from imagesession._domain.image_header import ImageHeader
from imagesession._domain.turn import ImageRecord

from .http import ReceivedImage

Source: TypeAlias = "str | os.PathLike[str] | bytes | ImageRecord | object"
"""An image's source: a path or an id, bytes, an image in the library, or a PIL image."""


@attrs.frozen
class NamedSource:
    """
    The source of a reference image, with its role in words, such as "logo".
    """

    role: str
    source: Source


@attrs.frozen(kw_only=True)
class InputImage:
    """
    An input image that is ready to be sent.

    Attributes:
        data: Its bytes, in a format that the API takes.
        sha256: The digest of its bytes, in hexadecimal.
        coverage: For a mask, the fraction of the image that may change.
        role: For a reference, what it is to the image in words; may be empty.
    """

    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    facts: ImageHeader
    sha256: str
    image_id: str | None = None
    coverage: float | None = None
    role: str = ""


@attrs.frozen(kw_only=True)
class ImportedImage:
    """
    An image from outside the library, unchanged, with the metadata of its sidecar file.

    Attributes:
        file: The name of its file, if it had one.
        revised_prompt: The prompt that the image model received, if known.
    """

    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    facts: ImageHeader
    file: str | None = None
    prompt: str = ""
    revised_prompt: str | None = None
    model: str | None = None


class Pixels(Protocol):
    """
    What is done with pixels for a workflow; images of the library are read from its store.
    """

    # From any source, in a format that the API takes; by default without Exif, XMP and IPTC data.
    def load(self, source: Source, *, keep_exif: bool = False) -> InputImage: ...
    # Unchanged, with its metadata.
    def load_original(self, source: Source) -> ImportedImage: ...
    # None if it has no pixels.
    def load_stored(self, image: ImageRecord) -> InputImage | None: ...
    # Checked against its image, as is a markup.
    def mask(self, source: object, picture: InputImage, *, resize_mask: bool) -> InputImage: ...
    def markup(self, source: Source, picture: InputImage, *, resize_mask: bool) -> InputImage: ...
    # The image on a larger canvas, and the mask of its new part.
    def extend_canvas(
        self, picture: InputImage, canvas: tuple[int, int], anchor: str, *, fill: bool
    ) -> tuple[InputImage, InputImage]: ...
    # A reply's pixels in its original, exactly within the mask.
    def composite(self, original: InputImage, mask: InputImage, reply: bytes) -> ReceivedImage: ...
