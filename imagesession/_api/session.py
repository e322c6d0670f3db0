"""
Sessions and saved images, which return each other.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from imagesession._api.generation import GenerationVerbs
from imagesession._api.image import ImageFacts
from imagesession._api.results import Images
from imagesession._api.signatures import public, public_base
from imagesession._api.types import GenerateParams, SessionParams, takes_keywords
from imagesession._api.workflows import session_settings
from imagesession._display import gallery
from imagesession._domain.cost import Cost
from imagesession._domain.marks import validate_tags
from imagesession._domain.provenance import Provenance
from imagesession._domain.removal import ErasureReport
from imagesession._domain.reports import SessionStatus
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import MAIN, Tree
from imagesession._domain.turn import Turn, short_id
from imagesession._engine import provenance, reference_board, removal, reports, sessions
from imagesession._engine.effects import Workflow
from imagesession._engine.sessions import BranchHead
from imagesession._runtime.runtime import AsyncRuntime, Runtime

if TYPE_CHECKING:
    from typing import Unpack


ImageOrTurn: TypeAlias = "ImageFacts[Any] | Turn | str"
"""A node of a session's tree: an image, a turn, or the id of either."""


@public_base
@attrs.frozen(eq=False, repr=False)
class SessionFacts:
    """
    The identity of a session and its current branch. Everything else is read from the library every
    time, so that several programs can use the same session.
    """

    _record: SessionRecord
    branch_name: str
    _runtime: Runtime | AsyncRuntime

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
        What it is about; it is sent to the model with every turn.
        """
        return self._record.description

    def __repr__(self) -> str:
        label = self.name or self.description[:40]
        branch = "" if self.branch_name == MAIN else f", branch {self.branch_name!r}"
        return f"<{type(self).__name__} {label!r} …{short_id(self.id)}{branch}>"

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        # Files are read synchronously, because display cannot await.
        from imagesession._display import notebook  # noqa: PLC0415 - loads Pillow and Jinja

        return notebook.session(self._runtime.library, self.id, self.branch_name, repr(self)), {}

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return _unpickle, (type(self), self._runtime, self.id, self.branch_name)

    def _removing(self, targets: tuple[ImageOrTurn, ...]) -> Workflow[ErasureReport]:
        if not targets:
            return removal.remove("delete", sessions=(self.id,))
        return removal.remove_from_session(self.id, [id_of(target) for target in targets])

    def _branch_head(self) -> Workflow[BranchHead | None]:
        return (yield from sessions.load_open_branch(self.id, self.branch_name))

    def _lineage(self, target: ImageOrTurn) -> Workflow[tuple[Turn, ...]]:
        branch_head = yield from sessions.load_branch(self.id, self.branch_name)
        return branch_head.tree.lineage(
            branch_head.tree.turn(sessions.resolve_turn_id(branch_head.tree, id_of(target)))
        )


@public
@attrs.frozen(eq=False, repr=False)
class SavedImage(ImageFacts[Runtime]):
    """
    An image in the library, with its metadata.

    Its metadata is in memory; `bytes` and `open` read its file, which takes milliseconds.

    Attributes:
        turn: The turn that made it.
        position: Its index among that turn's images, from 0.
    """

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """
        Save a copy under any name.

        The suffix decides the format. In the image's own format the file has exactly its bytes;
        otherwise its first frame is converted, with its colour profile, and with white in place of
        transparency in a JPEG or BMP.

        Args:
            path: The file to write, ending in .png, .jpg, .webp, .gif, .tif, .bmp or .avif, or in
                .svg for an SVG. Its folder is made if it is missing.
            overwrite: Whether to replace a file that exists; those of the library are never
                replaced.

        Returns:
            The absolute path.

        Raises:
            InvalidRequestError: It is not a path, or its suffix names no such format.
            StorageIOError: A file or folder is there already, or it cannot be written.
            InvalidImageError: The image's file does not exist any more.
        """
        return Path(self._runtime.call_store(lambda _: self._write_copy(path, overwrite=overwrite)))

    def session(self) -> ImageSession:
        """
        Return its session, on the image's branch.

        Raises:
            InvalidRequestError: It is a standalone image.
        """
        workflow = sessions.get_session(self._session_or_error(), self.turn.branch, reopen=False)
        return ImageSession(self._runtime.run(workflow), self.turn.branch, self._runtime)

    def lineage(self) -> tuple[SavedImage, ...]:
        """
        Return the images that led to it, from the first to this one.
        """
        if self.turn.session is None:
            return Images((self,))
        return self.session().lineage(self)

    def branch(self, name: str | None = None) -> ImageSession:
        """
        Start a new branch of its session at this image.

        Args:
            name: The branch's name. Default: the next number.

        Returns:
            The session on the new branch, whose next turn refines this image.

        Raises:
            InvalidRequestError: The name is taken, or it is a standalone image.
        """
        return self.session().branch(name, at=self)

    @takes_keywords(GenerateParams)
    def refine(self, prompt: str, **options: Unpack[GenerateParams]) -> SavedImage:
        """
        Refine this image on a new branch, whether or not it has later turns.

        Takes and raises the same as `ImageSession.generate`.
        """
        return self.branch().generate(prompt, **options)

    def verify(self) -> Provenance:
        """
        Ask the provider whether its file carries the provider's provenance signals, as it was
        received: signed metadata (C2PA) and a watermark (SynthID).

        The library keeps both, because it never encodes a received image anew. A file that was
        encoded anew, such as a composite or what Pillow saved, has lost its metadata.

        Raises:
            InvalidImageError: It is an SVG, or its file does not exist any more; nothing was sent.
            BadRequestError: The provider offers no such checks to this account.
            ImageSessionError: The provider cannot be reached, or rejects the request.
        """
        return self._runtime.run(provenance.verify(self.record))

    def star(self) -> None:
        """
        Give it a star, by which `ImagesResource.list` finds it.

        Raises:
            StorageIOError: The library cannot be written.
        """
        self._runtime.call_store(self._marking(lambda mark: attrs.evolve(mark, starred=True)))

    def unstar(self) -> None:
        """
        Take its star away.

        Raises:
            StorageIOError: The library cannot be written.
        """
        self._runtime.call_store(self._marking(lambda mark: attrs.evolve(mark, starred=False)))

    def tag(self, *tags: str) -> None:
        """
        Add tags, by which `ImagesResource.list` finds it.

        Args:
            tags: Texts of one line each; case does not distinguish them.

        Raises:
            InvalidRequestError: One is not a line of text, is too long, or there are too many.
            StorageIOError: The library cannot be written.
        """
        valid = validate_tags(tags)
        self._runtime.call_store(self._marking(lambda mark: mark.with_tags(valid)))

    def untag(self, *tags: str) -> None:
        """
        Take tags away; those that it does not have are ignored.

        Args:
            tags: The tags.

        Raises:
            StorageIOError: The library cannot be written.
        """
        valid = validate_tags(tags)
        self._runtime.call_store(self._marking(lambda mark: mark.without_tags(valid)))

    def delete(self) -> None:
        """
        Put it into the bin, from which `ImagesResource.restore` brings it back; takes and raises
        the same as `ImagesResource.delete`.
        """
        self._runtime.run(removal.remove("delete", images=(self.id,)))


@public
@attrs.frozen(eq=False, repr=False)
class ImageSession(SessionFacts, GenerationVerbs[SavedImage]):
    """
    A conversation that makes images: every prompt refines the previous image.

    `Studio.session` creates one, and `Studio.open` opens it again.

    Attributes:
        branch_name: Its current branch.
    """

    _runtime: Runtime

    @takes_keywords(SessionParams)
    def update(
        self, *, description: str | None = None, **options: Unpack[SessionParams]
    ) -> ImageSession:
        """
        Change the session's name, its description, or the options of its next turns, such as the
        model. What is left out stays unchanged.

        Args:
            name: A new label.
            description: What it is about.
            provider_state: What the provider keeps of its turns from now on.
            remember: The most earlier turns that are sent as context.
            api: The API that makes its images.
            references: Its reference board: images that are sent with every turn, such as
                `{"logo": "logo.png", "colours": palette}`; their roles are told to the model. They
                are imported into the library, and take the place of the present ones; none empties
                the board.
            **options: See `GenerateOptions`.

        Returns:
            The changed session.

        Raises:
            InvalidOptionError: There is no such option, or its value is not valid.
            InvalidImageError: A reference cannot be used, or there are more than 16.
            SessionClosedError: The session was closed.
        """
        settings = session_settings(options)
        workflow = sessions.update_session(self.id, description, settings, self._runtime.config)
        return attrs.evolve(self, record=self._runtime.run(workflow))

    def branch(self, name: str | None = None, *, at: ImageOrTurn | None = None) -> ImageSession:
        """
        Start a new branch of this session.

        Args:
            name: The branch's name. Default: the next number.
            at: Where it starts: an image, a turn, or the id of either. Default: the head.

        Returns:
            The session on the new branch. This object stays on its own branch.

        Raises:
            InvalidRequestError: The name is taken, or the turn has no image.
            NotFoundError: The session has no such turn or image.
        """
        start = None if at is None else id_of(at)
        workflow = sessions.create_branch(self.id, start, self.branch_name, name)
        return attrs.evolve(self, branch_name=self._runtime.run(workflow))

    def undo(self, steps: int = 1) -> SavedImage | None:
        """
        Move this branch's head back. Undone turns are not deleted.

        Args:
            steps: How many turns.

        Returns:
            The image that the next prompt refines; None at the start.

        Raises:
            InvalidRequestError: The branch has fewer turns.
        """
        return self._head_image(self._runtime.run(sessions.undo(self.id, self.branch_name, steps)))

    def redo(self, steps: int = 1) -> SavedImage | None:
        """
        Move this branch's head forward again, along undone turns.

        Args:
            steps: How many turns.

        Returns:
            The image that the next prompt refines.

        Raises:
            InvalidRequestError: Fewer turns were undone since the last new turn.
        """
        return self._head_image(self._runtime.run(sessions.redo(self.id, self.branch_name, steps)))

    def checkout(self, target: ImageOrTurn) -> SavedImage | None:
        """
        Move this branch's head to any turn of the session.

        Args:
            target: An image, a turn, or the id of either.

        Returns:
            The image that the next prompt refines.

        Raises:
            NotFoundError: The session has no such turn or image.
            InvalidRequestError: The turn has no image.
        """
        workflow = sessions.checkout(self.id, self.branch_name, id_of(target))
        return self._head_image(self._runtime.run(workflow))

    def head(self) -> SavedImage | None:
        """
        Return the image that the next prompt refines; None at the start.
        """
        branch_head = self._runtime.run(sessions.load_branch(self.id, self.branch_name))
        return self._head_image(branch_head.head)

    def references(self) -> dict[str, SavedImage]:
        """
        Return the images of the session's reference board by their roles: those that are sent with
        every turn. `update(references=…)` changes it.

        Raises:
            InvalidImageError: One of them is not in the library any more.
        """
        found = self._runtime.run(reference_board.find_references(self.id))
        return {role: self._wrap(*image) for role, image in found.items()}

    def tree(self) -> Tree:
        """
        Return all turns as a tree; print it for a drawing.
        """
        return self._runtime.run(sessions.load_branch(self.id, self.branch_name)).tree

    def turns(self) -> tuple[Turn, ...]:
        """
        Return all turns of all branches, the oldest first, including failed and refused ones.
        """
        return tuple(self.tree().turns.values())

    def images(self) -> tuple[SavedImage, ...]:
        """
        Return all images of all branches, the oldest first.
        """
        return Images(
            self._wrap(turn, position)
            for turn in self.turns()
            for position in range(len(turn.images))
        )

    def lineage(self, target: ImageOrTurn) -> tuple[SavedImage, ...]:
        """
        Return the images that led to an image or turn, from the first to the last.

        Args:
            target: An image, a turn, or the id of either.

        Raises:
            NotFoundError: The session has no such turn or image.
        """
        path = self._runtime.run(self._lineage(target))
        return Images(self._wrap(turn) for turn in path if turn.images)

    def status(self) -> SessionStatus:
        """
        Return the session's status: active, idle or closed, how many images, and the cost.
        """
        return self._runtime.run(reports.status(self.id, self.branch_name, self._runtime.config))

    def cost(self) -> Cost:
        """
        Return what all turns of all branches cost so far, including failed ones.
        """
        return self._runtime.run(
            reports.session_cost(self.id, self.branch_name, self._runtime.config)
        )

    def export(self, path: str | os.PathLike[str]) -> Path:
        """
        Write the whole session to a folder, or to a zip file if the path ends in .zip.

        It contains the unchanged images with their metadata, and the records from which
        `SessionsResource.import_archive` restores the session.

        Args:
            path: The folder or zip file to write; it must not exist.

        Returns:
            The absolute path.

        Raises:
            StorageIOError: The path exists, or cannot be written.
            InvalidRequestError: It is not a path, or the session is too large for a zip file.

        Warns:
            IncompleteExportWarning: Files of its images are missing in the library.
        """
        return Path(self._runtime.run(sessions.export_session(self.id, path)))

    def gallery(self, path: str | os.PathLike[str]) -> Path:
        """
        Write an HTML page of this session, for any browser, like `Studio.gallery`.

        Args:
            path: The file to write, ending in .html; an existing gallery is replaced.

        Returns:
            The absolute path.

        Raises:
            InvalidRequestError: It is not a path, or does not end in .html.
            StorageIOError: Another kind of file exists there, or it cannot be written.
        """
        return Path(self._runtime.call_store(lambda store: gallery.write(store, path, self.id)))

    def contact_sheet(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        columns: int | None = None,
        captions: bool = True,
        costs: bool = True,
    ) -> Path:
        """
        Draw all images of the session on a contact sheet, for a chat or for print, numbered in the
        order of `images`.

        Args:
            path: The file to write, ending in .png, .jpg or .pdf; an existing contact sheet is
                replaced. Default: a PNG in the current folder. A PDF has as many A4 pages as
                needed; other formats are one page of any height.
            columns: How many images are in a row, 1 to 12. Default: chosen by the number of images.
            captions: Whether to write prompt, size and cost below each image.
            costs: Whether costs are shown; False for a sheet that clients see.

        Returns:
            The absolute path.

        Raises:
            InvalidRequestError: An argument is not valid, there are no images, or too many for one
                page.
            StorageIOError: Another kind of file exists there, or it cannot be written.
        """
        from imagesession._display import contact_sheet as sheet  # noqa: PLC0415 - loads Pillow

        return Path(
            self._runtime.call_store(
                lambda store: sheet.write(
                    store, self.id, path, columns=columns, captions=captions, costs=costs
                )
            )
        )

    def close(self) -> None:
        """
        Close the session: it takes no more turns until it is opened with `reopen=True`.
        """
        self._runtime.run(sessions.close(self.id))

    def delete(self, *targets: ImageOrTurn) -> None:
        """
        Put images or turns of the session into the bin; without any, the session as a whole.

        Args:
            targets: Images, turns (all their images), or the ids of either.

        Raises:
            NotFoundError: The session has no such image or turn.
            InvalidRequestError: It is in the bin already; or a request is under way in the session
                that is to be deleted as a whole.
            StorageIOError: The library cannot be written.
        """
        self._runtime.run(self._removing(targets))

    def _wrap(self, turn: Turn, position: int = -1) -> SavedImage:
        return last_image(turn, self._runtime, position)

    def _head_image(self, turn: Turn | None) -> SavedImage | None:
        return None if turn is None else self._wrap(turn)


def last_image(turn: Turn, runtime: Runtime, position: int = -1) -> SavedImage:
    return SavedImage(turn, range(len(turn.images))[position], runtime)


def id_of(target: ImageOrTurn) -> str:
    return target.id if isinstance(target, (ImageFacts, Turn)) else target


def _unpickle(
    kind: type[Any], runtime: Runtime | AsyncRuntime, session_id: str, branch: str
) -> object:
    return kind(runtime.library.sessions.find(session_id), branch, runtime)
