"""
Rules for the code: sizes of modules and functions, names, and a docstring for every test.
"""

from __future__ import annotations

import ast
import pkgutil
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import imagesession

ROOT = Path(__file__).parent.parent
PACKAGES = ("imagesession", "imagesession_mcp")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
# Longer for a reason: public classes and the store's contract, whose methods are all documented.
LONG = {"async_studio.py", "generation.py", "session.py", "studio.py", "errors.py", "ports.py"}
MAX_MODULE_LINES = 420
MAX_FUNCTION_LINES = 45


def test_modules_stay_small() -> None:
    """
    A module above this length should be split.
    """
    lines = {module: len(module.read_text("utf-8").splitlines()) for module in MODULES}
    long = {module for module, count in lines.items() if count > MAX_MODULE_LINES}
    assert [module for module in long if module.name not in LONG] == []


def long_functions(module: Path) -> Iterator[str]:
    """
    Yield a module's functions that are too long; signatures and docstrings do not count.
    """
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0  # type: ignore[operator] # pyright: ignore[reportOptionalOperand] - parsed, so it has one
            if length > MAX_FUNCTION_LINES:
                yield f"{module.name}: {node.name}"


def test_functions_stay_short() -> None:
    """
    A function above this length does two things.
    """
    assert [name for module in MODULES for name in long_functions(module)] == []


def test_version_is_defined_once() -> None:
    """
    The version is written once.
    """
    definitions = [
        path for path in MODULES if f'"{imagesession.__version__}"' in path.read_text("utf-8")
    ]
    assert definitions == [ROOT / "imagesession" / "_version.py"]


def unused_words() -> set[str]:
    """
    Return the words that the terminology page excludes from names.
    """
    page = (ROOT / "docs" / "explanation" / "terminology.md").read_text("utf-8")
    rows = re.findall(r"^\| (`.+?) \|", page.split("| not | but |")[1], re.MULTILINE)
    return {word for row in rows for word in re.findall(r"`(\w+)`", row)}


def name_parts(module: Path) -> Iterator[tuple[str, str]]:
    """
    Yield the names in a module and the words of each. Names of tests are sentences, and excluded.
    """
    with tokenize.open(module) as file:
        tokens = list(tokenize.generate_tokens(file.readline))
    for name in {token.string for token in tokens if token.type == tokenize.NAME} | {module.stem}:
        if not name.startswith("test_"):
            words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
            yield from ((name, word.lower()) for word in words)


def test_names_use_the_terminology() -> None:
    """
    No name contains a word that the terminology page replaces; "one" may be part of a longer name.
    """
    unused = unused_words()
    assert {"one", "wish", "desk", "told"} <= unused
    modules = [file for root in (*PACKAGES, "tests") for file in (ROOT / root).rglob("*.py")]
    violations = {
        f"{module.relative_to(ROOT)}: {name}"
        for module in modules
        for name, word in name_parts(module)
        if word in unused and (word != "one" or name.strip("_") == "one")
    }
    assert sorted(violations) == []


def test_every_test_has_a_docstring() -> None:
    """
    Every test has a docstring.
    """
    for module in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                named = node.name.startswith("test_")
                assert not named or ast.get_docstring(node), f"{module.name}: {node.name}"


def test_what_tests_replace_is_there() -> None:
    """
    Every name of the library that a test replaces by its path exists: a broken twin that replaces
    nothing shows nothing, and most of them run only with --faults.
    """
    paths = {
        argument.value
        for test in sorted((ROOT / "tests").rglob("*.py"))
        for call in ast.walk(ast.parse(test.read_text("utf-8")))
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "setattr"
        for argument in call.args[:1]
        if isinstance(argument, ast.Constant)
        and isinstance(argument.value, str)
        and argument.value.startswith("imagesession")
    }
    assert len(paths) > 20
    for path in paths:
        assert pkgutil.resolve_name(path), path
