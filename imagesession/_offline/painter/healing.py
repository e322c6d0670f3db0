"""
Heal pictures: take what stands in a hole away, so that its surroundings go on behind it.
"""

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from imagesession._offline.painter.pixels import mapped, resized

Box = tuple[int, int, int, int]

_COARSE = 160  # the longer side at which things are looked for
_NEAR = 16  # how far a pixel may lie from what goes on behind it
_LEAST = 0.05  # share of a hole that a thing takes at least
_FRONT = 1.5  # how broad a thing may lie on the hole's rim: its square, as a share of the area
_MOST = 24  # parts that are looked at
_STEPS = (0.008, 0.02, 0.045, 0.08, 0.12)  # shares of the width, beside the hole


def healed(image: Image.Image, hole: Image.Image) -> Image.Image:
    """
    Take away what stands in a hole.

    What is ground already stays as it is, so that no trace of the hole is left.

    Args:
        image: The picture, as RGB.
        hole: White where it may change, black elsewhere.
    """
    box = hole.getbbox()
    if box is None:
        return image
    out = image.copy()
    for thing in _things(image.crop(box), _behind(image, box), hole.crop(box)):
        near = thing.getbbox() or (0, 0, 0, 0)
        # Closer to a thing, what is beside it tells more about what is behind it.
        tight = (box[0] + near[0], box[1] + near[1], box[0] + near[2], box[1] + near[3])
        for ground in _behind(image, tight)[:1]:
            out.paste(ground, tight, thing.crop(near))
    return out


def _behind(image: Image.Image, box: Box) -> list[Image.Image]:
    # What may be behind a box, the likeliest first. Landscapes and rooms go on sideways; what
    # takes the whole width is filled from above.
    found = _sideways(image, box)
    if found:
        return found
    turned = image.transpose(Image.Transpose.TRANSPOSE)
    found = _sideways(turned, (box[1], box[0], box[3], box[2]))
    return [ground.transpose(Image.Transpose.TRANSPOSE) for ground in found]


def _sideways(image: Image.Image, box: Box) -> list[Image.Image]:
    left, top, right, bottom = box
    steps = [max(1, round(share * image.width)) for share in _STEPS]
    before = [left - step for step in steps if left >= step]
    after = [right - 1 + step for step in steps if right - 1 + step < image.width]
    sides = [_column(image, xs, top, bottom) for xs in (before, after) if xs]
    pair = Image.new("RGB", (2, bottom - top))
    for x, side in enumerate(sides):
        pair.paste(side, (x, 0))
    size = (right - left, bottom - top)
    each = [resized(side, size, Image.Resampling.NEAREST) for side in sides]
    return [resized(pair, size, Image.Resampling.BILINEAR), *each] if len(each) > 1 else each


def _column(image: Image.Image, xs: list[int], top: int, bottom: int) -> Image.Image:
    # The median of some columns is not misled by what stands in one of them.
    strip = Image.new("RGB", (5, bottom - top))
    for i in range(5):
        x = xs[i * len(xs) // 5]
        strip.paste(image.crop((x, top, x + 1, bottom)), (i, 0))
    return strip.filter(ImageFilter.MedianFilter(5)).crop((2, 0, 3, bottom - top))


def _things(image: Image.Image, grounds: list[Image.Image], hole: Image.Image) -> list[Image.Image]:
    # Masks of what stands out of the ground, each thing by itself.
    k = max(1, -(-max(image.size) // _COARSE))
    few = (max(1, image.width // k), max(1, image.height // k))
    inside = mapped(resized(hole, few, Image.Resampling.BOX), [0] + [255] * 255)
    differs = inside
    for ground in grounds:
        differs = ImageChops.darker(differs, _differing(image, ground, few))
    rim = ImageChops.subtract(inside, _framed(inside, ImageFilter.MinFilter(3)))
    area = inside.histogram()[255]
    out: list[Image.Image] = []
    for part in _parts(ImageChops.darker(_closed(differs), inside)):
        count, touch = (ImageChops.darker(part, m).histogram()[255] for m in (inside, rim))
        # What goes on beyond the hole on a broad front, such as a hill or a cloud, is ground.
        if count >= _LEAST * area and touch * touch < _FRONT * count:
            # Thin parts, such as a cat's whiskers, go with it.
            thin = ImageChops.darker(differs, _framed(part, ImageFilter.MaxFilter(15)))
            wide = _framed(ImageChops.lighter(part, thin), ImageFilter.MaxFilter(5))
            soft = resized(wide, image.size, Image.Resampling.BILINEAR)
            out.append(ImageChops.darker(soft, hole))
    return out


def _differing(image: Image.Image, ground: Image.Image, size: tuple[int, int]) -> Image.Image:
    one, other = (resized(i, size, Image.Resampling.BOX) for i in (image, ground))
    r, g, b = ImageChops.difference(one, other).split()
    most = ImageChops.lighter(ImageChops.lighter(r, g), b)
    return mapped(most, [0] * _NEAR + [255] * (256 - _NEAR))


def _parts(marks: Image.Image) -> list[Image.Image]:
    w, left = marks.width, marks.copy()
    out: list[Image.Image] = []
    while len(out) < _MOST and (at := left.tobytes().find(b"\xff")) >= 0:
        ImageDraw.floodfill(left, (at % w, at // w), 77)
        out.append(mapped(left, [255 if v == 77 else 0 for v in range(256)]))
        left = mapped(left, [0 if v == 77 else v for v in range(256)])
    return out


def _framed(marks: Image.Image, rule: ImageFilter.MinFilter | ImageFilter.MaxFilter) -> Image.Image:
    # Beyond the box, there is nothing.
    w, h = marks.size
    wide = Image.new("L", (w + 16, h + 16), 0)
    wide.paste(marks, (8, 8))
    return wide.filter(rule).crop((8, 8, w + 8, h + 8))


def _closed(marks: Image.Image) -> Image.Image:
    # Thin edges go; gaps between the parts of a thing, and areas that it encloses, belong to it.
    w, h = marks.size
    for rule in (ImageFilter.MinFilter(3), ImageFilter.MaxFilter(5), ImageFilter.MinFilter(3)):
        marks = _framed(marks, rule)
    flood = Image.new("L", (w + 2, h + 2), 0)
    flood.paste(marks, (1, 1))
    ImageDraw.floodfill(flood, (0, 0), 128)
    return mapped(flood.crop((1, 1, w + 1, h + 1)), [255] * 128 + [0] + [255] * 127)
