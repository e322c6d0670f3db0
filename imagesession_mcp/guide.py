"""
The guide for agents: the text is in `guide.md`, the list of tools is generated from the code.
"""

from __future__ import annotations

from collections.abc import Sequence

from mcp.types import Tool

from imagesession_mcp.texts import read_table, read_text

FACTS = read_table("guide.toml")


def render(tools: Sequence[Tool]) -> str:
    """
    Return the guide as Markdown, with the first sentence of each tool's description.
    """
    text = read_text("guide.md")
    sentences = {tool.name: (tool.description or "").partition(". ")[0] for tool in tools}
    tool_list = (f"- `{name}`: {sentence.rstrip('.')}." for name, sentence in sentences.items())
    return text.replace("{tools}", "\n".join(tool_list))
