"""
How requests say what came before, read for tests; and providers that have no conversations.
"""

from __future__ import annotations

from typing import Any

import attrs

from imagesession.testing import Call, OfflineProvider

EITHER_WAY = [True, False]
"""Whether the provider takes conversations, for tests that hold either way."""


@attrs.frozen(kw_only=True)
class Known:
    """
    Hold how a request names what came before.

    Attributes:
        conversation: The conversation in which it is made.
        previous: The reply that it continues.
        items: The pictures that it names by the ids of their calls.
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
    items = [one for one in body["input"] if one.get("type") == "image_generation_call"]
    assert all(one.keys() == {"type", "id"} for one in items)
    return Known(
        conversation=body.get("conversation"),
        previous=body.get("previous_response_id"),
        items=tuple(one["id"] for one in items),
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
    Return how a request goes on in a new conversation, naming what was said by its pictures.

    Args:
        images: The pictures that it continues, the oldest first; one for each turn.
        within: The picture that was made of it, which tells of the conversation.
    """
    conversation = within.turn.conversation
    assert conversation is not None
    assert conversation not in {image.turn.conversation for image in images}
    calls = tuple(call for image in images for call in calls_of(image))
    return Known(conversation=conversation, items=calls, messages=len(images) + 1)


def calls_of(image: Any) -> tuple[str, ...]:
    """
    Return the provider's ids of the calls that drew the pictures of a turn.
    """
    calls = tuple(one.call_id for one in image.turn.images if one.call_id is not None)
    assert calls
    return calls


def begun(provider: OfflineProvider) -> int:
    """
    Return how often a conversation was asked for.
    """
    asked = [call for call in provider.calls if call.path == "/conversations"]
    assert all(call.method == "POST" for call in asked)
    return len(asked)


def refuse_conversations(provider: OfflineProvider) -> None:
    """
    Let a provider have no conversations.
    """
    provider.fail_next(status=404, method="POST", path="/conversations", times=99)


def delete_conversation(provider: OfflineProvider, conversation: str) -> None:
    """
    Delete a conversation, as the account's owner may.
    """
    path = f"/conversations/{conversation}"
    headers = {"authorization": "Bearer another"}
    assert provider.handle(Call(method="DELETE", path=path, headers=headers)).status == 200
