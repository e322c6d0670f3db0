"""
Streams: the events' order, their times, and taking up a stream again.
"""

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from imagesession.testing import Delay, FakeOpenAI, FakeRequest
from tests.clock import HoldingProvider

if TYPE_CHECKING:
    from tests.fake_openai.conftest import Talk

CALL = "response.image_generation_call"
OBSERVED = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.output_item.done",
    "response.output_item.added",
    f"{CALL}.in_progress",
    f"{CALL}.generating",
    f"{CALL}.partial_image",
    f"{CALL}.partial_image",
    f"{CALL}.completed",
    "response.output_item.done",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]


def test_events_have_the_order_of_the_service(talk: "Talk") -> None:
    """
    A stream's events have the order of the real service and are numbered without a gap.
    """
    events = talk.events(model="gpt-5", tool={"partial_images": 2})

    assert [event["type"] for event in events] == OBSERVED
    assert list(range(len(events))) == [event["sequence_number"] for event in events]


def test_final_image_is_sent_twice(talk: "Talk") -> None:
    """
    The image is sent with its item and again with the whole response, and equals that of a plain
    response.
    """
    events = talk.events("tea")

    item = next(
        event["item"]
        for event in events
        if event["type"] == "response.output_item.done" and "result" in event["item"]
    )
    assert item == talk.pictures(events[-1]["response"])[0]
    assert item["result"] == talk.pictures(talk.make("tea"))[0]["result"]


def test_terminal_event_can_be_poor(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    The image can be sent only once: with its item, and not again with the whole response.
    """
    provider.poor_terminal_event = True
    events = talk.events(background=True, tool={"partial_images": 1})

    (done,) = [
        event["item"]
        for event in events
        if event["type"] == "response.output_item.done" and "result" in event["item"]
    ]
    (item,) = talk.pictures(events[-1]["response"])
    assert (item, bool(done["result"])) == ({**done, "result": None}, True)
    assert talk.resume(events[0]["response"]["id"]) == events
    assert talk.pixels(talk.make())


def test_partial_images_are_complete_images(talk: "Talk") -> None:
    """
    Partial images are numbered, full-size and different, and report their parameters.
    """
    events = talk.events(tool={"partial_images": 3, "quality": "low"})

    partials = [event for event in events if event["type"] == f"{CALL}.partial_image"]
    final = talk.pictures(events[-1]["response"])[0]
    assert [event["partial_image_index"] for event in partials] == [0, 1, 2]
    assert len({final["result"], *(event["partial_image_b64"] for event in partials)}) == 4
    for event in partials:
        assert event["item_id"] == final["id"]
        for key in ("size", "quality", "background", "output_format"):
            assert final[key] == event[key]
    with_partials, without = (
        response["tool_usage"]["image_gen"]["output_tokens"]
        for response in (events[-1]["response"], talk.make(tool={"quality": "low"}))
    )
    assert with_partials == without + 300


def test_unfinished_item_has_no_result(talk: "Talk") -> None:
    """
    The item is first announced without a result key.
    """
    added = next(event for event in talk.events() if event["type"].endswith("item.added"))

    assert {"id", "type", "status"} == set(added["item"])


def test_several_images_are_streamed_in_turn(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    Each image of a response has its own item, index and events.
    """
    provider.images_per_reply = 2
    events = talk.events()

    done = [event for event in events if event["type"] == f"{CALL}.completed"]
    assert [event["output_index"] for event in done] == [0, 1]
    assert len(talk.pictures(events[-1]["response"])) == 2


def test_stream_helper_of_the_client(talk: "Talk") -> None:
    """
    The openai client's stream helper accumulates the events to a final response.
    """
    with talk.client.responses.stream(
        model="gpt-5", input="tea", tools=[{"type": "image_generation"}]
    ) as stream:
        final = stream.get_final_response()

    assert final.status == "completed"


def test_events_are_spread_over_the_latency(talk: "Talk") -> None:
    """
    Partial images are due while the image is generated, and the end after the latency.
    """
    provider = FakeOpenAI(latency=10, clock=lambda: 1000.0)
    body = talk.body("tea", {"partial_images": 1}, {"stream": True})
    call = FakeRequest(
        method="POST",
        path="/responses",
        headers={"authorization": "Bearer x"},
        body=json.dumps(body).encode(),
    )
    now, due = 0.0, dict[str, float]()
    for part in provider.handle(call).parts:
        if isinstance(part, Delay):
            now += part.seconds
        elif isinstance(part, bytes):
            due[part.partition(b"\n")[0].decode().removeprefix("event: ")] = now

    assert due["response.created"] == 0
    assert due[f"{CALL}.partial_image"] == pytest.approx(5.0)
    assert due[f"{CALL}.completed"] == pytest.approx(9.0)
    assert due["response.completed"] == pytest.approx(10.0)


def test_events_arrive_when_they_are_due(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A stream takes as long as the latency.
    """
    provider.latency = 0.15
    start = time.monotonic()
    events = list(talk.client.responses.create(model="gpt-5.4", input="tea", stream=True))

    assert events[-1].type == "response.completed"
    assert time.monotonic() - start >= 0.15


def test_first_event_does_not_wait(connect: "Callable[[FakeOpenAI], Talk]") -> None:
    """
    A stream's first event arrives while the rest is not yet due.
    """
    provider = HoldingProvider()
    provider.hold()
    stream = connect(provider).client.responses.create(model="gpt-5.4", input="tea", stream=True)
    assert next(iter(stream)).type == "response.created"
    provider.finish()

    assert [event.type for event in stream][-1] == "response.completed"


def test_text_is_streamed_in_deltas(talk: "Talk") -> None:
    """
    Text is sent in deltas that add up to it, padded unless the request declines obfuscation.
    """
    events = talk.events(tools=[])
    deltas = [event for event in events if event["type"] == "response.output_text.delta"]
    done = next(event for event in events if event["type"] == "response.output_text.done")
    plain = talk.events(tools=[], stream_options={"include_obfuscation": False})

    assert done["text"] == "".join(event["delta"] for event in deltas)
    assert all(event["obfuscation"] for event in deltas)
    assert not any("obfuscation" in event for event in plain)


def test_stream_is_resumed_after_a_number(talk: "Talk") -> None:
    """
    A background stream can be resumed after any event, and continues with the next number.
    """
    events = talk.events(background=True, tool={"partial_images": 1})
    response_id = events[0]["response"]["id"]

    assert events[1]["type"] == "response.queued"
    assert events[5:] == talk.resume(response_id, starting_after=4)
    assert events == talk.resume(response_id)
    assert any(event.get("item", {}).get("result") for event in talk.resume(response_id))
    assert talk.resume(response_id, starting_after=len(events) - 1) == []


def test_only_background_streams_are_resumed(talk: "Talk") -> None:
    """
    A response that was not created as a background stream cannot be streamed later.
    """
    made = talk.make(background=True)

    with pytest.raises(Exception, match="streamed again"):
        talk.resume(made["id"])
    streamed = talk.events(background=True)[0]["response"]["id"]
    with pytest.raises(Exception, match="starting_after"):
        talk.resume(streamed, starting_after="x")


def test_abandoned_stream_is_not_stored(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A client that closes a plain stream ends it: its response is not stored.
    """
    stream = talk.client.responses.create(
        model="gpt-5.4", input="tea", tools=[{"type": "image_generation"}], stream=True
    )
    with stream:
        first = next(iter(stream))
    assert first.type == "response.created"
    status, error = talk.refused(previous_response_id=first.response.id)
    assert (status, error["code"]) == (400, "previous_response_not_found")
    assert len(provider.requests) == 2
