"""
A real LiteLLM proxy between the library and the provider: each picture is paid for at most once.

It runs with `--faults`, if the command `litellm` is there: `pip install 'litellm[proxy]'`, best in
an environment of its own, with LITELLM naming the command if it is not on the path.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from imagesession import Studio
from imagesession._domain.turn import Api
from imagesession.errors import ImageSessionError
from imagesession.testing import FakeOpenAI, serve, tiny_image
from tests.sent import posts

pytestmark = pytest.mark.faults
COMMAND = os.environ.get("LITELLM") or shutil.which("litellm")
START_SECONDS = 180.0
KEY = "sk-0123456789abcdef0123456789abcdef"
PAID = {"/responses", "/images/generations", "/images/edits"}
KINDS = (
    "500",
    "503",
    "429",
    "reset-before-response",
    "reset-within-response",
    "cut",
    "moderation",
)
CONFIG = """
model_list:
  - model_name: "*"
    litellm_params: {{model: "openai/*", api_base: "{base_url}", api_key: "any"}}
"""


@attrs.frozen
class Proxy:
    """
    A proxy, and the provider behind it.
    """

    base_url: str
    provider: FakeOpenAI


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """
    A LiteLLM proxy in front of the offline provider.
    """
    if COMMAND is None:
        pytest.skip("litellm is not installed")
    provider = FakeOpenAI()
    with serve(provider) as served:
        config = tmp_path_factory.mktemp("litellm") / "config.yaml"
        config.write_text(CONFIG.format(base_url=served.base_url), "utf-8")
        port = free_port()
        command = [COMMAND, "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
        environment = {
            **os.environ,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_MASTER_KEY": KEY,
        }
        environment.pop("PYTHONPATH", None)
        with (config.parent / "log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            try:
                wait_until_ready(process, port)
                yield Proxy(f"http://127.0.0.1:{port}/v1", provider)
            finally:
                process.terminate()
                process.wait(30)


def free_port() -> int:
    """
    Return a port that nothing listens on.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    """
    Wait until the proxy answers.
    """
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/liveliness", timeout=2):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail("the proxy did not start")


def paid(provider: FakeOpenAI, before: int) -> int:
    """
    Return how many paid requests the provider got since.
    """
    return sum(path in PAID for path in posts(provider)[before:])


@pytest.mark.parametrize("api", ["responses", "images"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_paid_for_at_most_once(
    proxy: Proxy, tmp_path: Path, kind: str, api: Api
) -> None:
    """
    Whatever fails behind the proxy, the provider gets one paid request. By the Images API that is
    an edit: the proxy repeats failed generations there by itself, whatever a client says.
    """
    before = len(posts(proxy.provider))
    proxy.provider.inject_faults({kind: 1.0}, method="POST", path="/responses|/images/*")
    with (
        Studio(
            tmp_path, base_url=proxy.base_url, api_key=KEY, server="litellm", retry_timeout=0
        ) as studio,
        contextlib.suppress(ImageSessionError),
    ):
        studio.edit("in red", image=tiny_image(), api=api, image_model="gpt-image-2")
    proxy.provider.inject_faults({})
    assert paid(proxy.provider, before) == 1


def test_every_verb_works_through_the_proxy(proxy: Proxy, tmp_path: Path) -> None:
    """
    Sessions, edits with input images and streams go through, and long ids are continued.
    """
    before = len(posts(proxy.provider))
    with Studio(tmp_path, base_url=proxy.base_url, api_key=KEY) as studio:
        session = studio.session("Tea", image_model="gpt-image-2")
        first = session.generate("a teapot")
        second = session.generate("more geometric")
        assert second.turn.context == "continued"
        assert len(second.turn.response_id or "") > 256
        assert session.edit("in red", image=first).bytes
        assert [*session.stream("in green")]
    assert paid(proxy.provider, before) == 4
