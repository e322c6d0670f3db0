"""
With `provider_state="conversation"` a branch talks in a conversation of its own, in which a lost
answer can be found. Every test runs over the sync and the async twin.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imagesession.errors import (
    ImageSessionError,
    OutcomeUnknownError,
    ProviderUnavailableError,
    RateLimitError,
)
from imagesession.testing import ConnectionReset, FakeOpenAI, FakeRequest, FakeResponse, Fault
from tests.conftest import MakeStudio
from tests.conversing import (
    Known,
    anew_from,
    begun,
    delete_conversation,
    items_of,
    known,
    straight_from,
)
from tests.unsettled import unsettled

DESCRIPTION = "A logo for a tea shop"


def paid(provider: FakeOpenAI) -> list[Any]:
    """
    Return the bodies of the requests that are paid for.
    """
    return [call.body for call in asked(provider) if call.path == "/responses"]


def asked(provider: FakeOpenAI) -> list[Any]:
    """
    Return the requests that send something, but for those that only begin a conversation.
    """
    calls = [call for call in provider.requests if call.method == "POST"]
    return [call for call in calls if call.path != "/conversations"]


@pytest.fixture
def make_talking(make_studio: MakeStudio, tmp_path: Path) -> MakeStudio:
    """
    Make studios on one library whose turns are kept in conversations.
    """

    def make(provider: FakeOpenAI, **settings: Any) -> Any:
        return make_studio(
            tmp_path / "library", provider=provider, provider_state="conversation", **settings
        )

    return make


@pytest.fixture
def studio(make_talking: MakeStudio, provider: FakeOpenAI) -> Any:
    """
    A studio whose turns are kept in conversations.
    """
    return make_talking(provider)


@pytest.fixture
def session(studio: Any) -> Any:
    """
    A new session.
    """
    return studio.session(DESCRIPTION, name="Tea logo")


REFUSED_PARAMETER = {
    "message": "Unknown parameter: 'conversation'.",
    "type": "invalid_request_error",
    "param": "conversation",
    "code": "unknown_parameter",
}
BUSY = {
    "message": "Another process is currently operating on this conversation.",
    "type": "invalid_request_error",
    "param": "conversation",
    "code": "conversation_locked",
}
LINE = ("a teapot", "bluer", "warmer", "more contrast")


def reset(*_: object) -> FakeResponse:
    """
    Break the connection before the first byte of an answer.
    """
    return FakeResponse(headers={}, parts=iter((ConnectionReset(),)))


def answering(body: bytes) -> Fault:
    """
    Plan an answer of one's own to whoever begins a conversation.
    """

    def instead(_: FakeRequest) -> FakeResponse:
        return FakeResponse(headers={"content-type": "application/json"}, parts=iter((body,)))

    return Fault(method="POST", path="/conversations", instead=instead)


def said(body: Any) -> Any:
    """
    Return what a request says, without the words of its newest message and the turn's own id.
    """
    *before, newest = body["input"]
    pictures = newest["content"][:-1]
    return {**body, "input": [*before, pictures], "metadata": None}


def test_a_line_stays_in_its_conversation(session: Any, provider: FakeOpenAI) -> None:
    """
    A line talks in one conversation, made once; all its turns but for the first say the same but
    for the new words.
    """
    images = [session.generate(words) for words in LINE]
    first, *later = paid(provider)
    assert {body["conversation"] for body in (first, *later)} == {images[0].turn.conversation}
    assert {image.turn.conversation for image in images} == {images[0].turn.conversation}
    assert begun(provider) == 1
    assert [said(body) for body in later] == [said(first)] * 3
    assert [body["input"][-1]["content"][-1]["text"] for body in later] == list(LINE[1:])
    assert [image.turn.context for image in images] == ["fresh", *["continued"] * 3]


def test_a_conversation_tells_only_whose_it_is(session: Any, provider: FakeOpenAI) -> None:
    """
    What is sent to begin a conversation is the id of the turn for which it is, and nothing else.
    """
    image = session.generate("a teapot")
    (body,) = (call.body for call in provider.requests if call.path == "/conversations")
    assert body == {"metadata": {"imagesession_turn": image.turn.id}}


def test_sessions_and_one_shots_do_not_share_conversations(
    studio: Any, session: Any, provider: FakeOpenAI
) -> None:
    """
    Each session and each one-shot has a conversation of its own.
    """
    images = [
        session.generate("a teapot"),
        studio.session("Another").generate("a cup"),
        studio.generate("a spoon"),
        studio.generate("a fork"),
    ]
    assert len({image.turn.conversation for image in images} - {None}) == 4
    assert all(known(body).items == () for body in paid(provider))


def test_a_branch_begins_a_conversation(session: Any, provider: FakeOpenAI) -> None:
    """
    A branch begins a conversation, and names there what was said by its words and the ids of its
    items, no pixels; then each line stays in its own.
    """
    first, second, third = (session.generate(words) for words in LINE[:3])
    branch = second.branch("other")
    fourth = branch.generate("cooler")
    body = paid(provider)[-1]
    assert known(body) == anew_from(first, second, within=fourth)
    words, *items = body["input"][: 1 + len(items_of(first))]
    assert words == {"role": "user", "content": [{"type": "input_text", "text": "a teapot"}]}
    assert items == [{"type": "item_reference", "id": item} for item in items_of(first)]
    assert "input_image" not in json.dumps(body)
    assert fourth.turn.context == "continued"
    branch.generate("paler")
    assert known(paid(provider)[-1]) == straight_from(fourth, conversing=True)
    session.generate("more contrast")
    assert known(paid(provider)[-1]) == straight_from(third, conversing=True)
    assert begun(provider) == 2


def test_an_undo_begins_a_conversation(session: Any, provider: FakeOpenAI) -> None:
    """
    What comes after an undo is asked in a new conversation, which knows nothing of what was
    undone; a redo goes on in the old one, in which nothing was said since.
    """
    first, second, third = (session.generate(words) for words in LINE[:3])
    session.undo()
    other = session.generate("cooler")
    body = paid(provider)[-1]
    assert known(body) == anew_from(first, second, within=other)
    assert "warmer" not in json.dumps(body)
    assert other.turn.context == "continued"
    session.checkout(third)
    session.generate("more contrast")
    assert known(paid(provider)[-1]) == straight_from(third, conversing=True)


def test_a_line_from_nothing_begins_a_conversation(session: Any, provider: FakeOpenAI) -> None:
    """
    Where all was undone, the next turn is told nothing.
    """
    first = session.generate("a teapot")
    session.undo()
    again = session.generate("a cup")
    assert known(paid(provider)[-1]) == Known(conversation=again.turn.conversation)
    assert again.turn.conversation != first.turn.conversation
    assert again.turn.context == "fresh"


def test_takes_do_not_share_a_conversation(session: Any, provider: FakeOpenAI) -> None:
    """
    Of takes that grow on one picture side by side, one at most goes on in its conversation; each
    of the others has one of its own, and knows as much.
    """
    first = session.generate("a teapot")
    results = session.variations("in other colours", n=4)
    assert results.ok
    bodies = paid(provider)[1:]
    assert len({body["conversation"] for body in bodies}) == 4
    straight = [body for body in bodies if known(body) == straight_from(first, conversing=True)]
    assert len(straight) == 1
    in_words = {image.prompt: image for image in results}
    for body in bodies:
        image = in_words[body["input"][-1]["content"][-1]["text"]]
        assert body["conversation"] == image.turn.conversation
        assert body in straight or known(body) == anew_from(first, within=image)
        assert image.turn.context == "continued"


@pytest.mark.usefixtures("looking_often")
def test_turns_at_the_same_time_do_not_share_a_conversation(
    make_talking: MakeStudio,
    in_threads: Callable[[list[Callable[[], Any]]], None],
) -> None:
    """
    Two that go on from one head at the same moment talk in two conversations, and none is told
    that another is being answered.
    """
    provider = FakeOpenAI(latency=0.5)
    session = make_talking(provider).session(DESCRIPTION)
    first = session.generate("a teapot")
    in_threads([lambda: session.generate("bluer"), lambda: session.generate("warmer")])
    _, *bodies = paid(provider)
    assert len(bodies) == 2
    assert {image.parent for image in session.images()[1:]} == {first.turn.id}
    assert len({body["conversation"] for body in bodies}) == 2


def test_another_studio_begins_a_conversation(
    make_talking: MakeStudio, provider: FakeOpenAI
) -> None:
    """
    Another studio on the library cannot know whether something was said since, so it begins a
    conversation; the first one sees by what it made that it is to do so too.
    """
    here = make_talking(provider).session(DESCRIPTION)
    there = make_talking(provider).open(here.id)
    first = here.generate("a teapot")
    second = there.generate("bluer")
    assert known(paid(provider)[-1]) == anew_from(first, within=second)
    third = here.generate("warmer")
    assert known(paid(provider)[-1]) == anew_from(first, second, within=third)
    here.generate("more contrast")
    assert known(paid(provider)[-1]) == straight_from(third, conversing=True)
    assert [turn.context for turn in here.turns()] == ["fresh", *["continued"] * 3]


@pytest.mark.parametrize("plan", ["refuse", "block", "break", "reject"])
def test_a_failed_turn_ends_its_conversation(session: Any, provider: FakeOpenAI, plan: str) -> None:
    """
    Whatever was said in vain stands in a conversation that is not gone on in any more.
    """
    first = session.generate("a teapot")
    plans: dict[str, Callable[[], None]] = {
        "refuse": lambda: provider.refuse_next("I would rather not."),
        "block": lambda: provider.moderate_next(stage="output", as_item=True),
        "break": provider.fail_generation_next,
        "reject": lambda: provider.fail_next(status=400, path="/responses"),
    }
    plans[plan]()
    with pytest.raises(ImageSessionError):
        session.generate("something improper")
    image = session.generate("bluer")
    assert known(paid(provider)[-1]) == anew_from(first, within=image)
    assert image.turn.conversation not in {turn.conversation for turn in session.turns()[:-1]}
    assert "improper" not in json.dumps(paid(provider)[-1])
    assert image.turn.context == "continued"


def test_what_was_turned_away_does_not_end_a_conversation(
    session: Any, provider: FakeOpenAI
) -> None:
    """
    Where the provider did not take a request up, nothing was said; the next one goes on.
    """
    first = session.generate("a teapot")
    provider.fail_next(status=429, headers={"retry-after": "0"}, path="/responses")
    with pytest.raises(RateLimitError):
        session.generate("bluer")
    session.generate("warmer")
    assert known(paid(provider)[-1]) == straight_from(first, conversing=True)
    assert begun(provider) == 1


def test_what_nobody_knows_the_end_of_ends_a_conversation(
    session: Any, provider: FakeOpenAI
) -> None:
    """
    A conversation in which something may have been said that the library does not have is not
    gone on in.
    """
    first = session.generate("a teapot")
    provider.enqueue_fault(Fault(method="POST", path="/responses", instead=reset))
    with pytest.raises(OutcomeUnknownError):
        session.generate("bluer")
    image = session.generate("warmer")
    assert known(paid(provider)[-1]) == anew_from(first, within=image)


def test_a_picture_that_was_found_is_gone_on_from(session: Any, provider: FakeOpenAI) -> None:
    """
    A turn whose answer was lost and found goes on in its conversation like any.
    """
    session.generate("a teapot")
    provider.enqueue_fault(Fault(method="POST", path="/responses", bend=reset))
    found = session.generate("bluer")
    assert (found.turn.response_id, found.turn.context) == (None, "continued")
    session.generate("warmer")
    assert known(paid(provider)[-1]) == straight_from(found, conversing=True)
    assert len(paid(provider)) == 3
    assert len(session.images()) == 3


def test_a_deleted_conversation_is_survived(session: Any, provider: FakeOpenAI) -> None:
    """
    Where a conversation is gone, its pictures are named in a new one: one request is turned away,
    one is paid for, and no pixels travel.
    """
    first, second = session.generate("a teapot"), session.generate("bluer")
    delete_conversation(provider, first.turn.conversation)
    image = session.generate("warmer")
    refused, body = paid(provider)[2:]
    assert known(refused) == straight_from(second, conversing=True)
    assert known(body) == anew_from(first, second, within=image)
    assert image.turn.context == "continued"
    assert begun(provider) == 2
    session.generate("more contrast")
    assert known(paid(provider)[-1]) == straight_from(image, conversing=True)


def test_what_was_forgotten_is_not_named_again(session: Any, provider: FakeOpenAI) -> None:
    """
    What the provider had to be told again it is not asked for by ids later: a new conversation
    tells that in words, and names what was made since; it is asked for once.
    """
    session.generate("a teapot")
    session.generate("bluer")
    provider.reset_memory()
    third = session.generate("warmer")
    session.generate("more contrast")
    session.undo()
    before = len(paid(provider))
    image = session.generate("cooler")
    (body,) = paid(provider)[before:]
    assert known(body) == Known(
        conversation=image.turn.conversation, items=items_of(third), messages=6
    )
    assert "input_image" not in json.dumps(body)
    assert (third.turn.context, image.turn.context) == ("rebuilt", "continued")


@pytest.mark.parametrize("times", [1, 99])
@pytest.mark.usefixtures("hurried")
def test_a_busy_conversation_is_waited_for(session: Any, provider: FakeOpenAI, times: int) -> None:
    """
    A conversation that is not ready yet is asked in again; one that stays busy is left for a new
    one at last, and that for none, where history goes along.
    """
    first = session.generate("a teapot")
    provider.enqueue_fault(refusing(BUSY), times=times)
    image = session.generate("bluer")
    *_, body = paid(provider)
    waited = straight_from(first, conversing=True)
    assert known(body) == (waited if times == 1 else Known(messages=4))
    assert image.turn.context == ("continued" if times == 1 else "rebuilt")
    assert [turn.prompt for turn in session.turns()] == ["a teapot", "bluer"]


def refusing(error: dict[str, str]) -> Fault:
    """
    Plan to refuse requests that are made in a conversation.
    """

    def instead(_: FakeRequest) -> FakeResponse:
        reported = json.dumps({"error": error}).encode()
        kind = {"content-type": "application/json"}
        return FakeResponse(status=400, headers=kind, parts=iter((reported,)))

    def within(call: FakeRequest) -> bool:
        body: Any = call.json
        return "conversation" in body

    return Fault(method="POST", path="/responses", when=within, instead=instead)


@pytest.mark.parametrize("before", [0, 2])
def test_a_provider_that_refuses_conversations_is_asked_as_before(
    studio: Any, session: Any, provider: FakeOpenAI, before: int
) -> None:
    """
    Where answers do not come in conversations, turns continue by the response's id. That is found
    out once, in the first turn or a later one, and no conversation is made any more; what was said
    in one is told from the library, once.
    """
    images = [session.generate(words) for words in LINE[:before]]
    asked_before = begun(provider)
    provider.enqueue_fault(refusing(REFUSED_PARAMETER), times=99)
    images.extend(session.generate(words) for words in LINE[before:])
    asked_once = 1 if before == 0 else 0
    assert begun(provider) == asked_before + asked_once
    refused, *bodies = paid(provider)[before:]
    assert refused["conversation"]
    previous = [image.turn.response_id for image in images[before:-1]]
    assert known(bodies[0]) == Known(messages=1 if before == 0 else 2 * before + 2)
    assert [known(body) for body in bodies[1:]] == [Known(previous=item) for item in previous]
    assert [image.turn.conversation for image in images[before:]] == [None] * len(bodies)
    moved = ["rebuilt"] if before else []
    assert [image.turn.context for image in images][before:] == [
        *(moved or ["fresh"]),
        *["continued"] * (len(bodies) - 1),
    ]
    studio.session("Another").generate("a cup")
    assert known(paid(provider)[-1]) == Known()
    assert begun(provider) == asked_before + asked_once


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_a_provider_without_conversations_is_asked_as_before(
    studio: Any, session: Any, provider: FakeOpenAI, status: int
) -> None:
    """
    A provider that makes no conversations, or not with this key, is asked for one once.
    """
    provider.fail_next(status=status, method="POST", path="/conversations")
    first = session.generate("a teapot")
    second = session.generate("bluer")
    opening, body = paid(provider)
    assert (known(opening), known(body)) == (Known(), Known(previous=first.turn.response_id))
    assert (first.turn.conversation, second.turn.context) == (None, "continued")
    studio.generate("a cup")
    assert begun(provider) == 1


@pytest.mark.parametrize(
    "status,error",
    [
        pytest.param(429, RateLimitError, id="429"),
        pytest.param(503, ProviderUnavailableError, id="503"),
    ],
)
def test_a_conversation_that_is_turned_away_ends_the_call(
    studio: Any, session: Any, provider: FakeOpenAI, status: int, error: type[Exception]
) -> None:
    """
    A provider that wants to be left alone is left alone: nothing is paid for, nothing is kept, and
    the next call begins a conversation as ever.
    """
    at_once = {"retry-after": "0"}
    provider.fail_next(status=status, headers=at_once, method="POST", path="/conversations")
    with pytest.raises(error):
        session.generate("a teapot")
    assert asked(provider) == []
    assert begun(provider) == 1
    assert (session.turns(), unsettled(studio.library)) == ((), [])
    assert session.generate("a teapot").turn.conversation is not None


def test_patience_holds_for_conversations_too(
    make_talking: MakeStudio, provider: FakeOpenAI
) -> None:
    """
    With patience a conversation is asked for again, as the provider asks.
    """
    at_once = {"retry-after": "0"}
    provider.fail_next(status=429, headers=at_once, method="POST", path="/conversations", times=2)
    image = make_talking(provider, retry_timeout=5).generate("a teapot")
    assert image.turn.conversation is not None
    assert (begun(provider), len(paid(provider))) == (3, 1)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(path="/conversations", instead=reset), id="reset"),
        pytest.param(Fault(path="/conversations", bend=reset), id="reset after"),
        pytest.param(answering(b""), id="nothing"),
        pytest.param(answering(b"<html></html>"), id="HTML"),
        pytest.param(answering(b"[]"), id="a list"),
        pytest.param(answering(b'{"object": "conversation"}'), id="no id"),
        pytest.param(answering(b'{"id": 7}'), id="number for an id"),
        pytest.param(answering(b'{"id": "conv_'), id="cut JSON"),
        pytest.param(500, id="500"),
        pytest.param(502, id="502"),
        pytest.param(504, id="504"),
    ],
)
def test_a_conversation_that_does_not_come_fails_no_call(
    session: Any, provider: FakeOpenAI, fault: Fault | int
) -> None:
    """
    Where a conversation cannot be had just now, after two tries the picture is made without one;
    the next turn begins one, and loses nothing.
    """
    if isinstance(fault, int):
        provider.fail_next(status=fault, method="POST", path="/conversations", times=2)
    else:
        provider.enqueue_fault(fault, times=2)
    first = session.generate("a teapot")
    assert begun(provider) == 2
    assert known(paid(provider)[-1]) == Known()
    assert (first.turn.conversation, first.turn.context) == (None, "fresh")
    second = session.generate("bluer")
    assert known(paid(provider)[-1]) == anew_from(first, within=second)
    assert second.turn.context == "continued"
    assert (begun(provider), len(paid(provider))) == (3, 2)


def test_one_try_for_a_conversation_may_fail(session: Any, provider: FakeOpenAI) -> None:
    """
    A conversation that does not come at the first try comes at the second.
    """
    provider.enqueue_fault(Fault(path="/conversations", instead=reset))
    first = session.generate("a teapot")
    assert first.turn.conversation is not None
    assert (begun(provider), len(paid(provider))) == (2, 1)
