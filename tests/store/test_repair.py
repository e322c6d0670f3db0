"""
A record that is gone or damaged is noticed, and brought back from what lies beside its images.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._store import codec, sidecar
from imagesession._store.library import LibraryStore
from imagesession._store.records import intent_key, turn_key
from imagesession.errors import CorruptRecordError, OutcomeUnknownError, StorageIOError
from imagesession.testing import tiny_image
from tests import strategies
from tests.clock import HoldingProvider, hurried
from tests.conftest import MakeStudio
from tests.store.test_rules import kept, new_turn, settle

assert kept
PROMPTS = ["a", "b", "c"]


@pytest.fixture
def library(make_studio: MakeStudio, tmp_path: Path) -> Path:
    """
    A library with a session of three turns and a standalone image, whose journal is empty.
    """
    studio = make_studio(tmp_path / "library")
    session = studio.session("letters", name="q")
    for prompt in PROMPTS:
        session.generate(prompt, quality="low")
    studio.generate("alone")
    studio.doctor()
    studio.close()
    return Path(studio.library)


def records(library: Path) -> dict[str, Path]:
    """
    Return the files of turns by their prompts.
    """
    files = (library / ".imagesession" / "turns").rglob("*.json")
    return {json.loads(file.read_bytes())["prompt"]: file for file in files}


def lose_turn(library: Path) -> None:
    """
    Lose a turn in the middle.
    """
    records(library)["b"].unlink()


def lose_session(library: Path) -> None:
    """
    Lose all turns of the session, and its own record.
    """
    shutil.rmtree(records(library)["b"].parent)
    for file in (library / ".imagesession" / "sessions").iterdir():
        file.unlink()


def lose_standalone(library: Path) -> None:
    """
    Lose the turn of the standalone image.
    """
    records(library)["alone"].unlink()


def damage_turn(library: Path) -> None:
    """
    Damage a turn, as a power cut does.
    """
    records(library)["b"].write_bytes(b"\0" * 40)


def lose_with_index(library: Path) -> None:
    """
    Lose a turn, and the index that knew it.
    """
    lose_turn(library)
    (library / ".imagesession" / "index.sqlite").unlink()


@pytest.mark.parametrize(
    "lose", [lose_turn, lose_session, lose_standalone, damage_turn, lose_with_index]
)
def test_lost_record_is_told_of_and_brought_back(
    make_studio: MakeStudio, library: Path, lose: Callable[[Path], None]
) -> None:
    """
    A record that is gone is named, and `repair` restores it as it was: tree, lists and costs are
    those of before, and what was damaged is kept aside.
    """
    before = {prompt: json.loads(file.read_bytes()) for prompt, file in records(library).items()}
    lose(library)
    studio = make_studio(library)
    assert studio.doctor().check("records").state == "problem"
    report = studio.doctor(repair=True)
    assert "brought back" in report.check("repair").message
    assert report.check("records").state == "ok"
    assert report.ok
    after = {prompt: json.loads(file.read_bytes()) for prompt, file in records(library).items()}
    assert after == before
    assert sorted(image.prompt for image in studio.images.list()) == ["a", "alone", "b", "c"]
    session = studio.open("q")
    assert [turn.prompt for turn in session.turns()] == PROMPTS
    assert session.generate("d").turn.parent == session.turns()[2].id
    aside = list((library / ".imagesession" / "quarantine").iterdir())
    assert [file.read_bytes() for file in aside] == ([b"\0" * 40] if lose is damage_turn else [])
    assert studio.doctor(repair=True).check("repair").message == "no record could be brought back."


def test_turn_whose_parent_is_gone_is_shown(make_studio: MakeStudio, library: Path) -> None:
    """
    If nothing is left of a turn, the tree shows those that continue it, the session goes on, and
    the report names what is missing.
    """
    file = records(library)["b"]
    image = library / json.loads(file.read_bytes())["images"][0]["file"]
    for gone in (file, image, image.with_suffix(".json")):
        gone.unlink()
    studio = make_studio(library)
    session = studio.open("q")
    session.generate("d")
    drawn = str(session.tree()).splitlines()
    assert drawn == ["a", f"(turn {file.stem} is missing)", "c", "d  <- main"]
    report = studio.doctor(repair=True)
    assert file.stem in report.check("records").message
    assert "no record could" in report.check("repair").message


def test_older_backup_under_a_running_program(make_studio: MakeStudio, library: Path) -> None:
    """
    If an older copy of the records is put back while a studio is open, the session goes on, no
    image is lost, and the report and `repair` bring the newer turns back.
    """
    inner, backup = library / ".imagesession", library.parent / "backup"
    shutil.copytree(inner, backup)
    studio = make_studio(library)
    session = studio.open("q")
    newer = session.generate("newer")
    studio.doctor()
    shutil.rmtree(inner)
    shutil.copytree(backup, inner)
    session.generate("newest")
    reopened = make_studio(library)
    assert newer.turn.id in reopened.doctor().check("records").message
    assert reopened.doctor(repair=True).check("records").state == "ok"
    prompts = [turn.prompt for turn in reopened.open("q").turns()]
    assert prompts == [*PROMPTS, "newer", "newest"]


def test_pictures_without_any_record_are_named(make_studio: MakeStudio, library: Path) -> None:
    """
    A copied image that no record names is a warning, also with a copy of its metadata, and is left
    as it is.
    """
    image = next((library / "general").glob("*.png"))
    copies = [image.with_name(f"session_copy_{number}.png") for number in range(2)]
    for copy in copies:
        shutil.copy(image, copy)
    shutil.copy(image.with_suffix(".json"), copies[1].with_suffix(".json"))
    studio = make_studio(library)
    check = studio.doctor(repair=True).check("records")
    assert check.state == "warning"
    assert "2 images are in no record: " in check.message
    assert all(copy.name in check.message and copy.exists() for copy in copies)


@pytest.mark.parametrize("is_asked_for", [False, True])
def test_picture_that_has_neither_record_nor_metadata_is_kept(
    make_studio: MakeStudio, library: Path, *, is_asked_for: bool
) -> None:
    """
    An image whose program ended before it had recorded it is kept as an imported one, unless a
    request is under way, as it may be that one's.
    """
    stray = library / "general" / "session_k3m2p7qr_20261130T120000Z_01.png"
    stray.write_bytes(tiny_image(colour=(1, 2, 3)))
    provider = HoldingProvider(images_per_minute=None)
    studio = make_studio(library, provider=provider, timeout=60)
    if is_asked_for:
        provider.hold()
        with hurried(), pytest.raises(OutcomeUnknownError):
            studio.generate("pending")
    assert stray.name in studio.doctor().check("records").message
    report = studio.doctor(repair=True)
    assert report.check("records").state == ("warning" if is_asked_for else "ok")
    assert ("1 images of no record" in report.check("repair").message) != is_asked_for
    provider.finish()
    studio.recover()
    studio.doctor(repair=True)
    image = next(image for image in studio.images.list() if image.path == stray)
    assert (image.bytes, image.turn.kind) == (stray.read_bytes(), "import")
    assert image.turn.origin.file == stray.name
    again = studio.doctor(repair=True, verify=True)
    assert again.check("repair").message == "no record could be brought back."
    assert again.check("records").state == again.check("images").state == "ok"


@pytest.mark.parametrize(
    "changes", [{"turn_id": "../../x"}, {"session_id": "../x"}, {"bytes": "many"}]
)
def test_changed_metadata_writes_nothing(
    make_studio: MakeStudio, library: Path, changes: dict[str, str]
) -> None:
    """
    Metadata that people changed is not taken for a record if it is none, and names no path.
    """
    file = records(library)["alone"]
    image = library / json.loads(file.read_bytes())["images"][0]["file"]
    file.unlink()
    beside = image.with_suffix(".json")
    beside.write_text(json.dumps({**json.loads(beside.read_bytes()), **changes}))
    before = sorted(library.parent.rglob("*.json"))
    report = make_studio(library).doctor(repair=True)
    assert image.name in report.check("records").message
    assert sorted(library.parent.rglob("*.json")) == before


def test_repair_of_a_disk_that_is_full(
    make_studio: MakeStudio, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A record that cannot be written is an error, and can be brought back later.
    """
    lose_turn(library)
    studio = make_studio(library)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.write", full)
        with pytest.raises(StorageIOError):
            studio.doctor(repair=True)
    assert studio.doctor(repair=True).check("records").state == "ok"


def test_repair_whatever_the_library_is_kept_on(kept: Any) -> None:
    """
    Records come back on every implementation of the ports, under their ids.
    """
    store = LibraryStore(kept.open())
    turn = new_turn(store)
    store.intents.write(turn)
    settled = settle(store, turn)
    assert "no record" in store.repairs.repair().message
    store.ports.facts.drop(turn_key(settled))
    store.ports.facts.drop(intent_key(settled))
    assert settled.id in store.repairs.repair().message
    assert store.images.find(settled.images[0].id) == (settled, 0)


@given(strategies.turns.filter(lambda turn: bool(turn.images)), st.none() | strategies.texts)
def test_metadata_holds_the_whole_record(turn: Any, name: str | None) -> None:
    """
    The metadata beside a turn's images is enough to make its record again, whatever it holds.
    """
    beside = [
        json.loads(json.dumps(sidecar.to_dict(turn, position, name)))
        for position in range(len(turn.images))
    ]
    assert codec.dump_turn(sidecar.to_turn(beside, "x")) == codec.dump_turn(turn)


def test_metadata_of_an_older_release(make_studio: MakeStudio, library: Path) -> None:
    """
    Metadata that lacks what was added since is enough for a turn; its parent is not known.
    """
    older = json.loads(next((library / "general").glob("*.json")).read_bytes())
    added = [
        "status",
        "label",
        "parent",
        "item_ids",
        "provider_state",
        "conversation",
        "batch",
        "within",
    ]
    for name in (*added, "idempotency_key", "reserved", "context_turns", "failure"):
        del older[name]
    turn = sidecar.to_turn([older], "x")
    assert turn.prompt == older["original_prompt"]
    assert turn.parent is None
    assert make_studio(library).images.get(turn.images[0].id).prompt == turn.prompt
    with pytest.raises(CorruptRecordError):
        sidecar.to_turn([{"image_id": "x"}], "x")
