"""
The page for users of `openai-image-mcp` is complete, and the names on it exist.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

import imagesession
from imagesession import errors
from imagesession._api import config
from imagesession._store.disk import layout

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "seed.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
DEFECTS = "What was wrong, and what holds here"
# Parameters, returned keys and error types of version 0.2.1.
PICTURE_KEYS = "image_path image_generation_id revised_prompt original_prompt metadata"
TOOLS = {
    "create_image_session": (
        "description model session_name",
        "session_id model created_at status session_name description",
        "session_creation_error",
    ),
    "generate_image_in_session": (
        "session_id prompt reference_image_path mask_image_path quality size background",
        f"{PICTURE_KEYS} session_context generation_params",
        (
            "session_not_found invalid_parameters invalid_mask_image mask_processing_error "
            "api_error unknown_error no_generation_result generation_error"
        ),
    ),
    "get_session_status": (
        "session_id",
        (
            "session_id active created_at last_activity model session_name total_generations "
            "recent_images conversation_summary total_conversation_turns"
        ),
        "session_not_found status_error",
    ),
    "list_active_sessions": (
        "",
        (
            "sessions session_id session_name description model created_at last_activity "
            "total_generations total_active"
        ),
        "list_error",
    ),
    "close_session": (
        "session_id",
        "status session_id final_image_count",
        "session_not_found close_error",
    ),
    "generate_image": (
        "prompt session_id model quality size background use_case",
        "single_shot temporary_session_id",
        "generation_error",
    ),
    "edit_image": (
        "image_path prompt session_id mask_path quality",
        "original_image_path",
        "invalid_input_image edit_error",
    ),
    "generate_product_image": (
        "product_description session_id background_type angle lighting batch_count",
        "product_description background_type angle lighting batch_count results summary",
        "invalid_parameters product_generation_error",
    ),
    "generate_ui_asset": (
        "asset_type description session_id theme style_preset size_preset",
        "asset_type theme style_preset size_preset ui_asset_summary",
        "invalid_parameters ui_asset_error",
    ),
    "analyze_and_improve_image": (
        "image_path improvement_goals session_id preserve_elements",
        "improvement_goals preserved_elements analysis_summary",
        "invalid_input_image improvement_error",
    ),
    "get_usage_guide": (
        "",
        "version architecture guide_content last_updated total_tools key_features quick_start",
        "file_not_found guide_error",
    ),
    "promote_image_to_session": (
        "image_path session_description session_name",
        (
            "session_id session_name session_description original_context promoted_image "
            "ready_for_refinement next_steps"
        ),
        (
            "image_not_found metadata_not_found metadata_read_error incomplete_metadata "
            "promotion_error"
        ),
    ),
    "get_server_stats": (
        "",
        (
            "server_version api_type active_sessions max_sessions total_images_generated "
            "session_timeout_hours models_in_use"
        ),
        "stats_error",
    ),
}
METADATA = (
    "timestamp image_path session_id session_name generation_call_id original_prompt "
    "revised_prompt model generation_params created_at conversation_length"
)
FOLDERS = "general/ products/ ui_assets/icons edited_images/ batch_generations/ variations/"
VARIABLES = "OPENAI_API_KEY OPENAI_BASE_URL MCP_MAX_SESSIONS MCP_SESSION_TIMEOUT LOG_LEVEL"
DEFAULTS = {
    "generate_image_in_session": "reference_image_path=None mask_image_path=None quality=auto",
    "generate_image": "session_id=None model=gpt-4o use_case=general",
    "generate_product_image": "background_type=white angle=front lighting=studio batch_count=1",
    "generate_ui_asset": "theme=modern style_preset=flat size_preset=standard",
}


def rows(section: str) -> list[list[str]]:
    """
    Return the rows of a section's table, without its head.
    """
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def code_spans(text: str) -> set[str]:
    """
    Return the code spans of a text.
    """
    return set(re.findall(r"`([^`]+)`", text))


def their_names(section: str, lead: str) -> set[str]:
    """
    Return the names of openai-image-mcp in a section: parameters ("`"), results ("returns") or
    errors.
    """
    return {
        text
        for their_name, *_ in rows(section)
        if their_name.startswith(lead)
        for text in code_spans(their_name)
    }


OURS = sorted(
    {
        name
        for section in SECTIONS
        for _, *ours in (row[1:] if section == DEFECTS else row for row in rows(section))
        for cell in ours
        for name in code_spans(cell)
        if not name.startswith("test_")
    }
)


def resolve(dotted: str) -> Any:
    """
    Return the object of a name: an export, an error, or a member of either.
    """
    head, *members = dotted.split(".")
    value = getattr(imagesession, head) if head in dir(imagesession) else getattr(errors, head)
    for member in members:
        if isinstance(value, property) and value.fget is not None:
            # A resource, by its annotation.
            value = getattr(imagesession, inspect.get_annotations(value.fget)["return"])
        value = getattr(value, member)
    return value


def test_every_tool_has_its_table() -> None:
    """
    Each of the thirteen tools has a table, whose first row names its equivalent.
    """
    assert set(TOOLS) <= set(SECTIONS)
    for tool in TOOLS:
        assert rows(tool)[0][0] == f"`{tool}`"


@pytest.mark.parametrize("tool", TOOLS)
def test_every_part_of_a_tool_is_listed(tool: str) -> None:
    """
    Every parameter, returned key and kind of failure of a tool has a row in its table.
    """
    parameters, keys, failures = (set(names.split()) for names in TOOLS[tool])
    assert their_names(tool, "`") - {tool} == parameters
    assert their_names(tool, "returns") == keys
    assert their_names(tool, "error") == failures


@pytest.mark.parametrize("tool", DEFAULTS)
def test_defaults_are_listed(tool: str) -> None:
    """
    An optional parameter is listed with its default.
    """
    for default in DEFAULTS[tool].split():
        name, value = default.split("=")
        text = next(their_name for their_name, *_ in rows(tool) if f"`{name}`" in their_name)
        assert text.partition(" = ")[2].strip('"') == value


def test_files_fields_and_variables_are_listed() -> None:
    """
    Every folder, metadata field and environment variable has a row.
    """
    files = {
        text for their_name, *_ in rows("Files and metadata") for text in code_spans(their_name)
    }
    assert set(f"{METADATA} {FOLDERS}".split()) <= files
    variables = {
        text for their_name, *_ in rows("Configuration") for text in code_spans(their_name)
    }
    assert variables == set(VARIABLES.split())


def test_tables_are_complete() -> None:
    """
    Every row names an equivalent, and has all its cells.
    """
    for section in SECTIONS:
        for row in rows(section):
            assert len(row) == (4 if section == DEFECTS else 3), row
            assert all(row[:2]), row


@pytest.mark.parametrize("name", OURS)
def test_names_on_the_page_exist(name: str) -> None:
    """
    Classes, members, arguments, variables and folders that the page names exist.
    """
    dotted, _, arguments = name.rstrip(")").partition("(")
    if name.startswith("metadata["):
        return  # looked up in a real image, below
    if name.endswith("/"):
        assert f" {name}" in f"{layout.__doc__}".replace("{", " ")
    elif name.isupper():
        assert f'"{name}"' in inspect.getsource(config)
    else:
        value = resolve(dotted)
        names = {text.strip(" =") for text in arguments.split(",") if text}
        assert not names or names <= set(inspect.signature(value).parameters)


def test_metadata_fields_exist(studio: Any) -> None:
    """
    Every metadata field that the page names is in the JSON file beside an image, and in its
    attribute.
    """
    image = studio.session("Tea", name="Tea").generate("a teapot")
    beside = json.loads(image.path.with_suffix(".json").read_text("utf-8"))
    fields = {field for name in OURS for field in re.findall(r'metadata\["(\w+)"\]', name)}
    assert set(METADATA.split()) < fields
    assert fields <= set(beside)
    assert fields <= set(image.metadata)


def test_every_defect_names_its_tests() -> None:
    """
    All 25 defects have a row, which names exactly the tests for it.
    """
    source = (ROOT / "tests" / "test_seed_defects.py").read_text("utf-8")
    tests = {
        node.name
        for node in ast.parse(source).body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.startswith("test_b")
    }
    held = {number: code_spans(by) for number, _, _, by in rows(DEFECTS)}
    assert list(held) == [f"B{number}" for number in range(1, 26)]
    for number, names in held.items():
        prefix = f"test_b{int(number[1:]):02}_"
        assert names == {name for name in tests if name.startswith(prefix)}, number
        assert names, number
    assert set().union(*held.values()) == tests
