"""
Progress events of a call.
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
The stage of a call. "preparing": reads input images; "sending": sends the request or its images;
"queued": the provider has not started; "backing_off": waits before a retry; "analyzing": the model
analyzes an image; "generating": the model makes an image; "partial_image": a partial image arrived;
"saving": writes to the disk; "completed"; "failed": the error is raised next.
"""


@attrs.frozen(kw_only=True)
class ProgressEvent:
    """
    The progress of a call, as passed to `on_progress=`. `str()` of it reads "generating, 12 s".

    Attributes:
        stage: "preparing", "sending", "queued", "backing_off", "analyzing", "generating",
            "partial_image", "saving", "completed" or "failed".
        elapsed: Seconds since the call began.
        partials: How many partial images have arrived.
        message: More details, such as why it waits or failed; often empty.
        turn_id: The id of its turn, once the intent is written; `studio.requests.cancel` takes it.
        position: The number of the image among those of the call, from 0.
        total: How many images the call makes.
        cost: US dollars that the image's requests have cost so far, as far as they are known.
    """

    stage: Stage
    elapsed: float
    partials: int = 0
    message: str = ""
    turn_id: str | None = None
    position: int = 0
    total: int = 1
    cost: float = 0.0

    def __str__(self) -> str:
        which = f"{self.position + 1} of {self.total}: " if self.total > 1 else ""
        number = f" {self.partials}" if self.stage == "partial_image" else ""
        more = f" ({self.message})" if self.message else ""
        return f"{which}{self.stage.replace('_', ' ')}{number}, {self.elapsed:.0f} s{more}"


ProgressCallback: TypeAlias = Callable[[ProgressEvent], object]
"""Called with every progress event of a call."""
OnProgress: TypeAlias = ProgressCallback | bool
"""The callback of a call, or True for a line that renews itself."""

ProgressEvent.__module__ = "imagesession"
