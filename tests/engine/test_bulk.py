"""
Jobs get their keys in order, and invalid ones are rejected at once.
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

keys_strategy = st.text(min_size=1).filter(str.strip)
jobs_strategy = st.text() | st.builds(ImageRequest, st.text())


@given(st.dictionaries(keys_strategy, jobs_strategy))
def test_mapping_keys_are_job_keys(given_jobs: dict[str, str | ImageRequest]) -> None:
    """
    Keys, jobs and their order are those of the mapping; a text is a job with that prompt.
    """
    named = bulk.with_keys(given_jobs)
    assert bulk.keys(named) == tuple(given_jobs)
    prompts = [
        request if isinstance(request, str) else request.prompt for request in given_jobs.values()
    ]
    assert [job.prompt for _, job in named] == prompts
    assert all(job is text for (_, job), text in zip(named, given_jobs.values(), strict=True)
               if isinstance(text, ImageRequest))  # fmt: skip


@given(st.lists(jobs_strategy))
def test_jobs_of_iterable_have_no_keys(given_jobs: list[str | ImageRequest]) -> None:
    """
    Jobs of any iterable have no keys.
    """
    named = bulk.with_keys(iter(given_jobs))
    assert bulk.keys(named) == ()
    assert len(named) == len(given_jobs)


@given(keys_strategy, keys_strategy)
def test_each_key_has_its_own_idempotency_key(text: str, other: str) -> None:
    """
    Different keys never give the same idempotency key.
    """
    assert (bulk.idempotency_key_for(text) == bulk.idempotency_key_for(other)) == (text == other)


@pytest.mark.parametrize(
    "wrong,message",
    [
        ("one prompt", "put it in a list"),
        (None, "not a single NoneType"),
        (7, "not a single int"),
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
def test_invalid_jobs_are_rejected(wrong: Any, message: str) -> None:
    """
    Anything that is not a job is rejected with the accepted types.
    """
    with pytest.raises(InvalidRequestError, match=message):
        bulk.with_keys(wrong)


@given(st.integers(1, 64), st.none() | st.integers(1, 10**6) | st.floats(1e-3, 1e6))
def test_valid_rate_is_accepted(concurrency: int, per_minute: float | None) -> None:
    """
    1 to 64 concurrent jobs, and any number above 0 a minute, are accepted unchanged.
    """
    assert bulk.validate_rate(concurrency, per_minute) == (concurrency, per_minute)


@pytest.mark.parametrize(
    "concurrency,per_minute,message",
    [
        *((wrong, None, "concurrency=") for wrong in (0, -1, 65, 1.0, True, "4", None)),
        *((4, wrong, "images_per_minute=") for wrong in (0, -5, math.inf, math.nan, True, "5")),
    ],
)
def test_invalid_rate_is_rejected(concurrency: object, per_minute: object, message: str) -> None:
    """
    Other types and numbers out of range are rejected with the argument's name.
    """
    with pytest.raises(InvalidRequestError, match=message):
        bulk.validate_rate(concurrency, per_minute)
