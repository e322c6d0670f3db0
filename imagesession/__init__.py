"""
Make images in conversation with OpenAI's models.

    from imagesession import Studio

    studio = Studio()                      # uses OPENAI_API_KEY; Studio.offline() needs none
    session = studio.session("Logo for a tea shop")
    first = session.generate("a minimalist teapot logo")
    second = session.generate("more geometric, with blue accents")
    second.open().show()

Start with `Studio` or `AsyncStudio`; `imagesession.errors` lists all that can go wrong.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from imagesession._version import __version__

if TYPE_CHECKING:
    from imagesession import errors, presets, testing
    from imagesession._api.async_session import AsyncImageSession, AsyncSavedImage
    from imagesession._api.async_studio import AsyncStudio
    from imagesession._api.batch import (
        AsyncBatchesResource,
        AsyncImageBatch,
        BatchesResource,
        ImageBatch,
    )
    from imagesession._api.guide import guide
    from imagesession._api.resources import (
        AsyncImagesResource,
        AsyncModelsResource,
        AsyncRequestsResource,
        AsyncSessionsResource,
        ImagesResource,
        ModelsResource,
        RequestsResource,
        SessionsResource,
    )
    from imagesession._api.session import ImageSession, SavedImage
    from imagesession._api.studio import Studio
    from imagesession._model.analysis import Analysis, Finding, Improvement
    from imagesession._model.batches import BatchStatus
    from imagesession._model.budgets import Budget
    from imagesession._model.catalogue import Model
    from imagesession._model.checkup import Check, Checkup
    from imagesession._model.costs import Cost
    from imagesession._model.estimates import Estimate
    from imagesession._model.jobs import Job
    from imagesession._model.options import Options
    from imagesession._model.partials import PartialImage
    from imagesession._model.previews import Preview
    from imagesession._model.progress import Progress
    from imagesession._model.reports import (
        Pending,
        Recovery,
        SessionStatus,
        Spending,
        Spent,
        StudioStats,
    )
    from imagesession._model.results import Results
    from imagesession._model.tree import Tree
    from imagesession._model.turns import Turn
    from imagesession._pixels.masks import Mask
    from imagesession._show.painting import show

__all__ = [
    "Analysis",
    "AsyncBatchesResource",
    "AsyncImageBatch",
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
    "Check",
    "Checkup",
    "Cost",
    "Estimate",
    "Finding",
    "ImageBatch",
    "ImageSession",
    "ImagesResource",
    "Improvement",
    "Job",
    "Mask",
    "Model",
    "ModelsResource",
    "Options",
    "PartialImage",
    "Pending",
    "Preview",
    "Progress",
    "Recovery",
    "RequestsResource",
    "Results",
    "SavedImage",
    "SessionStatus",
    "SessionsResource",
    "Spending",
    "Spent",
    "Studio",
    "StudioStats",
    "Tree",
    "Turn",
    "__version__",
    "errors",
    "guide",
    "presets",
    "show",
    "testing",
]

# Loaded when they are asked for first, so that importing the package costs next to nothing.
_ROOMS = {
    "Analysis": "_model.analysis",
    "AsyncBatchesResource": "_api.batch",
    "AsyncImageBatch": "_api.batch",
    "AsyncImageSession": "_api.async_session",
    "AsyncImagesResource": "_api.resources",
    "AsyncModelsResource": "_api.resources",
    "AsyncRequestsResource": "_api.resources",
    "AsyncSavedImage": "_api.async_session",
    "AsyncSessionsResource": "_api.resources",
    "AsyncStudio": "_api.async_studio",
    "BatchStatus": "_model.batches",
    "BatchesResource": "_api.batch",
    "Budget": "_model.budgets",
    "Check": "_model.checkup",
    "Checkup": "_model.checkup",
    "Cost": "_model.costs",
    "Estimate": "_model.estimates",
    "Finding": "_model.analysis",
    "ImageBatch": "_api.batch",
    "ImageSession": "_api.session",
    "ImagesResource": "_api.resources",
    "Improvement": "_model.analysis",
    "Job": "_model.jobs",
    "Mask": "_pixels.masks",
    "Model": "_model.catalogue",
    "ModelsResource": "_api.resources",
    "Options": "_model.options",
    "PartialImage": "_model.partials",
    "Pending": "_model.reports",
    "Preview": "_model.previews",
    "Progress": "_model.progress",
    "Recovery": "_model.reports",
    "RequestsResource": "_api.resources",
    "Results": "_model.results",
    "SavedImage": "_api.session",
    "SessionStatus": "_model.reports",
    "SessionsResource": "_api.resources",
    "Spending": "_model.reports",
    "Spent": "_model.reports",
    "Studio": "_api.studio",
    "StudioStats": "_model.reports",
    "Tree": "_model.tree",
    "Turn": "_model.turns",
    "guide": "_api.guide",
    "show": "_show.painting",
}


def __getattr__(name: str) -> object:
    if name in {"errors", "presets", "testing"}:
        return importlib.import_module(f"{__name__}.{name}")
    try:
        room = _ROOMS[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value: object = getattr(importlib.import_module(f"{__name__}.{room}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
