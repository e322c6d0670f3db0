"""
Marked places: the strokes of a markup, the separate holes of a mask.
"""

import io
import itertools
import math

from PIL import Image, ImageDraw, ImageFilter

from imagesession._offline.painter import encode
from imagesession._offline.painter.pixels import mapped, resized

_COARSE = 160  # the longer side at which strokes are told apart
_PAD = 0.015  # of the longer side, around each stroke
_MOST = 24  # strokes that are looked at one by one
_SEPARATE = 4  # holes that are filled one by one
_DRAWN, _SEEN, _CLEAR = 255, 128, 0


def mask_around(markup: bytes) -> bytes | None:
    """
    Make a mask that is clear within the boxes around a markup's strokes.

    Args:
        markup: An encoded picture, transparent except for the strokes.

    Returns:
        A PNG with alpha; None if there is no stroke or nothing else.

    Raises:
        ValueError: The bytes are no picture.
    """
    image = encode.decode(markup)
    if image.mode != "RGBA":
        return None
    low, high = image.getchannel("A").getextrema()
    boxes = _boxes(mapped(image.getchannel("A"), [0] * 24 + [255] * 232)) if low != high else []
    if not boxes:
        return None
    w, h = image.size
    pad = max(w, h) * _PAD
    alpha = Image.new("L", image.size, 255)
    for left, top, right, bottom in boxes:
        hole = (max(0, round(left * w - pad)), max(0, round(top * h - pad)),
                min(w, round(right * w + pad)), min(h, round(bottom * h + pad)))  # fmt: skip
        alpha.paste(0, hole)
    out = io.BytesIO()
    mask = Image.new("RGBA", image.size, (0, 0, 0, 255))
    mask.putalpha(alpha)
    mask.save(out, "PNG", compress_level=1)
    return out.getvalue()


def regions(hole: Image.Image) -> list[tuple[int, int, int, int]]:
    """
    Find the boxes of a hole's separate parts; one box where they are many, or entangled.

    Args:
        hole: White where the hole is, black elsewhere.
    """
    w, h = hole.size
    whole = hole.getbbox()
    if whole is None:
        return []
    found: list[tuple[int, int, int, int]] = []
    for left, top, right, bottom in _boxes(hole):
        x, y = int(left * w), int(top * h)
        box = hole.crop((x, y, math.ceil(right * w), math.ceil(bottom * h))).getbbox()
        if box is not None:
            found.append((x + box[0], y + box[1], x + box[2], y + box[3]))
    pairs = itertools.combinations(found, 2)
    apart = not any(_overlap(one, other) for one, other in pairs)
    return found if 1 < len(found) <= _SEPARATE and apart else [whole]


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    across = one[0] < other[2] and other[0] < one[2]
    return across and one[1] < other[3] and other[1] < one[3]


def _boxes(marks: Image.Image) -> list[tuple[float, float, float, float]]:
    k = max(1, -(-max(marks.size) // _COARSE))
    # The thinnest stroke must survive being made small, and its dashes belong together.
    few = (max(1, marks.width // k), max(1, marks.height // k))
    small = mapped(resized(marks, few, Image.Resampling.BOX), [0] + [_DRAWN] * 255)
    left = small.filter(ImageFilter.MaxFilter(5)) if min(few) > 8 else small
    boxes: list[tuple[float, float, float, float]] = []
    while len(boxes) < _MOST and (at := left.tobytes().find(b"\xff")) >= 0:
        ImageDraw.floodfill(left, (at % left.width, at // left.width), _SEEN)
        box = mapped(left, [255 if v == _SEEN else 0 for v in range(256)]).getbbox()
        if box is not None:
            boxes.append((box[0] / left.width, box[1] / left.height,
                          box[2] / left.width, box[3] / left.height))  # fmt: skip
        left = mapped(left, [_CLEAR if v == _SEEN else v for v in range(256)])
    return boxes
