"""
Limits on an image's bytes and pixels, and the errors for exceeding them.
"""

from __future__ import annotations

from imagesession.errors import InvalidImageError

MAX_BYTES = 25_000_000
MAX_PIXELS = 64_000_000


def check_bytes(size: int, name: str, *, limit: int | None = MAX_BYTES, form: str = "") -> None:
    if limit is not None and size > limit:
        converted = f" as {form}" if form else ""
        raise InvalidImageError(
            f"{name} has {size / 1e6:.1f} MB{converted}; the limit is {limit / 1e6:.0f} MB. "
            "Make it smaller."
        )


def check_pixels(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise InvalidImageError(
            f"{name} has {width}x{height} pixels; the limit is {MAX_PIXELS / 1e6:.0f} million. "
            "Make it smaller."
        )
