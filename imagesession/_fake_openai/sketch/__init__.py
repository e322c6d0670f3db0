"""
The sketcher: it draws a recognisable sketch from a prompt, quickly, and the same each time.

A sketch is an SVG document, which resvg renders. It is never passed off as a model's work: the
metadata of every image says what it is, and its description names what was not understood.
"""

from imagesession._fake_openai.sketch.encode import SOFTWARE
from imagesession._fake_openai.sketch.plan import SketchState
from imagesession._fake_openai.sketch.sketch import describe, from_image, refine, render, start

__all__ = ["SOFTWARE", "SketchState", "describe", "from_image", "refine", "render", "start"]
