"""
What several requests brought: each a picture, or the error that stands in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar, overload

import attrs

from imagesession.errors import ImageSessionError, NotFoundError

Image = TypeVar("Image")


@attrs.frozen(repr=False)
class Results(Sequence["Image | ImageSessionError"], Generic[Image]):
    """
    What several requests brought, in the order in which they were asked.

    Attributes:
        items: Each a picture, or the error in its place.
        keys: The names of the items, where they were given names; else empty.
    """

    items: tuple[Image | ImageSessionError, ...]
    keys: tuple[str, ...] = ()

    @property
    def images(self) -> tuple[Image, ...]:
        """
        The pictures alone.
        """
        return tuple(item for item in self.items if not isinstance(item, ImageSessionError))

    @property
    def errors(self) -> tuple[ImageSessionError, ...]:
        """
        The errors alone.
        """
        return tuple(item for item in self.items if isinstance(item, ImageSessionError))

    @property
    def ok(self) -> bool:
        """
        Whether every item is a picture.
        """
        return not self.errors

    def raise_any(self) -> Results[Image]:
        """
        Return these results if every item is a picture.

        Raises:
            ImageSessionError: The first error among them.
        """
        for error in self.errors:
            raise error
        return self

    @property
    def by_key(self) -> dict[str, Image | ImageSessionError]:
        """
        The items by their names, where they were given names.
        """
        return dict(zip(self.keys, self.items, strict=False))

    def get(self, key: str) -> Image | ImageSessionError:
        """
        Return an item by its name.

        Raises:
            NotFoundError: There is no item of that name.
        """
        if key not in self.keys:
            named = ", ".join(self.keys) or "none with names"
            raise NotFoundError(
                f"There is no item {key!r}; there are: {named}.",
                key,
                self.keys,
            )
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

    def __iter__(self) -> Iterator[Image | ImageSessionError]:
        return iter(self.items)

    def __repr__(self) -> str:
        failed = f", {len(self.errors)} failed" if self.errors else ""
        return f"<Results: {len(self.images)} of {len(self)} pictures{failed}>"


Results.__module__ = "imagesession"
