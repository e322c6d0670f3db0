"""
Make an SVG safe to show: rebuild it from what is allowed, and leave out everything else.

An SVG is a program as much as a picture: it can run scripts, fetch from other machines, and link
to anything. Nothing is searched for and cut out here. The document is read by a parser that
refuses entities, and written anew from the elements, attributes and values that only draw.
"""

from __future__ import annotations

import binascii
import bisect
import re
from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import ParseError
from xml.sax.saxutils import escape

import attrs
import pybase64
from defusedxml.common import DTDForbidden
from defusedxml.ElementTree import DefusedXMLParser

from imagesession._model.pictures import MIME_TYPES, read_facts
from imagesession.errors import PictureError

from .limits import check_bytes, check_pixels

MAX_BYTES = 8_000_000
MAX_NODES = 200_000
MAX_DEPTH = 64
# What is drawn once every reference is followed; a sheet of a thousand icons has some 50,000.
MAX_DRAWN = 1_000_000

SVG = "http://www.w3.org/2000/svg"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# https://www.w3.org/TR/SVG2/eltindex.html, without what runs, links, moves or embeds.
ELEMENTS = _words(
    """svg g defs symbol use switch title desc metadata path rect circle ellipse line polyline
    polygon text tspan textPath image linearGradient radialGradient stop pattern clipPath mask
    marker filter feBlend feColorMatrix feComponentTransfer feComposite feConvolveMatrix
    feDiffuseLighting feDisplacementMap feDistantLight feDropShadow feFlood feFuncA feFuncB feFuncG
    feFuncR feGaussianBlur feMerge feMergeNode feMorphology feOffset fePointLight
    feSpecularLighting feSpotLight feTile feTurbulence"""
)
# https://www.w3.org/TR/SVG2/attindex.html and, for filters, https://www.w3.org/TR/filter-effects-1.
ATTRIBUTES = _words(
    """version width height x y x1 y1 x2 y2 cx cy r rx ry fx fy fr d points pathLength dx dy rotate
    viewBox preserveAspectRatio transform gradientTransform patternTransform gradientUnits
    patternUnits patternContentUnits clipPathUnits maskUnits maskContentUnits filterUnits
    primitiveUnits markerUnits markerWidth markerHeight refX refY orient spreadMethod offset
    systemLanguage lang
    fill fill-opacity fill-rule stroke stroke-width stroke-opacity stroke-linecap stroke-linejoin
    stroke-miterlimit stroke-dasharray stroke-dashoffset opacity color color-interpolation
    color-rendering clip-path clip-rule mask mask-type filter marker marker-start marker-mid
    marker-end stop-color stop-opacity paint-order vector-effect shape-rendering text-rendering
    image-rendering display visibility overflow mix-blend-mode isolation transform-origin
    font-family font-size font-size-adjust font-stretch font-style font-variant font-weight
    text-anchor text-decoration dominant-baseline alignment-baseline baseline-shift
    letter-spacing word-spacing writing-mode direction unicode-bidi white-space kerning
    glyph-orientation-vertical textLength lengthAdjust startOffset method spacing side
    in in2 result mode operator k1 k2 k3 k4 type values tableValues slope intercept amplitude
    exponent stdDeviation edgeMode order kernelMatrix divisor bias targetX targetY
    preserveAlpha kernelUnitLength surfaceScale diffuseConstant specularConstant
    specularExponent lighting-color azimuth elevation z pointsAtX pointsAtY pointsAtZ
    limitingConeAngle scale xChannelSelector yChannelSelector flood-color flood-opacity radius
    baseFrequency numOctaves seed stitchTiles color-interpolation-filters"""
)
FUNCTIONS = _words(
    """rgb rgba hsl hsla hwb lab lch oklab oklch color translate scale rotate skewx skewy matrix
    translatex translatey scalex scaley blur brightness contrast drop-shadow grayscale hue-rotate
    invert opacity saturate sepia circle ellipse inset polygon"""
)
_WORDED = frozenset({"title", "desc", "metadata", "text", "tspan", "textPath"})
# What draws the same however often it is referred to: they have no children that refer further.
_FLAT = frozenset({"linearGradient", "radialGradient", "filter"})
_HREFS = ("href", "{http://www.w3.org/1999/xlink}href")
_SPACE = "{http://www.w3.org/XML/1998/namespace}space"

_ID = re.compile(r"[\w.:-]+")
_LOCAL = re.compile(r"\s*#([\w.:-]+)\s*")
_LOCAL_URL = re.compile(r"""url\(\s*+(["']?)#([\w.:-]++)\1\s*+\)""")
# A backslash would let a value spell a word that is looked for here in another way.
_SUSPECT = re.compile(r"[\\@:;{}<>`\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|/\*")
# The name, if any, before each bracket. Possessive: a long value takes no more than linear time.
_CALLED = re.compile(r"(?<![\w-])([\w-]++\s*+)?\(")
_DATA = re.compile(r"\s*data:image/(?:png|jpe?g|webp|gif);base64,", re.IGNORECASE)
_TEXT = {"\r": "&#13;"}
# Plain line ends and tabs in an attribute are read as blanks.
_QUOTED = {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}


def sanitise(data: bytes, name: str = "The SVG") -> bytes:
    """
    Rebuild an SVG from an allow-list, so that showing it runs nothing and fetches nothing.

    What is not on the list is left out with all that is in it: scripts, styles, handlers,
    animations, links, foreign content, other namespaces, comments and references to anything
    outside the document. Of images, those remain that carry a PNG, JPEG, WebP or GIF in
    themselves. What comes out is UTF-8, and comes out the same when it is put in again.

    Args:
        data: The document.
        name: What to call it in errors.

    Returns:
        A standalone document that draws what the allowed parts draw.

    Raises:
        PictureError: It is no well-formed SVG, has a DOCTYPE, or is over a limit.
    """
    check_bytes(len(data), name, limit=MAX_BYTES)
    rebuilt = _Rebuilt(name=name)
    parser = DefusedXMLParser(target=rebuilt, forbid_dtd=True)
    try:
        parser.feed(data)
        parser.close()
    except DTDForbidden as error:
        raise PictureError(
            f"{name} has a DOCTYPE, which can name files and other machines. Take the line out."
        ) from error
    # A declared encoding that Python does not know, or cannot use, fails in ways of its own.
    except (ParseError, ValueError, LookupError, TypeError) as error:
        raise PictureError(
            f"{name} is no well-formed SVG: {error}. Save or download it again."
        ) from error
    rebuilt.references.check(name)
    shown = "".join(rebuilt.parts).encode()
    # Characters that are written plainly may have to be spelt out.
    check_bytes(len(shown), name, limit=MAX_BYTES, form="rebuilt text")
    return shown


@attrs.define
class _References:
    """
    Who refers to whom in a document, and so how much is drawn once all of it is followed.

    Elements go by their number in the document.

    Attributes:
        ends: For each element, the number after the last one within it.
        flat: Elements that count nothing where they are referred to.
        ids: Elements by their id, the first of each.
        made: Each reference: the element that has it, and the id that it names.
    """

    ends: list[int] = attrs.field(factory=list[int])
    flat: set[int] = attrs.field(factory=set[int])
    ids: dict[str, int] = attrs.field(factory=dict[str, int])
    made: list[tuple[int, str]] = attrs.field(factory=list[tuple[int, str]])
    _sizes: dict[int, tuple[int, int]] = attrs.field(factory=dict[int, tuple[int, int]])

    def check(self, name: str) -> None:
        """
        Refuse a document of a few lines that refer to each other until they draw millions.

        Raises:
            PictureError: It draws too much, or its references go too deep or in a circle.
        """
        if self._size(0, 0, name)[0] > MAX_DRAWN:
            raise PictureError(
                f"{name} repeats its parts until it draws more than {MAX_DRAWN:,} elements; that "
                "is the limit. Draw it with fewer repetitions."
            )

    def _size(self, element: int, depth: int, name: str) -> tuple[int, int]:
        """
        Return how many elements one draws, and through how many references at most.
        """
        # The first half ends a circle, before anything in it is known.
        if depth > MAX_DEPTH or depth + self._sizes.get(element, (0, 0))[1] > MAX_DEPTH:
            raise PictureError(
                f"{name} has references that go in a circle, or follow each other more than "
                f"{MAX_DEPTH} deep; that is the limit. Draw it without them."
            )
        if element not in self._sizes:
            sizes = [self._size(one, depth + 1, name) for one in self._targets(element)]
            drawn = self.ends[element] - element + sum(size for size, _ in sizes)
            self._sizes[element] = drawn, max((height + 1 for _, height in sizes), default=0)
        return self._sizes[element]

    def _targets(self, element: int) -> Iterator[int]:
        first = bisect.bisect_left(self.made, (element, ""))
        for at in range(first, len(self.made)):
            owner, name = self.made[at]
            if owner >= self.ends[element]:
                return
            target = self.ids.get(name)
            if target is not None and target not in self.flat:
                yield target


@attrs.define
class _Rebuilt:
    """
    A document as it is written anew, while a parser reads the old one.

    Attributes:
        name: What to call it in errors.
        parts: What is written so far.
        references: What refers to what in it.
    """

    name: str
    parts: list[str] = attrs.field(factory=list[str])
    references: _References = attrs.field(factory=_References)
    _open: list[tuple[str, int]] = attrs.field(factory=list[tuple[str, int]])
    _left_out: int = 0
    _nodes: int = 0
    _begun: bool = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """
        Write an element's beginning, or leave the element out.
        """
        self._count()
        word = tag.removeprefix(f"{{{SVG}}}")
        if not self._open and (word != "svg" or word == tag):
            raise PictureError(
                f"{self.name} does not begin with <svg> in the namespace {SVG}. Save it as a "
                "standalone SVG."
            )
        kept = None if self._left_out or word == tag else _kept(word, attributes, self.name)
        if kept is None:
            self._left_out += 1
            return
        self._end_beginning()
        self._note(word, kept)
        self.parts.append(f"<{word}")
        if not self._open:
            self.parts.append(f' xmlns="{SVG}"')
        self.parts.extend(f' {one}="{escape(value, _QUOTED)}"' for one, value in kept.items())
        self._open.append((word, len(self.references.ends) - 1))
        self._begun = True

    def end(self, _tag: str) -> None:
        """
        Write an element's end, unless it was left out.
        """
        if self._left_out:
            self._left_out -= 1
            return
        word, number = self._open.pop()
        self.references.ends[number] = len(self.references.ends)
        # The root has an end of its own, by which an SVG that is whole is recognised.
        if self._begun and self._open:
            self.parts.append("/>")
        else:
            self._end_beginning()
            self.parts.append(f"</{word}>")
        self._begun = False

    def data(self, text: str) -> None:
        """
        Write words, where there can be any.
        """
        if not self._left_out and self._open and self._open[-1][0] in _WORDED:
            self._end_beginning()
            self.parts.append(escape(text, _TEXT))

    def _end_beginning(self) -> None:
        if self._begun:
            self.parts.append(">")
        self._begun = False

    def _count(self) -> None:
        """
        Refuse a document that is too large for those who show it, as soon as it is.
        """
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise PictureError(
                f"{self.name} has too many elements; the limit is {MAX_NODES:,}. Make it simpler."
            )
        if len(self._open) + self._left_out >= MAX_DEPTH:
            raise PictureError(
                f"{self.name} has elements within each other too deeply; the limit is "
                f"{MAX_DEPTH}. Make it simpler."
            )

    def _note(self, word: str, kept: Mapping[str, str]) -> None:
        number = len(self.references.ends)
        self.references.ends.append(number + 1)
        if word in _FLAT:
            self.references.flat.add(number)
        if "id" in kept:
            self.references.ids.setdefault(kept["id"], number)
        self.references.made.extend((number, one) for one in _named(kept))


def _kept(word: str, attributes: Mapping[str, str], name: str) -> dict[str, str] | None:
    """
    Return the attributes that an element keeps; None if it is to be left out.
    """
    # Nobody has an extension that a picture could require, so such an element is never drawn.
    if word not in ELEMENTS or "requiredExtensions" in attributes:
        return None
    kept = {one: value for one, value in attributes.items() if _is_allowed(one, value)}
    href = next((attributes[one] for one in _HREFS if one in attributes), None)
    if word == "image":
        picture = _embedded(href or "", name)
        return None if picture is None else {**kept, "href": picture}
    local = _LOCAL.fullmatch(href or "")
    if local is not None:
        kept["href"] = f"#{local[1]}"
    if attributes.get(_SPACE) == "preserve":
        kept["xml:space"] = "preserve"
    return kept


def _is_allowed(attribute: str, value: str) -> bool:
    if attribute == "id":
        return _ID.fullmatch(value) is not None
    if attribute not in ATTRIBUTES:
        return False
    rest = _LOCAL_URL.sub(" ", value)
    called = (match[1] or "" for match in _CALLED.finditer(rest))
    return not _SUSPECT.search(rest) and all(one.strip().lower() in FUNCTIONS for one in called)


def _embedded(href: str, name: str) -> str | None:
    """
    Return the address of a picture that carries itself, under its true type; None for any other.
    """
    head = _DATA.match(href)
    if head is None:
        return None
    try:
        data = pybase64.b64decode("".join(href[head.end() :].split()), validate=True)
    except binascii.Error:
        return None
    facts = read_facts(data)
    if facts is None or facts.format == "svg":
        return None
    check_pixels((facts.width, facts.height), f"A picture in {name}")
    return f"data:{MIME_TYPES[facts.format]};base64,{pybase64.b64encode(data).decode()}"


def _named(kept: Mapping[str, str]) -> Iterator[str]:
    """
    Yield the ids that attributes refer to.
    """
    for attribute, value in kept.items():
        if attribute == "href" and value.startswith("#"):
            yield value[1:]
        elif "url(" in value:
            yield from (match[2] for match in _LOCAL_URL.finditer(value))
