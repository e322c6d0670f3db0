"""
Clients for the fake provider's tests: always the real openai client.
"""

import base64
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest
from PIL import Image

from imagesession.testing import FakeOpenAI, FakeTransport, ImagesServer

Json = dict[str, Any]


class Talk:
    """
    A real client whose responses are read as plain JSON.
    """

    def __init__(self, client: openai.OpenAI) -> None:
        self.client = client

    def make(
        self, prompt: object = "a red kite", *, tool: Json | None = None, **body: object
    ) -> Json:
        """
        Create a response with the image tool.
        """
        return self.post(self.body(prompt, tool, body))

    def refused(
        self, prompt: object = "a red kite", *, tool: Json | None = None, **body: object
    ) -> tuple[int, Json]:
        """
        Create a response that is rejected; return the status and the error object.
        """
        with pytest.raises(openai.APIStatusError) as caught:
            self.post(self.body(prompt, tool, body))
        return caught.value.status_code, caught.value.response.json()["error"]

    def events(
        self, prompt: object = "a red kite", *, tool: Json | None = None, **body: object
    ) -> list[Json]:
        """
        Create a response as a stream; return its events.
        """
        body = self.body(prompt, tool, {"stream": True, **body})
        answer = self.client.post("/responses", body=body, cast_to=httpx2.Response)
        return self.unframe(answer)

    def resume(self, response_id: str, **query: object) -> list[Json]:
        """
        Resume a stream; return its events.
        """
        return self.unframe(
            self.client.get(
                f"/responses/{response_id}",
                options={"params": {"stream": "true", **query}},
                cast_to=httpx2.Response,
            )
        )

    def body(self, prompt: object, tool: Json | None, more: Json) -> Json:
        """
        Build a request.
        """
        tools = [{"type": "image_generation", **(tool or {})}]
        return {"model": "gpt-5.4", "input": prompt, "tools": tools, **more}

    def post(self, body: Json, path: str = "/responses") -> Json:
        """
        Post JSON.
        """
        answer: Json = self.client.post(path, body=body, cast_to=httpx2.Response).json()
        return answer

    def get(self, path: str) -> Json:
        """
        Get JSON.
        """
        answer: Json = self.client.get(path, cast_to=httpx2.Response).json()
        return answer

    @staticmethod
    def unframe(answer: httpx2.Response) -> list[Json]:
        """
        Parse the events of a stream, and check that each frame names its event.
        """
        events: list[Json] = []
        for block in answer.text.split("\n\n")[:-1]:
            head, data = block.split("\n")
            event = json.loads(data.removeprefix("data: "))
            assert head == f"event: {event['type']}"
            events.append(event)
        return events

    @staticmethod
    def pictures(response: Json) -> list[Json]:
        """
        Return the image items.
        """
        return [item for item in response["output"] if item["type"] == "image_generation_call"]

    @classmethod
    def picture(cls, response: Json) -> Image.Image:
        """
        Open the first image.
        """
        return Image.open(io.BytesIO(cls.pixels(response)))

    @classmethod
    def pixels(cls, response: Json) -> bytes:
        """
        Decode the first image.
        """
        return base64.b64decode(cls.pictures(response)[0]["result"])

    @staticmethod
    def url(data: bytes, kind: str = "png") -> str:
        """
        Return an image as a data URL.
        """
        return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"

    @classmethod
    def message(cls, text: str, *images: bytes, role: str = "user") -> Json:
        """
        Build a message with images.
        """
        shown = [{"type": "input_image", "image_url": cls.url(image)} for image in images]
        return {"role": role, "content": [{"type": "input_text", "text": text}, *shown]}


@pytest.fixture
def anyio_backend() -> str:
    """
    Run async tests on asyncio.
    """
    return "asyncio"


@pytest.fixture
def connect() -> Iterator[Callable[[FakeOpenAI], Talk]]:
    """
    Return a function that connects to any provider in-process.
    """
    clients: list[openai.OpenAI] = []

    def to(provider: FakeOpenAI) -> Talk:
        http = httpx2.Client(transport=FakeTransport(provider))
        client = openai.OpenAI(api_key="offline", http_client=http, max_retries=0)
        clients.append(client)
        return Talk(client)

    yield to
    for client in clients:
        client.close()


@pytest.fixture
def talk(provider: FakeOpenAI, connect: Callable[[FakeOpenAI], Talk]) -> Talk:
    """
    Connect to the provider in-process.
    """
    return connect(provider)


@pytest.fixture
def loopback(openai_images_server: ImagesServer) -> Iterator[Talk]:
    """
    Connect to the provider over a loopback port, which the client finds from the environment.
    """
    with openai.OpenAI(max_retries=0) as client:
        assert str(client.base_url).rstrip("/") == openai_images_server.base_url
        yield Talk(client)
