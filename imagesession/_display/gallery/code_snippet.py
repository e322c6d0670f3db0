"""
The Python call that generates an image again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import Turn

_NOT_OPTIONS = frozenset({"preset", "description", "take", "takes", "requested_size"})
_EDITS = frozenset({"edit", "improvement"})


def code_for(turn: Turn, session: SessionRecord | None) -> str:
    """
    Return the call that repeats a turn, with the same parent in the same session. A comment names
    inputs that the library does not store, such as a mask.
    """
    if turn.kind == "import":
        file = turn.origin.file if turn.origin else None
        return _format_call("studio.images.import_file", file or "the file")
    if turn.kind == "promotion":
        return _promotion_call(turn, session)
    call = _generation_call(turn, session)
    return "\n".join([*_session_line(turn, session), *_comments(turn), call])


def literal(value: object) -> str:
    if isinstance(value, str):
        plain = value.isprintable() and not {'"', "\\"} & set(value)
        return f'"{value}"' if plain else repr(value)
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
        return f"{{{', '.join(f'{literal(name)}: {literal(item)}' for name, item in pairs)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(literal, cast('list[object]', value)))}]"
    return repr(value)


def _format_call(verb: str, *arguments: object, **named: object) -> str:
    formatted = [
        *map(literal, arguments),
        *(f"{name}={literal(value)}" for name, value in named.items()),
    ]
    return f"{verb}({', '.join(formatted)})"


def _promotion_call(turn: Turn, session: SessionRecord | None) -> str:
    origin = turn.origin
    image = (origin.image_id or origin.file) if origin else next(iter(turn.parents), None)
    about = session.description if session else turn.prompt
    named = {"name": session.name} if session and session.name else {}
    return _format_call("session = studio.promote", image or "the file", about, **named)


def _session_line(turn: Turn, session: SessionRecord | None) -> Iterator[str]:
    if session is None:
        return
    if turn.parent is not None:
        session_call = _format_call("studio.open", session.id)
        yield f"session = {session_call}.branch(at={literal(turn.parent)})"
        return
    named = {"name": session.name} if session.name else {}
    yield _format_call("session = studio.session", session.description, **named)


def _generation_call(turn: Turn, session: SessionRecord | None) -> str:
    receiver = "studio" if session is None else "session"
    options = _options(turn, session)
    if turn.kind == "analysis":
        arguments = {"image": turn.parents[0]} if turn.parents else {}
        return _format_call(f"{receiver}.analyze", goals=turn.prompt, **arguments)
    if "preset" in turn.parameters and "take" not in turn.parameters:
        return _preset(receiver, turn, options)
    references = _references(turn)
    if turn.kind in _EDITS and session is None and turn.parents:
        source = turn.parents[0]
        others = [image_id for image_id in references.get("references", []) if image_id != source]
        named = {"references": others} if others else {}
        return _format_call(f"{receiver}.edit", turn.prompt, image=source, **named, **options)
    return _format_call(f"{receiver}.generate", turn.prompt, **references, **options)


def _preset(receiver: str, turn: Turn, options: Mapping[str, object]) -> str:
    params = {name: item for name, item in turn.parameters.items() if name not in _NOT_OPTIONS}
    named: dict[str, object] = {"params": params} if params else {}
    texts = (turn.parameters["preset"], turn.parameters.get("description", ""))
    return _format_call(f"{receiver}.preset", *texts, **named, **_references(turn), **options)


def _options(turn: Turn, session: SessionRecord | None) -> dict[str, Any]:
    chosen = () if session is None or turn.parent is None else session.choices
    changed = turn.options.changed()
    overridden = {
        name: getattr(turn.options, name) for name in chosen if hasattr(turn.options, name)
    }
    return {**changed, **overridden}


def _references(turn: Turn) -> dict[str, list[str]]:
    image_ids = [reference.image_id for reference in turn.references if reference.image_id]
    return {"references": image_ids} if image_ids else {}


def _comments(turn: Turn) -> Iterator[str]:
    if turn.masked:
        yield "# The mask is not stored in the library: add mask=..."
    external = sum(reference.image_id is None for reference in turn.references)
    if external:
        images = "a reference image" if external == 1 else f"{external} reference images"
        yield f"# The library does not store {images}: add references=..."
