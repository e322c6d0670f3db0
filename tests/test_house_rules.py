"""
How the house is built, held by tests: the sizes of rooms, and that every module has its tests.
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import imagesession

ROOT = Path(__file__).parent.parent
PACKAGES = ("imagesession", "imagesession_mcp")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
# Longer than the rest with a reason: what users hold, each method documented for them.
LONG = {"generation.py", "session.py", "studio.py", "errors.py"}
MAX_MODULE_LINES = 420
MAX_FUNCTION_LINES = 45


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_stay_small(module: Path) -> None:
    """
    A module past this length holds a second room.
    """
    lines = len(module.read_text("utf-8").splitlines())
    assert lines <= MAX_MODULE_LINES or module.name in LONG


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_stay_short(module: Path) -> None:
    """
    A function past this length does two things; its signature and docstring do not count.
    """
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0  # type: ignore[operator] # pyright: ignore[reportOptionalOperand] - parsed, so it has one
            assert length <= MAX_FUNCTION_LINES, f"{module.name}: {node.name}"


def test_the_version_stands_in_one_place() -> None:
    """
    The version is written once.
    """
    found = [path for path in MODULES if f'"{imagesession.__version__}"' in path.read_text("utf-8")]
    assert found == [ROOT / "imagesession" / "_version.py"]


def unused_words() -> set[str]:
    """
    Return the words that the page on terminology says are not used as names.
    """
    page = (ROOT / "docs" / "explanation" / "terminology.md").read_text("utf-8")
    rows = re.findall(r"^\| (`.+?) \|", page.split("| not | but |")[1], re.MULTILINE)
    return {word for row in rows for word in re.findall(r"`(\w+)`", row)}


def words_of(module: Path) -> Iterator[tuple[str, str]]:
    """
    Yield the names in a module and the words that each is made of. Tests' own names are sentences.
    """
    with tokenize.open(module) as file:
        tokens = list(tokenize.generate_tokens(file.readline))
    for name in {token.string for token in tokens if token.type == tokenize.NAME} | {module.stem}:
        if not name.startswith("test_"):
            words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
            yield from ((name, word.lower()) for word in words)


def test_names_are_made_of_the_terms_of_the_house() -> None:
    """
    No name has a word that the page on terminology has replaced; "one" may stand beside others.
    """
    unused = unused_words()
    assert {"one", "wish", "desk", "told"} <= unused
    modules = [file for root in (*PACKAGES, "tests") for file in (ROOT / root).rglob("*.py")]
    found = {
        f"{module.relative_to(ROOT)}: {name}"
        for module in modules
        for name, word in words_of(module)
        if word in unused and (word != "one" or name.strip("_") == "one")
    }
    assert sorted(found) == []


def test_every_test_says_its_promise() -> None:
    """
    Every test has a docstring.
    """
    for module in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                named = node.name.startswith("test_")
                assert not named or ast.get_docstring(node), f"{module.name}: {node.name}"
