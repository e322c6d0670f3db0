"""
Validate the jobs, keys and rates of calls that make many images.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, cast

import attrs

from imagesession._domain.image_request import ImageRequest
from imagesession._domain.wording import quote
from imagesession.errors import ImageSessionError, InvalidRequestError

from .effects import StoreCall, Workflow
from .store import Store
from .validate import validate_label

if TYPE_CHECKING:
    from imagesession._domain.batch import BatchRecord

MAX_CONCURRENCY = 64
KeyedJobs = list[tuple[str | None, ImageRequest]]


def with_keys(
    jobs: Mapping[str, str | ImageRequest] | Iterable[str | ImageRequest], verb: str = "map"
) -> KeyedJobs:
    if isinstance(jobs, str):
        raise InvalidRequestError(
            f"{verb}() takes many prompts, not a single text; put it in a list."
        )
    if isinstance(jobs, Mapping):
        pairs = cast("Mapping[str, str | ImageRequest]", jobs).items()
        return [
            (validate_label("A request's name", key, empty=False), _job(job, verb))
            for key, job in pairs
        ]
    if not isinstance(cast("object", jobs), Iterable):
        raise InvalidRequestError(
            f"{verb}() takes prompts and ImageRequests, not a single {type(jobs).__name__}."
        )
    return [(None, _job(job, verb)) for job in jobs]


def _job(job: object, verb: str) -> ImageRequest:
    if isinstance(job, str):
        return ImageRequest(job)
    if not isinstance(job, ImageRequest):
        raise InvalidRequestError(
            f"{verb}() takes prompts and ImageRequests, not {type(job).__name__}."
        )
    for name, example in (("options", "{'quality': 'low'}"), ("params", "{'angle': 'top'}")):
        if not _has_names(getattr(job, name)):
            raise InvalidRequestError(
                f"An ImageRequest's {name}= takes a mapping by name, such as {example}."
            )
    if not isinstance(cast("object", job.preset), str | None):
        raise InvalidRequestError(
            f"An ImageRequest's preset= takes a preset's name, not {quote(job.preset)}."
        )
    return job


def _has_names(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) for name in cast("Mapping[object, object]", value)
    )


def keys(jobs: KeyedJobs) -> tuple[str, ...]:
    return tuple(key for key, _ in jobs if key is not None)


def annotate_error(
    error: InvalidRequestError, number: int, count: int, key: str | None
) -> InvalidRequestError:
    label = f" ({quote(key)})" if key is not None else ""
    message = f"Image {number} of {count}{label}: {error.message} Nothing was sent."
    return attrs.evolve(error, message=message)


def find_batch(id_or_name: str) -> Workflow[BatchRecord]:
    validate_label("The batch's id or name", id_or_name, empty=False)
    return (yield from StoreCall(lambda store: store.batches.find(id_or_name)))


def idempotency_key_for(key: str) -> str:
    return f"map/{key}"


def already_completed(jobs: KeyedJobs) -> Workflow[frozenset[int]]:
    """
    Find the jobs that were made before, by their keys; these send no request.
    """
    return (yield from StoreCall(lambda store: frozenset(_completed_positions(jobs, store))))


def _completed_positions(jobs: KeyedJobs, store: Store) -> Iterator[int]:
    for position, (key, _) in enumerate(jobs):
        # A damaged record is reported when its job is run.
        with contextlib.suppress(ImageSessionError):
            if (
                key is not None
                and store.intents.completed_under(idempotency_key_for(key)) is not None
            ):
                yield position


def validate_timeout(seconds: object) -> float:
    if type(seconds) in {int, float} and 0 <= cast("float", seconds) < math.inf:
        return float(cast("float", seconds))
    raise InvalidRequestError(f"timeout={quote(seconds)} is not a number of seconds, 0 or more.")


def validate_rate(concurrency: object, per_minute: object) -> tuple[int, float | None]:
    if type(concurrency) is not int or not 1 <= concurrency <= MAX_CONCURRENCY:
        raise InvalidRequestError(
            f"max_concurrency={quote(concurrency)} is not a whole number from 1 to "
            f"{MAX_CONCURRENCY}."
        )
    return concurrency, validate_per_minute(per_minute)


def validate_per_minute(per_minute: object) -> float | None:
    if per_minute is None:
        return None
    if type(per_minute) in {int, float} and 0 < cast("float", per_minute) < math.inf:
        return float(cast("float", per_minute))
    raise InvalidRequestError(
        f"images_per_minute={quote(per_minute)} is not a number greater than 0."
    )
