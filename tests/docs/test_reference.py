"""
The documentation leaves no public name out, and what it takes from elsewhere is there.

That its code runs and its pictures are what it draws is held by `docs/conftest.py`; that its links
lead somewhere, by Sphinx.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagesession_mcp.settings import OPTIONS, SECRETS

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
REFERENCE = "\n".join(path.read_text("utf-8") for path in sorted(DOCS.glob("reference/*.md")))
EXAMPLES = (DOCS / "examples.md").read_text("utf-8")
DIRECTIVES = re.compile(
    r"^\.\. (?:auto|py:)(?P<what>\w+):: (?P<name>[\w.]+)\n(?P<options>(?:   :.*\n)*)", re.MULTILINE
)
ROOMS = (
    "imagesession", "imagesession.errors", "imagesession.presets", "imagesession.schema",
    "imagesession.testing", "imagesession.types",
    "imagesession.worker",
)  # fmt: skip


def public_names() -> Iterator[str]:
    """
    Yield all names that the package exports, in full.
    """
    for room in ROOMS:
        for name in importlib.import_module(room).__all__:
            yield f"{room}.{name}"


def found(name: str) -> Any:
    """
    Return what a name in full stands for.
    """
    room, _, last = name.rpartition(".")
    return getattr(importlib.import_module(room), last)


def members(kind: type) -> set[str]:
    """
    Name a class's public methods and properties, those that this library wrote.
    """
    return {
        name
        for item in kind.__mro__
        if item.__module__.startswith("imagesession")
        for name, member in vars(item).items()
        if not name.startswith("_")
        and isinstance(member, (property, classmethod, staticmethod, type(members)))
    }


def documented() -> set[str]:
    """
    Name all that the reference tells of, in full.
    """
    names: set[str] = set()
    for directive in DIRECTIVES.finditer(REFERENCE):
        name, options = directive["name"], directive["options"]
        module = re.search(r":module: (\S+)", options)
        names.add(f"{module[1]}.{name}" if module else name)
        if ":members:" in options:
            names |= {f"{name}.{member}" for member in members(found(name))}
    return names


def test_every_public_name_is_in_the_reference() -> None:
    """
    What can be imported is told of, with every method and property that it has.
    """
    wanted: set[str] = set()
    for name in public_names():
        value = found(name)
        if inspect.ismodule(value):
            assert f".. py:module:: {name}\n" in REFERENCE
            continue
        kind = value if inspect.isclass(value) and not issubclass(value, Exception) else object
        wanted |= {name, *(f"{name}.{member}" for member in members(kind))}
    assert wanted - documented() == set()


def test_nothing_is_told_of_that_is_not_there() -> None:
    """
    What the reference names exists.
    """
    for name in sorted(documented()):
        room = next(room for room in reversed(ROOMS) if name.startswith(f"{room}."))
        value: Any = importlib.import_module(room)
        for part in name.removeprefix(f"{room}.").split("."):
            value = getattr(value, part)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_files_that_pages_name_are_there(path: Path) -> None:
    """
    Examples, modules and tests that a page names by their path are there.
    """
    folders = "examples|tests|docs|imagesession|imagesession_mcp"
    for named in re.findall(rf"`((?:{folders})/[\w/.]+)`", path.read_text("utf-8")):
        assert (DOCS.parent / named).exists(), named


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(DOCS)))
def test_directives_are_read_as_such(path: Path) -> None:
    """
    No backtick stands in the head of a fence of backticks, for it would be shown as text.
    """
    assert re.findall(r"^```\{.*`.*$", path.read_text("utf-8"), re.MULTILINE) == []


def test_every_picture_is_shown() -> None:
    """
    No picture lies about that no page shows.
    """
    shown = {
        (path.parent / link).resolve()
        for path in [*PAGES, DOCS.parent / "README.md"]
        for link in re.findall(r"!\[(?:[^\]]|\n)*\]\(([^)]+)\)", path.read_text("utf-8"))
    }
    kept = {path for path in (DOCS / "pictures").iterdir() if path.suffix not in {".py", ".pyc"}}
    assert {path.resolve() for path in kept if path.is_file()} == shown


def test_every_environment_variable_is_documented() -> None:
    """
    The page of environment variables, with the table of the server for agents, names each variable
    that is read.
    """
    pages = (DOCS / "agents.md", DOCS / "reference" / "environment.md")
    text = "".join(page.read_text("utf-8") for page in pages)
    variables = {option.variable for option in OPTIONS.values()}
    variables |= {variable for variable, _ in SECRETS}
    variables |= {"OPENAI_API_KEY", "OPENAI_BASE_URL", "IMAGESESSION_LIBRARY"}
    assert sorted(variable for variable in variables if f"`{variable}`" not in text) == []


def test_every_example_is_shown() -> None:
    """
    The page of examples shows each of them.
    """
    shown = re.findall(r"^```\{literalinclude\} \.\./examples/(\w+\.py)$", EXAMPLES, re.MULTILINE)
    assert sorted(shown) == sorted(path.name for path in DOCS.parent.glob("examples/*.py"))
