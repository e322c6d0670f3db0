"""
Find the subjects, colours and lettering that a prompt names.
"""

import re
import textwrap

import attrs

from imagesession._fake_openai.sketch import lexicon
from imagesession._fake_openai.sketch.colour import Colour, hexed, named
from imagesession._fake_openai.sketch.lettering import printable
from imagesession._fake_openai.sketch.lexicon import PERSON_WORDS, RULES, TRAITS, WORDS
from imagesession._fake_openai.sketch.plan import Item, Layout
from imagesession._fake_openai.sketch.words import READ

# The end of a phrase counts as a word: "without lettering: a cat" must not remove the cat.
_WORD = re.compile(
    r"#[0-9a-f]{6}\b|#[0-9a-f]{3}\b|[^\W_]+(?:'[^\W_]+)?|[.:;!?](?=\s|$)|\n|,(?=\s+(?:an?|with)\b)"
)
_BREAKS = frozenset(".:;!?\n,")
_TRAIT_REACH = 9  # how many words after a person may be traits
_COLOUR_REACH = 4  # how many words a colour, or a "without", applies to


@attrs.define
class Found:
    items: tuple[Item, ...] = ()  # the subjects, with their colours and traits
    removed: tuple[str, ...] = ()  # the names of subjects that are to go
    accent: Colour | None = None
    ground: Colour | None = None
    colours: tuple[Colour, ...] = ()  # colours that belong to no subject
    unknown: tuple[str, ...] = ()  # words that were not understood


class _Reader:
    def __init__(self) -> None:
        self.found = Found()
        self.items: list[Item] = []
        self.pending: list[tuple[int, Colour]] = []  # colours without a subject, and their places
        self._remove_at: int | None = None
        self._lettered = False  # the last word named lettering that is to be left out
        self._person_at: int | None = None  # the position of the last person
        self._separate = False  # an "and" has followed since
        self._before: list[str] = []  # traits since the phrase began

    def add_subject(self, name: str, at: int, word: str) -> None:
        colours, items = self.colours_before(at), self.items
        joined = name == "person" and not self._separate
        same = self._person_near(at, _COLOUR_REACH) if joined else None
        item = Item(name=name, colour=colours[0] if colours else None,
                    accent=colours[1] if len(colours) > 1 else None, word=word)  # fmt: skip
        if name == "person":
            # "An old sailor": words before a person are traits.
            look = (*self._before, *PERSON_WORDS.get(word, "").split())
            item, self._before = attrs.evolve(item, look=look), []
        if self._remove_at is not None and at - self._remove_at <= _COLOUR_REACH:
            self.found.removed += (name,)
        elif same is not None:
            # "A woman doctor" and "portrait of a king" are one person.
            before = items[same]
            items[same] = attrs.evolve(item, look=before.look + item.look,
                                       colour=before.colour or item.colour)  # fmt: skip
            self._person_at, self.pending = at, []
        elif all(other.key != item.key for other in items):
            items.append(item)
            self._person_at = at if name == "person" else self._person_at
        else:
            return
        self.pending = [p for p in self.pending if at - p[0] > _COLOUR_REACH]

    def _person_near(self, at: int, reach: int) -> int | None:
        if self._person_at is None or at - self._person_at > reach:
            return None
        return max(i for i, item in enumerate(self.items) if item.name == "person")

    def add_trait(self, word: str, at: int) -> bool:
        """Add a trait of the last person: clothes, hair, skin, age."""
        if word in WORDS["and"]:
            self._separate = self._person_at is not None
        elif word in WORDS["company"]:
            self._separate = self._separate or self._person_at is not None
        i, colours = self._person_near(at, _TRAIT_REACH), self.colours_before(at)
        if i is None:
            return False
        person, look = self.items[i], tuple(TRAITS.get(word, "").split())
        if colours and (word in WORDS["hair"] or word == "skin"):
            look = (f"{'skin' if word == 'skin' else 'hair'}={hexed(colours[-1])}",)
            look += ("beard",) if word == "beard" else ()
        elif look:
            person = attrs.evolve(person, colour=colours[-1] if colours else person.colour)
        else:
            return False
        self.items[i] = attrs.evolve(person, look=person.look + look)
        self.pending = []
        return True

    def add_word(self, token: str, at: int) -> None:
        colours, colour = self.colours_before(at), named(token)
        self._before += TRAITS.get(token, "").split()
        if token in WORDS["starts"]:
            self._before = []
        continues, self._lettered = self._lettered and token in WORDS["or"], False
        if token in WORDS["remove"] or continues:
            self._remove_at = at
        elif token in WORDS["letters"] and self._remove_at is not None:
            self._remove_at, self._lettered = None, True
        elif token in _BREAKS:
            self._remove_at = None
        elif token in WORDS["accent"] and colours:
            self.found.accent, self.pending = colours[0], []
        elif token in WORDS["ground"] and colours:
            self.found.ground, self.pending = colours[-1], []
        elif colour:
            self.pending.append((at, colour))

    def colours_before(self, at: int) -> list[Colour]:
        return [colour for start, colour in self.pending if at - start <= _COLOUR_REACH]


def find(text: str) -> Found:
    # "On white" at the end of a phrase means the ground; "leaf-green" is a colour and no plant.
    text = RULES["on_colour"].sub(r"\1 \2 background", text)
    text = RULES["shade"].sub(r"\1", text)
    tokens = _WORD.findall(RULES["formats"].sub(" ", text.replace("-", " ")))[:600]
    reader = _Reader()
    i = 0
    while i < len(tokens):
        name, length = _subject_at(tokens, i)
        coloured = named(tokens[i]) and _subject_at(tokens, i + 1)[0]
        special = tokens[i] in WORDS["remove"] or (
            tokens[i] in (WORDS["accent"] | WORDS["ground"]) and reader.colours_before(i)
        )
        if reader.add_trait(tokens[i], i):
            length = 1
        elif name and not coloured and not special:
            reader.add_subject(name, i, tokens[i])
        else:
            reader.add_word(tokens[i], i)
            length = 1
        i += length
    return _complete(reader, text, tokens)


def _complete(reader: _Reader, text: str, tokens: list[str]) -> Found:
    items, loose = reader.items, [colour for _, colour in reader.pending]
    for ch, name in lexicon.PICTURES.items():
        if ch in text and all(item.name != name for item in items):
            items.append(Item(name=name))
    if not items and "orange" in tokens:
        items, loose = [Item(name="orange fruit")], []
    reader.found.items = tuple(items)
    reader.found.colours, reader.found.unknown = tuple(loose[:4]), lexicon.unknown(tokens)
    return reader.found


def _subject_at(tokens: list[str], i: int) -> tuple[str | None, int]:
    for length in range(min(lexicon.LONGEST, len(tokens) - i), 0, -1):
        phrase = tuple(tokens[i : i + length])
        name = lexicon.PHRASES.get(phrase)
        if name:
            return name, length
    return None, 1


def letters(prompt: str, layout: Layout | None) -> str:
    head = prompt[:READ]
    for rule in (RULES["quoted"], RULES["spoken"]):
        match = rule.search(head)
        if match:
            return printable(next(group for group in match.groups() if group))
    match = RULES["named"].search(head)
    if match and (layout == "logo" or match[0].lower().startswith(("called", "named"))):
        return printable(match[1])
    return ""


def label(description: str) -> str:
    if quoted := letters(description, None):
        return quoted
    whole = " ".join(description[:READ].split())
    start = RULES["button_end"].split(whole, maxsplit=1)[0]
    words = [w for w in re.findall(r"[^\W_][\w'&+-]*", start) if w.lower() not in WORDS["button"]]
    while words and (words[0].lower() in WORDS["joints"] or named(words[0].lower())):
        words.pop(0)
    text = printable(textwrap.shorten(" ".join(words), 20, placeholder=""), 20)
    return text[:1].upper() + text[1:]


def keyword(prompt: str) -> str:
    words = re.findall(r"[^\W\d_]{2,}", prompt[:READ])
    telling = [w for w in words if w.lower() not in WORDS["stopwords"] and not named(w.lower())]
    return max(telling[:6], key=len, default="")[:16]
