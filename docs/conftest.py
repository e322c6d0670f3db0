"""
Every block of code in this documentation runs, page by page, from top to bottom and offline.

* A Python block runs; a text block directly below it is its output, with `…` for what changes from
  run to run.
* A `%` comment "drawn by: first | second" above an image names the variables of the page that it
  shows. The image is compared with them; `DRAW_DOCS=1 pytest docs` draws it again. "drawn 900 high
  by: sheet" sets its height.
* "photographed by: page" is a screenshot by Chromium of a page or of notebook output. It is taken
  when images are drawn again, and not compared.
* Extras, files and flags in a shell block exist; JSON and TOML blocks can be parsed.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import shlex
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageSequence, ImageStat
from sybil import Document, Example, Region, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.myst import CodeBlockParser

from imagesession import PartialImage, SavedImage, presets

ROOT = Path(__file__).parent.parent
REMOVED_VARIABLES = ("OPENAI_API_KEY", "OPENAI_BASE_URL")
HEIGHT, GAP, MAX_WIDTH = 420, 12, 1480
SMALL = 280  # pixels: the edge of an animation
TOLERANCE = 6  # of 255: the difference between lossy files of the same image
_IMAGE = re.compile(
    r"^% (?P<how>drawn|photographed)(?: (?P<height>\d+) high)? by: (?P<names>.+)\n"
    r"!\[(?:[^\]]|\n)*\]\((?P<file>[^)]+)\)",
    re.MULTILINE,
)
_python = PythonEvaluator()


# --- code -----------------------------------------------------------------------------------------


def run(example: Example) -> None:
    """
    Run a block, and store what it prints.
    """
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        _python(example)
    example.namespace["_printed"] = (example.region.end, printed.getvalue())


def check_printed(example: Example) -> None:
    """
    Compare a text block directly below a Python block with the output of that block.
    """
    end, printed = example.namespace.get("_printed", (0, ""))
    between = example.document.text[end : example.region.start]
    if between.strip():
        return
    expected = str(example.parsed).rstrip()
    pattern = re.escape(expected).replace("…", ".*?")
    lines = "\n".join(line.rstrip() for line in printed.rstrip().splitlines())
    assert re.fullmatch(pattern, lines, re.DOTALL), f"It prints:\n{printed}"


def check_shell(example: Example) -> None:
    """
    Check that the extras and files in a shell block exist.
    """
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for line in str(example.parsed).splitlines():
        words = shlex.split(line, comments=True)
        for word in words:
            for extra in re.findall(r"\[([\w,]+)\]", word):
                assert set(extra.split(",")) <= set(extras["optional-dependencies"]), line
            if re.fullmatch(r"(?:examples|docs|tests|\.ci)(?:/[\w.]+)*", word):
                assert (ROOT / word).exists(), f"{word} does not exist: {line}"


def check_json(example: Example) -> None:
    """
    Check that a JSON block can be parsed.
    """
    json.loads(example.parsed)


def check_toml(example: Example) -> None:
    """
    Check that a TOML block can be parsed.
    """
    tomllib.loads(example.parsed)


# --- images ---------------------------------------------------------------------------------------


def find_images(document: Document) -> Iterator[Region]:
    """
    Find the images that a page's code has made.
    """
    for match in _IMAGE.finditer(document.text):
        yield Region(match.start(), match.end(), match.groupdict(), check_image)


def check_image(example: Example) -> None:
    """
    Compare a page's image with what the page's code has made, or draw it again.
    """
    path = Path(example.path).parent / example.parsed["file"]
    names = [name.strip() for name in example.parsed["names"].split("|")]
    shown = [eval(name, example.namespace) for name in names]  # noqa: S307 - our own pages
    redraw = bool(os.environ.get("DRAW_DOCS"))
    height = int(example.parsed["height"] or HEIGHT)
    if example.parsed["how"] == "photographed":
        if redraw:
            take_screenshot(shown[0], height).save(path, quality=82, method=6)
        assert path.exists(), f"{path.name} does not exist"
        return
    if path.suffix == ".svg":
        check_svg(path, shown[0].bytes, redraw=redraw)
        return
    if path.suffix == ".gif":
        check_gif(path, shown[0].open(), redraw=redraw)
        return
    strip = side_by_side([open_image(value, height) for value in shown])
    if redraw:
        strip.save(path, quality=82, method=6)
    with Image.open(path) as stored:
        compare_images(path, stored, strip)


def compare_images(path: Path, stored: Image.Image, drawn: Image.Image) -> None:
    """
    Compare a stored image with a drawn one, within the tolerance of lossy files.
    """
    assert stored.size == drawn.size, f"{path.name} is {stored.size}, not {drawn.size}"
    pair = [image.convert("RGB").reduce(4) for image in (stored, drawn)]
    difference = max(ImageStat.Stat(ImageChops.difference(*pair)).mean)
    assert difference < TOLERANCE, (
        f"{path.name} differs by {difference:.1f} from what the page draws"
    )


def check_svg(path: Path, data: bytes, *, redraw: bool) -> None:
    """
    Compare an SVG with what the page draws, byte for byte.
    """
    if redraw:
        path.write_bytes(data)
    assert path.read_bytes() == data, f"{path.name} is not what the page draws"


def check_gif(path: Path, animation: Image.Image, *, redraw: bool) -> None:
    """
    Compare an animation, scaled down, with what the page draws.
    """
    frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(animation)]
    small = [frame.resize((SMALL, SMALL * frame.height // frame.width)) for frame in frames]
    if redraw:
        duration = animation.info["duration"]
        small[0].save(path, save_all=True, append_images=small[1:], duration=duration, loop=0)
    with Image.open(path) as stored:
        assert getattr(stored, "n_frames", 1) == len(small), f"{path.name} has other frames"
        compare_images(path, stored, small[0])


def open_image(shown: object, most: int) -> Image.Image:
    """
    Open an image that a page has made; transparent areas are shown on a checkerboard.
    """
    picture: Image.Image
    if isinstance(shown, Image.Image):
        picture = shown
    elif isinstance(shown, SavedImage):
        picture = shown.open()
    else:
        data = io.BytesIO(shown.data) if isinstance(shown, PartialImage) else Path(str(shown))
        picture = Image.open(data)
    height = min(most, picture.height)
    small = picture.convert("RGBA").resize((round(picture.width * height / picture.height), height))
    ground = checkerboard(small.size)
    ground.alpha_composite(small)
    return ground.convert("RGB")


def take_screenshot(shown: object, height: int) -> Image.Image:
    """
    Take a screenshot of a page, or of notebook output, with Chromium.
    """
    page = shown if isinstance(shown, Path) else Path("shown.html").absolute()
    if isinstance(shown, str):
        page.write_text(f'<meta charset="utf-8"><body style="margin: 24px">{shown}', "utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += [f"--window-size=1100,{height}", "--screenshot=shot.png", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own arguments
    with Image.open("shot.png") as shot:
        return shot.convert("RGB")


def checkerboard(size: tuple[int, int], square: int = 12) -> Image.Image:
    """
    Draw a checkerboard as the background of transparent images.
    """
    tile = Image.new("RGBA", (2 * square, 2 * square), (255, 255, 255, 255))
    for corner in ((0, 0), (square, square)):
        tile.paste((221, 221, 221, 255), (*corner, corner[0] + square, corner[1] + square))
    ground = Image.new("RGBA", size)
    for left in range(0, size[0], 2 * square):
        for top in range(0, size[1], 2 * square):
            ground.paste(tile, (left, top))
    return ground


def side_by_side(images: list[Image.Image]) -> Image.Image:
    """
    Put images side by side, with gaps.
    """
    width = sum(image.width + GAP for image in images) - GAP
    row = Image.new("RGBA", (width, max(image.height for image in images)), (255, 255, 255, 0))
    left = 0
    for image in images:
        row.paste(image, (left, 0))
        left += image.width + GAP
    if width > MAX_WIDTH:
        row = row.resize((MAX_WIDTH, round(row.height * MAX_WIDTH / width)))
    return row


# --- pages ----------------------------------------------------------------------------------------


def set_up(namespace: dict[str, Any]) -> None:
    """
    Give a page its own folder and library, and no API key.
    """
    folder = tempfile.TemporaryDirectory()
    namespace["_folder"] = folder
    root = logging.getLogger()
    namespace["_before"] = (Path.cwd(), dict(os.environ), (root.level, [*root.handlers]))
    for name in REMOVED_VARIABLES:
        os.environ.pop(name, None)
    os.environ["IMAGESESSION_LIBRARY"] = str(Path(folder.name, "library"))
    os.environ["HOME"] = folder.name
    os.chdir(folder.name)


def tear_down(namespace: dict[str, Any]) -> None:
    """
    Restore folder, environment and logging.
    """
    folder, environment, (level, handlers) = namespace["_before"]
    root = logging.getLogger()
    root.setLevel(level)
    root.handlers[:] = handlers
    logging.getLogger("imagesession").setLevel(logging.NOTSET)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    presets.reset()
    namespace["_folder"].cleanup()


pytest_collect_file = Sybil(
    parsers=[
        CodeBlockParser("python", run),
        CodeBlockParser("text", check_printed),
        CodeBlockParser("sh", check_shell),
        CodeBlockParser("json", check_json),
        CodeBlockParser("toml", check_toml),
        find_images,
    ],
    patterns=["*.md"],
    setup=set_up,
    teardown=tear_down,
).pytest()
