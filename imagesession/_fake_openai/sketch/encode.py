"""
Encode pictures, with the statement of what they are and the story they tell, and read both again.
"""

import io
import json
import re
import zlib
from typing import Literal, TypeAlias, cast

import attrs
from PIL import Image, PngImagePlugin

from imagesession._fake_openai.sketch.pixels import mapped

Format: TypeAlias = Literal["png", "jpeg", "webp", "gif", "svg"]

SOFTWARE = "imagesession offline sketch"
STATEMENT = "Drawn by imagesession's offline provider; not made by a model"
_KEY = "imagesession-story"
_LARGEST = 64_000_000  # pixels of a picture that is read at all
_DRAWN = 8_300_000  # pixels of a picture that a story may ask for
_MAX_PROMPT_BYTES = 8_000  # bytes of prompts that are embedded
_PROMPTS = 200
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, TypeError, KeyError, IndexError,
               OverflowError, MemoryError, ArithmeticError, Warning,
               Image.DecompressionBombError)  # fmt: skip


@attrs.frozen(kw_only=True)
class EmbeddedState:
    """Represent what a picture's metadata tell of how it was made."""

    prompts: tuple[str, ...]
    size: tuple[int, int]
    transparent: bool
    seed: int


def statement(reported: EmbeddedState | None) -> str:
    """Write what a picture is, and its story if it may be embedded."""
    lines = [SOFTWARE, STATEMENT]
    if (
        reported is not None
        and sum(len(p.encode("utf-8", "replace")) for p in reported.prompts) <= _MAX_PROMPT_BYTES
    ):
        sketch = {
            "prompts": reported.prompts,
            "size": reported.size,
            "transparent": reported.transparent,
            "seed": reported.seed,
        }
        lines.append(f"{_KEY} {json.dumps(sketch, separators=(',', ':'))}")
    return "\n".join(lines)


def encode(
    image: Image.Image, format: Format, *, compression: int, note: str, grained: bool = False
) -> bytes:
    """Encode a still picture with a note in its metadata."""
    out = io.BytesIO()
    match format:
        case "png":
            info = PngImagePlugin.PngInfo()
            info.add_text("Software", SOFTWARE)
            info.add_text("Comment", note)
            # Flat and softly shaded areas compress best by runs alone, a repeated grain does not.
            strategy = zlib.Z_DEFAULT_STRATEGY if grained else zlib.Z_RLE
            image.save(out, "PNG", pnginfo=info, compress_level=1, compress_type=strategy)
        case "jpeg":
            quality = max(1, min(95, compression))
            flat(image).save(out, "JPEG", quality=quality, comment=note.encode())
        case "webp":
            image.save(out, "WEBP", quality=max(0, min(100, compression)), method=0,
                       xmp=note.encode())  # fmt: skip
        case "gif":
            return animate([image], frame_ms=0, note=note)
        case _:
            raise ValueError(f"not a raster format: {format}")
    return out.getvalue()


def animate(frames: list[Image.Image], *, frame_ms: int, note: str) -> bytes:
    """Encode frames as an endless GIF."""
    clear = frames[0].mode == "RGBA"
    method = Image.Quantize.FASTOCTREE
    first = flat(frames[0]).quantize(255 if clear else 256, method)
    pictures = [first]
    pictures += [flat(frame).quantize(palette=first, dither=Image.Dither.NONE)
                 for frame in frames[1:]]  # fmt: skip
    if clear:
        for picture, frame in zip(pictures, frames, strict=True):
            hidden = mapped(frame.getchannel("A"), [255] * 128 + [0] * 128)
            picture.paste(255, None, hidden)
    out = io.BytesIO()
    options = {"transparency": 255} if clear else {}
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:], loop=0,
                     duration=max(20, frame_ms), comment=note.encode(), disposal=2 if clear else 1,
                     optimize=False, **options)  # fmt: skip
    return out.getvalue()


def flat(image: Image.Image) -> Image.Image:
    """Lay a picture onto white, if it has alpha."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    ground = Image.new("RGB", image.size, "white")
    ground.paste(image, (0, 0), image.getchannel("A"))
    return ground


def size_of(data: bytes) -> tuple[int, int]:
    """Measure an encoded raster picture."""
    return _opened(data).size


def decode(data: bytes) -> Image.Image:
    """Decode a raster picture as RGB, or as RGBA if it has alpha."""
    image = _opened(data)
    try:
        image.load()
        clear = image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info
        return image.convert("RGBA" if clear else "RGB")
    except _UNREADABLE as error:
        raise ValueError("the picture cannot be decoded") from error


def read(data: bytes) -> tuple[tuple[int, int], EmbeddedState | None]:
    """Read the size of an encoded picture, and its story if it is one of ours."""
    if data.lstrip()[:4] == b"<svg":
        reported = _parsed(_metadata_of_svg(data))
        if reported is None:
            raise ValueError("an SVG can only be read if it was drawn here")
        return reported.size, reported
    image = _opened(data)
    reported = _parsed(_note(image))
    # A picture that was cropped or scaled since is no longer the one its story tells.
    if reported is not None and reported.size == image.size:
        return image.size, reported
    return decode(data).size, None


def _opened(data: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except _UNREADABLE as error:
        raise ValueError("no PNG, JPEG, WebP or GIF picture") from error
    if image.width * image.height > _LARGEST:
        raise ValueError("the picture is larger than 64 megapixels")
    return image


def _note(image: Image.Image) -> str:
    info = cast("dict[object, object]", image.info)
    found = info.get({"PNG": "Comment", "WEBP": "xmp"}.get(image.format or "", "comment"))
    if isinstance(found, bytes):
        return found.decode("utf-8", "replace")
    return found if isinstance(found, str) else ""


def _metadata_of_svg(data: bytes) -> str:
    match = re.search(rb"<metadata>([^<]{0,120000})</metadata>", data[:400_000])
    if match is None:
        return ""
    text = match[1].decode("utf-8", "replace")
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _parsed(note: str) -> EmbeddedState | None:
    # Whatever is not exactly a state that we could have written is none.
    if not note.startswith(SOFTWARE):
        return None
    try:
        fields = json.loads(note.partition(f"\n{_KEY} ")[2])
        prompts, size = tuple(fields["prompts"]), tuple(fields["size"])
        state = EmbeddedState(
            prompts=prompts, size=cast("tuple[int, int]", size), seed=fields["seed"],
            transparent=fields["transparent"],
        )  # fmt: skip
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return state if _is_ours(state) else None


def _is_ours(state: EmbeddedState) -> bool:
    kinds = {type(part) for part in state.prompts}, [type(part) for part in state.size]
    if kinds != ({str}, [int, int]) or type(state.seed) is not int or abs(state.seed) > 2**63:
        return False
    w, h = state.size
    fits = len(state.prompts) <= _PROMPTS and sum(map(len, state.prompts)) <= _MAX_PROMPT_BYTES
    return fits and w > 0 and h > 0 and w * h <= _DRAWN and type(state.transparent) is bool
