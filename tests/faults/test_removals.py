"""
A program is killed before and after each durable step of a removal: the next program finds what was
removed as it was before, or as it is afterwards, and nothing in between.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Generator
from pathlib import Path

import attrs
import pytest

from imagesession import ImageSession, SavedImage, Studio
from imagesession._domain.turn import short_id
from imagesession.testing import FakeOpenAI, serve, tiny_image
from tests.bench.server import FixedSketcher
from tests.faults.dying import Kill, When, dying

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="programs are forked and killed")
KILLED = -int(getattr(signal, "SIGKILL", 9))
SIZE = 64, 64
WORD = "quicksilver"
REMOVALS = [
    f"{verb}:{kind}" for kind in ("images", "sessions") for verb in ("delete", "restore", "erase")
]


@attrs.frozen(kw_only=True)
class Sight:
    """
    What people see of two images.

    Attributes:
        listed: Which of them are listed.
        in_bin: Which of them are in the bin.
        files: How many of their files are in the library's folders, with metadata.
        aside: How many are in the bin's.
        words: Whether the last one's prompt is anywhere in the library.
    """

    listed: tuple[int, ...]
    in_bin: tuple[int, ...] = ()
    files: int
    aside: int = 0
    words: bool = True


PRESENT = Sight(listed=(0, 1), files=4)
_BINNED = {
    "images": Sight(listed=(0,), in_bin=(1,), files=2, aside=2),
    "sessions": Sight(listed=(), in_bin=(0, 1), files=0, aside=4),
}
SIGHTS = {
    "erase:images": (PRESENT, Sight(listed=(0,), files=2, words=False)),
    "erase:sessions": (PRESENT, Sight(listed=(), files=0, words=False)),
    **{f"delete:{kind}": (PRESENT, binned) for kind, binned in _BINNED.items()},
    **{f"restore:{kind}": (binned, PRESENT) for kind, binned in _BINNED.items()},
}
"""What is seen before and after each removal."""


@attrs.frozen
class Place:
    """
    A library, its provider, and a function that runs and kills a program.
    """

    studio: Studio
    provider: FakeOpenAI
    kill: Kill

    def prepare(self, removal: str) -> tuple[ImageSession, tuple[SavedImage, ...]]:
        """
        Make a session of two turns for a removal to work on.
        """
        verb, kind = removal.split(":")
        session = self.studio.session("x")
        images = session.generate("a teapot"), session.generate(f"a heron of {WORD}")
        if verb == "restore":
            getattr(self.studio, kind).delete(self.target(removal, session, images))
        return session, images

    @staticmethod
    def target(removal: str, session: ImageSession, images: tuple[SavedImage, ...]) -> str:
        """
        Return the id of what is removed.
        """
        return images[1].id if removal.endswith("images") else session.id

    def after_death(self, removal: str, step: int, when: When) -> Sight:
        """
        Kill a program at a step, and return what another one sees.
        """
        session, images = self.prepare(removal)
        name = f"{removal}:{self.target(removal, session, images)}"
        code = self.kill(name, step, when)
        assert code == KILLED or 0 <= code < step  # folders are made once, so there may be fewer
        self.studio.recover()
        assert list((Path(self.studio.library) / ".imagesession" / "removals").iterdir()) == []
        seen = self.see(session, images)
        if removal != "erase:sessions" or seen.listed:
            self.studio.sessions.erase(session)  # so that the next one is alone
        return seen

    def see(self, session: ImageSession, images: tuple[SavedImage, ...]) -> Sight:
        """
        Look at everything that shows images.
        """
        ids = [image.id for image in images]
        root, pattern = Path(self.studio.library), f"session_{short_id(session.id)}_*"
        records = (root / ".imagesession" / "turns" / session.id).glob("*.json")
        return Sight(
            listed=tuple(sorted(ids.index(image.id) for image in self.studio.images.list())),
            in_bin=tuple(
                sorted(ids.index(image.id) for image in self.studio.images.list(deleted=True))
            ),
            files=len(list((root / "general").glob(pattern))),
            aside=len(list((root / ".imagesession" / "bin" / "general").glob(pattern))),
            words=any(WORD in record.read_text("utf-8") for record in records),
        )


@contextlib.contextmanager
def place(root: Path, *forgetful: str) -> Generator[Place, None, None]:
    """
    Serve a provider, and start the program whose children are killed.
    """
    provider = FakeOpenAI(sketcher=FixedSketcher(tiny_image(size=SIZE), SIZE))
    with serve(provider) as served, Studio(root, api_key="x", base_url=served.base_url) as studio:
        arguments = (str(root), served.base_url, *forgetful)
        with dying("tests.faults.removal_steps", *arguments) as kill:
            yield Place(studio, provider, kill)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Generator[Place, None, None]:
    """
    One library and one program for all removals, each of which leaves the library empty.
    """
    with place(tmp_path_factory.mktemp("removals") / "library") as made:
        yield made


@pytest.mark.parametrize("removal", REMOVALS)
def test_removal_is_whole_or_not_begun(
    here: Place, removal: str, pytestconfig: pytest.Config
) -> None:
    """
    Whichever step a program dies at, what it removed is as before or as afterwards; the doctor is
    content, and the provider is asked to delete what was erased.
    """
    stride = 1 if pytestconfig.getoption("--faults") else 7
    session, images = here.prepare(removal)
    steps = here.kill(f"{removal}:{here.target(removal, session, images)}", 10_000, "before")
    assert steps > 5
    assert here.see(session, images) == SIGHTS[removal][1]
    if removal != "erase:sessions":
        here.studio.sessions.erase(session)
    seen = [
        here.after_death(removal, step, when)
        for step in range(1, steps + 1, stride)
        for when in (("before", "after") if stride == 1 else ("before",))
    ]
    assert set(seen) <= set(SIGHTS[removal])
    assert seen[0] == SIGHTS[removal][0]
    assert SIGHTS[removal][1] in seen
    assert all(check.state == "ok" for check in here.studio.doctor(verify=True).checks)


@pytest.mark.faults
def test_removal_that_is_not_recorded_is_half_done(tmp_path: Path) -> None:
    """
    The test works: without the record of what is to be done, a killed removal stays half done.
    """
    removal = "delete:sessions"
    with place(tmp_path / "library", "forgetful") as here:
        session, images = here.prepare(removal)
        steps = here.kill(f"{removal}:{session.id}", 10_000, "before")
        here.studio.sessions.erase(session)
        seen = {here.after_death(removal, step, "before") for step in range(1, steps + 1, 2)}
        assert not seen <= set(SIGHTS[removal])
        assert images
