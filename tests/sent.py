"""
Requests to the offline provider, parsed for tests: bodies, uploads, and their images.
"""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image

from imagesession.testing import FakeOpenAI, FakeRequest


def posts(provider: FakeOpenAI) -> list[str]:
    """
    Return the paths of POST requests, the oldest first, without those that create a conversation.
    """
    calls = [call for call in provider.requests if call.method == "POST"]
    return [call.path for call in calls if call.path != "/conversations"]


def asked(provider: FakeOpenAI) -> list[Any]:
    """
    Return the bodies of the requests to Responses, the oldest first.
    """
    return _bodies(provider, "/responses")


def forms(provider: FakeOpenAI, path: str = "/images/edits") -> list[dict[str, Any]]:
    """
    Return the multipart forms that were sent to a path: images as bytes, the rest as text, repeated
    fields as a list.
    """
    return [_form(body) for body in _bodies(provider, path)]


def uploads(provider: FakeOpenAI) -> list[bytes]:
    """
    Return the uploaded files, the oldest first.
    """
    return [form["file"] for form in forms(provider, "/files")]


def shown(provider: FakeOpenAI, body: Any, message: int = -1) -> list[bytes]:
    """
    Return the images of a message in a request to Responses, by id or in full.
    """
    parts = body["input"][message]["content"]
    return [located(provider, part) for part in parts if part["type"] == "input_image"]


def mask_of(provider: FakeOpenAI, body: Any) -> bytes:
    """
    Return the mask in a request to Responses.
    """
    return located(provider, body["tools"][0]["input_image_mask"])


def located(provider: FakeOpenAI, part: Any) -> bytes:
    """
    Return the bytes of an image that a request refers to.
    """
    if "file_id" in part:
        return fetched(provider, f"/files/{part['file_id']}/content")
    return base64.b64decode(part["image_url"].partition(",")[2])


def fetched(provider: FakeOpenAI, path: str) -> bytes:
    """
    Send a GET request to the provider as another client would.
    """
    call = FakeRequest(method="GET", path=path, headers={"authorization": "Bearer another"})
    return b"".join(part for part in provider.handle(call).parts if isinstance(part, bytes))


def opened(data: bytes) -> Image.Image:
    """
    Decode an image.
    """
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def _bodies(provider: FakeOpenAI, path: str) -> list[Any]:
    return [call.body for call in provider.requests if (call.method, call.path) == ("POST", path)]


def _form(fields: Any) -> dict[str, Any]:
    form: dict[str, Any] = {}
    for field in fields:
        value = field.content if field.filename else field.text
        if field.name.endswith("[]"):
            form.setdefault(field.name, []).append(value)
        else:
            form[field.name] = value
    return form
