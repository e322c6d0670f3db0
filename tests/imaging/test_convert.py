"""
What goes on the wire is what the provider takes, looks as it did, and is not touched needlessly.
"""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from imagesession._domain.image_header import parse_header
from imagesession._imaging.convert import to_provider_format
from imagesession.errors import InvalidImageError
from tests.imaging.making import (
    CORNERS,
    SIZE,
    colours,
    corners,
    decoded,
    encoded,
    is_alike,
    noise,
    profile,
    srgb,
    turned,
)

ORIENTATIONS = range(1, 9)


@pytest.mark.parametrize(
    "data",
    [
        encoded(corners(), "PNG"),
        encoded(corners().convert("RGBA"), "PNG", icc_profile=srgb()),
        encoded(corners().quantize(16), "PNG"),
        encoded(corners().convert("L"), "PNG", exif=turned(1)),
        encoded(Image.new("I;16", SIZE, 40_000), "PNG"),
        encoded(corners(), "JPEG", exif=turned(1), comment=b"kept"),
        encoded(corners().convert("L"), "JPEG", progressive=True),
        encoded(corners(), "WEBP"),
        encoded(corners(), "WEBP", lossless=True),
    ],
)
def test_what_needs_nothing_is_not_touched(data: bytes) -> None:
    """
    A PNG, JPEG or WebP that the wire takes as it is comes back as the very same bytes.
    """
    sent, facts = to_provider_format(data, "It")
    assert sent is data
    assert facts == parse_header(data)


@pytest.mark.parametrize(
    "format,how,expected",
    [
        ("GIF", {}, "png"),
        ("BMP", {}, "png"),
        ("TIFF", {}, "png"),
        ("TIFF", {"compression": "tiff_lzw"}, "png"),
        ("AVIF", {"quality": 100, "subsampling": "4:4:4"}, "jpeg"),
        ("HEIF", {"chroma": 444}, "jpeg"),
    ],
)
def test_other_formats_are_converted(format: str, how: dict[str, object], expected: str) -> None:
    """
    Photographs become JPEG, all else PNG; the colours are those that were there.
    """
    sent, facts = to_provider_format(encoded(corners(), format, **how), "It")
    assert parse_header(sent) == facts
    assert (facts.format, facts.width, facts.height, facts.alpha) == (expected, *SIZE, False)
    shown = colours(decoded(sent))
    for position, colour in CORNERS.items():
        assert all(abs(a - b) <= 12 for a, b in zip(shown[position], colour, strict=True))


@pytest.mark.parametrize("format", ["BMP", "TIFF"])
def test_pixels_without_loss_stay_exact(format: str) -> None:
    """
    What was stored without loss is sent without loss.
    """
    picture = noise()
    sent, _ = to_provider_format(encoded(picture, format), "It")
    assert is_alike(decoded(sent), picture)


@pytest.mark.parametrize("format", ["GIF", "TIFF", "AVIF", "HEIF"])
def test_transparency_is_kept(format: str) -> None:
    """
    A picture that is transparent in part becomes a PNG that is transparent there.
    """
    picture = corners().convert("RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, 24, 16))
    sent, facts = to_provider_format(encoded(picture, format), "It")
    assert (facts.format, facts.alpha) == ("png", True)
    shown = decoded(sent).getchannel("A")
    assert (shown.getpixel((8, 8)), shown.getpixel((40, 24))) == (0, 255)


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_transparent_colour_counts(mode: str) -> None:
    """
    Transparency that is a colour of its own, in a palette or without, is still transparency.
    """
    picture = Image.new("RGB", SIZE, (0, 0, 0)).convert(mode)
    data = encoded(picture, "PNG", transparency=(0, 0, 0) if mode == "RGB" else 0, exif=turned(3))
    sent, facts = to_provider_format(data, "It")
    assert facts.alpha
    assert decoded(sent).convert("RGBA").getpixel((1, 1)) == (0, 0, 0, 0)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_photos_are_turned_upright(format: str, orientation: int) -> None:
    """
    In every orientation that EXIF knows, what is sent shows each corner where a viewer does.
    """
    data = encoded(corners((64, 48)), format, exif=turned(orientation))
    expected = ImageOps.exif_transpose(_tagged(orientation))
    sent, facts = to_provider_format(data, "It")
    shown = decoded(sent)
    assert (facts.width, facts.height) == shown.size == expected.size
    assert shown.getexif().get(0x0112, 1) == 1
    for position, colour in colours(expected).items():
        near = colours(shown)[position]
        assert all(abs(a - b) <= 40 for a, b in zip(near, colour, strict=True)), position


def _tagged(orientation: int) -> Image.Image:
    picture = corners((64, 48))
    picture.getexif()[0x0112] = orientation
    return picture


def test_an_upright_photo_stays_a_good_photo() -> None:
    """
    A turned JPEG is written with quality 95 and all of its colours' detail.
    """
    sent, _ = to_provider_format(encoded(corners(), "JPEG", exif=turned(6), quality=95), "It")
    frame = sent.index(b"\xff\xc0")
    # Each component's sampling factors are equal: 4:4:4.
    assert {sent[frame + 11 + 3 * component] for component in range(3)} == {0x11}
    reference = encoded(Image.new("RGB", (8, 8)), "JPEG", quality=95)
    assert decoded(sent).quantization == decoded(reference).quantization  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue] - a JpegImageFile has it


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "AVIF"])
def test_only_the_first_frame_is_sent(format: str) -> None:
    """
    Of an animation, the first frame is sent as a still picture.
    """
    others = [Image.new("RGB", SIZE, colour) for colour in ("blue", "green")]
    data = encoded(
        Image.new("RGB", SIZE, "red"), format, save_all=True, append_images=others, duration=80
    )
    sent, facts = to_provider_format(data, "It")
    shown = decoded(sent)
    assert facts.format == ("jpeg" if format == "AVIF" else "png")
    assert getattr(shown, "n_frames", 1) == 1
    red, green, blue = colours(shown)[0, 0]
    assert red > 240
    assert max(green, blue) < 20


def test_inks_become_light() -> None:
    """
    A CMYK JPEG becomes an RGB one of the same colours.
    """
    sent, facts = to_provider_format(encoded(corners().convert("CMYK"), "JPEG", quality=95), "It")
    shown = decoded(sent)
    assert (facts.format, shown.mode) == ("jpeg", "RGB")
    for position, colour in CORNERS.items():
        assert all(abs(a - b) < 30 for a, b in zip(colours(shown)[position], colour, strict=True))


@pytest.mark.parametrize(
    "icc",
    [b"nonsense", bytes(16) + b"CMYK" + bytes(200), srgb()],
    ids=["nonsense", "broken", "other"],
)
def test_a_profile_that_does_not_fit_is_left_out(icc: bytes) -> None:
    """
    Inks with a profile that is broken or not of inks are converted without it.
    """
    sent, _ = to_provider_format(encoded(corners().convert("CMYK"), "JPEG", icc_profile=icc), "It")
    assert "icc_profile" not in decoded(sent).info


@pytest.mark.parametrize("format", ["TIFF", "AVIF", "HEIF", "WEBP", "JPEG", "PNG"])
def test_the_colour_profile_is_kept(format: str) -> None:
    """
    A converted picture keeps the profile without which its colours would look different.
    """
    exif = {} if format == "TIFF" else {"exif": turned(3)}
    # Made anew a second later, a profile has another date.
    icc = srgb()
    sent, _ = to_provider_format(encoded(corners(), format, icc_profile=icc, **exif), "It")
    assert decoded(sent).info["icc_profile"] == icc


def test_a_profile_that_no_picture_needs_is_left_out() -> None:
    """
    A profile too large for the file is left out, rather than written in part.
    """
    icc = bytes(16) + b"RGB " + bytes(17_000_000)
    sent, facts = to_provider_format(encoded(corners(), "AVIF", icc_profile=icc), "It")
    assert (facts.format, len(sent) < 10_000) == ("jpeg", True)
    assert "icc_profile" not in decoded(sent).info


def test_what_a_camera_wrote_is_not_sent() -> None:
    """
    A converted photo says neither where nor with what it was taken.
    """
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera"
    data = encoded(corners(), "JPEG", exif=exif.tobytes(), comment=b"a diary", xmp=b"<x:xmpmeta/>")
    sent, _ = to_provider_format(data, "It")
    assert not any(word in sent for word in (b"A camera", b"a diary", b"xmpmeta"))


def test_sixteen_bits_are_brought_to_eight() -> None:
    """
    A 16-bit greyscale keeps its shades, where a plain conversion would make all bright ones white.
    """
    picture = Image.new("I;16", (3, 1))
    for at, value in enumerate((0, 0x8000, 0xFFFF)):
        picture.putpixel((at, 0), value)
    sent, facts = to_provider_format(encoded(picture, "TIFF"), "It")
    assert (facts.format, decoded(sent).tobytes()) == ("png", b"\0\x80\xff")


def test_numbers_without_a_range_are_refused() -> None:
    """
    Pixels that are 32-bit numbers are refused, because nobody says which of them is white.
    """
    with pytest.raises(InvalidImageError, match="which of them is white"):
        to_provider_format(encoded(Image.new("F", SIZE, 0.5), "TIFF"), "It")


def test_black_and_white_becomes_grey() -> None:
    """
    One bit a pixel is sent as greys, black and white as they were.
    """
    sent, _ = to_provider_format(
        encoded(corners().convert("1", dither=Image.Dither.NONE), "BMP"), "It"
    )
    assert set(decoded(sent).convert("L").tobytes()) == {0, 255}


def test_metadata_that_cannot_be_read_say_nothing() -> None:
    """
    A whole photo is not refused because of its EXIF.
    """
    data = encoded(corners(), "JPEG", exif=b"Exif\0\0nonsense", dpi=(72, 72))
    assert to_provider_format(data, "It")[0] is data


def test_too_many_bytes_are_refused_before_and_after() -> None:
    """
    The limit holds for what was given and for what it became; the error says which.
    """
    flat = encoded(Image.new("RGB", (500, 500)), "TIFF", compression="tiff_lzw")
    with pytest.raises(InvalidImageError, match=r"It has .* MB; the limit is 0 MB"):
        to_provider_format(flat, "It", limit=100)
    detailed = encoded(noise((200, 200)), "AVIF", quality=1)
    with pytest.raises(InvalidImageError, match=r"It has .* MB as JPEG; the limit"):
        to_provider_format(detailed, "It", limit=len(detailed))
    with pytest.raises(InvalidImageError, match=r"It has 25\.0 MB; the limit is 25 MB"):
        to_provider_format(bytes(25_000_001), "It")


def test_without_a_limit_nothing_is_too_large() -> None:
    """
    What came from the provider may go back whatever its size.
    """
    data = encoded(corners()) + bytes(25_000_000)
    assert to_provider_format(data, "It", limit=None)[0] is data


def test_an_svg_is_refused_in_words() -> None:
    """
    An SVG has no pixels to send, and the error says what to do.
    """
    with pytest.raises(InvalidImageError, match=r"SVG.*Export it as PNG"):
        to_provider_format(b'<svg width="4" height="4"></svg>', "It")


def test_a_space_of_three_values_is_converted() -> None:
    """
    A colour space of three values is converted by what it means, not by its numbers.
    """
    lab = ImageCms.profileToProfile(
        corners(),
        profile("sRGB"),
        profile("LAB"),
        outputMode="LAB",
    )
    assert lab is not None
    sent, _ = to_provider_format(encoded(lab, "TIFF"), "It")
    assert is_alike(decoded(sent), corners(), by=12)


@given(
    st.sampled_from(["PNG", "WEBP", "TIFF", "GIF", "BMP"]),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(["L", "RGB", "RGBA"]),
)
def test_converting_twice_changes_nothing_more(
    format: str, width: int, height: int, mode: str
) -> None:
    """
    What was converted needs nothing, and has the size and transparency that its facts say.
    """
    picture = noise((width, height), mode)
    if (format, mode) == ("BMP", "RGBA"):
        picture = picture.convert("RGB")
    sent, facts = to_provider_format(encoded(picture, format), "It")
    assert to_provider_format(sent, "It") == (sent, facts)
    assert (facts.width, facts.height) == (width, height)


def red_inks() -> bytes:
    """
    Make an ICC profile by which all inks are red, since none that is true may be copied here.
    """
    # https://www.color.org/specification/ICC.1-2022-05.pdf, 7.2 and 10.11
    identity = b"".join(struct.pack(">i", 65536 * (at % 4 == 0)) for at in range(9))
    straight = bytes(range(256))
    red = bytes((136, 208, 195))
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + identity
    table += straight * 4 + red * 2**4 + straight * 3
    tags = struct.pack(">I4sII", 1, b"A2B0", 144, len(table))
    header = struct.pack(
        ">I4sI4s4s4s", 144 + len(table), bytes(4), 0x02400000, b"prtr", b"CMYK", b"Lab "
    )
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    return header.ljust(128, b"\0") + tags + table


def test_a_profile_of_inks_is_used() -> None:
    """
    Inks are converted by what their profile says of them.
    """
    sent, _ = to_provider_format(
        encoded(corners().convert("CMYK"), "JPEG", icc_profile=red_inks()), "It"
    )
    for red, green, blue in colours(decoded(sent)).values():
        assert red > 100
        assert max(green, blue) < 40
    assert "icc_profile" not in decoded(sent).info


def test_an_animation_of_one_frame_is_a_still() -> None:
    """
    A WebP saved as an animation of one frame is a still picture like any other.
    """
    data = encoded(corners(), "WEBP", save_all=True)
    sent, facts = to_provider_format(data, "It")
    assert (sent, facts.format) == (data, "webp")
