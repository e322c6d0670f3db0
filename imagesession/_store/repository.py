"""
A library on disk: the `Store` that workflows call.
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
_NOT_REQUESTED = frozenset({"import", "promotion"})


class LibraryStore(SessionExport, BatchStore, IntentLeases, RateLimits):
    """
    A folder of images and their records.

    Args:
        root: The folder; created if it is missing.

    Raises:
        StorageIOError: The folder cannot be used.
        UnsupportedFormatVersionError: A newer imagesession wrote it.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._uploads = UploadCache(self.layout)

    def new_id(self, after: str = "") -> IdAndTime:
        """
        Return the time and a new id, greater than `after`.
        """
        return IdAndTime(id=self._ids.new(after), at=dt.datetime.now(dt.UTC))

    def write_intent(
        self, turn: Turn, reservation: BudgetReservation | None = None
    ) -> Turn | IntentLease:
        """
        Write an intent durably, if the disk has room for its images and the budget allows it.

        Returns:
            The intent's lease; or the turn that was completed under its idempotency key before.

        Raises:
            StorageIOError: The library cannot be written, or its disk is nearly full: this is
                checked before anything is paid for.
            BudgetExceededError: The turn may cost more than is left.
            OutcomeUnknownError: A request with the same key is not settled, or its outcome is
                unknown.
        """
        with translate_os_errors(self.layout.journal):
            self._check_free_space()
            self._check_target_dirs(turn)
            owner = self._processes.current_owner()
            if reservation is None and turn.idempotency_key is None:
                return self._write_intent(turn, owner)
            self._refresh_index()
            with self._index.locked() as connection:
                completed = admission.admit(
                    turn, reservation, connection, self._journal, self._read_turn
                )
                if completed is None:
                    return self._write_intent(turn, owner)
            return completed

    def _write_intent(self, turn: Turn, owner: str) -> IntentLease:
        # Leased first: otherwise another thread could take the intent over.
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
        Return the turn that was completed under an idempotency key.

        Raises:
            OutcomeUnknownError: None was completed, and the outcome of a request is unknown.
        """
        with translate_os_errors(self.layout.index):
            settled = self._index.find_intent(idempotency_key, self._refresh_index())
        return admission.completed_under_key(
            idempotency_key, (self._read_turn(*item) for item in settled)
        )

    def _check_free_space(self) -> None:
        free = shutil.disk_usage(self.layout.journal).free
        # Requests that are under way need room too.
        needed = MIN_FREE_BYTES + BYTES_PER_PENDING_IMAGE * len(self._leases)
        if free < needed:
            raise StorageIOError(
                f"The disk of {self.layout.root} has {free / 1e6:.0f} MB left, and at least "
                f"{needed / 1e6:.0f} MB are needed before a picture is requested. Make room."
            )

    def _check_target_dirs(self, turn: Turn) -> None:
        """
        Check that the folders of the turn's images and record can be written.
        """
        records_folder = self.layout.turn_file(turn.session, turn.id).parent
        ensure_dir(records_folder)
        check_writable(records_folder)
        pictures_folder = image_dir(turn)
        with open_dir_within(self.layout.root, pictures_folder, make=True) as folder:
            check_writable(self.layout.root / pictures_folder, folder)

    def record_response_id(self, turn: Turn, response_id: str) -> None:
        """
        Record the provider's response id durably.

        Raises:
            StorageIOError: It cannot be written; this is tried again when the intent is released.
        """
        self._unwritten_response_ids[turn.id] = response_id
        with translate_os_errors(self.layout.journal):
            self._journal.append_response_id(turn, response_id)
        del self._unwritten_response_ids[turn.id]

    def record_conversation(self, turn: Turn, conversation: str | None) -> None:
        """
        Record durably that a turn is sent in another conversation than was planned.
        """
        with translate_os_errors(self.layout.journal):
            self._journal.append_conversation(turn, conversation)

    def discard_intent(self, turn: Turn) -> None:
        """
        Drop an intent that the provider did not accept.
        """
        with translate_os_errors(self.layout.journal):
            self._journal.remove(turn.id, turn.session)

    def commit(
        self, turn: Turn, pictures: tuple[ReceivedImage, ...], copies: tuple[ImageRecord, ...] = ()
    ) -> Turn:
        """
        Store a settled turn: its images, then the record that lists them.

        The index is not changed: the next listing indexes the turn from the journal.

        Args:
            turn: The settled turn.
            pictures: The images to write.
            copies: Images of the library that this turn has too, each under a new id.

        Returns:
            The turn as it was recorded, with its images.

        Raises:
            StorageIOError: It cannot be stored; the intent stays in the journal, and paid images
                are saved elsewhere.
        """
        try:
            with translate_os_errors(self.layout.root), self._import_intent(turn):
                settled = self._write_record(turn, pictures, copies)
        except StorageError as error:
            if not pictures or turn.kind in _NOT_REQUESTED or turn.id in self._taken_over:
                raise  # the images are still at their source
            raise save_to_fallback(turn, pictures, error) from error
        self._recently_settled[settled.id] = settled
        # The sidecars and the index can be rebuilt: if they fail, the turn is committed anyway.
        with contextlib.suppress(OSError):
            image_files.write_sidecars(self.layout, settled, self._session_name(settled))
        with contextlib.suppress(StorageError, OSError):
            self._unindexed += 1
            if self._unindexed > MAX_UNINDEXED:
                self._refresh_index(max_pending=0)
        return settled

    @contextlib.contextmanager
    def _import_intent(self, turn: Turn) -> Generator[None, None, None]:
        """
        Write an intent for an import or a promotion, so that it is indexed from the journal, as
        requested turns are.
        """
        if turn.kind not in _NOT_REQUESTED:
            yield
            return
        lease = self._write_intent(turn, self._processes.current_owner())
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
        # The names of all files have the time at which the first image was received.
        now = self._received_at.get(turn.id) or dt.datetime.now(dt.UTC)
        staged = self._staged_images(turn)
        new = [
            picture for picture in pictures if not any(_is_same(picture, image) for image in staged)
        ]
        recorded_files = self._files_to_reuse(turn)
        images = (
            *(_with_later_facts(image, pictures) for image in staged),
            *(
                image_files.store_image(
                    self.layout, turn, now, picture, self._ids.new(), recorded_files=recorded_files
                )
                for picture in new
            ),
            *(attrs.evolve(copy, id=self._ids.new(), source="copy") for copy in copies),
        )
        settled = attrs.evolve(turn, images=images, finished=now, version=__version__)
        file = self.layout.turn_file(turn.session, turn.id)
        ensure_dir(file.parent)
        # The commit: before this line the turn is not settled, after it, it is.
        create_durable(file, codec.dump_turn(settled), self.layout.tmp)
        self._received_at.pop(turn.id, None)
        self._staged.pop(turn.id, None)
        self._staging.discard(turn.id)
        return settled

    def stage(self, turn: Turn, image: ReceivedImage) -> None:
        """
        Write an image durably before its turn is settled, and record it in the journal; `commit`
        uses it.

        Raises:
            StorageIOError: It cannot be written.
        """
        earlier = self._staged_images(turn)
        if any(_is_same(image, staged_image) for staged_image in earlier):
            return
        with translate_os_errors(self.layout.root):
            now = self._received_at.setdefault(turn.id, dt.datetime.now(dt.UTC))
            recorded_files = self._files_to_reuse(turn)
            self._staging.add(turn.id)
            staged = image_files.store_image(
                self.layout, turn, now, image, self._ids.new(), recorded_files=recorded_files
            )
            self._staged[turn.id] = (*earlier, staged)
            self._staging.discard(turn.id)
            self._journal.append_staged(turn, self._staged[turn.id])

    def _files_to_reuse(self, turn: Turn) -> set[str] | None:
        """
        Return the files that records name, if an unrecorded file of the turn may exist from an
        interrupted attempt; None if it cannot.
        """
        maybe_written = turn.id in self._taken_over or turn.id in self._staging
        return self._referenced_files(turn.session) if maybe_written else None

    def _staged_images(self, turn: Turn) -> tuple[ImageRecord, ...]:
        """
        Return the staged images of a turn, including those of an earlier owner.
        """
        if turn.id in self._staged or turn.id not in self._taken_over:
            return self._staged.get(turn.id, ())
        intent = self._journal.read(Entry(turn_id=turn.id, session_id=turn.session))
        return () if intent is None else intent.staged

    def quarantine(self, turn_id: str, body: bytes) -> str:
        """
        Store a paid reply that could not be read, outside of the library if need be; return its
        path.
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
        Sum the costs of turns by group.
        """
        with translate_os_errors(self.layout.index):
            return tuple(self._index.sum_costs(query, self._refresh_index()))

    def check_health(self, *, verify: bool) -> tuple[HealthCheck, ...]:
        """
        Check the library without changing records or images.

        Args:
            verify: Whether to read every image and compare it with its record.
        """
        from . import health  # noqa: PLC0415 - slow to import, and hardly ever needed

        with contextlib.suppress(StorageError, OSError):  # the checks below report the cause
            self._refresh_index(max_pending=0)
            self._session_index.count()  # indexes missing sessions
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
        Return an image's upload with a provider; None if it must be uploaded.
        """
        return self._uploads.find(sha256, provider, at)

    def begin_upload(self, sha256: str, provider: str) -> UploadLock | None:
        """
        Return the right to upload an image; None while another call of this program has it.
        """
        return self._uploads.start(sha256, provider)

    def record_upload(self, sha256: str, provider: str, upload: Upload) -> None:
        """
        Remember an image's upload, or that the provider accepts no files.
        """
        self._uploads.record(sha256, provider, upload)

    def invalidate_upload(self, sha256: str, provider: str) -> None:
        """
        Forget an upload that the provider does not know any more.
        """
        self._uploads.invalidate(sha256, provider)


def _is_same(received: ReceivedImage, image: ImageRecord) -> bool:
    """
    Tell whether a received image is the one of a record.
    """
    if len(received.data) != image.bytes:
        return False
    same_call = received.call_id is not None and received.call_id == image.call_id
    return same_call or hashlib.sha256(received.data).hexdigest() == image.sha256


def _with_later_facts(image: ImageRecord, pictures: tuple[ReceivedImage, ...]) -> ImageRecord:
    """
    Add facts that became known later to the record of a staged image.
    """
    received = next((picture for picture in pictures if _is_same(picture, image)), None)
    if received is None:
        return image
    return attrs.evolve(
        image,
        revised_prompt=received.revised_prompt or image.revised_prompt,
        call_id=received.call_id or image.call_id,
    )
