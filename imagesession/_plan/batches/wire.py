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

from imagesession._model.batches import BatchNews, BatchRecord, BatchState
from imagesession._plan import uploads
from imagesession._plan.failures import RequestNotProcessedError, error_of
from imagesession._plan.lifting import parse
from imagesession._plan.outcomes import Outcome, read_images_object
from imagesession._plan.replies import is_success
from imagesession._plan.requests import Item
from imagesession._plan.tolerance import Json, as_list, as_mapping, as_text
from imagesession._plan.wire import Part, Reply, Request
from imagesession.errors import (
    GenerationError,
    ImageSessionError,
    ProviderError,
    RateLimitError,
    RejectedError,
    ReplyError,
    UnavailableError,
)

OURS = "imagesession_batch"
_LOOK_SECONDS = 30.0
_SEND_SECONDS = 600.0
# Of a file with thousands of pictures, and of one that does not come any more.
_READ_SECONDS, _SILENCE = 6 * 3600.0, 120.0
_LIFE = dt.timedelta(days=30)
_PAGE = 100
_TOO_MUCH_WAITING = "token_limit_exceeded"
_UNDONE = frozenset({"batch_expired", "batch_cancelled"})


# --- asking -------------------------------------------------------------------------------------


def line(turn_id: str, endpoint: str, body: Item) -> bytes:
    """
    Write a line of a batch's file.
    """
    asked = {"custom_id": turn_id, "method": "POST", "url": endpoint, "body": body}
    return json.dumps(asked, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"


def send_up(record: BatchRecord, lines: bytes) -> Request:
    """
    Build the free request that sends a batch's file up.
    """
    part = Part(field="file", name=f"batch_{record.id}.jsonl", mime="application/jsonl", data=lines)
    return uploads.send_up(part, "batch", _LIFE, _SEND_SECONDS)


def create(record: BatchRecord) -> Request:
    """
    Build the request that is paid for.
    """
    body = {
        "input_file_id": record.file_id,
        "endpoint": record.endpoint,
        "completion_window": "24h",
        # Ours, so that a batch can be found whose id reached nobody.
        "metadata": {OURS: record.id},
    }
    return Request(method="POST", path="/batches", body=body, timeout=_LOOK_SECONDS * 2)


def retrieve(provider_id: str) -> Request:
    """
    Build the free request that asks where a batch stands.
    """
    return Request(method="GET", path=f"/batches/{_quoted(provider_id)}", timeout=_LOOK_SECONDS)


def cancel(provider_id: str) -> Request:
    """
    Build the free request that stops a batch.
    """
    path = f"/batches/{_quoted(provider_id)}/cancel"
    return Request(method="POST", path=path, body={}, timeout=_LOOK_SECONDS)


def page(after: str) -> Request:
    """
    Build the free request for batches, the latest first.

    Args:
        after: The provider's id of the batch behind which to go on; empty for the first page.
    """
    more = f"&after={_quoted(after)}" if after else ""
    return Request(method="GET", path=f"/batches?limit={_PAGE}{more}", timeout=_LOOK_SECONDS)


def describe(file_id: str) -> Request:
    """
    Build the free request for the facts of a file.
    """
    return Request(method="GET", path=f"/files/{_quoted(file_id)}", timeout=_LOOK_SECONDS)


def content(file_id: str) -> Request:
    """
    Build the free request for a file of answers, which is heard line by line.
    """
    return Request(
        method="GET",
        path=f"/files/{_quoted(file_id)}/content",
        timeout=_READ_SECONDS,
        silence=_SILENCE,
        rows=True,
    )


def _quoted(named: str) -> str:
    return urllib.parse.quote(named, safe="", errors="replace")


# --- where a batch stands -----------------------------------------------------------------------


def read_news(batch: Json) -> BatchNews:
    """
    Read a batch object.

    Relied on: `id` and `status`.

    Raises:
        ReplyError: It is no batch object.
    """
    provider_id, state = as_text(batch.get("id")), as_text(batch.get("status"))
    if not provider_id or not state:
        raise ReplyError("The provider's reply is no batch object; is this the right URL?")
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


def is_ours(batch: Json, record: BatchRecord) -> bool:
    """
    Tell whether a batch object is a batch of this library: by our own name for it, or its file.
    """
    named = as_mapping(batch.get("metadata")).get(OURS) == record.id
    return named or (record.file_id is not None and batch.get("input_file_id") == record.file_id)


def failure(record: BatchRecord) -> ImageSessionError:
    """
    Say of a batch that failed as a whole what that means for each of its pictures.
    """
    told = f"The provider did not carry the batch out; nothing was billed. {record.problem}"
    if _TOO_MUCH_WAITING in record.problem:
        return RateLimitError(f"{told} Submit it again when other batches are done.")
    return RejectedError(told)


def undone(record: BatchRecord) -> UnavailableError:
    """
    Say that a batch ended before a picture's turn came.
    """
    how = "was cancelled" if record.state == "cancelled" else "ran out of its 24 hours"
    return UnavailableError(
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
    return "; ".join(_told(batch))


def _told(batch: Json) -> Iterator[str]:
    """
    Say what is wrong with a batch, as far as one wants to read it.
    """
    found = [as_mapping(one) for one in as_list(as_mapping(batch.get("errors")).get("data"))]
    for one in found[:3]:
        number = one.get("line")
        where = f"line {number}: " if isinstance(number, int) else ""
        code = as_text(one.get("code"))
        yield f"{where}{as_text(one.get('message')) or 'no reason given'}" + (
            f" ({code})" if code else ""
        )
    if len(found) > 3:  # noqa: PLR2004 - as many as above
        yield f"and {len(found) - 3} more"


# --- what came of its lines -----------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Row:
    """
    What a line was answered.

    Attributes:
        turn_id: Whose line it is.
        outcome: What came; None if it failed.
        error: Why it failed.
        undone: Whether it was not carried out because the batch ended.
    """

    turn_id: str
    outcome: Outcome | None = None
    error: ImageSessionError | None = None
    undone: bool = False


def read_row(data: bytes) -> Row | None:
    """
    Read a line of a file of answers; None if it makes no sense.
    """
    try:
        row = as_mapping(parse(data))
    except ValueError:
        return None
    turn_id = as_text(row.get("custom_id"))
    if not turn_id:
        return None
    response, error = as_mapping(row.get("response")), as_mapping(row.get("error"))
    code = as_text(error.get("code"))
    if not response:
        told = as_text(error.get("message")) or code or "no reason given"
        failed = GenerationError(
            f"The provider did not make the picture: {told}", None, code or None
        )
        return Row(turn_id=turn_id, error=failed, undone=code in _UNDONE)
    reply = Reply(status=_count(response.get("status_code")))
    if is_success(reply):
        return Row(turn_id=turn_id, outcome=read_images_object(as_mapping(response.get("body"))))
    body = json.dumps(response.get("body"), default=str).encode("ascii")
    return Row(turn_id=turn_id, error=_failed(attrs.evolve(reply, body=body)))


def _failed(reply: Reply) -> ImageSessionError:
    error = error_of(reply)
    if isinstance(error, RequestNotProcessedError):
        return RejectedError(f"The provider rejects the request: {error}")
    if isinstance(error, ImageSessionError):
        return error
    return ProviderError(f"The provider failed: {error}", reply.status)
