"""
Sessions draw, remember, branch and come back. Every test runs over the sync and the async twin.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from PIL import Image

from imagesession._domain.sessions import SessionRecord
from imagesession._engine.store import IdAndTime
from imagesession._store.repository import LibraryStore
from imagesession.errors import (
    ContentBlockedError,
    CorruptRecordError,
    GenerationFailedError,
    InvalidImageError,
    InvalidOptionError,
    InvalidPromptError,
    InvalidRequestError,
    NotFoundError,
    RefusalError,
    SessionClosedError,
)
from imagesession.testing import FakeOpenAI, tiny_image, tiny_mask
from tests.conftest import MakeStudio
from tests.conversing import EITHER_WAY, Known, anew_from, begun, converse, known, straight_from

DESCRIPTION = "A logo for a tea shop"
NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
SUFFIXES = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "gif": ".gif", "svg": ".svg"}


def paid(provider: FakeOpenAI) -> list[Any]:
    """
    Return the bodies of the requests that are paid for.
    """
    return [call.body for call in asked(provider) if call.path == "/responses"]


def asked(provider: FakeOpenAI) -> list[Any]:
    """
    Return the requests that the provider was sent, but for those that only look or only begin a
    conversation.
    """
    calls = [call for call in provider.requests if call.method == "POST"]
    return [call for call in calls if call.path != "/conversations"]


def uploads(provider: FakeOpenAI) -> list[bytes]:
    """
    Return the pictures that went up.
    """
    forms = [call.body for call in asked(provider) if call.path == "/files"]
    return [field.content for form in forms for field in form if field.name == "file"]


@pytest.fixture
def session(studio: Any) -> Any:
    """
    A new session.
    """
    return studio.session(DESCRIPTION, name="Tea logo")


@pytest.mark.parametrize("conversing", EITHER_WAY)
def test_a_session_remembers(session: Any, provider: FakeOpenAI, conversing: object) -> None:
    """
    A turn continues the one before in its conversation, or by its id where there are none, and
    sends no picture again.
    """
    converse(session, conversing)
    first = session.generate("a minimalist teapot logo")
    second = session.generate("more geometric")
    opening, body = paid(provider)
    assert known(opening) == Known(conversation=first.turn.conversation)
    assert known(body) == straight_from(first, conversing=conversing)
    assert second.turn.conversation == first.turn.conversation
    assert begun(provider) == (1 if conversing else 0)
    assert (first.turn.context, second.turn.context) == ("fresh", "continued")
    assert second.parent == first.turn.id
    assert first.bytes != second.bytes


def test_the_description_is_the_models_brief(session: Any, provider: FakeOpenAI) -> None:
    """
    The model is told with every turn what the session is about; the name stays a label.
    """
    session.generate("a teapot")
    session.generate("bluer")
    assert [body["instructions"] for body in paid(provider)] == [DESCRIPTION] * 2
    assert "Tea logo" not in json.dumps(paid(provider))


def test_a_request_stays_small(session: Any, provider: FakeOpenAI) -> None:
    """
    The request of a late turn is as small as that of the second, whatever the pictures weigh.
    """
    for number in range(6):
        session.generate(f"change {number}", size="1536x1024")
    lengths = [call.length for call in asked(provider)]
    assert len(lengths) == 6
    assert max(lengths) < 1024
    assert len(set(lengths[1:])) == 1


def test_bytes_on_disk_are_the_bytes_received(studio: Any) -> None:
    """
    A picture's file is what the provider sent, to the byte, and its digest says so.
    """
    image = studio.generate("a teapot")
    assert hashlib.sha256(image.path.read_bytes()).hexdigest() == image.sha256
    assert image.bytes == image.path.read_bytes()
    assert image.size == (1024, 1024)
    assert image.open().size == image.size


@pytest.mark.parametrize("format,suffix", SUFFIXES.items())
def test_every_format_is_kept_under_its_suffix(studio: Any, format: str, suffix: str) -> None:
    """
    The suffix follows from the bytes.
    """
    image = studio.generate("a shopping cart icon, flat", output_format=format)
    assert image.format == format
    assert image.path.suffix == suffix
    assert image.size == ((960, 960) if format == "gif" else (1024, 1024))


def test_an_svg_is_text_not_pixels(studio: Any) -> None:
    """
    Opening an SVG with Pillow is refused, saying how to read it.
    """
    image = studio.generate("a star icon", output_format="svg")
    with pytest.raises(InvalidRequestError, match=r"bytes\.decode"):
        image.open()


def test_metadata_lies_beside_each_picture(session: Any) -> None:
    """
    A file of the same name holds what is known of the picture.
    """
    session.generate("a teapot")
    image = session.generate("bluer", quality="high")
    beside = json.loads(image.path.with_suffix(".json").read_text())
    assert beside == json.loads(json.dumps(image.metadata))
    assert beside["original_prompt"] == "bluer"
    assert beside["generation_params"]["quality"] == "high"
    assert beside["sha256"] == image.sha256
    assert beside["parents"] == [session.images()[0].id]
    assert beside["usage"]["image"]["output_tokens"] > 0


def test_a_session_is_found_again(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    In another studio, at another provider, a session goes on from where it was.
    """
    session = make_studio(tmp_path, provider=provider).session(DESCRIPTION, name="Tea logo")
    last = session.generate("a teapot")
    again = make_studio(tmp_path).open(session.id)
    assert (again.id, again.name, again.description) == (session.id, "Tea logo", DESCRIPTION)
    assert again.head().id == last.id
    assert again.generate("bluer").parent == last.turn.id
    assert make_studio(tmp_path).open("Tea logo").id == session.id


@pytest.mark.parametrize("conversing", EITHER_WAY)
def test_what_the_provider_forgot_is_told_again(
    session: Any, provider: FakeOpenAI, conversing: object
) -> None:
    """
    When the provider no longer knows the conversation, nor what was said in it, it is told all of
    it, with the last picture, once; never the newest words alone.
    """
    converse(session, conversing)
    first = session.generate("a teapot")
    last = session.generate("bluer")
    provider.reset_memory()
    image = session.generate("warmer")
    refused, *named, reported = paid(provider)[2:]
    assert known(refused) == straight_from(last, conversing=conversing)
    in_new = [anew_from(first, last, within=image)] if conversing else []
    assert [known(body) for body in named] == in_new
    assert known(reported) == Known(conversation=image.turn.conversation, messages=6)
    said = json.dumps(reported["input"])
    assert all(words in said for words in ("a teapot", "bluer", "warmer"))
    assert "data:image/png;base64," in said
    assert image.turn.context == "rebuilt"
    session.generate("more contrast")
    assert known(paid(provider)[-1]) == straight_from(image, conversing=conversing)


def test_another_providers_ids_are_not_sent(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    What another provider answered is told from the library, without asking for its id.
    """
    with_loopback = make_studio(tmp_path, provider=provider)
    session = with_loopback.session(DESCRIPTION)
    session.generate("a teapot")
    record = next((tmp_path / ".imagesession" / "turns" / session.id).iterdir())
    record.write_text(record.read_text().replace("offline.imagesession", "elsewhere.example"))
    image = make_studio(tmp_path, provider=provider).open(session.id).generate("bluer")
    reported = known(paid(provider)[-1])
    assert len(paid(provider)) == 2
    assert (reported.previous, reported.items) == (None, ())
    assert image.turn.context == "rebuilt"


@pytest.mark.parametrize("format", ["gif", "svg", "webp"])
def test_any_format_can_be_told_again(session: Any, provider: FakeOpenAI, format: str) -> None:
    """
    An animation is shown as a still and a drawing by its words, so that the wire takes them.
    """
    session.generate("a star", output_format=format)
    provider.reset_memory()
    assert session.generate("bluer").turn.context == "rebuilt"


def test_all_pictures_of_a_reply_are_kept(studio: Any, session: Any, provider: FakeOpenAI) -> None:
    """
    A reply with several pictures loses none; the last one is returned.
    """
    provider.pictures_per_reply = 3
    image = session.generate("three teapots")
    assert len(image.turn.images) == 3
    assert [item.id for item in session.images()] == [record.id for record in image.turn.images]
    assert image.id == image.turn.images[-1].id
    assert {item.id for item in studio.images.list()} == {item.id for item in session.images()}


def test_undo_and_redo_move_the_head(session: Any) -> None:
    """
    Undo goes back, redo forward; what was undone is kept.
    """
    first, second, third = (session.generate(words) for words in ("a teapot", "bluer", "warmer"))
    assert session.undo(2).id == first.id
    assert session.redo().id == second.id
    assert session.redo().id == third.id
    session.undo()
    other = session.generate("more contrast")
    assert other.parent == second.turn.id
    with pytest.raises(InvalidRequestError, match="nothing to redo"):
        session.redo()
    assert len(session.images()) == 4
    assert session.undo(3) is None
    assert session.head() is None


def test_checkout_goes_anywhere(session: Any) -> None:
    """
    The head can be set on any picture or turn, by itself or by its id.
    """
    first, _ = session.generate("a teapot"), session.generate("bluer")
    for target in (first, first.id, first.turn, first.turn.id):
        assert session.checkout(target).id == first.id
    assert session.generate("warmer").parent == first.turn.id


@pytest.mark.parametrize("conversing", EITHER_WAY)
def test_branches_grow_apart(
    studio: Any, session: Any, provider: FakeOpenAI, conversing: object
) -> None:
    """
    A branch starts at any picture, and neither line moves the other; both are found again.
    """
    converse(session, conversing)
    first = session.generate("a teapot")
    second = session.generate("bluer")
    warm = first.branch("warm version")
    third = warm.generate("warmer")
    expected = (
        anew_from(first, within=third) if conversing else Known(previous=first.turn.response_id)
    )
    assert known(paid(provider)[-1]) == expected
    assert third.turn.context == "continued"
    assert third.parent == first.turn.id
    assert session.head().id == second.id
    assert studio.open(session.id, branch="warm version").head().id == third.id
    assert [item.id for item in third.lineage()] == [first.id, third.id]
    assert session.tree().branches() == ("main", "warm version")
    assert session.branch().branch_name == "branch-2"
    assert "warm version" in str(session.tree())


def test_refining_an_old_picture_starts_a_branch(session: Any) -> None:
    """
    A picture can be refined whatever came after it.
    """
    first, second = session.generate("a teapot"), session.generate("bluer")
    assert first.refine("warmer").parent == first.turn.id
    assert session.head().id == second.id


def test_a_name_is_gone_on_with(studio: Any) -> None:
    """
    With resume, a name stands for one session: started once, found again, and opened if closed.
    """
    first = studio.session("a logo", name="Tea", resume=True)
    first.generate("a teapot")
    again = studio.session("another description", name="Tea", resume=True)
    assert (again.id, again.description) == (first.id, "a logo")
    first.close()
    assert studio.session("", name="Tea", resume=True).generate("bluer").turn.depth == 2
    assert len(studio.sessions.list()) == 1
    with pytest.raises(InvalidRequestError, match="name="):
        studio.session("a logo", resume=True)
    studio.session("a second", name="Tea")
    with pytest.raises(NotFoundError, match="2 sessions are called"):
        studio.session("which?", name="Tea", resume=True)


def test_a_tree_shows_what_was_said(studio: Any, session: Any, tmp_path: Path) -> None:
    """
    A preset's long frame is not shown, nor an empty line for a picture that was brought along.
    """
    session.product("ceramic mug")
    assert str(session.tree()) == "ceramic mug  <- main"
    (tmp_path / "photo.png").write_bytes(tiny_image())
    brought = studio.promote(tmp_path / "photo.png", "a photo")
    assert str(brought.tree()) == "(photo.png was brought in)  <- main"


def test_one_shots_belong_to_no_session(studio: Any) -> None:
    """
    A one-shot is kept like any picture and cannot be branched.
    """
    image = studio.generate("a teapot")
    assert image.session_id is None
    assert image.lineage() == (image,)
    assert studio.sessions.list() == ()
    assert studio.images.get(image.id).sha256 == image.sha256
    with pytest.raises(InvalidRequestError, match="promote"):
        image.branch()


def test_pictures_are_listed_in_pages(studio: Any, session: Any) -> None:
    """
    The latest pictures come first, and the last of a page leads to the next.
    """
    made = [session.generate(f"number {number}").id for number in range(5)]
    page = studio.images.list(limit=3)
    assert [image.id for image in page] == made[:1:-1]
    assert [image.id for image in studio.images.list(before=page[-1])] == made[1::-1]
    assert [image.id for image in studio.images.list(before=page[-1].id)] == made[1::-1]


def test_sessions_are_listed(studio: Any, session: Any) -> None:
    """
    All sessions are listed, the latest first.
    """
    other = studio.session("Another")
    assert [item.id for item in studio.sessions.list()] == [other.id, session.id]


def test_sessions_are_listed_in_pages(studio: Any) -> None:
    """
    The last session of a page leads to the next; a limit that is none is refused.
    """
    made = [studio.session(f"number {number}").id for number in range(5)]
    page = studio.sessions.list(limit=3)
    assert [item.id for item in page] == made[:1:-1]
    assert [item.id for item in studio.sessions.list(before=page[-1])] == made[1::-1]
    assert [item.id for item in studio.sessions.list(limit=1, before=page[-1].id)] == [made[1]]
    for wrong in (0, -1, True, "2"):
        with pytest.raises(InvalidRequestError, match="limit="):
            studio.sessions.list(limit=wrong)


def test_streaming_shows_what_comes(session: Any) -> None:
    """
    Pictures on the way come first, whole and of full size; the last event is the kept picture.
    """
    *partials, image = session.stream("a teapot", partial_images=2)
    assert len(partials) >= 2
    assert [partial.index for partial in partials] == sorted(partial.index for partial in partials)
    for partial in partials:
        assert Image.open(io.BytesIO(partial.data)).size == partial.size == image.size
    assert image.id == session.head().id
    assert session.generate("bluer").turn.context == "continued"


def test_a_studio_streams_too(studio: Any) -> None:
    """
    One-shots stream like turns, also without pictures on the way.
    """
    (image,) = studio.stream("x", partial_images=0)
    assert studio.images.list() == (image,)


def test_nothing_is_sent_before_a_stream_is_asked(session: Any, provider: FakeOpenAI) -> None:
    """
    A stream that nobody reads costs nothing.
    """
    session.stream("a teapot")
    assert paid(provider) == []


def test_every_option_reaches_the_wire(studio: Any, provider: FakeOpenAI) -> None:
    """
    Each option is sent in the wire's words, and what is left out is not sent.
    """
    studio.generate(
        "a teapot",
        model="gpt-6-sol",
        image_model="gpt-image-2",
        size=(1536, 864),
        quality="high",
        background="opaque",
        output_format="webp",
        output_compression=80,
        moderation="low",
        complexity="low",
    )
    studio.generate("a teapot", output_format="gif", frames=4, frame_ms=100)
    studio.generate("a teapot", output_format="svg", svg_model="gpt-6-sol")
    full, gif, svg = (body["tools"][0] for body in paid(provider))
    assert full == {
        "type": "image_generation",
        "model": "gpt-image-2",
        "size": "1536x864",
        "quality": "high",
        "background": "opaque",
        "output_format": "webp",
        "output_compression": 80,
        "moderation": "low",
        "complexity": "low",
    }
    assert gif == {
        "type": "image_generation",
        "output_format": "gif",
        "frame_count": 4,
        "frame_duration_ms": 100,
    }
    assert svg["svg"] == {"model": "gpt-6-sol"}
    assert paid(provider)[0]["model"] == "gpt-6-sol"
    assert all(body["store"] and body["background"] for body in paid(provider))
    assert all(body["tool_choice"] == {"type": "image_generation"} for body in paid(provider))


@pytest.mark.filterwarnings("ignore::imagesession.errors.ModelDeprecationWarning")
def test_fidelity_reaches_the_models_that_take_it(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    How closely input pictures are kept is asked of the older models alone, while they live.
    """
    begin = LibraryStore.new_id

    def while_they_live(library: LibraryStore, after: str = "") -> IdAndTime:
        return attrs.evolve(begin(library, after), at=NOW)

    monkeypatch.setattr(LibraryStore, "new_id", while_they_live)
    studio.generate(
        "a", image_model="gpt-image-1.5", input_fidelity="high", references=tiny_image()
    )
    assert paid(provider)[0]["tools"][0]["input_fidelity"] == "high"


def test_choices_are_inherited(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A call's option outweighs the session's, which outweighs the studio's; sessions keep theirs.
    """
    studio = make_studio(tmp_path, provider=provider, quality="low", output_format="webp")
    session = studio.session("x", output_format="jpeg", size="1536x1024")
    session.generate("a", size="1024x1024")
    make_studio(tmp_path, provider=provider).open(session.id).generate("b")
    first, second = (body["tools"][0] for body in paid(provider))
    assert first == {
        "type": "image_generation",
        "size": "1024x1024",
        "quality": "low",
        "output_format": "jpeg",
    }
    assert second == {"type": "image_generation", "size": "1536x1024", "output_format": "jpeg"}


def test_references_may_be_anything(studio: Any, provider: FakeOpenAI, tmp_path: Path) -> None:
    """
    A path, bytes, a PIL image and a kept picture are all sent along, recognised by content.
    """
    kept = studio.generate("a teapot")
    path = tmp_path / "photo.txt"
    path.write_bytes(tiny_image("jpeg"))
    with_pil = Image.new("RGB", (64, 64), "red")
    pictures = [path, str(path), tiny_image("webp"), with_pil, kept, tiny_image("gif")]
    image = studio.generate("all of these", references=pictures)
    content = paid(provider)[-1]["input"][-1]["content"]
    assert len({part["file_id"] for part in content[:-1]}) == 5  # one is there twice
    kinds = [Image.open(io.BytesIO(data)).format for data in uploads(provider)]
    assert kinds == ["JPEG", "WEBP", "PNG", "PNG", "PNG"]
    assert content[-1]["text"] == "all of these"
    assert image.turn.references[4].image_id == kept.id


def test_a_reference_is_what_is_changed(studio: Any) -> None:
    """
    The picture that is given is the one that is worked on: its size and pixels are there.
    """
    photo = Image.new("RGB", (1024, 1024), (250, 20, 20))
    image = studio.generate("darker", references=photo)
    red, green, blue = image.open().convert("RGB").resize((1, 1)).getpixel((0, 0))
    assert red > 3 * max(green, blue)


def test_a_mask_marks_what_may_change(session: Any) -> None:
    """
    With a mask, pixels outside of it stay as they were in the session's last picture.
    """
    first = session.generate("a teapot")
    mask = tiny_mask(first.size, (100, 100, 300, 300))
    second = session.generate("a red heart", mask=mask)
    before, after = first.open().convert("RGB"), second.open().convert("RGB")
    outside = (400, 0, 1024, 1024)
    assert before.crop(outside).tobytes() == after.crop(outside).tobytes()
    inside = (100, 100, 300, 300)
    assert before.crop(inside).tobytes() != after.crop(inside).tobytes()
    assert second.turn.masked


@pytest.mark.parametrize(
    "arguments,kind,words",
    [
        ({"prompt": ""}, InvalidPromptError, "empty"),
        ({"prompt": "a" * 32_001}, InvalidPromptError, "32,001"),
        ({"size": "1000x1000"}, InvalidOptionError, "992x992 or 1008x1008"),
        ({"quality": "ultra"}, InvalidOptionError, "quality"),
        ({"qality": "high"}, InvalidOptionError, "Did you mean 'quality'"),
        ({"image_model": "gpt-image-1"}, InvalidRequestError, "2026-10-23"),
        ({"references": [tiny_image()] * 17}, InvalidImageError, "17 references"),
        ({"references": "/nowhere/at/all.png"}, InvalidImageError, "cannot be read"),
        ({"references": "a\0b"}, InvalidImageError, "cannot be read"),
        ({"references": "/"}, InvalidImageError, "cannot be read"),
        ({"references": b"nonsense"}, InvalidImageError, "not a whole picture"),
        ({"references": tiny_image()[:-20]}, InvalidImageError, "not a whole picture"),
        ({"references": b"<svg></svg>"}, InvalidImageError, "SVG"),
        ({"references": b"x" * 25_000_001}, InvalidImageError, "25 MB"),
        ({"references": 7}, InvalidImageError, "not int"),
        ({"mask": tiny_mask()}, InvalidImageError, "needs a picture"),
        ({"mask": tiny_mask((32, 32)), "references": tiny_image()}, InvalidImageError, "32x32"),
        ({"mask": tiny_image(), "references": tiny_image()}, InvalidImageError, "alpha"),
    ],
)
def test_what_cannot_be_sent_is_refused_before(
    session: Any, provider: FakeOpenAI, arguments: dict[str, Any], kind: type[Exception], words: str
) -> None:
    """
    A bad call is a typed error that says what to do; nothing is sent and nothing is kept.
    """
    with pytest.raises(kind, match=words):
        session.generate(**{"prompt": "a teapot", **arguments})
    assert provider.requests == ()
    assert session.turns() == ()


@pytest.mark.parametrize("name", ["huge.png", "link.png"])
def test_a_huge_file_is_not_read(studio: Any, tmp_path: Path, name: str) -> None:
    """
    A file over the limit is refused by its size, before it is read into memory.
    """
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(40_000_000_000)
    with pytest.raises(InvalidImageError, match=r"40000\.0 MB"):
        studio.generate("x", references=path)


def test_a_closed_session_is_closed(studio: Any, session: Any, provider: FakeOpenAI) -> None:
    """
    A closed session shows what it has and generates no more, until it is opened again on purpose.
    """
    image = session.generate("a teapot")
    session.close()
    session.close()
    before = len(provider.requests)
    for verb in (lambda: session.generate("bluer"), session.undo, session.branch):
        with pytest.raises(SessionClosedError, match="reopen=True"):
            verb()
    with pytest.raises(SessionClosedError):
        list(studio.open(session.id).stream("bluer"))
    assert len(provider.requests) == before
    assert session.images()[0].id == image.id
    assert studio.open(session.id, reopen=True).generate("bluer").parent == image.turn.id


@pytest.mark.parametrize("wanted", ["nobody", "../../etc/passwd", "", "a\0b", "é" * 5000])
def test_what_is_not_there_is_named_with_what_is(studio: Any, session: Any, wanted: str) -> None:
    """
    An unknown session, branch, picture or turn is a typed error that names some that exist.
    """
    image = session.generate("a teapot")
    with pytest.raises(NotFoundError, match=session.id) as caught:
        studio.open(wanted)
    assert caught.value.known == (session.id,)
    with pytest.raises(NotFoundError, match="'main'"):
        studio.open(session.id, branch=wanted)
    with pytest.raises(NotFoundError, match=image.id):
        studio.images.get(wanted)
    with pytest.raises(NotFoundError, match=image.turn.id):
        session.checkout(wanted)


def test_a_name_that_two_sessions_have_opens_neither(studio: Any, session: Any) -> None:
    """
    An ambiguous name is refused with the ids to choose from.
    """
    other = studio.session("Another", name="Tea logo")
    with pytest.raises(NotFoundError, match="2 sessions are called") as caught:
        studio.open("Tea logo")
    assert set(caught.value.known) == {session.id, other.id}


@pytest.mark.parametrize("conversing", EITHER_WAY)
def test_failed_turns_are_facts_and_no_context(
    session: Any, provider: FakeOpenAI, conversing: object
) -> None:
    """
    Refused and failed turns are recorded, leave the head, and the next turn does not know them.
    """
    converse(session, conversing)
    first = session.generate("a teapot")
    provider.refuse_next("I would rather not.")
    with pytest.raises(RefusalError, match="rather not") as refused:
        session.generate("something improper")
    assert refused.value.text == "I would rather not."
    for as_item in (False, True):
        provider.moderate_next(stage="output", categories=("violence",), as_item=as_item)
        with pytest.raises(ContentBlockedError, match="violence") as blocked:
            session.generate("something bad")
        assert (blocked.value.stage, blocked.value.categories) == ("output", ("violence",))
    provider.fail_generation_next()
    with pytest.raises(GenerationFailedError):
        session.generate("something hard")
    assert [turn.status for turn in session.turns()] == [
        "completed",
        "refused",
        "refused",
        "refused",
        "failed",
    ]
    assert session.turns()[1].failure.error == "RefusalError"
    assert session.head().id == first.id
    bluer = session.generate("bluer")
    assert (bluer.parent, bluer.turn.context) == (first.turn.id, "continued")
    expected = (
        anew_from(first, within=bluer) if conversing else Known(previous=first.turn.response_id)
    )
    assert known(paid(provider)[-1]) == expected
    if conversing:  # what was said in vain stands in conversations that are gone on in no more
        assert bluer.turn.conversation not in {turn.conversation for turn in session.turns()[:-1]}
    provider.reset_memory()
    session.generate("warmer")
    assert "improper" not in json.dumps(paid(provider)[-1])


def test_two_programs_share_a_session(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    What one program does to a session the other sees at its next call.
    """
    here = make_studio(tmp_path, provider=provider).session(DESCRIPTION)
    there = make_studio(tmp_path, provider=provider).open(here.id)
    first = here.generate("a teapot")
    assert there.head().id == first.id
    second = there.generate("bluer")
    assert here.head().id == second.id
    there.undo()
    assert here.head().id == first.id


@pytest.mark.parametrize(
    "verb,args,options",
    [
        ("session", (None,), {}),
        ("session", ("x",), {"name": 7}),
        ("session", ("half a \ud83c",), {}),
        ("open", (7,), {}),
        ("images.get", (7,), {}),
        ("images.list", (), {"limit": 0}),
        ("images.list", (), {"limit": "many"}),
        ("images.list", (), {"before": 7}),
        ("images.list", (), {"session": 7}),
        ("images.find", (), {"idempotency_key": 7}),
        ("sessions.get", (7,), {}),
        ("models.get", (7,), {}),
        ("models.get", ("gpt-imagine",), {}),
        ("models.list", (), {"kind": "video"}),
        ("batches.get", (7,), {}),
        ("requests.cancel", (7,), {}),
        ("generate", ("half a \ud83c",), {}),
        ("generate", ("x",), {"references": Image.new("F", (64, 64))}),
        ("generate", ("x",), {"references": "~nobody-at-all/x.png"}),
        ("generate", ("x",), {"references": io.StringIO("text")}),
    ],
)
def test_what_makes_no_sense_to_a_studio_is_a_typed_error(
    studio: Any, provider: FakeOpenAI, verb: str, args: Any, options: Any
) -> None:
    """
    Arguments of a wrong kind are typed errors; nothing is sent and nothing is kept of them.
    """
    with pytest.raises(InvalidRequestError):
        operator.attrgetter(verb)(studio)(*args, **options)
    assert provider.requests == ()
    assert studio.sessions.list() == ()


@pytest.mark.parametrize(
    "verb,args,options",
    [
        ("branch", (" ",), {}),
        ("branch", ("half a \ud83c",), {}),
        ("branch", (), {"at": 7}),
        ("checkout", (7,), {}),
        ("undo", (1.0,), {}),
        ("redo", ("one",), {}),
    ],
)
def test_what_makes_no_sense_to_a_session_is_a_typed_error(
    session: Any, verb: str, args: Any, options: Any
) -> None:
    """
    Arguments of a wrong kind are typed errors, and leave the session as it was.
    """
    with pytest.raises(InvalidRequestError):
        getattr(session, verb)(*args, **options)
    assert session.tree().branches() == ("main",)


def test_an_open_file_is_a_reference(studio: Any, provider: FakeOpenAI, tmp_path: Path) -> None:
    """
    A file that is open for reading bytes is sent along like its path.
    """
    (tmp_path / "a.png").write_bytes(tiny_image())
    with (tmp_path / "a.png").open("rb") as file:
        studio.generate("like this", references=file)
    assert len(paid(provider)[0]["input"][0]["content"]) == 2


def test_moves_at_the_same_time_all_count(
    session: Any, in_threads: Callable[[list[Callable[[], Any]]], None]
) -> None:
    """
    Branches get names of their own, and every undo counts, whoever moves at the same time.
    """
    images = [session.generate(f"number {number}") for number in range(5)]
    in_threads([session.undo] * 4)
    assert session.head().prompt == "number 0"
    in_threads([images[-1].branch] * 4)
    assert len(session.tree().branches()) == 5


def test_a_wrong_clock_does_not_fork_the_conversation(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A turn grows on the last one even if the clock was set back since, and so does an undo count.
    """
    session = make_studio(tmp_path, provider=provider).session(DESCRIPTION)
    first, second = session.generate("a teapot"), session.generate("bluer")
    monkeypatch.setattr("imagesession._store.ids.time.time_ns", lambda: 10**18)
    later = make_studio(tmp_path, provider=provider).open(session.id)
    third = later.generate("warmer")
    assert third.parent == second.turn.id
    assert later.head().id == third.id
    assert later.undo(2).id == first.id
    assert later.generate("more contrast").parent == first.turn.id


def test_a_damaged_session_does_not_hide_the_others(studio: Any, session: Any) -> None:
    """
    A session whose record is damaged is named when it is opened; the others are there as ever.
    """
    other = studio.session("Another")
    record = studio.library / ".imagesession" / "sessions" / f"{session.id}.json"
    record.write_text("{}")
    assert [item.id for item in studio.sessions.list()] == [other.id]
    with pytest.raises(CorruptRecordError, match=session.id):
        studio.open(session.id)


def test_a_record_does_not_lead_out_of_the_library(
    studio: Any, session: Any, tmp_path: Path
) -> None:
    """
    A record that names a file elsewhere is damaged; the file is not read, and not sent.
    """
    (tmp_path / "secret.png").write_bytes(tiny_image())
    image = session.generate("a teapot")
    record = next((studio.library / ".imagesession" / "turns" / session.id).iterdir())
    for elsewhere in (str(tmp_path / "secret.png"), "../secret.png", "general/../../secret.png"):
        changed = json.loads(record.read_text())
        changed["images"][0]["file"] = elsewhere
        record.write_text(json.dumps(changed))
        with pytest.raises(CorruptRecordError, match="not beneath the library"):
            LibraryStore(studio.library).tree(
                SessionRecord(id=session.id, description="", created=NOW)
            )
    assert image.id
