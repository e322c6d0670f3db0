"""
The Conversations endpoints: a sequence of responses under one id.

Reference: https://platform.openai.com/docs/api-reference/conversations
"""

import itertools
import threading
from collections import OrderedDict

import attrs

from imagesession._fake_openai.errors import RefusalError
from imagesession._fake_openai.http import FakeRequest, FakeResponse, Json, Settings, json_response
from imagesession._fake_openai.json_reader import page, page_limit, parse, read_metadata
from imagesession._fake_openai.memory import StoredResponse, current_organization, new_id
from imagesession._fake_openai.response_writer import ResponseWriter

KEPT_CONVERSATIONS = 10_000


@attrs.define(kw_only=True, eq=False)
class Conversation:
    id: str
    created: float
    metadata: Json
    records: list[StoredResponse] = attrs.field(factory=list[StoredResponse])
    organization: str = attrs.field(factory=current_organization)
    deleted: set[str] = attrs.field(factory=set[str])

    @property
    def delivered(self) -> bool:
        return all(record.delivered for record in reversed(self.records))

    def as_json(self) -> Json:
        return {
            "id": self.id,
            "object": "conversation",
            "created_at": int(self.created),
            "metadata": self.metadata,
        }


@attrs.define(kw_only=True, eq=False)
class ConversationsEndpoint:
    """
    Serve the Conversations endpoints, and keep the conversations that were used last. One with an
    undelivered response is never dropped.
    """

    writer: ResponseWriter
    settings: Settings
    _conversations: OrderedDict[str, Conversation] = attrs.field(
        factory=OrderedDict[str, Conversation], init=False
    )
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def answer(self, call: FakeRequest) -> FakeResponse:
        match (call.method, *call.path.split("/")[2:]):
            case ("POST",):
                return self._create(call)
            case ("GET", conversation_id):
                return json_response(self._find(conversation_id).as_json())
            case ("DELETE", conversation_id):
                return self._delete(conversation_id)
            case ("GET", conversation_id, "items"):
                return self._list(conversation_id, call)
            case ("DELETE", conversation_id, "items", item_id):
                return self._delete_item(self._find(conversation_id), item_id)
            case _:
                raise RefusalError("no_such_url", method=call.method, path=call.path)

    def last(self, conversation_id: str) -> StoredResponse | None:
        records = self._records(self._find(conversation_id))
        if records and not records[-1].finished(self.settings.clock()):
            raise RefusalError("conversation_locked", id=conversation_id)
        return records[-1] if records else None

    def add(self, conversation_id: str, record: StoredResponse) -> None:
        with self._lock:
            conversation = self._conversations.get(conversation_id)
            if conversation is not None:
                conversation.records.append(record)
                self._conversations.move_to_end(conversation_id)

    def clear(self) -> None:
        with self._lock:
            self._conversations.clear()

    def _find(self, conversation_id: str) -> Conversation:
        with self._lock:
            conversation = self._conversations.get(conversation_id)
        if conversation is None or conversation.organization != current_organization():
            raise RefusalError("no_such_conversation", id=conversation_id)
        return conversation

    def _records(self, conversation: Conversation) -> tuple[StoredResponse, ...]:
        with self._lock:
            return tuple(conversation.records)

    def _create(self, call: FakeRequest) -> FakeResponse:
        body = parse(call)
        body.only(("items", "metadata"))
        items = body.get("items")
        if items is not None and items.array():
            raise items.wrong("The offline provider takes items only with a response.")
        conversation = Conversation(
            id=new_id("conv_"),
            created=self.settings.clock(),
            metadata=read_metadata(body) or {},
        )
        with self._lock:
            self._conversations[conversation.id] = conversation
            while len(self._conversations) > KEPT_CONVERSATIONS and (
                oldest := self._oldest_delivered()
            ):
                del self._conversations[oldest]
        return json_response(conversation.as_json())

    def _oldest_delivered(self) -> str | None:
        # The newest was created just now and cannot have been used yet.
        older = itertools.islice(self._conversations.values(), len(self._conversations) - 1)
        return next((item.id for item in older if item.delivered), None)

    def _delete(self, conversation_id: str) -> FakeResponse:
        self._find(conversation_id)
        with self._lock:
            self._conversations.pop(conversation_id, None)
        return json_response(
            {"id": conversation_id, "object": "conversation.deleted", "deleted": True}
        )

    def _delete_item(self, conversation: Conversation, item_id: str) -> FakeResponse:
        records = self._records(conversation)
        items = (
            item
            for record in records
            for item in (*record.listed, *self.writer.output(record, results=False))
        )
        if item_id not in {item.get("id") for item in items} - conversation.deleted:
            raise RefusalError("no_such_listed_item", id=item_id)
        conversation.deleted.add(item_id)
        return json_response(conversation.as_json())

    def _list(self, conversation_id: str, call: FakeRequest) -> FakeResponse:
        now = self.settings.clock()
        results = self.settings.conversation_items_include_image
        limit = page_limit(call)
        newest = call.query.get("order") != "asc"
        conversation = self._find(conversation_id)
        records = self._records(conversation)
        items: list[Json] = []
        for record in reversed(records) if newest else records:
            if "after" not in call.query and len(items) > limit:
                break
            if self.writer.status(record, now) == "completed":
                record.delivered = True
                turn = [*record.listed, *self.writer.output(record, results=results)]
                kept = [item for item in turn if item.get("id") not in conversation.deleted]
                items += reversed(kept) if newest else kept
        return page(call, items, missing="no_such_listed_item")
