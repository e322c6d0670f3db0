"""
A picture that is paid for is asked for once and looked for until it is there. Every test runs
over the sync and the async twin, on the real openai client.
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
from tests.conftest import MakeStudio
from tests.unsettled import unsettled

REJECTED_BACKGROUND = {"message": "no background here", "param": "background", "code": "x"}


def posts(provider: FakeOpenAI) -> list[Any]:
    """
    Return the bodies of the requests that are paid for.
    """
    return [call.body for call in provider.requests if is_paid(call)]


def is_paid(call: RecordedRequest) -> bool:
    """
    Tell a request that is paid for from one that begins a conversation.
    """
    return call.method == "POST" and call.path != "/conversations"


def answering(body: bytes, kind: str = "application/json", status: int = 200) -> Fault:
    """
    Plan an answer with a body of one's own to the next paid request.
    """

    def instead(_: FakeRequest) -> FakeResponse:
        return FakeResponse(status=status, headers={"content-type": kind}, parts=iter((body,)))

    return Fault(method="POST", path="/responses", instead=instead)


def resetting(method: str = "POST") -> Fault:
    """
    Plan to break the connection once the call has been taken in.
    """

    def bend(answer: FakeResponse) -> FakeResponse:
        return attrs.evolve(answer, parts=iter((ConnectionReset(),)))

    return Fault(method=method, path="/responses*", bend=bend)


def journal(studio: Any) -> list[str]:
    """
    Return the turns whose intents are not settled.
    """
    return [file.name.split(".")[0] for file in unsettled(studio.library)]


def test_a_picture_comes_with_one_request(studio: Any, provider: FakeOpenAI) -> None:
    """
    A picture is requested as a stream in the background, and nothing else is asked for.
    """
    image = studio.generate("a teapot")
    (body,) = posts(provider)
    assert (body["background"], body["stream"], body["store"]) == (True, True, True)
    assert len(provider.requests) == 1
    assert image.cost.total is not None


@pytest.mark.usefixtures("hurried")
def test_looking_is_tried_again(studio: Any, provider: FakeOpenAI) -> None:
    """
    Failures while looking cost nothing and are overcome; the paid request is not repeated.
    """
    provider.truncate_stream_after(2)
    provider.fail_next(status=400, method="GET", path="/responses/*")  # it is not streamed again
    for status in (500, 503, 429, 408):
        provider.fail_next(status=status, method="GET", path="/responses/*")
    provider.enqueue_fault(resetting("GET"))
    assert studio.generate("a teapot").bytes
    assert len(posts(provider)) == 1


def test_a_cut_stream_is_looked_up(studio: Any, provider: FakeOpenAI) -> None:
    """
    Wherever a background stream is cut, the picture is found by its id.
    """
    whole = len(list(_events(studio, provider)))
    for events in range(1, whole):
        provider.truncate_stream_after(events)
        *_, image = studio.stream("a teapot", partial_images=2)
        assert image.bytes
    assert len(posts(provider)) == whole
    assert journal(studio) == []


def _events(studio: Any, provider: FakeOpenAI) -> Iterator[bytes]:
    """
    Yield the events of a stream, as the provider sends them.
    """
    seen: list[bytes] = []

    def bend(answer: FakeResponse) -> FakeResponse:
        def watch() -> Iterator[Any]:
            for part in answer.parts:
                if isinstance(part, bytes):
                    seen.append(part)
                yield part

        return attrs.evolve(answer, parts=watch())

    provider.enqueue_fault(Fault(streaming=True, bend=bend))
    list(studio.stream("a teapot", partial_images=2))
    yield from seen


def test_a_stream_cut_before_its_first_event_is_an_error_of_its_own(
    studio: Any, provider: FakeOpenAI
) -> None:
    """
    Without an id or a conversation nothing can be looked up: the outcome is unknown, and the
    intent is kept.
    """
    provider.truncate_stream_after(0)
    with pytest.raises(StreamInterruptedError, match="before its last event") as caught:
        list(studio.stream("a teapot"))
    assert journal(studio) == [caught.value.turn_id]
    assert len(posts(provider)) == 1


def test_without_background_a_plain_stream_is_used(studio: Any, provider: FakeOpenAI) -> None:
    """
    A provider that refuses background work is asked by a plain stream.
    """
    provider.fail_next(status=400, error=REJECTED_BACKGROUND, method="POST", path="/responses")
    image = studio.generate("a teapot")
    refused, plain = posts(provider)
    assert refused["background"]
    assert ("background" in plain, plain["stream"]) == (False, True)
    assert image.bytes


def test_a_plain_stream_that_is_cut_is_an_error_of_its_own(
    studio: Any, provider: FakeOpenAI
) -> None:
    """
    Without background work a cut ends it: the outcome is unknown, and is not asked for again.
    """
    provider.fail_next(status=400, error=REJECTED_BACKGROUND, method="POST", path="/responses")
    provider.truncate_stream_after(3)
    with pytest.raises(StreamInterruptedError) as caught:
        studio.generate("a teapot")
    assert caught.value.response_id is not None
    assert len(posts(provider)) == 2
    assert journal(studio) == [caught.value.turn_id]


def test_a_server_that_does_not_stream_is_read(studio: Any, provider: FakeOpenAI) -> None:
    """
    A server that answers a stream request with a plain reply is understood.
    """
    studio.generate("a teapot")
    response_id = studio.images.list()[0].turn.response_id

    def instead(call: FakeRequest) -> FakeResponse:
        return provider.handle(
            attrs.evolve(call, method="GET", path=f"/responses/{response_id}", body=b"")
        )

    provider.enqueue_fault(Fault(method="POST", path="/responses", streaming=True, instead=instead))
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
def test_what_was_not_taken_up_leaves_nothing(
    studio: Any,
    provider: FakeOpenAI,
    status: int,
    error: dict[str, str],
    kind: type[ImageSessionError],
) -> None:
    """
    A request that the provider turned away is a typed error; no turn and no intent remain.
    """
    provider.fail_next(status=status, error=error, method="POST", path="/responses")
    session = studio.session("x")
    with pytest.raises(kind):
        session.generate("a teapot")
    assert session.turns() == ()
    assert journal(studio) == []
    assert len(posts(provider)) == 1


def test_a_rejected_request_is_kept_as_a_failed_turn(studio: Any, provider: FakeOpenAI) -> None:
    """
    What the provider finds wrong is a typed error with its code, and a fact of the session.
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


def test_a_conversation_that_is_lost_twice_is_rejected(studio: Any, provider: FakeOpenAI) -> None:
    """
    The conversation is told again once, not for ever.
    """
    gone = {"message": "gone", "code": "previous_response_not_found"}
    provider.fail_next(status=400, error=gone, method="POST", path="/responses", times=2)
    session = studio.session("x")
    with pytest.raises(BadRequestError, match="gone"):
        session.generate("a teapot")
    assert len(posts(provider)) == 1


@pytest.mark.parametrize("status", [500, 502, 504, 529])
def test_a_breakdown_after_sending_is_ambiguous(
    studio: Any, provider: FakeOpenAI, status: int
) -> None:
    """
    A server error may have come after the work was done: it is not asked again.
    """
    provider.fail_next(status=status, error={"message": "broken"}, method="POST", path="/responses")
    with pytest.raises(OutcomeUnknownError, match="not asked for again") as caught:
        studio.generate("a teapot")
    assert isinstance(caught.value.__cause__, ProviderError)
    assert len(posts(provider)) == 1
    assert journal(studio) == [caught.value.turn_id]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_lost_answer_is_ambiguous(studio: Any, provider: FakeOpenAI, *, streamed: bool) -> None:
    """
    When the connection breaks after the request was sent, it is sent once. Where the provider has
    no conversation in which its answer could be found, its intent is kept.
    """
    provider.enqueue_fault(resetting())
    with pytest.raises(OutcomeUnknownError, match="may have been made and billed") as caught:
        list(studio.stream("a teapot")) if streamed else studio.generate("a teapot")
    assert len(posts(provider)) == 1
    assert journal(studio) == [caught.value.turn_id]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_lost_answer_is_found_in_its_conversation(
    studio: Any, provider: FakeOpenAI, *, streamed: bool
) -> None:
    """
    When the connection breaks after the request was sent, what the provider made of it is found in
    the conversation, and comes as if nothing had happened; what it cost is said to be unknown.
    """
    session = studio.session("a logo", provider_state="conversation")
    first = session.generate("a teapot")
    for prompt in ("bluer", "with a sun"):
        provider.enqueue_fault(resetting())
        came = list(session.stream(prompt)) if streamed else [session.generate(prompt)]
        assert came[-1].turn.conversation == first.turn.conversation
        assert came[-1].prompt == prompt
        assert came[-1].turn.cost.total is None
    assert len({image.sha256 for image in session.images()}) == 3
    assert len(posts(provider)) == 3
    assert journal(studio) == []


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
def test_what_was_paid_for_and_makes_no_sense_is_kept(
    studio: Any, provider: FakeOpenAI, body: bytes, kind: str
) -> None:
    """
    A reply that cannot be read is an error that names the file with its bytes.
    """
    provider.enqueue_fault(answering(body, kind))
    with pytest.raises(InvalidResponseError, match="quarantine") as caught:
        list(studio.stream("a teapot")) if kind == "text/event-stream" else studio.generate("x")
    kept = Path(str(caught.value).split(" are kept in ")[1].rstrip("."))
    assert kept.read_bytes() in body
    assert studio.images.list() == ()


def test_an_accepted_request_without_an_id_is_ambiguous(studio: Any, provider: FakeOpenAI) -> None:
    """
    Work in the background that cannot be looked up has an unknown outcome.
    """
    provider.enqueue_fault(answering(b'{"status": "queued"}'))
    with pytest.raises(OutcomeUnknownError, match="no id"):
        studio.generate("a teapot")


def test_waiting_ends(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A picture that does not come in time has an unknown outcome, whose id is in the error and in
    the journal.
    """
    provider = FakeOpenAI(latency=60)
    with serve(provider) as served:
        studio = make_studio(
            tmp_path, online=True, api_key="x", base_url=served.base_url, timeout=0.3
        )
        with pytest.raises(OutcomeUnknownError, match=r"no picture \d\.\d seconds after") as caught:
            studio.generate("a teapot")
    (intent,) = (tmp_path / ".imagesession" / "journal").iterdir()
    noted, let_go = [json.loads(line) for line in intent.read_text().splitlines()[1:]]
    assert noted == {"response_id": caught.value.response_id}
    assert let_go == {"owner": None}


def test_a_reply_that_is_withheld_is_ambiguous(studio: Any, provider: FakeOpenAI) -> None:
    """
    When the key stops working after the request was accepted, the picture is not given up.
    """
    provider.truncate_stream_after(2)
    provider.fail_next(status=401, method="GET", path="/responses/*", times=2)
    with pytest.raises(OutcomeUnknownError, match="will not show its outcome") as caught:
        studio.generate("a teapot")
    assert caught.value.response_id is not None
    assert len(journal(studio)) == 1


def test_an_unreachable_provider_was_sent_nothing(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A refused connection is proof that nothing was sent; no intent remains.
    """
    with serve(FakeOpenAI()) as served:
        unknown = served.base_url
    studio = make_studio(tmp_path, online=True, api_key="x", base_url=unknown)
    with pytest.raises(ProviderUnavailableError, match="nothing was sent"):
        studio.generate("a teapot")
    assert journal(studio) == []


def test_no_key_is_said_plainly(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Without a key the library opens, and generating says which variable is missing.
    """
    studio = make_studio(tmp_path, online=True)
    assert studio.images.list() == ()
    with pytest.raises(AuthenticationError, match="OPENAI_API_KEY"):
        studio.generate("a teapot")
    assert journal(studio) == []


def test_the_key_is_shown_nowhere(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A key is in no repr, error or file of the library.
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


def test_a_client_of_ones_own_is_used(
    request: pytest.FixtureRequest, make_studio: MakeStudio, tmp_path: Path
) -> None:
    """
    A client that the caller made is used without its own retries, and is left open.
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


def test_a_full_disk_is_found_before_paying(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Where pictures cannot be kept, none is asked for.
    """
    monkeypatch.setattr("imagesession._store.repository.MIN_FREE_BYTES", 10**18)
    with pytest.raises(StorageIOError, match="Make room"):
        studio.generate("a teapot")
    assert posts(provider) == []


def test_a_library_that_went_away_is_found_before_paying(
    studio: Any, provider: FakeOpenAI, tmp_path: Path
) -> None:
    """
    When the library's folder is no longer there, none is asked for.
    """
    (tmp_path / "library").rename(tmp_path / "elsewhere")
    with pytest.raises(StorageIOError):
        studio.generate("a teapot")
    assert provider.requests == ()


def test_a_failing_disk_leaves_the_intent(studio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    When a paid picture cannot be written, the error says so and its id stays in the journal.
    """

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("imagesession._store.repository.create_durable", full)
    with pytest.raises(StorageIOError, match="disk is full"):
        studio.generate("a teapot")
    assert len(journal(studio)) == 1


def test_many_at_once_do_not_get_mixed_up(
    studio: Any, in_threads: Callable[[list[Callable[[], Any]]], None]
) -> None:
    """
    Generations that run at the same time each get their own picture and record.
    """
    session = studio.session("x")
    in_threads([lambda number=number: session.generate(f"number {number}") for number in range(8)])  # type: ignore[misc]
    images = session.images()
    assert {image.prompt for image in images} == {f"number {number}" for number in range(8)}
    assert len({image.path for image in images}) == 8
    assert journal(studio) == []


@pytest.mark.usefixtures("hurried")
def test_a_look_that_makes_no_sense_is_repeated(studio: Any, provider: FakeOpenAI) -> None:
    """
    A captive portal's page in between does not cost a picture that was accepted.
    """
    page = FakeResponse(status=200, headers={"content-type": "text/html"}, parts=iter((b"<html>",)))
    provider.enqueue_fault(Fault(method="GET", path="/responses/*", instead=lambda _: page))
    assert studio.generate("a teapot").bytes
    assert len(posts(provider)) == 1


@pytest.mark.parametrize(
    "event", [b"data: nonsense\n\n", b'data: {"type": "error", "code": "server_error"}\n\n']
)
def test_a_stream_that_makes_no_sense_is_looked_up(
    studio: Any, provider: FakeOpenAI, event: bytes
) -> None:
    """
    A garbled or failing event in a background stream does not cost the picture.
    """

    def bend(answer: FakeResponse) -> FakeResponse:
        parts = answer.parts
        return attrs.evolve(answer, parts=iter((next(parts), event)))

    provider.enqueue_fault(Fault(streaming=True, bend=bend))
    *_, image = studio.stream("a teapot")
    assert image.bytes


def test_a_failure_keeps_what_is_known_of_it(studio: Any, provider: FakeOpenAI) -> None:
    """
    A refusal was billed too: its id, model and usage stand in the record.
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


def test_one_spoilt_picture_does_not_cost_the_others(studio: Any, provider: FakeOpenAI) -> None:
    """
    Of a reply with a spoilt picture the others are kept, and all its bytes.
    """
    item = {"type": "image_generation_call", "result": base64.b64encode(tiny_image()).decode()}
    body = {"id": "resp_1", "status": "completed", "output": [{**item, "result": "%"}, item]}
    provider.enqueue_fault(answering(json.dumps(body).encode()))
    image = studio.generate("two teapots")
    assert image.bytes == tiny_image()
    (kept,) = (studio.library / ".imagesession" / "quarantine").iterdir()
    assert json.loads(kept.read_bytes()) == body


def test_a_reply_that_is_finished_at_once_is_noted(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The provider's id is in the journal before anything else is done, even if the disk then fails.
    """
    item = {"type": "image_generation_call", "result": base64.b64encode(tiny_image()).decode()}
    body = {"id": "resp_1", "status": "completed", "output": [item]}
    provider.enqueue_fault(answering(json.dumps(body).encode()))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("imagesession._store.image_files.write_temp", full)
    with pytest.raises(StorageIOError, match="disk is full"):
        studio.generate("a teapot")
    (intent,) = (studio.library / ".imagesession" / "journal").iterdir()
    noted = [json.loads(line) for line in intent.read_text().splitlines()[1:]]
    assert noted == [{"response_id": "resp_1"}, {"owner": None}]


def test_a_provider_that_refuses_background_twice_is_a_rejection(
    studio: Any, provider: FakeOpenAI
) -> None:
    """
    A provider that refuses both ways is a typed error, and no intent remains open.
    """
    provider.fail_next(
        status=400, error=REJECTED_BACKGROUND, method="POST", path="/responses", times=2
    )
    with pytest.raises(BadRequestError, match="no background here"):
        studio.generate("a teapot")
    assert journal(studio) == []


def test_a_picture_that_cannot_be_shown_again_leaves_no_intent(
    studio: Any, provider: FakeOpenAI
) -> None:
    """
    When the last picture's file is gone, the conversation cannot be told again: nothing is sent.
    """
    session = studio.session("x")
    image = session.generate("a teapot")
    provider.reset_memory()
    image.path.unlink()
    with pytest.raises(InvalidImageError, match=image.id):
        session.generate("bluer")
    assert journal(studio) == []


def test_a_closed_studio_says_so(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A studio that was closed sends nothing more, with a typed error.
    """
    studio = make_studio(tmp_path)
    studio.generate("a teapot")
    studio.close()
    with pytest.raises(InvalidRequestError, match="was closed"):
        studio.generate("bluer")
    assert len(studio.images.list()) == 1


@pytest.mark.parametrize("key", ["sk-ключ", "sk-a\nb", "   "])
def test_a_broken_key_is_said_plainly(make_studio: MakeStudio, tmp_path: Path, key: str) -> None:
    """
    A key that cannot be one is refused before anything is sent.
    """
    with pytest.raises(AuthenticationError, match="key"):
        make_studio(tmp_path, online=True, api_key=key).generate("a teapot")


@pytest.mark.parametrize("streamed", [False, True])
def test_the_deadline_holds(make_studio: MakeStudio, tmp_path: Path, *, streamed: bool) -> None:
    """
    A provider that only keeps the line busy does not hold a call beyond its timeout.
    """
    provider = FakeOpenAI(latency=60)

    def busy(answer: FakeResponse) -> FakeResponse:
        def parts() -> Iterator[Any]:
            yield from itertools.islice(answer.parts, 2)
            for _ in range(200):
                yield Delay(0.05)
                yield b'data: {"type": "keepalive"}\n\n'

        return attrs.evolve(answer, parts=parts())

    provider.enqueue_fault(Fault(streaming=True, bend=busy))
    with serve(provider) as served:
        studio = make_studio(
            tmp_path, online=True, api_key="x", base_url=served.base_url, timeout=0.4
        )
        start = time.monotonic()
        with pytest.raises(OutcomeUnknownError):
            list(studio.stream("a teapot")) if streamed else studio.generate("a teapot")
        assert time.monotonic() - start < 3
