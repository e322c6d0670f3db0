"""
An image is uploaded once and named by its file id until it expires; no failure of an upload fails a
call.

Every test runs over the sync and the async twin.
"""

from __future__ import annotations

import functools
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from PIL import Image

from imagesession import Mask
from imagesession.errors import BadRequestError, InvalidRequestError, OutcomeUnknownError
from imagesession.testing import (
    ConnectionReset,
    Delay,
    FakeOpenAI,
    FakeRequest,
    FakeResponse,
    Fault,
    serve,
    tiny_image,
)
from tests.conftest import MakeStudio
from tests.conversing import EITHER_WAY, anew_from, converse, known, straight_from
from tests.sent import asked, opened, posts, shown, uploads

RED = tiny_image(colour=(200, 30, 30))
BLUE = tiny_image(colour=(30, 30, 200))
DAY = 86_400.0


@attrs.define
class Clock:
    """
    A provider's clock that can be moved forward.
    """

    ahead: float = 0.0

    def __call__(self) -> float:
        """
        Give the time in seconds since the epoch.
        """
        return time.time() + self.ahead


@pytest.fixture
def studio(make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI) -> Any:
    """
    A studio that makes the smallest images that the provider accepts.
    """
    return make_studio(tmp_path / "library", provider=provider, size="1024x640")


def respond_with(body: bytes, status: int = 200, kind: str = "application/json") -> Fault:
    """
    Set the body of the response to the next upload.
    """

    def respond(_: FakeRequest) -> FakeResponse:
        return FakeResponse(status=status, headers={"content-type": kind}, parts=iter((body,)))

    return Fault(method="POST", path="/files", response=respond)


def reset_connection() -> Fault:
    """
    Break the connection during the next upload.
    """

    def transform(answer: FakeResponse) -> FakeResponse:
        return attrs.evolve(answer, parts=iter((ConnectionReset(),)))

    return Fault(method="POST", path="/files", transform=transform)


def image_forms(body: Any) -> list[str]:
    """
    Return for each image in a request whether it is sent by id or in full.
    """
    parts = body["input"][-1]["content"]
    ways = {"file_id": "id", "image_url": "in full"}
    return [way for part in parts for key, way in ways.items() if key in part]


def cache_file(studio: Any) -> list[Path]:
    """
    Return the file of the upload cache.
    """
    return list((studio.library / ".imagesession" / "uploads").iterdir())


# --- reuse ----------------------------------------------------------------------------------------


def test_image_is_uploaded_once(studio: Any, provider: FakeOpenAI) -> None:
    """
    Edits of the same image, in whatever form it is given, upload it once and then name its id.
    """
    saved = studio.images.import_file(RED)
    for source in (RED, saved, saved.id, bytearray(RED), saved.path):
        studio.edit("add a sun", image=source)
    assert uploads(provider) == [RED]
    (first, *later_ids) = (body["input"][-1]["content"][0]["file_id"] for body in asked(provider))
    assert set(later_ids) == {first}


def test_upload_has_the_vision_purpose_and_expires(studio: Any, provider: FakeOpenAI) -> None:
    """
    A file is uploaded with the purpose "vision", a neutral name, and an expiry.
    """
    studio.edit("add a sun", image=RED)
    (upload,) = (call for call in provider.requests if call.path == "/files")
    fields = {field.name: field for field in upload.body}
    assert fields["purpose"].text == "vision"
    assert fields["expires_after[anchor]"].text == "created_at"
    assert fields["expires_after[seconds]"].text == str(30 * 86_400)
    assert fields["file"].filename.endswith(".png")


def test_masks_and_references_are_uploaded_once(studio: Any, provider: FakeOpenAI) -> None:
    """
    A mask and further references are uploaded like the image, each once.
    """
    hole = Mask.rectangle((0, 0, 9, 9))
    for _ in range(2):
        studio.edit("a star", image=RED, mask=hole, references=[BLUE, RED])
    studio.generate("like these", references=[BLUE, RED])
    assert len(uploads(provider)) == 3
    assert uploads(provider)[:2] == [RED, BLUE]
    assert opened(uploads(provider)[2]).mode == "RGBA"
    first, second, third = asked(provider)
    assert image_forms(first) == image_forms(second) == ["id"] * 3
    assert shown(provider, third) == [BLUE, RED]
    assert first["tools"][0]["input_image_mask"] == second["tools"][0]["input_image_mask"]


def test_another_program_reuses_the_upload(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    Another studio on the same library names the file that the first one uploaded.
    """
    for _ in range(3):
        make_studio(tmp_path, provider=provider).edit("add a sun", image=RED)
    assert uploads(provider) == [RED]


def test_request_with_images_stays_small(studio: Any, provider: FakeOpenAI) -> None:
    """
    The size of a request does not depend on the size of its images.
    """
    noisy = Image.effect_noise((512, 512), 90)
    studio.edit("darker", image=noisy)
    (length,) = (call.length for call in provider.requests if call.path == "/responses")
    assert len(uploads(provider)[0]) > 100_000
    assert length < 1024


def test_each_provider_has_its_own_uploads(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    One provider's file id is not sent to another.
    """
    first, second = FakeOpenAI(), FakeOpenAI()
    with serve(first) as first_server, serve(second) as second_server:
        for server in (first_server, second_server, first_server):
            studio = make_studio(tmp_path, online=True, api_key="x", base_url=server.base_url)
            assert studio.edit("add a sun", image=RED).bytes
            studio.close()
    assert (posts(first).count("/files"), posts(second).count("/files")) == (1, 1)
    assert (posts(first).count("/responses"), posts(second).count("/responses")) == (2, 1)


def test_refused_call_uploads_nothing(studio: Any, provider: FakeOpenAI) -> None:
    """
    An image is uploaded only after all local checks.
    """
    for wrong in ({"size": "1x1"}, {"quality": "ultra"}, {"mask": RED}, {"markup": RED}):
        with pytest.raises(InvalidRequestError):
            studio.edit("add a sun", image=BLUE, **wrong)
    assert provider.requests == ()


# --- lost files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("masked", [False, True])
def test_expired_file_is_sent_in_full(
    make_studio: MakeStudio, tmp_path: Path, masked: object
) -> None:
    """
    If the provider dropped a file early, the turn is sent again with the full image: one request is
    rejected, one is paid for. Later the file is uploaded again.
    """
    clock = Clock()
    provider = FakeOpenAI(clock=clock)
    studio = make_studio(tmp_path, provider=provider)
    request = {"image": RED, "mask": Mask.rectangle((0, 0, 9, 9)) if masked else None}
    studio.edit("add a sun", **request)
    clock.ahead = 31 * DAY
    image = studio.edit("add a moon", **request)
    assert posts(provider)[-2:] == ["/responses", "/responses"]
    turned_away, retried = asked(provider)[-2:]
    assert (image_forms(turned_away), image_forms(retried)) == (["id"], ["in full"])
    assert shown(provider, retried) == [RED]
    assert [listed.id for listed in studio.images.list()][:1] == [image.id]
    held = 2 if masked else 1
    assert len(uploads(provider)) == held
    studio.edit("add a star", **request)
    assert len(uploads(provider)) == 2 * held
    assert image_forms(asked(provider)[-1]) == ["id"]


def test_file_about_to_expire_is_uploaded_again(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A file that has expired according to the provider is not named.
    """
    clock = Clock()
    provider = FakeOpenAI(clock=clock)
    studio = make_studio(tmp_path, provider=provider)
    clock.ahead = -30 * DAY + 60
    studio.edit("add a sun", image=RED)
    clock.ahead = 0
    studio.edit("add a moon", image=RED)
    assert uploads(provider) == [RED, RED]
    assert len(asked(provider)) == 2


@pytest.mark.parametrize("conversing", EITHER_WAY)
def test_lost_file_keeps_the_conversation(
    make_studio: MakeStudio, tmp_path: Path, conversing: object
) -> None:
    """
    A lost file does not lose the conversation: the turn still continues the previous one.
    """
    provider = FakeOpenAI()
    studio = make_studio(tmp_path, provider=provider)
    session = converse(studio.session("x"), conversing)
    first = session.edit("a little darker", image=RED)
    _lose_files(provider)
    second = session.edit("add a sun", image=RED)
    assert second.turn.context == "continued"
    sent = asked(provider)[-1]
    assert known(sent) == straight_from(first, conversing=conversing)
    assert image_forms(sent) == ["in full"]
    assert len(session.turns()) == 2


@pytest.mark.parametrize("lost", [False, True])
def test_earlier_inputs_are_named_in_a_new_branch(
    make_studio: MakeStudio, tmp_path: Path, *, lost: bool
) -> None:
    """
    A branch's history contains the input images of earlier turns while the provider has them; if
    they are lost, it continues from its own images alone.
    """
    provider = FakeOpenAI()
    studio = make_studio(tmp_path, provider=provider)
    session = converse(studio.session("x"), conversing=True)
    first = session.generate("a teapot", references=RED)
    held = asked(provider)[-1]["input"][-1]["content"][0]["file_id"]
    session.generate("warmer")
    if lost:
        _lose_files(provider)
    image = first.branch("other").generate("bluer")
    body = asked(provider)[-1]
    assert known(body) == anew_from(first, within=image)
    history_files = [
        part.get("file_id") for message in body["input"][:-1] for part in message.get("content", ())
    ]
    assert (held in history_files) is not lost
    assert image.turn.context == "continued"
    assert len(session.turns()) == 3


def test_conversation_and_file_may_both_be_lost(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A provider that forgot the conversation and the file gets both again; one turn is recorded.
    """
    provider = FakeOpenAI()
    studio = make_studio(tmp_path, provider=provider)
    session = studio.session("x")
    session.edit("a little darker", image=RED)
    _lose_files(provider)
    provider.reset_memory()
    second = session.edit("add a sun", image=RED)
    assert second.turn.context == "rebuilt"
    assert len(session.turns()) == 2
    assert len(asked(provider)) == 4


def test_missing_file_error_is_retried_once(studio: Any, provider: FakeOpenAI) -> None:
    """
    A provider that keeps reporting a missing file gets two requests and no more.
    """
    error = {"message": "No such File object: file-abcdef123456", "param": None, "code": "x"}
    provider.fail_next(status=400, error=error, method="POST", path="/responses", times=9)
    with pytest.raises(BadRequestError, match="file-abcdef123456"):
        studio.edit("add a sun", image=RED)
    assert len(asked(provider)) == 2


def _lose_files(provider: FakeOpenAI) -> None:
    """
    Delete all files, as the account's owner may.
    """
    headers = {"authorization": "Bearer another"}
    listed = provider.handle(FakeRequest(method="GET", path="/files", headers=headers))
    body = json.loads(b"".join(part for part in listed.parts if isinstance(part, bytes)))
    for file in body["data"]:
        provider.handle(FakeRequest(method="DELETE", path=f"/files/{file['id']}", headers=headers))


# --- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(respond_with(b"{}", 502), id="502"),
        pytest.param(respond_with(b"{}", 503), id="503"),
        pytest.param(respond_with(b'{"error": {"message": "slow down"}}', 429), id="429"),
        pytest.param(respond_with(b'{"error": "no"}', 400), id="400"),
        pytest.param(respond_with(b'{"error": {"message": "scopes"}}', 403), id="403"),
        pytest.param(respond_with(b"too large", 413, "text/plain"), id="413"),
        pytest.param(respond_with(b"<html></html>", kind="text/html"), id="HTML"),
        pytest.param(respond_with(b""), id="nothing"),
        pytest.param(respond_with(b"[]"), id="a list"),
        pytest.param(respond_with(b"null"), id="null"),
        pytest.param(respond_with(b'{"id": ""}'), id="empty id"),
        pytest.param(respond_with(b'{"id": 7}'), id="number for an id"),
        pytest.param(respond_with(b'{"object": "file"}'), id="no id"),
        pytest.param(respond_with(b'{"id": "file-'), id="cut JSON"),
        pytest.param(reset_connection(), id="reset"),
    ],
)
def test_failed_upload_does_not_fail_the_call(
    studio: Any, provider: FakeOpenAI, fault: Fault
) -> None:
    """
    However an upload fails, the image is sent in full, once; the next call uploads it.
    """
    provider.enqueue_fault(fault)
    assert studio.edit("add a sun", image=RED).bytes
    (body,) = asked(provider)
    assert image_forms(body) == ["in full"]
    assert shown(provider, body) == [RED]
    studio.edit("add a moon", image=RED)
    assert image_forms(asked(provider)[-1]) == ["id"]
    assert posts(provider).count("/files") == 2


def test_invalid_expiry_is_ignored(studio: Any, provider: FakeOpenAI) -> None:
    """
    Whatever expiry a provider reports, the call succeeds, now and later.
    """
    studio.edit("a", image=RED)
    file_id = asked(provider)[0]["input"][-1]["content"][0]["file_id"]
    for expires in ("null", '"soon"', "-1", "1e400", "99999999999999999999", "true", "0", "[]"):
        body = f'{{"id": "{file_id}", "object": "file", "expires_at": {expires}}}'
        provider.enqueue_fault(respond_with(body.encode()))
        for note in cache_file(studio):
            note.unlink()
        assert studio.edit("add a sun", image=RED).bytes
        assert studio.edit("add a moon", image=RED).bytes


def test_unknown_file_id_is_replaced_by_the_image(studio: Any, provider: FakeOpenAI) -> None:
    """
    A provider that returns an id and then does not know it gets the full image.
    """
    provider.enqueue_fault(respond_with(b'{"id": "file-abcdef123456", "object": "file"}'))
    assert studio.edit("add a sun", image=RED).bytes
    assert [image_forms(body) for body in asked(provider)] == [["id"], ["in full"]]


@pytest.mark.parametrize("status", [404, 405, 501])
def test_missing_files_endpoint_is_remembered(
    studio: Any, provider: FakeOpenAI, status: int
) -> None:
    """
    Without a Files endpoint, images are sent in full, and no further upload is tried.
    """
    provider.fail_next(status=status, method="POST", path="/files")
    for picture in (RED, BLUE, RED):
        studio.edit("add a sun", image=picture)
    assert posts(provider) == ["/files", "/responses", "/responses", "/responses"]
    assert [image_forms(body) for body in asked(provider)] == [["in full"]] * 3


def test_server_without_files_supports_everything(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Edits, masks and analysis work without a Files endpoint.
    """
    provider = FakeOpenAI(files=False)
    studio = make_studio(tmp_path, provider=provider)
    studio.edit("a star", image=RED, mask=Mask.rectangle((0, 0, 9, 9)), references=BLUE)
    studio.analyze(RED)
    assert posts(provider).count("/files") == 1
    first, second = asked(provider)
    assert shown(provider, first) == [RED, BLUE]
    assert first["tools"][0]["input_image_mask"]["image_url"].startswith("data:image/png;base64,")
    assert shown(provider, second) == [RED]


def test_damaged_upload_cache_is_ignored(studio: Any, provider: FakeOpenAI) -> None:
    """
    The upload cache can be damaged or deleted; the image is uploaded again. A time without a zone
    is damage too.
    """
    studio.edit("add a sun", image=RED)
    (note,) = cache_file(studio)
    cache = json.loads(note.read_text())
    damage = [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff",
        *(
            json.dumps({**cache, **changed}).encode()
            for changed in (
                {"expires": None},
                {"expires": "never"},
                {"expires": "2099-01-01T00:00:00"},
            )
        ),
    ]
    for content in damage:
        note.write_bytes(content)
        studio.edit("add a moon", image=RED)
    note.unlink()
    studio.edit("add a star", image=RED)
    assert uploads(provider) == [RED] * (len(damage) + 2)
    assert [image_forms(body) for body in asked(provider)] == [["id"]] * (len(damage) + 2)


# --- concurrency ----------------------------------------------------------------------------------


def test_variations_of_an_image_upload_it_once(studio: Any, provider: FakeOpenAI) -> None:
    """
    Concurrent variations upload their image once.
    """

    def slowly(answer: FakeResponse) -> FakeResponse:
        return attrs.evolve(answer, parts=itertools.chain((Delay(0.3),), answer.parts))

    provider.enqueue_fault(Fault(method="POST", path="/files", transform=slowly))
    results = studio.variations(image=RED, n=4)
    assert len(results.images) == 4
    assert uploads(provider) == [RED]
    assert [image_forms(body) for body in asked(provider)] == [["id"]] * 4


def test_concurrent_programs_do_not_disturb_each_other(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    in_threads: Callable[[list[Callable[[], Any]]], None],
) -> None:
    """
    Studios that upload the same image concurrently all succeed, and the next one uploads nothing.
    """
    studios = [make_studio(tmp_path, provider=provider) for _ in range(4)]
    in_threads([functools.partial(studio.edit, "add a sun", image=RED) for studio in studios])
    assert len(asked(provider)) == 4
    before = len(uploads(provider))
    make_studio(tmp_path, provider=provider).edit("add a sun", image=RED)
    assert len(uploads(provider)) == before <= 4


def test_lost_response_after_an_upload_is_not_requested_again(
    studio: Any, provider: FakeOpenAI
) -> None:
    """
    The paid request that follows an upload is sent once, even if its response is lost.
    """
    provider.fail_next(status=500, method="POST", path="/responses")
    with pytest.raises(OutcomeUnknownError):
        studio.edit("add a sun", image=RED)
    assert posts(provider) == ["/files", "/responses"]
