"""
All tools, in the order in which they are listed.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from mcp import MCPError
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import create_model
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from imagesession_mcp.context import CallContext
from imagesession_mcp.errors import ToolCallError, called_parameters
from imagesession_mcp.results import error_result, text_result
from imagesession_mcp.texts import read_table
from imagesession_mcp.tools import generation, library, sessions
from imagesession_mcp.tools.params import RequestId

# Hints: whether a tool reads or changes the library, and whether it calls the provider.
CREATES = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False
)
READ_ONLY = CREATES.model_copy(update={"read_only_hint": True, "idempotent_hint": True})
UPDATES = CREATES.model_copy(update={"idempotent_hint": True})
DELETES = UPDATES.model_copy(update={"destructive_hint": True})
GENERATES = CREATES.model_copy(update={"open_world_hint": True})
CANCELS = GENERATES.model_copy(update={"destructive_hint": True, "idempotent_hint": True})
# Comparing names takes time that grows with their length; no tool or argument has a longer name.
_MAX_NAME = 80
_MAX_NAMED = 5
_DESCRIPTIONS = read_table("parameters.toml")


class _ShortSchema(GenerateJsonSchema):
    """
    Leaves out what agents do not need and what fills their context: titles that repeat names,
    defaults of null, the choice of null, and that an object may have any keys.
    """

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 - pydantic's own
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        described = super().default_schema(schema)
        return {name: value for name, value in described.items() if value is not None}

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:  # noqa: ARG002 - as above
        return {"type": "object"}


class LibraryTool(Tool):
    """
    A tool that a function implements: its signature and docstring describe it, `parameters.toml`
    its arguments. The function gets the context of the call, and returns the result's payload; one
    that generates returns what is to be run.
    """

    @classmethod
    def build(cls, function: Callable[..., Any], title: str, hints: ToolAnnotations) -> LibraryTool:
        """
        Build a tool, with a schema that is as short as possible.
        """
        tool = cls.from_function(
            function,
            title=title,
            description=" ".join((function.__doc__ or "").split()),
            context_kwarg="call",
            annotations=hints,
            structured_output=False,
        )
        assert isinstance(tool, LibraryTool)  # noqa: S101 - tells the type checkers
        arguments = tool.fn_metadata.arg_model
        if hints == GENERATES:
            arguments = create_model("Arguments", __base__=arguments, request_id=(RequestId, None))
            tool.fn_metadata.arg_model = arguments
        tool.parameters = arguments.model_json_schema(schema_generator=_ShortSchema)
        del tool.parameters["title"]
        texts = _DESCRIPTIONS | _DESCRIPTIONS.get(tool.name, {})
        tool.parameters["properties"] = {
            name: {"description": texts[name], **schema}
            for name, schema in tool.parameters["properties"].items()
        }
        return tool

    @property
    def arguments(self) -> tuple[str, ...]:
        """
        The names of its arguments.
        """
        return tuple(self.parameters["properties"])

    async def run(
        self,
        arguments: dict[str, Any],
        context: Context[Any, Any],
        convert_result: bool = False,  # noqa: FBT001, FBT002 - the SDK's own
    ) -> CallToolResult:
        """
        Answer a call; an exception becomes an error result.
        """
        del convert_result  # the result is one of the protocol already
        try:
            self._check_names(arguments)
            called_parameters.set(self.arguments)
            values = self.fn_metadata.validate_arguments(arguments)
            call = CallContext.from_request(context)
            request_id = values.pop("request_id", None)
            answer = partial(self.fn, call, **values)
            if self.annotations == GENERATES:
                return await call.generate(answer, request_id)
            answered = await answer()
            if not isinstance(answered, CallToolResult):
                answered = text_result({**answered, **call.extra})
        except MCPError:
            raise
        except Exception as error:  # noqa: BLE001 - its text is masked unless it is expected
            return error_result(error)
        return answered

    def _check_names(self, arguments: Iterable[str]) -> None:
        """
        Refuse unknown arguments, and name everything that is wrong with the names at once. If they
        were ignored, the call would be billed without their effect.
        """
        given, known = list(arguments), self.arguments
        unknown = [argument for argument in given if argument not in known]
        if not unknown:
            return
        missing = [name for name in self.parameters.get("required", ()) if name not in given]
        matches, hint = _suggest_name(unknown[0], missing or known)
        names = ", ".join(repr(argument[:40]) for argument in unknown[:_MAX_NAMED])
        needs = f" It needs {', '.join(missing)}." if missing else ""
        raise ToolCallError(
            "invalid_parameters",
            f"{self.name} has no argument {names}.{hint}{needs} It takes: {', '.join(known)}.",
            {"nearest": matches},
        )


def _suggest_name(name: str, known: Iterable[str]) -> tuple[list[str], str]:
    matches = difflib.get_close_matches(name[:_MAX_NAME], list(known), n=1)
    return matches, f" Did you mean {matches[0]!r}?" if matches else ""


TOOLS = tuple(
    LibraryTool.build(function, title, hints)
    for function, title, hints in (
        (sessions.create_image_session, "Start a session", CREATES),
        (generation.generate_image_in_session, "Make the next image of a session", GENERATES),
        (sessions.get_session_status, "Get a session's status", READ_ONLY),
        (sessions.list_active_sessions, "List sessions", READ_ONLY),
        (sessions.close_session, "Close a session", UPDATES),
        (generation.generate_image, "Make an image", GENERATES),
        (generation.edit_image, "Edit an image", GENERATES),
        (generation.generate_product_image, "Make product photographs", GENERATES),
        (generation.generate_ui_asset, "Make a UI asset", GENERATES),
        (generation.analyze_and_improve_image, "Analyze and improve an image", GENERATES),
        (library.get_usage_guide, "Read the guide", READ_ONLY),
        (sessions.promote_image_to_session, "Start a session from an image", CREATES),
        (library.get_server_stats, "Get server statistics", READ_ONLY),
        (sessions.navigate_session, "Go back, forward or elsewhere in a session", CREATES),
        (library.upload_image, "Upload an image", CREATES),
        (library.view_image, "View an image", READ_ONLY),
        (library.list_images, "Find images", READ_ONLY),
        (library.mark_image, "Star, tag or delete an image", DELETES),
        (library.get_generation, "Get the image of a running call", READ_ONLY),
        (library.cancel_generation, "Cancel a generation", CANCELS),
        (library.estimate_cost, "Estimate an image's cost", READ_ONLY),
    )
)


def unknown_tool(name: str) -> ToolCallError:
    """
    Return the error for a tool that does not exist, with the most similar name.
    """
    matches, hint = _suggest_name(name, sorted(tool.name for tool in TOOLS))
    return ToolCallError(
        "tool_not_found",
        f"There is no tool {name[:40]!r}.{hint} tools/list returns all tools.",
        {"nearest": matches},
    )
