"""
The guide: what it shows is so, and it leaves nothing out.
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
    "picture": SavedImage,
    "office": SavedImage,
    "results": Results,
    "mask": Mask,
}


def shown(block: str) -> Iterator[str]:
    """
    Yield the lines that a block says it prints: behind arrows, and indented beneath them.
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
    Bring back the packed presets afterwards.
    """
    yield
    presets.reset()


@pytest.mark.usefixtures("_packed_presets")
def test_what_it_shows_is_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The guide's Python runs from top to bottom as it stands, offline, and prints what it says.
    """
    monkeypatch.setenv("IMAGESESSION_LIBRARY", str(tmp_path / "library"))
    names: dict[str, Any] = {}
    for block in BLOCKS:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(block, names)  # noqa: S102 - our own guide
        assert printed.getvalue().splitlines() == list(shown(block)), block


def test_every_block_is_shown_to_work() -> None:
    """
    Every block prints something, by which it is seen to have done what it is there for.
    """
    assert [block for block in BLOCKS if not list(shown(block))] == []


def test_it_can_be_read_at_one_sitting() -> None:
    """
    The guide stays below 500 lines, and none of its places is left open.
    """
    assert len(GUIDE.splitlines()) < 500
    assert re.findall(r"\{[a-z_]+\}", GUIDE) == []


def test_writing_it_is_light() -> None:
    """
    Reading the guide loads neither openai nor Pillow, and importing the package not the guide.
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
def test_every_verb_is_told_of(kind: type) -> None:
    """
    Every public verb stands there with all its parameters, and every fact by its name.
    """
    for name, member in inspect.getmembers(kind):
        if name.startswith("_"):
            continue
        if inspect.isroutine(member):
            (call,) = {
                found[0]
                for found in re.finditer(rf"`{name}\(([^`]*)\)`", GUIDE)
                if mentioned(found[1]) == parameters(member)
            }
            assert call
        elif isinstance(member, property):
            assert f"`{name}`: " in GUIDE


@pytest.mark.parametrize("name", ["sessions", "images", "batches", "models", "requests"])
def test_every_collection_is_told_of(name: str) -> None:
    """
    Every verb of a studio's collections stands there with all its parameters.
    """
    kind: type[Any] = type(getattr(Studio.offline(), name))
    for verb, member in inspect.getmembers(kind, inspect.isfunction):
        if not verb.startswith("_"):
            calls = re.findall(rf"`studio\.{name}\.{verb}\(([^`]*)\)`", GUIDE)
            assert parameters(member) in [mentioned(call) for call in calls]


def mentioned(call: str) -> set[str]:
    """
    Return the parameters in a call as the guide writes it.
    """
    return {name.strip(" *") for name in re.findall(r"(?:^|, )(\**\w+)", call)}


def parameters(verb: Any) -> set[str]:
    """
    Return a verb's parameters, the options as one.
    """
    known = set(inspect.signature(verb).parameters) - {"self"}
    return known - set(OPTION_NAMES) | {"options"} if set(OPTION_NAMES) <= known else known


def test_every_option_and_value_is_told_of() -> None:
    """
    Every option has a row with the values that it takes, its default and its meaning.
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
        kind = "".join(map(str.capitalize, name.split("_")))
        values = get_args(getattr(options, kind))
        assert rows[f"`{name}`"][1] == ", ".join(f'`"{value}"`' for value in values)


def test_every_choice_is_told_of() -> None:
    """
    Every parameter of every packed preset has a row with its choices and its default.
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
def test_presets_of_your_own_are_told_of() -> None:
    """
    The guide names the presets that are in use, those of the caller too.
    """
    presets.register(presets.product.extended("catalogue"))
    assert "| `catalogue` | `angle` |" in imagesession.guide()


@pytest.mark.parametrize("today", [TODAY, dt.date(2027, 6, 1)])
def test_living_models_are_told_of(today: dt.date) -> None:
    """
    Every model that can be used on a day is named with its end; those that ended are not offered.
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


def test_every_error_is_told_of() -> None:
    """
    Every error stands there, beneath what to do about it, with the facts that it carries.
    """
    rows = {re.sub(r"[`↳ ]", "", row[1]): row for row in table("| what to do |")}
    known = {name for name in errors.__all__ if name != "ModelDeprecationWarning"}
    assert set(rows) == known - {"ImageSessionError"}
    assert rows["InvalidRequestError"][0] == "fix the call"
    assert rows["InvalidOptionError"][1:] == [
        "↳ `InvalidOptionError`",
        "An option has a value that the chosen model does not take.",
        "`option`, `value`, `nearest`",
    ]
    assert "`ModelDeprecationWarning`" in GUIDE


def test_tables_are_whole() -> None:
    """
    Every row of a table has as many cells as its head.
    """
    for rows in re.findall(r"(?:^\|.*\n)+", GUIDE, re.MULTILINE):
        assert len({len(cells(row)) for row in rows.splitlines()}) == 1, rows


def test_what_the_words_name_is_there() -> None:
    """
    Verbs and facts that the guide's words name belong to what they are said of.
    """
    said = re.findall(r"\b(studio|session|picture|office|results|mask)\.(\w+)", GUIDE)
    assert len(set(said)) > 30
    assert {f"{who}.{what}" for who, what in said if not hasattr(SPOKEN_OF[who], what)} == set()


def table(head: str, text: str = GUIDE) -> list[list[str]]:
    """
    Return the rows of the table that begins so, without its head.
    """
    lines = text[text.index(head) :].partition("\n\n")[0].splitlines()
    return [cells(line) for line in lines[2:]]


def cells(row: str) -> list[str]:
    """
    Return the cells of a row.
    """
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
