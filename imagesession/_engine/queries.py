"""
Read what callers say of which pictures and days they mean.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TypeVar, get_args

import attrs

from imagesession._domain.reports import Grouping
from imagesession._domain.turn import Kind, Turn
from imagesession.errors import InvalidOptionError, InvalidRequestError

from .effects import StoreCall, Workflow
from .store import ImageQuery, SpendingQuery
from .validate import validate_label

Choice = TypeVar("Choice", bound=str)
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
) -> ImageQuery:
    """
    Put a query for pictures together.

    Raises:
        InvalidRequestError: A part of it is not of its form.
    """
    return ImageQuery(
        session=_label("The session's id or name", session),
        kind=kind if kind is None else check_choice("kind", kind, get_args(Kind)),
        text=_label("The text", text) or None,
        since=None if since is None else _moment("since", since),
        until=None if until is None else _end("until", until),
        limit=check_limit(limit),
        before=_label("The picture's id", before),
    )


def session_page(limit: int | None, before: str | None) -> tuple[int | None, str | None]:
    """
    Check which page of the sessions is meant.

    Raises:
        InvalidRequestError: A part of it is not of its form.
    """
    return None if limit is None else check_limit(limit), _label("The session's id", before)


def list_images(query: ImageQuery) -> Workflow[tuple[tuple[Turn, int], ...]]:
    """
    Return a page of images, each by its turn and its position there.

    Raises:
        NotFoundError: There is no such session.
    """
    wanted = query.session
    if wanted is not None:
        session = yield from StoreCall(lambda store: store.find_session(wanted))
        query = attrs.evolve(query, session=session.id)
    return (yield from StoreCall(lambda store: store.list_images(query)))


def spending_query(
    group_by: Grouping,
    since: dt.date | str | None,
    until: dt.date | str | None,
    session: str | None,
) -> SpendingQuery:
    """
    Put a query for spending together.

    Raises:
        InvalidRequestError: A part of it is not of its form.
    """
    return SpendingQuery(
        by=check_choice("group_by", group_by, get_args(Grouping)),
        since=None if since is None else _day("since", since),
        until=None if until is None else _day("until", until),
        session=_label("The session's id or name", session),
    )


def check_limit(limit: object) -> int:
    """
    Return a limit, if it is one.

    Raises:
        InvalidRequestError: It is not a whole number from 1.
    """
    if type(limit) is int and limit > 0:
        return limit
    raise InvalidRequestError(f"limit={limit!r} is not a whole number from 1.")


def _label(what: str, text: str | None) -> str | None:
    return None if text is None else validate_label(what, text)


def check_choice(name: str, value: Choice, choices: tuple[Choice, ...]) -> Choice:
    """
    Return a value, if it is one of the choices.

    Raises:
        InvalidOptionError: It is not.
    """
    if value in choices:
        return value
    raise InvalidOptionError(
        f"{name}={value!r} is not one of {', '.join(map(repr, choices))}.", name, value, choices
    )


def _moment(name: str, value: dt.date | str) -> dt.datetime:
    """
    Read a day or time; a time without a zone is UTC, and a day begins at midnight UTC.
    """
    read: object = value
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            read = dt.datetime.fromisoformat(value)
    if isinstance(read, dt.datetime):
        return read if read.tzinfo else read.replace(tzinfo=dt.UTC)
    if isinstance(read, dt.date):
        return dt.datetime.combine(read, dt.time(), dt.UTC)
    raise InvalidRequestError(
        f'{name}={value!r} is no day or time; write it as "2026-11-24" or "2026-11-24T09:30".'
    )


def _day(name: str, value: dt.date | str) -> dt.date:
    """
    Return the day, in UTC, that a day or time means.
    """
    moment = _moment(name, value)
    try:
        return moment.astimezone(dt.UTC).date()
    except OverflowError:
        return moment.date()


def _end(name: str, value: dt.date | str) -> dt.datetime:
    """
    Return the time before which something has to lie; a day counts whole.
    """
    moment = _moment(name, value)
    written_as_day = isinstance(value, str) and "T" not in value and " " not in value.strip()
    is_day = written_as_day or not isinstance(value, (str, dt.datetime))
    try:
        return moment + _DAY if is_day else moment
    except OverflowError:  # the last day there is
        return dt.datetime.max.replace(tzinfo=dt.UTC)
