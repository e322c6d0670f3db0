"""
Small pictures keep what can be seen, and lose what weighs.
"""

from __future__ import annotations

import io
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageOps

from imagesession._display.data_url import data_url
from imagesession._domain.previews import Preview
from imagesession._imaging.pillow_typing import resize, srgb
from imagesession._imaging.thumbnails import load_small, page_thumbnail, preview, thumbnail
from imagesession.errors import InvalidImageError
from tests.imaging import making


def saved(picture: Image.Image, form: str = "PNG", **how: Any) -> bytes:
    """
    Return a picture's file.
    """
    buffer = io.BytesIO()
    picture.save(buffer, form, **how)
    return buffer.getvalue()


def opened(made: Preview) -> Image.Image:
    """
    Open a thumbnail.
    """
    return Image.open(io.BytesIO(made.data))


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 64), st.integers(1, 64))
def test_small_pictures_fit_and_keep_their_shape(
    width: int, height: int, widest: int, highest: int
) -> None:
    """
    A picture fits into its box, touches it or stays as it was, and is never empty.
    """
    made = load_small(saved(Image.new("RGB", (width, height))), "it", (widest, highest))
    assert 1 <= made.width <= widest
    assert 1 <= made.height <= highest
    whole = (width, height) == made.size
    assert whole or made.width == widest or made.height == highest


def test_pictures_are_enlarged_only_where_that_is_wanted() -> None:
    """
    An icon stays an icon; where it may grow, it grows no further than was said.
    """
    icon = saved(Image.new("RGB", (20, 10)))
    assert load_small(icon, "it", (100, 100)).size == (20, 10)
    assert load_small(icon, "it", (100, 100), enlarged=1.5).size == (30, 15)
    assert load_small(icon, "it", (24, 100), enlarged=1.5).size == (24, 12)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparency_lies_on_squares(mode: str) -> None:
    """
    Where nothing is, the squares show; what is opaque keeps its colour.
    """
    picture = Image.new("RGBA", (40, 40), (200, 200, 200, 0))
    picture.paste((90, 90, 90, 255), (0, 0, 40, 20))
    data = saved(picture.convert(mode) if mode != "PA" else picture)
    made = load_small(data, "it", (40, 40), squares=True)
    assert made.mode == "RGB"
    assert made.getpixel((5, 5)) == (90, 90, 90)
    for x, y in itertools.product(range(40), range(20, 40)):
        light = (x // 8 + y // 8) % 2 == 0
        assert made.getpixel((x, y)) == (255 if light else 229,) * 3


def test_edges_of_transparency_take_no_hidden_colour() -> None:
    """
    What cannot be seen does not shine through when a picture is made small.
    """
    picture = Image.new("RGBA", (200, 200), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (50, 50, 150, 150))
    made = load_small(saved(picture), "it", (37, 37), squares=True)
    red, _, blue = made.split()
    assert ImageChops.subtract(red, blue).getextrema() == (0, 0)


def test_the_lightest_file_is_taken() -> None:
    """
    Flat colours become a PNG, noise a JPEG, and in pages both a WebP.
    """
    flat = saved(Image.new("RGB", (200, 200), "teal"))
    noise = saved(Image.effect_noise((200, 200), 90).convert("RGB"))
    assert thumbnail(flat, "it", (99, 99)).format == "png"
    assert thumbnail(noise, "it", (99, 99)).format == "jpeg"
    page = page_thumbnail(noise, "it", (99, 99))
    assert page.format == "webp"
    assert data_url(page.data, page.format).startswith("data:image/webp;base64,")
    assert opened(page).size == (page.width, page.height) == (99, 99)
    assert "99" in repr(page)
    assert len(repr(page)) < 200


def test_animations_stand_still_and_photos_stand_upright() -> None:
    """
    The first frame is shown; a photo is turned as its camera says.
    """
    frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "blue")]
    gif = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert load_small(gif, "it", (30, 20)).getpixel((9, 9)) == (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert load_small(saved(frames[0], "JPEG", exif=exif), "it", (90, 90)).size == (20, 30)


def test_thumbnails_carry_nothing_of_their_pictures_but_pixels() -> None:
    """
    No metadata and no profile go along.
    """
    exif = Image.Exif()
    exif[0x010E] = "secret"
    picture = saved(Image.effect_noise((90, 90), 9).convert("RGB"), "JPEG", exif=exif)
    for make, side in itertools.product((thumbnail, page_thumbnail), (50, 90)):
        made = make(picture, "it", (side, side))
        assert b"secret" not in made.data
        assert not {"exif", "icc_profile"} & set(opened(made).info)


def test_profiles_are_followed_where_they_can_be() -> None:
    """
    A picture with the usual profile looks the same small; a broken profile counts for nothing.
    """
    usual = srgb().tobytes()
    orange = saved(Image.new("RGBA", (9, 9), (250, 140, 10, 255)), icc_profile=usual)
    found = load_small(orange, "it", (9, 9)).getpixel((4, 4))
    assert isinstance(found, tuple)
    assert all(abs(number - two) <= 1 for number, two in zip(found, (250, 140, 10), strict=True))
    broken = b"x" * 16 + b"GRAY" + b"x" * 200
    grey = saved(Image.new("L", (9, 9), 100), icc_profile=broken)
    assert load_small(grey, "it", (9, 9)).getpixel((4, 4)) == (100, 100, 100)


def test_profiles_count_wherever_a_picture_is_made_small() -> None:
    """
    Colours that a profile makes other ones are those that are seen, with transparency and without;
    and the profile, which may be larger than the picture, is not taken along.
    """
    linear = _linear()
    for mode, clear in (("RGB", ()), ("RGBA", (128,))):
        data = saved(Image.new(mode, (64, 64), (100, 100, 100, *clear)), icc_profile=linear)
        for made in (load_small(data, "it", (64, 64)), shown(preview_of(data))):
            found = made.convert("RGB").getpixel((32, 32))
            assert isinstance(found, tuple)
            assert all(abs(number - 167) <= 3 for number in found), (mode, found)
            assert "icc_profile" not in made.info
            assert made.mode == mode


def preview_of(data: bytes) -> Preview:
    """
    Make a preview that is written anew.
    """
    made = preview(data, "it", max_side=63, max_bytes=9_000)
    assert made is not None
    return made


def shown(made: Preview) -> Image.Image:
    """
    Open a preview, at the size that it was made from.
    """
    return resize(opened(made), (64, 64), Image.Resampling.NEAREST)


def _linear() -> bytes:
    """
    Return the usual profile with values that stand for amounts of light.
    """
    curve = b"curv" + bytes(8)
    profile = bytearray(srgb().tobytes())
    for at in range(int.from_bytes(profile[128:132], "big")):
        entry = 132 + 12 * at
        if bytes(profile[entry : entry + 4]) in {b"rTRC", b"gTRC", b"bTRC"}:
            begin = int.from_bytes(profile[entry + 4 : entry + 8], "big")
            profile[begin : begin + len(curve)] = curve
            profile[entry + 8 : entry + 12] = len(curve).to_bytes(4, "big")
    return bytes(profile)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_opaque_has_no_transparency(mode: str) -> None:
    """
    A channel of transparency that says nothing is left out, and a preview is a light JPEG.
    """
    data = saved(Image.effect_noise((200, 100), 60).convert(mode))
    assert load_small(data, "it", (90, 90)).mode == "RGB"
    assert preview_of(data).format == "jpeg"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("box", [(100, 30), (30, 100), (500, 5)])
def test_photos_look_the_same_however_they_are_decoded(
    orientation: int, box: tuple[int, int]
) -> None:
    """
    A JPEG that is decoded at a fraction has the turn and the colours of the whole, and its size to
    a pixel.
    """
    photo = making.encoded(
        making.corners((1200, 500)), "JPEG", exif=making.turned(orientation), quality=95
    )
    whole = making.encoded(ImageOps.exif_transpose(making.decoded(photo)))
    made, expected = load_small(photo, "it", box), load_small(whole, "it", box)
    assert all(abs(number - two) <= 1 for number, two in zip(made.size, expected.size, strict=True))
    first, second = making.colours(made), making.colours(expected)
    for corner, colour in first.items():
        assert all(
            abs(number - two) < 9 for number, two in zip(colour, second[corner], strict=True)
        )


def test_drawings_become_pixels() -> None:
    """
    What an SVG draws is made as small as any picture, and as sharp as its box allows.
    """
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="6"><rect width="9"/></svg>'
    assert load_small(svg, "it", (90, 90)).size == (90, 60)
    assert load_small(svg, "it", (90, 30)).size == (45, 30)
    assert page_thumbnail(svg, "it", (90, 90)).format == "webp"
    made = preview(svg, "it", max_side=90, max_bytes=9_000)
    assert made is not None
    assert (made.width, made.height) == (90, 60)
    with pytest.raises(InvalidImageError, match="Picture 8"):
        thumbnail(b"<svg></svg>", "Picture 8", (9, 9))


def test_what_is_no_picture_is_named() -> None:
    """
    A file that is not whole is an error with the name that it was given.
    """
    with pytest.raises(InvalidImageError, match="Picture 7"):
        thumbnail(b"\x89PNG", "Picture 7", (9, 9))
