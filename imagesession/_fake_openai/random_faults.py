"""
Random faults: the rates of each kind, drawn from a seed.

Faults of the kinds marked * come after the provider has done its work, so the request may have been
billed.

* `429`: too many requests. `429-retry-after` has `retry-after-ms: 250`.
* `quota`: the account has no credit.
* `500` *: the server fails. `503`, `529`: it is overloaded.
* `reset-before-response` *: the connection is reset before the first byte of the response.
* `reset-within-response` *: it is reset in the middle of the body.
* `reset-after-response` *: it is reset after the last byte of the body, before its end is known.
* `no-response` *: the response never arrives.
* `slow` *: it arrives at one byte a second.
* `cut` *: a stream ends silently after some event.
* `cut-after-image` *: it ends silently after the event with the image.
* `truncated` *: the end of the body is missing, without an error.
* `garbled` *: the image in the body is not valid base64.
* `html`: a proxy answers with an HTML page and status 200.
* `moderation`: the request is blocked; `moderation-item`: the image is.
* `unknown-previous-response`: the response to continue is not found.
* `late`: a new response is not found by its id for half a second.

A request to which a kind cannot apply is answered as usual: a plain response cannot be cut.
"""

import fnmatch
import math
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

import attrs

from imagesession._fake_openai.errors import RefusalError, blocked
from imagesession._fake_openai.faults import (
    GENERATIONS,
    ITEM_DONE,
    NO_FAULT,
    Blocked,
    Fault,
    truncate_after,
)
from imagesession._fake_openai.http import ConnectionReset, Delay, FakeRequest, FakeResponse, Part

_HINT_MS = 250
_LATE_SECONDS = 0.5
_FOREVER = 86_400.0
# A stream has some fifteen events, and a few more with partial images.
_MAX_EVENTS = 16
_PAGE = b"<!DOCTYPE html><html><title>Sign in to the network</title></html>"
_PICTURES = (b'"result":"', b'"b64_json":"')

# Makes a fault from a number in [0, 1): its position in the response, as a share.
Maker: TypeAlias = Callable[[float], Fault]


def _error(name: str, headers: Mapping[str, str] | None = None, **facts: str) -> Maker:
    error = RefusalError(name, **facts)
    return lambda _share: Fault(response=lambda _call: error.answer(headers))


def _after_work(make: Callable[[], FakeResponse]) -> Maker:
    def transform(answer: FakeResponse) -> FakeResponse:
        other = make()

        def parts() -> Iterator[Part]:
            yield from (part for part in answer.parts if isinstance(part, Delay))
            yield from other.parts

        return attrs.evolve(other, parts=parts())

    return lambda _share: Fault(transform=transform)


def _rewrite(
    parts: Callable[[FakeResponse, float], Iterator[Part]],
    *,
    piecemeal: bool = False,
    streaming: bool | None = None,
) -> Maker:
    def make(share: float) -> Fault:
        def transform(answer: FakeResponse) -> FakeResponse:
            return attrs.evolve(answer, parts=parts(answer, share), piecemeal=piecemeal)

        return Fault(streaming=streaming, transform=transform)

    return make


def _reset_within(answer: FakeResponse, share: float) -> Iterator[Part]:
    body, pauses = _join(answer)
    yield from pauses
    # At least one byte comes, and at least one does not.
    yield body[: max(1, min(int(len(body) * share), len(body) - 1))]
    yield ConnectionReset()


def _reset_after(answer: FakeResponse, _share: float) -> Iterator[Part]:
    yield from answer.parts
    yield ConnectionReset()


def _hang(answer: FakeResponse, _share: float) -> Iterator[Part]:
    yield Delay(_FOREVER)
    yield from answer.parts


def _slow(answer: FakeResponse, _share: float) -> Iterator[Part]:
    for part in answer.parts:
        if isinstance(part, bytes):
            for number in range(len(part)):
                yield part[number : number + 1]
                yield Delay(1.0)
        else:
            yield part


def _truncated(answer: FakeResponse, share: float) -> Iterator[Part]:
    body, pauses = _join(answer)
    yield from pauses
    yield body[: int(len(body) * share)]


def _join(answer: FakeResponse) -> tuple[bytes, list[Delay]]:
    parts = list(answer.parts)
    body = b"".join(part for part in parts if isinstance(part, bytes))
    return body, [part for part in parts if isinstance(part, Delay)]


def _garbled(answer: FakeResponse, share: float) -> Iterator[Part]:
    for part in answer.parts:
        yield _corrupt(part, share) if isinstance(part, bytes) else part


def _corrupt(part: bytes, share: float) -> bytes:
    for start in _PICTURES:
        at = part.find(start)
        while at >= 0:
            at += len(start)
            end = part.find(b'"', at)
            spot = at + int((end - at) * share)
            part = part[:spot] + b"%" + part[spot + 1 :]
            at = part.find(start, end)
    return part


def _cut(events: int | str) -> Fault:
    return Fault(streaming=True, transform=truncate_after(events))


def _page(_call: FakeRequest) -> FakeResponse:
    headers = {"content-type": "text/html; charset=utf-8"}
    return FakeResponse(headers=headers, parts=iter((_PAGE,)))


def _moderation(share: float) -> Fault:
    error = blocked("input", ("violence",), f"{share:.12f}")
    return Fault(method="POST", path=GENERATIONS, response=lambda _call: error.answer())


def _previous(call: FakeRequest) -> str:
    return str(call.members.get("previous_response_id") or "")


def _without_previous(call: FakeRequest) -> FakeResponse:
    return RefusalError("no_previous_response", id=_previous(call)).answer()


def _not_found(call: FakeRequest) -> FakeResponse:
    return RefusalError("no_such_response", id=call.path.rpartition("/")[2]).answer()


_BLOCKED = Blocked(stage="output", categories=("sexual",))
FAULT_KINDS: Final[Mapping[str, Maker]] = MappingProxyType(
    {
        "429": _error("rate_limit", advice=""),
        "429-retry-after": _error(
            "rate_limit",
            {"retry-after-ms": str(_HINT_MS)},
            advice=f" Please try again in {_HINT_MS}ms.",
        ),
        "quota": _error("quota"),
        "500": _after_work(RefusalError("failing").answer),
        "503": _error("overloaded_503"),
        "529": _error("overloaded_529"),
        "reset-before-response": _after_work(
            lambda: FakeResponse(headers={}, parts=iter((ConnectionReset(),)))
        ),
        "reset-within-response": _rewrite(_reset_within, piecemeal=True),
        "reset-after-response": _rewrite(_reset_after, piecemeal=True),
        "no-response": _rewrite(_hang),
        "slow": _rewrite(_slow, piecemeal=True),
        "cut": lambda share: _cut(int(share * _MAX_EVENTS)),
        "cut-after-image": lambda _share: _cut(ITEM_DONE),
        "truncated": _rewrite(_truncated, streaming=False),
        "garbled": _rewrite(_garbled),
        "html": lambda _share: Fault(response=_page),
        "moderation": _moderation,
        "moderation-item": lambda _share: Fault(method="POST", path=GENERATIONS, outcome=_BLOCKED),
        "unknown-previous-response": lambda _share: Fault(
            method="POST",
            path="/responses",
            match=lambda call: bool(_previous(call)),
            response=_without_previous,
        ),
        "late": lambda _share: Fault(method="GET", path="/responses/*", response=_not_found),
    }
)
"""Every kind of fault, by name."""


class FaultRates:
    def __init__(
        self,
        rates: Mapping[str, float],
        *,
        seed: int,
        method: str,
        path: str,
        clock: Callable[[], float],
    ) -> None:
        self._rates = checked(rates)
        self._where = Fault(method=method, path=path)
        self._random = random.Random(seed)  # noqa: S311 - must be reproducible
        self._clock = clock
        self._hidden: dict[str, float] = {}
        self._lock = threading.Lock()

    def draw(self, call: FakeRequest, streaming: bool) -> Fault:  # noqa: FBT001 - the signature of FaultDraw
        if not self._where.fits(call):
            return NO_FAULT
        with self._lock:
            number, share = self._random.random(), self._random.random()
            kind = self._draw_kind(number)
            if self._is_hidden(call, newly=kind == "late"):
                kind = "late"
        if kind is None:
            return NO_FAULT
        fault = attrs.evolve(FAULT_KINDS[kind](share), name=kind)
        return fault if fault.fits(call, streaming=streaming) else NO_FAULT

    def _draw_kind(self, number: float) -> str | None:
        for kind, rate in self._rates.items():
            number -= rate
            if number < 0:
                return kind
        return None

    def _is_hidden(self, call: FakeRequest, *, newly: bool) -> bool:
        # Only a response that was never requested before can become hidden.
        if call.method != "GET" or not fnmatch.fnmatchcase(call.path, "/responses/*"):
            return False
        now = self._clock()
        until = self._hidden.setdefault(call.path, now + _LATE_SECONDS if newly else now)
        return now < until


def checked(rates: Mapping[str, float]) -> dict[str, float]:
    for kind, rate in rates.items():
        if kind not in FAULT_KINDS:
            raise ValueError(f"Unknown fault {kind!r}; there are {', '.join(FAULT_KINDS)}.")
        if not 0 <= rate <= 1:  # a NaN neither
            raise ValueError(f"The rate {rate!r} of {kind!r} is not from 0 to 1.")
    if math.fsum(rates.values()) > 1:
        raise ValueError("The rates add up to more than 1.")
    return dict(rates)
