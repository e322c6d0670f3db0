"""
Read the brief of a prompt: the preset, its subject, and the number of a take; and apply the frame
of the preset to a plan.

A preset wraps a description into sentences on view, light and finish. They are known word for word
and removed here: read as the user's own words, a "softbox from the upper left" would move the
subject to the left.
"""

import functools
import re
from collections.abc import Mapping
from typing import Literal, TypeAlias, cast, get_args

import attrs

from imagesession._domain.preset import Preset, load_presets
from imagesession._fake_openai.sketch import naming
from imagesession._fake_openai.sketch.colour import changes_of, rgb
from imagesession._fake_openai.sketch.lexicon import RULES
from imagesession._fake_openai.sketch.plan import Angle, Item, Layout, Lighting, Plan
from imagesession._fake_openai.sketch.words import READ, SECTIONS

Kind: TypeAlias = Literal["product", "icon", "illustration", "background", "hero", "button"]

_SLOT = re.compile(r"\{\w+\}")
_TAKE = re.compile(
    r"\s*This is take (\d{1,3}) of \d{1,3}: keep to all of the above, and differ from the other "
    r"takes in what it leaves open\.?"
)
_VARIATION = re.compile(
    r"Make a variation of this picture: the same subject and style, newly composed\.?\s*"
)


def lowercase(prompt: str) -> str:
    return prompt[:READ].lower().replace("\ufe0f", "")


@attrs.frozen(kw_only=True)
class Brief:
    text: str  # the user's words, without the sentences of presets and takes
    subject: str  # the description in a preset; the whole text without a preset
    kind: Kind | None = None  # the kind of image that a preset frames, if there is one
    # The preset's parameters.
    choices: Mapping[str, str] = attrs.field(factory=dict[str, str], hash=False)
    take: int = 0  # the number of the take, from 1; 0 if there is only one
    varies: bool = False  # whether it is a variation of the current image

    @property
    def words(self) -> str:
        """The user's words in small letters, as far as they are read."""
        return lowercase(self.text)

    @property
    def clear(self) -> bool:
        return self.choices.get("background_type") == "transparent"

    @property
    def shape(self) -> str:
        return {"": "", "product": "", "icon": "square"}.get(self.kind or "", "wide")


@functools.lru_cache(maxsize=128)
def read_brief(prompt: str) -> Brief:
    found = _TAKE.search(prompt)
    whole = _TAKE.sub("", prompt)
    rest = _VARIATION.sub("", whole)
    frames = (_read_frame(load_presets()[name], rest) for name in ("product", "ui_asset"))
    read = next(filter(None, frames), Brief(text=rest, subject=rest))
    return attrs.evolve(read, take=int(found[1]) if found else 0, varies=rest != whole)


def _read_frame(preset: Preset, prompt: str) -> Brief | None:
    # The fixed text of the template: the words before the description, and whole lines.
    opening = _SLOT.split(preset.template, maxsplit=1)[0].lstrip()
    fixed = [line.strip() for line in preset.template.splitlines() if not _SLOT.search(line)]
    start = prompt.find(opening)
    chosen = {
        name: (choice, words.prompt_text)
        for name, field in preset.fields.items()
        for choice, words in field.choices.items()
        if words.prompt_text and words.prompt_text in prompt
    }
    if start < 0 or not chosen:
        return None
    sentences = [words for _, words in chosen.values()]
    sentences += [line for line in fixed if line and line in prompt]
    begin = start + len(opening)
    end = min((at for words in sentences if (at := prompt.find(words, begin)) >= 0), default=begin)
    subject = prompt[begin:end].strip().removesuffix(".")
    around = prompt[:start] + prompt[end:]
    for words in sentences:
        around = around.replace(words, "")
    choices = {name: choice for name, (choice, _) in chosen.items()}
    text = ".\n".join(part for part in (subject, " ".join(around.split())) if part)
    kind = cast("Kind", choices.get("asset_type", "product"))
    return Brief(text=text, subject=subject, kind=kind, choices=choices)


WHITE = rgb("#ffffff")

_FINISHES = SECTIONS["finishes"]
_ZOOMS = (1.0, 0.9, 1.1, 0.96)  # of the takes


def apply_frame(plan: Plan, brief: Brief) -> Plan:
    choices, kind = brief.choices, brief.kind
    theme, ground = choices.get("theme", ""), choices.get("background_type")
    style = _FINISHES.get(choices.get("style_preset", ""), "3d" if kind == "product" else "")
    more = (style, "minimal" if theme == "minimal" else "")
    framed = attrs.evolve(
        plan, framed=True, clear=plan.clear or brief.clear, poster="",
        layout=cast("Layout", kind) if kind in get_args(Layout) else "scene",
        styles=(*plan.styles, *(s for s in more if s and s not in plan.styles)),
        # A background must leave text on it readable.
        look=changes_of("themes", theme, "background" if kind == "background" else None),
        zoom=float(SECTIONS["sizes"].get(choices.get("size_preset", ""), "1")),
    )  # fmt: skip
    if kind == "button":
        # Quoted words are lettered, not drawn: "Book now" asks for no book.
        items = naming.find(RULES["quoted"].sub(" ", brief.subject.lower())).items
        named = any(item.name == "button" for item in items)
        return attrs.evolve(
            framed, items=items if named else (Item(name="button"), *items), zoom=1.0,
            corner=float(SECTIONS["corners"].get(theme, "0.3")),
            label=naming.label(brief.subject),
        )  # fmt: skip
    if kind != "product":
        return framed if framed.items else attrs.evolve(framed, poster=plan.poster)
    return attrs.evolve(
        framed, ground=WHITE if ground == "white" else plan.ground, lived_in=ground == "lifestyle",
        angle=cast("Angle", choices.get("angle", "front")),
        lighting=cast("Lighting", choices.get("lighting", "studio")),
    )  # fmt: skip


def change_frame(before: Plan, fresh: Plan) -> Plan:
    """Show the subject of a new frame in the style and colours of the current image."""
    kept = tuple(
        s for s in before.styles if s not in {*_FINISHES.values(), "minimal", *fresh.styles}
    )
    # The ground of a product, icon or button does not fit another layout.
    plain = before.layout in {"product", "icon", "button"} and before.layout != fresh.layout
    plain = plain or (before.layout == "product" and before.ground == WHITE)
    own = any(item.colour for item in fresh.items) or fresh.colours
    after = attrs.evolve(
        fresh, items=tuple(_share_colours(before, item, fresh) for item in fresh.items),
        seed=before.seed or fresh.seed, palette=before.palette, styles=fresh.styles + kept,
        colours=fresh.colours if own else before.colours, accent=fresh.accent or before.accent,
        ground=fresh.ground or (None if plain or fresh.clear else before.ground),
        changes=before.changes + fresh.changes, crops=before.crops,
    )  # fmt: skip
    # A repeated request asks for another image of the same subject.
    return vary(after, 2) if after == before else after


def _share_colours(before: Plan, item: Item, fresh: Plan) -> Item:
    # The assets of one set share their colours.
    same = next((known for known in before.everything if known.key == item.key), None)
    lead = before.items[0] if before.items and item is fresh.items[0] else None
    lead = None if fresh.layout == "product" or fresh.colours else lead
    like = same or lead
    if item.colour or like is None:
        return item
    return attrs.evolve(item, colour=like.colour, accent=item.accent or like.accent)


def vary(plan: Plan, number: int) -> Plan:
    """Vary what a prompt leaves open; the first take is unchanged."""
    if number < 2:
        return plan
    i = (number - 1) % 4
    return attrs.evolve(
        plan, seed=(plan.seed + (number - 1) * 104_729) & 0x7FFFFFFF, zoom=plan.zoom * _ZOOMS[i],
        mirrored=plan.mirrored != (i in {1, 2}),
    )  # fmt: skip
