"""
Find a session by what people know of it: its id, its name, or how it was described.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from imagesession._domain.caller_warnings import warn_caller
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import is_id, short_id
from imagesession._domain.wording import fold, quote
from imagesession.errors import AmbiguousNameWarning, NotFoundError

from .effects import StoreCall, Workflow
from .store import Store
from .validate import validate_label

# How many sessions are searched by description, short id or similar name; the index has names.
_RECENT = 1_000
_LISTED, _NEAREST = 4, 3


def find_session(wanted: str) -> Workflow[SessionRecord]:
    validate_label("The session's id or name", wanted)
    return latest_of(wanted, (yield from StoreCall(lambda store: _find_sessions(store, wanted))))


def latest_of(wanted: str, found: Sequence[SessionRecord]) -> SessionRecord:
    latest, *others = found
    if others:
        ids = ", ".join(record.id for record in others[:_LISTED])
        more = f" and {len(others) - _LISTED} more" if len(others) > _LISTED else ""
        warn_caller(
            f"{len(others) + 1} sessions are called {quote(wanted)}; this is the latest, "
            f"{latest.id}. Open another one by its id: {ids}{more}.",
            AmbiguousNameWarning,
        )
    return latest


def _find_sessions(store: Store, wanted: str) -> tuple[SessionRecord, ...]:
    """
    Return the sessions that a text may mean, the latest first; at least one.
    """
    try:
        return (store.sessions.find(wanted),)
    except NotFoundError:
        if named := store.sessions.named(wanted):
            return named
        if is_id(wanted):
            raise
    recent = store.sessions.list(_RECENT)
    end = wanted.strip().lstrip("…").lower()
    found = tuple(
        record
        for record in recent
        if record.description == wanted.strip() != "" or short_id(record.id) == end
    )
    if not found and _is_in_bin(store, wanted):
        raise NotFoundError(
            f"The session {quote(wanted)} is in the bin. Bring it back with "
            f"studio.sessions.restore({quote(wanted)}).",
            wanted,
        )
    if not found:
        raise _unknown_session(wanted, recent)
    return found


def _is_in_bin(store: Store, name: str) -> bool:
    deleted = store.sessions.list(_RECENT, deleted=True)
    return any(fold(record.name or "") == fold(name) for record in deleted)


def _unknown_session(wanted: str, recent: Sequence[SessionRecord]) -> NotFoundError:
    """
    Build the error for an unknown session: it names those with a similar name, else the latest.
    """
    labels = {_label_of(record).casefold(): record for record in reversed(recent)}
    text = wanted.strip().casefold()
    near = difflib.get_close_matches(text, labels, n=_NEAREST)
    near += [label for label in labels if text and text in label and label not in near]
    shown = [labels[label] for label in near[:_NEAREST]] or recent[:_NEAREST]
    listed = ", ".join(f"{record.id} ({_label_of(record)[:40]})" for record in shown)
    hint = f"Similar ones are: {listed}" if near else f"Its latest are: {listed or 'none yet'}"
    return NotFoundError(
        f"This library has no session {quote(wanted)}. {hint}.",
        wanted,
        tuple(record.id for record in shown),
    )


def _label_of(record: SessionRecord) -> str:
    return record.name or record.description
