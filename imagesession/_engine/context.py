"""
Build the context by which the model knows the earlier turns.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from imagesession._domain.turn import Turn

from .effects import PixelCall, Workflow
from .payloads import (
    ConversationContext,
    Item,
    PreparedRequest,
    input_image,
    sent_prompt,
    user_message,
    with_roles,
)
from .pixels import InputImage
from .validate import validate_reference_count


def previous_response_id(past: tuple[Turn, ...], provider: str) -> str | None:
    """
    Return the id of the response that a turn continues; None if the provider does not keep it, or
    its context may hold more than the library's turns.
    """
    if not past or past[-1].provider != provider:
        return None
    parent = past[-1]
    is_stored = parent.provider_state == "responses" and parent.conversation is None
    return parent.response_id if is_stored else None


def by_previous_response(
    past: tuple[Turn, ...], prepared: PreparedRequest
) -> Workflow[ConversationContext]:
    """
    Refer to the response that this turn continues: about 100 bytes, whatever the images' size.
    """
    context = yield from by_conversation(past, prepared)
    return attrs.evolve(context, previous_response_id=past[-1].response_id)


def by_conversation(
    past: tuple[Turn, ...], prepared: PreparedRequest
) -> Workflow[ConversationContext]:
    """
    Send no earlier messages, as the provider knows the conversation.

    If the last image is a composite made from the response's image, it is sent too, unless it is
    already among the references.
    """
    last = past[-1].images[-1]
    if last.source != "composite" or any(
        reference.image_id == last.id for reference in prepared.references
    ):
        return ConversationContext(provider_has_image=True)
    last_image = yield from PixelCall(lambda pixels: pixels.load_stored(last))
    if prepared.edits_first_reference:
        return ConversationContext(provider_has_image=True, messages=_separate_image(last_image))
    return ConversationContext(provider_has_image=True, image=last_image)


def by_item_ids(
    past: tuple[Turn, ...], prepared: PreparedRequest, files: Mapping[str, str]
) -> Workflow[ConversationContext]:
    """
    Send the earlier prompts, and refer to the answers by the ids of their items, which the provider
    keeps: some hundred bytes a turn, whatever the images' size.

    An image item is rejected without the reasoning item before it, so an answer's items are always
    sent together.

    Source: https://developers.openai.com/api/docs/guides/conversation-state
    """
    context = yield from by_conversation(past, prepared)
    # Items of turns before a rebuilt one had already expired when the history was sent.
    first_kept = max(
        (index for index, turn in enumerate(past) if turn.context == "rebuilt"), default=0
    )
    messages = [
        *(message for turn in past[:first_kept] for message in _messages(turn)),
        *(
            item
            for turn in past[first_kept:]
            for item in _messages_with_items(turn, prepared.turn.provider, files)
        ),
    ]
    return attrs.evolve(context, messages=(*messages, *context.messages))


def _messages_with_items(turn: Turn, provider: str, files: Mapping[str, str]) -> tuple[Item, ...]:
    if not has_items(turn, provider):
        return _messages(turn)
    file_ids = (
        files[reference.sha256] for reference in turn.references if reference.sha256 in files
    )
    return (
        user_message(
            sent_prompt(turn), ({"type": "input_image", "file_id": file} for file in file_ids)
        ),
        *({"type": "item_reference", "id": item_id} for item_id in turn.item_ids),
    )


def has_items(turn: Turn, provider: str) -> bool:
    """
    Return whether the provider keeps all items of a turn's answer.

    A copied image has its original's id. It counts if that was alone in its response, in which case
    its turn has a response id.
    """
    sources = {"reply"} if turn.response_id is None else {"reply", "copy"}
    return (
        turn.provider == provider
        and turn.provider_state != "none"
        and any(image.call_id in turn.item_ids and image.source in sources for image in turn.images)
    )


def by_full_history(
    past: tuple[Turn, ...], prepared: PreparedRequest
) -> Workflow[ConversationContext]:
    """
    Send the history from the library: all prompts and answers, and the last image.

    The texts are plain messages and the image is pixels, as a provider that forgot the response
    forgot its items too. The image to edit comes first in the new message; if that is another
    image, the last one is sent in a message before it.
    """
    if not past:
        return ConversationContext()
    last = past[-1].images[-1]
    last_image = yield from PixelCall(lambda pixels: pixels.load_stored(last))
    messages = [message for turn in past for message in _messages(turn)]
    if not prepared.edits_first_reference:
        return ConversationContext(messages=(*messages, _image_note(last_image)), image=last_image)
    if prepared.references[0].image_id == last.id:
        return ConversationContext(messages=(*messages, _image_note(last_image)))
    return ConversationContext(messages=(*messages, *_separate_image(last_image)))


def as_single_prompt(
    prepared: PreparedRequest, past: tuple[Turn, ...]
) -> Workflow[tuple[str, tuple[InputImage, ...]]]:
    """
    Put description, history and prompt into one text, for an API without context. Of the images
    that are returned with it, the one to continue from comes first.
    """
    paragraphs = [prepared.session_description] if prepared.session_description else []
    images = prepared.references
    if past:
        earlier = "\n".join(f"- {turn.prompt}" for turn in past if turn.prompt)
        if earlier:
            paragraphs.append(f"What was asked before, the oldest first:\n{earlier}")
        last = past[-1].images[-1]
        last_image = (
            None
            if prepared.edits_first_reference
            else (yield from PixelCall(lambda pixels: pixels.load_stored(last)))
        )
        if last_image is not None:
            images = (last_image, *images)
        if last_image is not None or prepared.edits_first_reference:
            paragraphs.append("Change the first picture as follows.")
    validate_reference_count(len(images))
    return "\n\n".join([*paragraphs, with_roles(prepared)]), images


def _messages(turn: Turn) -> tuple[Item, Item]:
    if turn.kind in {"import", "promotion"} and not turn.prompt:
        return user_message("[I bring a picture.]"), _assistant("[I see it.]")
    return user_message(sent_prompt(turn)), _answer(turn)


def _answer(turn: Turn) -> Item:
    text = turn.text or next(
        (image.revised_prompt for image in turn.images if image.revised_prompt), ""
    )
    return _assistant(f"[I made a picture.] {text}".strip())


def _separate_image(last_image: InputImage | None) -> tuple[Item, ...]:
    if last_image is None:
        return (_image_note(None),)
    message = user_message("[This is the last picture.]", [input_image(last_image, {})])
    return message, _assistant("[I see it.]")


def _image_note(last_image: InputImage | None) -> Item:
    if last_image is None:
        return _assistant("[The last picture cannot be shown again; go by the words above.]")
    return _assistant("[The last picture stands at the beginning of the next message.]")


def _assistant(text: str) -> Item:
    return {"role": "assistant", "content": [{"type": "output_text", "text": text}]}
