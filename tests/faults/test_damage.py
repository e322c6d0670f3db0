"""
One file of a library is damaged or gone: every operation works or raises a typed error, and no
image is lost without a word.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import re
import shutil
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imagesession import Studio, transfer
from imagesession._store import codec
from imagesession.errors import ImageSessionError, OutcomeUnknownError
from imagesession.testing import FakeOpenAI
from tests.clock import HoldingProvider, hurried
from tests.faults.tiny import TinySketcher, tiny_provider

DEEP = b'{"x": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"
NESTED = b'{"turn": ' + b'{"parameters": ' * 400 + b"1" + b"}" * 401
Damage = Callable[[bytes, random.Random], bytes]


def _flip(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data or b"\0")
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _zeros(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data) + 1)
    return data[:start] + bytes(len(data) - start)


def _swap(data: bytes, chance: random.Random) -> bytes:
    """
    Replace a value of JSON by one of another type or of an absurd size.
    """
    values = [b"null", b"[]", b"{}", b"-1", b"9" * 400, b"1e999", b"NaN", b'"\\u0000\\ud800"',
              b'"' + b"x" * 70_000 + b'"', b'"../../x"', b'"0001-01-01T00:00:00+14:00"',
              b'"9999-12-31T23:59:59-14:00"', b"true", b"99999999999999999999"]  # fmt: skip
    colons = [at for at in range(len(data)) if data[at : at + 2] == b": "]
    if not colons:
        return _flip(data, chance)
    start = chance.choice(colons) + 2
    ends = [end for end in (data.find(mark, start) for mark in (b",", b"}", b"]")) if end >= 0]
    return data[:start] + chance.choice(values) + data[min(ends, default=len(data)) :]


DAMAGES: tuple[Damage, ...] = (
    _flip, _cut, _zeros, _swap, _swap, _swap,
    lambda _, __: b"",
    lambda _, __: DEEP,
    lambda _, __: b"[" * 100_000,
    lambda data, _: data + b"\n" + DEEP + b"\n",
    lambda _, __: NESTED,
    lambda data, _: b"\xef\xbb\xbf" + data,
    lambda data, _: data.decode("latin-1").encode("utf-16"),
    lambda _, __: b"\x00\xff" * 500,
    lambda _, __: b"[1, 2]",
    lambda _, __: b'{"format": 99, "min_reader": 99}',
    lambda data, _: data + data,
)  # fmt: skip


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A library with a file of every kind.
    """
    library = tmp_path_factory.mktemp("damage") / "library"
    provider = HoldingProvider(images_per_minute=None, sketcher=TinySketcher())
    with Studio.offline(library, provider=provider, timeout=60) as studio:
        session = studio.session("letters", name="q")
        first = session.generate("a", quality="low")
        session.generate("b", quality="low")
        session.undo()
        session.generate("c", quality="low")
        studio.edit("d", image=first.bytes, quality="low")
        studio.images.list(text="a")
        provider.set_batch_speed(looks=1)
        with hurried():
            studio.batches.create(["f"], name="done").wait()
        studio.batches.create(["e"], name="batch")
        owned = studio.as_owner("ann").session("owned", name="o")
        owned.generate("binned", quality="low").delete()
        owned.generate("owned", quality="low")
        studio.doctor()
        provider.hold()
        with hurried(), pytest.raises(OutcomeUnknownError):
            studio.generate("pending", quality="low")
    return library


def operations(studio: Studio) -> Iterator[Callable[[], Any]]:
    """
    Yield everything that people do with a library.
    """
    yield lambda: studio.images.list(limit=100)
    yield lambda: [image.bytes for image in studio.images.list()]
    yield lambda: [image.metadata for image in studio.images.list()]
    yield studio.sessions.list
    yield lambda: [str(session.tree()) for session in studio.sessions.list()]
    yield studio.costs
    yield studio.stats
    yield studio.requests.pending
    yield studio.batches.list
    yield lambda: studio.recover(timeout=0)
    yield lambda: studio.doctor(verify=True)
    yield lambda: studio.generate("new", quality="low", idempotency_key="key")
    yield lambda: studio.open("q").generate("newer", quality="low")
    yield lambda: studio.open("q").undo()
    yield lambda: studio.gallery(Path(studio.library).parent / "gallery.html")
    yield lambda: studio.session("another", name="r").export(Path(studio.library).parent / "r.zip")
    yield from removals(studio)
    yield lambda: studio.doctor(verify=True, repair=True)


def removals(studio: Studio) -> Iterator[Callable[[], Any]]:
    """
    Yield what removes and moves, of what is not looked for afterwards.
    """
    copy = Path(studio.library).parent / "copy"
    yield lambda: studio.batches.delete("done")
    yield lambda: studio.batches.restore("done")
    yield lambda: studio.batches.erase("done")
    yield lambda: studio.sessions.delete("o")
    yield lambda: studio.sessions.list(deleted=True)
    yield lambda: studio.images.list(deleted=True)
    yield lambda: studio.sessions.restore(*studio.sessions.list(deleted=True))
    yield lambda: studio.prune(older_than=dt.timedelta(0), dry_run=True)
    yield studio.empty_bin
    yield lambda: transfer(studio.library, copy)
    yield lambda: studio.erase_owner("ann")


def untyped(library: Path, provider: FakeOpenAI) -> Iterator[str]:
    """
    Perform all operations; yield the errors that are not typed.
    """
    try:
        studio = Studio.offline(library, provider=provider, timeout=60)
    except ImageSessionError:
        return
    except Exception:  # noqa: BLE001 - that is what is looked for
        yield traceback.format_exc()
        return
    with studio:
        for operation in operations(studio):
            try:
                operation()
            except ImageSessionError:
                continue
            except Exception:  # noqa: BLE001 - as above
                yield traceback.format_exc()


def unnoticed(library: Path, before: set[str]) -> Iterator[str]:
    """
    Yield the images that are not listed any more although all seems well.
    """
    try:
        with Studio.offline(library) as studio:
            if studio.doctor(verify=True).ok:
                yield from before - {image.prompt for image in studio.images.list(limit=100)}
    except ImageSessionError:
        return


def problems(
    template: Path, folder: Path, rounds: Iterable[int], damages: tuple[Damage, ...] = DAMAGES
) -> Iterator[str]:
    """
    Damage a file of a library each time, in turn of every kind; yield what went wrong.
    """
    files = [file.relative_to(template) for file in sorted(template.rglob("*")) if file.is_file()]
    for number in rounds:
        chance = random.Random(number)  # noqa: S311 - not a secret
        library = folder / str(number) / "library"
        shutil.copytree(template, library)
        victim = library / files[number % len(files)]
        damage = chance.randrange(len(damages) + (len(damages) > 1))
        data = victim.read_bytes()
        victim.unlink()
        if damage < len(damages):
            victim.write_bytes(damages[damage](data, chance))
        case = f"{files[number % len(files)]}, damage {damage}, round {number}"
        provider = tiny_provider()
        yield from (f"{case}: {text}" for text in untyped(library, provider))
        yield from (f"{case}: {prompt} is lost" for prompt in unnoticed(library, set("abc")))
        shutil.rmtree(library.parent)


@pytest.mark.parametrize(
    "rounds",
    [
        range(25),
        *(pytest.param(range(start, 2000, 8), marks=pytest.mark.faults) for start in range(8)),
    ],
    ids=["some", *(f"part {part}" for part in range(1, 9))],
)
def test_damaged_file_of_every_kind(template: Path, tmp_path: Path, rounds: range) -> None:
    """
    Whatever file of a library is damaged or gone, all errors are typed, and what is lost is told.
    """
    found = list(problems(template, tmp_path, rounds))
    assert not found, f"{len(found)} problems, as these:\n" + "\n".join(found[:3])


def test_trusting_reader_is_caught(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The check works: a broken twin whose reader lets the error for deep nesting through is caught.
    """
    monkeypatch.setattr(codec, "parse_object", json.loads)
    found = problems(template, tmp_path, range(40), (lambda _, __: DEEP,))
    assert "RecursionError" in next(found)


@pytest.mark.parametrize("wrong", [r"\ud800", r"\u0000", "../../x", "x" * 70_000, ""])
@pytest.mark.parametrize("kind", ["batches", "sessions", "turns"])
def test_id_that_names_no_file_is_damage(
    template: Path, tmp_path: Path, kind: str, wrong: str
) -> None:
    """
    A record whose id was damaged, and is not fit to name a file, is damaged; nothing breaks on it.
    """
    shutil.copytree(template, tmp_path / "library")
    victim = min((tmp_path / "library/.imagesession" / kind).rglob("*.json*"))
    changed = re.sub(
        rb'"id": "[^"]+"',
        b'"id": "%b"' % wrong.encode().replace(b"\\", rb"\\"),
        victim.read_bytes(),
        count=1,
    )
    victim.unlink()
    victim.write_bytes(changed)
    assert list(untyped(tmp_path / "library", tiny_provider())) == []


@pytest.mark.parametrize("wrong", [DEEP, b"[1, 2]", b"{"])
def test_damaged_upload_hinders_no_erasure(template: Path, tmp_path: Path, wrong: bytes) -> None:
    """
    What is remembered of an upload may be damaged in any way when something is erased.
    """
    shutil.copytree(template, tmp_path / "library")
    for upload in (tmp_path / "library/.imagesession/uploads").iterdir():
        upload.write_bytes(wrong)
    with Studio.offline(tmp_path / "library", provider=tiny_provider()) as studio:
        studio.erase_owner("ann")
        assert "owned" not in {image.prompt for image in studio.images.list()}
