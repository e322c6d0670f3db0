"""
The public helpers, and the server as a program.
"""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from PIL import Image

import imagesession.testing as offline
from imagesession import PartialImage, SavedImage, Studio
from imagesession.errors import RefusalError
from imagesession.testing.__main__ import main

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def include_images(offline_provider: offline.FakeOpenAI) -> None:
    """
    Let the library find images in whichever way it asks for them.
    """
    offline_provider.retrieve_includes_image = True


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "gif"])
def test_tiny_image(format: str) -> None:
    """
    Tiny images have the given format and size.
    """
    with Image.open(io.BytesIO(offline.tiny_image(format, (32, 16)))) as picture:
        assert (format.upper(), (32, 16)) == (picture.format, picture.size)


def test_tiny_mask() -> None:
    """
    A tiny mask opens its box and protects the rest.
    """
    with Image.open(io.BytesIO(offline.tiny_mask((8, 8), (0, 0, 2, 2)))) as mask:
        alpha = mask.getchannel("A")
        assert (alpha.getpixel((1, 1)), alpha.getpixel((2, 2))) == (0, 255)


def test_public_names_exist() -> None:
    """
    Every name in `__all__` exists.
    """
    assert all(hasattr(offline, name) for name in offline.__all__)


def test_recorded_bytes_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The recorded bytes are limited, and the latest request is always kept.
    """
    monkeypatch.setattr("imagesession._fake_openai.app._MAX_BYTES", 100)
    provider = offline.FakeOpenAI()
    for size in (60, 60, 200):
        provider.handle(offline.FakeRequest(method="POST", path="/x", body=b"{" + b" " * size))

    assert [call.length for call in provider.requests] == [201]


def test_requests_are_recorded_without_the_key() -> None:
    """
    Recorded requests have method, path, query, headers and body, but no API key.
    """
    provider = offline.FakeOpenAI()
    with (
        offline.serve(provider) as served,
        openai.OpenAI(api_key="sk-secret", base_url=served.base_url) as client,
    ):
        client.responses.create(model="gpt-5.4", input="x")
        client.files.list(limit=3)

    made, listed = provider.requests
    assert (made.method, made.path, made.body["input"]) == ("POST", "/responses", "x")
    assert (
        listed.method,
        listed.path,
        dict(listed.query),
        listed.body,
    ) == ("GET", "/files", {"limit": "3"}, None)
    assert "sk-secret" not in repr([dict(call.headers) for call in provider.requests])


@pytest.mark.skipif(os.name == "nt", reason="SIGTERM ends a process at once on Windows")
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_serve_command(end: signal.Signals) -> None:
    """
    `python -m imagesession.testing serve` prints its address, answers requests, and stops on a
    signal.
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
        _, errors = process.communicate(timeout=120)

    assert made.status == "completed"
    assert (process.returncode, "OPENAI_BASE_URL" in errors) == (0, True), errors


def test_port_in_use_is_reported() -> None:
    """
    A port in use ends the command with one sentence.
    """
    with (
        offline.serve(offline.FakeOpenAI()) as served,
        pytest.raises(SystemExit, match=f"Cannot listen on port {served.port}"),
    ):
        main(["serve", "--port", str(served.port)])


def test_help_lists_options(capsys: pytest.CaptureFixture[str]) -> None:
    """
    The command's help explains its options.
    """
    with pytest.raises(SystemExit):
        main(["serve", "--help"])

    text = capsys.readouterr().out
    for option in ("--port", "--latency", "--host", "127.0.0.1"):
        assert option in text


@pytest.fixture
def make_offline() -> Iterator[Callable[[Path, offline.FakeOpenAI], Studio]]:
    """
    Create studios over a provider.
    """
    made: list[Studio] = []

    def make(library: Path, provider: offline.FakeOpenAI) -> Studio:
        made.append(Studio.offline(library, provider=provider))
        return made[-1]

    yield make
    for studio in made:
        studio.close()


# --- scripted responses --------------------------------------------------------------------------

IMAGE = offline.tiny_image("jpeg", (96, 64), (200, 80, 40))


@pytest.mark.parametrize("responses", [True, False])
def test_scripted_image_is_returned(tmp_path: Path, make_offline: Any, *, responses: bool) -> None:
    """
    A scripted image is returned byte for byte, over Responses and the Images API, and only once.
    """
    provider = offline.FakeOpenAI(responses=responses, retrieve_includes_image=True)
    provider.respond_next(image=IMAGE)
    studio = make_offline(tmp_path, provider)
    assert studio.generate("a teapot").bytes == IMAGE
    assert studio.generate("a teapot").bytes != IMAGE


def test_message_and_revised_prompt_can_be_scripted(
    offline_studio: Studio, offline_provider: offline.FakeOpenAI
) -> None:
    """
    The message beside an image and the revised prompt are as scripted.
    """
    offline_provider.respond_next(text="Here it is.", revised_prompt="one orange thing", times=2)
    for _ in range(2):
        image = offline_studio.generate("a teapot")
        assert (image.turn.text, image.revised_prompt) == ("Here it is.", "one orange thing")
    image = offline_studio.generate("a teapot")
    assert image.turn.text != "Here it is."
    assert image.revised_prompt != "one orange thing"


def test_scripted_image_is_streamed(
    offline_studio: Studio, offline_provider: offline.FakeOpenAI
) -> None:
    """
    A scripted image is preceded by partial images as any other.
    """
    offline_provider.respond_next(image=IMAGE, text="Here it is.")
    *partials, last = offline_studio.stream("a teapot", partial_images=2)
    assert [type(partial) for partial in partials] == [PartialImage] * 2
    assert isinstance(last, SavedImage)
    assert (last.bytes, last.turn.text) == (IMAGE, "Here it is.")


def test_next_turn_continues_from_a_scripted_image(
    offline_studio: Studio, offline_provider: offline.FakeOpenAI
) -> None:
    """
    The next turn edits the scripted image, and the scripted text is not repeated.
    """
    session = offline_studio.session("A box")
    offline_provider.respond_next(image=IMAGE, text="Here it is.")
    session.generate("a box")
    after = session.generate("bluer")
    red, _, blue = after.open().convert("RGB").resize((1, 1)).getpixel((0, 0))  # type: ignore[misc] # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType] - three bands
    assert blue > red - 40
    assert after.turn.text != "Here it is."
    found = session.analyze()
    assert found.summary != "Here it is."


def test_findings_can_be_scripted(
    offline_studio: Studio, offline_provider: offline.FakeOpenAI, tmp_path: Path
) -> None:
    """
    In an analysis, a scripted text holds the findings; a scripted image waits for a request for an
    image. Paths and PIL images can be scripted too.
    """
    (tmp_path / "box.jpeg").write_bytes(IMAGE)
    finding = {"issue": "Crooked", "where": "left", "severity": "low", "remedy": "Turn it"}
    offline_provider.respond_next(image=tmp_path / "box.jpeg")
    offline_provider.respond_next(text=json.dumps({"summary": "Nice.", "findings": [finding]}))
    with Image.new("RGB", (32, 32)) as picture:
        offline_provider.respond_next(image=picture)
    better = offline_studio.improve("straight", image=IMAGE)
    assert (better.analysis.summary, better.analysis.findings[0].issue) == ("Nice.", "Crooked")
    assert better.image.bytes == IMAGE
    assert offline_studio.generate("a teapot").size == (32, 32)


def test_refusal_can_be_scripted(
    offline_studio: Studio, offline_provider: offline.FakeOpenAI
) -> None:
    """
    A scripted refusal is raised with its text.
    """
    offline_provider.respond_next(refuse="I would rather not.", times=2)
    for _ in range(2):
        with pytest.raises(RefusalError, match="I would rather not"):
            offline_studio.generate("a teapot")
    assert offline_studio.generate("a teapot").bytes


def test_scripted_svg_is_returned(
    offline_studio: Studio, offline_provider: offline.FakeOpenAI
) -> None:
    """
    An SVG, which has no pixels, can be scripted too.
    """
    svg = (
        b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><path d="M0 0h8v8z"/></svg>'
    )
    offline_provider.respond_next(image=svg)
    session = offline_studio.session("An icon")
    assert session.generate("an icon", output_format="svg").bytes == svg
    assert session.generate("rounder", output_format="svg").bytes != svg


@pytest.mark.parametrize(
    "arguments",
    [{}, {"times": 2}, {"refuse": "No.", "text": "Yes."}, {"refuse": "No.", "image": IMAGE}],
)
def test_invalid_scripts_are_rejected(arguments: dict[str, Any]) -> None:
    """
    A script that is empty, or that has both a refusal and a response, raises a ValueError.
    """
    with pytest.raises(ValueError, match=r"Pass at least one|cannot be combined"):
        offline.FakeOpenAI().respond_next(**arguments)


# --- assertions on requests -----------------------------------------------------------------------


def test_recorded_requests_have_prompt_and_options() -> None:
    """
    Whichever API requests an image, the recorded request has its prompt and options.
    """
    provider = offline.FakeOpenAI()
    tools: Any = [{"type": "image_generation", "quality": "high"}]
    parts: Any = [{"role": "user", "content": [{"type": "input_text", "text": "blue"}]}]
    plain: Any = [{"role": "user", "content": "green"}, {"role": "assistant", "content": "ok"}]
    with (
        offline.serve(provider) as served,
        openai.OpenAI(api_key="x", base_url=served.base_url) as client,
    ):
        for prompt in ("red", parts, plain):
            client.responses.create(model="gpt-5.4", input=prompt, tools=tools)
        client.images.generate(prompt="white", model="gpt-image-2", quality="high")
        client.images.edit(
            prompt="black", model="gpt-image-2", image=("a.jpeg", IMAGE), quality="high"
        )
        client.responses.create(model="gpt-5.4", input="just words")
        client.models.list()
    prompts = ["red", "blue", "green", "white", "black"]
    assert [call.prompt for call in provider.generated] == prompts
    assert {call.options["quality"] for call in provider.generated} == {"high"}
    assert [call.prompt for call in provider.requests] == [*prompts, "just words", ""]
    assert [dict(call.options) for call in provider.requests[-2:]] == [{}, {}]


def test_assert_generated(offline_studio: Studio, offline_provider: offline.FakeOpenAI) -> None:
    """
    `assert_generated` passes or fails, and then lists the requests for images.
    """
    offline_provider.assert_generated(0)
    offline_studio.generate(
        "a red teapot", quality="high", output_compression=80, output_format="jpeg"
    )
    offline_studio.generate("a blue cup")
    for arguments in (
        {"times": 2},
        {"times": 1, "prompt": "teapot", "quality": "high", "output_compression": 80},
        {"prompt": "a"},
        {"times": 0, "quality": "low"},
    ):
        offline_provider.assert_generated(**arguments)  # pyright: ignore[reportArgumentType] - names of all kinds
    with pytest.raises(AssertionError, match="some expected, 0 found") as caught:
        offline_provider.assert_generated(prompt="plate")
    assert "'a red teapot'" in str(caught.value)
    assert "'a blue cup'" in str(caught.value)
    with pytest.raises(AssertionError, match="requests for images: none"):
        offline.FakeOpenAI().assert_generated()


def test_unknown_name_is_an_attribute_error() -> None:
    """
    An unknown name in the package raises AttributeError.
    """
    with pytest.raises(AttributeError, match="no attribute 'provider'"):
        offline.provider  # noqa: B018 - asking for it is the point
    assert dir(offline) == sorted(offline.__all__)
