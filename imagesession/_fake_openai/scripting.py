"""
Scripted responses: the test chooses the next image, message or revised prompt.

A script waits among the faults for its request. While that is handled the script is active, and
the resulting sketch state carries the scripted values: later turns start from the scripted image.
"""

from __future__ import annotations

import contextlib
import contextvars
import io
import os
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from imagesession._fake_openai.faults import GENERATIONS, Fault, asks_for_picture
from imagesession._fake_openai.history import HistoryResolver, InspectedImage, SketchPlan
from imagesession._fake_openai.http import FakeRequest, Json
from imagesession._fake_openai.image_tool import ImageToolParams
from imagesession._fake_openai.inputs import InputImage
from imagesession._fake_openai.memory import StoredResponse
from imagesession._fake_openai.overlays import Overlay
from imagesession._fake_openai.render_cache import Sketcher
from imagesession._fake_openai.response_writer import ResponseWriter
from imagesession._fake_openai.responses_request import ResponsesRequest
from imagesession._fake_openai.sketch import SketchState

if TYPE_CHECKING:
    from PIL import Image

Picture: TypeAlias = "bytes | str | os.PathLike[str] | Image.Image"
"""An image: its bytes, the path of its file, or a PIL image."""


@attrs.frozen(kw_only=True)
class Script(Fault):
    """
    Plan one response.

    Attributes:
        image: The image's bytes; None lets the sketcher draw.
        text: The text of the message; None for the provider's own.
        revised_prompt: The revised prompt; None for the provider's own.

    """

    image: bytes | None = attrs.field(default=None, repr=False)
    text: str | None = None
    revised_prompt: str | None = None


@attrs.frozen(kw_only=True)
class ScriptedSketch(SketchState):
    """
    A sketch state with scripted values.

    Attributes:
        image: The image to send; None if the sketcher draws it.
        text: The text of the message.
        revised_prompt: The revised prompt.

    """

    image: bytes | None = None
    text: str | None = None
    revised_prompt: str | None = None


def _without_script(sketch: SketchState) -> SketchState:
    """
    Return a state without its script, as the sketcher knows it.
    """
    return SketchState(**_state_fields(sketch)) if isinstance(sketch, ScriptedSketch) else sketch


_active_script: contextvars.ContextVar[Script | None] = contextvars.ContextVar(
    "script", default=None
)


@contextlib.contextmanager
def script_for(fault: Fault) -> Generator[None, None, None]:
    """
    Activate a script while its request is handled; other faults are no scripts.
    """
    token = _active_script.set(fault if isinstance(fault, Script) else None)
    try:
        yield
    finally:
        _active_script.reset(token)


@attrs.frozen(kw_only=True)
class ScriptedResolver(HistoryResolver):
    """
    Resolve requests, and apply the active script.
    """

    def resolve(
        self, request: ResponsesRequest, tool: ImageToolParams, before: SketchState | None
    ) -> SketchPlan:
        return self._apply_script(super().resolve(request, tool, before))

    def draw(self, tool: ImageToolParams, prompt: str) -> SketchPlan:
        return self._apply_script(super().draw(tool, prompt))

    def edit(
        self,
        tool: ImageToolParams,
        prompt: str,
        images: tuple[InputImage, ...],
        overlay: Overlay | None,
    ) -> SketchPlan:
        return self._apply_script(super().edit(tool, prompt, images, overlay))

    def inspect(
        self, request: ResponsesRequest, before: SketchState | None
    ) -> InspectedImage | None:
        inspected = super().inspect(request, before)
        if inspected is None:
            return None
        script = _active_script.get()
        sketch = inspected.sketch
        image = sketch.image if isinstance(sketch, ScriptedSketch) else None
        text = script.text if script else None
        return attrs.evolve(inspected, sketch=_with_script(sketch, image=image, text=text))

    def _apply_script(self, sketch_plan: SketchPlan) -> SketchPlan:
        script = _active_script.get()
        if script is None:
            return sketch_plan
        revised_prompt = script.revised_prompt or self.sketcher.describe(sketch_plan.after)
        sketch = (
            sketch_plan.after
            if script.image is None
            else self._start_from(script.image, sketch_plan)
        )
        scripted = _with_script(
            sketch, image=script.image, text=script.text, revised_prompt=revised_prompt
        )
        return attrs.evolve(sketch_plan, after=scripted)

    def _start_from(self, image: bytes, sketch_plan: SketchPlan) -> SketchState:
        """
        Start a sketch from an image; keep the planned one if the image cannot be decoded.
        """
        try:
            size = self.sketcher.from_image(image).size
        except ValueError:
            return sketch_plan.after
        sketch = sketch_plan.after
        return SketchState(
            prompts=(), base=image, size=size, transparent=sketch.transparent, seed=sketch.seed
        )


def _with_script(sketch: SketchState, **script: Any) -> SketchState:  # noqa: ANN401 - the fields of ScriptedSketch
    if all(value is None for value in script.values()):
        return _without_script(sketch)
    return ScriptedSketch(**_state_fields(sketch), **script)


def _state_fields(sketch: SketchState) -> dict[str, Any]:
    return {field.name: getattr(sketch, field.name) for field in attrs.fields(SketchState)}


class ScriptedSketcher:
    """
    Return scripted images, and let a sketcher draw the others.
    """

    def __init__(self, sketcher: Sketcher) -> None:
        self._sketcher = sketcher
        self.start = sketcher.start
        self.from_image = sketcher.from_image

    def refine(self, state: SketchState, prompt: str, **options: Any) -> SketchState:  # noqa: ANN401 - the sketcher's own
        """
        Apply a prompt to a sketch.
        """
        return self._sketcher.refine(_without_script(state), prompt, **options)

    def render(self, state: SketchState, *, share: float = 1.0, **options: Any) -> bytes:  # noqa: ANN401 - the sketcher's own
        """
        Draw the image, or return the scripted one.
        """
        if isinstance(state, ScriptedSketch) and state.image is not None and share >= 1:
            return state.image
        return self._sketcher.render(_without_script(state), share=share, **options)

    def describe(self, state: SketchState) -> str:
        """
        Describe the image, or return the scripted revised prompt.
        """
        if isinstance(state, ScriptedSketch) and state.revised_prompt is not None:
            return state.revised_prompt
        return self._sketcher.describe(_without_script(state))


@attrs.frozen(kw_only=True)
class ScriptedWriter(ResponseWriter):
    """
    Write responses, with scripted text.
    """

    def part(self, record: StoredResponse) -> Json:
        sketch = record.drawings[0].sketch if record.drawings else record.sketch
        scriptable = bool(record.drawings) or record.request.findings
        text = sketch.text if isinstance(sketch, ScriptedSketch) else None
        if text is None or record.ending is not None or not scriptable:
            return super().part(record)
        return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


class ScriptingMixin:
    """
    Script the next responses.
    """

    def enqueue_fault(self, fault: Fault, *, times: int = 1) -> None:
        """
        Queue a fault for the next matching requests.
        """
        raise NotImplementedError

    def refuse_next(self, text: str) -> None:
        """
        Answer the next generation with a refusal in words and no image.
        """
        raise NotImplementedError

    def serves(self, call: FakeRequest) -> bool:
        """
        Tell whether the provider has the endpoint of a request.
        """
        raise NotImplementedError

    def respond_next(
        self,
        *,
        image: Picture | None = None,
        text: str | None = None,
        revised_prompt: str | None = None,
        refuse: str | None = None,
        times: int = 1,
    ) -> None:
        """
        Script the next response; the provider fills in what is left out.

        Args:
            image: The image, sent as it is, whatever its format and size.
            text: The message beside the image, or for an analysis its findings as JSON. The Images
                API has no messages.
            revised_prompt: The revised prompt.
            refuse: The words in which the model refuses, instead of everything else.
            times: How many responses to script.

        Raises:
            ValueError: Nothing is scripted, or both an image and a refusal.

        """
        words = (text, revised_prompt)
        if refuse is not None:
            if image is not None or any(word is not None for word in words):
                raise ValueError(
                    "refuse= cannot be combined with image=, text= or revised_prompt=."
                )
            for _ in range(times):
                self.refuse_next(refuse)
            return
        draws = image is not None or revised_prompt is not None
        if not draws and text is None:
            raise ValueError("Pass at least one of image=, text=, revised_prompt= and refuse=.")
        script = Script(
            method="POST",
            path=GENERATIONS if draws else "/responses",
            match=lambda call: self.serves(call) and (not draws or asks_for_picture(call)),
            image=None if image is None else _bytes_of(image),
            text=text,
            revised_prompt=revised_prompt,
        )
        self.enqueue_fault(script, times=times)


def _bytes_of(image: Picture) -> bytes:
    if isinstance(image, bytes):
        return image
    if isinstance(image, (str, os.PathLike)):
        return Path(image).read_bytes()
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
