"""
Ask the provider whether an image carries its provenance signals.

Source: openai 3.57, `types/content_provenance_check.py`, and
https://developers.openai.com/api/docs/guides/content-provenance
"""

from __future__ import annotations

from imagesession._domain.image_header import MIME_TYPES, SUFFIXES
from imagesession._domain.provenance import Provenance, ProvenanceSignal
from imagesession._domain.turn import ImageRecord
from imagesession.errors import BadRequestError, InvalidImageError

from .coerce import Json, as_list, as_mapping, as_text
from .effects import NewId, StoreCall, Workflow
from .free_requests import read_object, send_free
from .http import FilePart, HttpRequest

_CHECKED = frozenset({"png", "jpeg", "webp", "gif"})
_NO_ENDPOINT = frozenset({404, 405, 501})
_TIMEOUT = 60.0


def verify(image: ImageRecord) -> Workflow[Provenance]:
    if image.format not in _CHECKED:
        raise InvalidImageError(
            f"Image {image.id} is an {image.format}; only PNG, JPEG, WebP and GIF are checked."
        )
    data = yield from StoreCall(lambda store: store.images.read_received(image))
    part = FilePart(
        field="file",
        name=f"{image.sha256[:16]}{SUFFIXES[image.format]}",
        mime=MIME_TYPES[image.format],
        data=data,
    )
    request = HttpRequest(
        method="POST", path="/content_provenance_checks", files=(part,), timeout=_TIMEOUT
    )
    reply = yield from send_free(request)
    if reply.status in _NO_ENDPOINT:
        raise BadRequestError(
            f"The provider offers no provenance checks here (HTTP {reply.status}). Ask it for "
            "access, or use its own server."
        )
    results = map(as_mapping, as_list(read_object(reply).get("results")))
    now = yield from NewId()
    return Provenance(signals=tuple(map(_read_signal, results)), checked=now.at)


def _read_signal(result: Json) -> ProvenanceSignal:
    return ProvenanceSignal(
        type=as_text(result.get("type")),
        detected=result.get("outcome") == "detected",
        model=as_text(result.get("model")) or None,
        issuer=as_text(result.get("issuer")) or None,
        validation=as_text(result.get("validation_state")) or None,
        generated_at=as_text(result.get("generated_at")) or None,
    )
