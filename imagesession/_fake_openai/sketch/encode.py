"""
Encode images with a statement and their state in the metadata, and read both again.
"""

import io
import json
import re
import zlib
from typing import Literal, TypeAlias, cast
from xml.sax.saxutils import unescape

import attrs
from PIL import ExifTags, Image, PngImagePlugin

from imagesession._fake_openai.sketch.colour import Colour
from imagesession._fake_openai.sketch.plan import SketchState
from imagesession._imaging.pillow import apply_lut

Format: TypeAlias = Literal["png", "jpeg", "webp", "gif", "svg"]

SOFTWARE = "imagesession offline sketch"
STATEMENT = "Drawn by imagesession's offline provider; not made by a model"
_KEY = "imagesession-story"
_LARGEST = 64_000_000  # pixels of an image that can be read
_DRAWN = 8_300_000  # pixels of an image that an embedded state may ask for
_MAX_PROMPT_BYTES = 8_000  # bytes of prompts that are embedded
_PROMPTS = 200
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, TypeError, KeyError, IndexError,
               OverflowError, MemoryError, ArithmeticError, Warning,
               Image.DecompressionBombError)  # fmt: skip


def statement(state: SketchState | None) -> str:
    note = f"{SOFTWARE}\n{STATEMENT}"
    if state is None or not state.prompts or state.base is not None or state.insets:
        return note
    # Input images and long prompts do not fit into metadata.
    if sum(len(prompt.encode("utf-8", "replace")) for prompt in state.prompts) > _MAX_PROMPT_BYTES:
        return note
    names = ("prompts", "size", "transparent", "seed")
    fields = attrs.asdict(state, filter=lambda field, _: field.name in names)
    return f"{note}\n{_KEY} {json.dumps(fields, separators=(',', ':'))}"


def encode(
    image: Image.Image, format: Literal["png", "jpeg", "webp"], *, compression: int, note: str,
    grained: bool = False,
) -> bytes:  # fmt: skip
    out = io.BytesIO()
    match format:
        case "png":
            info = PngImagePlugin.PngInfo()
            info.add_text("Software", SOFTWARE)
            info.add_text("Comment", note)
            # Run-length encoding is best for flat and softly shaded areas, but not for grain.
            strategy = zlib.Z_DEFAULT_STRATEGY if grained else zlib.Z_RLE
            image.save(out, "PNG", pnginfo=info, compress_level=1, compress_type=strategy)
        case "jpeg":
            quality = max(1, min(95, compression))
            flat(image).save(out, "JPEG", quality=quality, comment=note.encode())
        case "webp":
            quality = max(0, min(100, compression))
            exif = Image.Exif()
            exif[ExifTags.Base.ImageDescription] = note
            image.save(out, "WEBP", quality=quality, method=0, exif=exif)
    return out.getvalue()


def animate(frames: list[Image.Image], *, frame_ms: int, note: str) -> bytes:
    clear = frames[0].mode == "RGBA"
    method = Image.Quantize.FASTOCTREE
    first = flat(frames[0]).quantize(255 if clear else 256, method)
    pictures = [first]
    pictures += [flat(frame).quantize(palette=first, dither=Image.Dither.NONE)
                 for frame in frames[1:]]  # fmt: skip
    if clear:
        for picture, frame in zip(pictures, frames, strict=True):
            hidden = apply_lut(frame.getchannel("A"), [255] * 128 + [0] * 128)
            picture.paste(255, None, hidden)
    out = io.BytesIO()
    options = {"transparency": 255} if clear else {}
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:], loop=0,
                     duration=max(20, frame_ms), comment=note.encode(), disposal=2 if clear else 1,
                     optimize=False, **options)  # fmt: skip
    return out.getvalue()


def flat(image: Image.Image, ground: Colour = (255, 255, 255)) -> Image.Image:
    if image.mode != "RGBA":
        return image.convert("RGB")
    out = Image.new("RGB", image.size, ground)
    out.paste(image, (0, 0), image)
    return out


def size_of(data: bytes) -> tuple[int, int]:
    return _open(data).size


def decode(data: bytes) -> Image.Image:
    image = _open(data)
    try:
        image.load()
        clear = image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info
        return image.convert("RGBA" if clear else "RGB")
    except _UNREADABLE as error:
        raise ValueError("the picture cannot be decoded") from error


def read(data: bytes) -> tuple[tuple[int, int], SketchState | None]:
    if data.lstrip()[:4] == b"<svg":
        state = _parse_state(_metadata_of_svg(data))
        if state is None:
            raise ValueError("an SVG can only be read if it was drawn here")
        return state.size, state
    image = _open(data)
    state = _parse_state(_read_note(image))
    # The state does not describe an image that was cropped or scaled since.
    if state is not None and state.size == image.size:
        return image.size, state
    return decode(data).size, None


def _open(data: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except _UNREADABLE as error:
        raise ValueError("no PNG, JPEG, WebP or GIF picture") from error
    if image.width * image.height > _LARGEST:
        raise ValueError("the picture is larger than 64 megapixels")
    return image


def _read_note(image: Image.Image) -> str:
    if image.format == "WEBP":
        return str(image.getexif().get(ExifTags.Base.ImageDescription, ""))
    info = cast("dict[object, object]", image.info)
    found = info.get("Comment" if image.format == "PNG" else "comment", "")
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)


def _metadata_of_svg(data: bytes) -> str:
    match = re.search(rb"<metadata>([^<]{0,120000})</metadata>", data[:400_000])
    return unescape(match[1].decode("utf-8", "replace")) if match else ""


def _parse_state(note: str) -> SketchState | None:
    # Anything but a state that the sketcher can have written is ignored.
    if not note.startswith(SOFTWARE):
        return None
    try:
        fields = json.loads(note.partition(f"\n{_KEY} ")[2])
        prompts, size = tuple(fields["prompts"]), tuple(fields["size"])
        state = SketchState(
            prompts=prompts, size=cast("tuple[int, int]", size), seed=fields["seed"],
            transparent=fields["transparent"],
        )  # fmt: skip
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return state if _is_ours(state) else None


def _is_ours(state: SketchState) -> bool:
    kinds = {type(part) for part in state.prompts}, [type(part) for part in state.size]
    if kinds != ({str}, [int, int]) or type(state.seed) is not int or abs(state.seed) > 2**63:
        return False
    w, h = state.size
    fits = len(state.prompts) <= _PROMPTS and sum(map(len, state.prompts)) <= _MAX_PROMPT_BYTES
    return fits and w > 0 and h > 0 and w * h <= _DRAWN and type(state.transparent) is bool
