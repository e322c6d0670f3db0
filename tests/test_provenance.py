"""
Whether an image carries the provider's provenance signals.

Every test runs over the sync and the async twin.
"""

from __future__ import annotations

import hashlib
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
from imagesession.testing import (
    FakeOpenAI,
    FakeRequest,
    FakeTransport,
    Fault,
    tiny_image,
    tiny_mask,
)
from tests.conftest import MakeStudio
from tests.sent import uploads
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


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp", "gif", "svg"])
def test_prompt_is_in_the_file_if_wanted(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, output_format: Any
) -> None:
    """
    With `embed_metadata`, the file has the prompt, and the record both digests: checks compare the
    file, and the provider is asked about the bytes that it sent. What has no place stays as it was.
    """
    plain = make_studio(tmp_path / "plain", provider=FakeOpenAI())
    studio = make_studio(tmp_path / "library", provider=provider, embed_metadata=True)
    options = {"output_format": output_format, "quality": "low"}
    received = plain.generate("a teapot & a cup", **options)
    image = studio.generate("a teapot & a cup", **options)
    assert received.record.received_sha256 is None
    if output_format in {"gif", "svg"}:
        assert image.bytes == received.bytes
        assert image.record.received_sha256 is None
        return
    assert b"a teapot &amp; a cup" in image.bytes
    assert image.sha256 == hashlib.sha256(image.bytes).hexdigest()
    assert image.record.received_sha256 == received.sha256
    assert image.metadata["received_sha256"] == received.sha256
    assert studio.doctor(verify=True).ok
    assert image.verify().detected
    checked = next(call for call in provider.requests if call.path == PATH)
    assert any(field.content == received.bytes for field in checked.body)


def test_embedded_images_are_continued_copied_and_moved(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    Streams, edits, exports, promotions and repairs work with prompts in the files, and an image
    that is sent as an input does not carry its prompt.
    """
    studio = make_studio(tmp_path / "library", provider=provider, embed_metadata=True)
    session = studio.session("x", name="Tea")
    first = list(session.stream("a teapot", quality="low"))[-1]
    session.edit("bluer", mask=tiny_mask(first.size), preserve_unmasked=True, quality="low")
    assert all(image.record.received_sha256 for image in session.images())
    assert not any(b"AIPromptInformation" in data for data in uploads(provider))
    other = make_studio(tmp_path / "other", provider=provider)
    imported = other.sessions.import_archive(session.export(tmp_path / "tea.zip"))
    assert [image.bytes for image in imported.images()] == [
        image.bytes for image in session.images()
    ]
    promoted = studio.promote(first)
    assert promoted.head().record.received_sha256 == first.record.received_sha256
    (tmp_path / "library/.imagesession/turns" / session.id / f"{first.turn.id}.json").unlink()
    studio.doctor(repair=True)
    assert studio.images.get(first.id).record == first.record
    assert studio.doctor(verify=True).ok
