"""
Map the provider's errors to the library's, or to another form of the request to try.

Errors come as an HTTP status and body, inside a successful reply, and as events.
"""

from __future__ import annotations

import re

from imagesession._domain.servers import Feature
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
from .http import HttpResponse, TransportError
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
# LiteLLM has the code only in the message.
_BLOCKED_WORDS = re.compile(r"\brejected by (the|our) safety system\b", re.IGNORECASE)
# After a request timeout or a conflict, it is unknown whether the work was done.
_AMBIGUOUS = frozenset({408, 409})
# A request that names an expired file is rejected before any work.
_NOT_FOUND = frozenset({400, 404})
_REJECTED = frozenset({400, 404, 422})
_NO_SUCH_URL = frozenset({404, 405, 501})
_NO_MODEL_STATUS = 404
_UNAUTHORIZED, _FORBIDDEN, _TOO_MANY, _SERVER, _UNAVAILABLE = 401, 403, 429, 500, 503

_NAMES_A_FILE = re.compile(r"\bfile[-_][A-Za-z0-9]{6,}")
_NAMES_A_CONVERSATION = re.compile(r"\bconv_[A-Za-z0-9]{6,}")
_NAMES_AN_ITEM = re.compile(r"\b(ig|msg|rs)_[A-Za-z0-9]{6,}|\bprevious_response_id\b|\bresp_\w{6,}")
_UNSUPPORTED_WORDS = re.compile(
    r"\b(unknown|unrecogni[sz]ed|unsupported|unexpected|extra)[ _]"
    r"(parameter|argument|field|key|input)s?\b|extra_forbidden|unsupported"
    r"|\bnot (supported|permitted|allowed|available|implemented)\b|\bexclusive\b"
    r"|\b(cannot|can't) be used\b|\bexpected file type\b",
    re.IGNORECASE,
)
_NOT_FOUND_WORDS = re.compile(
    r"\b(not (be )?found|no longer|(does not|doesn't) exist|expired|deleted|no such|unknown|missing"
    r"|without its required)\b",
    re.IGNORECASE,
)
# A message about an image's background does not reject background mode.
_ABOUT_AN_IMAGE = re.compile(r"\b(transparent|opaque|alpha)\b|\bbackground_?type\b", re.IGNORECASE)
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
_IMAGE_TOOL = re.compile(
    r"\bimage_generation\b|\b(hosted|built-?in)[ _-]tools?\b|\btool types?\b", re.IGNORECASE
)
_TOOL_PARAM = re.compile(r"(tools(\[\d+\](\.type)?|\.\d+(\.type)?)?|tool_choice(\.type)?)?")
_NO_MODEL = re.compile(
    r"\bmodel\b.{0,200}\b((does not|doesn't) exist|not (be )?found)\b", re.IGNORECASE | re.DOTALL
)
# Codes of servers that have no such URL: OpenAI, Azure (twice), FastAPI, aimock 1.43.
_NO_URL_CODES = frozenset({"", "unknown_url", "404", "notfound", "not_found", "no_fixture_match"})
# Codes that name no cause.
_UNSPECIFIC_CODES = frozenset(
    {"", "invalid_request_error", "bad_request", "badrequest", "400", "404", "422"}
)


class RequestNotProcessedError(Exception):
    """
    The provider has done no work, and may accept another form of the request.

    Attributes:
        rejection: The error to raise if there is no other form.
    """

    rejection: ImageSessionError | None = None


class FeatureUnsupportedError(RequestNotProcessedError):
    """
    The provider does not support a feature of the protocol.

    Attributes:
        feature: The feature.
    """

    def __init__(self, feature: Feature, message: str) -> None:
        super().__init__(message)
        self.feature = feature


class ModelNotFoundError(RequestNotProcessedError):
    """
    The provider does not have the model.
    """


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
    The provider is still processing another request in a conversation.
    """


class ProviderFileNotFoundError(RequestNotProcessedError):
    """
    The provider no longer holds a file that a request names.
    """


class ContextLengthExceededError(RequestNotProcessedError):
    """
    The context is longer than the model takes.
    """


def map_error_object(error: Json) -> ImageSessionError:
    """
    Map an error object inside a successful reply to one of the library's errors.
    """
    code, message = as_text(error.get("code")), as_text(error.get("message"))
    if code in BLOCKED_CODES:
        return _content_blocked(error)
    if code in QUOTA_CODES:
        return _quota_exceeded(message)
    if code == "rate_limit_exceeded":
        return RateLimitError(f"The provider's rate limit was reached: {message}")
    return GenerationFailedError(
        f"The provider could not make the image: {message or code or 'no reason given'}",
        None,
        code or None,
    )


def _content_blocked(error: Json) -> ContentBlockedError:
    details = as_mapping(error.get("moderation_details"))
    message = as_text(error.get("message"))
    named = [as_text(category) for category in as_list(details.get("categories"))]
    categories = tuple(category for category in named if category)
    if not categories:
        # Some servers name them only in the message.
        listed = re.search(r"safety_violations=\[([^\]]*)\]", message)
        categories = tuple(listed[1].replace(",", " ").split()) if listed else ()
    stage = as_text(details.get("moderation_stage")) or "unknown"
    about = f" ({', '.join(categories)})" if categories else ""
    return ContentBlockedError(
        f"The provider's moderation blocked this at its {stage} stage{about}: {message} Rephrase "
        f"the prompt; the same words fail again.",
        message,
        stage,
        categories,
    )


def map_error_response(reply: HttpResponse) -> Exception:
    """
    Map a reply with an error status to an exception.

    A 4xx that another form of the request may avoid is a `RequestNotProcessedError`.
    """
    error = _error_body(reply)
    code, message = as_text(error.get("code")), as_text(error.get("message"))
    param = as_text(error.get("param")) or None
    if code in BLOCKED_CODES or _BLOCKED_WORDS.search(message):
        return _content_blocked(error)
    if code in QUOTA_CODES or as_text(error.get("type")) in QUOTA_CODES:
        return _quota_exceeded(message)
    if code == "conversation_locked":
        return ConversationLockedError(message)
    if reply.status in _REJECTED or reply.status in _NO_SUCH_URL:
        unprocessed = _map_unprocessed(reply.status, code, param, message)
        if unprocessed is not None:
            unprocessed.rejection = _map_status(reply, code, param, message)
            return unprocessed
    return _map_status(reply, code, param, message)


def _map_unprocessed(
    status: int, code: str, param: str | None, message: str
) -> RequestNotProcessedError | None:
    """
    Return what another form of the request has to avoid: a feature of the protocol, or something
    that has expired at the provider.
    """
    if status == _NO_MODEL_STATUS and _NO_MODEL.search(message):
        return ModelNotFoundError(message)
    if _UNSUPPORTED_WORDS.search(f"{code} {message}"):
        unsupported = _map_unsupported(param, message) or _map_no_image_tool(param, message)
        return unsupported or _map_not_found(status, code, param, message)
    return _map_not_found(status, code, param, message) or _map_unsupported(param, message)


def _map_not_found(
    status: int, code: str, param: str | None, message: str
) -> RequestNotProcessedError | None:
    """
    Return the error for an id in the request that the provider does not know.
    """
    gone = status in _NOT_FOUND and _NOT_FOUND_WORDS.search(message) is not None
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


def _map_unsupported(param: str | None, message: str) -> FeatureUnsupportedError | None:
    """
    Return the error for the feature that a rejection's parameter or message names.
    """
    for feature, _ in _FEATURES:
        if param == feature and not _is_about_an_image(feature, message):
            return FeatureUnsupportedError(feature, message)
    if param is None or param.startswith(("tools", "input")):
        for feature, pattern in _FEATURES:
            if pattern.search(message) and not _is_about_an_image(feature, message):
                return FeatureUnsupportedError(feature, message)
    return None


def _map_no_image_tool(param: str | None, message: str) -> FeatureUnsupportedError | None:
    """
    Return the error for a server that has Responses without the image tool.
    """
    if _TOOL_PARAM.fullmatch(param or "") is None or _IMAGE_TOOL.search(message) is None:
        return None
    return FeatureUnsupportedError("image_tool", message)


def _names(feature: Feature, message: str) -> bool:
    return dict(_FEATURES)[feature].search(message) is not None


def _is_about_an_image(feature: Feature, message: str) -> bool:
    return feature == "background" and _ABOUT_AN_IMAGE.search(message) is not None


def is_unexplained(error: BadRequestError) -> bool:
    """
    Return whether a rejection names neither a parameter nor a known reason, so that it may be about
    any part of the request.
    """
    return error.param is None and (error.code or "").lower() in _UNSPECIFIC_CODES


def says_unsupported(error: BadRequestError) -> bool:
    """
    Return whether a rejection says that something is not supported.
    """
    return _UNSUPPORTED_WORDS.search(error.message) is not None


def is_responses_unsupported(reply: HttpResponse) -> bool:
    """
    Return whether a reply to `POST /responses` means that the server has no such endpoint.

    Providers that have it name by a code what is missing: a model, a deployment, a file.
    """
    if reply.status not in _NO_SUCH_URL:
        return False
    error = _error_body(reply)
    cause = as_text(error.get("code")) or as_text(error.get("param"))
    message = as_text(error.get("message"))
    unprocessed = _map_unprocessed(reply.status, "", None, message)
    return cause.lower() in _NO_URL_CODES and unprocessed is None


def require_responses_api(reply: HttpResponse) -> None:
    """
    Check that the server that answered `POST /responses` has this endpoint.

    Raises:
        FeatureUnsupportedError: It does not.
    """
    if is_responses_unsupported(reply):
        raise FeatureUnsupportedError("responses", f"HTTP {reply.status}")


def unreachable_error(error: TransportError) -> ProviderUnavailableError:
    """
    Return the error for a request that was never sent.
    """
    return ProviderUnavailableError(
        f"The provider cannot be reached ({error.reason}); nothing was sent. Check the network "
        "and base_url."
    )


def _map_status(
    reply: HttpResponse, code: str, param: str | None, message: str
) -> ImageSessionError:
    status, after = reply.status, parse_retry_after(reply)
    advice = f" Wait {after:g} seconds." if after is not None else ""
    if status == _UNAUTHORIZED:
        return AuthenticationError(f"The provider does not accept the API key: {message}")
    if status == _FORBIDDEN:
        return AuthenticationError(f"This API key lacks the permission: {message}")
    if status == _TOO_MANY:
        return RateLimitError(f"Too many requests: {message}{advice}", after)
    # A proxy's page is no proof that the server behind it did no work.
    if status == _UNAVAILABLE and (after is not None or _is_json(reply)):
        return ProviderUnavailableError(f"The provider is overloaded: {message}{advice}", after)
    if status >= _SERVER or status in _AMBIGUOUS:
        return ProviderError(
            f"The provider failed with HTTP {status}: {message}", status, code or None
        )
    parameter = f" (parameter {param})" if param else ""
    return BadRequestError(
        f"The provider rejects the request with HTTP {status}{parameter}: {message}",
        code or None,
        param,
    )


def _is_json(reply: HttpResponse) -> bool:
    try:
        return bool(as_mapping(loads_with_views(reply.body)))
    except ValueError:
        return False


def _quota_exceeded(message: str) -> InsufficientQuotaError:
    return InsufficientQuotaError(
        f"The account's credit or spending limit is used up: {message} Add credit or raise the "
        "limit."
    )


def _error_body(reply: HttpResponse) -> Json:
    """
    Return the error object of a body, of any form: some servers send a plain string.
    """
    try:
        body = loads_with_views(reply.body)
    except ValueError:
        body = None
    error = as_mapping(body).get("error")
    if isinstance(error, str):
        return {"message": error}
    if not as_mapping(error):
        body_text = reply.body[:200].decode("utf-8", "replace").strip()
        return {
            "message": as_text(as_mapping(body).get("message")) or body_text or "no reason given"
        }
    return as_mapping(error)


def parse_retry_after(reply: HttpResponse) -> float | None:
    """
    Return the seconds that the provider asks to wait; None if it does not.
    """
    for header, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(reply.headers[header]) / unit
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    return None
