"""
The images that a request carries, as a data URL or by the id of an uploaded file; among them masks
and markups, which show where an image may be edited.
"""

import io
from collections.abc import Callable
from typing import Literal, TypeAlias

import attrs
import pybase64
from PIL import Image, UnidentifiedImageError

from imagesession._fake_openai.errors import RefusalError
from imagesession._fake_openai.json_reader import JsonNode
from imagesession._fake_openai.sketch.edit import mask_around

# Returns an uploaded file's bytes, or None if there is no such file.
Uploads: TypeAlias = Callable[[str], bytes | None]


@attrs.frozen(kw_only=True)
class InputImage:
    data: bytes = attrs.field(repr=False)
    param: str


def load(node: JsonNode, uploads: Uploads) -> bytes:
    file_id, url = node.get("file_id"), node.get("image_url")
    if file_id is not None:
        data = uploads(file_id.text())
        if data is None:
            raise RefusalError("no_such_file", file_id.path, id=file_id.text())
        return data
    if url is None:
        url = node.require("image_url")
    return _from_url(url)


def decode(node: JsonNode) -> bytes:
    try:
        return pybase64.b64decode(node.text(), validate=True)
    except ValueError:
        raise node.wrong(f"Invalid '{node.path}'. Expected base64-encoded image data.") from None


def _from_url(node: JsonNode) -> bytes:
    url = node.text()
    if url.startswith(("http://", "https://")):
        raise RefusalError("no_download", url=url)
    head, comma, payload = url.partition(",")
    if not (head.startswith("data:image/") and head.endswith(";base64") and comma):
        raise node.wrong(
            f"Invalid '{node.path}'. Expected a base64-encoded data URL with an image MIME type "
            "(e.g. 'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU='), but got another value."
        )
    return decode(JsonNode(payload, node.path))


@attrs.frozen(kw_only=True)
class Overlay(InputImage):
    kind: Literal["mask", "markup"]

    def mask_for(self, base: bytes) -> bytes:
        with (
            open_picture(self.data, 1, self.param) as over,
            open_picture(base, 1, self.param) as picture,
        ):
            if "A" not in over.getbands() and "transparency" not in over.info:
                raise self._misfit("image missing alpha channel")
            if over.size != picture.size:
                raise self._misfit("size does not match image size")
        return self.data if self.kind == "mask" else self._around_strokes()

    def _around_strokes(self) -> bytes:
        try:
            mask = mask_around(self.data)
        except ValueError:
            raise RefusalError("unreadable_image", self.param, number=1) from None
        if mask is None:
            raise self._misfit("image must have strokes and transparent pixels")
        return mask

    def _misfit(self, fault: str) -> RefusalError:
        return RefusalError("bad_overlay", self.param, kind=self.kind, fault=fault)


def open_picture(data: bytes, number: int, param: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data))
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        raise RefusalError("unreadable_image", param, number=number) from None
