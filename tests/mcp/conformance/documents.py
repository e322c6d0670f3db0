"""
Prompts and resources that the conformance suite asks for.
"""

from __future__ import annotations

import json
from typing import Any

import mcp.types as t
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.prompts.base import UserMessage

from imagesession.testing import tiny_image
from tests.mcp.conformance.tools import PNG


def _simple() -> list[UserMessage]:
    """
    A prompt without arguments.
    """
    return [UserMessage("This is a simple prompt for testing.")]


def _with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
    """
    A prompt with two arguments.
    """
    return [UserMessage(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")]


def _with_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803 - the suite's name
    """
    A prompt with an embedded resource.
    """
    contents = t.TextResourceContents(
        uri=resourceUri, mime_type="text/plain", text="Embedded resource content."
    )
    resource = t.EmbeddedResource(type="resource", resource=contents)
    return [UserMessage(resource), UserMessage("Please process the embedded resource above.")]


def _with_image() -> list[UserMessage]:
    """
    A prompt with an image.
    """
    image = t.ImageContent(type="image", data=PNG, mime_type="image/png")
    return [UserMessage(image), UserMessage("Please analyze the image above.")]


def _text() -> str:
    """
    A text resource.
    """
    return "This is the content of the static text resource."


def _binary() -> bytes:
    """
    An image resource.
    """
    return tiny_image("png")


def _template(id: str) -> str:
    """
    A resource template.
    """
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def _watched() -> str:
    """
    A resource that clients can subscribe to.
    """
    return "Watched resource content"


def add_documents(server: MCPServer[Any]) -> None:
    """
    Add the prompts and resources to a server.
    """
    server.prompt(name="test_simple_prompt")(_simple)
    server.prompt(name="test_prompt_with_arguments")(_with_arguments)
    server.prompt(name="test_prompt_with_embedded_resource")(_with_resource)
    server.prompt(name="test_prompt_with_image")(_with_image)
    server.resource("test://static-text", mime_type="text/plain")(_text)
    server.resource("test://static-binary", mime_type="image/png")(_binary)
    server.resource("test://template/{id}/data", mime_type="application/json")(_template)
    server.resource("test://watched-resource", mime_type="text/plain")(_watched)
