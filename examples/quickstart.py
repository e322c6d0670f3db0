"""
Draw a logo in conversation: refine it, branch, and resume later.

    python examples/quickstart.py

With OPENAI_API_KEY set this uses OpenAI (seven images, billed to that key); without it,
sketches are drawn on this computer.
"""

from imagesession import Studio

with Studio.from_env() as studio:
    print(f"Images come from {studio.provider}.")
    print(f"They are saved in {studio.library}\n")

    session = studio.session("A logo for a tea shop, clean and friendly", name="Tea logo")
    first = session.generate("a minimalist teapot logo")
    session.generate("more geometric")
    session.generate("blue accents")
    session.generate("a horizontal version for headers", size="1536x864")

    # A branch from the first image; the main branch is unchanged.
    warm = first.branch("warm version")
    warm.generate("warmer colours")

# Later, in another program: the session is complete.
with Studio.from_env() as studio:
    session = studio.open(session.id)
    last = session.generate("add a small moon above the teapot")
    warm = studio.open(session.id, branch="warm version")
    warm.generate("on a dark background")

    print(session.tree(), "\n")
    for image in session.images():
        print(f"{image.size[0]}x{image.size[1]}  {image.path}")
    if studio.provider.startswith("offline"):
        print("\nThese are sketches, not a model's work. Set OPENAI_API_KEY to use OpenAI.")
