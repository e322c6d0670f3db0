"""
All tools, in the order in which they are listed.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
from mcp.server.mcpserver.tools import Tool
from mcp.types import ToolAnnotations

from imagesession_mcp.errors import ToolCallError
from imagesession_mcp.tools import generation, library, sessions

# Hints: what a tool reads or changes here, and whether it reaches the provider. No tool destroys.
READ_ONLY = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
CREATES = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False
)
UPDATES = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
GENERATES = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True
)
CANCELS = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True
)
# Comparing names takes time that grows with their length, and no tool or argument has a longer one.
_MAX_NAME = 80


@attrs.frozen
class ToolSpec:
    """
    A tool.

    Attributes:
        function: Carries it out; its signature and docstring describe it.
        title: What people see.
        hints: What kind of thing it does.
    """

    function: Callable[..., Any]
    title: str
    hints: ToolAnnotations

    @property
    def name(self) -> str:
        """
        The name by which it is called.
        """
        return self.function.__name__

    @property
    def parameters(self) -> tuple[str, ...]:
        """
        The names of its arguments.
        """
        return tuple(name for name in inspect.signature(self.function).parameters if name != "ctx")

    def build(self) -> Tool:
        """
        Return it as the SDK has tools, with schemas as short as they can be.
        """
        tool = Tool.from_function(
            self.function,
            title=self.title,
            description=" ".join((self.function.__doc__ or "").split()),
            annotations=self.hints,
        )
        tool.parameters = strip_schema(tool.parameters)
        if tool.fn_metadata.output_schema is not None:
            tool.fn_metadata.output_schema = strip_schema(tool.fn_metadata.output_schema)
        return tool


TOOLS = (
    ToolSpec(sessions.create_image_session, "Start a session", CREATES),
    ToolSpec(generation.generate_image_in_session, "Make the next picture of a session", GENERATES),
    ToolSpec(sessions.get_session_status, "Tell where a session stands", READ_ONLY),
    ToolSpec(sessions.list_active_sessions, "List sessions", READ_ONLY),
    ToolSpec(sessions.close_session, "Close a session", UPDATES),
    ToolSpec(generation.generate_image, "Make a picture", GENERATES),
    ToolSpec(generation.edit_image, "Change a picture", GENERATES),
    ToolSpec(generation.generate_product_image, "Make product photographs", GENERATES),
    ToolSpec(generation.generate_ui_asset, "Make a UI asset", GENERATES),
    ToolSpec(generation.analyze_and_improve_image, "Look at a picture and improve it", GENERATES),
    ToolSpec(library.get_usage_guide, "Read the guide", READ_ONLY),
    ToolSpec(sessions.promote_image_to_session, "Start a session from a picture", CREATES),
    ToolSpec(library.get_server_stats, "Tell how the server stands", READ_ONLY),
    ToolSpec(sessions.branch_session, "Start another line of a session", CREATES),
    ToolSpec(sessions.undo_session, "Go back in a session", CREATES),
    ToolSpec(sessions.redo_session, "Go forward in a session", CREATES),
    ToolSpec(sessions.checkout_session_head, "Go to any picture of a session", UPDATES),
    ToolSpec(library.view_image, "Look at a picture", READ_ONLY),
    ToolSpec(library.list_images, "Find pictures", READ_ONLY),
    ToolSpec(library.get_generation, "Come back for a picture", READ_ONLY),
    ToolSpec(library.cancel_generation, "Stop a picture", CANCELS),
    ToolSpec(library.estimate_cost, "Tell what a picture could cost", READ_ONLY),
    ToolSpec(library.analyze_image, "Look for what could be better", GENERATES),
)
_PARAMETERS = {spec.name: spec.parameters for spec in TOOLS}


def strip_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a schema without what no agent needs and every agent pays for in its context: titles
    that repeat names, defaults of null, and the choice of null beside a default.
    """
    stripped = {
        name: _stripped(name, value)
        for name, value in schema.items()
        if name != "title" and not (name == "default" and value is None)
    }
    choices = [choice for choice in stripped.get("anyOf", ()) if choice != {"type": "null"}]
    if "default" in schema and len(choices) == 1:
        del stripped["anyOf"]
        stripped = {**choices[0], **stripped}
    return stripped


def _stripped(name: str, value: Any) -> Any:  # noqa: ANN401 - JSON
    if name in {"properties", "$defs"}:
        return {key: strip_schema(schema) for key, schema in value.items()}
    if name == "items":
        return strip_schema(value)
    if name == "anyOf":
        return [strip_schema(schema) for schema in value]
    return value


def unknown_tool(name: str) -> ToolCallError:
    """
    Return the error for a tool that does not exist.
    """
    near, hint = _nearest(name, sorted(_PARAMETERS))
    return ToolCallError(
        "tool_not_found",
        f"There is no tool {name[:40]!r}.{hint} tools/list names all that there are.",
        {"nearest": near},
    )


def check_arguments(name: str, arguments: Iterable[str]) -> None:
    """
    Refuse arguments that a tool does not have: ignored, they would be paid for all the same.
    """
    if (known := _PARAMETERS.get(name)) is None:
        return
    for argument in arguments:
        if argument not in known:
            near, hint = _nearest(argument, known)
            raise ToolCallError(
                "invalid_parameters",
                f"{name} has no argument {argument[:40]!r}.{hint} It takes: {', '.join(known)}.",
                {"nearest": near},
            )


def _nearest(name: str, known: Iterable[str]) -> tuple[list[str], str]:
    """
    Return the name that is spelled most alike, if any is, and the question whether it was meant.
    """
    near = difflib.get_close_matches(name[:_MAX_NAME], list(known), n=1)
    return near, f" Did you mean {near[0]!r}?" if near else ""
