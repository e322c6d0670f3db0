"""
The guide is correct and complete.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import inspect
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

import imagesession
from imagesession import ImageSession, Mask, Results, SavedImage, Studio, errors, presets
from imagesession._api.guide import write_guide
from imagesession._domain import options
from imagesession._domain.model_catalog import Kind, load_catalogue
from imagesession._domain.options import OPTION_NAMES

GUIDE = imagesession.guide()
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
TODAY = dt.datetime.now(dt.UTC).date()
SPOKEN_OF = {
    "studio": Studio,
    "session": ImageSession,
    "image": SavedImage,
    "office": SavedImage,
    "results": Results,
    "mask": Mask,
}


def shown_output(block: str) -> Iterator[str]:
    """
    Yield the lines of output that a block shows, after arrows and indented below them.
    """
    lines = block.splitlines()
    for number, line in enumerate(lines):
        if "# -> " in line:
            yield line.partition("# -> ")[2]
        elif line.startswith("#    ") and number and lines[number - 1].startswith("#"):
            yield line[5:]


@pytest.fixture
def _packed_presets() -> Iterator[None]:
    """
    Restore the built-in presets afterwards.
    """
    yield
    presets.reset()


@pytest.mark.usefixtures("_packed_presets")
def test_code_blocks_run_and_print_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The guide's Python runs from top to bottom, offline, and prints what it shows.
    """
    monkeypatch.setenv("IMAGESESSION_LIBRARY", str(tmp_path / "library"))
    names: dict[str, Any] = {}
    for block in BLOCKS:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(block, names)  # noqa: S102 - our own guide
        assert printed.getvalue().splitlines() == list(shown_output(block)), block


def test_every_block_prints_something() -> None:
    """
    Every block prints something that shows its effect.
    """
    assert [block for block in BLOCKS if not list(shown_output(block))] == []


def test_guide_is_short() -> None:
    """
    The guide has less than 500 lines, and no unfilled placeholder.
    """
    assert len(GUIDE.splitlines()) < 500
    assert re.findall(r"\{[a-z_]+\}", GUIDE) == []


def test_guide_is_light_to_load() -> None:
    """
    Reading the guide imports neither openai nor Pillow, and importing the package does not import
    the guide.
    """
    script = (
        "import sys, imagesession\n"
        "assert 'imagesession._api' not in sys.modules\n"
        "imagesession.guide()\n"
        "heavy = {'openai', 'PIL', 'mcp', 'httpx2', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("kind", [Studio, ImageSession, SavedImage, Mask])
def test_every_method_is_listed(kind: type) -> None:
    """
    Every public method is listed with all its parameters, and every attribute by name.
    """
    for name, member in inspect.getmembers(kind):
        if name.startswith("_"):
            continue
        if inspect.isroutine(member):
            (call,) = {
                match[0]
                for match in re.finditer(rf"`{name}\(([^`]*)\)`", GUIDE)
                if mentioned(match[1]) == parameters(member)
            }
            assert call
        elif isinstance(member, property):
            assert f"`{name}`: " in GUIDE


@pytest.mark.parametrize("name", ["sessions", "images", "batches", "models", "requests"])
def test_every_resource_method_is_listed(name: str) -> None:
    """
    Every method of a studio's resources is listed with all its parameters.
    """
    kind: type[Any] = type(getattr(Studio.offline(), name))
    for verb, member in inspect.getmembers(kind, inspect.isfunction):
        if not verb.startswith("_"):
            calls = re.findall(rf"`studio\.{name}\.{verb}\(([^`]*)\)`", GUIDE)
            assert parameters(member) in [mentioned(call) for call in calls]


def mentioned(call: str) -> set[str]:
    """
    Return the parameters of a call in the guide.
    """
    return {name.strip(" *") for name in re.findall(r"(?:^|, )(\**\w+)", call)}


def parameters(verb: Any) -> set[str]:
    """
    Return a method's parameters, with all options as one.
    """
    names = set(inspect.signature(verb).parameters) - {"self"}
    return names - set(OPTION_NAMES) | {"options"} if set(OPTION_NAMES) <= names else names


def test_every_option_and_value_is_listed() -> None:
    """
    Every option has a row with its values, its default and its meaning.
    """
    rows = {row[0]: row for row in table("| option |")}
    assert list(rows) == [f"`{name}`" for name in OPTION_NAMES]
    assert all(all(row) for row in rows.values())
    for name in (
        "quality",
        "background",
        "output_format",
        "moderation",
        "input_fidelity",
        "complexity",
    ):
        alias = "".join(map(str.capitalize, name.split("_")))
        values = get_args(getattr(options, alias))
        assert rows[f"`{name}`"][1] == ", ".join(f'`"{value}"`' for value in values)


def test_every_preset_param_is_listed() -> None:
    """
    Every parameter of every built-in preset has a row with its values and its default.
    """
    expected = [
        [name, field, ", ".join(f"`{choice}`" for choice in choices), preset.defaults[field]]
        for name in presets.names()
        for preset in [presets.get(name)]
        for field, choices in preset.choices.items()
    ]
    rows = table("| preset |")
    assert [[row[0].strip("`"), row[1].strip("`"), row[2], row[3].strip("`")] for row in rows] == (
        expected
    )


@pytest.mark.usefixtures("_packed_presets")
def test_registered_presets_are_listed() -> None:
    """
    The guide lists registered presets too.
    """
    presets.register(presets.product.extended("catalogue"))
    assert "| `catalogue` | `angle` |" in imagesession.guide()


@pytest.mark.parametrize("today", [TODAY, dt.date(2027, 6, 1)])
def test_available_models_are_listed(today: dt.date) -> None:
    """
    Every model that is available on a day is listed with its end; retired ones are not.
    """
    text = write_guide(today)
    offered: dict[str, str] = {}
    for head in ("| `image_model` | qualities", "| `model` | ends"):
        for *models, end, _ in table(head, text):
            offered |= dict.fromkeys(re.findall(r"`([^`]+)`", models[0]), end)
    alive = {
        model.id: str(model.shutdown or "not announced")
        for kind in get_args(Kind)
        for model in load_catalogue().available(kind, today)
    }
    assert offered == alive


def test_every_error_is_listed() -> None:
    """
    Every error is listed under what to do about it, with its attributes.
    """
    rows = {re.sub(r"[`↳ ]", "", row[1]): row for row in table("| what to do |")}
    names = {name for name in errors.__all__ if not name.endswith("Warning")}
    assert set(rows) == names - {"ImageSessionError"}
    assert rows["InvalidRequestError"][0] == "fix the call"
    assert rows["InvalidOptionError"][1:] == [
        "↳ `InvalidOptionError`",
        "An option has a value that the chosen model does not support.",
        "`option`, `value`, `nearest`",
    ]
    assert "`ModelDeprecationWarning`" in GUIDE
    assert "`AmbiguousNameWarning`" in GUIDE


def test_tables_are_complete() -> None:
    """
    Every row of a table has as many cells as its head.
    """
    for rows in re.findall(r"(?:^\|.*\n)+", GUIDE, re.MULTILINE):
        assert len({len(cells(row)) for row in rows.splitlines()}) == 1, rows


def test_names_in_the_prose_exist() -> None:
    """
    Methods and attributes in the guide's prose exist on the objects that they are used with.
    """
    mentions = re.findall(r"\b(studio|session|image|office|results|mask)\.(\w+)", GUIDE)
    assert len(set(mentions)) > 30
    assert {f"{who}.{what}" for who, what in mentions if not hasattr(SPOKEN_OF[who], what)} == set()


def table(head: str, text: str = GUIDE) -> list[list[str]]:
    """
    Return the rows of the table with this head.
    """
    lines = text[text.index(head) :].partition("\n\n")[0].splitlines()
    return [cells(line) for line in lines[2:]]


def cells(row: str) -> list[str]:
    """
    Return the cells of a row.
    """
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
