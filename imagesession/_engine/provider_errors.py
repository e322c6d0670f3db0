"""
Map the provider's errors to the library's, or to another form of the request to try.

Errors come as an HTTP status and body, inside a successful reply, and as events.
"""

from __future__ import annotations

import datetime as dt
import re
import urllib.parse

from imagesession._domain.servers import Feature
from imagesession._domain.wording import to_sentence
from imagesession.errors import (
    AuthenticationError,
    BadRequestError,
    GenerationFailedError,
    ImageSessionError,
    ProviderError,
    ProviderUnavailableError,
    RequestNotSentError,
)

from .coerce import Json, as_mapping, as_text
from .error_meanings import find_meaning
from .http import HttpResponse, TransportError
from .json_views import loads_with_views
from .retry_after import advise_wait, read_retry_after

# After a request timeout or a conflict, it is unknown whether the work was done.
_AMBIGUOUS = frozenset({408, 409})
# A request that names an expired file is rejected before any work.
_NOT_FOUND = frozenset({400, 404})
_REJECTED = frozenset({400, 404, 422})
_NO_SUCH_URL = frozenset({404, 405, 501})
_REDIRECTS = range(300, 400)
# So much of a page is searched for its title.
_LONGEST_PAGE = 4096
_NO_MODEL_STATUS = 404
_UNAUTHORIZED, _FORBIDDEN, _SERVER, _UNAVAILABLE = 401, 403, 500, 503

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
    ("prompt_cache_key", re.compile(r"\bprompt[ _]cache[ _]key\b", re.IGNORECASE)),
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
        date: When the provider said so, by its own clock.
    """

    rejection: ImageSessionError | None = None
    date: dt.datetime | None = None

    def to_error(self) -> ImageSessionError:
        return self.rejection or BadRequestError(f"The provider rejects the request: {self}")


class FeatureUnsupportedError(RequestNotProcessedError):
    """
    The provider does not support a feature of the protocol.
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
    meant = find_meaning(error)
    if meant is not None:
        return meant
    code, message = as_text(error.get("code")), as_text(error.get("message"))
    reason = to_sentence(message or code or "no reason given")
    return GenerationFailedError(
        f"The provider could not make the image: {reason}", None, code or None
    )


def map_final_error(reply: HttpResponse) -> ImageSessionError:
    """
    Map a reply with an error status to one of the library's errors, where there is no other form
    of the request to try.
    """
    error = map_error_response(reply)
    if isinstance(error, RequestNotProcessedError):
        return error.to_error()
    return error


def map_error_response(reply: HttpResponse) -> ImageSessionError | RequestNotProcessedError:
    """
    Map a reply with an error status to an exception, which has the provider's id of the request.

    A 4xx that another form of the request may avoid is a `RequestNotProcessedError`.
    """
    error = _map_error_response(reply)
    meant: ImageSessionError | None
    if isinstance(error, RequestNotProcessedError):
        meant, error.date = error.rejection, reply.date
    else:
        meant = error
    if meant is not None:
        meant.request_id = reply.request_id
    return error


def _map_error_response(reply: HttpResponse) -> ImageSessionError | RequestNotProcessedError:
    error = _error_body(reply)
    meant = find_meaning(error, reply)
    # Verification may be wanted for a feature alone, such as streams.
    if meant is not None and not isinstance(meant, AuthenticationError):
        return meant
    code, message = as_text(error.get("code")), as_text(error.get("message"))
    param = as_text(error.get("param")) or None
    if code == "conversation_locked":
        return ConversationLockedError(message)
    if reply.status in _REJECTED or reply.status in _NO_SUCH_URL:
        unprocessed = _map_unprocessed(reply.status, code, param, message)
        if unprocessed is not None:
            unprocessed.rejection = meant or _map_status(reply, code, param, message)
            return unprocessed
    return meant or _map_status(reply, code, param, message)


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
    for feature, _ in _FEATURES:
        if param == feature and not _is_about_an_image(feature, message):
            return FeatureUnsupportedError(feature, message)
    if param is None or param.startswith(("tools", "input")):
        for feature, pattern in _FEATURES:
            if pattern.search(message) and not _is_about_an_image(feature, message):
                return FeatureUnsupportedError(feature, message)
    return None


def _map_no_image_tool(param: str | None, message: str) -> FeatureUnsupportedError | None:
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
    if is_responses_unsupported(reply):
        raise FeatureUnsupportedError("responses", f"HTTP {reply.status}")


def unreachable_error(error: TransportError) -> ProviderUnavailableError:
    """
    Return the error for a request that was never sent, or for a free one without an answer.
    """
    advice = error.advice or "Check the network and base_url."
    if error.sent:
        return ProviderUnavailableError(
            f"The provider cannot be reached ({error.reason}); nothing is lost. {advice}"
        )
    return RequestNotSentError(
        f"The provider cannot be reached ({error.reason}); nothing was sent. {advice}"
    )


def _map_status(
    reply: HttpResponse, code: str, param: str | None, message: str
) -> ImageSessionError:
    status, sentence = reply.status, to_sentence(message)
    if status == _UNAUTHORIZED:
        return AuthenticationError(f"The provider does not accept the API key: {sentence}")
    if status == _FORBIDDEN:
        return AuthenticationError(f"This API key lacks the permission: {sentence}")
    after = read_retry_after(reply, message)
    # A proxy's page is no proof that the server behind it did no work.
    if status == _UNAVAILABLE and (after is not None or _is_json(reply)):
        return ProviderUnavailableError(
            f"The provider is overloaded: {sentence}{advise_wait(after, message)}", after
        )
    if status >= _SERVER or status in _AMBIGUOUS:
        return ProviderError(
            f"The provider failed with HTTP {status}: {sentence}", status, code or None
        )
    if status in _REDIRECTS:
        return BadRequestError(
            f"The provider redirects to {_origin_of_redirect(reply)}, and nothing was sent there. "
            "Set base_url to the address that is meant.",
            "redirect",
        )
    parameter = f" (parameter {param})" if param else ""
    return BadRequestError(
        f"The provider rejects the request with HTTP {status}{parameter}: {sentence}",
        code or None,
        param,
    )


def _is_json(reply: HttpResponse) -> bool:
    try:
        return bool(as_mapping(loads_with_views(reply.body)))
    except ValueError:
        return False


def _origin_of_redirect(reply: HttpResponse) -> str:
    target = urllib.parse.urlsplit(reply.headers.get("location", "")[:200])
    return f"{target.scheme}://{target.hostname}" if target.hostname else "another address"


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
        page = reply.body[:_LONGEST_PAGE].decode("utf-8", "replace").strip()
        return {"message": as_text(as_mapping(body).get("message")) or page or "no reason given"}
    return as_mapping(error)
