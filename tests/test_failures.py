"""
A failure says whether anything was sent, and which request the provider's support has to look for.
"""

from __future__ import annotations

import contextlib
import json
import logging
import pickle
import socket
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from imagesession.errors import (
    AuthenticationError,
    BadRequestError,
    GenerationFailedError,
    ImageSessionError,
    InvalidImageError,
    OutcomeUnknownError,
    RateLimitError,
    RequestNotSentError,
    StorageIOError,
    StreamInterruptedError,
)
from imagesession.testing import FakeOpenAI, FakeResponse, Fault, serve, tiny_image
from tests.clock import DAY
from tests.conftest import MakeStudio

PROVIDER = "https://images.example.test/v1"
REFUSED_LOGIN = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
VERIFY = {"message": "Your organization must be verified.", "type": None, "code": None}


@contextlib.contextmanager
def proxy_that_wants_a_login() -> Generator[str, None, None]:
    """
    Serve a proxy that refuses every CONNECT; yield its address.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer = server.accept()[0]
                    with peer:
                        peer.recv(65_536)
                        peer.sendall(REFUSED_LOGIN)

        thread = threading.Thread(target=refuse)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """
    An environment without proxies.
    """
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


def journal(library: Path) -> list[Path]:
    """
    Return the files of the journal.
    """
    folder = library / ".imagesession" / "journal"
    return list(folder.iterdir()) if folder.exists() else []


def test_proxy_that_wants_a_login_is_said_at_once(
    make_studio: MakeStudio, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    """
    If a proxy refuses the connection, nothing was sent and nothing is left open; as waiting does
    not help, it is said at once.
    """
    with proxy_that_wants_a_login() as address:
        environment.setenv("HTTPS_PROXY", address)
        studio = make_studio(
            tmp_path, online=True, base_url=PROVIDER, api_key="k", retry_timeout=DAY
        )
        start = time.monotonic()
        with pytest.raises(RequestNotSentError, match=r"407.*nothing was sent.*HTTPS_PROXY"):
            studio.generate("a teapot", idempotency_key="t-1")
        assert time.monotonic() - start < DAY / 2
    assert journal(tmp_path) == []


def test_socks_proxy_without_its_package(
    make_studio: MakeStudio, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    """
    A SOCKS proxy in the environment, without the package that it needs, is a typed error that names
    the variable and what to install.
    """
    environment.setenv("ALL_PROXY", "socks5://user:secret@127.0.0.1:9")
    environment.setitem(__import__("sys").modules, "socksio", None)
    studio = make_studio(tmp_path, online=True, base_url=PROVIDER, api_key="k")
    with pytest.raises(RequestNotSentError, match="pip install socksio") as caught:
        studio.generate("a teapot")
    assert caught.value.message.startswith("ALL_PROXY ")
    assert "secret" not in caught.value.message
    assert journal(tmp_path) == []


def test_proxy_of_an_unknown_kind(
    make_studio: MakeStudio, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    """
    The address of a proxy that no client understands is a typed error that names the variable.
    """
    environment.setenv("https_proxy", "socks4://127.0.0.1:9")
    studio = make_studio(tmp_path, online=True, base_url=PROVIDER, api_key="k")
    with pytest.raises(RequestNotSentError, match=r"^https_proxy is not"):
        studio.generate("a teapot")


@pytest.mark.parametrize("url", ["http://no-such-host.invalid/v1", "http://127.0.0.1:9/v1"])
@pytest.mark.usefixtures("environment")
def test_unsent_request_is_safe_to_repeat(
    make_studio: MakeStudio, tmp_path: Path, url: str
) -> None:
    """
    Unknown hosts and closed ports: nothing was sent, nothing is left open, and the same call with
    the same key succeeds once the provider can be reached.
    """
    broken = make_studio(tmp_path, online=True, base_url=url, api_key="k")
    with pytest.raises(RequestNotSentError, match="nothing was sent"):
        broken.generate("a teapot", idempotency_key="t-1")
    assert journal(tmp_path) == []
    image = make_studio(tmp_path).generate("a teapot", idempotency_key="t-1")
    assert image.turn.idempotency_key == "t-1"


@pytest.mark.parametrize("around", [" ", "\n", '"', " \t"])
def test_pasted_settings_are_stripped(
    make_studio: MakeStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, around: str
) -> None:
    """
    Blanks, line ends and quotation marks around a key and an address are not part of them, whether
    they are arguments or from the environment.
    """
    with serve(FakeOpenAI(api_key="the-key")) as served:
        url, key = f"{around}{served.base_url}{around}", f"{around}the-key{around}"
        assert make_studio(tmp_path, online=True, base_url=url, api_key=key).generate("a pot").bytes
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("OPENAI_API_KEY", key)
        assert make_studio(tmp_path, online=True).generate("a pot").bytes


LONG = "iVBORw0KGgo" * 100_000
CALLS: list[Callable[[Any, Any], object]] = [
    lambda studio, _: studio.edit("x", image=LONG),
    lambda studio, _: studio.generate("x", references=LONG),
    lambda studio, image: studio.edit("x", image=image, mask=LONG),
    lambda studio, _: studio.generate("x", quality=LONG),
    lambda studio, _: studio.generate("x", size=tuple(range(100_000))),
    lambda studio, _: studio.generate("x", safety_identifier=LONG),
    lambda studio, _: studio.generate("x", extra_headers={f"{LONG}:": "x"}),
    lambda studio, _: studio.generate("x", timeout=LONG),
    lambda studio, _: studio.generate("x", **{LONG: 1}),
    lambda studio, _: studio.preset(LONG, "x"),
    lambda studio, _: studio.product("x", angle=LONG),
    lambda studio, _: studio.variations("x", n=LONG),
    lambda studio, _: studio.map(["x"], max_concurrency=LONG),
    lambda studio, _: studio.promote(LONG),
    lambda studio, _: studio.open(LONG),
    lambda studio, _: studio.gallery(LONG),
    lambda studio, _: studio.gallery(f"{LONG}.html"),
    lambda studio, _: studio.images.get(LONG),
    lambda studio, _: studio.images.list(since=LONG),
    lambda studio, _: studio.images.import_file(LONG),
    lambda studio, _: studio.sessions.import_archive(LONG),
    lambda studio, _: studio.models.get(LONG),
    lambda studio, _: studio.batches.get(LONG),
    lambda studio, _: studio.session("x").checkout(LONG),
    lambda studio, _: studio.session("x").contact_sheet(f"{LONG}.png"),
]


@pytest.mark.parametrize("call", CALLS, ids=range(len(CALLS)))
def test_message_never_repeats_a_whole_argument(
    make_studio: MakeStudio, tmp_path: Path, call: Callable[[Any, Any], object]
) -> None:
    """
    A million characters where something short is meant, such as the base64 of an image in place of
    its path, do not make a message of a million characters.
    """
    studio = make_studio(tmp_path)
    image = studio.images.import_file(tiny_image())
    with pytest.raises(ImageSessionError) as caught:
        call(studio, image)
    assert len(caught.value.message) < 1000
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("status", [400, 404, 429, 502, 503])
def test_message_carries_no_html(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, status: int
) -> None:
    """
    The page of a proxy in place of an answer is one line of text, whose sentences do not run
    together.
    """
    page = b"<html>\r\n<head><title>No way</title></head>\r\n<body><h1>No way</h1></body></html>"
    respond = Fault(
        match=lambda call: call.method == "POST",
        response=lambda _: FakeResponse(
            status=status, headers={"content-type": "text/html"}, parts=iter([page])
        ),
    )
    provider.enqueue_fault(respond, times=9)
    with pytest.raises(ImageSessionError, match=r"No way\.( [A-Z]|$)") as caught:
        make_studio(tmp_path, provider=provider).generate("a teapot")
    assert not set("<>\r\n") & set(caught.value.message)


# --- request ids -------------------------------------------------------------------------------


def test_image_knows_its_request(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    """
    The provider's id of the request is in the turn, its record, the metadata beside the image and
    the log, streamed or not, and by the Images API as well.
    """
    caplog.set_level(logging.INFO, "imagesession")
    studio = make_studio(tmp_path, provider=provider)
    images = [studio.generate("a teapot")]
    provider.refuse("stream")
    images.append(studio.generate("another"))
    direct = make_studio(tmp_path / "direct", provider=FakeOpenAI(responses=False))
    images.append(direct.generate("a third"))
    ids = [image.turn.request_id for image in images]
    assert all(request_id.startswith("req_") for request_id in ids)
    assert len(set(ids)) == 3
    for image, request_id in zip(images, ids, strict=True):
        assert image.metadata["request_id"] == request_id
        assert request_id in caplog.text
    assert studio.images.get(images[0].id).turn.request_id == ids[0]


FAILURES: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"status": 429}, RateLimitError),
    ({"status": 400}, BadRequestError),
    ({"status": 403, "error": VERIFY}, AuthenticationError),
    ({"status": 500}, OutcomeUnknownError),
]


@pytest.mark.parametrize("failure,kind", FAILURES)
def test_error_knows_its_request(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    failure: dict[str, Any],
    kind: type[Exception],
) -> None:
    """
    Every error of an answer has the id of its request, also after it was pickled.
    """
    studio = make_studio(tmp_path, provider=provider)
    provider.fail_next(**failure, headers={"x-request-id": "req_failed"})
    with pytest.raises(kind) as caught:
        studio.generate("a teapot")
    error: Any = caught.value
    assert error.request_id == "req_failed"
    assert pickle.loads(pickle.dumps(error)).request_id == "req_failed"  # noqa: S301 - our own


@pytest.mark.parametrize("header", ["x-request-id", "apim-request-id", "x-ms-request-id"])
def test_request_id_of_azure(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, header: str
) -> None:
    """
    Azure's names of the header are read too.
    """
    provider.fail_next(status=403, headers={"x-request-id": "", header: "the-id"})
    with pytest.raises(AuthenticationError) as caught:
        make_studio(tmp_path, provider=provider).generate("a teapot")
    assert caught.value.request_id == "the-id"


def test_failed_response_knows_its_request(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A failure that comes after the request was accepted has its id, and so has the turn.
    """
    session = make_studio(tmp_path, provider=provider).session("a logo")
    provider.fail_generation_next()
    with pytest.raises(GenerationFailedError) as caught:
        session.generate("a teapot")
    (turn,) = session.turns()
    assert caught.value.request_id == turn.request_id
    assert str(turn.request_id).startswith("req_")


def test_cut_stream_knows_its_request(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A stream that was cut for good has the id of its request, which is all that its provider's
    support can look for.
    """
    provider.refuse("background")
    studio = make_studio(tmp_path, provider=provider)
    studio.generate("warm up")
    provider.truncate_stream_after("response.created")
    with pytest.raises(StreamInterruptedError) as caught:
        studio.generate("a teapot")
    assert str(caught.value.request_id).startswith("req_")


@pytest.mark.parametrize("code", ["invalid_image", "image_too_large", "image_parse_error"])
def test_image_that_the_provider_cannot_use(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, code: str
) -> None:
    """
    A response that failed because of an input image has to be mended by the caller: it is not sent
    again, and the error does not say to try once more.
    """
    provider.fail_generation_next(code=code, message="The image cannot be read")
    with pytest.raises(InvalidImageError, match=r"cannot be read\. Send another file"):
        make_studio(tmp_path, provider=provider, retry_timeout=30).generate("a teapot")
    assert len(provider.generated) == 1


def test_recovered_turn_knows_its_request(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The id of the request is in the journal with that of the response, so that a turn that another
    program recovers has it.
    """
    monkeypatch.setattr("imagesession._store.turns.TurnStore.commit", _killed_before_the_record)
    with pytest.raises(StorageIOError):
        make_studio(tmp_path, provider=provider).generate("a teapot")
    monkeypatch.undo()
    (intent,) = journal(tmp_path)
    facts: dict[str, Any] = {}
    for line in intent.read_text(encoding="utf-8").splitlines():
        facts |= json.loads(line)
    assert facts["request_id"].startswith("req_")
    studio = make_studio(tmp_path, provider=provider)
    studio.recover()
    (image,) = studio.images.list()
    assert image.turn.request_id == facts["request_id"]


def _killed_before_the_record(*_: object) -> None:
    raise StorageIOError("the disk is full")
