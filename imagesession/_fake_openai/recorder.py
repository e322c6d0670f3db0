"""
The requests that a provider received, for assertions in tests.
"""

import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, cast

import attrs

from imagesession._fake_openai.faults import image_tools, objects, requests_picture
from imagesession._fake_openai.files_endpoint import Field
from imagesession._fake_openai.http import Json

_NOT_OPTIONS = frozenset({"prompt", "image", "image[]", "images", "mask", "markup"})


@attrs.frozen(kw_only=True)
class RecordedRequest:
    """
    A request that the provider received.

    Attributes:
        method: In capitals.
        path: Without `/v1`.
        query: The last value of each name.
        headers: In lower case, without the key.
        body: The parsed JSON; a tuple of form fields; or None.
        length: How many bytes the body had.
        fault: The random fault that it met, if any; see `FakeOpenAI.inject_faults`.

    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: Any = attrs.field(repr=False)
    length: int
    fault: str | None = None

    @property
    def draws(self) -> bool:
        """
        Whether it requests an image, which is what a provider bills.
        """
        return requests_picture(self.method, self.path, self._fields)

    @property
    def prompt(self) -> str:
        """
        The text of its last user message, or its prompt; empty if there is none.
        """
        text = self._fields.get("prompt", self._fields.get("input", ""))
        return text if isinstance(text, str) else _last_user_text(text)

    @property
    def options(self) -> Mapping[str, Any]:
        """
        Its image options under their names on the wire, such as `{"quality": "high"}`.
        """
        fields = self._fields
        if self.path.endswith("/responses"):
            (tool, *_) = (*image_tools(fields), cast("Json", {}))
            return {name: value for name, value in tool.items() if name != "type"}
        return {name: value for name, value in fields.items() if name not in _NOT_OPTIONS}

    @property
    def _fields(self) -> Json:
        body: object = self.body
        if isinstance(body, dict):
            return cast("Json", body)
        form = cast("tuple[Field, ...]", body if isinstance(body, tuple) else ())
        return {field.name: field.text for field in form if not field.filename}


class RecordingMixin:
    _recorded: deque[RecordedRequest]
    _lock: threading.Lock

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """
        The requests received, oldest first; only the latest are kept. Each line of a batch is
        among them once it was executed.
        """
        with self._lock:
            return tuple(self._recorded)

    @property
    def generated(self) -> tuple[RecordedRequest, ...]:
        """
        The requests for images, oldest first.
        """
        return tuple(call for call in self.requests if call.draws)

    def assert_generated(
        self, times: int | None = None, *, prompt: str | None = None, **options: object
    ) -> None:
        """
        Assert that images were requested.

        Args:
            times: How often; None for once or more.
            prompt: Count only requests whose prompt contains this text.
            **options: Count only requests with these options, under their names on the wire, such
                as `quality="high"`.

        Raises:
            AssertionError: The number differs; the message lists all requests for images.

        """
        matching = [request for request in self.generated if _fits(request, prompt, options)]
        if len(matching) == times or (times is None and matching):
            return
        expected = "some" if times is None else str(times)
        listed = "".join(
            f"\n  {request.prompt!r} {dict(request.options)}" for request in self.generated
        )
        filters = {} if prompt is None else {"prompt": prompt}
        raise AssertionError(
            f"Images requested with {filters | options}: {expected} expected, {len(matching)} "
            f"found.\nAll requests for images:{listed or ' none'}"
        )


def _fits(call: RecordedRequest, prompt: str | None, options: Mapping[str, object]) -> bool:
    sent = call.options
    return (prompt is None or prompt in call.prompt) and all(
        name in sent and str(sent[name]) == str(value) for name, value in options.items()
    )


def _last_user_text(messages: object) -> str:
    for message in reversed(objects(messages)):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            parts = objects(content)
            return "\n".join(
                str(part["text"]) for part in parts if part.get("type") == "input_text"
            )
    return ""
