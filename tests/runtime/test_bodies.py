"""
Response bodies are recognised by their bytes, and the part received before a failure is kept.
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


class Chunks(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """
    A body in chunks, which may break off at its end.
    """

    def __init__(self, chunks: Any, *, breaks: bool = False) -> None:
        self._pieces = chunks
        self._breaks = breaks

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        if self._breaks:
            raise httpx2.ReadError("reset")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


def mock_transport(chunks: Any, *, label: str = "", status: int = 200, breaks: bool = False) -> Any:
    """
    Return a transport that responds with a body in chunks.
    """

    def answer(_: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": label} if label else {}
        return httpx2.Response(status, headers=headers, stream=Chunks(chunks, breaks=breaks))

    return httpx2.MockTransport(answer)


def listen(http_transport: Any, request: HttpRequest = POST) -> HttpResponse | list[bytes]:
    """
    Send a request by the sync transport; return the response, or all events.
    """
    http_client = httpx2.Client(transport=http_transport)
    with openai.OpenAI(api_key="sk-secret-1", http_client=http_client) as client:
        transport = OpenAITransport(client, owned=False)
        with transport.listen(request) as (response, events, _):
            return list(events) if response.opened else response


def listen_async(http_transport: Any, request: HttpRequest = POST) -> HttpResponse | list[bytes]:
    """
    Send a request by the async transport; return the response, or all events.
    """

    async def run() -> HttpResponse | list[bytes]:
        http_client = httpx2.AsyncClient(transport=http_transport)
        async with openai.AsyncOpenAI(api_key="sk-secret-1", http_client=http_client) as client:
            transport = AsyncOpenAITransport(lambda: client, owned=False)
            async with transport.listen(request) as (response, events, _):
                return [event async for event in events] if response.opened else response

    return asyncio.run(run())


BOTH = pytest.mark.parametrize("listen_with", [listen, listen_async])
LABELS = ["application/json", "text/event-stream; charset=utf-8", "text/html", ""]


@BOTH
@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_events_are_parsed_whatever_their_content_type(
    listen_with: Any, label: str, size: int
) -> None:
    """
    A body that begins like events is parsed as a stream, whatever its content type and chunks.
    """
    for body in (EVENTS, b"\r\n \n" + EVENTS, b"\xef\xbb\xbf" + EVENTS[9:]):
        chunks = [body[at : at + size] for at in range(0, len(body), size)]
        assert listen_with(mock_transport(chunks, label=label)) == [b"1", b"2"]


@BOTH
@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("body", [b'{"id": "resp_1"}', b" [1]", b"<html>", b"data", b"dating: 1"])
def test_other_bodies_are_read_whole_whatever_their_content_type(
    listen_with: Any, label: str, body: bytes
) -> None:
    """
    A body that does not begin like events is read as a whole.
    """
    chunks = [body[at : at + 1] for at in range(len(body))]
    reply = listen_with(mock_transport(chunks, label=label))
    if body == b"data" and "event" in label:
        # Too short to be recognised, so the content type decides.
        assert reply == []
        return
    assert isinstance(reply, HttpResponse)
    assert (reply.status, reply.body, reply.whole) == (200, body, True)


@BOTH
def test_http_error_is_never_a_stream(listen_with: Any) -> None:
    """
    An HTTP error is not a stream, even if its body begins like one.
    """
    reply = listen_with(mock_transport([EVENTS], label="text/event-stream", status=400))
    assert isinstance(reply, HttpResponse)
    assert (reply.status, reply.body) == (400, EVENTS)


@BOTH
def test_content_type_decides_for_an_empty_body(listen_with: Any) -> None:
    """
    An empty body is a stream or a response according to its content type.
    """
    assert listen_with(mock_transport([], label="text/event-stream")) == []
    assert isinstance(listen_with(mock_transport([], label="application/json")), HttpResponse)


def test_events_are_yielded_as_they_arrive() -> None:
    """
    A stream with the wrong content type is not read to its end first.
    """
    received = threading.Event()

    def chunks() -> Iterator[bytes]:
        yield b"data: 1\n\n"
        assert received.wait(60)
        yield b"data: 2\n\n"

    http_client = httpx2.Client(transport=mock_transport(chunks(), label="application/json"))
    with (
        openai.OpenAI(api_key="x", http_client=http_client) as client,
        OpenAITransport(client, owned=False).listen(POST) as (response, events, _),
    ):
        assert response.opened
        assert next(events) == b"1"
        received.set()
        assert list(events) == [b"2"]


@BOTH
@pytest.mark.parametrize("breaks", [True, False])
@pytest.mark.parametrize("cut", [1, 3, 20])
def test_received_part_of_an_event_is_kept(listen_with: Any, cut: int, *, breaks: bool) -> None:
    """
    If a stream ends within an event, the error has the received part: perhaps the whole image.
    """
    body = EVENTS + b"event: x\ndata: " + DONE[:-cut]
    chunks = [body[at : at + 50] for at in range(0, len(body), 50)]
    with pytest.raises(TransportError) as caught:
        listen_with(mock_transport(chunks, label="text/event-stream", breaks=breaks))
    assert caught.value.sent
    assert DONE[:-cut] in caught.value.body
    assert EVENTS not in caught.value.body
    assert bool(salvage(caught.value.body)) == (cut < 20)


@BOTH
@pytest.mark.parametrize("last", [DONE, b"[DONE]"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r"])
def test_last_event_needs_no_blank_line(listen_with: Any, last: bytes, end: bytes) -> None:
    """
    A complete last event is yielded even if the blank line after it is missing.
    """
    assert listen_with(mock_transport([b"data: 1\n\ndata: ", last, end])) == [b"1", last]


@BOTH
@pytest.mark.parametrize("body", [b'{"id": "resp_1", "output', b"dat", b""])
def test_received_part_of_a_response_is_kept(listen_with: Any, body: bytes) -> None:
    """
    If a response breaks off, the error has the received part, whatever its content type.
    """
    for label in LABELS:
        with pytest.raises(TransportError) as caught:
            listen_with(mock_transport([body] if body else [], label=label, breaks=True))
        assert (caught.value.body, caught.value.sent) == (body, True)


@BOTH
def test_received_part_of_a_line_is_kept(listen_with: Any) -> None:
    """
    If a file breaks off within a line, the error has the received part of the line.
    """
    assert listen_with(mock_transport([b"a\n{", b'"b"\nc']), ROWS) == [b"a", b'{"b"', b"c"]
    with pytest.raises(TransportError) as caught:
        listen_with(mock_transport([b"a\n{", b'"b"\nc', b"d"], breaks=True), ROWS)
    assert caught.value.body == b"cd"


@BOTH
def test_secrets_are_redacted_in_received_data(listen_with: Any) -> None:
    """
    A key that the server echoes is removed from events and from received parts.
    """
    assert listen_with(mock_transport([b"data: a sk-secret-1\n\n"])) == [b"a [hidden]"]
    with pytest.raises(TransportError) as caught:
        listen_with(mock_transport([b"data: a\n\ndata: sk-secret-1 {"], breaks=True))
    assert b"sk-secret" not in caught.value.body
