"""
Adjust pixels: effects of styles, blur, and the changes of colour for pictures that are given.
"""

import random
from collections.abc import Callable

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from imagesession._offline.painter.colour import Change, Colour, changed
from imagesession._offline.painter.path import Point
from imagesession._offline.painter.pixels import mapped, resized
from imagesession._offline.painter.plan import Plan


def recolour(image: Image.Image, changes: tuple[Change, ...]) -> Image.Image:
    """
    Apply changes of colour to every pixel.
    """
    if not changes:
        return image

    def look_up(r: float, g: float, b: float) -> tuple[float, float, float]:
        x, y, z = changed((round(r * 255), round(g * 255), round(b * 255)), changes)
        return x / 255, y / 255, z / 255

    table = ImageFilter.Color3DLUT.generate(13, look_up)
    return _on_colours(image, lambda rgb: rgb.filter(table))


def _on_colours(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    if image.mode != "RGBA":
        return change(image)
    out = change(image.convert("RGB")).convert("RGBA")
    out.putalpha(image.getchannel("A"))
    return out


def soften(image: Image.Image, amount: float) -> Image.Image:
    """
    Blur a picture, or sharpen it if the amount, in thousandths of the short side, is below 0.
    """
    scale = min(image.size) / 1000
    if amount > 0:
        return _blurred(image, max(0.8, amount * scale))
    if amount < 0:
        # Away from its own blur: what Pillow's unsharp mask does, in a third of the time.
        radius = max(1.5, 3 * scale)
        return _on_colours(
            image, lambda rgb: Image.blend(_blurred(rgb, radius), rgb, 1 - 0.75 * amount)
        )
    return image


def _blurred(image: Image.Image, radius: float) -> Image.Image:
    # A wide blur loses nothing when done small.
    k = 1 if radius < 2 else 2 if radius < 5 else 4 if radius < 30 else 8
    if k == 1 or min(image.size) < 8 * k:
        return image.filter(ImageFilter.GaussianBlur(radius))
    few = image.reduce(k).filter(ImageFilter.GaussianBlur(radius / k))
    box = (0, 0, image.width / k, image.height / k)
    return resized(few, image.size, Image.Resampling.BILINEAR, box=box)


def effects(image: Image.Image, plan: Plan) -> Image.Image:
    """
    Apply what styles do to pixels.
    """
    names = set(plan.styles)
    if "neon" in names:
        image = _on_colours(image, _glow)
    if "watercolor" in names:
        image = _on_colours(image, lambda rgb: _paper(rgb, plan.seed, 9))
    if "vintage" in names:
        image = _on_colours(image, lambda rgb: _vignette(_paper(rgb, plan.seed, 11)))
    if "pencil" in names:
        image = _on_colours(image, lambda rgb: _paper(rgb, plan.seed, 9))
    return soften(image, plan.blur)


def _glow(image: Image.Image) -> Image.Image:
    # Only what is bright glows.
    small = mapped(image.reduce(4), [max(0, v - 46) for v in range(256)] * 3)
    k = min(small.size) / 256
    near = small.filter(ImageFilter.GaussianBlur(max(1.0, 3 * k)))
    far = small.filter(ImageFilter.GaussianBlur(max(2.0, 10 * k)))
    halo = resized(ImageChops.add(near, far), image.size, Image.Resampling.BILINEAR)
    return ImageChops.add(image, halo)


def _paper(image: Image.Image, seed: int, strength: int) -> Image.Image:
    # A small tile of grain is repeated: enough for the eye, and quick. Its few levels compress well.
    side = 192
    rng = random.Random(seed & 0xFF)
    noise = Image.frombytes("L", (side, side), rng.randbytes(side * side))
    noise = noise.filter(ImageFilter.GaussianBlur(1.6))
    grain = mapped(noise, [max(0, min(255, 255 - strength + 4 * round((v - 128) * strength / 110)))
                         for v in range(256)])  # fmt: skip
    layer = Image.new("L", image.size)
    for x in range(0, image.width, side):
        for y in range(0, image.height, side):
            layer.paste(grain, (x, y))
    return ImageChops.multiply(image, Image.merge("RGB", (layer, layer, layer)))


def _vignette(image: Image.Image) -> Image.Image:
    shade = mapped(
        Image.radial_gradient("L"), [255 - round((v / 255) ** 2.6 * 105) for v in range(256)]
    )
    layer = resized(shade, image.size, Image.Resampling.BILINEAR)
    return ImageChops.multiply(image, Image.merge("RGB", (layer, layer, layer)))


def mosaic(image: Image.Image, size: tuple[int, int], colours: int = 28) -> Image.Image:
    """
    Enlarge a small picture as pixel art.
    """
    if image.mode == "RGBA":
        alpha = mapped(image.getchannel("A"), [0] * 128 + [255] * 128)
        small = image.convert("RGB").quantize(colours).convert("RGBA")
        small.putalpha(alpha)
    else:
        small = image.quantize(colours, Image.Quantize.MEDIANCUT).convert("RGB")
    return resized(small, size, Image.Resampling.NEAREST)


def unfinished(image: Image.Image, share: float) -> Image.Image:
    """
    Show a picture coarse and blurred, as it is while it is still being made.
    """
    share = max(0.0, min(1.0, share))
    k = max(2, round(2 + (1 - share) * min(image.size) / 26))
    small = resized(image, (max(1, image.width // k), max(1, image.height // k)),
                         Image.Resampling.BOX)  # fmt: skip
    coarse = resized(small, image.size, Image.Resampling.BICUBIC)
    return coarse.filter(ImageFilter.GaussianBlur(k * 0.35))


def stylised(image: Image.Image, plan: Plan) -> Image.Image:
    """
    Apply to a given picture what the styles of a plan would do to a drawing.
    """
    for name in dict.fromkeys(plan.styles):
        effect = _RASTER.get(name)
        if effect is not None:
            strength = plan.styles.count(name)
            for _ in range(min(3, strength)):
                image = _on_colours(image, effect)
    return image


def _edges(image: Image.Image) -> Image.Image:
    grey = ImageOps.autocontrast(image.convert("L").filter(ImageFilter.GaussianBlur(1.2)))
    lines = grey.filter(ImageFilter.Kernel((3, 3), (-1, -1, -1, -1, 8, -1, -1, -1, -1), scale=1))
    return ImageOps.invert(mapped(lines, [min(255, v * 3) for v in range(256)])).convert("RGB")


def _neon(image: Image.Image) -> Image.Image:
    lines = ImageOps.invert(_edges(image))
    vivid = recolour(
        image, (Change(kind="saturate", amount=2.2), Change(kind="bright", amount=0.3))
    )
    dim = recolour(image, (Change(kind="bright", amount=-0.78),))
    return ImageChops.add(dim, _glow(ImageChops.multiply(lines, vivid)))


def _washed(image: Image.Image) -> Image.Image:
    small = image.reduce(2) if min(image.size) > 400 else image
    washed = small.filter(ImageFilter.ModeFilter(7)).filter(ImageFilter.SMOOTH_MORE)
    out = resized(washed, image.size, Image.Resampling.BICUBIC)
    return _paper(recolour(out, (Change(kind="bright", amount=0.12),)), 1, 14)


def _blocks(image: Image.Image) -> Image.Image:
    k = max(2, min(image.size) // 80)
    small = resized(
        image, (max(1, image.width // k), max(1, image.height // k)), Image.Resampling.BOX
    )
    return mosaic(small, image.size)


def _posterised(image: Image.Image) -> Image.Image:
    smooth = image.filter(ImageFilter.GaussianBlur(max(1.0, min(image.size) / 220)))
    return smooth.quantize(10, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).convert("RGB")


def _relief(image: Image.Image) -> Image.Image:
    bumps = image.convert("L").filter(ImageFilter.GaussianBlur(2)).filter(ImageFilter.EMBOSS)
    layer = mapped(bumps, [max(0, min(255, 128 + (v - 128) * 2)) for v in range(256)])
    return ImageChops.overlay(image, Image.merge("RGB", (layer, layer, layer)))


def _faceted(image: Image.Image) -> Image.Image:
    # Triangles in the mean colours of what they cover.
    w, h = image.size
    step = max(6, min(w, h) // 40)
    columns, rows = -(-w // step), -(-h // step)
    rng = random.Random(columns * 1000 + rows)
    means = resized(image, (columns * 2, rows * 2), Image.Resampling.BOX)
    points: dict[tuple[int, int], Point] = {}
    for i in range(columns + 1):
        for j in range(rows + 1):
            inner = 0 < i < columns and 0 < j < rows
            jitter = step * 0.34 if inner else 0
            points[i, j] = (i * step + rng.uniform(-jitter, jitter),
                            j * step + rng.uniform(-jitter, jitter))  # fmt: skip
    out = image.copy()
    draw = ImageDraw.Draw(out)
    for i in range(columns):
        for j in range(rows):
            a, b, c, d = points[i, j], points[i + 1, j], points[i + 1, j + 1], points[i, j + 1]
            one, two = means.getpixel((2 * i, 2 * j)), means.getpixel((2 * i + 1, 2 * j + 1))
            if isinstance(one, tuple) and isinstance(two, tuple):
                draw.polygon((a, b, d), fill=one)
                draw.polygon((b, c, d), fill=two)
    return out


def without_ground(image: Image.Image, *, tolerance: int = 40) -> Image.Image:
    """
    Make the ground of a picture clear: what looks like its corners and touches its edge.
    """
    w, h = image.size
    k = max(1, max(w, h) // 256)
    small = resized(image.convert("RGB"), (max(1, w // k), max(1, h // k)), Image.Resampling.BOX)
    marker: Colour = (255, 0, 254)
    last_x, last_y = small.width - 1, small.height - 1
    for corner in ((0, 0), (last_x, 0), (0, last_y), (last_x, last_y), (last_x // 2, 0),
                   (last_x // 2, last_y), (0, last_y // 2), (last_x, last_y // 2)):  # fmt: skip
        ImageDraw.floodfill(small, corner, marker, thresh=tolerance)
    bands = [mapped(band, [255 if v == m else 0 for v in range(256)])
             for band, m in zip(small.split(), marker, strict=True)]  # fmt: skip
    clear = ImageChops.multiply(ImageChops.multiply(bands[0], bands[1]), bands[2])
    alpha = ImageOps.invert(clear.filter(ImageFilter.GaussianBlur(0.7)))
    alpha = resized(alpha, image.size, Image.Resampling.BILINEAR)
    out = image.convert("RGBA")
    out.putalpha(ImageChops.multiply(alpha, out.getchannel("A")))
    return out


def fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """
    Bring a picture to a size: what is missing at the sides is filled with its blurred edges.
    """
    if image.size == size:
        return image
    w, h = size
    ratio = (w / h) / (image.width / image.height)
    if 0.97 < ratio < 1.03:
        return resized(image, size, Image.Resampling.LANCZOS)
    inner = ImageOps.contain(image, size, Image.Resampling.LANCZOS)
    if image.mode == "RGBA":
        out = Image.new("RGBA", size, (0, 0, 0, 0))
        out.paste(inner, ((w - inner.width) // 2, (h - inner.height) // 2))
        return out
    small = ImageOps.fit(image, (max(1, w // 8), max(1, h // 8)), Image.Resampling.BOX)
    small = small.filter(ImageFilter.GaussianBlur(max(1.0, min(small.size) / 12)))
    out = resized(small, size, Image.Resampling.BICUBIC)
    # The seam is feathered.
    feather = max(1, min(inner.size) // 24)
    mask = Image.new("L", inner.size, 255)
    edge_x = feather if inner.width < w else 0
    edge_y = feather if inner.height < h else 0
    mask = Image.new("L", inner.size, 0)
    mask.paste(255, (edge_x, edge_y, inner.width - edge_x, inner.height - edge_y))
    if edge_x or edge_y:
        mask = mask.filter(ImageFilter.BoxBlur((edge_x, edge_y)))
    out.paste(inner, ((w - inner.width) // 2, (h - inner.height) // 2), mask)
    return out


_RASTER: dict[str, Callable[[Image.Image], Image.Image]] = {
    "outline": _edges, "pencil": _edges, "neon": _neon, "watercolor": _washed, "pixel": _blocks,
    "geometric": _faceted, "minimal": _posterised, "flat": _posterised, "3d": _relief,
    "vintage": lambda image: _vignette(_paper(recolour(image, (
        Change(kind="sepia", amount=0.45), Change(kind="contrast", amount=0.88))), 1, 11)),
    "pastel": lambda image: recolour(image, (Change(kind="bright", amount=0.4),)),
    "dark": lambda image: recolour(image, (Change(kind="bright", amount=-0.45),)),
}  # fmt: skip
