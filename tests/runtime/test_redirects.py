"""
A redirect takes no key, prompt or image to another origin, and sends no request more than twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx2
import openai
import pytest

from imagesession import Studio
from imagesession._engine.http import HttpRequest, HttpResponse
from imagesession._runtime.openai_transport import AsyncOpenAITransport, OpenAITransport
from imagesession.errors import BadRequestError

ORIGIN = "http://images.example.test"
POST = HttpRequest(method="POST", path="/responses", body={"input": "a teapot"})
GET = HttpRequest(method="GET", path="/models")


class Redirector:
    """
    A server that redirects the first requests, and counts what it gets.
    """

    def __init__(self, status: int, location: str, times: int = 1) -> None:
        self.got: list[httpx2.Request] = []
        self._status, self._location, self._times = status, location, times

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """
        Answer a request.
        """
        self.got.append(request)
        if len(self.got) <= self._times:
            return httpx2.Response(self._status, headers={"location": self._location})
        return httpx2.Response(200, json={"id": "resp_1"})


def send(server: Redirector, request: HttpRequest) -> HttpResponse:
    """
    Send a request by the sync transport.
    """
    http_client = httpx2.Client(transport=httpx2.MockTransport(server), follow_redirects=True)
    with openai.OpenAI(api_key="x", base_url=f"{ORIGIN}/v1", http_client=http_client) as client:
        return OpenAITransport(client, owned=False).send(request)


def send_async(server: Redirector, request: HttpRequest) -> HttpResponse:
    """
    Send a request by the async transport.
    """

    async def run() -> HttpResponse:
        http_client = httpx2.AsyncClient(
            transport=httpx2.MockTransport(server), follow_redirects=True
        )
        async with openai.AsyncOpenAI(
            api_key="x", base_url=f"{ORIGIN}/v1", http_client=http_client
        ) as client:
            return await AsyncOpenAITransport(lambda: client, owned=False).send(request)

    return asyncio.run(run())


SendRequest = Callable[[Redirector, HttpRequest], HttpResponse]
BOTH = pytest.mark.parametrize("send_request", [send, send_async])


@BOTH
@pytest.mark.parametrize(
    "request_,status", [(POST, 307), (POST, 308), (GET, 301), (GET, 302), (GET, 303), (GET, 307)]
)
@pytest.mark.parametrize("location", ["/v2/here", f"{ORIGIN}/v2/here", "here?x=1"])
def test_redirect_within_an_origin_is_followed(
    send_request: SendRequest, request_: HttpRequest, status: int, location: str
) -> None:
    """
    A redirect within the same origin that keeps the method is followed, with the whole body.
    """
    server = Redirector(status, location)
    assert send_request(server, request_).status == 200
    first, second = server.got
    assert (first.method, first.content) == (second.method, second.content)
    assert second.url == first.url.join(location)


@BOTH
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location",
    [
        "https://images.example.test/v1/responses",
        "http://images.example.test:81/v1/responses",
        "http://images.example.test.evil.test/v1/responses",
        "//evil.test/v1/responses",
        "http://x@evil.test",
        "http://[",
        "",
    ],
)
def test_redirect_to_another_origin_is_not_followed(
    send_request: SendRequest, status: int, location: str
) -> None:
    """
    Another scheme, host or port, or no address at all: nothing is sent there.
    """
    server = Redirector(status, location, times=9)
    response = send_request(server, POST)
    assert response.status in {status, 307}
    assert {request.url.host for request in server.got} == {"images.example.test"}
    assert {request.url.scheme for request in server.got} == {"http"}
    assert len(server.got) <= 2


@BOTH
@pytest.mark.parametrize("status", [301, 302, 303])
def test_redirect_that_drops_the_body_is_not_followed(
    send_request: SendRequest, status: int
) -> None:
    """
    A redirect that would make a GET of a POST is an answer, not followed.
    """
    server = Redirector(status, "/v2/responses")
    assert send_request(server, POST).status == status
    assert len(server.got) == 1


@BOTH
def test_loop_of_redirects_ends(send_request: SendRequest) -> None:
    """
    A server that redirects for ever gets the request twice.
    """
    server = Redirector(307, "/v1/responses", times=99)
    assert send_request(server, POST).status == 307
    assert len(server.got) == 2


def test_error_names_the_other_origin(tmp_path: Path) -> None:
    """
    A studio whose provider redirects elsewhere says where to, and leaves no request unsettled.
    """
    server = Redirector(308, "https://new.example.test/v1/x?secret=1", times=99)
    http_client = httpx2.Client(transport=httpx2.MockTransport(server))
    client = openai.OpenAI(api_key="x", base_url=f"{ORIGIN}/v1", http_client=http_client)
    with Studio(tmp_path, client=client) as studio:
        with pytest.raises(BadRequestError, match=r"redirects to https://new\.example\.test, and"):
            studio.generate("a teapot")
        assert studio.requests.pending() == ()
    http_client.close()


def test_request_in_a_loop_of_redirects_is_sent_in_no_other_form(tmp_path: Path) -> None:
    """
    A redirect says nothing about what a server can do: a studio sends the paid request to it twice
    at most, not once more without each feature.
    """
    server = Redirector(307, "/v1/responses", times=99)
    http_client = httpx2.Client(transport=httpx2.MockTransport(server))
    client = openai.OpenAI(api_key="x", base_url=f"{ORIGIN}/v1", http_client=http_client)
    with Studio(tmp_path, client=client) as studio, pytest.raises(BadRequestError):
        studio.generate("a teapot")
    http_client.close()
    assert len(server.got) == 2
