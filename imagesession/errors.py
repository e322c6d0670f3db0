"""
Every exception that imagesession raises, grouped by what the caller can do next.

* `ImageSessionError`

  fix the call:

  * `InvalidRequestError`

    - `InvalidOptionError`: an option's value is not one that the model takes
    - `InvalidPromptError`: the prompt is empty or too long
    - `InvalidImageError`: a reference or mask is unreadable, too large, or one too many
    - `ModelRetiredError`: the model was shut down by its provider
    - `NotFoundError`: no such session, turn or image in this library
    - `SessionClosedError`: the session was closed
    - `TooManySessionsError`: as many sessions are active as are allowed
    - `AuthenticationError`: no key, a wrong key, or a key that may not do this
    - `BadRequestError`: the provider says that the request is wrong

  ask for something else:

  * `RefusalError`: the model answered without making an image

    - `ContentBlockedError`: a safety system stopped it

  wait, then call again:

  * `TransientError`

    - `RateLimitError`: too many requests or images per minute
    - `ProviderUnavailableError`: unreachable or overloaded; the request was not processed
    - `BatchNotReadyError`: a batch is not done yet

  pay:

  * `InsufficientQuotaError`: the account's credit or spending limit is used up
  * `BudgetExceededError`: the call could cost more than your own budget leaves

  fix the disk:

  * `StorageError`

    - `StorageIOError`: the library's folder cannot be written or read
    - `UnsupportedFormatVersionError`: the library was written by a newer imagesession
    - `CorruptRecordError`: a record in the library cannot be read

  look before paying again:

  * `OutcomeUnknownError`: the request may have been carried out and billed

    - `StreamInterruptedError`: a stream ended before its last event

  report it, or try once more:

  * `ProviderError`

    - `GenerationFailedError`: the provider says that it failed
    - `InvalidResponseError`: the provider's reply could not be understood

Every error has a `message` that says what happened and what to do next; the other attributes
are the facts behind it. All of them pickle.
"""

from __future__ import annotations

import attrs

__all__ = [
    "AuthenticationError",
    "BadRequestError",
    "BatchNotReadyError",
    "BudgetExceededError",
    "ContentBlockedError",
    "CorruptRecordError",
    "GenerationFailedError",
    "ImageSessionError",
    "InsufficientQuotaError",
    "InvalidImageError",
    "InvalidOptionError",
    "InvalidPromptError",
    "InvalidRequestError",
    "InvalidResponseError",
    "ModelDeprecationWarning",
    "ModelRetiredError",
    "NotFoundError",
    "OutcomeUnknownError",
    "ProviderError",
    "ProviderUnavailableError",
    "RateLimitError",
    "RefusalError",
    "SessionClosedError",
    "StorageError",
    "StorageIOError",
    "StreamInterruptedError",
    "TooManySessionsError",
    "TransientError",
    "UnsupportedFormatVersionError",
]


# Fields are positional: an exception is unpickled by calling it with its arguments in order.
@attrs.define(eq=False)
class ImageSessionError(Exception):
    """
    The root of every error that this library raises on purpose.

    Attributes:
        message: What happened, and what to do next.
    """

    message: str

    def __str__(self) -> str:
        return self.message


class InvalidRequestError(ImageSessionError):
    """
    The call itself has to change; nothing was generated and nothing was billed.
    """


@attrs.define(eq=False)
class InvalidOptionError(InvalidRequestError):
    """
    An option has a value that the chosen model does not take.

    Attributes:
        option: The option's name, as it is written in the call.
        value: What was given.
        nearest: Values close to it that would be taken; may be empty.
    """

    option: str = ""
    value: object = None
    nearest: tuple[str, ...] = ()


class InvalidPromptError(InvalidRequestError):
    """
    The prompt is empty, or longer than the provider takes.
    """


class InvalidImageError(InvalidRequestError):
    """
    A reference picture or a mask cannot be used as it is.
    """


@attrs.define(eq=False)
class ModelRetiredError(InvalidRequestError):
    """
    The model was shut down by its provider.

    Attributes:
        model: The model that was asked for.
        replacement: What its provider recommends instead, if anything.
    """

    model: str = ""
    replacement: str | None = None


@attrs.define(eq=False)
class NotFoundError(InvalidRequestError):
    """
    The library has no session, turn or image of that id.

    Attributes:
        wanted: The id that was looked for.
        known: A few ids that do exist, the latest first.
    """

    wanted: str = ""
    known: tuple[str, ...] = ()


class SessionClosedError(InvalidRequestError):
    """
    The session was closed; its pictures are still there to be read.
    """


@attrs.define(eq=False)
class TooManySessionsError(InvalidRequestError):
    """
    As many sessions are active as are allowed; closing one, or an hour, makes room.

    Attributes:
        limit: How many may be active.
        idlest: The id of the session in which nothing happened for the longest time.
    """

    limit: int = 0
    idlest: str = ""


class AuthenticationError(InvalidRequestError):
    """
    There is no key, the key is wrong, or it may not do what was asked.
    """


@attrs.define(eq=False)
class BadRequestError(InvalidRequestError):
    """
    The provider looked at the request and says that it is wrong.

    Attributes:
        code: The provider's word for it, such as `invalid_value`.
        param: The parameter that it names, if any.
    """

    code: str | None = None
    param: str | None = None


@attrs.define(eq=False)
class RefusalError(ImageSessionError):
    """
    The model answered, and made no image.

    Attributes:
        text: What it said instead.
    """

    text: str = ""


@attrs.define(eq=False)
class ContentBlockedError(RefusalError):
    """
    A safety system stopped the request or the picture. Rephrase; the same words fail again.

    Attributes:
        stage: Where it was stopped: `input`, `output` or `unknown`.
        categories: What the provider says it was about; may be empty.
    """

    stage: str = "unknown"
    categories: tuple[str, ...] = ()


class TransientError(ImageSessionError):
    """
    The request was not processed and not billed, or is not done yet; the same call may succeed
    later.
    """


@attrs.define(eq=False)
class RateLimitError(TransientError):
    """
    The account makes more requests or images a minute than it may.

    Attributes:
        retry_after: Seconds that the provider asks to wait, if it said.
    """

    retry_after: float | None = None


@attrs.define(eq=False)
class ProviderUnavailableError(TransientError):
    """
    The provider could not be reached, or turned the request away before doing any work.

    Attributes:
        retry_after: Seconds that the provider asks to wait, if it said.
    """

    retry_after: float | None = None


class BatchNotReadyError(TransientError):
    """
    The batch is not done yet; it goes on by itself, and the same call tells more later.
    """


class InsufficientQuotaError(ImageSessionError):
    """
    The account's credit or spending limit is used up; waiting does not help.
    """


@attrs.define(eq=False)
class BudgetExceededError(ImageSessionError):
    """
    The call could cost more than the budget leaves. Nothing was sent and nothing was billed.

    Attributes:
        limit: Which limit it is: `per_call`, `per_session` or `per_day`.
        allowed: The limit, in US dollars.
        spent: What is spent or set aside under it already, in US dollars.
        needed: What the call could cost, in US dollars; infinite where that has no bound.
    """

    limit: str = ""
    allowed: float = 0.0
    spent: float = 0.0
    needed: float = 0.0


class StorageError(ImageSessionError):
    """
    The library on disk has to be put right first.
    """


@attrs.define(eq=False)
class StorageIOError(StorageError):
    """
    The library's folder cannot be read or written.

    Attributes:
        kept: Where pictures that were paid for were put instead.
        unsaved: Pictures that were paid for and could be put nowhere, as they came.
    """

    kept: tuple[str, ...] = ()
    unsaved: tuple[bytes, ...] = attrs.field(default=(), repr=False)


class UnsupportedFormatVersionError(StorageError):
    """
    The library was written by a newer imagesession than this one.
    """


class CorruptRecordError(StorageError):
    """
    A record in the library cannot be read; the message names the file and the place in it.
    """


@attrs.define(eq=False)
class OutcomeUnknownError(ImageSessionError):
    """
    The request was sent and its outcome is not known: it may have been carried out and billed.

    imagesession does not send such a request again by itself.

    Attributes:
        turn_id: The turn whose intent is kept in the library's journal.
        response_id: The provider's id, if it was known before the answer was lost.
        finished: Whether the provider says that the picture is finished, and does not show it.
    """

    turn_id: str = ""
    response_id: str | None = None
    finished: bool = False


class StreamInterruptedError(OutcomeUnknownError):
    """
    A stream of events ended before the one that closes it.
    """


@attrs.define(eq=False)
class ProviderError(ImageSessionError):
    """
    The provider failed, or said something that makes no sense.

    Attributes:
        status: The HTTP status, if there was an answer.
        code: The provider's word for it, if it gave one.
    """

    status: int | None = None
    code: str | None = None


class GenerationFailedError(ProviderError):
    """
    The provider accepted the request and then reports that it failed.
    """


class InvalidResponseError(ProviderError):
    """
    The provider's reply could not be understood as what was asked for.
    """


class ModelDeprecationWarning(UserWarning):
    """
    The model will be shut down on an announced date.
    """
