"""
PostgreSQL and a server of S3's protocol for tests: one of each a run, started when the first test
needs them, and stopped when the run has ended, however it ended.

A process of its own starts them in a temporary folder, and watches the run.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Generator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs
import pytest

FOLDER = "IMAGESESSION_TEST_SERVERS"
FLUSH = "IMAGESESSION_TEST_FLUSH"
"""Whether PostgreSQL flushes the disk, for measurements; tests only kill processes."""
ROOT = Path(__file__).parent.parent
_TEMPLATE = "library_template"
_START_SECONDS = 60.0
_children: list[subprocess.Popen[bytes]] = []


@attrs.frozen
class Servers:
    """
    The servers of this run.

    Attributes:
        port: PostgreSQL's port on 127.0.0.1; the role `postgres` needs no password, and the role
            `guarded` has the password "canary-5ecret".
        data: The folder of its cluster.
        s3: The URL of the S3 server.
    """

    port: int
    data: str
    s3: str

    def new_library(self, template: str = _TEMPLATE) -> str:
        """
        Make an empty database with a library's tables, and a bucket; return the library's URL.
        """
        name = f"t{uuid.uuid4().hex[:16]}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        bucket = urllib.request.Request(f"{self.s3}/{name}", method="PUT")  # noqa: S310 - ours
        urllib.request.urlopen(bucket).close()  # noqa: S310 - ours
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}?blobs=s3://{name}/pictures"

    def drop_library(self, url: str) -> None:
        """
        Remove its database; connections to it end.
        """
        name = url.split("?", maxsplit=1)[0].rpartition("/")[2]
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        """
        Execute a statement as the superuser.
        """
        import psycopg  # noqa: PLC0415 - only where there is a server

        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname=database, autocommit=True
        ) as connection:
            found = connection.execute(statement.encode())
            return found.fetchall() if found.description else []


def announce() -> None:
    """
    Choose the folder of this run, before its workers start.
    """
    folder = f"{tempfile.gettempdir()}/imagesession-{os.getpid()}"
    os.environ.setdefault(FOLDER, folder)


def skip_if_missing(*, whole_module: bool = False) -> None:
    """
    Skip a test, or a module of them, where there can be no servers; where all tests have to run,
    fail.
    """
    missing = [name for name in ("sqlalchemy", "psycopg", "obstore", "moto") if not find_spec(name)]
    if find_program("postgres") is None:
        missing.append("PostgreSQL (apt install postgresql)")
    if missing and "CI" in os.environ:
        pytest.fail(f"not installed: {', '.join(missing)}")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}", allow_module_level=whole_module)


def servers() -> Servers:
    """
    Return the servers of this run; start them, if no worker has.
    """
    announce()
    folder = Path(os.environ[FOLDER])
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o755)
        watched = folder.name.split("-")[1]
        command = [sys.executable, "-m", "tests.team_servers", str(folder), watched]
        with (folder / "log").open("wb") as log:
            environment = {**os.environ, "TMPDIR": str(folder.parent)}
            started = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        _children.append(started)  # it outlives this process
    end = time.monotonic() + _START_SECONDS
    while not (folder / "ready.json").exists():
        if time.monotonic() > end or (folder / "failed").exists():
            raise RuntimeError((folder / "log").read_text("utf-8", "replace"))
        time.sleep(0.02)
    found = Servers(**json.loads((folder / "ready.json").read_text("utf-8")))
    os.environ.update(
        AWS_ENDPOINT_URL=found.s3,
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",  # noqa: S106 - of a server on this machine
        AWS_REGION="us-east-1",
    )
    return found


@contextlib.contextmanager
def in_place_of_folders() -> Generator[Callable[[Any], str], None, None]:
    """
    Yield what returns the URL of a library for a folder, the same one each time.
    """
    skip_if_missing()
    urls: dict[str, str] = {}

    def place(library: Any) -> str:
        folder = str(library)
        if "://" not in folder and folder not in urls:
            urls[folder] = servers().new_library()
        return urls.get(folder, folder)

    yield place
    for url in urls.values():
        servers().drop_library(url)


# --- the process that runs them ---------------------------------------------------------------


def find_program(name: str) -> str | None:
    """
    Return the path of one of PostgreSQL's programs; Debian keeps them apart by version.
    """
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(versions[-1]) if versions else shutil.which(name)


def find_pgbouncer() -> str | None:
    """
    Return the path of PgBouncer, if it is installed.
    """
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def open_folder() -> str:
    """
    Return a folder of this run that PostgreSQL's user may read.
    """
    folder = tempfile.mkdtemp(dir=os.environ[FOLDER])
    Path(folder).chmod(0o755)
    return folder


def free_port() -> int:
    """
    Return a port that is free now.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def as_postgres() -> dict[str, Any]:
    """
    Return how a process is started that may not be root.
    """
    if os.geteuid() != 0:
        return {}
    return {"user": "postgres", "group": "postgres", "extra_groups": []}


def give_to_postgres(folder: Path) -> None:
    """
    Let PostgreSQL's user write a folder.
    """
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")


def start_postgres(data: Path, port: int) -> subprocess.Popen[bytes]:
    """
    Start the server on a cluster; wait until it answers.
    """
    options = {
        "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": data.parent,
        "fsync": os.environ.get(FLUSH, "off"), "max_connections": 200,
    }  # fmt: skip
    command = [str(find_program("postgres")), "-D", str(data)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    server = subprocess.Popen[bytes](command, cwd=data.parent, **as_postgres())
    wait_for_port(port)
    return server


def wait_for_port(port: int) -> None:
    """
    Wait until a PostgreSQL server, or a pooler, answers.
    """
    ready = [str(find_program("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(port)]
    end = time.monotonic() + _START_SECONDS
    while subprocess.run(ready, check=False).returncode:
        assert time.monotonic() < end, "PostgreSQL does not answer"
        time.sleep(0.05)


def make_cluster(data: Path) -> None:
    """
    Make an empty cluster whose superuser needs no password.
    """
    command = [str(find_program("initdb")), "-D", str(data), "-U", "postgres", "-A", "trust"]
    command += ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
    subprocess.run(command, cwd=data.parent, check=True, stdout=subprocess.DEVNULL, **as_postgres())
    access = data / "pg_hba.conf"
    access.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{access.read_text()}")


def _serve(folder: Path, watched: int) -> None:
    import logging  # noqa: PLC0415 - of this process alone

    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - slow to import

    # Apart, as PostgreSQL's own user has to come in.
    cluster = Path(tempfile.mkdtemp(prefix="imagesession-postgres-"))
    give_to_postgres(cluster)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    s3 = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    s3.start()
    make_cluster(cluster / "data")
    port = free_port()
    postgres = start_postgres(cluster / "data", port)
    try:
        host, s3_port = s3.get_host_and_port()
        started = Servers(port, str(cluster / "data"), f"http://{host}:{s3_port}")
        _prepare(started)
        unfinished = folder / "unfinished"
        unfinished.write_text(json.dumps(attrs.asdict(started)), "utf-8")
        unfinished.rename(folder / "ready.json")
        with contextlib.suppress(ProcessLookupError):
            while True:
                os.kill(watched, 0)  # asks whether it is there
                time.sleep(0.2)
    finally:
        _stop(cluster, postgres)
        shutil.rmtree(cluster, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(started: Servers) -> None:
    from imagesession._store.team.migrate import print_upgrade  # noqa: PLC0415 - only where it runs

    started.execute("CREATE ROLE guarded LOGIN PASSWORD 'canary-5ecret'")
    started.execute(f"CREATE DATABASE {_TEMPLATE}")
    started.execute("CREATE DATABASE nothing")
    started.execute(print_upgrade(), _TEMPLATE)
    started.drop_library(started.new_library())  # the first bucket takes a second


def _stop(cluster: Path, postgres: subprocess.Popen[bytes]) -> None:
    # A test may have restarted it.
    with contextlib.suppress(OSError, ValueError):
        number = int((cluster / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(number, 3)  # SIGQUIT: at once
    with contextlib.suppress(subprocess.TimeoutExpired):
        postgres.wait(10)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    try:
        _serve(place, int(sys.argv[2]))
    except BaseException:
        place.mkdir(exist_ok=True)
        (place / "failed").touch()
        raise
