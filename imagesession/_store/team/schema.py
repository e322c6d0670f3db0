"""
The tables of a library on PostgreSQL. `migrations` makes them; here they are as they are now.

All texts are compared byte by byte (collation "C"): ids sort by time.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

FORMAT = 2
"""The format that this program writes: the number of its latest migration."""
MIN_READER = 2
"""The oldest format whose programs can use a library that this one migrated."""

_TEXT = sa.Text(collation="C")
MONEY = sa.Numeric(asdecimal=False)
metadata = sa.MetaData()

library = sa.Table(
    "library",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("blobs", sa.Text, nullable=False),
)
# The record's bytes; of intents and batches, lines of JSON whose members are merged.
facts = sa.Table(
    "facts",
    metadata,
    sa.Column("kind", _TEXT, primary_key=True),
    sa.Column("session", _TEXT, primary_key=True),
    sa.Column("id", _TEXT, primary_key=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
)
rights = sa.Table(
    "rights",
    metadata,
    sa.Column("name", _TEXT, primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("until", sa.DateTime(timezone=True), nullable=False),
)
times = sa.Table(
    "times",
    metadata,
    sa.Column("name", _TEXT, primary_key=True),
    sa.Column("next", sa.DateTime(timezone=True), nullable=False),
)

_COSTS = ("cost", "spent", "context")
_COUNTS = ("images", "turns", "uncertain", "context_tokens")
turns = sa.Table(
    "turns",
    metadata,
    sa.Column("id", _TEXT, primary_key=True),
    sa.Column("session", _TEXT),
    sa.Column("owner", _TEXT),
    sa.Column("erased", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("kind", _TEXT, nullable=False),
    sa.Column("model", _TEXT, nullable=False),
    sa.Column("provider", _TEXT, nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("idempotency_key", sa.LargeBinary),
    *(sa.Column(name, MONEY, nullable=False) for name in _COSTS),
    *(sa.Column(name, sa.BigInteger, nullable=False) for name in _COUNTS if name != "turns"),
)
images = sa.Table(
    "images",
    metadata,
    sa.Column("id", _TEXT, primary_key=True),
    sa.Column("turn", _TEXT, nullable=False),
    sa.Column("session", _TEXT),
    sa.Column("owner", _TEXT),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("kind", _TEXT, nullable=False),
    sa.Column("words", sa.Text, nullable=False),
)
sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", _TEXT, primary_key=True),
    sa.Column("owner", _TEXT),
    # NULL if the record cannot be read.
    sa.Column("name", _TEXT),
    sa.Column("open", sa.Boolean, nullable=False),
    sa.Column("touched", _TEXT, nullable=False),
)
# What is deleted, starred or tagged: images, and sessions and batches as their own owners.
marks = sa.Table(
    "marks",
    metadata,
    sa.Column("id", _TEXT, primary_key=True),
    sa.Column("owner", _TEXT, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sa.Column("erased", sa.Boolean, nullable=False),
    sa.Column("starred", sa.Boolean, nullable=False),
    sa.Column("tags", ARRAY(sa.Text), nullable=False),
)
# The sums of a day. Each is spread over some rows, so that programs that settle turns at the same
# time do not queue for one.
totals = sa.Table(
    "totals",
    metadata,
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("kind", _TEXT, primary_key=True),
    sa.Column("model", _TEXT, primary_key=True),
    sa.Column("provider", _TEXT, primary_key=True),
    sa.Column("part", sa.SmallInteger, primary_key=True),
    *(sa.Column(name, MONEY, nullable=False) for name in _COSTS),
    *(sa.Column(name, sa.BigInteger, nullable=False) for name in _COUNTS),
)

sa.Index("rights_by_fence", rights.c.fence)
sa.Index("images_of_turn", images.c.turn)
sa.Index("images_of_session", images.c.session, images.c.id)
sa.Index("images_of_kind", images.c.kind, images.c.id)
sa.Index("images_by_ending", sa.func.reverse(images.c.id).label("ending"))
sa.Index("turns_of_session", turns.c.session, turns.c.id)
sa.Index(
    "turns_of_idempotency_key",
    turns.c.idempotency_key,
    postgresql_where=turns.c.idempotency_key.is_not(None),
)
for _name, _table, _second in (
    ("turns_of_owner", turns, turns.c.day),
    ("images_of_owner", images, images.c.id),
    ("sessions_of_owner", sessions, sessions.c.id),
):
    sa.Index(_name, _table.c.owner, _second, postgresql_where=_table.c.owner.is_not(None))
sa.Index("facts_by_id", facts.c.id)
sa.Index("marks_of_owner", marks.c.owner)
sa.Index("starred", marks.c.id, postgresql_where=marks.c.starred)
sa.Index("sessions_of_name", sessions.c.name, sessions.c.id)
sa.Index("open_sessions", sessions.c.touched, postgresql_where=sessions.c.open)
