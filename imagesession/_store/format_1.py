"""
Upgrade libraries and records of format 1, which release 0.1.0 wrote, to the current format.

A record is upgraded each time it is read, and written in the current format when it is changed.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, cast

from imagesession.errors import StorageIOError

from .atomic_write import ensure_dir
from .layout import Layout
from .process_locks import try_lock

_KEYS = {"intent_id": "idempotency_key", "posted": "submitted_at"}
_OPTIONS = {
    "format": "output_format",
    "compression": "output_compression",
    "fidelity": "input_fidelity",
}
_ERRORS = {
    "AccessError": "AuthenticationError",
    "BudgetError": "BudgetExceededError",
    "CallError": "InvalidRequestError",
    "DiskError": "StorageIOError",
    "GenerationError": "GenerationFailedError",
    "LibraryError": "StorageError",
    "ModerationError": "ContentBlockedError",
    "OptionError": "InvalidOptionError",
    "PictureError": "InvalidImageError",
    "PromptError": "InvalidPromptError",
    "QuotaError": "InsufficientQuotaError",
    "RecordError": "CorruptRecordError",
    "RefusedError": "RefusalError",
    "RejectedError": "BadRequestError",
    "ReplyError": "InvalidResponseError",
    "StreamCutError": "StreamInterruptedError",
    "TryLaterError": "TransientError",
    "UnavailableError": "ProviderUnavailableError",
    "UnfinishedError": "BatchNotReadyError",
}


def upgrade_folders(layout: Layout) -> None:
    """
    Keep the quarantined replies, and drop locks and limits, which are disposable.

    Raises:
        OSError: A folder cannot be moved.
        StorageIOError: A program of release 0.1.0 has the library open. It would be taken for dead,
            as it does not see the locks of today.
    """
    if any(_is_held(file) for file in (layout.inner / "owners").glob("*")):
        raise StorageIOError(
            f"A program with an older imagesession has the library {layout.root} open. Close it, "
            "then open the library again to upgrade it."
        )
    ensure_dir(layout.quarantine)
    for file in (layout.inner / "spill").glob("*"):
        file.replace(layout.quarantine / file.name)
    shutil.rmtree(layout.inner / "spill", ignore_errors=True)
    for name in ("owners", "pace"):
        shutil.rmtree(layout.inner / name, ignore_errors=True)


def _is_held(file: Path) -> bool:
    with file.open("r+b") as lock:
        return try_lock(lock.fileno()) is False


def upgrade_record(record: dict[str, Any]) -> dict[str, Any]:
    """
    Return a record with the current names of its members, options and errors.
    """
    new = _rename_keys(record, _KEYS)
    for name in ("options", "choices"):
        if isinstance(new.get(name), dict):
            new[name] = _rename_keys(cast("dict[str, Any]", new[name]), _OPTIONS)
    if isinstance(new.get("estimate"), dict):
        new["estimate"] = _rename_keys(
            cast("dict[str, Any]", new["estimate"]), {"grounds": "assumptions"}
        )
    if isinstance(new.get("failure"), dict):
        failure = cast("dict[str, Any]", new["failure"])
        new["failure"] = {**failure, "error": _current_error(failure.get("error"))}
    return new


def _current_error(error: object) -> object:
    return _ERRORS.get(error, error) if isinstance(error, str) else error


def _rename_keys(facts: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in facts.items()}
