"""
Styles: each turns a drawing into another drawing of the same things.
"""

import math
import random
from collections.abc import Callable

import attrs

from imagesession._offline.sketch import path
from imagesession._offline.sketch.canvas import (
    Drawing,
    Linear,
    Mark,
    Pen,
    Shape,
    Stop,
    Text,
    flat_colour,
    is_veil,
    recoloured,
    spread,
)
from imagesession._offline.sketch.colour import (
    Change,
    Colour,
    changed,
    dark,
    light,
    luminance,
    mix,
    rgb,
    vivid,
)
from imagesession._offline.sketch.path import Point
from imagesession._offline.sketch.plan import Plan

_VINTAGE = (
    Change(kind="saturate", amount=0.62),
    Change(kind="sepia", amount=0.3),
    Change(kind="warm", amount=0.6),
    Change(kind="contrast", amount=0.86),
)
_PASTEL = (Change(kind="saturate", amount=0.85), Change(kind="bright", amount=0.42))


def styled(drawing: Drawing, plan: Plan) -> Drawing:
    """
    Apply the styles of a plan, in an order that lets them combine.
    """
    counts = {name: plan.styles.count(name) for name in dict.fromkeys(plan.styles)}
    for name, apply in _STYLES:
        if name in counts:
            drawing = apply(drawing, plan, counts[name])
    return drawing


def _minimal(drawing: Drawing, plan: Plan, times: int) -> Drawing:
    # Details go; asked for again, the shadows and the gradients go too.
    gone = {"detail", "glow", "shadow"} if times > 1 else {"detail", "glow"}
    marks: list[Mark] = []
    for mark in drawing.marks:
        if mark.role in gone and not (mark.role == "glow" and plan.layout == "scene" and times < 2):
            continue
        if mark.role == "ground" and mark.alpha < 0.7 and plan.layout in {"scene", "hero"}:
            continue
        if (
            isinstance(mark, Shape)
            and isinstance(mark.fill, Linear)
            and (mark.role != "ground" or times > 1 or not spread(drawing, mark))
            and all(stop.alpha >= 1 for stop in mark.fill.stops)
        ):
            mark = attrs.evolve(mark, fill=flat_colour(mark.fill))  # noqa: PLW2901 - reads best
        marks.append(mark)
    return attrs.evolve(drawing, marks=tuple(marks))


def _geometric(drawing: Drawing, plan: Plan, times: int) -> Drawing:
    marks: list[Mark] = []
    for i, mark in enumerate(drawing.marks):
        if isinstance(mark, Text) or mark.role in {"weather", "shadow"}:
            marks.append(mark)
        elif mark.role == "glow":
            continue
        elif mark.fill is None:
            marks.append(attrs.evolve(mark, contours=tuple(_angular(c) for c in mark.contours)))
        else:
            calm = plan.layout in {"logo", "icon", "product"} and spread(drawing, mark)
            marks += [mark] if calm else _facets(mark, plan.seed + i * 7, times, drawing)
    return attrs.evolve(drawing, marks=tuple(marks))


def _angular(contour: path.Contour) -> path.Contour:
    # Curves become two straight lines each.
    points = path.flatten(contour, 2)
    kept: list[Point] = []
    for x, y in points:
        if not kept or abs(kept[-1][0] - x) + abs(kept[-1][1] - y) > 1.5:
            kept.append((x, y))
    return tuple(kept) if len(kept) > 1 else contour


def _facets(shape: Shape, seed: int, times: int, drawing: Drawing) -> list[Mark]:
    # The flat polygon first, so that no seam shows; then its triangles in lighter and darker tones.
    fill = shape.fill
    contours = tuple(_angular(c) for c in shape.contours)
    out: list[Mark] = [attrs.evolve(shape, contours=contours)]
    if shape.holes or len(contours) > 3 or shape.alpha < 0.5 or is_veil(shape) or fill is None:
        return out
    rng = random.Random(seed)
    amount = 0.26 + 0.08 * times
    for contour in contours:
        points = [(seg[0], seg[1]) for seg in contour]
        x1, y1, x2, y2 = path.bounds([tuple(points)])
        if (x2 - x1) * (y2 - y1) < 160 or len(points) < 4:
            continue
        if spread(drawing, shape) and drawing.paper == fill:
            continue  # a plain ground stays plain
        if (x2 - x1) > drawing.width * 0.9:
            out += _mesh(shape, (x1, y1, x2, y2), rng)
            continue
        out += _fan(shape, points, rng, amount)
    return out


def _fan(shape: Shape, points: list[Point], rng: random.Random, amount: float) -> list[Mark]:
    x1, y1, x2, y2 = path.bounds([tuple(points)])
    cx = sum(x for x, _ in points) / len(points) + (x2 - x1) * rng.uniform(-0.08, 0.08)
    cy = sum(y for _, y in points) / len(points) + (y2 - y1) * rng.uniform(-0.08, 0.08)
    turns = [_cross((cx, cy), p, q) for p, q in zip(points, points[1:] + points[:1], strict=True)]
    if not (all(t >= -1e-6 for t in turns) or all(t <= 1e-6 for t in turns)):
        return []
    out: list[Mark] = []
    glare = min(1.0, luminance(flat_colour(shape.fill)) / 110)
    for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True):
        angle = math.atan2((ay + by) / 2 - cy, (ax + bx) / 2 - cx)
        tone = math.cos(angle + math.radians(125)) * 0.8 + rng.uniform(-0.3, 0.3)
        ink = (255, 250, 240) if tone > 0 else (20, 18, 50)
        # On what is dark, light facets would look like holes.
        amount_here = amount * (0.2 + 0.8 * glare) if tone > 0 else amount
        out.append(
            Shape(
                contours=(((cx, cy), (ax, ay), (bx, by)),),
                fill=ink,
                alpha=min(0.5, abs(tone) * amount_here) * shape.alpha,
                role=shape.role,
            )
        )
    return out


def _mesh(shape: Shape, box: tuple[float, float, float, float], rng: random.Random) -> list[Mark]:
    # A wide ground is laid with large triangles.
    x1, y1, x2, y2 = box
    if len(shape.contours[0]) > 6:
        return []
    columns = max(3, round((x2 - x1) / 210))
    rows = max(1, round((y2 - y1) / 210))
    grid: dict[tuple[int, int], Point] = {}
    for i in range(columns + 1):
        for j in range(rows + 1):
            jx = rng.uniform(-60, 60) if 0 < i < columns else 0
            jy = rng.uniform(-60, 60) if 0 < j < rows else 0
            grid[i, j] = (x1 + (x2 - x1) * i / columns + jx, y1 + (y2 - y1) * j / rows + jy)
    out: list[Mark] = []
    for i in range(columns):
        for j in range(rows):
            a, b, c, d = grid[i, j], grid[i + 1, j], grid[i + 1, j + 1], grid[i, j + 1]
            for triangle in ((a, b, d), (b, c, d)):
                tone = rng.uniform(-1, 1)
                if abs(tone) < 0.22:
                    continue  # too faint to be seen
                ink = (255, 252, 246) if tone > 0 else (20, 18, 50)
                out.append(Shape(contours=(triangle,), fill=ink, alpha=abs(tone) * 0.11,
                                 role=shape.role))  # fmt: skip
    return out


def _cross(o: Point, a: Point, b: Point) -> float:
    return (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])


def _outline(drawing: Drawing, plan: Plan, times: int) -> Drawing:
    night = "dark" in plan.styles or "neon" in plan.styles
    paper = plan.ground or (rgb("#171b26") if night else rgb("#fdfcf8"))
    ink = plan.scheme.ink if luminance(paper) > 120 else rgb("#f4f1e8")
    first = plan.items[0].colour if plan.items else None
    ink = first or (plan.colours[0] if plan.colours else ink)
    return _lines(drawing, paper, lambda _: ink, 5.0 + times, keep=0.0)


def _lines(
    drawing: Drawing, paper: Colour, ink_of: Callable[[Colour], Colour], width: float, *,
    keep: float,
) -> Drawing:  # fmt: skip
    marks: list[Mark] = []
    for mark in drawing.marks:
        if isinstance(mark, Text):
            marks.append(attrs.evolve(mark, fill=ink_of(mark.fill)))
            continue
        if mark.role in {"glow", "shadow"} or is_veil(mark):
            continue
        colour = mark.stroke or flat_colour(mark.fill)
        area = spread(drawing, mark)
        if mark.fill is None:
            thin = min(mark.width, width * 0.8) if mark.width < width * 2.4 else width
            if mark.width > width * 2.4:
                # A thick line is outlined: the ink around, the paper within.
                marks.append(attrs.evolve(mark, stroke=ink_of(colour), width=mark.width + width))
                marks.append(attrs.evolve(mark, stroke=mix(paper, colour, keep)))
            else:
                marks.append(attrs.evolve(mark, stroke=ink_of(colour), width=max(2.2, thin)))
        elif area:
            marks.append(
                attrs.evolve(mark, fill=mix(paper, colour, keep * 0.6), stroke=None, alpha=1)
            )
        elif mark.role == "detail" or mark.alpha < 0.5:
            marks.append(attrs.evolve(mark, fill=None, stroke=ink_of(colour), width=width * 0.5,
                                      alpha=max(0.55, mark.alpha)))  # fmt: skip
        else:
            marks.append(attrs.evolve(mark, fill=mix(paper, colour, keep), stroke=ink_of(colour),
                                      width=width * (0.6 if mark.role == "ground" else 1.0),
                                      alpha=1))  # fmt: skip
    return attrs.evolve(drawing, marks=tuple(marks), paper=paper)


def _neon(drawing: Drawing, plan: Plan, times: int) -> Drawing:
    paper = plan.ground if plan.ground and luminance(plan.ground) < 70 else rgb("#0c0a1e")
    lined = _lines(drawing, paper, vivid, 6.0 + times, keep=0.12)
    return attrs.evolve(lined, paper=paper)


def _pencil(drawing: Drawing, plan: Plan, times: int) -> Drawing:
    paper = rgb("#f8f5ee")
    grey = _lines(drawing, paper, lambda c: mix(rgb("#4a4a50"), c, 0.22), 3.2, keep=0.18)
    marks: list[Mark] = []
    for i, mark in enumerate(grey.marks):
        marks.append(_wobbled(mark, plan.seed + i, 3.2 * times))
        if isinstance(mark, Shape) and mark.stroke is not None and mark.role != "ground":
            again = attrs.evolve(mark, fill=None, alpha=0.5 * mark.alpha, width=mark.width * 0.7)
            marks.append(_wobbled(again, plan.seed + i + 5000, 6.5))
    return attrs.evolve(grey, marks=tuple(marks))


def _wobbled(mark: Mark, seed: int, amount: float) -> Mark:
    if isinstance(mark, Text) or len(mark.contours) > 12:
        return mark
    rng = random.Random(seed)
    out: list[path.Contour] = []
    for contour in mark.contours:
        moved = [tuple(v + rng.uniform(-amount, amount) for v in seg) for seg in contour]
        if len(contour) > 2 and contour[0][-2:] == contour[-1][-2:]:
            moved[-1] = (*moved[-1][:-2], *moved[0][-2:])
        out.append(tuple(moved))
    return attrs.evolve(mark, contours=tuple(out))


def _watercolor(drawing: Drawing, plan: Plan, times: int) -> Drawing:
    # Washes: uneven edges, pigment that gathers at the rim, and lighter second layers.
    del times
    marks: list[Mark] = []
    for i, mark in enumerate(drawing.marks):
        if isinstance(mark, Text) or mark.role in {"shadow", "weather", "glow"}:
            marks.append(mark)
            continue
        whole = spread(drawing, mark)
        mark = _thinned(mark)  # noqa: PLW2901 - the thinned wash takes the mark's place
        if whole or mark.fill is None or len(mark.contours) > 12:
            marks.append(mark if whole else _wobbled(mark, plan.seed + i, 2.5))
            continue
        if mark.role == "ground" and isinstance(mark.fill, Linear) and mark.alpha >= 1:
            # Wide washes are mixed with the paper, for a second layer over half of the picture
            # would take as long as all the rest.
            stops = tuple(attrs.evolve(s, colour=mix(s.colour, (251, 248, 241), 0.16)) for s in mark.fill.stops)
            wide = _wobbled(attrs.evolve(mark, fill=attrs.evolve(mark.fill, stops=stops)), plan.seed + i, 5)
            marks.append(wide)
            if isinstance(wide, Shape) and len(wide.contours[0]) > 4:
                marks.append(attrs.evolve(wide, fill=None, stroke=dark(stops[0].colour, 0.3), width=3, alpha=0.4))
            continue
        base = _wobbled(mark, plan.seed + i, 5)
        if mark.role == "ground" and mark.alpha < 0.9:
            marks.append(base)
            continue
        if _tiny(mark, 3.0 if mark.role == "ground" else 1.0):
            # A brush has no second stroke for what one touch covers.
            marks.append(attrs.evolve(base, alpha=mark.alpha * 0.88))
            continue
        wash = _wobbled(mark, plan.seed + i + 9000, 11)
        marks.append(attrs.evolve(base, alpha=mark.alpha * 0.78))
        if isinstance(wash, Shape) and isinstance(base, Shape) and mark.role != "detail":
            rim = dark(flat_colour(mark.fill), 0.25)
            marks.append(attrs.evolve(wash, alpha=mark.alpha * 0.38))
            if mark.role == "ground":
                continue
            marks.append(attrs.evolve(base, fill=None, stroke=rim, width=2.6,
                                      alpha=mark.alpha * 0.3))  # fmt: skip
    return attrs.evolve(drawing, marks=tuple(marks), paper=rgb("#fbf8f1"))


def _tiny(mark: Shape, times: float) -> bool:
    x1, y1, x2, y2 = path.bounds(mark.contours)
    return min(x2 - x1, y2 - y1) < 26 * times and max(x2 - x1, y2 - y1) < 90 * times


def _thinned(mark: Shape) -> Shape:
    thin = recoloured(
        mark, (Change(kind="saturate", amount=0.9), Change(kind="bright", amount=0.16))
    )
    return thin if isinstance(thin, Shape) else mark


def _solid(drawing: Drawing, plan: Plan, times: int) -> Drawing:
    # Light from the upper left on every form, and shadows beneath.
    del plan
    marks: list[Mark] = []
    lift = 0.26 + 0.08 * times
    for mark in drawing.marks:
        if isinstance(mark, Text) or mark.role in {"shadow", "glow", "weather"}:
            marks.append(mark)
            continue
        if spread(drawing, mark):
            marks.append(mark)
            continue
        if mark.fill is None or mark.alpha < 0.9 or len(mark.contours) > 6:
            marks.append(mark)
            continue
        x1, y1, x2, y2 = path.bounds(mark.contours)
        span = max(x2 - x1, y2 - y1)
        colour = flat_colour(mark.fill)
        if span > (150 if mark.role == "ground" else 60):
            # A faint copy stands for a soft shadow: a filter would take ten times as long.
            move = (1, 0, 0, 1, span * 0.014, span * 0.03)
            moved = tuple(path.moved(move, c) for c in mark.contours)
            marks.append(attrs.evolve(mark, contours=moved, fill=(18, 14, 40), alpha=0.13,
                                      role="shadow"))  # fmt: skip
        stops = (
            Stop(0, light(colour, lift + 0.12)),
            Stop(0.45, colour),
            Stop(1, dark(colour, lift)),
        )
        marks.append(attrs.evolve(mark, fill=Linear((x1, y1), (x1 + (x2 - x1) * 0.75, y2), stops)))
        if span > 90 and len(mark.contours) == 1 and mark.role != "ground":
            pen = Pen()
            with pen.role("detail"):
                pen.glow(x1 + (x2 - x1) * 0.32, y1 + (y2 - y1) * 0.24, (x2 - x1) * 0.2, (255, 255, 255),
                         0.4, squash=max(0.2, min(1.2, 0.62 * (y2 - y1) / max(1, x2 - x1))))  # fmt: skip
            marks += pen.marks
    return attrs.evolve(drawing, marks=tuple(marks))


def _tinted(changes: tuple[Change, ...]) -> Callable[[Drawing, Plan, int], Drawing]:
    def apply(drawing: Drawing, plan: Plan, times: int) -> Drawing:
        del plan
        every = changes * min(2, times)
        return attrs.evolve(drawing, marks=tuple(recoloured(m, every) for m in drawing.marks),
                            paper=changed(drawing.paper, every))  # fmt: skip

    return apply


def _dark(drawing: Drawing, plan: Plan, times: int) -> Drawing:
    # Layouts with a plain ground choose a dark one themselves; scenes are dimmed.
    if plan.layout in {"logo", "icon", "product"}:
        return drawing
    dim = (Change(kind="ambient", amount=0.62, colour=rgb("#3a4470")),) * min(2, times)
    marks = tuple(recoloured(m, dim) if m.role == "ground" else m for m in drawing.marks)
    return attrs.evolve(drawing, marks=marks)


_STYLES: tuple[tuple[str, Callable[[Drawing, Plan, int], Drawing]], ...] = (
    ("minimal", _minimal),
    ("dark", _dark),
    ("geometric", _geometric),
    ("3d", _solid),
    ("vintage", _tinted(_VINTAGE)),
    ("pastel", _tinted(_PASTEL)),
    ("watercolor", _watercolor),
    ("outline", _outline),
    ("pencil", _pencil),
    ("neon", _neon),
)
