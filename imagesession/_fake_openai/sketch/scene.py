"""
Scenes: landscapes, streets, seas, skies and rooms, with their subjects in them.
"""

import attrs

from imagesession._fake_openai.sketch import grounds, signs
from imagesession._fake_openai.sketch.canvas import Pen
from imagesession._fake_openai.sketch.colour import Change, light, luminance, mix, rgb
from imagesession._fake_openai.sketch.grounds import Stage, light_of
from imagesession._fake_openai.sketch.plan import Item, Plan
from imagesession._fake_openai.sketch.staging import put, seen, shadow, tone_of
from imagesession._fake_openai.sketch.symbols import TABLE

_PARTS = frozenset({"button", "dashboard"})  # of a user interface: they stand alone
_DESKTOP = frozenset({"laptop", "lamp", "tablet", "chair", "plant"})


def scene(plan: Plan, pen: Pen, w: float, h: float, phase: float = 0.0) -> None:
    sky, inks = light_of(plan)
    stage = Stage(plan=plan, pen=pen, w=w, h=h, sky=sky, inks=inks, phase=phase)
    objects = [item for item in plan.everything if TABLE[item.name].place not in {"sky", "land"}]
    if plan.items and plan.items[0].name == "desk":
        # A desk is drawn with these on it.
        objects = [item for item in objects if item.name not in _DESKTOP or item in plan.extras]
    foot = _surroundings(stage, objects)
    # With no subject in it, a transparent landscape loses only its sky.
    pen.marks[:] = [
        attrs.evolve(mark, role="ground" if mark.role == "subject" else mark.role,
                     back=mark.back or bool(objects) or i == 0)
        for i, mark in enumerate(pen.marks)
    ]  # fmt: skip
    _draw_sky_subjects(stage)
    _draw_subjects(stage, objects, foot)
    if "fog" in plan.weather:
        grounds.fog(pen, w, h, h * 0.38, light(sky[-1], 0.3))
    grounds.weather(pen, w, h, plan.weather, phase=phase)


def _surroundings(stage: Stage, objects: list[Item]) -> float:
    # Returns the height at which subjects stand.
    names = {item.name for item in stage.plan.everything}
    lands = {name for name in names if TABLE[name].place == "land"}
    # Later subjects are added to the existing surroundings.
    first = next((item for item in stage.plan.items if item in objects), None)
    first = first or (objects[0] if objects else None)
    place = TABLE[first.name].place if first else ""
    indoors = place == "meadow" and _is_indoors(stage)
    if lands and place not in {"under", "space"} and not indoors:
        return grounds.landscape(stage, lands)
    if first and (place == "room" or indoors):
        return _room(stage, first)
    if first and place == "plain":
        signs.backdrop(stage.plan, stage.pen, stage.w, stage.h, calm=first.name in _PARTS)
        return stage.h * 0.5 + 300
    if draw := {"under": grounds.deep, "space": grounds.space, "road": grounds.street}.get(place):
        return draw(stage)
    return grounds.landscape(stage, {"water": {"sea"}, "air": {"sky"}}.get(place, set()))


def _room(stage: Stage, item: Item) -> float:
    plan, w, h = stage.plan, stage.w, stage.h
    main = tone_of(item, plan)["main"]
    # The paler of the scheme's colours that contrasts with the subject.
    options = (plan.scheme.second, plan.scheme.main, plan.scheme.accent, rgb("#7fa7b8"))
    far = max(options, key=lambda ink: abs(luminance(ink) - luminance(main)) * 0.3
              + sum(abs(a - b) for a, b in zip(ink, main, strict=True)))  # fmt: skip
    wall = plan.ground or light(far, 0.66)
    if plan.time == "night":
        wall = mix(wall, rgb("#27305c"), 0.72)
    window = bool(plan.time or plan.weather or plan.seed % 3 == 0) or _is_indoors(stage)
    floor = grounds.room(stage, wall, window=window)
    if w > 1250 and not stage.has("plant"):
        for side in (0.1, 0.9) if w > 1700 else (0.9,):
            plant, x = Item(name="plant"), w * side
            put(stage.pen, plant, tone_of(plant, Plan()), x, floor + 40, 330, plan=plan)
    return floor + (h - floor) * 0.42


def _is_indoors(stage: Stage) -> bool:
    # People in an office stand on its floor, not on a meadow.
    return stage.has("desk") and not any(TABLE[i.name].place == "land" for i in stage.plan.items)


def _draw_sky_subjects(stage: Stage) -> None:
    # Subjects of the first prompt may be part of the sky already.
    plan, w, h = stage.plan, stage.w, stage.h
    spots = [(0.82, 0.2), (0.2, 0.2), (0.5, 0.14), (0.66, 0.3), (0.34, 0.3)]
    done = {"cloud", "stars"} if plan.time == "night" else {"cloud"}
    done |= {"moon"} if plan.time == "night" else {"sun"}
    skies = [i for i in plan.items if TABLE[i.name].place == "sky" and i.name not in done]
    skies += [i for i in plan.extras if TABLE[i.name].place == "sky"]
    alone = {TABLE[item.name].place for item in plan.items} == {"sky"} and plan.time is None
    if alone:
        # A prompt for nothing but a sun or a cloud is a portrait of it.
        skies = [plan.items[0], *(item for item in skies if item is not plan.items[0])]
        spots = [(0.5, 0.38), *spots]
    for item, spot in zip(skies, spots, strict=False):
        main = alone and item is plan.items[0]
        wide = item.name == "rainbow"
        size = 1000 * TABLE[item.name].size * (1.0 if wide else 0.9)
        size = max(520.0, size) * plan.zoom if main else size
        x, y = (w * 0.5, h * 0.34) if wide else (w * spot[0], h * spot[1])
        # A crescent's middle lies left of its box's.
        aside = size * 0.16 if item.name == "moon" else 0.0
        if glow := {"sun": "#ffe9b0", "moon": "#f4efd8"}.get(item.name):
            with stage.pen.role("glow"):
                stage.pen.glow(x - aside, y + aside * 0.3, size * 0.9, rgb(glow), 0.5)
        tone = tone_of(item, plan)
        put(stage.pen, item, tone, x, y + size * 0.42, size * 0.9, plan=plan)


def _draw_subjects(stage: Stage, objects: list[Item], foot: float) -> None:
    # The main subject is in the middle, the others beside it, smaller.
    plan, pen = stage.plan, stage.pen
    if not objects:
        return
    # A subject that is added to a landscape does not become its main subject.
    has_main, before = objects[0] in plan.items, len(pen.marks)
    # A desk is near the people who work at it.
    side = 0.21 if _is_indoors(stage) else 0.17
    places = (side, 1.03 - side, 0.33, 0.7, 0.06, 0.94, 0.5)
    order = list(zip(objects[has_main:], places, strict=False))
    order += [(objects[0], 0.5 + plan.shift[0])] if has_main else []
    for item, across in order:
        main = has_main and item is objects[0]
        subject = TABLE[item.name]
        # A second person is not drawn as small as a child.
        scale = 1.0 if main else 0.84 if item.name == objects[0].name == "person" else 0.52
        size = 560 * subject.size * scale * (plan.zoom if main else min(plan.zoom, 1.0))
        size = min(size, stage.h * (1.1 if main else scale), stage.w * 1.1)
        x, y = stage.w * across, foot + stage.h * plan.shift[1] - (0 if main else 6)
        if subject.place in {"air", "space", "under"}:
            y = stage.h * (0.47 if main else 0.34) + size * 0.42 + stage.h * plan.shift[1]
        elif subject.place == "plain" and main:
            y = stage.h * 0.5 + size * 0.42
        else:
            _ground_contact(stage, item, x, y, size)
        start = len(pen.marks)
        put(pen, item, tone_of(item, plan), x, y, size, plan=plan, flip=plan.mirrored and main)
        if main:
            pen.marks[start:] = seen(pen.marks[start:], plan.angle, x, y, size)
    ambient = Change(kind="ambient", amount=0.75, colour=stage.inks["ambient"])
    pen.marks[before:] = [
        mark if mark.role in {"shadow", "glow"} else mark.recoloured((ambient,))
        for mark in pen.marks[before:]
    ]


def _ground_contact(stage: Stage, item: Item, x: float, y: float, size: float) -> None:
    pen, plan = stage.pen, stage.plan
    place = TABLE[item.name].place
    if place == "water":
        with pen.role("shadow"):
            pen.ellipse(x, y - size * 0.02, size * 0.46, size * 0.035, (255, 255, 255), alpha=0.35)
        return
    if place == "road" and "rain" in plan.weather:
        before = len(pen.marks)
        put(pen, item, tone_of(item, plan), x, y + size * 0.02, size, stretch=-0.55, plan=plan,
            flip=plan.mirrored)  # fmt: skip
        pen.marks[before:] = [
            attrs.evolve(mark, alpha=mark.alpha * 0.26, role="shadow")
            for mark in pen.marks[before:] if mark.role != "detail"
        ]  # fmt: skip
    shadow(pen, x, y, size, 0.34)
