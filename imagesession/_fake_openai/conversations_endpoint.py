"""
The Conversations endpoints: a thread of responses under one id.

Reference: https://platform.openai.com/docs/api-reference/conversations
"""

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus

import attrs

from imagesession._fake_openai.errors import RefusalError, invalid_value, no_such_url
from imagesession._fake_openai.http import FakeRequest, FakeResponse, Json, json_response
from imagesession._fake_openai.json_reader import check_metadata, parse
from imagesession._fake_openai.memory import StoredResponse, new_id
from imagesession._fake_openai.response_writer import ResponseWriter
from imagesession._fake_openai.settings import Settings

KEPT_CONVERSATIONS = 10_000
MAX_LISTED = 100


@attrs.define(kw_only=True, eq=False)
class Conversation:
    """
    Hold one thread of responses.
    """

    id: str
    created: float
    metadata: Json
    records: list[StoredResponse] = attrs.field(factory=list[StoredResponse])

    @property
    def delivered(self) -> bool:
        """
        Tell whether nobody waits for anything in it.
        """
        return all(record.delivered for record in reversed(self.records))

    def as_json(self) -> Json:
        """
        Write the conversation's facts.
        """
        return {
            "id": self.id,
            "object": "conversation",
            "created_at": int(self.created),
            "metadata": self.metadata,
        }


class ConversationsEndpoint:
    """
    Serve the Conversations endpoints, and keep the conversations that were used last. None is
    forgotten of which somebody still waits for a reply.
    """

    def __init__(
        self,
        *,
        writer: ResponseWriter,
        clock: Callable[[], float],
        settings: Callable[[], Settings],
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._settings = settings
        self._kept: OrderedDict[str, Conversation] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, call: FakeRequest) -> FakeResponse:
        """
        Answer a call below `/conversations`.
        """
        match (call.method, *call.path.split("/")[2:]):
            case ("POST",):
                return self._create(call)
            case ("GET", conversation_id):
                return json_response(self._find(conversation_id).as_json())
            case ("DELETE", conversation_id):
                return self._delete(conversation_id)
            case ("GET", conversation_id, "items"):
                return self._list(conversation_id, call)
            case _:
                raise no_such_url(call.method, call.path)

    def last(self, conversation_id: str) -> StoredResponse | None:
        """
        Find what a new response in a conversation goes on from.

        Raises:
            RefusalError: There is no such conversation, or it is still being answered.

        """
        records = self._records(self._find(conversation_id))
        if records and not records[-1].finished(self._clock()):
            raise RefusalError(
                f"Another process is currently operating on this conversation "
                f"'{conversation_id}'. Please retry in a few seconds.",
                param="conversation",
                code="conversation_locked",
            )
        return records[-1] if records else None

    def add(self, conversation_id: str, record: StoredResponse) -> None:
        """
        Continue a conversation with a response.
        """
        with self._lock:
            conversation = self._kept.get(conversation_id)
            if conversation is not None:
                conversation.records.append(record)
                self._kept.move_to_end(conversation_id)

    def clear(self) -> None:
        """
        Forget everything.
        """
        with self._lock:
            self._kept.clear()

    def _find(self, conversation_id: str) -> Conversation:
        with self._lock:
            conversation = self._kept.get(conversation_id)
        if conversation is None:
            raise RefusalError(
                f"Conversation with id '{conversation_id}' not found.",
                status=HTTPStatus.NOT_FOUND,
            )
        return conversation

    def _records(self, conversation: Conversation) -> tuple[StoredResponse, ...]:
        with self._lock:
            return tuple(conversation.records)

    def _create(self, call: FakeRequest) -> FakeResponse:
        body = parse(call)
        body.only(("items", "metadata"))
        check_metadata(body)
        items = body.get("items")
        if items is not None and items.array():
            raise items.wrong("The offline provider takes items only with a response.")
        metadata = body.get("metadata")
        conversation = Conversation(
            id=new_id("conv_"),
            created=self._clock(),
            metadata=metadata.object() if metadata else {},
        )
        with self._lock:
            self._kept[conversation.id] = conversation
            while len(self._kept) > KEPT_CONVERSATIONS and (oldest := self._oldest_delivered()):
                del self._kept[oldest]
        return json_response(conversation.as_json())

    def _oldest_delivered(self) -> str | None:
        # Nobody has had the time to use the newest, which was made just now.
        older = itertools.islice(self._kept.values(), len(self._kept) - 1)
        return next((item.id for item in older if item.delivered), None)

    def _delete(self, conversation_id: str) -> FakeResponse:
        self._find(conversation_id)
        with self._lock:
            self._kept.pop(conversation_id, None)
        return json_response(
            {"id": conversation_id, "object": "conversation.deleted", "deleted": True}
        )

    def _list(self, conversation_id: str, call: FakeRequest) -> FakeResponse:
        """
        List what was said, the latest first unless asked otherwise; what a request brought and
        what it was answered appear when the answer is complete.
        """
        now = self._clock()
        results = self._settings().conversation_items_include_image
        limit = _limit(call)
        newest = call.query.get("order") != "asc"
        records = self._records(self._find(conversation_id))
        after = call.query.get("after")
        items: list[Json] = []
        for record in reversed(records) if newest else records:
            if after is None and len(items) > limit:
                break
            if self._writer.status(record, now) == "completed":
                record.delivered = True
                said = [*record.listed, *self._writer.output(record, results=results)]
                items += reversed(said) if newest else said
        if after is not None:
            items = items[_place(items, after) + 1 :]
        shown = items[:limit]
        return json_response(
            {
                "object": "list",
                "data": shown,
                "first_id": shown[0]["id"] if shown else None,
                "last_id": shown[-1]["id"] if shown else None,
                "has_more": len(items) > limit,
            }
        )


def _limit(call: FakeRequest) -> int:
    """
    Return how many items are wanted.

    Raises:
        RefusalError: It is no number that the API takes.

    """
    wanted = call.query.get("limit", "20")
    if not wanted.isascii() or not wanted.isdigit() or not 1 <= int(wanted) <= MAX_LISTED:
        raise invalid_value(
            f"Invalid value for 'limit': '{wanted}' is not a number from 1 to {MAX_LISTED}.",
            "limit",
        )
    return int(wanted)


def _place(items: list[Json], item_id: str) -> int:
    """
    Return where an item stands.

    Raises:
        RefusalError: It is not among them.

    """
    for at, item in enumerate(items):
        if item.get("id") == item_id:
            return at
    raise RefusalError(f"Item with id '{item_id}' not found.", status=HTTPStatus.NOT_FOUND)
