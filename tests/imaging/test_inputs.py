"""
Image arguments of every accepted type are read; others raise an error that names the types.
"""

from __future__ import annotations

import array
import base64
import io
import os
import subprocess
import sys
import textwrap
import urllib.parse
from pathlib import Path

import attrs
import pytest
from PIL import Image

from imagesession import Studio
from imagesession._domain.image_header import parse_header
from imagesession._imaging import pixels
from imagesession._imaging.inputs import read_image_input
from imagesession.errors import InvalidImageError
from tests.imaging.making import SIZE, colours, corners, decoded, encoded, is_alike, srgb, turned

PNG = encoded(corners())
ENDIAN = "<" if sys.byteorder == "little" else ">"
FLOAT, DOUBLE = f"{ENDIAN}f4", f"{ENDIAN}f8"


@attrs.frozen
class StoredImage:
    """
    An object with an id and bytes.
    """

    id: object
    bytes: object


class Pixels:
    """
    An array, as it describes itself to other libraries.
    """

    def __init__(self, kind: str, shape: tuple[int, ...], data: object) -> None:
        self.__array_interface__ = {"version": 3, "typestr": kind, "shape": shape, "data": data}


def test_path_is_read_whatever_its_suffix(tmp_path: Path) -> None:
    """
    A path may be a str or a Path; its suffix is ignored.
    """
    path = tmp_path / "photo.docx"
    path.write_bytes(PNG)
    assert read_image_input(path) == read_image_input(str(path)) == (PNG, str(path))
    assert pixels.load_input(path).facts.format == "png"


def test_tilde_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A path that begins with a tilde is in the user's home folder.
    """
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "logo.png").write_bytes(PNG)
    assert read_image_input("~/logo.png")[0] == PNG


def test_bytes_are_returned_unchanged() -> None:
    """
    Bytes are returned unchanged, with the caller's name for them.
    """
    assert read_image_input(PNG, "The mask") == (PNG, "The mask")
    assert read_image_input(bytearray(PNG)) == (PNG, "The image")


def test_open_file_is_read(tmp_path: Path) -> None:
    """
    A file that is open in binary mode is read from its current position.
    """
    path = tmp_path / "logo.png"
    path.write_bytes(PNG)
    with path.open("rb") as file:
        assert read_image_input(file)[0] == PNG
        with pytest.raises(InvalidImageError, match=r"seek\(0\)"):
            read_image_input(file)
    assert read_image_input(io.BytesIO(PNG))[0] == PNG


def test_text_or_closed_file_is_rejected(tmp_path: Path) -> None:
    """
    A file that is open in text mode, or closed, raises an error that says how to open it.
    """
    with pytest.raises(InvalidImageError, match=r'open\(path, "rb"\)'):
        read_image_input(io.StringIO("text"))
    path = tmp_path / "logo.png"
    path.write_bytes(PNG)
    with path.open("rb") as file:
        pass
    with pytest.raises(InvalidImageError, match="closed file"):
        read_image_input(file)


def test_pil_image_keeps_its_pixels_and_profile() -> None:
    """
    A PIL image is encoded without loss, with its colour profile.
    """
    picture, icc = corners(), srgb()
    picture.info["icc_profile"] = icc
    data, name = read_image_input(picture)
    assert (name, is_alike(decoded(data), picture)) == ("The image", True)
    assert decoded(data).info["icc_profile"] == icc


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr", "HSV", "La"])
def test_pil_image_of_any_mode_is_accepted(mode: str) -> None:
    """
    A PIL image of any colour mode becomes one that the provider accepts.
    """
    picture = corners()
    for step in {"PA": ["P", "PA"], "La": ["LA", "La"]}.get(mode, [mode]):
        picture = picture.convert(step)
    facts = parse_header(read_image_input(picture)[0])
    assert facts is not None
    assert (facts.width, facts.height) == SIZE
    assert facts.alpha == (mode in {"LA", "PA", "RGBA", "La"})


def test_photo_opened_with_pil_is_rotated_and_stays_a_jpeg() -> None:
    """
    A photo straight from its file is rotated by its EXIF orientation, and encoded as JPEG.
    """
    photo = Image.open(io.BytesIO(encoded(corners(), "JPEG", exif=turned(6))))
    sent = decoded(read_image_input(photo)[0])
    assert (sent.format, sent.size) == ("JPEG", SIZE[::-1])


def test_processed_photo_is_not_rotated_again() -> None:
    """
    An image rotated by the caller is not rotated again because of a leftover tag.
    """
    photo = Image.open(io.BytesIO(encoded(corners(), "JPEG", exif=turned(6))))
    by_hand = photo.rotate(270, expand=True)
    assert by_hand.getexif()[0x0112] == 6
    sent = decoded(read_image_input(by_hand)[0])
    assert (sent.size, colours(sent)) == (by_hand.size, colours(by_hand))


def test_pil_image_is_not_modified() -> None:
    """
    The caller's image and its metadata are not modified.
    """
    picture = corners()
    picture.info["exif"] = turned(6)
    read_image_input(picture)
    assert picture.info == {"exif": turned(6)}
    assert is_alike(picture, corners())


def test_truncated_pil_image_is_rejected() -> None:
    """
    A PIL image whose file is truncated is rejected when it is read.
    """
    truncated = Image.open(io.BytesIO(encoded(corners((400, 300)), "BMP")[:-500]))
    with pytest.raises(InvalidImageError, match="PIL image that cannot be loaded"):
        read_image_input(truncated)


def test_huge_pil_image_is_rejected_before_encoding() -> None:
    """
    The pixel limit applies to PIL images too.
    """
    with pytest.raises(InvalidImageError, match="9000x9000 pixels; the limit is 64 million"):
        read_image_input(Image.new("1", (9000, 9000)))


def test_saved_image_is_read_by_its_bytes(tmp_path: Path) -> None:
    """
    A SavedImage is read like a file, and named by its id.
    """
    assert read_image_input(StoredImage("0001", PNG)) == (PNG, "Image 0001")
    assert read_image_input(StoredImage(None, PNG), "The mask") == (PNG, "The mask")
    with Studio.offline(library=tmp_path) as studio:
        image = studio.generate("a teapot")
        assert read_image_input(image) == (image.bytes, f"Image {image.id}")


@pytest.mark.parametrize("url", ["https://example.com/a.png", "HTTP://example.com/a.png"])
def test_url_is_rejected(url: str) -> None:
    """
    A URL raises an error that says nothing is fetched.
    """
    with pytest.raises(InvalidImageError, match=r"The reference is a URL; nothing is fetched"):
        pixels.load_input(url)


@pytest.mark.parametrize("path", ["/nowhere/at/all.png", "a\0b", "/", "~nobody-of-that-name/a", ""])
def test_unreadable_path_is_named(path: str) -> None:
    """
    A path that cannot be read raises InvalidImageError with its name.
    """
    with pytest.raises(InvalidImageError, match=r"The image .*cannot be read"):
        read_image_input(path)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="there is no such device here")  # noqa: PTH110 - evaluated on import, on any system
def test_endless_device_is_read_only_up_to_the_limit() -> None:
    """
    A file of unknown size is read only up to the limit.
    """
    with pytest.raises(InvalidImageError, match="the limit is 25 MB"):
        read_image_input("/dev/zero")


@pytest.mark.parametrize("source", [bytes(25_000_001), io.BytesIO(bytes(25_000_001))])
def test_too_many_bytes_are_rejected(source: object) -> None:
    """
    The byte limit applies to every source.
    """
    with pytest.raises(InvalidImageError, match=r"25\.0 MB; the limit is 25 MB"):
        read_image_input(source)


@pytest.mark.parametrize("source", [7, None, object(), [PNG], StoredImage("x", "text")])
def test_unsupported_type_is_rejected(source: object) -> None:
    """
    An unsupported type raises an error that lists the supported ones.
    """
    with pytest.raises(InvalidImageError, match=f"SavedImage, not {type(source).__name__}"):
        read_image_input(source)


def test_pillow_is_not_imported_to_check_the_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    If Pillow was never imported, checking an argument's type does not import it.
    """
    monkeypatch.delitem(sys.modules, "PIL.Image")
    assert read_image_input(io.BytesIO(PNG))[0] == PNG
    assert "PIL.Image" not in sys.modules


def test_importing_the_package_does_not_import_pillow() -> None:
    """
    Importing the modules and constructing masks does not import Pillow.
    """
    code = (
        "import sys; from imagesession import Studio; "
        "from imagesession._imaging import composite, convert, decode, inputs, mask, pixels; "
        "mask.Mask.rectangle((0, 0, 4, 4)) | mask.Mask.ellipse((0.1, 0.1, 0.2, 0.2)); "
        "sys.exit('PIL' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


BASE64 = base64.b64encode(PNG).decode()


@pytest.mark.parametrize(
    "source",
    [
        memoryview(PNG),
        io.BytesIO(PNG).getbuffer(),
        array.array("B", PNG),
        f"data:image/png;base64,{BASE64}",
        f"DATA:;charset=x;BASE64,{base64.urlsafe_b64encode(PNG).decode().rstrip('=')}",
        "data:image/png," + urllib.parse.quote(PNG),
        BASE64,
        "\n".join(textwrap.wrap(BASE64, 76)),
        base64.urlsafe_b64encode(PNG).decode().rstrip("="),
        Pixels("|u1", (len(PNG),), PNG),
    ],
)
def test_same_bytes_in_another_form_are_read(source: object) -> None:
    """
    Buffers, data URLs, base64 in either alphabet, and arrays of one dimension hold a file's bytes.
    """
    assert read_image_input(source, "It") == (PNG, "It")


def test_file_url_is_read(tmp_path: Path) -> None:
    """
    A file URL names a local file, whatever characters are in its path; one of another computer, or
    a damaged data URL, raises an error that does not suggest a download.
    """
    path = tmp_path / "a b é %.png"
    path.write_bytes(PNG)
    assert read_image_input(path.as_uri()) == (PNG, str(path))
    for url, message in (
        ("file://server/a.png", "another computer"),
        ("data:;base64,%%", "damaged"),
    ):
        with pytest.raises(InvalidImageError, match=message):
            read_image_input(url)


@pytest.mark.parametrize(
    "pixels,mode,expected",
    [
        (Pixels("|u1", (1, 2), bytes([0, 200])), "L", [0, 200]),
        (Pixels("|u1", (1, 2, 1), bytes([0, 200])), "L", [0, 200]),
        (Pixels("|b1", (2, 1), bytes([1, 0])), "L", [255, 0]),
        (Pixels("|u1", (1, 1, 3), bytes([1, 2, 3])), "RGB", [(1, 2, 3)]),
        (Pixels("|u1", (1, 1, 4), bytes([1, 2, 3, 4])), "RGBA", [(1, 2, 3, 4)]),
        (Pixels(FLOAT, (1, 3), array.array("f", [0, 0.5, 1]).tobytes()), "L", [0, 128, 255]),
        (Pixels(DOUBLE, (1, 1, 3), array.array("d", [0, 0.2, 1]).tobytes()), "RGB", [(0, 51, 255)]),
    ],
)
def test_array_is_read(pixels: Pixels, mode: str, expected: list[object]) -> None:
    """
    Arrays of bytes, booleans, and floats from 0.0 to 1.0 are pictures, with 1, 3 or 4 channels.
    """
    picture = decoded(read_image_input(pixels)[0])
    found = [picture.getpixel((x, y)) for y in range(picture.height) for x in range(picture.width)]
    assert (picture.mode, found) == (mode, expected)


@pytest.mark.parametrize(
    "pixels,message",
    [
        (Pixels("|u1", (1, 2, 2, 3), bytes(12)), r"shape \(1, 2, 2, 3\)"),
        (Pixels("|u1", (3, 2, 2), bytes(12)), "an image's is"),
        (Pixels("|u1", (0, 2), b""), "an image's is"),
        (Pixels("|u1", (90_000, 90_000), b""), "64 million"),
        (Pixels("<i8", (1, 1), bytes(8)), "Convert it to uint8"),
        (Pixels(FLOAT, (1, 1), array.array("f", [float("nan")]).tobytes()), "NaN"),
        (Pixels(FLOAT, (1, 1), array.array("f", [float("inf")]).tobytes()), "infinity"),
        (Pixels(FLOAT, (1, 2), array.array("f", [0, 255]).tobytes()), "from 0 to 255"),
        (Pixels("|u1", (1, 1), (140_000, True)), "memory cannot be read"),
        (Pixels("|u1", (2, 2), b"x"), "fewer numbers"),
    ],
)
def test_array_that_is_no_picture_is_rejected(pixels: Pixels, message: str) -> None:
    """
    Other shapes and numbers raise a short error that says what to convert.
    """
    with pytest.raises(InvalidImageError, match=message) as caught:
        read_image_input(pixels, "The reference")
    assert len(caught.value.message) < 200


def test_message_shows_little_of_a_long_argument() -> None:
    """
    A message repeats at most 80 characters of what was given.
    """
    for text in ("x" * 100_000, "https://a.b/" + "x" * 100_000, "data:;base64,%" + "x" * 100_000):
        with pytest.raises(InvalidImageError) as caught:
            read_image_input(text, "The reference")
        assert len(caught.value.message) < 250
        assert "x" * 81 not in caught.value.message


async def _unfinished() -> None: ...


def test_forgotten_await_is_named() -> None:
    """
    An awaitable in place of a picture raises an error that says so.
    """
    call = _unfinished()
    with pytest.raises(InvalidImageError, match='write "await"'):
        read_image_input(call)
    call.close()
