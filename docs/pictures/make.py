"""
Draw the picture of two conversations that the README shows: `python docs/pictures/make.py`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from imagesession import Studio

CONVERSATIONS = (
    ("a minimalist teapot logo", "more geometric", "blue accents", "add a small moon"),
    ("a mountain lake at sunset", "at night", "in the snow", "black and white"),
)
EDGE, GAP, CAPTION = 300, 36, 52


def main() -> None:
    """
    Generate the images offline and put each conversation in a row, with its prompts.
    """
    columns, rows = len(CONVERSATIONS[0]), len(CONVERSATIONS)
    page = Image.new("RGB", (columns * (EDGE + GAP) - GAP, rows * (EDGE + CAPTION)), "white")
    with tempfile.TemporaryDirectory() as folder, Studio.offline(folder) as studio:
        for row, prompts in enumerate(CONVERSATIONS):
            session = studio.session(prompts[0], quality="low")
            for column, prompt in enumerate(prompts):
                image = session.generate(prompt).open().convert("RGB").resize((EDGE, EDGE))
                paste(page, image, prompt, (column * (EDGE + GAP), row * (EDGE + CAPTION)))
    page.save(Path(__file__).with_name("conversations.webp"), quality=90, method=6)


def paste(page: Image.Image, image: Image.Image, prompt: str, at: tuple[int, int]) -> None:
    """
    Put an image on the page, with an arrow before it, if it is not the first, and its prompt below.
    """
    left, top = at
    page.paste(image, at)
    draw = ImageDraw.Draw(page)
    middle = (left + EDGE // 2, top + EDGE + CAPTION // 2 - 4)
    font = ImageFont.load_default(size=19)
    draw.text(middle, f"“{prompt}”", fill="#333", font=font, anchor="mm")
    if left:
        tip, height = left - GAP // 4, top + EDGE // 2
        draw.polygon([(tip, height), (tip - 18, height - 13), (tip - 18, height + 13)], "#0b6b5d")


if __name__ == "__main__":
    main()
