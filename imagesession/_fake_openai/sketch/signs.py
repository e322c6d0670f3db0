"""
Signs on a plain ground: logos, icons and buttons; and posters, for prompts without a known subject.
"""

import math

from imagesession._fake_openai.sketch import symbols
from imagesession._fake_openai.sketch.canvas import Linear, Pen, down, fade
from imagesession._fake_openai.sketch.colour import Colour, dark, light, luminance, mix, rgb
from imagesession._fake_openai.sketch.lettering import fitting, letter, lines, text_width
from imagesession._fake_openai.sketch.path import Point
from imagesession._fake_openai.sketch.plan import Item, Plan
from imagesession._fake_openai.sketch.staging import NIGHT, ground_of, is_dark, put, tone_of
from imagesession._fake_openai.sketch.symbols import TABLE, Palette, shades

_LARGEST = 96.0  # letters below a logo
_SPACED = 0.08  # of a letter's size
_GAP = 70.0  # between a logo and the word beside it
_CORNERS = ((0.52, -0.4), (-0.52, -0.4), (0.56, 0.34), (-0.56, 0.34))


def logo(plan: Plan, pen: Pen, w: float, h: float) -> None:
    ground, wide = ground_of(plan), w / h > 1.3
    with pen.role("ground"):
        pen.rect(0, 0, w, h, ground)
    # A wide mark needs a word beside it.
    name = plan.items[0].name if plan.items else plan.keyword
    word = plan.lettering or (name if wide else "")
    word = word if any(ch.isupper() for ch in word) else word.title()
    length = max(0.01, text_width(word, 1.0, _SPACED)) if word else 1.0
    full, plainer = 660 if wide else 500 if word else 600, max(0, plan.styles.count("minimal") - 1)
    size = min(full, w * (0.4 if wide else 0.62)) * plan.zoom * 0.86**plainer
    if word and wide:
        tall = min(_LARGEST * 1.9, (w * 0.86 - size - _GAP) / length)
        left = (w - size - _GAP - length * tall) / 2
        x, y = left + size / 2, h / 2
        at = (left + size + _GAP + length * tall / 2, h / 2)
    else:
        tall = min(_LARGEST, w * 0.8 / length)
        x, y = w / 2, h * (0.42 if word else 0.5)
        at = (w / 2, y + size * 0.5 + 130)
    _mark(plan, pen, (x + plan.shift[0] * w, y + plan.shift[1] * h), size, ground)
    if word:
        _wordmark(plan, pen, word, at, tall, ground)


def _wordmark(plan: Plan, pen: Pen, word: str, at: Point, size: float, ground: Colour) -> None:
    ink = plan.scheme.ink if luminance(ground) > 120 else rgb("#f6f1e6")
    with pen.role("lettering"):
        letter(pen, word, *at, size, ink, tracking=size * _SPACED, bold=0.014)
        if plan.accent or "minimal" not in plan.styles:
            line = plan.accent or plan.scheme.accent
            pen.rect(at[0] - 45, at[1] + size * 0.62, 90, 7, line, radius=3.5)


def _mark(plan: Plan, pen: Pen, at: Point, size: float, ground: Colour) -> None:
    (x, y), every, corners = at, plan.everything[:5], list(_CORNERS)
    if not plan.items:
        main = _logo_tone(Item(name="star"), plan, ground)["main"]
        pen.ellipse(x, y, size * 0.42, size * 0.42, main)
        _initial(plan, pen, at, size * 0.4, main)
    above = next((item for item in every[1:] if TABLE[item.name].place == "sky"), None)
    if above:
        # A sky subject is above the mark, which is smaller then.
        y, size = y + size * 0.12, size * 0.86
    for item in every[:1]:
        tone = _logo_tone(item, plan, ground)
        put(pen, item, tone, x, y + size * 0.45, size * 0.98, plan=plan, flip=plan.mirrored)
    for item in every[1:]:
        dx, dy = (0.0, -0.58) if item is above else corners.pop(0)
        tone = _logo_tone(item, plan, ground)
        if not item.colour:
            ink = plan.accent or TABLE[item.name].colour
            near = math.dist(ink, ground) < 110 and luminance(ground) > 120
            tone = shades(mix(ink, plan.scheme.accent, 0.8) if near else ink, tone["accent"])
        put(pen, item, tone, x + dx * size, y + (dy + 0.16) * size, size * 0.34, plan=plan)


def _logo_tone(item: Item, plan: Plan, ground: Colour) -> Palette:
    # A mark has few colours: its own, a second, and their shades.
    own, accents = plan.colours or (plan.scheme.main,), plan.colours[1:] or (plan.scheme.accent,)
    main = item.colour or own[0]
    if math.dist(main, ground) < 70:
        main = light(main, 0.55) if luminance(ground) < 120 else dark(main, 0.4)
    accent = plan.accent or item.accent or accents[0]
    if plan.styles.count("minimal") > 1 and not plan.accent:
        accent = light(main, 0.5)
    # Shaded parts must stand out from a dark ground.
    shade = dark(main, 0.16 if luminance(ground) < 90 else 0.32)
    return shades(main, accent, dark=shade, paper=ground)


def icon(plan: Plan, pen: Pen, w: float, h: float) -> None:
    first = plan.items[0] if plan.items else None
    own = (first and first.colour) or (plan.colours[0] if plan.colours else None)
    tile, ground = _tile(plan, first, own)
    x, y, r = w / 2 + plan.shift[0] * w, h / 2 + plan.shift[1] * h, 350.0 * min(1.3, plan.zoom)
    with pen.role("ground"):
        pen.rect(0, 0, w, h, ground)
    flat = not {"flat", "minimal", "outline"}.isdisjoint(plan.styles)
    with pen.placed(x, y, r / 350):
        symbols.draw(pen, "parts/tile", Palette(tile=tile), ["flat" if flat else "shaded"])
    if not first:
        _initial(plan, pen, (x, y), r, tile)
    for i, item in enumerate(plan.everything[:4]):
        tone = tone_of(item, plan, tile)
        if TABLE[item.name].place == "plain" and not own:
            white, accent = rgb("#fffdf8"), plan.scheme.accent
            tone = shades(white, accent if math.dist(accent, tile) > 90 else white, paper=tile,
                          light=light(tile, 0.62), dark=light(tile, 0.78), pale=light(tile, 0.3),
                          ink=dark(tile, 0.45))  # fmt: skip
        s = r * (0.46 if i else 1.16)
        dx, dy = (r * (0.62 if i % 2 else -0.62), -r * 0.5) if i else (0, 0)
        put(pen, item, tone, x + dx, y + dy + s * 0.43, s, plan=plan, flip=plan.mirrored)


def _tile(plan: Plan, first: Item | None, own: Colour | None) -> tuple[Colour, Colour]:
    # The colours of the tile and of the ground around it.
    if plan.ground:
        return plan.ground, light(plan.ground, 0.86)
    tile = plan.accent or plan.scheme.main
    if own:
        # The named colour is the sign's, so the tile is pale or dark.
        tile = light(own, 0.8) if luminance(own) < 170 else dark(own, 0.72)
    elif first and TABLE[first.name].place != "plain":
        tile = dark(tile, 0.45) if is_dark(plan) else light(TABLE[first.name].accent, 0.55)
    return tile, rgb("#12151d") if is_dark(plan) else light(plan.scheme.main, 0.86)


def _initial(plan: Plan, pen: Pen, at: Point, r: float, tile: Colour) -> None:
    # A sign without a known subject has the prompt's first letter.
    first = (plan.lettering or plan.keyword)[:1].upper()
    ink = light(tile, 0.92) if luminance(tile) < 165 else dark(tile, 0.72)
    letter(pen, first or "?", *at, r * 1.1, ink, bold=0.02)


def button(plan: Plan, pen: Pen, w: float, h: float) -> None:
    with pen.role("ground"):
        pen.rect(0, 0, w, h, ground_of(plan))
    wide = w * 0.92 * min(1.0, plan.zoom)
    tall = min(h * 0.66, wide / 3.1)
    x, y = w / 2 + plan.shift[0] * (w - wide), h / 2 + plan.shift[1] * (h - tall)
    named = (item.colour for item in plan.items if item.name == "button")
    # A sign beside the words stays readable in the button's own colour.
    others = (item.colour for item in plan.items)
    fill = next(filter(None, (*named, *plan.colours, *others, plan.accent)), plan.scheme.main)
    left, top, radius = x - wide / 2, y - tall / 2, tall * plan.corner
    # A darker rim shows below.
    pen.rect(left, top + tall * 0.055, wide, tall, dark(fill, 0.34), radius=radius)
    flat = not {"flat", "minimal"}.isdisjoint(plan.styles)
    face = fill if flat else down(top, tall, light(fill, 0.22), fill)
    pen.rect(left, top, wide, tall, face, radius=radius)
    _inscribe(plan, pen, (x, y, wide, tall), fill)


def _inscribe(plan: Plan, pen: Pen, box: tuple[float, float, float, float], fill: Colour) -> None:
    x, y, wide, tall = box
    ink = rgb("#fffdf8") if luminance(fill) < 165 else dark(fill, 0.8)
    tone = shades(ink, light(fill, 0.45), paper=fill)
    words = plan.lettering or plan.label
    sign = next((item for item in plan.everything if item.name != "button"), None)
    room = wide * 0.84 - (tall * 0.66 if sign and words else 0.0)
    size = min(tall * 0.4, room / max(0.1, text_width(words, 1.0))) if words else 0.0
    length = text_width(words, size) if words else 0.0
    if sign:
        side, gap = tall * (0.5 if words else 0.7), tall * 0.14 if words else 0.0
        start = x - (length + gap + side) / 2
        put(pen, sign, tone, start + side / 2, y + side * 0.43, side, plan=plan)
        x = start + side + gap + length / 2
    if words:
        with pen.role("lettering"):
            letter(pen, words, x, y, size, ink, bold=0.022)
    elif not sign:
        # An arrow, for a button without words and sign.
        with pen.placed(x, y, tall * 0.002):
            symbols.draw(pen, "parts/arrow", tone)


def colours(plan: Plan) -> tuple[Colour, Colour, Colour, Colour]:
    """Choose four colours: the prompt's own first, then the scheme's."""
    s = plan.scheme
    own = [*plan.colours[:3], *([plan.accent] if plan.accent else [])]
    rest = [s.main, s.second, s.accent, s.ink]
    if own and len(own) < 3:
        rest = [dark(own[0], 0.35), light(own[0], 0.4), s.accent, s.ink]
    a, b, c, d = (own + rest)[:4]
    return a, b, c, d


def poster(plan: Plan, pen: Pen, w: float, h: float) -> None:
    base = plan.ground or (NIGHT if is_dark(plan) else light(colours(plan)[0], 0.84))
    inks = zip(("base", "main", "second", "accent", "ink"), (base, *colours(plan)), strict=True)
    pieces = symbols.variants("posters")
    name = pieces[plan.seed // 8 % len(pieces)]
    wide = 3000 if "waves" in name else 1000  # waves go from side to side
    with pen.role("ground"):
        pen.rect(0, 0, w, h, down(0, h, light(base, 0.45), base))
        with pen.placed((w - wide) / 2, (h - 1000) * 0.4):
            symbols.draw(pen, name, Palette(inks))
        pen.rect(0, h * 0.78 + (h - 1000) * 0.09, w, h, base, alpha=0.86)
    _set(plan, pen, w, h, plan.scheme.ink if luminance(base) > 120 else (250, 247, 240))


def _set(plan: Plan, pen: Pen, w: float, h: float, ink: Colour) -> None:
    # Few words are set in spaced capitals, more words in lines of equal length.
    title = plan.poster
    short = len(title) <= 16
    rows = lines(title[:1].upper() + title[1:], round(22 * max(1, w / h)))
    rows = [title.upper()] if short else rows
    size = min(fitting(row, 74.0, 0.84 * w / (1.16 if short else 1.0)) for row in rows)
    size = min(size, 190 / len(rows))
    top = h - 128 - (len(rows) - 1) * size * 0.58
    for i, row in enumerate(rows):
        letter(pen, row, w / 2, top + i * size * 1.16, size, ink,
               tracking=size * (0.12 if short else 0.015), bold=0.006)  # fmt: skip
    pen.rect(w / 2 - 34, h - 44, 68, 6, colours(plan)[2], radius=3)


def backdrop(plan: Plan, pen: Pen, w: float, h: float, *, calm: bool = False) -> None:
    a = colours(plan)[0]
    base = plan.ground or (light(plan.scheme.ground, 0.2) if calm else light(a, 0.78))
    pen.rect(0, 0, w, h, Linear((0, 0), (w, h), fade(light(base, 0.3), base)))
    if calm:
        return
    for share, r in ((0.62, 470), (0.5, 380)):
        pen.ellipse(w / 2, h / 2, r, r, mix(base, light(a, 0.45), 1 - share))
