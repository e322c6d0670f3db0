"""
Styles: each transforms a drawing.
"""

import math
import random
from collections.abc import Callable
from typing import TypeAlias

import attrs

from imagesession._fake_openai.sketch import path
from imagesession._fake_openai.sketch.canvas import Drawing, Linear, Mark, Pen, Stop
from imagesession._fake_openai.sketch.colour import (
    Colour,
    apply_changes,
    changes_of,
    dark,
    light,
    luminance,
    mix,
    rgb,
    vivid,
)
from imagesession._fake_openai.sketch.path import Point
from imagesession._fake_openai.sketch.plan import Plan

Style: TypeAlias = Callable[[Drawing, Plan, int], Drawing]
_PAPER = rgb("#fbf8f1")


def apply_styles(drawing: Drawing, plan: Plan) -> Drawing:
    """Apply the styles of a plan, in an order that lets them combine."""
    for name, apply in _STYLES:
        if name in plan.styles:
            drawing = apply(drawing, plan, plan.styles.count(name))
    return drawing


def _each(drawing: Drawing, change: Callable[[int, Mark], list[Mark]]) -> Drawing:
    # Lettering, shadows, light and weather stay as they are.
    marks: list[Mark] = []
    for i, mark in enumerate(drawing.marks):
        kept = mark.text or mark.role in {"shadow", "glow", "weather"}
        marks += [mark] if kept else change(i, mark)
    return attrs.evolve(drawing, marks=tuple(marks))


def _minimal(drawing: Drawing, plan: Plan, times: int) -> Drawing:
    # Details are left out; if the style is named twice, shadows and gradients too.
    scenic = plan.layout == "scene"
    gone = {"detail", "shadow" if times > 1 else "", "" if scenic else "glow"}
    marks: list[Mark] = []
    for mark in drawing.marks:
        faint = mark.role == "ground" and mark.alpha < 0.7 and scenic
        if mark.role in gone or faint:
            continue
        graded = isinstance(mark.fill, Linear) and not mark.is_veil
        flat = graded and (times > 1 or not drawing.has_wide(mark))
        marks.append(attrs.evolve(mark, fill=mark.colour) if flat else mark)
    return attrs.evolve(drawing, marks=tuple(marks))


def _geometric(drawing: Drawing, plan: Plan, times: int) -> Drawing:
    def facets(i: int, shape: Mark) -> list[Mark]:
        if drawing.has_wide(shape):
            return [shape]
        angular = attrs.evolve(shape, contours=tuple(_flatten_curves(c) for c in shape.contours))
        plain = shape.holes or len(shape.contours) > 3 or shape.alpha < 0.5 or shape.fill is None
        if plain or shape.is_veil:
            return [angular]
        # The polygon first, so that no seam shows; then its triangles, lighter and darker.
        rng, amount = random.Random(plan.seed + i * 7), 0.26 + 0.08 * times
        return [angular, *(f for c in angular.contours for f in _fan(angular, c, rng, amount))]

    marks = tuple(mark for mark in drawing.marks if mark.role != "glow")
    return _each(attrs.evolve(drawing, marks=marks), facets)


def _flatten_curves(contour: path.Contour) -> path.Contour:
    # Curves become two straight lines each.
    kept: list[Point] = []
    for x, y in path.flatten(contour):
        if not kept or abs(kept[-1][0] - x) + abs(kept[-1][1] - y) > 1.5:
            kept.append((x, y))
    return tuple(kept) if len(kept) > 1 else contour


def _fan(shape: Mark, contour: path.Contour, rng: random.Random, amount: float) -> list[Mark]:
    points = [(seg[0], seg[1]) for seg in contour]
    x1, y1, x2, y2 = path.bounds([contour])
    pairs = list(zip(points, points[1:] + points[:1], strict=True))
    cx = sum(x for x, _ in points) / len(points) + (x2 - x1) * rng.uniform(-0.08, 0.08)
    cy = sum(y for _, y in points) / len(points) + (y2 - y1) * rng.uniform(-0.08, 0.08)
    turns = [(ax - cx) * (by - cy) - (ay - cy) * (bx - cx) for (ax, ay), (bx, by) in pairs]
    if (x2 - x1) * (y2 - y1) < 160 or len(points) < 4 or not (min(turns) >= 0 or max(turns) <= 0):
        return []
    glare = min(1.0, luminance(shape.colour) / 110)
    out: list[Mark] = []
    for (ax, ay), (bx, by) in pairs:
        angle = math.atan2((ay + by) / 2 - cy, (ax + bx) / 2 - cx)
        tone = math.cos(angle + math.radians(125)) * 0.8 + rng.uniform(-0.3, 0.3)
        # On dark colours, light facets would look like holes.
        strength = amount * (0.2 + 0.8 * glare) if tone > 0 else amount
        out.append(Mark(contours=(((cx, cy), (ax, ay), (bx, by)),), role=shape.role,
                         fill=(255, 250, 240) if tone > 0 else (20, 18, 50),
                         alpha=min(0.5, abs(tone) * strength) * shape.alpha))  # fmt: skip
    return out


def _lines(drawing: Drawing, paper: Colour, ink_of: Callable[[Colour], Colour], width: float, *,
           keep: float = 0.0) -> Drawing:  # fmt: skip
    # Outlines in ink; `keep` is the share of the fills that is kept.
    def outlined(mark: Mark) -> list[Mark]:
        if mark.text:
            return [attrs.evolve(mark, fill=ink_of(mark.colour))]
        if mark.role in {"glow", "shadow"} or mark.is_veil:
            return []
        colour = mark.stroke or mark.colour
        ink, inside = ink_of(colour), mix(paper, colour, keep)
        if mark.fill is None and mark.width > width * 2.4:
            # A thick line is outlined: the ink around, the paper within.
            around = attrs.evolve(mark, stroke=ink, width=mark.width + width)
            return [around, attrs.evolve(mark, stroke=inside)]
        if mark.fill is None:
            return [attrs.evolve(mark, stroke=ink, width=max(2.2, min(mark.width, width * 0.8)))]
        if drawing.has_wide(mark):
            return [attrs.evolve(mark, fill=mix(paper, colour, keep * 0.6), stroke=None, alpha=1)]
        thin = mark.role == "detail" or mark.alpha < 0.5
        fill, alpha = (None, max(0.55, mark.alpha)) if thin else (inside, 1)
        share = 0.5 if thin else 0.6 if mark.role == "ground" else 1.0
        return [attrs.evolve(mark, fill=fill, stroke=ink, alpha=alpha, width=width * share)]

    marks = tuple(new for mark in drawing.marks for new in outlined(mark))
    return attrs.evolve(drawing, marks=marks, paper=paper)


def _outline(drawing: Drawing, plan: Plan, times: int) -> Drawing:
    night = not {"dark", "neon"}.isdisjoint(plan.styles)
    paper = plan.ground or (rgb("#171b26") if night else rgb("#fdfcf8"))
    plain = plan.scheme.ink if luminance(paper) > 120 else rgb("#f4f1e8")
    own = plan.items[0].colour if plan.items else None
    ink = own or (*plan.colours, plain)[0]
    return _lines(drawing, paper, lambda _: ink, 5.0 + times)


def _neon(drawing: Drawing, plan: Plan, times: int) -> Drawing:
    paper = plan.ground if plan.ground and luminance(plan.ground) < 70 else rgb("#0c0a1e")
    return _lines(drawing, paper, vivid, 6.0 + times, keep=0.12)


def _wobble(shape: Mark, seed: int, amount: float) -> Mark:
    if len(shape.contours) > 12:
        return shape
    rng = random.Random(seed)
    out: list[path.Contour] = []
    for contour in shape.contours:
        moved = [tuple(v + rng.uniform(-amount, amount) for v in seg) for seg in contour]
        if len(contour) > 2 and contour[0][-2:] == contour[-1][-2:]:
            moved[-1] = (*moved[-1][:-2], *moved[0][-2:])
        out.append(tuple(moved))
    return attrs.evolve(shape, contours=tuple(out))


def _watercolor(drawing: Drawing, plan: Plan, _: int) -> Drawing:
    # Washes: uneven edges, pigment that gathers at the rim, and lighter second layers.
    thin, lift = changes_of("tones", "wash"), changes_of("tones", "lift")

    def washed(i: int, shape: Mark) -> list[Mark]:
        pale = shape.recoloured(thin)
        if drawing.has_wide(shape):
            return [pale]
        if pale.fill is None or len(pale.contours) > 12:
            return [_wobble(pale, plan.seed + i, 2.5)]
        base = _wobble(pale, plan.seed + i, 5)
        ground = pale.role == "ground"
        rim = attrs.evolve(base, fill=None, stroke=dark(pale.colour, 0.25), width=2.6,
                           alpha=pale.alpha * 0.3)  # fmt: skip
        if ground and isinstance(pale.fill, Linear):
            # Wide washes have no second layer, which would take as long as all the rest.
            return [base.recoloured(lift), rim]
        x1, y1, x2, y2 = path.bounds(pale.contours)
        if (ground and pale.alpha < 0.9) or min(x2 - x1, y2 - y1) < (78 if ground else 26):
            # Small shapes are one stroke of the brush.
            return [attrs.evolve(base, alpha=pale.alpha * 0.88)]
        wash = attrs.evolve(_wobble(pale, plan.seed + i + 9000, 11), alpha=pale.alpha * 0.38)
        under = attrs.evolve(base, alpha=pale.alpha * 0.78)
        return [under, wash] if ground else [under] if pale.role == "detail" else [under, wash, rim]

    return attrs.evolve(_each(drawing, washed), paper=_PAPER, loose=True)


def _solid(drawing: Drawing, _: Plan, times: int) -> Drawing:
    # Light from the upper left on every form, and shadows beneath.
    lift = 0.26 + 0.08 * times

    def modelled(_: int, mark: Mark) -> list[Mark]:
        plain = mark.fill is None or mark.alpha < 0.9 or len(mark.contours) > 6
        if plain or drawing.has_wide(mark):
            return [mark]
        x1, y1, x2, y2 = path.bounds(mark.contours)
        w, h = x2 - x1, y2 - y1
        span, colour, ground = max(w, h), mark.colour, mark.role == "ground"
        stops = Stop(0, light(colour, lift + 0.12)), Stop(0.45, colour), Stop(1, dark(colour, lift))
        pen = Pen()
        if span > (150 if ground else 60):
            # A faint copy stands for a soft shadow: a filter would take ten times as long.
            with pen.placed(span * 0.014, span * 0.03), pen.role("shadow"):
                pen.shape(mark.contours, (18, 14, 40), alpha=0.13)
        pen.stamp(attrs.evolve(mark, fill=Linear((x1, y1), (x1 + w * 0.75, y2), stops)))
        if span > 90 and len(mark.contours) == 1 and not ground:
            with pen.role("detail"):
                pen.glow(x1 + w * 0.32, y1 + h * 0.24, w * 0.2, (255, 255, 255), 0.4,
                         squash=max(0.2, min(1.2, 0.62 * h / max(1, w))))  # fmt: skip
        return pen.marks

    return _each(drawing, modelled)


def _pastel(drawing: Drawing, _: Plan, times: int) -> Drawing:
    every = changes_of("tones", *["pastel"] * min(2, times))
    marks = tuple(mark.recoloured(every) for mark in drawing.marks)
    return attrs.evolve(drawing, marks=marks, paper=apply_changes(drawing.paper, every))


def _dark(drawing: Drawing, plan: Plan, times: int) -> Drawing:
    # Layouts with a plain ground choose a dark one themselves; scenes are dimmed.
    dim = changes_of("tones", *["dark"] * min(2, times)) if plan.layout == "scene" else ()
    marks = tuple(m.recoloured(dim) if m.role == "ground" else m for m in drawing.marks)
    return attrs.evolve(drawing, marks=marks)


_STYLES: tuple[tuple[str, Style], ...] = (
    ("minimal", _minimal), ("dark", _dark), ("geometric", _geometric), ("3d", _solid),
    ("pastel", _pastel), ("watercolor", _watercolor),
    ("outline", _outline), ("neon", _neon),
)  # fmt: skip
