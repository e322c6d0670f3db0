"""
An answer is taken for what its bytes are, as they come, and what came before a break is kept.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import openai
import pytest

from imagesession._engine.decoding import salvage
from imagesession._engine.http import HttpRequest, HttpResponse, TransportError
from imagesession._runtime.openai_transport import AsyncOpenAITransport, OpenAITransport
from imagesession.testing import tiny_image

PNG = tiny_image()
DONE = json.dumps(
    {
        "type": "response.output_item.done",
        "item": {"type": "image_generation_call", "result": base64.b64encode(PNG).decode()},
    }
).encode()
POST = HttpRequest(method="POST", path="/responses", body={"input": "x", "stream": True})
ROWS = HttpRequest(method="GET", path="/files/file_1/content", rows=True)
EVENTS = b": hello\n\nevent: a\ndata: 1\n\ndata: 2\n\n"


class Pieces(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """
    A body in pieces, which may break at its end.
    """

    def __init__(self, pieces: Any, *, breaks: bool = False) -> None:
        self._pieces = pieces
        self._breaks = breaks

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        if self._breaks:
            raise httpx2.ReadError("reset")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


def answering(pieces: Any, *, label: str = "", status: int = 200, breaks: bool = False) -> Any:
    """
    Return what answers with a body in pieces.
    """

    def answer(_: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": label} if label else {}
        return httpx2.Response(status, headers=headers, stream=Pieces(pieces, breaks=breaks))

    return httpx2.MockTransport(answer)


def listen(transport: Any, request: HttpRequest = POST) -> HttpResponse | list[bytes]:
    """
    Send a request by the sync transport; return the reply, or all that was heard.
    """
    http_client = httpx2.Client(transport=transport)
    with openai.OpenAI(api_key="sk-secret-1", http_client=http_client) as client:
        ours = OpenAITransport(client, ours=False)
        with ours.listen(request) as events:
            return events if isinstance(events, HttpResponse) else list(events)


def listen_async(transport: Any, request: HttpRequest = POST) -> HttpResponse | list[bytes]:
    """
    Send a request by the async transport; return the reply, or all that was heard.
    """

    async def run() -> HttpResponse | list[bytes]:
        http_client = httpx2.AsyncClient(transport=transport)
        async with openai.AsyncOpenAI(api_key="sk-secret-1", http_client=http_client) as client:
            ours = AsyncOpenAITransport(lambda: client, ours=False)
            async with ours.listen(request) as events:
                if isinstance(events, HttpResponse):
                    return events
                return [event async for event in events]

    return asyncio.run(run())


BOTH = pytest.mark.parametrize("listening", [listen, listen_async])
LABELS = ["application/json", "text/event-stream; charset=utf-8", "text/html", ""]


@BOTH
@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_events_are_heard_whatever_their_label(listening: Any, label: str, size: int) -> None:
    """
    A body that begins like events is a stream, however it is labelled and cut into pieces.
    """
    for body in (EVENTS, b"\r\n \n" + EVENTS, b"\xef\xbb\xbf" + EVENTS[9:]):
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        assert listening(answering(pieces, label=label)) == [b"1", b"2"]


@BOTH
@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("body", [b'{"id": "resp_1"}', b" [1]", b"<html>", b"data", b"dating: 1"])
def test_anything_else_is_a_reply_whatever_its_label(
    listening: Any, label: str, body: bytes
) -> None:
    """
    A body that does not begin like events is read as a whole.
    """
    pieces = [body[at : at + 1] for at in range(len(body))]
    reply = listening(answering(pieces, label=label))
    if body == b"data" and "event" in label:
        # It broke off before it could be told.
        assert reply == []
        return
    assert isinstance(reply, HttpResponse)
    assert (reply.status, reply.body, reply.whole) == (200, body, True)


@BOTH
def test_errors_are_replies_whatever_they_look_like(listening: Any) -> None:
    """
    An HTTP error is no stream, even if its body begins like one.
    """
    reply = listening(answering([EVENTS], label="text/event-stream", status=400))
    assert isinstance(reply, HttpResponse)
    assert (reply.status, reply.body) == (400, EVENTS)


@BOTH
def test_empty_answer_is_what_its_label_says(listening: Any) -> None:
    """
    A stream without an event is a stream; an empty body of another kind is a reply.
    """
    assert listening(answering([], label="text/event-stream")) == []
    assert isinstance(listening(answering([], label="application/json")), HttpResponse)


def test_events_are_handed_on_as_they_come() -> None:
    """
    A mislabelled stream is not waited for to its end.
    """
    received = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield b"data: 1\n\n"
        assert received.wait(5)
        yield b"data: 2\n\n"

    http_client = httpx2.Client(transport=answering(pieces(), label="application/json"))
    with (
        openai.OpenAI(api_key="x", http_client=http_client) as client,
        OpenAITransport(client, ours=False).listen(POST) as events,
    ):
        assert not isinstance(events, HttpResponse)
        assert next(events) == b"1"
        received.set()
        assert list(events) == [b"2"]


@BOTH
@pytest.mark.parametrize("breaks", [True, False])
@pytest.mark.parametrize("cut", [1, 3, 20])
def test_what_came_of_an_unfinished_event_is_kept(
    listening: Any, cut: int, *, breaks: bool
) -> None:
    """
    A stream that ends within an event, by a break or not, tells what came of it: perhaps all of the
    picture.
    """
    body = EVENTS + b"event: x\ndata: " + DONE[:-cut]
    pieces = [body[at : at + 50] for at in range(0, len(body), 50)]
    with pytest.raises(TransportError) as caught:
        listening(answering(pieces, label="text/event-stream", breaks=breaks))
    assert caught.value.sent
    assert DONE[:-cut] in caught.value.body
    assert EVENTS not in caught.value.body
    assert bool(salvage(caught.value.body)) == (cut < 20)


@BOTH
@pytest.mark.parametrize("last", [DONE, b"[DONE]"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r"])
def test_last_event_needs_no_end(listening: Any, last: bytes, end: bytes) -> None:
    """
    A last event that is whole is heard, though the blank line behind it is missing.
    """
    assert listening(answering([b"data: 1\n\ndata: ", last, end])) == [b"1", last]


@BOTH
@pytest.mark.parametrize("body", [b'{"id": "resp_1", "output', b"dat", b""])
def test_what_came_of_a_reply_is_kept(listening: Any, body: bytes) -> None:
    """
    A reply that breaks tells what came of it, whatever it would have become.
    """
    for label in LABELS:
        with pytest.raises(TransportError) as caught:
            listening(answering([body] if body else [], label=label, breaks=True))
        assert (caught.value.body, caught.value.sent) == (body, True)


@BOTH
def test_what_came_of_a_line_is_kept(listening: Any) -> None:
    """
    A file that breaks within a line tells what came of the line.
    """
    assert listening(answering([b"a\n{", b'"b"\nc']), ROWS) == [b"a", b'{"b"', b"c"]
    with pytest.raises(TransportError) as caught:
        listening(answering([b"a\n{", b'"b"\nc', b"d"], breaks=True), ROWS)
    assert caught.value.body == b"cd"


@BOTH
def test_secrets_are_taken_out_of_what_came(listening: Any) -> None:
    """
    A key that is sent back stands neither in an event nor in what is kept of one.
    """
    assert listening(answering([b"data: a sk-secret-1\n\n"])) == [b"a [hidden]"]
    with pytest.raises(TransportError) as caught:
        listening(answering([b"data: a\n\ndata: sk-secret-1 {"], breaks=True))
    assert b"sk-secret" not in caught.value.body
