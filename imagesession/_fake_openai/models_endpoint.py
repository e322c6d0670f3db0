"""
The provider's models: those of the library's catalogue that were available on its date.

The date is the catalogue's, so that a test which passes today still passes after a shutdown.
"""

import datetime as dt

from imagesession._domain.model_catalog import Kind, ModelInfo, load_catalogue
from imagesession._fake_openai.errors import RefusalError
from imagesession._fake_openai.http import FakeResponse, Json, json_response

_CATALOGUE = load_catalogue()
DEFAULT_IMAGE_MODEL = _CATALOGUE.image
# The Images API does not say which model writes its SVGs unless a request names one.
SVG_AUTHOR = _CATALOGUE.mainline
CREATED = int(dt.datetime.combine(_CATALOGUE.dated, dt.time(), dt.UTC).timestamp())
# Responses of these models have no reasoning item unless the request asks for reasoning.
_ANSWERS_AT_ONCE = ("gpt-4", "gpt-5.1", "gpt-5.2", "gpt-5.4")


def available_model(name: str, kind: Kind) -> ModelInfo | None:
    model = _CATALOGUE.find(name)
    if model is None or model.kind != kind or model.is_retired(_CATALOGUE.dated):
        return None
    return model


def all_models() -> dict[str, ModelInfo]:
    kinds: tuple[Kind, Kind] = ("mainline", "image")
    alive = [model for kind in kinds for model in _CATALOGUE.available(kind, _CATALOGUE.dated)]
    return {name: model for model in alive for name in (model.id, *model.snapshots)}


def reply_name(model: ModelInfo) -> str:
    return model.snapshots[0] if model.snapshots else model.id


def reasons(model: ModelInfo) -> bool:
    return not model.id.startswith(_ANSWERS_AT_ONCE)


def list_models(names: list[str]) -> FakeResponse:
    entries: dict[str, Json] = {
        name: {
            "id": name,
            "object": "model",
            "created": CREATED,
            "owned_by": "system",
            "shutdown_date": model.shutdown.isoformat() if model.shutdown else None,
        }
        for name, model in all_models().items()
    }
    if not names:
        return json_response({"object": "list", "data": list(entries.values())})
    entry = entries.get("/".join(names))
    if entry is None:
        raise RefusalError("no_listed_model", name="/".join(names))
    return json_response(entry)
