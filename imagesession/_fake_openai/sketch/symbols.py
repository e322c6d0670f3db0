"""
The subjects: our own drawings, each an SVG symbol that is drawn in given colours.

A symbol's classes name its colours (main, dark, pale, light, accent, ink; with `-line` for a
stroke) and its roles (detail, glow, shadow). A group with an id is an optional part.
"""

import functools
from collections.abc import Collection
from typing import TypeAlias, cast
from xml.etree import ElementTree as ET

import attrs

from imagesession._fake_openai.sketch import path
from imagesession._fake_openai.sketch.canvas import Linear, Mark, Paint, Pen, Radial, Role, Stop
from imagesession._fake_openai.sketch.colour import Colour, dark, light, mix, rgb
from imagesession._fake_openai.sketch.lettering import text_width
from imagesession._fake_openai.sketch.words import FOLDER, read

_ROLES = frozenset({"detail", "glow", "shadow"})
_SVG = "{http://www.w3.org/2000/svg}"


class Palette(dict[str, Colour]):
    """
    Colours by name; `far_near_40` is two of them mixed, `far_L20` a lighter and `far_D20` a
    darker one, and `#12ab34` or `x12ab34` is a colour itself.
    """

    def __missing__(self, key: str) -> Colour:
        if "_" not in key:
            return rgb(key.removeprefix("x"))
        rest, share = key.rsplit("_", 1)
        if share[0] in "LD":
            return (light if share[0] == "L" else dark)(self[rest], int(share[1:]) / 100)
        text, second = rest.rsplit("_", 1)
        return mix(self[text], self[second], int(share) / 100)


def shades(main: Colour, accent: Colour, **others: Colour) -> Palette:
    return Palette({
        "main": main, "accent": accent, "dark": dark(main, 0.32), "light": light(main, 0.38),
        "pale": light(main, 0.72), "ink": dark(main, 0.78), "paper": (251, 249, 243),
        "skin": (224, 166, 126), "hair": (74, 48, 38), **others,
    })  # fmt: skip


@attrs.frozen(kw_only=True)
class Subject:
    name: str
    words: tuple[str, ...]
    colour: Colour
    accent: Colour
    place: str
    size: float


TABLE = {
    name: Subject(
        name=name, words=(name, *filter(None, row["words"].split(","))),
        colour=rgb(row["colour"]), accent=rgb(row["accent"]), place=row["place"], size=row["size"],
    ) for name, row in read("table").items()
}  # fmt: skip
"""The subjects, by name."""


@attrs.frozen(kw_only=True)
class _Piece:
    part: str
    mark: Mark
    fill: str  # a class, a colour, or a gradient's id
    line: str


_Gradients: TypeAlias = dict[str, tuple[Linear | Radial, tuple[str, ...]]]


@functools.cache
def _symbol(name: str) -> tuple[tuple[_Piece, ...], _Gradients]:
    text = (FOLDER / f"{name.replace(' ', '-')}.svg").read_text("utf-8")
    root = ET.fromstring(text)  # noqa: S314 - our own file
    gradients = {
        node.attrib["id"]: _gradient(node)
        for node in root.iter() if node.tag.endswith("Gradient")
    }  # fmt: skip
    pieces = [
        _piece(node, group.get("id", ""))
        for group in root
        for node in (group if group.tag == f"{_SVG}g" else [group])
        if node.tag in {f"{_SVG}path", f"{_SVG}text"}
    ]
    return tuple(pieces), gradients


def _number(node: "ET.Element[str]", name: str, second: float = 0.0) -> float:
    return float(node.get(name, second))


def _gradient(node: "ET.Element[str]") -> tuple[Linear | Radial, tuple[str, ...]]:
    keys = tuple(stop.get("class") or stop.attrib["stop-color"] for stop in node)
    stops = tuple(
        Stop(_number(s, "offset"), (0, 0, 0), _number(s, "stop-opacity", 1)) for s in node
    )
    if node.tag.startswith(f"{_SVG}radial"):
        return Radial((_number(node, "cx"), _number(node, "cy")), _number(node, "r"), stops), keys
    start = (_number(node, "x1"), _number(node, "y1"))
    return Linear(start, (_number(node, "x2"), _number(node, "y2")), stops), keys


def _piece(node: "ET.Element[str]", part: str) -> _Piece:
    classes = node.get("class", "").split()
    role = cast("Role", next((word for word in classes if word in _ROLES), "subject"))
    inks = [word for word in classes if word not in _ROLES]
    line = next((word.removesuffix("-line") for word in inks if word.endswith("-line")), "")
    fill = next((word for word in inks if not word.endswith("-line")), node.get("fill", ""))
    return _Piece(part=part, mark=_mark(node, role), fill="" if fill == "none" else fill,
                  line=line or node.get("stroke", ""))  # fmt: skip


def _mark(node: "ET.Element[str]", role: Role) -> Mark:
    if node.tag == f"{_SVG}text":
        text, size = node.text or "", _number(node, "font-size")
        at = (_number(node, "x"), _number(node, "y") - 0.35 * size)
        return Mark(contours=((at,),), text=text, size=size, length=text_width(text, size),
                    bold=0.02, role="lettering")  # fmt: skip
    d = node.attrib["d"]
    return Mark(
        contours=path.parse(d), width=_number(node, "stroke-width"), role=role,
        alpha=_number(node, "opacity", 1), closed=d.endswith("Z"),
        holes=node.get("fill-rule") == "evenodd",
    )  # fmt: skip


def draw(pen: Pen, name: str, inks: Palette, parts: Collection[str] = ()) -> None:
    """Draw a symbol into a box of 100 by 100, with the named ones of its optional parts."""
    pieces, gradients = _symbol(name)
    for piece in pieces:
        if piece.part and piece.part not in parts:
            continue
        fill: Paint | None = None
        if piece.fill.startswith("url("):
            ink, keys = gradients[piece.fill[5:-1]]
            pairs = zip(ink.stops, keys, strict=True)
            stops = tuple(attrs.evolve(stop, colour=inks[key]) for stop, key in pairs)
            fill = attrs.evolve(ink, stops=stops)
        elif piece.fill:
            fill = inks[piece.fill]
        line = inks[piece.line] if piece.line else None
        pen.stamp(attrs.evolve(piece.mark, fill=fill, stroke=line))


def parts_of(name: str) -> tuple[str, ...]:
    """Name the optional parts of a symbol, in the order in which they are drawn."""
    return tuple(dict.fromkeys(piece.part for piece in _symbol(name)[0] if piece.part))


@functools.cache
def variants(folder: str, name: str = "") -> tuple[str, ...]:
    """Name the symbols in a folder; with a name, only it and its numbered variants."""
    every = sorted(file.name.removesuffix(".svg") for file in (FOLDER / folder).iterdir())
    wanted = (f for f in every if name in {"", f} or (f[:-2] == name and f[-1].isdigit()))
    return tuple(f"{folder}/{f}" for f in wanted)


@functools.cache
def extent(name: str, parts: frozenset[str] = frozenset()) -> tuple[float, float, float, float]:
    pen = Pen()
    draw(pen, name, shades(TABLE[name].colour, TABLE[name].accent), parts)
    shapes = [mark for mark in pen.marks if mark.role != "glow" and not mark.text]
    return path.bounds([contour for shape in shapes for contour in shape.contours])
