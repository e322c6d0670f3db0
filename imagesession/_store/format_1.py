"""
Upgrade records of format 1, which release 0.1.0 wrote, to the current format.

A record is upgraded each time it is read, and written in the current format when it is changed.
"""

from __future__ import annotations

from typing import Any, cast

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


def upgrade_record(record: dict[str, Any]) -> dict[str, Any]:
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
