"""
Effects on a whole image: the paper's grain, and the glow of neon.

SVG documents have them as filters. Since resvg takes a second for such a filter, raster images get
them from Pillow.
"""

import random
from collections.abc import Callable

from PIL import Image, ImageChops, ImageFilter, ImageOps

from imagesession._fake_openai.sketch.colour import Change, apply_changes
from imagesession._fake_openai.sketch.plan import Plan
from imagesession._fake_openai.sketch.words import SECTIONS
from imagesession._imaging.pillow import apply_lut, resize


def filter_of(plan: Plan, blur: float = 0) -> str:
    """Return the effects of a plan as the body of an SVG filter; empty if there are none."""
    neon, grain = (SECTIONS["filters"][s] * (s in plan.styles) for s in ("neon", "watercolor"))
    return neon + (f'<feGaussianBlur stdDeviation="{blur:.1f}"/>' if blur > 0 else "") + grain


def apply_effects(image: Image.Image, plan: Plan) -> Image.Image:
    if "neon" in plan.styles:
        image = apply_to_colours(image, _glow)
    if "watercolor" in plan.styles:
        image = apply_to_colours(image, lambda rgb: _paper(rgb, plan.seed))
    return image


def recolour(image: Image.Image, changes: tuple[Change, ...]) -> Image.Image:
    if not changes:
        return image

    def look_up(r: float, g: float, b: float) -> tuple[float, float, float]:
        x, y, z = apply_changes((round(r * 255), round(g * 255), round(b * 255)), changes)
        return x / 255, y / 255, z / 255

    table = ImageFilter.Color3DLUT.generate(13, look_up)
    return apply_to_colours(image, lambda rgb: rgb.filter(table))


def apply_to_colours(
    image: Image.Image, change: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    if image.mode != "RGBA":
        return change(image)
    out = change(image.convert("RGB")).convert("RGBA")
    out.putalpha(image.getchannel("A"))
    return out


def _glow(image: Image.Image) -> Image.Image:
    # Only what is bright glows.
    small = apply_lut(image.reduce(4), [max(0, v - 46) for v in range(256)] * 3)
    k = min(small.size) / 256
    near = small.filter(ImageFilter.GaussianBlur(max(1.0, 3 * k)))
    far = small.filter(ImageFilter.GaussianBlur(max(2.0, 10 * k)))
    halo = resize(ImageChops.add(near, far), image.size, Image.Resampling.BILINEAR)
    return ImageChops.add(image, halo)


def _paper(image: Image.Image, seed: int) -> Image.Image:
    w, h = -(-image.width // 3), -(-image.height // 3)
    noise = Image.frombytes("L", (w, h), random.Random(seed & 0xFF).randbytes(w * h))
    tones = [max(0, min(255, 246 + 4 * round((v - 128) * 0.025))) for v in range(256)]
    grain = apply_lut(resize(noise, (w * 3, h * 3)), tones).crop((0, 0, *image.size))
    return ImageChops.multiply(image, Image.merge("RGB", (grain, grain, grain)))


def make_partial(image: Image.Image, share: float) -> Image.Image:
    share = max(0.0, min(1.0, share))
    k = max(2, round(2 + (1 - share) * min(image.size) / 26))
    few = (max(1, image.width // k), max(1, image.height // k))
    coarse = resize(resize(image, few, Image.Resampling.BOX), image.size)
    return coarse.filter(ImageFilter.GaussianBlur(k * 0.35))


_POSTER = [v & 0xE0 for v in range(256)] * 3
_ON_PHOTOS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "outline": lambda image: ImageOps.invert(image.filter(ImageFilter.FIND_EDGES).convert("L")),
    "neon": lambda image: _glow(image.filter(ImageFilter.FIND_EDGES)),
    "watercolor": lambda image: image.filter(ImageFilter.ModeFilter(7)),
    "pastel": lambda image: recolour(image, (Change(kind="bright", amount=0.4),)),
    "dark": lambda image: recolour(image, (Change(kind="bright", amount=-0.45),)),
    "3d": lambda image: image.filter(ImageFilter.DETAIL),
    **dict.fromkeys(("geometric", "minimal", "flat"), lambda image: apply_lut(image, _POSTER)),
}


def stylise(image: Image.Image, styles: tuple[str, ...]) -> Image.Image:
    for name in styles[-6:]:
        image = apply_to_colours(image, lambda rgb, name=name: _ON_PHOTOS[name](rgb).convert("RGB"))  # type: ignore[misc]
    return image
