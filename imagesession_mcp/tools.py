"""
All tools, in the order in which they are listed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations

from imagesession_mcp import tools_drawing as drawing
from imagesession_mcp import tools_finding as finding
from imagesession_mcp import tools_sessions as sessions

# Hints: what a tool reads or changes here, and whether it reaches the provider. No tool destroys.
LOOKS = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
KEEPS = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False
)
SETS = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
DRAWS = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True
)
STOPS = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True
)


@attrs.frozen
class Entry:
    """
    A tool.

    Attributes:
        function: What is called.
        title: What people see.
        hints: What kind of thing it does.
    """

    function: Callable[..., Any]
    title: str
    hints: ToolAnnotations


TABLE = (
    Entry(sessions.create_image_session, "Start a session", KEEPS),
    Entry(drawing.generate_image_in_session, "Make the next picture of a session", DRAWS),
    Entry(sessions.get_session_status, "Tell where a session stands", LOOKS),
    Entry(sessions.list_active_sessions, "List sessions", LOOKS),
    Entry(sessions.close_session, "Close a session", SETS),
    Entry(drawing.generate_image, "Make a picture", DRAWS),
    Entry(drawing.edit_image, "Change a picture", DRAWS),
    Entry(drawing.generate_product_image, "Make product photographs", DRAWS),
    Entry(drawing.generate_ui_asset, "Make a UI asset", DRAWS),
    Entry(drawing.analyze_and_improve_image, "Look at a picture and improve it", DRAWS),
    Entry(finding.get_usage_guide, "Read the guide", LOOKS),
    Entry(sessions.promote_image_to_session, "Start a session from a picture", KEEPS),
    Entry(finding.get_server_stats, "Tell how the server stands", LOOKS),
    Entry(sessions.branch_session, "Start another line of a session", KEEPS),
    Entry(sessions.undo_session, "Go back in a session", KEEPS),
    Entry(sessions.redo_session, "Go forward in a session", KEEPS),
    Entry(sessions.checkout_session_head, "Go to any picture of a session", SETS),
    Entry(finding.view_image, "Look at a picture", LOOKS),
    Entry(finding.list_images, "Find pictures", LOOKS),
    Entry(finding.get_generation, "Come back for a picture", LOOKS),
    Entry(finding.cancel_generation, "Stop a picture", STOPS),
    Entry(finding.estimate_cost, "Tell what a picture could cost", LOOKS),
    Entry(finding.analyze_image, "Look for what could be better", DRAWS),
)
NAMES = frozenset(entry.function.__name__ for entry in TABLE)


def add_tools(server: MCPServer[Any]) -> None:
    """
    Add all tools to a server.
    """
    for entry in TABLE:
        server.add_tool(
            entry.function,
            title=entry.title,
            description=" ".join((entry.function.__doc__ or "").split()),
            annotations=entry.hints,
        )


def slim(schema: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a schema without what no agent needs and every agent pays for in its context: titles
    that repeat names, defaults of nothing, and the choice of nothing beside a default.
    """
    told = {
        name: _slimmed(name, value)
        for name, value in schema.items()
        if name != "title" and not (name == "default" and value is None)
    }
    choices = [one for one in told.get("anyOf", ()) if one != {"type": "null"}]
    if "default" in schema and len(choices) == 1:
        del told["anyOf"]
        told = {**choices[0], **told}
    return told


def _slimmed(name: str, value: Any) -> Any:  # noqa: ANN401 - JSON
    if name in {"properties", "$defs"}:
        return {key: slim(one) for key, one in value.items()}
    if name == "items":
        return slim(value)
    if name == "anyOf":
        return [slim(one) for one in value]
    return value
