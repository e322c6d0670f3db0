"""
Many things to do: what they are called, and how fast they may be begun.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import cast

from imagesession._model.jobs import Job
from imagesession.errors import CallError

from .checks import check_label

MAX_CONCURRENCY = 64
Named = list[tuple[str | None, Job]]


def named(jobs: Mapping[str, str | Job] | Iterable[str | Job]) -> Named:
    """
    Return jobs with their names, in order.

    Raises:
        CallError: There is something else among them, or it is one text.
    """
    if isinstance(jobs, str):
        raise CallError("map() takes many prompts, not one text; put it in a list.")
    if isinstance(jobs, Mapping):
        pairs = cast("Mapping[str, str | Job]", jobs).items()
        return [(check_label("A job's name", key, empty=False), _job(job)) for key, job in pairs]
    return [(None, _job(job)) for job in jobs]


def _job(job: object) -> Job:
    if isinstance(job, Job):
        return job
    if isinstance(job, str):
        return Job(job)
    raise CallError(f"map() takes prompts and Jobs, not {type(job).__name__}.")


def keys(jobs: Named) -> tuple[str, ...]:
    """
    Return the jobs' names, if they have any.
    """
    return tuple(key for key, _ in jobs if key is not None)


def intent_of(key: str) -> str:
    """
    Return the name of a job's intent.
    """
    return f"map/{key}"


def check_pace(concurrency: object, per_minute: object) -> tuple[int, float | None]:
    """
    Return how many jobs may be under way and how many may begin a minute, if that makes sense.

    Raises:
        CallError: It does not.
    """
    if type(concurrency) is not int or not 1 <= concurrency <= MAX_CONCURRENCY:
        raise CallError(
            f"concurrency={concurrency!r} is not a whole number from 1 to {MAX_CONCURRENCY}."
        )
    if per_minute is None:
        return concurrency, None
    if type(per_minute) in {int, float} and 0 < cast("float", per_minute) < math.inf:
        return concurrency, float(cast("float", per_minute))
    raise CallError(f"images_per_minute={per_minute!r} is not a number greater than 0.")
