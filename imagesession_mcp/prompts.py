"""
Prompts that start the common workflows; their texts are in `prompts.toml`.
"""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.prompts.base import PromptArgument

from imagesession_mcp.texts import read_table


def add_prompts(server: MCPServer[Any]) -> None:
    """
    Add all prompts to a server.
    """
    for name, facts in read_table("prompts.toml").items():
        argument = PromptArgument(name=facts["argument"], description=facts["about"], required=True)
        prompt = Prompt(
            name=name,
            title=facts["title"],
            description=facts["description"],
            arguments=[argument],
            fn=facts["text"].format,
            context_kwarg=None,
        )
        server.add_prompt(prompt)
