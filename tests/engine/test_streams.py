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

from imagesession._domain.partial_image import PartialImage
from imagesession._engine.http import ReceivedImage
from imagesession._engine.outcomes import ResponseOutcome, parse_response_object
from imagesession._engine.streams import StreamAccumulator, read_events
from imagesession.errors import (
    ContentBlockedError,
    GenerationFailedError,
    ImageSessionError,
    InvalidResponseError,
    RateLimitError,
)
from imagesession.testing import tiny_image

CALL = "image_generation_call"
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


def other(number: int) -> bytes:
    """
    Make one of many pictures.
    """
    return tiny_image(size=(number + 1, 1))


def item(number: int, **members: Any) -> dict[str, Any]:
    """
    Make the image item of one of many pictures.
    """
    encoded = base64.b64encode(other(number)).decode()
    return {"id": f"ig_{number}", "type": CALL, "result": encoded, **members}


def feed(events: list[bytes]) -> tuple[StreamAccumulator, int]:
    """
    Feed events to an accumulator; return it with the number of partial images.
    """
    fold = StreamAccumulator()
    came = [image for event in events for image in fold.feed(event)]
    return fold, sum(isinstance(image, PartialImage) for image in came)


def received(events: list[bytes]) -> tuple[StreamAccumulator, list[bytes]]:
    """
    Feed events to an accumulator; return it with the finished pictures as they came.
    """
    accumulator = StreamAccumulator()
    came = [image for event in events for image in accumulator.feed(event)]
    return accumulator, [image.data for image in came if isinstance(image, ReceivedImage)]


def pictures(outcome: ResponseOutcome | None) -> list[bytes]:
    """
    Return the pictures of an outcome.
    """
    return [] if outcome is None else [picture.data for picture in outcome.pictures]


def finish(events: list[bytes]) -> None:
    """
    Feed events to an accumulator; raise what its outcome says of itself.
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
    assert fold.outcome == parse_response_object(FINAL)
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
    assert fold.outcome == parse_response_object(FINAL)


def test_items_may_come_only_one_by_one() -> None:
    """
    A last event without items is completed from those that came before.
    """
    fold, _ = feed(whole({**FINAL, "output": []}))
    assert fold.outcome == parse_response_object(FINAL)


def test_items_without_an_id_are_all_kept() -> None:
    """
    Items that have no id of their own do not replace each other.
    """
    nameless = [
        event("response.output_item.done", item=item(number, id=None)) for number in range(2)
    ]
    fold, _ = feed([*nameless, event("response.completed", response={"status": "completed"})])
    assert pictures(fold.outcome) == [other(0), other(1)]


def test_what_is_not_ours_is_passed_over() -> None:
    """
    Unknown events, blank ones and the closing mark of other servers change nothing.
    """
    odd = [b"", b"[DONE]", event("response.future"), event("x", response=7), event("y", item=None)]
    fold, shown = feed([*odd, *whole(), b"[DONE]"])
    assert fold.outcome == parse_response_object(FINAL)
    assert shown == 2


@pytest.mark.parametrize("b64", ["%%%", "aGVsbG8=", None, 7])
def test_a_partial_that_cannot_be_read_is_left_out(b64: object) -> None:
    """
    A damaged picture on the way does not spoil the one at the end.
    """
    kind = "response.image_generation_call.partial_image"
    fold, shown = feed([event(kind, partial_image_b64=b64), *whole(partials=0)])
    assert shown == 0
    assert fold.outcome == parse_response_object(FINAL)


@pytest.mark.parametrize(
    "data,kind",
    [
        (event("error", code="rate_limit_exceeded", message="x"), RateLimitError),
        (event("error", error={"code": "server_error", "message": "x"}), GenerationFailedError),
        (event("error", error={"code": "moderation_blocked"}), ContentBlockedError),
        (event("error"), GenerationFailedError),
        (event("error", error="no"), GenerationFailedError),
        (event("", error={"code": "moderation_blocked"}), ContentBlockedError),
        (event("response.failed", response={"status": "failed", "error": {"code": "server_error"}}),
         GenerationFailedError),
        (event("response.incomplete", response={"status": "incomplete"}), GenerationFailedError),
        (b"{nonsense", InvalidResponseError),
        (b"[1]", InvalidResponseError),
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


# --- pictures that came are kept ----------------------------------------------------------------

DONE = event("response.output_item.done", output_index=0, item=ITEM)
CREATED = event("response.created", response={"id": "resp_1", "status": "in_progress"})
BARE = {"id": "ig_1", "type": CALL, "status": "completed", "result": None}


@pytest.mark.parametrize(
    "holding",
    [
        DONE,
        event("response.output_item.added", item=ITEM),
        event(f"response.{CALL}.completed", item_id="ig_1", result=B64),
        event(f"response.{CALL}.completed", item_id="ig_1", b64_json=B64),
        event(f"response.{CALL}.done", item_id="ig_1", result=B64),
        event("image.made", image={"result": B64, "padding": "x" * 600}),
        event("response.in_progress", response={"id": "resp_1", "output": [ITEM]}),
        event("response.completed", response=FINAL),
        json.dumps(FINAL).encode(),
        DONE[:-3],
        b"<p>" + DONE,
    ],
)
def test_first_event_with_the_bytes_gives_the_picture(holding: bytes) -> None:
    """
    Whatever the event is called and wherever in it the bytes stand, the picture comes at once.
    """
    accumulator, came = received([CREATED, holding])
    assert came == [PNG]
    assert pictures(accumulator.interrupted()) == [PNG]


@pytest.mark.parametrize(
    "ending",
    [
        event("response.completed", response={**FINAL, "output": [BARE]}),
        event("response.completed", response={**FINAL, "output": []}),
        event("response.completed", response={**FINAL, "output": [{**ITEM, "result": "%"}]}),
        event("response.completed", response={**FINAL, "output": [{**ITEM, "id": "ig_9"}]}),
        event("response.completed", response={**FINAL, "output": [{"type": "message"}]}),
        event("response.completed", response=None),
        event("response.failed", response={"status": "failed", "error": {"code": "server_error"}}),
        event("response.incomplete", response={"status": "incomplete"}),
        event("response.cancelled", response={"id": "resp_1"}),
        event("error", error={"code": "server_error", "message": "x"}),
        event("error", code="rate_limit_exceeded"),
        json.dumps({"error": "out of order"}).encode(),
    ],
)
def test_no_ending_takes_the_picture_away(ending: bytes) -> None:
    """
    Errors, failures and poorer items behind a picture leave an outcome with the picture alone.
    """
    accumulator, came = received([CREATED, DONE, ending])
    assert came == [PNG]
    assert accumulator.outcome is not None
    assert pictures(accumulator.outcome) == [PNG]
    assert accumulator.outcome.error is None
    assert accumulator.outcome.unreadable == 0
    assert not accumulator.outcome.withheld


@pytest.mark.parametrize("kind", ["response.completed", "response.failed", "response.done"])
def test_ending_that_says_nothing_is_no_outcome(kind: str) -> None:
    """
    An end without a response leaves open what became of a picture that did not come.
    """
    assert received([CREATED, event(kind), event(kind, response=None)])[0].outcome is None


def test_words_and_usage_come_from_the_end() -> None:
    """
    The picture comes from its item, and what the last event says beside it is kept.
    """
    said = {"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "Here."}]}
    final = {**FINAL, "output": [BARE, said], "usage": {"input_tokens": 7}}
    accumulator, _ = received([CREATED, DONE, event("response.completed", response=final)])
    outcome = accumulator.outcome
    assert outcome is not None
    assert (outcome.text, outcome.model, outcome.status) == ("Here.", "m", "completed")
    assert outcome.usage.mainline == {"input_tokens": 7}
    assert outcome.item_ids == ("ig_1", "msg_1")
    assert outcome.pictures[0].revised_prompt == "p"


def test_interrupted_stream_has_what_came() -> None:
    """
    A stream that breaks behind its picture gives the picture, the ids and the words so far.
    """
    events = [
        CREATED,
        event(
            "response.output_item.done", output_index=0, item={"id": "rs_1", "type": "reasoning"}
        ),
        event("response.output_item.done", output_index=1, item=ITEM, sequence_number=7),
        event("response.output_item.added", output_index=2, item={"id": "m", "type": "message"}),
        event("response.output_text.delta", delta="He"),
        event("response.output_text.delta", delta="re"),
    ]
    accumulator, _ = received(events)
    outcome = accumulator.interrupted()
    assert outcome is not None
    assert (outcome.finished, outcome.text, outcome.item_ids) == (True, "Here", ("rs_1", "ig_1"))
    assert (outcome.usage.mainline, outcome.usage.image) == (None, None)
    assert (accumulator.sequence, accumulator.status) == (7, "in_progress")
    assert accumulator.outcome is None


def test_stream_without_a_picture_has_nothing_to_keep() -> None:
    """
    Partial images are no outcome, under any of their names.
    """
    kinds = (f"response.{CALL}", "image_generation", "image_edit")
    partials = [
        event(f"{kind}.partial_image", partial_image_index=0, **{key: B64})
        for kind in kinds
        for key in ("partial_image_b64", "b64_json")
    ]
    accumulator, came = received([CREATED, *partials])
    assert (came, accumulator.interrupted(), accumulator.outcome) == ([], None, None)
    assert feed(partials)[1] == len(partials)


@pytest.mark.parametrize("end", [2, 30])
def test_partial_image_that_was_cut_is_not_taken_for_the_picture(end: int) -> None:
    """
    An event that breaks behind a whole partial image gives no finished picture.
    """
    kind = "image_generation.partial_image"
    cut = json.dumps({"type": kind, "b64_json": B64, "partial_image_index": 0}).encode()[:-end]
    with pytest.raises(InvalidResponseError):
        feed([cut])


def test_completed_call_without_bytes_is_withheld() -> None:
    """
    A stream that tells of a completed call and never brings its bytes says so.
    """
    events = [
        CREATED,
        event("response.output_item.added", output_index=0, item={"id": "ig_1", "type": CALL}),
        event(f"response.{CALL}.completed", output_index=0, item_id="ig_1"),
        event("response.completed", response={**FINAL, "output": []}),
    ]
    outcome = received(events)[0].outcome
    assert outcome is not None
    assert (outcome.withheld, outcome.error, outcome.finished) == (True, None, True)
    assert outcome.item_ids == ("ig_1",)


@pytest.mark.parametrize("kind", ["image_generation", "image_edit"])
def test_events_of_the_images_api_are_read(kind: str) -> None:
    """
    The Images API ends with the picture and its usage in one event.
    """
    partial = event(f"{kind}.partial_image", partial_image_index=0, b64_json=B64)
    last = event(f"{kind}.completed", b64_json=B64, usage={"output_tokens": 9})
    accumulator, came = received([partial, last, b"[DONE]"])
    outcome = accumulator.outcome
    assert outcome is not None
    assert (came, pictures(outcome), outcome.used_mainline) == ([PNG], [PNG], False)
    assert (outcome.usage.mainline, outcome.usage.image) == (None, {"output_tokens": 9})


@pytest.mark.parametrize("url", ["https://example.test/a.png", None])
def test_images_event_without_bytes_is_an_error(url: str | None) -> None:
    """
    An event that names an address, or nothing, is no picture.
    """
    outcome = received([event("image_generation.completed", url=url)])[0].outcome
    assert outcome is not None
    assert isinstance(outcome.error, InvalidResponseError)
    assert ("address" in outcome.error.message) == (url is not None)


def test_a_spoilt_item_may_come_once_more() -> None:
    """
    A picture that was spoilt on the way is read from the event that repeats it.
    """
    spoilt = event("response.output_item.done", output_index=0, item={**ITEM, "result": "%%%"})
    accumulator, came = received([spoilt, event("response.completed", response=FINAL)])
    assert came == [PNG]
    assert accumulator.outcome == parse_response_object(FINAL)
    lost, _ = received([spoilt, event("response.completed", response={**FINAL, "output": []})])
    assert lost.outcome is not None
    assert (lost.outcome.unreadable, type(lost.outcome.error)) == (1, InvalidResponseError)


ENDINGS = [
    event("response.completed", response={**FINAL, "output": []}),
    event("response.completed", response={**FINAL, "output": [item(0), BARE]}),
    event("response.completed", response={**FINAL, "output": [item(1, id=None), item(2)]}),
    event("response.failed", response={"status": "failed", "error": {"code": "server_error"}}),
    event("error", message="x"),
    b"{nonsense",
    b"[DONE]",
]
HOLDING = [
    *(event("response.output_item.done", output_index=n, item=item(n)) for n in range(3)),
    *(event("response.output_item.done", item=item(n, id=None)) for n in range(3)),
    *(event(f"response.{CALL}.completed", item_id=f"ig_{n}", result=item(n)["result"])
      for n in range(3)),
    event("image_generation.completed", b64_json=item(1)["result"]),
    event("response.output_item.done", output_index=1, item={"id": "rs_1", "type": "reasoning"}),
]  # fmt: skip


@given(st.lists(st.sampled_from([*whole()[:5], *HOLDING, *ENDINGS]), max_size=12))
def test_a_picture_that_came_is_in_the_outcome_once(events: list[bytes]) -> None:
    """
    Whatever the order, repeated, mixed with errors, with or without an end: each picture that any
    event held is in the outcome, once.
    """
    wanted = {
        other(n) for n in range(3) if any(item(n)["result"].encode() in event for event in events)
    }
    accumulator = StreamAccumulator()
    came: list[bytes] = []
    for event in events:
        with contextlib.suppress(ImageSessionError):
            came += [
                part.data for part in accumulator.feed(event) if isinstance(part, ReceivedImage)
            ]
    outcome = accumulator.outcome or accumulator.interrupted()
    assert sorted(came) == sorted(wanted)
    assert sorted(pictures(outcome)) == sorted(wanted)
    assert outcome is None or not wanted or outcome.error is None
    body = b"".join(b"data: " + event + b"\n\n" for event in events)
    with contextlib.suppress(ImageSessionError):
        assert sorted(pictures(read_events(body))) == sorted(wanted)
        return
    assert not wanted
