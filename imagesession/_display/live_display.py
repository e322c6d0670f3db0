"""
Show the partial images of a stream in a notebook, each in place of the previous one.
"""

from __future__ import annotations

import html
from collections.abc import AsyncIterable, Awaitable, Iterable
from importlib import import_module
from typing import Any, Self, TypeVar, cast, overload

import attrs

from imagesession._domain.partial_image import PartialImage
from imagesession._domain.wording import quote
from imagesession.errors import InvalidRequestError

from .ipython import get_shell

Image = TypeVar("Image")
# The execution count of the cell that displayed an image, by the image's id, so that the image is
# not shown again as the cell's result. `was_displayed` removes the entry.
_displayed: dict[str, object] = {}


@overload
def show(events: AsyncIterable[PartialImage | Image], /) -> Awaitable[Image]: ...


@overload
def show(events: Iterable[PartialImage | Image], /) -> Image: ...


def show(events: Any, /) -> Any:
    """
    Show a streamed image in a notebook while it is generated, and return it.

        image = show(session.stream("add plants"))
        image = await show(session.stream("add plants"))    # of an AsyncImageSession

    The partial images appear in one place, each replacing the previous one, and the final image
    last. Outside of a notebook nothing is shown.

    Args:
        events: The iterator that `stream` of a session or studio returned.

    Returns:
        The saved image; an awaitable of it for the async twins' events.

    Raises:
        InvalidRequestError: `events` is not such an iterator.
        ImageSessionError: As for `generate`.
    """
    if isinstance(events, AsyncIterable):
        return _show_async(cast("AsyncIterable[object]", events))
    if not isinstance(events, Iterable):
        raise InvalidRequestError(
            f"show() cannot iterate over {quote(events)}. Pass it what stream() returned, as in "
            'show(session.stream("more blue")).'
        )
    with DisplaySlot() as slot:
        for event in cast("Iterable[object]", events):
            slot.update(event)
        return slot.result()


async def _show_async(events: AsyncIterable[object]) -> Any:  # noqa: ANN401 - as `show`
    with DisplaySlot() as slot:
        async for event in events:
            slot.update(event)
        return slot.result()


def was_displayed(image_id: str) -> bool:
    shell = get_shell()
    return shell is not None and _displayed.pop(image_id, None) == shell.execution_count


@attrs.frozen
class _Placeholder:
    text: str

    def _repr_html_(self) -> str:
        style = (
            "display: inline-block; padding: 1.2em 1.6em; border-radius: 8px; "
            "border: 1px dashed rgba(127, 127, 127, .6); font: 13px/1.5 system-ui, sans-serif"
        )
        return f'<div style="{style}">{html.escape(self.text)}</div>'

    def __repr__(self) -> str:
        return self.text


@attrs.define
class DisplaySlot:
    handle: Any = None
    last: Any = None

    def __enter__(self) -> Self:
        if get_shell() is not None:
            waiting = _Placeholder("The image is on its way …")
            self.handle = import_module("IPython.display").display(waiting, display_id=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self.handle is not None:
            self.handle.update(_Placeholder(f"No image: {kind.__name__}"))

    def update(self, event: object) -> None:
        self.last = event
        if self.handle is not None:
            self.handle.update(event)

    def result(self) -> Any:  # noqa: ANN401 - an image of either twin
        if self.last is None or isinstance(self.last, PartialImage):
            raise InvalidRequestError(
                "The events ended without an image: they were consumed before, or are not those of "
                "stream(). Pass show() a new stream."
            )
        shell = get_shell()
        if shell is not None:
            _displayed.clear()
            _displayed[self.last.id] = shell.execution_count
        return self.last
