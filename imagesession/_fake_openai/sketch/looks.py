"""
Read the words that change how an image looks: warmer, bluer, more contrast.
"""

import re
from typing import cast

from imagesession._fake_openai.sketch import words
from imagesession._fake_openai.sketch.colour import Change, ChangeKind, named, rgb
from imagesession._fake_openai.sketch.lexicon import RULES

_LESS = r"\b(?:less|reduced?|lower(?:ed)?|decreased?|not so|tone down) (?:(?:the|of) )*"
_MORE = r"\b(?:more|higher|increased?|stronger|raise|boost|add|extra|greater|high) (?:(?:the|of) )*"
_RULES: tuple[tuple[ChangeKind, float, re.Pattern[str]], ...] = tuple(
    (cast("ChangeKind", name.split()[0]), float(name.split()[1]),
     re.compile(rule.replace("MORE", _MORE).replace("LESS", _LESS)))
    for name, rule in words.SECTIONS["looks"].items()
)  # fmt: skip
# A first prompt has nothing to be brighter than.
_ABSOLUTE = {"saturate 0.52", "saturate 1.5", "saturate 0.0", "sepia 0.92", "contrast 1.32"}
_STEMS = {"blu": "blue", "redd": "red", "purpl": "purple"}


def read_look(text: str, *, relative: bool) -> tuple[Change, ...]:
    """Read the changes of colours in a prompt; in a first prompt only absolute ones count."""
    strength = 0.6 if RULES["slightly"].search(text) else 1.5 if RULES["very"].search(text) else 1.0
    out: list[Change] = []
    for kind, amount, rule in _RULES:
        if (relative or f"{kind} {amount}" in _ABSOLUTE) and rule.search(text):
            k = amount * (strength if amount else 1)
            if kind in {"saturate", "contrast"} and amount:
                k = max(0.1, 1 + (amount - 1) * strength)
            out.append(Change(kind=kind, amount=min(0.92, k) if kind == "sepia" else k))
    for hue in RULES["hue"].findall(text) if relative else ():
        colour = named(_STEMS.get(hue, hue)) or rgb("#2f6fde")
        out.append(Change(kind="tint", amount=min(0.74, 0.52 * strength), colour=colour))
    return tuple(out)
