"""
The sketcher's files: formats, metadata, and reading them again.
"""

import io
import json
import subprocess
import sys
from typing import Literal
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from imagesession._fake_openai.sketch import (
    SketchState,
    describe,
    from_image,
    refine,
    render,
    start,
)
from imagesession._imaging.pillow import resize

Format = Literal["png", "jpeg", "webp", "gif", "svg"]
FORMATS: tuple[Format, ...] = ("png", "jpeg", "webp", "gif", "svg")
MAGIC = {"png": b"\x89PNG", "jpeg": b"\xff\xd8", "webp": b"RIFF", "gif": b"GIF89a", "svg": b"<svg"}
SMALL = (128, 96)


def raster(size: tuple[int, int] = (120, 90)) -> bytes:
    """
    Encode an image that the sketcher did not draw.
    """
    image = resize(Image.linear_gradient("L"), size).convert("RGB")
    image.paste((200, 40, 40), (40, 30, 80, 60))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def mask_with_hole(size: tuple[int, int], box: tuple[int, int, int, int]) -> bytes:
    """
    Encode a mask that is transparent in a box.
    """
    image = Image.new("RGBA", size, (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), box)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_has_its_magic_and_the_statement(format: Format) -> None:
    """
    Each format begins with its magic bytes, and has the statement that it is an offline sketch.
    """
    data = render(start("a cat", size=SMALL), format=format)
    assert data.startswith(MAGIC[format])
    assert b"imagesession offline sketch" in data
    assert b"not made by a model" in data


@pytest.mark.parametrize("format", FORMATS)
def test_state_is_read_from_the_image(format: Format) -> None:
    """
    The state is read from an image that is sent back, so that it can be redrawn.
    """
    sketch = refine(start('a <cat> & "dog" at night ü 猫', size=SMALL, seed=5), "bluer")
    assert from_image(render(sketch, format=format)) == sketch


def test_same_state_gives_the_same_bytes_in_another_process() -> None:
    """
    Images do not depend on the process that renders them.
    """
    code = (
        "import sys; from imagesession._fake_openai.sketch import start, render;"
        "sys.stdout.buffer.write(render(start('a cat in the snow, watercolor', size=(128, 96))))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert output == render(start("a cat in the snow, watercolor", size=SMALL))


@pytest.mark.parametrize("prompt", ["a cat", "mountain lake", "synergy", "a teapot logo", "🚲 🌧"])
def test_gif_is_animated(prompt: str) -> None:
    """
    An animation has the requested number of frames, loops, and its frames differ.
    """
    data = render(start(prompt, size=SMALL), format="gif", frames=5, frame_ms=120)
    with Image.open(io.BytesIO(data)) as image:
        assert getattr(image, "n_frames", 1) == 5
        assert image.info["duration"] == 120
        assert image.info["loop"] == 0
        frames = set[bytes]()
        for i in range(5):
            image.seek(i)
            frames.add(image.convert("RGB").tobytes())
    assert len(frames) > 1


@pytest.mark.parametrize(
    "prompt",
    ["Sunset over a mountain lake", "watercolor castle", 'logo "Lotus"', "neon city, foggy"],
)
def test_svg_has_shapes_only(prompt: str) -> None:
    """
    The SVG is well-formed and made of shapes, without bitmaps or scripts.
    """
    data = render(start(prompt, size=SMALL), format="svg")
    root = ET.fromstring(data)  # noqa: S314 - written by ourselves a line above
    tags = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert tags.count("path") > 5
    assert not {"image", "script", "foreignObject"} & set(tags)


def test_jpeg_quality_follows_compression() -> None:
    """
    A lower number makes a smaller file.
    """
    sketch = start("a red bicycle in the rain", size=(256, 256))
    assert len(render(sketch, format="jpeg", compression=20)) < len(render(sketch, format="jpeg"))


def test_edited_base_has_no_state() -> None:
    """
    A prompt changes a base image; the result, which has no embedded state, is the base of the next
    edit.
    """
    base = raster()
    sketch = start("bluer", base=base)
    assert sketch.size == (120, 90)
    data = render(sketch)
    before, after = Image.open(io.BytesIO(base)), Image.open(io.BytesIO(data))
    assert after.getpixel((60, 45)) != before.getpixel((60, 45))
    state = from_image(data)
    assert state == SketchState(prompts=(), base=data, size=(120, 90))


@pytest.mark.parametrize(
    "prompt", ["horizontal version", "add a cat", "remove the background", "white background",
               "flat", "outline", "neon", "watercolor", "more geometric", "pastel",
               "at night in the rain", "bigger", "smaller", 'add text "Hi"', "frobnicate", ""],
)  # fmt: skip
def test_refinements_change_a_base(prompt: str) -> None:
    """
    Refinements change a base image too.
    """
    base = raster((160, 160))
    sketch = start(prompt, base=base)
    data = render(sketch)
    after = Image.open(io.BytesIO(data))
    assert after.size == sketch.size
    plain = Image.open(io.BytesIO(base)).convert("RGBA")
    assert after.size != (160, 160) or after.convert("RGBA").tobytes() != plain.tobytes()


@pytest.mark.parametrize("prompt", ["a cat", "a blue sea", "bluer", "", "remove it", "synergy"])
def test_mask_keeps_the_rest_unchanged(prompt: str) -> None:
    """
    Outside the mask no pixel changes; inside some do; the result has no embedded state.
    """
    base, box = raster((160, 120)), (50, 30, 110, 90)
    data = render(start(prompt, base=base, mask=mask_with_hole((160, 120), box)))
    before, after = Image.open(io.BytesIO(base)), Image.open(io.BytesIO(data))
    inside_before, inside_after = before.crop(box), after.crop(box)
    assert inside_before.tobytes() != inside_after.tobytes()
    for image in (before, after):
        image.paste((0, 0, 0), box)
    assert before.tobytes() == after.tobytes()
    assert from_image(data).prompts == ()


def test_insets_are_visible() -> None:
    """
    Reference images are visible in the image.
    """
    sketch = start("a cat", size=(256, 256), insets=(raster(), raster()))
    assert render(sketch) != render(start("a cat", size=(256, 256)))
    assert render(sketch, format="svg") != render(start("a cat", size=(256, 256)), format="svg")


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"<svg></svg>", b"RIFF0000WEBP", b"BM"]
)
def test_invalid_images_are_rejected(data: bytes) -> None:
    """
    Bytes that are no image raise ValueError.
    """
    with pytest.raises(ValueError, match=r"picture|drawn"):
        from_image(data)


@pytest.mark.parametrize(
    "sketch",
    [
        "",
        "{",
        "[]",
        '{"prompts":["a"]}',
        '{"prompts":[1],"size":[8,8],"transparent":false,"seed":0}',
        '{"prompts":["a"],"size":[99999,99999],"transparent":false,"seed":0}',
        '{"prompts":["a"],"size":[-1,8],"transparent":false,"seed":0}',
        '{"prompts":["a"],"size":[true,8],"transparent":false,"seed":0}',
        '{"prompts":[],"size":[8,8],"transparent":false,"seed":0}',
        '{"prompts":["a"],"size":[9,8],"transparent":false,"seed":0}',
        "[" * 5000,
    ],
)
def test_invalid_state_is_ignored(sketch: str) -> None:
    """
    Metadata that the sketcher cannot have written is ignored.
    """
    info = PngImagePlugin.PngInfo()
    head = (
        "imagesession offline sketch\nDrawn by imagesession's offline provider; not made by a model"
    )
    info.add_text("Comment", f"{head}\nimagesession-story {sketch}")
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG", pnginfo=info)
    state = from_image(out.getvalue())
    assert state.prompts == ()
    assert state.base == out.getvalue()


def test_long_state_is_not_embedded() -> None:
    """
    A state of more than 8 kB is not embedded in the metadata.
    """
    data = render(start("a cat " * 2000, size=SMALL))
    assert from_image(data).prompts == ()
    assert b"imagesession offline sketch" in data


@given(text=st.text(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_text_can_be_drawn(text: str) -> None:
    """
    No prompt crashes the sketcher, and the embedded state is read exactly.
    """
    sketch = start(text, size=(64, 48))
    kinds: tuple[Format, ...] = ("png", "svg")
    for kind in kinds:
        data = render(sketch, format=kind)
        assert from_image(data) == sketch
    ET.fromstring(render(refine(sketch, text), format="svg"))  # noqa: S314 - written by ourselves
    assert describe(sketch)


@given(
    text=st.text(max_size=80), odd=st.sampled_from(["\ud800", "\x00", "\u202e", "\uffff", "🏳️‍🌈"])
)
@settings(max_examples=25, deadline=None)
def test_odd_characters_in_lettering(text: str, odd: str) -> None:
    """
    Lone surrogates, control characters and emoji may be quoted.
    """
    sketch = start(f'logo saying "{text}{odd}"', size=(48, 48))
    for kind in FORMATS:
        assert render(sketch, format=kind, frames=2)


@pytest.mark.parametrize(
    "size", [(16, 16), (48, 16), (16, 48), (1000, 336), (17, 31), (1, 1), (3, 2)]
)
@pytest.mark.parametrize(
    "prompt", ["a cat logo", "lake at sunset", "hero banner", "outlined flowers", "x"]
)
def test_any_size_can_be_drawn(size: tuple[int, int], prompt: str) -> None:
    """
    Small and narrow images work as well.
    """
    with Image.open(io.BytesIO(render(start(prompt, size=size)))) as image:
        assert image.size == size
    assert render(start(prompt, size=size), share=0.3)


def test_longest_prompt_is_drawn() -> None:
    """
    A prompt of 32,000 characters is drawn.
    """
    for text in ("a" * 32_000, "cat, " * 6_400, "\u0301" * 32_000, '"' * 32_000, "more " * 6_400):
        assert render(refine(start(text, size=(64, 64)), text))


@given(data=st.binary(max_size=200))
@settings(max_examples=80, deadline=None)
def test_noise_raises_value_error_only(data: bytes) -> None:
    """
    Noise raises ValueError and nothing else.
    """
    for head in MAGIC.values():
        with pytest.raises(ValueError, match=r"."):
            from_image(head + data)


def test_embedded_state_is_compact_json() -> None:
    """
    The state in a PNG is plain JSON after the statement.
    """
    with Image.open(io.BytesIO(render(start("a cat", size=SMALL)))) as image:
        note = str(image.info["Comment"])
    sketch = json.loads(note.split("imagesession-story ", 1)[1])
    assert sketch == {"prompts": ["a cat"], "size": [128, 96], "transparent": False, "seed": 0}
