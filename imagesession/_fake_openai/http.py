"""
Requests, responses, and the parts of a response's body.

The provider never waits and never touches a socket: a `Delay` among the parts tells the transport
to wait.
"""

import contextlib
import functools
import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeAlias, cast
from urllib.parse import parse_qsl, unquote

import attrs
import jiter

Json: TypeAlias = dict[str, Any]

JSON_HEADERS = {"content-type": "application/json"}
EVENT_HEADERS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}

# Random, so that no request can contain it.
_PLACEHOLDER = secrets.token_hex(16)


@attrs.frozen
class Delay:
    """
    Tell the transport to wait before it sends the next part.
    """

    seconds: float


@attrs.frozen
class ConnectionReset:
    """
    Tell the transport to reset the connection here.
    """


Part: TypeAlias = bytes | Delay | ConnectionReset


@attrs.frozen(kw_only=True)
class FakeRequest:
    """
    One HTTP request.

    Attributes:
        method: In capitals.
        path: With a leading slash, without `/v1`.
        query: The last value of each name.
        headers: Names in lower case.
        body: As received.

    """

    method: str
    path: str
    query: Mapping[str, str] = attrs.field(factory=dict[str, str])
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    body: bytes = attrs.field(default=b"", repr=False)

    @functools.cached_property
    def json(self) -> Any:  # noqa: ANN401 - JSON is any
        """
        The body as JSON, parsed once; ValueError if it is not JSON.
        """
        # Caching strings costs time and memory if they are images.
        return jiter.from_json(self.body, cache_mode="keys")

    @property
    def is_form(self) -> bool:
        """
        Whether the body is a `multipart/form-data` form.
        """
        return self.headers.get("content-type", "").startswith("multipart/")

    @property
    def members(self) -> Json:
        """
        The members of the body; none if it is not a JSON object.
        """
        with contextlib.suppress(ValueError):
            body: object = self.json
            return cast("Json", body) if isinstance(body, dict) else {}
        return {}

    @classmethod
    def read(
        cls, method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> "FakeRequest":
        """
        Read a request from its line, which has path and query, its headers and its body.
        """
        path, _, query = target.partition("?")
        path = "/" + unquote(path).strip("/")
        if path == "/v1" or path.startswith("/v1/"):
            path = path.removeprefix("/v1") or "/"
        return cls(
            method=method.upper(),
            path=path,
            query=dict(parse_qsl(query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in headers},
            body=body,
        )


@attrs.frozen(kw_only=True)
class FakeResponse:
    """
    A status, headers, and the parts of a body, which may be made lazily.

    Attributes:
        piecemeal: Whether the parts of a plain body are sent one by one, too. Otherwise all are
            made before the first byte is sent.

    """

    status: int = 200
    headers: Mapping[str, str]
    parts: Iterator[Part] = attrs.field(repr=False)
    piecemeal: bool = False

    @property
    def streams(self) -> bool:
        """
        Whether the parts are sent one by one.
        """
        kind = self.headers.get("content-type", "")
        return self.piecemeal or kind.startswith("text/event-stream")

    def close(self) -> None:
        """
        Discard the remaining parts.
        """
        close: Callable[[], None] | None = getattr(self.parts, "close", None)
        if close is not None:
            close()


def dump(value: Json) -> bytes:
    """
    Encode a value as compact JSON; bytes in it are base64 text and inserted unchanged.

    The json module would take 12 ms to look through 4 MB of base64 for characters to escape.
    """
    images: list[bytes] = []

    def placeholder(image: bytes) -> str:
        images.append(image)
        return _PLACEHOLDER

    text = json.dumps(value, separators=(",", ":"), default=placeholder).encode("ascii")
    if not images:
        return text
    first, *others = text.split(_PLACEHOLDER.encode("ascii"))
    pairs = zip(images, others, strict=True)
    return b"".join((first, *(piece for pair in pairs for piece in pair)))


def json_response(value: Json, *, status: int = 200) -> FakeResponse:
    return FakeResponse(status=status, headers=JSON_HEADERS, parts=iter((dump(value),)))


def list_response(items: list[Json], *, has_more: bool = False) -> FakeResponse:
    return json_response(
        {
            "object": "list",
            "data": items,
            "first_id": items[0]["id"] if items else None,
            "last_id": items[-1]["id"] if items else None,
            "has_more": has_more,
        }
    )


class Settings(Protocol):
    """
    The attributes of a `FakeOpenAI` that endpoints read for each request; documented there.
    """

    clock: Callable[[], float]
    seed: int
    latency: float
    images_per_reply: int
    retrieve_includes_image: bool
    conversation_items_include_image: bool
    poor_terminal_event: bool
    context_tokens: int | None


class Provider(Protocol):
    """
    What transports and the server need of a provider.
    """

    def handle(self, call: FakeRequest) -> FakeResponse: ...
