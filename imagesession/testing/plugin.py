"""
The fixtures that pytest has where this package is installed.

* `offline_provider`: a `FakeOpenAI` that remembers nothing yet. Tell it what to reply, how to
  fail, and assert on the calls that it got.
* `offline_studio`: a `Studio` on an empty library in the test's own folder, over that provider.
* `async_offline_studio`: the same, an `AsyncStudio`.
* `openai_images_server`: that provider on a port of this machine, for programs that make an OpenAI
  client themselves: while the test runs, OPENAI_BASE_URL and OPENAI_API_KEY lead there.

Nothing is loaded before a test asks for one of them. `pytest -p no:imagesession` does without.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from imagesession.testing.servers import ImagesServer

if TYPE_CHECKING:
    from imagesession._api.async_studio import AsyncStudio
    from imagesession._api.studio import Studio
    from imagesession._fake_openai import FakeOpenAI

_PATIENCE = 2.0


@pytest.fixture
def offline_provider() -> FakeOpenAI:
    """
    An offline provider: tell it what to reply and how to fail; assert on the calls that it got.
    """
    from imagesession._fake_openai import FakeOpenAI  # noqa: PLC0415 - loads Pillow

    return FakeOpenAI()


@pytest.fixture
def offline_studio(offline_provider: FakeOpenAI, tmp_path: Path) -> Iterator[Studio]:
    """
    A studio on an empty library in `tmp_path`, whose pictures `offline_provider` draws.

    Its patience is two seconds, and not a minute as usual: a test of a provider that stays out of
    order need not wait for long.
    """
    from imagesession._api.studio import Studio  # noqa: PLC0415 - not every test wants one

    library = tmp_path / "imagesession"
    with Studio.offline(library, provider=offline_provider, retry_timeout=_PATIENCE) as studio:
        yield studio


@pytest.fixture
def async_offline_studio(offline_provider: FakeOpenAI, tmp_path: Path) -> Iterator[AsyncStudio]:
    """
    Same as `offline_studio`, but its verbs await.
    """
    from imagesession._api.async_studio import AsyncStudio  # noqa: PLC0415 - not every test wants one

    library = tmp_path / "imagesession"
    studio = AsyncStudio.offline(library, provider=offline_provider, retry_timeout=_PATIENCE)
    yield studio
    # The test's event loop is gone, and its connections with it: they were none of a network.
    studio._runtime.library.close()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - close() awaits


@pytest.fixture
def openai_images_server(
    offline_provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ImagesServer]:
    """
    `offline_provider` on a port of this machine, where every OpenAI client finds it that is made
    while the test runs, in this process or in one that it starts.
    """
    from imagesession._fake_openai import serve  # noqa: PLC0415 - loads Pillow

    key = "offline"
    with serve(offline_provider) as served:
        monkeypatch.setenv("OPENAI_BASE_URL", served.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", key)
        yield ImagesServer(served.base_url, served.port, key, offline_provider)
