"""
What the painter can draw.
"""

from imagesession._offline.painter.subjects import (
    creatures,
    gadgets,
    home,
    nature,
    symbols,
    vehicles,
)
from imagesession._offline.painter.subjects.table import TABLE, Draw, Place, Subject, Tone

# Importing the groups fills the table; naming them keeps the imports from looking idle.
GROUPS = (creatures, gadgets, home, nature, symbols, vehicles)

__all__ = ["GROUPS", "TABLE", "Draw", "Place", "Subject", "Tone"]
