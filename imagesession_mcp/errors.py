"""
Errors as agents see them: a helpful message in the words of tools, and a stable code.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any, TypeAlias

import attrs
from pydantic import ValidationError

import imagesession
from imagesession import errors
from imagesession_mcp.texts import read_table

Codes: TypeAlias = tuple[str, str]
"""This server's code, and the `error_type` of `openai-image-mcp` for the same error."""

log = logging.getLogger("imagesession_mcp")

_INVALID: Codes = ("invalid_parameters", "invalid_parameters")
_TABLE = read_table("errors.toml")
called_parameters: ContextVar[tuple[str, ...]] = ContextVar("called_parameters", default=())
"""The arguments that the called tool takes."""
_ONLY_IN_EDIT = ("mask", "markup", "resize_mask", "preserve_unmasked")
_ASSIGNED = re.compile(r"\b([a-z_]+)=(?=(['\"\w(\[{-])?)")
_LITERALS = {"True": "true", "False": "false", "None": "null"}
_PYTHON = re.compile(r"\w\([^)]*\)|\bstudio\.|\b(?:Image|Mask|Studio|Budget)\b[.(]|(?<!\w)~\w")
# Error attributes that agents can use. Not `unsaved`, which holds image bytes.
_DETAILS = (
    "option", "nearest", "replacement", "limit", "idlest", "param", "text", "stage", "categories",
    "retry_after", "allowed", "spent", "needed", "kept",
)  # fmt: skip
_MAX_TEXT = 1500
_MASK = re.compile(r"\bmask\b", re.IGNORECASE)


@attrs.define(eq=False)
class ToolCallError(Exception):
    """
    An error that this server raises itself, with a code that `guide.md` explains.
    """

    code: str
    message: str
    details: Mapping[str, Any] = attrs.field(factory=dict[str, Any])

    def __str__(self) -> str:
        return self.message


def to_payload(error: BaseException | None) -> dict[str, Any]:
    """
    Return the payload of an error; for an unexpected one, only a reference to the log.
    """
    if isinstance(error, ToolCallError):
        return _payload((error.code, error.code), in_words_of_tools(error.message), error.details)
    if isinstance(error, errors.ImageSessionError):
        return _payload(_codes_for(error), _full_message(error), dict(_error_details(error)))
    if isinstance(error, ValidationError):
        return _payload(_INVALID, _validation_message(error), {})
    reference = secrets.token_hex(4)
    log.error("Unexpected error %s", reference, exc_info=error)
    return _payload(
        ("internal_error", "unknown_error"),
        f"An unexpected error occurred in this server; its log has details under {reference}. "
        "Call get_server_stats to see whether anything was billed.",
        {"reference": reference},
    )


def _validation_message(error: ValidationError) -> str:
    # Without the values, which may be secrets or long.
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    messages = {
        f"{problem['loc'][0] if problem['loc'] else 'the arguments'}: {_format_problem(problem)}"
        for problem in problems
    }
    return f"The call has invalid arguments: {'; '.join(sorted(messages))}."


def _format_problem(problem: Mapping[str, Any]) -> str:
    if problem["type"] == "missing":
        return "is required"
    message = str(problem["msg"])
    return message[:1].lower() + message[1:]


def _payload(codes: Codes, message: str, details: Mapping[str, Any]) -> dict[str, Any]:
    code, kind = codes
    error = {"success": False, "error": message[:_MAX_TEXT], "error_type": kind, "code": code}
    return {**error, **details}


def _codes_for(error: errors.ImageSessionError) -> Codes:
    if isinstance(error, errors.InvalidImageError) and _MASK.search(error.message):
        return "invalid_mask_image", "invalid_mask_image"
    code, kind = _look_up("codes", error)
    return code, kind


def _look_up(table: str, error: errors.ImageSessionError) -> Any:  # noqa: ANN401 - of the table
    names = {kind.__name__ for kind in type(error).__mro__}
    return next((value for name, value in _TABLE[table].items() if name in names), "")


def _full_message(error: errors.ImageSessionError) -> str:
    if isinstance(error, errors.AuthenticationError) and "no API key" in error.message:
        return str(_TABLE["no_key"])
    return f"{in_words_of_tools(error.message)} {_look_up('advice', error)}".strip()


def in_words_of_tools(message: str) -> str:
    """
    Translate a message of the library, which names methods and arguments of Python, for callers of
    tools. A sentence that has no translation is left out.
    """
    for words in _TABLE["words"]:
        message = re.sub(words["pattern"], words["say"], message)
    message = _ASSIGNED.sub(_argument, message)
    message = re.sub(r"\b(?:True|False|None)\b", lambda found: _LITERALS[found[0]], message)
    first, *rest = re.split(r"(?<=[.;:]) ", message)
    kept = " ".join([first, *(sentence for sentence in rest if not _PYTHON.search(sentence))])
    return f"{kept[:-1]}." if kept.endswith((";", ":")) else kept


def _argument(found: re.Match[str]) -> str:
    name, parameters = found[1], called_parameters.get()
    names = (*_TABLE["arguments"].get(name, ()), name)
    known = next((each for each in names if each in parameters), names[0])
    if known not in parameters and hasattr(imagesession.GenerateOptions, name):
        known = f"options.{name}"
    elif known not in parameters and name in _ONLY_IN_EDIT:
        known = f"edit_image's {known}"
    return f"{known} " if found[2] else known


def _error_details(error: errors.ImageSessionError) -> Iterator[tuple[str, Any]]:
    for name in _DETAILS:
        value = getattr(error, name, None)
        if value in {None, "", ()} or value == float("inf"):
            continue
        yield name, value[:_MAX_TEXT] if isinstance(value, str) else value
    if error.request_id:
        # `request_id` is what the client calls its own request.
        yield "provider_request_id", error.request_id
    if isinstance(error, errors.NotFoundError):
        yield "known", list(error.known)
    if isinstance(error, (errors.TransientError, errors.ProviderError)):
        yield "retryable", isinstance(error, errors.TransientError)
