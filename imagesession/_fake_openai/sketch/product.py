"""
Product images: one subject on a plain ground, seen from an angle, in a light.
"""

import attrs

from imagesession._fake_openai.sketch import symbols
from imagesession._fake_openai.sketch.canvas import Linear, Pen, Stop, down, recolour_mark
from imagesession._fake_openai.sketch.colour import Change, Colour, dark, light, luminance, rgb
from imagesession._fake_openai.sketch.plan import Item, Lighting, Plan, Time
from imagesession._fake_openai.sketch.scene import scene
from imagesession._fake_openai.sketch.staging import (
    FLAT,
    NIGHT,
    dim,
    is_dark,
    mirrored,
    person_of,
    put,
    seen,
    shadow,
    tone_of,
)

_SIDES = (0.16, 0.84, 0.3)  # where further subjects stand


@attrs.frozen(kw_only=True)
class _Lamp:
    """A light: what it does to colours, and how dark and how long shadows are in it."""

    changes: tuple[Change, ...] = ()
    shade: float = 1.0
    reach: float = 0.0  # of the shadow to the side, as a share of the subject's size
    gloss: bool = True  # whether the floor reflects


_LAMPS: dict[Lighting, _Lamp] = {
    "studio": _Lamp(),
    "natural": _Lamp(changes=(Change(kind="warm", amount=0.25),), shade=0.9, reach=0.16,
                     gloss=False),
    "dramatic": _Lamp(changes=(Change(kind="bright", amount=-0.08),
                               Change(kind="contrast", amount=1.24)), shade=1.9, reach=0.2),
    "soft": _Lamp(changes=(Change(kind="contrast", amount=0.84), Change(kind="bright", amount=0.1)),
                  shade=0.4, gloss=False),
}  # fmt: skip


def light_changes(lighting: Lighting) -> tuple[Change, ...]:
    """Return the changes that a light makes to colours."""
    return _LAMPS[lighting].changes


@attrs.frozen(kw_only=True)
class _Place:
    """Where a subject stands, and how large it is."""

    x: float
    base: float
    size: float


def product(plan: Plan, pen: Pen, w: float, h: float, phase: float) -> None:
    """Draw a product on a plain ground, or where it is used."""
    plain = plan.ground is not None or plan.clear
    if plan.lived_in or ((plan.time or plan.weather) and not plain):
        # Daylight comes in by a window.
        day: Time | None = "day" if plan.lighting == "natural" else None
        lived = attrs.evolve(plan, zoom=plan.zoom * 1.3, time=plan.time or day)
        scene(lived, pen, w, h, phase=phase)
        return
    ground = plan.ground or (NIGHT if is_dark(plan) else plan.colours[0] if len(plan.colours) > 1
                             else rgb("#f3f1ec"))  # fmt: skip
    with pen.role("ground"):
        _ground(plan, pen, w, h, ground)
    items = (plan.everything or (Item(name="bottle"),))[:4]
    for i, item in reversed(list(enumerate(items))):
        place = _place_item(plan, item, i, len(items), (w, h))
        _draw_item(plan, pen, item, place, ground)


def _ground(plan: Plan, pen: Pen, w: float, h: float, ground: Colour) -> None:
    if luminance(ground) > 245 or plan.angle == "top":
        pen.rect(0, 0, w, h, ground)
        return
    floor = h * 0.76
    pen.rect(0, 0, w, floor, down(0, floor, dark(ground, 0.04), light(ground, 0.35)))
    stops = (Stop(0, light(ground, 0.35)), Stop(0.4, ground), Stop(1, dark(ground, 0.14)))
    pen.rect(0, floor - 60, w, h - floor + 60, Linear((0, floor - 60), (0, h), stops))


def _place_item(plan: Plan, item: Item, i: int, count: int, frame: tuple[float, float]) -> _Place:
    # Wide and tall subjects get the same visual size.
    w, h = frame
    left, top, right, _ = _extent(plan, item)
    size = (70_000 if plan.angle == "top" else 62_000) / max(right - left, 92 - top) * plan.zoom
    if count > 1:
        size *= 0.82 if i == 0 else 0.36
    size = min(size, h * 1.05, w * 1.05)
    x = w * (0.5 + plan.shift[0]) if i == 0 else w * _SIDES[i - 1]
    # Seen from above, the subject is in the middle of the frame.
    tall = (92 - top) / 100 * size * FLAT
    foot = h * 0.5 + tall / 2 if plan.angle == "top" else h * 0.76 + size * 0.07
    return _Place(x=x, base=foot + plan.shift[1] * h - (0 if i == 0 else 40), size=size)


def _extent(plan: Plan, item: Item) -> tuple[float, float, float, float]:
    parts = person_of(item, plan).parts if item.name == "person" else frozenset[str]()
    return symbols.extent(item.name, parts)


def _draw_item(plan: Plan, pen: Pen, item: Item, place: _Place, ground: Colour) -> None:
    lamp = _LAMPS[plan.lighting]
    tone = tone_of(item, plan, ground)
    x, base, size = place.x, place.base, place.size
    if not plan.clear:
        _shadow(plan, pen, item, place, lamp.shade * (0.3 if luminance(ground) > 90 else 0.6))
    if lamp.gloss and plan.angle in {"front", "side"} and not plan.clear:
        before = len(pen.marks)
        put(pen, item, tone, x, base + 6, size, stretch=-0.4, plan=plan)
        pen.marks[before:] = seen(
            [mirrored(mark, base + 6, size * 0.2) for mark in pen.marks[before:]],
            plan.angle, x, base, size,
        )  # fmt: skip
    before = len(pen.marks)
    put(pen, item, tone, x, base, size, plan=plan, flip=plan.mirrored)
    marks = pen.marks[before:]
    if lamp.changes:
        marks = [recolour_mark(mark, lamp.changes) for mark in marks]
    pen.marks[before:] = seen(marks, plan.angle, x, base, size)


def _shadow(plan: Plan, pen: Pen, item: Item, place: _Place, strength: float) -> None:
    left, top, right, _ = _extent(plan, item)
    wide = min(1.04, (right - left) / 84)
    x, base, size = place.x, place.base, place.size
    strength = min(0.8, strength)
    if plan.angle == "top":
        # From above, it surrounds the subject.
        middle = base - (92 - top) / 200 * size * FLAT
        dim(pen, x + size * 0.03, middle, size * 0.5 * wide, size * 0.42, strength * 0.6)
        return
    shadow(pen, x, base + 4, size * wide * (0.66 if plan.angle == "side" else 1.0), strength)
    reach = max(_LAMPS[plan.lighting].reach, 0.2 if plan.angle == "three-quarter" else 0.0)
    if reach:
        dim(pen, x + size * reach, base - size * 0.01, size * (0.36 + reach * 0.4) * wide,
            size * 0.08, strength * 0.75)  # fmt: skip
