"""
Decide what it means when a provider's answer is an error: which of ours, and what to do next.

Errors stand in HTTP's status and body, in a reply that HTTP calls a success, and in events.
"""

from __future__ import annotations

import re

from imagesession.errors import (
    AccessError,
    GenerationError,
    ImageSessionError,
    ModerationError,
    ProviderError,
    QuotaError,
    RateLimitError,
    RejectedError,
    UnavailableError,
)

from .lifting import parse
from .tolerance import Json, as_list, as_mapping, as_text
from .wire import Reply

QUOTA_CODES = frozenset(
    {
        "billing_hard_limit_reached",
        "credit_balance_exhausted",
        "insufficient_quota",
        "organization_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "project_spend_limit_exceeded",
    }
)
BLOCKED_CODES = frozenset(
    {"moderation_blocked", "image_content_policy_violation", "content_policy_violation"}
)
# A request time-out and a conflict leave open whether the work was done.
_AMBIGUOUS = frozenset({408, 409})
# A request that names a file which expired is refused before any work.
_NOT_THERE = frozenset({400, 404})
_NAMES_A_FILE = re.compile(r"\bfile[-_][A-Za-z0-9]{6,}")
# A conversation, or what was said in one.
_NAMES_AN_ITEM = re.compile(r"\b(conv|ig|msg)_[A-Za-z0-9]{6,}")
# Other servers name neither parameter nor id.
_NO_CONVERSATION = re.compile(
    r"\bconversation\b.*\b(not found|(does not|doesn't) exist|expired|deleted)\b"
    r"|\b(no( such)?|unknown) conversation\b",
    re.IGNORECASE | re.DOTALL,
)
_TAKES_NO_CONVERSATION = re.compile(
    r"\b((unknown|unrecogni[sz]ed|unsupported|unexpected|extra) "
    r"(parameter|argument|field|key|input)s?|extra_forbidden)\b.*\bconversation\b"
    r"|\bconversation\b.*\b(not (supported|permitted)|unsupported|extra_forbidden)\b",
    re.IGNORECASE | re.DOTALL,
)
_REJECTED = frozenset({400, 404, 422})
_NO_SUCH_URL = frozenset({404, 405, 501})
_UNAUTHORIZED, _FORBIDDEN, _TOO_MANY, _SERVER, _UNAVAILABLE = 401, 403, 429, 500, 503


class NotDoneError(Exception):
    """
    The provider has done no work, for a reason that another form of the request may not meet.
    """


class ContextLostError(NotDoneError):
    """
    The provider no longer knows the reply that a turn continues.
    """


class ConversationLostError(NotDoneError):
    """
    The provider does not know a conversation.
    """


class ConversationBusyError(NotDoneError):
    """
    The provider is still answering in a conversation.
    """


class ConversationRefusedError(NotDoneError):
    """
    The provider does not answer in conversations.
    """


class BackgroundRefusedError(NotDoneError):
    """
    The provider does not work in the background.
    """


class FileLostError(NotDoneError):
    """
    The provider no longer holds a file that a request names.
    """


class NoResponsesError(NotDoneError):
    """
    The server does not speak Responses.
    """


def failure_of(error: Json) -> ImageSessionError:
    """
    Turn an error inside a reply that HTTP calls a success into one of ours.
    """
    code, message = as_text(error.get("code")), as_text(error.get("message"))
    if code in BLOCKED_CODES:
        return _blocked(error)
    if code in QUOTA_CODES:
        return _quota(message)
    if code == "rate_limit_exceeded":
        return RateLimitError(f"The provider's rate limit was reached: {message}")
    return GenerationError(
        f"The provider could not make the picture: {message or code or 'no reason given'}",
        None,
        code or None,
    )


def _blocked(error: Json) -> ModerationError:
    details = as_mapping(error.get("moderation_details"))
    message = as_text(error.get("message"))
    named = [as_text(category) for category in as_list(details.get("categories"))]
    categories = tuple(category for category in named if category)
    if not categories:
        # Older and other servers name them in the message alone.
        listed = re.search(r"safety_violations=\[([^\]]*)\]", message)
        categories = tuple(listed[1].replace(",", " ").split()) if listed else ()
    stage = as_text(details.get("moderation_stage")) or "unknown"
    about = f" ({', '.join(categories)})" if categories else ""
    return ModerationError(
        f"A safety system stopped this at its {stage} stage{about}. Rephrase the prompt; the same "
        f"words fail again. The provider says: {message}",
        message,
        stage,
        categories,
    )


def error_of(reply: Reply) -> Exception:
    """
    Turn an answer that HTTP calls an error into an exception.
    """
    error = _error_body(reply)
    code, message = as_text(error.get("code")), as_text(error.get("message"))
    param = as_text(error.get("param")) or None
    if code in BLOCKED_CODES:
        return _blocked(error)
    if code in QUOTA_CODES or as_text(error.get("type")) in QUOTA_CODES:
        return _quota(message)
    if reply.status < _SERVER and (
        code == "previous_response_not_found" or param == "previous_response_id"
    ):
        return ContextLostError(message)
    if reply.status < _SERVER and (lost := _lost(reply.status, code, param, message)) is not None:
        return lost
    if reply.status in _NOT_THERE and _NAMES_A_FILE.search(message):
        return FileLostError(message)
    if param == "background" and reply.status < _SERVER:
        return BackgroundRefusedError(message)
    return _by_status(reply, code, param, message)


def _lost(status: int, code: str, param: str | None, message: str) -> Exception | None:
    """
    Return what is wrong with the conversation that a request names, or an item of one.
    """
    named = _NAMES_AN_ITEM.search(message)
    if code == "conversation_locked":
        return ConversationBusyError(message)
    if status not in _REJECTED:
        return None
    if status in _NOT_THERE and named:
        lost = ConversationLostError if named[1] == "conv" else ContextLostError
        return lost(message)
    if _NO_CONVERSATION.search(message):
        return ConversationLostError(message)
    refused = param == "conversation" or _TAKES_NO_CONVERSATION.search(message)
    return ConversationRefusedError(message) if refused else None


def lacks_responses(reply: Reply) -> bool:
    """
    Tell whether an answer to `POST /responses` means that the server has no such endpoint.

    Providers that have it name what is missing by a code: a model, a deployment, a file.
    """
    if reply.status not in _NO_SUCH_URL:
        return False
    error = _error_body(reply)
    named = as_text(error.get("code")) or as_text(error.get("param"))
    message = as_text(error.get("message"))
    held = _NAMES_A_FILE.search(message) or _lost(reply.status, "", None, message) is not None
    return named in {"", "unknown_url"} and not held


def _by_status(reply: Reply, code: str, param: str | None, message: str) -> ImageSessionError:
    status, after = reply.status, retry_after(reply)
    pause = f" Wait {after:g} seconds." if after is not None else ""
    if status == _UNAUTHORIZED:
        return AccessError(f"The provider does not accept the key: {message}")
    if status == _FORBIDDEN:
        return AccessError(f"This key may not do that: {message}")
    if status == _TOO_MANY:
        return RateLimitError(f"Too many requests: {message}{pause}", after)
    if status == _UNAVAILABLE:
        return UnavailableError(f"The provider is overloaded: {message}{pause}", after)
    if status >= _SERVER or status in _AMBIGUOUS:
        return ProviderError(
            f"The provider failed with HTTP {status}: {message}", status, code or None
        )
    named = f" (parameter {param})" if param else ""
    return RejectedError(
        f"The provider rejects the request with HTTP {status}{named}: {message}",
        code or None,
        param,
    )


def _quota(message: str) -> QuotaError:
    return QuotaError(
        f"The account's credit or spending limit is used up; add credit or raise the limit. "
        f"The provider says: {message}"
    )


def _error_body(reply: Reply) -> Json:
    """
    Return the error object of a body, whatever form it has: some servers send a plain string.
    """
    try:
        body = parse(reply.body)
    except ValueError:
        body = None
    error = as_mapping(body).get("error")
    if isinstance(error, str):
        return {"message": error}
    if not as_mapping(error):
        said = reply.body[:200].decode("utf-8", "replace").strip()
        return {"message": as_text(as_mapping(body).get("message")) or said or "no reason given"}
    return as_mapping(error)


def retry_after(reply: Reply) -> float | None:
    """
    Return the seconds that the provider asks to wait, if it says so.
    """
    for header, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(reply.headers[header]) / unit
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    return None
