"""
The lines of a batch: reading and checking the input file, and writing results.
"""

import json
from collections.abc import Iterator
from typing import Any, cast

import attrs

from imagesession._fake_openai.errors import RefusalError
from imagesession._fake_openai.http import Json, dump
from imagesession._fake_openai.memory import new_id

MAX_LINES = 50_000
_MAX_ERRORS = 100
# As of November 2026, GPT Image 2.6 is not available in Batch.
_NOT_IN_BATCH = "gpt-image-2.6"
_MEMBERS = {"custom_id": str, "method": str, "url": str, "body": dict}


@attrs.frozen(kw_only=True)
class Line:
    number: int  # the line number, from 1
    custom_id: str
    method: str
    url: str
    body: Json = attrs.field(repr=False)  # the request's JSON

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))

    def result_line(self, status: int, body: bytes, request_id: str) -> bytes:
        """
        Write the line of the output file for a response. The body is encoded JSON, and may hold an
        image.
        """
        head = {"id": new_id("batch_req_"), "custom_id": self.custom_id}
        response = {"status_code": status, "request_id": request_id, "body": None}
        before, after = dump({**head, "response": response, "error": None}).rsplit(
            b'"body":null', 1
        )
        return b"".join((before, b'"body":', body, after))

    def error_line(self, name: str) -> bytes:
        error = RefusalError(name).error
        error = {"code": error["code"], "message": error["message"]}
        head = {"id": new_id("batch_req_"), "custom_id": self.custom_id}
        return dump({**head, "response": None, "error": error})


def read_lines(content: bytes, endpoint: str) -> tuple[tuple[Line, ...], tuple[Json, ...]]:
    """
    Read the input file of a batch, all of whose requests must have the endpoint: its requests, and
    its errors as `BatchError`s. With any error no request is executed.
    """
    rows = [row for row in content.split(b"\n") if row.strip()]
    if not rows:
        return (), (_problem(None, "empty_file"),)
    if len(rows) > MAX_LINES:
        return (), (_problem(None, "too_many_tasks", limit=str(MAX_LINES)),)
    read = [_read(row, number, endpoint) for number, row in enumerate(rows, 1)]
    lines = tuple(item for item in read if isinstance(item, Line))
    problems = [item for item in read if not isinstance(item, Line)]
    problems += _duplicates(lines)
    problems += _wrong_models(lines)
    return lines, tuple(problems[:_MAX_ERRORS])


def _problem(line: int | None, name: str, param: str | None = None, **facts: str) -> Json:
    error = RefusalError(name, param, **facts).error
    return {"line": line, **{key: error[key] for key in ("code", "message", "param")}}


def _read(row: bytes, number: int, endpoint: str) -> Line | Json:
    try:
        parsed: object = json.loads(row)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        return _problem(number, "invalid_json_line")
    fields = cast("dict[str, Any]", parsed)
    for name, kind in _MEMBERS.items():
        if not isinstance(fields.get(name), kind):
            return _problem(number, "missing_parameter", name)
    if fields["method"] != "POST":
        return _problem(number, "invalid_method", endpoint=endpoint)
    if fields["url"] != endpoint:
        return _problem(number, "url_mismatch", endpoint=endpoint)
    return Line(number=number, **{name: fields[name] for name in _MEMBERS})


def _duplicates(lines: tuple[Line, ...]) -> Iterator[Json]:
    seen: set[str] = set()
    for line in lines:
        if line.custom_id in seen:
            yield _problem(line.number, "duplicate_custom_id", id=line.custom_id)
        seen.add(line.custom_id)


def _wrong_models(lines: tuple[Line, ...]) -> Iterator[Json]:
    for line in lines:
        if line.model.startswith(_NOT_IN_BATCH):
            yield _problem(line.number, "model_not_in_batch", model=line.model)
        elif line.model != lines[0].model:
            yield _problem(line.number, "model_mismatch", model=line.model, first=lines[0].model)
