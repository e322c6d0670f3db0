"""
Long work: it outlives its call, is found again, is paid for once, and can be stopped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise

import anyio
import pytest

from imagesession_mcp import context, tasks
from imagesession_mcp.tasks import no_time_limit
from tests.mcp.serving import Caller, Room, images, text

pytestmark = pytest.mark.anyio


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """
    Wait until something is so.
    """
    with anyio.fail_after(60):
        while not await condition():  # noqa: ASYNC110 - only the server knows
            await asyncio.sleep(0.02)


async def made(call: Caller) -> int:
    """
    Return how many pictures there are.
    """
    return len((await call.told("list_images"))["images"])


async def test_progress_comes_from_the_first_moment_and_rises(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A client hears at once that something is done, and again while it goes on.
    """
    monkeypatch.setattr(context, "HEARTBEAT", 0.01)
    room.provider.latency = 0.5
    async with room.calling() as call:
        await call.told("generate_image", prompt="a fox")
        beats = [progress for progress, _ in call.progress]
        assert call.progress[0][1].startswith("preparing")
        assert len(beats) >= 4
        assert all(one < other for one, other in pairwise(beats))
        assert any("drawing" in message for _, message in call.progress)


async def test_heartbeats_are_rare() -> None:
    """
    They come every five seconds and no more often.
    """
    assert context.HEARTBEAT == 5.0


async def test_unfinished_pictures_are_told_where_they_are_wanted(room: Room) -> None:
    """
    Each that comes is a step of progress, at once.
    """
    async with room.calling() as call:
        await call.told("generate_image", prompt="a fox", partial_images=2)
        told = [message for _, message in call.progress if "unfinished picture" in message]
        assert len(told) >= 1


async def test_a_call_hands_over_and_the_picture_is_fetched_later(room: Room) -> None:
    """
    When time is up the call says how to come back, and the picture comes as it would have come.
    """
    room.provider.latency = 0.6
    async with room.calling(wait_seconds=0.1) as call:
        waiting = await call.told("generate_image", prompt="a fox")
        assert waiting["status"] == "running"
        assert waiting["generation_id"] in waiting["next"]
        stats = await call.told("get_server_stats")
        assert stats["running_generations"] == [waiting["generation_id"]]
        again = await call.told("get_generation", generation_id=waiting["generation_id"])
        assert again["status"] == "running"
        await until(lambda: _is_there(call))
        result = await call("get_generation", generation_id=waiting["generation_id"])
        assert text(result)["original_prompt"] == "a fox"
        assert images(result)
        assert room.posts == 1


async def _is_there(call: Caller) -> bool:
    return await made(call) == 1


async def test_a_client_that_has_tasks_waits_as_long_as_it_takes(room: Room) -> None:
    """
    There is no handing over where the protocol itself takes care of it.
    """
    room.provider.latency = 0.3
    token = no_time_limit.set(True)
    try:
        async with room.calling(wait_seconds=0.05) as call:
            assert "image_id" in await call.told("generate_image", prompt="a fox")
    finally:
        no_time_limit.reset(token)


async def test_what_a_client_gives_up_is_finished_and_kept(room: Room) -> None:
    """
    A call that is cancelled stops waiting; its picture is paid for and kept.
    """
    room.provider.latency = 0.5
    async with room.calling() as call:
        calling = asyncio.create_task(call("generate_image", prompt="a fox", request_id="r1"))
        await until(lambda: _asked(room))
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        told = await call.told("get_generation", generation_id="r1")
        assert told["original_prompt"] == "a fox"
        assert room.posts == 1


async def _asked(room: Room) -> bool:
    return room.posts > 0


async def test_a_repeated_call_is_paid_for_once(room: Room) -> None:
    """
    The same request_id gives the same picture: at once, later, and after the server was started
    anew.
    """
    room.provider.latency = 0.2
    asked = {"prompt": "a fox", "request_id": "r1"}
    async with room.calling() as call:
        one, two = await asyncio.gather(
            call.told("generate_image", **asked), call.told("generate_image", **asked)
        )
        three = await call.told("generate_image", **asked, preview=False)
    async with room.calling() as call:
        four = await call.told("generate_image", **asked)
    assert len({known["image_id"] for known in (one, two, three, four)}) == 1
    assert room.posts == 1


@pytest.mark.parametrize(
    "name, asked, posts",
    [
        ("edit_image", {"prompt": "bluer", "image_path": "I"}, 1),
        ("generate_product_image", {"product_description": "mug", "batch_count": 2}, 2),
        ("generate_ui_asset", {"asset_type": "icon", "description": "home"}, 1),
        ("analyze_and_improve_image", {"improvement_goals": "brighter", "image_path": "I"}, 2),
        ("generate_image_in_session", {"prompt": "a pot", "session_id": "S"}, 1),
    ],
)
async def test_every_paid_tool_is_paid_for_once(
    room: Room, name: str, asked: dict[str, object], posts: int
) -> None:
    """
    So it is with every tool that draws, across servers too, and get_generation finds all of it.
    """
    async with room.calling() as call:
        image = (await call.told("generate_image", prompt="a fox"))["image_id"]
        session = (await call.told("create_image_session", description="x"))["session_id"]
        before = room.posts
        filled = {
            key: {"I": image, "S": session}.get(str(value), value) for key, value in asked.items()
        }
        first = await call.told(name, **filled, request_id="r")
    async with room.calling() as call:
        second = await call.told(name, **filled, request_id="r")
        assert room.posts - before == posts
        later = await call.told("get_generation", generation_id="r")
    for told in (first, second, later):
        told.pop("original_image_path", None)
        told.pop("original_image_id", None)
    assert first == second == later


async def test_a_batch_is_completed_under_its_name(room: Room) -> None:
    """
    Asked for again under its name, a batch of which something failed is made where it is missing.
    """
    room.provider.refuse_next("No.")
    asked = {"product_description": "mug", "batch_count": 3, "request_id": "r"}
    async with room.calling() as call:
        first = await call.told("generate_product_image", **asked)
        second = await call.told("generate_product_image", **asked)
    assert (first["success"], second["success"]) == (False, True)
    assert room.posts == 4
    known = {one["image_id"] for one in first["results"] if one["success"]}
    assert known < {one["image_id"] for one in second["results"]}


async def test_a_name_is_for_one_call(room: Room) -> None:
    """
    Something else under a request_id that was used is refused, and nothing is sent.
    """
    async with room.calling() as call:
        await call.told("generate_image", prompt="a fox", request_id="r1")
        said = await call.refused("generate_image", prompt="a hare", request_id="r1")
        assert said["code"] == "request_id_reused"
    async with room.calling() as call:
        said = await call.refused("generate_image", prompt="a hare", request_id="r1")
        assert said["code"] == "invalid_parameters"
        assert room.posts == 1


async def test_a_failure_may_be_tried_again_under_its_name(room: Room) -> None:
    """
    What brought no picture is asked for again, and does not stand in the way.
    """
    room.provider.block_next()
    async with room.calling() as call:
        said = await call.refused("generate_image", prompt="a fox", request_id="r1")
        assert said["code"] == "moderation_blocked"
        later = await call.refused("get_generation", generation_id="r1")
        assert later["code"] == "moderation_blocked"
        assert "image_id" in await call.told("generate_image", prompt="a fox", request_id="r1")


async def test_a_picture_is_stopped(room: Room) -> None:
    """
    cancel_generation ends the work, says so, and whoever waits is told.
    """
    room.provider.latency = 5.0
    async with room.calling(wait_seconds=0.1) as call:
        started = await call.told("generate_image", prompt="a fox", request_id="r1")
        assert started["status"] == "running"
        begun = time.monotonic()
        stopped = await call.told("cancel_generation", generation_id="r1")
        assert stopped["status"] in {"cancelled", "failed"}
        assert stopped["image_ids"] == []
        assert time.monotonic() - begun < 4.5
        assert (await call.told("get_server_stats"))["running_generations"] == []
        await call.refused("get_generation", generation_id="r1")


async def test_stopping_what_is_finished_tells_its_picture(room: Room) -> None:
    """
    What is finished stays, and what never was is not found.
    """
    async with room.calling() as call:
        made_before = await call.told("generate_image", prompt="a fox", request_id="r1")
        stopped = await call.told("cancel_generation", generation_id="r1")
        assert stopped["status"] == "completed"
        assert stopped["image_ids"] == [made_before["image_id"]]
    async with room.calling() as call:
        assert (await call.told("cancel_generation", generation_id="r1"))["status"] == "completed"
        said = await call.refused("cancel_generation", generation_id="r2")
        assert said["code"] == "generation_not_found"
        said = await call.refused("get_generation", generation_id="r2")
        assert said["code"] == "generation_not_found"


async def test_what_a_stopped_server_left_is_found_by_the_next(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A server that stops leaves what is under way to the next one, which fetches it and pays nothing.
    """
    monkeypatch.setattr(tasks, "STOP_TIMEOUT", 0.1)
    room.provider.latency = 0.6
    async with room.calling(wait_seconds=0.2) as call:
        started = await call.told("generate_image", prompt="a fox", request_id="r1")
        assert started["status"] == "running"
    async with room.calling() as call:
        told = await call.told("get_generation", generation_id="r1")
        assert told["original_prompt"] == "a fox"
        repeated = await call.told("generate_image", prompt="a fox", request_id="r1")
        assert repeated["image_id"] == told["image_id"]
        assert room.posts == 1


async def test_what_is_not_settled_yet_is_not_asked_for_again(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    While the provider still draws what an earlier run asked for, get_generation says so, and the
    repeated call is refused instead of paid for.
    """
    monkeypatch.setattr(tasks, "STOP_TIMEOUT", 0.1)
    monkeypatch.setattr(context, "RECONCILE_TIMEOUT", 0.1)
    room.provider.latency = 4.0
    asked = {"prompt": "a fox", "request_id": "r1"}
    async with room.calling(wait_seconds=0.3) as call:
        await call.told("generate_image", **asked)
    async with room.calling(wait_seconds=0.1) as call:
        waiting = await call.told("get_generation", generation_id="r1")
        assert waiting["status"] == "running"
        assert waiting["generation_id"] == "r1"
    async with room.calling() as call:
        said = await call.refused("generate_image", **asked)
        assert said["code"] == "still_pending"
        assert room.posts == 1


async def test_what_failed_cannot_be_stopped(room: Room) -> None:
    """
    cancel_generation says how it ended instead.
    """
    room.provider.block_next()
    async with room.calling() as call:
        await call.refused("generate_image", prompt="a fox", request_id="r1")
        stopped = await call.told("cancel_generation", generation_id="r1")
        assert stopped["status"] == "failed"
        assert stopped["image_ids"] == []


async def test_the_next_server_recovers_by_itself(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Nobody has to ask for it.
    """
    monkeypatch.setattr(tasks, "STOP_TIMEOUT", 0.1)
    room.provider.latency = 0.5
    async with room.calling(wait_seconds=0.2) as call:
        await call.told("generate_image", prompt="a fox")
    async with room.calling() as call:
        await until(lambda: _is_there(call))
        assert room.posts == 1


async def test_short_work_is_finished_when_the_server_stops(room: Room) -> None:
    """
    What needs a moment more gets it.
    """
    room.provider.latency = 0.5
    async with room.calling(wait_seconds=0.1) as call:
        await call.told("generate_image", prompt="a fox", request_id="r1")
    async with room.calling() as call:
        assert await made(call) == 1


async def test_many_are_made_side_by_side_and_nothing_blocks(room: Room) -> None:
    """
    Sixteen at a time take as long as one, and everything else is answered meanwhile.
    """
    room.provider.latency = 1.0
    async with room.calling() as call:
        await call.told("get_server_stats")
        begun = time.monotonic()
        drawing = [
            asyncio.create_task(call.told("generate_image", prompt=f"fox {number}"))
            for number in range(16)
        ]
        await until(lambda: _asked(room))
        await call.told("get_server_stats")
        assert not all(task.done() for task in drawing)
        await asyncio.gather(*drawing)
        assert time.monotonic() - begun < len(drawing) * room.provider.latency / 2


async def test_the_daily_budget_holds(room: Room) -> None:
    """
    What could exceed it is not sent, and the answer says who can raise it.
    """
    async with room.calling(daily_budget=0.001) as call:
        said = await call.refused("generate_image", prompt="a fox")
        assert said["code"] == "budget_exceeded"
        assert "--daily-budget" in said["error"]
        assert room.posts == 0
        assert (await call.told("get_server_stats"))["daily_budget_usd"] == 0.001
