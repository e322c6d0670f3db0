"""
Stories: everything that determines a picture, and how the next prompt continues one.
"""

import attrs

from imagesession._offline.painter import briefs, encode, lexicon, mending, naming
from imagesession._offline.painter.remedies import read, told

_SHAPES = {"wide": (1536, 1024), "tall": (1024, 1536), "square": (1024, 1024)}


@attrs.frozen(kw_only=True)
class Story:
    """
    Represent everything that determines a picture: the same story always gives the same bytes.

    Attributes:
        prompts: What was asked, oldest first; the first sets the subject, the rest refine.
        size: Width and height in pixels.
        transparent: Paint no ground.
        seed: Varies details of the composition.
        base: An encoded raster picture that the prompts change; None draws from nothing.
        mask: An encoded PNG with alpha: where alpha is 0 the base may change, where it is full no
            pixel does; between, the change fades.
        insets: Further reference pictures, shown as small framed prints.
    """

    prompts: tuple[str, ...]
    size: tuple[int, int]
    transparent: bool = False
    seed: int = 0
    base: bytes | None = None
    mask: bytes | None = None
    insets: tuple[bytes, ...] = ()


def begin(
    prompt: str, *, size: tuple[int, int] | None = None, transparent: bool | None = None,
    seed: int = 0, base: bytes | None = None, mask: bytes | None = None,
    insets: tuple[bytes, ...] = (),
) -> Story:  # fmt: skip
    """
    Start a story.

    Args:
        prompt: What is asked.
        size: In pixels; None chooses from the words, or takes the base's own size.
        transparent: Paint no ground; None decides from the words.
        seed: Varies details of the composition.
        base: A picture to change.
        mask: Where the base may change.
        insets: Further reference pictures.

    Raises:
        ValueError: The base is no picture that can be read.
    """
    if size is None:
        own = None if base is None else encode.size_of(base)
        size = _shaped(prompt, own, masked=mask is not None)
    return Story(
        prompts=(prompt,), size=size, seed=seed, base=base, mask=mask, insets=insets,
        transparent=asks_for_transparency(prompt) if transparent is None else transparent,
    )  # fmt: skip


def retell(
    story: Story, prompt: str, *, size: tuple[int, int] | None = None,
    transparent: bool | None = None,
) -> Story:  # fmt: skip
    """
    Continue a story with the next prompt.

    Args:
        story: The story so far.
        prompt: What is asked next.
        size: None keeps the size unless the words ask for another shape.
        transparent: None keeps the ground unless the words say otherwise.
    """
    framed = briefs.brief(prompt).frame is not None
    wanted = prompt if framed else told(prompt)
    if size is None:
        own = _cropped(story) if not framed and mending.crops(read(prompt).mends) else story.size
        size = _shaped(wanted, own, masked=story.mask is not None)
    if transparent is None:
        transparent = asks_for_transparency(wanted) or (
            story.transparent and not _asks_for_ground(wanted)
        )
    return attrs.evolve(story, prompts=(*story.prompts, prompt), size=size, transparent=transparent)


def recall(data: bytes, *, seed: int = 0) -> Story:
    """
    Recover the story of an encoded picture.

    A picture drawn here carries its story; any other becomes the base of a new one.

    Args:
        data: A PNG, JPEG, WebP or GIF picture, or an SVG drawn here.
        seed: The seed of a story that has none.

    Raises:
        ValueError: The bytes are no such picture, or it is larger than 64 megapixels.
    """
    size, told = encode.read(data)
    if told is not None:
        return Story(prompts=told.prompts, size=told.size, transparent=told.transparent,
                     seed=told.seed)  # fmt: skip
    return Story(prompts=(), base=data, size=size, seed=seed)


def asks_for_transparency(prompt: str) -> bool:
    """
    Tell whether a prompt wants no background.
    """
    said = briefs.brief(prompt)
    if said.frame and said.frame.clear:
        return True
    text = said.text[:3000].lower()
    return bool(lexicon.TRANSPARENT.search(text)) and "not transparent" not in text


def _asks_for_ground(prompt: str) -> bool:
    said = briefs.brief(prompt)
    if said.frame:
        return said.frame.grounded
    text = said.text[:3000].lower()
    return naming.find(text).ground is not None or "opaque" in text or "not transparent" in text


def _cropped(story: Story) -> tuple[int, int]:
    # Without its margins a given picture has another shape; a drawing fills its own again.
    if story.base is None or story.mask is not None:
        return story.size
    return mending.cropped(encode.decode(story.base)).size


def _shaped(prompt: str, size: tuple[int, int] | None, *, masked: bool) -> tuple[int, int]:
    # A picture that has the wanted shape already keeps its size; a masked one always does.
    said = briefs.brief(prompt)
    shape = (said.frame.shape if said.frame else "") or naming.shape(said.text[:3000].lower())
    if size is None:
        return _SHAPES.get(shape, (1024, 1024))
    w, h = size
    has = "wide" if w > h * 1.2 else "tall" if h > w * 1.2 else "square" if w == h else ""
    if masked or not shape or shape == has:
        return size
    if max(size) < 800 or max(size) > 1536:
        short = min(size)
        short -= short % 2
        return {"wide": (short * 3 // 2, short), "tall": (short, short * 3 // 2)}.get(
            shape, (short, short)
        )
    return _SHAPES[shape]
