"""
An SVG is drawn from what it says itself, whatever it says, and never harms who draws it.
"""

from __future__ import annotations

import base64
import http.server
import io
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imagesession._fake_openai.sketch import render, start
from imagesession._imaging.convert import as_png
from imagesession._imaging.svg import MAX_BYTES, own_edge, render_svg
from imagesession._imaging.svg_worker import self_contained
from imagesession.errors import InvalidImageError, InvalidRequestError
from tests.imaging.making import colours, corners, decoded, encoded, is_alike, noise, srgb, turned

XLINK = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
GREEN = '<rect width="9" height="9" fill="#0f0"/>'
# Each would paint red if what it names were loaded, or what it says were run.
OUTSIDE = {
    "a picture": '<image width="9" height="9" href="{}"/>',
    "a picture of old": f'<image {XLINK} width="9" height="9" xlink:href="{{}}"/>',
    "a picture in another namespace": '<image xmlns:x="http://www.w3.org/2000/svg" width="9" '
    'height="9" x:href="{}"/>',
    "a filter": '<filter id="f"><feImage href="{}"/></filter>'
    '<rect width="9" height="9" filter="url(#f)"/>',
    "a part of another document": '<use href="{}#red"/>',
    "a pattern": '<pattern id="p" href="{0}#red" width="9" height="9"/>'
    '<rect width="9" height="9" fill="url({0}#red) none"/><g fill="url(#p) none"/>',
    "a style sheet": "<style>@import url({}); .red {{fill: url({}#red) none}}</style>"
    '<rect class="red" width="9" height="9"/>',
    "a style": '<rect width="9" height="9" style="fill: url({}#red) none; background: url({})"/>',
    "a typeface": "<style>@font-face {{font-family: Red; src: url({})}}</style>"
    '<text font-family="Red" fill="none">M</text>',
    "foreign content": '<foreignObject width="9" height="9"><img '
    'xmlns="http://www.w3.org/1999/xhtml" src="{}"/></foreignObject>',
    "a link": '<a href="{}"><script href="{}"/></a>',
}
REFUSED = {
    "a file's text": '<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    "a bomb": '<!DOCTYPE svg [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
    "a parameter": '<!DOCTYPE svg [<!ENTITY % p SYSTEM "https://evil.example/x.dtd"> %p;]>',
    "a plain one": '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" '
    '"http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">',
}


def document(inner: str, size: str = 'width="9" height="9"') -> bytes:
    """
    Write an SVG around elements.
    """
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{inner}</svg>'
    return svg.encode("utf-8", "surrogatepass")


def drawn(data: bytes, edge: int = 9) -> Image.Image:
    """
    Draw an SVG.
    """
    return decoded(render_svg(data, "Teapot", edge)).convert("RGBA")


def repeated(element: str, target: str, times: int, steps: int) -> str:
    """
    Write elements each of which draws the one before many times.
    """
    inner = "<rect width='9' height='9' {}/>" if target.startswith("mask") else "<use {}/>"
    return "".join(
        f'<{element} id="p{step}">{inner.format(target.format(step - 1)) * times}</{element}>'
        for step in range(1, steps)
    )


@pytest.fixture
def listening() -> Iterator[tuple[str, list[str]]]:
    """
    Give the address of a server, and what is asked of it.
    """
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/red.png", asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("element", OUTSIDE.values(), ids=OUTSIDE)
@pytest.mark.parametrize("how", ["path", "name", "file", "data"])
def test_no_file_is_read(
    element: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    However a document names a file, as a path, by its name, with file: or as odd data, nothing of
    that file is in the picture.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data:image").mkdir()
    for name in ("red.png", "data:image/red.png"):
        Image.new("RGB", (9, 9), "red").save(tmp_path / name)
    addresses = {
        "path": str(tmp_path / "red.png"),
        "name": "red.png",
        "file": (tmp_path / "red.png").as_uri(),
        "data": "data:image/red.png",
    }
    picture = drawn(document(GREEN + element.replace("{}", "{0}").format(addresses[how])))
    assert picture.getpixel((4, 4)) in {(0, 255, 0, 255), (0, 0, 0, 255)}


@pytest.mark.parametrize("element", OUTSIDE.values(), ids=OUTSIDE)
def test_no_machine_is_asked(element: str, listening: tuple[str, list[str]]) -> None:
    """
    A document that names another machine is drawn without asking it.
    """
    address, asked = listening
    drawn(document(GREEN + element.replace("{}", "{0}").format(address)))
    assert asked == []


def test_the_renderer_would_read_files() -> None:
    """
    What is taken out is what the renderer would load: of references those within the document and
    raster pictures in it are left, and of documents in it none.
    """
    coded = base64.b64encode(encoded(noise())).decode()
    inner = document("<rect/>").hex()
    hrefs = ["#a", f"data:image/png;base64,{coded}", f"data:image/svg+xml;base64,{inner}", "/a.png"]
    hrefs += ["data:image/png;base64,../../a.png", "//evil.example/a.png", "data:,x"]
    images = "".join(f'<image href="{href}"/>' for href in hrefs)
    left = [item.get("href") for item in self_contained(document(images))]
    assert left == [*hrefs[:2], None, None, None, None, None]


@pytest.mark.parametrize(
    "script",
    [
        "<script>document.documentElement.innerHTML = ''</script>",
        "<set attributeName='fill' to='red' begin='0s'/>",
        "<style>rect {animation: red 1s infinite} @keyframes red {to {fill: red}}</style>",
    ],
)
def test_nothing_runs_and_nothing_moves(script: str) -> None:
    """
    Scripts and animations change nothing.
    """
    data = document(f"<g onload='evil()'>{GREEN}</g>{script}")
    assert drawn(data).getcolors() == [(81, (0, 255, 0, 255))]


@pytest.mark.parametrize("doctype", REFUSED.values(), ids=REFUSED)
def test_doctypes_are_refused(doctype: str) -> None:
    """
    A document that could name entities is refused before any is read.
    """
    with pytest.raises(InvalidImageError, match=r"Teapot .* has a DOCTYPE"):
        render_svg(doctype.encode() + document("<text>&x;&b;</text>"), "Teapot", 9)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"<svg/>",
        b'<svg xmlns="http://www.w3.org/1999/xhtml"></svg>',
        b'<g xmlns="http://www.w3.org/2000/svg"></g>',
        document("<g>"),
        document("&nbsp;"),
        document("<g fill='&#1;'/>"),
        b'<?xml version="1.0" encoding="no-such"?><svg/>',
        b'<?xml version="1.0" encoding="hex"?><svg/>',
        document("") * 2,
    ],
)
def test_what_is_no_svg_is_refused(data: bytes) -> None:
    """
    Nothing but a whole, standalone SVG is drawn.
    """
    with pytest.raises(InvalidImageError, match="Teapot is no SVG that can be drawn: "):
        render_svg(data, "Teapot", 9)


@pytest.mark.parametrize(
    "inner",
    [
        (
            '<pattern id="p" width="1e5" height="1e5" patternUnits="userSpaceOnUse">'
            '<rect width="1e5" height="1e5"/></pattern><rect width="9" height="9" fill="url(#p)"/>'
        ),
        "<g>" * 700 + "</g>" * 700,
        "<g>" * 5_000 + "</g>" * 5_000,
        repeated("g", "href='#p{}'", 10, 12),
        '<g id="a"><use href="#b"/></g><use id="b" href="#a"/>',
    ],
    ids=["memory", "deep", "deeper", "repetitions", "circle"],
)
def test_documents_that_harm_are_outlived(inner: str) -> None:
    """
    What would take all memory, or end the process, is refused or drawn as far as that goes.
    """
    try:
        assert drawn(document(inner)).size == (9, 9)
    except InvalidImageError as error:
        assert "Teapot" in str(error)  # noqa: PT017 - drawing it is good as well


def test_documents_that_take_too_long_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What would be drawn for hours is given up.
    """
    monkeypatch.setattr("imagesession._imaging.svg._SECONDS", 0.5)
    masks = repeated("mask", "mask='url(#p{})'", 10, 9)
    with pytest.raises(InvalidImageError, match=r"Teapot takes more than 0.5 seconds"):
        render_svg(document(f'{masks}<rect width="9" height="9" mask="url(#p8)"/>'), "Teapot", 9)


def test_where_no_process_can_be_started_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Without a Python to draw it, an SVG is an error like any picture that cannot be read.
    """
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(InvalidImageError, match=r"Teapot .* no process"):
        render_svg(document(GREEN), "Teapot", 9)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(InvalidImageError, match=r"Teapot .* packed program"):
        render_svg(document(GREEN), "Teapot", 9)


def test_too_many_bytes() -> None:
    """
    A document over the limit is refused before it is read.
    """
    with pytest.raises(InvalidImageError, match=r"Teapot has 8.0 MB; the limit is 8 MB"):
        render_svg(document("").ljust(MAX_BYTES + 1), "Teapot", 9)
    assert drawn(document(GREEN).ljust(MAX_BYTES)).size == (9, 9)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_picture_within_is_drawn(kind: str) -> None:
    """
    A raster picture within the document is part of it.
    """
    coded = base64.b64encode(encoded(corners((90, 90)), kind)).decode()
    href = f" data:image/{kind.lower()};base64,\n{coded}"
    picture = drawn(document(f'<image width="9" height="9" href="{href}"/>'), 90)
    expected = colours(corners())
    for corner, colour in colours(picture).items():
        assert all(
            abs(number - two) < 9 for number, two in zip(colour, expected[corner], strict=True)
        )


def test_a_sketch_looks_as_it_does_in_pixels() -> None:
    """
    What the offline provider draws as SVG looks as it does as PNG.
    """
    sketch = start("a red apple", size=(300, 200))
    picture = drawn(render(sketch, format="svg"), 300).convert("RGB").reduce(10)
    expected = decoded(render(sketch, format="png")).convert("RGB").reduce(10)
    assert is_alike(picture, expected, by=40)


def test_words_are_lettered() -> None:
    """
    Text is drawn, in a typeface that is there or in another.
    """
    for family in ("", "sans-serif", "serif", "monospace", "No Such Typeface"):
        text = f'<text x="5" y="30" font-size="24" font-family="{family}">Hello</text>'
        alpha = drawn(document(text, 'width="90" height="40"'), 90).getchannel("A")
        assert sum(alpha.histogram()[128:]) > 100, family


@pytest.mark.parametrize(
    "size,expected",
    [
        ('width="30" height="20"', (300, 200)),
        ('viewBox="0 0 20 30"', (200, 300)),
        ('width="100%" height="100%" viewBox="0 0 30 20"', (300, 200)),
        ('width="9cm" viewBox="0 0 30 20"', (300, 200)),
        ("", (300, 300)),
    ],
)
def test_the_longer_edge_is_as_long_as_it_is_to_be(size: str, expected: tuple[int, int]) -> None:
    """
    A drawing keeps its shape at any size, whatever it says of its own.
    """
    assert drawn(document(GREEN, size), 300).size == expected


@settings(max_examples=15, deadline=None)
@given(st.binary(), st.sampled_from(["", "utf-8", "utf-16", "latin-1", "idna", "é", "cp037"]))
def test_any_bytes_in_any_encoding(data: bytes, encoding: str) -> None:
    """
    Whatever bytes are said to be encoded in, they are drawn or refused in our words.
    """
    head = f"<?xml version='1.0' encoding='{encoding}'?>".encode() if encoding else b""
    try:
        assert drawn(head + document("<text>@</text>").replace(b"@", data)).size == (9, 9)
    except InvalidImageError as error:
        assert "Teapot" in str(error)  # noqa: PT017 - drawing it is good as well


# --- any picture as PNG ---------------------------------------------------------------------------


def test_an_svg_is_as_large_as_it_says_or_is_to_be() -> None:
    """
    Without a size, an SVG is as large as it says, within bounds; with one, as large as that.
    """
    data = document(GREEN, 'width="30" height="20"')
    assert decoded(as_png(data, "it")).size == (30, 20)
    assert decoded(as_png(data, "it", max_side=600)).size == (600, 400)
    assert own_edge(document(GREEN, "")) == 1024
    assert own_edge(document(GREEN, 'width="90000" height="9"')) == 4096


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "GIF", "PNG"])
def test_other_pictures_become_png(format: str) -> None:
    """
    A raster picture comes as PNG, upright, never enlarged; a PNG as it is.
    """
    data = encoded(corners((90, 60)), format)
    assert decoded(as_png(data, "it")).size == (90, 60)
    assert decoded(as_png(data, "it", max_side=900)).size == (90, 60)
    assert decoded(as_png(data, "it", max_side=30)).size == (30, 20)
    assert (as_png(data, "it") == data) is (format == "PNG")
    photo = encoded(corners((90, 60)), "JPEG", exif=turned(6), icc_profile=srgb())
    made = decoded(as_png(photo, "it"))
    assert (made.format, made.size, made.info["icc_profile"]) == ("PNG", (60, 90), srgb())


@pytest.mark.parametrize("side", [0, -1, 2.5, "9", True])
def test_a_side_is_a_number_of_pixels(side: Any) -> None:
    """
    Anything else is an error in the call.
    """
    with pytest.raises(InvalidRequestError, match="max_side"):
        as_png(document(GREEN), "it", max_side=side)


def test_a_kept_svg_has_a_png(studio: Any) -> None:
    """
    A kept SVG is given as pixels, and its file stays as it came; so is any other picture.
    """
    image = studio.generate("a teapot", output_format="svg", size="1024x1024")
    before = image.bytes
    assert Image.open(io.BytesIO(image.as_png(max_side=200))).size == (200, 200)
    assert image.bytes == before
    plain = studio.generate("a teapot")
    assert plain.as_png() == plain.bytes
