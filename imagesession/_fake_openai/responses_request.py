"""
Read the body of `POST /responses` into a `ResponsesRequest`.

Parameters: https://platform.openai.com/docs/api-reference/responses/create
"""

import re
from collections.abc import Iterator
from typing import TypeAlias, get_args

import attrs

from imagesession._domain.model_catalog import ModelInfo
from imagesession._domain.options import ReasoningEffort
from imagesession._fake_openai.analysis import wants_findings
from imagesession._fake_openai.errors import RefusalError
from imagesession._fake_openai.http import FakeRequest, Json
from imagesession._fake_openai.image_tool import ImageToolParams, read_tool
from imagesession._fake_openai.json_reader import JsonNode, parse, read_metadata, words
from imagesession._fake_openai.models_endpoint import available_model, reasons, reply_name

_KNOWN = words(
    """access_programs background background_options context_management conversation image
    include input instructions max_output_tokens max_tool_calls metadata model moderation
    parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_options
    prompt_cache_retention reasoning safety_identifier service_tier store stream stream_options
    temperature text tool_choice tools top_logprobs top_p truncation user"""
)
_LONGEST_IDENTIFIER = 128
_EFFORTS = get_args(ReasoningEffort)
_TIERS = ("auto", "default", "flex", "priority", "fast")
_WINDOWS = ("soonest", "2h", "8h")
_ROLES = ("user", "assistant", "system", "developer")
_REFERENCES = re.compile(
    r"\n\nThe last (?:(\d+) images are references|image is a reference) to go by, "
    r"not to change: .*\Z"
)
_PARTS = ("input_text", "input_image", "input_file", "output_text", "refusal")
# Items of other tools, which this provider accepts and ignores.
_IGNORED_ITEMS = words(
    """reasoning function_call function_call_output web_search_call file_search_call
    computer_call computer_call_output code_interpreter_call custom_tool_call
    custom_tool_call_output mcp_call mcp_list_tools mcp_approval_request mcp_approval_response
    local_shell_call local_shell_call_output shell_call shell_call_output compaction"""
)

# The field without which the API looks an item up by its id; other types are always complete.
_CONTENT_FIELDS = {"image_generation_call": "result", "reasoning": "encrypted_content"}


@attrs.frozen(kw_only=True)
class Message:
    """
    One message of the input, with its `input_image` parts, of which the last `references` are to go
    by, as the text says.
    """

    role: str
    text: str
    images: tuple[JsonNode, ...]
    references: int = 0


@attrs.frozen(kw_only=True)
class EarlierImage:
    """
    An image made earlier: its item id, and its bytes if the request has them.
    """

    id: str
    result: JsonNode | None


Item: TypeAlias = Message | EarlierImage


@attrs.frozen(kw_only=True)
class SentItem:
    """
    How an item of the input was sent, to check that its group is complete.
    """

    id: str | None  # its id, if it has one
    reasoning: bool  # whether it is declared as reasoning
    output: bool  # whether a model made it; true for a reference by id, where it is not known
    has_content: bool  # whether it includes its content and need not be looked up


@attrs.frozen(kw_only=True)
class ResponsesRequest:
    model: ModelInfo
    items: tuple[Item, ...]
    sent: tuple[SentItem, ...]  # how the items of the input were sent, in order
    previous: str | None
    conversation: str | None
    store: bool
    background: bool
    stream: bool
    obfuscated: bool
    encrypted: bool
    effort: str | None
    instructions: str
    tool: ImageToolParams | None  # the image tool; None if there is none or it must not be used
    findings: bool  # whether the response is a list of findings about an image
    compact_threshold: int | None  # the input tokens above which the earlier items are compacted
    tier: str  # the service tier by which it is served
    window: str  # within which time it is completed
    echo: Json = attrs.field(repr=False)  # the settings that a response repeats

    @property
    def reasons(self) -> bool:
        return self.effort != "none" if self.effort else reasons(self.model)

    @property
    def resumable(self) -> bool:
        return self.background and self.stream

    @property
    def truncates(self) -> bool:
        return bool(self.echo["truncation"] == "auto")


def parse_request(call: FakeRequest) -> ResponsesRequest:
    node = parse(call)
    node.only(_KNOWN)
    name = node.require("model").text()
    model = available_model(name, "mainline")
    if model is None:
        raise RefusalError("no_such_model", model=name)
    read_metadata(node)
    if identifier := node.get("safety_identifier"):
        identifier.within(_LONGEST_IDENTIFIER)
    tools = tuple(_read_tools(node))
    tool = next((tool for tool in tools if isinstance(tool, ImageToolParams)), None)
    choice = _read_choice(node, tool)
    background, store = node.get_flag("background"), node.get_flag("store", default=True)
    tier = _read_tier(node, model)
    if background and not store:
        raise RefusalError("background_unstored")
    used = None if choice == "none" else tool
    options, includes = node.get("stream_options"), node.get("include") or ()
    return ResponsesRequest(
        model=model,
        items=tuple(_read_input(node)),
        sent=tuple(_read_sent(node)),
        previous=node.get_text("previous_response_id"),
        conversation=_conversation(node),
        store=store,
        background=background,
        stream=node.get_flag("stream"),
        obfuscated=options is None or options.get_flag("include_obfuscation", default=True),
        encrypted="reasoning.encrypted_content" in [child.text() for child in includes],
        effort=_read_effort(node),
        instructions=node.get_text("instructions") or "",
        tool=used,
        findings=wants_findings(node.get("text"), draws=used is not None),
        compact_threshold=_read_compact_threshold(node),
        tier=tier,
        window=_read_window(node, tier, background=background),
        echo=_echo(node, model, tools),
    )


def _read_effort(node: JsonNode) -> str | None:
    reasoning = node.get("reasoning")
    effort = None if reasoning is None else reasoning.get("effort")
    return None if effort is None else effort.choice(_EFFORTS)


def _read_tier(node: JsonNode, model: ModelInfo) -> str:
    sent = node.get("service_tier")
    tier = "default" if sent is None else sent.choice(_TIERS)
    tier = {"auto": "default", "fast": "priority"}.get(tier, tier)
    if sent is not None and model.rate(tier) is None:
        raise RefusalError("no_such_tier", sent.path, tier=tier)
    return tier


def _read_window(node: JsonNode, tier: str, *, background: bool) -> str:
    """
    Read the completion window.

    Source: openai 3.57, `types/responses/response_create_params.py` (`BackgroundOptions`)
    """
    options = node.get("background_options")
    if options is None:
        return "soonest"
    options.only(("completion_window", "continuation_id"))
    window = options.get("completion_window")
    if window is None or window.choice(_WINDOWS) == "soonest":
        return "soonest"
    if not background or node.get_flag("stream") or tier != "default":
        raise RefusalError("window_unfit", window.path)
    return window.text()


def _read_compact_threshold(node: JsonNode) -> int | None:
    for entry in node.get("context_management") or ():
        entry.only(("type", "compact_threshold"))
        entry.require("type").choice(("compaction",))
        threshold = entry.get("compact_threshold")
        return None if threshold is None else threshold.number(1, 10**9)
    return None


def _read_tools(node: JsonNode) -> Iterator[ImageToolParams | JsonNode]:
    for tool in node.get("tools") or ():
        yield read_tool(tool) if tool.require("type").text() == "image_generation" else tool


def _read_choice(node: JsonNode, tool: ImageToolParams | None) -> str:
    choice = node.get("tool_choice")
    if choice is None:
        return "auto"
    if isinstance(choice.value, str):
        return choice.choice(("none", "auto", "required"))
    kind = choice.require("type").text()
    if kind == "image_generation" and tool is None:
        raise RefusalError("no_choice_of_tool")
    return kind


def _conversation(node: JsonNode) -> str | None:
    conversation = node.get("conversation")
    if conversation is None:
        return None
    if node.get("previous_response_id") is not None:
        raise RefusalError("mutually_exclusive")
    if isinstance(conversation.value, str):
        return conversation.text()
    return conversation.require("id").text()


def _settings(node: JsonNode, key: str, defaults: Json) -> Json:
    child = node.get(key)
    return defaults if child is None else defaults | child.object()


def _read_input(node: JsonNode) -> Iterator[Item]:
    content = node.get("input")
    if content is None:
        if node.get("previous_response_id") is None and node.get("conversation") is None:
            raise RefusalError("missing_parameter", "input")
        return
    if isinstance(content.value, str):
        yield Message(role="user", text=content.value, images=())
        return
    if not isinstance(content.value, list):
        raise content.mistyped("one of an array of objects or string")
    for item in content:
        yield from _read_item(item)


def _read_item(node: JsonNode) -> Iterator[Item]:
    kind = node.get_text("type") or "message"
    if kind == "message":
        yield _read_message(node)
    elif kind == "image_generation_call":
        yield EarlierImage(id=node.require("id").text(), result=node.get("result"))
    elif kind == "item_reference":
        item_id = node.require("id").text()
        if item_id.startswith("ig_"):
            yield EarlierImage(id=item_id, result=None)
    elif kind not in _IGNORED_ITEMS:
        node.require("type").choice(("message", "image_generation_call", "item_reference"))


def _read_sent(node: JsonNode) -> Iterator[SentItem]:
    content = node.get("input")
    if content is None or isinstance(content.value, str):
        return
    for item in content:
        kind = item.get_text("type") or "message"
        reasoning, field = kind == "reasoning", _CONTENT_FIELDS.get(kind)
        yield SentItem(
            id=item.require("id").text() if reasoning else item.get_text("id"),
            reasoning=reasoning,
            output=_is_output(item, kind),
            has_content=kind != "item_reference" and (field is None or item.get(field) is not None),
        )


def _is_output(item: JsonNode, kind: str) -> bool:
    if kind == "message":
        return item.get_text("role") == "assistant"
    return kind not in {"reasoning", "mcp_approval_response"} and not kind.endswith("_output")


def split_references(text: str) -> tuple[str, int]:
    """
    Return a prompt without the sentence on references, and of how many of the last images that is.
    """
    found = _REFERENCES.search(text)
    return (text[: found.start()], int(found[1] or 1)) if found else (text, 0)


def _read_message(node: JsonNode) -> Message:
    role = node.require("role").choice(_ROLES)
    content = node.require("content")
    if isinstance(content.value, str):
        return Message(role=role, text=content.value, images=())
    texts: list[str] = []
    images: list[JsonNode] = []
    for part in content:
        kind = part.require("type").choice(_PARTS)
        if kind in {"input_text", "output_text"}:
            texts.append(part.require("text").text())
        elif kind == "input_image":
            images.append(part)
    text, references = split_references("\n".join(texts))
    return Message(role=role, text=text, images=tuple(images), references=references)


def _echo(node: JsonNode, model: ModelInfo, tools: tuple[ImageToolParams | JsonNode, ...]) -> Json:
    sent = node.object()
    reasoning: Json = {
        "effort": "medium" if reasons(model) else None,
        "generate_summary": None,
        "summary": None,
    }
    text: Json = {"format": {"type": "text"}, "verbosity": "medium"}
    defaults: Json = {
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "prompt_cache_retention": "in_memory",
        "safety_identifier": None,
        "temperature": 1.0,
        "tool_choice": "auto",
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }
    conversation = _conversation(node)
    return {
        **({"conversation": {"id": conversation}} if conversation else {}),
        **{
            key: default if sent.get(key) is None else sent[key]
            for key, default in defaults.items()
        },
        "model": reply_name(model),
        "reasoning": _settings(node, "reasoning", reasoning),
        "text": _settings(node, "text", text),
        "frequency_penalty": 0.0,
        "presence_penalty": 0.0,
        "moderation": None,
        "tools": [tool.echo if isinstance(tool, ImageToolParams) else tool.value for tool in tools],
    }
