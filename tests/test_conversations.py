"""
With `provider_state="conversation"` a branch uses its own conversation, in which a lost response
can be found.

Every test runs over the sync and the async twin.
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
from tests.clock import HoldingProvider
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


def paid_bodies(provider: FakeOpenAI) -> list[Any]:
    """
    Return the bodies of the paid requests.
    """
    return [call.body for call in sent_requests(provider) if call.path == "/responses"]


def sent_requests(provider: FakeOpenAI) -> list[Any]:
    """
    Return the requests other than GET, without those that create a conversation.
    """
    calls = [call for call in provider.requests if call.method == "POST"]
    return [call for call in calls if call.path != "/conversations"]


@pytest.fixture
def make_talking(make_studio: MakeStudio, tmp_path: Path) -> MakeStudio:
    """
    Make studios on one library with `provider_state="conversation"`.
    """

    def make(provider: FakeOpenAI, **settings: Any) -> Any:
        return make_studio(
            tmp_path / "library", provider=provider, provider_state="conversation", **settings
        )

    return make


@pytest.fixture
def studio(make_talking: MakeStudio, provider: FakeOpenAI) -> Any:
    """
    A studio with `provider_state="conversation"`.
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


def break_connection(*_: object) -> FakeResponse:
    """
    Break the connection before the first byte of a response.
    """
    return FakeResponse(headers={}, parts=iter((ConnectionReset(),)))


def respond_to_creation(body: bytes) -> Fault:
    """
    Set the response to the creation of a conversation.
    """

    def respond(_: FakeRequest) -> FakeResponse:
        return FakeResponse(headers={"content-type": "application/json"}, parts=iter((body,)))

    return Fault(method="POST", path="/conversations", response=respond)


def comparable_body(body: Any) -> Any:
    """
    Return a request's body without its newest prompt and the turn's id.
    """
    *before, newest = body["input"]
    pictures = newest["content"][:-1]
    return {**body, "input": [*before, pictures], "metadata": None}


def test_branch_stays_in_its_conversation(session: Any, provider: FakeOpenAI) -> None:
    """
    A branch uses one conversation, which is created once; after the first turn, requests differ
    only in the prompt.
    """
    images = [session.generate(prompt) for prompt in LINE]
    first, *later = paid_bodies(provider)
    assert {body["conversation"] for body in (first, *later)} == {images[0].turn.conversation}
    assert {image.turn.conversation for image in images} == {images[0].turn.conversation}
    assert begun(provider) == 1
    assert [comparable_body(body) for body in later] == [comparable_body(first)] * 3
    assert [body["input"][-1]["content"][-1]["text"] for body in later] == list(LINE[1:])
    assert [image.turn.context for image in images] == ["fresh", *["continued"] * 3]


def test_conversation_metadata_has_only_the_turn_id(session: Any, provider: FakeOpenAI) -> None:
    """
    The request that creates a conversation contains the id of its turn and nothing else.
    """
    image = session.generate("a teapot")
    (body,) = (call.body for call in provider.requests if call.path == "/conversations")
    assert body == {"metadata": {"imagesession_turn": image.turn.id}}


def test_sessions_and_standalone_images_do_not_share_conversations(
    studio: Any, session: Any, provider: FakeOpenAI
) -> None:
    """
    Each session and each standalone image has its own conversation.
    """
    images = [
        session.generate("a teapot"),
        studio.session("Another").generate("a cup"),
        studio.generate("a spoon"),
        studio.generate("a fork"),
    ]
    assert len({image.turn.conversation for image in images} - {None}) == 4
    assert all(known(body).items == () for body in paid_bodies(provider))


def test_branch_creates_a_conversation(session: Any, provider: FakeOpenAI) -> None:
    """
    A branch creates a conversation with the earlier prompts and the item ids of the answers, no
    pixels; then each branch stays in its own.
    """
    first, second, third = (session.generate(prompt) for prompt in LINE[:3])
    branch = second.branch("other")
    fourth = branch.generate("cooler")
    body = paid_bodies(provider)[-1]
    assert known(body) == anew_from(first, second, within=fourth)
    history, *items = body["input"][: 1 + len(items_of(first))]
    assert history == {"role": "user", "content": [{"type": "input_text", "text": "a teapot"}]}
    assert items == [{"type": "item_reference", "id": item_id} for item_id in items_of(first)]
    assert "input_image" not in json.dumps(body)
    assert fourth.turn.context == "continued"
    branch.generate("paler")
    assert known(paid_bodies(provider)[-1]) == straight_from(fourth, conversing=True)
    session.generate("more contrast")
    assert known(paid_bodies(provider)[-1]) == straight_from(third, conversing=True)
    assert begun(provider) == 2


def test_undo_creates_a_conversation(session: Any, provider: FakeOpenAI) -> None:
    """
    A turn after an undo uses a new conversation without the undone turns; after a redo the old one
    is continued, if it has no newer turns.
    """
    first, second, third = (session.generate(prompt) for prompt in LINE[:3])
    session.undo()
    sibling = session.generate("cooler")
    body = paid_bodies(provider)[-1]
    assert known(body) == anew_from(first, second, within=sibling)
    assert "warmer" not in json.dumps(body)
    assert sibling.turn.context == "continued"
    session.checkout(third)
    session.generate("more contrast")
    assert known(paid_bodies(provider)[-1]) == straight_from(third, conversing=True)


def test_branch_without_turns_creates_a_conversation(session: Any, provider: FakeOpenAI) -> None:
    """
    After undoing all turns, the next turn has no history.
    """
    first = session.generate("a teapot")
    session.undo()
    restarted = session.generate("a cup")
    assert known(paid_bodies(provider)[-1]) == Known(conversation=restarted.turn.conversation)
    assert restarted.turn.conversation != first.turn.conversation
    assert restarted.turn.context == "fresh"


def test_variations_do_not_share_a_conversation(session: Any, provider: FakeOpenAI) -> None:
    """
    Of concurrent variations of one image at most one continues its conversation; each other one has
    its own, with the same history.
    """
    first = session.generate("a teapot")
    results = session.variations("in other colours", n=4)
    assert results.ok
    bodies = paid_bodies(provider)[1:]
    assert len({body["conversation"] for body in bodies}) == 4
    straight = [body for body in bodies if known(body) == straight_from(first, conversing=True)]
    assert len(straight) == 1
    in_conversation = {image.turn.conversation: image for image in results}
    for body in bodies:
        image = in_conversation[body["conversation"]]
        assert body in straight or known(body) == anew_from(first, within=image)
        assert image.turn.context == "continued"


@pytest.mark.usefixtures("looking_often")
def test_concurrent_turns_do_not_share_a_conversation(
    make_talking: MakeStudio,
    in_threads: Callable[[list[Callable[[], Any]]], None],
) -> None:
    """
    Two concurrent turns on the same head use two conversations, and neither fails because the other
    is pending.
    """
    provider = HoldingProvider()
    session = make_talking(provider).session(DESCRIPTION)
    first = session.generate("a teapot")
    provider.hold(until=2)
    in_threads([lambda: session.generate("bluer"), lambda: session.generate("warmer")])
    _, *bodies = paid_bodies(provider)
    assert len(bodies) == 2
    assert {image.parent for image in session.images()[1:]} == {first.turn.id}
    assert len({body["conversation"] for body in bodies}) == 2


def test_another_studio_creates_a_conversation(
    make_talking: MakeStudio, provider: FakeOpenAI
) -> None:
    """
    Another studio on the library cannot know whether the conversation was continued, so it creates
    a new one; after its turn the first studio does the same.
    """
    here = make_talking(provider).session(DESCRIPTION)
    elsewhere = make_talking(provider).open(here.id)
    first = here.generate("a teapot")
    second = elsewhere.generate("bluer")
    assert known(paid_bodies(provider)[-1]) == anew_from(first, within=second)
    third = here.generate("warmer")
    assert known(paid_bodies(provider)[-1]) == anew_from(first, second, within=third)
    here.generate("more contrast")
    assert known(paid_bodies(provider)[-1]) == straight_from(third, conversing=True)
    assert [turn.context for turn in here.turns()] == ["fresh", *["continued"] * 3]


@pytest.mark.parametrize("plan", ["refuse", "block", "break", "reject"])
def test_failed_turn_ends_its_conversation(session: Any, provider: FakeOpenAI, plan: str) -> None:
    """
    A conversation that contains a failed turn is not continued.
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
    assert known(paid_bodies(provider)[-1]) == anew_from(first, within=image)
    assert image.turn.conversation not in {turn.conversation for turn in session.turns()[:-1]}
    assert "improper" not in json.dumps(paid_bodies(provider)[-1])
    assert image.turn.context == "continued"


def test_unprocessed_request_does_not_end_a_conversation(
    session: Any, provider: FakeOpenAI
) -> None:
    """
    If the provider did not process a request, the next one continues the conversation.
    """
    first = session.generate("a teapot")
    provider.fail_next(status=429, headers={"retry-after": "0"}, path="/responses")
    with pytest.raises(RateLimitError):
        session.generate("bluer")
    session.generate("warmer")
    assert known(paid_bodies(provider)[-1]) == straight_from(first, conversing=True)
    assert begun(provider) == 1


def test_unknown_outcome_ends_a_conversation(session: Any, provider: FakeOpenAI) -> None:
    """
    A conversation that may contain a turn that the library does not have is not continued.
    """
    first = session.generate("a teapot")
    provider.enqueue_fault(Fault(method="POST", path="/responses", response=break_connection))
    with pytest.raises(OutcomeUnknownError):
        session.generate("bluer")
    image = session.generate("warmer")
    assert known(paid_bodies(provider)[-1]) == anew_from(first, within=image)


def test_recovered_turn_continues_its_conversation(session: Any, provider: FakeOpenAI) -> None:
    """
    A turn whose response was lost and found is continued in its conversation like any other.
    """
    session.generate("a teapot")
    provider.enqueue_fault(Fault(method="POST", path="/responses", transform=break_connection))
    recovered = session.generate("bluer")
    assert (recovered.turn.response_id, recovered.turn.context) == (None, "continued")
    session.generate("warmer")
    assert known(paid_bodies(provider)[-1]) == straight_from(recovered, conversing=True)
    assert len(paid_bodies(provider)) == 3
    assert len(session.images()) == 3


def test_deleted_conversation_is_replaced(session: Any, provider: FakeOpenAI) -> None:
    """
    If a conversation was deleted, its images are named in a new one: one request is rejected, one
    is paid for, and no pixels are sent.
    """
    first, second = session.generate("a teapot"), session.generate("bluer")
    delete_conversation(provider, first.turn.conversation)
    image = session.generate("warmer")
    refused, body = paid_bodies(provider)[2:]
    assert known(refused) == straight_from(second, conversing=True)
    assert known(body) == anew_from(first, second, within=image)
    assert image.turn.context == "continued"
    assert begun(provider) == 2
    session.generate("more contrast")
    assert known(paid_bodies(provider)[-1]) == straight_from(image, conversing=True)


def test_forgotten_items_are_not_named_again(session: Any, provider: FakeOpenAI) -> None:
    """
    What was sent again as text is not named by ids later: a new conversation contains it as text,
    and names newer items; it is created once.
    """
    session.generate("a teapot")
    session.generate("bluer")
    provider.reset_memory()
    third = session.generate("warmer")
    session.generate("more contrast")
    session.undo()
    before = len(paid_bodies(provider))
    image = session.generate("cooler")
    (body,) = paid_bodies(provider)[before:]
    assert known(body) == Known(
        conversation=image.turn.conversation, items=items_of(third), messages=6
    )
    assert "input_image" not in json.dumps(body)
    assert (third.turn.context, image.turn.context) == ("rebuilt", "continued")


@pytest.mark.parametrize("times", [1, 99])
@pytest.mark.usefixtures("hurried")
def test_locked_conversation_is_retried(session: Any, provider: FakeOpenAI, times: int) -> None:
    """
    A locked conversation is retried; if it stays locked, a new one is used, and if that fails too,
    the full history without a conversation.
    """
    first = session.generate("a teapot")
    provider.enqueue_fault(refuse_conversations(BUSY), times=times)
    image = session.generate("bluer")
    *_, body = paid_bodies(provider)
    waited = straight_from(first, conversing=True)
    assert known(body) == (waited if times == 1 else Known(messages=4))
    assert image.turn.context == ("continued" if times == 1 else "rebuilt")
    assert [turn.prompt for turn in session.turns()] == ["a teapot", "bluer"]


def refuse_conversations(error: dict[str, str]) -> Fault:
    """
    Refuse the next requests in a conversation.
    """

    def respond(_: FakeRequest) -> FakeResponse:
        content = json.dumps({"error": error}).encode()
        kind = {"content-type": "application/json"}
        return FakeResponse(status=400, headers=kind, parts=iter((content,)))

    def has_conversation(call: FakeRequest) -> bool:
        body: Any = call.json
        return "conversation" in body

    return Fault(method="POST", path="/responses", match=has_conversation, response=respond)


@pytest.mark.parametrize("before", [0, 2])
def test_provider_refusing_conversations_gets_response_ids(
    studio: Any, session: Any, provider: FakeOpenAI, before: int
) -> None:
    """
    If a provider refuses conversations, turns continue by response id. This is detected once, in
    the first turn or later, and no more conversations are created; an earlier conversation's
    history is sent from the library once.
    """
    images = [session.generate(prompt) for prompt in LINE[:before]]
    asked_before = begun(provider)
    provider.enqueue_fault(refuse_conversations(REFUSED_PARAMETER), times=99)
    images.extend(session.generate(prompt) for prompt in LINE[before:])
    asked_once = 1 if before == 0 else 0
    assert begun(provider) == asked_before + asked_once
    refused, *bodies = paid_bodies(provider)[before:]
    assert refused["conversation"]
    previous = [image.turn.response_id for image in images[before:-1]]
    assert known(bodies[0]) == Known(messages=1 if before == 0 else 2 * before + 2)
    assert [known(body) for body in bodies[1:]] == [
        Known(previous=response_id) for response_id in previous
    ]
    assert [image.turn.conversation for image in images[before:]] == [None] * len(bodies)
    moved = ["rebuilt"] if before else []
    assert [image.turn.context for image in images][before:] == [
        *(moved or ["fresh"]),
        *["continued"] * (len(bodies) - 1),
    ]
    studio.session("Another").generate("a cup")
    assert known(paid_bodies(provider)[-1]) == Known()
    assert begun(provider) == asked_before + asked_once


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_provider_without_conversations_is_asked_once(
    studio: Any, session: Any, provider: FakeOpenAI, status: int
) -> None:
    """
    A provider that cannot create conversations, or not with this key, gets one such request.
    """
    provider.fail_next(status=status, method="POST", path="/conversations")
    first = session.generate("a teapot")
    second = session.generate("bluer")
    opening, body = paid_bodies(provider)
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
def test_rejected_conversation_ends_the_call(
    studio: Any, session: Any, provider: FakeOpenAI, status: int, error: type[Exception]
) -> None:
    """
    If the provider rejects the creation of a conversation, nothing is paid for or recorded, and the
    next call tries again.
    """
    at_once = {"retry-after": "0"}
    provider.fail_next(status=status, headers=at_once, method="POST", path="/conversations")
    with pytest.raises(error):
        session.generate("a teapot")
    assert sent_requests(provider) == []
    assert begun(provider) == 1
    assert (session.turns(), unsettled(studio.library)) == ((), [])
    assert session.generate("a teapot").turn.conversation is not None


def test_retry_timeout_applies_to_conversations(
    make_talking: MakeStudio, provider: FakeOpenAI
) -> None:
    """
    With a retry timeout, creating a conversation is retried after the provider's delay.
    """
    at_once = {"retry-after": "0"}
    provider.fail_next(status=429, headers=at_once, method="POST", path="/conversations", times=2)
    image = make_talking(provider, retry_timeout=5).generate("a teapot")
    assert image.turn.conversation is not None
    assert (begun(provider), len(paid_bodies(provider))) == (3, 1)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(path="/conversations", response=break_connection), id="reset"),
        pytest.param(
            Fault(path="/conversations", transform=break_connection), id="reset-after-response"
        ),
        pytest.param(respond_to_creation(b""), id="nothing"),
        pytest.param(respond_to_creation(b"<html></html>"), id="HTML"),
        pytest.param(respond_to_creation(b"[]"), id="a list"),
        pytest.param(respond_to_creation(b'{"object": "conversation"}'), id="no id"),
        pytest.param(respond_to_creation(b'{"id": 7}'), id="number for an id"),
        pytest.param(respond_to_creation(b'{"id": "conv_'), id="cut JSON"),
        pytest.param(500, id="500"),
        pytest.param(502, id="502"),
        pytest.param(504, id="504"),
    ],
)
def test_unavailable_conversation_does_not_fail_the_call(
    session: Any, provider: FakeOpenAI, fault: Fault | int
) -> None:
    """
    If a conversation cannot be created in two attempts, the image is made without one; the next
    turn creates one, and loses no history.
    """
    if isinstance(fault, int):
        provider.fail_next(status=fault, method="POST", path="/conversations", times=2)
    else:
        provider.enqueue_fault(fault, times=2)
    first = session.generate("a teapot")
    assert begun(provider) == 2
    assert known(paid_bodies(provider)[-1]) == Known()
    assert (first.turn.conversation, first.turn.context) == (None, "fresh")
    second = session.generate("bluer")
    assert known(paid_bodies(provider)[-1]) == anew_from(first, within=second)
    assert second.turn.context == "continued"
    assert (begun(provider), len(paid_bodies(provider))) == (3, 2)


def test_first_attempt_to_create_a_conversation_may_fail(
    session: Any, provider: FakeOpenAI
) -> None:
    """
    A conversation that cannot be created in the first attempt is created in the second.
    """
    provider.enqueue_fault(Fault(path="/conversations", response=break_connection))
    first = session.generate("a teapot")
    assert first.turn.conversation is not None
    assert (begun(provider), len(paid_bodies(provider))) == (2, 1)
