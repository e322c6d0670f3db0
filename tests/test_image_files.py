"""
A saved image is a file, an array and a picture to other libraries, and goes to other processes.
"""

# ruff: noqa: S301, SLF001 - its own pickles are read, and what an image belongs to is looked at

from __future__ import annotations

import base64
import copy
import gc
import io
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageShow

from imagesession import AsyncSavedImage, AsyncStudio, Budget, SavedImage, Studio, errors
from imagesession._api.pickling import forget_open
from imagesession.testing import FakeOpenAI, tiny_image
from tests.conftest import unwrap
from tests.imaging.making import decoded, encoded, noise, srgb

PROFILE = srgb()
TWINS = [Studio, AsyncStudio]


# --- saving ------------------------------------------------------------------------------------


def test_own_format_is_copied(studio: Any, tmp_path: Path) -> None:
    """
    In its own format, a saved copy has exactly the image's bytes, and is as readable as the user's
    other files; missing folders are made.
    """
    image = studio.generate("a teapot")
    saved = image.save(tmp_path / "new" / "teapot.png")
    assert (saved.name, saved.read_bytes()) == ("teapot.png", image.bytes)
    (tmp_path / "mine").touch()
    assert saved.stat().st_mode == (tmp_path / "mine").stat().st_mode
    assert os.listdir(saved.parent) == ["teapot.png"]  # noqa: PTH208 - names will do


@pytest.mark.parametrize(
    "suffix,format",
    [("jpg", "JPEG"), ("JPEG", "JPEG"), ("webp", "WEBP"), ("gif", "GIF"), ("tif", "TIFF"),
     ("bmp", "BMP"), ("avif", "AVIF")],
)  # fmt: skip
def test_suffix_decides_the_format(studio: Any, tmp_path: Path, suffix: str, format: str) -> None:
    """
    Another suffix converts the image, whatever its case.
    """
    image = studio.images.import_file(encoded(noise()))
    saved = image.save(str(tmp_path / f"x.{suffix}"))
    assert (decoded(saved.read_bytes()).format, decoded(saved.read_bytes()).size) == (
        format, image.size,
    )  # fmt: skip


def test_conversion_keeps_profile_and_turns_upright(studio: Any, tmp_path: Path) -> None:
    """
    A converted copy has the colour profile, stands upright, and is white where it was transparent.
    """
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = encoded(noise((40, 20)), "JPEG", exif=exif.tobytes(), icc_profile=PROFILE)
    turned = decoded(studio.images.import_file(photo).save(tmp_path / "x.webp").read_bytes())
    assert (turned.size, turned.info["icc_profile"]) == ((20, 40), PROFILE)
    clear = studio.images.import_file(encoded(Image.new("RGBA", (4, 4), (9, 9, 9, 0))))
    flat = decoded(clear.save(tmp_path / "x.jpg").read_bytes())
    assert flat.getpixel((1, 1)) == (255, 255, 255)


def test_svg_is_saved_as_itself_or_rendered(studio: Any, tmp_path: Path) -> None:
    """
    An SVG keeps its text in a .svg, and is rendered for other suffixes; pixels make no SVG.
    """
    image = studio.generate("a logo", output_format="svg")
    assert image.save(tmp_path / "x.svg").read_bytes() == image.bytes
    assert decoded(image.save(tmp_path / "x.png").read_bytes()).format == "PNG"
    with pytest.raises(errors.InvalidRequestError, match="does not end in a format"):
        studio.generate("a teapot").save(tmp_path / "y.svg")


def test_nothing_is_replaced_unless_told(studio: Any, tmp_path: Path) -> None:
    """
    A file that exists stays as it is, unless `overwrite=True`; the library's are never replaced.
    """
    image, other = studio.generate("a teapot"), studio.generate("a fox")
    target = tmp_path / "x.png"
    target.write_bytes(b"mine")
    with pytest.raises(errors.StorageIOError, match="overwrite=True"):
        image.save(target)
    assert target.read_bytes() == b"mine"
    assert image.save(target, overwrite=True).read_bytes() == image.bytes
    with pytest.raises(errors.StorageIOError, match="file of the library"):
        image.save(other.path, overwrite=True)
    assert other.bytes != image.bytes


@pytest.mark.parametrize(
    "path,error,message",
    [
        ("", errors.InvalidRequestError, "The path is"),
        (7, errors.InvalidRequestError, "The path is 7"),
        ("x", errors.InvalidRequestError, "does not end in a format"),
        ("x.docx", errors.InvalidRequestError, "does not end in a format"),
        (".", errors.StorageIOError, "is a folder. Name a file in it"),
        ("/dev/full/x.png", errors.StorageIOError, "/dev/full"),
    ],
)
def test_path_that_cannot_be_written(
    studio: Any, path: Any, error: type[Exception], message: str
) -> None:
    """
    A path that cannot be written raises a short typed error.
    """
    image = studio.images.import_file(tiny_image())
    with pytest.raises(error, match=message) as caught:
        image.save(path)
    assert len(str(caught.value)) < 300


def test_full_disk_leaves_nothing(
    studio: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A full disk raises a StorageIOError, leaves no half a file, and an older one stays whole.
    """
    image = studio.images.import_file(tiny_image())
    target = tmp_path / "out" / "x.png"
    target.parent.mkdir()
    target.write_bytes(b"older")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(errors.StorageIOError, match="the disk is full"):
        image.save(target, overwrite=True)
    monkeypatch.undo()
    assert [(file.name, file.read_bytes()) for file in target.parent.iterdir()] == [
        ("x.png", b"older")
    ]


# --- in the hands of other libraries -----------------------------------------------------------


def test_image_is_a_path(studio: Any, tmp_path: Path) -> None:
    """
    What takes a path takes an image: open, shutil, os, Pillow; and base64 is one call.
    """
    image: SavedImage | AsyncSavedImage = unwrap(studio.images.import_file(tiny_image()))
    assert os.fspath(image) == str(image.path)
    assert bytes(image) == image.bytes
    assert Path(shutil.copy(image, tmp_path / "copy.png")).read_bytes() == image.bytes
    with Image.open(image) as picture:
        assert picture.size == image.size
    assert base64.b64decode(image.to_base64()) == image.bytes


@pytest.mark.parametrize("format", ["png", "svg"])
def test_image_is_an_array(studio: Any, format: str) -> None:
    """
    An image describes its pixels as an array, as NumPy reads it; an SVG is rendered.
    """
    image = studio.generate("a teapot", output_format=format)
    array = image.__array_interface__
    height, width, channels = array["shape"]
    assert (array["typestr"], channels in {3, 4}) == ("|u1", True)
    expected = Image.open(io.BytesIO(image.as_png()))
    assert ((width, height), array["data"]) == (expected.size, expected.tobytes())


def test_image_is_shown(studio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    `show` opens the picture, with the file's name, in Pillow's viewer.
    """
    shown: list[tuple[tuple[int, int], str]] = []

    class Viewer(ImageShow.Viewer):
        def show(self, image: Image.Image, **options: Any) -> int:
            shown.append((image.size, options["title"]))
            return 1

    monkeypatch.setattr(ImageShow, "_viewers", [Viewer()])
    image = studio.images.import_file(tiny_image())
    image.show()
    assert shown == [(image.size, image.path.name)]


def test_missing_viewer_is_named(studio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where no program shows images, `show` says so, and where the file is; it showed nothing before.
    """
    monkeypatch.setattr(ImageShow, "_viewers", [])
    with pytest.raises(errors.InvalidRequestError, match=r"No viewer .+ image\.path"):
        studio.images.import_file(tiny_image()).show()


# --- in other processes ------------------------------------------------------------------------

READ = (
    "import pickle, sys; image, session = pickle.load(sys.stdin.buffer);"
    "print(image.path, image.prompt, session.generate('wider').prompt, session.name)"
)


def test_image_goes_to_another_process(tmp_path: Path) -> None:
    """
    Pickled by library and id, an image and a session are found and continued in another process.
    """
    session = Studio.offline(tmp_path).session("tea", name="Tea")
    image = session.generate("a teapot")
    blob = pickle.dumps((image, session))
    assert len(blob) < 1_000
    done = subprocess.run([sys.executable, "-c", READ], input=blob, capture_output=True, check=True)
    assert done.stdout.decode().strip() == f"{image.path} a teapot wider Tea"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_image_is_copied(copied: Any, tmp_path: Path) -> None:
    """
    A copy of an image is the same image of the same studio.
    """
    with Studio.offline(tmp_path, provider=FakeOpenAI()) as studio:
        image = studio.session("tea").generate("a teapot")
        other = FakeOpenAI()
        with Studio.offline(tmp_path, provider=other):
            again = copied({"image": image})["image"]
            again.refine("wider")
        assert again == image
        assert not other.requests


@pytest.mark.parametrize("twin", TWINS)
def test_pickle_holds_settings_and_no_secret(
    twin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A pickle holds neither key nor address. The image keeps its studio's budget, its file can be
    read anywhere, and its requests never go to another provider than its own.
    """
    made = Studio.offline(tmp_path).session("tea").generate("a teapot")
    studio = twin(tmp_path, api_key="sk-secret", base_url="http://me:hush@a.example/v1",
                  budget=Budget(per_call=0.01))  # fmt: skip
    image = _of(studio, made)
    blob = pickle.dumps(image)
    assert not any(secret in blob for secret in (b"sk-secret", b"hush"))
    assert pickle.loads(blob)._runtime is studio._runtime
    del studio, image
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    found = pickle.loads(blob)
    assert (found.bytes, found._runtime.config.budget) == (made.bytes, Budget(per_call=0.01))
    with pytest.raises(errors.AuthenticationError, match=r"a\.example, and this process has none"):
        found._runtime.connect()


def _of(studio: Any, image: Any) -> Any:
    kind: Any = SavedImage if type(studio) is Studio else AsyncSavedImage
    return kind(image.turn, image.position, studio._runtime)  # pyright: ignore[reportPrivateUsage] - its own studio


@pytest.mark.parametrize("twin", TWINS)
def test_pickle_finds_the_studio_of_a_view(twin: Any, tmp_path: Path) -> None:
    """
    An owner's image finds the open studio that its view is of, though only the view is held, and
    until that studio is closed.
    """
    made = Studio.offline(tmp_path, owner="alice").generate("a teapot")
    view = twin.offline(tmp_path).as_owner("alice")
    blob = pickle.dumps(_of(view, made))
    del made
    gc.collect()
    found = pickle.loads(blob)._runtime
    assert found.connect is view._runtime.connect
    assert found.library.owner == "alice"
    forget_open(view._runtime.whole)
    assert pickle.loads(blob)._runtime.connect is not view._runtime.connect


def test_pickle_finds_whichever_studio_is_open(tmp_path: Path) -> None:
    """
    Of two studios on a library, the latest that is open is found, whichever is closed first.
    """
    kind: Any = Studio
    first, second = kind.offline(tmp_path), kind.offline(tmp_path)
    blob = pickle.dumps(first.images.import_file(tiny_image()))
    assert pickle.loads(blob)._runtime is second._runtime
    second.close()
    assert pickle.loads(blob)._runtime is first._runtime


def test_pickle_without_its_library(tmp_path: Path) -> None:
    """
    Where the library is missing, unpickling raises a NotFoundError and makes no folder.
    """
    studio = Studio.offline(tmp_path / "library")
    blob = pickle.dumps(studio.images.import_file(tiny_image()))
    studio.close()
    (tmp_path / "library").rename(tmp_path / "moved")
    with pytest.raises(errors.NotFoundError, match="no library at"):
        pickle.loads(blob)
    assert not (tmp_path / "library").exists()


@pytest.mark.parametrize("twin", TWINS)
def test_studio_is_not_pickled(twin: Any, tmp_path: Path) -> None:
    """
    A studio refuses to be pickled, and says what to do instead.
    """
    with pytest.raises(TypeError, match="Open one in each process"):
        pickle.dumps(twin.offline(tmp_path))
