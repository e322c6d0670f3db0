"""
Copy a whole library into another one, whatever each of them is kept on.

Each image is compared with what was read after it was written, and a turn is written after its
images, a session after its turns. So a transfer that was interrupted is continued by starting it
again: what is there is not written twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, get_args

import attrs

from imagesession._domain.image_header import SUFFIXES
from imagesession._domain.marks import is_deleted
from imagesession._domain.reports import TransferReport
from imagesession._domain.turn import ImageRecord, Turn
from imagesession.errors import InvalidRequestError, StorageIOError

from . import codec, sidecar
from .ports import DISPOSABLE, Key, Kind, Ports
from .records import (
    intent_fact,
    intent_key,
    read_marks,
    read_turn,
    session_name,
    staged_fact,
    to_received,
    turn_key,
    without_files,
)
from .strict_reader import parse_object

_HANDLED: frozenset[Kind] = frozenset({"turn", "session", "intent"})


def transfer(source: Ports, target: Ports) -> TransferReport:
    """
    Copy all that a library has into another one.

    Args:
        source: The library to read; nothing in it is changed.
        target: An empty library, or one into which this source was transferred before.
    """
    copy = _Copy(source, target)
    copy.check()
    for session in (None, *copy.sessions):
        copy.turns(session)
    for kind in get_args(Kind):
        if kind not in DISPOSABLE | _HANDLED:  # the target learns the disposable ones anew
            copy.facts(kind)
    copy.intents()
    copy.facts("session")
    return TransferReport(
        sessions=len(copy.sessions),
        turns=copy.count,
        images=copy.images,
        copied=copy.copied,
        missing=tuple(copy.missing),
        damaged=tuple(copy.damaged),
    )


@attrs.define(eq=False)
class _Copy:
    source: Ports
    target: Ports
    sessions: tuple[str, ...] = ()
    count: int = 0
    images: int = 0
    copied: int = 0
    missing: list[str] = attrs.field(factory=list[str])
    damaged: list[str] = attrs.field(factory=list[str])

    def check(self) -> None:
        if self.source.address == self.target.address:
            raise InvalidRequestError("A library cannot be transferred into itself.")
        self.sessions = tuple(key.id for key in self.source.facts.scan("session"))
        for key, _ in self.source.facts.unsettled():
            if self.source.rights.is_held(f"intent {key.id}"):
                raise StorageIOError(
                    f"A program works on the request of turn {key.id}, so nothing was copied. End "
                    "the programs on that library, then start the transfer again."
                )
        for key in self._known():
            if not self.source.facts.has(key):
                raise InvalidRequestError(
                    f"{self.target.address} has a {key.kind} that {self.source.address} lacks "
                    f"({key.id}), so nothing was copied. Transfer into an empty library."
                )

    def _known(self) -> Iterator[Key]:
        sessions = tuple(self.target.facts.scan("session"))
        yield from sessions
        for session in (None, *(key.id for key in sessions)):
            yield from self.target.facts.scan("turn", session)

    # --- turns ------------------------------------------------------------------------------------

    def turns(self, session: str | None) -> None:
        keys = tuple(self.source.facts.scan("turn", session))
        present = set(self.target.facts.scan("turn", session))
        recorded = {
            image.file for key in present for image in read_turn(self.target.facts, key).images
        }
        for key in keys:
            turn = read_turn(self.source.facts, key)
            self.count += 1
            self.images += len(turn.images)
            if key in present:
                self._compare(turn, read_turn(self.target.facts, key))
            else:
                self._copy_turn(turn, recorded)

    def _compare(self, turn: Turn, copy: Turn) -> None:
        if without_files(turn) != without_files(copy):
            raise InvalidRequestError(
                f"Turn {turn.id} was changed since it was copied into {self.target.address}. "
                "Transfer into an empty library."
            )

    def _copy_turn(self, turn: Turn, recorded: set[str]) -> None:
        copy = attrs.evolve(turn, images=tuple(self._copy_images(turn, turn.images, recorded)))
        # An index may learn of a turn from its intent; the turn is settled, so it is no request.
        facts = {turn_key(copy): codec.dump_turn(copy)}
        intents = {} if self.target.facts.has(intent_key(copy)) else dict([intent_fact(copy)])
        self.target.facts.put_new({**facts, **intents})
        name = session_name(self.source.facts, turn)
        sidecar.write_beside(self.target.blobs, copy, name)
        marks = read_marks(self.source.facts, turn.session or turn.id)
        is_in_bin = turn.session is not None and is_deleted(marks, turn.session)
        for image in copy.images:
            if is_in_bin or is_deleted(marks, image.id):
                self.target.blobs.set_aside(image.file)

    def _copy_images(
        self, turn: Turn, images: tuple[ImageRecord, ...], recorded: set[str]
    ) -> Iterator[ImageRecord]:
        for image in images:
            file = self._copy_image(turn, image, recorded)
            recorded.add(file)
            yield attrs.evolve(image, file=file)

    def _copy_image(self, turn: Turn, image: ImageRecord, recorded: set[str]) -> str:
        try:
            data = self.source.blobs.get(image.file)
        except FileNotFoundError:
            self.missing.append(image.id)
            return f"missing/{image.id}{SUFFIXES[image.format]}"
        except OSError as error:
            raise StorageIOError(
                f"Image {image.id} cannot be read from {self.source.blobs.address(image.file)}: "
                f"{error.strerror}. Start the transfer again once it can be."
            ) from error
        if _digest(data) != image.sha256:
            self.damaged.append(image.id)
        at = turn.finished or turn.started
        file = self.target.blobs.put_new(turn, at, to_received(image, data), recorded)
        if _digest(self.target.blobs.get(file)) != _digest(data):
            raise StorageIOError(
                f"Image {image.id} is not what was written to "
                f"{self.target.blobs.address(file)}. Check that storage, then start again."
            )
        self.copied += 1
        return file

    # --- other facts ------------------------------------------------------------------------------

    def facts(self, kind: Kind) -> None:
        for key in tuple(self.source.facts.scan(kind)):
            data = self.source.facts.get(key)
            known = self.target.facts.get(key)
            if data is not None and known is None:
                self.target.facts.put_new({key: data})
            elif data is not None and known != data:
                self.target.facts.replace(key, data)

    def intents(self) -> None:
        for key, data in self.source.facts.unsettled():
            if not self.target.facts.has(key):
                self.target.facts.put_new({key: self._with_staged(key, data)})

    def _with_staged(self, key: Key, data: bytes) -> bytes:
        where = self.source.facts.describe(key)
        members: dict[str, Any] = parse_object(data)
        staged = codec.read_images(members, where)
        if staged:
            turn = codec.to_turn(members["turn"], where)
            members |= staged_fact(self._copy_images(turn, staged, set()))
        return json.dumps(members).encode("ascii")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
