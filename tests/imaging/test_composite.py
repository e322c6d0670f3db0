"""
What a mask protects comes back exactly, and what is drawn over a picture is checked.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imagesession._imaging.composite import restore_unmasked, validate_markup
from imagesession._imaging.mask import Mask
from imagesession._imaging.pillow_typing import apply_lut, resize
from imagesession.errors import InvalidImageError
from tests.imaging.making import corners, decoded, encoded, is_alike, noise, srgb, turned

Keep = Callable[[bytes, bytes, Image.Image], bytes]
MODES = ["1", "L", "LA", "P", "RGB", "RGBA"]
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@functools.cache
def _noise(size: tuple[int, int], mode: str, seed: int) -> Image.Image:
    del seed
    return noise(size, mode) if mode not in {"1", "P"} else noise(size).convert(mode)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Image.Image, Image.Image, Image.Image]:
    """
    Draw an original, a reply of any size, and an opening with all shades.
    """
    size = draw(sizes)
    original = _noise(size, draw(st.sampled_from(MODES)), 1)
    reply = _noise(size if draw(st.booleans()) else draw(sizes), draw(st.sampled_from(MODES)), 2)
    shades = draw(st.lists(st.sampled_from([0, 0, 255, 255, 1, 128, 254]), min_size=8, max_size=8))
    ground = Image.frombytes("L", (4, 2), bytes(shades))
    return original, reply, resize(ground, size, Image.Resampling.NEAREST)


def kept_exactly(
    keep: Keep, original: Image.Image, reply: Image.Image, opening: Image.Image
) -> bool:
    """
    Tell whether every pixel that must not change is as it was, alpha included.
    """
    result = decoded(keep(encoded(original), encoded(reply), opening)).convert("RGBA").tobytes()
    before = original.convert("RGBA").tobytes()
    closed = [at for at, value in enumerate(opening.tobytes()) if value == 0]
    return all(result[4 * at : 4 * at + 4] == before[4 * at : 4 * at + 4] for at in closed)


@given(scenes())
def test_outside_of_the_mask_nothing_changes(
    scene: tuple[Image.Image, Image.Image, Image.Image],
) -> None:
    """
    Where nothing may change, the result is the original to the last bit, in every mode and size.
    """
    original, reply, opening = scene
    assert kept_exactly(restore_unmasked, original, reply, opening)


@given(scenes())
def test_inside_of_the_mask_the_reply_stands(
    scene: tuple[Image.Image, Image.Image, Image.Image],
) -> None:
    """
    Where all may change, the result is the reply, and it has the original's size.
    """
    original, reply, opening = scene
    result = decoded(restore_unmasked(encoded(original), encoded(reply), opening))
    assert (result.format, result.size) == ("PNG", original.size)
    if reply.size != original.size:
        return
    after, shown = reply.convert("RGBA").tobytes(), result.convert("RGBA").tobytes()
    for at, value in enumerate(opening.tobytes()):
        if value == 255:
            assert shown[4 * at : 4 * at + 4] == after[4 * at : 4 * at + 4]


def test_the_check_notices_a_composite_that_leaks() -> None:
    """
    Two wrong ways, to take the reply as it is and to blend by a soft mask, do not pass.
    """

    def reply_alone(_original: bytes, reply: bytes, _opening: Image.Image) -> bytes:
        return reply

    def leaking(original: bytes, reply: bytes, opening: Image.Image) -> bytes:
        return restore_unmasked(
            original, reply, apply_lut(opening, [min(255, at + 1) for at in range(256)])
        )

    size = (40, 30)
    opening = Mask.rectangle((10, 10, 20, 20)).alpha(size)
    original, reply = noise(size), noise(size)
    assert kept_exactly(restore_unmasked, original, reply, opening)
    assert not kept_exactly(reply_alone, original, reply, opening)
    assert not kept_exactly(leaking, original, Image.new("RGB", size), opening)


def test_between_it_is_blended() -> None:
    """
    Half open is half of each.
    """
    black, white = (encoded(Image.new("RGB", (8, 8), colour)) for colour in ("black", "white"))
    result = decoded(restore_unmasked(black, white, Image.new("L", (8, 8), 128)))
    assert (result.mode, result.getpixel((4, 4))) == ("RGB", (128, 128, 128))


def test_a_transparent_colour_does_not_shine_through() -> None:
    """
    What a transparent pixel hides has no part in the soft edge.
    """
    clear = encoded(Image.new("RGBA", (8, 8), (0, 255, 0, 0)))
    red = encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 255)))
    result = decoded(restore_unmasked(clear, red, Image.new("L", (8, 8), 128)))
    assert result.getpixel((4, 4)) == (255, 0, 0, 128)


def test_a_reply_of_another_size_is_rescaled() -> None:
    """
    A reply is brought to the original's size, so that the parts meet.
    """
    original, reply = corners((60, 40)), corners((120, 80))
    result = decoded(
        restore_unmasked(
            encoded(original),
            encoded(reply, "WEBP"),
            Mask.ellipse((0.1, 0.1, 0.9, 0.9)).alpha((60, 40)),
        )
    )
    assert result.size == (60, 40)
    assert is_alike(result.crop((10, 10, 20, 15)), original.crop((10, 10, 20, 15)), by=12)


def test_the_profile_of_the_original_is_kept() -> None:
    """
    The protected pixels look as they did, because their colour profile is still there.
    """
    icc = srgb()
    original = encoded(corners(), icc_profile=icc)
    opening = Mask.rectangle((0, 0, 4, 4)).alpha((48, 32))
    result = restore_unmasked(original, encoded(noise()), opening)
    assert decoded(result).info["icc_profile"] == icc
    assert (
        "icc_profile" not in decoded(restore_unmasked(encoded(corners()), original, opening)).info
    )


def test_a_profile_of_greys_does_not_go_onto_colours() -> None:
    """
    A grey original comes back in colours, which its profile says nothing of.
    """
    greys = bytes(16) + b"GRAY" + bytes(200)
    original = encoded(noise(mode="L"), icc_profile=greys)
    result = decoded(restore_unmasked(original, encoded(noise()), Image.new("L", (48, 32), 9)))
    assert (result.mode, "icc_profile" in result.info) == ("RGB", False)


def test_a_photo_is_kept_as_it_was_sent() -> None:
    """
    An original that lies on its side is set upright, as it was for the provider.
    """
    original = encoded(corners(), "JPEG", exif=turned(6))
    opening = Mask.rectangle((0, 0, 4, 4)).alpha((32, 48))
    result = decoded(restore_unmasked(original, encoded(noise((32, 48))), opening))
    upright = decoded(original).transpose(Image.Transpose.ROTATE_270)
    assert is_alike(result.crop((4, 4, 32, 48)), upright.crop((4, 4, 32, 48)))


def test_an_opening_of_another_size_is_refused() -> None:
    """
    An opening that was drawn for another picture is an error that names both sizes.
    """
    opening = Mask.rectangle((0, 0, 4, 4)).alpha((10, 10))
    with pytest.raises(InvalidImageError, match="10x10 pixels and the picture 48x32"):
        restore_unmasked(encoded(corners()), encoded(noise()), opening)


def test_a_reply_that_is_no_picture_is_refused() -> None:
    """
    What came back is opened like all that comes from outside.
    """
    with pytest.raises(InvalidImageError, match="The picture that came back"):
        restore_unmasked(encoded(corners()), b"nonsense", Image.new("L", (48, 32)))


# --- markup ---


def strokes(size: tuple[int, int] = (48, 32)) -> Image.Image:
    """
    Draw a stroke on a transparent ground.
    """
    overlay = Image.new("RGBA", size, (0, 0, 0, 0))
    overlay.paste((255, 0, 0, 200), (10, 10, 20, 12))
    return overlay


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_markup_keeps_its_strokes(format: str) -> None:
    """
    Any transparent picture becomes the PNG that the wire takes, pixel for pixel.
    """
    how = {"lossless": True} if format == "WEBP" else {}
    sent = decoded(validate_markup(encoded(strokes(), format, **how), (48, 32)))
    assert (sent.format, sent.mode) == ("PNG", "RGBA")
    assert is_alike(sent, strokes())


def test_markup_must_have_the_pictures_size() -> None:
    """
    Markup of another size names both sizes, and is rescaled only when told to.
    """
    with pytest.raises(InvalidImageError, match=r"The markup is 48x32 .* picture 96x64.*fit=True"):
        validate_markup(strokes(), (96, 64))
    sent = decoded(validate_markup(strokes(), (96, 64), fit=True))
    assert sent.size == (96, 64)
    bounds = apply_lut(sent.getchannel("A"), [0] * 100 + [255] * 156).getbbox()
    assert bounds == (20, 20, 40, 24)


@pytest.mark.parametrize(
    "picture,words",
    [
        (Image.new("RGBA", (48, 32), (9, 9, 9, 0)), "draws nothing"),
        (Image.new("RGBA", (48, 32), (9, 9, 9, 255)), "no transparent pixel"),
        (Image.new("RGB", (48, 32)), "no transparent pixel"),
        (b"nonsense", "The markup is not a whole picture"),
    ],
)
def test_markup_must_mark_something(picture: object, words: str) -> None:
    """
    Markup that draws nothing, or hides the picture, is refused with what to do.
    """
    with pytest.raises(InvalidImageError, match=words):
        validate_markup(picture, (48, 32))
