"""
The first tables.
"""

from __future__ import annotations

from alembic import op

revision = "1"
down_revision = None

_TABLES = """
CREATE TABLE format (format integer NOT NULL, min_reader integer NOT NULL);
INSERT INTO format VALUES (1, 1);
CREATE TABLE library (id text PRIMARY KEY, blobs text NOT NULL);
CREATE TABLE facts (
    kind text COLLATE "C" NOT NULL,
    session text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (kind, session, id)
);
CREATE TABLE rights (
    name text COLLATE "C" NOT NULL,
    place integer NOT NULL,
    fence bigint NOT NULL,
    until timestamp with time zone NOT NULL,
    PRIMARY KEY (name, place)
);
CREATE TABLE times (
    name text COLLATE "C" PRIMARY KEY,
    next timestamp with time zone NOT NULL
);
CREATE TABLE turns (
    id text COLLATE "C" PRIMARY KEY,
    session text COLLATE "C",
    kind text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    day date NOT NULL,
    idempotency_key bytea,
    cost numeric NOT NULL,
    spent numeric NOT NULL,
    context numeric NOT NULL,
    images bigint NOT NULL,
    uncertain bigint NOT NULL,
    context_tokens bigint NOT NULL
);
CREATE TABLE images (
    id text COLLATE "C" PRIMARY KEY,
    turn text COLLATE "C" NOT NULL,
    session text COLLATE "C",
    position integer NOT NULL,
    kind text COLLATE "C" NOT NULL,
    words text NOT NULL
);
CREATE TABLE sessions (
    id text COLLATE "C" PRIMARY KEY,
    name text COLLATE "C",
    open boolean NOT NULL,
    touched text COLLATE "C" NOT NULL
);
CREATE TABLE marks (
    id text COLLATE "C" PRIMARY KEY,
    owner text COLLATE "C" NOT NULL,
    deleted boolean NOT NULL,
    erased boolean NOT NULL,
    starred boolean NOT NULL,
    tags text[] NOT NULL
);
CREATE TABLE totals (
    day date NOT NULL,
    kind text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    part smallint NOT NULL,
    cost numeric NOT NULL,
    spent numeric NOT NULL,
    context numeric NOT NULL,
    images bigint NOT NULL,
    turns bigint NOT NULL,
    uncertain bigint NOT NULL,
    context_tokens bigint NOT NULL,
    PRIMARY KEY (day, kind, model, provider, part)
);
CREATE INDEX facts_by_id ON facts (id);
CREATE INDEX marks_of_owner ON marks (owner);
CREATE INDEX starred ON marks (id) WHERE starred;
CREATE INDEX rights_by_fence ON rights (fence);
CREATE INDEX images_of_turn ON images (turn);
CREATE INDEX images_of_session ON images (session, id);
CREATE INDEX images_of_kind ON images (kind, id);
CREATE INDEX images_by_ending ON images (reverse(id));
CREATE INDEX turns_of_session ON turns (session, id);
CREATE INDEX turns_of_idempotency_key ON turns (idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX sessions_of_name ON sessions (name, id);
CREATE INDEX open_sessions ON sessions (touched) WHERE open;
"""
# Where trigrams are not installed or not allowed, a search by words reads all of them.
_SEARCH = """
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX images_by_words ON images USING gin (words gin_trgm_ops);
EXCEPTION WHEN undefined_file OR insufficient_privilege OR undefined_object THEN
    RAISE NOTICE 'no index of trigrams: searching by words is slow';
END $$
"""


def upgrade() -> None:
    """
    Make the tables.
    """
    for statement in _TABLES.split(";")[:-1]:
        op.execute(statement.strip())
    op.execute(_SEARCH.strip())
