"""
The pytest plugin of this package, with four fixtures.

* `offline_provider`: a new `FakeOpenAI`. Script its responses and faults, and assert on the
  requests that it received.
* `offline_studio`: a `Studio` on an empty library in the test's own folder, with that provider.
* `async_offline_studio`: the same, but an `AsyncStudio`.
* `openai_images_server`: that provider on a port of this machine, for programs that make an OpenAI
  client themselves: during the test, OPENAI_BASE_URL and OPENAI_API_KEY point to it.

Nothing is imported before a test uses one of them. `pytest -p no:imagesession` disables the plugin.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from imagesession.testing import ImagesServer

if TYPE_CHECKING:
    from imagesession._api.async_studio import AsyncStudio
    from imagesession._api.studio import Studio
    from imagesession._fake_openai import FakeOpenAI

_RETRY_SECONDS = 2.0


@pytest.fixture
def offline_provider() -> FakeOpenAI:
    """
    A fake provider: script its responses and faults, and assert on the requests that it received.
    """
    from imagesession._fake_openai import FakeOpenAI  # noqa: PLC0415 - loads Pillow

    return FakeOpenAI()


@pytest.fixture
def offline_studio(offline_provider: FakeOpenAI, tmp_path: Path) -> Iterator[Studio]:
    """
    A studio on an empty library in `tmp_path`, whose images `offline_provider` draws.

    Its `retry_timeout` is 2 seconds instead of 60, so that tests of a provider that keeps failing
    end soon.
    """
    from imagesession._api.studio import Studio  # noqa: PLC0415 - not every test wants one

    library = tmp_path / "imagesession"
    with Studio.offline(library, provider=offline_provider, retry_timeout=_RETRY_SECONDS) as studio:
        yield studio


@pytest.fixture
def async_offline_studio(offline_provider: FakeOpenAI, tmp_path: Path) -> Iterator[AsyncStudio]:
    """
    Same as `offline_studio`, but its verbs await.
    """
    from imagesession._api.async_studio import AsyncStudio  # noqa: PLC0415 - not every test wants one

    library = tmp_path / "imagesession"
    studio = AsyncStudio.offline(library, provider=offline_provider, retry_timeout=_RETRY_SECONDS)
    yield studio
    # The test's event loop has ended, so the client, which has no network connections, is left.
    studio._runtime.library.close()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - close() awaits


@pytest.fixture
def openai_images_server(
    offline_provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ImagesServer]:
    """
    `offline_provider` on a port of this machine. OpenAI clients that are made during the test use
    it, in this process and in child processes.
    """
    from imagesession._fake_openai.server import serve  # noqa: PLC0415 - loads Pillow

    key = "offline"
    with serve(offline_provider) as served:
        monkeypatch.setenv("OPENAI_BASE_URL", served.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", key)
        yield ImagesServer(served.base_url, served.port, key, offline_provider)
