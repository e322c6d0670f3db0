"""
The calls that a gallery offers for making a picture again: they are Python, and they do it.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imagesession import Mask, SavedImage, Studio
from imagesession._display.gallery.code_snippet import code_for, literal
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import Turn
from imagesession._store.repository import LibraryStore
from tests import strategies
from tests.display.payloads import PAYLOADS

texts = st.text(st.characters(exclude_categories=()), max_size=80)


@pytest.fixture(name="offline")
def opening(tmp_path: Path) -> Any:
    """
    A studio that draws offline.
    """
    with Studio.offline(tmp_path / "library") as studio:
        yield studio


def again(studio: Studio, image: SavedImage) -> tuple[str, SavedImage]:
    """
    Make the call that a gallery offers for a picture; return it and the picture that it made.
    """
    library = LibraryStore(studio.library)
    session = None if image.session_id is None else library.find_session(image.session_id)
    call = code_for(image.turn, session)
    exec(call, {"studio": studio})  # noqa: S102 - that is what it is for
    return call, studio.images.list(limit=1)[0]


def same(image: SavedImage, other: SavedImage) -> bool:
    """
    Tell whether two pictures were asked for alike.
    """
    return image != other and all(
        getattr(image.turn, name) == getattr(other.turn, name)
        for name in ("prompt", "options", "parameters", "references", "parents", "depth")
    )


# --- what they do -----------------------------------------------------------------------------


def test_a_single_picture_is_made_again(offline: Studio) -> None:
    """
    The prompt and the options that are not the default's are named.
    """
    image = offline.generate('a "quoted" teapot', size=(1536, 864), quality="low")
    call, made = again(offline, image)
    assert call == 'studio.generate(\'a "quoted" teapot\', size="1536x864", quality="low")'
    assert same(image, made)


def test_a_first_turn_starts_a_session_anew(offline: Studio) -> None:
    """
    What began a session begins another one of the same name and description.
    """
    session = offline.session("A logo for a tea shop", name="Tea logo", quality="low")
    image = session.generate("a teapot")
    call, made = again(offline, image)
    assert call.splitlines()[0] == (
        'session = studio.session("A logo for a tea shop", name="Tea logo")'
    )
    assert same(image, made)
    assert made.session_id != image.session_id


def test_a_later_turn_grows_where_it_grew(offline: Studio) -> None:
    """
    What grew in a session grows again at the same place, on a branch of its own.
    """
    session = offline.session("A logo", quality="low")
    first = session.generate("a teapot")
    image = session.generate("more geometric", quality="auto")
    session.generate("blue accents")
    call, made = again(offline, image)
    assert f'.branch(at="{first.turn.id}")' in call
    assert same(image, made)
    assert (made.session_id, made.parent) == (image.session_id, first.turn.id)


def test_an_edit_is_made_again(offline: Studio) -> None:
    """
    An edit names the picture that it changes, and the pictures to go by.
    """
    image = offline.generate("an office")
    by = offline.images.import_file(Image.new("RGB", (64, 64), "red"))
    edited = offline.edit("paint the wall in this red", image=image, references=by)
    call, made = again(offline, edited)
    assert f'image="{image.id}", references=["{by.id}"]' in call
    assert same(edited, made)


def test_references_are_named(offline: Studio) -> None:
    """
    Pictures of the library that went along go along again.
    """
    by = offline.images.import_file(Image.new("RGB", (64, 64), "red"))
    image = offline.generate("a poster in this colour", references=by)
    assert same(image, again(offline, image)[1])


def test_presets_are_named_as_presets(offline: Studio) -> None:
    """
    A product photograph is asked for by its preset, its description and what was chosen.
    """
    image = offline.product("a blue guitar", angle="side", lighting="soft")
    call, made = again(offline, image)
    assert call.startswith('studio.preset("product", "a blue guitar", params={')
    assert same(image, made)
    assert made.kind == "product"


def test_a_take_is_asked_for_in_its_own_words(offline: Studio) -> None:
    """
    One of several takes is made again by the prompt that it had.
    """
    (_, image) = offline.variations("a teapot", n=2).images
    assert again(offline, image)[1].prompt == image.prompt


def test_what_is_not_kept_is_told(offline: Studio) -> None:
    """
    A mask and pictures from elsewhere are told of in comments.
    """
    image = offline.generate("an office")
    strange = Image.new("RGB", (9, 9))
    mask = Mask.rectangle((100, 100, 300, 300))
    edited = offline.edit("a plant", image=image, mask=mask, references=strange)
    call, _ = again(offline, edited)
    reported = [line for line in call.splitlines() if line.startswith("# ")]
    assert len(reported) == 2


def test_a_promoted_picture_is_promoted_again(offline: Studio) -> None:
    """
    A session's first picture that came from elsewhere in the library is promoted again.
    """
    single = offline.generate("an office")
    (image,) = offline.promote(single, "Refine it", name="Office").images()
    call, made = again(offline, image)
    assert call == f'session = studio.promote("{single.id}", "Refine it", name="Office")'
    assert made.kind == "promotion"


def test_an_import_names_its_file(offline: Studio, tmp_path: Path) -> None:
    """
    A picture that was brought in is brought in by its file's name.
    """
    Image.new("RGB", (9, 9)).save(tmp_path / "photo.png")
    image = offline.images.import_file(tmp_path / "photo.png")
    assert code_for(image.turn, None) == 'studio.images.import_file("photo.png")'


# --- whatever they hold -----------------------------------------------------------------------


@given(texts)
def test_a_text_is_written_so_that_python_reads_it(text: str) -> None:
    """
    Any text comes back as it was, from one line of printable characters.
    """
    written = literal(text)
    assert ast.literal_eval(written) == text
    assert written.isprintable()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payloads_are_written_as_texts(payload: str) -> None:
    """
    What is meant for a page to run is a text in a call.
    """
    assert ast.literal_eval(literal(payload)) == payload


@given(strategies.turns, st.none() | strategies.sessions)
def test_any_turn_has_a_call_that_is_python(turn: Turn, session: SessionRecord | None) -> None:
    """
    Whatever a record holds, the call can be parsed and calls nothing but verbs of ours.
    """
    module = ast.parse(code_for(turn, session))
    called = [node for node in ast.walk(module) if isinstance(node, ast.Call)]
    assert called
    assert all(isinstance(node.func, ast.Attribute) for node in called)
    assert {node.id for node in ast.walk(module) if isinstance(node, ast.Name)} <= {
        "studio",
        "session",
    }
