"""
A mask says what may change, whatever the picture's size, and is refused where it cannot be meant.
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
    Draw boxes in pixels of a picture of SIZE.
    """
    left, top = draw(st.integers(0, SIZE[0] - 1)), draw(st.integers(0, SIZE[1] - 1))
    return left, top, draw(st.integers(left + 1, SIZE[0])), draw(st.integers(top + 1, SIZE[1]))


@st.composite
def share_boxes(draw: st.DrawFn) -> tuple[float, float, float, float]:
    """
    Draw boxes in shares that are at least two pixels wide and high.
    """
    sides: list[float] = []
    for length in SIZE:
        start = draw(st.floats(0, 1 - 2 / length))
        sides += [start, draw(st.floats(min(1, start + 2 / length), 1))]
    return sides[0], sides[2], sides[1], sides[3]


simple = st.one_of(
    st.builds(Mask.rectangle, boxes()),
    st.builds(Mask.ellipse, boxes()),
    st.builds(Mask.rectangle, share_boxes()),
    st.integers(0, 255).map(lambda grey: Mask.from_luminance(Image.new("L", SIZE, grey))),
)


def _larger(inner: st.SearchStrategy[Mask]) -> st.SearchStrategy[Mask]:
    return st.one_of(
        st.builds(Mask.__or__, inner, inner),
        st.builds(Mask.__and__, inner, inner),
        st.builds(Mask.__invert__, inner),
        st.builds(Mask.feather, inner, st.floats(0, 50)),
        st.builds(Mask.dilate, inner, st.integers(-20, 20)),
    )


masks = st.recursive(simple, _larger, max_leaves=4)


def pixels(mask: Mask) -> bytes:
    """
    Return what a mask opens in a picture of SIZE.
    """
    return mask.alpha(SIZE).tobytes()


# --- boxes ---


@given(boxes())
def test_a_rectangle_opens_its_pixels_and_no_others(box: Pixels) -> None:
    """
    A box in pixels opens those from its left and top up to its right and bottom.
    """
    left, top, right, bottom = box
    opening = Mask.rectangle(box).alpha(SIZE)
    assert opening.mode == "L"
    expected = Image.new("L", SIZE, 0)
    expected.paste(255, box)
    assert opening.tobytes() == expected.tobytes()
    share = (right - left) * (bottom - top) / (SIZE[0] * SIZE[1])
    assert Mask.rectangle(box).coverage(SIZE) == pytest.approx(share)


@given(boxes())
def test_an_ellipse_fills_its_box(box: Pixels) -> None:
    """
    An ellipse touches all four sides of its box, and stays within it.
    """
    assert Mask.ellipse(box).alpha(SIZE).getbbox() == box
    outside = ImageChops.subtract(Mask.ellipse(box).alpha(SIZE), Mask.rectangle(box).alpha(SIZE))
    assert outside.getbbox() is None


def test_shares_are_of_the_picture() -> None:
    """
    A box in shares opens the same part of a picture of any size.
    """
    mask = Mask.rectangle((0.25, 0.5, 0.75, 1.0))
    for size in (SIZE, (400, 200), (1536, 864)):
        width, height = size
        box = (width // 4, height // 2, width * 3 // 4, height)
        assert mask.alpha(size).getbbox() == box
        assert mask.coverage(size) == pytest.approx(0.25)


def test_one_float_makes_all_four_shares() -> None:
    """
    Zeros and ones beside a float are shares too: nobody means a box of half a pixel.
    """
    assert Mask.rectangle((0, 0, 0.5, 1)) == Mask.rectangle((0.0, 0.0, 0.5, 1.0))
    assert Mask.rectangle((0, 0, 1, 1)).coverage(SIZE) == pytest.approx(1 / 1200)


@pytest.mark.parametrize(
    "box,words",
    [
        ((0, 0, 41, 30), "does not lie within the picture.*40x30"),
        ((-1, 0, 10, 10), "does not lie within the picture.*40x30"),
        ((50, 50, 60, 60), "does not lie within the picture.*40x30"),
        ((20, 0, 10, 30), "reversed.*40x30"),
        ((0.5, 0.9, 0.6, 0.1), "reversed.*40x30"),
        ((10, 10, 10, 20), "empty.*40x30"),
        ((0.5, 0.5, 0.501, 0.501), "empty.*40x30"),
    ],
)
@pytest.mark.parametrize("make", [Mask.rectangle, Mask.ellipse])
def test_a_box_that_is_not_in_the_picture_is_refused(
    make: Callable[[Any], Mask], box: tuple[float, ...], words: str
) -> None:
    """
    A box outside of the picture, reversed or empty is an error that says the picture's size.
    """
    with pytest.raises(InvalidImageError, match=words):
        make(box).alpha(SIZE)


@pytest.mark.parametrize(
    "box",
    [(), (1, 2, 3), (1, 2, 3, 4, 5), "abcd", 7, None, (0, 0, True, 1), (0, 0, float("nan"), 1.0)],
)
def test_what_is_no_box_is_refused_at_once(box: Any) -> None:
    """
    A box is four numbers; anything else is refused where it is written.
    """
    with pytest.raises(InvalidImageError, match="four numbers"):
        Mask.rectangle(box)


@pytest.mark.parametrize("box", [(0.0, 0.0, 200.0, 100.0), (10, 10, 20.5, 20), (-0.1, 0.0, 0.5, 1)])
def test_floats_are_never_pixels(box: Any) -> None:
    """
    Floats beyond 1 are refused, saying how to give pixels.
    """
    with pytest.raises(InvalidImageError, match="For pixels, give whole numbers"):
        Mask.ellipse(box)


# --- pictures ---


def test_white_opens() -> None:
    """
    In a black-and-white picture white may change, or black where that is said.
    """
    picture = Image.new("L", SIZE, 0)
    picture.paste(255, (0, 0, 10, 30))
    mask = Mask.from_luminance(picture)
    assert pixels(mask) == pixels(Mask.rectangle((0, 0, 10, 30)))
    assert pixels(Mask.from_luminance(picture, opens="black")) == pixels(~mask)


@pytest.mark.parametrize("threshold,open_from", [(None, None), (1, 1), (128, 128), (255, 255)])
def test_greys_may_change_in_part(threshold: int | None, open_from: int | None) -> None:
    """
    Greys keep their value without a threshold; with one, what is at least as bright is white.
    """
    greys = Image.frombytes("L", (256, 1), bytes(range(256)))
    opening = Mask.from_luminance(greys, threshold=threshold).alpha((256, 1)).tobytes()
    if open_from is None:
        assert opening == bytes(range(256))
    else:
        assert opening == bytes(open_from) + b"\xff" * (256 - open_from)


def test_what_is_transparent_is_not_painted() -> None:
    """
    Strokes on a transparent ground are what opens, in white or in black.
    """
    for colour, opens in (("white", "white"), ("black", "black")):
        strokes = Image.new("RGBA", SIZE, (0, 0, 0, 0))
        strokes.paste(colour, (5, 5, 15, 15))
        mask = Mask.from_luminance(strokes, opens=opens)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - one of two literals
        assert pixels(mask) == pixels(Mask.rectangle((5, 5, 15, 15)))


def test_transparency_opens() -> None:
    """
    By alpha, what is transparent may change, and what is half transparent may by half.
    """
    picture = corners(SIZE).convert("RGBA")
    picture.paste((9, 9, 9, 0), (0, 0, 10, 30))
    picture.paste((9, 9, 9, 55), (10, 0, 20, 30))
    opening = Mask.from_alpha(picture).alpha(SIZE)
    assert [opening.getpixel((x, 5)) for x in (5, 15, 25)] == [255, 200, 0]
    with pytest.raises(InvalidImageError, match=r"The mask has no alpha channel.*from_luminance"):
        Mask.from_alpha(corners(SIZE))


def test_a_file_is_read_by_what_it_has(tmp_path: Path) -> None:
    """
    A file with a transparent pixel is read by its alpha, one without by its black and white.
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


def test_a_jpeg_may_be_a_mask() -> None:
    """
    Black and white as a JPEG leaves them are still black and white.
    """
    picture = Image.new("RGB", (64, 64), "black")
    picture.paste("white", (0, 0, 32, 64))
    assert Mask.of(encoded(picture, "JPEG", quality=40)).coverage((64, 64)) == pytest.approx(
        0.5, abs=0.02
    )


def test_a_photo_is_not_taken_for_a_mask() -> None:
    """
    A coloured, opaque picture is most likely given by mistake; the error says how to mean it.
    """
    with pytest.raises(InvalidImageError, match=r"is no mask.*alpha channel.*Mask\.from_luminance"):
        Mask.of(corners(SIZE))
    assert 0 < Mask.from_luminance(corners(SIZE)).coverage(SIZE) < 1


def test_a_mask_is_taken_as_it_is() -> None:
    """
    Where a mask or a picture may be given, a mask stays the same one.
    """
    mask = Mask.rectangle((0, 0, 4, 4))
    assert Mask.of(mask) is mask


def test_a_mask_from_a_photo_is_turned_like_the_photo() -> None:
    """
    A mask whose EXIF says that it lies on its side is set upright, as the picture is.
    """
    lying = Image.new("L", SIZE, 0)
    lying.paste(255, (0, 0, 20, 30))
    mask = Mask.of(encoded(lying, "PNG", exif=turned(6)))
    assert mask.alpha((30, 40)).getbbox() == (0, 0, 30, 20)


@pytest.mark.parametrize("how", [{"opens": "grey"}, {"threshold": 0}, {"threshold": 256}])
def test_other_ways_of_reading_are_refused(how: Any) -> None:
    """
    A side or a threshold that does not exist is refused with those that do.
    """
    with pytest.raises(InvalidImageError, match=r"white|from 1 to 255"):
        Mask.from_luminance(Image.new("L", SIZE), **how)


def test_the_size_must_fit() -> None:
    """
    A mask from a picture of another size names both, and is rescaled only when told to.
    """
    mask = Mask.from_luminance(Image.new("L", (20, 15), 255)) & Mask.rectangle((0, 0, 20, 30))
    for ask in (mask.alpha, mask.png, mask.coverage):
        with pytest.raises(
            InvalidImageError, match=r"20x15 pixels and the picture 40x30.*fit=True"
        ):
            ask(SIZE)
    assert mask.alpha(SIZE, fit=True).getbbox() == (0, 0, 20, 30)
    assert mask.coverage(SIZE, fit=True) == pytest.approx(0.5)
    assert decoded(mask.png(SIZE, fit=True)).size == SIZE


def test_a_picture_must_have_pixels() -> None:
    """
    No mask is drawn for a picture without pixels, or with more than are ever read.
    """
    for size in ((0, 0), (10, -1)):
        with pytest.raises(InvalidImageError, match="at least one pixel"):
            Mask.rectangle((0, 0, 1, 1)).alpha(size)
    with pytest.raises(InvalidImageError, match="the limit is 64 million"):
        Mask.rectangle((0, 0, 1, 1)).alpha((100_000, 100_000))


# --- operators ---


@given(masks, masks)
def test_masks_join_pixel_by_pixel(first: Mask, second: Mask) -> None:
    """
    `|` opens what either opens, and `&` what both do.
    """
    pairs = list(zip(pixels(first), pixels(second), strict=True))
    assert pixels(first | second) == bytes(max(pair) for pair in pairs)
    assert pixels(first & second) == bytes(min(pair) for pair in pairs)


@given(masks)
def test_the_complement_is_the_rest(mask: Mask) -> None:
    """
    `~` opens exactly what was closed; twice, it is the mask itself.
    """
    assert pixels(~mask) == bytes(255 - value for value in pixels(mask))
    assert pixels(~~mask) == pixels(mask)
    assert mask.coverage(SIZE) + (~mask).coverage(SIZE) == pytest.approx(1)


@given(masks, masks)
def test_shares_add_up(first: Mask, second: Mask) -> None:
    """
    What either opens and what both open is, together, what each opens.
    """
    joined = (first | second).coverage(SIZE) + (first & second).coverage(SIZE)
    assert joined == pytest.approx(first.coverage(SIZE) + second.coverage(SIZE))
    assert 0 <= first.coverage(SIZE) <= 1


def test_a_thousand_masks_join() -> None:
    """
    However many masks are joined one by one, drawing them does not run out of stack.
    """
    mask = Mask.rectangle((0, 0, 1, 1))
    for at in range(3000):
        mask |= Mask.rectangle((at % 40, at % 30, at % 40 + 1, at % 30 + 1))
    assert mask.coverage(SIZE) == pytest.approx(120 / 1200)


@pytest.mark.parametrize("other", [None, 7, b"", "mask.png"])
def test_masks_join_with_masks_alone(other: Any) -> None:
    """
    Joining a mask with anything else is a TypeError, as it is between any two values.
    """
    mask: Any = Mask.rectangle((0, 0, 1, 1))
    with pytest.raises(TypeError):
        _ = mask | other
    with pytest.raises(TypeError):
        _ = mask & other


@given(masks, st.integers(0, 25))
def test_growing_is_the_greatest_value_near(mask: Mask, px: int) -> None:
    """
    A grown mask has at each pixel the greatest value that lies within so many pixels.
    """
    expected = mask.alpha(SIZE)
    for _ in range(px):
        expected = _widened(expected)
    assert pixels(mask.dilate(px)) == expected.tobytes()
    assert pixels(mask.dilate(-px)) == pixels(~(~mask).dilate(px))


def _widened(opening: Image.Image) -> Image.Image:
    # Framed in black, because the filter leaves a picture's own edge as it is.
    framed = Image.new("L", (SIZE[0] + 2, SIZE[1] + 2), 0)
    framed.paste(opening, (1, 1))
    return framed.filter(ImageFilter.MaxFilter(3)).crop((1, 1, SIZE[0] + 1, SIZE[1] + 1))


def test_a_feather_softens_the_edge_alone() -> None:
    """
    A feathered edge rises evenly; far from it, all is as it was.
    """
    mask = Mask.rectangle((0, 0, 100, 50)).feather(4)
    row = [mask.alpha((200, 50)).getpixel((x, 25)) for x in range(200)]
    assert row == sorted(row, reverse=True)  # type: ignore[type-var] # pyright: ignore[reportArgumentType] - an L picture's pixels are numbers
    assert (row[50], row[150]) == (255, 0)
    assert len(set(row)) > 8
    assert Mask.rectangle((0, 0, 9, 9)).feather(0).coverage(SIZE) == pytest.approx(81 / 1200)


def test_a_feather_wider_than_the_picture_is_even() -> None:
    """
    However wide a feather, a mask still opens something.
    """
    assert Mask.rectangle((0, 0, 20, 30)).feather(1e12).coverage(SIZE) == pytest.approx(
        0.5, abs=0.1
    )


@pytest.mark.parametrize("radius", [-1, float("nan"), float("inf"), True, "4", None])
def test_a_radius_is_a_length(radius: Any) -> None:
    """
    A feather has no radius but a number of pixels.
    """
    with pytest.raises(InvalidImageError, match="from 0 up"):
        Mask.rectangle((0, 0, 1, 1)).feather(radius)


@pytest.mark.parametrize("px", [1.5, True, "4", None])
def test_a_mask_grows_by_whole_pixels(px: Any) -> None:
    """
    A mask grows by no fraction of a pixel.
    """
    with pytest.raises(InvalidImageError, match="whole number of pixels"):
        Mask.rectangle((0, 0, 1, 1)).dilate(px)


# --- the wire ---


@given(masks)
def test_the_wire_gets_alpha(mask: Mask) -> None:
    """
    The wire's mask is an RGBA PNG of the picture's size, transparent as far as pixels may change.
    """
    opening = pixels(mask)
    if set(opening) in ({0}, {255}):
        with pytest.raises(InvalidImageError, match=r"opens (nothing|everything)"):
            mask.png(SIZE)
        return
    sent = decoded(mask.png(SIZE))
    assert (sent.format, sent.mode, sent.size) == ("PNG", "RGBA", SIZE)
    assert sent.getchannel("A").tobytes() == bytes(255 - value for value in opening)
    assert pixels(Mask.of(mask.png(SIZE))) == opening


def test_a_mask_that_opens_nothing_is_refused() -> None:
    """
    Where no pixel may change, the error says so, and what opens in which kind of mask.
    """
    nothing = Mask.from_luminance(Image.new("L", SIZE, 0))
    with pytest.raises(InvalidImageError, match=r'opens nothing.*opens="black".*~mask'):
        nothing.png(SIZE)
    with pytest.raises(InvalidImageError, match="opens nothing"):
        validate_alpha(nothing.alpha(SIZE))


def test_a_mask_that_opens_everything_is_refused() -> None:
    """
    Where each pixel may change, the error says to leave the mask out.
    """
    with pytest.raises(InvalidImageError, match=r"opens everything.*Leave the mask out"):
        Mask.rectangle((0.0, 0.0, 1.0, 1.0)).png(SIZE)


def test_a_mask_that_opens_in_part_is_taken() -> None:
    """
    A mask that opens one pixel, all but one, or all by half is a mask.
    """
    item = Mask.rectangle((0, 0, 1, 1))
    half = Mask.from_luminance(Image.new("L", SIZE, 128))
    for mask in (item, ~item, half):
        validate_alpha(mask.alpha(SIZE))


# --- for eyes ---


def test_a_mask_says_how_it_was_made(tmp_path: Path) -> None:
    """
    A mask's repr is the recipe, as one would write it.
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


def test_masks_are_values() -> None:
    """
    Masks made alike are equal, can be kept in sets, and cannot be changed.
    """

    def make() -> Mask:
        return Mask.ellipse((1, 2, 8, 9)).feather(2) & ~Mask.from_luminance(Image.new("L", SIZE))

    assert make() == make()
    assert len({make(), make(), ~make()}) == 2
    with pytest.raises(AttributeError):
        make()._recipe = None  # type: ignore[misc,assignment] # pyright: ignore[reportAttributeAccessIssue,reportPrivateUsage] # noqa: SLF001 - it must not work


def test_a_mask_does_not_follow_its_file(tmp_path: Path) -> None:
    """
    A mask is what its picture was when it was read.
    """
    path = tmp_path / "mask.png"
    path.write_bytes(encoded(Image.new("L", SIZE, 255)))
    mask = Mask.from_file(path)
    path.unlink()
    assert mask.coverage(SIZE) == 1


def test_the_preview_shows_what_opens() -> None:
    """
    A preview is the picture, tinted where it may change and untouched elsewhere.
    """
    picture = noise(SIZE)
    shown = Mask.rectangle((0, 0, 20, 30)).preview(encoded(picture))
    assert is_alike(shown.crop((20, 0, 40, 30)), picture.crop((20, 0, 40, 30)))
    assert not is_alike(shown.crop((0, 0, 20, 30)), picture.crop((0, 0, 20, 30)), by=30)
    assert shown.getchannel("A").getextrema() == (255, 255)


def test_the_preview_of_a_photo_is_upright() -> None:
    """
    A preview shows a photo as it is sent: turned upright.
    """
    photo = io.BytesIO(encoded(corners(SIZE), "JPEG", exif=turned(6)))
    shown = Mask.rectangle((0.0, 0.0, 1.0, 0.5)).preview(photo)
    assert (shown.size, shown.getexif().get(0x0112, 1)) == ((30, 40), 1)
