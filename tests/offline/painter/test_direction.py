"""
Tests of what an art director would look for: calm grounds, tasteful colours, clean cut-outs.
"""

import io

import pytest
from PIL import Image, ImageDraw, ImageStat

from imagesession._offline.painter import Story, begin, describe, paint, retell
from imagesession._offline.painter.pixels import resized

TEAPOT = "minimalist teapot logo"


def drawn(story: Story) -> Image.Image:
    """
    Paint a story and decode it.
    """
    image = Image.open(io.BytesIO(paint(story)))
    image.load()
    return image


def told(*prompts: str, size: tuple[int, int] | None = (256, 256)) -> Story:
    """
    Tell a story of prompts.
    """
    story = begin(prompts[0], size=size)
    for prompt in prompts[1:]:
        story = retell(story, prompt)
    return story


def at(image: Image.Image, x: float, y: float) -> tuple[int, ...]:
    """
    Read the pixel at a share of the width and of the height.
    """
    spot = (
        min(image.width - 1, int(x * image.width)),
        min(image.height - 1, int(y * image.height)),
    )
    pixel = image.getpixel(spot)
    assert isinstance(pixel, tuple)
    return tuple(int(part) for part in pixel)


def rim(image: Image.Image) -> set[tuple[int, ...]]:
    """
    Collect the colours around the edge of a picture.
    """
    shares = [i / 20 for i in range(21)]
    return {
        at(image, *spot) for s in shares for spot in ((s, 0.02), (s, 0.99), (0.02, s), (0.99, s))
    }


def scenery(size: tuple[int, int] = (300, 200)) -> bytes:
    """
    Stand in for a photograph: a gradient of a sky, hills, and a red house.
    """
    image = resized(Image.linear_gradient("L"), size)
    image = Image.merge("RGB", (image, image, Image.new("L", size, 220)))
    w, h = size
    draw = ImageDraw.Draw(image)
    draw.polygon((0, h, 0, h * 0.7, w * 0.5, h * 0.8, w, h * 0.7, w, h), fill=(60, 110, 70))
    draw.rectangle((w * 0.4, h * 0.6, w * 0.6, h * 0.9), fill=(190, 60, 50))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("last", ["more geometric", "on a dark background", "blue accents"])
def test_ground_of_a_logo_is_calm(last: str) -> None:
    """
    Whatever is asked, the ground of a logo is one plain colour, and no ornament stands on it.
    """
    story = told(TEAPOT, "more geometric", "warmer colours", last)
    assert len(rim(drawn(story))) == 1


def test_warmer_logo_is_cream_and_terracotta() -> None:
    """
    A warmer logo gets a cream ground and a warm mark, not a yellow ground and a green mark.
    """
    image = drawn(told(TEAPOT, "warmer colours"))
    r, g, b = at(image, 0.05, 0.05)[:3]
    assert r >= g > b > 200
    r, g, b = at(image, 0.5, 0.68)[:3]
    assert r > 1.6 * g
    assert g > b


def test_warmer_keeps_a_colour_that_was_asked_for() -> None:
    """
    A mark whose colour was named keeps it when the colours around it become warmer.
    """
    r, _, b = at(drawn(told("a blue teapot logo, minimalist", "warmer")), 0.5, 0.68)[:3]
    assert b > r + 60


@pytest.mark.parametrize(
    "words", ["on a dark background", "on a darker background", "dark mode", "on black"]
)
def test_dark_ground_is_dark_and_the_mark_is_not(words: str) -> None:
    """
    A dark ground is understood in several wordings, and the mark still shows on it.
    """
    image = drawn(told(TEAPOT, words))
    assert max(at(image, 0.05, 0.05)[:3]) < 60
    assert max(at(image, 0.52, 0.62)[:3]) > 90
    assert len(rim(image)) == 1


def test_light_ground_takes_back_the_dark_one() -> None:
    """
    After a dark ground, a light one can be asked for.
    """
    image = drawn(told(TEAPOT, "on a dark background", "on a light background"))
    assert min(at(image, 0.05, 0.05)[:3]) > 200


def test_horizontal_logo_fills_the_frame() -> None:
    """
    In a header, mark and lettering together take most of the width and half of the height.
    """
    story = told("a minimalist teapot logo", "more geometric")
    image = drawn(retell(story, "a horizontal version for headers", size=(768, 432)))
    ground = Image.new("RGB", image.size, at(image, 0.01, 0.01)[:3])
    mask = Image.eval(Image.blend(image, ground, 0.0).convert("L"), lambda v: 255 if v < 200 else 0)
    box = mask.getbbox()
    assert box is not None
    assert box[2] - box[0] > 0.7 * image.width
    assert box[3] - box[1] > 0.45 * image.height


def test_next_icon_of_a_set_takes_the_place_of_the_first() -> None:
    """
    An icon "in same style" stands on the same tile, alone.
    """
    home = told("home icon")
    profile = retell(home, "profile icon in same style")
    assert at(drawn(home), 0.2, 0.3) == at(drawn(profile), 0.2, 0.3)
    assert "house" not in describe(profile)
    assert "home" not in describe(profile)


def test_ceramic_is_a_material_and_white_a_ground() -> None:
    """
    A ceramic mug is a cup and no vase; "on white" is said of the ground.
    """
    assert describe(told("ceramic coffee mug, lifestyle scene")).startswith(
        "A flat sketch of a cup"
    )
    image = drawn(told("ceramic coffee mug, product photo on white"))
    assert min(at(image, 0.03, 0.5)[:3]) > 240


def test_transparent_landscape_has_no_sky() -> None:
    """
    Where the sky was, a transparent landscape is clear all over; its mountains stay.
    """
    image = drawn(told("Sunset over a mountain lake", "transparent background"))
    alpha = image.getchannel("A")
    assert alpha.crop((0, 0, 256, 50)).getextrema() == (0, 0)
    assert alpha.crop((0, 200, 256, 256)).getextrema() == (255, 255)


def test_background_is_removed_though_it_is_a_gradient() -> None:
    """
    Sky and hills of a given picture become clear up to the subject's outline, which stays whole.
    """
    image = drawn(begin("remove the background", base=scenery()))
    for x, y in ((0.1, 0.1), (0.5, 0.3), (0.9, 0.5), (0.1, 0.95), (0.36, 0.7), (0.64, 0.7)):
        assert at(image, x, y)[3] == 0, (x, y)
    for x, y in ((0.5, 0.75), (0.42, 0.63), (0.58, 0.87)):
        assert at(image, x, y)[3] == 255


def test_dramatic_sky_leaves_the_land() -> None:
    """
    A dramatic sky is darker at the top, while the lower edge stays nearly as it was.
    """
    before = Image.open(io.BytesIO(scenery()))
    after = drawn(begin("make the sky more dramatic", base=scenery()))
    top, low = (0, 0, 300, 30), (0, 185, 300, 200)
    lightness = [ImageStat.Stat(i.convert("L").crop(b)).mean[0] for b in (top, low)
                 for i in (before, after)]  # fmt: skip
    assert lightness[1] < 0.8 * lightness[0]
    assert abs(lightness[3] - lightness[2]) < 8


def test_other_shape_continues_calm_edges() -> None:
    """
    A picture brought to another shape keeps all of its content, and its edges go on.
    """
    image = drawn(begin("vertical", base=scenery()))
    assert image.height > image.width
    assert at(image, 0.5, 0.99)[:3] == (60, 110, 70)
    assert at(image, 0.5, 0.57)[0] > 150


def test_busy_edges_are_cropped() -> None:
    """
    What cannot be continued without smears is cropped to the new shape.
    """
    noise = Image.effect_noise((300, 200), 120).convert("RGB")
    out = io.BytesIO()
    noise.save(out, "PNG")
    image = drawn(begin("vertical", base=out.getvalue()))
    rows = [ImageStat.Stat(image.convert("L").crop((0, y, image.width, y + 1))).stddev[0]
            for y in (1, image.height // 2, image.height - 2)]  # fmt: skip
    assert min(rows) > 10
