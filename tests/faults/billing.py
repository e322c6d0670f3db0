"""
Compare what was paid for with what a library stored.
"""

from __future__ import annotations

import collections
import hashlib
import itertools
import threading
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import attrs

from imagesession._domain.turn import Turn
from imagesession._imaging.decode import decode_image
from imagesession._store import codec
from imagesession._store.disk.layout import STANDALONE
from imagesession.testing import Delay, FakeOpenAI, FakeRequest, FakeResponse
from tests.faults.tiny import TinySketcher

SIZE = 64, 64


class Till(FakeOpenAI):
    """
    A provider that accepts a request at once, answers after a delay, and counts accepted requests.

    Attributes:
        billed: How often each turn was accepted.
    """

    def __init__(
        self,
        delay: Callable[[], float] = lambda: 0.03,
        *,
        latency: float = 0.05,
    ) -> None:
        # Drawing would take longer than all that is tested here.
        super().__init__(latency=latency, sketcher=TinySketcher())
        self.billed: collections.Counter[str] = collections.Counter()
        self._delay = delay
        self._guard = threading.Lock()

    def handle(self, call: FakeRequest) -> FakeResponse:
        """
        Answer a call; delay the answers to paid requests.
        """
        answer = super().handle(call)
        if (call.method, call.path) != ("POST", "/responses") or answer.status != HTTPStatus.OK:
            return answer
        with self._guard:
            self.billed[call.json["metadata"]["imagesession_turn"]] += 1
            pause = Delay(self._delay())
        return attrs.evolve(answer, parts=itertools.chain((pause,), answer.parts))


@attrs.frozen(kw_only=True)
class Audit:
    """
    The outcomes of paid requests.

    Attributes:
        billed: The number of turns that were paid for.
        twice: Turns that were paid for more than once.
        kept: The number of stored images.
        unknown: Turns that were paid for, and settled as unknown because their ids are not known.
        lost: Turns that were paid for, without an image or such a record.
        corrupt: Images that do not match their records, or are not images.
        stray: Image files in the library that no record names.
    """

    billed: int
    twice: tuple[str, ...]
    kept: int
    unknown: tuple[str, ...]
    lost: tuple[str, ...]
    corrupt: tuple[str, ...]
    stray: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(
            f"{field.name} {count if isinstance(count, int) else len(count)}"
            for field in attrs.fields(Audit)
            for count in [getattr(self, field.name)]
        )


def audit(root: Path, billed: collections.Counter[str]) -> Audit:
    """
    Compare what was paid for with a library.
    """
    turns = {turn.id: turn for turn in all_turns(root)}
    images = [image for turn in turns.values() for image in turn.images]
    kept = {turn.id for turn in turns.values() if turn.images}
    unknown = {turn.id for turn in turns.values() if is_unknown(turn)}
    files = {
        str(file.relative_to(root))
        for file in root.rglob("session_*")
        if file.suffix not in {".json", ".jsonl"}
    }
    return Audit(
        billed=len(billed),
        twice=tuple(turn for turn, count in billed.items() if count > 1),
        kept=len(images),
        unknown=tuple(sorted(billed.keys() & unknown)),
        lost=tuple(sorted(billed.keys() - kept - unknown)),
        corrupt=tuple(item.file for item in images if not _is_sound(root / item.file, item.sha256)),
        stray=tuple(sorted(files - {image.file for image in images})),
    )


def all_turns(root: Path) -> list[Turn]:
    """
    Read every record of a library, strictly.
    """
    folder = root / ".imagesession" / "turns"
    return [
        attrs.evolve(
            codec.read_turn(file.read_bytes(), str(file)),
            session=None if file.parent.name == STANDALONE else file.parent.name,
        )
        for file in sorted(folder.rglob("*.json"))
    ]


def is_unknown(turn: Turn) -> bool:
    """
    Tell whether a turn was settled with an unknown outcome, and its id is not known.
    """
    unknown = turn.failure is not None and turn.failure.error == "OutcomeUnknownError"
    return unknown and turn.response_id is None


def unsettled(root: Path) -> list[str]:
    """
    Return the names of the journal's files whose turns have no record. Unfinished intents do not
    count: nothing is sent before an intent is complete.
    """
    settled = {turn.id for turn in all_turns(root)}
    files = (root / ".imagesession" / "journal").iterdir()
    names = [file.name for file in files if b"\n" in file.read_bytes()]
    return [name for name in names if name.partition(".")[0] not in settled]


def _is_sound(file: Path, sha256: str) -> bool:
    data = file.read_bytes() if file.is_file() else b""
    if hashlib.sha256(data).hexdigest() != sha256:
        return False
    return decode_image(data, file.name).size > (0, 0)
