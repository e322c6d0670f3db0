"""
The gallery's page, as it is written: what it holds, what it weighs, and that nothing leaks into it.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageStat

from imagesession import Studio, errors
from imagesession._display.gallery import payload as display_payload
from imagesession._display.gallery import writer
from imagesession._display.gallery.payload import Shown
from imagesession._display.gallery.thumbnails import allowance, thumbnail
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import Tree
from imagesession._domain.turn import Turn
from imagesession._fake_openai.faults import Refused
from imagesession._store.repository import LibraryStore
from imagesession.testing import FakeOpenAI, Fault, tiny_image
from tests import strategies
from tests.display.payloads import PAYLOADS, RUNNING_SVG

MakeStudio = Callable[..., Any]


def page_data(page: Path) -> dict[str, Any]:
    """
    Return what a page is told, as its scripts read it.
    """
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', _text(page))
    assert found is not None
    return dict(json.loads(found[1]))


def _text(page: Path) -> str:
    return page.read_text("utf-8")


def _photo(seed: int, size: tuple[int, int] = (640, 480)) -> Image.Image:
    picture = Image.effect_noise(size, 90).convert("RGB")
    ImageDraw.Draw(picture).ellipse((40, 40, 300, 300), fill=(seed % 256, 90, 160))
    return picture


# --- writing it -------------------------------------------------------------------------------


def test_it_holds_the_library(studio: Any, tmp_path: Path) -> None:
    """
    A library's page has its sessions, its single pictures, their prompts, costs and parents.
    """
    session = studio.session("A logo for a tea shop", name="Tea logo")
    first = session.generate("a minimalist teapot logo")
    second = session.generate("more geometric", size="1536x864")
    single = studio.generate("a lighthouse")
    page = studio.gallery(tmp_path / "page.html")
    known = page_data(page)
    turns = {turn["id"]: turn for turn in known["turns"]}
    assert page == tmp_path / "page.html"
    assert [item["name"] for item in known["sessions"]] == ["Tea logo"]
    assert list(turns) == [first.turn.id, second.turn.id, single.turn.id]
    assert turns[second.turn.id]["parent"] == first.turn.id
    assert turns[second.turn.id]["options"] == {"size": "1536x864"}
    assert turns[second.turn.id]["cost"] == str(second.cost)
    assert turns[single.turn.id]["session"] == -1
    assert known["sessions"][0]["heads"] == {"main": second.turn.id}


def test_a_session_has_a_page_of_its_own(studio: Any, tmp_path: Path) -> None:
    """
    A session's page has its name for a title, and nothing of any other session.
    """
    session = studio.session("A logo", name="Tea & <Logo>")
    session.generate("a teapot")
    studio.generate("something else")
    page = session.gallery(tmp_path / "deep" / "er" / "page.HTML")
    assert [turn["prompt"] for turn in page_data(page)["turns"]] == ["a teapot"]
    assert "<title>Tea &amp; &lt;Logo&gt;</title>" in _text(page)


def test_what_failed_is_told(studio: Any, provider: FakeOpenAI, tmp_path: Path) -> None:
    """
    A refused turn stands in the page, with the reason.
    """
    session = studio.session("A logo")
    provider.enqueue_fault(Fault(path="/responses", ending=Refused(text="I cannot draw that.")))
    with pytest.raises(errors.RefusalError):
        session.generate("something else")
    (turn,) = page_data(session.gallery(tmp_path / "page.html"))["turns"]
    assert (turn["status"], turn["images"]) == ("refused", [])
    assert "I cannot draw that." in turn["failure"]["message"]


def test_an_earlier_gallery_is_replaced(studio: Any, tmp_path: Path) -> None:
    """
    A gallery takes the place of one that was there, whole, and leaves nothing beside it.
    """
    page = studio.gallery(tmp_path / "page.html")
    studio.generate("a lighthouse")
    before = sorted(tmp_path.iterdir())
    assert studio.gallery(page) == page
    assert len(page_data(page)["turns"]) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_nothing_else_is_overwritten(studio: Any, tmp_path: Path) -> None:
    """
    Another page, a folder and a link are left as they are.
    """
    other, folder, link = (tmp_path / f"{name}.html" for name in ("other", "folder", "link"))
    other.write_text("<!doctype html><title>mine</title>", "utf-8")
    folder.mkdir()
    link.symlink_to(studio.gallery(tmp_path / "page.html"))
    for path in (other, folder, link):
        with pytest.raises(errors.StorageIOError, match="not overwritten"):
            studio.gallery(path)
    assert "mine" in other.read_text("utf-8")
    assert link.is_symlink()


@pytest.mark.parametrize("path", ["page.png", "page", "", 7, "a\0b.html"])
def test_a_path_that_is_no_page_is_refused(studio: Any, path: object) -> None:
    """
    What does not end in .html is refused, before anything is read.
    """
    with pytest.raises(errors.InvalidRequestError):
        studio.gallery(path)


def test_a_folder_that_takes_no_files_is_told(studio: Any, tmp_path: Path) -> None:
    """
    Where the page cannot be written, the error says where and why.
    """
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(errors.StorageIOError, match=r"page\.html"):
        studio.gallery(tmp_path / "file" / "page.html")


def test_turns_of_a_session_whose_record_is_lost_are_shown(studio: Any, tmp_path: Path) -> None:
    """
    Pictures do not vanish from the page with their session's record.
    """
    session = studio.session("A logo", name="Lost")
    session.generate("a teapot")
    (tmp_path / "library" / ".imagesession" / "sessions" / f"{session.id}.json").unlink()
    known = page_data(studio.gallery(tmp_path / "page.html"))
    assert [item["lost"] for item in known["sessions"]] == [True]
    assert [turn["session"] for turn in known["turns"]] == [0]


# --- pictures ---------------------------------------------------------------------------------


def test_thumbnails_are_small_and_show_the_picture(studio: Any, tmp_path: Path) -> None:
    """
    A thumbnail is a WebP of a few kilobytes, of the picture's shape and colours.
    """
    kept = studio.images.import_file(Image.new("RGB", (1600, 900), (200, 30, 30)))
    (turn,) = page_data(studio.gallery(tmp_path / "page.html"))["turns"]
    (image,) = turn["images"]
    data = base64.b64decode(image["thumb"])
    with Image.open(io.BytesIO(data)) as small:
        red, green, blue = ImageStat.Stat(small.convert("RGB")).mean
        assert (small.format, small.size) == ("WEBP", (448, 252))
    assert red > 180
    assert max(green, blue) < 60
    assert len(data) < 20_000
    assert image["id"] == kept.id


def test_transparency_is_kept_and_told(studio: Any, tmp_path: Path) -> None:
    """
    A picture with clear parts has them in its thumbnail; an opaque one is not marked.
    """
    clear = Image.new("RGBA", (300, 300), (0, 0, 0, 0))
    clear.paste((10, 120, 80, 255), (100, 100, 200, 200))
    studio.images.import_file(clear, prompt="clear")
    studio.images.import_file(Image.new("RGBA", (300, 300), (1, 2, 3, 255)), prompt="opaque")
    turns = page_data(studio.gallery(tmp_path / "page.html"))["turns"]
    assert {turn["prompt"]: "alpha" in turn["images"][0] for turn in turns} == {
        "clear": True,
        "opaque": False,
    }
    with Image.open(io.BytesIO(base64.b64decode(turns[0]["images"][0]["thumb"]))) as small:
        assert small.convert("RGBA").getpixel((5, 5))[3] == 0  # type: ignore[index] # pyright: ignore[reportOptionalSubscript, reportIndexIssue] - RGBA has four


def test_a_photo_is_shown_upright(studio: Any, tmp_path: Path) -> None:
    """
    A photo that is to be turned is turned in its thumbnail.
    """
    exif = Image.Exif()
    exif[0x0112] = 6
    _photo(1).save(tmp_path / "photo.jpg", exif=exif)
    studio.images.import_file(tmp_path / "photo.jpg")
    (turn,) = page_data(studio.gallery(tmp_path / "page.html"))["turns"]
    with Image.open(io.BytesIO(base64.b64decode(turn["images"][0]["thumb"]))) as small:
        assert small.height > small.width


def test_drawings_are_shown_as_pixels(studio: Any, tmp_path: Path) -> None:
    """
    Of an SVG that runs and fetches, the page has what it draws and nothing else.
    """
    studio.images.import_file(RUNNING_SVG)
    page = studio.gallery(tmp_path / "page.html")
    (image,) = page_data(page)["turns"][0]["images"]
    with Image.open(io.BytesIO(base64.b64decode(image["thumb"]))) as small:
        assert small.size == (448, 448)
        assert small.format == "WEBP"
    assert "alert" not in _text(page)


def test_a_drawing_that_cannot_be_drawn_leaves_a_card(studio: Any, tmp_path: Path) -> None:
    """
    A page does not carry a drawing that no machine can draw, nor the way to show it as it lies.
    """
    parts = "<g>" * 5_000 + "</g>" * 5_000
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 99 99">{parts}</svg>'
    studio.images.import_file(svg.encode())
    (image,) = page_data(studio.gallery(tmp_path / "page.html"))["turns"][0]["images"]
    assert "thumb" not in image


def test_a_picture_that_is_gone_or_damaged_leaves_a_card(studio: Any, tmp_path: Path) -> None:
    """
    Missing and damaged files are told of by their records, without a thumbnail.
    """
    gone, damaged, whole = (studio.images.import_file(_photo(seed)) for seed in range(3))
    gone.path.unlink()
    damaged.path.write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    turns = page_data(studio.gallery(tmp_path / "page.html"))["turns"]
    assert [("thumb" in turn["images"][0]) for turn in turns] == [False, False, True]
    assert turns[2]["images"][0]["id"] == whole.id


@pytest.mark.parametrize("count", [1, 40, 400, 5_000])
def test_thumbnails_share_what_a_page_may_weigh(count: int) -> None:
    """
    All thumbnails together, in base64, leave a page of 5,000 pictures room beneath 10 MB.
    """
    assert allowance(count) * count * 4 / 3 < 6_500_000
    assert 900 <= allowance(count) <= 20_000


def test_thumbnails_keep_to_what_they_may_weigh(tmp_path: Path) -> None:
    """
    Even a picture of noise, which nothing presses together, is made as small as it has to be.
    """
    with Studio.offline(tmp_path / "library") as studio:
        image = studio.images.import_file(_photo(1, (2_000, 1_900))).record
    for most in (20_000, 2_000, allowance(5_000), 200):
        small = thumbnail(LibraryStore(tmp_path / "library"), image, most)
        assert small is not None
        assert len(small.data) <= max(most, 900)


def test_library_and_page_can_be_moved_together(studio: Any, tmp_path: Path) -> None:
    """
    Where the page lies beside or in the library, its way to the pictures is a relative one.
    """
    image = studio.generate("a teapot")
    inside = studio.gallery(tmp_path / "library" / "page.html")
    beside = studio.gallery(tmp_path / "page.html")
    for page in (inside, beside):
        known = page_data(page)
        (shown,) = known["turns"][0]["images"]
        assert not known["place"].startswith("file:")
        assert (page.parent / known["place"] / shown["file"]).samefile(image.path)


def test_a_page_elsewhere_knows_the_whole_address(studio: Any, tmp_path: Path) -> None:
    """
    A page apart from the library finds its pictures wherever the page is moved.
    """
    image = studio.generate("a teapot")
    known = page_data(studio.gallery(tmp_path / "pages" / "page.html"))
    assert known["place"] + known["turns"][0]["images"][0]["file"] == image.path.as_uri()


# --- nothing leaks into it ----------------------------------------------------------------------


@pytest.mark.parametrize("payload", PAYLOADS)
def test_words_stay_words(studio: Any, tmp_path: Path, payload: str) -> None:
    """
    Whatever prompts, names and descriptions hold, it ends no script and begins no element.
    """
    session = studio.session(payload, name=payload)
    session.generate(payload)
    studio.images.import_file(tiny_image(), prompt=payload)
    for page in (studio.gallery(tmp_path / "all.html"), session.gallery(tmp_path / "one.html")):
        text = _text(page)
        assert text.count("<script") == text.count("</script>") == 1 + len(writer.SCRIPTS)
        known = page_data(page)
        assert payload in [turn["prompt"] for turn in known["turns"]]
        assert known["sessions"][0]["name"] == payload
        inner = text.partition('id="data">')[2].partition("</script>")[0]
        assert not set("<>&'\u2028\u2029") & set(inner)


def test_the_policy_allows_what_the_page_has(studio: Any, tmp_path: Path) -> None:
    """
    Styles and scripts are allowed by their digests, pictures from data and files; nothing else.
    """
    text = _text(studio.gallery(tmp_path / "page.html"))
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert found is not None
    pairs = (rule.strip().partition(" ") for rule in html.unescape(found[1]).split(";"))
    rules = {name: value for name, _, value in pairs}
    style = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data: file: 'self'"
    assert rules["style-src"].split() == [_digest(item) for item in style]
    assert rules["script-src"].split() == [_digest(script) for script in scripts]
    assert rules["base-uri"] == rules["form-action"] == "'none'"
    assert not re.search(r"\son[a-z]+=|\sstyle=|https?:(?!//www.w3.org)", text.split("<script>")[0])


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@given(st.lists(strategies.turns, max_size=4), strategies.sessions)
def test_any_record_can_be_told(turns: list[Turn], record: SessionRecord) -> None:
    """
    Whatever a record holds, the page is told of it in JSON that can be read again.
    """
    shown = Shown(record=record, tree=Tree().with_turn(turns))
    known = json.loads(json.dumps(display_payload.to_payload([shown], {})))
    assert len(known["turns"]) == len({turn.id for turn in turns})
    assert [item["id"] for item in known["turns"]] == sorted(item["id"] for item in known["turns"])


def test_a_page_needs_nothing_beside_it(tmp_path: Path) -> None:
    """
    A page that is carried away alone still has all thumbnails in it.
    """
    with Studio.offline(tmp_path / "library") as studio:
        studio.generate("a teapot")
        page = studio.gallery(tmp_path / "page.html")
    shutil.rmtree(tmp_path / "library")
    assert page_data(page)["turns"][0]["images"][0]["thumb"]
    assert "src=" not in _text(page).split("<script>")[0]
