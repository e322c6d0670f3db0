"""
Measure a picture: how bright, contrasty, colourful, sharp and clean its pixels are.

All figures come from histograms and simple filters, so that the largest picture takes a moment.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import attrs
from PIL import Image, ImageChops, ImageFilter, ImageStat

from imagesession._offline.painter import encode
from imagesession._offline.painter.pixels import mapped, resized

Margins: TypeAlias = tuple[float, float, float, float]

_FINE = 1536  # the longer side at which edges and noise are looked at
_COARSE = 384  # and tones and colours
_SMALL = 256  # and margins
_BAND = 2000  # pixels that a band of tones must have, to be judged
_EMPTY = 22  # how far a pixel of an empty margin may lie from the margin's colour
_LAPLACE = ImageFilter.Kernel((3, 3), (0, -1, 0, -1, 4, -1, 0, -1, 0), scale=1, offset=128)
# Neither flat areas, slopes nor straight edges answer this one: what does is mostly noise.
_GRAIN = ImageFilter.Kernel((3, 3), (1, -2, 1, -2, 4, -2, 1, -2, 1), scale=1, offset=128)
_NORMAL = 0.6745  # the median of what is normally spread lies there


@attrs.frozen(kw_only=True)
class Measures:
    """
    Hold what was measured; tones and colours go from 0 to 255.

    Attributes:
        brightness: The mean luminance.
        darkest: The luminance that one in a hundred pixels lies below.
        lightest: The luminance that one in a hundred pixels lies above.
        contrast: The standard deviation of the luminance.
        chroma: The mean distance between a pixel's strongest and weakest primary.
        vivid: The chroma that one in fifty pixels exceeds.
        sharpness: The steepest edges as a share of the picture's own range of tones.
        noise: The standard deviation of the grain in calm areas.
        cast: Blue and red difference that shadows, middle tones and lights have in common.
        blown: The share of pixels that are as light as can be, a plain ground left out.
        crushed: The share of pixels that are as dark as can be, a plain ground left out.
        margins: Empty shares of the picture's sides: left, top, right, bottom.
        blown_at: Where the blown pixels lie.
        crushed_at: Where the crushed pixels lie.
    """

    brightness: float
    darkest: int
    lightest: int
    contrast: float
    chroma: float
    vivid: int
    sharpness: float
    noise: float
    cast: tuple[float, float]
    blown: float
    crushed: float
    margins: Margins
    blown_at: str
    crushed_at: str

    @property
    def span(self) -> int:
        """
        The range of tones, a hundredth at each end left out.
        """
        return self.lightest - self.darkest

    @property
    def cast_strength(self) -> float:
        """
        How far the common colour of all tones lies from grey.
        """
        return math.hypot(*self.cast)


def measure(image: Image.Image) -> Measures:
    """
    Measure a picture; of one with alpha, what can be seen of it.
    """
    fine, mask = _seen(image, _FINE)
    sharp = fine.convert("L")
    seen = measure_tones(image)
    return attrs.evolve(
        seen, sharpness=_sharpness(sharp, mask, seen.span), noise=_noise(sharp, mask),
        margins=margins(image),
    )  # fmt: skip


def measure_tones(image: Image.Image) -> Measures:
    """
    Measure a picture's tones and colours alone, which is quicker; all else is given as 0.
    """
    few, mask = _seen(image, _COARSE)
    grey = few.convert("L")
    tones = grey.histogram(mask)
    colour = _chroma(few)
    stat = ImageStat.Stat(grey, mask)
    blown, blown_at = _clipped(grey, mask, lambda v: v >= 253)
    crushed, crushed_at = _clipped(grey, mask, lambda v: v <= 2)
    return Measures(
        brightness=stat.mean[0], contrast=stat.stddev[0],
        darkest=percentile(tones, 0.01), lightest=percentile(tones, 0.99),
        chroma=ImageStat.Stat(colour, mask).mean[0],
        vivid=percentile(colour.histogram(mask), 0.98),
        sharpness=0.0, noise=0.0, margins=(0.0, 0.0, 0.0, 0.0), cast=_cast(few, grey, mask),
        blown=blown, crushed=crushed, blown_at=blown_at, crushed_at=crushed_at,
    )  # fmt: skip


def measure_encoded(data: bytes) -> Measures:
    """
    Measure an encoded picture.

    Raises:
        ValueError: The bytes are no picture that can be read.
    """
    return measure(encode.decode(data))


def percentile(histogram: Sequence[int], share: float) -> int:
    """
    Find the value that a share of what a histogram counts does not exceed.
    """
    wanted, seen = sum(histogram) * share, 0
    for value, count in enumerate(histogram):
        seen += count
        if seen >= wanted and seen:
            return value
    return 0


def margins(image: Image.Image) -> Margins:
    """
    Find the empty shares of a picture's sides; none where the whole picture is empty.
    """
    w, h = image.size
    few = _reduced(image, _SMALL)
    if few.mode == "RGBA" and few.getchannel("A").histogram()[255] < few.width * few.height:
        box = mapped(few.getchannel("A"), [0] * 24 + [255] * 232).getbbox()
    else:
        box = _content(few.convert("RGB"))
    if box is None or min(w, h) < 16:
        return (0.0, 0.0, 0.0, 0.0)
    left, top, right, bottom = box
    return (left / few.width, top / few.height, 1 - right / few.width, 1 - bottom / few.height)


def _seen(image: Image.Image, side: int) -> tuple[Image.Image, Image.Image | None]:
    few = _reduced(image, side)
    if few.mode != "RGBA":
        return few.convert("RGB"), None
    mask = mapped(few.getchannel("A"), [0] * 128 + [255] * 128)
    return few.convert("RGB"), mask if mask.getbbox() else None


def _reduced(image: Image.Image, side: int) -> Image.Image:
    if max(image.size) <= side:
        return image
    k = side / max(image.size)
    size = (max(1, round(image.width * k)), max(1, round(image.height * k)))
    return resized(image, size, Image.Resampling.BOX)


def _chroma(image: Image.Image) -> Image.Image:
    r, g, b = image.split()
    most = ImageChops.lighter(ImageChops.lighter(r, g), b)
    return ImageChops.subtract(most, ImageChops.darker(ImageChops.darker(r, g), b))


def _inner(image: Image.Image) -> Image.Image:
    # A filter leaves the outermost pixels as they were.
    w, h = image.size
    return image.crop((1, 1, w - 1, h - 1)) if min(w, h) > 4 else image


def _departures(filtered: Image.Image, mask: Image.Image | None) -> list[int]:
    # How often a filter's answer departs from its middle by how much.
    inner = _inner(filtered).histogram(None if mask is None else _inner(mask))
    return [inner[128]] + [
        inner[128 - d] + (inner[128 + d] if d < 128 else 0) for d in range(1, 129)
    ]


def _sharpness(grey: Image.Image, mask: Image.Image | None, span: int) -> float:
    if span < 8:
        return 0.0
    return percentile(_departures(grey.filter(_LAPLACE), mask), 0.997) / span


def _noise(grey: Image.Image, mask: Image.Image | None) -> float:
    # The median lets edges and details pass, which are in the minority.
    counts = _departures(grey.filter(_GRAIN), mask)
    step = percentile(counts, 0.5)
    if not step:
        return 0.0
    # Within the step, as if its pixels were spread evenly: grain is finer than one step.
    below = sum(counts[:step])
    return (step - 0.5 + (sum(counts) / 2 - below) / counts[step]) / _NORMAL / 6


def _cast(image: Image.Image, grey: Image.Image, mask: Image.Image | None) -> tuple[float, float]:
    # Only a colour that all tones share is a cast: a blue sky over a green field is none.
    tones = grey.histogram(mask)
    cuts = (0, percentile(tones, 1 / 3), percentile(tones, 2 / 3), 256)
    _, blue, red = image.convert("YCbCr").split()
    shifts: list[tuple[float, float]] = []
    for low, high in itertools.pairwise(cuts):
        band = mapped(grey, [255 if low <= v < high else 0 for v in range(256)])
        band = band if mask is None else ImageChops.darker(band, mask)
        if band.histogram()[255] > min(_BAND, grey.width * grey.height // 12):
            means = (ImageStat.Stat(part, band).mean[0] - 128 for part in (blue, red))
            shifts.append((next(means), next(means)))
    if not shifts:
        return (0.0, 0.0)
    return (_common([x for x, _ in shifts]), _common([y for _, y in shifts]))


def _common(values: list[float]) -> float:
    least = min(values, key=abs)
    return least if all(value * least > 0 for value in values) else 0.0


def _clipped(
    grey: Image.Image, mask: Image.Image | None, at_the_end: Callable[[int], bool]
) -> tuple[float, str]:
    clipped = mapped(grey, [255 if at_the_end(v) else 0 for v in range(256)])
    if mask is not None:
        clipped = ImageChops.darker(clipped, mask)
    w, h = grey.size
    corners = [(0, 0), (w - 1, 0), (0, h - 1), (w - 1, h - 1)]
    if sum(clipped.getpixel(corner) == 255 for corner in corners) > 1:
        return 0.0, "whole picture"
    seen = w * h if mask is None else mask.histogram()[255]
    return clipped.histogram()[255] / max(1, seen), whereabouts(clipped)


def whereabouts(mask: Image.Image) -> str:
    """
    Say in words in which part of a picture a mask's white pixels lie.
    """
    cells = [[0.0] * 3 for _ in range(3)]
    few = resized(mask, (3, 3), Image.Resampling.BOX)
    for index, value in enumerate(few.tobytes()):
        cells[index // 3][index % 3] = float(value)
    total = sum(map(sum, cells))
    rows = [sum(row) for row in cells]
    columns = [sum(row[i] for row in cells) for i in range(3)]
    upright = _name(rows, total, ("upper", "middle", "lower"))
    across = _name(columns, total, ("left", "centre", "right"))
    if not upright and not across:
        return "whole picture"
    if upright and across:
        return "centre" if (upright, across) == ("middle", "centre") else f"{upright} {across}"
    return f"{upright or across} part"


def _name(shares: list[float], total: float, names: tuple[str, str, str]) -> str:
    most = max(range(3), key=lambda i: shares[i])
    return names[most] if total and shares[most] > 0.55 * total else ""


def _content(image: Image.Image) -> tuple[int, int, int, int] | None:
    calm = image.filter(ImageFilter.BoxBlur(1)) if min(image.size) > 16 else image
    ground = resized(calm.crop((0, 0, 1, 1)), calm.size, Image.Resampling.NEAREST)
    r, g, b = ImageChops.difference(calm, ground).split()
    most = ImageChops.lighter(ImageChops.lighter(r, g), b)
    return mapped(most, [0] * _EMPTY + [255] * (256 - _EMPTY)).getbbox()
