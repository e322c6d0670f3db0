"""
The model catalogue: each model's options, shutdown date and prices. Read from `models.toml`.
"""

from __future__ import annotations

import datetime as dt
import functools
import tomllib
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, Literal, cast

import attrs

from .readable import readable

Kind = Literal["image", "mainline"]
Mark = Literal["published", "measured", "scaled"]
CompletionWindow = Literal["soonest", "2h", "8h"]
# https://developers.openai.com/api/docs/guides/flex-processing, read 2026-11-30: within 2 hours 30%
# below the Standard price of tokens, within 8 hours 40%.
_WINDOW_RATES: Mapping[CompletionWindow, float] = {"soonest": 1.0, "2h": 0.7, "8h": 0.6}
_STANDARD_TIERS = frozenset({"auto", "default"})
# The token count of an image's cell, by the image's pixels; see `models.toml`.
_CELL_BASE, _CELL_SHARE = 2_000_000, 4_000_000


@attrs.frozen(kw_only=True)
class SizeRule:
    """
    The sizes that an image model supports, in pixels.

    Attributes:
        fixed: The only sizes; empty if any size within the limits below is valid.
        multiple: Both edges must be multiples of this.
        max_edge: The longest edge.
        max_ratio: The greatest ratio of the longer edge to the shorter one.
        min_pixels: The smallest area.
        max_pixels: The largest area.
    """

    fixed: tuple[tuple[int, int], ...] = ()
    multiple: int = 16
    max_edge: int = 3840
    max_ratio: float = 3.0
    min_pixels: int = 655_360
    max_pixels: int = 8_294_400


@attrs.frozen(kw_only=True)
class Prices:
    """
    A model's prices in US dollars per million tokens; None if no price is published.

    Attributes:
        text_in: Text input; for a mainline model all input, including images.
        text_in_cached: Text input that is read from the cache.
        text_in_written: Text input that is written to the cache, which keeps it for 30 minutes.
        image_in: Image input.
        image_in_cached: Image input that is read from the cache.
        image_out: Image output.
        text_out: Text output, including reasoning.
        per_image: Any image, whatever its tokens, in US dollars (not per million); in place of all
            the others.
        long_above: Above this number of input tokens, all input costs twice as much and all output
            1.5 times as much.
    """

    text_in: float | None = None
    text_in_cached: float | None = None
    text_in_written: float | None = None
    image_in: float | None = None
    image_in_cached: float | None = None
    image_out: float | None = None
    text_out: float | None = None
    per_image: float | None = None
    long_above: int | None = None


@attrs.frozen(kw_only=True)
class OutputTokenTable:
    """
    How many output tokens an image takes, by its shape or by its size.

    Attributes:
        square: Tokens of a square image by quality, for models with fixed sizes.
        tall: Tokens of a tall image by quality, for models with fixed sizes.
        wide: Tokens of a wide image by quality, for models with fixed sizes.
        grid: The number of cells along the longer edge by quality, for models with free sizes.
        marks: The source of each quality's figures: the provider's pages ("published"), bills
            ("measured"), or an extrapolation from other models ("scaled").
    """

    square: Mapping[str, int] = attrs.field(factory=dict[str, int])
    tall: Mapping[str, int] = attrs.field(factory=dict[str, int])
    wide: Mapping[str, int] = attrs.field(factory=dict[str, int])
    grid: Mapping[str, int] = attrs.field(factory=dict[str, int])
    marks: Mapping[str, Mark] = attrs.field(factory=dict[str, Mark])

    def lookup(self, quality: str, width: int, height: int) -> int | None:
        """
        Return the output tokens of an image; None if that quality is unknown.

        Args:
            quality: Any quality but "auto".
            width: In pixels.
            height: In pixels.
        """
        if not self.grid:
            shape = self.square if width == height else self.tall if width < height else self.wide
            return shape.get(quality)
        cells = self.grid.get(quality)
        if cells is None:
            return None
        long, short = max(width, height), min(width, height)
        across = (2 * cells * short + long) // (2 * long)
        return -(-cells * across * (_CELL_BASE + width * height) // _CELL_SHARE)


@readable
@attrs.frozen(kw_only=True)
class ModelInfo:
    """
    One model, as its provider announced it.

    Attributes:
        id: Its name in the API.
        kind: "image" for a model that makes images, "mainline" for one that leads a conversation.
        snapshots: Its dated names; the first is the one in the provider's responses.
        shutdown: The announced shutdown date, if any.
        replacement: The model that its provider recommends instead, if any.
        sizes: The sizes that it supports.
        qualities: The qualities that it supports, beside "auto".
        formats: The file formats that it supports.
        backgrounds: The backgrounds that it supports, beside "auto".
        fidelities: The values of `input_fidelity` that it supports; empty if it refuses the option.
        batch: Whether it can be used in batches.
        markup: Whether it accepts a markup drawing over the image to edit.
        prices: The prices of its tokens.
        output: The output tokens of its images.
        tiers: What its tokens cost at other service tiers than the standard one, as a share of the
            standard price, by the tier's name; a tier that is not there has no known price.
        max_image_tokens: The most tokens that a mainline model bills for an input image of about
            one megapixel.
    """

    id: str
    kind: Kind
    snapshots: tuple[str, ...] = ()
    shutdown: dt.date | None = None
    replacement: str | None = None
    sizes: SizeRule = SizeRule()
    qualities: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    backgrounds: tuple[str, ...] = ()
    fidelities: tuple[str, ...] = ()
    batch: bool = False
    markup: bool = False
    prices: Prices = Prices()
    output: OutputTokenTable = OutputTokenTable()
    tiers: Mapping[str, float] = attrs.field(factory=dict[str, float])
    max_image_tokens: int = 4000

    def rate(self, tier: str, window: CompletionWindow = "soonest") -> float | None:
        """
        Return what its tokens cost as a share of the standard price; None if that is not known.

        Args:
            tier: The service tier.
            window: The completion window; any but "soonest" is served at the standard tier.
        """
        if tier in _STANDARD_TIERS or window != "soonest":
            return _WINDOW_RATES[window]
        return self.tiers.get(tier)

    def is_retired(self, today: dt.date) -> bool:
        """
        Return whether the announced shutdown date has been reached.
        """
        return self.shutdown is not None and self.shutdown <= today

    @property
    def notice(self) -> str | None:
        """
        What to know of its announced shutdown, in words; None if there is none.
        """
        if self.shutdown is None:
            return None
        instead = f" Use {self.replacement!r} instead." if self.replacement else ""
        return f"{self.id!r} will be shut down on {self.shutdown}.{instead}"

    def __str__(self) -> str:
        ends = f", to be shut down on {self.shutdown}" if self.shutdown else ""
        return f"{self.id} ({self.kind} model{ends})"


@attrs.frozen(kw_only=True)
class ModelCatalog:
    """
    The catalogue of models as of one day.

    Attributes:
        mainline: The mainline model for "auto" where the API requires a name.
        image: The image model that the provider chooses for "auto".
        batch_image: The image model for "auto" in a batch.
        models: All known models by id, including retired ones.
        own_prices: Prices given by hand, by the model's name; "*" for image models without any.
    """

    dated: dt.date
    mainline: str
    image: str
    batch_image: str
    models: Mapping[str, ModelInfo]
    own_prices: Mapping[str, Prices] = attrs.field(factory=dict[str, Prices])

    @property
    def all_prices(self) -> Mapping[str, Prices]:
        return {**{name: model.prices for name, model in self.models.items()}, **self.own_prices}

    def resolve(self, kind: Kind, name: str) -> str:
        if name != "auto":
            return name
        return self.image if kind == "image" else self.mainline

    def prices_of(self, model_id: str) -> Prices:
        model = self.find(model_id)
        known = Prices() if model is None else model.prices
        by_id = self.own_prices.get(model.id) if model is not None else None
        by_name = self.own_prices.get(model_id, by_id)
        if by_name is not None or known != Prices():
            return by_name or known
        return self.own_prices.get("*", known)

    def find(self, model_id: str) -> ModelInfo | None:
        dated = (model for model in self.models.values() if model_id in model.snapshots)
        return self.models.get(model_id) or next(dated, None)

    def mainline_model(self, name: str) -> ModelInfo:
        """
        Return a mainline model; without facts if it is unknown.
        """
        return self.find(name) or ModelInfo(id=name, kind="mainline")

    def output_tokens(self, model: str, quality: str, size: tuple[int, int]) -> int | None:
        known = self.find(model)
        return None if known is None else known.output.lookup(quality, *size)

    def available(self, kind: Kind, today: dt.date) -> tuple[ModelInfo, ...]:
        return tuple(
            model
            for model in self.models.values()
            if model.kind == kind and not model.is_retired(today)
        )


def read_table(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("imagesession._domain").joinpath(name).read_text("utf-8"))


@functools.cache
def load_catalogue() -> ModelCatalog:
    data = read_table("models.toml")
    families: Mapping[str, Mapping[str, Any]] = data["families"]
    entries: Mapping[str, Mapping[str, Any]] = data["models"]
    models = {
        name: _read_model(name, {**families[entry["family"]], **entry})
        for name, entry in entries.items()
    }
    return ModelCatalog(dated=data["dated"], models=models, **data["auto"])


def _read_model(name: str, facts: Mapping[str, Any]) -> ModelInfo:
    tables: Mapping[str, Callable[[Any], object]] = {
        "sizes": _read_sizes,
        "prices": lambda table: Prices(**table),
        "output": lambda table: OutputTokenTable(**table),
    }
    read: dict[str, Any] = {
        key: tables.get(key, _frozen)(value) for key, value in facts.items() if key != "family"
    }
    return ModelInfo(id=name, **read)


def _frozen(value: object) -> object:
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value


def _read_sizes(rule: Mapping[str, Any]) -> SizeRule:
    fixed = tuple((width, height) for width, height in rule.get("fixed", ()))
    limits = {name: limit for name, limit in rule.items() if name != "fixed"}
    return SizeRule(fixed=fixed, **limits)


ModelInfo.__module__ = "imagesession"
