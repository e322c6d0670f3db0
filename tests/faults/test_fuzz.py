"""
Damaged input of any kind is read correctly or is one of our errors; nothing hangs, and only images
are stored as images.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar
from xml.etree.ElementTree import ParseError

import httpx2
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagesession import Studio
from imagesession._domain.image_header import parse_header
from imagesession._engine import decoding, outcomes
from imagesession._engine.http import HttpResponse
from imagesession._engine.outcomes import ResponseOutcome
from imagesession._engine.provider_errors import (
    RequestNotProcessedError,
    is_responses_unsupported,
    map_error_response,
)
from imagesession._engine.responses import is_success, parse_response, parse_text_response
from imagesession._engine.retry_after import read_retry_after
from imagesession._engine.streams import StreamAccumulator
from imagesession._fake_openai import sketch
from imagesession._imaging.decode import decode_image
from imagesession._imaging.sniff import sniff_format
from imagesession._imaging.svg_worker import self_contained
from imagesession._store import codec
from imagesession._store.disk.library import DiskLibrary
from imagesession._store.ports import Key
from imagesession._store.records import read_intent
from imagesession.errors import ImageSessionError, InvalidImageError, StorageError
from imagesession.testing import (
    FakeOpenAI,
    FakeRequest,
    FakeResponse,
    FakeTransport,
    Fault,
    tiny_image,
)
from tests import strategies
from tests.bench.server import FixedSketcher
from tests.clock import hurried
from tests.faults.billing import SIZE

T = TypeVar("T")
TYPED = (ImageSessionError, RequestNotProcessedError)
NUMBERS = "[" + "0," * 100_000 + "0]"
MOST = 400  # times as long as it takes to read NUMBERS
PNG = tiny_image(size=SIZE)
BASE64 = base64.b64encode(PNG)
# A partial image is not the one that was paid for.
PARTIAL = base64.b64encode(tiny_image(size=SIZE, colour=(1, 2, 3)))
WRONG: list[Any] = [
    None, True, 0, -1, 10**400, 1e308, math.nan, math.inf, "", "?", "\ud83d", "\0", "A" * 70_000,
    "data:,", "data:image/png;base64,AAAA", [], {}, [[]], [None], {"": {}}, [{"type": "message"}],
    "completed", "failed", "in_progress", "resp_/../..?x#y",
]  # fmt: skip


@pytest.fixture
def examples(pytestconfig: pytest.Config) -> int:
    """
    The number of examples to try.
    """
    return 3000 if pytestconfig.getoption("--faults") else 60


def fuzz(strategy: st.SearchStrategy[T], check: Callable[[T], None], examples: int) -> None:
    """
    Check many examples, each within a multiple of the processor time of a simple calculation.
    """
    most = MOST * min(_processor_seconds(json.loads, NUMBERS) for _ in range(3))

    def check_in_time(value: T) -> None:
        assert _processor_seconds(check, value) < most

    limits = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
    )
    limits(given(strategy)(check_in_time))()


def _processor_seconds(work: Callable[[T], object], value: T) -> float:
    start = time.process_time()
    work(value)
    return time.process_time() - start


# --- damage -----------------------------------------------------------------------------------


@st.composite
def damaged_json(draw: st.DrawFn, value: Any) -> bytes:
    """
    Delete or replace members of a JSON value; sometimes, damage its bytes.
    """
    changed = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 4))):
        places = list(_places(changed))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        if draw(st.booleans()):
            holder[key] = copy.deepcopy(draw(st.sampled_from(WRONG)))
        else:
            del holder[key]
    data = json.dumps(changed).encode()
    return draw(damaged(data)) if draw(st.integers(0, 3)) == 0 else data


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """
    Yield all members of a JSON value: each container and key.
    """
    members: Any = ()
    if isinstance(value, (dict, list)):
        plain: Any = value
        members = plain.items() if isinstance(value, dict) else enumerate(plain)
    for key, member in members:
        yield value, key
        yield from _places(member)


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """
    Change, delete, double or insert bytes, or insert a huge number; mostly near the start, where
    the headers are.
    """
    for _ in range(draw(st.integers(1, 5))):
        far = draw(st.booleans())
        at = draw(st.integers(0, max(0, len(data) - 1 if far else min(len(data) - 1, 120))))
        length = draw(st.sampled_from([0, 1, 1, 4, 40, len(data)]))
        double = data[at : at + length] * 2
        instead = draw(st.binary(max_size=8) | st.sampled_from([double, b"9" * 400]))
        data = data[:at] + instead + data[at + length :]
    return data


def _bytes_of(answer: FakeResponse) -> bytes:
    return b"".join(part for part in answer.parts if isinstance(part, bytes))


def _reply(**members: Any) -> bytes:
    """
    Return the provider's reply to a request.
    """
    provider = FakeOpenAI(sketcher=FixedSketcher(PNG, SIZE))
    body = {
        "model": "gpt-6-luna",
        "input": "a teapot",
        "tools": [{"type": "image_generation", "partial_images": 1}],
        **members,
    }
    headers = {"authorization": "Bearer x", "content-type": "application/json"}
    call = FakeRequest(
        method="POST", path="/responses", headers=headers, body=json.dumps(body).encode()
    )
    return _bytes_of(provider.handle(call))


REPLIES: list[Any] = [
    json.loads(_reply()),
    {"error": {"message": "no", "type": "x", "param": "background", "code": "moderation_blocked",
               "moderation_details": {"moderation_stage": "input", "categories": ["x"]}}},
    {"id": "resp_1", "status": "failed", "error": {"code": "server_error", "message": "no"}},
    {"id": "resp_1", "status": "incomplete", "incomplete_details": {"reason": "x"}, "output": []},
]  # fmt: skip
EVENTS: list[Any] = [
    json.loads(
        line.removeprefix(b"data: ").replace(
            BASE64, PARTIAL if b"partial_image_b64" in line else BASE64
        )
    )
    for line in _reply(stream=True).splitlines()
    if line.startswith(b"data: {")
]
STATUSES = [200, 200, 200, 200, 201, 400, 404, 408, 409, 413, 429, 500, 501, 503, 529, 599]
bodies = st.sampled_from(REPLIES).flatmap(damaged_json)
headers = st.dictionaries(
    st.sampled_from(["retry-after", "retry-after-ms", "content-type", "x-request-id"]),
    st.text(max_size=20) | st.sampled_from(["nan", "inf", "-1", "1e999", "1_0", "٣", "9" * 400]),
)
answers = st.builds(HttpResponse, status=st.sampled_from(STATUSES), headers=headers, body=bodies)
# What was provably not processed may be sent again, or in another form.
REJECTIONS = {400, 404, 413, 429, 501, 503}
IMAGES_REPLY: Any = {
    "created": 1, "size": "1024x1024",
    "data": [{"b64_json": BASE64.decode(), "revised_prompt": "x"}],
    "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
}  # fmt: skip


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """
    Insert damaged events into a stream, the last one too, which then comes early; sometimes, damage
    its bytes.
    """
    whole = [json.dumps(event).encode() for event in EVENTS]
    for _ in range(draw(st.integers(0, 4))):
        event = draw(damaged_json(draw(st.sampled_from(EVENTS))))
        whole.insert(draw(st.integers(0, len(whole))), event)
    data = b"".join(b"data: " + event + b"\n\n" for event in whole)
    return draw(damaged(data)) if draw(st.booleans()) else data


APIS: dict[str, Literal["responses", "images"]] = {
    "plain": "responses", "stream": "responses", "images": "images",
}  # fmt: skip
WAYS = {
    "plain": answers,
    "stream": st.builds(HttpResponse, status=st.sampled_from(STATUSES), headers=headers,
                        body=streams()),
    "images": st.builds(HttpResponse, status=st.sampled_from(STATUSES), headers=headers,
                        body=damaged_json(IMAGES_REPLY) | bodies),
}  # fmt: skip
PICTURES = {
    **{kind: tiny_image(kind, SIZE) for kind in ("png", "jpeg", "webp", "gif")},
    "svg": sketch.render(sketch.start("a red circle", size=SIZE), format="svg"),
}


# --- replies and events -----------------------------------------------------------------------


def check_outcome(outcome: ResponseOutcome) -> None:
    """
    Check the parsed outcome of a reply.
    """
    assert isinstance(outcome.response_id, str | None)
    for picture in outcome.images:
        check_picture(picture.data)


def check_picture(data: bytes) -> None:
    """
    Check that bytes that were taken for an image have the start and the end of one.
    """
    kind = sniff_format(data)
    assert kind in PICTURES, f"{data[:16]!r} is no picture"
    tail = {"png": b"IEND", "jpeg": b"\xff\xd9", "gif": b";", "svg": b"</svg>"}.get(kind, b"")
    assert tail in data


def check_reply(reply: HttpResponse) -> None:
    """
    Parse a reply in all ways.
    """
    for read in (parse_response, parse_text_response):
        with contextlib.suppress(*TYPED):
            check_outcome(read(reply))
    assert isinstance(map_error_response(reply), TYPED)
    assert is_responses_unsupported(reply) in {True, False}
    seconds = read_retry_after(reply)
    assert seconds is None or 0 <= seconds < math.inf


def check_events(events: list[bytes]) -> None:
    """
    Feed events to a stream's accumulator.
    """
    fold = StreamAccumulator()
    for event in events:
        with contextlib.suppress(*TYPED):
            for partial in fold.feed(event):
                check_picture(partial.data)
    if fold.outcome is not None:
        check_outcome(fold.outcome)


def test_damaged_replies(examples: int) -> None:
    """
    Any reply is parsed or is a typed error, whatever its status and headers.
    """
    fuzz(answers, check_reply, examples)


def test_damaged_events(examples: int) -> None:
    """
    Any stream is parsed as far as it is valid, or is a typed error.
    """
    event = st.sampled_from(EVENTS).flatmap(damaged_json)
    whole = st.sampled_from([json.dumps(item).encode() for item in EVENTS])
    fuzz(st.lists(event | whole | st.binary(max_size=9), max_size=8), check_events, examples)


def answering(reply: HttpResponse) -> Callable[[FakeRequest], FakeResponse]:
    """
    Return a function that answers with a reply.
    """
    plain = {
        name: value.encode("ascii", "replace").decode()
        for name, value in reply.headers.items()
        if value.isprintable()
    }

    def instead(_: FakeRequest) -> FakeResponse:
        return FakeResponse(status=reply.status, headers=plain, parts=iter((reply.body,)))

    return instead


def posts(provider: FakeOpenAI) -> int:
    """
    Return how many paid requests were sent.
    """
    return sum(
        call.method == "POST" and call.path in {"/responses", "/images/generations"}
        for call in provider.requests
    )


def check_call(library: Path, way: str, post_reply: HttpResponse, get_reply: HttpResponse) -> None:
    """
    Request an image from a provider with damaged replies, and check what is sent and stored.
    """
    provider = FakeOpenAI(sketcher=FixedSketcher(PNG, SIZE))
    for method, reply in (("POST", post_reply), ("GET", get_reply)):
        path = "/responses*|/images/generations"
        provider.enqueue_fault(Fault(method=method, path=path, response=answering(reply)), times=2)
    folder = Path(tempfile.mkdtemp(dir=library))
    with (
        httpx2.Client(transport=FakeTransport(provider)) as http_client,
        openai.OpenAI(api_key="x", http_client=http_client) as client,
        Studio(folder, client=client, timeout=5, retry_timeout=0, api=APIS[way]) as studio,
    ):
        with contextlib.suppress(ImageSessionError):
            list(studio.stream("a teapot")) if way == "stream" else studio.generate("a teapot")
        assert posts(provider) == 1 or post_reply.status in REJECTIONS
        with contextlib.suppress(ImageSessionError):
            studio.recover(timeout=0)
        for image in studio.images.list():
            check_picture(image.bytes)
        for record in (folder / ".imagesession" / "turns").rglob("*.json"):
            assert codec.read_turn(record.read_bytes(), record.name)
            assert is_of_whole_characters(record.read_bytes())
        if is_success(post_reply) and BASE64 in post_reply.body:
            files = (path for path in folder.rglob("*.*") if path.is_file())
            assert any(holds_picture(path.read_bytes()) for path in files)
    shutil.rmtree(folder)


def is_of_whole_characters(data: bytes) -> bool:
    """
    Tell whether no text in JSON has half a character.
    """
    text = json.dumps(json.loads(data), ensure_ascii=False)
    return text == text.encode("utf-8", "replace").decode("utf-8")


def holds_picture(data: bytes) -> bool:
    """
    Tell whether a file has the picture that was paid for.
    """
    return data == PNG or BASE64 in data


@pytest.mark.parametrize("way", WAYS)
def test_damaged_replies_to_calls(tmp_path: Path, way: str, pytestconfig: pytest.Config) -> None:
    """
    A call that gets a damaged reply, plain, streamed or from the Images API, ends with an image or
    a typed error. It is paid for once, only images are stored, and none that arrived is dropped.
    """
    calls = 3400 if pytestconfig.getoption("--faults") else 20
    memory = Path("/dev/shm")  # noqa: S108 - flushing takes no time there
    with (
        tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder,
        hurried(),
    ):
        both = st.tuples(WAYS[way], answers)
        fuzz(both, lambda pair: check_call(Path(folder), way, *pair), calls)


@pytest.mark.parametrize("way,body", [("plain", REPLIES[0]), ("images", IMAGES_REPLY)])
def test_half_a_character_in_a_reply(tmp_path: Path, way: str, body: Any) -> None:
    """
    Whatever member of a reply has half a character, the record has whole ones.
    """
    for number, (container, name) in enumerate(_places(body)):
        if container[name] != BASE64.decode():
            changed = copy.deepcopy(body)
            place, _ = list(_places(changed))[number]
            place[name] = f"{place[name]}\ud83d" if isinstance(place[name], str) else "\ud83d"
            reply = HttpResponse(status=200, headers={}, body=json.dumps(changed).encode())
            check_call(tmp_path, way, reply, reply)


# --- files ------------------------------------------------------------------------------------


def check_record(data: bytes) -> None:
    """
    Read a record as each kind; a record that can be read can be written.
    """
    with contextlib.suppress(StorageError):
        codec.dump_turn(codec.read_turn(data, "here"))
    with contextlib.suppress(StorageError):
        codec.dump_session(codec.read_session(data, "here"))


def test_damaged_records(examples: int) -> None:
    """
    Any record is read or is a `StorageError`.
    """
    turns = strategies.turns.map(codec.dump_turn)
    sessions = strategies.sessions.map(codec.dump_session)
    damage = (turns | sessions).flatmap(lambda data: damaged_json(json.loads(data)) | damaged(data))
    fuzz(damage, check_record, examples)


def test_damaged_journals(tmp_path: Path, examples: int) -> None:
    """
    Any journal file is read or ignored; a damaged line does not hide the others.
    """
    library, key = DiskLibrary(tmp_path), Key("intent", "0" * 26)
    file = library.layout.journal_file(key.id, None)

    def check(data: bytes) -> None:
        file.write_bytes(data)
        intent = read_intent(library.facts, key)
        assert intent is None or isinstance(intent.response_id, str | None)

    line = strategies.turns.map(lambda turn: {"owner": "x", "turn": codec.turn_to_dict(turn)})
    lines = st.tuples(line.flatmap(damaged_json), damaged_json({"response_id": "r", "owner": None}))
    whole = lines.map(b"\n".join)
    fuzz(whole | whole.flatmap(damaged), check, examples)


# --- images ---------------------------------------------------------------------------------


def check_bytes(data: bytes) -> None:
    """
    Read bytes as an image in all ways.
    """
    facts = parse_header(data)
    if facts is not None:
        assert min(facts.width, facts.height) >= 0
        check_picture(data)
    with contextlib.suppress(InvalidImageError):
        assert decode_image(data, "it").size > (0, 0)
    # These errors tell the worker that the document cannot be drawn.
    with contextlib.suppress(ParseError, ValueError, LookupError, TypeError):
        assert self_contained(data).tag.endswith("svg")


@pytest.mark.parametrize("kind", PICTURES)
def test_damaged_pictures(kind: str, examples: int) -> None:
    """
    Any image's header is parsed or not, and its pixels are decoded or there is a typed error.
    """
    fuzz(damaged(PICTURES[kind]), check_bytes, examples)


@pytest.mark.parametrize("where", ["width", "height", "viewBox"])
def test_svg_with_a_huge_size_is_refused(where: str) -> None:
    """
    A size that is too large for a float is not accepted.
    """
    size = b"9" * 400
    value = b"0 0 %b %b" % (size, size) if where == "viewBox" else size
    check_bytes(b'<svg xmlns="http://www.w3.org/2000/svg" %b="%b"></svg>' % (where.encode(), value))


# --- broken twins -----------------------------------------------------------------------------


def test_unchecked_bytes_are_caught(monkeypatch: pytest.MonkeyPatch, examples: int) -> None:
    """
    The check works: a broken twin that takes bytes for an image without checking is caught.
    """
    facts = parse_header(PNG)
    monkeypatch.setattr(decoding, "parse_header", lambda _: facts)  # pyright: ignore[reportUnknownArgumentType, reportUnknownLambdaType] - it takes anything
    damaged_reply = copy.deepcopy(REPLIES[0])
    for item in damaged_reply["output"]:
        if "result" in item:
            item["result"] = "AAAA"
    reply = HttpResponse(status=200, body=json.dumps(damaged_reply).encode())
    with pytest.raises(AssertionError, match="is no picture"):
        fuzz(st.just(reply), check_reply, examples)


def test_untyped_error_is_caught(monkeypatch: pytest.MonkeyPatch, examples: int) -> None:
    """
    The check works: a broken twin that trusts the types of members is caught.
    """

    def trust(value: Any) -> Any:
        return value.strip()

    monkeypatch.setattr(outcomes, "as_text", trust)
    with pytest.raises((AttributeError, ExceptionGroup), match=r"strip|distinct failures"):
        fuzz(answers, check_reply, examples)
