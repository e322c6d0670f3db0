"""
Prices given by hand, for models and servers that the catalogue has none of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, cast

import attrs

from imagesession.errors import InvalidOptionError

from .cost import is_amount
from .model_catalog import Prices

Price: TypeAlias = "float | Prices | Mapping[str, float]"
"""US dollars for an image, or prices per million tokens."""


def read_prices(prices: object) -> dict[str, Prices]:
    if prices is None:
        return {}
    if not isinstance(prices, Mapping):
        raise InvalidOptionError(
            f'prices={prices!r} is not a mapping such as {{"my-model": 0.02}}.', "prices", prices
        )
    read: dict[str, Prices] = {}
    for name, value in cast("Mapping[object, object]", prices).items():
        if not isinstance(name, str) or not name:
            raise InvalidOptionError(f"prices has {name!r}, which names no model.", "prices", name)
        read[name] = _read_price(name, value)
    return read


def _read_price(name: str, value: object) -> Prices:
    if isinstance(value, Prices):
        return value
    facts: Mapping[str, Any] = {"per_image": value}
    if isinstance(value, Mapping):
        facts = cast("Mapping[str, Any]", value)
    known = [field.name for field in attrs.fields(Prices)]
    for key, price in facts.items():
        if key not in known or not is_amount(price):
            raise InvalidOptionError(
                f"prices[{name!r}]={facts!r} is not US dollars for an image, from 0, such as 0.02, "
                f"nor prices per million tokens by {', '.join(known)}.",
                "prices",
                facts,
            )
    return Prices(**facts)
