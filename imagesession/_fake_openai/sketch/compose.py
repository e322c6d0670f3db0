"""
Compose a drawing from a plan: choose the layout, place the subjects, add the lettering.
"""

import random

import attrs

from imagesession._fake_openai.sketch import grounds, signs, styles, symbols
from imagesession._fake_openai.sketch.canvas import UNIT, Drawing, Mark, Pen
from imagesession._fake_openai.sketch.colour import Change, apply_changes, luminance, mix, rgb
from imagesession._fake_openai.sketch.lettering import fitting, letter
from imagesession._fake_openai.sketch.plan import Plan
from imagesession._fake_openai.sketch.product import product
from imagesession._fake_openai.sketch.scene import scene
from imagesession._fake_openai.sketch.staging import NIGHT, ground_of, is_dark
from imagesession._fake_openai.sketch.symbols import Palette


def compose(
    plan: Plan, size: tuple[int, int], *, transparent: bool = False, phase: float = 0.0
) -> Drawing:
    """Draw what a plan asks for; the phase, 0 to 1, moves what can move."""
    short = min(size)
    w, h = size[0] / short * UNIT, size[1] / short * UNIT
    pen = Pen()
    plain = {"logo": signs.logo, "icon": signs.icon, "button": signs.button}
    if draw := signs.poster if plan.poster else plain.get(plan.layout):
        draw(plan, pen, w, h)
    else:
        (product if plan.layout == "product" else scene)(plan, pen, w, h, phase)
    _draw_weather(plan, pen, w, h, phase)
    paper = plan.ground or (NIGHT if is_dark(plan) else plan.scheme.ground)
    drawing = Drawing(width=w, height=h, marks=tuple(pen.marks), paper=paper)
    drawing = styles.apply_styles(drawing, plan)
    changes = plan.look + plan.changes
    marks = [*drawing.marks, *captions(w, h, plan), *_twinkles(w, h, plan, phase)]
    if changes:
        marks = [mark.recoloured(changes) for mark in marks]
    if transparent:
        scenic = plan.layout == "scene" or (plan.layout == "product" and plan.lived_in)
        backs = {"glow"} if scenic else {"glow", "ground"}
        marks = [mark for mark in marks if mark.text or not (mark.back or mark.role in backs)]
    return attrs.evolve(drawing, marks=(*marks, *notes(w, h, plan)),
                        paper=apply_changes(drawing.paper, changes))  # fmt: skip


def _draw_weather(plan: Plan, pen: Pen, w: float, h: float, phase: float) -> None:
    # Scenes have their own weather; on a plain ground it is a sign, in a colour that shows.
    if not plan.weather or not (plan.poster or plan.layout in {"logo", "icon"}):
        return
    ground, before = ground_of(plan), len(pen.marks)
    ink = mix(ground, rgb("#4f86b8"), 0.75) if luminance(ground) > 120 else rgb("#cfe2f5")
    grounds.weather(pen, w, h, plan.weather, phase=phase)
    if "autumn" not in plan.weather:
        inked = (Change(kind="tint", colour=ink), Change(kind="ambient", colour=ink))
        pen.marks[before:] = [mark.recoloured(inked) for mark in pen.marks[before:]]
    if "fog" in plan.weather:
        grounds.fog(pen, w, h, h * 0.25, mix(ground, rgb("#f4f6f8"), 0.4))


def captions(w: float, h: float, plan: Plan) -> list[Mark]:
    lines = list(plan.captions)
    if plan.lettering and not plan.poster and plan.layout not in {"logo", "button"}:
        lines.insert(0, plan.lettering)
    pen = Pen()
    plain = plan.layout != "scene" and luminance(ground_of(plan)) > 130
    ink = plan.scheme.ink if plain else rgb("#fffdf6")
    for i, line in enumerate(reversed(lines)):
        size = fitting(line, 86.0, 0.84 * w)
        y = h - 82 - i * 116
        if not plain:
            letter(pen, line, w / 2 + 3, y + 4, size, (21, 23, 42), bold=0.03, alpha=0.5)
        letter(pen, line, w / 2, y, size, ink, bold=0.014)
    return pen.marks


def notes(w: float, h: float, plan: Plan) -> list[Mark]:
    """Leave a small mark in the corner for each refinement that changed nothing."""
    return _strewn("note", [(w - 34 - 44 * i, h - 34, 1.0) for i in range(len(plan.idle[:8]))])


def _twinkles(w: float, h: float, plan: Plan, phase: float) -> list[Mark]:
    # Points of light that come and go, so that every animation moves.
    rng = random.Random(plan.seed + 77)
    swells = [1 - abs(((phase + i / 5) % 1.0) - 0.5) * 2 for i in range(5 if phase else 0)]
    return _strewn("twinkle", [
        (w * rng.uniform(0.12, 0.88), h * rng.uniform(0.08, 0.6), 0.06 + 0.22 * swell)
        for swell in swells
    ])  # fmt: skip


def _strewn(name: str, spots: list[tuple[float, float, float]]) -> list[Mark]:
    pen = Pen()
    for x, y, size in spots:
        with pen.placed(x, y, size):
            symbols.draw(pen, f"parts/{name}", Palette())
    return pen.marks
