"""
Every example runs without a key, and saves the images that it promises.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from PIL import Image, ImageChops, ImageStat

from imagesession import Studio, presets

pytestmark = pytest.mark.drawn
FOLDER = Path(__file__).parent.parent / "examples"
EXAMPLES = sorted(path.stem for path in FOLDER.glob("*.py"))
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif"}


@attrs.frozen(kw_only=True)
class Run:
    """
    The output of an example, and its library.
    """

    output: str
    library: Path

    def pictures(self, folder: str = ".") -> list[Path]:
        """
        Return the images of a folder and its subfolders, sorted by name.
        """
        files = (self.library / folder).rglob("*")
        return sorted(
            path for path in files if path.suffix in SUFFIXES and ".imagesession" not in path.parts
        )

    def named(self, folder: str = ".") -> list[Path]:
        """
        Return the images of a folder in the order in which they were printed.
        """
        return sorted(self.pictures(folder), key=lambda path: self.output.index(str(path)))


def execute(example: str, library: Path, *arguments: str) -> Run:
    """
    Run an example as a user does, with warnings as errors.
    """
    environment = {key: value for key, value in os.environ.items() if "OPENAI" not in key}
    process = subprocess.run(
        [sys.executable, "-W", "error", str(FOLDER / f"{example}.py"), *arguments],
        env={**environment, "IMAGESESSION_LIBRARY": str(library), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert (process.returncode, process.stderr) == (0, "")
    return Run(output=process.stdout, library=library)


def execute_here(example: str, library: Path, *arguments: str) -> Run:
    """
    Run an example in this process, which is quicker: openai is imported, and sketches are shared.
    """
    file = FOLDER / f"{example}.py"
    printed, complaints = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(complaints),
    ):
        for name in [name for name in os.environ if "OPENAI" in name]:
            patch.delenv(name)
        patch.setenv("IMAGESESSION_LIBRARY", str(library))
        patch.setattr(sys, "argv", [str(file), *arguments])
        try:
            runpy.run_path(str(file), run_name="__main__")
        finally:
            presets.reset()
    assert complaints.getvalue() == ""
    return Run(output=printed.getvalue(), library=library)


@pytest.fixture(scope="module", name="run")
def running(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """
    Run each example once for all tests.
    """

    @functools.cache
    def once(example: str) -> Run:
        way = execute if example == "quickstart" else execute_here
        return way(example, tmp_path_factory.mktemp(example))

    return once


# --- all examples ---------------------------------------------------------------------------------


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_run(example: str, run: Callable[[str], Run]) -> None:
    """
    An example says that its images are sketches, and prints the path of each.
    """
    ran = run(example)
    assert "not a model's work" in ran.output
    assert ran.pictures()
    assert all(str(picture) in ran.output for picture in ran.pictures())


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_images_are_not_blank(example: str, run: Callable[[str], Run]) -> None:
    """
    No image of an example is blank.
    """
    for path in run(example).pictures():
        with Image.open(path) as picture:
            assert max(ImageStat.Stat(picture.convert("RGBA")).stddev) > 5


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_state_what_is_billed(example: str, run: Callable[[str], Run]) -> None:
    """
    The docstring of an example says how many images are billed with a key, and their approximate
    cost.
    """
    head = (FOLDER / f"{example}.py").read_text("utf-8").split('"""')[1]
    with Studio.offline(run(example).library) as studio:
        stats = studio.stats()
    number = re.search(r"\((\w+) images", head)
    assert number is not None
    assert NUMBERS.index(number[1]) == stats.total_images
    amount = re.search(r"about \$(\d\.\d\d)", head)
    assert amount is None or 0.5 <= float(amount[1]) / stats.spent <= 2


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_short(example: str) -> None:
    """
    An example is one recipe that fits on a screen.
    """
    assert len((FOLDER / f"{example}.py").read_text("utf-8").splitlines()) < 60


def test_list_of_examples_is_complete() -> None:
    """
    The folder's README lists every example, and no other.
    """
    listed = re.findall(r"\]\((\w+)\.py\)", (FOLDER / "README.md").read_text("utf-8"))
    assert sorted(listed) == EXAMPLES


# --- single examples ------------------------------------------------------------------------------


def test_logo_ends_wide_and_transparent(run: Callable[[str], Run]) -> None:
    """
    The last two logos are wide; only the very last is transparent.
    """
    ran = run("logo_session")
    *opaque, wide, cutout = (Image.open(path).convert("RGBA") for path in ran.named())
    assert {wide.size, cutout.size} == {(1536, 864)}
    assert _corner(cutout)[3] == 0
    assert all(_corner(image)[3] == 255 for image in (*opaque, wide))


def test_undone_logo_is_kept(run: Callable[[str], Run]) -> None:
    """
    The undone logo is in the tree, beside its replacement.
    """
    output = run("logo_session").output
    assert "│  ├─ navy accents\n" in output
    assert "│  └─ teal accents, on a cream background\n" in output


@pytest.mark.parametrize(
    "folder, band", [("blue_guitar", 2), ("red_ceramic_mug", 0), ("green_backpack", 1)]
)
def test_catalogue_has_a_folder_for_each_product(
    run: Callable[[str], Run], folder: str, band: int
) -> None:
    """
    Each product has a folder of three images, all in its own colour.
    """
    pictures = run("product_catalogue").pictures(f"products/{folder}")
    assert len(pictures) == 3
    for path in pictures:
        with Image.open(path) as picture:
            assert _strongest(picture) == band


def test_design_system_is_sorted_by_kind(run: Callable[[str], Run]) -> None:
    """
    Heroes, icons, button and background have their own folders.
    """
    ran = run("ui_design_system")
    kinds = {"heroes": 2, "icons": 3, "buttons": 1, "backgrounds": 1}
    assert {kind: len(ran.pictures(f"ui_assets/{kind}")) for kind in kinds} == kinds


def test_icons_and_button_are_transparent(run: Callable[[str], Run]) -> None:
    """
    Icons and button have transparent corners, hero and background do not.
    """
    for path in run("ui_design_system").pictures():
        with Image.open(path) as picture:
            clear = _corner(picture.convert("RGBA"))[3] == 0
        assert clear == (path.parent.name in {"icons", "buttons"})


def test_icons_are_a_set(run: Callable[[str], Run]) -> None:
    """
    The three icons have the same green background.
    """
    tiles = [
        Image.open(path).convert("RGB") for path in run("ui_design_system").named("ui_assets/icons")
    ]
    above = {tile.crop((512, 200, 513, 201)).tobytes() for tile in tiles}
    (ground,) = above
    assert max(ground) == ground[1]


def test_dark_theme_is_dark(run: Callable[[str], Run]) -> None:
    """
    The hero at night is far darker than the hero by day.
    """
    day, night = (_brightness(path) for path in run("ui_design_system").named("ui_assets/heroes"))
    assert night < day / 2


def test_external_file_is_copied_and_refined(run: Callable[[str], Run]) -> None:
    """
    The photo is saved as a JPEG, and its first refinement is in sepia.
    """
    ran = run("promote")
    assert [path.suffix for path in ran.pictures("imported")] == [".jpg"]
    with Image.open(ran.named("general")[3]) as sepia:
        red, green, blue = ImageStat.Stat(sepia.convert("RGB")).mean
    assert red > green > blue


@pytest.mark.parametrize("example", ["promote", "improve"])
def test_examples_take_a_photo_argument(example: str, tmp_path: Path) -> None:
    """
    Promotion and improvement start from the file that is named, and save it byte for byte.
    """
    photo = tmp_path / "mine.jpg"
    Image.linear_gradient("L").convert("RGB").save(photo)
    ran = execute_here(example, tmp_path / "library", str(photo))
    (imported,) = ran.pictures("imported")
    assert imported.read_bytes() == photo.read_bytes()


def test_inpainting_preserves_unmasked_pixels(run: Callable[[str], Run]) -> None:
    """
    Both edits changed pixels only within their masks, and the output says so.
    """
    ran = run("inpainting")
    assert ran.output.count("are identical") == 2
    assert "CHANGED" not in ran.output
    pictures = [Image.open(path).convert("RGB") for path in ran.named()]
    # Each edit saved the model's image and the composite.
    room, _, painting, _, window = pictures
    assert _within(ImageChops.difference(room, painting).getbbox(), (120, 140, 440, 420))
    assert _within(ImageChops.difference(painting, window).getbbox(), (1100, 80, 1450, 430))


def test_improvement_raises_the_contrast(run: Callable[[str], Run]) -> None:
    """
    Low contrast is found in the flat photo, and the improved one has far more.
    """
    output = run("improve").output
    assert "contrast" in output.split("before:")[0].lower()
    before, after = (float(number) for number in re.findall(r": +contrast +([\d.]+)", output))
    assert after > 2 * before


def test_budget_refuses_one_image_and_the_next_run_makes_it(run: Callable[[str], Run]) -> None:
    """
    One poster is refused with advice; after the fix only that one is made.
    """
    output = run("batch_with_budget").output
    assert "4 of 5 images, 1 failed" in output
    assert len(re.findall(r"alps: Not sent: this call could cost up to \$", output)) == 1
    assert "5 of 5 images>, 1 of them new" in output


def test_finished_batch_makes_nothing_more(run: Callable[[str], Run]) -> None:
    """
    A second run returns the existing images.
    """
    first = run("batch_with_budget")
    before = first.pictures()
    second = execute_here("batch_with_budget", first.library)
    assert "5 of 5 images>, 0 of them new" in second.output
    assert second.pictures() == before


def test_session_is_resumed_by_name(run: Callable[[str], Run]) -> None:
    """
    The second program resumes the first one's session; the archive contains all of it.
    """
    output = run("resume").output
    started, reopened = re.findall(
        r"^<ImageSession 'Cape Faro poster' …(\w+)>", output, re.MULTILINE
    )
    assert started == reopened
    assert "cape-faro.zip brought 4 images along" in output
    before, after = output.split("brought 4 images along:\n")
    assert after.strip() in before


def test_finished_session_makes_nothing_more(run: Callable[[str], Run]) -> None:
    """
    A second run of the poster's program returns the existing images.
    """
    first = run("resume")
    before = first.pictures()
    second = execute_here("resume", first.library)
    assert "Started" not in second.output
    assert second.pictures() == before


# --- pixels ---------------------------------------------------------------------------------------

Box = tuple[int, int, int, int]


def _corner(picture: Image.Image) -> tuple[int, ...]:
    return tuple(picture.crop((0, 0, 1, 1)).tobytes())


def _strongest(picture: Image.Image) -> int:
    """
    Return the strongest of red, green and blue where the image is most colourful.
    """
    colours = picture.convert("RGB").reduce(16).tobytes()
    pixels = [colours[at : at + 3] for at in range(0, len(colours), 3)]
    vivid = max(pixels, key=lambda pixel: max(pixel) - min(pixel))
    return vivid.index(max(vivid))


def _brightness(path: Path) -> float:
    with Image.open(path) as picture:
        return ImageStat.Stat(picture.convert("L")).mean[0]


def _within(box: Box | None, bounds: Box) -> bool:
    """
    Return whether there is a box inside the bounds.
    """
    if box is None:
        return False
    left, top, right, bottom = box
    return bounds[0] <= left and bounds[1] <= top and right <= bounds[2] and bottom <= bounds[3]
