"""
Analyze and improve an image: print the findings, and the contrast before and after.

    python examples/improve.py [PHOTO]

With OPENAI_API_KEY set this uses OpenAI (two images, one if you name a photo, about $0.06, billed
to that key); without it, sketches are drawn on this computer.
"""

import sys

from PIL import ImageEnhance, ImageStat

from imagesession import SavedImage, Studio


def flat_photo(studio: Studio) -> SavedImage:
    """
    Make an image and degrade it: dull, flat and dark, as from behind a dirty window.
    """
    good = studio.generate("a mountain lake at sunset with a sailing boat", size="1536x1024")
    dull = ImageEnhance.Color(good.open().convert("RGB")).enhance(0.5)
    flat = ImageEnhance.Contrast(dull).enhance(0.5)
    dark = ImageEnhance.Brightness(flat).enhance(0.8)
    print(f"Spoilt from {good.path}")
    return studio.images.import_file(dark, prompt="a photo from behind a dirty window")


def contrast(image: SavedImage) -> float:
    """
    Return the standard deviation of brightness, 0 to 127.5.
    """
    return ImageStat.Stat(image.open().convert("L")).stddev[0]


with Studio.from_env(quality="low") as studio:
    print(f"Images come from {studio.provider}.")
    print(f"They are saved in {studio.library}")
    print(f"With a key, one of them costs {studio.estimate(size='1536x1024')}.\n")

    photo = studio.images.import_file(sys.argv[1]) if len(sys.argv) > 1 else flat_photo(studio)
    done = studio.improve(
        "more vivid, fit for a postcard",
        image=photo,
        preserve_elements="the composition and everything in it",
    )
    print(f"\n{done.analysis}\n")
    print(f"before: contrast {contrast(photo):5.1f}  {photo.path}")
    print(f"after:  contrast {contrast(done.image):5.1f}  {done.image.path}")
