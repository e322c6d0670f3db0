"""
Draw the page of sketches that the README shows: `python docs/pictures/make.py`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from imagesession import Studio

CHAIN = ("minimalist teapot logo", "more geometric", "blue accents", "add a small moon")
SINGLE = (
    "Sunset over a mountain lake",
    "a red bicycle in the rain",
    "shopping cart icon, flat",
    "wireless headphones product photo, white background",
    "fox in a snowy forest at night",
    "neon city",
    "a watercolor cat in the garden",
    "a rocket in space",
)
EDGE, GAP, COLUMNS = 300, 6, 4


def main() -> None:
    """
    Generate the images offline and put them on one page.
    """
    with tempfile.TemporaryDirectory() as folder, Studio.offline(folder) as studio:
        session = studio.session("A logo for a tea shop")
        images = [session.generate(prompt) for prompt in CHAIN]
        images += [studio.generate(prompt) for prompt in SINGLE]
        tiles = [image.open().convert("RGB").resize((EDGE, EDGE)) for image in images]
    rows = -(-len(tiles) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * (EDGE + GAP) + GAP, rows * (EDGE + GAP) + GAP), "white")
    for number, tile in enumerate(tiles):
        row, column = divmod(number, COLUMNS)
        page.paste(tile, (GAP + column * (EDGE + GAP), GAP + row * (EDGE + GAP)))
    page.save(Path(__file__).with_name("page.png"), optimize=True)


if __name__ == "__main__":
    main()
