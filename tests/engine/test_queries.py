"""
Query arguments for images and days are parsed as meant, or rejected.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._domain.reports import Grouping
from imagesession._domain.turn import Kind
from imagesession._engine.image_queries import ImageQuery, SpendingQuery
from imagesession._engine.queries import check_limit, image_query, spending_query
from imagesession.errors import InvalidOptionError, InvalidRequestError

DAY = dt.timedelta(days=1)
ZONES = st.none() | st.timezones() | st.just(dt.timezone(dt.timedelta(hours=-5)))
days = st.dates(dt.date(1970, 1, 2), dt.date(2999, 12, 31))
moments = st.tuples(days, st.times(), ZONES).map(lambda parts: dt.datetime.combine(*parts))


def query(**arguments: Any) -> ImageQuery:
    """
    Build a query as `images` does.
    """
    defaults = {"since": None, "until": None, "limit": 50, "before": None}
    merged: dict[str, Any] = {**defaults, **arguments}
    session, kind, text = (merged.pop(name, None) for name in ("session", "kind", "text"))
    return image_query(session, kind, text, **merged)


def test_query_without_arguments_matches_all() -> None:
    """
    Omitted arguments do not restrict the query.
    """
    assert query() == ImageQuery()
    assert query(text="") == ImageQuery()
    assert spending_query("day", None, None, None) == SpendingQuery()


@given(day=days, written=st.booleans())
def test_day_is_included_as_a_whole(day: dt.date, *, written: bool) -> None:
    """
    A day, as a date or a text, lasts from midnight UTC to the next midnight.
    """
    value = day.isoformat() if written else day
    parsed = query(since=value, until=value)
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    assert (parsed.since, parsed.until) == (midnight, midnight + DAY)
    assert spending_query("day", value, value, None) == SpendingQuery(since=day, until=day)


@given(moment=moments, written=st.booleans())
def test_time_is_kept(moment: dt.datetime, *, written: bool) -> None:
    """
    A time with a zone is kept, and one without a zone is UTC; midnight does not count as a day.
    """
    if moment.tzinfo is not None and moment.utcoffset() is None:
        return
    value = moment.isoformat() if written else moment
    expected = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    parsed = query(since=value, until=value)
    assert parsed.since == parsed.until == expected
    utc = expected.astimezone(dt.UTC).date()
    assert spending_query("day", value, value, None) == SpendingQuery(since=utc, until=utc)


def test_first_and_last_day_are_accepted() -> None:
    """
    The first and last possible days can be used for "always".
    """
    parsed = query(since="0001-01-01", until="9999-12-31")
    assert parsed.since == dt.datetime.min.replace(tzinfo=dt.UTC)
    assert parsed.until == dt.datetime.max.replace(tzinfo=dt.UTC)
    east, west = (dt.timezone(dt.timedelta(hours=hours)) for hours in (9, -9))
    first, last = dt.datetime.min.replace(tzinfo=east), dt.datetime.max.replace(tzinfo=west)
    days_ = SpendingQuery(since=dt.date.min, until=dt.date.max)
    assert spending_query("day", first, last, None) == days_


@pytest.mark.parametrize(
    "value,until",
    [
        ("2026-11-24", "2026-11-25T00:00:00+00:00"),
        ("20261124", "2026-11-25T00:00:00+00:00"),
        ("2026-11-24T00:00", "2026-11-24T00:00:00+00:00"),
        ("2026-11-24 09:30", "2026-11-24T09:30:00+00:00"),
        ("2026-11-24T09:30Z", "2026-11-24T09:30:00+00:00"),
        ("2026-11-24T09:30+02:00", "2026-11-24T07:30:00+00:00"),
        (dt.date(2026, 11, 24), "2026-11-25T00:00:00+00:00"),
        (dt.datetime(2026, 11, 24, tzinfo=dt.UTC), "2026-11-24T00:00:00+00:00"),
    ],
)
def test_formats_of_until_are_parsed(value: str | dt.date, until: str) -> None:
    """
    Days and times are recognised in all usual formats.
    """
    assert query(until=value).until == dt.datetime.fromisoformat(until)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_is_accepted(kind: str) -> None:
    """
    Images of every kind can be queried.
    """
    assert query(kind=kind).kind == kind


@pytest.mark.parametrize("by", get_args(Grouping))
def test_every_grouping_is_accepted(by: Grouping) -> None:
    """
    Spending can be queried by every grouping.
    """
    assert spending_query(by, None, None, "x").by == by


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"since": "yesterday"}, "since='yesterday' is not a day or time"),
        ({"until": "2026-02-30"}, "until='2026-02-30' is not a day or time"),
        ({"since": ""}, "since='' is not a day"),
        ({"since": 7}, "since=7 is not a day"),
        ({"until": 1.5}, "until=1.5 is not a day"),
        ({"kind": "photo"}, "kind='photo' is not one of 'general'"),
        ({"kind": ["general"]}, "kind="),
        ({"text": 7}, "The text is 7"),
        ({"text": "half a \ud83c"}, "The text is"),
        ({"session": 7}, "session's id or name is 7"),
        ({"before": b"x"}, "image's id is b'x'"),
        ({"limit": 0}, "limit=0"),
    ],
)
def test_invalid_image_query_is_rejected(arguments: dict[str, Any], message: str) -> None:
    """
    Invalid arguments are rejected with their names and the expected format.
    """
    with pytest.raises(InvalidRequestError, match=message):
        query(**arguments)


@pytest.mark.parametrize(
    "arguments,message",
    [
        (("week", None, None, None), "by='week' is not one of 'day'"),
        (("day; DROP TABLE turns", None, None, None), "by="),
        (("day", "soon", None, None), "since='soon'"),
        (("day", None, 7, None), "until=7"),
        (("day", None, None, 7), "session's id or name is 7"),
    ],
)
def test_invalid_spending_query_is_rejected(arguments: Any, message: str) -> None:
    """
    Invalid arguments are rejected with their names, and never reach the index.
    """
    with pytest.raises(InvalidRequestError, match=message):
        spending_query(*arguments)


def test_invalid_kind_error_lists_valid_kinds() -> None:
    """
    The error for an invalid kind lists the valid ones.
    """
    with pytest.raises(InvalidOptionError) as caught:
        query(kind="photo")
    assert (caught.value.option, caught.value.nearest) == ("kind", get_args(Kind))


@pytest.mark.parametrize("limit", [0, -1, True, 2.0, "5", None])
def test_limit_is_whole_number(limit: object) -> None:
    """
    Anything but a whole number, 1 or more, is rejected.
    """
    assert check_limit(1) == 1
    with pytest.raises(InvalidRequestError, match="limit="):
        check_limit(limit)
