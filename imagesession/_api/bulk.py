"""
Plan the requests of `studio.map` and `studio.batches.create`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, cast

import attrs

from imagesession._api.image import ImageFacts
from imagesession._api.requests import PresetCall, call_settings, split_keywords
from imagesession._api.types import CallParams, to_source_or_none, to_sources
from imagesession._api.workflows import resolve_request, standalone
from imagesession._domain.batch import BatchRecord
from imagesession._domain.image_request import ImageRequest
from imagesession._domain.turn import Api, Turn, is_id
from imagesession._engine import bulk, generation
from imagesession._engine.effects import NewId, Workflow
from imagesession._engine.prepare import prepare_request
from imagesession._engine.request import GenerateRequest, StudioConfig
from imagesession._engine.sessions import BranchHead, session_config
from imagesession._runtime.concurrency import RateLimiter
from imagesession.errors import InvalidRequestError

ImageRequests: TypeAlias = Mapping[str, str | ImageRequest] | Iterable[str | ImageRequest]
"""Prompts or requests, with or without names."""


@attrs.frozen(kw_only=True)
class BulkPlan:
    """
    Many requests, ready to be sent.

    Attributes:
        keys: The names of the requests; empty if they have none.
        workflows: The workflow of each request.
        concurrency: How many are under way at once.
        pace: When each may start.
        completed: Finds the positions of requests that were completed before, which are exempt
            from the pace.
    """

    keys: tuple[str, ...]
    workflows: list[Workflow[Turn]]
    concurrency: int
    pace: RateLimiter
    completed: Workflow[frozenset[int]]


def plan_bulk(
    requests: ImageRequests,
    keywords: Mapping[str, Any],
    config: StudioConfig,
    *,
    max_concurrency: int,
    images_per_minute: float | None,
    api: Api | None,
) -> BulkPlan:
    """
    Plan many images. An invalid request becomes an error in its place.
    """
    named = bulk.with_keys(requests)
    limit, per_minute = bulk.validate_rate(max_concurrency, images_per_minute)
    own, options = split_keywords(keywords, CallParams)
    config = config.for_call(call_settings(own))
    config.options.updated(options)
    config = session_config(config, None, api)
    return BulkPlan(
        keys=bulk.keys(named),
        workflows=[_generate(request, key, options, config) for key, request in named],
        concurrency=limit,
        pace=RateLimiter.per_minute(per_minute),
        completed=_completed(named, per_minute),
    )


def _completed(named: bulk.KeyedJobs, per_minute: float | None) -> Workflow[frozenset[int]]:
    if per_minute is None:
        return frozenset()
    return (yield from bulk.already_completed(named))


def _generate(
    image_request: ImageRequest, key: str | None, options: Mapping[str, Any], config: StudioConfig
) -> Workflow[Turn]:
    request, branch_head = yield from _plan_request(image_request, key, options, config)
    return (yield from generation.generate(request, config, branch_head))


def _plan_request(
    image_request: ImageRequest, key: str | None, options: Mapping[str, Any], config: StudioConfig
) -> Workflow[tuple[GenerateRequest, BranchHead | None]]:
    call = _to_call(image_request, options)
    request, branch_head = yield from resolve_request(call, config, standalone)
    idempotency_key = None if key is None else bulk.idempotency_key_for(key)
    return attrs.evolve(request, idempotency_key=idempotency_key), branch_head


def _to_call(
    image_request: ImageRequest, options: Mapping[str, Any]
) -> GenerateRequest | PresetCall:
    request = GenerateRequest(
        prompt=image_request.prompt,
        choices={**options, **image_request.options},
        references=to_sources(image_request.references),
    )
    if image_request.preset is not None:
        return PresetCall(preset=image_request.preset, params=image_request.params, request=request)
    return attrs.evolve(
        request,
        edits=image_request.image is not None,
        image=to_source_or_none(image_request.image),
        mask=to_source_or_none(image_request.mask),
        kind="batch" if image_request.image is None else "edit",
    )


def plan_batch(
    requests: ImageRequests, name: str | None, options: Mapping[str, Any], config: StudioConfig
) -> Workflow[BatchRecord]:
    from imagesession._engine.batches import submit  # noqa: PLC0415 - rarely needed

    named = bulk.with_keys(requests, "batches.create")
    submit.validate_count(named)
    config.options.updated(options)
    planned: list[tuple[str | None, GenerateRequest]] = []
    for number, (key, image_request) in enumerate(named, 1):
        try:
            request, _ = yield from _plan_request(image_request, key, options, config)
        except InvalidRequestError as error:
            raise bulk.annotate_error(error, number, len(named), key) from error
        planned.append((key, request))
    return (yield from submit.submit(planned, name, config))


def plan_queue(
    requests: ImageRequests, name: str, options: Mapping[str, Any], config: StudioConfig
) -> Workflow[list[dict[str, Any]]]:
    """
    Check many images, and return the jobs for a queue: objects of JSON.
    """
    jobs: list[dict[str, Any]] = []
    named = bulk.with_keys(requests, "queue")
    for number, (key, image_request) in enumerate(named, 1):
        try:
            portable = _portable(image_request)
            request, head = yield from _plan_request(image_request, key, options, config)
            yield from prepare_request(request, config, (yield from NewId()), head)
        except InvalidRequestError as error:
            raise bulk.annotate_error(error, number, len(named), key) from error
        jobs.append({"name": name, "key": key or str(number), "request": portable})
    if not jobs:
        raise InvalidRequestError("queue() has no requests; nothing would be made.")
    return [{**job, "options": _as_json(dict(options))} for job in jobs]


def _portable(request: ImageRequest) -> dict[str, Any]:
    """
    Return what a worker on another machine needs: images by their ids in the library.
    """
    given = attrs.asdict(request, recurse=False)
    given |= {name: _image_ids(given[name]) for name in ("image", "references", "mask")}
    return _as_json({name: value for name, value in given.items() if value})


def _image_ids(images: object) -> Any:  # noqa: ANN401 - an id, a list or a mapping of them
    if isinstance(images, Mapping):
        by_role = cast("Mapping[str, object]", images)
        return {role: _image_ids(image) for role, image in by_role.items()}
    if isinstance(images, ImageFacts):
        return images.id
    if images is None or (isinstance(images, str) and is_id(images)):
        return images
    if isinstance(images, (list, tuple)):
        return [_image_ids(image) for image in cast("Iterable[object]", images)]
    raise InvalidRequestError(
        "A worker on another machine cannot read this image. Import it with "
        "studio.images.import_file, and pass what that returns."
    )


def _as_json(value: dict[str, Any]) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", json.loads(json.dumps(value)))
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(
            f"A queue takes options and params that JSON can hold: {error}."
        ) from error
