"""
The lines of a batch: what each asks, what is wrong with them, and what is said of each.

Faults of a file: https://platform.openai.com/docs/guides/batch and the Batch API's `BatchError`.
"""

import json
from collections.abc import Iterator
from typing import Any, cast

import attrs

from imagesession._fake_openai.http import Json, dump
from imagesession._fake_openai.memory import new_id

MAX_LINES = 50_000
_MAX_ERRORS = 100
# Said of GPT Image 2.6 in November 2026: it is not in Batch.
_NOT_IN_BATCH = "gpt-image-2.6"


@attrs.frozen(kw_only=True)
class Problem:
    """
    Say what is wrong with a batch.
    """

    code: str
    message: str
    line: int | None = None
    param: str | None = None

    def as_json(self) -> Json:
        """
        Write it as a `BatchError`.
        """
        return {
            "code": self.code,
            "line": self.line,
            "message": self.message,
            "param": self.param,
        }


@attrs.frozen(kw_only=True)
class Line:
    """
    Hold one request of a batch.

    Attributes:
        number: Where it stands, from 1.
        body: What it asks.

    """

    number: int
    custom_id: str
    method: str
    url: str
    model: str
    body: Json = attrs.field(repr=False)

    def answered(self, status: int, body: bytes, request_id: str) -> bytes:
        """
        Write what the request was answered. The body is JSON, and may carry a picture.
        """
        head = {"id": new_id("batch_req_"), "custom_id": self.custom_id}
        response = {"status_code": status, "request_id": request_id, "body": None}
        before, after = dump({**head, "response": response, "error": None}).rsplit(
            b'"body":null', 1
        )
        return b"".join((before, b'"body":', body, after))

    def undone(self, code: str, message: str) -> bytes:
        """
        Write that the request was not carried out.
        """
        return dump(
            {
                "id": new_id("batch_req_"),
                "custom_id": self.custom_id,
                "response": None,
                "error": {"code": code, "message": message},
            }
        )


def read_lines(content: bytes, endpoint: str) -> tuple[tuple[Line, ...], tuple[Problem, ...]]:
    """
    Read the file of a batch.

    Args:
        content: The file.
        endpoint: Where all of its requests have to go.

    Returns:
        Its requests, and what is wrong with them; where anything is, none is carried out.

    """
    rows = [row for row in content.split(b"\n") if row.strip()]
    if not rows:
        return (), (Problem(code="empty_file", message="The batch input file is empty."),)
    if len(rows) > MAX_LINES:
        problem = Problem(
            code="too_many_tasks",
            message=f"The batch input file contains too many requests. The limit is {MAX_LINES}.",
        )
        return (), (problem,)
    read = [_read(row, number, endpoint) for number, row in enumerate(rows, 1)]
    lines = tuple(item for item in read if isinstance(item, Line))
    problems = [item for item in read if isinstance(item, Problem)]
    problems += _repeated(lines)
    problems += _unlike(lines)
    return lines, tuple(problems[:_MAX_ERRORS])


def _read(row: bytes, number: int, endpoint: str) -> Line | Problem:
    try:
        parsed: object = json.loads(row)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        return Problem(
            code="invalid_json_line",
            line=number,
            message="This line is not parseable as valid JSON.",
        )
    asked = cast("Json", parsed)
    for name, kind in (("custom_id", str), ("method", str), ("url", str), ("body", dict)):
        if not isinstance(asked.get(name), kind):
            return Problem(
                code="missing_required_parameter",
                line=number,
                param=name,
                message=f"Missing required parameter: '{name}'.",
            )
    if asked["url"] != endpoint or asked["method"] != "POST":
        return Problem(
            code="url_mismatch" if asked["method"] == "POST" else "invalid_method",
            line=number,
            param="url",
            message=f"The URL provided for this request does not match the batch endpoint "
            f"'{endpoint}'.",
        )
    body: dict[str, Any] = asked["body"]
    return Line(
        number=number,
        custom_id=asked["custom_id"],
        method=asked["method"],
        url=asked["url"],
        model=str(body.get("model", "")),
        body=body,
    )


def _repeated(lines: tuple[Line, ...]) -> Iterator[Problem]:
    seen: set[str] = set()
    for line in lines:
        if line.custom_id in seen:
            yield Problem(
                code="duplicate_custom_id",
                line=line.number,
                param="custom_id",
                message=f"The custom_id for this request is a duplicate of another request: "
                f"'{line.custom_id}'.",
            )
        seen.add(line.custom_id)


def _unlike(lines: tuple[Line, ...]) -> Iterator[Problem]:
    """
    Find requests to another model than the first one's, or to one that is not in Batch.
    """
    for line in lines:
        if line.model.startswith(_NOT_IN_BATCH):
            yield Problem(
                code="model_not_found",
                line=line.number,
                param="body.model",
                message=f"The provided model '{line.model}' is not supported by the Batch API.",
            )
        elif line.model != lines[0].model:
            yield Problem(
                code="model_mismatch",
                line=line.number,
                param="body.model",
                message="The provided model does not match the other requests of the batch: "
                f"'{line.model}' instead of '{lines[0].model}'.",
            )
