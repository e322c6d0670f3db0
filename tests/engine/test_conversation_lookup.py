"""
What is made of an answer about a conversation, and of a listing of one: whose picture it is, and
when nothing proves something.
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
from imagesession._engine import recovery
from imagesession._engine.http import HttpResponse
from imagesession._engine.provider_errors import is_responses_unsupported, map_error_response
from imagesession._runtime import openai_transport as drive
from imagesession._store.repository import LibraryStore
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


def talking(make_studio: MakeStudio, library: Path, provider: FakeOpenAI, **more: Any) -> Any:
    """
    Make a studio whose turns are kept in conversations.
    """
    return make_studio(library, provider=provider, provider_state="conversation", **more)


def said(body: object, status: int = 200) -> Callable[[FakeRequest], FakeResponse]:
    """
    Return what answers with a body: a text, or anything that JSON can tell.
    """
    text = body if isinstance(body, str) else json.dumps(body)

    def instead(_: FakeRequest) -> FakeResponse:
        headers = {"content-type": "application/json"}
        return FakeResponse(status=status, headers=headers, parts=iter((text.encode(),)))

    return instead


def begun_with(provider: FakeOpenAI, body: object, status: int = 200, times: int = 1) -> None:
    """
    Let requests for a conversation be answered with a body.
    """
    for _ in range(times):
        provider.enqueue_fault(
            Fault(method="POST", path="/conversations", instead=said(body, status))
        )


def refused(provider: FakeOpenAI, body: object, status: int) -> None:
    """
    Let the next request that is paid for be refused with a body.
    """
    provider.enqueue_fault(Fault(method="POST", path="/responses", instead=said(body, status)))


def dropped(provider: FakeOpenAI, path: str = "/responses") -> None:
    """
    Let the next request that is paid for get lost on its way there.
    """

    def instead(_: FakeRequest) -> FakeResponse:
        return FakeResponse(headers={}, parts=iter([ConnectionReset()]))

    provider.enqueue_fault(Fault(method="POST", path=path, instead=instead))


def lost(provider: FakeOpenAI) -> None:
    """
    Let the next answer be lost on its way.
    """

    def bend(answer: FakeResponse) -> FakeResponse:
        return attrs.evolve(answer, parts=iter([ConnectionReset()]))

    provider.enqueue_fault(Fault(method="POST", path="/responses", bend=bend))


def unseen(provider: FakeOpenAI, times: int = 1) -> None:
    """
    Let the next looks into a conversation fail.
    """
    provider.fail_next(status=500, method="GET", path=ITEMS, times=times)


def listing(provider: FakeOpenAI, *items: Json, has_more: bool = False) -> None:
    """
    Let the next look into a conversation show items.
    """
    body = {"object": "list", "data": list(items), "has_more": has_more}
    provider.enqueue_fault(Fault(method="GET", path=ITEMS, instead=said(body)))


def user(text: str = "x") -> Json:
    """
    Return what a user said, as it is listed.
    """
    part = {"type": "input_text", "text": text}
    return {"type": "message", "id": "msg_user", "role": "user", "content": [part]}


def call(call_id: str | None, result: object = None, **facts: object) -> Json:
    """
    Return a call that draws, as it is listed.
    """
    item = {"type": "image_generation_call", "id": call_id, "result": result, **facts}
    return {name: value for name, value in item.items() if value is not None}


def picture(shade: int = 0) -> str:
    """
    Return a picture as the wire has it.
    """
    return base64.b64encode(tiny_image(colour=(0, 0, shade))).decode("ascii")


def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Let a quarter of an hour pass.
    """
    monkeypatch.setattr(recovery, "ACCEPTANCE_TIMEOUT", dt.timedelta(0))


# --- whose picture it is ------------------------------------------------------------------------


@pytest.mark.parametrize("second", ["failed", "spoilt"])
def test_what_is_left_of_the_turn_before_is_not_this_turns(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, second: str
) -> None:
    """
    A reply may end with a call that failed, or whose picture is spoilt. In the same conversation
    it says nothing of the turn that comes next, which goes on waiting for its own.
    """
    studio = talking(make_studio, tmp_path, provider)
    session = studio.session("a logo")
    first = session.generate("a teapot")
    rest = {
        "failed": call("ig_second", status="failed", error={"code": "server_error"}),
        "spoilt": call("ig_second", "!!!", status="completed"),
    }[second]
    dropped(provider)
    for _ in range(2):
        listing(provider, rest, call(first.turn.images[0].call_id, picture()), user())
    unseen(provider, 99)
    with pytest.raises(OutcomeUnknownError):
        session.generate("bluer")
    recovered = studio.recover(timeout=0)
    assert (recovered.images, recovered.failed) == ((), ())
    assert len(recovered.still_pending) == 1
    assert len(session.turns()) == 1


def test_all_of_a_long_reply_is_found(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    However many pictures a reply has, and however much stands between them, all of them are kept,
    in their order, whether the line begins in that conversation or goes on in it.
    """
    session = talking(make_studio, tmp_path, provider).session("a logo")
    items: list[Json] = []
    paged(provider, items)
    for start in (0, 100):
        names = [f"ig_{number}" for number in range(start, start + 12)]
        thoughts = [{"type": "reasoning", "id": f"rs_{name}"} for name in names]
        calls = [call(name, picture(start + at)) for at, name in enumerate(names)]
        answer = [item for pair in zip(thoughts, calls, strict=True) for item in pair]
        items[:0] = [*answer[::-1], user()]
        lost(provider)
        image = session.generate("bluer")
        assert [item.call_id for item in image.turn.images] == names
        assert len({item.sha256 for item in image.turn.images}) == len(names)
    assert len(posts(provider)) == 2


def paged(provider: FakeOpenAI, items: list[Json]) -> None:
    """
    Let looks show a conversation's items page by page, the latest first, as a provider does.
    """

    def instead(asked: FakeRequest) -> FakeResponse:
        limit, after = int(asked.query["limit"]), asked.query.get("after")
        start = next((at + 1 for at, item in enumerate(items) if item.get("id") == after), 0)
        more = start + limit < len(items)
        return said({"data": items[start : start + limit], "has_more": more})(asked)

    for _ in range(99):
        provider.enqueue_fault(Fault(method="GET", path=ITEMS, instead=instead))


@pytest.mark.parametrize("status", ["in_progress", "generating", "completed", None])
def test_a_call_without_its_picture_proves_nothing(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, status: str | None
) -> None:
    """
    A call that is listed without a picture and without an error is under way, or not shown in
    full: nothing is settled by it, and its picture is found by a later look.
    """
    studio = talking(make_studio, tmp_path, provider)
    lost(provider)
    listing(provider, call("ig_new", status=status), user())
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot")
    (image,) = studio.recover(timeout=0).images
    assert image.prompt == "a teapot"
    assert len(posts(provider)) == 1


def test_a_call_that_failed_settles_its_turn(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A call that is listed with an error has failed, and its turn with it.
    """
    studio = talking(make_studio, tmp_path, provider)
    lost(provider)
    blocked = {"code": "moderation_blocked", "message": "no"}
    listing(provider, call("ig_new", status="failed", error=blocked), user())
    with pytest.raises(ContentBlockedError):
        studio.generate("a teapot")
    assert studio.requests.pending() == ()


def test_the_oldest_may_stand_first(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A list that is in the other order is read so, where all of it is there; a prompt that has no
    answer yet is waited for.
    """
    studio = talking(make_studio, tmp_path, provider)
    lost(provider)
    listing(provider, user(), call("ig_new", picture()))
    assert studio.generate("a teapot").turn.images[0].call_id == "ig_new"
    dropped(provider)
    listing(provider, user())
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a cup")


def test_pictures_that_weigh_too_much_together_are_listed_one_by_one(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A list that is larger than any answer should be is asked for in smaller parts.
    """
    studio = talking(make_studio, tmp_path, provider)
    items = [{"type": "message", "id": "msg_1", "pad": "x" * 9000}, call("ig_1", picture()), user()]
    paged(provider, items)
    lost(provider)
    monkeypatch.setattr(drive, "MAX_BODY_BYTES", 9300)
    assert studio.generate("a teapot").turn.images[0].call_id == "ig_1"


# --- where it is asked ----------------------------------------------------------------------------


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
def test_what_is_no_id_begins_no_conversation(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, body: object
) -> None:
    """
    A server that answers the question for a conversation with anything else than an id has none
    just now; the picture is made without.
    """
    begun_with(provider, body, times=2)
    studio = talking(make_studio, tmp_path, provider)
    assert studio.generate("a teapot").turn.conversation is None
    assert studio.generate("a teapot").turn.conversation is not None


def test_an_id_may_hold_what_paths_do_not(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    An id is looked up as it is, whatever its characters mean in a URL.
    """
    begun_with(provider, {"id": "a/b?c#d"})
    studio = talking(make_studio, tmp_path, provider)
    dropped(provider)
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot")
    assert studio.requests.pending()[0].turn.conversation == "a/b?c#d"
    looks = [request for request in provider.requests if request.method == "GET"]
    assert {look.query.get("order") for look in looks} == {"desc"}


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
def test_other_servers_words_are_understood(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    *,
    status: int,
    body: object,
    context: str,
) -> None:
    """
    A conversation that is not known, or not taken, is told in many ways; the branch goes on in
    another, or with history from the library, and not at the Images API.
    """
    session = talking(make_studio, tmp_path, provider).session("a logo")
    session.generate("a teapot")
    refused(provider, body, status)
    assert session.generate("bluer").turn.context == context
    assert posts(provider) == ["/responses"] * 3


@pytest.mark.parametrize("status", [409, 429])
def test_what_may_have_been_done_is_not_asked_again_elsewhere(status: int) -> None:
    """
    A conflict that is not the lock, and a limit, are no refusals of the conversation.
    """
    error = {"error": {"message": "Conversation not found", "param": "conversation"}}
    reported = map_error_response(HttpResponse(status=status, body=json.dumps(error).encode()))
    assert type(reported).__name__ == {409: "ProviderError", 429: "RateLimitError"}[status]
    assert not is_responses_unsupported(HttpResponse(status=404, body=json.dumps(error).encode()))


def test_what_was_blocked_is_not_asked_again(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    What a safety system stopped is not asked for again, though the refusal names an item.
    """
    session = talking(make_studio, tmp_path, provider).session("a logo")
    session.generate("a teapot")
    error = {"code": "moderation_blocked", "message": "The item ig_0123456789 was blocked."}
    refused(provider, {"error": error}, 400)
    with pytest.raises(RefusalError):
        session.generate("bluer")
    assert len(posts(provider)) == 2


def test_errors_about_conversations_are_told_outside_of_them(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A request in no conversation that is refused for one ends in an error of ours.
    """
    studio = talking(make_studio, tmp_path, provider)
    begun_with(provider, {}, status=404)
    refused(provider, {"error": {"message": "Conversation conv_0123456789 not found"}}, 404)
    with pytest.raises(BadRequestError):
        studio.generate("a teapot")
    assert studio.requests.pending() == ()


def test_the_images_api_is_asked_in_no_conversation(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Where a server has conversations and no Responses, an answer of the Images API that was lost is
    unknown for good: no conversation proves that it was not taken up, and it is not paid twice.
    """
    studio = talking(make_studio, tmp_path, provider, budget=Budget(per_day=1.0))
    refused(provider, {"error": {"message": "Not found"}}, 404)
    dropped(provider, "/images/generations")
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot", idempotency_key="teapot")
    later(monkeypatch)
    (turn,) = studio.recover(timeout=0).failed
    assert (turn.failure.error, turn.conversation) == ("OutcomeUnknownError", None)
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot", idempotency_key="teapot")
    assert posts(provider) == ["/responses", "/images/generations"]


@pytest.mark.usefixtures("hurried")
def test_a_lost_file_leaves_the_conversation_as_it_is_written_down(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    Where a request moved to another conversation and is asked again without files, it is asked in
    the conversation that the journal names.
    """
    studio = talking(make_studio, tmp_path, provider)
    session = studio.session("a logo")
    session.generate("a teapot")
    locked = {"message": "busy", "code": "conversation_locked", "param": "conversation"}
    provider.fail_next(status=400, error=locked, method="POST", path="/responses", times=3)
    gone = {"message": "No such file: file-abcdef123"}
    provider.fail_next(status=404, error=gone, method="POST", path="/responses")
    lost(provider)
    unseen(provider)
    with pytest.raises(OutcomeUnknownError):
        session.generate("bluer", references=tiny_image())
    (pending,) = studio.requests.pending()
    assert pending.turn.conversation == asked(provider)[-1]["conversation"]
    (image,) = studio.recover(timeout=0).images
    assert image.prompt == "bluer"


# --- time and money -------------------------------------------------------------------------------


def test_a_silent_conversation_is_not_waited_for(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Looks into a conversation keep to the time that a call or a recovery has, and a second.
    """
    provider = FakeOpenAI()

    def silent(_: FakeRequest) -> FakeResponse:
        return FakeResponse(headers={}, parts=iter([Delay(6), b"{}"]))

    for method, path in (("POST", "/responses"), ("GET", ITEMS), ("GET", ITEMS)):
        provider.enqueue_fault(Fault(method=method, path=path, instead=silent))
    with serve(provider) as served:
        studio = make_studio(
            tmp_path, online=True, api_key="x", base_url=served.base_url, timeout=1.0,
            provider_state="conversation",
        )  # fmt: skip
        start = time.monotonic()
        with pytest.raises(OutcomeUnknownError):
            studio.generate("a teapot")
        assert len(studio.recover(timeout=0).still_pending) == 1
        assert time.monotonic() - start < 5.5


def test_a_gone_conversation_is_given_up_in_time(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A conversation that is not found may be known a little later; it is given up no sooner than a
    quarter of an hour after it was asked in.
    """
    studio = talking(make_studio, tmp_path, provider)
    lost(provider)
    provider.fail_next(status=404, method="GET", path=ITEMS, times=2)
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot")
    assert len(studio.recover(timeout=0).still_pending) == 1
    assert len(studio.recover(timeout=0).images) == 1
    lost(provider)
    provider.fail_next(status=404, method="GET", path=ITEMS, times=2)
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a cup")
    later(monkeypatch)
    assert len(studio.recover(timeout=0).failed) == 1


def test_who_waits_longer_gives_up_later(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Where pictures may take longer than usual, it takes longer until one counts as not taken up.
    """
    with serve(provider) as served:
        access = {
            "online": True, "api_key": "x", "base_url": served.base_url,
            "provider_state": "conversation",
        }  # fmt: skip
        patient = make_studio(tmp_path, timeout=60_000, **access)
        dropped(provider)
        with pytest.raises(OutcomeUnknownError):
            patient.generate("a teapot")
        monkeypatch.setattr(recovery, "ACCEPTANCE_TIMEOUT", dt.timedelta(milliseconds=500))
        time.sleep(0.6)
        assert len(patient.recover(timeout=0).still_pending) == 1
        assert len(make_studio(tmp_path, **access).recover(timeout=0).failed) == 1


def test_what_is_not_allowed_leaves_the_conversation(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A request that a budget does not allow says nothing, and the line goes on where it was.
    """
    budget = Budget(per_day=0.1)
    session = talking(make_studio, tmp_path, provider, budget=budget).session("a logo")
    first = session.generate("a teapot", quality="low", size="1024x1024")
    with pytest.raises(BudgetExceededError):
        session.generate("bluer", quality="high", size="3840x2160")
    second = session.generate("bluer", quality="low", size="1024x1024")
    assert second.turn.conversation == first.turn.conversation


def test_a_damaged_session_does_not_hold_up_others(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    Where a session cannot be read, what was asked in it is left, and all else is recovered.
    """
    studio = talking(make_studio, tmp_path, provider)
    session = studio.session("a logo")
    session.generate("a teapot")
    session.generate("bluer")
    for ask in (session.generate, studio.generate):
        lost(provider)
        unseen(provider)
        with pytest.raises(OutcomeUnknownError):
            ask("a cup")
    record = next((tmp_path / ".imagesession" / "turns" / session.id).glob("*.json"))
    record.chmod(0o600)
    record.write_text("{")
    recovered = talking(make_studio, tmp_path, provider).recover(timeout=0)
    assert len(recovered.images) == len(recovered.still_pending) == 1


def test_a_stream_that_tells_an_error_is_looked_up(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    Once the provider has given an id, an error event, whatever it names, is no proof that there
    is no picture: it is looked up by its id.
    """
    event = {"type": "error", "code": "rate_limit_exceeded", "message": "slow down"}

    def bend(answer: FakeResponse) -> FakeResponse:
        created = next(part for part in answer.parts if isinstance(part, bytes))
        reported = f"event: error\ndata: {json.dumps(event)}\n\n".encode()
        return attrs.evolve(answer, parts=iter((created, reported)))

    provider.enqueue_fault(Fault(method="POST", path="/responses", streaming=True, bend=bend))
    *_, image = talking(make_studio, tmp_path, provider).stream("a teapot", partial_images=1)
    assert image.prompt == "a teapot"
    assert len(posts(provider)) == 1


def test_a_forked_process_begins_its_own(tmp_path: Path) -> None:
    """
    What a program said last is not what a process said that was forked off it: only one of the
    two goes on in the conversation.
    """
    library = LibraryStore(tmp_path)
    said_last = attrs.evolve(TURN, conversation="conv_1")
    library.release_conversation(said_last)
    child = os.fork()
    if child == 0:
        os._exit(0 if library.acquire_conversation(said_last) is None else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert library.acquire_conversation(said_last) == "conv_1"
