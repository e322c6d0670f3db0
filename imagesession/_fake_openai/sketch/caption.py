"""
Captions: a description of the image in one sentence.
"""

from imagesession._fake_openai.sketch.colour import NAMES, Change, Colour, distance, rgb
from imagesession._fake_openai.sketch.plan import Item, Plan

_KINDS = {
    "scene": "sketch", "logo": "logo sketch", "icon": "icon sketch", "product": "product sketch",
    "button": "sketch",
}  # fmt: skip
_TIMES = {"sunset": "at sunset", "night": "at night", "dawn": "at dawn", "day": "by day"}
_WEATHER = {"rain": "in the rain", "snow": "in the snow", "fog": "in the fog",
            "autumn": "in autumn"}  # fmt: skip
_ANGLES = {"side": " seen from the side", "three-quarter": " seen at an angle",
           "top": " seen from above"}  # fmt: skip
_PLURAL = frozenset({"stars", "headphones", "earbuds", "glasses", "berries"})
_STYLES = {"3d": "three-dimensional", "dark": "dark", "minimal": "minimalist"}


def sentence(
    plan: Plan, prompts: tuple[str, ...], size: tuple[int, int], *, based: bool, masked: bool,
    transparent: bool,
) -> str:  # fmt: skip
    """Describe what a plan draws."""
    shape = f"{size[0]}x{size[1]}"
    if based:
        request = " ".join(prompts[-1].split())[:160] if prompts else "nothing"
        where = "inside the mask" if masked else "as a whole"
        unknown = _not_understood(plan)
        return f'The given picture, changed {where} to follow "{request}", {shape}.{unknown}'
    styles = [_STYLES.get(name, name) for name in dict.fromkeys(plan.styles)]
    look = " ".join(styles[:3]) or "flat"
    names = [_item_name(item) for item in plan.everything[:6]]
    what = _join_names(names) or "abstract shapes"
    article = "An" if look[0] in "aeiou" else "A"
    parts = [f"{article} {look} {_KINDS[plan.layout]} of {what}"]
    if plan.poster:
        parts = [f'{article} {look} poster sketch with the words "{plan.poster}"']
    if plan.time and plan.layout == "scene":
        parts[0] += f" {_TIMES[plan.time]}"
    parts[0] += _ANGLES.get(plan.angle, "")
    weather = [_WEATHER[name] for name in sorted(plan.weather) if name in _WEATHER]
    parts[0] += "".join(f" {text}" for text in weather)
    lettering = [] if plan.poster else [plan.lettering or plan.label]
    lettering = [text for text in (*lettering, *plan.captions) if text]
    if lettering:
        parts.append("lettered " + _join_names([f'"{text}"' for text in lettering]))
    parts += [text for change in plan.changes[-3:] if (text := _change_name(change))]
    if plan.accent:
        parts.append(f"{_colour(plan.accent)} accents")
    parts.append("no background" if transparent else "")
    return ", ".join([part for part in parts if part] + [shape]) + "." + _not_understood(plan)


def _not_understood(plan: Plan) -> str:
    # Words that were not understood are named, to explain why they are not drawn.
    quoted = [f'"{text}"' for text in (*plan.unknown, *plan.idle[-3:])]
    return f" (offline sketch: did not understand {_join_names(quoted)})" if quoted else ""


def _item_name(item: Item) -> str:
    colour = f"{_colour(item.colour)} " if item.colour else ""
    old = "old " if "old" in item.look else ""
    text = (
        colour + old + (item.word if item.name == "person" and item.word.isascii() else item.name)
    )
    if item.name in _PLURAL:
        return text
    return ("an " if text[0] in "aeiou" else "a ") + text


def _colour(colour: Colour) -> str:
    return min(NAMES, key=lambda name: distance(rgb(NAMES[name]), colour))


def _join_names(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


_CHANGES = {
    "warm": ("cool palette", "warm palette"), "contrast": ("less contrast", "more contrast"),
    "bright": ("darker", "brighter"), "saturate": ("muted colours", "vivid colours"),
}  # fmt: skip


def _change_name(change: Change) -> str:
    if change.kind == "tint":
        return f"more {_colour(change.colour)}"
    if change.kind == "saturate" and change.amount == 0:
        return "black and white"
    middle = 1 if change.kind in {"contrast", "saturate"} else 0
    return _CHANGES[change.kind][change.amount > middle] if change.kind in _CHANGES else "sepia"
