"""
Finding out which picture a request is about: the story so far, and what happens to it now.

Every user message takes its turn on the story. A message's first image replaces the picture,
further ones are laid beside it, its text changes it. Pictures made before stand in by their ids.
"""

from collections.abc import Callable, Iterable

import attrs

from imagesession._fake_openai.errors import RefusalError, no_such_item, unreadable_image
from imagesession._fake_openai.image_tool import ImageToolParams, frame_size, output_size
from imagesession._fake_openai.inputs import InputImage, Uploads, decode, load
from imagesession._fake_openai.overlays import Overlay, open_picture
from imagesession._fake_openai.render_cache import RenderCache, RenderKey, Sketcher
from imagesession._fake_openai.responses_request import (
    EarlierImage,
    Item,
    Message,
    ResponsesRequest,
)
from imagesession._fake_openai.sketch import SketchState
from imagesession._fake_openai.tokens import picture_tokens

# What the Images API takes, in Pillow's words.
_EDITABLE = ("PNG", "JPEG", "WEBP")


@attrs.frozen(kw_only=True)
class SketchPlan:
    """
    Hold what a request does to its story.

    Attributes:
        before: The story it started from, if any.
        after: The picture to paint.
        edits: Whether an existing picture is changed.
        base: The size of the picture that is changed, if one is.
        insets: How many further pictures the image model gets to see.

    """

    before: SketchState | None
    after: SketchState
    edits: bool
    insets: int
    base: tuple[int, int] | None

    @property
    def shown(self) -> int:
        """
        How many tokens the pictures are that the image model gets to see.
        """
        return (picture_tokens(self.base) if self.base else 0) + 1024 * self.insets


@attrs.frozen(kw_only=True)
class InspectedImage:
    """
    Hold the picture that a request is about.

    Attributes:
        sketch: How to go on from it.
        data: The encoded picture, where it was sent and not drawn here.

    """

    sketch: SketchState
    data: bytes | None = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class HistoryResolver:
    """
    Follow a request's messages through to the picture it wants.

    Attributes:
        earlier: Gives the story behind an item id.

    """

    sketcher: Sketcher
    pictures: RenderCache
    uploads: Uploads
    earlier: Callable[[str], SketchState | None]
    seed: int

    def resolve(
        self, ask: ResponsesRequest, tool: ImageToolParams, before: SketchState | None
    ) -> SketchPlan:
        """
        Tell the story of a request.

        Args:
            ask: The request.
            tool: The image tool to draw with.
            before: The story of the response it goes on from.

        Raises:
            RefusalError: A picture is missing or cannot be read.

        """
        earlier, now, later = _around_last_message(ask.items)
        sketch = self._follow(before, earlier)
        # What comes after the last message can only be a picture to go on from.
        picture = self._follow(sketch, later)
        images = self._images(now)
        if images:
            picture = self._recall(now.images[0].path, images[0])
        mask = self._mask(tool)
        after = self._apply(tool, picture, now.text, images, mask)
        return _plan_call(tool, before, picture, after, max(0, len(images) - 1))

    def draw(self, tool: ImageToolParams, prompt: str) -> SketchPlan:
        """
        Tell the story of a prompt alone.
        """
        return _plan_call(tool, None, None, self._apply(tool, None, prompt, (), None), 0)

    def edit(
        self,
        tool: ImageToolParams,
        prompt: str,
        given: tuple[InputImage, ...],
        overlay: Overlay | None,
    ) -> SketchPlan:
        """
        Tell the story of an edit of pictures that come along.

        Args:
            tool: How to draw.
            prompt: What to change.
            given: The picture to change, and further ones to show.
            overlay: Where to change it.

        Raises:
            RefusalError: A picture cannot be read, or the overlay does not fit.

        """
        for number, each in enumerate(given, 1):
            with open_picture(each.data, number, each.param) as opened:
                if opened.format not in _EDITABLE:
                    raise unreadable_image(number, each.param)
        images = tuple(each.data for each in given)
        picture = self._recall(given[0].param, images[0])
        after = self._apply(tool, picture, prompt, images, overlay)
        return _plan_call(tool, None, picture, after, len(images) - 1)

    def see(self, ask: ResponsesRequest, before: SketchState | None) -> InspectedImage | None:
        """
        Find the picture that a request asks about: the latest that it shows or goes on from.

        Args:
            ask: The request.
            before: The story of the response it goes on from.

        Raises:
            RefusalError: The picture is missing or cannot be read.

        """
        for item in reversed(ask.items):
            if isinstance(item, EarlierImage):
                return InspectedImage(sketch=self._find(item), data=None)
            if item.images:
                data = self._images(item)[0]
                sketch = self._recall(item.images[0].path, data)
                return InspectedImage(sketch=sketch, data=None if _is_svg(data) else data)
        return None if before is None else InspectedImage(sketch=before, data=None)

    def _follow(self, sketch: SketchState | None, items: Iterable[Item]) -> SketchState | None:
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
            raise no_such_item(item.id)
        return self._recall(item.result.path, decode(item.result))

    def _apply_turn(self, sketch: SketchState | None, message: Message) -> SketchState | None:
        images = self._images(message)
        if images:
            sketch = self._recall(message.images[0].path, images[0])
            sketch = attrs.evolve(sketch, insets=images[1:])
        if not message.text:
            return sketch
        if sketch is None:
            return self.sketcher.start(message.text, seed=self.seed)
        return self.sketcher.refine(sketch, message.text)

    def _apply(
        self,
        tool: ImageToolParams,
        picture: SketchState | None,
        prompt: str,
        images: tuple[bytes, ...],
        overlay: Overlay | None,
    ) -> SketchState:
        if overlay is not None:
            return self._within(overlay, tool, picture, prompt, images)
        if picture is None or tool.action == "generate":
            if tool.action == "edit":
                raise RefusalError(
                    "`action` is `edit`, but there is no image in the context to edit.",
                    param=f"{tool.param}.action",
                    code="invalid_value",
                )
            return self.sketcher.start(
                prompt,
                size=tool.size,
                transparent=tool.transparent,
                seed=self.seed,
                insets=images,
            )
        if len(images) > 1:
            picture = attrs.evolve(picture, insets=images[1:])
        after = self.sketcher.refine(picture, prompt, size=tool.size, transparent=tool.transparent)
        return attrs.evolve(after, size=tool.size or output_size(after.size, tool.model))

    def _within(
        self,
        overlay: Overlay,
        tool: ImageToolParams,
        picture: SketchState | None,
        prompt: str,
        images: tuple[bytes, ...],
    ) -> SketchState:
        if picture is None:
            raise RefusalError(
                "A mask needs an image in the context to edit.",
                param=overlay.param,
                code="invalid_value",
            )
        sent = picture.base if images else None
        base = self.pictures.data(RenderKey(sketch=picture)) if sent is None else sent
        return self.sketcher.start(
            prompt,
            size=tool.size or picture.size,
            transparent=tool.transparent,
            seed=self.seed,
            base=base,
            mask=overlay.mask_for(base),
            insets=images[1:],
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

    def _recall(self, param: str, data: bytes) -> SketchState:
        try:
            return self.sketcher.from_image(data, seed=self.seed)
        except ValueError:
            raise unreadable_image(1, param) from None


def _around_last_message(
    items: tuple[Item, ...],
) -> tuple[tuple[Item, ...], Message, tuple[Item, ...]]:
    for index in reversed(range(len(items))):
        item = items[index]
        if isinstance(item, Message) and item.role == "user":
            return items[:index], item, items[index + 1 :]
    return items, Message(role="user", text="", images=()), ()


def _is_svg(data: bytes) -> bool:
    return data.lstrip()[:4] == b"<svg"


def _plan_call(
    tool: ImageToolParams,
    before: SketchState | None,
    picture: SketchState | None,
    after: SketchState,
    insets: int,
) -> SketchPlan:
    if tool.format == "gif":
        after = attrs.evolve(after, size=frame_size(after.size, tool.frames, tool.model.sizes))
    edits = picture is not None and tool.action != "generate"
    return SketchPlan(
        before=picture if picture is not None else before,
        after=after,
        edits=edits,
        insets=insets,
        base=picture.size if picture is not None and edits else None,
    )
