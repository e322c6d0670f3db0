"""
The canvas: marks in units of a thousandth of the image's short side, and the pen that makes them.

A mark keeps its points, so that styles can transform it before it is written as SVG.
"""

import contextlib
import math
from collections.abc import Generator, Sequence
from typing import Literal, TypeAlias

import attrs

from imagesession._fake_openai.sketch import path
from imagesession._fake_openai.sketch.colour import Change, Colour, apply_changes
from imagesession._fake_openai.sketch.path import Contour, Point, Warp

Role: TypeAlias = Literal["ground", "subject", "detail", "shadow", "glow", "weather", "lettering"]
UNIT = 1000.0


@attrs.frozen
class Stop:
    offset: float
    colour: Colour
    alpha: float = 1.0


@attrs.frozen
class Linear:
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


@attrs.frozen(kw_only=True)
class Mark:
    """
    A filled or stroked outline, or a line of lettering centred on its only point.
    """

    contours: tuple[Contour, ...]
    fill: Paint | None = None
    stroke: Colour | None = None
    width: float = 0.0
    alpha: float = 1.0
    closed: bool = True
    holes: bool = False  # whether contours within others are holes
    back: bool = False  # part of the background, which a transparent image leaves out
    role: Role = "subject"
    text: str = ""  # the lettering
    size: float = 0.0
    length: float = 0.0
    bold: float = 0.0  # how much bolder the lettering is

    @property
    def colour(self) -> Colour:
        fill = self.fill or (128, 128, 128)
        if isinstance(fill, tuple):
            return fill
        return fill.stops[len(fill.stops) // 2 if isinstance(fill, Linear) else 0].colour

    @property
    def is_veil(self) -> bool:
        """Whether it has a translucent fill, such as haze."""
        fill = self.fill
        return isinstance(fill, (Linear, Radial)) and any(stop.alpha < 1 for stop in fill.stops)

    def recoloured(self, changes: Sequence[Change]) -> "Mark":
        fill = self.fill
        if isinstance(fill, (Linear, Radial)):
            stops = (attrs.evolve(s, colour=apply_changes(s.colour, changes)) for s in fill.stops)
            fill = attrs.evolve(fill, stops=tuple(stops))
        elif fill is not None:
            fill = apply_changes(fill, changes)
        stroke = None if self.stroke is None else apply_changes(self.stroke, changes)
        return attrs.evolve(self, fill=fill, stroke=stroke)

    def warped(self, warp: Warp, scale: float = 1.0) -> "Mark":
        fill = self.fill
        if isinstance(fill, Linear):
            fill = attrs.evolve(fill, start=warp(fill.start), end=warp(fill.end))
        elif isinstance(fill, Radial):
            fill = attrs.evolve(fill, centre=warp(fill.centre), radius=fill.radius * scale)
        contours = tuple(path.warped(contour, warp) for contour in self.contours)
        return attrs.evolve(self, contours=contours, fill=fill, width=self.width * scale,
                            size=self.size * scale, length=self.length * scale)  # fmt: skip


@attrs.frozen(kw_only=True)
class Drawing:
    width: float
    height: float
    marks: tuple[Mark, ...]
    paper: Colour
    loose: bool = False  # has no fine edges, as in watercolor

    def has_wide(self, mark: Mark) -> bool:
        """Tell whether a mark is a plain piece of ground over the whole width."""
        if mark.role != "ground" or len(mark.contours) != 1 or len(mark.contours[0]) != 4:
            return False
        x1, _, x2, _ = path.bounds(mark.contours)
        return x2 - x1 > self.width * 0.9


def fade(*colours: Colour) -> tuple[Stop, ...]:
    last = max(1, len(colours) - 1)
    return tuple(Stop(i / last, colour) for i, colour in enumerate(colours))


def down(y: float, height: float, *colours: Colour) -> Linear:
    return Linear((0, y), (0, y + height), fade(*colours))


class Pen:
    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self._frame = (1.0, 1.0, 0.0, 0.0)  # scale and origin, across and down
        self._role: Role = "subject"
        self._alpha = 1.0

    @contextlib.contextmanager
    def placed(
        self, x: float = 0, y: float = 0, scale: float = 1, *, flip: bool = False,
        stretch: float = 1,
    ) -> Generator[None]:  # fmt: skip
        before = (kx, ky, dx, dy) = self._frame
        wide = -scale if flip else scale
        self._frame = (kx * wide, ky * scale * stretch, kx * x + dx, ky * y + dy)
        yield
        self._frame = before

    @contextlib.contextmanager
    def role(self, role: Role, alpha: float = 1.0) -> Generator[None]:
        before = (self._role, self._alpha)
        self._role, self._alpha = role, self._alpha * alpha
        yield
        self._role, self._alpha = before

    def stamp(self, mark: Mark) -> None:
        kx, ky, dx, dy = self._frame
        scale = math.sqrt(abs(kx * ky))
        placed = mark.warped(lambda p: (kx * p[0] + dx, ky * p[1] + dy), scale)
        role = self._role if mark.role == "subject" else mark.role
        self.marks.append(attrs.evolve(placed, alpha=mark.alpha * self._alpha, role=role))

    def shape(self, contours: Sequence[Contour], ink: Paint, *, alpha: float = 1) -> None:
        self.stamp(Mark(contours=tuple(contours), fill=ink, alpha=alpha))

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, ink: Paint, *,
                alpha: float = 1) -> None:  # fmt: skip
        self.shape([path.ellipse(cx, cy, rx, ry)], ink, alpha=alpha)

    def glow(self, cx: float, cy: float, r: float, ink: Colour, alpha: float, *,
             squash: float = 1) -> None:  # fmt: skip
        """Fade a colour out around a point: a light, or flattened a soft shadow."""
        stops = (Stop(0, ink, alpha), Stop(0.45, ink, alpha * 0.36), Stop(1, ink, 0.0))
        self.ellipse(cx, cy, r, r * squash, Radial((cx, cy), r, stops, squash))

    def rect(self, x: float, y: float, w: float, h: float, ink: Paint, *, radius: float = 0,
             alpha: float = 1) -> None:  # fmt: skip
        self.shape([path.rectangle(x, y, w, h, radius)], ink, alpha=alpha)
