"""
All exceptions of imagesession, grouped by what the caller can do next.

* `ImageSessionError`

  fix the call:

  * `InvalidRequestError`

    - `InvalidOptionError`: the model does not support an option's value
    - `InvalidPromptError`: the prompt is empty or too long
    - `KeyReusedError`: the idempotency key was used for another request
    - `InvalidImageError`: a reference or mask is unreadable or too large, or there are too many
    - `ModelRetiredError`: the model was shut down by its provider
    - `NotFoundError`: no such session, turn, image, batch or model
    - `SessionClosedError`: the session was closed
    - `TooManySessionsError`: the limit of active sessions is reached
    - `AuthenticationError`: no key, a wrong key, or a key without the permission
    - `BadRequestError`: the provider rejected the request as invalid

  change the prompt:

  * `RefusalError`: the model answered without making an image

    - `ContentBlockedError`: a safety system blocked the request or the image

  wait, then call again:

  * `TransientError`

    - `RateLimitError`: too many requests or images per minute
    - `ProviderUnavailableError`: unreachable or overloaded; the request was not processed

      + `RequestNotSentError`: the provider could not be reached; nothing was sent

    - `BatchNotReadyError`: the batch has not ended yet

  pay:

  * `InsufficientQuotaError`: the account's credit or limit is used up, whatever you wait
  * `BudgetExceededError`: the call could cost more than what is left of your own budget

  fix the disk:

  * `StorageError`

    - `StorageIOError`: the library's folder cannot be written or read
    - `UnsupportedFormatVersionError`: the library was written by a newer imagesession
    - `CorruptRecordError`: a record in the library cannot be read

  check before paying again:

  * `OutcomeUnknownError`: the request may have been processed and billed

    - `StreamInterruptedError`: a stream ended before its last event

  report it, or try once more:

  * `ProviderError`

    - `GenerationFailedError`: the provider reported that generation failed
    - `InvalidResponseError`: the provider's response could not be understood

Every error has a `message`, one line that says what happened and what to do next, and the
`request_id` of the provider's answer, if there was one; its other attributes hold the details. All
errors can be pickled.
"""

from __future__ import annotations

from typing import Any

import attrs

__all__ = [
    "AmbiguousNameWarning",
    "AuthenticationError",
    "BadRequestError",
    "BatchNotReadyError",
    "BudgetExceededError",
    "ContentBlockedError",
    "CorruptRecordError",
    "GenerationFailedError",
    "ImageSessionError",
    "IncompleteExportWarning",
    "InsufficientQuotaError",
    "InvalidImageError",
    "InvalidOptionError",
    "InvalidPromptError",
    "InvalidRequestError",
    "InvalidResponseError",
    "KeyReusedError",
    "ModelDeprecationWarning",
    "ModelRetiredError",
    "NotFoundError",
    "OutcomeUnknownError",
    "ProviderError",
    "ProviderUnavailableError",
    "RateLimitError",
    "RefusalError",
    "RequestNotSentError",
    "SessionClosedError",
    "StorageError",
    "StorageIOError",
    "StreamInterruptedError",
    "TooManySessionsError",
    "TransientError",
    "UnsupportedFormatVersionError",
]


def _one_line(message: str) -> str:
    return " ".join(message.split())


# Fields are positional: an exception is unpickled by calling it with its arguments in order.
@attrs.define(eq=False)
class ImageSessionError(Exception):
    """
    The base class of all errors that this library raises on purpose.

    Attributes:
        message: What happened, and what to do next; without line breaks.
        request_id: The provider's id of the request, which its support asks for; None if there was
            no answer.
    """

    message: str = attrs.field(converter=_one_line)
    request_id: str | None = attrs.field(default=None, init=False)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args, {**self.__dict__, "request_id": self.request_id}


class InvalidRequestError(ImageSessionError):
    """
    The call has to be changed; nothing was generated or billed.
    """


@attrs.define(eq=False)
class InvalidOptionError(InvalidRequestError):
    """
    An option has a value that the chosen model does not support.

    Attributes:
        option: The option's name, as in the call.
        value: The rejected value.
        nearest: Valid values close to it; may be empty.
    """

    option: str = ""
    value: object = None
    nearest: tuple[str, ...] = ()


class InvalidPromptError(InvalidRequestError):
    """
    The prompt is empty, or longer than the provider allows.
    """


class KeyReusedError(InvalidRequestError):
    """
    The idempotency key was used for a request with another prompt, session, option or image.
    """


class InvalidImageError(InvalidRequestError):
    """
    A reference image or a mask cannot be used as it is.
    """


@attrs.define(eq=False)
class ModelRetiredError(InvalidRequestError):
    """
    The model was shut down by its provider.

    Attributes:
        model: The requested model.
        replacement: The model that its provider recommends instead, if any.
    """

    model: str = ""
    replacement: str | None = None


@attrs.define(eq=False)
class NotFoundError(InvalidRequestError):
    """
    The library, or the catalogue of models, has nothing with that id or name: a session, branch,
    turn, image, request, batch, model or item of results.

    Attributes:
        wanted: The id or name that was not found.
        known: A few ids or names that exist.
    """

    wanted: str = ""
    known: tuple[str, ...] = ()


class SessionClosedError(InvalidRequestError):
    """
    The session was closed; its images can still be read.
    """


@attrs.define(eq=False)
class TooManySessionsError(InvalidRequestError):
    """
    The limit of active sessions is reached; close one, or wait until one is idle.

    Attributes:
        limit: How many sessions may be active.
        idlest: The id of the session that has been inactive for the longest time.
    """

    limit: int = 0
    idlest: str = ""


class AuthenticationError(InvalidRequestError):
    """
    There is no API key, it is wrong, or it lacks the permission for this request.
    """


@attrs.define(eq=False)
class BadRequestError(InvalidRequestError):
    """
    The provider rejected the request as invalid.

    Attributes:
        code: The provider's error code, such as `invalid_value`.
        param: The parameter that the provider names, if any.
    """

    code: str | None = None
    param: str | None = None


@attrs.define(eq=False)
class RefusalError(ImageSessionError):
    """
    The model answered without making an image.

    Attributes:
        text: The model's answer.
    """

    text: str = ""


@attrs.define(eq=False)
class ContentBlockedError(RefusalError):
    """
    A safety system blocked the request or the image. Rephrase the prompt; the same one fails again.

    Attributes:
        stage: What was blocked: `input`, `output` or `unknown`.
        categories: The categories that the provider names; may be empty.
    """

    stage: str = "unknown"
    categories: tuple[str, ...] = ()


class TransientError(ImageSessionError):
    """
    The request was not processed and not billed, or has not ended yet; the same call may succeed
    later.
    """


@attrs.define(eq=False)
class RateLimitError(TransientError):
    """
    The account exceeded its limit of requests or images per minute.

    Attributes:
        retry_after: Seconds that the provider asks to wait, if it said so.
    """

    retry_after: float | None = None


@attrs.define(eq=False)
class ProviderUnavailableError(TransientError):
    """
    The provider could not be reached, or rejected the request before processing it.

    Attributes:
        retry_after: Seconds that the provider asks to wait, if it said so.
    """

    retry_after: float | None = None


class RequestNotSentError(ProviderUnavailableError):
    """
    The provider could not be reached: the request provably never left, so that nothing was
    processed or billed, and the same call is safe.
    """


class BatchNotReadyError(TransientError):
    """
    The batch has not ended yet; it continues by itself, and the same call may succeed later.
    """


class InsufficientQuotaError(ImageSessionError):
    """
    The account's credit or spending limit is used up, or its limit for the model is 0; waiting does
    not help.
    """


@attrs.define(eq=False)
class BudgetExceededError(ImageSessionError):
    """
    The call could cost more than what is left of the budget. Nothing was sent or billed.

    Attributes:
        limit: The limit that it would exceed: `per_call`, `per_session` or `per_day`.
        allowed: The limit, in US dollars.
        spent: What is already spent or reserved under this limit, in US dollars.
        needed: The most that the call could cost, in US dollars; infinite if there is no bound.
    """

    limit: str = ""
    allowed: float = 0.0
    spent: float = 0.0
    needed: float = 0.0


class StorageError(ImageSessionError):
    """
    The library on disk has to be repaired first.
    """


@attrs.define(eq=False)
class StorageIOError(StorageError):
    """
    The library's folder cannot be read or written.

    Attributes:
        kept: Paths outside the library where paid images were saved instead.
        unsaved: The bytes of paid images that could not be saved anywhere.
    """

    kept: tuple[str, ...] = ()
    unsaved: tuple[bytes, ...] = attrs.field(default=(), repr=False)


class UnsupportedFormatVersionError(StorageError):
    """
    The library was written by a newer imagesession than this one.
    """


class CorruptRecordError(StorageError):
    """
    A record in the library cannot be read; the message names the file and the field.
    """


@attrs.define(eq=False)
class OutcomeUnknownError(ImageSessionError):
    """
    The request was sent and its outcome is unknown: it may have been processed and billed.

    imagesession does not send such a request again by itself.

    Attributes:
        turn_id: The turn whose intent is in the library's journal.
        response_id: The provider's response id, if it arrived before the response was lost.
        finished: Whether the provider reports the image as finished but does not return it.
    """

    turn_id: str = ""
    response_id: str | None = None
    finished: bool = False


class StreamInterruptedError(OutcomeUnknownError):
    """
    A stream of events ended before its last event.
    """


@attrs.define(eq=False)
class ProviderError(ImageSessionError):
    """
    The provider failed, or sent a response that could not be understood.

    Attributes:
        status: The HTTP status, if there was a response.
        code: The provider's error code, if there was one.
    """

    status: int | None = None
    code: str | None = None


class GenerationFailedError(ProviderError):
    """
    The provider accepted the request and then reported that it failed.
    """


class InvalidResponseError(ProviderError):
    """
    The provider's response could not be understood.
    """


class AmbiguousNameWarning(UserWarning):
    """
    Several sessions have a name; the latest was opened. The message has the ids of the others.
    """


class IncompleteExportWarning(UserWarning):
    """
    Files of a session's images are missing in the library, and so in its export.
    """


class ModelDeprecationWarning(UserWarning):
    """
    The provider has announced the date on which it shuts the model down.
    """
