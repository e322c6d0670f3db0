"""
Write a drawing as an SVG document, and render it with resvg.
"""

import base64
import io
import math
import re
from typing import TypeAlias
from xml.sax.saxutils import escape

import resvg_py
from PIL import Image

from imagesession._fake_openai.sketch import lettering, path
from imagesession._fake_openai.sketch.canvas import Drawing, Linear, Mark, Paint, Radial
from imagesession._fake_openai.sketch.colour import hexed
from imagesession._imaging.pillow import resize

# The factors by which light, land, land behind subjects, and weather are rendered smaller.
_SOFT, _LAND, _BEHIND, _VEIL = 6, 1.5, 2.4, 3
_SMALL = 480  # pixels of the short side, from which on this saves time
_BILINEAR = Image.Resampling.BILINEAR
# XML has no control characters and no lone surrogates.
_NOT_XML = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

Box: TypeAlias = tuple[int, int, int, int]


def _paint(ink: Paint | None, defs: dict[tuple[str, str], str]) -> str:
    # Each gradient is defined once.
    if ink is None or isinstance(ink, tuple):
        return hexed(ink) if ink else "none"
    if isinstance(ink, Linear):
        tag, ((a, b), (c, d)) = "linearGradient", (ink.start, ink.end)
        where = f'x1="{_n(a)}" y1="{_n(b)}" x2="{_n(c)}" y2="{_n(d)}"'
    else:
        tag, (x, y), k = "radialGradient", ink.centre, ink.squash
        where = f'cx="{_n(x)}" cy="{_n(y)}" r="{_n(ink.radius)}"'
        where += f' gradientTransform="matrix(1 0 0 {_n(k, 4)} 0 {_n(y * (1 - k))})"'
    stops = "".join(
        f'<stop offset="{_n(s.offset)}" stop-color="{hexed(s.colour)}" '
        f'stop-opacity="{_n(s.alpha, 3)}"/>' for s in ink.stops
    )  # fmt: skip
    return f"url(#{defs.setdefault((tag, f'{where}>{stops}'), f'd{len(defs)}')})"


def _shape(mark: Mark, defs: dict[tuple[str, str], str]) -> str:
    end = "Z" if mark.closed else ""
    data = "".join(_contour(contour) + end for contour in mark.contours)
    parts = [f'd="{data}" fill="{_paint(mark.fill, defs)}"']
    if mark.stroke is not None and mark.width > 0:
        parts.append(f'stroke="{hexed(mark.stroke)}" stroke-width="{_n(mark.width)}"')
    if mark.alpha < 1:
        parts += [f'{name}-opacity="{_n(mark.alpha, 3)}"' for name in ("fill", "stroke")]
    if mark.holes:
        parts.append('fill-rule="evenodd"')
    return f"<path {' '.join(parts)}/>"


def _contour(contour: path.Contour) -> str:
    out = [f"M{_n(contour[0][0])} {_n(contour[0][1])}"]
    out += [("L" if len(seg) == 2 else "C") + " ".join(map(_n, seg)) for seg in contour[1:]]
    return "".join(out)


def _text(mark: Mark) -> str:
    (x, y), ink = mark.contours[0][0], hexed(mark.colour)
    long = f' textLength="{_n(mark.length)}"' if len(mark.text) > 1 else ""
    return (
        f'<text x="{_n(x)}" y="{_n(y + mark.size * 0.35)}" font-size="{_n(mark.size)}" '
        f'font-family="Aileron, Helvetica, Arial, sans-serif" text-anchor="middle"{long} '
        f'fill="{ink}" stroke="{ink}" stroke-width="{_n(mark.bold * mark.size * 2)}" '
        f'opacity="{_n(mark.alpha)}">{_safe(mark.text)}</text>'
    )


def document(drawing: Drawing, size: tuple[int, int], *, metadata: str, title: str,
             transparent: bool, film: str = "") -> bytes:  # fmt: skip
    """Write the document that people get; `film` is the body of a filter on the whole image."""
    about = _about(metadata, title)
    text = _write_svg(drawing, size, drawing.marks, about, paper=not transparent, film=film)
    return text.encode("utf-8", "replace")


def _about(metadata: str, title: str) -> str:
    return f"<title>{_safe(title)}</title>\n<metadata>{_safe(metadata)}</metadata>\n"


def embedding(png: bytes, size: tuple[int, int], *, metadata: str, title: str) -> bytes:
    data = base64.b64encode(png).decode("ascii")
    w, h = size
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}">\n'
        f"{_about(metadata, title)}"
        f'<image width="{w}" height="{h}" href="data:image/png;base64,{data}"/>\n</svg>\n'
    ).encode("utf-8", "replace")


def pixels(drawing: Drawing, size: tuple[int, int], *, transparent: bool = False) -> Image.Image:
    """Render a drawing at a size in pixels, as RGB, or as RGBA without paper."""
    if transparent or min(size) < _SMALL:
        image = _render(drawing, size, drawing.marks, paper=not transparent)
        return image if transparent else image.convert("RGB")
    # Painting gradients takes most of the time, so light and weather are rendered smaller and
    # enlarged, and so is the land: behind a subject, soft edges are not noticed.
    soft, land, last = _split(drawing)
    alone = land == last and not drawing.loose
    small = size if land == soft else _reduce(size, _LAND if alone else _BEHIND)
    light = _render(drawing, _reduce(size, _SOFT), drawing.marks[:soft], paper=True)
    image = resize(light.convert("RGB"), small, _BILINEAR)
    _add_layer(image, drawing, drawing.marks[soft:land])
    if small != size:
        image = resize(image, size, Image.Resampling.BICUBIC if alone else _BILINEAR)
    _add_layer(image, drawing, drawing.marks[land:last])
    if last < len(drawing.marks):
        veil = _render(drawing, _reduce(size, _VEIL), drawing.marks[last:], paper=False)
        veil = resize(veil, size, _BILINEAR)
        image.paste(veil, (0, 0), veil)
    return image


def _add_layer(image: Image.Image, drawing: Drawing, marks: tuple[Mark, ...]) -> None:
    # Only the box around the marks is rendered.
    box = _box(marks, drawing, image.size)
    if box[2] > box[0] and box[3] > box[1]:
        layer = _render(drawing, image.size, marks, paper=False, box=box)
        image.paste(layer, box[:2], layer)


def _box(marks: tuple[Mark, ...], drawing: Drawing, size: tuple[int, int]) -> Box:
    # The pixels that marks may touch.
    segments = [seg for mark in marks if mark.alpha > 0 for seg in _outline(mark)]
    if not segments:
        return (0, 0, 0, 0)
    xs, ys = [x for seg in segments for x in seg[::2]], [y for seg in segments for y in seg[1::2]]
    k, m = size[0] / drawing.width, size[1] / drawing.height
    pad = max(mark.width for mark in marks) * k + 2
    return (
        max(0, int(min(xs) * k - pad)), max(0, int(min(ys) * m - pad)),
        min(size[0], int(max(xs) * k + pad) + 1), min(size[1], int(max(ys) * m + pad) + 1),
    )  # fmt: skip


def _outline(mark: Mark) -> list[path.Segment]:
    if not mark.text:
        return [seg for contour in mark.contours for seg in contour]
    (x, y), wide = mark.contours[0][0], mark.length / 2 + mark.size * 0.2
    return [(x - wide, y - mark.size), (x + wide, y + mark.size)]


def _reduce(size: tuple[int, int], k: float) -> tuple[int, int]:
    return (math.ceil(size[0] / k), math.ceil(size[1] / k))


def _split(drawing: Drawing) -> tuple[int, int, int]:
    # The indices of the first marks of the land, of the subjects, and of the weather.
    marks = drawing.marks
    soft, last = _count_soft_marks(drawing), len(marks)
    while last > soft and marks[last - 1].role == "weather":
        last -= 1
    sharp = {"subject", "lettering"} if not drawing.loose else set[str]()
    land = next((i for i in range(soft, last) if marks[i].role in sharp), last)
    # A subject's details may come before the rest of it.
    while soft < land < last and marks[land - 1].role == "detail" and not marks[land - 1].back:
        land -= 1
    return soft, land, last


def _render(drawing: Drawing, size: tuple[int, int], marks: tuple[Mark, ...], *, paper: bool,
              box: Box | None = None) -> Image.Image:  # fmt: skip
    plain = all(mark.text.isascii() for mark in marks)
    data = resvg_py.svg_to_bytes(
        svg_string=_write_svg(drawing, size, marks, "", paper=paper, box=box),
        # Loading the machine's fonts takes time, and ASCII does not need them.
        skip_system_fonts=plain, font_files=[lettering.font_file()],
    )  # fmt: skip
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def _write_svg(
    drawing: Drawing, size: tuple[int, int], marks: tuple[Mark, ...], about: str, *, paper: bool,
    film: str = "", box: Box | None = None,
) -> str:  # fmt: skip
    found: dict[tuple[str, str], str] = {}
    body = "\n".join(
        _text(mark) if mark.text else _shape(mark, found) for mark in marks if mark.alpha > 0
    )
    defs = "".join(
        f'<{tag} id="{name}" gradientUnits="userSpaceOnUse" {gradient}</{tag}>'
        for (tag, gradient), name in found.items()
    )
    if film:
        defs += f'<filter id="film" x="0" y="0" width="1" height="1">{film}</filter>'
    w, h = _n(drawing.width), _n(drawing.height)
    ground = f'<rect width="{w}" height="{h}" fill="{hexed(drawing.paper)}"/>\n' if paper else ""
    wrap = ' filter="url(#film)"' if film else ""
    left, top, right, bottom = box or (0, 0, *size)
    k, m = drawing.width / size[0], drawing.height / size[1]
    part = (left * k, top * m, (right - left) * k, (bottom - top) * m)
    view = " ".join(_n(value, 4) for value in part)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{right - left}" height="{bottom - top}" '
        f'viewBox="{view}" preserveAspectRatio="none">\n{about}<defs>{defs}</defs>\n'
        f'<g stroke-linecap="round" stroke-linejoin="round"{wrap}>\n{ground}{body}\n</g>\n</svg>\n'
    )


def _count_soft_marks(drawing: Drawing) -> int:
    # The number of leading marks without visible edges.
    count = 0
    for mark in drawing.marks:
        if mark.text or mark.stroke or len(mark.contours) != 1:
            break
        x1, y1, x2, y2 = path.bounds(mark.contours)
        covers = x1 <= 0 and y1 <= 0 and x2 >= drawing.width and y2 >= drawing.height
        lit = mark.role == "glow" and (mark.alpha < 0.2 or isinstance(mark.fill, (Linear, Radial)))
        if not (covers and len(mark.contours[0]) == 4) and not lit:
            break
        count += 1
    return count


def _safe(text: str) -> str:
    return escape(_NOT_XML.sub("", text))


def _n(value: float, digits: int = 2) -> str:
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text
