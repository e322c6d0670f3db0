"""
How requests refer to the history, parsed for tests.
"""

from __future__ import annotations

from typing import Any

import attrs

from imagesession.testing import FakeOpenAI, FakeRequest

EITHER_WAY = [True, False]
"""Whether a session uses a conversation, for tests that apply to both."""


@attrs.frozen(kw_only=True)
class Known:
    """
    How a request refers to the history.

    Attributes:
        conversation: The conversation of the request.
        previous: The id of the response that it continues.
        items: The ids of the items of earlier answers.
        messages: The number of messages; one if no history is sent.
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
    Return how a request continues the last image, with nothing but the new message.

    Args:
        image: The last image.
        conversing: Whether it uses a conversation; otherwise the response id.
    """
    if not conversing:
        assert image.turn.response_id is not None
        assert image.turn.conversation is None
        return Known(previous=image.turn.response_id)
    assert image.turn.conversation is not None
    return Known(conversation=image.turn.conversation)


def anew_from(*images: Any, within: Any) -> Known:
    """
    Return how a request continues in a new conversation, which names earlier answers by their
    items.

    Args:
        images: The images of the history, the oldest first; one for each turn.
        within: The resulting image, which has the conversation.
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
    Set a session's `provider_state` to "conversation" or "responses"; return the session.
    """
    return session.update(provider_state="conversation" if conversing else "responses")
