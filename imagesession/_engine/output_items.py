"""
Collect the output items of a response from events that name them more than once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from .coerce import Json, as_id, as_text
from .http import ReceivedImage
from .outcomes import IMAGE_CALL, encoded_picture, is_image_call, readable_picture

_HOLDERS = frozenset({"result", "b64_json", "url"})


@attrs.define(eq=False)
class OutputItem:
    """
    What is known of one output item.

    Attributes:
        id: Its id, once an event named it.
        index: Its place in the output.
        fields: What events said of it, but for its picture.
        done: Whether an event said that it is done.
        final: Whether it is in the response that ended the stream.
        picture: Its picture, once all of it came.
    """

    id: str | None = None
    index: int | None = None
    fields: dict[str, Any] = attrs.field(factory=dict[str, Any])
    done: bool = False
    final: bool = False
    picture: ReceivedImage | None = None

    def add(self, item: Json, *, done: bool) -> None:
        """
        Take in what an event says of it. What is missing or null there takes nothing away.
        """
        encoded = encoded_picture(item)
        payload = {
            name: value
            for name, value in item.items()
            if value is not None and name not in _HOLDERS
        }
        new_counts = done or not self.done
        self.fields = {**self.fields, **payload} if new_counts else {**payload, **self.fields}
        if encoded and self.picture is None:
            self.fields["result"] = encoded
        self.done = self.done or done

    def keep(self, picture: ReceivedImage) -> None:
        """
        Keep its picture; the base64, which is as large as the event, is not needed any more.
        """
        self.picture = picture
        self.fields.pop("result", None)

    def absorb(self, other: OutputItem) -> None:
        """
        Become one with an item of the same picture that came before.
        """
        self.fields = {**other.fields, **self.fields}
        self.done = self.done or other.done
        self.id = self.id or other.id
        self.index = other.index if self.index is None else self.index

    def whole(self) -> Json:
        """
        Return the item, with its picture as it was decoded.
        """
        if self.picture is None:
            return self.fields
        words = as_text(self.fields.get("revised_prompt")) or self.picture.revised_prompt
        picture = attrs.evolve(self.picture, call_id=self.id, revised_prompt=words)
        return {**self.fields, "type": IMAGE_CALL, "id": self.id, "result": picture}


@attrs.define(eq=False)
class OutputItems:
    """
    The items of one response: each once, however many events tell of it.
    """

    _items: list[OutputItem] = attrs.field(factory=list[OutputItem], init=False)
    _pictured: list[OutputItem] = attrs.field(factory=list[OutputItem], init=False)
    _by_id: dict[str, OutputItem] = attrs.field(factory=dict[str, OutputItem], init=False)
    _by_index: dict[int, OutputItem] = attrs.field(factory=dict[int, OutputItem], init=False)

    @property
    def has_picture(self) -> bool:
        """
        Whether a picture came.
        """
        return bool(self._pictured)

    def take(
        self, item: Json, index: int | None, *, done: bool, final: bool = False
    ) -> ReceivedImage | None:
        """
        Take in what an event says of an item.

        Args:
            item: What it says.
            index: The place in the output, where it names one.
            done: Whether the item is done.
            final: Whether this is the response that ends the stream.

        Returns:
            The item's picture, if all of it came and for the first time. One that cannot be read
            counts as spoilt, unless it comes once more.
        """
        known = self._find(item, index)
        known.add(item, done=done)
        if final:
            known.final, known.index = True, index
        fields = known.fields
        if known.picture is not None or not is_image_call(fields) or "result" not in fields:
            return None
        picture = readable_picture(fields)
        return picture if picture is not None and self._keep(known, picture) else None

    def whole(self, *, unfinished: bool = True) -> list[Json]:
        """
        Return the items in the order of the output. What the last response leaves out is added
        where it was done; nameless items might be there twice, unless they hold a picture.

        Args:
            unfinished: Whether items count of which no more is known than that they were begun.
        """
        listed = any(item.final for item in self._items)
        items = [item for item in self._items if _counts(item, listed=listed)]
        last = len(self._items)
        items.sort(key=lambda item: last if item.index is None else item.index)
        return [item.whole() for item in items if unfinished or item.done or item.picture]

    def _find(self, item: Json, index: int | None) -> OutputItem:
        """
        Find the item that is meant: by its id, or by its place where an event names no id.
        """
        item_id = as_id(item.get("id"))
        known = None if item_id is None else self._by_id.get(item_id)
        if known is None and index is not None:
            near = self._by_index.get(index)
            known = near if near is not None and _may_be(near, item, item_id) else None
        if known is None:
            known = OutputItem(index=index)
            self._items.append(known)
        known.id = item_id or known.id
        self._register(known)
        return known

    def _register(self, item: OutputItem) -> None:
        if item.id is not None:
            self._by_id[item.id] = item
        if item.index is not None:
            self._by_index[item.index] = item

    def _keep(self, item: OutputItem, picture: ReceivedImage) -> bool:
        """
        Keep a picture; tell whether it is a new one. Some gateways give an item another id each
        time they send it.
        """
        twin = next(self._showing(picture), None)
        item.keep(picture)
        self._pictured.append(item)
        if twin is None:
            return True
        self._items.remove(twin)
        self._pictured.remove(twin)
        if twin.id is not None:
            self._by_id[twin.id] = item
        item.absorb(twin)
        self._register(item)
        return False

    def _showing(self, picture: ReceivedImage) -> Iterator[OutputItem]:
        for item in self._pictured:
            if item.picture is not None and item.picture.data == picture.data:
                yield item


def _counts(item: OutputItem, *, listed: bool) -> bool:
    named = item.done and item.id is not None
    return not listed or item.final or named or item.picture is not None


def _may_be(known: OutputItem, item: Json, item_id: str | None) -> bool:
    """
    Tell whether an item at the place of a known one is the same: not if both have ids, or pictures,
    which are compared by their bytes.
    """
    named = known.id is not None and item_id is not None
    shown = known.picture is not None and encoded_picture(item)
    return not named and not shown and known.fields.get("type") == item.get("type")
