"""
Tests of prompts that come from presets: the frame says how a subject is shown, and nothing else.
"""

import io
import itertools
import time

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageStat

from imagesession import presets
from imagesession._offline.painter import Story, begin, describe, paint, recall, retell
from imagesession._offline.painter.briefs import brief
from imagesession._offline.painter.colour import distance, named
from imagesession._offline.painter.naming import find, label
from imagesession._offline.painter.pixels import mapped
from imagesession._plan.variations import OF_A_PICTURE, take

SIDE = 384
SQUARE = (SIDE, SIDE)
WIDE = (768, 384)
ANGLES = ("front", "side", "three-quarter", "top")
LIGHTINGS = ("studio", "natural", "dramatic", "soft")
MUG = "a blue ceramic mug"


def opened(data: bytes) -> Image.Image:
    """
    Decode a picture.
    """
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def drawn(story: Story) -> Image.Image:
    """
    Paint a story and decode it.
    """
    return opened(paint(story))


def product(description: str = MUG, **choices: str) -> Image.Image:
    """
    Draw a product photograph.
    """
    return drawn(begin(presets.product.prompt_for(description, **choices), size=SQUARE))


def asset(
    description: str, size: tuple[int, int] = SQUARE, *, clear: bool = False, **choices: str
) -> Image.Image:
    """
    Draw an asset of a user interface.
    """
    prompt = presets.ui_asset.prompt_for(description, **choices)
    return drawn(begin(prompt, size=size, transparent=clear))


def photo() -> Image.Image:
    """
    Stand in for a photograph of a vase on a plain, greyish ground.
    """
    image = Image.new("RGB", SQUARE, "#e8e4da")
    draw = ImageDraw.Draw(image)
    draw.ellipse((130, 130, 250, 300), fill="#b04030")
    draw.rectangle((170, 100, 210, 140), fill="#333333")
    return image


def sent(image: Image.Image) -> Story:
    """
    Go on from a picture that is sent along.
    """
    out = io.BytesIO()
    image.save(out, "PNG")
    return recall(out.getvalue())


def content(image: Image.Image) -> tuple[int, int, int, int]:
    """
    Find the box of all that differs clearly from white.
    """
    grey = ImageChops.invert(image.convert("RGB").convert("L"))
    box = mapped(grey, [0] * 60 + [255] * 196).getbbox()
    assert box is not None
    return box


def solid(image: Image.Image) -> tuple[int, int, int, int]:
    """
    Find the box of all that is opaque.
    """
    alpha = image.convert("RGBA").getchannel("A")
    box = ImageChops.subtract(alpha, Image.new("L", image.size, 240)).getbbox()
    assert box is not None
    return box


def difference(one: Image.Image, other: Image.Image) -> float:
    """
    Measure how much two pictures differ, 0 to 255.
    """
    delta = ImageChops.difference(one.convert("RGB"), other.convert("RGB"))
    return sum(ImageStat.Stat(delta).mean) / 3


def colour_at(image: Image.Image, x: float, y: float) -> tuple[int, int, int]:
    """
    Read the colour at a share of the width and of the height.
    """
    pixel = image.convert("RGB").getpixel((int(x * image.width), int(y * image.height)))
    assert isinstance(pixel, tuple)
    return (int(pixel[0]), int(pixel[1]), int(pixel[2]))


def corners(image: Image.Image) -> set[tuple[int, int, int]]:
    """
    Collect the colours of a picture's corners.
    """
    return {colour_at(image, x, y) for x in (0.0, 0.99) for y in (0.0, 0.99)}


@given(
    st.sampled_from(ANGLES),
    st.sampled_from(LIGHTINGS),
    st.sampled_from(("white", "transparent", "lifestyle")),
    st.text(min_size=1, max_size=60).filter(lambda text: text.strip()),
)
def test_every_frame_gives_its_subject_back(
    angle: str, lighting: str, ground: str, description: str
) -> None:
    """
    Whatever is described and chosen, the frame is recognised and only the description is left.
    """
    choices = {"angle": angle, "lighting": lighting, "background_type": ground}
    said = brief(presets.product.prompt_for(description, **choices))
    assert said.frame is not None
    assert dict(said.frame.choices) == choices
    assert said.subject.strip(" .") == description.strip().strip(" .")


@settings(max_examples=200)
@given(st.text(max_size=200))
def test_any_other_prompt_is_left_as_it_is(prompt: str) -> None:
    """
    A prompt without a frame or takes is all its user's own words.
    """
    said = brief(prompt)
    assert said.frame is None
    assert said.text == said.subject == prompt


def test_words_beside_a_frame_are_still_read() -> None:
    """
    What an extended preset adds in words of its own belongs to the description.
    """
    more = presets.product.extended(background_type={"forest": "Tall fir trees stand behind it."})
    said = brief(more.prompt_for("a mug", background_type="forest"))
    assert said.frame is not None
    assert said.subject == "a mug"
    assert said.text.endswith("Tall fir trees stand behind it.")


@pytest.mark.parametrize("lighting", LIGHTINGS)
def test_frame_does_not_move_a_product_of_a_session(lighting: str) -> None:
    """
    However often a product is photographed anew, it stands where it stood.
    """
    clear = presets.product.prompt_for(MUG, background_type="transparent")
    story = begin(clear, size=SQUARE)
    first = solid(drawn(story))
    for number in range(3):
        prompt = presets.product.prompt_for(f"{MUG}, glaze {number}", lighting=lighting)
        story = retell(story, prompt)
    assert corners(drawn(story)) == {(255, 255, 255)}
    assert solid(drawn(retell(story, clear))) == first


@pytest.mark.parametrize("lighting", ["studio", "natural", "soft"])
def test_frame_keeps_the_photograph_that_is_sent_along(lighting: str) -> None:
    """
    A product photograph of a reference shows it in its place and colour, without outlines or a
    second product, on pure white.
    """
    before = photo()
    image = drawn(
        retell(sent(before), presets.product.prompt_for("a clay vase", lighting=lighting))
    )
    assert corners(image) == {(255, 255, 255)}
    left, top, right, bottom = content(image)
    assert (abs(left - 130) < 4, abs(top - 100) < 4) == (True, True)
    assert (abs(right - 250) < 4, abs(bottom - 300) < 4) == (True, True)
    assert distance(colour_at(image, 0.5, 0.55), colour_at(before, 0.5, 0.55)) < 45
    inner = image.convert("RGB").crop((180, 160, 200, 280))
    assert max(ImageStat.Stat(inner).stddev) < 2


def test_crisp_edges_of_a_cut_out_add_no_outline() -> None:
    """
    A reference that is cut out keeps its colours up to the edge; its ground is clear.
    """
    prompt = presets.product.prompt_for("a clay vase", background_type="transparent")
    image = drawn(retell(sent(photo()), prompt, transparent=True))
    assert image.getchannel("A").getpixel((5, 5)) == 0
    assert distance(colour_at(image, 0.5, 0.75), (176, 64, 48)) < 12


@pytest.mark.parametrize("description", [MUG, "a red sneaker", "a green bicycle", "a laptop"])
def test_angles_can_be_told_apart(description: str) -> None:
    """
    Each angle gives another picture of the same thing in the same colours.
    """
    images = [product(description, angle=angle) for angle in ANGLES]
    for one, other in itertools.combinations(images, 2):
        assert difference(one, other) > 2.5
    front, side, _, top = (content(image) for image in images)
    assert side[2] - side[0] < 0.8 * (front[2] - front[0])
    assert top[3] - top[1] < 0.85 * (front[3] - front[1])


def test_three_quarter_view_recedes_and_casts_a_longer_shadow() -> None:
    """
    Turned by an eighth, a thing shows a darker flank, and its shadow reaches further right.
    """
    front, turned = product("a red sneaker"), product("a red sneaker", angle="three-quarter")
    feet = [image.convert("L").crop((SIDE // 2, int(0.8 * SIDE), SIDE, int(0.9 * SIDE)))
            for image in (front, turned)]  # fmt: skip
    reach = [ImageChops.invert(foot).getbbox() for foot in feet]
    assert reach[0] is not None
    assert reach[1] is not None
    assert reach[1][2] > reach[0][2]


def test_angle_of_a_reference_shows_too() -> None:
    """
    A reference that is seen from the side looks narrower, and flatter from above.
    """
    boxes = {
        angle: content(drawn(retell(sent(photo()), presets.product.prompt_for("it", angle=angle))))
        for angle in ANGLES
    }
    assert boxes["side"][2] - boxes["side"][0] < 0.7 * (boxes["front"][2] - boxes["front"][0])
    assert boxes["top"][3] - boxes["top"][1] < 0.7 * (boxes["front"][3] - boxes["front"][1])
    assert boxes["three-quarter"] != boxes["front"]
    assert "from the side" in describe(begin(presets.product.prompt_for(MUG, angle="side")))


@pytest.mark.parametrize("lighting", LIGHTINGS)
@pytest.mark.parametrize("angle", ANGLES)
def test_white_ground_is_white_in_every_light(angle: str, lighting: str) -> None:
    """
    A pure white ground stays so from edge to edge, whatever the light.
    """
    image = product(angle=angle, lighting=lighting)
    rim = [colour_at(image, x, y) for s in range(20) for x, y in
           ((s / 20, 0.0), (s / 20, 0.99), (0.0, s / 20), (0.99, s / 20))]  # fmt: skip
    assert set(rim) == {(255, 255, 255)}


def test_lights_can_be_told_apart() -> None:
    """
    Each light gives another picture; dramatic light has more contrast than soft light.
    """
    images = {lighting: product(lighting=lighting) for lighting in LIGHTINGS}
    for one, other in itertools.combinations(images.values(), 2):
        assert difference(one, other) > 0.4
    spread = {name: ImageStat.Stat(image.convert("L")).stddev[0] for name, image in images.items()}
    assert spread["dramatic"] > spread["studio"] > spread["soft"]


def test_lifestyle_shows_a_place() -> None:
    """
    A product in use stands in a room, not on a plain ground.
    """
    image = product(background_type="lifestyle")
    assert len(corners(image)) > 1


@pytest.mark.parametrize("style", ["flat", "3d", "filled"])
def test_button_is_nearly_as_wide_as_the_frame(style: str) -> None:
    """
    A button spans its frame with even margins, in the colour that was asked for.
    """
    image = asset('a blue button that says "Buy now"', WIDE, clear=True,
                  asset_type="button", style_preset=style)  # fmt: skip
    box = solid(image)
    assert box[2] - box[0] > 0.88 * WIDE[0]
    assert abs(box[0] - (WIDE[0] - box[2])) < 12
    red, _, blue = colour_at(image, 0.1, 0.5)
    assert blue > red + 60


def test_label_of_a_button_is_on_it_and_nowhere_else() -> None:
    """
    The quoted text stands in the middle of the button, and there is no caption below.
    """
    one = asset('a blue button that says "Buy now"', WIDE, asset_type="button", clear=True)
    other = asset('a blue button that says "Order"', WIDE, asset_type="button", clear=True)
    box = ImageChops.difference(one.convert("RGB"), other.convert("RGB")).getbbox()
    assert box is not None
    assert box[1] > 0.3 * WIDE[1]
    assert box[3] < 0.7 * WIDE[1]
    assert box[2] - box[0] > 0.3 * WIDE[0]


@pytest.mark.parametrize(
    "description,expected",
    [
        ('a blue button that says "Buy now"', "Buy now"),
        ("download", "Download"),
        ("Sign up", "Sign up"),
        ("a green checkout button with a shopping cart", "Checkout"),
        ("a button for checkout", "Checkout"),
        ("Add to cart", "Add to cart"),
        ("subscribe to the weekly newsletter of our company", "Subscribe"),
        ("a button", ""),
        ("", ""),
    ],
)
def test_label_is_short_and_from_the_description(description: str, expected: str) -> None:
    """
    The label is the quoted text, or else the first telling words of the description.
    """
    assert label(description) == expected


@given(st.text(max_size=200))
def test_label_fits_on_a_button(description: str) -> None:
    """
    No description makes a label that is too long to be read.
    """
    assert len(label(description)) <= 40


def test_quoted_words_are_not_drawn() -> None:
    """
    A button to book something shows no book; a cart that is described stands beside the words.
    """
    booked = describe(
        begin(presets.ui_asset.prompt_for('a "Book now" button', asset_type="button"))
    )
    assert "of a button lettered" in booked.replace(", lettered", " lettered")
    cart = describe(begin(presets.ui_asset.prompt_for("pay, a cart", asset_type="button")))
    assert "cart" in cart


def test_label_can_be_changed() -> None:
    """
    Words that are asked for later take the place of a button's label.
    """
    story = begin(presets.ui_asset.prompt_for("checkout", asset_type="button"), size=WIDE)
    assert '"Pay"' in describe(retell(story, 'change the label to "Pay"'))
    assert "Checkout" not in describe(retell(story, 'change the label to "Pay"'))


def test_subject_of_a_new_frame_replaces_the_old_one() -> None:
    """
    An icon after a hero image shows its own subject alone, in the colours of the hero image.
    """
    hero = presets.ui_asset.prompt_for("a teal lighthouse by the sea", asset_type="hero")
    icon = presets.ui_asset.prompt_for("a sailboat", asset_type="icon")
    story = retell(begin(hero, size=WIDE), icon, size=SQUARE, transparent=True)
    text = describe(story)
    assert "boat" in text
    assert "lighthouse" not in text
    assert "teal" in text
    again = retell(story, presets.ui_asset.prompt_for("a red fish", asset_type="icon"))
    assert "red fish" in describe(again)
    assert "boat" not in describe(again)


def test_style_that_was_asked_for_stays() -> None:
    """
    A style in one's own words outlasts a new frame; the frame's own style gives way to the next.
    """
    first = presets.ui_asset.prompt_for("a watercolor fox", asset_type="hero", style_preset="3d")
    then = presets.ui_asset.prompt_for("a cat", asset_type="icon", style_preset="outline")
    text = describe(retell(begin(first), then))
    assert "watercolor" in text
    assert "outline" in text
    assert "three-dimensional" not in text


def test_the_same_frame_again_gives_another_picture() -> None:
    """
    Asked for the same once more, the painter makes something else of it.
    """
    prompt = presets.ui_asset.prompt_for("a fox", asset_type="icon")
    story = begin(prompt, size=SQUARE)
    assert difference(drawn(story), drawn(retell(story, prompt))) > 3


@pytest.mark.parametrize("name", ["green", "blue", "#8a2be2"])
def test_ground_of_an_icon_is_its_tile(name: str) -> None:
    """
    The ground that is asked for colours an icon's tile, also where all around it is clear.
    """
    wanted = named(name)
    assert wanted is not None
    image = asset(f"a shopping cart on a {name} background", clear=True, asset_type="icon")
    assert distance(colour_at(image, 0.25, 0.3), wanted) < 12
    assert image.getchannel("A").getpixel((3, 3)) == 0


@pytest.mark.parametrize(
    "text,names,removed",
    [
        ("a leaf-green heart", ["heart"], ()),
        ("a forest green sneaker", ["shoe"], ()),
        ("a sky-blue car", ["car"], ()),
        ("a green leaf", ["plant"], ()),
        ("without lettering: a cat and a house", ["cat", "house"], ()),
        ("without lettering, a cat", ["cat"], ()),
        ("no text. a dog", ["dog"], ()),
        ("without text or trees", [], ("tree",)),
        ("remove the dog", [], ("dog",)),
    ],
)
def test_shades_and_refusals_name_what_they_name(
    text: str, names: list[str], removed: tuple[str, ...]
) -> None:
    """
    A shade of a colour is no subject, and what is refused ends where the phrase does.
    """
    found = find(text)
    assert [item.name for item in found.items] == names
    assert found.removed == removed


def test_leaf_green_is_green() -> None:
    """
    A leaf-green heart is a green heart.
    """
    red, green, blue = colour_at(asset("a leaf-green heart", asset_type="icon"), 0.5, 0.5)
    assert green > max(red, blue) + 30


@pytest.mark.parametrize(
    "prompt",
    [
        presets.product.prompt_for(MUG),
        presets.ui_asset.prompt_for("a rocket", asset_type="icon"),
        presets.ui_asset.prompt_for("sign up", asset_type="button"),
        presets.ui_asset.prompt_for("a lighthouse by the sea", asset_type="hero"),
        "minimalist teapot logo",
        "a cat in a garden",
        "synergy",
    ],
)
def test_takes_differ_and_show_the_same(prompt: str) -> None:
    """
    Takes look different from each other, name the same subjects, and come out the same again.
    """
    stories = [begin(take(prompt, number, 4), size=SQUARE) for number in (1, 2, 3, 4)]
    for one, other in itertools.combinations([drawn(story) for story in stories], 2):
        assert difference(one, other) > 2
    assert paint(stories[2]) == paint(attrs.evolve(stories[2]))
    assert difference(drawn(stories[0]), drawn(begin(prompt, size=SQUARE))) == 0
    for story in stories:
        assert "plant" not in describe(story) or "garden" in prompt
        assert "tree" not in describe(story)


def test_words_of_takes_are_not_read_otherwise() -> None:
    """
    That takes leave something open names no leaf, and that they keep to all keeps nothing from
    being read.
    """
    said = brief(take("a red fox", 2, 3))
    assert (said.text, said.take) == ("a red fox", 2)
    assert "red fox" in describe(begin(take("a red fox", 2, 3)))


@pytest.mark.parametrize("own", [True, False])
def test_takes_of_a_picture_differ_from_it_and_from_each_other(*, own: bool) -> None:
    """
    Variations of a picture are newly composed, without ornaments, in its style.
    """
    base = begin("minimalist fox logo", size=SQUARE) if own else sent(photo())
    whole = drawn(base) if own else photo()
    stories = [retell(base, take(OF_A_PICTURE, number, 3)) for number in (1, 2, 3)]
    images = [whole, *(drawn(story) for story in stories)]
    for one, other in itertools.combinations(images, 2):
        assert difference(one, other) > 2
    if own:
        assert all("fox" in describe(story) for story in stories)
        assert all(len({colour_at(image, x, 0.04) for x in (0.05, 0.15, 0.85, 0.95)}) == 1
                   for image in images)  # fmt: skip


def test_reference_is_refined_like_any_picture() -> None:
    """
    After its product photograph, a picture that was sent can be recoloured, and things added.
    """
    story = retell(sent(photo()), presets.product.prompt_for('a clay vase that says "HOME"'))
    before = drawn(story)
    bluer = drawn(retell(story, "make it blue"))
    assert colour_at(bluer, 0.5, 0.6)[2] > colour_at(before, 0.5, 0.6)[2] + 20
    added = drawn(retell(story, "add a sun"))
    box = ImageChops.difference(before.convert("RGB"), added.convert("RGB")).getbbox()
    assert box is not None
    assert box[0] > 0.5 * SIDE
    assert max(ImageStat.Stat(before.convert("RGB").crop((0, 340, SIDE, SIDE))).stddev) < 1


def test_icon_goes_by_the_colour_of_a_picture() -> None:
    """
    An icon that is drawn after a photograph is an icon of its own, in the photograph's colour.
    """
    prompt = presets.ui_asset.prompt_for("a heart", asset_type="icon")
    image = drawn(retell(sent(photo()), prompt, transparent=True))
    red, green, blue = colour_at(image, 0.5, 0.5)
    assert red > max(green, blue) + 60
    assert image.getchannel("A").getpixel((3, 3)) == 0


def test_frames_are_drawn_quickly() -> None:
    """
    No frame makes a sketch slow: even in a full picture it takes well below half a second.
    """
    story = begin(presets.product.prompt_for(MUG, angle="three-quarter"), size=(1024, 1024))
    start = time.process_time()
    paint(story)
    assert time.process_time() - start < 0.4


def test_sign_stands_beside_the_label() -> None:
    """
    A cart that is described is drawn on the button, to the left of its words.
    """
    plain = asset("pay", WIDE, asset_type="button")
    signed = asset("a pay button with a shopping cart", WIDE, asset_type="button")
    box = ImageChops.difference(plain, signed).getbbox()
    assert box is not None
    left, right = (
        image.crop((WIDE[0] // 6, 100, WIDE[0] * 2 // 5, 280)) for image in (plain, signed)
    )
    assert difference(left, right) > 5


@pytest.mark.parametrize("description", ["a button", "日本のボタン", "a cart"])
def test_button_without_words_that_can_be_lettered_has_a_sign(description: str) -> None:
    """
    Where there are no words to letter, a sign stands in the middle of the button.
    """
    image = asset(description, WIDE, asset_type="button")
    middle = image.convert("RGB").crop((WIDE[0] * 2 // 5, 120, WIDE[0] * 3 // 5, 260))
    assert max(ImageStat.Stat(middle).stddev) > 10


def test_button_moves_when_it_is_animated() -> None:
    """
    As an animation, a button is pressed.
    """
    story = begin(presets.ui_asset.prompt_for("pay", asset_type="button"), size=(192, 96))
    image = opened(paint(story, format="gif", frames=4))
    first = image.convert("RGB")
    image.seek(2)
    assert difference(first, image.convert("RGB")) > 0


@pytest.mark.parametrize("kind", ["icon", "button", "hero", "background", "illustration"])
def test_takes_of_what_nobody_knows_differ(kind: str) -> None:
    """
    Takes differ also where the description names nothing that can be drawn.
    """
    prompt = presets.ui_asset.prompt_for("zorblax", asset_type=kind)
    images = [drawn(begin(take(prompt, number, 2), size=SQUARE)) for number in (1, 2)]
    assert difference(images[0], images[1]) > 2


def test_several_products_stand_side_by_side() -> None:
    """
    A set of products is photographed together, the first one the largest.
    """
    alone, together = product("a red apple"), product("a red apple and a blue mug")
    assert difference(alone, together) > 1
    assert "cup" in describe(begin(presets.product.prompt_for("a red apple and a blue mug")))
