"""
How the model comes to know what came before, the cheapest way that works.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from imagesession._model.turns import Turn

from .checks import check_reference_count
from .requests import Context, Item, Order, input_image, user_message
from .steps import Flow, OnDisk
from .store import Fetched


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


def by_previous_response(past: tuple[Turn, ...], order: Order) -> Flow[Context]:
    """
    Name the response that this turn continues: a hundred bytes, whatever the pictures weigh.
    """
    context = yield from by_conversation(past, order)
    return attrs.evolve(context, previous_response_id=past[-1].response_id)


def by_conversation(past: tuple[Turn, ...], order: Order) -> Flow[Context]:
    """
    Say nothing again, as the provider knows all of it.

    Where the last picture is not the one that the response brought, but was put together from it,
    it is shown as well, unless it goes along anyway.
    """
    last = past[-1].images[-1]
    if last.source != "composite" or any(one.image_id == last.id for one in order.references):
        return Context(knows=True)
    picture = yield from OnDisk(lambda store: store.still(last))
    if order.based:
        return Context(knows=True, messages=_aside(picture))
    return Context(knows=True, picture=picture)


def by_item_ids(past: tuple[Turn, ...], order: Order, files: Mapping[str, str]) -> Flow[Context]:
    """
    Tell what was said, and name what was answered by the ids of its items, which the provider
    keeps: some hundred bytes a turn, whatever the pictures weigh.

    An image item is refused without the reasoning item before it, so an answer's items are only
    ever named together.

    Args:
        past: The turns to tell, the oldest first; the provider has the items of the last one.
        order: What is wanted.
        files: What the provider holds of the pictures that went along with them: its id of a
            picture, by the picture's digest.

    Source: https://developers.openai.com/api/docs/guides/conversation-state
    """
    context = yield from by_conversation(past, order)
    # What the provider did not know any more when history was sent, it does not know now.
    again = max((at for at, turn in enumerate(past) if turn.context == "rebuilt"), default=0)
    messages = [
        *(message for turn in past[:again] for message in _exchange(turn)),
        *(item for turn in past[again:] for item in _items(turn, order.turn.provider, files)),
    ]
    return attrs.evolve(context, messages=(*messages, *context.messages))


def _items(turn: Turn, provider: str, files: Mapping[str, str]) -> tuple[Item, ...]:
    """
    Tell what was said in a turn, and name its answer's items where the provider has them.
    """
    if not has_items(turn, provider):
        return _exchange(turn)
    shown = (files[one.sha256] for one in turn.references if one.sha256 in files)
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


def by_full_history(past: tuple[Turn, ...], order: Order) -> Flow[Context]:
    """
    Send history from the library: what was said, and the last picture. Never the newest words
    alone.

    The words go as plain messages and the picture as pixels, not as ids of the provider's
    items: whoever forgot the response forgot its items too. What is changed stands first in the new
    message, so where that is another picture, the last one is shown in a message before.
    """
    if not past:
        return Context()
    last = past[-1].images[-1]
    picture = yield from OnDisk(lambda store: store.still(last))
    messages = [message for turn in past for message in _exchange(turn)]
    if not order.based:
        return Context(messages=(*messages, _pointer(picture)), picture=picture)
    if order.references[0].image_id == last.id:
        return Context(messages=(*messages, _pointer(picture)))
    return Context(messages=(*messages, *_aside(picture)))


def as_single_prompt(order: Order, past: tuple[Turn, ...]) -> Flow[tuple[str, tuple[Fetched, ...]]]:
    """
    Put brief, conversation and prompt into one text, for a model that takes nothing else.

    Returns:
        The text, and the pictures that go along: the one to go on from comes first.

    Raises:
        PictureError: With that one they are too many.
    """
    paragraphs = [order.brief] if order.brief else []
    pictures = order.references
    if past:
        earlier = "\n".join(f"- {turn.prompt}" for turn in past if turn.prompt)
        if earlier:
            paragraphs.append(f"What was asked before, the oldest first:\n{earlier}")
        last = past[-1].images[-1]
        picture = None if order.based else (yield from OnDisk(lambda store: store.still(last)))
        if picture is not None:
            pictures = (picture, *pictures)
        if picture is not None or order.based:
            paragraphs.append("Change the first picture as follows.")
    check_reference_count(len(pictures))
    return "\n\n".join([*paragraphs, order.turn.prompt]), pictures


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


def _aside(picture: Fetched | None) -> tuple[Item, ...]:
    """
    Show the last picture in a message of its own, before one that is about another picture.
    """
    if picture is None:
        return (_pointer(None),)
    shown = user_message("[This is the last picture.]", [input_image(picture, {})])
    return shown, _assistant("[I see it.]")


def _pointer(picture: Fetched | None) -> Item:
    if picture is None:
        return _assistant("[The last picture cannot be shown again; go by the words above.]")
    return _assistant("[The last picture stands at the beginning of the next message.]")


def _assistant(text: str) -> Item:
    return {"role": "assistant", "content": [{"type": "output_text", "text": text}]}
