"""
Every implementation of the ports keeps the contract, and the contract's tests notice one that does
not.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from imagesession._domain.turn import Turn
from imagesession._store import codec
from imagesession._store.records import turn_key
from tests.store.contract import promises
from tests.store.contract.implementations import IMPLEMENTATIONS, Implementation, InMemory
from tests.store.contract.memory import (
    MemoryBlobs,
    MemoryFacts,
    MemoryIndex,
    MemoryLease,
    MemoryRights,
)
from tests.store.contract.promises import PROMISES


@pytest.fixture(params=IMPLEMENTATIONS)
def library(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Implementation]:
    """
    An empty library, of each implementation in turn.
    """
    with contextlib.closing(IMPLEMENTATIONS[request.param](tmp_path)) as made:
        yield made


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_implementation_keeps_its_promises(
    library: Implementation, promise: Callable[[Implementation], None]
) -> None:
    """
    Each promise of the contract holds for each implementation.
    """
    promise(library)


def test_every_promise_is_tested() -> None:
    """
    The contract has no promise that is not among those that are tested.
    """
    helpers = {"_read", "new_turn", "new_session", "settle", "together"}
    written = {
        name
        for name, value in vars(promises).items()
        if getattr(value, "__module__", "") == promises.__name__ and name not in helpers
    }
    assert written == {promise.__name__ for promise in PROMISES}


@contextlib.contextmanager
def _open_to_all(*_: object) -> Generator[None, None, None]:
    yield


def _overwrite(facts: MemoryFacts, new: Any) -> None:
    facts.state.facts.update(new)


def _settle_anyway(facts: MemoryFacts, turn: Turn, _: object = None) -> None:
    facts.put_new({turn_key(turn): codec.dump_turn(turn)})


def _replace_all(facts: MemoryFacts, key: Any, news: Any) -> None:
    facts.state.facts[key] = json.dumps(dict(news)).encode()


def _hold_always(rights: MemoryRights, name: str, _: int = 1) -> MemoryLease:
    lease = MemoryLease(rights.state, (name, 0))
    rights.state.rights[name, 0] = lease.fence
    return lease


def _same_key(blobs: MemoryBlobs, turn: Turn, _: object, image: Any, __: object = None) -> str:
    blobs.state.images[turn.id] = image.data
    return turn.id


def _find_nothing(*_: object, **__: object) -> list[Any]:
    return []


def _do_nothing(*_: object) -> None:
    return


def _no_wait(*_: object) -> float:
    return 0.0


def _same_sums(*_: object, **__: object) -> tuple[float, float, float]:
    return 0.75, 0.5, 0


def _everything(index: MemoryIndex, _: str) -> MemoryIndex:
    return index


Twin: TypeAlias = tuple[type, str, Any, Callable[[Implementation], None]]
TWINS: tuple[Twin, ...] = (
    (MemoryFacts, "put_new", _overwrite, promises.new_fact_is_written_once),
    (MemoryFacts, "put_new", _overwrite, promises.new_facts_are_written_together_or_not_at_all),
    (MemoryFacts, "settle", _settle_anyway, promises.lost_lease_settles_nothing),
    (MemoryFacts, "extend", _replace_all, promises.extended_facts_keep_their_members),
    (MemoryFacts, "transaction", _open_to_all, promises.transactions_exclude_each_other),
    (MemoryRights, "hold", _hold_always, promises.right_is_held_by_one),
    (MemoryRights, "hold", _hold_always, promises.places_are_limited),
    (MemoryLease, "__del__", _do_nothing, promises.unreachable_lease_is_free),
    (MemoryLease, "__del__", _do_nothing, promises.rights_of_a_dead_program_are_free),
    (MemoryRights, "next_time", _no_wait, promises.turns_are_spaced),
    (MemoryRights, "postpone", _do_nothing, promises.postponed_turns_come_later),
    (MemoryBlobs, "put_new", _same_key, promises.images_are_kept_unchanged),
    (MemoryBlobs, "set_aside", MemoryBlobs.drop, promises.images_set_aside_stay_readable),
    (MemoryFacts, "replace", _do_nothing, promises.replaced_turns_are_indexed_anew),
    (MemoryIndex, "page", _find_nothing, promises.marks_are_obeyed_at_once),
    (MemoryIndex, "sessions", _find_nothing, promises.deleted_sessions_are_apart),
    (MemoryIndex, "page", _find_nothing, promises.settled_turns_are_found_at_once),
    (MemoryIndex, "spent", _same_sums, promises.costs_are_summed),
    (MemoryIndex, "sessions", _find_nothing, promises.sessions_are_listed),
    (MemoryIndex, "of", _everything, promises.owners_see_what_is_theirs),
)


@pytest.mark.parametrize(
    "twin",
    TWINS,
    ids=[f"{kind.__name__}.{name}-{promise.__name__}" for kind, name, _, promise in TWINS],
)
def test_broken_implementation_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, twin: Twin
) -> None:
    """
    The contract's tests work: an implementation that breaks a promise does not pass.
    """
    kind, name, broken, promise = twin
    monkeypatch.setattr(kind, name, broken)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        promise(InMemory(tmp_path))
