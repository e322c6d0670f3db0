"""
Cassettes that pin the requests we send.

They were recorded against the offline provider on loopback. To record them anew:

    IMAGESESSION_RECORD=offline pytest tests/test_wire.py
    IMAGESESSION_RECORD=openai OPENAI_API_KEY=… pytest tests/test_wire.py     # is billed

Only the content type is kept of a request's headers, so no key or cookie is written.
"""

# vcrpy has no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypedDict
from urllib.parse import urlsplit

import vcr
from vcr.record_mode import RecordMode

from imagesession.testing import FakeOpenAI, serve, tiny_image
from tests.bench.server import FixedSketcher

Prepare: TypeAlias = Callable[[FakeOpenAI], object]


class Access(TypedDict):
    """
    The arguments of a client.
    """

    api_key: str
    base_url: str


HOST = "https://api.openai.com/v1"
CASSETTES = Path(__file__).parent / "cassettes"
MODE = os.environ.get("IMAGESESSION_RECORD", "")
SECRET_REPLIES = {"set-cookie", "openai-organization", "openai-project", "x-request-id", "cf-ray"}
# What differs from run to run by design: the turn's own id, and its session's.
OWN_ID = re.compile(r'("(?:imagesession_turn|prompt_cache_key)": ?")[0-9A-Z]{26}"')
BOUNDARY = re.compile(r"boundary=\"?([^\";]+)")


def normal(body: bytes | str | None, content_type: str = "") -> object:
    """
    Return a body in a form in which equivalent bodies are equal. JSON is compared as values,
    without the turn's id; of multipart forms the random boundary is removed.
    """
    raw = body.encode() if isinstance(body, str) else bytes(body or b"")
    boundary = BOUNDARY.search(content_type)
    if boundary:
        return raw.replace(boundary[1].encode(), b"boundary")
    try:
        return json.loads(OWN_ID.sub(r'\1"', raw.decode()))
    except ValueError:
        return raw


class Taped(Protocol):
    """
    The part of vcrpy's untyped requests that is used here.
    """

    body: bytes | str | None
    headers: Mapping[str, str]
    uri: str


def same_body(item: Taped, other: Taped) -> None:
    """
    Compare the JSON or multipart bodies of two requests.
    """
    assert normal(item.body, _kind(item)) == normal(other.body, _kind(other))


def _kind(request: Taped) -> str:
    return request.headers.get("content-type", "")


def _hide_request(request: Taped) -> Taped:
    """
    Record every server as OpenAI, so that cassettes do not depend on a port.
    """
    position = urlsplit(request.uri)
    request.uri = request.uri.replace(f"{position.scheme}://{position.netloc}/v1", HOST)
    # Other headers identify the machine that recorded.
    kept = {"content-type": _kind(request)} if _kind(request) else {}
    request.headers = kept
    return request


def _hide_reply(reply: dict[str, Any]) -> dict[str, Any]:
    headers = {n: v for n, v in reply["headers"].items() if n.lower() not in SECRET_REPLIES}
    return {**reply, "headers": headers}


TAPE: Any = vcr.VCR(
    cassette_library_dir=str(CASSETTES),
    record_mode=RecordMode.ALL if MODE else RecordMode.NONE,
    match_on=["method", "scheme", "host", "port", "path", "query", "same_body"],
    before_record_request=_hide_request,
    before_record_response=_hide_reply,
    decode_compressed_response=True,
)
TAPE.register_matcher("same_body", same_body)


@contextlib.contextmanager
def playing(
    name: str, prepare: Prepare | None = None, *, whole: bool = True
) -> Generator[Access, None, None]:
    """
    Play a cassette, or record it again; yield the arguments for a client.

    Args:
        name: The cassette's name.
        prepare: Called with the provider before recording, for example to set failures.
        whole: Whether every exchange of the cassette must be played.
    """
    with contextlib.ExitStack() as stack:
        access: Access = {
            "api_key": os.environ.get("OPENAI_API_KEY", "sk-played"),
            "base_url": HOST,
        }
        if MODE == "offline":
            provider = FakeOpenAI(sketcher=FixedSketcher(tiny_image(), (1024, 1024)))
            if prepare is not None:
                prepare(provider)
            access["base_url"] = stack.enter_context(serve(provider)).base_url
        cassette = stack.enter_context(TAPE.use_cassette(f"{name}.yaml"))
        yield access
        assert MODE or cassette.all_played or not whole
