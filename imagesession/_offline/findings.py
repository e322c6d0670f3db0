"""
Telling what is wrong with a picture, from what was measured in it.

A finding is true of the pixels and names its figure; its remedy is a sentence that the painter,
and any image model, can follow.
"""

import json
from collections.abc import Iterator
from typing import Literal, TypeAlias

import attrs

from imagesession._offline.painter import measure
from imagesession._offline.painter.measure import Measures

Severity: TypeAlias = Literal["low", "medium", "high"]

_EVERYWHERE = "whole picture"
_SIDES = ("left", "top", "right", "bottom")
_FLAT, _DARK, _PALE = 120, 72, 196  # of 255
_LIT, _SHADED = 184, 100  # a dark picture has no tone as light, a pale one none as dark
_DULL, _GREY = 62, 8  # chroma: livelier than the one is lively, less than the other is none
_SOFT = 0.13  # share of the range of tones
_NOISY = 3.2  # of 255
_CAST = 14.0  # away from grey
_CLIPPED = 0.04  # share of the pixels
_EMPTY_SIDE, _EMPTY_BOTH = 0.22, 0.36  # shares of the width or height


@attrs.frozen(kw_only=True)
class Finding:
    """
    Hold one thing that is wrong with a picture.

    Attributes:
        issue: What, with its figure.
        where: In which part of the picture.
        severity: How much it disturbs.
        remedy: What to do about it.

    """

    issue: str
    where: str
    severity: Severity
    remedy: str


def report(data: bytes | None) -> str:
    """
    Measure an encoded picture and write what was found as JSON.

    Args:
        data: The encoded picture; None where the request holds none.

    """
    if data is None:
        return _written("There is no picture to measure in this request.", ())
    try:
        seen = measure.measure_encoded(data)
    except ValueError:
        return _written("The picture cannot be read, so it was not measured.", ())
    found = tuple(findings(seen))
    count = {0: "Nothing is", 1: "One thing is"}.get(len(found), f"{len(found)} things are")
    return _written(
        f"{count} amiss. Measured by imagesession's offline provider, not looked at by a model: "
        f"brightness {seen.brightness:.0f}, contrast {seen.contrast:.0f} and span {seen.span} of "
        f"255, sharpness {seen.sharpness:.2f}, noise {seen.noise:.1f}.",
        found,
    )


def findings(seen: Measures) -> Iterator[Finding]:
    """
    Tell what is wrong with a picture.
    """
    yield from map(_gently, _tones(seen))
    yield from _ends(seen)
    yield from map(_gently, _colours(seen))
    yield from _details(seen)
    yield from _margins(seen)


def _written(summary: str, found: tuple[Finding, ...]) -> str:
    body = {"summary": summary, "findings": [attrs.asdict(finding) for finding in found]}
    return json.dumps(body, separators=(",", ":"))


def _tones(seen: Measures) -> Iterator[Finding]:
    if seen.brightness < _DARK and seen.lightest < _LIT:
        yield Finding(
            issue=f"Too dark, mean brightness {seen.brightness:.0f} of 255",
            where=_EVERYWHERE,
            severity=_grade(_DARK - seen.brightness, 16, 36),
            remedy="Brighten the picture.",
        )
    if seen.brightness > _PALE and seen.darkest > _SHADED:
        yield Finding(
            issue=f"Too pale, mean brightness {seen.brightness:.0f} of 255 and nothing dark",
            where=_EVERYWHERE,
            severity=_grade(seen.brightness - _PALE, 16, 36),
            remedy="Darken the picture.",
        )
    if seen.span < _FLAT:
        yield Finding(
            issue=f"Low contrast, tones span {seen.span} of 255 with a deviation of "
            f"{seen.contrast:.0f}",
            where=_EVERYWHERE,
            severity=_grade(_FLAT - seen.span, 30, 70),
            remedy="Increase the contrast.",
        )


def _gently(finding: Finding) -> Finding:
    """
    Ask for little where little is wrong.
    """
    if finding.severity != "low":
        return finding
    return attrs.evolve(finding, remedy=f"{finding.remedy.removesuffix('.')} slightly.")


def _ends(seen: Measures) -> Iterator[Finding]:
    for share, where, name, remedy in (
        (seen.blown, seen.blown_at, "Blown highlights", "Recover the blown highlights."),
        (seen.crushed, seen.crushed_at, "Crushed shadows", "Lift the shadows."),
    ):
        if share > _CLIPPED:
            yield Finding(
                issue=f"{name}, {share:.0%} of the pixels without detail",
                where=where,
                severity=_grade(share, 0.12, 0.3),
                remedy=remedy,
            )


def _colours(seen: Measures) -> Iterator[Finding]:
    if _GREY < seen.vivid < _DULL and seen.span >= _GREY:
        yield Finding(
            issue=f"Dull colours, saturation {seen.vivid} of 255 where they are liveliest",
            where=_EVERYWHERE,
            severity=_grade(_DULL - seen.vivid, 20, 38),
            remedy="Increase the saturation of the colours.",
        )
    if seen.cast_strength > _CAST:
        name = _cast_name(*seen.cast)
        yield Finding(
            issue=f"{name.capitalize()} colour cast, {seen.cast_strength:.0f} of 128 off neutral "
            "in all tones",
            where=_EVERYWHERE,
            severity=_grade(seen.cast_strength, 22, 34),
            remedy=f"Neutralise the {name} colour cast.",
        )


def _cast_name(blue: float, red: float) -> str:
    # Blue and red difference: less of both is green.
    if abs(blue) > 2 * abs(red):
        return "blue" if blue > 0 else "yellow"
    if abs(red) > 2 * abs(blue):
        return "red" if red > 0 else "green"
    if red > 0:
        return "magenta" if blue > 0 else "orange"
    return "cyan" if blue > 0 else "green"


def _details(seen: Measures) -> Iterator[Finding]:
    if seen.noise > _NOISY:
        yield Finding(
            issue=f"Noise, grain of {seen.noise:.1f} of 255 in calm areas",
            where=_EVERYWHERE,
            severity=_grade(seen.noise, 7, 14),
            remedy="Reduce the noise.",
        )
    if 0 < seen.sharpness < _SOFT and seen.span >= _GREY:
        yield Finding(
            issue=f"Soft focus, the steepest edges rise by {seen.sharpness:.0%} of the tones in a "
            "pixel",
            where=_EVERYWHERE,
            severity=_grade(_SOFT - seen.sharpness, 0.05, 0.1),
            remedy="Sharpen the picture.",
        )


def _margins(seen: Measures) -> Iterator[Finding]:
    left, top, right, bottom = seen.margins
    wide, high = left + right > _EMPTY_BOTH, top + bottom > _EMPTY_BOTH
    empty = [
        side
        for side, share, both in zip(_SIDES, seen.margins, (wide, high, wide, high), strict=True)
        if share > _EMPTY_SIDE or (both and share > _EMPTY_BOTH / 3)
    ]
    if not empty:
        return
    kept = (1 - left - right) * (1 - top - bottom)
    yield Finding(
        issue=f"Empty margins, {1 - kept:.0%} of the area shows nothing",
        where=_listed(empty),
        severity=_grade(1 - kept, 0.6, 0.85),
        remedy="Crop away the empty margins.",
    )


def _listed(sides: list[str]) -> str:
    if len(sides) == 4:  # noqa: PLR2004 - a picture has four sides
        return "all margins"
    named = " and ".join([", ".join(sides[:-1]), sides[-1]] if len(sides) > 1 else sides)
    return f"{named} margin{'s' if len(sides) > 1 else ''}"


def _grade(value: float, medium: float, high: float) -> Severity:
    return "high" if value >= high else "medium" if value >= medium else "low"
