"""
Work on a logo: refine it, branch, undo, and finish it for headers.

    python examples/logo_session.py

With OPENAI_API_KEY set this uses OpenAI (seven images, about $0.25, billed to that key); without
it, sketches are drawn on this computer.
"""

from imagesession import Studio

with Studio.from_env(quality="low") as studio:  # drafts; the final images set their own quality
    print(f"Images come from {studio.provider}.")
    print(f"They are saved in {studio.library}")
    print(f"With a key, a draft costs {studio.estimate(size='1024x1024')}.\n")

    session = studio.session("Logo of Foxglove, a small bookshop", name="Foxglove logo")
    first = session.generate('a minimalist logo of an orange fox, lettered "Foxglove"')
    session.generate("simpler and more geometric")
    session.generate("navy accents")

    # A branch from the first image; the main branch is unchanged.
    first.branch("for dark pages").generate("on a dark background, in warmer colours")

    # Undo the navy accents. The next prompt refines the image before; nothing is deleted.
    session.undo()
    session.generate("teal accents, on a cream background")

    wide = session.generate("a horizontal version for headers", size="1536x864", quality="high")
    # The same on a transparent background.
    cutout = session.generate(
        "the same, on a transparent background",
        size="1536x864",
        quality="high",
        background="transparent",
    )

    print(session.tree(), "\n")
    for image in session.images():
        print(f"{image.size[0]}x{image.size[1]}  {image.path}")
    print(f"\nFor headers: {wide.path.name}, without a ground: {cutout.path.name}")
    print(f"At a model's prices, all of it cost {session.cost()}.")
