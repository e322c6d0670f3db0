"""
The words that the sketcher knows, as rules and sets.
"""

import re
from collections.abc import Sequence
from typing import TypeVar, cast

from imagesession._fake_openai.sketch.colour import FOREIGN, NAMES
from imagesession._fake_openai.sketch.people import PERSON_WORDS, TRAITS
from imagesession._fake_openai.sketch.plan import Layout, Time
from imagesession._fake_openai.sketch.symbols import TABLE
from imagesession._fake_openai.sketch.words import SECTIONS

T = TypeVar("T")


def _any(words: str) -> re.Pattern[str]:
    parts = [re.escape(word).replace(r"\ ", r"[\s-]?") for word in words.split(",")]
    return re.compile(r"(?<!\w)(?:" + "|".join(parts) + r")(?!\w)")


def _rules(section: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((name, _any(words)) for name, words in SECTIONS[section].items())


def rule(name: str) -> re.Pattern[str]:
    """Compile one of the expressions of the table."""
    every = "|".join((*NAMES, *FOREIGN))
    return re.compile(SECTIONS["rules"][name].replace("COLOURS", every))


def frozen(words: str) -> frozenset[str]:
    """Make a set of words that are separated by blanks."""
    return frozenset(words.split())


def first(rules: Sequence[tuple[T, re.Pattern[str]]], text: str) -> T | None:
    """Return the name of the first rule that matches a text."""
    return next((name for name, rule in rules if rule.search(text)), None)


DARK_GROUND = rule("dark_ground")
LIGHT_GROUND = rule("light_ground")

LAYOUTS = cast("tuple[tuple[Layout, re.Pattern[str]], ...]", _rules("layouts"))
TIMES = cast("tuple[tuple[Time, re.Pattern[str]], ...]", _rules("times"))
WEATHER, SHAPES = _rules("weather"), _rules("shapes")
STYLES = (*_rules("styles"), ("dark", DARK_GROUND))
STOPWORDS, REMOVE, LETTERS, BUTTON_WORDS, JOINTS = (
    frozen(SECTIONS["words"][name])
    for name in ("stopwords", "remove", "letters", "button", "joints")
)
TRANSPARENT = rule("transparent")
FORMATS = rule("formats")

REPLACE = rule("replace")
SAME = rule("same")
ON_COLOUR = rule("on_colour")
SHADE = rule("shade")
BUTTON_END = rule("button_end")
FRESH = rule("fresh")
# "Saying …" is followed by the text to letter, up to the end of the phrase.
SPOKEN = rule("spoken")
# A name is a sequence of words with capitals.
NAMED = rule("named")
QUOTED = rule("quoted")


def _phrases() -> dict[tuple[str, ...], str]:
    table: dict[tuple[str, ...], str] = {}
    for subject in TABLE.values():
        for word in subject.words:
            table.setdefault(tuple(word.lower().replace("-", " ").split()), subject.name)
    for word in PERSON_WORDS:
        table[(word,)] = "person"
    return table


PHRASES = _phrases()
PICTURES = {
    phrase[0]: name for phrase, name in PHRASES.items()
    if len(phrase) == 1 and len(phrase[0]) == 1 and not phrase[0].isalnum()
}  # fmt: skip
LONGEST = max(len(phrase) for phrase in PHRASES)
_KNOWN = (
    {word for phrase in PHRASES for word in phrase} | STOPWORDS | REMOVE | LETTERS | JOINTS
    | {w for name in ("layouts", "times", "weather", "styles", "shapes")
       for words in SECTIONS[name].values() for w in re.findall(r"[^\W\d_]+", words)}
    # Filling words need no drawing, so they count as understood.
    | frozen(SECTIONS["words"]["filling"]) | BUTTON_WORDS
    | {*NAMES, *FOREIGN, *PERSON_WORDS, *TRAITS}
)  # fmt: skip


def unknown(tokens: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a prompt that the sketcher does not know."""
    strange = (
        word for word in tokens
        if word.isalpha() and len(word) > 2 and not _KNOWN & {word, word.removesuffix("s")}
        and not word.endswith(("ly", "ing", "ish"))
    )  # fmt: skip
    return tuple(dict.fromkeys(strange))[:4]
