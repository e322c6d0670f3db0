"""
A label becomes the name of one folder, without characters special in paths.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imagesession._store.slug import FALLBACK_SLUG, slugify
from imagesession.testing import FakeOpenAI
from tests.conftest import MakeStudio

texts = st.text(st.characters(exclude_categories=()), max_size=300)
TRICKS = (
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "",
    " ",
    "C:\\Windows\\system32",
    "con",
    "CON.txt",
    "nul",
    "LPT1",
    "COM²",
    "a\0b",
    "~root",
    "$HOME",
    "-rf",
    ".hidden",
    "trailing. ",
    "x" * 1000,
    "é" * 1000,
    "👩‍👩‍👧" * 100,
    "漢" * 100,
    "half a \ud83c",
    "a\u202egnp.exe",
    "\uff05\uff12\uff45\uff0f",  # per cent, two, e and slash at full width
    "\ufe52\ufe52",  # small full stops
)


def with_tricks(test: Any) -> Any:
    """
    Add known tricky names to the random examples.
    """
    for text in TRICKS:
        test = example(text)(test)
    return test


@with_tricks
@given(texts)
def test_slug_is_one_folder_on_every_system(text: str) -> None:
    """
    Any text gives one path component of at most 180 bytes, without separators, dots and control
    characters, and not a reserved name.
    """
    name = slugify(text)
    assert name
    assert len(name.encode("utf-8")) <= 180
    assert PurePosixPath(name).parts == (name,)
    assert PureWindowsPath(name).parts == (name,)
    assert not PureWindowsPath(name).is_reserved()
    assert {unicodedata.category(char)[0] for char in name} <= {"L", "M", "N", "P"}
    assert all(char == "_" for char in name if unicodedata.category(char)[0] == "P")
    assert not set(name) & set('./\\:*?"<>|~$%-\0 ')


@with_tricks
@given(texts)
def test_slug_is_stable(text: str) -> None:
    """
    The same text gives the same slug, however its letters are composed, and a slug gives itself.
    """
    name = slugify(text)
    assert slugify(text) == name
    assert slugify(unicodedata.normalize("NFD", text)) == name
    assert slugify(name) == name
    assert unicodedata.is_normalized("NFC", name)


@pytest.mark.parametrize(
    "text,name",
    [
        ("ceramic coffee mug", "ceramic_coffee_mug"),
        ("Blue Mug (2nd ed.)", "Blue_Mug_2nd_ed"),
        ("青い花瓶", "青い花瓶"),
        ("Чайник №5", "Чайник_5"),
        ("cafe\u0301", "café"),
        ("a/b\\c", "a_b_c"),
        ("../../etc", "etc"),
        ("👩‍👧", FALLBACK_SLUG),
        ("...", FALLBACK_SLUG),
        ("nul", "_nul"),
        ("Com1", "_Com1"),
        ("com¹", "_com¹"),
        ("con.txt", "con_txt"),
        ("console", "console"),
    ],
)
def test_slugs_keep_words(text: str, name: str) -> None:
    """
    Words of any language are kept; everything between them becomes an underscore.
    """
    assert slugify(text) == name


@pytest.mark.parametrize("trick", ["../../evil", "/etc/evil", "C:\\evil", "nul", "..", "漢" * 200])
def test_product_folders_stay_in_the_library(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, trick: str
) -> None:
    """
    A product's image is in one folder within `products`, whatever the product's name is.
    """
    studio = make_studio(tmp_path / "library", provider=provider)
    image = studio.product(trick)
    folder = image.path.parent
    assert folder.parent == studio.library / "products"
    assert folder.name == slugify(trick)
    assert image.path.resolve().is_relative_to(studio.library.resolve())
    assert [path.name for path in tmp_path.iterdir()] == ["library"]
    assert studio.images.list(text=trick)[0].id == image.id
