"""
Sessions are exported and imported unchanged; archives that cannot be trusted are refused.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagesession import Studio
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import ImageRecord, Turn
from imagesession._store import export_format
from imagesession._store.codec import dump_session, dump_turn
from imagesession._store.disk.layout import Layout
from imagesession._store.disk.library import open_library
from imagesession._store.files import archive_files, atomic_write
from imagesession._store.ids import UlidFactory, timestamp_of
from imagesession._store.library import LibraryStore
from imagesession.errors import (
    CorruptRecordError,
    IncompleteExportWarning,
    InvalidImageError,
    InvalidRequestError,
    RefusalError,
    StorageError,
    StorageIOError,
    UnsupportedFormatVersionError,
)
from imagesession.testing import FakeOpenAI, tiny_image
from tests import strategies
from tests.conftest import MakeStudio

OLD_ID = "01JZZZZZZZ0123456789ABCDEF"


def fill(studio: Any, provider: FakeOpenAI) -> Any:
    """
    Make a session with two branches, a refused turn, an undone one, an edit, a GIF and an SVG.
    """
    one_shot = studio.generate("a teapot logo", quality="low")
    session = studio.promote(one_shot, "A logo for a tea shop", name="Tea logo", quality="low")
    first = session.generate("warmer")
    provider.refuse_next("I would rather not.")
    with pytest.raises(RefusalError):
        session.generate("a famous mouse")
    session.branch("icons", at=first).generate("a star icon", output_format="svg")
    session.generate("turning", output_format="gif", frames=2)
    session.edit("add a sun")
    session.undo()
    return session


@pytest.fixture
def session(studio: Any, provider: FakeOpenAI) -> Any:
    """
    A session with something of every kind.
    """
    return fill(studio, provider)


@pytest.fixture
def other(make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI) -> Any:
    """
    A studio on another, empty library.
    """
    return make_studio(tmp_path / "other", provider=provider)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    Such a session of another library in a folder, made once.
    """
    folder, provider = tmp_path_factory.mktemp("archive"), FakeOpenAI()
    with Studio.offline(folder / "library", provider=provider, retry_timeout=0) as studio:
        return Path(fill(studio, provider).export(folder / "exported"))


@pytest.fixture
def exported(archive: Path, tmp_path: Path) -> Path:
    """
    A copy of that folder, which a test may change.
    """
    return Path(shutil.copytree(archive, tmp_path / "exported"))


@pytest.fixture
def own_export(session: Any, tmp_path: Path) -> Path:
    """
    The session of this test in a folder.
    """
    return Path(session.export(tmp_path / "exported"))


def files(folder: Path) -> dict[str, bytes]:
    """
    Return all files within a folder, but for the index and the intents.
    """
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in {".sqlite", ".lock", ".jsonl"}
    }


def exported_id(folder: Path) -> str:
    """
    Return the id of an exported session.
    """
    return str(json.loads((folder / "session.json").read_bytes())["id"])


def reseal(folder: Path) -> None:
    """
    Update the manifest of a changed export, as a forger would.
    """
    file = folder / "MANIFEST.json"
    manifest = json.loads(file.read_bytes())
    manifest["files"] = {
        name: export_format.digest((folder / name).read_bytes())
        for name in files(folder)
        if name != "MANIFEST.json"
    }
    file.write_text(json.dumps(manifest), "utf-8")


def change(file: Path, edit: Callable[[Any], None]) -> None:
    """
    Change a JSON file in place.
    """
    facts = json.loads(file.read_bytes())
    edit(facts)
    file.write_text(json.dumps(facts), "utf-8")


def change_manifest(folder: Path, **members: Any) -> None:
    """
    Change members of an export's manifest.
    """
    change(folder / "MANIFEST.json", lambda facts: facts.update(members))


def first_image(folder: Path, suffix: str = ".png") -> Path:
    """
    Return the first image of an export.
    """
    return min((folder / "images").glob(f"*{suffix}"))


def first_turn(folder: Path) -> Path:
    """
    Return the record of an export's first turn, which has an image.
    """
    return min((folder / "turns").iterdir())


def refused(studio: Any, path: Path, error: type[Exception], words: str) -> None:
    """
    Check that an import is refused and leaves the library unchanged.
    """
    before = files(studio.library)
    with pytest.raises(error, match=words):
        studio.sessions.import_archive(path)
    assert files(studio.library) == before
    assert studio.images.list() == ()
    assert studio.sessions.list() == ()


def portable_turns(session: Any) -> list[Turn]:
    """
    Return a session's turns without the paths of their images.
    """
    return [
        attrs.evolve(turn, images=tuple(attrs.evolve(image, file="") for image in turn.images))
        for turn in session.turns()
    ]


# --- export -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out", "deep/er/out", "out.zip", "out.ZIP"])
def test_export_contains_the_whole_session(session: Any, tmp_path: Path, name: str) -> None:
    """
    An export holds all records, and all images unchanged, with their sidecars.
    """
    path = session.export(str(tmp_path / name))
    assert path == tmp_path / name
    assert zipfile.is_zipfile(path) == name.lower().endswith("zip")
    if path.is_file():
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path / "unpacked")
        path = tmp_path / "unpacked"
    found = files(path)
    pictures = [text for text in found if text.startswith("images/") and not text.endswith("json")]
    assert [found[picture] for picture in pictures] == [image.bytes for image in session.images()]
    assert [picture.rpartition(".")[2] for picture in pictures] == [
        {"svg": "svg", "gif": "gif"}.get(image.format, "png") for image in session.images()
    ]
    assert pictures[1] == "images/02_warmer.png"
    assert json.loads(found["images/02_warmer.json"])["original_prompt"] == "warmer"
    assert json.loads(found["images/02_warmer.json"])["image_path"] == "images/02_warmer.png"
    assert len([text for text in found if text.startswith("turns/")]) == len(session.turns())
    manifest = json.loads(found.pop("MANIFEST.json"))
    assert manifest["files"] == {text: export_format.digest(data) for text, data in found.items()}


def test_existing_path_is_not_overwritten(session: Any, tmp_path: Path) -> None:
    """
    An export never replaces anything: a file, a folder, or a broken link.
    """
    (tmp_path / "file.zip").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file.zip", "folder", "link"):
        with pytest.raises(StorageIOError, match="nothing is overwritten"):
            session.export(tmp_path / name)
    assert (tmp_path / "file.zip").read_text() == "mine"
    assert list((tmp_path / "folder").iterdir()) == []
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_failed_export_leaves_nothing(
    session: Any, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A failed export leaves nothing, neither under its name nor beside it.
    """

    def full(*_: object) -> bytes:
        raise OSError(28, "No space left on device")

    there = sorted(tmp_path.iterdir())
    monkeypatch.setattr(export_format.Manifest, "dump", full)
    with pytest.raises(StorageIOError, match="make room"):
        session.export(tmp_path / name)
    assert sorted(tmp_path.iterdir()) == there


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_path_created_during_export_is_not_overwritten(
    session: Any, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A file that another program wrote there during the export stays, and the export is refused.
    """
    real = export_format.Manifest.dump

    def late(manifest: export_format.Manifest) -> bytes:
        (tmp_path / name).write_text("mine")
        return real(manifest)

    monkeypatch.setattr(export_format.Manifest, "dump", late)
    with pytest.raises(StorageIOError, match="nothing is overwritten"):
        session.export(tmp_path / name)
    assert (tmp_path / name).read_text() == "mine"


def test_zip_created_at_the_last_moment_is_not_overwritten(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A file that appears between the last check and the naming is not overwritten.
    """
    real = atomic_write.link_into_place

    def later(unfinished: Path, path: Path) -> None:
        path.write_text("mine")
        real(unfinished, path)

    monkeypatch.setattr("imagesession._store.files.archive_files.link_into_place", later)
    with pytest.raises(StorageIOError, match="nothing is overwritten"):
        session.export(tmp_path / "out.zip")
    assert (tmp_path / "out.zip").read_text() == "mine"


@pytest.mark.parametrize("name", ["deep/out", "deep/out.zip"])
def test_export_is_private(session: Any, tmp_path: Path, name: str) -> None:
    """
    Whatever the umask, an export is for the user alone.
    """
    before = os.umask(0)
    try:
        path = session.export(tmp_path / name)
    finally:
        os.umask(before)
    for item in (path.parent, path, *path.rglob("*")):
        assert item.stat().st_mode & 0o077 == 0, item
    if path.is_file():
        with zipfile.ZipFile(path) as archive:
            modes = {member.external_attr >> 16 for member in archive.infolist()}
        assert modes == {stat.S_IFREG | 0o600}


@pytest.mark.parametrize("year,expected", [(1970, 1980), (2026, 2026), (2500, 2107)])
def test_times_are_clamped_to_the_range_of_zip(tmp_path: Path, year: int, expected: int) -> None:
    """
    A session with times from a wrong clock can be exported.
    """
    with archive_files.open_archive_writer(
        tmp_path / "x.zip", dt.datetime(year, 1, 1, tzinfo=dt.UTC), 0o600
    ) as add:
        add("x", b"x")
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert archive.infolist()[0].date_time[0] == expected


@pytest.mark.parametrize("path", ["", 7, None, b"\0", "a\0b", "~nobody-of-that-name/x"])
def test_invalid_path_is_refused(studio: Any, path: Any) -> None:
    """
    An invalid path is refused before anything is written or read.
    """
    session = studio.session("x")
    with pytest.raises(InvalidRequestError, match="path"):
        session.export(path)
    with pytest.raises(InvalidRequestError, match="path"):
        studio.sessions.import_archive(path)


def test_empty_session_is_exported_and_imported(studio: Any, other: Any, tmp_path: Path) -> None:
    """
    A session without turns is exported and imported like any other.
    """
    session = studio.session("Just begun", quality="high")
    again = other.sessions.import_archive(session.export(tmp_path / "out.zip"))
    assert (again.id, again.description, again.turns()) == (session.id, "Just begun", ())
    assert again.status().options == {"quality": "high"}


def test_session_too_large_for_a_zip_is_refused(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A session that is too large for a zip is refused, and the error names a folder to export to.
    """
    monkeypatch.setattr("imagesession._store.export.MAX_TOTAL", 1000)
    with pytest.raises(
        InvalidRequestError, match=re.escape(f"session.export('{tmp_path / 'out'}')")
    ):
        session.export(tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()
    assert session.export(tmp_path / "out").is_dir()


# --- import -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_imported_session_equals_the_exported_one(
    session: Any, other: Any, tmp_path: Path, name: str
) -> None:
    """
    Ids, turns, branches, heads and lineages are the same in another library, and so are images.
    """
    again = other.sessions.import_archive(session.export(tmp_path / name))
    assert again.id == session.id
    assert portable_turns(again) == portable_turns(session)
    assert again.tree().moves == session.tree().moves
    assert str(again.tree()) == str(session.tree())
    assert again.head() == session.head()
    assert other.open("Tea logo", branch="icons").head() == session.images()[2]
    assert again.lineage(again.images()[-1]) == session.lineage(session.images()[-1])
    for image in session.images():
        copy = other.images.get(image.id)
        assert copy.bytes == image.bytes
        assert copy.path.parent.name == image.path.parent.name or image.turn.kind == "promotion"
        assert copy.path.is_relative_to(other.library)
    assert again.redo() is not None
    assert [item.id for item in other.images.list(session=again)] == [
        item.id for item in reversed(session.images())
    ]


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_export_of_an_import_is_identical(
    session: Any, other: Any, tmp_path: Path, name: str
) -> None:
    """
    The export of an imported session is identical to the first one, byte for byte.
    """
    first = session.export(tmp_path / name)
    second = other.sessions.import_archive(first).export(tmp_path / f"again-{name}")
    if first.is_file():
        assert first.read_bytes() == second.read_bytes()
    else:
        assert files(first) == files(second)


def keep(
    library: LibraryStore, turns: list[Turn], record: SessionRecord, data: bytes
) -> SessionRecord:
    """
    Write a session with any turns to a library, under valid ids.
    """
    ids = UlidFactory()
    fresh = attrs.evolve(record, id=ids.new(), moves={}, created=library.new_id().at, closed=None)
    (Layout(Path(library.address)).turns / fresh.id).mkdir()
    for turn in turns:
        images: list[ImageRecord] = []
        for image in turn.images:
            name = f"general/{ids.new()}.png"
            (Layout(Path(library.address)).root / name).write_bytes(data)
            images.append(
                attrs.evolve(
                    image, id=ids.new(), file=name, format="png", sha256=export_format.digest(data)
                )
            )
        kept = attrs.evolve(
            turn,
            id=ids.new(),
            session=fresh.id,
            images=tuple(images),
            started=fresh.created,
            finished=None,
        )
        Layout(Path(library.address)).turn_file(fresh.id, kept.id).write_bytes(dump_turn(kept))
    Layout(Path(library.address)).session_file(fresh.id).write_bytes(dump_session(fresh))
    return fresh


@settings(max_examples=25, deadline=None)
@given(st.lists(strategies.turns, max_size=3), strategies.sessions)
def test_any_session_round_trips(turns: list[Turn], record: SessionRecord) -> None:
    """
    For any session, the export of its import is identical to the first export.
    """
    with tempfile.TemporaryDirectory() as folder:
        here, there = open_library(Path(folder) / "here"), open_library(Path(folder) / "there")
        kept = keep(here, turns, record, tiny_image())
        first, _ = here.exports.export_session(kept.id, f"{folder}/first")
        assert there.exports.import_session(first) == attrs.evolve(kept, owner=None)
        second, _ = there.exports.export_session(kept.id, f"{folder}/second")
        assert files(Path(first)) == files(Path(second))


@pytest.mark.parametrize("forgotten", [False, True])
def test_imported_session_continues(
    session: Any, other: Any, own_export: Path, provider: FakeOpenAI, *, forgotten: bool
) -> None:
    """
    An imported session continues by the provider's id if the provider still knows it, and sends its
    history again if not.
    """
    again = other.sessions.import_archive(own_export)
    if forgotten:
        provider.reset_memory()
    image = again.generate("more geometric")
    assert image.turn.context == ("rebuilt" if forgotten else "continued")
    assert image.turn.parent == session.head().turn.id
    assert again.head() == image
    assert len(again.turns()) == len(session.turns()) + 1


def test_closed_session_is_imported_closed(session: Any, other: Any, tmp_path: Path) -> None:
    """
    A session that was closed is imported closed, and reopened like any other.
    """
    session.close()
    again = other.sessions.import_archive(session.export(tmp_path / "out"))
    assert again.status().state == "closed"
    assert other.open(again.id, reopen=True).generate("bolder").turn.session == session.id


def test_import_ignores_the_limit_of_active_sessions(
    make_studio: MakeStudio, tmp_path: Path, exported: Path
) -> None:
    """
    `max_active_sessions` does not limit imports.
    """
    studio = make_studio(tmp_path / "full", max_active_sessions=1)
    studio.session("the only one")
    assert studio.sessions.import_archive(exported).name == "Tea logo"


def test_imported_session_is_listed_counted_and_described(
    session: Any, other: Any, own_export: Path
) -> None:
    """
    An imported session is listed and its costs are counted, and its images have sidecars.
    """
    again = other.sessions.import_archive(own_export)
    assert other.sessions.list() == (again,) or [item.id for item in other.sessions.list()] == [
        again.id
    ]
    assert again.cost() == session.cost()
    total = other.costs(session=again.id).total
    assert total.dollars == pytest.approx(session.cost().total)
    sidecar = json.loads(again.images()[1].path.with_suffix(".json").read_bytes())
    assert sidecar["original_prompt"] == "warmer"
    assert sidecar["session_name"] == "Tea logo"
    for path in (other.library, *other.library.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_missing_and_damaged_images_stay_marked(session: Any, other: Any, tmp_path: Path) -> None:
    """
    A missing image does not prevent the export, which warns of it at the caller's line; a damaged
    one stays marked as damaged, and no other image ever gets the missing one's name.
    """
    missing, damaged = session.images()[1], session.images()[-1]
    missing.path.unlink()
    damaged.path.write_bytes(b"damaged")
    with pytest.warns(IncompleteExportWarning, match=r"without images/02_warmer\.png") as caught:
        path = session.export(tmp_path / "out")
    assert caught[0].filename.startswith(str(Path(__file__).parents[1]))
    assert json.loads((path / "MANIFEST.json").read_bytes())["missing"] == ["images/02_warmer.png"]
    again = other.sessions.import_archive(path)
    assert not again.images()[1].path.exists()
    assert again.images()[1].path.is_relative_to(other.library / "missing")
    assert again.images()[-1].path.read_bytes() == b"damaged"
    with pytest.raises(InvalidImageError, match="is not what was made"):
        _ = again.images()[-1].bytes
    assert again.images()[-1].sha256 == damaged.sha256
    with pytest.warns(IncompleteExportWarning):
        assert files(again.export(tmp_path / "again")) == files(path)


def test_existing_session_is_not_imported(studio: Any, session: Any, own_export: Path) -> None:
    """
    A session that this library has is not imported again; the error says how to open it.
    """
    before = files(studio.library)
    with pytest.raises(InvalidRequestError, match=re.escape(f"studio.open({session.id!r})")):
        studio.sessions.import_archive(own_export)
    assert files(studio.library) == before


@pytest.mark.parametrize("table", ["turn", "image"])
def test_ids_in_use_are_refused(other: Any, exported: Path, table: str) -> None:
    """
    A session with an id that is in use in the library is refused, and changes nothing.
    """
    mine = other.generate("a teapot")

    def forge(facts: Any) -> None:
        if table == "turn":
            facts["id"] = mine.turn.id
        else:
            facts["images"][0]["id"] = mine.id

    file = first_turn(exported)
    change(file, forge)
    if table == "turn":
        file.rename(file.with_name(f"{mine.turn.id}.json"))
    reseal(exported)
    before = files(other.library)
    with pytest.raises(InvalidRequestError, match="is in use in this library"):
        other.sessions.import_archive(exported)
    assert files(other.library) == before
    assert [item.id for item in other.images.list()] == [mine.id]


@pytest.mark.parametrize("step", [1, 5, 6, 11, 12])
def test_failed_import_leaves_nothing(
    other: Any, exported: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    If the disk fails at one of five images, six turns or the session, nothing of the import stays;
    and the same import works once the disk does.
    """
    real = os.link
    named: list[Path] = []

    def link(*args: Any, **kwargs: Any) -> None:
        if len(named) == step - 1:
            raise OSError(28, "No space left on device")
        real(*args, **kwargs)
        named.append(Path(args[1]))

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", link)
        refused(other, exported, StorageIOError, "make room")
    # Images first, then the turns' records; the session's own, which makes it visible, last.
    assert len(named) == step - 1
    assert ".json" not in {path.suffix for path in named[:5]}
    assert {path.parent.name for path in named[5:]} <= {exported_id(exported)}
    assert len(other.sessions.import_archive(exported).images()) == 5


def test_interrupted_import_is_completed(other: Any, own_export: Path, session: Any) -> None:
    """
    The files of an import that was killed before its last step are used, not written twice.
    """
    again = other.sessions.import_archive(own_export)
    whole = files(other.library)
    last = again.images()[-1].path
    (other.library / ".imagesession" / "sessions" / f"{again.id}.json").unlink()
    last.unlink()
    last.with_suffix(".json").unlink()
    assert other.sessions.list() == ()
    again = other.sessions.import_archive(own_export)
    assert files(other.library).keys() == whole.keys()
    assert [image.bytes for image in again.images()] == [image.bytes for image in session.images()]
    assert [item.id for item in other.images.list()] == [
        image.id for image in reversed(session.images())
    ]


def test_concurrent_imports_import_once(
    exported: Path, tmp_path: Path, in_threads: Callable[[list[Callable[[], Any]]], None]
) -> None:
    """
    Of several programs that import the same session concurrently, one succeeds; the others are
    refused, and delete nothing of it.
    """
    imported: list[SessionRecord] = []
    errors: list[InvalidRequestError] = []

    def attempt() -> None:
        try:
            imported.append(open_library(tmp_path / "shared").exports.import_session(exported))
        except InvalidRequestError as error:
            errors.append(error)

    in_threads([attempt] * 4)
    assert (len(imported), len(errors)) == (1, 3)
    library = open_library(tmp_path / "shared")
    images = [
        image for turn in library.sessions.tree(imported[0]).turns.values() for image in turn.images
    ]
    assert [export_format.digest(library.images.read(image)) for image in images] == [
        image.sha256 for image in images
    ]
    assert len(list((tmp_path / "shared").glob("*/session_*.png"))) == len(images) - 2


def test_different_leftover_turn_is_not_replaced(
    other: Any, own_export: Path, session: Any
) -> None:
    """
    A different turn with the same id is not overwritten.
    """
    folder = other.library / ".imagesession" / "turns" / session.id
    shutil.copytree(own_export / "turns", folder)
    file = min(folder.iterdir())
    change(file, lambda facts: facts.update(prompt="something else"))
    before = file.read_bytes()
    refused_before = files(other.library)
    with pytest.raises(InvalidRequestError, match="is in use"):
        other.sessions.import_archive(own_export)
    assert file.read_bytes() == before
    assert files(other.library) == refused_before


def test_import_succeeds_when_the_index_fails(
    other: Any, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    If the index fails once the session is imported, the session stays, and is indexed later.
    """

    def broken(*_: object) -> None:
        raise StorageIOError("broken")

    with monkeypatch.context() as patched:
        patched.setattr("imagesession._store.disk.database.Database.add", broken)
        again = other.sessions.import_archive(exported)
    assert len(other.images.list()) == len(again.images()) == 5


# --- untrusted archives -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_disk_error_is_not_reported_as_damage(
    session: Any, other: Any, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A read error of the disk is reported as that, not as damage.
    """
    path = session.export(tmp_path / name)

    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("imagesession._store.files.archive_files.open_within", broken)
    monkeypatch.setattr(zipfile, "ZipFile", broken)
    refused(other, path, StorageIOError, "Input/output error")


@pytest.mark.parametrize("kind", ["nothing", "empty", "text", "zip", "list"])
def test_path_without_an_export_is_refused(other: Any, tmp_path: Path, kind: str) -> None:
    """
    A path without an export is refused, and the error says what it is.
    """
    path = tmp_path / "path"
    if kind == "empty":
        path.mkdir()
    elif kind == "text":
        path.write_text("hello")
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x", "y")
    elif kind == "list":
        path.mkdir()
        (path / "MANIFEST.json").write_text("[]")
    messages = {
        "nothing": "no file and no folder",
        "empty": "no MANIFEST.json",
        "text": "neither a folder nor a zip",
        "zip": "no MANIFEST.json",
        "list": "not the manifest of an exported session",
    }
    refused(other, path, InvalidRequestError, messages[kind])


def test_newer_export_is_refused(other: Any, exported: Path) -> None:
    """
    An export of a newer version is refused, and so is a newer record in an export.
    """
    change_manifest(exported, format=export_format.FORMAT + 1)
    refused(other, exported, UnsupportedFormatVersionError, "pip install -U")
    change_manifest(exported, format=export_format.FORMAT)
    change(first_turn(exported), lambda facts: facts.update(format=3))
    reseal(exported)
    refused(other, exported, UnsupportedFormatVersionError, "pip install -U")


@pytest.mark.parametrize("name", ["session.json", "turn", "png", "svg", "beside"])
def test_changed_file_is_named(other: Any, exported: Path, name: str) -> None:
    """
    A file that was changed since the export is named, and nothing is imported.
    """
    file = {
        "turn": first_turn(exported),
        "png": first_image(exported),
        "svg": first_image(exported, ".svg"),
        "beside": first_image(exported, ".json"),
    }.get(name, exported / name)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    refused(other, exported, CorruptRecordError, f"{re.escape(file.name)} was changed")
    file.unlink()
    refused(other, exported, CorruptRecordError, f"{re.escape(file.name)} is missing")


@pytest.mark.parametrize("swap", [b"not a picture", tiny_image("jpeg"), tiny_image("png")])
def test_swapped_image_is_refused(other: Any, exported: Path, swap: bytes) -> None:
    """
    An image in the place of another is refused because of the turn's record, even if the manifest
    agrees.
    """
    first_image(exported).write_bytes(swap)
    reseal(exported)
    refused(other, exported, CorruptRecordError, "not the image of its turn's record")


def test_bytes_of_another_format_are_refused(other: Any, exported: Path) -> None:
    """
    Bytes that are not an image of the recorded format are refused, even if manifest and record
    agree on them.
    """
    data = b"#!/bin/sh\n"
    first_image(exported).write_bytes(data)

    def forge(facts: Any) -> None:
        facts["images"][0]["sha256"] = export_format.digest(data)

    change(first_turn(exported), forge)
    reseal(exported)
    refused(other, exported, CorruptRecordError, "not the image")


@pytest.mark.parametrize(
    "name",
    ["../evil.png", "/evil.png", "images/../../evil.png", "C:/evil.png", "images\\evil.png", ""],
)
def test_paths_out_of_the_export_are_refused(other: Any, exported: Path, name: str) -> None:
    """
    A record or a manifest that names a file outside of the export is refused.
    """

    def forge(facts: Any) -> None:
        facts["images"][0]["file"] = name

    change(first_turn(exported), forge)
    reseal(exported)
    refused(other, exported, CorruptRecordError, "not within")
    change_manifest(exported, files={name: "x"})
    refused(other, exported, CorruptRecordError, "leads out of the export")


def test_image_path_outside_of_images_is_refused(other: Any, exported: Path) -> None:
    """
    A record cannot name another file of the export as its image.
    """

    def forge(facts: Any) -> None:
        facts["images"][0]["file"] = "session.json"

    change(first_turn(exported), forge)
    reseal(exported)
    refused(other, exported, CorruptRecordError, "not within images/")


def forge_id(facts: Any) -> None:
    """
    Give a turn a path as its id.
    """
    facts["id"] = "../../../evil"


def forge_session(facts: Any) -> None:
    """
    Put a turn into another session.
    """
    facts["session"] = UlidFactory().new()


def forge_future(facts: Any) -> None:
    """
    Give an image the greatest possible id.
    """
    facts["images"][0]["id"] = "7" + "Z" * 25


def forge_image_id(facts: Any) -> None:
    """
    Give an image a path as its id.
    """
    facts["images"][0]["id"] = "../../evil"


def forge_time(facts: Any) -> None:
    """
    Give a time that cannot be converted to UTC.
    """
    facts["started"] = "9999-12-31T23:59:59-12:00"


def forge_amount(facts: Any) -> None:
    """
    Give an amount that is not a number, which would break the index.
    """
    facts["reserved"] = float("nan")


def forge_format(facts: Any) -> None:
    """
    Give an image a format whose suffix is that of a program.
    """
    facts["images"][0]["format"] = "exe"


@pytest.mark.parametrize(
    "forge",
    [
        forge_id,
        forge_session,
        forge_future,
        forge_image_id,
        forge_time,
        forge_amount,
        forge_format,
    ],
)
def test_forged_turns_are_refused(other: Any, exported: Path, forge: Callable[[Any], None]) -> None:
    """
    A turn that would harm the library that imports it is refused, and named.
    """
    file = first_turn(exported)
    change(file, forge)
    reseal(exported)
    refused(other, exported, CorruptRecordError, "turns/")


@pytest.mark.parametrize("member", ["id", "moves", "created"])
def test_forged_sessions_are_refused(other: Any, exported: Path, member: str) -> None:
    """
    A session whose id is a path, or whose moves or times are far in the future, is refused.
    """
    forged: dict[str, Any] = {
        "id": "../../evil",
        "moves": {"main": {"id": "zzzz", "head": None, "redo": []}},
        "created": "0001-01-01T00:00:00+14:00",
    }
    change(exported / "session.json", lambda facts: facts.update({member: forged[member]}))
    reseal(exported)
    refused(other, exported, CorruptRecordError, r"session\.json")


@pytest.mark.parametrize("what", ["turn", "image", "file"])
def test_duplicates_are_refused(other: Any, exported: Path, what: str) -> None:
    """
    Two turns with one id, or two images with one id or file, are refused.
    """
    first, second = sorted((exported / "turns").iterdir())[:2]
    if what == "turn":
        (exported / "turns" / "copy.json").write_bytes(first.read_bytes())
    else:
        name = {"image": "id", "file": "file"}[what]
        known = json.loads(first.read_bytes())["images"][0][name]
        change(second, lambda facts: facts["images"][0].update({name: known}))
    reseal(exported)
    refused(other, exported, CorruptRecordError, f"the {what} .* twice")


@pytest.mark.parametrize("part", ["file", "folder"])
def test_links_in_an_export_are_refused(
    other: Any, exported: Path, tmp_path: Path, part: str
) -> None:
    """
    Links in an export are refused, even if the content of their targets is right.
    """
    target = first_image(exported) if part == "file" else exported / "images"
    moved = tmp_path / "elsewhere"
    target.rename(moved)
    target.symlink_to(moved)
    refused(other, exported, CorruptRecordError, "no links")


def test_pipe_is_refused(other: Any, exported: Path) -> None:
    """
    A pipe is refused, without waiting for a writer.
    """
    file = first_image(exported)
    file.unlink()
    os.mkfifo(file)
    refused(other, exported, CorruptRecordError, "not a regular file")


def test_too_large_record_is_refused(other: Any, exported: Path) -> None:
    """
    A record that would fill the memory is refused because of its size.
    """
    with (exported / "session.json").open("ab") as file:
        file.truncate(20_000_000)
    reseal(exported)
    refused(other, exported, CorruptRecordError, "larger than 16 MB")


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"export": "imagesession session"}', b"\xff", b"[" * 100_000]
)
def test_damaged_manifest_is_refused(other: Any, exported: Path, damage: bytes) -> None:
    """
    A manifest that cannot be read is refused, and named.
    """
    (exported / "MANIFEST.json").write_bytes(damage)
    with pytest.raises((InvalidRequestError, StorageError), match=r"MANIFEST\.json"):
        other.sessions.import_archive(exported)


def test_unlisted_file_is_ignored_or_refused(other: Any, exported: Path) -> None:
    """
    A file that the manifest does not list is ignored; a file that is needed must be listed.
    """
    (exported / ".DS_Store").write_bytes(b"x")
    known = json.loads((exported / "MANIFEST.json").read_bytes())["files"]
    for name in ("session.json", f"images/{first_image(exported).name}"):
        change_manifest(
            exported, files={item: sum_ for item, sum_ in known.items() if item != name}
        )
        refused(other, exported, CorruptRecordError, f"does not list {re.escape(name)}")
    change_manifest(exported, files=known)
    assert other.sessions.import_archive(exported).name == "Tea logo"


# --- zips that are not to be trusted ----------------------------------------------------------


def zipped(folder: Path, path: Path, edit: Callable[[zipfile.ZipFile], None]) -> Path:
    """
    Pack an export into a zip, and add something to it.
    """
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files(folder).items():
            archive.writestr(name, data)
        edit(archive)
    return path


@pytest.mark.parametrize(
    "name", ["../evil", "/evil", "a/../../evil", "C:\\evil", "a\\..\\b", "a//b"]
)
def test_zip_names_that_lead_out_are_refused(
    other: Any, exported: Path, tmp_path: Path, name: str
) -> None:
    """
    A zip with a name that leads out of it is refused, whether that file is needed or not.
    """
    path = zipped(exported, tmp_path / "x.zip", lambda archive: archive.writestr(name, "x"))
    refused(other, path, CorruptRecordError, "leads out of the zip")
    assert not (tmp_path / "evil").exists()


def test_link_in_a_zip_is_refused(other: Any, exported: Path, tmp_path: Path) -> None:
    """
    A zip that holds a symbolic link is refused.
    """

    def edit(archive: zipfile.ZipFile) -> None:
        member = zipfile.ZipInfo("link")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, "/etc/passwd")

    refused(other, zipped(exported, tmp_path / "x.zip", edit), CorruptRecordError, "is a link")


def test_duplicate_name_in_a_zip_is_refused(other: Any, exported: Path, tmp_path: Path) -> None:
    """
    A zip that holds a name twice is refused: programs would read different files.
    """

    def edit(archive: zipfile.ZipFile) -> None:
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("session.json", "{}")

    refused(other, zipped(exported, tmp_path / "x.zip", edit), CorruptRecordError, "is there twice")


def test_zip_bomb_is_refused_by_size(other: Any, exported: Path, tmp_path: Path) -> None:
    """
    A zip that unpacks to more than 4 GB is refused before any of it is unpacked.
    """

    def edit(archive: zipfile.ZipFile) -> None:
        archive.writestr("bomb", b"")
        archive.infolist()[-1].file_size = archive_files.MAX_TOTAL

    refused(
        other, zipped(exported, tmp_path / "x.zip", edit), CorruptRecordError, "at most 100,000"
    )


def test_zip_bomb_is_refused_by_number_of_files(
    other: Any, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A zip with too many files is refused.
    """
    monkeypatch.setattr(archive_files, "MAX_MEMBERS", 20)

    def edit(archive: zipfile.ZipFile) -> None:
        for number in range(20):
            archive.writestr(f"{number}", b"")

    refused(other, zipped(exported, tmp_path / "x.zip", edit), CorruptRecordError, "at most 20")


def test_zip_with_a_false_size_is_refused(other: Any, exported: Path, tmp_path: Path) -> None:
    """
    No more is unpacked than a zip said, and what is cut short by that is refused.
    """

    def edit(archive: zipfile.ZipFile) -> None:
        for member in archive.infolist():
            if member.filename == "session.json":
                member.file_size = 10

    refused(other, zipped(exported, tmp_path / "x.zip", edit), CorruptRecordError, "session.json")


def test_zip_with_a_too_large_file_is_refused(other: Any, exported: Path, tmp_path: Path) -> None:
    """
    A small zip does not become a large record.
    """
    with (exported / "session.json").open("ab") as file:
        file.truncate(20_000_000)
    reseal(exported)
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files(exported).items():
            archive.writestr(name, data)
    assert path.stat().st_size < 1_000_000
    refused(other, path, CorruptRecordError, "larger than 16 MB")


def test_zip_without_a_listed_file_is_refused(other: Any, exported: Path, tmp_path: Path) -> None:
    """
    A file that the manifest lists and the zip lacks is named.
    """
    first_image(exported, ".svg").unlink()
    path = zipped(exported, tmp_path / "x.zip", lambda _: None)
    refused(other, path, CorruptRecordError, r"icon\.svg is missing")


def test_truncated_zip_is_refused(other: Any, exported: Path, tmp_path: Path) -> None:
    """
    A zip that lacks a part is refused.
    """
    path = zipped(exported, tmp_path / "x.zip", lambda _: None)
    path.write_bytes(path.read_bytes()[5000:])
    refused(other, path, CorruptRecordError, "damaged")
    path.write_bytes(path.read_bytes()[-100:])
    refused(other, path, CorruptRecordError, "is a damaged zip")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(
    other: Any, exported: Path, tmp_path: Path, method: int
) -> None:
    """
    Files packed in ways that no export uses are refused.
    """

    def edit(archive: zipfile.ZipFile) -> None:
        archive.writestr("x", b"x" * 1000, compress_type=method)

    refused(other, zipped(exported, tmp_path / "x.zip", edit), CorruptRecordError, "not read")


def test_encrypted_zip_is_refused(other: Any, exported: Path, tmp_path: Path) -> None:
    """
    An encrypted zip is refused, and the error says so.
    """

    def edit(archive: zipfile.ZipFile) -> None:
        archive.infolist()[0].flag_bits |= 1

    refused(other, zipped(exported, tmp_path / "x.zip", edit), CorruptRecordError, "encrypted")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_zip_is_refused_or_imported_unchanged(data: st.DataObject) -> None:
    """
    A zip with a few changed bytes or without its end is imported unchanged or refused.
    """
    with tempfile.TemporaryDirectory() as folder:
        here, there = open_library(Path(folder) / "here"), open_library(Path(folder) / "there")
        record = SessionRecord(id=OLD_ID, description="x", created=timestamp_of(OLD_ID))
        here.sessions.save(record)
        path = Path(here.exports.export_session(record.id, f"{folder}/out.zip")[0])
        whole = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 3))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
        try:
            found = there.exports.import_session(path)
        except (InvalidRequestError, StorageError):
            assert there.sessions.list() == ()
        else:
            assert found == here.sessions.find(record.id)
