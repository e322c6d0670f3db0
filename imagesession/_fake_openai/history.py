"""
Resolve which image a request continues, and plan the change.

User messages are replayed in order: a message's first image replaces the current one, further
images become insets, and its text refines the sketch. Earlier images are found by their item ids.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator

import attrs

from imagesession._fake_openai.errors import RefusalError
from imagesession._fake_openai.faults import Ending, Scripted
from imagesession._fake_openai.image_tool import ImageToolParams, frame_size, output_size
from imagesession._fake_openai.inputs import (
    InputImage,
    Overlay,
    Uploads,
    decode,
    load,
    open_picture,
)
from imagesession._fake_openai.memory import ImageItem, new_id
from imagesession._fake_openai.render_cache import RenderCache, RenderKey
from imagesession._fake_openai.responses_request import (
    EarlierImage,
    Item,
    Message,
    ResponsesRequest,
    split_references,
)
from imagesession._fake_openai.sketch import SketchState
from imagesession._fake_openai.tokens import picture_tokens

# The formats that the Images API accepts, by Pillow's names.
_EDITABLE = ("PNG", "JPEG", "WEBP")


@attrs.frozen(kw_only=True)
class SketchPlan:
    """
    The sketch before and after a request.
    """

    before: SketchState | None  # the sketch that the request continues, if any
    after: SketchState  # the sketch to draw
    edits: bool  # whether an existing image is edited
    insets: int  # how many further images the image model receives
    base: tuple[int, int] | None  # the size in pixels of the image that is edited, if one is
    script: Scripted | None = None  # what a test has chosen instead of the sketcher

    @property
    def image_tokens(self) -> int:
        return (picture_tokens(self.base) if self.base else 0) + 1024 * self.insets


@attrs.frozen(kw_only=True)
class HistoryResolver:
    pictures: RenderCache
    uploads: Uploads
    earlier: Callable[[str], SketchState | None]  # returns the sketch of an image item by its id
    seed: int

    def resolve(
        self, request: ResponsesRequest, tool: ImageToolParams, before: SketchState | None
    ) -> SketchPlan:
        earlier, message, later = _around_last_message(request.items)
        sketch = self._replay(before, earlier)
        # After the last message there can only be an image to continue from.
        picture = self._replay(sketch, later)
        images = self._images(message)
        shown = len(images) > message.references
        if shown:
            picture = self._from_image(message.images[0].path, images[0])
        mask = self._mask(tool)
        return self._plan(tool, picture, message.text, images, mask, shown=shown, before=before)

    def draw(self, tool: ImageToolParams, prompt: str) -> SketchPlan:
        return self._plan(tool, None, prompt, (), None, shown=False)

    def edit(
        self,
        tool: ImageToolParams,
        prompt: str,
        images: tuple[InputImage, ...],
        overlay: Overlay | None,
    ) -> SketchPlan:
        for number, image in enumerate(images, 1):
            with open_picture(image.data, number, image.param) as opened:
                if opened.format not in _EDITABLE:
                    raise RefusalError("unreadable_image", image.param, number=number)
        encoded = tuple(image.data for image in images)
        prompt, references = split_references(prompt)
        shown = len(images) > references
        picture = self._from_image(images[0].param, encoded[0]) if shown else None
        tool = tool if shown else attrs.evolve(tool, action="generate")
        return self._plan(tool, picture, prompt, encoded, overlay, shown=shown)

    def scripted(self, sketch_plan: SketchPlan, ending: Ending | None) -> SketchPlan:
        """
        Apply what a test has chosen; later turns start from its image, if that can be decoded.
        """
        if not isinstance(ending, Scripted):
            return sketch_plan
        after = sketch_plan.after
        words = ending.revised_prompt or self.pictures.sketcher.describe(after)
        if ending.image is not None:
            with contextlib.suppress(ValueError):
                size = self.pictures.sketcher.from_image(ending.image).size
                after = attrs.evolve(
                    after, prompts=(), base=ending.image, size=size, mask=None, insets=()
                )
        script = attrs.evolve(ending, revised_prompt=words)
        return attrs.evolve(sketch_plan, after=after, script=script)

    def inspect(
        self, request: ResponsesRequest, before: SketchState | None
    ) -> tuple[SketchState | None, bytes | None]:
        # The latest image that the request shows or continues, with its bytes if they were sent.
        for item in reversed(request.items):
            if isinstance(item, EarlierImage):
                return self._find(item), None
            if item.images:
                data = self._images(item)[0]
                is_svg = data.lstrip()[:4] == b"<svg"
                sketch = self._from_image(item.images[0].path, data)
                return sketch, None if is_svg else data
        return before, None

    def _replay(self, sketch: SketchState | None, items: Iterable[Item]) -> SketchState | None:
        for item in items:
            if isinstance(item, EarlierImage):
                sketch = self._find(item)
            elif item.role == "user":
                sketch = self._apply_turn(sketch, item)
        return sketch

    def _find(self, item: EarlierImage) -> SketchState:
        sketch = self.earlier(item.id)
        if sketch is not None:
            return sketch
        if item.result is None:
            raise RefusalError("no_such_item", id=item.id)
        return self._from_image(item.result.path, decode(item.result))

    def _apply_turn(self, sketch: SketchState | None, message: Message) -> SketchState | None:
        images = self._images(message)
        if len(images) > message.references:
            sketch = self._from_image(message.images[0].path, images[0])
            sketch = attrs.evolve(sketch, insets=images[1:])
        if not message.text:
            return sketch
        if sketch is None:
            return self.pictures.sketcher.start(message.text, seed=self.seed)
        return self.pictures.sketcher.refine(sketch, message.text)

    def _plan(
        self,
        tool: ImageToolParams,
        picture: SketchState | None,
        prompt: str,
        images: tuple[bytes, ...],
        overlay: Overlay | None,
        *,
        shown: bool,
        before: SketchState | None = None,
    ) -> SketchPlan:
        after = self._apply(tool, picture, prompt, images, overlay, shown=shown)
        if tool.encoding.format == "gif":
            frames = tool.encoding.frames
            after = attrs.evolve(after, size=frame_size(after.size, frames, tool.model.sizes))
        edits = picture is not None and tool.action != "generate"
        return SketchPlan(
            before=picture or before,
            after=after,
            edits=edits,
            insets=len(images) - shown,
            base=picture.size if picture and edits else None,
        )

    def _apply(
        self,
        tool: ImageToolParams,
        picture: SketchState | None,
        prompt: str,
        images: tuple[bytes, ...],
        overlay: Overlay | None,
        *,
        shown: bool,
    ) -> SketchState:
        insets = images[1:] if shown else images
        if overlay is not None:
            base = picture.base if picture and shown else None
            return self._apply_mask(overlay, tool, picture, prompt, (base, *insets))
        if picture is None or tool.action == "generate":
            if tool.action == "edit":
                raise RefusalError("no_image_to_edit", f"{tool.param}.action")
            return self.pictures.sketcher.start(
                prompt,
                size=tool.size,
                transparent=tool.transparent,
                seed=self.seed,
                insets=images,
            )
        if insets:
            picture = attrs.evolve(picture, insets=insets)
        after = self.pictures.sketcher.refine(
            picture, prompt, size=tool.size, transparent=tool.transparent
        )
        return attrs.evolve(after, size=tool.size or output_size(after.size, tool.model))

    def _apply_mask(
        self,
        overlay: Overlay,
        tool: ImageToolParams,
        picture: SketchState | None,
        prompt: str,
        images: tuple[bytes | None, ...],
    ) -> SketchState:
        if picture is None:
            raise RefusalError("mask_without_image", overlay.param)
        sent, *insets = images
        if sent is None and not (picture.prompts or picture.insets):
            sent = picture.base
        base = self.pictures.data(RenderKey(sketch=picture)) if sent is None else sent
        return self.pictures.sketcher.start(
            prompt,
            size=tool.size or picture.size,
            transparent=tool.transparent,
            seed=self.seed,
            base=base,
            mask=overlay.mask_for(base),
            insets=tuple(filter(None, insets)),
        )

    def _images(self, message: Message) -> tuple[bytes, ...]:
        loaded = tuple(load(node, self.uploads) for node in message.images)
        for number, (node, data) in enumerate(zip(message.images, loaded, strict=True), 1):
            if number > 1:
                open_picture(data, number, node.path)
        return loaded

    def _mask(self, tool: ImageToolParams) -> Overlay | None:
        if tool.mask is None:
            return None
        return Overlay(kind="mask", data=load(tool.mask, self.uploads), param=tool.mask.path)

    def _from_image(self, param: str, data: bytes) -> SketchState:
        try:
            return self.pictures.sketcher.from_image(data, seed=self.seed)
        except ValueError:
            raise RefusalError("unreadable_image", param, number=1) from None


def image_items(plan: SketchPlan, tool: ImageToolParams, count: int) -> Iterator[ImageItem]:
    # Yield the image items of a plan; their seeds make the images differ.
    for index in range(count):
        yield ImageItem(
            id=new_id("ig_"),
            sketch=attrs.evolve(plan.after, seed=plan.after.seed + index),
            tool=attrs.evolve(tool, mask=None),
            action="edit" if plan.edits else "generate",
            script=plan.script,
        )


def _around_last_message(
    items: tuple[Item, ...],
) -> tuple[tuple[Item, ...], Message, tuple[Item, ...]]:
    for index in reversed(range(len(items))):
        item = items[index]
        if isinstance(item, Message) and item.role == "user":
            return items[:index], item, items[index + 1 :]
    return items, Message(role="user", text="", images=()), ()
