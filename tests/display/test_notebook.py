"""
Images and libraries are shown in notebooks: small, safe, and updated in place while streaming.
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
from IPython.lib.pretty import pretty  # type: ignore[import-untyped,unused-ignore]
from PIL import Image

from imagesession import AsyncStudio, PartialImage, Results, SavedImage, Studio, presets, show
from imagesession._display import notebook, overview
from imagesession.errors import InvalidRequestError, RefusalError
from imagesession.testing import FakeOpenAI
from tests.display.browser import launch_browser, needs_chromium
from tests.display.payloads import PAYLOADS, RUNNING_SVG
from tests.display.test_filmstrip import check_harmless
from tests.kernels import cells, run

SETUP = (
    "from imagesession import AsyncStudio, Studio, show\n"
    "studio = Studio.offline('library', quality='low')\n"
    "other = AsyncStudio.offline('library', quality='low')"
)


def bundle(value: Any) -> dict[str, Any]:
    """
    Return an object's rich representation by MIME type.
    """
    mime_data, metadata = value._repr_mimebundle_()
    assert set(metadata) <= set(mime_data)
    return dict(mime_data)


def picture_of(mime_data: dict[str, Any]) -> Image.Image:
    """
    Decode the image of a rich representation.
    """
    (kind,) = (text for text in mime_data if text.startswith("image/"))
    picture = Image.open(io.BytesIO(base64.b64decode(mime_data[kind])))
    assert Image.MIME[str(picture.format)] == kind
    return picture


# --- images -------------------------------------------------------------------------------------


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
def test_images_are_shown_small(
    studio: Any, options: dict[str, Any], size: tuple[int, int]
) -> None:
    """
    An image of either twin is shown at most 512 pixels wide and high, in few bytes, with its repr
    as text.
    """
    chosen = {"size": "1024x1024", **options}
    image = studio.generate("a fox in a forest", quality="low", **chosen)
    mime_data = bundle(image)
    assert picture_of(mime_data).size == size
    assert mime_data["text/plain"] == repr(image)
    assert sum(map(len, mime_data.values())) < 150_000


def test_small_gif_is_animated_and_large_gif_is_still(studio: Any) -> None:
    """
    A small GIF is shown as it is, a large one by its first frame.
    """
    moving = studio.generate(
        "a fox", quality="low", size="1024x1024", output_format="gif", frames=3
    )
    mime_data, metadata = moving._repr_mimebundle_()
    assert picture_of(mime_data).n_frames == 3  # type: ignore[attr-defined] # pyright: ignore - of a GIF
    assert metadata["image/gif"] == {"width": 512, "height": 512}
    frames = [Image.effect_noise((700, 600), 99) for _ in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    heavy = studio.images.import_file(buffer.getvalue())
    assert set(bundle(heavy)) & {"image/png", "image/jpeg"}


def test_svg_is_rendered(studio: Any) -> None:
    """
    An SVG is rendered, at its own size in high resolution, so none of its scripts can run.
    """
    image = studio.images.import_file(RUNNING_SVG)
    mime_data, metadata = image._repr_mimebundle_()
    picture = picture_of(mime_data)
    assert picture.size == (512, 512)
    colour = picture.convert("RGB").getpixel((200, 200))
    assert isinstance(colour, tuple)
    assert all(abs(a - b) < 3 for a, b in zip(colour, (34, 170, 119), strict=True))
    assert list(metadata.values()) == [{"width": 80, "height": 80}]
    assert "text/html" not in mime_data


def test_svg_that_cannot_be_rendered_is_shown_as_text(studio: Any) -> None:
    """
    An SVG that exceeds the limits is shown as text with the reason.
    """
    heavy = RUNNING_SVG.replace(b"<rect", b"<g>" * 5_000 + b"</g>" * 5_000 + b"<rect")
    mime_data = bundle(studio.images.import_file(heavy))
    assert set(mime_data) == {"text/plain"}
    assert "no SVG that can be drawn" in mime_data["text/plain"]


def test_missing_image_is_shown_as_text(studio: Any) -> None:
    """
    If the file is missing, a text says so, and no error is raised.
    """
    image = studio.generate("a fox", quality="low")
    image.path.unlink()
    mime_data = bundle(image)
    assert set(mime_data) == {"text/plain"}
    assert "Put it back under that name" in mime_data["text/plain"]


def test_partial_images_are_shown(studio: Any) -> None:
    """
    A partial image is shown unchanged, no larger than other images.
    """
    events = list(studio.stream("a fox", size="1024x1024", partial_images=1))
    assert isinstance(events[0], PartialImage)
    partial: Any = events[0]
    mime_data, metadata = partial._repr_mimebundle_()
    assert picture_of(mime_data).size == (1024, 1024)
    assert metadata["image/png"] == {"width": 512, "height": 512}
    assert mime_data["text/plain"] == repr(events[0])
    drawing = attrs.evolve(events[0], format="svg", data=RUNNING_SVG)
    assert set(bundle(drawing)) == {"text/plain"}


# --- libraries ----------------------------------------------------------------------------------


@pytest.mark.detailed
def test_studio_shows_an_overview(studio: Any) -> None:
    """
    A studio of either twin shows its sessions, its latest images and its costs.
    """
    assert "Nothing here yet" in bundle(studio)["text/html"]
    for number in range(overview.MAX_SESSIONS + 2):
        studio.session(f"about <{number}>", name=f"name <{number}>")
    session = studio.open("name <9>")
    session.generate("a fox", quality="low")
    studio.generate("a teapot", quality="low").path.unlink()
    mime_data = bundle(studio)
    parsed = check_harmless(mime_data["text/html"])
    text = " ".join(parsed.text.split())
    spent = studio.stats().spent
    expected = (
        "name <9>",
        "about <9>",
        "10 sessions",
        "2 images",
        f"${spent:.4f} in all",
    )
    for message in (*expected, "no file", "1 image · $", "and 2 more", "offline"):
        assert message in text
    assert mime_data["text/plain"] == repr(studio)
    assert len(mime_data["text/html"]) < 60_000


def test_unreadable_library_is_shown_as_text(tmp_path: Path) -> None:
    """
    A text says what is wrong.
    """
    with Studio.offline(tmp_path / "library") as studio:
        folder = tmp_path / "library" / ".imagesession"
        folder.rename(folder.with_name("elsewhere"))
        folder.write_text("no folder", "utf-8")
        mime_data = bundle(studio)
    assert set(mime_data) == {"text/plain"}
    assert "cannot use" in mime_data["text/plain"]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_scripts_in_a_library_stay_text(tmp_path: Path, payload: str) -> None:
    """
    Names and prompts that would run as markup are shown as text.
    """
    with Studio.offline(tmp_path) as studio:
        text = payload.replace("\0", "")
        studio.session(text, name=text)
        studio.images.import_file(RUNNING_SVG, prompt=text)
        check_harmless(bundle(studio)["text/html"])


@needs_chromium
def test_no_script_runs_in_a_browser(tmp_path: Path) -> None:
    """
    In a real browser no script runs, nothing is fetched, and no image is wider than its frame.
    """
    with Studio.offline(tmp_path / "library") as studio:
        session = studio.session("\n".join(PAYLOADS).replace("\0", ""), name=PAYLOADS[3])
        for payload in PAYLOADS[:6]:
            session.generate(payload, quality="low")
        session.branch(PAYLOADS[7]).generate("x" * 300, quality="low")
        studio.images.import_file(RUNNING_SVG, prompt=PAYLOADS[4])
        page = f"<meta charset=utf-8>{bundle(session)['text/html']}{bundle(studio)['text/html']}"
    (tmp_path / "page.html").write_text(page, "utf-8")
    urls: list[str] = []
    with launch_browser() as browser:
        opened = browser.new_page()
        opened.on("request", lambda item: urls.append(item.url))
        opened.goto((tmp_path / "page.html").as_uri())
        assert opened.evaluate("window.ran") is None
        pictures = "[...document.images].every(one => one.complete && one.naturalWidth > 0)"
        assert opened.evaluate(pictures)
        wide = "[...document.querySelectorAll('figure')].some(one => one.scrollWidth > 170)"
        assert not opened.evaluate(wide)
    assert {url.split(":")[0] for url in urls} <= {"file", "data"}


# --- streaming ----------------------------------------------------------------------------------


def test_show_outside_of_a_notebook_returns_the_image(tmp_path: Path) -> None:
    """
    `show` consumes the events of either twin and returns the saved image, without output.
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


WITHOUT_IPYTHON = """
import sys
sys.modules["IPython"] = sys.modules["ipywidgets"] = None
from imagesession import Studio, show
studio = Studio.offline(sys.argv[1], quality="low", size="1024x1024")
image = show(studio.stream("a fox", on_progress=True, partial_images=1))
takes = studio.variations("a fox", n=2, on_progress=True)
session = studio.session("foxes")
session.generate("a fox")
values = (image, takes, session, studio, session.tree(), session.images(), studio.doctor())
for value in values:
    for method in ("_repr_mimebundle_", "_repr_html_", "_repr_png_"):
        getattr(type(value), method, lambda _: None)(value)
    print(value)
assert len(studio.images.list()) == 4
"""


def test_nothing_needs_ipython(tmp_path: Path) -> None:
    """
    Without IPython, as on plain Python and in other kernels, results, progress and `show` work: a
    kernel that calls the display methods itself gets data, and nothing is left half done.
    """
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_IPYTHON, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert "completed" in done.stderr
    assert "2 images" in done.stdout


def test_consumed_or_invalid_events_are_rejected(tmp_path: Path) -> None:
    """
    Events that were consumed before, and other values, raise an error that says so.
    """
    with Studio.offline(tmp_path) as studio:
        events = studio.stream("a fox", quality="low")
        show(events)
        with pytest.raises(InvalidRequestError, match="consumed before"):
            show(events)
    wrong: Any = 7
    with pytest.raises(InvalidRequestError, match="what stream"):
        show(wrong)


@attrs.define
class Notebook:
    """
    A fake notebook that records what is displayed.
    """

    shown: list[Any] = attrs.field(factory=list[Any])
    execution_count: int = 1

    def display(self, value: object, *, display_id: bool) -> Notebook:
        """
        Record a value.
        """
        assert display_id
        self.shown.append(value)
        return self

    def update(self, value: object) -> None:
        """
        Record a value that replaces the previous one.
        """
        self.shown.append(value)


@pytest.fixture(name="output")
def fake_notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    """
    Run the test in a fake notebook.
    """
    output = Notebook()
    shell = type(
        "ZMQInteractiveShell",
        (),
        {"execution_count": property(lambda _: output.execution_count)},
    )()
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)  # pyright: ignore[reportArgumentType] - it stands for the module
    monkeypatch.setitem(
        sys.modules,
        "IPython.display",
        types.SimpleNamespace(display=output.display),  # pyright: ignore[reportArgumentType] - as above
    )
    return output


def test_displayed_image_is_not_shown_twice(tmp_path: Path, output: Notebook) -> None:
    """
    As its own cell's result, a displayed image is text, once; later it is shown as usual.
    """
    with Studio.offline(tmp_path, quality="low") as studio:
        image = show(studio.stream("a fox", partial_images=1))
        assert [type(item).__name__ for item in output.shown] == [
            "_Placeholder", "PartialImage", "SavedImage",
        ]  # fmt: skip
        assert set(bundle(image)) == {"text/plain"}
        assert len(bundle(image)) == 2
        show(studio.stream("a fox"))
        output.execution_count += 1
        assert len(bundle(output.shown[-1])) == 2


def test_placeholder_and_error_are_displayed(tmp_path: Path, output: Notebook) -> None:
    """
    A placeholder is displayed before the first image, and the error's name after an error.
    """
    provider = FakeOpenAI()
    with Studio.offline(tmp_path, provider=provider) as studio:
        provider.refuse_next("No.")
        with pytest.raises(RefusalError):
            show(studio.stream("a fox"))
    assert list(map(repr, output.shown)) == [
        "The image is on its way …",
        "No image: RefusalError",
    ]
    check_harmless(output.shown[0]._repr_html_())


def test_real_notebook_updates_one_display(tmp_path: Path) -> None:
    """
    In a real notebook, for either twin: the placeholder, the partial images and the final image
    appear in one place; the image is not shown again as the cell's result, but later it is.
    """
    ran = run(
        cells(
            SETUP,
            "show(studio.stream('a fox', partial_images=2))",
            "await show(other.stream('a teapot', partial_images=1))",
            "image = studio.images.list()[0]\nimage",
            "await other.close(); studio.close()",
        ),
        tmp_path,
    )
    (placeholder_line, *_), *_ = [ran.shown]
    assert placeholder_line[0] == "display_data"
    assert "on its way" in placeholder_line[1]["text/html"]
    kinds = [(kind, any(text.startswith("image/") for text in data)) for kind, data in ran.shown]
    update = ("update_display_data", True)
    placeholder, result = ("display_data", False), ("execute_result", False)
    parts = [
        placeholder,
        update,
        update,
        update,
        result,
        placeholder,
        update,
        update,
        result,
    ]
    assert kinds == [*parts, ("execute_result", True)]


def test_refusal_replaces_the_placeholder(tmp_path: Path) -> None:
    """
    If no image is generated, the display says why, and the error is raised.
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
    assert "No image: RefusalError" in ran.shown[-1][1]["text/html"]


def test_display_packages_are_imported_lazily() -> None:
    """
    Importing the package imports neither IPython, Jinja nor Pillow.
    """
    script = (
        "import sys; from imagesession import Studio, show\n"
        "heavy = {'IPython', 'jinja2', 'PIL', 'markupsafe'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_display_size_fits_the_cell() -> None:
    """
    Large sizes are scaled down, and no side becomes zero.
    """
    display_size = notebook._display_size  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - arithmetic alone
    assert display_size((9000, 3)) == {"width": 512, "height": 1}
    assert display_size((100, 50)) == {"width": 100, "height": 50}


# --- several results and reports ------------------------------------------------------------------


def test_results_are_shown_side_by_side(tmp_path: Path) -> None:
    """
    Results show each image with its name, prompt and cost, and an error in the place of a failed
    one.
    """
    provider = FakeOpenAI()
    provider.refuse_next("No <b>such</b> thing.")
    with Studio.offline(tmp_path, provider=provider) as studio:
        results = studio.map({"dawn": "a lighthouse", "dusk": "a fox & a hen"}, max_concurrency=1)
        page = bundle(results)["text/html"]
        check_harmless(page)
        assert page.count("<img") == 1
        assert "dawn" in page
        assert "dusk" in page
        assert "a fox &amp; a hen" in page
        assert "No such thing." in page
        assert "<b>" not in page
        assert results.images[0].cost is not None
        assert f"{results.images[0].cost.total:.4f}" in page


def test_many_results_are_counted(tmp_path: Path) -> None:
    """
    Of many results the first are shown, and the others counted.
    """
    with Studio.offline(tmp_path) as studio:
        image = studio.generate("a fox", size="1024x1024")
        page = bundle(Results((image,) * 30))["text/html"]
    assert page.count("<img") == 24
    assert "and 6 more" in page


def test_improvement_shows_image_and_findings(tmp_path: Path) -> None:
    """
    An improvement is shown as its image, with the findings as text.
    """
    with Studio.offline(tmp_path) as studio:
        better = studio.improve("more contrast", image=studio.generate("a fox"))
    data = bundle(better)
    assert picture_of(data)
    assert data["text/plain"].startswith(better.analysis.summary)


def test_reports_are_shown_as_they_are_printed(tmp_path: Path) -> None:
    """
    Trees, turns, costs, estimates, checks, analyses, statuses, models and presets are shown as
    `print` does, without the members of classes; a plain console has one short line of it.
    """
    with Studio.offline(tmp_path) as studio:
        session = studio.session("a logo")
        session.generate("a fox")
        pending = session.submit("in blue", within="8h")
        values = [
            session.tree(), session.cost(), session.status(), studio.costs(), studio.stats(),
            studio.estimate("a fox"), studio.doctor(), studio.analyze(session.head()), pending,
            studio.recover(), session.turns()[0], *studio.models.list(),
            *map(presets.get, presets.names()),
        ]  # fmt: skip
    for value in values:
        shown = pretty(value)  # type: ignore[no-untyped-call]
        assert shown == str(value)
        assert f"{type(value).__name__}(" not in shown
        assert "Turn(" not in shown
        assert repr(value).startswith(f"<{type(value).__name__}: ")
        assert len(repr(value)) <= 110
        assert "\n" not in repr(value)


def test_lists_of_images_are_shown_side_by_side(tmp_path: Path) -> None:
    """
    Images of a session, of a lineage and of the library are tuples that notebooks show as images.
    """
    with Studio.offline(tmp_path, quality="low") as studio:
        session = studio.session("a logo")
        for prompt in ("a fox", "at night"):
            session.generate(prompt)
        head = session.head()
        assert head is not None
        lists = (session.images(), head.lineage(), session.lineage(head), studio.images.list())
        for images in lists:
            assert isinstance(images, tuple)
            page = bundle(images)["text/html"]
            check_harmless(page)
            assert page.count("<img") == 2
            assert "2 images" in page
        alone = studio.generate("a cat").lineage()
        assert "1 image<" in bundle(alone)["text/html"]
