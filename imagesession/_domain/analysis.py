"""
What was found in a picture that was looked at, and what became of it.
"""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

import attrs

from .turn import Turn

Severity = Literal["low", "medium", "high"]
Image = TypeVar("Image")


@attrs.frozen(kw_only=True)
class Finding:
    """
    One thing that could be better in a picture.

    Attributes:
        issue: What it is.
        where: Where in the picture.
        severity: How much it matters.
        remedy: What to do about it, as one would ask for it.
    """

    issue: str
    where: str
    severity: Severity
    remedy: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.issue} ({self.where}). {self.remedy}"


@attrs.frozen(kw_only=True)
class Analysis:
    """
    What a model that looked at a picture says of it.

    Attributes:
        summary: In a sentence or two.
        findings: What could be better, the most severe first.
        turn: The turn that asked, with its usage and cost.
    """

    summary: str
    findings: tuple[Finding, ...]
    turn: Turn = attrs.field(repr=False)

    def __str__(self) -> str:
        return "\n".join([self.summary, *(f"- {finding}" for finding in self.findings)])


def analysis_from_turn(turn: Turn) -> Analysis:
    """
    Tell what was found in a picture from the turn that mended it.
    """
    known = turn.parameters
    findings = tuple(Finding(**facts) for facts in known.get("findings", ()))
    return Analysis(summary=known.get("summary", ""), findings=findings, turn=turn)


@attrs.frozen(kw_only=True)
class Improvement(Generic[Image]):
    """
    A picture that was looked at and then mended.

    Attributes:
        analysis: What was found before.
        image: What the edit that was planned from it brought.
    """

    analysis: Analysis
    image: Image


for _public in (Finding, Analysis, Improvement):
    _public.__module__ = "imagesession"
