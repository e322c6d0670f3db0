"""
Make images in conversation with OpenAI's models.

    from imagesession import Studio

    studio = Studio()                      # uses OPENAI_API_KEY; Studio.offline() needs none
    session = studio.session("Logo for a tea shop")
    first = session.generate("a minimalist teapot logo")
    second = session.generate("more geometric, with blue accents")
    second.show()

Start with `Studio` or `AsyncStudio`; `imagesession.errors` lists all exceptions.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from imagesession._version import __version__

if TYPE_CHECKING:
    from imagesession import errors, presets, schema, testing, types
    from imagesession._api.async_session import AsyncImageSession, AsyncSavedImage
    from imagesession._api.async_studio import AsyncStudio
    from imagesession._api.batch import (
        AsyncBatchesResource,
        AsyncImageBatch,
        BatchesResource,
        ImageBatch,
    )
    from imagesession._api.guide import guide
    from imagesession._api.models import AsyncModelsResource, ModelsResource
    from imagesession._api.pending import AsyncRequestsResource, RequestsResource
    from imagesession._api.queue import AsyncImageQueue, ImageQueue
    from imagesession._api.resources import (
        AsyncImagesResource,
        AsyncSessionsResource,
        ImagesResource,
        SessionsResource,
    )
    from imagesession._api.results import Results
    from imagesession._api.session import ImageSession, SavedImage
    from imagesession._api.studio import Studio
    from imagesession._api.transfer import transfer
    from imagesession._display.live_display import show
    from imagesession._domain.analysis import Analysis, Finding, Improvement
    from imagesession._domain.batch import BatchStatus
    from imagesession._domain.budget import Budget
    from imagesession._domain.cost import Cost
    from imagesession._domain.estimate import CostEstimate
    from imagesession._domain.health import HealthCheck, HealthReport
    from imagesession._domain.image_request import ImageRequest
    from imagesession._domain.model_catalog import ModelInfo
    from imagesession._domain.options import GenerateOptions
    from imagesession._domain.partial_image import PartialImage
    from imagesession._domain.previews import Preview
    from imagesession._domain.progress import ProgressEvent
    from imagesession._domain.provenance import Provenance, ProvenanceSignal
    from imagesession._domain.removal import ErasureReport
    from imagesession._domain.reports import (
        CostGroup,
        CostReport,
        LibraryStats,
        PendingRequest,
        QueueStatus,
        RecoveryReport,
        SessionStatus,
        TransferReport,
    )
    from imagesession._domain.tree import Tree
    from imagesession._domain.turn import Turn
    from imagesession._imaging.allowed_folders import AllowedFolders
    from imagesession._imaging.mask import Mask

__all__ = [
    "AllowedFolders",
    "Analysis",
    "AsyncBatchesResource",
    "AsyncImageBatch",
    "AsyncImageQueue",
    "AsyncImageSession",
    "AsyncImagesResource",
    "AsyncModelsResource",
    "AsyncRequestsResource",
    "AsyncSavedImage",
    "AsyncSessionsResource",
    "AsyncStudio",
    "BatchStatus",
    "BatchesResource",
    "Budget",
    "Cost",
    "CostEstimate",
    "CostGroup",
    "CostReport",
    "ErasureReport",
    "Finding",
    "GenerateOptions",
    "HealthCheck",
    "HealthReport",
    "ImageBatch",
    "ImageQueue",
    "ImageRequest",
    "ImageSession",
    "ImagesResource",
    "Improvement",
    "LibraryStats",
    "Mask",
    "ModelInfo",
    "ModelsResource",
    "PartialImage",
    "PendingRequest",
    "Preview",
    "ProgressEvent",
    "Provenance",
    "ProvenanceSignal",
    "QueueStatus",
    "RecoveryReport",
    "RequestsResource",
    "Results",
    "SavedImage",
    "SessionStatus",
    "SessionsResource",
    "Studio",
    "TransferReport",
    "Tree",
    "Turn",
    "__version__",
    "errors",
    "guide",
    "presets",
    "schema",
    "show",
    "testing",
    "transfer",
    "types",
]

# Loaded on first use, so that importing the package costs next to nothing.
_MODULES = {
    "AllowedFolders": "_imaging.allowed_folders",
    "Analysis": "_domain.analysis",
    "AsyncBatchesResource": "_api.batch",
    "AsyncImageBatch": "_api.batch",
    "AsyncImageQueue": "_api.queue",
    "AsyncImageSession": "_api.async_session",
    "AsyncImagesResource": "_api.resources",
    "AsyncModelsResource": "_api.models",
    "AsyncRequestsResource": "_api.pending",
    "AsyncSavedImage": "_api.async_session",
    "AsyncSessionsResource": "_api.resources",
    "AsyncStudio": "_api.async_studio",
    "BatchStatus": "_domain.batch",
    "BatchesResource": "_api.batch",
    "Budget": "_domain.budget",
    "Cost": "_domain.cost",
    "CostEstimate": "_domain.estimate",
    "CostGroup": "_domain.reports",
    "CostReport": "_domain.reports",
    "ErasureReport": "_domain.removal",
    "Finding": "_domain.analysis",
    "GenerateOptions": "_domain.options",
    "HealthCheck": "_domain.health",
    "HealthReport": "_domain.health",
    "ImageBatch": "_api.batch",
    "ImageQueue": "_api.queue",
    "ImageRequest": "_domain.image_request",
    "ImageSession": "_api.session",
    "ImagesResource": "_api.resources",
    "Improvement": "_domain.analysis",
    "LibraryStats": "_domain.reports",
    "Mask": "_imaging.mask",
    "ModelInfo": "_domain.model_catalog",
    "ModelsResource": "_api.models",
    "PartialImage": "_domain.partial_image",
    "PendingRequest": "_domain.reports",
    "Preview": "_domain.previews",
    "ProgressEvent": "_domain.progress",
    "Provenance": "_domain.provenance",
    "ProvenanceSignal": "_domain.provenance",
    "QueueStatus": "_domain.reports",
    "RecoveryReport": "_domain.reports",
    "RequestsResource": "_api.pending",
    "Results": "_api.results",
    "SavedImage": "_api.session",
    "SessionStatus": "_domain.reports",
    "SessionsResource": "_api.resources",
    "Studio": "_api.studio",
    "TransferReport": "_domain.reports",
    "Tree": "_domain.tree",
    "Turn": "_domain.turn",
    "__version__": "_version",
    "guide": "_api.guide",
    "show": "_display.live_display",
    "transfer": "_api.transfer",
}


def __getattr__(name: str) -> object:
    if name in {"errors", "presets", "schema", "testing", "types"}:
        return importlib.import_module(f"{__name__}.{name}")
    try:
        module = _MODULES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value: object = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
