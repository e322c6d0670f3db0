"""
The call that asks for a picture again, as one would write it in Python.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import Turn

_NOT_OPTIONS = frozenset({"preset", "description", "take", "takes"})
_EDITS = frozenset({"edit", "improvement"})


def code_for(turn: Turn, session: SessionRecord | None) -> str:
    """
    Write the call that asks for the same again, at the same place of the same session.

    What was sent along and is not kept, such as a mask, is told of in a comment.

    Args:
        turn: What was asked.
        session: The session that it is a turn of; None for a one-shot.
    """
    if turn.kind == "import":
        return _called("studio.images.import_file", *_import(turn))
    if turn.kind == "promotion":
        return _promotion(turn, session)
    asked = _asked(turn, session)
    return "\n".join([*_opening(turn, session), *_remarks(turn), asked])


def literal(value: object) -> str:
    """
    Write a value as Python reads it; texts in double quotes, where that takes nothing more.
    """
    if isinstance(value, str):
        plain = value.isprintable() and not {'"', "\\"} & set(value)
        return f'"{value}"' if plain else repr(value)
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
        return f"{{{', '.join(f'{literal(name)}: {literal(item)}' for name, item in pairs)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(literal, cast('list[object]', value)))}]"
    return repr(value)


def _called(verb: str, *arguments: object, **named: object) -> str:
    reported = [
        *map(literal, arguments),
        *(f"{name}={literal(value)}" for name, value in named.items()),
    ]
    return f"{verb}({', '.join(reported)})"


def _import(turn: Turn) -> Iterator[object]:
    yield (turn.origin.file if turn.origin else None) or "the file"


def _promotion(turn: Turn, session: SessionRecord | None) -> str:
    origin = turn.origin
    image = (origin.image_id or origin.file) if origin else next(iter(turn.parents), None)
    about = session.description if session else turn.prompt
    named = {"name": session.name} if session and session.name else {}
    return _called("session = studio.promote", image or "the file", about, **named)


def _opening(turn: Turn, session: SessionRecord | None) -> Iterator[str]:
    """
    Yield the line that leads to where the turn grew.
    """
    if session is None:
        return
    if turn.parent is not None:
        opened = _called("studio.open", session.id)
        yield f"session = {opened}.branch(at={literal(turn.parent)})"
        return
    named = {"name": session.name} if session.name else {}
    yield _called("session = studio.session", session.description, **named)


def _asked(turn: Turn, session: SessionRecord | None) -> str:
    who = "studio" if session is None else "session"
    options = _options(turn, session)
    if turn.kind == "analysis":
        looked = {"image": turn.parents[0]} if turn.parents else {}
        return _called(f"{who}.analyze", goals=turn.prompt, **looked)
    if "preset" in turn.parameters and "take" not in turn.parameters:
        return _preset(who, turn, options)
    reference = _references(turn)
    if turn.kind in _EDITS and session is None and turn.parents:
        given = [text for text in reference.get("references", []) if text != turn.parents[0]]
        others = {"references": given} if given else {}
        return _called(f"{who}.edit", turn.prompt, image=turn.parents[0], **others, **options)
    return _called(f"{who}.generate", turn.prompt, **reference, **options)


def _preset(who: str, turn: Turn, options: Mapping[str, object]) -> str:
    params = {name: item for name, item in turn.parameters.items() if name not in _NOT_OPTIONS}
    named: dict[str, object] = {"params": params} if params else {}
    words = (turn.parameters["preset"], turn.parameters.get("description", ""))
    return _called(f"{who}.preset", *words, **named, **_references(turn), **options)


def _options(turn: Turn, session: SessionRecord | None) -> dict[str, Any]:
    """
    Return what has to be named: what is not the default, or what the session has otherwise.
    """
    chosen = () if session is None or turn.parent is None else session.choices
    spelled = turn.options.changed()
    also = {name: getattr(turn.options, name) for name in chosen if hasattr(turn.options, name)}
    return {**spelled, **also}


def _references(turn: Turn) -> dict[str, list[str]]:
    known = [reference.image_id for reference in turn.references if reference.image_id]
    return {"references": known} if known else {}


def _remarks(turn: Turn) -> Iterator[str]:
    if turn.masked:
        yield "# A mask was sent along, which is not kept: add mask=..."
    strange = sum(reference.image_id is None for reference in turn.references)
    if strange:
        pictures = "a picture" if strange == 1 else f"{strange} pictures"
        yield f"# From elsewhere came {pictures}, not kept here: add reference=..."
