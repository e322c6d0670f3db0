"""
Queued images: jobs of Procrastinate, in the library's own database.

The engine only delivers, at least once. That each image is paid for once comes from the idempotency
key under which `imagesession.worker` makes it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import procrastinate
from procrastinate import exceptions
from procrastinate.jobs import Job

from imagesession._domain.wording import quote
from imagesession._store.ports import Ports
from imagesession.errors import InvalidRequestError, NotFoundError, StorageIOError

from .library import TeamLibrary, queue_prefix

TASK = "imagesession.image"
_SETUP = "imagesession queue"


@contextlib.contextmanager
def opened(ports: Ports) -> Generator[procrastinate.App]:
    """
    Open Procrastinate's app for a library, and make its tables if they are missing.

    Raises:
        InvalidRequestError: The library is not on PostgreSQL.
        StorageIOError: The database cannot be used.
    """
    if not isinstance(ports, TeamLibrary):
        raise InvalidRequestError(
            "Queues and workers need a library on PostgreSQL, such as "
            'Studio("postgresql://host/database?blobs=s3://bucket/prefix"). `map` needs none.'
        )
    # Nothing is prepared and nothing listens, so that PgBouncer may stand in between.
    settings = {**ports.parsed.connection(), "prepare_threshold": None}
    connector = procrastinate.PsycopgConnector(kwargs=settings, min_size=1, max_size=1)
    app = procrastinate.App(connector=connector)
    try:
        with app.open():
            if not app.check_connection():
                with ports.facts.transaction(_SETUP):
                    if not app.check_connection():  # nor did another program meanwhile
                        app.schema_manager.apply_schema()
            yield app
    except exceptions.ProcrastinateException as error:
        # Not chained: the cause may quote prompts.
        raise StorageIOError(
            f"The queue cannot be used: {type(error).__name__}. Check the library's database."
        ) from None


def create(ports: Ports, owner: str | None, name: str, jobs: Sequence[Mapping[str, Any]]) -> None:
    """
    Queue jobs under a name, once. Each owner has names of its own.

    Raises:
        InvalidRequestError: The name has other jobs.
        StorageIOError: The database cannot be used.
    """
    queue_name = f"{queue_prefix(owner)}{name}"
    new = [{**job, "owner": owner} if owner else dict(job) for job in jobs]
    with opened(ports) as app, ports.facts.transaction(f"queue {queue_name}"):
        known = [job.task_kwargs for job in _jobs(app, queue_name)]
        if not known:
            app.configure_task(TASK, queue=queue_name).batch_defer(*new)
        elif known != new:
            raise InvalidRequestError(
                f"The queue {quote(name)} has other requests. Open it with queue(name=…), or "
                "choose another name."
            )


def find(ports: Ports, owner: str | None, name: str) -> list[tuple[str, str]]:
    """
    Return the keys of a queue's jobs, in order, each with its state: "todo", "doing", "succeeded",
    "failed" or "cancelled".

    Raises:
        NotFoundError: There is no such queue.
        StorageIOError: The database cannot be used.
    """
    with opened(ports) as app:
        jobs = _jobs(app, f"{queue_prefix(owner)}{name}")
    if not jobs:
        raise NotFoundError(f"There is no queue {quote(name)} in this library.")
    return [(str(job.task_kwargs["key"]), job.status or "todo") for job in jobs]


def cancel(ports: Ports, owner: str | None, name: str) -> None:
    """
    Cancel the jobs of a queue that no worker has begun.
    """
    with opened(ports) as app:
        for job in _jobs(app, f"{queue_prefix(owner)}{name}"):
            if job.status == "todo" and job.id is not None:
                app.job_manager.cancel_job_by_id(job.id)


def _jobs(app: procrastinate.App, queue: str) -> list[Job]:
    jobs = app.job_manager.list_jobs(queue=queue, task=TASK)
    return sorted(jobs, key=lambda job: job.id or 0)
