"""
Small pictures for a page that carries all of them in itself.
"""

from __future__ import annotations

from imagesession._domain.previews import Preview
from imagesession._domain.turn import ImageRecord
from imagesession._engine.store import Store
from imagesession._imaging.thumbnails import EncodingStep, encode_within, load_small
from imagesession.errors import ImageSessionError

_ALL = 4_600_000
_LEAST, _MOST = 900, 20_000
# From the finest to the coarsest, as they look best.
_STEPS = tuple(
    EncodingStep(*step)
    for step in (
        (448, 74),
        (320, 66),
        (256, 60),
        (192, 54),
        (144, 46),
        (112, 40),
        (96, 32),
        (80, 22),
    )
)
# What a drawing or photo takes in bits a pixel at least.
_BITS_EXPECTED = 0.3


def allowance(count: int) -> int:
    """
    Return how many bytes one of so many thumbnails may have, so that their page stays light.
    """
    return min(max(_ALL // max(count, 1), _LEAST), _MOST)


def thumbnail(store: Store, image: ImageRecord, max_bytes: int) -> Preview | None:
    """
    Make a picture small, as WebP.

    Args:
        store: Where it is kept.
        image: Which one it is.
        max_bytes: As many bytes as it may have, unless it cannot be made that small.

    Returns:
        The thumbnail; None where the file is gone, damaged, or cannot be drawn.
    """
    promising = [step for step in _STEPS if step.side**2 * _BITS_EXPECTED / 8 <= max_bytes]
    steps = promising or _STEPS[-1:]
    side = steps[0].side
    try:
        picture = load_small(store.read(image), f"Picture {image.id}", (side, side))
    except ImageSessionError:
        return None
    return encode_within(picture, "webp", steps, max_bytes)
