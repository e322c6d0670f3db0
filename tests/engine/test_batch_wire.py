"""
Replies about batches are parsed whatever their form.
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
    Build a line of an output file.
    """
    return json.dumps({"custom_id": "turn", "response": None, "error": None, **fields}).encode()


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_batch_object_is_parsed_or_invalid(batch: dict[str, Any]) -> None:
    """
    Any batch object is parsed, or raises an `InvalidResponseError` and nothing else.
    """
    try:
        news = payloads.parse_batch(batch)
    except InvalidResponseError:
        return
    assert news["provider_id"] == batch["id"]
    assert news["completed"] >= 0


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_line_without_id_is_skipped(data: bytes) -> None:
    """
    A line that cannot be parsed gives None.
    """
    assert payloads.parse_output_line(data) is None


@given(JSON, JSON)
def test_any_line_with_id_is_outcome_or_error(response: Any, error: Any) -> None:
    """
    A line with an id has either an outcome or an error, whatever else it contains.
    """
    line = payloads.parse_output_line(row(response=response, error=error))
    assert line is not None
    assert (line.outcome is None) != (line.error is None)


@given(st.integers(100, 599), JSON)
def test_any_failed_line_has_typed_error(status: int, body: Any) -> None:
    """
    A line that failed has a typed error, whatever its body.
    """
    line = payloads.parse_output_line(row(response={"status_code": status, "body": body}))
    assert line is not None
    if line.outcome is None:
        assert isinstance(line.error, ImageSessionError)


@pytest.mark.parametrize(
    "status,error,kind",
    [
        (400, {"code": "moderation_blocked", "message": "no"}, ContentBlockedError),
        (400, {"code": "invalid_value", "message": "no", "param": "size"}, BadRequestError),
        (404, {"message": "No such File object: file-abcdef123"}, BadRequestError),
        (429, {"message": "slow down"}, RateLimitError),
    ],
)
def test_line_errors_match_call_errors(
    status: int, error: dict[str, Any], kind: type[ImageSessionError]
) -> None:
    """
    A line's error has the type that the same reply to a single call would have.
    """
    line = payloads.parse_output_line(
        row(response={"status_code": status, "body": {"error": error}})
    )
    assert line is not None
    assert type(line.error) is kind


@pytest.mark.parametrize("code", ["batch_expired", "batch_cancelled"])
def test_line_not_started_is_recognised(code: str) -> None:
    """
    A line that was not started before the batch ended is marked, as it was not billed.
    """
    line = payloads.parse_output_line(row(error={"code": code, "message": "not done"}))
    assert line is not None
    assert line.not_started


def test_batch_is_matched_by_metadata_or_file() -> None:
    """
    A batch object matches a record by our metadata, or by the uploaded file.
    """
    assert payloads.matches_record({"metadata": {payloads.METADATA_KEY: RECORD.id}}, RECORD)
    assert payloads.matches_record({"metadata": None, "input_file_id": "file-1"}, RECORD)
    assert not payloads.matches_record({"metadata": {}, "input_file_id": "file-2"}, RECORD)


def test_unknown_state_is_in_progress() -> None:
    """
    An unknown status counts as work in progress.
    """
    assert payloads.parse_batch({"id": "b", "status": "pondering"})["state"] == "in_progress"
