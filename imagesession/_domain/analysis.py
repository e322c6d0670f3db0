"""
The findings of an image's analysis, and the edit that follows from them.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

import attrs

from .readable import readable
from .turn import Turn

Severity = Literal["low", "medium", "high"]
Image = TypeVar("Image")


@readable
@attrs.frozen(kw_only=True)
class Finding:
    """
    One defect of an image.

    Attributes:
        issue: What is wrong.
        where: Where in the image.
        severity: How much it matters: "low", "medium" or "high".
        remedy: What to do about it, worded as a prompt.
    """

    issue: str
    where: str
    severity: Severity
    remedy: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.issue} ({self.where}). {self.remedy}"


@readable
@attrs.frozen(kw_only=True)
class Analysis:
    """
    A model's analysis of an image.

    Attributes:
        summary: The result in a sentence or two.
        findings: The defects, the most severe first.
        turn: The turn of the analysis, with its usage and cost.
    """

    summary: str
    findings: tuple[Finding, ...]
    turn: Turn = attrs.field(repr=False)

    def __str__(self) -> str:
        return "\n".join([self.summary, *(f"- {finding}" for finding in self.findings)])


def analysis_from_turn(turn: Turn) -> Analysis:
    parameters = turn.parameters
    findings = tuple(Finding(**finding) for finding in parameters.get("findings", ()))
    return Analysis(summary=parameters.get("summary", ""), findings=findings, turn=turn)


@readable
@attrs.frozen(kw_only=True)
class Improvement(Generic[Image]):
    """
    The analysis of an image, and the image that an edit made from it.

    Attributes:
        analysis: The analysis of the original image.
        image: The image of the edit that was planned from the analysis.
    """

    analysis: Analysis
    image: Image

    def __str__(self) -> str:
        return f"{self.analysis}\n{self.image!r}"

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        show: Any = getattr(self.image, "_repr_mimebundle_", None)
        empty: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        data, metadata = show() if show else empty
        return {**data, "text/plain": str(self)}, metadata


for _public in (Finding, Analysis, Improvement):
    _public.__module__ = "imagesession"
