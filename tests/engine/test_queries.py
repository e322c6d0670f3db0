"""
What callers say of pictures and days is read as they mean it, or refused.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._domain.reports import Grouping
from imagesession._domain.turn import Kind
from imagesession._engine.queries import check_limit, image_query, spending_query
from imagesession._engine.store import ImageQuery, SpendingQuery
from imagesession.errors import InvalidOptionError, InvalidRequestError

DAY = dt.timedelta(days=1)
ZONES = st.none() | st.timezones() | st.just(dt.timezone(dt.timedelta(hours=-5)))
days = st.dates(dt.date(1970, 1, 2), dt.date(2999, 12, 31))
moments = st.tuples(days, st.times(), ZONES).map(lambda parts: dt.datetime.combine(*parts))


def query(**said: Any) -> ImageQuery:
    """
    Put a query together as `images` does.
    """
    given_: dict[str, Any] = {"since": None, "until": None, "limit": 50, "before": None, **said}
    session, kind, text = (given_.pop(name, None) for name in ("session", "kind", "text"))
    return image_query(session, kind, text, **given_)


def test_nothing_said_is_all() -> None:
    """
    What is left out does not narrow anything.
    """
    assert query() == ImageQuery()
    assert query(text="") == ImageQuery()
    assert spending_query("day", None, None, None) == SpendingQuery()


@given(day=days, written=st.booleans())
def test_a_day_counts_whole(day: dt.date, *, written: bool) -> None:
    """
    A day, written or not, begins at midnight UTC and ends at the next.
    """
    said = day.isoformat() if written else day
    found = query(since=said, until=said)
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    assert (found.since, found.until) == (midnight, midnight + DAY)
    assert spending_query("day", said, said, None) == SpendingQuery(since=day, until=day)


@given(moment=moments, written=st.booleans())
def test_a_time_is_itself(moment: dt.datetime, *, written: bool) -> None:
    """
    A time with a zone is that time, and one without a zone is UTC; midnight too is no day.
    """
    if moment.tzinfo is not None and moment.utcoffset() is None:
        return
    said = moment.isoformat() if written else moment
    meant = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    found = query(since=said, until=said)
    assert found.since == found.until == meant
    utc = meant.astimezone(dt.UTC).date()
    assert spending_query("day", said, said, None) == SpendingQuery(since=utc, until=utc)


def test_the_first_and_the_last_day_are_days() -> None:
    """
    Whoever means "always" by the first and last days there are is understood.
    """
    found = query(since="0001-01-01", until="9999-12-31")
    assert found.since == dt.datetime.min.replace(tzinfo=dt.UTC)
    assert found.until == dt.datetime.max.replace(tzinfo=dt.UTC)
    east, west = (dt.timezone(dt.timedelta(hours=hours)) for hours in (9, -9))
    first, last = dt.datetime.min.replace(tzinfo=east), dt.datetime.max.replace(tzinfo=west)
    days_ = SpendingQuery(since=dt.date.min, until=dt.date.max)
    assert spending_query("day", first, last, None) == days_


@pytest.mark.parametrize(
    "said,until",
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
def test_ends_are_read_as_written(said: str | dt.date, until: str) -> None:
    """
    The forms in which people write days and times are told apart.
    """
    assert query(until=said).until == dt.datetime.fromisoformat(until)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_can_be_asked_for(kind: str) -> None:
    """
    All kinds of pictures are kinds to look for.
    """
    assert query(kind=kind).kind == kind


@pytest.mark.parametrize("by", get_args(Grouping))
def test_every_grouping_can_be_asked_for(by: Grouping) -> None:
    """
    All that spending is grouped by can be asked for.
    """
    assert spending_query(by, None, None, "x").by == by


@pytest.mark.parametrize(
    "said,words",
    [
        ({"since": "yesterday"}, "since='yesterday' is no day or time"),
        ({"until": "2026-02-30"}, "until='2026-02-30' is no day or time"),
        ({"since": ""}, "since='' is no day"),
        ({"since": 7}, "since=7 is no day"),
        ({"until": 1.5}, "until=1.5 is no day"),
        ({"kind": "photo"}, "kind='photo' is not one of 'general'"),
        ({"kind": ["general"]}, "kind="),
        ({"text": 7}, "The text is 7"),
        ({"text": "half a \ud83c"}, "The text is"),
        ({"session": 7}, "session's id or name is 7"),
        ({"before": b"x"}, "picture's id is b'x'"),
        ({"limit": 0}, "limit=0"),
    ],
)
def test_what_makes_no_sense_of_pictures_is_told(said: dict[str, Any], words: str) -> None:
    """
    What is not of its form is refused by its name, with the form.
    """
    with pytest.raises(InvalidRequestError, match=words):
        query(**said)


@pytest.mark.parametrize(
    "said,words",
    [
        (("week", None, None, None), "by='week' is not one of 'day'"),
        (("day; DROP TABLE turns", None, None, None), "by="),
        (("day", "soon", None, None), "since='soon'"),
        (("day", None, 7, None), "until=7"),
        (("day", None, None, 7), "session's id or name is 7"),
    ],
)
def test_what_makes_no_sense_of_spending_is_told(said: Any, words: str) -> None:
    """
    What is not of its form is refused by its name; it never reaches the index.
    """
    with pytest.raises(InvalidRequestError, match=words):
        spending_query(*said)


def test_a_wrong_kind_names_the_right_ones() -> None:
    """
    Who asks for a kind that is not one is given the list.
    """
    with pytest.raises(InvalidOptionError) as caught:
        query(kind="photo")
    assert (caught.value.option, caught.value.nearest) == ("kind", get_args(Kind))


@pytest.mark.parametrize("limit", [0, -1, True, 2.0, "5", None])
def test_a_limit_is_a_whole_number(limit: object) -> None:
    """
    Anything but a whole number from 1 is refused.
    """
    assert check_limit(1) == 1
    with pytest.raises(InvalidRequestError, match="limit="):
        check_limit(limit)
