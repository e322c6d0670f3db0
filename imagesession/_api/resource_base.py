"""
What the resources of a studio share; for images, sessions and batches deleting, restoring and
erasing.
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

import attrs

from imagesession._api.signatures import public_base
from imagesession._domain.removal import ErasureReport, Verb
from imagesession._engine import removal
from imagesession._engine.effects import Workflow
from imagesession._runtime.runtime import AnyRuntime, AsyncRuntime, Runtime

Target = TypeVar("Target")


@public_base
@attrs.frozen(eq=False, repr=False)
class Resource(Generic[AnyRuntime]):
    """
    A part of a studio that lists and finds things of one kind.
    """

    _runtime: AnyRuntime

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._runtime.library.address!r}>"


@public_base
class Removable(Generic[Target]):
    """
    Attributes:
        _what: The parameter of `removal.remove` that takes the targets.
    """

    _what: ClassVar[str]

    def _remove(self, verb: Verb, targets: tuple[Target, ...]) -> Workflow[ErasureReport]:
        ids: dict[str, Any] = {self._what: [getattr(target, "id", target) for target in targets]}
        return removal.remove(verb, **ids)


@public_base
@attrs.frozen(eq=False, repr=False)
class RemovableResource(Removable[Target], Resource[Runtime]):
    """
    Deletes, restores and erases.
    """

    def delete(self, *targets: Target) -> None:
        """
        Put something into the bin, from which `restore` brings it back.

        Files leave the library's folders, and lists, sessions and galleries do not show them any
        more. A turn without any image left keeps its place in the tree, but not its words, and a
        session whose head it was goes on from the turn before. What it cost stays in
        `Studio.costs` and in budgets.

        Args:
            targets: What to delete: objects or their ids. Of a turn, all images; of a session or
                batch, everything. Sessions and batches may be named.

        Raises:
            NotFoundError: There is no such thing, or it is in the bin already.
            InvalidRequestError: It is in the bin already, or a request is under way in it.
            StorageIOError: The library cannot be written; nothing was changed.
        """
        self._runtime.run(self._remove("delete", targets))

    def restore(self, *targets: Target) -> None:
        """
        Bring something back from the bin, as it was.

        Args:
            targets: What to restore, as for `delete`.

        Raises:
            NotFoundError: There is no such thing, or it was erased.
            InvalidRequestError: It is not in the bin.
            StorageIOError: The library cannot be written, or another file has an image's name;
                nothing was changed.
        """
        self._runtime.run(self._remove("restore", targets))

    def erase(self, *targets: Target) -> ErasureReport:
        """
        Erase something for good, whether or not it is in the bin: files, prompts, metadata and
        search index, and what the provider keeps of it.

        Of a turn there stays only its place in the tree and its cost. What cannot be erased at the
        provider now is remembered, and `Studio.recover` tries again.

        Args:
            targets: What to erase, as for `delete`.

        Returns:
            What was erased, and what the provider still has.

        Raises:
            NotFoundError: There is no such thing, or it was erased before.
            InvalidRequestError: A request is under way in it.
            StorageIOError: The library cannot be written.
        """
        return self._runtime.run(self._remove("erase", targets))


@public_base
@attrs.frozen(eq=False, repr=False)
class AsyncRemovableResource(Removable[Target], Resource[AsyncRuntime]):
    """
    Same as `RemovableResource`, but awaits.
    """

    async def delete(self, *targets: Target) -> None:
        """
        Same as `RemovableResource.delete`, but awaits.
        """
        await self._runtime.run(self._remove("delete", targets))

    async def restore(self, *targets: Target) -> None:
        """
        Same as `RemovableResource.restore`, but awaits.
        """
        await self._runtime.run(self._remove("restore", targets))

    async def erase(self, *targets: Target) -> ErasureReport:
        """
        Same as `RemovableResource.erase`, but awaits.
        """
        return await self._runtime.run(self._remove("erase", targets))
