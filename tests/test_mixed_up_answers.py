"""
An answer that belongs to another request, by its metadata, is not kept as this one's.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from imagesession._engine.responses import other_turn
from imagesession.errors import OutcomeUnknownError
from imagesession.testing import FakeOpenAI, FakeResponse, Fault
from tests.clock import HoldingProvider
from tests.conftest import MakeStudio

OTHER = "01JZZZZZZZ0123456789ABCDEF"


def mixed_up(answer: FakeResponse, other: str) -> FakeResponse:
    """
    Give every object in an answer the metadata of another turn.
    """

    def parts() -> Iterator[Any]:
        for part in answer.parts:
            if isinstance(part, bytes):
                yield re.sub(rb'(?<="imagesession_turn":")[0-9A-Z]{26}', other.encode(), part)
            else:
                yield part

    return attrs.evolve(answer, parts=parts())


def test_answer_to_another_request_is_refused(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A reply that is another turn's leaves the outcome unknown; nothing is stored
    and nothing sent again.
    """
    provider = FakeOpenAI()
    studio = make_studio(tmp_path, provider=provider)
    other = studio.generate("another's").turn.id
    mix_up = functools.partial(mixed_up, other=other)
    provider.enqueue_fault(Fault(method="POST", path="/responses", transform=mix_up))
    with pytest.raises(OutcomeUnknownError):
        studio.generate("mine")
    assert [image.prompt for image in studio.images.list()] == ["another's"]
    assert sum(call.path == "/responses" for call in provider.requests) == 2


def test_recording_is_played_again(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A reply with the mark of a turn that the library does not know is accepted, as a recording that
    is played again has one.
    """
    provider = FakeOpenAI()
    studio = make_studio(tmp_path, provider=provider)
    play = functools.partial(mixed_up, other=OTHER)
    provider.enqueue_fault(Fault(method="POST", path="/responses", transform=play))
    assert studio.generate("mine").prompt == "mine"


@pytest.mark.usefixtures("hurried")
def test_polled_answer_of_another_request_is_asked_for_again(
    make_studio: MakeStudio, tmp_path: Path
) -> None:
    """
    If a poll brings another turn's response, the next poll is waited for.
    """
    provider = HoldingProvider()
    studio = make_studio(tmp_path, provider=provider, timeout=60)
    other = studio.generate("another's").turn.id
    provider.hold()
    with pytest.raises(OutcomeUnknownError):
        studio.generate("mine")
    provider.finish()
    mix_up = functools.partial(mixed_up, other=other)
    provider.enqueue_fault(Fault(method="GET", path="/responses/*", transform=mix_up))
    (image,) = studio.recover().images
    assert image.prompt == "mine"


@pytest.mark.parametrize(
    "body,foreign",
    [
        ({"metadata": {"imagesession_turn": OTHER}}, True),
        ({"metadata": {"imagesession_turn": "0" * 26}}, False),
        ({"metadata": {}}, False),
        ({"text": json.dumps({"imagesession_turn": OTHER})}, False),
    ],
)
def test_mark_is_found(body: dict[str, Any], *, foreign: bool) -> None:
    """
    The mark is found in a body, and not within its texts.
    """
    assert (other_turn(json.dumps(body).encode(), "0" * 26) is not None) is foreign
