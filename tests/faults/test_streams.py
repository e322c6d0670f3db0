"""
A background stream is cut at every position, in two ways: the image is received unchanged, and was
requested once.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from imagesession._engine import transmit
from imagesession.errors import OutcomeUnknownError, StreamInterruptedError
from imagesession.testing import ConnectionReset, FakeOpenAI, FakeResponse, Fault
from tests.conftest import MakeStudio
from tests.faults.tiny import picture_of, tiny_provider
from tests.sent import posts

PROMPT = "a teapot"
MANY = pytest.mark.parametrize(
    "places", [8, pytest.param(200, marks=pytest.mark.faults)]
)  # fmt: skip


def bending(parts: Callable[[FakeResponse], Iterator[Any]]) -> Fault:
    """
    Return a fault that changes the next stream.
    """
    return Fault(streaming=True, transform=lambda answer: attrs.evolve(answer, parts=parts(answer)))


def cut_at(position: int, *, broken: bool) -> Fault:
    """
    Return a fault that cuts the next stream.

    Args:
        position: The number of bytes before the cut.
        broken: Whether the connection breaks there; else the stream ends as if it were complete.
    """

    def parts(answer: FakeResponse) -> Iterator[Any]:
        left = position
        for part in answer.parts:
            if isinstance(part, bytes):
                yield part[:left]
                left -= len(part)
                if left <= 0:
                    break
        if broken:
            yield ConnectionReset()

    return bending(parts)


def listen(studio: Any, prompt: str = PROMPT) -> bytes:
    """
    Read a stream to the end, and return the image's bytes.
    """
    *_, image = studio.stream(prompt, partial_images=2)
    return bytes(image.bytes)


def event_ends(studio: Any, provider: FakeOpenAI) -> list[int]:
    """
    Return the positions of the ends of a stream's events, in bytes.
    """
    ends: list[int] = []

    def parts(answer: FakeResponse) -> Iterator[Any]:
        for part in answer.parts:
            if isinstance(part, bytes):
                ends.append((ends[-1] if ends else 0) + len(part))
            yield part

    provider.enqueue_fault(bending(parts))
    listen(studio)
    return ends


def check_cut(studio: Any, provider: FakeOpenAI, position: int, first: int) -> None:
    """
    Cut a stream and check the outcome.

    Args:
        studio: The studio.
        provider: The provider.
        position: The number of bytes before the cut.
        first: The size of the first event in bytes; without it the response id is not known.
    """
    for broken in (False, True):
        before = len(posts(provider))
        provider.enqueue_fault(cut_at(position, broken=broken))
        try:
            assert listen(studio) == picture_of(PROMPT)
        except OutcomeUnknownError:
            # An event is complete once the line after it has begun.
            assert position < first
        assert len(posts(provider)) == before + 1


@pytest.fixture
def drawing(monkeypatch: pytest.MonkeyPatch) -> FakeOpenAI:
    """
    A provider of tiny images that records many requests.
    """
    monkeypatch.setattr("imagesession._fake_openai.app._MAX_REQUESTS", 16_384)
    return tiny_provider()


def test_cut_after_every_event(
    make_studio: MakeStudio, tmp_path: Path, drawing: FakeOpenAI
) -> None:
    """
    If a stream is cut between any two events, the image is received unchanged.
    """
    studio = make_studio(tmp_path, provider=drawing)
    first, *ends = event_ends(studio, drawing)
    for position in (first, *ends):
        check_cut(studio, drawing, position, first)


@MANY
def test_cut_at_any_byte(
    make_studio: MakeStudio, tmp_path: Path, drawing: FakeOpenAI, places: int
) -> None:
    """
    If a stream is cut within an event, the image is received unchanged; before the end of the first
    event, the outcome is reported as unknown.
    """
    studio = make_studio(tmp_path, provider=drawing)
    first, *_, whole = event_ends(studio, drawing)
    chance = random.Random(places)  # noqa: S311 - it is to be the same every time
    for position in (0, 1, first - 1, *(chance.randrange(whole) for _ in range(places))):
        check_cut(studio, drawing, position, first)


def test_garbled_stream_is_looked_up(
    make_studio: MakeStudio, tmp_path: Path, drawing: FakeOpenAI
) -> None:
    """
    If a stream garbles its image, the image is looked up.
    """
    studio = make_studio(tmp_path, provider=drawing)
    drawing.inject_faults({"garbled": 1.0}, method="POST")
    assert listen(studio) == picture_of(PROMPT)
    assert len(posts(drawing)) == 1


def ending_early(changes: dict[str, Any], *, cut: bool) -> Fault:
    """
    Return a fault that sends the last event of the next stream after its first one, with changes to
    its response; and then the rest, or nothing.
    """

    def parts(answer: FakeResponse) -> Iterator[Any]:
        first, *rest = [part for part in answer.parts if isinstance(part, bytes)]
        head, line = rest[-1].split(b"data: ", 1)
        event = json.loads(line)
        event["response"] |= changes
        yield from (first, head + b"data: " + json.dumps(event).encode() + b"\n\n")
        yield from () if cut else rest

    return bending(parts)


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {"output": []},
        {"output": None, "status": "failed"},
        {"output": [{"type": "image_generation_call", "id": "ig_1", "result": "AAAA"}]},
        {"output": [{"type": "image_generation_call", "id": "ig_1", "status": "completed"}]},
    ],
    ids=["empty", "failed", "unreadable", "withheld"],
)
def test_damaged_last_event_that_comes_early_costs_no_image(
    make_studio: MakeStudio,
    tmp_path: Path,
    drawing: FakeOpenAI,
    changes: dict[str, Any],
    cut: bool,  # noqa: FBT001 - it is a parameter of the test
) -> None:
    """
    If a stream's last event comes early and without its image, the rest of the stream is read; if
    there is none, the response is looked up by its id.
    """
    studio = make_studio(tmp_path, provider=drawing)
    drawing.enqueue_fault(ending_early(changes, cut=cut))
    assert listen(studio) == picture_of(PROMPT)
    assert len(posts(drawing)) == 1


def test_twin_without_recovery_is_caught(
    make_studio: MakeStudio,
    tmp_path: Path,
    drawing: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    The check works: a broken twin that neither resumes a cut stream nor polls fails it.
    """

    def give_up(*_: Any, **__: Any) -> Any:
        raise StreamInterruptedError("cut", "")
        yield

    monkeypatch.setattr(transmit, "poll_response", give_up)
    monkeypatch.setattr(transmit, "_resume", give_up)
    studio = make_studio(tmp_path, provider=drawing)
    first, second, *_ = event_ends(studio, drawing)
    with pytest.raises(AssertionError):
        check_cut(studio, drawing, second, first)
