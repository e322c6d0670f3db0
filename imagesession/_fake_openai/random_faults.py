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
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias, cast

import attrs

from imagesession._fake_openai.errors import (
    blocked,
    error_answer,
    no_previous_response,
    no_such_response,
)
from imagesession._fake_openai.faults import (
    GENERATIONS,
    ITEM_DONE,
    NO_FAULT,
    Blocked,
    Fault,
    truncate_after,
)
from imagesession._fake_openai.http import (
    ConnectionReset,
    Delay,
    FakeRequest,
    FakeResponse,
    Json,
    Part,
)

_HINT_MS = 250
_LATE_SECONDS = 0.5
_FOREVER = 86_400.0
# A stream has some fifteen events, and a few more with partial images.
_MAX_EVENTS = 16
_PAGE = b"<!DOCTYPE html><html><title>Sign in to the network</title></html>"
_PICTURES = (b'"result":"', b'"b64_json":"')

Bend: TypeAlias = Callable[[FakeResponse], FakeResponse]
# Makes a fault from a number in [0, 1): its position in the response, as a share.
Maker: TypeAlias = Callable[[float], Fault]


def _error(status: int, type: str, code: str | None, message: str, **headers: str) -> Maker:
    error: Json = {"message": message, "type": type, "param": None, "code": code}
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def instead(_call: FakeRequest) -> FakeResponse:
        return error_answer(status, error, named)

    return lambda _share: Fault(response=instead)


def _failing(_share: float) -> Fault:
    error: Json = {
        "message": "The server had an error while processing your request.",
        "type": "server_error",
        "param": None,
        "code": "server_error",
    }

    def bend(answer: FakeResponse) -> FakeResponse:
        return _finished(answer, error_answer(500, error))

    return Fault(transform=bend)


def _finished(answer: FakeResponse, other: FakeResponse) -> FakeResponse:
    """
    Replace a response after the provider has done all its work.
    """

    def parts() -> Iterator[Part]:
        yield from (part for part in answer.parts if isinstance(part, Delay))
        yield from other.parts

    return attrs.evolve(other, parts=parts())


def _reset_before(_share: float) -> Fault:
    def bend(answer: FakeResponse) -> FakeResponse:
        return _finished(answer, FakeResponse(headers={}, parts=iter((ConnectionReset(),))))

    return Fault(transform=bend)


def _reset_within(share: float) -> Fault:
    def parts(answer: FakeResponse) -> Iterator[Part]:
        body, pauses = _join(answer)
        yield from pauses
        # At least one byte comes, and at least one does not.
        yield body[: max(1, min(int(len(body) * share), len(body) - 1))]
        yield ConnectionReset()

    return Fault(transform=_piecemeal(parts))


def _reset_after(_share: float) -> Fault:
    def parts(answer: FakeResponse) -> Iterator[Part]:
        yield from answer.parts
        yield ConnectionReset()

    return Fault(transform=_piecemeal(parts))


def _hang(_share: float) -> Fault:
    def parts(answer: FakeResponse) -> Iterator[Part]:
        yield Delay(_FOREVER)
        yield from answer.parts

    return Fault(transform=lambda answer: attrs.evolve(answer, parts=parts(answer)))


def _slow(_share: float) -> Fault:
    def parts(answer: FakeResponse) -> Iterator[Part]:
        for part in answer.parts:
            if isinstance(part, bytes):
                for number in range(len(part)):
                    yield part[number : number + 1]
                    yield Delay(1.0)
            else:
                yield part

    return Fault(transform=_piecemeal(parts))


def _piecemeal(parts: Callable[[FakeResponse], Iterator[Part]]) -> Bend:
    def bend(answer: FakeResponse) -> FakeResponse:
        return attrs.evolve(answer, parts=parts(answer), piecemeal=True)

    return bend


def _join(answer: FakeResponse) -> tuple[bytes, list[Delay]]:
    parts = list(answer.parts)
    body = b"".join(part for part in parts if isinstance(part, bytes))
    return body, [part for part in parts if isinstance(part, Delay)]


def _cut(share: float) -> Fault:
    return Fault(streaming=True, transform=truncate_after(int(share * _MAX_EVENTS)))


def _cut_after_picture(_share: float) -> Fault:
    return Fault(streaming=True, transform=truncate_after(ITEM_DONE))


def _truncated(share: float) -> Fault:
    def parts(answer: FakeResponse) -> Iterator[Part]:
        body, pauses = _join(answer)
        yield from pauses
        yield body[: int(len(body) * share)]

    def bend(answer: FakeResponse) -> FakeResponse:
        return attrs.evolve(answer, parts=parts(answer))

    return Fault(streaming=False, transform=bend)


def _garbled(share: float) -> Fault:
    def bend(answer: FakeResponse) -> FakeResponse:
        return attrs.evolve(answer, parts=(_corrupt(part, share) for part in answer.parts))

    return Fault(transform=bend)


def _corrupt(part: Part, share: float) -> Part:
    """
    Put an invalid character into the base64 of each image.
    """
    if not isinstance(part, bytes):
        return part
    for start in _PICTURES:
        at = part.find(start)
        while at >= 0:
            at += len(start)
            end = part.find(b'"', at)
            spot = at + int((end - at) * share)
            part = part[:spot] + b"%" + part[spot + 1 :]
            at = part.find(start, end)
    return part


def _html(_share: float) -> Fault:
    def instead(_call: FakeRequest) -> FakeResponse:
        return FakeResponse(
            headers={"content-type": "text/html; charset=utf-8"}, parts=iter((_PAGE,))
        )

    return Fault(response=instead)


def _moderation(share: float) -> Fault:
    def instead(_call: FakeRequest) -> FakeResponse:
        return error_answer(400, blocked("input", ("violence",), f"{share:.12f}"))

    return Fault(method="POST", path=GENERATIONS, response=instead)


def _moderation_item(_share: float) -> Fault:
    ending = Blocked(stage="output", categories=("sexual",))
    return Fault(method="POST", path=GENERATIONS, outcome=ending)


def _unknown_previous(_share: float) -> Fault:
    def instead(call: FakeRequest) -> FakeResponse:
        return no_previous_response(_previous(call)).answer()

    def continues(call: FakeRequest) -> bool:
        return bool(_previous(call))

    return Fault(method="POST", path="/responses", match=continues, response=instead)


def _previous(call: FakeRequest) -> str:
    try:
        body: object = call.json
    except ValueError:
        return ""
    return (
        str(cast("Json", body).get("previous_response_id") or "") if isinstance(body, dict) else ""
    )


def _late(_share: float) -> Fault:
    def instead(call: FakeRequest) -> FakeResponse:
        return no_such_response(call.path.rpartition("/")[2]).answer()

    return Fault(method="GET", path="/responses/*", response=instead)


FAULT_KINDS: Final[Mapping[str, Maker]] = MappingProxyType(
    {
        "429": _error(429, "requests", "rate_limit_exceeded", "Rate limit reached."),
        "429-retry-after": _error(
            429,
            "requests",
            "rate_limit_exceeded",
            f"Rate limit reached. Please try again in {_HINT_MS}ms.",
            retry_after_ms=str(_HINT_MS),
        ),
        "quota": _error(
            429,
            "insufficient_quota",
            "insufficient_quota",
            "You exceeded your current quota, please check your plan and billing details.",
        ),
        "500": _failing,
        "503": _error(503, "service_unavailable_error", "server_is_overloaded", "Overloaded."),
        "529": _error(529, "overloaded_error", None, "Overloaded."),
        "reset-before-response": _reset_before,
        "reset-within-response": _reset_within,
        "reset-after-response": _reset_after,
        "no-response": _hang,
        "slow": _slow,
        "cut": _cut,
        "cut-after-image": _cut_after_picture,
        "truncated": _truncated,
        "garbled": _garbled,
        "html": _html,
        "moderation": _moderation,
        "moderation-item": _moderation_item,
        "unknown-previous-response": _unknown_previous,
        "late": _late,
    }
)
"""Every kind of fault, by name."""


class FaultRates:
    """
    Draw random faults for requests.
    """

    def __init__(
        self,
        rates: Mapping[str, float],
        *,
        seed: int = 0,
        method: str = "*",
        path: str = "*",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Set the rates.

        Args:
            rates: The probability of each kind, from 0 to 1; together at most 1.
            seed: The same seed hits the same requests, if they come in the same order.
            method: Only requests whose method matches this pattern.
            path: Only requests whose path, without `/v1`, matches this pattern; alternatives are
                separated by `|`.
            clock: Returns the time in seconds since the epoch.

        Raises:
            ValueError: A kind is unknown, or a rate is out of range.

        """
        self._rates = checked(rates)
        self._where = Fault(method=method, path=path)
        self._random = random.Random(seed)  # noqa: S311 - must be reproducible
        self._clock = clock
        self._hidden: dict[str, float] = {}
        self._lock = threading.Lock()

    def draw(self, call: FakeRequest, streaming: bool) -> Fault:  # noqa: FBT001 - the signature of FaultDraw
        """
        Draw the fault that a request meets, if any.
        """
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
        """
        Tell whether a response is hidden; only one that was never requested before can become so.
        """
        if call.method != "GET" or not fnmatch.fnmatchcase(call.path, "/responses/*"):
            return False
        now = self._clock()
        until = self._hidden.setdefault(call.path, now + _LATE_SECONDS if newly else now)
        return now < until


def checked(rates: Mapping[str, float]) -> dict[str, float]:
    """
    Return valid rates by kind.

    Raises:
        ValueError: A kind is unknown, or a rate is out of range.

    """
    for kind, rate in rates.items():
        if kind not in FAULT_KINDS:
            raise ValueError(f"Unknown fault {kind!r}; there are {', '.join(FAULT_KINDS)}.")
        if not 0 <= rate <= 1:  # a NaN neither
            raise ValueError(f"The rate {rate!r} of {kind!r} is not from 0 to 1.")
    if math.fsum(rates.values()) > 1:
        raise ValueError("The rates add up to more than 1.")
    return dict(rates)
