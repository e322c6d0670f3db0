"""
Parse JSON that contains images, without copying the images.

A reply of 4 MB is one image in base64 and a kilobyte around it. Making a string of the image costs
2 ms and its size in memory, only to be decoded again. So the image is cut out before parsing.
"""

from __future__ import annotations

import json
import re
import secrets
from typing import Any, cast

import jiter

# The keys of base64 images: https://developers.openai.com/api/reference/resources/responses
_IMAGE_KEY = re.compile(rb'"(?:result|partial_image_b64|b64_json)"\s*:\s*"')
_MIN_VIEW_BYTES = 4096
_TOO_DEEP = "recursion limit"
# The placeholder for an image, random so that no reply contains it.
_PLACEHOLDER = secrets.token_hex(16)


def loads_with_views(body: bytes) -> object:
    """
    Parse JSON; large base64 texts become views of the body, everything else is as usual. What is
    nested more deeply than any reply should be is a ValueError too.
    """
    rest, views = _cut_out_images(body)
    try:
        parsed = _parse_rest(rest)
        return _restore(parsed, views) if views else parsed
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _parse_rest(rest: bytes) -> object:
    try:
        return jiter.from_json(rest)
    except ValueError as error:
        if _TOO_DEEP in str(error):
            # The other parser may accept it, but it would be too deep to write as a record.
            raise
    try:
        # jiter rejects a lone surrogate, which a truncated emoji leaves.
        return json.loads(rest)
    except UnicodeDecodeError:
        return json.loads(rest.decode("utf-8", "replace"))


def _cut_out_images(body: bytes) -> tuple[bytes, list[memoryview]]:
    view = memoryview(body)
    pieces: list[memoryview | bytes] = []
    views: list[memoryview] = []
    copied = 0
    match = _IMAGE_KEY.search(body)
    while match is not None:
        start = match.end()
        end = body.find(b'"', start)
        if end < 0:
            break
        # Base64 needs no escapes; a text that has some is left to the parser.
        if end - start >= _MIN_VIEW_BYTES and body.find(b"\\", start, end) < 0:
            pieces += (view[copied:start], f"{_PLACEHOLDER}{len(views)}".encode())
            views.append(view[start:end])
            copied = end
        match = _IMAGE_KEY.search(body, end)
    return b"".join([*pieces, view[copied:]]) if views else body, views


def _restore(value: object, views: list[memoryview]) -> object:
    if isinstance(value, str) and value.startswith(_PLACEHOLDER):
        return views[int(value.removeprefix(_PLACEHOLDER))]
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {name: _restore(member, views) for name, member in items}
    if isinstance(value, list):
        return [_restore(member, views) for member in cast("list[object]", value)]
    return value
