"""
Compose a drawing from a plan: choose the layout, place the subjects, add the lettering.
"""

import random

import attrs

from imagesession._offline.sketch import grounds, path, poster, signs, styles
from imagesession._offline.sketch.buttons import button
from imagesession._offline.sketch.canvas import (
    UNIT,
    Drawing,
    Mark,
    Pen,
    Shape,
    Text,
    recoloured,
    stretch_over,
)
from imagesession._offline.sketch.colour import changed, distance, light, luminance, mix, rgb
from imagesession._offline.sketch.lettering import fitting, letter, text_width
from imagesession._offline.sketch.plan import Item, Plan
from imagesession._offline.sketch.product import product
from imagesession._offline.sketch.scene import scene
from imagesession._offline.sketch.staging import NIGHT, ground_of, is_dark, put, tone_of
from imagesession._offline.sketch.symbols import Tone

_SIGNS = frozenset({"logo", "icon", "product", "button"})


def compose(
    plan: Plan, size: tuple[int, int], *, transparent: bool = False, phase: float = 0.0
) -> Drawing:
    """Draw what a plan asks for; the phase, 0 to 1, moves what can move."""
    short = min(size)
    w, h = size[0] / short * UNIT, size[1] / short * UNIT
    pen = Pen()
    _laid_out(plan, pen, w, h, phase)
    _weathered(plan, pen, w, h, phase)
    paper = plan.ground or (NIGHT if is_dark(plan) else plan.scheme.ground)
    drawing = styles.styled(Drawing(width=w, height=h, marks=tuple(pen.marks), paper=paper), plan)
    changes = plan.look + plan.changes
    marks = [*drawing.marks, *captions(w, h, plan), *_twinkles(w, h, plan, phase)]
    if changes:
        marks = [recoloured(mark, changes) for mark in marks]
    if transparent:
        marks = [mark for mark in marks if isinstance(mark, Text) or not _is_back(mark, plan)]
    return attrs.evolve(drawing, marks=(*marks, *notes(w, h, plan)),
                        paper=changed(drawing.paper, changes))  # fmt: skip


def _laid_out(plan: Plan, pen: Pen, w: float, h: float, phase: float) -> None:
    if plan.poster:
        poster.poster(plan, pen, w, h)
        return
    match plan.layout:
        case "logo":
            signs.logo(plan, pen, w, h, phase)
        case "icon":
            signs.icon(plan, pen, w, h, phase)
        case "product":
            product(plan, pen, w, h, phase)
        case "button":
            button(plan, pen, w, h, phase)
        case "pattern":
            _pattern(plan, pen, w, h, phase)
        case "hero":
            _hero(plan, pen, w, h, phase)
        case "scene":
            scene(plan, pen, w, h, phase=phase)


def _is_back(shape: Shape, plan: Plan) -> bool:
    scenic = plan.layout in {"scene", "hero"} or (plan.layout == "product" and plan.lived_in)
    plain = not scenic and shape.role == "ground"
    return shape.back or plain or shape.role == "glow"


def _weathered(plan: Plan, pen: Pen, w: float, h: float, phase: float) -> None:
    # Scenes have their own weather; on a plain ground it is a sign, in a colour that shows.
    if not plan.weather or not (plan.poster or plan.layout in {"logo", "icon", "pattern"}):
        return
    ground = ground_of(plan)
    ink = mix(ground, rgb("#4f86b8"), 0.75) if luminance(ground) > 120 else rgb("#cfe2f5")
    before = len(pen.marks)
    grounds.weather(pen, w, h, plan.weather, phase=phase)
    if "autumn" not in plan.weather:
        pen.marks[before:] = [
            attrs.evolve(mark, fill=ink if mark.fill else None, stroke=ink if mark.stroke else None)
            for mark in pen.marks[before:] if isinstance(mark, Shape)
        ]  # fmt: skip
    if "fog" in plan.weather:
        veil = mix(ground, rgb("#f4f6f8"), 0.4)
        grounds.fog(pen, random.Random(plan.seed), w, h, h * 0.25, veil)


def _pattern(plan: Plan, pen: Pen, w: float, h: float, phase: float) -> None:
    if not plan.items:
        with pen.role("ground"):
            poster.mesh(plan, pen, w, h)
        return
    a, b, c, _ = poster.colours(plan)
    ground = plan.ground or (NIGHT if is_dark(plan) else light((a, b, c)[plan.seed % 3], 0.72))
    with pen.role("ground"):
        pen.rect(0, 0, w, h, ground)
    rng = random.Random(plan.seed)
    step = 250.0 / (1 if len(plan.everything) > 1 else 1.1) * min(1.6, max(0.6, plan.zoom))
    row, y = 0, -step * 0.2
    while y < h + step:
        x = -step * (0.5 if row % 2 else 0.0) + phase * step
        for column in range(int((w + 2 * step) / step) + 1):
            _repeat(plan, pen, rng, (x + column * step, y), step, row + column * 2, ground)
        y += step * 0.84
        row += 1


def _repeat(plan: Plan, pen: Pen, rng: random.Random, at: tuple[float, float], step: float,
            number: int, ground: tuple[int, int, int]) -> None:  # fmt: skip
    item = plan.everything[number % len(plan.everything)]
    tone = _inked(item, plan, number, ground)
    with pen.placed(at[0], at[1], turn=rng.uniform(-16, 16)):
        put(pen, item, tone, 0, step * 0.25, step * 0.56, plan=plan)
    spot = (at[0] + step / 2, at[1])
    ink = plan.accent or plan.scheme.accent
    if number % 2:
        pen.circle(*spot, step * 0.035, ink)
    else:
        pen.shape([path.star(*spot, step * 0.065, step * 0.022, 4)], ink)


def _inked(item: Item, plan: Plan, number: int, ground: tuple[int, int, int]) -> Tone:
    tone = tone_of(item, plan, ground)
    if item.colour or plan.colours:
        return tone
    ink = (plan.scheme.main, plan.scheme.second, tone.main)[number % 3]
    if distance(ink, ground) <= 60:
        return tone
    return attrs.evolve(Tone.of(ink, tone.accent), paper=ground)


def _hero(plan: Plan, pen: Pen, w: float, h: float, phase: float) -> None:
    wide = w / h > 1.2
    scene(plan, pen, w, h, phase=phase, centre=0.7 if wide else 0.5)
    if not wide:
        return
    tint = plan.ground or (NIGHT if is_dark(plan) else light(plan.scheme.ground, 0.2))
    with pen.role("ground"):
        stretch_over(pen, w * 0.62, h, tint)
    word = plan.lettering
    if word:
        ink = plan.scheme.ink if luminance(tint) > 120 else rgb("#f8f4ea")
        size = fitting(word, 120.0, 0.44 * w)
        x = w * 0.06 + text_width(word, size) / 2
        letter(pen, word, x, h * 0.46, size, ink, bold=0.016)
        pen.rect(w * 0.06, h * 0.46 + size * 0.72, 150, 12, plan.accent or plan.scheme.accent,
                 radius=6)  # fmt: skip


def captions(w: float, h: float, plan: Plan) -> list[Mark]:
    """Letter the texts that were asked for along the lower edge."""
    lines = list(plan.captions)
    if plan.lettering and not plan.poster and plan.layout not in {"logo", "hero", "button"}:
        lines.insert(0, plan.lettering)
    pen = Pen()
    plain = plan.layout in _SIGNS and luminance(ground_of(plan)) > 130
    for i, line in enumerate(reversed(lines)):
        size = fitting(line, 86.0, 0.84 * w)
        y = h - 82 - i * 116
        if not plain:
            letter(pen, line, w / 2 + 3, y + 4, size, "#15172a", bold=0.03, alpha=0.5)
        letter(pen, line, w / 2, y, size, plan.scheme.ink if plain else "#fffdf6", bold=0.014)
    return pen.marks


def notes(w: float, h: float, plan: Plan) -> list[Mark]:
    """Leave a small mark in the corner for each refinement that changed nothing."""
    pen = Pen()
    for i in range(min(8, len(plan.idle))):
        x, y = w - 34 - 44 * i, h - 34
        pen.circle(x, y, 17, "#fffdf6", alpha=0.8)
        pen.ring(x, y, 17, "#3a3f52", 2.4, alpha=0.8)
        letter(pen, "?", x, y, 24, "#3a3f52", alpha=0.9)
    return pen.marks


def _twinkles(w: float, h: float, plan: Plan, phase: float) -> list[Mark]:
    # Points of light that come and go, so that every animation moves.
    pen = Pen()
    rng = random.Random(plan.seed + 77)
    for i in range(5 if phase else 0):
        x, y = w * rng.uniform(0.12, 0.88), h * rng.uniform(0.08, 0.6)
        swell = 1 - abs(((phase + i / 5) % 1.0) - 0.5) * 2
        pen.shape([path.star(x, y, 6 + 22 * swell, 1.5 + 5 * swell, 4)], (255, 252, 236), alpha=0.9)
    return pen.marks
