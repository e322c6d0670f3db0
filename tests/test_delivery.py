"""
A paid image is requested once and polled until it is available.

Every test runs over the sync and the async twin, on the real openai client.
"""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import openai
import pytest

from imagesession.errors import (
    AuthenticationError,
    BadRequestError,
    ImageSessionError,
    InsufficientQuotaError,
    InvalidImageError,
    InvalidRequestError,
    InvalidResponseError,
    OutcomeUnknownError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
    RefusalError,
    StorageIOError,
    StreamInterruptedError,
)
from imagesession.testing import (
    ConnectionReset,
    Delay,
    FakeOpenAI,
    FakeRequest,
    FakeResponse,
    Fault,
    RecordedRequest,
    serve,
    tiny_image,
)
from tests.clock import DAY, HoldingProvider
from tests.conftest import MakeStudio
from tests.unsettled import unsettled

REJECTED_BACKGROUND = {"message": "no background here", "param": "background", "code": "x"}


def posts(provider: FakeOpenAI) -> list[Any]:
    """
    Return the bodies of the paid requests.
    """
    return [call.body for call in provider.requests if is_paid(call)]


def is_paid(call: RecordedRequest) -> bool:
    """
    Return whether a request is paid for, unlike the creation of a conversation.
    """
    return call.method == "POST" and call.path != "/conversations"


def respond_with(body: bytes, kind: str = "application/json", status: int = 200) -> Fault:
    """
    Set the body of the response to the next paid request.
    """

    def respond(_: FakeRequest) -> FakeResponse:
        return FakeResponse(status=status, headers={"content-type": kind}, parts=iter((body,)))

    return Fault(method="POST", path="/responses", response=respond)


def reset_connection(method: str = "POST") -> Fault:
    """
    Break the connection after the request was received.
    """

    def transform(answer: FakeResponse) -> FakeResponse:
        return attrs.evolve(answer, parts=iter((ConnectionReset(),)))

    return Fault(method=method, path="/responses*", transform=transform)


def pending_turns(studio: Any) -> list[str]:
    """
    Return the turns whose intents are not settled.
    """
    return [file.name.split(".")[0] for file in unsettled(studio.library)]


def test_image_needs_one_request(studio: Any, provider: FakeOpenAI) -> None:
    """
    An image is requested as a stream of a background response, with no other request.
    """
    image = studio.generate("a teapot")
    (body,) = posts(provider)
    assert (body["background"], body["stream"], body["store"]) == (True, True, True)
    assert len(provider.requests) == 1
    assert image.cost.total is not None


@pytest.mark.usefixtures("hurried")
def test_polling_is_retried(studio: Any, provider: FakeOpenAI) -> None:
    """
    Errors while polling cost nothing and are retried; the paid request is not repeated.
    """
    provider.truncate_stream_after(2)
    provider.fail_next(status=400, method="GET", path="/responses/*")  # it is not streamed again
    for status in (500, 503, 429, 408):
        provider.fail_next(status=status, method="GET", path="/responses/*")
    provider.enqueue_fault(reset_connection("GET"))
    assert studio.generate("a teapot").bytes
    assert len(posts(provider)) == 1


def test_interrupted_stream_is_polled(studio: Any, provider: FakeOpenAI) -> None:
    """
    Wherever a background stream is interrupted, the image is found by the response id.
    """
    event_count = len(list(_events(studio, provider)))
    for events in range(1, event_count):
        provider.truncate_stream_after(events)
        *_, image = studio.stream("a teapot", partial_images=2)
        assert image.bytes
    assert len(posts(provider)) == event_count
    assert pending_turns(studio) == []


def _events(studio: Any, provider: FakeOpenAI) -> Iterator[bytes]:
    """
    Yield the events of a stream, as the provider sends them.
    """
    chunks: list[bytes] = []

    def transform(answer: FakeResponse) -> FakeResponse:
        def watch() -> Iterator[Any]:
            for part in answer.parts:
                if isinstance(part, bytes):
                    chunks.append(part)
                yield part

        return attrs.evolve(answer, parts=watch())

    provider.enqueue_fault(Fault(streaming=True, transform=transform))
    list(studio.stream("a teapot", partial_images=2))
    yield from chunks


def test_stream_interrupted_before_its_first_event_has_its_own_error(
    studio: Any, provider: FakeOpenAI
) -> None:
    """
    Without a response id or a conversation nothing can be looked up: the outcome is unknown, and
    the intent is kept.
    """
    provider.truncate_stream_after(0)
    with pytest.raises(StreamInterruptedError, match="before its last event") as caught:
        list(studio.stream("a teapot"))
    assert pending_turns(studio) == [caught.value.turn_id]
    assert len(posts(provider)) == 1


def test_plain_stream_is_used_without_background(studio: Any, provider: FakeOpenAI) -> None:
    """
    A provider that refuses background responses gets a plain stream request.
    """
    provider.fail_next(status=400, error=REJECTED_BACKGROUND, method="POST", path="/responses")
    image = studio.generate("a teapot")
    refused, plain = posts(provider)
    assert refused["background"]
    assert ("background" in plain, plain["stream"]) == (False, True)
    assert image.bytes


def test_interrupted_plain_stream_has_its_own_error(studio: Any, provider: FakeOpenAI) -> None:
    """
    Without a background response an interruption is final: the outcome is unknown, and the request
    is not repeated.
    """
    provider.fail_next(status=400, error=REJECTED_BACKGROUND, method="POST", path="/responses")
    provider.truncate_stream_after(3)
    with pytest.raises(StreamInterruptedError) as caught:
        studio.generate("a teapot")
    assert caught.value.response_id is not None
    assert len(posts(provider)) == 2
    assert pending_turns(studio) == [caught.value.turn_id]


def test_response_of_a_server_without_streams_is_parsed(studio: Any, provider: FakeOpenAI) -> None:
    """
    A server that answers a stream request with a plain response is supported.
    """
    studio.generate("a teapot")

    def respond(call: FakeRequest) -> FakeResponse:
        plain = {**json.loads(call.body), "stream": False, "background": False}
        return provider.handle(attrs.evolve(call, body=json.dumps(plain).encode()))

    provider.enqueue_fault(
        Fault(method="POST", path="/responses", streaming=True, response=respond)
    )
    (image,) = studio.stream("a teapot")
    assert image.bytes == studio.images.list()[1].bytes


@pytest.mark.parametrize(
    "status,error,kind",
    [
        (401, {"code": "invalid_api_key", "message": "wrong"}, AuthenticationError),
        (403, {"message": "must be verified"}, AuthenticationError),
        (429, {"code": "rate_limit_exceeded", "message": "slow"}, RateLimitError),
        (429, {"code": "insufficient_quota", "message": "pay"}, InsufficientQuotaError),
        (503, {"code": "server_is_overloaded", "message": "busy"}, ProviderUnavailableError),
    ],
)
def test_unprocessed_request_leaves_nothing(
    studio: Any,
    provider: FakeOpenAI,
    status: int,
    error: dict[str, str],
    kind: type[ImageSessionError],
) -> None:
    """
    A request that the provider did not process is a typed error; no turn and no intent remain.
    """
    provider.fail_next(status=status, error=error, method="POST", path="/responses")
    session = studio.session("x")
    with pytest.raises(kind):
        session.generate("a teapot")
    assert session.turns() == ()
    assert pending_turns(studio) == []
    assert len(posts(provider)) == 1


def test_rejected_request_is_recorded_as_a_failed_turn(studio: Any, provider: FakeOpenAI) -> None:
    """
    A request that the provider rejects is a typed error with its code, and a failed turn of the
    session.
    """
    provider.fail_next(
        status=400,
        error={"message": "no", "code": "invalid_value", "param": "size"},
        path="/responses",
    )
    session = studio.session("x")
    with pytest.raises(BadRequestError) as caught:
        session.generate("a teapot")
    assert (caught.value.code, caught.value.param) == ("invalid_value", "size")
    (turn,) = session.turns()
    assert (turn.status, turn.failure.error) == ("failed", "BadRequestError")


def test_history_lost_twice_is_rejected(studio: Any, provider: FakeOpenAI) -> None:
    """
    The full history is sent once, not repeatedly.
    """
    error = {"message": "gone", "code": "previous_response_not_found"}
    provider.fail_next(status=400, error=error, method="POST", path="/responses", times=2)
    session = studio.session("x")
    with pytest.raises(BadRequestError, match="gone"):
        session.generate("a teapot")
    assert len(posts(provider)) == 1


@pytest.mark.parametrize("status", [500, 502, 504, 529])
def test_server_error_after_sending_is_ambiguous(
    studio: Any, provider: FakeOpenAI, status: int
) -> None:
    """
    A server error may follow processed work: the request is not repeated.
    """
    provider.fail_next(status=status, error={"message": "broken"}, method="POST", path="/responses")
    with pytest.raises(OutcomeUnknownError, match="not sent again automatically") as caught:
        studio.generate("a teapot")
    assert isinstance(caught.value.__cause__, ProviderError)
    assert len(posts(provider)) == 1
    assert pending_turns(studio) == [caught.value.turn_id]


@pytest.mark.parametrize("streamed", [False, True])
def test_lost_response_is_ambiguous(studio: Any, provider: FakeOpenAI, *, streamed: bool) -> None:
    """
    If the connection breaks after the request was sent, it is not repeated. If there is no
    conversation to look in, the intent is kept.
    """
    provider.enqueue_fault(reset_connection())
    with pytest.raises(OutcomeUnknownError, match="may have been carried out and billed") as caught:
        list(studio.stream("a teapot")) if streamed else studio.generate("a teapot")
    assert len(posts(provider)) == 1
    assert pending_turns(studio) == [caught.value.turn_id]


@pytest.mark.parametrize("streamed", [False, True])
def test_lost_response_is_found_in_its_conversation(
    studio: Any, provider: FakeOpenAI, *, streamed: bool
) -> None:
    """
    If the connection breaks after the request was sent, the image is found in the conversation and
    returned as usual; its cost is reported as unknown.
    """
    session = studio.session("a logo", provider_state="conversation")
    first = session.generate("a teapot")
    for prompt in ("bluer", "with a sun"):
        provider.enqueue_fault(reset_connection())
        images = list(session.stream(prompt)) if streamed else [session.generate(prompt)]
        assert images[-1].turn.conversation == first.turn.conversation
        assert images[-1].prompt == prompt
        assert images[-1].turn.cost.total is None
    assert len({image.sha256 for image in session.images()}) == 3
    assert len(posts(provider)) == 3
    assert pending_turns(studio) == []


@pytest.mark.parametrize(
    "body,kind",
    [
        (b"<html>sign in</html>", "text/html"),
        (b'{"object": "response", "status": "comp', "application/json"),
        (b'{"status": "completed", "output": [{"type": "image_generation_call", "result": "%"}]}',
         "application/json"),
        (b"data: nonsense\n\n", "text/event-stream"),
    ],
)  # fmt: skip
def test_unreadable_paid_response_is_quarantined(
    studio: Any, provider: FakeOpenAI, body: bytes, kind: str
) -> None:
    """
    The error for an unreadable response names the file with its bytes.
    """
    provider.enqueue_fault(respond_with(body, kind))
    with pytest.raises(InvalidResponseError, match="quarantine") as caught:
        list(studio.stream("a teapot")) if kind == "text/event-stream" else studio.generate("x")
    quarantined = Path(str(caught.value).split(" are kept in ")[1].rstrip("."))
    assert quarantined.read_bytes() in body
    assert studio.images.list() == ()


def test_accepted_request_without_an_id_is_ambiguous(studio: Any, provider: FakeOpenAI) -> None:
    """
    A background response that cannot be looked up has an unknown outcome.
    """
    provider.enqueue_fault(respond_with(b'{"status": "queued"}'))
    with pytest.raises(OutcomeUnknownError, match="no id"):
        studio.generate("a teapot")


@pytest.mark.usefixtures("hurried")
def test_polling_times_out(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    An image that is not finished in time has an unknown outcome; its response id is in the error
    and in the journal.
    """
    provider = HoldingProvider()
    provider.hold()
    studio = make_studio(tmp_path, provider=provider, timeout=60)
    with pytest.raises(OutcomeUnknownError, match=r"no image 60\.\d seconds after") as caught:
        studio.generate("a teapot")
    (intent,) = (tmp_path / ".imagesession" / "journal").iterdir()
    (noted,) = [json.loads(line) for line in intent.read_text().splitlines()[1:]]
    assert noted == {
        "response_id": caught.value.response_id,
        "request_id": caught.value.request_id,
    }


def test_unauthorized_poll_is_ambiguous(studio: Any, provider: FakeOpenAI) -> None:
    """
    If the key becomes invalid after the request was accepted, the image is not given up.
    """
    provider.truncate_stream_after(2)
    provider.fail_next(status=401, method="GET", path="/responses/*", times=2)
    with pytest.raises(OutcomeUnknownError, match="does not return its outcome") as caught:
        studio.generate("a teapot")
    assert caught.value.response_id is not None
    assert len(pending_turns(studio)) == 1


def test_refused_connection_leaves_no_intent(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A refused connection proves that nothing was sent; no intent remains.
    """
    with serve(FakeOpenAI()) as served:
        unknown = served.base_url
    studio = make_studio(tmp_path, online=True, api_key="x", base_url=unknown)
    with pytest.raises(ProviderUnavailableError, match="nothing was sent"):
        studio.generate("a teapot")
    assert pending_turns(studio) == []


def test_missing_key_is_reported(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Without a key the library opens, and generating names the missing environment variable.
    """
    studio = make_studio(tmp_path, online=True)
    assert studio.images.list() == ()
    with pytest.raises(AuthenticationError, match="OPENAI_API_KEY"):
        studio.generate("a teapot")
    assert pending_turns(studio) == []


def test_key_is_never_shown(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    The key is in no repr, error or file of the library.
    """
    canary = "sk-canary-0123456789"
    with serve(FakeOpenAI(api_key="sk-another")) as served:
        studio = make_studio(tmp_path, online=True, api_key=canary, base_url=served.base_url)
        session = studio.session("x")
        with pytest.raises(AuthenticationError) as caught:
            session.generate("a teapot")
    assert canary not in repr(studio) + repr(session) + repr(caught.value) + str(caught.value)
    assert all(
        canary.encode() not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()
    )


def test_custom_client_is_used(
    request: pytest.FixtureRequest, make_studio: MakeStudio, tmp_path: Path
) -> None:
    """
    A client that the caller created is used without its own retries, and is left open.
    """
    is_async = "async" in request.node.name
    provider = FakeOpenAI(api_key="mine")
    with serve(provider) as served:
        make = openai.AsyncOpenAI if is_async else openai.OpenAI
        client = make(api_key="mine", base_url=served.base_url, max_retries=5)
        studio = make_studio(tmp_path, online=True, client=client)
        assert "127.0.0.1" in studio.provider
        provider.fail_next(status=500, method="POST", path="/responses")
        with pytest.raises(OutcomeUnknownError):
            studio.generate("a teapot")
        assert len(posts(provider)) == 1
        assert studio.generate("a teapot").bytes
        studio.close()
        assert not client.is_closed()


def test_full_disk_is_detected_before_paying(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    If images cannot be saved, none is requested.
    """
    monkeypatch.setattr("imagesession._store.disk.blobs.MIN_FREE_BYTES", 10**18)
    with pytest.raises(StorageIOError, match="Make room"):
        studio.generate("a teapot")
    assert posts(provider) == []


def test_missing_library_is_detected_before_paying(
    studio: Any, provider: FakeOpenAI, tmp_path: Path
) -> None:
    """
    If the library's folder no longer exists, no image is requested.
    """
    (tmp_path / "library").rename(tmp_path / "elsewhere")
    with pytest.raises(StorageIOError):
        studio.generate("a teapot")
    assert provider.requests == ()


def test_failing_disk_keeps_the_intent(studio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    If a paid image cannot be written, the error says so and its response id stays in the journal.
    """

    def fail_write(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("imagesession._store.disk.facts.create_durable", fail_write)
    with pytest.raises(StorageIOError, match="disk is full"):
        studio.generate("a teapot")
    assert len(pending_turns(studio)) == 1


def test_concurrent_generations_are_not_mixed_up(
    studio: Any, in_threads: Callable[[list[Callable[[], Any]]], None]
) -> None:
    """
    Concurrent generations each get their own image and record.
    """
    session = studio.session("x")
    in_threads([lambda number=number: session.generate(f"number {number}") for number in range(8)])  # type: ignore[misc]
    images = session.images()
    assert {image.prompt for image in images} == {f"number {number}" for number in range(8)}
    assert len({image.path for image in images}) == 8
    assert pending_turns(studio) == []


@pytest.mark.usefixtures("hurried")
def test_unreadable_poll_is_repeated(studio: Any, provider: FakeOpenAI) -> None:
    """
    An unreadable response to a poll, such as a captive portal's page, does not lose an accepted
    image.
    """
    page = FakeResponse(status=200, headers={"content-type": "text/html"}, parts=iter((b"<html>",)))
    provider.enqueue_fault(Fault(method="GET", path="/responses/*", response=lambda _: page))
    assert studio.generate("a teapot").bytes
    assert len(posts(provider)) == 1


@pytest.mark.parametrize(
    "event", [b"data: nonsense\n\n", b'data: {"type": "error", "code": "server_error"}\n\n']
)
def test_unreadable_stream_is_polled(studio: Any, provider: FakeOpenAI, event: bytes) -> None:
    """
    A garbled or failing event in a background stream does not lose the image.
    """

    def transform(answer: FakeResponse) -> FakeResponse:
        parts = answer.parts
        return attrs.evolve(answer, parts=iter((next(parts), event)))

    provider.enqueue_fault(Fault(streaming=True, transform=transform))
    *_, image = studio.stream("a teapot")
    assert image.bytes


def test_failed_turn_keeps_id_model_and_usage(studio: Any, provider: FakeOpenAI) -> None:
    """
    A refusal is billed too: its response id, model and usage are recorded.
    """
    session = studio.session("x")
    provider.refuse_next("No.")
    with pytest.raises(RefusalError):
        session.generate("a teapot")
    provider.fail_generation_next(code="rate_limit_exceeded")
    with pytest.raises(RateLimitError):
        session.generate("a teapot")
    refused, failed = session.turns()
    assert refused.response_id.startswith("resp_")
    assert refused.usage.mainline["total_tokens"] > 0
    assert refused.model
    assert (failed.status, failed.failure.error) == ("failed", "RateLimitError")
    assert failed.response_id.startswith("resp_")


def test_unreadable_image_does_not_lose_the_others(studio: Any, provider: FakeOpenAI) -> None:
    """
    Of a response with an unreadable image the others are saved, and the response is quarantined.
    """
    item = {"type": "image_generation_call", "result": base64.b64encode(tiny_image()).decode()}
    body = {"id": "resp_1", "status": "completed", "output": [{**item, "result": "%"}, item]}
    provider.enqueue_fault(respond_with(json.dumps(body).encode()))
    image = studio.generate("two teapots")
    assert image.bytes == tiny_image()
    (quarantined,) = (studio.library / ".imagesession" / "quarantine").iterdir()
    assert json.loads(quarantined.read_bytes()) == body


def test_id_of_an_immediate_response_is_recorded(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The response id is in the journal before anything else is done, even if the disk then fails.
    """
    item = {"type": "image_generation_call", "result": base64.b64encode(tiny_image()).decode()}
    body = {"id": "resp_1", "status": "completed", "output": [item]}
    provider.enqueue_fault(respond_with(json.dumps(body).encode()))

    def fail_write(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("imagesession._store.disk.blobs.write_temp", fail_write)
    with pytest.raises(StorageIOError, match="disk is full"):
        studio.generate("a teapot")
    (intent,) = (studio.library / ".imagesession" / "journal").iterdir()
    noted = [json.loads(line) for line in intent.read_text().splitlines()[1:]]
    assert [line.pop("request_id", "req_")[:4] for line in noted] == ["req_"]
    assert noted == [{"response_id": "resp_1"}]


def test_background_refused_twice_is_rejected(studio: Any, provider: FakeOpenAI) -> None:
    """
    If a provider refuses both forms of the request, the error is typed, and no intent remains.
    """
    provider.fail_next(
        status=400, error=REJECTED_BACKGROUND, method="POST", path="/responses", times=2
    )
    with pytest.raises(BadRequestError, match="no background here"):
        studio.generate("a teapot")
    assert pending_turns(studio) == []


def test_missing_image_for_the_history_leaves_no_intent(studio: Any, provider: FakeOpenAI) -> None:
    """
    If the last image's file is missing, the history cannot be sent: nothing is sent.
    """
    session = studio.session("x")
    image = session.generate("a teapot")
    provider.reset_memory()
    image.path.unlink()
    with pytest.raises(InvalidImageError, match=image.id):
        session.generate("bluer")
    assert pending_turns(studio) == []


def test_closed_studio_sends_nothing(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A closed studio raises a typed error and sends nothing.
    """
    studio = make_studio(tmp_path)
    studio.generate("a teapot")
    studio.close()
    with pytest.raises(InvalidRequestError, match="was closed"):
        studio.generate("bluer")
    assert len(studio.images.list()) == 1


@pytest.mark.parametrize("key", ["sk-ключ", "sk-a\nb", "   "])
def test_invalid_key_is_reported(make_studio: MakeStudio, tmp_path: Path, key: str) -> None:
    """
    A malformed key is refused before anything is sent.
    """
    with pytest.raises(AuthenticationError, match="key"):
        make_studio(tmp_path, online=True, api_key=key).generate("a teapot")


@pytest.mark.parametrize("streamed", [False, True])
def test_deadline_is_enforced(make_studio: MakeStudio, tmp_path: Path, *, streamed: bool) -> None:
    """
    A provider that only keeps the connection busy does not delay a call beyond its timeout.
    """
    provider = FakeOpenAI(latency=DAY)

    def busy(answer: FakeResponse) -> FakeResponse:
        def parts() -> Iterator[Any]:
            yield from itertools.islice(answer.parts, 2)
            for _ in itertools.count():
                yield Delay(0.05)
                yield b'data: {"type": "keepalive"}\n\n'

        return attrs.evolve(answer, parts=parts())

    provider.enqueue_fault(Fault(streaming=True, transform=busy))
    with serve(provider) as served:
        studio = make_studio(
            tmp_path, online=True, api_key="x", base_url=served.base_url, timeout=1
        )
        start = time.monotonic()
        with pytest.raises(OutcomeUnknownError):
            list(studio.stream("a teapot")) if streamed else studio.generate("a teapot")
        assert time.monotonic() - start < DAY / 2
