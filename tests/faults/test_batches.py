"""
A program is killed before and after each durable step of a batch, from its submission until it is
collected. When the program runs again, it gets every image, paid for once.
"""

from __future__ import annotations

import collections
import contextlib
import json
import signal
import sys
from collections.abc import Generator, Iterable
from http import HTTPStatus
from pathlib import Path

import attrs
import pytest

from imagesession import Studio
from imagesession.errors import ProviderUnavailableError
from imagesession.testing import FakeOpenAI, FakeRequest, FakeResponse, serve, tiny_image
from tests.bench.server import FixedSketcher
from tests.faults.batch_steps import prompts
from tests.faults.dying import Kill, When, dying

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="programs are forked and killed"),
    pytest.mark.usefixtures("no_acceptance_timeout"),
]
KILLED = -int(getattr(signal, "SIGKILL", 9))
SIZE = 64, 64


class Office(FakeOpenAI):
    """
    A provider that counts the prompts of accepted batches, which it will execute and bill.

    Attributes:
        billed: How often each prompt was accepted.
    """

    def __init__(self) -> None:
        # Drawing would take longer than all that is tested here.
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
    The outcome of a batch whose program was killed at a step.

    Attributes:
        step: The step's number.
        when: Whether the program was killed before or after it.
        billed: How often each of its images was paid for.
        kept: The number of images that the program got when it ran again.
        listed: The number of its images in the library.
        pending: The number of its unsettled requests.
    """

    step: int
    when: When
    billed: tuple[int, ...]
    kept: int
    listed: int
    pending: int

    @property
    def is_correct(self) -> bool:
        """
        Whether each image was paid for once and is stored once.
        """
        return (self.billed, self.kept, self.listed, self.pending) == ((1, 1), 2, 2, 0)


@attrs.frozen
class Place:
    """
    A library, its provider, and a function that runs and kills a program.
    """

    studio: Studio
    provider: Office
    kill: Kill

    def steps(self, when: When = "before") -> int:
        """
        Return the number of steps of a batch.
        """
        return self.kill(f"all-{when}", 10_000, when)

    def cases(self, steps: Iterable[tuple[int, When]]) -> list[Case]:
        """
        Kill the program at each of some steps, run it again, and return the outcomes.
        """
        return [self._case(step, when) for step, when in steps]

    def _case(self, step: int, when: When) -> Case:
        name = f"{when}-{step}"
        # Later batches may take a step less than the first one, which created folders.
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
        Run the program again, and once more if an error says that the batch was not accepted.
        """
        found = self.studio.batches.create(prompts(name), name=name).wait(progress=False)
        if any(isinstance(image, ProviderUnavailableError) for image in found):
            found = self.studio.batches.create(prompts(name), name=name).wait(progress=False)
        return len(found.images)


@contextlib.contextmanager
def place(root: Path, *twin: str) -> Generator[Place, None, None]:
    """
    Serve a provider, and start the program whose children are killed.
    """
    provider = Office()
    with serve(provider) as served, Studio(root, api_key="x", base_url=served.base_url) as studio:
        arguments = (str(root), served.base_url, *twin)
        with dying("tests.faults.batch_steps", *arguments) as kill:
            yield Place(studio, provider, kill)


@pytest.mark.parametrize(
    "whens,every",
    [(("before",), 3), pytest.param(("before", "after"), 1, marks=pytest.mark.faults)],
    ids=["before", "around"],
)
def test_kill_at_any_step_loses_nothing(
    tmp_path: Path, whens: tuple[When, ...], every: int
) -> None:
    """
    Wherever the program is killed, it can simply run again: each image of its batch is paid for
    once and stored once, and nothing stays unsettled.
    """
    with place(tmp_path) as here:
        moments: list[tuple[int, When]] = [
            (step, when) for when in whens for step in range(1, here.steps(when) + 1, every)
        ]
        cases = here.cases(moments)
    assert len(cases) >= 40 * len(whens) / every
    assert [case for case in cases if not case.is_correct] == []


@pytest.mark.faults
def test_unrecorded_batch_is_caught(tmp_path: Path) -> None:
    """
    The check works: a broken twin that does not record the updates of a batch pays twice.
    """
    with place(tmp_path, "forgetful") as here:
        cases = here.cases((step, "before") for step in range(10, here.steps(), 5))
    assert any(case.billed == (2, 2) for case in cases)


@pytest.mark.faults
def test_early_settling_is_caught(tmp_path: Path) -> None:
    """
    The check works: a broken twin that records a batch as settled before its images are stored
    loses them.
    """
    with place(tmp_path, "hasty") as here:
        steps = here.steps()
        cases = here.cases((step, "before") for step in range(steps - 20, steps - 15))
    assert any(case.kept < 2 for case in cases)
