"""
A model on loopback that calls tools by a script: it speaks as much of Anthropic's Messages,
OpenAI's Responses and Gemini's generateContent as agents' programs need, and records what they
tell it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

import attrs

Json: TypeAlias = dict[str, Any]
DONE = "The script has ended."
_USAGE = {"input_tokens": 1, "output_tokens": 1}


@attrs.define
class ScriptedModel:
    """
    Calls the tools of a script one after another, and then says that it is done.

    Attributes:
        calls: The tools, by the end of their names, and their arguments.
        port: Where it listens.
        requests: The bodies of the requests that offered tools.
    """

    calls: Sequence[tuple[str, Json]]
    port: int = 0
    requests: list[Json] = attrs.field(factory=list[Json])

    @property
    def url(self) -> str:
        """
        Its address.
        """
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path: str, body: Json) -> Iterator[tuple[str, Json]]:
        """
        Return the events of an answer, by name and data.
        """
        if "streamGenerateContent" in path:
            return self._gemini(body)
        return self._messages(body) if "/messages" in path else self._responses(body)

    def _next_call(
        self, body: Json, names: Sequence[str], answered: int
    ) -> tuple[str, Json] | None:
        """
        Return the next call, under the name that the client has given the tool.
        """
        if not names:
            return None  # a title, or another errand of the program's own
        self.requests.append(body)
        if answered >= len(self.calls):
            return None
        tool, arguments = self.calls[answered]
        return next((name for name in names if name.endswith(tool)), tool), arguments

    def _messages(self, body: Json) -> Iterator[tuple[str, Json]]:
        names = [tool["name"] for tool in body.get("tools", ())]
        blocks = [
            block
            for message in body["messages"]
            if isinstance(message["content"], list)
            for block in message["content"]
        ]
        call = self._next_call(body, names, _count(blocks, "tool_result"))
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"]}
        message |= {"content": [], "stop_reason": None, "stop_sequence": None, "usage": _USAGE}
        yield "message_start", {"message": message}
        if call is None:
            block: Json = {"type": "text", "text": ""}
            delta: Json = {"type": "text_delta", "text": DONE}
        else:
            block = {"type": "tool_use", "id": f"toolu_{len(blocks)}", "name": call[0], "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(call[1])}
        yield "content_block_start", {"index": 0, "content_block": block}
        yield "content_block_delta", {"index": 0, "delta": delta}
        yield "content_block_stop", {"index": 0}
        reason = "end_turn" if call is None else "tool_use"
        stop = {"stop_reason": reason, "stop_sequence": None}
        yield "message_delta", {"delta": stop, "usage": _USAGE}
        yield "message_stop", {}

    def _responses(self, body: Json) -> Iterator[tuple[str, Json]]:
        names: list[str] = []
        for tool in body.get("tools", ()):
            names += [inner["name"] for inner in tool.get("tools", [tool]) if "name" in inner]
        namespaces = {
            inner["name"]: tool["name"]
            for tool in body.get("tools", ())
            for inner in tool.get("tools", ())
        }
        call = self._next_call(body, names, _count(body["input"], "function_call_output"))
        response = {"id": "resp_1", "object": "response", "status": "in_progress", "output": []}
        yield "response.created", {"response": response}
        if call is None:
            content = [{"type": "output_text", "text": DONE, "annotations": []}]
            item: Json = {"type": "message", "id": "msg_1", "role": "assistant", "content": content}
        else:
            number = len(body["input"])
            item = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}"}
            item |= {"name": call[0], "arguments": json.dumps(call[1])}
            if call[0] in namespaces:
                item["namespace"] = namespaces[call[0]]
        item["status"] = "completed"
        yield "response.output_item.added", {"output_index": 0, "item": item}
        yield "response.output_item.done", {"output_index": 0, "item": item}
        usage = {**_USAGE, "total_tokens": 2}
        done = {**response, "status": "completed", "output": [item], "usage": usage}
        yield "response.completed", {"response": done}

    def _gemini(self, body: Json) -> Iterator[tuple[str, Json]]:
        names = [
            declared["name"]
            for tool in body.get("tools", ())
            for declared in tool.get("functionDeclarations", ())
        ]
        parts = [part for content in body["contents"] for part in content.get("parts", ())]
        answered = sum("functionResponse" in part for part in parts)
        call = self._next_call(body, names, answered)
        part: Json = {"text": DONE}
        if call is not None:
            part = {"functionCall": {"name": call[0], "args": call[1]}}
        content = {"role": "model", "parts": [part]}
        candidate = {"content": content, "finishReason": "STOP", "index": 0}
        yield "", {"candidates": [candidate], "usageMetadata": {"totalTokenCount": 2}}


def _count(items: Sequence[Json], kind: str) -> int:
    return sum(item.get("type") == kind for item in items)


class _Handler(BaseHTTPRequestHandler):
    model: ScriptedModel

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        if "count" in self.path.lower():
            self._send("application/json", json.dumps({"input_tokens": 1, "totalTokens": 1}))
            return
        text = ""
        for name, data in self.model.answer(self.path, body):
            named = {"type": name, **data} if name else data
            text += f"event: {name}\n" if name else ""
            text += f"data: {json.dumps(named)}\n\n"
        self._send("text/event-stream", text)

    def do_GET(self) -> None:
        self._send("application/json", json.dumps({"data": [], "models": []}))

    def _send(self, kind: str, text: str) -> None:
        data = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def serve_model(*calls: tuple[str, Json]) -> Generator[ScriptedModel, None, None]:
    """
    Serve a model within a `with` block.
    """
    model = ScriptedModel(calls)
    handler = type("Handler", (_Handler,), {"model": model})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        model.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield model
        finally:
            server.shutdown()
            thread.join()
