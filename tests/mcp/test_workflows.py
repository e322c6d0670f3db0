"""
The workflows of the guide of `openai-image-mcp`, end to end through a client, including the files.
"""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from imagesession.testing import tiny_image, tiny_mask
from tests.mcp.serving import Room, images, links, text

pytestmark = pytest.mark.anyio


def open_image(path: str) -> Image.Image:
    """
    Open an image file and decode it completely.
    """
    picture = Image.open(path)
    picture.load()
    return picture


async def test_project_of_several_turns(room: Room) -> None:
    """
    A session generates images that build on each other, reports its status, and is closed.
    """
    async with room.connect() as call:
        session = await call.success(
            "create_image_session", description="Logo for AI company", session_name="Logo"
        )
        assert session["status"] == "active"
        assert session["model"] == "auto"
        ids: list[str] = []
        steps = {
            "minimalist logo": (1024, 1024),
            "more geometric, blue": (1024, 1024),
            "a horizontal version": (1536, 1024),
        }
        for prompt, size in steps.items():
            generated = await call.success(
                "generate_image_in_session", session_id=session["session_id"], prompt=prompt
            )
            assert generated["original_prompt"] == prompt
            assert open_image(generated["image_path"]).size == size
            ids.append(generated["image_id"])
        status = await call.success("get_session_status", session_id=session["session_id"])
        assert status["head_image_id"] == ids[-1]
        assert status["total_generations"] == 3
        assert status["total_conversation_turns"] == 3
        assert status["active"] is True
        assert status["session_name"] == "Logo"
        assert len(status["recent_images"]) == 3
        assert status["cost_usd"] > 0
        sessions = await call.success("list_active_sessions")
        assert [item["session_id"] for item in sessions["sessions"]] == [session["session_id"]]
        assert sessions["total_active"] == 1
        closed = await call.success("close_session", session_id=session["session_id"])
        assert closed["status"] == "closed"
        assert closed["final_image_count"] == 3
        assert (await call.success("list_active_sessions"))["sessions"] == []
        everything = await call.success("list_active_sessions", include_inactive=True)
        assert [item["state"] for item in everything["sessions"]] == ["closed"]


async def test_closed_session_is_reopened(room: Room) -> None:
    """
    A closed session is an error, and is continued with reopen.
    """
    async with room.connect() as call:
        session = (await call.success("create_image_session", description="tea"))["session_id"]
        await call.success("close_session", session_id=session)
        error = await call.failure("generate_image_in_session", session_id=session, prompt="a pot")
        assert error["code"] == "session_closed"
        await call.success(
            "generate_image_in_session", session_id=session, prompt="a pot", reopen=True
        )


async def test_standalone_image_becomes_a_session(room: Room) -> None:
    """
    A standalone image is promoted by its path, as older clients do, and refined with its context.
    """
    async with room.connect() as call:
        first = await call.success("generate_image", prompt="modern office workspace")
        assert first["single_shot"] is True
        promoted = await call.success(
            "promote_image_to_session",
            image_path=first["image_path"],
            session_description="Office workspace refinement project",
            session_name="Office",
        )
        assert promoted["ready_for_refinement"] is True
        assert promoted["original_context"]["prompt"] == "modern office workspace"
        assert promoted["promoted_image"]["generation_id"] == first["image_generation_id"]
        assert len(promoted["next_steps"]) == 3
        second = await call.success(
            "generate_image_in_session",
            session_id=promoted["session_id"],
            prompt="more colourful, with plants",
        )
        assert second["session_context"]["context"] != "fresh"
        assert open_image(second["image_path"]).format == "PNG"


async def test_images_of_openai_image_mcp_are_promoted(room: Room, tmp_path: Path) -> None:
    """
    An image of openai-image-mcp is promoted with the metadata file beside it. Wherever its texts
    are shown, they are marked as not the caller's.
    """
    folder = tmp_path / "generated_images"
    folder.mkdir()
    (folder / "session_1.png").write_bytes(tiny_image())
    (folder / "session_1_metadata.json").write_text('{"original_prompt": "a red barn"}')
    async with room.connect(allow_dirs=(folder,)) as call:
        promoted = await call.success(
            "promote_image_to_session",
            image_path=str(folder / "session_1.png"),
            session_description="",
        )
        assert promoted["original_context"]["prompt"] == "a red barn"
        assert promoted["session_description"] == "a red barn"
        assert "not instructions" in promoted["untrusted"]
        listed = await call.success("list_images")
        assert "not instructions" in listed["images"][0]["untrusted"]
        status = await call.success("get_session_status", session_id=promoted["session_id"])
        assert "not instructions" in status["untrusted"]
        image_uri = f"imagesession://images/{promoted['promoted_image']['image_id']}/metadata"
        session_uri = f"imagesession://sessions/{promoted['session_id']}"
        for uri in (image_uri, session_uri):
            assert "not instructions" in (await call.client.read_resource(uri)).model_dump_json()
        own = await call.success("generate_image", prompt="a barn")
        assert "untrusted" not in own
        again = await call.success("promote_image_to_session", image_path=own["image_id"])
        assert "untrusted" not in again


async def test_references_and_masks(room: Room, tmp_path: Path) -> None:
    """
    Earlier images, files from allowed folders and masks are used as inputs.
    """
    photo, mask = tmp_path / "in" / "photo.png", tmp_path / "in" / "mask.png"
    photo.parent.mkdir()
    photo.write_bytes(tiny_image(size=(256, 256)))
    mask.write_bytes(tiny_mask((256, 256)))
    async with room.connect(allow_dirs=(photo.parent,)) as call:
        session = (await call.success("create_image_session", description="x"))["session_id"]
        generated = await call.success(
            "generate_image_in_session",
            session_id=session,
            prompt="replace the text",
            reference_image_path=str(photo),
            mask_image_path=str(mask),
        )
        edited = await call.success(
            "edit_image",
            image_path=str(photo),
            prompt="a dramatic sky",
            mask_path=str(mask),
            preserve_unmasked=True,
        )
        assert edited["original_image_path"] == str(photo)
        assert Path(edited["image_path"]).parent.name == "edited_images"
        again = await call.success(
            "edit_image",
            image_path=generated["image_path"],
            prompt="same style",
            session_id=session,
        )
        assert again["original_image_id"] == generated["image_id"]
        referenced = await call.success(
            "generate_image", prompt="same style", reference_images=[generated["image_id"]]
        )
        assert referenced["success"]


async def test_product_images(room: Room) -> None:
    """
    Several variations are returned in order, in a folder named after the product.
    """
    async with room.connect() as call:
        result = await call(
            "generate_product_image",
            product_description="ceramic mug",
            background_type="lifestyle",
            angle="45deg",
            batch_count=3,
        )
        payload = text(result)
        assert payload["batch_count"] == 3
        assert payload["angle"] == "three-quarter"
        assert payload["lighting"] == "studio"
        assert payload["product_description"] == "ceramic mug"
        assert len({item["image_path"] for item in payload["results"]}) == 3
        for item in payload["results"]:
            assert Path(item["image_path"]).parent.name == "ceramic_mug"
            open_image(item["image_path"])
        assert len(images(result)) == 3
        assert links(result) == []


async def test_batch_has_an_error_for_each_failed_image(room: Room) -> None:
    """
    `results` has an error for each failed image; a batch without any image is an error.
    """
    async with room.connect() as call:
        room.provider.refuse_next("No.")
        room.provider.refuse_next("No.")
        payload = await call.success(
            "generate_product_image", product_description="mug", batch_count=3
        )
        assert payload["success"] is False
        assert sorted(item["success"] for item in payload["results"]) == [False, False, True]
        assert payload["summary"] == "1 of 3 images were made."
        room.provider.refuse_next("I would rather not.")
        error = await call("generate_product_image", product_description="mug")
        assert error.is_error
        assert text(error)["code"] in {"refused", "moderation_blocked"}


async def test_ui_assets(room: Room) -> None:
    """
    Results name the asset's parameters, also for buttons.
    """
    async with room.connect() as call:
        for asset in ("icon", "button"):
            payload = await call.success(
                "generate_ui_asset", asset_type=asset, description="home", theme="playful"
            )
            assert payload["asset_type"] == asset
            assert payload["theme"] == "playful"
            assert payload["style_preset"] == "flat"
            assert payload["size_preset"] == "standard"
            assert asset in payload["ui_asset_summary"]
            open_image(payload["image_path"])


async def test_improve(room: Room) -> None:
    """
    Improving returns the findings and an image; analyzing returns only findings.
    """
    async with room.connect() as call:
        first = await call.success("generate_image", prompt="a dull lamp")
        analysis = await call.success(
            "analyze_and_improve_image",
            image_path=first["image_id"],
            improvement_goals="brighter",
            analyze_only=True,
        )
        assert isinstance(analysis["findings"], list)
        improved = await call.success(
            "analyze_and_improve_image",
            image_path=first["image_path"],
            improvement_goals="brighter",
            preserve_elements="the lamp",
        )
        assert improved["improvement_goals"] == "brighter"
        assert improved["preserved_elements"] == "the lamp"
        assert isinstance(improved["findings"], list)
        assert improved["analysis_summary"]
        assert improved["original_image_id"] == first["image_id"]
        open_image(improved["image_path"])


async def test_undo_redo_branch_and_checkout(room: Room) -> None:
    """
    Branching, undo, redo and checkout each return the new head.
    """
    async with room.connect() as call:
        session = (await call.success("create_image_session", description="x"))["session_id"]
        ids = [
            (await call.success("generate_image_in_session", session_id=session, prompt=prompt))[
                "image_id"
            ]
            for prompt in ("a", "b", "c")
        ]
        moved = partial(call.success, "navigate_session", session_id=session)
        after_undo = await moved(action="undo", steps=2)
        assert after_undo["head_image_id"] == ids[0]
        after_redo = await moved(action="redo")
        assert after_redo["head_image_id"] == ids[1]
        after_checkout = await moved(action="checkout", at=ids[2])
        assert after_checkout["head_image_id"] == ids[2]
        branch = await moved(action="branch", at=ids[0], name="night")
        assert (branch["branch"], branch["head_image_id"]) == ("night", ids[0])
        generated = await call.success(
            "generate_image_in_session", session_id=session, prompt="d", branch="night"
        )
        assert generated["session_context"]["branch"] == "night"
        status = await call.success("get_session_status", session_id=session, branch="night")
        assert set(status["branches"]) == {"main", "night"}
        for wrong in ({"action": "checkout"}, {"action": "back"}):
            error = await call.failure("navigate_session", session_id=session, **wrong)
            assert "undo, redo, checkout, branch" in error["error"]


async def test_delete_and_restore(room: Room) -> None:
    """
    A deleted image is in the bin, from which it is brought back; errors about it name the way. No
    tool empties the bin.
    """
    async with room.connect() as call:
        session = (await call.success("create_image_session", description="x"))["session_id"]
        turn = {"session_id": session}
        kept = await call.success("generate_image_in_session", **turn, prompt="a")
        image = await call.success("generate_image_in_session", **turn, prompt="b")
        await call.success("mark_image", image_id=image["image_id"], deleted=True)
        status = await call.success("get_session_status", **turn)
        assert status["head_image_id"] == kept["image_id"]
        (deleted,) = (await call.success("list_images", deleted=True))["images"]
        assert deleted["image_id"] == image["image_id"]
        for name in ("view_image", "mark_image"):
            error = (await call.failure(name, image_id=image["image_id"]))["error"]
            assert "mark_image, image_id" in error
            assert "deleted false" in error
        await call.success("mark_image", image_id=image["image_id"], deleted=False)
        assert images(await call("view_image", image_id=image["image_id"]))
        assert (await call.success("list_images", deleted=True))["images"] == []
        error = await call.failure("mark_image", image_id="nope")
        assert error["code"] == "image_not_found"


async def test_stars_and_tags(room: Room) -> None:
    """
    A star and tags are set, replaced and removed without deleting anything, and images are found by
    them.
    """
    async with room.connect() as call:
        image, other = [
            (await call.success("generate_image", prompt=prompt))["image_id"] for prompt in "ab"
        ]
        marks = await call.success("mark_image", image_id=image, starred=True, tags=["tea", "logo"])
        assert (marks["starred"], marks["tags"], marks["deleted"]) == (True, ["logo", "tea"], False)
        await call.success("mark_image", image_id=other, tags=["tea"])
        for query, found in (
            ({"starred": True}, [image]),
            ({"starred": False}, [other]),
            ({"tags": ["tea"]}, [other, image]),
            ({"tags": ["tea", "logo"]}, [image]),
        ):
            listed = await call.success("list_images", detailed=True, **query)
            assert [item["image_id"] for item in listed["images"]] == found
        assert listed["images"][0]["starred"] is True
        marks = await call.success("mark_image", image_id=image, starred=False, tags=["pot"])
        assert (marks["starred"], marks["tags"]) == (False, ["pot"])
        error = await call.failure("mark_image", image_id=image, tags=["a\nb"])
        assert error["code"] == "invalid_parameters"
        assert (await call.success("mark_image", image_id=image))["tags"] == ["pot"]


async def test_list_and_view(room: Room) -> None:
    """
    Images are listed page by page and viewed again.
    """
    async with room.connect() as call:
        for prompt in ("a fox", "a hare", "a fox at night"):
            await call.success("generate_image", prompt=prompt)
        page = await call.success("list_images", limit=2)
        next_page = await call.success("list_images", limit=2, before=page["before"])
        assert [item["prompt"] for item in page["images"] + next_page["images"]] == [
            "a fox at night",
            "a hare",
            "a fox",
        ]
        assert next_page["before"] is None
        foxes = await call.success("list_images", text="fox")
        assert len(foxes["images"]) == 2
        view = await call("view_image", image_id=page["images"][0]["image_id"], max_side=128)
        assert max(decode_image(images(view)[0]).size) == 128


async def test_estimate_stats_and_guide(room: Room) -> None:
    """
    The estimate, the statistics and the guide are consistent.
    """
    async with room.connect() as call:
        price = await call.success("estimate_cost", quality="low", size="1024x1024", count=2)
        assert 0 < price["low_usd"] <= price["high_usd"]
        await call.success("generate_image", prompt="a fox", quality="low", size="1024x1024")
        stats = await call.success("get_server_stats")
        assert stats["total_images_generated"] == 1
        assert 0 < stats["spent_today_usd"] <= price["high_usd"]
        assert stats["daily_budget_usd"] == 5.0
        guide = await call.success("get_usage_guide")
        assert guide["total_tools"] == len((await call.client.list_tools()).tools)
        for tool in (await call.client.list_tools()).tools:
            assert f"`{tool.name}`" in guide["guide_content"]


def decode_image(data: bytes) -> Image.Image:
    """
    Decode a preview completely.
    """
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture
