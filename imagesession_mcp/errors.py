"""
Errors as agents see them: a helpful message in the words of tools, and a stable code.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any, TypeAlias

import attrs
from mcp.types import CallToolResult, TextContent
from pydantic import ValidationError

import imagesession
from imagesession import errors

Codes: TypeAlias = tuple[str, str]
"""This server's code, and the `error_type` of `openai-image-mcp` for the same error."""

log = logging.getLogger("imagesession_mcp")

_INVALID: Codes = ("invalid_parameters", "invalid_parameters")
# The first match counts, so a class precedes its base classes.
_CODES: tuple[tuple[type[errors.ImageSessionError], Codes], ...] = (
    (errors.InvalidOptionError, _INVALID),
    (errors.InvalidPromptError, _INVALID),
    (errors.KeyReusedError, ("request_id_reused", "invalid_parameters")),
    (errors.InvalidImageError, ("invalid_input_image", "invalid_input_image")),
    (errors.ModelRetiredError, ("model_retired", "invalid_parameters")),
    (errors.NotFoundError, ("not_found", "session_not_found")),
    (errors.SessionClosedError, ("session_closed", "session_not_found")),
    (errors.TooManySessionsError, ("max_sessions_reached", "session_creation_error")),
    (errors.AuthenticationError, ("no_access", "api_error")),
    (errors.BadRequestError, ("rejected", "api_error")),
    (errors.InvalidRequestError, _INVALID),
    (errors.ContentBlockedError, ("moderation_blocked", "no_generation_result")),
    (errors.RefusalError, ("refused", "no_generation_result")),
    (errors.RateLimitError, ("rate_limited", "api_error")),
    (errors.TransientError, ("unavailable", "api_error")),
    (errors.InsufficientQuotaError, ("quota_exceeded", "api_error")),
    (errors.BudgetExceededError, ("budget_exceeded", "api_error")),
    (errors.StorageError, ("library_error", "generation_error")),
    (errors.OutcomeUnknownError, ("outcome_unknown", "unknown_error")),
    (errors.ProviderError, ("provider_error", "api_error")),
    (errors.ImageSessionError, ("provider_error", "generation_error")),
)
_NO_KEY = (
    "There is no API key. The server's operator can set OPENAI_API_KEY in its environment (a .env "
    "file is not read), or start it with --offline, which draws sketches here and needs no key."
)
_ADVICE: Mapping[type[errors.ImageSessionError], str] = {
    errors.BudgetExceededError: "Only the server's operator can raise it, with --daily-budget.",
    errors.OutcomeUnknownError: "get_generation checks again, at no cost.",
}
called_parameters: ContextVar[tuple[str, ...]] = ContextVar("called_parameters", default=())
"""The arguments that the called tool takes."""
# What tools call the arguments of the library's methods.
_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "image": ("image_path",),
    "mask": ("mask_path", "mask_image_path"),
    "markup": ("markup_path",),
    "references": ("reference_images",),
    "n": ("batch_count", "count"),
    "name": ("session_name",),
    "goals": ("improvement_goals", "goals"),
    "idempotency_key": ("request_id",),
}
_ONLY_IN_EDIT = ("mask", "markup", "resize_mask", "preserve_unmasked")
_CALLS = (
    (r"studio\.open\('?([^',)]+)'?\)\.close\(\)", r"close_session, session_id \1"),
    (
        r"studio\.open\('?([^',)]+)'?, reopen=True\)",
        r"generate_image_in_session, session_id \1 and reopen true",
    ),
    (r"studio\.open\(session_id, branch=('[^']*')\)", r"branch \1"),
    (r"studio\.promote\([^)]*\)", "promote_image_to_session"),
    (r"studio\.images\.restore\('?([^',)]+)'?\)", r"mark_image, image_id \1 and deleted false"),
    (r"use studio\.map\([^)]*\)", "call the tool again"),
    (r"\bedit\(\)", "edit_image"),
    (r"max_active_sessions=(\d+) are", r"\1 are"),
    (r", or (?:raise the|leave \w+ out of the) Budget[^.]*(?:\.\d+[^.]*)?(?=\.)", ""),
    (r"'mcp/([^'/]+)[^']*'", r"'\1'"),
)
_ASSIGNED = re.compile(r"\b([a-z_]+)=(?=(['\"\w(\[{-])?)")
_LITERALS = {"True": "true", "False": "false", "None": "null"}
_PYTHON = re.compile(r"\w\([^)]*\)|\bstudio\.|\b(?:Image|Mask|Studio|Budget)\b[.(]|(?<!\w)~\w")
# Error attributes that agents can use. Not `unsaved`, which holds image bytes.
_DETAILS = (
    "option",
    "nearest",
    "replacement",
    "limit",
    "idlest",
    "param",
    "text",
    "stage",
    "categories",
    "retry_after",
    "allowed",
    "spent",
    "needed",
    "kept",
)
_MAX_TEXT = 1500
_MASK = re.compile(r"\bmask\b", re.IGNORECASE)


@attrs.define(eq=False)
class ToolCallError(Exception):
    """
    An error that this server raises itself.

    Attributes:
        code: One of those that `guide.md` explains.
        message: What happened and what to do next.
        details: Further fields for agents.
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
        codes = _codes_for(error)
        details = dict(_error_details(error))
        if isinstance(error, (errors.TransientError, errors.ProviderError)):
            details["retryable"] = isinstance(error, errors.TransientError)
        return _payload(codes, _full_message(error), details)
    if isinstance(error, ValidationError):
        return _payload(_INVALID, validation_message(error), {})
    reference = secrets.token_hex(4)
    log.error("Unexpected error %s", reference, exc_info=error)
    return _payload(
        ("internal_error", "unknown_error"),
        f"An unexpected error occurred in this server; its log has details under {reference}. "
        "Call get_server_stats to see whether anything was billed.",
        {"reference": reference},
    )


def error_result(error: Exception) -> CallToolResult:
    """
    Return the tool result for an error.
    """
    payload = to_payload(error)
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    # Without structured content: clients would check it against the schema of a success.
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def validation_message(error: ValidationError) -> str:
    """
    Describe which arguments are invalid, without their values.
    """
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
    return {
        "success": False,
        "error": message[:_MAX_TEXT],
        "error_type": kind,
        "code": code,
        **details,
    }


def _codes_for(error: errors.ImageSessionError) -> Codes:
    if isinstance(error, errors.InvalidImageError) and _MASK.search(error.message):
        return "invalid_mask_image", "invalid_mask_image"
    return next(codes for kind, codes in _CODES if isinstance(error, kind))


def _full_message(error: errors.ImageSessionError) -> str:
    if isinstance(error, errors.AuthenticationError) and "no API key" in error.message:
        return _NO_KEY
    advice = next((words for kind, words in _ADVICE.items() if isinstance(error, kind)), "")
    return f"{in_words_of_tools(error.message)} {advice}".strip()


def in_words_of_tools(message: str) -> str:
    """
    Translate a message of the library, which names methods and arguments of Python, for callers of
    tools. A sentence that has no translation is left out.
    """
    for pattern, replacement in _CALLS:
        message = re.sub(pattern, replacement, message)
    message = _ASSIGNED.sub(_argument, message)
    message = re.sub(r"\b(?:True|False|None)\b", lambda found: _LITERALS[found[0]], message)
    first, *rest = re.split(r"(?<=[.;:]) ", message)
    kept = " ".join([first, *(sentence for sentence in rest if not _PYTHON.search(sentence))])
    return f"{kept[:-1]}." if kept.endswith((";", ":")) else kept


def _argument(found: re.Match[str]) -> str:
    name, parameters = found[1], called_parameters.get()
    names = (*_ARGUMENTS.get(name, ()), name)
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
