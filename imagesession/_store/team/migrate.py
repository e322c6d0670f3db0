"""
Bring the schema of a library up to date, or print how.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

from imagesession._store.team import migrations

_VERSION_TABLE = "schema_steps"


def upgrade(connection: sa.Connection) -> None:
    _run(None, connection=connection)


def print_upgrade(first: int = 0) -> str:
    """
    Return the steps from a format on as SQL, for those who may not change tables from a program.
    """
    text = io.StringIO()
    _run(str(first) if first else None, as_sql=True, dialect_name="postgresql", output_buffer=text)
    return text.getvalue()


def _run(start: str | None, *, as_sql: bool = False, **options: object) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)

    def steps(revision: str, _: object) -> object:
        return script._upgrade_revs("head", revision)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - as alembic.command does

    with EnvironmentContext(
        config, script, fn=steps, as_sql=as_sql, starting_rev=start
    ) as environment:
        configure: Callable[..., None] = environment.configure
        configure(version_table=_VERSION_TABLE, **options)
        with environment.begin_transaction() if as_sql else contextlib.nullcontext():
            environment.run_migrations()
