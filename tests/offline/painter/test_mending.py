"""
Tests of mending: a remedy changes what it names, measurably, and leaves the rest.
"""

import io
import time

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageStat

from imagesession._offline.painter import Story, begin, describe, paint, recall, retell
from imagesession._offline.painter.measure import Measures, measure, percentile, whereabouts
from imagesession._offline.painter.mending import mended
from imagesession._offline.painter.pixels import resized
from imagesession._offline.painter.plan import Mend
from imagesession._offline.painter.remedies import read, told

SIDE = 512


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """
    Give a lively picture without a story in its metadata.
    """
    return opened(paint(begin("a cat and a house in a garden", size=(SIDE, SIDE)))).convert("RGB")


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


def edited(image: Image.Image, prompt: str) -> Image.Image:
    """
    Change a given picture as a prompt asks.
    """
    return opened(paint(retell(recall(png(image)), prompt)))


def asking(issue: str, remedy: str, where: str = "whole picture") -> str:
    """
    Write the prompt of an improvement as the library does.
    """
    return (
        f"Improve this picture: more professional.\nMend:\n- {issue} ({where}): {remedy}\n"
        "Keep unchanged: the composition and the color scheme."
    )


def flattened(image: Image.Image) -> Image.Image:
    """
    Take contrast away.
    """
    return ImageEnhance.Contrast(image).enhance(0.3)


def darkened(image: Image.Image) -> Image.Image:
    """
    Take light away.
    """
    return ImageEnhance.Brightness(image).enhance(0.25)


def bleached(image: Image.Image) -> Image.Image:
    """
    Wash a picture out.
    """
    return ImageChops.blend(image, Image.new("RGB", image.size, "white"), 0.7)


def dulled(image: Image.Image) -> Image.Image:
    """
    Take colour away.
    """
    return ImageEnhance.Color(image).enhance(0.2)


def blurred(image: Image.Image) -> Image.Image:
    """
    Take sharpness away.
    """
    return image.filter(ImageFilter.GaussianBlur(3))


def tinged(image: Image.Image) -> Image.Image:
    """
    Lay blue over all tones.
    """
    return ImageChops.blend(image, Image.new("RGB", image.size, (40, 90, 255)), 0.25)


def grained(image: Image.Image) -> Image.Image:
    """
    Add noise, the same each time.
    """
    parts: list[Image.Image] = []
    for seed, part in enumerate(image.split()):
        noise = resized(Image.effect_noise((64 + seed, 64), 36), (64, 64))
        tile = Image.new("L", image.size)
        for x in range(0, image.width, 64):
            for y in range(0, image.height, 64):
                tile.paste(noise, (x, y))
        parts.append(ImageChops.add(part, tile, 1, -128))
    return Image.merge("RGB", parts)


def edges(image: Image.Image) -> float:
    """
    Measure sharpness in a way of its own: the variance of an edge filter.
    """
    filtered = image.convert("L").filter(ImageFilter.FIND_EDGES)
    # The filter leaves the outermost pixels as they were.
    return ImageStat.Stat(filtered.crop((1, 1, image.width - 1, image.height - 1))).var[0]


def test_contrast_rises(photo: Image.Image) -> None:
    """
    The luminance of a flat picture spreads at least twice as far afterwards.
    """
    flat = flattened(photo)
    after = edited(flat, asking("Low contrast, span 40 of 255", "Increase the contrast."))

    assert measure(after).contrast > 2 * measure(flat).contrast
    assert after.size == flat.size


@pytest.mark.parametrize("strength", [0.3, 0.5, 0.8, 1.0])
def test_contrast_rises_from_wherever_it_is(photo: Image.Image, strength: float) -> None:
    """
    Asked for, contrast rises in flat and in lively pictures alike.
    """
    before = ImageEnhance.Contrast(photo).enhance(strength)
    after = edited(before, "Increase the contrast.")

    assert measure(after).contrast > 1.1 * measure(before).contrast


def test_dark_picture_becomes_brighter(photo: Image.Image) -> None:
    """
    A dark picture ends with a middling brightness.
    """
    after = edited(darkened(photo), asking("Too dark", "Brighten the picture."))

    assert 90 < measure(after).brightness < 170


def test_pale_picture_becomes_darker(photo: Image.Image) -> None:
    """
    A pale picture ends clearly darker.
    """
    pale = bleached(photo)
    after = edited(pale, asking("Too pale", "Darken the picture."))

    assert measure(after).brightness < measure(pale).brightness - 40


def test_dull_picture_becomes_more_colourful(photo: Image.Image) -> None:
    """
    The colours of a dull picture are at least twice as strong afterwards.
    """
    dull = dulled(photo)
    after = edited(dull, asking("Dull", "Increase the saturation of the colours."))

    assert measure(after).chroma > 2 * measure(dull).chroma


def test_soft_picture_becomes_sharper(photo: Image.Image) -> None:
    """
    The edges of a soft picture are steeper afterwards, by our measure and by another.
    """
    soft = blurred(photo)
    after = edited(soft, asking("Soft focus", "Sharpen the picture."))

    assert measure(after).sharpness > 1.5 * measure(soft).sharpness
    assert edges(after) > 1.5 * edges(soft)


def test_noise_drops_and_edges_stay(photo: Image.Image) -> None:
    """
    Grain is mostly gone from calm areas, while the outlines are still there.
    """
    noisy = grained(photo)
    after = edited(noisy, asking("Noise", "Reduce the noise."))

    assert measure(noisy).noise > 8
    assert measure(after).noise < measure(noisy).noise / 3
    assert measure(after).sharpness > 0.05
    distance = ImageStat.Stat(ImageChops.difference(after, photo)).rms
    assert sum(distance) < 0.7 * sum(ImageStat.Stat(ImageChops.difference(noisy, photo)).rms)


def test_sharpening_does_not_sharpen_grain(photo: Image.Image) -> None:
    """
    A picture that is both noisy and soft ends less noisy when both are mended.
    """
    before = grained(blurred(photo))
    after = edited(before, "Sharpen the picture. Reduce the noise.")

    assert measure(after).noise < measure(before).noise / 2


def test_empty_margins_go(photo: Image.Image) -> None:
    """
    Empty margins are cropped away: the picture takes the shape of what it shows.
    """
    framed = Image.new("RGB", (SIDE, SIDE), (250, 250, 250))
    framed.paste(resized(photo, (SIDE // 2, SIDE)), (SIDE // 4, 0))
    after = edited(framed, asking("Empty margins", "Crop away the empty margins.", "left margin"))

    assert measure(framed).margins == pytest.approx((0.25, 0, 0.25, 0), abs=0.02)
    assert max(measure(after).margins) < 0.02
    assert after.width == pytest.approx(SIDE / 2, abs=8)


def test_empty_margins_go_at_a_given_size(photo: Image.Image) -> None:
    """
    Where the size is given, what is left fills it.
    """
    framed = Image.new("RGB", (SIDE, SIDE), (250, 250, 250))
    framed.paste(resized(photo, (SIDE // 2, SIDE)), (SIDE // 4, 0))
    story = retell(recall(png(framed)), "Crop away the empty margins.", size=(SIDE, SIDE))
    after = opened(paint(story))

    assert after.size == (SIDE, SIDE)
    assert max(measure(after).margins) < 0.02


def test_thing_before_a_ground_is_not_cut() -> None:
    """
    Cropping around a thing leaves all of it, with a little air, whatever the frame.
    """
    logo = Image.new("RGB", (400, 400), "white")
    logo.paste((200, 30, 30), (150, 180, 250, 210))
    story = retell(recall(png(logo)), "Trim the empty margins", size=(256, 256))
    after = opened(paint(story))

    left, top, right, bottom = measure(after).margins
    assert min(left, right) > 0.02
    assert max(left, right) < 0.2
    assert min(top, bottom) > 0.1
    red = sum(pixel == (200, 30, 30) for pixel in after.convert("RGB").get_flattened_data())
    assert red / 256**2 > 3 * 100 * 30 / 400**2


def test_colour_cast_shrinks(photo: Image.Image) -> None:
    """
    What all tones share of a colour becomes clearly less.
    """
    cast = tinged(photo)
    after = edited(cast, asking("Blue cast", "Neutralise the blue colour cast."))

    assert measure(cast).cast_strength > 14
    assert measure(after).cast_strength < 0.7 * measure(cast).cast_strength


def test_ends_of_the_tones_are_mended(photo: Image.Image) -> None:
    """
    Blown highlights are no longer as light as can be, nor crushed shadows as dark.
    """
    harsh = ImageEnhance.Contrast(photo).enhance(4)
    after = edited(harsh, "Recover the blown highlights. Lift the shadows.")

    assert (measure(harsh).darkest, measure(harsh).lightest) == (0, 255)
    assert measure(after).darkest > 10
    assert measure(after).lightest < 240


def test_all_at_once(photo: Image.Image) -> None:
    """
    A dark, dull, soft picture is better in every respect after one edit.
    """
    poor = darkened(dulled(blurred(photo)))
    before = measure(poor)
    after = measure(
        edited(
            poor,
            "Improve this picture: more professional.\nMend:\n"
            "- Too dark, mean brightness 44 of 255 (whole picture): Brighten the picture.\n"
            "- Low contrast, tones span 41 of 255 (whole picture): Increase the contrast.\n"
            "- Dull colours (whole picture): Increase the saturation of the colours.\n"
            "- Soft focus (lower left): Sharpen the picture.\n"
            "Keep unchanged: the composition.",
        )
    )
    assert after.brightness > before.brightness + 40
    assert after.contrast > 2 * before.contrast
    assert after.chroma > 2 * before.chroma
    assert after.sharpness > before.sharpness


def test_drawn_pictures_are_mended_too() -> None:
    """
    A picture that was drawn here, and so carries its story, is mended like any other.
    """
    story = begin("foggy forest", size=(SIDE, SIDE))
    before, data = opened(paint(story)), paint(story)
    prompt = asking("Low contrast", "Increase the contrast.")
    after = opened(paint(retell(recall(data), prompt)))

    assert measure(after).contrast > 1.2 * measure(before).contrast
    assert "mended in contrast" in describe(retell(story, prompt))
    drawn = paint(retell(recall(data), prompt), format="svg")
    assert drawn != paint(story, format="svg")


def test_transparent_pictures_keep_their_alpha() -> None:
    """
    Mending changes colours, not what is clear.
    """
    story = begin("a bird logo", size=(256, 256), transparent=True)
    before = opened(paint(story))
    after = opened(paint(retell(story, "Increase the contrast. Sharpen the picture.")))

    assert after.mode == "RGBA"
    assert before.getchannel("A").tobytes() == after.getchannel("A").tobytes()
    assert before.tobytes() != after.tobytes()


def test_mends_within_a_mask(photo: Image.Image) -> None:
    """
    With a mask, only the masked part is mended.
    """
    flat = flattened(photo)
    mask = Image.new("RGBA", flat.size, (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, SIDE // 2, SIDE))
    story = begin("Increase the contrast.", base=png(flat), mask=png(mask))
    after = opened(paint(story))
    left, right = (0, 0, SIDE // 2, SIDE), (SIDE // 2, 0, SIDE, SIDE)

    assert measure(after.crop(left)).contrast > 1.5 * measure(flat.crop(left)).contrast
    assert flat.crop(right).tobytes() == after.crop(right).tobytes()


@pytest.mark.parametrize(
    "prompt",
    [
        "keep the composition and color scheme",
        "Keep unchanged: brighter colors, more contrast and the warm light.",
        "without changing the brightness or making it warmer",
        "preserve the vivid colors and the horizontal format",
        "please don't change the high contrast",
    ],
)
def test_what_is_kept_changes_nothing(photo: Image.Image, prompt: str) -> None:
    """
    Words about what is to stay do not change light, contrast, colours or shape.
    """
    plain = edited(photo, f"Increase the contrast.\n{prompt}")
    assert edited(photo, "Increase the contrast.").tobytes() == plain.tobytes()
    assert plain.size == photo.size
    assert told(prompt).strip() in {"", "."}


def test_what_follows_but_is_done() -> None:
    """
    After "but" or "and make" comes what is to be done.
    """
    assert "make it blue" in told("keep the dog but make it blue")
    assert "add a moon" in told("Keep the house, add a moon")
    assert "keep it minimal" in told("keep it minimal")


def test_remedies_do_not_move_or_enlarge() -> None:
    """
    "Increase" and "reduce" are about what they name, not about size, and places are no moves.
    """
    prompt = asking("Noise", "Increase the contrast. Reduce the noise.", "left and right margins")
    story = retell(Story(prompts=("a cat",), size=(SIDE, SIDE)), prompt)
    mends = read(prompt).mends

    assert {mend.kind for mend in mends} == {"contrast", "noise"}
    before, after = opened(paint(begin("a cat", size=(SIDE, SIDE)))), opened(paint(story))
    # The same shapes in the same places: only the tones differ.
    difference = ImageChops.difference(before.convert("L"), after.convert("L"))
    assert ImageStat.Stat(difference.filter(ImageFilter.FIND_EDGES)).mean[0] < 6


@pytest.mark.parametrize(
    "prompt,kinds",
    [
        ("increase contrast", {"contrast"}),
        ("Boost the contrast a little and reduce the saturation", {"contrast", "muted"}),
        ("lower the contrast", {"flatter"}),
        ("denoise the photo, sharpen it", {"noise"}),
        ("remove the grain", {"noise"}),
        ("crop tighter", {"margins"}),
        ("fix the white balance", {"cast"}),
        ("brighten the shadows", {"shadows"}),
        ("lower the exposure", {"darker"}),
        ("make the colors more vivid", {"vivid"}),
        ("enhance the photo", {"polish"}),
        ("brighten the room", set[str]()),
        ("darken the sky", set[str]()),
        ("remove the border collie", set[str]()),
        ("improve the lighting", set[str]()),
        ("a sharpened pencil", set[str]()),
    ],
)
def test_remedies_are_understood(prompt: str, kinds: set[str]) -> None:
    """
    Common ways to ask for a remedy are read, and what is said of a thing in the picture is not.
    """
    assert kinds == {mend.kind for mend in read(prompt).mends}


def test_slightly_is_less(photo: Image.Image) -> None:
    """
    What is asked for slightly is done by half.
    """
    flat = flattened(photo)
    spreads = [
        measure(edited(flat, prompt)).contrast
        for prompt in ("slightly increase the contrast", "increase the contrast")
    ]
    assert measure(flat).contrast < spreads[0] < spreads[1]


def test_what_is_too_much_is_taken_back(photo: Image.Image) -> None:
    """
    Contrast and saturation can be lowered as well.
    """
    before = measure(photo)

    assert measure(edited(photo, "Reduce the contrast.")).contrast < 0.85 * before.contrast
    assert measure(edited(photo, "Reduce the saturation.")).chroma < 0.75 * before.chroma


def test_general_improvement_is_gentle(photo: Image.Image) -> None:
    """
    Asked only to improve, the painter polishes, and turns no colours.
    """
    after = edited(photo, "Improve this picture: more professional.")
    difference = ImageStat.Stat(ImageChops.difference(photo, after)).mean

    assert photo.tobytes() != after.tobytes()
    assert max(difference) < 24


@given(st.text(max_size=400))
@settings(max_examples=60, deadline=None)
def test_any_prompt_is_read(prompt: str) -> None:
    """
    Reading never fails, never invents words, and reads nothing more out of what it left.
    """
    remedies = read(prompt)

    assert set(remedies.rest.split()) <= {*prompt.split(), "-"} | set(read(prompt).rest.split())
    assert len(remedies.rest) <= len(prompt) + 2 * (len(remedies.mends) + prompt.count("\n") + 2)


@given(
    st.sampled_from(["L", "RGB", "RGBA"]),
    st.integers(1, 40),
    st.integers(1, 40),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_any_picture_can_be_measured_and_mended(
    mode: str, width: int, height: int, chance: object
) -> None:
    """
    Even the smallest and strangest pictures are measured and mended, and keep their size and mode.
    """
    seed = hash(repr(chance)) % 251
    size = width * height * len(Image.getmodebands(mode) * " ")
    data = bytes((seed * (index + 7) * (index + 3)) % 256 for index in range(size))
    image = Image.frombytes(mode, (width, height), data)
    image = image if mode == "RGBA" else image.convert("RGB")
    seen = measure(image)

    assert all(0 <= margin < 1 for margin in seen.margins)
    assert 0 <= seen.darkest <= seen.lightest <= 255
    assert seen.noise >= 0
    kinds = read("sharpen, denoise, brighten and fix the white balance.").mends
    after = mended(image, (*kinds, Mend(kind="contrast"), Mend(kind="vivid")))
    assert (image.mode, image.size) == (after.mode, after.size)


def test_nothing_is_measured_as_nothing() -> None:
    """
    An empty histogram has no percentiles, and what shows next to nothing has no cast.
    """
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((200, 40, 40, 255), (0, 0, 3, 3))

    assert percentile([0] * 256, 0.5) == 0
    assert measure(image).cast == (0.0, 0.0)


def test_flat_grey_measures_as_such() -> None:
    """
    A picture of one colour has no contrast, no noise, no edges, and no margins.
    """
    seen = measure(Image.new("RGB", (64, 64), (90, 90, 90)))

    assert attrs.evolve(seen, brightness=90.0) == Measures(
        brightness=90.0, darkest=90, lightest=90, contrast=0.0, chroma=0.0, vivid=0,
        sharpness=0.0, noise=0.0, cast=(0.0, 0.0), blown=0.0, crushed=0.0,
        margins=(0.0, 0.0, 0.0, 0.0), blown_at="whole picture", crushed_at="whole picture",
    )  # fmt: skip


@pytest.mark.parametrize(
    "box,words",
    [
        ((0, 0, 90, 90), "whole picture"),
        ((0, 60, 30, 90), "lower left"),
        ((30, 30, 60, 60), "centre"),
        ((60, 0, 90, 90), "right part"),
        ((0, 0, 90, 30), "upper part"),
    ],
)
def test_places_have_names(box: tuple[int, int, int, int], words: str) -> None:
    """
    Where something lies is said as people say it.
    """
    mask = Image.new("L", (90, 90))
    mask.paste(255, box)
    assert words == whereabouts(mask)


def test_mending_is_quick(photo: Image.Image) -> None:
    """
    Four remedies at 1024x1024 take a fraction of a second, measuring included.
    """
    poor = darkened(dulled(resized(photo, (1024, 1024))))
    story = retell(
        recall(png(poor)),
        "Brighten the picture. Increase the contrast. Sharpen the picture. Saturate the colors.",
    )
    begun = time.perf_counter()
    paint(story)
    assert time.perf_counter() - begun < 1.0
