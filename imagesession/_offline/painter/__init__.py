"""
The painter: it draws a recognisable sketch from a prompt, quickly, and the same each time.

It never passes for a model's work: every picture says in its metadata what it is.
"""

from imagesession._offline.painter.paint import describe, paint
from imagesession._offline.painter.story import Story, begin, recall, retell

__all__ = ["Story", "begin", "describe", "paint", "recall", "retell"]
