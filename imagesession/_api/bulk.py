"""
Many images by one call: what `studio.map` and `studio.batches.create` plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import attrs

from imagesession._api.types import to_source_or_none, to_sources
from imagesession._api.workflows import PresetCall, resolve_request, standalone
from imagesession._domain.batch import BatchRecord
from imagesession._domain.image_request import ImageRequest
from imagesession._domain.turn import Turn
from imagesession._engine import bulk, generation
from imagesession._engine.effects import Workflow
from imagesession._engine.request import GenerateRequest, StudioConfig
from imagesession._engine.sessions import BranchHead
from imagesession._runtime.concurrency import RateLimiter
from imagesession.errors import InvalidRequestError

ImageRequests: TypeAlias = Mapping[str, str | ImageRequest] | Iterable[str | ImageRequest]
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

    named: bulk.Named
    workflows: list[Workflow[Turn]]
    concurrency: int
    images_per_minute: float | None

    @property
    def keys(self) -> tuple[str, ...]:
        """
        The names of the jobs, if they have any.
        """
        return bulk.keys(self.named)

    @property
    def pace(self) -> RateLimiter:
        """
        When each may start.
        """
        return RateLimiter.per_minute(self.images_per_minute)

    def completed(self) -> Workflow[frozenset[int]]:
        """
        Find the positions of jobs that were completed before, which no rate limits.
        """
        if self.images_per_minute is None:
            return frozenset()
        return (yield from bulk.already_completed(self.named))


def plan_bulk(
    requests: ImageRequests,
    options: Mapping[str, Any],
    config: StudioConfig,
    *,
    concurrency: int,
    images_per_minute: float | None,
) -> BulkPlan:
    """
    Plan many images. What is wrong with one of them is reported in its place.

    Raises:
        InvalidRequestError: An argument is wrong, or an option that all of them have.
    """
    named = bulk.with_keys(requests)
    limit, per_minute = bulk.validate_rate(concurrency, images_per_minute)
    config.options.updated(options)
    return BulkPlan(
        named=named,
        workflows=[_generate(job, key, options, config) for key, job in named],
        concurrency=limit,
        images_per_minute=per_minute,
    )


def _generate(
    job: ImageRequest, key: str | None, options: Mapping[str, Any], config: StudioConfig
) -> Workflow[Turn]:
    request, branch_head = yield from _plan_request(job, key, options, config)
    return (yield from generation.generate(request, config, branch_head))


def _plan_request(
    job: ImageRequest, key: str | None, options: Mapping[str, Any], config: StudioConfig
) -> Workflow[tuple[GenerateRequest, BranchHead | None]]:
    request, position = yield from resolve_request(_call(job, options), config, standalone)
    return attrs.evolve(
        request, idempotency_key=None if key is None else bulk.idempotency_key_for(key)
    ), position


def _call(job: ImageRequest, options: Mapping[str, Any]) -> GenerateRequest | PresetCall:
    """
    Build the request of a job: an edit, a preset's image, or one from a prompt.
    """
    request = GenerateRequest(
        prompt=job.prompt,
        choices={**options, **job.options},
        references=to_sources(job.references),
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
    requests: ImageRequests, name: str | None, options: Mapping[str, Any], config: StudioConfig
) -> Workflow[BatchRecord]:
    """
    Submit many images as a batch.

    Raises:
        InvalidRequestError: A job is wrong, or an option that all of them have.
    """
    from imagesession._engine.batches import submit  # noqa: PLC0415 - not everybody submits one

    named = bulk.with_keys(requests, "batches.create")
    submit.check_count(named)
    config.options.updated(options)
    planned: list[tuple[str | None, GenerateRequest]] = []
    for number, (key, job) in enumerate(named, 1):
        try:
            request, _ = yield from _plan_request(job, key, options, config)
        except InvalidRequestError as error:
            raise bulk.annotate_error(error, number, len(named), key) from error
        planned.append((key, request))
    return (yield from submit.submit(planned, name, config))
