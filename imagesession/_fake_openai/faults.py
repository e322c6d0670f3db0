"""
Fault injection: a queue of faults, each for the next request that it matches, and after it random
faults, see `random_faults`.

A fault says which requests it matches, and does one of three things: it answers in place of the
provider (`response`), it sets how a generation ends (`outcome`), or it changes the provider's
response (`transform`).
"""

import fnmatch
import threading
from collections.abc import Callable, Iterator
from typing import TypeAlias, cast

import attrs

from imagesession._fake_openai.http import FakeRequest, FakeResponse, Json, Part

DRAWING = ("/responses", "/images/generations", "/images/edits")
# With a prefix, as Azure has them; OpenRouter has one endpoint for both.
GENERATIONS = "|".join((*DRAWING, *(f"/openai/*{path}" for path in DRAWING), "/images"))

ITEM_DONE = "response.output_item.done"


@attrs.frozen(kw_only=True)
class Refused:
    text: str


@attrs.frozen(kw_only=True)
class Blocked:
    stage: str
    categories: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Broken:
    code: str
    message: str


@attrs.frozen(kw_only=True)
class Scripted:
    """
    End a generation as usual, but with values that a test has chosen.
    """

    # The image's bytes; None lets the sketcher draw.
    image: bytes | None = attrs.field(default=None, repr=False)
    text: str | None = None  # the text of the message; None for the provider's own
    revised_prompt: str | None = None  # the revised prompt; None for the provider's own


Ending: TypeAlias = Refused | Blocked | Broken | Scripted


@attrs.frozen(kw_only=True)
class Fault:
    """
    One fault, and the requests that it matches.

    Attributes:
        method: A pattern for the request's method.
        path: A pattern for the request's path, without `/v1`; alternatives are separated by `|`.
        streaming: Only streamed responses, or only those that are not; None for both.
        match: Only requests for which it returns true.
        response: Returns the response, in place of the provider.
        outcome: How the generation that the request starts will end.
        transform: Changes the provider's response.
        name: The name that is recorded with the request.

    """

    method: str = "*"
    path: str = "*"
    streaming: bool | None = None
    match: Callable[[FakeRequest], bool] | None = None
    response: Callable[[FakeRequest], FakeResponse] | None = None
    outcome: Ending | None = None
    transform: Callable[[FakeResponse], FakeResponse] | None = None
    name: str | None = None

    def fits(self, call: FakeRequest, *, streaming: bool | None = None) -> bool:
        """
        Tell whether the fault matches a request; `streaming` is None if that does not matter.
        """
        return (
            (None in {streaming, self.streaming} or streaming == self.streaming)
            and fnmatch.fnmatchcase(call.method, self.method)
            and any(fnmatch.fnmatchcase(call.path, path) for path in self.path.split("|"))
            and (self.match is None or self.match(call))
        )


NO_FAULT = Fault()
FaultDraw: TypeAlias = Callable[[FakeRequest, bool], Fault]


class Faults:
    def __init__(self) -> None:
        self.draw: FaultDraw | None = None  # for requests that no queued fault matches
        self._waiting: list[Fault] = []
        self._lock = threading.Lock()

    def enqueue(self, fault: Fault, *, times: int = 1) -> None:
        with self._lock:
            self._waiting.extend([fault] * times)

    def next_for(self, call: FakeRequest, *, streaming: bool) -> Fault:
        planned = self._take(call, streaming=streaming)
        if planned is not None or self.draw is None:
            return planned or NO_FAULT
        return self.draw(call, streaming)

    def take_planned(self, call: FakeRequest) -> Fault:
        return self._take(call, streaming=False, connection=False) or NO_FAULT

    def _take(self, call: FakeRequest, *, streaming: bool, connection: bool = True) -> Fault | None:
        with self._lock:
            for index, fault in enumerate(self._waiting):
                fits = fault.fits(call, streaming=streaming)
                if fits and (connection or fault.transform is None):
                    return self._waiting.pop(index)
        return None


def asks_for_picture(call: FakeRequest) -> bool:
    return requests_picture(call.method, call.path, call.members)


def requests_picture(method: str, path: str, body: Json) -> bool:
    if method != "POST" or not is_drawing(path):
        return False
    return not path.endswith("/responses") or bool(image_tools(body))


def is_drawing(path: str) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in GENERATIONS.split("|"))


def image_tools(body: Json) -> list[Json]:
    return [tool for tool in objects(body.get("tools")) if tool.get("type") == "image_generation"]


def objects(value: object) -> list[Json]:
    members = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("Json", member) for member in members if isinstance(member, dict)]


def truncate_after(events: int | str) -> Callable[[FakeResponse], FakeResponse]:
    """
    Return a change of a response that ends its stream silently after a number of events, or after
    the first event of a type. Of `response.output_item.done` only an image's event counts.
    """
    count = 1 if isinstance(events, str) else events

    def first_parts(answer: FakeResponse) -> Iterator[Part]:
        try:
            left = count
            while left and (part := next(answer.parts, None)) is not None:
                yield part
                left -= isinstance(part, bytes) and _counts(part, events)
        finally:
            answer.close()

    return lambda answer: attrs.evolve(answer, parts=first_parts(answer))


def _counts(part: bytes, events: int | str) -> bool:
    if isinstance(events, int):
        return True
    named = part.startswith(b"event: %s\n" % events.encode())
    return named and (events != ITEM_DONE or b'"type":"image_generation_call"' in part)
