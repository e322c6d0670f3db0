"""
Posters, for prompts without a known subject: their words on a composition of shapes.
"""

from imagesession._fake_openai.sketch import symbols
from imagesession._fake_openai.sketch.canvas import Linear, Pen, down, fade
from imagesession._fake_openai.sketch.colour import Colour, dark, light, luminance, mix
from imagesession._fake_openai.sketch.lettering import fitting, letter, lines
from imagesession._fake_openai.sketch.plan import Plan
from imagesession._fake_openai.sketch.staging import NIGHT, is_dark
from imagesession._fake_openai.sketch.symbols import Palette

_WIDE = 3000  # how wide those compositions are that go from side to side


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
    """Draw a composition that depends on the words, and letter the words below it."""
    base = plan.ground or (NIGHT if is_dark(plan) else light(colours(plan)[0], 0.84))
    inks = zip(("base", "main", "second", "accent", "ink"), (base, *colours(plan)), strict=True)
    pieces = symbols.variants("posters")
    name = pieces[plan.seed // 8 % len(pieces)]
    wide = _WIDE if "waves" in name else 1000
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
    rows = (
        [title.upper()]
        if short
        else lines(title[:1].upper() + title[1:], round(22 * max(1, w / h)))
    )
    size = min(fitting(row, 74.0, 0.84 * w / (1.16 if short else 1.0)) for row in rows)
    size = min(size, 190 / len(rows))
    top = h - 128 - (len(rows) - 1) * size * 0.58
    for i, row in enumerate(rows):
        letter(pen, row, w / 2, top + i * size * 1.16, size, ink,
               tracking=size * (0.12 if short else 0.015), bold=0.006)  # fmt: skip
    pen.rect(w / 2 - 34, h - 44, 68, 6, colours(plan)[2], radius=3)


def ground(plan: Plan, pen: Pen, w: float, h: float, *, calm: bool = False) -> None:
    """Draw a ground for a sign: circles around the middle, or nothing if it is to be calm."""
    a = colours(plan)[0]
    base = plan.ground or (light(plan.scheme.ground, 0.2) if calm else light(a, 0.78))
    pen.rect(0, 0, w, h, Linear((0, 0), (w, h), fade(light(base, 0.3), base)))
    if calm:
        return
    for share, r in ((0.62, 470), (0.5, 380)):
        pen.ellipse(w / 2, h / 2, r, r, mix(base, light(a, 0.45), 1 - share))
