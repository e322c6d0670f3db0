"""
Adjust pixels: effects of styles, blur, and the changes of colour for pictures that are given.
"""

import random
from collections.abc import Callable

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from imagesession._offline.painter.colour import Change, changed
from imagesession._offline.painter.path import Point
from imagesession._offline.painter.pixels import mapped, resized
from imagesession._offline.painter.plan import Plan

GRAINED = frozenset({"watercolor", "pencil", "vintage"})  # styles that show the paper


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
    return on_colours(image, lambda rgb: rgb.filter(table))


def on_colours(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """
    Change a picture's colours; its alpha, if it has one, stays.
    """
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
        return on_colours(
            image, lambda rgb: Image.blend(_blurred(rgb, radius), rgb, 1 - 0.75 * amount)
        )
    return image


def _blurred(image: Image.Image, radius: float) -> Image.Image:
    # A wide blur loses nothing when done small.
    k = 1 if radius < 2 else 2 if radius < 3 else 4 if radius < 30 else 8
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
        image = on_colours(image, _glow)
    # The paper's grain stays as it is, however blurred or sharp the picture on it.
    image = soften(image, plan.blur)
    if names & GRAINED:
        strength = 11 if "vintage" in names else 9
        image = on_colours(image, lambda rgb: _paper(rgb, plan.seed, strength))
    return on_colours(image, _vignette) if "vintage" in names else image


def _glow(image: Image.Image) -> Image.Image:
    # Only what is bright glows.
    small = mapped(image.reduce(4), [max(0, v - 46) for v in range(256)] * 3)
    k = min(small.size) / 256
    near = small.filter(ImageFilter.GaussianBlur(max(1.0, 3 * k)))
    far = small.filter(ImageFilter.GaussianBlur(max(2.0, 10 * k)))
    halo = resized(ImageChops.add(near, far), image.size, Image.Resampling.BILINEAR)
    return ImageChops.add(image, halo)


def _paper(image: Image.Image, seed: int, strength: int) -> Image.Image:
    # A small tile of grain is repeated: enough for the eye, and quick. Its few levels compress
    # well.
    side = 192
    rng = random.Random(seed & 0xFF)
    noise = Image.frombytes("L", (side, side), rng.randbytes(side * side))
    # Blurred with its own other side around it, the tile shows no seam.
    rim = 8
    whole = Image.new("L", (side + 2 * rim, side + 2 * rim))
    for x in (rim - side, rim, rim + side):
        for y in (rim - side, rim, rim + side):
            whole.paste(noise, (x, y))
    noise = whole.filter(ImageFilter.GaussianBlur(1.6)).crop((rim, rim, side + rim, side + rim))
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


def stormy(image: Image.Image) -> Image.Image:
    """
    Make the sky dramatic: dark and deep at the top, with more contrast and a glow further down.
    """

    def burnt(rgb: Image.Image) -> Image.Image:
        lively = recolour(rgb, (Change(kind="contrast", amount=1.25),
                                Change(kind="saturate", amount=1.2)))  # fmt: skip
        high, top = Image.new("L", (1, 64)), Image.new("RGB", (1, 64))
        glow = Image.new("RGB", (1, 64))
        for y in range(64):
            k, warm = max(0.0, 1 - y / 36), max(0.0, 1 - abs(y - 27) / 15)
            high.putpixel((0, y), round(255 * k))
            top.putpixel((0, y), (round(255 - 165 * k), round(255 - 155 * k), round(255 - 120 * k)))
            glow.putpixel((0, y), (round(62 * warm), round(26 * warm), round(10 * warm)))
        # The lower half, where the land is, stays as it was.
        out = Image.composite(lively, rgb, resized(high, rgb.size, Image.Resampling.BILINEAR))
        out = ImageChops.multiply(out, resized(top, rgb.size, Image.Resampling.BILINEAR))
        return ImageChops.screen(out, resized(glow, rgb.size, Image.Resampling.BILINEAR))

    return on_colours(image, burnt)


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
                image = on_colours(image, effect)
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


_RASTER: dict[str, Callable[[Image.Image], Image.Image]] = {
    "outline": _edges, "pencil": _edges, "neon": _neon, "watercolor": _washed, "pixel": _blocks,
    "geometric": _faceted, "minimal": _posterised, "flat": _posterised, "3d": _relief,
    "vintage": lambda image: _vignette(_paper(recolour(image, (
        Change(kind="sepia", amount=0.45), Change(kind="contrast", amount=0.88))), 1, 11)),
    "pastel": lambda image: recolour(image, (Change(kind="bright", amount=0.4),)),
    "dark": lambda image: recolour(image, (Change(kind="bright", amount=-0.45),)),
}  # fmt: skip
