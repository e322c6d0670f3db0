"""
Sidecars: the metadata file beside each image, for people and other programs. It is a copy of the
record with the keys of older tools, and more; a record that is lost can be made from it again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from imagesession._domain.turn import Turn, is_id
from imagesession.errors import CorruptRecordError

from . import codec

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
_IMAGE = ("format", "width", "height", "bytes", "sha256", "revised_prompt", "source")
# Only an image that was made has a sidecar.
_DEFAULTS = {"text": "", "label": "", "masked": False, "status": "completed", "context": "fresh"}


def to_dict(turn: Turn, position: int, session_name: str | None) -> dict[str, Any]:
    """
    Return all recorded metadata of an image.

    Args:
        turn: The image's turn.
        position: Its position among the turn's images, from 0.
        session_name: Its session's name.
    """
    image = turn.images[position]
    record = codec.turn_to_dict(turn)
    return {
        "format_version": SIDECAR_VERSION,
        "timestamp": record["finished"],
        "image_path": image.file,
        "session_id": turn.session,
        "session_name": session_name,
        "generation_call_id": image.call_id,
        "original_prompt": turn.prompt,
        "revised_prompt": image.revised_prompt,
        "model": turn.model,
        "generation_params": {
            "quality": turn.options.quality,
            "size": turn.options.size,
            "background": turn.options.background,
            **turn.options.changed(),
        },
        "created_at": record["started"],
        "conversation_length": turn.depth,
        "status": turn.status,
        "label": turn.label,
        "parent": turn.parent,
        "image_id": image.id,
        "turn_id": turn.id,
        "position": position,
        "kind": turn.kind,
        "branch": turn.branch,
        "parents": list(turn.parents),
        "references": record["references"],
        "masked": turn.masked,
        "mask_coverage": turn.mask_coverage,
        "source": image.source,
        "origin": record["origin"],
        "parameters": record["parameters"],
        "width": image.width,
        "height": image.height,
        "format": image.format,
        "bytes": image.bytes,
        "sha256": image.sha256,
        "usage": record["usage"],
        "cost": record["cost"],
        "response_id": turn.response_id,
        "request_id": turn.request_id,
        "item_ids": list(turn.item_ids),
        "provider": turn.provider,
        "provider_state": turn.provider_state,
        "conversation": turn.conversation,
        "batch": turn.batch,
        "within": turn.within,
        "idempotency_key": turn.idempotency_key,
        "reserved": turn.reserved,
        "context": turn.context,
        "context_turns": turn.context_turns,
        "text": turn.text,
        "failure": record["failure"],
        "library_version": turn.version,
    }


def to_turn(sidecars: Collection[Mapping[str, Any]], where: str) -> Turn:
    """
    Make the record of a turn from the sidecars of its images.

    Sidecars of older releases lack the turn's parent; there, the turn starts anew.

    Args:
        sidecars: The sidecars, in the order of the images.
        where: The path of the first one, for errors.

    Raises:
        CorruptRecordError: They do not hold what a record needs.
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
    renamed = {name: sidecar.get(other) for name, other in _IMAGE_RENAMED.items()}
    return {**{name: sidecar.get(name) for name in _IMAGE}, **renamed}
