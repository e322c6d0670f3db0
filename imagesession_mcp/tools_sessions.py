"""
The tools for sessions: none of them draws, and none of them costs anything.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from pydantic import Field

from imagesession_mcp import arguments as given
from imagesession_mcp import views
from imagesession_mcp.arguments import chosen
from imagesession_mcp.calls import Call


async def create_image_session(
    *,
    description: Annotated[
        str, Field(description="What the pictures are about; the model is told it every time.")
    ],
    model: given.Model = "auto",
    session_name: given.SessionName = None,
    quality: given.Quality = "auto",
    size: given.Size = "auto",
    background: given.Background = "auto",
    resume: Annotated[
        bool, Field(description="Whether to go on with the session of that name, if there is one.")
    ] = False,
    options: given.MoreOptions = None,
) -> views.SessionView:
    """
    Start a session, a conversation that makes pictures: use it for anything that takes more than
    one picture, or that will be refined. What quality, size and the like are said here hold for
    every picture in it. Costs nothing.
    """
    call = Call.now()
    asked = chosen(quality=quality, size=size, background=background, model=model, more=options)
    session = await call.studio.session(description, name=session_name, resume=resume, **asked)
    return views.session_view(await session.status())


async def get_session_status(
    *, session_id: given.SessionId, branch: given.Branch = "main"
) -> views.StatusView:
    """
    Tell where a session stands: its pictures, its lines, the one that the next prompt refines, and
    what it cost so far. Costs nothing.
    """
    session = await Call.now().session(session_id, branch)
    return views.status_view(await session.status())


async def list_active_sessions(
    *,
    include_inactive: Annotated[
        bool, Field(description="Whether to list idle and closed ones too; they are not lost.")
    ] = False,
    limit: given.Limit = 20,
) -> views.SessionsView:
    """
    List sessions, the latest first. Sessions outlive the server: idle ones go on like any other,
    so look here before starting a new one for the same thing. Costs nothing.
    """
    studio = Call.now().studio
    stats, sessions = await studio.stats(), await studio.sessions.list()
    statuses = await asyncio.gather(*(one.status() for one in sessions))
    wanted = (one for one in statuses if one.active or include_inactive)
    return views.SessionsView(
        sessions=[views.session_row(one) for one in wanted][:limit],
        total_active=stats.active_sessions,
        total_sessions=stats.total_sessions,
    )


async def close_session(*, session_id: given.SessionId) -> views.ClosedView:
    """
    Close a session that is done. Nothing is deleted: its pictures stay, and
    generate_image_in_session goes on with reopen=true. Costs nothing.
    """
    session = await Call.now().session(session_id)
    await session.close()
    status = await session.status()
    return views.ClosedView(
        status=status.state, session_id=session.id, final_image_count=status.total_generations
    )


async def promote_image_to_session(
    *,
    image_path: given.ImageArgument,
    session_description: Annotated[
        str, Field(description="What it is about; left empty, what the picture was asked to be.")
    ] = "",
    session_name: given.SessionName = None,
    model: given.Model = "auto",
    options: given.MoreOptions = None,
) -> views.PromotedView:
    """
    Start a session from a picture that there is already: what is generated next refines it. Use it
    when a single picture turned out to be worth refining. Costs nothing.
    """
    call = Call.now()
    async with call.original(image_path, "image_path") as image:
        session = await call.studio.promote(
            image, session_description, name=session_name, **chosen(model=model, more=options)
        )
    head = await session.head()
    assert head is not None  # noqa: S101 - a promoted picture is its session's head
    return views.promoted_view(session, head)


async def branch_session(
    *,
    session_id: given.SessionId,
    at: Annotated[
        given.MaybeText,
        Field(description="The image_id or turn where the line starts; left out, the last one."),
    ] = None,
    name: Annotated[
        given.MaybeText, Field(description="What to call the line; numbered when left out.")
    ] = None,
    branch: given.Branch = "main",
) -> views.HeadView:
    """
    Start another line of a session, to try a direction without losing the present one. Give the
    branch that it returns to the next calls. Costs nothing.
    """
    session = await Call.now().session(session_id, branch)
    line = await session.branch(name, at=at)
    return views.head_view(line, await line.head())


async def undo_session(
    *, session_id: given.SessionId, steps: given.Steps = 1, branch: given.Branch = "main"
) -> views.HeadView:
    """
    Set a session back to an earlier picture, so that the next prompt refines that one. Nothing is
    deleted; redo_session goes forward again. Costs nothing.
    """
    session = await Call.now().session(session_id, branch)
    return views.head_view(session, await session.undo(steps))


async def redo_session(
    *, session_id: given.SessionId, steps: given.Steps = 1, branch: given.Branch = "main"
) -> views.HeadView:
    """
    Set a session forward again, along what undo_session took back. Costs nothing.
    """
    session = await Call.now().session(session_id, branch)
    return views.head_view(session, await session.redo(steps))


async def checkout_session_head(
    *,
    session_id: given.SessionId,
    target: Annotated[str, Field(description="The image_id or turn that the next prompt refines.")],
    branch: given.Branch = "main",
) -> views.HeadView:
    """
    Set a session on any of its pictures, so that the next prompt refines that one. branch_session
    does the same on a line of its own. Costs nothing.
    """
    session = await Call.now().session(session_id, branch)
    return views.head_view(session, await session.checkout(target))
