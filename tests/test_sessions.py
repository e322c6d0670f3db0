"""
Sessions make images, keep their context, branch and are resumed.

Every test runs over the sync and the async twin.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import operator
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from PIL import Image

from imagesession._domain.sessions import SessionRecord
from imagesession._engine.store import IdAndTime
from imagesession._store.disk.library import open_library
from imagesession._store.library import LibraryStore
from imagesession.errors import (
    AmbiguousNameWarning,
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
from tests.conftest import Awaited, MakeStudio
from tests.conversing import EITHER_WAY, Known, anew_from, begun, converse, known, straight_from

DESCRIPTION = "A logo for a tea shop"
NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
SUFFIXES = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "gif": ".gif", "svg": ".svg"}


def paid_bodies(provider: FakeOpenAI) -> list[Any]:
    """
    Return the bodies of the paid requests.
    """
    return [call.body for call in sent_requests(provider) if call.path == "/responses"]


def sent_requests(provider: FakeOpenAI) -> list[Any]:
    """
    Return the requests without those that poll or only create a conversation.
    """
    calls = [call for call in provider.requests if call.method == "POST"]
    return [call for call in calls if call.path != "/conversations"]


def uploaded_images(provider: FakeOpenAI) -> list[bytes]:
    """
    Return the uploaded images.
    """
    forms = [call.body for call in sent_requests(provider) if call.path == "/files"]
    return [field.content for form in forms for field in form if field.name == "file"]


@pytest.fixture
def session(studio: Any) -> Any:
    """
    A new session.
    """
    return studio.session(DESCRIPTION, name="Tea logo")


@pytest.mark.parametrize("conversing", EITHER_WAY)
def test_session_keeps_its_context(session: Any, provider: FakeOpenAI, conversing: object) -> None:
    """
    A turn continues the previous one in its conversation, or by its response id, and does not send
    the image again.
    """
    converse(session, conversing)
    first = session.generate("a minimalist teapot logo")
    second = session.generate("more geometric")
    opening, body = paid_bodies(provider)
    assert known(opening) == Known(conversation=first.turn.conversation)
    assert known(body) == straight_from(first, conversing=conversing)
    assert second.turn.conversation == first.turn.conversation
    assert begun(provider) == (1 if conversing else 0)
    assert (first.turn.context, second.turn.context) == ("fresh", "continued")
    assert second.parent == first.turn.id
    assert first.bytes != second.bytes


def test_description_is_sent_to_the_model(session: Any, provider: FakeOpenAI) -> None:
    """
    The model gets the session's description with every turn; the name stays a label.
    """
    session.generate("a teapot")
    session.generate("bluer")
    assert [body["instructions"] for body in paid_bodies(provider)] == [DESCRIPTION] * 2
    assert "Tea logo" not in json.dumps(paid_bodies(provider))


def test_request_stays_small(session: Any, provider: FakeOpenAI) -> None:
    """
    The request of a late turn is as small as that of the second, whatever the size of the images.
    """
    for number in range(6):
        session.generate(f"change {number}", size="1536x1024")
    lengths = [call.length for call in sent_requests(provider)]
    assert len(lengths) == 6
    assert max(lengths) < 1024
    assert len(set(lengths[1:])) == 1


def test_saved_bytes_are_the_received_bytes(studio: Any) -> None:
    """
    An image's file has the bytes that the provider sent, and their digest.
    """
    image = studio.generate("a teapot")
    assert hashlib.sha256(image.path.read_bytes()).hexdigest() == image.sha256
    assert image.bytes == image.path.read_bytes()
    assert image.size == (1024, 1024)
    assert image.open().size == image.size


@pytest.mark.parametrize("format,suffix", SUFFIXES.items())
def test_every_format_has_its_suffix(studio: Any, format: str, suffix: str) -> None:
    """
    The suffix follows from the bytes.
    """
    image = studio.generate("a shopping cart icon, flat", output_format=format)
    assert image.format == format
    assert image.path.suffix == suffix
    assert image.size == ((960, 960) if format == "gif" else (1024, 1024))


def test_svg_cannot_be_opened_as_pixels(studio: Any) -> None:
    """
    Opening an SVG with Pillow is refused, and the error says how to read it.
    """
    image = studio.generate("a star icon", output_format="svg")
    with pytest.raises(InvalidRequestError, match=r"bytes\.decode"):
        image.open()


def test_metadata_is_beside_each_image(session: Any) -> None:
    """
    A file of the same name has the image's metadata.
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


def test_session_is_reopened(make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI) -> None:
    """
    In another studio, with another provider, a session continues where it was.
    """
    session = make_studio(tmp_path, provider=provider).session(DESCRIPTION, name="Tea logo")
    last = session.generate("a teapot")
    reopened = make_studio(tmp_path).open(session.id)
    assert (reopened.id, reopened.name, reopened.description) == (
        session.id,
        "Tea logo",
        DESCRIPTION,
    )
    assert reopened.head().id == last.id
    assert reopened.generate("bluer").parent == last.turn.id
    assert make_studio(tmp_path).open("Tea logo").id == session.id


@pytest.mark.parametrize("conversing", EITHER_WAY)
def test_forgotten_history_is_sent_again(
    session: Any, provider: FakeOpenAI, conversing: object
) -> None:
    """
    If the provider knows neither the conversation nor its items, the full history is sent once,
    with the last image; never only the newest prompt.
    """
    converse(session, conversing)
    first = session.generate("a teapot")
    last = session.generate("bluer")
    provider.reset_memory()
    image = session.generate("warmer")
    refused, *named, rebuilt = paid_bodies(provider)[2:]
    assert known(refused) == straight_from(last, conversing=conversing)
    in_new = [anew_from(first, last, within=image)] if conversing else []
    assert [known(body) for body in named] == in_new
    assert known(rebuilt) == Known(conversation=image.turn.conversation, messages=6)
    sent_text = json.dumps(rebuilt["input"])
    assert all(prompt in sent_text for prompt in ("a teapot", "bluer", "warmer"))
    assert "data:image/png;base64," in sent_text
    assert image.turn.context == "rebuilt"
    session.generate("more contrast")
    assert known(paid_bodies(provider)[-1]) == straight_from(image, conversing=conversing)


def test_ids_of_another_provider_are_not_sent(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    The history from another provider is sent from the library, without its ids.
    """
    with_loopback = make_studio(tmp_path, provider=provider)
    session = with_loopback.session(DESCRIPTION)
    session.generate("a teapot")
    record = next((tmp_path / ".imagesession" / "turns" / session.id).iterdir())
    record.write_text(record.read_text().replace("offline.imagesession", "elsewhere.example"))
    image = make_studio(tmp_path, provider=provider).open(session.id).generate("bluer")
    rebuilt = known(paid_bodies(provider)[-1])
    assert len(paid_bodies(provider)) == 2
    assert (rebuilt.previous, rebuilt.items) == (None, ())
    assert image.turn.context == "rebuilt"


@pytest.mark.parametrize("format", ["gif", "svg", "webp"])
def test_history_may_contain_any_format(session: Any, provider: FakeOpenAI, format: str) -> None:
    """
    In a history an animation is sent as a still image and an SVG as its prompt, so that the
    provider accepts them.
    """
    session.generate("a star", output_format=format)
    provider.reset_memory()
    assert session.generate("bluer").turn.context == "rebuilt"


def test_all_images_of_a_response_are_saved(
    studio: Any, session: Any, provider: FakeOpenAI
) -> None:
    """
    All images of a response are saved; the last one is returned.
    """
    provider.images_per_reply = 3
    image = session.generate("three teapots")
    assert len(image.turn.images) == 3
    assert [listed.id for listed in session.images()] == [record.id for record in image.turn.images]
    assert image.id == image.turn.images[-1].id
    assert {listed.id for listed in studio.images.list()} == {item.id for item in session.images()}


def test_undo_and_redo_move_the_head(session: Any) -> None:
    """
    Undo moves back, redo forward; undone turns are kept.
    """
    first, second, third = (session.generate(prompt) for prompt in ("a teapot", "bluer", "warmer"))
    assert session.undo(2).id == first.id
    assert session.redo().id == second.id
    assert session.redo().id == third.id
    session.undo()
    sibling = session.generate("more contrast")
    assert sibling.parent == second.turn.id
    with pytest.raises(InvalidRequestError, match="nothing to redo"):
        session.redo()
    assert len(session.images()) == 4
    assert session.undo(3) is None
    assert session.head() is None


def test_checkout_moves_to_any_turn(session: Any) -> None:
    """
    The head can be set to any image or turn, by itself, by its id, or by the end of an image's id.
    """
    first, _ = session.generate("a teapot"), session.generate("bluer")
    for target in (first, first.id, first.id[-8:].lower(), first.turn, first.turn.id):
        assert session.checkout(target).id == first.id
    assert session.generate("warmer").parent == first.turn.id


@pytest.mark.parametrize("conversing", EITHER_WAY)
def test_branches_are_independent(
    studio: Any, session: Any, provider: FakeOpenAI, conversing: object
) -> None:
    """
    A branch starts at any image, and neither branch moves the other; both can be reopened.
    """
    converse(session, conversing)
    first = session.generate("a teapot")
    second = session.generate("bluer")
    warm = first.branch("warm version")
    third = warm.generate("warmer")
    expected = (
        anew_from(first, within=third) if conversing else Known(previous=first.turn.response_id)
    )
    assert known(paid_bodies(provider)[-1]) == expected
    assert third.turn.context == "continued"
    assert third.parent == first.turn.id
    assert session.head().id == second.id
    assert studio.open(session.id, branch="warm version").head().id == third.id
    assert [ancestor.id for ancestor in third.lineage()] == [first.id, third.id]
    assert session.tree().branches() == ("main", "warm version")
    assert session.branch().branch_name == "branch-2"
    assert "warm version" in str(session.tree())


def test_refining_an_old_image_starts_a_branch(session: Any) -> None:
    """
    An image can be refined whatever came after it.
    """
    first, second = session.generate("a teapot"), session.generate("bluer")
    assert first.refine("warmer").parent == first.turn.id
    assert session.head().id == second.id


def test_resume_opens_or_creates_a_session(studio: Any) -> None:
    """
    With `resume`, a name refers to one session: created once, found again with the settings that
    are given, and reopened if closed.
    """
    first = studio.session("a logo", name="Tea", resume=True)
    first.generate("a teapot")
    resumed = studio.session("another description", name="Tea", resume=True)
    assert (resumed.id, resumed.description) == (first.id, "a logo")
    first.close()
    assert studio.session("", name="Tea", resume=True).generate("bluer").turn.depth == 2
    studio.session("", name="Tea", resume=True, quality="low", remember=2)
    assert studio.session("", name="Tea", resume=True).generate("low").turn.options.quality == "low"
    with pytest.raises(InvalidOptionError, match="quality='best'"):
        studio.session("", name="Tea", resume=True, quality="best")
    assert len(studio.sessions.list()) == 1
    with pytest.raises(InvalidRequestError, match="name="):
        studio.session("a logo", resume=True)
    second = studio.session("a second", name="Tea")
    with pytest.warns(AmbiguousNameWarning, match=f"2 sessions are called 'Tea'.*{first.id}"):
        resumed = studio.session("which?", name="Tea", resume=True)
    assert resumed.id == second.id


def test_tree_shows_the_descriptions(studio: Any, session: Any, tmp_path: Path) -> None:
    """
    The tree does not show a preset's template, nor an empty line for an imported image.
    """
    session.product("ceramic mug")
    assert str(session.tree()) == "ceramic mug  <- main"
    (tmp_path / "photo.png").write_bytes(tiny_image())
    promoted = studio.promote(tmp_path / "photo.png", "a photo")
    assert str(promoted.tree()) == "(photo.png was imported)  <- main"


def test_standalone_images_have_no_session(studio: Any) -> None:
    """
    A standalone image is saved like any other and cannot be branched.
    """
    image = studio.generate("a teapot")
    assert image.session_id is None
    assert image.lineage() == (image,)
    assert studio.sessions.list() == ()
    assert studio.images.get(image.id).sha256 == image.sha256
    with pytest.raises(InvalidRequestError, match="promote"):
        image.branch()


def test_image_is_found_by_the_end_of_its_id(studio: Any) -> None:
    """
    The last eight characters of an id name its image, in any case; fewer, or others, name none.
    """
    image = studio.generate("a fox")
    studio.generate("a hare")
    for ending in (image.id[-8:], image.id[-12:].lower(), image.id.lower()):
        assert studio.images.get(ending).id == image.id
    other = "1" if image.id[-8] == "0" else "0"
    for wrong in (image.id[-7:], other + image.id[-7:], "%" + image.id[-8:], "%%%%%%%%"):
        with pytest.raises(NotFoundError):
            studio.images.get(wrong)


def test_images_are_listed_in_pages(studio: Any, session: Any) -> None:
    """
    The latest images come first, and the last of a page leads to the next.
    """
    image_ids = [session.generate(f"number {number}").id for number in range(5)]
    page = studio.images.list(limit=3)
    assert [image.id for image in page] == image_ids[:1:-1]
    assert [image.id for image in studio.images.list(before=page[-1])] == image_ids[1::-1]
    assert [image.id for image in studio.images.list(before=page[-1].id)] == image_ids[1::-1]


def test_sessions_are_listed(studio: Any, session: Any) -> None:
    """
    All sessions are listed, the latest first.
    """
    second_session = studio.session("Another")
    assert [listed.id for listed in studio.sessions.list()] == [second_session.id, session.id]


def test_sessions_are_listed_in_pages(studio: Any) -> None:
    """
    The last session of a page leads to the next; an invalid limit is refused.
    """
    session_ids = [studio.session(f"number {number}").id for number in range(5)]
    page = studio.sessions.list(limit=3)
    assert [listed.id for listed in page] == session_ids[:1:-1]
    assert [listed.id for listed in studio.sessions.list(before=page[-1])] == session_ids[1::-1]
    assert [listed.id for listed in studio.sessions.list(limit=1, before=page[-1].id)] == [
        session_ids[1]
    ]
    for wrong in (0, -1, True, "2"):
        with pytest.raises(InvalidRequestError, match="limit="):
            studio.sessions.list(limit=wrong)


def test_stream_yields_partial_images(session: Any) -> None:
    """
    Partial images come first, complete and in full size; the last event is the saved image.
    """
    *partials, image = session.stream("a teapot", partial_images=2)
    assert len(partials) >= 2
    assert [partial.index for partial in partials] == sorted(partial.index for partial in partials)
    for partial in partials:
        assert Image.open(io.BytesIO(partial.data)).size == partial.size == image.size
    assert image.id == session.head().id
    assert session.generate("bluer").turn.context == "continued"


def test_studio_streams_too(studio: Any) -> None:
    """
    Standalone images are streamed like turns, also without partial images.
    """
    (image,) = studio.stream("x", partial_images=0)
    assert studio.images.list() == (image,)


def test_unread_stream_sends_nothing(session: Any, provider: FakeOpenAI) -> None:
    """
    A stream that is not read sends no request.
    """
    session.stream("a teapot")
    assert paid_bodies(provider) == []


def test_every_option_reaches_the_wire(studio: Any, provider: FakeOpenAI) -> None:
    """
    Each option is sent by its name in the API, and unset ones are not sent.
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
        reasoning_effort="minimal",
        safety_identifier="user-7",
        service_tier="flex",
    )
    studio.generate("a teapot", output_format="gif", frames=4, frame_ms=100)
    studio.generate("a teapot", output_format="svg", svg_model="gpt-6-sol")
    full, gif, svg = (body["tools"][0] for body in paid_bodies(provider))
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
    assert paid_bodies(provider)[0]["model"] == "gpt-6-sol"
    assert paid_bodies(provider)[0]["reasoning"] == {"effort": "minimal"}
    assert paid_bodies(provider)[0]["safety_identifier"] == "user-7"
    assert not paid_bodies(provider)[1].keys() & {"reasoning", "safety_identifier"}
    tiers = [body.get("service_tier") for body in paid_bodies(provider)]
    assert tiers == ["flex", None, None]
    assert all(body["store"] and body["background"] for body in paid_bodies(provider))
    assert all(
        body["tool_choice"] == {"type": "image_generation"} for body in paid_bodies(provider)
    )


@pytest.mark.filterwarnings("ignore::imagesession.errors.ModelDeprecationWarning")
def test_input_fidelity_reaches_the_models_that_support_it(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    `input_fidelity` is sent to the older models only, while they are available.
    """
    begin = LibraryStore.new_id

    def while_models_are_available(library: LibraryStore, after: str = "") -> IdAndTime:
        return attrs.evolve(begin(library, after), at=NOW)

    monkeypatch.setattr(LibraryStore, "new_id", while_models_are_available)
    studio.generate(
        "a", image_model="gpt-image-1.5", input_fidelity="high", references=tiny_image()
    )
    assert paid_bodies(provider)[0]["tools"][0]["input_fidelity"] == "high"


def test_options_are_inherited(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A call's option overrides the session's, which overrides the studio's; sessions store theirs.
    """
    studio = make_studio(tmp_path, provider=provider, quality="low", output_format="webp")
    session = studio.session("x", output_format="jpeg", size="1536x1024")
    session.generate("a", size="1024x1024")
    make_studio(tmp_path, provider=provider).open(session.id).generate("b")
    first, second = (body["tools"][0] for body in paid_bodies(provider))
    assert first == {
        "type": "image_generation",
        "size": "1024x1024",
        "quality": "low",
        "output_format": "jpeg",
    }
    assert second == {"type": "image_generation", "size": "1536x1024", "output_format": "jpeg"}


def test_references_may_have_any_form(studio: Any, provider: FakeOpenAI, tmp_path: Path) -> None:
    """
    A path, bytes, a PIL image and a saved image are all sent, recognised by content.
    """
    saved = studio.generate("a teapot")
    path = tmp_path / "photo.txt"
    path.write_bytes(tiny_image("jpeg"))
    with_pil = Image.new("RGB", (64, 64), "red")
    pictures = [path, str(path), tiny_image("webp"), with_pil, saved, tiny_image("gif")]
    image = studio.generate("all of these", references=pictures)
    content = paid_bodies(provider)[-1]["input"][-1]["content"]
    assert len({part["file_id"] for part in content[:-1]}) == 5  # one of them twice
    kinds = [Image.open(io.BytesIO(data)).format for data in uploaded_images(provider)]
    assert kinds == ["JPEG", "WEBP", "PNG", "PNG", "PNG"]
    assert content[-1]["text"] == "all of these"
    assert image.turn.references[4].image_id == saved.id


def test_given_reference_is_edited(studio: Any) -> None:
    """
    The given image is the one that is edited, with its size and pixels.
    """
    photo = Image.new("RGB", (1024, 1024), (250, 20, 20))
    image = studio.generate("darker", references=photo)
    red, green, blue = image.open().convert("RGB").resize((1, 1)).getpixel((0, 0))
    assert red > 3 * max(green, blue)


def test_mask_limits_what_changes(session: Any) -> None:
    """
    With a mask, pixels outside of it stay as they were in the session's last image.
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
    "arguments,kind,message",
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
        ({"references": b"nonsense"}, InvalidImageError, "not a whole image"),
        ({"references": tiny_image()[:-20]}, InvalidImageError, "not a whole image"),
        ({"references": b"<svg></svg>"}, InvalidImageError, "SVG"),
        ({"references": b"x" * 25_000_001}, InvalidImageError, "25 MB"),
        ({"references": 7}, InvalidImageError, "not int"),
        ({"mask": tiny_mask()}, InvalidImageError, "needs an image"),
        ({"mask": tiny_mask((32, 32)), "references": tiny_image()}, InvalidImageError, "32x32"),
        ({"mask": tiny_image(), "references": tiny_image()}, InvalidImageError, "alpha"),
    ],
)
def test_invalid_call_is_refused_before_sending(
    session: Any,
    provider: FakeOpenAI,
    arguments: dict[str, Any],
    kind: type[Exception],
    message: str,
) -> None:
    """
    An invalid call is a typed error that says what to do; nothing is sent or recorded.
    """
    with pytest.raises(kind, match=message):
        session.generate(**{"prompt": "a teapot", **arguments})
    assert provider.requests == ()
    assert session.turns() == ()


@pytest.mark.parametrize("name", ["huge.png", "link.png"])
def test_huge_file_is_not_read(studio: Any, tmp_path: Path, name: str) -> None:
    """
    A file above the limit is refused by its size, before it is read into memory.
    """
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(40_000_000_000)
    with pytest.raises(InvalidImageError, match=r"40000\.0 MB"):
        studio.generate("x", references=path)


def test_closed_session_makes_no_images(studio: Any, session: Any, provider: FakeOpenAI) -> None:
    """
    A closed session can be read but makes no images, until it is reopened on purpose.
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
def test_unknown_names_list_existing_ones(studio: Any, session: Any, wanted: str) -> None:
    """
    An unknown session, branch, image or turn is a typed error that lists some that exist.
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


def test_ambiguous_name_opens_the_latest_session(studio: Any, session: Any) -> None:
    """
    Of several sessions of a name the latest is meant, and a warning at the caller's line has the
    ids of the others.
    """
    second = studio.session("Another", name="Tea logo")
    image = second.generate("a teapot")
    message = f"the latest, {second.id}.*{session.id}"
    with pytest.warns(AmbiguousNameWarning, match=message) as caught:
        opened = studio.open("Tea logo")
    assert opened.id == second.id
    with pytest.warns(AmbiguousNameWarning, match=message):
        listed = studio.images.list(session="Tea logo")
    assert [found.id for found in listed] == [image.id]
    for number in range(8):
        studio.session(str(number), name="Many")
    with pytest.warns(AmbiguousNameWarning, match="and 3 more") as many:
        studio.open("Many")
    assert len(str(many[0].message)) < 300
    if not isinstance(studio, Awaited):
        assert caught[0].filename == __file__


def test_session_is_found_by_what_people_see(studio: Any) -> None:
    """
    A session is opened by its description, or by the short id in its `repr`.
    """
    plain = studio.session("A poster for the fair")
    shown = re.search(r"…\w+", repr(plain))
    assert shown
    for wanted in ("A poster for the fair", shown[0], shown[0][1:].upper()):
        assert studio.open(wanted).id == plain.id
    again = studio.session("A poster for the fair")
    with pytest.warns(AmbiguousNameWarning):
        opened = studio.open("A poster for the fair")
    assert opened.id == again.id


@pytest.mark.parametrize("wanted", ["tea", "Tea lgo", "TEA LOGOS", "a poster"])
def test_unknown_name_names_similar_ones(studio: Any, session: Any, wanted: str) -> None:
    """
    A name that no session has is answered with those that are similar, in whatever case.
    """
    poster = studio.session("A poster for the fair")
    meant = poster if wanted == "a poster" else session
    for _ in range(4):
        studio.session("Something else")
    with pytest.raises(NotFoundError, match=f"Similar ones are: {meant.id}") as caught:
        studio.open(wanted)
    assert caught.value.known == (meant.id,)
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("conversing", EITHER_WAY)
def test_failed_turns_are_recorded_but_not_in_context(
    session: Any, provider: FakeOpenAI, conversing: object
) -> None:
    """
    Refused and failed turns are recorded, leave the head, and are not in the next turn's history.
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
    assert known(paid_bodies(provider)[-1]) == expected
    if conversing:  # conversations with failed turns are not continued
        assert bluer.turn.conversation not in {turn.conversation for turn in session.turns()[:-1]}
    provider.reset_memory()
    session.generate("warmer")
    assert "improper" not in json.dumps(paid_bodies(provider)[-1])


def test_two_programs_share_a_session(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    Each program sees the other's changes to a session at its next call.
    """
    here = make_studio(tmp_path, provider=provider).session(DESCRIPTION)
    elsewhere = make_studio(tmp_path, provider=provider).open(here.id)
    first = here.generate("a teapot")
    assert elsewhere.head().id == first.id
    second = elsewhere.generate("bluer")
    assert here.head().id == second.id
    elsewhere.undo()
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
def test_invalid_arguments_to_a_studio_are_typed_errors(
    studio: Any, provider: FakeOpenAI, verb: str, args: Any, options: Any
) -> None:
    """
    Invalid arguments are typed errors; nothing is sent or recorded.
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
def test_invalid_arguments_to_a_session_are_typed_errors(
    session: Any, verb: str, args: Any, options: Any
) -> None:
    """
    Invalid arguments are typed errors, and leave the session as it was.
    """
    with pytest.raises(InvalidRequestError):
        getattr(session, verb)(*args, **options)
    assert session.tree().branches() == ("main",)


def test_open_file_is_a_reference(studio: Any, provider: FakeOpenAI, tmp_path: Path) -> None:
    """
    A file that is open for reading bytes is sent like its path.
    """
    (tmp_path / "a.png").write_bytes(tiny_image())
    with (tmp_path / "a.png").open("rb") as file:
        studio.generate("like this", references=file)
    assert len(paid_bodies(provider)[0]["input"][0]["content"]) == 2


def test_concurrent_moves_all_count(
    session: Any, in_threads: Callable[[list[Callable[[], Any]]], None]
) -> None:
    """
    Branches get distinct names, and every undo counts, whoever moves concurrently.
    """
    images = [session.generate(f"number {number}") for number in range(5)]
    in_threads([session.undo] * 4)
    assert session.head().prompt == "number 0"
    in_threads([images[-1].branch] * 4)
    assert len(session.tree().branches()) == 5


def test_wrong_clock_does_not_fork_the_conversation(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A turn continues the last one even if the clock was set back since, and an undo counts too.
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


def test_corrupt_session_does_not_hide_the_others(studio: Any, session: Any) -> None:
    """
    Opening a session with a corrupt record is an error that names it; the others are available.
    """
    second_session = studio.session("Another")
    record = studio.library / ".imagesession" / "sessions" / f"{session.id}.json"
    record.write_text("{}")
    assert [listed.id for listed in studio.sessions.list()] == [second_session.id]
    with pytest.raises(CorruptRecordError, match=session.id):
        studio.open(session.id)


def test_record_cannot_point_outside_the_library(studio: Any, session: Any, tmp_path: Path) -> None:
    """
    A record that names a file elsewhere is corrupt; the file is neither read nor sent.
    """
    (tmp_path / "secret.png").write_bytes(tiny_image())
    image = session.generate("a teapot")
    record = next((studio.library / ".imagesession" / "turns" / session.id).iterdir())
    for elsewhere in (str(tmp_path / "secret.png"), "../secret.png", "general/../../secret.png"):
        changed = json.loads(record.read_text())
        changed["images"][0]["file"] = elsewhere
        record.write_text(json.dumps(changed))
        with pytest.raises(CorruptRecordError, match="not within the library"):
            open_library(studio.library).sessions.tree(
                SessionRecord(id=session.id, description="", created=NOW)
            )
    assert image.id
