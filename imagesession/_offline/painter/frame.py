"""
Frame given pictures: bring them to another shape, and cut out what stands before their ground.
"""

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps, ImageStat

from imagesession._offline.painter.pixels import mapped, resized
from imagesession._offline.painter.plan import Angle

_NEAR = 34  # how far a colour may lie from the ground's, in its most different part
_BUSY = 9.0  # how rough the outermost pixels may be, for them to be continued
_COARSE = 200  # the longer side at which a ground is looked for


def fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """
    Bring a picture to a size: calm edges are continued, a picture with busy ones is cropped.
    """
    if image.size == size:
        return image
    w, h = size
    ratio = (w / h) / (image.width / image.height)
    if 0.97 < ratio < 1.03:
        return resized(image, size, Image.Resampling.LANCZOS)
    inner = ImageOps.contain(image, size, Image.Resampling.LANCZOS)
    at = ((w - inner.width) // 2, (h - inner.height) // 2)
    if image.mode == "RGBA":
        out = Image.new("RGBA", size, (0, 0, 0, 0))
        out.paste(inner, at)
        return out
    x, y = inner.size
    edges = [(0, 0, 1, y), (x - 1, 0, x, y)] if x < w else [(0, 0, x, 1), (0, y - 1, x, y)]
    if max(_roughness(inner.crop(edge)) for edge in edges) > _BUSY:
        return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    out = Image.new("RGB", size)
    for i, edge in enumerate(edges):
        # The edge itself is stretched over half of the frame.
        start = (i * (w // 2), 0) if x < w else (0, i * (h // 2))
        half = (w - w // 2, h) if x < w else (w, h - h // 2)
        out.paste(resized(inner.crop(edge), half, Image.Resampling.BILINEAR), start)
    out.paste(inner, at)
    return out


def _roughness(line: Image.Image) -> float:
    # How far a line of pixels departs from its own blur.
    grey = line.convert("L")
    smooth = grey.filter(ImageFilter.GaussianBlur(max(2.0, max(line.size) / 60)))
    return ImageStat.Stat(ImageChops.difference(grey, smooth)).rms[0]


def without_ground(image: Image.Image) -> Image.Image:
    """
    Make the ground of a picture clear: what continues its edges inwards, a gradient included.
    """
    rgb = image.convert("RGB")
    like = _likeness(rgb)
    k = max(1, -(-max(rgb.size) // _COARSE))
    few = (max(1, rgb.width // k), max(1, rgb.height // k))
    coarse = _standing(mapped(resized(like, few, Image.Resampling.BOX),
                              [0] * 128 + [255] * 128))  # fmt: skip
    kept = resized(coarse, rgb.size, Image.Resampling.BILINEAR)
    # Inside, all is kept; along the outline the picture's own pixels decide.
    inner = mapped(kept, [0] * 250 + [255] * 6)
    wider = coarse.filter(ImageFilter.MaxFilter(7)) if min(few) > 12 else coarse
    near = mapped(resized(wider, rgb.size, Image.Resampling.BILINEAR), [0] * 8 + [255] * 248)
    # The median takes away seams one pixel wide, such as that between a hill and the sky.
    fine = ImageOps.invert(like).filter(ImageFilter.MedianFilter(3))
    fine = fine.filter(ImageFilter.GaussianBlur(0.6))
    alpha = ImageChops.lighter(inner, ImageChops.darker(near, fine))
    out = image.convert("RGBA")
    out.putalpha(ImageChops.multiply(alpha, out.getchannel("A")))
    return out


def turned(image: Image.Image, angle: Angle) -> Image.Image:
    """
    Show a cut-out from another angle, as far as one picture tells what it looks like.
    """
    box = image.getchannel("A").getbbox()
    if angle == "front" or box is None:
        return image
    pad = image.height // 8
    part = (max(0, box[0] - pad), max(0, box[1] - pad),
            min(image.width, box[2] + pad), min(image.height, box[3] + pad))  # fmt: skip
    x, y = (box[0] + box[2]) / 2 - part[0], (box[1] + box[3]) / 2 - part[1]
    # Each maps a point of the result to one of the picture.
    matrix = {
        "side": (-1 / 0.62, 0, x + x / 0.62, 0, 1, 0),
        "three-quarter": (1 / 0.84, 0, x - x / 0.84, 0.16, 1, -0.16 * x),
        "top": (1, 0, 0, 0, 1 / 0.64, y - y / 0.64),
    }[angle]
    clear = image.crop(part).convert("RGBa")
    seen = clear.transform(clear.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    out = Image.new("RGBA", image.size, (0, 0, 0, 0))
    out.paste(seen.convert("RGBA"), part)
    return out


def _likeness(image: Image.Image) -> Image.Image:
    # 255 where a pixel looks like its row's ends or its column's, which are taken for ground.
    w, h = image.size
    table = [255 if v < _NEAR else 0 for v in range(256)]
    sides = [image.crop((0, 0, 1, h)), image.crop((w - 1, 0, w, h))]
    # Ends a little higher and lower count too: the sky in a valley has hills at its row's ends.
    step = max(1, h // 9)
    edges = list(sides)
    for edge in sides:
        for dy in (-step, step):
            moved = edge.copy()
            moved.paste(edge, (0, dy))
            edges.append(moved)
    edges += [image.crop((0, 0, w, 1)), image.crop((0, h - 1, w, h))]
    like = Image.new("L", image.size, 0)
    for edge in edges:
        ground = resized(edge, image.size, Image.Resampling.NEAREST)
        r, g, b = ImageChops.difference(image, ground).split()
        most = ImageChops.lighter(ImageChops.lighter(r, g), b)
        like = ImageChops.lighter(like, mapped(most, table))
    return like


def _standing(like: Image.Image) -> Image.Image:
    # What the ground, spreading from the edges, does not reach; specks and thin seams go too.
    w, h = like.size
    flood = Image.new("L", (w + 2, h + 2), 255)
    flood.paste(like, (1, 1))
    ImageDraw.floodfill(flood, (0, 0), 128)
    kept = mapped(flood.crop((1, 1, w + 1, h + 1)), [255] * 128 + [0] + [255] * 127)
    if min(w, h) > 12:
        kept = kept.filter(ImageFilter.MinFilter(3)).filter(ImageFilter.MaxFilter(3))
    parts: list[tuple[int, Image.Image]] = []
    left = kept
    while len(parts) < 12 and (at := left.tobytes().find(b"\xff")) >= 0:
        ImageDraw.floodfill(left, (at % w, at // w), 77)
        part = mapped(left, [255 if v == 77 else 0 for v in range(256)])
        parts.append((part.histogram()[255], part))
        left = mapped(left, [0 if v == 77 else v for v in range(256)])
    out = Image.new("L", like.size, 0)
    for count, part in parts:
        if count * 6 >= max(count for count, _ in parts):
            out = ImageChops.lighter(out, part)
    return out
