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

from imagesession._domain.health import HealthCheck
from imagesession._domain.turn import ImageRecord, Turn
from imagesession._engine.http import ReceivedImage
from imagesession._engine.leases import BudgetReservation
from imagesession._engine.store import CostTotals, IdAndTime, SpendingQuery, Upload
from imagesession._version import __version__
from imagesession.errors import StorageError, StorageIOError

from . import admission, codec, image_files
from .atomic_write import (
    check_writable,
    create_durable,
    ensure_dir,
    replace_durable,
    translate_os_errors,
)
from .batches import BatchStore
from .export import SessionExport
from .fallback import save_to_fallback, write_temp_copies
from .intent_leases import IntentLease, IntentLeases
from .journal import Entry
from .layout import image_dir
from .rate_limits import RateLimits
from .safe_open import open_dir_within
from .upload_cache import UploadCache, UploadLock

MIN_FREE_BYTES = 64_000_000
BYTES_PER_PENDING_IMAGE = 4_000_000
MAX_UNINDEXED = 200
_BROUGHT = frozenset({"import", "promotion"})


class LibraryStore(SessionExport, BatchStore, IntentLeases, RateLimits):
    """
    A folder of pictures and of all that is known of them.

    Args:
        root: The folder; made if it is missing.

    Raises:
        StorageIOError: The folder cannot be used.
        UnsupportedFormatVersionError: A newer imagesession wrote it.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._uploads = UploadCache(self.layout)

    def new_id(self, after: str = "") -> IdAndTime:
        """
        Give out the time and an id, greater than one that is there already.
        """
        return IdAndTime(id=self._ids.new(after), at=dt.datetime.now(dt.UTC))

    def write_intent(
        self, turn: Turn, reservation: BudgetReservation | None = None
    ) -> Turn | IntentLease:
        """
        Write down durably what is about to be asked, if there is room for what will come and
        the budget allows it; give the turn that was made under its intent's name before, if any.

        Returns:
            The right to be at it; or the turn that was made before.

        Raises:
            StorageIOError: The library cannot be written, or its disk is nearly full; so this is
                found before anything is paid for.
            BudgetExceededError: It may cost more than is left.
            OutcomeUnknownError: It was asked for under the same name, and is not settled.
        """
        with translate_os_errors(self.layout.journal):
            self._check_free_space()
            self._check_target_dirs(turn)
            owner = self._owners.current_owner()
            if reservation is None and turn.idempotency_key is None:
                return self._write_intent(turn, owner)
            self._refresh_index()
            with self._index.locked() as connection:
                made = admission.admit(
                    turn, reservation, connection, self._journal, self._read_turn
                )
                if made is None:
                    return self._write_intent(turn, owner)
            return made

    def _write_intent(self, turn: Turn, owner: str) -> IntentLease:
        # Held first: otherwise another thread might take it for one that was let go of.
        lease = self._lease(turn)
        try:
            self._journal.append_intent(turn, owner)
        except BaseException:
            lease.release()
            raise
        return lease

    def _check_batch(self, turns: Sequence[Turn]) -> None:
        self._check_free_space()
        for turn in {image_dir(turn): turn for turn in turns}.values():
            self._check_target_dirs(turn)

    def find_intent(self, idempotency_key: str) -> Turn | None:
        """
        Return the turn that was completed under a caller's own name for it.

        Raises:
            OutcomeUnknownError: It was asked for, and nobody can tell what became of it.
        """
        with translate_os_errors(self.layout.index):
            settled = self._index.find_intent(idempotency_key, self._refresh_index())
        return admission.completed_under_key(
            idempotency_key, (self._read_turn(*item) for item in settled)
        )

    def _check_free_space(self) -> None:
        free = shutil.disk_usage(self.layout.journal).free
        # What is under way will want its room too.
        wanted = MIN_FREE_BYTES + BYTES_PER_PENDING_IMAGE * len(self._at_work)
        if free < wanted:
            raise StorageIOError(
                f"The disk of {self.layout.root} has {free / 1e6:.0f} MB left; at least "
                f"{wanted / 1e6:.0f} MB are wanted before a picture is paid for. Make room."
            )

    def _check_target_dirs(self, turn: Turn) -> None:
        """
        Find a folder that would not take the turn's pictures or its record.
        """
        records_folder = self.layout.turn_file(turn.session, turn.id).parent
        ensure_dir(records_folder)
        check_writable(records_folder)
        pictures_folder = image_dir(turn)
        with open_dir_within(self.layout.root, pictures_folder, make=True) as folder:
            check_writable(self.layout.root / pictures_folder, folder)

    def record_response_id(self, turn: Turn, response_id: str) -> None:
        """
        Write down durably the provider's id of what was asked.

        Raises:
            StorageIOError: It cannot be written; that is tried once more when the intent is let go
                of.
        """
        self._unwritten[turn.id] = response_id
        with translate_os_errors(self.layout.journal):
            self._journal.append_response_id(turn, response_id)
        del self._unwritten[turn.id]

    def record_conversation(self, turn: Turn, conversation: str | None) -> None:
        """
        Write down durably that a turn is asked in another conversation than was intended.
        """
        with translate_os_errors(self.layout.journal):
            self._journal.append_conversation(turn, conversation)

    def discard_intent(self, turn: Turn) -> None:
        """
        Drop an intent that the provider did not take up.
        """
        with translate_os_errors(self.layout.journal):
            self._journal.remove(turn.id, turn.session)

    def commit(
        self, turn: Turn, pictures: tuple[ReceivedImage, ...], copies: tuple[ImageRecord, ...] = ()
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
            StorageIOError: It cannot be kept; the intent stays in the journal, and pictures that
                were paid for are put elsewhere.
        """
        try:
            with translate_os_errors(self.layout.root), self._import_intent(turn):
                settled = self._write_record(turn, pictures, copies)
        except StorageError as error:
            if not pictures or turn.kind in _BROUGHT or turn.id in self._taken_over:
                raise  # it is still where it came from
            raise save_to_fallback(turn, pictures, error) from error
        self._recently_settled[settled.id] = settled
        # What is left can be made again, and does not undo that the turn is kept.
        with contextlib.suppress(OSError):
            image_files.write_sidecars(self.layout, settled, self._session_name(settled))
        with contextlib.suppress(StorageError, OSError):
            self._unindexed += 1
            if self._unindexed > MAX_UNINDEXED:
                self._refresh_index(most=0)
        return settled

    @contextlib.contextmanager
    def _import_intent(self, turn: Turn) -> Generator[None, None, None]:
        """
        Write down what is brought in and was not asked for, so that it is taken into the index as
        what was asked for is: from the journal.
        """
        if turn.kind not in _BROUGHT:
            yield
            return
        lease = self._write_intent(turn, self._owners.current_owner())
        try:
            yield
        except BaseException:
            with contextlib.suppress(OSError):
                self._journal.remove(turn.id, turn.session)
            raise
        finally:
            lease.release()

    def _write_record(
        self, turn: Turn, pictures: tuple[ReceivedImage, ...], copies: tuple[ImageRecord, ...]
    ) -> Turn:
        # All of its files bear one second, which is when the first of them came.
        now = self._came.get(turn.id) or dt.datetime.now(dt.UTC)
        staged = self._staged_images(turn)
        new = [
            picture for picture in pictures if not any(_is_same(picture, image) for image in staged)
        ]
        named = self._files_to_reuse(turn)
        images = (
            *(_completed(image, pictures) for image in staged),
            *(
                image_files.store_image(self.layout, turn, now, item, self._ids.new(), named=named)
                for item in new
            ),
            *(attrs.evolve(copy, id=self._ids.new(), source="copy") for copy in copies),
        )
        settled = attrs.evolve(turn, images=images, finished=now, version=__version__)
        file = self.layout.turn_file(turn.session, turn.id)
        ensure_dir(file.parent)
        # The commit: before this line the turn is not settled, after it, it is.
        create_durable(file, codec.dump_turn(settled), self.layout.tmp)
        self._came.pop(turn.id, None)
        self._staged.pop(turn.id, None)
        self._half_staged.discard(turn.id)
        return settled

    def stage(self, turn: Turn, image: ReceivedImage) -> None:
        """
        Write a finished picture durably before its turn is settled, and note in the journal where
        it is; `commit` takes it from there.

        Raises:
            StorageIOError: It cannot be written.
        """
        known = self._staged_images(turn)
        if any(_is_same(image, item) for item in known):
            return
        with translate_os_errors(self.layout.root):
            now = self._came.setdefault(turn.id, dt.datetime.now(dt.UTC))
            named = self._files_to_reuse(turn)
            self._half_staged.add(turn.id)
            staged = image_files.store_image(
                self.layout, turn, now, image, self._ids.new(), named=named
            )
            self._half_staged.discard(turn.id)
            self._staged[turn.id] = (*known, staged)
            self._journal.stage(turn, self._staged[turn.id])

    def _files_to_reuse(self, turn: Turn) -> set[str] | None:
        """
        Return the files that records name, where a picture may lie beside them already that was
        put there before, though nobody was told so; None where it cannot.
        """
        tried = turn.id in self._taken_over or turn.id in self._half_staged
        return self._referenced_files(turn.session) if tried else None

    def _staged_images(self, turn: Turn) -> tuple[ImageRecord, ...]:
        """
        Return the pictures of a turn that are on the disk already, by whichever program.
        """
        if turn.id in self._staged or turn.id not in self._taken_over:
            return self._staged.get(turn.id, ())
        intent = self._journal.read(Entry(turn_id=turn.id, session_id=turn.session))
        return () if intent is None else intent.staged

    def quarantine(self, turn_id: str, body: bytes) -> str:
        """
        Keep a reply that was paid for and could not be read; elsewhere, where the library cannot.
        """
        file = self.layout.quarantine / f"{turn_id}.bin"
        try:
            replace_durable(file, body, self.layout.tmp)
        except OSError:
            with translate_os_errors(file):
                return write_temp_copies([(file.name, body)])[0]
        return str(file)

    def spending(self, query: SpendingQuery) -> tuple[CostTotals, ...]:
        """
        Add up what turns cost.
        """
        with translate_os_errors(self.layout.index):
            return tuple(self._index.sum_costs(query, self._refresh_index()))

    def check_health(self, *, verify: bool) -> tuple[HealthCheck, ...]:
        """
        Look whether everything is as it should be; change nothing.

        Args:
            verify: Whether to read every picture and compare it with its record.
        """
        from . import health  # noqa: PLC0415 - slow to import, and hardly ever needed

        with contextlib.suppress(StorageError, OSError):  # what stands in the way is found below
            self._refresh_index(most=0)
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

    def begin_upload(self, sha256: str, provider: str) -> UploadLock | None:
        """
        Give the right to send a picture up; None while another call of this program does.
        """
        return self._uploads.start(sha256, provider)

    def record_upload(self, sha256: str, provider: str, upload: Upload) -> None:
        """
        Remember a picture's id with a provider, or that it takes no files.
        """
        self._uploads.record(sha256, provider, upload)

    def invalidate_upload(self, sha256: str, provider: str) -> None:
        """
        Forget a picture's id that the provider does not know any more.
        """
        self._uploads.invalidate(sha256, provider)


def _is_same(received: ReceivedImage, image: ImageRecord) -> bool:
    """
    Tell whether a picture is the one that a record is of.
    """
    if len(received.data) != image.bytes:
        return False
    named = received.call_id is not None and received.call_id == image.call_id
    return named or hashlib.sha256(received.data).hexdigest() == image.sha256


def _completed(image: ImageRecord, pictures: tuple[ReceivedImage, ...]) -> ImageRecord:
    """
    Add to the record of a staged picture what became known of it later.
    """
    known = next((picture for picture in pictures if _is_same(picture, image)), None)
    if known is None:
        return image
    return attrs.evolve(
        image,
        revised_prompt=known.revised_prompt or image.revised_prompt,
        call_id=known.call_id or image.call_id,
    )
