"""
Parse JSON that carries pictures without copying them.

A reply of 4 MB is one picture in base64 and a kilobyte around it. Making a string of the picture
costs 2 ms and its size in memory, only to be decoded again. So it is lifted out first.
"""

from __future__ import annotations

import json
import re
import secrets
from typing import Any, cast

import jiter

# Where the wire puts base64: https://developers.openai.com/api/reference/resources/responses
_PICTURE = re.compile(rb'"(?:result|partial_image_b64|b64_json)"\s*:\s*"')
_WORTH_LIFTING = 4096
_TOO_DEEP = "recursion limit"
# Stands where a picture was. Nobody can send it by chance or on purpose.
_STAND_IN = secrets.token_hex(16)


def loads_with_views(body: bytes) -> object:
    """
    Parse JSON; large base64 texts come as views of the body, everything else as usual.

    Raises:
        ValueError: It is no JSON, or nested more deeply than any reply should be.
    """
    rest, lifted = _lift(body)
    try:
        parsed = _parse_rest(rest)
        return _put_back(parsed, lifted) if lifted else parsed
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _parse_rest(rest: bytes) -> object:
    try:
        return jiter.from_json(rest)
    except ValueError as error:
        if _TOO_DEEP in str(error):
            # What the other parser makes of it would be too deep for whoever writes it down.
            raise
    try:
        # jiter refuses half a surrogate pair, which a cut emoji leaves behind.
        return json.loads(rest)
    except UnicodeDecodeError:
        return json.loads(rest.decode("utf-8", "replace"))


def _lift(body: bytes) -> tuple[bytes, list[memoryview]]:
    view = memoryview(body)
    pieces: list[memoryview | bytes] = []
    lifted: list[memoryview] = []
    kept = 0
    match = _PICTURE.search(body)
    while match is not None:
        start = match.end()
        end = body.find(b'"', start)
        if end < 0:
            break
        # Base64 needs no escapes; a text that has some is left to the parser.
        if end - start >= _WORTH_LIFTING and body.find(b"\\", start, end) < 0:
            pieces += (view[kept:start], f"{_STAND_IN}{len(lifted)}".encode())
            lifted.append(view[start:end])
            kept = end
        match = _PICTURE.search(body, end)
    return b"".join([*pieces, view[kept:]]) if lifted else body, lifted


def _put_back(value: object, lifted: list[memoryview]) -> object:
    if isinstance(value, str) and value.startswith(_STAND_IN):
        return lifted[int(value.removeprefix(_STAND_IN))]
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {name: _put_back(member, lifted) for name, member in items}
    if isinstance(value, list):
        return [_put_back(member, lifted) for member in cast("list[object]", value)]
    return value
