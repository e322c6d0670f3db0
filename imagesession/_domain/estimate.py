"""
What a call is likely to cost, told before it is made: a range, and what it rests on.

The range is meant to hold the bill: where a figure is not published, the least and the most that
were ever billed stand in for it, with room to spare.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import attrs

from .cost import BATCH_DISCOUNT, format_usd, price
from .model_catalog import Mark, ModelCatalog, ModelInfo, Prices
from .options import GenerateOptions, parse_size
from .token_counts import TokenCounts

Size = tuple[int, int]
Span = tuple[int, int]

# --- what a mainline model takes and gives, beside words and pictures -----------------------------
# Recorded first turns with the image tool took 666 (gpt-4.1) to 3,195 tokens (gpt-4o-mini) and gave
# 65 to 1,970, reasoning included; first turns without it took 15 and gave 2 at least.
_OVERHEAD: Span = (600, 3_200)
_ANSWER: Span = (50, 4_000)
_OVERHEAD_OF_WORDS: Span = (0, 3_200)
_ANSWER_IN_WORDS: Span = (1, 4_000)
# https://developers.openai.com/api/docs/guides/images-vision: 32-pixel patches, times 1.2 from
# GPT-5.2 on; 630 tokens is the least that an older model bills for a picture of 1024x1024.
_PATCH, _PATCH_SHARE, _SEEN_LEAST = 32, 1.2, 630
# --- what an image model takes -----------------------------------------------------------------
_REVISED_PROMPT: Span = (1, 1_000)  # the prompt that the mainline model writes for it
_INPUT_PICTURE: Span = (64, 1_536)  # billed: 64 to 194 for 128x128, 1,024 for 1024x1024
_FAITHFUL = 6_240  # added by input fidelity "high"
_WRITTEN = 1_000  # text that some image models bill beside the picture; 143 and 262 were recorded
_PER_PARTIAL = 100
# --- sizes and formats --------------------------------------------------------------------------
_AUTO_PIXELS = 1536 * 1024  # the most that "auto" was seen to choose
_FRAMES = 9
_FRAME_SHARE = 0.25  # a frame may be smaller than any picture
# https://developers.openai.com/api/docs/models: the most that a model can write.
_SVG_TEXT: Span = (100, 128_000)
_SVG_PROMPT: Span = (100, 8_000)

_ROOM: dict[Mark, float] = {"published": 0.0, "measured": 0.05, "scaled": 0.3}


@attrs.frozen(kw_only=True)
class CostEstimate:
    """
    What a call that brings a picture could cost, in US dollars.

    Attributes:
        low: The least.
        high: The most; None if there is no bound, as when a price is not known.
        grounds: What was assumed, and where it is from, a sentence each.
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
    pictures: Sequence[Size] = (),
    partial_images: int = 0,
    count: int = 1,
    turns_before: int = 0,
    leads: bool = True,
    draws: bool = True,
    batch: bool = False,
) -> CostEstimate:
    """
    Estimate what calls with these options could cost.

    Args:
        options: After all defaults.
        catalogue: Where prices and token counts are.
        prompt: All the words that are sent, a session's description included.
        pictures: Width and height in pixels of the pictures that are sent along, a mask among
            them, and of the one that is continued.
        partial_images: How many are asked for on the way.
        count: How many such calls, each for one picture.
        turns_before: How many turns of the session are told again.
        leads: Whether a mainline model is asked, as it is by all but the Images API.
        draws: Whether a picture is asked for, rather than words about one.
        batch: Whether it is done in a batch, at half the price.
    """
    asked = _EstimateInputs(
        options=options,
        words=_word_tokens(prompt),
        pictures=tuple(pictures),
        partials=partial_images,
        before=turns_before,
        draws=draws,
    )
    parts = [
        *([_mainline(asked, catalogue)] if leads else ()),
        *([_image(asked, catalogue)] if draws else ()),
        *([_svg(asked, catalogue)] if draws and options.output_format == "svg" else ()),
    ]
    times = count * (BATCH_DISCOUNT if batch else 1.0)
    highs = [part.high for part in parts]
    return CostEstimate(
        low=math.fsum(part.low for part in parts) * times,
        high=None if None in highs else math.fsum(high or 0.0 for high in highs) * times,
        assumptions=(
            _price_ground(catalogue, count, batch=batch),
            *(ground for part in parts for ground in part.assumptions),
        ),
    )


def _price_ground(catalogue: ModelCatalog, count: int, *, batch: bool) -> str:
    halved = ", halved for a batch" if batch else ""
    return f"Prices are those of {catalogue.dated.isoformat()}{halved}, for {_pictures(count)}."


@attrs.frozen(kw_only=True)
class _EstimateInputs:
    """
    What bears on the cost of one call.
    """

    options: GenerateOptions
    words: Span
    pictures: tuple[Size, ...]
    partials: int
    before: int
    draws: bool


@attrs.frozen(kw_only=True)
class _Part:
    """
    What one model's share could come to.
    """

    low: float
    high: float | None
    assumptions: tuple[str, ...]


def _part(
    name: str, low: TokenCounts, high: TokenCounts, catalogue: ModelCatalog, *grounds: str
) -> _Part:
    model = catalogue.find(name)
    prices = Prices() if model is None else model.prices
    least, _ = price(low, prices)
    most, missing = price(high, prices)
    if missing:
        why = f"The price of {name} is not known, so there is no upper bound."
        return _Part(low=least, high=None, assumptions=(*grounds, why))
    return _Part(low=least, high=most, assumptions=grounds)


# --- the mainline model ---------------------------------------------------------------------------


def _mainline(asked: _EstimateInputs, catalogue: ModelCatalog) -> _Part:
    name = _named(asked.options.model, catalogue.mainline)
    model = catalogue.find(name)
    overhead, answer = (
        (_OVERHEAD, _ANSWER) if asked.draws else (_OVERHEAD_OF_WORDS, _ANSWER_IN_WORDS)
    )
    seen = [_seen(size, model) for size in asked.pictures]
    least, most = sum(low for low, _ in seen), sum(high for _, high in seen)
    again = _OVERHEAD[1] + _ANSWER[1] + _most_seen(model)
    leads = (
        f"{name} leads: {overhead[0]:,} to {overhead[1]:,} tokens beside the words and pictures, "
        f"and an answer of {answer[0]:,} to {answer[1]:,}, reasoning included, as recorded."
    )
    grounds = [leads]
    if seen:
        grounds.append(f"{name} is shown {_pictures(len(seen))}: {least:,} to {most:,} tokens.")
    if asked.before:
        grounds.append(
            f"{name} is told {_turns(asked.before)} again, each up to {again:,} tokens, or next to "
            "nothing where they are cached."
        )
    return _part(
        name,
        TokenCounts(text_in_cached=overhead[0] + asked.words[0] + least, text_out=answer[0]),
        # Newer models bill writing to their cache, which costs more than reading nothing from it.
        TokenCounts(
            text_in_written=overhead[1] + asked.words[1] + most + asked.before * again,
            text_out=answer[1],
        ),
        catalogue,
        *grounds,
    )


def _seen(size: Size, model: ModelInfo | None) -> Span:
    """
    Tell what a picture may take as a mainline model's input, in tokens.
    """
    patches = math.prod(-(-edge // _PATCH) for edge in size)
    return min(patches, _SEEN_LEAST), max(math.ceil(patches * _PATCH_SHARE), _most_seen(model))


def _most_seen(model: ModelInfo | None) -> int:
    return (model or ModelInfo(id="", kind="mainline")).max_image_tokens


# --- the image model ------------------------------------------------------------------------------


def _image(asked: _EstimateInputs, catalogue: ModelCatalog) -> _Part:
    options = asked.options
    name = _named(options.image_model, catalogue.image)
    model = catalogue.find(name)
    drawn = None if model is None else _drawn(asked, model)
    shown = len(asked.pictures)
    grounds = [_drawing_ground(name, options, drawn, model)]
    if asked.partials:
        grounds.append(f"{asked.partials} partial images, {_PER_PARTIAL} tokens each.")
    if shown or asked.before:
        grounds.append(
            f"{name} is shown up to {_pictures(shown + asked.before)}: {_INPUT_PICTURE[0]} to "
            f"{_most_shown(options):,} tokens each."
        )
    if drawn is None:
        return _Part(low=0.0, high=None, assumptions=tuple(grounds))
    writes = model is not None and model.prices.text_out is not None
    return _part(
        name,
        TokenCounts(
            text_in_cached=_REVISED_PROMPT[0],
            image_in_cached=shown * _INPUT_PICTURE[0],
            image_out=drawn[0],
        ),
        TokenCounts(
            text_in=asked.words[1] + _REVISED_PROMPT[1] * (1 + asked.before),
            image_in=(shown + asked.before) * _most_shown(options),
            image_out=drawn[1] + asked.partials * _PER_PARTIAL,
            text_out=_WRITTEN if writes else 0,
        ),
        catalogue,
        *grounds,
    )


def _most_shown(options: GenerateOptions) -> int:
    return _INPUT_PICTURE[1] + (_FAITHFUL if options.input_fidelity == "high" else 0)


def _drawn(asked: _EstimateInputs, model: ModelInfo) -> Span | None:
    """
    Tell how many output tokens a picture may take; None if a quality is not known.
    """
    options = asked.options
    qualities = model.qualities if options.quality == "auto" else (options.quality,)
    least, most = _sizes(asked, model)
    lows = [_with_room(model, quality, size, -1) for quality in qualities for size in least]
    highs = [_with_room(model, quality, size, 1) for quality in qualities for size in most]
    if not lows or None in lows or None in highs:
        return None
    low = min(count for count in lows if count is not None)
    if options.output_format == "svg":
        low = 0
    elif options.output_format == "gif":
        low = int(low * _FRAME_SHARE)
    return low, max(count for count in highs if count is not None)


def _with_room(model: ModelInfo, quality: str, size: Size, way: int) -> int | None:
    """
    Return a token count moved up or down by as much as it may be off.
    """
    count = model.output.lookup(quality, *size)
    if count is None:
        return None
    moved = count * (1 + way * _ROOM[model.output.marks.get(quality, "scaled")])
    return math.ceil(moved) if way > 0 else math.floor(moved)


def _sizes(asked: _EstimateInputs, model: ModelInfo) -> tuple[Iterable[Size], Iterable[Size]]:
    """
    Return the sizes among which the cheapest picture is, and those among which the dearest is.
    """
    rule, wanted = model.sizes, parse_size(asked.options.size)
    sheet = (asked.options.frames or _FRAMES) if asked.options.output_format == "gif" else 1
    if rule.fixed:
        few = rule.fixed if wanted is None else (wanted,)
        return few, few
    if wanted is not None and sheet == 1:
        return (wanted,), (wanted,)
    if wanted is not None:
        most = wanted[0] * wanted[1]
        smallest = wanted
    else:
        # A picture that is continued keeps its size.
        most = max(_AUTO_PIXELS, *(width * height for width, height in asked.pictures), 0)
        smallest = _strip(min(rule.min_pixels, *(w * h for w, h in asked.pictures), most))
    # Of all shapes of so many pixels a square takes most tokens, and a long strip fewest.
    side = math.ceil(math.sqrt(min(most * sheet, max(rule.max_pixels, most))))
    return (smallest,), ((side, side),)


def _strip(pixels: int) -> Size:
    short = max(int(math.sqrt(pixels / 3)), 1)
    return 3 * short, short


def _drawing_ground(
    name: str, options: GenerateOptions, drawn: Span | None, model: ModelInfo | None
) -> str:
    if drawn is None or model is None:
        return f"How many tokens a picture takes {name} is not known, so there is no upper bound."
    qualities = model.qualities if options.quality == "auto" else (options.quality,)
    marks = dict.fromkeys(model.output.marks.get(quality, "scaled") for quality in qualities)
    assumed = "".join(f"; {text}" for text in _assumptions(options, qualities))
    return (
        f"{name} draws: {_span(drawn)} tokens a picture by {' and '.join(marks)} figures{assumed}."
    )


def _assumptions(options: GenerateOptions, qualities: Sequence[str]) -> Iterator[str]:
    if options.image_model == "auto":
        yield "the provider chooses the model, and this is the one it takes now"
    if options.quality == "auto":
        yield f"the model chooses the quality, {qualities[0]} to {qualities[-1]}"
    if options.size == "auto":
        yield "the model chooses the size, up to the pixels of 1536x1024 or of a picture sent along"
    if options.output_format == "gif":
        yield "how a GIF is billed is not published: from one frame to all of them in one sheet"


# --- the model that writes an SVG -----------------------------------------------------------------


def _svg(asked: _EstimateInputs, catalogue: ModelCatalog) -> _Part:
    options = asked.options
    name = _named(options.svg_model or options.model, catalogue.mainline)
    model = catalogue.find(name)
    shown = sum(_seen(size, model)[1] for size in asked.pictures)
    return _part(
        name,
        TokenCounts(text_in_cached=_SVG_PROMPT[0], text_out=_SVG_TEXT[0]),
        TokenCounts(
            text_in_written=_SVG_PROMPT[1]
            + asked.words[1]
            + shown
            + asked.before * _REVISED_PROMPT[1],
            text_out=_SVG_TEXT[1],
        ),
        catalogue,
        f"{name} writes the SVG, billed apart: {_SVG_TEXT[0]:,} tokens to the {_SVG_TEXT[1]:,} "
        "that it can write at most.",
    )


# --- words --------------------------------------------------------------------------------------


def _word_tokens(text: str) -> Span:
    """
    Tell how many tokens a text may be: a word of eight letters, or a byte each.
    """
    return len(text) // 8, len(text.encode("utf-8", "replace"))


def _span(span: Span) -> str:
    return f"{span[0]:,}" if span[0] == span[1] else f"{span[0]:,} to {span[1]:,}"


def _named(name: str, auto: str) -> str:
    return auto if name == "auto" else name


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count} pictures"


def _turns(count: int) -> str:
    return "1 earlier turn" if count == 1 else f"{count} earlier turns"


CostEstimate.__module__ = "imagesession"
