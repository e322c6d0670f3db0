"""
The Batches endpoints: create, retrieve, list, cancel. A batch proceeds when it is retrieved, and
ends after a number of retrievals, so that tests need not wait.

Reference: https://platform.openai.com/docs/api-reference/batch
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

import attrs

from imagesession._fake_openai.batch_lines import Line, read_lines
from imagesession._fake_openai.errors import RefusalError
from imagesession._fake_openai.files_endpoint import FilesEndpoint
from imagesession._fake_openai.http import FakeRequest, FakeResponse, Json, json_response
from imagesession._fake_openai.json_reader import page, parse, read_metadata
from imagesession._fake_openai.memory import new_id

KEPT_BATCHES = 256
WINDOW_SECONDS = 24 * 60 * 60

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
            "model": model if self.state not in {"validating", "failed"} else None,
            "errors": errors if self.state == "failed" else None,
            "input_file_id": self.input_file,
            "completion_window": "24h",
            "status": self.state,
            "output_file_id": self.files.get("output"),
            "error_file_id": self.files.get("error"),
            "created_at": int(self.created),
            "expires_at": int(self.created) + WINDOW_SECONDS,
            **moments,
            "request_counts": self._counts(),
            "metadata": self.metadata,
        }

    def _counts(self) -> Json:
        known = self.state not in {"validating", "failed"}
        total = len(self.lines) if known else 0
        return {"total": total, "completed": self.done - self.failed, "failed": self.failed}


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
        if batch is None:
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
            batches = [batch.as_json() for batch in reversed(self._batches.values())]
        return page(call, batches, missing="no_such_batch")

    def _cancel(self, batch_id: str) -> FakeResponse:
        with self._lock:
            batch = self._find(batch_id)
            if batch.ended:
                raise RefusalError("batch_ended", state=batch.state)
            batch.enter("cancelling", self.clock())
            return json_response(batch.as_json())
