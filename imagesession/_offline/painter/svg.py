"""
Render a drawing as SVG: real shapes and gradients, no bitmap.
"""

import base64
from xml.sax.saxutils import escape, quoteattr

from imagesession._offline.painter.colour import hexed
from imagesession._offline.painter.drawing import Drawing, Linear, Mark, Paint, Radial, Shape, Text
from imagesession._offline.painter.path import Contour
from imagesession._offline.painter.raster import text_width


class _Definitions:
    """
    Collect gradients and filters, each once.
    """

    def __init__(self) -> None:
        self.lines: dict[str, str] = {}

    def paint(self, ink: Paint) -> str:
        if isinstance(ink, tuple):
            return hexed(ink)
        stops = "".join(_stop(s.offset, hexed(s.colour), s.alpha) for s in ink.stops)
        match ink:
            case Linear():
                (a, b), (c, d) = ink.start, ink.end
                place = f'x1="{_n(a)}" y1="{_n(b)}" x2="{_n(c)}" y2="{_n(d)}"'
                head = f'linearGradient gradientUnits="userSpaceOnUse" {place}'
            case Radial():
                x, y = ink.centre
                place = f'cx="{_n(x)}" cy="{_n(y)}" r="{_n(ink.radius)}"'
                head = f'radialGradient gradientUnits="userSpaceOnUse" {place}'
        return f"url(#{self._entered(head, stops)})"

    def blur(self, radius: float) -> str:
        body = f'<feGaussianBlur stdDeviation="{_n(radius)}"/>'
        head = 'filter x="-50%" y="-50%" width="200%" height="200%"'
        return f"url(#{self._entered(head, body)})"

    def _entered(self, head: str, body: str) -> str:
        key = f"{head}>{body}"
        if key not in self.lines:
            name = f"d{len(self.lines)}"
            tag = head.split(" ", 1)[0]
            rest = head[len(tag) :]
            self.lines[key] = f'<{tag} id="{name}"{rest}>{body}</{tag}>'
            return name
        return self.lines[key].split('id="', 1)[1].split('"', 1)[0]


def render(
    drawing: Drawing, size: tuple[int, int], *, metadata: str, title: str, blur: float = 0,
    transparent: bool = False,
) -> bytes:  # fmt: skip
    """
    Write a drawing as an SVG document of a size in pixels.
    """
    defs = _Definitions()
    body = "\n".join(_mark(mark, defs) for mark in drawing.marks if mark.alpha > 0)
    group = f'<g filter="{defs.blur(blur)}">' if blur > 0 else "<g>"
    w, h = _n(drawing.width), _n(drawing.height)
    paper = (
        "" if transparent else f'<rect width="{w}" height="{h}" fill="{hexed(drawing.paper)}"/>\n'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}" '
        f'viewBox="0 0 {w} {h}" preserveAspectRatio="none">\n'
        f"<title>{_safe(title)}</title>\n<metadata>{_safe(metadata)}</metadata>\n"
        f"<defs>{''.join(defs.lines.values())}</defs>\n{group}\n{paper}{body}\n</g>\n</svg>\n"
    ).encode("utf-8", "replace")


def embedding(png: bytes, size: tuple[int, int], *, metadata: str, title: str) -> bytes:
    """
    Write an SVG document around a raster picture.
    """
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}" '
        f'viewBox="0 0 {size[0]} {size[1]}">\n'
        f"<title>{_safe(title)}</title>\n<metadata>{_safe(metadata)}</metadata>\n"
        f'<image width="{size[0]}" height="{size[1]}" href="data:image/png;base64,'
        f'{data}"/>\n</svg>\n'
    ).encode("utf-8", "replace")


def _safe(text: str) -> str:
    # XML has no control characters and no lone surrogates.
    kept = "".join(ch for ch in text if ch in "\n\t" or (ch >= " " and not _outside(ch)))
    return escape(kept)


def _outside(ch: str) -> bool:
    return "\x7f" <= ch <= "\x9f" or "\ud800" <= ch <= "\udfff" or ch in "\ufffe\uffff"


def _stop(offset: float, colour: str, alpha: float) -> str:
    fade = f' stop-opacity="{_n(alpha)}"' if alpha < 1 else ""
    return f'<stop offset="{_n(offset)}" stop-color="{colour}"{fade}/>'


def _mark(mark: Mark, defs: _Definitions) -> str:
    return _text(mark) if isinstance(mark, Text) else _shape(mark, defs)


def _shape(shape: Shape, defs: _Definitions) -> str:
    parts = [f'd="{"".join(_contour(c, closed=shape.closed) for c in shape.contours)}"']
    parts.append(f'fill="{"none" if shape.fill is None else defs.paint(shape.fill)}"')
    if shape.stroke is not None and shape.width > 0:
        parts.append(f'stroke="{hexed(shape.stroke)}" stroke-width="{_n(shape.width)}" '
                     'stroke-linecap="round" stroke-linejoin="round"')  # fmt: skip
    if shape.alpha < 1:
        parts.append(f'opacity="{_n(shape.alpha)}"')
    if shape.holes:
        parts.append('fill-rule="evenodd"')
    if shape.blur:
        parts.append(f'filter="{defs.blur(shape.blur)}"')
    return f"<path {' '.join(parts)}/>"


def _contour(contour: Contour, *, closed: bool) -> str:
    out = [f"M{_n(contour[0][0])} {_n(contour[0][1])}"]
    out += [("L" if len(seg) == 2 else "C") + " ".join(map(_n, seg)) for seg in contour[1:]]
    return "".join(out) + ("Z" if closed else "")


def _text(mark: Text) -> str:
    x, y = mark.at
    width = text_width(mark.text, mark.size, mark.tracking)
    fade = f' opacity="{_n(mark.alpha)}"' if mark.alpha < 1 else ""
    weight = ' font-weight="600"' if mark.bold else ""
    safe = "".join(ch for ch in mark.text if ch.isprintable())
    return (
        f'<text x="{_n(x)}" y="{_n(y + mark.size * 0.35)}" font-size="{_n(mark.size)}" '
        f"font-family={quoteattr('Aileron, Helvetica, Arial, sans-serif')} "
        f'text-anchor="middle" textLength="{_n(width)}" fill="{hexed(mark.fill)}"{weight}{fade}>'
        f"{_safe(safe)}</text>"
    )


def _n(value: float) -> str:
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text
