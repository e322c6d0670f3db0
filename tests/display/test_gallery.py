"""
The gallery page as written: its data, its size, and that no text becomes markup.
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
from imagesession._display.gallery.outline import Outline
from imagesession._display.gallery.thumbnails import allowance, thumbnail
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.tree import Tree
from imagesession._domain.turn import Turn
from imagesession._fake_openai.faults import Refused
from imagesession._store.disk.library import open_library
from imagesession.testing import FakeOpenAI, Fault, tiny_image
from tests import strategies
from tests.display.payloads import PAYLOADS, RUNNING_SVG

MakeStudio = Callable[..., Any]


def page_data(page: Path) -> dict[str, Any]:
    """
    Return a page's JSON data, as its scripts read it.
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


# --- writing ----------------------------------------------------------------------------------


def test_gallery_of_a_library(studio: Any, tmp_path: Path) -> None:
    """
    A library's page has its sessions, its standalone images, their prompts, costs and parents.
    """
    session = studio.session("A logo for a tea shop", name="Tea logo")
    first = session.generate("a minimalist teapot logo")
    second = session.generate("more geometric", size="1536x864")
    single = studio.generate("a lighthouse")
    page = studio.gallery(tmp_path / "page.html")
    data = page_data(page)
    turns = {turn["id"]: turn for turn in data["turns"]}
    assert page == tmp_path / "page.html"
    assert [entry["name"] for entry in data["sessions"]] == ["Tea logo"]
    assert list(turns) == [first.turn.id, second.turn.id, single.turn.id]
    assert turns[second.turn.id]["parent"] == first.turn.id
    assert turns[second.turn.id]["options"] == {"size": "1536x864"}
    assert turns[second.turn.id]["cost"] == str(second.cost)
    assert turns[single.turn.id]["session"] == -1
    assert data["sessions"][0]["heads"] == {"main": second.turn.id}


def test_gallery_of_a_session(studio: Any, tmp_path: Path) -> None:
    """
    A session's page has the session's name as its title, and no other session's turns.
    """
    session = studio.session("A logo", name="Tea & <Logo>")
    session.generate("a teapot")
    studio.generate("something else")
    page = session.gallery(tmp_path / "deep" / "er" / "page.HTML")
    assert [turn["prompt"] for turn in page_data(page)["turns"]] == ["a teapot"]
    assert "<title>Tea &amp; &lt;Logo&gt;</title>" in _text(page)


def test_reference_board_is_shown(studio: Any, tmp_path: Path) -> None:
    """
    A session's page has its reference board: the images that are sent with every turn, by role.
    """
    colours = tiny_image(colour=(20, 40, 200))
    session = studio.session("A shop", references={"logo": tiny_image(), "<palette>": colours})
    board = session.references()
    session.generate("a teapot")
    studio.images.delete(board["<palette>"])
    for page in (session.gallery(tmp_path / "a.html"), studio.gallery(tmp_path / "b.html")):
        (shown,) = page_data(page)["sessions"][0]["board"]
        assert (shown["role"], shown["id"]) == ("logo", board["logo"].id)
        assert shown["thumb"]


def test_stars_and_tags_are_shown_and_counted(studio: Any, tmp_path: Path) -> None:
    """
    The page has the stars and tags of images, in sessions and outside, and how many have each.
    """
    inside = studio.session("A logo").generate("a teapot")
    alone = studio.generate("a lighthouse")
    studio.generate("a fox")
    inside.star()
    inside.tag("final")
    alone.tag("final", "blue")
    data = page_data(studio.gallery(tmp_path / "page.html"))
    images = {image["id"]: image for turn in data["turns"] for image in turn["images"]}
    assert [image["id"] for image in images.values() if image.get("starred")] == [inside.id]
    assert images[alone.id]["tags"] == ["blue", "final"]
    assert (data["facts"]["starred"], data["facts"]["tags"]) == (1, {"final": 2, "blue": 1})


def test_deleted_images_are_not_shown(studio: Any, tmp_path: Path) -> None:
    """
    What was deleted is not on the page: no image, and no word of its prompt; in a tree, its place
    stays.
    """
    session = studio.session("A logo")
    for prompt in ("a teapot", "secretly bluer", "rounder"):
        image = session.generate(prompt)
        if prompt.startswith("secretly"):
            image.star()
            studio.images.delete(image.id)
    studio.images.delete(studio.generate("a secret lighthouse").id)
    gone = studio.session("A secret session", name="Secret")
    gone.generate("a secret fox")
    studio.sessions.delete(gone.id)
    page = studio.gallery(tmp_path / "page.html")
    data = page_data(page)
    assert "secret" not in _text(page).lower().split('id="data">')[1].split("</script>")[0]
    assert [(turn["prompt"], turn["deleted"]) for turn in with_defaults(data["turns"])] == [
        ("a teapot", False),
        ("", True),
        ("rounder", False),
    ]
    assert data["facts"]["images"] == 2
    assert data["facts"]["starred"] == 0


def with_defaults(turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """
    Return turns with members that are left out where they are empty.
    """
    return [{"prompt": "", "deleted": False, **turn} for turn in turns]


def test_refused_turn_is_shown(studio: Any, provider: FakeOpenAI, tmp_path: Path) -> None:
    """
    A refused turn is on the page, with the reason.
    """
    session = studio.session("A logo")
    provider.enqueue_fault(Fault(path="/responses", outcome=Refused(text="I cannot draw that.")))
    with pytest.raises(errors.RefusalError):
        session.generate("something else")
    (turn,) = page_data(session.gallery(tmp_path / "page.html"))["turns"]
    assert (turn["status"], turn["images"]) == ("refused", [])
    assert "I cannot draw that." in turn["failure"]["message"]


def test_earlier_gallery_is_replaced(studio: Any, tmp_path: Path) -> None:
    """
    A gallery replaces an earlier one atomically, and leaves no other files.
    """
    page = studio.gallery(tmp_path / "page.html")
    studio.generate("a lighthouse")
    before = sorted(tmp_path.iterdir())
    assert studio.gallery(page) == page
    assert len(page_data(page)["turns"]) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_other_files_are_not_overwritten(studio: Any, tmp_path: Path) -> None:
    """
    Another page, a folder and a link are not overwritten.
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
def test_invalid_path_is_rejected(studio: Any, path: object) -> None:
    """
    A path that does not end in .html is rejected before anything is read.
    """
    with pytest.raises(errors.InvalidRequestError):
        studio.gallery(path)


def test_unwritable_folder_is_an_error(studio: Any, tmp_path: Path) -> None:
    """
    If the page cannot be written, the error names the path.
    """
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(errors.StorageIOError, match=r"page\.html"):
        studio.gallery(tmp_path / "file" / "page.html")


def test_turns_without_session_record_are_shown(studio: Any, tmp_path: Path) -> None:
    """
    The images of a session whose record is lost are still on the page.
    """
    session = studio.session("A logo", name="Lost")
    session.generate("a teapot")
    (tmp_path / "library" / ".imagesession" / "sessions" / f"{session.id}.json").unlink()
    data = page_data(studio.gallery(tmp_path / "page.html"))
    assert [entry["lost"] for entry in data["sessions"]] == [True]
    assert [turn["session"] for turn in data["turns"]] == [0]


# --- images -----------------------------------------------------------------------------------


@pytest.mark.detailed
def test_thumbnail_is_a_small_webp(studio: Any, tmp_path: Path) -> None:
    """
    A thumbnail is a WebP of a few kilobytes, with the image's aspect ratio and colours.
    """
    imported = studio.images.import_file(Image.new("RGB", (1600, 900), (200, 30, 30)))
    (turn,) = page_data(studio.gallery(tmp_path / "page.html"))["turns"]
    (image,) = turn["images"]
    data = base64.b64decode(image["thumb"])
    with Image.open(io.BytesIO(data)) as small:
        red, green, blue = ImageStat.Stat(small.convert("RGB")).mean
        assert (small.format, small.size) == ("WEBP", (448, 252))
    assert red > 180
    assert max(green, blue) < 60
    assert len(data) < 20_000
    assert image["id"] == imported.id


def test_transparency_is_kept_and_flagged(studio: Any, tmp_path: Path) -> None:
    """
    The thumbnail of a transparent image is transparent and flagged; an opaque one is not.
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


def test_photo_is_shown_upright(studio: Any, tmp_path: Path) -> None:
    """
    The thumbnail of a photo with an orientation tag is upright.
    """
    exif = Image.Exif()
    exif[0x0112] = 6
    _photo(1).save(tmp_path / "photo.jpg", exif=exif)
    studio.images.import_file(tmp_path / "photo.jpg")
    (turn,) = page_data(studio.gallery(tmp_path / "page.html"))["turns"]
    with Image.open(io.BytesIO(base64.b64decode(turn["images"][0]["thumb"]))) as small:
        assert small.height > small.width


def test_svg_is_rendered(studio: Any, tmp_path: Path) -> None:
    """
    The page has only the rendering of an SVG, not its scripts and links.
    """
    studio.images.import_file(RUNNING_SVG)
    page = studio.gallery(tmp_path / "page.html")
    (image,) = page_data(page)["turns"][0]["images"]
    with Image.open(io.BytesIO(base64.b64decode(image["thumb"]))) as small:
        assert small.size == (448, 448)
        assert small.format == "WEBP"
    assert "alert" not in _text(page)


def test_svg_that_cannot_be_rendered_has_no_thumbnail(studio: Any, tmp_path: Path) -> None:
    """
    An SVG that cannot be rendered has no thumbnail, so the page does not show its file either.
    """
    parts = "<g>" * 5_000 + "</g>" * 5_000
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 99 99">{parts}</svg>'
    studio.images.import_file(svg.encode())
    (image,) = page_data(studio.gallery(tmp_path / "page.html"))["turns"][0]["images"]
    assert "thumb" not in image


def test_missing_or_damaged_image_has_no_thumbnail(studio: Any, tmp_path: Path) -> None:
    """
    Missing and damaged files are on the page by their records, without a thumbnail.
    """
    missing, damaged, intact = (studio.images.import_file(_photo(seed)) for seed in range(3))
    missing.path.unlink()
    damaged.path.write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    turns = page_data(studio.gallery(tmp_path / "page.html"))["turns"]
    assert [("thumb" in turn["images"][0]) for turn in turns] == [False, False, True]
    assert turns[2]["images"][0]["id"] == intact.id


@pytest.mark.parametrize("count", [1, 40, 400, 5_000])
def test_thumbnails_share_the_pages_byte_limit(count: int) -> None:
    """
    All thumbnails together, in base64, keep a page of 5,000 images below 10 MB.
    """
    assert allowance(count) * count * 4 / 3 < 6_500_000
    assert 900 <= allowance(count) <= 20_000


def test_thumbnail_respects_its_byte_limit(tmp_path: Path) -> None:
    """
    Even an image of noise, which compresses badly, fits its limit.
    """
    with Studio.offline(tmp_path / "library") as studio:
        image = studio.images.import_file(_photo(1, (2_000, 1_900))).record
    for max_bytes in (20_000, 2_000, allowance(5_000), 200):
        small = thumbnail(open_library(tmp_path / "library"), image, max_bytes)
        assert small is not None
        assert len(small.data) <= max(max_bytes, 900)


def test_page_near_the_library_has_relative_links(studio: Any, tmp_path: Path) -> None:
    """
    If the page is beside or in the library, its links to the images are relative.
    """
    image = studio.generate("a teapot")
    inside = studio.gallery(tmp_path / "library" / "page.html")
    beside = studio.gallery(tmp_path / "page.html")
    for page in (inside, beside):
        data = page_data(page)
        (view,) = data["turns"][0]["images"]
        assert not data["place"].startswith("file:")
        assert (page.parent / data["place"] / view["file"]).samefile(image.path)


def test_page_elsewhere_has_absolute_links(studio: Any, tmp_path: Path) -> None:
    """
    A page apart from the library finds its images even if the page is moved.
    """
    image = studio.generate("a teapot")
    data = page_data(studio.gallery(tmp_path / "pages" / "page.html"))
    assert data["place"] + data["turns"][0]["images"][0]["file"] == image.path.as_uri()


# --- no text becomes markup ----------------------------------------------------------------------


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payloads_stay_text(studio: Any, tmp_path: Path, payload: str) -> None:
    """
    No prompt, name or description ends a script or begins an element.
    """
    session = studio.session(payload, name=payload)
    session.generate(payload)
    studio.images.import_file(tiny_image(), prompt=payload)
    for page in (studio.gallery(tmp_path / "all.html"), session.gallery(tmp_path / "one.html")):
        text = _text(page)
        assert text.count("<script") == text.count("</script>") == 1 + len(writer.SCRIPTS)
        data = page_data(page)
        assert payload in [turn["prompt"] for turn in data["turns"]]
        assert data["sessions"][0]["name"] == payload
        inner = text.partition('id="data">')[2].partition("</script>")[0]
        assert not set("<>&'\u2028\u2029") & set(inner)


def test_content_security_policy_matches_the_page(studio: Any, tmp_path: Path) -> None:
    """
    Styles and scripts are allowed by digest, images from data and files; nothing else.
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
    assert rules["style-src"].split() == [_digest(entry) for entry in style]
    assert rules["script-src"].split() == [_digest(script) for script in scripts]
    assert rules["base-uri"] == rules["form-action"] == "'none'"
    assert not re.search(r"\son[a-z]+=|\sstyle=|https?:(?!//www.w3.org)", text.split("<script>")[0])


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@given(st.lists(strategies.turns, max_size=4), strategies.sessions)
def test_any_record_becomes_valid_json(turns: list[Turn], record: SessionRecord) -> None:
    """
    Any record becomes JSON that can be parsed again.
    """
    outline = Outline(record=record, turns=(), images=(), marks={})
    view = outline, Tree().with_turn(turns)
    data = json.loads(json.dumps(display_payload.to_payload([view], {})))
    assert len(data["turns"]) == len({turn.id for turn in turns})
    assert [entry["id"] for entry in data["turns"]] == sorted(
        entry["id"] for entry in data["turns"]
    )


def test_page_is_self_contained(tmp_path: Path) -> None:
    """
    A page without its library still has all thumbnails.
    """
    with Studio.offline(tmp_path / "library") as studio:
        studio.generate("a teapot")
        page = studio.gallery(tmp_path / "page.html")
    shutil.rmtree(tmp_path / "library")
    assert page_data(page)["turns"][0]["images"][0]["thumb"]
    assert "src=" not in _text(page).split("<script>")[0]
