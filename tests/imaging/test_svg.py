"""
An SVG is rendered from its own content alone, and cannot harm the process.
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
from imagesession._imaging.svg import MAX_BYTES, natural_edge, render_svg
from imagesession._imaging.svg_worker import self_contained
from imagesession.errors import InvalidImageError, InvalidRequestError
from tests.imaging.making import colours, corners, decoded, encoded, is_alike, noise, srgb, turned

XLINK = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
GREEN = '<rect width="9" height="9" fill="#0f0"/>'
# Each would render red if the file it names were loaded, or its script were run.
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
    Wrap elements in an SVG document.
    """
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{inner}</svg>'
    return svg.encode("utf-8", "surrogatepass")


def rendered(data: bytes, edge: int = 9) -> Image.Image:
    """
    Render an SVG.
    """
    return decoded(render_svg(data, "Teapot", edge)).convert("RGBA")


def repeated(element: str, target: str, times: int, steps: int) -> str:
    """
    Write elements, each of which draws the previous one many times.
    """
    inner = "<rect width='9' height='9' {}/>" if target.startswith("mask") else "<use {}/>"
    return "".join(
        f'<{element} id="p{step}">{inner.format(target.format(step - 1)) * times}</{element}>'
        for step in range(1, steps)
    )


@pytest.fixture
def listening_server() -> Iterator[tuple[str, list[str]]]:
    """
    Run a server; yield its URL and the list of paths that are requested.
    """
    requested_paths: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested_paths.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/red.png", requested_paths
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("element", OUTSIDE.values(), ids=OUTSIDE)
@pytest.mark.parametrize("reference", ["path", "name", "file", "data"])
def test_no_external_file_is_read(
    element: str, reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A file that a document names by path, by name, by file: URL or as odd data is not rendered.
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
    picture = rendered(document(GREEN + element.replace("{}", "{0}").format(addresses[reference])))
    assert picture.getpixel((4, 4)) in {(0, 255, 0, 255), (0, 0, 0, 255)}


@pytest.mark.parametrize("element", OUTSIDE.values(), ids=OUTSIDE)
def test_no_network_request_is_sent(element: str, listening_server: tuple[str, list[str]]) -> None:
    """
    A document that names another machine is rendered without contacting it.
    """
    address, requested_paths = listening_server
    rendered(document(GREEN + element.replace("{}", "{0}").format(address)))
    assert requested_paths == []


def test_only_internal_references_remain() -> None:
    """
    References to elements of the document and embedded raster images remain; all others, also
    embedded documents, are removed.
    """
    data = base64.b64encode(encoded(noise())).decode()
    inner = document("<rect/>").hex()
    hrefs = [
        "#a",
        f"data:image/png;base64,{data}",
        f"data:image/svg+xml;base64,{inner}",
        "/a.png",
    ]
    hrefs += ["data:image/png;base64,../../a.png", "//evil.example/a.png", "data:,x"]
    images = "".join(f'<image href="{href}"/>' for href in hrefs)
    remaining = [image.get("href") for image in self_contained(document(images))]
    assert remaining == [*hrefs[:2], None, None, None, None, None]


@pytest.mark.parametrize(
    "script",
    [
        "<script>document.documentElement.innerHTML = ''</script>",
        "<set attributeName='fill' to='red' begin='0s'/>",
        "<style>rect {animation: red 1s infinite} @keyframes red {to {fill: red}}</style>",
    ],
)
def test_scripts_and_animations_do_not_run(script: str) -> None:
    """
    Scripts and animations have no effect.
    """
    data = document(f"<g onload='evil()'>{GREEN}</g>{script}")
    assert rendered(data).getcolors() == [(81, (0, 255, 0, 255))]


@pytest.mark.parametrize("doctype", REFUSED.values(), ids=REFUSED)
def test_doctype_is_rejected(doctype: str) -> None:
    """
    A document with a DOCTYPE is rejected before any entity is read.
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
def test_invalid_svg_is_rejected(data: bytes) -> None:
    """
    Only a complete, standalone SVG is rendered.
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
def test_harmful_documents_do_not_crash_the_process(inner: str) -> None:
    """
    A document that would exhaust memory or the stack is rejected, or rendered as far as possible.
    """
    try:
        assert rendered(document(inner)).size == (9, 9)
    except InvalidImageError as error:
        assert "Teapot" in str(error)  # noqa: PT017 - drawing it is good as well


def test_rendering_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Rendering that takes too long is stopped.
    """
    monkeypatch.setattr("imagesession._imaging.svg._TIMEOUT_SECONDS", 0.5)
    masks = repeated("mask", "mask='url(#p{})'", 10, 9)
    with pytest.raises(InvalidImageError, match=r"Teapot takes more than 0.5 seconds"):
        render_svg(document(f'{masks}<rect width="9" height="9" mask="url(#p8)"/>'), "Teapot", 9)


def test_missing_interpreter_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    If no Python interpreter can render it, an SVG raises InvalidImageError.
    """
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(InvalidImageError, match=r"Teapot .* no process"):
        render_svg(document(GREEN), "Teapot", 9)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(InvalidImageError, match=r"Teapot .* packed program"):
        render_svg(document(GREEN), "Teapot", 9)


def test_too_many_bytes_are_rejected() -> None:
    """
    A document over the byte limit is rejected before it is parsed.
    """
    with pytest.raises(InvalidImageError, match=r"Teapot has 8.0 MB; the limit is 8 MB"):
        render_svg(document("").ljust(MAX_BYTES + 1), "Teapot", 9)
    assert rendered(document(GREEN).ljust(MAX_BYTES)).size == (9, 9)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_embedded_image_is_rendered(kind: str) -> None:
    """
    A raster image embedded in the document is rendered.
    """
    data = base64.b64encode(encoded(corners((90, 90)), kind)).decode()
    href = f" data:image/{kind.lower()};base64,\n{data}"
    picture = rendered(document(f'<image width="9" height="9" href="{href}"/>'), 90)
    expected = colours(corners())
    for corner, colour in colours(picture).items():
        assert all(abs(a - b) < 9 for a, b in zip(colour, expected[corner], strict=True))


def test_sketch_as_svg_looks_like_its_png() -> None:
    """
    A sketch of the offline provider looks the same as SVG and as PNG.
    """
    sketch = start("a red apple", size=(300, 200))
    picture = rendered(render(sketch, format="svg"), 300).convert("RGB").reduce(10)
    expected = decoded(render(sketch, format="png")).convert("RGB").reduce(10)
    assert is_alike(picture, expected, by=40)


def test_text_is_rendered() -> None:
    """
    Text is rendered, in its own font or in a fallback.
    """
    for family in ("", "sans-serif", "serif", "monospace", "No Such Typeface"):
        text = f'<text x="5" y="30" font-size="24" font-family="{family}">Hello</text>'
        alpha = rendered(document(text, 'width="90" height="40"'), 90).getchannel("A")
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
def test_longer_edge_has_the_requested_length(size: str, expected: tuple[int, int]) -> None:
    """
    The longer edge has the requested length, and the aspect ratio is kept.
    """
    assert rendered(document(GREEN, size), 300).size == expected


@settings(max_examples=15, deadline=None)
@given(st.binary(), st.sampled_from(["", "utf-8", "utf-16", "latin-1", "idna", "é", "cp037"]))
def test_any_bytes_in_any_encoding_are_handled(data: bytes, encoding: str) -> None:
    """
    Any bytes with any declared encoding are rendered or raise InvalidImageError.
    """
    head = f"<?xml version='1.0' encoding='{encoding}'?>".encode() if encoding else b""
    try:
        assert rendered(head + document("<text>@</text>").replace(b"@", data)).size == (9, 9)
    except InvalidImageError as error:
        assert "Teapot" in str(error)  # noqa: PT017 - drawing it is good as well


# --- any image as PNG -----------------------------------------------------------------------------


def test_svg_size_is_its_own_or_the_requested_one() -> None:
    """
    An SVG is rendered at `max_side`, or at its own size within bounds.
    """
    data = document(GREEN, 'width="30" height="20"')
    assert decoded(as_png(data, "it")).size == (30, 20)
    assert decoded(as_png(data, "it", max_side=600)).size == (600, 400)
    assert natural_edge(document(GREEN, "")) == 1024
    assert natural_edge(document(GREEN, 'width="90000" height="9"')) == 4096


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "GIF", "PNG"])
def test_raster_images_become_png(format: str) -> None:
    """
    A raster image becomes an upright PNG, never enlarged; a PNG is unchanged.
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
def test_invalid_max_side_is_rejected(side: Any) -> None:
    """
    Anything but a number of pixels raises InvalidRequestError.
    """
    with pytest.raises(InvalidRequestError, match="max_side"):
        as_png(document(GREEN), "it", max_side=side)


def test_saved_svg_is_returned_as_png(studio: Any) -> None:
    """
    `as_png` renders a saved SVG without changing its file; a saved PNG is unchanged.
    """
    image = studio.generate("a teapot", output_format="svg", size="1024x1024")
    before = image.bytes
    assert Image.open(io.BytesIO(image.as_png(max_side=200))).size == (200, 200)
    assert image.bytes == before
    plain = studio.generate("a teapot")
    assert plain.as_png() == plain.bytes
