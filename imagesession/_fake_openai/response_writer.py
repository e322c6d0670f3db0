"""
Write responses as JSON: the same object for a plain response, a poll and a stream's events.

Fields: https://platform.openai.com/docs/api-reference/responses/object
"""

import attrs
import pybase64

from imagesession._fake_openai.errors import blocked
from imagesession._fake_openai.faults import Blocked, Broken, Refused, Scripted
from imagesession._fake_openai.http import Json
from imagesession._fake_openai.memory import ImageItem, StoredResponse
from imagesession._fake_openai.render_cache import RenderCache, RenderKey
from imagesession._fake_openai.tokens import text_tokens

_ENCRYPTED = "b2ZmbGluZSBwcm92aWRlcjogbm8gcmVhc29uaW5nIHRvIGhpZGU="


@attrs.frozen
class ResponseWriter:
    pictures: RenderCache

    def response(self, record: StoredResponse, status: str, *, results: bool = True) -> Json:
        done = status == "completed"
        over = done or status == "failed"
        failure = record.ending if isinstance(record.ending, Broken) else None
        body: Json = {
            "id": record.id,
            "object": "response",
            "created_at": int(record.created),
            "status": status,
            "background": record.request.background,
            "completed_at": int(record.created + record.latency) if done else None,
            "error": {"code": failure.code, "message": failure.message}
            if failure and status == "failed"
            else None,
            "incomplete_details": None,
            **record.request.echo,
            "output": self.output(record, results=results) if done else [],
            "service_tier": record.request.tier if over else "auto",
            "store": record.request.store,
            "usage": record.billed.as_json() if over else None,
        }
        if over:
            body["billing"] = {"payer": "developer"}
            usage = record.image_usage.as_json()
            body["tool_usage"] = {"image_gen": usage, "web_search": {"num_requests": 0}}
        return body

    def status(self, record: StoredResponse, now: float) -> str:
        if record.cancelled:
            return "cancelled"
        if not record.finished(now):
            return "in_progress"
        return self.outcome(record)

    def outcome(self, record: StoredResponse) -> str:
        return "failed" if isinstance(record.ending, Broken) else "completed"

    def output(self, record: StoredResponse, *, results: bool = True) -> list[Json]:
        items = [self.compaction(record)] if record.compaction_id else []
        items += [self.reasoning(record)] if record.reasoning_id else []
        items += [self.image(record, drawing, result=results) for drawing in record.drawings]
        return [*items, self.message(record)]

    def reasoning(self, record: StoredResponse) -> Json:
        item: Json = {"id": record.reasoning_id, "type": "reasoning", "summary": []}
        if record.request.encrypted:
            item["encrypted_content"] = _ENCRYPTED
        return item

    def compaction(self, record: StoredResponse) -> Json:
        return {"id": record.compaction_id, "type": "compaction", "encrypted_content": _ENCRYPTED}

    def image(self, record: StoredResponse, drawing: ImageItem, *, result: bool = True) -> Json:
        item = self.facts(drawing)
        item |= {"id": drawing.id, "type": "image_generation_call", "action": drawing.action}
        prompt = drawing.script and drawing.script.revised_prompt
        item["revised_prompt"] = prompt or self.pictures.sketcher.describe(drawing.sketch)
        if isinstance(record.ending, Blocked):
            error = blocked(record.ending.stage, record.ending.categories, drawing.id).error
            return item | {"status": "failed", "result": None, "error": error}
        if drawing.tool.encoding.format == "svg":
            item["svg_usage"] = self.svg_usage(drawing, record.request.model.id)
        data = self.base64(drawing) if result else None
        return item | {"status": "completed", "result": data}

    def base64(self, drawing: ImageItem, share: float = 1.0) -> bytes:
        image = drawing.script.image if drawing.script else None
        if image is not None and share >= 1:
            return pybase64.b64encode(image)
        key = RenderKey(sketch=drawing.sketch, encoding=drawing.tool.encoding, share=share)
        return self.pictures.base64(key)

    def svg_usage(self, drawing: ImageItem, author: str) -> Json:
        """
        Write the usage of the model that authors an SVG, which is billed separately: of the author,
        unless the request names one.
        """
        written = text_tokens(" " * len(pybase64.b64decode(self.base64(drawing))))
        reported = 512 + text_tokens(" ".join(drawing.sketch.prompts))
        return {
            "input_tokens": reported,
            "model": drawing.tool.svg_model or author,
            "output_tokens": written,
            "reasoning_tokens": 0,
            "total_tokens": reported + written,
        }

    def facts(self, drawing: ImageItem) -> Json:
        width, height = drawing.sketch.size
        return {
            "background": "transparent" if drawing.sketch.transparent else "opaque",
            "output_format": drawing.tool.encoding.format,
            "quality": drawing.tool.drawn_quality,
            "size": f"{width}x{height}",
        }

    def message(self, record: StoredResponse) -> Json:
        return {
            "id": record.message_id,
            "type": "message",
            "status": "completed",
            "content": [self.part(record)],
            "role": "assistant",
        }

    def part(self, record: StoredResponse) -> Json:
        if isinstance(record.ending, Refused):
            return {"type": "refusal", "refusal": record.ending.text}
        script = record.ending.text if isinstance(record.ending, Scripted) else None
        text = record.message_text if script is None else script
        return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
