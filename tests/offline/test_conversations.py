"""
Conversations: responses under one id.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import openai
import pytest

from imagesession._offline.conversations import KEPT_CONVERSATIONS
from imagesession.testing import OfflineProvider

if TYPE_CHECKING:
    from tests.offline.conftest import Talk


def test_conversation_goes_on(talk: "Talk") -> None:
    """
    Each response in a conversation changes the picture of the one before.
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
    A conversation lists what was said and drawn, newest first unless asked otherwise.
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
    connect: "Callable[[OfflineProvider], Talk]",
) -> None:
    """
    While a background response runs, its conversation is locked and shows nothing of it.
    """
    times = [0.0]
    talk = connect(OfflineProvider(latency=10, clock=lambda: times[-1]))
    conversation = talk.client.conversations.create().id
    talk.make(background=True, conversation=conversation)

    status, error = talk.refused(conversation=conversation)
    assert (status, error["code"]) == (400, "conversation_locked")
    assert list(talk.client.conversations.items.list(conversation)) == []
    times.append(10.0)
    assert len(list(talk.client.conversations.items.list(conversation))) == 3


def test_unknown_conversations_are_refused(talk: "Talk", provider: OfflineProvider) -> None:
    """
    A conversation that was deleted or forgotten is not found, nor is one beside a response.
    """
    deleted, forgotten = (talk.client.conversations.create().id for _ in range(2))
    first = talk.make()
    assert talk.client.conversations.delete(deleted).deleted
    status, error = talk.refused(previous_response_id=first["id"], conversation=forgotten)
    assert (status, error["code"]) == (400, "mutually_exclusive_parameters")
    provider.forget()

    for conversation in (deleted, forgotten):
        assert talk.refused(conversation=conversation)[0] == 404
        with pytest.raises(openai.NotFoundError):
            talk.client.conversations.retrieve(conversation)


def test_first_items_are_refused(talk: "Talk") -> None:
    """
    A conversation starts empty: what is not supported is said, not dropped.
    """
    with pytest.raises(openai.BadRequestError, match="only with a response"):
        talk.client.conversations.create(items=[{"role": "user", "content": "a kite"}])


def test_deleted_while_streaming(talk: "Talk") -> None:
    """
    A conversation that is deleted during a stream does not break it.
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


def test_oldest_conversations_are_forgotten(talk: "Talk") -> None:
    """
    The memory for conversations has a bound.
    """
    first, *_ = [talk.client.conversations.create().id for _ in range(KEPT_CONVERSATIONS + 1)]

    with pytest.raises(openai.NotFoundError):
        talk.client.conversations.retrieve(first)
