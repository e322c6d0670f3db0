"""
Makes queued images, on any machine: `python -m imagesession.worker postgresql://…`.

A worker may be killed at any time: others take its images over within half a minute, and none is
paid for twice. On SIGTERM it takes no new ones, and ends when those under way are saved.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
from collections.abc import Mapping
from typing import Any

from imagesession import AsyncStudio, ImageRequest
from imagesession._domain.extras import needs_extra
from imagesession.errors import (
    ImageSessionError,
    OutcomeUnknownError,
    StorageIOError,
    TransientError,
)

with needs_extra("cluster", "A worker"):
    import procrastinate
    from procrastinate import exceptions

    from imagesession._store.team import jobs

__all__ = ["run"]

_HEARTBEAT, _STALLED, _SWEEP = 2.0, 10.0, 5.0
# What may succeed later is tried again for half an hour, under the same idempotency key.
_RETRY = procrastinate.RetryStrategy(
    max_attempts=10,
    exponential_wait=2,
    retry_exceptions=(TransientError, OutcomeUnknownError, StorageIOError),
)


async def run(studio: AsyncStudio, concurrency: int = 4) -> None:
    """
    Make queued images until this process gets SIGTERM or SIGINT.

    Args:
        studio: A studio on PostgreSQL. Its options are the defaults of all images.
        concurrency: How many images are under way at once.

    Raises:
        InvalidRequestError: The library is not on PostgreSQL.
        StorageIOError: The database cannot be used.
    """
    with jobs.opened(studio._runtime.library.ports) as app:  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - it is our own
        app.task(name=jobs.TASK, retry=_RETRY)(_task(studio))
    async with app.open_async():
        sweeping = asyncio.create_task(_sweep(app))
        try:
            await app.run_worker_async(
                concurrency=concurrency,
                listen_notify=False,
                fetch_job_polling_interval=0.5,
                update_heartbeat_interval=_HEARTBEAT,
                stalled_worker_timeout=_STALLED,
            )
        finally:
            sweeping.cancel()


def _task(studio: AsyncStudio) -> Any:  # noqa: ANN401 - Procrastinate reads its signature
    async def image(
        name: str,
        key: str,
        request: Mapping[str, Any],
        options: Mapping[str, Any],
        owner: str | None,
    ) -> None:
        whose = studio if owner is None else studio.as_owner(owner)
        requests = {f"{name}/{key}": ImageRequest(**request)}
        (outcome,) = await whose.map(requests, progress=False, **options)
        if isinstance(outcome, OutcomeUnknownError):
            await whose.recover(timeout=0)  # of a worker that was killed
        if isinstance(outcome, ImageSessionError):
            raise outcome

    return image


async def _sweep(app: procrastinate.App) -> None:
    """
    Give the jobs of dead workers to others.
    """
    while True:
        with contextlib.suppress(exceptions.ProcrastinateException):
            stalled = await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=_STALLED)
            for job in stalled:
                await app.job_manager.retry_job(job)
        await asyncio.sleep(_SWEEP)


async def _main(arguments: argparse.Namespace) -> None:
    make = AsyncStudio.offline if arguments.offline else AsyncStudio
    # In a conversation, even what a killed worker had just sent is found.
    async with make(arguments.library, provider_state="conversation") as studio:
        await run(studio, arguments.concurrency)


if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m imagesession.worker", description=__doc__)
    known = os.environ.get("IMAGESESSION_LIBRARY")
    parser.add_argument("library", nargs="?", default=known, help="its URL")
    parser.add_argument("--concurrency", type=int, default=4, help="images under way at once")
    parser.add_argument("--offline", action="store_true", help="draw sketches, without a key")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(parser.parse_args()))
