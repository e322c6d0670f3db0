"""
Signs: logos and icons, which are one mark on a plain ground.
"""

from imagesession._fake_openai.sketch import path
from imagesession._fake_openai.sketch.canvas import Linear, Pen, Stop
from imagesession._fake_openai.sketch.colour import (
    Colour,
    dark,
    distance,
    light,
    luminance,
    mix,
    rgb,
)
from imagesession._fake_openai.sketch.lettering import letter as set_line
from imagesession._fake_openai.sketch.lettering import text_width
from imagesession._fake_openai.sketch.plan import Item, Plan
from imagesession._fake_openai.sketch.staging import ground_of, is_dark, put, tone_of
from imagesession._fake_openai.sketch.symbols import TABLE, Palette, shades


def logo(plan: Plan, pen: Pen, w: float, h: float) -> None:
    """Draw a mark on a plain ground, with its lettering below it or beside it."""
    ground = ground_of(plan)
    with pen.role("ground"):
        pen.rect(0, 0, w, h, ground)
    wide = w / h > 1.3
    word = plan.lettering
    if not word and wide:
        # A wide mark needs a word beside it.
        word = plan.items[0].name if plan.items else plan.keyword
    minimal = plan.styles.count("minimal")
    full = 660 if wide else 500 if word else 600
    size = min(full, w * (0.4 if wide else 0.62)) * plan.zoom * 0.86 ** max(0, minimal - 1)
    letter = 96.0
    length = _line(word, letter) if word else 0.0
    if word and wide:
        gap = 70.0
        letter = min(letter * 1.9, letter * (w * 0.86 - size - gap) / max(1.0, length))
        length = _line(word, letter)
        left = (w - size - gap - length) / 2
        x, y = left + size / 2, h / 2
        at = (left + size + gap + length / 2, h / 2)
    else:
        letter = min(letter, letter * w * 0.8 / max(1.0, length))
        x, y = w / 2, h * (0.42 if word else 0.5)
        at = (w / 2, y + size * 0.5 + 130)
    x += plan.shift[0] * w
    y += plan.shift[1] * h
    _mark(plan, pen, x, y, size, ground)
    if word:
        ink = plan.scheme.ink if luminance(ground) > 120 else rgb("#f6f1e6")
        _wordmark(plan, pen, word, at, letter, ink)


def _logo_tone(item: Item, plan: Plan, ground: Colour) -> Palette:
    # A mark has few colours: its own, a second, and their shades.
    s = plan.scheme
    main = item.colour or (plan.colours[0] if plan.colours else s.main)
    if distance(main, ground) < 70:
        main = light(main, 0.55) if luminance(ground) < 120 else dark(main, 0.4)
    accent = plan.accent or item.accent or (plan.colours[1] if len(plan.colours) > 1 else s.accent)
    if plan.styles.count("minimal") > 1 and not plan.accent:
        accent = light(main, 0.5)
    # Shaded parts must stand out from a dark ground.
    shade = dark(main, 0.16 if luminance(ground) < 90 else 0.32)
    return shades(main, accent, dark=shade, paper=ground)


def _line(word: str, letter: float) -> float:
    return text_width(_capitalise(word), letter, letter * 0.08)


def _capitalise(word: str) -> str:
    return word if any(ch.isupper() for ch in word) else word.title()


def _wordmark(plan: Plan, pen: Pen, word: str, at: tuple[float, float], letter: float,
              ink: Colour) -> None:  # fmt: skip
    with pen.role("lettering"):
        set_line(
            pen, _capitalise(word), at[0], at[1], letter, ink, tracking=letter * 0.08, bold=0.014
        )
        if plan.accent or "minimal" not in plan.styles:
            line = plan.accent or plan.scheme.accent
            pen.rect(at[0] - 45, at[1] + letter * 0.62, 90, 7, line, radius=3.5)


def _mark(plan: Plan, pen: Pen, x: float, y: float, size: float, ground: Colour) -> None:
    if not plan.items:
        tone = _logo_tone(Item(name="star"), plan, ground)
        pen.ellipse(x, y, size * 0.42, size * 0.42, tone["main"])
        _initial(plan, pen, (x, y), size * 0.4, tone["main"])
    every = plan.everything[:5]
    above = next((i for i in every[1:] if TABLE[i.name].place == "sky"), None)
    if above:
        # A sky subject is above the mark, which is smaller then.
        y, size = y + size * 0.12, size * 0.86
    corners = [(0.52, -0.4), (-0.52, -0.4), (0.56, 0.34), (-0.56, 0.34)]
    for i, item in enumerate(every):
        tone = _logo_tone(item, plan, ground)
        if i == 0:
            put(pen, item, tone, x, y + size * 0.45, size * 0.98, plan=plan,
                flip=plan.mirrored)  # fmt: skip
        else:
            dx, dy = (0.0, -0.58) if item is above else corners.pop(0)
            if not item.colour:
                ink = plan.accent or TABLE[item.name].colour
                near = distance(ink, ground) < 110 and luminance(ground) > 120
                tone = shades(mix(ink, plan.scheme.accent, 0.8) if near else ink, tone["accent"])
            put(pen, item, tone, x + dx * size, y + dy * size + size * 0.16, size * 0.34,
                plan=plan)  # fmt: skip


def icon(plan: Plan, pen: Pen, w: float, h: float) -> None:
    """Draw a sign on a tile with round corners."""
    ground = plan.ground or (rgb("#12151d") if is_dark(plan) else light(plan.scheme.main, 0.86))
    flat = "flat" in plan.styles or "minimal" in plan.styles or "outline" in plan.styles
    first = plan.items[0] if plan.items else None
    tile = plan.accent or plan.scheme.main
    own = (first.colour if first else None) or (plan.colours[0] if plan.colours else None)
    x, y, r = w / 2 + plan.shift[0] * w, h / 2 + plan.shift[1] * h, 350.0 * min(1.3, plan.zoom)
    if own:
        # The named colour is the sign's, so the tile is pale or dark.
        tile = light(own, 0.8) if luminance(own) < 170 else dark(own, 0.72)
    signs = [TABLE[item.name].place == "plain" for item in plan.items]
    if first and not own and not signs[0]:
        tile = light(TABLE[first.name].accent, 0.55) if not is_dark(plan) else dark(tile, 0.45)
    if plan.ground:
        # A named ground is the tile's.
        tile, ground = plan.ground, light(plan.ground, 0.86)
    with pen.role("ground"):
        pen.rect(0, 0, w, h, ground)
    if not flat:
        with pen.role("shadow"):
            for k in (20, 14, 8, 2):
                pen.rect(x - r * 0.93 - k, y - r * 0.8 - k, r * 1.86 + 2 * k, r * 1.86 + 2 * k,
                         dark(tile, 0.6), radius=r * 0.42 + k, alpha=0.06)  # fmt: skip
    ink = tile if flat else Linear((x - r, y - r), (x + r, y + r), (
        Stop(0, light(tile, 0.24)), Stop(1, dark(tile, 0.12))))  # fmt: skip
    pen.shape([path.rectangle(x - r, y - r, 2 * r, 2 * r, r * 0.44)], ink)
    if not plan.items:
        _initial(plan, pen, (x, y), r, tile)
    for i, item in enumerate(plan.everything[:4]):
        tone = tone_of(item, plan, tile)
        if TABLE[item.name].place == "plain" and not own:
            white = rgb("#fffdf8")
            accent = plan.scheme.accent if distance(plan.scheme.accent, tile) > 90 else white
            tone = shades(white, accent, light=light(tile, 0.62), dark=light(tile, 0.78),
                          pale=light(tile, 0.3), ink=dark(tile, 0.45), paper=tile)  # fmt: skip
        s = r * (1.16 if i == 0 else 0.46)
        dx = 0 if i == 0 else r * (0.62 if i % 2 else -0.62)
        dy = 0 if i == 0 else -r * 0.5
        put(pen, item, tone, x + dx, y + dy + s * 0.43, s, plan=plan, flip=plan.mirrored)


def _initial(plan: Plan, pen: Pen, at: tuple[float, float], r: float, tile: Colour) -> None:
    # A sign without a known subject has the prompt's first letter.
    letter = (plan.lettering or plan.keyword)[:1].upper()
    ink = light(tile, 0.92) if luminance(tile) < 165 else dark(tile, 0.72)
    set_line(pen, letter or "?", at[0], at[1], r * 1.1, ink, bold=0.02)
