"""
The Batches endpoints: make, look at, list, cancel. A batch gets on when it is looked at, so that
nobody has to wait: after so many looks it is done.

Reference: https://platform.openai.com/docs/api-reference/batch
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Literal, TypeAlias, get_args

import attrs

from imagesession._fake_openai.batch_lines import Line, Problem, read_lines
from imagesession._fake_openai.errors import RefusalError, invalid_value, no_such_file, no_such_url
from imagesession._fake_openai.http import FakeRequest, FakeResponse, Json, json_response
from imagesession._fake_openai.json_reader import JsonNode, check_metadata, parse
from imagesession._fake_openai.memory import new_id

KEPT_BATCHES = 256
WINDOW_SECONDS = 24 * 60 * 60
MAX_LISTED = 100
Endpoint = Literal["/v1/responses", "/v1/images/generations", "/v1/images/edits"]
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
Said: TypeAlias = tuple[str, bytes]
"""What a line was answered: in which file it stands ("output" or "error"), and the line there."""
_ENDED = frozenset({"failed", "completed", "expired", "cancelled"})
_WHY: dict[str, tuple[str, str]] = {
    "expired": (
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
    "cancelled": ("batch_cancelled", "This request was not executed: the batch was cancelled."),
}


@attrs.frozen(kw_only=True)
class BatchSpeed:
    """
    Say how batches get on.

    Attributes:
        looks: At which look a batch is done.
        end: How it ends.
        done: How many of its lines are carried out until then; None for all.
        backwards: Whether the lines of its files stand in the opposite order.

    """

    looks: int = 2
    end: End = "completed"
    done: int | None = None
    backwards: bool = False


@attrs.define(kw_only=True, eq=False)
class Batch:
    """
    Follow one batch through its life.

    Attributes:
        times: When it came into a state, in seconds since the epoch.
        done: How many lines are carried out so far.
        failed: How many of these failed.
        files: The ids of its output and error files.

    """

    id: str
    endpoint: str
    input_file: str
    metadata: Json | None
    created: float
    pace: BatchSpeed
    lines: tuple[Line, ...]
    problems: tuple[Problem, ...]
    state: State = "validating"
    looks: int = 0
    done: int = 0
    failed: int = 0
    times: dict[str, float] = attrs.field(factory=dict[str, float])
    files: dict[str, str] = attrs.field(factory=dict[str, str])

    @property
    def ended(self) -> bool:
        """
        Tell whether nothing changes any more.
        """
        return self.state in _ENDED

    @property
    def to_do(self) -> int:
        """
        How many of its lines will be carried out.
        """
        count = len(self.lines)
        return count if self.pace.done is None else min(self.pace.done, count)

    def enter(self, state: State, now: float) -> None:
        """
        Come into a state.
        """
        self.state = state
        self.times[state] = now

    def as_json(self) -> Json:
        """
        Write the batch's facts.
        """
        moments = {f"{state}_at": self._time(state) for state in get_args(State)[1:]}
        errors = {"object": "list", "data": [problem.as_json() for problem in self.problems]}
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

    def _time(self, state: str) -> int | None:
        return int(self.times[state]) if state in self.times else None

    def _counts(self) -> Json:
        known = self.state not in {"validating", "failed"}
        total = len(self.lines) if known else 0
        return {"total": total, "completed": self.done - self.failed, "failed": self.failed}


class BatchesEndpoint:
    """
    Serve the Batches endpoints, and keep the latest batches.

    Attributes:
        pace: How batches that are made from now on get on.

    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        fetch: Callable[[str], bytes | None],
        keep: Callable[[str, bytes], str],
        carry_out: Callable[[Line], Said],
    ) -> None:
        """
        Open an office for batches.

        Args:
            clock: Gives the time in seconds since the epoch.
            fetch: Gives an uploaded file's bytes; None if there is no such file.
            keep: Keeps a file under a name; gives its id.
            carry_out: Does what a line asks.

        """
        self.pace = BatchSpeed()
        self._clock = clock
        self._fetch = fetch
        self._keep = keep
        self._carry_out = carry_out
        self._kept: OrderedDict[str, Batch] = OrderedDict()
        # A batch gets on under the lock, so that each line is carried out once.
        self._lock = threading.RLock()

    def answer(self, call: FakeRequest) -> FakeResponse:
        """
        Answer a call below `/batches`.
        """
        match (call.method, *call.path.split("/")[2:]):
            case ("POST",):
                return self._create(call)
            case ("GET",):
                return self._list(call)
            case ("GET", batch_id):
                return self._look(batch_id)
            case ("POST", batch_id, "cancel"):
                return self._cancel(batch_id)
            case _:
                raise no_such_url(call.method, call.path)

    def _create(self, call: FakeRequest) -> FakeResponse:
        body = parse(call)
        body.only(
            ("input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after")
        )
        check_metadata(body)
        endpoint = body.require("endpoint").choice(get_args(Endpoint))
        body.require("completion_window").choice(("24h",))
        file_id = body.require("input_file_id").text()
        content = self._fetch(file_id)
        if content is None:
            raise no_such_file(file_id, "input_file_id")
        lines, problems = read_lines(content, endpoint)
        batch = Batch(
            id=new_id("batch_"),
            endpoint=endpoint,
            input_file=file_id,
            metadata=_metadata(body),
            created=self._clock(),
            pace=self.pace,
            lines=lines,
            problems=problems,
        )
        with self._lock:
            self._kept[batch.id] = batch
            while len(self._kept) > KEPT_BATCHES:
                self._kept.popitem(last=False)
            return json_response(batch.as_json())

    def _find(self, batch_id: str) -> Batch:
        batch = self._kept.get(batch_id)
        if batch is None:
            raise RefusalError(f"No batch found with id '{batch_id}'.", status=HTTPStatus.NOT_FOUND)
        return batch

    def _look(self, batch_id: str) -> FakeResponse:
        with self._lock:
            batch = self._find(batch_id)
            if not batch.ended:
                batch.looks += 1
                self._get_on(batch)
            return json_response(batch.as_json())

    def _get_on(self, batch: Batch) -> None:
        now = self._clock()
        if batch.problems:
            batch.enter("failed", now)
        elif batch.state == "cancelling":
            self._finish(batch, "cancelled", now)
        elif batch.looks >= batch.pace.looks:
            self._finish(batch, batch.pace.end, now)
        else:
            batch.done = batch.to_do * batch.looks // batch.pace.looks
            batch.enter("in_progress", batch.times.get("in_progress", now))

    def _finish(self, batch: Batch, end: End, now: float) -> None:
        """
        Carry out what is to be carried out, and write what came of all lines.
        """
        if end != "cancelled" or batch.pace.end == "cancelled":
            batch.done = batch.to_do
        said = [self._carry_out(line) for line in batch.lines[: batch.done]]
        batch.failed = sum(where == "error" for where, _ in said)
        why = _WHY.get(end)
        if why is not None:
            said += (("error", line.undone(*why)) for line in batch.lines[batch.done :])
        for where in ("output", "error"):
            rows = [row for which, row in said if which == where]
            if rows:
                rows = rows[::-1] if batch.pace.backwards else rows
                content = b"".join(row + b"\n" for row in rows)
                batch.files[where] = self._keep(f"{batch.id}_{where}.jsonl", content)
        batch.times.setdefault("in_progress", now)
        batch.times["finalizing"] = now
        batch.enter(end, now)

    def _list(self, call: FakeRequest) -> FakeResponse:
        with self._lock:
            batches = list(reversed(self._kept.values()))
            ids = [batch.id for batch in batches]
            after = call.query.get("after")
            if after is not None:
                self._find(after)
                batches = batches[ids.index(after) + 1 :]
            limit = _limit(call)
            shown = [batch.as_json() for batch in batches[:limit]]
        return json_response(
            {
                "object": "list",
                "data": shown,
                "first_id": shown[0]["id"] if shown else None,
                "last_id": shown[-1]["id"] if shown else None,
                "has_more": len(batches) > limit,
            }
        )

    def _cancel(self, batch_id: str) -> FakeResponse:
        with self._lock:
            batch = self._find(batch_id)
            if batch.ended:
                raise RefusalError(
                    f"Cannot cancel a batch with status '{batch.state}'.",
                    status=HTTPStatus.CONFLICT,
                )
            batch.enter("cancelling", self._clock())
            return json_response(batch.as_json())


def _metadata(body: JsonNode) -> Json | None:
    metadata = body.get("metadata")
    return metadata.object() if metadata else None


def _limit(call: FakeRequest) -> int:
    wanted = call.query.get("limit", "20")
    if not wanted.isascii() or not wanted.isdigit() or not 1 <= int(wanted) <= MAX_LISTED:
        raise invalid_value(
            f"Invalid value for 'limit': '{wanted}' is not a number from 1 to {MAX_LISTED}.",
            "limit",
        )
    return int(wanted)


def whole(answer: FakeResponse) -> bytes:
    """
    Put an answer's body together, and wait for nothing.
    """
    return b"".join(_bytes(answer))


def _bytes(answer: FakeResponse) -> Iterator[bytes]:
    for part in answer.parts:
        if isinstance(part, bytes):
            yield part
