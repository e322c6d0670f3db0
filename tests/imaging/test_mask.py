"""
Masks are drawn at any image size, and invalid ones are rejected.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageFilter

from imagesession._imaging.mask import Mask, validate_alpha
from imagesession.errors import InvalidImageError
from tests.imaging.making import corners, decoded, encoded, is_alike, noise, turned

SIZE = (40, 30)
Pixels = tuple[int, int, int, int]


@st.composite
def boxes(draw: st.DrawFn) -> Pixels:
    """
    Draw boxes in pixels of an image of SIZE.
    """
    left, top = draw(st.integers(0, SIZE[0] - 1)), draw(st.integers(0, SIZE[1] - 1))
    return left, top, draw(st.integers(left + 1, SIZE[0])), draw(st.integers(top + 1, SIZE[1]))


@st.composite
def relative_boxes(draw: st.DrawFn) -> tuple[float, float, float, float]:
    """
    Draw relative boxes that are at least two pixels wide and high.
    """
    sides: list[float] = []
    for length in SIZE:
        start = draw(st.floats(0, 1 - 2 / length))
        sides += [start, draw(st.floats(min(1, start + 2 / length), 1))]
    return sides[0], sides[2], sides[1], sides[3]


simple_masks = st.one_of(
    st.builds(Mask.rectangle, boxes()),
    st.builds(Mask.ellipse, boxes()),
    st.builds(Mask.rectangle, relative_boxes()),
    st.integers(0, 255).map(lambda grey: Mask.from_luminance(Image.new("L", SIZE, grey))),
)


def _compound_masks(inner: st.SearchStrategy[Mask]) -> st.SearchStrategy[Mask]:
    return st.one_of(
        st.builds(Mask.__or__, inner, inner),
        st.builds(Mask.__and__, inner, inner),
        st.builds(Mask.__invert__, inner),
        st.builds(Mask.feather, inner, st.floats(0, 50)),
        st.builds(Mask.dilate, inner, st.integers(-20, 20)),
    )


masks = st.recursive(simple_masks, _compound_masks, max_leaves=4)


def pixels(mask: Mask) -> bytes:
    """
    Draw a mask at SIZE.
    """
    return mask.alpha(SIZE).tobytes()


# --- boxes ---


@given(boxes())
def test_rectangle_covers_exactly_its_pixels(box: Pixels) -> None:
    """
    A box in pixels covers those from its left and top up to its right and bottom.
    """
    left, top, right, bottom = box
    alpha = Mask.rectangle(box).alpha(SIZE)
    assert alpha.mode == "L"
    expected = Image.new("L", SIZE, 0)
    expected.paste(255, box)
    assert alpha.tobytes() == expected.tobytes()
    share = (right - left) * (bottom - top) / (SIZE[0] * SIZE[1])
    assert Mask.rectangle(box).coverage(SIZE) == pytest.approx(share)


@given(boxes())
def test_ellipse_touches_all_sides_of_its_box(box: Pixels) -> None:
    """
    An ellipse touches all four sides of its box, and stays within it.
    """
    assert Mask.ellipse(box).alpha(SIZE).getbbox() == box
    outside = ImageChops.subtract(Mask.ellipse(box).alpha(SIZE), Mask.rectangle(box).alpha(SIZE))
    assert outside.getbbox() is None


def test_relative_box_scales_with_the_image() -> None:
    """
    A relative box covers the same part of an image of any size.
    """
    mask = Mask.rectangle((0.25, 0.5, 0.75, 1.0))
    for size in (SIZE, (400, 200), (1536, 864)):
        width, height = size
        box = (width // 4, height // 2, width * 3 // 4, height)
        assert mask.alpha(size).getbbox() == box
        assert mask.coverage(size) == pytest.approx(0.25)


def test_one_float_makes_the_box_relative() -> None:
    """
    If any coordinate is a float, the integers 0 and 1 are fractions as well.
    """
    assert Mask.rectangle((0, 0, 0.5, 1)) == Mask.rectangle((0.0, 0.0, 0.5, 1.0))
    assert Mask.rectangle((0, 0, 1, 1)).coverage(SIZE) == pytest.approx(1 / 1200)


@pytest.mark.parametrize(
    "box,message",
    [
        ((0, 0, 41, 30), "does not lie within the image.*40x30"),
        ((-1, 0, 10, 10), "does not lie within the image.*40x30"),
        ((50, 50, 60, 60), "does not lie within the image.*40x30"),
        ((20, 0, 10, 30), "reversed.*40x30"),
        ((0.5, 0.9, 0.6, 0.1), "reversed.*40x30"),
        ((10, 10, 10, 20), "empty.*40x30"),
        ((0.5, 0.5, 0.501, 0.501), "empty.*40x30"),
    ],
)
@pytest.mark.parametrize("make", [Mask.rectangle, Mask.ellipse])
def test_box_outside_the_image_is_rejected(
    make: Callable[[Any], Mask], box: tuple[float, ...], message: str
) -> None:
    """
    A box that is outside the image, reversed or empty raises an error with the image's size.
    """
    with pytest.raises(InvalidImageError, match=message):
        make(box).alpha(SIZE)


@pytest.mark.parametrize(
    "box",
    [(), (1, 2, 3), (1, 2, 3, 4, 5), "abcd", 7, None, (0, 0, True, 1), (0, 0, float("nan"), 1.0)],
)
def test_invalid_box_is_rejected_at_once(box: Any) -> None:
    """
    Anything but four numbers is rejected when the mask is constructed.
    """
    with pytest.raises(InvalidImageError, match="four numbers"):
        Mask.rectangle(box)


@pytest.mark.parametrize("box", [(0.0, 0.0, 200.0, 100.0), (10, 10, 20.5, 20), (-0.1, 0.0, 0.5, 1)])
def test_floats_beyond_1_are_rejected(box: Any) -> None:
    """
    Floats beyond 1 raise an error that says how to give pixels.
    """
    with pytest.raises(InvalidImageError, match="For pixels, give whole numbers"):
        Mask.ellipse(box)


# --- images ---


def test_white_or_black_may_change() -> None:
    """
    In a black-and-white image white may change, or black with `opens="black"`.
    """
    picture = Image.new("L", SIZE, 0)
    picture.paste(255, (0, 0, 10, 30))
    mask = Mask.from_luminance(picture)
    assert pixels(mask) == pixels(Mask.rectangle((0, 0, 10, 30)))
    assert pixels(Mask.from_luminance(picture, opens="black")) == pixels(~mask)


@pytest.mark.parametrize("threshold,open_from", [(None, None), (1, 1), (128, 128), (255, 255)])
def test_threshold_turns_greys_black_or_white(threshold: int | None, open_from: int | None) -> None:
    """
    Without a threshold greys keep their value; with one, pixels at least as bright are white.
    """
    greys = Image.frombytes("L", (256, 1), bytes(range(256)))
    alpha = Mask.from_luminance(greys, threshold=threshold).alpha((256, 1)).tobytes()
    if open_from is None:
        assert alpha == bytes(range(256))
    else:
        assert alpha == bytes(open_from) + b"\xff" * (256 - open_from)


def test_transparent_pixels_never_change_by_luminance() -> None:
    """
    On a transparent background only the strokes may change, in white or in black.
    """
    for colour, opens in (("white", "white"), ("black", "black")):
        strokes = Image.new("RGBA", SIZE, (0, 0, 0, 0))
        strokes.paste(colour, (5, 5, 15, 15))
        mask = Mask.from_luminance(strokes, opens=opens)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - one of two literals
        assert pixels(mask) == pixels(Mask.rectangle((5, 5, 15, 15)))


def test_transparent_pixels_may_change_by_alpha() -> None:
    """
    Transparent pixels may change, and partly transparent ones in proportion.
    """
    picture = corners(SIZE).convert("RGBA")
    picture.paste((9, 9, 9, 0), (0, 0, 10, 30))
    picture.paste((9, 9, 9, 55), (10, 0, 20, 30))
    alpha = Mask.from_alpha(picture).alpha(SIZE)
    assert [alpha.getpixel((x, 5)) for x in (5, 15, 25)] == [255, 200, 0]
    with pytest.raises(InvalidImageError, match=r"The mask has no alpha channel.*from_luminance"):
        Mask.from_alpha(corners(SIZE))


def test_file_is_read_by_alpha_or_luminance(tmp_path: Path) -> None:
    """
    A file with a transparent pixel is read by its alpha, any other by its luminance.
    """
    expected = pixels(Mask.rectangle((0, 0, 20, 30)))
    with_alpha = corners(SIZE).convert("RGBA")
    with_alpha.paste((0, 0, 0, 0), (0, 0, 20, 30))
    opaque = Image.new("RGBA", SIZE, "black")
    opaque.paste("white", (0, 0, 20, 30))
    path = tmp_path / "mask.dat"
    for picture in (with_alpha, opaque, opaque.convert("L"), opaque.convert("1")):
        path.write_bytes(encoded(picture))
        assert pixels(Mask.from_file(path)) == expected
        assert pixels(Mask.of(path.read_bytes())) == expected
        assert pixels(Mask.of(picture)) == expected
    assert pixels(Mask.from_file(path, opens="black")) == pixels(~Mask.from_file(path))


def test_jpeg_mask_is_accepted() -> None:
    """
    A black-and-white JPEG is accepted in spite of its compression artefacts.
    """
    picture = Image.new("RGB", (64, 64), "black")
    picture.paste("white", (0, 0, 32, 64))
    assert Mask.of(encoded(picture, "JPEG", quality=40)).coverage((64, 64)) == pytest.approx(
        0.5, abs=0.02
    )


def test_photo_is_rejected_as_a_mask() -> None:
    """
    A coloured, opaque image is most likely a mistake; the error says how to use it anyway.
    """
    with pytest.raises(InvalidImageError, match=r"is no mask.*alpha channel.*Mask\.from_luminance"):
        Mask.of(corners(SIZE))
    assert 0 < Mask.from_luminance(corners(SIZE)).coverage(SIZE) < 1


def test_mask_of_a_mask_is_the_same_object() -> None:
    """
    `Mask.of` returns a mask unchanged.
    """
    mask = Mask.rectangle((0, 0, 4, 4))
    assert Mask.of(mask) is mask


def test_mask_orientation_is_applied() -> None:
    """
    A mask with an EXIF orientation is rotated upright, as images are.
    """
    lying = Image.new("L", SIZE, 0)
    lying.paste(255, (0, 0, 20, 30))
    mask = Mask.of(encoded(lying, "PNG", exif=turned(6)))
    assert mask.alpha((30, 40)).getbbox() == (0, 0, 30, 20)


@pytest.mark.parametrize("options", [{"opens": "grey"}, {"threshold": 0}, {"threshold": 256}])
def test_invalid_reading_options_are_rejected(options: Any) -> None:
    """
    An invalid side or threshold raises an error with the valid values.
    """
    with pytest.raises(InvalidImageError, match=r"white|from 1 to 255"):
        Mask.from_luminance(Image.new("L", SIZE), **options)


def test_mask_of_another_size_is_rejected_unless_fit() -> None:
    """
    A mask of another size raises an error with both sizes, and is rescaled with `resize_mask=True`.
    """
    mask = Mask.from_luminance(Image.new("L", (20, 15), 255)) & Mask.rectangle((0, 0, 20, 30))
    for method in (mask.alpha, mask.png, mask.coverage):
        with pytest.raises(
            InvalidImageError, match=r"20x15 pixels and the image 40x30.*resize_mask=True"
        ):
            method(SIZE)
    assert mask.alpha(SIZE, resize_mask=True).getbbox() == (0, 0, 20, 30)
    assert mask.coverage(SIZE, resize_mask=True) == pytest.approx(0.5)
    assert decoded(mask.png(SIZE, resize_mask=True)).size == SIZE


def test_invalid_image_size_is_rejected() -> None:
    """
    No mask is drawn for a size without pixels, or over the pixel limit.
    """
    for size in ((0, 0), (10, -1)):
        with pytest.raises(InvalidImageError, match="at least one pixel"):
            Mask.rectangle((0, 0, 1, 1)).alpha(size)
    with pytest.raises(InvalidImageError, match="the limit is 64 million"):
        Mask.rectangle((0, 0, 1, 1)).alpha((100_000, 100_000))


# --- operators ---


@given(masks, masks)
def test_union_and_intersection_combine_pixel_by_pixel(first: Mask, second: Mask) -> None:
    """
    `|` takes the greater value of each pixel, and `&` the smaller one.
    """
    pairs = list(zip(pixels(first), pixels(second), strict=True))
    assert pixels(first | second) == bytes(max(pair) for pair in pairs)
    assert pixels(first & second) == bytes(min(pair) for pair in pairs)


@given(masks)
def test_inverse_is_the_complement(mask: Mask) -> None:
    """
    `~` inverts every pixel; applied twice, it gives the same mask.
    """
    assert pixels(~mask) == bytes(255 - value for value in pixels(mask))
    assert pixels(~~mask) == pixels(mask)
    assert mask.coverage(SIZE) + (~mask).coverage(SIZE) == pytest.approx(1)


@given(masks, masks)
def test_coverages_add_up(first: Mask, second: Mask) -> None:
    """
    The coverages of union and intersection add up to those of both masks.
    """
    joined = (first | second).coverage(SIZE) + (first & second).coverage(SIZE)
    assert joined == pytest.approx(first.coverage(SIZE) + second.coverage(SIZE))
    assert 0 <= first.coverage(SIZE) <= 1


def test_combining_many_masks_does_not_overflow_the_stack() -> None:
    """
    Thousands of masks combined one by one can be drawn.
    """
    mask = Mask.rectangle((0, 0, 1, 1))
    for at in range(3000):
        mask |= Mask.rectangle((at % 40, at % 30, at % 40 + 1, at % 30 + 1))
    assert mask.coverage(SIZE) == pytest.approx(120 / 1200)


@pytest.mark.parametrize("other", [None, 7, b"", "mask.png"])
def test_masks_combine_only_with_masks(other: Any) -> None:
    """
    Combining a mask with anything else raises TypeError.
    """
    mask: Any = Mask.rectangle((0, 0, 1, 1))
    with pytest.raises(TypeError):
        _ = mask | other
    with pytest.raises(TypeError):
        _ = mask & other


@given(masks, st.integers(0, 25))
def test_dilation_takes_the_greatest_value_nearby(mask: Mask, px: int) -> None:
    """
    Each pixel of a dilated mask has the greatest value within `px` pixels.
    """
    expected = mask.alpha(SIZE)
    for _ in range(px):
        expected = _dilated_by_1px(expected)
    assert pixels(mask.dilate(px)) == expected.tobytes()
    assert pixels(mask.dilate(-px)) == pixels(~(~mask).dilate(px))


def _dilated_by_1px(alpha: Image.Image) -> Image.Image:
    # Framed in black, because the filter leaves the pixels at the image's edge unchanged.
    framed = Image.new("L", (SIZE[0] + 2, SIZE[1] + 2), 0)
    framed.paste(alpha, (1, 1))
    return framed.filter(ImageFilter.MaxFilter(3)).crop((1, 1, SIZE[0] + 1, SIZE[1] + 1))


def test_feather_softens_only_the_edge() -> None:
    """
    A feathered edge rises monotonically; pixels far from it are unchanged.
    """
    mask = Mask.rectangle((0, 0, 100, 50)).feather(4)
    row = [mask.alpha((200, 50)).getpixel((x, 25)) for x in range(200)]
    assert row == sorted(row, reverse=True)  # type: ignore[type-var] # pyright: ignore[reportArgumentType] - an L image's pixels are numbers
    assert (row[50], row[150]) == (255, 0)
    assert len(set(row)) > 8
    assert Mask.rectangle((0, 0, 9, 9)).feather(0).coverage(SIZE) == pytest.approx(81 / 1200)


def test_very_large_feather_is_accepted() -> None:
    """
    A mask keeps its coverage however large the feather.
    """
    assert Mask.rectangle((0, 0, 20, 30)).feather(1e12).coverage(SIZE) == pytest.approx(
        0.5, abs=0.1
    )


@pytest.mark.parametrize("radius", [-1, float("nan"), float("inf"), True, "4", None])
def test_invalid_radius_is_rejected(radius: Any) -> None:
    """
    A feather's radius must be a number of pixels.
    """
    with pytest.raises(InvalidImageError, match="from 0 up"):
        Mask.rectangle((0, 0, 1, 1)).feather(radius)


@pytest.mark.parametrize("px", [1.5, True, "4", None])
def test_dilation_by_a_non_integer_is_rejected(px: Any) -> None:
    """
    A mask is dilated by whole pixels only.
    """
    with pytest.raises(InvalidImageError, match="whole number of pixels"):
        Mask.rectangle((0, 0, 1, 1)).dilate(px)


# --- PNG for the provider ---


@given(masks)
def test_png_is_transparent_where_pixels_may_change(mask: Mask) -> None:
    """
    The mask becomes an RGBA PNG of the image's size, transparent as far as pixels may change.
    """
    alpha = pixels(mask)
    if set(alpha) in ({0}, {255}):
        with pytest.raises(InvalidImageError, match=r"opens (nothing|everything)"):
            mask.png(SIZE)
        return
    sent = decoded(mask.png(SIZE))
    assert (sent.format, sent.mode, sent.size) == ("PNG", "RGBA", SIZE)
    assert sent.getchannel("A").tobytes() == bytes(255 - value for value in alpha)
    assert pixels(Mask.from_alpha(mask.png(SIZE))) == alpha


def test_mask_that_opens_nothing_is_rejected() -> None:
    """
    If no pixel may change, the error says so, and which pixels each kind of mask opens.
    """
    nothing = Mask.from_luminance(Image.new("L", SIZE, 0))
    with pytest.raises(InvalidImageError, match=r'opens nothing.*opens="black".*~mask'):
        nothing.png(SIZE)
    with pytest.raises(InvalidImageError, match="opens nothing"):
        validate_alpha(nothing.alpha(SIZE))


def test_mask_that_opens_everything_is_rejected() -> None:
    """
    If every pixel may change, the error says to leave the mask out.
    """
    with pytest.raises(InvalidImageError, match=r"opens everything.*Leave the mask out"):
        Mask.rectangle((0.0, 0.0, 1.0, 1.0)).png(SIZE)


def test_mask_that_opens_in_part_is_accepted() -> None:
    """
    A mask that opens one pixel, all but one, or all of them by half is valid.
    """
    single_pixel = Mask.rectangle((0, 0, 1, 1))
    half = Mask.from_luminance(Image.new("L", SIZE, 128))
    for mask in (single_pixel, ~single_pixel, half):
        validate_alpha(mask.alpha(SIZE))


# --- display ---


def test_repr_is_the_expression(tmp_path: Path) -> None:
    """
    A mask's repr is the Python expression that makes it.
    """
    sky = Mask.rectangle((0.0, 0.0, 1.0, 0.4))
    kettle = Mask.ellipse((3, 4, 20, 21)).dilate(8).feather(4)
    assert repr(sky & ~kettle) == (
        "(Mask.rectangle((0.0, 0.0, 1.0, 0.4)) & "
        "~Mask.ellipse((3, 4, 20, 21)).dilate(8).feather(4))"
    )
    path = tmp_path / "mask.png"
    path.write_bytes(encoded(Image.new("L", SIZE)))
    assert repr(Mask.from_file(path) | sky | sky) == (
        "(Mask.from_file(<40x30>) | Mask.rectangle((0.0, 0.0, 1.0, 0.4)) | "
        "Mask.rectangle((0.0, 0.0, 1.0, 0.4)))"
    )
    assert Mask.__module__ == "imagesession"


def test_masks_are_immutable_values() -> None:
    """
    Masks made alike are equal and hashable, and cannot be changed.
    """

    def make() -> Mask:
        return Mask.ellipse((1, 2, 8, 9)).feather(2) & ~Mask.from_luminance(Image.new("L", SIZE))

    assert make() == make()
    assert len({make(), make(), ~make()}) == 2
    with pytest.raises(AttributeError):
        make()._operation = None  # type: ignore[misc,assignment] # pyright: ignore[reportAttributeAccessIssue,reportPrivateUsage] # noqa: SLF001 - it must not work


def test_mask_does_not_depend_on_its_file(tmp_path: Path) -> None:
    """
    A mask holds its image as it was when it was read.
    """
    path = tmp_path / "mask.png"
    path.write_bytes(encoded(Image.new("L", SIZE, 255)))
    mask = Mask.from_file(path)
    path.unlink()
    assert mask.coverage(SIZE) == 1


def test_preview_tints_the_pixels_that_may_change() -> None:
    """
    A preview is the image, tinted where it may change and unchanged elsewhere.
    """
    picture = noise(SIZE)
    shown = Mask.rectangle((0, 0, 20, 30)).preview(encoded(picture))
    assert is_alike(shown.crop((20, 0, 40, 30)), picture.crop((20, 0, 40, 30)))
    assert not is_alike(shown.crop((0, 0, 20, 30)), picture.crop((0, 0, 20, 30)), by=30)
    assert shown.getchannel("A").getextrema() == (255, 255)


def test_preview_of_a_photo_is_upright() -> None:
    """
    A preview shows a photo as it is sent: rotated upright.
    """
    photo = io.BytesIO(encoded(corners(SIZE), "JPEG", exif=turned(6)))
    shown = Mask.rectangle((0.0, 0.0, 1.0, 0.5)).preview(photo)
    assert (shown.size, shown.getexif().get(0x0112, 1)) == ((30, 40), 1)


# --- masks that do not say what they open ------------------------------------------------------


def _strokes(background: tuple[int, ...], stroke: tuple[int, ...], mode: str = "RGBA") -> bytes:
    mask = Image.new(mode, (32, 24), background)
    mask.paste(stroke, (8, 6, 24, 18))
    return encoded(mask)


UNCERTAIN = [
    (_strokes((0,), (1,), "L"), "looks black.*1 of 255", ["from_luminance(it, threshold=1)"]),
    (
        _strokes((9, 9, 9, 250), (255, 255, 255, 255)),
        "nearly as transparent everywhere",
        ["from_alpha(it)", "from_luminance(it)"],
    ),
    (
        _strokes((0, 0, 0, 0), (255, 255, 255, 255)),
        "white where it is visible, and transparent elsewhere",
        ["from_luminance(it)", "from_alpha(it)"],
    ),
]


@pytest.mark.parametrize("data,message,remedies", UNCERTAIN)
def test_uncertain_mask_is_refused(data: bytes, message: str, remedies: list[str]) -> None:
    """
    A mask that opens nearly nothing, or whose alpha says little or the opposite of its brightness,
    is refused; each remedy that the error names reads it.
    """
    with pytest.raises(InvalidImageError, match=message) as caught:
        Mask.of(data)
    assert len(caught.value.message) < 300
    for remedy in remedies:
        assert f"Mask.{remedy.replace('it', 'image')}" in caught.value.message
        verb, options = remedy.removesuffix(")").split("(")
        named = {"threshold": 1} if "threshold" in options else {}
        assert getattr(Mask, verb)(data, **named).png((32, 24))


@pytest.mark.parametrize(
    "data",
    [
        _strokes((0, 0, 0, 255), (0, 0, 0, 0)),
        _strokes((90, 120, 30, 255), (90, 120, 30, 0)),
        _strokes((0,), (255,), "L"),
        _strokes((0,), (200,), "L"),
        _strokes((0, 0, 0, 255), (255, 255, 255, 0)),
    ],
)
def test_usual_masks_are_read(data: bytes) -> None:
    """
    A hole in a photo or in black, and white or bright grey on black, open what is meant.
    """
    assert 0.19 <= Mask.of(data).coverage((32, 24)) <= 0.25


def test_invert_is_the_inverse() -> None:
    """
    `mask.invert()` is `~mask`.
    """
    box = Mask.rectangle((0, 0, 4, 4))
    assert box.invert() == ~box
