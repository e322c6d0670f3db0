"""
The canvas: marks in units of a thousandth of the image's short side, and the pen that makes them.

A mark keeps its points, so that styles can transform it before it is written as SVG.
"""

import contextlib
import math
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Literal, TypeAlias

import attrs

from imagesession._fake_openai.sketch import path
from imagesession._fake_openai.sketch.colour import Change, Colour, apply_changes, rgb
from imagesession._fake_openai.sketch.path import Contour, Matrix, Point

Role: TypeAlias = Literal["ground", "subject", "detail", "shadow", "glow", "weather", "lettering"]
UNIT = 1000.0


@attrs.frozen
class Stop:
    """One colour of a gradient."""

    offset: float
    colour: Colour
    alpha: float = 1.0


@attrs.frozen
class Linear:
    """A gradient from one point to another."""

    start: Point
    end: Point
    stops: tuple[Stop, ...]


@attrs.frozen
class Radial:
    """A gradient from a centre outwards; `squash` flattens it."""

    centre: Point
    radius: float
    stops: tuple[Stop, ...]
    squash: float = 1.0


Paint: TypeAlias = Colour | Linear | Radial
Ink: TypeAlias = str | Paint


@attrs.frozen(kw_only=True)
class Shape:
    """A filled or stroked outline."""

    contours: tuple[Contour, ...]
    fill: Paint | None = None
    stroke: Colour | None = None
    width: float = 0.0
    alpha: float = 1.0
    closed: bool = True
    holes: bool = False
    back: bool = False  # part of the background, which a transparent image leaves out
    role: Role = "subject"


@attrs.frozen(kw_only=True)
class Text:
    """A line of lettering, centred on a point."""

    text: str
    at: Point
    size: float
    fill: Colour
    width: float
    bold: float = 0.0
    alpha: float = 1.0
    role: Role = "lettering"


Mark: TypeAlias = Shape | Text
Warp: TypeAlias = Callable[[Point], Point]


@attrs.frozen(kw_only=True)
class Drawing:
    """A whole image as marks, drawn in order."""

    width: float
    height: float
    marks: tuple[Mark, ...]
    paper: Colour
    loose: bool = False  # has no fine edges, as in watercolor


def paint(ink: Ink) -> Paint:
    """Read a colour given as text; leave other draws as they are."""
    return rgb(ink) if isinstance(ink, str) else ink


def solid(colour: str | Colour) -> Colour:
    """Read a colour given as text."""
    return rgb(colour) if isinstance(colour, str) else colour


def fade(*colours: str | Colour) -> tuple[Stop, ...]:
    """Space colours evenly along a gradient."""
    last = max(1, len(colours) - 1)
    return tuple(Stop(i / last, solid(colour)) for i, colour in enumerate(colours))


def vanish(colour: str | Colour, alpha: float = 1.0) -> tuple[Stop, ...]:
    """Fade a colour to transparent."""
    ink = solid(colour)
    return (Stop(0, ink, alpha), Stop(0.45, ink, alpha * 0.36), Stop(1, ink, 0.0))


def down(y: float, height: float, *colours: str | Colour) -> Linear:
    """Make a vertical gradient."""
    return Linear((0, y), (0, y + height), fade(*colours))


def flat_colour(fill: Paint | None) -> Colour:
    """Return one colour for a draw."""
    if fill is None:
        return (128, 128, 128)
    if isinstance(fill, tuple):
        return fill
    return fill.stops[len(fill.stops) // 2 if isinstance(fill, Linear) else 0].colour


def is_veil(shape: Shape) -> bool:
    """Tell whether a shape has a translucent fill, such as haze."""
    fill = shape.fill
    return isinstance(fill, (Linear, Radial)) and any(stop.alpha < 1 for stop in fill.stops)


def spread(drawing: Drawing, shape: Shape) -> bool:
    """Tell whether a shape is a plain piece of ground over the whole width."""
    if shape.role != "ground" or len(shape.contours) != 1 or len(shape.contours[0]) != 4:
        return False
    x1, _, x2, _ = path.bounds(shape.contours)
    return x2 - x1 > drawing.width * 0.9


def recolour_mark(mark: Mark, changes: Sequence[Change]) -> Mark:
    """Change the colours of a mark."""
    if isinstance(mark, Text):
        return attrs.evolve(mark, fill=apply_changes(mark.fill, changes))
    fill = mark.fill
    if isinstance(fill, (Linear, Radial)):
        stops = tuple(attrs.evolve(s, colour=apply_changes(s.colour, changes)) for s in fill.stops)
        fill = attrs.evolve(fill, stops=stops)
    elif fill is not None:
        fill = apply_changes(fill, changes)
    stroke = None if mark.stroke is None else apply_changes(mark.stroke, changes)
    return attrs.evolve(mark, fill=fill, stroke=stroke)


def faded(marks: Iterable[Mark], alpha: float, role: Role | None = None) -> list[Mark]:
    """Make marks more transparent, and give them a role if one is named."""
    return [attrs.evolve(m, alpha=m.alpha * alpha, role=role or m.role) for m in marks]


def as_back(mark: Mark) -> Mark:
    """Mark a shape as background, which a transparent image leaves out."""
    return attrs.evolve(mark, back=True) if isinstance(mark, Shape) else mark


def warped(mark: Mark, warp: Warp) -> Mark:
    """Move every point of a mark."""
    if isinstance(mark, Text):
        return attrs.evolve(mark, at=warp(mark.at))
    contours = tuple(
        tuple(_warp_segment(seg, warp) for seg in contour) for contour in mark.contours
    )
    fill = mark.fill
    if isinstance(fill, Linear):
        fill = attrs.evolve(fill, start=warp(fill.start), end=warp(fill.end))
    elif isinstance(fill, Radial):
        fill = attrs.evolve(fill, centre=warp(fill.centre))
    return attrs.evolve(mark, contours=contours, fill=fill)


def _warp_segment(seg: path.Segment, warp: Warp) -> path.Segment:
    return tuple(part for i in range(0, len(seg), 2) for part in warp((seg[i], seg[i + 1])))


class Pen:
    """Record marks under the current transformation, role and opacity."""

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
        """Draw what follows with its origin at a point, scaled, turned, mirrored or stretched."""
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
        """Return what follows a role, and an opacity."""
        before = (self._role, self._alpha)
        self._role, self._alpha = role, self._alpha * alpha
        try:
            yield
        finally:
            self._role, self._alpha = before

    def stamp(self, shape: Shape) -> None:
        """Draw a finished shape under the current transformation."""
        m = self._matrix
        size = path.scale_of(m)
        self.marks.append(attrs.evolve(
            shape, contours=tuple(path.moved(m, c) for c in shape.contours),
            fill=self._transform_paint(shape.fill), width=shape.width * size,
            alpha=shape.alpha * self._alpha,
            role=self._role if shape.role == "subject" else shape.role,
        ))  # fmt: skip

    def shape(
        self, contours: Sequence[Contour], ink: Ink | None, *, stroke: str | Colour | None = None,
        width: float = 0, alpha: float = 1, closed: bool = True,
    ) -> None:  # fmt: skip
        """Draw outlines."""
        if contours:
            self.stamp(Shape(
                contours=tuple(contours), fill=None if ink is None else paint(ink),
                stroke=None if stroke is None else solid(stroke), width=width,
                alpha=alpha, closed=closed,
            ))  # fmt: skip

    def line(self, *points: Point, ink: str | Colour, width: float, alpha: float = 1) -> None:
        """Stroke a line through points."""
        self.shape([points], None, stroke=ink, width=width, alpha=alpha, closed=False)

    def polygon(self, *points: Point, ink: Ink, alpha: float = 1) -> None:
        """Fill a polygon."""
        self.shape([points], ink, alpha=alpha)

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, ink: Ink, *,
                alpha: float = 1) -> None:  # fmt: skip
        """Fill an ellipse."""
        self.shape([path.ellipse(cx, cy, rx, ry)], ink, alpha=alpha)

    def circle(self, cx: float, cy: float, r: float, ink: Ink, *, alpha: float = 1) -> None:
        """Fill a circle."""
        self.shape([path.ellipse(cx, cy, r, r)], ink, alpha=alpha)

    def ring(self, cx: float, cy: float, r: float, ink: str | Colour, width: float, *,
             alpha: float = 1) -> None:  # fmt: skip
        """Stroke a circle."""
        self.shape([path.ellipse(cx, cy, r, r)], None, stroke=ink, width=width, alpha=alpha)

    def glow(self, cx: float, cy: float, r: float, ink: str | Colour, alpha: float, *,
             squash: float = 1) -> None:  # fmt: skip
        """Fade a colour out around a point: a light, or flattened a soft shadow."""
        fill = Radial((cx, cy), r, vanish(ink, alpha), squash)
        self.shape([path.ellipse(cx, cy, r, r * squash)], fill)

    def rect(self, x: float, y: float, w: float, h: float, ink: Ink, *, radius: float = 0,
             alpha: float = 1) -> None:  # fmt: skip
        """Fill a rectangle."""
        self.shape([path.rectangle(x, y, w, h, radius)], ink, alpha=alpha)

    def letter(self, text: str, x: float, y: float, size: float, ink: str | Colour, *,
               width: float, bold: float = 0, alpha: float = 1) -> None:  # fmt: skip
        """Letter a line of a given width, centred on a point."""
        m = self._matrix
        k = path.scale_of(m)
        at = path.moved(m, ((x, y),))[0]
        self.marks.append(Text(
            text=text, at=(at[0], at[1]), size=size * k, width=width * k, bold=bold,
            fill=solid(ink), alpha=alpha * self._alpha,
            role=self._role if self._role != "subject" else "lettering",
        ))  # fmt: skip

    def _transform_paint(self, ink: Paint | None) -> Paint | None:
        m = self._matrix
        match ink:
            case Linear():
                a, b = path.moved(m, (ink.start, ink.end))
                return attrs.evolve(ink, start=(a[0], a[1]), end=(b[0], b[1]))
            case Radial():
                (c,) = path.moved(m, (ink.centre,))
                return attrs.evolve(ink, centre=(c[0], c[1]), radius=ink.radius * path.scale_of(m))
            case _:
                return ink
