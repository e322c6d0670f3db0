"""
Print the schema of a library on PostgreSQL as SQL, for those who review it or run it by hand.

    python -m imagesession.schema        for an empty database
    python -m imagesession.schema 1      what a database of format 1 lacks
"""

from __future__ import annotations

import sys

__all__ = ["sql"]


def sql(first: int = 0) -> str:
    """
    Return the statements that make the tables of a library, or bring them up to date.

    A studio runs them by itself when it opens a database; do it by hand where its role may not
    change tables. It needs the extra `team`.

    Args:
        first: The format that the database has, which its table `format` says; 0 if it is empty.
    """
    from imagesession._store.team.migrate import print_upgrade  # noqa: PLC0415 - an extra

    return print_upgrade(first)


if __name__ == "__main__":
    sys.stdout.write(sql(int(sys.argv[1]) if sys.argv[1:] else 0))
