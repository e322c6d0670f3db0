"""
Change pictures that are given: the prompts act on the raster, everywhere or within a mask.
"""

import random

import attrs
from PIL import Image, ImageFilter, ImageOps

from imagesession._offline.painter import (
    adjust,
    backdrop,
    encode,
    frame,
    mending,
    raster,
    strokes,
    words,
)
from imagesession._offline.painter.colour import Change, Colour, rgb
from imagesession._offline.painter.compose import captions, compose, ornaments
from imagesession._offline.painter.drawing import UNIT, Drawing, Mark, Pen
from imagesession._offline.painter.pixels import mapped, resized
from imagesession._offline.painter.plan import Item, Plan
from imagesession._offline.painter.remedies import read
from imagesession._offline.painter.staging import put, shadow, tone_of
from imagesession._offline.painter.subjects import TABLE

_TIMES: dict[str, tuple[Change, ...]] = {
    "night": (Change(kind="ambient", amount=0.85, colour=rgb("#4a5aa0")),
              Change(kind="contrast", amount=1.1)),
    "sunset": (Change(kind="ambient", amount=0.8, colour=rgb("#ffb184")), Change(kind="warm")),
    "dawn": (Change(kind="ambient", amount=0.7, colour=rgb("#ffd6d0")),
             Change(kind="bright", amount=0.08)),
    "day": (Change(kind="bright", amount=0.16),),
}  # fmt: skip
_WEATHER: dict[str, Change] = {
    "rain": Change(kind="ambient", amount=0.6, colour=rgb("#8fa3b8")),
    "snow": Change(kind="bright", amount=0.2),
    "fog": Change(kind="contrast", amount=0.66),
    "autumn": Change(kind="tint", amount=0.25, colour=rgb("#d9812f")),
}


def retouched(
    base: bytes, prompts: tuple[str, ...], size: tuple[int, int], *, transparent: bool, seed: int
) -> Image.Image:
    """
    Change a whole picture as the prompts say.
    """
    plan = _plan(prompts, seed)
    image = mending.mended(_fitted(encode.decode(base), plan, size), plan.mends)
    image = _changed(image, plan)
    if transparent or plan.ground:
        image = frame.without_ground(image)
    if plan.ground and not transparent:
        ground = Image.new("RGB", image.size, plan.ground)
        ground.paste(image, (0, 0), image.getchannel("A"))
        image = ground
    return _laid_over(image, plan)


def _fitted(image: Image.Image, plan: Plan, size: tuple[int, int]) -> Image.Image:
    if not mending.crops(plan.mends):
        return frame.fitted(image, size)
    # The frame is filled: continued edges would be margins again.
    return mending.cropped_to(image, size)


def masked(
    base: bytes, mask: bytes, prompts: tuple[str, ...], size: tuple[int, int], *, seed: int
) -> Image.Image:
    """
    Change a picture only where the mask is clear; everywhere else its pixels stay exactly.
    """
    before = encode.decode(base)
    hole = _hole(mask, before.size)
    filled = before.copy()
    for box in strokes.regions(hole):
        filled.paste(_filling(before, hole, box, prompts, seed).convert(before.mode), box)
    after = Image.composite(filled, before, hole)
    return after if after.size == size else frame.fitted(after, size)


def _hole(mask: bytes, size: tuple[int, int]) -> Image.Image:
    image = encode.decode(mask)
    if image.mode != "RGBA":
        return Image.new("L", size, 0)
    if image.size != size:
        image = resized(image, size, Image.Resampling.NEAREST)
    return mapped(image.getchannel("A"), [255] + [0] * 255)


def _filling(before: Image.Image, hole: Image.Image, box: tuple[int, int, int, int],
             prompts: tuple[str, ...], seed: int) -> Image.Image:  # fmt: skip
    prompt = prompts[-1] if prompts else ""
    remedies = read(prompt)
    plan = words.plan((remedies.rest,), seed)
    size = (box[2] - box[0], box[3] - box[1])
    objects = [item for item in plan.items if TABLE[item.name].place not in {"land", "sky"}]
    if objects or plan.removed:
        ground = _healed(before, hole).crop(box)
        return _with_subject(ground, plan, objects[0] if objects else None)
    refined = words.refine(Plan(seed=plan.seed), prompt)
    if (refined.changes or remedies.mends) and not plan.items:
        inside = mending.mended(before.crop(box).convert("RGB"), remedies.mends)
        return _changed(inside, refined)
    # Very flat or narrow fillings are cut from a calmer shape, so that they stay pictures.
    side = (max(size[0], size[1] // 3), max(size[1], size[0] // 3))
    painted = raster.render(compose(plan, side), side)
    return ImageOps.fit(painted, size, Image.Resampling.BICUBIC)


def _healed(image: Image.Image, hole: Image.Image) -> Image.Image:
    # The hole is filled from its surroundings: repeatedly blurred, while the rest stays.
    w, h = image.size
    k = max(1, max(w, h) // 128)
    small = resized(image.convert("RGB"), (max(1, w // k), max(1, h // k)), Image.Resampling.BOX)
    mask = mapped(resized(hole, small.size, Image.Resampling.BOX), [0] + [255] * 255)
    known = small.copy()
    fill = resized(small, (1, 1), Image.Resampling.BOX).getpixel((0, 0))
    small.paste(fill if isinstance(fill, tuple) else (128, 128, 128), (0, 0), mask)
    for radius in (24, 12, 6, 4, 3, 2, 1.5, 1, 1, 1):
        blurred = small.filter(ImageFilter.GaussianBlur(radius))
        small = Image.composite(blurred, known, mask)
    return resized(small, image.size, Image.Resampling.BICUBIC)


def _with_subject(ground: Image.Image, plan: Plan, item: Item | None) -> Image.Image:
    if item is None:
        return ground
    w, h = ground.size
    pen = Pen()
    side = min(w, h)
    x, foot = w / 2, h / 2 + side * 0.44
    if TABLE[item.name].place not in {"air", "space", "under", "plain"}:
        shadow(pen, x, foot, side * 0.9, 0.3)
    put(pen, item, tone_of(item, plan), x, foot, side * 0.94)
    _stamp(ground, pen.marks, (1.0, 1.0))
    return ground


def _plan(prompts: tuple[str, ...], seed: int) -> Plan:
    plan = Plan(seed=(words.crc(prompts[0]) if prompts else 0) + seed)
    for prompt in prompts:
        plan = words.refine(plan, prompt)
    return plan


def _changed(image: Image.Image, plan: Plan) -> Image.Image:
    if plan.mirrored:
        image = ImageOps.mirror(image)
    if plan.zoom != 1 or plan.shift != (0.0, 0.0):
        image = _moved(image, plan)
    image = adjust.stylised(image, plan)
    changes = plan.changes
    if plan.time:
        changes += _TIMES[plan.time]
    changes += tuple(_WEATHER[name] for name in sorted(plan.weather) if name in _WEATHER)
    changes += tuple(Change(kind="turn", amount=20 + number % 40) for number in plan.oddities[-4:])
    image = adjust.soften(adjust.recolour(image, changes), plan.blur)
    return adjust.stormy(image) if plan.stormy else image


def _moved(image: Image.Image, plan: Plan) -> Image.Image:
    w, h = image.size
    dx, dy = round(plan.shift[0] * w), round(plan.shift[1] * h)
    nw, nh = max(1, round(w * plan.zoom)), max(1, round(h * plan.zoom))
    scaled = resized(image, (nw, nh), Image.Resampling.BICUBIC)
    out = resized(image, (max(1, w // 16), max(1, h // 16)), Image.Resampling.BOX)
    out = resized(out.filter(ImageFilter.GaussianBlur(2)), (w, h), Image.Resampling.BICUBIC)
    out.paste(scaled, ((w - nw) // 2 + dx, (h - nh) // 2 + dy))
    return out


def _laid_over(image: Image.Image, plan: Plan) -> Image.Image:
    # Subjects, weather and lettering are drawn on top.
    w, h = image.size
    short = min(w, h)
    scale = short / UNIT
    uw, uh = w / scale, h / scale
    pen = Pen()
    for i, item in enumerate(plan.everything[:6]):
        subject = TABLE[item.name]
        if subject.place in {"sky", "air", "space"}:
            size = 250 if subject.place != "sky" else 620 * subject.size
            x, y = uw * (0.8, 0.2, 0.5)[i % 3], uh * (0.2, 0.24, 0.14)[i % 3]
            put(pen, item, tone_of(item, plan), x, y + size * 0.42, size)
        else:
            size = 320 * subject.size**0.5
            x, y = uw * (0.76, 0.24, 0.5, 0.9, 0.1, 0.62)[i], uh * 0.93
            shadow(pen, x, y, size, 0.3)
            put(pen, item, tone_of(item, plan), x, y, size)
    with pen.role("weather"):
        rng = random.Random(plan.seed)
        if "rain" in plan.weather:
            backdrop.rain(pen, rng, uw, uh)
        if "snow" in plan.weather:
            backdrop.snow(pen, rng, uw, uh)
        if "fog" in plan.weather:
            backdrop.fog(pen, rng, uw, uh, uh * 0.3, rgb("#e6eaee"))
        if "autumn" in plan.weather:
            backdrop.leaves(pen, rng, uw, uh)
    lettered = attrs.evolve(plan, captions=(*plan.captions, plan.lettering)[-4:]
                            if plan.lettering else plan.captions)  # fmt: skip
    paper: Colour = (255, 255, 255)
    whole = Drawing(width=uw, height=uh, marks=tuple(pen.marks), paper=paper)
    marks = [*pen.marks, *captions(whole, lettered), *ornaments(whole, plan)]
    _stamp(image, marks, (scale, scale))
    return image


def _stamp(image: Image.Image, marks: list[Mark], scale: tuple[float, float]) -> None:
    if image.mode != "RGBA":
        for mark in marks:
            raster.stamp(image, mark, scale)
        return
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    for mark in marks:
        raster.stamp(layer, mark, scale)
    over = Image.frombytes("RGBa", image.size, layer.tobytes()).convert("RGBA")
    image.alpha_composite(over)


def framed(image: Image.Image, insets: tuple[bytes, ...]) -> Image.Image:
    """
    Lay reference pictures on the lower edge as small framed prints.
    """
    w, h = image.size
    side = max(8, min(w, h) // 6)
    for i, data in enumerate(insets[:8]):
        print_ = encode.flat(encode.decode(data))
        print_ = ImageOps.contain(print_, (side, side), Image.Resampling.BICUBIC)
        rim = max(1, side // 16)
        framed_ = ImageOps.expand(print_, rim, (252, 250, 245))
        x = round(side * 0.3 + i * side * 1.22)
        y = h - framed_.height - round(side * 0.3)
        if x + framed_.width > w:
            break
        shade = Image.new("L", (framed_.width + 4 * rim, framed_.height + 4 * rim), 0)
        shade.paste(110, (2 * rim, 2 * rim, 2 * rim + framed_.width, 2 * rim + framed_.height))
        shade = shade.filter(ImageFilter.GaussianBlur(rim))
        dark = (20, 18, 40, 255) if image.mode == "RGBA" else (20, 18, 40)
        image.paste(dark, (x - rim, y - rim), shade)
        image.paste(framed_.convert(image.mode), (x, y))
    return image
