"""
Errors have a helpful message and a stable code.
"""

from __future__ import annotations

import ast
import datetime as dt
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp import Client

import imagesession
from imagesession import AsyncStudio, errors
from imagesession._domain.model_catalog import load_catalogue
from imagesession.testing import tiny_image, tiny_mask
from imagesession_mcp.errors import in_words_of_tools, to_payload
from imagesession_mcp.resources import render_guide
from imagesession_mcp.server import build_server
from imagesession_mcp.settings import Settings
from tests.mcp.serving import Caller, Room

ERROR_CLASSES = [
    getattr(errors, name)
    for name in errors.__all__
    if issubclass(getattr(errors, name), errors.ImageSessionError)
]


@pytest.mark.parametrize("kind", ERROR_CLASSES, ids=lambda kind: kind.__name__)
def test_every_library_error_has_a_code(kind: type[errors.ImageSessionError]) -> None:
    """
    Each library error becomes JSON with its message and a code that the guide explains.
    """
    payload = to_payload(kind("This happened. Do that."))
    assert payload["success"] is False
    assert payload["error"].startswith("This happened. Do that.")
    assert f"- `{payload['code']}`: " in render_guide([])
    assert payload["error_type"]
    json.dumps(payload)


def test_error_attributes_are_in_the_payload() -> None:
    """
    Useful attributes of an error are in its payload, but never bytes.
    """
    payload = to_payload(errors.RateLimitError("Wait.", 20.0))
    assert (payload["retryable"], payload["retry_after"]) == (True, 20.0)
    error = errors.GenerationFailedError("No.")
    error.request_id = "req_1"
    assert to_payload(error)["provider_request_id"] == "req_1"
    payload = to_payload(errors.InvalidOptionError("No.", "size", "1x1", ("1024x1024",)))
    assert payload["nearest"] == ("1024x1024",)
    payload = to_payload(errors.StorageIOError("Full.", ("kept.png",), (b"picture",)))
    assert payload["kept"] == ("kept.png",)
    assert "unsaved" not in payload
    payload = to_payload(errors.BudgetExceededError("No.", "per_day", 5.0, 1.0, float("inf")))
    json.dumps(payload, allow_nan=False)


def test_unexpected_error_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    """
    An unexpected error shows only a reference to the log.
    """
    with caplog.at_level(logging.ERROR):
        payload = to_payload(ValueError("sk-secret"))
    assert payload["code"] == "internal_error"
    assert "sk-secret" not in json.dumps(payload)
    assert payload["reference"] in caplog.text


def test_no_message_speaks_of_python() -> None:
    """
    Whatever the library raises, an agent reads no call, attribute or literal of Python.
    """
    messages = [message for message in _messages() if " " in message]
    assert len(messages) > 100
    for message in messages:
        words = in_words_of_tools(message)
        assert words
        _, *later = re.split(r"(?<=[.;]) ", words)
        assert not re.search(r"\b\w+=|\bTrue\b|\bFalse\b|\bstudio\.|\bsession\.\w+\(", words), words
        assert not any(re.search(r"\w\(\)|Budget", sentence) for sentence in later), words


def _messages() -> Iterator[str]:
    """
    Yield the messages of the errors that the library raises, with V for each value.
    """
    for room in ("_domain", "_engine", "_store", "_imaging", "_api"):
        for path in (Path(imagesession.__file__).parent / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Error"):
                    yield from (_text(argument) for argument in node.args[:1])


def _text(argument: ast.expr) -> str:
    if isinstance(argument, ast.JoinedStr):
        return "".join(_text(part) for part in argument.values)
    constant = argument.value if isinstance(argument, ast.Constant) else "'V'"
    return str(constant)


@pytest.mark.anyio
async def test_errors_name_arguments_that_the_tool_takes(room: Room, tmp_path: Path) -> None:
    """
    What an error asks for is an argument of the tool that was called, or another tool.
    """
    (tmp_path / "mask.png").write_bytes(tiny_mask((32, 32)))
    mask = str(tmp_path / "mask.png")
    async with room.connect(allow_dirs=(tmp_path,)) as call:
        session = (await call.success("create_image_session", description="x"))["session_id"]
        turn = {"session_id": session, "prompt": "a"}
        error = await call.failure("edit_image", **turn)
        assert "Pass one with image_path" in error["error"]
        error = await call.failure("generate_image_in_session", **turn, mask_image_path=mask)
        assert "image_path or reference_images" in error["error"]
        await call.success("generate_image_in_session", **turn)
        error = await call.failure("edit_image", **turn, mask_path=mask)
        assert "with resize_mask true" in error["error"]
        error = await call.failure("generate_image_in_session", **turn, mask_image_path=mask)
        assert "with edit_image's resize_mask true" in error["error"]
        await call.success("close_session", session_id=session)
        error = await call.failure("generate_image", **turn)
        assert f"generate_image_in_session, session_id {session}" in error["error"]


@pytest.mark.anyio
async def test_models_are_checked_when_a_session_starts(room: Room) -> None:
    """
    A session with a retired model, or one of the other role, is not created; the error names its
    successor, or the argument that it belongs to.
    """
    async with room.connect() as call:
        for model, code, words in (
            ("dall-e-3", "model_retired", "dall-e-3"),
            ("gpt-image-2", "invalid_parameters", "options.image_model 'gpt-image-2'"),
        ):
            error = await call.failure("create_image_session", description="x", model=model)
            assert error["code"] == code
            assert words in error["error"]
        retired = {"options": {"image_model": "dall-e-3"}}
        error = await call.failure("create_image_session", description="x", **retired)
        assert error["code"] == "model_retired"
        assert error["replacement"]
        assert (await call.success("list_active_sessions"))["sessions"] == []


@pytest.mark.anyio
@pytest.mark.filterwarnings("ignore::imagesession.errors.ModelDeprecationWarning")
async def test_announced_shutdowns_reach_the_agent(room: Room) -> None:
    """
    A model whose shutdown is announced works, and every result that used it says until when.
    """
    last = max(load_catalogue().models.values(), key=lambda model: model.shutdown or dt.date.min)
    async with room.connect() as call:
        session = await call.success("create_image_session", description="x", model=last.id)
        turn = {"session_id": session["session_id"], "prompt": "a"}
        image = await call.success("generate_image_in_session", **turn)
        for payload in (session, image):
            (warning,) = payload["warnings"]
            assert last.id in warning
            assert str(last.shutdown) in warning
        assert not (await call.success("generate_image", prompt="a")).get("warnings")


@pytest.mark.anyio
@pytest.mark.filterwarnings("ignore::imagesession.errors.AmbiguousNameWarning")
async def test_namesakes_reach_the_agent(room: Room) -> None:
    """
    A session that is opened by a name that others have too says so, and names them by their ids.
    """
    async with room.connect() as call:
        first = await call.success("create_image_session", description="x", session_name="Tea")
        await call.success("generate_image_in_session", session_id="tea", prompt="a pot")
        last = await call.success("create_image_session", description="y", session_name="tea")
        image = await call.success("generate_image_in_session", session_id="Tea", prompt="a cup")
        assert image["metadata"]["session_id"] == last["session_id"]
        status = await call.success("get_session_status", session_id="Tea")
        for payload in (image, status):
            (warning,) = payload["warnings"]
            assert first["session_id"] in warning
            assert last["session_id"] not in warning
        own = await call.success("get_session_status", session_id=first["session_id"])
        assert "warnings" not in own


@pytest.mark.anyio
async def test_all_wrong_arguments_are_told_at_once(room: Room) -> None:
    """
    One error tells what a call lacks and what it has too much.
    """
    async with room.connect() as call:
        error = await call.failure("generate_ui_asset", kind="icon", text="home")
        for words in ("'kind'", "'text'", "needs asset_type, description"):
            assert words in error["error"]
        error = await call.failure("generate_image_in_session")
        assert "prompt: is required; session_id: is required" in error["error"]


@pytest.mark.anyio
async def test_crash_in_a_tool_is_masked(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An exception in a tool is masked too.
    """

    async def crash(*_: object, **__: object) -> None:
        raise ValueError("sk-secret")

    monkeypatch.setattr(AsyncStudio, "stats", crash)
    async with room.connect() as call:
        error = await call.failure("get_server_stats")
        assert error["code"] == "internal_error"
        assert "sk-secret" not in json.dumps(error)


@pytest.mark.anyio
async def test_unknown_tool_names_the_nearest(room: Room) -> None:
    """
    An unknown tool is an error that names a similar tool, if any.
    """
    async with room.connect() as call:
        error = await call.failure("generate_images", prompt="a teapot")
        assert error["code"] == "tool_not_found"
        assert error["nearest"] == ["generate_image"]
        assert "Did you mean 'generate_image'?" in error["error"]
        error = await call.failure("x" * 5000)
        assert error["nearest"] == []
        assert len(error["error"]) < 200


@pytest.mark.anyio
async def test_wrong_ids_list_known_ones(room: Room) -> None:
    """
    A wrong id of a session, branch, image or turn lists existing ones.
    """
    async with room.connect() as call:
        session = (await call.success("create_image_session", description="tea"))["session_id"]
        image = (
            await call.success("generate_image_in_session", session_id=session, prompt="a pot")
        )["image_id"]
        for name in ("get_session_status", "close_session"):
            error = await call.failure(name, session_id="nope")
            assert (error["code"], error["available_sessions"]) == ("session_not_found", [session])
        error = await call.failure("generate_image", prompt="x", session_id="nope")
        assert error["error_type"] == "session_not_found"
        error = await call.failure("get_session_status", session_id=session, branch="nope")
        assert (error["code"], error["available_branches"]) == ("branch_not_found", ["main"])
        error = await call.failure("view_image", image_id="nope")
        assert (error["code"], error["available_images"]) == ("image_not_found", [image])
        error = await call.failure("edit_image", prompt="x", image_path="nope")
        assert (error["code"], error["available_images"]) == ("image_not_found", [image])
        moved = {"session_id": session, "action": "checkout"}
        error = await call.failure("navigate_session", **moved, at="nope")
        assert error["code"] == "not_found"
        assert error["known"]


@pytest.mark.anyio
async def test_invalid_masks_have_their_own_code(room: Room, tmp_path: Path) -> None:
    """
    A mask of another size, or a photo as mask, has its own error code.
    """
    for name, data in (("size.png", tiny_mask((32, 32))), ("photo.png", tiny_image())):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "a.png").write_bytes(tiny_image())
    async with room.connect(allow_dirs=(tmp_path,)) as call:
        for name in ("size.png", "photo.png"):
            error = await call.failure(
                "edit_image",
                prompt="x",
                image_path=str(tmp_path / "a.png"),
                mask_path=str(tmp_path / name),
            )
            assert error["code"] == "invalid_mask_image"


@pytest.mark.anyio
async def test_wrong_arguments_are_named_without_their_values(room: Room) -> None:
    """
    An invalid argument is named in a short message, without its value and without a URL.
    """
    secret = "sk-" + "x" * 30
    async with room.connect() as call:
        for name, arguments, expected in (
            ("generate_image", {}, "prompt"),
            ("generate_image", {"prompt": {"key": secret}}, "prompt"),
            ("get_generation", {"generation_id": ["x"]}, "generation_id"),
            ("generate_image", {"prompt": "x", "reference_images": secret}, "reference_images"),
            ("generate_image", {"prompt": "x", "request_id": f"{secret} /.."}, "request_id"),
            ("list_images", {"limit": 0}, "limit"),
            ("generate_image", {"prompt": "x", "promt": secret}, "promt"),
        ):
            error = await call.failure(name, **arguments)
            assert error["code"] == "invalid_parameters", (name, arguments)
            assert expected in error["error"]
            assert secret not in json.dumps(error)
            assert "pydantic" not in error["error"]
            assert len(error["error"]) < 400
        error = await call.failure("generate_image", prompt="x", quality="ultra")
        assert error["option"] == "quality"
        assert "high" in error["nearest"]
        assert room.posts == 0


@pytest.mark.anyio
async def test_server_without_a_key_says_so(room: Room) -> None:
    """
    Without a key free tools work; billed ones name the missing variable and the offline option.
    """
    settings = Settings(library=room.library)
    async with Client(build_server(settings), mode=room.era) as client:
        call = Caller(client)
        session = (await call.success("create_image_session", description="x"))["session_id"]
        assert (await call.success("list_active_sessions"))["total_active"] == 1
        for name, arguments in (
            ("generate_image", {"prompt": "x"}),
            ("generate_image_in_session", {"prompt": "x", "session_id": session}),
            ("generate_ui_asset", {"asset_type": "icon", "description": "x"}),
        ):
            error = await call.failure(name, **arguments)
            assert error["code"] == "no_access"
            assert "OPENAI_API_KEY" in error["error"]
            assert "--offline" in error["error"]
        batch = await call.failure("generate_product_image", product_description="x")
        assert "OPENAI_API_KEY" in batch["error"]


@pytest.mark.anyio
async def test_unusable_library_is_reported_by_every_tool(room: Room, tmp_path: Path) -> None:
    """
    The server starts, and every tool reports the problem with the folder.
    """
    (tmp_path / "file").write_text("no folder")
    async with room.connect(library=tmp_path / "file") as call:
        assert (await call.client.list_tools()).tools
        error = await call.failure("list_active_sessions")
        assert error["code"] == "library_error"
