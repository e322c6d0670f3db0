"""
Product images: one subject on a plain ground, seen from an angle, in a light.
"""

import attrs

from imagesession._fake_openai.sketch import grounds, staging, symbols
from imagesession._fake_openai.sketch.canvas import Linear, Mark, Pen, Stop
from imagesession._fake_openai.sketch.colour import Colour, changes_of, luminance, rgb
from imagesession._fake_openai.sketch.plan import Item, Plan
from imagesession._fake_openai.sketch.scene import scene
from imagesession._fake_openai.sketch.staging import FLAT, put, seen
from imagesession._fake_openai.sketch.words import SECTIONS

_SIDES = (0.16, 0.84, 0.3)  # where further subjects stand


@attrs.frozen(kw_only=True)
class _Place:
    x: float
    base: float
    size: float
    extent: tuple[float, float, float, float]


def product(plan: Plan, pen: Pen, w: float, h: float, phase: float) -> None:
    plain = plan.ground is not None or plan.clear
    if plan.lived_in or ((plan.time or plan.weather) and not plain):
        # Daylight comes in by a window.
        day = plan.time or ("day" if plan.lighting == "natural" else None)
        scene(attrs.evolve(plan, zoom=plan.zoom * 1.3, time=day), pen, w, h, phase)
        return
    paper = plan.colours[0] if len(plan.colours) > 1 else rgb("#f3f1ec")
    ground = plan.ground or (staging.NIGHT if staging.is_dark(plan) else paper)
    with pen.role("ground"):
        if luminance(ground) > 245 or plan.angle == "top":
            pen.rect(0, 0, w, h, ground)
        else:
            grounds.lay(pen, "studio", w, 0, h / 1000, 0, symbols.Palette(ground=ground))
    items = (plan.everything or (Item(name="bottle"),))[:4]
    for i, item in reversed(list(enumerate(items))):
        place = _place_item(plan, item, i, len(items), (w, h))
        _draw_item(plan, pen, item, place, ground)


def _place_item(plan: Plan, item: Item, i: int, count: int, frame: tuple[float, float]) -> _Place:
    # Wide and tall subjects get the same visual size.
    w, h = frame
    parts = staging.person_of(item, plan).parts if item.name == "person" else frozenset[str]()
    left, top, right, bottom = symbols.extent(item.name, parts)
    size = (70_000 if plan.angle == "top" else 62_000) / max(right - left, 92 - top) * plan.zoom
    if count > 1:
        size *= 0.82 if i == 0 else 0.36
    size = min(size, h * 1.05, w * 1.05)
    x = w * (0.5 + plan.shift[0]) if i == 0 else w * _SIDES[i - 1]
    # Seen from above, the subject is in the middle of the frame.
    tall = (92 - top) / 100 * size * FLAT
    foot = h * 0.5 + tall / 2 if plan.angle == "top" else h * 0.76 + size * 0.07
    base = foot + plan.shift[1] * h - (0 if i == 0 else 40)
    return _Place(x=x, base=base, size=size, extent=(left, top, right, bottom))


def _draw_item(plan: Plan, pen: Pen, item: Item, place: _Place, ground: Colour) -> None:
    shade, reach, gloss = map(float, SECTIONS["shadows"][plan.lighting].split())
    tone, lit = staging.tone_of(item, plan, ground), changes_of("lighting", plan.lighting)
    x, base, size = place.x, place.base, place.size
    if not plan.clear:
        _shadow(plan, pen, place, shade * (0.3 if luminance(ground) > 90 else 0.6), reach)
    if gloss and plan.angle in {"front", "side"} and not plan.clear:
        before = len(pen.marks)
        put(pen, item, tone, x, base + 6, size, stretch=-0.4, plan=plan)
        marks = [_mirrored(mark, base + 6, size * 0.2) for mark in pen.marks[before:]]
        pen.marks[before:] = seen(marks, plan.angle, x, base, size)
    before = len(pen.marks)
    put(pen, item, tone, x, base, size, plan=plan, flip=plan.mirrored)
    marks = [mark.recoloured(lit) for mark in pen.marks[before:]]
    pen.marks[before:] = seen(marks, plan.angle, x, base, size)


def _shadow(plan: Plan, pen: Pen, place: _Place, strength: float, reach: float) -> None:
    left, top, right, _ = place.extent
    wide, strength = min(1.04, (right - left) / 84), min(0.8, strength)
    x, base, size = place.x, place.base, place.size
    if plan.angle == "top":
        # From above, it surrounds the subject.
        middle = base - (92 - top) / 200 * size * FLAT
        staging.dim(pen, x + size * 0.03, middle, size * 0.5 * wide, size * 0.42, strength * 0.6)
        return
    narrow = 0.66 if plan.angle == "side" else 1.0
    staging.shadow(pen, x, base + 4, size * wide * narrow, strength)
    reach = max(reach, 0.2 if plan.angle == "three-quarter" else 0.0)
    if reach:
        width = size * (0.36 + reach * 0.4) * wide
        aside = x + size * reach
        staging.dim(pen, aside, base - size * 0.01, width, size * 0.08, strength * 0.75)


def _mirrored(mark: Mark, top: float, depth: float) -> Mark:
    # A reflection on the floor, which fades out.
    if mark.text or mark.fill is None:
        return attrs.evolve(mark, alpha=0.0, role="shadow")
    stops = (Stop(0, mark.colour, 0.22), Stop(1, mark.colour, 0.0))
    faint = Linear((0, top), (0, top + depth), stops)
    return attrs.evolve(mark, fill=faint, stroke=None, role="shadow")
