"""
Sketches: the state that determines a picture, how the next prompt goes on from it, and its bytes.
"""

import attrs
from PIL import Image

from imagesession._fake_openai.sketch import edit, encode, film, lexicon, naming, svg
from imagesession._fake_openai.sketch.briefs import brief
from imagesession._fake_openai.sketch.caption import sentence
from imagesession._fake_openai.sketch.compose import compose
from imagesession._fake_openai.sketch.encode import EmbeddedState, Format
from imagesession._fake_openai.sketch.pixels import resized
from imagesession._fake_openai.sketch.plan import Plan
from imagesession._fake_openai.sketch.prompt import parse_prompts, without_kept

_SHAPES = {"wide": (1536, 1024), "tall": (1024, 1536), "square": (1024, 1024)}


@attrs.frozen(kw_only=True)
class SketchState:
    """
    Represent everything that determines a picture: the same state always gives the same bytes.

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


def start(
    prompt: str, *, size: tuple[int, int] | None = None, transparent: bool | None = None,
    seed: int = 0, base: bytes | None = None, mask: bytes | None = None,
    insets: tuple[bytes, ...] = (),
) -> SketchState:  # fmt: skip
    """
    Start a sketch.

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
    return SketchState(
        prompts=(prompt,), size=size, seed=seed, base=base, mask=mask, insets=insets,
        transparent=asks_for_transparency(prompt) if transparent is None else transparent,
    )  # fmt: skip


def refine(
    state: SketchState, prompt: str, *, size: tuple[int, int] | None = None,
    transparent: bool | None = None,
) -> SketchState:  # fmt: skip
    """
    Go on from a sketch with the next prompt.

    Args:
        state: The sketch so far.
        prompt: What is asked next.
        size: None keeps the size unless the words ask for another shape.
        transparent: None keeps the ground unless the words say otherwise.
    """
    wanted = prompt if brief(prompt).frame else without_kept(prompt)
    if size is None:
        size = _shaped(wanted, state.size, masked=state.mask is not None)
    if transparent is None:
        transparent = asks_for_transparency(wanted) or (
            state.transparent and not _asks_for_ground(wanted)
        )
    return attrs.evolve(state, prompts=(*state.prompts, prompt), size=size, transparent=transparent)


def from_image(data: bytes, *, seed: int = 0) -> SketchState:
    """
    Recover the state of an encoded picture.

    A picture drawn here carries its state; any other becomes the base of a new one.

    Args:
        data: A PNG, JPEG, WebP or GIF picture, or an SVG drawn here.
        seed: The seed of a picture that has none.

    Raises:
        ValueError: The bytes are no such picture, or it is larger than 64 megapixels.
    """
    size, reported = encode.read(data)
    if reported is not None:
        return SketchState(
            prompts=reported.prompts,
            size=reported.size,
            transparent=reported.transparent,
            seed=reported.seed,
        )
    return SketchState(prompts=(), base=data, size=size, seed=seed)


def asks_for_transparency(prompt: str) -> bool:
    """Tell whether a prompt wants no background."""
    said = brief(prompt)
    if said.frame and said.frame.clear:
        return True
    text = said.text[: naming.READ].lower()
    return bool(lexicon.TRANSPARENT.search(text)) and "not transparent" not in text


def _asks_for_ground(prompt: str) -> bool:
    said = brief(prompt)
    if said.frame:
        return said.frame.grounded
    text = said.text[: naming.READ].lower()
    return naming.find(text).ground is not None or "opaque" in text or "not transparent" in text


def _shaped(prompt: str, size: tuple[int, int] | None, *, masked: bool) -> tuple[int, int]:
    # A picture that has the wanted shape already keeps its size; a masked one always does.
    said = brief(prompt)
    shape = (said.frame.shape if said.frame else "") or naming.shape(
        said.text[: naming.READ].lower()
    )
    if size is None:
        return _SHAPES.get(shape, (1024, 1024))
    w, h = size
    has = "wide" if w > h * 1.2 else "tall" if h > w * 1.2 else "square" if w == h else ""
    if masked or not shape or shape == has:
        return size
    if 800 <= max(size) <= 1536:
        return _SHAPES[shape]
    short = min(size) - min(size) % 2
    long = short * 3 // 2
    return {"wide": (long, short), "tall": (short, long)}.get(shape, (short, short))


def render(
    state: SketchState, *, format: Format = "png", compression: int = 100, frames: int = 9,
    frame_ms: int = 200, share: float = 1.0,
) -> bytes:  # fmt: skip
    """
    Draw a sketch.

    Args:
        state: What to draw.
        format: How to encode it; a GIF is an animation.
        compression: The quality of JPEG and WebP, 0 to 100.
        frames: How many frames a GIF has.
        frame_ms: How long a GIF shows each.
        share: Below 1, how far the picture has come: it is coarse and blurred.

    Returns:
        The encoded picture.

    Raises:
        ValueError: The base, the mask or an inset cannot be decoded.
    """
    note = encode.statement(_embedded_state(state) if share >= 1 else None)
    if format == "svg":
        return _document(state, note, share)
    if format == "gif":
        count = max(1, min(60, frames)) if share >= 1 else 1
        pictures = [_picture(state, i / count, share) for i in range(count)]
        return encode.animate(pictures, frame_ms=frame_ms, note=note)
    grained = "watercolor" in _plan(state).styles
    return encode.encode(_picture(state, 0.0, share), format, compression=compression, note=note,
                         grained=grained)  # fmt: skip


def describe(state: SketchState) -> str:
    """Say in one sentence what a sketch shows, and what was not understood."""
    return sentence(_plan(state), state.prompts, state.size, based=state.base is not None,
                    masked=state.mask is not None, transparent=state.transparent)  # fmt: skip


def _plan(state: SketchState) -> Plan:
    if state.base is not None:
        return edit.plan_for(state.prompts, state.seed)
    return parse_prompts(state.prompts, state.seed)


def _embedded_state(state: SketchState) -> EmbeddedState | None:
    if state.base is not None or state.insets or not state.prompts:
        return None
    return EmbeddedState(prompts=state.prompts, size=state.size, transparent=state.transparent,
                         seed=state.seed)  # fmt: skip


def _picture(state: SketchState, phase: float, share: float) -> Image.Image:
    if state.base is None:
        image = _drawn(state, phase, share)
    elif state.mask is not None:
        image = edit.masked(state.base, state.mask, state.prompts, state.size, seed=state.seed)
    else:
        image = edit.edited(state.base, state.prompts, state.size, transparent=state.transparent,
                            seed=state.seed)  # fmt: skip
    if state.insets and state.mask is None:
        image = edit.framed(image, state.insets)
    if share < 1:
        image = film.unfinished(image, share)
    return _closer(image, phase) if phase and state.base is not None else image


def _closer(image: Image.Image, phase: float) -> Image.Image:
    # A given picture moves by a slow breath of the camera.
    k = 0.02 * (1 - abs(phase - 0.5) * 2)
    w, h = image.size
    box = (w * k, h * k, w * (1 - k), h * (1 - k))
    return resized(image, image.size, Image.Resampling.BILINEAR, box=box)


def _drawn(state: SketchState, phase: float, share: float) -> Image.Image:
    plan, size = _plan(state), state.size
    drawing = compose(plan, size, transparent=state.transparent, phase=phase)
    if share < 1:
        # What will be blurred need not be drawn finely.
        k = max(1, min(4, min(size) // 200))
        small = (max(1, size[0] // k), max(1, size[1] // k))
        return resized(svg.pixels(drawing, small, transparent=state.transparent), size)
    return film.developed(svg.pixels(drawing, size, transparent=state.transparent), plan)


def _document(state: SketchState, note: str, share: float) -> bytes:
    title, plan = describe(state), _plan(state)
    if state.base is not None or state.insets:
        png = encode.encode(_picture(state, 0.0, share), "png", compression=100, note=note)
        return svg.embedding(png, state.size, metadata=note, title=title)
    drawing = compose(plan, state.size, transparent=state.transparent)
    return svg.document(drawing, state.size, metadata=note, title=title,
                        transparent=state.transparent,
                        film=film.filter_of(plan, (1 - share) * 30))  # fmt: skip
