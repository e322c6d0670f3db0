"""
A picture goes up once and is named by its id while it lives; whatever goes wrong with that never
fails a call. Every test runs over the sync and the async twin.
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
    A provider's clock that can be set forward.
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
    A studio whose pictures are as small as the wire allows.
    """
    return make_studio(tmp_path / "library", provider=provider, size="1024x640")


def answering(body: bytes, status: int = 200, kind: str = "application/json") -> Fault:
    """
    Plan an answer with a body of one's own to the next upload.
    """

    def instead(_: FakeRequest) -> FakeResponse:
        return FakeResponse(status=status, headers={"content-type": kind}, parts=iter((body,)))

    return Fault(method="POST", path="/files", instead=instead)


def resetting() -> Fault:
    """
    Plan to break the connection in the next upload.
    """

    def bend(answer: FakeResponse) -> FakeResponse:
        return attrs.evolve(answer, parts=iter((ConnectionReset(),)))

    return Fault(method="POST", path="/files", bend=bend)


def named(body: Any) -> list[str]:
    """
    Tell of each picture in a request how it goes along: by its id, or in full.
    """
    parts = body["input"][-1]["content"]
    ways = {"file_id": "id", "image_url": "in full"}
    return [way for part in parts for key, way in ways.items() if key in part]


def cached(studio: Any) -> list[Path]:
    """
    Return where the library notes what providers hold.
    """
    return list((studio.library / ".imagesession" / "uploads").iterdir())


# --- once --------------------------------------------------------------------------------------


def test_a_picture_goes_up_once(studio: Any, provider: FakeOpenAI) -> None:
    """
    Edits of the same picture, however it is handed in, send it up once and then name its id.
    """
    kept = studio.images.import_file(RED)
    for given in (RED, kept, kept.id, bytearray(RED), kept.path):
        studio.edit("add a sun", image=given)
    assert uploads(provider) == [RED]
    (first, *others) = (body["input"][-1]["content"][0]["file_id"] for body in asked(provider))
    assert set(others) == {first}


def test_what_goes_up_is_for_seeing_and_does_not_stay(studio: Any, provider: FakeOpenAI) -> None:
    """
    A file goes up for the purpose of vision, under a name that says nothing, and is to expire.
    """
    studio.edit("add a sun", image=RED)
    (upload,) = (call for call in provider.requests if call.path == "/files")
    fields = {field.name: field for field in upload.body}
    assert fields["purpose"].text == "vision"
    assert fields["expires_after[anchor]"].text == "created_at"
    assert fields["expires_after[seconds]"].text == str(30 * 86_400)
    assert fields["file"].filename.endswith(".png")


def test_masks_and_references_go_up_once_too(studio: Any, provider: FakeOpenAI) -> None:
    """
    A mask and further references are held like the picture, each once.
    """
    hole = Mask.rectangle((0, 0, 9, 9))
    for _ in range(2):
        studio.edit("a star", image=RED, mask=hole, references=[BLUE, RED])
    studio.generate("like these", references=[BLUE, RED])
    assert len(uploads(provider)) == 3
    assert uploads(provider)[:2] == [RED, BLUE]
    assert opened(uploads(provider)[2]).mode == "RGBA"
    first, second, third = asked(provider)
    assert named(first) == named(second) == ["id"] * 3
    assert shown(provider, third) == [BLUE, RED]
    assert first["tools"][0]["input_image_mask"] == second["tools"][0]["input_image_mask"]


def test_another_program_knows_what_is_held(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    Another studio on the same library names the file that the first one sent up.
    """
    for _ in range(3):
        make_studio(tmp_path, provider=provider).edit("add a sun", image=RED)
    assert uploads(provider) == [RED]


def test_a_request_with_pictures_stays_small(studio: Any, provider: FakeOpenAI) -> None:
    """
    Whatever a picture weighs, the request that names it does not.
    """
    noisy = Image.effect_noise((512, 512), 90)
    studio.edit("darker", image=noisy)
    (length,) = (call.length for call in provider.requests if call.path == "/responses")
    assert len(uploads(provider)[0]) > 100_000
    assert length < 1024


def test_each_provider_holds_its_own(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    One provider's file is not named to another.
    """
    first, second = FakeOpenAI(), FakeOpenAI()
    with serve(first) as here, serve(second) as there:
        for position in (here, there, here):
            studio = make_studio(tmp_path, online=True, api_key="x", base_url=position.base_url)
            assert studio.edit("add a sun", image=RED).bytes
            studio.close()
    assert (posts(first).count("/files"), posts(second).count("/files")) == (1, 1)
    assert (posts(first).count("/responses"), posts(second).count("/responses")) == (2, 1)


def test_nothing_goes_up_for_a_call_that_is_refused(studio: Any, provider: FakeOpenAI) -> None:
    """
    A picture goes up no sooner than all that can be checked here was checked.
    """
    for wrong in ({"size": "1x1"}, {"quality": "ultra"}, {"mask": RED}, {"markup": RED}):
        with pytest.raises(InvalidRequestError):
            studio.edit("add a sun", image=BLUE, **wrong)
    assert provider.requests == ()


# --- gone --------------------------------------------------------------------------------------


@pytest.mark.parametrize("masked", [False, True])
def test_what_expired_there_is_sent_in_full(
    make_studio: MakeStudio, tmp_path: Path, masked: object
) -> None:
    """
    When the provider dropped a file sooner than it said, the turn is asked for again with the
    picture in full: one is turned away, one is paid. The next time it goes up anew.
    """
    clock = Clock()
    provider = FakeOpenAI(clock=clock)
    studio = make_studio(tmp_path, provider=provider)
    request = {"image": RED, "mask": Mask.rectangle((0, 0, 9, 9)) if masked else None}
    studio.edit("add a sun", **request)
    clock.ahead = 31 * DAY
    image = studio.edit("add a moon", **request)
    assert posts(provider)[-2:] == ["/responses", "/responses"]
    turned_away, reported = asked(provider)[-2:]
    assert (named(turned_away), named(reported)) == (["id"], ["in full"])
    assert shown(provider, reported) == [RED]
    assert [item.id for item in studio.images.list()][:1] == [image.id]
    held = 2 if masked else 1
    assert len(uploads(provider)) == held
    studio.edit("add a star", **request)
    assert len(uploads(provider)) == 2 * held
    assert named(asked(provider)[-1]) == ["id"]


def test_what_is_about_to_expire_goes_up_again(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A file of which the provider says that it is gone by now is not named to it.
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
def test_what_the_provider_lost_is_told_in_a_session(
    make_studio: MakeStudio, tmp_path: Path, conversing: object
) -> None:
    """
    A lost file does not lose the conversation: the turn still continues the one before.
    """
    provider = FakeOpenAI()
    studio = make_studio(tmp_path, provider=provider)
    session = converse(studio.session("x"), conversing)
    first = session.edit("a little darker", image=RED)
    _lose_files(provider)
    second = session.edit("add a sun", image=RED)
    assert second.turn.context == "continued"
    reported = asked(provider)[-1]
    assert known(reported) == straight_from(first, conversing=conversing)
    assert named(reported) == ["in full"]
    assert len(session.turns()) == 2


@pytest.mark.parametrize("lost", [False, True])
def test_what_went_along_before_is_named_in_a_new_line(
    make_studio: MakeStudio, tmp_path: Path, *, lost: bool
) -> None:
    """
    A branch is told of the pictures that went along with earlier turns, while the provider holds
    them; where it lost them, it goes on from its own pictures alone.
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
    reported = [
        part.get("file_id") for item in body["input"][:-1] for part in item.get("content", ())
    ]
    assert (held in reported) is not lost
    assert image.turn.context == "continued"
    assert len(session.turns()) == 3


def test_both_may_be_lost(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A provider that forgot the conversation and the file is told both again; one turn is kept.
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


def test_a_provider_that_insists_is_heard_once(studio: Any, provider: FakeOpenAI) -> None:
    """
    A provider that keeps naming a missing file is asked twice and no more.
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


# --- failing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(answering(b"{}", 500), id="500"),
        pytest.param(answering(b"{}", 503), id="503"),
        pytest.param(answering(b'{"error": {"message": "slow down"}}', 429), id="429"),
        pytest.param(answering(b'{"error": "no"}', 400), id="400"),
        pytest.param(answering(b'{"error": {"message": "scopes"}}', 403), id="403"),
        pytest.param(answering(b"too large", 413, "text/plain"), id="413"),
        pytest.param(answering(b"<html></html>", kind="text/html"), id="HTML"),
        pytest.param(answering(b""), id="nothing"),
        pytest.param(answering(b"[]"), id="a list"),
        pytest.param(answering(b"null"), id="null"),
        pytest.param(answering(b'{"id": ""}'), id="empty id"),
        pytest.param(answering(b'{"id": 7}'), id="number for an id"),
        pytest.param(answering(b'{"object": "file"}'), id="no id"),
        pytest.param(answering(b'{"id": "file-'), id="cut JSON"),
        pytest.param(resetting(), id="reset"),
    ],
)
def test_a_failed_upload_fails_no_call(studio: Any, provider: FakeOpenAI, fault: Fault) -> None:
    """
    However an upload fails, the picture goes along in full, once; the next time it is tried anew.
    """
    provider.enqueue_fault(fault)
    assert studio.edit("add a sun", image=RED).bytes
    (body,) = asked(provider)
    assert named(body) == ["in full"]
    assert shown(provider, body) == [RED]
    studio.edit("add a moon", image=RED)
    assert named(asked(provider)[-1]) == ["id"]
    assert posts(provider).count("/files") == 2


def test_an_expiry_that_makes_no_sense_is_no_harm(studio: Any, provider: FakeOpenAI) -> None:
    """
    Whatever a provider says of a file's end, the call goes through, now and later.
    """
    studio.edit("a", image=RED)
    file_id = asked(provider)[0]["input"][-1]["content"][0]["file_id"]
    for expires in ("null", '"soon"', "-1", "1e400", "99999999999999999999", "true", "0", "[]"):
        said = f'{{"id": "{file_id}", "object": "file", "expires_at": {expires}}}'
        provider.enqueue_fault(answering(said.encode()))
        for note in cached(studio):
            note.unlink()
        assert studio.edit("add a sun", image=RED).bytes
        assert studio.edit("add a moon", image=RED).bytes


def test_an_id_that_nobody_holds_is_overcome(studio: Any, provider: FakeOpenAI) -> None:
    """
    A provider that gives out an id and then does not know it is sent the picture in full.
    """
    provider.enqueue_fault(answering(b'{"id": "file-abcdef123456", "object": "file"}'))
    assert studio.edit("add a sun", image=RED).bytes
    assert [named(body) for body in asked(provider)] == [["id"], ["in full"]]


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_provider_without_files_is_not_asked_again(
    studio: Any, provider: FakeOpenAI, status: int
) -> None:
    """
    Where there are no files, pictures go along in full, and it is not tried again.
    """
    provider.fail_next(status=status, method="POST", path="/files")
    for picture in (RED, BLUE, RED):
        studio.edit("add a sun", image=picture)
    assert posts(provider) == ["/files", "/responses", "/responses", "/responses"]
    assert [named(body) for body in asked(provider)] == [["in full"]] * 3


def test_a_server_without_files_does_everything(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Edits, masks and looking work where no file can be sent up.
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


def test_damaged_notes_of_uploads_are_nothing(studio: Any, provider: FakeOpenAI) -> None:
    """
    What the library notes of uploads can be damaged or deleted; the picture goes up again. A time
    without a zone is damage too.
    """
    studio.edit("add a sun", image=RED)
    (note,) = cached(studio)
    known = json.loads(note.read_text())
    damage = [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff",
        *(
            json.dumps({**known, **changed}).encode()
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
    assert [named(body) for body in asked(provider)] == [["id"]] * (len(damage) + 2)


# --- at the same time --------------------------------------------------------------------------


def test_takes_of_one_picture_send_it_up_once(studio: Any, provider: FakeOpenAI) -> None:
    """
    Several takes that are made side by side have their picture sent up once.
    """

    def slowly(answer: FakeResponse) -> FakeResponse:
        return attrs.evolve(answer, parts=itertools.chain((Delay(0.3),), answer.parts))

    provider.enqueue_fault(Fault(method="POST", path="/files", bend=slowly))
    results = studio.variations(image=RED, n=4)
    assert len(results.images) == 4
    assert uploads(provider) == [RED]
    assert [named(body) for body in asked(provider)] == [["id"]] * 4


def test_programs_at_the_same_time_do_not_disturb_each_other(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    in_threads: Callable[[list[Callable[[], Any]]], None],
) -> None:
    """
    Studios that send the same picture at once all get theirs, and the next one sends nothing up.
    """
    studios = [make_studio(tmp_path, provider=provider) for _ in range(4)]
    in_threads([functools.partial(studio.edit, "add a sun", image=RED) for studio in studios])
    assert len(asked(provider)) == 4
    before = len(uploads(provider))
    make_studio(tmp_path, provider=provider).edit("add a sun", image=RED)
    assert len(uploads(provider)) == before <= 4


def test_a_lost_answer_after_an_upload_is_not_asked_again(
    studio: Any, provider: FakeOpenAI
) -> None:
    """
    The paid request that follows an upload is sent once, whatever becomes of its answer.
    """
    provider.fail_next(status=500, method="POST", path="/responses")
    with pytest.raises(OutcomeUnknownError):
        studio.edit("add a sun", image=RED)
    assert posts(provider) == ["/files", "/responses"]
