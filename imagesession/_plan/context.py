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


def remembered(past: tuple[Turn, ...], provider: str) -> str | None:
    """
    Return the id by which the provider may remember the last turn; None if it never knew it.
    """
    if past and past[-1].provider == provider:
        return past[-1].response_id
    return None


def continued(response_id: str, past: tuple[Turn, ...], order: Order) -> Flow[Context]:
    """
    Name the reply that this turn continues: a hundred bytes, whatever the pictures weigh.
    """
    context = yield from ongoing(past, order)
    return attrs.evolve(context, previous_response_id=response_id)


def ongoing(past: tuple[Turn, ...], order: Order) -> Flow[Context]:
    """
    Say nothing again, as the provider knows all of it.

    Where the last picture is not the one that the reply brought, but was put together from it,
    it is shown as well, unless it goes along anyway.
    """
    last = past[-1].images[-1]
    if last.source != "composite" or any(one.image_id == last.id for one in order.references):
        return Context(knows=True)
    picture = yield from OnDisk(lambda store: store.still(last))
    if order.based:
        return Context(knows=True, messages=_aside(picture))
    return Context(knows=True, picture=picture)


def recalled(
    past: tuple[Turn, ...], order: Order, files: Mapping[str, str]
) -> Flow[Context | None]:
    """
    Tell the conversation again by the ids of its pictures, which the provider keeps: some two
    hundred bytes a turn, whatever the pictures weigh.

    Args:
        past: The turns to tell, the oldest first.
        order: What is wanted.
        files: What the provider holds of the pictures that went along with them: its id of a
            picture, by the picture's digest.

    Returns:
        The context; None where the provider did not make the last picture.

    Source: https://developers.openai.com/api/docs/guides/tools-image-generation (multi-turn
    editing, by image id)
    """
    if not past or not _is_held(past[-1], order.turn.provider):
        return None
    context = yield from ongoing(past, order)
    # What the provider did not know any more when it was told again, it does not know now.
    again = max((at for at, turn in enumerate(past) if turn.context == "rebuilt"), default=0)
    messages = [
        *(message for turn in past[:again] for message in _exchange(turn)),
        *(item for turn in past[again:] for item in _items(turn, order.turn.provider, files)),
    ]
    return attrs.evolve(context, messages=(*messages, *context.messages))


def _items(turn: Turn, provider: str, files: Mapping[str, str]) -> tuple[Item, ...]:
    """
    Tell what was said in a turn, and name its pictures where the provider has them.
    """
    if not _is_held(turn, provider):
        return _exchange(turn)
    calls = dict.fromkeys(image.call_id for image in turn.images if image.call_id)
    shown = (files[one.sha256] for one in turn.references if one.sha256 in files)
    return (
        user_message(turn.prompt, ({"type": "input_image", "file_id": file} for file in shown)),
        *({"type": "image_generation_call", "id": call_id} for call_id in calls),
    )


def _is_held(turn: Turn, provider: str) -> bool:
    """
    Tell whether the provider has a turn's pictures by their ids. A copy has its original's id, and
    counts where that came alone in its reply: then its turn names the reply too.
    """
    held = {"reply"} if turn.response_id is None else {"reply", "copy"}
    return turn.provider == provider and any(
        image.call_id and image.source in held for image in turn.images
    )


def rebuilt(past: tuple[Turn, ...], order: Order) -> Flow[Context]:
    """
    Tell the whole conversation again, with the last picture. Never the newest words alone.

    The words go as plain messages and the picture as pixels, not as ids of the provider's
    items: whoever forgot the reply forgot its items too. What is changed stands first in the new
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


def retold(order: Order, past: tuple[Turn, ...]) -> Flow[tuple[str, tuple[Fetched, ...]]]:
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
