"""
The tools for sessions. None of them generates an image or costs anything.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from mcp.types import CallToolResult
from pydantic import Field

import imagesession
from imagesession_mcp import payloads
from imagesession_mcp.context import CallContext
from imagesession_mcp.errors import ToolCallError
from imagesession_mcp.results import text_result
from imagesession_mcp.tools import params
from imagesession_mcp.tools.params import build_options

_ACTIONS = ("undo", "redo", "checkout", "branch")


async def create_image_session(
    *,
    description: Annotated[
        str, Field(description="What it is about; sent to the model with every prompt.")
    ],
    model: params.Model = "auto",
    session_name: params.SessionName = None,
    quality: params.Quality = "auto",
    size: params.Size = "auto",
    background: params.Background = "auto",
    resume: Annotated[
        bool, Field(description="Continues the session of that name, if there is one.")
    ] = False,
    reference_images: params.References = None,
    options: params.Options = None,
) -> CallToolResult:
    """
    Start a session, a conversation that makes images: use it for anything that takes more than one
    image, or that will be refined. Options and references set here apply to every image in it.
    Costs nothing.
    """
    call = CallContext.from_request()
    defaults = build_options(
        quality=quality, size=size, background=background, model=model, more=options
    )
    references = await call.resolve_images(reference_images, "reference_images")
    session = await call.studio.session(
        description, name=session_name, resume=resume, references=references, **defaults
    )
    status = await session.status()
    chosen = imagesession.GenerateOptions().updated(status.options)
    warnings = await call.warnings(chosen.model, chosen.image_model)
    return text_result({**payloads.session_payload(status), **warnings})


async def get_session_status(
    *, session_id: params.SessionId, branch: params.Branch = "main"
) -> CallToolResult:
    """
    Get a session's images, branches, head (the image that the next prompt refines) and costs.
    Costs nothing.
    """
    session = await CallContext.from_request().session(session_id, branch)
    return text_result(payloads.status_payload(await session.status()))


async def list_active_sessions(
    *,
    include_inactive: Annotated[bool, Field(description="Lists idle and closed ones too.")] = False,
    limit: params.Limit = 20,
) -> CallToolResult:
    """
    List sessions, the latest first. They persist across restarts, so look here before starting a
    new one for the same project. Costs nothing.
    """
    studio = CallContext.from_request().studio
    stats, sessions = await studio.stats(), await studio.sessions.list()
    statuses = await asyncio.gather(*(session.status() for session in sessions))
    selected = [status for status in statuses if status.active or include_inactive]
    return text_result(
        {
            "success": True,
            "sessions": [payloads.session_row(status) for status in selected[:limit]],
            "total_active": stats.active_sessions,
            "total_sessions": stats.total_sessions,
        }
    )


async def close_session(*, session_id: params.SessionId) -> CallToolResult:
    """
    Close a finished session. Nothing is deleted, and generate_image_in_session continues it with
    reopen=true. Costs nothing.
    """
    session = await CallContext.from_request().session(session_id)
    await session.close()
    status = await session.status()
    return text_result(
        {
            "success": True,
            "status": status.state,
            "session_id": session.id,
            "final_image_count": status.total_generations,
        }
    )


async def promote_image_to_session(
    *,
    image_path: params.Image,
    session_description: Annotated[
        str, Field(description="The default is the image's prompt.")
    ] = "",
    session_name: params.SessionName = None,
    model: params.Model = "auto",
    options: params.Options = None,
) -> CallToolResult:
    """
    Start a session from an existing image, when a single image turned out to be worth refining.
    Costs nothing.
    """
    call = CallContext.from_request()
    async with call.resolve_original(image_path, "image_path") as image:
        session = await call.studio.promote(
            image,
            session_description,
            name=session_name,
            **build_options(model=model, more=options),
        )
    head = await session.head()
    assert head is not None  # noqa: S101 - a promoted image is its session's head
    return text_result(payloads.promoted_payload(session, head))


async def navigate_session(
    *,
    session_id: params.SessionId,
    action: Annotated[
        str, Field(description="What to do.", json_schema_extra={"enum": list(_ACTIONS)})
    ],
    at: Annotated[
        params.OptionalText,
        Field(description="checkout, branch: the image_id; branch starts at the last by default."),
    ] = None,
    steps: Annotated[int, Field(description="undo, redo: how many turns.")] = 1,
    name: Annotated[params.OptionalText, Field(description="branch: its name.")] = None,
    branch: params.Branch = "main",
) -> CallToolResult:
    """
    Choose the image that the next prompt refines: undo and redo go back and forward, checkout goes
    to any image, and branch starts another direction there; pass its name as branch from then on.
    Nothing is deleted. Costs nothing.
    """
    call = CallContext.from_request()
    session = await call.session(session_id, branch)
    target = await call.turn_or_image(session, at)
    match action:
        case "undo":
            head = await session.undo(steps)
        case "redo":
            head = await session.redo(steps)
        case "checkout" if target is not None:
            head = await session.checkout(target)
        case "branch":
            session = await session.branch(name, at=target)
            head = await session.head()
        case _:
            lacks = "checkout needs at, an image_id" if action == "checkout" else "No such action"
            raise ToolCallError(
                "invalid_parameters",
                f"{lacks}. The actions are: {', '.join(_ACTIONS)}.",
                {"nearest": list(_ACTIONS)},
            )
    return text_result(payloads.branch_head_payload(session, head))
