"""
Captions: a description of the image in one sentence.
"""

import math

from imagesession._fake_openai.sketch.colour import NAMES, Change, Colour, rgb
from imagesession._fake_openai.sketch.plan import Item, Plan, SketchState
from imagesession._fake_openai.sketch.words import SECTIONS

_SAID = SECTIONS["said"]
_PLURAL = frozenset({"stars", "headphones", "earbuds", "glasses", "berries"})


def sentence(plan: Plan, state: SketchState) -> str:
    parts = [_what(plan)]
    if state.base is not None:
        request = " ".join(state.prompts[-1].split())[:160] if state.prompts else "nothing"
        where = "as a whole" if state.mask is None else "inside the mask"
        parts = [f'The given picture, changed {where} to follow "{request}"']
    else:
        words = (*([] if plan.poster else [plan.lettering or plan.label]), *plan.captions)
        lettering = _join([f'"{text}"' for text in words if text])
        parts += [f"lettered {lettering}"] if lettering else []
        parts += [_change(change) for change in plan.changes[-3:]]
        parts += [f"{_colour(plan.accent)} accents"] if plan.accent else []
        parts += ["no background"] if state.transparent else []
    unknown = _join([f'"{text}"' for text in (*plan.unknown, *plan.idle[-3:])])
    said = f" (offline sketch: did not understand {unknown})" if unknown else ""
    return ", ".join([*parts, f"{state.size[0]}x{state.size[1]}"]) + "." + said


def _what(plan: Plan) -> str:
    styles = [_SAID.get(name, name) for name in dict.fromkeys(plan.styles)]
    look = " ".join(styles[:3]) or "flat"
    what = _join([_item(item) for item in plan.everything[:6]]) or "abstract shapes"
    what = f"{_SAID[plan.layout]} of {what}"
    if plan.poster:
        what = f'poster sketch with the words "{plan.poster}"'
    when = (plan.time or "") if plan.layout == "scene" else ""
    circumstances = (_SAID.get(name, "") for name in (when, plan.angle, *sorted(plan.weather)))
    whole = " ".join([_article(look), what, *filter(None, circumstances)])
    return whole[0].upper() + whole[1:]


def _item(item: Item) -> str:
    colour = f"{_colour(item.colour)} " if item.colour else ""
    old = "old " if "old" in item.look else ""
    name = item.word if item.name == "person" and item.word.isascii() else item.name
    text = colour + old + name
    return text if item.name in _PLURAL else _article(text)


def _article(text: str) -> str:
    return ("an " if text[0] in "aeiou" else "a ") + text


def _colour(colour: Colour) -> str:
    return min(NAMES, key=lambda name: math.dist(rgb(NAMES[name]), colour))


def _join(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _change(change: Change) -> str:
    if change.kind == "tint":
        return f"more {_colour(change.colour)}"
    if change.kind == "saturate" and change.amount == 0:
        return "black and white"
    middle = 1 if change.kind in {"contrast", "saturate"} else 0
    return _SAID[change.kind if change.amount > middle else f"{change.kind}-"]
