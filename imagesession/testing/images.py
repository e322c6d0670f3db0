"""
Tiny images and masks.
"""

import io

from PIL import Image


def tiny_image(
    format: str = "png",
    size: tuple[int, int] = (64, 64),
    colour: tuple[int, int, int] = (200, 80, 40),
) -> bytes:
    """
    Make an image of one colour.

    Args:
        format: Any format that Pillow writes: png, jpeg, webp, gif.
        size: Width and height in pixels.
        colour: Red, green and blue, each 0 to 255.
    """
    return _save(Image.new("RGB", size, colour), format)


def tiny_mask(
    size: tuple[int, int] = (64, 64), box: tuple[int, int, int, int] | None = None
) -> bytes:
    """
    Make a PNG mask that lets a box be changed and protects the rest.

    Args:
        size: Width and height in pixels, the same as the image's.
        box: Left, top, right and bottom in pixels; by default the left half.
    """
    mask = Image.new("RGBA", size, (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), box or (0, 0, size[0] // 2, size[1]))
    return _save(mask, "png")


def _save(image: Image.Image, format: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format)
    return buffer.getvalue()
