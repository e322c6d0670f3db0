"""
Making the provider fail on purpose: a queue of faults, each for the next call it fits; and behind
it faults that strike by chance, see `misbehaving`.

A fault says which call it is for, and does one of three things:
it answers `instead` of the provider, it sets how a generation ends (`ending`),
or it bends the answer that the provider gave (`bend`).
"""

import contextlib
import fnmatch
import threading
from collections.abc import Callable, Iterator
from typing import TypeAlias, cast

import attrs

from imagesession._fake_openai.http import FakeRequest, FakeResponse, Part

DRAWING = ("/responses", "/images/generations", "/images/edits")
GENERATIONS = "|".join(DRAWING)

ITEM_DONE = "response.output_item.done"


@attrs.frozen(kw_only=True)
class Refused:
    """
    End a generation with a message in which the model declines, and no picture.
    """

    text: str


@attrs.frozen(kw_only=True)
class Blocked:
    """
    End a generation with an image item that moderation made fail.
    """

    stage: str
    categories: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Broken:
    """
    End a generation with a failed response.
    """

    code: str
    message: str


Ending: TypeAlias = Refused | Blocked | Broken


@attrs.frozen(kw_only=True)
class Fault:
    """
    Describe one planned failure.

    Attributes:
        method: A pattern for the call's method.
        path: A pattern for the call's path, `/v1` left out; alternatives are separated by `|`.
        streaming: Only answers that stream, or only those that do not.
        when: Only calls for which it is true.
        instead: Gives the answer; the provider is not asked.
        ending: How the generation that the call starts will end.
        bend: Changes the provider's answer.
        name: What it is called, for whoever looks at the calls later.

    """

    method: str = "*"
    path: str = "*"
    streaming: bool | None = None
    when: Callable[[FakeRequest], bool] | None = None
    instead: Callable[[FakeRequest], FakeResponse] | None = None
    ending: Ending | None = None
    bend: Callable[[FakeResponse], FakeResponse] | None = None
    name: str | None = None

    def fits(self, call: FakeRequest, *, streaming: bool | None = None) -> bool:
        """
        Tell whether the fault is for this call.

        Args:
            call: What came in.
            streaming: Whether its answer streams; None for whichever.

        """
        either = None in {streaming, self.streaming}
        return (either or streaming == self.streaming) and self._fits(call)

    def _fits(self, call: FakeRequest) -> bool:
        return (
            fnmatch.fnmatchcase(call.method, self.method)
            and any(fnmatch.fnmatchcase(call.path, path) for path in self.path.split("|"))
            and (self.when is None or self.when(call))
        )


NO_FAULT = Fault()
Chance: TypeAlias = Callable[[FakeRequest, bool], Fault]


def no_random_fault(_call: FakeRequest, _streaming: bool) -> Fault:  # noqa: FBT001 - a plain function's face
    """
    Let no fault strike by chance.
    """
    return NO_FAULT


class Faults:
    """
    Keep planned failures until their calls come.

    Attributes:
        chance: Draws what happens to a call for which nothing is planned.

    """

    def __init__(self) -> None:
        self.chance: Chance = no_random_fault
        self._waiting: list[Fault] = []
        self._lock = threading.Lock()

    def enqueue(self, fault: Fault, *, times: int = 1) -> None:
        """
        Add a fault for the next call, or calls, that it fits.
        """
        with self._lock:
            self._waiting.extend([fault] * times)

    def next_for(self, call: FakeRequest, *, streaming: bool) -> Fault:
        """
        Take the first fault that fits; each call meets one at most.
        """
        planned = self._take(call, streaming=streaming)
        return self.chance(call, streaming) if planned is None else planned

    def take_planned(self, call: FakeRequest) -> Fault:
        """
        Take the first fault that fits and is not one of the connection; none strikes by chance.
        """
        return self._take(call, streaming=False, bent=False) or NO_FAULT

    def _take(self, call: FakeRequest, *, streaming: bool, bent: bool = True) -> Fault | None:
        with self._lock:
            for index, fault in enumerate(self._waiting):
                if fault.fits(call, streaming=streaming) and (bent or fault.bend is None):
                    return self._waiting.pop(index)
        return None


def asks_for_picture(call: FakeRequest) -> bool:
    """
    Tell whether a call asks for a picture, which is what a provider bills.
    """
    if call.method != "POST" or call.path not in DRAWING:
        return False
    return call.path != "/responses" or "image_generation" in _tools(call)


def _tools(call: FakeRequest) -> list[object]:
    """
    Name the types of the tools in a request; what is no request has none.
    """
    with contextlib.suppress(ValueError, AttributeError, TypeError, KeyError):
        tools = cast("list[dict[str, object]]", call.json["tools"])
        return [tool.get("type") for tool in tools]
    return []


def truncate_after(events: int | str) -> Callable[[FakeResponse], FakeResponse]:
    """
    Make a bend that ends a stream silently after so many events, or after the first of a type. An
    item that is done counts only if it is a picture.
    """

    def bend(answer: FakeResponse) -> FakeResponse:
        if isinstance(events, str):
            return attrs.evolve(answer, parts=_through(answer, events))
        return attrs.evolve(answer, parts=_first(answer, events))

    return bend


def _through(answer: FakeResponse, event: str) -> Iterator[Part]:
    try:
        for part in answer.parts:
            yield part
            if isinstance(part, bytes) and _is_event(part, event):
                return
    finally:
        answer.close()


def _is_event(part: bytes, event: str) -> bool:
    named = part.startswith(b"event: %s\n" % event.encode())
    return named and (event != ITEM_DONE or b'"type":"image_generation_call"' in part)


def _first(answer: FakeResponse, events: int) -> Iterator[Part]:
    try:
        left = events
        while left and (part := next(answer.parts, None)) is not None:
            yield part
            left -= isinstance(part, bytes)
    finally:
        answer.close()
