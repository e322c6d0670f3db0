"""
How the model comes to know what came before, the cheapest way that works.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from imagesession._domain.turn import Turn

from .effects import StoreCall, Workflow
from .payloads import ConversationContext, Item, PreparedRequest, input_image, user_message
from .store import InputImage
from .validate import validate_reference_count


def previous_response_id(past: tuple[Turn, ...], provider: str) -> str | None:
    """
    Return the id of the response that a turn continues; None where the provider does not keep it,
    or may tell more by it than stands in the library.
    """
    if not past or past[-1].provider != provider:
        return None
    parent = past[-1]
    kept = parent.provider_state == "responses" and parent.conversation is None
    return parent.response_id if kept else None


def by_previous_response(
    past: tuple[Turn, ...], prepared: PreparedRequest
) -> Workflow[ConversationContext]:
    """
    Name the response that this turn continues: a hundred bytes, whatever the pictures weigh.
    """
    context = yield from by_conversation(past, prepared)
    return attrs.evolve(context, previous_response_id=past[-1].response_id)


def by_conversation(
    past: tuple[Turn, ...], prepared: PreparedRequest
) -> Workflow[ConversationContext]:
    """
    Say nothing again, as the provider knows all of it.

    Where the last picture is not the one that the response brought, but was put together from it,
    it is shown as well, unless it goes along anyway.
    """
    last = past[-1].images[-1]
    if last.source != "composite" or any(
        reference.image_id == last.id for reference in prepared.references
    ):
        return ConversationContext(knows=True)
    picture = yield from StoreCall(lambda store: store.load_stored_input(last))
    if prepared.based:
        return ConversationContext(knows=True, messages=_aside(picture))
    return ConversationContext(knows=True, picture=picture)


def by_item_ids(
    past: tuple[Turn, ...], prepared: PreparedRequest, files: Mapping[str, str]
) -> Workflow[ConversationContext]:
    """
    Tell what was said, and name what was answered by the ids of its items, which the provider
    keeps: some hundred bytes a turn, whatever the pictures weigh.

    An image item is refused without the reasoning item before it, so an answer's items are only
    ever named together.

    Args:
        past: The turns to tell, the oldest first; the provider has the items of the last one.
        prepared: What is wanted.
        files: What the provider holds of the pictures that went along with them: its id of a
            picture, by the picture's digest.

    Source: https://developers.openai.com/api/docs/guides/conversation-state
    """
    context = yield from by_conversation(past, prepared)
    # What the provider did not know any more when history was sent, it does not know now.
    again = max((at for at, turn in enumerate(past) if turn.context == "rebuilt"), default=0)
    messages = [
        *(message for turn in past[:again] for message in _exchange(turn)),
        *(item for turn in past[again:] for item in _items(turn, prepared.turn.provider, files)),
    ]
    return attrs.evolve(context, messages=(*messages, *context.messages))


def _items(turn: Turn, provider: str, files: Mapping[str, str]) -> tuple[Item, ...]:
    """
    Tell what was said in a turn, and name its answer's items where the provider has them.
    """
    if not has_items(turn, provider):
        return _exchange(turn)
    shown = (files[reference.sha256] for reference in turn.references if reference.sha256 in files)
    return (
        user_message(turn.prompt, ({"type": "input_image", "file_id": file} for file in shown)),
        *({"type": "item_reference", "id": item_id} for item_id in turn.item_ids),
    )


def has_items(turn: Turn, provider: str) -> bool:
    """
    Tell whether the provider keeps all items of a turn's answer. A copy has its original's id, and
    counts where that came alone in its response: then its turn names the response too.
    """
    kept = {"reply"} if turn.response_id is None else {"reply", "copy"}
    return (
        turn.provider == provider
        and turn.provider_state != "none"
        and any(image.call_id in turn.item_ids and image.source in kept for image in turn.images)
    )


def by_full_history(
    past: tuple[Turn, ...], prepared: PreparedRequest
) -> Workflow[ConversationContext]:
    """
    Send history from the library: what was said, and the last picture. Never the newest words
    alone.

    The words go as plain messages and the picture as pixels, not as ids of the provider's
    items: whoever forgot the response forgot its items too. What is changed stands first in the new
    message, so where that is another picture, the last one is shown in a message before.
    """
    if not past:
        return ConversationContext()
    last = past[-1].images[-1]
    picture = yield from StoreCall(lambda store: store.load_stored_input(last))
    messages = [message for turn in past for message in _exchange(turn)]
    if not prepared.based:
        return ConversationContext(messages=(*messages, _pointer(picture)), picture=picture)
    if prepared.references[0].image_id == last.id:
        return ConversationContext(messages=(*messages, _pointer(picture)))
    return ConversationContext(messages=(*messages, *_aside(picture)))


def as_single_prompt(
    prepared: PreparedRequest, past: tuple[Turn, ...]
) -> Workflow[tuple[str, tuple[InputImage, ...]]]:
    """
    Put brief, conversation and prompt into one text, for a model that takes nothing else.

    Returns:
        The text, and the pictures that go along: the one to go on from comes first.

    Raises:
        InvalidImageError: With that one they are too many.
    """
    paragraphs = [prepared.brief] if prepared.brief else []
    pictures = prepared.references
    if past:
        earlier = "\n".join(f"- {turn.prompt}" for turn in past if turn.prompt)
        if earlier:
            paragraphs.append(f"What was asked before, the oldest first:\n{earlier}")
        last = past[-1].images[-1]
        picture = (
            None
            if prepared.based
            else (yield from StoreCall(lambda store: store.load_stored_input(last)))
        )
        if picture is not None:
            pictures = (picture, *pictures)
        if picture is not None or prepared.based:
            paragraphs.append("Change the first picture as follows.")
    validate_reference_count(len(pictures))
    return "\n\n".join([*paragraphs, prepared.turn.prompt]), pictures


def _exchange(turn: Turn) -> tuple[Item, Item]:
    """
    Tell what was said in a turn.
    """
    if turn.kind in {"import", "promotion"} and not turn.prompt:
        return user_message("[I bring a picture.]"), _assistant("[I see it.]")
    return user_message(turn.prompt), _answer(turn)


def _answer(turn: Turn) -> Item:
    said = turn.text or next(
        (image.revised_prompt for image in turn.images if image.revised_prompt), ""
    )
    return _assistant(f"[I made a picture.] {said}".strip())


def _aside(picture: InputImage | None) -> tuple[Item, ...]:
    """
    Show the last picture in a message of its own, before one that is about another picture.
    """
    if picture is None:
        return (_pointer(None),)
    shown = user_message("[This is the last picture.]", [input_image(picture, {})])
    return shown, _assistant("[I see it.]")


def _pointer(picture: InputImage | None) -> Item:
    if picture is None:
        return _assistant("[The last picture cannot be shown again; go by the words above.]")
    return _assistant("[The last picture stands at the beginning of the next message.]")


def _assistant(text: str) -> Item:
    return {"role": "assistant", "content": [{"type": "output_text", "text": text}]}
