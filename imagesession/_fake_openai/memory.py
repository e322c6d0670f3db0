"""
The stored responses.

A record holds an image's sketch state, not its pixels: a hundred bytes instead of megabytes.
"""

import contextlib
import contextvars
import threading
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable, Iterator

import attrs

from imagesession._fake_openai.errors import RefusalError
from imagesession._fake_openai.faults import Ending, Scripted
from imagesession._fake_openai.http import Json
from imagesession._fake_openai.image_tool import ImageToolParams
from imagesession._fake_openai.responses_request import ResponsesRequest, SentItem
from imagesession._fake_openai.sketch import SketchState
from imagesession._fake_openai.tokens import ImageUsage, Usage, text_tokens

# Undelivered responses are kept beyond this number.
KEPT_RESPONSES = 10_000
_KEPT_BYTES = 512 * 1024 * 1024
_KNOWN_UNSTORED = 10_000
# The tokens of a summary of earlier items; no figure is published.
COMPACTED_TOKENS = 1_000


_organization: contextvars.ContextVar[str] = contextvars.ContextVar("organization", default="")


@contextlib.contextmanager
def stored_for(organization: str) -> Generator[None, None, None]:
    """
    Store and find responses and conversations for an organization; others are not found.
    """
    token = _organization.set(organization)
    try:
        yield
    finally:
        _organization.reset(token)


def current_organization() -> str:
    return _organization.get()


def new_id(prefix: str) -> str:
    # Make an id as long as the API's.
    return f"{prefix}{uuid.uuid4().hex}{uuid.uuid4().hex[:18]}"


@attrs.frozen(kw_only=True)
class ImageItem:
    id: str
    sketch: SketchState
    tool: ImageToolParams
    action: str
    script: Scripted | None = None


@attrs.define(kw_only=True, eq=False)
class StoredResponse:
    """
    One response; only cancelling and delivering change it.
    """

    id: str
    created: float  # seconds since the epoch
    latency: float  # how many seconds the generation takes
    request: ResponsesRequest
    drawings: tuple[ImageItem, ...]
    reasoning_id: str | None
    message_id: str
    text: str  # the text of the message, unless there is an analysis
    analysis: Callable[[], str] | None  # the findings about an image, if the request asks for them
    ending: Ending | None
    sketch: SketchState | None  # the state that a following response continues
    usage: Usage
    image_usage: ImageUsage
    listed: tuple[Json, ...] = attrs.field(repr=False)  # the input items as the API lists them
    # The id of the item that replaces all earlier ones, if they were compacted.
    compaction_id: str | None = None
    weight: int = 0  # how many bytes of images it keeps in memory that earlier responses do not
    cancelled: bool = False
    delivered: bool = False  # whether a client has received the complete response
    organization: str = attrs.field(factory=current_organization)  # whose response it is

    @property
    def output_ids(self) -> tuple[str, ...]:
        first = tuple(filter(None, (self.compaction_id, self.reasoning_id)))
        return (*first, *(drawing.id for drawing in self.drawings), self.message_id)

    @property
    def message_text(self) -> str:
        return self.text if self.analysis is None else self.analysis()

    @property
    def billed(self) -> Usage:
        if self.analysis is None:
            return self.usage
        return attrs.evolve(self.usage, output=self.usage.output + text_tokens(self.analysis()))

    @property
    def context_tokens(self) -> int:
        before = COMPACTED_TOKENS if self.compaction_id else self.billed.input
        return before + self.billed.output

    def finished(self, now: float) -> bool:
        return self.cancelled or not self.request.background or now >= self.created + self.latency


class Memory:
    """
    Store the latest responses. The oldest are dropped, except those not delivered yet.
    """

    def __init__(self) -> None:
        self._records: OrderedDict[str, StoredResponse] = OrderedDict()
        self._owners: dict[str, StoredResponse] = {}
        self._unstored: deque[str] = deque(maxlen=_KNOWN_UNSTORED)
        self._weight = 0
        self._lock = threading.Lock()

    def add(self, record: StoredResponse) -> None:
        with self._lock:
            self._records[record.id] = record
            self._weight += record.weight
            self._owners.update((item_id, record) for item_id in _item_ids(record))
            while len(self._records) > KEPT_RESPONSES or self._weight > _KEPT_BYTES:
                oldest = (key for key, stored in self._records.items() if stored.delivered)
                if (dropped := next(oldest, None)) is None:
                    return
                self._drop(dropped)

    def add_unstored(self, record: StoredResponse) -> None:
        with self._lock:
            self._unstored.extend(record.output_ids)

    def find(self, response_id: str, missing: str = "no_such_response") -> StoredResponse:
        with self._lock:
            record = _own(self._records.get(response_id))
        if record is None:
            raise RefusalError(missing, id=response_id)
        return record

    def owner(self, item_id: str) -> StoredResponse | None:
        with self._lock:
            return _own(self._owners.get(item_id))

    def is_unstored(self, item_id: str) -> bool:
        with self._lock:
            return item_id in self._unstored

    def sketch(self, item_id: str) -> SketchState | None:
        record = self.owner(item_id)
        drawings = record.drawings if record else ()
        return next((drawing.sketch for drawing in drawings if drawing.id == item_id), None)

    def remove(self, response_id: str) -> None:
        with self._lock:
            if _own(self._records.get(response_id)) is None:
                raise RefusalError("no_such_response", id=response_id)
            self._drop(response_id)

    def cancel(self, record: StoredResponse, now: float) -> None:
        with self._lock:
            if not record.finished(now):
                record.cancelled = True

    def clear(self) -> None:
        with self._lock:
            self._records.clear()
            self._owners.clear()
            self._unstored.clear()
            self._weight = 0

    def _drop(self, response_id: str) -> None:
        record = self._records.pop(response_id)
        self._weight -= record.weight
        for item_id in _item_ids(record):
            del self._owners[item_id]


def _own(record: StoredResponse | None) -> StoredResponse | None:
    own = record is not None and record.organization == current_organization()
    return record if own else None


def _item_ids(record: StoredResponse) -> Iterator[str]:
    yield from record.output_ids
    yield from (item["id"] for item in record.listed if item["type"] == "message")


def check_groups(sent: tuple[SentItem, ...], memory: Memory) -> None:
    """
    Refuse an input with an item that does not exist, or without the rest of its group: an output
    item of a reasoning model is accepted only with its reasoning item, and a reasoning item only
    with the item that follows it. The messages are those of the service; the behaviour has been
    reported, not documented.
    """
    seen: set[str] = set()
    followers: Iterable[SentItem | None] = (*sent[1:], None)
    for item, following in zip(sent, followers, strict=False):
        owner = memory.owner(item.id) if item.id else None
        if item.id is not None and owner is not None:
            _check_known(item.id, owner, following, seen)
            seen.add(item.id)
        else:
            _check_unknown(item, following, memory)


def _check_known(
    item_id: str, owner: StoredResponse, following: SentItem | None, seen: set[str]
) -> None:
    ids = owner.output_ids
    if item_id == owner.reasoning_id:
        if following is None or following.id != ids[ids.index(item_id) + 1]:
            raise RefusalError("without_following", id=item_id)
    elif item_id == owner.compaction_id:
        return
    elif item_id in ids and owner.reasoning_id and owner.reasoning_id not in seen:
        kind = "message" if item_id == owner.message_id else "image_generation_call"
        raise RefusalError("without_reasoning", id=item_id, kind=kind, reasoning=owner.reasoning_id)


def _check_unknown(item: SentItem, following: SentItem | None, memory: Memory) -> None:
    if item.id is not None and not item.has_content:
        raise RefusalError(
            "unstored_item" if memory.is_unstored(item.id) else "no_such_item", id=item.id
        )
    if item.reasoning and item.id is not None and not (following and following.output):
        raise RefusalError("without_following", id=item.id)
