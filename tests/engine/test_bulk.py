"""
Many things to do are named in order, and what makes no sense of them is told at once.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession import ImageRequest
from imagesession._engine import bulk
from imagesession.errors import InvalidRequestError

names = st.text(min_size=1).filter(str.strip)
todo = st.text() | st.builds(ImageRequest, st.text())


@given(st.dictionaries(names, todo))
def test_a_mappings_keys_are_the_names(given_jobs: dict[str, str | ImageRequest]) -> None:
    """
    Names, jobs and their order are those of the mapping; a text is a job of its words.
    """
    named = bulk.with_keys(given_jobs)
    assert bulk.keys(named) == tuple(given_jobs)
    prompts = [
        request if isinstance(request, str) else request.prompt for request in given_jobs.values()
    ]
    assert [job.prompt for _, job in named] == prompts
    assert all(job is text for (_, job), text in zip(named, given_jobs.values(), strict=True)
               if isinstance(text, ImageRequest))  # fmt: skip


@given(st.lists(todo))
def test_a_lists_jobs_have_no_names(given_jobs: list[str | ImageRequest]) -> None:
    """
    Jobs that come one after the other, from whatever gives them, have no names.
    """
    named = bulk.with_keys(iter(given_jobs))
    assert bulk.keys(named) == ()
    assert len(named) == len(given_jobs)


@given(names, names)
def test_each_name_is_an_intent_of_its_own(text: str, other: str) -> None:
    """
    Two names never mean the same intent.
    """
    assert (bulk.idempotency_key_for(text) == bulk.idempotency_key_for(other)) == (text == other)


@pytest.mark.parametrize(
    "wrong,words",
    [
        ("one prompt", "put it in a list"),
        (None, "not one NoneType"),
        (7, "not one int"),
        ([7], "not int"),
        ([b"bytes"], "not bytes"),
        ([["a", "b"]], "not list"),
        ({" ": "a"}, "name is empty"),
        ({7: "a"}, "name is 7"),
        ({"a": None}, "not NoneType"),
        ([ImageRequest("a", options=7)], "options= takes a mapping"),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the point
        ([ImageRequest("a", options={1: 2})], "options= takes a mapping"),  # type: ignore[dict-item] # pyright: ignore[reportArgumentType] - the point
        ([ImageRequest("a", params=["x"])], "params= takes a mapping"),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the point
        ([ImageRequest("a", preset=7)], "preset= takes a preset's name"),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the point
    ],
)
def test_what_is_no_job_is_told(wrong: Any, words: str) -> None:
    """
    Whatever else is given is refused, saying what is taken.
    """
    with pytest.raises(InvalidRequestError, match=words):
        bulk.with_keys(wrong)


@given(st.integers(1, 64), st.none() | st.integers(1, 10**6) | st.floats(1e-3, 1e6))
def test_a_pace_that_makes_sense_is_taken(concurrency: int, per_minute: float | None) -> None:
    """
    Any number of jobs at once from 1 to 64, and any number a minute above zero, is taken as it is.
    """
    assert bulk.validate_rate(concurrency, per_minute) == (concurrency, per_minute)


@pytest.mark.parametrize(
    "concurrency,per_minute,words",
    [
        *((wrong, None, "concurrency=") for wrong in (0, -1, 65, 1.0, True, "4", None)),
        *((4, wrong, "images_per_minute=") for wrong in (0, -5, math.inf, math.nan, True, "5")),
    ],
)
def test_a_pace_that_makes_no_sense_is_told(
    concurrency: object, per_minute: object, words: str
) -> None:
    """
    What is no number, or no number that can be kept, is refused by its name.
    """
    with pytest.raises(InvalidRequestError, match=words):
        bulk.validate_rate(concurrency, per_minute)
