"""
Read remedies: what a prompt wants mended in a picture, and what it wants kept as it is.

What is read here is taken out of the prompt, for the other readers would misunderstand it:
"increase the contrast" is not to enlarge anything, and what is to be kept is not to be changed.
"""

import re

import attrs

from imagesession._offline.painter import lexicon
from imagesession._offline.painter.plan import Mend, MendKind

_UP = r"(?:increase|raise|boost|strengthen|improve|enhance|intensify|deepen|bring up|lift)"
_DOWN = r"(?:reduce|lower|decrease|soften|cut|bring down|tone down)"
_THE = (
    r"(?: (?:the|its|some|all|overall|tonal|image|picture|photo|visible|colou?r|unwanted|empty|"
    r"strong|slight|deep|whole))*"
)
_GONE = r"(?:reduce|remove|clean up|clean|suppress|eliminate|lower|get rid of|smooth out|smooth)"
_OF = r"(?: (?:of|in|from) the (?:(?:whole|entire) )?(?:picture|image|photo|colou?rs?))?"
_PICTURE = r"(?: (?:picture|image|photo|whole picture|scene|exposure))?"
_HOW_FAR = "slightly|a bit|a little|a touch|somewhat|gently|much|strongly|significantly"
# Of the picture as a whole, not of something in it.
_ALONE = r"(?=\s*(?:[.,:;!?\n]|$|and\b|but\b|while\b))"

_RULES: dict[MendKind, str] = {
    "noise": rf"{_GONE}{_THE} (?:noise|grain|graininess|speckles?)|de-?noise{_THE}{_PICTURE}",
    "margins": (
        rf"(?:crop|trim|cut|remove)(?: (?:away|off|out))?{_THE} "
        r"(?:margins?|(?:blank|plain|white|black) (?:borders?|edges|space)|borders|empty space)|"
        r"crop (?:it |the (?:picture|image|photo) )?(?:tighter|tightly|closer|to the subject)|"
        r"tighten the crop"
    ),
    "cast": (
        rf"(?:neutrali[sz]e|remove|correct|fix|reduce){_THE} (?:\w+ )?"
        r"(?:(?:colou?r )?cast|white balance|colou?r balance)|"
        r"neutral white balance|(?:set|make) the white balance neutral"
    ),
    "highlights": rf"(?:recover|restore|tame|{_DOWN}){_THE} (?:blown[ -]?(?:out )?)?highlights",
    "shadows": rf"(?:lift|open(?: up)?|brighten|recover|lighten){_THE} (?:crushed )?shadows",
    "brighter": (
        rf"(?:brighten|lighten)(?: up)?{_THE}{_PICTURE}|{_UP}{_THE} (?:brightness|exposure)"
    ),
    "darker": rf"darken{_THE}{_PICTURE}|{_DOWN}{_THE} (?:brightness|exposure)",
    "contrast": rf"{_UP}{_THE} contrast",
    "flatter": rf"{_DOWN}{_THE} contrast",
    "vivid": (
        rf"{_UP}{_THE} (?:saturation|vibrance|vividness)|saturate{_THE} colou?rs|"
        r"make the colou?rs (?:more vivid|more saturated|richer|stronger)"
    ),
    "muted": rf"{_DOWN}{_THE} (?:saturation|vibrance)",
    "sharper": (
        rf"sharpen{_THE}(?: (?:picture|image|photo|edges|details?))?|{_UP}{_THE} sharpness"
    ),
    "polish": (
        r"(?:improve|enhance|polish|retouch|touch up)(?: (?:this|the|it|my))?"
        r"(?: (?:picture|image|photo|photograph))?(?= ?(?:[.:,!;\n]|$))"
    ),
}


def _compiled(kind: MendKind, rule: str) -> re.Pattern[str]:
    alone = _ALONE if kind in {"brighter", "darker", "sharper", "noise"} else ""
    return re.compile(
        rf"\b(?:(?:{_HOW_FAR}) )?(?:{rule}){_OF}(?: (?:{_HOW_FAR}))?(?!\w){alone}", re.IGNORECASE
    )


_MENDS: tuple[tuple[MendKind, re.Pattern[str]], ...] = tuple(
    (kind, _compiled(kind, rule)) for kind, rule in _RULES.items()
)
# A finding in a list: "- Low contrast (whole picture): Increase the contrast."
_FINDING = re.compile(
    r"^[ \t]*(?:[-*•]|\d+[.)])[ \t]*[^\n:]{1,200}\([^()\n]*\)[ \t]*:", re.MULTILINE
)
_KEPT = re.compile(
    r"\b(?:please |but |and )?(?:keep|keeping|preserve|preserving|retain|retaining|maintain|"
    r"maintaining|(?:do not|don't|without) (?:change|changing|touch|touching|alter|altering))\b"
    r"(?! (?:it|things)\b)"
    # Until the sentence ends or turns to what is to be done.
    r"(?:(?!\bbut\b|\band (?:make|add|change|turn|put|remove|then)\b|"
    r", (?:make|add|change|turn|put)\b)[^.;!\n])*",
    re.IGNORECASE,
)
_SLIGHT = re.compile(r"slightly|a bit|a little|a touch|somewhat|gently", re.IGNORECASE)


@attrs.frozen(kw_only=True)
class Remedies:
    """
    Hold what a prompt wants mended, and what else it says.
    """

    mends: tuple[Mend, ...]
    rest: str


def told(prompt: str) -> str:
    """
    Take out of a prompt what it wants kept as it is.
    """
    return _KEPT.sub(_same, prompt)


def read(prompt: str) -> Remedies:
    """
    Read the remedies of a prompt.
    """
    rest = _FINDING.sub("- ", told(prompt))
    mends: dict[MendKind, Mend] = {}
    for kind, rule in _MENDS:
        found = rule.search(rest)
        if found and not (kind == "polish" and mends):
            mends[kind] = Mend(kind=kind, strength=0.5 if _SLIGHT.search(found[0]) else 1.0)
        rest = rule.sub(" ", rest)
    return Remedies(mends=tuple(mends.values()), rest=rest)


def _same(match: re.Match[str]) -> str:
    # "Keep the same style" still tells that the next icon belongs to a set.
    found = lexicon.SAME.search(match[0].lower())
    return f" {found[0]} " if found else " "
