"""
The lines of a batch: reading and checking the input file, and writing results.

Errors of a file: https://platform.openai.com/docs/guides/batch and the Batch API's `BatchError`.
"""

import json
from collections.abc import Iterator
from typing import Any, cast

import attrs

from imagesession._fake_openai.http import Json, dump
from imagesession._fake_openai.memory import new_id

MAX_LINES = 50_000
_MAX_ERRORS = 100
# As of November 2026, GPT Image 2.6 is not available in Batch.
_NOT_IN_BATCH = "gpt-image-2.6"


@attrs.frozen(kw_only=True)
class Problem:
    """
    One error in a batch's input file.
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
    One request of a batch.

    Attributes:
        number: The line number, from 1.
        body: The request's JSON.

    """

    number: int
    custom_id: str
    method: str
    url: str
    model: str
    body: Json = attrs.field(repr=False)

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

    def error_line(self, code: str, message: str) -> bytes:
        """
        Write the line of the error file for a request that was not executed.
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
    Read the input file of a batch.

    Args:
        content: The file.
        endpoint: The endpoint that all of its requests must have.

    Returns:
        Its requests, and its errors; with any error no request is executed.

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
    problems += _duplicates(lines)
    problems += _wrong_models(lines)
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
    fields = cast("Json", parsed)
    for name, kind in (("custom_id", str), ("method", str), ("url", str), ("body", dict)):
        if not isinstance(fields.get(name), kind):
            return Problem(
                code="missing_required_parameter",
                line=number,
                param=name,
                message=f"Missing required parameter: '{name}'.",
            )
    if fields["url"] != endpoint or fields["method"] != "POST":
        return Problem(
            code="url_mismatch" if fields["method"] == "POST" else "invalid_method",
            line=number,
            param="url",
            message=f"The URL provided for this request does not match the batch endpoint "
            f"'{endpoint}'.",
        )
    body: dict[str, Any] = fields["body"]
    return Line(
        number=number,
        custom_id=fields["custom_id"],
        method=fields["method"],
        url=fields["url"],
        model=str(body.get("model", "")),
        body=body,
    )


def _duplicates(lines: tuple[Line, ...]) -> Iterator[Problem]:
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


def _wrong_models(lines: tuple[Line, ...]) -> Iterator[Problem]:
    """
    Find requests with another model than the first one's, or with one that is not in Batch.
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
