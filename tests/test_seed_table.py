"""
The page for those who come from `openai-image-mcp`: it leaves nothing out, and what it names of
ours is there.
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
from imagesession._store import layout

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "seed.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
DEFECTS = "What was wrong, and what holds here"
# What version 0.2.1 takes, returns and answers when it fails.
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


def coded(text: str) -> set[str]:
    """
    Return what stands in a text as code.
    """
    return set(re.findall(r"`([^`]+)`", text))


def named_there(section: str, lead: str) -> set[str]:
    """
    Return what a section names of theirs: parameters ("`"), results ("returns") or errors.
    """
    return {text for there, *_ in rows(section) if there.startswith(lead) for text in coded(there)}


OURS = sorted(
    {
        name
        for section in SECTIONS
        for _, *ours in (row[1:] if section == DEFECTS else row for row in rows(section))
        for cell in ours
        for name in coded(cell)
        if not name.startswith("test_")
    }
)


def resolved(dotted: str) -> Any:
    """
    Return what a name of ours stands for: an export, an error, or a member of either.
    """
    head, *members = dotted.split(".")
    value = getattr(imagesession, head) if head in dir(imagesession) else getattr(errors, head)
    for member in members:
        if isinstance(value, property) and value.fget is not None:
            # A collection, which its annotation names.
            value = getattr(imagesession, inspect.get_annotations(value.fget)["return"])
        value = getattr(value, member)
    return value


def test_every_tool_has_its_table() -> None:
    """
    Each of the thirteen tools has a table, whose first line says where it is now.
    """
    assert set(TOOLS) <= set(SECTIONS)
    for tool in TOOLS:
        assert rows(tool)[0][0] == f"`{tool}`"


@pytest.mark.parametrize("tool", TOOLS)
def test_everything_of_a_tool_has_its_place(tool: str) -> None:
    """
    Every parameter, returned key and kind of failure of a tool has a line of its table.
    """
    parameters, keys, failures = (set(names.split()) for names in TOOLS[tool])
    assert named_there(tool, "`") - {tool} == parameters
    assert named_there(tool, "returns") == keys
    assert named_there(tool, "error") == failures


@pytest.mark.parametrize("tool", DEFAULTS)
def test_defaults_are_told(tool: str) -> None:
    """
    A parameter that may be left out stands there with what it is then.
    """
    for default in DEFAULTS[tool].split():
        name, value = default.split("=")
        text = next(there for there, *_ in rows(tool) if f"`{name}`" in there)
        assert text.partition(" = ")[2].strip('"') == value


def test_files_fields_and_variables_have_their_place() -> None:
    """
    Every folder, field of the metadata and variable of the environment has a line.
    """
    files = {text for there, *_ in rows("Files and metadata") for text in coded(there)}
    assert set(f"{METADATA} {FOLDERS}".split()) <= files
    variables = {text for there, *_ in rows("Configuration") for text in coded(there)}
    assert variables == set(VARIABLES.split())


def test_tables_are_whole() -> None:
    """
    Every line says where something is now, and has all its cells.
    """
    for section in SECTIONS:
        for row in rows(section):
            assert len(row) == (4 if section == DEFECTS else 3), row
            assert all(row[:2]), row


@pytest.mark.parametrize("name", OURS)
def test_what_it_names_of_ours_is_there(name: str) -> None:
    """
    Classes, members, arguments, variables and folders that the page names exist.
    """
    dotted, _, arguments = name.rstrip(")").partition("(")
    if name.startswith("metadata["):
        return  # looked up in a real picture, below
    if name.endswith("/"):
        assert f" {name}" in f"{layout.__doc__}".replace("{", " ")
    elif name.isupper():
        assert f'"{name}"' in inspect.getsource(config)
    else:
        known = resolved(dotted)
        asked = {text.strip(" =") for text in arguments.split(",") if text}
        assert not asked or asked <= set(inspect.signature(known).parameters)


def test_metadata_has_what_is_said(studio: Any) -> None:
    """
    Every field of the metadata that the page names lies beside a picture, and in its attribute.
    """
    image = studio.session("Tea", name="Tea").generate("a teapot")
    beside = json.loads(image.path.with_suffix(".json").read_text("utf-8"))
    fields = {field for name in OURS for field in re.findall(r'metadata\["(\w+)"\]', name)}
    assert set(METADATA.split()) < fields
    assert fields <= set(beside)
    assert fields <= set(image.metadata)


def test_every_defect_is_held_by_its_tests() -> None:
    """
    All 25 defects have a line, which names every test that is there for them and no other.
    """
    source = (ROOT / "tests" / "test_seed_defects.py").read_text("utf-8")
    tests = {
        node.name
        for node in ast.parse(source).body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.startswith("test_b")
    }
    held = {number: coded(by) for number, _, _, by in rows(DEFECTS)}
    assert list(held) == [f"B{number}" for number in range(1, 26)]
    for number, names in held.items():
        prefix = f"test_b{int(number[1:]):02}_"
        assert names == {name for name in tests if name.startswith(prefix)}, number
        assert names, number
    assert set().union(*held.values()) == tests
