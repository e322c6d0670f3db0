"""
Dialects: how servers other than OpenAI take requests to the same endpoints, and answer them.

Each of them wraps the provider: it reads a request as its server would, refuses what its server
refuses, and gives the answer its server's form. The facts are those of `_domain/servers.toml`, told
independently, so that a mistake in either is found.
"""

import base64
import io
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus

import attrs
from PIL import Image

from imagesession._fake_openai.faults import image_tools
from imagesession._fake_openai.files_endpoint import read_form
from imagesession._fake_openai.http import (
    FakeRequest,
    FakeResponse,
    Json,
    Part,
    dump,
    json_response,
)
from imagesession._imaging.pillow import resize

Serve = Callable[[FakeRequest], FakeResponse]
_MIN_PIXELS, _MULTIPLE = 655_360, 16
_EDITS, _GENERATIONS = "/images/edits", "/images/generations"
_IMAGES = ("image", "image[]")
_TOOL_WORDS = "Hosted tool 'image_generation' is not supported"


class Dialect:
    """
    OpenAI's own form, and the base of the others.
    """

    def serve(self, call: FakeRequest, serve: Serve) -> FakeResponse:
        return serve(call)


class Azure(Dialect):
    """
    Azure OpenAI, by both of its doors.
    """

    def serve(self, call: FakeRequest, serve: Serve) -> FakeResponse:
        key = call.headers.get("api-key")
        if key is not None:
            headers = {**call.headers, "authorization": f"Bearer {key}"}
            call = attrs.evolve(call, headers=headers)
        path = call.path.removeprefix("/openai")
        old_door = path != call.path and not path.startswith("/v1/")
        path = path.removeprefix("/v1")
        path = re.sub(r"^/deployments/[^/]+(?=/.)", "", path)
        missing = path.startswith(("/conversations", "/batches"))
        if missing or (old_door and "api-version" not in call.query):
            return _raw_error(404, {"code": "404", "message": "Resource not found"})
        draws = path == "/responses" and image_tools(call.members)
        if draws and "x-ms-oai-image-generation-deployment" not in call.headers:
            return _raw_error(400, {"code": "BadRequest", "message": "Bad request"})
        return serve(attrs.evolve(call, path=path))


class LiteLLM(Dialect):
    """
    A LiteLLM proxy in front of OpenAI, without a configuration for files.
    """

    def serve(self, call: FakeRequest, serve: Serve) -> FakeResponse:
        if call.path.startswith("/conversations"):
            return json_response({"detail": "Not Found"}, status=404)
        if call.path.startswith("/files"):
            message = "files_settings is not set, set it on your config.yaml file."
            return _raw_error(500, {"message": message, "type": "None", "param": "None"})
        return serve(call)


@attrs.define
class ImagesServer(Dialect):
    """
    A server with an Images API of its own, on which no OpenAI model runs.
    """

    generations: str = _GENERATIONS  # the path of its endpoint for new images
    edits: bool = True  # whether it has OpenAI's endpoint for edits
    responses: bool = True  # whether it has Responses, for text alone
    forms: bool = True  # whether it takes forms
    refused: frozenset[str] = frozenset()  # the parameters that it rejects; it ignores others
    by_url: bool = False  # whether images come by URL, unless base64 is requested
    image_format: str = "PNG"  # by Pillow's name
    # The size of an image if none is requested; None lets the sketcher choose.
    default_size: str | None = None
    _files: dict[str, bytes] = attrs.field(factory=dict[str, bytes], init=False)

    def serve(self, call: FakeRequest, serve: Serve) -> FakeResponse:
        if call.path in self._files:
            headers = {"content-type": "image/png"}
            return FakeResponse(headers=headers, parts=iter((self._files[call.path],)))
        if call.path == self.generations or (self.edits and call.path == _EDITS):
            return self._make(call, serve)
        if self.responses and call.path.startswith("/responses"):
            return self.error(400, _TOOL_WORDS) if image_tools(call.members) else serve(call)
        if call.path.startswith("/models"):
            return serve(call)
        return self.error(404, "Not Found")

    def error(self, status: int, message: str) -> FakeResponse:
        return json_response({"detail": message}, status=status)

    def _make(self, call: FakeRequest, serve: Serve) -> FakeResponse:
        body = _read(call)
        wrong = sorted(self.refused & body.keys())
        if wrong:
            return self.error(400, f"Argument not supported: {wrong[0]}")
        if call.is_form and not self.forms:
            return self.error(400, "Invalid request body.")
        try:
            size = self.size_of(body)
            request = self._to_openai(call, body, size)
        except (TypeError, ValueError, KeyError):
            return self.error(400, "Invalid request body.")
        answer = serve(request)
        if answer.status != HTTPStatus.OK:
            return answer
        in_base64 = not self.by_url or body.get("response_format") == "b64_json"
        parts = self._reshape(call, answer, size, in_base64=in_base64)
        return attrs.evolve(answer, parts=parts)

    def _to_openai(self, call: FakeRequest, body: Json, size: str | None) -> FakeRequest:
        images = self.images_of(body)
        wanted: Json = {
            "model": "gpt-image-2",
            "prompt": body["prompt"],
            "n": body.get("n") or 1,
            **({"size": _drawn_size(size)} if size else {}),
            **({"images": [{"image_url": url} for url in images]} if images else {}),
        }
        headers = {**call.headers, "content-type": "application/json"}
        path = _EDITS if images else _GENERATIONS
        return attrs.evolve(call, path=path, body=dump(wanted), headers=headers)

    def images_of(self, body: Json) -> list[str]:
        return [image["url"] for image in body.get("images", ())]

    def size_of(self, body: Json) -> str | None:
        size = body.get("size")
        return size if isinstance(size, str) and "x" in size else self.default_size

    def reply(self, items: list[Json], usage: Json) -> Json:
        del usage
        return {"created": 1_764_374_400, "data": items}

    def item(self, data: bytes, url: str | None) -> Json:
        return {"url": url} if url else {"b64_json": base64.b64encode(data)}

    def _reshape(
        self, call: FakeRequest, answer: FakeResponse, size: str | None, *, in_base64: bool
    ) -> Iterator[Part]:
        received: list[bytes] = []
        for part in answer.parts:
            if isinstance(part, bytes):
                received.append(part)
            else:
                yield part
        body = json.loads(b"".join(received))
        items: list[Json] = []
        for member in body["data"]:
            drawn = Image.open(io.BytesIO(base64.b64decode(member["b64_json"])))
            image = drawn if size is None else resize(drawn, _pixels(size))
            data = _encoded(image, self.image_format)
            items.append(self.item(data, None if in_base64 else self._publish(call, data)))
        yield dump(self.reply(items, body["usage"]))

    def _publish(self, call: FakeRequest, data: bytes) -> str:
        path = f"/generated-images/b64{secrets.token_hex(6)}.png"
        self._files[path] = data
        return f"http://{call.headers.get('host', 'localhost')}{path}"


@attrs.define
class XAI(ImagesServer):
    """
    Takes shapes in place of sizes and JSON in place of forms, and sends JPEGs by URL.
    """

    forms: bool = False
    by_url: bool = True
    image_format: str = "JPEG"
    refused: frozenset[str] = frozenset(
        {"size", "quality", "style", "background", "output_format", "output_compression", "mask"}
    )

    def error(self, status: int, message: str) -> FakeResponse:
        code = "Client specified an invalid argument"
        return json_response({"code": code, "error": message}, status=status)

    def size_of(self, body: Json) -> str | None:
        ratio = body.get("aspect_ratio")
        return None if ratio is None else _size_of_ratio(ratio)

    def item(self, data: bytes, url: str | None) -> Json:
        return {**super().item(data, url), "mime_type": "image/jpeg"}

    def reply(self, items: list[Json], usage: Json) -> Json:
        del usage
        return {"data": items, "usage": {"cost_in_usd_ticks": 200_000_000 * len(items)}}


@attrs.define
class OpenRouter(ImagesServer):
    """
    Has one endpoint for new images and edits, and says what each request cost.
    """

    generations: str = "/images"
    edits: bool = False
    refused: frozenset[str] = frozenset({"input_fidelity", "moderation", "mask"})

    def error(self, status: int, message: str) -> FakeResponse:
        return json_response({"error": {"message": message, "code": status}}, status=status)

    def images_of(self, body: Json) -> list[str]:
        return [image["image_url"]["url"] for image in body.get("input_references", ())]

    def size_of(self, body: Json) -> str | None:
        ratio = body.get("aspect_ratio")
        return super().size_of(body) if ratio is None else _size_of_ratio(ratio)

    def item(self, data: bytes, url: str | None) -> Json:
        return {**super().item(data, url), "media_type": "image/png"}

    def reply(self, items: list[Json], usage: Json) -> Json:
        counts = {"prompt_tokens": usage["input_tokens"], "completion_tokens": 1120}
        return {"created": 0, "data": items, "usage": {**counts, "cost": 0.0336 * len(items)}}


@attrs.define
class LocalAI(ImagesServer):
    """
    Sends images by URL, and takes reference images as bare base64.
    """

    edits: bool = False
    by_url: bool = True
    default_size: str | None = "512x512"

    def error(self, status: int, message: str) -> FakeResponse:
        return _raw_error(status, {"code": status, "message": message, "type": ""})

    def images_of(self, body: Json) -> list[str]:
        return [f"data:image/png;base64,{text}" for text in body.get("ref_images", ())]


DIALECTS: Mapping[str, Callable[[], Dialect]] = {
    "azure": Azure,
    "xai": XAI,
    "openrouter": OpenRouter,
    "localai": LocalAI,
    "litellm": LiteLLM,
    "vllm-omni": ImagesServer,
    "plain": lambda: ImagesServer(responses=False),
}
"""
The dialects by the names of their servers. Any other name is OpenAI's own.
"""


def _raw_error(status: int, error: Json) -> FakeResponse:
    return json_response({"error": error}, status=status)


def _read(call: FakeRequest) -> Json:
    if not call.is_form:
        return call.members
    form = read_form(call)
    fields = {field.name: field.text for field in form if field.name not in _IMAGES}
    urls = (
        f"data:image/png;base64,{base64.b64encode(field.content).decode()}"
        for field in form
        if field.name in _IMAGES
    )
    return {**fields, "n": int(fields.get("n") or 1), "images": [{"url": url} for url in urls]}


def _drawn_size(size: str) -> str:
    # Return a size that OpenAI's models make, of the same shape, from which `size` can be scaled.
    width, height = _pixels(size)
    scale = max(1.0, (_MIN_PIXELS / (width * height)) ** 0.5)
    edges = [-(-round(edge * scale) // _MULTIPLE) * _MULTIPLE for edge in (width, height)]
    return f"{edges[0]}x{edges[1]}"


def _size_of_ratio(ratio: str) -> str:
    width, height = (float(side) for side in ratio.split(":"))
    scale = (1_048_576 / (width * height)) ** 0.5
    return f"{round(width * scale / 16) * 16}x{round(height * scale / 16) * 16}"


def _pixels(size: str) -> tuple[int, int]:
    width, height = size.split("x")
    return int(width), int(height)


def _encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image = image.convert("RGB") if kind == "JPEG" else image  # a JPEG has no alpha
    image.save(buffer, kind)
    return buffer.getvalue()
