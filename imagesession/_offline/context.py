"""
Finding out which picture a request is about: the story so far, and what happens to it now.

Every user message takes its turn on the story. A message's first image replaces the picture,
further ones are laid beside it, its text changes it. Pictures made before stand in by their ids.
"""

import io
from collections.abc import Callable, Iterable

import attrs
from PIL import Image, UnidentifiedImageError

from imagesession._offline.asks import Ask, Earlier, Item, Message
from imagesession._offline.errors import RefusedError, no_such_item, unreadable_image
from imagesession._offline.images import Uploads, decode, load
from imagesession._offline.painter import Story
from imagesession._offline.pictures import Look, Painter, Pictures
from imagesession._offline.reading import Node
from imagesession._offline.tool import Tool, frame_size, output_size


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

    before: Story | None
    after: Story
    edits: bool
    insets: int
    base: tuple[int, int] | None


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
    earlier: Callable[[str], Story | None]
    seed: int

    def tell(self, ask: Ask, tool: Tool, before: Story | None) -> Telling:
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
            picture = self._recall(now.images[0], images[0])
        after = self._apply(tool, picture, now.text, images)
        if tool.format == "gif":
            after = attrs.evolve(after, size=frame_size(after.size, tool.frames, tool.model.sizes))
        edits = picture is not None and tool.action != "generate"
        return Telling(
            before=picture if picture is not None else before,
            after=after,
            edits=edits,
            insets=max(0, len(images) - 1),
            base=picture.size if picture is not None and edits else None,
        )

    def _follow(self, story: Story | None, items: Iterable[Item]) -> Story | None:
        for item in items:
            if isinstance(item, Earlier):
                story = self._find(item)
            elif item.role == "user":
                story = self._take_turn(story, item)
        return story

    def _find(self, item: Earlier) -> Story:
        story = self.earlier(item.id)
        if story is not None:
            return story
        if item.result is None:
            raise no_such_item(item.id)
        return self._recall(item.result, decode(item.result))

    def _take_turn(self, story: Story | None, message: Message) -> Story | None:
        images = self._images(message)
        if images:
            story = self._recall(message.images[0], images[0])
            story = attrs.evolve(story, insets=images[1:])
        if not message.text:
            return story
        if story is None:
            return self.painter.begin(message.text, seed=self.seed)
        return self.painter.retell(story, message.text)

    def _apply(
        self, tool: Tool, picture: Story | None, prompt: str, images: tuple[bytes, ...]
    ) -> Story:
        if tool.mask is not None:
            return self._masked(tool, picture, prompt, images)
        if picture is None or tool.action == "generate":
            if tool.action == "edit":
                raise RefusedError(
                    "`action` is `edit`, but there is no image in the context to edit.",
                    param=f"{tool.param}.action",
                    code="invalid_value",
                )
            return self.painter.begin(
                prompt,
                size=tool.size,
                transparent=tool.transparent,
                seed=self.seed,
                insets=images,
            )
        if len(images) > 1:
            picture = attrs.evolve(picture, insets=images[1:])
        after = self.painter.retell(picture, prompt, size=tool.size, transparent=tool.transparent)
        return attrs.evolve(after, size=tool.size or output_size(after.size, tool.model))

    def _masked(
        self, tool: Tool, picture: Story | None, prompt: str, images: tuple[bytes, ...]
    ) -> Story:
        if tool.mask is None or picture is None:
            raise RefusedError(
                "A mask needs an image in the context to edit.",
                param=f"{tool.param}.input_image_mask",
                code="invalid_value",
            )
        sent = picture.base if images else None
        base = self.pictures.data(Look(story=picture)) if sent is None else sent
        mask = load(tool.mask, self.uploads)
        _check_mask(mask, base, tool.mask)
        return self.painter.begin(
            prompt,
            size=tool.size or picture.size,
            transparent=tool.transparent,
            seed=self.seed,
            base=base,
            mask=mask,
            insets=images[1:],
        )

    def _images(self, message: Message) -> tuple[bytes, ...]:
        loaded = tuple(load(node, self.uploads) for node in message.images)
        for number, (node, data) in enumerate(zip(message.images, loaded, strict=True), 1):
            if number > 1:
                _open(data, number, node.path)
        return loaded

    def _recall(self, node: Node, data: bytes) -> Story:
        try:
            return self.painter.recall(data, seed=self.seed)
        except ValueError:
            raise unreadable_image(1, node.path) from None


def _around_last_message(
    items: tuple[Item, ...],
) -> tuple[tuple[Item, ...], Message, tuple[Item, ...]]:
    for index in reversed(range(len(items))):
        item = items[index]
        if isinstance(item, Message) and item.role == "user":
            return items[:index], item, items[index + 1 :]
    return items, Message(role="user", text="", images=()), ()


def _open(data: bytes, number: int, param: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data))
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        raise unreadable_image(number, param) from None


def _check_mask(mask: bytes, base: bytes, node: Node) -> None:
    """
    Refuse a mask that has no alpha channel or another size than the picture.
    """
    with _open(mask, 1, node.path) as masking, _open(base, 1, node.path) as picture:
        if "A" not in masking.getbands() and "transparency" not in masking.info:
            fault = "mask image missing alpha channel"
        elif masking.size != picture.size:
            fault = "mask size does not match image size"
        else:
            return
    raise RefusedError(
        f"Invalid mask image format - {fault}",
        type="image_generation_user_error",
        param=node.path,
        code="invalid_value",
    )
