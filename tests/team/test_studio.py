"""
Studios on PostgreSQL and S3 do what those in folders do, from any number of programs.
"""

from __future__ import annotations

import datetime as dt
import pickle
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imagesession import Budget, Studio
from imagesession._store.ids import UlidFactory
from imagesession._store.records import turn_key
from imagesession.errors import BudgetExceededError, InvalidImageError, InvalidRequestError
from imagesession.testing import FakeOpenAI, serve, tiny_image
from tests import team_servers
from tests.clock import HoldingProvider, wait_for
from tests.conftest import MakeStudio
from tests.sent import asked

team_servers.skip_if_missing(whole_module=True)
from imagesession._store.team.address import parse_address  # noqa: E402 - of an extra
from imagesession._store.team.blobs import TeamBlobs  # noqa: E402
from imagesession._store.team.library import TeamLibrary  # noqa: E402


def test_any_program_goes_on_with_a_session(make_studio: MakeStudio, provider: FakeOpenAI) -> None:
    """
    A session is found by its name in another program, with its pictures, branches and costs, and
    goes on there.
    """
    here, there = (make_studio("library", provider=provider) for _ in range(2))
    session = here.session("Logo", name="Tea")
    first = session.generate("a teapot")
    second = session.generate("more geometric")
    other = there.open("tea")
    assert [image.id for image in other.images()] == [first.id, second.id]
    warm = other.branch("warm").generate("warmer")
    assert warm.parent == second.turn.id
    other.undo()
    assert session.generate("bluer").parent == first.turn.id
    assert here.images.get(warm.id[-8:]).bytes == warm.bytes
    total = sum(image.cost.total for image in there.images.list())
    assert there.costs().total.dollars == pytest.approx(total)
    assert list(here.costs(group_by="session").groups) == [session.id]
    assert len(here.images.list(text="BLUER")) == 1
    assert here.doctor().ok


def test_session_is_resumed_exported_and_imported(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A session goes from a folder to a database and back through its export.
    """
    team, disk = make_studio("library", provider=provider), Studio.offline(tmp_path / "folder")
    session = team.session("Logo", name="Tea")
    image = session.generate("a teapot")
    assert team.session("x", name="tea", resume=True).id == session.id
    disk.sessions.import_archive(session.export(tmp_path / "tea.zip"))
    (copy,) = disk.open("Tea").images()
    assert copy.bytes == image.bytes
    other = make_studio("another", provider=provider)
    other.sessions.import_archive(disk.open("Tea").export(tmp_path / "back.zip"))
    assert other.open("Tea").images()[0].bytes == image.bytes
    assert other.doctor(verify=True).ok
    disk.close()


def test_image_is_a_file_and_a_url(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    An image has a path, which is a copy that is fetched when it is asked for, and a URL from which
    anybody reads it until it expires; its repr fetches nothing.
    """
    studio = make_studio("library")
    image = studio.generate("a lighthouse")
    cache = Path.home() / ".cache"
    assert "s3://" in repr(image)
    assert not cache.exists()
    assert image.path.read_bytes() == image.bytes
    assert image.path.is_relative_to(cache)
    with urllib.request.urlopen(image.url(expires=60)) as answer:  # noqa: S310 - ours
        assert answer.read() == image.bytes
    with pytest.raises(InvalidRequestError, match="expires"):
        image.url(expires=10**9)
    assert Path(image.save(tmp_path / "copy.png")).read_bytes() == image.bytes
    # A copy is an input like any other file.
    assert studio.edit("more fog", image=image.path).id != image.id


def test_url_of_a_file(tmp_path: Path) -> None:
    """
    In a folder, an image's URL is that of its file.
    """
    with Studio.offline(tmp_path / "library") as studio:
        image = studio.generate("a lighthouse")
        assert image.url() == image.path.as_uri()


def test_budget_holds_across_programs(
    make_studio: MakeStudio, provider: FakeOpenAI, in_threads: Callable[[list[Any]], None]
) -> None:
    """
    Programs that ask at the same time are granted no more than the budget.
    """
    settings = {"size": "1024x1024", "quality": "low", "provider": provider}
    price = make_studio("library", **settings).estimate("a teapot").high
    studios = [
        make_studio("library", budget=Budget(per_day=price * 3.5), **settings) for _ in range(3)
    ]
    refused: list[BudgetExceededError] = []

    def ask(studio: Any) -> None:
        for _ in range(3):
            try:
                studio.generate("a teapot")
            except BudgetExceededError as error:
                refused.append(error)

    in_threads([lambda studio=studio: ask(studio) for studio in studios])
    assert len(asked(provider)) + len(refused) == 9
    assert studios[0].costs().total.dollars <= price * 3.5


def test_idempotency_key_and_words_may_hold_anything(
    make_studio: MakeStudio, provider: FakeOpenAI
) -> None:
    """
    NUL, which PostgreSQL refuses, is kept in records as it is; a key with it is another key than
    without. What cannot be sent is refused before anything is paid.
    """
    studio = make_studio("library", provider=provider)
    session = studio.session("x\0y", name="tea\0pot")
    image = session.generate("a red\0 teapot", idempotency_key="a\0")
    assert studio.open("tea\0pot").id == session.id
    assert studio.images.get(image.id).prompt == "a red\0 teapot"
    assert session.generate("a red\0 teapot", idempotency_key="a\0").id == image.id
    assert session.generate("a blue teapot", idempotency_key="a").id != image.id
    with pytest.raises(InvalidRequestError):
        session.generate("a \ud800")
    assert len(asked(provider)) == 2


def test_batch_and_map(make_studio: MakeStudio, provider: FakeOpenAI) -> None:
    """
    Many images in one call, and batches, are known to every program.
    """
    here, there = (make_studio("library", provider=provider) for _ in range(2))
    provider.set_batch_speed(looks=1)
    shelf = {"cup": "a cup", "pot": "a pot", "can": "a can"}
    results = here.map(shelf)
    assert [image.prompt for image in results] == list(shelf.values())
    again = there.map(shelf)
    assert [image.id for image in again] == [image.id for image in results]
    batch = here.batches.create(["a bowl", "a jug"], name="night")
    known = there.batches.get("night")
    assert known.id == batch.id
    assert len(known.wait()) == 2
    assert here.images.list(limit=2)[0].bytes


_CHILD = """
import sys
from imagesession import Studio
Studio(sys.argv[1], api_key="x", base_url=sys.argv[2]).open("Tea").generate("bluer")
"""


def test_killed_program_is_recovered(make_studio: MakeStudio, url: str) -> None:
    """
    What a killed program left is fetched by another one once the lease has run out, and not paid
    again.
    """
    provider, library = HoldingProvider(), f"{url}&lease=1"
    with serve(provider) as served:
        access = {"online": True, "api_key": "x", "base_url": served.base_url}
        studio = make_studio(library, **access)
        session = studio.session("Logo", name="Tea")
        session.generate("a teapot")
        provider.hold()
        command = [sys.executable, "-c", _CHILD, library, served.base_url]
        with subprocess.Popen(command) as child:
            wait_for(lambda: any(item.response_id for item in studio.requests.pending()))
            child.kill()
        provider.finish()
        wait_for(lambda: not studio.requests.pending()[0].running)
        (image,) = studio.recover().images
        assert image.prompt == "bluer"
        assert session.head().id == image.id
        assert len(asked(provider)) == 2


def test_pickled_image_finds_its_library(make_studio: MakeStudio) -> None:
    """
    An image is pickled without a password, and found again.
    """
    studio = make_studio("library")
    image = studio.generate("a teapot")
    assert pickle.loads(pickle.dumps(getattr(image, "inner", image))).id == image.id  # noqa: S301


def test_missing_and_changed_objects_are_reported(
    make_studio: MakeStudio, place: Callable[[Any], Any]
) -> None:
    """
    An object that is gone or was changed is an error when it is read, and `doctor` names it.
    """
    studio = make_studio("library")
    gone, changed = studio.generate("a teapot"), studio.generate("a cup")
    blobs = TeamBlobs(parse_address(place("library")))
    blobs.drop(gone.record.file)
    blobs.write(changed.record.file, tiny_image())
    for image in (gone, changed):
        with pytest.raises(InvalidImageError):
            _ = image.bytes
    message = studio.doctor().check("images").message
    assert gone.record.file in message
    assert changed.record.file in message


def test_orphaned_objects_are_swept_after_a_day(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An object that no record names goes after a day; images stay, even those whose record was lost,
    as metadata is beside them.
    """
    with Studio.offline(url) as studio:
        kept, lost = studio.generate("a teapot"), studio.generate("a cup")
        library = TeamLibrary(url)
        turn = lost.turn
        library.blobs.write(f"images/{UlidFactory().new()}/0.png", b"orphan")
        assert library.sweep() == 0
        library.facts.drop(turn_key(turn))
        tomorrow = library.facts.now() + dt.timedelta(days=1, minutes=1)
        monkeypatch.setattr(library.facts, "now", lambda: tomorrow)
        assert library.sweep() == 1
        assert library.rights.next_time("sweep") > 80_000  # the library is new
        assert kept.bytes
        assert studio.doctor(repair=True).ok
        assert studio.images.get(lost.id).bytes == lost.bytes
