"""
Thumbnails that are embedded in the gallery page.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from imagesession._domain.previews import Preview
from imagesession._domain.turn import ImageRecord
from imagesession._engine.store import Store
from imagesession._imaging.thumbnails import encode_within, load_small
from imagesession.errors import ImageSessionError

_TOTAL_BYTES = 4_600_000
_MIN_BYTES, _MAX_BYTES = 900, 20_000
# Longer edge and quality, from the finest to the coarsest.
_STEPS = ((448, 74), (320, 66), (256, 60), (192, 54), (144, 46), (112, 40), (96, 32), (80, 22))
_MAX_THREADS = 4
# The fewest bits per pixel that a drawing or photo needs.
_MIN_BITS_PER_PIXEL = 0.3


def make_thumbnails(store: Store, images: Iterable[ImageRecord]) -> dict[str, Preview]:
    records = tuple(images)
    make = functools.partial(thumbnail, store, max_bytes=allowance(len(records)))
    # Pillow's decoders release the GIL.
    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        made = zip(records, pool.map(make, records), strict=True)
        return {image.id: preview for image, preview in made if preview}


def allowance(count: int) -> int:
    return min(max(_TOTAL_BYTES // max(count, 1), _MIN_BYTES), _MAX_BYTES)


def thumbnail(store: Store, image: ImageRecord, max_bytes: int) -> Preview | None:
    """
    Make a thumbnail as WebP, of at most `max_bytes` unless it cannot be made that small; None if
    the file is missing, damaged, or cannot be rendered.
    """
    promising = [step for step in _STEPS if step[0] ** 2 * _MIN_BITS_PER_PIXEL / 8 <= max_bytes]
    steps = promising or _STEPS[-1:]
    side = steps[0][0]
    try:
        picture = load_small(store.images.read(image), f"Image {image.id}", (side, side))
    except ImageSessionError:
        return None
    return encode_within(picture, "webp", steps, max_bytes)
