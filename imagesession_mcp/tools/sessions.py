"""
The tools for sessions: none of them generates, and none of them costs anything.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from pydantic import Field

from imagesession_mcp import schemas
from imagesession_mcp.context import CallContext
from imagesession_mcp.tools import params
from imagesession_mcp.tools.params import build_options


async def create_image_session(
    *,
    description: Annotated[
        str, Field(description="What the pictures are about; the model is told it every time.")
    ],
    model: params.Model = "auto",
    session_name: params.SessionName = None,
    quality: params.Quality = "auto",
    size: params.Size = "auto",
    background: params.Background = "auto",
    resume: Annotated[
        bool, Field(description="Whether to go on with the session of that name, if there is one.")
    ] = False,
    options: params.Options = None,
) -> schemas.SessionOutput:
    """
    Start a session, a conversation that makes pictures: use it for anything that takes more than
    one picture, or that will be refined. What quality, size and the like are said here hold for
    every picture in it. Costs nothing.
    """
    call = CallContext.from_request()
    chosen = build_options(
        quality=quality, size=size, background=background, model=model, more=options
    )
    session = await call.studio.session(description, name=session_name, resume=resume, **chosen)
    return schemas.session_output(await session.status())


async def get_session_status(
    *, session_id: params.SessionId, branch: params.Branch = "main"
) -> schemas.StatusOutput:
    """
    Tell where a session stands: its pictures, its lines, the one that the next prompt refines, and
    what it cost so far. Costs nothing.
    """
    session = await CallContext.from_request().session(session_id, branch)
    return schemas.status_output(await session.status())


async def list_active_sessions(
    *,
    include_inactive: Annotated[
        bool, Field(description="Whether to list idle and closed ones too; they are not lost.")
    ] = False,
    limit: params.Limit = 20,
) -> schemas.SessionsOutput:
    """
    List sessions, the latest first. Sessions outlive the server: idle ones go on like any other,
    so look here before starting a new one for the same thing. Costs nothing.
    """
    studio = CallContext.from_request().studio
    stats, sessions = await studio.stats(), await studio.sessions.list()
    statuses = await asyncio.gather(*(session.status() for session in sessions))
    listed = [status for status in statuses if status.active or include_inactive]
    return schemas.SessionsOutput(
        sessions=[schemas.session_row(status) for status in listed[:limit]],
        total_active=stats.active_sessions,
        total_sessions=stats.total_sessions,
    )


async def close_session(*, session_id: params.SessionId) -> schemas.ClosedOutput:
    """
    Close a session that is done. Nothing is deleted: its pictures stay, and
    generate_image_in_session goes on with reopen=true. Costs nothing.
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
        str, Field(description="What it is about; left empty, what the picture was asked to be.")
    ] = "",
    session_name: params.SessionName = None,
    model: params.Model = "auto",
    options: params.Options = None,
) -> schemas.PromotedOutput:
    """
    Start a session from a picture that there is already: what is generated next refines it. Use it
    when a single picture turned out to be worth refining. Costs nothing.
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
    assert head is not None  # noqa: S101 - a promoted picture is its session's head
    return schemas.promoted_output(session, head)


async def branch_session(
    *,
    session_id: params.SessionId,
    at: Annotated[
        params.OptionalText,
        Field(description="The image_id or turn where the line starts; left out, the last one."),
    ] = None,
    name: Annotated[
        params.OptionalText, Field(description="What to call the line; numbered when left out.")
    ] = None,
    branch: params.Branch = "main",
) -> schemas.BranchHeadOutput:
    """
    Start another line of a session, to try a direction without losing the present one. Give the
    branch that it returns to the next calls. Costs nothing.
    """
    session = await CallContext.from_request().session(session_id, branch)
    line = await session.branch(name, at=at)
    return schemas.branch_head_output(line, await line.head())


async def undo_session(
    *, session_id: params.SessionId, steps: params.Steps = 1, branch: params.Branch = "main"
) -> schemas.BranchHeadOutput:
    """
    Set a session back to an earlier picture, so that the next prompt refines that one. Nothing is
    deleted; redo_session goes forward again. Costs nothing.
    """
    session = await CallContext.from_request().session(session_id, branch)
    return schemas.branch_head_output(session, await session.undo(steps))


async def redo_session(
    *, session_id: params.SessionId, steps: params.Steps = 1, branch: params.Branch = "main"
) -> schemas.BranchHeadOutput:
    """
    Set a session forward again, along what undo_session took back. Costs nothing.
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
    Set a session on any of its pictures, so that the next prompt refines that one. branch_session
    does the same on a line of its own. Costs nothing.
    """
    session = await CallContext.from_request().session(session_id, branch)
    return schemas.branch_head_output(session, await session.checkout(target))
