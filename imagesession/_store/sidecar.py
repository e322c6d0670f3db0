"""
Sidecars: the metadata file beside each image, for people and other programs. It is a copy of the
record with the keys of older tools, and more; a record that is lost can be made from it again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, cast

import attrs

from imagesession._domain.turn import ImageRecord, Turn, is_id
from imagesession._version import __version__
from imagesession.errors import CorruptRecordError

from . import codec

if TYPE_CHECKING:
    from imagesession._engine.http import ReceivedImage
    from imagesession._imaging.embedding import Description

    from .ports import Blobs

SIDECAR_VERSION = 1
# Members of a record that have another name here, by their names there.
_RENAMED = {
    "id": "turn_id",
    "session": "session_id",
    "depth": "conversation_length",
    "prompt": "original_prompt",
    "options": "generation_params",
    "started": "created_at",
    "finished": "timestamp",
    "version": "library_version",
}
_IMAGE_RENAMED = {"id": "image_id", "file": "image_path", "call_id": "generation_call_id"}
_LEFT_OUT = {*_RENAMED, "images", "record", "format"}
# A session is renamed, an image moved, another of its turn erased; another release has its version.
_CHANGING = {
    "session_name",
    "image_path",
    "position",
    "erased_images",
    "format_version",
    "library_version",
}
# Members that say something only if the turn has an owner, or images of it were erased.
_RARE = {"owner", "deleted", "erased_images"}
# Only an image that was made has a sidecar.
_DEFAULTS = {"text": "", "label": "", "masked": False, "status": "completed", "context": "fresh"}


def to_dict(turn: Turn, position: int, session_name: str | None) -> dict[str, Any]:
    record = codec.turn_to_dict(turn)
    return {
        "format_version": SIDECAR_VERSION,
        **{other: record[name] for name, other in _RENAMED.items()},
        **{
            name: member
            for name, member in record.items()
            if name not in _LEFT_OUT and (member or name not in _RARE)
        },
        **_image_to_dict(turn.images[position]),
        "session_name": session_name,
        "position": position,
        "generation_params": {
            "quality": turn.options.quality,
            "size": turn.options.size,
            "background": turn.options.background,
            **turn.options.changed(),
        },
    }


def contradicts(metadata: Mapping[str, Any], turn: Turn, position: int) -> bool:
    """
    Tell whether the metadata beside an image says other than its record, in what both have and
    never changes.
    """
    record = json.loads(json.dumps(to_dict(turn, position, None)))
    written = {name: value for name, value in metadata.items() if name not in _CHANGING}
    return metadata.get("turn_id") == turn.id and _differ(written, record)


def _differ(written: object, recorded: object) -> bool:
    """
    Tell whether two values of JSON differ in what both have: releases add members and rename them.
    """
    if isinstance(written, dict) and isinstance(recorded, dict):
        left, right = cast("dict[str, object]", written), cast("dict[str, object]", recorded)
        return any(_differ(left[name], right[name]) for name in left.keys() & right.keys())
    return written != recorded


def write_beside(blobs: Blobs, turn: Turn, session_name: str | None) -> None:
    """
    Put the metadata of a turn's images beside them; those of a promotion are another turn's.
    """
    for position, image in enumerate(turn.images if turn.kind != "promotion" else ()):
        blobs.annotate(image.file, to_dict(turn, position, session_name))


def _image_to_dict(image: ImageRecord) -> dict[str, Any]:
    record = attrs.asdict(image)
    return {_IMAGE_RENAMED.get(name, name): value for name, value in record.items()}


def to_description(turn: Turn, received: ReceivedImage) -> Description:
    from imagesession._imaging.embedding import Description  # noqa: PLC0415 - rarely needed

    options = turn.options
    own = {"revised_prompt": received.revised_prompt, "session": turn.session, "turn": turn.id}
    return Description(
        prompt=turn.prompt,
        model=options.image_model if options.image_model != "auto" else turn.provider,
        software=f"imagesession {__version__}",
        created=turn.started.isoformat(timespec="seconds"),
        parameters={
            "size": f"{received.facts.width}x{received.facts.height}",
            **options.changed(),
            **turn.parameters,
            **{name: value for name, value in own.items() if value},
        },
    )


def to_turn(sidecars: Collection[Mapping[str, Any]], where: str) -> Turn:
    """
    Make the record of a turn from the sidecars of its images.

    Sidecars of older releases lack the turn's parent; there, the turn starts anew.
    """
    first = next(iter(sidecars))
    record = {**_DEFAULTS, **first, "record": "turn", "format": codec.RECORD_VERSION}
    record |= {name: first.get(other) for name, other in _RENAMED.items()}
    record["images"] = [_image(sidecar) for sidecar in sidecars]
    turn = codec.to_turn(record, where)
    if not is_id(turn.id) or not (turn.session is None or is_id(turn.session)):
        raise CorruptRecordError(f"{where} names its turn or session by something that is no id.")
    return turn


def _image(sidecar: Mapping[str, Any]) -> dict[str, Any]:
    names = [str(field.name) for field in attrs.fields(ImageRecord)]
    return {name: sidecar.get(_IMAGE_RENAMED.get(name) or name) for name in names}
