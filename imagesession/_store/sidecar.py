"""
Sidecars: the metadata file beside each image, for people and other programs. It is a copy of the
record with the keys of older tools, and more.
"""

from __future__ import annotations

from typing import Any

from imagesession._domain.turn import Turn

from . import codec

SIDECAR_VERSION = 1
_FILE_FACTS = ("width", "height", "format", "bytes", "sha256")


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
        **{name: getattr(image, name) for name in _FILE_FACTS},
        "usage": record["usage"],
        "cost": record["cost"],
        "response_id": turn.response_id,
        "request_id": turn.request_id,
        "provider": turn.provider,
        "context": turn.context,
        "text": turn.text,
        "library_version": turn.version,
    }
