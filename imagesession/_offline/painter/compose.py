"""
Compose a drawing from a plan: choose the layout, place the subjects, add the lettering.
"""

import random

import attrs

from imagesession._offline.painter import abstract, backdrop, path, signs, styles
from imagesession._offline.painter.buttons import button
from imagesession._offline.painter.colour import (
    Change,
    Colour,
    changed,
    distance,
    light,
    luminance,
    mix,
    rgb,
)
from imagesession._offline.painter.drawing import (
    UNIT,
    Drawing,
    Linear,
    Mark,
    Pen,
    Shape,
    Stop,
    Text,
)
from imagesession._offline.painter.plan import Plan
from imagesession._offline.painter.product import product
from imagesession._offline.painter.raster import letterable, text_width
from imagesession._offline.painter.scenery import scene
from imagesession._offline.painter.staging import (
    NIGHT,
    ground_of,
    is_dark,
    put,
    recoloured,
    tone_of,
)
from imagesession._offline.painter.subjects import Tone

_PLAIN = frozenset({"logo", "icon", "product", "button"})  # one plain ground fills the frame


def compose(
    plan: Plan, size: tuple[int, int], *, transparent: bool = False, phase: float = 0.0
) -> Drawing:
    """
    Draw what a plan asks for; the phase, 0 to 1, moves what can move.
    """
    short = min(size)
    w, h = size[0] / short * UNIT, size[1] / short * UNIT
    pen = Pen()
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
        case _:
            scene(plan, pen, w, h, phase=phase)
    _weathered(plan, pen, w, h, phase)
    paper = plan.ground or (NIGHT if is_dark(plan) else plan.scheme.ground)
    drawing = Drawing(width=w, height=h, marks=tuple(pen.marks), paper=paper)
    drawing = styles.styled(drawing, plan)
    # What was not understood still leaves a trace: the hues turn and a small ornament appears.
    changes = plan.look + plan.changes + _turns(plan.oddities)
    marks = [*drawing.marks, *captions(drawing, plan), *twinkles(drawing, plan, phase)]
    if changes:
        marks = [recoloured(mark, changes) for mark in marks]
    drawing = attrs.evolve(drawing, marks=(*marks, *ornaments(drawing, plan)),
                           paper=changed(drawing.paper, changes))  # fmt: skip
    if transparent:
        kept = tuple(m for m in drawing.marks if isinstance(m, Text) or not _is_back(m, plan))
        drawing = attrs.evolve(drawing, marks=kept)
    return drawing


def _is_back(shape: Shape, plan: Plan) -> bool:
    plain = not _is_scene(plan) and shape.role == "ground"
    return shape.back or plain or shape.role == "glow"


def _is_scene(plan: Plan) -> bool:
    return plan.layout in {"scene", "hero"} or (plan.layout == "product" and plan.lived_in)


def _weathered(plan: Plan, pen: Pen, w: float, h: float, phase: float) -> None:
    # Scenes have their own weather; on a plain ground it is a sign, in a colour that shows.
    if plan.layout in {"scene", "hero", "product", "button"} or not plan.weather:
        return
    ground = ground_of(plan)
    ink = mix(ground, rgb("#4f86b8"), 0.75) if luminance(ground) > 120 else rgb("#cfe2f5")
    rng = random.Random(plan.seed + 5)
    before = len(pen.marks)
    with pen.role("weather"):
        if "rain" in plan.weather:
            backdrop.rain(pen, rng, w, h, phase=phase)
        if "snow" in plan.weather:
            backdrop.snow(pen, rng, w, h, phase=phase)
        if "autumn" in plan.weather:
            backdrop.leaves(pen, rng, w, h)
    solid = [mark for mark in pen.marks[before:] if isinstance(mark, Shape)]
    if "autumn" not in plan.weather:
        pen.marks[before:] = [
            attrs.evolve(mark, fill=ink if mark.fill else None, stroke=ink if mark.stroke else None)
            for mark in solid
        ]
    with pen.role("weather"):
        if "fog" in plan.weather:
            backdrop.fog(pen, rng, w, h, h * 0.25, mix(ground, rgb("#f4f6f8"), 0.4))
        if "cloud" in plan.weather:
            for x, y in ((0.18, 0.16), (0.84, 0.22), (0.8, 0.88)):
                backdrop.cloud(pen, w * x, h * y, 110, ink, 0.5)


def _pattern(plan: Plan, pen: Pen, w: float, h: float, phase: float) -> None:
    if not plan.items:
        with pen.role("ground"):
            abstract.mesh(plan, pen, w, h)
        return
    a, b, c, _ = abstract.colours(plan)
    ground = plan.ground or (NIGHT if is_dark(plan) else light((a, b, c)[plan.seed % 3], 0.72))
    with pen.role("ground"):
        pen.rect(0, 0, w, h, ground)
    rng = random.Random(plan.seed)
    step = 250.0 / (1 if len(plan.everything) > 1 else 1.1) * min(1.6, max(0.6, plan.zoom))
    row, y = 0, -step * 0.2
    while y < h + step:
        x = -step * (0.5 if row % 2 else 0.0) + phase * step
        column = 0
        while x < w + step:
            _repeat(plan, pen, rng, (x, y), step, (row + column * 2), ground)
            x += step
            column += 1
        y += step * 0.84
        row += 1


def _repeat(plan: Plan, pen: Pen, rng: random.Random, at: tuple[float, float], step: float,
            number: int, ground: Colour) -> None:  # fmt: skip
    items = plan.everything
    item = items[number % len(items)]
    tone = tone_of(item, plan, ground)
    if not item.colour and not plan.colours:
        inks = (plan.scheme.main, plan.scheme.second, tone.main)
        ink = inks[number % 3]
        if distance(ink, ground) > 60:
            tone = attrs.evolve(Tone.of(ink, tone.accent), paper=ground)
    with pen.placed(at[0], at[1], turn=rng.uniform(-16, 16)):
        put(pen, item, tone, 0, step * 0.25, step * 0.56)
    spot = (at[0] + step / 2, at[1])
    ink = plan.accent or plan.scheme.accent
    if number % 2:
        pen.circle(*spot, step * 0.035, ink)
    else:
        pen.shape([path.star(*spot, step * 0.065, step * 0.022, 4)], ink)


def _hero(plan: Plan, pen: Pen, w: float, h: float, phase: float) -> None:
    wide = w / h > 1.2
    scene(plan, pen, w, h, phase=phase, centre=0.7 if wide else 0.5)
    if not wide:
        return
    tint = plan.ground or (NIGHT if is_dark(plan) else light(plan.scheme.ground, 0.2))
    with pen.role("ground"):
        pen.rect(0, 0, w * 0.62, h, Linear((0, 0), (w * 0.62, 0), (
            Stop(0, tint, 0.72), Stop(0.5, tint, 0.42), Stop(1, tint, 0.0))))  # fmt: skip
    word = plan.lettering
    if word and letterable(word):
        ink = plan.scheme.ink if luminance(tint) > 120 else rgb("#f8f4ea")
        size = min(120.0, 0.44 * w / max(1.0, text_width(word, 1.0)))
        x = w * 0.06 + text_width(word, size) / 2
        with pen.role("lettering"):
            pen.text(word, x, h * 0.46, size, ink, bold=0.016)
            pen.rect(w * 0.06, h * 0.46 + size * 0.72, 150, 12, plan.accent or plan.scheme.accent,
                     radius=6)  # fmt: skip


def captions(drawing: Drawing, plan: Plan) -> list[Mark]:
    """
    Letter the texts that were asked for along the lower edge.
    """
    lines = [line for line in plan.captions if letterable(line)]
    if plan.lettering and plan.layout not in {"logo", "hero", "button"} and plan.items:
        lines = [line for line in (plan.lettering, *lines) if letterable(line)]
    w, h = drawing.width, drawing.height
    marks: list[Mark] = []
    for i, line in enumerate(reversed(lines)):
        size = min(86.0, 0.8 * w / max(1.0, text_width(line, 1.0)))
        y = h - 82 - i * 116
        ink = rgb("#fffdf6")
        if (
            plan.layout in {"logo", "icon", "product", "button"}
            and luminance(ground_of(plan)) > 130
        ):
            ink = plan.scheme.ink
        else:
            marks.append(Text(text=line, at=(w / 2 + 3, y + 4), size=size, fill=rgb("#15172a"),
                              alpha=0.5, bold=0.03))  # fmt: skip
        marks.append(Text(text=line, at=(w / 2, y), size=size, fill=ink, bold=0.014))
    return marks


def ornaments(drawing: Drawing, plan: Plan) -> list[Mark]:
    """
    Draw a small ornament for each refinement that was not understood.
    """
    pen = Pen()
    for i, number in enumerate(plan.oddities[-6:]):
        rng = random.Random(number)
        side = -1 if rng.random() < 0.5 else 1
        x = drawing.width / 2 + side * drawing.width * rng.uniform(0.36, 0.44)
        y = drawing.height * (0.08 + 0.05 * i + 0.004 * (len(plan.oddities) % 9))
        ink = (plan.scheme.accent, plan.scheme.second, plan.scheme.main)[number % 3]
        for k in range(3):
            pen.shape([path.star(x + k * 34 * -side, y + k % 2 * 22, 22 - 5 * k, 8 - 2 * k,
                                 4 + number % 3)], ink)  # fmt: skip
    return pen.marks


def twinkles(drawing: Drawing, plan: Plan, phase: float) -> list[Mark]:
    """
    Draw points of light that come and go, so that every animation moves.
    """
    if not phase:
        return []
    pen = Pen()
    rng = random.Random(plan.seed + 77)
    for i in range(5):
        x, y = drawing.width * rng.uniform(0.12, 0.88), drawing.height * rng.uniform(0.08, 0.6)
        swell = 1 - abs(((phase + i / 5) % 1.0) - 0.5) * 2
        pen.shape([path.star(x, y, 6 + 22 * swell, 1.5 + 5 * swell, 4)], (255, 252, 236), alpha=0.9)
    return pen.marks


def _turns(oddities: tuple[int, ...]) -> tuple[Change, ...]:
    if not oddities:
        return ()
    degrees = sum((14 + number % 23) * (1 if number % 2 else -1) for number in oddities)
    return (Change(kind="turn", amount=degrees),)
