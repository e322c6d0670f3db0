"""
How a studio finds its library and its provider.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from imagesession import AsyncStudio, Studio
from imagesession.errors import InvalidOptionError, InvalidRequestError, StorageIOError
from tests.conftest import MakeStudio

BOTH = pytest.mark.parametrize("kind", [Studio, AsyncStudio])


@BOTH
def test_environment_selects_the_library(
    kind: type[Studio | AsyncStudio], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The library is the given folder, else the environment's, else one in the user's Pictures folder.
    """
    monkeypatch.setenv("IMAGESESSION_LIBRARY", str(tmp_path / "env"))
    assert kind(tmp_path / "given").library == tmp_path / "given"
    assert kind().library == tmp_path / "env"
    assert kind.offline().library == tmp_path / "env"
    monkeypatch.delenv("IMAGESESSION_LIBRARY")
    monkeypatch.setattr("platformdirs.user_pictures_path", lambda: tmp_path / "Pictures")
    assert kind().library == tmp_path / "Pictures" / "imagesession"
    assert kind.offline().library == tmp_path / "Pictures" / "imagesession offline"


@BOTH
def test_environment_selects_the_provider(
    kind: type[Studio | AsyncStudio], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    With a key the provider is OpenAI, without one it is offline, and the studio says which.
    """
    studio = kind.from_env(tmp_path, quality="low")
    assert studio.provider.startswith("offline: sketches")
    assert "offline" in repr(studio)
    monkeypatch.setenv("OPENAI_API_KEY", " ")
    assert kind.from_env(tmp_path).provider.startswith("offline")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    assert kind.from_env(tmp_path).provider == "OpenAI"
    monkeypatch.setenv("OPENAI_BASE_URL", "https://user:secret@images.example/v1")
    assert kind.from_env(tmp_path).provider == "the server at images.example"


@BOTH
def test_invalid_defaults_are_refused(kind: type[Studio | AsyncStudio], tmp_path: Path) -> None:
    """
    A studio's own options are checked when it is created.
    """
    with pytest.raises(InvalidOptionError, match="Did you mean 'quality'"):
        kind(tmp_path, qualty="high")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue] - the point


def test_session_options_are_validated(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A session's own options are checked when it is created, and nothing is recorded of an invalid
    one.
    """
    studio = make_studio(tmp_path)
    with pytest.raises(InvalidOptionError, match="Nearest: 'high'"):
        studio.session("x", quality="hgh")
    assert studio.sessions.list() == ()


def test_studio_is_a_context_manager(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Leaving a studio closes its connections, and closing one without any does no harm.
    """
    with make_studio(tmp_path) as studio:
        studio.generate("a teapot")
    make_studio(tmp_path).close()


def test_client_of_the_other_kind_is_refused(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A client that this kind of studio cannot use is refused before anything is written or sent.
    """
    studio = make_studio(tmp_path, online=True, client=0.5)
    with pytest.raises(InvalidRequestError, match="not float"):
        studio.generate("a teapot")
    assert list((tmp_path / ".imagesession" / "journal").iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="a folder in use cannot be removed there")
def test_working_directory_that_is_gone(
    make_studio: MakeStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A relative library is found where it was when the studio was made; without a working directory
    it is a typed error.
    """
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    studio = make_studio("library")
    monkeypatch.chdir(tmp_path)
    assert studio.generate("a", quality="low").path.is_relative_to(here)
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(StorageIOError, match="Write the path in full"):
        make_studio("library")


@pytest.mark.parametrize("path", ["\0", "half \ud83d"])
def test_path_that_no_file_can_have(make_studio: MakeStudio, tmp_path: Path, path: str) -> None:
    """
    A path with half a character, or with a NUL, is refused wherever one is given.
    """
    studio = make_studio(tmp_path / "library")
    session = studio.session("a session")
    image = session.generate("a", quality="low")
    with pytest.raises(InvalidRequestError):
        make_studio(tmp_path / path)
    for write in (image.save, session.export, session.contact_sheet, studio.gallery):
        with pytest.raises(InvalidRequestError):
            write(tmp_path / f"{path}.png")


@pytest.mark.parametrize("other", ["cafe\u0301", "CAFÉ", "Cafe\u0301"])
def test_name_in_another_form_is_the_same_name(
    make_studio: Any, tmp_path: Path, other: str
) -> None:
    """
    A session is found by its name in another case or Unicode composition, and goes on with it; its
    own name stays as it was written.
    """
    studio = make_studio(tmp_path)
    session = studio.session("x", name="café")
    assert studio.open(other).id == session.id
    assert studio.session("x", name=other, resume=True).id == session.id
    assert [record.name for record in studio.sessions.list()] == ["café"]
