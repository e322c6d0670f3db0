"""
The tools for sessions. None of them generates an image or costs anything.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from pydantic import Field

import imagesession
from imagesession_mcp import payloads
from imagesession_mcp.context import CallContext
from imagesession_mcp.errors import ToolCallError
from imagesession_mcp.payloads import Payload
from imagesession_mcp.tools import params
from imagesession_mcp.tools.params import build_options

_ACTIONS = ("undo", "redo", "checkout", "branch")


async def create_image_session(
    call: CallContext,
    *,
    description: str,
    model: str = "auto",
    session_name: params.OptionalText = None,
    quality: params.Quality = "auto",
    size: str = "auto",
    background: params.Background = "auto",
    resume: bool = False,
    reference_images: params.References = None,
    options: params.Options = None,
) -> Payload:
    """
    Start a session, a conversation for several images, or one to be refined. Its options and
    references apply to every image. Costs nothing.
    """
    defaults = build_options(
        options, quality=quality, size=size, background=background, model=model
    )
    references = await call.resolve_images(reference_images, "reference_images")
    session = await call.studio.session(
        description, name=session_name, resume=resume, references=references, **defaults
    )
    status = await session.status()
    await call.warn_of_models(imagesession.GenerateOptions().updated(status.options))
    names = ("session_id", "session_name", "description", "model", "created_at")
    return {**payloads.select(status, *names), "status": status.state}


async def get_session_status(
    call: CallContext, *, session_id: str, branch: str = "main"
) -> Payload:
    """
    Get a session's images, branches, head (the image that the next prompt refines) and costs.
    Costs nothing.
    """
    session = await call.session(session_id, branch)
    status = payloads.status_payload(await session.status())
    return {**status, **payloads.untrusted(*await session.turns())}


async def list_active_sessions(
    call: CallContext,
    *,
    include_inactive: bool = False,
    limit: params.Limit = 20,
) -> Payload:
    """
    List sessions, the latest first. They persist across restarts, so look here before starting a
    new one for the same project. Costs nothing.
    """
    stats, sessions = await call.studio.stats(), await call.studio.sessions.list()
    statuses = await asyncio.gather(*(session.status() for session in sessions))
    selected = [status for status in statuses if status.active or include_inactive]
    return {
        "sessions": [payloads.session_row(status) for status in selected[:limit]],
        "total_active": stats.active_sessions,
        "total_sessions": stats.total_sessions,
    }


async def close_session(call: CallContext, *, session_id: str) -> Payload:
    """
    Close a finished session. Nothing is deleted, and generate_image_in_session continues it with
    reopen=true. Costs nothing.
    """
    session = await call.session(session_id)
    await session.close()
    status = await session.status()
    return {
        "status": status.state,
        "session_id": session.id,
        "final_image_count": status.total_generations,
    }


async def promote_image_to_session(
    call: CallContext,
    *,
    image_path: str,
    session_description: str = "",
    session_name: params.OptionalText = None,
    model: str = "auto",
    options: params.Options = None,
) -> Payload:
    """
    Start a session from an existing image, when a single image turned out to be worth refining.
    Costs nothing.
    """
    async with call.resolve_original(image_path, "image_path") as image:
        session = await call.studio.promote(
            image,
            session_description,
            name=session_name,
            **build_options(options, model=model),
        )
    head = await session.head()
    assert head is not None  # noqa: S101 - a promoted image is its session's head
    return {
        "session_id": session.id,
        "session_name": session.name,
        "session_description": payloads.shorten(session.description),
        "original_context": {
            "prompt": payloads.shorten(head.prompt),
            "revised_prompt": payloads.shorten(head.revised_prompt or ""),
            "model": head.model,
            "generation_params": dict(head.turn.options.changed()),
            "created_at": payloads.minute(head.turn.started),
        },
        "promoted_image": {
            "path": payloads.path_of(head),
            "generation_id": head.record.call_id,
            "image_id": payloads.short_id(head.id),
        },
        **payloads.untrusted(head.turn),
        "ready_for_refinement": True,
        "next_steps": [
            "generate_image_in_session refines the image.",
            "navigate_session with action branch tries another direction.",
            "get_session_status returns the session's status.",
        ],
    }


async def navigate_session(
    call: CallContext,
    *,
    session_id: str,
    action: Annotated[str, Field(json_schema_extra={"enum": list(_ACTIONS)})],
    at: params.OptionalText = None,
    steps: int = 1,
    name: params.OptionalText = None,
    branch: str = "main",
) -> Payload:
    """
    Choose the image that the next prompt refines: undo and redo go back and forward, checkout goes
    to any image, and branch starts another direction there; pass its name as branch from then on.
    Nothing is deleted. Costs nothing.
    """
    session = await call.session(session_id, branch)
    match action:
        case "undo":
            head = await session.undo(steps)
        case "redo":
            head = await session.redo(steps)
        case "checkout" if at is not None:
            head = await session.checkout(at)
        case "branch":
            session = await session.branch(name, at=at)
            head = await session.head()
        case _:
            lacks = "checkout needs at, an image_id" if action == "checkout" else "No such action"
            raise ToolCallError(
                "invalid_parameters",
                f"{lacks}. The actions are: {', '.join(_ACTIONS)}.",
                {"nearest": list(_ACTIONS)},
            )
    return {
        "session_id": session.id,
        "branch": session.branch_name,
        "head_image_id": head and payloads.short_id(head.id),
        "head_image_path": head and payloads.path_of(head),
    }
