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

    Attributes:
        prompts: The prompts, oldest first; the first sets the subject, the rest refine it.
        size: Width and height in pixels.
        transparent: Draw no ground.
        seed: Varies details of the composition.
        base: An encoded raster image that the prompts change; None draws from nothing.
        mask: An encoded PNG with alpha: the base changes where alpha is 0, stays where it is 255,
            and is blended between.
        insets: Further reference images, shown as small framed prints.
    """

    prompts: tuple[str, ...]
    size: tuple[int, int]
    transparent: bool = False
    seed: int = 0
    base: bytes | None = None
    mask: bytes | None = None
    insets: tuple[bytes, ...] = ()


@attrs.frozen(kw_only=True)
class Item:
    """
    A subject with the colours and traits that the prompts name.

    Attributes:
        name: The subject's name in the table.
        colour: Its main colour, if one is named.
        accent: Its second colour, if one is named.
        look: A person's parts and traits.
        word: The word that named it.
    """

    name: str
    colour: Colour | None = None
    accent: Colour | None = None
    look: tuple[str, ...] = ()
    word: str = ""

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
        """All subjects, those added later last."""
        return self.items + self.extras


_SCHEMES = {
    name: Scheme(*map(rgb, inks.split())) for name, inks in words.SECTIONS["schemes"].items()
}
_OPEN = len(_SCHEMES) - 2  # those that no word chooses
