"""
The transports with the real client: they read everything, raise only documented errors, and close
what they opened.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx2
import openai
import pytest

from imagesession import AsyncStudio, Studio
from imagesession._engine.http import HttpRequest, TransportError
from imagesession._runtime.openai_transport import AsyncOpenAITransport, OpenAITransport
from imagesession.testing import FakeOpenAI, FakeTransport, serve

STREAM = HttpRequest(
    method="POST",
    path="/responses",
    body={
        "model": "gpt-6-luna",
        "input": "a teapot",
        "stream": True,
        "tools": [{"type": "image_generation", "partial_images": 1}],
    },
)
MODELS = HttpRequest(method="GET", path="/models")


@pytest.fixture
def url() -> Iterator[str]:
    """
    A provider on loopback.
    """
    with serve(FakeOpenAI()) as served:
        yield served.base_url


@pytest.fixture
def slow() -> Iterator[str]:
    """
    Serve a provider whose streams do not end soon.
    """
    with serve(FakeOpenAI(latency=30)) as served:
        yield served.base_url


def test_abandoned_stream_is_closed(slow: str) -> None:
    """
    Leaving a stream before its end closes the connection.
    """
    transport = OpenAITransport(openai.OpenAI(api_key="x", base_url=slow), owned=True)
    with transport.listen(STREAM) as (response, events, _):
        assert response.opened
        assert b"response.created" in next(events)
    with contextlib.suppress(TransportError):
        assert list(events) == []
    assert transport.send(MODELS).status == 200
    transport.close()


@pytest.mark.anyio
async def test_abandoned_stream_is_closed_async(slow: str) -> None:
    """
    The async transport does the same.
    """
    client = openai.AsyncOpenAI(api_key="x", base_url=slow)
    transport = AsyncOpenAITransport(lambda: client, owned=True)
    async with transport.listen(STREAM) as (response, events, _):
        assert response.opened
        assert b"response.created" in await anext(events)
    with contextlib.suppress(TransportError):
        assert [event async for event in events] == []
    assert (await transport.send(MODELS)).status == 200
    await transport.close()


def test_connection_is_reused_after_a_stream(url: str) -> None:
    """
    After a stream's last event, the next request reuses its connection.
    """
    with httpx2.Client() as http_client:
        client = openai.OpenAI(api_key="x", base_url=url, http_client=http_client)
        transport = OpenAITransport(client, owned=False)
        for _ in range(3):
            with transport.listen(STREAM) as (_, events, _):
                assert any(b"response.completed" in event for event in events)
        pool: Any = vars(http_client)["_transport"]._pool  # noqa: SLF001 - there is no public count
        assert len(pool.connections) == 1


def test_connection_is_reused_between_images(url: str, tmp_path: Path) -> None:
    """
    A second image is requested over the connection of the first.
    """
    with httpx2.Client() as http_client:
        client = openai.OpenAI(api_key="x", base_url=url, http_client=http_client)
        with Studio(tmp_path, client=client) as studio:
            for prompt in ("a teapot", "a cup"):
                studio.generate(prompt)
        pool: Any = vars(http_client)["_transport"]._pool  # noqa: SLF001 - there is no public count
        (connection,) = pool.connections
        assert "Request Count: 2" in repr(connection)


@pytest.mark.parametrize("owned", [True, False])
def test_callers_client_is_not_closed(*, owned: bool) -> None:
    """
    A client that the caller made is closed by the caller.
    """
    http_client = httpx2.Client(transport=FakeTransport(FakeOpenAI()))
    client = openai.OpenAI(api_key="x", base_url="http://offline/v1", http_client=http_client)
    OpenAITransport(client, owned=owned).close()
    assert client.is_closed() == owned
    http_client.close()


@pytest.mark.anyio
@pytest.mark.parametrize("owned", [True, False])
async def test_callers_client_is_not_closed_async(*, owned: bool) -> None:
    """
    The async transport does the same.
    """
    client = openai.AsyncOpenAI(api_key="x")
    await AsyncOpenAITransport(lambda: client, owned=owned).close()
    assert client.is_closed() == owned
    await client.close()


def test_http_errors_are_responses() -> None:
    """
    An HTTP error is a response like any other, and is not retried.
    """
    provider = FakeOpenAI()
    with serve(provider) as served:
        provider.fail_next(status=500, path="/models", times=5)
        client = openai.OpenAI(api_key="x", base_url=served.base_url, max_retries=4)
        with client:
            assert OpenAITransport(client, owned=False).send(MODELS).status == 500
        assert len(provider.requests) == 1


def test_address_has_no_secrets() -> None:
    """
    The provider's address has no user name, password or query.
    """
    with openai.OpenAI(api_key="x", base_url="https://user:secret@host.example:8443/v1/") as client:
        assert OpenAITransport(client, owned=False).provider() == "host.example:8443/v1"


@pytest.mark.parametrize(
    "failure,sent",
    [
        (httpx2.ConnectError("refused"), False),
        (httpx2.ConnectTimeout("slow"), False),
        (httpx2.ReadTimeout("slow"), True),
        (httpx2.ReadError("reset"), True),
        (httpx2.RemoteProtocolError("nonsense"), True),
        (RuntimeError("Event loop is closed"), True),
    ],
)
def test_only_connection_failures_prove_nothing_was_sent(failure: Exception, *, sent: bool) -> None:
    """
    Only failures to connect prove that nothing reached the provider.
    """

    def fail(_: httpx2.Request) -> httpx2.Response:
        raise failure

    http_client = httpx2.Client(transport=httpx2.MockTransport(fail))
    with openai.OpenAI(api_key="x", http_client=http_client) as client:
        with pytest.raises(TransportError) as caught:
            OpenAITransport(client, owned=False).send(MODELS)
        assert caught.value.sent == sent


def test_event_loops_do_not_share_connections(url: str, tmp_path: Path) -> None:
    """
    A studio can be used in one `asyncio.run` after another.
    """
    studio = AsyncStudio(tmp_path, api_key="x", base_url=url)

    async def generate(prompt: str) -> str:
        image = await studio.generate(prompt)
        # Connections must be closed in the loop that opened them.
        await cast("Any", studio)._connection().close()  # noqa: SLF001 - there is no public way
        return image.prompt

    assert [asyncio.run(generate(prompt)) for prompt in ("one", "two")] == ["one", "two"]
