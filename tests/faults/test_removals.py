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

from imagesession import ImageBatch, ImageSession, SavedImage, Studio
from imagesession.testing import FakeOpenAI, serve, tiny_image
from tests.bench.server import FixedSketcher
from tests.faults.dying import Kill, When, dying

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="programs are forked and killed")
KILLED = -int(getattr(signal, "SIGKILL", 9))
SIZE = 64, 64
WORD = "quicksilver"
KINDS = ("images", "sessions", "batches")
REMOVALS = [
    *(f"{verb}:{kind}" for kind in KINDS for verb in ("delete", "restore", "erase")),
    "empty_bin:images",
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
        owner: Whether their session or batch is listed, in the bin, or gone.
    """

    listed: tuple[int, ...]
    in_bin: tuple[int, ...] = ()
    files: int
    aside: int = 0
    words: bool = True
    owner: str = "listed"


PRESENT = Sight(listed=(0, 1), files=4)
_BINNED = Sight(listed=(), in_bin=(0, 1), files=0, aside=4, owner="in the bin")
_GONE = Sight(listed=(), files=0, words=False, owner="gone")
_LAST_BINNED = Sight(listed=(0,), in_bin=(1,), files=2, aside=2)
_LAST_GONE = Sight(listed=(0,), files=2, words=False)
SIGHTS = {
    "delete:images": (PRESENT, _LAST_BINNED),
    "restore:images": (_LAST_BINNED, PRESENT),
    "erase:images": (PRESENT, _LAST_GONE),
    "empty_bin:images": (_LAST_BINNED, _LAST_GONE),
    **{f"delete:{kind}": (PRESENT, _BINNED) for kind in KINDS[1:]},
    **{f"restore:{kind}": (_BINNED, PRESENT) for kind in KINDS[1:]},
    **{f"erase:{kind}": (PRESENT, _GONE) for kind in KINDS[1:]},
}
"""What is seen before and after each removal."""


Owner = ImageSession | ImageBatch


@attrs.frozen
class Place:
    """
    A library, its provider, and a function that runs and kills a program.
    """

    studio: Studio
    provider: FakeOpenAI
    kill: Kill

    def prepare(self, removal: str) -> tuple[Owner, tuple[SavedImage, ...]]:
        """
        Make a session of two turns, or a batch of two images, for a removal to work on.
        """
        verb, kind = removal.split(":")
        owner, images = self._batch() if kind == "batches" else self._session()
        if verb in {"restore", "empty_bin"}:
            getattr(self.studio, kind).delete(self.target(removal, owner, images))
        return owner, images

    def _session(self) -> tuple[Owner, tuple[SavedImage, ...]]:
        session = self.studio.session("x")
        return session, (session.generate("a teapot"), session.generate(f"a heron of {WORD}"))

    def _batch(self) -> tuple[Owner, tuple[SavedImage, ...]]:
        self.provider.set_batch_speed(looks=1)
        batch = self.studio.batches.create(["a teapot", f"a heron of {WORD}"])
        return batch, batch.wait(progress=False).images

    @staticmethod
    def target(removal: str, owner: Owner, images: tuple[SavedImage, ...]) -> str:
        """
        Return the id of what is removed.
        """
        return images[1].id if removal.endswith("images") else owner.id

    def after_death(self, removal: str, step: int, when: When) -> Sight:
        """
        Kill a program at a step, and return what another one sees.
        """
        owner, images = self.prepare(removal)
        name = f"{removal}:{self.target(removal, owner, images)}"
        code = self.kill(name, step, when)
        assert code == KILLED or 0 <= code < step  # folders are made once, so there may be fewer
        self.studio.recover()
        assert list((Path(self.studio.library) / ".imagesession" / "removals").iterdir()) == []
        seen = self.see(owner, images)
        if seen.owner != "gone":
            self.clear(owner)  # so that the next one is alone
        return seen

    def clear(self, owner: Owner) -> None:
        """
        Erase a session or batch.
        """
        if isinstance(owner, ImageBatch):
            self.studio.batches.erase(owner)
        else:
            self.studio.sessions.erase(owner)

    def see(self, owner: Owner, images: tuple[SavedImage, ...]) -> Sight:
        """
        Look at everything that shows images.
        """
        ids = [image.id for image in images]
        root = Path(self.studio.library)
        names = [f"{Path(image.record.file).stem}.*" for image in images]
        records = (root / ".imagesession" / "turns").rglob("*.json")
        return Sight(
            listed=tuple(sorted(ids.index(image.id) for image in self.studio.images.list())),
            in_bin=tuple(
                sorted(ids.index(image.id) for image in self.studio.images.list(deleted=True))
            ),
            files=sum(len(list(root.glob(f"[!.]*/{name}"))) for name in names),
            aside=sum(len(list((root / ".imagesession" / "bin").rglob(name))) for name in names),
            words=any(WORD in record.read_text("utf-8") for record in records),
            owner=self._state(owner),
        )

    def _state(self, owner: Owner) -> str:
        of = self.studio.batches if isinstance(owner, ImageBatch) else self.studio.sessions
        if owner.id in [each.id for each in of.list()]:
            return "listed"
        return "in the bin" if owner.id in [each.id for each in of.list(deleted=True)] else "gone"


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
    owner, images = here.prepare(removal)
    steps = here.kill(f"{removal}:{here.target(removal, owner, images)}", 10_000, "before")
    assert steps > 5
    assert here.see(owner, images) == SIGHTS[removal][1]
    if SIGHTS[removal][1].owner != "gone":
        here.clear(owner)
    seen = [
        here.after_death(removal, step, when)
        for step in range(1, steps + 1, stride)
        for when in (("before", "after") if stride == 1 else ("before",))
    ]
    assert set(seen) <= set(SIGHTS[removal])
    assert seen[0] == SIGHTS[removal][0]
    assert SIGHTS[removal][1] in seen
    assert all(check.state == "ok" for check in here.studio.doctor(verify=True).checks)


def owners_left(studio: Studio) -> tuple[bool, ...]:
    """
    Tell whether the library has words or the name of the erased owner, and lists what is theirs.
    """
    whole = Path(studio.library)
    content = b"".join(path.read_bytes() for path in whole.rglob("*") if path.is_file())
    ann = studio.as_owner("annabella")
    return (
        WORD.encode() in content,
        b"annabella" in content,
        bool(ann.images.list() or ann.images.list(deleted=True)),
        bool(ann.sessions.list() or ann.sessions.list(deleted=True)),
    )


def test_owner_is_erased_as_a_whole_or_not_at_all(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """
    Whichever step a program dies at that erases an owner, everything of the owner is there or
    nothing is; the totals are right, others keep theirs, and the doctor is content.
    """
    stride = 1 if pytestconfig.getoption("--faults") else 23
    with place(tmp_path / "library") as here:
        ann, bob = here.studio.as_owner("annabella"), here.studio.as_owner("bob")
        kept = bob.generate("a cup")
        seen: set[tuple[bool, ...]] = set()
        step, survived = 1, False
        while not survived:
            ann.session("x", name=WORD).generate(f"a heron of {WORD}").star()
            ann.images.delete(ann.generate(f"a teapot of {WORD}"))
            ann.generate(f"a cup of {WORD}")
            spent = here.studio.costs().total
            code = here.kill("erase:owner:annabella", step, "before")
            survived = code != KILLED
            here.studio.recover()
            total = here.studio.costs().total
            assert (total.images, total.turns) == (spent.images, spent.turns)
            assert total.dollars == pytest.approx(spent.dollars)
            seen.add(owners_left(here.studio))
            here.studio.erase_owner("annabella")
            step += stride
        assert seen == {(True,) * 4, (False,) * 4}
        assert step > 20
        assert [image.id for image in here.studio.images.list()] == [kept.id]
        assert all(check.state == "ok" for check in here.studio.doctor(verify=True).checks)


@pytest.mark.faults
def test_removal_that_is_not_recorded_is_half_done(tmp_path: Path) -> None:
    """
    The test works: without the record of what is to be done, a killed removal stays half done.
    """
    removal = "delete:sessions"
    with place(tmp_path / "library", "forgetful") as here:
        owner, images = here.prepare(removal)
        steps = here.kill(f"{removal}:{owner.id}", 10_000, "before")
        here.clear(owner)
        seen = {here.after_death(removal, step, "before") for step in range(1, steps + 1, 2)}
        assert not seen <= set(SIGHTS[removal])
        assert images
