"""
Long-running tasks: they outlive their call, are found again, are billed once, and can be cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import MCPError
from mcp.types import CallToolResult

from imagesession.testing import tiny_image
from imagesession_mcp import context, tasks
from imagesession_mcp.errors import ToolCallError
from imagesession_mcp.tasks import no_time_limit
from tests.clock import DAY
from tests.mcp.serving import Caller, Room, images, text

pytestmark = pytest.mark.anyio


async def wait_until(condition: Callable[[], Awaitable[bool]]) -> None:
    """
    Wait until a condition holds.
    """
    with anyio.fail_after(60):
        while not await condition():  # noqa: ASYNC110 - only the server knows
            await asyncio.sleep(0.02)


async def count_images(call: Caller) -> int:
    """
    Return the number of images.
    """
    return len((await call.success("list_images"))["images"])


async def test_progress_starts_at_once_and_increases(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A client gets a progress notification at once, and again while the call continues.
    """
    monkeypatch.setattr(context, "HEARTBEAT", 0.01)
    room.provider.latency = 0.5
    async with room.connect() as call:
        await call.success("generate_image", prompt="a fox")
        progress_values = [progress for progress, _ in call.progress]
        assert call.progress[0][1].startswith("preparing")
        assert len(progress_values) >= 4
        assert all(first < second for first, second in pairwise(progress_values))
        assert any("generating" in message for _, message in call.progress)


async def test_heartbeat_interval() -> None:
    """
    Progress is reported every five seconds.
    """
    assert context.HEARTBEAT == 5.0


async def test_slow_call_returns_a_handle(room: Room) -> None:
    """
    After `wait_seconds` the call returns a handle, with which get_generation returns the image.
    """
    room.provider.hold()
    async with room.connect(wait_seconds=0.1) as call:
        handle = await call.success("generate_image", prompt="a fox")
        assert handle["status"] == "running"
        assert handle["generation_id"] in handle["next"]
        stats = await call.success("get_server_stats")
        assert stats["running_generations"] == [handle["generation_id"]]
        again = await call.success("get_generation", generation_id=handle["generation_id"])
        assert again["status"] == "running"
        room.provider.finish()
        await wait_until(lambda: _is_saved(call))
        result = await call("get_generation", generation_id=handle["generation_id"])
        assert text(result)["original_prompt"] == "a fox"
        assert images(result)
        assert room.posts == 1


async def _is_saved(call: Caller) -> bool:
    return await count_images(call) == 1


async def test_call_without_time_limit_returns_no_handle(room: Room) -> None:
    """
    If the protocol itself polls the call, no handle is returned.
    """
    room.provider.latency = 0.3
    token = no_time_limit.set(True)
    try:
        async with room.connect(wait_seconds=0.05) as call:
            assert "image_id" in await call.success("generate_image", prompt="a fox")
    finally:
        no_time_limit.reset(token)


async def test_cancelled_call_finishes_its_picture(room: Room) -> None:
    """
    A cancelled call stops waiting, but its image is billed and saved.
    """
    room.provider.hold()
    async with room.connect() as call:
        running_call = asyncio.create_task(call("generate_image", prompt="a fox", request_id="r1"))
        await wait_until(lambda: _is_sent(room))
        running_call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running_call
        room.provider.finish()
        payload = await call.success("get_generation", generation_id="r1")
        assert payload["original_prompt"] == "a fox"
        assert room.posts == 1


async def _is_sent(room: Room) -> bool:
    return room.posts > 0


async def test_repeated_call_is_paid_for_once(room: Room) -> None:
    """
    The same request_id returns the same image: concurrently, later, and after a restart of the
    server.
    """
    room.provider.latency = 0.2
    arguments = {"prompt": "a fox", "request_id": "r1"}
    async with room.connect() as call:
        first, two = await asyncio.gather(
            call.success("generate_image", **arguments), call.success("generate_image", **arguments)
        )
        three = await call.success("generate_image", **arguments)
    async with room.connect() as call:
        four = await call.success("generate_image", **arguments)
    assert len({payload["image_id"] for payload in (first, two, three, four)}) == 1
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
    Every generating tool is idempotent, also across restarts, and get_generation finds the result.
    """
    async with room.connect() as call:
        image = (await call.success("generate_image", prompt="a fox"))["image_id"]
        session = (await call.success("create_image_session", description="x"))["session_id"]
        before = room.posts
        values = {
            key: {"I": image, "S": session}.get(str(value), value)
            for key, value in arguments.items()
        }
        first = await call.success(name, **values, request_id="r")
    async with room.connect() as call:
        second = await call.success(name, **values, request_id="r")
        assert room.posts - before == posts
        later = await call.success("get_generation", generation_id="r")
    for payload in (first, second, later):
        payload.pop("original_image_path", None)
        payload.pop("original_image_id", None)
    assert first == second == later


async def test_repeated_batch_generates_what_is_missing(room: Room) -> None:
    """
    A repeated batch generates only the images that failed.
    """
    room.provider.refuse_next("No.")
    arguments = {"product_description": "mug", "batch_count": 3, "request_id": "r"}
    async with room.connect() as call:
        first = await call.success("generate_product_image", **arguments)
        second = await call.success("generate_product_image", **arguments)
    assert (first["success"], second["success"]) == (False, True)
    assert room.posts == 4
    image_ids = {item["image_id"] for item in first["results"] if item["success"]}
    assert image_ids < {item["image_id"] for item in second["results"]}


async def test_request_id_is_for_one_call(room: Room, tmp_path: Path) -> None:
    """
    Another call with a used request_id is rejected, before and after a restart, whichever argument
    is another; nothing is sent.
    """
    photo = tmp_path / "photo.png"
    photo.write_bytes(tiny_image())
    first = {"prompt": "a fox", "request_id": "r1", "quality": "low"}
    others: tuple[dict[str, object], ...] = (
        {**first, "prompt": "a hare"},
        {**first, "quality": "high"},
        {**first, "size": "1536x1024"},
        {**first, "reference_images": [str(photo)]},
    )
    async with room.connect(allow_dirs=(tmp_path,)) as call:
        await call.success("generate_image", **first)
        session = (await call.success("create_image_session", description="x"))["session_id"]
        for other in others:
            error = await call.failure("generate_image", **other)
            assert error["code"] == "request_id_reused", other
    async with room.connect(allow_dirs=(tmp_path,)) as call:
        for other in (*others, {**first, "session_id": session}):
            error = await call.failure("generate_image", **other)
            assert error["code"] == "request_id_reused", other
            assert "request_id 'r1'" in error["error"]
        assert room.posts == 1


async def _cancel_when_sent(room: Room, call: Caller, posts: int, **arguments: Any) -> None:
    """
    Make a call, and cancel it when that many requests were sent.
    """
    running = asyncio.create_task(call("generate_image", **arguments))
    await wait_until(lambda: _posted(room, posts))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_call_after_a_cancelled_one_gets_its_picture(room: Room) -> None:
    """
    A call that was cancelled and is made again, while it runs or after it ended, gets the first
    call's picture, says so, and is billed once. Once it was delivered, the same call makes another.
    """
    room.provider.latency = 0.5
    async with room.connect() as call:
        for posts, prompt in ((1, "a fox"), (2, "a hare")):
            await _cancel_when_sent(room, call, posts, prompt=prompt)
            if prompt == "a hare":
                await wait_until(lambda: _has_no_running(call))
            again = await call.success("generate_image", prompt=prompt)
            assert again["original_prompt"] == prompt
            assert "billed once" in again["repeated"]
        assert room.posts == 2
        other = await call.success("generate_image", prompt="a fox")
        assert "repeated" not in other
        assert room.posts == 3


async def _has_no_running(call: Caller) -> bool:
    return not (await call.success("get_server_stats"))["running_generations"]


async def test_client_that_loses_patience_pays_once(room: Room) -> None:
    """
    A client that gives up and asks again, several times over, as frameworks with a short timeout
    do, gets one picture and is billed once.
    """
    room.provider.latency = 1.0
    async with room.connect() as call:
        answers: list[CallToolResult] = []
        for _ in range(20):
            with contextlib.suppress(MCPError):
                arguments = {"prompt": "a fox"}
                answers += [
                    await call.client.call_tool(
                        "generate_image", arguments, read_timeout_seconds=0.3
                    )
                ]
                break
        assert "repeated" in text(answers[0])
        assert room.posts == 1


async def test_what_is_no_repetition_is_billed(room: Room) -> None:
    """
    Calls at the same time, calls with other arguments, calls after a failure and calls with a
    request_id of their own make pictures of their own.
    """
    room.provider.latency = 0.3
    async with room.connect() as call:
        both = await asyncio.gather(*(call.success("generate_image", prompt="a") for _ in "12"))
        assert both[0]["image_id"] != both[1]["image_id"]
        await _cancel_when_sent(room, call, 3, prompt="a fox")
        await call.success("generate_image", prompt="a fox", quality="low")
        await call.success("generate_image", prompt="a fox", request_id="mine")
        assert room.posts == 5
        room.provider.moderate_next()
        await call.failure("generate_image", prompt="a hare")
        assert "repeated" not in await call.success("generate_image", prompt="a hare")


async def test_unfetched_handle_is_not_paid_again(room: Room) -> None:
    """
    An agent that repeats its call in spite of the handle gets the same generation.
    """
    room.provider.hold()
    async with room.connect(wait_seconds=0.1) as call:
        first = await call.success("generate_image", prompt="a fox")
        second = await call.success("generate_image", prompt="a fox")
        assert first["generation_id"] == second["generation_id"]
        assert "repeated" in second
        room.provider.finish()
        await wait_until(lambda: _is_saved(call))
        assert room.posts == 1


async def test_nothing_starts_while_the_server_stops() -> None:
    """
    A call that arrives while the server stops is refused, and its generation never begins.
    """
    registry = tasks.TaskRegistry()
    await registry.stop()
    begun: list[int] = []

    async def generate() -> None:
        begun.append(1)

    task = tasks.GenerationTask(id="r", owner="", fingerprint="")
    with pytest.raises(ToolCallError, match="stopping"):
        registry.start(task, generate)
    assert not begun


async def test_failed_call_can_be_repeated(room: Room) -> None:
    """
    A call that failed can be repeated with the same request_id.
    """
    room.provider.moderate_next()
    async with room.connect() as call:
        error = await call.failure("generate_image", prompt="a fox", request_id="r1")
        assert error["code"] == "moderation_blocked"
        later = await call.failure("get_generation", generation_id="r1")
        assert later["code"] == "moderation_blocked"
        assert "image_id" in await call.success("generate_image", prompt="a fox", request_id="r1")


async def test_generation_is_cancelled(room: Room) -> None:
    """
    cancel_generation stops the task, and waiting calls fail.
    """
    room.provider.latency = DAY
    async with room.connect(wait_seconds=0.1) as call:
        started = await call.success("generate_image", prompt="a fox", request_id="r1")
        assert started["status"] == "running"
        start = time.monotonic()
        cancelled = await call.success("cancel_generation", generation_id="r1")
        assert cancelled["status"] in {"cancelled", "failed"}
        assert cancelled["image_ids"] == []
        assert time.monotonic() - start < DAY / 2
        assert (await call.success("get_server_stats"))["running_generations"] == []
        await call.failure("get_generation", generation_id="r1")


async def test_cancelling_a_finished_generation_names_its_image(room: Room) -> None:
    """
    A finished generation stays completed, and an unknown one is not found.
    """
    async with room.connect() as call:
        image = await call.success("generate_image", prompt="a fox", request_id="r1")
        cancelled = await call.success("cancel_generation", generation_id="r1")
        assert cancelled["status"] == "completed"
        assert cancelled["image_ids"] == [image["image_id"]]
    async with room.connect() as call:
        assert (await call.success("cancel_generation", generation_id="r1"))[
            "status"
        ] == "completed"
        error = await call.failure("cancel_generation", generation_id="r2")
        assert error["code"] == "generation_not_found"
        error = await call.failure("get_generation", generation_id="r2")
        assert error["code"] == "generation_not_found"


async def test_restarted_server_finds_a_pending_image(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    After a restart, the server fetches a pending image at no further cost.
    """
    monkeypatch.setattr(tasks, "STOP_TIMEOUT", 0.1)
    room.provider.hold()
    async with room.connect(wait_seconds=0.2) as call:
        started = await call.success("generate_image", prompt="a fox", request_id="r1")
        assert started["status"] == "running"
        await wait_until(lambda: _is_sent(room))
    room.provider.finish()
    async with room.connect() as call:
        payload = await call.success("get_generation", generation_id="r1")
        assert payload["original_prompt"] == "a fox"
        repeated = await call.success("generate_image", prompt="a fox", request_id="r1")
        assert repeated["image_id"] == payload["image_id"]
        assert room.posts == 1


@pytest.mark.parametrize(
    "name, arguments, posts",
    [
        ("generate_image", {"prompt": "a fox"}, 1),
        ("generate_product_image", {"product_description": "mug", "batch_count": 2}, 2),
    ],
)
async def test_call_after_a_restart_gets_what_was_under_way(
    room: Room, monkeypatch: pytest.MonkeyPatch, name: str, arguments: dict[str, Any], posts: int
) -> None:
    """
    A call that is made again after the server was stopped meanwhile, without a request_id, gets the
    first call's pictures, says so, and is billed once; the next one makes others.
    """
    monkeypatch.setattr(tasks, "STOP_TIMEOUT", 0.1)
    room.provider.hold()
    async with room.connect(wait_seconds=0.2) as call:
        await call.success(name, **arguments)
        await wait_until(lambda: _posted(room, posts))
    room.provider.finish()
    async with room.connect() as call:
        again = await call.success(name, **arguments)
        assert "billed once" in again["repeated"]
        assert room.posts == posts
        assert "repeated" not in await call.success(name, **arguments)
        assert room.posts == 2 * posts
        assert await count_images(call) == 2 * posts


async def test_pending_generation_is_not_sent_again(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    While a request of an earlier run is still pending, get_generation says so, and a repeated call
    is rejected instead of billed.
    """
    monkeypatch.setattr(tasks, "STOP_TIMEOUT", 0.1)
    monkeypatch.setattr(context, "RECONCILE_TIMEOUT", 0.1)
    room.provider.hold()
    arguments = {"prompt": "a fox", "request_id": "r1"}
    async with room.connect(wait_seconds=0.3) as call:
        await call.success("generate_image", **arguments)
        await wait_until(lambda: _is_sent(room))
    async with room.connect(wait_seconds=0.1) as call:
        handle = await call.success("get_generation", generation_id="r1")
        assert handle["status"] == "running"
        assert handle["generation_id"] == "r1"
    async with room.connect() as call:
        error = await call.failure("generate_image", **arguments)
        assert error["code"] == "still_pending"
        assert room.posts == 1


async def test_cancelling_a_failed_generation_says_so(room: Room) -> None:
    """
    cancel_generation reports that the generation failed.
    """
    room.provider.moderate_next()
    async with room.connect() as call:
        await call.failure("generate_image", prompt="a fox", request_id="r1")
        cancelled = await call.success("cancel_generation", generation_id="r1")
        assert cancelled["status"] == "failed"
        assert cancelled["image_ids"] == []


async def test_restarted_server_recovers_by_itself(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A restarted server recovers pending images without a call.
    """
    monkeypatch.setattr(tasks, "STOP_TIMEOUT", 0.1)
    room.provider.hold()
    async with room.connect(wait_seconds=0.2) as call:
        await call.success("generate_image", prompt="a fox")
        await wait_until(lambda: _is_sent(room))
    room.provider.finish()
    async with room.connect() as call:
        await wait_until(lambda: _is_saved(call))
        assert room.posts == 1


async def test_stopping_server_finishes_short_tasks(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A stopping server lets tasks finish that need little time.
    """
    monkeypatch.setattr(tasks, "STOP_TIMEOUT", 60)
    room.provider.latency = 0.5
    async with room.connect(wait_seconds=0.1) as call:
        await call.success("generate_image", prompt="a fox", request_id="r1")
    async with room.connect() as call:
        assert await count_images(call) == 1


async def test_concurrent_generations_block_nothing(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    While sixteen images are generated at once, other calls are answered.
    """
    monkeypatch.setattr(tasks, "STOP_TIMEOUT", 0.1)
    room.provider.hold()
    async with room.connect() as call, anyio.create_task_group() as group:
        for number in range(16):
            group.start_soon(partial(call.success, "generate_image", prompt=f"fox {number}"))
        await wait_until(lambda: _posted(room, 16))
        stats = await call.success("get_server_stats")
        assert len(stats["running_generations"]) == 16
        group.cancel_scope.cancel()


async def _posted(room: Room, number: int) -> bool:
    return room.posts == number


async def test_daily_budget_holds(room: Room) -> None:
    """
    A request that could exceed the budget is not sent, and the error names the option to raise it.
    """
    async with room.connect(daily_budget=0.001) as call:
        error = await call.failure("generate_image", prompt="a fox")
        assert error["code"] == "budget_exceeded"
        assert "--daily-budget" in error["error"]
        assert room.posts == 0
        assert (await call.success("get_server_stats"))["daily_budget_usd"] == 0.001
