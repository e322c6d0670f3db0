"""
Owners of a library on PostgreSQL and S3, beside what `tests/test_owners.py` promises; and copies of
images on a machine, which do not fill its disk.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

import imagesession
from imagesession import Studio
from imagesession.errors import ImageSessionError, NotFoundError
from imagesession.testing import FakeOpenAI, tiny_image
from imagesession_mcp.app_state import AppState
from imagesession_mcp.option_values import Principal
from imagesession_mcp.settings import Settings
from tests import team_servers
from tests.bench.server import FixedSketcher
from tests.conftest import MakeStudio
from tests.team_servers import Servers

team_servers.skip_if_missing(whole_module=True)
import sqlalchemy as sa  # noqa: E402 - of an extra

from imagesession._store.team import local_copies, migrate  # noqa: E402
from imagesession._store.team.library import TeamLibrary  # noqa: E402

WORD = "quicksilver"
CHEAP: dict[str, Any] = {"quality": "low", "size": "1024x1024"}


def everything(url: str) -> str:
    """
    Return all that a library's database and bucket hold, as text.
    """
    library = TeamLibrary(url)
    tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"

    def read(connection: sa.Connection) -> list[Any]:
        names = [row[0] for row in connection.execute(sa.text(tables))]
        return [row for name in names for row in connection.execute(sa.text(f'TABLE "{name}"'))]

    rows = library.database.run(read)
    objects = [library.blobs.get(name) for name, _, _ in library.blobs.objects()]
    library.close()
    return repr(rows) + repr(objects)


def test_erased_owner_is_in_no_row_and_no_object(
    make_studio: MakeStudio, url: str, provider: FakeOpenAI
) -> None:
    """
    After an owner is erased, no row of any table, queued requests among them, and no object has a
    word of what the owner made, or whose it was.
    """
    studio = make_studio(url, provider=provider)
    ann, bob = studio.as_owner("annabella"), studio.as_owner("bob")
    session = ann.session("Herons", name=WORD)
    session.generate(f"a heron of {WORD}").tag(WORD)
    ann.images.delete(ann.generate(f"{WORD} alone"))
    ann.queue([f"{WORD} later"], name="night")
    bob.queue(["a cup"], name="night")
    with pytest.raises(NotFoundError):
        studio.queue(name="night")
    assert ann.queue(name="night").status().total == 1
    content = everything(url)
    assert WORD in content
    assert '"owner": "annabella"' in content
    total = studio.costs().total
    studio.erase_owner("annabella")
    content = everything(url)
    assert WORD not in content
    assert "annabella" not in content
    assert studio.costs().total == total
    assert bob.queue(name="night").status().total == 1
    with pytest.raises(NotFoundError):
        ann.queue(name="night")
    assert studio.doctor(verify=True).ok


def test_transfer_carries_owners(url: str, tmp_path: Path, provider: FakeOpenAI) -> None:
    """
    A transferred library has the owners of the other, into a database and out of it.
    """
    with Studio.offline(tmp_path / "disk", provider=provider) as disk:
        for owner in ("ann", "bob"):
            disk.as_owner(owner).session("x", name="logo").generate(f"a fox of {owner}")
            disk.as_owner(owner).generate(f"a cup of {owner}", idempotency_key="cup")
    imagesession.transfer(tmp_path / "disk", url)
    imagesession.transfer(url, tmp_path / "back")
    for where in (url, tmp_path / "back"):
        with Studio.offline(where, provider=provider) as studio:
            for owner in ("ann", "bob"):
                own = studio.as_owner(owner)
                prompts = [image.prompt for image in own.images.list()]
                assert prompts == [f"a cup of {owner}", f"a fox of {owner}"]
                assert len(own.open("logo").images()) == 1
                assert own.generate(f"a cup of {owner}", idempotency_key="cup").id
            groups = studio.costs(group_by="owner").groups
            assert {name: group.images for name, group in groups.items()} == {"ann": 2, "bob": 2}


def test_library_of_format_1_gets_owners(url: str, servers: Servers, provider: FakeOpenAI) -> None:
    """
    A library that has no owners yet is migrated when it is opened; what it has is nobody's.
    """
    database = url.split("?", maxsplit=1)[0].rpartition("/")[2]
    with Studio.offline(url, provider=provider) as studio:
        image = studio.session("x", name="logo").generate("a fox")
    for table in ("turns", "images", "sessions"):
        servers.execute(f"ALTER TABLE {table} DROP COLUMN owner", database)
    servers.execute("ALTER TABLE turns DROP COLUMN erased", database)
    servers.execute("UPDATE format SET format = 1, min_reader = 1", database)
    servers.execute("UPDATE schema_steps SET version_num = '1'", database)
    assert "ADD COLUMN owner" in migrate.print_upgrade(1)
    with Studio.offline(url, provider=provider) as studio:
        assert studio.images.get(image.id).turn.owner is None
        assert studio.as_owner("ann").images.list() == ()
        studio.as_owner("ann").generate("a cup")
        assert set(studio.costs(group_by="owner").groups) == {"", "ann"}
        assert studio.prune(older_than=dt.timedelta(days=1), dry_run=True).erased == ()


def test_copies_on_a_machine_are_bounded(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Of the copies of images that were asked for, those that were used last stay, up to a number of
    bytes; one that is gone is fetched again.
    """
    data = tiny_image()
    monkeypatch.setattr(local_copies, "MAX_BYTES", 3 * len(data))
    provider = FakeOpenAI(sketcher=FixedSketcher(data, (64, 64)))
    with Studio.offline(url, provider=provider) as studio:
        images = [studio.generate(f"cup {number}") for number in range(6)]
        paths: list[Path] = []
        for number, image in enumerate(images):
            paths.append(Path(image.path))
            os.utime(paths[-1], (number, number))
            assert paths[-1].read_bytes() == image.bytes
            assert images[0].path == paths[0]  # used again and again
        assert [path.exists() for path in paths] == [True, False, False, False, True, True]
        assert Path(images[1].path).read_bytes() == images[1].bytes
        studio.images.erase(images[5])
        assert not paths[5].exists()


def test_worker_makes_what_an_owner_queued(url: str, provider: FakeOpenAI) -> None:
    """
    What a worker makes belongs to the owner who queued it.
    """
    with Studio.offline(url, provider=provider) as studio:
        queue = studio.as_owner("ann").queue(["a fox"], name="night")
        command = [sys.executable, "-m", "imagesession.worker", url, "--offline"]
        worker = subprocess.Popen(command)
        try:
            (image,) = queue.wait(timeout=60, progress=False)
        finally:
            worker.kill()
            worker.wait()
        assert not isinstance(image, ImageSessionError)
        assert image.turn.owner == "ann"
        assert [item.prompt for item in studio.as_owner("ann").images.list()] == ["a fox"]
        assert list(studio.costs(group_by="owner").groups) == ["ann"]


@pytest.mark.anyio
async def test_callers_of_a_server_are_owners(url: str) -> None:
    """
    Callers of one server on a team's library own what they make, and each has a share of its
    budget; a single caller has the library.
    """
    callers = (Principal("ann", "a" * 16), Principal("bob", "b" * 16))
    settings = Settings(library=url, offline=True, principals=callers, daily_budget=0.6)
    state = AppState(settings)
    ann, bob = state.studio("ann"), state.studio("bob")
    await ann.generate("a fox", **CHEAP)
    assert await bob.images.list() == ()
    assert (await bob.costs()).remaining == pytest.approx(0.3)
    assert 0 < ((await ann.costs()).remaining or 0) < 0.3
    assert list((await state.studio("").costs(group_by="owner")).groups) == ["ann"]
    await state.close()
    alone = AppState(attrs.evolve(settings, principals=callers[1:]))
    assert len(await alone.studio("bob").images.list()) == 1
    await alone.close()
