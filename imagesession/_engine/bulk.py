"""
Many things to do: what they are called, and how fast they may be begun.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, cast

import attrs

from imagesession._domain.image_request import ImageRequest
from imagesession.errors import ImageSessionError, InvalidRequestError

from .effects import StoreCall, Workflow
from .store import Store
from .validate import validate_label

if TYPE_CHECKING:
    from imagesession._domain.batch import BatchRecord

MAX_CONCURRENCY = 64
Named = list[tuple[str | None, ImageRequest]]


def with_keys(
    jobs: Mapping[str, str | ImageRequest] | Iterable[str | ImageRequest], verb: str = "map"
) -> Named:
    """
    Return jobs with their names, in order.

    Args:
        jobs: What is to be made.
        verb: Which verb makes it, for errors.

    Raises:
        InvalidRequestError: There is something else among them, or it is one text.
    """
    if isinstance(jobs, str):
        raise InvalidRequestError(f"{verb}() takes many prompts, not one text; put it in a list.")
    if isinstance(jobs, Mapping):
        pairs = cast("Mapping[str, str | ImageRequest]", jobs).items()
        return [
            (validate_label("A job's name", key, empty=False), _job(job, verb))
            for key, job in pairs
        ]
    if not isinstance(cast("object", jobs), Iterable):
        raise InvalidRequestError(
            f"{verb}() takes prompts and Jobs, not one {type(jobs).__name__}."
        )
    return [(None, _job(job, verb)) for job in jobs]


def _job(job: object, verb: str) -> ImageRequest:
    if isinstance(job, str):
        return ImageRequest(job)
    if not isinstance(job, ImageRequest):
        raise InvalidRequestError(f"{verb}() takes prompts and Jobs, not {type(job).__name__}.")
    for name, example in (("options", "{'quality': 'low'}"), ("params", "{'angle': 'top'}")):
        if not _has_names(getattr(job, name)):
            raise InvalidRequestError(
                f"A Job's {name}= takes a mapping by name, such as {example}."
            )
    if not isinstance(cast("object", job.preset), str | None):
        raise InvalidRequestError(f"A Job's preset= takes a preset's name, not {job.preset!r}.")
    return job


def _has_names(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) for name in cast("Mapping[object, object]", value)
    )


def keys(jobs: Named) -> tuple[str, ...]:
    """
    Return the jobs' names, if they have any.
    """
    return tuple(key for key, _ in jobs if key is not None)


def annotate_error(
    error: InvalidRequestError, number: int, count: int, key: str | None
) -> InvalidRequestError:
    """
    Say of an error which of many things it is about.
    """
    named = f" ({key!r})" if key is not None else ""
    message = f"Picture {number} of {count}{named}: {error.message} Nothing was sent."
    return attrs.evolve(error, message=message)


def find_batch(wanted: str) -> Workflow[BatchRecord]:
    """
    Return a batch by its id, its name, or the provider's id of it.
    """
    validate_label("The batch's id or name", wanted, empty=False)
    return (yield from StoreCall(lambda store: store.find_batch(wanted)))


def idempotency_key_for(key: str) -> str:
    """
    Return the name of a job's intent.
    """
    return f"map/{key}"


def already_completed(jobs: Named) -> Workflow[frozenset[int]]:
    """
    Find out which jobs were made before, by their names; those ask nothing of the provider.

    Returns:
        Their positions.
    """
    return (yield from StoreCall(lambda store: frozenset(_made(jobs, store))))


def _made(jobs: Named, store: Store) -> Iterator[int]:
    for position, (key, _) in enumerate(jobs):
        # Damage is told by the job that meets it.
        with contextlib.suppress(ImageSessionError):
            if key is not None and store.find_intent(idempotency_key_for(key)) is not None:
                yield position


def validate_timeout(seconds: object, name: str = "timeout") -> float:
    """
    Return how many seconds to wait, if that makes sense.

    Args:
        seconds: What was given.
        name: The argument's name.

    Raises:
        InvalidRequestError: It does not.
    """
    if type(seconds) in {int, float} and 0 <= cast("float", seconds) < math.inf:
        return float(cast("float", seconds))
    raise InvalidRequestError(f"{name}={seconds!r} is not a number of seconds from 0.")


def validate_rate(concurrency: object, per_minute: object) -> tuple[int, float | None]:
    """
    Return how many jobs may be under way and how many may begin a minute, if that makes sense.

    Raises:
        InvalidRequestError: It does not.
    """
    if type(concurrency) is not int or not 1 <= concurrency <= MAX_CONCURRENCY:
        raise InvalidRequestError(
            f"concurrency={concurrency!r} is not a whole number from 1 to {MAX_CONCURRENCY}."
        )
    return concurrency, check_per_minute(per_minute)


def check_per_minute(per_minute: object) -> float | None:
    """
    Return how many requests may go out a minute, None for no limit, if that makes sense.

    Raises:
        InvalidRequestError: It does not.
    """
    if per_minute is None:
        return None
    if type(per_minute) in {int, float} and 0 < cast("float", per_minute) < math.inf:
        return float(cast("float", per_minute))
    raise InvalidRequestError(f"images_per_minute={per_minute!r} is not a number greater than 0.")
