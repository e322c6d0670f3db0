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

# Hints: whether a tool reads or changes the library, and whether it calls the provider.
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
# Comparing names takes time that grows with their length; no tool or argument has a longer name.
_MAX_NAME = 80
_REQUIRED = inspect.Parameter.empty


@attrs.frozen
class ToolSpec:
    """
    A tool.

    Attributes:
        function: Its implementation, whose signature and docstring describe it.
        title: The title that people see.
        hints: The protocol's annotations.
    """

    function: Callable[..., Any]
    title: str
    hints: ToolAnnotations

    @property
    def name(self) -> str:
        """
        Its name in calls.
        """
        return self.function.__name__

    @property
    def parameters(self) -> tuple[str, ...]:
        """
        The names of its arguments.
        """
        return tuple(name for name in inspect.signature(self.function).parameters if name != "ctx")

    @property
    def required(self) -> tuple[str, ...]:
        """
        The names of the arguments that it cannot do without.
        """
        parameters = inspect.signature(self.function).parameters
        return tuple(name for name in self.parameters if parameters[name].default is _REQUIRED)

    def build(self) -> Tool:
        """
        Build the SDK's tool, with schemas that are as short as possible.
        """
        tool = Tool.from_function(
            self.function,
            title=self.title,
            description=" ".join((self.function.__doc__ or "").split()),
            annotations=self.hints,
        )
        tool.parameters = strip_schema(tool.parameters)
        return tool


TOOLS = (
    ToolSpec(sessions.create_image_session, "Start a session", CREATES),
    ToolSpec(generation.generate_image_in_session, "Make the next image of a session", GENERATES),
    ToolSpec(sessions.get_session_status, "Get a session's status", READ_ONLY),
    ToolSpec(sessions.list_active_sessions, "List sessions", READ_ONLY),
    ToolSpec(sessions.close_session, "Close a session", UPDATES),
    ToolSpec(generation.generate_image, "Make an image", GENERATES),
    ToolSpec(generation.edit_image, "Edit an image", GENERATES),
    ToolSpec(generation.generate_product_image, "Make product photographs", GENERATES),
    ToolSpec(generation.generate_ui_asset, "Make a UI asset", GENERATES),
    ToolSpec(generation.analyze_and_improve_image, "Analyze and improve an image", GENERATES),
    ToolSpec(library.get_usage_guide, "Read the guide", READ_ONLY),
    ToolSpec(sessions.promote_image_to_session, "Start a session from an image", CREATES),
    ToolSpec(library.get_server_stats, "Get server statistics", READ_ONLY),
    ToolSpec(sessions.navigate_session, "Go back, forward or elsewhere in a session", CREATES),
    ToolSpec(library.upload_image, "Upload an image", CREATES),
    ToolSpec(library.view_image, "View an image", READ_ONLY),
    ToolSpec(library.list_images, "Find images", READ_ONLY),
    ToolSpec(library.get_generation, "Get the image of a running call", READ_ONLY),
    ToolSpec(library.cancel_generation, "Cancel a generation", CANCELS),
    ToolSpec(library.estimate_cost, "Estimate an image's cost", READ_ONLY),
)
_SPECS = {spec.name: spec for spec in TOOLS}
_MAX_NAMED = 5


def strip_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a schema without parts that agents do not need and that fill their context: titles that
    repeat names, defaults of null, and the choice of null beside a default.
    """
    stripped = {
        name: _strip_value(name, value)
        for name, value in schema.items()
        if name != "title" and not (name == "default" and value is None)
    }
    choices = [choice for choice in stripped.get("anyOf", ()) if choice != {"type": "null"}]
    if "default" in schema and len(choices) == 1:
        del stripped["anyOf"]
        stripped = {**choices[0], **stripped}
    return stripped


def _strip_value(name: str, value: Any) -> Any:  # noqa: ANN401 - JSON
    if name in {"properties", "$defs"}:
        return {key: strip_schema(schema) for key, schema in value.items()}
    if name == "items":
        return strip_schema(value)
    if name == "anyOf":
        return [strip_schema(schema) for schema in value]
    return value


def check_arguments(name: str, arguments: Iterable[str]) -> tuple[str, ...]:
    """
    Check a call, and name everything that is wrong with its arguments at once. Unknown ones are
    refused: if they were ignored, the call would be billed without their effect.

    Returns:
        The arguments that the tool takes.
    """
    spec = _SPECS.get(name)
    if spec is None:
        return ()  # an embedding program has added it
    given, known = list(arguments), spec.parameters
    unknown = [argument for argument in given if argument not in known]
    if not unknown:
        return known
    missing = [argument for argument in spec.required if argument not in given]
    matches, hint = _suggest_name(unknown[0], missing or known)
    names = ", ".join(repr(argument[:40]) for argument in unknown[:_MAX_NAMED])
    needs = f" It needs {', '.join(missing)}." if missing else ""
    raise ToolCallError(
        "invalid_parameters",
        f"{name} has no argument {names}.{hint}{needs} It takes: {', '.join(known)}.",
        {"nearest": matches},
    )


def unknown_tool(name: str) -> ToolCallError:
    """
    Return the error for a tool that does not exist, with the most similar name.
    """
    matches, hint = _suggest_name(name, sorted(_SPECS))
    return ToolCallError(
        "tool_not_found",
        f"There is no tool {name[:40]!r}.{hint} tools/list returns all tools.",
        {"nearest": matches},
    )


def _suggest_name(name: str, known: Iterable[str]) -> tuple[list[str], str]:
    """
    Return the most similar name, if any, and a hint for the error message.
    """
    matches = difflib.get_close_matches(name[:_MAX_NAME], list(known), n=1)
    return matches, f" Did you mean {matches[0]!r}?" if matches else ""
