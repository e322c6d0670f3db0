"""
What an index holds of a turn, an image and a session, whatever database it is.
"""

from __future__ import annotations

import datetime as dt

from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import ImageRecord, Turn, count_made, is_id
from imagesession._domain.wording import fold

from .ids import first_id


def budget_cost(turn: Turn) -> float:
    """
    Return the US dollars that a budget counts for a turn: if a price is unknown, at least the
    reserved amount.
    """
    if turn.cost is None:
        return 0.0
    known = turn.cost.known
    return known if turn.cost.total is not None else max(known, turn.reserved or 0.0)


def cost_columns(turn: Turn) -> dict[str, object]:
    return {
        "images": count_made(turn.images) + turn.erased_images,
        "cost": turn.cost.known if turn.cost else 0.0,
        "uncertain": int(turn.cost is not None and turn.cost.total is None),
        "spent": budget_cost(turn),
        "context": turn.cost.context if turn.cost else 0.0,
        "context_tokens": turn.cost.context_tokens if turn.cost else 0,
    }


def day_of(turn: Turn) -> dt.date:
    return turn.started.astimezone(dt.UTC).date()


def search_text(turn: Turn, image: ImageRecord) -> str:
    return utf8(fold("\n".join((turn.prompt, image.revised_prompt or "", turn.label))))


def touched(record: SessionRecord) -> str:
    """
    Return the id of a session's last move, or else the first id of the time of its creation.
    """
    moves = (move.id for move in record.moves.values() if is_id(move.id))
    return max((first_id(record.created), *moves))


def utf8(text: str) -> str:
    """
    Replace lone surrogates, which a record can hold and a database cannot.
    """
    return text.encode("utf-8", "replace").decode("utf-8")


def utf8_or_none(text: str | None) -> str | None:
    return None if text is None else utf8(text)
