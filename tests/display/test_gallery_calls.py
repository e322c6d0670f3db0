"""
The gallery's code snippets are valid Python and repeat the request.
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
from imagesession._store.disk.library import open_library
from tests import strategies
from tests.display.payloads import PAYLOADS

texts = st.text(st.characters(exclude_categories=()), max_size=80)


@pytest.fixture(name="offline")
def offline_studio(tmp_path: Path) -> Any:
    """
    An offline studio.
    """
    with Studio.offline(tmp_path / "library") as studio:
        yield studio


def run_call(studio: Studio, image: SavedImage) -> tuple[str, SavedImage]:
    """
    Run an image's code snippet; return the snippet and the new image.
    """
    library = open_library(Path(studio.library))
    session = None if image.session_id is None else library.sessions.find(image.session_id)
    call = code_for(image.turn, session)
    exec(call, {"studio": studio})  # noqa: S102 - that is what it is for
    return call, studio.images.list(limit=1)[0]


def is_same_request(image: SavedImage, other: SavedImage) -> bool:
    """
    Return whether two images were made by equal requests.
    """
    return image != other and all(
        getattr(image.turn, name) == getattr(other.turn, name)
        for name in ("prompt", "options", "parameters", "references", "parents", "depth")
    )


# --- requests --------------------------------------------------------------------------------


def test_standalone_image_is_repeated(offline: Studio) -> None:
    """
    The snippet has the prompt and the options that differ from the defaults.
    """
    image = offline.generate('a "quoted" teapot', size=(1536, 864), quality="low")
    call, repeated = run_call(offline, image)
    assert call == 'studio.generate(\'a "quoted" teapot\', size="1536x864", quality="low")'
    assert is_same_request(image, repeated)


def test_first_turn_creates_a_new_session(offline: Studio) -> None:
    """
    The snippet of a first turn creates a session with the same name and description.
    """
    session = offline.session("A logo for a tea shop", name="Tea logo", quality="low")
    image = session.generate("a teapot")
    call, repeated = run_call(offline, image)
    assert call.splitlines()[0] == (
        'session = studio.session("A logo for a tea shop", name="Tea logo")'
    )
    assert is_same_request(image, repeated)
    assert repeated.session_id != image.session_id


def test_later_turn_is_repeated_on_a_new_branch(offline: Studio) -> None:
    """
    The snippet of a later turn has the same parent, on a new branch.
    """
    session = offline.session("A logo", quality="low")
    first = session.generate("a teapot")
    image = session.generate("more geometric", quality="auto")
    session.generate("blue accents")
    call, repeated = run_call(offline, image)
    assert f'.branch(at="{first.turn.id}")' in call
    assert is_same_request(image, repeated)
    assert (repeated.session_id, repeated.parent) == (image.session_id, first.turn.id)


def test_edit_is_repeated(offline: Studio) -> None:
    """
    The snippet of an edit names the edited image and its references.
    """
    image = offline.generate("an office")
    reference = offline.images.import_file(Image.new("RGB", (64, 64), "red"))
    edited = offline.edit("paint the wall in this red", image=image, references=reference)
    call, repeated = run_call(offline, edited)
    assert f'image="{image.id}", references=["{reference.id}"]' in call
    assert is_same_request(edited, repeated)


def test_references_are_repeated(offline: Studio) -> None:
    """
    The snippet passes references that are images of the library.
    """
    reference = offline.images.import_file(Image.new("RGB", (64, 64), "red"))
    image = offline.generate("a poster in this colour", references=reference)
    assert is_same_request(image, run_call(offline, image)[1])


def test_preset_is_repeated_as_a_preset(offline: Studio) -> None:
    """
    The snippet of a preset names the preset, the description and the parameters.
    """
    image = offline.product("a blue guitar", angle="side", lighting="soft")
    call, repeated = run_call(offline, image)
    assert call.startswith('studio.preset("product", "a blue guitar", params={')
    assert is_same_request(image, repeated)
    assert repeated.kind == "product"


def test_variation_is_repeated_by_its_prompt(offline: Studio) -> None:
    """
    The snippet of one of several variations has its own prompt.
    """
    (_, image) = offline.variations("a teapot", n=2).images
    assert run_call(offline, image)[1].prompt == image.prompt


def test_inputs_that_are_not_stored_are_comments(offline: Studio) -> None:
    """
    A mask and external references are mentioned in comments.
    """
    image = offline.generate("an office")
    external = Image.new("RGB", (9, 9))
    mask = Mask.rectangle((100, 100, 300, 300))
    edited = offline.edit("a plant", image=image, mask=mask, references=external)
    call, _ = run_call(offline, edited)
    comments = [line for line in call.splitlines() if line.startswith("# ")]
    assert len(comments) == 2


def test_promotion_is_repeated(offline: Studio) -> None:
    """
    The snippet of a promoted image promotes it again.
    """
    standalone = offline.generate("an office")
    (image,) = offline.promote(standalone, "Refine it", name="Office").images()
    call, repeated = run_call(offline, image)
    assert call == f'session = studio.promote("{standalone.id}", "Refine it", name="Office")'
    assert repeated.kind == "promotion"


def test_import_names_its_file(offline: Studio, tmp_path: Path) -> None:
    """
    The snippet of an imported image imports its file name.
    """
    Image.new("RGB", (9, 9)).save(tmp_path / "photo.png")
    image = offline.images.import_file(tmp_path / "photo.png")
    assert code_for(image.turn, None) == 'studio.images.import_file("photo.png")'


# --- arbitrary content -----------------------------------------------------------------------


@given(texts)
def test_any_text_becomes_a_python_literal(text: str) -> None:
    """
    Any text survives the round trip through one line of printable characters.
    """
    written = literal(text)
    assert ast.literal_eval(written) == text
    assert written.isprintable()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payloads_become_string_literals(payload: str) -> None:
    """
    A script in a prompt is a string literal in the snippet.
    """
    assert ast.literal_eval(literal(payload)) == payload


@given(strategies.turns, st.none() | strategies.sessions)
def test_any_turn_has_a_valid_snippet(turn: Turn, session: SessionRecord | None) -> None:
    """
    The snippet of any record can be parsed, and calls only methods of studio and session.
    """
    module = ast.parse(code_for(turn, session))
    called = [node for node in ast.walk(module) if isinstance(node, ast.Call)]
    assert called
    assert all(isinstance(node.func, ast.Attribute) for node in called)
    assert {node.id for node in ast.walk(module) if isinstance(node, ast.Name)} <= {
        "studio",
        "session",
    }
