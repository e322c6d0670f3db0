"""
Structured output: a few simple measures of an image, in the only schema that is supported.

Formats: https://platform.openai.com/docs/guides/structured-outputs
"""

import json
from collections.abc import Iterator
from typing import Any

from PIL import ImageStat

from imagesession._fake_openai.json_reader import JsonNode
from imagesession._fake_openai.sketch.edit import border_of
from imagesession._fake_openai.sketch.encode import decode, flat

_ONLY = (
    "This is imagesession's offline provider. As structured output it can only report findings "
    "about a picture: a `summary` and `findings`, each with `issue`, `where`, `severity` (low, "
    "medium or high) and `remedy`. For another schema use a real model."
)
_DARK, _PALE, _FLAT, _EMPTY = 72, 205, 30, 0.4  # of 255, and of the area


def wants_findings(text: JsonNode | None, *, draws: bool) -> bool:
    """Tell whether `text` asks for findings; RefusalError if it has another schema."""
    form = None if text is None else text.get("format")
    kind = form and form.require("type").choice(("text", "json_object", "json_schema"))
    if form is None or kind == "text" or draws:
        return False
    schema = form.require("schema") if kind == "json_schema" else form
    if kind == "json_object" or not _is_ours(schema.value):
        raise schema.wrong(_ONLY)
    return True


def _is_ours(schema: Any) -> bool:  # noqa: ANN401 - JSON is any
    try:
        finding = schema["properties"]["findings"]["items"]["properties"]
    except (KeyError, TypeError):
        return False
    return {"summary", *finding} == {"summary", "issue", "where", "severity", "remedy"}


def analysis_json(data: bytes | None) -> str:
    """Measure an encoded image and return the findings as JSON; None if there is no image."""
    if data is None:
        return _written("There is no picture to measure in this request.")
    try:
        image = decode(data)
    except ValueError:
        return _written("The picture cannot be read, so it was not measured.")
    tones = ImageStat.Stat(flat(image).convert("L"))
    (light,), (contrast,), box = tones.mean, tones.stddev, border_of(image)
    empty = 1 - (box[2] - box[0]) * (box[3] - box[1]) / (image.width * image.height)
    summary = f"brightness {light:.0f} and contrast {contrast:.0f} of 255, empty border {empty:.0%}"
    by = "Measured by imagesession's offline provider, not looked at by a model"
    return _written(f"{by}: {summary}.", *_found(light, contrast, empty))


def _written(summary: str, *found: tuple[str, str, str]) -> str:
    rows = [{"issue": issue, "where": "whole image", "severity": severity, "remedy": remedy}
            for issue, severity, remedy in found]  # fmt: skip
    return json.dumps({"summary": summary, "findings": rows}, separators=(",", ":"))


def _found(light: float, contrast: float, empty: float) -> Iterator[tuple[str, str, str]]:
    if light < _DARK:
        yield f"Too dark, mean brightness {light:.0f} of 255", "medium", "Brighten the picture."
    if light > _PALE and contrast < _FLAT:
        yield f"Too pale, mean brightness {light:.0f} of 255", "medium", "Darken the picture."
    if contrast < _FLAT:
        severity = "high" if contrast < _FLAT / 2 else "medium"
        yield f"Low contrast, deviation {contrast:.0f} of 255", severity, "Increase the contrast."
    if empty > _EMPTY:
        yield f"Empty border, {empty:.0%} of the area", "low", "Crop away the empty margins."
