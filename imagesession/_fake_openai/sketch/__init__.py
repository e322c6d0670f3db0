"""
The sketcher: it draws a recognisable sketch from a prompt, quickly, and the same each time.

A sketch is an SVG document, and resvg turns it into pixels. It never passes for a model's work:
every picture says in its metadata what it is, and a description says what was not understood.
"""

from imagesession._fake_openai.sketch.sketch import (
    SketchState,
    describe,
    from_image,
    refine,
    render,
    start,
)

__all__ = ["SketchState", "describe", "from_image", "refine", "render", "start"]
