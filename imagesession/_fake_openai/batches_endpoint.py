"""
The Batches endpoints: create, retrieve, list, cancel. A batch proceeds when it is retrieved, and
ends after a number of retrievals, so that tests need not wait. Its input file has a request a line.

Reference: https://platform.openai.com/docs/api-reference/batch
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias, cast, get_args

import attrs

from imagesession._fake_openai.errors import RefusalError
from imagesession._fake_openai.files_endpoint import FilesEndpoint
from imagesession._fake_openai.http import FakeRequest, FakeResponse, Json, dump, json_response
from imagesession._fake_openai.json_reader import page, parse, read_metadata
from imagesession._fake_openai.memory import current_organization, new_id

KEPT_BATCHES = 256
WINDOW_SECONDS = 24 * 60 * 60
MAX_LINES = 50_000
_MAX_ERRORS = 100
# As of November 2026, GPT Image 2.6 is not available in Batch.
_NOT_IN_BATCH = "gpt-image-2.6"
_MEMBERS = {"custom_id": str, "method": str, "url": str, "body": dict}

_ENDPOINTS = ("/v1/responses", "/v1/images/generations", "/v1/images/edits")
State = Literal[
    "validating",
    "failed",
    "in_progress",
    "finalizing",
    "completed",
    "expired",
    "cancelling",
    "cancelled",
]
End = Literal["completed", "expired", "cancelled"]
LineResult: TypeAlias = tuple[str, bytes]
"""A line's result: the file that it belongs to ("output" or "error"), and its text there."""
_ENDED = frozenset({"failed", "completed", "expired", "cancelled"})


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
        # Write the line of the output file for a response. The body is encoded JSON, and may hold
        # an image.
        head = {"id": new_id("batch_req_"), "custom_id": self.custom_id}
        response = {"status_code": status, "request_id": request_id, "body": None}
        line = dump({**head, "response": response, "error": None})
        before, after = line.rsplit(b'"body":null', 1)
        return b"".join((before, b'"body":', body, after))

    def error_line(self, name: str) -> bytes:
        error = RefusalError(name).error
        error = {"code": error["code"], "message": error["message"]}
        head = {"id": new_id("batch_req_"), "custom_id": self.custom_id}
        return dump({**head, "response": None, "error": error})


@attrs.frozen(kw_only=True)
class BatchSpeed:
    polls: int = 2  # after how many retrievals a batch ends
    end: End = "completed"  # how it ends
    done: int | None = None  # how many of its lines are executed until then; None for all
    reverse: bool = False  # whether the lines of its output files are in reverse order


@attrs.define(kw_only=True, eq=False)
class Batch:
    id: str
    endpoint: str
    input_file: str
    metadata: Json | None
    created: float
    speed: BatchSpeed
    lines: tuple[Line, ...]
    problems: tuple[Json, ...]
    state: State = "validating"
    polls: int = 0  # how often it was retrieved
    organization: str = attrs.field(factory=current_organization)  # whose batch it is
    done: int = 0  # how many lines have been executed
    failed: int = 0  # how many of these failed
    # When it entered each state, in seconds since the epoch.
    times: dict[str, float] = attrs.field(factory=dict[str, float])
    # The ids of its output and error files.
    files: dict[str, str] = attrs.field(factory=dict[str, str])

    @property
    def ended(self) -> bool:
        return self.state in _ENDED

    @property
    def planned(self) -> int:
        count = len(self.lines)
        return count if self.speed.done is None else min(self.speed.done, count)

    def enter(self, state: State, now: float) -> None:
        self.state = state
        self.times[state] = now

    def as_json(self) -> Json:
        known = self.state not in {"validating", "failed"}
        moments = {
            f"{state}_at": int(self.times[state]) if state in self.times else None
            for state in get_args(State)[1:]
        }
        errors = {"object": "list", "data": list(self.problems)}
        model = next((line.model for line in self.lines), None)
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "model": model if known else None,
            "errors": errors if self.state == "failed" else None,
            "input_file_id": self.input_file,
            "completion_window": "24h",
            "status": self.state,
            "output_file_id": self.files.get("output"),
            "error_file_id": self.files.get("error"),
            "created_at": int(self.created),
            "expires_at": int(self.created) + WINDOW_SECONDS,
            **moments,
            "request_counts": {
                "total": len(self.lines) if known else 0,
                "completed": self.done - self.failed,
                "failed": self.failed,
            },
            "metadata": self.metadata,
        }


@attrs.define(kw_only=True, eq=False)
class BatchesEndpoint:
    clock: Callable[[], float]
    files: FilesEndpoint
    execute: Callable[[Line], LineResult]
    speed: BatchSpeed = attrs.field(factory=BatchSpeed, init=False)
    _batches: OrderedDict[str, Batch] = attrs.field(factory=OrderedDict[str, Batch], init=False)
    # A batch proceeds under the lock, so that each line is executed once.
    _lock: threading.RLock = attrs.field(factory=threading.RLock, init=False)

    def answer(self, call: FakeRequest) -> FakeResponse:
        match (call.method, *call.path.split("/")[2:]):
            case ("POST",):
                return self._create(call)
            case ("GET",):
                return self._list(call)
            case ("GET", batch_id):
                return self._retrieve(batch_id)
            case ("POST", batch_id, "cancel"):
                return self._cancel(batch_id)
            case _:
                raise RefusalError("no_such_url", method=call.method, path=call.path)

    def _create(self, call: FakeRequest) -> FakeResponse:
        body = parse(call)
        body.only(
            ("input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after")
        )
        endpoint = body.require("endpoint").choice(_ENDPOINTS)
        body.require("completion_window").choice(("24h",))
        file_id = body.require("input_file_id").text()
        content = self.files.content(file_id)
        if content is None:
            raise RefusalError("no_such_file", "input_file_id", id=file_id)
        lines, problems = read_lines(content, endpoint)
        batch = Batch(
            id=new_id("batch_"),
            endpoint=endpoint,
            input_file=file_id,
            metadata=read_metadata(body),
            created=self.clock(),
            speed=self.speed,
            lines=lines,
            problems=problems,
        )
        with self._lock:
            self._batches[batch.id] = batch
            while len(self._batches) > KEPT_BATCHES:
                self._batches.popitem(last=False)
            return json_response(batch.as_json())

    def _find(self, batch_id: str) -> Batch:
        batch = self._batches.get(batch_id)
        if batch is None or batch.organization != current_organization():
            raise RefusalError("no_such_batch", id=batch_id)
        return batch

    def _retrieve(self, batch_id: str) -> FakeResponse:
        with self._lock:
            batch = self._find(batch_id)
            if not batch.ended:
                batch.polls += 1
                self._advance(batch)
            return json_response(batch.as_json())

    def _advance(self, batch: Batch) -> None:
        now = self.clock()
        if batch.problems:
            batch.enter("failed", now)
        elif batch.state == "cancelling":
            self._finish(batch, "cancelled", now)
        elif batch.polls >= batch.speed.polls:
            self._finish(batch, batch.speed.end, now)
        else:
            batch.done = batch.planned * batch.polls // batch.speed.polls
            batch.enter("in_progress", batch.times.get("in_progress", now))

    def _finish(self, batch: Batch, end: End, now: float) -> None:
        if end != "cancelled" or batch.speed.end == "cancelled":
            batch.done = batch.planned
        results = [self.execute(line) for line in batch.lines[: batch.done]]
        batch.failed = sum(where == "error" for where, _ in results)
        if end != "completed":
            rest = batch.lines[batch.done :]
            results += (("error", line.error_line(f"batch_{end}")) for line in rest)
        for where in ("output", "error"):
            rows = [row for which, row in results if which == where]
            if rows:
                rows = rows[::-1] if batch.speed.reverse else rows
                content = b"".join(row + b"\n" for row in rows)
                batch.files[where] = self.files.keep_output(f"{batch.id}_{where}.jsonl", content)
        batch.times.setdefault("in_progress", now)
        batch.times["finalizing"] = now
        batch.enter(end, now)

    def _list(self, call: FakeRequest) -> FakeResponse:
        with self._lock:
            batches = [
                batch.as_json()
                for batch in reversed(self._batches.values())
                if batch.organization == current_organization()
            ]
        return page(call, batches, missing="no_such_batch")

    def _cancel(self, batch_id: str) -> FakeResponse:
        with self._lock:
            batch = self._find(batch_id)
            if batch.ended:
                raise RefusalError("batch_ended", state=batch.state)
            batch.enter("cancelling", self.clock())
            return json_response(batch.as_json())


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
