"""
Read prompts: the first sets the plan of an image, each later one changes it.
"""

import functools
import re
import zlib
from collections.abc import Callable
from typing import Literal

import attrs

from imagesession._fake_openai.sketch import framing
from imagesession._fake_openai.sketch.colour import Change, Colour, dark, luminance, rgb
from imagesession._fake_openai.sketch.framing import lowercase, read_brief
from imagesession._fake_openai.sketch.lettering import printable
from imagesession._fake_openai.sketch.lexicon import RULES, first_in, named_in, read_look
from imagesession._fake_openai.sketch.naming import Found, find, keyword, label, letters
from imagesession._fake_openai.sketch.plan import Item, Plan
from imagesession._fake_openai.sketch.symbols import TABLE
from imagesession._fake_openai.sketch.words import READ, SECTIONS

_PALE = rgb("#fbfaf5")
_SCENIC = frozenset({"sun", "moon", "cloud", "tree", "stars"})
_STEPS = tuple((re.compile(rule), step.split()) for step, rule in SECTIONS["steps"].items())


def crc(text: str) -> int:
    """Number a text, the same in every process."""
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


@functools.lru_cache(maxsize=64)
def parse_prompts(prompts: tuple[str, ...], seed: int = 0) -> Plan:
    if not prompts:
        return Plan(seed=seed)
    result = _plan_prompt(prompts[0], seed)
    for prompt in prompts[1:]:
        result = refine(result, prompt)
    return result


def without_kept(prompt: str) -> str:
    def kept(match: re.Match[str]) -> str:
        # "Keep the same style" still tells that the next icon belongs to a set.
        found = RULES["same"].search(match[0].lower())
        return f" {found[0]} " if found else " "

    return RULES["kept"].sub(kept, RULES["finding"].sub("- ", prompt))


def _plan_prompt(prompt: str, seed: int) -> Plan:
    parsed = read_brief(prompt)
    key = f"{parsed.kind} {parsed.text}" if parsed.kind else parsed.text
    number = (crc(" ".join(key.lower().split())) + seed * 7919) & 0x7FFFFFFF
    start = _plan_words(parsed.text, number)
    if parsed.kind:
        start = framing.apply_frame(start, parsed)
    return framing.vary(start, parsed.take)


def _remove_lettering(prompt: str, layout: str | None) -> str:
    # Lettered words are not drawn: "Summer Jazz Night" asks for no night.
    words = letters(prompt, None)
    return prompt.replace(words, " ") if words and layout != "logo" else prompt


def _plan_words(prompt: str, seed: int) -> Plan:
    layout = first_in("layouts", lowercase(prompt))
    lettering = letters(prompt, layout)
    text = lowercase(_remove_lettering(prompt, layout))
    found = find(text)
    items = found.items
    if not items and lettering and layout:
        items = find(lettering.lower()).items
    if layout == "icon":
        items = tuple(attrs.evolve(i, name="home icon") if i.name == "house" else i for i in items)
    dark_sky = any(item.name in {"moon", "stars"} for item in found.items)
    start = Plan(
        layout=layout or "scene", items=items[:8],
        time=first_in("times", text) or ("night" if dark_sky else None),
        weather=frozenset(named_in("weather", text)),
        styles=named_in("styles", text),
        changes=read_look(text, relative=False), ground=_ground_colour(found, text),
        accent=found.accent, colours=found.colours, lettering=lettering,
        keyword=keyword(prompt), removed=frozenset(found.removed),
        seed=seed, unknown=_unknown_words(found, lettering),
    )  # fmt: skip
    if layout is None and [item.name for item in items] == ["button"] and not found.removed:
        start = attrs.evolve(start, layout="button", label=label(prompt))
    return _choose_palette(_make_poster(start, prompt), read_look(text, relative=True))[0]


def _unknown_words(found: Found, lettering: str) -> tuple[str, ...]:
    # Lettered words need not be understood.
    read = lettering.lower().split()
    return tuple(word for word in found.unknown if word not in read)


def _make_poster(start: Plan, prompt: str) -> Plan:
    # A prompt without a known subject becomes a poster with its words.
    timed = start.layout == "scene" and not start.lettering and (start.time or start.weather)
    if start.items or start.layout not in {"scene", "product"} or timed:
        return start
    # Its title needs neither orders to draw it nor what follows the first phrase.
    text = RULES["kind"].sub("", RULES["order"].sub("", prompt[:READ].strip()).strip()).strip()
    title = re.split(r"[,.;:!?\n(]", text, maxsplit=1)[0] or text
    return attrs.evolve(start, poster=start.lettering or printable(title, 90))


def _ground_colour(found: Found, text: str) -> Colour | None:
    # "A dark blue background" names a dark ground, not a blue one.
    if found.ground and luminance(found.ground) > 60 and RULES["dark_ground"].search(text):
        return dark(found.ground, 0.55)
    return found.ground


def _choose_palette(before: Plan, look: tuple[Change, ...]) -> tuple[Plan, tuple[Change, ...]]:
    # Signs have few colours: warmer ones are chosen, since merely tinted ones look ill.
    if before.layout not in {"logo", "icon"}:
        return before, look
    after, out = before, list[Change]()
    for change in look:
        palette: Literal["warm", "cool"] = "warm" if change.amount > 0 else "cool"
        if change.kind == "warm" and after.palette != palette:
            after = attrs.evolve(after, palette=palette)
            out.append(attrs.evolve(change, amount=change.amount * 0.3))
        else:
            out.append(change)
    return after, tuple(out)


def refine(before: Plan, prompt: str) -> Plan:
    """Apply a later prompt to a plan; one that is not understood leaves only a small mark."""
    parsed = read_brief(prompt)
    if parsed.kind:
        return framing.change_frame(before, _plan_prompt(prompt, 0))
    prompt = without_kept(parsed.text)
    words = letters(prompt, None)
    text = lowercase(_remove_lettering(prompt, None))
    found = find(text)
    after = _update_subjects(before, found, text)
    after = _update_layout(after, text)
    after = _update_colours(after, found, text)
    after = _update_position(after, text)
    after = _update_ground(after, found, text)
    # Words about the ground alone must not change the whole image.
    rest = RULES["light_ground"].sub(" ", RULES["dark_ground"].sub(" ", text))
    after, look = _choose_palette(after, read_look(rest, relative=True))
    after = attrs.evolve(after, changes=after.changes + look)
    if words:
        after = _update_lettering(after, words, text)
    if RULES["transparent"].search(text):
        after = attrs.evolve(after, clear=True, ground=None)
    if parsed.take or parsed.varies:
        # The image at hand counts as the first take.
        return framing.vary(after, max(1, parsed.take) + 1)
    unknown = tuple(dict.fromkeys((*before.unknown, *_unknown_words(found, words))))[-4:]
    # A prompt that is fulfilled already changes nothing, but is understood.
    known = any(named_in(section, text) for section in ("times", "weather", "shapes"))
    if after == before and not found.items and not known:
        idle = (*before.idle, printable(parsed.text, 80))
        return attrs.evolve(before, idle=idle, unknown=unknown)
    return attrs.evolve(after, unknown=unknown)


def _update_subjects(before: Plan, found: Found, text: str) -> Plan:
    after = _remove_subjects(before, found)
    have = {item.key for item in after.everything}
    fresh = tuple(item for item in found.items if item.key not in have)
    known = {item.key: item for item in found.items if item.key in have}
    after = _each_item(after, lambda item: _merge_item(item, known.get(item.key)))
    if fresh and after.layout == "icon" and RULES["same"].search(text):
        # The next icon of a set: the same tile with another sign on it.
        return attrs.evolve(after, items=fresh, extras=())
    if fresh and (RULES["replace"].search(text) or not after.everything):
        rest = tuple(item for item in after.items[1:] if item.key not in {i.key for i in fresh})
        return attrs.evolve(after, items=fresh + rest, poster="")
    if fresh and RULES["fresh"].search(text) and TABLE[fresh[0].name].place != "sky":
        return attrs.evolve(after, items=fresh, extras=())
    if fresh:
        names = {item.name for item in fresh}
        return attrs.evolve(after, extras=after.extras + fresh, removed=after.removed - names)
    if found.items and re.search(r"\b(?:more|another|second|extra|two|additional)\b", text):
        return attrs.evolve(after, extras=after.extras + found.items)
    return after


def _each_item(plan: Plan, change: Callable[[Item], Item | None]) -> Plan:
    return attrs.evolve(plan, items=tuple(filter(None, map(change, plan.items))),
                        extras=tuple(filter(None, map(change, plan.extras))))  # fmt: skip


def _merge_item(item: Item, new: Item | None) -> Item:
    if new is None or not (new.colour or new.look):
        return item
    return attrs.evolve(item, colour=new.colour or item.colour, accent=new.accent or item.accent,
                        look=(*new.look, *item.look))  # fmt: skip


def _remove_subjects(before: Plan, found: Found) -> Plan:
    # Only drawn subjects and parts of a landscape can be removed.
    have = {item.name for item in before.everything}
    scenic = _SCENIC if before.layout == "scene" else frozenset[str]()
    gone = set(found.removed) & (have | scenic)
    after = _each_item(before, lambda item: None if item.name in gone else item)
    return attrs.evolve(after, removed=before.removed | gone)


def _update_layout(before: Plan, text: str) -> Plan:
    refused = bool(re.search(r"\b(?:no|without|remove|less|stop|not)\b", text))
    weather = set(named_in("weather", text))
    layout = before.layout
    if re.search(r"\b(?:as|into|an?|make)\b", text):
        layout = first_in("layouts", text) or layout
    styles = named_in("styles", text)
    if refused and not re.search(r"less detail|less busy|no detail", text):
        return attrs.evolve(before, weather=before.weather - weather,
                            styles=tuple(s for s in before.styles if s not in styles))  # fmt: skip
    return attrs.evolve(
        before, layout=layout, weather=before.weather | weather, styles=before.styles + styles,
        time=first_in("times", text) or before.time,
    )  # fmt: skip


def _update_colours(before: Plan, found: Found, text: str) -> Plan:
    after = before
    if found.accent:
        share = 0.16 if after.layout == "scene" else 0.05
        tint = Change(kind="tint", amount=share, colour=found.accent)
        after = attrs.evolve(after, accent=found.accent, changes=(*after.changes, tint))
    relative = re.search(r"\bmore\b|\btint|\bhue|\bshade", text)
    for colour in found.colours[:2]:
        if relative or after.layout == "scene" or not RULES["make"].search(text):
            tint = Change(kind="tint", amount=0.42, colour=colour)
            after = attrs.evolve(after, changes=(*after.changes, tint))
        elif after.items:
            first = attrs.evolve(after.items[0], colour=colour)
            after = attrs.evolve(after, items=(first, *after.items[1:]))
        else:
            after = attrs.evolve(after, colours=(colour,))
    return after


def _update_position(before: Plan, text: str) -> Plan:
    after = before
    if RULES["crop"].search(text):
        after = attrs.evolve(after, crops=after.crops + 1, zoom=min(2.2, after.zoom * 1.2))
    elif RULES["bigger"].search(text):
        after = attrs.evolve(after, zoom=min(2.2, after.zoom * 1.28))
    if RULES["smaller"].search(text):
        after = attrs.evolve(after, zoom=max(0.3, after.zoom * 0.74))
    for rule, (dx, dy) in _STEPS:
        if rule.search(text):
            x, y = after.shift
            after = attrs.evolve(after, shift=(max(-0.4, min(0.4, x + float(dx))),
                                               max(-0.3, min(0.3, y + float(dy)))))  # fmt: skip
    return after


def _update_ground(before: Plan, found: Found, text: str) -> Plan:
    # A requested ground replaces the current one.
    if found.ground or RULES["dark_ground"].search(text):
        return attrs.evolve(before, ground=_ground_colour(found, text))
    if not RULES["light_ground"].search(text):
        return before
    styles = tuple(name for name in before.styles if name != "dark")
    ground = None if "dark" in before.styles else _PALE
    return attrs.evolve(before, ground=ground, styles=styles)


def _update_lettering(before: Plan, words: str, text: str) -> Plan:
    if before.poster:
        return attrs.evolve(before, poster=words, lettering=words)
    if before.layout in {"logo", "button"} or (
        before.lettering and re.search(r"change|instead|replace", text)
    ):
        return attrs.evolve(before, lettering=words)
    return attrs.evolve(before, captions=(*before.captions, words)[-4:])
