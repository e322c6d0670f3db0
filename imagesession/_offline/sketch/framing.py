"""
Frame plans: put a subject into the frame of a preset, and vary it from take to take.
"""

import attrs

from imagesession._offline.sketch import lexicon, naming
from imagesession._offline.sketch.briefs import Brief, Frame, Kind
from imagesession._offline.sketch.colour import Change, Colour, distance, light, rgb
from imagesession._offline.sketch.plan import Angle, Item, Layout, Lighting, Plan, Time
from imagesession._offline.sketch.symbols import TABLE

WHITE = rgb("#ffffff")

_LAYOUTS: dict[Kind, Layout] = {
    "product": "product", "icon": "icon", "illustration": "scene", "background": "scene",
    "hero": "hero", "button": "button",
}  # fmt: skip
_ANGLES: tuple[Angle, ...] = ("front", "side", "three-quarter", "top")
_LIGHTINGS: tuple[Lighting, ...] = ("studio", "natural", "dramatic", "soft")
_STYLES = {"flat": "flat", "3d": "3d", "outline": "outline", "filled": "flat"}
_THEMES: dict[str, tuple[Change, ...]] = {
    "classic": (Change(kind="saturate", amount=0.6), Change(kind="bright", amount=-0.05)),
    "playful": (Change(kind="saturate", amount=1.3), Change(kind="bright", amount=0.04)),
}
_CORNERS = {"modern": 0.3, "classic": 0.12, "minimal": 0.2, "playful": 0.5}
_SIZES = {"small": 1.14, "standard": 1.0, "large": 0.94}
# Over a page's background, text stays readable.
_CALM = (Change(kind="contrast", amount=0.72), Change(kind="bright", amount=0.16))

_STEP = 104_729  # takes of one prompt never share a scheme: it is odd
_FLIPPED = (False, True, True, False)
_ZOOMS = (1.0, 0.9, 1.1, 0.96)
_ROUND = (0.3, 0.5, 0.14, 0.4)
_SHIFTS = ((0.0, 0.0), (-0.05, 0.01), (0.04, 0.02), (0.07, -0.01))
_TIMES: tuple[Time | None, ...] = (None, "dawn", "sunset", "day")
_TONES: tuple[tuple[Change, ...], ...] = (
    (), (Change(kind="warm", amount=0.9),), (Change(kind="warm", amount=-0.9),),
    (Change(kind="saturate", amount=1.25), Change(kind="bright", amount=0.06)),
)  # fmt: skip
_OUTDOORS = frozenset({"land", "meadow", "road", "water", "air", "sky"})


def dressed(plan: Plan, brief: Brief, frame: Frame) -> Plan:
    """
    Put what a description names into the frame of a preset.
    """
    choices = frame.choices
    style = _STYLES.get(choices.get("style_preset", ""), "3d" if frame.kind == "product" else "")
    minimal = ("minimal",) if choices.get("theme") == "minimal" else ()
    layout = _LAYOUTS[frame.kind]
    if frame.kind == "background" and not plan.items:
        layout = "pattern"
    framed = attrs.evolve(
        plan, layout=layout, framed=True, shape=frame.shape, clear=plan.clear or frame.clear,
        styles=(*plan.styles, *(s for s in (style, *minimal) if s and s not in plan.styles)),
        look=_THEMES.get(choices.get("theme", ""), ()),
        zoom=_SIZES.get(choices.get("size_preset", ""), 1.0),
    )  # fmt: skip
    match frame.kind:
        case "product":
            return _photographed(framed, choices.get("background_type", ""), frame)
        case "button":
            corner = _CORNERS.get(choices.get("theme", ""), 0.3)
            return _labelled(attrs.evolve(framed, zoom=1.0), brief, corner)
        case "background":
            return attrs.evolve(framed, look=framed.look + _CALM)
        case _:
            return framed


def _photographed(plan: Plan, ground: str, frame: Frame) -> Plan:
    angle, light = frame.choices.get("angle", ""), frame.choices.get("lighting", "")
    return attrs.evolve(
        plan, ground=WHITE if ground == "white" else plan.ground, lived_in=ground == "lifestyle",
        angle=next((name for name in _ANGLES if name == angle), "front"),
        lighting=next((name for name in _LIGHTINGS if name == light), "studio"),
    )  # fmt: skip


def _labelled(plan: Plan, brief: Brief, corner: float) -> Plan:
    # What is quoted is to be read: "Book now" asks for no book.
    items = naming.find(lexicon.QUOTED.sub(" ", brief.subject.lower())).items
    if all(item.name != "button" for item in items):
        items = (Item(name="button"), *items)
    return attrs.evolve(plan, items=items, corner=corner, label=naming.label(brief.subject))


def reframed(before: Plan, fresh: Plan) -> Plan:
    """
    Show the subject of a whole new frame, in the style and the colours of the picture so far.
    """
    items = tuple(_coloured_as(before, item, fresh, first=i == 0)
                  for i, item in enumerate(fresh.items))  # fmt: skip
    kept = tuple(s for s in before.styles if s not in {*_STYLES.values(), "minimal"})
    # A tile's colour is no sky's.
    plain = before.layout in {"product", "icon", "button"} and before.layout != fresh.layout
    plain = plain or (before.layout == "product" and before.ground == WHITE)
    own = any(item.colour for item in fresh.items) or fresh.colours
    after = attrs.evolve(
        fresh, items=items, seed=before.seed or fresh.seed, palette=before.palette,
        styles=fresh.styles + tuple(s for s in kept if s not in fresh.styles),
        colours=fresh.colours if own else before.colours,
        accent=fresh.accent or before.accent,
        ground=fresh.ground or (None if plain or fresh.clear else before.ground),
        changes=before.changes + fresh.changes, blur=before.blur,
    )  # fmt: skip
    # The same order once more is for another picture of the same.
    return taken(after, 2) if after == before else after


def _coloured_as(before: Plan, item: Item, fresh: Plan, *, first: bool) -> Item:
    if item.colour:
        return item
    for known in before.everything:
        if known.name == item.name:
            return attrs.evolve(item, colour=known.colour, accent=item.accent or known.accent)
    if not first or fresh.layout == "product" or not before.items or fresh.colours:
        return item
    # The assets of one set share their colours.
    lead = before.items[0]
    return attrs.evolve(item, colour=lead.colour, accent=item.accent or lead.accent)


def taken(plan: Plan, number: int) -> Plan:
    """
    Vary what a prompt leaves open; the first take leaves all as it is.
    """
    if number < 2:
        return plan
    i = (number - 1) % 4
    x, y = plan.shift
    dx, dy = _SHIFTS[i]
    after = attrs.evolve(
        plan, seed=(plan.seed + (number - 1) * _STEP) & 0x7FFFFFFF, shift=(x + dx, y + dy),
        mirrored=plan.mirrored != _FLIPPED[i], zoom=plan.zoom * _ZOOMS[i],
    )  # fmt: skip
    if plan.layout == "product":
        return _repainted(after)
    if plan.layout in {"icon", "button"}:
        # A sign stays in the middle of its frame.
        centred = attrs.evolve(after, shift=plan.shift, zoom=plan.zoom)
        return _tiled(centred) if plan.layout == "icon" else attrs.evolve(
            centred, corner=_ROUND[i])  # fmt: skip
    if plan.layout not in {"scene", "hero"}:
        return after
    places = {TABLE[item.name].place for item in plan.everything[:1]}
    unlit = plan.time is None and not plan.weather and plan.ground is None
    if places & _OUTDOORS and unlit:
        return attrs.evolve(after, time=_TIMES[i])
    # A picture that is given names nothing; its tones are what can be varied.
    given = not places and not plan.keyword
    return attrs.evolve(after, changes=after.changes + _TONES[i]) if given else after


def _tiled(plan: Plan) -> Plan:
    # The tile's colour is open; of the scheme's, the one on which the sign stands out most.
    if plan.ground or not plan.items:
        return plan
    lead, scheme = plan.items[0], plan.scheme
    sign = lead.colour or (plan.colours[0] if plan.colours else TABLE[lead.name].colour)
    inks = (scheme.main, scheme.second, scheme.accent, light(scheme.main, 0.7))
    return attrs.evolve(plan, ground=max(inks, key=lambda ink: distance(ink, sign)))


def _repainted(plan: Plan) -> Plan:
    # Colours that were not named are open; the accent's, such as a band around a cup, is first.
    if not plan.items:
        return plan
    lead, scheme = plan.items[0], plan.scheme
    inks: list[Colour] = [scheme.accent, scheme.second, scheme.main]
    colour = lead.colour or (None if plan.colours else scheme.main)
    accent = lead.accent or next(ink for ink in inks if ink != colour)
    item = attrs.evolve(lead, colour=colour, accent=accent)
    return attrs.evolve(plan, items=(item, *plan.items[1:]))
