"""
Draw the SVG on standard input, and write it to standard output as PNG.

`svg.py` runs this as a program and says why. It loads nothing else of this package, so that it is
ready within some 30 ms.
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
MEMORY = 1_500_000_000
# A picture within the document itself. Whatever else is named is a file, another machine, or a
# document of its own.
_EMBEDDED = re.compile(r"\s*data:image/(png|jpe?g|webp|gif);base64,[\w+/=\s]*", re.ASCII)


def main(edge: int) -> None:
    """
    Draw a document so that its longer edge has so many pixels.
    """
    _limit_memory()
    try:
        root = self_contained(sys.stdin.buffer.read())
        sys.stdout.buffer.write(_drawn(root, edge))
    except DTDForbidden:
        sys.exit("it has a DOCTYPE, which can name files and other machines")
    # An encoding that Python does not know, or cannot use, fails in ways of its own.
    except (ParseError, ValueError, LookupError, TypeError, RecursionError) as error:
        sys.exit(str(error))


def self_contained(data: bytes) -> Element:
    """
    Read a document, and take out what refers to anything outside of it.

    resvg opens every file that an `href` names, so none is left that does.
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
        # Of one side alone resvg makes nothing, and the box says both.
        root.attrib.pop("width", None)
        root.attrib.pop("height", None)
    return root


def _drawn(root: Element, edge: int) -> bytes:
    document = tostring(root, encoding="unicode")
    if root.find(f".//{SVG}text") is None:
        return resvg_py.svg_to_bytes(document, width=edge, height=edge, skip_system_fonts=True)
    with _own_font() as font:
        return resvg_py.svg_to_bytes(
            document,
            width=edge,
            height=edge,
            font_files=[font],
            # What is asked for by its kind alone, or is not installed, looks the same everywhere.
            serif_family="Aileron",
            sans_serif_family="Aileron",
            monospace_family="Aileron",
        )


@contextlib.contextmanager
def _own_font() -> Generator[str]:
    """
    Write Pillow's typeface to a file, for machines that have none.
    """
    from PIL import ImageFont  # noqa: PLC0415 - slow to import, and few drawings have words

    font = cast("Any", ImageFont.load_default(16))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "aileron.otf")
        file.write_bytes(font.path.getvalue())
        yield str(file)


def _limit_memory() -> None:
    # Windows has no such limit, and some systems refuse it.
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415 - as above

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(int(sys.argv[1]))
