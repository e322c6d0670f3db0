"""
Credentials go to the provider and nowhere else: not into logs, errors, records or exports, whatever
fails, and even if servers repeat them.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import httpx2
import pytest

from imagesession import Budget, Studio
from imagesession._runtime import openai_clients, redact
from imagesession.errors import ImageSessionError, InvalidRequestError, ProviderUnavailableError
from imagesession.testing import (
    ConnectionReset,
    FakeOpenAI,
    FakeRequest,
    FakeResponse,
    Fault,
    serve,
    tiny_image,
)
from tests.bench.server import FixedSketcher
from tests.conftest import Awaited, MakeStudio
from tests.faults.billing import SIZE

KEY = "sk-CANARY-0123456789abcdef"
ORGANIZATION = "org-CANARY-0123456789"
PASSWORD = "CANARY pass/word"  # noqa: S105 - this must not leak
CANARIES = ("CANARY", base64.b64encode(f"user:{PASSWORD}".encode()).decode())
PAID = "/responses|/images/*"


class Parrot(FakeOpenAI):
    """
    A provider that answers the next paid call with an error that repeats the credentials.
    """

    def __init__(self) -> None:
        super().__init__(sketcher=FixedSketcher(tiny_image(size=SIZE), SIZE))

    def repeat(
        self, status: int, *, kind: str = "application/json", streaming: bool = False
    ) -> None:
        """
        Enqueue such an error.
        """

        def instead(call: FakeRequest) -> FakeResponse:
            credentials = " ".join(
                call.headers.get(name, "") for name in ("authorization", "openai-organization")
            )
            body = b'{"error": {"message": "I got %s", "code": "x"}}' % credentials.encode()
            if kind == "text/event-stream":
                body = (
                    b'event: error\ndata: {"type": "error", "message": "I got %s"}\n\n'
                    % credentials.encode()
                )
            return FakeResponse(
                status=status,
                headers={"content-type": kind, "retry-after": "0"},
                parts=iter((body,)),
            )

        self.enqueue_fault(
            Fault(method="POST", path=PAID, streaming=streaming or None, response=instead)
        )


def reset(answer: FakeResponse) -> FakeResponse:
    """
    Break the connection.
    """
    return attrs.evolve(answer, parts=iter((ConnectionReset(),)))


FAILURES: dict[str, Callable[[Parrot], None]] = {
    **{
        f"HTTP {status}": functools.partial(Parrot.repeat, status=status)
        for status in (400, 401, 403, 404, 408, 413, 429, 500, 503)
    },
    "a page": lambda parrot: parrot.repeat(200, kind="text/html"),
    "no response": lambda parrot: parrot.repeat(200),
    "a failed response": lambda parrot: parrot.fail_generation_next(),
    "refused": lambda parrot: parrot.refuse_next("I would rather not."),
    "blocked": lambda parrot: parrot.moderate_next(),
    "reset": lambda parrot: parrot.enqueue_fault(Fault(method="POST", path=PAID, transform=reset)),
    "cut": lambda parrot: parrot.truncate_stream_after(0),
    "an error in the stream": lambda parrot: parrot.repeat(
        200, kind="text/event-stream", streaming=True
    ),
}

SOONER = {"HTTP 400", "HTTP 429", "a page", "reset", "an error in the stream"}


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """
    All that any package logs.
    """
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "httpx2", "httpcore2", "asyncio", "imagesession"):
        caplog.set_level(logging.DEBUG, name)
    return caplog


def output_of(error: BaseException) -> Iterator[str]:
    """
    Yield all texts of an error and its causes.
    """
    yield from traceback.format_exception(error)
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield from (str(link), repr(link), repr(link.args))
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    if isinstance(error, ImageSessionError):
        yield pickle.dumps(error).decode("latin-1")
        yield repr(attrs.astuple(error))


def written_in(*folders: Path) -> Iterator[str]:
    """
    Yield the names and contents of all files.
    """
    for folder in folders:
        for file in folder.rglob("*"):
            yield str(file.relative_to(folder))
            if file.is_file():
                yield file.read_bytes().decode("latin-1")


def leaks(texts: Iterator[str]) -> list[str]:
    """
    Return the texts that contain credentials.
    """
    return [text for text in texts if any(canary in text for canary in CANARIES)]


def verbs(studio: Any, tmp_path: Path, fail: Callable[[], None]) -> Iterator[Callable[[], object]]:
    """
    Yield calls of all kinds; those that request images fail first, and then succeed.
    """
    session = studio.session("a tea shop", name="shop")
    for draw in (
        lambda: studio.generate("a teapot"),
        lambda: session.generate("a teapot"),
        lambda: list(session.stream("a cup", partial_images=1)),
        lambda: session.edit("bluer", image=tiny_image()),
        lambda: studio.map(["a pot", "a tray"], progress=False).raise_any(),
    ):
        fail()
        yield draw
        yield draw
    image = studio.images.list()[0]
    yield from (
        lambda: studio.analyze(image),
        lambda: studio.recover(timeout=0),
        studio.costs,
        studio.stats,
        lambda: studio.models.list(live=True),
        lambda: studio.doctor(verify=True, online=True),
        lambda: session.export(tmp_path / "export"),
        session.status,
        session.tree,
    )


@pytest.mark.parametrize(
    "failure",
    [item if item in SOONER else pytest.param(item, marks=pytest.mark.faults) for item in FAILURES],
)
def test_credentials_do_not_leak(
    make_studio: MakeStudio,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    logs: pytest.LogCaptureFixture,
    failure: str,
) -> None:
    """
    Neither key, organization nor password are in anything that is shown or stored.
    """
    monkeypatch.setenv("OPENAI_ORG_ID", ORGANIZATION)
    parrot, library = Parrot(), tmp_path / "library"
    texts: list[str] = []
    with serve(parrot) as served:
        studio = make_studio(
            library, online=True, api_key=KEY, base_url=served.base_url, budget=Budget(per_day=9)
        )
        for verb in verbs(studio, tmp_path, lambda: FAILURES[failure](parrot)):
            try:
                texts.append(repr(verb()))
            except ImageSessionError as error:
                texts += output_of(error)
        assert any(ORGANIZATION in call.headers.values() for call in parrot.requests)
        texts += map(repr, reachable(studio))
        texts += [record.getMessage() for record in logs.records]
    # An interrupted stream is recovered without an error.
    assert failure == "cut" or any("Error" in text for text in texts)
    assert leaks(iter(texts)) == []
    assert leaks(written_in(library, tmp_path / "export")) == []


def reachable(studio: Any) -> Iterator[object]:
    """
    Yield a studio and the objects that can be reached from it.
    """
    plain = studio.inner if isinstance(studio, Awaited) else studio
    session = studio.open("shop")
    runtime = plain._runtime  # noqa: SLF001 - may be printed when debugging
    yield from (
        plain,
        session,
        runtime,
        runtime.connect,
        runtime.connect.made,
        runtime.library,
        runtime.config,
    )
    made: object = runtime.connect.made
    yield from list[object](vars(made).values())
    yield from studio.images.list()


def test_password_in_the_base_url_does_not_leak(
    make_studio: MakeStudio, tmp_path: Path, logs: pytest.LogCaptureFixture
) -> None:
    """
    User and password of a base URL are sent by HTTP basic authentication, and the HTTP client's
    logs, which contain every URL, do not contain them.
    """
    proofs: list[str] = []

    class Guarded(Parrot):
        def handle(self, call: FakeRequest) -> FakeResponse:
            proofs.append(call.headers["authorization"])
            return super().handle(call)

    with serve(Guarded()) as served:
        url = served.base_url.replace("//", "//user:CANARY%20pass%2Fword@")
        studio = make_studio(tmp_path, online=True, api_key=KEY, base_url=url)
        image = studio.generate("a teapot")
        reported = [repr(studio), repr(image), *(record.getMessage() for record in logs.records)]
    assert set(proofs) == {f"Basic {CANARIES[1]}"}
    assert any(served.base_url in text for text in reported)
    assert leaks(iter(reported)) == []
    assert leaks(written_in(tmp_path)) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://user:CANARY@127.0.0.1:1/v1",
        "http://user:CANARY/word@127.0.0.1:1/v1",
        "ftp://user:CANARY@127.0.0.1/v1",
        "user:CANARY@127.0.0.1/v1",
        "http://user:CANARY@[::1/v1",
    ],
    ids=["no server", "a slash", "another protocol", "no protocol", "a bracket"],
)
def test_invalid_base_url_does_not_leak(
    make_studio: MakeStudio, tmp_path: Path, url: str, logs: pytest.LogCaptureFixture
) -> None:
    """
    An invalid base URL is a typed error that does not show its password.
    """
    studio = make_studio(tmp_path, online=True, api_key=KEY, base_url=url)
    with pytest.raises((InvalidRequestError, ProviderUnavailableError)) as caught:
        studio.generate("a teapot")
    reported = [
        repr(studio),
        *output_of(caught.value),
        *(record.getMessage() for record in logs.records),
    ]
    assert leaks(iter(reported)) == []


def test_malformed_header_does_not_leak(
    make_studio: MakeStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    An organization with a line break is refused before anything is sent, and not shown.
    """
    monkeypatch.setenv("OPENAI_ORG_ID", f"{ORGANIZATION}\nX: y")
    with serve(FakeOpenAI()) as served:
        studio = make_studio(tmp_path, online=True, api_key=KEY, base_url=served.base_url)
        with pytest.raises(ProviderUnavailableError, match="nothing was sent") as caught:
            studio.generate("a teapot")
    assert leaks(output_of(caught.value)) == []


def test_missing_redaction_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The check works: without redaction, credentials that a server repeats are shown and stored.
    """

    def nothing(_: httpx2.Request) -> list[bytes]:
        return []

    monkeypatch.setattr(redact, "_secrets", nothing)
    parrot = Parrot()
    parrot.repeat(400)
    with serve(parrot) as served, contextlib.ExitStack() as stack:
        studio = stack.enter_context(Studio(tmp_path, api_key=KEY, base_url=served.base_url))
        with pytest.raises(ImageSessionError) as caught:
            studio.generate("a teapot")
    assert leaks(output_of(caught.value))
    assert leaks(written_in(tmp_path))


def test_logged_password_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: pytest.LogCaptureFixture
) -> None:
    """
    The check works: a password that stays in the URL is logged.
    """

    def together(url: str) -> tuple[httpx2.URL, None]:
        return httpx2.URL(url), None

    monkeypatch.setattr(openai_clients, "_split_userinfo", together)
    with serve(FakeOpenAI()) as served:
        url = served.base_url.replace("//", "//user:CANARY@")
        with Studio(tmp_path, api_key=KEY, base_url=url) as studio:
            studio.generate("a teapot")
    assert leaks(record.getMessage() for record in logs.records)
