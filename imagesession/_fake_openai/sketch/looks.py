"""
Read the words that change how an image looks: warmer, bluer, more contrast.
"""

import re
from typing import cast

from imagesession._fake_openai.sketch import words
from imagesession._fake_openai.sketch.colour import Change, ChangeKind, named, rgb

_LESS = r"\b(?:less|reduced?|lower(?:ed)?|decreased?|not so|tone down) (?:(?:the|of) )*"
_MORE = r"\b(?:more|higher|increased?|stronger|raise|boost|add|extra|greater|high) (?:(?:the|of) )*"
_RULES: tuple[tuple[ChangeKind, float, re.Pattern[str]], ...] = tuple(
    (cast("ChangeKind", name.split()[0]), float(name.split()[1]),
     re.compile(rule.replace("MORE", _MORE).replace("LESS", _LESS)))
    for name, rule in words.SECTIONS["looks"].items()
)  # fmt: skip
# A first prompt has nothing to be brighter than.
_ABSOLUTE = {"saturate 0.52", "saturate 1.5", "saturate 0.0", "sepia 0.92", "contrast 1.32"}
_HUES = re.compile(
    r"\b(?!blur\b)(blu|redd|green|yellow|pink|purpl|brown|gr[ea]y|gold)(?:e?r|ish)\b"
)
_ENDS = {"blu": "blue", "redd": "red", "purpl": "purple"}


def read_look(text: str, *, relative: bool) -> tuple[Change, ...]:
    """Read the changes of colours in a prompt; in a first prompt only absolute ones count."""
    strength = _strength(text)
    out: list[Change] = []
    for kind, amount, rule in _RULES:
        if (relative or f"{kind} {amount}" in _ABSOLUTE) and rule.search(text):
            k = amount * (strength if amount else 1)
            if kind in {"saturate", "contrast"} and amount:
                k = max(0.1, 1 + (amount - 1) * strength)
            out.append(Change(kind=kind, amount=min(0.92, k) if kind == "sepia" else k))
    hues: list[str] = _HUES.findall(text) if relative else []
    for hue in hues:
        colour = named(_ENDS.get(hue, hue)) or rgb("#2f6fde")
        out.append(Change(kind="tint", amount=min(0.74, 0.52 * strength), colour=colour))
    return tuple(out)


def _strength(text: str) -> float:
    if re.search(r"\b(?:slightly|a bit|a little|a touch|somewhat|subtly)\b", text):
        return 0.6
    if re.search(r"\b(?:much|a lot|way|very|far|extremely|really|significantly)\b", text):
        return 1.5
    return 1.0
