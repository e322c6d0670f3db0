"""
The words that the sketcher knows, as rules and sets.
"""

import re
from collections.abc import Sequence
from typing import Any, cast

from imagesession._fake_openai.sketch.colour import FOREIGN, NAMES, Change, ChangeKind, named, rgb
from imagesession._fake_openai.sketch.symbols import TABLE
from imagesession._fake_openai.sketch.words import SECTIONS


def _any(phrases: str) -> re.Pattern[str]:
    parts = re.escape(phrases).replace(r"\ ", r"[\s-]?").replace(",", "|")
    return re.compile(rf"(?<!\w)(?:{parts})(?!\w)")


# The parts and traits that a word for a person implies, and those that a word adds to a person.
PERSON_WORDS, TRAITS = (
    {word: look for key, look in SECTIONS[section].items() for word in key.split()}
    for section in ("who", "traits")
)
_COLOURS = "|".join((*NAMES, *FOREIGN))
RULES = {
    name: re.compile(text.replace("COLOURS", _COLOURS)) for name, text in SECTIONS["rules"].items()
}
WORDS = {name: frozenset(text.split()) for name, text in SECTIONS["words"].items()}
_LISTS = ("layouts", "times", "weather", "styles", "shapes")
_PHRASES = {
    section: {name: _any(words) for name, words in SECTIONS[section].items()} for section in _LISTS
}
_PHRASES["styles"]["dark"] = RULES["dark_ground"]


def named_in(section: str, text: str) -> tuple[str, ...]:
    """Return the names in a section of the table of which a phrase is in a text."""
    return tuple(name for name, rule in _PHRASES[section].items() if rule.search(text))


def first_in(section: str, text: str) -> Any:  # noqa: ANN401 - a name of that section
    return next(iter(named_in(section, text)), None)


# Of subjects that share a word, the first has it.
PHRASES = {
    tuple(word.lower().replace("-", " ").split()): subject.name
    for subject in reversed(TABLE.values()) for word in subject.words
} | {(word,): "person" for word in PERSON_WORDS}  # fmt: skip
PICTURES = {
    phrase[0]: name for phrase, name in PHRASES.items()
    if len(phrase) == 1 and len(phrase[0]) == 1 and not phrase[0].isalnum()
}  # fmt: skip
LONGEST = max(len(phrase) for phrase in PHRASES)
_KNOWN = (
    {word for phrase in PHRASES for word in phrase}
    | {w for name in _LISTS
       for words in SECTIONS[name].values() for w in re.findall(r"[^\W\d_]+", words)}
    # Filling words need no drawing, so they count as understood.
    | frozenset(word for words in WORDS.values() for word in words)
    | {*NAMES, *FOREIGN, *PERSON_WORDS, *TRAITS}
)  # fmt: skip


def unknown(tokens: Sequence[str]) -> tuple[str, ...]:
    strange = (
        word for word in tokens
        if word.isalpha() and len(word) > 2 and not _KNOWN & {word, word.removesuffix("s")}
        and not word.endswith(("ly", "ing", "ish"))
    )  # fmt: skip
    return tuple(dict.fromkeys(strange))[:4]


_LESS = r"\b(?:less|reduced?|lower(?:ed)?|decreased?|not so|tone down) (?:(?:the|of) )*"
_MORE = r"\b(?:more|higher|increased?|stronger|raise|boost|add|extra|greater|high) (?:(?:the|of) )*"
_LOOKS: tuple[tuple[ChangeKind, float, re.Pattern[str]], ...] = tuple(
    (cast("ChangeKind", name.split()[0]), float(name.split()[1]),
     re.compile(rule.replace("MORE", _MORE).replace("LESS", _LESS)))
    for name, rule in SECTIONS["looks"].items()
)  # fmt: skip
# A first prompt has nothing to be brighter than.
_ABSOLUTE = {"saturate 0.52", "saturate 1.5", "saturate 0.0", "sepia 0.92", "contrast 1.32"}
_STEMS = {"blu": "blue", "redd": "red", "purpl": "purple"}


def read_look(text: str, *, relative: bool) -> tuple[Change, ...]:
    """Read the changes of colours in a prompt; in a first prompt only absolute ones count."""
    strength = 0.6 if RULES["slightly"].search(text) else 1.5 if RULES["very"].search(text) else 1.0
    out: list[Change] = []
    for kind, amount, rule in _LOOKS:
        if (relative or f"{kind} {amount}" in _ABSOLUTE) and rule.search(text):
            k = amount * (strength if amount else 1)
            if kind in {"saturate", "contrast"} and amount:
                k = max(0.1, 1 + (amount - 1) * strength)
            out.append(Change(kind=kind, amount=min(0.92, k) if kind == "sepia" else k))
    for hue in RULES["hue"].findall(text) if relative else ():
        colour = named(_STEMS.get(str(hue), str(hue))) or rgb("#2f6fde")
        out.append(Change(kind="tint", amount=min(0.74, 0.52 * strength), colour=colour))
    return tuple(out)
