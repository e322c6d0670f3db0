"""
Protected pixels are restored exactly, and markup is validated.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from imagesession._imaging.composite import restore_unmasked, validate_markup
from imagesession._imaging.mask import Mask
from imagesession._imaging.pillow import apply_lut, resize
from imagesession.errors import InvalidImageError
from tests.imaging.making import (
    SIZE,
    corners,
    decoded,
    encoded,
    is_alike,
    noise,
    other_rgb,
    profile,
    srgb,
    turned,
)

Restore = Callable[[bytes, bytes, Image.Image], bytes]
MODES = ["1", "L", "LA", "P", "RGB", "RGBA"]
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@functools.cache
def _noise(size: tuple[int, int], mode: str, seed: int) -> Image.Image:
    del seed
    return noise(size, mode) if mode not in {"1", "P"} else noise(size).convert(mode)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Image.Image, Image.Image, Image.Image]:
    """
    Draw an original, a reply of any size, and a mask with all shades.
    """
    size = draw(sizes)
    original = _noise(size, draw(st.sampled_from(MODES)), 1)
    reply = _noise(size if draw(st.booleans()) else draw(sizes), draw(st.sampled_from(MODES)), 2)
    shades = draw(st.lists(st.sampled_from([0, 0, 255, 255, 1, 128, 254]), min_size=8, max_size=8))
    background = Image.frombytes("L", (4, 2), bytes(shades))
    return original, reply, resize(background, size, Image.Resampling.NEAREST)


def is_protected_exactly(
    restore: Restore, original: Image.Image, reply: Image.Image, alpha: Image.Image
) -> bool:
    """
    Return whether every protected pixel is unchanged, alpha included.
    """
    result = decoded(restore(encoded(original), encoded(reply), alpha)).convert("RGBA").tobytes()
    before = original.convert("RGBA").tobytes()
    protected = [at for at, value in enumerate(alpha.tobytes()) if value == 0]
    return all(result[4 * at : 4 * at + 4] == before[4 * at : 4 * at + 4] for at in protected)


@given(scenes())
def test_protected_pixels_are_unchanged(
    scene: tuple[Image.Image, Image.Image, Image.Image],
) -> None:
    """
    Where the mask is 0, the result equals the original exactly, in every mode and size.
    """
    original, reply, alpha = scene
    assert is_protected_exactly(restore_unmasked, original, reply, alpha)


@given(scenes())
def test_pixels_that_may_change_are_the_replys(
    scene: tuple[Image.Image, Image.Image, Image.Image],
) -> None:
    """
    Where the mask is 255, the result equals the reply, and it has the original's size.
    """
    original, reply, alpha = scene
    result = decoded(restore_unmasked(encoded(original), encoded(reply), alpha))
    assert (result.format, result.size) == ("PNG", original.size)
    if reply.size != original.size:
        return
    after, actual = reply.convert("RGBA").tobytes(), result.convert("RGBA").tobytes()
    for at, value in enumerate(alpha.tobytes()):
        if value == 255:
            assert actual[4 * at : 4 * at + 4] == after[4 * at : 4 * at + 4]


def test_the_check_notices_a_composite_that_leaks() -> None:
    """
    Two wrong implementations, the reply alone and a blend by a shifted mask, do not pass.
    """

    def reply_alone(_original: bytes, reply: bytes, _opening: Image.Image) -> bytes:
        return reply

    def leaking(original: bytes, reply: bytes, alpha: Image.Image) -> bytes:
        return restore_unmasked(
            original, reply, apply_lut(alpha, [min(255, at + 1) for at in range(256)])
        )

    size = (40, 30)
    alpha = Mask.rectangle((10, 10, 20, 20)).alpha(size)
    original, reply = noise(size), noise(size)
    assert is_protected_exactly(restore_unmasked, original, reply, alpha)
    assert not is_protected_exactly(reply_alone, original, reply, alpha)
    assert not is_protected_exactly(leaking, original, Image.new("RGB", size), alpha)


def test_half_open_pixels_are_blended() -> None:
    """
    A mask value of 128 gives half of each.
    """
    black, white = (encoded(Image.new("RGB", (8, 8), colour)) for colour in ("black", "white"))
    result = decoded(restore_unmasked(black, white, Image.new("L", (8, 8), 128)))
    assert (result.mode, result.getpixel((4, 4))) == ("RGB", (128, 128, 128))


def test_colour_of_transparent_pixels_does_not_bleed() -> None:
    """
    The colour of a fully transparent pixel has no effect on the soft edge.
    """
    clear = encoded(Image.new("RGBA", (8, 8), (0, 255, 0, 0)))
    red = encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 255)))
    result = decoded(restore_unmasked(clear, red, Image.new("L", (8, 8), 128)))
    assert result.getpixel((4, 4)) == (255, 0, 0, 128)


def test_reply_of_another_size_is_rescaled() -> None:
    """
    A reply is rescaled to the original's size, so that the parts align.
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


def test_colour_profile_of_the_original_is_kept() -> None:
    """
    The result has the original's colour profile, so protected pixels look the same.
    """
    icc = srgb()
    original = encoded(corners(), icc_profile=icc)
    alpha = Mask.rectangle((0, 0, 4, 4)).alpha((48, 32))
    result = restore_unmasked(original, encoded(noise()), alpha)
    assert decoded(result).info["icc_profile"] == icc
    assert "icc_profile" not in decoded(restore_unmasked(encoded(corners()), original, alpha)).info


def test_grey_profile_is_not_applied_to_rgb() -> None:
    """
    A grey original becomes RGB, for which its grey profile is not valid.
    """
    greys = bytes(16) + b"GRAY" + bytes(200)
    original = encoded(noise(mode="L"), icc_profile=greys)
    result = decoded(restore_unmasked(original, encoded(noise()), Image.new("L", (48, 32), 9)))
    assert (result.mode, "icc_profile" in result.info) == ("RGB", False)


def test_original_is_rotated_upright() -> None:
    """
    An original with an orientation tag is rotated upright, as it was for the provider.
    """
    original = encoded(corners(), "JPEG", exif=turned(6))
    alpha = Mask.rectangle((0, 0, 4, 4)).alpha((32, 48))
    result = decoded(restore_unmasked(original, encoded(noise((32, 48))), alpha))
    upright = decoded(original).transpose(Image.Transpose.ROTATE_270)
    assert is_alike(result.crop((4, 4, 32, 48)), upright.crop((4, 4, 32, 48)))


def test_mask_of_another_size_is_rejected() -> None:
    """
    A mask that was drawn for another size raises an error with both sizes.
    """
    alpha = Mask.rectangle((0, 0, 4, 4)).alpha((10, 10))
    with pytest.raises(InvalidImageError, match="10x10 pixels and the image 48x32"):
        restore_unmasked(encoded(corners()), encoded(noise()), alpha)


def test_reply_that_is_not_an_image_is_rejected() -> None:
    """
    The reply is decoded with the same checks as any untrusted image.
    """
    with pytest.raises(InvalidImageError, match="The image that came back"):
        restore_unmasked(encoded(corners()), b"nonsense", Image.new("L", (48, 32)))


# --- markup ---


def strokes(size: tuple[int, int] = (48, 32)) -> Image.Image:
    """
    Draw a stroke on a transparent background.
    """
    overlay = Image.new("RGBA", size, (0, 0, 0, 0))
    overlay.paste((255, 0, 0, 200), (10, 10, 20, 12))
    return overlay


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_markup_becomes_an_equal_png(format: str) -> None:
    """
    A transparent image of any format becomes a PNG with the same pixels.
    """
    options = {"lossless": True} if format == "WEBP" else {}
    sent = decoded(validate_markup(encoded(strokes(), format, **options), (48, 32)))
    assert (sent.format, sent.mode) == ("PNG", "RGBA")
    assert is_alike(sent, strokes())


def test_markup_of_another_size_is_rejected_unless_fit() -> None:
    """
    Markup of another size raises an error with both sizes, and is rescaled with `resize_mask=True`.
    """
    with pytest.raises(
        InvalidImageError, match=r"The markup is 48x32 .* image 96x64.*resize_mask=True"
    ):
        validate_markup(strokes(), (96, 64))
    sent = decoded(validate_markup(strokes(), (96, 64), resize_mask=True))
    assert sent.size == (96, 64)
    bounds = apply_lut(sent.getchannel("A"), [0] * 100 + [255] * 156).getbbox()
    assert bounds == (20, 20, 40, 24)


@pytest.mark.parametrize(
    "picture,message",
    [
        (Image.new("RGBA", (48, 32), (9, 9, 9, 0)), "draws nothing"),
        (Image.new("RGBA", (48, 32), (9, 9, 9, 255)), "no transparent pixel"),
        (Image.new("RGB", (48, 32)), "no transparent pixel"),
        (b"nonsense", "The markup is not a whole image"),
    ],
)
def test_markup_that_marks_nothing_is_rejected(picture: object, message: str) -> None:
    """
    Markup that draws nothing, or hides the image, raises an error that says what to do.
    """
    with pytest.raises(InvalidImageError, match=message):
        validate_markup(picture, (48, 32))


def test_colours_of_another_profile_are_converted() -> None:
    """
    A reply in other colours than the original looks in the result as it does by itself, and
    protected pixels keep their numbers: wide into plain, and plain into wide.
    """
    wide, plain = other_rgb(), None
    reply = Image.new("RGB", SIZE, (200, 80, 80))
    alpha = Mask.rectangle((0, 0, 0.5, 1.0)).alpha(SIZE)
    for of_original, of_reply in ((wide, plain), (plain, wide), (wide, wide)):
        original = encoded(Image.new("RGB", SIZE, (200, 30, 60)), icc_profile=of_original)
        result = decoded(restore_unmasked(original, encoded(reply, icc_profile=of_reply), alpha))
        assert result.info.get("icc_profile") == of_original
        assert result.getpixel((SIZE[0] - 1, 0)) == (200, 30, 60)
        seen, expected = as_seen(result), as_seen(decoded(encoded(reply, icc_profile=of_reply)))
        assert max(abs(a - b) for a, b in zip(seen, expected, strict=True)) <= 3


def as_seen(picture: Image.Image) -> tuple[int, ...]:
    """
    Return a pixel's colour in sRGB, as a viewer shows it that honours profiles.
    """
    icc = picture.info.get("icc_profile")
    shown = picture.convert("RGB")
    if icc:
        own = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        converted = ImageCms.profileToProfile(shown, own, profile("sRGB"))
        assert converted is not None
        shown = converted
    pixel = shown.getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return pixel
