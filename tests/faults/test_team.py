"""
On PostgreSQL and S3, nothing is lost and nothing is paid twice: when connections are cut, the
database restarts, the bucket answers badly, programs are stopped, and replicas share a session.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import http.client
import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from imagesession import Budget, Studio
from imagesession._store.files import atomic_write
from imagesession.errors import InvalidImageError, StorageError, StorageIOError
from imagesession.testing import serve
from tests import team_servers
from tests.clock import HoldingProvider, wait_for
from tests.team_servers import Servers

team_servers.skip_if_missing(whole_module=True)
import psycopg  # noqa: E402 - of an extra

from imagesession._store.team import blobs  # noqa: E402
from imagesession._store.team.database import Database  # noqa: E402
from imagesession._store.team.facts import TeamFacts  # noqa: E402
from imagesession._store.team.library import TeamLibrary  # noqa: E402

_REPLICA = """
import sys
from imagesession import Studio
library, url, count = sys.argv[1:]
session = Studio(library, api_key="x", base_url=url).open("Tea")
for number in range(int(count)):
    session.generate(f"version {number}")
"""
_ONE_MORE = """
import sys
from imagesession import Studio
try:
    Studio(sys.argv[1], api_key="x", base_url=sys.argv[2]).open("Tea").generate("bluer")
except Exception as error:
    print(type(error).__name__)
"""
_WORKER = """
import logging, runpy
logging.basicConfig()
logging.getLogger("procrastinate").setLevel(logging.INFO)
runpy.run_module("imagesession.worker", run_name="__main__")
"""


@pytest.fixture
def servers() -> Servers:
    """
    The servers of this run.
    """
    return team_servers.servers()


@pytest.fixture
def url(servers: Servers) -> Iterator[str]:
    """
    The URL of an empty library, whose leases last for a second.
    """
    made = servers.new_library()
    yield f"{made}&lease=1"
    servers.drop_library(made)


@pytest.fixture
def many(pytestconfig: pytest.Config) -> bool:
    """
    Whether there is time for every case.
    """
    return bool(pytestconfig.getoption("--faults"))


def check(studio: Studio, provider: HoldingProvider, images: int) -> None:
    """
    Check that every paid image is there once, in records, index, sums and bucket.
    """
    studio.recover()
    assert studio.requests.pending() == ()
    assert provider.posts == images
    listed = studio.images.list(limit=10_000)
    assert len({image.id for image in listed}) == images
    assert studio.costs().total.images == images
    assert all(image.bytes for image in listed)
    assert studio.doctor(verify=True).ok


# --- replicas ---------------------------------------------------------------------------------


@pytest.mark.faults
def test_replicas_share_a_session(url: str) -> None:
    """
    Three programs that go on with one session at the same time make each turn once.
    """
    provider, count = HoldingProvider(), 30
    with serve(provider) as served, Studio(url, api_key="x", base_url=served.base_url) as studio:
        session = studio.session("Logo", name="Tea")
        command = [sys.executable, "-c", _REPLICA, url, served.base_url, str(count)]
        replicas = [subprocess.Popen(command) for _ in range(3)]
        assert [replica.wait(500) for replica in replicas] == [0] * 3
        assert len(session.turns()) <= 3 * count
        check(studio, provider, 3 * count)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGSTOP")
def test_paused_replica_is_fenced_off(url: str) -> None:
    """
    A program that was paused for longer than its lease overwrites nothing of what another one has
    settled meanwhile.
    """
    provider = HoldingProvider()
    with serve(provider) as served, Studio(url, api_key="x", base_url=served.base_url) as studio:
        session = studio.session("Logo", name="Tea")
        provider.hold()
        command = [sys.executable, "-c", _ONE_MORE, url, served.base_url]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as replica:
            wait_for(lambda: any(item.response_id for item in studio.requests.pending()))
            os.kill(replica.pid, signal.SIGSTOP)
            try:
                wait_for(lambda: not studio.requests.pending()[0].running)
                provider.finish()
                (image,) = studio.recover().images
            finally:
                os.kill(replica.pid, signal.SIGCONT)
            output, _ = replica.communicate(timeout=60)
            assert output
        assert [turn.images[0].id for turn in session.turns()] == [image.id]
        check(studio, provider, 1)


@pytest.mark.faults
def test_lease_is_renewed_while_an_image_takes_long(url: str) -> None:
    """
    A request that is under way for longer than a lease stays with its program.
    """
    provider = HoldingProvider()
    with serve(provider) as served, Studio(url, api_key="x", base_url=served.base_url) as studio:
        studio.session("Logo", name="Tea")
        provider.hold()
        command = [sys.executable, "-c", _ONE_MORE, url, served.base_url]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as replica:
            wait_for(lambda: any(item.response_id for item in studio.requests.pending()))
            end = time.monotonic() + 2.5
            while time.monotonic() < end:
                assert studio.requests.pending()[0].running
                time.sleep(0.1)
            provider.finish()
            assert replica.communicate(timeout=60)[0] == b""
        check(studio, provider, 1)


def test_clock_of_a_replica_does_not_matter(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Ids and times come from the database's clock: turns sort in the order in which they were made,
    on machines whose clocks are an hour apart.
    """
    right, right_ns = time.time, time.time_ns
    with Studio.offline(url) as studio:
        session = studio.session("Logo")
        made = [session.generate("a teapot").id]
        for ahead in (3600.0, -3600.0):
            monkeypatch.setattr(time, "time", lambda ahead=ahead: right() + ahead)
            nanoseconds = int(ahead * 1e9)
            monkeypatch.setattr(time, "time_ns", lambda ahead=nanoseconds: right_ns() + ahead)
            made.append(session.generate("bluer").id)
        monkeypatch.undo()
        assert [image.id for image in session.images()] == made == sorted(made)
        spread = [turn.started.timestamp() - right() for turn in session.turns()]
        assert max(map(abs, spread)) < 600


# --- connections --------------------------------------------------------------------------------


class Cut:
    """
    Cuts the connection at a step: before a statement or commit arrives, or before its answer does.
    """

    def __init__(self, step: int, *, before: bool) -> None:
        self.step = step
        self.before = before
        self.count = -1

    def __call__(self, connection: Any, perform: Callable[[], Any]) -> Any:
        """
        Perform a step on a connection.
        """
        self.count += 1
        if self.count != self.step:
            return perform()
        if not self.before:
            perform()
        connection.close()
        raise psycopg.OperationalError("the connection is closed: cut")


@contextlib.contextmanager
def cutting(cut: Any) -> Generator[None, None, None]:
    """
    Let `cut` perform all statements and commits of this process.
    """
    execute, commit = psycopg.Cursor.execute, psycopg.Connection.commit

    def execute_or_cut(cursor: Any, *args: Any, **kwargs: Any) -> Any:
        return cut(cursor.connection, lambda: execute(cursor, *args, **kwargs))

    def commit_or_cut(connection: Any) -> Any:
        return cut(connection, lambda: commit(connection))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", execute_or_cut)
        patch.setattr(psycopg.Connection, "commit", commit_or_cut)
        yield


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_connection_is_cut_at_every_step(
    url: str, monkeypatch: pytest.MonkeyPatch, *, before: bool, many: bool
) -> None:
    """
    Wherever the connection is cut, the call succeeds, and what was committed is not done again.
    """
    now = dt.datetime.now(dt.UTC)

    def known_time(_: object) -> dt.datetime:
        return now  # it is asked for once a minute, and so no step

    monkeypatch.setattr(TeamFacts, "now", known_time)
    with Studio.offline(url) as studio:
        session = studio.session("Logo")
        session.generate("a teapot")
        made, step = 1, 0
        while True:
            cut = Cut(step, before=before)
            with cutting(cut):
                session.generate("bluer")
            made += 1
            if cut.count < step:
                break
            step += 1 if many else 3
        assert step > 6
        assert len(session.turns()) == made == studio.costs().total.images
        assert studio.requests.pending() == ()
        assert studio.doctor().ok


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_transaction_is_cut_at_every_step(url: str, *, before: bool) -> None:
    """
    With a budget, an intent is written in a transaction: if that is cut, nothing is sent, or it
    is known to be there; nothing is sent twice, and all that was reserved is released.
    """
    provider = HoldingProvider()
    with Studio.offline(url, provider=provider, budget=Budget(per_day=100)) as studio:
        studio.generate("a teapot")
        made, step, failed = 1, 0, 0
        while True:
            cut = Cut(step, before=before)
            with cutting(cut):
                try:
                    studio.generate("a teapot")
                    made += 1
                except StorageError:
                    failed += 1
            if cut.count < step:
                break
            step += 1
        assert provider.posts == made
        check(studio, provider, made)


class OwnCluster:
    """
    A cluster that a test may restart; the bucket is that of the other tests.
    """

    def __init__(self, folder: Path) -> None:
        self.data, self.port = folder / "data", team_servers.free_port()
        self._restarting = threading.Lock()  # a thread that renews leases takes steps, too
        team_servers.make_cluster(self.data)
        self.server = team_servers.start_postgres(self.data, self.port)

    def restart(self) -> None:
        """
        Stop it at once, as `pg_ctl -m immediate` does, and start it.
        """
        with self._restarting:
            self.server.send_signal(signal.SIGQUIT)
            self.server.wait()
            self.server = team_servers.start_postgres(self.data, self.port)

    def stop(self) -> None:
        """
        Stop it.
        """
        self.server.send_signal(signal.SIGQUIT)
        self.server.wait()


@pytest.fixture
def cluster(servers: Servers) -> Iterator[OwnCluster]:
    """
    A cluster for one test.
    """
    del servers
    folder = Path(team_servers.open_folder())
    team_servers.give_to_postgres(folder)
    made = OwnCluster(folder)
    yield made
    made.stop()


def test_database_restarts_at_every_step(cluster: OwnCluster, url: str, *, many: bool) -> None:
    """
    If PostgreSQL is restarted at any step of a turn, the call waits for it and succeeds, and the
    image is paid once.
    """
    bucket = url.split("?blobs=")[1].split("&", maxsplit=1)[0]
    library = f"postgresql://postgres@127.0.0.1:{cluster.port}/postgres?blobs={bucket}/own"
    provider = HoldingProvider()
    with Studio.offline(library, provider=provider) as studio:
        studio.generate("a teapot")
        made, step = 1, 0
        while True:
            number = iter(range(10**6))

            def restart(
                _: Any, perform: Callable[[], Any], step: int = step, number: Any = number
            ) -> Any:
                at = next(number)
                if at == step:
                    cluster.restart()
                done = perform()
                if at == step - 1:
                    cluster.restart()
                return done

            with cutting(restart):
                studio.generate("a teapot")
            made += 1
            if next(number) <= step:
                break
            step += 2 if many else 5
        check(studio, provider, made)


def test_database_is_away_for_longer_than_a_call_waits(
    cluster: OwnCluster, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    If PostgreSQL stays away once an image is paid, the error says where the image is, and it is
    fetched without paying when the database is back.
    """
    bucket = url.split("?blobs=")[1].split("&", maxsplit=1)[0]
    library = f"postgresql://postgres@127.0.0.1:{cluster.port}/postgres?blobs={bucket}/own&lease=1"
    provider = HoldingProvider()
    with Studio.offline(library, provider=provider) as studio:
        studio.generate("a teapot")
        settle = TeamFacts.settle

        def stop_and_settle(facts: Any, *args: Any) -> Any:
            cluster.stop()
            monkeypatch.setattr(Database, "_again", _impatient(vars(Database)["_again"]))
            return settle(facts, *args)

        monkeypatch.setattr(TeamFacts, "settle", stop_and_settle)
        with pytest.raises(StorageError) as caught:
            studio.generate("a cup")
        assert caught.value.kept  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
        monkeypatch.undo()
        cluster.server = team_servers.start_postgres(cluster.data, cluster.port)
        wait_for(lambda: not any(item.running for item in studio.requests.pending()))
        check(studio, provider, 2)


def _impatient(method: Callable[..., Any]) -> Callable[..., Any]:
    def call(database: Database, attempt: Callable[[], Any], _: float) -> Any:
        return method(database, attempt, 0.2)

    return call


# --- the bucket ---------------------------------------------------------------------------------


class BadBucket:
    """
    Stands before the S3 server, and answers some requests badly.

    Args:
        server: The URL of the server.
    """

    def __init__(self, server: str) -> None:
        address = urlsplit(server).netloc
        self.faults: list[str] = []
        self.drops: tuple[str, ...] = ()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *_: object) -> None:
                """
                Write no log.
                """

            def answer(self) -> None:
                """
                Pass a request on, unless a fault is due.
                """
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                is_image = self.command == "PUT" and "/images/" in self.path
                fault = outer.faults.pop(0) if outer.faults and is_image else ""
                if fault.isdecimal():
                    self.send_response(int(fault))
                    self.send_header("content-length", "0")
                    self.end_headers()
                    return
                names = [name for name in self.headers if name.lower() not in outer.drops]
                headers = {name: self.headers[name] for name in names}
                upstream = http.client.HTTPConnection(address)
                upstream.request(self.command, self.path, body, headers)
                reply = upstream.getresponse()
                data = reply.read()
                upstream.close()
                if fault.startswith("slow"):
                    time.sleep(float(fault.removeprefix("slow")))
                if fault == "lost":
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.getheaders():
                    if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                        self.send_header(name, value)
                length = reply.getheader("content-length") if self.command == "HEAD" else None
                self.send_header("content-length", length or str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815 - their names

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def bucket(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[BadBucket]:
    """
    A bad bucket, which new studios use.
    """
    made = BadBucket(servers.s3)
    monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.mark.parametrize(
    "faults",
    [
        ["500"], ["503", "503"], ["409"], ["409", "409", "500"], ["lost"], ["lost", "500"],
        ["503", "lost", "503"],
    ],
    ids="-".join,
)  # fmt: skip
def test_bucket_answers_badly(url: str, bucket: BadBucket, faults: list[str]) -> None:
    """
    Errors of the bucket that pass, and lost answers, are survived: the image is there, paid once.
    """
    provider = HoldingProvider()
    with Studio.offline(url, provider=provider) as studio:
        bucket.faults = list(faults)
        studio.generate("a teapot")
        assert bucket.faults == []
        check(studio, provider, 1)


@pytest.mark.faults
def test_bucket_is_slow(url: str, bucket: BadBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A bucket may answer later than a lease lasts, as that is renewed meanwhile, or later than
    anybody waits: the image is written again, there once, and paid once.
    """
    provider = HoldingProvider()
    for slow, patience in [("slow2.5", "60s"), ("slow2", "1s")]:
        monkeypatch.setitem(blobs._CLIENT, "timeout", patience)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        with Studio.offline(url, provider=provider) as studio, Studio.offline(url) as other:
            bucket.faults = [slow]
            making = threading.Thread(target=studio.generate, args=["a teapot"])
            making.start()
            while making.is_alive():
                assert other.recover(timeout=0).images == ()  # it is not taken over
                making.join(0.2)
            assert bucket.faults == []
            check(studio, provider, provider.posts)


@pytest.mark.parametrize("status", ["403", "412"])
@pytest.mark.parametrize("full", [False, True], ids=["", "and-the-disk-is-full"])
def test_bucket_that_refuses_loses_nothing(
    url: str, bucket: BadBucket, monkeypatch: pytest.MonkeyPatch, status: str, *, full: bool
) -> None:
    """
    If the bucket takes no image, the error says where it was kept, or has it if the disk of this
    machine is full, too; and it is fetched later.
    """
    provider = HoldingProvider()
    with Studio.offline(url, provider=provider) as studio:
        bucket.faults = [status] * 2
        with monkeypatch.context() as patch:
            if full:
                fill_disk(patch)
            with pytest.raises(StorageIOError) as caught:
                studio.generate("a teapot")
        assert bool(caught.value.unsaved) == full
        assert bool(caught.value.kept) != full
        bucket.faults = []
        wait_for(lambda: not any(item.running for item in studio.requests.pending()))
        check(studio, provider, 1)


def fill_disk(patch: pytest.MonkeyPatch) -> None:
    """
    Let no file on this machine be written.
    """

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch.setattr(atomic_write, "_write_all", fail)


def test_full_disk_of_a_machine_is_not_needed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    If the disk of a machine is full, it makes and reads images as before; only for a copy that is
    to be a file there is no room, which the error says.
    """
    provider = HoldingProvider()
    with Studio.offline(url, provider=provider) as studio, monkeypatch.context() as patch:
        fill_disk(patch)
        image = studio.generate("a teapot")
        check(studio, provider, 1)
        with pytest.raises(StorageIOError, match="make room"):
            _ = image.path
        patch.undo()
        assert image.path.read_bytes() == image.bytes


@contextlib.contextmanager
def worker(
    url: str, base_url: str, blocks: str = "unlimited"
) -> Generator[subprocess.Popen[str], None, None]:
    """
    Run a worker, which logs why it tries again, until the end of a block at most.

    Args:
        url: The library.
        base_url: The provider.
        blocks: How many blocks a file that it writes may have; 0 is a full disk.
    """
    shell = ["sh", "-c", 'ulimit -f "$0" && exec "$@"', blocks]
    environment = {**os.environ, "OPENAI_API_KEY": "x", "OPENAI_BASE_URL": base_url}
    with subprocess.Popen(
        [*shell, sys.executable, "-c", _WORKER, url],
        env=environment, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no ulimit")
@pytest.mark.parametrize("elsewhere", [False, True], ids=["later", "elsewhere"])
def test_worker_whose_disk_is_full_loses_nothing(
    url: str, bucket: BadBucket, servers: Servers, *, elsewhere: bool
) -> None:
    """
    If neither the bucket nor the disk of a worker takes its images, their jobs are tried again, by
    that worker once the bucket takes them, or by another one: each is there once, and paid once.
    """
    pytest.importorskip("procrastinate")
    provider = HoldingProvider()
    name = url.partition("?")[0].rpartition("/")[2]

    def attempts() -> list[int]:
        return [row[0] for row in servers.execute("SELECT attempts FROM procrastinate_jobs", name)]

    with serve(provider) as served, Studio(url, api_key="x", base_url=served.base_url) as studio:
        queue = studio.queue(["a fox", "an owl", "a mug"], name="full", quality="low")
        bucket.faults = ["403"] * 1000
        with worker(url, served.base_url, blocks="0") as full:
            wait_for(lambda: min(attempts()) > 0)
            if elsewhere:
                full.terminate()
                assert full.wait(60) == 0
            bucket.faults = []
            with worker(url, served.base_url) if elsewhere else contextlib.nullcontext():
                images = queue.wait(timeout=300, progress=False).images
            full.kill()
            assert full.stderr is not None
            assert "could not be saved elsewhere either" in full.stderr.read()
        assert [image.prompt for image in images] == ["a fox", "an owl", "a mug"]
        check(studio, provider, 3)


def test_bucket_may_ignore_conditions(url: str, bucket: BadBucket) -> None:
    """
    A server that ignores conditions is told by `doctor`; everything works on it.
    """
    bucket.drops = ("if-none-match", "if-match")
    provider = HoldingProvider()
    with Studio.offline(url, provider=provider) as studio:
        studio.generate("a teapot")
        assert "ignores conditions" in studio.doctor().check("bucket").message
        check(studio, provider, 1)


def test_check_notices_a_lost_image(url: str) -> None:
    """
    The checks of this file work: an image that is gone from the bucket, and one that was paid
    twice, are noticed.
    """
    provider = HoldingProvider()
    with Studio.offline(url, provider=provider) as studio:
        image = studio.generate("a teapot")
        check(studio, provider, 1)
        with pytest.raises(AssertionError):
            check(studio, provider, 2)
        TeamLibrary(url).blobs.drop(image.record.file)
        with pytest.raises(InvalidImageError):
            check(studio, provider, 1)
