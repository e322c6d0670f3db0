"""
The guide for agents: the text is in `guide.md`, the lists are generated from the code.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

from mcp.types import Tool

from imagesession_mcp.errors import CODES

LAST_UPDATED = "2026-11-30"
FEATURES = [
    "sessions with memory, branches and undo, which persist across restarts",
    "every billed image is saved, even if the call is cancelled",
    "cost estimates, actual costs, and a daily limit",
    "masks, references, products, UI assets, findings",
]
QUICK_START = [
    "create_image_session(description='Logo for a tea shop')",
    "generate_image_in_session(session_id, 'a minimalist teapot logo')",
    "generate_image_in_session(session_id, 'more geometric, with blue accents')",
]


def render(tools: Sequence[Tool]) -> str:
    """
    Return the guide as Markdown.
    """
    text = resources.files("imagesession_mcp").joinpath("guide.md").read_text("utf-8")
    tool_list = "\n".join(f"- `{tool.name}`: {_first_sentence(tool)}" for tool in tools)
    error_list = "\n".join(f"- `{code}`: {meaning}" for code, meaning in CODES.items())
    return text.replace("{tools}", tool_list).replace("{errors}", error_list)


def _first_sentence(tool: Tool) -> str:
    """
    Return the first sentence of a tool's description.
    """
    return " ".join((tool.description or "").split()).split(". ")[0].rstrip(".") + "."
