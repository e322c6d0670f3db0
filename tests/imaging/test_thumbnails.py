"""
Thumbnails look like their images, and carry no metadata.
"""

from __future__ import annotations

import io
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageOps

from imagesession._domain.previews import Preview
from imagesession._imaging.pillow import resize
from imagesession._imaging.thumbnails import load_small, page_thumbnail, preview, thumbnail
from imagesession.errors import InvalidImageError
from tests.imaging import making


def to_file(picture: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    """
    Encode an image.
    """
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def open_preview(thumb: Preview) -> Image.Image:
    """
    Open a thumbnail.
    """
    return Image.open(io.BytesIO(thumb.data))


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 64), st.integers(1, 64))
def test_thumbnail_fits_its_box(width: int, height: int, max_width: int, max_height: int) -> None:
    """
    A thumbnail fits into its box, and touches it unless the image was smaller.
    """
    thumb = load_small(to_file(Image.new("RGB", (width, height))), "it", (max_width, max_height))
    assert 1 <= thumb.width <= max_width
    assert 1 <= thumb.height <= max_height
    unchanged = (width, height) == thumb.size
    assert unchanged or thumb.width == max_width or thumb.height == max_height


def test_small_images_are_enlarged_only_on_request() -> None:
    """
    A small image is not enlarged, or at most by the requested factor.
    """
    icon = to_file(Image.new("RGB", (20, 10)))
    assert load_small(icon, "it", (100, 100)).size == (20, 10)
    assert load_small(icon, "it", (100, 100), enlarged=1.5).size == (30, 15)
    assert load_small(icon, "it", (24, 100), enlarged=1.5).size == (24, 12)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparency_shows_a_checkerboard(mode: str) -> None:
    """
    Transparent pixels show the checkerboard; opaque ones keep their colour.
    """
    picture = Image.new("RGBA", (40, 40), (200, 200, 200, 0))
    picture.paste((90, 90, 90, 255), (0, 0, 40, 20))
    data = to_file(picture.convert(mode) if mode != "PA" else picture)
    thumb = load_small(data, "it", (40, 40), squares=True)
    assert thumb.mode == "RGB"
    assert thumb.getpixel((5, 5)) == (90, 90, 90)
    for x, y in itertools.product(range(40), range(20, 40)):
        light = (x // 8 + y // 8) % 2 == 0
        assert thumb.getpixel((x, y)) == (255 if light else 229,) * 3


def test_hidden_colour_does_not_bleed_into_edges() -> None:
    """
    The colour of transparent pixels does not bleed when an image is scaled down.
    """
    picture = Image.new("RGBA", (200, 200), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (50, 50, 150, 150))
    thumb = load_small(to_file(picture), "it", (37, 37), squares=True)
    red, _, blue = thumb.split()
    assert ImageChops.subtract(red, blue).getextrema() == (0, 0)


def test_smallest_format_is_chosen() -> None:
    """
    Flat colours become a PNG, noise a JPEG, and thumbnails for pages a WebP.
    """
    flat = to_file(Image.new("RGB", (200, 200), "teal"))
    noise = to_file(Image.effect_noise((200, 200), 90).convert("RGB"))
    assert thumbnail(flat, "it", (99, 99)).format == "png"
    assert thumbnail(noise, "it", (99, 99)).format == "jpeg"
    page = page_thumbnail(noise, "it", (99, 99))
    assert (page.format, page.mime_type) == ("webp", "image/webp")
    assert open_preview(page).size == (page.width, page.height) == (99, 99)
    assert "99" in repr(page)
    assert len(repr(page)) < 200


def test_first_frame_is_used_and_orientation_applied() -> None:
    """
    Of an animation, the first frame is used; a photo is rotated upright.
    """
    frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "blue")]
    gif = to_file(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert load_small(gif, "it", (30, 20)).getpixel((9, 9)) == (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert load_small(to_file(frames[0], "JPEG", exif=exif), "it", (90, 90)).size == (20, 30)


def test_thumbnails_have_no_metadata() -> None:
    """
    No metadata and no colour profile are written.
    """
    exif = Image.Exif()
    exif[0x010E] = "secret"
    picture = to_file(Image.effect_noise((90, 90), 9).convert("RGB"), "JPEG", exif=exif)
    for make, side in itertools.product((thumbnail, page_thumbnail), (50, 90)):
        thumb = make(picture, "it", (side, side))
        assert b"secret" not in thumb.data
        assert not {"exif", "icc_profile"} & set(open_preview(thumb).info)


def test_profile_is_applied_if_usable() -> None:
    """
    An image with an sRGB profile looks the same as a thumbnail; a broken profile is ignored.
    """
    usual = making.srgb()
    orange = to_file(Image.new("RGBA", (9, 9), (250, 140, 10, 255)), icc_profile=usual)
    colour_found = load_small(orange, "it", (9, 9)).getpixel((4, 4))
    assert isinstance(colour_found, tuple)
    assert all(abs(a - b) <= 1 for a, b in zip(colour_found, (250, 140, 10), strict=True))
    broken = b"x" * 16 + b"GRAY" + b"x" * 200
    grey = to_file(Image.new("L", (9, 9), 100), icc_profile=broken)
    assert load_small(grey, "it", (9, 9)).getpixel((4, 4)) == (100, 100, 100)


def test_profile_is_applied_to_thumbnails_and_previews() -> None:
    """
    Colours are converted by the image's profile, with transparency and without, and the profile,
    which may be larger than the thumbnail, is not written.
    """
    linear = _linear_profile()
    for mode, clear in (("RGB", ()), ("RGBA", (128,))):
        data = to_file(Image.new(mode, (64, 64), (100, 100, 100, *clear)), icc_profile=linear)
        for thumb in (load_small(data, "it", (64, 64)), scaled_up(preview_of(data))):
            colour_found = thumb.convert("RGB").getpixel((32, 32))
            assert isinstance(colour_found, tuple)
            assert all(abs(number - 167) <= 3 for number in colour_found), (mode, colour_found)
            assert "icc_profile" not in thumb.info
            assert thumb.mode == mode


def preview_of(data: bytes) -> Preview:
    """
    Make a preview that has to be encoded again.
    """
    thumb = preview(data, "it", max_side=63, max_bytes=9_000)
    assert thumb is not None
    return thumb


def scaled_up(thumb: Preview) -> Image.Image:
    """
    Decode a preview, scaled to the size of its image.
    """
    return resize(open_preview(thumb), (64, 64), Image.Resampling.NEAREST)


def _linear_profile() -> bytes:
    """
    Return the sRGB profile with linear tone curves.
    """
    curve = b"curv" + bytes(8)
    profile = bytearray(making.srgb())
    for at in range(int.from_bytes(profile[128:132], "big")):
        entry = 132 + 12 * at
        if bytes(profile[entry : entry + 4]) in {b"rTRC", b"gTRC", b"bTRC"}:
            begin = int.from_bytes(profile[entry + 4 : entry + 8], "big")
            profile[begin : begin + len(curve)] = curve
            profile[entry + 8 : entry + 12] = len(curve).to_bytes(4, "big")
    return bytes(profile)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_fully_opaque_alpha_is_dropped(mode: str) -> None:
    """
    A fully opaque alpha channel is dropped, and the preview is a JPEG.
    """
    data = to_file(Image.effect_noise((200, 100), 60).convert(mode))
    assert load_small(data, "it", (90, 90)).mode == "RGB"
    assert preview_of(data).format == "jpeg"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("box", [(100, 30), (30, 100), (500, 5)])
def test_reduced_jpeg_decoding_looks_the_same(orientation: int, box: tuple[int, int]) -> None:
    """
    A JPEG decoded at a fraction of its size has the same orientation, colours and, within a pixel,
    size as one that is decoded fully.
    """
    photo = making.encoded(
        making.corners((1200, 500)), "JPEG", exif=making.turned(orientation), quality=95
    )
    unchanged = making.encoded(ImageOps.exif_transpose(making.decoded(photo)))
    thumb, expected = load_small(photo, "it", box), load_small(unchanged, "it", box)
    assert all(abs(a - b) <= 1 for a, b in zip(thumb.size, expected.size, strict=True))
    first, second = making.colours(thumb), making.colours(expected)
    for corner, colour in first.items():
        assert all(abs(a - b) < 9 for a, b in zip(colour, second[corner], strict=True))


def test_svg_thumbnails() -> None:
    """
    An SVG is rendered as large as its box allows.
    """
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="6"><rect width="9"/></svg>'
    assert load_small(svg, "it", (90, 90)).size == (90, 60)
    assert load_small(svg, "it", (90, 30)).size == (45, 30)
    assert page_thumbnail(svg, "it", (90, 90)).format == "webp"
    thumb = preview(svg, "it", max_side=90, max_bytes=9_000)
    assert thumb is not None
    assert (thumb.width, thumb.height) == (90, 60)
    with pytest.raises(InvalidImageError, match="Image 8"):
        thumbnail(b"<svg></svg>", "Image 8", (9, 9))


def test_error_names_the_image() -> None:
    """
    A truncated file raises an error with the image's name.
    """
    with pytest.raises(InvalidImageError, match="Image 7"):
        thumbnail(b"\x89PNG", "Image 7", (9, 9))
