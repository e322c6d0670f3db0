"""
A background stream is cut at every place, in two ways: the picture is there in the end, to the
byte, and was asked for once.
"""

from __future__ import annotations

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
    Plan to change the next stream.
    """
    return Fault(streaming=True, bend=lambda answer: attrs.evolve(answer, parts=parts(answer)))


def cut_at(position: int, *, broken: bool) -> Fault:
    """
    Plan to cut the next stream behind so many bytes.

    Args:
        position: How many bytes come.
        broken: Whether the connection breaks there; else the stream ends as if it were whole.
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
    Hear a stream out and return the picture's bytes.
    """
    *_, image = studio.stream(prompt, partial_images=2)
    return bytes(image.bytes)


def event_ends(studio: Any, provider: FakeOpenAI) -> list[int]:
    """
    Return how many bytes a stream has up to the end of each of its events.
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
    Cut a stream and check what comes of it.

    Args:
        studio: Who listens.
        provider: Who is listened to.
        position: Behind how many bytes it is cut.
        first: How many bytes its first event has, without which nobody knows its id.
    """
    for broken in (False, True):
        before = len(posts(provider))
        provider.enqueue_fault(cut_at(position, broken=broken))
        try:
            assert listen(studio) == picture_of(PROMPT)
        except OutcomeUnknownError:
            # An event counts once the line behind it has begun.
            assert position < first
        assert len(posts(provider)) == before + 1


@pytest.fixture
def drawing(monkeypatch: pytest.MonkeyPatch) -> FakeOpenAI:
    """
    A provider whose pictures cost nothing, and that forgets nothing of what it was asked.
    """
    monkeypatch.setattr("imagesession._fake_openai.app._MAX_REQUESTS", 16_384)
    return tiny_provider()


def test_a_cut_at_every_event(make_studio: MakeStudio, tmp_path: Path, drawing: FakeOpenAI) -> None:
    """
    Wherever a stream is cut between two events, the picture is the same to the byte.
    """
    studio = make_studio(tmp_path, provider=drawing)
    first, *ends = event_ends(studio, drawing)
    for position in (first, *ends):
        check_cut(studio, drawing, position, first)


@MANY
def test_a_cut_at_any_byte(
    make_studio: MakeStudio, tmp_path: Path, drawing: FakeOpenAI, places: int
) -> None:
    """
    Cut in the middle of an event, it is the same; before the first event has come, the outcome is
    unknown, and said to be.
    """
    studio = make_studio(tmp_path, provider=drawing)
    first, *_, whole = event_ends(studio, drawing)
    chance = random.Random(places)  # noqa: S311 - it is to be the same every time
    for position in (0, 1, first - 1, *(chance.randrange(whole) for _ in range(places))):
        check_cut(studio, drawing, position, first)


def test_a_garbled_stream_is_looked_up(
    make_studio: MakeStudio, tmp_path: Path, drawing: FakeOpenAI
) -> None:
    """
    A stream that garbles its picture is no loss: the picture is looked up.
    """
    studio = make_studio(tmp_path, provider=drawing)
    drawing.inject_faults({"garbled": 1.0}, method="POST")
    assert listen(studio) == picture_of(PROMPT)
    assert len(posts(drawing)) == 1


def test_twin_without_a_second_look(
    make_studio: MakeStudio,
    tmp_path: Path,
    drawing: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A library that neither resumes a cut stream nor polls for it fails this check.
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
