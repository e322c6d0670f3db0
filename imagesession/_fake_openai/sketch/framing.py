"""
Apply the frame of a preset to a plan, and vary it from take to take.
"""

from typing import cast, get_args

import attrs

from imagesession._fake_openai.sketch import naming
from imagesession._fake_openai.sketch.briefs import Brief
from imagesession._fake_openai.sketch.colour import changes_of, rgb
from imagesession._fake_openai.sketch.lexicon import RULES
from imagesession._fake_openai.sketch.plan import Angle, Item, Layout, Lighting, Plan
from imagesession._fake_openai.sketch.words import SECTIONS

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
