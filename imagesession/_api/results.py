"""
The results of several requests: images, with errors in the places of failed ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

import attrs

from imagesession._api.image import ImageFacts
from imagesession._api.signatures import public
from imagesession._domain.wording import quote
from imagesession.errors import ImageSessionError, NotFoundError

if TYPE_CHECKING:
    from imagesession._display.results import Tile

Image = TypeVar("Image")


@public
@attrs.frozen(repr=False)
class Results(Sequence["Image | ImageSessionError"], Generic[Image]):
    """
    The results of several requests, in the order of the requests.

    Attributes:
        items: The images, with an error in the place of each failed one.
        keys: The names of the items; empty if the requests had none.
    """

    items: tuple[Image | ImageSessionError, ...]
    keys: tuple[str, ...] = ()

    @property
    def images(self) -> tuple[Image, ...]:
        """
        The images without the errors.
        """
        return tuple(item for item in self.items if not isinstance(item, ImageSessionError))

    @property
    def errors(self) -> tuple[ImageSessionError, ...]:
        """
        The errors without the images.
        """
        return tuple(item for item in self.items if isinstance(item, ImageSessionError))

    @property
    def ok(self) -> bool:
        """
        Whether every item is an image.
        """
        return not self.errors

    def raise_any(self) -> Results[Image]:
        """
        Return these results if every item is an image.

        Raises:
            ImageSessionError: The first error among them.
        """
        for error in self.errors:
            raise error
        return self

    @property
    def by_key(self) -> dict[str, Image | ImageSessionError]:
        """
        The items by name; empty if the requests had no names.
        """
        return dict(zip(self.keys, self.items, strict=False))

    def get(self, key: str) -> Image | ImageSessionError:
        """
        Return an item by its name.

        Raises:
            NotFoundError: There is no item with this name.
        """
        if key not in self.keys:
            known = ", ".join(self.keys) or "none with names"
            message = f"There is no item {quote(key)}; there are: {known}."
            raise NotFoundError(message, key, self.keys)
        return self.items[self.keys.index(key)]

    @overload
    def __getitem__(self, index: int) -> Image | ImageSessionError: ...

    @overload
    def __getitem__(self, index: slice) -> Results[Image]: ...

    def __getitem__(self, index: int | slice) -> Image | ImageSessionError | Results[Image]:
        if isinstance(index, slice):
            return Results(self.items[index], self.keys[index])
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        from imagesession._display import results  # noqa: PLC0415 - loads Pillow

        keys = self.keys or ("",) * len(self)
        tiles = [
            _to_tile(key, cast("object", item)) for key, item in zip(keys, self.items, strict=True)
        ]
        title = repr(self).strip("<>")
        return {"text/html": results.page(title, tiles), "text/plain": repr(self)}, {}

    def __repr__(self) -> str:
        failed = f", {len(self.errors)} failed" if self.errors else ""
        return f"<Results: {len(self.images)} of {len(self)} images{failed}>"


def _to_tile(key: str, item: object) -> Tile:
    from imagesession._display.results import Tile  # noqa: PLC0415 - loads Pillow

    image: Any = item
    if not isinstance(image, ImageFacts):
        return Tile(key=key, problem=str(image))
    return Tile(key=key, turn=image.turn, image=image.record, read=lambda _: image.bytes)


class Images(tuple[Image, ...]):
    """
    Images of the library, which notebooks show side by side.
    """

    __slots__ = ()

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        from imagesession._display import results  # noqa: PLC0415 - loads Pillow

        title = f"{len(self)} image{'' if len(self) == 1 else 's'}"
        tiles = (_to_tile("", image) for image in self)
        return {"text/html": results.page(title, tiles), "text/plain": repr(self)}, {}
