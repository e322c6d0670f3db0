"""
Answering `text.format`: a few simple measures of a picture, in the one form that is known here.

Formats: https://platform.openai.com/docs/guides/structured-outputs
"""

import functools
import json
from collections.abc import Callable, Iterator
from typing import Any, cast

import attrs
from PIL import ImageStat

from imagesession._offline.reading import Node
from imagesession._offline.sketch.edit import border_of
from imagesession._offline.sketch.encode import decode, flat

_MEMBERS = ("issue", "where", "severity", "remedy")
_ONLY = (
    "This is imagesession's offline provider. As structured output it can only report findings "
    "about a picture: a `summary` and `findings`, each with `issue`, `where`, `severity` (low, "
    "medium or high) and `remedy`. For another schema use a real model."
)
_DARK, _PALE, _FLAT = 72, 205, 30  # of 255
_EMPTY = 0.4  # of the area


def wants_findings(text: Node | None, *, draws: bool) -> bool:
    """
    Tell whether the `text` of a request asks for findings; a request that draws never does.

    Raises:
        RefusedError: It asks for another form of answer.

    """
    form = None if text is None else text.get("format")
    kind = "text" if form is None else form.need("type").choice(("text", "json_object", "json_schema"))
    if form is None or kind == "text" or draws:
        return False
    schema = form.need("schema") if kind == "json_schema" else form
    if kind == "json_object" or not _is_ours(schema.value):
        raise schema.wrong(_ONLY)
    return True


def _is_ours(schema: object) -> bool:
    try:
        facts = cast("Any", schema)["properties"]
        return facts.keys() == {"summary", "findings"} and (
            facts["findings"]["items"]["properties"].keys() == set(_MEMBERS)
        )
    except (AttributeError, KeyError, TypeError):
        return False


def report(data: bytes | None) -> str:
    """
    Measure an encoded picture and write what was found as JSON; None is no picture.
    """
    if data is None:
        return json.dumps({"summary": "There is no picture to measure in this request.", "findings": []})
    try:
        image = decode(data)
    except ValueError:
        return json.dumps({"summary": "The picture cannot be read, so it was not measured.", "findings": []})
    grey = ImageStat.Stat(flat(image).convert("L"))
    left, top, right, bottom = border_of(image)
    empty = 1 - (right - left) * (bottom - top) / (image.width * image.height)
    found = [dict(zip(_MEMBERS, row, strict=True)) for row in _rows(grey.mean[0], grey.stddev[0], empty)]
    summary = (
        f"Measured by imagesession's offline provider, not looked at by a model: brightness "
        f"{grey.mean[0]:.0f} and contrast {grey.stddev[0]:.0f} of 255, empty border {empty:.0%}."
    )
    return json.dumps({"summary": summary, "findings": found})


def _rows(light: float, contrast: float, empty: float) -> Iterator[tuple[str, str, str, str]]:
    everywhere = "whole picture"
    if light < _DARK:
        yield f"Too dark, mean brightness {light:.0f} of 255", everywhere, "medium", "Brighten the picture."
    if light > _PALE and contrast < _FLAT:
        yield f"Too pale, mean brightness {light:.0f} of 255", everywhere, "medium", "Darken the picture."
    if contrast < _FLAT:
        issue = f"Low contrast, deviation {contrast:.0f} of 255"
        yield issue, everywhere, "high" if contrast < _FLAT / 2 else "medium", "Increase the contrast."
    if empty > _EMPTY:
        yield f"Empty border, {empty:.0%} of the area", "margins", "low", "Crop away the empty margins."


@attrs.frozen(kw_only=True, eq=False)
class Sight:
    """
    Measure a picture once, and not before somebody reads the report.

    Attributes:
        load: Gives the encoded picture, or None if there is none.

    """

    load: Callable[[], bytes | None] = attrs.field(repr=False)

    @functools.cached_property
    def text(self) -> str:
        """
        The report as JSON.
        """
        return report(self.load())
