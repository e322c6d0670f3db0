"""
The table of subjects: what can be drawn, by which words it is called, and where it belongs.

Every subject is a function that draws into a box of 100 by 100, standing on y = 92.
"""

from collections.abc import Callable
from typing import Literal, TypeAlias

import attrs

from imagesession._offline.painter.colour import Colour, dark, light, rgb
from imagesession._offline.painter.drawing import Pen

Place = Literal[
    "room",     # stands on a table or a floor
    "meadow",   # stands in a landscape
    "road",     # stands on a street
    "water",    # floats on water
    "under",    # swims under water
    "air",      # flies
    "space",    # flies higher
    "sky",      # is part of the sky
    "land",     # is the landscape itself
    "plain",    # is a sign: it needs no surroundings
]  # fmt: skip


@attrs.frozen
class Tone:
    """
    Represent the colours that a subject is drawn in.
    """

    main: Colour
    accent: Colour
    dark: Colour
    light: Colour
    pale: Colour
    ink: Colour
    paper: Colour

    @classmethod
    def of(cls, main: Colour, accent: Colour, paper: Colour = (251, 249, 243)) -> "Tone":
        """
        Derive the shades of a subject from its main colour.
        """
        return cls(
            main=main, accent=accent, dark=dark(main, 0.32), light=light(main, 0.38),
            pale=light(main, 0.72), ink=dark(main, 0.78), paper=paper,
        )  # fmt: skip


Draw: TypeAlias = Callable[[Pen, Tone], None]


@attrs.frozen(kw_only=True)
class Subject:
    """
    Represent something that can be drawn.
    """

    name: str
    words: tuple[str, ...]
    colour: Colour
    accent: Colour
    place: Place
    size: float
    draw: Draw


TABLE: dict[str, Subject] = {}


def subject(
    name: str, words: str, *, colour: str, accent: str = "#f2b84b", place: Place = "room",
    size: float = 1.0,
) -> Callable[[Draw], Draw]:  # fmt: skip
    """
    Enter a drawing function in the table; `words` are comma-separated.
    """

    def enter(draw: Draw) -> Draw:
        TABLE[name] = Subject(
            name=name, words=(name, *(word.strip() for word in words.split(",") if word.strip())),
            colour=rgb(colour), accent=rgb(accent), place=place, size=size, draw=draw,
        )  # fmt: skip
        return draw

    return enter
