"""
A session's reference board: images, each with a role in words, that are sent with every turn.
"""

from __future__ import annotations

import hashlib

import attrs

from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import ImageRecord, Reference, Turn, is_id
from imagesession._domain.wording import quote
from imagesession.errors import InvalidImageError, NotFoundError

from .effects import NewId, PixelCall, StoreCall, Workflow
from .imports import commit_import, find_image
from .pixels import NamedSource, Source
from .validate import validate_reference_count, validate_role


def keep_references(
    sources: tuple[Source, ...], board: tuple[Reference, ...] = (), owner: str | None = None
) -> Workflow[tuple[Reference, ...]]:
    validate_reference_count(len(sources))
    named = [
        source if isinstance(source, NamedSource) else NamedSource(f"reference {number}", source)
        for number, source in enumerate(sources, 1)
    ]
    for each in named:
        validate_role(each.role)
        yield from _check_image(each.source)
    references: list[Reference] = []
    for each in named:
        image = yield from _keep(each, (*board, *references), owner)
        references.append(Reference(sha256=image.sha256, image_id=image.id, role=each.role))
    return tuple(references)


def _check_image(source: Source) -> Workflow[None]:
    yield from PixelCall(lambda pixels: pixels.load(source))


def _keep(
    named: NamedSource, board: tuple[Reference, ...], owner: str | None
) -> Workflow[ImageRecord]:
    source = named.source
    known = source.id if isinstance(source, ImageRecord) else source
    if isinstance(known, str) and is_id(known):
        turn, position = yield from find_image(known)
        return turn.images[position]
    imported = yield from PixelCall(lambda pixels: pixels.load_original(source))
    digest = hashlib.sha256(imported.data).hexdigest()
    for reference in board:
        if reference.sha256 == digest:
            turn, position = yield from find_reference(reference)
            return turn.images[position]
    new = yield from NewId()
    whose = attrs.evolve(new, owner=owner or new.owner)
    turn = yield from commit_import(whose, imported, named.role)
    return turn.images[0]


def find_references(session_id: str) -> Workflow[dict[str, tuple[Turn, int]]]:
    record: SessionRecord = yield from StoreCall(lambda store: store.sessions.find(session_id))
    found: dict[str, tuple[Turn, int]] = {}
    for reference in record.references:
        found[reference.role] = yield from find_reference(reference)
    return found


def find_reference(reference: Reference) -> Workflow[tuple[Turn, int]]:
    image_id = reference.image_id or ""
    try:
        return (yield from find_image(image_id))
    except NotFoundError as error:
        raise InvalidImageError(
            f"The session's reference {quote(reference.role)} (image {image_id}) is not in the "
            "library any more. Put it back, or change the board with "
            "session.update(references=…)."
        ) from error
