"""
An estimate contains the bill, and names its assumptions.
"""

from __future__ import annotations

import base64
import datetime as dt
import math
from collections.abc import Iterator
from typing import Any

import attrs
import httpx2
import openai
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from imagesession._domain.cost import cost_of
from imagesession._domain.estimate import CostEstimate, estimate
from imagesession._domain.model_catalog import ModelCatalog, load_catalogue
from imagesession._domain.options import GenerateOptions
from imagesession._domain.token_counts import Usage
from imagesession._domain.turn import Turn
from imagesession.testing import FakeOpenAI, FakeTransport, tiny_image

CATALOGUE = load_catalogue()
Json = dict[str, Any]
# Rounding of sums, in US dollars.
SLACK = 1e-12

models = st.sampled_from(["gpt-6-luna", "gpt-6.2-sol", "gpt-5.4", "gpt-4o-mini", "gpt-4.1"])
newer = st.builds(
    GenerateOptions,
    model=models,
    image_model=st.sampled_from(["auto", "gpt-image-2.5-flare", "gpt-image-2.6-flare"]),
    quality=st.sampled_from(["auto", "low", "high", "max"]),
    size=st.sampled_from(["auto", "1024x1024", "1280x720", "720x1280", "1536x512"]),
    output_format=st.sampled_from(["png", "jpeg", "svg"]),
)
moving = st.builds(
    GenerateOptions,
    quality=st.sampled_from(["auto", "medium"]),
    size=st.sampled_from(["auto", "640x480", "1024x1024"]),
    output_format=st.just("gif"),
    frames=st.sampled_from([2, 4]),
)
older = st.builds(
    GenerateOptions,
    model=models,
    image_model=st.sampled_from(["gpt-image-1.5", "gpt-image-1-mini"]),
    quality=st.sampled_from(["auto", "low", "medium", "high"]),
    size=st.sampled_from(["auto", "1024x1024", "1024x1536", "1536x1024"]),
    output_format=st.sampled_from(["png", "webp"]),
)
prompts = st.sampled_from(
    ["tea", "a red kite over a harbour, wide " * 20, "一只红色的风筝在海港上空"]
)
pictures = st.lists(st.sampled_from([(64, 64), (300, 200), (1024, 1024), (1600, 900)]), max_size=3)


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    """
    A real client with the fake provider.
    """
    http = httpx2.Client(transport=FakeTransport(FakeOpenAI()))
    with openai.OpenAI(api_key="offline", http_client=http, max_retries=0) as new_client:
        yield new_client


def tool_of(options: GenerateOptions, partial_images: int) -> Json:
    """
    Build the image tool of a request.
    """
    parameters = {
        "model": options.image_model,
        "quality": options.quality,
        "size": options.size,
        "output_format": options.output_format,
        "frame_count": options.frames,
    }
    tool_options: Json = {
        name: value for name, value in parameters.items() if value not in {"auto", None}
    }
    return {"type": "image_generation", "partial_images": partial_images, **tool_options}


def message(prompt: str, sizes: list[tuple[int, int]]) -> Json:
    """
    Build a message with images.
    """
    data = [base64.b64encode(tiny_image(size=size)).decode() for size in sizes]
    shown = [
        {"type": "input_image", "image_url": f"data:image/png;base64,{encoded}"} for encoded in data
    ]
    return {"role": "user", "content": [*shown, {"type": "input_text", "text": prompt}]}


def create_response(client: openai.OpenAI, body: Json) -> Json:
    """
    Create a response without streaming.
    """
    reply: Json = client.post("/responses", body=body, cast_to=httpx2.Response).json()
    return reply


def billed_usd(reply: Json, options: GenerateOptions) -> float:
    """
    Return the cost of a response's usage in US dollars.
    """
    image = dict(reply["tool_usage"]["image_gen"])
    written = [output["svg_usage"] for output in reply["output"] if "svg_usage" in output]
    if written:
        image["svg_usage"] = written
    cost = cost_of(
        Usage(mainline=reply["usage"], image=image),
        mainline=reply["model"],
        image=options.image_model,
        catalogue=CATALOGUE,
    )
    assert cost.total is not None, str(cost)
    return cost.total


def turn_of(options: GenerateOptions, reply: Json | None = None) -> Turn:
    """
    Build a turn with a response's usage, or without any.
    """
    usage = Usage()
    if reply is not None:
        usage = Usage(mainline=reply["usage"], image=reply["tool_usage"]["image_gen"])
    started = dt.datetime(2026, 11, 30, tzinfo=dt.UTC)
    return Turn(id="01", prompt="a teapot", options=options, usage=usage, started=started)


def contains(result: CostEstimate, amount: float) -> bool:
    """
    Return whether an amount is within an estimate.
    """
    return result.high is not None and result.low - SLACK <= amount <= result.high + SLACK


def is_close(number: float | None, other: float) -> bool:
    """
    Return whether two amounts differ only by rounding.
    """
    return number is not None and math.isclose(number, other)


@given(newer | older | moving, prompts, pictures)
@example(GenerateOptions(), "tea", [])
@example(
    GenerateOptions(quality="low", output_format="svg", svg_model="gpt-6-sol"), "tea", [(1600, 900)]
)
@example(GenerateOptions(quality="max", size="2048x1152"), "tea", [])
@settings(
    max_examples=settings().max_examples // 4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_bill_of_an_image_is_within_its_estimate(
    client: openai.OpenAI, options: GenerateOptions, prompt: str, sizes: list[tuple[int, int]]
) -> None:
    """
    For any options, the provider's bill is within the estimate.
    """
    result = estimate(options, CATALOGUE, prompt=prompt, images=sizes)
    model = CATALOGUE.mainline if options.model == "auto" else options.model
    tool = tool_of(options, 0)
    if options.svg_model is not None:
        tool["svg"] = {"model": options.svg_model}
    body = {"model": model, "tools": [tool], "input": [message(prompt, sizes)]}
    reply = create_response(client, body)
    billed = billed_usd(reply, options)
    assert contains(result, billed), f"{billed} is not within {result}"


@pytest.mark.parametrize("quality", ["auto", "low"])
@pytest.mark.parametrize("reported", [True, False])
def test_every_turn_of_a_session_is_within_its_estimate(
    client: openai.OpenAI, quality: Any, *, reported: bool
) -> None:
    """
    Earlier turns are billed again, and the estimate includes them: by their usage where it was
    reported, which bounds them closer than the worst case.
    """
    options = GenerateOptions(quality=quality)
    previous, size = None, None
    past: list[Turn] = []
    for _ in range(4):
        result = estimate(
            options,
            CATALOGUE,
            prompt="warmer colours",
            images=[size] if size else [],
            past=past,
        )
        reply = create_response(
            client,
            {
                "model": CATALOGUE.mainline,
                "tools": [tool_of(options, 0)],
                "input": [message("warmer colours", [])],
                "previous_response_id": previous,
            },
        )
        assert contains(result, billed_usd(reply, options))
        image = next(item for item in reply["output"] if item["type"] == "image_generation_call")
        width, height = map(int, image["size"].split("x"))
        previous, size = reply["id"], (width, height)
        past.append(turn_of(options, reply if reported else None))


@pytest.mark.parametrize("other", [{"model": "gpt-4o-mini"}, {"image_model": "gpt-image-2"}])
def test_usage_of_another_model_bounds_nothing(
    client: openai.OpenAI, other: dict[str, Any]
) -> None:
    """
    Models count an image differently, so a turn of another model counts as if it had no report.
    """
    options = GenerateOptions(quality="low")
    body = {"model": CATALOGUE.mainline, "tools": [tool_of(options, 0)], "input": "a teapot"}
    turn = turn_of(options, create_response(client, body))
    changed = options.updated(other)
    of_another = estimate(changed, CATALOGUE, past=[turn])
    of_the_same = estimate(changed, CATALOGUE, past=[attrs.evolve(turn, options=changed)])
    assert of_another.high is not None
    assert of_the_same.high is not None
    assert of_another.high > of_the_same.high


@pytest.mark.parametrize("sizes", [[], [(1024, 1024)], [(300, 200), (1600, 900)]])
def test_analysis_is_within_its_estimate(
    client: openai.OpenAI, sizes: list[tuple[int, int]]
) -> None:
    """
    A call that makes no image, such as an analysis, is within its own estimate.
    """
    result = estimate(GenerateOptions(), CATALOGUE, prompt="What is it?", images=sizes, draws=False)
    body = {"model": CATALOGUE.mainline, "input": [message("What is it?", sizes)]}
    cost = cost_of(
        Usage(mainline=create_response(client, body)["usage"]),
        mainline=CATALOGUE.mainline,
        image=None,
        catalogue=CATALOGUE,
    )
    assert contains(result, cost.total or -1.0)
    assert "draws" not in " ".join(result.assumptions)


def test_continued_image_keeps_its_size_in_the_estimate() -> None:
    """
    With size "auto" a large image that is continued is billed at its own size.
    """
    options = GenerateOptions(image_model="gpt-image-2", quality="high")
    small = estimate(options, CATALOGUE, images=[(1024, 1024)])
    large = estimate(options, CATALOGUE, images=[(3840, 2160)])
    tokens = CATALOGUE.output_tokens("gpt-image-2", "high", (3840, 2160))
    assert tokens is not None
    assert small.high is not None
    assert large.high is not None
    assert large.high > small.high
    assert large.high >= tokens * 30 / 1e6


def test_published_figures_give_a_narrow_range() -> None:
    """
    With quality and size set, the image model's share is exact.
    """
    options = GenerateOptions(image_model="gpt-image-2", quality="high", size="1024x1024")
    result = estimate(options, CATALOGUE, leads=False)
    # 7,024 tokens at $30 a million, and up to 1,000 of text each way.
    assert is_close(result.low, 0.21072 + 1.25e-6)
    assert is_close(result.high, 0.21072 + 0.005 + 0.01)
    assert "gpt-image-2 draws: 7,024 tokens an image by published figures." in result.assumptions


def test_scaled_figures_have_a_margin() -> None:
    """
    A reseller's bill for the newest model is within the estimate.
    """
    options = GenerateOptions(image_model="gpt-image-2.6-sunburst", quality="low", size="1536x1024")
    result = estimate(options, CATALOGUE, leads=False)
    assert contains(result, 664 * 30 / 1e6 + 20 * 5 / 1e6)
    assert "scaled" in " ".join(result.assumptions)


def test_recorded_conversation_is_within_its_estimate() -> None:
    """
    The bills of real mainline models for a first turn are within the estimate.
    """
    billed = {"gpt-5-nano": (3151, 1970), "gpt-5": (1889, 1434), "gpt-4o-mini": (3195, 68)}
    for model, (sent, received) in billed.items():
        options = GenerateOptions(model=model)
        result = estimate(options, CATALOGUE, prompt="x" * 40, draws=False)
        report = {"input_tokens": sent, "output_tokens": received}
        cost = cost_of(Usage(mainline=report), mainline=model, image=None, catalogue=CATALOGUE)
        assert contains(result, cost.total or -1.0)
    # 28,700 tokens in, 25,501 of them for one image.
    shown = estimate(
        GenerateOptions(model="gpt-4o-mini"), CATALOGUE, images=[(1024, 1024)], draws=False
    )
    assert contains(shown, 28_700 * 0.15 / 1e6 + 100 * 0.6 / 1e6)


def test_partial_images_cost_100_tokens_each() -> None:
    """
    Partial images may be billed, so they raise the upper bound and not the lower one.
    """
    options = GenerateOptions(image_model="gpt-image-2", quality="low", size="1024x1024")
    plain = estimate(options, CATALOGUE)
    partial = estimate(options, CATALOGUE, partial_images=3)
    assert plain.high is not None
    assert is_close(partial.high, plain.high + 300 * 30 / 1e6)
    assert partial.low == plain.low
    assert "3 partial images, 100 tokens each." in partial.assumptions


def test_several_calls_and_batches() -> None:
    """
    Four calls cost four times as much, and half of that in a batch.
    """
    single = estimate(GenerateOptions(), CATALOGUE)
    four = estimate(GenerateOptions(), CATALOGUE, count=4, batch=True)
    assert single.high is not None
    assert is_close(four.high, 2 * single.high)
    assert is_close(four.low, 2 * single.low)
    assert "halved for a batch, for 4 images" in four.assumptions[0]


@pytest.mark.parametrize(
    "options,prefix",
    [
        (
            GenerateOptions(image_model="my-model"),
            "How many tokens an image takes my-model is not known",
        ),
        (
            GenerateOptions(image_model="dall-e-3"),
            "How many tokens an image takes dall-e-3 is not known",
        ),
        (
            GenerateOptions(image_model="gpt-image-2", quality="max"),
            "How many tokens an image takes gpt-image-2 is not known",
        ),
        (GenerateOptions(model="my-model"), "The price of my-model is not known"),
        (
            GenerateOptions(output_format="svg", svg_model="my-model"),
            "The price of my-model is not known",
        ),
    ],
)
def test_unknown_figures_have_no_upper_bound(options: GenerateOptions, prefix: str) -> None:
    """
    A model without prices or token counts has no upper bound, and the assumptions say so.
    """
    result = estimate(options, CATALOGUE)
    assert result.high is None
    assert any(assumption.startswith(prefix) for assumption in result.assumptions)
    assert str(result).endswith(" or more")


def test_automatic_choices_are_in_the_assumptions() -> None:
    """
    With "auto" options the range covers all choices of the model, and the assumptions say so.
    """
    result = estimate(GenerateOptions(), CATALOGUE)
    text = " ".join(result.assumptions)
    assert result.high is not None
    assert result.high > 10 * result.low
    assert "the provider chooses the model" in text
    assert "the model chooses the quality, low to max" in text
    assert "the model chooses the size" in text
    assert CATALOGUE.dated.isoformat() in text


def test_gif_and_svg_have_their_own_assumptions() -> None:
    """
    A GIF may be billed as one large sheet, and an SVG has the text output of its model.
    """
    still = estimate(GenerateOptions(quality="low", size="1024x1024"), CATALOGUE)
    moving = estimate(
        GenerateOptions(quality="low", size="1024x1024", output_format="gif"), CATALOGUE
    )
    vector = estimate(
        GenerateOptions(quality="low", size="1024x1024", output_format="svg"), CATALOGUE
    )
    assert still.high is not None
    assert moving.high is not None
    assert vector.high is not None
    assert moving.high > still.high
    assert moving.low < still.low
    assert "how a GIF is billed is not published" in " ".join(moving.assumptions)
    assert vector.high > still.high
    assert "writes the SVG, billed apart" in " ".join(vector.assumptions)


@given(newer | older | moving, prompts, pictures, st.integers(0, 3), st.integers(0, 5))
def test_estimate_is_a_range(
    options: GenerateOptions, prompt: str, sizes: list[tuple[int, int]], partials: int, before: int
) -> None:
    """
    The lower bound is never above the upper one, and a larger request never costs less.
    """
    less = estimate(options, CATALOGUE, prompt=prompt)
    more = estimate(
        options,
        CATALOGUE,
        prompt=prompt,
        images=sizes,
        partial_images=partials,
        past=[turn_of(options)] * before,
    )
    assert less.high is not None
    assert more.high is not None
    assert 0 < less.low <= less.high <= more.high
    assert more.low <= more.high


def test_empty_catalogue_has_no_upper_bound() -> None:
    """
    An empty catalogue gives an open estimate, without invented figures.
    """
    empty = ModelCatalog(dated=CATALOGUE.dated, mainline="a", image="b", batch_image="b", models={})
    result = estimate(GenerateOptions(), empty)
    assert (result.low, result.high) == (0.0, None)


@pytest.mark.parametrize(
    "result,text",
    [
        (CostEstimate(low=0.0164, high=0.0379), "$0.0164 to $0.0379"),
        (CostEstimate(low=0.05, high=0.05), "$0.0500"),
        (CostEstimate(low=0.05, high=None), "$0.0500 or more"),
    ],
)
def test_estimate_as_text(result: CostEstimate, text: str) -> None:
    """
    The text of an estimate is readable.
    """
    assert str(result) == text
