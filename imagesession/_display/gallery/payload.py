"""
The gallery page's data as JSON. Empty fields are omitted to keep the page small.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import attrs
import pybase64

from imagesession._display import formatting
from imagesession._domain.image_header import parse_header
from imagesession._domain.marks import UNMARKED, Mark
from imagesession._domain.model_catalog import load_catalogue
from imagesession._domain.previews import Preview
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import Tree
from imagesession._domain.turn import ImageRecord, Turn

from .code_snippet import code_for, literal
from .outline import Outline, View

_PROMPT_PLACEHOLDER = "\x00"
_WITHOUT_MODEL = frozenset({"import", "promotion", "analysis"})
_OPENAI = "api.openai.com"


def to_payload(views: Iterable[View], thumbnails: Mapping[str, Preview]) -> dict[str, Any]:
    sessions: list[dict[str, Any]] = []
    turns: list[dict[str, Any]] = []
    for outline, tree in views:
        session_index = len(sessions) if outline.record else -1
        turns.extend(
            _turn(turn, outline, session_index, thumbnails) for turn in tree.turns.values()
        )
        if outline.record:
            sessions.append(_session(outline.record, outline, tree, thumbnails))
    turns.sort(key=operator.itemgetter("id"))
    return {"sessions": sessions, "turns": turns}


def to_facts(views: Sequence[View]) -> dict[str, Any]:
    """
    Return what the page knows of turns before they are loaded: how many images each filter has, the
    ids and times between which they are, and their cost.
    """
    pairs = [(outline.record, turn) for outline, tree in views for turn in tree.turns.values()]
    turns = [turn for _, turn in pairs]
    ids = [turn.id for turn in turns] + [image.id for turn in turns for image in turn.images]
    times = [turn.finished or turn.started for turn in turns]
    models = ((name, turn) for turn in turns for name in {turn.model, image_model(turn)} if name)
    shown = {image.id for turn in turns for image in turn.images}
    marks = [mark for outline, _ in views for key, mark in outline.marks.items() if key in shown]
    total = formatting.add_costs(turn.cost for turn in turns)
    return {
        "images": sum(len(turn.images) for turn in turns),
        "loose": sum(len(turn.images) for record, turn in pairs if record is None),
        "sketches": sum(len(turn.images) for turn in turns if formatting.is_sketch(turn)),
        "paid": sum(bool(turn.cost) and not formatting.is_sketch(turn) for turn in turns),
        "starred": sum(mark.starred for mark in marks),
        "kinds": _count((turn.kind, turn) for turn in turns),
        "models": _count(models),
        "tags": dict(Counter(tag for mark in marks for tag in mark.tags)),
        "oldest": min(ids, default=""),
        "newest": max(ids, default=""),
        "latest": max((turn.id for turn in turns), default=""),
        "since": min(times).isoformat() if times else "",
        "until": max(times).isoformat() if times else "",
        "cost": total.plain() if total else None,
    }


def images(views: Iterable[View]) -> list[ImageRecord]:
    made = (turn.images for _, tree in views for turn in tree.turns.values())
    boards = ([image for _, image in outline.board] for outline, _ in views)
    return list({image.id: image for some in (*made, *boards) for image in some}.values())


def image_model(turn: Turn) -> str | None:
    """
    Return the image model of a turn's images, or what OpenAI takes where none was named; None if
    that is not known.
    """
    if turn.kind in _WITHOUT_MODEL or not turn.images:
        return None
    if turn.options.image_model != "auto":
        return turn.options.image_model
    is_openai = _OPENAI in turn.provider or formatting.is_sketch(turn)
    return load_catalogue().image if is_openai else None


def _count(named: Iterable[tuple[str, Turn]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for name, turn in named:
        counts[name] += len(turn.images)
    return {name: count for name, count in counts.items() if count}


def _session(
    record: SessionRecord, outline: Outline, tree: Tree, thumbnails: Mapping[str, Preview]
) -> dict[str, Any]:
    heads = {branch: tree.head(branch) for branch in tree.branches()}
    total = formatting.add_costs(turn.cost for turn in tree.turns.values())
    return _without_empty(
        {
            "id": record.id,
            "name": record.name,
            "description": record.description,
            "created": record.created.isoformat(timespec="seconds"),
            "closed": record.closed is not None,
            "lost": not outline.has_record,
            "board": [
                {"role": role, **_image(image, thumbnails.get(image.id), UNMARKED)}
                for role, image in outline.board
            ],
            "heads": {branch: head.id for branch, head in heads.items() if head},
            "cost": str(total) if total else None,
        }
    )


def _turn(
    turn: Turn, outline: Outline, session_index: int, thumbnails: Mapping[str, Preview]
) -> dict[str, Any]:
    session = outline.record
    return {
        "id": turn.id,
        "session": session_index,
        "kind": turn.kind,
        "time": (turn.finished or turn.started).isoformat(timespec="seconds"),
        **_without_empty(
            {
                "parent": turn.parent,
                "branch": turn.branch if session and turn.branch != "main" else None,
                "label": turn.label,
                "status": None if turn.status == "completed" else turn.status,
                "prompt": turn.prompt,
                "said": _description(turn),
                "options": {name: str(value) for name, value in turn.options.changed().items()},
                "parameters": {
                    name: str(value)
                    for name, value in turn.parameters.items()
                    if value and isinstance(value, (str, int, float))
                },
                "references": len(turn.references),
                "parents": list(turn.parents),
                "masked": turn.masked,
                "origin": turn.origin.file if turn.origin else None,
                "model": turn.model,
                "image_model": image_model(turn),
                "sketch": formatting.is_sketch(turn),
                "provider": "" if formatting.is_sketch(turn) else turn.provider,
                "context": "" if turn.context == "fresh" else turn.context,
                "text": turn.text,
                "failure": attrs.asdict(turn.failure) if turn.failure else None,
                "cost": str(turn.cost) if turn.cost else None,
                "deleted": turn.deleted is not None,
                "call": None if turn.deleted else _code_snippet(turn, session),
            }
        ),
        "images": [
            _image(image, thumbnails.get(image.id), outline.marks.get(image.id, UNMARKED))
            for image in turn.images
        ],
    }


def _image(image: ImageRecord, thumbnail: Preview | None, mark: Mark) -> dict[str, Any]:
    fields = {
        "id": image.id,
        "file": quote(image.file, errors="replace"),
        "format": image.format,
        "width": image.width,
        "height": image.height,
        "bytes": image.bytes,
        "starred": mark.starred,
        "tags": list(mark.tags),
        "revised": image.revised_prompt,
        "source": None if image.source == "reply" else image.source,
        "thumb": pybase64.b64encode_as_string(thumbnail.data) if thumbnail else None,
        "alpha": thumbnail is not None and _has_alpha(thumbnail),
    }
    return _without_empty(fields)


def _has_alpha(thumbnail: Preview) -> bool:
    header = parse_header(thumbnail.data)
    return header is not None and header.alpha


def _description(turn: Turn) -> str | None:
    """
    Return the caller's text that a preset, variation or improvement put into its prompt, if it
    differs.
    """
    text = formatting.display_prompt(turn)
    return text if turn.prompt.strip() and text != turn.prompt else None


def _code_snippet(turn: Turn, session: SessionRecord | None) -> str:
    """
    Return the code snippet, with a placeholder for the prompt if that needs no escapes.
    """
    call = code_for(turn, session)
    prompt_literal = literal(turn.prompt)
    if prompt_literal != f'"{turn.prompt}"' or call.count(prompt_literal) != 1 or not turn.prompt:
        return call
    return call.replace(prompt_literal, _PROMPT_PLACEHOLDER)


def _without_empty(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
