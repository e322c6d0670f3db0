"""
Render the SVG on standard input, and write it to standard output as PNG.

`svg.py` runs this as a program and says why. It imports nothing else of this package, so it starts
within about 30 ms.
"""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast
from xml.etree.ElementTree import Element, ParseError, tostring

import resvg_py
from defusedxml.common import DTDForbidden
from defusedxml.ElementTree import fromstring

SVG = "{http://www.w3.org/2000/svg}"
MEMORY_BYTES = 1_500_000_000
# An image embedded in the document. Any other reference is a file, another machine or another
# document.
_EMBEDDED = re.compile(r"\s*data:image/(png|jpe?g|webp|gif);base64,[\w+/=\s]*", re.ASCII)


def main(edge: int) -> None:
    _limit_memory()
    try:
        root = self_contained(sys.stdin.buffer.read())
        sys.stdout.buffer.write(_render(root, edge))
    except DTDForbidden:
        sys.exit("it has a DOCTYPE, which can name files and other machines")
    # An unknown or unusable encoding raises LookupError or TypeError.
    except (ParseError, ValueError, LookupError, TypeError, RecursionError) as error:
        sys.exit(str(error))


def self_contained(data: bytes) -> Element:
    """
    Parse a document, and remove every reference to anything outside of it: resvg opens every file
    that an `href` names.
    """
    root: Element = fromstring(data, forbid_dtd=True)
    if root.tag != f"{SVG}svg":
        raise ValueError(f"it does not begin with <svg> in the namespace {SVG[1:-1]}")
    for element in root.iter():
        for name, value in list(element.items()):
            is_href = name.rpartition("}")[2] == "href"
            if is_href and not value.startswith("#") and not _EMBEDDED.fullmatch(value):
                del element.attrib[name]
    if "viewBox" in root.attrib and not {"width", "height"} <= root.attrib.keys():
        # resvg renders nothing if only one side is set; the viewBox has both.
        root.attrib.pop("width", None)
        root.attrib.pop("height", None)
    return root


def _render(root: Element, edge: int) -> bytes:
    document = tostring(root, encoding="unicode")
    if root.find(f".//{SVG}text") is None:
        return resvg_py.svg_to_bytes(document, width=edge, height=edge, skip_system_fonts=True)
    with _bundled_font() as font:
        return resvg_py.svg_to_bytes(
            document,
            width=edge,
            height=edge,
            font_files=[font],
            # Generic families, and fonts that are not installed, look the same everywhere.
            serif_family="Aileron",
            sans_serif_family="Aileron",
            monospace_family="Aileron",
        )


@contextlib.contextmanager
def _bundled_font() -> Generator[str]:
    """
    Write Pillow's font to a file, for machines that have none.
    """
    from PIL import ImageFont  # noqa: PLC0415 - slow to import, and few SVGs have text

    font = cast("Any", ImageFont.load_default(16))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "aileron.otf")
        file.write_bytes(font.path.getvalue())
        yield str(file)


def _limit_memory() -> None:
    # Windows has no such limit, and some systems reject it.
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415 - as above

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(int(sys.argv[1]))
