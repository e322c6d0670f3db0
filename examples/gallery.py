"""
Browse a library as an HTML page: sessions as trees, search, and comparison.

    python examples/gallery.py

With OPENAI_API_KEY set this uses OpenAI (seven images, about $0.15, billed to that key); without
it, sketches are drawn on this computer.
"""

from pathlib import Path

from imagesession import Studio

with Studio.from_env(quality="low") as studio:
    print(f"Images come from {studio.provider}.")
    print(f"They are saved in {studio.library}\n")

    # A session with a second branch from its first image.
    session = studio.session("A logo for a tea shop, clean and friendly", name="Tea logo")
    first = session.generate("a minimalist teapot logo")
    session.generate("more geometric")
    session.generate("blue accents")
    warm = first.branch("warm version")
    warm.generate("warmer colours")
    warm.generate("on a dark background")

    # A standalone image, and an edit of it.
    office = studio.generate("an office with plants", size="1536x1024")
    studio.edit("in warm evening light", image=office)

    for image in studio.images.list():
        print(f"{image.prompt:<26}  {image.path}")

    # One page of everything, and one of the session alone. Both contain their thumbnails, so they
    # can be sent to others; existing pages are replaced.
    whole = studio.gallery(Path(studio.library, "gallery.html"))
    part = session.gallery(Path(studio.library, "tea logo.html"))

print("\nOpen these with a double click:")
print(f"{whole}  ({whole.stat().st_size / 1000:.0f} kB)")
print(f"{part}  ({part.stat().st_size / 1000:.0f} kB)")
print("In an image, press B to lay it over the one before.")
