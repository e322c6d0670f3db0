"""
Read prompts: the first sets the plan of a picture, each later one changes it.
"""

import functools
import re
import zlib
from collections.abc import Iterable
from typing import Literal

import attrs

from imagesession._offline.painter import lexicon
from imagesession._offline.painter.colour import Change, Colour, dark, luminance, named, rgb
from imagesession._offline.painter.plan import Item, Layout, Plan, Time
from imagesession._offline.painter.refine import refined_look
from imagesession._offline.painter.remedies import read
from imagesession._offline.painter.subjects import TABLE

_READ = 3000  # characters of a prompt that are read for words; all of it feeds the seed
_WORD = re.compile(r"#[0-9a-f]{6}\b|#[0-9a-f]{3}\b|[^\W_]+(?:'[^\W_]+)?")
_ACCENT = lexicon.frozen("accent accents detail details highlights highlight trim akzente touches")
_PALE = rgb("#fbfaf5")
_SCENIC = frozenset({"sun", "moon", "cloud", "tree", "stars"})
_GROUND = lexicon.frozen("background backgrounds backdrop ground hintergrund fondo fond wall")


@attrs.frozen(kw_only=True)
class Found:
    """
    Represent what one prompt names.
    """

    items: tuple[Item, ...] = ()
    removed: tuple[str, ...] = ()
    accent: Colour | None = None
    ground: Colour | None = None
    colours: tuple[Colour, ...] = ()


def crc(text: str) -> int:
    """
    Number a text, the same in every process.
    """
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


@functools.lru_cache(maxsize=64)
def plan(prompts: tuple[str, ...], seed: int = 0) -> Plan:
    """
    Read all prompts of a story.
    """
    if not prompts:
        return Plan(seed=seed)
    result = _first(prompts[0], seed)
    for prompt in prompts[1:]:
        result = refine(result, prompt)
    return result


def _lower(prompt: str) -> str:
    return prompt[:_READ].lower().replace("\ufe0f", "")


def _first(prompt: str, seed: int) -> Plan:
    text = _lower(prompt)
    found = find(text)
    layout = lexicon.first(lexicon.LAYOUTS, text)
    if layout is None and re.search(r"\bbackground\b", text) and not found.items:
        layout = "pattern"
    lettering = letters(prompt, layout)
    items = found.items
    if not items and lettering:
        items = find(lettering.lower()).items
    if layout == "icon":
        items = tuple(attrs.evolve(i, name="home icon") if i.name == "house" else i for i in items)
    start = Plan(
        layout=layout or "scene", items=items[:8], time=_time(text, found),
        weather=frozenset(name for name, rule in lexicon.WEATHER if rule.search(text)),
        styles=tuple(name for name, rule in lexicon.STYLES if rule.search(text)),
        changes=refined_look(text, relative=False), ground=_grounded(found, text),
        accent=found.accent, colours=found.colours, lettering=lettering,
        shape=shape(text), keyword=keyword(prompt),
        removed=frozenset(found.removed),
        seed=(crc(" ".join(prompt.lower().split())) + seed * 7919) & 0x7FFFFFFF,
    )  # fmt: skip
    return _in_palette(start, refined_look(text, relative=True))[0]


def _grounded(found: Found, text: str) -> Colour | None:
    # "A dark blue background" names a dark ground, not a blue one.
    if found.ground and luminance(found.ground) > 60 and lexicon.DARK_GROUND.search(text):
        return dark(found.ground, 0.55)
    return found.ground


def _relit(before: Plan, found: Found, text: str) -> Plan:
    # A dark or a light ground that is asked for takes the place of the one that was there.
    if found.ground:
        return before
    if lexicon.DARK_GROUND.search(text):
        return attrs.evolve(before, ground=None)
    if not lexicon.LIGHT_GROUND.search(text):
        return before
    styles = tuple(name for name in before.styles if name != "dark")
    ground = None if "dark" in before.styles else _PALE
    return attrs.evolve(before, ground=ground, styles=styles)


def _looking(before: Plan, text: str) -> Plan:
    # What is said of the ground alone is not to change the whole picture.
    rest = lexicon.LIGHT_GROUND.sub(" ", lexicon.DARK_GROUND.sub(" ", text))
    look: tuple[Change, ...] = ()
    if before.layout in {"scene", "hero"} and lexicon.STORMY.search(rest):
        # It is the sky that darkens; the rest only gains a little contrast.
        before, rest = attrs.evolve(before, stormy=True), lexicon.STORMY.sub(" ", rest)
        look = (Change(kind="contrast", amount=1.06),)
    after, more = _in_palette(before, refined_look(rest, relative=True))
    look += more
    return attrs.evolve(after, changes=after.changes + look)


def _in_palette(before: Plan, look: tuple[Change, ...]) -> tuple[Plan, tuple[Change, ...]]:
    # Signs have few colours: warmer ones are chosen, since merely tinted ones look ill.
    if before.layout not in {"logo", "icon", "pattern"}:
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
    """
    Change a plan as a later prompt asks; what is not understood still changes something.
    """
    remedies = read(prompt)
    prompt = remedies.rest
    text = _lower(prompt)
    found = find(text)
    after = _renamed(before, found, text)
    after = _relaid(after, text)
    after = _recoloured(after, found, text)
    after = _moved(after, text)
    after = _relit(after, found, text)
    after = _looking(after, text)
    words = letters(prompt, None)
    if words:
        after = _lettered(after, words, text)
    if lexicon.TRANSPARENT.search(text):
        after = attrs.evolve(after, clear=True, ground=None)
    if remedies.mends:
        return attrs.evolve(after, mends=after.mends + remedies.mends)
    if after == before:
        after = attrs.evolve(after, oddities=(*after.oddities, crc(text)))
    return after


def find(text: str) -> Found:
    """
    Find the subjects and colours that a prompt names.
    """
    # "On white" at the end of a phrase means the ground.
    text = lexicon.ON_COLOUR.sub(r"\1 \2 background", text)
    tokens = _WORD.findall(lexicon.FORMATS.sub(" ", text.replace("-", " ")))[:600]
    items: list[Item] = []
    removed: list[str] = []
    loose: list[Colour] = []
    accent = ground = None
    pending: list[tuple[int, Colour]] = []
    refused = -9
    i = 0
    while i < len(tokens):
        token = tokens[i]
        name, length = _subject_at(tokens, i)
        colour = named(token)
        near = [c for at, c in pending if i - at <= 4]
        if token in lexicon.REMOVE:
            refused = i
        elif token in _ACCENT and near:
            accent, pending = near[0], []
        elif token in _GROUND and near:
            ground, pending = near[-1], []
        elif name and not (colour and _subject_at(tokens, i + 1)[0]):
            if i - refused <= 4:
                removed.append(name)
            elif all(item.name != name for item in items):
                items.append(Item(name=name, colour=near[0] if near else None,
                                  accent=near[1] if len(near) > 1 else None))  # fmt: skip
                pending = [p for p in pending if i - p[0] > 4]
            i += length
            continue
        elif colour:
            pending.append((i, colour))
        i += 1
    loose = [c for _, c in pending]
    items += [Item(name=name) for ch, name in lexicon.PICTURES.items()
              if ch in text and all(item.name != name for item in items)]  # fmt: skip
    if not items and "orange" in tokens:
        items, loose = [Item(name="orange fruit")], []
    return Found(items=tuple(items), removed=tuple(removed), accent=accent, ground=ground,
                 colours=tuple(loose[:4]))  # fmt: skip


def _subject_at(tokens: list[str], i: int) -> tuple[str | None, int]:
    for length in range(min(lexicon.LONGEST, len(tokens) - i), 0, -1):
        phrase = tuple(tokens[i : i + length])
        name = lexicon.PHRASES.get(phrase)
        if name:
            return name, length
    return None, 1


def letters(prompt: str, layout: Layout | None) -> str:
    """
    Find the words that are to be lettered: those in quotes, or a logo's name.
    """
    head = prompt[:_READ]
    match = lexicon.QUOTED.search(head)
    if match:
        return _printable(match[1] or match[2])
    if layout in {"logo", "hero"}:
        match = lexicon.NAMED.search(head)
        if match:
            return _printable(match[1])
    return ""


def _printable(text: str) -> str:
    return " ".join("".join(ch for ch in text if ch.isprintable()).split())[:40]


def keyword(prompt: str) -> str:
    """
    Choose the word of a prompt that says most.
    """
    words = re.findall(r"[^\W\d_]{2,}", prompt[:_READ])
    telling = [w for w in words if w.lower() not in lexicon.STOPWORDS and not named(w.lower())]
    return max(telling[:6], key=len, default="")[:16]


def shape(text: str) -> str:
    """
    Tell which shape of picture the words ask for, if any.
    """
    return lexicon.first(lexicon.SHAPES, text) or ""


def _time(text: str, found: Found) -> Time | None:
    time = lexicon.first(lexicon.TIMES, text)
    if time is None and any(item.name in {"moon", "stars"} for item in found.items):
        return "night"
    return time


def _renamed(before: Plan, found: Found, text: str) -> Plan:
    gone = set(found.removed)
    after = before
    have = {item.name for item in after.everything}
    # Only what is there, or may be part of a landscape, can be taken away.
    gone &= have | (_SCENIC if after.layout in {"scene", "hero"} else set[str]())
    if gone:
        after = attrs.evolve(
            after, items=tuple(i for i in after.items if i.name not in gone),
            extras=tuple(i for i in after.extras if i.name not in gone),
            removed=after.removed | gone,
            weather=after.weather - {"rain" if "rain" in text else "", "snow" if "snow" in text
                                     else "", "fog" if "fog" in text or "mist" in text else ""},
        )  # fmt: skip
    have -= gone
    fresh = tuple(item for item in found.items if item.name not in have)
    known = {item.name: item for item in found.items if item.name in have and item.colour}
    if known:
        after = attrs.evolve(
            after, items=tuple(known.get(i.name, i) for i in after.items),
            extras=tuple(known.get(i.name, i) for i in after.extras),
        )  # fmt: skip
    if fresh and after.layout == "icon" and lexicon.SAME.search(text):
        # The next icon of a set: the same tile with another sign on it.
        return attrs.evolve(after, items=fresh, extras=())
    if fresh and (lexicon.REPLACE.search(text) or not after.everything):
        return attrs.evolve(after, items=fresh + _except(after.items[1:], fresh))
    if fresh and lexicon.FRESH.search(text) and TABLE[fresh[0].name].place != "sky":
        return attrs.evolve(after, items=fresh, extras=())
    if fresh:
        names = {item.name for item in fresh}
        after = attrs.evolve(after, extras=after.extras + fresh, removed=after.removed - names)
    elif found.items and re.search(r"\b(?:more|another|second|extra|two|additional)\b", text):
        after = attrs.evolve(after, extras=after.extras + found.items)
    return after


def _except(items: Iterable[Item], others: Iterable[Item]) -> tuple[Item, ...]:
    names = {item.name for item in others}
    return tuple(item for item in items if item.name not in names)


def _relaid(before: Plan, text: str) -> Plan:
    refused = bool(re.search(r"\b(?:no|without|remove|less|stop|not)\b", text))
    weather = {name for name, rule in lexicon.WEATHER if rule.search(text)}
    layout = before.layout
    if re.search(r"\b(?:as|into|an?|make)\b", text):
        layout = lexicon.first(lexicon.LAYOUTS, text) or layout
    if layout == "hero" and before.layout != "scene":
        layout = before.layout  # "a banner version" of a logo is still the logo
    styles = tuple(name for name, rule in lexicon.STYLES if rule.search(text))
    if refused and not re.search(r"less detail|less busy|no detail", text):
        return attrs.evolve(before, weather=before.weather - weather,
                            styles=tuple(s for s in before.styles if s not in styles))  # fmt: skip
    asked = shape(text)
    return attrs.evolve(
        before, layout=layout, weather=before.weather | weather, styles=before.styles + styles,
        time=lexicon.first(lexicon.TIMES, text) or before.time,
        shape=asked or before.shape,
    )  # fmt: skip


_MAKE = re.compile(r"\b(?:make|turn|change|paint|colou?r|recolou?r|in|into|be|all)\b")


def _recoloured(before: Plan, found: Found, text: str) -> Plan:
    after = before
    if found.accent:
        share = 0.16 if after.layout in {"scene", "hero"} else 0.05
        tint = Change(kind="tint", amount=share, colour=found.accent)
        after = attrs.evolve(after, accent=found.accent, changes=(*after.changes, tint))
    if found.ground:
        after = attrs.evolve(after, ground=_grounded(found, text))
    relative = re.search(r"\bmore\b|\btint|\bhue|\bshade", text)
    for colour in found.colours[:2]:
        if relative or after.layout in {"scene", "hero", "pattern"} or not _MAKE.search(text):
            tint = Change(kind="tint", amount=0.42, colour=colour)
            after = attrs.evolve(after, changes=(*after.changes, tint))
        elif after.items:
            first = attrs.evolve(after.items[0], colour=colour)
            after = attrs.evolve(after, items=(first, *after.items[1:]))
        else:
            after = attrs.evolve(after, colours=(colour,))
    return after


_STEPS = (
    (re.compile(r"\b(?:to the )?left\b"), (-0.14, 0.0)),
    (re.compile(r"\b(?:to the )right\b|\bright side\b"), (0.14, 0.0)),
    (re.compile(r"\b(?:higher|upwards?|move up|to the top)\b"), (0.0, -0.1)),
    (re.compile(r"\b(?:lower|downwards?|move down|to the bottom)\b"), (0.0, 0.1)),
)


def _moved(before: Plan, text: str) -> Plan:
    after = before
    if re.search(r"\b(?:bigger|larger|enlarge|huge|zoom in|closer|close-?up|increase)\b", text):
        after = attrs.evolve(after, zoom=min(2.2, after.zoom * 1.28))
    if re.search(r"\b(?:smaller|shrink|tiny|zoom out|further|farther|reduce)\b", text):
        after = attrs.evolve(after, zoom=max(0.3, after.zoom * 0.74))
    if re.search(r"\b(?:flip|mirror|mirrored|facing the other way)\b", text):
        after = attrs.evolve(after, mirrored=not after.mirrored)
    if re.search(r"\b(?:blur|blurry|blurred|blurrier|softer|out of focus)\b", text):
        after = attrs.evolve(after, blur=min(60.0, max(0.0, after.blur) + 9))
    if re.search(r"\b(?:sharp|sharper|sharpen|crisp|crisper|in focus)\b", text):
        after = attrs.evolve(after, blur=max(-3.0, min(0.0, after.blur - 9) - 1)
                             if after.blur <= 0 else max(0.0, after.blur - 9))  # fmt: skip
    for rule, (dx, dy) in _STEPS:
        if rule.search(text):
            x, y = after.shift
            after = attrs.evolve(after, shift=(max(-0.4, min(0.4, x + dx)),
                                               max(-0.3, min(0.3, y + dy))))  # fmt: skip
    return after


def _lettered(before: Plan, words: str, text: str) -> Plan:
    if before.layout == "logo" or (before.lettering and re.search(r"change|instead|replace", text)):
        return attrs.evolve(before, lettering=words)
    return attrs.evolve(before, captions=(*before.captions, words)[-4:])
