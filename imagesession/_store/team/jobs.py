"""
Queued images: jobs of Procrastinate, in the library's own database.

The engine only delivers, at least once. That each image is paid for once comes from the idempotency
key under which `imagesession.worker` makes it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping, Sequence
from typing import Any, cast

import procrastinate
from procrastinate import exceptions

from imagesession._domain.wording import quote
from imagesession._store.library import LibraryStore
from imagesession._store.ports import Ports
from imagesession.errors import InvalidRequestError, NotFoundError, StorageIOError

from .library import TeamLibrary, queue_prefix

TASK = "imagesession.image"
_SETUP = "imagesession queue"


@contextlib.contextmanager
def opened(ports: Ports) -> Generator[procrastinate.App]:
    """
    Open Procrastinate's app for a library, and make its tables if they are missing.
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


def create(library: LibraryStore, name: str, jobs: Sequence[Mapping[str, Any]]) -> None:
    """
    Queue jobs under a name, once. Each owner has names of its own.
    """
    queue = _queue_name(library, name)
    new = [{**job, "owner": library.owner} for job in jobs]
    with opened(library.ports) as app, library.ports.facts.transaction(f"queue {queue}"):
        known = [job.task_kwargs for job in app.job_manager.list_jobs(queue=queue)]
        if not known:
            app.configure_task(TASK, queue=queue).batch_defer(*new)
        elif known != new:
            raise InvalidRequestError(
                f"The queue {quote(name)} has other requests. Open it with queue(name=…), or "
                "choose another name."
            )


def find(library: LibraryStore, name: str) -> dict[str, str]:
    """
    Return the states of a queue's jobs by their keys, in order: "todo", "doing", "succeeded",
    "failed" or "cancelled".
    """
    with opened(library.ports) as app:
        jobs = app.job_manager.list_jobs(queue=_queue_name(library, name))
    if not jobs:
        raise NotFoundError(f"There is no queue {quote(name)} in this library.")
    return {str(job.task_kwargs["key"]): job.status or "todo" for job in jobs}


def cancel(library: LibraryStore, name: str) -> None:
    queue = _queue_name(library, name)
    with opened(library.ports) as app:
        for job in app.job_manager.list_jobs(queue=queue, status="todo"):
            app.job_manager.cancel_job_by_id(cast("int", job.id))


def _queue_name(library: LibraryStore, name: str) -> str:
    return f"{queue_prefix(library.owner)}{name}"
