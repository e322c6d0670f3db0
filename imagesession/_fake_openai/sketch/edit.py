"""
Edit images that the sketcher did not draw, with plain operations of Pillow, within the mask if any.
"""

import io
import random
import re

import attrs
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from imagesession._fake_openai.sketch import encode, film, grounds, svg
from imagesession._fake_openai.sketch.briefs import read_brief
from imagesession._fake_openai.sketch.canvas import UNIT, Drawing, Mark, Pen
from imagesession._fake_openai.sketch.colour import Change, rgb
from imagesession._fake_openai.sketch.compose import captions, compose, notes
from imagesession._fake_openai.sketch.pixels import mapped, resized
from imagesession._fake_openai.sketch.plan import Plan
from imagesession._fake_openai.sketch.product import light_changes
from imagesession._fake_openai.sketch.prompt import crc, parse_prompts, refine
from imagesession._fake_openai.sketch.staging import put, shadow, tone_of
from imagesession._fake_openai.sketch.symbols import TABLE

_ANEW = frozenset({"icon", "button"})  # drawn, whatever image they go by
_NEAR = 34  # how far a colour may lie from the ground's, in its most different part
_ADD = re.compile(r"^\W*(?:please |now |and )*(?:add|put|place|insert|draw|paint|hang)\b")
_TIMES: dict[str, tuple[Change, ...]] = {
    "night": (Change(kind="ambient", amount=0.85, colour=rgb("#4a5aa0")),),
    "sunset": (Change(kind="ambient", amount=0.8, colour=rgb("#ffb184")), Change(kind="warm")),
    "dawn": (Change(kind="ambient", amount=0.7, colour=rgb("#ffd6d0")),),
    "day": (Change(kind="bright", amount=0.16),),
}  # fmt: skip
_WEATHER: dict[str, Change] = {
    "rain": Change(kind="ambient", amount=0.6, colour=rgb("#8fa3b8")),
    "snow": Change(kind="bright", amount=0.2), "fog": Change(kind="contrast", amount=0.66),
    "autumn": Change(kind="tint", amount=0.25, colour=rgb("#d9812f")),
    "cloud": Change(kind="saturate", amount=0.8),
}  # fmt: skip


def plan_for(prompts: tuple[str, ...], seed: int) -> Plan:
    """Read prompts about an input image, which shows the subject of a preset's frame already."""
    plan = Plan(seed=(crc(prompts[0]) if prompts else 0) + seed)
    for prompt in prompts:
        plan = refine(plan, prompt)
        if read_brief(prompt).frame and plan.layout not in _ANEW:
            plan = attrs.evolve(plan, items=(), layout="scene", lettering="", keyword="", poster="",
                                unknown=(), idle=plan.idle)  # fmt: skip
    return plan


def edit_whole(
    base: bytes, prompts: tuple[str, ...], size: tuple[int, int], *, transparent: bool, seed: int
) -> Image.Image:
    """Change a whole image as the prompts say."""
    plan = plan_for(prompts, seed)
    image = encode.decode(base)
    if plan.framed and plan.layout in _ANEW:
        drawing = compose(_take_colour(image, plan), size, transparent=transparent)
        return svg.pixels(drawing, size, transparent=transparent)
    image = adjust(fit(crop_margins(image) if plan.crops else image, size), plan)
    if transparent or plan.ground:
        image = remove_ground(image)
    if plan.ground and not transparent:
        ground = Image.new("RGB", image.size, plan.ground)
        ground.paste(image, (0, 0), image.getchannel("A"))
        image = ground
    return _draw_over(image, plan)


def adjust(image: Image.Image, plan: Plan) -> Image.Image:
    """Change the colours and the placing of an image as a plan says."""
    if plan.mirrored:
        image = ImageOps.mirror(image)
    if (plan.zoom != 1 and not plan.crops) or plan.shift != (0.0, 0.0):
        image = _move(image, plan)
    # A photograph needs no modelling to look like one.
    image = film.stylise(image, tuple(s for s in plan.styles if not (plan.framed and s == "3d")))
    changes = (
        light_changes(plan.lighting) + plan.look + plan.changes + _TIMES.get(plan.time or "", ())
    )
    changes += tuple(_WEATHER[name] for name in sorted(plan.weather))
    changes += (Change(kind="contrast", amount=1.2),) if plan.stormy else ()
    if any(change.kind == "contrast" and change.amount > 1 for change in plan.changes):
        # Automatic contrast replaces the changes of contrast.
        image = film.apply_to_colours(
            image, lambda rgb: ImageOps.autocontrast(rgb, 0.5, preserve_tone=True)
        )
        changes = tuple(c for c in changes if not (c.kind == "contrast" and c.amount > 1))
    return film.soften(film.recolour(image, changes), plan.blur)


def _take_colour(image: Image.Image, plan: Plan) -> Plan:
    # An asset with a reference image takes its most salient colour, unless it has one.
    if plan.colours or plan.accent or any(item.colour for item in plan.items):
        return plan
    few = resized(encode.flat(image), (48, 48), Image.Resampling.BOX).quantize(8).convert("RGB")
    inks = [(n, ink) for n, ink in few.getcolors() or [] if isinstance(ink, tuple)]
    tones = [(n**0.5 * (max(ink) - min(ink)), ink) for n, ink in inks]
    r, g, b = (int(part) for part in max(tones)[1][:3])
    return attrs.evolve(plan, colours=((r, g, b),))


def fit(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Fit an image into a size; margins are filled with its own blur."""
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


def crop_margins(image: Image.Image) -> Image.Image:
    """Crop the margins of an image that have the colour of its corners."""
    box = border_of(image)
    return image.crop(box) if box[2] - box[0] > 1 and box[3] - box[1] > 1 else image


def border_of(image: Image.Image) -> tuple[int, int, int, int]:
    """Find the box of all pixels that differ from an image's corner."""
    if image.mode == "RGBA":
        return image.getchannel("A").getbbox() or (0, 0, *image.size)
    plain = Image.new("RGB", image.size, image.getpixel((0, 0)))
    most = ImageChops.difference(image, plain).convert("L")
    return mapped(most, [0] * 12 + [255] * 244).getbbox() or (0, 0, *image.size)


def remove_ground(image: Image.Image) -> Image.Image:
    """
    Make the background of an image transparent: the areas connected to its corners.
    """
    work = image.convert("RGB")
    magic = (1, 254, 3)
    for corner in (
        (0, 0),
        (work.width - 1, 0),
        (0, work.height - 1),
        (work.width - 1, work.height - 1),
    ):
        ImageDraw.floodfill(work, corner, magic, thresh=_NEAR * 2)
    same = ImageChops.difference(work, Image.new("RGB", work.size, magic)).convert("L")
    subject = mapped(same, [0] + [255] * 255).filter(ImageFilter.MinFilter(3))
    alpha = subject.filter(ImageFilter.GaussianBlur(0.8))
    out = image.convert("RGBA")
    out.putalpha(ImageChops.multiply(alpha, out.getchannel("A")))
    return out


def _move(image: Image.Image, plan: Plan) -> Image.Image:
    w, h = image.size
    dx, dy = round(plan.shift[0] * w), round(plan.shift[1] * h)
    nw, nh = max(1, round(w * plan.zoom)), max(1, round(h * plan.zoom))
    out = resized(image, (max(1, w // 16), max(1, h // 16)), Image.Resampling.BOX)
    out = resized(out.filter(ImageFilter.GaussianBlur(2)), (w, h))
    out.paste(resized(image, (nw, nh)), ((w - nw) // 2 + dx, (h - nh) // 2 + dy))
    return out


def _draw_over(image: Image.Image, plan: Plan) -> Image.Image:
    # Subjects, weather and lettering are drawn on top.
    k = UNIT / min(image.size)
    w, h = image.width * k, image.height * k
    pen = Pen()
    for i in range(min(6, len(plan.everything))):
        _draw_subject(pen, plan, i, w, h)
    grounds.weather(pen, w, h, plan.weather)
    if "fog" in plan.weather:
        grounds.fog(pen, random.Random(plan.seed), w, h, h * 0.3, rgb("#e6eaee"))
    return _stamp(image, [*pen.marks, *captions(w, h, plan), *notes(w, h, plan)])


def _draw_subject(pen: Pen, plan: Plan, i: int, w: float, h: float) -> None:
    item = plan.everything[i]
    subject = TABLE[item.name]
    if subject.place in {"sky", "air", "space"}:
        size = 250 if subject.place != "sky" else 620 * subject.size
        x, y = w * (0.8, 0.2, 0.5)[i % 3], h * (0.2, 0.24, 0.14)[i % 3] + size * 0.42
    else:
        size = 320 * subject.size**0.5
        x, y = w * (0.76, 0.24, 0.5, 0.9, 0.1, 0.62)[i], h * 0.93
        shadow(pen, x, y, size, 0.3)
    put(pen, item, tone_of(item, plan), x, y, size, plan=plan)


def _stamp(image: Image.Image, marks: list[Mark]) -> Image.Image:
    if not marks:
        return image
    k = UNIT / min(image.size)
    drawing = Drawing(width=image.width * k, height=image.height * k, marks=tuple(marks),
                      paper=(255, 255, 255))  # fmt: skip
    layer = svg.pixels(drawing, image.size, transparent=True)
    if image.mode == "RGBA":
        return Image.alpha_composite(image, layer)
    out = image.copy()
    out.paste(layer, (0, 0), layer)
    return out


def edit_masked(
    base: bytes, mask: bytes, prompts: tuple[str, ...], size: tuple[int, int], *, seed: int
) -> Image.Image:
    """Change an image where the mask is open; where it is opaque its pixels stay exactly."""
    before = encode.decode(base)
    opening = _mask_opening(mask, before.size)
    after = before.copy()
    if box := opening.getbbox():
        part = _fill_hole(before, opening, box, prompts[-1] if prompts else "", seed)
        after.paste(part.convert(before.mode), box)
    return fit(Image.composite(after, before, opening), size)


def _mask_opening(mask: bytes, size: tuple[int, int]) -> Image.Image:
    # 255 where the mask's alpha is 0.
    image = encode.decode(mask)
    if image.mode != "RGBA":
        return Image.new("L", size, 0)
    return ImageOps.invert(resized(image.getchannel("A"), size, Image.Resampling.NEAREST))


def _fill_hole(
    before: Image.Image,
    opening: Image.Image,
    box: tuple[int, int, int, int],
    prompt: str,
    seed: int,
) -> Image.Image:
    plan = parse_prompts((read_brief(prompt).text,), seed)
    objects = [i for i in plan.items if TABLE[i.name].place not in {"land", "sky"}]
    ground = before.convert("RGB")
    if plan.removed or (objects and not _ADD.search(prompt.lower())):
        hole = mapped(opening, [0] * 128 + [255] * 128)
        ground = Image.composite(_heal(ground, hole), ground, hole)
    part = ground.crop(box)
    size = part.size
    if objects:
        return _draw_standing(part, attrs.evolve(plan, items=(objects[0],)))
    if plan.removed:
        return part
    refined = refine(Plan(seed=plan.seed), prompt)
    if plan.items or plan.time or plan.weather:
        # Very flat or narrow holes are cropped from a less extreme shape.
        side = (max(8, size[0], size[1] // 3), max(8, size[1], size[0] // 3))
        return ImageOps.fit(svg.pixels(compose(plan, side), side), size)
    part = adjust(part, attrs.evolve(refined, zoom=1.0, shift=(0.0, 0.0)))
    k = UNIT / min(size)
    marks = [
        *captions(size[0] * k, size[1] * k, refined),
        *notes(size[0] * k, size[1] * k, refined),
    ]
    return _stamp(part, marks)


def _draw_standing(part: Image.Image, plan: Plan) -> Image.Image:
    # The subject fills the hole, with a shadow if it stands on the ground.
    k = UNIT / min(part.size)
    x, y = part.width * k / 2, part.height * k / 2 + 440
    pen = Pen()
    item = plan.items[0]
    if TABLE[item.name].place not in {"air", "space", "under", "plain"}:
        shadow(pen, x, y, 820, 0.3)
    put(pen, item, tone_of(item, plan), x, y, 920, plan=plan)
    return _stamp(part, pen.marks)


def _heal(image: Image.Image, opening: Image.Image) -> Image.Image:
    # The hole is filled from its surroundings: ever coarser copies of the rest fill the gaps.
    clear = image.convert("RGBA")
    around = mapped(opening.filter(ImageFilter.MaxFilter(5)), [0] + [255] * 255)
    clear.putalpha(ImageOps.invert(around))
    levels = [clear.convert("RGBa")]
    while min(levels[-1].size) > 1:
        levels.append(levels[-1].reduce(2))
    out = Image.new("RGBA", image.size, (0, 0, 0, 255))
    for level in reversed(levels):
        out.alpha_composite(resized(level, image.size, Image.Resampling.BILINEAR).convert("RGBA"))
    return out.convert("RGB")


def paste_insets(image: Image.Image, insets: tuple[bytes, ...]) -> Image.Image:
    """Paste reference images on the lower edge as small prints."""
    side = max(8, min(image.size) // 6)
    for i, data in enumerate(insets[:5]):
        small = ImageOps.contain(encode.flat(encode.decode(data)), (side, side))
        print_ = ImageOps.expand(small, max(1, side // 16), (252, 250, 245)).convert(image.mode)
        image.paste(print_, (round(side * (0.3 + i * 1.22)), image.height - print_.height - 4))
    return image


def mask_around(markup: bytes) -> bytes | None:
    """
    Make a mask that is clear within the boxes around a markup's strokes.

    Args:
        markup: An encoded image, transparent except for the strokes.

    Returns:
        A PNG with alpha; None if there is no stroke or nothing else.

    Raises:
        ValueError: The bytes are no image.
    """
    image = encode.decode(markup)
    if image.mode != "RGBA":
        return None
    drawn = mapped(image.getchannel("A"), [0] * 24 + [255] * 232)
    boxes = _boxes(drawn, max(drawn.size) * 0.015) if drawn.getextrema() == (0, 255) else []
    if not boxes:
        return None
    alpha = Image.new("L", image.size, 255)
    for box in boxes:
        alpha.paste(0, box)
    mask = Image.new("RGBA", image.size, (0, 0, 0, 255))
    mask.putalpha(alpha)
    out = io.BytesIO()
    mask.save(out, "PNG", compress_level=1)
    return out.getvalue()


def _boxes(drawn: Image.Image, pad: float) -> list[tuple[int, int, int, int]]:
    # A small image joins the dashes of one stroke.
    w, h = drawn.size
    k = max(1, -(-max(w, h) // 160))
    small = mapped(
        resized(drawn, (max(1, w // k), max(1, h // k)), Image.Resampling.BOX), [0] + [255] * 255
    )
    left = small.filter(ImageFilter.MaxFilter(5)) if min(small.size) > 8 else small
    out: list[tuple[int, int, int, int]] = []
    while len(out) < 24 and (at := left.tobytes().find(b"\xff")) >= 0:
        ImageDraw.floodfill(left, (at % left.width, at // left.width), 128)
        x1, y1, x2, y2 = (
            mapped(left, [255 if v == 128 else 0 for v in range(256)]).getbbox() or (0,) * 4
        )
        fx, fy = w / left.width, h / left.height
        out.append((max(0, round(x1 * fx - pad)), max(0, round(y1 * fy - pad)),
                    min(w, round(x2 * fx + pad)), min(h, round(y2 * fy + pad))))  # fmt: skip
        left = mapped(left, [0 if v == 128 else v for v in range(256)])
    return out
