"""
Sessions: conversations that make pictures, remember, and come back.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from typing import TYPE_CHECKING, TypeAlias

import attrs

from imagesession._drive.desk import AsyncDesk, Desk
from imagesession._images import (
    AsyncSavedImage,
    Kept,
    Picture,
    Pictures,
    SavedImage,
    source,
    sources,
)
from imagesession._model.options import OptionKeywords
from imagesession._model.partials import PartialImage
from imagesession._model.sessions import SessionRecord
from imagesession._model.tree import MAIN, Tree
from imagesession._model.turns import Turn, short_id
from imagesession._plan import flows, sessions
from imagesession._plan.flows import Wish
from imagesession._plan.steps import Flow
from imagesession._signatures import takes_options

if TYPE_CHECKING:
    from typing import Unpack

Target: TypeAlias = Kept | Turn | str
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

    def _lineage(self, target: Target) -> Flow[tuple[Turn, ...]]:
        place = yield from sessions.locate(self.id, self.branch_name)
        return place.tree.lineage(place.tree.turn(sessions.turn_of(place.tree, _id(target))))


@attrs.frozen(eq=False, repr=False)
class ImageSession(_Handle):
    """
    A conversation that makes pictures: every prompt refines what came before.

    Made by `Studio.session`, found again by `Studio.open`.

    Attributes:
        branch_name: The line that it is on.
    """

    _desk: Desk

    @takes_options
    def generate(
        self,
        prompt: str,
        *,
        reference: Pictures = (),
        mask: Picture | None = None,
        **options: Unpack[OptionKeywords],
    ) -> SavedImage:
        """
        Make a picture that continues the conversation.

        When this returns, the picture and its record are on stable storage.

        Args:
            prompt: What to make or change; up to 32,000 characters.
            reference: Pictures to go by, up to 16 of at most 25 MB: paths, bytes, PIL images or
                kept pictures.
            mask: A PNG whose transparent pixels mark what may change in the first reference, or
                in the session's last picture; of the same size.
            **options: See `Options`.

        Returns:
            The picture; if the reply brought several, the last of them. All are kept.

        Raises:
            CallError: The call has to change; nothing was sent.
            RefusedError: The model or a safety system declined.
            TryLaterError: The provider turned the request away; nothing was billed.
            OutcomeUnknownError: The answer was lost; it is not asked for again by itself.
            ImageSessionError: See `imagesession.errors` for all that can happen.
        """
        wish = wish_of(
            self._desk,
            self._record.choices,
            prompt=prompt,
            reference=reference,
            mask=mask,
            options=options,
        )
        return self._last(self._desk.do(_grow(self, self._desk, wish)))

    @takes_options
    def stream(
        self,
        prompt: str,
        *,
        partial_images: int = 2,
        reference: Pictures = (),
        mask: Picture | None = None,
        **options: Unpack[OptionKeywords],
    ) -> Generator[PartialImage | SavedImage, None, None]:
        """
        Make a picture and show it while it comes.

        Takes and raises the same as `generate`; nothing is sent before the first event is asked
        for.

        Args:
            prompt: What to make or change.
            partial_images: How many unfinished pictures are wanted, 0 to 3; each is billed as
                100 more tokens. There may be fewer, or one more.
            reference: As in `generate`.
            mask: As in `generate`.
            **options: See `Options`.

        Yields:
            The unfinished pictures, then the one that is kept.
        """
        wish = wish_of(
            self._desk,
            self._record.choices,
            prompt=prompt,
            reference=reference,
            mask=mask,
            options=options,
            partial_images=partial_images,
        )
        return self._desk.stream(_grow(self, self._desk, wish), self._last)

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

    def close(self) -> None:
        """
        Close the session: no more is generated in it until it is opened with `reopen=True`.
        """
        self._desk.do(sessions.close(self.id))

    def _all(self, turn: Turn) -> tuple[SavedImage, ...]:
        return tuple(view(self._desk, turn, position) for position in range(len(turn.images)))

    def _last(self, turn: Turn) -> SavedImage:
        return view(self._desk, turn, len(turn.images) - 1)

    def _head(self, turn: Turn | None) -> SavedImage | None:
        return None if turn is None else self._last(turn)


@attrs.frozen(eq=False, repr=False)
class AsyncImageSession(_Handle):
    """
    Same as `ImageSession`, but its verbs await.

    Attributes:
        branch_name: The line that it is on.
    """

    _desk: AsyncDesk

    @takes_options
    async def generate(
        self,
        prompt: str,
        *,
        reference: Pictures = (),
        mask: Picture | None = None,
        **options: Unpack[OptionKeywords],
    ) -> AsyncSavedImage:
        """
        Same as `ImageSession.generate`, but awaits.
        """
        wish = wish_of(
            self._desk,
            self._record.choices,
            prompt=prompt,
            reference=reference,
            mask=mask,
            options=options,
        )
        return self._last(await self._desk.do(_grow(self, self._desk, wish)))

    @takes_options
    def stream(
        self,
        prompt: str,
        *,
        partial_images: int = 2,
        reference: Pictures = (),
        mask: Picture | None = None,
        **options: Unpack[OptionKeywords],
    ) -> AsyncGenerator[PartialImage | AsyncSavedImage, None]:
        """
        Same as `ImageSession.stream`, but iterated with `async for`.
        """
        wish = wish_of(
            self._desk,
            self._record.choices,
            prompt=prompt,
            reference=reference,
            mask=mask,
            options=options,
            partial_images=partial_images,
        )
        return self._desk.stream(_grow(self, self._desk, wish), self._last)

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

    async def close(self) -> None:
        """
        Same as `ImageSession.close`, but awaits.
        """
        await self._desk.do(sessions.close(self.id))

    def _all(self, turn: Turn) -> tuple[AsyncSavedImage, ...]:
        return tuple(view_async(self._desk, turn, position) for position in range(len(turn.images)))

    def _last(self, turn: Turn) -> AsyncSavedImage:
        return view_async(self._desk, turn, len(turn.images) - 1)

    def _head(self, turn: Turn | None) -> AsyncSavedImage | None:
        return None if turn is None else self._last(turn)


# --- what both share ---------------------------------------------------------------------------


def view(desk: Desk, turn: Turn, position: int) -> SavedImage:
    """
    Show a picture of a turn.
    """

    def open_session(session_id: str, branch: str) -> ImageSession:
        record = desk.do(sessions.find(session_id, branch, reopen=False))
        return ImageSession(record, branch, desk)

    return SavedImage(turn, position, desk.library, open_session)


def view_async(desk: AsyncDesk, turn: Turn, position: int) -> AsyncSavedImage:
    """
    Same as `view`, for async.
    """

    async def open_session(session_id: str, branch: str) -> AsyncImageSession:
        record = await desk.do(sessions.find(session_id, branch, reopen=False))
        return AsyncImageSession(record, branch, desk)

    return AsyncSavedImage(turn, position, desk.library, open_session)


def wish_of(
    desk: Desk | AsyncDesk,
    choices: Mapping[str, object],
    *,
    prompt: str,
    reference: Pictures,
    mask: Picture | None,
    options: OptionKeywords,
    partial_images: int = 0,
) -> Wish:
    """
    Put together what a caller asks for: the call's options over the session's over the studio's.
    """
    return Wish(
        prompt=prompt,
        options=desk.options.updated({**choices, **options}),
        references=sources(reference),
        mask=None if mask is None else source(mask),
        partial_images=partial_images,
        timeout=desk.timeout,
    )


def _grow(session: _Handle, desk: Desk | AsyncDesk, wish: Wish) -> Flow[Turn]:
    place = yield from sessions.locate_open(session.id, session.branch_name)
    return (yield from flows.generate(wish, desk.catalogue, place))


def _id(target: Target) -> str:
    return target.id if isinstance(target, (Kept, Turn)) else target


for _public in (ImageSession, AsyncImageSession, SavedImage, AsyncSavedImage):
    _public.__module__ = "imagesession"
