"""
Change pictures that are given: the prompts act on the raster.
"""

import random

import attrs
from PIL import Image, ImageFilter, ImageOps

from imagesession._offline.painter import adjust, backdrop, encode, frame, mending, raster, words
from imagesession._offline.painter.briefs import brief
from imagesession._offline.painter.colour import Change, Colour, rgb
from imagesession._offline.painter.compose import captions, compose, ornaments
from imagesession._offline.painter.drawing import UNIT, Drawing, Mark, Pen
from imagesession._offline.painter.pixels import resized
from imagesession._offline.painter.plan import Plan
from imagesession._offline.painter.product import lit_by
from imagesession._offline.painter.staging import put, shadow, tone_of
from imagesession._offline.painter.subjects import TABLE

_ANEW = frozenset({"icon", "button"})  # drawn, whatever picture they go by
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
    if plan.framed and plan.layout in _ANEW:
        plan = _coloured_like(encode.decode(base), plan)
        return raster.render(compose(plan, size, transparent=transparent), size,
                             transparent=transparent)  # fmt: skip
    image = mending.mended(_fitted(encode.decode(base), plan, size), plan.mends)
    image = changed(image, plan)
    if transparent or plan.ground:
        image = frame.turned(frame.without_ground(image), plan.angle)
    if plan.ground and not transparent:
        ground = Image.new("RGB", image.size, plan.ground)
        ground.paste(image, (0, 0), image.getchannel("A"))
        image = ground
    return _laid_over(image, plan)


def _coloured_like(image: Image.Image, plan: Plan) -> Plan:
    # An asset that goes by a picture takes its most telling colour, unless it has one.
    if plan.colours or plan.accent or any(item.colour for item in plan.items):
        return plan
    few = resized(encode.flat(image), (48, 48), Image.Resampling.BOX).quantize(8).convert("RGB")
    lead = plan.scheme.main
    most = 0.0
    for count, pixel in few.getcolors() or []:
        if isinstance(pixel, tuple):
            r, g, b = (int(part) for part in pixel[:3])
            telling = count**0.5 * (max(r, g, b) - min(r, g, b))
            if telling > most:
                most, lead = telling, (r, g, b)
    return attrs.evolve(plan, colours=(lead,))


def _unglossed(plan: Plan) -> Plan:
    # A photograph needs no modelling to look like one.
    if not plan.framed:
        return plan
    return attrs.evolve(plan, styles=tuple(name for name in plan.styles if name != "3d"))


def _fitted(image: Image.Image, plan: Plan, size: tuple[int, int]) -> Image.Image:
    if not mending.crops(plan.mends):
        return frame.fitted(image, size)
    # The frame is filled: continued edges would be margins again.
    return mending.cropped_to(image, size)


def _plan(prompts: tuple[str, ...], seed: int) -> Plan:
    plan = Plan(seed=(words.crc(prompts[0]) if prompts else 0) + seed)
    for prompt in prompts:
        plan = words.refine(plan, prompt)
        if brief(prompt).frame and plan.layout not in _ANEW:
            # What a frame describes is what the picture shows already.
            plan = attrs.evolve(plan, items=(), layout="scene", lettering="", keyword="")
    return plan


def changed(image: Image.Image, plan: Plan) -> Image.Image:
    """
    Change the colours and the placing of a picture as a plan says.
    """
    if plan.mirrored:
        image = ImageOps.mirror(image)
    if plan.zoom != 1 or plan.shift != (0.0, 0.0):
        image = _moved(image, plan)
    image = adjust.stylised(image, _unglossed(plan))
    changes = lit_by(plan.lighting) + plan.look + plan.changes
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
    stamp(image, marks, (scale, scale))
    return image


def stamp(image: Image.Image, marks: list[Mark], scale: tuple[float, float]) -> None:
    """
    Paint marks onto a picture.
    """
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
