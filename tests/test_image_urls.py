"""
Servers that answer with the URL of an image: it is fetched within the same intent, from nowhere but
the provider's own origin and the hosts that its profile names.

Every test runs over the sync and the async twin.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from imagesession.errors import InvalidResponseError, OutcomeUnknownError
from imagesession.testing import Delay, FakeOpenAI, FakeRequest, FakeResponse, Fault, tiny_image
from tests.conftest import MakeStudio
from tests.sent import posts
from tests.unsettled import unsettled

RED = tiny_image()
OWN = "http://offline.imagesession"
CDN = "https://cdn.example.com"
SERVER = {"lacks": ["responses"], "image_hosts": ["cdn.example.com"], "price": 0.02}


def naming(*urls: str) -> Fault:
    """
    Let the next generation answer with URLs.
    """
    body = json.dumps({"created": 1, "data": [{"url": url} for url in urls]}).encode()

    def respond(_: FakeRequest) -> FakeResponse:
        return FakeResponse(headers={"content-type": "application/json"}, parts=iter((body,)))

    return Fault(method="POST", path="/images/*", response=respond)


@attrs.define
class Place:
    """
    What is to be found at a path.

    Attributes:
        keyed: Whether each request for it had the provider's key.
    """

    path: str
    data: bytes = RED
    status: int = 200
    kind: str = "image/png"
    location: str = ""
    keyed: list[bool] = attrs.field(factory=list[bool])

    def fault(self) -> Fault:
        """
        Let a provider answer with it.
        """
        return Fault(method="GET", path=self.path, response=self._respond)

    def _respond(self, call: FakeRequest) -> FakeResponse:
        self.keyed.append("authorization" in call.headers)
        headers = {"content-type": self.kind, "location": self.location}
        return FakeResponse(status=self.status, headers=headers, parts=iter((self.data,)))


def studio_for(
    make_studio: MakeStudio, tmp_path: Path, *faults: Fault, **more: Any
) -> tuple[Any, FakeOpenAI]:
    """
    Make a studio on a server that answers with URLs.
    """
    provider = FakeOpenAI(dialect="plain")
    for fault in faults:
        provider.enqueue_fault(fault)
    options = {"provider": provider, "server": SERVER, **more}
    return make_studio(tmp_path / "library", **options), provider


def fetched(provider: FakeOpenAI) -> list[str]:
    """
    Return the paths that were fetched.
    """
    return [call.path for call in provider.requests if call.method == "GET"]


@pytest.mark.parametrize("origin", [OWN, CDN])
def test_images_by_url_are_fetched(make_studio: MakeStudio, tmp_path: Path, origin: str) -> None:
    """
    The image is the bytes that are there; the key goes to the provider's own origin only.
    """
    place = Place("/pics/1.png")
    studio, provider = studio_for(
        make_studio, tmp_path, naming(f"{origin}/pics/1.png?sig=a"), place.fault()
    )
    image = studio.generate("a pot")
    assert (image.bytes, image.cost.total) == (RED, 0.02)
    assert posts(provider) == ["/images/generations"]
    assert place.keyed == [origin == OWN]
    assert unsettled(studio.library) == []


def test_data_urls_are_decoded(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A data URL is the image itself.
    """
    url = "data:image/png;base64," + base64.b64encode(RED).decode()
    studio, provider = studio_for(make_studio, tmp_path, naming(url))
    assert studio.generate("a pot").bytes == RED
    assert fetched(provider) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://files.example/pot-7f3.png",
        "http://cdn.example.com/pot-7f3.png",
        "https://cdn.example.com.evil.example/pot-7f3.png",
        "https://cdn.example.com@evil.example/pot-7f3.png",
        "http://offline.imagesession:81/pot-7f3.png",
        "https://offline.imagesession/pot-7f3.png",
        "http://169.254.169.254/latest/pot-7f3.png",
        "http://[::1]/pot-7f3.png",
        "https://evil.example\\@cdn.example.com/pot-7f3.png",
    ],
)
def test_other_hosts_are_not_asked(make_studio: MakeStudio, tmp_path: Path, url: str) -> None:
    """
    Nothing is sent to a host that is not named. The error and the turn's record have the address.
    """
    studio, provider = studio_for(make_studio, tmp_path, naming(url))
    with pytest.raises(InvalidResponseError, match=r"pot-7f3\.png") as caught:
        studio.generate("a pot")
    assert url in caught.value.message
    assert fetched(provider) == []
    (record,) = (studio.library / ".imagesession" / "turns").rglob("*.json")
    failure = json.loads(record.read_bytes())
    assert url in failure["failure"]["message"]
    assert failure["cost"]["image"] == 0.02


def test_redirects_are_followed_within_the_named_hosts(
    make_studio: MakeStudio, tmp_path: Path
) -> None:
    """
    A redirect to a named host is followed, and the key stays where it belongs.
    """
    first, second = Place("/1.png", b"", 302, location=f"{CDN}/2.png"), Place("/2.png")
    studio, _ = studio_for(
        make_studio, tmp_path, naming(f"{OWN}/1.png"), first.fault(), second.fault()
    )
    assert studio.generate("a pot").bytes == RED
    assert (first.keyed, second.keyed) == ([True], [False])


@pytest.mark.parametrize("origin", [OWN, CDN])
@pytest.mark.parametrize(
    "target", ["https://evil.example/2.png", "//evil.example/2.png", "file:///etc/passwd", ""]
)
def test_redirects_elsewhere_are_not_followed(
    make_studio: MakeStudio, tmp_path: Path, origin: str, target: str
) -> None:
    """
    A redirect to anywhere else ends there; one to itself ends after a few.
    """
    redirect = Place("/1.png", b"", 307, location=target).fault()
    studio, provider = studio_for(make_studio, tmp_path, naming(f"{origin}/1.png"))
    provider.enqueue_fault(redirect, times=9)
    with pytest.raises(InvalidResponseError, match="not fetched"):
        studio.generate("a pot")
    assert set(fetched(provider)) == {"/1.png"}
    assert len(fetched(provider)) <= 4


@pytest.mark.parametrize(
    "data, kind",
    [
        (b"<html>Sign in</html>", "text/html"),
        (b"<html>Sign in</html>", "image/png"),
        (b"", "image/png"),
        (RED[:40], "image/png"),
        (b'{"error": "expired"}', "application/json"),
    ],
)
def test_what_is_not_an_image_is_an_error(
    make_studio: MakeStudio, tmp_path: Path, data: bytes, kind: str
) -> None:
    """
    The bytes decide, whatever the label says.
    """
    studio, _ = studio_for(
        make_studio, tmp_path, naming(f"{OWN}/1.png"), Place("/1.png", data, kind=kind).fault()
    )
    with pytest.raises(InvalidResponseError, match=r"1\.png"):
        studio.generate("a pot")


def test_endless_images_are_cut_off(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    No more is read than the largest image may have.
    """
    piece = RED + bytes(4 * 1024 * 1024)
    sent = itertools.count()

    def endless() -> Iterator[bytes]:
        for _ in itertools.takewhile(lambda number: number < 64, sent):
            yield piece

    fault = Fault(
        method="GET",
        path="/1.png",
        response=lambda _: FakeResponse(
            headers={"content-type": "image/png"}, parts=endless(), piecemeal=True
        ),
    )
    studio, _ = studio_for(make_studio, tmp_path, naming(f"{OWN}/1.png"), fault)
    with pytest.raises(InvalidResponseError, match="more than"):
        studio.generate("a pot")
    assert next(sent) < 30


def test_dripping_images_end_with_the_time(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    An image that comes without end, byte by byte, ends with `timeout`; what became of it is
    unknown.
    """

    def drip() -> Iterator[bytes | Delay]:
        yield RED[:20]
        while True:
            yield Delay(0.05)
            yield b"x"

    fault = Fault(
        method="GET",
        path="/1.png",
        response=lambda _: FakeResponse(
            headers={"content-type": "image/png"}, parts=drip(), piecemeal=True
        ),
    )
    studio, _ = studio_for(make_studio, tmp_path, naming(f"{OWN}/1.png"), fault, timeout=0.5)
    with pytest.raises(OutcomeUnknownError, match=r"1\.png"):
        studio.generate("a pot")


def test_an_image_that_does_not_come_is_left_for_recover(
    make_studio: MakeStudio, tmp_path: Path, hurried: None
) -> None:
    """
    The outcome is unknown as long as its server is busy, and `recover` fetches the image without
    paying again.
    """
    del hurried
    studio, provider = studio_for(make_studio, tmp_path, naming(f"{OWN}/1.png"))
    provider.enqueue_fault(Place("/1.png", b"busy", 503).fault(), times=5)
    with pytest.raises(OutcomeUnknownError, match=r"1\.png"):
        studio.generate("a pot")
    (pending,) = studio.requests.pending()
    provider.enqueue_fault(Place("/1.png").fault())
    (recovered,) = studio.recover().images
    assert (recovered.turn.id, recovered.bytes) == (pending.turn.id, RED)
    assert posts(provider) == ["/images/generations"]


def test_an_image_that_is_late_is_fetched_again(
    make_studio: MakeStudio, tmp_path: Path, hurried: None
) -> None:
    """
    A server may name an image before it has written it.
    """
    del hurried
    late = Place("/1.png", b"", 404)
    studio, provider = studio_for(make_studio, tmp_path, naming(f"{OWN}/1.png"))
    provider.enqueue_fault(late.fault(), times=2)
    provider.enqueue_fault(Place("/1.png").fault())
    assert studio.generate("a pot").bytes == RED
    assert len(late.keyed) == 2


def test_several_images_by_url(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Each that can be fetched is kept; the reply with the others' addresses is kept too.
    """
    studio, provider = studio_for(
        make_studio, tmp_path, naming(f"{OWN}/1.png", "https://evil.example/2.png"), api="images"
    )
    provider.enqueue_fault(Place("/1.png").fault())
    results = studio.variations("a pot", n=2)
    assert ([image.bytes for image in results.images], len(results.errors)) == ([RED], 1)
    (kept,) = (studio.library / ".imagesession" / "quarantine").iterdir()
    assert b"evil.example" in kept.read_bytes()


@pytest.mark.parametrize("name", ["xai", "localai"])
def test_servers_that_answer_by_url(make_studio: MakeStudio, tmp_path: Path, name: str) -> None:
    """
    A server of which only that it has no Responses is known answers by URL, and the image is
    fetched.
    """
    provider = FakeOpenAI(dialect=name)
    facts = {"lacks": ["responses"], "image_model": "any"}
    image = make_studio(tmp_path, provider=provider, server=facts).generate("a pot")
    assert image.format == {"xai": "jpeg", "localai": "png"}[name]
    assert len(fetched(provider)) == 1
