"""
Import images into the library, and find those that it has.
"""

from __future__ import annotations

from imagesession._domain.options import GenerateOptions
from imagesession._domain.turn import ImportOrigin, Turn

from .effects import NewId, PixelCall, StoreCall, Workflow
from .http import ReceivedImage
from .pixels import ImportedImage, Source
from .store import IdAndTime
from .validate import validate_label

EXTERNAL_PROVIDER = "elsewhere"


def import_image(source: Source, prompt: str | None) -> Workflow[Turn]:
    if prompt is not None:
        validate_label("The prompt", prompt)
    imported = yield from PixelCall(lambda pixels: pixels.load_original(source))
    words = imported.prompt if prompt is None else prompt
    return (yield from commit_import((yield from NewId()), imported, words))


def find_image(image_id: str) -> Workflow[tuple[Turn, int]]:
    return (yield from StoreCall(lambda store: store.images.find(image_id)))


def commit_import(
    new: IdAndTime, imported: ImportedImage, prompt: str, session: str | None = None
) -> Workflow[Turn]:
    turn = Turn(
        id=new.id,
        session=session,
        owner=new.owner,
        kind="import",
        status="completed",
        prompt=prompt,
        options=GenerateOptions(),
        model=imported.model,
        provider=EXTERNAL_PROVIDER,
        origin=ImportOrigin(file=imported.file),
        started=new.at,
    )
    received = ReceivedImage(
        data=imported.data,
        facts=imported.facts,
        revised_prompt=imported.revised_prompt,
        source="copy",
    )
    return (yield from StoreCall(lambda store: store.turns.commit(turn, (received,))))
