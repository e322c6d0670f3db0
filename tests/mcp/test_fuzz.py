"""
Tools called with arbitrary arguments succeed or explain the error, and access no file outside the
allowed folders.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio.from_thread
import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client
from mcp.types import CallToolResult

from imagesession.testing import tiny_image
from imagesession_mcp.resources import render_guide
from imagesession_mcp.tools import TOOLS
from tests.clock import HoldingProvider
from tests.faults.tiny import TinySketcher
from tests.mcp.serving import LEGACY, Era, Room, text

CANARY = "canary-7f3a"
opened_paths: list[str] = []


def _record_access(event: str, arguments: tuple[Any, ...]) -> None:
    # An audit hook cannot be removed, so it records only accesses to the canary.
    if event in {"open", "os.listdir", "os.scandir", "os.remove", "os.mkdir"} and CANARY in str(
        arguments[0]
    ):
        opened_paths.append(f"{event} {arguments[0]}")


sys.addaudithook(_record_access)


@attrs.frozen
class FuzzedServer:
    """
    A server that is called from outside its event loop.
    """

    portal: anyio.from_thread.BlockingPortal
    client: Client
    outside: Path
    pool: list[str]

    def call(self, name: str, arguments: dict[str, Any]) -> CallToolResult:
        """
        Call a tool.
        """
        result: CallToolResult = self.portal.call(self.client.call_tool, name, arguments)
        return result


@pytest.fixture(scope="module", params=["auto", LEGACY])
def fuzzed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FuzzedServer]:
    """
    Run a server with a session and an image, and a file outside of the allowed folders.
    """
    era: Era = request.param
    folder = tmp_path_factory.mktemp("fuzz")
    outside = folder / CANARY
    outside.mkdir()
    (outside / "secret.png").write_bytes(tiny_image())
    room = Room(folder / "library", era, HoldingProvider(sketcher=TinySketcher()))
    room.library.mkdir()
    (room.library / "link.png").symlink_to(outside / "secret.png")
    with ExitStack() as stack:
        portal = stack.enter_context(anyio.from_thread.start_blocking_portal())
        server = room.serve(preview_bytes=0, daily_budget=None)
        client = stack.enter_context(portal.wrap_async_context_manager(Client(server, mode=era)))
        running = FuzzedServer(portal, client, outside, [])
        session = text(running.call("create_image_session", {"description": "x"}))["session_id"]
        image = text(running.call("generate_image", {"prompt": "x"}))["image_id"]
        running.pool.extend(
            [
                session,
                image,
                f"imagesession://images/{image}",
                str(outside / "secret.png"),
                str(room.library / "link.png"),
                f"{room.library}/../{CANARY}/secret.png",
                f"../{CANARY}/secret.png",
                f"file://{outside}/secret.png",
                "~/x.png",
                "main",
                "auto",
                "",
            ]
        )
        yield running


def any_json() -> st.SearchStrategy[Any]:
    """
    Generate arbitrary JSON.
    """
    plain = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8"), max_size=30)
    )
    return st.recursive(
        plain,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
        ),
        max_leaves=6,
    )


@pytest.mark.parametrize("name", [spec.name for spec in TOOLS])
@settings(
    max_examples=settings().max_examples // 4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_tools_succeed_or_explain_the_error(
    fuzzed: FuzzedServer, name: str, data: st.DataObject
) -> None:
    """
    Every result is a success or an error with a known code other than internal_error, and no file
    outside was accessed.
    """
    tools = {item.name: item for item in fuzzed.portal.call(fuzzed.client.list_tools).tools}
    schema = tools[name].input_schema
    arguments: dict[str, Any] = {}
    for argument, about in schema["properties"].items():
        plausible: st.SearchStrategy[Any] = st.sampled_from(fuzzed.pool)
        if "enum" in about:
            plausible = st.sampled_from(about["enum"])
        elif about.get("type") == "array":
            plausible = st.lists(st.sampled_from(fuzzed.pool), max_size=2)
        elif about.get("type") in {"integer", "boolean"}:
            plausible = st.integers(-1, 3)
        required = argument in schema.get("required", ())
        chosen = data.draw(
            st.sampled_from(("likely", "likely", "junk", "null", "none")), label=argument
        )
        if chosen == "none" and not required:
            continue
        drawn = {"likely": plausible, "junk": any_json()}.get(chosen, st.none())
        arguments[argument] = data.draw(drawn, label=argument)
    opened_paths.clear()
    result = fuzzed.call(name, arguments)
    assert opened_paths == []
    if result.is_error:
        error = text(result)
        assert error["code"] != "internal_error", error
        assert f"- `{error['code']}`: " in render_guide([])
        assert error["error"]
        assert len(json.dumps(error)) < 6_000
