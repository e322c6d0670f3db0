"""
Errors as agents get them: a message that helps, and a code that stays the same.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import attrs
from mcp.types import CallToolResult, TextContent
from pydantic import ValidationError

from imagesession import errors

Codes: TypeAlias = tuple[str, str]
"""Our code, and the `error_type` of `openai-image-mcp` for the same thing."""

log = logging.getLogger("imagesession_mcp")

_INVALID: Codes = ("invalid_parameters", "invalid_parameters")
# The first match counts, so a class comes before its bases.
_CODES: tuple[tuple[type[errors.ImageSessionError], Codes], ...] = (
    (errors.InvalidOptionError, _INVALID),
    (errors.InvalidPromptError, _INVALID),
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
CODES: Mapping[str, str] = {
    "invalid_parameters": "an argument has to change; `nearest` has values that would be taken",
    "tool_not_found": "there is no such tool; `nearest` has the name that was meant, perhaps",
    "invalid_input_image": "a picture or mask cannot be used, or its file may not be read",
    "invalid_mask_image": "the mask does not fit its picture, or opens nothing or everything",
    "session_not_found": "there is no such session; `available_sessions` names some",
    "branch_not_found": "the session has no such line; `available_branches` names them",
    "image_not_found": "there is no such picture; `available_images` names some",
    "generation_not_found": "there is no such generation; `available_generations` names some",
    "not_found": "there is nothing of that id; `known` names some that there are",
    "session_closed": "the session was closed; reopen=true goes on with it",
    "max_sessions_reached": "close a session first; `idlest` names one",
    "model_retired": "the model was shut down; `replacement` is its successor",
    "request_id_reused": "this request_id was used for another call",
    "still_pending": "it was asked for before and is not settled; get_generation later",
    "outcome_unknown": "the answer was lost; it may have been billed and is not asked for again",
    "cancelled": "it was stopped",
    "no_access": "there is no key, or it may not do this; only a person can help",
    "budget_exceeded": "it could cost more than is allowed; only a person can raise that",
    "quota_exceeded": "the account's credit is used up; only a person can help",
    "rejected": "the provider says that the request is wrong",
    "refused": "the model answered without a picture; `text` has its words",
    "moderation_blocked": "a safety system stopped it; ask for something else",
    "rate_limited": "too many requests; nothing was billed; try again after `retry_after` seconds",
    "unavailable": "the provider cannot be reached; nothing was billed; try again later",
    "provider_error": "the provider failed; trying once more may help",
    "library_error": "the library's folder cannot be used; only a person can help",
    "internal_error": "something unexpected went wrong in this server",
}
_NO_KEY = (
    "There is no API key. Whoever runs this server sets OPENAI_API_KEY in its environment, or "
    "starts it with --offline, which draws sketches on this computer and needs no key."
)
_ADVICE: Mapping[type[errors.ImageSessionError], str] = {
    errors.BudgetExceededError: "Only the owner of this server can raise --daily-budget; "
    "estimate_cost tells what a call could cost.",
    errors.OutcomeUnknownError: "get_generation looks it up again, which costs nothing.",
}
# What agents can use beside the message. Not `unsaved`: pictures that were not saved are bytes.
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
    A call that this server refuses by itself.

    Attributes:
        code: One of `CODES`.
        message: What happened and what to do next.
        facts: What agents can use beside the message.
    """

    code: str
    message: str
    facts: Mapping[str, Any] = attrs.field(factory=dict[str, Any])

    def __str__(self) -> str:
        return self.message


def to_payload(error: Exception) -> dict[str, Any]:
    """
    Return what an agent gets for an error; for an unexpected one only where the log has it.
    """
    if isinstance(error, ToolCallError):
        return _payload((error.code, error.code), error.message, error.facts)
    if isinstance(error, errors.ImageSessionError):
        codes = _codes(error)
        facts = dict(_details(error))
        if isinstance(error, (errors.TransientError, errors.ProviderError)):
            facts["retryable"] = isinstance(error, errors.TransientError)
        return _payload(codes, _message(error), facts)
    if isinstance(error, ValidationError):
        return _payload(_INVALID, validation_message(error), {})
    reference = secrets.token_hex(4)
    log.error("Unexpected error %s", reference, exc_info=error)
    return _payload(
        ("internal_error", "unknown_error"),
        f"Something unexpected went wrong in this server; its log has it under {reference}. "
        "Whether something was billed can be seen with get_server_stats.",
        {"reference": reference},
    )


def error_result(error: Exception) -> CallToolResult:
    """
    Return the result of a call that went wrong.
    """
    payload = to_payload(error)
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=payload, is_error=True
    )


def validation_message(error: ValidationError) -> str:
    """
    Say which arguments are invalid, without their values.
    """
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    messages = {
        f"{problem['loc'][0] if problem['loc'] else 'the arguments'}: {_problem(problem)}"
        for problem in problems
    }
    return f"The call has to change: {'; '.join(sorted(messages))}."


def _problem(problem: Mapping[str, Any]) -> str:
    if problem["type"] == "missing":
        return "is required"
    message = str(problem["msg"])
    return message[:1].lower() + message[1:]


def _payload(codes: Codes, message: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    code, kind = codes
    return {
        "success": False,
        "error": message[:_MAX_TEXT],
        "error_type": kind,
        "code": code,
        **facts,
    }


def _codes(error: errors.ImageSessionError) -> Codes:
    if isinstance(error, errors.InvalidImageError) and _MASK.search(error.message):
        return "invalid_mask_image", "invalid_mask_image"
    return next(codes for kind, codes in _CODES if isinstance(error, kind))


def _message(error: errors.ImageSessionError) -> str:
    if isinstance(error, errors.AuthenticationError) and "no API key" in error.message:
        return _NO_KEY
    advice = next((words for kind, words in _ADVICE.items() if isinstance(error, kind)), "")
    return f"{error.message} {advice}".strip()


def _details(error: errors.ImageSessionError) -> Iterator[tuple[str, Any]]:
    for name in _DETAILS:
        value = getattr(error, name, None)
        if value in {None, "", ()} or value == float("inf"):
            continue
        yield name, value[:_MAX_TEXT] if isinstance(value, str) else value
    if isinstance(error, errors.NotFoundError):
        yield "known", list(error.known)
