"""
What is known of each model: what it takes, when it ends, what it costs. Read from `models.toml`.
"""

from __future__ import annotations

import datetime as dt
import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any, Literal

import attrs

Kind = Literal["image", "mainline"]
Mark = Literal["published", "measured", "scaled"]
# What a cell of a picture costs in tokens, by its pixels; see `models.toml`.
_CELL_BASE, _CELL_SHARE = 2_000_000, 4_000_000


@attrs.frozen(kw_only=True)
class SizeRule:
    """
    Which sizes an image model takes, in pixels.

    Attributes:
        fixed: The only sizes there are; empty when any size within the limits is taken.
        multiple: Both edges are a multiple of this.
        max_edge: The longest edge.
        max_ratio: The longer edge over the shorter one.
        min_pixels: The fewest pixels in all.
        max_pixels: The most pixels in all.
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
    US dollars per million tokens; None where no price is published.

    Attributes:
        text_in: Text that goes in; for a mainline model all that goes in, pictures too.
        text_in_cached: Text that is read from the cache.
        text_in_written: Text that is written to the cache, kept there for half an hour.
        image_in: Pictures that go in.
        image_in_cached: Pictures that are read from the cache.
        image_out: Pictures that come out.
        text_out: Text that comes out, reasoning included.
        long_above: Above this many tokens that go in, all that goes in costs twice as much, and
            what comes out half as much again.
    """

    text_in: float | None = None
    text_in_cached: float | None = None
    text_in_written: float | None = None
    image_in: float | None = None
    image_in_cached: float | None = None
    image_out: float | None = None
    text_out: float | None = None
    long_above: int | None = None


@attrs.frozen(kw_only=True)
class OutputTokenTable:
    """
    How many output tokens a picture takes: by its shape, or by its size.

    Attributes:
        square: By quality, where there are only a few sizes.
        tall: By quality, where there are only a few sizes.
        wide: By quality, where there are only a few sizes.
        grid: Into how many cells the longer edge is cut, by quality, where any size is taken.
        marks: Where the figures of each quality are from: its provider's own pages
            ("published"), bills ("measured"), or reckoned from others ("scaled").
    """

    square: Mapping[str, int] = attrs.field(factory=dict[str, int])
    tall: Mapping[str, int] = attrs.field(factory=dict[str, int])
    wide: Mapping[str, int] = attrs.field(factory=dict[str, int])
    grid: Mapping[str, int] = attrs.field(factory=dict[str, int])
    marks: Mapping[str, Mark] = attrs.field(factory=dict[str, Mark])

    def lookup(self, quality: str, width: int, height: int) -> int | None:
        """
        Return the tokens of a picture; None if nothing is known of that quality.

        Args:
            quality: Any but "auto".
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


@attrs.frozen(kw_only=True)
class ModelInfo:
    """
    One model, as its provider announced it.

    Attributes:
        id: Its name on the wire.
        kind: Whether it draws ("image") or leads the conversation ("mainline").
        snapshots: Its dated names, the one that replies give first.
        shutdown: The day on which it ends, if one was announced.
        replacement: What its provider recommends instead.
        sizes: Which sizes it takes.
        qualities: Which qualities it takes, beside "auto".
        formats: Which file formats it makes.
        backgrounds: Which backgrounds it makes, beside "auto".
        fidelities: Which values of input fidelity it takes; none means the option is refused.
        batch: Whether it takes requests in batches.
        markup: Whether it takes a drawing that lies over the picture to edit.
        prices: What its tokens cost.
        output: How many output tokens its pictures take.
        max_image_tokens: The most tokens that a mainline model bills for being shown a picture of
            about a megapixel.
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
    max_image_tokens: int = 4000

    def is_retired(self, today: dt.date) -> bool:
        """
        Tell whether the announced day has come.
        """
        return self.shutdown is not None and self.shutdown <= today


@attrs.frozen(kw_only=True)
class ModelCatalog:
    """
    All that is known of the models on one day.

    Attributes:
        dated: The day on which the facts were gathered.
        mainline: The model that "auto" stands for where the wire wants a name.
        image: The image model that the provider picks when none is named.
        batch_image: The image model that a batch asks when none is named.
        models: Every model that is known, alive or ended, by its id.
    """

    dated: dt.date
    mainline: str
    image: str
    batch_image: str
    models: Mapping[str, ModelInfo]

    def find(self, model_id: str) -> ModelInfo | None:
        """
        Return what is known of a model, by its name or a dated one; None if nothing is.
        """
        dated = (model for model in self.models.values() if model_id in model.snapshots)
        return self.models.get(model_id) or next(dated, None)

    def output_tokens(self, model: str, quality: str, size: tuple[int, int]) -> int | None:
        """
        Return how many output tokens a picture takes; None if that is not known.

        Args:
            model: The image model, by its name or a dated one.
            quality: Any but "auto".
            size: Width and height in pixels.
        """
        known = self.find(model)
        return None if known is None else known.output.lookup(quality, *size)

    def available(self, kind: Kind, today: dt.date) -> tuple[ModelInfo, ...]:
        """
        Return the models of a kind that can be used on a day, in the catalogue's order.
        """
        return tuple(
            model
            for model in self.models.values()
            if model.kind == kind and not model.is_retired(today)
        )


@functools.cache
def load_catalogue() -> ModelCatalog:
    """
    Read the catalogue that is packed with this library.
    """
    text = resources.files("imagesession._domain").joinpath("models.toml").read_text("utf-8")
    return read_catalogue(tomllib.loads(text))


def read_catalogue(data: Mapping[str, Any]) -> ModelCatalog:
    """
    Build a catalogue from the parsed form of `models.toml`.
    """
    families: Mapping[str, Mapping[str, Any]] = data["families"]
    entries: Mapping[str, Mapping[str, Any]] = data["models"]
    models = {
        name: _read_model(name, {**families[entry["family"]], **entry})
        for name, entry in entries.items()
    }
    auto = data["auto"]
    return ModelCatalog(
        dated=data["dated"],
        mainline=auto["mainline"],
        image=auto["image"],
        batch_image=auto["batch_image"],
        models=models,
    )


def _read_model(name: str, facts: Mapping[str, Any]) -> ModelInfo:
    return ModelInfo(
        id=name,
        kind=facts["kind"],
        snapshots=tuple(facts.get("snapshots", ())),
        shutdown=facts.get("shutdown"),
        replacement=facts.get("replacement"),
        sizes=_read_sizes(facts.get("sizes", {})),
        qualities=tuple(facts.get("qualities", ())),
        formats=tuple(facts.get("formats", ())),
        backgrounds=tuple(facts.get("backgrounds", ())),
        fidelities=tuple(facts.get("fidelities", ())),
        batch=facts.get("batch", False),
        markup=facts.get("markup", False),
        prices=Prices(**facts.get("prices", {})),
        output=OutputTokenTable(**facts.get("output", {})),
        max_image_tokens=facts.get("max_image_tokens", 4000),
    )


def _read_sizes(rule: Mapping[str, Any]) -> SizeRule:
    fixed = tuple((width, height) for width, height in rule.get("fixed", ()))
    limits = {name: limit for name, limit in rule.items() if name != "fixed"}
    return SizeRule(fixed=fixed, **limits)


ModelInfo.__module__ = "imagesession"
