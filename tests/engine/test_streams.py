"""
A stream gives the same outcome as a plain reply, whatever its events.
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
    Build an event's data.
    """
    return json.dumps({"type": kind, **members}).encode()


def whole_stream(final: dict[str, Any] | None = None, partials: int = 2) -> list[bytes]:
    """
    Build the events of a generation, in the order in which the service sends them.
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


def numbered_image(number: int) -> bytes:
    """
    Make a distinct image by number.
    """
    return tiny_image(size=(number + 1, 1))


def item(number: int, **members: Any) -> dict[str, Any]:
    """
    Build the image item of an image by number.
    """
    encoded = base64.b64encode(numbered_image(number)).decode()
    return {"id": f"ig_{number}", "type": CALL, "result": encoded, **members}


def feed(events: list[bytes]) -> tuple[StreamAccumulator, int]:
    """
    Feed events to an accumulator; return it with the number of partial images.
    """
    accumulator = StreamAccumulator()
    images = [image for event in events for image in accumulator.feed(event)]
    return accumulator, sum(isinstance(image, PartialImage) for image in images)


def feed_and_collect(events: list[bytes]) -> tuple[StreamAccumulator, list[bytes]]:
    """
    Feed events to an accumulator; return it with the finished images in order.
    """
    accumulator = StreamAccumulator()
    images = [image for event in events for image in accumulator.feed(event)]
    return accumulator, [image.data for image in images if isinstance(image, ReceivedImage)]


def image_bytes(outcome: ResponseOutcome | None) -> list[bytes]:
    """
    Return the images of an outcome.
    """
    return [] if outcome is None else [picture.data for picture in outcome.images]


def feed_and_raise(events: list[bytes]) -> None:
    """
    Feed events to an accumulator; raise its outcome's error.
    """
    accumulator, _ = feed(events)
    if accumulator.outcome is not None and accumulator.outcome.error is not None:
        raise accumulator.outcome.error


@given(st.integers(0, 4))
def test_stream_outcome_equals_reply_outcome(partials: int) -> None:
    """
    A whole stream has the outcome of the plain reply, with any number of partial images.
    """
    accumulator, shown = feed(whole_stream(partials=partials))
    assert accumulator.outcome == parse_response_object(FINAL)
    assert accumulator.response_id == "resp_1"
    assert shown == partials


@given(st.integers(0, 9))
def test_truncated_stream_has_no_outcome(length: int) -> None:
    """
    Without its last event a stream has no outcome, wherever it was cut.
    """
    accumulator, _ = feed(whole_stream()[:length])
    assert accumulator.outcome is None
    assert accumulator.response_id == ("resp_1" if length else None)


@given(st.permutations(range(2, 9)), st.sets(st.integers(2, 8)))
def test_order_of_middle_events_does_not_matter(order: list[int], left_out: set[int]) -> None:
    """
    Servers may leave out or reorder the events between the first and the last.
    """
    events = whole_stream()
    between = [events[number] for number in order if number not in left_out]
    accumulator, _ = feed([*events[:2], *between, events[-1]])
    assert accumulator.outcome == parse_response_object(FINAL)


def test_last_event_may_lack_items() -> None:
    """
    A last event without items is completed with the items received before.
    """
    accumulator, _ = feed(whole_stream({**FINAL, "output": []}))
    assert accumulator.outcome == parse_response_object(FINAL)


def test_items_without_id_are_all_kept() -> None:
    """
    Items without an id do not replace each other.
    """
    nameless = [
        event("response.output_item.done", item=item(number, id=None)) for number in range(2)
    ]
    accumulator, _ = feed(
        [*nameless, event("response.completed", response={"status": "completed"})]
    )
    assert image_bytes(accumulator.outcome) == [numbered_image(0), numbered_image(1)]


@pytest.mark.parametrize("kind", [None, True, "?", "image_generation_cal"])
def test_image_of_an_item_with_a_damaged_type_is_kept(kind: object) -> None:
    """
    An item's image is kept although its type is missing or damaged.
    """
    stream = StreamAccumulator()
    item = {name: value for name, value in {**ITEM, "type": kind}.items() if value is not None}
    (image,) = stream.feed(event("response.output_item.done", item=item))
    assert isinstance(image, ReceivedImage)
    assert image.data == PNG
    outcome = stream.interrupted()
    assert outcome is not None
    assert [kept.data for kept in outcome.images] == [PNG]


def test_unknown_events_are_ignored() -> None:
    """
    Unknown events, blank ones and the end mark of other servers change nothing.
    """
    odd = [b"", b"[DONE]", event("response.future"), event("x", response=7), event("y", item=None)]
    accumulator, shown = feed([*odd, *whole_stream(), b"[DONE]"])
    assert accumulator.outcome == parse_response_object(FINAL)
    assert shown == 2


@pytest.mark.parametrize("b64", ["%%%", "aGVsbG8=", None, 7])
def test_unreadable_partial_image_is_skipped(b64: object) -> None:
    """
    A damaged partial image does not affect the final one.
    """
    kind = "response.image_generation_call.partial_image"
    accumulator, shown = feed([event(kind, partial_image_b64=b64), *whole_stream(partials=0)])
    assert shown == 0
    assert accumulator.outcome == parse_response_object(FINAL)


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
def test_errors_in_stream_are_typed(data: bytes, kind: type[Exception]) -> None:
    """
    Both forms of error events and both endings without success become typed errors.
    """
    with pytest.raises(kind):
        feed_and_raise([*whole_stream()[:4], data])


@given(st.lists(st.binary(max_size=60) | st.sampled_from(whole_stream()), max_size=8))
def test_any_events_are_accepted_or_typed_errors(events: list[bytes]) -> None:
    """
    Any events are accepted or raise a typed error.
    """
    with contextlib.suppress(ImageSessionError):
        feed(events)


# --- received images are kept -------------------------------------------------------------------

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
def test_first_event_with_bytes_gives_image(holding: bytes) -> None:
    """
    The image is available at once, whatever the event's type and the bytes' position in it.
    """
    accumulator, images = feed_and_collect([CREATED, holding])
    assert images == [PNG]
    assert image_bytes(accumulator.interrupted()) == [PNG]


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
def test_no_ending_removes_received_image(ending: bytes) -> None:
    """
    After errors, failures and incomplete items that follow an image, the outcome has that image.
    """
    accumulator, images = feed_and_collect([CREATED, DONE, ending])
    assert images == [PNG]
    assert accumulator.outcome is not None
    assert image_bytes(accumulator.outcome) == [PNG]
    assert accumulator.outcome.error is None
    assert accumulator.outcome.unreadable == 0
    assert not accumulator.outcome.withheld


@pytest.mark.parametrize("kind", ["response.completed", "response.failed", "response.done"])
def test_ending_without_response_is_no_outcome(kind: str) -> None:
    """
    If the last event has no response and no image came, the outcome stays unknown.
    """
    assert feed_and_collect([CREATED, event(kind), event(kind, response=None)])[0].outcome is None


def test_text_and_usage_come_from_last_event() -> None:
    """
    The image comes from its item, text and usage from the last event.
    """
    text = {"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "Here."}]}
    final = {**FINAL, "output": [BARE, text], "usage": {"input_tokens": 7}}
    accumulator, _ = feed_and_collect([CREATED, DONE, event("response.completed", response=final)])
    outcome = accumulator.outcome
    assert outcome is not None
    assert (outcome.text, outcome.model, outcome.status) == ("Here.", "m", "completed")
    assert outcome.usage.mainline == {"input_tokens": 7}
    assert outcome.item_ids == ("ig_1", "msg_1")
    assert outcome.images[0].revised_prompt == "p"


def test_interrupted_stream_has_received_image() -> None:
    """
    A stream that breaks after its image gives the image, the ids and the text so far.
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
    accumulator, _ = feed_and_collect(events)
    outcome = accumulator.interrupted()
    assert outcome is not None
    assert (outcome.finished, outcome.text, outcome.item_ids) == (True, "Here", ("rs_1", "ig_1"))
    assert (outcome.usage.mainline, outcome.usage.image) == (None, None)
    assert (accumulator.sequence, accumulator.status) == (7, "in_progress")
    assert accumulator.outcome is None


def test_partial_images_are_no_outcome() -> None:
    """
    Partial images are not an outcome, whatever their events' names.
    """
    kinds = (f"response.{CALL}", "image_generation", "image_edit")
    partials = [
        event(f"{kind}.partial_image", partial_image_index=0, **{key: B64})
        for kind in kinds
        for key in ("partial_image_b64", "b64_json")
    ]
    accumulator, images = feed_and_collect([CREATED, *partials])
    assert (images, accumulator.interrupted(), accumulator.outcome) == ([], None, None)
    assert feed(partials)[1] == len(partials)


@pytest.mark.parametrize("end", [2, 30])
def test_truncated_partial_image_event_gives_no_image(end: int) -> None:
    """
    An event that breaks after a whole partial image gives no finished image.
    """
    kind = "image_generation.partial_image"
    cut = json.dumps({"type": kind, "b64_json": B64, "partial_image_index": 0}).encode()[:-end]
    with pytest.raises(InvalidResponseError):
        feed([cut])


def test_completed_call_without_bytes_is_withheld() -> None:
    """
    If a stream has a completed call without bytes, its image is marked as withheld.
    """
    events = [
        CREATED,
        event("response.output_item.added", output_index=0, item={"id": "ig_1", "type": CALL}),
        event(f"response.{CALL}.completed", output_index=0, item_id="ig_1"),
        event("response.completed", response={**FINAL, "output": []}),
    ]
    outcome = feed_and_collect(events)[0].outcome
    assert outcome is not None
    assert (outcome.withheld, outcome.error, outcome.finished) == (True, None, True)
    assert outcome.item_ids == ("ig_1",)


@pytest.mark.parametrize("kind", ["image_generation", "image_edit"])
def test_images_api_events_are_parsed(kind: str) -> None:
    """
    The Images API ends with the image and its usage in one event.
    """
    partial = event(f"{kind}.partial_image", partial_image_index=0, b64_json=B64)
    last = event(f"{kind}.completed", b64_json=B64, usage={"output_tokens": 9})
    accumulator, images = feed_and_collect([partial, last, b"[DONE]"])
    outcome = accumulator.outcome
    assert outcome is not None
    assert (images, image_bytes(outcome), outcome.used_mainline) == ([PNG], [PNG], False)
    assert (outcome.usage.mainline, outcome.usage.image) == (None, {"output_tokens": 9})


def test_images_event_without_bytes_is_an_error_or_a_url_to_fetch() -> None:
    """
    An event with a URL names where the image is; one with nothing is an error.
    """
    url = "https://example.test/a.png"
    outcome = feed_and_collect([event("image_generation.completed", url=url)])[0].outcome
    assert outcome is not None
    assert (outcome.urls, outcome.error) == ((url,), None)
    outcome = feed_and_collect([event("image_generation.completed", url=None)])[0].outcome
    assert outcome is not None
    assert isinstance(outcome.error, InvalidResponseError)


def test_unreadable_item_may_be_repeated() -> None:
    """
    A damaged image is replaced by the event that repeats it.
    """
    damaged = event("response.output_item.done", output_index=0, item={**ITEM, "result": "%%%"})
    accumulator, images = feed_and_collect([damaged, event("response.completed", response=FINAL)])
    assert images == [PNG]
    assert accumulator.outcome == parse_response_object(FINAL)
    lost, _ = feed_and_collect(
        [damaged, event("response.completed", response={**FINAL, "output": []})]
    )
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


@given(st.lists(st.sampled_from([*whole_stream()[:5], *HOLDING, *ENDINGS]), max_size=12))
def test_received_image_is_in_outcome_once(events: list[bytes]) -> None:
    """
    Each image that any event held is in the outcome once: in any order, repeated, mixed with
    errors, with or without an end.
    """
    expected = {
        numbered_image(n)
        for n in range(3)
        if any(item(n)["result"].encode() in event for event in events)
    }
    accumulator = StreamAccumulator()
    images: list[bytes] = []
    for event in events:
        with contextlib.suppress(ImageSessionError):
            images += [
                part.data for part in accumulator.feed(event) if isinstance(part, ReceivedImage)
            ]
    outcome = accumulator.outcome or accumulator.interrupted()
    assert sorted(images) == sorted(expected)
    assert sorted(image_bytes(outcome)) == sorted(expected)
    assert outcome is None or not expected or outcome.error is None
    body = b"".join(b"data: " + event + b"\n\n" for event in events)
    with contextlib.suppress(ImageSessionError):
        assert sorted(image_bytes(read_events(body))) == sorted(expected)
        return
    assert not expected
