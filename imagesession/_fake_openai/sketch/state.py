"""
The state of a sketch, which determines its image.
"""

import attrs


@attrs.frozen(kw_only=True)
class SketchState:
    """
    Everything that determines an image: the same state always gives the same bytes.

    Attributes:
        prompts: The prompts, oldest first; the first sets the subject, the rest refine it.
        size: Width and height in pixels.
        transparent: Draw no ground.
        seed: Varies details of the composition.
        base: An encoded raster image that the prompts change; None draws from nothing.
        mask: An encoded PNG with alpha: the base changes where alpha is 0, stays where it is 255,
            and is blended between.
        insets: Further reference images, shown as small framed prints.
    """

    prompts: tuple[str, ...]
    size: tuple[int, int]
    transparent: bool = False
    seed: int = 0
    base: bytes | None = None
    mask: bytes | None = None
    insets: tuple[bytes, ...] = ()
