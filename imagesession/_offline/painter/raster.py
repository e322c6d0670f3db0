"""
Render a drawing to pixels.

Each mark is drawn enlarged into a mask of its own bounding box, reduced (which smooths its edge)
and pasted. That costs only the mark's own area, so a picture of many small marks stays cheap.
"""

import functools
import math
import unicodedata
from typing import TypeAlias

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from imagesession._offline.painter import path
from imagesession._offline.painter.colour import Colour
from imagesession._offline.painter.drawing import Drawing, Linear, Mark, Paint, Radial, Shape, Text
from imagesession._offline.painter.path import Point
from imagesession._offline.painter.pixels import mapped, resized

Box: TypeAlias = tuple[int, int, int, int]

_FINE, _MEDIUM = 160_000, 600_000  # areas in pixels up to which a mask is enlarged 4 and 3 times
_FAINT = 0.5  # below this opacity, nobody sees how smooth an edge is
_SOFT = 4  # how many times smaller what has no edges is painted
_WIDE = 60_000  # the area in pixels from which that is worth it


def render(drawing: Drawing, size: tuple[int, int], *, transparent: bool = False) -> Image.Image:
    """
    Render a drawing at a size in pixels, as RGB, or as RGBA without paper.
    """
    scale = (size[0] / drawing.width, size[1] / drawing.height)
    if transparent:
        # Pasting opaque colours through masks onto clear black yields premultiplied colours.
        canvas = Image.new("RGBA", size, (0, 0, 0, 0))
    else:
        canvas = Image.new("RGB", size, drawing.paper)
    first = 0 if transparent else _soft_marks(drawing)
    if first and min(size) >= 256:
        canvas = _softly(drawing, size, first)
    else:
        first = 0
    for mark in drawing.marks[first:]:
        stamp(canvas, mark, scale)
    if transparent:
        return Image.frombytes("RGBa", size, canvas.tobytes()).convert("RGBA")
    return canvas


def _soft_marks(drawing: Drawing) -> int:
    # How many of the first marks have no edge to be seen; none, if no glow is among them.
    count = glows = 0
    for mark in drawing.marks:
        if isinstance(mark, Text) or mark.stroke or mark.blur or len(mark.contours) != 1:
            break
        x1, y1, x2, y2 = path.bounds((seg[-2], seg[-1]) for seg in mark.contours[0])
        covering = (
            len(mark.contours[0]) == 4 and x1 <= 0 and y1 <= 0
            and x2 >= drawing.width and y2 >= drawing.height
        )  # fmt: skip
        if not covering:
            if not _fades_out(mark):
                break
            glows += 1
        count += 1
    return count if glows else 0


def _fades_out(shape: Shape) -> bool:
    # A glow that has faded to nothing where its outline is.
    ink = shape.fill
    if not isinstance(ink, Radial) or ink.stops[-1].alpha > 0 or len(shape.contours) != 1:
        return False
    x1, y1, x2, y2 = path.bounds((seg[-2], seg[-1]) for seg in shape.contours[0])
    return min(x2 - x1, y2 - y1) > 1.94 * ink.radius


def _softly(drawing: Drawing, size: tuple[int, int], count: int) -> Image.Image:
    # Only gradients: painted small and enlarged, they look the same and cost a tenth.
    small = (-(-size[0] // _SOFT), -(-size[1] // _SOFT))
    canvas = Image.new("RGB", small, drawing.paper)
    scale = (size[0] / _SOFT / drawing.width, size[1] / _SOFT / drawing.height)
    for mark in drawing.marks[:count]:
        stamp(canvas, mark, scale)
    box = (0, 0, size[0] / _SOFT, size[1] / _SOFT)
    return resized(canvas, size, Image.Resampling.BILINEAR, box=box)


def stamp(canvas: Image.Image, mark: Mark, scale: tuple[float, float]) -> None:
    """
    Paint one mark onto the canvas.
    """
    if mark.alpha <= 0:
        return
    if isinstance(mark, Text):
        _letter(canvas, mark, scale)
    else:
        _shape(canvas, mark, scale)


def _shape(canvas: Image.Image, shape: Shape, scale: tuple[float, float]) -> None:
    sx, sy = scale
    s = math.sqrt(sx * sy)
    matrix = (sx, 0.0, 0.0, sy, 0.0, 0.0)
    lines = [path.flatten(path.moved(matrix, c)) for c in shape.contours]
    if shape.fill is not None and not shape.blur and _plain(canvas, shape, lines, scale):
        return
    if shape.fill is not None:
        grow = shape.blur * s * 2.6
        box = _box(canvas, lines, grow)
        if box and not shape.blur and _fades_out(shape) and not isinstance(shape.fill, tuple):
            veil = _veil(box, shape.fill, scale, shape.alpha)
            canvas.paste(_source(canvas, box, shape.fill, scale), box, veil)
        elif box:
            mask = _mask(box, lines, alpha=shape.alpha, holes=shape.holes)
            if shape.blur:
                mask = _blurred(mask, shape.blur * s)
            _paste(canvas, box, mask, shape.fill, scale)
    if shape.stroke is not None and shape.width > 0:
        width = max(0.7, shape.width * s)
        box = _box(canvas, lines, width / 2 + 1 + shape.blur * s * 2.6)
        if box:
            mask = _stroke_mask(box, lines, width, closed=shape.closed, alpha=shape.alpha)
            if shape.blur:
                mask = _blurred(mask, shape.blur * s)
            _paste(canvas, box, mask, shape.stroke, scale)


def _plain(
    canvas: Image.Image, shape: Shape, lines: list[list[Point]], scale: tuple[float, float]
) -> bool:
    # An upright opaque rectangle needs no mask.
    if shape.stroke is not None or shape.alpha < 1 or len(lines) != 1 or len(lines[0]) != 4:
        return False
    (a, b), (c, d), (e, f), (g, h) = lines[0]
    if not (a == g and b == d and c == e and f == h) or shape.fill is None:
        return False
    if not isinstance(shape.fill, tuple) and any(s.alpha < 1 for s in shape.fill.stops):
        return False
    if (e - a) * (f - b) < 20_000:
        return False
    w, h2 = canvas.size
    box = (max(0, round(a)), max(0, round(b)), min(w, round(e)), min(h2, round(f)))
    if box[0] < box[2] and box[1] < box[3]:
        canvas.paste(_source(canvas, box, shape.fill, scale), box)
    return True


def _box(canvas: Image.Image, lines: list[list[Point]], grow: float) -> Box | None:
    x1, y1, x2, y2 = path.bounds([point for line in lines for point in line])
    w, h = canvas.size
    box = (
        max(0, math.floor(x1 - grow)), max(0, math.floor(y1 - grow)),
        min(w, math.ceil(x2 + grow)), min(h, math.ceil(y2 + grow)),
    )  # fmt: skip
    return box if box[0] < box[2] and box[1] < box[3] else None


def _enlargement(box: Box, alpha: float) -> int:
    area = (box[2] - box[0]) * (box[3] - box[1])
    if alpha < _FAINT:
        area *= 8
    return 4 if area <= _FINE else 3 if area <= _MEDIUM else 2


def _mask(box: Box, lines: list[list[Point]], *, alpha: float, holes: bool) -> Image.Image:
    k = _enlargement(box, alpha)
    x, y = box[0], box[1]
    size = ((box[2] - x) * k, (box[3] - y) * k)
    value = round(255 * alpha)
    mask = Image.new("L", size)
    draw = ImageDraw.Draw(mask)
    for i, line in enumerate(lines):
        points = [((a - x) * k, (b - y) * k) for a, b in line]
        if len(points) < 3:
            continue
        if holes and i:
            layer = Image.new("L", size)
            ImageDraw.Draw(layer).polygon(points, fill=value)
            mask.paste(ImageChops.difference(mask, layer))
        else:
            draw.polygon(points, fill=value)
    return mask.reduce(k)


def _stroke_mask(
    box: Box, lines: list[list[Point]], width: float, *, closed: bool, alpha: float
) -> Image.Image:
    k = _enlargement(box, alpha)
    x, y = box[0], box[1]
    mask = Image.new("L", ((box[2] - x) * k, (box[3] - y) * k))
    draw = ImageDraw.Draw(mask)
    value = round(255 * alpha)
    w = max(1, round(width * k))
    r = w / 2
    for line in lines:
        points = [((a - x) * k, (b - y) * k) for a, b in line]
        if closed:
            points.append(points[0])
        draw.line(points, fill=value, width=w)
        if w > 3:
            for a, b in points:
                draw.ellipse((a - r, b - r, a + r - 1, b + r - 1), fill=value)
    return mask.reduce(k)


def _blurred(mask: Image.Image, radius: float) -> Image.Image:
    # A wide blur loses nothing when done small.
    k = 1 if radius < 4 else 2 if radius < 10 else 4 if radius < 30 else 8
    if k == 1 or min(mask.size) < 4 * k:
        return mask.filter(ImageFilter.GaussianBlur(radius))
    small = mask.reduce(k).filter(ImageFilter.GaussianBlur(radius / k))
    return resized(small, mask.size, Image.Resampling.BICUBIC)


def _paste(
    canvas: Image.Image, box: Box, mask: Image.Image, ink: Paint, scale: tuple[float, float]
) -> None:
    if not isinstance(ink, tuple) and any(stop.alpha < 1 for stop in ink.stops):
        mask = ImageChops.multiply(mask, _veil(box, ink, scale))
    canvas.paste(_source(canvas, box, ink, scale), box, mask)


def _source(
    canvas: Image.Image, box: Box, ink: Paint, scale: tuple[float, float]
) -> Image.Image | tuple[int, ...]:
    alpha = (255,) if canvas.mode == "RGBA" else ()
    if isinstance(ink, tuple):
        return (*ink, *alpha)
    if len({stop.colour for stop in ink.stops}) == 1:
        return (*ink.stops[0].colour, *alpha)
    image = _gradient(box, ink, scale)
    return image.convert("RGBA") if alpha else image


def _gradient(box: Box, ink: Linear | Radial, scale: tuple[float, float]) -> Image.Image:
    ramp = _ramp(tuple((stop.offset, stop.colour) for stop in ink.stops))
    if isinstance(ink, Radial):
        t = _rings(box, ink, scale)
        bands = [mapped(t, list(ramp[i::3])) for i in range(3)]
        return Image.merge("RGB", bands)
    return _sweep(box, ink, scale, Image.frombytes("RGB", (256, 1), ramp))


def _veil(
    box: Box, ink: Linear | Radial, scale: tuple[float, float], alpha: float = 1.0
) -> Image.Image:
    shades = tuple((s.offset, (round(s.alpha * alpha * 255),) * 3) for s in ink.stops)
    ramp = bytes(_ramp(shades)[::3])
    if isinstance(ink, Radial):
        return mapped(_rings(box, ink, scale), list(ramp))
    return _sweep(box, ink, scale, Image.frombytes("L", (256, 1), ramp))


@functools.lru_cache(maxsize=256)
def _ramp(stops: tuple[tuple[float, Colour], ...]) -> bytes:
    # 256 colours along the stops.
    out = bytearray()
    at = 0
    for i in range(256):
        t = i / 255
        while at + 2 < len(stops) and t > stops[at + 1][0]:
            at += 1
        (o1, c1), (o2, c2) = stops[at], stops[min(at + 1, len(stops) - 1)]
        share = min(1.0, max(0.0, (t - o1) / (o2 - o1))) if o2 > o1 else 1.0
        out += bytes(round(a + (b - a) * share) for a, b in zip(c1, c2, strict=True))
    return bytes(out)


def _rings(box: Box, ink: Radial, scale: tuple[float, float]) -> Image.Image:
    # Distance from the centre over the box, 255 at the radius and beyond.
    w, h = box[2] - box[0], box[3] - box[1]
    kx, ky = (128 / (ink.radius * scale[0]), 128 / (ink.radius * scale[1]))
    cx, cy = ink.centre[0] * scale[0] - box[0], ink.centre[1] * scale[1] - box[1]
    if w * h > _WIDE:
        few = _disc().transform(
            (-(-w // _SOFT), -(-h // _SOFT)), Image.Transform.AFFINE,
            (kx * _SOFT, 0, 128 - cx * kx, 0, ky * _SOFT, 128 - cy * ky),
            Image.Resampling.BILINEAR, fillcolor=255,
        )  # fmt: skip
        return resized(few, (w, h), Image.Resampling.BILINEAR, box=(0, 0, w / _SOFT, h / _SOFT))
    return _disc().transform(
        (w, h), Image.Transform.AFFINE, (kx, 0, 128 - cx * kx, 0, ky, 128 - cy * ky),
        Image.Resampling.BILINEAR, fillcolor=255,
    )  # fmt: skip


@functools.cache
def _disc() -> Image.Image:
    # Pillow's own gradient reaches 255 only in the corners; here it does at the inner circle.
    return mapped(Image.radial_gradient("L"), [min(255, round(v * 1.4236)) for v in range(256)])


def _sweep(box: Box, ink: Linear, scale: tuple[float, float], strip: Image.Image) -> Image.Image:
    w, h = box[2] - box[0], box[3] - box[1]
    (x1, y1), (x2, y2) = ink.start, ink.end
    x1, x2, y1, y2 = x1 * scale[0] - box[0], x2 * scale[0] - box[0], y1 * scale[1], y2 * scale[1]
    y1, y2 = y1 - box[1], y2 - box[1]
    dx, dy = x2 - x1, y2 - y1
    length = dx * dx + dy * dy
    if length <= 0:
        return resized(strip.crop((255, 0, 256, 1)), (w, h))
    a, b = dx / length, dy / length
    c = -(x1 * dx + y1 * dy) / length
    # The strip is laid over the range of positions that the box really spans.
    corners = [c, c + a * w, c + b * h, c + a * w + b * h]
    low, high = min(0.0, *corners), max(1.0, *corners)
    n = min(2048, math.ceil(256 * (high - low)))
    long = strip.crop((0, 0, 1, 1))
    long = resized(long, (n, 1), Image.Resampling.NEAREST)
    start, end = round(-low / (high - low) * n), round((1 - low) / (high - low) * n)
    if n > start:
        last = resized(strip.crop((255, 0, 256, 1)), (n - start, 1), Image.Resampling.NEAREST)
        long.paste(last, (start, 0))
    if end > start:
        long.paste(resized(strip, (end - start, 1), Image.Resampling.BILINEAR), (start, 0))
    k = n / (high - low)
    if abs(a) < 1e-9:
        column = long.transform((h, 1), Image.Transform.AFFINE,
                                (b * k, 0, (c - low) * k, 0, 0, 0.5),
                                Image.Resampling.BILINEAR)  # fmt: skip
        return resized(
            column.transpose(Image.Transpose.ROTATE_270), (w, h), Image.Resampling.NEAREST
        )
    if abs(b) < 1e-9:
        row = long.transform((w, 1), Image.Transform.AFFINE, (a * k, 0, (c - low) * k, 0, 0, 0.5),
                             Image.Resampling.BILINEAR)  # fmt: skip
        return resized(row, (w, h), Image.Resampling.NEAREST)
    return resized(long, (n, 3)).transform(
        (w, h), Image.Transform.AFFINE, (a * k, b * k, (c - low) * k, 0, 0, 1.5),
        Image.Resampling.NEAREST,
    )  # fmt: skip


@functools.lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """
    Load Pillow's own font.
    """
    return ImageFont.load_default(size)


# Pillow's own font has ASCII only: marks are set from its signs, smaller and raised (share of the
# size), and some letters are spelled out.
_MARKS = {
    "\u0300": ("`", 0.0), "\u0301": ("/", 0.1), "\u0302": ("^", 0.02), "\u0303": ("~", 0.25),
    "\u0308": ("..", 0.62), "\u030a": ("o", 0.55), "\u030c": ("v", 0.55), "\u0327": (",", -0.05),
}  # fmt: skip
_SPELLED = str.maketrans({
    "ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "ł": "l",
    "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-",
})  # fmt: skip


def _spelled(text: str) -> str:
    return unicodedata.normalize("NFD", text.translate(_SPELLED))


@functools.lru_cache(maxsize=512)
def letterable(text: str) -> bool:
    """
    Tell whether a text can be lettered with Pillow's own font.
    """
    return all(" " <= ch <= "~" or ch in _MARKS for ch in _spelled(text))


def text_width(text: str, size: float, tracking: float = 0) -> float:
    """
    Measure how wide a line of lettering is, in the unit of its size.
    """
    plain = "".join(ch for ch in _spelled(text) if ch not in _MARKS)
    return font(100).getlength(plain) * size / 100 + tracking * max(0, len(plain) - 1)


def _letter(canvas: Image.Image, mark: Text, scale: tuple[float, float]) -> None:
    s = math.sqrt(scale[0] * scale[1])
    size = max(4, round(mark.size * s))
    face, tracking = font(size), mark.tracking * s
    width = math.ceil(text_width(mark.text, size, tracking)) + size
    stroke = mark.bold * size
    layer = Image.new("L", (min(width, 8192), size * 2))
    draw = ImageDraw.Draw(layer)
    x, value = size / 2, round(255 * mark.alpha)
    text = _spelled(mark.text)
    whole = not tracking and text.isascii()
    wide = 0.0
    for piece in [text] if whole else text:
        if piece in _MARKS:
            sign, lift = _MARKS[piece]
            small = font(max(4, round(size * 0.62)))
            at = (x - tracking - wide / 2, size * (1.12 - lift))
            draw.text(at, sign, fill=value, font=small, anchor="ms")
            continue
        draw.text((x, size * 1.35), piece, fill=value, font=face, anchor="ls",
                  stroke_width=stroke, stroke_fill=value)  # fmt: skip
        wide = face.getlength(piece)
        x += wide + tracking
    left = round(mark.at[0] * scale[0] - width / 2)
    top = round(mark.at[1] * scale[1] - size)
    alpha = (255,) if canvas.mode == "RGBA" else ()
    canvas.paste((*mark.fill, *alpha), (left, top), layer)
