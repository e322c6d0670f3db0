"""
The provider itself: it takes calls, hands them to their rooms, remembers and fails as told.
"""

import contextlib
import threading
import time
import types
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Literal

import attrs

from imagesession._offline import sketch as sketching
from imagesession._offline.batches import Batches, End, Pace, Said, whole
from imagesession._offline.conversations import Conversations
from imagesession._offline.errors import (
    RefusedError,
    blocked,
    error_answer,
    no_key,
    no_such_url,
    wrong_key,
)
from imagesession._offline.exchange import Answer, Call, dump
from imagesession._offline.faults import (
    DRAWING,
    GENERATIONS,
    Blocked,
    Broken,
    Ending,
    Fault,
    Faults,
    Refused,
    cut_after,
)
from imagesession._offline.files import Files, read_form
from imagesession._offline.heard import Heard, Remembering
from imagesession._offline.imaging import Imaging
from imagesession._offline.lines import Line
from imagesession._offline.misbehaving import Odds
from imagesession._offline.models import show_models
from imagesession._offline.orders import streams
from imagesession._offline.pictures import Painter, Pictures
from imagesession._offline.records import Memory
from imagesession._offline.responses import Responses, Settings
from imagesession._offline.scripting import (
    ScriptedPainter,
    ScriptedTeller,
    ScriptedWriter,
    Scripting,
    in_force,
)

_HEARD_CALLS, _HEARD_BYTES = 1024, 128 * 1024 * 1024
_MINUTE_LIMIT, _TOKEN_LIMIT = 10_000, 30_000_000


class OfflineProvider(Scripting, Remembering):
    """
    Speak OpenAI's wire without a network: Responses that draw or report findings about a picture,
    Conversations, Images, Files, Batches, Models.

    It is safe to use from many threads. The same prompts, context and seed give the same bytes.
    Nothing in a prompt makes it fail; the `..._next` methods and `misbehave` do.

    Attributes:
        latency: How many seconds a generation takes.
        pictures_per_reply: How many image items a reply has.

    """

    def __init__(
        self,
        *,
        latency: float = 0.0,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
        api_key: str | None = None,
        painter: Painter | None = None,
        responses: bool = True,
        files: bool = True,
        batches: bool = True,
    ) -> None:
        """
        Open a provider that remembers nothing yet.

        Args:
            latency: How many seconds a generation takes.
            seed: Another seed gives other pictures.
            clock: Gives the time in seconds since the epoch.
            api_key: The only key to accept; by default any is.
            painter: Draws the pictures; by default a sketcher.
            responses: Whether it speaks Responses and Conversations. Without, it is like the
                many compatible servers that have the Images API alone.
            files: Whether it takes files.
            batches: Whether it speaks Batches, which few compatible servers do.

        """
        self.latency = latency
        self.pictures_per_reply = 1
        self._api_key = api_key
        self._unserved = _unserved(responses=responses, files=files, batches=batches)
        self._clock = clock
        self._faults = Faults()
        self._memory = Memory()
        self._files = Files(clock=clock)
        self._heard: deque[Heard] = deque(maxlen=_HEARD_CALLS)
        self._lock = threading.Lock()
        brush = ScriptedPainter(sketching if painter is None else painter)
        pictures = Pictures(brush)
        writer = ScriptedWriter(painter=brush, pictures=pictures)
        self._conversations = Conversations(writer=writer, clock=clock)
        teller = ScriptedTeller(
            painter=brush,
            pictures=pictures,
            uploads=self._files.content,
            earlier=self._memory.story,
            seed=seed,
        )
        self._responses = Responses(
            memory=self._memory,
            conversations=self._conversations,
            teller=teller,
            writer=writer,
            clock=clock,
            settings=lambda: Settings(
                latency=self.latency, pictures_per_reply=self.pictures_per_reply
            ),
        )
        self._imaging = Imaging(
            teller=teller,
            writer=writer,
            uploads=self._files.content,
            clock=clock,
            latency=lambda: self.latency,
        )
        self._batches = Batches(
            clock=clock,
            fetch=self._files.content,
            keep=self._files.keep_output,
            carry_out=self._carry_out,
        )

    def handle(self, call: Call) -> Answer:
        """
        Answer a call. Whoever calls does the waiting that the answer's parts ask for.
        """
        fault = self._faults.take(call, streaming=_streams(call))
        self._hear(call, fault)
        try:
            with in_force(fault):
                answer = fault.instead(call) if fault.instead else self._serve(call, fault.ending)
        except RefusedError as refused:
            answer = refused.answer()
        answer = attrs.evolve(answer, headers={**self._headers(call), **answer.headers})
        return fault.bend(answer) if fault.bend else answer

    @property
    def calls(self) -> tuple[Heard, ...]:
        """
        Give the calls that came in, oldest first; only the latest are kept. The lines of a batch
        are among them, from when they are carried out.
        """
        with self._lock:
            return tuple(self._heard)

    def script(self, fault: Fault, *, times: int = 1) -> None:
        """
        Plan a fault for the next call, or calls, that it fits.
        """
        self._faults.plan(fault, times=times)

    def misbehave(
        self, rates: Mapping[str, float], *, seed: int = 0, method: str = "*", path: str = "*"
    ) -> None:
        """
        Let calls meet trouble by chance from now on, such as `{"429": 0.1, "hang": 0.01}`.

        Faults that are planned strike before. An empty mapping ends it.

        Args:
            rates: How often each kind strikes, from 0 to 1; together at most 1. The kinds are
                429, 429 hinted, quota, 500, 503, 529, reset before, reset within, reset after,
                hang, slow, cut, truncated, garbled, html, moderation, moderation item, unknown
                previous and late.
            seed: The same seed strikes the same calls, if they come in the same order.
            method: Only calls with this method.
            path: Only calls whose path fits this pattern, as in `fail_next`.

        Raises:
            ValueError: There is no such kind, or a rate is none.

        """
        odds = Odds(rates, seed=seed, method=method, path=path, clock=self._clock)
        self._faults.chance = odds.draw

    def fail_next(
        self,
        *,
        status: int,
        error: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        method: str = "*",
        path: str = "*",
        times: int = 1,
    ) -> None:
        """
        Answer the next call with an error.

        Args:
            status: The HTTP status.
            error: The error object; by default a plain one for the status.
            headers: Such as `retry-after`.
            method: Only calls with this method.
            path: Only calls whose path fits this pattern, `/v1` left out; alternatives are
                separated by `|`.
            times: How many calls get it.

        """
        body = error or {
            "message": HTTPStatus(status).phrase,
            "type": "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "requests",
            "param": None,
            "code": None,
        }

        def instead(_call: Call) -> Answer:
            return error_answer(status, body, headers)

        self.script(Fault(method=method, path=path, instead=instead), times=times)

    def refuse_next(self, text: str) -> None:
        """
        Let the model decline the next generation in words, with no picture.

        The Images API has no words; a call to it does not meet this.
        """
        self._end_next(Refused(text=text), path="/responses")

    def break_next(
        self, *, code: str = "server_error", message: str = "The server had an error."
    ) -> None:
        """
        Let the next generation fail after it was accepted: its response ends as `failed`, and
        its call to the Images API with status 500 or, when streamed, with an error event.
        """
        self._end_next(Broken(code=code, message=message))

    def block_next(
        self,
        *,
        stage: Literal["input", "output", "unknown"] = "output",
        categories: tuple[str, ...] = ("sexual",),
        as_item: bool = False,
    ) -> None:
        """
        Let moderation stop the next generation.

        Args:
            stage: What was objected to: the request, or the picture.
            categories: Why.
            as_item: Answer 200 with an image item that failed, instead of 400, where there are
                items: the Images API has none.

        """
        if as_item:
            self._end_next(Blocked(stage=stage, categories=categories))
            return
        error = blocked(stage, categories, str(uuid.uuid4()))
        self.fail_next(status=HTTPStatus.BAD_REQUEST, error=error, method="POST", path=GENERATIONS)

    def cut_stream_after(self, events: int) -> None:
        """
        Let the next stream stop silently after so many events.
        """
        self.script(Fault(streaming=True, bend=cut_after(events)))

    def pace_batches(
        self,
        *,
        looks: int = 2,
        end: End = "completed",
        done: int | None = None,
        backwards: bool = False,
    ) -> None:
        """
        Say how the batches that are made from now on get on. A batch that nobody looks at stands
        still, so that nobody has to wait for one.

        Args:
            looks: At which look a batch is done; until then it is in progress.
            end: How it ends: "completed", "expired" or "cancelled".
            done: How many of its lines are carried out, the first ones; None for all.
            backwards: Whether the lines of its files stand in the opposite order.

        """
        self._batches.pace = Pace(looks=looks, end=end, done=done, backwards=backwards)

    def forget(self) -> None:
        """
        Drop all responses and conversations, so that nothing can go on from them.
        """
        self._memory.clear()
        self._conversations.clear()

    def _end_next(self, ending: Ending, *, path: str = GENERATIONS) -> None:
        self.script(Fault(method="POST", path=path, ending=ending))

    def serves(self, call: Call) -> bool:
        """
        Tell whether there is what a call is for; a provider may go without.
        """
        return call.path.split("/")[1] not in self._unserved

    def _serve(self, call: Call, ending: Ending | None) -> Answer:
        self._authorize(call)
        rooms = call.path.split("/")[1:]
        if not self.serves(call):
            raise no_such_url(call.method, call.path)
        match rooms:
            case ["responses" | "images", *_]:
                return self._ask(call, ending)
            case ["conversations", *_]:
                return self._conversations.answer(call)
            case ["files", *_]:
                return self._files.answer(call)
            case ["batches", *_]:
                return self._batches.answer(call)
            case ["models", *names] if call.method == "GET":
                return show_models(names)
            case _:
                raise no_such_url(call.method, call.path)

    def _ask(self, call: Call, ending: Ending | None) -> Answer:
        room = self._responses if call.path.startswith("/responses") else self._imaging
        return room.answer(call, ending)

    def _carry_out(self, line: Line) -> Said:
        """
        Do what a line of a batch asks; planned faults strike it as they would strike a call.
        """
        call = Call(method=line.method, path=line.url.removeprefix("/v1"), body=dump(line.body))
        fault = self._faults.take_planned(call)
        self._hear(call, fault)
        try:
            with in_force(fault):
                answer = fault.instead(call) if fault.instead else self._ask(call, fault.ending)
        except RefusedError as refused:
            answer = refused.answer()
        body = line.answered(answer.status, whole(answer), f"req_{uuid.uuid4().hex}")
        return "output" if answer.status < HTTPStatus.BAD_REQUEST else "error", body

    def _authorize(self, call: Call) -> None:
        key = call.headers.get("authorization", "").removeprefix("Bearer").strip()
        if not key:
            raise no_key()
        if self._api_key is not None and key != self._api_key:
            raise wrong_key(key)

    def _hear(self, call: Call, fault: Fault) -> None:
        heard = Heard(
            method=call.method,
            path=call.path,
            query=types.MappingProxyType(dict(call.query)),
            headers=types.MappingProxyType(
                {name: value for name, value in call.headers.items() if name != "authorization"}
            ),
            body=_read_body(call),
            length=len(call.body),
            fault=fault.name,
        )
        with self._lock:
            self._heard.append(heard)
            while len(self._heard) > 1 and sum(h.length for h in self._heard) > _HEARD_BYTES:
                self._heard.popleft()

    def _headers(self, call: Call) -> dict[str, str]:
        draws = call.method == "POST" and call.path in DRAWING
        spent = self.latency if draws else 0.001
        headers = {
            "x-request-id": f"req_{uuid.uuid4().hex}",
            "openai-processing-ms": str(round(spent * 1000)),
            "openai-version": "2020-10-01",
            "openai-organization": "offline",
        }
        if call.path.startswith("/responses"):
            for kind, limit in (("requests", _MINUTE_LIMIT), ("tokens", _TOKEN_LIMIT)):
                headers[f"x-ratelimit-limit-{kind}"] = str(limit)
                headers[f"x-ratelimit-remaining-{kind}"] = str(limit - 1)
                headers[f"x-ratelimit-reset-{kind}"] = "6ms"
        return headers


def _streams(call: Call) -> bool:
    if call.method == "GET":
        return call.query.get("stream") == "true"
    with contextlib.suppress(RefusedError):
        return streams(call)
    return False


def _unserved(*, responses: bool, files: bool, batches: bool) -> frozenset[str]:
    there = {"responses": responses, "conversations": responses, "files": files, "batches": batches}
    return frozenset(room for room, is_there in there.items() if not is_there)


def _read_body(call: Call) -> Any:  # noqa: ANN401 - JSON is any
    multipart = call.headers.get("content-type", "").startswith("multipart/")
    with contextlib.suppress(ValueError, RefusedError):
        return read_form(call) if multipart else call.json
    return None
