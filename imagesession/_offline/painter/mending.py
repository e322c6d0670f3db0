"""
Mend pictures: each defect is measured first, and mended as far as it is there.
"""

import math
from collections.abc import Callable, Sequence

from PIL import Image, ImageChops, ImageFilter, ImageOps

from imagesession._offline.painter import adjust
from imagesession._offline.painter.colour import Change
from imagesession._offline.painter.measure import (
    Margins,
    Measures,
    margins,
    measure,
    measure_tones,
    percentile,
)
from imagesession._offline.painter.pixels import Box, mapped
from imagesession._offline.painter.plan import Mend, MendKind

_LEAST = 0.02  # share of a side that is worth cropping
_BLEED, _AIR = 0.005, 0.03  # shares of a side that go beyond its margin, or stay of it
_TINGE = 8  # distance from grey that a corrected picture may keep: few pictures are all grey


def cropped(image: Image.Image) -> Image.Image:
    """
    Cut the empty margins off a picture.
    """
    return _cut_out(image, _kept(image, margins(image)))


def cropped_to(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """
    Cut the empty margins off a picture, and fill a frame of the given size with what is left.
    """
    empty = margins(image)
    box = _kept(image, empty)
    if min(empty[0] + empty[2], empty[1] + empty[3]) >= _LEAST:
        # A thing before a ground is not to be cut: of the ground, so much stays as the frame takes.
        box = _grown(box, image.size, size[0] / size[1])
    return ImageOps.fit(_cut_out(image, box), size, Image.Resampling.LANCZOS)


def crops(mends: Sequence[Mend]) -> bool:
    """
    Tell whether the margins are to go.
    """
    return any(mend.kind == "margins" for mend in mends)


def mended(image: Image.Image, mends: Sequence[Mend]) -> Image.Image:
    """
    Mend what is wrong with a picture's tones, colours, edges and grain.
    """
    # In the order of a darkroom, whatever the order of the words: clean, expose, colour, sharpen.
    for mend in sorted(mends, key=lambda mend: _ORDER.index(mend.kind)):
        repair = _REPAIRS.get(mend.kind)
        if repair is not None:
            seen = measure(image) if mend.kind in _DETAILED else measure_tones(image)
            image = adjust.on_colours(image, _bound(repair, seen, mend.strength))
    return image


def as_changes(mends: Sequence[Mend]) -> tuple[Change, ...]:
    """
    Say as changes of colour what mending does, for drawings that have no pixels.
    """
    return tuple(_CHANGES[mend.kind] for mend in mends if mend.kind in _CHANGES)


def _bound(
    repair: Callable[[Image.Image, Measures, float], Image.Image], seen: Measures, strength: float
) -> Callable[[Image.Image], Image.Image]:
    return lambda rgb: repair(rgb, seen, strength)


def _kept(image: Image.Image, empty: Margins) -> Box:
    w, h = image.size
    left, top, right, bottom = empty
    # A picture that fills its height has edges of its own; a thing before a ground keeps some air.
    across = _BLEED if top + bottom < _LEAST else -_AIR
    upright = _BLEED if left + right < _LEAST else -_AIR
    return (
        w * _cut(left, across), h * _cut(top, upright),
        w * (1 - _cut(right, across)), h * (1 - _cut(bottom, upright)),
    )  # fmt: skip


def _cut(margin: float, more: float) -> float:
    return max(0.0, margin + more) if margin > _LEAST else 0.0


def _grown(box: Box, size: tuple[int, int], ratio: float) -> Box:
    left, top, right, bottom = box
    w, h = right - left, bottom - top
    left, right = _widened(left, right, max(w, h * ratio), size[0])
    top, bottom = _widened(top, bottom, max(h, w / ratio), size[1])
    return (left, top, right, bottom)


def _widened(low: float, high: float, length: float, limit: float) -> tuple[float, float]:
    length = min(length, limit)
    start = min(max(0.0, (low + high - length) / 2), limit - length)
    return start, start + length


def _cut_out(image: Image.Image, box: Box) -> Image.Image:
    left, top, right, bottom = map(round, box)
    return image.crop((left, top, max(left + 1, right), max(top + 1, bottom)))


def _through(image: Image.Image, curve: Callable[[float], float]) -> Image.Image:
    # One curve for all three primaries keeps the hues.
    return mapped(image, _table(curve) * 3)


def _table(curve: Callable[[float], float]) -> list[int]:
    return [max(0, min(255, round(255 * curve(v / 255)))) for v in range(256)]


def _denoised(image: Image.Image, seen: Measures, strength: float) -> Image.Image:
    # Calm areas are smoothed, edges that stand out of the grain stay.
    radius = min(2.2, 0.8 + seen.noise * 0.07) * (0.5 + strength / 2)
    smooth = image.filter(ImageFilter.GaussianBlur(radius))
    ground = smooth.convert("L").filter(ImageFilter.GaussianBlur(1.5))
    floor = 10 + 1.1 * seen.noise
    steep = mapped(ground.filter(ImageFilter.FIND_EDGES),
                   [max(0, min(255, round((v - floor) * 10))) for v in range(256)])  # fmt: skip
    return Image.composite(image, smooth, steep.filter(ImageFilter.GaussianBlur(1)))


def _neutral(image: Image.Image, seen: Measures, strength: float) -> Image.Image:
    luma, blue, red = image.convert("YCbCr").split()
    parts = [luma]
    strength *= max(0.5, 1 - _TINGE / max(1.0, seen.cast_strength))
    for part, shift in zip((blue, red), seen.cast, strict=True):
        step = round(shift * strength)
        parts.append(mapped(part, [max(0, min(255, v - step)) for v in range(256)]))
    return Image.merge("YCbCr", parts).convert("RGB")


def _tamed(image: Image.Image, _seen: Measures, strength: float) -> Image.Image:
    top = 1 - 0.1 * strength
    return _through(image, lambda v: v if v < 0.6 else 0.6 + (v - 0.6) * (top - 0.6) / 0.4)


def _lifted(image: Image.Image, _seen: Measures, strength: float) -> Image.Image:
    foot = 0.09 * strength
    return _through(image, lambda v: v if v > 0.4 else foot + v * (0.4 - foot) / 0.4)


def _brighter(image: Image.Image, seen: Measures, strength: float) -> Image.Image:
    power = max(0.38, min(0.86, _power(seen.brightness, 122)))
    return _through(image, lambda v: v ** (1 - (1 - power) * strength))


def _darker(image: Image.Image, seen: Measures, strength: float) -> Image.Image:
    power = min(3.4, max(1.16, _power(seen.brightness, 140)))
    return _through(image, lambda v: v ** (1 + (power - 1) * strength))


def _power(mean: float, wanted: float) -> float:
    # The power that brings the mean to where it should be.
    return math.log(wanted / 255) / math.log(max(2.0, min(250.0, mean)) / 255)


def _contrasty(image: Image.Image, seen: Measures, strength: float) -> Image.Image:
    gain = 1 + (max(1.22, min(6.0, 192 / max(1, seen.span))) - 1) * strength
    middle = (seen.darkest + seen.lightest) / 2 / 255
    # The tones stay where they are as far as they find room there.
    half = min(0.5, seen.span / 255 * gain / 2)
    aim = min(max(middle, half), 1 - half)
    luma, *colours = image.convert("YCbCr").split()
    luma = mapped(luma, _table(lambda v: (v - middle) * gain + aim))
    # Colours gain less than tones, or the faintest tinge would become garish.
    livelier = min(gain, 1.3)
    table = _table(lambda v: 128 / 255 + (v - 128 / 255) * livelier)
    colours = [mapped(part, table) for part in colours]
    return Image.merge("YCbCr", [luma, *colours]).convert("RGB")


def _flatter(image: Image.Image, seen: Measures, strength: float) -> Image.Image:
    mean = seen.brightness / 255
    return _through(image, lambda v: mean + (v - mean) * (1 - 0.28 * strength))


def _vivid(image: Image.Image, seen: Measures, strength: float) -> Image.Image:
    least = 1.35 if seen.vivid < 110 else 1.1
    factor = max(least, min(3.2, 118 / max(1, seen.vivid)))
    return _saturated(image, 1 + (factor - 1) * strength)


def _muted(image: Image.Image, _seen: Measures, strength: float) -> Image.Image:
    return _saturated(image, 1 - 0.4 * strength)


def _saturated(image: Image.Image, factor: float) -> Image.Image:
    grey = image.convert("L")
    return Image.blend(Image.merge("RGB", (grey, grey, grey)), image, factor)


def _sharper(image: Image.Image, seen: Measures, strength: float) -> Image.Image:
    # Grain must not be sharpened, so a noisy picture gets less.
    amount = 1.0 if seen.noise > 3 else 3.2 if seen.sharpness < 0.05 else 2.4
    softer = adjust.soften(image, -amount * strength)
    grain = ImageChops.difference(image, softer).convert("L")
    floor = max(1, round(seen.noise * 2))
    kept = mapped(grain, [0] * floor + [255] * (256 - floor))
    return Image.composite(softer, image, kept) if seen.noise > 0.5 else softer


def _polished(image: Image.Image, seen: Measures, strength: float) -> Image.Image:
    # Nothing in particular is wrong: a little more of everything, as far as there is room.
    low, high = percentile(image.convert("L").histogram(), 0.005), seen.lightest
    room = min(1.12, 250 / max(1, high - low))
    mean = seen.brightness / 255
    out = _through(image, lambda v: mean + (v - mean) * (1 + max(0.04, room - 1) * strength))
    out = _saturated(out, 1 + 0.1 * strength)
    return out if seen.noise > 2 else adjust.soften(out, -0.4 * strength)


_REPAIRS: dict[MendKind, Callable[[Image.Image, Measures, float], Image.Image]] = {
    "noise": _denoised, "cast": _neutral, "highlights": _tamed, "shadows": _lifted,
    "brighter": _brighter, "darker": _darker, "contrast": _contrasty, "flatter": _flatter,
    "vivid": _vivid, "muted": _muted, "sharper": _sharper, "polish": _polished,
}  # fmt: skip
_ORDER = ("margins", *_REPAIRS)
_DETAILED = frozenset({"noise", "sharper", "polish"})  # edges and grain matter to these
_CHANGES: dict[MendKind, Change] = {
    "shadows": Change(kind="bright", amount=0.06),
    "highlights": Change(kind="bright", amount=-0.05),
    "brighter": Change(kind="bright", amount=0.17),
    "darker": Change(kind="bright", amount=-0.22),
    "contrast": Change(kind="contrast", amount=1.32),
    "flatter": Change(kind="contrast", amount=0.72),
    "vivid": Change(kind="saturate", amount=1.5),
    "muted": Change(kind="saturate", amount=0.6),
    "polish": Change(kind="contrast", amount=1.08),
}
