"""
How requests say what came before, read for tests; and how sessions are made to say it.
"""

from __future__ import annotations

from typing import Any

import attrs

from imagesession.testing import FakeOpenAI, FakeRequest

EITHER_WAY = [True, False]
"""Whether a session goes on in a conversation, for tests that hold either way."""


@attrs.frozen(kw_only=True)
class Known:
    """
    Hold how a request names what came before.

    Attributes:
        conversation: The conversation in which it is made.
        previous: The reply that it continues.
        items: What was answered before, named by the ids of its items.
        messages: How many messages it brings; one where nothing is said again.
    """

    conversation: str | None = None
    previous: str | None = None
    items: tuple[str, ...] = ()
    messages: int = 1


def known(body: Any) -> Known:
    """
    Read a request to Responses.
    """
    items = [item for item in body["input"] if item.get("type") == "item_reference"]
    assert all(item.keys() == {"type", "id"} for item in items)
    return Known(
        conversation=body.get("conversation"),
        previous=body.get("previous_response_id"),
        items=tuple(item["id"] for item in items),
        messages=len(body["input"]) - len(items),
    )


def straight_from(image: Any, *, conversing: object) -> Known:
    """
    Return how a request goes on from the last picture, with nothing but the new message.

    Args:
        image: The last picture.
        conversing: Whether it goes on in a conversation; otherwise by the reply's id.
    """
    if not conversing:
        assert image.turn.response_id is not None
        assert image.turn.conversation is None
        return Known(previous=image.turn.response_id)
    assert image.turn.conversation is not None
    return Known(conversation=image.turn.conversation)


def anew_from(*images: Any, within: Any) -> Known:
    """
    Return how a request goes on in a new conversation, naming what was answered by its items.

    Args:
        images: The pictures that it continues, the oldest first; one for each turn.
        within: The picture that was made of it, which tells of the conversation.
    """
    conversation = within.turn.conversation
    assert conversation is not None
    assert conversation not in {image.turn.conversation for image in images}
    items = tuple(item for image in images for item in items_of(image))
    return Known(conversation=conversation, items=items, messages=len(images) + 1)


def items_of(image: Any) -> tuple[str, ...]:
    """
    Return the provider's ids of all items of the answer that brought a picture.
    """
    items: tuple[str, ...] = image.turn.item_ids
    assert any(item.call_id in items for item in image.turn.images)
    return items


def begun(provider: FakeOpenAI) -> int:
    """
    Return how often a conversation was asked for.
    """
    asked = [call for call in provider.requests if call.path == "/conversations"]
    assert all(call.method == "POST" for call in asked)
    return len(asked)


def delete_conversation(provider: FakeOpenAI, conversation: str) -> None:
    """
    Delete a conversation, as the account's owner may.
    """
    path = f"/conversations/{conversation}"
    headers = {"authorization": "Bearer another"}
    assert provider.handle(FakeRequest(method="DELETE", path=path, headers=headers)).status == 200


def converse(session: Any, conversing: object) -> Any:
    """
    Have a session go on in a conversation, or by its responses' ids; return it.
    """
    return session.update(provider_state="conversation" if conversing else "responses")
