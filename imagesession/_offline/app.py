"""
The provider itself: it takes calls, hands them to their rooms, remembers and fails as told.
"""

import contextlib
import threading
import time
import types
import uuid
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import attrs

from imagesession._offline import sketch as sketching
from imagesession._offline.batches import Batches, End, Pace, Said, whole
from imagesession._offline.conversations import Conversations
from imagesession._offline.errors import RefusedError, no_key, no_such_url, wrong_key
from imagesession._offline.exchange import Answer, Call, dump
from imagesession._offline.failing import Failing
from imagesession._offline.faults import DRAWING, Ending, Fault, Faults
from imagesession._offline.files import Files, read_form
from imagesession._offline.heard import Heard, Remembering
from imagesession._offline.imaging import Imaging
from imagesession._offline.lines import Line
from imagesession._offline.models import show_models
from imagesession._offline.orders import streams
from imagesession._offline.pictures import Painter, Pictures
from imagesession._offline.records import Memory
from imagesession._offline.refusing import Refusals
from imagesession._offline.responses import Responses
from imagesession._offline.scripting import (
    ScriptedPainter,
    ScriptedTeller,
    ScriptedWriter,
    Scripting,
    in_force,
)
from imagesession._offline.settings import Settings

_HEARD_CALLS, _HEARD_BYTES = 1024, 128 * 1024 * 1024
_MINUTE_LIMIT, _TOKEN_LIMIT = 10_000, 30_000_000


class OfflineProvider(Failing, Scripting, Remembering):
    """
    Speak OpenAI's wire without a network: Responses that draw or report findings about a picture,
    Conversations, Images, Files, Batches, Models.

    It is safe to use from many threads. The same prompts, context and seed give the same bytes.
    Nothing in a prompt makes it fail; the `..._next` methods, `refuse` and `misbehave` do.

    Attributes:
        latency: How many seconds a generation takes.
        pictures_per_reply: How many image items a reply has.
        retrieve_includes_image: Whether `GET /responses/{id}` has the picture's bytes. The
            service is said to deliver them once, so that a look has `"result": null`.
        conversation_items_include_image: Whether the items of a conversation have them.
        poor_terminal_event: Whether the last event of a stream lists the picture without its
            bytes, which came before in `response.output_item.done`.
        context_tokens: How many input tokens a request may have, those of earlier turns
            included; None for any number.

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
        retrieve_includes_image: bool = False,
        conversation_items_include_image: bool = True,
        poor_terminal_event: bool = False,
        context_tokens: int | None = None,
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
            retrieve_includes_image: As the attribute.
            conversation_items_include_image: As the attribute.
            poor_terminal_event: As the attribute.
            context_tokens: As the attribute.

        """
        self.latency = latency
        self.pictures_per_reply = 1
        self.retrieve_includes_image = retrieve_includes_image
        self.conversation_items_include_image = conversation_items_include_image
        self.poor_terminal_event = poor_terminal_event
        self.context_tokens = context_tokens
        self._api_key = api_key
        self._unserved = _unserved(responses=responses, files=files, batches=batches)
        self._clock = clock
        self._faults = Faults()
        self._refusals = Refusals()
        self._memory = Memory()
        self._files = Files(clock=clock)
        self._heard: deque[Heard] = deque(maxlen=_HEARD_CALLS)
        self._lock = threading.Lock()
        brush = ScriptedPainter(sketching if painter is None else painter)
        pictures = Pictures(brush)
        writer = ScriptedWriter(painter=brush, pictures=pictures)
        self._conversations = Conversations(writer=writer, clock=clock, settings=self._settings)
        uploads, earlier = self._files.content, self._memory.story
        teller = ScriptedTeller(
            painter=brush, pictures=pictures, uploads=uploads, earlier=earlier, seed=seed
        )
        self._responses = Responses(
            memory=self._memory,
            conversations=self._conversations,
            teller=teller,
            writer=writer,
            clock=clock,
            settings=self._settings,
        )
        self._imaging = Imaging(
            teller=teller,
            writer=writer,
            uploads=uploads,
            clock=clock,
            latency=lambda: self.latency,
        )
        self._batches = Batches(
            clock=clock,
            fetch=uploads,
            keep=self._files.keep_output,
            carry_out=self._carry_out,
        )

    def handle(self, call: Call) -> Answer:
        """
        Answer a call. Whoever calls does the waiting that the answer's parts ask for.
        """
        fault = self._faults.take(call, streaming=streams(call))
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

    def _settings(self) -> Settings:
        return Settings(
            latency=self.latency,
            pictures_per_reply=self.pictures_per_reply,
            retrieve_includes_image=self.retrieve_includes_image,
            conversation_items_include_image=self.conversation_items_include_image,
            poor_terminal_event=self.poor_terminal_event,
            context_tokens=self.context_tokens,
        )

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
        refused = self._refusals.answer(call)
        if refused is not None:
            return refused
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


def _unserved(*, responses: bool, files: bool, batches: bool) -> frozenset[str]:
    there = {"responses": responses, "conversations": responses, "files": files, "batches": batches}
    return frozenset(room for room, is_there in there.items() if not is_there)


def _read_body(call: Call) -> Any:  # noqa: ANN401 - JSON is any
    multipart = call.headers.get("content-type", "").startswith("multipart/")
    with contextlib.suppress(ValueError, RefusedError):
        return read_form(call) if multipart else call.json
    return None
