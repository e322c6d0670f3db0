"""
Any picture becomes the start of a session, with all that is known of it, and any picture can be
kept. Every test runs over the sync and the async twin.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imagesession import Mask, Studio
from imagesession.errors import (
    InvalidImageError,
    InvalidRequestError,
    NotFoundError,
    TooManySessionsError,
)
from imagesession.testing import FakeOpenAI, tiny_image
from tests.conftest import MakeStudio
from tests.conversing import EITHER_WAY, Known, anew_from, converse, known, straight_from
from tests.imaging import making
from tests.sent import asked, opened, posts, shown

COLOUR = (200, 30, 30)
RED = tiny_image(colour=COLOUR, size=(512, 512))
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect/></svg>'
OLD_METADATA = {
    "timestamp": "2025-06-01T10:00:00",
    "image_path": "general/old.png",
    "session_id": "6f1c",
    "session_name": "Old one",
    "generation_call_id": "ig_123",
    "original_prompt": "a red square, by the old tool",
    "revised_prompt": "A plain red square.",
    "model": "gpt-4o",
    "generation_params": {"quality": "high", "size": "auto", "background": "auto"},
    "created_at": "2025-06-01T10:00:00",
    "conversation_length": 2,
}


@pytest.fixture
def studio(make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI) -> Any:
    """
    A studio whose pictures are as small as the wire allows.
    """
    return make_studio(tmp_path / "library", provider=provider, size="1024x640")


def mean(image: Any) -> tuple[int, ...]:
    """
    Return a picture's mean colour.
    """
    colour: tuple[int, ...] = image.open().convert("RGB").resize((1, 1)).getpixel((0, 0))
    return colour


def is_reddish(image: Any) -> bool:
    """
    Tell whether a picture still looks like the red one.
    """
    red, *others = mean(image)
    return red > 2 * max(others)


def described_in(image: Any) -> Known:
    """
    Return how a request tells a picture that was promoted in words, naming nothing to the provider.
    """
    return Known(conversation=image.turn.conversation, messages=4)


# --- one-shots ---------------------------------------------------------------------------------


@pytest.mark.parametrize("conversing", EITHER_WAY)
@pytest.mark.parametrize("by_id", [False, True])
def test_a_one_shot_becomes_a_session(
    studio: Any, provider: FakeOpenAI, by_id: object, conversing: object
) -> None:
    """
    What was asked, what the model made of it and the provider's own context go along: the first
    refinement names the picture by the provider's id of it, or the reply where there are no
    conversations, and sends no picture.
    """
    item = studio.generate("modern office workspace", quality="high")
    session = converse(
        studio.promote(item.id if by_id else item, "Office workspace refinement", name="Office"),
        conversing,
    )
    head = session.head()
    assert (session.name, session.description) == ("Office", "Office workspace refinement")
    assert (head.prompt, head.revised_prompt, head.model) == (
        item.prompt,
        item.revised_prompt,
        item.model,
    )
    assert head.revised_prompt
    assert (head.sha256, head.path, head.kind) == (item.sha256, item.path, "promotion")
    assert head.turn.options == item.turn.options
    assert head.cost is None

    later = session.generate("add plants")
    body = asked(provider)[-1]
    assert known(body) == (
        anew_from(item, within=later) if conversing else straight_from(item, conversing=False)
    )
    assert shown(provider, body) == []
    assert body["instructions"] == "Office workspace refinement"
    assert later.parent == head.turn.id
    assert later.turn.context == "continued"


def test_promoting_asks_nobody_and_costs_nothing(studio: Any, provider: FakeOpenAI) -> None:
    """
    A promotion is a matter of the library alone: nothing is sent, and it adds no cost.
    """
    item = studio.generate("a teapot")
    before = len(provider.requests)
    session = studio.promote(item)
    assert len(provider.requests) == before
    assert session.cost().total == 0
    assert session.description == "a teapot"


def test_a_one_shot_stays_what_it_is(studio: Any) -> None:
    """
    The one-shot is still a one-shot, and can be promoted again to another session.
    """
    item = studio.generate("a teapot")
    first, second = studio.promote(item, "first"), studio.promote(item, "second")
    first.generate("bluer")
    assert studio.images.get(item.id).session_id is None
    assert second.head().sha256 == item.sha256
    assert len({first.id, second.id, first.head().id, second.head().id, item.id}) == 5
    assert item.bytes == second.head().bytes


def test_a_promotion_is_found_again(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A session that began as a one-shot is opened by another program, undone to its picture, and
    tells where that came from.
    """
    studio = make_studio(tmp_path, provider=provider)
    item = studio.generate("a teapot")
    first = studio.promote(item, "x", name="Promoted")
    first.generate("bluer")
    session = make_studio(tmp_path, provider=provider).open("Promoted")
    start = session.undo()
    assert start.sha256 == item.sha256
    assert start.turn.origin.image_id == item.id
    assert start.parents == (item.id,)
    warmer = session.generate("warmer")
    assert warmer.turn.context == "continued"
    assert known(asked(provider)[-1]) == straight_from(item, conversing=False)
    assert [len(image.lineage()) for image in session.images()] == [1, 2, 2]


def test_what_the_provider_forgot_is_shown(studio: Any, provider: FakeOpenAI) -> None:
    """
    When the provider no longer knows the one-shot, its words are told and its pixels shown.
    """
    item = studio.generate("a teapot")
    session = studio.promote(item, "x")
    provider.reset_memory()
    assert session.generate("bluer").turn.context == "rebuilt"
    body = asked(provider)[-1]
    assert shown(provider, body) == [item.bytes]
    assert "a teapot" in json.dumps(body["input"])


def test_another_providers_one_shot_is_shown(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A one-shot that another provider made is shown to this one, which is not asked for its id.
    """
    studio = make_studio(tmp_path, provider=provider)
    item = studio.generate("a teapot")
    records = (tmp_path / ".imagesession" / "turns").rglob("*.json")
    (record,) = (file for file in records if item.turn.id in file.name)
    record.write_text(record.read_text().replace("offline.imagesession", "elsewhere.example"))
    studio = make_studio(tmp_path, provider=provider)
    image = studio.promote(item.id, "x").generate("bluer")
    assert known(asked(provider)[-1]) == described_in(image)
    assert shown(provider, asked(provider)[-1]) == [item.bytes]


def test_one_of_several_pictures(studio: Any, provider: FakeOpenAI) -> None:
    """
    Of a reply with several pictures the one that is meant is shown; the provider's memory of all
    of them is not relied on.
    """
    provider.pictures_per_reply = 3
    last = studio.generate("three teapots")
    provider.pictures_per_reply = 1
    meant = studio.images.get(last.turn.images[1].id)
    session = studio.promote(meant, "x")
    assert session.head().sha256 == meant.sha256 != last.sha256
    image = session.generate("bluer")
    body = asked(provider)[-1]
    assert known(body) == described_in(image)
    assert shown(provider, body) == [meant.bytes]


def test_a_composite_is_shown(studio: Any, provider: FakeOpenAI) -> None:
    """
    A picture that was put together here is one that no provider knows; it is shown.
    """
    hole = Mask.rectangle((0, 0, 100, 100))
    joined = studio.edit("a star", image=RED, mask=hole, preserve_unmasked=True)
    session = studio.promote(joined, "x")
    session.generate("bluer")
    assert shown(provider, asked(provider)[-1]) == [joined.bytes]


# --- other sessions ----------------------------------------------------------------------------


def test_a_picture_of_another_session_is_taken_alone(studio: Any, provider: FakeOpenAI) -> None:
    """
    From another session comes the picture, with its pixels and its own words, and nothing else of
    that conversation; the other session stays as it was.
    """
    origin = studio.session("A secret brief")
    origin.generate("a green meadow with secrets")
    picture = origin.edit("a little darker", image=RED)
    session = studio.promote(picture, "A new start")
    image = session.generate("add a sun")
    body = asked(provider)[-1]
    assert known(body) == described_in(image)
    assert shown(provider, body) == [picture.bytes]
    *reported, _ = body["input"]
    assert "a little darker" in json.dumps(reported)
    assert "secret" not in json.dumps(reported) + body["instructions"]
    assert is_reddish(image)
    assert (image.turn.context, image.session_id) == ("rebuilt", session.id)
    assert len(origin.turns()) == 2
    assert session.head().id == image.id != origin.head().id == picture.id


# --- pictures from elsewhere -------------------------------------------------------------------


def test_a_plain_file_starts_a_session(studio: Any, provider: FakeOpenAI, tmp_path: Path) -> None:
    """
    A picture of which nothing is known is kept to the byte, shown with the first words, and still
    recognisable in what comes of them.
    """
    path = tmp_path / "photo.png"
    path.write_bytes(RED)
    session = studio.promote(path, "A red thing")
    head = session.head()
    assert (head.kind, head.prompt, head.turn.origin.file) == ("import", "", "photo.png")
    assert head.bytes == RED
    path.unlink()
    image = session.generate("make it warmer")
    body = asked(provider)[-1]
    assert known(body) == described_in(image)
    assert shown(provider, body) == [RED]
    assert "[I bring a picture.]" in json.dumps(body["input"][0])
    assert is_reddish(image)
    assert session.generate("add a sun").turn.context == "continued"
    assert is_reddish(session.head())


@pytest.mark.parametrize("hand_in", [bytes, bytearray, io.BytesIO, opened])
def test_a_picture_in_memory_starts_a_session(studio: Any, hand_in: Callable[[bytes], Any]) -> None:
    """
    Bytes, open files and PIL images are promoted like files.
    """
    session = studio.promote(hand_in(RED), "A red thing")
    assert session.head().open().convert("RGB").tobytes() == opened(RED).tobytes()
    assert session.head().turn.origin.file is None
    assert is_reddish(session.generate("add a sun"))


def test_a_file_of_another_library_brings_what_lies_beside_it(
    make_studio: MakeStudio, tmp_path: Path
) -> None:
    """
    Our own metadata beside a file tells what was asked, what was made of it and by which model;
    the other library and its provider are not needed.
    """
    item = make_studio(tmp_path / "theirs").generate("a red heart")
    provider = FakeOpenAI()
    session = make_studio(tmp_path / "ours", provider=provider).promote(item.path)
    head = session.head()
    assert session.description == "a red heart"
    assert (head.prompt, head.revised_prompt, head.model) == (
        "a red heart",
        item.revised_prompt,
        item.model,
    )
    assert (head.bytes, head.turn.response_id) == (item.bytes, None)
    assert head.path.is_relative_to(tmp_path / "ours")
    image = session.generate("bluer")
    (body,) = asked(provider)
    assert known(body) == described_in(image)
    assert shown(provider, body) == [item.bytes]
    assert "a red heart" in json.dumps(body["input"])


@pytest.mark.parametrize("suffix", [".png", ".webp", ".PNG", ""])
def test_the_old_tools_metadata_is_read(
    studio: Any, provider: FakeOpenAI, tmp_path: Path, suffix: str
) -> None:
    """
    A picture of the old tool, in a folder with a dot and whatever its suffix, brings the prompt
    that its metadata tell.
    """
    folder = tmp_path / "old.png.d"
    folder.mkdir()
    (folder / f"picture{suffix}").write_bytes(RED)
    (folder / "picture_metadata.json").write_text(json.dumps(OLD_METADATA))
    session = studio.promote(str(folder / f"picture{suffix}"))
    head = session.head()
    assert session.description == OLD_METADATA["original_prompt"]
    assert (head.prompt, head.revised_prompt, head.model) == (
        OLD_METADATA["original_prompt"],
        OLD_METADATA["revised_prompt"],
        OLD_METADATA["model"],
    )
    image = session.generate("add a sun")
    assert "by the old tool" in json.dumps(asked(provider)[-1]["input"][0])
    assert "ig_123" not in json.dumps(asked(provider))
    assert is_reddish(image)


def test_metadata_without_a_prompt_is_made_good(
    studio: Any, provider: FakeOpenAI, tmp_path: Path
) -> None:
    """
    The old tool left its prompts empty; such a picture is promoted all the same, by its pixels.
    """
    (tmp_path / "old.png").write_bytes(RED)
    beside = tmp_path / "old_metadata.json"
    beside.write_text(json.dumps({**OLD_METADATA, "original_prompt": ""}))
    session = studio.promote(tmp_path / "old.png", "Red things")
    assert session.head().prompt == ""
    assert is_reddish(session.generate("make it warmer"))
    assert shown(provider, asked(provider)[-1]) == [RED]


DAMAGED = (
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b'{"original_prompt": 7, "revised_prompt": [], "model": {}}',
    b'{"original_prompt": null}',
    b"[" * 100_000,
    b'{"original_prompt": "' + b"x" * 1_000_001 + b'"}',
)


@pytest.mark.parametrize("name", ["old.json", "old_metadata.json"])
def test_metadata_that_cannot_be_read_is_none(studio: Any, tmp_path: Path, name: str) -> None:
    """
    Whatever lies beside a picture, the picture starts a session.
    """
    (tmp_path / "old.png").write_bytes(RED)
    for content in DAMAGED:
        (tmp_path / name).write_bytes(content)
        head = studio.promote(tmp_path / "old.png", "Red things").head()
        assert (head.bytes, head.prompt, head.model) == (RED, "", None)


def test_half_a_character_beside_a_picture_is_no_harm(
    studio: Any, provider: FakeOpenAI, tmp_path: Path
) -> None:
    """
    Metadata with half a character in it are told with a mark in its place.
    """
    (tmp_path / "old.png").write_bytes(RED)
    (tmp_path / "old.json").write_bytes(b'{"original_prompt": "a teapot \\ud83c"}')
    session = studio.promote(tmp_path / "old.png")
    assert session.description == session.head().prompt == "a teapot ?"
    assert is_reddish(session.generate("make it warmer"))
    assert "a teapot ?" in json.dumps(asked(provider)[-1]["input"][0])


def test_an_svg_starts_a_session(studio: Any, provider: FakeOpenAI) -> None:
    """
    A drawing has no pixels to show; it is kept to the byte and told by its words.
    """
    drawn = studio.generate("a star icon", output_format="svg")
    session = studio.promote(drawn, "Icons")
    assert session.generate("bluer", output_format="svg").turn.context == "continued"
    brought = studio.promote(SVG, "A drawing")
    assert brought.head().bytes == SVG
    assert brought.head().path.suffix == ".svg"
    assert brought.generate("bluer", output_format="svg").turn.context == "rebuilt"
    assert brought.edit("warmer", output_format="svg").turn.context == "continued"
    assert shown(provider, asked(provider)[-2]) == []


def test_a_session_keeps_what_its_turns_ask_for(studio: Any, provider: FakeOpenAI) -> None:
    """
    Options of a promotion are those of the session's turns.
    """
    session = studio.promote(RED, "x", size="1536x1024", quality="low")
    session.generate("warmer")
    tool = asked(provider)[-1]["tools"][0]
    assert (tool["size"], tool["quality"]) == ("1536x1024", "low")


@pytest.mark.parametrize(
    "picture,words",
    [
        (b"garbage", "not a whole picture"),
        (RED[:-30], "not a whole picture"),
        (b"", "not a whole picture"),
        ("/nowhere/at all.png", "cannot be read"),
        ("a\0b", "cannot be read"),
        ("/", "cannot be read"),
        (7, "not int"),
        (b"x" * 25_000_001, "25 MB"),
        (making.encoded(Image.new("1", (9000, 8000))), "64 million"),
    ],
    ids=range(9),
)
def test_what_is_no_picture_starts_nothing(
    studio: Any, provider: FakeOpenAI, picture: Any, words: str
) -> None:
    """
    What is no picture, or too large, is refused; no session is left behind, and nothing is sent.
    """
    for verb in (studio.promote, studio.images.import_file):
        with pytest.raises(InvalidImageError, match=words):
            verb(picture)
    assert studio.sessions.list() == ()
    assert studio.images.list() == ()
    assert provider.requests == ()


def test_an_unknown_id_names_the_latest(studio: Any) -> None:
    """
    An id that the library does not have is an error that lists the latest pictures.
    """
    ids = [studio.images.import_file(RED).id for _ in range(3)]
    with pytest.raises(NotFoundError, match=ids[2]) as caught:
        studio.promote(ids[0][:-4] + "0000", "x")
    assert caught.value.known == tuple(reversed(ids))
    assert studio.sessions.list() == ()


@pytest.mark.parametrize("arguments", [{"name": 7}, {"description": None}, {"size": "huge"}])
def test_a_promotion_that_makes_no_sense_leaves_nothing(
    studio: Any, arguments: dict[str, Any]
) -> None:
    """
    A name, description or option of a wrong kind is refused, and no session is left behind.
    """
    with pytest.raises(InvalidRequestError):
        studio.promote(RED, **arguments)
    assert studio.sessions.list() == ()
    assert studio.images.list() == ()


def test_no_room_for_a_session_keeps_no_picture(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    When as many sessions are active as are allowed, a promotion is refused and brings nothing in.
    """
    studio = make_studio(tmp_path, max_active_sessions=1)
    studio.session("x")
    with pytest.raises(TooManySessionsError):
        studio.promote(RED, "y")
    assert studio.images.list() == ()


# --- imports -----------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "gif"])
def test_an_import_is_kept_to_the_byte(studio: Any, tmp_path: Path, format: str) -> None:
    """
    A picture that browsers show is kept as it is, under the suffix of its content, in a folder of
    its own, and is found like any other.
    """
    data = tiny_image(format)
    path = tmp_path / "picture.dat"
    path.write_bytes(data)
    image = studio.images.import_file(path, prompt="what it shows")
    assert image.bytes == data
    assert image.sha256 == hashlib.sha256(data).hexdigest()
    assert (image.format, image.kind, image.prompt) == (format, "import", "what it shows")
    assert image.path.parent.name == "imported"
    assert image.path.suffix == {"jpeg": ".jpg"}.get(format, f".{format}")
    assert (image.cost, image.model, image.session_id) == (None, None, None)
    assert studio.images.list(kind="import") == (image,)
    assert studio.images.list(text="it SHOWS") == (image,)
    assert image.metadata["origin"] == {"file": "picture.dat", "image_id": None}


@pytest.mark.parametrize("format", ["BMP", "TIFF", "AVIF", "HEIF"])
def test_an_import_that_no_browser_shows_is_converted(studio: Any, format: str) -> None:
    """
    Other formats are kept as PNG or JPEG, in their size and colours.
    """
    image = studio.images.import_file(making.encoded(making.corners(), format))
    assert image.format in {"png", "jpeg"}
    assert image.size == making.SIZE
    for corner, colour in making.colours(image.open()).items():
        assert max(abs(a - b) for a, b in zip(colour, making.CORNERS[corner], strict=True)) < 40


def test_an_import_knows_what_lies_beside_it(studio: Any, tmp_path: Path) -> None:
    """
    The metadata beside a file tell what it was asked to be, unless the caller says otherwise.
    """
    (tmp_path / "old.png").write_bytes(RED)
    (tmp_path / "old_metadata.json").write_text(json.dumps(OLD_METADATA))
    assert studio.images.import_file(tmp_path / "old.png").prompt == OLD_METADATA["original_prompt"]
    assert studio.images.import_file(tmp_path / "old.png", prompt="mine").prompt == "mine"


def test_an_import_is_a_picture_like_others(studio: Any, provider: FakeOpenAI) -> None:
    """
    An imported picture is promoted, edited and referred to like one that was made here.
    """
    image = studio.images.import_file(RED, prompt="a red square")
    session = studio.promote(image, "x")
    assert is_reddish(session.generate("add a sun"))
    assert shown(provider, asked(provider)[-1]) == [RED]
    assert "a red square" in json.dumps(asked(provider)[-1]["input"])
    assert studio.edit("darker", image=image).parents == (image.id,)
    assert posts(provider).count("/files") == 1


def test_what_is_brought_in_is_listed(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A picture that is imported or promoted is found among all others, whenever they were listed
    before, and by other programs too.
    """
    studio = make_studio(tmp_path, provider=provider)
    assert studio.images.list() == ()
    kept = studio.images.import_file(RED)
    assert [image.id for image in studio.images.list()] == [kept.id]
    session = studio.promote(tiny_image(colour=(1, 2, 3)), "x")
    copied = studio.promote(kept, "y")
    other = make_studio(tmp_path, provider=provider)
    wanted = {kept.id, session.head().id, copied.head().id}
    assert {image.id for image in other.images.list()} == wanted
    assert {image.id for image in studio.images.list()} == wanted
    assert studio.requests.pending() == ()


def test_what_was_not_brought_in_whole_is_forgotten(
    tmp_path: Path, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A program that dies while it brings a picture in leaves nothing to settle: the picture is still
    where it came from.
    """
    studio = Studio.offline(tmp_path, provider=provider)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("imagesession._store.journal.Journal.remove", die)
    monkeypatch.setattr("imagesession._store.repository.LibraryStore._write_record", die)
    with pytest.raises(KeyboardInterrupt):
        studio.images.import_file(RED)
    monkeypatch.undo()
    folder = tmp_path / ".imagesession" / "journal"
    assert len(list(folder.iterdir())) == 1
    later = Studio.offline(tmp_path, provider=provider)
    assert later.requests.pending() == later.images.list() == ()
    assert later.recover() == type(later.recover())()
    assert list(folder.iterdir()) == []
