"""
Errors have a helpful message and a stable code.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from mcp import Client

from imagesession import AsyncStudio, errors
from imagesession.testing import tiny_image, tiny_mask
from imagesession_mcp.errors import CODES, to_payload
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
    assert payload["code"] in CODES
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
        for name in ("get_session_status", "close_session", "undo_session", "branch_session"):
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
        error = await call.failure("checkout_session_head", session_id=session, target="nope")
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
            ("generate_image", {"prompt": "x", "preview": secret}, "preview"),
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
