"""
Every block of code in this documentation runs, page by page, from top to bottom and offline.

* A Python block runs; a text block straight beneath it is what it prints, with `…` for what
  changes from run to run.
* A `%` comment "drawn by: first | second" above a picture says which names of the page it shows.
  The picture is compared with what they are; `DRAW_DOCS=1 pytest docs` draws it anew. "drawn 900
  high by: sheet" shows more of it.
* "photographed by: page" is likewise, of a page or of what a notebook shows, as Chromium has it.
  That is done when pictures are drawn anew, and not compared.
* A shell block's commands name extras, files and flags that are there; JSON and TOML blocks parse.
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
KEPT_OUT = ("OPENAI_API_KEY", "OPENAI_BASE_URL")
HEIGHT, GAP, WIDEST = 420, 12, 1480
SMALL = 280  # pixels: the edge of an animation
NEAR = 6  # of 255: what lossy files of the same picture differ by
_PICTURE = re.compile(
    r"^% (?P<how>drawn|photographed)(?: (?P<height>\d+) high)? by: (?P<names>.+)\n"
    r"!\[(?:[^\]]|\n)*\]\((?P<file>[^)]+)\)",
    re.MULTILINE,
)
_python = PythonEvaluator()


# --- code -----------------------------------------------------------------------------------------


def run(example: Example) -> None:
    """
    Run a block, and remember what it prints.
    """
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        _python(example)
    example.namespace["_printed"] = (example.region.end, printed.getvalue())


def check_printed(example: Example) -> None:
    """
    Compare a text block that stands straight beneath a Python block with what that printed.
    """
    end, printed = example.namespace.get("_printed", (0, ""))
    between = example.document.text[end : example.region.start]
    if between.strip():
        return
    told = str(example.parsed).rstrip()
    pattern = re.escape(told).replace("…", ".*?")
    lines = "\n".join(line.rstrip() for line in printed.rstrip().splitlines())
    assert re.fullmatch(pattern, lines, re.DOTALL), f"It prints:\n{printed}"


def check_shell(example: Example) -> None:
    """
    Look whether what a shell block names is there.
    """
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for line in str(example.parsed).splitlines():
        words = shlex.split(line, comments=True)
        for word in words:
            for extra in re.findall(r"\[([\w,]+)\]", word):
                assert set(extra.split(",")) <= set(extras["optional-dependencies"]), line
            if re.fullmatch(r"(?:examples|docs|tests|\.ci)(?:/[\w.]+)*", word):
                assert (ROOT / word).exists(), f"{word} is not there: {line}"


def check_json(example: Example) -> None:
    """
    Look whether a JSON block parses.
    """
    json.loads(example.parsed)


def check_toml(example: Example) -> None:
    """
    Look whether a TOML block parses.
    """
    tomllib.loads(example.parsed)


# --- pictures -------------------------------------------------------------------------------------


def pictures(document: Document) -> Iterator[Region]:
    """
    Find the pictures that a page's code has drawn.
    """
    for found in _PICTURE.finditer(document.text):
        yield Region(found.start(), found.end(), found.groupdict(), check_picture)


def check_picture(example: Example) -> None:
    """
    Compare a page's picture with what the page's code has made; or draw it anew.
    """
    path = Path(example.path).parent / example.parsed["file"]
    names = [name.strip() for name in example.parsed["names"].split("|")]
    shown = [eval(name, example.namespace) for name in names]  # noqa: S307 - our own pages
    anew = bool(os.environ.get("DRAW_DOCS"))
    height = int(example.parsed["height"] or HEIGHT)
    if example.parsed["how"] == "photographed":
        if anew:
            photograph(shown[0], height).save(path, quality=82, method=6)
        assert path.exists(), f"{path.name} is not there"
        return
    if path.suffix == ".svg":
        check_svg(path, shown[0].bytes, anew=anew)
        return
    if path.suffix == ".gif":
        check_gif(path, shown[0].open(), anew=anew)
        return
    strip = in_a_row([opened(one, height) for one in shown])
    if anew:
        strip.save(path, quality=82, method=6)
    with Image.open(path) as kept:
        check_alike(path, kept, strip)


def check_alike(path: Path, kept: Image.Image, drawn: Image.Image) -> None:
    """
    Compare a picture that is kept with what was drawn, but for what lossy files lose.
    """
    assert kept.size == drawn.size, f"{path.name} is {kept.size}, not {drawn.size}"
    pair = [one.convert("RGB").reduce(4) for one in (kept, drawn)]
    difference = max(ImageStat.Stat(ImageChops.difference(*pair)).mean)
    assert difference < NEAR, f"{path.name} differs by {difference:.1f} from what the page draws"


def check_svg(path: Path, data: bytes, *, anew: bool) -> None:
    """
    Compare an SVG with what the page draws, byte for byte.
    """
    if anew:
        path.write_bytes(data)
    assert path.read_bytes() == data, f"{path.name} is not what the page draws"


def check_gif(path: Path, animation: Image.Image, *, anew: bool) -> None:
    """
    Compare an animation, in small, with what the page draws.
    """
    frames = [one.convert("RGB") for one in ImageSequence.Iterator(animation)]
    small = [one.resize((SMALL, SMALL * one.height // one.width)) for one in frames]
    if anew:
        duration = animation.info["duration"]
        small[0].save(path, save_all=True, append_images=small[1:], duration=duration, loop=0)
    with Image.open(path) as kept:
        assert getattr(kept, "n_frames", 1) == len(small), f"{path.name} has other frames"
        check_alike(path, kept, small[0])


def opened(shown: object, most: int) -> Image.Image:
    """
    Open whatever a page has made; what is transparent stands on a chequered ground.
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
    ground = chequered(small.size)
    ground.alpha_composite(small)
    return ground.convert("RGB")


def photograph(shown: object, height: int) -> Image.Image:
    """
    Have Chromium show a page, or what a notebook would show, and take a picture of it.
    """
    page = shown if isinstance(shown, Path) else Path("shown.html").absolute()
    if isinstance(shown, str):
        page.write_text(f'<meta charset="utf-8"><body style="margin: 24px">{shown}', "utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += [f"--window-size=1100,{height}", "--screenshot=shot.png", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own arguments
    with Image.open("shot.png") as shot:
        return shot.convert("RGB")


def chequered(size: tuple[int, int], square: int = 12) -> Image.Image:
    """
    Draw the ground on which transparency is seen.
    """
    tile = Image.new("RGBA", (2 * square, 2 * square), (255, 255, 255, 255))
    for corner in ((0, 0), (square, square)):
        tile.paste((221, 221, 221, 255), (*corner, corner[0] + square, corner[1] + square))
    ground = Image.new("RGBA", size)
    for left in range(0, size[0], 2 * square):
        for top in range(0, size[1], 2 * square):
            ground.paste(tile, (left, top))
    return ground


def in_a_row(pictures_: list[Image.Image]) -> Image.Image:
    """
    Put pictures side by side, with the page between them.
    """
    width = sum(one.width + GAP for one in pictures_) - GAP
    row = Image.new("RGBA", (width, max(one.height for one in pictures_)), (255, 255, 255, 0))
    left = 0
    for one in pictures_:
        row.paste(one, (left, 0))
        left += one.width + GAP
    if width > WIDEST:
        row = row.resize((WIDEST, round(row.height * WIDEST / width)))
    return row


# --- pages ----------------------------------------------------------------------------------------


def set_up(namespace: dict[str, Any]) -> None:
    """
    Give a page a folder and a library of its own, and no key.
    """
    folder = tempfile.TemporaryDirectory()
    namespace["_folder"] = folder
    root = logging.getLogger()
    namespace["_before"] = (Path.cwd(), dict(os.environ), (root.level, [*root.handlers]))
    for name in KEPT_OUT:
        os.environ.pop(name, None)
    os.environ["IMAGESESSION_LIBRARY"] = str(Path(folder.name, "library"))
    os.environ["HOME"] = folder.name
    os.chdir(folder.name)


def tear_down(namespace: dict[str, Any]) -> None:
    """
    Put everything back.
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
        pictures,
    ],
    patterns=["*.md"],
    setup=set_up,
    teardown=tear_down,
).pytest()
