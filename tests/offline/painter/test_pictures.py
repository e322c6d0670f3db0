"""
Tests of the painter's pictures: what the words ask for is there to be seen.
"""

import io
import itertools

import pytest
from PIL import Image, ImageChops, ImageStat

from imagesession._offline.painter import Story, begin, describe, paint, retell
from imagesession._offline.painter.colour import distance, named
from imagesession._offline.painter.subjects import TABLE

LAKE = "Sunset over a mountain lake"
SMALL = (256, 256)


def picture(*prompts: str, size: tuple[int, int] = SMALL, transparent: bool = False) -> Image.Image:
    """
    Paint a story of prompts.
    """
    story = begin(prompts[0], size=size, transparent=transparent)
    for prompt in prompts[1:]:
        story = retell(story, prompt)
    image = Image.open(io.BytesIO(paint(story)))
    image.load()
    return image


def mean(image: Image.Image) -> list[float]:
    """
    Average the colours of a picture.
    """
    return ImageStat.Stat(image.convert("RGB")).mean


def difference(one: Image.Image, other: Image.Image) -> float:
    """
    Measure how much two pictures differ, 0 to 255.
    """
    delta = ImageChops.difference(one.convert("RGB"), other.convert("RGB"))
    return sum(ImageStat.Stat(delta).mean) / 3


def spread(image: Image.Image) -> float:
    """
    Measure the contrast of a picture.
    """
    return ImageStat.Stat(image.convert("L")).stddev[0]


def test_named_prompts_can_be_told_apart() -> None:
    """
    The four prompts a newcomer tries give four quite different pictures.
    """
    prompts = (
        LAKE,
        "minimalist teapot logo",
        "a red bicycle in the rain",
        "shopping cart icon, flat",
    )
    pictures = [picture(prompt) for prompt in prompts]
    for one, other in itertools.combinations(pictures, 2):
        assert difference(one, other) > 20


def test_every_subject_is_drawn_differently() -> None:
    """
    There are at least 36 subjects, and no two of them look the same.
    """
    assert len(TABLE) >= 36
    seen = {paint(begin(f"{name} logo", size=(96, 96), seed=1)) for name in TABLE}
    assert len(seen) == len(TABLE)


@pytest.mark.parametrize("name", ["red", "blue", "green", "#8a2be2"])
def test_colour_of_the_subject_is_honoured(name: str) -> None:
    """
    A coloured heart has that colour in its middle.
    """
    pixel = picture(f"a {name} heart logo, minimalist").getpixel((128, 150))
    wanted = named(name)
    assert isinstance(pixel, tuple)
    assert wanted is not None
    assert distance((int(pixel[0]), int(pixel[1]), int(pixel[2])), wanted) < 30


def test_different_unknown_prompts_look_different() -> None:
    """
    Prompts that name nothing known still differ from each other.
    """
    prompts = ("quantum entanglement", "the meaning of synergy", "zyxomma flurb", "日本", "")
    for one, other in itertools.combinations([picture(p) for p in prompts], 2):
        assert difference(one, other) > 3


def test_seed_varies_one_prompt() -> None:
    """
    Variations of a prompt differ.
    """
    assert len({paint(begin(LAKE, size=SMALL, seed=seed)) for seed in range(4)}) == 4


@pytest.mark.parametrize("first", [LAKE, "minimalist teapot logo", "a cat"])
@pytest.mark.parametrize(
    "refinement",
    [
        "bluer",
        "warmer",
        "more contrast",
        "brighter",
        "muted",
        "more geometric",
        "more minimalist",
        "blue accents",
        "add a moon",
        "bigger",
        "at night",
        "in the rain",
        "sharper",
        "blur it",
        "watercolor",
        "more vintage",
        'add text "HI"',
        "frobnicate the quux",
        "红色",
        "",
        "remove the zebra",
        "make it pop",
        "add a star",
        "transparent background",
    ],
)
def test_no_refinement_leaves_the_picture_as_it_was(first: str, refinement: str) -> None:
    """
    Every refinement, understood or not, changes something.
    """
    assert paint(begin(first, size=SMALL)) != paint(retell(begin(first, size=SMALL), refinement))


def test_refinement_repeated_still_changes() -> None:
    """
    The same refinement once more changes the picture once more.
    """
    story = begin("a cat", size=SMALL)
    seen = {paint(story)}
    for _ in range(3):
        story = retell(story, "at night")
        seen.add(paint(story))
    assert len(seen) == 4


def test_bluer_is_bluer_and_warmer_is_warmer() -> None:
    """
    Words for hues shift the mean colour their way.
    """
    plain, bluer, warmer = mean(picture(LAKE)), mean(picture(LAKE, "bluer")), mean(
        picture(LAKE, "warmer"))  # fmt: skip
    assert bluer[2] - bluer[0] > plain[2] - plain[0] + 15
    assert warmer[0] - warmer[2] > plain[0] - plain[2] + 10


def test_contrast_brightness_and_saturation_follow_the_words() -> None:
    """
    Contrast, brightness and saturation rise and fall as told.
    """
    plain = picture(LAKE)
    assert spread(picture(LAKE, "more contrast")) > spread(plain) + 3
    assert spread(picture(LAKE, "less contrast")) < spread(plain) - 3
    assert sum(mean(picture(LAKE, "brighter"))) > sum(mean(plain)) + 20
    assert sum(mean(picture(LAKE, "darker"))) < sum(mean(plain)) - 20
    r, g, b = mean(picture(LAKE, "black and white"))
    assert abs(r - g) < 1.5
    assert abs(g - b) < 1.5


def test_refinement_keeps_subject_and_composition() -> None:
    """
    A refined picture is nearer to its original than to another picture.
    """
    teapot = picture("minimalist teapot logo")
    accented = picture("minimalist teapot logo", "blue accents")
    assert (
        difference(teapot, accented) < difference(teapot, picture("a red bicycle in the rain")) / 3
    )


def test_transparent_ground_is_clear() -> None:
    """
    Without a ground, the corners are clear and the subject is not.
    """
    image = picture("a teapot logo, minimalist", transparent=True)
    assert image.mode == "RGBA"
    alpha = image.getchannel("A")
    assert alpha.getpixel((2, 2)) == 0
    assert alpha.getpixel((128, 128)) == 255
    assert begin("cat on a transparent background").transparent
    assert retell(begin("cat"), "remove the background").transparent


def test_added_moon_appears_and_removed_subject_goes() -> None:
    """
    What is added is drawn; what is removed is as if it had never been asked for.
    """
    assert difference(picture(LAKE), picture(LAKE, "add a moon")) > 0.5
    gone = picture("a cat and a dog", "remove the dog")
    assert difference(gone, picture("a cat and a dog")) > 1


def test_sizes_follow_the_words() -> None:
    """
    Words choose the shape, unless a size is given.
    """
    assert begin("a wide banner").size == (1536, 1024)
    assert begin("poster of a cat").size == (1024, 1536)
    assert begin("a cat").size == (1024, 1024)
    assert begin("poster of a cat", size=(512, 512)).size == (512, 512)
    story = retell(begin("teapot logo"), "a horizontal version")
    assert story.size == (1536, 1024)
    assert retell(story, "bluer").size == (1536, 1024)
    assert retell(story, "square again").size == (1024, 1024)


@pytest.mark.parametrize("prompt", [LAKE, "a red bicycle in the rain", "teapot logo", "synergy"])
def test_partial_pictures_are_unfinished_and_come_nearer(prompt: str) -> None:
    """
    A partial picture has the full size, and later ones are nearer to the finished picture.
    """
    story = begin(prompt, size=(512, 512))
    whole = Image.open(io.BytesIO(paint(story)))
    early = Image.open(io.BytesIO(paint(story, share=0.2)))
    late = Image.open(io.BytesIO(paint(story, share=0.8)))
    assert early.size == late.size == whole.size
    assert difference(early, whole) > difference(late, whole) > 0


def test_description_is_one_plain_sentence() -> None:
    """
    The description names the subject, its colour, the weather and the size.
    """
    text = describe(begin("a red bicycle in the rain"))
    assert text == "A flat sketch of a red bicycle in the rain, 1024x1024."
    assert "\n" not in describe(Story(prompts=("x\ny" * 50,), size=(64, 64)))
