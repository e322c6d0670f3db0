"""
What the provider remembers of the responses it has given.

A record holds the recipe of a picture, not the picture: some hundred bytes instead of megabytes.
"""

import threading
import uuid
from collections import OrderedDict

import attrs

from imagesession._offline.asks import Ask
from imagesession._offline.exchange import Json
from imagesession._offline.faults import Ending
from imagesession._offline.findings import Sight
from imagesession._offline.sketch import SketchState as Story
from imagesession._offline.tokens import ImageUsage, Usage, text_tokens
from imagesession._offline.tool import Tool

KEPT_RESPONSES = 256


def new_id(prefix: str) -> str:
    """
    Make an id as long as the API's.
    """
    return f"{prefix}{uuid.uuid4().hex}{uuid.uuid4().hex[:18]}"


@attrs.frozen(kw_only=True)
class Drawing:
    """
    Plan one `image_generation_call` item.
    """

    id: str
    story: Story
    tool: Tool
    action: str


@attrs.define(kw_only=True, eq=False)
class Record:
    """
    Follow one response through its life; only cancelling changes it.

    Attributes:
        created: Seconds since the epoch.
        latency: How long the generation takes.
        text: What the message says, unless something was looked at.
        sight: What was looked at, if the request asks for findings.
        story: What a following response goes on from.
        listed: The input items, for whoever lists them.

    """

    id: str
    created: float
    latency: float
    ask: Ask
    drawings: tuple[Drawing, ...]
    reasoning_id: str | None
    message_id: str
    text: str
    sight: Sight | None
    ending: Ending | None
    story: Story | None
    usage: Usage
    image_usage: ImageUsage
    listed: tuple[Json, ...] = attrs.field(repr=False)
    cancelled: bool = False

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
    Keep the latest responses, and forget the oldest.
    """

    def __init__(self, *, keep: int = KEPT_RESPONSES) -> None:
        self._keep = keep
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._drawings: dict[str, Drawing] = {}
        self._lock = threading.Lock()

    def add(self, record: Record) -> None:
        """
        Remember a response.
        """
        with self._lock:
            self._records[record.id] = record
            self._drawings.update((drawing.id, drawing) for drawing in record.drawings)
            while len(self._records) > self._keep:
                self._drop(next(iter(self._records)))

    def get(self, response_id: str) -> Record | None:
        """
        Find a response.
        """
        with self._lock:
            return self._records.get(response_id)

    def story(self, item_id: str) -> Story | None:
        """
        Find the story behind an image item.
        """
        with self._lock:
            drawing = self._drawings.get(item_id)
        return None if drawing is None else drawing.story

    def remove(self, response_id: str) -> bool:
        """
        Forget one response, and tell whether it was there.
        """
        with self._lock:
            return self._drop(response_id)

    def cancel(self, record: Record, now: float) -> None:
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
            self._drawings.clear()

    def _drop(self, response_id: str) -> bool:
        record = self._records.pop(response_id, None)
        for drawing in record.drawings if record else ():
            self._drawings.pop(drawing.id, None)
        return record is not None
