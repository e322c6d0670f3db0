"""
The doctor finds what is wrong, says what to do about it, and changes nothing.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import pytest

from imagesession import HealthCheck, HealthReport
from imagesession._domain.model_catalog import load_catalogue
from imagesession._domain.options import GenerateOptions
from imagesession._domain.turn import Turn
from imagesession._engine import health
from imagesession._engine.effects import GetProviderName, NewId, StoreCall
from imagesession._engine.request import StudioConfig
from imagesession._engine.store import IdAndTime, ImageQuery
from imagesession._store.health import run_checks
from imagesession._store.index import Index
from imagesession._store.journal import Journal
from imagesession._store.repository import LibraryStore
from imagesession.testing import FakeOpenAI, tiny_image
from tests.conftest import MakeStudio

OLD_ID = "01JZZZZZZZ0123456789ABCDEF"
CATALOGUE = load_catalogue()


class Usage(NamedTuple):
    """
    What the system says of a disk, in bytes.
    """

    total: int
    used: int
    free: int


@pytest.fixture
def inner(studio: Any) -> Path:
    """
    The folder of the library's records.
    """
    return Path(studio.library / ".imagesession")


@pytest.fixture
def picture(studio: Any) -> Any:
    """
    A picture in a session, beside a one-shot.
    """
    studio.generate("a lamp", quality="low")
    return studio.session("x").generate("a teapot", quality="low")


def snapshot(folder: Path) -> dict[Path, tuple[bytes, int]]:
    """
    Return the bytes and modes of all files but the index and what it takes in.
    """
    return {
        path: (path.read_bytes(), path.stat().st_mode)
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in {".sqlite", ".lock", ".jsonl"}
    }


def states(found: HealthReport) -> dict[str, str]:
    """
    Return what is not well, by name.
    """
    return {check.name: check.state for check in found.checks if check.state != "ok"}


def finds(studio: Any, name: str, state: str, **how: bool) -> HealthCheck:
    """
    Check that the doctor finds this and nothing else, and return it.
    """
    found = studio.doctor(**how)
    assert states(found) == ({name: state} if state != "ok" else {})
    assert found.ok == (state != "problem")
    check: HealthCheck = found.check(name)
    assert (check.remedy != "") == (state != "ok")
    assert str(check) in str(found)
    return check


def test_all_is_well(studio: Any, picture: Any, provider: FakeOpenAI) -> None:
    """
    On a sound library there is nothing to find, nothing is changed, and nothing is paid for.
    """
    asked = len([call for call in provider.requests if call.method == "POST"])
    before = snapshot(studio.library)
    found = studio.doctor(verify=True, online=True)
    assert states(found) == {}
    assert found.ok
    assert str(found).endswith("\nAll is well.")
    assert "ok       pictures: all 2 are as they came." in str(found)
    assert found.check("records").message == "sessions: 1, turns: 2."
    assert len({check.name for check in found.checks}) == len(found.checks)
    assert snapshot(studio.library) == before
    assert len([call for call in provider.requests if call.method == "POST"]) == asked
    assert picture.path.exists()


def test_a_check_is_found_by_its_name() -> None:
    """
    One finding can be had by its name; a name that was not looked at is an error.
    """
    check = HealthCheck(name="disk", state="warning", message="m", remedy="r")
    found = HealthReport(
        checks=(check, HealthCheck(name="a", message="b"), attrs.evolve(check, state="problem"))
    )
    assert found.check("disk") == check
    assert str(found) == (
        "warning  disk: m\n         -> r\nok       a: b\nproblem  disk: m\n         -> r\n"
        "1 problem and 1 warning found."
    )
    with pytest.raises(KeyError):
        found.check("x")


# --- the folder -------------------------------------------------------------------------------


def test_a_library_that_cannot_be_written_is_a_problem(
    studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A probe is really written and flushed, so a disk that fails is found before a picture is lost.
    """

    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    assert "Input/output error" in finds(studio, "library", "problem").message


def test_what_cannot_be_looked_at_is_a_finding(studio: Any, inner: Path) -> None:
    """
    A part of the library that is gone does not keep the rest from being looked at.
    """
    (inner / "quarantine").rmdir()
    assert "cannot be looked at" in finds(studio, "replies", "problem").message


@pytest.mark.parametrize("free,state", [(10**12, "ok"), (5 * 10**8, "warning"), (10**6, "problem")])
def test_little_room_is_found(
    studio: Any, free: int, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Little room is a warning; less than a picture is asked with is a problem.
    """

    def used(_: Path) -> Usage:
        return Usage(0, 0, free)

    monkeypatch.setattr(shutil, "disk_usage", used)
    check = finds(studio, "disk", state)
    assert check.message == f"{free / 1e6:,.0f} MB are free."


def test_open_folders_are_found(studio: Any) -> None:
    """
    A library that others can look into is a warning that says which folders and how to close them.
    """
    studio.library.chmod(0o755)
    assert "in it" not in finds(studio, "permissions", "warning").message
    (studio.library / "general").chmod(0o750)
    check = finds(studio, "permissions", "warning")
    assert "general in it" in check.message
    assert f"chmod -R go= '{studio.library}'" in check.remedy
    studio.library.chmod(0o700)
    finds(studio, "permissions", "ok")


def test_a_damaged_mark_is_found(studio: Any, inner: Path) -> None:
    """
    A mark that cannot be read is found before the library is opened the next time.
    """
    (inner / "FORMAT").write_text("?")
    assert "FORMAT is damaged" in finds(studio, "format", "problem").message


# --- records, index, pictures -----------------------------------------------------------------


def test_damaged_records_are_named(studio: Any, picture: Any, inner: Path) -> None:
    """
    Records that cannot be read are named, a session's and a turn's; their pictures stay.
    """
    session, turn = picture.turn.session, picture.turn.id
    (inner / "sessions" / f"{session}.json").write_text("?")
    (inner / "turns" / session / f"{turn}.json").write_text("?")
    check = finds(studio, "records", "problem")
    assert f"2 records are damaged: sessions/{session}.json, {session}/{turn}.json" in check.message
    assert picture.path.exists()


def test_turns_without_their_session_are_found(studio: Any, picture: Any, inner: Path) -> None:
    """
    Turns whose session's record is gone are a warning that says how it may come back.
    """
    (inner / "sessions" / f"{picture.turn.session}.json").unlink()
    check = finds(studio, "records", "warning")
    assert picture.turn.session in check.message
    assert "Import" in check.remedy


def test_an_index_out_of_step_is_found(studio: Any, picture: Any, inner: Path) -> None:
    """
    An index that lacks a turn or has one too many is found, and deleting it puts it right.
    """
    studio.doctor()  # takes it in
    record = inner / "turns" / picture.turn.session / f"{picture.turn.id}.json"
    kept = record.read_bytes()
    record.unlink()
    assert "has 1 that there are not" in finds(studio, "index", "problem").message
    record.write_bytes(kept)
    connection = sqlite3.connect(inner / "index.sqlite")
    with connection:
        connection.execute("DELETE FROM turns")
    connection.close()
    check = finds(studio, "index", "problem")
    assert "lacks 2 turns and 0 sessions" in check.message
    assert str(inner / "index.sqlite") in check.remedy
    (inner / "index.sqlite").unlink()
    finds(studio, "index", "ok")


def test_an_index_without_a_session_is_found(studio: Any, picture: Any, inner: Path) -> None:
    """
    An index that lacks a session, though its folder was not changed since, is found.
    """
    finds(studio, "index", "ok")
    connection = sqlite3.connect(inner / "index.sqlite")
    with connection:
        connection.execute("DELETE FROM sessions WHERE id = ?", (picture.turn.session,))
    connection.close()
    assert "and 1 sessions that there are" in finds(studio, "index", "problem").message
    (inner / "index.sqlite").unlink()
    finds(studio, "index", "ok")


def test_an_index_that_cannot_be_used_is_found(studio: Any, picture: Any, inner: Path) -> None:
    """
    An index that cannot be opened is found; one that is no database is just built anew.
    """
    assert picture.id
    (inner / "index.sqlite").write_bytes(b"no database" * 1000)
    finds(studio, "index", "ok")
    (inner / "index.sqlite").unlink()
    (inner / "index.sqlite").mkdir()
    assert "index" in states(studio.doctor())


def test_turns_that_are_settled_meanwhile_are_no_difference(tmp_path: Path) -> None:
    """
    A turn that another program settled a moment ago waits in the journal, and is not missed.
    """
    library = LibraryStore(tmp_path / "library")
    library.list_images(ImageQuery())
    begun = library.new_id()
    turn = Turn(
        id=begun.id, prompt="x", options=GenerateOptions(), started=begun.at, status="completed"
    )
    library.write_intent(turn)
    library.commit(turn, ())
    layout = library.layout
    index = Index(layout.index, tuple)
    found = run_checks(layout, index, Journal(layout), tuple, verify=False, least_free=0)
    assert states(HealthReport(checks=found)) == {}
    library.check_health(verify=False)
    found = run_checks(layout, index, Journal(layout), tuple, verify=False, least_free=0)
    assert "all 1 turns" in HealthReport(checks=found).check("index").message


def test_missing_pictures_are_named(studio: Any, picture: Any) -> None:
    """
    A picture whose file is gone is named.
    """
    picture.path.unlink()
    check = finds(studio, "pictures", "problem")
    assert f"1 are well; 1 missing: {picture.record.file}." in check.message


def test_damaged_pictures_are_found_by_their_digest(studio: Any, picture: Any) -> None:
    """
    A bit that fell over is found when pictures are verified, and the file is left as it is.
    """
    data = bytearray(picture.bytes)
    data[len(data) // 2] ^= 1
    picture.path.write_bytes(data)
    finds(studio, "pictures", "ok")
    check = finds(studio, "pictures", "problem", verify=True)
    assert f"1 damaged: {picture.record.file}." in check.message
    assert picture.path.read_bytes() == data


def test_cut_pictures_are_found_without_reading_them(studio: Any, picture: Any) -> None:
    """
    A picture of another size than its record says is found at a glance.
    """
    picture.path.write_bytes(picture.bytes[:100])
    assert "1 damaged" in finds(studio, "pictures", "problem").message


def test_links_in_place_of_pictures_are_found(studio: Any, picture: Any, tmp_path: Path) -> None:
    """
    A link in a picture's place is not followed, even to the same bytes.
    """
    picture.path.rename(tmp_path / "elsewhere")
    picture.path.symlink_to(tmp_path / "elsewhere")
    assert "1 unreadable" in finds(studio, "pictures", "problem").message


def test_only_a_few_names_are_told(studio: Any) -> None:
    """
    Of many that are missing, a few are named and the rest counted.
    """
    for _ in range(7):
        studio.images.import_file(tiny_image()).path.unlink()
    assert " and 2 more." in finds(studio, "pictures", "problem").message


# --- what is not settled ----------------------------------------------------------------------


def interrupted(library: Path, response_id: str | None, started: dt.datetime) -> Turn:
    """
    Leave an intent behind, as a process that was killed does.
    """
    there = LibraryStore(library)
    turn = Turn(id=there.new_id().id, prompt="x", options=GenerateOptions(), started=started)
    lease = there.write_intent(turn)
    if response_id is not None:
        there.record_response_id(turn, response_id)
    assert not isinstance(lease, Turn)
    lease.release()
    return turn


def test_interrupted_requests_are_told(studio: Any, provider: FakeOpenAI, inner: Path) -> None:
    """
    What was asked and is not settled is told with its age and the ids that are kept; it is not
    sent again, and stays.
    """
    now = dt.datetime.now(dt.UTC)
    interrupted(studio.library, "resp_1", now - dt.timedelta(days=3, hours=1))
    check = finds(studio, "requests", "warning")
    assert check.message == (
        "1 interrupted, begun 3 days ago; the provider's ids of 1 are kept (resp_1)."
    )
    assert "studio.recover()" in check.remedy
    interrupted(studio.library, None, now - dt.timedelta(minutes=90))
    assert "2 interrupted, begun 1 hour to 3 days ago" in studio.doctor().check("requests").message
    assert len(list((inner / "journal").iterdir())) == 2
    assert provider.requests == ()


def test_requests_without_an_id_are_told(studio: Any) -> None:
    """
    Where no id is known, the finding says so.
    """
    interrupted(studio.library, None, dt.datetime.now(dt.UTC))
    assert "0 seconds ago; no id is known." in finds(studio, "requests", "warning").message


def test_damaged_intents_are_named(studio: Any, inner: Path) -> None:
    """
    An intent that cannot be read is named, not passed over.
    """
    name = f"{OLD_ID}.one-shots.jsonl"
    (inner / "journal" / name).write_text("?")
    assert f"1 cannot be read: {name}." in finds(studio, "requests", "warning").message


def test_what_is_under_way_is_no_finding(studio: Any) -> None:
    """
    What a running program is at is told, and is well.
    """
    there = LibraryStore(studio.library)
    begun = there.new_id()
    turn = Turn(id=begun.id, prompt="x", options=GenerateOptions(), started=begun.at)
    lease = there.write_intent(turn)
    assert "running programs are at 1." in finds(studio, "requests", "ok").message
    assert not isinstance(lease, Turn)
    lease.release()


def test_replies_that_were_put_aside_are_told(studio: Any, inner: Path) -> None:
    """
    A reply that was paid for and could not be read is a warning that says where it is.
    """
    (inner / "quarantine" / f"{OLD_ID}.bin").write_bytes(b"x")
    check = finds(studio, "replies", "warning")
    assert OLD_ID in check.message
    assert str(inner / "quarantine") in check.remedy


def test_stale_scratch_is_told(studio: Any, inner: Path) -> None:
    """
    Unfinished files that nobody is at any more are told; fresh ones are somebody's.
    """
    file = inner / "tmp" / "x"
    file.write_bytes(b"x")
    finds(studio, "scratch", "ok")
    os.utime(file, (0, 0))
    assert "1 unfinished" in finds(studio, "scratch", "warning").message
    assert file.exists()


# --- key and models ---------------------------------------------------------------------------


def test_a_missing_key_is_a_problem(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Without a key, nothing is sent, and the finding says where to put one; with one, it is well.
    """
    studio = make_studio(tmp_path / "library", online=True)
    check = finds(studio, "key", "problem", online=True)
    assert "OPENAI_API_KEY" in check.remedy
    finds(make_studio(tmp_path / "library", online=True, api_key="sk-x"), "key", "ok")


def test_offline_is_said(studio: Any) -> None:
    """
    Offline needs no key, and the finding says that these are sketches.
    """
    assert "offline: sketches" in finds(studio, "key", "ok").message


def test_models_that_ended_are_a_problem(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A studio whose own image model was shut down is told what to choose instead.
    """
    studio = make_studio(tmp_path / "library", image_model="dall-e-3")
    check = finds(studio, "image_model", "problem")
    assert "dall-e-3 was shut down on 2026-05-12" in check.message
    assert "as image_model" in check.remedy


def diagnosed(today: dt.date, options: GenerateOptions | None = None) -> HealthReport:
    """
    Run the plan on another day, on a library of which all is well.
    """
    at = dt.datetime.combine(today, dt.time(12), dt.UTC)
    flow = health.run_health_checks(
        StudioConfig(catalogue=CATALOGUE, options=options or GenerateOptions()),
        "x",
        verify=False,
        online=False,
    )
    answers: dict[type, Callable[[], Any]] = {
        NewId: lambda: IdAndTime(id=OLD_ID, at=at),
        StoreCall: tuple,
        GetProviderName: lambda: "x",
    }
    answer: Any = None
    while True:
        try:
            answer = answers[type(flow.send(answer))]()
        except StopIteration as stop:
            found: HealthReport = stop.value
            return found


def test_models_that_end_soon_are_a_warning() -> None:
    """
    A model that ends within ninety days is a warning, on that day a problem, before that nothing.
    """
    model = next(
        item for item in CATALOGUE.models.values() if item.kind == "image" and item.shutdown
    )
    options = GenerateOptions(image_model=model.id)
    assert model.shutdown is not None
    for days, state in (
        (91, "ok"),
        (90, "warning"),
        (1, "warning"),
        (0, "problem"),
        (-5, "problem"),
    ):
        found = diagnosed(model.shutdown - dt.timedelta(days=days), options).check("image_model")
        assert found.state == state, days
        assert str(model.shutdown) in found.message


def test_models_of_the_other_kind_or_unknown_are_told() -> None:
    """
    A mainline model cannot draw; of an unknown one nothing is claimed.
    """
    options = GenerateOptions(model="my-own-model", image_model=CATALOGUE.mainline)
    found = diagnosed(CATALOGUE.dated, options)
    assert states(found) == {"image_model": "problem"}
    assert "is no image model" in found.check("image_model").message
    assert "my-own-model is not in the catalogue" in found.check("model").message


def test_an_old_catalogue_is_a_warning() -> None:
    """
    What is known of models and prices grows old after ninety days.
    """
    assert diagnosed(CATALOGUE.dated + dt.timedelta(days=90)).check("catalogue").state == "ok"
    found = diagnosed(CATALOGUE.dated + dt.timedelta(days=91)).check("catalogue")
    assert found.state == "warning"
    assert "91 days ago" in found.message
    assert "pip install -U imagesession" in found.remedy


def test_a_provider_that_says_no_is_found(studio: Any, provider: FakeOpenAI) -> None:
    """
    A key that the provider refuses is found online, and the finding says what the error says.
    """
    error = {"message": "Incorrect API key provided.", "type": "invalid_request_error"}
    provider.fail_next(status=401, error=error, path="/models")
    assert "key" in finds(studio, "network", "problem", online=True).remedy


def test_models_that_are_not_listed_are_found(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A model that the provider does not list is a warning, and nothing is generated.
    """
    studio = make_studio(tmp_path / "library", model="my-own-model")
    check = finds(studio, "models listed", "warning", online=True)
    assert "my-own-model not among them" in check.message
    assert "models.list(live=True)" in check.remedy
