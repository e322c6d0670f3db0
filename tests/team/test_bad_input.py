"""
What is wrong with the address, the database or the bucket is a typed error that says what to do,
and no message, traceback or log has the password.
"""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import traceback

import pytest

from imagesession import Studio
from imagesession.errors import (
    ImageSessionError,
    InvalidRequestError,
    NotFoundError,
    StorageError,
    StorageIOError,
    UnsupportedFormatVersionError,
)
from imagesession.testing import FakeOpenAI
from tests import team_servers
from tests.sent import posts
from tests.team_servers import Servers

CANARY = "canary-5ecret"


def name_of(url: str) -> str:
    """
    Return the name of a library's database.
    """
    return url.split("?", maxsplit=1)[0].rpartition("/")[2]


def as_guarded(url: str, password: str = CANARY) -> str:
    """
    Return the URL for the role that has a password.
    """
    return url.replace("postgres@", f"guarded:{password}@")


@pytest.mark.parametrize(
    "address, words",
    [
        ("postgresql://u:canary-5ecret@host/db", "blobs=s3://"),
        ("postgresql://u:canary-5ecret@host/db?blobs=/tmp/x", "blobs=s3://"),
        ("postgresql://u:canary-5ecret@host:port/db?blobs=s3://b", "percent-encoded"),
        ("postgresql://u:canary-5ecret@[host/db?blobs=s3://b", "percent-encoded"),
        ("postgresql://u:canary-5ecret@host/db?blobs=s3://b&lease=0", "lease"),
    ],
)
def test_malformed_address(address: str, words: str) -> None:
    """
    An address that cannot be read, or does not say where images are, is refused.
    """
    with pytest.raises(InvalidRequestError, match=words) as caught:
        Studio.offline(address)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_password_is_seen_nowhere(
    url: str, servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    """
    The password is in no repr, address, pickle, statistic, error, traceback or log.
    """
    servers.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO guarded", name_of(url))
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    with Studio.offline(as_guarded(url)) as studio:
        image = studio.generate("a teapot")
        shown += [repr(studio), str(studio.library), repr(image), str(studio.stats())]
        shown += [str(studio.doctor()), str(studio.costs()), repr(pickle.dumps(image)), image.url()]
        shown.append(repr(studio.session("x")))
        servers.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM guarded", name_of(url))
        with pytest.raises(StorageError) as caught:
            studio.generate("a cup")
        shown.append("".join(traceback.format_exception(caught.value)))
    for wrong in (
        as_guarded(url, "wrong-" + CANARY),
        as_guarded(url).replace(name_of(url), "nowhere"),
    ):
        with pytest.raises(StorageIOError) as caught:
            Studio.offline(wrong)
        shown.append("".join(traceback.format_exception(caught.value)))
    shown.append(caplog.text)
    # Of the lines of code in tracebacks, none has it, as it is in a variable.
    assert [text for text in shown if CANARY in text] == []


def test_wrong_password_and_missing_database(url: str, servers: Servers) -> None:
    """
    A wrong password, and a database, server or bucket that is not there, are named at once.
    """
    for address, words in (
        (as_guarded(url, "wrong"), "password"),
        (url.replace(name_of(url) + "?", "nowhere?"), "does not exist"),
        (url.replace(str(servers.port), str(team_servers.free_port())), "refused"),
        (url.replace(f"s3://{name_of(url)}", "s3://nowhere-at-all"), "bucket"),
    ):
        with pytest.raises(StorageIOError, match=words):
            Studio.offline(address)


def test_read_only_role_reads_and_pays_nothing(
    url: str, servers: Servers, provider: FakeOpenAI
) -> None:
    """
    A role that may only read sees all that is there; a request is refused before it is sent.
    """
    with Studio.offline(url) as studio:
        image = studio.generate("a teapot")
    servers.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guarded", name_of(url))
    with Studio.offline(as_guarded(url), provider=provider) as reader:
        assert reader.images.get(image.id).bytes == image.bytes
        assert reader.costs().total.images == 1
        assert reader.doctor().check("library").state == "problem"
        with pytest.raises(StorageIOError, match="may write"):
            reader.generate("a cup")
        assert posts(provider) == []


def test_libraries_do_not_share_a_prefix(url: str, servers: Servers) -> None:
    """
    A prefix belongs to one library, and a library keeps to its prefix.
    """
    other = servers.new_library()
    try:
        Studio.offline(url).close()
        with pytest.raises(StorageIOError, match="another library"):
            Studio.offline(other.replace(f"s3://{name_of(other)}", f"s3://{name_of(url)}"))
        with pytest.raises(StorageIOError, match="keeps its images in"):
            Studio.offline(f"{url}/elsewhere")
    finally:
        servers.drop_library(other)


def test_newer_schema_is_refused(url: str, servers: Servers) -> None:
    """
    A library that a newer version changed is refused, unless that version says that this one can go
    on beside it.
    """
    servers.execute("UPDATE format SET format = 99", name_of(url))
    with Studio.offline(url) as studio:
        assert studio.generate("a teapot").bytes
    servers.execute("UPDATE format SET min_reader = 99", name_of(url))
    with pytest.raises(UnsupportedFormatVersionError, match="pip install"):
        Studio.offline(url)


def test_programs_that_start_together_migrate_once(servers: Servers) -> None:
    """
    Four programs that open an empty database at once make its tables once, and all of them go on.
    """
    url = servers.new_library("nothing")
    code = "import sys; from imagesession import Studio; Studio.offline(sys.argv[1]).session('x')"
    try:
        programs = [subprocess.Popen([sys.executable, "-c", code, url]) for _ in range(4)]
        assert [program.wait(120) for program in programs] == [0] * 4
        assert servers.execute("SELECT count(*) FROM library", name_of(url)) == [(1,)]
        with Studio.offline(url) as studio:
            assert len(studio.sessions.list()) == 4
    finally:
        servers.drop_library(url)


def test_half_made_schema_is_an_error(servers: Servers) -> None:
    """
    Tables of somebody else, or left from an interrupted change, are a typed error, and stay.
    """
    url = servers.new_library("nothing")
    try:
        servers.execute("CREATE TABLE facts (id text)", name_of(url))
        with pytest.raises(StorageIOError, match="already exists"):
            Studio.offline(url)
        assert servers.execute("SELECT to_regclass('rights')", name_of(url)) == [(None,)]
    finally:
        servers.drop_library(url)


def test_pickle_of_another_library_is_refused(url: str, servers: Servers) -> None:
    """
    An image whose library is gone is not found, with a typed error.
    """
    with Studio.offline(url) as studio:
        image = studio.generate("a teapot")
        unpickle, arguments = image.__reduce__()
        servers.execute("TRUNCATE facts, turns, images, totals", name_of(url))
        with pytest.raises((NotFoundError, ImageSessionError)):
            unpickle(*arguments)


def test_fork_is_told_what_to_do(url: str) -> None:
    """
    A process that was forked from one that used S3 gets an error, and does not hang.
    """
    code = """
import os, sys
from imagesession import Studio
studio = Studio.offline(sys.argv[1])
image = studio.generate("a teapot")
child = os.fork()
if child == 0:
    try:
        assert studio.images.get(image.id).id == image.id
        image.bytes
    except Exception as error:
        os._exit(0 if "spawn" in str(error) else 2)
    os._exit(1)
assert os.waitpid(child, 0)[1] == 0
assert image.bytes
studio.generate("a cup")
"""
    assert (
        subprocess.run([sys.executable, "-c", code, url], timeout=120, check=False).returncode == 0
    )


def test_plain_import_loads_no_extra() -> None:
    """
    The packages of the extra are loaded by a library on PostgreSQL alone.
    """
    code = """
import sys, tempfile
from imagesession import Studio
Studio.offline(tempfile.mkdtemp()).generate("a teapot")
assert not {"sqlalchemy", "psycopg", "obstore", "alembic"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)
