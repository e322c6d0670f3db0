"""
The size and content of results: short text, a small preview, never a full-size image.
"""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import pytest
from mcp.types import TextContent
from PIL import Image

from imagesession.testing import tiny_image
from tests.mcp.serving import Room, file_of, images, links, remove, text

pytestmark = pytest.mark.anyio
FORMATS = {"PNG", "JPEG", "WEBP"}


def noise(size: tuple[int, int]) -> bytes:
    """
    Make an image that compresses badly.
    """
    buffer = io.BytesIO()
    Image.effect_noise(size, 120).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.detailed
async def test_result_of_one_image_is_small(room: Room) -> None:
    """
    A result has at most 110 kB with its preview, and a text of 200 tokens at 2.85 bytes each, as
    measured with gpt-tokenizer; long prompts are cut.
    """
    async with room.connect() as call:
        for prompt, picture in (("a fox", None), ("long " * 2000, noise((1024, 1024)))):
            if picture is not None:
                room.provider.respond_next(image=picture)
            result = await call("generate_image", prompt=prompt)
            assert len(result.model_dump_json()) <= 110_000
            assert sum(len(item.data) for item in result.content if item.type == "image") <= 100_000
            assert len(images(result)) == 1
            preview_image = Image.open(io.BytesIO(images(result)[0]))
            assert preview_image.format in FORMATS
            assert max(preview_image.size) <= 512
            payload = json.dumps(text(result), separators=(",", ":"))
            folder = text(result)["image_path"].rpartition("/general/")[0]
            assert len(payload) - len(folder) <= (570 if picture is None else 640)


@pytest.mark.detailed
async def test_results_of_all_generating_tools_are_small(room: Room) -> None:
    """
    Results of every generating tool are small; the images of a batch share the limit.
    """
    long_text = "words " * 300
    async with room.connect() as call:
        session = (await call.success("create_image_session", description=long_text))["session_id"]
        for name, arguments in (
            ("generate_image_in_session", {"session_id": session, "prompt": long_text}),
            ("edit_image", {"session_id": session, "prompt": long_text}),
            ("generate_ui_asset", {"asset_type": "hero", "description": long_text}),
        ):
            assert len(json.dumps(text(await call(name, **arguments)))) <= 2_000, name
        batch = await call("generate_product_image", product_description="mug", batch_count=4)
        assert len(batch.model_dump_json(exclude_none=True)) <= 110_000
        assert len(images(batch)) == 4


@pytest.mark.detailed
async def test_preview_size_is_a_setting(room: Room) -> None:
    """
    Previews respect the configured limit, and 0 disables them.
    """
    async with room.connect(preview_bytes=4_000) as call:
        result = await call("generate_image", prompt="a fox")
        assert 0 < len(images(result)[0]) <= 4_000
    async with room.connect(preview_bytes=0) as call:
        result = await call("generate_image", prompt="a fox")
        assert images(result) == []
        preview_image = await call("view_image", image_id=text(result)["image_id"])
        assert len(images(preview_image)) == 1


async def test_link_is_the_full_size_image(room: Room) -> None:
    """
    A result names the resource of its image; a link to it, which some frameworks take for an URL,
    is added only if the server is asked to.
    """
    async with room.connect() as call:
        assert links(await call("generate_image", prompt="a hare")) == []
    async with room.connect(links=True) as call:
        result = await call("generate_image", prompt="a fox")
        payload, link = text(result), links(result)[0]
        assert link.uri == payload["uri"] == f"imagesession://images/{payload['image_id']}"
        assert link.size == len(file_of(payload))
        assert link.mime_type == "image/png"
        assert link.annotations is not None
        assert link.annotations.audience == ["user"]
        assert result.structured_content is None
        assert Path(payload["image_path"]).is_absolute()
        assert payload["cost_usd"] > 0


async def test_picture_can_come_first(room: Room) -> None:
    """
    If the server is asked to, results begin with their pictures, and end with their text.
    """
    async with room.connect(image_first=True) as call:
        single = await call("generate_image", prompt="a hare")
        batch = await call("generate_product_image", product_description="mug", batch_count=2)
        assert [block.type for block in single.content] == ["image", "text"]
        assert [block.type for block in batch.content] == ["image", "image", "text"]


async def test_svg_is_not_shown_unsafely(room: Room) -> None:
    """
    Its preview, view_image and its resource return a raster rendering.
    """
    async with room.connect() as call:
        result = await call("generate_image", prompt="a fox", options={"output_format": "svg"})
        payload = text(result)
        assert payload["image_path"].endswith(".svg")
        preview_image = await call("view_image", image_id=payload["image_id"])
        for picture in (result, preview_image):
            (preview,) = images(picture)
            assert Image.open(io.BytesIO(preview)).format == "JPEG"
        contents = (await call.client.read_resource(payload["uri"])).contents[0]
        assert contents.mime_type == "image/png"
        data = base64.b64decode(contents.blob)  # type: ignore[union-attr] # pyright: ignore[reportAttributeAccessIssue] - it is bytes
        assert Image.open(io.BytesIO(data)).format == "PNG"


async def test_preview_keeps_transparency(room: Room) -> None:
    """
    The preview of a transparent image is transparent.
    """
    clear = io.BytesIO()
    Image.new("RGBA", (1024, 1024), (200, 0, 0, 0)).save(clear, "PNG")
    async with room.connect() as call:
        room.provider.respond_next(image=clear.getvalue())
        result = await call("generate_image", prompt="a logo", background="transparent")
        preview_image = Image.open(io.BytesIO(images(result)[0]))
        assert preview_image.convert("RGBA").getchannel("A").getextrema() == (0, 0)


async def test_missing_file_keeps_its_metadata(room: Room) -> None:
    """
    If the file is missing, the result has its metadata without a preview.
    """
    async with room.connect() as call:
        payload = await call.success("generate_image", prompt="a fox", request_id="r")
        remove(payload)
        result = await call("get_generation", generation_id="r")
        assert text(result)["image_id"] == payload["image_id"]
        assert images(result) == []


async def test_lists_are_short(room: Room) -> None:
    """
    A list of thirty images has at most 1,500 tokens, at 3.4 bytes each; its ids can be typed, in
    any case, wherever an image is named; the details are there on demand.
    """
    async with room.connect(daily_budget=None) as call:
        for number in range(30):
            await call.success("generate_image", prompt=f"{number} modern office workspaces " * 9)
        page = await call.success("list_images", limit=30)
        assert len(json.dumps(page, ensure_ascii=False, separators=(",", ":"))) <= 5_100
        ids = [image["image_id"] for image in page["images"]]
        assert len(set(ids)) == 30
        assert all(re.fullmatch("[0-9A-Z]{8}", image_id) for image_id in ids)
        seen = await call.success("view_image", image_id=ids[3].lower())
        assert seen["image_id"] == ids[3]
        await call.success("edit_image", prompt="bluer", image_path=ids[3])
        older = await call.success("list_images", before=ids[3], limit=2, detailed=True)
        assert [image["image_id"] for image in older["images"]] == ids[4:6]
        assert all(file_of(image) for image in older["images"])


async def test_view_is_as_large_as_asked(room: Room) -> None:
    """
    view_image returns the image before its text, in a size that follows the edge asked for.
    """
    async with room.connect() as call:
        room.provider.respond_next(image=noise((1536, 1536)))
        image = await call.success("generate_image", prompt="noise")
        edges: list[int] = []
        for side, most in ((128, 75_000), (768, 75_000), (1536, 300_000)):
            view = await call("view_image", image_id=image["image_id"], max_side=side)
            assert [block.type for block in view.content] == ["image", "text"]
            assert len(images(view)[0]) <= most
            edges.append(max(Image.open(io.BytesIO(images(view)[0])).size))
        assert edges[0] == 128
        assert edges[1] < edges[2] <= 1536


async def test_animation_is_shown_as_a_picture(room: Room) -> None:
    """
    The preview of an animation is its first frame, in a format that every client shows.
    """
    frames = io.BytesIO()
    colours = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    colours[0].save(frames, "GIF", save_all=True, append_images=colours[1:])
    async with room.connect() as call:
        room.provider.respond_next(image=frames.getvalue())
        result = await call("generate_image", prompt="a dot", options={"output_format": "gif"})
        (preview,) = images(result)
        assert Image.open(io.BytesIO(preview)).format in FORMATS


async def test_texts_contain_no_image_data(room: Room) -> None:
    """
    No text of a result has a long run of base64.
    """
    async with room.connect() as call:
        result = await call("generate_image", prompt="a fox")
        for block in result.content:
            if isinstance(block, TextContent):
                assert max(map(len, block.text.replace('"', " ").split())) < 600


async def test_small_images_are_their_own_preview(room: Room) -> None:
    """
    A small image is returned unchanged as its preview.
    """
    small = tiny_image(size=(64, 64))
    async with room.connect() as call:
        room.provider.respond_next(image=small)
        result = await call("generate_image", prompt="a dot")
        assert images(result) == [small]
