"""
The provider compared with recorded exchanges of the real service. Each field of a recorded response
is in ours, with the same type; events have the same order. The recordings are not part of the
project: without their folder these tests are skipped.
"""

import base64
import gzip
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from imagesession.testing import FakeOpenAI, FakeTransport

if TYPE_CHECKING:
    from tests.fake_openai.conftest import Talk

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("IMAGESESSION_RECORDINGS", ROOT / ".." / "shared" / "recordings"))

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(),
    reason="no recorded exchanges here: set IMAGESESSION_RECORDINGS to their folder",
)

Json = dict[str, Any]

# Fields that only Azure sends.
FOREIGN = {"content_filters"}
# Null in recordings up to February 2026, filled in later ones.
LATELY_FILLED = {"prompt_cache_retention"}
# Calls of tools that the user brings: the provider ignores such tools and draws at once.
NOT_OURS = {"function_call"}


def _load(name: str) -> Json:
    path = FOLDER / name
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    recording: Json = json.loads(data)
    return recording


def _names(pattern: str) -> list[str]:
    return sorted(path.name for path in FOLDER.glob(pattern)) if FOLDER.is_dir() else []


def _differences(
    recorded: Any,
    ours: Any,
    where: str = "",
) -> Iterator[str]:
    """
    Name every field that ours lacks or has with another type.
    """
    if _kind(recorded) != _kind(ours):
        yield f"{where}: {_kind(ours)} instead of {_kind(recorded)}"
    elif _kind(recorded) == "dict":
        yield from _differing_fields(recorded, ours, where)
    elif _kind(recorded) == "list":
        yield from _differing_items(recorded, ours, where)


def _differing_fields(recorded: Json, ours: Json, where: str) -> Iterator[str]:
    for key, value in recorded.items():
        if key in LATELY_FILLED and value is None:
            continue
        if key in ours:
            yield from _differences(value, ours[key], f"{where}.{key}")
        elif key not in FOREIGN:
            yield f"{where}.{key}: missing"


def _differing_items(recorded: list[Any], ours: list[Any], where: str) -> Iterator[str]:
    for item in recorded:
        kind = _label(item)
        if kind in NOT_OURS:
            continue
        alike = [each for each in ours if _label(each) == kind]
        if alike:
            yield from _differences(item, alike[0], f"{where}[{kind}]")
        else:
            yield f"{where}[{kind}]: missing"


def _label(item: Any) -> str | None:
    label: str | None = item.get("type") if _kind(item) == "dict" else None
    return label


def _kind(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return type(value).__name__
    return "number" if isinstance(value, int | float) else type(value).__name__


def _replay(client: httpx2.Client, recording: Json, ids: dict[str, str]) -> httpx2.Response:
    """
    Send a recorded request, with the ids that ours gave in place of the recorded ones.
    """
    request = recording["request"]
    target = re.sub(r"^https://[^/]+", "", request["url"])
    text = request.get("text") or ""
    for old, new in ids.items():
        target, text = target.replace(old, new), text.replace(old, new)
    return client.request(
        request["method"],
        f"http://offline{target}",
        content=text,
        headers={"content-type": "application/json", "authorization": "Bearer sk-test"},
    )


@pytest.mark.parametrize(
    "pattern",
    [
        "pydantic-ai-test-background-mode-vcr-*",
        "pydantic-ai-test-openai-conversation-id-explicit-and-auto-*",
        "pydantic-ai-test-openai-responses-image-generation-jpeg-*",
        "pydantic-ai-test-openai-responses-image-generation-with-tools-*",
        "ruby-openai-responses-create-with-followup-*",
    ],
)
def test_recorded_exchanges(pattern: str) -> None:
    """
    Recorded requests, sent in order, get responses with every field of the recorded ones.
    """
    now = [0.0]
    provider = FakeOpenAI(latency=0.001, clock=lambda: now[0])
    names = _names(pattern)
    assert names
    ids: dict[str, str] = {}
    with httpx2.Client(transport=FakeTransport(provider)) as client:
        for name in names:
            recording = _load(name)
            recorded = json.loads(recording["response"]["text"])
            if recorded.get("status") == "completed":
                now[0] += 1
            answer = _replay(client, recording, ids)
            ours = answer.json()
            ids[recorded["id"]] = ours["id"]
            assert recording["response"]["status"] == answer.status_code
            assert recorded.get("status") == ours.get("status")
            assert list(_differences(recorded, ours)) == []
            headers = set(recording["response"]["headers"]) - {"x-request-id"}
            assert headers <= set(answer.headers)


def test_recorded_response_with_an_image(talk: "Talk") -> None:
    """
    A published response without its request: ours to a similar request has its fields.
    """
    recorded = json.loads(_load("ai-openai-image-generation-tool-1-0.json")["response"]["text"])
    tool = {"output_format": "webp", "quality": "low", "size": "1024x1024"}
    ours = talk.make(model="gpt-5-nano", tool=tool)

    assert list(_differences(recorded, ours)) == []
    assert recorded["tools"] == ours["tools"]
    assert recorded["model"] == ours["model"]


@pytest.mark.parametrize(
    "name,model,tool,unsent",
    [
        (
            "ai-openai-image-generation-tool-1-chunks-0.json",
            "gpt-5",
            {"output_format": "webp", "quality": "low", "partial_images": 1},
            set[str](),
        ),
        (
            # Azure leaves one event out; the image model it used has been shut down.
            "ai-azure-image-generation-tool-1-chunks-0.json",
            "gpt-4.1-mini",
            {"model": "gpt-image-1.5", "quality": "medium", "partial_images": 1},
            {"response.image_generation_call.completed"},
        ),
    ],
)
def test_recorded_streams(
    talk: "Talk", name: str, model: str, tool: Json, unsent: set[str]
) -> None:
    """
    Events have the recorded order, numbers and fields.
    """
    lines = _load(name)["response"]["text"].splitlines()
    # How many words the model says, if any, is its own affair.
    spoken = "response.output_text.delta"
    recorded = [event for event in map(json.loads, lines) if event["type"] != spoken]
    ours = [event for event in talk.events(model=model, tool=tool) if event["type"] not in unsent]

    assert [event["type"] for event in recorded] == [event["type"] for event in ours]
    differences = [
        f"{theirs['type']}{difference}"
        for theirs, mine in zip(recorded, ours, strict=True)
        for difference in _differences(theirs, mine)
    ]
    assert differences == []


def test_recorded_text_events(talk: "Talk") -> None:
    """
    Events with text have the recorded fields.
    """
    name = "ai-azure-image-generation-tool-1-chunks-0.json"
    events = [json.loads(line) for line in _load(name)["response"]["text"].splitlines()]
    kind = "response.output_text.delta"
    recorded = next(event for event in events if event["type"] == kind)
    ours = next(event for event in talk.events(tools=[]) if event["type"] == kind)

    assert list(_differences(recorded, ours)) == []


def test_recorded_wrong_key() -> None:
    """
    A wrong key gets the recorded status, content type and body.
    """
    recording = _load("rig-auth-rejection-carries-identity-0.json")
    transport = FakeTransport(FakeOpenAI(api_key="sk-other"))
    with httpx2.Client(transport=transport) as client:
        answer = _replay(client, recording, {})

    recorded = json.loads(recording["response"]["text"])
    assert recording["response"]["status"] == answer.status_code
    assert answer.headers["content-type"].startswith("text/plain")
    assert list(_differences(recorded, answer.json())) == []
    assert recorded["error"]["code"] == answer.json()["error"]["code"]
    assert recorded["status"] == answer.json()["status"]


def _content(request: Json) -> bytes:
    encoded = request.get("base64")
    return base64.b64decode(encoded) if encoded else (request.get("text") or "").encode()


def _replay_images(name: str, replaced: dict[bytes, bytes]) -> tuple[Json, httpx2.Response]:
    """
    Send a recorded request to the Images API, and give its recorded response and our answer.
    """
    recording = _load(name)
    request = recording["request"]
    content = _content(request)
    for old, new in replaced.items():
        content = content.replace(old, new)
    with httpx2.Client(transport=FakeTransport(FakeOpenAI())) as client:
        answer = client.request(
            request["method"],
            "http://offline/v1/images/" + request["url"].rpartition("/")[2],
            content=content,
            headers={
                "content-type": request["headers"]["content-type"],
                "authorization": "Bearer sk-test",
            },
        )
    return recording["response"], answer


@pytest.mark.parametrize(
    "name", _names("rig-*is-rejected*") + _names("rig-*size*") + _names("rig-caller*")
)
def test_recorded_image_errors(name: str) -> None:
    """
    Requests that the Images API rejected in a recording get the same error.
    """
    recorded, answer = _replay_images(name, {})

    assert (recorded["status"], json.loads(recorded["text"])) == (
        answer.status_code,
        answer.json(),
    )
    assert answer.headers["content-type"] == recorded["headers"]["content-type"]


@pytest.mark.parametrize("name", _names("ruby_llm*edit*image*.gz"))
def test_recorded_edits(name: str) -> None:
    """
    Recorded edits, as a form and as JSON, get responses with every field of the recorded ones.
    """
    # The form's model has been shut down.
    recorded, answer = _replay_images(name, {b"gpt-image-1\r": b"gpt-image-1.5\r"})
    theirs, ours = json.loads(recorded["text"]), answer.json()

    assert recorded["status"] == answer.status_code
    assert list(_differences(theirs, ours)) == []
    for key in ("background", "output_format", "size"):
        assert theirs[key] == ours[key]
    assert set(recorded["headers"]) <= set(answer.headers)


def test_recorded_url_error() -> None:
    """
    An image URL that cannot be downloaded is rejected with the recorded type, param and code.
    """
    (name,) = _names("ruby_llm*rejects-edits*")
    recorded, answer = _replay_images(name, {})
    theirs, ours = json.loads(recorded["text"])["error"], answer.json()["error"]

    assert recorded["status"] == answer.status_code
    assert {**theirs, "message": ""} == {**ours, "message": ""}
    assert ours["message"].startswith("Error while downloading")


# Which of our requests bring about a reported error, by its message.
REPORTED: dict[str, Json] = {
    "Invalid size '512x512'": {"tool": {"size": "512x512"}},
    "does not support the 'input_fidelity'": {
        "tool": {"model": "gpt-image-2", "input_fidelity": "high"}
    },
    "Transparent background is not supported": {
        "tool": {"background": "transparent", "output_format": "jpeg"}
    },
}


@pytest.mark.parametrize("words", REPORTED)
def test_reported_errors(talk: "Talk", words: str) -> None:
    """
    Errors that users reported have the same status, message and code here.
    """
    bodies: list[Json] = json.loads((FOLDER / "error_bodies.json").read_text("utf-8"))
    reported = next(body for body in bodies if words in body.get("error", {}).get("message", ""))
    status, ours = talk.refused(**REPORTED[words])

    theirs = reported["error"]
    assert (reported["status"], theirs["message"]) == (status, ours["message"])
    assert theirs.get("code", ours["code"]) == ours["code"]
    assert theirs.get("type", ours["type"]) == ours["type"]


def test_reported_unstored_item(talk: "Talk") -> None:
    """
    An item of a response that was not stored is rejected as reported, except for its id.
    """
    bodies: list[Json] = json.loads((FOLDER / "error_bodies.json").read_text("utf-8"))
    words = "Items are not persisted"
    reported = next(body for body in bodies if words in body.get("error", {}).get("message", ""))
    item_id = talk.pictures(talk.make(store=False))[0]["id"]
    status, ours = talk.refused([{"type": "image_generation_call", "id": item_id}])

    message = reported["error"]["message"].replace("ig_xxx", item_id)
    assert (reported["status"], message) == (status, ours["message"])


def test_reported_moderation(talk: "Talk", provider: FakeOpenAI) -> None:
    """
    A blocked request is answered as reported, except for the id in its message.
    """
    bodies: list[Json] = json.loads((FOLDER / "error_bodies.json").read_text("utf-8"))
    theirs = next(
        body["error"] for body in bodies if "[sexual]" in body.get("error", {}).get("message", "")
    )
    provider.moderate_next()
    status, ours = talk.refused()

    def bare(error: Json) -> Json:
        return {**error, "message": re.sub(r"[0-9a-f-]{36}", "ID", error["message"])}

    assert (400, bare(theirs)) == (status, bare(ours))
