"""
The wire of a live check: requests as they are, and a purse that stops them at a sum.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Literal

import attrs
import httpx2
import openai

from imagesession._domain.cost import cost_of
from imagesession._domain.model_catalog import load_catalogue
from imagesession._domain.token_counts import Usage
from imagesession._engine.coerce import Json, as_list, as_mapping

# More than a low image of 1024x1024 was ever estimated to cost with the default models.
MOST_PER_IMAGE = 0.08
_CATALOGUE = load_catalogue()


class PurseEmptyError(Exception):
    """
    The next image could exceed the sum that the checks may cost.
    """


@attrs.define
class Purse:
    """
    What the checks may spend, in US dollars.

    Attributes:
        limit: The most that all checks may cost.
        spent: What they have cost so far.
    """

    limit: float
    spent: float = 0.0

    def require(self, images: int = 1) -> None:
        """
        Raise an error unless there is enough left for images.
        """
        if self.spent + images * MOST_PER_IMAGE > self.limit:
            raise PurseEmptyError(
                f"${self.spent:.4f} of ${self.limit:.2f} is spent; {images} more could exceed it."
            )


@attrs.frozen(kw_only=True)
class Reply:
    """
    A reply of the service.

    Attributes:
        status: The HTTP status.
        headers: The headers, by their names in lower case.
        body: The JSON body; of a stream the response in its last event.
        events: The types of a stream's events, each once, in order.
    """

    status: int
    headers: Mapping[str, str]
    body: Json
    events: tuple[str, ...] = ()

    @property
    def output(self) -> list[Json]:
        """
        The output items of a response.
        """
        return [as_mapping(item) for item in as_list(self.body.get("output"))]

    def item(self, kind: str) -> Json:
        """
        Return the first output item of a type; empty if there is none.
        """
        return next((item for item in self.output if item.get("type") == kind), as_mapping(None))

    def __str__(self) -> str:
        error = self.body.get("error")
        return f"HTTP {self.status}" + (f" {json.dumps(error)}" if error else "")


@attrs.define
class Wire:
    """
    Sends requests with a client that never retries.

    Attributes:
        client: The client.
        purse: What may be spent.
        limited: All replies with status 429.
    """

    client: openai.OpenAI
    purse: Purse
    limited: list[Reply] = attrs.field(factory=list[Reply])

    def send(
        self, method: Literal["GET", "POST", "DELETE"], path: str, body: Json | None = None
    ) -> Reply:
        """
        Send a free request; every HTTP answer is returned.
        """
        try:
            if method == "POST":
                answer = self.client.post(path, cast_to=httpx2.Response, body=body)
            elif method == "DELETE":
                answer = self.client.delete(path, cast_to=httpx2.Response)
            else:
                answer = self.client.get(path, cast_to=httpx2.Response)
        except openai.APIStatusError as error:
            answer = error.response
        reply = _read(answer)
        if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
            self.limited.append(reply)
        return reply

    def draw(self, prompt: str, *, tool: Json | None = None, **more: Any) -> Reply:
        """
        Request a low image, if the purse allows it, and count what it cost.
        """
        self.purse.require()
        image_tool = {"type": "image_generation", "size": "1024x1024", "quality": "low"}
        body: Json = {
            "model": _CATALOGUE.mainline,
            "input": [{"role": "user", "content": [{"type": "input_text", "text": prompt}]}],
            "tools": [{**image_tool, **(tool or {})}],
            "tool_choice": {"type": "image_generation"},
            **more,
        }
        try:
            reply = self.send("POST", "/responses", body)
        except openai.APIConnectionError:
            self.purse.spent += MOST_PER_IMAGE  # it may have been billed
            raise
        self.purse.spent += _cost(reply)
        return reply


def _read(answer: httpx2.Response) -> Reply:
    text = answer.read().decode("utf-8", "replace")
    data = [line[6:] for line in text.splitlines() if line.startswith("data: {")]
    if not data:
        return Reply(status=answer.status_code, headers=answer.headers, body=_as_json(text))
    events = [_as_json(line) for line in data]
    bodies = [response for event in events if (response := as_mapping(event.get("response")))]
    kinds = dict.fromkeys(str(event.get("type")) for event in events)
    return Reply(
        status=answer.status_code,
        headers=answer.headers,
        body=bodies[-1] if bodies else events[-1],
        events=tuple(kinds),
    )


def _as_json(text: str) -> Json:
    try:
        return as_mapping(json.loads(text))
    except ValueError:
        return {"text": text[:300]}


def _cost(reply: Reply) -> float:
    """
    Return what a reply cost in US dollars; the most that it could, if its usage is not reported.
    """
    if reply.status >= HTTPStatus.BAD_REQUEST:
        return 0.0
    image = as_mapping(as_mapping(reply.body.get("tool_usage")).get("image_gen"))
    cost = cost_of(
        Usage(mainline=dict(as_mapping(reply.body.get("usage"))), image=dict(image)),
        mainline=_CATALOGUE.mainline,
        image=_CATALOGUE.image,
        catalogue=_CATALOGUE,
    )
    return MOST_PER_IMAGE if cost.total is None else cost.total
