"""
What went wrong, as agents are told: a sentence that helps, and a code that stays the same.
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
# The first that fits; so a class stands above those that it derives from.
_CODES: tuple[tuple[type[errors.ImageSessionError], Codes], ...] = (
    (errors.OptionError, _INVALID),
    (errors.PromptError, _INVALID),
    (errors.PictureError, ("invalid_input_image", "invalid_input_image")),
    (errors.ModelRetiredError, ("model_retired", "invalid_parameters")),
    (errors.NotFoundError, ("not_found", "session_not_found")),
    (errors.SessionClosedError, ("session_closed", "session_not_found")),
    (errors.MaxSessionsReached, ("max_sessions_reached", "session_creation_error")),
    (errors.AccessError, ("no_access", "api_error")),
    (errors.RejectedError, ("rejected", "api_error")),
    (errors.CallError, _INVALID),
    (errors.ModerationError, ("moderation_blocked", "no_generation_result")),
    (errors.RefusedError, ("refused", "no_generation_result")),
    (errors.RateLimitError, ("rate_limited", "api_error")),
    (errors.TryLaterError, ("unavailable", "api_error")),
    (errors.QuotaError, ("quota_exceeded", "api_error")),
    (errors.BudgetError, ("budget_exceeded", "api_error")),
    (errors.LibraryError, ("library_error", "generation_error")),
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
    errors.BudgetError: "Only whoever runs this server can raise the limit (--daily-budget); "
    "estimate_cost tells what a call could cost.",
    errors.OutcomeUnknownError: "get_generation looks it up again, which costs nothing.",
}
# What callers can use beside the sentence. Pictures that could not be kept are bytes, and stay out.
_FACTS = (
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
_LONGEST = 1500
_MASK = re.compile(r"\bmask\b", re.IGNORECASE)


@attrs.define(eq=False)
class RefusedCallError(Exception):
    """
    A call that this server does not carry out, whatever the library would say.

    Attributes:
        code: What it is, in a word.
        message: What happened and what to do next.
        facts: What callers can use beside the sentence.
    """

    code: str
    message: str
    facts: Mapping[str, Any] = attrs.field(factory=dict[str, Any])

    def __str__(self) -> str:
        return self.message


def describe(error: Exception) -> dict[str, Any]:
    """
    Return what callers are told of an error; of an unexpected one nothing but where to look.
    """
    if isinstance(error, RefusedCallError):
        return _told((error.code, error.code), error.message, error.facts)
    if isinstance(error, errors.ImageSessionError):
        codes = _codes(error)
        facts = dict(_facts(error))
        if isinstance(error, (errors.TryLaterError, errors.ProviderError)):
            facts["retryable"] = isinstance(error, errors.TryLaterError)
        return _told(codes, _sentence(error), facts)
    if isinstance(error, ValidationError):
        return _told(_INVALID, arguments_sentence(error), {})
    reference = secrets.token_hex(4)
    log.error("Unexpected error %s", reference, exc_info=error)
    return _told(
        ("internal_error", "unknown_error"),
        f"Something unexpected went wrong in this server; its log has it under {reference}. "
        "Whether something was billed can be seen with get_server_stats.",
        {"reference": reference},
    )


def refuse(error: Exception) -> CallToolResult:
    """
    Return the result of a call that went wrong.
    """
    told = describe(error)
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=told, is_error=True
    )


def arguments_sentence(error: ValidationError) -> str:
    """
    Say which arguments are not of their form, and never what they were.
    """
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    told = {
        f"{'.'.join(str(part) for part in one['loc'][:1]) or 'the arguments'}: {_problem(one)}"
        for one in problems
    }
    return f"The call has to change: {'; '.join(sorted(told))}."


def _problem(problem: Mapping[str, Any]) -> str:
    if problem["type"] == "missing":
        return "is required"
    message = str(problem["msg"])
    return message[:1].lower() + message[1:]


def _told(codes: Codes, sentence: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    code, kind = codes
    return {
        "success": False,
        "error": sentence[:_LONGEST],
        "error_type": kind,
        "code": code,
        **facts,
    }


def _codes(error: errors.ImageSessionError) -> Codes:
    if isinstance(error, errors.PictureError) and _MASK.search(error.message):
        return "invalid_mask_image", "invalid_mask_image"
    return next(codes for kind, codes in _CODES if isinstance(error, kind))


def _sentence(error: errors.ImageSessionError) -> str:
    if isinstance(error, errors.AccessError) and "no API key" in error.message:
        return _NO_KEY
    advice = next((words for kind, words in _ADVICE.items() if isinstance(error, kind)), "")
    return f"{error.message} {advice}".strip()


def _facts(error: errors.ImageSessionError) -> Iterator[tuple[str, Any]]:
    for name in _FACTS:
        value = getattr(error, name, None)
        if value in {None, "", ()} or value == float("inf"):
            continue
        yield name, value[:_LONGEST] if isinstance(value, str) else value
    if isinstance(error, errors.NotFoundError):
        yield "known", list(error.known)
