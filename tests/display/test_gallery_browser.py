"""
The gallery in a real browser: what people see, walk by keys, compare and copy, and that nothing
which somebody wrote into a prompt runs.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from imagesession import Studio, errors
from imagesession._fake_openai.faults import Refused
from imagesession.testing import FakeOpenAI, Fault
from tests.display.browser import Opened, browsing, needs_axe, needs_chromium, opened
from tests.display.payloads import PAYLOADS, RUNNING_SVG

pytestmark = needs_chromium
TAGS = frozenset(
    """a b body button circle code dd details dialog div dl dt footer h1 h2 h3 head header html img
    input kbd label li main meta noscript ol option p path pre script section select span style
    summary svg title ul""".split()  # noqa: SIM905 - a list of words is read best as words
)
SIGHTS = ("gallery", "trees", "viewer", "compare", "empty", "nothing")


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


@pytest.fixture(scope="module", name="browser")
def having_a_browser() -> Iterator[Browser]:
    """
    One browser for all tests of this file.
    """
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module", name="pages")
def writing_pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """
    Galleries of a library with branches, refusals, an edit, an animation and a drawing.
    """
    root = tmp_path_factory.mktemp("galleries")
    provider = FakeOpenAI()
    with Studio.offline(root / "library", provider=provider) as studio:
        studio.images.import_file(RUNNING_SVG, prompt="a green square")
        tea = studio.session("A logo for a tea shop", name="Tea logo")
        first = tea.generate("a minimalist teapot logo")
        tea.generate("more geometric")
        tea.generate("a horizontal version", size="1536x864")
        first.branch("warm version").generate("warmer colours")
        provider.enqueue_fault(Fault(path="/responses", ending=Refused(text="I cannot draw that.")))
        with pytest.raises(errors.RefusalError):
            tea.generate("what is turned down")
        studio.session("Shop photographs", name="Catalogue").product("blue guitar")
        office = studio.generate("an office", size="1536x1024")
        studio.edit("paint the wall green", image=office)
        studio.generate("a spinner", output_format="gif", frames=2)
        gallery = studio.gallery(root / "gallery.html")
        session = tea.gallery(root / "session.html")
    with Studio.offline(root / "nothing") as studio:
        empty = studio.gallery(root / "empty.html")
    hostile = _write_hostile(root)
    return Pages(
        library=root / "library", gallery=gallery, session=session, empty=empty, hostile=hostile
    )


def _write_hostile(root: Path) -> Path:
    """
    Write the gallery of a library whose every word is an attack.
    """
    provider = FakeOpenAI()
    with Studio.offline(root / "hostile", provider=provider, retry_timeout=0) as studio:
        name = root / "\"><img src=x onerror='window.ran=1'>.png"
        Image.new("RGB", (40, 40), "red").save(name)
        studio.images.import_file(name)
        studio.images.import_file(RUNNING_SVG, prompt="an SVG that would run")
        for number, payload in enumerate(PAYLOADS):
            session = studio.session(payload, name=payload if number % 2 else None)
            session.generate(payload).branch(payload).generate(f"more {payload}")
            provider.enqueue_fault(Fault(path="/responses", ending=Refused(text=payload)))
            with pytest.raises(errors.RefusalError):
                session.generate(payload)
        studio.product("<img src=x onerror=window.ran=1>")
        return studio.gallery(root / "hostile.html")


@pytest.fixture(name="shown")
def opening(browser: Browser, pages: Pages) -> Iterator[Opened]:
    """
    The library's gallery, opened; afterwards nothing has gone wrong in it.
    """
    with opened(browser, pages.gallery) as shown:
        yield shown
        assert shown.troubles == []


def card(shown: Opened, words: str) -> None:
    """
    Open the picture of some words.
    """
    shown.page.locator("#content li", has_text=words).first.locator(".frame").click()
    shown.page.wait_for_selector("#viewer[open]")


# --- what is seen -----------------------------------------------------------------------------


def test_all_pictures_are_seen(shown: Opened) -> None:
    """
    Every picture of the library stands on the page, the latest first, loaded and with its words.
    """
    expect(shown.page.locator("#content .card")).to_have_count(9)
    for picture in shown.page.locator("#content img").all():
        picture.scroll_into_view_if_needed()
        assert picture.evaluate("at => at.decode().then(() => at.naturalWidth)") > 0
    cards = shown.page.locator("#content .card")
    expect(cards.first.locator(".said")).to_have_text("a spinner")
    expect(cards.first.locator("img")).to_have_attribute("alt", "Sketch: a spinner")
    expect(cards.last.locator("img")).to_have_attribute("alt", "Picture: a green square")
    assert "9 pictures · 2 sessions" in shown.page.locator("#sum").inner_text()


def test_sketches_say_that_they_are(shown: Opened) -> None:
    """
    What the offline provider drew is called a sketch on the page and beside each picture.
    """
    assert "8 of them sketches" in shown.page.locator("#sum").inner_text()
    card(shown, "an office")
    assert "not a model's work" in shown.page.locator("#panel").inner_text()


def test_a_search_finds_words_of_prompts(shown: Opened) -> None:
    """
    Typing narrows the page to what has all the words; Escape shows everything again.
    """
    shown.page.keyboard.press("/")
    assert shown.focused() == "search"
    shown.page.keyboard.type("guitar BLUE")
    expect(shown.page.locator("#content .said")).to_have_text(["blue guitar"])
    expect(shown.page.locator("#status")).to_have_text("1 of 9 pictures")
    shown.page.keyboard.press("Escape")
    expect(shown.page.locator("#content .card")).to_have_count(9)
    expect(shown.page.locator("#status")).to_be_empty()


def test_what_nothing_matches_says_so(shown: Opened) -> None:
    """
    A search without a find says so, and leads back.
    """
    shown.page.fill("#search", "zeppelin")
    shown.page.get_by_role("button", name="Show all").click()
    expect(shown.page.locator("#content .card")).to_have_count(9)


def test_kinds_and_sessions_narrow(shown: Opened) -> None:
    """
    The page can be narrowed to a kind, to a session, and to pictures of none.
    """
    shown.page.select_option("#kind", "edit")
    expect(shown.page.locator("#content .said")).to_have_text(["paint the wall green"])
    shown.page.select_option("#kind", "")
    shown.page.select_option("#session", label="Tea logo")
    expect(shown.page.locator("#content .card")).to_have_count(4)
    shown.page.select_option("#session", label="Single pictures")
    expect(shown.page.locator("#content .card")).to_have_count(4)


def test_sessions_are_trees(shown: Opened) -> None:
    """
    A session stands as a tree: heads are marked, lines join the turns, and refusals are facts.
    """
    shown.page.click("#show-trees")
    tea = shown.page.locator(".session", has_text="Tea logo")
    expect(tea.locator(".node")).to_have_count(5)
    expect(tea.locator(".branches path")).to_have_count(4)
    assert sorted(tea.locator(".head").all_inner_texts()) == ["main", "warm version"]
    tea.locator(".failed").click()
    assert "I cannot draw that." in shown.page.locator("#panel").inner_text()


def test_a_session_page_begins_with_its_tree(browser: Browser, pages: Pages) -> None:
    """
    The page of one session has its name at the head and shows its tree.
    """
    with opened(browser, pages.session) as shown:
        expect(shown.page.locator("h1")).to_have_text("Tea logo")
        expect(shown.page.locator(".node")).to_have_count(5)
        expect(shown.page.locator("#show-trees")).to_have_attribute("aria-pressed", "true")
        expect(shown.page.locator("#show-trees")).to_have_text("Tree")
        assert shown.troubles == []


def test_an_empty_library_says_what_to_do(browser: Browser, pages: Pages) -> None:
    """
    Without pictures the page says how the first is made.
    """
    with opened(browser, pages.empty) as shown:
        expect(shown.page.locator(".empty")).to_contain_text("studio.generate(")
        assert shown.troubles == []


# --- one picture ------------------------------------------------------------------------------


def test_a_picture_shows_its_file_and_facts(shown: Opened, pages: Pages) -> None:
    """
    Opened, a picture is shown from its own file, with its size, cost and call.
    """
    card(shown, "paint the wall green")
    expect(shown.page.locator("#stage img")).to_have_attribute("src", re.compile(r"^\./library/"))
    source = shown.page.locator("#stage img").get_attribute("src") or ""
    assert (pages.library.parent / source).is_file()
    panel = shown.page.locator("#panel").inner_text()
    for fact in ("1536 × 1024", "PNG", "nothing; with a key $", 'studio.edit("paint the wall'):
        assert fact in panel


def test_drawings_are_never_shown_as_they_lie(shown: Opened) -> None:
    """
    An SVG is shown as an image alone, in which nothing runs, and there is no link to its raw file.
    """
    card(shown, "a green square")
    source = shown.page.locator("#stage img").get_attribute("src") or ""
    assert source.endswith(".svg")
    assert shown.count("#panel a") == 0
    assert shown.count("#content svg rect, #stage svg") == 0


def test_two_pictures_of_a_line_are_laid_over_each_other(shown: Opened) -> None:
    """
    The slider opens on the picture before, is moved by keys, and takes any two of the line.
    """
    page = shown.page
    page.click("#show-trees")
    page.locator(".node", has_text="a horizontal version").locator(".frame").click()
    page.keyboard.press("b")
    expect(page.get_by_label("Before", exact=True).locator("option:checked")).to_contain_text(
        "more geometric"
    )
    assert page.get_by_role("slider").evaluate("at => at === document.activeElement")
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    cut = page.locator(".earlier").evaluate("at => getComputedStyle(at).clipPath")
    assert cut == "inset(0px 30% 0px 0px)"
    page.get_by_label("Before", exact=True).select_option(index=0)
    expect(page.locator(".earlier")).to_have_attribute("alt", "Sketch: a minimalist teapot logo")
    assert page.locator("#lineage option").count() == 6


def test_an_edit_is_compared_with_what_it_changed(shown: Opened) -> None:
    """
    A single edit is laid over the picture that it was made from: left of the slider is the old.
    """
    card(shown, "paint the wall green")
    shown.page.click("#compare")
    expect(shown.page.locator(".earlier")).to_have_attribute("alt", "Sketch: an office")


def test_the_call_is_copied(browser: Browser, pages: Pages) -> None:
    """
    The call that makes a picture again is in the clipboard at a click.
    """
    with opened(browser, pages.gallery, permissions=["clipboard-read", "clipboard-write"]) as shown:
        card(shown, "an office")
        shown.page.keyboard.press("c")
        expect(shown.page.locator(".call .copy")).to_have_text("Copied")
        copied = shown.page.evaluate("navigator.clipboard.readText()")
        assert copied == 'studio.generate("an office", size="1536x1024")'


def test_an_animation_waits_where_motion_is_reduced(browser: Browser, pages: Pages) -> None:
    """
    Who asks for less motion sees an animation's first frame, and plays it by a button.
    """
    with opened(browser, pages.gallery, reduced_motion="reduce") as shown:
        card(shown, "a spinner")
        picture = shown.page.locator("#stage img")
        assert (picture.get_attribute("src") or "").startswith("data:image/webp")
        shown.page.get_by_role("button", name="Play").click()
        expect(picture).to_have_attribute("src", re.compile(r"\.gif$"))


def test_thumbnails_remain_where_the_files_are_gone(
    browser: Browser, pages: Pages, tmp_path: Path
) -> None:
    """
    A page that is carried away alone still shows its pictures, and says what is missing.
    """
    moved = Path(shutil.copy(pages.gallery, tmp_path / "moved.html"))
    with opened(browser, moved) as shown:
        card(shown, "an office")
        expect(shown.page.locator(".remark")).to_contain_text("not where it was")
        assert shown.page.locator("#stage img").evaluate("at => at.naturalWidth") > 0


# --- by keys ----------------------------------------------------------------------------------


def test_pictures_are_walked_by_keys(shown: Opened) -> None:
    """
    Arrows walk from picture to picture, Enter opens, arrows leaf, and Escape comes back.
    """
    page = shown.page
    words = "at => at.closest('li')?.querySelector('.said').textContent"
    page.locator("#content .frame").first.focus()
    page.keyboard.press("ArrowRight")
    assert shown.focused(words) == "paint the wall green"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.locator("#asked")).to_have_text("a spinner")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#asked")).to_have_text("paint the wall green")
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).not_to_be_visible()
    assert shown.focused(words) == "paint the wall green"


def test_trees_are_walked_by_keys(shown: Opened) -> None:
    """
    In a tree, right goes to what grew, left to what it grew on, down to the next line.
    """
    page = shown.page
    page.click("#show-trees")
    words = "at => at.closest('li')?.querySelector('.said').textContent"
    page.locator(".node", has_text="a minimalist teapot logo").locator(".frame").focus()
    page.keyboard.press("ArrowRight")
    assert shown.focused(words) == "more geometric"
    page.keyboard.press("ArrowDown")
    assert shown.focused(words) == "warmer colours"
    page.keyboard.press("ArrowLeft")
    assert shown.focused(words) == "a minimalist teapot logo"
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#asked")).to_have_text("warmer colours")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#asked")).to_have_text("a minimalist teapot logo")


def test_going_back_closes_a_picture(shown: Opened) -> None:
    """
    The browser's own way back closes a picture, and its address opens it again.
    """
    card(shown, "an office")
    address = shown.page.url
    shown.page.go_back()
    expect(shown.page.locator("#viewer")).not_to_be_visible()
    shown.page.goto(address)
    expect(shown.page.locator("#asked")).to_have_text("an office")


# --- light, dark, small -----------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_system_and_the_button(
    browser: Browser, pages: Pages, scheme: str
) -> None:
    """
    The page is light or dark as the system is; the button turns it, and that is remembered.
    """
    ground = "parseInt(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]) > 127"
    with opened(browser, pages.gallery, color_scheme=scheme) as shown:
        assert shown.page.evaluate(ground) == (scheme == "light")
        shown.page.click("#theme")
        assert shown.page.evaluate(ground) == (scheme == "dark")
        shown.page.reload()
        shown.page.wait_for_selector("html[data-ready]")
        assert shown.page.evaluate(ground) == (scheme == "dark")


@pytest.mark.parametrize("width", [320, 390, 768, 1440])
def test_no_width_is_too_small(browser: Browser, pages: Pages, width: int) -> None:
    """
    Nothing sticks out of the page sideways, on phones and desktops, in any of its sights.
    """
    wide = "document.documentElement.scrollWidth"
    with opened(browser, pages.gallery, width=width, height=740, has_touch=width < 700) as shown:
        for sight in ("gallery", "trees", "viewer", "compare"):
            see(shown, sight)
            assert shown.page.evaluate(wide) <= width, sight
        box = shown.page.locator("#stage img").first.bounding_box()
        assert box is not None
        assert box["width"] > min(width, 500) * 0.6


def see(shown: Opened, sight: str) -> None:
    """
    Bring the page to one of its sights.
    """
    if sight == "trees":
        shown.page.click("#show-trees")
    elif sight == "viewer":
        shown.page.click("#show-pictures")
        card(shown, "paint the wall green")
    elif sight == "compare":
        if not shown.count("#viewer[open]"):
            see(shown, "viewer")
        shown.page.click("#compare")
    elif sight == "nothing":
        shown.page.fill("#search", "zeppelin")
        shown.page.wait_for_selector(".empty")


@needs_axe
@pytest.mark.parametrize("scheme, width", [("light", 1280), ("dark", 1280), ("light", 390)])
@pytest.mark.parametrize("sight", SIGHTS)
def test_nobody_is_kept_out(
    browser: Browser, pages: Pages, scheme: str, width: int, sight: str
) -> None:
    """
    axe-core finds no barrier, in light and dark, in the list, the trees, and one picture.
    """
    page = pages.empty if sight == "empty" else pages.gallery
    with opened(browser, page, width=width, color_scheme=scheme, reduced_motion="reduce") as shown:
        see(shown, sight)
        assert shown.barriers() == []


# --- what must not run ------------------------------------------------------------------------


def test_nothing_that_was_written_runs(browser: Browser, pages: Pages) -> None:
    """
    Prompts, names, file names and messages that are scripts and elements stay words, in every
    sight of the page: nothing runs, is fetched, or becomes an element.
    """
    with opened(browser, pages.hostile) as shown:
        page = shown.page
        for view in ("#show-pictures", "#show-trees"):
            page.click(view)
            for _ in range(40):
                page.mouse.wheel(0, 4000)
            _check_untouched(shown)
        page.locator(".node .frame").first.click()
        walked = int(page.locator("#count").inner_text().split(" of ")[1])
        assert walked >= 3
        ids = page.evaluate("data.turns.map(turn => turn.id)")
        assert len(ids) == 3 * len(PAYLOADS) + 3
        for each in ids:
            page.evaluate("id => { goTo(turns.get(id).stops[0]); compare(); }", each)
            _check_untouched(shown)
        for payload in PAYLOADS:
            page.evaluate("words => look({text: words})", payload)
            _check_untouched(shown)
        assert shown.troubles == []


def test_the_policy_holds_by_itself(browser: Browser, pages: Pages) -> None:
    """
    Even if a script or a handler got into the page, the browser would not run or fetch it.
    """
    with opened(browser, pages.gallery) as shown:
        raised = shown.page.evaluate(
            "() => { try { document.body.innerHTML = '<b>x</b>'; } catch (error) {"
            " return error.name; } }"
        )
        assert raised == "TypeError"
        failed: list[str | None] = []
        shown.page.on("requestfailed", lambda item: failed.append(item.failure))
        shown.page.evaluate(
            "() => { const at = document.createElement('img');"
            " at.src = 'https://elsewhere.example/x.png'; document.body.append(at); }"
        )
        shown.page.wait_for_timeout(200)
        assert failed == ["csp"]
        assert any("Content Security Policy" in fault for fault in shown.troubles)


def _check_untouched(shown: Opened) -> None:
    found = shown.page.evaluate(
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
