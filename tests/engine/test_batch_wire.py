"""
What a provider says of batches is read whatever form it has.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._domain.batch import BatchRecord
from imagesession._domain.estimate import CostEstimate
from imagesession._engine.batches import payloads
from imagesession.errors import (
    BadRequestError,
    ContentBlockedError,
    ImageSessionError,
    InvalidResponseError,
    RateLimitError,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
FIELDS = ("id", "status", "request_counts", "errors", "expires_at", "output_file_id")
RECORD = BatchRecord(
    id="01K00000000000000000000000",
    provider="p",
    endpoint="/v1/images/generations",
    model="gpt-image-2",
    items=(),
    digest="",
    estimate=CostEstimate(low=0.0, high=0.0),
    created=dt.datetime(2026, 11, 24, tzinfo=dt.UTC),
    file_id="file-1",
)


def row(**fields: Any) -> bytes:
    """
    Write a line of a file of answers.
    """
    return json.dumps({"custom_id": "turn", "response": None, "error": None, **fields}).encode()


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_a_batch_object_of_any_form_is_read_or_refused(batch: dict[str, Any]) -> None:
    """
    A batch object gives news, or an error of ours; nothing else comes of it.
    """
    try:
        news = payloads.parse_batch(batch)
    except InvalidResponseError:
        return
    assert news["provider_id"] == batch["id"]
    assert news["completed"] >= 0


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_a_line_of_any_form_is_read_or_left(data: bytes) -> None:
    """
    A line that makes no sense is none.
    """
    assert payloads.parse_output_line(data) is None


@given(JSON, JSON)
def test_an_answer_of_any_form_is_an_outcome_or_an_error(response: Any, error: Any) -> None:
    """
    Whatever stands in a line with a name says what became of it.
    """
    found = payloads.parse_output_line(row(response=response, error=error))
    assert found is not None
    assert (found.outcome is None) != (found.error is None)


@given(st.integers(100, 599), JSON)
def test_an_error_of_any_form_is_one_of_ours(status: int, body: Any) -> None:
    """
    A line that failed has a typed error, whatever its body.
    """
    found = payloads.parse_output_line(row(response={"status_code": status, "body": body}))
    assert found is not None
    if found.outcome is None:
        assert isinstance(found.error, ImageSessionError)


@pytest.mark.parametrize(
    "status,error,kind",
    [
        (400, {"code": "moderation_blocked", "message": "no"}, ContentBlockedError),
        (400, {"code": "invalid_value", "message": "no", "param": "size"}, BadRequestError),
        (404, {"message": "No such File object: file-abcdef123"}, BadRequestError),
        (429, {"message": "slow down"}, RateLimitError),
    ],
)
def test_errors_of_lines_are_typed(
    status: int, error: dict[str, Any], kind: type[ImageSessionError]
) -> None:
    """
    A line's error is the one that the same answer to a call is.
    """
    found = payloads.parse_output_line(
        row(response={"status_code": status, "body": {"error": error}})
    )
    assert found is not None
    assert type(found.error) is kind


@pytest.mark.parametrize("code", ["batch_expired", "batch_cancelled"])
def test_a_line_that_was_not_carried_out_is_told_apart(code: str) -> None:
    """
    What the batch's end left undone was not billed.
    """
    found = payloads.parse_output_line(row(error={"code": code, "message": "not done"}))
    assert found is not None
    assert found.not_started_error


def test_a_batch_is_known_by_our_mark_or_its_file() -> None:
    """
    A batch of ours is known by what we call it, or by the file that we sent up for it.
    """
    assert payloads.matches_record({"metadata": {payloads.METADATA_KEY: RECORD.id}}, RECORD)
    assert payloads.matches_record({"metadata": None, "input_file_id": "file-1"}, RECORD)
    assert not payloads.matches_record({"metadata": {}, "input_file_id": "file-2"}, RECORD)


def test_a_state_that_is_not_known_has_not_ended() -> None:
    """
    A word that the provider may invent is taken for work under way.
    """
    assert payloads.parse_batch({"id": "b", "status": "pondering"})["state"] == "in_progress"
