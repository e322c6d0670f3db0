"""
`api="images"` forces the Images API: the prompt as it is, several images in one request, and no
text model. Prices given by hand make budgets work for any model.

Every test runs over the sync and the async twin.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from imagesession import Budget
from imagesession._fake_openai.http import json_response
from imagesession.errors import (
    BudgetExceededError,
    GenerationFailedError,
    InvalidOptionError,
    InvalidRequestError,
    OutcomeUnknownError,
    ProviderUnavailableError,
)
from imagesession.testing import FakeOpenAI, FakeRequest, FakeResponse, Fault, tiny_image
from tests.conftest import MakeStudio
from tests.sent import forms, opened, posts

HAND = {"quality": "low", "size": "1024x1024"}


def test_prompt_goes_as_it_is(studio: Any, provider: FakeOpenAI) -> None:
    """
    The image model gets the caller's words and nothing around them, and no text model is billed.
    """
    image = studio.generate("a pot, 2 handles", api="images", **HAND)
    (call,) = provider.requests
    assert (call.path, call.body["prompt"]) == ("/images/generations", "a pot, 2 handles")
    assert (image.cost.mainline, image.turn.model) == (0.0, None)
    led = studio.generate("a pot, 2 handles", **HAND)
    assert led.cost.mainline > 0
    assert image.cost.image <= led.cost.image


@pytest.mark.parametrize("level", ["studio", "session", "call", "update"])
def test_api_of_studio_session_and_call(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, level: str
) -> None:
    """
    It can be said for a studio, a session or a call; the narrower one has precedence, and a session
    keeps its own for other programs.
    """
    given = {"api": "images"}
    studio = make_studio(
        tmp_path / "library", provider=provider, **(given if level == "studio" else {})
    )
    session = studio.session("Tea", name="tea", **(given if level == "session" else {}))
    if level == "update":
        session.update(**given)
    session.generate("a pot", **(given if level == "call" else {}))
    other = make_studio(tmp_path / "library", provider=provider).open("tea")
    other.generate("in blue")
    other.generate("in red", api="responses")
    kept = "/images/edits" if level in {"session", "update"} else "/responses"
    assert posts(provider)[::2][:1] == ["/images/generations"]
    assert [path for path in posts(provider) if path != "/files"] == [
        "/images/generations",
        kept,
        "/responses",
    ]


def test_session_edits_its_last_image(studio: Any, provider: FakeOpenAI) -> None:
    """
    A turn by the Images API edits the session's last image, and the next turn by Responses knows
    what came of it.
    """
    session = studio.session("Tea")
    first = session.generate("a teapot")
    second = session.generate("in blue", api="images")
    (form,) = forms(provider)
    assert opened(form["image"]).size == first.size
    assert form["prompt"].endswith("in blue")
    assert second.turn.parents == (first.id,)
    third = session.generate("with a lid")
    assert third.turn.context == "rebuilt"
    assert [turn.prompt for turn in session.turns()] == ["a teapot", "in blue", "with a lid"]


@pytest.mark.parametrize("value", ["image", "Images", 7, ""])
@pytest.mark.parametrize("verb", ["session", "generate", "estimate"])
def test_unknown_api_is_refused(
    make_studio: MakeStudio, tmp_path: Path, verb: str, value: Any
) -> None:
    """
    Anything else is a typed error before anything is sent.
    """
    provider = FakeOpenAI()
    studio = make_studio(tmp_path, provider=provider)
    with pytest.raises(InvalidRequestError, match="api="):
        getattr(studio, verb)("a pot", api=value)
    with pytest.raises(InvalidRequestError, match="api="):
        make_studio(tmp_path, provider=provider, api=value)
    assert posts(provider) == []


def test_several_images_take_one_request(studio: Any, provider: FakeOpenAI) -> None:
    """
    `n` images come from one request with the words as they are; each is saved, and the cost is
    that of the whole.
    """
    results = studio.variations("a pot", n=3, api="images", **HAND)
    (call,) = provider.requests
    assert (call.body["n"], call.body["prompt"]) == (3, "a pot")
    images = results.raise_any().images
    assert len({image.id for image in images}) == 3
    assert len({image.sha256 for image in images}) == 3
    assert len({image.turn.id for image in images}) == 1
    assert len(studio.images.list()) == 3
    single = studio.generate("a pot", api="images", **HAND)
    assert studio.costs().total.dollars == pytest.approx(4 * single.cost.total, rel=0.1)


def test_map_by_the_images_api(studio: Any, provider: FakeOpenAI) -> None:
    """
    Many images may be made by the Images API too.
    """
    assert studio.map(["a pot", "a cup"], api="images").ok
    assert posts(provider) == ["/images/generations"] * 2
    with pytest.raises(InvalidRequestError, match="api="):
        studio.map(["a pot"], api="image")


def test_branch_beside_a_turn_of_the_images_api_continues_by_id(studio: Any) -> None:
    """
    A turn by the Images API says nothing about whether its parent's response is still there.
    """
    session = studio.session("Tea")
    session.generate("a teapot")
    session.generate("in blue", api="images")
    session.undo()
    assert session.generate("in red").turn.context == "continued"


def one_image(_: FakeRequest) -> FakeResponse:
    """
    Answer with a single image, whatever was requested.
    """
    encoded = base64.b64encode(tiny_image()).decode()
    return json_response({"data": [{"b64_json": encoded}]})


def test_failed_request_for_several_images(studio: Any, provider: FakeOpenAI) -> None:
    """
    An error stands in the place of each image, and images that a server leaves out are named.
    """
    provider.fail_next(status=400)
    results = studio.variations("a pot", n=2, api="images")
    assert (len(results), len(results.errors)) == (2, 2)
    provider.enqueue_fault(Fault(path="/images/*", response=one_image))
    results = studio.variations("a pot", n=2, api="images")
    assert len(results.images) == 1
    assert isinstance(results.errors[0], GenerationFailedError)


def test_idempotency_key_of_several_images(studio: Any, provider: FakeOpenAI) -> None:
    """
    A second call with the same key returns the same images.
    """
    first, second = (
        studio.variations("a pot", n=2, api="images", idempotency_key="k") for _ in range(2)
    )
    assert [image.id for image in first.images] == [image.id for image in second.images]
    assert len(posts(provider)) == 1


def test_estimate_contains_the_cost(studio: Any) -> None:
    """
    An estimate for the Images API leaves the text model out, and contains the bill.
    """
    led, alone = (studio.estimate("a pot", api=api, **HAND) for api in ("responses", "images"))
    assert alone.high < led.high
    cost = studio.generate("a pot", api="images", **HAND).cost.total
    assert alone.low <= cost <= alone.high
    session = studio.session("Tea", api="images", **HAND)
    session.generate("a pot")
    expected = session.estimate("in blue")
    assert expected.low <= session.generate("in blue").cost.total <= expected.high


def test_budget_counts_every_image_of_a_request(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    The budget sets aside what all images of the request may cost.
    """
    provider = FakeOpenAI()
    studio = make_studio(
        tmp_path, provider=provider, api="images", budget=Budget(per_call=0.1), **HAND
    )
    assert studio.variations("a pot", n=2).raise_any()
    with pytest.raises(BudgetExceededError):
        studio.variations("a pot", n=9).raise_any()
    assert len(posts(provider)) == 1


# --- prices by hand -----------------------------------------------------------------------------


def test_budget_over_a_model_with_a_given_price(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    With a price for its model, a server without known prices has estimates, costs and budgets.
    """
    studio = make_studio(
        tmp_path,
        server="localai",
        image_model="sdxl",
        prices={"sdxl": 0.01},
        budget=Budget(per_day=0.025),
    )
    assert studio.estimate("a pot").high == 0.01
    assert studio.generate("a pot").cost.total == 0.01
    assert studio.generate("a cup").cost.total == 0.01
    with pytest.raises(BudgetExceededError):
        studio.generate("a mug")
    assert studio.costs().total.dollars == pytest.approx(0.02)
    assert studio.prices["sdxl"].per_image == 0.01


def test_unpriced_model_is_refused_by_a_budget_with_advice(
    make_studio: MakeStudio, tmp_path: Path
) -> None:
    """
    Without a price, the error says how to give one.
    """
    studio = make_studio(tmp_path, server="localai", budget=Budget(per_day=1.0))
    with pytest.raises(BudgetExceededError, match="prices="):
        studio.generate("a pot")


@pytest.mark.parametrize("name", ["*", "gpt-image-2.6-sunburst", "gpt-image-2"])
def test_given_prices_by_name(make_studio: MakeStudio, tmp_path: Path, name: str) -> None:
    """
    A price by name has precedence over the catalogue's; "*" is for models without any.
    """
    studio = make_studio(tmp_path, prices={name: 0.5}, api="images")
    known = studio.generate("a pot", **HAND).cost.total
    assert (known == 0.5) == (name == "gpt-image-2.6-sunburst")


def test_token_prices_of_a_text_model(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Prices can be given per million tokens, for a text model as well.
    """
    prices = {"gpt-6-luna": {"text_in": 0.0, "text_out": 0.0}, "gpt-image-2": {"image_out": 1.0}}
    studio = make_studio(tmp_path, prices=prices)
    assert studio.generate("a pot", **HAND).cost.mainline == 0.0


@pytest.mark.parametrize(
    "prices",
    [
        {"sdxl": -0.01},
        {"sdxl": "0.01"},
        {"sdxl": float("nan")},
        {"sdxl": float("inf")},
        {"sdxl": None},
        {"sdxl": True},
        {"sdxl": {"per_picture": 0.01}},
        {"sdxl": {"image_out": -1}},
        {"sdxl": [0.01]},
        {"": 0.01},
        {7: 0.01},
        [("sdxl", 0.01)],
        "sdxl=0.01",
    ],
)
def test_invalid_prices_are_refused(make_studio: MakeStudio, tmp_path: Path, prices: Any) -> None:
    """
    Anything but an amount of money from 0 is a typed error when the studio is made.
    """
    with pytest.raises(InvalidOptionError, match="prices"):
        make_studio(tmp_path, prices=prices)


# --- several image models ----------------------------------------------------------------------

MODELS = ["gpt-image-2.6-sunburst", "gpt-image-2.5-sunburst", "gpt-image-2"]


def asked_for(provider: FakeOpenAI) -> list[str]:
    """
    Return the image models that were requested, in order.
    """
    return [call.options["model"] for call in provider.generated]


def test_image_models_are_tried_in_order(studio: Any, provider: FakeOpenAI) -> None:
    """
    After an answer that billed nothing, the next model is asked.
    """
    provider.fail_next(status=403)
    provider.fail_next(status=400, error={"message": "No such model.", "param": "model"})
    image = studio.generate("a pot", image_model=MODELS, api="images")
    assert asked_for(provider) == MODELS
    assert image.turn.options.image_model == "gpt-image-2"
    assert len(studio.requests.pending()) == 0


@pytest.mark.parametrize("fault", ["500", "moderation", "reset-before-response"])
def test_image_models_are_not_changed_after_a_bill(
    make_studio: MakeStudio, tmp_path: Path, fault: str
) -> None:
    """
    What may have been billed, or was refused for its content, is not asked of another model.
    """
    provider = FakeOpenAI()
    provider.inject_faults({fault: 1.0}, method="POST")
    studio = make_studio(tmp_path, provider=provider, image_model=MODELS, api="images")
    with pytest.raises(Exception, match=r".") as caught:
        studio.generate("a pot")
    assert not isinstance(caught.value, ProviderUnavailableError)
    assert asked_for(provider) == MODELS[:1]


def test_last_image_model_says_why(studio: Any, provider: FakeOpenAI) -> None:
    """
    If none makes the image, the last one's error is raised.
    """
    provider.fail_next(status=503, times=3)
    with pytest.raises(ProviderUnavailableError):
        studio.generate("a pot", image_model=MODELS)
    assert len(asked_for(provider)) == 3


@pytest.mark.parametrize("models", [[], [""], [7], ["gpt-image-2", ""], [["gpt-image-2"]]])
def test_invalid_lists_of_image_models(studio: Any, provider: FakeOpenAI, models: Any) -> None:
    """
    A list is of names, and has one at least.
    """
    with pytest.raises(InvalidOptionError, match="image_model"):
        studio.generate("a pot", image_model=models)
    assert posts(provider) == []


@pytest.mark.parametrize("members", [{}, {"id": None}], ids=["with an id", "without one"])
@pytest.mark.usefixtures("hurried")
def test_response_that_goes_on_is_polled(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, members: dict[str, Any]
) -> None:
    """
    A gateway that answers with a response which is not finished is polled for it; without an id the
    outcome is unknown. It is never a turn without an image.
    """
    made = make_studio(tmp_path / "gateway", provider=provider).generate("a pot", **HAND)
    unfinished: dict[str, Any] = {
        "id": made.turn.response_id,
        "status": "in_progress",
        "output": [],
        **members,
    }
    fault = Fault(path="/images/generations", response=lambda _: json_response(unfinished))
    provider.enqueue_fault(fault)
    studio = make_studio(tmp_path / "library", provider=provider)
    if members:
        with pytest.raises(OutcomeUnknownError, match="no id"):
            studio.generate("a pot", api="images", **HAND)
    else:
        assert studio.generate("a pot", api="images", **HAND).bytes == made.bytes
