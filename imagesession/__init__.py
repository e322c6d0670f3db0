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
    from imagesession import errors, testing
    from imagesession._images import AsyncSavedImage, SavedImage
    from imagesession._model.options import Options
    from imagesession._model.partials import PartialImage
    from imagesession._model.tree import Tree
    from imagesession._model.turns import Turn
    from imagesession._session import AsyncImageSession, ImageSession
    from imagesession._studio import AsyncStudio, Studio

__all__ = [
    "AsyncImageSession",
    "AsyncSavedImage",
    "AsyncStudio",
    "ImageSession",
    "Options",
    "PartialImage",
    "SavedImage",
    "Studio",
    "Tree",
    "Turn",
    "__version__",
    "errors",
    "testing",
]

# Loaded when they are asked for first, so that importing the package costs next to nothing.
_ROOMS = {
    "AsyncImageSession": "_session",
    "AsyncSavedImage": "_images",
    "AsyncStudio": "_studio",
    "ImageSession": "_session",
    "Options": "_model.options",
    "PartialImage": "_model.partials",
    "SavedImage": "_images",
    "Studio": "_studio",
    "Tree": "_model.tree",
    "Turn": "_model.turns",
}


def __getattr__(name: str) -> object:
    if name in {"errors", "testing"}:
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
