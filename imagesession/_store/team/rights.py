"""
Rights in PostgreSQL: rows that say until when, by the database's clock, and under which number.

A lease is renewed by the one thread that a process has for that, as long as it is held; it ends by
itself when the process dies, or is cut off for longer than a lease. Whoever takes it over writes a
number of its own, so that nothing is settled under the earlier one.

Renewing and releasing need not be flushed: if the server loses that in a crash, a lease ends
earlier or later, under its number.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import threading
import time
from collections import deque
from collections.abc import Collection, Mapping
from typing import Any

import attrs
import sqlalchemy as sa

from imagesession._store.forks import abandoned_in_forks
from imagesession._store.ports import Rights
from imagesession.errors import StorageError

from .database import Database


@attrs.frozen(eq=False)
class TeamLease:
    """
    A right that this process holds.

    If a call is interrupted before it receives its lease, nothing can release it. So it is released
    when it is garbage-collected, too.
    """

    rights: TeamRights = attrs.field(repr=False)
    fence: int

    @property
    def is_held(self) -> bool:
        return self.rights.is_renewed(self.fence)

    def release(self) -> None:
        """
        Give the right back; if the database cannot be reached, it ends by itself.
        """
        if self.rights.forget(self.fence):
            with contextlib.suppress(StorageError):
                self.rights.delete((self.fence,))

    def __del__(self) -> None:
        self.rights.abandon(self.fence)


class TeamRights(Rights):
    """
    The rights that this process holds or asks for in a library, and what renews them.

    Args:
        database: The library's database.
        seconds: How long a lease lasts without being renewed.
    """

    def __init__(self, database: Database, seconds: float) -> None:
        self.database = database
        self._seconds = seconds
        self.forget_all()
        _instances.add(self)

    def forget_all(self) -> None:
        """
        Know of no lease: at the beginning, and in a fork, as they belong to the parent.
        """
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        # Until when each lease is held at least, by this machine's steady clock.
        self._until: dict[int, float] = {}
        self._abandoned: deque[int] = deque()

    def hold(self, name: str, places: int = 1) -> TeamLease | None:
        self._collect()
        fence = secrets.randbits(63)
        values = {"name": _digest(name), "places": places, "fence": fence, "seconds": self._seconds}
        while True:
            asked = time.monotonic()
            if self._scalar(_HOLD, values) is not None:
                lease = TeamLease(self, fence)
                self._renew_from(fence, asked)
                return lease
            if self._scalar(_COUNT, values) >= places:
                return None  # otherwise another program took the place that was tried

    def is_held(self, name: str) -> bool:
        try:
            return bool(self._scalar(_COUNT, {"name": _digest(name), "places": 1}))
        except StorageError:
            return True

    def next_time(self, name: str, interval: float = 0.0, max_wait: float = 0.0) -> float:
        values = {"name": _digest(name), "interval": interval, "max_wait": max_wait}
        wait = self._scalar(_TAKE_TURN, values) if interval else None
        if wait is None:
            wait = self._scalar(_REMAINING, values)
        return max(0.0, float(wait or 0.0))

    def postpone(self, name: str, seconds: float) -> None:
        with contextlib.suppress(StorageError):
            self._scalar(_POSTPONE, {"name": _digest(name), "seconds": seconds})

    def forget_old(self) -> None:
        """
        Delete the rows of leases that ended days ago, which nobody will renew.
        """
        self.database.run(lambda connection: connection.execute(_FORGET), apart=True)

    def close(self) -> None:
        """
        Delete the leases that were abandoned.
        """
        with contextlib.suppress(StorageError):
            self._collect()

    # --- leases that are held ---------------------------------------------------------------------

    def _renew_from(self, fence: int, since: float) -> None:
        """
        Renew a lease from now on, which was asked for at a time of the steady clock.
        """
        with self._lock:
            self._until[fence] = since + self._seconds
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
                self._thread.start()

    def is_renewed(self, fence: int) -> bool:
        """
        Tell whether a lease was renewed in time, and not released.
        """
        return self._until.get(fence, 0.0) > time.monotonic()

    def forget(self, fence: int) -> bool:
        """
        Renew a lease no longer; tell whether it was renewed until now.
        """
        return self._until.pop(fence, None) is not None

    def abandon(self, fence: int) -> None:
        """
        Forget a lease, and delete it later: garbage may be collected in the midst of anything, so
        no lock is taken here.
        """
        if self.forget(fence):
            self._abandoned.append(fence)

    def delete(self, fences: Collection[int]) -> None:
        values = {"fences": list(fences)}
        self.database.run(lambda connection: connection.execute(_DELETE, values), apart=True)

    def _collect(self) -> None:
        """
        Delete the leases that were abandoned.
        """
        abandoned: list[int] = []
        with contextlib.suppress(IndexError):
            while True:
                abandoned.append(self._abandoned.popleft())
        if abandoned:
            self.delete(abandoned)

    def _run(self) -> None:
        while True:
            time.sleep(self._seconds / 5)
            with contextlib.suppress(StorageError):
                self._collect()
                self._renew()
            with self._lock:
                if not self._until and not self._abandoned:
                    self._thread = None
                    return

    def _renew(self) -> None:
        """
        Renew all leases; those that another program has taken over are lost.
        """
        asked, fences = time.monotonic(), list(self._until)
        if not fences:
            return
        values = {"fences": fences, "seconds": self._seconds}
        rows = self.database.all(_RENEW, values, patience=0.0, apart=True)
        renewed = {row[0] for row in rows}
        for fence in fences:
            if fence not in renewed:
                self.forget(fence)
            elif fence in self._until:
                self._until[fence] = asked + self._seconds

    def _scalar(self, statement: sa.TextClause, values: Mapping[str, object]) -> Any:  # noqa: ANN401 - a column
        rows = self.database.all(statement, values, apart=True)
        return rows[0][0] if rows else None


_NO_FLUSH = "fast AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))"
# An attempt whose answer was lost is repeated with the same number, and gets the same place.
_HOLD = sa.text("""
    INSERT INTO rights AS held (name, place, fence, until)
    SELECT :name, place, :fence, clock_timestamp() + :seconds * interval '1 second'
    FROM generate_series(0, :places - 1) AS place
    WHERE NOT EXISTS (
        SELECT FROM rights AS taken
        WHERE taken.name = :name AND taken.place = place.place
        AND taken.until > clock_timestamp() AND taken.fence <> :fence
    )
    ORDER BY EXISTS (
        SELECT FROM rights AS own
        WHERE own.name = :name AND own.place = place.place AND own.fence = :fence
    ) DESC, random()
    LIMIT 1
    ON CONFLICT (name, place) DO UPDATE SET fence = excluded.fence, until = excluded.until
    WHERE held.until <= clock_timestamp() OR held.fence = excluded.fence
    RETURNING place
""")
_COUNT = sa.text("""
    SELECT count(*) FROM rights
    WHERE name = :name AND place < :places AND until > clock_timestamp()
""")
_RENEW = sa.text(f"""
    WITH {_NO_FLUSH}
    UPDATE rights SET until = clock_timestamp() + :seconds * interval '1 second' FROM fast
    WHERE fence = ANY(:fences) RETURNING fence
""")  # noqa: S608 - our own words
_DELETE = sa.text(f"""
    WITH {_NO_FLUSH} DELETE FROM rights USING fast WHERE fence = ANY(:fences)
""")  # noqa: S608 - as above
_FORGET = sa.text("DELETE FROM rights WHERE until < clock_timestamp() - interval '2 days'")
_TAKE_TURN = sa.text("""
    INSERT INTO times AS known (name, next)
    VALUES (:name, clock_timestamp() + :interval * interval '1 second')
    ON CONFLICT (name) DO UPDATE
    SET next = greatest(known.next, clock_timestamp()) + :interval * interval '1 second'
    WHERE known.next <= clock_timestamp() + :max_wait * interval '1 second'
    RETURNING extract(epoch FROM next - clock_timestamp()) - :interval
""")
_REMAINING = sa.text(
    "SELECT extract(epoch FROM next - clock_timestamp()) FROM times WHERE name = :name"
)
_POSTPONE = sa.text("""
    INSERT INTO times AS known (name, next)
    VALUES (:name, clock_timestamp() + :seconds * interval '1 second')
    ON CONFLICT (name) DO UPDATE SET next = greatest(known.next, excluded.next)
    RETURNING 1
""")


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]


_instances = abandoned_in_forks(TeamRights.forget_all)
