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
    from imagesession._batches import AsyncImageBatch, ImageBatch
    from imagesession._guide import guide
    from imagesession._images import AsyncSavedImage, SavedImage
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
    from imagesession._session import AsyncImageSession, ImageSession
    from imagesession._show.painting import show
    from imagesession._studio import AsyncStudio, Studio

__all__ = [
    "Analysis",
    "AsyncImageBatch",
    "AsyncImageSession",
    "AsyncSavedImage",
    "AsyncStudio",
    "BatchStatus",
    "Budget",
    "Check",
    "Checkup",
    "Cost",
    "Estimate",
    "Finding",
    "ImageBatch",
    "ImageSession",
    "Improvement",
    "Job",
    "Mask",
    "Model",
    "Options",
    "PartialImage",
    "Pending",
    "Preview",
    "Progress",
    "Recovery",
    "Results",
    "SavedImage",
    "SessionStatus",
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
    "AsyncImageBatch": "_batches",
    "AsyncImageSession": "_session",
    "AsyncSavedImage": "_images",
    "AsyncStudio": "_studio",
    "BatchStatus": "_model.batches",
    "Budget": "_model.budgets",
    "Check": "_model.checkup",
    "Checkup": "_model.checkup",
    "Cost": "_model.costs",
    "Estimate": "_model.estimates",
    "Finding": "_model.analysis",
    "ImageBatch": "_batches",
    "ImageSession": "_session",
    "Improvement": "_model.analysis",
    "Job": "_model.jobs",
    "Mask": "_pixels.masks",
    "Model": "_model.catalogue",
    "Options": "_model.options",
    "PartialImage": "_model.partials",
    "Pending": "_model.reports",
    "Preview": "_model.previews",
    "Progress": "_model.progress",
    "Recovery": "_model.reports",
    "Results": "_model.results",
    "SavedImage": "_images",
    "SessionStatus": "_model.reports",
    "Spending": "_model.reports",
    "Spent": "_model.reports",
    "Studio": "_studio",
    "StudioStats": "_model.reports",
    "Tree": "_model.tree",
    "Turn": "_model.turns",
    "guide": "_guide",
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
