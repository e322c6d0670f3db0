"""
Draw buttons: a wide shape with words and a sign.
"""

from imagesession._fake_openai.sketch import symbols
from imagesession._fake_openai.sketch.canvas import Pen, down
from imagesession._fake_openai.sketch.colour import Colour, dark, light, luminance, rgb
from imagesession._fake_openai.sketch.lettering import letter, text_width
from imagesession._fake_openai.sketch.plan import Plan
from imagesession._fake_openai.sketch.staging import ground_of, put
from imagesession._fake_openai.sketch.symbols import shades

_WIDE = 0.92  # share of the frame's width
_TALL = 0.66  # share of the frame's height, at most
_LONG = 3.1  # how many times as long as tall, at least
_EDGE = 0.055  # of the height: the darker rim below


def button(plan: Plan, pen: Pen, w: float, h: float) -> None:
    """Draw a button nearly as wide as the frame."""
    with pen.role("ground"):
        pen.rect(0, 0, w, h, ground_of(plan))
    wide = w * _WIDE * min(1.0, plan.zoom)
    tall = min(h * _TALL, wide / _LONG)
    x, y = w / 2 + plan.shift[0] * (w - wide), h / 2 + plan.shift[1] * (h - tall)
    fill = _fill(plan)
    left, top, radius = x - wide / 2, y - tall / 2, tall * plan.corner
    pen.rect(left, top + tall * _EDGE, wide, tall, dark(fill, 0.34), radius=radius)
    flat = not {"flat", "minimal"}.isdisjoint(plan.styles)
    face = fill if flat else down(top, tall, light(fill, 0.22), fill)
    pen.rect(left, top, wide, tall, face, radius=radius)
    _inscribe(plan, pen, (x, y, wide, tall), fill)


def _fill(plan: Plan) -> Colour:
    named = next((item.colour for item in plan.items if item.name == "button"), None)
    if named or plan.colours:
        return named or plan.colours[0]
    # A sign beside the words stays readable in the button's own colour.
    lead = next((item.colour for item in plan.items if item.colour), None)
    return lead or plan.accent or plan.scheme.main


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
