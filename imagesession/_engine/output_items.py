"""
Collect the output items of a response from events that name them more than once.
"""

from __future__ import annotations

from typing import Any

import attrs

from .coerce import Json, as_id, as_text
from .http import ReceivedImage
from .outcomes import IMAGE_CALL, decode_image_or_none, encoded_image, is_image_call

_IMAGE_FIELDS = frozenset({"result", "b64_json", "url"})


@attrs.define(eq=False)
class OutputItem:
    """
    An output item, as events have described it so far.

    Attributes:
        fields: Its fields except the image.
        done: Whether an event marked it as done.
        final: Whether it is in the response that ended the stream.
        image: Its image, once complete.
    """

    id: str | None = None
    index: int | None = None
    fields: dict[str, Any] = attrs.field(factory=dict[str, Any])
    done: bool = False
    final: bool = False
    image: ReceivedImage | None = None

    def add(self, item: Json, *, done: bool) -> None:
        """
        Merge an event's fields into the item. Missing and null fields change nothing.
        """
        encoded = encoded_image(item)
        present = {
            name: value
            for name, value in item.items()
            if value is not None and name not in _IMAGE_FIELDS
        }
        new_counts = done or not self.done
        self.fields = {**self.fields, **present} if new_counts else {**present, **self.fields}
        if encoded and self.image is None:
            self.fields["result"] = encoded
        self.done = self.done or done

    def set_image(self, image: ReceivedImage) -> None:
        """
        Set its image, and drop the base64, which is as large as the event.
        """
        self.image = image
        self.fields.pop("result", None)

    def absorb(self, other: OutputItem) -> None:
        self.fields = {**other.fields, **self.fields}
        self.done = self.done or other.done
        self.id = self.id or other.id
        self.index = other.index if self.index is None else self.index

    def to_json(self) -> Json:
        if self.image is None:
            return self.fields
        revised_prompt = as_text(self.fields.get("revised_prompt")) or self.image.revised_prompt
        image = attrs.evolve(self.image, call_id=self.id, revised_prompt=revised_prompt)
        return {**self.fields, "type": IMAGE_CALL, "id": self.id, "result": image}


@attrs.define(eq=False)
class OutputItems:
    """
    The items of one response: each once, however many events describe it.
    """

    _items: list[OutputItem] = attrs.field(factory=list[OutputItem], init=False)
    _with_image: list[OutputItem] = attrs.field(factory=list[OutputItem], init=False)
    _by_id: dict[str, OutputItem] = attrs.field(factory=dict[str, OutputItem], init=False)
    _by_index: dict[int, OutputItem] = attrs.field(factory=dict[int, OutputItem], init=False)

    @property
    def has_image(self) -> bool:
        return bool(self._with_image)

    def add(
        self, item: Json, index: int | None, *, done: bool, final: bool = False
    ) -> ReceivedImage | None:
        """
        Merge an event's description of an item, which is final in the response that ends the
        stream. Return the item's image, if it is now complete for the first time; one that cannot
        be read counts as unreadable, unless it is sent again.
        """
        existing = self._find(item, index)
        existing.add(item, done=done)
        if final:
            existing.final, existing.index = True, index
        fields = existing.fields
        if existing.image is not None or not is_image_call(fields) or "result" not in fields:
            return None
        image = decode_image_or_none(fields)
        return image if image is not None and self._keep(existing, image) else None

    def to_list(self, *, unfinished: bool = True) -> list[Json]:
        """
        Return the items in the order of the output.

        Items that the last response leaves out are added if they were done. Those without an id
        are added only if they hold an image, as they might be duplicates.
        """
        listed = any(item.final for item in self._items)
        items = [item for item in self._items if _is_included(item, listed=listed)]
        last = len(self._items)
        items.sort(key=lambda item: last if item.index is None else item.index)
        return [item.to_json() for item in items if unfinished or item.done or item.image]

    def _find(self, item: Json, index: int | None) -> OutputItem:
        item_id = as_id(item.get("id"))
        existing = None if item_id is None else self._by_id.get(item_id)
        if existing is None and index is not None:
            candidate = self._by_index.get(index)
            existing = (
                candidate
                if candidate is not None and _may_be_same(candidate, item, item_id)
                else None
            )
        if existing is None:
            existing = OutputItem(index=index)
            self._items.append(existing)
        existing.id = item_id or existing.id
        self._register(existing)
        return existing

    def _register(self, item: OutputItem) -> None:
        if item.id is not None:
            self._by_id[item.id] = item
        if item.index is not None:
            self._by_index[item.index] = item

    def _keep(self, item: OutputItem, image: ReceivedImage) -> bool:
        """
        Set an item's image; return whether the image is new. Some gateways give an item another id
        each time they send it.
        """
        same = (item for item in self._with_image if item.image and item.image.data == image.data)
        duplicate = next(same, None)
        item.set_image(image)
        self._with_image.append(item)
        if duplicate is None:
            return True
        self._items.remove(duplicate)
        self._with_image.remove(duplicate)
        if duplicate.id is not None:
            self._by_id[duplicate.id] = item
        item.absorb(duplicate)
        self._register(item)
        return False


def _is_included(item: OutputItem, *, listed: bool) -> bool:
    identified = item.done and item.id is not None
    return not listed or item.final or identified or item.image is not None


def _may_be_same(existing: OutputItem, item: Json, item_id: str | None) -> bool:
    """
    Return whether an item at the position of a known one may be the same: not if both have ids, or
    images, which are compared by their bytes.
    """
    have_ids = existing.id is not None and item_id is not None
    have_images = existing.image is not None and encoded_image(item)
    return not have_ids and not have_images and existing.fields.get("type") == item.get("type")
