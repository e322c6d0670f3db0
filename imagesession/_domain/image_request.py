"""
One request among many, for `Studio.map` and batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen
class ImageRequest:
    """
    A request for one image among many, for `Studio.map` and `BatchesResource.create`.

    Attributes:
        prompt: What to make, or what to change.
        image: The image to edit, as for `Studio.edit`; None to make a new one.
        references: Reference images, as for `Studio.generate`.
        mask: The area that may change, as for `Studio.edit`.
        preset: The name of a preset, whose template the prompt is put into.
        params: Values of the preset's parameters, such as `{"angle": "top"}`.
        options: Options for this request only, by name; see `GenerateOptions`.
    """

    prompt: str
    image: Any = attrs.field(default=None, kw_only=True)
    references: Any = attrs.field(default=(), kw_only=True)
    mask: Any = attrs.field(default=None, kw_only=True)
    preset: str | None = attrs.field(default=None, kw_only=True)
    params: Mapping[str, str] = attrs.field(factory=dict[str, str], kw_only=True)
    options: Mapping[str, Any] = attrs.field(factory=dict[str, Any], kw_only=True)


ImageRequest.__module__ = "imagesession"
