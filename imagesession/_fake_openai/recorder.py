"""
Looking back: the calls that a provider got, read for whoever asserts on them.
"""

from collections.abc import Mapping
from typing import Any, cast

import attrs

from imagesession._fake_openai.faults import DRAWING
from imagesession._fake_openai.files_endpoint import Field
from imagesession._fake_openai.http import Json

_NOT_OPTIONS = frozenset({"prompt", "image", "image[]", "images", "mask", "markup"})


@attrs.frozen(kw_only=True)
class RecordedRequest:
    """
    Hold a call that the provider got, to assert on.

    Attributes:
        method: In capitals.
        path: Without `/v1`.
        query: The last value of each name.
        headers: In lower case, without the key.
        body: The parsed JSON; a tuple of form fields; or None.
        length: How many bytes the body had.
        fault: The kind of trouble it met by chance; see `FakeOpenAI.inject_faults`.

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
        Tell whether it asks for a picture, which is what a provider bills.
        """
        if self.method != "POST" or self.path not in DRAWING:
            return False
        return self.path != "/responses" or bool(_image_tools(self._fields))

    @property
    def prompt(self) -> str:
        """
        Give the words of its last user message, or of its prompt; empty if there are none.
        """
        said = self._fields.get("prompt", self._fields.get("input", ""))
        return said if isinstance(said, str) else _last_words(said)

    @property
    def options(self) -> Mapping[str, Any]:
        """
        Give what it asks of the picture, such as `{"quality": "high"}`, as the wire has it.
        """
        fields = self._fields
        if self.path == "/responses":
            (tool, *_) = (*_image_tools(fields), cast("Json", {}))
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
    """
    Let people assert on the calls that came in.
    """

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """
        Give the calls that came in, oldest first.
        """
        raise NotImplementedError

    @property
    def generated(self) -> tuple[RecordedRequest, ...]:
        """
        Give the calls that asked for a picture, oldest first.
        """
        return tuple(call for call in self.requests if call.draws)

    def assert_generated(
        self, times: int | None = None, *, prompt: str | None = None, **options: object
    ) -> None:
        """
        Assert that pictures were asked for, as said.

        Args:
            times: How often; None for once or more.
            prompt: Only those whose prompt holds these words.
            **options: Only those that ask just so of the picture, in the words of the wire, such
                as `quality="high"`.

        Raises:
            AssertionError: They were not; it lists what was asked for.

        """
        fitting = [request for request in self.generated if _fits(request, prompt, options)]
        if len(fitting) == times or (times is None and fitting):
            return
        wanted = "some" if times is None else str(times)
        asked = "".join(
            f"\n  {request.prompt!r} {dict(request.options)}" for request in self.generated
        )
        what = {} if prompt is None else {"prompt": prompt}
        raise AssertionError(
            f"Pictures asked for with {what | options}: {wanted} expected, {len(fitting)} found."
            f"\nAll that were asked for:{asked or ' none'}"
        )


def _fits(call: RecordedRequest, prompt: str | None, options: Mapping[str, object]) -> bool:
    asked = call.options
    return (prompt is None or prompt in call.prompt) and all(
        name in asked and str(asked[name]) == str(value) for name, value in options.items()
    )


def _image_tools(fields: Json) -> list[Json]:
    return [
        item for item in _objects(fields.get("tools")) if item.get("type") == "image_generation"
    ]


def _objects(value: object) -> list[Json]:
    """
    Return the objects of a list; what is not of this form holds none.
    """
    members = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("Json", member) for member in members if isinstance(member, dict)]


def _last_words(messages: object) -> str:
    for message in reversed(_objects(messages)):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            parts = _objects(content)
            return "\n".join(
                str(part["text"]) for part in parts if part.get("type") == "input_text"
            )
    return ""
