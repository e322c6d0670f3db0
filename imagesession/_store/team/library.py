"""
A library on PostgreSQL and S3: opened, or made if the database is empty.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import uuid
from collections.abc import Callable
from urllib.parse import quote
from weakref import WeakValueDictionary

import sqlalchemy as sa

from imagesession._domain.health import HealthCheck
from imagesession._domain.reports import PendingRequest
from imagesession._store.library import LibraryStore
from imagesession.errors import StorageError, StorageIOError, UnsupportedFormatVersionError

from .address import TeamAddress, parse_address
from .blobs import TeamBlobs
from .database import Database
from .facts import TeamFacts
from .index import TeamIndex
from .rights import TeamRights
from .schema import FORMAT
from .schema import facts as facts_table
from .schema import library as library_table

_A_DAY = dt.timedelta(days=1)
_MANY = 1000
_SETUP = "imagesession setup"
_SWEEP = "sweep"


def open_library(url: str) -> LibraryStore:
    """
    Open the library in a database and a bucket, and make its tables if they are missing.
    """
    return LibraryStore(TeamLibrary(url))


def queue_prefix(owner: str | None) -> str:
    return "imagesession:" if owner is None else f"imagesession/{quote(owner, safe='')}:"


class TeamLibrary:
    """
    The ports of a library on PostgreSQL and S3.

    Args:
        url: `postgresql://user:password@host/database?blobs=s3://bucket/prefix`, and `&lease=` with
            the seconds for which a right lasts without being renewed, if not 15.
    """

    def __init__(self, url: str) -> None:
        address = parse_address(url)
        self.address, self.parsed = address.public, address
        self.rights = _share(address)
        self.database = self.rights.database
        self.facts = TeamFacts(self.database)
        self.blobs = TeamBlobs(address)
        self.index = TeamIndex(self.database)
        try:
            self._prepare()
        except BaseException:
            self.database.close()
            raise

    def check_health(
        self, pending: Callable[[], tuple[PendingRequest, ...]], *, verify: bool
    ) -> tuple[HealthCheck, ...]:
        from . import health  # noqa: PLC0415 - hardly ever needed

        return health.run_checks(self.database, self.blobs, pending, verify=verify)

    def drop_queues(self, owner: str) -> None:
        def work(connection: sa.Connection) -> None:
            if connection.scalar(_HAS_QUEUES):
                connection.execute(_DROP_QUEUES, {"prefix": queue_prefix(owner)})

        self.database.write(work)

    def close(self) -> None:
        self.blobs.finish()
        self.rights.close()
        self.database.close()

    # --- opening --------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """
        Bring the schema up to date, and check that database and bucket belong together.
        """
        if self.database.run(_format, patience=0.0) < FORMAT:
            self._migrate()
        known = next(iter(self.database.all(_LIBRARY)), None)
        if known is None or not known.blobs:
            self._found()
        elif (owner := self.blobs.owner()) != known.id:
            raise self._mismatch(owner, known.blobs)
        elif known.blobs != self.blobs.name:  # the bucket was copied elsewhere, mark and all
            moved = sa.update(library_table).values(blobs=self.blobs.name)
            self.database.run(lambda connection: connection.execute(moved))
        else:
            self._sweep_daily()

    def _migrate(self) -> None:
        from .migrate import upgrade  # noqa: PLC0415 - Alembic is rarely needed

        def work(connection: sa.Connection) -> None:
            connection.execute(_ALONE)
            if _format(connection) < FORMAT:
                upgrade(connection)

        self.database.write(work)

    def _found(self) -> None:
        """
        Note which library this is, in the database and in the bucket. The row names the bucket at
        the end, so that the next program goes on if this one is killed in between.
        """
        with self.database.transaction(_SETUP):
            owner = self.blobs.owner()
            if not self.database.all(_LIBRARY):
                if owner is not None:
                    raise self._mismatch(owner, self.blobs.name)
                row = {"id": uuid.uuid4().hex, "blobs": ""}
                self.database.run(
                    lambda connection: connection.execute(sa.insert(library_table), row)
                )
        with self.database.transaction(_SETUP):
            ((library, place),) = self.database.all(_LIBRARY)
            owner = self.blobs.owner()
            if place and owner == library:
                return  # another program was faster
            if place or owner not in {None, library}:
                raise self._mismatch(owner, place or self.blobs.name)
            self.blobs.set_owner(library)
            named = sa.update(library_table).values(blobs=self.blobs.name)
            self.database.run(lambda connection: connection.execute(named))
            self.rights.postpone(_SWEEP, _A_DAY.total_seconds())

    def _mismatch(self, owner: str | None, recorded: str) -> StorageIOError:
        if owner is not None:
            return StorageIOError(
                f"{self.blobs.name} holds the images of another library than the database "
                f"{self.address}. Give each library a prefix of its own."
            )
        return StorageIOError(
            f"The library {self.address} keeps its images in {recorded}, and {self.blobs.name} is "
            "no copy of that. Correct ?blobs= in the address."
        )

    # --- images that no fact names ----------------------------------------------------------------

    def _sweep_daily(self) -> None:
        def work() -> None:
            with contextlib.suppress(StorageError):
                self.sweep()

        with contextlib.suppress(StorageError):  # those who only read do not sweep
            every = _A_DAY.total_seconds()
            is_due = self.rights.next_time(_SWEEP) == 0
            if is_due and self.rights.next_time(_SWEEP, every) == 0:
                threading.Thread(target=work, name="sweep", daemon=True).start()

    def sweep(self) -> int:
        """
        Remove the images that were written a day ago or earlier, and whose turn no fact knows; tell
        how many. Those that have metadata beside them were recorded once, and stay.
        """
        self.rights.forget_old()
        before = self.facts.now() - _A_DAY
        objects = [(name, at) for name, _, at in self.blobs.objects()]
        recorded = {name.rpartition(".")[0] for name, _ in objects if name.endswith(".json")}
        old = [
            name for name, at in objects if at < before and name.rpartition(".")[0] not in recorded
        ]
        known = self._known([name.split("/")[1] for name in old])
        swept = [name for name in old if name.split("/")[1] not in known]
        for name in swept:
            self.blobs.drop(name)
        return len(swept)

    def _known(self, turns: list[str]) -> set[str]:
        known: set[str] = set()
        for start in range(0, len(turns), _MANY):
            some = facts_table.c.id.in_(turns[start : start + _MANY])
            statement = sa.select(facts_table.c.id).where(some).distinct()
            known.update(row[0] for row in self.database.all(statement))
        return known


_HAS_QUEUES = sa.text("SELECT to_regclass('procrastinate_jobs') IS NOT NULL")
_DROP_QUEUES = sa.text("DELETE FROM procrastinate_jobs WHERE starts_with(queue_name, :prefix)")
_LIBRARY = sa.select(library_table.c.id, library_table.c.blobs)
_ALONE = sa.select(sa.func.pg_advisory_xact_lock(0x696D616765))  # for those that migrate
_HAS_FORMAT = sa.text("SELECT to_regclass('format') IS NOT NULL")
_FORMAT = sa.text("SELECT format, min_reader FROM format")


def _format(connection: sa.Connection) -> int:
    if not connection.scalar(_HAS_FORMAT):
        return 0
    (found,) = connection.execute(_FORMAT)
    if found.min_reader > FORMAT:
        raise UnsupportedFormatVersionError(
            f"The library's database was changed by a newer imagesession (format {found.format}; "
            f"this one uses {FORMAT}). Update: pip install -U 'imagesession[team]'."
        )
    return int(found.format)


# What all studios of this process on one library share: the thread that renews leases, and the
# connections of its database.
_open: WeakValueDictionary[tuple[str, str | None], TeamRights] = WeakValueDictionary()
_opening = threading.Lock()


def _share(address: TeamAddress) -> TeamRights:
    with _opening:
        key = address.public, address.password.value
        found = _open.get(key)
        if found is None:
            found = _open[key] = TeamRights(Database(address), address.lease)
        return found
