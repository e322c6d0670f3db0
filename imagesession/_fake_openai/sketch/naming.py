"""
Find what a prompt names: subjects, colours, and words that are to be lettered.
"""

import re

import attrs

from imagesession._fake_openai.sketch import lexicon
from imagesession._fake_openai.sketch.colour import Colour, hexed, named
from imagesession._fake_openai.sketch.lettering import printable
from imagesession._fake_openai.sketch.people import TRAITS, WHO
from imagesession._fake_openai.sketch.plan import Item, Layout

READ = 3000  # characters of a prompt that are read for words; all of it feeds the seed

# What ends a phrase counts as a word: "without lettering: a cat" is not to remove the cat.
_WORD = re.compile(
    r"#[0-9a-f]{6}\b|#[0-9a-f]{3}\b|[^\W_]+(?:'[^\W_]+)?|[.:;!?](?=\s|$)|\n|,(?=\s+(?:an?|with)\b)"
)
_BREAKS = frozenset(".:;!?\n,")
_ACCENT = lexicon.frozen("accent accents detail details highlights highlight trim akzente touches")
_GROUND = lexicon.frozen("background backgrounds backdrop ground hintergrund fondo fond wall")
_OR = lexicon.frozen("or nor")
_AND = lexicon.frozen("and , &")
_STARTS = lexicon.frozen("a an the and with in of . , : ;")
_PEOPLED = lexicon.frozen("with beside next")
_HAIRY = lexicon.frozen("hair haired beard moustache")
_REACH = 9  # how many words on somebody's clothes are named
_NEAR = 4  # how many words a colour, or a "without", reaches


@attrs.frozen(kw_only=True)
class Found:
    """Represent what one prompt names."""

    items: tuple[Item, ...] = ()
    removed: tuple[str, ...] = ()
    accent: Colour | None = None
    ground: Colour | None = None
    colours: tuple[Colour, ...] = ()
    unknown: tuple[str, ...] = ()


@attrs.define
class _Reading:
    """Hold what has been read of a prompt so far."""

    items: list[Item] = attrs.field(factory=list[Item])
    removed: list[str] = attrs.field(factory=list[str])
    pending: list[tuple[int, Colour]] = attrs.field(factory=list[tuple[int, Colour]])
    accent: Colour | None = None
    ground: Colour | None = None
    refused: int | None = None
    lettered: bool = False  # the last word was one for lettering that is refused
    people: int | None = None  # where somebody was named last
    apart: bool = False  # an "and" has come since

    def subject(self, name: str, at: int, said: str) -> None:
        """Take in a subject, with the colours that stand just before it."""
        near = self.near(at)
        item = Item(name=name, colour=near[0] if near else None,
                    accent=near[1] if len(near) > 1 else None, said=said)  # fmt: skip
        if name == "person":
            item = attrs.evolve(item, look=tuple(WHO.get(said, "").split()))
        if self.refused is not None and at - self.refused <= _NEAR:
            self.removed.append(name)
        elif name == "person" and self.merged(item, at):
            return
        elif all(other.key != item.key for other in self.items):
            self.items.append(item)
            self.people = at if name == "person" else self.people
        else:
            return
        self.pending = [p for p in self.pending if at - p[0] > _NEAR]

    def merged(self, item: Item, at: int) -> bool:
        """Take "a woman doctor" and "portrait of a king" for one person."""
        if self.people is None or at - self.people > _NEAR or self.apart:
            return False
        i = max(i for i, other in enumerate(self.items) if other.name == "person")
        before = self.items[i]
        self.items[i] = attrs.evolve(item, look=before.look + item.look,
                                     colour=before.colour or item.colour)  # fmt: skip
        self.people, self.pending = at, []
        return True

    def worn(self, word: str, at: int) -> bool:
        """Take in what somebody wears, or is like."""
        trait = TRAITS.get(word)
        if word in _AND:
            self.apart = self.people is not None
        elif word in _PEOPLED:
            self.apart = self.apart or self.people is not None
        near = self.near(at)
        if self.people is None or at - self.people > _REACH:
            return False
        i = max(i for i, other in enumerate(self.items) if other.name == "person")
        who = self.items[i]
        if word in _HAIRY and near:
            shade = f"hair={hexed(near[-1])}"
            more = (shade, "beard") if word == "beard" else (shade,)
            self.items[i] = attrs.evolve(who, look=who.look + more)
        elif word == "skin" and near:
            self.items[i] = attrs.evolve(who, look=(*who.look, f"skin={hexed(near[-1])}"))
        elif trait:
            look = who.look + tuple(trait.split())
            self.items[i] = attrs.evolve(who, look=look, colour=near[-1] if near else who.colour)
        else:
            return False
        self.pending = []
        return True

    def word(self, token: str, at: int) -> None:
        """Take in any other word."""
        near, colour = self.near(at), named(token)
        goes_on, self.lettered = self.lettered and token in _OR, False
        if token in lexicon.REMOVE or goes_on:
            self.refused = at
        elif token in lexicon.LETTERS and self.refused is not None:
            self.refused, self.lettered = None, True
        elif token in _BREAKS:
            self.refused = None
        elif token in _ACCENT and near:
            self.accent, self.pending = near[0], []
        elif token in _GROUND and near:
            self.ground, self.pending = near[-1], []
        elif colour:
            self.pending.append((at, colour))

    def near(self, at: int) -> list[Colour]:
        """Give the colours that stand just before a word."""
        return [colour for start, colour in self.pending if at - start <= _NEAR]


def find(text: str) -> Found:
    """Find the subjects and colours that a prompt names."""
    # "On white" at the end of a phrase means the ground; "leaf-green" is a colour and no plant.
    text = lexicon.ON_COLOUR.sub(r"\1 \2 background", text)
    text = lexicon.SHADE.sub(r"\1", text)
    tokens = _WORD.findall(lexicon.FORMATS.sub(" ", text.replace("-", " ")))[:600]
    reading = _Reading()
    i = 0
    while i < len(tokens):
        name, length = _subject_at(tokens, i)
        coloured = named(tokens[i]) and _subject_at(tokens, i + 1)[0]
        special = tokens[i] in lexicon.REMOVE or (
            tokens[i] in (_ACCENT | _GROUND) and reading.near(i)
        )
        if reading.worn(tokens[i], i):
            i += 1
        elif name and not coloured and not special:
            reading.subject(name, i, tokens[i])
            i += length
        else:
            reading.word(tokens[i], i)
            i += 1
    return _found(reading, text, tokens)


def _described(item: Item, tokens: list[str]) -> Item:
    # "An old sailor": what stands before somebody says how they look.
    if item.name != "person" or item.said not in tokens:
        return item
    before: list[str] = []
    for word in reversed(tokens[: tokens.index(item.said)]):
        if word in _STARTS:
            break
        before += TRAITS.get(word, "").split()
    return attrs.evolve(item, look=(*before, *item.look))


def _found(reading: _Reading, text: str, tokens: list[str]) -> Found:
    items, loose = reading.items, [colour for _, colour in reading.pending]
    items += [Item(name=name) for ch, name in lexicon.PICTURES.items()
              if ch in text and all(item.name != name for item in items)]  # fmt: skip
    if not items and "orange" in tokens:
        items, loose = [Item(name="orange fruit")], []
    items = [_described(item, tokens) for item in items]
    return Found(
        items=tuple(items), removed=tuple(reading.removed), accent=reading.accent,
        ground=reading.ground, colours=tuple(loose[:4]), unknown=lexicon.unknown(tokens),
    )  # fmt: skip


def _subject_at(tokens: list[str], i: int) -> tuple[str | None, int]:
    for length in range(min(lexicon.LONGEST, len(tokens) - i), 0, -1):
        phrase = tuple(tokens[i : i + length])
        name = lexicon.PHRASES.get(phrase)
        if name:
            return name, length
    return None, 1


def letters(prompt: str, layout: Layout | None) -> str:
    """
    Find the words that are to be lettered: those in quotes or after "saying", or a logo's name.
    """
    head = prompt[:READ]
    for rule in (lexicon.QUOTED, lexicon.SPOKEN):
        match = rule.search(head)
        if match:
            return printable(next(group for group in match.groups() if group))
    match = lexicon.NAMED.search(head)
    if match and (layout == "logo" or match[0].lower().startswith(("called", "named"))):
        return printable(match[1])
    return ""


def label(description: str) -> str:
    """Choose the words that stand on a button: those in quotes, else the first that tell."""
    quoted = letters(description, None)
    if quoted:
        return quoted
    whole = " ".join(description[:READ].split())
    return _short(lexicon.BUTTON_END.split(whole, maxsplit=1)[0]) or _short(whole)


def _short(text: str) -> str:
    kept: list[str] = []
    for word in re.findall(r"[^\W_][\w'&+-]*", text):
        low = word.lower()
        leads = not kept and (low in lexicon.JOINTS or named(low))
        if low not in lexicon.BUTTON_WORDS and not leads and len(" ".join((*kept, word))) <= 20:
            kept.append(word)
    while kept and kept[-1].lower() in lexicon.JOINTS:
        kept.pop()
    words = printable(" ".join(kept), 20)
    return words[:1].upper() + words[1:]


def keyword(prompt: str) -> str:
    """Choose the word of a prompt that says most."""
    words = re.findall(r"[^\W\d_]{2,}", prompt[:READ])
    telling = [w for w in words if w.lower() not in lexicon.STOPWORDS and not named(w.lower())]
    return max(telling[:6], key=len, default="")[:16]


def shape(text: str) -> str:
    """Tell which shape of picture the words ask for, if any."""
    return lexicon.first(lexicon.SHAPES, text) or ""
