"""
Estimate what a call could cost before it is sent: a range, and its assumptions.

The range is meant to contain the bill: where no figure is published, the smallest and the largest
recorded bill are used, with a margin.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import attrs

from .context_usage import ReportedContext, reported_context
from .cost import BATCH_DISCOUNT, format_usd, price
from .model_catalog import CompletionWindow, Mark, ModelCatalog, ModelInfo
from .options import GenerateOptions, parse_size
from .readable import readable
from .token_counts import TokenCounts, text_tokens
from .turn import Turn

Size = tuple[int, int]
Span = tuple[int, int]

# --- what a mainline model takes and gives, beside words and images -----------------------------
# Recorded first turns with the image tool had 666 (gpt-4.1) to 3,195 (gpt-4o-mini) input tokens and
# 65 to 1,970 output tokens, reasoning included; first turns without it had at least 15 and 2.
_OVERHEAD: Span = (600, 3_200)
_ANSWER: Span = (50, 4_000)
_TEXT_OVERHEAD: Span = (0, 3_200)
_TEXT_ANSWER: Span = (1, 4_000)
# https://developers.openai.com/api/docs/guides/images-vision: 32-pixel patches, times 1.2 from
# GPT-5.2 on; an older model bills at least 630 tokens for an image of 1024x1024.
_PATCH, _PATCH_FACTOR, _MIN_INPUT_TOKENS = 32, 1.2, 630
# --- what an image model takes, by sizes and formats ---------------------------------------------
_REVISED_PROMPT: Span = (1, 1_000)  # the prompt that the mainline model writes for the image model
_INPUT_IMAGE: Span = (64, 1_536)  # billed: 64 to 194 for 128x128, 1,024 for 1024x1024
_HIGH_FIDELITY = 6_240  # added by input fidelity "high"
_TEXT_OUTPUT = 1_000  # text that some image models bill beside the image; recorded: 143 and 262
_PER_PARTIAL = 100
_AUTO_PIXELS = 1536 * 1024  # the largest recorded choice of "auto"
_FRAMES = 9
_FRAME_FACTOR = 0.25  # a frame may be smaller than the smallest image
# https://developers.openai.com/api/docs/models: the longest output of a model.
_SVG_TEXT: Span = (100, 128_000)
_SVG_PROMPT: Span = (100, 8_000)

_MARGIN: dict[Mark, float] = {"published": 0.0, "measured": 0.05, "scaled": 0.3}


@readable
@attrs.frozen(kw_only=True)
class CostEstimate:
    """
    What a call could cost, in US dollars.

    Attributes:
        low: The lower bound.
        high: The upper bound; None if there is none, for example because a price is unknown.
        assumptions: The assumptions and their sources, one sentence each.
    """

    low: float
    high: float | None
    assumptions: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.high is None:
            return f"{format_usd(self.low)} or more"
        low, high = format_usd(self.low), format_usd(self.high)
        return high if low == high else f"{low} to {high}"


def estimate(
    options: GenerateOptions,
    catalogue: ModelCatalog,
    *,
    prompt: str = "",
    images: Sequence[Size] = (),
    partial_images: int = 0,
    count: int = 1,
    past: Sequence[Turn] = (),
    leads: bool = True,
    draws: bool = True,
    batch: bool = False,
    within: CompletionWindow = "soonest",
) -> CostEstimate:
    """
    Estimate what `count` calls with these options, all defaults resolved, could cost.

    The prompt is all text that is sent, including a session's description. The images are width and
    height in pixels of those that are sent, including the mask, and of the one that is continued.
    The input of earlier turns, the oldest first, is billed again, as last reported. A mainline
    model leads all requests but those of the Images API, and an analysis draws no image.
    """
    inputs = _EstimateInputs(
        options=options,
        words=text_tokens(prompt),
        images=tuple(images),
        partials=partial_images,
        past=tuple(past),
        draws=draws,
    )
    parts = [
        *([_mainline(inputs, catalogue)] if leads else ()),
        *([_image(inputs, catalogue)] if draws else ()),
        *([_svg(inputs, catalogue)] if draws and options.output_format == "svg" else ()),
    ]
    least, most, rate_assumption = _rates(options, catalogue, within) if leads else (1.0, 1.0, ())
    times = count * (BATCH_DISCOUNT if batch else 1.0)
    highs = [part.high for part in parts]
    total = None if None in highs or most is None else math.fsum(high or 0.0 for high in highs)
    return CostEstimate(
        low=math.fsum(part.low for part in parts) * times * least,
        high=None if total is None else total * times * (most or 0.0),
        assumptions=(
            _price_assumption(catalogue, count, batch=batch),
            *(assumption for part in parts for assumption in part.assumptions),
            *rate_assumption,
        ),
    )


def _rates(
    options: GenerateOptions, catalogue: ModelCatalog, within: CompletionWindow
) -> tuple[float, float | None, tuple[str, ...]]:
    """
    Return the lowest and highest share of the standard prices that may be billed, and why.
    """
    name = catalogue.resolve("mainline", options.model)
    rate = catalogue.mainline_model(name).rate(options.service_tier, within)
    how = f"at service tier {options.service_tier}" if within == "soonest" else f"within {within}"
    if rate is None:
        why = f"The price of {name} {how} is not known, so there is no upper bound."
        return 0.0, None, (why,)
    why = (
        f"{name} costs {rate:g} times its standard price {how}; whether the image model does too "
        "is not documented, so the range covers both."
    )
    return min(rate, 1.0), max(rate, 1.0), () if rate == 1.0 else (why,)


def _price_assumption(catalogue: ModelCatalog, count: int, *, batch: bool) -> str:
    halved = ", halved for a batch" if batch else ""
    return f"Prices are those of {catalogue.dated.isoformat()}{halved}, for {_count(count)}."


@attrs.frozen(kw_only=True)
class _EstimateInputs:
    options: GenerateOptions
    words: Span
    images: tuple[Size, ...]
    partials: int
    past: tuple[Turn, ...]
    draws: bool


def _part(
    name: str, low: TokenCounts, high: TokenCounts, catalogue: ModelCatalog, *assumptions: str
) -> CostEstimate:
    prices = catalogue.prices_of(name)
    least, _ = price(low, prices)
    most, missing = price(high, prices)
    if missing:
        why = f"The price of {name} is not known, so there is no upper bound."
        return CostEstimate(low=least, high=None, assumptions=(*assumptions, why))
    return CostEstimate(low=least, high=most, assumptions=assumptions)


# --- the mainline model ---------------------------------------------------------------------------


def _mainline(inputs: _EstimateInputs, catalogue: ModelCatalog) -> CostEstimate:
    name = catalogue.resolve("mainline", inputs.options.model)
    model = catalogue.mainline_model(name)
    overhead, answer = (_OVERHEAD, _ANSWER) if inputs.draws else (_TEXT_OVERHEAD, _TEXT_ANSWER)
    seen = [_input_tokens(size, model) for size in inputs.images]
    least, most = sum(low for low, _ in seen), sum(high for _, high in seen)
    before = reported_context(inputs.past, "mainline", model=inputs.options.model)
    again = before.text + before.unreported * (_OVERHEAD[1] + _ANSWER[1] + model.max_image_tokens)
    leads = (
        f"{name} leads: {overhead[0]:,} to {overhead[1]:,} tokens beside the words and images, "
        f"and an answer of {answer[0]:,} to {answer[1]:,}, reasoning included, as recorded."
    )
    assumptions = [leads]
    if seen:
        shown = _count(len(seen))
        assumptions.append(f"{name} is shown {shown}: {least:,} to {most:,} tokens.")
    if inputs.past:
        turns = _count(len(inputs.past), "earlier turn")
        assumptions.append(
            f"{name} reads {turns} again, which is billed in every turn: up to "
            f"{again:,} tokens, {_source(before)}; where they are cached, they cost far less."
        )
    return _part(
        name,
        TokenCounts(text_in_cached=overhead[0] + inputs.words[0] + least, text_out=answer[0]),
        # Newer models bill cache writes, which cost more than uncached input.
        TokenCounts(
            text_in_written=overhead[1] + inputs.words[1] + most + again,
            text_out=answer[1],
        ),
        catalogue,
        *assumptions,
    )


def _input_tokens(size: Size, model: ModelInfo) -> Span:
    patches = math.prod(-(-edge // _PATCH) for edge in size)
    most = max(math.ceil(patches * _PATCH_FACTOR), model.max_image_tokens)
    return min(patches, _MIN_INPUT_TOKENS), most


# --- the image model ------------------------------------------------------------------------------


def _image(inputs: _EstimateInputs, catalogue: ModelCatalog) -> CostEstimate:
    options = inputs.options
    name = catalogue.resolve("image", options.image_model)
    each = catalogue.prices_of(name).per_image
    if each is not None:
        stated = f"{name} costs {format_usd(each)} an image, by the price that was given."
        return CostEstimate(low=each, high=each, assumptions=(stated,))
    model = catalogue.find(name)
    output = None if model is None else _output_tokens(inputs, model)
    before = reported_context(
        inputs.past,
        "image",
        image_model=options.image_model,
        input_fidelity=options.input_fidelity,
    )
    shown = len(inputs.images)
    each = _INPUT_IMAGE[1] + (_HIGH_FIDELITY if options.input_fidelity == "high" else 0)
    most = (shown + before.unreported) * each + before.image
    assumptions = [_output_assumption(name, options, output, model)]
    if inputs.partials:
        assumptions.append(f"{inputs.partials} partial images, {_PER_PARTIAL} tokens each.")
    if most:
        again = f", and {before.image:,} as last reported" if before.image else ""
        assumptions.append(
            f"{name} is shown up to {_count(shown + before.unreported)}: {_INPUT_IMAGE[0]} to "
            f"{each:,} tokens each{again}."
        )
    if output is None:
        return CostEstimate(low=0.0, high=None, assumptions=tuple(assumptions))
    writes = catalogue.prices_of(name).text_out is not None
    return _part(
        name,
        TokenCounts(
            text_in_cached=_REVISED_PROMPT[0],
            image_in_cached=shown * _INPUT_IMAGE[0],
            image_out=output[0],
        ),
        TokenCounts(
            text_in=inputs.words[1] + before.text + _REVISED_PROMPT[1] * (1 + before.unreported),
            image_in=most,
            image_out=output[1] + inputs.partials * _PER_PARTIAL,
            text_out=_TEXT_OUTPUT if writes else 0,
        ),
        catalogue,
        *assumptions,
    )


def _output_tokens(inputs: _EstimateInputs, model: ModelInfo) -> Span | None:
    options = inputs.options
    qualities = model.qualities if options.quality == "auto" else (options.quality,)
    least, most = _sizes(inputs, model)
    lows = [_with_margin(model, quality, size, -1) for quality in qualities for size in least]
    highs = [_with_margin(model, quality, size, 1) for quality in qualities for size in most]
    if not lows or None in lows or None in highs:
        return None
    low = min(count for count in lows if count is not None)
    if options.output_format == "svg":
        low = 0
    elif options.output_format == "gif":
        low = int(low * _FRAME_FACTOR)
    return low, max(count for count in highs if count is not None)


def _with_margin(model: ModelInfo, quality: str, size: Size, sign: int) -> int | None:
    """
    Return a token count plus (sign 1) or minus (sign -1) the margin of its source.
    """
    count = model.output.lookup(quality, *size)
    if count is None:
        return None
    bound = count * (1 + sign * _MARGIN[model.output.marks.get(quality, "scaled")])
    return math.ceil(bound) if sign > 0 else math.floor(bound)


def _sizes(inputs: _EstimateInputs, model: ModelInfo) -> tuple[Iterable[Size], Iterable[Size]]:
    """
    Return the sizes among which the cheapest image is, and those with the most expensive one.
    """
    rule, pixels = model.sizes, parse_size(inputs.options.size)
    sheet = (inputs.options.frames or _FRAMES) if inputs.options.output_format == "gif" else 1
    if rule.fixed:
        sizes = rule.fixed if pixels is None else (pixels,)
        return sizes, sizes
    if pixels is not None and sheet == 1:
        return (pixels,), (pixels,)
    if pixels is not None:
        most = pixels[0] * pixels[1]
        smallest = pixels
    else:
        # An image that is continued keeps its size.
        most = max(_AUTO_PIXELS, *(width * height for width, height in inputs.images), 0)
        smallest = _strip(min(rule.min_pixels, *(w * h for w, h in inputs.images), most))
    # Of all shapes with equal area, a square takes the most tokens and a long strip the fewest.
    side = math.ceil(math.sqrt(min(most * sheet, max(rule.max_pixels, most))))
    return (smallest,), ((side, side),)


def _strip(area: int) -> Size:
    short = max(int(math.sqrt(area / 3)), 1)
    return 3 * short, short


def _output_assumption(
    name: str, options: GenerateOptions, output: Span | None, model: ModelInfo | None
) -> str:
    if output is None or model is None:
        return f"How many tokens an image takes {name} is not known, so there is no upper bound."
    qualities = model.qualities if options.quality == "auto" else (options.quality,)
    marks = dict.fromkeys(model.output.marks.get(quality, "scaled") for quality in qualities)
    assumed = "".join(f"; {text}" for text in _assumptions(options, qualities))
    tokens = " to ".join(f"{count:,}" for count in sorted(set(output)))
    return f"{name} draws: {tokens} tokens an image by {' and '.join(marks)} figures{assumed}."


def _assumptions(options: GenerateOptions, qualities: Sequence[str]) -> Iterator[str]:
    if options.image_model == "auto":
        yield "the provider chooses the model, and this is the one it takes now"
    if options.quality == "auto":
        yield f"the model chooses the quality, {qualities[0]} to {qualities[-1]}"
    if options.size == "auto":
        yield "the model chooses the size, up to the pixels of 1536x1024 or of an image sent along"
    if options.output_format == "gif":
        yield "how a GIF is billed is not published: from one frame to all of them in one sheet"


# --- the model that writes an SVG -----------------------------------------------------------------


def _svg(inputs: _EstimateInputs, catalogue: ModelCatalog) -> CostEstimate:
    options = inputs.options
    name = catalogue.resolve("mainline", options.svg_model or options.model)
    model = catalogue.mainline_model(name)
    shown = sum(_input_tokens(size, model)[1] for size in inputs.images)
    before = len(inputs.past) * _REVISED_PROMPT[1]
    return _part(
        name,
        TokenCounts(text_in_cached=_SVG_PROMPT[0], text_out=_SVG_TEXT[0]),
        TokenCounts(
            text_in_written=_SVG_PROMPT[1] + inputs.words[1] + shown + before,
            text_out=_SVG_TEXT[1],
        ),
        catalogue,
        f"{name} writes the SVG, billed apart: {_SVG_TEXT[0]:,} tokens to the {_SVG_TEXT[1]:,} "
        "that it can write at most.",
    )


def _count(count: int, what: str = "image") -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _source(before: ReportedContext) -> str:
    if not before.unreported:
        return "as last reported"
    return f"{before.unreported} of them without a report"


CostEstimate.__module__ = "imagesession"
