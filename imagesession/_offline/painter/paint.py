"""
Paint stories: from the words to the encoded picture.
"""

import attrs
from PIL import Image

from imagesession._offline.painter import (
    adjust,
    encode,
    filling,
    mending,
    raster,
    retouch,
    svg,
    words,
)
from imagesession._offline.painter.caption import sentence
from imagesession._offline.painter.compose import compose
from imagesession._offline.painter.drawing import Drawing, Pen
from imagesession._offline.painter.encode import Format, Told
from imagesession._offline.painter.pixels import resized
from imagesession._offline.painter.plan import Plan
from imagesession._offline.painter.story import Story


def paint(
    story: Story, *, format: Format = "png", compression: int = 100, frames: int = 9,
    frame_ms: int = 200, share: float = 1.0,
) -> bytes:  # fmt: skip
    """
    Paint a story.

    Args:
        story: What to paint.
        format: How to encode it; a GIF is an animation.
        compression: The quality of JPEG and WebP, 0 to 100.
        frames: How many frames a GIF has.
        frame_ms: How long a GIF shows each.
        share: Below 1, how far the picture has come: it is coarse and blurred.

    Returns:
        The encoded picture.

    Raises:
        ValueError: The base, the mask or an inset cannot be decoded.
    """
    note = encode.statement(_told(story) if share >= 1 else None)
    if format == "svg":
        return _svg(story, note, share)
    if format == "gif":
        count = max(1, min(60, frames)) if share >= 1 else 1
        pictures = [_picture(story, i / count, share) for i in range(count)]
        return encode.animate(pictures, frame_ms=frame_ms, note=note)
    return encode.encode(_picture(story, 0.0, share), format, compression=compression, note=note,
                         grained=not adjust.GRAINED.isdisjoint(_plan(story).styles))  # fmt: skip


def describe(story: Story) -> str:
    """
    Say in one sentence what a story paints.
    """
    return sentence(_plan(story), story.prompts, story.size, based=story.base is not None,
                    masked=story.mask is not None, transparent=story.transparent)  # fmt: skip


def _plan(story: Story) -> Plan:
    return words.plan(story.prompts, story.seed)


def _told(story: Story) -> Told | None:
    if story.base is not None or story.insets or not story.prompts:
        return None
    return Told(prompts=story.prompts, size=story.size, transparent=story.transparent,
                seed=story.seed)  # fmt: skip


def _picture(story: Story, phase: float, share: float) -> Image.Image:
    if story.base is None:
        image = _drawn(story, phase, share)
    elif story.mask is not None:
        image = filling.masked(story.base, story.mask, story.prompts, story.size, seed=story.seed)
    else:
        image = retouch.retouched(story.base, story.prompts, story.size,
                                  transparent=story.transparent, seed=story.seed)  # fmt: skip
    if story.insets and story.mask is None:
        image = retouch.framed(image, story.insets)
    if share < 1:
        image = adjust.unfinished(image, share)
    if phase and story.base is not None:
        image = _closer(image, phase)
    return image


def _closer(image: Image.Image, phase: float) -> Image.Image:
    # A given picture moves by a slow breath of the camera.
    k = 0.02 * (1 - abs(phase - 0.5) * 2)
    w, h = image.size
    box = (w * k, h * k, w * (1 - k), h * (1 - k))
    return resized(image, image.size, Image.Resampling.BILINEAR, box=box)


def _drawn(story: Story, phase: float, share: float) -> Image.Image:
    plan = _plan(story)
    drawing = compose(plan, story.size, transparent=story.transparent, phase=phase)
    size = story.size
    if "pixel" in plan.styles:
        small = _pixels(size, plan)
        return adjust.mosaic(raster.render(drawing, small, transparent=story.transparent), size)
    if share < 1:
        # What will be blurred need not be painted finely.
        k = max(1, min(4, min(size) // 200))
        small = (max(1, size[0] // k), max(1, size[1] // k))
        coarse = raster.render(drawing, small, transparent=story.transparent)
        return resized(coarse, size, Image.Resampling.BILINEAR)
    image = raster.render(drawing, size, transparent=story.transparent)
    image = adjust.effects(image, plan)
    if mending.crops(plan.mends):
        image = mending.cropped_to(image, size)
    return mending.mended(image, plan.mends)


def _pixels(size: tuple[int, int], plan: Plan) -> tuple[int, int]:
    k = max(1, min(size) // (88 if plan.styles.count("pixel") < 2 else 56))
    return (max(1, size[0] // k), max(1, size[1] // k))


def _svg(story: Story, note: str, share: float) -> bytes:
    title = describe(story)
    if story.base is not None:
        return _embedded(story, note, title, share)
    plan = _plan(story)
    # Shapes cannot be measured and mended as pixels are.
    plan = attrs.evolve(plan, changes=plan.changes + mending.as_changes(plan.mends))
    drawing = compose(plan, story.size, transparent=story.transparent)
    if "pixel" in plan.styles:
        drawing = _squares(raster.render(drawing, _pixels(story.size, plan)), drawing)
    if story.insets:
        drawing = _with_prints(drawing, story.insets)
    blur = max(0.0, plan.blur) + (1 - share) * 30
    return svg.render(drawing, story.size, metadata=note, title=title, blur=blur,
                      transparent=story.transparent)  # fmt: skip


def _embedded(story: Story, note: str, title: str, share: float) -> bytes:
    png = encode.encode(_picture(story, 0.0, share), "png", compression=100, note=note)
    return svg.embedding(png, story.size, metadata=note, title=title)


def _squares(small: Image.Image, like: Drawing, x: float = 0, y: float = 0, w: float = 0,
             h: float = 0) -> Drawing:  # fmt: skip
    # Runs of equal pixels become rectangles.
    pen = Pen()
    few = small.convert("RGB").quantize(28).convert("RGB")
    sx, sy = (w or like.width) / few.width, (h or like.height) / few.height
    for row in range(few.height):
        start, before = 0, few.getpixel((0, row))
        for column in range(1, few.width + 1):
            here = few.getpixel((column, row)) if column < few.width else None
            if here != before:
                if isinstance(before, tuple):
                    r, g, b = before[:3]
                    pen.rect(x + start * sx, y + row * sy, (column - start) * sx + 0.4, sy + 0.4,
                             (int(r), int(g), int(b)))  # fmt: skip
                start, before = column, here
    return Drawing(width=like.width, height=like.height, marks=tuple(pen.marks), paper=like.paper)


def _with_prints(drawing: Drawing, insets: tuple[bytes, ...]) -> Drawing:
    # Vector prints of the reference pictures: small mosaics in a frame.
    marks = list(drawing.marks)
    for i, data in enumerate(insets[:8]):
        small = resized(encode.flat(encode.decode(data)), (16, 16), Image.Resampling.BOX)
        x, y, side = 50 + i * 200.0, drawing.height - 210, 160.0
        if x + side > drawing.width:
            break
        pen = Pen()
        pen.rect(x - 10, y - 10, side + 20, side + 20, "#fcfaf5")
        marks += pen.marks
        marks += _squares(small, drawing, x, y, side, side).marks
    return Drawing(width=drawing.width, height=drawing.height, marks=tuple(marks),
                   paper=drawing.paper)  # fmt: skip
