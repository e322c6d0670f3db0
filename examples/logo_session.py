"""
Work on a logo: refine it, try another line, take a step back, and finish it for headers.

    python examples/logo_session.py

With OPENAI_API_KEY set this uses OpenAI (seven pictures, some $0.25, billed to that key); without
it, sketches are drawn on this computer.
"""

from imagesession import Studio

with Studio.from_env(quality="low") as studio:  # drafts; the finished ones ask for more
    print(f"Pictures come from {studio.provider}.")
    print(f"They are kept in {studio.library}")
    print(f"With a key, a draft costs {studio.estimate(size='1024x1024')}.\n")

    session = studio.session("Logo of Foxglove, a small bookshop", name="Foxglove logo")
    first = session.generate('a minimalist logo of an orange fox, lettered "Foxglove"')
    session.generate("simpler and more geometric")
    session.generate("navy accents")

    # Another line from the first picture; the line above stays as it is.
    first.branch("for dark pages").generate("on a dark background, in warmer colours")

    # Navy was a mistake. The next prompt refines what came before it; nothing is lost.
    session.undo()
    session.generate("teal accents, on a cream background")

    wide = session.generate("a horizontal version for headers", size="1536x864", quality="high")
    # The same again without its ground, to lay over anything.
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
