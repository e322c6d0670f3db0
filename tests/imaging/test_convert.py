"""
Images are converted to what the provider accepts, look the same, and stay unchanged if possible.
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
def test_accepted_image_is_unchanged(data: bytes) -> None:
    """
    A PNG, JPEG or WebP that the provider accepts is returned as the same bytes.
    """
    sent, facts = to_provider_format(data, "It")
    assert sent is data
    assert facts == parse_header(data)


@pytest.mark.parametrize(
    "format,options,expected",
    [
        ("GIF", {}, "png"),
        ("BMP", {}, "png"),
        ("TIFF", {}, "png"),
        ("TIFF", {"compression": "tiff_lzw"}, "png"),
        ("AVIF", {"quality": 100, "subsampling": "4:4:4"}, "jpeg"),
        ("HEIF", {"chroma": 444}, "jpeg"),
    ],
)
def test_other_formats_are_converted(
    format: str, options: dict[str, object], expected: str
) -> None:
    """
    Lossy formats become JPEG, others PNG, with the same colours.
    """
    sent, facts = to_provider_format(encoded(corners(), format, **options), "It")
    assert parse_header(sent) == facts
    assert (facts.format, facts.width, facts.height, facts.alpha) == (expected, *SIZE, False)
    result = colours(decoded(sent))
    for position, colour in CORNERS.items():
        assert all(abs(a - b) <= 12 for a, b in zip(result[position], colour, strict=True))


@pytest.mark.parametrize("format", ["BMP", "TIFF"])
def test_lossless_formats_stay_exact(format: str) -> None:
    """
    An image that was stored without loss is sent without loss.
    """
    picture = noise()
    sent, _ = to_provider_format(encoded(picture, format), "It")
    assert is_alike(decoded(sent), picture)


@pytest.mark.parametrize("format", ["GIF", "TIFF", "AVIF", "HEIF"])
def test_transparency_is_kept(format: str) -> None:
    """
    A partly transparent image becomes a PNG that is transparent in the same place.
    """
    picture = corners().convert("RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, 24, 16))
    sent, facts = to_provider_format(encoded(picture, format), "It")
    assert (facts.format, facts.alpha) == ("png", True)
    result = decoded(sent).getchannel("A")
    assert (result.getpixel((8, 8)), result.getpixel((40, 24))) == (0, 255)


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_transparent_colour_is_kept(mode: str) -> None:
    """
    Transparency by a colour key, in a palette or not, becomes alpha.
    """
    picture = Image.new("RGB", SIZE, (0, 0, 0)).convert(mode)
    data = encoded(picture, "PNG", transparency=(0, 0, 0) if mode == "RGB" else 0, exif=turned(3))
    sent, facts = to_provider_format(data, "It")
    assert facts.alpha
    assert decoded(sent).convert("RGBA").getpixel((1, 1)) == (0, 0, 0, 0)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_orientation_is_applied(format: str, orientation: int) -> None:
    """
    In every EXIF orientation, each corner of the result is where a viewer shows it.
    """
    data = encoded(corners((64, 48)), format, exif=turned(orientation))
    expected = ImageOps.exif_transpose(_tagged(orientation))
    sent, facts = to_provider_format(data, "It")
    result = decoded(sent)
    assert (facts.width, facts.height) == result.size == expected.size
    assert result.getexif().get(0x0112, 1) == 1
    for position, colour in colours(expected).items():
        result_colours = colours(result)[position]
        assert all(abs(a - b) <= 40 for a, b in zip(result_colours, colour, strict=True)), position


def _tagged(orientation: int) -> Image.Image:
    picture = corners((64, 48))
    picture.getexif()[0x0112] = orientation
    return picture


def test_rotated_jpeg_keeps_its_quality() -> None:
    """
    A rotated JPEG is written with quality 95 and without chroma subsampling.
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
    Of an animation, the first frame is sent as a still image.
    """
    others = [Image.new("RGB", SIZE, colour) for colour in ("blue", "green")]
    data = encoded(
        Image.new("RGB", SIZE, "red"), format, save_all=True, append_images=others, duration=80
    )
    sent, facts = to_provider_format(data, "It")
    result = decoded(sent)
    assert facts.format == ("jpeg" if format == "AVIF" else "png")
    assert getattr(result, "n_frames", 1) == 1
    red, green, blue = colours(result)[0, 0]
    assert red > 240
    assert max(green, blue) < 20


def test_cmyk_becomes_rgb() -> None:
    """
    A CMYK JPEG becomes an RGB one of the same colours.
    """
    sent, facts = to_provider_format(encoded(corners().convert("CMYK"), "JPEG", quality=95), "It")
    result = decoded(sent)
    assert (facts.format, result.mode) == ("jpeg", "RGB")
    for position, colour in CORNERS.items():
        assert all(abs(a - b) < 30 for a, b in zip(colours(result)[position], colour, strict=True))


@pytest.mark.parametrize(
    "icc",
    [b"nonsense", bytes(16) + b"CMYK" + bytes(200), srgb()],
    ids=["nonsense", "broken", "other"],
)
def test_unusable_cmyk_profile_is_ignored(icc: bytes) -> None:
    """
    A CMYK image with a broken or non-CMYK profile is converted without it.
    """
    sent, _ = to_provider_format(encoded(corners().convert("CMYK"), "JPEG", icc_profile=icc), "It")
    assert "icc_profile" not in decoded(sent).info


@pytest.mark.parametrize("format", ["TIFF", "AVIF", "HEIF", "WEBP", "JPEG", "PNG"])
def test_colour_profile_is_kept(format: str) -> None:
    """
    A converted image keeps its colour profile.
    """
    exif = {} if format == "TIFF" else {"exif": turned(3)}
    # Made once: a profile made a second later has another date.
    icc = srgb()
    sent, _ = to_provider_format(encoded(corners(), format, icc_profile=icc, **exif), "It")
    assert decoded(sent).info["icc_profile"] == icc


def test_oversized_profile_is_dropped() -> None:
    """
    A profile too large for the file is dropped, rather than truncated.
    """
    icc = bytes(16) + b"RGB " + bytes(17_000_000)
    sent, facts = to_provider_format(encoded(corners(), "AVIF", icc_profile=icc), "It")
    assert (facts.format, len(sent) < 10_000) == ("jpeg", True)
    assert "icc_profile" not in decoded(sent).info


def test_camera_metadata_are_removed() -> None:
    """
    A converted photo has no EXIF, comment or XMP.
    """
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera"
    data = encoded(corners(), "JPEG", exif=exif.tobytes(), comment=b"a diary", xmp=b"<x:xmpmeta/>")
    sent, _ = to_provider_format(data, "It")
    assert not any(word in sent for word in (b"A camera", b"a diary", b"xmpmeta"))


def test_16_bit_greys_are_reduced_to_8() -> None:
    """
    A 16-bit greyscale image keeps its shades; Pillow's conversion would clip bright ones.
    """
    picture = Image.new("I;16", (3, 1))
    for at, value in enumerate((0, 0x8000, 0xFFFF)):
        picture.putpixel((at, 0), value)
    sent, facts = to_provider_format(encoded(picture, "TIFF"), "It")
    assert (facts.format, decoded(sent).tobytes()) == ("png", b"\0\x80\xff")


def test_32_bit_pixels_are_rejected() -> None:
    """
    Pixels that are 32-bit numbers are rejected, because their range is unknown.
    """
    with pytest.raises(InvalidImageError, match="which of them is white"):
        to_provider_format(encoded(Image.new("F", SIZE, 0.5), "TIFF"), "It")


def test_bilevel_image_becomes_greyscale() -> None:
    """
    An image of one bit a pixel is sent as greyscale, black and white unchanged.
    """
    sent, _ = to_provider_format(
        encoded(corners().convert("1", dither=Image.Dither.NONE), "BMP"), "It"
    )
    assert set(decoded(sent).convert("L").tobytes()) == {0, 255}


def test_unreadable_exif_is_ignored() -> None:
    """
    An intact photo is not rejected because of broken EXIF.
    """
    data = encoded(corners(), "JPEG", exif=b"Exif\0\0nonsense", dpi=(72, 72))
    assert to_provider_format(data, "It")[0] is data


def test_byte_limit_applies_before_and_after_conversion() -> None:
    """
    The limit applies to the input and to the result; the error says which.
    """
    flat = encoded(Image.new("RGB", (500, 500)), "TIFF", compression="tiff_lzw")
    with pytest.raises(InvalidImageError, match=r"It has .* MB; the limit is 0 MB"):
        to_provider_format(flat, "It", limit=100)
    detailed = encoded(noise((200, 200)), "AVIF", quality=1)
    with pytest.raises(InvalidImageError, match=r"It has .* MB as JPEG; the limit"):
        to_provider_format(detailed, "It", limit=len(detailed))
    with pytest.raises(InvalidImageError, match=r"It has 25\.0 MB; the limit is 25 MB"):
        to_provider_format(bytes(25_000_001), "It")


def test_no_limit_accepts_any_size() -> None:
    """
    With `limit=None`, as for the provider's own images, any size is accepted.
    """
    data = encoded(corners()) + bytes(25_000_000)
    assert to_provider_format(data, "It", limit=None)[0] is data


def test_svg_is_rejected() -> None:
    """
    An SVG has no pixels to send; the error says what to do.
    """
    with pytest.raises(InvalidImageError, match=r"SVG.*Export it as PNG"):
        to_provider_format(b'<svg width="4" height="4"></svg>', "It")


def test_lab_image_is_converted_by_colour() -> None:
    """
    A LAB image is converted by its colours, not by its channel values.
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
def test_conversion_is_idempotent(format: str, width: int, height: int, mode: str) -> None:
    """
    A converted image needs no further conversion, and matches the returned header.
    """
    picture = noise((width, height), mode)
    if (format, mode) == ("BMP", "RGBA"):
        picture = picture.convert("RGB")
    sent, facts = to_provider_format(encoded(picture, format), "It")
    assert to_provider_format(sent, "It") == (sent, facts)
    assert (facts.width, facts.height) == (width, height)


def red_cmyk_profile() -> bytes:
    """
    Make an ICC profile in which all CMYK colours are red; real profiles are not free to copy.
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


def test_cmyk_profile_is_applied() -> None:
    """
    A CMYK image is converted through its own profile.
    """
    sent, _ = to_provider_format(
        encoded(corners().convert("CMYK"), "JPEG", icc_profile=red_cmyk_profile()), "It"
    )
    for red, green, blue in colours(decoded(sent)).values():
        assert red > 100
        assert max(green, blue) < 40
    assert "icc_profile" not in decoded(sent).info


def test_single_frame_animation_is_unchanged() -> None:
    """
    A WebP saved as an animation of one frame is treated as a still image.
    """
    data = encoded(corners(), "WEBP", save_all=True)
    sent, facts = to_provider_format(data, "It")
    assert (sent, facts.format) == (data, "webp")
