"""
Any image can start a session, with everything that is known about it, and any image can be
imported.

Every test runs over the sync and the async twin.
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
    A studio that makes the smallest images that the provider accepts.
    """
    return make_studio(tmp_path / "library", provider=provider, size="1024x640")


def mean_colour(image: Any) -> tuple[int, ...]:
    """
    Return an image's mean colour.
    """
    colour: tuple[int, ...] = image.open().convert("RGB").resize((1, 1)).getpixel((0, 0))
    return colour


def is_reddish(image: Any) -> bool:
    """
    Return whether an image still resembles the red one.
    """
    red, *others = mean_colour(image)
    return red > 2 * max(others)


def text_history(image: Any) -> Known:
    """
    Return how a request describes a promoted image in text, without ids of the provider.
    """
    return Known(conversation=image.turn.conversation, messages=4)


# --- standalone images ----------------------------------------------------------------------------


@pytest.mark.parametrize("conversing", EITHER_WAY)
@pytest.mark.parametrize("by_id", [False, True])
def test_standalone_image_becomes_a_session(
    studio: Any, provider: FakeOpenAI, by_id: object, conversing: object
) -> None:
    """
    The prompt, the revised prompt and the provider's context are carried over: the first refinement
    refers to the image by its item id, or to its response without conversations, and sends no
    image.
    """
    single = studio.generate("modern office workspace", quality="high")
    session = converse(
        studio.promote(
            single.id if by_id else single, "Office workspace refinement", name="Office"
        ),
        conversing,
    )
    head = session.head()
    assert (session.name, session.description) == ("Office", "Office workspace refinement")
    assert (head.prompt, head.revised_prompt, head.model) == (
        single.prompt,
        single.revised_prompt,
        single.model,
    )
    assert head.revised_prompt
    assert (head.sha256, head.path, head.kind) == (single.sha256, single.path, "promotion")
    assert head.turn.options == single.turn.options
    assert head.cost is None

    later = session.generate("add plants")
    body = asked(provider)[-1]
    assert known(body) == (
        anew_from(single, within=later) if conversing else straight_from(single, conversing=False)
    )
    assert shown(provider, body) == []
    assert body["instructions"] == "Office workspace refinement"
    assert later.parent == head.turn.id
    assert later.turn.context == "continued"


def test_promotion_sends_nothing_and_costs_nothing(studio: Any, provider: FakeOpenAI) -> None:
    """
    A promotion only changes the library: nothing is sent, and it adds no cost.
    """
    single = studio.generate("a teapot")
    before = len(provider.requests)
    session = studio.promote(single)
    assert len(provider.requests) == before
    assert session.cost().total == 0
    assert session.description == "a teapot"


def test_promoted_image_stays_standalone(studio: Any) -> None:
    """
    The image stays a standalone one, and can be promoted again to another session.
    """
    single = studio.generate("a teapot")
    first, second = studio.promote(single, "first"), studio.promote(single, "second")
    first.generate("bluer")
    assert studio.images.get(single.id).session_id is None
    assert second.head().sha256 == single.sha256
    assert len({first.id, second.id, first.head().id, second.head().id, single.id}) == 5
    assert single.bytes == second.head().bytes


def test_promoted_session_is_reopened(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A promoted session is opened by another program, undone to its image, and records where the
    image came from.
    """
    studio = make_studio(tmp_path, provider=provider)
    single = studio.generate("a teapot")
    first = studio.promote(single, "x", name="Promoted")
    first.generate("bluer")
    session = make_studio(tmp_path, provider=provider).open("Promoted")
    start = session.undo()
    assert start.sha256 == single.sha256
    assert start.turn.origin.image_id == single.id
    assert start.parents == (single.id,)
    warmer = session.generate("warmer")
    assert warmer.turn.context == "continued"
    assert known(asked(provider)[-1]) == straight_from(single, conversing=False)
    assert [len(image.lineage()) for image in session.images()] == [1, 2, 2]


def test_image_forgotten_by_the_provider_is_sent(studio: Any, provider: FakeOpenAI) -> None:
    """
    If the provider no longer knows the image, its prompt and its pixels are sent.
    """
    single = studio.generate("a teapot")
    session = studio.promote(single, "x")
    provider.reset_memory()
    assert session.generate("bluer").turn.context == "rebuilt"
    body = asked(provider)[-1]
    assert shown(provider, body) == [single.bytes]
    assert "a teapot" in json.dumps(body["input"])


def test_image_of_another_provider_is_sent(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    An image from another provider is sent, without its id.
    """
    studio = make_studio(tmp_path, provider=provider)
    single = studio.generate("a teapot")
    records = (tmp_path / ".imagesession" / "turns").rglob("*.json")
    (record,) = (file for file in records if single.turn.id in file.name)
    record.write_text(record.read_text().replace("offline.imagesession", "elsewhere.example"))
    studio = make_studio(tmp_path, provider=provider)
    image = studio.promote(single.id, "x").generate("bluer")
    assert known(asked(provider)[-1]) == text_history(image)
    assert shown(provider, asked(provider)[-1]) == [single.bytes]


def test_one_of_several_images_is_sent(studio: Any, provider: FakeOpenAI) -> None:
    """
    Of a response with several images the selected one is sent, instead of relying on the provider's
    copy of all.
    """
    provider.images_per_reply = 3
    last = studio.generate("three teapots")
    provider.images_per_reply = 1
    meant = studio.images.get(last.turn.images[1].id)
    session = studio.promote(meant, "x")
    assert session.head().sha256 == meant.sha256 != last.sha256
    image = session.generate("bluer")
    body = asked(provider)[-1]
    assert known(body) == text_history(image)
    assert shown(provider, body) == [meant.bytes]


def test_composite_is_sent(studio: Any, provider: FakeOpenAI) -> None:
    """
    A composite was made by the library and is unknown to every provider; it is sent.
    """
    hole = Mask.rectangle((0, 0, 100, 100))
    joined = studio.edit("a star", image=RED, mask=hole, preserve_unmasked=True)
    session = studio.promote(joined, "x")
    session.generate("bluer")
    assert shown(provider, asked(provider)[-1]) == [joined.bytes]


# --- other sessions ----------------------------------------------------------------------------


def test_image_of_another_session_is_taken_alone(studio: Any, provider: FakeOpenAI) -> None:
    """
    From another session only the image is taken, with its pixels and its own prompt; the other
    session is unchanged.
    """
    origin = studio.session("A secret brief")
    origin.generate("a green meadow with secrets")
    picture = origin.edit("a little darker", image=RED)
    session = studio.promote(picture, "A new start")
    image = session.generate("add a sun")
    body = asked(provider)[-1]
    assert known(body) == text_history(image)
    assert shown(provider, body) == [picture.bytes]
    *history, _ = body["input"]
    assert "a little darker" in json.dumps(history)
    assert "secret" not in json.dumps(history) + body["instructions"]
    assert is_reddish(image)
    assert (image.turn.context, image.session_id) == ("rebuilt", session.id)
    assert len(origin.turns()) == 2
    assert session.head().id == image.id != origin.head().id == picture.id


# --- external images ------------------------------------------------------------------------------


def test_plain_file_starts_a_session(studio: Any, provider: FakeOpenAI, tmp_path: Path) -> None:
    """
    An image without metadata is saved byte for byte, sent with the first prompt, and recognisable
    in the result.
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
    assert known(body) == text_history(image)
    assert shown(provider, body) == [RED]
    assert "[I bring a picture.]" in json.dumps(body["input"][0])
    assert is_reddish(image)
    assert session.generate("add a sun").turn.context == "continued"
    assert is_reddish(session.head())


@pytest.mark.parametrize("hand_in", [bytes, bytearray, io.BytesIO, opened])
def test_image_in_memory_starts_a_session(studio: Any, hand_in: Callable[[bytes], Any]) -> None:
    """
    Bytes, open files and PIL images are promoted like files.
    """
    session = studio.promote(hand_in(RED), "A red thing")
    assert session.head().open().convert("RGB").tobytes() == opened(RED).tobytes()
    assert session.head().turn.origin.file is None
    assert is_reddish(session.generate("add a sun"))


def test_metadata_beside_a_file_is_read(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    The library's metadata beside a file has its prompt, its revised prompt and its model; neither
    the other library nor its provider is needed.
    """
    source = make_studio(tmp_path / "theirs").generate("a red heart")
    provider = FakeOpenAI()
    session = make_studio(tmp_path / "ours", provider=provider).promote(source.path)
    head = session.head()
    assert session.description == "a red heart"
    assert (head.prompt, head.revised_prompt, head.model) == (
        "a red heart",
        source.revised_prompt,
        source.model,
    )
    assert (head.bytes, head.turn.response_id) == (source.bytes, None)
    assert head.path.is_relative_to(tmp_path / "ours")
    image = session.generate("bluer")
    (body,) = asked(provider)
    assert known(body) == text_history(image)
    assert shown(provider, body) == [source.bytes]
    assert "a red heart" in json.dumps(body["input"])


@pytest.mark.parametrize("suffix", [".png", ".webp", ".PNG", ""])
def test_metadata_of_openai_image_mcp_is_read(
    studio: Any, provider: FakeOpenAI, tmp_path: Path, suffix: str
) -> None:
    """
    For an image of openai-image-mcp, in a folder with a dot and whatever its suffix, the prompt is
    read from its metadata.
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


def test_metadata_without_a_prompt_is_accepted(
    studio: Any, provider: FakeOpenAI, tmp_path: Path
) -> None:
    """
    openai-image-mcp left its prompts empty; such an image is promoted with its pixels.
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
def test_unreadable_metadata_is_ignored(studio: Any, tmp_path: Path, name: str) -> None:
    """
    Whatever is beside an image, the image starts a session.
    """
    (tmp_path / "old.png").write_bytes(RED)
    for content in DAMAGED:
        (tmp_path / name).write_bytes(content)
        head = studio.promote(tmp_path / "old.png", "Red things").head()
        assert (head.bytes, head.prompt, head.model) == (RED, "", None)


def test_lone_surrogate_in_metadata_is_replaced(
    studio: Any, provider: FakeOpenAI, tmp_path: Path
) -> None:
    """
    A lone surrogate in metadata is sent as a replacement character.
    """
    (tmp_path / "old.png").write_bytes(RED)
    (tmp_path / "old.json").write_bytes(b'{"original_prompt": "a teapot \\ud83c"}')
    session = studio.promote(tmp_path / "old.png")
    assert session.description == session.head().prompt == "a teapot ?"
    assert is_reddish(session.generate("make it warmer"))
    assert "a teapot ?" in json.dumps(asked(provider)[-1]["input"][0])


def test_svg_starts_a_session(studio: Any, provider: FakeOpenAI) -> None:
    """
    An SVG has no pixels to send; it is saved byte for byte and described by its prompt.
    """
    svg = studio.generate("a star icon", output_format="svg")
    session = studio.promote(svg, "Icons")
    assert session.generate("bluer", output_format="svg").turn.context == "continued"
    session = studio.promote(SVG, "A drawing")
    assert session.head().bytes == SVG
    assert session.head().path.suffix == ".svg"
    assert session.generate("bluer", output_format="svg").turn.context == "rebuilt"
    assert session.edit("warmer", output_format="svg").turn.context == "continued"
    assert shown(provider, asked(provider)[-2]) == []


def test_promotion_options_apply_to_the_session(studio: Any, provider: FakeOpenAI) -> None:
    """
    Options of a promotion are those of the session's turns.
    """
    session = studio.promote(RED, "x", size="1536x1024", quality="low")
    session.generate("warmer")
    tool = asked(provider)[-1]["tools"][0]
    assert (tool["size"], tool["quality"]) == ("1536x1024", "low")


@pytest.mark.parametrize(
    "picture,message",
    [
        (b"garbage", "not a whole image"),
        (RED[:-30], "not a whole image"),
        (b"", "is empty"),
        ("/nowhere/at all.png", "cannot be read"),
        ("a\0b", "cannot be read"),
        ("/", "cannot be read"),
        (7, "not int"),
        (b"x" * 25_000_001, "25 MB"),
        (making.encoded(Image.new("1", (9000, 8000))), "64 million"),
    ],
    ids=range(9),
)
def test_invalid_image_starts_nothing(
    studio: Any, provider: FakeOpenAI, picture: Any, message: str
) -> None:
    """
    A file that is no image, or too large, is refused; no session remains, and nothing is sent.
    """
    for verb in (studio.promote, studio.images.import_file):
        with pytest.raises(InvalidImageError, match=message):
            verb(picture)
    assert studio.sessions.list() == ()
    assert studio.images.list() == ()
    assert provider.requests == ()


def test_unknown_id_lists_the_latest_images(studio: Any) -> None:
    """
    The error for an unknown id lists the latest images.
    """
    ids = [studio.images.import_file(RED).id for _ in range(3)]
    with pytest.raises(NotFoundError, match=ids[2]) as caught:
        studio.promote(ids[0][:-4] + "0000", "x")
    assert caught.value.known == tuple(reversed(ids))
    assert studio.sessions.list() == ()


@pytest.mark.parametrize("arguments", [{"name": 7}, {"description": None}, {"size": "huge"}])
def test_invalid_promotion_leaves_nothing(studio: Any, arguments: dict[str, Any]) -> None:
    """
    An invalid name, description or option is refused, and no session remains.
    """
    with pytest.raises(InvalidRequestError):
        studio.promote(RED, **arguments)
    assert studio.sessions.list() == ()
    assert studio.images.list() == ()


def test_too_many_sessions_import_no_image(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    If the limit of active sessions is reached, a promotion is refused and imports nothing.
    """
    studio = make_studio(tmp_path, max_active_sessions=1)
    studio.session("x")
    with pytest.raises(TooManySessionsError):
        studio.promote(RED, "y")
    assert studio.images.list() == ()


# --- imports -----------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "gif"])
def test_import_keeps_the_bytes(studio: Any, tmp_path: Path, format: str) -> None:
    """
    An image in a web format is saved unchanged, with the suffix of its content, in a folder of its
    own, and is listed like any other.
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
def test_import_of_other_formats_is_converted(studio: Any, format: str) -> None:
    """
    Other formats are saved as PNG or JPEG, with their size and colours.
    """
    image = studio.images.import_file(making.encoded(making.corners(), format))
    assert image.format in {"png", "jpeg"}
    assert image.size == making.SIZE
    for corner, colour in making.colours(image.open()).items():
        assert max(abs(a - b) for a, b in zip(colour, making.CORNERS[corner], strict=True)) < 40


def test_import_reads_metadata_beside_the_file(studio: Any, tmp_path: Path) -> None:
    """
    The prompt is read from the metadata beside a file, unless the caller passes one.
    """
    (tmp_path / "old.png").write_bytes(RED)
    (tmp_path / "old_metadata.json").write_text(json.dumps(OLD_METADATA))
    assert studio.images.import_file(tmp_path / "old.png").prompt == OLD_METADATA["original_prompt"]
    assert studio.images.import_file(tmp_path / "old.png", prompt="mine").prompt == "mine"


def test_imported_image_is_like_any_other(studio: Any, provider: FakeOpenAI) -> None:
    """
    An imported image can be promoted, edited and used as a reference like one that was generated.
    """
    image = studio.images.import_file(RED, prompt="a red square")
    session = studio.promote(image, "x")
    assert is_reddish(session.generate("add a sun"))
    assert shown(provider, asked(provider)[-1]) == [RED]
    assert "a red square" in json.dumps(asked(provider)[-1]["input"])
    assert studio.edit("darker", image=image).parents == (image.id,)
    assert posts(provider).count("/files") == 1


def test_imported_image_is_listed(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    An imported or promoted image is listed with all others, also after an earlier listing, and by
    other programs too.
    """
    studio = make_studio(tmp_path, provider=provider)
    assert studio.images.list() == ()
    imported = studio.images.import_file(RED)
    assert [image.id for image in studio.images.list()] == [imported.id]
    session = studio.promote(tiny_image(colour=(1, 2, 3)), "x")
    copied = studio.promote(imported, "y")
    other_studio = make_studio(tmp_path, provider=provider)
    expected = {imported.id, session.head().id, copied.head().id}
    assert {image.id for image in other_studio.images.list()} == expected
    assert {image.id for image in studio.images.list()} == expected
    assert studio.requests.pending() == ()


def test_interrupted_import_leaves_nothing(
    tmp_path: Path, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A program that dies during an import leaves no intent: the image is still where it came from.
    """
    studio = Studio.offline(tmp_path, provider=provider)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("imagesession._store.disk.facts.DiskFacts.drop", die)
    monkeypatch.setattr("imagesession._store.turns.TurnStore._write_record", die)
    with pytest.raises(KeyboardInterrupt):
        studio.images.import_file(RED)
    monkeypatch.undo()
    folder = tmp_path / ".imagesession" / "journal"
    assert len(list(folder.iterdir())) == 1
    later = Studio.offline(tmp_path, provider=provider)
    assert later.requests.pending() == later.images.list() == ()
    assert later.recover() == type(later.recover())()
    assert list(folder.iterdir()) == []
