"""
Items that belong together: a picture and the reasoning that led to it.
"""

from typing import TYPE_CHECKING, Any

import pytest

from imagesession.testing import FakeOpenAI

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fake_openai.conftest import Talk

Json = dict[str, Any]
REASONS = "gpt-6-luna"


def referred(item: Json) -> Json:
    """
    Name an item by its id alone.
    """
    return {"type": "item_reference", "id": item["id"]}


def bare(item: Json) -> Json:
    """
    Leave out the picture's bytes.
    """
    return {key: value for key, value in item.items() if key != "result"}


def as_it_came(item: Json) -> Json:
    """
    Send an item whole.
    """
    return item


WAYS = pytest.mark.parametrize("way", [referred, bare, as_it_came])


def bluer(*items: Json) -> list[Json]:
    """
    Ask for a change behind items.
    """
    return [*items, {"role": "user", "content": "bluer"}]


@WAYS
def test_whole_group_is_taken(talk: "Talk", way: "Callable[[Json], Json]") -> None:
    """
    Reasoning, picture and message in this order stand for the turn that they came from.
    """
    first = talk.make("a red kite", model=REASONS)
    chained = talk.make("bluer", model=REASONS, previous_response_id=first["id"])
    sent = talk.make(bluer(*map(way, first["output"])), model=REASONS)

    assert [item["type"] for item in first["output"]] == [
        "reasoning",
        "image_generation_call",
        "message",
    ]
    assert talk.pixels(sent) == talk.pixels(chained)


@WAYS
def test_picture_needs_its_reasoning(talk: "Talk", way: "Callable[[Json], Json]") -> None:
    """
    A picture of a model that reasons is refused without the reasoning, in the words of the service,
    whatever model is asked now and though all came in an earlier turn.
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
        bluer(way(picture)),
        bluer(way(picture), way(reasoning), way(message)),
        [*bluer(), way(picture)],
    ):
        assert talk.refused(items, model=REASONS) == (400, refused)
    assert talk.refused(bluer(way(picture))) == (400, refused)
    on = talk.refused(bluer(way(picture)), model=REASONS, previous_response_id=first["id"])
    assert on == (400, refused)


def test_message_needs_its_reasoning(talk: "Talk") -> None:
    """
    So is what the model said.
    """
    reasoning, _, message = talk.make(model=REASONS)["output"]
    status, error = talk.refused(bluer(message), model=REASONS)

    assert status == 400
    assert error["message"] == (
        f"Item '{message['id']}' of type 'message' was provided without its required 'reasoning' "
        f"item: '{reasoning['id']}'."
    )


@WAYS
def test_reasoning_needs_what_follows(talk: "Talk", way: "Callable[[Json], Json]") -> None:
    """
    Reasoning is refused unless what it led to comes right behind it.
    """
    reasoning, picture, message = talk.make(model=REASONS)["output"]
    other = talk.make()["output"][0]
    wanted = (
        f"Item '{reasoning['id']}' of type 'reasoning' was provided without its required "
        "following item."
    )
    for items in (
        [way(reasoning)],
        bluer(way(reasoning)),
        bluer(way(reasoning), way(message)),
        bluer(way(reasoning), way(other), way(picture)),
    ):
        status, error = talk.refused(items, model=REASONS)
        assert (status, error["message"], error["param"]) == (400, wanted, "input")
    assert talk.make(bluer(way(reasoning), way(picture)), model=REASONS)


def test_reasoning_made_elsewhere_needs_something_that_follows(talk: "Talk") -> None:
    """
    Reasoning that is not known is taken with its encrypted content, and before something that a
    model made.
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


def test_several_pictures_need_one_reasoning(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    All pictures of a reply belong to its reasoning.
    """
    provider.pictures_per_reply = 2
    reasoning, item, two, _ = map(referred, talk.make(model=REASONS)["output"])

    assert talk.make(bluer(reasoning, item, two), model=REASONS)
    assert talk.make(bluer(reasoning, item), model=REASONS)
    assert talk.refused(bluer(two), model=REASONS)[0] == 400


def test_pictures_made_without_reasoning_stand_alone(talk: "Talk") -> None:
    """
    A reply that began with the picture has nothing that it lacks.
    """
    for made in (talk.make(), talk.make(model=REASONS, reasoning={"effort": "none"})):
        for item in map(referred, made["output"]):
            assert talk.make(bluer(item), model=REASONS)


def test_messages_of_users_stand_alone(talk: "Talk") -> None:
    """
    What a user said can be named by its id, too.
    """
    made = talk.make([{"role": "user", "content": "a kite"}], model=REASONS)
    (item,) = talk.get(f"/responses/{made['id']}/input_items")["data"]

    assert talk.make(bluer(referred(item)), model=REASONS)


@pytest.mark.parametrize("item_id", ["rs_0", "ig_0", "msg_0", "fc_0"])
def test_unknown_items_are_not_found(talk: "Talk", item_id: str) -> None:
    """
    An id that nothing has is refused with 404.
    """
    refused = {
        "message": f"Item with id '{item_id}' not found.",
        "type": "invalid_request_error",
        "param": "input",
        "code": None,
    }

    assert talk.refused(bluer({"type": "item_reference", "id": item_id})) == (404, refused)


def test_unknown_pictures_and_reasoning_need_their_content(talk: "Talk") -> None:
    """
    So are a picture and reasoning that are not known and do not bring what is in them.
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
    Items of a response that was not stored are refused with 404, in words that say why; its id is
    not known either.
    """
    made = (
        talk.events(model=REASONS, store=False)[-1]["response"]
        if streamed
        else talk.make(model=REASONS, store=False)
    )

    for item in made["output"]:
        status, error = talk.refused(bluer(referred(item)), model=REASONS)
        assert status == 404
        assert error["message"] == (
            f"Item with id '{item['id']}' not found. Items are not persisted when `store` is set "
            "to false. Try again with `store` set to true, or remove this item from your input."
        )
    status, error = talk.refused(previous_response_id=made["id"])
    assert (status, error["code"]) == (400, "previous_response_not_found")


def test_forgotten_items_are_not_found(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    What was deleted or forgotten is not found, without a reason.
    """
    deleted, forgotten = talk.make(), talk.make()
    unstored = talk.make(store=False)
    talk.client.responses.delete(deleted["id"])
    assert talk.make(bluer(referred(forgotten["output"][0])))
    provider.reset_memory()

    for made in (deleted, forgotten, unstored):
        status, error = talk.refused(bluer(referred(made["output"][0])))
        assert (status, error["message"].endswith("not found.")) == (404, True)
