"""
Read the words that change how a picture looks: warmer, bluer, more contrast.
"""

import re

from imagesession._offline.sketch.colour import Change, named, rgb

_COMPARATIVES = {
    "bluer": "blue", "redder": "red", "greener": "green", "yellower": "yellow", "pinker": "pink",
    "purpler": "purple", "browner": "brown", "greyer": "gray", "grayer": "gray", "bluish": "blue",
    "reddish": "red", "greenish": "green", "yellowish": "yellow", "golder": "gold",
}  # fmt: skip
_LESS = (
    r"(?:less|reduce|reduced|lower|lowered|decrease|decreased|not so|tone down)(?: the| of the)? "
)
_MORE = (r"(?:more|higher|increase|increased|stronger|raise|boost|add|extra|greater|high)"
         r"(?: the| of the)? ")  # fmt: skip
_ADJECTIVES = {
    "contrast": r"contrast(?:s|y|ed)?",
    "saturate": r"(?:saturat(?:ed|ion)|vibran(?:t|ce)|colou?rful|vivid|colou?rs?|punchy|lively|"
    r"bold)",
    "bright": r"(?:bright(?:ness)?|light|exposure|luminous|airy)",
    "dark": r"(?:dark(?:ness)?|moody|dim|dramatic|shadows?)",
    "warm": r"(?:warm(?:th)?|cozy|cosy)",
    "cool": r"(?:cool|cold|icy)",
}
_BARE = {
    "bright": r"\b(?:brighter|brighten|lighter|lighten)\b",
    "dark": r"\b(?:darker|darken|dimmer|moodier)\b",
    "warm": r"\b(?:warmer|warm (?:it )?up|warm(?:er)? (?:colou?rs|tones|palette|light))\b",
    "cool": r"\b(?:cooler|colder|cool(?:er)? (?:colou?rs|tones|palette|light)|cool (?:it )?down)\b",
    "saturate": r"\b(?:bolder|livelier|more pop|make it pop|oversaturated|high saturation)\b",
    "muted": r"\b(?:muted|desaturated?|subtle|subdued|faded|washed[ -]out|calmer|softer "
    r"colou?rs)\b",
    "contrast": r"\b(?:high contrast|contrasty|punchier)\b",
    "flatten": r"\b(?:low contrast)\b",
}
_AMOUNTS = {
    "bright": ("bright", 0.17), "dark": ("bright", -0.26), "warm": ("warm", 1.35),
    "cool": ("warm", -1.5), "saturate": ("saturate", 1.5), "muted": ("saturate", 0.52),
    "contrast": ("contrast", 1.32), "flatten": ("contrast", 0.7),
}  # fmt: skip
_OPPOSITE = {
    "contrast": "flatten", "saturate": "muted", "bright": "dark", "dark": "bright",
    "warm": "cool", "cool": "warm",
}  # fmt: skip
_FACTORS = frozenset({"saturate", "contrast"})
_GREY = re.compile(r"black[ -]?(?:and|&|n|/)[ -]?white|gr[ea]y ?scale|monochrom\w*|\bb&w\b|"
                   r"\bnoir\b|"
                   r"schwarz[ -]wei(?:ß|ss)|blanco y negro|noir et blanc")  # fmt: skip
_RELATIVE_COLOUR = re.compile(r"\bmore (\w+|#[0-9a-f]{3,6})\b")


def refined_look(text: str, *, relative: bool) -> tuple[Change, ...]:
    """
    Read the changes of look in a prompt; a first prompt has nothing to be relative to.
    """
    strength = _strength(text)
    out: list[Change] = []
    if _GREY.search(text):
        out.append(Change(kind="saturate", amount=0.0))
    if re.search(r"\bsepia\b", text):
        out.append(Change(kind="sepia", amount=0.92))
    out += [_change(name, strength) for name in _named(text, relative=relative)]
    if relative:
        for word, name in _COMPARATIVES.items():
            if re.search(rf"\b{word}\b", text):
                out.append(_tint(name, strength))
    return tuple(out)


def _named(text: str, *, relative: bool) -> list[str]:
    names: list[str] = []
    for name, rule in _BARE.items():
        if (relative or name in {"muted", "saturate", "contrast"}) and re.search(rule, text):
            names.append(name)
    for name, rule in _ADJECTIVES.items():
        if re.search(rf"\b{_LESS}{rule}\b", text):
            names.append(_OPPOSITE[name])
        elif re.search(rf"\b{_MORE}{rule}\b", text) and name not in names:
            names.append(name)
    if re.search(r"\b(?:vibrant|vivid|colou?rful)\b", text) and not re.search(_LESS, text):
        names.append("saturate")
    return list(dict.fromkeys(names))


def _strength(text: str) -> float:
    if re.search(r"\b(?:slightly|a bit|a little|a touch|somewhat|subtly)\b", text):
        return 0.6
    if re.search(r"\b(?:much|a lot|way|very|far|extremely|really|significantly)\b", text):
        return 1.5
    return 1.0


def _change(name: str, strength: float) -> Change:
    kind, amount = _AMOUNTS[name]
    if kind in _FACTORS:
        amount = max(0.1, 1 + (amount - 1) * strength)
    else:
        amount *= strength
    match kind:
        case "bright":
            return Change(kind="bright", amount=amount)
        case "warm":
            return Change(kind="warm", amount=amount)
        case "saturate":
            return Change(kind="saturate", amount=amount)
        case _:
            return Change(kind="contrast", amount=amount)


def _tint(name: str, strength: float) -> Change:
    colour = named(name) or rgb("#2f6fde")
    return Change(kind="tint", amount=min(0.74, 0.52 * strength), colour=colour)
