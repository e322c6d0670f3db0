"""
Images for tests, made with Pillow.
"""

from __future__ import annotations

import functools
import io
from typing import Any

import pillow_heif
from PIL import Image, ImageChops, ImageCms, ImageDraw

# Each corner has its own colour, so that all rotations and reflections can be told apart.
CORNERS = {
    (0, 0): (220, 30, 30),
    (1, 0): (30, 200, 40),
    (0, 1): (40, 60, 220),
    (1, 1): (240, 220, 40),
}
SIZE = (48, 32)


def corners(size: tuple[int, int] = SIZE) -> Image.Image:
    """
    Draw an image whose four quarters differ.
    """
    picture = Image.new("RGB", size)
    brush = ImageDraw.Draw(picture)
    width, height = size[0] // 2, size[1] // 2
    for (right, down), colour in CORNERS.items():
        left, top = right * width, down * height
        brush.rectangle((left, top, left + width, top + height), fill=colour)
    return picture


def noise(size: tuple[int, int] = SIZE, mode: str = "RGB") -> Image.Image:
    """
    Draw an image of random noise.
    """
    bands = [Image.effect_noise(size, 90) for _ in Image.new(mode, (1, 1)).getbands()]
    return Image.merge(mode, bands) if len(bands) > 1 else bands[0].convert(mode)


def encoded(picture: Image.Image, format: str = "PNG", **options: object) -> bytes:
    """
    Encode an image.
    """
    buffer = io.BytesIO()
    if format == "HEIF":
        heif: Any = pillow_heif.from_pillow(picture)
        heif.save(buffer, **{"quality": -1, **options})
    else:
        picture.save(buffer, format, **options)
    return buffer.getvalue()


def decoded(data: bytes) -> Image.Image:
    """
    Decode an image.
    """
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return picture


def turned(orientation: int) -> bytes:
    """
    Make EXIF with an orientation tag.
    """
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def colours(picture: Image.Image) -> dict[tuple[int, int], tuple[int, ...]]:
    """
    Return the colour in the middle of each quarter.
    """
    rgb = picture.convert("RGB")
    colors: dict[tuple[int, int], tuple[int, ...]] = {}
    for right, down in CORNERS:
        at = ((1 + 2 * right) * rgb.width // 4, (1 + 2 * down) * rgb.height // 4)
        colour = rgb.getpixel(at)
        assert isinstance(colour, tuple)
        colors[right, down] = colour
    return colors


def is_alike(first: Image.Image, second: Image.Image, *, by: int = 0) -> bool:
    """
    Return whether no channel value of two images differs by more than `by`.
    """
    if first.size != second.size:
        return False
    differences = ImageChops.difference(first.convert("RGBA"), second.convert("RGBA"))
    return all(sum(band.histogram()[by + 1 :]) == 0 for band in differences.split())


def profile(space: str) -> ImageCms.ImageCmsProfile:
    """
    Make an ICC profile of a colour space that Pillow knows.
    """
    loose: Any = ImageCms
    return ImageCms.ImageCmsProfile(loose.createProfile(space))


@functools.cache
def srgb() -> bytes:
    """
    Return the bytes of an ICC profile, which has the second in which it was made.
    """
    return profile("sRGB").tobytes()


def other_rgb() -> bytes:
    """
    Return the bytes of an ICC profile whose red and blue have changed places.
    """
    return srgb().replace(b"rXYZ", b"....").replace(b"bXYZ", b"rXYZ").replace(b"....", b"bXYZ")
