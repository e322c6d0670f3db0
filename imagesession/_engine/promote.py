"""
Start a session from any image.
"""

from __future__ import annotations

from collections.abc import Mapping

from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import ImportOrigin, Turn
from imagesession.errors import InvalidRequestError

from . import sessions
from .effects import NewId, PixelCall, StoreCall, Workflow
from .imports import commit_import
from .pixels import Source
from .request import StudioConfig
from .store import IdAndTime
from .validate import validate_label


def create_session_from_image(
    library_image: tuple[Turn, int] | None,
    source: Source,
    description: str,
    *,
    name: str | None,
    choices: Mapping[str, object],
    config: StudioConfig,
) -> Workflow[SessionRecord]:
    validate_label("The description", description)
    imported = None
    if library_image is None:
        imported = yield from PixelCall(lambda pixels: pixels.load_original(source))
    prompt = library_image[0].prompt if library_image else imported.prompt if imported else ""
    session_description = description if description.strip() else prompt
    settings = sessions.SessionSettings(name=name, options=choices)
    record = yield from sessions.create_session(session_description, settings, config)
    new = yield from NewId(after=record.id)
    if library_image is not None:
        turn, image = (
            _promotion_turn(record, new, *library_image),
            library_image[0].images[library_image[1]],
        )
        yield from StoreCall(lambda store: store.turns.commit(turn, (), (image,)))
    elif imported is not None:
        yield from commit_import(new, imported, imported.prompt, record.id)
    return record


def _promotion_turn(record: SessionRecord, new: IdAndTime, turn: Turn, position: int) -> Turn:
    """
    Build the first turn of a session that starts from an image in the library.

    A standalone image's response holds this image alone, so the session continues that response.
    The context of another session's image is that whole session, and of one among several images
    all of them; then the image itself is sent instead.
    """
    if not turn.images:
        raise InvalidRequestError(f"Turn {turn.id} has no image.")
    image = turn.images[position]
    alone = turn.session is None and len(turn.images) == 1 and image.source == "reply"
    return Turn(
        id=new.id,
        session=record.id,
        owner=record.owner,
        kind="promotion",
        status="completed",
        prompt=turn.prompt,
        parameters=turn.parameters,
        options=turn.options,
        parents=(image.id,),
        text=turn.text,
        model=turn.model,
        provider=turn.provider,
        provider_state=turn.provider_state,
        response_id=turn.response_id if alone else None,
        item_ids=turn.item_ids if alone else (),
        origin=ImportOrigin(image_id=image.id),
        started=new.at,
    )
