"""
Files that calls name are read only within allowed folders.
"""

from __future__ import annotations

import base64
import os
import struct
import sys
import zlib
from pathlib import Path

import pytest

from imagesession.testing import tiny_image
from tests.mcp.serving import Room, file_of

IMAGE_ARGUMENTS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("edit_image", "image_path", {"prompt": "x"}),
    ("edit_image", "mask_path", {"prompt": "x", "image_path": "I"}),
    ("edit_image", "markup_path", {"prompt": "x", "image_path": "I"}),
    ("generate_image_in_session", "reference_image_path", {"prompt": "x", "session_id": "S"}),
    ("generate_image_in_session", "mask_image_path", {"prompt": "x", "session_id": "S"}),
    ("analyze_and_improve_image", "image_path", {"improvement_goals": "x"}),
    ("analyze_and_improve_image", "image_path", {"improvement_goals": "x", "analyze_only": "1"}),
    ("promote_image_to_session", "image_path", {}),
    ("estimate_cost", "image_path", {}),
)
IMAGE_LIST_TOOLS: tuple[tuple[str, dict[str, str]], ...] = (
    ("generate_image", {"prompt": "x"}),
    ("generate_product_image", {"product_description": "x"}),
    ("generate_ui_asset", {"asset_type": "icon", "description": "x"}),
    ("estimate_cost", {}),
)


@pytest.mark.anyio
async def test_no_argument_reads_files_outside(room: Room, tmp_path: Path) -> None:
    """
    A file outside of the allowed folders is rejected in every argument and every spelling, without
    showing its content, and nothing is sent.
    """
    outside = tmp_path / "outside" / "secret.png"
    outside.parent.mkdir()
    outside.write_bytes(tiny_image())
    room.library.mkdir()
    link = room.library / "innocent.png"
    link.symlink_to(outside)
    folder = room.library / "folder"
    folder.symlink_to(outside.parent)
    async with room.connect() as call:
        image = (await call.success("generate_image", prompt="a fox"))["image_id"]
        session = (await call.success("create_image_session", description="x"))["session_id"]
        before = room.posts
        for path in (
            str(outside),
            str(link),
            str(folder / "secret.png"),
            f"{room.library}/../outside/secret.png",
            "~/secret.png",
            "outside/secret.png",
            "file:///etc/passwd",
            "https://example.org/a.png",
            "/etc/passwd",
            "/dev/zero",
            "/nowhere.png",
            str(room.library),
        ):
            for name, argument, others in IMAGE_ARGUMENTS:
                values = {
                    key: {"I": image, "S": session}.get(value, value)
                    for key, value in others.items()
                }
                error = await call.failure(name, **values, **{argument: path})
                assert error["code"] == "invalid_input_image", (name, argument, path)
                assert "root:" not in error["error"]
            for name, others in IMAGE_LIST_TOOLS:
                error = await call.failure(name, **others, reference_images=[image, path])
                assert error["code"] == "invalid_input_image", (name, path)
        assert room.posts == before


@pytest.mark.anyio
async def test_no_form_of_path_leads_out(room: Room, tmp_path: Path) -> None:
    """
    Whatever a path is made of, it is refused without telling whether its file exists: pipes,
    devices, processes' files, folders with the library's name as a prefix, the library's records.
    """
    sibling = tmp_path / "library-of-another" / "a.png"
    sibling.parent.mkdir()
    sibling.write_bytes(tiny_image())
    async with room.connect() as call:
        saved = await call.success("generate_image", prompt="a fox")
        if sys.platform != "win32":
            os.mkfifo(room.library / "pipe.png")
        records = room.library / ".imagesession"
        (record,) = (records / "turns").rglob("*.json")
        data = base64.b64encode(tiny_image()).decode()
        for path in (
            str(sibling),
            str(room.library / "pipe.png"),
            str(room.library / "general" / ".." / ".." / "library-of-another" / "a.png"),
            "/proc/self/environ",
            "/proc/self/fd/0",
            "/dev/stdin",
            r"\\server\share\a.png",
            "//server/share/a.png",
            f"data:image/png;base64,{data}",
            f"{sibling}\0.png",
            "/" + "a" * 100_000,
            str(room.library / ("a" * 300)),
            "/" + "../" * 500 + "etc/passwd",
            str(records),
            str(record),
            str(Path(saved["image_path"]).with_suffix(".json")),
        ):
            error = await call.failure("estimate_cost", image_path=path)
            assert error["code"] in {"invalid_input_image", "image_not_found"}, path[:80]
            assert len(error["error"]) < 600
            assert "prompt" not in error["error"]
        assert room.posts == 1


@pytest.mark.anyio
async def test_options_accept_only_options(room: Room) -> None:
    """
    `options` accepts only options: no files, keys, URLs or limits.
    """
    async with room.connect() as call:
        for name in (
            "reference", "mask", "image", "api_key", "base_url", "client", "idempotency_key",
            "budget", "per_day", "daily_budget", "library", "intent_id", "on_progress", "timeout",
        ):  # fmt: skip
            error = await call.failure("generate_image", prompt="x", options={name: "/etc/passwd"})
            assert error["code"] == "invalid_parameters"
            assert error["option"] == name
        error = await call.failure("generate_image", prompt="x", api_key="sk-secret")
        assert "sk-secret" not in error["error"]
        assert room.posts == 0


@pytest.mark.anyio
async def test_uploads_are_checked(room: Room) -> None:
    """
    An upload that is no base64, no picture, a picture of too many pixels, cut short or too large
    is refused, and nothing is saved; one that is a picture is saved as it is.
    """
    picture = tiny_image(size=(128, 128))
    size = b"IHDR" + struct.pack(">II", 60_000, 60_000) + picture[24:29]
    bomb = picture[:12] + size + struct.pack(">I", zlib.crc32(size)) + picture[33:]
    header = b"\x89PNG\r\n\x1a\n"
    lies = (b"<html>a.png</html>", header + b"x" * 99, picture[:-40], bomb, b"")
    encoded = [base64.b64encode(lie).decode() for lie in lies]
    async with room.connect() as call:
        paths = ("/etc/hostname", "file:///etc/hostname", "https://example.org/a.png", "data:x")
        for data in ("???", "QQ=Q", "A" * 14_000_000, *paths, *encoded):
            error = await call.failure("upload_image", data=data)
            assert error["code"] == "invalid_input_image", data[:60]
            assert len(error["error"]) < 300
        assert (await call.success("list_images"))["images"] == []
        data = "data:image/png;base64," + base64.b64encode(picture).decode()
        saved = await call.success("upload_image", data=data, prompt="a dot")
        assert file_of(saved) == picture
        (listed,) = (await call.success("list_images"))["images"]
        assert (listed["image_id"], listed["prompt"]) == (saved["image_id"], "a dot")


@pytest.mark.anyio
async def test_allowed_folders_are_read(room: Room, tmp_path: Path) -> None:
    """
    Files within an allowed folder are read, and so are links that stay inside.
    """
    folder = tmp_path / "allowed"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.png").write_bytes(tiny_image())
    (folder / "b.png").symlink_to(folder / "deep" / "a.png")
    async with room.connect(allow_dirs=(folder,)) as call:
        for path in (folder / "deep" / "a.png", folder / "b.png"):
            payload = await call.success("edit_image", prompt="x", image_path=str(path))
            assert payload["original_image_path"] == str(path)


@pytest.mark.anyio
async def test_file_that_is_not_an_image_is_rejected(room: Room, tmp_path: Path) -> None:
    """
    A readable file that is not an image is rejected without showing its content.
    """
    folder = tmp_path / "allowed"
    folder.mkdir()
    (folder / "secret.png").write_text("root:x:0:0")
    async with room.connect(allow_dirs=(folder,)) as call:
        error = await call.failure("edit_image", prompt="x", image_path=str(folder / "secret.png"))
        assert error["code"] == "invalid_input_image"
        assert "root:" not in error["error"]
