"""
The state of a sketch, and its plan: the result of reading the prompts, before anything is drawn.
"""

from typing import Literal, TypeAlias

import attrs

from imagesession._fake_openai.sketch import words
from imagesession._fake_openai.sketch.colour import Change, Colour, rgb

Layout: TypeAlias = Literal["scene", "logo", "icon", "product", "button"]
Angle: TypeAlias = Literal["front", "side", "three-quarter", "top"]
Lighting: TypeAlias = Literal["studio", "natural", "dramatic", "soft"]
Time: TypeAlias = Literal["day", "sunset", "night", "dawn"]


@attrs.frozen(kw_only=True)
class SketchState:
    """
    Everything that determines an image: the same state always gives the same bytes.
    """

    # The prompts, oldest first; the first sets the subject, the rest refine it.
    prompts: tuple[str, ...]
    size: tuple[int, int]  # width and height in pixels
    transparent: bool = False  # draw no ground
    seed: int = 0  # varies details of the composition
    # An encoded raster image that the prompts change; None draws from nothing.
    base: bytes | None = None
    # An encoded PNG with alpha: the base changes where alpha is 0, stays where it is 255, and is
    # blended between.
    mask: bytes | None = None
    insets: tuple[bytes, ...] = ()  # further reference images, shown as small framed prints


@attrs.frozen(kw_only=True)
class Item:
    name: str  # the subject's name in the table
    colour: Colour | None = None  # its main colour, if one is named
    accent: Colour | None = None  # its second colour, if one is named
    look: tuple[str, ...] = ()  # a person's parts and traits
    word: str = ""  # the word that named it

    @property
    def key(self) -> str:
        """Its identity among the subjects; people are told apart by the word that named them."""
        return f"{self.name} {self.word}" if self.name == "person" else self.name


@attrs.frozen
class Scheme:
    ground: Colour
    main: Colour
    second: Colour
    accent: Colour
    ink: Colour


@attrs.frozen(kw_only=True)
class Plan:
    layout: Layout = "scene"
    items: tuple[Item, ...] = ()
    extras: tuple[Item, ...] = ()  # added by later prompts
    removed: frozenset[str] = frozenset()
    time: Time | None = None
    weather: frozenset[str] = frozenset()
    styles: tuple[str, ...] = ()  # a style that is named twice is stronger
    changes: tuple[Change, ...] = ()
    ground: Colour | None = None
    accent: Colour | None = None
    colours: tuple[Colour, ...] = ()  # colours named for the image as a whole
    lettering: str = ""
    captions: tuple[str, ...] = ()
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    mirrored: bool = False
    palette: Literal["", "warm", "cool"] = ""  # the colours of a sign, instead of its own
    crops: int = 0  # how often empty margins are cropped
    clear: bool = False  # without a ground
    framed: bool = False  # in the frame of a preset
    angle: Angle = "front"
    lighting: Lighting = "studio"
    lived_in: bool = False  # a product in the surroundings where it is used
    look: tuple[Change, ...] = ()  # changes of colours that belong to the frame
    label: str = ""  # the words on a button, if none are quoted
    corner: float = 0.3  # of a button, as a share of its height
    poster: str = ""  # the words of a prompt that names nothing known
    keyword: str = ""
    seed: int = 0
    unknown: tuple[str, ...] = ()  # what was not understood
    idle: tuple[str, ...] = ()  # refinements that left the image as it was, each a small mark

    @property
    def scheme(self) -> Scheme:
        return _SCHEMES[self.palette or str(self.seed % _OPEN)]

    @property
    def everything(self) -> tuple[Item, ...]:
        return self.items + self.extras


_SCHEMES = {
    name: Scheme(*map(rgb, inks.split())) for name, inks in words.SECTIONS["schemes"].items()
}
_OPEN = len(_SCHEMES) - 2  # those that no word chooses
