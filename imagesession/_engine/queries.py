"""
Build queries for images and spending from callers' arguments.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterable
from typing import TypeVar, get_args

import attrs

from imagesession._domain.marks import validate_tags
from imagesession._domain.reports import Grouping
from imagesession._domain.turn import Kind, Turn
from imagesession._domain.wording import quote
from imagesession.errors import InvalidOptionError, InvalidRequestError

from .effects import StoreCall, Workflow
from .find_session import find_session
from .image_queries import ImageQuery, SpendingQuery
from .validate import validate_label

Choice = TypeVar("Choice", bound=str)
AnyQuery = TypeVar("AnyQuery", ImageQuery, SpendingQuery)
_DAY = dt.timedelta(days=1)


def image_query(
    session: str | None,
    kind: Kind | None,
    text: str | None,
    *,
    since: dt.date | str | None,
    until: dt.date | str | None,
    limit: int,
    before: str | None,
    starred: bool | None = None,
    tags: Iterable[str] = (),
    deleted: bool = False,
) -> ImageQuery:
    return ImageQuery(
        session=_label("The session's id or name", session),
        kind=kind if kind is None else check_choice("kind", kind, get_args(Kind)),
        text=_label("The text", text) or None,
        since=None if since is None else _parse_time("since", since),
        until=None if until is None else _parse_end("until", until),
        limit=check_limit(limit),
        before=_label("The image's id", before),
        starred=None if starred is None else bool(starred),
        tags=validate_tags(tags),
        deleted=deleted,
    )


def session_page(limit: int | None, before: str | None) -> tuple[int | None, str | None]:
    return None if limit is None else check_limit(limit), _label("The session's id", before)


def list_images(query: ImageQuery) -> Workflow[tuple[tuple[Turn, int], ...]]:
    known = yield from with_session_id(query)
    return (yield from StoreCall(lambda store: store.images.list(known)))


def with_session_id(query: AnyQuery) -> Workflow[AnyQuery]:
    wanted = query.session
    if wanted is None:
        return query
    session = yield from find_session(wanted)
    return attrs.evolve(query, session=session.id)


def spending_query(
    group_by: Grouping,
    since: dt.date | str | None,
    until: dt.date | str | None,
    session: str | None,
) -> SpendingQuery:
    return SpendingQuery(
        by=check_choice("group_by", group_by, get_args(Grouping)),
        since=None if since is None else _parse_day("since", since),
        until=None if until is None else _parse_day("until", until),
        session=_label("The session's id or name", session),
    )


def check_limit(limit: object) -> int:
    if type(limit) is int and limit > 0:
        return limit
    raise InvalidRequestError(f"limit={quote(limit)} is not a whole number, 1 or more.")


def _label(what: str, text: str | None) -> str | None:
    return None if text is None else validate_label(what, text)


def check_choice(name: str, value: Choice, choices: tuple[Choice, ...]) -> Choice:
    if value in choices:
        return value
    raise InvalidOptionError(
        f"{name}={quote(value)} is not one of {', '.join(map(repr, choices))}.",
        name,
        value,
        choices,
    )


def _parse_time(name: str, value: dt.date | str) -> dt.datetime:
    """
    Parse a day or time; a time without a zone is UTC, and a day begins at midnight UTC.
    """
    parsed: object = value
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            parsed = dt.datetime.fromisoformat(value)
    if isinstance(parsed, dt.datetime):
        return parsed if parsed.tzinfo else parsed.replace(tzinfo=dt.UTC)
    if isinstance(parsed, dt.date):
        return dt.datetime.combine(parsed, dt.time(), dt.UTC)
    raise InvalidRequestError(
        f'{name}={quote(value)} is not a day or time; write it as "2026-11-24" or '
        '"2026-11-24T09:30".'
    )


def _parse_day(name: str, value: dt.date | str) -> dt.date:
    time = _parse_time(name, value)
    try:
        return time.astimezone(dt.UTC).date()
    except OverflowError:
        return time.date()


def _parse_end(name: str, value: dt.date | str) -> dt.datetime:
    """
    Return the exclusive end of a range; a day is included as a whole.
    """
    time = _parse_time(name, value)
    written_as_day = isinstance(value, str) and "T" not in value and " " not in value.strip()
    is_day = written_as_day or not isinstance(value, (str, dt.datetime))
    try:
        return time + _DAY if is_day else time
    except OverflowError:  # the last day there is
        return dt.datetime.max.replace(tzinfo=dt.UTC)
