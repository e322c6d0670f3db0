"""
Cassettes pin the requests that are sent.

Both twins play the same cassettes, so both send the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml
from vcr.errors import CannotOverwriteExistingCassetteException  # pyright: ignore[reportMissingTypeStubs]

from imagesession.errors import RefusalError
from imagesession.testing import FakeOpenAI, FakeRequest, FakeResponse, Fault, tiny_image, tiny_mask
from tests import recording
from tests.conftest import MakeStudio
from tests.conversing import Known, known
from tests.recording import playing


@pytest.fixture(autouse=True)
def _once_when_recording(request: pytest.FixtureRequest) -> None:
    """
    Record with the sync twin only; the async twin plays the recording.
    """
    if recording.MODE and "async" in request.node.name:
        pytest.skip("recorded by the sync twin")


def test_session(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    The first turn, a refinement, one with options, and a branch: each names its parent's response.
    """
    with playing("session") as access:
        studio = make_studio(tmp_path, online=True, **access)
        session = studio.session("A logo for a tea shop")
        first = session.generate("a minimalist teapot logo")
        session.generate("more geometric")
        session.generate(
            "a horizontal version", size="1536x864", quality="high", output_format="webp"
        )
        first.branch("warm").generate("warmer colours")
        assert [turn.context for turn in session.turns()] == ["fresh", *["continued"] * 3]


def test_conversation(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A conversation is created; a refinement continues it, and a branch creates another, where each
    answer is named by all of its items.
    """
    with playing("conversation") as access:
        studio = make_studio(tmp_path, online=True, provider_state="conversation", **access)
        session = studio.session("A logo for a tea shop")
        first = session.generate("a minimalist teapot logo")
        session.generate("more geometric")
        first.branch("warm").generate("warmer colours")
        assert [turn.context for turn in session.turns()] == ["fresh", *["continued"] * 2]


def test_provider_state_none(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    With nothing stored at the provider, a refinement sends the earlier prompts and the image.
    """
    with playing("nothing-kept") as access:
        studio = make_studio(tmp_path, online=True, provider_state="none", **access)
        session = studio.session("A logo for a tea shop")
        session.generate("a minimalist teapot logo")
        assert session.generate("more geometric").turn.context == "rebuilt"


def test_stream(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A streamed standalone image, with two partial images.
    """
    with playing("stream") as access:
        studio = make_studio(tmp_path, online=True, **access)
        *partials, image = studio.stream("a minimalist teapot logo", partial_images=2)
        assert partials
        assert image.path.exists()


def test_references_and_a_mask(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Images and mask are uploaded first; the request names them, the mask in the tool.
    """
    with playing("references") as access:
        studio = make_studio(tmp_path, online=True, **access)
        pictures = [tiny_image(), tiny_image("jpeg")]
        studio.generate("a red hat", references=pictures, mask=tiny_mask())


def forget_parent_once(provider: FakeOpenAI) -> None:
    """
    Let the provider forget the parent of the second paid request.
    """

    def forgetful(call: FakeRequest) -> FakeResponse:
        provider.reset_memory()
        return provider.handle(call)

    provider.enqueue_fault(Fault(method="POST", path="/responses"))
    provider.enqueue_fault(Fault(method="POST", path="/responses", response=forgetful))


@pytest.mark.skipif(recording.MODE == "openai", reason="the service does not forget on demand")
def test_rebuilt_history(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    If the provider forgot the response that a turn continues, the history is sent from the library
    with the last image.
    """
    with playing("told-again", forget_parent_once) as access:
        session = make_studio(tmp_path, online=True, **access).session("A logo")
        session.generate("a minimalist teapot logo")
        assert session.generate("more geometric").turn.context == "rebuilt"


@pytest.mark.skipif(recording.MODE == "openai", reason="the service does not refuse on demand")
def test_refusal(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A refusal is parsed as one.
    """
    with playing("refusal", lambda provider: provider.refuse_next("No, thank you.")) as access:
        studio = make_studio(tmp_path, online=True, **access)
        with pytest.raises(RefusalError, match="No, thank you"):
            studio.generate("something")


def test_forms_are_matched() -> None:
    """
    Multipart uploads are matched by their content, not by their random boundary.
    """
    with playing("upload") as access, openai.OpenAI(**access) as client:
        uploaded = client.files.create(file=("a.png", tiny_image()), purpose="vision")
        assert uploaded.filename == "a.png"


@pytest.mark.skipif(bool(recording.MODE), reason="only when playing")
def test_unrecorded_request_is_not_answered(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A cassette answers its own requests alone: another prompt or another file has no response.
    """
    with playing("session", whole=False) as access:
        studio = make_studio(tmp_path, online=True, **access)
        with pytest.raises(CannotOverwriteExistingCassetteException):
            studio.generate("another prompt")
    with (
        playing("upload", whole=False) as access,
        openai.OpenAI(**access) as client,
        pytest.raises(CannotOverwriteExistingCassetteException),
    ):
        client.files.create(file=("a.png", tiny_image("jpeg")), purpose="vision")


@pytest.mark.parametrize(
    "cassette", sorted(recording.CASSETTES.glob("*.yaml")), ids=lambda path: path.stem
)
def test_cassettes_contain_no_secrets(cassette: Path) -> None:
    """
    No key, cookie, port or machine path is in a cassette, and every request comes from the library.
    """
    text = cassette.read_text("utf-8")
    for secret in ("sk-", "Bearer", "set-cookie", "127.0.0.1", "localhost", "/home/", "/root/"):
        assert secret not in text
    for exchange in yaml.safe_load(text)["interactions"]:
        assert exchange["request"]["uri"].startswith(recording.HOST)


def recorded_bodies(cassette: str, path: str) -> list[str]:
    """
    Return the bodies that were sent to a path in a cassette, the oldest first.
    """
    tape: Any = yaml.safe_load((recording.CASSETTES / f"{cassette}.yaml").read_text("utf-8"))
    requests = [interaction["request"] for interaction in tape["interactions"]]
    return [
        request["body"]
        for request in requests
        if request["uri"] == f"{recording.HOST}{path}" and request["body"]
    ]


def test_continued_turn_is_small() -> None:
    """
    In the recorded session no request after the first contains an image, and each names the
    response that it continues.
    """
    bodies = recorded_bodies("session", "/responses")
    assert all(len(body) < 600 for body in bodies)
    first, second, third, branch = (known(json.loads(body)) for body in bodies)
    assert first == Known()
    assert second == branch == Known(previous=second.previous)
    assert third == Known(previous=third.previous)
    assert len({None, second.previous, third.previous}) == 3


def test_branch_names_complete_answers() -> None:
    """
    In the recorded conversation a refinement continues it, and the branch names in a new one all
    items of the answer that it starts from, and no image.
    """
    bodies = recorded_bodies("conversation", "/responses")
    assert all(len(body) < 900 for body in bodies)
    first, second, branch = (known(json.loads(body)) for body in bodies)
    assert first == second == Known(conversation=first.conversation)
    assert branch.conversation != first.conversation
    assert (branch.previous, len(branch.items), branch.messages) == (None, 3, 2)
    assert len(recorded_bodies("conversation", "/conversations")) == 2
