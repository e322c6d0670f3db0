"""
Load the images that a request carries: a data URL or the id of an uploaded file.
"""

from collections.abc import Callable
from typing import TypeAlias

import attrs
import pybase64

from imagesession._fake_openai.errors import RefusalError
from imagesession._fake_openai.json_reader import JsonNode

# Returns an uploaded file's bytes, or None if there is no such file.
Uploads: TypeAlias = Callable[[str], bytes | None]


@attrs.frozen(kw_only=True)
class InputImage:
    """
    An image that a request carries.

    Attributes:
        data: The encoded image.
        param: Its path in the request.

    """

    data: bytes = attrs.field(repr=False)
    param: str


def load(node: JsonNode, uploads: Uploads) -> bytes:
    """
    Load the image of an `input_image` part or of a mask.

    Raises:
        RefusalError: There is no image, or it cannot be loaded.

    """
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
    """
    Decode base64 text.
    """
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
