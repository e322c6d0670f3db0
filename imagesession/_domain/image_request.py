"""
One of many things to do: what `Studio.map` takes beside plain prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen
class ImageRequest:
    """
    One picture to make among many.

    Attributes:
        prompt: What to make, or what to change.
        image: A picture to edit; None to make a new one. What `Studio.edit` takes.
        references: Pictures to go by. What `Studio.generate` takes.
        mask: Marks what may change.
        preset: The name of a preset, whose frame the prompt goes into.
        params: Values of the preset's parameters, such as `{"angle": "top"}`.
        options: Options for this one alone, by name; see `GenerateOptions`.
    """

    prompt: str
    image: Any = attrs.field(default=None, kw_only=True)
    references: Any = attrs.field(default=(), kw_only=True)
    mask: Any = attrs.field(default=None, kw_only=True)
    preset: str | None = attrs.field(default=None, kw_only=True)
    params: Mapping[str, str] = attrs.field(factory=dict[str, str], kw_only=True)
    options: Mapping[str, Any] = attrs.field(factory=dict[str, Any], kw_only=True)


ImageRequest.__module__ = "imagesession"
