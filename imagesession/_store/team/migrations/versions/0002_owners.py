"""
Owners of sessions, turns and images; and which turns are erased.
"""

from __future__ import annotations

from alembic import op

revision = "2"
down_revision = "1"

# What is erased already counts as not erased, which only costs those who sweep a look.
_CHANGES = """
ALTER TABLE turns ADD COLUMN owner text COLLATE "C",
    ADD COLUMN erased boolean NOT NULL DEFAULT false;
ALTER TABLE images ADD COLUMN owner text COLLATE "C";
ALTER TABLE sessions ADD COLUMN owner text COLLATE "C";
CREATE INDEX turns_of_owner ON turns (owner, day) WHERE owner IS NOT NULL;
CREATE INDEX images_of_owner ON images (owner, id) WHERE owner IS NOT NULL;
CREATE INDEX sessions_of_owner ON sessions (owner, id) WHERE owner IS NOT NULL;
UPDATE format SET format = 2, min_reader = 2;
"""


def upgrade() -> None:
    """
    Add the columns.
    """
    for statement in _CHANGES.split(";")[:-1]:
        op.execute(statement.strip())
