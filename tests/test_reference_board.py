"""
A session's reference board: images with roles that are sent with every turn.

Every test runs over the sync and the async twin.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imagesession.errors import ImageSessionError, InvalidImageError, SessionClosedError
from imagesession.testing import FakeOpenAI, tiny_image, tiny_mask
from tests.conftest import MakeStudio
from tests.sent import asked, forms, shown

RED, BLUE, GREEN = (tiny_image(colour=each) for each in ((200, 0, 0), (0, 0, 200), (0, 150, 0)))
NOTE = "The last 2 images are references to go by, not to change: logo; palette."


@pytest.fixture
def session(studio: Any) -> Any:
    """
    A session with a board of two images.
    """
    return studio.session("A tea shop", name="Tea", references={"logo": RED, "palette": BLUE})


def text_of(body: Any) -> str:
    """
    Return the words of the last message of a request.
    """
    parts = body["input"][-1]["content"]
    return "\n".join(part["text"] for part in parts if part["type"] == "input_text")


VERBS: dict[str, Callable[[Any], object]] = {
    "generate": lambda session: session.generate("a poster"),
    "refine": lambda session: session.head().refine("at night"),
    "variations": lambda session: session.variations("a card", n=2),
    "edit": lambda session: session.edit("greener", mask=tiny_mask((1024, 1024))),
    "product": lambda session: session.product("a cup"),
    "submit": lambda session: session.submit("a flyer", within="8h"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_board_goes_along_every_turn(session: Any, provider: FakeOpenAI, verb: str) -> None:
    """
    Whatever makes an image in the session sends the board last, and tells the roles.
    """
    session.generate("a bicycle")
    VERBS[verb](session)
    for body in asked(provider):
        assert shown(provider, body)[-2:] == [RED, BLUE]
        assert text_of(body).endswith(NOTE)


def test_turn_records_roles_and_its_own_words(session: Any) -> None:
    """
    A turn names the references that were sent, and its prompt is what the caller wrote.
    """
    turn = session.generate("a bicycle").turn
    assert [reference.role for reference in turn.references] == ["logo", "palette"]
    assert turn.prompt == "a bicycle"


def test_board_does_not_replace_what_the_session_shows(session: Any) -> None:
    """
    Offline, a board's images are references; the session's own image is refined.
    """
    session.generate("a bicycle")
    assert "bicycle" in session.generate("at night").revised_prompt


def test_references_of_a_call_come_first(session: Any, provider: FakeOpenAI) -> None:
    """
    A call's own references stand before the board; an image of the board is not sent twice.
    """
    logo = session.references()["logo"].id
    session.generate("a poster", references=[GREEN, logo])
    assert shown(provider, asked(provider)[-1]) == [GREEN, RED, BLUE]


def test_references_of_a_call_may_have_roles(studio: Any, provider: FakeOpenAI) -> None:
    """
    A call's references may be given by role too, without a session.
    """
    image = studio.generate("a poster", references={"logo": RED, "palette": BLUE})
    assert text_of(asked(provider)[-1]).endswith(NOTE)
    assert [reference.role for reference in image.turn.references] == ["logo", "palette"]


def test_images_api_gets_the_board(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Through the Images API, which has only images and one text, the board goes along as well.
    """
    provider = FakeOpenAI()
    studio = make_studio(tmp_path / "library", provider=provider, api="images")
    session = studio.session("A tea shop", references={"logo": RED, "palette": BLUE})
    session.generate("a bicycle")
    session.generate("at night")
    first, second = forms(provider)
    assert first["image[]"] == [RED, BLUE]
    assert second["image[]"][1:] == [RED, BLUE]
    assert all(form["prompt"].endswith(NOTE) for form in (first, second))


def test_board_is_shown_changed_and_emptied(studio: Any, session: Any, tmp_path: Path) -> None:
    """
    `references()` has the images by role; `update` replaces or empties the board, and leaves it
    alone if it is not given. What the library has is not imported again.
    """
    file = tmp_path / "green.png"
    file.write_bytes(GREEN)
    board = session.references()
    assert {role: image.bytes for role, image in board.items()} == {"logo": RED, "palette": BLUE}
    session.update(references=[file, RED])
    assert list(session.references()) == ["reference 1", "reference 2"]
    assert len(studio.images.list()) == 3
    session.update(name="Tea shop")
    assert len(session.references()) == 2
    assert session.status().references == ("reference 1", "reference 2")
    resumed = studio.session("", name="Tea shop", resume=True, references={"logo": RED})
    assert [image.bytes for image in resumed.references().values()] == [RED]
    assert len(studio.images.list()) == 3
    session.update(references=[])
    assert session.references() == {}


def test_board_survives_resume_branch_and_export(
    studio: Any, session: Any, make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    Branches, a resumed session and an imported archive have the board; a library that imports it
    twice, or has its images, gets no second copy.
    """
    session.generate("a bicycle")
    session.branch("night").generate("at night")
    assert shown(provider, asked(provider)[-1])[-2:] == [RED, BLUE]
    resumed = studio.session("", name="Tea", resume=True)
    assert list(resumed.references()) == ["logo", "palette"]
    archive = session.export(tmp_path / "tea.zip")
    other = make_studio(tmp_path / "other", provider=provider)
    imported = other.sessions.import_archive(archive)
    assert [image.bytes for image in imported.references().values()] == [RED, BLUE]
    assert other.doctor(verify=True).ok
    assert len(other.images.list()) == 4
    imported.generate("in winter")
    assert shown(provider, asked(provider)[-1])[-2:] == [RED, BLUE]


def test_estimate_counts_the_board(studio: Any) -> None:
    """
    The estimate of a session with a board is higher than without, and a missing image is noticed.
    """
    plain = studio.session("A tea shop").estimate("a poster", quality="low", size="1024x1024")
    big = tiny_image(size=(1024, 1024))
    session = studio.session("A tea shop", references=[big] * 4)
    assert session.estimate("a poster", quality="low", size="1024x1024").high > plain.high


WRONG: dict[str, Any] = {
    "17 images": [RED] * 17,
    "no file": ["no-such-file.png"],
    "no image": [b"not an image"],
    "one of two": {"logo": RED, "palette": b"<html>"},
    "no role": {"": RED},
    "lines": {"the\nlogo": RED},
    "long role": {"logo " * 20: RED},
    "a number": 5,
    "none": [None],
    "unknown id": ["01M8N76VAEA1751MXTJR18CT0C"],
}


@pytest.mark.parametrize("wrong", WRONG)
def test_bad_board_is_refused_whole(studio: Any, session: Any, wrong: str) -> None:
    """
    What cannot be sent is refused when the board is set; nothing is imported, the board stays.
    """
    with pytest.raises(ImageSessionError) as raised:
        session.update(references=WRONG[wrong])
    assert len(raised.value.message) <= 300
    assert list(session.references()) == ["logo", "palette"]
    assert len(studio.images.list()) == 2


def test_too_many_with_the_board_are_refused(session: Any, provider: FakeOpenAI) -> None:
    """
    A call's references and the board together are at most 16; the error says what to do.
    """
    with pytest.raises(InvalidImageError, match=r"with the 2 of the session's board.*Leave out 1"):
        session.generate("a poster", references=[GREEN] * 15)
    assert asked(provider) == []


def test_missing_image_of_the_board_is_named(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    If an image of the board is gone, the turn is not sent, and the error says where its file was.
    """
    studio = make_studio(tmp_path / "library", provider=provider)
    session = studio.session("A tea shop", references={"logo": RED})
    Path(session.references()["logo"].path).unlink()
    with pytest.raises(InvalidImageError, match="is gone"):
        session.generate("a poster")
    assert asked(provider) == []


def test_board_of_a_closed_session_stays(studio: Any, session: Any) -> None:
    """
    A closed session's board is not changed, and nothing is imported for it.
    """
    session.close()
    with pytest.raises(SessionClosedError):
        session.update(references=[GREEN])
    assert len(studio.images.list()) == 2
