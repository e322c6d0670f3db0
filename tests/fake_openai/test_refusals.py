"""
Requests that the API would reject, and the error bodies.
"""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._domain.model_catalog import SizeRule
from imagesession._fake_openai import errors
from imagesession._fake_openai.errors import RefusalError
from imagesession._fake_openai.image_tool import frame_size, read_tool
from imagesession._fake_openai.json_reader import JsonNode
from imagesession._fake_openai.scripting import FEATURES
from imagesession.testing import FakeOpenAI, FakeRequest, FakeTransport

if TYPE_CHECKING:
    from tests.fake_openai.conftest import Talk


@pytest.mark.parametrize(
    "tool,code,where,words",
    [
        ({"size": "512x512"}, "invalid_value", "size", "minimum pixel budget"),
        ({"size": "1000x1000"}, "invalid_value", "size", "divisible by 16"),
        ({"size": "3840x2176"}, "invalid_value", "size", "maximum pixel budget"),
        ({"size": "3856x1024"}, "invalid_value", "size", "longest edge"),
        ({"size": "2048x512"}, "invalid_value", "size", "aspect ratio"),
        ({"size": "big"}, "invalid_value", "size", "WIDTHxHEIGHT"),
        ({"size": "832x832", "model": "gpt-image-1.5"}, "invalid_value", "size", "Supported"),
        ({"quality": "best"}, "invalid_value", "quality", "'low'"),
        ({"quality": "max", "model": "gpt-image-2"}, "invalid_value", "quality", "'high'"),
        (
            {"background": "red"},
            "invalid_value",
            "background",
            "Supported values are: 'transparent', 'opaque', and 'auto'.",
        ),
        ({"output_format": "bmp"}, "invalid_value", "output_format", "'webp'"),
        ({"output_compression": 101}, "integer_above_max_value", "output_compression", "<= 100"),
        ({"output_compression": 50}, "invalid_value", "output_compression", "PNG"),
        ({"moderation": "none"}, "invalid_value", "moderation", "'low'"),
        ({"partial_images": 4}, "integer_above_max_value", "partial_images", "<= 3, but got 4"),
        ({"partial_images": -1}, "integer_below_min_value", "partial_images", ">= 0"),
        ({"partial_images": "1"}, "invalid_type", "partial_images", "an integer, but got a string"),
        ({"action": "paint"}, "invalid_value", "action", "'edit'"),
        ({"complexity": "x"}, "invalid_value", "complexity", "'medium'"),
        ({"model": "gpt-image-9"}, "invalid_value", "model", "does not exist"),
        ({"model": "gpt-image-1"}, "invalid_value", "model", "does not exist"),
        (
            {"input_fidelity": "high"},
            "invalid_input_fidelity_model",
            "input_fidelity",
            "does not support the 'input_fidelity' parameter",
        ),
        (
            {"input_fidelity": "high", "model": "gpt-image-1-mini"},
            "invalid_value",
            "input_fidelity",
            "'low'",
        ),
        (
            {"background": "transparent", "output_format": "jpeg"},
            "invalid_value",
            "background",
            "Transparent background is not supported for JPEG output format",
        ),
        ({"frame_count": 9}, "invalid_value", "frame_count", "GIF"),
        ({"frame_duration_ms": 90}, "invalid_value", "frame_duration_ms", "GIF"),
        ({"svg": {"model": "gpt-5"}}, "invalid_value", "svg", "SVG"),
        ({"output_format": "gif", "partial_images": 1}, "invalid_value", "partial_images", "GIF"),
        ({"output_format": "gif", "size": "1024x1024"}, "invalid_value", "size", "9 frames"),
        ({"output_format": "gif", "frame_count": 17}, "integer_above_max_value", "frame_count", ""),
        (
            {"output_format": "gif", "input_image_mask": {"file_id": "x"}},
            "invalid_value",
            "input_image_mask",
            "GIF",
        ),
        (
            {"output_format": "svg", "model": "gpt-image-1.5"},
            "invalid_value",
            "output_format",
            "newer model",
        ),
        ({"style": "vivid"}, "unknown_parameter", "style", "Unknown parameter: 'tools[0].style'."),
    ],
)
def test_tool_is_checked(
    talk: "Talk", tool: dict[str, Any], code: str, where: str, words: str
) -> None:
    """
    The tool's parameters are rejected as in the API: code, path and reason.
    """
    status, error = talk.refused(tool=tool)

    assert (400, code, f"tools[0].{where}") == (status, error["code"], error["param"])
    assert words in error["message"]


REQUESTS: list[tuple[dict[str, Any], str | None, str | None]] = [
    ({"model": "gpt-9"}, "model_not_found", "model"),
    ({"model": "o4-mini"}, "model_not_found", "model"),
    ({"model": "gpt-image-2"}, "model_not_found", "model"),
    ({"model": None}, "missing_required_parameter", "model"),
    ({"input": None}, "missing_required_parameter", "input"),
    ({"input": 3}, "invalid_type", "input"),
    ({"input": [3]}, "invalid_type", "input[0]"),
    ({"input": [{"role": "king", "content": ""}]}, "invalid_value", "input[0].role"),
    ({"input": [{"role": "user"}]}, "missing_required_parameter", "input[0].content"),
    ({"input": [{"type": "song"}]}, "invalid_value", "input[0].type"),
    (
        {"input": [{"role": "user", "content": [{"type": "input_smell"}]}]},
        "invalid_value",
        "input[0].content[0].type",
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
        "missing_required_parameter",
        "input[0].content[0].image_url",
    ),
    ({"style": "vivid"}, "unknown_parameter", "style"),
    ({"stream": "yes"}, "invalid_type", "stream"),
    ({"tools": {}}, "invalid_type", "tools"),
    ({"tools": [{}]}, "missing_required_parameter", "tools[0].type"),
    ({"tool_choice": "never"}, "invalid_value", "tool_choice"),
    ({"tools": [], "tool_choice": {"type": "image_generation"}}, None, "tool_choice"),
    ({"previous_response_id": "resp_0"}, "previous_response_not_found", "previous_response_id"),
    (
        {"previous_response_id": "resp_0", "conversation": "conv_0"},
        "mutually_exclusive_parameters",
        None,
    ),
    (
        {"input": [{"type": "reasoning"}]},
        "missing_required_parameter",
        "input[0].id",
    ),
    (
        {"metadata": {str(n): "" for n in range(17)}},
        "object_above_max_properties",
        "metadata",
    ),
    ({"metadata": {"k" * 65: ""}}, "string_above_max_length", f"metadata.{'k' * 65}"),
    ({"metadata": {"k": "v" * 513}}, "string_above_max_length", "metadata.k"),
    ({"metadata": {"k": 1}}, "invalid_type", "metadata.k"),
    ({"reasoning": {"effort": "extreme"}}, "invalid_value", "reasoning.effort"),
    ({"reasoning": {"effort": 3}}, "invalid_type", "reasoning.effort"),
    ({"safety_identifier": "u" * 129}, "string_above_max_length", "safety_identifier"),
]


SLOW = {"background_options": {"completion_window": "8h"}}
WINDOW = "background_options.completion_window"


@pytest.mark.parametrize(
    "body,where",
    [
        ({"service_tier": "free"}, "service_tier"),
        ({"service_tier": "flex", "model": "gpt-6.2-sol"}, "service_tier"),
        (SLOW, WINDOW),
        (SLOW | {"background": True, "stream": True}, WINDOW),
        (SLOW | {"background": True, "service_tier": "priority"}, WINDOW),
        ({"background": True, "background_options": {"completion_window": "9h"}}, WINDOW),
        ({"context_management": [{"type": "pruning"}]}, "context_management[0].type"),
    ],
)
def test_processing_is_checked(talk: "Talk", body: dict[str, Any], where: str) -> None:
    """
    A service tier has to be one of the model's, and a completion window needs standard background
    processing without a stream.
    """
    with pytest.raises(openai.BadRequestError) as caught:
        talk.post(talk.body("x", None, body))
    assert caught.value.param == where
    accepted = {"background": True, **SLOW, "service_tier": "default"}
    assert talk.post(talk.body("x", None, accepted))


@pytest.mark.parametrize("body,code,where", REQUESTS)
def test_request_is_checked(
    talk: "Talk", body: dict[str, Any], code: str | None, where: str | None
) -> None:
    """
    Requests are rejected as in the API: code and path.
    """
    sent = talk.body("x", None, body)
    with pytest.raises(openai.APIStatusError) as caught:
        talk.post(sent)
    status, error = caught.value.status_code, caught.value.response.json()["error"]

    assert (400, code, where) == (status, error["code"], error["param"])
    assert {"message", "type", "param", "code"} <= set(error)


def test_items_of_other_tools_are_accepted(talk: "Talk") -> None:
    """
    Items of other tools in the input are accepted.
    """
    items: list[dict[str, object]] = [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "axolotl"},
    ]

    assert talk.pictures(talk.make([{"role": "user", "content": "a kite"}, *items]))


def test_tool_choice_may_name_the_tool(talk: "Talk") -> None:
    """
    The image tool can be forced by name; other parts of a message are ignored.
    """
    content = [
        {"type": "input_text", "text": "a kite"},
        {"type": "input_file", "file_id": "file-1"},
    ]
    forced = talk.make(
        [{"role": "user", "content": content}], tool_choice={"type": "image_generation"}
    )

    assert talk.pictures(forced)
    assert forced["tool_choice"] == {"type": "image_generation"}


def test_continuing_needs_no_input(talk: "Talk") -> None:
    """
    A request that continues a response may omit the input.
    """
    first = talk.make()

    assert talk.pictures(talk.make(None, previous_response_id=first["id"]))


def test_wrong_key(connect: "Callable[[FakeOpenAI], Talk]") -> None:
    """
    A wrong key is masked in the error, which is sent as text with JSON in it.
    """
    talk = connect(FakeOpenAI(api_key="sk-right"))
    with pytest.raises(openai.AuthenticationError) as caught:
        talk.client.with_options(api_key="sk-invalid-and-secret-key").models.list()

    response = caught.value.response
    assert (
        response.status_code,
        response.headers["content-type"],
    ) == (401, "text/plain; charset=utf-8")
    assert (
        response.json()["status"],
        response.json()["error"]["code"],
    ) == (401, "invalid_api_key")
    assert "secret" not in response.text


def test_short_keys_are_not_shown(connect: "Callable[[FakeOpenAI], Talk]") -> None:
    """
    A key that is too short to be partly masked is masked completely.
    """
    talk = connect(FakeOpenAI(api_key="sk-right"))
    with pytest.raises(openai.AuthenticationError) as caught:
        talk.client.with_options(api_key="hunter2").models.list()

    assert "hunter2" not in caught.value.response.text


def test_no_key(provider: FakeOpenAI) -> None:
    """
    A request without a key is rejected.
    """
    with httpx2.Client(transport=FakeTransport(provider)) as client:
        for headers in ({}, {"authorization": "Bearer "}):
            answer = client.get("http://offline/v1/models", headers=headers)
            assert answer.status_code == 401
            assert "didn't provide an API key" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "method,path",
    [
        ("GET", "/"),
        ("GET", "/assistants"),
        ("PUT", "/responses"),
        ("GET", "/files/file-1/thumbnail"),
        ("GET", "/conversations/conv_1/mood"),
        ("DELETE", "/models/gpt-5"),
    ],
)
def test_unknown_urls(provider: FakeOpenAI, method: str, path: str) -> None:
    """
    Every path that is not served is answered with 404 and an error object.
    """
    with httpx2.Client(transport=FakeTransport(provider)) as client:
        answer = client.request(
            method, f"http://offline/v1{path}", headers={"authorization": "Bearer x"}
        )

    assert answer.status_code == 404
    assert answer.json()["error"]["message"].startswith(f"Invalid URL ({method} /v1")


def test_body_that_is_not_json(provider: FakeOpenAI) -> None:
    """
    A body that is not JSON is rejected, and the request is recorded all the same.
    """
    with httpx2.Client(transport=FakeTransport(provider)) as client:
        answer = client.post(
            "http://offline/responses", headers={"authorization": "Bearer x"}, content=b"{"
        )

    assert answer.status_code == 400
    assert "could not parse the JSON body" in answer.json()["error"]["message"]
    assert provider.requests[0].body is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "id", "role", "content", "text", "x"]), inner)
    ),
    max_leaves=4,
)
NAMES = [
    *("background", "conversation", "include", "input", "instructions", "metadata", "model"),
    *("previous_response_id", "reasoning", "store", "stream", "stream_options", "temperature"),
    *("text", "tool_choice", "tools", "truncation", "x"),
]


@given(name=st.sampled_from(NAMES), value=JSON, in_tool=st.booleans())
def test_no_request_breaks_the_provider(name: str, value: object, *, in_tool: bool) -> None:
    """
    Whatever a field contains, the answer is a response or an error object, never a crash.
    """
    tool: dict[str, object] = {"type": "image_generation", "quality": "low"}
    body: dict[str, object] = {"model": "gpt-5.4", "tools": [tool], "tool_choice": "none"}
    (tool if in_tool else body)[name] = value
    call = FakeRequest(
        method="POST",
        path="/responses",
        headers={"authorization": "Bearer x"},
        body=json.dumps({"input": "x", **body}).encode(),
    )
    answer = FakeOpenAI().handle(call)
    written = b"".join(part for part in answer.parts if isinstance(part, bytes))

    assert answer.status in {200, 400, 404}
    assert written


@given(
    width=st.integers(1, 260).map(lambda n: n * 16),
    height=st.integers(1, 260).map(lambda n: n * 16),
)
def test_free_sizes_obey_the_documented_rules(width: int, height: int) -> None:
    """
    A size is accepted exactly if edge, ratio and pixels are within the documented bounds.
    """
    allowed = (
        max(width, height) <= 3840
        and max(width, height) <= 3 * min(width, height)
        and 655_360 <= width * height <= 8_294_400
    )
    node = JsonNode({"type": "image_generation", "size": f"{width}x{height}"}, "tools[0]")
    try:
        taken = read_tool(node).size == (width, height)
    except RefusalError:
        taken = False

    assert allowed == taken


@pytest.mark.parametrize("frames,edge", [(2, 1024), (9, 960), (12, 816), (16, 720)])
def test_frames_shrink_to_the_pixel_budget(frames: int, edge: int) -> None:
    """
    A frame is shrunk as far as the whole animation needs, to sizes measured on the real service.
    """
    assert edge == frame_size((1024, 1024), frames, SizeRule())[0]


def test_table_has_exactly_the_errors_that_are_raised() -> None:
    """
    Each error that the provider names is in its table, and each in the table is named.
    """
    room = Path(errors.__file__).parent
    table = tomllib.loads((room / "errors.toml").read_text("utf-8"))
    sources = "".join(file.read_text("utf-8") for file in room.glob("*.py"))
    raised = set(re.findall(r'(?:RefusalError|_error|_problem)\([\w., ]*?"(\w+)"', sources))
    composed = {f"no_{feature}" for feature in FEATURES} | {"batch_expired", "batch_cancelled"}

    assert raised <= table.keys()
    assert {name for name in table if f'"{name}"' not in sources} == composed
