"""
Recorded responses of real services, replayed through both twins: their images are saved byte for
byte, and their errors are mapped to the right class.

The recordings are not part of the project: without their folder these tests are skipped.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagesession._domain.image_header import parse_header
from imagesession.errors import (
    AuthenticationError,
    BadRequestError,
    ContentBlockedError,
    ImageSessionError,
    InsufficientQuotaError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
)
from imagesession.testing import FakeOpenAI, FakeRequest, FakeResponse, Fault, tiny_image
from tests.conftest import MakeStudio
from tests.sent import posts

ROOT = Path(__file__).parents[1]
FOLDER = Path(os.environ.get("IMAGESESSION_RECORDINGS", ROOT / ".." / "shared" / "recordings"))
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(),
    reason="no recorded exchanges here: set IMAGESESSION_RECORDINGS to their folder",
)
HOLDS_PICTURE = re.compile(r'"(?:result|b64_json)"\s*:\s*"([^"]+)"')
KINDS: dict[int, type[ImageSessionError]] = {
    401: AuthenticationError,
    403: AuthenticationError,
    429: RateLimitError,
    503: ProviderUnavailableError,
}
QUOTA = {"insufficient_quota", "billing_hard_limit_reached"}


def names() -> list[str]:
    """
    Return the names of the recordings of paid requests.
    """
    files = sorted(FOLDER.glob("*.json*")) if FOLDER.is_dir() else []
    return [
        file.name
        for file in files
        if file.name != "error_bodies.json" and is_paid_request(file.name)
    ]


def is_paid_request(name: str) -> bool:
    """
    Return whether a recording is of a paid request.
    """
    request = load(name)["request"]
    paths = ("/responses", "/images", "/images/generations", "/images/edits")
    method, url = str(request["method"]), str(request["url"])
    return method == "?" or (method == "POST" and url.endswith(paths))


def load(name: str) -> Any:
    """
    Read a recording.
    """
    data = (FOLDER / name).read_bytes()
    return json.loads(gzip.decompress(data) if name.endswith(".gz") else data)


def body_of(name: str) -> bytes:
    """
    Return a response body as it was sent; the recording has one event a line.
    """
    text = load(name)["response"]["text"]
    if "chunks" not in name:
        return str(text).encode()
    return b"".join(f"data: {line}\n\n".encode() for line in text.splitlines() if line.strip())


def images_in(body: bytes) -> Iterator[bytes]:
    """
    Yield the images that a body contains in full.
    """
    for encoded in HOLDS_PICTURE.findall(body.decode()):
        try:
            data = base64.b64decode(encoded, validate=True)
        except ValueError:  # shortened by its authors
            continue
        if parse_header(data) is not None:
            yield data


def respond_with(path: str, status: int, body: bytes, kind: str) -> Fault:
    """
    Set a recorded response to the next paid request.
    """

    def respond(_: FakeRequest) -> FakeResponse:
        return FakeResponse(status=status, headers={"content-type": kind}, parts=iter((body,)))

    return Fault(method="POST", path=path, response=respond)


@pytest.mark.parametrize("name", names())
@pytest.mark.usefixtures("hurried")
def test_image_of_a_recorded_response_is_saved(
    make_studio: MakeStudio, tmp_path: Path, name: str
) -> None:
    """
    A recorded image is saved byte for byte, by the method for its endpoint; a response without one,
    or with one that was shortened, is a typed error. Either way one request is paid for.
    """
    recording, body = load(name), body_of(name)
    url, response = recording["request"]["url"], recording["response"]
    images_api = "/images" in url
    provider = FakeOpenAI(responses=not images_api)
    kind = "text/event-stream" if "chunks" in name else "application/json"
    path = "/images/*" if images_api else "/responses"
    provider.enqueue_fault(respond_with(path, response["status"], body, kind))
    if not images_api:
        # The provider does not know the recorded id.
        provider.fail_next(status=404, method="GET", path="/responses/*", times=99)
    studio = make_studio(tmp_path, provider=provider, retry_timeout=0)
    expected = list(dict.fromkeys(images_in(body)))
    edits = {"image": tiny_image()} if url.endswith(("/edits", "/images")) else {}
    if expected:
        image = studio.edit("bluer", **edits) if edits else studio.generate("a teapot")
        saved = [studio.images.get(record.id).bytes for record in image.turn.images]
        assert saved == expected
        assert image.turn.usage.image or image.turn.usage.mainline
    else:
        with pytest.raises(ImageSessionError) as caught:
            _ = studio.edit("bluer", **edits) if edits else studio.generate("a teapot")
        if response["status"] >= 400:
            assert isinstance(caught.value, KINDS.get(response["status"], BadRequestError))
    paid = [
        request_path
        for request_path in posts(provider)
        if request_path.startswith(path.rstrip("*"))
    ]
    assert len(paid) == 1


def error_bodies() -> list[Any]:
    """
    Return the recorded error bodies.
    """
    return load("error_bodies.json") if FOLDER.is_dir() else []


@pytest.mark.parametrize("number", range(len(error_bodies())))
def test_recorded_error_is_typed(make_studio: MakeStudio, tmp_path: Path, number: int) -> None:
    """
    A recorded error body becomes an error that says what to do, after one request, or a few free
    ones if its cause is not clear.
    """
    quoted = error_bodies()[number]
    status = quoted["status"] if isinstance(quoted["status"], int) else 400
    if status < 400 or not isinstance(quoted.get("error"), dict):
        return
    error: dict[str, Any] = quoted["error"]
    provider = FakeOpenAI()
    body = json.dumps({"error": error}).encode()
    for _ in range(9):
        provider.enqueue_fault(respond_with("/responses", status, body, "application/json"))
    studio = make_studio(tmp_path, provider=provider, retry_timeout=0)
    with pytest.raises(ImageSessionError) as caught:
        studio.generate("a teapot")
    code = error.get("code")
    if code == "moderation_blocked":
        assert isinstance(caught.value, ContentBlockedError)
    elif code in QUOTA:
        assert isinstance(caught.value, InsufficientQuotaError)
    else:
        assert not isinstance(caught.value, ProviderError) or status >= 500
    # An error without code and parameter may be about the form of the request.
    assert len(posts(provider)) <= (1 if code or error.get("param") else 4)
