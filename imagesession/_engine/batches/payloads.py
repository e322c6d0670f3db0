"""
Batches on the wire: what they are asked with, and what their answers mean.

Source: https://developers.openai.com/api/docs/guides/batch and the reference of Batches and Files.
"""

from __future__ import annotations

import datetime as dt
import json
import urllib.parse
from collections.abc import Iterator
from typing import cast, get_args

import attrs

from imagesession._domain.batch import BatchRecord, BatchState, BatchUpdate
from imagesession._engine import uploads
from imagesession._engine.coerce import Json, as_list, as_mapping, as_text
from imagesession._engine.http import FilePart, HttpRequest, HttpResponse
from imagesession._engine.json_views import loads_with_views
from imagesession._engine.outcomes import ResponseOutcome, read_images_object
from imagesession._engine.payloads import Item
from imagesession._engine.provider_errors import RequestNotProcessedError, map_error_response
from imagesession._engine.responses import is_success
from imagesession.errors import (
    BadRequestError,
    GenerationFailedError,
    ImageSessionError,
    InvalidResponseError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
)

METADATA_KEY = "imagesession_batch"
_LOOK_SECONDS = 30.0
_SEND_SECONDS = 600.0
# Of a file with thousands of pictures, and of one that does not come any more.
_READ_SECONDS, _SILENCE = 6 * 3600.0, 120.0
_LIFE = dt.timedelta(days=30)
_PAGE = 100
_QUEUE_FULL = "token_limit_exceeded"
_NOT_STARTED = frozenset({"batch_expired", "batch_cancelled"})


# --- asking -------------------------------------------------------------------------------------


def line(turn_id: str, endpoint: str, body: Item) -> bytes:
    """
    Write a line of a batch's file.
    """
    asked = {"custom_id": turn_id, "method": "POST", "url": endpoint, "body": body}
    return json.dumps(asked, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"


def upload(record: BatchRecord, lines: bytes) -> HttpRequest:
    """
    Build the free request that sends a batch's file up.
    """
    part = FilePart(
        field="file", name=f"batch_{record.id}.jsonl", mime="application/jsonl", data=lines
    )
    return uploads.upload_request(part, "batch", _LIFE, _SEND_SECONDS)


def create(record: BatchRecord) -> HttpRequest:
    """
    Build the request that is paid for.
    """
    body = {
        "input_file_id": record.file_id,
        "endpoint": record.endpoint,
        "completion_window": "24h",
        # Ours, so that a batch can be found whose id reached nobody.
        "metadata": {METADATA_KEY: record.id},
    }
    return HttpRequest(method="POST", path="/batches", body=body, timeout=_LOOK_SECONDS * 2)


def retrieve(provider_id: str) -> HttpRequest:
    """
    Build the free request that asks where a batch stands.
    """
    return HttpRequest(method="GET", path=f"/batches/{_quoted(provider_id)}", timeout=_LOOK_SECONDS)


def cancel(provider_id: str) -> HttpRequest:
    """
    Build the free request that stops a batch.
    """
    path = f"/batches/{_quoted(provider_id)}/cancel"
    return HttpRequest(method="POST", path=path, body={}, timeout=_LOOK_SECONDS)


def page(after: str) -> HttpRequest:
    """
    Build the free request for batches, the latest first.

    Args:
        after: The provider's id of the batch behind which to go on; empty for the first page.
    """
    more = f"&after={_quoted(after)}" if after else ""
    return HttpRequest(method="GET", path=f"/batches?limit={_PAGE}{more}", timeout=_LOOK_SECONDS)


def retrieve_file(file_id: str) -> HttpRequest:
    """
    Build the free request for the facts of a file.
    """
    return HttpRequest(method="GET", path=f"/files/{_quoted(file_id)}", timeout=_LOOK_SECONDS)


def file_content(file_id: str) -> HttpRequest:
    """
    Build the free request for a file of answers, which is heard line by line.
    """
    return HttpRequest(
        method="GET",
        path=f"/files/{_quoted(file_id)}/content",
        timeout=_READ_SECONDS,
        silence=_SILENCE,
        rows=True,
    )


def _quoted(named: str) -> str:
    return urllib.parse.quote(named, safe="", errors="replace")


# --- where a batch stands -----------------------------------------------------------------------


def parse_batch(batch: Json) -> BatchUpdate:
    """
    Read a batch object.

    Relied on: `id` and `status`.

    Raises:
        InvalidResponseError: It is no batch object.
    """
    provider_id, state = as_text(batch.get("id")), as_text(batch.get("status"))
    if not provider_id or not state:
        raise InvalidResponseError(
            "The provider's reply is no batch object; is this the right URL?"
        )
    counts = as_mapping(batch.get("request_counts"))
    known = state in get_args(BatchState)
    return {
        "provider_id": provider_id,
        # Whatever else it may be, it has not ended.
        "state": cast("BatchState", state if known else "in_progress"),
        "completed": _count(counts.get("completed")),
        "failed": _count(counts.get("failed")),
        "output_file_id": as_text(batch.get("output_file_id")) or None,
        "error_file_id": as_text(batch.get("error_file_id")) or None,
        "expires": _moment(batch.get("expires_at")),
        "problem": _problem(batch),
    }


def matches_record(batch: Json, record: BatchRecord) -> bool:
    """
    Tell whether a batch object is a batch of this library: by our own name for it, or its file.
    """
    named = as_mapping(batch.get("metadata")).get(METADATA_KEY) == record.id
    return named or (record.file_id is not None and batch.get("input_file_id") == record.file_id)


def failure(record: BatchRecord) -> ImageSessionError:
    """
    Say of a batch that failed as a whole what that means for each of its pictures.
    """
    text = f"The provider did not carry the batch out; nothing was billed. {record.problem}"
    if _QUEUE_FULL in record.problem:
        return RateLimitError(f"{text} Submit it again when other batches are done.")
    return BadRequestError(text)


def not_started_error(record: BatchRecord) -> ProviderUnavailableError:
    """
    Say that a batch ended before a picture's turn came.
    """
    how = "was cancelled" if record.state == "cancelled" else "ran out of its 24 hours"
    return ProviderUnavailableError(
        f"The batch {how} before this picture was made; it was not billed. Ask for it again."
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _moment(seconds: object) -> dt.datetime | None:
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        return None
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _problem(batch: Json) -> str:
    return "; ".join(_error_texts(batch))


def _error_texts(batch: Json) -> Iterator[str]:
    """
    Say what is wrong with a batch, as far as one wants to read it.
    """
    found = [as_mapping(item) for item in as_list(as_mapping(batch.get("errors")).get("data"))]
    for item in found[:3]:
        number = item.get("line")
        where = f"line {number}: " if isinstance(number, int) else ""
        code = as_text(item.get("code"))
        yield f"{where}{as_text(item.get('message')) or 'no reason given'}" + (
            f" ({code})" if code else ""
        )
    if len(found) > 3:  # noqa: PLR2004 - as many as above
        yield f"and {len(found) - 3} more"


# --- what came of its lines -----------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class OutputLine:
    """
    What a line was answered.

    Attributes:
        turn_id: Whose line it is.
        outcome: What came; None if it failed.
        error: Why it failed.
        undone: Whether it was not carried out because the batch ended.
    """

    turn_id: str
    outcome: ResponseOutcome | None = None
    error: ImageSessionError | None = None
    not_started_error: bool = False


def parse_output_line(data: bytes) -> OutputLine | None:
    """
    Read a line of a file of answers; None if it makes no sense.
    """
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
        failed = GenerationFailedError(
            f"The provider did not make the picture: {text}", None, code or None
        )
        return OutputLine(turn_id=turn_id, error=failed, not_started_error=code in _NOT_STARTED)
    reply = HttpResponse(status=_count(response.get("status_code")))
    if is_success(reply):
        return OutputLine(
            turn_id=turn_id, outcome=read_images_object(as_mapping(response.get("body")))
        )
    body = json.dumps(response.get("body"), default=str).encode("ascii")
    return OutputLine(turn_id=turn_id, error=_failed(attrs.evolve(reply, body=body)))


def _failed(reply: HttpResponse) -> ImageSessionError:
    error = map_error_response(reply)
    if isinstance(error, RequestNotProcessedError):
        return BadRequestError(f"The provider rejects the request: {error}")
    if isinstance(error, ImageSessionError):
        return error
    return ProviderError(f"The provider failed: {error}", reply.status)
