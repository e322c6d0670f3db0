"""
The tools for sessions. None of them generates an image or costs anything.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from pydantic import Field

import imagesession
from imagesession_mcp import schemas
from imagesession_mcp.context import CallContext
from imagesession_mcp.tools import params
from imagesession_mcp.tools.params import build_options


async def create_image_session(
    *,
    description: Annotated[
        str, Field(description="What the images are about; sent to the model with every prompt.")
    ],
    model: params.Model = "auto",
    session_name: params.SessionName = None,
    quality: params.Quality = "auto",
    size: params.Size = "auto",
    background: params.Background = "auto",
    resume: Annotated[
        bool, Field(description="Whether to continue the session of that name, if it exists.")
    ] = False,
    options: params.Options = None,
) -> schemas.SessionOutput:
    """
    Start a session, a conversation that makes images: use it for anything that takes more than one
    image, or that will be refined. Quality, size and other options set here apply to every image
    in it. Costs nothing.
    """
    call = CallContext.from_request()
    defaults = build_options(
        quality=quality, size=size, background=background, model=model, more=options
    )
    session = await call.studio.session(description, name=session_name, resume=resume, **defaults)
    status = await session.status()
    chosen = imagesession.GenerateOptions().updated(status.options)
    warnings = await call.warnings(chosen.model, chosen.image_model)
    return schemas.session_output(status, warnings)


async def get_session_status(
    *, session_id: params.SessionId, branch: params.Branch = "main"
) -> schemas.StatusOutput:
    """
    Get a session's status: its images, its branches, the image that the next prompt refines, and
    its costs. Costs nothing.
    """
    session = await CallContext.from_request().session(session_id, branch)
    return schemas.status_output(await session.status())


async def list_active_sessions(
    *,
    include_inactive: Annotated[
        bool, Field(description="Whether to list idle and closed sessions too.")
    ] = False,
    limit: params.Limit = 20,
) -> schemas.SessionsOutput:
    """
    List sessions, the latest first. Sessions persist across restarts, and idle ones can be
    continued, so look here before starting a new one for the same project. Costs nothing.
    """
    studio = CallContext.from_request().studio
    stats, sessions = await studio.stats(), await studio.sessions.list()
    statuses = await asyncio.gather(*(session.status() for session in sessions))
    selected = [status for status in statuses if status.active or include_inactive]
    return schemas.SessionsOutput(
        sessions=[schemas.session_row(status) for status in selected[:limit]],
        total_active=stats.active_sessions,
        total_sessions=stats.total_sessions,
    )


async def close_session(*, session_id: params.SessionId) -> schemas.ClosedOutput:
    """
    Close a finished session. Nothing is deleted: its images stay, and generate_image_in_session
    continues it with reopen=true. Costs nothing.
    """
    session = await CallContext.from_request().session(session_id)
    await session.close()
    status = await session.status()
    return schemas.ClosedOutput(
        status=status.state, session_id=session.id, final_image_count=status.total_generations
    )


async def promote_image_to_session(
    *,
    image_path: params.Image,
    session_description: Annotated[
        str, Field(description="What it is about; the default is the image's prompt.")
    ] = "",
    session_name: params.SessionName = None,
    model: params.Model = "auto",
    options: params.Options = None,
) -> schemas.PromotedOutput:
    """
    Start a session from an existing image, which the next prompt refines. Use it when a single
    image turned out to be worth refining. Costs nothing.
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
    return schemas.promoted_output(session, head)


async def branch_session(
    *,
    session_id: params.SessionId,
    at: Annotated[
        params.OptionalText,
        Field(description="The image_id or turn where the branch starts; the default is the last."),
    ] = None,
    name: Annotated[
        params.OptionalText, Field(description="The branch's name; the default is numbered.")
    ] = None,
    branch: params.Branch = "main",
) -> schemas.BranchHeadOutput:
    """
    Create a branch of a session, to try another direction without losing the current one. Pass the
    branch that it returns to the next calls. Costs nothing.
    """
    session = await CallContext.from_request().session(session_id, branch)
    new_branch = await session.branch(name, at=at)
    return schemas.branch_head_output(new_branch, await new_branch.head())


async def undo_session(
    *, session_id: params.SessionId, steps: params.Steps = 1, branch: params.Branch = "main"
) -> schemas.BranchHeadOutput:
    """
    Move a session back to an earlier image, which the next prompt then refines. Nothing is
    deleted; redo_session moves forward again. Costs nothing.
    """
    session = await CallContext.from_request().session(session_id, branch)
    return schemas.branch_head_output(session, await session.undo(steps))


async def redo_session(
    *, session_id: params.SessionId, steps: params.Steps = 1, branch: params.Branch = "main"
) -> schemas.BranchHeadOutput:
    """
    Move a session forward again, after undo_session. Costs nothing.
    """
    session = await CallContext.from_request().session(session_id, branch)
    return schemas.branch_head_output(session, await session.redo(steps))


async def checkout_session_head(
    *,
    session_id: params.SessionId,
    target: Annotated[str, Field(description="The image_id or turn that the next prompt refines.")],
    branch: params.Branch = "main",
) -> schemas.BranchHeadOutput:
    """
    Move a session to any of its images, which the next prompt then refines. branch_session does
    the same on a new branch. Costs nothing.
    """
    session = await CallContext.from_request().session(session_id, branch)
    return schemas.branch_head_output(session, await session.checkout(target))
