"""
Items that belong together: an image and the reasoning that led to it.
"""

from typing import TYPE_CHECKING, Any

import pytest

from imagesession.testing import FakeOpenAI

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fake_openai.conftest import Talk

Json = dict[str, Any]
REASONS = "gpt-6-luna"


def as_reference(item: Json) -> Json:
    """
    Refer to an item by its id alone.
    """
    return {"type": "item_reference", "id": item["id"]}


def without_bytes(item: Json) -> Json:
    """
    Leave out the image's bytes.
    """
    return {key: value for key, value in item.items() if key != "result"}


def unchanged(item: Json) -> Json:
    """
    Send an item as it was received.
    """
    return item


FORMS = pytest.mark.parametrize("form", [as_reference, without_bytes, unchanged])


def bluer(*items: Json) -> list[Json]:
    """
    Request an edit after items.
    """
    return [*items, {"role": "user", "content": "bluer"}]


@FORMS
def test_complete_group_is_accepted(talk: "Talk", form: "Callable[[Json], Json]") -> None:
    """
    Reasoning, image and message in this order stand for their turn.
    """
    first = talk.make("a red kite", model=REASONS)
    chained = talk.make("bluer", model=REASONS, previous_response_id=first["id"])
    sent = talk.make(bluer(*map(form, first["output"])), model=REASONS)

    assert [item["type"] for item in first["output"]] == [
        "reasoning",
        "image_generation_call",
        "message",
    ]
    assert talk.pixels(sent) == talk.pixels(chained)


@FORMS
def test_image_needs_its_reasoning(talk: "Talk", form: "Callable[[Json], Json]") -> None:
    """
    A reasoning model's image is rejected without its reasoning item, with the service's message,
    whatever the current model and even if the items belong to an earlier turn.
    """
    first = talk.make("a red kite", model=REASONS)
    reasoning, picture, message = first["output"]
    refused = {
        "message": f"Item '{picture['id']}' of type 'image_generation_call' was provided without "
        f"its required 'reasoning' item: '{reasoning['id']}'.",
        "type": "invalid_request_error",
        "param": "input",
        "code": None,
    }

    for items in (
        bluer(form(picture)),
        bluer(form(picture), form(reasoning), form(message)),
        [*bluer(), form(picture)],
    ):
        assert talk.refused(items, model=REASONS) == (400, refused)
    assert talk.refused(bluer(form(picture))) == (400, refused)
    continued = talk.refused(bluer(form(picture)), model=REASONS, previous_response_id=first["id"])
    assert continued == (400, refused)


def test_message_needs_its_reasoning(talk: "Talk") -> None:
    """
    A reasoning model's message is rejected without its reasoning item.
    """
    reasoning, _, message = talk.make(model=REASONS)["output"]
    status, error = talk.refused(bluer(message), model=REASONS)

    assert status == 400
    assert error["message"] == (
        f"Item '{message['id']}' of type 'message' was provided without its required 'reasoning' "
        f"item: '{reasoning['id']}'."
    )


@FORMS
def test_reasoning_needs_its_following_item(talk: "Talk", form: "Callable[[Json], Json]") -> None:
    """
    Reasoning is rejected unless the item that it led to follows immediately.
    """
    reasoning, picture, message = talk.make(model=REASONS)["output"]
    other = talk.make()["output"][0]
    expected = (
        f"Item '{reasoning['id']}' of type 'reasoning' was provided without its required "
        "following item."
    )
    for items in (
        [form(reasoning)],
        bluer(form(reasoning)),
        bluer(form(reasoning), form(message)),
        bluer(form(reasoning), form(other), form(picture)),
    ):
        status, error = talk.refused(items, model=REASONS)
        assert (status, error["message"], error["param"]) == (400, expected, "input")
    assert talk.make(bluer(form(reasoning), form(picture)), model=REASONS)


def test_unknown_reasoning_needs_a_following_output_item(talk: "Talk") -> None:
    """
    Unknown reasoning is accepted with its encrypted content if an output item follows it.
    """
    reasoning: Json = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "encrypted_content": "gAAA",
    }
    followers: list[Json] = [
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"role": "assistant", "content": "Here it is."},
    ]
    others: list[Json] = [
        {"role": "user", "content": "a kite"},
        {"type": "function_call_output", "call_id": "1", "output": "axolotl"},
        reasoning,
    ]

    assert all(talk.make(bluer(reasoning, follower)) for follower in followers)
    for other in others:
        status, error = talk.refused(bluer(reasoning, other))
        assert (status, "required following item" in error["message"]) == (400, True)


def test_several_images_need_one_reasoning(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    All images of a response belong to its one reasoning item.
    """
    provider.images_per_reply = 2
    reasoning, item, two, _ = map(as_reference, talk.make(model=REASONS)["output"])

    assert talk.make(bluer(reasoning, item, two), model=REASONS)
    assert talk.make(bluer(reasoning, item), model=REASONS)
    assert talk.refused(bluer(two), model=REASONS)[0] == 400


def test_images_without_reasoning_stand_alone(talk: "Talk") -> None:
    """
    The items of a response without reasoning are accepted alone.
    """
    for made in (talk.make(), talk.make(model=REASONS, reasoning={"effort": "none"})):
        for item in map(as_reference, made["output"]):
            assert talk.make(bluer(item), model=REASONS)


def test_user_messages_stand_alone(talk: "Talk") -> None:
    """
    A user message can be as_reference to by its id, too.
    """
    made = talk.make([{"role": "user", "content": "a kite"}], model=REASONS)
    (item,) = talk.get(f"/responses/{made['id']}/input_items")["data"]

    assert talk.make(bluer(as_reference(item)), model=REASONS)


@pytest.mark.parametrize("item_id", ["rs_0", "ig_0", "msg_0", "fc_0"])
def test_unknown_items_are_not_found(talk: "Talk", item_id: str) -> None:
    """
    An unknown id is rejected with 404.
    """
    refused = {
        "message": f"Item with id '{item_id}' not found.",
        "type": "invalid_request_error",
        "param": "input",
        "code": None,
    }

    assert talk.refused(bluer({"type": "item_reference", "id": item_id})) == (404, refused)


def test_unknown_images_and_reasoning_need_their_content(talk: "Talk") -> None:
    """
    Unknown images and reasoning are rejected with 404 if they lack their content.
    """
    items: list[Json] = [
        {"type": "image_generation_call", "id": "ig_0", "status": "completed", "result": None},
        {"type": "reasoning", "id": "rs_0", "summary": []},
    ]
    for item in items:
        status, error = talk.refused(bluer(item))
        assert (status, error["message"]) == (404, f"Item with id '{item['id']}' not found.")


@pytest.mark.parametrize("streamed", [False, True])
def test_unstored_items_are_not_found(talk: "Talk", *, streamed: bool) -> None:
    """
    Items of a response that was not stored are rejected with 404 and the reason; the response's id
    is unknown too.
    """
    made = (
        talk.events(model=REASONS, store=False)[-1]["response"]
        if streamed
        else talk.make(model=REASONS, store=False)
    )

    for item in made["output"]:
        status, error = talk.refused(bluer(as_reference(item)), model=REASONS)
        assert status == 404
        assert error["message"] == (
            f"Item with id '{item['id']}' not found. Items are not persisted when `store` is set "
            "to false. Try again with `store` set to true, or remove this item from your input."
        )
    status, error = talk.refused(previous_response_id=made["id"])
    assert (status, error["code"]) == (400, "previous_response_not_found")


def test_dropped_items_are_not_found(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    Deleted and dropped items are not found, without a reason.
    """
    deleted, forgotten = talk.make(), talk.make()
    unstored = talk.make(store=False)
    talk.client.responses.delete(deleted["id"])
    assert talk.make(bluer(as_reference(forgotten["output"][0])))
    provider.reset_memory()

    for made in (deleted, forgotten, unstored):
        status, error = talk.refused(bluer(as_reference(made["output"][0])))
        assert (status, error["message"].endswith("not found.")) == (404, True)
