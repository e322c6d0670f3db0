"""
Prompts that start the common workflows; their texts are in `prompts.toml`.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.prompts.base import PromptArgument


def add_prompts(server: MCPServer[Any]) -> None:
    """
    Add all prompts to a server.
    """
    text = resources.files("imagesession_mcp").joinpath("prompts.toml").read_text("utf-8")
    for name, facts in tomllib.loads(text).items():
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
