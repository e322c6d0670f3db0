"""
Each authenticated principal has its own library.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken

from imagesession.testing import tiny_image
from imagesession_mcp.option_values import Principal
from tests.mcp.serving import Room, text

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


async def test_allowed_folder_does_not_open_another_library(room: Room, tmp_path: Path) -> None:
    """
    A folder that the operator allowed and that holds the libraries opens its other files, the
    caller's own library, and no other library.
    """
    photo = tmp_path / "photo.png"
    photo.write_bytes(tiny_image())
    with authenticated_as("ann"):
        async with room.connect(allow_dirs=(tmp_path,)) as call:
            image = await call.success("generate_image", prompt="a fox")
            for path in (str(photo), image["image_path"]):
                await call.success("estimate_cost", image_path=path)
    with authenticated_as("bob"):
        async with room.connect(allow_dirs=(tmp_path,)) as call:
            await call.success("estimate_cost", image_path=str(photo))
            for tool in ("estimate_cost", "promote_image_to_session"):
                error = await call.failure(tool, image_path=image["image_path"])
                assert error["code"] == "invalid_input_image"


async def test_budgets_hold_for_the_server(room: Room) -> None:
    """
    What principals spend together stays within the server's budget, each within its own; another
    server on the same library counts what the first one spent.
    """
    shares = {"ann": 0.20, "bob": 0.06}
    principals = tuple(Principal(name, name * 6, share) for name, share in shares.items())
    cheap = {"quality": "low", "size": "1024x1024"}
    spent = 0.0
    for name, share in shares.items():
        with authenticated_as(name):
            async with room.connect(daily_budget=0.26, principals=principals) as call:
                results = [
                    await call("generate_image", prompt=f"fox {number}", **cheap)
                    for number in range(12)
                ]
                stats = await call.success("get_server_stats")
        assert any(result.is_error for result in results)
        assert stats["daily_budget_usd"] == share
        assert 0 < stats["spent_today_usd"] <= share
        spent += stats["spent_today_usd"]
    assert spent <= 0.26
    with authenticated_as("ann"):
        async with room.connect(daily_budget=0.02) as call:
            error = await call.failure("generate_image", prompt="a fox", quality="low")
            assert error["code"] == "budget_exceeded"


async def test_two_servers_with_different_budgets(room: Room) -> None:
    """
    Two servers that run on one library at the same time each keep to their own limit of what both
    spend together.
    """
    cheap = {"quality": "low", "size": "1024x1024"}
    async with room.connect(daily_budget=0.06) as small, room.connect(daily_budget=0.14) as large:
        refused = {"small": 0.0, "large": 0.0}
        for number in range(16):
            for name, call in (("small", small), ("large", large)):
                spent = (await call.success("get_server_stats"))["spent_today_usd"]
                result = await call("generate_image", prompt=f"fox {number}", **cheap)
                if result.is_error and not refused[name]:
                    assert text(result)["code"] == "budget_exceeded"
                    refused[name] = spent
        total = (await large.success("get_server_stats"))["spent_today_usd"]
    assert 0 < refused["small"] <= 0.06 < refused["large"] <= total <= 0.14


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
