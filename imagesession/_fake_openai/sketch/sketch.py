"""
Sketches: starting and refining a state, reading it from an image, and rendering it.
"""

import attrs
from PIL import Image

from imagesession._fake_openai.sketch import edit, encode, film, naming, svg
from imagesession._fake_openai.sketch.caption import sentence
from imagesession._fake_openai.sketch.compose import compose
from imagesession._fake_openai.sketch.encode import Format
from imagesession._fake_openai.sketch.framing import read_brief
from imagesession._fake_openai.sketch.lexicon import RULES, first_in
from imagesession._fake_openai.sketch.plan import Plan, SketchState
from imagesession._fake_openai.sketch.prompt import parse_prompts, without_kept
from imagesession._imaging.pillow import resize

_SHAPES = {"wide": (1536, 1024), "tall": (1024, 1536), "square": (1024, 1024)}


def start(
    prompt: str, *, size: tuple[int, int] | None = None, transparent: bool | None = None,
    seed: int = 0, base: bytes | None = None, mask: bytes | None = None,
    insets: tuple[bytes, ...] = (),
) -> SketchState:  # fmt: skip
    """
    Start a sketch. Without a size, the words or else the base decide; ValueError if the base is no
    image that can be read.
    """
    if size is None:
        own = None if base is None else encode.size_of(base)
        size = _choose_size(prompt, own, masked=mask is not None)
    return SketchState(
        prompts=(prompt,), size=size, seed=seed, base=base, mask=mask, insets=insets,
        transparent=_is_clear(prompt, before=False) if transparent is None else transparent,
    )  # fmt: skip


def refine(
    state: SketchState, prompt: str, *, size: tuple[int, int] | None = None,
    transparent: bool | None = None,
) -> SketchState:  # fmt: skip
    """Apply the next prompt; size and ground stay unless given, or the words ask for others."""
    instructions = prompt if read_brief(prompt).kind else without_kept(prompt)
    if size is None:
        size = _choose_size(instructions, state.size, masked=state.mask is not None)
    if transparent is None:
        transparent = _is_clear(instructions, before=state.transparent)
    return attrs.evolve(state, prompts=(*state.prompts, prompt), size=size, transparent=transparent)


def from_image(data: bytes, *, seed: int = 0) -> SketchState:
    """
    Recover the state of an encoded image; one that was not drawn here becomes the base of a new
    state. ValueError if it cannot be read, or is larger than 64 megapixels.
    """
    size, state = encode.read(data)
    if state is not None:
        return state
    return SketchState(prompts=(), base=data, size=size, seed=seed)


def _is_clear(prompt: str, *, before: bool) -> bool:
    # Without words about it, the background stays as it was.
    brief = read_brief(prompt)
    opaque = "opaque" in brief.words or "not transparent" in brief.words
    if brief.clear or (RULES["transparent"].search(brief.words) and not opaque):
        return True
    if brief.kind:
        return before and brief.kind in {"icon", "button"}
    return before and not opaque and naming.find(brief.words).ground is None


def _choose_size(prompt: str, size: tuple[int, int] | None, *, masked: bool) -> tuple[int, int]:
    # An image that has the shape already keeps its size; a masked one always does.
    brief = read_brief(prompt)
    shape = brief.shape or first_in("shapes", brief.words) or ""
    if size is None:
        return _SHAPES.get(shape, (1024, 1024))
    w, h = size
    current = "wide" if w > h * 1.2 else "tall" if h > w * 1.2 else "square" if w == h else ""
    if masked or not shape or shape == current:
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
    Draw a sketch, below a share of 1 as a partial image. ValueError if the base, the mask or an
    inset cannot be decoded.
    """
    note = encode.statement(state if share >= 1 else None)
    if format == "svg":
        return _render_svg(state, note, share)
    if format == "gif":
        count = max(1, min(60, frames)) if share >= 1 else 1
        pictures = [_render_image(state, i / count, share) for i in range(count)]
        return encode.animate(pictures, frame_ms=frame_ms, note=note)
    grained = "watercolor" in _plan(state).styles
    image = _render_image(state, 0.0, share)
    return encode.encode(image, format, compression=compression, note=note, grained=grained)


def describe(state: SketchState) -> str:
    return sentence(_plan(state), state)


def _plan(state: SketchState) -> Plan:
    if state.base is not None:
        return edit.plan_for(state.prompts, state.seed)
    return parse_prompts(state.prompts, state.seed)


def _render_image(state: SketchState, phase: float, share: float) -> Image.Image:
    image = edit.edited(state, state.base) if state.base is not None else _draw(state, phase, share)
    if state.insets and state.mask is None:
        image = edit.paste_insets(image, state.insets)
    return film.make_partial(image, share) if share < 1 else image


def _draw(state: SketchState, phase: float, share: float) -> Image.Image:
    plan, (w, h) = _plan(state), state.size
    # A partial image is blurred, so it need not be rendered at full size.
    k = 1 if share >= 1 else max(1, min(4, min(w, h) // 200))
    drawing = compose(plan, state.size, transparent=state.transparent, phase=phase)
    size = (max(1, w // k), max(1, h // k))
    image = film.apply_effects(svg.pixels(drawing, size, transparent=state.transparent), plan)
    return resize(image, state.size) if k > 1 else image


def _render_svg(state: SketchState, note: str, share: float) -> bytes:
    title, plan = describe(state), _plan(state)
    if state.base is not None or state.insets:
        png = encode.encode(_render_image(state, 0.0, share), "png", compression=100, note=note)
        return svg.embedding(png, state.size, metadata=note, title=title)
    drawing = compose(plan, state.size, transparent=state.transparent)
    return svg.document(drawing, state.size, metadata=note, title=title,
                        transparent=state.transparent,
                        film=film.filter_of(plan, (1 - share) * 30))  # fmt: skip
