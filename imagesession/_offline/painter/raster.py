"""
Render a drawing to pixels.

Each mark is drawn enlarged into a mask of its own bounding box, reduced (which smooths its edge)
and pasted. That costs only the mark's own area, so a picture of many small marks stays cheap.
"""

import functools
import math
import unicodedata

import attrs
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from imagesession._offline.painter import inks, path
from imagesession._offline.painter.drawing import Drawing, Mark, Paint, Radial, Shape, Text
from imagesession._offline.painter.inks import SOFT, Box
from imagesession._offline.painter.path import Point
from imagesession._offline.painter.pixels import resized

_FINE, _MEDIUM = 20_000, 600_000  # areas in pixels up to which a mask is enlarged 4 and 3 times
_FAINT = 0.5  # below this opacity, nobody sees how smooth an edge is


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
    small = (-(-size[0] // SOFT), -(-size[1] // SOFT))
    canvas = Image.new("RGB", small, drawing.paper)
    scale = (size[0] / SOFT / drawing.width, size[1] / SOFT / drawing.height)
    for mark in drawing.marks[:count]:
        stamp(canvas, mark, scale)
    box = (0, 0, size[0] / SOFT, size[1] / SOFT)
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
    if _scattered(canvas, shape, lines):
        for contour in shape.contours:
            _shape(canvas, attrs.evolve(shape, contours=(contour,)), scale)
        return
    if shape.fill is not None and not shape.blur and _plain(canvas, shape, lines, scale):
        return
    if shape.fill is not None:
        _filled(canvas, shape, shape.fill, lines, scale)
    if shape.stroke is not None and shape.width > 0:
        width = max(0.7, shape.width * s)
        box = _box(canvas, lines, width / 2 + 1 + shape.blur * s * 2.6)
        if box:
            mask = _stroke_mask(box, lines, width, closed=shape.closed, alpha=shape.alpha)
            if shape.blur:
                mask = _blurred(mask, shape.blur * s)
            _paste(canvas, box, mask, shape.stroke, scale)


def _filled(
    canvas: Image.Image, shape: Shape, ink: Paint, lines: list[list[Point]],
    scale: tuple[float, float],
) -> None:  # fmt: skip
    blur = shape.blur * math.sqrt(scale[0] * scale[1])
    box = _box(canvas, lines, blur * 2.6)
    if box is None:
        return
    if isinstance(ink, Radial) and not blur and _fades_out(shape):
        veil = inks.veil(box, ink, scale, shape.alpha)
        canvas.paste(inks.source(canvas, box, ink, scale), box, veil)
        return
    mask = _mask(box, lines, alpha=shape.alpha, holes=shape.holes)
    _paste(canvas, box, _blurred(mask, blur) if blur else mask, ink, scale)


def _scattered(canvas: Image.Image, shape: Shape, lines: list[list[Point]]) -> bool:
    # Flakes, drops and stars: together they span the picture, but one by one they cost little.
    if len(lines) < 8 or shape.holes or shape.blur:
        return False
    area = 0.0
    for line in lines:
        x1, y1, x2, y2 = path.bounds(line)
        area += (x2 - x1 + 2) * (y2 - y1 + 2)
    return area < 0.04 * canvas.width * canvas.height and len(lines) * 4000 < _spanned(lines)


def _spanned(lines: list[list[Point]]) -> float:
    x1, y1, x2, y2 = path.bounds([point for line in lines for point in line])
    return (x2 - x1) * (y2 - y1)


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
        canvas.paste(inks.source(canvas, box, shape.fill, scale), box)
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
        mask = ImageChops.multiply(mask, inks.veil(box, ink, scale))
    canvas.paste(inks.source(canvas, box, ink, scale), box, mask)


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
