"""
Whether an image carries the provider's provenance signals.

Every test runs over the sync and the async twin.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from PIL import Image

from imagesession.errors import (
    BadRequestError,
    InvalidImageError,
    ProviderUnavailableError,
    RateLimitError,
)
from imagesession.testing import FakeOpenAI, FakeRequest, FakeTransport, Fault, tiny_image
from tests.test_money import break_connection

PATH = "/content_provenance_checks"


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_received_file_keeps_its_signals(
    studio: Any, provider: FakeOpenAI, output_format: Any
) -> None:
    """
    A received image is checked as it was received, by one free request, and its signal is found.
    """
    image = studio.generate("a teapot", output_format=output_format, size="1024x1024")
    result = image.verify()
    c2pa, synthid = result.signals
    assert (c2pa.type, c2pa.detected, c2pa.validation) == ("c2pa", True, "valid")
    assert (synthid.type, synthid.detected, synthid.validation) == ("synthid", False, None)
    assert result.detected
    assert str(result) == "found: c2pa"
    assert result.checked >= image.turn.finished
    assert [call.path for call in provider.requests if call.path != "/responses"] == [PATH]
    assert studio.costs().total.turns == 1


def test_file_encoded_anew_has_lost_its_signals(studio: Any, tmp_path: Path) -> None:
    """
    An image that Pillow has saved again has none, and the result says so.
    """
    with Image.open(io.BytesIO(studio.generate("a teapot").bytes)) as opened:
        opened.save(tmp_path / "again.png")
    image = studio.images.import_file(tmp_path / "again.png")
    assert not image.verify().detected
    assert str(image.verify()) == "no signal found"


def test_svg_is_not_sent(studio: Any, provider: FakeOpenAI) -> None:
    """
    An SVG is refused before anything is sent.
    """
    image = studio.generate("a teapot", output_format="svg")
    with pytest.raises(InvalidImageError, match="svg"):
        image.verify()
    assert PATH not in {call.path for call in provider.requests}


def test_failed_check_says_why(studio: Any, provider: FakeOpenAI) -> None:
    """
    A provider without checks, a rate limit and a lost connection are errors of the usual kinds.
    """
    image = studio.generate("a teapot")
    provider.fail_next(status=404, method="POST", path=PATH)
    with pytest.raises(BadRequestError, match="no provenance checks"):
        image.verify()
    provider.fail_next(status=429, method="POST", path=PATH)
    with pytest.raises(RateLimitError):
        image.verify()
    provider.enqueue_fault(Fault(method="POST", path=PATH, response=break_connection))
    with pytest.raises(ProviderUnavailableError):
        image.verify()
    assert image.verify().detected


def test_fake_answers_as_the_api() -> None:
    """
    The real client reads the fake provider's answer, and files that cannot be read are refused.
    """
    provider = FakeOpenAI()
    http = httpx2.Client(transport=FakeTransport(provider))
    with openai.OpenAI(api_key="offline", http_client=http, max_retries=0) as client:
        check = client.content_provenance_checks.create(file=("a.png", tiny_image()))
        assert [(result.type, result.outcome) for result in check.results] == [
            ("c2pa", "not_detected"),
            ("synthid", "not_detected"),
        ]
        with pytest.raises(openai.BadRequestError):
            client.content_provenance_checks.create(file=("a.png", b"no image"))
    answer = provider.handle(
        FakeRequest(method="GET", path=PATH, headers={"authorization": "Bearer x"})
    )
    assert answer.status == 404
