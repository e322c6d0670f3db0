"""
What tasks of a designer's day take of an agent: how many calls, how many tokens, and whether the
tools say what they need.
"""

from __future__ import annotations

import base64
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from imagesession.testing import tiny_image, tiny_mask
from imagesession_mcp.tools import TOOLS
from tests.mcp.serving import Room, text

pytestmark = pytest.mark.anyio
TASKS: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("tasks.toml").read_text("utf-8")
)["task"]
_BYTES_PER_TOKEN = 3.4
"""Of calls and results, measured with gpt-tokenizer on 2026-11-30."""


def resolve(value: Any, names: dict[str, Any]) -> Any:
    """
    Replace each `$name`, and each field of an earlier result, in a call's arguments.
    """
    if isinstance(value, dict):
        return {key: resolve(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, names) for item in value]
    if not isinstance(value, str) or not value.startswith("$"):
        return value
    first, *path = value[1:].split(".")
    found = names[first]
    for step in path:
        found = found[int(step)] if step.isdigit() else found[step]
    return found


def inputs(folder: Path) -> dict[str, Any]:
    """
    Write the files that tasks use, and return them by name.
    """
    photo = tiny_image(size=(256, 256))
    (folder / "photo.png").write_bytes(photo)
    (folder / "mask.png").write_bytes(tiny_mask((256, 256)))
    return {
        "photo": str(folder / "photo.png"),
        "mask": str(folder / "mask.png"),
        "upload": base64.b64encode(photo).decode(),
    }


@pytest.mark.parametrize("task", TASKS, ids=[task["ask"][:40] for task in TASKS])
async def test_task_is_solved_at_its_cost(room: Room, tmp_path: Path, task: dict[str, Any]) -> None:
    """
    The calls of each task succeed, make the pictures that were asked for, and cost at most the
    tokens that the table says.
    """
    names, spent = inputs(tmp_path), 0
    async with room.connect(allow_dirs=(tmp_path,), daily_budget=None) as call:
        for number, (tool, arguments) in enumerate(task["calls"], start=1):
            result = await call(tool, **resolve(arguments, names))
            names[str(number)] = payload = text(result)
            assert not result.is_error, payload
            spent += len(json.dumps([tool, arguments, payload], separators=(",", ":")))
        listed = await call.success("list_images", limit=100)
    assert len(listed["images"]) == task["images"]
    assert spent / _BYTES_PER_TOKEN <= task["tokens"], spent / _BYTES_PER_TOKEN


def test_tasks_need_most_tools() -> None:
    """
    There are twenty tasks, and no tool but those for help, trouble and statistics that none needs.
    """
    used = {tool for task in TASKS for tool, _ in task["calls"]}
    unused = {"get_usage_guide", "get_server_stats", "get_generation", "cancel_generation"}
    assert len(TASKS) == 20
    assert {spec.name for spec in TOOLS} - used == unused


async def test_a_call_learns_all_it_lacks_from_one_error(room: Room) -> None:
    """
    A call with no argument at all is told every one that the tool needs, and the same call with
    those is not told of any more.
    """
    async with room.connect() as call:
        for spec in TOOLS:
            if required := spec.parameters.get("required"):
                error = (await call.failure(spec.name))["error"]
                assert all(name in error for name in required), (spec.name, error)
                named = dict.fromkeys(required, "x")
                assert "is required" not in json.dumps(text(await call(spec.name, **named)))


async def test_arguments_of_the_tasks_are_described(room: Room) -> None:
    """
    Each argument of the tasks stands in its tool's schema, with its choices if it has any.
    """
    async with room.connect() as call:
        tools = {tool.name: tool for tool in (await call.client.list_tools()).tools}
    for task in TASKS:
        for name, arguments in task["calls"]:
            properties = tools[name].input_schema["properties"]
            for argument, value in arguments.items():
                assert properties[argument]["description"], (name, argument)
                choices = properties[argument].get("enum", [value])
                assert value in choices, (name, argument)
