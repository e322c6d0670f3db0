"""
The transports: in-process under the real clients, and over a loopback port.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import anyio
import attrs
import httpx2
import openai
import pytest

from imagesession.testing import (
    AsyncFakeTransport,
    ConnectionReset,
    Delay,
    FakeOpenAI,
    FakeResponse,
    FakeTransport,
    Fault,
    serve,
)
from tests.clock import DAY

if TYPE_CHECKING:
    from tests.fake_openai.conftest import Talk

TOOLS: list[dict[str, object]] = [{"type": "image_generation", "partial_images": 1}]
BODY: dict[str, object] = {"model": "gpt-5.4", "input": "tea", "tools": TOOLS}


def _async_client(provider: FakeOpenAI) -> openai.AsyncOpenAI:
    http = httpx2.AsyncClient(transport=AsyncFakeTransport(provider))
    return openai.AsyncOpenAI(api_key="offline", http_client=http, max_retries=0)


def _resetting(answer: FakeResponse) -> FakeResponse:
    return attrs.evolve(answer, parts=iter((b"event: x", ConnectionReset())))


def test_loopback_equals_in_process(talk: "Talk", loopback: "Talk") -> None:
    """
    The port gives the same responses, streams, errors and files as the in-process transport.
    """
    assert talk.pixels(talk.make("tea")) == loopback.pixels(loopback.make("tea"))
    assert [event["type"] for event in talk.events("tea")] == [
        event["type"] for event in loopback.events("tea")
    ]
    assert talk.refused(model="gpt-9") == loopback.refused(model="gpt-9")
    file = loopback.client.files.create(file=("a", b"1\r\n2"), purpose="vision")
    assert loopback.client.files.content(file.id).read() == b"1\r\n2"


@pytest.mark.anyio
async def test_async_equals_sync(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    The async transport gives the same responses as the sync one.
    """
    async with _async_client(provider) as client:
        reply = await client.post("/responses", body=BODY, cast_to=httpx2.Response)
        stream = await client.post(
            "/responses", body={**BODY, "stream": True}, cast_to=httpx2.Response
        )
        with pytest.raises(openai.BadRequestError):
            await client.responses.create(model="gpt-9", input="x")

    assert talk.pixels(reply.json()) == talk.pixels(talk.make("tea"))
    assert talk.unframe(stream)[-1]["type"] == "response.completed"


@pytest.mark.anyio
async def test_event_loop_is_not_blocked(provider: FakeOpenAI) -> None:
    """
    Other tasks run while images are rendered and waited for.
    """
    provider.latency = 0.5
    ticks = 0
    async with _async_client(provider) as client, anyio.create_task_group() as tasks:

        async def draw(number: int) -> None:
            await client.post(
                "/responses", body={**BODY, "input": f"tea {number}"}, cast_to=httpx2.Response
            )

        async def tick() -> None:
            nonlocal ticks
            while True:
                await anyio.sleep(0.01)
                ticks += 1

        tasks.start_soon(tick)
        async with anyio.create_task_group() as drawing:
            for number in range(4):
                drawing.start_soon(draw, number)
        tasks.cancel_scope.cancel()

    assert ticks >= 4


@pytest.mark.anyio
async def test_async_call_can_be_cancelled(provider: FakeOpenAI) -> None:
    """
    A cancelled task does not wait for the image.
    """
    provider.latency = DAY
    start = time.monotonic()
    async with _async_client(provider) as client:
        with anyio.move_on_after(0.05) as scope:
            await client.post("/responses", body=BODY, cast_to=httpx2.Response)

    assert scope.cancelled_caught
    assert time.monotonic() - start < DAY / 2


def test_plain_call_takes_the_latency(provider: FakeOpenAI, loopback: "Talk") -> None:
    """
    A plain request is answered after the latency.
    """
    loopback.make("tea")
    provider.latency = 0.1
    start = time.monotonic()
    loopback.make("tea")

    assert time.monotonic() - start >= 0.1


@pytest.mark.anyio
async def test_read_timeout_applies(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A client with a read timeout below the latency times out, sync and async, as on a network.
    """
    provider.latency = 60
    impatient = talk.client.with_options(timeout=0.05)
    with pytest.raises(openai.APITimeoutError):
        impatient.post("/responses", body=BODY, cast_to=httpx2.Response)
    async with _async_client(provider) as client:
        with pytest.raises(openai.APITimeoutError):
            await client.with_options(timeout=0.05).post(
                "/responses", body=BODY, cast_to=httpx2.Response
            )
    provider.latency = 0
    assert talk.make()["status"] == "completed"


@pytest.mark.anyio
async def test_reset_breaks_the_connection(
    provider: FakeOpenAI, talk: "Talk", loopback: "Talk"
) -> None:
    """
    A reset is a connection error on every transport.
    """
    provider.enqueue_fault(Fault(transform=_resetting), times=3)
    for way in (talk, loopback):
        with pytest.raises(openai.APIConnectionError):
            way.make()
    async with _async_client(provider) as client:
        with pytest.raises(openai.APIConnectionError):
            await client.models.list()


def test_paths_with_and_without_version(provider: FakeOpenAI) -> None:
    """
    Paths are served with and without `/v1`, as the base URL has it.
    """
    headers = {"authorization": "Bearer x"}
    with httpx2.Client(transport=FakeTransport(provider), headers=headers) as client:
        answers = [
            client.get(f"http://offline{prefix}/models/gpt-5").json() for prefix in ("", "/v1")
        ]

    assert answers[0] == answers[1]


def test_many_clients_on_one_port(loopback: "Talk") -> None:
    """
    64 concurrent requests over the port are all answered.
    """
    with ThreadPoolExecutor(64) as pool:
        statuses = [reply["status"] for reply in pool.map(loopback.make, ["tea"] * 64)]

    assert statuses == ["completed"] * 64


def test_chunked_request_bodies(loopback: "Talk") -> None:
    """
    The port accepts bodies without a Content-Length.
    """

    def body() -> "list[bytes]":
        return [b'{"model": "gpt-5.4", ', b'"input": "x"}']

    url = f"{loopback.client.base_url}responses"
    headers = {"authorization": "Bearer x"}
    with httpx2.Client(timeout=60) as client:
        answer = client.post(url, headers=headers, content=iter(body()))

    assert answer.json()["status"] == "completed"


@pytest.mark.parametrize("trailer", [b"", b"x-sum: 1\r\n"])
def test_chunked_bodies_may_have_trailers(provider: FakeOpenAI, trailer: bytes) -> None:
    """
    Trailers after the last chunk of a body are ignored.
    """
    head = b"POST /v1/responses HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    with (
        serve(provider) as served,
        socket.create_connection(("127.0.0.1", served.port)) as connection,
    ):
        connection.sendall(head + b"2;x=y\r\n{}\r\n0\r\n" + trailer + b"\r\n")
        with connection.makefile("rb") as answer:
            assert answer.readline().startswith(b"HTTP/1.1 401")
    assert provider.requests[0].body == {}


def test_custom_fault_that_raises_is_reported(
    provider: FakeOpenAI, loopback: "Talk", capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A custom fault that raises breaks the connection and prints its traceback; the server continues.
    """

    def crash(_answer: FakeResponse) -> FakeResponse:
        raise ZeroDivisionError

    provider.enqueue_fault(Fault(transform=crash))
    with pytest.raises(openai.APIConnectionError):
        loopback.make()
    assert loopback.make()["status"] == "completed"
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_client_resets_are_ignored(
    provider: FakeOpenAI, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A connection reset in the middle of a request prints no traceback.
    """
    with serve(provider) as served:
        with socket.create_connection(("127.0.0.1", served.port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(b"POST /v1/files HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc")
            time.sleep(0.05)
        with httpx2.Client(timeout=60) as client:
            assert client.get(f"{served.base_url}/models").status_code == 401

    assert capsys.readouterr().err == ""


def test_connections_are_reused(provider: FakeOpenAI) -> None:
    """
    Requests of one client share one connection.
    """
    with (
        serve(provider) as served,
        socket.create_connection(("127.0.0.1", served.port)) as connection,
    ):
        for _ in range(2):
            connection.sendall(b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"}}"):
                answer += connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 401")


def test_server_stops_with_open_connections(provider: FakeOpenAI) -> None:
    """
    Stopping the server ends idle and waiting connections at once.
    """
    provider.latency = DAY
    failures: list[Exception] = []
    with serve(provider) as served:
        idle = socket.create_connection(("127.0.0.1", served.port))
        client = openai.OpenAI(api_key="x", base_url=served.base_url, max_retries=0)

        def wait() -> None:
            try:
                client.responses.create(model="gpt-5.4", input="x")
            except openai.APIConnectionError as error:
                failures.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        while not provider.requests:
            time.sleep(0.01)
        start = time.monotonic()
    waiting.join()
    idle.close()
    client.close()

    assert len(failures) == 1
    assert time.monotonic() - start < DAY / 2


def test_server_survives_client_disconnects(provider: FakeOpenAI) -> None:
    """
    The server continues after a client disconnects in the middle of a stream.
    """
    provider.latency = 0.1
    with (
        serve(provider) as served,
        openai.OpenAI(api_key="x", base_url=served.base_url, max_retries=0) as client,
    ):
        with client.responses.create(
            model="gpt-5.4", input="tea", tools=[{"type": "image_generation"}], stream=True
        ) as stream:
            next(iter(stream))
        assert client.models.list().data


def test_delay_is_waited_for(provider: FakeOpenAI, connect: "Callable[[FakeOpenAI], Talk]") -> None:
    """
    The transport waits for a `Delay`.
    """

    def slowly(answer: FakeResponse) -> FakeResponse:
        return attrs.evolve(answer, parts=iter((Delay(0.05), *answer.parts)))

    provider.enqueue_fault(Fault(transform=slowly))
    start = time.monotonic()
    connect(provider).client.models.list()

    assert time.monotonic() - start >= 0.05
