"""
Render an SVG without trusting it.

A few lines of SVG can name any file, or exhaust memory and time, which makes resvg abort the whole
process. So a separate process renders it, which reads nothing but the document and is killed when
it exceeds its limits.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from imagesession._domain.image_header import parse_header
from imagesession.errors import InvalidImageError

from .limits import check_bytes

MAX_BYTES = 8_000_000
_TIMEOUT_SECONDS = 20
_WORKER = Path(__file__).with_name("svg_worker.py")
_DEFAULT_EDGE, _MAX_EDGE = 1024, 4096


def render_svg(data: bytes, name: str, edge: int) -> bytes:
    """
    Render an SVG as a PNG whose longer edge has `edge` pixels.

    Scripts and animations do not run. No external file, font or image is loaded; the fonts are
    those of the machine, and Pillow's.
    """
    check_bytes(len(data), name, limit=MAX_BYTES)
    # In a frozen program, sys.executable is that program, not a Python interpreter.
    if getattr(sys, "frozen", False):
        raise InvalidImageError(f"{name} is an SVG, which a packed program cannot draw.")
    try:
        result = subprocess.run(  # noqa: S603 - this Python, and a program of our own
            [sys.executable, "-P", str(_WORKER), str(edge)],
            input=data,
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
            # The worker finds the same packages as this process does.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except subprocess.TimeoutExpired as error:
        raise InvalidImageError(
            f"{name} takes more than {_TIMEOUT_SECONDS} seconds to draw."
        ) from error
    except OSError as error:
        raise InvalidImageError(
            f"{name} is an SVG, and no process to draw it can be started: {error}."
        ) from error
    if result.returncode == 1:
        *_, reason = result.stderr.decode("utf-8", "replace").splitlines() or [""]
        raise InvalidImageError(f"{name} is no SVG that can be drawn: {reason}.")
    if result.returncode != 0:
        raise InvalidImageError(f"{name} takes more memory to draw than it may. Make it simpler.")
    return result.stdout


def natural_edge(data: bytes) -> int:
    header = parse_header(data)
    edge = max(header.width, header.height) if header else 0
    return min(edge or _DEFAULT_EDGE, _MAX_EDGE)
