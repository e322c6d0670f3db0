"""
How the model comes to know what came before, the cheapest way that works.
"""

from __future__ import annotations

from imagesession._model.turns import Turn

from .requests import Item, data_url, user_message
from .steps import Flow, OnDisk
from .store import Fetched


def remembered(past: tuple[Turn, ...], provider: str) -> str | None:
    """
    Return the id by which the provider may remember the last turn; None if it never knew it.
    """
    if past and past[-1].provider == provider:
        return past[-1].response_id
    return None


def continued(response_id: str) -> Item:
    """
    Name the reply that this turn continues: a hundred bytes, whatever the pictures weigh.
    """
    return {"previous_response_id": response_id}


def rebuilt(past: tuple[Turn, ...]) -> Flow[Item]:
    """
    Tell the whole conversation again, with the last picture. Never the newest words alone.

    The words go as plain messages and the picture as pixels, not as ids of the provider's
    items: whoever forgot the reply forgot its items too.
    """
    messages: list[Item] = []
    for turn in past:
        messages += (user_message(turn.prompt), _answer(turn))
    if past:
        image = past[-1].images[-1]
        picture = yield from OnDisk(lambda store: store.still(image))
        messages.append(_shown(picture))
    return {"input": messages}


def _answer(turn: Turn) -> Item:
    said = turn.text or next(
        (image.revised_prompt for image in turn.images if image.revised_prompt), ""
    )
    text = f"[made a picture] {said}".strip()
    return {"role": "assistant", "content": [{"type": "output_text", "text": text}]}


def _shown(picture: Fetched | None) -> Item:
    if picture is None:
        return user_message("The picture as it is now cannot be shown; go by the words above.")
    return user_message(
        "This is the picture as it is now:",
        [{"type": "input_image", "image_url": data_url(picture)}],
    )
