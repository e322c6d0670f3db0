"""
A program is killed before and after each durable step of a generation: a paid image is stored once,
whatever the step.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Generator, Iterable
from pathlib import Path

import attrs
import pytest

from imagesession import ImageSession, Studio
from imagesession._domain.turn import ProviderState, short_id
from imagesession.testing import serve
from tests.faults.billing import Till, is_unknown
from tests.faults.dying import Kill, When, dying

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="programs are forked and killed"),
    pytest.mark.usefixtures("no_acceptance_timeout"),
]
KILLED = -int(getattr(signal, "SIGKILL", 9))


@attrs.frozen(kw_only=True)
class Case:
    """
    The outcome of a request whose program was killed at a step.

    Attributes:
        step: The step's number.
        when: Whether the program was killed before or after it.
        billed: How often the request was paid for.
        kept: The number of images in the session.
        files: The number of the session's image files.
        unknown: Whether the turn is settled with an unknown outcome.
        goes_on: Whether the session can continue.
    """

    step: int
    when: When
    billed: int
    kept: int
    files: int
    unknown: bool
    goes_on: bool

    @property
    def is_correct(self) -> bool:
        """
        Whether the image is stored once if it was paid for, with a single file.
        """
        return self.goes_on and self.billed == self.kept == self.files <= 1


@attrs.frozen
class Place:
    """
    A library, its provider, and a function that runs and kills a program.
    """

    studio: Studio
    provider: Till
    kill: Kill
    state: ProviderState

    def steps(self, when: When = "before") -> int:
        """
        Return the number of steps of a generation. A step that fails has a before and no after.
        """
        self.studio.recover()  # so that the program need not recover
        session = self.studio.session("all steps", provider_state=self.state)
        return self.kill(session.id, 10_000, when)

    def cases(self, steps: Iterable[tuple[int, When]]) -> list[Case]:
        """
        Kill the program at each of some steps, recover, and return the outcomes.
        """
        return [self._case(step, when) for step, when in steps]

    def _case(self, step: int, when: When) -> Case:
        session = self.studio.session(f"{step} {when}", provider_state=self.state)
        paid = self.provider.billed.total()
        assert self.kill(session.id, step, when) == KILLED
        assert self.studio.recover(timeout=0.3).still_pending == {}
        assert self.studio.recover().images == ()
        images = session.images()
        assert all(image.bytes for image in images)
        return Case(
            step=step,
            when=when,
            billed=self.provider.billed.total() - paid,
            kept=len(images),
            files=len(self._files(session)),
            unknown=any(is_unknown(turn) for turn in session.turns()),
            goes_on=self._goes_on(session),
        )

    def _files(self, session: ImageSession) -> list[Path]:
        pattern = f"session_{short_id(session.id)}_*.png"
        return list((Path(self.studio.library) / "general").glob(pattern))

    def _goes_on(self, session: ImageSession) -> bool:
        kept = session.images()
        parent = session.generate("bluer").parent
        return parent == (kept[0].turn.id if kept else None)


@contextlib.contextmanager
def place(
    root: Path, *forgetful: str, state: ProviderState = "conversation"
) -> Generator[Place, None, None]:
    """
    Serve a provider, and start the program whose children are killed.
    """
    provider = Till(lambda: 0.0, latency=0.0)
    with serve(provider) as served, Studio(root, api_key="x", base_url=served.base_url) as studio:
        arguments = (str(root), served.base_url, *forgetful)
        with dying("tests.faults.steps", *arguments) as kill:
            yield Place(studio, provider, kill, state)


@pytest.mark.parametrize(
    "whens",
    [("before",), pytest.param(("before", "after"), marks=pytest.mark.faults)],
    ids=["before", "around"],
)
def test_kill_at_any_step_loses_nothing(tmp_path: Path, whens: tuple[When, ...]) -> None:
    """
    A paid image is stored once, with one file, and its session continues, even if the program was
    killed before the provider's id was recorded. A request that was not sent is settled as not
    accepted.
    """
    with place(tmp_path) as here:
        moments: list[tuple[int, When]] = [
            (step, when) for when in whens for step in range(1, here.steps(when) + 1)
        ]
        cases = here.cases(moments)
    assert len(cases) >= 20 * len(whens)
    assert [case for case in cases if not case.is_correct] == []
    assert [case for case in cases if case.unknown] == []
    assert len([case for case in cases if case.kept]) > len(cases) / 2


@pytest.mark.parametrize("state", ["responses", pytest.param("none", marks=pytest.mark.faults)])
def test_kill_outside_of_a_conversation_is_reported(tmp_path: Path, state: ProviderState) -> None:
    """
    Without a conversation, nothing is paid for twice either: an image is stored once, or, if the
    program was killed before the provider's id was recorded, its outcome is unknown. If the
    provider keeps the response, that is one step at most.
    """
    with place(tmp_path, state=state) as here:
        cases = here.cases((step, "before") for step in range(1, here.steps() + 1))
    assert [case for case in cases if case.billed > 1 or case.kept > 1 or not case.goes_on] == []
    assert [case for case in cases if case.kept < case.billed and not case.unknown] == []
    lost = [case for case in cases if case.kept < case.billed]
    assert len(lost) <= (1 if state == "responses" else len(cases) / 2)
    assert any(case.kept for case in cases)


def test_unrecorded_id_is_found_in_the_conversation(tmp_path: Path) -> None:
    """
    A program that does not record the provider's id loses nothing either: the response is found in
    the conversation, which was recorded before.
    """
    with place(tmp_path, "forgetful") as here:
        (case,) = here.cases([(here.steps() // 2, "before")])
    assert case.is_correct
    assert (case.billed, case.kept) == (1, 1)


@pytest.mark.faults
@pytest.mark.usefixtures("without_conversation_lookup")
def test_recovery_without_conversations_is_caught(tmp_path: Path) -> None:
    """
    The check works: without the conversation, a paid image is lost if the program is killed before
    the provider's id is recorded.
    """
    with place(tmp_path, "forgetful") as here:
        (case,) = here.cases([(here.steps() // 2, "before")])
    assert not case.is_correct
    assert (case.billed, case.kept) == (1, 0)


@pytest.mark.faults
def test_image_stored_twice_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The check works: a recovery that does not find the existing file leaves it unrecorded.
    """

    def blind(*_: object) -> None:
        return

    monkeypatch.setattr("imagesession._store.disk.blobs.DiskBlobs._find_orphan_file", blind)
    with place(tmp_path) as here:
        middle = here.steps() // 2
        cases = here.cases((step, "before") for step in range(middle, middle + 5))
    assert any(case.files > case.kept for case in cases)
