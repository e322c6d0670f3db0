"""
Replies by script: the next picture, or what is said with it, is the caller's and not the painter's.

A script waits among the faults until its call comes. While that is answered it is in force, and the
story that the call tells becomes one that carries what was scripted: whatever is later made from
it starts from the picture that was given.
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
"""A picture: its bytes, the path of its file, or a PIL image."""


@attrs.frozen(kw_only=True)
class Script(Fault):
    """
    Plan one reply.

    Attributes:
        picture: The picture's bytes; None leaves it to the painter.
        said: What the message says; None leaves that to the provider.
        revised: What the image model was told; None leaves that to the provider.

    """

    picture: bytes | None = attrs.field(default=None, repr=False)
    said: str | None = None
    revised: str | None = None


@attrs.frozen(kw_only=True)
class GivenSketch(SketchState):
    """
    Represent a picture of which something was scripted.

    Attributes:
        picture: The picture as it is sent; None where it is painted.
        said: What the message beside it says.
        revised: What the image model was told.

    """

    picture: bytes | None = None
    said: str | None = None
    revised: str | None = None


def _plain(sketch: SketchState) -> SketchState:
    """
    Tell a story as the painter knows it.
    """
    if not isinstance(sketch, GivenSketch):
        return sketch
    known = {field.name: getattr(sketch, field.name) for field in attrs.fields(SketchState)}
    return SketchState(**known)


_in_force: contextvars.ContextVar[Script | None] = contextvars.ContextVar("script", default=None)


@contextlib.contextmanager
def in_force(fault: Fault) -> Generator[None, None, None]:
    """
    Let a script hold while its call is answered; any other fault is none.
    """
    token = _in_force.set(fault if isinstance(fault, Script) else None)
    try:
        yield
    finally:
        _in_force.reset(token)


@attrs.frozen(kw_only=True)
class ScriptedResolver(HistoryResolver):
    """
    Tell the story of a request as the script in force has it.
    """

    def resolve(
        self, ask: ResponsesRequest, tool: ImageToolParams, before: SketchState | None
    ) -> SketchPlan:
        return self._scripted(super().resolve(ask, tool, before))

    def draw(self, tool: ImageToolParams, prompt: str) -> SketchPlan:
        return self._scripted(super().draw(tool, prompt))

    def edit(
        self,
        tool: ImageToolParams,
        prompt: str,
        given: tuple[InputImage, ...],
        overlay: Overlay | None,
    ) -> SketchPlan:
        return self._scripted(super().edit(tool, prompt, given, overlay))

    def see(self, ask: ResponsesRequest, before: SketchState | None) -> InspectedImage | None:
        seen = super().see(ask, before)
        if seen is None:
            return None
        script = _in_force.get()
        picture = seen.sketch.picture if isinstance(seen.sketch, GivenSketch) else None
        said = script.said if script else None
        return attrs.evolve(seen, sketch=_given(seen.sketch, picture=picture, said=said))

    def _scripted(self, sketch_plan: SketchPlan) -> SketchPlan:
        script = _in_force.get()
        if script is None:
            return sketch_plan
        revised = script.revised or self.sketcher.describe(sketch_plan.after)
        sketch = (
            sketch_plan.after if script.picture is None else self._from(script.picture, sketch_plan)
        )
        given = _given(sketch, picture=script.picture, said=script.said, revised=revised)
        return attrs.evolve(sketch_plan, after=given)

    def _from(self, picture: bytes, sketch_plan: SketchPlan) -> SketchState:
        """
        Begin a story with a picture; one that has no pixels to go on from stays as it was told.
        """
        try:
            size = self.sketcher.from_image(picture).size
        except ValueError:
            return sketch_plan.after
        sketch = sketch_plan.after
        return SketchState(
            prompts=(), base=picture, size=size, transparent=sketch.transparent, seed=sketch.seed
        )


def _given(sketch: SketchState, **script: Any) -> SketchState:  # noqa: ANN401 - the fields of GivenSketch
    plain = _plain(sketch)
    if all(value is None for value in script.values()):
        return plain
    known = {field.name: getattr(plain, field.name) for field in attrs.fields(SketchState)}
    return GivenSketch(**known, **script)


class ScriptedSketcher:
    """
    Hand out the pictures that were given, and have the others painted.
    """

    def __init__(self, sketcher: Sketcher) -> None:
        self._sketcher = sketcher
        self.start = sketcher.start
        self.from_image = sketcher.from_image

    def refine(self, state: SketchState, prompt: str, **options: Any) -> SketchState:  # noqa: ANN401 - as the painter takes them
        """
        Change a picture as told.
        """
        return self._sketcher.refine(_plain(state), prompt, **options)

    def render(self, state: SketchState, *, share: float = 1.0, **options: Any) -> bytes:  # noqa: ANN401 - as the painter takes them
        """
        Draw the picture, or give the one that was given.
        """
        if isinstance(state, GivenSketch) and state.picture is not None and share >= 1:
            return state.picture
        return self._sketcher.render(_plain(state), share=share, **options)

    def describe(self, state: SketchState) -> str:
        """
        Tell in words what is drawn.
        """
        if isinstance(state, GivenSketch) and state.revised is not None:
            return state.revised
        return self._sketcher.describe(_plain(state))


@attrs.frozen(kw_only=True)
class ScriptedWriter(ResponseWriter):
    """
    Write what a script says.
    """

    def part(self, record: StoredResponse) -> Json:
        sketch = record.drawings[0].sketch if record.drawings else record.sketch
        looks = bool(record.drawings) or bool(record.ask.findings)
        said = sketch.said if isinstance(sketch, GivenSketch) else None
        if said is None or record.ending is not None or not looks:
            return super().part(record)
        return {"type": "output_text", "annotations": [], "logprobs": [], "text": said}


class ScriptingMixin:
    """
    Let people say what is replied next.
    """

    def enqueue_fault(self, fault: Fault, *, times: int = 1) -> None:
        """
        Plan a fault for the next call, or calls, that it fits.
        """
        raise NotImplementedError

    def refuse_next(self, text: str) -> None:
        """
        Let the model decline the next generation in words, with no picture.
        """
        raise NotImplementedError

    def serves(self, call: FakeRequest) -> bool:
        """
        Tell whether there is what a call is for.
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
        Say what the next reply brings; what is left out is the provider's.

        Args:
            image: The picture, which comes as it is, whatever its format and size.
            text: What is said beside the picture; or, where a picture is to be looked at, what is
                found, in JSON. The Images API has no words.
            revised_prompt: What the image model was told.
            refuse: Words in which the model declines, instead of all others.
            times: How many replies.

        Raises:
            ValueError: There is nothing to reply, or both a picture and a refusal.

        """
        words = (text, revised_prompt)
        if refuse is not None:
            if image is not None or any(word is not None for word in words):
                raise ValueError("A reply that refuses brings nothing else.")
            for _ in range(times):
                self.refuse_next(refuse)
            return
        draws = image is not None or revised_prompt is not None
        if not draws and text is None:
            raise ValueError("Say what to reply: image=, text=, revised_prompt= or refuse=.")
        script = Script(
            method="POST",
            path=GENERATIONS if draws else "/responses",
            when=lambda call: self.serves(call) and (not draws or asks_for_picture(call)),
            picture=None if image is None else _bytes_of(image),
            said=text,
            revised=revised_prompt,
        )
        self.enqueue_fault(script, times=times)


def _bytes_of(picture: Picture) -> bytes:
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, (str, os.PathLike)):
        return Path(picture).read_bytes()
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
