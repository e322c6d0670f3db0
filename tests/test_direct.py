"""
A server without Responses is used through its Images API, which stores nothing: it gets the full
history, and at most one paid request.

Every test runs over the sync and the async twin.
"""

from __future__ import annotations

import base64
import functools
import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from PIL import Image

from imagesession import Mask
from imagesession.errors import (
    AuthenticationError,
    BadRequestError,
    ContentBlockedError,
    GenerationFailedError,
    ImageSessionError,
    InsufficientQuotaError,
    InvalidImageError,
    InvalidResponseError,
    OutcomeUnknownError,
    ProviderUnavailableError,
    RateLimitError,
)
from imagesession.testing import (
    ConnectionReset,
    FakeOpenAI,
    FakeRequest,
    FakeResponse,
    Fault,
    serve,
    tiny_image,
)
from tests.conftest import MakeStudio
from tests.imaging import making
from tests.sent import forms, opened, posts
from tests.unsettled import unsettled

COLOUR = (200, 30, 30)
RED = tiny_image(colour=COLOUR)
BLUE = tiny_image(colour=(30, 30, 200))
BOX = (8, 8, 40, 32)
PATHS = "/images/generations|/images/edits"
WIDE = "1024x640"


@pytest.fixture
def provider() -> FakeOpenAI:
    """
    A server without Responses, like most compatible ones.
    """
    return FakeOpenAI(responses=False)


def paid_paths(provider: FakeOpenAI) -> list[str]:
    """
    Return the paths of the paid requests, without the one that looks for Responses.
    """
    return [path for path in posts(provider) if path.startswith("/images/")]


def generation_bodies(provider: FakeOpenAI) -> list[Any]:
    """
    Return the bodies of generations.
    """
    return [call.body for call in provider.requests if call.path == "/images/generations"]


def respond_with(
    body: bytes, status: int = 200, kind: str = "application/json", path: str = PATHS
) -> Fault:
    """
    Set the body of the response to the next image request.
    """

    def respond(_: FakeRequest) -> FakeResponse:
        return FakeResponse(status=status, headers={"content-type": kind}, parts=iter((body,)))

    return Fault(method="POST", path=path, response=respond)


def with_data(*members: Any, **more: Any) -> Fault:
    """
    Set a response whose data has these members.
    """
    return respond_with(json.dumps({"data": members, **more}).encode())


def reset_connection() -> Fault:
    """
    Break the connection after an image was requested.
    """

    def transform(answer: FakeResponse) -> FakeResponse:
        return attrs.evolve(answer, parts=iter((ConnectionReset(),)))

    return Fault(method="POST", path=PATHS, transform=transform)


def is_reddish(image: Any) -> bool:
    """
    Return whether an image still resembles the red one.
    """
    red, *others = image.open().convert("RGB").resize((1, 1)).getpixel((0, 0))
    return bool(red > 2 * max(others))


# --- requests -------------------------------------------------------------------------------------


def test_image_is_generated(studio: Any, provider: FakeOpenAI) -> None:
    """
    A prompt alone is a generation: one paid request, whose image, usage and cost are recorded.
    """
    image = studio.generate("a red heart", size=WIDE)
    assert paid_paths(provider) == ["/images/generations"]
    assert generation_bodies(provider)[0]["prompt"] == "a red heart"
    assert image.size == (1024, 640)
    assert image.bytes == image.path.read_bytes()
    turn = image.turn
    assert (turn.context, turn.response_id, turn.model) == ("fresh", None, None)
    assert turn.usage.image["output_tokens"] > 0
    assert image.cost.mainline == 0
    assert image.cost.total > 0


def test_every_option_reaches_the_wire(studio: Any, provider: FakeOpenAI) -> None:
    """
    Each option is sent by its name in the Images API, and defaults are left out.
    """
    studio.generate("a", size=WIDE)
    studio.generate(
        "b",
        image_model="gpt-image-2",
        size=(1536, 864),
        quality="high",
        background="opaque",
        output_format="webp",
        output_compression=80,
        moderation="low",
        complexity="low",
        reasoning_effort="minimal",  # of the mainline model, which this API has not
        safety_identifier="user-7",
    )
    plain, full = generation_bodies(provider)
    assert plain == {"model": "gpt-image-2.6-sunburst", "prompt": "a", "n": 1, "size": WIDE}
    assert full == {
        "model": "gpt-image-2",
        "prompt": "b",
        "n": 1,
        "size": "1536x864",
        "quality": "high",
        "background": "opaque",
        "output_format": "webp",
        "output_compression": 80,
        "moderation": "low",
        "complexity": "low",
        "safety_identifier": "user-7",
    }


@pytest.mark.parametrize("format", ["jpeg", "webp", "gif", "svg"])
def test_every_format_is_supported(studio: Any, format: str) -> None:
    """
    Images of every format are saved with the suffix of their bytes.
    """
    image = studio.generate("a star icon", output_format=format)
    assert image.format == format
    assert image.path.suffix == {"jpeg": ".jpg"}.get(format, f".{format}")


def test_edit_sends_the_image(studio: Any, provider: FakeOpenAI) -> None:
    """
    Input images are sent in full, the edited one first; options that only generations take are left
    out.
    """
    image = studio.edit("darker", image=RED, references=BLUE, moderation="low", quality="low")
    (form,) = forms(provider)
    assert form["image[]"] == [RED, BLUE]
    assert (form["prompt"], form["quality"]) == ("darker", "low")
    assert "moderation" not in form
    assert is_reddish(image)


def test_mask_is_sent(studio: Any, provider: FakeOpenAI) -> None:
    """
    A mask preserves the rest of the image, and `preserve_unmasked=True` does so bit for bit.
    """
    photo = making.noise((64, 64))
    image = studio.edit("a star", image=photo, mask=Mask.rectangle(BOX), preserve_unmasked=True)
    (form,) = forms(provider)
    mask = opened(form["mask"])
    alpha = mask.getchannel("A")
    assert (alpha.getpixel((10, 10)), alpha.getpixel((50, 50))) == (0, 255)
    assert [record.source for record in image.turn.images] == ["reply", "composite"]
    after = image.open()
    for box in ((40, 0, 64, 64), (0, 32, 64, 64)):
        assert after.crop(box).tobytes() == photo.crop(box).tobytes()
    assert after.crop(BOX).tobytes() != photo.crop(BOX).tobytes()


def test_references_make_a_standalone_image(studio: Any, provider: FakeOpenAI) -> None:
    """
    A generation by references gets no history.
    """
    studio.generate("like these", references=[RED, BLUE])
    (form,) = forms(provider)
    assert (form["image[]"], form["prompt"]) == ([RED, BLUE], "like these")


def test_stream_without_partial_images_returns_the_image(studio: Any, provider: FakeOpenAI) -> None:
    """
    If there are no partial images, a stream still ends with the image.
    """
    (image,) = studio.stream("a teapot", partial_images=2, size=WIDE)
    assert image.bytes
    assert paid_paths(provider) == ["/images/generations"]


# --- sessions ----------------------------------------------------------------------------------


def test_session_sends_history_and_the_last_image(studio: Any, provider: FakeOpenAI) -> None:
    """
    Each turn sends the description, the earlier prompts and the new one, with the last image; the
    result resembles it.
    """
    session = studio.session("A tea shop", size=WIDE)
    first = session.edit("a little darker", image=RED)
    second = session.generate("add a sun")
    third = session.generate("warmer")
    assert paid_paths(provider) == ["/images/edits"] * 3
    _, payload, last = forms(provider)
    assert (payload["image"], last["image"]) == (first.bytes, second.bytes)
    assert all(text in payload["prompt"] for text in ("A tea shop", "a little darker", "add a sun"))
    prompt = last["prompt"]
    assert prompt.index("a little darker") < prompt.index("add a sun") < prompt.index("warmer")
    assert [image.turn.context for image in session.images()] == ["fresh", "rebuilt", "rebuilt"]
    assert [image.id for image in third.lineage()] == [first.id, second.id, third.id]
    assert is_reddish(third)


@pytest.mark.parametrize("named", [False, True])
def test_session_edits_its_last_image(studio: Any, provider: FakeOpenAI, named: object) -> None:
    """
    An edit of the last image sends it, whether it is named or not.
    """
    session = studio.session("x", size=WIDE)
    first = session.edit("a little darker", image=RED)
    image = session.edit("more contrast", image=first if named else None)
    assert forms(provider)[-1]["image"] == first.bytes
    assert is_reddish(image)


def test_session_edits_its_last_image_within_a_mask(studio: Any, provider: FakeOpenAI) -> None:
    """
    A mask applies to the last image, which is sent once.
    """
    session = studio.session("x", size=WIDE)
    first = session.edit("a little darker", image=RED)
    for verb in (session.generate, session.edit):
        session.checkout(first)
        image = verb("a blue heart", mask=Mask.rectangle((0.0, 0.0, 0.5, 0.5)))
        form = forms(provider)[-1]
        assert form["image"] == first.bytes
        assert opened(form["mask"]).size == first.size
        corner = (600, 400, 1024, 640)
        before, after = first.open().convert("RGB"), image.open().convert("RGB")
        assert after.crop(corner).tobytes() == before.crop(corner).tobytes()


@pytest.mark.parametrize("mask", [None, Mask.rectangle(BOX)])
def test_session_edits_another_image(studio: Any, provider: FakeOpenAI, mask: Mask | None) -> None:
    """
    The given image is edited, not the session's last one.
    """
    session = studio.session("x", size=WIDE)
    session.generate("a green meadow")
    image = session.edit("a little darker", image=RED, mask=mask, size="auto")
    assert forms(provider)[-1]["image"] == RED
    assert is_reddish(image)


def test_references_follow_the_last_image(studio: Any, provider: FakeOpenAI) -> None:
    """
    References of a refinement are sent after the refined image.
    """
    session = studio.session("x", size=WIDE)
    first = session.edit("a little darker", image=RED)
    for verb in (session.generate, session.edit):
        session.checkout(first)
        assert is_reddish(verb("warmer", references=BLUE))
        assert forms(provider)[-1]["image[]"] == [first.bytes, BLUE]


def test_branch_and_undo_send_their_own_image(studio: Any, provider: FakeOpenAI) -> None:
    """
    The image in the history is that of the parent turn.
    """
    session = studio.session("x", size=WIDE)
    first = session.edit("a little darker", image=RED)
    session.generate("bluer")
    first.refine("add a sun")
    assert forms(provider)[-1]["image"] == first.bytes
    assert "bluer" not in forms(provider)[-1]["prompt"]
    session.undo()
    session.generate("warmer")
    assert forms(provider)[-1]["image"] == first.bytes


def test_svg_is_described_by_its_prompt(studio: Any, provider: FakeOpenAI) -> None:
    """
    An SVG cannot be sent as an input; the next turn uses the earlier prompts.
    """
    session = studio.session("x")
    session.generate("a star icon", output_format="svg")
    for verb in (session.generate, session.edit):
        verb("bluer", output_format="svg")
    assert paid_paths(provider) == ["/images/generations"] * 3
    assert all("a star icon" in body["prompt"] for body in generation_bodies(provider)[1:])


def test_promoted_image_is_refined(studio: Any, provider: FakeOpenAI) -> None:
    """
    Promotion works without Responses: the image is sent with the first prompt.
    """
    session = studio.promote(RED, "A red thing", size=WIDE)
    assert is_reddish(session.generate("add a sun"))
    assert forms(provider)[-1]["image"] == RED


def test_session_moves_between_servers(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A session that started on a server without Responses continues on one with Responses, and back.
    """
    able = FakeOpenAI()
    session = make_studio(tmp_path, provider=provider).promote(RED, "x", size=WIDE)
    session.generate("darker")
    with serve(able) as served:
        elsewhere = make_studio(tmp_path, online=True, api_key="x", base_url=served.base_url)
        moved = elsewhere.open(session.id)
        assert moved.generate("add a sun").turn.context == "rebuilt"
        assert moved.generate("warmer").turn.context == "continued"
    assert is_reddish(session.generate("more contrast"))
    assert len(session.turns()) == 5


def test_analysis_needs_responses(studio: Any, provider: FakeOpenAI) -> None:
    """
    The Images API cannot analyze images: the error is typed, and nothing is paid for.
    """
    for verb in (studio.analyze, functools.partial(studio.improve, "crisp")):
        with pytest.raises(BadRequestError, match="does not support the Responses API"):
            verb(image=RED)
    assert paid_paths(provider) == []
    assert unsettled(studio.library) == []


# --- no repetition --------------------------------------------------------------------------------


@pytest.mark.parametrize("edits", [False, True])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(reset_connection(), id="reset"),
        pytest.param(respond_with(b"{}", 500), id="500"),
        pytest.param(respond_with(b"bad gateway", 502, "text/html"), id="502"),
        pytest.param(respond_with(b"timeout", 504, "text/html"), id="504"),
        pytest.param(respond_with(b"{}", 408), id="408"),
    ],
)
def test_lost_response_is_requested_once(
    studio: Any, provider: FakeOpenAI, fault: Fault, edits: object
) -> None:
    """
    A lost response has an unknown outcome: the image is requested once, and the intent is kept.
    """
    provider.enqueue_fault(fault)
    with pytest.raises(OutcomeUnknownError) as caught:
        studio.generate("a teapot", **({"references": RED} if edits else {}))
    assert len(paid_paths(provider)) == 1
    assert caught.value.response_id is None
    assert len(unsettled(studio.library)) == 1
    assert studio.images.list() == ()


@pytest.mark.parametrize(
    "status,error,kind",
    [
        (400, {"message": "no such size", "param": "size", "code": "x"}, BadRequestError),
        (401, {"message": "wrong key"}, AuthenticationError),
        (403, {"message": "must be verified"}, AuthenticationError),
        (404, {"message": "no such URL"}, BadRequestError),
        (429, {"message": "slow down"}, RateLimitError),
        (429, {"message": "pay", "code": "insufficient_quota"}, InsufficientQuotaError),
        (503, {"message": "overloaded"}, ProviderUnavailableError),
    ],
)
def test_unprocessed_request_is_not_repeated(
    studio: Any, provider: FakeOpenAI, status: int, error: Any, kind: type[Exception]
) -> None:
    """
    A request that was not processed is a typed error, is not repeated, and leaves nothing pending.
    """
    provider.fail_next(status=status, error=error, path=PATHS)
    with pytest.raises(kind):
        studio.generate("a teapot")
    assert len(paid_paths(provider)) == 1
    assert unsettled(studio.library) == []


def test_blocked_image_is_a_refused_turn(studio: Any, provider: FakeOpenAI) -> None:
    """
    An image that moderation blocked is recorded as a refused turn, and is not part of later
    history.
    """
    session = studio.session("x", size=WIDE)
    first = session.generate("a teapot")
    provider.moderate_next(categories=("violence",))
    with pytest.raises(ContentBlockedError, match="violence"):
        session.generate("something bad")
    assert [turn.status for turn in session.turns()] == ["completed", "refused"]
    assert session.generate("bluer").parent == first.turn.id
    assert "something bad" not in forms(provider)[-1]["prompt"]


# --- responses ------------------------------------------------------------------------------------


def to_base64(data: bytes) -> str:
    """
    Encode an image as the API does.
    """
    return base64.b64encode(data).decode()


def test_all_images_of_a_response_are_saved(studio: Any, provider: FakeOpenAI) -> None:
    """
    Additional images of a response are saved; unreadable ones do not affect the others, and the
    whole response is quarantined then.
    """
    provider.enqueue_fault(
        with_data(
            {"b64_json": to_base64(RED), "revised_prompt": "A red square."},
            {"b64_json": "!"},
            7,
            {"url": f"data:image/png;base64,{to_base64(BLUE)}"},
        )
    )
    image = studio.generate("a square")
    assert [studio.images.get(record.id).bytes for record in image.turn.images] == [RED, BLUE]
    assert image.turn.images[0].revised_prompt == "A red square."
    assert len(list((studio.library / ".imagesession" / "quarantine").iterdir())) == 1


def test_image_format_is_that_of_its_bytes(studio: Any, provider: FakeOpenAI) -> None:
    """
    Whatever a server reports or was asked for, the format is that of the bytes; usage may be
    missing.
    """
    provider.enqueue_fault(
        with_data({"b64_json": to_base64(tiny_image("jpeg"))}, output_format="png")
    )
    image = studio.generate("a square", output_format="webp")
    assert (image.format, image.path.suffix) == ("jpeg", ".jpg")
    assert image.cost.total is None


@pytest.mark.parametrize(
    "body,kind",
    [
        (b"<html>", InvalidResponseError),
        (b"", InvalidResponseError),
        (b"[]", InvalidResponseError),
        (b"null", InvalidResponseError),
        (b"{}", GenerationFailedError),
        (b'{"data": null}', GenerationFailedError),
        (b'{"data": []}', GenerationFailedError),
        (b'{"data": [{}]}', InvalidResponseError),
        (b'{"data": [{"b64_json": null}]}', InvalidResponseError),
        (b'{"data": [{"b64_json": "AAAA"}]}', InvalidResponseError),
        (b'{"data": [{"b64_json": 7}]}', InvalidResponseError),
        (b'{"data": [{"url": "https://example.com/a.png"}]}', InvalidResponseError),
    ],
    ids=range(12),
)
def test_response_without_an_image_is_a_typed_error(
    studio: Any, provider: FakeOpenAI, body: bytes, kind: type[ImageSessionError]
) -> None:
    """
    An unreadable response is a typed error, is recorded as a failed turn and requested once; a URL
    is not fetched.
    """
    session = studio.session("x")
    provider.enqueue_fault(respond_with(body))
    with pytest.raises(kind):
        session.generate("a teapot")
    assert len(paid_paths(provider)) == 1
    (turn,) = session.turns()
    assert turn.status == "failed"
    assert unsettled(studio.library) == []
    assert session.head() is None


MISSING = (
    b"",
    b"Not Found",
    b"{}",
    b'{"detail": "Not Found"}',
    b'{"error": "no such route"}',
    b'{"error": {"message": "Unknown request URL", "code": "unknown_url"}}',
)


@pytest.mark.parametrize("body", MISSING)
@pytest.mark.parametrize("status", [404, 405, 501])
def test_missing_responses_endpoint_is_detected(
    make_studio: MakeStudio, tmp_path: Path, status: int, body: bytes
) -> None:
    """
    Whatever error a server uses for an unknown endpoint, the Images API is used.
    """
    provider = FakeOpenAI()
    studio = make_studio(tmp_path, provider=provider)
    provider.enqueue_fault(respond_with(body, status, path="/responses"))
    assert studio.generate("a teapot", size=WIDE).bytes
    assert posts(provider) == ["/responses", "/images/generations"]


def test_missing_model_is_not_a_missing_endpoint(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A 404 that names a model is about the model: the Images API is not tried.
    """
    provider = FakeOpenAI()
    error = {"message": "no such model", "param": "model", "code": "model_not_found"}
    provider.fail_next(status=404, error=error, path="/responses")
    with pytest.raises(BadRequestError, match="no such model"):
        make_studio(tmp_path, provider=provider).generate("a teapot")
    assert posts(provider) == ["/responses"]


def test_too_many_images_are_refused_before_sending(studio: Any, provider: FakeOpenAI) -> None:
    """
    The session's last image counts as an input; one too many is refused before anything is paid
    for.
    """
    session = studio.session("x", size=WIDE)
    session.generate("a teapot")
    several = [Image.new("RGB", (16, 16), (n, 0, 0)) for n in range(16)]
    with pytest.raises(InvalidImageError, match="17 references"):
        session.generate("like these", references=several)
    assert paid_paths(provider) == ["/images/generations"]
    assert len(session.turns()) == 1
    assert unsettled(studio.library) == []


def test_missing_responses_endpoint_is_remembered(studio: Any, provider: FakeOpenAI) -> None:
    """
    A server without Responses gets no further requests for it, and no uploads that would not be
    used.
    """
    studio.generate("a teapot")
    session = studio.session("a logo")
    session.generate("a teapot")
    session.edit("bluer")
    paths = [call.path for call in provider.requests if call.method == "POST"]
    assert paths == ["/responses", *["/images/generations"] * 2, "/images/edits"]
