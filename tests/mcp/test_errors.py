"""
What went wrong is told in a sentence that helps and a code that stays the same.
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

ALL = [
    getattr(errors, name)
    for name in errors.__all__
    if issubclass(getattr(errors, name), errors.ImageSessionError)
]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_of_the_library_has_a_code(kind: type[errors.ImageSessionError]) -> None:
    """
    Each is told with its own sentence, in JSON, under a code that the guide explains.
    """
    told = to_payload(kind("This happened. Do that."))
    assert told["success"] is False
    assert told["error"].startswith("This happened. Do that.")
    assert told["code"] in CODES
    assert told["error_type"]
    json.dumps(told)


def test_facts_go_along() -> None:
    """
    What helps beside the sentence is there, and bytes never are.
    """
    told = to_payload(errors.RateLimitError("Wait.", 20.0))
    assert (told["retryable"], told["retry_after"]) == (True, 20.0)
    told = to_payload(errors.OptionError("No.", "size", "1x1", ("1024x1024",)))
    assert told["nearest"] == ("1024x1024",)
    told = to_payload(errors.DiskError("Full.", ("kept.png",), (b"picture",)))
    assert told["kept"] == ("kept.png",)
    assert "unsaved" not in told
    told = to_payload(errors.BudgetError("No.", "per_day", 5.0, 1.0, float("inf")))
    json.dumps(told, allow_nan=False)


def test_what_nobody_expected_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    """
    An unexpected error says nothing of itself, but where the log has it.
    """
    with caplog.at_level(logging.ERROR):
        told = to_payload(ValueError("sk-secret"))
    assert told["code"] == "internal_error"
    assert "sk-secret" not in json.dumps(told)
    assert told["reference"] in caplog.text


@pytest.mark.anyio
async def test_a_crash_in_a_tool_is_masked(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    So it is when a tool meets it.
    """

    async def crash(*_: object, **__: object) -> None:
        raise ValueError("sk-secret")

    monkeypatch.setattr(AsyncStudio, "stats", crash)
    async with room.calling() as call:
        said = await call.refused("get_server_stats")
        assert said["code"] == "internal_error"
        assert "sk-secret" not in json.dumps(said)


@pytest.mark.anyio
async def test_a_tool_that_there_is_not_says_so(room: Room) -> None:
    """
    An unknown tool is an error that names the tool which was meant, if one is spelled alike.
    """
    async with room.calling() as call:
        said = await call.refused("generate_images", prompt="a teapot")
        assert said["code"] == "tool_not_found"
        assert said["nearest"] == ["generate_image"]
        assert "Did you mean 'generate_image'?" in said["error"]
        said = await call.refused("x" * 5000)
        assert said["nearest"] == []
        assert len(said["error"]) < 200


@pytest.mark.anyio
async def test_wrong_ids_list_right_ones(room: Room) -> None:
    """
    A wrong id of a session, line, picture or turn names those that there are.
    """
    async with room.calling() as call:
        session = (await call.told("create_image_session", description="tea"))["session_id"]
        image = (await call.told("generate_image_in_session", session_id=session, prompt="a pot"))[
            "image_id"
        ]
        for name in ("get_session_status", "close_session", "undo_session", "branch_session"):
            said = await call.refused(name, session_id="nope")
            assert (said["code"], said["available_sessions"]) == ("session_not_found", [session])
        said = await call.refused("generate_image", prompt="x", session_id="nope")
        assert said["error_type"] == "session_not_found"
        said = await call.refused("get_session_status", session_id=session, branch="nope")
        assert (said["code"], said["available_branches"]) == ("branch_not_found", ["main"])
        said = await call.refused("view_image", image_id="nope")
        assert (said["code"], said["available_images"]) == ("image_not_found", [image])
        said = await call.refused("edit_image", prompt="x", image_path="nope")
        assert (said["code"], said["available_images"]) == ("image_not_found", [image])
        said = await call.refused("checkout_session_head", session_id=session, target="nope")
        assert said["code"] == "not_found"
        assert said["known"]


@pytest.mark.anyio
async def test_masks_that_do_not_fit_say_so(room: Room, tmp_path: Path) -> None:
    """
    A mask of another size, or that is a photo, has a code of its own.
    """
    for name, data in (("size.png", tiny_mask((32, 32))), ("photo.png", tiny_image())):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "a.png").write_bytes(tiny_image())
    async with room.calling(allow_dirs=(tmp_path,)) as call:
        for name in ("size.png", "photo.png"):
            said = await call.refused(
                "edit_image",
                prompt="x",
                image_path=str(tmp_path / "a.png"),
                mask_path=str(tmp_path / name),
            )
            assert said["code"] == "invalid_mask_image"


@pytest.mark.anyio
async def test_wrong_arguments_are_named_and_not_repeated(room: Room) -> None:
    """
    A wrong argument is named in a short sentence, without what was given and without a URL.
    """
    secret = "sk-" + "x" * 30
    async with room.calling() as call:
        for name, asked, word in (
            ("generate_image", {}, "prompt"),
            ("generate_image", {"prompt": {"key": secret}}, "prompt"),
            ("generate_image", {"prompt": "x", "preview": secret}, "preview"),
            ("generate_image", {"prompt": "x", "reference_images": secret}, "reference_images"),
            ("generate_image", {"prompt": "x", "request_id": f"{secret} /.."}, "request_id"),
            ("list_images", {"limit": 0}, "limit"),
            ("generate_image", {"prompt": "x", "promt": secret}, "promt"),
        ):
            said = await call.refused(name, **asked)
            assert said["code"] == "invalid_parameters", (name, asked)
            assert word in said["error"]
            assert secret not in json.dumps(said)
            assert "pydantic" not in said["error"]
            assert len(said["error"]) < 400
        said = await call.refused("generate_image", prompt="x", quality="ultra")
        assert said["option"] == "quality"
        assert "high" in said["nearest"]
        assert room.posts == 0


@pytest.mark.anyio
async def test_without_a_key_the_server_starts_and_says_so(room: Room) -> None:
    """
    What costs nothing works; what is paid for says which variable is missing, and what needs none.
    """
    settings = Settings(library=room.library)
    async with Client(build_server(settings), mode=room.era) as client:
        call = Caller(client)
        session = (await call.told("create_image_session", description="x"))["session_id"]
        assert (await call.told("list_active_sessions"))["total_active"] == 1
        for name, asked in (
            ("generate_image", {"prompt": "x"}),
            ("generate_image_in_session", {"prompt": "x", "session_id": session}),
            ("generate_ui_asset", {"asset_type": "icon", "description": "x"}),
        ):
            said = await call.refused(name, **asked)
            assert said["code"] == "no_access"
            assert "OPENAI_API_KEY" in said["error"]
            assert "--offline" in said["error"]
        batch = await call.refused("generate_product_image", product_description="x")
        assert "OPENAI_API_KEY" in batch["error"]


@pytest.mark.anyio
async def test_a_library_that_cannot_be_used_is_said_when_it_is_needed(
    room: Room, tmp_path: Path
) -> None:
    """
    The server starts, and every tool says what is wrong with the folder.
    """
    (tmp_path / "file").write_text("no folder")
    async with room.calling(library=tmp_path / "file") as call:
        assert (await call.client.list_tools()).tools
        said = await call.refused("list_active_sessions")
        assert said["code"] == "library_error"
