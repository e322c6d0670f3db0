"""
The structured outputs of tools that return no image, each with the keys that `openai-image-mcp`
returned for the same tool.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

import imagesession
from imagesession_mcp.results import shorten, uri_of


class Output(BaseModel):
    """
    The base of all outputs.
    """

    success: bool = True


class SessionOutput(Output):
    """
    A created session.
    """

    session_id: str
    session_name: str | None
    description: str
    model: str
    created_at: dt.datetime
    status: str
    warnings: list[str] = []


class StatusOutput(Output):
    """
    A session's status.
    """

    session_id: str
    session_name: str | None
    description: str
    active: bool
    state: str = Field(description="active, idle (can be continued) or closed")
    created_at: dt.datetime
    last_activity: dt.datetime
    model: str
    options: dict[str, Any]
    branch: str
    branches: list[str]
    head_image_id: str | None = Field(description="The image that the next prompt refines.")
    total_generations: int
    recent_images: list[str] = Field(description="Paths, the latest first.")
    conversation_summary: str
    total_conversation_turns: int
    turns: dict[str, int] = Field(description="Counts by status.")
    cost_usd: float = Field(description="As far as prices are known.")


class SessionRow(BaseModel):
    """
    A session in a list.
    """

    session_id: str
    session_name: str | None
    description: str
    model: str
    state: str
    created_at: dt.datetime
    last_activity: dt.datetime
    total_generations: int


class SessionsOutput(Output):
    """
    Sessions, the latest first.
    """

    sessions: list[SessionRow]
    total_active: int
    total_sessions: int


class ClosedOutput(Output):
    """
    A closed session.
    """

    status: str
    session_id: str
    final_image_count: int


class BranchHeadOutput(Output):
    """
    The head of a session's branch.
    """

    session_id: str
    branch: str = Field(description="Pass it to the next call to continue this branch.")
    head_image_id: str | None = Field(description="The image that the next prompt refines.")
    head_image_path: str | None
    head_uri: str | None


class PromotedOutput(Output):
    """
    A session that starts from an image.
    """

    session_id: str
    session_name: str | None
    session_description: str
    original_context: dict[str, Any]
    promoted_image: dict[str, Any]
    ready_for_refinement: bool = True
    next_steps: list[str]


class ImageRow(BaseModel):
    """
    An image in a list.
    """

    image_id: str
    image_path: str
    uri: str
    size: str
    format: str
    kind: str
    prompt: str
    session_id: str | None
    created_at: dt.datetime
    cost_usd: float | None


class ImagesOutput(Output):
    """
    A page of images, the latest first.
    """

    images: list[ImageRow]
    before: str | None = Field(description="Pass it to the next call for the next page.")


class EstimateOutput(Output):
    """
    The possible cost of a call.
    """

    low_usd: float
    high_usd: float | None = Field(description="Null if there is no bound.")
    grounds: list[str]


class CancelledOutput(Output):
    """
    The status of a generation after cancel_generation.
    """

    generation_id: str
    status: str = Field(description="cancelled, completed, failed or running")
    image_ids: list[str]
    message: str


class FindingRow(BaseModel):
    """
    A finding of an analysis.
    """

    issue: str
    where: str
    severity: str
    remedy: str


class AnalysisOutput(Output):
    """
    The findings in an image.
    """

    summary: str
    findings: list[FindingRow] = Field(description="The most severe first.")
    cost_usd: float | None


class GuideOutput(Output):
    """
    The guide to these tools.
    """

    version: str
    architecture: str
    guide_content: str
    last_updated: str
    total_tools: int
    key_features: list[str]
    quick_start: list[str]


class StatsOutput(Output):
    """
    Statistics of the server.
    """

    server_version: str
    api_type: str
    library: str
    active_sessions: int
    max_sessions: int
    total_sessions: int
    total_images_generated: int
    session_timeout_hours: float
    models_in_use: list[str]
    spent_today_usd: float
    spent_usd: float
    daily_budget_usd: float | None
    running_generations: list[str]


def session_output(
    status: imagesession.SessionStatus, warnings: Mapping[str, Any]
) -> SessionOutput:
    """
    Describe a created session.
    """
    return SessionOutput(
        session_id=status.session_id,
        session_name=status.session_name,
        description=status.description,
        model=status.model,
        created_at=status.created_at,
        status=status.state,
        **warnings,
    )


def status_output(status: imagesession.SessionStatus) -> StatusOutput:
    """
    Describe a session's state.
    """
    return StatusOutput(
        session_id=status.session_id,
        session_name=status.session_name,
        description=status.description,
        active=status.active,
        state=status.state,
        created_at=status.created_at,
        last_activity=status.last_activity,
        model=status.model,
        options=dict(status.options),
        branch=status.branch,
        branches=list(status.branches),
        head_image_id=status.head,
        total_generations=status.total_generations,
        recent_images=list(status.recent_images),
        conversation_summary=status.conversation_summary,
        total_conversation_turns=sum(status.turns.values()),
        turns=dict(status.turns),
        cost_usd=status.cost.known,
    )


def session_row(status: imagesession.SessionStatus) -> SessionRow:
    """
    Describe a session in a list.
    """
    return SessionRow(
        session_id=status.session_id,
        session_name=status.session_name,
        description=shorten(status.description),
        model=status.model,
        state=status.state,
        created_at=status.created_at,
        last_activity=status.last_activity,
        total_generations=status.total_generations,
    )


def branch_head_output(
    session: imagesession.AsyncImageSession, head: imagesession.AsyncSavedImage | None
) -> BranchHeadOutput:
    """
    Describe the head of a branch.
    """
    return BranchHeadOutput(
        session_id=session.id,
        branch=session.branch_name,
        head_image_id=None if head is None else head.id,
        head_image_path=None if head is None else str(head.path),
        head_uri=None if head is None else uri_of(head.id),
    )


def promoted_output(
    session: imagesession.AsyncImageSession, head: imagesession.AsyncSavedImage
) -> PromotedOutput:
    """
    Describe a session that starts from an image.
    """
    return PromotedOutput(
        session_id=session.id,
        session_name=session.name,
        session_description=session.description,
        original_context={
            "prompt": shorten(head.prompt),
            "revised_prompt": shorten(head.revised_prompt or ""),
            "model": head.model,
            "generation_params": dict(head.turn.options.changed()),
            "created_at": head.turn.started.isoformat(timespec="seconds"),
        },
        promoted_image={
            "path": str(head.path),
            "generation_id": head.record.call_id,
            "image_id": head.id,
            "uri": uri_of(head.id),
        },
        next_steps=[
            f"generate_image_in_session with session_id {session.id} refines the image.",
            "branch_session tries another direction without losing this one.",
            "get_session_status returns the session's status.",
        ],
    )


def image_row(image: imagesession.AsyncSavedImage) -> ImageRow:
    """
    Describe an image in a list.
    """
    return ImageRow(
        image_id=image.id,
        image_path=str(image.path),
        uri=uri_of(image.id),
        size="x".join(map(str, image.size)),
        format=image.format,
        kind=image.kind,
        prompt=shorten(image.prompt, 120),
        session_id=image.session_id,
        created_at=image.turn.started,
        cost_usd=None if image.cost is None else image.cost.total,
    )


def estimate_output(estimate: imagesession.CostEstimate) -> EstimateOutput:
    """
    Describe an estimate.
    """
    return EstimateOutput(
        low_usd=estimate.low, high_usd=estimate.high, grounds=list(estimate.assumptions)
    )


def analysis_output(analysis: imagesession.Analysis) -> AnalysisOutput:
    """
    Describe an analysis.
    """
    cost = analysis.turn.cost
    return AnalysisOutput(
        summary=analysis.summary,
        findings=[
            FindingRow(
                issue=finding.issue,
                where=finding.where,
                severity=finding.severity,
                remedy=finding.remedy,
            )
            for finding in analysis.findings
        ],
        cost_usd=None if cost is None else cost.total,
    )


def stats_output(
    stats: imagesession.LibraryStats, budget: float | None, running: list[str]
) -> StatsOutput:
    """
    Describe the server's statistics.
    """
    return StatsOutput(
        server_version=stats.version,
        api_type=stats.provider,
        library=stats.library,
        active_sessions=stats.active_sessions,
        max_sessions=stats.max_active_sessions,
        total_sessions=stats.total_sessions,
        total_images_generated=stats.total_images,
        session_timeout_hours=stats.session_timeout_hours,
        models_in_use=list(stats.models_in_use),
        spent_today_usd=stats.spent_today,
        spent_usd=stats.spent,
        daily_budget_usd=budget,
        running_generations=running,
    )


def tree_payload(tree: imagesession.Tree) -> Mapping[str, Any]:
    """
    Describe a session's turns.
    """
    return {
        "turns": [
            {
                "turn_id": turn.id,
                "parent": turn.parent,
                "branch": turn.branch,
                "status": turn.status,
                "prompt": shorten(turn.prompt),
                "images": [uri_of(image.id) for image in turn.images],
            }
            for turn in tree.turns.values()
        ]
    }
