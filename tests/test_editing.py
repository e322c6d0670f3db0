"""
Images of any kind are edited, with masks and markups, and unmasked pixels can be preserved bit for
bit.

Every test runs over the sync and the async twin.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zlib
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
class DisobedientSketcher:
    """
    A sketcher that changes every pixel in an edit and ignores the mask, as models may do.

    Attributes:
        reply: What it draws where a picture is edited within a mask.
    """

    reply: bytes

    def __getattr__(self, name: str) -> Any:
        return getattr(sketching, name)

    def render(self, state: SketchState, **how: Any) -> bytes:
        """
        Draw an image.
        """
        return sketching.render(state, **how) if state.mask is None else self.reply


MakeDisobedient = Callable[[bytes], tuple[Any, FakeOpenAI]]


@pytest.fixture
def disobedient(make_studio: MakeStudio, tmp_path: Path) -> MakeDisobedient:
    """
    Make a studio whose model ignores masks, and its provider.
    """

    def make(reply: bytes) -> tuple[Any, FakeOpenAI]:
        sketcher: Any = DisobedientSketcher(reply)
        provider = FakeOpenAI(sketcher=sketcher, retrieve_includes_image=True)
        return make_studio(tmp_path / "disobedient", provider=provider), provider

    return make


def red(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    """
    Make a red image.
    """
    return Image.new("RGB", size, RED).convert(mode)


def is_red(data: bytes) -> bool:
    """
    Return whether an image is red, within the tolerance of JPEG.
    """
    return making.is_alike(opened(data).convert("RGB"), red(), by=4)


def outside(picture: Image.Image, size: tuple[int, int] = SIZE) -> bytes:
    """
    Return the pixels outside of `HOLE`.
    """
    blank = Image.new(picture.mode, size)
    expected = picture.copy()
    expected.paste(blank.crop(BOX), BOX)
    return expected.tobytes()


# --- input images ---------------------------------------------------------------------------------


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
def test_every_form_of_input_is_accepted(
    studio: Any, provider: FakeOpenAI, tmp_path: Path, way: str
) -> None:
    """
    A path, bytes, an open file and a PIL image are edited, and recognised by content: this file has
    the suffix of a text.
    """
    path = tmp_path / "picture.txt"
    path.write_bytes(tiny_image("webp", colour=RED))
    image = studio.edit("add a sun", image=WAYS[way](path), size=WIDE)
    (body,) = asked(provider)
    assert is_red(shown(provider, body)[0])
    assert body["tools"][0]["action"] == "edit"
    assert (image.kind, image.path.parent.name) == ("edit", "edited_images")
    assert image.turn.references[0].image_id is None


def test_saved_image_is_edited_by_itself_or_its_id(studio: Any, provider: FakeOpenAI) -> None:
    """
    A saved image is sent as it is in the library, and the new image records its parent.
    """
    saved = studio.images.import_file(tiny_image(colour=RED))
    for source in (saved, saved.id):
        image = studio.edit("add a sun", image=source)
        assert shown(provider, asked(provider)[-1]) == [saved.bytes]
        assert image.turn.references[0].image_id == saved.id
        assert image.parents == (saved.id,)


def test_open_file_is_read_from_its_position(studio: Any, tmp_path: Path) -> None:
    """
    A real file that is open for reading is edited, and is left open.
    """
    path = tmp_path / "picture"
    path.write_bytes(tiny_image())
    with path.open("rb") as file:
        assert studio.edit("add a sun", image=file).bytes
        assert not file.closed
        with pytest.raises(InvalidImageError, match="seek"):
            studio.edit("add a sun", image=file)


def save_rotated() -> bytes:
    """
    Save an image on its side, with the EXIF tag for its rotation.
    """
    lying = making.corners().transpose(Image.Transpose.ROTATE_90)
    return making.encoded(lying, "JPEG", exif=making.turned(6), quality=95, subsampling=0)


def make_animation(format: str) -> bytes:
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
    "animated gif": lambda: make_animation("GIF"),
    "animated webp": lambda: make_animation("WEBP"),
    "sideways jpeg": save_rotated,
    "cmyk jpeg": lambda: making.encoded(making.corners().convert("CMYK"), "JPEG", quality=95),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_converted_for_the_provider(
    studio: Any, provider: FakeOpenAI, tmp_path: Path, name: str
) -> None:
    """
    Whatever Pillow reads is uploaded as one PNG, JPEG or WebP, upright and with its colours,
    whatever its suffix.
    """
    path = tmp_path / "picture.png"
    path.write_bytes(FORMATS[name]())
    studio.edit("add a sun", image=path, size=WIDE)
    (uploaded,) = uploads(provider)
    picture = opened(uploaded)
    assert picture.format in {"PNG", "JPEG", "WEBP"}
    assert getattr(picture, "n_frames", 1) == 1
    assert picture.size == making.SIZE
    assert picture.getexif().get(0x0112, 1) == 1
    for corner, colour in making.colours(picture).items():
        assert max(abs(a - b) for a, b in zip(colour, making.CORNERS[corner], strict=True)) < 40


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_supported_format_is_sent_unchanged(studio: Any, provider: FakeOpenAI, format: str) -> None:
    """
    An image in a supported format is uploaded byte for byte.
    """
    data = tiny_image(format)
    studio.edit("add a sun", image=data, size=WIDE)
    assert uploads(provider) == [data]


def test_given_image_is_edited(studio: Any) -> None:
    """
    The edited image still resembles the given one.
    """
    image = studio.edit("darker", image=red(size=(512, 512)))
    dark, *others = image.open().convert("RGB").resize((1, 1)).getpixel((0, 0))
    assert 3 * max(others) < dark < RED[0]


HUGE = making.encoded(Image.new("1", (9000, 8000)))


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"image": b"x" * 25_000_001}, "25 MB"),
        ({"image": HUGE}, "9000x8000 pixels; the limit is 64 million"),
        ({"image": tiny_image(), "references": HUGE}, "64 million"),
        ({"image": tiny_image(), "mask": HUGE}, "64 million"),
        ({"image": tiny_image(), "mask": b"x" * 25_000_001}, "25 MB"),
        ({"image": tiny_image(), "markup": HUGE}, "64 million"),
        ({"image": b""}, "is empty"),
        ({"image": b"<html>"}, "HTML page"),
        ({"image": tiny_image()[:-30]}, "not a whole image"),
        ({"image": tiny_image("jpeg")[:200]}, "not a whole image"),
        ({"image": b"<svg></svg>"}, "SVG"),
        ({"image": "/nowhere/at all.png"}, "cannot be read"),
        ({"image": "https://example.com/a.png"}, "is a URL"),
        ({"image": 7}, "not int"),
        ({"image": tiny_image(), "references": [tiny_image()] * 16}, "17 references"),
        ({}, "no image to edit"),
    ],
)
def test_invalid_input_is_refused_before_sending(
    studio: Any, provider: FakeOpenAI, arguments: dict[str, Any], message: str
) -> None:
    """
    A file that is no image, or too large, is refused with the limit in the error; nothing is sent.
    """
    session = studio.session("x")
    for verb in (studio.edit, session.edit):
        with pytest.raises(InvalidImageError, match=message):
            verb("add a sun", **arguments)
    assert provider.requests == ()
    assert session.turns() == ()


def test_unknown_image_id_is_refused(studio: Any) -> None:
    """
    The error for an unknown id names some ids of the library.
    """
    saved = studio.images.import_file(tiny_image())
    with pytest.raises(InvalidRequestError, match=saved.id):
        studio.edit("add a sun", image=saved.id[:-4] + "0000")


# --- in a session ------------------------------------------------------------------------------


@pytest.mark.parametrize("conversing", EITHER_WAY)
def test_session_edits_its_last_image(
    studio: Any, provider: FakeOpenAI, conversing: object
) -> None:
    """
    The last image need not be given, and is not sent again to a model that made it.
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
def test_session_edits_another_image(
    studio: Any, provider: FakeOpenAI, mask: Mask | None, forgets: object
) -> None:
    """
    The given image is edited, also if the conversation has another one and its history has to be
    sent.
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


def test_svg_is_edited_by_its_prompt(studio: Any, provider: FakeOpenAI) -> None:
    """
    An SVG that the provider forgot has no pixels to send; the edit uses the earlier prompts,
    without the API's edit action.
    """
    session = studio.session("x")
    session.generate("a star icon", output_format="svg")
    provider.reset_memory()
    assert session.edit("bluer", output_format="svg").turn.context == "rebuilt"
    body = asked(provider)[-1]
    assert "a star icon" in json.dumps(body)
    assert "action" not in body["tools"][0]


# --- masks -------------------------------------------------------------------------------------


def make_white_box() -> Image.Image:
    """
    Make a mask image with a white box.
    """
    mask = Image.new("L", SIZE, 0)
    mask.paste(255, BOX)
    return mask


def save_png(picture: Image.Image, path: Path) -> Path:
    """
    Save an image as PNG under any name.
    """
    path.write_bytes(making.encoded(picture))
    return path


MASKS: dict[str, Callable[[Path], Any]] = {
    "rectangle": lambda _: HOLE,
    "shares": lambda _: Mask.rectangle((0.125, 0.125, 0.625, 0.5)),
    "from_luminance": lambda _: Mask.from_luminance(make_white_box()),
    "opens black": lambda _: Mask.from_luminance(
        ImageChops.invert(make_white_box()), opens="black"
    ),
    "from_alpha": lambda _: Mask.from_alpha(tiny_mask(SIZE, BOX)),
    "from_file": lambda path: Mask.from_file(save_png(make_white_box(), path / "mask.dat")),
    "alpha": lambda _: tiny_mask(SIZE, BOX),
    "black and white": lambda _: making.encoded(make_white_box(), "BMP"),
    "PIL image": lambda _: make_white_box(),
    "path": lambda path: save_png(make_white_box(), path / "mask.txt"),
}


@pytest.mark.parametrize("name", MASKS)
def test_every_kind_of_mask_is_sent_as_png(
    studio: Any, provider: FakeOpenAI, tmp_path: Path, name: str
) -> None:
    """
    Every mask is sent as a PNG of the image's size that is transparent exactly where it is open;
    only there the image changes.
    """
    picture = making.noise(SIZE)
    image = studio.edit("a blue heart", image=picture, mask=MASKS[name](tmp_path))
    sent_mask = opened(mask_of(provider, asked(provider)[0]))
    assert (sent_mask.format, sent_mask.mode, sent_mask.size) == ("PNG", "RGBA", SIZE)
    assert sent_mask.getchannel("A").tobytes() == ImageChops.invert(make_white_box()).tobytes()
    after = image.open().convert("RGB")
    assert outside(after) == outside(picture)
    assert after.tobytes() != picture.tobytes()
    assert image.turn.masked


def test_ellipse_opens_its_middle(studio: Any, provider: FakeOpenAI) -> None:
    """
    An ellipse is open inside its box, but not at the box's corners.
    """
    studio.edit("a blue heart", image=red(), mask=Mask.ellipse(BOX))
    alpha = opened(mask_of(provider, asked(provider)[0])).getchannel("A")
    assert alpha.getpixel((24, 20)) == 0
    assert {alpha.getpixel(at) for at in ((8, 8), (39, 31), (0, 0))} == {255}


def test_saved_image_is_a_mask_by_its_id(studio: Any, provider: FakeOpenAI) -> None:
    """
    A mask may be an image of the library.
    """
    saved_mask = studio.images.import_file(tiny_mask(SIZE, BOX))
    for mask in (saved_mask, saved_mask.id):
        studio.edit("a blue heart", image=red(), mask=mask)
        sent_mask = opened(mask_of(provider, asked(provider)[-1]))
        assert sent_mask.getchannel("A").tobytes() == ImageChops.invert(make_white_box()).tobytes()


@pytest.mark.parametrize(
    "mask,message",
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
        (b"garbage", "not a whole image"),
        (tiny_mask()[:-20], "not a whole image"),
        ("/nowhere.png", "cannot be read"),
        (7, "not int"),
    ],
)
def test_invalid_mask_is_refused_before_sending(
    studio: Any, provider: FakeOpenAI, mask: Any, message: str
) -> None:
    """
    A mask of another size, an empty or full one, and a file that is no mask are refused with a
    reason; nothing is sent.
    """
    with pytest.raises(InvalidImageError, match=message):
        studio.edit("a blue heart", image=red(), mask=mask)
    assert provider.requests == ()
    assert studio.images.list() == ()


def test_mask_is_resized_on_request(studio: Any, provider: FakeOpenAI) -> None:
    """
    With `resize_mask=True` a mask of another size is scaled to the image.
    """
    half = Image.new("L", (32, 32), 0)
    half.paste(255, (4, 4, 20, 16))
    studio.edit("a blue heart", image=red(), mask=half, resize_mask=True)
    alpha = opened(mask_of(provider, asked(provider)[0])).getchannel("A")
    assert alpha.size == SIZE
    assert (alpha.getpixel((20, 20)), alpha.getpixel((60, 60))) == (0, 255)


@pytest.mark.parametrize("name", ["resize_mask", "preserve_unmasked"])
def test_mask_options_need_a_mask(studio: Any, provider: FakeOpenAI, name: str) -> None:
    """
    Options that only apply to masks are refused without one.
    """
    with pytest.raises(InvalidOptionError, match=f"{name}=True needs a mask"):
        studio.edit("a blue heart", image=red(), **{name: True})
    assert provider.requests == ()


# --- preserve_unmasked ----------------------------------------------------------------------------


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


def response_images(provider: FakeOpenAI, image: Any) -> list[bytes]:
    """
    Return the images of a response, as the provider returns them to any client.
    """
    reply = json.loads(fetched(provider, f"/responses/{image.turn.response_id}"))
    results = [output["result"] for output in reply["output"] if "result" in output]
    return [base64.b64decode(result) for result in results]


@pytest.mark.parametrize("original", ORIGINALS)
def test_unmasked_pixels_are_preserved_exactly(disobedient: MakeDisobedient, original: str) -> None:
    """
    Beside the unchanged image of the model there is a composite with the original's pixels outside
    the mask, bit for bit, and the model's inside, whatever its format or size.
    """
    for reply in REPLIES.values():
        _check_kept(disobedient, ORIGINALS[original](), reply())


def _check_kept(disobedient: MakeDisobedient, data: bytes, reply: bytes) -> None:
    studio, provider = disobedient(reply)
    image = studio.edit("a blue heart", image=data, mask=HOLE, preserve_unmasked=True)
    raw, joined = image.turn.images
    (received,) = response_images(provider, image)
    assert raw.sha256 == hashlib.sha256(received).hexdigest()
    assert (raw.source, joined.source) == ("reply", "composite")
    assert studio.images.get(raw.id).bytes == received
    assert image.id == joined.id

    before, after, edited = opened(data), image.open(), opened(received)
    assert after.size == before.size == SIZE
    assert outside(after.convert("RGBA")) == outside(before.convert("RGBA"))
    if edited.size == SIZE:
        inside = edited.convert(after.mode).crop(BOX)
        assert after.crop(BOX).tobytes() == inside.tobytes()
    assert after.crop(BOX).convert("RGB").tobytes() != before.crop(BOX).convert("RGB").tobytes()
    assert hashlib.sha256(image.path.read_bytes()).hexdigest() == joined.sha256


def test_model_may_change_everything_without_preserve_unmasked(
    disobedient: MakeDisobedient,
) -> None:
    """
    By default the model's image is saved as it is, with all its changes.
    """
    studio, _ = disobedient(making.encoded(making.noise(SIZE)))
    picture = making.noise(SIZE)
    image = studio.edit("a blue heart", image=picture, mask=HOLE)
    assert [record.source for record in image.turn.images] == ["reply"]
    assert outside(image.open()) != outside(picture)


def test_rotated_photo_is_preserved_as_displayed(disobedient: MakeDisobedient) -> None:
    """
    Outside the mask of a photo with EXIF rotation is what a viewer displays, upright.
    """
    studio, provider = disobedient(making.encoded(making.noise(making.SIZE)))
    image = studio.edit(
        "x", image=save_rotated(), mask=Mask.rectangle((0, 0, 8, 8)), preserve_unmasked=True
    )
    assert making.is_alike(
        image.open().crop((8, 8, 48, 32)), opened(uploads(provider)[0]).crop((8, 8, 48, 32))
    )
    assert making.colours(image.open()).keys() == making.CORNERS.keys()


def test_sessions_last_image_is_preserved(disobedient: MakeDisobedient) -> None:
    """
    In a session the original is the last image, which need not be given.
    """
    studio, provider = disobedient(making.encoded(making.noise((1024, 640))))
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
def test_next_turn_gets_the_composite(
    disobedient: MakeDisobedient, forgets: object, conversing: object
) -> None:
    """
    The next turn sends the composite, which the model did not make; the turn after does not. A turn
    that returns to it sends it again.
    """
    studio, provider = disobedient(making.encoded(making.noise(SIZE)))
    session = converse(studio.session("x"), conversing)
    image = session.edit("a blue heart", image=red(), mask=HOLE, preserve_unmasked=True)
    if forgets:
        provider.reset_memory()
    refined = session.generate("more contrast")
    body = asked(provider)[-1]
    assert shown(provider, body) == [image.bytes]
    expected = Known(conversation=refined.turn.conversation, messages=4)
    assert known(body) == (expected if forgets else straight_from(image, conversing=conversing))
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
def test_consecutive_masks_build_on_each_other(
    disobedient: MakeDisobedient, forgets: object
) -> None:
    """
    A second masked edit starts from the composite, which is sent once and is preserved outside the
    mask.
    """
    studio, provider = disobedient(making.encoded(making.noise(SIZE)))
    session = studio.session("x")
    first = session.edit("a blue heart", image=red(), mask=HOLE, preserve_unmasked=True)
    if forgets:
        provider.reset_memory()
    second_mask = Mask.rectangle((44, 44, 60, 60))
    second = session.edit("a yellow star", mask=second_mask, preserve_unmasked=True)
    assert shown(provider, asked(provider)[-1]) == [first.bytes]
    box = (0, 0, 44, 64)
    assert second.open().crop(box).tobytes() == first.open().crop(box).tobytes()


def test_another_image_is_edited_after_a_composite(disobedient: MakeDisobedient) -> None:
    """
    A given image is edited even if the model has not received the composite yet.
    """
    studio, provider = disobedient(making.encoded(making.noise(SIZE)))
    session = studio.session("x")
    joined = session.edit("a blue heart", image=red(), mask=HOLE, preserve_unmasked=True)
    other_image = tiny_image(colour=(30, 30, 200), size=(48, 48))
    session.edit("a star", image=other_image, mask=Mask.rectangle((0, 0, 9, 9)))
    body = asked(provider)[-1]
    assert shown(provider, body) == [other_image]
    assert shown(provider, body, -3) == [joined.bytes]


class NoiseSketcher(DisobedientSketcher):
    """
    Draws different noise each time.
    """

    def render(self, *_: Any, **__: Any) -> bytes:
        """
        Draw an image.
        """
        return making.encoded(making.noise(SIZE))


def test_every_image_of_a_response_is_kept_beside_the_composite(
    make_studio: MakeStudio, tmp_path: Path
) -> None:
    """
    All images of a response are saved, besides the composite.
    """
    sketcher: Any = NoiseSketcher(b"")
    provider = FakeOpenAI(sketcher=sketcher)
    provider.images_per_reply = 2
    studio = make_studio(tmp_path, provider=provider)
    image = studio.edit("a blue heart", image=red(), mask=HOLE, preserve_unmasked=True)
    assert [record.source for record in image.turn.images] == ["reply", "reply", "composite"]


def undecodable(image: bytes) -> bytes:
    """
    Replace the pixels of a PNG by what no decoder reads, with the right checksum.
    """
    at = image.index(b"IDAT")
    length = int.from_bytes(image[at - 4 : at])
    chunk = b"IDAT" + bytes(length)
    return image[:at] + chunk + zlib.crc32(chunk).to_bytes(4) + image[at + 8 + length :]


def test_unreadable_image_for_a_composite_is_kept(disobedient: MakeDisobedient) -> None:
    """
    A response whose pixels cannot be decoded was paid for and is saved; the error has its id.
    """
    broken = undecodable(making.encoded(making.noise(SIZE)))
    studio, provider = disobedient(broken)
    with pytest.raises(InvalidImageError, match="could not be put into the original") as caught:
        studio.edit("a blue heart", image=red(), mask=HOLE, preserve_unmasked=True)
    (saved,) = studio.images.list()
    assert saved.id in str(caught.value)
    assert saved.bytes == broken
    assert posts(provider).count("/responses") == 1


# --- markup ------------------------------------------------------------------------------------


def draw_stroke(size: tuple[int, int] = SIZE) -> Image.Image:
    """
    Draw a red stroke on a transparent background.
    """
    drawing = Image.new("RGBA", size, (0, 0, 0, 0))
    drawing.paste((255, 0, 0, 255), (10, 10, 30, 20))
    return drawing


def test_markup_is_sent_with_the_image(studio: Any, provider: FakeOpenAI) -> None:
    """
    A markup is sent with the image, in full, to the Images API.
    """
    image = studio.edit("a sun here", image=tiny_image(colour=RED), markup=draw_stroke())
    assert posts(provider) == ["/images/edits"]
    (form,) = forms(provider)
    assert form["image"] == tiny_image(colour=RED)
    drawing = opened(form["markup"])
    assert (drawing.format, drawing.mode, drawing.size) == ("PNG", "RGBA", SIZE)
    assert drawing.tobytes() == draw_stroke().tobytes()
    assert form["prompt"] == "a sun here"
    assert (image.kind, image.turn.response_id) == ("edit", None)
    assert image.cost is not None


@pytest.mark.parametrize(
    "arguments,kind,message",
    [
        ({"markup": draw_stroke(), "mask": HOLE}, InvalidOptionError, "do not go together"),
        ({"markup": draw_stroke(), "image_model": OLDER}, InvalidOptionError, "2.5 and 2.6"),
        ({"markup": draw_stroke((32, 32))}, InvalidImageError, "32x32"),
        ({"markup": red()}, InvalidImageError, "no transparent pixel"),
        ({"markup": Image.new("RGBA", SIZE)}, InvalidImageError, "draws nothing"),
        ({"markup": b"garbage"}, InvalidImageError, "not a whole image"),
    ],
)
def test_invalid_markup_is_refused_before_sending(
    studio: Any, provider: FakeOpenAI, arguments: Any, kind: type[Exception], message: str
) -> None:
    """
    A markup with a mask, for a model without markup support, of another size, or without any mark
    is refused; nothing is sent.
    """
    with pytest.raises(kind, match=message):
        studio.edit("a sun here", image=red(), **arguments)
    assert provider.requests == ()


@pytest.mark.parametrize("model", ["gpt-image-2.6-flare", "gpt-image-2.5-sunburst"])
def test_markup_is_resized_on_request(studio: Any, provider: FakeOpenAI, model: str) -> None:
    """
    The models of 2.5 and 2.6 accept a markup, and with `resize_mask=True` one of another size.
    """
    markup = draw_stroke((128, 128))
    studio.edit("a sun", image=red(), markup=markup, resize_mask=True, image_model=model)
    (form,) = forms(provider)
    assert (form["model"], opened(form["markup"]).size) == (model, SIZE)


def test_session_continues_after_a_markup(studio: Any, provider: FakeOpenAI) -> None:
    """
    A markup applies to a session's last image and gets the history; the next turn sends the history
    with the new image.
    """
    session = studio.session("A tea shop")
    first = session.generate("a teapot", size="1024x640")
    second = session.edit("a sun here", markup=draw_stroke(first.size))
    (form,) = forms(provider)
    assert form["image"] == first.bytes
    assert all(text in form["prompt"] for text in ("A tea shop", "a teapot", "a sun here"))
    assert (second.parent, second.turn.context) == (first.turn.id, "rebuilt")
    third = session.generate("bluer")
    body = asked(provider)[-1]
    assert known(body) == Known(conversation=third.turn.conversation, messages=6)
    assert shown(provider, body) == [second.bytes]
    assert third.turn.context == "rebuilt"
    assert session.generate("warmer").turn.context == "continued"


def test_turn_says_what_its_mask_opened(studio: Any, caplog: pytest.LogCaptureFixture) -> None:
    """
    The fraction that a mask opened is in the turn, its metadata and the log; None without a mask.
    """
    caplog.set_level("INFO", "imagesession")
    image = studio.edit("red", image=red(), mask=Mask.rectangle((0.0, 0.0, 0.5, 0.5)))
    assert (image.turn.mask_coverage, image.metadata["mask_coverage"]) == (0.25, 0.25)
    assert "the mask opens 25.0%" in caplog.text
    assert studio.images.get(image.id).turn.mask_coverage == 0.25
    assert studio.edit("blue", image=image).turn.mask_coverage is None
