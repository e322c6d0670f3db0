"""
Connections to the database: at most four a process, used for one transaction each.

If a connection is lost before its transaction was committed, the work is done again on another one;
if it is lost while the commit is under way, the database is asked what became of it. So nothing is
done twice, whatever happens to connections and to the server.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, NoReturn, TypeAlias, TypeVar
from weakref import WeakKeyDictionary, finalize

import psycopg
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from imagesession._store.forks import abandoned_in_forks
from imagesession.errors import StorageIOError

from .address import TeamAddress

MAX_CONNECTIONS = 4
PATIENCE = 30.0
"""Seconds for which a lost connection is made again, such as while the server restarts."""
_POOL_SECONDS = 60.0
_LONGEST_PAUSE = 1.0
_AGAIN = frozenset({"40001", "40P01"})  # a deadlock, or a transaction that another one overtook
_READ_ONLY = frozenset({"25006", "42501"})
# Said while a server starts, stops, or has no connection left: https://www.postgresql.org/docs/current/errcodes-appendix.html
_UNAVAILABLE = frozenset({"57P01", "57P02", "57P03", "53300"})
_NOT_YET = (
    "starting up",
    "shutting down",
    "recovery mode",
    "refused",
    "too many",
    "timeout",
    "closed",
)
T = TypeVar("T")
Work = Callable[[sa.Connection], T]
_Pools: TypeAlias = "WeakKeyDictionary[psycopg.Connection[Any], sa.Pool]"
Values: TypeAlias = Mapping[str, object] | None


class Database:
    def __init__(self, address: TeamAddress) -> None:
        self.name = address.public

        pools: _Pools = WeakKeyDictionary()

        def connect() -> psycopg.Connection[Any]:
            pool = engine.pool
            # Through PgBouncer, the next transaction may have another server connection, which does
            # not know what was prepared.
            connection = psycopg.connect(prepare_threshold=None, **address.connection())
            pools[connection] = pool
            return connection

        self._engine = engine = sa.create_engine(
            "postgresql+psycopg://",
            creator=connect,
            pool_size=MAX_CONNECTIONS,
            max_overflow=0,
            pool_timeout=_POOL_SECONDS,
            use_native_hstore=False,
        )
        _close_on_return(engine, pools)
        self._direct = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._thread = threading.local()
        # So that threads that wait for a transaction do not hold the connections that it needs.
        self._one_at_a_time = threading.RLock()
        _databases.add(self)
        finalize(self, self._engine.dispose)

    def run(self, work: Work[T], *, patience: float = PATIENCE, apart: bool = False) -> T:
        """
        Do something that may be done twice, each statement in a transaction of its own.

        Args:
            work: What to do.
            patience: Seconds for which it is tried again after a lost connection.
            apart: Whether it is no part of this thread's transaction either.
        """
        if self._current is not None and not apart:
            with self._errors():
                return work(self._current)
        return self._again(lambda: self._run(work), patience)

    def all(
        self,
        statement: sa.Executable,
        values: Values = None,
        *,
        patience: float = PATIENCE,
        apart: bool = False,
    ) -> list[Any]:
        """
        Execute a statement that may be executed twice, and return its rows; see `run`.
        """
        return self.run(
            lambda connection: [*connection.execute(statement, values)],
            patience=patience,
            apart=apart,
        )

    def write(self, work: Work[T]) -> T:
        """
        Do something in one transaction, once or, if this raises, not at all.
        """
        if self._current is not None:
            with self._errors(), self._current.begin_nested():
                return work(self._current)
        return self._again(lambda: self._write(work), PATIENCE)

    @contextlib.contextmanager
    def transaction(self, name: str) -> Generator[None, None, None]:
        """
        Do what this thread writes within a block in one transaction, of which there is one of that
        name at a time. It is committed if the block raises, too.
        """
        if self._current is not None:
            yield
            return
        with self._errors(), self._one_at_a_time, self._engine.connect() as connection:
            begun = self._begin(connection, name)
            self._thread.connection = connection
            try:
                yield
            finally:
                self._thread.connection = None
                self._commit(connection, begun)  # raises if the block lost the connection

    def close(self) -> None:
        """
        Close the connections: those in use as soon as they are not.
        """
        pool = self._engine.pool
        self._engine.dispose()
        pool.dispose()  # what came back meanwhile

    def abandon(self) -> None:
        self._engine.dispose(close=False)
        self._thread = threading.local()
        self._one_at_a_time = threading.RLock()

    # --- one attempt ------------------------------------------------------------------------------

    @property
    def _current(self) -> sa.Connection | None:
        return getattr(self._thread, "connection", None)

    def _run(self, work: Work[T]) -> T:
        with self._direct.connect() as connection:
            return work(connection)

    def _write(self, work: Work[T]) -> T:
        with self._engine.connect() as connection:
            begun = connection.begin()
            result = work(connection)
            self._commit(connection, begun)
            return result

    def _begin(self, connection: sa.Connection, name: str) -> sa.RootTransaction:
        begun = connection.begin()
        number = int.from_bytes(
            hashlib.sha256(name.encode("utf-8", "replace")).digest()[:8], signed=True
        )
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))
        return begun

    def _commit(self, connection: sa.Connection, begun: sa.RootTransaction) -> None:
        ((number, process),) = connection.execute(_IDENTITY)
        try:
            begun.commit()
        except DBAPIError as error:
            if number is None or not _is_lost(error) or not self._was_committed(number, process):
                raise

    def _was_committed(self, number: str, process: int) -> bool:
        """
        Ask what became of a transaction whose commit was not answered.
        """
        values = {"number": number, "process": process}

        def ask() -> bool:
            for pause in _pauses(PATIENCE):
                with self._direct.connect() as connection:
                    state = connection.execute(_STATE, values).scalar_one()
                    if state != "in progress":
                        return bool(state == "committed")
                    # The server does not know that its client is gone, and never got the commit.
                    connection.execute(_END, values)
                time.sleep(pause)
            return False

        return self._again(ask, PATIENCE)

    # --- attempts ---------------------------------------------------------------------------------

    def _again(self, attempt: Callable[[], T], patience: float) -> T:
        with self._errors():
            for pause in _pauses(patience):
                try:
                    return attempt()
                except DBAPIError as error:
                    if not pause or not _may_pass(error):
                        raise
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    @contextlib.contextmanager
    def _errors(self) -> Generator[None, None, None]:
        try:
            yield
        except SQLAlchemyError as error:
            self._raise(error)

    def _raise(self, error: SQLAlchemyError) -> NoReturn:
        """
        Raise what a caller can understand. The cause is the driver's own error, without the
        statement and its parameters.
        """
        cause = getattr(error, "orig", None) or error
        reason = " ".join(str(cause).split()).rstrip(".") or type(cause).__name__
        remedy = _remedy(getattr(cause, "sqlstate", None), reason)
        raise StorageIOError(f"The database {self.name} cannot be used: {reason}. {remedy}") from (
            cause if isinstance(cause, psycopg.Error) else None
        )


_IDENTITY = sa.text("SELECT pg_current_xact_id_if_assigned()::text, pg_backend_pid()")
_STATE = sa.text("SELECT pg_xact_status(CAST(:number AS xid8))")
_END = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE pid = :process AND backend_xid = CAST(CAST(:number AS xid8) AS xid)"
)


def _remedy(state: str | None, reason: str) -> str:
    if state in _READ_ONLY:
        return "What is there can be read; to make images, use a role that may write its tables."
    if "password" in reason:
        return "Check user and password in the address, PGPASSWORD or ~/.pgpass."
    if "does not exist" in reason:
        return "Create it (createdb), or correct the address."
    return "Check that it runs and can be reached, then try again."


def _is_lost(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    return (
        error.connection_invalidated
        or state in _UNAVAILABLE
        or (isinstance(error, (OperationalError, InterfaceError)) and state is None)
    )


def _may_pass(error: DBAPIError) -> bool:
    """
    Tell whether another attempt may succeed: the connection was lost, or there is none yet.
    """
    state = getattr(error.orig, "sqlstate", None)
    if state in _AGAIN or state in _UNAVAILABLE or error.connection_invalidated:
        return True
    reason = str(error.orig)
    return (
        state is None
        and isinstance(error, OperationalError)
        and any(words in reason for words in _NOT_YET)
    )


def _pauses(patience: float) -> Iterator[float]:
    """
    Yield how long to wait after each failed attempt; at the end, 0.
    """
    end, pause = time.monotonic() + patience, 0.05
    while time.monotonic() < end:
        yield pause
        pause = min(_LONGEST_PAUSE, pause * 2)
    yield 0.0


def _close_on_return(engine: sa.Engine, pools: _Pools) -> None:
    """
    Close connections that come back to a pool which was disposed of while they were made or in use,
    as by a thread that renews leases; the pool would only drop them.
    """

    def close_if_old(connection: Any, _record: object) -> None:  # noqa: ANN401 - of any driver
        if connection is not None and pools.get(connection) is not engine.pool:
            connection.close()

    event.listen(engine, "checkin", close_if_old)


_databases = abandoned_in_forks(Database.abandon)
