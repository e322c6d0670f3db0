"""
Any picture becomes the start of a session, or part of the library.
"""

from __future__ import annotations

from collections.abc import Mapping

from imagesession._domain.options import GenerateOptions
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import ImageRecord, ImportOrigin, Turn
from imagesession.errors import InvalidRequestError

from . import sessions
from .effects import NewId, StoreCall, Workflow
from .http import ReceivedImage
from .request import StudioConfig
from .store import IdAndTime, ImportedImage, Source
from .validate import validate_label

EXTERNAL_PROVIDER = "elsewhere"


def create_session_from_image(
    kept: tuple[Turn, int] | None,
    source: Source,
    description: str,
    *,
    name: str | None,
    choices: Mapping[str, object],
    config: StudioConfig,
) -> Workflow[SessionRecord]:
    """
    Start a session from a picture.

    Args:
        kept: The picture's turn and its place there, when it is one of the library.
        source: The picture, when it is not.
        description: What the session is about; left empty, what the picture was asked to be.
        name: The session's label.
        choices: What its turns ask for unless they say otherwise.
        config: What holds for everything that is asked.

    Raises:
        InvalidImageError: It is no picture.
        TooManySessionsError: As many sessions are active as are allowed.
    """
    validate_label("The description", description)
    imported = None if kept else (yield from _original(source))
    prompt = kept[0].prompt if kept else imported.prompt if imported else ""
    about = description if description.strip() else prompt
    settings = sessions.SessionSettings(name=name, options=choices)
    record = yield from sessions.create_session(about, settings, config)
    begun = yield from NewId(after=record.id)
    if kept is not None:
        turn, image = _promoted(record, begun, *kept), kept[0].images[kept[1]]
        yield from _commit(turn, (), (image,))
    elif imported is not None:
        turn = _import_turn(begun, imported, imported.prompt, record.id)
        yield from _commit(turn, (_received(imported),), ())
    return record


def import_image(source: Source, prompt: str | None) -> Workflow[Turn]:
    """
    Keep a picture from elsewhere in the library.

    Args:
        source: The picture.
        prompt: What it shows or was asked to be; None for what lies beside it.

    Raises:
        InvalidImageError: It is no picture.
    """
    if prompt is not None:
        validate_label("The prompt", prompt)
    imported = yield from _original(source)
    begun = yield from NewId()
    turn = _import_turn(begun, imported, imported.prompt if prompt is None else prompt, None)
    return (yield from _commit(turn, (_received(imported),), ()))


def find(wanted: str) -> Workflow[tuple[Turn, int]]:
    """
    Find a picture of the library by its id.
    """
    return (yield from StoreCall(lambda store: store.find_image(wanted)))


def _original(source: Source) -> Workflow[ImportedImage]:
    return (yield from StoreCall(lambda store: store.fetch_original(source)))


def _commit(
    turn: Turn, pictures: tuple[ReceivedImage, ...], copies: tuple[ImageRecord, ...]
) -> Workflow[Turn]:
    return (yield from StoreCall(lambda store: store.commit(turn, pictures, copies)))


def _promoted(record: SessionRecord, begun: IdAndTime, turn: Turn, position: int) -> Turn:
    """
    Plan the first turn of a session that starts from a picture of the library.

    A one-shot's provider remembers it and nothing else, so the session goes on from there. What
    it remembers of a picture of another session is that whole conversation, and of one among
    several pictures all of them: then the picture is shown instead.
    """
    image = turn.images[position]
    alone = turn.session is None and len(turn.images) == 1 and image.source == "reply"
    if not turn.images:
        raise InvalidRequestError(f"Turn {turn.id} has no picture.")
    return Turn(
        id=begun.id,
        session=record.id,
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
        started=begun.at,
    )


def _import_turn(
    begun: IdAndTime, imported: ImportedImage, prompt: str, session: str | None
) -> Turn:
    """
    Plan the turn of a picture that comes from elsewhere.
    """
    return Turn(
        id=begun.id,
        session=session,
        kind="import",
        status="completed",
        prompt=prompt,
        options=GenerateOptions(),
        model=imported.model,
        provider=EXTERNAL_PROVIDER,
        origin=ImportOrigin(file=imported.file),
        started=begun.at,
    )


def _received(imported: ImportedImage) -> ReceivedImage:
    return ReceivedImage(
        data=imported.data,
        facts=imported.facts,
        revised_prompt=imported.revised_prompt,
        source="copy",
    )
