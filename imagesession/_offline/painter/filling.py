"""
Fill holes: what a prompt asks for within a mask, while all pixels outside of it stay.
"""

import re

import attrs
from PIL import Image, ImageFilter, ImageOps

from imagesession._offline.painter import (
    adjust,
    encode,
    frame,
    mending,
    path,
    raster,
    strokes,
    words,
)
from imagesession._offline.painter.angles import by, warped
from imagesession._offline.painter.briefs import brief
from imagesession._offline.painter.compose import compose
from imagesession._offline.painter.drawing import Drawing, Mark, Pen, Shape
from imagesession._offline.painter.encode import Told
from imagesession._offline.painter.healing import Box, healed
from imagesession._offline.painter.path import Point
from imagesession._offline.painter.pixels import mapped, resized
from imagesession._offline.painter.plan import Item, Plan
from imagesession._offline.painter.remedies import Remedies, read
from imagesession._offline.painter.retouch import changed, stamp
from imagesession._offline.painter.staging import put, shadow, tone_of
from imagesession._offline.painter.subjects import TABLE

_MOSTLY = 0.55  # the share of a thing in a hole by which it stands there
_HALF = [0] * 128 + [255] * 128
_ANY = [0] + [255] * 255
# A thing is there in full as far as the mask's half-open edge, and fades beyond it.
_STEEP = [min(255, 2 * v) for v in range(256)]
_ADD = re.compile(r"^\W*(?:please |now |and )*(?:add|put|place|insert|draw|paint|hang)\b")


@attrs.frozen(kw_only=True)
class _Order:
    """
    Hold what is to be in the hole.

    Attributes:
        plan: What the prompt names.
        subject: What is to stand in the hole, if anything.
        clears: Whether what stands there goes first.
        refined: How the prompt changes what is there.
        remedies: What it wants mended.
        told: The story of the picture, if it was drawn here.
    """

    plan: Plan
    subject: Item | None
    clears: bool
    refined: Plan
    remedies: Remedies
    told: Told | None

    @property
    def places(self) -> bool:
        """
        Whether something is put in or taken away, and the ground stays.
        """
        return self.subject is not None or bool(self.plan.removed)


def masked(
    base: bytes, mask: bytes, prompts: tuple[str, ...], size: tuple[int, int], *, seed: int
) -> Image.Image:
    """
    Change a picture where the mask is open; where it is opaque its pixels stay exactly.
    """
    before = encode.decode(base)
    opening = _opening(mask, before.size)
    order = _ordered(prompts[-1] if prompts else "", seed, encode.read(base)[1])
    filled = before.copy()
    for box in strokes.regions(mapped(opening, _ANY)):
        filled.paste(_filling(before, opening, box, order).convert(before.mode), box)
    weight = mapped(opening, _STEEP) if order.places else opening
    after = Image.composite(filled, before, weight)
    return after if after.size == size else frame.fitted(after, size)


def _opening(mask: bytes, size: tuple[int, int]) -> Image.Image:
    # How far the mask is open: 255 where its alpha is 0.
    image = encode.decode(mask)
    if image.mode != "RGBA":
        return Image.new("L", size, 0)
    if image.size != size:
        image = resized(image, size, Image.Resampling.NEAREST)
    return ImageOps.invert(image.getchannel("A"))


def _ordered(prompt: str, seed: int, told: Told | None) -> _Order:
    remedies = read(brief(prompt).text)
    plan = words.plan((remedies.rest,), seed)
    objects = [item for item in plan.items if TABLE[item.name].place not in {"land", "sky"}]
    return _Order(
        plan=plan, subject=objects[0] if objects else None, remedies=remedies,
        clears=bool(plan.removed) or not _ADD.search(prompt.lower()),
        refined=words.refine(Plan(seed=plan.seed), prompt), told=told,
    )  # fmt: skip


def _filling(before: Image.Image, opening: Image.Image, box: Box, order: _Order) -> Image.Image:
    plan = order.plan
    if order.places:
        ground = before.convert("RGB")
        if order.clears:
            # Each hole by itself: what is between them is no part of any.
            hole = Image.new("L", opening.size, 0)
            hole.paste(mapped(opening.crop(box), _HALF), box)
            ground = _redrawn(ground, hole, order) or healed(ground, hole)
        return _with_subject(ground.crop(box), order, opening.crop(box))
    if (order.refined.changes or order.remedies.mends) and not plan.items:
        inside = mending.mended(before.crop(box).convert("RGB"), order.remedies.mends)
        return changed(inside, order.refined)
    # Very flat or narrow fillings are cut from a calmer shape, so that they stay pictures.
    size = (box[2] - box[0], box[3] - box[1])
    side = (max(size[0], size[1] // 3), max(size[1], size[0] // 3))
    painted = raster.render(compose(plan, side), side)
    return ImageOps.fit(painted, size, Image.Resampling.BICUBIC)


def _redrawn(image: Image.Image, hole: Image.Image, order: _Order) -> Image.Image | None:
    # A picture that was drawn here is drawn again without what stands in the hole.
    box, told, stays = hole.getbbox(), order.told, order.subject is not None
    plan = words.plan(told.prompts, told.seed) if told else None
    if told is None or plan is None or box is None or mending.crops(plan.mends):
        return None
    drawing = compose(plan, told.size)
    k = drawing.width / image.width
    gone = _standing_in(drawing, (box[0] * k, box[1] * k, box[2] * k, box[3] * k))
    if not gone:
        return image
    kept = [m for m in drawing.marks if m.of not in gone or (stays and _cast(m, hole, k))]
    away = by(-box[0] * k, -box[1] * k)
    size = (box[2] - box[0], box[3] - box[1])
    part = attrs.evolve(
        drawing, marks=tuple(warped(m, away) for m in kept), width=size[0] * k, height=size[1] * k
    )
    out = image.copy()
    behind = mending.mended(adjust.effects(raster.render(part, size), plan), plan.mends)
    out.paste(behind, box)
    return out


def _cast(mark: Mark, hole: Image.Image, k: float) -> bool:
    # A shadow whose rim lies outside of the hole stays: what comes next stands in it.
    if not isinstance(mark, Shape) or mark.role != "shadow" or not mark.blur:
        return False
    x1, y1, x2, y2 = path.bounds((seg[-2], seg[-1]) for c in mark.contours for seg in c)
    rim = ((x1, (y1 + y2) / 2), (x2, (y1 + y2) / 2), ((x1 + x2) / 2, y2))
    w, h = hole.size
    spots = [(min(w - 1, max(0, round(x / k))), min(h - 1, max(0, round(y / k)))) for x, y in rim]
    return any(hole.getpixel(spot) == 0 for spot in spots)


def _standing_in(drawing: Drawing, box: tuple[float, float, float, float]) -> set[str]:
    # The subjects that lie in a box for the most part.
    spots: dict[str, list[Point]] = {}
    for mark in drawing.marks:
        if isinstance(mark, Shape) and mark.of and mark.role == "subject":
            spots.setdefault(mark.of, []).extend(
                (seg[-2], seg[-1]) for contour in mark.contours for seg in contour
            )
    out: set[str] = set()
    for name, points in spots.items():
        x1, y1, x2, y2 = path.bounds(points)
        across = max(0.0, min(x2, box[2]) - max(x1, box[0]))
        upright = max(0.0, min(y2, box[3]) - max(y1, box[1]))
        if across * upright > _MOSTLY * (x2 - x1) * (y2 - y1):
            out.add(name)
    return out


def _core(opening: Image.Image) -> Box:
    # Where the hole is at least half open; where it nowhere is, all of it.
    return mapped(opening, _HALF).getbbox() or (0, 0, *opening.size)


def _with_subject(ground: Image.Image, order: _Order, opening: Image.Image) -> Image.Image:
    item = order.subject
    if item is None:
        return ground
    left, top, right, bottom = _core(opening)
    side = min(right - left, bottom - top)
    x, foot = (left + right) / 2, (top + bottom) / 2 + side * 0.44
    if TABLE[item.name].place not in {"air", "space", "under", "plain"}:
        pen, shaded = Pen(), ground.copy()
        shadow(pen, x, foot, side * 0.9, 0.3)
        stamp(shaded, pen.marks, (1.0, 1.0))
        # It fades towards the rim, which would cut it off.
        ground = Image.composite(shaded, ground, _inner(opening, side * 0.05))
    pen = Pen()
    put(pen, item, tone_of(item, order.plan), x, foot, side * 0.94)
    stamp(ground, pen.marks, (1.0, 1.0))
    return ground


def _inner(opening: Image.Image, reach: float) -> Image.Image:
    # Half of a wide blur: clear along the rim, full further in.
    k, (w, h) = 4, opening.size
    pad = max(1, round(2 * reach / k))
    few = (max(1, w // k), max(1, h // k))
    wide = Image.new("L", (few[0] + 2 * pad, few[1] + 2 * pad))
    wide.paste(resized(opening, few, Image.Resampling.BOX), (pad, pad))
    soft = wide.filter(ImageFilter.GaussianBlur(reach / k))
    soft = mapped(soft, [max(0, min(255, 2 * v - 255)) for v in range(256)])
    part = soft.crop((pad, pad, few[0] + pad, few[1] + pad))
    return resized(part, (w, h), Image.Resampling.BILINEAR)
