"""
Many images by one call: what `studio.map` and `studio.batches.create` plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import attrs

from imagesession._api.types import to_source_or_none, to_sources
from imagesession._api.workflows import PresetCall, resolve_request, standalone
from imagesession._drive.many import Pace
from imagesession._model.batches import BatchRecord
from imagesession._model.jobs import Job
from imagesession._model.turns import Turn
from imagesession._plan import flows, jobs
from imagesession._plan.sessions import Place
from imagesession._plan.steps import Flow
from imagesession._plan.wishes import Terms, Wish
from imagesession.errors import CallError

ImageRequests: TypeAlias = Mapping[str, str | Job] | Iterable[str | Job]
"""Prompts or jobs, with or without names."""


@attrs.frozen(kw_only=True)
class BulkPlan:
    """
    Many requests, ready to be sent.

    Attributes:
        named: The jobs with their names, in order.
        workflows: What makes each of them.
        concurrency: How many are under way at once.
        images_per_minute: How many may start a minute; None for no limit.
    """

    named: jobs.Named
    workflows: list[Flow[Turn]]
    concurrency: int
    images_per_minute: float | None

    @property
    def keys(self) -> tuple[str, ...]:
        """
        The names of the jobs, if they have any.
        """
        return jobs.keys(self.named)

    @property
    def pace(self) -> Pace:
        """
        When each may start.
        """
        return Pace.per_minute(self.images_per_minute)

    def completed(self) -> Flow[frozenset[int]]:
        """
        Find the positions of jobs that were completed before, which no rate limits.
        """
        if self.images_per_minute is None:
            return frozenset()
        return (yield from jobs.made(self.named))


def plan_bulk(
    requests: ImageRequests,
    options: Mapping[str, Any],
    terms: Terms,
    *,
    concurrency: int,
    images_per_minute: float | None,
) -> BulkPlan:
    """
    Plan many images. What is wrong with one of them is reported in its place.

    Raises:
        CallError: An argument is wrong, or an option that all of them have.
    """
    named = jobs.named(requests)
    limit, per_minute = jobs.check_pace(concurrency, images_per_minute)
    terms.options.updated(options)
    return BulkPlan(
        named=named,
        workflows=[_generate(job, key, options, terms) for key, job in named],
        concurrency=limit,
        images_per_minute=per_minute,
    )


def _generate(job: Job, key: str | None, options: Mapping[str, Any], terms: Terms) -> Flow[Turn]:
    request, place = yield from _plan_request(job, key, options, terms)
    return (yield from flows.generate(request, terms, place))


def _plan_request(
    job: Job, key: str | None, options: Mapping[str, Any], terms: Terms
) -> Flow[tuple[Wish, Place | None]]:
    request, place = yield from resolve_request(_call(job, options), terms, standalone)
    return attrs.evolve(request, intent_id=None if key is None else jobs.intent_of(key)), place


def _call(job: Job, options: Mapping[str, Any]) -> Wish | PresetCall:
    """
    Build the request of a job: an edit, a preset's image, or one from a prompt.
    """
    request = Wish(
        prompt=job.prompt,
        choices={**options, **job.options},
        references=to_sources(job.reference),
    )
    if job.preset is not None:
        return PresetCall(preset=job.preset, params=job.params, request=request)
    return attrs.evolve(
        request,
        edits=job.image is not None,
        image=to_source_or_none(job.image),
        mask=to_source_or_none(job.mask),
        kind="batch" if job.image is None else "edit",
    )


def plan_batch(
    requests: ImageRequests, name: str | None, options: Mapping[str, Any], terms: Terms
) -> Flow[BatchRecord]:
    """
    Submit many images as a batch.

    Raises:
        CallError: A job is wrong, or an option that all of them have.
    """
    from imagesession._plan.batches import submitting  # noqa: PLC0415 - not everybody submits one

    named = jobs.named(requests, "batches.create")
    submitting.check_count(named)
    terms.options.updated(options)
    planned: list[tuple[str | None, Wish]] = []
    for number, (key, job) in enumerate(named, 1):
        try:
            request, _ = yield from _plan_request(job, key, options, terms)
        except CallError as error:
            raise jobs.told_of(error, number, len(named), key) from error
        planned.append((key, request))
    return (yield from submitting.submit(planned, name, terms))
