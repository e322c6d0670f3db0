"""
The public helpers, and the server as a program.
"""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import openai
import pytest
from PIL import Image

import imagesession.testing as offline

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "gif"])
def test_tiny_image(format: str) -> None:
    """
    Tiny images are what they say.
    """
    with Image.open(io.BytesIO(offline.tiny_image(format, (32, 16)))) as picture:
        assert (format.upper(), (32, 16)) == (picture.format, picture.size)


def test_tiny_mask() -> None:
    """
    A tiny mask lets its box be changed and protects the rest.
    """
    with Image.open(io.BytesIO(offline.tiny_mask((8, 8), (0, 0, 2, 2)))) as mask:
        alpha = mask.getchannel("A")
        assert (alpha.getpixel((1, 1)), alpha.getpixel((2, 2))) == (0, 255)


def test_public_names_exist() -> None:
    """
    Everything that is promised is there.
    """
    assert all(hasattr(offline, name) for name in offline.__all__)


def test_only_so_many_bytes_of_calls_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The record of calls has a bound, and the latest call is always there.
    """
    monkeypatch.setattr("imagesession._offline.app._HEARD_BYTES", 100)
    provider = offline.OfflineProvider()
    for size in (60, 60, 200):
        provider.handle(offline.Call(method="POST", path="/x", body=b"{" + b" " * size))

    assert [call.length for call in provider.calls] == [201]


def test_calls_are_recorded_without_the_key() -> None:
    """
    The record of calls shows method, path, query, headers and body, but no key.
    """
    provider = offline.OfflineProvider()
    with (
        offline.serve(provider) as served,
        openai.OpenAI(api_key="sk-secret", base_url=served.base_url) as client,
    ):
        client.responses.create(model="gpt-5.4", input="x")
        client.files.list(limit=3)

    made, listed = provider.calls
    assert (made.method, made.path, made.body["input"]) == ("POST", "/responses", "x")
    assert (
        listed.method,
        listed.path,
        dict(listed.query),
        listed.body,
    ) == ("GET", "/files", {"limit": "3"}, None)
    assert "sk-secret" not in repr([dict(call.headers) for call in provider.calls])


@pytest.mark.skipif(os.name == "nt", reason="SIGTERM ends a process at once on Windows")
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_serve_command(end: signal.Signals) -> None:
    """
    `python -m imagesession.testing serve` says where it listens, answers, and stops when told.
    """
    command = [sys.executable, "-W", "error", "-m", "imagesession.testing", "serve"]
    with subprocess.Popen(
        [*command, "--port", "0", "--latency", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().strip()
        assert base_url.startswith("http://127.0.0.1:")
        with openai.OpenAI(api_key="x", base_url=base_url) as client:
            made = client.responses.create(model="gpt-5.4", input="x")
        process.send_signal(end)
        _, errors = process.communicate(timeout=20)

    assert made.status == "completed"
    assert (process.returncode, "OPENAI_BASE_URL" in errors) == (0, True), errors


def test_taken_port_is_said_plainly() -> None:
    """
    A port that is taken ends the command with one sentence.
    """
    with (
        offline.serve(offline.OfflineProvider()) as served,
        pytest.raises(SystemExit, match=f"Cannot listen on port {served.port}"),
    ):
        offline.main(["serve", "--port", str(served.port)])


def test_help_explains(capsys: pytest.CaptureFixture[str]) -> None:
    """
    The command's help explains its options.
    """
    with pytest.raises(SystemExit):
        offline.main(["serve", "--help"])

    text = capsys.readouterr().out
    for option in ("--port", "--latency", "--host", "127.0.0.1"):
        assert option in text
