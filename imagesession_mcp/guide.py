"""
The guide for agents: the text is in `guide.md`, the list of tools is generated from the code.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

from mcp.types import Tool

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
    Return the guide as Markdown, with the first sentence of each tool's description.
    """
    text = resources.files("imagesession_mcp").joinpath("guide.md").read_text("utf-8")
    sentences = {tool.name: (tool.description or "").partition(". ")[0] for tool in tools}
    tool_list = (f"- `{name}`: {sentence.rstrip('.')}." for name, sentence in sentences.items())
    return text.replace("{tools}", "\n".join(tool_list))
