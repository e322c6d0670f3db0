"""
Turn an SVG into pixels, without trusting it.

A few lines of SVG can name any file, and ask for more memory and time than there is, at which
resvg ends the whole process. So it is drawn by a process of its own, which reads nothing but the
document, and is ended when it takes too much.
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
_SECONDS = 20
_WORKER = Path(__file__).with_name("svg_worker.py")
_EDGE, _LONGEST_EDGE = 1024, 4096


def render_svg(data: bytes, name: str, edge: int) -> bytes:
    """
    Draw an SVG.

    Scripts do not run and animations stand still. No file, font or picture that it names outside
    of itself is loaded; fonts are those of the machine, and Pillow's.

    Args:
        data: The document.
        name: What to call it in errors.
        edge: The longer edge of what is drawn, in pixels.

    Returns:
        A PNG.

    Raises:
        InvalidImageError: It is no SVG, or takes too much memory or time.
    """
    check_bytes(len(data), name, limit=MAX_BYTES)
    # Packed into one program, Python would start that program once more.
    if getattr(sys, "frozen", False):
        raise InvalidImageError(f"{name} is an SVG, which a packed program cannot draw.")
    try:
        drawn = subprocess.run(  # noqa: S603 - this Python, and a program of our own
            [sys.executable, "-P", str(_WORKER), str(edge)],
            input=data,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            # It finds the same packages as this process does.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except subprocess.TimeoutExpired as error:
        raise InvalidImageError(f"{name} takes more than {_SECONDS} seconds to draw.") from error
    except OSError as error:
        raise InvalidImageError(
            f"{name} is an SVG, and no process to draw it can be started: {error}."
        ) from error
    if drawn.returncode == 1:
        *_, reason = drawn.stderr.decode("utf-8", "replace").splitlines() or [""]
        raise InvalidImageError(f"{name} is no SVG that can be drawn: {reason}.")
    if drawn.returncode != 0:
        raise InvalidImageError(f"{name} takes more memory to draw than it may. Make it simpler.")
    return drawn.stdout


def own_edge(data: bytes) -> int:
    """
    Return how long the longer edge of an SVG is by its own words, in pixels; 1024 if it is silent.
    """
    facts = parse_header(data)
    edge = max(facts.width, facts.height) if facts else 0
    return min(edge or _EDGE, _LONGEST_EDGE)
