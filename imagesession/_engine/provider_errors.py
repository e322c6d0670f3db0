"""
Decide what it means when a provider's answer is an error: which of ours, and what to do next.

Errors stand in HTTP's status and body, in a reply that HTTP calls a success, and in events.
"""

from __future__ import annotations

import re

from imagesession.errors import (
    AuthenticationError,
    BadRequestError,
    ContentBlockedError,
    GenerationFailedError,
    ImageSessionError,
    InsufficientQuotaError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
)

from .coerce import Json, as_list, as_mapping, as_text
from .http import Feature, HttpResponse, TransportError
from .json_views import loads_with_views

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
_NOT_FOUND = frozenset({400, 404})
_REJECTED = frozenset({400, 404, 422})
_NO_SUCH_URL = frozenset({404, 405, 501})
_UNAUTHORIZED, _FORBIDDEN, _TOO_MANY, _SERVER, _UNAVAILABLE = 401, 403, 429, 500, 503

_NAMES_A_FILE = re.compile(r"\bfile[-_][A-Za-z0-9]{6,}")
_NAMES_A_CONVERSATION = re.compile(r"\bconv_[A-Za-z0-9]{6,}")
_NAMES_AN_ITEM = re.compile(r"\b(ig|msg|rs)_[A-Za-z0-9]{6,}|\bprevious_response_id\b|\bresp_\w{6,}")
_NOT_TAKEN = re.compile(
    r"\b(unknown|unrecogni[sz]ed|unsupported|unexpected|extra)[ _]"
    r"(parameter|argument|field|key|input)s?\b|extra_forbidden|unsupported"
    r"|\bnot (supported|permitted|allowed|available|implemented)\b|\bexclusive\b"
    r"|\b(cannot|can't) be used\b|\bexpected file type\b",
    re.IGNORECASE,
)
_IS_GONE = re.compile(
    r"\b(not (be )?found|no longer|(does not|doesn't) exist|expired|deleted|no such|unknown|missing"
    r"|without its required)\b",
    re.IGNORECASE,
)
# Where a message speaks of an image's background, it is not background mode that is refused.
_OF_AN_IMAGE = re.compile(r"\b(transparent|opaque|alpha)\b|\bbackground_?type\b", re.IGNORECASE)
_FEATURES: tuple[tuple[Feature, re.Pattern[str]], ...] = (
    ("conversation", re.compile(r"\bconversations?\b", re.IGNORECASE)),
    ("previous_response_id", re.compile(r"\bprevious[ _]response(_id)?\b", re.IGNORECASE)),
    ("background", re.compile(r"\bbackground\b", re.IGNORECASE)),
    ("stream", re.compile(r"\bstream(s|ed|ing)?\b", re.IGNORECASE)),
    ("files", re.compile(r"\bfile[ _](id|type|input)s?\b", re.IGNORECASE)),
    ("store", re.compile(r"\bstore[ds]?\b|\bzero[ -]data[ -]retention\b|\bZDR\b", re.IGNORECASE)),
)
_CONTEXT_FULL = re.compile(
    r"\b(context (window|length)|maximum context|too many tokens|input is too long)\b",
    re.IGNORECASE,
)
# Codes that say no more than that something is wrong.
_NO_REASON = frozenset(
    {"", "invalid_request_error", "bad_request", "badrequest", "400", "404", "422"}
)


class RequestNotProcessedError(Exception):
    """
    The provider has done no work, for a reason that another form of the request may not meet.

    Attributes:
        rejection: What is raised where there is no other form.
    """

    rejection: ImageSessionError | None = None


class FeatureUnsupportedError(RequestNotProcessedError):
    """
    The provider does not take a part of the protocol.

    Attributes:
        feature: Which one.
    """

    def __init__(self, feature: Feature, message: str) -> None:
        super().__init__(message)
        self.feature = feature


class PreviousResponseNotFoundError(RequestNotProcessedError):
    """
    The provider no longer knows the response that a turn continues, or an item of it.
    """


class ConversationNotFoundError(RequestNotProcessedError):
    """
    The provider does not know a conversation.
    """


class ConversationLockedError(RequestNotProcessedError):
    """
    The provider is still answering in a conversation.
    """


class ProviderFileNotFoundError(RequestNotProcessedError):
    """
    The provider no longer holds a file that a request names.
    """


class ContextLengthExceededError(RequestNotProcessedError):
    """
    What came before is more than the model takes in.
    """


def map_error_object(error: Json) -> ImageSessionError:
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
    return GenerationFailedError(
        f"The provider could not make the picture: {message or code or 'no reason given'}",
        None,
        code or None,
    )


def _blocked(error: Json) -> ContentBlockedError:
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
    return ContentBlockedError(
        f"A safety system stopped this at its {stage} stage{about}. Rephrase the prompt; the same "
        f"words fail again. The provider says: {message}",
        message,
        stage,
        categories,
    )


def map_error_response(reply: HttpResponse) -> Exception:
    """
    Turn an answer that HTTP calls an error into an exception.

    A 4xx of which another form of the request may not be answered likewise is a
    `RequestNotProcessedError`.
    """
    error = _error_body(reply)
    code, message = as_text(error.get("code")), as_text(error.get("message"))
    param = as_text(error.get("param")) or None
    if code in BLOCKED_CODES:
        return _blocked(error)
    if code in QUOTA_CODES or as_text(error.get("type")) in QUOTA_CODES:
        return _quota(message)
    if code == "conversation_locked":
        return ConversationLockedError(message)
    if reply.status in _REJECTED or reply.status in _NO_SUCH_URL:
        unprocessed = _unprocessed(reply.status, code, param, message)
        if unprocessed is not None:
            unprocessed.rejection = _by_status(reply, code, param, message)
            return unprocessed
    return _by_status(reply, code, param, message)


def _unprocessed(
    status: int, code: str, param: str | None, message: str
) -> RequestNotProcessedError | None:
    """
    Return what another form of the request may do without: a part of the protocol, or something
    that the provider does not have any more.
    """
    if _NOT_TAKEN.search(f"{code} {message}"):
        refused = _unsupported(param, message)
        return refused or _not_found(status, code, param, message)
    return _not_found(status, code, param, message) or _unsupported(param, message)


def _not_found(
    status: int, code: str, param: str | None, message: str
) -> RequestNotProcessedError | None:
    """
    Return which of the things that a request names the provider does not have.
    """
    gone = status in _NOT_FOUND and _IS_GONE.search(message) is not None
    if code == "context_length_exceeded" or _CONTEXT_FULL.search(message):
        return ContextLengthExceededError(message)
    if code == "previous_response_not_found" or (gone and _NAMES_AN_ITEM.search(message)):
        return PreviousResponseNotFoundError(message)
    if gone and (_NAMES_A_CONVERSATION.search(message) or _names("conversation", message)):
        return ConversationNotFoundError(message)
    if status in _NOT_FOUND and _NAMES_A_FILE.search(message):
        return ProviderFileNotFoundError(message)
    if param == "previous_response_id":
        return PreviousResponseNotFoundError(message)
    return None


def _unsupported(param: str | None, message: str) -> FeatureUnsupportedError | None:
    """
    Return which part of the protocol a refusal is about, in whatever words it says so.
    """
    for feature, _ in _FEATURES:
        if param == feature and not _is_about_an_image(feature, message):
            return FeatureUnsupportedError(feature, message)
    if param is None or param.startswith(("tools", "input")):
        for feature, words in _FEATURES:
            if words.search(message) and not _is_about_an_image(feature, message):
                return FeatureUnsupportedError(feature, message)
    return None


def _names(feature: Feature, message: str) -> bool:
    return dict(_FEATURES)[feature].search(message) is not None


def _is_about_an_image(feature: Feature, message: str) -> bool:
    return feature == "background" and _OF_AN_IMAGE.search(message) is not None


def is_unexplained(error: BadRequestError) -> bool:
    """
    Tell whether a rejection names neither a parameter nor a reason that is known: it may be about
    any part of the request.
    """
    return error.param is None and (error.code or "").lower() in _NO_REASON


def is_responses_unsupported(reply: HttpResponse) -> bool:
    """
    Tell whether an answer to `POST /responses` means that the server has no such endpoint.

    Providers that have it name what is missing by a code: a model, a deployment, a file.
    """
    if reply.status not in _NO_SUCH_URL:
        return False
    error = _error_body(reply)
    named = as_text(error.get("code")) or as_text(error.get("param"))
    message = as_text(error.get("message"))
    held = _unprocessed(reply.status, "", None, message)
    return named in {"", "unknown_url"} and held is None


def check_speaks_responses(reply: HttpResponse) -> None:
    """
    Check that an answer to `POST /responses` is of a server that has such an endpoint.

    Raises:
        FeatureUnsupportedError: It has none.
    """
    if is_responses_unsupported(reply):
        raise FeatureUnsupportedError("responses", f"HTTP {reply.status}")


def unreachable(error: TransportError) -> ProviderUnavailableError:
    """
    Return what is raised of a request that never left.
    """
    return ProviderUnavailableError(
        f"The provider cannot be reached ({error.reason}); nothing was sent. Check the network "
        "and the base URL."
    )


def _by_status(
    reply: HttpResponse, code: str, param: str | None, message: str
) -> ImageSessionError:
    status, after = reply.status, parse_retry_after(reply)
    pause = f" Wait {after:g} seconds." if after is not None else ""
    if status == _UNAUTHORIZED:
        return AuthenticationError(f"The provider does not accept the key: {message}")
    if status == _FORBIDDEN:
        return AuthenticationError(f"This key may not do that: {message}")
    if status == _TOO_MANY:
        return RateLimitError(f"Too many requests: {message}{pause}", after)
    if status == _UNAVAILABLE:
        return ProviderUnavailableError(f"The provider is overloaded: {message}{pause}", after)
    if status >= _SERVER or status in _AMBIGUOUS:
        return ProviderError(
            f"The provider failed with HTTP {status}: {message}", status, code or None
        )
    named = f" (parameter {param})" if param else ""
    return BadRequestError(
        f"The provider rejects the request with HTTP {status}{named}: {message}",
        code or None,
        param,
    )


def _quota(message: str) -> InsufficientQuotaError:
    return InsufficientQuotaError(
        f"The account's credit or spending limit is used up; add credit or raise the limit. "
        f"The provider says: {message}"
    )


def _error_body(reply: HttpResponse) -> Json:
    """
    Return the error object of a body, whatever form it has: some servers send a plain string.
    """
    try:
        body = loads_with_views(reply.body)
    except ValueError:
        body = None
    error = as_mapping(body).get("error")
    if isinstance(error, str):
        return {"message": error}
    if not as_mapping(error):
        said = reply.body[:200].decode("utf-8", "replace").strip()
        return {"message": as_text(as_mapping(body).get("message")) or said or "no reason given"}
    return as_mapping(error)


def parse_retry_after(reply: HttpResponse) -> float | None:
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
