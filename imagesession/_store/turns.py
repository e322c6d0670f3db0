"""
Settling requests: images first, then the record that lists them, which is the commit.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import threading
from collections.abc import Callable, Generator

import attrs

from imagesession._domain.turn import ImageRecord, Turn
from imagesession._engine.http import ReceivedImage
from imagesession._version import __version__
from imagesession.errors import StorageError

from . import sidecar
from .files.fallback import save_reply, save_to_fallback
from .intents import IntentStore
from .ports import Key
from .records import intent_key, read_intent, read_turn, session_name, staged_fact
from .view import StorePart, View

_NOT_REQUESTED = frozenset({"import", "promotion"})
_THREAD_MIN_BYTES = 1_000_000


class TurnStore(StorePart):
    def __init__(self, view: View) -> None:
        super().__init__(view)
        self._intents = IntentStore(view)

    def commit(
        self, turn: Turn, pictures: tuple[ReceivedImage, ...], copies: tuple[ImageRecord, ...] = ()
    ) -> Turn:
        """
        Store a settled turn: its images, then the record that lists them. `copies` are images of
        the library that this turn has too, each under a new id. If it cannot be stored, the intent
        stays in the journal, and paid images are saved elsewhere.
        """
        try:
            with self._import_intent(turn):
                settled = self._write_record(turn, pictures, copies)
        except StorageError as error:
            if not pictures or turn.kind in _NOT_REQUESTED or turn.id in self.state.taken_over:
                raise  # the images are still at their source
            raise save_to_fallback(turn, pictures, error) from error
        sidecar.write_beside(self.blobs, settled, session_name(self.facts, settled))
        if self.state.on_settled is not None:
            self.state.on_settled(settled, settled.id in self.state.taken_over)
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
        lease = self._intents.add(turn)
        try:
            yield
        except BaseException:
            with contextlib.suppress(StorageError):
                self._intents.discard(turn)
            raise
        finally:
            lease.release()

    def _write_record(
        self, turn: Turn, pictures: tuple[ReceivedImage, ...], copies: tuple[ImageRecord, ...]
    ) -> Turn:
        # The names of all files have the time at which the first image was received.
        now = self.state.received_at.get(turn.id) or self.facts.now()
        staged = self._staged_images(turn)
        new = [
            picture for picture in pictures if not any(_is_same(picture, image) for image in staged)
        ]
        recorded = self._files_to_reuse(turn)
        images = (
            *(_with_later_facts(image, pictures) for image in staged),
            *(self._store_image(turn, now, picture, recorded) for picture in new),
            *(attrs.evolve(copy, id=self.ids.new(), source="copy") for copy in copies),
        )
        settled = attrs.evolve(turn, images=images, finished=now, version=__version__)
        lease = self.state.leases.get(turn.id)
        # The commit: before this line the turn is not settled, after it, it is.
        self.facts.settle(settled, None if lease is None else lease.right)
        self.state.received_at.pop(turn.id, None)
        self.state.staged.pop(turn.id, None)
        self.state.staging.discard(turn.id)
        return settled

    def stage(self, turn: Turn, image: ReceivedImage) -> None:
        """
        Write an image durably before its turn is settled, and record it in the journal; `commit`
        uses it.
        """
        earlier = self._staged_images(turn)
        if any(_is_same(image, staged_image) for staged_image in earlier):
            return
        now = self.state.received_at.setdefault(turn.id, self.facts.now())
        recorded = self._files_to_reuse(turn)
        self.state.staging.add(turn.id)
        staged = self._store_image(turn, now, image, recorded)
        self.state.staged[turn.id] = (*earlier, staged)
        self.state.staging.discard(turn.id)
        self.facts.extend(intent_key(turn), staged_fact(self.state.staged[turn.id]))

    def _store_image(
        self, turn: Turn, now: dt.datetime, received: ReceivedImage, recorded: set[str] | None
    ) -> ImageRecord:
        """
        Write an image durably. `recorded` are the files that records name, if an interrupted
        program may have written the image already; its own is added.
        """
        embedded = self._embed(turn, received)
        kept = received if embedded is None else embedded
        image_id, digest = self.ids.new(), _start_digest(kept.data)
        file = self.blobs.put_new(turn, now, kept, recorded)
        if recorded is not None:
            recorded.add(file)
        return ImageRecord(
            id=image_id,
            file=file,
            format=received.facts.format,
            width=received.facts.width,
            height=received.facts.height,
            bytes=len(kept.data),
            sha256=digest(),
            revised_prompt=received.revised_prompt,
            call_id=received.call_id,
            received_sha256=hashlib.sha256(received.data).hexdigest() if embedded else None,
            source=received.source,
        )

    def _embed(self, turn: Turn, received: ReceivedImage) -> ReceivedImage | None:
        if not self.state.embeds_metadata or turn.kind in _NOT_REQUESTED:
            return None
        from imagesession._imaging.embedding import embed  # noqa: PLC0415 - rarely needed

        data = embed(received.data, received.facts, sidecar.to_description(turn, received))
        return None if data is None else attrs.evolve(received, data=data)

    def _files_to_reuse(self, turn: Turn) -> set[str] | None:
        """
        Return the files that records name, if an unrecorded file of the turn may exist from an
        interrupted attempt; None if it cannot.
        """
        if turn.id not in self.state.taken_over and turn.id not in self.state.staging:
            return None
        files: set[str] = set()
        # The file of a standalone image has its own id in its name.
        for key in self.facts.scan("turn", turn.session) if turn.session else ():
            with contextlib.suppress(StorageError):
                files.update(image.file for image in read_turn(self.facts, key).images)
        return files

    def _staged_images(self, turn: Turn) -> tuple[ImageRecord, ...]:
        """
        Return the staged images of a turn, including those of an earlier owner.
        """
        if turn.id in self.state.staged or turn.id not in self.state.taken_over:
            return self.state.staged.get(turn.id, ())
        intent = read_intent(self.facts, intent_key(turn))
        return () if intent is None else intent.staged

    def quarantine(self, turn_id: str, body: bytes) -> str:
        """
        Store a paid reply that could not be read, outside of the library if need be; return its
        path.
        """
        key = Key("quarantine", turn_id)
        try:
            self.facts.replace(key, body)
        except StorageError:
            return save_reply(f"{turn_id}.bin", body, self.facts.describe(key))
        return self.facts.describe(key)


def _is_same(received: ReceivedImage, image: ImageRecord) -> bool:
    if image.received_sha256 is None and len(received.data) != image.bytes:
        return False
    same_call = received.call_id is not None and received.call_id == image.call_id
    known = image.received_sha256 or image.sha256
    return same_call or hashlib.sha256(received.data).hexdigest() == known


def _with_later_facts(image: ImageRecord, pictures: tuple[ReceivedImage, ...]) -> ImageRecord:
    received = next((picture for picture in pictures if _is_same(picture, image)), None)
    if received is None:
        return image
    return attrs.evolve(
        image,
        revised_prompt=received.revised_prompt or image.revised_prompt,
        call_id=received.call_id or image.call_id,
    )


def _start_digest(data: bytes) -> Callable[[], str]:
    """
    Start to compute a digest, in a thread if the data is large; return a function to wait for it.
    """

    def digest() -> str:
        return hashlib.sha256(data).hexdigest()

    if len(data) < _THREAD_MIN_BYTES:
        return digest
    results: list[str] = []
    thread = threading.Thread(target=lambda: results.append(digest()))
    try:
        thread.start()
    except RuntimeError:  # the interpreter is shutting down, and the image is paid for
        return digest

    def wait() -> str:
        thread.join()
        return results[0]

    return wait
