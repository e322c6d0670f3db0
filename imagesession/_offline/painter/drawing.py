"""
The drawing: a list of marks in units (the picture's short side is 1000), and the pen that makes it.

Subjects are written once with the pen; the raster and the vector renderer both read the drawing,
and styles turn one drawing into another.
"""

import contextlib
import math
from collections.abc import Generator, Sequence
from typing import Literal, TypeAlias

import attrs

from imagesession._offline.painter import path
from imagesession._offline.painter.colour import Colour, rgb
from imagesession._offline.painter.path import Contour, Matrix, Point

Role = Literal["ground", "subject", "detail", "shadow", "glow", "weather", "lettering"]

UNIT = 1000.0


@attrs.frozen
class Stop:
    """
    Represent one colour of a gradient.
    """

    offset: float
    colour: Colour
    alpha: float = 1.0


@attrs.frozen
class Linear:
    """
    Represent a gradient from one point to another.
    """

    start: Point
    end: Point
    stops: tuple[Stop, ...]


@attrs.frozen
class Radial:
    """
    Represent a gradient from a centre outwards.
    """

    centre: Point
    radius: float
    stops: tuple[Stop, ...]


Paint: TypeAlias = Colour | Linear | Radial
Ink: TypeAlias = str | Paint


@attrs.frozen(kw_only=True)
class Shape:
    """
    Represent a filled or stroked outline.
    """

    contours: tuple[Contour, ...]
    fill: Paint | None = None
    stroke: Colour | None = None
    width: float = 0.0
    alpha: float = 1.0
    blur: float = 0.0
    closed: bool = True
    holes: bool = False
    back: bool = False  # part of the surroundings, which a transparent picture leaves out
    role: Role = "subject"
    of: str = ""  # the subject that it belongs to, if any


@attrs.frozen(kw_only=True)
class Text:
    """
    Represent a line of lettering, centred on a point.
    """

    text: str
    at: Point
    size: float
    fill: Colour
    tracking: float = 0.0
    bold: float = 0.0
    alpha: float = 1.0
    role: Role = "lettering"
    of: str = ""  # the subject that it belongs to, if any


Mark: TypeAlias = Shape | Text


@attrs.frozen(kw_only=True)
class Drawing:
    """
    Represent a whole picture as marks, painted in order.
    """

    width: float
    height: float
    marks: tuple[Mark, ...]
    paper: Colour


def paint(ink: Ink) -> Paint:
    """
    Read a colour given as text; leave other paints as they are.
    """
    return rgb(ink) if isinstance(ink, str) else ink


def fade(*colours: Ink) -> tuple[Stop, ...]:
    """
    Space colours evenly along a gradient.
    """
    last = max(1, len(colours) - 1)
    solid = [c for c in map(paint, colours) if isinstance(c, tuple)]
    return tuple(Stop(i / last, colour) for i, colour in enumerate(solid))


def vanish(colour: Ink, alpha: float = 1.0) -> tuple[Stop, ...]:
    """
    Let a colour fade to nothing.
    """
    solid = paint(colour)
    if not isinstance(solid, tuple):
        raise TypeError("only a plain colour can vanish")
    return (Stop(0, solid, alpha), Stop(0.45, solid, alpha * 0.36), Stop(1, solid, 0.0))


class Pen:
    """
    Record marks under the current transformation, role and opacity.
    """

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self._matrix: Matrix = path.IDENTITY
        self._role: Role = "subject"
        self._alpha = 1.0

    @contextlib.contextmanager
    def placed(
        self, x: float = 0, y: float = 0, scale: float = 1, *, turn: float = 0, flip: bool = False,
        stretch: float = 1,
    ) -> Generator[None]:  # fmt: skip
        """
        Draw what follows with its origin at a point, scaled, turned, mirrored or stretched.
        """
        c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        h, v = (-scale if flip else scale), scale * stretch
        before = self._matrix
        self._matrix = path.multiply(before, (c * h, s * h, -s * v, c * v, x, y))
        try:
            yield
        finally:
            self._matrix = before

    @contextlib.contextmanager
    def role(self, role: Role, alpha: float = 1.0) -> Generator[None]:
        """
        Give what follows a role, and an opacity.
        """
        before = (self._role, self._alpha)
        self._role, self._alpha = role, self._alpha * alpha
        try:
            yield
        finally:
            self._role, self._alpha = before

    def shape(
        self, contours: Sequence[Contour], ink: Ink | None, *, stroke: str | Colour | None = None,
        width: float = 0, alpha: float = 1, blur: float = 0, closed: bool = True,
        holes: bool = False,
    ) -> None:  # fmt: skip
        """
        Draw outlines.
        """
        if not contours:
            return
        m = self._matrix
        size = path.spread(m)
        self.marks.append(Shape(
            contours=tuple(path.moved(m, contour) for contour in contours),
            fill=None if ink is None else self._moved(paint(ink)),
            stroke=rgb(stroke) if isinstance(stroke, str) else stroke,
            width=width * size, alpha=alpha * self._alpha, blur=blur * size,
            closed=closed, holes=holes, role=self._role,
        ))  # fmt: skip

    def path(self, d: str, ink: Ink, *, alpha: float = 1, holes: bool = False) -> None:
        """
        Fill a path written in SVG's commands.
        """
        self.shape(path.parse(d), ink, alpha=alpha, holes=holes)

    def trace(self, d: str, ink: str | Colour, width: float, *, alpha: float = 1) -> None:
        """
        Stroke a path written in SVG's commands; a trailing Z closes it.
        """
        closed = d.endswith("Z")
        self.shape(path.parse(d), None, stroke=ink, width=width, alpha=alpha, closed=closed)

    def line(self, *points: Point, ink: str | Colour, width: float, alpha: float = 1) -> None:
        """
        Stroke a line through points.
        """
        self.shape([points], None, stroke=ink, width=width, alpha=alpha, closed=False)

    def polygon(self, *points: Point, ink: Ink, alpha: float = 1) -> None:
        """
        Fill a polygon.
        """
        self.shape([points], ink, alpha=alpha)

    def ellipse(
        self, cx: float, cy: float, rx: float, ry: float, ink: Ink, *, alpha: float = 1,
        blur: float = 0,
    ) -> None:  # fmt: skip
        """
        Fill an ellipse.
        """
        self.shape([path.ellipse(cx, cy, rx, ry)], ink, alpha=alpha, blur=blur)

    def circle(self, cx: float, cy: float, r: float, ink: Ink, *, alpha: float = 1) -> None:
        """
        Fill a circle.
        """
        self.shape([path.ellipse(cx, cy, r, r)], ink, alpha=alpha)

    def ring(self, cx: float, cy: float, r: float, ink: str | Colour, width: float, *,
             alpha: float = 1) -> None:  # fmt: skip
        """
        Stroke a circle.
        """
        self.shape([path.ellipse(cx, cy, r, r)], None, stroke=ink, width=width, alpha=alpha)

    def arc(
        self,
        cx: float,
        cy: float,
        r: float,
        start: float,
        end: float,
        *,
        ink: str | Colour,
        width: float,
        squash: float = 1,
        alpha: float = 1,
    ) -> None:
        """
        Stroke an arc between two angles in degrees.
        """
        self.shape([path.arc(cx, cy, r, start, end, squash)], None, stroke=ink, width=width,
                   alpha=alpha, closed=False)  # fmt: skip

    def rect(self, x: float, y: float, w: float, h: float, ink: Ink, *, radius: float = 0,
             alpha: float = 1) -> None:  # fmt: skip
        """
        Fill a rectangle.
        """
        self.shape([path.rectangle(x, y, w, h, radius)], ink, alpha=alpha)

    def text(self, text: str, x: float, y: float, size: float, ink: str | Colour, *,
             tracking: float = 0, bold: float = 0, alpha: float = 1) -> None:  # fmt: skip
        """
        Letter a line centred on a point.
        """
        m = self._matrix
        at = path.moved(m, ((x, y),))[0]
        self.marks.append(Text(
            text=text, at=(at[0], at[1]), size=size * path.spread(m),
            fill=rgb(ink) if isinstance(ink, str) else ink, tracking=tracking * path.spread(m),
            bold=bold, alpha=alpha * self._alpha, role=self._role,
        ))  # fmt: skip

    def _moved(self, ink: Paint) -> Paint:
        m = self._matrix
        match ink:
            case Linear():
                a, b = path.moved(m, (ink.start, ink.end))
                return attrs.evolve(ink, start=(a[0], a[1]), end=(b[0], b[1]))
            case Radial():
                (c,) = path.moved(m, (ink.centre,))
                return attrs.evolve(ink, centre=(c[0], c[1]), radius=ink.radius * path.spread(m))
            case _:
                return ink


def down(y: float, height: float, *colours: Ink) -> Linear:
    """
    Make a vertical gradient.
    """
    return Linear((0, y), (0, y + height), fade(*colours))


def across(x: float, width: float, *colours: Ink) -> Linear:
    """
    Make a horizontal gradient.
    """
    return Linear((x, 0), (x + width, 0), fade(*colours))
