"""
Pictures and libraries show themselves in a notebook: small, safe, and in place while they come.
"""

from __future__ import annotations

import asyncio
import base64
import io
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import attrs
import pytest
from PIL import Image

from imagesession import AsyncStudio, PartialImage, SavedImage, Studio, show
from imagesession._display import notebook, overview
from imagesession.errors import InvalidRequestError, RefusalError
from imagesession.testing import FakeOpenAI
from tests.display.browser import browsing, needs_chromium
from tests.display.payloads import PAYLOADS, RUNNING_SVG
from tests.display.test_filmstrip import check_harmless
from tests.kernels import cells, run

SETTING = (
    "from imagesession import AsyncStudio, Studio, show\n"
    "studio = Studio.offline('library', quality='low')\n"
    "other = AsyncStudio.offline('library', quality='low')"
)


def bundle(thing: Any) -> dict[str, Any]:
    """
    Return what a thing shows of itself.
    """
    shown, reported = thing._repr_mimebundle_()
    assert set(reported) <= set(shown)
    return dict(shown)


def picture_of(shown: dict[str, Any]) -> Image.Image:
    """
    Open the picture that is shown.
    """
    (kind,) = (text for text in shown if text.startswith("image/"))
    picture = Image.open(io.BytesIO(base64.b64decode(shown[kind])))
    assert Image.MIME[str(picture.format)] == kind
    return picture


# --- pictures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options,size",
    [
        ({}, (512, 512)),
        ({"size": "1536x864"}, (512, 288)),
        ({"size": "1024x1536"}, (341, 512)),
        ({"output_format": "webp", "background": "transparent"}, (512, 512)),
        ({"output_format": "jpeg"}, (512, 512)),
    ],
)
def test_pictures_show_themselves_small(
    studio: Any, options: dict[str, Any], size: tuple[int, int]
) -> None:
    """
    A picture of either twin is shown at most 512 pixels wide and high, and is light; its words
    stand beside it.
    """
    chosen = {"size": "1024x1024", **options}
    image = studio.generate("a fox in a forest", quality="low", **chosen)
    shown = bundle(image)
    assert picture_of(shown).size == size
    assert shown["text/plain"] == repr(image)
    assert sum(map(len, shown.values())) < 150_000


def test_light_animations_move_and_heavy_ones_stand_still(studio: Any) -> None:
    """
    An animation is shown as it is while that is light, and by its first frame otherwise.
    """
    moving = studio.generate(
        "a fox", quality="low", size="1024x1024", output_format="gif", frames=3
    )
    shown, reported = moving._repr_mimebundle_()
    assert picture_of(shown).n_frames == 3  # type: ignore[attr-defined] # pyright: ignore - of a GIF
    assert reported["image/gif"] == {"width": 512, "height": 512}
    frames = [Image.effect_noise((700, 600), 99) for _ in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    heavy = studio.images.import_file(buffer.getvalue())
    assert set(bundle(heavy)) & {"image/png", "image/jpeg"}


def test_drawings_are_shown_as_pixels(studio: Any) -> None:
    """
    An SVG is shown by what it draws, as large as it says and twice as sharp: nothing of it can run.
    """
    image = studio.images.import_file(RUNNING_SVG)
    shown, reported = image._repr_mimebundle_()
    picture = picture_of(shown)
    assert picture.size == (512, 512)
    colour = picture.convert("RGB").getpixel((200, 200))
    assert isinstance(colour, tuple)
    assert all(abs(number - two) < 3 for number, two in zip(colour, (34, 170, 119), strict=True))
    assert list(reported.values()) == [{"width": 80, "height": 80}]
    assert "text/html" not in shown


def test_drawings_that_cannot_be_drawn_are_told_in_words(studio: Any) -> None:
    """
    An SVG that would weigh on the machine says so.
    """
    heavy = RUNNING_SVG.replace(b"<rect", b"<g>" * 5_000 + b"</g>" * 5_000 + b"<rect")
    shown = bundle(studio.images.import_file(heavy))
    assert set(shown) == {"text/plain"}
    assert "no SVG that can be drawn" in shown["text/plain"]


def test_lost_pictures_say_that_they_are_lost(studio: Any) -> None:
    """
    Where the file is gone, words say so, and no error is raised.
    """
    image = studio.generate("a fox", quality="low")
    image.path.unlink()
    shown = bundle(image)
    assert set(shown) == {"text/plain"}
    assert "put the file back" in shown["text/plain"]


def test_unfinished_pictures_show_themselves(studio: Any) -> None:
    """
    So does a picture on its way, as it came and no larger than others.
    """
    events = list(studio.stream("a fox", size="1024x1024", partial_images=1))
    assert isinstance(events[0], PartialImage)
    partial: Any = events[0]
    shown, reported = partial._repr_mimebundle_()
    assert picture_of(shown).size == (1024, 1024)
    assert reported["image/png"] == {"width": 512, "height": 512}
    assert shown["text/plain"] == repr(events[0])
    drawing = attrs.evolve(events[0], format="svg", data=RUNNING_SVG)
    assert set(bundle(drawing)) == {"text/plain"}


# --- libraries ----------------------------------------------------------------------------------


def test_libraries_show_themselves(studio: Any) -> None:
    """
    A studio of either twin shows its sessions, its latest pictures and what was spent.
    """
    assert "Nothing here yet" in bundle(studio)["text/html"]
    for number in range(overview.SESSIONS + 2):
        studio.session(f"about <{number}>", name=f"name <{number}>")
    session = studio.open("name <9>")
    session.generate("a fox", quality="low")
    studio.generate("a teapot", quality="low").path.unlink()
    shown = bundle(studio)
    parsed = check_harmless(shown["text/html"])
    text = " ".join(parsed.text.split())
    spent = studio.stats().spent
    words = ("name <9>", "about <9>", "10 sessions", "2 pictures", f"${spent:.4f} in all")
    for message in (*words, "no file", "1 picture · $", "and 2 more", "offline"):
        assert message in text
    assert shown["text/plain"] == repr(studio)
    assert len(shown["text/html"]) < 60_000


def test_libraries_that_cannot_be_read_say_so(tmp_path: Path) -> None:
    """
    What is wrong is told in words.
    """
    with Studio.offline(tmp_path / "library") as studio:
        folder = tmp_path / "library" / ".imagesession"
        folder.rename(folder.with_name("elsewhere"))
        folder.write_text("no folder", "utf-8")
        shown = bundle(studio)
    assert set(shown) == {"text/plain"}
    assert "cannot use" in shown["text/plain"]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_would_run_in_a_library_is_text(tmp_path: Path, payload: str) -> None:
    """
    Names and prompts that would run, were they markup, are text.
    """
    with Studio.offline(tmp_path) as studio:
        said = payload.replace("\0", "")
        studio.session(said, name=said)
        studio.images.import_file(RUNNING_SVG, prompt=said)
        check_harmless(bundle(studio)["text/html"])


@needs_chromium
def test_nothing_runs_in_a_browser(tmp_path: Path) -> None:
    """
    In a real browser no script runs, nothing is fetched, and no picture is wider than its frame.
    """
    with Studio.offline(tmp_path / "library") as studio:
        session = studio.session("\n".join(PAYLOADS).replace("\0", ""), name=PAYLOADS[3])
        for payload in PAYLOADS[:6]:
            session.generate(payload, quality="low")
        session.branch(PAYLOADS[7]).generate("x" * 300, quality="low")
        studio.images.import_file(RUNNING_SVG, prompt=PAYLOADS[4])
        page = f"<meta charset=utf-8>{bundle(session)['text/html']}{bundle(studio)['text/html']}"
    (tmp_path / "page.html").write_text(page, "utf-8")
    asked: list[str] = []
    with browsing() as browser:
        opened = browser.new_page()
        opened.on("request", lambda item: asked.append(item.url))
        opened.goto((tmp_path / "page.html").as_uri())
        assert opened.evaluate("window.ran") is None
        pictures = "[...document.images].every(one => one.complete && one.naturalWidth > 0)"
        assert opened.evaluate(pictures)
        wide = "[...document.querySelectorAll('figure')].some(one => one.scrollWidth > 170)"
        assert not opened.evaluate(wide)
    assert {url.split(":")[0] for url in asked} <= {"file", "data"}


# --- while they come ----------------------------------------------------------------------------


def test_outside_of_a_notebook_show_only_follows(tmp_path: Path) -> None:
    """
    Events of either twin are followed to the picture that is kept; nothing is printed.
    """
    with Studio.offline(tmp_path) as studio:
        image = show(studio.stream("a fox", quality="low"))
    assert isinstance(image, SavedImage)
    assert image.path.exists()

    async def follow() -> None:
        async with AsyncStudio.offline(tmp_path) as studio:
            image = await show(studio.stream("a fox", quality="low"))
        assert image.path.exists()

    asyncio.run(follow())


def test_events_without_a_picture_are_an_error(tmp_path: Path) -> None:
    """
    What was followed already, and what is none, is an error that says so.
    """
    with Studio.offline(tmp_path) as studio:
        events = studio.stream("a fox", quality="low")
        show(events)
        with pytest.raises(InvalidRequestError, match="followed before"):
            show(events)
    wrong: Any = 7
    with pytest.raises(InvalidRequestError, match="what stream"):
        show(wrong)


@attrs.define
class Notebook:
    """
    Stands for a notebook: keeps what is shown in its one place.
    """

    shown: list[Any] = attrs.field(factory=list[Any])
    execution_count: int = 1

    def display(self, thing: object, *, display_id: bool) -> Notebook:
        """
        Show a thing.
        """
        assert display_id
        self.shown.append(thing)
        return self

    def update(self, thing: object) -> None:
        """
        Show another in its place.
        """
        self.shown.append(thing)


@pytest.fixture(name="notebook")
def in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    """
    Run in what stands for a notebook.
    """
    notebook = Notebook()
    shell = type(
        "ZMQInteractiveShell", (), {"execution_count": property(lambda _: notebook.execution_count)}
    )()
    known = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", known)  # pyright: ignore[reportArgumentType] - it stands for the module
    monkeypatch.setitem(
        sys.modules,
        "IPython.display",
        types.SimpleNamespace(display=notebook.display),  # pyright: ignore[reportArgumentType] - as above
    )
    return notebook


def test_what_was_painted_is_not_shown_twice(tmp_path: Path, notebook: Notebook) -> None:
    """
    As its cell's result a painted picture is words, once; later it is shown as ever.
    """
    with Studio.offline(tmp_path, quality="low") as studio:
        image = show(studio.stream("a fox", partial_images=1))
        assert [type(item).__name__ for item in notebook.shown] == [
            "_Words", "PartialImage", "SavedImage",
        ]  # fmt: skip
        assert set(bundle(image)) == {"text/plain"}
        assert len(bundle(image)) == 2
        show(studio.stream("a fox"))
        notebook.execution_count += 1
        assert len(bundle(notebook.shown[-1])) == 2


def test_the_place_says_that_no_picture_came(tmp_path: Path, notebook: Notebook) -> None:
    """
    Before the first picture it says that one is on its way; after an error, which one it was.
    """
    provider = FakeOpenAI()
    with Studio.offline(tmp_path, provider=provider) as studio:
        provider.refuse_next("No.")
        with pytest.raises(RefusalError):
            show(studio.stream("a fox"))
    assert list(map(repr, notebook.shown)) == [
        "The picture is on its way …",
        "No picture: RefusalError",
    ]
    check_harmless(notebook.shown[0]._repr_html_())


def test_a_cell_paints_in_one_place(tmp_path: Path) -> None:
    """
    In a real notebook, of either twin: a line of words, the unfinished pictures and the finished
    one appear in one place; the same picture is not shown again as the cell's result, but later
    it is.
    """
    ran = run(
        cells(
            SETTING,
            "show(studio.stream('a fox', partial_images=2))",
            "await show(other.stream('a teapot', partial_images=1))",
            "image = studio.images.list()[0]\nimage",
            "await other.close(); studio.close()",
        ),
        tmp_path,
    )
    (words, *_), *_ = [ran.shown]
    assert words[0] == "display_data"
    assert "on its way" in words[1]["text/html"]
    kinds = [(kind, any(text.startswith("image/") for text in data)) for kind, data in ran.shown]
    painted = ("update_display_data", True)
    waiting, result = ("display_data", False), ("execute_result", False)
    parts = [waiting, painted, painted, painted, result, waiting, painted, painted, result]
    assert kinds == [*parts, ("execute_result", True)]


def test_a_refusal_takes_the_place_of_the_picture(tmp_path: Path) -> None:
    """
    Where no picture comes, its place says why, and the error is raised as ever.
    """
    ran = run(
        cells(
            "from imagesession import Studio, show\n"
            "from imagesession.errors import RefusalError\n"
            "from imagesession.testing import FakeOpenAI\n"
            "provider = FakeOpenAI()\n"
            "studio = Studio.offline('library', provider=provider)\n"
            "provider.refuse_next('No.')\n"
            "try:\n    show(studio.stream('a fox'))\n"
            "except RefusalError:\n    print('raised')\n"
            "studio.close()"
        ),
        tmp_path,
    )
    assert [kind for kind, _ in ran.shown] == ["display_data", "update_display_data"]
    assert "No picture: RefusalError" in ran.shown[-1][1]["text/html"]


def test_a_notebooks_look_costs_nothing_before_it_is_wanted() -> None:
    """
    Neither IPython nor Jinja is loaded with a studio.
    """
    script = (
        "import sys; from imagesession import Studio, show\n"
        "heavy = {'IPython', 'jinja2', 'PIL', 'markupsafe'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_sizes_are_kept_within_the_cell() -> None:
    """
    What is shown larger than a cell is scaled, and nothing is scaled away.
    """
    within = notebook._within  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - arithmetic alone
    assert within((9000, 3)) == {"width": 512, "height": 1}
    assert within((100, 50)) == {"width": 100, "height": 50}
