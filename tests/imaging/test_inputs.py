"""
Whatever users hand in for a picture is read, or refused in words that say what to hand in.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import attrs
import pytest
from PIL import Image

from imagesession import Studio
from imagesession._domain.image_header import parse_header
from imagesession._imaging.inputs import read_image_input
from imagesession._store import inputs
from imagesession.errors import InvalidImageError
from tests.imaging.making import SIZE, colours, corners, decoded, encoded, is_alike, srgb, turned

PNG = encoded(corners())


@attrs.frozen
class Kept:
    """
    A picture that has an id and bytes.
    """

    id: object
    bytes: object


def test_a_path_is_read_whatever_its_suffix(tmp_path: Path) -> None:
    """
    A path may be text or an object; its suffix says nothing.
    """
    path = tmp_path / "photo.docx"
    path.write_bytes(PNG)
    assert read_image_input(path) == read_image_input(str(path)) == (PNG, str(path))
    assert inputs.load_input(path).facts.format == "png"


def test_a_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A path that begins with a tilde lies in the user's home.
    """
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "logo.png").write_bytes(PNG)
    assert read_image_input("~/logo.png")[0] == PNG


def test_bytes_are_taken_as_they_are() -> None:
    """
    Bytes need no reading, and are called what the caller says.
    """
    assert read_image_input(PNG, "The mask") == (PNG, "The mask")
    assert read_image_input(bytearray(PNG)) == (PNG, "The picture")


def test_an_open_file_is_read(tmp_path: Path) -> None:
    """
    A file that is open for bytes is read from where it stands.
    """
    path = tmp_path / "logo.png"
    path.write_bytes(PNG)
    with path.open("rb") as file:
        assert read_image_input(file)[0] == PNG
        with pytest.raises(InvalidImageError, match=r"seek\(0\)"):
            read_image_input(file)
    assert read_image_input(io.BytesIO(PNG))[0] == PNG


def test_an_open_file_that_gives_no_bytes_is_refused(tmp_path: Path) -> None:
    """
    A file open for text, or closed, is refused, saying how to open it.
    """
    with pytest.raises(InvalidImageError, match=r'open\(path, "rb"\)'):
        read_image_input(io.StringIO("text"))
    path = tmp_path / "logo.png"
    path.write_bytes(PNG)
    with path.open("rb") as file:
        pass
    with pytest.raises(InvalidImageError, match="closed file"):
        read_image_input(file)


def test_a_pil_image_keeps_its_pixels_and_its_profile() -> None:
    """
    A PIL image is sent without loss, with its colour profile.
    """
    picture, icc = corners(), srgb()
    picture.info["icc_profile"] = icc
    data, name = read_image_input(picture)
    assert (name, is_alike(decoded(data), picture)) == ("The picture", True)
    assert decoded(data).info["icc_profile"] == icc


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr", "HSV", "La"])
def test_a_pil_image_may_have_any_mode(mode: str) -> None:
    """
    A PIL image of any mode that has colours becomes one that the wire takes.
    """
    picture = corners()
    for step in {"PA": ["P", "PA"], "La": ["LA", "La"]}.get(mode, [mode]):
        picture = picture.convert(step)
    facts = parse_header(read_image_input(picture)[0])
    assert facts is not None
    assert (facts.width, facts.height) == SIZE
    assert facts.alpha == (mode in {"LA", "PA", "RGBA", "La"})


def test_a_photo_opened_with_pil_is_turned_and_stays_a_photo() -> None:
    """
    A photo straight from its file lies as its EXIF says, and is sent as JPEG.
    """
    photo = Image.open(io.BytesIO(encoded(corners(), "JPEG", exif=turned(6))))
    sent = decoded(read_image_input(photo)[0])
    assert (sent.format, sent.size) == ("JPEG", SIZE[::-1])


def test_a_photo_that_was_worked_on_is_as_its_maker_sees_it() -> None:
    """
    Pixels that were rotated by hand are not rotated again because of a tag that stayed behind.
    """
    photo = Image.open(io.BytesIO(encoded(corners(), "JPEG", exif=turned(6))))
    by_hand = photo.rotate(270, expand=True)
    assert by_hand.getexif()[0x0112] == 6
    sent = decoded(read_image_input(by_hand)[0])
    assert (sent.size, colours(sent)) == (by_hand.size, colours(by_hand))


def test_handing_in_a_pil_image_does_not_change_it() -> None:
    """
    The caller's image is the same afterwards, its metadata too.
    """
    picture = corners()
    picture.info["exif"] = turned(6)
    read_image_input(picture)
    assert picture.info == {"exif": turned(6)}
    assert is_alike(picture, corners())


def test_a_pil_image_that_cannot_be_loaded_is_refused() -> None:
    """
    A PIL image whose file is cut short is refused when it is read.
    """
    cut = Image.open(io.BytesIO(encoded(corners((400, 300)), "BMP")[:-500]))
    with pytest.raises(InvalidImageError, match="PIL image that cannot be loaded"):
        read_image_input(cut)


def test_a_huge_pil_image_is_refused_before_it_is_encoded() -> None:
    """
    The limit on pixels holds for PIL images too.
    """
    with pytest.raises(InvalidImageError, match="9000x9000 pixels; the limit is 64 million"):
        read_image_input(Image.new("1", (9000, 9000)))


def test_a_kept_picture_is_read_by_its_bytes(tmp_path: Path) -> None:
    """
    A SavedImage is taken like a file, and named by its id.
    """
    assert read_image_input(Kept("0001", PNG)) == (PNG, "Picture 0001")
    assert read_image_input(Kept(None, PNG), "The mask") == (PNG, "The mask")
    with Studio.offline(library=tmp_path) as studio:
        image = studio.generate("a teapot")
        assert read_image_input(image) == (image.bytes, f"Picture {image.id}")


@pytest.mark.parametrize(
    "url",
    ["https://example.com/a.png", "HTTP://example.com/a.png", "data:image/png;base64,AAAA"],
)
def test_nothing_is_fetched(url: str) -> None:
    """
    A URL is refused with the word that nothing is fetched.
    """
    with pytest.raises(InvalidImageError, match=r"The reference is a URL; nothing is fetched"):
        inputs.load_input(url)


@pytest.mark.parametrize("path", ["/nowhere/at/all.png", "a\0b", "/", "~nobody-of-that-name/a", ""])
def test_a_path_that_cannot_be_read_is_named(path: str) -> None:
    """
    What is no readable file is an InvalidImageError that names it.
    """
    with pytest.raises(InvalidImageError, match=r"The picture .*cannot be read"):
        read_image_input(path)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="there is no such device here")  # noqa: PTH110 - evaluated on import, on any system
def test_a_device_without_end_is_not_read_to_its_end() -> None:
    """
    A file that hides its size is read as far as the limit and no farther.
    """
    with pytest.raises(InvalidImageError, match="the limit is 25 MB"):
        read_image_input("/dev/zero")


@pytest.mark.parametrize("source", [bytes(25_000_001), io.BytesIO(bytes(25_000_001))])
def test_too_many_bytes_are_refused(source: object) -> None:
    """
    The limit holds wherever bytes come from.
    """
    with pytest.raises(InvalidImageError, match=r"25\.0 MB; the limit is 25 MB"):
        read_image_input(source)


@pytest.mark.parametrize("source", [7, None, object(), [PNG], Kept("x", "text")])
def test_anything_else_is_refused(source: object) -> None:
    """
    What is no picture at all is refused with what would be one.
    """
    with pytest.raises(InvalidImageError, match=f"SavedImage, not {type(source).__name__}"):
        read_image_input(source)


def test_who_has_not_imported_pillow_has_no_pil_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An open file is not held against Pillow's classes where Pillow was never loaded.
    """
    monkeypatch.delitem(sys.modules, "PIL.Image")
    assert read_image_input(io.BytesIO(PNG))[0] == PNG
    assert "PIL.Image" not in sys.modules


def test_reading_does_not_load_pillow_where_it_is_not_needed() -> None:
    """
    Importing the room, and making a Studio, leaves Pillow alone.
    """
    code = (
        "import sys; from imagesession import Studio; from imagesession._store import inputs; "
        "from imagesession._imaging import composite, convert, decode, inputs, mask; "
        "mask.Mask.rectangle((0, 0, 4, 4)) | mask.Mask.ellipse((0.1, 0.1, 0.2, 0.2)); "
        "sys.exit('PIL' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
