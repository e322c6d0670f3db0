"""
Pictures of any kind are edited, within masks and after markups, and what a mask protects can be
kept to the last bit. Every test runs over the sync and the async twin.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from PIL import Image, ImageChops

from imagesession import Mask
from imagesession._fake_openai import sketch as sketching
from imagesession._fake_openai.sketch import SketchState
from imagesession.errors import InvalidImageError, InvalidOptionError, InvalidRequestError
from imagesession.testing import FakeOpenAI, tiny_image, tiny_mask
from tests.conftest import MakeStudio
from tests.conversing import EITHER_WAY, Known, anew_from, converse, known, straight_from
from tests.imaging import making
from tests.sent import asked, fetched, forms, mask_of, opened, posts, shown, uploads

SIZE = (64, 64)
RED = (200, 30, 30)
BOX = (8, 8, 40, 32)
HOLE = Mask.rectangle(BOX)
OLDER = "gpt-image-2"
WIDE = "1024x640"


@attrs.frozen
class Unruly:
    """
    A painter whose edits change every pixel, whatever the mask says, as models do.

    Attributes:
        reply: What it draws where a picture is edited within a mask.
    """

    reply: bytes

    def __getattr__(self, name: str) -> Any:
        return getattr(sketching, name)

    def render(self, state: SketchState, **how: Any) -> bytes:
        """
        Draw a picture.
        """
        return sketching.render(state, **how) if state.mask is None else self.reply


MakeUnruly = Callable[[bytes], tuple[Any, FakeOpenAI]]


@pytest.fixture
def unruly(make_studio: MakeStudio, tmp_path: Path) -> MakeUnruly:
    """
    Make a studio whose model heeds no mask, and its provider.
    """

    def make(reply: bytes) -> tuple[Any, FakeOpenAI]:
        sketcher: Any = Unruly(reply)
        provider = FakeOpenAI(sketcher=sketcher, retrieve_includes_image=True)
        return make_studio(tmp_path / "unruly", provider=provider), provider

    return make


def red(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    """
    Paint a red picture.
    """
    return Image.new("RGB", size, RED).convert(mode)


def is_red(data: bytes) -> bool:
    """
    Tell whether a picture is red, as far as a JPEG may keep it.
    """
    return making.is_alike(opened(data).convert("RGB"), red(), by=4)


def outside(picture: Image.Image, size: tuple[int, int] = SIZE) -> bytes:
    """
    Return the pixels that `HOLE` protects.
    """
    blank = Image.new(picture.mode, size)
    kept = picture.copy()
    kept.paste(blank.crop(BOX), BOX)
    return kept.tobytes()


# --- any picture -------------------------------------------------------------------------------


WAYS: dict[str, Callable[[Path], Any]] = {
    "path": lambda path: path,
    "name": str,
    "bytes": Path.read_bytes,
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "open file": lambda path: io.BytesIO(path.read_bytes()),
    "PIL image": lambda _: red(),
    "PIL palette": lambda _: red().quantize(),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_picture_is_given_in_any_way(
    studio: Any, provider: FakeOpenAI, tmp_path: Path, way: str
) -> None:
    """
    A path, bytes, an open file and a PIL image are all edited, and recognised by their content:
    this file calls itself a text.
    """
    path = tmp_path / "picture.txt"
    path.write_bytes(tiny_image("webp", colour=RED))
    image = studio.edit("add a sun", image=WAYS[way](path), size=WIDE)
    (body,) = asked(provider)
    assert is_red(shown(provider, body)[0])
    assert body["tools"][0]["action"] == "edit"
    assert (image.kind, image.path.parent.name) == ("edit", "edited_images")
    assert image.turn.references[0].image_id is None


def test_a_kept_picture_is_edited_by_itself_or_its_id(studio: Any, provider: FakeOpenAI) -> None:
    """
    A kept picture is sent as it lies in the library, and the new one knows where it came from.
    """
    kept = studio.images.import_file(tiny_image(colour=RED))
    for given in (kept, kept.id):
        image = studio.edit("add a sun", image=given)
        assert shown(provider, asked(provider)[-1]) == [kept.bytes]
        assert image.turn.references[0].image_id == kept.id
        assert image.parents == (kept.id,)


def test_an_open_file_is_read_from_where_it_stands(studio: Any, tmp_path: Path) -> None:
    """
    A real file opened to be read is edited, and is left open.
    """
    path = tmp_path / "picture"
    path.write_bytes(tiny_image())
    with path.open("rb") as file:
        assert studio.edit("add a sun", image=file).bytes
        assert not file.closed
        with pytest.raises(InvalidImageError, match="seek"):
            studio.edit("add a sun", image=file)


def sideways() -> bytes:
    """
    Save a picture lying on its side, with the tag that says so.
    """
    lying = making.corners().transpose(Image.Transpose.ROTATE_90)
    return making.encoded(lying, "JPEG", exif=making.turned(6), quality=95, subsampling=0)


def moving(format: str) -> bytes:
    """
    Make an animation that begins with the coloured corners.
    """
    return making.encoded(
        making.corners(), format, save_all=True, append_images=[red(size=making.SIZE)], duration=90
    )


FORMATS: dict[str, Callable[[], bytes]] = {
    "png": lambda: making.encoded(making.corners()),
    "palette": lambda: making.encoded(making.corners().quantize()),
    "bmp": lambda: making.encoded(making.corners(), "BMP"),
    "tiff": lambda: making.encoded(making.corners(), "TIFF"),
    "avif": lambda: making.encoded(making.corners(), "AVIF", quality=95),
    "heic": lambda: making.encoded(making.corners(), "HEIF"),
    "gif": lambda: making.encoded(making.corners(), "GIF"),
    "animated gif": lambda: moving("GIF"),
    "animated webp": lambda: moving("WEBP"),
    "sideways jpeg": sideways,
    "cmyk jpeg": lambda: making.encoded(making.corners().convert("CMYK"), "JPEG", quality=95),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_becomes_what_the_wire_takes(
    studio: Any, provider: FakeOpenAI, tmp_path: Path, name: str
) -> None:
    """
    Whatever Pillow reads goes up as one PNG, JPEG or WebP, upright and in its colours, whatever
    its file is called.
    """
    path = tmp_path / "picture.png"
    path.write_bytes(FORMATS[name]())
    studio.edit("add a sun", image=path, size=WIDE)
    (sent,) = uploads(provider)
    picture = opened(sent)
    assert picture.format in {"PNG", "JPEG", "WEBP"}
    assert getattr(picture, "n_frames", 1) == 1
    assert picture.size == making.SIZE
    assert picture.getexif().get(0x0112, 1) == 1
    for corner, colour in making.colours(picture).items():
        assert max(abs(a - b) for a, b in zip(colour, making.CORNERS[corner], strict=True)) < 40


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_what_the_wire_takes_is_not_touched(studio: Any, provider: FakeOpenAI, format: str) -> None:
    """
    A picture that the wire takes goes up to the byte.
    """
    data = tiny_image(format)
    studio.edit("add a sun", image=data, size=WIDE)
    assert uploads(provider) == [data]


def test_the_picture_is_what_changes(studio: Any) -> None:
    """
    The edited picture still looks like the one that was given.
    """
    image = studio.edit("darker", image=red(size=(512, 512)))
    dark, *others = image.open().convert("RGB").resize((1, 1)).getpixel((0, 0))
    assert 3 * max(others) < dark < RED[0]


HUGE = making.encoded(Image.new("1", (9000, 8000)))


@pytest.mark.parametrize(
    "arguments,words",
    [
        ({"image": b"x" * 25_000_001}, "25 MB"),
        ({"image": HUGE}, "9000x8000 pixels; the limit is 64 million"),
        ({"image": tiny_image(), "references": HUGE}, "64 million"),
        ({"image": tiny_image(), "mask": HUGE}, "64 million"),
        ({"image": tiny_image(), "mask": b"x" * 25_000_001}, "25 MB"),
        ({"image": tiny_image(), "markup": HUGE}, "64 million"),
        ({"image": b""}, "not a whole picture"),
        ({"image": b"<html>"}, "not a whole picture"),
        ({"image": tiny_image()[:-30]}, "not a whole picture"),
        ({"image": tiny_image("jpeg")[:200]}, "not a whole picture"),
        ({"image": b"<svg></svg>"}, "SVG"),
        ({"image": "/nowhere/at all.png"}, "cannot be read"),
        ({"image": "https://example.com/a.png"}, "is a URL"),
        ({"image": 7}, "not int"),
        ({"image": tiny_image(), "references": [tiny_image()] * 16}, "17 references"),
        ({}, "no picture to edit"),
    ],
)
def test_what_cannot_be_edited_is_refused_before(
    studio: Any, provider: FakeOpenAI, arguments: dict[str, Any], words: str
) -> None:
    """
    A picture that is none, or too large, is refused with the limit named; nothing is sent.
    """
    session = studio.session("x")
    for verb in (studio.edit, session.edit):
        with pytest.raises(InvalidImageError, match=words):
            verb("add a sun", **arguments)
    assert provider.requests == ()
    assert session.turns() == ()


def test_a_library_picture_that_is_not_there_is_said(studio: Any) -> None:
    """
    An id that the library does not have is an error that names some that it has.
    """
    kept = studio.images.import_file(tiny_image())
    with pytest.raises(InvalidRequestError, match=kept.id):
        studio.edit("add a sun", image=kept.id[:-4] + "0000")


# --- in a session ------------------------------------------------------------------------------


@pytest.mark.parametrize("conversing", EITHER_WAY)
def test_a_session_edits_its_last_picture(
    studio: Any, provider: FakeOpenAI, conversing: object
) -> None:
    """
    The last picture need not be named, and is not sent again to a model that made it.
    """
    session = converse(studio.session("x"), conversing)
    first = session.edit("a little darker", image=red())
    second = session.edit("bluer")
    third = session.edit("warmer", image=second)
    *_, unnamed, named = asked(provider)
    for body, last in ((unnamed, first), (named, second)):
        assert known(body) == straight_from(last, conversing=conversing)
        assert shown(provider, body) == []
        assert body["tools"][0]["action"] == "edit"
    assert third.parent == second.turn.id
    assert len(uploads(provider)) == 1


@pytest.mark.parametrize("mask", [None, HOLE])
@pytest.mark.parametrize("forgets", [False, True])
def test_another_picture_is_edited_in_a_session(
    studio: Any, provider: FakeOpenAI, mask: Mask | None, forgets: object
) -> None:
    """
    The picture that is given is the one that is changed, also where the conversation has another
    and has to be told again.
    """
    session = studio.session("x")
    session.generate("a green meadow", size="1024x640")
    if forgets:
        provider.reset_memory()
    image = session.edit("a little darker", image=red(), mask=mask)
    body = asked(provider)[-1]
    assert is_red(shown(provider, body)[0])
    strong, *others = image.open().convert("RGB").resize((1, 1)).getpixel((0, 0))
    assert strong > 3 * max(others)
    assert image.turn.context == ("rebuilt" if forgets else "continued")
    if forgets:
        (last,) = shown(provider, body, -3)
        assert opened(last).size == (1024, 640)


def test_a_drawing_is_edited_by_its_words(studio: Any, provider: FakeOpenAI) -> None:
    """
    An SVG that the provider forgot has no pixels to show; the edit goes by what was said, and the
    wire's word for editing a picture is left out.
    """
    session = studio.session("x")
    session.generate("a star icon", output_format="svg")
    provider.reset_memory()
    assert session.edit("bluer", output_format="svg").turn.context == "rebuilt"
    body = asked(provider)[-1]
    assert "a star icon" in json.dumps(body)
    assert "action" not in body["tools"][0]


# --- masks -------------------------------------------------------------------------------------


def white_box() -> Image.Image:
    """
    Paint a mask that opens its white box.
    """
    mask = Image.new("L", SIZE, 0)
    mask.paste(255, BOX)
    return mask


def in_file(picture: Image.Image, path: Path) -> Path:
    """
    Save a picture as PNG under any name.
    """
    path.write_bytes(making.encoded(picture))
    return path


MASKS: dict[str, Callable[[Path], Any]] = {
    "rectangle": lambda _: HOLE,
    "shares": lambda _: Mask.rectangle((0.125, 0.125, 0.625, 0.5)),
    "from_luminance": lambda _: Mask.from_luminance(white_box()),
    "opens black": lambda _: Mask.from_luminance(ImageChops.invert(white_box()), opens="black"),
    "from_alpha": lambda _: Mask.from_alpha(tiny_mask(SIZE, BOX)),
    "from_file": lambda path: Mask.from_file(in_file(white_box(), path / "mask.dat")),
    "alpha": lambda _: tiny_mask(SIZE, BOX),
    "black and white": lambda _: making.encoded(white_box(), "BMP"),
    "PIL image": lambda _: white_box(),
    "path": lambda path: in_file(white_box(), path / "mask.txt"),
}


@pytest.mark.parametrize("name", MASKS)
def test_every_kind_of_mask_is_one_on_the_wire(
    studio: Any, provider: FakeOpenAI, tmp_path: Path, name: str
) -> None:
    """
    Whatever a mask is made from, it goes out as a PNG of the picture's size that is transparent
    where it opens and nowhere else; and there alone the picture changes.
    """
    picture = making.noise(SIZE)
    image = studio.edit("a blue heart", image=picture, mask=MASKS[name](tmp_path))
    sent = opened(mask_of(provider, asked(provider)[0]))
    assert (sent.format, sent.mode, sent.size) == ("PNG", "RGBA", SIZE)
    assert sent.getchannel("A").tobytes() == ImageChops.invert(white_box()).tobytes()
    after = image.open().convert("RGB")
    assert outside(after) == outside(picture)
    assert after.tobytes() != picture.tobytes()
    assert image.turn.masked


def test_an_ellipse_opens_its_middle(studio: Any, provider: FakeOpenAI) -> None:
    """
    An ellipse opens within its box and leaves the box's corners.
    """
    studio.edit("a blue heart", image=red(), mask=Mask.ellipse(BOX))
    alpha = opened(mask_of(provider, asked(provider)[0])).getchannel("A")
    assert alpha.getpixel((24, 20)) == 0
    assert {alpha.getpixel(at) for at in ((8, 8), (39, 31), (0, 0))} == {255}


def test_a_kept_picture_is_a_mask_by_its_id(studio: Any, provider: FakeOpenAI) -> None:
    """
    A mask may be a picture of the library.
    """
    kept = studio.images.import_file(tiny_mask(SIZE, BOX))
    for mask in (kept, kept.id):
        studio.edit("a blue heart", image=red(), mask=mask)
        sent = opened(mask_of(provider, asked(provider)[-1]))
        assert sent.getchannel("A").tobytes() == ImageChops.invert(white_box()).tobytes()


@pytest.mark.parametrize(
    "mask,words",
    [
        (tiny_mask((32, 32)), "32x32"),
        (Mask.from_luminance(Image.new("L", (65, 64), 255)), "65x64"),
        (making.encoded(Image.new("L", SIZE, 0)), "opens nothing"),
        (making.encoded(Image.new("L", SIZE, 255)), "opens everything"),
        (making.encoded(Image.new("RGBA", SIZE, (0, 0, 0, 0))), "opens everything"),
        (Mask.rectangle((0.0, 0.0, 1.0, 1.0)), "opens everything"),
        (HOLE & ~HOLE, "opens nothing"),
        (Mask.rectangle((0, 0, 65, 64)), "64x64"),
        (tiny_image(), "alpha"),
        (b"garbage", "not a whole picture"),
        (tiny_mask()[:-20], "not a whole picture"),
        ("/nowhere.png", "cannot be read"),
        (7, "not int"),
    ],
)
def test_a_bad_mask_is_refused_before(
    studio: Any, provider: FakeOpenAI, mask: Any, words: str
) -> None:
    """
    A mask of another size, one that opens nothing or everything, and what is none are refused,
    saying what is wrong; nothing is sent.
    """
    with pytest.raises(InvalidImageError, match=words):
        studio.edit("a blue heart", image=red(), mask=mask)
    assert provider.requests == ()
    assert studio.images.list() == ()


def test_a_mask_is_rescaled_on_demand(studio: Any, provider: FakeOpenAI) -> None:
    """
    With `resize_mask=True` a mask of another size is rescaled to the picture.
    """
    half = Image.new("L", (32, 32), 0)
    half.paste(255, (4, 4, 20, 16))
    studio.edit("a blue heart", image=red(), mask=half, resize_mask=True)
    alpha = opened(mask_of(provider, asked(provider)[0])).getchannel("A")
    assert alpha.size == SIZE
    assert (alpha.getpixel((20, 20)), alpha.getpixel((60, 60))) == (0, 255)


@pytest.mark.parametrize("name", ["resize_mask", "preserve_unmasked"])
def test_what_needs_a_mask_says_so(studio: Any, provider: FakeOpenAI, name: str) -> None:
    """
    What only means something with a mask is refused without one.
    """
    with pytest.raises(InvalidOptionError, match=f"{name}=True needs a mask"):
        studio.edit("a blue heart", image=red(), **{name: True})
    assert provider.requests == ()


# --- keeping what is outside -------------------------------------------------------------------


ORIGINALS: dict[str, Callable[[], bytes]] = {
    "png": lambda: making.encoded(making.noise(SIZE)),
    "jpeg": lambda: making.encoded(making.noise(SIZE), "JPEG", quality=60),
    "webp": lambda: making.encoded(making.noise(SIZE), "WEBP", quality=60),
    "rgba": lambda: making.encoded(making.noise(SIZE, "RGBA")),
    "bmp": lambda: making.encoded(making.noise(SIZE), "BMP"),
    "gif": lambda: making.encoded(making.noise(SIZE), "GIF"),
}
REPLIES: dict[str, Callable[[], bytes]] = {
    "same size": lambda: making.encoded(making.noise(SIZE)),
    "another size": lambda: making.encoded(making.noise((200, 120))),
    "with alpha": lambda: making.encoded(making.noise(SIZE, "RGBA")),
    "jpeg": lambda: making.encoded(making.noise(SIZE), "JPEG"),
}


def sent_back(provider: FakeOpenAI, image: Any) -> list[bytes]:
    """
    Return the pictures of a reply, as the provider tells them to anybody who asks.
    """
    reply = json.loads(fetched(provider, f"/responses/{image.turn.response_id}"))
    results = [item["result"] for item in reply["output"] if "result" in item]
    return [base64.b64decode(result) for result in results]


@pytest.mark.parametrize("original", ORIGINALS)
def test_what_a_mask_protects_is_kept_to_the_bit(unruly: MakeUnruly, original: str) -> None:
    """
    Beside the untouched reply there is a picture whose pixels outside the mask are those of the
    original, bit for bit, and inside those of the reply; whatever format or size that has.
    """
    for reply in REPLIES.values():
        _check_kept(unruly, ORIGINALS[original](), reply())


def _check_kept(unruly: MakeUnruly, data: bytes, reply: bytes) -> None:
    studio, provider = unruly(reply)
    image = studio.edit("a blue heart", image=data, mask=HOLE, preserve_unmasked=True)
    raw, joined = image.turn.images
    (received,) = sent_back(provider, image)
    assert raw.sha256 == hashlib.sha256(received).hexdigest()
    assert (raw.source, joined.source) == ("reply", "composite")
    assert studio.images.get(raw.id).bytes == received
    assert image.id == joined.id

    before, after, made = opened(data), image.open(), opened(received)
    assert after.size == before.size == SIZE
    assert outside(after.convert("RGBA")) == outside(before.convert("RGBA"))
    if made.size == SIZE:
        inside = made.convert(after.mode).crop(BOX)
        assert after.crop(BOX).tobytes() == inside.tobytes()
    assert after.crop(BOX).convert("RGB").tobytes() != before.crop(BOX).convert("RGB").tobytes()
    assert hashlib.sha256(image.path.read_bytes()).hexdigest() == joined.sha256


def test_without_it_a_model_changes_everything(unruly: MakeUnruly) -> None:
    """
    Left to itself, this model's reply is kept as it is, with the pixels that it should have left.
    """
    studio, _ = unruly(making.encoded(making.noise(SIZE)))
    picture = making.noise(SIZE)
    image = studio.edit("a blue heart", image=picture, mask=HOLE)
    assert [item.source for item in image.turn.images] == ["reply"]
    assert outside(image.open()) != outside(picture)


def test_a_turned_photo_is_kept_as_it_is_seen(unruly: MakeUnruly) -> None:
    """
    Outside the mask of a photo that lies on its side is what is seen there, upright.
    """
    studio, provider = unruly(making.encoded(making.noise(making.SIZE)))
    image = studio.edit(
        "x", image=sideways(), mask=Mask.rectangle((0, 0, 8, 8)), preserve_unmasked=True
    )
    assert making.is_alike(
        image.open().crop((8, 8, 48, 32)), opened(uploads(provider)[0]).crop((8, 8, 48, 32))
    )
    assert making.colours(image.open()).keys() == making.CORNERS.keys()


def test_a_sessions_last_picture_is_kept_outside(unruly: MakeUnruly) -> None:
    """
    In a session the original is the last picture, which need not be named.
    """
    studio, provider = unruly(making.encoded(making.noise((1024, 640))))
    session = studio.session("x")
    first = session.generate("a teapot", size="1024x640")
    image = session.edit("a blue heart", mask=HOLE, preserve_unmasked=True)
    assert shown(provider, asked(provider)[-1]) == [first.bytes]
    before, after = first.open().convert("RGB"), image.open().convert("RGB")
    assert outside(after, first.size) == outside(before, first.size)
    assert after.crop(BOX).tobytes() != before.crop(BOX).tobytes()
    assert session.head().id == image.id


@pytest.mark.parametrize("conversing", EITHER_WAY)
@pytest.mark.parametrize("forgets", [False, True])
def test_the_next_turn_sees_what_was_put_together(
    unruly: MakeUnruly, forgets: object, conversing: object
) -> None:
    """
    A refinement is shown the composite, which its model never made; the one after is not. One
    that comes back to it is shown it again.
    """
    studio, provider = unruly(making.encoded(making.noise(SIZE)))
    session = converse(studio.session("x"), conversing)
    image = session.edit("a blue heart", image=red(), mask=HOLE, preserve_unmasked=True)
    if forgets:
        provider.reset_memory()
    refined = session.generate("more contrast")
    body = asked(provider)[-1]
    assert shown(provider, body) == [image.bytes]
    reported = Known(conversation=refined.turn.conversation, messages=4)
    assert known(body) == (reported if forgets else straight_from(image, conversing=conversing))
    assert refined.parents[0] == image.id
    session.generate("warmer")
    assert shown(provider, asked(provider)[-1]) == []
    studio.open(session.id).checkout(image)
    cooler = session.generate("cooler")
    body = asked(provider)[-1]
    assert shown(provider, body) == [image.bytes]
    if conversing and not forgets:
        assert known(body) == anew_from(image, within=cooler)


@pytest.mark.parametrize("forgets", [False, True])
def test_masks_in_turn_build_on_each_other(unruly: MakeUnruly, forgets: object) -> None:
    """
    A second masked edit works on the composite, which is shown once and stays untouched outside.
    """
    studio, provider = unruly(making.encoded(making.noise(SIZE)))
    session = studio.session("x")
    first = session.edit("a blue heart", image=red(), mask=HOLE, preserve_unmasked=True)
    if forgets:
        provider.reset_memory()
    other = Mask.rectangle((44, 44, 60, 60))
    second = session.edit("a yellow star", mask=other, preserve_unmasked=True)
    assert shown(provider, asked(provider)[-1]) == [first.bytes]
    box = (0, 0, 44, 64)
    assert second.open().crop(box).tobytes() == first.open().crop(box).tobytes()


def test_another_picture_after_a_composite(unruly: MakeUnruly) -> None:
    """
    A picture that is given is what is changed, though the model has yet to see the composite.
    """
    studio, provider = unruly(making.encoded(making.noise(SIZE)))
    session = studio.session("x")
    joined = session.edit("a blue heart", image=red(), mask=HOLE, preserve_unmasked=True)
    other = tiny_image(colour=(30, 30, 200), size=(48, 48))
    session.edit("a star", image=other, mask=Mask.rectangle((0, 0, 9, 9)))
    body = asked(provider)[-1]
    assert shown(provider, body) == [other]
    assert shown(provider, body, -3) == [joined.bytes]


class Changing(Unruly):
    """
    Draws noise that is never the same.
    """

    def render(self, *_: Any, **__: Any) -> bytes:
        """
        Draw a picture.
        """
        return making.encoded(making.noise(SIZE))


def test_every_reply_is_kept_beside_the_composite(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A reply of several pictures loses none of them to the composite.
    """
    sketcher: Any = Changing(b"")
    provider = FakeOpenAI(sketcher=sketcher)
    provider.pictures_per_reply = 2
    studio = make_studio(tmp_path, provider=provider)
    image = studio.edit("a blue heart", image=red(), mask=HOLE, preserve_unmasked=True)
    assert [item.source for item in image.turn.images] == ["reply", "reply", "composite"]


def test_a_reply_that_cannot_be_joined_is_kept(unruly: MakeUnruly) -> None:
    """
    A reply whose pixels cannot be read was paid for and is kept; the error says under which id.
    """
    whole = making.encoded(making.noise(SIZE))
    broken = whole[:200] + bytes(100) + whole[300:]
    studio, provider = unruly(broken)
    with pytest.raises(InvalidImageError, match="could not be put into the original") as caught:
        studio.edit("a blue heart", image=red(), mask=HOLE, preserve_unmasked=True)
    (kept,) = studio.images.list()
    assert kept.id in str(caught.value)
    assert kept.bytes == broken
    assert posts(provider).count("/responses") == 1


# --- markup ------------------------------------------------------------------------------------


def scribble(size: tuple[int, int] = SIZE) -> Image.Image:
    """
    Draw a red stroke on a transparent ground.
    """
    drawing = Image.new("RGBA", size, (0, 0, 0, 0))
    drawing.paste((255, 0, 0, 255), (10, 10, 30, 20))
    return drawing


def test_a_markup_lies_over_the_picture(studio: Any, provider: FakeOpenAI) -> None:
    """
    A markup goes with the picture, in full, to the one endpoint that takes it.
    """
    image = studio.edit("a sun here", image=tiny_image(colour=RED), markup=scribble())
    assert posts(provider) == ["/images/edits"]
    (form,) = forms(provider)
    assert form["image"] == tiny_image(colour=RED)
    drawing = opened(form["markup"])
    assert (drawing.format, drawing.mode, drawing.size) == ("PNG", "RGBA", SIZE)
    assert drawing.tobytes() == scribble().tobytes()
    assert form["prompt"] == "a sun here"
    assert (image.kind, image.turn.response_id) == ("edit", None)
    assert image.cost is not None


@pytest.mark.parametrize(
    "arguments,kind,words",
    [
        ({"markup": scribble(), "mask": HOLE}, InvalidOptionError, "do not go together"),
        ({"markup": scribble(), "image_model": OLDER}, InvalidOptionError, "2.5 and 2.6"),
        ({"markup": scribble((32, 32))}, InvalidImageError, "32x32"),
        ({"markup": red()}, InvalidImageError, "no transparent pixel"),
        ({"markup": Image.new("RGBA", SIZE)}, InvalidImageError, "draws nothing"),
        ({"markup": b"garbage"}, InvalidImageError, "not a whole picture"),
    ],
)
def test_a_markup_that_cannot_be_sent_is_refused_before(
    studio: Any, provider: FakeOpenAI, arguments: Any, kind: type[Exception], words: str
) -> None:
    """
    A markup beside a mask, for a model that takes none, of another size, or that marks nothing is
    refused; nothing is sent.
    """
    with pytest.raises(kind, match=words):
        studio.edit("a sun here", image=red(), **arguments)
    assert provider.requests == ()


@pytest.mark.parametrize("model", ["gpt-image-2.6-flare", "gpt-image-2.5-sunburst"])
def test_a_markup_is_rescaled_on_demand(studio: Any, provider: FakeOpenAI, model: str) -> None:
    """
    The models of 2.5 and 2.6 take a markup, and with `resize_mask=True` one of another size.
    """
    markup = scribble((128, 128))
    studio.edit("a sun", image=red(), markup=markup, resize_mask=True, image_model=model)
    (form,) = forms(provider)
    assert (form["model"], opened(form["markup"]).size) == (model, SIZE)


def test_a_session_goes_on_after_a_markup(studio: Any, provider: FakeOpenAI) -> None:
    """
    A markup lies over a session's last picture, is told what came before, and the next turn is
    told again with the picture that came of it.
    """
    session = studio.session("A tea shop")
    first = session.generate("a teapot", size="1024x640")
    second = session.edit("a sun here", markup=scribble(first.size))
    (form,) = forms(provider)
    assert form["image"] == first.bytes
    assert all(words in form["prompt"] for words in ("A tea shop", "a teapot", "a sun here"))
    assert (second.parent, second.turn.context) == (first.turn.id, "rebuilt")
    third = session.generate("bluer")
    body = asked(provider)[-1]
    assert known(body) == Known(conversation=third.turn.conversation, messages=6)
    assert shown(provider, body) == [second.bytes]
    assert third.turn.context == "rebuilt"
    assert session.generate("warmer").turn.context == "continued"
