"""
A stream says the same as a plain reply, however it is cut into events.
"""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._plan.replies import read_response
from imagesession._plan.streams import Fold
from imagesession.errors import (
    GenerationError,
    ImageSessionError,
    ModerationError,
    RateLimitError,
    ReplyError,
)
from imagesession.testing import tiny_image

PNG = tiny_image()
B64 = base64.b64encode(PNG).decode()
ITEM = {"id": "ig_1", "type": "image_generation_call", "result": B64, "revised_prompt": "p"}
FINAL = {"id": "resp_1", "status": "completed", "model": "m", "output": [ITEM]}


def event(kind: str, **members: Any) -> bytes:
    """
    Make an event's data.
    """
    return json.dumps({"type": kind, **members}).encode()


def whole(final: dict[str, Any] | None = None, partials: int = 2) -> list[bytes]:
    """
    Make the events of a generation, in the order in which the service was seen to send them.
    """
    kind = "response.image_generation_call"
    opened: dict[str, Any] = {"id": "resp_1", "status": "in_progress", "output": []}
    return [
        event("response.created", response=opened),
        event("response.in_progress", response=opened),
        event("response.output_item.added", item={"id": "ig_1", "type": "image_generation_call"}),
        event(f"{kind}.in_progress", item_id="ig_1"),
        event(f"{kind}.generating", item_id="ig_1"),
        *(
            event(f"{kind}.partial_image", partial_image_index=number, partial_image_b64=B64)
            for number in range(partials)
        ),
        event(f"{kind}.completed", item_id="ig_1"),
        event("response.output_item.done", item=ITEM),
        event("response.completed", response=FINAL if final is None else final),
    ]


def feed(events: list[bytes]) -> tuple[Fold, int]:
    """
    Feed events to a fold; return it with the number of partial images.
    """
    fold = Fold()
    return fold, sum(len(list(fold.feed(one))) for one in events)


def finish(events: list[bytes]) -> None:
    """
    Feed events to a fold; raise what its outcome says of itself.
    """
    fold, _ = feed(events)
    if fold.outcome is not None and fold.outcome.error is not None:
        raise fold.outcome.error


@given(st.integers(0, 4))
def test_a_stream_says_what_the_reply_says(partials: int) -> None:
    """
    The fold of a whole stream is the outcome of the plain reply, however many partials came.
    """
    fold, shown = feed(whole(partials=partials))
    assert fold.outcome == read_response(FINAL)
    assert fold.response_id == "resp_1"
    assert shown == partials


@given(st.integers(0, 9))
def test_a_cut_stream_has_no_outcome(length: int) -> None:
    """
    Without the last event nothing is taken for an outcome, wherever the stream was cut.
    """
    fold, _ = feed(whole()[:length])
    assert fold.outcome is None
    assert fold.response_id == ("resp_1" if length else None)


@given(st.permutations(range(2, 9)), st.sets(st.integers(2, 8)))
def test_the_order_in_between_does_not_matter(order: list[int], left_out: set[int]) -> None:
    """
    Servers that leave out or reorder what lies between the first event and the last are read.
    """
    events = whole()
    between = [events[number] for number in order if number not in left_out]
    fold, _ = feed([*events[:2], *between, events[-1]])
    assert fold.outcome == read_response(FINAL)


def test_items_may_come_only_one_by_one() -> None:
    """
    A last event without items is completed from those that came before.
    """
    fold, _ = feed(whole({**FINAL, "output": []}))
    assert fold.outcome == read_response(FINAL)


def test_items_without_an_id_are_all_kept() -> None:
    """
    Items that have no id of their own do not replace each other.
    """
    nameless = event("response.output_item.done", item={**ITEM, "id": None})
    fold, _ = feed(
        [nameless, nameless, event("response.completed", response={"status": "completed"})]
    )
    assert fold.outcome is not None
    assert len(fold.outcome.pictures) == 2


def test_what_is_not_ours_is_passed_over() -> None:
    """
    Unknown events, blank ones and the closing mark of other servers change nothing.
    """
    odd = [b"", b"[DONE]", event("response.future"), event("x", response=7), event("y", item=None)]
    fold, shown = feed([*odd, *whole(), b"[DONE]"])
    assert fold.outcome == read_response(FINAL)
    assert shown == 2


@pytest.mark.parametrize("b64", ["%%%", "aGVsbG8=", None, 7])
def test_a_partial_that_cannot_be_read_is_left_out(b64: object) -> None:
    """
    A damaged picture on the way does not spoil the one at the end.
    """
    kind = "response.image_generation_call.partial_image"
    fold, shown = feed([event(kind, partial_image_b64=b64), *whole(partials=0)])
    assert shown == 0
    assert fold.outcome == read_response(FINAL)


@pytest.mark.parametrize(
    "data,kind",
    [
        (event("error", code="rate_limit_exceeded", message="x"), RateLimitError),
        (event("error", error={"code": "server_error", "message": "x"}), GenerationError),
        (event("error", error={"code": "moderation_blocked"}), ModerationError),
        (event("error"), GenerationError),
        (event("response.failed", response={"status": "failed", "error": {"code": "server_error"}}),
         GenerationError),
        (event("response.incomplete", response={"status": "incomplete"}), GenerationError),
        (b"{nonsense", ReplyError),
        (b"[1]", ReplyError),
    ],
)  # fmt: skip
def test_failures_in_a_stream_are_typed(data: bytes, kind: type[Exception]) -> None:
    """
    Both forms of error events and both endings without success become typed errors.
    """
    with pytest.raises(kind):
        finish([*whole()[:4], data])


@given(st.lists(st.binary(max_size=60) | st.sampled_from(whole()), max_size=8))
def test_no_events_break_the_fold(events: list[bytes]) -> None:
    """
    Whatever the events, the fold goes on or raises a typed error.
    """
    with contextlib.suppress(ImageSessionError):
        feed(events)
