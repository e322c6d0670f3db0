"""
Outcomes are found in conversations: which turn an image belongs to, and when a missing item is
proof.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from imagesession import Budget
from imagesession._domain.options import GenerateOptions
from imagesession._domain.turn import Turn
from imagesession._engine import acceptance
from imagesession._engine.conversation_lookup import find_outcome
from imagesession._engine.http import HttpResponse
from imagesession._engine.poll import MIN_REQUEST_TIMEOUT
from imagesession._engine.provider_errors import is_responses_unsupported, map_error_response
from imagesession._runtime import openai_transport
from imagesession._runtime.lazy_client import ProcessMemory
from imagesession.errors import (
    BadRequestError,
    BudgetExceededError,
    ContentBlockedError,
    OutcomeUnknownError,
    RefusalError,
)
from imagesession.testing import (
    ConnectionReset,
    Delay,
    FakeOpenAI,
    FakeRequest,
    FakeResponse,
    Fault,
    serve,
    tiny_image,
)
from tests.clock import DAY
from tests.conftest import MakeStudio
from tests.sent import asked, posts

Json = dict[str, Any]
ITEMS = "/conversations/*"
TURN = Turn(
    id="0" * 26,
    prompt="x",
    options=GenerateOptions(),
    started=dt.datetime(2026, 11, 24, tzinfo=dt.UTC),
)


def studio_with_conversations(
    make_studio: MakeStudio, library: Path, provider: FakeOpenAI, **more: Any
) -> Any:
    """
    Make a studio that uses conversations.
    """
    return make_studio(library, provider=provider, provider_state="conversation", **more)


def answer_with(body: object, status: int = 200) -> Callable[[FakeRequest], FakeResponse]:
    """
    Return a handler that answers with a body: text or any JSON value.
    """
    text = body if isinstance(body, str) else json.dumps(body)

    def instead(_: FakeRequest) -> FakeResponse:
        headers = {"content-type": "application/json"}
        return FakeResponse(status=status, headers=headers, parts=iter((text.encode(),)))

    return instead


def answer_conversation_requests(
    provider: FakeOpenAI, body: object, status: int = 200, times: int = 1
) -> None:
    """
    Answer the next requests for a conversation with a body.
    """
    for _ in range(times):
        provider.enqueue_fault(
            Fault(method="POST", path="/conversations", response=answer_with(body, status))
        )


def reject_next(provider: FakeOpenAI, body: object, status: int) -> None:
    """
    Reject the next paid request with a body.
    """
    provider.enqueue_fault(
        Fault(method="POST", path="/responses", response=answer_with(body, status))
    )


def drop_next_request(provider: FakeOpenAI, path: str = "/responses") -> None:
    """
    Lose the next paid request before it reaches the provider.
    """

    def instead(_: FakeRequest) -> FakeResponse:
        return FakeResponse(headers={}, parts=iter([ConnectionReset()]))

    provider.enqueue_fault(Fault(method="POST", path=path, response=instead))


def lose_next_reply(provider: FakeOpenAI) -> None:
    """
    Lose the next reply to a paid request.
    """

    def bend(answer: FakeResponse) -> FakeResponse:
        return attrs.evolve(answer, parts=iter([ConnectionReset()]))

    provider.enqueue_fault(Fault(method="POST", path="/responses", transform=bend))


def fail_next_polls(provider: FakeOpenAI, times: int = 1) -> None:
    """
    Fail the next polls of a conversation.
    """
    provider.fail_next(status=500, method="GET", path=ITEMS, times=times)


def list_next(provider: FakeOpenAI, *items: Json, has_more: bool = False) -> None:
    """
    Answer the next poll of a conversation with items.
    """
    body = {"object": "list", "data": list(items), "has_more": has_more}
    provider.enqueue_fault(Fault(method="GET", path=ITEMS, response=answer_with(body)))


def user_message(text: str = "x") -> Json:
    """
    Build a user message, as it is listed.
    """
    part = {"type": "input_text", "text": text}
    return {"type": "message", "id": "msg_user", "role": "user", "content": [part]}


def image_call(call_id: str | None, result: object = None, **facts: object) -> Json:
    """
    Build an image call, as it is listed.
    """
    item = {"type": "image_generation_call", "id": call_id, "result": result, **facts}
    return {name: value for name, value in item.items() if value is not None}


def encoded_image(shade: int = 0) -> str:
    """
    Return an image in base64.
    """
    return base64.b64encode(tiny_image(colour=(0, 0, shade))).decode("ascii")


def pass_acceptance_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Let 15 minutes pass.
    """
    monkeypatch.setattr(acceptance, "ACCEPTANCE_TIMEOUT", dt.timedelta(0))


# --- which turn an image belongs to -------------------------------------------------------------


@pytest.mark.parametrize("second", ["failed", "unreadable"])
def test_items_of_previous_turn_are_not_this_turns(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, second: str
) -> None:
    """
    A reply may end with a failed call or an unreadable image. In the same conversation this proves
    nothing about the next turn, which stays pending.
    """
    studio = studio_with_conversations(make_studio, tmp_path, provider)
    session = studio.session("a logo")
    first = session.generate("a teapot")
    rest = {
        "failed": image_call("ig_second", status="failed", error={"code": "server_error"}),
        "unreadable": image_call("ig_second", "!!!", status="completed"),
    }[second]
    drop_next_request(provider)
    for _ in range(2):
        list_next(
            provider,
            rest,
            image_call(first.turn.images[0].call_id, encoded_image()),
            user_message(),
        )
    fail_next_polls(provider, 99)
    with pytest.raises(OutcomeUnknownError):
        session.generate("bluer")
    recovered = studio.recover(timeout=0)
    assert (recovered.images, recovered.failed) == ((), ())
    assert len(recovered.still_pending) == 1
    assert len(session.turns()) == 1


def test_all_images_of_long_reply_are_found(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    All images of a reply are kept in order, whatever their number and the items between them,
    whether the branch starts in that conversation or continues it.
    """
    session = studio_with_conversations(make_studio, tmp_path, provider).session("a logo")
    items: list[Json] = []
    list_in_pages(provider, items)
    for start in (0, 100):
        names = [f"ig_{number}" for number in range(start, start + 12)]
        thoughts = [{"type": "reasoning", "id": f"rs_{name}"} for name in names]
        calls = [image_call(name, encoded_image(start + at)) for at, name in enumerate(names)]
        answer = [item for pair in zip(thoughts, calls, strict=True) for item in pair]
        items[:0] = [*answer[::-1], user_message()]
        lose_next_reply(provider)
        image = session.generate("bluer")
        assert [item.call_id for item in image.turn.images] == names
        assert len({item.sha256 for item in image.turn.images}) == len(names)
    assert len(posts(provider)) == 2


def list_in_pages(provider: FakeOpenAI, items: list[Json]) -> None:
    """
    Answer polls with a conversation's items page by page, the latest first, as a provider does.
    """

    def instead(request: FakeRequest) -> FakeResponse:
        limit, after = int(request.query["limit"]), request.query.get("after")
        start = next((index + 1 for index, item in enumerate(items) if item.get("id") == after), 0)
        more = start + limit < len(items)
        return answer_with({"data": items[start : start + limit], "has_more": more})(request)

    for _ in range(99):
        provider.enqueue_fault(Fault(method="GET", path=ITEMS, response=instead))


@pytest.mark.parametrize("status", ["in_progress", "generating", "completed", None])
def test_call_without_image_proves_nothing(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, status: str | None
) -> None:
    """
    A call without image and error is running, or not listed in full: it settles nothing, and a
    later poll finds its image.
    """
    studio = studio_with_conversations(make_studio, tmp_path, provider)
    lose_next_reply(provider)
    list_next(provider, image_call("ig_new", status=status), user_message())
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot")
    (image,) = studio.recover(timeout=0).images
    assert image.prompt == "a teapot"
    assert len(posts(provider)) == 1


def test_failed_call_settles_its_turn(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A call with an error has failed, and so has its turn.
    """
    studio = studio_with_conversations(make_studio, tmp_path, provider)
    lose_next_reply(provider)
    blocked = {"code": "moderation_blocked", "message": "no"}
    list_next(provider, image_call("ig_new", status="failed", error=blocked), user_message())
    with pytest.raises(ContentBlockedError):
        studio.generate("a teapot")
    assert studio.requests.pending() == ()


def test_oldest_first_list_is_recognised(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A complete list in the reverse order is recognised; a prompt without an answer stays pending.
    """
    studio = studio_with_conversations(make_studio, tmp_path, provider)
    lose_next_reply(provider)
    list_next(provider, user_message(), image_call("ig_new", encoded_image()))
    assert studio.generate("a teapot").turn.images[0].call_id == "ig_new"
    drop_next_request(provider)
    list_next(provider, user_message())
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a cup")


def test_too_large_page_is_listed_item_by_item(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A page above the size limit is requested again in smaller pages.
    """
    studio = studio_with_conversations(make_studio, tmp_path, provider)
    items = [
        {"type": "message", "id": "msg_1", "pad": "x" * 9000},
        image_call("ig_1", encoded_image()),
        user_message(),
    ]
    list_in_pages(provider, items)
    lose_next_reply(provider)
    monkeypatch.setattr(openai_transport, "MAX_BODY_BYTES", 9300)
    assert studio.generate("a teapot").turn.images[0].call_id == "ig_1"


# --- which conversation is used -------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"id": "conv_\ud800aaa"},
        {"id": "conv_1\n"},
        {"id": ".."},
        {"id": "x" * 10_000},
        {"id": 5},
        {"object": "conversation"},
        [1],
        "<html>",
        "",
    ],
)
def test_invalid_conversation_id_is_not_used(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, body: object
) -> None:
    """
    If a server answers the request for a conversation without a valid id, the image is made
    without a conversation.
    """
    answer_conversation_requests(provider, body, times=2)
    studio = studio_with_conversations(make_studio, tmp_path, provider)
    assert studio.generate("a teapot").turn.conversation is None
    assert studio.generate("a teapot").turn.conversation is not None


def test_conversation_id_is_quoted_in_path(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    An id is looked up unchanged, even if its characters have a meaning in URLs.
    """
    answer_conversation_requests(provider, {"id": "a/b?c#d"})
    studio = studio_with_conversations(make_studio, tmp_path, provider)
    drop_next_request(provider)
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot")
    assert studio.requests.pending()[0].turn.conversation == "a/b?c#d"
    polls = [request for request in provider.requests if request.method == "GET"]
    assert {poll.query.get("order") for poll in polls} == {"desc"}


@pytest.mark.parametrize(
    "status,body,context",
    [
        (404, {"error": {"message": "Conversation not found"}}, "continued"),
        (404, {"detail": "Conversation 3f2b-11 not found"}, "continued"),
        (400, {"error": {"message": "Unknown parameter: 'conversation'."}}, "rebuilt"),
        (400, {"error": 'json: unknown field "conversation"'}, "rebuilt"),
        (
            422,
            {"detail": [{"type": "extra_forbidden", "loc": ["body", "conversation"]}]},
            "rebuilt",
        ),
    ],
)
def test_compatible_servers_conversation_errors_are_recognised(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    *,
    status: int,
    body: object,
    context: str,
) -> None:
    """
    Errors for an unknown or unsupported conversation are recognised in many forms. The branch goes
    on in a new conversation, or with history from the library, and not at the Images API.
    """
    session = studio_with_conversations(make_studio, tmp_path, provider).session("a logo")
    session.generate("a teapot")
    reject_next(provider, body, status)
    assert session.generate("bluer").turn.context == context
    assert posts(provider) == ["/responses"] * 3


@pytest.mark.parametrize("status", [409, 429])
def test_conflict_and_rate_limit_are_not_conversation_errors(status: int) -> None:
    """
    A conflict that is not the lock, and a rate limit, do not reject the conversation, so the
    request is not sent elsewhere.
    """
    error = {"error": {"message": "Conversation not found", "param": "conversation"}}
    mapped = map_error_response(HttpResponse(status=status, body=json.dumps(error).encode()))
    assert type(mapped).__name__ == {409: "ProviderError", 429: "RateLimitError"}[status]
    assert not is_responses_unsupported(HttpResponse(status=404, body=json.dumps(error).encode()))


def test_blocked_request_is_not_sent_again(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A request that moderation blocked is not sent again, even if the message names an item.
    """
    session = studio_with_conversations(make_studio, tmp_path, provider).session("a logo")
    session.generate("a teapot")
    error = {"code": "moderation_blocked", "message": "The item ig_0123456789 was blocked."}
    reject_next(provider, {"error": error}, 400)
    with pytest.raises(RefusalError):
        session.generate("bluer")
    assert len(posts(provider)) == 2


def test_conversation_error_without_conversation_is_raised(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A request without a conversation that is rejected because of one ends in a typed error.
    """
    studio = studio_with_conversations(make_studio, tmp_path, provider)
    answer_conversation_requests(provider, {}, status=404)
    reject_next(provider, {"error": {"message": "Conversation conv_0123456789 not found"}}, 404)
    with pytest.raises(BadRequestError):
        studio.generate("a teapot")
    assert studio.requests.pending() == ()


def test_images_api_request_has_no_conversation(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    If a server has conversations but no Responses API, a lost reply of the Images API is unknown
    for good: no conversation proves that it was not accepted, and it is not paid twice.
    """
    studio = studio_with_conversations(make_studio, tmp_path, provider, budget=Budget(per_day=1.0))
    reject_next(provider, {"error": {"message": "Not found"}}, 404)
    drop_next_request(provider, "/images/generations")
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot", idempotency_key="teapot")
    pass_acceptance_timeout(monkeypatch)
    (turn,) = studio.recover(timeout=0).failed
    assert (turn.failure.error, turn.conversation) == ("OutcomeUnknownError", None)
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot", idempotency_key="teapot")
    assert posts(provider) == ["/responses", "/images/generations"]


@pytest.mark.usefixtures("hurried")
def test_expired_file_keeps_recorded_conversation(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    If a request moved to another conversation and is sent again without files, it uses the
    conversation in the journal.
    """
    studio = studio_with_conversations(make_studio, tmp_path, provider)
    session = studio.session("a logo")
    session.generate("a teapot")
    locked = {"message": "busy", "code": "conversation_locked", "param": "conversation"}
    provider.fail_next(status=400, error=locked, method="POST", path="/responses", times=3)
    gone = {"message": "No such file: file-abcdef123"}
    provider.fail_next(status=404, error=gone, method="POST", path="/responses")
    lose_next_reply(provider)
    fail_next_polls(provider)
    with pytest.raises(OutcomeUnknownError):
        session.generate("bluer", references=tiny_image())
    (pending,) = studio.requests.pending()
    assert pending.turn.conversation == asked(provider)[-1]["conversation"]
    (image,) = studio.recover(timeout=0).images
    assert image.prompt == "bluer"


# --- time and money -------------------------------------------------------------------------------


def test_silent_conversation_does_not_exceed_timeout(
    make_studio: MakeStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Polls of a silent conversation end with the time of the call or recovery, not with an answer.
    """
    # Without the patience of tests/conftest.py.
    monkeypatch.setattr(find_outcome, "__kwdefaults__", {"least": MIN_REQUEST_TIMEOUT})
    provider = FakeOpenAI()

    def silent(_: FakeRequest) -> FakeResponse:
        return FakeResponse(headers={}, parts=iter([Delay(DAY), b"{}"]))

    for method, path in (("POST", "/responses"), ("GET", ITEMS), ("GET", ITEMS)):
        provider.enqueue_fault(Fault(method=method, path=path, response=silent))
    with serve(provider) as served:
        studio = make_studio(
            tmp_path, online=True, api_key="x", base_url=served.base_url, timeout=1.0,
            provider_state="conversation",
        )  # fmt: skip
        start = time.monotonic()
        with pytest.raises(OutcomeUnknownError):
            studio.generate("a teapot")
        assert len(studio.recover(timeout=0).still_pending) == 1
        assert time.monotonic() - start < DAY / 2


def test_missing_conversation_is_given_up_after_15_minutes(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A conversation that is not found may be known later; it is given up no sooner than 15 minutes
    after the request.
    """
    studio = studio_with_conversations(make_studio, tmp_path, provider)
    lose_next_reply(provider)
    provider.fail_next(status=404, method="GET", path=ITEMS, times=2)
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot")
    assert len(studio.recover(timeout=0).still_pending) == 1
    assert len(studio.recover(timeout=0).images) == 1
    lose_next_reply(provider)
    provider.fail_next(status=404, method="GET", path=ITEMS, times=2)
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a cup")
    pass_acceptance_timeout(monkeypatch)
    assert len(studio.recover(timeout=0).failed) == 1


@pytest.mark.usefixtures("hurried")
def test_longer_timeout_delays_giving_up(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    With a longer timeout than usual, it takes longer until a request counts as not accepted.
    """
    ahead = 0.0
    provider = FakeOpenAI(clock=lambda: time.time() + ahead)
    patient = studio_with_conversations(make_studio, tmp_path, provider, timeout=60_000)
    drop_next_request(provider)
    with pytest.raises(OutcomeUnknownError):
        patient.generate("a teapot")
    assert len(patient.recover(timeout=0).still_pending) == 1
    ahead = 1_000.0
    assert len(patient.recover(timeout=0).still_pending) == 1
    usual = studio_with_conversations(make_studio, tmp_path, provider)
    assert len(usual.recover(timeout=0).failed) == 1


def test_rejected_by_budget_keeps_conversation(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A request that the budget rejects is not sent, and the branch keeps its conversation.
    """
    budget = Budget(per_day=0.1)
    session = studio_with_conversations(make_studio, tmp_path, provider, budget=budget).session(
        "a logo"
    )
    first = session.generate("a teapot", quality="low", size="1024x1024")
    with pytest.raises(BudgetExceededError):
        session.generate("bluer", quality="high", size="3840x2160")
    second = session.generate("bluer", quality="low", size="1024x1024")
    assert second.turn.conversation == first.turn.conversation


def test_damaged_session_does_not_block_recovery(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    If a session cannot be read, its requests stay pending, and all others are recovered.
    """
    studio = studio_with_conversations(make_studio, tmp_path, provider)
    session = studio.session("a logo")
    session.generate("a teapot")
    session.generate("bluer")
    for generate in (session.generate, studio.generate):
        lose_next_reply(provider)
        fail_next_polls(provider)
        with pytest.raises(OutcomeUnknownError):
            generate("a cup")
    record = next((tmp_path / ".imagesession" / "turns" / session.id).glob("*.json"))
    record.chmod(0o600)
    record.write_text("{")
    recovered = studio_with_conversations(make_studio, tmp_path, provider).recover(timeout=0)
    assert len(recovered.images) == len(recovered.still_pending) == 1


def test_error_event_after_id_is_polled(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    After the provider has given an id, an error event does not prove that there is no image: the
    response is polled.
    """
    event = {"type": "error", "code": "rate_limit_exceeded", "message": "slow down"}

    def bend(answer: FakeResponse) -> FakeResponse:
        created = next(part for part in answer.parts if isinstance(part, bytes))
        error_event = f"event: error\ndata: {json.dumps(event)}\n\n".encode()
        return attrs.evolve(answer, parts=iter((created, error_event)))

    provider.enqueue_fault(Fault(method="POST", path="/responses", streaming=True, transform=bend))
    *_, image = studio_with_conversations(make_studio, tmp_path, provider).stream(
        "a teapot", partial_images=1
    )
    assert image.prompt == "a teapot"
    assert len(posts(provider)) == 1


def test_forked_process_does_not_continue_conversation() -> None:
    """
    After a fork, only one of the two processes continues the conversation.
    """
    memory = ProcessMemory()
    last_turn = attrs.evolve(TURN, conversation="conv_1")
    memory.release_conversation(last_turn)
    child = os.fork()
    if child == 0:
        os._exit(0 if memory.acquire_conversation(last_turn) is None else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert memory.acquire_conversation(last_turn) == "conv_1"
