"""
The sketcher's images: they show what the prompt asks for, and the description names what was not
understood.
"""

import io
import itertools
import math
import time
from collections.abc import Callable

import pytest
from PIL import Image, ImageChops, ImageFilter, ImageStat

from imagesession import presets
from imagesession._fake_openai.sketch import SketchState, describe, refine, render, start
from imagesession._fake_openai.sketch.colour import named
from imagesession._fake_openai.sketch.prompt import parse_prompts
from imagesession._fake_openai.sketch.staging import person_of
from imagesession._fake_openai.sketch.symbols import TABLE

LAKE = "Sunset over a mountain lake"
SMALL = (256, 256)


def picture(*prompts: str, size: tuple[int, int] = SMALL, transparent: bool = False) -> Image.Image:
    """
    Draw a sketch of prompts.
    """
    state = start(prompts[0], size=size, transparent=transparent)
    for prompt in prompts[1:]:
        state = refine(state, prompt)
    image = Image.open(io.BytesIO(render(state)))
    image.load()
    return image


def mean(image: Image.Image) -> list[float]:
    """
    Return the mean colour of an image.
    """
    return ImageStat.Stat(image.convert("RGB")).mean


def difference(item: Image.Image, other: Image.Image) -> float:
    """
    Measure how much two images differ, 0 to 255.
    """
    delta = ImageChops.difference(item.convert("RGB"), other.convert("RGB"))
    return sum(ImageStat.Stat(delta).mean) / 3


def contrast(image: Image.Image) -> float:
    """
    Measure the contrast of an image.
    """
    return ImageStat.Stat(image.convert("L")).stddev[0]


def seconds(work: Callable[[], object]) -> float:
    """
    Measure the processor time of a function.
    """
    begin = time.process_time()
    work()
    return time.process_time() - begin


def test_documented_prompts_look_different() -> None:
    """
    The four prompts that newcomers try give four different images.
    """
    prompts = (
        LAKE,
        "minimalist teapot logo",
        "a red bicycle in the rain",
        "shopping cart icon, flat",
    )
    pictures = [picture(prompt) for prompt in prompts]
    for item, other in itertools.combinations(pictures, 2):
        assert difference(item, other) > 20


def test_every_subject_is_drawn_differently() -> None:
    """
    There are at least 36 subjects, and no two look the same.
    """
    assert len(TABLE) >= 36
    seen = {render(start(f"{name} logo", size=(96, 96), seed=1)) for name in TABLE}
    assert len(seen) == len(TABLE)


@pytest.mark.parametrize("name", ["red", "blue", "green", "#8a2be2"])
def test_subject_has_the_named_colour(name: str) -> None:
    """
    A heart with a named colour has that colour in its middle.
    """
    pixel = picture(f"a {name} heart logo, minimalist").getpixel((128, 150))
    expected = named(name)
    assert isinstance(pixel, tuple)
    assert expected is not None
    assert math.dist((int(pixel[0]), int(pixel[1]), int(pixel[2])), expected) < 30


def test_different_unknown_prompts_look_different() -> None:
    """
    Prompts without a known subject still look different.
    """
    prompts = ("quantum entanglement", "the meaning of synergy", "zyxomma flurb", "日本", "")
    for item, other in itertools.combinations([picture(p) for p in prompts], 2):
        assert difference(item, other) > 3


def test_seed_varies_the_image() -> None:
    """
    Seeds give different images of a prompt.
    """
    assert len({render(start(LAKE, size=SMALL, seed=seed)) for seed in range(4)}) == 4


@pytest.mark.parametrize("first", [LAKE, "minimalist teapot logo", "a cat"])
@pytest.mark.parametrize(
    "refinement",
    ["bluer", "warmer", "more contrast", "brighter", "muted", "more geometric", "more minimalist",
     "blue accents", "add a moon", "bigger", "at night", "in the rain",
     "watercolor", "more pastel", 'add text "HI"', "transparent background", "add a star"],
)  # fmt: skip
def test_known_refinements_change_the_image(first: str, refinement: str) -> None:
    """
    A known refinement changes the image, and the description names nothing as not understood.
    """
    before = start(first, size=SMALL)
    after = refine(before, refinement)
    assert difference(picture(first), picture(first, refinement)) > 0.05
    assert "did not understand" not in describe(after)


@pytest.mark.parametrize(
    "refinement", ["frobnicate the quux", "红色", "remove the zebra", "more vintage"]
)
def test_unknown_refinement_leaves_only_a_mark(refinement: str) -> None:
    """
    An unknown refinement is named in the description, changes a corner of the image, and does not
    affect later refinements.
    """
    before, after = picture("a cat by day"), picture("a cat by day", refinement)
    changed = ImageChops.difference(before, after).getbbox()
    assert changed
    assert min(changed[:2]) > 0.9 * SMALL[0]
    state = refine(start("a cat by day", size=SMALL), refinement)
    assert "did not understand" in describe(state)
    bluer = ImageChops.difference(
        picture("a cat by day", "bluer"), picture("a cat by day", refinement, "bluer")
    ).getbbox()
    assert bluer
    assert min(bluer[:2]) > 0.9 * SMALL[0]


@pytest.mark.parametrize("refinement", ["by day now", "a cat, please", "in daylight"])
def test_refinement_without_effect_is_understood(refinement: str) -> None:
    """
    A refinement that is fulfilled already changes nothing, and is not named as not understood.
    """
    state = refine(start("a cat by day", size=SMALL), refinement)
    assert "did not understand" not in describe(state)
    assert difference(picture("a cat by day"), picture("a cat by day", refinement)) == 0


@pytest.mark.parametrize("word", ["pencil", "vintage", "pixel art", "violin"])
def test_unknown_styles_are_named(word: str) -> None:
    """
    Styles and things that cannot be drawn are named.
    """
    assert "did not understand" in describe(start(f"a {word} with a cat"))


def test_unknown_words_are_named() -> None:
    """
    The description names an unknown word beside what is drawn.
    """
    text = describe(start("a flamingo on the beach"))
    assert "sea" in text
    assert 'did not understand "flamingo"' in text
    assert "did not understand" not in describe(start("a steaming cup of coffee on a table"))
    assert '"zebra"' in describe(refine(start("a cat"), "bluer, with a zebra"))


@pytest.mark.parametrize(
    "prompt,words",
    [
        ("quantum entanglement", "quantum entanglement"),
        ('a poster saying "Summer Jazz Night"', "Summer Jazz Night"),
        ("a poster with the words hello wide world", "hello wide world"),
        ("a photo of the meaning of synergy, dramatic", "the meaning of synergy"),
    ],
)
def test_prompt_without_a_subject_becomes_a_poster(prompt: str, words: str) -> None:
    """
    A poster has all words of its prompt, as text in the document.
    """
    assert parse_prompts((prompt,)).poster == words
    svg = render(start(prompt, size=SMALL), format="svg").decode().lower()
    assert all(word in svg.split("</metadata>")[1] for word in words.lower().split())
    assert words in describe(start(prompt))


@pytest.mark.parametrize(
    "prompt,words",
    [
        ('logo for a bakery called "Golden Crust"', "Golden Crust"),
        ("logo for a bakery called Golden Crust & Sons", "Golden Crust & Sons"),
        ("a boat named Sea Breeze at sunset", "Sea Breeze"),
        ("a cat saying good morning everyone", "good morning everyone"),
        ("a sign titled Opening Hours", "Opening Hours"),
        ("a card that reads Happy Birthday, with a cake", "Happy Birthday"),
        ("a girl reading a book", ""),
    ],
)
def test_lettering_is_complete(prompt: str, words: str) -> None:
    """
    Words in quotation marks, and after "saying", "named" and the like, are lettered completely.
    """
    plan = parse_prompts((prompt,))
    assert plan.lettering == words
    svg = render(start(prompt, size=SMALL), format="svg").decode().lower()
    assert not words or words.replace("&", "&amp;").lower() in svg.split("</metadata>")[1]


PEOPLE = (
    "an old sailor", "a woman doctor", "an astronaut", "a chef", "a king", "a queen", "a farmer",
    "a little girl", "a young man", "a grandmother", "a bald man with a beard", "a wizard",
    "a woman in a red dress", "a firefighter", "a pirate", "a businessman",
)  # fmt: skip


def test_people_differ() -> None:
    """
    No two people look alike, even in the same surroundings.
    """
    boxes = [picture(prompt).crop((70, 40, 190, 230)) for prompt in PEOPLE]
    for (item, a), (other, b) in itertools.combinations(zip(PEOPLE, boxes, strict=True), 2):
        assert difference(a, b) > 4, (item, other)


@pytest.mark.parametrize(
    "prompt,parts",
    [
        ("an old sailor with a white beard", {"hat-captain", "beard", "peacoat"}),
        ("a woman doctor", {"coat", "stethoscope", "woman", "back-long"}),
        ("an astronaut", {"spacesuit", "visor"}),
        ("a bald man with glasses", {"hair-bald", "glasses"}),
        ("a girl in a red dress", {"dress", "hair-pigtails"}),
    ],
)
def test_people_have_the_named_parts(prompt: str, parts: set[str]) -> None:
    """
    Hair, beard, hat, coat, dress and age follow from the words.
    """
    plan = parse_prompts((prompt,))
    (item,) = plan.items
    assert parts <= set(person_of(item, plan).parts)


def test_two_people_have_their_own_traits() -> None:
    """
    People who are joined by "and" have their own clothes and colours.
    """
    girl, boy = parse_prompts(("a girl in a red dress and a boy in a green sweater",)).items
    assert "dress" in girl.look
    assert "dress" not in boy.look
    assert girl.colour == named("red")
    assert boy.colour == named("green")


def test_preset_sentences_are_no_subject() -> None:
    """
    A preset's own sentences name no subject; they say how its subject is shown.
    """
    prompt = presets.product.render_prompt("a blue mug", angle="side")
    plan = parse_prompts((prompt,))
    assert [item.name for item in plan.items] == ["cup"]
    assert (plan.layout, plan.angle, plan.unknown) == ("product", "side", ())
    button = parse_prompts((presets.ui_asset.render_prompt('"Book now"', asset_type="button"),))
    assert (button.layout, button.label or button.lettering) == ("button", "Book now")


def test_sketch_is_fast() -> None:
    """
    A sketch of 1024x1024 takes at most four times as long as Pillow needs to blur and encode such
    an image.
    """
    noise = Image.effect_noise((1024, 1024), 60).convert("RGB")

    def reference() -> None:
        noise.filter(ImageFilter.GaussianBlur(12)).save(io.BytesIO(), "PNG", compress_level=1)

    baseline = min(seconds(reference) for _ in range(3))
    for prompt in (LAKE, "a red bicycle in the rain", "minimalist teapot logo", "neon city"):
        state = start(prompt, size=(1024, 1024))
        elapsed = min(seconds(lambda state=state: render(state)) for _ in range(3))  # type: ignore[misc]
        assert elapsed < 4 * baseline, prompt


def test_hue_words_shift_the_mean_colour() -> None:
    """
    Words for hues shift the mean colour accordingly.
    """
    plain, bluer, warmer = mean(picture(LAKE)), mean(picture(LAKE, "bluer")), mean(
        picture(LAKE, "warmer"))  # fmt: skip
    assert bluer[2] - bluer[0] > plain[2] - plain[0] + 15
    assert warmer[0] - warmer[2] > plain[0] - plain[2] + 10


def test_contrast_brightness_and_saturation_follow_the_words() -> None:
    """
    Contrast, brightness and saturation rise and fall as the words say.
    """
    plain = picture(LAKE)
    assert contrast(picture(LAKE, "more contrast")) > contrast(plain) + 3
    assert contrast(picture(LAKE, "less contrast")) < contrast(plain) - 3
    assert sum(mean(picture(LAKE, "brighter"))) > sum(mean(plain)) + 20
    assert sum(mean(picture(LAKE, "darker"))) < sum(mean(plain)) - 20
    r, g, b = mean(picture(LAKE, "black and white"))
    assert abs(r - g) < 1.5
    assert abs(g - b) < 1.5


def test_refinement_keeps_subject_and_composition() -> None:
    """
    A refined image is nearer to its original than to another image.
    """
    teapot = picture("minimalist teapot logo")
    accented = picture("minimalist teapot logo", "blue accents")
    assert (
        difference(teapot, accented) < difference(teapot, picture("a red bicycle in the rain")) / 3
    )


def test_transparent_background() -> None:
    """
    With a transparent background, the corners are transparent and the subject is not.
    """
    image = picture("a teapot logo, minimalist", transparent=True)
    assert image.mode == "RGBA"
    alpha = image.getchannel("A")
    assert alpha.getpixel((2, 2)) == 0
    assert alpha.getpixel((128, 128)) == 255
    assert start("cat on a transparent background").transparent
    assert refine(start("cat"), "remove the background").transparent


def test_subjects_can_be_added_and_removed() -> None:
    """
    A subject that is added is drawn; one that is removed is drawn no more.
    """
    assert difference(picture(LAKE), picture(LAKE, "add a moon")) > 0.5
    gone = picture("a cat and a dog", "remove the dog")
    assert difference(gone, picture("a cat and a dog")) > 1


def test_sizes_follow_the_words() -> None:
    """
    Words choose the shape, unless a size is given.
    """
    assert start("a wide banner").size == (1536, 1024)
    assert start("poster of a cat").size == (1024, 1536)
    assert start("a cat").size == (1024, 1024)
    assert start("poster of a cat", size=(512, 512)).size == (512, 512)
    state = refine(start("teapot logo"), "a horizontal version")
    assert state.size == (1536, 1024)
    assert refine(state, "bluer").size == (1536, 1024)
    assert refine(state, "square again").size == (1024, 1024)


@pytest.mark.parametrize("prompt", [LAKE, "a red bicycle in the rain", "teapot logo", "synergy"])
def test_partial_images_approach_the_final_one(prompt: str) -> None:
    """
    A partial image has the full size, and later ones are nearer to the final image.
    """
    state = start(prompt, size=(512, 512))
    final = Image.open(io.BytesIO(render(state)))
    early = Image.open(io.BytesIO(render(state, share=0.2)))
    late = Image.open(io.BytesIO(render(state, share=0.8)))
    assert early.size == late.size == final.size
    assert difference(early, final) > difference(late, final) > 0


def test_description_is_one_sentence() -> None:
    """
    The description names the subject, its colour, the weather and the size.
    """
    text = describe(start("a red bicycle in the rain"))
    assert text == "A flat sketch of a red bicycle in the rain, 1024x1024."
    assert "\n" not in describe(SketchState(prompts=("x\ny" * 50,), size=(64, 64)))
