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
    "waiting",
    "looking",
    "drawing",
    "partial",
    "saving",
    "done",
    "failed",
]
"""
What a call is at: reading what goes along; sending the request or pictures for it; waiting until
the provider takes it up; having a picture looked at; having one drawn; an unfinished picture came;
writing to the disk; done; failed, whose error is raised next.
"""


@attrs.frozen(kw_only=True)
class Progress:
    """
    How far a call is, as `on_progress=` is told. Its text is fit to be shown: "drawing, 12 s".

    Attributes:
        stage: What it is at: "preparing", "sending", "waiting", "looking", "drawing", "partial",
            "saving", "done" or "failed".
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
        number = f" {self.partials}" if self.stage == "partial" else ""
        more = f" ({self.message})" if self.message else ""
        return f"{which}{self.stage}{number}, {self.elapsed:.0f} s{more}"


OnProgress: TypeAlias = Callable[[Progress], object]
"""What is called as a call gets on."""

Progress.__module__ = "imagesession"
