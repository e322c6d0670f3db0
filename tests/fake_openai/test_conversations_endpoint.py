"""
Conversations: responses under one id.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import openai
import pytest

from imagesession.testing import FakeOpenAI

if TYPE_CHECKING:
    from tests.fake_openai.conftest import Talk


def test_conversation_continues(talk: "Talk") -> None:
    """
    Each response in a conversation edits the image of the one before.
    """
    conversation = talk.client.conversations.create(metadata={"k": "v"})
    talk.make("a red kite", conversation=conversation.id)
    second = talk.make("bluer", conversation={"id": conversation.id})

    first = talk.make("a red kite")
    chained = talk.make("bluer", previous_response_id=first["id"])
    assert talk.pixels(second) == talk.pixels(chained)
    assert second["conversation"] == {"id": conversation.id}
    assert talk.client.conversations.retrieve(conversation.id) == conversation


def test_items_of_a_conversation(talk: "Talk") -> None:
    """
    A conversation lists its messages and images, by default newest first.
    """
    conversation = talk.client.conversations.create()
    made = talk.make("a red kite", conversation=conversation.id)
    talk.events("bluer", conversation=conversation.id)

    newest = list(talk.client.conversations.items.list(conversation.id))
    oldest = list(talk.client.conversations.items.list(conversation.id, order="asc"))
    kinds = ["message", "image_generation_call", "message"]
    assert [item.type for item in oldest] == kinds * 2
    assert newest == oldest[::-1]
    assert oldest[1].to_dict()["result"] == talk.pictures(made)[0]["result"]


def test_running_response_locks_its_conversation(
    connect: "Callable[[FakeOpenAI], Talk]",
) -> None:
    """
    While a background response runs, its conversation is locked and does not list it.
    """
    times = [0.0]
    talk = connect(FakeOpenAI(latency=10, clock=lambda: times[-1]))
    conversation = talk.client.conversations.create().id
    talk.make(background=True, conversation=conversation)

    status, error = talk.refused(conversation=conversation)
    assert (status, error["code"]) == (400, "conversation_locked")
    assert list(talk.client.conversations.items.list(conversation)) == []
    times.append(10.0)
    assert len(list(talk.client.conversations.items.list(conversation))) == 3


def test_unknown_conversations_are_rejected(talk: "Talk", provider: FakeOpenAI) -> None:
    """
    A deleted or dropped conversation is not found; a conversation together with a previous response
    is rejected.
    """
    deleted, forgotten = (talk.client.conversations.create().id for _ in range(2))
    first = talk.make()
    assert talk.client.conversations.delete(deleted).deleted
    status, error = talk.refused(previous_response_id=first["id"], conversation=forgotten)
    assert (status, error["code"]) == (400, "mutually_exclusive_parameters")
    provider.reset_memory()

    for conversation in (deleted, forgotten):
        assert talk.refused(conversation=conversation)[0] == 404
        with pytest.raises(openai.NotFoundError):
            talk.client.conversations.retrieve(conversation)


def test_items_of_another_organization_are_not_found(talk: "Talk") -> None:
    """
    Another organization finds neither a conversation nor a response nor their items.
    """
    conversation = talk.client.conversations.create().id
    first = talk.make(conversation=conversation)
    item = {"type": "image_generation_call", "id": talk.pictures(first)[0]["id"]}
    foreign = talk.client.with_options(organization="org-other")
    requests: list[dict[str, Any]] = [
        {"input": "a kite", "conversation": conversation},
        {"input": "a kite", "previous_response_id": first["id"]},
        {"input": [item]},
    ]
    for wanted in requests:
        with pytest.raises(openai.APIStatusError, match="not found"):
            foreign.responses.create(model="gpt-6-luna", **wanted)
    with pytest.raises(openai.NotFoundError):
        foreign.conversations.items.list(conversation)
    with pytest.raises(openai.NotFoundError):
        foreign.responses.retrieve(first["id"])
    with pytest.raises(openai.NotFoundError):
        foreign.responses.delete(first["id"])
    assert talk.client.responses.retrieve(first["id"]).id == first["id"]


def test_initial_items_are_rejected(talk: "Talk") -> None:
    """
    A conversation starts empty: unsupported items are rejected, not dropped.
    """
    with pytest.raises(openai.BadRequestError, match="only with a response"):
        talk.client.conversations.create(items=[{"role": "user", "content": "a kite"}])


def test_deleted_while_streaming(talk: "Talk") -> None:
    """
    Deleting a conversation during a stream does not break the stream.
    """
    conversation = talk.client.conversations.create().id
    with talk.client.responses.create(
        model="gpt-5.4", input="tea", conversation=conversation, stream=True
    ) as stream:
        kinds: list[str] = []
        for event in stream:
            if not kinds:
                talk.client.conversations.delete(conversation)
            kinds.append(event.type)

    assert kinds[-1] == "response.completed"


def test_oldest_conversations_are_dropped(talk: "Talk", monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The number of conversations is limited: the least recently used are dropped, except those with
    an undelivered response.
    """
    monkeypatch.setattr("imagesession._fake_openai.conversations_endpoint.KEPT_CONVERSATIONS", 2)
    waited, used, idle = (talk.client.conversations.create().id for _ in range(3))
    assert not _is_kept(talk, waited)  # it has no response yet
    waited = talk.client.conversations.create().id
    assert not _is_kept(talk, used)
    made = talk.make(background=True, conversation=waited)
    talk.make(conversation=idle)
    newest = [talk.client.conversations.create().id for _ in range(2)]

    assert [_is_kept(talk, text) for text in (waited, idle, *newest)] == [True, False, False, True]
    talk.get(f"/responses/{made['id']}")
    talk.client.conversations.create()
    assert not _is_kept(talk, waited)


def test_listing_items_delivers_them(talk: "Talk", monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Listing a conversation lists everything in it, and counts as delivery.
    """
    monkeypatch.setattr("imagesession._fake_openai.conversations_endpoint.KEPT_CONVERSATIONS", 1)
    conversation = talk.client.conversations.create().id
    for _ in range(3):
        talk.make(tools=[], background=True, conversation=conversation)
    assert _is_kept(talk, talk.client.conversations.create().id)
    assert len(list(talk.client.conversations.items.list(conversation))) == 6
    talk.client.conversations.create()

    assert not _is_kept(talk, conversation)


def test_items_can_come_without_bytes(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    The items of a conversation have the images' bytes, or not, as the provider is set.
    """
    conversation = talk.client.conversations.create().id
    made = talk.make(conversation=conversation)
    results: list[object] = []
    for included in (True, False):
        provider.conversation_items_include_image = included
        items = talk.client.conversations.items.list(conversation)
        results += (
            item.to_dict()["result"] for item in items if item.type == "image_generation_call"
        )

    assert results == [talk.pictures(made)[0]["result"], None]


def test_unstored_responses_enter_no_conversation(talk: "Talk") -> None:
    """
    A response with `store: false` is not added to its conversation.
    """
    conversation = talk.client.conversations.create().id
    talk.make(conversation=conversation, store=False)

    assert list(talk.client.conversations.items.list(conversation)) == []


def _is_kept(talk: "Talk", conversation: str) -> bool:
    try:
        talk.client.conversations.retrieve(conversation)
    except openai.NotFoundError:
        return False
    return True
