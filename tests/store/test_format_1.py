"""
A library that release 0.1.0 wrote is brought up when it is opened.
"""

from __future__ import annotations

import importlib
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imagesession.errors import (
    CorruptRecordError,
    InvalidRequestError,
    StorageIOError,
    UnsupportedFormatVersionError,
)

# A session with two images and a refusal, a standalone image, a failure, and a batch of two
# requests; a reply that could not be read; its index was deleted. Release 0.1.0 wrote it.
LIBRARY = Path(__file__).parent / "library-0.1.0.zip"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """
    The library as it was written.
    """
    with zipfile.ZipFile(LIBRARY) as packed:
        packed.extractall(tmp_path / "library")
    return tmp_path / "library"


def test_everything_is_still_there(make_studio: Callable[..., Any], root: Path) -> None:
    """
    Images, options, keys, failures, batches and costs are read in today's terms.
    """
    studio = make_studio(root)
    session = studio.open("Tea")
    turns = session.turns()
    assert [turn.status for turn in turns] == ["completed", "completed", "refused"]
    assert {turn.options.output_format for turn in turns} == {"webp"}
    assert turns[0].idempotency_key == "k1"
    assert turns[2].failure.error == "RefusalError"
    fox = studio.images.find(idempotency_key="k2")
    assert (fox.turn.options.output_format, fox.turn.options.output_compression) == ("jpeg", 80)
    assert len(studio.images.list()) == 3
    assert all(image.bytes for image in studio.images.list())
    (batch,) = studio.batches.list()
    assert batch.name == "bb"
    assert studio.costs().total.images == 3


def test_its_metadata_agree_with_its_records(make_studio: Callable[..., Any], root: Path) -> None:
    """
    What a release has called by other names, or not known, is no change of a record.
    """
    assert make_studio(root).doctor(verify=True).check("records").state == "ok"


def test_it_goes_on_in_the_new_format(make_studio: Callable[..., Any], root: Path) -> None:
    """
    A session goes on, a key still gives its image, and the library says that it is of format 2;
    replies that could not be read are in quarantine.
    """
    studio = make_studio(root)
    before = studio.images.find(idempotency_key="k2")
    assert studio.generate("a red fox", idempotency_key="k2") == before
    session = studio.open("Tea")
    session.generate("more geometric")
    assert len(session.images()) == 3
    inner = root / ".imagesession"
    assert json.loads((inner / "FORMAT").read_text()) == {"format": 2, "min_reader": 2}
    assert len(list((inner / "quarantine").iterdir())) == 1
    assert not any((inner / name).exists() for name in ("spill", "owners", "pace"))


def test_a_failure_under_a_key_is_still_known(make_studio: Callable[..., Any], root: Path) -> None:
    """
    A key under which nothing was made may be used again, and one of another prompt may not.
    """
    studio = make_studio(root)
    assert studio.generate("broken", idempotency_key="k3").bytes
    with pytest.raises(InvalidRequestError, match="another prompt"):
        studio.generate("a blue fox", idempotency_key="k2")


@pytest.mark.parametrize(
    "mark,error",
    [
        ('{"format": 3, "min_reader": 3}', UnsupportedFormatVersionError),
        ('{"format": 1}', CorruptRecordError),
    ],
)
def test_other_formats_are_refused(
    make_studio: Callable[..., Any], root: Path, mark: str, error: type[Exception]
) -> None:
    """
    A library of a newer or unknown format is refused before anything in it changes.
    """
    (root / ".imagesession" / "FORMAT").write_text(mark)
    with pytest.raises(error):
        make_studio(root)
    assert (root / ".imagesession" / "spill").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="held by another program, it cannot be opened")
def test_older_program_that_runs_is_waited_for(make_studio: Callable[..., Any], root: Path) -> None:
    """
    While a program of 0.1.0 has the library open, it is not upgraded, and nothing in it changes.
    """
    owners = root / ".imagesession" / "owners"
    owners.mkdir(exist_ok=True)
    with (owners / "running").open("wb") as held:
        fcntl = importlib.import_module("fcntl")
        fcntl.flock(held.fileno(), fcntl.LOCK_EX)
        with pytest.raises(StorageIOError, match="older imagesession"):
            make_studio(root)
        assert (root / ".imagesession" / "spill").exists()
    assert make_studio(root).open("Tea")
