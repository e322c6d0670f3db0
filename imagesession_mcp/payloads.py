"""
The payloads of tools that return no image, with the keys that `openai-image-mcp` returned for the
same tool. They are text alone: an output schema would fill every agent's context, and a client
that got the same payload a second time, as structured content, would show one of them at random.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import cast

import attrs

import imagesession
from imagesession_mcp.results import Payload, dollars, path_of, short_id, shorten, uri_of

_MAX_PROMPT = 80


def session_payload(status: imagesession.SessionStatus) -> Payload:
    """
    Describe a created session.
    """
    names = ("session_id", "session_name", "description", "model", "created_at")
    return {"success": True, **_select(status, *names), "status": status.state}


def status_payload(status: imagesession.SessionStatus) -> Payload:
    """
    Describe a session's state.
    """
    names = (field.name for field in attrs.fields(type(status)))
    payload = _select(status, *(name for name in names if name not in {"head", "cost"}))
    return {
        "success": True,
        **payload,
        "active": status.active,
        "head_image_id": status.head and short_id(status.head),
        "total_conversation_turns": sum(status.turns.values()),
        "cost_usd": round(status.cost.known, 5),
    }


def session_row(status: imagesession.SessionStatus) -> Payload:
    """
    Describe a session in a list.
    """
    names = ("session_id", "session_name", "state", "last_activity", "total_generations")
    row = _select(status, *names)
    return {**row, "description": shorten(status.description, _MAX_PROMPT)}


def branch_head_payload(
    session: imagesession.AsyncImageSession, head: imagesession.AsyncSavedImage | None
) -> Payload:
    """
    Describe the head of a branch.
    """
    return {
        "success": True,
        "session_id": session.id,
        "branch": session.branch_name,
        "head_image_id": None if head is None else short_id(head.id),
        "head_image_path": None if head is None else path_of(head),
    }


def promoted_payload(
    session: imagesession.AsyncImageSession, head: imagesession.AsyncSavedImage
) -> Payload:
    """
    Describe a session that starts from an image.
    """
    return {
        "success": True,
        "session_id": session.id,
        "session_name": session.name,
        "session_description": shorten(session.description),
        "original_context": {
            "prompt": shorten(head.prompt),
            "revised_prompt": shorten(head.revised_prompt or ""),
            "model": head.model,
            "generation_params": dict(head.turn.options.changed()),
            "created_at": _minute(head.turn.started),
        },
        "promoted_image": {
            "path": path_of(head),
            "generation_id": head.record.call_id,
            "image_id": short_id(head.id),
        },
        "ready_for_refinement": True,
        "next_steps": [
            "generate_image_in_session refines the image.",
            "navigate_session with action branch tries another direction.",
            "get_session_status returns the session's status.",
        ],
    }


def image_row(image: imagesession.AsyncSavedImage, *, detailed: bool = False) -> Payload:
    """
    Describe an image in a list.
    """
    row: Payload = {
        "image_id": short_id(image.id),
        "prompt": shorten(image.prompt, _MAX_PROMPT),
        "size": "x".join(map(str, image.size)),
    }
    if detailed:
        row |= {
            "image_path": path_of(image),
            "kind": image.kind,
            "session_id": image.session_id,
            "created_at": _minute(image.turn.started),
            "cost_usd": dollars(image.cost),
        }
    return row


def estimate_payload(estimate: imagesession.CostEstimate) -> Payload:
    """
    Describe an estimate.
    """
    return {
        "success": True,
        "low_usd": estimate.low,
        "high_usd": estimate.high,
        "grounds": list(estimate.assumptions),
    }


def analysis_payload(analysis: imagesession.Analysis) -> Payload:
    """
    Describe an analysis.
    """
    names = ("issue", "where", "severity", "remedy")
    return {
        "success": True,
        "summary": analysis.summary,
        "findings": [
            {name: getattr(finding, name) for name in names} for finding in analysis.findings
        ],
        "cost_usd": dollars(analysis.turn.cost),
    }


def stats_payload(stats: imagesession.LibraryStats) -> Payload:
    """
    Describe the server's statistics.
    """
    return {
        "success": True,
        "server_version": stats.version,
        "api_type": stats.provider,
        "library": stats.library,
        "active_sessions": stats.active_sessions,
        "max_sessions": stats.max_active_sessions,
        "total_sessions": stats.total_sessions,
        "total_images_generated": stats.total_images,
        "session_timeout_hours": stats.session_timeout_hours,
        "models_in_use": list(stats.models_in_use),
        "spent_today_usd": round(stats.spent_today, 5),
        "spent_usd": round(stats.spent, 5),
    }


def tree_payload(tree: imagesession.Tree) -> Payload:
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


def _select(facts: object, *names: str) -> Payload:
    """
    Return some of an object's fields, shortened.
    """
    values = {name: getattr(facts, name) for name in names}
    return {name: _shorten(value) for name, value in values.items()}


def _shorten(value: object) -> object:
    if isinstance(value, dt.datetime):
        return _minute(value)
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, object]", value))
    return shorten(value) if isinstance(value, str) else value


def _minute(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%MZ")
