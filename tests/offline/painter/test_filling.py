"""
Tests of filling holes: what is asked for stands in them, and nothing tells where they were.
"""

import io

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageStat

from imagesession._offline.painter import begin, paint
from imagesession._offline.painter.healing import healed
from imagesession._offline.painter.pixels import mapped, resized

SIDE = 384
SQUARE = (SIDE, SIDE)
HOLE = (80, 100, 300, 340)


def opened(data: bytes) -> Image.Image:
    """
    Decode a picture.
    """
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def png(image: Image.Image) -> bytes:
    """
    Encode a picture.
    """
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def oval(box: tuple[int, int, int, int] = HOLE, *, feather: float = 0) -> Image.Image:
    """
    Draw how far a mask is open: 255 within an oval, fading around its outline.
    """
    opening = Image.new("L", SQUARE, 0)
    ImageDraw.Draw(opening).ellipse(box, fill=255)
    return opening.filter(ImageFilter.GaussianBlur(feather)) if feather else opening


def mask(opening: Image.Image) -> bytes:
    """
    Encode a mask: its alpha is 0 where it is open.
    """
    image = Image.new("RGBA", opening.size, (0, 0, 0, 255))
    image.putalpha(ImageChops.invert(opening))
    return png(image)


def edited(before: bytes, prompt: str, opening: Image.Image) -> Image.Image:
    """
    Change a picture within a mask.
    """
    return opened(paint(begin(prompt, base=before, mask=mask(opening)))).convert("RGB")


def sky() -> Image.Image:
    """
    Draw a plain ground that gets lighter from the top to the bottom.
    """
    shade = resized(Image.linear_gradient("L"), SQUARE)
    return Image.merge("RGB", (shade, shade, Image.new("L", SQUARE, 230)))


def changed(before: Image.Image, after: Image.Image, least: int = 24) -> tuple[int, int, int, int]:
    """
    Find the box of all that changed clearly.
    """
    delta = ImageChops.difference(before.convert("RGB"), after).convert("L")
    box = mapped(delta, [0] * least + [255] * (256 - least)).getbbox()
    assert box is not None
    return box


def rim(opening: Image.Image) -> Image.Image:
    """
    Draw the band just inside of a hole's outline.
    """
    solid = mapped(opening, [0] * 128 + [255] * 128)
    return ImageChops.subtract(solid, solid.filter(ImageFilter.MinFilter(9)))


@pytest.mark.parametrize("feather", [0, 12, 30])
def test_added_thing_leaves_no_halo(feather: float) -> None:
    """
    Around a thing that is put into a hole, the ground is as it was.
    """
    before, opening = sky(), oval(feather=feather)
    after = edited(png(before), "a hot air balloon", opening)
    delta = ImageChops.difference(before, after).convert("L")
    assert ImageStat.Stat(delta, rim(opening)).mean[0] < 1.5
    assert ImageStat.Stat(delta).mean[0] > 4


def test_feathered_mask_holds_a_thing_as_large_as_its_half_open_edge() -> None:
    """
    Whether its edge is soft or hard, a mask holds a thing of the same size.
    """
    before = sky()
    hard = changed(before, edited(png(before), "a red apple", oval()))
    soft = changed(before, edited(png(before), "a red apple", oval(feather=30)))
    assert abs((soft[2] - soft[0]) - (hard[2] - hard[0])) < 0.12 * (hard[2] - hard[0])
    assert abs((soft[3] - soft[1]) - (hard[3] - hard[1])) < 0.12 * (hard[3] - hard[1])


def test_hole_that_is_nowhere_half_open_is_filled_nevertheless() -> None:
    """
    A mask that is only faintly open changes the picture faintly.
    """
    before = sky()
    faint = mapped(oval(), [v // 4 for v in range(256)])
    after = edited(png(before), "a red apple", faint)
    delta = ImageChops.difference(before, after)
    assert 0 < ImageStat.Stat(delta).mean[1] < 20


@pytest.mark.parametrize("prompt", ["a red apple", "make it bluer", "a sunset over mountains"])
def test_closed_mask_keeps_every_pixel(prompt: str) -> None:
    """
    Where a feathered mask is closed, no pixel changes.
    """
    before, opening = sky(), oval(feather=16)
    delta = ImageChops.difference(before, edited(png(before), prompt, opening)).convert("L")
    closed = mapped(opening, [255] + [0] * 255)
    assert ImageChops.darker(delta, closed).getbbox() is None


def test_change_of_colour_fades_with_the_mask() -> None:
    """
    Halfway through a feathered edge, half of a change is seen.
    """
    before, opening = sky(), oval((120, 60, 260, 330), feather=24)
    after = edited(png(before), "make it darker", opening)
    delta = ImageChops.difference(before, after).convert("L")
    full = ImageStat.Stat(delta, mapped(opening, [0] * 250 + [255] * 6)).mean[0]
    half = ImageStat.Stat(delta, mapped(opening, [0] * 118 + [255] * 20 + [0] * 118)).mean[0]
    assert 0.3 * full < half < 0.7 * full


def test_drawn_subject_is_taken_away_without_a_trace() -> None:
    """
    A subject of a picture that was drawn here is removed from a hole, and the landscape that was
    behind it comes to light.
    """
    story = begin("a cat in a meadow", size=SQUARE)
    whole = opened(paint(story)).convert("RGB")
    opening = Image.new("L", SQUARE, 0)
    ImageDraw.Draw(opening).rectangle((40, 110, 344, 370), fill=255)
    after = edited(paint(story), "remove the cat", opening)
    orange = (235, 155, 75)
    middle = after.getpixel((SIDE // 2, int(SIDE * 0.75)))
    assert isinstance(middle, tuple)
    assert sum(abs(int(a) - b) for a, b in zip(middle, orange, strict=True)) > 120
    # Beside the cat, hills and sky are those that were there.
    delta = ImageChops.difference(whole, after).convert("L")
    assert ImageStat.Stat(delta, rim(opening)).mean[0] < 2


def test_drawn_subject_is_replaced() -> None:
    """
    Another subject takes the place of one that was drawn here; nothing of it shows around it.
    """
    story = begin("a red heart, plain", size=SQUARE)
    opening = oval((30, 30, 354, 354))
    after = edited(paint(story), "a blue fish", opening)
    red, green, _ = after.split()
    left = mapped(ImageChops.subtract(red, green), [0] * 110 + [1] * 146)
    assert ImageStat.Stat(left).mean[0] < 0.01


def test_added_thing_stands_before_what_is_there() -> None:
    """
    What is added takes nothing away.
    """
    story = begin("a cat in a meadow", size=SQUARE)
    whole = opened(paint(story)).convert("RGB")
    opening = oval((20, 20, 130, 130))
    after = edited(paint(story), "add a star", opening)
    delta = ImageChops.difference(whole, after).convert("L")
    same = ImageChops.darker(mapped(delta, [255] + [0] * 255), opening)
    assert same.histogram()[255] > 0.3 * opening.histogram()[255]
    assert delta.getbbox() is not None


def test_thing_of_a_photograph_is_healed() -> None:
    """
    A thing that stands in a hole goes, and the stripes of the ground go on behind it.
    """
    ground = Image.new("RGB", SQUARE, (120, 180, 230))
    ImageDraw.Draw(ground).rectangle((0, 240, SIDE, SIDE), fill=(80, 150, 70))
    photo = ground.copy()
    ImageDraw.Draw(photo).ellipse((150, 160, 240, 300), fill=(200, 40, 40))
    after = healed(photo, oval())
    assert ImageStat.Stat(ImageChops.difference(ground, after).convert("L")).mean[0] < 0.5


@pytest.mark.parametrize(
    "box",
    [(0, 0, SIDE, SIDE), (0, 100, SIDE, 300), (100, 0, 300, SIDE), (0, 0, 4, 4), (5, 5, 5, 5)],
)
def test_any_hole_can_be_healed(box: tuple[int, int, int, int]) -> None:
    """
    Holes that reach the edges, fill the picture or are tiny leave a picture of the same size.
    """
    hole = Image.new("L", SQUARE, 0)
    hole.paste(255, box)
    photo = sky()
    ImageDraw.Draw(photo).rectangle((150, 160, 240, 300), fill=(200, 40, 40))
    assert healed(photo, hole).size == SQUARE


def test_cloud_that_goes_on_beyond_a_hole_stays() -> None:
    """
    What crosses the rim of a hole on a broad front belongs to the ground.
    """
    photo = sky()
    ImageDraw.Draw(photo).rectangle((0, 180, SIDE, 215), fill=(250, 250, 250))
    after = edited(png(photo), "a hot air balloon", oval((140, 60, 380, 330)))
    pixel = after.getpixel((372, 200))
    assert pixel == (250, 250, 250)


def test_mask_of_another_size_is_fitted() -> None:
    """
    A mask in another size covers the same share of the picture.
    """
    before = sky()
    small = resized(oval(), (SIDE // 2, SIDE // 2), Image.Resampling.NEAREST)
    box = changed(before, edited(png(before), "a red apple", small))
    assert HOLE[0] <= box[0]
    assert box[2] <= HOLE[2]


def test_mask_without_alpha_changes_nothing() -> None:
    """
    A mask that is open nowhere leaves the picture as it is.
    """
    before = sky()
    story = begin("a red apple", base=png(before), mask=png(Image.new("RGB", SQUARE)))
    assert ImageChops.difference(before, opened(paint(story)).convert("RGB")).getbbox() is None


def test_next_thing_stands_in_the_shadow_that_is_there() -> None:
    """
    The shadow of what is replaced, where a hole cuts through it, is not cut off at the rim.
    """
    story = begin("a blue ceramic mug on a table", size=SQUARE)
    whole = opened(paint(story)).convert("RGB")
    opening = oval((76, 120, 288, 364))
    after = edited(paint(story), "a green vase", opening)
    shade = mapped(opening, [0] * 128 + [255] * 128).filter(ImageFilter.FIND_EDGES)
    delta = ImageChops.difference(whole, after).convert("L")
    assert ImageStat.Stat(delta, shade).mean[0] < 3


def test_hole_in_a_drawn_ground_needs_no_healing() -> None:
    """
    Where a hole holds no subject of a drawing, the drawing stays around what is put there.
    """
    story = begin("a cat in a meadow", size=SQUARE)
    whole = opened(paint(story)).convert("RGB")
    opening = oval((10, 10, 120, 120))
    delta = ImageChops.difference(whole, edited(paint(story), "a hot air balloon", opening))
    assert ImageStat.Stat(delta.convert("L"), rim(opening)).mean[0] < 2
