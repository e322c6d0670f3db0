"""
The server's tools: those of `openai-image-mcp` with their names, parameters and returned keys, a
few more, and in each the parameters of its method of the library.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

import imagesession
import imagesession_mcp
from imagesession import (
    AsyncImageSession,
    AsyncImagesResource,
    AsyncStudio,
    GenerateOptions,
    errors,
    presets,
)
from imagesession_mcp.resources import render_guide
from imagesession_mcp.tools import TOOLS, params
from tests.mcp.serving import Room

# The tools of `openai-image-mcp` 0.2.1: parameters with defaults, `...` if required.
ORIGINAL_TOOLS: dict[str, dict[str, Any]] = {
    "create_image_session": {"description": ..., "model": "auto", "session_name": None},
    "generate_image_in_session": {
        "session_id": ...,
        "prompt": ...,
        "reference_image_path": None,
        "mask_image_path": None,
        "quality": "auto",
        "size": "auto",
        "background": "auto",
    },
    "get_session_status": {"session_id": ...},
    "list_active_sessions": {},
    "close_session": {"session_id": ...},
    "generate_image": {
        "prompt": ...,
        "session_id": None,
        "model": "auto",
        "quality": "auto",
        "size": "auto",
        "background": "auto",
        "use_case": "general",
    },
    "edit_image": {
        "image_path": None,
        "prompt": ...,
        "session_id": None,
        "mask_path": None,
        "quality": "auto",
    },
    "generate_product_image": {
        "product_description": ...,
        "session_id": None,
        "background_type": "white",
        "angle": "front",
        "lighting": "studio",
        "batch_count": 1,
    },
    "generate_ui_asset": {
        "asset_type": ...,
        "description": ...,
        "session_id": None,
        "theme": "modern",
        "style_preset": "flat",
        "size_preset": "standard",
    },
    "analyze_and_improve_image": {
        "image_path": None,
        "improvement_goals": ...,
        "session_id": None,
        "preserve_elements": None,
    },
    "get_usage_guide": {},
    "promote_image_to_session": {
        "image_path": ...,
        "session_description": "",
        "session_name": None,
    },
    "get_server_stats": {},
}
# The keys that its results had.
IMAGE_KEYS = {
    "success",
    "image_path",
    "image_generation_id",
    "revised_prompt",
    "original_prompt",
    "metadata",
    "session_context",
}
STANDALONE_KEYS = {"single_shot", "temporary_session_id"}
KEYS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "create_image_session": (
        {"description": "x"},
        {"success", "session_id", "model", "created_at", "status", "session_name", "description"},
    ),
    "generate_image_in_session": ({"session_id": "S", "prompt": "a"}, IMAGE_KEYS),
    "get_session_status": (
        {"session_id": "S"},
        {
            "success",
            "session_id",
            "active",
            "created_at",
            "last_activity",
            "model",
            "session_name",
            "total_generations",
            "recent_images",
            "conversation_summary",
            "total_conversation_turns",
        },
    ),
    "list_active_sessions": ({}, {"success", "sessions", "total_active"}),
    "generate_image": ({"prompt": "a"}, IMAGE_KEYS | STANDALONE_KEYS),
    "edit_image": (
        {"image_path": "I", "prompt": "a"},
        IMAGE_KEYS | STANDALONE_KEYS | {"original_image_path"},
    ),
    "generate_product_image": (
        {"product_description": "mug"},
        {
            "success",
            "product_description",
            "background_type",
            "angle",
            "lighting",
            "batch_count",
            "results",
            "summary",
        },
    ),
    "generate_ui_asset": (
        {"asset_type": "icon", "description": "home"},
        IMAGE_KEYS
        | STANDALONE_KEYS
        | {"asset_type", "theme", "style_preset", "size_preset", "ui_asset_summary"},
    ),
    "analyze_and_improve_image": (
        {"image_path": "I", "improvement_goals": "brighter"},
        IMAGE_KEYS
        | STANDALONE_KEYS
        | {"improvement_goals", "preserved_elements", "analysis_summary"},
    ),
    "get_usage_guide": (
        {},
        {
            "success",
            "version",
            "architecture",
            "guide_content",
            "last_updated",
            "total_tools",
            "key_features",
            "quick_start",
        },
    ),
    "promote_image_to_session": (
        {"image_path": "I", "session_description": "x"},
        {
            "success",
            "session_id",
            "session_name",
            "session_description",
            "original_context",
            "promoted_image",
            "ready_for_refinement",
            "next_steps",
        },
    ),
    "get_server_stats": (
        {},
        {
            "success",
            "server_version",
            "api_type",
            "active_sessions",
            "max_sessions",
            "total_images_generated",
            "session_timeout_hours",
            "models_in_use",
        },
    ),
    "close_session": (
        {"session_id": "S"},
        {"success", "status", "session_id", "final_image_count"},
    ),
}
# The library's method of each tool, and the tool's names for the method's parameters.
METHODS: dict[str, tuple[Callable[..., Any], dict[str, str]]] = {
    "create_image_session": (
        AsyncStudio.session,
        {"name": "session_name", "references": "reference_images"},
    ),
    "generate_image_in_session": (
        AsyncImageSession.generate,
        {
            "references": "reference_images",
            "mask": "mask_image_path",
            "idempotency_key": "request_id",
        },
    ),
    "generate_image": (
        AsyncStudio.generate,
        {"references": "reference_images", "idempotency_key": "request_id"},
    ),
    "edit_image": (
        AsyncStudio.edit,
        {
            "image": "image_path",
            "mask": "mask_path",
            "markup": "markup_path",
            "references": "reference_images",
            "idempotency_key": "request_id",
        },
    ),
    "generate_product_image": (
        AsyncStudio.product,
        {
            "description": "product_description",
            "n": "batch_count",
            "references": "reference_images",
            "idempotency_key": "request_id",
        },
    ),
    "generate_ui_asset": (
        AsyncStudio.ui_asset,
        {"references": "reference_images", "idempotency_key": "request_id"},
    ),
    "analyze_and_improve_image": (
        AsyncStudio.improve,
        {"goals": "improvement_goals", "image": "image_path", "idempotency_key": "request_id"},
    ),
    "promote_image_to_session": (
        AsyncStudio.promote,
        {"image": "image_path", "description": "session_description", "name": "session_name"},
    ),
    "navigate_session": (AsyncImageSession.branch, {}),
    "list_images": (AsyncImagesResource.list, {"session": "session_id"}),
    "mark_image": (AsyncImagesResource.delete, {"targets": "image_id"}),
    "estimate_cost": (
        AsyncStudio.estimate,
        {"image": "image_path", "references": "reference_images", "n": "count"},
    ),
}
# Parameters of methods that their tools do not have, and why.
UNSUPPORTED = {
    ("generate_ui_asset", "n"): "each asset of a set has a description of its own",
    ("generate_image", "mask"): "edit_image takes masks; a single new picture has none",
    ("create_image_session", "provider_state"): "the server's operator chooses it",
    ("create_image_session", "remember"): "an agent closes a session that is too long",
    ("estimate_cost", "batch"): "no tool submits batches",
    ("estimate_cost", "within"): "no tool submits images that take hours",
    ("estimate_cost", "mask"): "a mask changes the price by next to nothing",
    ("estimate_cost", "partial_images"): "no tool asks for them",
}
pytestmark = pytest.mark.anyio


async def test_tools_of_openai_image_mcp_exist(room: Room) -> None:
    """
    All thirteen tools have their names and parameters, and the same parameters are optional.
    """
    async with room.connect() as call:
        tools = {item.name: item for item in (await call.client.list_tools()).tools}
    for name, parameters in ORIGINAL_TOOLS.items():
        schema = tools[name].input_schema
        for parameter, default in parameters.items():
            assert parameter in schema["properties"], (name, parameter)
            required = parameter in schema.get("required", ())
            assert required == (default is ...), (name, parameter)
            if default not in {..., None}:
                assert schema["properties"][parameter]["default"] == default


async def test_results_have_the_keys_of_openai_image_mcp(room: Room) -> None:
    """
    Clients that read its result keys can read this server's.
    """
    async with room.connect() as call:
        image = (await call.success("generate_image", prompt="a fox"))["image_id"]
        session = (await call.success("create_image_session", description="x"))["session_id"]
        for name, (arguments, keys) in KEYS.items():
            values = {
                key: {"S": session, "I": image}.get(value, value)
                for key, value in arguments.items()
            }
            payload = await call.success(name, **values)
            assert keys <= payload.keys(), (name, keys - payload.keys())
            assert payload["success"] is True
    assert KEYS.keys() == ORIGINAL_TOOLS.keys()


async def test_every_tool_is_described(room: Room) -> None:
    """
    Each tool has a title, a description that mentions its cost, four hints, and described
    arguments; tools that return no image have an output schema, and the others none.
    """
    async with room.connect() as call:
        tools = (await call.client.list_tools()).tools
        assert [item.name for item in tools] == [spec.name for spec in TOOLS]
        for tool in tools:
            assert re.fullmatch(r"[a-z_]{1,64}", tool.name)
            assert tool.title
            assert tool.description
            assert re.search(r"Costs nothing|[Bb]ill", tool.description), tool.name
            hints = tool.annotations
            assert hints is not None
            assert None not in {
                hints.read_only_hint,
                hints.destructive_hint,
                hints.idempotent_hint,
                hints.open_world_hint,
            }
            for name, argument in tool.input_schema["properties"].items():
                assert argument.get("description"), (tool.name, name)
                assert "title" not in argument
            assert tool.output_schema is None, tool.name


async def test_tools_fit_into_a_context(room: Room) -> None:
    """
    The list of tools has at most 5,000 tokens (o200k_base), at 4.26 bytes each, measured with
    gpt-tokenizer on 2026-11-30; no two tools have the same first sentence.
    """
    async with room.connect() as call:
        tools = (await call.client.list_tools()).tools
    listed = [item.model_dump(mode="json", by_alias=True, exclude_none=True) for item in tools]
    assert len(json.dumps(listed, ensure_ascii=False, separators=(",", ":"))) <= 21_300
    assert len({(item.description or "").partition(".")[0] for item in tools}) == len(tools)


OPERATORS = {
    "self", "on_progress", "timeout", "extra_headers", "extra_body", "api", "keep_exif",
}  # fmt: skip


def test_tools_have_the_parameters_of_their_methods() -> None:
    """
    A tool has all parameters of its library method, except those listed with a reason.
    """
    options = {field.name for field in attrs.fields(GenerateOptions)}
    unused = set(UNSUPPORTED)
    by_name = {tool.name: tool for tool in TOOLS}
    for name, (method, renames) in METHODS.items():
        tool_parameters = set(by_name[name].arguments)
        for parameter in inspect.signature(method).parameters:
            # Progress is reported through the protocol, a call returns a handle before it could
            # time out, and API and what goes to a gateway are for the server's operator to say.
            # What a photo tells of its place is never sent at an agent's word.
            if parameter in OPERATORS or (parameter in options and parameter != "model"):
                continue
            if (name, parameter) in UNSUPPORTED:
                unused.discard((name, parameter))
                continue
            is_supported = parameter == "model" and "options" in tool_parameters
            assert is_supported or renames.get(parameter, parameter) in tool_parameters, (
                name,
                parameter,
            )
        takes_options = "quality" in inspect.signature(method).parameters
        assert takes_options == ("options" in tool_parameters), name
    assert not unused


def test_choices_are_those_of_the_library() -> None:
    """
    The choices in schemas are those that the library accepts.
    """
    for name, choices in (
        ("quality", params.QUALITIES),
        ("background", params.BACKGROUNDS),
    ):
        with pytest.raises(errors.InvalidOptionError) as caught:
            GenerateOptions(**{name: "??"})  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - to be refused
        assert caught.value.nearest == choices
    for preset in ("product", "ui_asset"):
        assert all(presets.get(preset).choices.values())


def test_only_public_names_are_used() -> None:
    """
    No module of the server uses the library's private names, openai, httpx2 or Pillow.
    """
    public = {"errors", "presets", "testing", *imagesession.__all__}
    for path in Path(imagesession_mcp.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            for name in _used(node):
                package, _, inner = name.partition(".")
                assert package not in {"openai", "PIL", "httpx2"}, (path.name, name)
                is_supported = inner.partition(".")[0] in {"", *public}
                assert package != "imagesession" or is_supported, (path.name, name)


def _used(node: ast.AST) -> list[str]:
    """
    Return the full names that a statement imports or an expression accesses in a module.
    """
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return [f"{node.value.id}.{node.attr}"]
    return []


def test_every_error_code_is_explained() -> None:
    """
    The guide explains every error code.
    """
    used: set[str] = set()
    for path in Path(imagesession_mcp.__path__[0]).rglob("*.py"):
        for found in re.findall(r'ToolCallError\(\s*"(\w+)"', path.read_text("utf-8")):
            used.add(found)
    assert used
    explained = render_guide([])
    assert [code for code in used if f"- `{code}`: " not in explained] == []
