"""
Put a session on a contact sheet: one for a chat, one for print, with the same numbers.

    python examples/contact_sheet.py

With OPENAI_API_KEY set this uses OpenAI (seven images, about $0.20, billed to that key); without
it, sketches are drawn on this computer.
"""

from pathlib import Path

from imagesession import Studio

with Studio.from_env(quality="low", size="1024x1024") as studio:
    print(f"Images come from {studio.provider}.")

    session = studio.session(
        "Covers for a novel about a lighthouse keeper", name="Lighthouse covers"
    )
    session.generate("a lighthouse on a cliff at dusk, flat shapes, wide sky")
    session.generate("warmer, with a few stars")

    # Four variations of the same prompt in parallel, all refining the last image.
    takes = session.variations("with a small boat on the sea", n=4)
    session.checkout(takes.images[2])
    session.generate("a tall version for the cover", size="1024x1536")

    for number, image in enumerate(session.images(), 1):
        print(f"{number}  {image.size[0]}x{image.size[1]}  {image.path}")

    # The sheets are saved beside the library, not in it.
    folder = Path(studio.library).parent
    for_chat = session.contact_sheet(folder / "lighthouse covers.png")
    for_print = session.contact_sheet(folder / "lighthouse covers.pdf")
    print(f"\nFor a chat:  {for_chat}\nFor print:   {for_print}")
    print('Now anybody can say "number 4, but with the moon": session.images()[3] is that one.')
