"""
The words that the sketcher knows, as rules and sets.
"""

import re
from collections.abc import Sequence
from typing import TypeVar, cast

from imagesession._offline.sketch.colour import FOREIGN, NAMES
from imagesession._offline.sketch.people import TRAITS, WHO
from imagesession._offline.sketch.plan import Layout, Time
from imagesession._offline.sketch.symbols import TABLE
from imagesession._offline.sketch.words import SECTIONS

T = TypeVar("T")


def _any(words: str) -> re.Pattern[str]:
    parts = [re.escape(word).replace(r"\ ", r"[\s-]?") for word in words.split(",")]
    return re.compile(r"(?<!\w)(?:" + "|".join(parts) + r")(?!\w)")


def _rules(section: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((name, _any(words)) for name, words in SECTIONS[section].items())


def frozen(words: str) -> frozenset[str]:
    """Make a set of words that are separated by blanks."""
    return frozenset(words.split())


def first(rules: Sequence[tuple[T, re.Pattern[str]]], text: str) -> T | None:
    """Give the name of the first rule that matches a text."""
    return next((name for name, rule in rules if rule.search(text)), None)


_GROUNDS = r"(?:\w+ )?(?:back)?(?:ground|drop|grounds|drops)|mode|theme|ui|version|canvas|surface"
DARK_GROUND = re.compile(
    rf"\b(?:dark|darker)[ -](?:{_GROUNDS})\b|\b(?:black|night) background\b|\bon (?:dark|black)\b"
)
LIGHT_GROUND = re.compile(
    rf"\b(?:light|lighter|bright|brighter|pale)[ -](?:{_GROUNDS})\b|\bon light\b"
)

LAYOUTS = cast("tuple[tuple[Layout, re.Pattern[str]], ...]", _rules("layouts"))
TIMES = cast("tuple[tuple[Time, re.Pattern[str]], ...]", _rules("times"))
WEATHER, SHAPES = _rules("weather"), _rules("shapes")
STYLES = (*_rules("styles"), ("dark", DARK_GROUND))
STOPWORDS, REMOVE, LETTERS, BUTTON_WORDS, JOINTS = (
    frozen(SECTIONS["words"][name])
    for name in ("stopwords", "remove", "letters", "button", "joints")
)
TRANSPARENT = re.compile(
    r"transparent|(?:no|without(?: an?| the| any)?) (?:\w+ )?background|"
    r"(?:remove|delete|erase|drop|cut out)(?: the| its| this)? (?:\w+ )?background|cut-?out"
)
FORMATS = re.compile(r"(?:landscape|portrait)[\s-]+(?:format|orientation|version|mode|size)")

REPLACE = re.compile(
    r"\b(?:instead|replace|swap|turn (?:it|this|that|the \w+) into|make (?:it|this|that|the \w+) "
    r"an?|"
    r"change (?:it|this|that|the [\w ]+?) (?:in)?to an?|becomes?|substitute)\b"
)
STORMY = re.compile(
    r"\b(?:sky|skies|clouds) (?:\w+ ){0,2}(?:dramatic|moody|stormy|moodier|darker|threatening)\b|"
    r"\b(?:dramatic|moody|stormy|moodier|darker|threatening) (?:sky|skies|clouds)\b"
)
SAME = re.compile(
    r"\bsame (?:\w+ )?(?:style|look|set|family)\b|\bmatching\b|\bto match\b|\bof the set\b"
)
ON_COLOUR = re.compile(
    r"\b(on|against) ((?:pure |plain |clean |solid )?(?:"
    + "|".join((*NAMES, *FOREIGN))
    + r"))(?=\s*(?:$|[,.;!]))"
)
# A thing named before a colour tells which shade of it is meant.
_THINGS = (
    "leaf|grass|forest|moss|pine|apple|brick|cherry|blood|lemon|chestnut|coffee|steel|jet|"
    "pillar ?box"
)
_COLOURS = "|".join((*NAMES, *FOREIGN))
SHADE = re.compile(
    rf"(?:(?<!the )(?<!make )\b(?:{_THINGS})[ -]|\b(?!(?:{_COLOURS})-)[^\W\d_]+-)"
    rf"({_COLOURS})\b"
)
BUTTON_END = re.compile(
    r"\b(?:buttons?\s*$|buttons?\s*[,.;:]|(?:with|in|on|for|from|of|that|which|and)\b)|[,.;:!?(]",
    re.IGNORECASE,
)
FRESH = re.compile(
    r"^\W*(?:now |then |next |please |ok |okay |and )*"
    r"(?:draw|paint|create|generate|design|sketch|imagine)\b(?! (?:on|it|this|that|over))"
)
# "Saying …" is followed by what is to be lettered, up to the end of the phrase.
SPOKEN = re.compile(
    r"\b(?:with the (?:words?|text|title|name|lettering|caption|inscription)|that (?:says|reads)|"
    r"saying|says|reading|reads|titled|entitled|labell?ed|captioned)[:,]?\s+"
    r"(?!(?:an? |the )?(?:book|newspaper|letter|map|magazine|story)s?\b)"
    r"([^\"“”\n.;!?,]{1,60}?[!?]?)(?=\s*(?:$|[.,;\n]|\s(?:in|on|with|at|under|over|above|below|beside)\s))",
    re.IGNORECASE,
)
# A name begins with capitals, and goes on as long as they do.
NAMED = re.compile(
    r"\b(?:called|named|brand|company|for|text|words?|letters?)\s+"
    r"((?:[A-Z0-9][\w&'-]*)(?:\s+(?:[A-Z0-9&][\w&'-]*|(?:of|and|the)(?=\s[A-Z])))*)"
)
QUOTED = re.compile(
    r"[\"“”„«]\s*([^\"“”„«»\n]{1,60}?)\s*[\"“”»]|(?<!\w)['\u2018]([^'\u2018\u2019\n]{1,40})['\u2019](?!\w)"
)


def _phrases() -> dict[tuple[str, ...], str]:
    table: dict[tuple[str, ...], str] = {}
    for subject in TABLE.values():
        for word in subject.words:
            table.setdefault(tuple(word.lower().replace("-", " ").split()), subject.name)
    for word in WHO:
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
    # Words that need no drawing of their own are no reason to say that one was not understood.
    | frozen(SECTIONS["words"]["filling"]) | BUTTON_WORDS | {*NAMES, *FOREIGN, *WHO, *TRAITS}
)  # fmt: skip


def unknown(tokens: Sequence[str]) -> tuple[str, ...]:
    """Give the words of a prompt that mean nothing to the sketcher."""
    strange = (
        word for word in tokens
        if word.isalpha() and len(word) > 2 and not _KNOWN & {word, word.removesuffix("s")}
        and not word.endswith(("ly", "ing", "ish"))
    )  # fmt: skip
    return tuple(dict.fromkeys(strange))[:4]
