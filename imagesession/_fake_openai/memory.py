"""
What the provider remembers of the responses it has given.

A record holds the recipe of a picture, not the picture: some hundred bytes instead of megabytes.
"""

import threading
import uuid
from collections import OrderedDict, deque
from collections.abc import Iterator

import attrs

from imagesession._fake_openai.analysis import Sight
from imagesession._fake_openai.faults import Ending
from imagesession._fake_openai.http import Json
from imagesession._fake_openai.image_tool import ImageToolParams
from imagesession._fake_openai.responses_request import ResponsesRequest
from imagesession._fake_openai.sketch import SketchState
from imagesession._fake_openai.tokens import ImageUsage, Usage, text_tokens

# Replies that nobody has got yet are kept besides.
KEPT_RESPONSES = 10_000
_KEPT_BYTES = 512 * 1024 * 1024
_KNOWN_UNSTORED = 10_000


def new_id(prefix: str) -> str:
    """
    Make an id as long as the API's.
    """
    return f"{prefix}{uuid.uuid4().hex}{uuid.uuid4().hex[:18]}"


@attrs.frozen(kw_only=True)
class ImageItem:
    """
    Plan one `image_generation_call` item.
    """

    id: str
    sketch: SketchState
    tool: ImageToolParams
    action: str


@attrs.define(kw_only=True, eq=False)
class StoredResponse:
    """
    Follow one response through its life; only cancelling and delivering change it.

    Attributes:
        created: Seconds since the epoch.
        latency: How long the generation takes.
        text: What the message says, unless something was looked at.
        sight: What was looked at, if the request asks for findings.
        sketch: What a following response goes on from.
        listed: The input items, for whoever lists them.
        weight: How many bytes of pictures it keeps in memory that earlier ones do not.
        delivered: Whether somebody has got its end.

    """

    id: str
    created: float
    latency: float
    ask: ResponsesRequest
    drawings: tuple[ImageItem, ...]
    reasoning_id: str | None
    message_id: str
    text: str
    sight: Sight | None
    ending: Ending | None
    sketch: SketchState | None
    usage: Usage
    image_usage: ImageUsage
    listed: tuple[Json, ...] = attrs.field(repr=False)
    weight: int = 0
    cancelled: bool = False
    delivered: bool = False

    @property
    def output_ids(self) -> tuple[str, ...]:
        """
        The ids of its output items, in order; the first is the reasoning's, if there is any.
        """
        reasoning = (self.reasoning_id,) if self.reasoning_id else ()
        return (*reasoning, *(drawing.id for drawing in self.drawings), self.message_id)

    @property
    def said(self) -> str:
        """
        What the message says; measuring a picture for it takes its time.
        """
        return self.text if self.sight is None else self.sight.text

    @property
    def billed(self) -> Usage:
        """
        What the mainline model used, the words of a report included.
        """
        if self.sight is None:
            return self.usage
        return attrs.evolve(self.usage, output=self.usage.output + text_tokens(self.sight.text))

    def finished(self, now: float) -> bool:
        """
        Tell whether the generation is over, one way or the other.
        """
        return self.cancelled or not self.ask.background or now >= self.created + self.latency


class Memory:
    """
    Keep the latest responses. The oldest are forgotten, but none whose end nobody has got.
    """

    def __init__(self) -> None:
        self._records: OrderedDict[str, StoredResponse] = OrderedDict()
        self._owners: dict[str, StoredResponse] = {}
        self._unstored: deque[str] = deque(maxlen=_KNOWN_UNSTORED)
        self._weight = 0
        self._lock = threading.Lock()

    def add(self, record: StoredResponse) -> None:
        """
        Remember a response.
        """
        with self._lock:
            self._records[record.id] = record
            self._weight += record.weight
            self._owners.update((item_id, record) for item_id in _item_ids(record))
            while self._is_full() and (oldest := self._oldest_delivered()):
                self._drop(oldest)

    def add_unstored(self, record: StoredResponse) -> None:
        """
        Remember of a response no more than which items it had.
        """
        with self._lock:
            self._unstored.extend(record.output_ids)

    def get(self, response_id: str) -> StoredResponse | None:
        """
        Find a response.
        """
        with self._lock:
            return self._records.get(response_id)

    def owner(self, item_id: str) -> StoredResponse | None:
        """
        Find the response that an item belongs to.
        """
        with self._lock:
            return self._owners.get(item_id)

    def is_unstored(self, item_id: str) -> bool:
        """
        Tell whether an item is of a response that was not to be stored.
        """
        with self._lock:
            return item_id in self._unstored

    def sketch(self, item_id: str) -> SketchState | None:
        """
        Find the story behind an image item.
        """
        record = self.owner(item_id)
        drawings = record.drawings if record else ()
        return next((drawing.sketch for drawing in drawings if drawing.id == item_id), None)

    def remove(self, response_id: str) -> bool:
        """
        Forget one response, and tell whether it was there.
        """
        with self._lock:
            return self._drop(response_id)

    def cancel(self, record: StoredResponse, now: float) -> None:
        """
        Stop a generation, unless it is over.
        """
        with self._lock:
            if not record.finished(now):
                record.cancelled = True

    def clear(self) -> None:
        """
        Forget everything.
        """
        with self._lock:
            self._records.clear()
            self._owners.clear()
            self._unstored.clear()
            self._weight = 0

    def _is_full(self) -> bool:
        return len(self._records) > KEPT_RESPONSES or self._weight > _KEPT_BYTES

    def _oldest_delivered(self) -> str | None:
        return next((key for key, record in self._records.items() if record.delivered), None)

    def _drop(self, response_id: str) -> bool:
        record = self._records.pop(response_id, None)
        if record is None:
            return False
        self._weight -= record.weight
        for item_id in _item_ids(record):
            del self._owners[item_id]
        return True


def _item_ids(record: StoredResponse) -> Iterator[str]:
    """
    Give the ids of the items that a response brought into the world, its input's messages included.
    """
    yield from record.output_ids
    yield from (item["id"] for item in record.listed if item["type"] == "message")
