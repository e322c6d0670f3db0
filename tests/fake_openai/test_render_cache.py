"""
Painting once, also when many ask at the same time.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from imagesession._fake_openai import sketch as sketching
from imagesession._fake_openai.render_cache import RenderCache, RenderKey
from imagesession._fake_openai.sketch import SketchState
from imagesession._fake_openai.sketch.encode import Format
from imagesession.testing import FakeOpenAI

if TYPE_CHECKING:
    from tests.fake_openai.conftest import Talk


class Counting:
    """
    Paint as the sketcher does, and count.
    """

    def __init__(self) -> None:
        self.painted: list[float] = []
        self.fails = False

    start = staticmethod(sketching.start)
    refine = staticmethod(sketching.refine)
    from_image = staticmethod(sketching.from_image)
    describe = staticmethod(sketching.describe)

    def render(
        self,
        state: SketchState,
        *,
        format: Format = "png",
        compression: int = 100,
        frames: int = 9,
        frame_ms: int = 200,
        share: float = 1.0,
    ) -> bytes:
        """
        Paint and count.
        """
        if self.fails:
            raise OSError
        self.painted.append(share)
        return sketching.render(
            state,
            format=format,
            compression=compression,
            frames=frames,
            frame_ms=frame_ms,
            share=share,
        )


@pytest.fixture
def sketcher() -> Counting:
    """
    Give a painter that counts.
    """
    return Counting()


@pytest.fixture
def counted(sketcher: Counting, connect: "Callable[[FakeOpenAI], Talk]") -> "Talk":
    """
    Connect to a provider with a painter that counts.
    """
    return connect(FakeOpenAI(sketcher=sketcher))


def test_many_at_once_paint_once(counted: "Talk", sketcher: Counting) -> None:
    """
    Sixty-four requests for the same picture at the same time paint it once.
    """
    with ThreadPoolExecutor(64) as pool:
        replies = list(pool.map(counted.pixels, pool.map(counted.make, ["tea"] * 64)))

    assert sketcher.painted == [1.0]
    assert len(set(replies)) == 1


def test_nothing_is_painted_before_it_is_needed(counted: "Talk", sketcher: Counting) -> None:
    """
    A queued response has not been painted, nor does a look without bytes paint.
    """
    made = counted.make(background=True)
    counted.get(f"/responses/{made['id']}")

    assert sketcher.painted == []


def test_looking_paints_once(connect: "Callable[[FakeOpenAI], Talk]", sketcher: Counting) -> None:
    """
    Where looks have the picture, the first of them paints it.
    """
    talk = connect(FakeOpenAI(sketcher=sketcher, retrieve_includes_image=True))
    made = talk.make(background=True)
    for _ in range(3):
        talk.get(f"/responses/{made['id']}")

    assert sketcher.painted == [1.0]


def test_partials_are_painted_with_their_share(counted: "Talk", sketcher: Counting) -> None:
    """
    A stream paints each partial once and the final picture once.
    """
    counted.events(tool={"partial_images": 3})

    assert sketcher.painted == [0.25, 0.5, 0.75, 1.0]


def test_resuming_paints_only_what_is_left(counted: "Talk", sketcher: Counting) -> None:
    """
    Taking up a stream behind its partials does not paint them.
    """
    made = counted.client.responses.create(
        model="gpt-5.4",
        input="tea",
        tools=[{"type": "image_generation", "partial_images": 3}],
        background=True,
        stream=True,
    )
    with made:
        first = next(iter(made))
    assert first.type == "response.created"
    counted.resume(first.response.id, starting_after=9)

    assert sketcher.painted == [1.0]


def test_memory_for_pictures_is_bounded(sketcher: Counting) -> None:
    """
    Only so many pictures are kept: the one not asked for longest is painted anew.
    """
    looks = [RenderKey(sketch=sketching.start(word, size=(832, 832))) for word in ("a", "b")]
    pictures = RenderCache(sketcher, keep=1)
    for look in (looks[0], looks[0], looks[1], looks[0]):
        pictures.base64(look)

    assert len(sketcher.painted) == 3


def test_failed_painting_can_be_repeated(sketcher: Counting) -> None:
    """
    A painting that failed is not remembered as a failure.
    """
    look = RenderKey(sketch=sketching.start("a", size=(832, 832)))
    pictures = RenderCache(sketcher)
    sketcher.fails = True
    with pytest.raises(OSError):  # noqa: PT011 - nothing is said
        pictures.base64(look)
    sketcher.fails = False

    assert pictures.data(look)


def test_waiting_calls_see_the_failure() -> None:
    """
    Who waits for another's painting gets its failure too, instead of waiting for ever.
    """
    look = RenderKey(sketch=sketching.start("a", size=(832, 832)))
    began, go = threading.Event(), threading.Event()

    class Stuck(Counting):
        def render(self, *_: object, **__: object) -> bytes:
            began.set()
            go.wait(5)
            raise OSError

    pictures = RenderCache(Stuck())
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(pictures.base64, look)
        began.wait(5)
        second = pool.submit(pictures.base64, look)
        go.set()

    assert isinstance(first.exception(), OSError)
    assert isinstance(second.exception(), OSError)
