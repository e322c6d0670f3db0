"""
What a page is told of a library, as JSON has it; what is empty is left out, for it is a lot.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import attrs

from imagesession._display import formatting
from imagesession._display.data_url import encoded
from imagesession._domain.cost import Cost
from imagesession._domain.image_header import parse_header
from imagesession._domain.previews import Preview
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import Tree
from imagesession._domain.turn import ImageRecord, Turn

from .code_snippet import code_for, literal

_BARRED = "\x00"


@attrs.frozen(kw_only=True)
class Shown:
    """
    A session and its turns, or the single pictures together.

    Attributes:
        record: The session; None for single pictures.
        tree: The turns.
        named: Whether the session's own record is there, and not only turns that name it.
    """

    record: SessionRecord | None
    tree: Tree
    named: bool = True


def to_payload(shown: Iterable[Shown], small: Mapping[str, Preview]) -> dict[str, Any]:
    """
    Return sessions and single pictures as a page takes them.

    Args:
        shown: Sessions, the latest first, and the single pictures.
        small: Thumbnails by their pictures' ids; those that are missing are shown as a card.
    """
    sessions: list[dict[str, Any]] = []
    turns: list[dict[str, Any]] = []
    for item in shown:
        at = len(sessions) if item.record else -1
        turns.extend(_turn(turn, item.record, at, small) for turn in item.tree.turns.values())
        if item.record:
            sessions.append(_session(item.record, item.tree, named=item.named))
    turns.sort(key=operator.itemgetter("id"))
    total = _sum(turn for item in shown for turn in item.tree.turns.values())
    return {"sessions": sessions, "turns": turns, "cost": str(total) if total else ""}


def _session(record: SessionRecord, tree: Tree, *, named: bool) -> dict[str, Any]:
    heads = {branch: tree.head(branch) for branch in tree.branches()}
    total = _sum(tree.turns.values())
    return _filled(
        {
            "id": record.id,
            "name": record.name,
            "description": record.description,
            "created": record.created.isoformat(timespec="seconds"),
            "closed": record.closed is not None,
            "lost": not named,
            "heads": {branch: head.id for branch, head in heads.items() if head},
            "cost": str(total) if total else None,
        }
    )


def _turn(
    turn: Turn, session: SessionRecord | None, at: int, small: Mapping[str, Preview]
) -> dict[str, Any]:
    return {
        "id": turn.id,
        "session": at,
        "kind": turn.kind,
        "time": (turn.finished or turn.started).isoformat(timespec="seconds"),
        **_filled(
            {
                "parent": turn.parent,
                "branch": turn.branch if session and turn.branch != "main" else None,
                "label": turn.label,
                "status": None if turn.status == "completed" else turn.status,
                "prompt": turn.prompt,
                "said": _said(turn),
                "options": {name: str(item) for name, item in turn.options.changed().items()},
                "parameters": {name: _text(item) for name, item in turn.parameters.items()},
                "references": len(turn.references),
                "parents": list(turn.parents),
                "masked": turn.masked,
                "origin": turn.origin.file if turn.origin else None,
                "model": turn.model,
                "sketch": formatting.is_sketch(turn),
                "provider": "" if formatting.is_sketch(turn) else turn.provider,
                "context": "" if turn.context == "fresh" else turn.context,
                "text": turn.text,
                "failure": attrs.asdict(turn.failure) if turn.failure else None,
                "cost": str(turn.cost) if turn.cost else None,
                "call": _call(turn, session),
            }
        ),
        "images": [_image(image, small.get(image.id)) for image in turn.images],
    }


def _image(image: ImageRecord, small: Preview | None) -> dict[str, Any]:
    facts = {
        "id": image.id,
        "file": quote(image.file, errors="replace"),
        "format": image.format,
        "width": image.width,
        "height": image.height,
        "bytes": image.bytes,
        "revised": image.revised_prompt,
        "source": None if image.source == "reply" else image.source,
        "thumb": encoded(small.data) if small else None,
        "alpha": small is not None and _is_clear(small),
    }
    return _filled(facts)


def _is_clear(small: Preview) -> bool:
    header = parse_header(small.data)
    return header is not None and header.alpha


def _said(turn: Turn) -> str | None:
    """
    Return what a caller put into a frame, such as a preset's, where that is not the prompt.
    """
    for name in ("description", "improvement_goals"):
        reported = turn.parameters.get(name)
        if isinstance(reported, str) and reported.strip() and reported != turn.prompt:
            return reported
    return None


def _call(turn: Turn, session: SessionRecord | None) -> str:
    """
    Write the call; the prompt, which the page knows, is left out where it stands in plain quotes.
    """
    call = code_for(turn, session)
    spelled = literal(turn.prompt)
    if spelled != f'"{turn.prompt}"' or call.count(spelled) != 1 or not turn.prompt:
        return call
    return call.replace(spelled, _BARRED)


def _text(value: object) -> str:
    return value if isinstance(value, str) else literal(value)


def _sum(turns: Iterable[Turn]) -> Cost | None:
    costs = [turn.cost for turn in turns if turn.cost]
    return functools.reduce(operator.add, costs) if costs else None


def _filled(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value}
