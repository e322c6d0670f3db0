"""
How far a call is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import attrs

Stage: TypeAlias = Literal[
    "preparing",
    "sending",
    "queued",
    "backing_off",
    "analyzing",
    "generating",
    "partial_image",
    "saving",
    "completed",
    "failed",
]
"""
The stages of a call: reading inputs; sending the request or its images; queued by the provider;
waiting before a retry; analysing an image; generating one; a partial image has come; writing to
disk; completed; failed, with the error raised next.
"""


@attrs.frozen(kw_only=True)
class ProgressEvent:
    """
    How far a call is, as `on_progress=` is told. Its text is fit to be shown: "generating, 12 s".

    Attributes:
        stage: "preparing", "sending", "queued", "backing_off", "analyzing", "generating",
            "partial_image", "saving", "completed" or "failed".
        elapsed: Seconds since it began.
        partials: How many unfinished pictures have come.
        message: What else there is to say, such as why it waits or failed; often empty.
        turn_id: The turn that it will be, once it is written down; `studio.requests.cancel` takes
            it.
        position: Which of several pictures it is about, from 0.
        total: How many pictures the call makes.
    """

    stage: Stage
    elapsed: float
    partials: int = 0
    message: str = ""
    turn_id: str | None = None
    position: int = 0
    total: int = 1

    def __str__(self) -> str:
        which = f"{self.position + 1} of {self.total}: " if self.total > 1 else ""
        number = f" {self.partials}" if self.stage == "partial_image" else ""
        more = f" ({self.message})" if self.message else ""
        return f"{which}{self.stage.replace('_', ' ')}{number}, {self.elapsed:.0f} s{more}"


OnProgress: TypeAlias = Callable[[ProgressEvent], object]
"""What is called as a call gets on."""

ProgressEvent.__module__ = "imagesession"
