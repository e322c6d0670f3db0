"""
The MCP server on a library that a team shares.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from imagesession_mcp.option_values import Principal
from tests.mcp.serving import Room
from tests.mcp.test_principals import authenticated_as

pytestmark = pytest.mark.anyio
ANN, BOB = Principal("ann", "ann-0123456789abcdef"), Principal("bob", "bob-0123456789abcdef")


async def test_single_token_has_the_library(url: str, tmp_path: Path) -> None:
    """
    A caller with the only token has the whole library, as a caller without tokens has, after a
    restart too; its files have no paths that a call could name.
    """
    room = Room(tmp_path, "auto")
    with authenticated_as("ann"):
        async with room.connect(library=url, principals=(ANN,)) as call:
            image = await call.success("generate_image", prompt="a fox", request_id="r")
            assert image["image_path"].startswith("http")
        async with room.connect(library=url, principals=(ANN,)) as call:
            again = await call.success("generate_image", prompt="a fox", request_id="r")
            error = await call.failure("edit_image", prompt="x", image_path=str(tmp_path / "a.png"))
    async with room.connect(library=url) as call:
        (listed,) = (await call.success("list_images"))["images"]
    assert error["code"] == "invalid_input_image"
    assert image["image_id"] == again["image_id"] == listed["image_id"]
    assert room.posts == 1


async def test_several_callers_are_owners(url: str, tmp_path: Path) -> None:
    """
    Each of several callers with tokens is an owner: none sees or gets another's images.
    """
    room = Room(tmp_path, "auto")
    with authenticated_as("ann"):
        async with room.connect(library=url, principals=(ANN, BOB)) as call:
            image = await call.success("generate_image", prompt="a fox")
            (own,) = (await call.success("list_images"))["images"]
    with authenticated_as("bob"):
        async with room.connect(library=url, principals=(ANN, BOB)) as call:
            others = (await call.success("list_images"))["images"]
            error = await call.failure("view_image", image_id=image["image_id"])
    assert own["image_id"] == image["image_id"]
    assert others == []
    assert error["code"] == "image_not_found"
