"""
Each image is rendered once, also for concurrent requests.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from imagesession._fake_openai import sketch as sketching
from imagesession._fake_openai.render_cache import RenderCache, RenderKey
from imagesession._fake_openai.sketch import SketchState
from imagesession.testing import FakeOpenAI

if TYPE_CHECKING:
    from tests.fake_openai.conftest import Talk


class CountingSketcher:
    """
    A sketcher that counts renderings.
    """

    def __init__(self) -> None:
        self.shares: list[float] = []
        self.fails = False

    start = staticmethod(sketching.start)
    refine = staticmethod(sketching.refine)
    from_image = staticmethod(sketching.from_image)
    describe = staticmethod(sketching.describe)

    def render(self, state: SketchState, *, share: float = 1.0, **encoding: Any) -> bytes:
        """
        Render and count.
        """
        if self.fails:
            raise OSError
        self.shares.append(share)
        return sketching.render(state, share=share, **encoding)


@pytest.fixture
def sketcher() -> CountingSketcher:
    """
    A sketcher that counts.
    """
    return CountingSketcher()


@pytest.fixture
def talk(sketcher: CountingSketcher, connect: "Callable[[FakeOpenAI], Talk]") -> "Talk":
    """
    Connect to a provider with a sketcher that counts.
    """
    return connect(FakeOpenAI(sketcher=sketcher))


def test_concurrent_requests_render_once(talk: "Talk", sketcher: CountingSketcher) -> None:
    """
    64 concurrent requests for the same image render it once.
    """
    with ThreadPoolExecutor(64) as pool:
        replies = list(pool.map(talk.pixels, pool.map(talk.make, ["tea"] * 64)))

    assert sketcher.shares == [1.0]
    assert len(set(replies)) == 1


def test_images_are_rendered_on_demand(talk: "Talk", sketcher: CountingSketcher) -> None:
    """
    Neither a queued response nor retrieving it without bytes renders the image.
    """
    made = talk.make(background=True)
    talk.get(f"/responses/{made['id']}")

    assert sketcher.shares == []


def test_retrieving_renders_once(
    connect: "Callable[[FakeOpenAI], Talk]", sketcher: CountingSketcher
) -> None:
    """
    If retrieved responses include the image, the first retrieval renders it.
    """
    talk = connect(FakeOpenAI(sketcher=sketcher, retrieve_includes_image=True))
    made = talk.make(background=True)
    for _ in range(3):
        talk.get(f"/responses/{made['id']}")

    assert sketcher.shares == [1.0]


def test_partial_images_are_rendered_with_their_share(
    talk: "Talk", sketcher: CountingSketcher
) -> None:
    """
    A stream renders each partial image once and the final image once.
    """
    talk.events(tool={"partial_images": 3})

    assert sketcher.shares == [0.25, 0.5, 0.75, 1.0]


def test_resuming_renders_only_the_rest(talk: "Talk", sketcher: CountingSketcher) -> None:
    """
    Resuming a stream after its partial images does not render them.
    """
    made = talk.client.responses.create(
        model="gpt-5.4",
        input="tea",
        tools=[{"type": "image_generation", "partial_images": 3}],
        background=True,
        stream=True,
    )
    with made:
        first = next(iter(made))
    assert first.type == "response.created"
    talk.resume(first.response.id, starting_after=9)

    assert sketcher.shares == [1.0]


def test_cache_is_limited(sketcher: CountingSketcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The cache is limited: the least recently used image is rendered again.
    """
    keys = [RenderKey(sketch=sketching.start(word, size=(832, 832))) for word in ("a", "b")]
    monkeypatch.setattr("imagesession._fake_openai.render_cache._KEPT_CHARACTERS", 1)
    pictures = RenderCache(sketcher)
    for key in (keys[0], keys[0], keys[1], keys[0]):
        pictures.base64(key)

    assert len(sketcher.shares) == 3


def test_failed_rendering_is_repeated(sketcher: CountingSketcher) -> None:
    """
    A failed rendering is not cached.
    """
    key = RenderKey(sketch=sketching.start("a", size=(832, 832)))
    pictures = RenderCache(sketcher)
    sketcher.fails = True
    with pytest.raises(OSError):  # noqa: PT011 - it has no message
        pictures.base64(key)
    sketcher.fails = False

    assert pictures.data(key)


def test_waiting_calls_see_the_failure() -> None:
    """
    A request that waits for another's rendering gets its failure too, instead of waiting for ever.
    """
    key = RenderKey(sketch=sketching.start("a", size=(832, 832)))
    started, release = threading.Event(), threading.Event()

    class BlockedSketcher(CountingSketcher):
        def render(self, *_: object, **__: object) -> bytes:
            started.set()
            release.wait(60)
            raise OSError

    pictures = RenderCache(BlockedSketcher())
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(pictures.base64, key)
        started.wait(60)
        second = pool.submit(pictures.base64, key)
        release.set()

    assert isinstance(first.exception(), OSError)
    assert isinstance(second.exception(), OSError)
