"""
Small pictures for a page that carries all of them in itself.
"""

from __future__ import annotations

from typing import Literal

import attrs

from imagesession._model.turns import ImageRecord
from imagesession._pixels.forms import has_alpha
from imagesession._pixels.shrinking import small
from imagesession._pixels.squeezing import Step, expected, squeezed
from imagesession._pixels.thumbnails import drawing
from imagesession._plan.store import Store
from imagesession._show.embedding import encoded
from imagesession.errors import ImageSessionError

_ALL = 4_600_000
# In steps, so that a few pictures more leave the thumbnails of an earlier gallery as they are.
_ALLOWANCES = (20_000, 14_000, 10_000, 7_000, 5_000, 3_500, 2_400, 1_700, 1_200, 900)
_SVG_TIMES = 4
_STEPS = (
    Step(448, 74),
    Step(320, 66),
    Step(256, 60),
    Step(192, 54),
    Step(144, 46),
    Step(112, 40),
    Step(96, 32),
    Step(80, 22),
)


@attrs.frozen(kw_only=True)
class Thumbnail:
    """
    A small picture, as a page shows it.

    Attributes:
        kind: "webp" for pixels; "svg" for a drawing that was made safe.
        data: Its bytes in base64.
        alpha: Whether something of it is transparent.
    """

    kind: Literal["webp", "svg"]
    data: str
    alpha: bool


def allowance(count: int) -> int:
    """
    Return how many bytes one of so many thumbnails may have, so that their page stays light.
    """
    share = _ALL // max(count, 1)
    return next((one for one in _ALLOWANCES if one <= share), _ALLOWANCES[-1])


def thumbnail(store: Store, image: ImageRecord, most: int) -> Thumbnail | None:
    """
    Make a picture small.

    Args:
        store: Where it is kept.
        image: Which one it is.
        most: As many bytes as it may have, unless it cannot be made that small; a drawing may
            have four times as many.

    Returns:
        The thumbnail; None where the file is gone or damaged, or a drawing is too large.
    """
    try:
        data, name = store.read(image), f"Picture {image.id}"
        if image.format != "svg":
            return _pixels(data, name, most)
        safe = drawing(data, name, most * _SVG_TIMES)
    except ImageSessionError:
        return None
    return None if safe is None else Thumbnail(kind="svg", data=encoded(safe), alpha=True)


def _pixels(data: bytes, name: str, most: int) -> Thumbnail:
    begin = expected(_STEPS, most)
    picture = small(data, name, (_STEPS[begin].side, _STEPS[begin].side))
    made = squeezed(picture, "webp", _STEPS, most, begin)
    return Thumbnail(kind="webp", data=encoded(made.data), alpha=has_alpha(picture))
