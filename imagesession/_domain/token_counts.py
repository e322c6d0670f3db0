"""
The usage that a provider reports, and the token counts in it, whatever its shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import attrs

_MOST = 10**12  # more than any reply can hold; a greater number is not a count


@attrs.frozen(kw_only=True)
class Usage:
    """
    The usage that a provider reports, in tokens, as received.

    Attributes:
        mainline: The usage of the mainline model.
        image: The usage of the image model, which is billed separately.
        tier: The service tier by which the request was served, if it was reported.
    """

    mainline: dict[str, Any] | None = None
    image: dict[str, Any] | None = None
    tier: str | None = None


@attrs.frozen(kw_only=True)
class TokenCounts:
    """
    The input and output tokens of one model, by kind.

    Attributes:
        text_in: Text input, or all input of a mainline model, neither read from the cache nor
            written to it.
        text_in_cached: Text input that was read from the cache.
        text_in_written: Text input that was written to the cache.
        image_in: Image input of an image model, not cached.
        image_in_cached: Image input that was read from the cache.
        text_out: Text output, including reasoning.
        image_out: Image output.
        missing: Which totals were not reported: "input", "output".
    """

    text_in: int = 0
    text_in_cached: int = 0
    text_in_written: int = 0
    image_in: int = 0
    image_in_cached: int = 0
    text_out: int = 0
    image_out: int = 0
    missing: tuple[str, ...] = ()

    @property
    def input(self) -> int:
        text = self.text_in + self.text_in_cached + self.text_in_written
        return text + self.image_in + self.image_in_cached

    def first(self, count: int) -> TokenCounts:
        """
        Return the first text input tokens. The cache holds the beginning of an input.
        """
        cached = min(count, self.text_in_cached)
        written = min(count - cached, self.text_in_written)
        return TokenCounts(
            text_in=count - cached - written, text_in_cached=cached, text_in_written=written
        )


def text_tokens(text: str) -> tuple[int, int]:
    """
    Return how many tokens a text may have: from one per 8 characters to one per byte.
    """
    return len(text) // 8, len(text.encode("utf-8", "replace"))


def parse_text_model_usage(usage: Mapping[str, Any] | None) -> TokenCounts | None:
    """
    Read a mainline model's usage; None if it has no counts.

    Source: openai 3.54, `types/responses/response_usage.py`.
    """
    whole_in = _count(usage, "input_tokens", "prompt_tokens")
    whole_out = _count(usage, "output_tokens", "completion_tokens")
    if whole_in is None and whole_out is None:
        return None
    details = _inner(usage, "input_tokens_details", "prompt_tokens_details")
    sent = whole_in or 0
    cached = min(_count(details, "cached_tokens") or 0, sent)
    written = min(_count(details, "cache_write_tokens") or 0, sent - cached)
    return TokenCounts(
        text_in=sent - cached - written,
        text_in_cached=cached,
        text_in_written=written,
        text_out=whole_out or 0,
        missing=_missing(whole_in, whole_out),
    )


def parse_image_usage(usage: Mapping[str, Any] | None) -> TokenCounts | None:
    """
    Read an image model's usage, as the image tool or the Images API reports it; None if it has no
    counts. Tokens of no stated kind count as images, the more expensive kind.

    Source: openai 3.54, `types/responses/response.py` (`ToolUsageImageGen`) and
    `types/images_response.py`.
    """
    text_in, image_in = _split(usage, "input_tokens")
    text_out, image_out = _split(usage, "output_tokens")
    if image_in is None and image_out is None:
        return None
    text_cached, image_cached = _cached(usage, text_in, image_in or 0)
    return TokenCounts(
        text_in=text_in - text_cached,
        text_in_cached=text_cached,
        image_in=(image_in or 0) - image_cached,
        image_in_cached=image_cached,
        text_out=text_out,
        image_out=image_out or 0,
        missing=_missing(image_in, image_out),
    )


def reported_cost(usage: Mapping[str, Any] | None) -> float | None:
    """
    Return what a server says that a request cost, in US dollars; None if it does not.

    Sources: a recorded reply of OpenRouter (`cost`), and xAI's (`cost_in_usd_ticks`, of which there
    are 10**10 in a dollar).
    """
    for name, per_dollar in (("cost", 1.0), ("cost_in_usd_ticks", 1e10)):
        value: object = (usage or {}).get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST:
            return value / per_dollar
    return None


def parse_svg_usage(usage: Mapping[str, Any] | None) -> Iterator[tuple[str, TokenCounts | None]]:
    """
    Yield the models that wrote SVGs with their usage, which is billed at their own text prices.

    Source: openai 3.54, `types/images_response.py` (`SvgUsage`).
    """
    member: object = (usage or {}).get("svg_usage")
    reports = cast("list[object]", member) if isinstance(member, list) else [member]
    for report in reports:
        if isinstance(report, Mapping):
            svg_usage = cast("Mapping[str, Any]", report)
            yield (
                str(svg_usage.get("model") or "the model that wrote the SVG"),
                parse_text_model_usage(svg_usage),
            )


def _split(usage: Mapping[str, Any] | None, name: str) -> tuple[int, int | None]:
    """
    Split a total into text and image tokens; the latter are None if nothing was reported.
    """
    whole, details = _count(usage, name), _inner(usage, f"{name}_details")
    text, image = _count(details, "text_tokens"), _count(details, "image_tokens")
    if whole is None and text is None and image is None:
        return 0, None
    if whole is None:
        return text or 0, image or 0
    return min(text or 0, whole), max(image or 0, whole - (text or 0))


def _cached(usage: Mapping[str, Any] | None, text: int, image: int) -> tuple[int, int]:
    details = _inner(usage, "cached_tokens_details")
    of_text = min(_count(details, "cached_text_tokens") or 0, text)
    of_image = min(_count(details, "cached_image_tokens") or 0, image)
    if of_text or of_image:
        return of_text, of_image
    whole = _count(usage, "cached_tokens")
    if whole is None:
        whole = _count(_inner(usage, "input_tokens_details"), "cached_tokens") or 0
    # Text first, because its discount is smaller.
    of_text = min(whole, text)
    return of_text, min(whole - of_text, image)


def _missing(sent: int | None, received: int | None) -> tuple[str, ...]:
    return tuple(what for what, n in (("input", sent), ("output", received)) if n is None)


def _inner(usage: Mapping[str, Any] | None, *names: str) -> Mapping[str, Any] | None:
    for name in names:
        inner: object = (usage or {}).get(name)
        if isinstance(inner, Mapping):
            return cast("Mapping[str, Any]", inner)
    return None


def _count(usage: Mapping[str, Any] | None, *names: str) -> int | None:
    for name in names:
        value: object = (usage or {}).get(name)
        if isinstance(value, bool):
            continue
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and 0 <= value <= _MOST:
            return value
    return None
