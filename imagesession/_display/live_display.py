"""
Pictures that appear in a notebook while they come, each in the place of the one before.
"""

from __future__ import annotations

import html
from collections.abc import AsyncIterable, Awaitable, Iterable
from typing import Any, Self, TypeVar, cast, overload

import attrs

from imagesession._domain.partial_image import PartialImage
from imagesession.errors import InvalidRequestError

from .ipython import display_in_cell, get_shell

Image = TypeVar("Image")
# Which picture the running cell has painted already, so that it does not appear once more as the
# cell's result. It is forgotten when that was told once.
_painted: dict[str, object] = {}


@overload
def show(events: AsyncIterable[PartialImage | Image], /) -> Awaitable[Image]: ...


@overload
def show(events: Iterable[PartialImage | Image], /) -> Image: ...


def show(events: Any, /) -> Any:
    """
    Show a picture in a notebook while it comes, and return it.

        image = show(session.stream("add plants"))
        image = await show(session.stream("add plants"))    # of an AsyncImageSession

    The unfinished pictures appear in one place, each instead of the one before, and the one that
    is kept last. Outside of a notebook nothing is shown.

    Args:
        events: What `stream` of a session or studio returned.

    Returns:
        The picture that is kept; of an async twin's events, to be awaited.

    Raises:
        InvalidRequestError: These are no such events.
        ImageSessionError: As for `generate`.
    """
    if isinstance(events, AsyncIterable):
        return _show_async(cast("AsyncIterable[object]", events))
    if not isinstance(events, Iterable):
        raise InvalidRequestError(
            f"show({events!r}) has nothing to follow: give it what stream() returned, as in "
            'show(session.stream("more blue")).'
        )
    with DisplaySlot() as spot:
        for event in cast("Iterable[object]", events):
            spot.paint(event)
        return spot.result()


async def _show_async(events: AsyncIterable[object]) -> Any:  # noqa: ANN401 - as `show`
    with DisplaySlot() as spot:
        async for event in events:
            spot.paint(event)
        return spot.result()


def was_displayed(image_id: str) -> bool:
    """
    Tell whether a picture was painted by the running cell; only once for each time that it was.
    """
    shell = get_shell()
    return shell is not None and _painted.pop(image_id, None) == shell.execution_count


@attrs.frozen
class _Words:
    """
    A line of text in the picture's place.
    """

    words: str

    def _repr_html_(self) -> str:
        style = (
            "display: inline-block; padding: 1.2em 1.6em; border-radius: 8px; "
            "border: 1px dashed rgba(127, 127, 127, .6); font: 13px/1.5 system-ui, sans-serif"
        )
        return f'<div style="{style}">{html.escape(self.words)}</div>'

    def __repr__(self) -> str:
        return self.words


@attrs.define
class DisplaySlot:
    """
    The place in a notebook where pictures appear.
    """

    handle: Any = None
    last: Any = None

    def __enter__(self) -> Self:
        if get_shell() is not None:
            self.handle = display_in_cell(_Words("The picture is on its way …"))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self.handle is not None:
            self.handle.update(_Words(f"No picture: {kind.__name__}"))

    def paint(self, event: object) -> None:
        """
        Paint what has come in the place of what was there.
        """
        self.last = event
        if self.handle is not None:
            self.handle.update(event)

    def result(self) -> Any:  # noqa: ANN401 - a picture of either twin
        """
        Return the picture that is kept.

        Raises:
            InvalidRequestError: None came.
        """
        if self.last is None or isinstance(self.last, PartialImage):
            raise InvalidRequestError(
                "No picture came: these events were followed before, or are not those of stream()."
            )
        shell = get_shell()
        if shell is not None:
            _painted.clear()
            _painted[self.last.id] = shell.execution_count
        return self.last
