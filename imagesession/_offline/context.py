"""
Finding out which picture a request is about: the story so far, and what happens to it now.

Every user message takes its turn on the story. A message's first image replaces the picture,
further ones are laid beside it, its text changes it. Pictures made before stand in by their ids.
"""

from collections.abc import Callable, Iterable

import attrs

from imagesession._offline.asks import Ask, Earlier, Item, Message
from imagesession._offline.errors import RefusedError, no_such_item, unreadable_image
from imagesession._offline.images import Given, Uploads, decode, load
from imagesession._offline.overlays import Overlay, open_picture
from imagesession._offline.pictures import Look, Painter, Pictures
from imagesession._offline.sketch import SketchState
from imagesession._offline.tokens import picture_tokens
from imagesession._offline.tool import Tool, frame_size, output_size

# What the Images API takes, in Pillow's words.
_EDITABLE = ("PNG", "JPEG", "WEBP")


@attrs.frozen(kw_only=True)
class Telling:
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
class Seen:
    """
    Hold the picture that a request is about.

    Attributes:
        story: How to go on from it.
        data: The encoded picture, where it was sent and not drawn here.

    """

    story: SketchState
    data: bytes | None = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Teller:
    """
    Follow a request's messages through to the picture it wants.

    Attributes:
        earlier: Gives the story behind an item id.

    """

    painter: Painter
    pictures: Pictures
    uploads: Uploads
    earlier: Callable[[str], SketchState | None]
    seed: int

    def tell(self, ask: Ask, tool: Tool, before: SketchState | None) -> Telling:
        """
        Tell the story of a request.

        Args:
            ask: The request.
            tool: The image tool to draw with.
            before: The story of the response it goes on from.

        Raises:
            RefusedError: A picture is missing or cannot be read.

        """
        earlier, now, later = _around_last_message(ask.items)
        story = self._follow(before, earlier)
        # What comes after the last message can only be a picture to go on from.
        picture = self._follow(story, later)
        images = self._images(now)
        if images:
            picture = self._recall(now.images[0].path, images[0])
        mask = self._mask(tool)
        after = self._apply(tool, picture, now.text, images, mask)
        return _telling(tool, before, picture, after, max(0, len(images) - 1))

    def draw(self, tool: Tool, prompt: str) -> Telling:
        """
        Tell the story of a prompt alone.
        """
        return _telling(tool, None, None, self._apply(tool, None, prompt, (), None), 0)

    def edit(
        self, tool: Tool, prompt: str, given: tuple[Given, ...], overlay: Overlay | None
    ) -> Telling:
        """
        Tell the story of an edit of pictures that come along.

        Args:
            tool: How to draw.
            prompt: What to change.
            given: The picture to change, and further ones to show.
            overlay: Where to change it.

        Raises:
            RefusedError: A picture cannot be read, or the overlay does not fit.

        """
        for number, each in enumerate(given, 1):
            with open_picture(each.data, number, each.param) as opened:
                if opened.format not in _EDITABLE:
                    raise unreadable_image(number, each.param)
        images = tuple(each.data for each in given)
        picture = self._recall(given[0].param, images[0])
        after = self._apply(tool, picture, prompt, images, overlay)
        return _telling(tool, None, picture, after, len(images) - 1)

    def see(self, ask: Ask, before: SketchState | None) -> Seen | None:
        """
        Find the picture that a request asks about: the latest that it shows or goes on from.

        Args:
            ask: The request.
            before: The story of the response it goes on from.

        Raises:
            RefusedError: The picture is missing or cannot be read.

        """
        for item in reversed(ask.items):
            if isinstance(item, Earlier):
                return Seen(story=self._find(item), data=None)
            if item.images:
                data = self._images(item)[0]
                story = self._recall(item.images[0].path, data)
                return Seen(story=story, data=None if _is_svg(data) else data)
        return None if before is None else Seen(story=before, data=None)

    def _follow(self, story: SketchState | None, items: Iterable[Item]) -> SketchState | None:
        for item in items:
            if isinstance(item, Earlier):
                story = self._find(item)
            elif item.role == "user":
                story = self._take_turn(story, item)
        return story

    def _find(self, item: Earlier) -> SketchState:
        story = self.earlier(item.id)
        if story is not None:
            return story
        if item.result is None:
            raise no_such_item(item.id)
        return self._recall(item.result.path, decode(item.result))

    def _take_turn(self, story: SketchState | None, message: Message) -> SketchState | None:
        images = self._images(message)
        if images:
            story = self._recall(message.images[0].path, images[0])
            story = attrs.evolve(story, insets=images[1:])
        if not message.text:
            return story
        if story is None:
            return self.painter.start(message.text, seed=self.seed)
        return self.painter.refine(story, message.text)

    def _apply(
        self,
        tool: Tool,
        picture: SketchState | None,
        prompt: str,
        images: tuple[bytes, ...],
        overlay: Overlay | None,
    ) -> SketchState:
        if overlay is not None:
            return self._within(overlay, tool, picture, prompt, images)
        if picture is None or tool.action == "generate":
            if tool.action == "edit":
                raise RefusedError(
                    "`action` is `edit`, but there is no image in the context to edit.",
                    param=f"{tool.param}.action",
                    code="invalid_value",
                )
            return self.painter.start(
                prompt,
                size=tool.size,
                transparent=tool.transparent,
                seed=self.seed,
                insets=images,
            )
        if len(images) > 1:
            picture = attrs.evolve(picture, insets=images[1:])
        after = self.painter.refine(picture, prompt, size=tool.size, transparent=tool.transparent)
        return attrs.evolve(after, size=tool.size or output_size(after.size, tool.model))

    def _within(
        self,
        overlay: Overlay,
        tool: Tool,
        picture: SketchState | None,
        prompt: str,
        images: tuple[bytes, ...],
    ) -> SketchState:
        if picture is None:
            raise RefusedError(
                "A mask needs an image in the context to edit.",
                param=overlay.param,
                code="invalid_value",
            )
        sent = picture.base if images else None
        base = self.pictures.data(Look(story=picture)) if sent is None else sent
        return self.painter.start(
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

    def _mask(self, tool: Tool) -> Overlay | None:
        if tool.mask is None:
            return None
        return Overlay(kind="mask", data=load(tool.mask, self.uploads), param=tool.mask.path)

    def _recall(self, param: str, data: bytes) -> SketchState:
        try:
            return self.painter.from_image(data, seed=self.seed)
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


def _telling(
    tool: Tool,
    before: SketchState | None,
    picture: SketchState | None,
    after: SketchState,
    insets: int,
) -> Telling:
    if tool.format == "gif":
        after = attrs.evolve(after, size=frame_size(after.size, tool.frames, tool.model.sizes))
    edits = picture is not None and tool.action != "generate"
    return Telling(
        before=picture if picture is not None else before,
        after=after,
        edits=edits,
        insets=insets,
        base=picture.size if picture is not None and edits else None,
    )
