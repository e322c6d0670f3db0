"""
What a turn cost in US dollars: the usage that its provider reported, at the catalogue's prices.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard, cast

import attrs

from .model_catalog import CompletionWindow, ModelCatalog, Prices
from .readable import readable
from .token_counts import (
    TokenCounts,
    Usage,
    parse_image_usage,
    parse_svg_usage,
    parse_text_model_usage,
    reported_cost,
)

_MILLION = 1_000_000
_MAX_AMOUNT = 1e15
BATCH_DISCOUNT = 0.5  # https://developers.openai.com/api/docs/guides/batch
# https://developers.openai.com/api/docs/models/gpt-6.2-sol: input and cache rates double and
# output costs one and a half for the whole request.
_LONG_IN, _LONG_OUT = 2.0, 1.5


@readable
@attrs.frozen(kw_only=True)
class Cost:
    """
    What was spent, in US dollars.

    Costs can be added: the sum keeps the known amounts and the reasons for unknown ones.

    Attributes:
        mainline: US dollars for the mainline model; None if not fully known.
        image: US dollars for the image model; None if not fully known.
        prices: The date of the price table; of a sum, the oldest date.
        part: The known share, in US dollars, of the amounts that are not fully known.
        context: US dollars, within `mainline`, for input that earlier turns of the session took
            again.
        context_tokens: How many input tokens that were.
        unknown: Why amounts are not fully known, each reason as a clause.
    """

    mainline: float | None = None
    image: float | None = None
    prices: dt.date
    part: float = 0.0
    context: float = 0.0
    context_tokens: int = 0
    unknown: tuple[str, ...] = ()

    @property
    def total(self) -> float | None:
        """
        The total in US dollars; None if it is not fully known.
        """
        if self.mainline is None or self.image is None:
            return None
        return self.mainline + self.image

    @property
    def known(self) -> float:
        """
        The known amount in US dollars, which is a lower bound of the total.
        """
        return (self.mainline or 0.0) + (self.image or 0.0) + self.part

    def __add__(self, other: Cost) -> Cost:
        mainline, mainline_part = _add_amounts(self.mainline, other.mainline)
        image, image_part = _add_amounts(self.image, other.image)
        return Cost(
            mainline=mainline,
            image=image,
            prices=min(self.prices, other.prices),
            part=self.part + other.part + mainline_part + image_part,
            context=self.context + other.context,
            context_tokens=self.context_tokens + other.context_tokens,
            unknown=tuple(dict.fromkeys((*self.unknown, *other.unknown))),
        )

    def __str__(self) -> str:
        if self.total is not None:
            return format_usd(self.total)
        why = f" ({'; '.join(self.unknown)})" if self.unknown else ""
        return f"at least {format_usd(self.known)}{why}" if self.known else f"unknown{why}"

    def plain(self) -> dict[str, Any]:
        """
        Return it as plain JSON data.
        """
        words = {"prices": self.prices.isoformat(), "unknown": list(self.unknown)}
        return {**attrs.asdict(self), **words}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Cost:
        """
        Read the JSON data that `plain` wrote.

        Raises:
            ValueError: A member is invalid; the message names it.
        """
        return cls(
            mainline=_read_amount(data, "mainline"),
            image=_read_amount(data, "image"),
            prices=_read_day(data),
            part=_read_amount(data, "part") or 0.0,
            context=_read_amount(data, "context") or 0.0,
            context_tokens=int(_read_amount(data, "context_tokens") or 0),
            unknown=_read_clauses(data),
        )


def _add_amounts(first: float | None, second: float | None) -> tuple[float | None, float]:
    if first is None or second is None:
        return None, (first or 0.0) + (second or 0.0)
    return first + second, 0.0


def no_cost(catalogue: ModelCatalog) -> Cost:
    return Cost(mainline=0.0, image=0.0, prices=catalogue.dated)


def cost_of(
    usage: Usage,
    *,
    mainline: str | None,
    image: str | None,
    catalogue: ModelCatalog,
    images: int = 1,
    batch: bool = False,
    tier: str = "auto",
    window: CompletionWindow = "soonest",
    context_tokens: int = 0,
) -> Cost:
    """
    Compute what a turn cost from the usage that its provider reported, of any shape.

    The mainline model is None if none was used, as by the Images API; so is the image model, as by
    an analysis, or "auto" for the provider's choice. Earlier turns took `context_tokens` of the
    mainline model's input. Service tier and completion window set the price of the mainline model's
    tokens; whether they set the image model's too is not documented, so these count at the standard
    price.
    """
    leading = drawing = _CostLine(share=BATCH_DISCOUNT if batch else 1.0)
    context = 0.0
    if mainline is not None:
        name = catalogue.resolve("mainline", mainline)
        tokens = parse_text_model_usage(usage.mainline)
        model = catalogue.mainline_model(name)
        leading = leading.at(model.rate(tier, window), f"{name} at this service tier")
        leading = leading.plus(name, tokens, catalogue)
        if tokens is not None:
            before = tokens.first(context_tokens)
            prices = catalogue.prices_of(name)
            context = leading.share * price(before, prices, of=tokens.input)[0]
    if image is not None:
        name = catalogue.resolve("image", image)
        each = catalogue.prices_of(name).per_image
        known = reported_cost(usage.image) if each is None else each * images
        if known is None:
            drawing = drawing.plus(name, parse_image_usage(usage.image), catalogue)
        else:
            drawing = attrs.evolve(drawing, known=known * drawing.share)
    for author, tokens in parse_svg_usage(usage.image):
        drawing = drawing.plus(author, tokens, catalogue)
    return Cost(
        mainline=leading.amount,
        image=drawing.amount,
        prices=catalogue.dated,
        part=leading.part + drawing.part,
        context=context,
        context_tokens=context_tokens,
        unknown=tuple(dict.fromkeys((*leading.unknown, *drawing.unknown))),
    )


@attrs.frozen(kw_only=True)
class _CostLine:
    share: float
    known: float = 0.0
    unknown: tuple[str, ...] = ()

    @property
    def amount(self) -> float | None:
        return None if self.unknown else self.known

    @property
    def part(self) -> float:
        return self.known if self.unknown else 0.0

    def plus(self, name: str, tokens: TokenCounts | None, catalogue: ModelCatalog) -> _CostLine:
        if tokens is None:
            return self.with_unknown(f"what {name} used was not reported")
        known, missing = price(tokens, catalogue.prices_of(name))
        bill = attrs.evolve(self, known=self.known + known * self.share)
        if missing:
            bill = bill.with_unknown(f"the price of {name} is not known")
        for side in tokens.missing:
            bill = bill.with_unknown(f"the {side} of {name} was not reported")
        return bill

    def at(self, rate: float | None, what: str) -> _CostLine:
        """
        Return it at a share of the standard price; if that is not known, at the standard price, as
        a part of an amount that is not fully known.
        """
        if rate is None:
            return self.with_unknown(f"the price of {what} is not known")
        return attrs.evolve(self, share=self.share * rate)

    def with_unknown(self, clause: str) -> _CostLine:
        return attrs.evolve(self, unknown=(*self.unknown, clause))


def price(tokens: TokenCounts, prices: Prices, *, of: int | None = None) -> tuple[float, bool]:
    """
    Price one model's tokens in US dollars, as far as prices are known; and tell whether a price was
    missing. `of` is how many input tokens the request has, if these are only some of them.
    """
    whole = tokens.input if of is None else of
    long = prices.long_above is not None and whole > prices.long_above
    into, out = (_LONG_IN, _LONG_OUT) if long else (1.0, 1.0)
    lines = (
        (tokens.text_in, prices.text_in, into),
        (tokens.text_in_cached, _price_or_default(prices.text_in_cached, prices.text_in), into),
        (tokens.text_in_written, _price_or_default(prices.text_in_written, prices.text_in), into),
        (tokens.image_in, prices.image_in, into),
        (tokens.image_in_cached, _price_or_default(prices.image_in_cached, prices.image_in), into),
        (tokens.text_out, prices.text_out, out),
        (tokens.image_out, prices.image_out, out),
    )
    known = math.fsum(
        count * price * factor / _MILLION for count, price, factor in lines if price is not None
    )
    return known, any(count and price is None for count, price, _ in lines)


def _price_or_default(price: float | None, other: float | None) -> float | None:
    # Without a published price for cached tokens there is no discount and no surcharge.
    return other if price is None else price


def is_amount(value: object) -> TypeGuard[float]:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MAX_AMOUNT
    )


def format_usd(amount: float) -> str:
    if amount >= 1:
        return f"${amount:,.2f}"
    return f"${amount:.4f}" if amount >= 0.001 or not amount else f"${amount:.6f}"  # noqa: PLR2004 - a tenth of a cent


def sum_costs(costs: Iterable[Cost], catalogue: ModelCatalog) -> Cost:
    return sum(costs, start=no_cost(catalogue))


def _read_amount(data: Mapping[str, Any], name: str) -> float | None:
    value: object = data.get(name)
    if value is None:
        return None
    if not is_amount(value):
        raise ValueError(f"{name} is {value!r}, which is not an amount of money.")
    return float(value)


def _read_day(data: Mapping[str, Any]) -> dt.date:
    value = data.get("prices")
    try:
        return dt.date.fromisoformat(str(value))
    except ValueError as error:
        raise ValueError(f"prices is {value!r}, which is not a date.") from error


def _read_clauses(data: Mapping[str, Any]) -> tuple[str, ...]:
    value: object = data.get("unknown", [])
    clauses = cast("list[object]", value) if isinstance(value, list) else None
    if clauses is None or not all(isinstance(clause, str) for clause in clauses):
        raise ValueError(f"unknown is {value!r}, which is not a list of texts.")
    return tuple(map(str, clauses))


Cost.__module__ = "imagesession"
