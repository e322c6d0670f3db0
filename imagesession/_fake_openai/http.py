"""
What goes over the wire: a call, its answer, and the parts an answer comes in.

The provider never waits and never touches a socket.
It says when to wait, by a `Pause` among the parts, and a transport does the waiting.
"""

import functools
import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote

import attrs
import jiter

Json: TypeAlias = dict[str, Any]

# Nobody can send this by chance or on purpose.
_STAND_IN = secrets.token_hex(16)


@attrs.frozen
class Delay:
    """
    Ask the transport to wait before it sends what follows.
    """

    seconds: float


@attrs.frozen
class ConnectionReset:
    """
    Ask the transport to break the connection here, as a network does.
    """


Part: TypeAlias = bytes | Delay | ConnectionReset


@attrs.frozen(kw_only=True)
class FakeRequest:
    """
    Hold one request, read off the wire.

    Attributes:
        method: In capitals.
        path: Starts with a slash; a leading `/v1` is gone.
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
        Parse the body, once; ValueError where it is not JSON.
        """
        # Caching strings costs time and memory where they are pictures.
        return jiter.from_json(self.body, cache_mode="keys")

    @classmethod
    def read(
        cls, method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> "FakeRequest":
        """
        Read a request from its line, headers and body.

        Args:
            method: GET, POST and so on.
            target: Path and query, as in the request line.
            headers: Names and values, in any case.
            body: The whole body.

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
    Hold a status, headers, and the parts of a body that may still have to be made.

    Attributes:
        piecemeal: Whether the parts of a plain body arrive one after another too, behind the
            headers. Otherwise all are made before the first byte goes out.

    """

    status: int = 200
    headers: Mapping[str, str]
    parts: Iterator[Part] = attrs.field(repr=False)
    piecemeal: bool = False

    @property
    def streams(self) -> bool:
        """
        Tell whether the parts are meant to arrive one after another.
        """
        kind = self.headers.get("content-type", "")
        return self.piecemeal or kind.startswith("text/event-stream")

    def close(self) -> None:
        """
        Let go of what is still to come.
        """
        close: Callable[[], None] | None = getattr(self.parts, "close", None)
        if close is not None:
            close()


def dump(value: Json) -> bytes:
    """
    Encode a value as compact JSON; bytes in it are base64 text, and go in as they are.

    Looking through four megabytes of base64 for characters to escape would take json 12 ms.
    """
    pictures: list[bytes] = []

    def stand_in(picture: bytes) -> str:
        pictures.append(picture)
        return _STAND_IN

    text = json.dumps(value, separators=(",", ":"), default=stand_in).encode("ascii")
    if not pictures:
        return text
    first, *others = text.split(_STAND_IN.encode("ascii"))
    pairs = zip(pictures, others, strict=True)
    return b"".join((first, *(piece for pair in pairs for piece in pair)))


def json_response(
    value: Json, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> FakeResponse:
    """
    Answer with a JSON body that is known at once.
    """
    return FakeResponse(
        status=status,
        headers={"content-type": "application/json", **(headers or {})},
        parts=iter((dump(value),)),
    )
