"""
Inks: plain colours and gradients, as pictures of a box of the canvas.
"""

import functools
import math
from typing import TypeAlias

from PIL import Image

from imagesession._offline.painter.colour import Colour
from imagesession._offline.painter.drawing import Linear, Paint, Radial
from imagesession._offline.painter.pixels import mapped, resized

Box: TypeAlias = tuple[int, int, int, int]

SOFT = 4  # how many times smaller what has no edges is painted
_WIDE = 60_000  # the area in pixels from which that is worth it


def source(
    canvas: Image.Image, box: Box, ink: Paint, scale: tuple[float, float]
) -> Image.Image | tuple[int, ...]:
    """
    Give what is pasted through a mask: a colour, or a picture of the gradient over a box.
    """
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


def veil(
    box: Box, ink: Linear | Radial, scale: tuple[float, float], alpha: float = 1.0
) -> Image.Image:
    """
    Picture how opaque a gradient is over a box.
    """
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
            (-(-w // SOFT), -(-h // SOFT)), Image.Transform.AFFINE,
            (kx * SOFT, 0, 128 - cx * kx, 0, ky * SOFT, 128 - cy * ky),
            Image.Resampling.BILINEAR, fillcolor=255,
        )  # fmt: skip
        return resized(few, (w, h), Image.Resampling.BILINEAR, box=(0, 0, w / SOFT, h / SOFT))
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
