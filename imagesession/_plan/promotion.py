"""
Any picture becomes the start of a session, or part of the library.
"""

from __future__ import annotations

from collections.abc import Mapping

from imagesession._model.options import Options
from imagesession._model.sessions import SessionRecord
from imagesession._model.turns import ImageRecord, Origin, Turn
from imagesession.errors import CallError

from . import sessions
from .checks import check_label
from .steps import Begin, Flow, OnDisk
from .store import Begun, Imported, Source
from .wire import Received
from .wishes import Terms

ELSEWHERE = "elsewhere"


def promote(
    kept: tuple[Turn, int] | None,
    source: Source,
    description: str,
    *,
    name: str | None,
    choices: Mapping[str, object],
    terms: Terms,
) -> Flow[SessionRecord]:
    """
    Start a session from a picture.

    Args:
        kept: The picture's turn and its place there, when it is one of the library.
        source: The picture, when it is not.
        description: What the session is about; left empty, what the picture was asked to be.
        name: The session's label.
        choices: What its turns ask for unless they say otherwise.
        terms: What holds for everything that is asked.

    Raises:
        PictureError: It is no picture.
        MaxSessionsReached: As many sessions are active as are allowed.
    """
    check_label("The description", description)
    imported = None if kept else (yield from _original(source))
    prompt = kept[0].prompt if kept else imported.prompt if imported else ""
    about = description if description.strip() else prompt
    settings = sessions.SessionSettings(name=name, options=choices)
    record = yield from sessions.start(about, settings, terms)
    begun = yield from Begin(after=record.id)
    if kept is not None:
        turn, image = _promoted(record, begun, *kept), kept[0].images[kept[1]]
        yield from _commit(turn, (), (image,))
    elif imported is not None:
        turn = _brought(begun, imported, imported.prompt, record.id)
        yield from _commit(turn, (_received(imported),), ())
    return record


def bring_in(source: Source, prompt: str | None) -> Flow[Turn]:
    """
    Keep a picture from elsewhere in the library.

    Args:
        source: The picture.
        prompt: What it shows or was asked to be; None for what lies beside it.

    Raises:
        PictureError: It is no picture.
    """
    if prompt is not None:
        check_label("The prompt", prompt)
    imported = yield from _original(source)
    begun = yield from Begin()
    turn = _brought(begun, imported, imported.prompt if prompt is None else prompt, None)
    return (yield from _commit(turn, (_received(imported),), ()))


def find(wanted: str) -> Flow[tuple[Turn, int]]:
    """
    Find a picture of the library by its id.
    """
    return (yield from OnDisk(lambda store: store.find_image(wanted)))


def _original(source: Source) -> Flow[Imported]:
    return (yield from OnDisk(lambda store: store.fetch_original(source)))


def _commit(
    turn: Turn, pictures: tuple[Received, ...], copies: tuple[ImageRecord, ...]
) -> Flow[Turn]:
    return (yield from OnDisk(lambda store: store.commit(turn, pictures, copies)))


def _promoted(record: SessionRecord, begun: Begun, turn: Turn, position: int) -> Turn:
    """
    Plan the first turn of a session that starts from a picture of the library.

    A one-shot's provider remembers it and nothing else, so the session goes on from there. What
    it remembers of a picture of another session is that whole conversation, and of one among
    several pictures all of them: then the picture is shown instead.
    """
    image = turn.images[position]
    alone = turn.session is None and len(turn.images) == 1 and image.source == "reply"
    if not turn.images:
        raise CallError(f"Turn {turn.id} has no picture.")
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
        origin=Origin(image_id=image.id),
        started=begun.at,
    )


def _brought(begun: Begun, imported: Imported, prompt: str, session: str | None) -> Turn:
    """
    Plan the turn of a picture that comes from elsewhere.
    """
    return Turn(
        id=begun.id,
        session=session,
        kind="import",
        status="completed",
        prompt=prompt,
        options=Options(),
        model=imported.model,
        provider=ELSEWHERE,
        origin=Origin(file=imported.file),
        started=begun.at,
    )


def _received(imported: Imported) -> Received:
    return Received(
        data=imported.data,
        facts=imported.facts,
        revised_prompt=imported.revised_prompt,
        source="copy",
    )
