"""
The health checks find what is wrong, say what to do about it, and change nothing.
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
from imagesession._engine.image_queries import ImageQuery
from imagesession._engine.request import StudioConfig
from imagesession._engine.store import IdAndTime
from imagesession._store.disk.health import run_checks
from imagesession._store.disk.index import DiskIndex
from imagesession._store.disk.layout import Layout
from imagesession._store.disk.library import open_library
from imagesession.testing import FakeOpenAI, tiny_image
from tests.conftest import MakeStudio

OLD_ID = "01JZZZZZZZ0123456789ABCDEF"
CATALOGUE = load_catalogue()


class Usage(NamedTuple):
    """
    The disk usage that the system reports, in bytes.
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
    An image in a session; the library has a standalone image too.
    """
    studio.generate("a lamp", quality="low")
    return studio.session("x").generate("a teapot", quality="low")


def snapshot(folder: Path) -> dict[Path, tuple[bytes, int]]:
    """
    Return the bytes and modes of all files, but for the index and the intents.
    """
    return {
        path: (path.read_bytes(), path.stat().st_mode)
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in {".sqlite", ".lock", ".jsonl"}
    }


def states(found: HealthReport) -> dict[str, str]:
    """
    Return the states of all checks that are not ok, by name.
    """
    return {check.name: check.state for check in found.checks if check.state != "ok"}


def finds(studio: Any, name: str, state: str, **options: bool) -> HealthCheck:
    """
    Check that exactly one check has this state and all others are ok; return it.
    """
    found = studio.doctor(**options)
    assert states(found) == ({name: state} if state != "ok" else {})
    assert found.ok == (state != "problem")
    check: HealthCheck = found.check(name)
    assert (check.remedy != "") == (state != "ok")
    assert str(check) in str(found)
    return check


def test_sound_library_has_no_findings(studio: Any, picture: Any, provider: FakeOpenAI) -> None:
    """
    On a sound library all checks are ok, nothing is changed, and nothing is paid for.
    """
    posts = len([call for call in provider.requests if call.method == "POST"])
    before = snapshot(studio.library)
    found = studio.doctor(verify=True, online=True)
    assert states(found) == {}
    assert found.ok
    assert str(found).endswith("\nAll is well.")
    assert "ok       images: all 2 are unchanged." in str(found)
    assert found.check("records").message == "sessions: 1, turns: 2."
    assert len({check.name for check in found.checks}) == len(found.checks)
    assert snapshot(studio.library) == before
    assert len([call for call in provider.requests if call.method == "POST"]) == posts
    assert picture.path.exists()


def test_check_is_found_by_name() -> None:
    """
    A check is found by its name; an unknown name is an error.
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


def test_unwritable_library_is_a_problem(studio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A file is really written and flushed, so a failing disk is found before an image is lost.
    """

    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    assert "Input/output error" in finds(studio, "library", "problem").message


def test_failing_check_is_a_finding(studio: Any, inner: Path) -> None:
    """
    A missing part of the library does not prevent the other checks.
    """
    (inner / "quarantine").rmdir()
    assert "cannot be checked" in finds(studio, "replies", "problem").message


@pytest.mark.parametrize("free,state", [(10**12, "ok"), (5 * 10**8, "warning"), (10**6, "problem")])
def test_low_disk_space_is_found(
    studio: Any, free: int, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Little free space is a warning; too little to request an image is a problem.
    """

    def used(_: Path) -> Usage:
        return Usage(0, 0, free)

    monkeypatch.setattr(shutil, "disk_usage", used)
    check = finds(studio, "disk", state)
    assert check.message == f"{free / 1e6:,.0f} MB are free."


def test_folders_open_to_other_users_are_found(studio: Any) -> None:
    """
    A library that other users can read is a warning that names the folders and the command.
    """
    studio.library.chmod(0o755)
    assert "in it" not in finds(studio, "permissions", "warning").message
    (studio.library / "general").chmod(0o750)
    check = finds(studio, "permissions", "warning")
    assert "general in it" in check.message
    assert f"chmod -R go= '{studio.library}'" in check.remedy
    studio.library.chmod(0o700)
    finds(studio, "permissions", "ok")


def test_damaged_format_file_is_found(studio: Any, inner: Path) -> None:
    """
    A damaged FORMAT file is found before the library is opened the next time.
    """
    (inner / "FORMAT").write_text("?")
    assert "FORMAT is damaged" in finds(studio, "format", "problem").message


# --- records, index, images -----------------------------------------------------------------


def test_damaged_records_are_named(studio: Any, picture: Any, inner: Path) -> None:
    """
    Records that cannot be read are named, a session's and a turn's; their images stay.
    """
    session, turn = picture.turn.session, picture.turn.id
    (inner / "sessions" / f"{session}.json").write_text("?")
    (inner / "turns" / session / f"{turn}.json").write_text("?")
    check = finds(studio, "records", "problem")
    assert f"2 records are damaged: sessions/{session}.json, {session}/{turn}.json" in check.message
    assert picture.path.exists()


def test_record_that_was_changed_is_found(studio: Any, picture: Any, inner: Path) -> None:
    """
    A record that is valid and says other than the metadata beside its image is named when images
    are verified.
    """
    (record,) = inner.glob(f"turns/*/{picture.turn.id}.json")
    finds(studio, "records", "ok", verify=True)
    record.write_text(record.read_text().replace(picture.prompt, "another prompt"))
    check = finds(studio, "records", "problem", verify=True)
    assert f"1 records differ from the metadata beside their images: {picture.turn.id}" in str(
        check
    )


def test_turns_without_a_session_are_found(studio: Any, picture: Any, inner: Path) -> None:
    """
    Turns whose session's record is missing are a warning that says how to restore it.
    """
    (inner / "sessions" / f"{picture.turn.session}.json").unlink()
    check = finds(studio, "records", "warning")
    assert f"1 sessions have turns and no record: {picture.turn.session}" in check.message
    assert "repair=True" in check.remedy


def test_outdated_index_is_found(studio: Any, picture: Any, inner: Path) -> None:
    """
    An index that lacks a turn or has one too many is found, and deleting it repairs it.
    """
    studio.doctor()  # indexes the turns
    record = inner / "turns" / picture.turn.session / f"{picture.turn.id}.json"
    kept = record.read_bytes()
    record.unlink()
    report = studio.doctor()
    assert states(report) == {"index": "problem", "records": "problem"}
    assert "has 1 entries without a record" in report.check("index").message
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


def test_index_without_a_session_is_found(studio: Any, picture: Any, inner: Path) -> None:
    """
    An index that lacks a session is found, even if the folder's stamp is unchanged.
    """
    finds(studio, "index", "ok")
    connection = sqlite3.connect(inner / "index.sqlite")
    with connection:
        connection.execute("DELETE FROM sessions WHERE id = ?", (picture.turn.session,))
    connection.close()
    assert "lacks 0 turns and 1 sessions" in finds(studio, "index", "problem").message
    (inner / "index.sqlite").unlink()
    finds(studio, "index", "ok")


def test_unusable_index_is_found(studio: Any, picture: Any, inner: Path) -> None:
    """
    An index that cannot be opened is found; one that is not a database is rebuilt.
    """
    assert picture.id
    (inner / "index.sqlite").write_bytes(b"no database" * 1000)
    finds(studio, "index", "ok")
    (inner / "index.sqlite").unlink()
    (inner / "index.sqlite").mkdir()
    assert "index" in states(studio.doctor())


def test_turns_settled_meanwhile_are_not_missed(tmp_path: Path) -> None:
    """
    A turn that another program has just settled is in the journal, and does not count as missing.
    """
    library = open_library(tmp_path / "library")
    library.images.list(ImageQuery())
    begun = library.new_id()
    turn = Turn(
        id=begun.id, prompt="x", options=GenerateOptions(), started=begun.at, status="completed"
    )
    library.intents.write(turn)
    library.turns.commit(turn, ())
    layout = Layout(Path(library.address))
    found = run_checks(layout, DiskIndex(layout), tuple, verify=False)
    assert states(HealthReport(checks=found)) == {}
    library.check_health(verify=False)
    found = run_checks(layout, DiskIndex(layout), tuple, verify=False)
    assert "all 1 turns" in HealthReport(checks=found).check("index").message


def test_missing_images_are_named(studio: Any, picture: Any) -> None:
    """
    An image whose file is missing is named.
    """
    picture.path.unlink()
    check = finds(studio, "images", "problem")
    assert f"1 are sound; 1 missing: {picture.record.file}." in check.message


def test_damaged_images_are_found_by_digest(studio: Any, picture: Any) -> None:
    """
    A flipped bit is found when images are verified, and the file is not changed.
    """
    data = bytearray(picture.bytes)
    data[len(data) // 2] ^= 1
    picture.path.write_bytes(data)
    finds(studio, "images", "ok")
    check = finds(studio, "images", "problem", verify=True)
    assert f"1 damaged: {picture.record.file}." in check.message
    assert picture.path.read_bytes() == data


def test_truncated_images_are_found_by_size(studio: Any, picture: Any) -> None:
    """
    An image whose file size differs from its record is found without `verify`.
    """
    picture.path.write_bytes(picture.bytes[:100])
    assert "1 damaged" in finds(studio, "images", "problem").message


def test_links_in_place_of_images_are_found(studio: Any, picture: Any, tmp_path: Path) -> None:
    """
    A link in an image's place is not followed, even to the same bytes.
    """
    picture.path.rename(tmp_path / "elsewhere")
    picture.path.symlink_to(tmp_path / "elsewhere")
    assert "1 unreadable" in finds(studio, "images", "problem").message


def test_long_lists_are_shortened(studio: Any) -> None:
    """
    Of many missing images, a few are named and the rest are counted.
    """
    for _ in range(7):
        studio.images.import_file(tiny_image()).path.unlink()
    assert " and 2 more." in finds(studio, "images", "problem").message


# --- unsettled requests -----------------------------------------------------------------------


def interrupted(library: Path, response_id: str | None, started: dt.datetime) -> Turn:
    """
    Leave an intent behind, as a killed process does.
    """
    store = open_library(library)
    turn = Turn(id=store.new_id().id, prompt="x", options=GenerateOptions(), started=started)
    lease = store.intents.write(turn)
    if response_id is not None:
        store.intents.record_response_id(turn, response_id)
    assert not isinstance(lease, Turn)
    lease.release()
    return turn


def test_interrupted_requests_are_reported(studio: Any, provider: FakeOpenAI, inner: Path) -> None:
    """
    Unsettled requests are reported with their ages and known ids; they are not sent again, and
    stay.
    """
    now = dt.datetime.now(dt.UTC)
    interrupted(studio.library, "resp_1", now - dt.timedelta(days=3, hours=1))
    check = finds(studio, "requests", "warning")
    assert check.message == (
        "1 interrupted, started 3 days ago; the provider's ids of 1 are kept (resp_1)."
    )
    assert "studio.recover()" in check.remedy
    interrupted(studio.library, None, now - dt.timedelta(minutes=90))
    assert (
        "2 interrupted, started 1 hour to 3 days ago" in studio.doctor().check("requests").message
    )
    assert len(list((inner / "journal").iterdir())) == 2
    assert provider.requests == ()


def test_requests_without_an_id_are_reported(studio: Any) -> None:
    """
    If no id is known, the finding says so.
    """
    interrupted(studio.library, None, dt.datetime.now(dt.UTC))
    assert "seconds ago; no id is known." in finds(studio, "requests", "warning").message


def test_damaged_intents_are_named(studio: Any, inner: Path) -> None:
    """
    An intent that cannot be read is named, not skipped.
    """
    name = f"{OLD_ID}.one-shots.jsonl"
    (inner / "journal" / name).write_text("?")
    assert f"1 cannot be read: {name}." in finds(studio, "requests", "warning").message


def test_running_request_is_ok(studio: Any) -> None:
    """
    The request of a running program is reported as ok.
    """
    store = open_library(studio.library)
    begun = store.new_id()
    turn = Turn(id=begun.id, prompt="x", options=GenerateOptions(), started=begun.at)
    lease = store.intents.write(turn)
    assert "1 belong to running programs." in finds(studio, "requests", "ok").message
    assert not isinstance(lease, Turn)
    lease.release()


def test_quarantined_replies_are_reported(studio: Any, inner: Path) -> None:
    """
    A quarantined reply is a warning that says where it is.
    """
    (inner / "quarantine" / f"{OLD_ID}.bin").write_bytes(b"x")
    check = finds(studio, "replies", "warning")
    assert OLD_ID in check.message
    assert str(inner / "quarantine") in check.remedy


def test_stale_scratch_files_are_reported(studio: Any, inner: Path) -> None:
    """
    Old unfinished files are reported; recent ones belong to running programs.
    """
    file = inner / "tmp" / "x"
    file.write_bytes(b"x")
    finds(studio, "scratch", "ok")
    os.utime(file, (0, 0))
    assert "1 unfinished" in finds(studio, "scratch", "warning").message
    assert file.exists()


# --- key and models ---------------------------------------------------------------------------


def test_missing_key_is_a_problem(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Without a key, nothing is sent, and the finding says where to put one; with a key, the check is
    ok.
    """
    studio = make_studio(tmp_path / "library", online=True)
    check = finds(studio, "key", "problem", online=True)
    assert "OPENAI_API_KEY" in check.remedy
    finds(make_studio(tmp_path / "library", online=True, api_key="sk-x"), "key", "ok")


def test_offline_is_reported(studio: Any) -> None:
    """
    Offline, no key is needed, and the finding says that images are sketches.
    """
    assert "offline: sketches" in finds(studio, "key", "ok").message


def test_shut_down_model_is_a_problem(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    If the studio's image model was shut down, the finding says what to choose instead.
    """
    studio = make_studio(tmp_path / "library", image_model="dall-e-3")
    check = finds(studio, "image_model", "problem")
    assert "dall-e-3 was shut down on 2026-05-12" in check.message
    assert "as image_model" in check.remedy


def diagnosed(today: dt.date, options: GenerateOptions | None = None) -> HealthReport:
    """
    Run the checks on another day, on a sound library.
    """
    at = dt.datetime.combine(today, dt.time(12), dt.UTC)
    workflow = health.run_health_checks(
        StudioConfig(catalogue=CATALOGUE, options=options or GenerateOptions()),
        "x",
        verify=False,
        online=False,
    )
    results: dict[type, Callable[[], Any]] = {
        NewId: lambda: IdAndTime(id=OLD_ID, at=at),
        StoreCall: tuple,
        GetProviderName: lambda: "x",
    }
    result: Any = None
    while True:
        try:
            result = results[type(workflow.send(result))]()
        except StopIteration as stop:
            found: HealthReport = stop.value
            return found


def test_model_near_its_shutdown_is_a_warning() -> None:
    """
    A model that is shut down within 90 days is a warning, from that day on a problem, and before
    that ok.
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


def test_wrong_or_unknown_models_are_reported() -> None:
    """
    A text model as the image model is a problem; an unknown model is reported as such.
    """
    options = GenerateOptions(model="my-own-model", image_model=CATALOGUE.mainline)
    found = diagnosed(CATALOGUE.dated, options)
    assert states(found) == {"image_model": "problem"}
    assert "is not a model of kind 'image'" in found.check("image_model").message
    assert "my-own-model is not in the catalogue" in found.check("model").message


def test_old_catalog_is_a_warning() -> None:
    """
    The catalogue of models and prices is a warning after 90 days.
    """
    assert diagnosed(CATALOGUE.dated + dt.timedelta(days=90)).check("catalogue").state == "ok"
    found = diagnosed(CATALOGUE.dated + dt.timedelta(days=91)).check("catalogue")
    assert found.state == "warning"
    assert "91 days ago" in found.message
    assert "pip install -U imagesession" in found.remedy


def test_rejected_key_is_found_online(studio: Any, provider: FakeOpenAI) -> None:
    """
    A key that the provider rejects is found online, and the finding has the error's advice.
    """
    error = {"message": "Incorrect API key provided.", "type": "invalid_request_error"}
    provider.fail_next(status=401, error=error, path="/models")
    assert "key" in finds(studio, "network", "problem", online=True).remedy


def test_unlisted_models_are_found(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A model that the provider does not list is a warning.
    """
    studio = make_studio(tmp_path / "library", model="my-own-model")
    check = finds(studio, "models listed", "warning", online=True)
    assert "my-own-model not among them" in check.message
    assert "models.list(live=True)" in check.remedy
