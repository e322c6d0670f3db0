"""
A server without Responses has the Images API, which remembers nothing: it is told everything
again, and asked at most once. Every test runs over the sync and the async twin.
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
    A server that does not speak Responses, as most compatible ones.
    """
    return FakeOpenAI(responses=False)


def drawn(provider: FakeOpenAI) -> list[str]:
    """
    Return the paid requests' paths, without the question for Responses.
    """
    return [path for path in posts(provider) if path.startswith("/images/")]


def asked(provider: FakeOpenAI) -> list[Any]:
    """
    Return the bodies of generations.
    """
    return [call.body for call in provider.requests if call.path == "/images/generations"]


def answering(
    body: bytes, status: int = 200, kind: str = "application/json", path: str = PATHS
) -> Fault:
    """
    Plan an answer with a body of one's own to the next picture.
    """

    def instead(_: FakeRequest) -> FakeResponse:
        return FakeResponse(status=status, headers={"content-type": kind}, parts=iter((body,)))

    return Fault(method="POST", path=path, instead=instead)


def with_data(*members: Any, **more: Any) -> Fault:
    """
    Plan a reply with these members of its data.
    """
    return answering(json.dumps({"data": members, **more}).encode())


def resetting() -> Fault:
    """
    Plan to break the connection once the picture was asked for.
    """

    def bend(answer: FakeResponse) -> FakeResponse:
        return attrs.evolve(answer, parts=iter((ConnectionReset(),)))

    return Fault(method="POST", path=PATHS, bend=bend)


def is_reddish(image: Any) -> bool:
    """
    Tell whether a picture still looks like the red one.
    """
    red, *others = image.open().convert("RGB").resize((1, 1)).getpixel((0, 0))
    return bool(red > 2 * max(others))


# --- what is asked -----------------------------------------------------------------------------


def test_a_picture_is_generated(studio: Any, provider: FakeOpenAI) -> None:
    """
    A prompt alone is a generation: one paid request, whose picture, usage and cost are kept.
    """
    image = studio.generate("a red heart", size=WIDE)
    assert drawn(provider) == ["/images/generations"]
    assert asked(provider)[0]["prompt"] == "a red heart"
    assert image.size == (1024, 640)
    assert image.bytes == image.path.read_bytes()
    turn = image.turn
    assert (turn.context, turn.response_id, turn.model) == ("fresh", None, None)
    assert turn.usage.image["output_tokens"] > 0
    assert image.cost.mainline == 0
    assert image.cost.total > 0


def test_every_option_reaches_the_wire(studio: Any, provider: FakeOpenAI) -> None:
    """
    Each option is sent in the words of the Images API, and what has a default is left out.
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
    )
    plain, full = asked(provider)
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
    }


@pytest.mark.parametrize("format", ["jpeg", "webp", "gif", "svg"])
def test_every_format_comes(studio: Any, format: str) -> None:
    """
    Pictures of every format are kept under the suffix of their bytes.
    """
    image = studio.generate("a star icon", output_format=format)
    assert image.format == format
    assert image.path.suffix == {"jpeg": ".jpg"}.get(format, f".{format}")


def test_an_edit_sends_the_picture(studio: Any, provider: FakeOpenAI) -> None:
    """
    Pictures go along in full, the one that is changed first; what only generations take is left
    out.
    """
    image = studio.edit("darker", image=RED, references=BLUE, moderation="low", quality="low")
    (form,) = forms(provider)
    assert form["image[]"] == [RED, BLUE]
    assert (form["prompt"], form["quality"]) == ("darker", "low")
    assert "moderation" not in form
    assert is_reddish(image)


def test_a_mask_goes_along(studio: Any, provider: FakeOpenAI) -> None:
    """
    A mask keeps what is outside, and `preserve_unmasked=True` does so to the bit.
    """
    photo = making.noise((64, 64))
    image = studio.edit("a star", image=photo, mask=Mask.rectangle(BOX), preserve_unmasked=True)
    (form,) = forms(provider)
    mask = opened(form["mask"])
    alpha = mask.getchannel("A")
    assert (alpha.getpixel((10, 10)), alpha.getpixel((50, 50))) == (0, 255)
    assert [item.source for item in image.turn.images] == ["reply", "composite"]
    after = image.open()
    for box in ((40, 0, 64, 64), (0, 32, 64, 64)):
        assert after.crop(box).tobytes() == photo.crop(box).tobytes()
    assert after.crop(BOX).tobytes() != photo.crop(BOX).tobytes()


def test_references_alone_are_a_picture_of_their_own(studio: Any, provider: FakeOpenAI) -> None:
    """
    What is generated by references is told no conversation.
    """
    studio.generate("like these", references=[RED, BLUE])
    (form,) = forms(provider)
    assert (form["image[]"], form["prompt"]) == ([RED, BLUE], "like these")


def test_streaming_brings_the_picture(studio: Any, provider: FakeOpenAI) -> None:
    """
    Where nothing comes on the way, a stream still ends with the picture.
    """
    (image,) = studio.stream("a teapot", partial_images=2, size=WIDE)
    assert image.bytes
    assert drawn(provider) == ["/images/generations"]


# --- sessions ----------------------------------------------------------------------------------


def test_a_session_is_told_again_with_its_picture(studio: Any, provider: FakeOpenAI) -> None:
    """
    Each turn tells the brief, what was asked before and the newest words, and shows the last
    picture; what comes of it still resembles it.
    """
    session = studio.session("A tea shop", size=WIDE)
    first = session.edit("a little darker", image=RED)
    second = session.generate("add a sun")
    third = session.generate("warmer")
    assert drawn(provider) == ["/images/edits"] * 3
    _, payload, last = forms(provider)
    assert (payload["image"], last["image"]) == (first.bytes, second.bytes)
    assert all(
        words in payload["prompt"] for words in ("A tea shop", "a little darker", "add a sun")
    )
    words = last["prompt"]
    assert words.index("a little darker") < words.index("add a sun") < words.index("warmer")
    assert [image.turn.context for image in session.images()] == ["fresh", "rebuilt", "rebuilt"]
    assert [item.id for item in third.lineage()] == [first.id, second.id, third.id]
    assert is_reddish(third)


@pytest.mark.parametrize("named", [False, True])
def test_a_sessions_picture_is_edited(studio: Any, provider: FakeOpenAI, named: object) -> None:
    """
    An edit of the last picture sends it, whether it is named or not.
    """
    session = studio.session("x", size=WIDE)
    first = session.edit("a little darker", image=RED)
    image = session.edit("more contrast", image=first if named else None)
    assert forms(provider)[-1]["image"] == first.bytes
    assert is_reddish(image)


def test_a_sessions_picture_is_edited_within_a_mask(studio: Any, provider: FakeOpenAI) -> None:
    """
    A mask lies over the last picture, which goes along once.
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
def test_another_picture_is_edited_in_a_session(
    studio: Any, provider: FakeOpenAI, mask: Mask | None
) -> None:
    """
    The picture that is given is the one that is changed, not the session's last one.
    """
    session = studio.session("x", size=WIDE)
    session.generate("a green meadow")
    image = session.edit("a little darker", image=RED, mask=mask, size="auto")
    assert forms(provider)[-1]["image"] == RED
    assert is_reddish(image)


def test_references_stand_behind_the_last_picture(studio: Any, provider: FakeOpenAI) -> None:
    """
    References of a refinement go along behind the picture that is refined.
    """
    session = studio.session("x", size=WIDE)
    first = session.edit("a little darker", image=RED)
    for verb in (session.generate, session.edit):
        session.checkout(first)
        assert is_reddish(verb("warmer", references=BLUE))
        assert forms(provider)[-1]["image[]"] == [first.bytes, BLUE]


def test_branches_and_undo_show_their_own_picture(studio: Any, provider: FakeOpenAI) -> None:
    """
    The picture that is told again is the one that the turn grows on.
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


def test_a_drawing_is_told_by_its_words(studio: Any, provider: FakeOpenAI) -> None:
    """
    An SVG cannot be shown again; the next turn goes by what was said.
    """
    session = studio.session("x")
    session.generate("a star icon", output_format="svg")
    for verb in (session.generate, session.edit):
        verb("bluer", output_format="svg")
    assert drawn(provider) == ["/images/generations"] * 3
    assert all("a star icon" in body["prompt"] for body in asked(provider)[1:])


def test_a_promoted_picture_is_refined(studio: Any, provider: FakeOpenAI) -> None:
    """
    Promotion works without Responses: the picture is sent with the first words.
    """
    session = studio.promote(RED, "A red thing", size=WIDE)
    assert is_reddish(session.generate("add a sun"))
    assert forms(provider)[-1]["image"] == RED


def test_a_session_moves_between_servers(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A session that began on a server without Responses goes on where there are some, and back.
    """
    able = FakeOpenAI()
    session = make_studio(tmp_path, provider=provider).promote(RED, "x", size=WIDE)
    session.generate("darker")
    with serve(able) as served:
        elsewhere = make_studio(tmp_path, online=True, api_key="x", base_url=served.base_url)
        there = elsewhere.open(session.id)
        assert there.generate("add a sun").turn.context == "rebuilt"
        assert there.generate("warmer").turn.context == "continued"
    assert is_reddish(session.generate("more contrast"))
    assert len(session.turns()) == 5


def test_looking_needs_responses(studio: Any, provider: FakeOpenAI) -> None:
    """
    The Images API does not look at pictures: the error is typed, and nothing is paid for.
    """
    for verb in (studio.analyze, functools.partial(studio.improve, "crisp")):
        with pytest.raises(BadRequestError, match="does not speak Responses"):
            verb(image=RED)
    assert drawn(provider) == []
    assert unsettled(studio.library) == []


# --- at most once ------------------------------------------------------------------------------


@pytest.mark.parametrize("edits", [False, True])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(resetting(), id="reset"),
        pytest.param(answering(b"{}", 500), id="500"),
        pytest.param(answering(b"bad gateway", 502, "text/html"), id="502"),
        pytest.param(answering(b"timeout", 504, "text/html"), id="504"),
        pytest.param(answering(b"{}", 408), id="408"),
    ],
)
def test_a_lost_answer_is_asked_for_once(
    studio: Any, provider: FakeOpenAI, fault: Fault, edits: object
) -> None:
    """
    An answer that is lost has an unknown outcome: the picture is asked for once, and the intent
    stays on record.
    """
    provider.enqueue_fault(fault)
    with pytest.raises(OutcomeUnknownError) as caught:
        studio.generate("a teapot", **({"references": RED} if edits else {}))
    assert len(drawn(provider)) == 1
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
def test_what_was_turned_away_was_not_paid_for(
    studio: Any, provider: FakeOpenAI, status: int, error: Any, kind: type[Exception]
) -> None:
    """
    A request that was turned away is a typed error, is not repeated, and leaves nothing open.
    """
    provider.fail_next(status=status, error=error, path=PATHS)
    with pytest.raises(kind):
        studio.generate("a teapot")
    assert len(drawn(provider)) == 1
    assert unsettled(studio.library) == []


def test_a_blocked_picture_is_a_fact(studio: Any, provider: FakeOpenAI) -> None:
    """
    What moderation stopped is kept as a refused turn, and is not told to the model again.
    """
    session = studio.session("x", size=WIDE)
    first = session.generate("a teapot")
    provider.moderate_next(categories=("violence",))
    with pytest.raises(ContentBlockedError, match="violence"):
        session.generate("something bad")
    assert [turn.status for turn in session.turns()] == ["completed", "refused"]
    assert session.generate("bluer").parent == first.turn.id
    assert "something bad" not in forms(provider)[-1]["prompt"]


# --- what comes back ---------------------------------------------------------------------------


def b64(data: bytes) -> str:
    """
    Encode a picture as the wire does.
    """
    return base64.b64encode(data).decode()


def test_all_pictures_of_a_reply_are_kept(studio: Any, provider: FakeOpenAI) -> None:
    """
    A server that sends more pictures than were asked for loses none; those that cannot be read do
    not take the others with them, and the whole reply is kept aside then.
    """
    provider.enqueue_fault(
        with_data(
            {"b64_json": b64(RED), "revised_prompt": "A red square."},
            {"b64_json": "!"},
            7,
            {"url": f"data:image/png;base64,{b64(BLUE)}"},
        )
    )
    image = studio.generate("a square")
    assert [studio.images.get(item.id).bytes for item in image.turn.images] == [RED, BLUE]
    assert image.turn.images[0].revised_prompt == "A red square."
    assert len(list((studio.library / ".imagesession" / "quarantine").iterdir())) == 1


def test_a_picture_is_what_its_bytes_are(studio: Any, provider: FakeOpenAI) -> None:
    """
    Whatever a server says or was asked, the format is that of the bytes; usage may be missing.
    """
    provider.enqueue_fault(with_data({"b64_json": b64(tiny_image("jpeg"))}, output_format="png"))
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
def test_a_reply_without_a_picture_is_a_typed_error(
    studio: Any, provider: FakeOpenAI, body: bytes, kind: type[ImageSessionError]
) -> None:
    """
    A reply that makes no sense is an error that says so, is kept as a fact and asked for once; an
    address is not followed.
    """
    session = studio.session("x")
    provider.enqueue_fault(answering(body))
    with pytest.raises(kind):
        session.generate("a teapot")
    assert len(drawn(provider)) == 1
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
def test_servers_say_in_many_ways_that_they_have_no_responses(
    make_studio: MakeStudio, tmp_path: Path, status: int, body: bytes
) -> None:
    """
    However a server says that it does not know the endpoint, the Images API is asked.
    """
    provider = FakeOpenAI()
    studio = make_studio(tmp_path, provider=provider)
    provider.enqueue_fault(answering(body, status, path="/responses"))
    assert studio.generate("a teapot", size=WIDE).bytes
    assert posts(provider) == ["/responses", "/images/generations"]


def test_a_missing_model_is_not_a_missing_endpoint(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A 404 that names a model is about the model: the Images API is not tried in its place.
    """
    provider = FakeOpenAI()
    error = {"message": "no such model", "param": "model", "code": "model_not_found"}
    provider.fail_next(status=404, error=error, path="/responses")
    with pytest.raises(BadRequestError, match="no such model"):
        make_studio(tmp_path, provider=provider).generate("a teapot")
    assert posts(provider) == ["/responses"]


def test_too_many_pictures_are_refused_before(studio: Any, provider: FakeOpenAI) -> None:
    """
    The session's last picture counts among those that go along; one too many is told before
    anything is paid for.
    """
    session = studio.session("x", size=WIDE)
    session.generate("a teapot")
    several = [Image.new("RGB", (16, 16), (n, 0, 0)) for n in range(16)]
    with pytest.raises(InvalidImageError, match="17 references"):
        session.generate("like these", references=several)
    assert drawn(provider) == ["/images/generations"]
    assert len(session.turns()) == 1
    assert unsettled(studio.library) == []


def test_a_server_is_asked_once_whether_it_speaks_responses(
    studio: Any, provider: FakeOpenAI
) -> None:
    """
    Who has no Responses is not asked for them again, nor handed files that nothing would name.
    """
    studio.generate("a teapot")
    session = studio.session("a logo")
    session.generate("a teapot")
    session.edit("bluer")
    paths = [call.path for call in provider.requests if call.method == "POST"]
    assert paths == ["/responses", *["/images/generations"] * 2, "/images/edits"]
