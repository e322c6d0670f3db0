"""
A program is killed before and after each durable step of a batch, from its submission until all of
it is collected. Whoever runs the program again gets every picture, paid for once.
"""

from __future__ import annotations

import collections
import contextlib
import datetime as dt
import json
import signal
import sys
from collections.abc import Generator, Iterable
from http import HTTPStatus
from pathlib import Path

import attrs
import pytest

from imagesession import Studio
from imagesession._engine.batches import lookup
from imagesession.errors import ProviderUnavailableError
from imagesession.testing import FakeOpenAI, FakeRequest, FakeResponse, serve, tiny_image
from tests.bench.server import FixedSketcher
from tests.faults.batch_steps import prompts
from tests.faults.dying import Kill, When, dying

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="programs are forked and killed")
KILLED = -int(getattr(signal, "SIGKILL", 9))
SIZE = 64, 64


@pytest.fixture(autouse=True)
def _much_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Settle as not taken up at once what would be so after a quarter of an hour.
    """
    monkeypatch.setattr(lookup, "ACCEPTANCE_TIMEOUT", dt.timedelta(0))


class Office(FakeOpenAI):
    """
    Counts what it takes up, which is what it carries out and bills sooner or later.

    Attributes:
        billed: How often each prompt was taken up.
    """

    def __init__(self) -> None:
        # Drawing would take longer than all that is looked at here.
        super().__init__(sketcher=FixedSketcher(tiny_image(size=SIZE), SIZE))
        self.billed: collections.Counter[str] = collections.Counter()
        self.set_batch_speed(looks=1)

    def handle(self, call: FakeRequest) -> FakeResponse:
        """
        Answer a call; count the lines of a batch.
        """
        answer = super().handle(call)
        if (call.method, call.path) == ("POST", "/batches") and answer.status == HTTPStatus.OK:
            lines = self._files.content(call.json["input_file_id"]) or b""
            for line in lines.splitlines():
                self.billed[json.loads(line)["body"]["prompt"]] += 1
        return answer


@attrs.frozen(kw_only=True)
class Case:
    """
    What became of a batch whose program was killed at a step.

    Attributes:
        step: The step's number.
        when: Whether it was killed before or after it.
        billed: How often each of its pictures was paid for.
        kept: How many pictures came when the program was run again.
        listed: How many pictures of it the library has.
        pending: How much of it is not settled.
    """

    step: int
    when: When
    billed: tuple[int, ...]
    kept: int
    listed: int
    pending: int

    @property
    def is_well(self) -> bool:
        """
        Whether each picture was paid for once and is kept once.
        """
        return (self.billed, self.kept, self.listed, self.pending) == ((1, 1), 2, 2, 0)


@attrs.frozen
class Place:
    """
    A library, its provider, and a way to have another program killed.
    """

    studio: Studio
    provider: Office
    kill: Kill

    def steps(self, when: When = "before") -> int:
        """
        Return how many steps a batch takes.
        """
        return self.kill(f"all-{when}", 10_000, when)

    def cases(self, steps: Iterable[tuple[int, When]]) -> list[Case]:
        """
        Kill at each of some steps, run the program again, and see what there is.
        """
        return [self._case(step, when) for step, when in steps]

    def _case(self, step: int, when: When) -> Case:
        name = f"{when}-{step}"
        # A batch may take a step less than the first one, which made some folders.
        ended = self.kill(name, step, when)
        assert ended == KILLED or 0 < ended < step
        kept = self._run_again(name)
        return Case(
            step=step,
            when=when,
            billed=tuple(self.provider.billed[prompt] for prompt in prompts(name)),
            kept=kept,
            listed=len(self.studio.images.list(text=f"{name}, ", limit=100)),
            pending=sum(
                pending.turn.prompt in prompts(name) for pending in self.studio.requests.pending()
            ),
        )

    def _run_again(self, name: str) -> int:
        """
        Do what the program does, until nothing tells to submit the batch again.
        """
        found = self.studio.batches.create(prompts(name), name=name).wait(progress=False)
        if any(isinstance(image, ProviderUnavailableError) for image in found):
            found = self.studio.batches.create(prompts(name), name=name).wait(progress=False)
        return len(found.images)


@contextlib.contextmanager
def place(root: Path, *twin: str) -> Generator[Place, None, None]:
    """
    Serve a provider, and start the program that has children killed.
    """
    provider = Office()
    with serve(provider) as served, Studio(root, api_key="x", base_url=served.base_url) as studio:
        arguments = (str(root), served.base_url, *twin)
        with dying("tests.faults.batch_steps", *arguments) as kill:
            yield Place(studio, provider, kill)


@pytest.mark.parametrize(
    "whens",
    [("before",), pytest.param(("before", "after"), marks=pytest.mark.faults)],
    ids=["before", "around"],
)
def test_a_kill_at_any_step_loses_nothing(tmp_path: Path, whens: tuple[When, ...]) -> None:
    """
    Wherever the program was killed, it is simply run again: each picture of its batch is paid for
    once and kept once, and nothing is left unsettled.
    """
    with place(tmp_path) as here:
        moments: list[tuple[int, When]] = [
            (step, when) for when in whens for step in range(1, here.steps(when) + 1)
        ]
        cases = here.cases(moments)
    assert len(cases) >= 40 * len(whens)
    assert [case for case in cases if not case.is_well] == []


def test_a_program_that_forgets_its_batch_is_caught(tmp_path: Path) -> None:
    """
    The harness sees what it looks for: a program that does not write down that it asks for a batch
    pays for its pictures again.
    """
    with place(tmp_path, "forgetful") as here:
        cases = here.cases((step, "before") for step in range(10, here.steps(), 5))
    assert any(case.billed == (2, 2) for case in cases)


def test_a_program_that_settles_too_early_is_caught(tmp_path: Path) -> None:
    """
    The harness sees what it looks for: a program that calls a batch settled before its pictures
    are kept loses them.
    """
    with place(tmp_path, "hasty") as here:
        steps = here.steps()
        cases = here.cases((step, "before") for step in range(steps - 20, steps - 15))
    assert any(case.kept < 2 for case in cases)
