"""
Sessions and saved images, awaited: the same methods as in `session`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from imagesession._api.async_generation import AsyncGenerationVerbs
from imagesession._api.image import ImageFacts
from imagesession._api.results import Images
from imagesession._api.session import ImageOrTurn, SessionFacts, id_of
from imagesession._api.signatures import public
from imagesession._api.types import GenerateParams, SessionParams, takes_keywords
from imagesession._api.workflows import session_settings
from imagesession._display import gallery
from imagesession._domain.cost import Cost
from imagesession._domain.marks import validate_tags
from imagesession._domain.provenance import Provenance
from imagesession._domain.reports import SessionStatus
from imagesession._domain.tree import Tree
from imagesession._domain.turn import Turn
from imagesession._engine import provenance, reference_board, removal, reports, sessions
from imagesession._runtime.runtime import AsyncRuntime

if TYPE_CHECKING:
    from typing import Unpack


@public
@attrs.frozen(eq=False, repr=False)
class AsyncSavedImage(ImageFacts[AsyncRuntime]):
    """
    Same as `SavedImage`, but its verbs await.

    Attributes:
        turn: The turn that made it.
        position: Its index among that turn's images, from 0.
    """

    async def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """
        Same as `SavedImage.save`, but awaits.
        """
        return Path(
            await self._runtime.call_store(lambda _: self._write_copy(path, overwrite=overwrite))
        )

    async def session(self) -> AsyncImageSession:
        """
        Same as `SavedImage.session`, but awaits.
        """
        workflow = sessions.get_session(self._session_or_error(), self.turn.branch, reopen=False)
        return AsyncImageSession(await self._runtime.run(workflow), self.turn.branch, self._runtime)

    async def lineage(self) -> tuple[AsyncSavedImage, ...]:
        """
        Same as `SavedImage.lineage`, but awaits.
        """
        if self.turn.session is None:
            return Images((self,))
        return await (await self.session()).lineage(self)

    async def branch(self, name: str | None = None) -> AsyncImageSession:
        """
        Same as `SavedImage.branch`, but awaits.
        """
        return await (await self.session()).branch(name, at=self)

    @takes_keywords(GenerateParams)
    async def refine(self, prompt: str, **options: Unpack[GenerateParams]) -> AsyncSavedImage:
        """
        Same as `SavedImage.refine`, but awaits.
        """
        branch = await self.branch()
        return await branch.generate(prompt, **options)

    async def verify(self) -> Provenance:
        """
        Same as `SavedImage.verify`, but awaits.
        """
        return await self._runtime.run(provenance.verify(self.record))

    async def star(self) -> None:
        """
        Same as `SavedImage.star`, but awaits.
        """
        await self._runtime.call_store(self._marking(lambda mark: attrs.evolve(mark, starred=True)))

    async def unstar(self) -> None:
        """
        Same as `SavedImage.unstar`, but awaits.
        """
        await self._runtime.call_store(
            self._marking(lambda mark: attrs.evolve(mark, starred=False))
        )

    async def tag(self, *tags: str) -> None:
        """
        Same as `SavedImage.tag`, but awaits.
        """
        valid = validate_tags(tags)
        await self._runtime.call_store(self._marking(lambda mark: mark.with_tags(valid)))

    async def untag(self, *tags: str) -> None:
        """
        Same as `SavedImage.untag`, but awaits.
        """
        valid = validate_tags(tags)
        await self._runtime.call_store(self._marking(lambda mark: mark.without_tags(valid)))

    async def delete(self) -> None:
        """
        Same as `SavedImage.delete`, but awaits.
        """
        await self._runtime.run(removal.remove("delete", images=(self.id,)))


@public
@attrs.frozen(eq=False, repr=False)
class AsyncImageSession(SessionFacts, AsyncGenerationVerbs[AsyncSavedImage]):
    """
    Same as `ImageSession`, but its verbs await.

    Attributes:
        branch_name: Its current branch.
    """

    _runtime: AsyncRuntime

    @takes_keywords(SessionParams)
    async def update(
        self, *, description: str | None = None, **options: Unpack[SessionParams]
    ) -> AsyncImageSession:
        """
        Same as `ImageSession.update`, but awaits.
        """
        settings = session_settings(options)
        workflow = sessions.update_session(self.id, description, settings, self._runtime.config)
        return attrs.evolve(self, record=await self._runtime.run(workflow))

    async def branch(
        self, name: str | None = None, *, at: ImageOrTurn | None = None
    ) -> AsyncImageSession:
        """
        Same as `ImageSession.branch`, but awaits.
        """
        start = None if at is None else id_of(at)
        workflow = sessions.create_branch(self.id, start, self.branch_name, name)
        return attrs.evolve(self, branch_name=await self._runtime.run(workflow))

    async def undo(self, steps: int = 1) -> AsyncSavedImage | None:
        """
        Same as `ImageSession.undo`, but awaits.
        """
        return self._head_image(
            await self._runtime.run(sessions.undo(self.id, self.branch_name, steps))
        )

    async def redo(self, steps: int = 1) -> AsyncSavedImage | None:
        """
        Same as `ImageSession.redo`, but awaits.
        """
        return self._head_image(
            await self._runtime.run(sessions.redo(self.id, self.branch_name, steps))
        )

    async def checkout(self, target: ImageOrTurn) -> AsyncSavedImage | None:
        """
        Same as `ImageSession.checkout`, but awaits.
        """
        workflow = sessions.checkout(self.id, self.branch_name, id_of(target))
        return self._head_image(await self._runtime.run(workflow))

    async def head(self) -> AsyncSavedImage | None:
        """
        Same as `ImageSession.head`, but awaits.
        """
        branch_head = await self._runtime.run(sessions.load_branch(self.id, self.branch_name))
        return self._head_image(branch_head.head)

    async def references(self) -> dict[str, AsyncSavedImage]:
        """
        Same as `ImageSession.references`, but awaits.
        """
        found = await self._runtime.run(reference_board.find_references(self.id))
        return {role: self._wrap(*image) for role, image in found.items()}

    async def tree(self) -> Tree:
        """
        Same as `ImageSession.tree`, but awaits.
        """
        return (await self._runtime.run(sessions.load_branch(self.id, self.branch_name))).tree

    async def turns(self) -> tuple[Turn, ...]:
        """
        Same as `ImageSession.turns`, but awaits.
        """
        return tuple((await self.tree()).turns.values())

    async def images(self) -> tuple[AsyncSavedImage, ...]:
        """
        Same as `ImageSession.images`, but awaits.
        """
        return Images(
            self._wrap(turn, position)
            for turn in await self.turns()
            for position in range(len(turn.images))
        )

    async def lineage(self, target: ImageOrTurn) -> tuple[AsyncSavedImage, ...]:
        """
        Same as `ImageSession.lineage`, but awaits.
        """
        path = await self._runtime.run(self._lineage(target))
        return Images(self._wrap(turn) for turn in path if turn.images)

    async def status(self) -> SessionStatus:
        """
        Same as `ImageSession.status`, but awaits.
        """
        return await self._runtime.run(
            reports.status(self.id, self.branch_name, self._runtime.config)
        )

    async def cost(self) -> Cost:
        """
        Same as `ImageSession.cost`, but awaits.
        """
        return await self._runtime.run(
            reports.session_cost(self.id, self.branch_name, self._runtime.config)
        )

    async def export(self, path: str | os.PathLike[str]) -> Path:
        """
        Same as `ImageSession.export`, but awaits.
        """
        return Path(await self._runtime.run(sessions.export_session(self.id, path)))

    async def gallery(self, path: str | os.PathLike[str]) -> Path:
        """
        Same as `ImageSession.gallery`, but awaits.
        """
        return Path(
            await self._runtime.call_store(lambda store: gallery.write(store, path, self.id))
        )

    async def contact_sheet(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        columns: int | None = None,
        captions: bool = True,
        costs: bool = True,
    ) -> Path:
        """
        Same as `ImageSession.contact_sheet`, but awaits.
        """
        from imagesession._display import contact_sheet as sheet  # noqa: PLC0415 - loads Pillow

        return Path(
            await self._runtime.call_store(
                lambda store: sheet.write(
                    store, self.id, path, columns=columns, captions=captions, costs=costs
                )
            )
        )

    async def close(self) -> None:
        """
        Same as `ImageSession.close`, but awaits.
        """
        await self._runtime.run(sessions.close(self.id))

    async def delete(self, *targets: ImageOrTurn) -> None:
        """
        Same as `ImageSession.delete`, but awaits.
        """
        await self._runtime.run(self._removing(targets))

    def _wrap(self, turn: Turn, position: int = -1) -> AsyncSavedImage:
        return async_last_image(turn, self._runtime, position)

    def _head_image(self, turn: Turn | None) -> AsyncSavedImage | None:
        return None if turn is None else self._wrap(turn)


def async_last_image(turn: Turn, runtime: AsyncRuntime, position: int = -1) -> AsyncSavedImage:
    return AsyncSavedImage(turn, range(len(turn.images))[position], runtime)
