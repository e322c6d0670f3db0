"""
The pytest fixtures for users' tests, used in a pytest process of their own.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from imagesession import AsyncStudio, Studio
from imagesession.errors import ProviderUnavailableError
from imagesession.testing import FakeOpenAI

pytest_plugins = ["pytester"]

SUITE = """
import subprocess
import sys

import openai
import pytest

from imagesession import AsyncStudio, Studio
from imagesession.errors import ContentBlockedError, RateLimitError
from imagesession.testing import ImagesServer, FakeOpenAI, tiny_image


def test_a_studio(offline_studio: Studio, offline_provider: FakeOpenAI, tmp_path):
    assert offline_studio.images.list() == ()
    assert offline_studio.library.is_relative_to(tmp_path)
    offline_provider.respond_next(image=tiny_image(), text="Here it is.")
    image = offline_studio.generate("a red teapot", quality="high")
    assert (image.bytes, image.turn.text) == (tiny_image(), "Here it is.")
    offline_provider.assert_generated(1, prompt="teapot", quality="high")


def test_another_one_is_empty(offline_studio: Studio, offline_provider: FakeOpenAI):
    assert offline_studio.images.list() == ()
    assert offline_provider.requests == ()


def test_a_fault(offline_studio: Studio, offline_provider: FakeOpenAI):
    offline_provider.moderate_next()
    with pytest.raises(ContentBlockedError):
        offline_studio.generate("a teapot")


@pytest.mark.anyio
async def test_an_async_studio(async_offline_studio: AsyncStudio, offline_provider):
    image = await async_offline_studio.generate("a teapot")
    assert image.bytes
    offline_provider.assert_generated(1)


@pytest.fixture
def anyio_backend():
    return "asyncio"


def test_a_server(openai_images_server: ImagesServer, offline_provider: FakeOpenAI):
    openai_images_server.provider.respond_next(image=tiny_image())
    with openai.OpenAI() as client:
        made = client.images.generate(model="gpt-image-2", prompt="a teapot")
    assert made.data[0].b64_json
    offline_provider.assert_generated(1, prompt="a teapot")


def test_a_program(openai_images_server: ImagesServer):
    script = "import openai; openai.OpenAI().images.generate(model='gpt-image-2', prompt='a cup')"
    subprocess.run([sys.executable, "-c", script], check=True)
    openai_images_server.provider.assert_generated(prompt="a cup")


def test_the_environment_is_as_before(monkeypatch):
    import os
    assert "OPENAI_BASE_URL" not in os.environ
"""

LIGHT = """
import sys

def test_nothing_is_loaded(pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("imagesession")
    heavy = {"PIL", "openai", "httpx2", "imagesession._fake_openai", "imagesession._api"}
    assert not heavy & set(sys.modules)
"""

# One test loses a response, which is looked up for a minute.
HURRIED = """
import pytest

from tests import clock


@pytest.fixture(autouse=True)
def hurried():
    with clock.hurried():
        yield
"""

PAGE = Path(__file__).parent.parent / "docs" / "howto" / "testing.md"

PLAIN = (
    "-q",
    "-W",
    "error",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:xdist",
    "-p",
    "no:hypothesispytest",
)


def test_fixtures_work(pytester: pytest.Pytester) -> None:
    """
    A suite without any configuration uses all fixtures: each test has its own library, provider and
    server, and nothing is left behind that causes a warning.
    """
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess(*PLAIN)
    result.assert_outcomes(passed=7)


def test_permanent_failure_does_not_delay_a_test(
    offline_studio: Studio, offline_provider: FakeOpenAI
) -> None:
    """
    A test of a permanent failure ends after a moment; a temporary failure is retried as usual.
    """
    offline_provider.fail_next(status=503, path="/responses", times=1)
    assert offline_studio.generate("a fox").path.is_file()
    offline_provider.fail_next(status=503, path="/responses", times=1000)
    start = time.monotonic()
    with pytest.raises(ProviderUnavailableError):
        offline_studio.generate("a fox")
    assert time.monotonic() - start < 60 / 2  # the usual retry_timeout


@pytest.mark.anyio
async def test_async_studio_fixture_works(
    async_offline_studio: AsyncStudio, offline_provider: FakeOpenAI
) -> None:
    """
    The fixtures work in this test suite too.
    """
    await async_offline_studio.session("A tea shop")
    assert len(await async_offline_studio.sessions.list()) == 1
    offline_provider.assert_generated(0)


def test_unused_plugin_costs_nothing(pytester: pytest.Pytester) -> None:
    """
    A suite that uses no fixture imports neither the library nor its dependencies.
    """
    pytester.makepyfile(LIGHT)
    result = pytester.runpytest_subprocess(*PLAIN)
    result.assert_outcomes(passed=1)


def test_plugin_can_be_disabled(pytester: pytest.Pytester) -> None:
    """
    The plugin can be disabled.
    """
    pytester.makepyfile("def test_it(offline_studio): pass")
    result = pytester.runpytest_subprocess(*PLAIN, "-p", "no:imagesession")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'offline_studio' not found*"])


def test_fixtures_have_descriptions(pytester: pytest.Pytester, tmp_path: Path) -> None:
    """
    `pytest --fixtures` describes each fixture.
    """
    result = pytester.runpytest_subprocess(*PLAIN, "--fixtures", str(tmp_path))
    for name in (
        "offline_provider",
        "offline_studio",
        "async_offline_studio",
        "openai_images_server",
    ):
        result.stdout.fnmatch_lines([f"{name} -- *imagesession/testing/plugin.py:*"])


def test_tests_in_the_documentation_pass(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Every test on the page about testing passes in a pytest process of its own.
    """
    monkeypatch.setenv("PYTHONPATH", str(PAGE.parent.parent.parent))
    pytester.makeconftest(HURRIED)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    suite = "\n\n".join(block for block in blocks if "with Studio.offline(" not in block)
    pytester.makepyfile(suite)
    result = pytester.runpytest_subprocess(*PLAIN)
    result.assert_outcomes(passed=suite.count("def test_"))
