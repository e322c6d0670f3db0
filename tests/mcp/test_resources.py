"""
Images, sessions and the guide as resources; prompts; completion of ids.
"""

from __future__ import annotations

import base64
import json

import pytest
from mcp import MCPError
from mcp.types import (
    BlobResourceContents,
    PromptReference,
    ResourceTemplateReference,
    TextContent,
    TextResourceContents,
)

from tests.mcp.serving import Caller, Room, file_of, remove

pytestmark = pytest.mark.anyio


async def read(call: Caller, uri: str) -> str:
    """
    Read a resource that is text.
    """
    contents = (await call.client.read_resource(uri)).contents[0]
    assert isinstance(contents, TextResourceContents)
    return contents.text


async def test_image_resource_is_the_file(room: Room) -> None:
    """
    An image resource is the file, with its media type; its metadata are another resource.
    """
    async with room.connect() as call:
        payload = await call.success(
            "generate_image", prompt="a fox", options={"output_format": "webp"}
        )
        contents = (await call.client.read_resource(payload["uri"])).contents[0]
        assert isinstance(contents, BlobResourceContents)
        assert contents.mime_type == "image/webp"
        assert base64.b64decode(contents.blob) == file_of(payload)
        record = json.loads(await read(call, f"{payload['uri']}/metadata"))
        assert record["image_id"].endswith(payload["image_id"])
        assert record["original_prompt"] == "a fox"


async def test_session_resource_has_its_turns(room: Room) -> None:
    """
    A session resource has its status and its turns.
    """
    async with room.connect() as call:
        session = (await call.success("create_image_session", description="tea"))["session_id"]
        image = await call.success("generate_image_in_session", session_id=session, prompt="a pot")
        uris = json.loads(await read(call, "imagesession://sessions"))
        assert [item["session_id"] for item in uris] == [session]
        payload = json.loads(await read(call, f"imagesession://sessions/{session}"))
        assert payload["head_image_id"] == image["image_id"]
        assert [turn["prompt"] for turn in payload["turns"]] == ["a pot"]
        assert payload["turns"][0]["images"] == [image["uri"]]


async def test_guide_is_a_resource(room: Room) -> None:
    """
    The guide resource equals the result of get_usage_guide.
    """
    async with room.connect() as call:
        payload = await call.success("get_usage_guide")
        assert await read(call, "imagesession://guide") == payload["guide_content"]
        assert "{" not in payload["guide_content"].split("## Tools")[1]
        uris = {item.uri for item in (await call.client.list_resources()).resources}
        assert uris == {"imagesession://guide", "imagesession://sessions"}
        templates = (await call.client.list_resource_templates()).resource_templates
        assert {item.uri_template for item in templates} == {
            "imagesession://sessions/{session_id}",
            "imagesession://images/{image_id}",
            "imagesession://images/{image_id}/metadata",
        }


@pytest.mark.parametrize(
    "uri",
    [
        "imagesession://images/nope",
        "imagesession://images/nope/metadata",
        "imagesession://sessions/nope",
        "imagesession://images/..%2f..%2fetc%2fpasswd",
    ],
)
async def test_unknown_resource_is_an_error(room: Room, uri: str) -> None:
    """
    An unknown id is an error without file content or traceback.
    """
    async with room.connect() as call:
        with pytest.raises(MCPError) as caught:
            await call.client.read_resource(uri)
        assert "Traceback" not in str(caught.value)
        assert "root:" not in str(caught.value)


async def test_missing_file_is_an_error(room: Room) -> None:
    """
    An image whose file is missing is an error that names it.
    """
    async with room.connect() as call:
        payload = await call.success("generate_image", prompt="a fox")
        remove(payload)
        with pytest.raises(MCPError, match=payload["image_id"]):
            await call.client.read_resource(payload["uri"])


async def test_prompts_start_workflows(room: Room) -> None:
    """
    Each prompt names existing tools.
    """
    async with room.connect() as call:
        tools = {item.name for item in (await call.client.list_tools()).tools}
        prompts = (await call.client.list_prompts()).prompts
        assert len(prompts) == 3
        for prompt in prompts:
            assert prompt.title
            assert prompt.description
            arguments = {item.name: "a teapot" for item in prompt.arguments or ()}
            prompt_result = await call.client.get_prompt(prompt.name, arguments)
            content = prompt_result.messages[0].content
            assert isinstance(content, TextContent)
            assert "a teapot" in content.text
            assert any(name in content.text for name in tools)


async def test_ids_are_completed(room: Room) -> None:
    """
    The start of an id is completed to existing ids.
    """
    async with room.connect() as call:
        session = (await call.success("create_image_session", description="tea"))["session_id"]
        image = (await call.success("generate_image", prompt="a fox"))["image_id"]
        for name, uri, known in (
            ("session_id", "imagesession://sessions/{session_id}", session),
            ("image_id", "imagesession://images/{image_id}", image),
        ):
            ref = ResourceTemplateReference(type="ref/resource", uri=uri)
            found = await call.client.complete(ref, {"name": name, "value": known[:5].lower()})
            assert found.completion.values == [known]
            none = await call.client.complete(ref, {"name": name, "value": "ZZZ"})
            assert none.completion.values == []
        prompt = PromptReference(type="ref/prompt", name="quick_image")
        other = await call.client.complete(prompt, {"name": "image", "value": "x"})
        assert other.completion.values == []
