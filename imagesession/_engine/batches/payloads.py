"""
Build the requests for batches, and parse their replies.

Source: https://developers.openai.com/api/docs/guides/batch and the reference of Batches and Files.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import cast, get_args

import attrs

from imagesession._domain.batch import BatchRecord, BatchState, BatchUpdate
from imagesession._engine import uploads
from imagesession._engine.coerce import Json, as_list, as_mapping, as_text, as_time
from imagesession._engine.http import FilePart, HttpRequest, HttpResponse, to_path
from imagesession._engine.json_views import loads_with_views
from imagesession._engine.outcomes import ResponseOutcome, read_images_object, without_urls
from imagesession._engine.payloads import Item
from imagesession._engine.provider_errors import map_final_error
from imagesession._engine.responses import is_success
from imagesession.errors import (
    BadRequestError,
    GenerationFailedError,
    ImageSessionError,
    InvalidResponseError,
    ProviderUnavailableError,
    RateLimitError,
)

METADATA_KEY = "imagesession_batch"
_REQUEST_TIMEOUT = 30.0
_UPLOAD_TIMEOUT = 600.0
# The whole of a file with thousands of images, and silence while reading it.
_DOWNLOAD_TIMEOUT, _DOWNLOAD_SILENCE = 6 * 3600.0, 120.0
_FILE_LIFETIME = dt.timedelta(days=30)
_PAGE_SIZE = 100
_QUEUE_FULL = "token_limit_exceeded"
_NOT_STARTED = frozenset({"batch_expired", "batch_cancelled"})


# --- requests -----------------------------------------------------------------------------------


def line(turn_id: str, endpoint: str, body: Item) -> bytes:
    request = {"custom_id": turn_id, "method": "POST", "url": endpoint, "body": body}
    return json.dumps(request, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"


def upload(record: BatchRecord, lines: bytes) -> HttpRequest:
    part = FilePart(
        field="file", name=f"batch_{record.id}.jsonl", mime="application/jsonl", data=lines
    )
    return uploads.upload_request(part, "batch", _FILE_LIFETIME, _UPLOAD_TIMEOUT)


def create(record: BatchRecord) -> HttpRequest:
    body = {
        "input_file_id": record.file_id,
        "endpoint": record.endpoint,
        "completion_window": "24h",
        # Lets the batch be found if its provider id is not known.
        "metadata": {METADATA_KEY: record.id},
    }
    return HttpRequest(method="POST", path="/batches", body=body, timeout=_REQUEST_TIMEOUT * 2)


def retrieve(provider_id: str) -> HttpRequest:
    return HttpRequest(method="GET", path=to_path("batches", provider_id), timeout=_REQUEST_TIMEOUT)


def cancel(provider_id: str) -> HttpRequest:
    path = to_path("batches", provider_id, "cancel")
    return HttpRequest(method="POST", path=path, body={}, timeout=_REQUEST_TIMEOUT)


def list_page(after: str) -> HttpRequest:
    path = to_path("batches", limit=_PAGE_SIZE, after=after)
    return HttpRequest(method="GET", path=path, timeout=_REQUEST_TIMEOUT)


def retrieve_file(file_id: str) -> HttpRequest:
    return HttpRequest(method="GET", path=to_path("files", file_id), timeout=_REQUEST_TIMEOUT)


def file_content(file_id: str) -> HttpRequest:
    return HttpRequest(
        method="GET",
        path=to_path("files", file_id, "content"),
        timeout=_DOWNLOAD_TIMEOUT,
        silence=_DOWNLOAD_SILENCE,
        rows=True,
    )


# --- batch objects ------------------------------------------------------------------------------


def parse_batch(batch: Json) -> BatchUpdate:
    """
    Parse a batch object. Relies on `id` and `status`.
    """
    provider_id, state = as_text(batch.get("id")), as_text(batch.get("status"))
    if not provider_id or not state:
        raise InvalidResponseError("The provider's reply is not a batch object. Check base_url.")
    counts = as_mapping(batch.get("request_counts"))
    known = state in get_args(BatchState)
    return {
        "provider_id": provider_id,
        # A batch with an unknown status has not ended.
        "state": cast("BatchState", state if known else "in_progress"),
        "completed": _count(counts.get("completed")),
        "failed": _count(counts.get("failed")),
        "output_file_id": as_text(batch.get("output_file_id")) or None,
        "error_file_id": as_text(batch.get("error_file_id")) or None,
        "expires": as_time(batch.get("expires_at")),
        "problem": "; ".join(_error_texts(batch)),
    }


def matches_record(batch: Json, record: BatchRecord) -> bool:
    """
    Return whether a batch object is a record's batch, by our metadata or by its file.
    """
    tagged = as_mapping(batch.get("metadata")).get(METADATA_KEY) == record.id
    return tagged or (record.file_id is not None and batch.get("input_file_id") == record.file_id)


def batch_failed_error(record: BatchRecord) -> ImageSessionError:
    text = f"The provider did not carry the batch out; nothing was billed. {record.problem}"
    if _QUEUE_FULL in record.problem:
        return RateLimitError(f"{text} Submit it again when other batches have ended.")
    return BadRequestError(text)


def not_started_error(record: BatchRecord) -> ProviderUnavailableError:
    how = "was cancelled" if record.state == "cancelled" else "expired after 24 hours"
    return ProviderUnavailableError(
        f"The batch {how} before this image was made; it was not billed. Submit it again."
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _error_texts(batch: Json) -> Iterator[str]:
    errors = [as_mapping(error) for error in as_list(as_mapping(batch.get("errors")).get("data"))]
    for error in errors[:3]:
        number = error.get("line")
        where = f"line {number}: " if isinstance(number, int) else ""
        code = as_text(error.get("code"))
        yield f"{where}{as_text(error.get('message')) or 'no reason given'}" + (
            f" ({code})" if code else ""
        )
    if len(errors) > 3:  # noqa: PLR2004 - as many as above
        yield f"and {len(errors) - 3} more"


# --- output lines ---------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class OutputLine:
    """
    The answer to a line of a batch.

    Attributes:
        not_started: Whether it was not started because the batch ended.
    """

    turn_id: str
    outcome: ResponseOutcome | None = None
    error: ImageSessionError | None = None
    not_started: bool = False


def parse_output_line(data: bytes) -> OutputLine | None:
    try:
        row = as_mapping(loads_with_views(data))
    except ValueError:
        return None
    turn_id = as_text(row.get("custom_id"))
    if not turn_id:
        return None
    response, error = as_mapping(row.get("response")), as_mapping(row.get("error"))
    code = as_text(error.get("code"))
    if not response:
        text = as_text(error.get("message")) or code or "no reason given"
        failure = GenerationFailedError(
            f"The provider did not make the image: {text}", None, code or None
        )
        return OutputLine(turn_id=turn_id, error=failure, not_started=code in _NOT_STARTED)
    headers = {"x-request-id": as_text(response.get("request_id"))}
    reply = HttpResponse(status=_count(response.get("status_code")), headers=headers)
    if is_success(reply):
        outcome = without_urls(read_images_object(as_mapping(response.get("body"))))
        outcome = attrs.evolve(outcome, request_id=reply.request_id)
        return OutputLine(turn_id=turn_id, outcome=outcome)
    body = json.dumps(response.get("body"), default=str).encode("ascii")
    return OutputLine(turn_id=turn_id, error=map_final_error(attrs.evolve(reply, body=body)))
