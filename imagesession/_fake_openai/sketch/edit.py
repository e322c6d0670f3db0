"""
Edit images that the sketcher did not draw, with plain operations of Pillow, within the mask if any.
"""

import functools
import io

import attrs
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from imagesession._fake_openai.sketch import encode, film, grounds, svg
from imagesession._fake_openai.sketch.canvas import UNIT, Drawing, Pen
from imagesession._fake_openai.sketch.colour import changes_of, rgb
from imagesession._fake_openai.sketch.compose import captions, compose, notes
from imagesession._fake_openai.sketch.framing import read_brief
from imagesession._fake_openai.sketch.lexicon import RULES
from imagesession._fake_openai.sketch.plan import Item, Plan, SketchState
from imagesession._fake_openai.sketch.prompt import crc, parse_prompts, refine
from imagesession._fake_openai.sketch.staging import put, shadow, tone_of
from imagesession._fake_openai.sketch.symbols import TABLE
from imagesession._imaging.pillow import apply_lut, resize

_ANEW = frozenset({"icon", "button"})  # drawn, whatever image they go by
_FLOATING = frozenset({"sky", "air", "space", "under", "plain"})


def plan_for(prompts: tuple[str, ...], seed: int) -> Plan:
    """Read prompts about an input image, which shows the subject of a preset's frame already."""
    plan = Plan(seed=(crc(prompts[0]) if prompts else 0) + seed)
    for prompt in prompts:
        plan = refine(plan, prompt)
        if read_brief(prompt).kind and plan.layout not in _ANEW:
            plan = attrs.evolve(plan, items=(), layout="scene", lettering="", keyword="", poster="",
                                unknown=(), idle=plan.idle)  # fmt: skip
    return plan


def edited(state: SketchState, base: bytes) -> Image.Image:
    image, prompts, size = encode.decode(base), state.prompts, state.size
    if state.mask is not None:
        # Open, 255, is where the mask's alpha is 0.
        alpha = encode.decode(state.mask).convert("RGBA").getchannel("A")
        opening = ImageOps.invert(resize(alpha, image.size, Image.Resampling.NEAREST))
        after = image.copy()
        if box := opening.getbbox():
            part = _fill_hole(image, opening, box, prompts[-1] if prompts else "", state.seed)
            after.paste(part.convert(image.mode), box)
        # Where the mask is opaque, pixels stay exactly.
        return _fit(Image.composite(after, image, opening), size)
    plan, transparent = plan_for(prompts, state.seed), state.transparent
    if plan.framed and plan.layout in _ANEW:
        drawing = compose(plan, size, transparent=transparent)
        return svg.pixels(drawing, size, transparent=transparent)
    left, top, right, bottom = border_of(image)
    if plan.crops and min(right - left, bottom - top) > 1:
        image = image.crop((left, top, right, bottom))
    image = _adjust(_fit(image, size), plan)
    if transparent or plan.ground:
        image = _remove_ground(image)
    if plan.ground and not transparent:
        image = encode.flat(image, plan.ground)
    return _draw_over(image, plan)


def _adjust(image: Image.Image, plan: Plan) -> Image.Image:
    # Changes the colours and the placing of an image as a plan says.
    if plan.mirrored:
        image = ImageOps.mirror(image)
    if (plan.zoom != 1 and not plan.crops) or plan.shift != (0.0, 0.0):
        image = _move(image, plan)
    # A photograph needs no modelling to look like one.
    image = film.stylise(image, tuple(s for s in plan.styles if not (plan.framed and s == "3d")))
    changes = (
        changes_of("lighting", plan.lighting) + plan.look + plan.changes
        + changes_of("photos", plan.time, *sorted(plan.weather))
    )  # fmt: skip
    if any(change.kind == "contrast" and change.amount > 1 for change in plan.changes):
        # Automatic contrast replaces the changes of contrast.
        stretch = functools.partial(ImageOps.autocontrast, cutoff=0.5, preserve_tone=True)
        image = film.apply_to_colours(image, stretch)
        changes = tuple(c for c in changes if not (c.kind == "contrast" and c.amount > 1))
    return film.recolour(image, changes)


def _fit(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    # Margins are filled with the image's own blur.
    if image.size == size:
        return image
    inner = ImageOps.contain(image, size, Image.Resampling.LANCZOS)
    at = ((size[0] - inner.width) // 2, (size[1] - inner.height) // 2)
    if image.mode == "RGBA":
        out = Image.new("RGBA", size, (0, 0, 0, 0))
    else:
        out = ImageOps.fit(image, size).filter(ImageFilter.GaussianBlur(max(size) / 24))
    out.paste(inner, at)
    return out


def border_of(image: Image.Image) -> svg.Box:
    if image.mode == "RGBA":
        return image.getchannel("A").getbbox() or (0, 0, *image.size)
    plain = Image.new("RGB", image.size, image.getpixel((0, 0)))
    most = ImageChops.difference(image, plain).convert("L")
    return apply_lut(most, [0] * 12 + [255] * 244).getbbox() or (0, 0, *image.size)


def _remove_ground(image: Image.Image) -> Image.Image:
    # The areas that are connected to the corners become transparent.
    work, magic = image.convert("RGB"), (1, 254, 3)
    for x in (0, work.width - 1):
        for y in (0, work.height - 1):
            ImageDraw.floodfill(work, (x, y), magic, thresh=68)
    same = ImageChops.difference(work, Image.new("RGB", work.size, magic)).convert("L")
    subject = apply_lut(same, [0] + [255] * 255).filter(ImageFilter.MinFilter(3))
    out = image.convert("RGBA")
    soft = subject.filter(ImageFilter.GaussianBlur(0.8))
    out.putalpha(ImageChops.multiply(soft, out.getchannel("A")))
    return out


def _move(image: Image.Image, plan: Plan) -> Image.Image:
    w, h = image.size
    inner = resize(image, (max(1, round(w * plan.zoom)), max(1, round(h * plan.zoom))))
    out = resize(image, (max(1, w // 16), max(1, h // 16)), Image.Resampling.BOX)
    out = resize(out.filter(ImageFilter.GaussianBlur(2)), (w, h))
    dx, dy = round(plan.shift[0] * w), round(plan.shift[1] * h)
    out.paste(inner, ((w - inner.width) // 2 + dx, (h - inner.height) // 2 + dy))
    return out


def _draw_over(image: Image.Image, plan: Plan) -> Image.Image:
    # Subjects, weather and lettering are drawn on top.
    w, h = _units(image)
    pen = Pen()
    for i, item in enumerate(plan.everything[:6]):
        subject = TABLE[item.name]
        if subject.place in {"sky", "air", "space"}:
            size = 250 if subject.place != "sky" else 620 * subject.size
            x, y = w * (0.8, 0.2, 0.5)[i % 3], h * (0.2, 0.24, 0.14)[i % 3] + size * 0.42
        else:
            size = 320 * subject.size**0.5
            x, y = w * (0.76, 0.24, 0.5, 0.9, 0.1, 0.62)[i], h * 0.93
        _draw_subject(pen, plan, item, x, y, size)
    grounds.weather(pen, w, h, plan.weather)
    if "fog" in plan.weather:
        grounds.fog(pen, w, h, h * 0.3, rgb("#e6eaee"))
    pen.marks += [*captions(w, h, plan), *notes(w, h, plan)]
    return _stamp(image, pen)


def _units(image: Image.Image) -> tuple[float, float]:
    k = UNIT / min(image.size)
    return image.width * k, image.height * k


def _draw_subject(pen: Pen, plan: Plan, item: Item, x: float, y: float, size: float) -> None:
    # With a shadow, if it stands on the ground.
    if TABLE[item.name].place not in _FLOATING:
        shadow(pen, x, y, size * 0.95, 0.3)
    put(pen, item, tone_of(item, plan), x, y, size, plan=plan)


def _stamp(image: Image.Image, pen: Pen) -> Image.Image:
    if not pen.marks:
        return image
    w, h = _units(image)
    drawing = Drawing(width=w, height=h, marks=tuple(pen.marks), paper=(255, 255, 255))
    layer = svg.pixels(drawing, image.size, transparent=True)
    if image.mode == "RGBA":
        return Image.alpha_composite(image, layer)
    out = image.copy()
    out.paste(layer, (0, 0), layer)
    return out


def _fill_hole(
    before: Image.Image, opening: Image.Image, box: svg.Box, prompt: str, seed: int
) -> Image.Image:
    plan = parse_prompts((read_brief(prompt).text,), seed)
    objects = [i for i in plan.items if TABLE[i.name].place not in {"land", "sky"}]
    ground = before.convert("RGB")
    if plan.removed or (objects and not RULES["adds"].search(prompt.lower())):
        hole = apply_lut(opening, [0] * 128 + [255] * 128)
        ground = Image.composite(_heal(ground, hole), ground, hole)
    part = ground.crop(box)
    if objects:
        # The subject fills the hole.
        (w, h), pen = _units(part), Pen()
        _draw_subject(pen, plan, objects[0], w / 2, h / 2 + 440, 920)
        return _stamp(part, pen)
    if plan.removed:
        return part
    if plan.items or plan.time or plan.weather:
        # Very flat or narrow holes are cropped from a less extreme shape.
        w, h = part.size
        side = (max(8, w, h // 3), max(8, h, w // 3))
        return ImageOps.fit(svg.pixels(compose(plan, side), side), part.size)
    refined = attrs.evolve(refine(Plan(seed=plan.seed), prompt), zoom=1.0, shift=(0.0, 0.0))
    return _draw_over(_adjust(part, refined), refined)


def _heal(image: Image.Image, opening: Image.Image) -> Image.Image:
    # The hole is filled from its surroundings: ever coarser copies of the rest fill the gaps.
    clear = image.convert("RGBA")
    around = apply_lut(opening.filter(ImageFilter.MaxFilter(5)), [0] + [255] * 255)
    clear.putalpha(ImageOps.invert(around))
    levels = [clear.convert("RGBa")]
    while min(levels[-1].size) > 1:
        levels.append(levels[-1].reduce(2))
    out = Image.new("RGBA", image.size, (0, 0, 0, 255))
    for level in reversed(levels):
        out.alpha_composite(resize(level, image.size, Image.Resampling.BILINEAR).convert("RGBA"))
    return out.convert("RGB")


def paste_insets(image: Image.Image, insets: tuple[bytes, ...]) -> Image.Image:
    side = max(8, min(image.size) // 6)
    for i, data in enumerate(insets[:5]):
        small = ImageOps.contain(encode.flat(encode.decode(data)), (side, side))
        print_ = ImageOps.expand(small, max(1, side // 16), (252, 250, 245)).convert(image.mode)
        image.paste(print_, (round(side * (0.3 + i * 1.22)), image.height - print_.height - 4))
    return image


def mask_around(markup: bytes) -> bytes | None:
    """
    Make a PNG mask that is clear on a markup's strokes, and on what they enclose.

    None if there is no stroke or nothing else; ValueError if the bytes are no image.
    """
    image = encode.decode(markup)
    if image.mode != "RGBA":
        return None
    drawn = apply_lut(image.getchannel("A"), [0] * 24 + [255] * 232)
    if drawn.getextrema() != (0, 255):
        return None
    # A small copy joins the dashes of a stroke; its margin leads around all strokes.
    k = max(1, -(-max(image.size) // 160))
    few = (max(1, image.width // k), max(1, image.height // k))
    small = apply_lut(resize(drawn, few, Image.Resampling.BOX), [0] + [255] * 255)
    small = ImageOps.expand(small, 3).filter(ImageFilter.MaxFilter(5))
    ImageDraw.floodfill(small, (0, 0), 128)
    inside = apply_lut(ImageOps.crop(small, 3), [0 if v == 128 else 255 for v in range(256)])
    opened = ImageChops.lighter(resize(inside, image.size, Image.Resampling.NEAREST), drawn)
    mask = Image.new("RGBA", image.size, (0, 0, 0, 255))
    mask.putalpha(ImageOps.invert(opened))
    out = io.BytesIO()
    mask.save(out, "PNG", compress_level=1)
    return out.getvalue()
