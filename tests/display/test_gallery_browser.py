"""
The gallery in a real browser: views, keyboard navigation, comparison and copying, and that no text
of a prompt runs as a script.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from imagesession import Studio, errors
from imagesession._display.gallery import parts, writer
from imagesession._fake_openai.faults import Refused
from imagesession.testing import FakeOpenAI, Fault
from tests.display.browser import Opened, launch_browser, needs_axe, needs_chromium, opened
from tests.display.payloads import PAYLOADS, RUNNING_SVG

pytestmark = needs_chromium
TAGS = frozenset(
    """a b body button circle code dd details dialog div dl dt figcaption figure footer h1 h2 h3
    head header html img input kbd label li main meta noscript ol option p path pre script section
    select span style summary svg title ul""".split()  # noqa: SIM905 - a list of words is read best as words
)
VIEWS = ("gallery", "filters", "trees", "viewer", "compare", "empty", "nothing")


@attrs.frozen(kw_only=True)
class Pages:
    """
    Galleries of one library, and of an empty one.
    """

    library: Path
    gallery: Path
    session: Path
    empty: Path
    hostile: Path
    hostile_parts: Path


@pytest.fixture(scope="module", name="browser")
def shared_browser() -> Iterator[Browser]:
    """
    One browser for all tests of this module.
    """
    with launch_browser() as browser:
        yield browser


@pytest.fixture(scope="module", name="pages")
def sample_pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """
    Galleries of a library with branches, a refusal, an edit, an animation and an SVG.
    """
    root = tmp_path_factory.mktemp("galleries")
    provider = FakeOpenAI()
    with Studio.offline(root / "library", provider=provider) as studio:
        studio.images.import_file(RUNNING_SVG, prompt="a green square")
        tea = studio.session("A logo for a tea shop", name="Tea logo")
        first = tea.generate("a minimalist teapot logo")
        tea.generate("more geometric")
        tea.generate("a horizontal version", size="3072x1024")
        first.branch("warm version").generate("warmer colours")
        provider.enqueue_fault(
            Fault(path="/responses", outcome=Refused(text="I cannot draw that."))
        )
        with pytest.raises(errors.RefusalError):
            tea.generate("what is turned down")
        guitar = studio.session("Shop photographs", name="Catalogue").product("blue guitar")
        guitar.star()
        guitar.tag("shop", "<b>")
        office = studio.generate("an office", size="1536x1024", image_model="gpt-image-2")
        studio.edit("paint the wall green", image=office)
        studio.generate("a spinner", output_format="gif", frames=2)
        gallery = studio.gallery(root / "gallery.html")
        session = tea.gallery(root / "session.html")
    with Studio.offline(root / "nothing") as studio:
        empty = studio.gallery(root / "empty.html")
    hostile, hostile_parts = _write_hostile(root)
    return Pages(
        library=root / "library",
        gallery=gallery,
        session=session,
        empty=empty,
        hostile=hostile,
        hostile_parts=hostile_parts,
    )


def _write_hostile(root: Path) -> tuple[Path, Path]:
    """
    Write the galleries of a library in which every text is an attack: as one page, and in parts.
    """
    provider = FakeOpenAI()
    with Studio.offline(root / "hostile", provider=provider, retry_timeout=0) as studio:
        name = root / "\"><img src=x onerror='window.ran=1'>.png"
        Image.new("RGB", (40, 40), "red").save(name)
        studio.images.import_file(name)
        studio.images.import_file(RUNNING_SVG, prompt="an SVG that would run")
        for number, payload in enumerate(PAYLOADS):
            session = studio.session(payload, name=payload if number % 2 else None)
            image = session.generate(payload)
            image.branch(payload).generate(f"more {payload}")
            with contextlib.suppress(errors.InvalidRequestError):  # a tag is one line of text
                image.tag(payload)
            provider.enqueue_fault(Fault(path="/responses", outcome=Refused(text=payload)))
            with pytest.raises(errors.RefusalError):
                session.generate(payload)
        studio.product("<img src=x onerror=window.ran=1>")
        whole = studio.gallery(root / "hostile.html")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(writer, "LARGE", 9)
            patch.setattr(parts, "TURNS", 9)
            return whole, studio.gallery(root / "hostile in parts.html")


@pytest.fixture(name="gallery")
def opened_gallery(browser: Browser, pages: Pages) -> Iterator[Opened]:
    """
    The library's gallery in the browser; fails if any problem occurred in it.
    """
    with opened(browser, pages.gallery) as gallery:
        yield gallery
        assert gallery.problems == []


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """
    Serves a folder without a log.
    """

    def log_message(self, format: str, *args: object) -> None:
        """
        Log nothing.
        """


def open_card(gallery: Opened, prompt_of_focus: str) -> None:
    """
    Open the image whose card contains a text.
    """
    gallery.page.locator("#content li", has_text=prompt_of_focus).first.locator(".frame").click()
    gallery.page.wait_for_selector("#viewer[open]")


# --- overview ---------------------------------------------------------------------------------


def test_all_images_are_shown(gallery: Opened) -> None:
    """
    Every image of the library is on the page, the latest first, loaded and with its prompt.
    """
    expect(gallery.page.locator("#content .card")).to_have_count(9)
    for picture in gallery.page.locator("#content img").all():
        picture.scroll_into_view_if_needed()
        assert picture.evaluate("at => at.decode().then(() => at.naturalWidth)") > 0
    cards = gallery.page.locator("#content .card")
    expect(cards.first.locator(".said")).to_have_text("a spinner")
    expect(cards.first.locator("img")).to_have_attribute("alt", "Sketch: a spinner")
    expect(cards.last.locator("img")).to_have_attribute("alt", "Image: a green square")
    assert "9 images · 2 sessions" in gallery.page.locator("#sum").inner_text()


def test_sketches_are_labelled(gallery: Opened) -> None:
    """
    The offline provider's images are called sketches, on the page and beside each image.
    """
    assert "8 of them sketches" in gallery.page.locator("#sum").inner_text()
    open_card(gallery, "an office")
    assert "not a model's work" in gallery.page.locator("#panel").inner_text()


def test_search_finds_words_of_prompts(gallery: Opened) -> None:
    """
    Typing filters the page by all words; Escape shows everything again.
    """
    gallery.page.keyboard.press("/")
    assert gallery.focused() == "search"
    gallery.page.keyboard.type("guitar BLUE")
    expect(gallery.page.locator("#content .said")).to_have_text(["blue guitar"])
    expect(gallery.page.locator("#status")).to_have_text("1 of 9 images")
    gallery.page.keyboard.press("Escape")
    expect(gallery.page.locator("#content .card")).to_have_count(9)
    expect(gallery.page.locator("#status")).to_be_empty()


def test_search_without_results_says_so(gallery: Opened) -> None:
    """
    A search without results says so, and offers to show all images.
    """
    gallery.page.fill("#search", "zeppelin")
    gallery.page.get_by_role("button", name="Show all").click()
    expect(gallery.page.locator("#content .card")).to_have_count(9)


def test_filter_by_kind_and_session(gallery: Opened) -> None:
    """
    The page can be filtered by kind, by session, and by standalone images.
    """
    gallery.page.click("#filters")
    gallery.page.select_option("#kind", "edit")
    expect(gallery.page.locator("#content .said")).to_have_text(["paint the wall green"])
    gallery.page.select_option("#kind", "")
    gallery.page.select_option("#session", label="Tea logo")
    expect(gallery.page.locator("#content .card")).to_have_count(4)
    gallery.page.select_option("#session", label="Standalone images")
    expect(gallery.page.locator("#content .card")).to_have_count(4)
    expect(gallery.page.locator("#filters")).to_have_text("Filters (1)")
    gallery.page.click("#clear")
    expect(gallery.page.locator("#content .card")).to_have_count(9)


def test_filter_by_model_and_day(gallery: Opened) -> None:
    """
    The page can be filtered by chat model, by image model, and by days, of which both ends count.
    """
    page = gallery.page
    page.click("#filters")
    page.select_option("#model", "gpt-image-2")
    expect(page.locator("#content .said")).to_have_text(["an office"])
    page.click("#clear")
    today = page.evaluate("dayOf(data.turns[0])")
    page.fill("#from", today)
    page.fill("#to", today)
    expect(page.locator("#content .card")).to_have_count(9)
    page.fill("#to", "2020-02-02")
    expect(page.locator(".empty")).to_contain_text("Nothing matches")


def test_stars_are_kept_in_the_browser(gallery: Opened) -> None:
    """
    A star that is set by key or click is still there after a reload, is filtered by, and can be
    copied as a call; taken away again, nothing is left to copy.
    """
    page = gallery.page
    page.locator("#content .frame").first.focus()
    page.keyboard.press("s")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    page.click("#starred")
    expect(page.locator("#content .said")).to_have_text(["a spinner", "blue guitar"])
    expect(page.locator("#own-stars p")).to_have_text("1 star set in this browser")
    star = page.locator("#content .star").first
    expect(star).to_have_attribute("aria-pressed", "true")
    star.click()
    expect(page.locator("#own-stars")).to_be_hidden()


def test_filter_by_tag(gallery: Opened) -> None:
    """
    The tags of the library are filtered by: from the list, and from an image that has them.
    """
    page = gallery.page
    page.click("#filters")
    page.select_option("#tag", "<b>")
    expect(page.locator("#content .said")).to_have_text(["blue guitar"])
    open_card(gallery, "blue guitar")
    page.locator("#panel").get_by_role("button", name="shop").click()
    expect(page.locator("#tag")).to_have_value("shop")
    expect(page.locator("#content .said")).to_have_text(["blue guitar"])


def test_any_two_images_are_compared(gallery: Opened) -> None:
    """
    Two images of different sessions are chosen and compared: side by side if they differ in shape,
    or under a slider; a third choice replaces the first.
    """
    page = gallery.page
    for prompt in ("blue guitar", "a minimalist teapot logo", "an office"):
        page.locator("#content .card", has_text=prompt).locator(".frame").focus()
        page.keyboard.press("x")
    expect(page.locator("#picked .step img")).to_have_count(2)
    page.click("#compare-picked")
    expect(page.locator("#stage figcaption")).to_contain_text(["minimalist teapot", "an office"])
    page.get_by_role("button", name="Side by side").click()
    expect(page.locator(".earlier")).to_have_attribute("alt", "Sketch: a minimalist teapot logo")
    expect(page.locator("#stage .tag")).to_have_text(["First", "Second"])
    page.keyboard.press("Escape")
    page.click("#clear-picked")
    expect(page.locator("#picked")).to_be_hidden()


def test_wide_images_are_shown_whole(gallery: Opened) -> None:
    """
    A banner three times as wide as high is not cropped: not in rows, trees, or its line.
    """
    page = gallery.page
    ratio = "at => { const box = at.getBoundingClientRect(); return box.width / box.height; }"
    card = page.locator("#content .card", has_text="a horizontal version")
    assert card.locator(".frame").evaluate(ratio) == pytest.approx(3, rel=0.02)
    page.click("#show-trees")
    page.locator(".node", has_text="a horizontal version").locator(".frame").click()
    for picture in page.locator(".frame img, .step img").all():
        assert picture.evaluate("at => getComputedStyle(at).objectFit") == "contain"


def test_sessions_are_shown_as_trees(gallery: Opened) -> None:
    """
    A session is shown as a tree with marked heads, lines between turns, and refusals.
    """
    gallery.page.click("#show-trees")
    tea = gallery.page.locator(".session", has_text="Tea logo")
    expect(tea.locator(".node")).to_have_count(5)
    expect(tea.locator(".branches > svg path")).to_have_count(4)
    assert sorted(tea.locator(".head").all_inner_texts()) == ["main", "warm version"]
    tea.locator(".failed").click()
    assert "I cannot draw that." in gallery.page.locator("#panel").inner_text()


def test_session_page_starts_with_its_tree(browser: Browser, pages: Pages) -> None:
    """
    The page of one session has its name as heading and shows its tree.
    """
    with opened(browser, pages.session) as gallery:
        expect(gallery.page.locator("h1")).to_have_text("Tea logo")
        expect(gallery.page.locator(".node")).to_have_count(5)
        expect(gallery.page.locator("#show-trees")).to_have_attribute("aria-pressed", "true")
        expect(gallery.page.locator("#show-trees")).to_have_text("Tree")
        assert gallery.problems == []


def test_empty_library_says_what_to_do(browser: Browser, pages: Pages) -> None:
    """
    Without images the page says how to generate the first one.
    """
    with opened(browser, pages.empty) as gallery:
        expect(gallery.page.locator(".empty")).to_contain_text("studio.generate(")
        assert gallery.problems == []


# --- one image --------------------------------------------------------------------------------


def test_image_shows_its_file_and_facts(gallery: Opened, pages: Pages) -> None:
    """
    An opened image is shown from its own file, with its size, cost and code snippet.
    """
    open_card(gallery, "paint the wall green")
    expect(gallery.page.locator("#stage img")).to_have_attribute("src", re.compile(r"^\./library/"))
    source = gallery.page.locator("#stage img").get_attribute("src") or ""
    assert (pages.library.parent / source).is_file()
    panel = gallery.page.locator("#panel").inner_text()
    for fact in ("1536 × 1024", "PNG", "nothing; with a key $", 'studio.edit("paint the wall'):
        assert fact in panel


def test_svg_is_shown_only_as_an_image(gallery: Opened) -> None:
    """
    An SVG is shown only in an img element, where no script runs, without a link to its file.
    """
    open_card(gallery, "a green square")
    source = gallery.page.locator("#stage img").get_attribute("src") or ""
    assert source.endswith(".svg")
    assert gallery.count("#panel a") == 0
    assert gallery.count("#content svg rect, #stage svg") == 0


def test_two_images_of_a_line_are_compared(gallery: Opened) -> None:
    """
    The slider starts with the previous image, is moved by keys, and compares any two of the line.
    """
    page = gallery.page
    page.click("#show-trees")
    page.locator(".node", has_text="a horizontal version").locator(".frame").click()
    page.keyboard.press("b")
    expect(page.get_by_label("Before", exact=True).locator("option:checked")).to_contain_text(
        "more geometric"
    )
    page.get_by_role("button", name="Side by side").click()
    page.get_by_role("slider").focus()
    assert page.get_by_role("slider").evaluate("at => at === document.activeElement")
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    cut = page.locator(".earlier").evaluate("at => getComputedStyle(at).clipPath")
    assert cut == "inset(0px 30% 0px 0px)"
    page.get_by_label("Before", exact=True).select_option(index=0)
    expect(page.locator(".earlier")).to_have_attribute("alt", "Sketch: a minimalist teapot logo")
    assert page.locator("#lineage option").count() == 6


def test_edit_is_compared_with_its_source(gallery: Opened) -> None:
    """
    A standalone edit is compared with the image that it was made from, on the left.
    """
    open_card(gallery, "paint the wall green")
    gallery.page.click("#compare")
    expect(gallery.page.locator(".earlier")).to_have_attribute("alt", "Sketch: an office")


def test_texts_are_copied(browser: Browser, pages: Pages) -> None:
    """
    A key copies the code snippet to the clipboard; buttons copy the prompt, the id, and the stars
    as a call.
    """
    with opened(
        browser, pages.gallery, permissions=["clipboard-read", "clipboard-write"]
    ) as gallery:
        open_card(gallery, "an office")
        gallery.page.keyboard.press("c")
        expect(gallery.page.locator(".call .copy")).to_have_text("Copied")
        copied = gallery.page.evaluate("navigator.clipboard.readText()")
        assert copied == gallery.page.evaluate("callOf(current().turn)")
        assert copied.startswith('studio.generate("an office", image_model="gpt-image-2", size=')
        image_id = gallery.page.evaluate("current().image.id")
        for name, text in (("Copy prompt", "an office"), ("Copy id", image_id)):
            gallery.page.get_by_role("button", name=name).click()
            expect(gallery.page.get_by_role("button", name="Copied").last).to_be_visible()
            assert gallery.page.evaluate("navigator.clipboard.readText()") == text
        gallery.page.keyboard.press("s")
        gallery.page.keyboard.press("Escape")
        gallery.page.click("#copy-stars")
        expect(gallery.page.locator("#copy-stars")).to_have_text("Copied")
        copied = gallery.page.evaluate("navigator.clipboard.readText()")
    with Studio.offline(pages.library) as studio:
        exec(copied, {"studio": studio})  # noqa: S102 - that is what it is for
        assert studio.images.get(image_id).starred
        studio.images.get(image_id).unstar()


def test_image_is_downloaded(browser: Browser, pages: Pages) -> None:
    """
    From a web server, an image is downloaded under its own name; from a disk, where browsers do
    not save copies, its file is opened, and its whole path is shown.
    """
    folder = str(pages.gallery.parent)
    handler = functools.partial(QuietHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/{pages.gallery.name}")
        page.locator("#content li", has_text="an office").first.locator(".frame").click()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").click()
        saved = Path(download.value.path()).read_bytes()
        page.close()
        server.shutdown()
    file = pages.library / "general" / download.value.suggested_filename
    assert file.read_bytes() == saved
    with opened(browser, pages.gallery) as gallery:
        open_card(gallery, "an office")
        expect(gallery.page.get_by_role("link", name="Open the file")).to_be_visible()
        expect(gallery.page.locator(".path code")).to_have_text(str(file))


def test_reduced_motion_pauses_animations(browser: Browser, pages: Pages) -> None:
    """
    With reduced motion an animation shows its first frame, and a button plays it.
    """
    with opened(browser, pages.gallery, reduced_motion="reduce") as gallery:
        open_card(gallery, "a spinner")
        picture = gallery.page.locator("#stage img")
        assert (picture.get_attribute("src") or "").startswith("data:image/webp")
        gallery.page.get_by_role("button", name="Play").click()
        expect(picture).to_have_attribute("src", re.compile(r"\.gif$"))


def test_thumbnails_remain_without_the_files(
    browser: Browser, pages: Pages, tmp_path: Path
) -> None:
    """
    A page that was moved away from its library shows thumbnails, and says what is missing.
    """
    moved = Path(shutil.copy(pages.gallery, tmp_path / "moved.html"))
    with opened(browser, moved) as gallery:
        open_card(gallery, "an office")
        expect(gallery.page.locator(".remark")).to_contain_text("not where it was")
        assert gallery.page.locator("#stage img").evaluate("at => at.naturalWidth") > 0


# --- keyboard ---------------------------------------------------------------------------------


def test_keyboard_navigation_in_rows(gallery: Opened) -> None:
    """
    Arrows move between images, Enter opens one, arrows page on, and Escape returns.
    """
    page = gallery.page
    prompt_of_focus = "at => at.closest('li')?.querySelector('.said').textContent"
    page.locator("#content .frame").first.focus()
    page.keyboard.press("ArrowRight")
    assert gallery.focused(prompt_of_focus) == "paint the wall green"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.locator("#asked")).to_have_text("a spinner")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#asked")).to_have_text("paint the wall green")
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).not_to_be_visible()
    assert gallery.focused(prompt_of_focus) == "paint the wall green"


def test_keyboard_navigation_in_trees(gallery: Opened) -> None:
    """
    In a tree, right moves to the child, left to the parent, down to the next branch.
    """
    page = gallery.page
    page.click("#show-trees")
    prompt_of_focus = "at => at.closest('li')?.querySelector('.said').textContent"
    page.locator(".node", has_text="a minimalist teapot logo").locator(".frame").focus()
    page.keyboard.press("ArrowRight")
    assert gallery.focused(prompt_of_focus) == "more geometric"
    page.keyboard.press("ArrowDown")
    assert gallery.focused(prompt_of_focus) == "warmer colours"
    page.keyboard.press("ArrowLeft")
    assert gallery.focused(prompt_of_focus) == "a minimalist teapot logo"
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#asked")).to_have_text("warmer colours")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#asked")).to_have_text("a minimalist teapot logo")


def test_browser_back_closes_an_image(gallery: Opened) -> None:
    """
    The browser's back button closes an image, and its URL opens it again.
    """
    open_card(gallery, "an office")
    address = gallery.page.url
    gallery.page.go_back()
    expect(gallery.page.locator("#viewer")).not_to_be_visible()
    gallery.page.goto(address)
    expect(gallery.page.locator("#asked")).to_have_text("an office")


# --- theme and size ---------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_theme_follows_the_system_and_the_button(
    browser: Browser, pages: Pages, scheme: str
) -> None:
    """
    The page follows the system's theme; the button switches it, and the choice is remembered.
    """
    is_light = "parseInt(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]) > 127"
    with opened(browser, pages.gallery, color_scheme=scheme) as gallery:
        assert gallery.page.evaluate(is_light) == (scheme == "light")
        gallery.page.click("#theme")
        assert gallery.page.evaluate(is_light) == (scheme == "dark")
        gallery.page.reload()
        gallery.page.wait_for_selector("html[data-ready]")
        assert gallery.page.evaluate(is_light) == (scheme == "dark")


@pytest.mark.parametrize("width", [320, 390, 768, 1440])
def test_every_width_fits(browser: Browser, pages: Pages, width: int) -> None:
    """
    No view is wider than the window, on phones and desktops.
    """
    wide = "document.documentElement.scrollWidth"
    with opened(browser, pages.gallery, width=width, height=740, has_touch=width < 700) as gallery:
        for view in ("gallery", "filters", "trees", "viewer", "compare"):
            open_view(gallery, view)
            assert gallery.page.evaluate(wide) <= width, view
        box = gallery.page.locator("#stage img").first.bounding_box()
        assert box is not None
        assert box["width"] > min(width, 500) * 0.6


def open_view(gallery: Opened, view: str) -> None:
    """
    Switch the page to one of its views.
    """
    if view == "filters":
        gallery.page.click("#filters")
        gallery.page.locator("#content .frame").first.focus()
        gallery.page.keyboard.press("s")
        gallery.page.keyboard.press("x")
    elif view == "trees":
        gallery.page.click("#show-trees")
    elif view == "viewer":
        gallery.page.click("#show-images")
        open_card(gallery, "paint the wall green")
    elif view == "compare":
        if not gallery.count("#viewer[open]"):
            open_view(gallery, "viewer")
        gallery.page.click("#compare")
    elif view == "nothing":
        gallery.page.fill("#search", "zeppelin")
        gallery.page.wait_for_selector(".empty")


@needs_axe
@pytest.mark.parametrize("scheme, width", [("light", 1280), ("dark", 1280), ("light", 390)])
@pytest.mark.parametrize("view", VIEWS)
def test_page_is_accessible(
    browser: Browser, pages: Pages, scheme: str, width: int, view: str
) -> None:
    """
    axe-core finds no violation, in light and dark, in any view.
    """
    page = pages.empty if view == "empty" else pages.gallery
    with opened(
        browser, page, width=width, color_scheme=scheme, reduced_motion="reduce"
    ) as gallery:
        open_view(gallery, view)
        assert gallery.accessibility_violations() == []


# --- no script runs ---------------------------------------------------------------------------


@pytest.mark.parametrize("page_name", ["hostile", "hostile_parts"])
def test_no_payload_runs(browser: Browser, pages: Pages, page_name: str) -> None:
    """
    Scripts and elements in prompts, names, file names and messages stay text in every view: nothing
    runs, is fetched, or becomes an element.
    """
    with opened(browser, getattr(pages, page_name)) as gallery:
        page = gallery.page
        for view in ("#show-images", "#show-trees"):
            page.click(view)
            for _ in range(40):
                page.mouse.wheel(0, 4000)
            _check_untouched(gallery)
        page.locator(".node .frame").first.click()
        count = int(page.locator("#count").inner_text().split(" of ")[1])
        assert count >= 3
        ids = page.evaluate("Promise.all(parts.map(load)).then(() => [...turns.keys()])")
        assert len(ids) == 3 * len(PAYLOADS) + 3
        for turn_id in ids:
            page.evaluate("id => { goTo(turns.get(id).stops[0]); compare(); }", turn_id)
            _check_untouched(gallery)
        for payload in PAYLOADS:
            page.evaluate("words => look({text: words})", payload)
            _check_untouched(gallery)
        assert gallery.problems == []


def test_policy_blocks_injected_scripts(browser: Browser, pages: Pages) -> None:
    """
    Even if markup got into the page, the browser would not insert or fetch it.
    """
    with opened(browser, pages.gallery) as gallery:
        raised = gallery.page.evaluate(
            "() => { try { document.body.innerHTML = '<b>x</b>'; } catch (error) {"
            " return error.name; } }"
        )
        assert raised == "TypeError"
        with (
            gallery.page.expect_event("requestfailed") as failed,
            gallery.page.expect_console_message(
                lambda message: "Content Security Policy" in message.text
            ),
        ):
            gallery.page.evaluate(
                "() => { const at = document.createElement('img');"
                " at.src = 'https://elsewhere.example/x.png'; document.body.append(at); }"
            )
        assert failed.value.failure == "csp"


def _check_untouched(gallery: Opened) -> None:
    found = gallery.page.evaluate(
        """() => {
          const all = [...document.querySelectorAll('*')];
          return {
            ran: window.ran,
            tags: [...new Set(all.map(at => at.localName))],
            handlers: all.flatMap(at => at.getAttributeNames()).filter(at => at.startsWith('on')),
            scripts: document.scripts.length,
            addresses: all.flatMap(at => [at.getAttribute('src'), at.getAttribute('href')])
              .filter(at => at && !/^(data:image.(webp|svg.xml);base64,|[.][/]|#|file:)/.test(at)),
          };
        }"""
    )
    assert found["ran"] is None
    assert set(found["tags"]) <= TAGS
    assert found["handlers"] == found["addresses"] == []
    assert found["scripts"] == 6
