"""
Prompts that start the common workflows.
"""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.prompts import Prompt
from pydantic import Field


def refine_in_a_session(
    project: Annotated[str, Field(description="What the images are for, such as a logo.")],
) -> str:
    """
    Create images step by step in a session.
    """
    return (
        f"Let us make pictures for this project: {project}\n\n"
        "Call create_image_session with a description of it, then generate_image_in_session for a "
        "first draft at low quality. Show me the result and ask what to change; make every change "
        "with generate_image_in_session in the same session. If I want to try another direction, "
        "or go back, use navigate_session. When I am happy, make the final "
        "version at the quality that I want, tell me its path and the session's cost, and call "
        "close_session."
    )


def quick_image(
    picture: Annotated[str, Field(description="What the image shows.")],
) -> str:
    """
    Create a single image.
    """
    return (
        f"Make one picture of this: {picture}\n\n"
        "Choose the tool that fits: generate_product_image for a product photograph, "
        "generate_ui_asset for a part of a user interface, edit_image to change a file that I "
        "name, generate_image for all else. Tell me its path and what it cost."
    )


def start_quickly_then_refine(
    picture: Annotated[str, Field(description="What the image shows.")],
) -> str:
    """
    Create a single image, then continue from it in a session.
    """
    return (
        f"Start with a quick picture of this: {picture}\n\n"
        "Call generate_image and show me the result. If I want changes, call "
        "promote_image_to_session with its image_id, and make them with "
        "generate_image_in_session in the session that it returns."
    )


def add_prompts(server: MCPServer[Any]) -> None:
    """
    Add all prompts to a server.
    """
    for function, title in (
        (refine_in_a_session, "Refine pictures in a session"),
        (quick_image, "Make one picture"),
        (start_quickly_then_refine, "Start quickly, refine later"),
    ):
        server.add_prompt(Prompt.from_function(function, title=title))
