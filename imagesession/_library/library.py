"""
A library on disk: the `Store` that flows ask.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import shutil
from collections.abc import Generator, Sequence
from pathlib import Path

import attrs

from imagesession._model.checkup import Check
from imagesession._model.turns import ImageRecord, Turn
from imagesession._plan.leases import Reservation
from imagesession._plan.store import Begun, SpendingQuery, Tally, Upload
from imagesession._plan.wire import Received
from imagesession._version import __version__
from imagesession.errors import DiskError, LibraryError

from . import ledger, records, shelf
from .batches import Batching
from .beneath import folder_beneath
from .durable import check_writable, disk_errors, make_folder, replace, write_new
from .export import SessionExport
from .journal import Entry
from .layout import folder_of
from .pacing import Pacing
from .recovering import HeldLease, Recovering
from .rescue import elsewhere, rescue
from .uploads import Sending, Uploads

MIN_FREE_BYTES = 64_000_000
ROOM_EACH = 4_000_000
MAX_UNINDEXED = 200
_BROUGHT = frozenset({"import", "promotion"})


class Library(SessionExport, Batching, Recovering, Pacing):
    """
    A folder of pictures and of all that is known of them.

    Args:
        root: The folder; made if it is missing.

    Raises:
        DiskError: The folder cannot be used.
        LibraryTooNewError: A newer imagesession wrote it.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._uploads = Uploads(self.layout)

    def begin(self, after: str = "") -> Begun:
        """
        Give out the time and an id, greater than one that is there already.
        """
        return Begun(id=self._ids.new(after), at=dt.datetime.now(dt.UTC))

    def intend(self, turn: Turn, reservation: Reservation | None = None) -> Turn | HeldLease:
        """
        Write down durably what is about to be asked, if there is room for what will come and
        the budget allows it; give the turn that was made under its intent's name before, if any.

        Returns:
            The right to be at it; or the turn that was made before.

        Raises:
            DiskError: The library cannot be written, or its disk is nearly full; so this is found
                before anything is paid for.
            BudgetError: It may cost more than is left.
            OutcomeUnknownError: It was asked for under the same name, and is not settled.
        """
        with disk_errors(self.layout.journal):
            self._check_room()
            self._check_places(turn)
            owner = self._owners.me()
            if reservation is None and turn.intent_id is None:
                return self._write_intent(turn, owner)
            self._catch_up()
            with self._index.locked() as connection:
                made = ledger.allow(turn, reservation, connection, self._journal, self._read_turn)
                if made is None:
                    return self._write_intent(turn, owner)
            return made

    def _write_intent(self, turn: Turn, owner: str) -> HeldLease:
        # Held first: otherwise another thread might take it for one that was let go of.
        lease = self._lease(turn)
        try:
            self._journal.intend(turn, owner)
        except BaseException:
            lease.release()
            raise
        return lease

    def _check_batch(self, turns: Sequence[Turn]) -> None:
        self._check_room()
        for turn in {folder_of(turn): turn for turn in turns}.values():
            self._check_places(turn)

    def find_intent(self, intent_id: str) -> Turn | None:
        """
        Return the turn that was completed under a caller's own name for it.

        Raises:
            OutcomeUnknownError: It was asked for, and nobody can tell what became of it.
        """
        with disk_errors(self.layout.index):
            settled = self._index.find_intent(intent_id, self._catch_up())
        return ledger.made_before(intent_id, (self._read_turn(*one) for one in settled))

    def _check_room(self) -> None:
        free = shutil.disk_usage(self.layout.journal).free
        # What is under way will want its room too.
        wanted = MIN_FREE_BYTES + ROOM_EACH * len(self._at_work)
        if free < wanted:
            raise DiskError(
                f"The disk of {self.layout.root} has {free / 1e6:.0f} MB left; at least "
                f"{wanted / 1e6:.0f} MB are wanted before a picture is paid for. Make room."
            )

    def _check_places(self, turn: Turn) -> None:
        """
        Find a folder that would not take the turn's pictures or its record.
        """
        records_folder = self.layout.turn_file(turn.session, turn.id).parent
        make_folder(records_folder)
        check_writable(records_folder)
        pictures_folder = folder_of(turn)
        with folder_beneath(self.layout.root, pictures_folder, make=True) as folder:
            check_writable(self.layout.root / pictures_folder, folder)

    def note(self, turn: Turn, response_id: str) -> None:
        """
        Write down durably the provider's id of what was asked.

        Raises:
            DiskError: It cannot be written; that is tried once more when the intent is let go of.
        """
        self._unwritten[turn.id] = response_id
        with disk_errors(self.layout.journal):
            self._journal.note(turn, response_id)
        del self._unwritten[turn.id]

    def note_conversation(self, turn: Turn, conversation: str | None) -> None:
        """
        Write down durably that a turn is asked in another conversation than was intended.
        """
        with disk_errors(self.layout.journal):
            self._journal.move(turn, conversation)

    def forget(self, turn: Turn) -> None:
        """
        Drop an intent that the provider did not take up.
        """
        with disk_errors(self.layout.journal):
            self._journal.drop(turn.id, turn.session)

    def commit(
        self, turn: Turn, pictures: tuple[Received, ...], copies: tuple[ImageRecord, ...] = ()
    ) -> Turn:
        """
        Keep a settled turn: its pictures, then the record that counts them in.

        The index is left alone: whoever lists pictures next takes this one in from the journal.

        Args:
            turn: What is settled.
            pictures: What to write.
            copies: Pictures of the library that this turn has too, each under an id of its own.

        Returns:
            The turn as it was recorded, with its images.

        Raises:
            DiskError: It cannot be kept; the intent stays in the journal, and pictures that were
                paid for are put elsewhere.
        """
        try:
            with disk_errors(self.layout.root), self._brought(turn):
                settled = self._settle(turn, pictures, copies)
        except LibraryError as error:
            if not pictures or turn.kind in _BROUGHT or turn.id in self._taken_over:
                raise  # it is still where it came from
            raise rescue(turn, pictures, error) from error
        self._recently_settled[settled.id] = settled
        # What is left can be made again, and does not undo that the turn is kept.
        with contextlib.suppress(OSError):
            shelf.describe(self.layout, settled, self._session_name(settled))
        with contextlib.suppress(LibraryError, OSError):
            self._unindexed += 1
            if self._unindexed > MAX_UNINDEXED:
                self._catch_up(most=0)
        return settled

    @contextlib.contextmanager
    def _brought(self, turn: Turn) -> Generator[None, None, None]:
        """
        Write down what is brought in and was not asked for, so that it is taken into the index as
        what was asked for is: from the journal.
        """
        if turn.kind not in _BROUGHT:
            yield
            return
        lease = self._write_intent(turn, self._owners.me())
        try:
            yield
        except BaseException:
            with contextlib.suppress(OSError):
                self._journal.drop(turn.id, turn.session)
            raise
        finally:
            lease.release()

    def _settle(
        self, turn: Turn, pictures: tuple[Received, ...], copies: tuple[ImageRecord, ...]
    ) -> Turn:
        # All of its files bear one second, which is when the first of them came.
        now = self._came.get(turn.id) or dt.datetime.now(dt.UTC)
        staged = self._staged_images(turn)
        new = [one for one in pictures if not any(_is_same(one, image) for image in staged)]
        named = self._files_to_reuse(turn)
        images = (
            *(_completed(image, pictures) for image in staged),
            *(shelf.put(self.layout, turn, now, one, self._ids.new(), named=named) for one in new),
            *(attrs.evolve(one, id=self._ids.new(), source="copy") for one in copies),
        )
        settled = attrs.evolve(turn, images=images, finished=now, version=__version__)
        file = self.layout.turn_file(turn.session, turn.id)
        make_folder(file.parent)
        # The commit: before this line the turn is not settled, after it, it is.
        write_new(file, records.dump_turn(settled), self.layout.tmp)
        self._came.pop(turn.id, None)
        self._staged.pop(turn.id, None)
        self._half_staged.discard(turn.id)
        return settled

    def stage(self, turn: Turn, image: Received) -> None:
        """
        Write a finished picture durably before its turn is settled, and note in the journal where
        it is; `commit` takes it from there.

        Raises:
            DiskError: It cannot be written.
        """
        known = self._staged_images(turn)
        if any(_is_same(image, one) for one in known):
            return
        with disk_errors(self.layout.root):
            now = self._came.setdefault(turn.id, dt.datetime.now(dt.UTC))
            named = self._files_to_reuse(turn)
            self._half_staged.add(turn.id)
            staged = shelf.put(self.layout, turn, now, image, self._ids.new(), named=named)
            self._half_staged.discard(turn.id)
            self._staged[turn.id] = (*known, staged)
            self._journal.stage(turn, self._staged[turn.id])

    def _files_to_reuse(self, turn: Turn) -> set[str] | None:
        """
        Return the files that records name, where a picture may lie beside them already that was
        put there before, though nobody was told so; None where it cannot.
        """
        tried = turn.id in self._taken_over or turn.id in self._half_staged
        return self._named(turn.session) if tried else None

    def _staged_images(self, turn: Turn) -> tuple[ImageRecord, ...]:
        """
        Return the pictures of a turn that are on the disk already, by whichever program.
        """
        if turn.id in self._staged or turn.id not in self._taken_over:
            return self._staged.get(turn.id, ())
        intent = self._journal.read(Entry(turn_id=turn.id, session_id=turn.session))
        return () if intent is None else intent.staged

    def spill(self, turn_id: str, body: bytes) -> str:
        """
        Keep a reply that was paid for and could not be read; elsewhere, where the library cannot.
        """
        file = self.layout.spill / f"{turn_id}.bin"
        try:
            replace(file, body, self.layout.tmp)
        except OSError:
            with disk_errors(file):
                return elsewhere([(file.name, body)])[0]
        return str(file)

    def spending(self, query: SpendingQuery) -> tuple[Tally, ...]:
        """
        Add up what turns cost.
        """
        with disk_errors(self.layout.index):
            return tuple(self._index.tally(query, self._catch_up()))

    def examine(self, *, verify: bool) -> tuple[Check, ...]:
        """
        Look whether everything is as it should be; change nothing.

        Args:
            verify: Whether to read every picture and compare it with its record.
        """
        from . import health  # noqa: PLC0415 - slow to import, and hardly ever needed

        with contextlib.suppress(LibraryError, OSError):  # what stands in the way is found below
            self._catch_up(most=0)
            self._session_index.count()  # takes in those that it lacks
        return health.run_checks(
            self.layout,
            self._index,
            self._journal,
            self.pending,
            verify=verify,
            least_free=MIN_FREE_BYTES,
        )

    def find_upload(self, sha256: str, provider: str, at: dt.datetime) -> Upload | None:
        """
        Return the picture's id with a provider, if it lives; None if it must go up.
        """
        return self._uploads.find(sha256, provider, at)

    def start_upload(self, sha256: str, provider: str) -> Sending | None:
        """
        Give the right to send a picture up; None while another call of this program does.
        """
        return self._uploads.start(sha256, provider)

    def keep_upload(self, sha256: str, provider: str, upload: Upload) -> None:
        """
        Remember a picture's id with a provider, or that it takes no files.
        """
        self._uploads.keep(sha256, provider, upload)

    def drop_upload(self, sha256: str, provider: str) -> None:
        """
        Forget a picture's id that the provider does not know any more.
        """
        self._uploads.drop(sha256, provider)


def _is_same(received: Received, image: ImageRecord) -> bool:
    """
    Tell whether a picture is the one that a record is of.
    """
    if len(received.data) != image.bytes:
        return False
    named = received.call_id is not None and received.call_id == image.call_id
    return named or hashlib.sha256(received.data).hexdigest() == image.sha256


def _completed(image: ImageRecord, pictures: tuple[Received, ...]) -> ImageRecord:
    """
    Add to the record of a staged picture what became known of it later.
    """
    known = next((one for one in pictures if _is_same(one, image)), None)
    if known is None:
        return image
    return attrs.evolve(
        image,
        revised_prompt=known.revised_prompt or image.revised_prompt,
        call_id=known.call_id or image.call_id,
    )
