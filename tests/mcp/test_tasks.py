"""
Long work: it outlives its call, is found again, is paid for once, and can be stopped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
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
    return len((await call.success("list_images"))["images"])


async def test_progress_starts_at_once_and_increases(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A client hears at once that something is done, and again while it goes on.
    """
    monkeypatch.setattr(context, "HEARTBEAT", 0.01)
    room.provider.latency = 0.5
    async with room.calling() as call:
        await call.success("generate_image", prompt="a fox")
        beats = [progress for progress, _ in call.progress]
        assert call.progress[0][1].startswith("preparing")
        assert len(beats) >= 4
        assert all(item < other for item, other in pairwise(beats))
        assert any("generating" in message for _, message in call.progress)


async def test_heartbeat_interval() -> None:
    """
    They come every five seconds and no more often.
    """
    assert context.HEARTBEAT == 5.0


async def test_partial_images_are_reported_as_progress(room: Room) -> None:
    """
    Each that comes is a step of progress, at once.
    """
    async with room.calling() as call:
        await call.success("generate_image", prompt="a fox", partial_images=2)
        payload = [message for _, message in call.progress if "unfinished picture" in message]
        assert len(payload) >= 1


async def test_slow_call_returns_a_handle(room: Room) -> None:
    """
    When time is up the call says how to come back, and the picture comes as it would have come.
    """
    room.provider.latency = 0.6
    async with room.calling(wait_seconds=0.1) as call:
        waiting = await call.success("generate_image", prompt="a fox")
        assert waiting["status"] == "running"
        assert waiting["generation_id"] in waiting["next"]
        stats = await call.success("get_server_stats")
        assert stats["running_generations"] == [waiting["generation_id"]]
        again = await call.success("get_generation", generation_id=waiting["generation_id"])
        assert again["status"] == "running"
        await until(lambda: _is_there(call))
        result = await call("get_generation", generation_id=waiting["generation_id"])
        assert text(result)["original_prompt"] == "a fox"
        assert images(result)
        assert room.posts == 1


async def _is_there(call: Caller) -> bool:
    return await made(call) == 1


async def test_call_without_time_limit_returns_no_handle(room: Room) -> None:
    """
    There is no handing over where the protocol itself takes care of it.
    """
    room.provider.latency = 0.3
    token = no_time_limit.set(True)
    try:
        async with room.calling(wait_seconds=0.05) as call:
            assert "image_id" in await call.success("generate_image", prompt="a fox")
    finally:
        no_time_limit.reset(token)


async def test_cancelled_call_finishes_its_picture(room: Room) -> None:
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
        payload = await call.success("get_generation", generation_id="r1")
        assert payload["original_prompt"] == "a fox"
        assert room.posts == 1


async def _asked(room: Room) -> bool:
    return room.posts > 0


async def test_repeated_call_is_paid_for_once(room: Room) -> None:
    """
    The same request_id gives the same picture: at once, later, and after the server was started
    anew.
    """
    room.provider.latency = 0.2
    arguments = {"prompt": "a fox", "request_id": "r1"}
    async with room.calling() as call:
        item, two = await asyncio.gather(
            call.success("generate_image", **arguments), call.success("generate_image", **arguments)
        )
        three = await call.success("generate_image", **arguments, preview=False)
    async with room.calling() as call:
        four = await call.success("generate_image", **arguments)
    assert len({known["image_id"] for known in (item, two, three, four)}) == 1
    assert room.posts == 1


@pytest.mark.parametrize(
    "name, arguments, posts",
    [
        ("edit_image", {"prompt": "bluer", "image_path": "I"}, 1),
        ("generate_product_image", {"product_description": "mug", "batch_count": 2}, 2),
        ("generate_ui_asset", {"asset_type": "icon", "description": "home"}, 1),
        ("analyze_and_improve_image", {"improvement_goals": "brighter", "image_path": "I"}, 2),
        ("generate_image_in_session", {"prompt": "a pot", "session_id": "S"}, 1),
    ],
)
async def test_every_paid_tool_is_idempotent(
    room: Room, name: str, arguments: dict[str, object], posts: int
) -> None:
    """
    So it is with every tool that draws, across servers too, and get_generation finds all of it.
    """
    async with room.calling() as call:
        image = (await call.success("generate_image", prompt="a fox"))["image_id"]
        session = (await call.success("create_image_session", description="x"))["session_id"]
        before = room.posts
        filled = {
            key: {"I": image, "S": session}.get(str(value), value)
            for key, value in arguments.items()
        }
        first = await call.success(name, **filled, request_id="r")
    async with room.calling() as call:
        second = await call.success(name, **filled, request_id="r")
        assert room.posts - before == posts
        later = await call.success("get_generation", generation_id="r")
    for payload in (first, second, later):
        payload.pop("original_image_path", None)
        payload.pop("original_image_id", None)
    assert first == second == later


async def test_repeated_batch_generates_what_is_missing(room: Room) -> None:
    """
    Asked for again under its name, a batch of which something failed is made where it is missing.
    """
    room.provider.refuse_next("No.")
    arguments = {"product_description": "mug", "batch_count": 3, "request_id": "r"}
    async with room.calling() as call:
        first = await call.success("generate_product_image", **arguments)
        second = await call.success("generate_product_image", **arguments)
    assert (first["success"], second["success"]) == (False, True)
    assert room.posts == 4
    known = {item["image_id"] for item in first["results"] if item["success"]}
    assert known < {item["image_id"] for item in second["results"]}


async def test_request_id_is_for_one_call(room: Room) -> None:
    """
    Something else under a request_id that was used is refused, and nothing is sent.
    """
    async with room.calling() as call:
        await call.success("generate_image", prompt="a fox", request_id="r1")
        error = await call.failure("generate_image", prompt="a hare", request_id="r1")
        assert error["code"] == "request_id_reused"
    async with room.calling() as call:
        error = await call.failure("generate_image", prompt="a hare", request_id="r1")
        assert error["code"] == "invalid_parameters"
        assert room.posts == 1


async def test_failed_call_can_be_repeated(room: Room) -> None:
    """
    What brought no picture is asked for again, and does not stand in the way.
    """
    room.provider.moderate_next()
    async with room.calling() as call:
        error = await call.failure("generate_image", prompt="a fox", request_id="r1")
        assert error["code"] == "moderation_blocked"
        later = await call.failure("get_generation", generation_id="r1")
        assert later["code"] == "moderation_blocked"
        assert "image_id" in await call.success("generate_image", prompt="a fox", request_id="r1")


async def test_generation_is_cancelled(room: Room) -> None:
    """
    cancel_generation ends the work, says so, and whoever waits is told.
    """
    room.provider.latency = 5.0
    async with room.calling(wait_seconds=0.1) as call:
        started = await call.success("generate_image", prompt="a fox", request_id="r1")
        assert started["status"] == "running"
        begun = time.monotonic()
        stopped = await call.success("cancel_generation", generation_id="r1")
        assert stopped["status"] in {"cancelled", "failed"}
        assert stopped["image_ids"] == []
        assert time.monotonic() - begun < 4.5
        assert (await call.success("get_server_stats"))["running_generations"] == []
        await call.failure("get_generation", generation_id="r1")


async def test_cancelling_a_finished_generation_names_its_picture(room: Room) -> None:
    """
    What is finished stays, and what never was is not found.
    """
    async with room.calling() as call:
        made_before = await call.success("generate_image", prompt="a fox", request_id="r1")
        stopped = await call.success("cancel_generation", generation_id="r1")
        assert stopped["status"] == "completed"
        assert stopped["image_ids"] == [made_before["image_id"]]
    async with room.calling() as call:
        assert (await call.success("cancel_generation", generation_id="r1"))[
            "status"
        ] == "completed"
        error = await call.failure("cancel_generation", generation_id="r2")
        assert error["code"] == "generation_not_found"
        error = await call.failure("get_generation", generation_id="r2")
        assert error["code"] == "generation_not_found"


async def test_next_server_finds_a_stopped_ones_picture(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A server that stops leaves what is under way to the next one, which fetches it and pays nothing.
    """
    monkeypatch.setattr(tasks, "STOP_TIMEOUT", 0.1)
    room.provider.latency = 0.6
    async with room.calling(wait_seconds=0.2) as call:
        started = await call.success("generate_image", prompt="a fox", request_id="r1")
        assert started["status"] == "running"
    async with room.calling() as call:
        payload = await call.success("get_generation", generation_id="r1")
        assert payload["original_prompt"] == "a fox"
        repeated = await call.success("generate_image", prompt="a fox", request_id="r1")
        assert repeated["image_id"] == payload["image_id"]
        assert room.posts == 1


async def test_pending_generation_is_not_sent_again(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    While the provider still draws what an earlier run asked for, get_generation says so, and the
    repeated call is refused instead of paid for.
    """
    monkeypatch.setattr(tasks, "STOP_TIMEOUT", 0.1)
    monkeypatch.setattr(context, "RECONCILE_TIMEOUT", 0.1)
    room.provider.latency = 60.0
    arguments = {"prompt": "a fox", "request_id": "r1"}
    async with room.calling(wait_seconds=0.3) as call:
        await call.success("generate_image", **arguments)
    async with room.calling(wait_seconds=0.1) as call:
        waiting = await call.success("get_generation", generation_id="r1")
        assert waiting["status"] == "running"
        assert waiting["generation_id"] == "r1"
    async with room.calling() as call:
        error = await call.failure("generate_image", **arguments)
        assert error["code"] == "still_pending"
        assert room.posts == 1


async def test_cancelling_a_failed_generation_says_so(room: Room) -> None:
    """
    cancel_generation says how it ended instead.
    """
    room.provider.moderate_next()
    async with room.calling() as call:
        await call.failure("generate_image", prompt="a fox", request_id="r1")
        stopped = await call.success("cancel_generation", generation_id="r1")
        assert stopped["status"] == "failed"
        assert stopped["image_ids"] == []


async def test_next_server_recovers_by_itself(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Nobody has to ask for it.
    """
    monkeypatch.setattr(tasks, "STOP_TIMEOUT", 0.1)
    room.provider.latency = 0.5
    async with room.calling(wait_seconds=0.2) as call:
        await call.success("generate_image", prompt="a fox")
    async with room.calling() as call:
        await until(lambda: _is_there(call))
        assert room.posts == 1


async def test_stopping_server_finishes_short_tasks(room: Room) -> None:
    """
    What needs a moment more gets it.
    """
    room.provider.latency = 0.5
    async with room.calling(wait_seconds=0.1) as call:
        await call.success("generate_image", prompt="a fox", request_id="r1")
    async with room.calling() as call:
        assert await made(call) == 1


async def test_concurrent_generations_block_nothing(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Sixteen pictures are generated at once, and everything else is answered meanwhile.
    """
    monkeypatch.setattr(tasks, "STOP_TIMEOUT", 0.1)
    room.provider.latency = 60.0
    async with room.calling() as call, anyio.create_task_group() as group:
        for number in range(16):
            group.start_soon(partial(call.success, "generate_image", prompt=f"fox {number}"))
        await until(lambda: _posted(room, 16))
        stats = await call.success("get_server_stats")
        assert len(stats["running_generations"]) == 16
        group.cancel_scope.cancel()


async def _posted(room: Room, number: int) -> bool:
    return room.posts == number


async def test_daily_budget_holds(room: Room) -> None:
    """
    What could exceed it is not sent, and the answer says who can raise it.
    """
    async with room.calling(daily_budget=0.001) as call:
        error = await call.failure("generate_image", prompt="a fox")
        assert error["code"] == "budget_exceeded"
        assert "--daily-budget" in error["error"]
        assert room.posts == 0
        assert (await call.success("get_server_stats"))["daily_budget_usd"] == 0.001
