"""
The gallery of a large library: its turns are in parts beside the page, which are written once and
loaded as they are needed.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from imagesession import Studio
from imagesession._display.gallery import parts, writer
from tests.display.browser import Opened, launch_browser, needs_chromium, opened
from tests.display.payloads import PAYLOADS, RUNNING_SVG
from tests.display.test_gallery import page_data


@pytest.fixture(autouse=True)
def tiny_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    More than two images are a large library, and a part has two turns.
    """
    monkeypatch.setattr(writer, "LARGE", 2)
    monkeypatch.setattr(parts, "TURNS", 2)


def part_files(page: Path) -> dict[str, Path]:
    """
    Return the files of a page's parts by their names.
    """
    return {file.name: file for file in parts.folder_of(page).iterdir()}


def part_data(file: Path) -> dict[str, Any]:
    """
    Return the data in a part, which is one call with two texts.
    """
    found = re.fullmatch(
        r'//[^\n]*\narrive\("([0-9a-f]{24}\.js)",(".*")\);\n', file.read_text("ascii")
    )
    assert found is not None
    assert found[1] == file.name
    return dict(json.loads(json.loads(found[2])))


# --- writing ----------------------------------------------------------------------------------


def test_parts_hold_every_turn_once(studio: Any, tmp_path: Path) -> None:
    """
    Each turn is in one part, a session's together; the page itself has none, but their facts.
    """
    session = studio.session("A logo", name="Logo")
    images = [session.generate("a teapot"), session.generate("bluer"), session.generate("rounder")]
    images += [studio.generate(prompt) for prompt in ("a fox", "a lake", "a house")]
    page = studio.gallery(tmp_path / "page.html")
    written = [part_data(file) for file in part_files(page).values()]
    turns = [[turn["id"] for turn in data["turns"]] for data in written]
    assert sorted(turn for ids in turns for turn in ids) == [image.turn.id for image in images]
    assert [image.turn.id for image in images[:3]] in turns
    data = page_data(page)
    assert data["turns"] == []
    assert [entry["name"] for entry in data["sessions"]] == ["Logo"]
    assert sum(part["images"] for part in data["parts"]) == len(images)
    assert {part["file"] for part in data["parts"]} == set(part_files(page))


def test_unchanged_parts_are_written_once(studio: Any, tmp_path: Path) -> None:
    """
    After a new turn, only its part is written; the one that it replaces is removed, and another's
    file in the folder stays.
    """
    sessions = [studio.session(f"Logo {number}") for number in range(3)]
    for session in sessions:
        session.generate("a teapot")
        session.generate("bluer")
    page = studio.gallery(tmp_path / "page.html")
    before = {name: file.stat().st_ino for name, file in part_files(page).items()}
    (parts.folder_of(page) / "mine.txt").write_text("mine")
    sessions[-1].generate("rounder")
    studio.gallery(page)
    after = {name: file.stat().st_ino for name, file in part_files(page).items()}
    assert len(before) == 3
    assert len(before.items() & after.items()) == 2
    assert len(after) == 3 + 1
    assert (parts.folder_of(page) / "mine.txt").read_text() == "mine"


def test_starred_image_is_written_again(studio: Any, tmp_path: Path) -> None:
    """
    A part is written again when an image in it gets a star, in a session or outside; a deleted
    image is no more in its part.
    """
    session = studio.session("A logo", name="Old")
    inside = [session.generate("a teapot"), session.generate("bluer")]
    alone = [studio.generate("a lake"), studio.generate("a house")]
    page = studio.gallery(tmp_path / "page.html")
    for image in (inside[0], alone[0]):
        image.star()
    for image in (inside[1], alone[1]):
        studio.images.delete(image.id)
    session.generate("rounder")
    written = [part_data(file) for file in part_files(studio.gallery(page)).values()]
    images = [image for data in written for turn in data["turns"] for image in turn["images"]]
    assert sorted(image["id"] for image in images if image.get("starred")) == [
        inside[0].id,
        alone[0].id,
    ]
    assert len(images) == 3
    assert sum(part["starred"] for part in page_data(page)["parts"]) == 2


def test_renamed_session_is_written_again(studio: Any, tmp_path: Path) -> None:
    """
    A part is written again when a session in it is changed.
    """
    session = studio.session("A logo", name="Old")
    for prompt in ("a teapot", "bluer", "rounder"):
        session.generate(prompt)
    page = studio.gallery(tmp_path / "page.html")
    session.update(name="New")
    (file,) = part_files(studio.gallery(page)).values()
    assert part_data(file)["sessions"][0]["name"] == "New"


def test_parts_of_a_page_that_needs_none_are_removed(
    studio: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A page that holds all its images itself has no folder beside it.
    """
    for prompt in ("a fox", "a lake", "a house"):
        studio.generate(prompt)
    page = studio.gallery(tmp_path / "page.html")
    assert parts.folder_of(page).is_dir()
    monkeypatch.setattr(writer, "LARGE", 3)
    assert len(page_data(studio.gallery(page))["turns"]) == 3
    assert not parts.folder_of(page).exists()


def test_payloads_stay_text(studio: Any, tmp_path: Path) -> None:
    """
    No prompt, name or description leaves the text that a part consists of.
    """
    for payload in PAYLOADS:
        studio.session(payload, name=payload).generate(payload)
    written = [
        part_data(file) for file in part_files(studio.gallery(tmp_path / "page.html")).values()
    ]
    assert {turn["prompt"] for data in written for turn in data["turns"]} == set(PAYLOADS)
    assert {entry["name"] for data in written for entry in data["sessions"]} == set(PAYLOADS)


# --- in a browser -----------------------------------------------------------------------------


@pytest.fixture(scope="module", name="browser")
def shared_browser() -> Iterator[Browser]:
    """
    One browser for all tests of this module.
    """
    with launch_browser() as browser:
        yield browser


@pytest.fixture(name="gallery")
def opened_gallery(browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    """
    The gallery of three sessions, and standalone images of which the last is an edit of the first.
    """
    with Studio.offline(tmp_path / "library") as studio:
        studio.images.import_file(RUNNING_SVG, prompt="a green square")
        fox = studio.generate("a fox")
        for name in ("Tea", "Coffee", "Milk"):
            session = studio.session(f"A logo for {name}", name=name)
            session.generate(f"a {name} pot")
            session.generate("bluer")
        studio.generate("a lake")
        studio.edit("with a hat", image=fox)
        page = studio.gallery(tmp_path / "page.html")
    with opened(browser, page) as gallery:
        yield gallery
        assert gallery.problems == []


@needs_chromium
def test_images_of_all_parts_are_shown_in_order(gallery: Opened) -> None:
    """
    All images are shown, the latest first, from their files; SVG by its thumbnail.
    """
    prompts = ["with a hat", "a lake", "bluer", "a Milk pot", "bluer", "a Coffee pot", "bluer"]
    prompts += ["a Tea pot", "a fox", "a green square"]
    expect(gallery.page.locator("#content .said")).to_have_text(prompts)
    for picture in gallery.page.locator("#content img").all():
        picture.scroll_into_view_if_needed()
        assert picture.evaluate("at => at.decode().then(() => at.naturalWidth)") > 0
    svg = gallery.page.locator("#content li", has_text="a green square").locator("img")
    assert (svg.get_attribute("src") or "").startswith("data:image/webp")
    assert "10 images · 3 sessions" in gallery.page.locator("#sum").inner_text()


@needs_chromium
def test_search_and_filters_look_into_all_parts(gallery: Opened) -> None:
    """
    Words are searched in every part, and a session's filter loads its own.
    """
    gallery.page.fill("#search", "blue")
    expect(gallery.page.locator("#status")).to_have_text("3 of 10 images")
    gallery.page.fill("#search", "")
    gallery.page.click("#filters")
    gallery.page.select_option("#session", label="Coffee")
    expect(gallery.page.locator("#content .said")).to_have_text(["bluer", "a Coffee pot"])
    expect(gallery.page.locator("#status")).to_have_text("2 of 10 images")


@needs_chromium
def test_trees_of_all_parts_are_shown(gallery: Opened) -> None:
    """
    Sessions are shown as trees, the latest first, and the standalone images after them.
    """
    gallery.page.click("#show-trees")
    titles = ["Milk", "Coffee", "Tea", "Standalone images"]
    expect(gallery.page.locator(".session h2")).to_have_text(titles)
    expect(gallery.page.locator(".session .card")).to_have_count(4)


@needs_chromium
def test_address_of_an_image_loads_its_part_and_origin(gallery: Opened) -> None:
    """
    The address of an image opens it, and the image that it was made from, in another part, is
    there to be compared.
    """
    page = gallery.page
    page.locator("#content li", has_text="with a hat").locator(".frame").click()
    page.reload()
    expect(page.locator("#asked")).to_have_text("with a hat")
    expect(page.locator("#lineage .step img")).to_have_count(2)
    page.keyboard.press("b")
    expect(page.locator(".earlier")).to_have_attribute("alt", "Sketch: a fox")


@needs_chromium
def test_missing_folder_is_reported(browser: Browser, gallery: Opened, tmp_path: Path) -> None:
    """
    A page without its folder says what is missing.
    """
    assert gallery.count("#content .card")
    lonely = Path(shutil.copy(tmp_path / "page.html", tmp_path / "lonely"))
    moved = lonely.rename(lonely.with_suffix(".html"))
    shutil.move(tmp_path / "page-data", tmp_path / "elsewhere")
    with opened(browser, moved) as shown:
        expect(shown.page.locator("#status")).to_contain_text("Keep that folder beside this page")
