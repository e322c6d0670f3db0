"""
The fake provider: it routes requests to their endpoints, records them and injects faults.
"""

import contextlib
import email.utils
import threading
import time
import types
import uuid
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import attrs

from imagesession._fake_openai import sketch as sketching
from imagesession._fake_openai.batches_endpoint import (
    BatchesEndpoint,
    BatchSpeed,
    End,
    Line,
    LineResult,
)
from imagesession._fake_openai.conversations_endpoint import ConversationsEndpoint
from imagesession._fake_openai.dialects import DIALECTS, Dialect
from imagesession._fake_openai.errors import RefusalError
from imagesession._fake_openai.faults import Ending, Fault, asks_for_picture, is_drawing
from imagesession._fake_openai.files_endpoint import FilesEndpoint, read_form
from imagesession._fake_openai.history import HistoryResolver
from imagesession._fake_openai.http import FakeRequest, FakeResponse, dump
from imagesession._fake_openai.images_endpoint import ImagesEndpoint, streams
from imagesession._fake_openai.memory import Memory, stored_for
from imagesession._fake_openai.models_endpoint import list_models
from imagesession._fake_openai.provenance_endpoint import check_provenance
from imagesession._fake_openai.rate_limit import RateLimit
from imagesession._fake_openai.recorder import RecordedRequest, RecordingMixin
from imagesession._fake_openai.render_cache import RenderCache, Sketcher
from imagesession._fake_openai.response_writer import ResponseWriter
from imagesession._fake_openai.responses_endpoint import ResponsesEndpoint
from imagesession._fake_openai.scripting import ScriptingMixin

_MAX_REQUESTS, _MAX_BYTES = 1024, 128 * 1024 * 1024
_MINUTE_LIMIT, _TOKEN_LIMIT = 10_000, 30_000_000
_FIXED = attrs.setters.frozen


@attrs.define(kw_only=True, slots=False, eq=False, repr=False)
class FakeOpenAI(ScriptingMixin, RecordingMixin):
    """
    Answer requests to OpenAI's API without a network: Responses that draw or analyze an image,
    Conversations, Images, Files, Batches, Models.

    It is thread-safe. The same prompts, context and seed give the same bytes. No prompt makes it
    fail; the `..._next` methods, `refuse` and `inject_faults` do.

    Attributes:
        latency: How many seconds a generation takes.
        seed: Another seed gives other images.
        clock: Returns the time in seconds since the epoch.
        api_key: The only key to accept; by default any key is.
        sketcher: Draws the images; by default the package `sketch`.
        responses: Whether there are Responses and Conversations; many compatible servers have
            the Images API alone.
        files: Whether there is the Files API.
        batches: Whether there is the Batch API, which few compatible servers have.
        retrieve_includes_image: Whether `GET /responses/{id}` has the image's bytes. The service
            is reported to deliver them only once, and to answer `"result": null` afterwards.
        conversation_items_include_image: Whether the items of a conversation have the bytes.
        poor_terminal_event: Whether the last event of a stream lists the image without its
            bytes, which came before in `response.output_item.done`.
        context_tokens: How many input tokens a request may have, with those of earlier turns;
            None for no limit.
        dialect: The server whose form of the protocol it speaks, by its name in `servers.toml`,
            such as "xai" or "localai".
        images_per_minute: How many images may be requested per minute; None for no limit. Beyond
            it the answer states the wait in words, as for accounts of tier 1; 0 never allows one.
        images_per_reply: How many image items a response has.

    """

    latency: float = 0.0
    seed: int = attrs.field(default=0, on_setattr=_FIXED)
    clock: Callable[[], float] = attrs.field(default=time.time, on_setattr=_FIXED)
    api_key: str | None = None
    sketcher: Sketcher | None = attrs.field(default=None, on_setattr=_FIXED)
    responses: bool = attrs.field(default=True, on_setattr=_FIXED)
    files: bool = attrs.field(default=True, on_setattr=_FIXED)
    batches: bool = attrs.field(default=True, on_setattr=_FIXED)
    retrieve_includes_image: bool = False
    conversation_items_include_image: bool = True
    poor_terminal_event: bool = False
    context_tokens: int | None = None
    dialect: str = attrs.field(default="openai", on_setattr=_FIXED)
    images_per_minute: int | None = None
    images_per_reply: int = attrs.field(default=1, init=False)

    def __attrs_post_init__(self) -> None:
        super().__init__()
        self._rate_limit = RateLimit(self.clock)
        self._dialect = DIALECTS.get(self.dialect, Dialect)()
        self._recorded: deque[RecordedRequest] = deque(maxlen=_MAX_REQUESTS)
        self._lock = threading.Lock()
        self._connect()

    def _connect(self) -> None:
        self._memory = Memory()
        self._files = FilesEndpoint(self.clock)
        pictures = RenderCache(self.sketcher or sketching)
        writer = ResponseWriter(pictures, self)
        resolver = HistoryResolver(
            pictures=pictures,
            uploads=self._files.content,
            earlier=self._memory.sketch,
            seed=self.seed,
        )
        self._conversations = ConversationsEndpoint(writer=writer, settings=self)
        self._responses = ResponsesEndpoint(
            memory=self._memory,
            conversations=self._conversations,
            resolver=resolver,
            writer=writer,
            settings=self,
        )
        self._images = ImagesEndpoint(resolver=resolver, writer=writer, settings=self)
        self._batches = BatchesEndpoint(
            clock=self.clock, files=self._files, execute=self._execute_line
        )

    def handle(self, call: FakeRequest) -> FakeResponse:
        """
        Answer a request. The caller waits for each `Delay` among the response's parts.
        """
        fault = self._faults.next_for(call, streaming=streams(call))
        self._record(call, fault)
        with stored_for(call.headers.get("openai-organization", "")):
            answer = self._respond(call, fault, self._serve)
        answer = attrs.evolve(answer, headers={**self._headers(call), **answer.headers})
        return fault.transform(answer) if fault.transform else answer

    def set_batch_speed(
        self,
        *,
        looks: int = 2,
        end: End = "completed",
        done: int | None = None,
        backwards: bool = False,
    ) -> None:
        """
        Set how new batches proceed. A batch proceeds only when it is retrieved, so that tests need
        not wait.

        Args:
            looks: After how many retrievals a batch ends; until then it is in progress.
            end: How it ends: "completed", "expired" or "cancelled".
            done: How many of its lines are executed, from the first; None for all.
            backwards: Whether the lines of its output files are in reverse order.

        """
        self._batches.speed = BatchSpeed(polls=looks, end=end, done=done, reverse=backwards)

    def reset_memory(self) -> None:
        """
        Drop all responses and conversations, so that no request can continue them.
        """
        self._memory.clear()
        self._conversations.clear()

    def _serve(self, call: FakeRequest, ending: Ending | None) -> FakeResponse:
        return self._dialect.serve(call, lambda request: self._serve_openai(request, ending))

    def _serve_openai(self, call: FakeRequest, ending: Ending | None) -> FakeResponse:
        self._authorize(call)
        segments = call.path.split("/")[1:]
        if not self.serves(call):
            raise RefusalError("no_such_url", method=call.method, path=call.path)
        match segments:
            case ["responses" | "images", *_]:
                return self._generate(call, ending)
            case ["conversations", *_]:
                return self._conversations.answer(call)
            case ["files", *_]:
                return self._files.answer(call)
            case ["batches", *_]:
                return self._batches.answer(call)
            case ["content_provenance_checks", *_]:
                return check_provenance(call, self.clock())
            case ["models", *names] if call.method == "GET":
                return list_models(names)
            case _:
                raise RefusalError("no_such_url", method=call.method, path=call.path)

    def _respond(
        self,
        call: FakeRequest,
        fault: Fault,
        serve: Callable[[FakeRequest, Ending | None], FakeResponse],
    ) -> FakeResponse:
        try:
            return fault.response(call) if fault.response else serve(call, fault.outcome)
        except RefusalError as refusal:
            return refusal.answer()

    def _generate(self, call: FakeRequest, ending: Ending | None) -> FakeResponse:
        if refused := self._refuse_feature(call):
            return refused
        if asks_for_picture(call):
            self._rate_limit.take(self.images_per_minute)
        endpoint = self._responses if call.path.startswith("/responses") else self._images
        return endpoint.answer(call, ending)

    def _execute_line(self, line: Line) -> LineResult:
        """
        Execute a line of a batch; queued faults apply to it as to any request.
        """
        call = FakeRequest(
            method=line.method, path=line.url.removeprefix("/v1"), body=dump(line.body)
        )
        fault = self._faults.take_planned(call)
        self._record(call, fault)
        answer = self._respond(call, fault, self._generate)
        content = b"".join(part for part in answer.parts if isinstance(part, bytes))
        body = line.result_line(answer.status, content, f"req_{uuid.uuid4().hex}")
        return "output" if answer.status < HTTPStatus.BAD_REQUEST else "error", body

    def _authorize(self, call: FakeRequest) -> None:
        key = call.headers.get("authorization", "").removeprefix("Bearer").strip()
        if not key:
            raise RefusalError("no_key")
        if self.api_key is not None and key != self.api_key:
            raise RefusalError("wrong_key", key=_mask_key(key))

    def _record(self, call: FakeRequest, fault: Fault) -> None:
        keys = {"authorization", "api-key"}
        headers = {name: text for name, text in call.headers.items() if name not in keys}
        received = RecordedRequest(
            method=call.method,
            path=call.path,
            query=types.MappingProxyType(dict(call.query)),
            headers=types.MappingProxyType(headers),
            body=_read_body(call),
            length=len(call.body),
            fault=fault.name,
        )
        with self._lock:
            self._recorded.append(received)
            while len(self._recorded) > 1 and sum(r.length for r in self._recorded) > _MAX_BYTES:
                self._recorded.popleft()

    def _headers(self, call: FakeRequest) -> dict[str, str]:
        draws = call.method == "POST" and is_drawing(call.path)
        seconds = self.latency if draws else 0.001
        headers = {
            "date": email.utils.formatdate(self.clock(), usegmt=True),
            "x-request-id": f"req_{uuid.uuid4().hex}",
            "openai-processing-ms": str(round(seconds * 1000)),
            "openai-version": "2020-10-01",
            "openai-organization": "offline",
        }
        if call.path.startswith("/responses"):
            for kind, limit in (("requests", _MINUTE_LIMIT), ("tokens", _TOKEN_LIMIT)):
                headers[f"x-ratelimit-limit-{kind}"] = str(limit)
                headers[f"x-ratelimit-remaining-{kind}"] = str(limit - 1)
                headers[f"x-ratelimit-reset-{kind}"] = "6ms"
        return headers


def _mask_key(key: str) -> str:
    hidden = len(key) - 8 - 4
    return "*" * len(key) if hidden <= 0 else f"{key[:8]}{'*' * hidden}{key[-4:]}"


def _read_body(call: FakeRequest) -> Any:  # noqa: ANN401 - JSON is any
    with contextlib.suppress(ValueError, RefusalError):
        return read_form(call) if call.is_form else call.json
    return None
