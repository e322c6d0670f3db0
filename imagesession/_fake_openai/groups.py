"""
Groups of items: an output item of a reasoning model is accepted only with its reasoning item, and a
reasoning item only with the item that follows it.

The messages are those of the service; the behaviour has been reported, not documented.
"""

from collections.abc import Iterable

from imagesession._fake_openai.errors import RefusalError
from imagesession._fake_openai.memory import Memory, StoredResponse
from imagesession._fake_openai.responses_request import SentItem


def check_groups(sent: tuple[SentItem, ...], memory: Memory) -> None:
    """
    Refuse an input with an item that does not exist, or without the rest of its group.
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
