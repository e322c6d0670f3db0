"""
Each authenticated principal has its own library.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import pytest
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken

from tests.mcp.serving import Room

pytestmark = pytest.mark.anyio


@contextmanager
def authenticated_as(name: str) -> Generator[None, None, None]:
    """
    Set the authenticated principal.
    """
    shown = "what they show"
    token = AccessToken(token=shown, client_id=name, scopes=[])
    before = auth_context_var.set(AuthenticatedUser(token))
    try:
        yield
    finally:
        auth_context_var.reset(before)


async def test_principals_are_isolated(room: Room) -> None:
    """
    Sessions, images, files and generations of other principals cannot be found.
    """
    with authenticated_as("ann"):
        async with room.connect() as call:
            session = (await call.success("create_image_session", description="x"))["session_id"]
            image = await call.success("generate_image", prompt="a fox", request_id="r")
    assert image["image_path"].startswith(str(room.library / "principals" / "ann"))
    with authenticated_as("bob"):
        async with room.connect() as call:
            for name, arguments, code in (
                ("get_session_status", {"session_id": session}, "session_not_found"),
                ("view_image", {"image_id": image["image_id"]}, "image_not_found"),
                ("get_generation", {"generation_id": "r"}, "generation_not_found"),
                (
                    "edit_image",
                    {"prompt": "x", "image_path": image["image_path"]},
                    "invalid_input_image",
                ),
            ):
                error = await call.failure(name, **arguments)
                assert error["code"] == code
                assert image["image_id"] not in str(error.get("available_images"))
            assert (await call.success("list_images"))["images"] == []
            other = await call.success("generate_image", prompt="a hare", request_id="r")
            assert other["image_id"] != image["image_id"]
    with authenticated_as("ann"):
        async with room.connect() as call:
            again = await call.success("get_generation", generation_id="r")
            assert again["image_id"] == image["image_id"]


@pytest.mark.parametrize("name", ["../ann", "a/b", "", ".", "..", "a\0b", "a" * 100])
async def test_principal_names_are_plain(room: Room, name: str) -> None:
    """
    A principal's name that is not a plain folder name is rejected.
    """
    with authenticated_as(name):
        async with room.connect() as call:
            error = await call.failure("list_images")
            assert error["code"] == "no_access"
    assert not (room.library / "principals").exists()
