"""
The plan of a picture: what the prompts come to, before anything is drawn.
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
class Item:
    """
    Represent a subject as the prompts want it.

    Attributes:
        name: Which subject.
        colour: Its main colour, if one is named.
        accent: Its second colour, if one is named.
        look: Of a person, what is said of how they look.
        said: The word that named it.
    """

    name: str
    colour: Colour | None = None
    accent: Colour | None = None
    look: tuple[str, ...] = ()
    said: str = ""

    @property
    def key(self) -> str:
        """What tells it from other subjects: of people, who they are."""
        return f"{self.name} {self.said}" if self.name == "person" else self.name


@attrs.frozen
class Scheme:
    """Represent a set of colours that go together."""

    ground: Colour
    main: Colour
    second: Colour
    accent: Colour
    ink: Colour


@attrs.frozen(kw_only=True)
class Plan:
    """Represent everything that the prompts ask for."""

    layout: Layout = "scene"
    items: tuple[Item, ...] = ()
    extras: tuple[Item, ...] = ()  # added by later prompts
    removed: frozenset[str] = frozenset()
    time: Time | None = None
    weather: frozenset[str] = frozenset()
    styles: tuple[str, ...] = ()  # a style asked for twice stands twice, and is stronger
    changes: tuple[Change, ...] = ()
    ground: Colour | None = None
    accent: Colour | None = None
    colours: tuple[Colour, ...] = ()  # colours named for the picture as a whole
    lettering: str = ""
    captions: tuple[str, ...] = ()
    zoom: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    mirrored: bool = False
    palette: Literal["", "warm", "cool"] = ""  # the colours a sign is to have instead of its own
    blur: float = 0.0  # below 0: sharper
    crops: int = 0  # how often empty margins were to go
    stormy: bool = False  # a dramatic sky is wanted
    clear: bool = False  # no ground is wanted
    framed: bool = False  # the frame of a preset says how it is shown
    angle: Angle = "front"
    lighting: Lighting = "studio"
    lived_in: bool = False  # a product stands where it is used
    look: tuple[Change, ...] = ()  # changes that belong to the frame, and go with it
    label: str = ""  # the words on a button, if none are quoted
    corner: float = 0.3  # of a button, as a share of its height
    shape: str = ""  # the shape that the latest words asked for
    poster: str = ""  # the words of a prompt that names nothing known
    keyword: str = ""
    seed: int = 0
    unknown: tuple[str, ...] = ()  # what was not understood
    idle: tuple[str, ...] = ()  # refinements that left the picture as it was, each a small mark

    @property
    def scheme(self) -> Scheme:
        """The colours that go with this picture."""
        return _SCHEMES[self.palette or str(self.seed % _OPEN)]

    @property
    def everything(self) -> tuple[Item, ...]:
        """All subjects, those added later last."""
        return self.items + self.extras


_SCHEMES = {
    name: Scheme(*map(rgb, inks.split())) for name, inks in words.SECTIONS["schemes"].items()
}
_OPEN = len(_SCHEMES) - 2  # those that no word chooses
