"""
Sessions: conversations that make pictures, remember, and come back.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from imagesession._drive.desk import AsyncDesk, Desk
from imagesession._images import AsyncSavedImage, Kept, SavedImage
from imagesession._model.costs import Cost
from imagesession._model.options import OptionKeywords
from imagesession._model.reports import SessionStatus
from imagesession._model.sessions import SessionRecord
from imagesession._model.tree import MAIN, Tree
from imagesession._model.turns import Turn, short_id
from imagesession._plan import reports, sessions
from imagesession._plan.sessions import Place
from imagesession._plan.steps import Flow
from imagesession._purposes import AsyncPurposes, Purposes
from imagesession._show import gallery
from imagesession._signatures import takes_options

if TYPE_CHECKING:
    from typing import Unpack

    from imagesession._model.turns import ProviderState

Target: TypeAlias = "Kept[Any] | Turn | str"
"""Where a line is picked up: a picture, a turn, or the id of either."""


@attrs.frozen(eq=False, repr=False)
class _Handle:
    """
    What both kinds of session hold: which one it is, and on which branch. Where it stands is read
    from the library every time, so that handles in other programs do not get in each other's way.
    """

    _record: SessionRecord
    branch_name: str

    @property
    def id(self) -> str:
        """
        Its id, with which `studio.open` finds it again.
        """
        return self._record.id

    @property
    def name(self) -> str | None:
        """
        Its label.
        """
        return self._record.name

    @property
    def description(self) -> str:
        """
        What it is about; the model is told it with every turn.
        """
        return self._record.description

    def __repr__(self) -> str:
        label = self.name or self.description[:40]
        branch = "" if self.branch_name == MAIN else f", branch {self.branch_name!r}"
        return f"<{type(self).__name__} {label!r} …{short_id(self.id)}{branch}>"

    def _shown(self, desk: Desk | AsyncDesk) -> tuple[dict[str, Any], dict[str, Any]]:
        """
        Show the session in a notebook. Its files are read at once: what is shown cannot await.
        """
        from imagesession._show import notebook  # noqa: PLC0415 - loads Pillow and Jinja

        return notebook.session(desk.library, self.id, self.branch_name, repr(self)), {}

    def _place(self) -> Flow[Place | None]:
        return (yield from sessions.locate_open(self.id, self.branch_name))

    def _lineage(self, target: Target) -> Flow[tuple[Turn, ...]]:
        place = yield from sessions.locate(self.id, self.branch_name)
        return place.tree.lineage(place.tree.turn(sessions.turn_of(place.tree, _id(target))))


@attrs.frozen(eq=False, repr=False)
class ImageSession(_Handle, Purposes):
    """
    A conversation that makes pictures: every prompt refines what came before.

    Made by `Studio.session`, found again by `Studio.open`.

    Attributes:
        branch_name: The line that it is on.
    """

    _desk: Desk

    @takes_options
    def update(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        provider_state: ProviderState | None = None,
        remember: int | None = None,
        **options: Unpack[OptionKeywords],
    ) -> ImageSession:
        """
        Change what the session is called, what it is about, or what its turns ask for from now
        on: its model too.

        Args:
            name: A new label; left out, it stays.
            description: What it is about; left out, it stays.
            provider_state: What the provider keeps of its turns from now on; left out, it stays.
            remember: How many earlier turns go along with a new one at most; left out, it stays.
            **options: See `Options`; what is left out stays.

        Returns:
            The session as it is now.

        Raises:
            OptionError: An option is not one, or its value is not one that it takes.
            SessionClosedError: The session was closed.
        """
        settings = sessions.SessionSettings(
            name=name, options=options, provider_state=provider_state, remember=remember
        )
        flow = sessions.change(self.id, description, settings, self._terms)
        return attrs.evolve(self, record=self._desk.do(flow))

    def branch(self, name: str | None = None, *, at: Target | None = None) -> ImageSession:
        """
        Start another line of this session.

        Args:
            name: What to call the line; numbered when left out.
            at: Where it starts: a picture, a turn, or the id of either; the head when left out.

        Returns:
            The session on the new branch. This one stays on its own.

        Raises:
            CallError: The name is taken, or the turn brought no picture.
            NotFoundError: The session has no such turn or picture.
        """
        start = None if at is None else _id(at)
        flow = sessions.branch_off(self.id, start, self.branch_name, name)
        return attrs.evolve(self, branch_name=self._desk.do(flow))

    def undo(self, steps: int = 1) -> SavedImage | None:
        """
        Set this branch's head back; what was undone is kept.

        Args:
            steps: How many turns.

        Returns:
            The picture that the next prompt refines; None at the start.

        Raises:
            CallError: There are fewer turns than that.
        """
        return self._head(self._desk.do(sessions.undo(self.id, self.branch_name, steps)))

    def redo(self, steps: int = 1) -> SavedImage | None:
        """
        Set this branch's head forward again, along what was undone.

        Args:
            steps: How many turns.

        Returns:
            The picture that the next prompt refines.

        Raises:
            CallError: Fewer turns than that were undone since the last one grew.
        """
        return self._head(self._desk.do(sessions.redo(self.id, self.branch_name, steps)))

    def checkout(self, target: Target) -> SavedImage | None:
        """
        Set this branch's head on any turn of the session.

        Args:
            target: A picture, a turn, or the id of either.

        Returns:
            The picture that the next prompt refines.

        Raises:
            NotFoundError: The session has no such turn or picture.
            CallError: The turn brought no picture.
        """
        flow = sessions.checkout(self.id, self.branch_name, _id(target))
        return self._head(self._desk.do(flow))

    def head(self) -> SavedImage | None:
        """
        Return the picture that the next prompt refines; None at the start.
        """
        place = self._desk.do(sessions.locate(self.id, self.branch_name))
        return self._head(place.head)

    def tree(self) -> Tree:
        """
        Return all turns and how they grew; printed, it shows itself.
        """
        return self._desk.do(sessions.locate(self.id, self.branch_name)).tree

    def turns(self) -> tuple[Turn, ...]:
        """
        Return all turns of all branches, the oldest first; failed and refused ones too.
        """
        return tuple(self.tree().turns.values())

    def images(self) -> tuple[SavedImage, ...]:
        """
        Return all pictures of all branches, the oldest first.
        """
        return tuple(one for turn in self.turns() for one in self._all(turn))

    def lineage(self, target: Target) -> tuple[SavedImage, ...]:
        """
        Return the pictures that led to one, the first one first and itself last.

        Args:
            target: A picture, a turn, or the id of either.

        Raises:
            NotFoundError: The session has no such turn or picture.
        """
        path = self._desk.do(self._lineage(target))
        return tuple(self._last(turn) for turn in path if turn.images)

    def status(self) -> SessionStatus:
        """
        Return where the session stands: active, idle or closed, what it brought and what it cost.
        """
        return self._desk.do(reports.status(self.id, self.branch_name, self._terms))

    def cost(self) -> Cost:
        """
        Return what all turns of all branches cost so far, failed ones too.
        """
        return self._desk.do(reports.session_cost(self.id, self.branch_name, self._terms))

    def export(self, path: str | os.PathLike[str]) -> Path:
        """
        Write the whole session into a folder, or into a zip where the path ends in .zip.

        It holds every picture to the byte with its metadata beside it, and the records with which
        `Studio.import_session` brings the session back.

        Args:
            path: Where it shall be; nothing may be there yet.

        Returns:
            The path in full.

        Raises:
            DiskError: There is something at that path, or it cannot be written.
            CallError: The path is none, or the session is too large for a zip.
        """
        return Path(self._desk.ask(lambda store: store.export_session(self.id, path)))

    def gallery(self, path: str | os.PathLike[str]) -> Path:
        """
        Write a page of this session, to look at in any browser; as `Studio.gallery` of them all.

        Args:
            path: The page, ending in .html; an earlier gallery there is replaced.

        Returns:
            The path in full.

        Raises:
            CallError: The path is none, or does not end in .html.
            DiskError: Something other than a gallery is there, or it cannot be written.
        """
        return Path(self._desk.ask(lambda store: gallery.write(store, path, self.id)))

    def contact_sheet(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        columns: int | None = None,
        captions: bool = True,
    ) -> Path:
        """
        Draw all pictures of the session on a sheet, numbered as `images` has them, for a chat or
        for print.

        Args:
            path: The sheet, ending in .png, .jpg or .pdf; an earlier sheet there is replaced. Left
                out, it is a PNG in the current folder. A PDF is on A4, and has as many pages as it
                takes; others are one page, as high as it must be.
            columns: How many pictures stand side by side, 1 to 12; left out, as many as suit.
            captions: Whether prompt, size and cost stand beneath each picture.

        Returns:
            The path in full.

        Raises:
            CallError: An argument is not of its form, there are no pictures, or too many for one
                page.
            DiskError: Something other than a contact sheet is there, or it cannot be written.
        """
        from imagesession._show import contact_sheet as sheet  # noqa: PLC0415 - loads Pillow

        return Path(
            self._desk.ask(
                lambda store: sheet.write(store, self.id, path, columns=columns, captions=captions)
            )
        )

    def close(self) -> None:
        """
        Close the session: no more is generated in it until it is opened with `reopen=True`.
        """
        self._desk.do(sessions.close(self.id))

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._shown(self._desk)

    def _all(self, turn: Turn) -> tuple[SavedImage, ...]:
        return tuple(SavedImage(turn, position, self._desk) for position in range(len(turn.images)))

    def _head(self, turn: Turn | None) -> SavedImage | None:
        return None if turn is None else self._last(turn)


@attrs.frozen(eq=False, repr=False)
class AsyncImageSession(_Handle, AsyncPurposes):
    """
    Same as `ImageSession`, but its verbs await.

    Attributes:
        branch_name: The line that it is on.
    """

    _desk: AsyncDesk

    @takes_options
    async def update(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        provider_state: ProviderState | None = None,
        remember: int | None = None,
        **options: Unpack[OptionKeywords],
    ) -> AsyncImageSession:
        """
        Same as `ImageSession.update`, but awaits.
        """
        settings = sessions.SessionSettings(
            name=name, options=options, provider_state=provider_state, remember=remember
        )
        flow = sessions.change(self.id, description, settings, self._terms)
        return attrs.evolve(self, record=await self._desk.do(flow))

    async def branch(
        self, name: str | None = None, *, at: Target | None = None
    ) -> AsyncImageSession:
        """
        Same as `ImageSession.branch`, but awaits.
        """
        start = None if at is None else _id(at)
        flow = sessions.branch_off(self.id, start, self.branch_name, name)
        return attrs.evolve(self, branch_name=await self._desk.do(flow))

    async def undo(self, steps: int = 1) -> AsyncSavedImage | None:
        """
        Same as `ImageSession.undo`, but awaits.
        """
        return self._head(await self._desk.do(sessions.undo(self.id, self.branch_name, steps)))

    async def redo(self, steps: int = 1) -> AsyncSavedImage | None:
        """
        Same as `ImageSession.redo`, but awaits.
        """
        return self._head(await self._desk.do(sessions.redo(self.id, self.branch_name, steps)))

    async def checkout(self, target: Target) -> AsyncSavedImage | None:
        """
        Same as `ImageSession.checkout`, but awaits.
        """
        flow = sessions.checkout(self.id, self.branch_name, _id(target))
        return self._head(await self._desk.do(flow))

    async def head(self) -> AsyncSavedImage | None:
        """
        Same as `ImageSession.head`, but awaits.
        """
        place = await self._desk.do(sessions.locate(self.id, self.branch_name))
        return self._head(place.head)

    async def tree(self) -> Tree:
        """
        Same as `ImageSession.tree`, but awaits.
        """
        return (await self._desk.do(sessions.locate(self.id, self.branch_name))).tree

    async def turns(self) -> tuple[Turn, ...]:
        """
        Same as `ImageSession.turns`, but awaits.
        """
        return tuple((await self.tree()).turns.values())

    async def images(self) -> tuple[AsyncSavedImage, ...]:
        """
        Same as `ImageSession.images`, but awaits.
        """
        return tuple(one for turn in await self.turns() for one in self._all(turn))

    async def lineage(self, target: Target) -> tuple[AsyncSavedImage, ...]:
        """
        Same as `ImageSession.lineage`, but awaits.
        """
        path = await self._desk.do(self._lineage(target))
        return tuple(self._last(turn) for turn in path if turn.images)

    async def status(self) -> SessionStatus:
        """
        Same as `ImageSession.status`, but awaits.
        """
        return await self._desk.do(reports.status(self.id, self.branch_name, self._terms))

    async def cost(self) -> Cost:
        """
        Same as `ImageSession.cost`, but awaits.
        """
        return await self._desk.do(reports.session_cost(self.id, self.branch_name, self._terms))

    async def export(self, path: str | os.PathLike[str]) -> Path:
        """
        Same as `ImageSession.export`, but awaits.
        """
        return Path(await self._desk.ask(lambda store: store.export_session(self.id, path)))

    async def gallery(self, path: str | os.PathLike[str]) -> Path:
        """
        Same as `ImageSession.gallery`, but awaits.
        """
        return Path(await self._desk.ask(lambda store: gallery.write(store, path, self.id)))

    async def contact_sheet(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        columns: int | None = None,
        captions: bool = True,
    ) -> Path:
        """
        Same as `ImageSession.contact_sheet`, but awaits.
        """
        from imagesession._show import contact_sheet as sheet  # noqa: PLC0415 - loads Pillow

        return Path(
            await self._desk.ask(
                lambda store: sheet.write(store, self.id, path, columns=columns, captions=captions)
            )
        )

    async def close(self) -> None:
        """
        Same as `ImageSession.close`, but awaits.
        """
        await self._desk.do(sessions.close(self.id))

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._shown(self._desk)

    def _all(self, turn: Turn) -> tuple[AsyncSavedImage, ...]:
        return tuple(
            AsyncSavedImage(turn, position, self._desk) for position in range(len(turn.images))
        )

    def _head(self, turn: Turn | None) -> AsyncSavedImage | None:
        return None if turn is None else self._last(turn)


# --- what both share ---------------------------------------------------------------------------


def _id(target: Target) -> str:
    return target.id if isinstance(target, (Kept, Turn)) else target


for _public in (ImageSession, AsyncImageSession):
    _public.__module__ = "imagesession"
