"""
Tools of the conformance suite that request input from the client, in both eras.

This server's own tools do not; these check that its factory does not prevent it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import mcp.types as t
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.types import InputRequest, InputRequiredResult, SamplingMessage, TextContent

Ctx = Context[Any, Any]
Answer = str | InputRequiredResult
_ENUM = ["one", "two"]
_TITLED = [{"const": "one", "title": "One"}, {"const": "two", "title": "Two"}]
_DEFAULTS = {
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": True},
}
_ENUMS = {
    "untitledSingle": {"type": "string", "enum": _ENUM},
    "titledSingle": {"type": "string", "oneOf": _TITLED},
    "legacyEnum": {"type": "string", "enum": _ENUM, "enumNames": ["One", "Two"]},
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": _ENUM}},
    "titledMulti": {"type": "array", "items": {"anyOf": _TITLED}},
}


async def sampling(prompt: str, ctx: Ctx) -> str:
    """
    Sample from the client's model, as in protocol 2025-11-25.
    """
    message = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
    result = await ctx.session.create_message([message], max_tokens=100)  # pyright: ignore[reportDeprecated] - the suite asks for it
    return f"LLM response: {_text(result)}"


async def elicitation(message: str, ctx: Ctx) -> str:
    """
    Elicit input from the user, as in protocol 2025-11-25.
    """
    return await _elicit(ctx, message, {"response": {"type": "string"}})


async def elicitation_defaults(ctx: Ctx) -> str:
    """
    Elicit input with defaults of all types.
    """
    return await _elicit(ctx, "Please provide user information", _DEFAULTS)


async def elicitation_enums(ctx: Ctx) -> str:
    """
    Elicit input with all kinds of choices.
    """
    return await _elicit(ctx, "Please choose", _ENUMS)


async def _elicit(ctx: Ctx, message: str, properties: Mapping[str, Any]) -> str:
    schema = {"type": "object", "properties": dict(properties)}
    result = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
    return f"User response: action={result.action}, content={result.content}"


def _text(answer: object) -> str:
    content = getattr(answer, "content", None)
    return content.text if isinstance(content, TextContent) else str(content)


def _form_value(answer: t.ElicitResult, field: str) -> object:
    return (answer.content or {}).get(field)


def _form_request(message: str, name: str, kind: str = "string") -> InputRequest:
    schema = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    params = t.ElicitRequestFormParams(message=message, requested_schema=schema)
    return t.ElicitRequest(params=params)


def _sampling_request(text: str, tokens: int) -> InputRequest:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    params = t.CreateMessageRequestParams(messages=[message], max_tokens=tokens)
    return t.CreateMessageRequest(params=params)


def _request_input(state: str | None = None, /, **requests: InputRequest) -> InputRequiredResult:
    return InputRequiredResult(input_requests=requests, request_state=state)


def _response(ctx: Ctx, key: str) -> Any:
    return (ctx.input_responses or {}).get(key)


async def required_elicitation(ctx: Ctx) -> Answer:
    """
    Elicit input, again if the response is missing.
    """
    answer = _response(ctx, "user_name")
    if answer is None:
        return _request_input(user_name=_form_request("What is your name?", "name"))
    return f"Hello, {_form_value(answer, 'name')}!"


async def required_sampling(ctx: Ctx) -> Answer:
    """
    Sample from the client's model.
    """
    answer = _response(ctx, "capital_question")
    if answer is None:
        return _request_input(
            capital_question=_sampling_request("What is the capital of France?", 100)
        )
    return _text(answer)


async def required_roots(ctx: Ctx) -> Answer:
    """
    Request the client's roots.
    """
    answer = _response(ctx, "client_roots")
    if answer is None:
        return _request_input(client_roots=t.ListRootsRequest())
    return ", ".join(str(root.uri) for root in answer.roots)


async def required_state(ctx: Ctx) -> Answer:
    """
    Elicit input with a state that must be returned unchanged; the SDK signs it.
    """
    if _response(ctx, "confirm") is None:
        return _request_input("asked", confirm=_form_request("Please confirm", "ok", "boolean"))
    return "state-ok" if ctx.request_state == "asked" else "state lost"


async def required_several(ctx: Ctx) -> Answer:
    """
    Request three inputs at once.
    """
    if ctx.input_responses is None:
        return _request_input(
            "asked",
            user_name=_form_request("What is your name?", "name"),
            greeting=_sampling_request("Generate a greeting", 50),
            client_roots=t.ListRootsRequest(),
        )
    return f"Answered: {', '.join(ctx.input_responses)}"


async def required_rounds(ctx: Ctx) -> Answer:
    """
    Elicit input in two rounds.
    """
    if ctx.request_state is None:
        return _request_input("first", step1=_form_request("Step 1: What is your name?", "name"))
    if ctx.request_state == "first":
        return _request_input(
            "second", step2=_form_request("Step 2: What is your favorite color?", "color")
        )
    return "Answered twice"


async def required_capabilities(ctx: Ctx) -> Answer:
    """
    Request only inputs that the client supports.
    """
    capabilities = ctx.client_capabilities or t.ClientCapabilities()
    requests: dict[str, InputRequest] = {}
    if capabilities.sampling is not None:
        requests["greeting"] = _sampling_request("Generate a greeting", 50)
    if capabilities.elicitation is not None:
        requests["user_name"] = _form_request("What is your name?", "name")
    return (
        _request_input(**requests) if requests and ctx.input_responses is None else "Nothing to ask"
    )


async def elicit_then_work(ctx: Ctx) -> Answer:
    """
    Elicit input, and then work for a second.
    """
    answer = await required_elicitation(ctx)
    if isinstance(answer, str):
        await asyncio.sleep(1)
    return answer


async def required_prompt(ctx: Ctx) -> list[UserMessage] | InputRequiredResult:
    """
    Elicit input for a prompt.
    """
    answer = _response(ctx, "user_context")
    if answer is None:
        form = _form_request("What context should the prompt use?", "context")
        return _request_input(user_context=form)
    return [UserMessage(f"In the context of {_form_value(answer, 'context')}")]


LEGACY: dict[str, Callable[..., Any]] = {
    "test_sampling": sampling,
    "test_elicitation": elicitation,
    "test_elicitation_sep1034_defaults": elicitation_defaults,
    "test_elicitation_sep1330_enums": elicitation_enums,
}
REQUIRED: dict[str, Callable[..., Any]] = {
    "elicitation": required_elicitation,
    "sampling": required_sampling,
    "list_roots": required_roots,
    "request_state": required_state,
    "multiple_inputs": required_several,
    "multi_round": required_rounds,
    "tampered_state": required_state,
    "capabilities": required_capabilities,
}


def add_elicitation(server: MCPServer[Any]) -> None:
    """
    Add the tools and the prompt to a server.
    """
    for name, function in LEGACY.items():
        server.add_tool(function, name=name)
    for name, function in REQUIRED.items():
        server.add_tool(function, name=f"test_input_required_result_{name}")
    server.add_tool(required_elicitation, name="test_streaming_elicitation")
    server.add_tool(elicit_then_work, name="test_tool_with_task")
    server.prompt(name="test_input_required_result_prompt")(required_prompt)
