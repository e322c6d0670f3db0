"""
Continue where an earlier program stopped, and then on another computer.

    python examples/resume.py

With OPENAI_API_KEY set this uses OpenAI (four images, about $0.15, billed to that key); without
it, sketches are drawn on this computer. If it was stopped, a second run makes the rest.
"""

import tempfile
from pathlib import Path

from imagesession import Studio

NAME = "Cape Faro poster"
STEPS = (
    "a lighthouse on a cliff by the sea",
    "at sunset",
    "add a sailing boat",
    'lettered "Cape Faro"',
)


def program(steps: int) -> None:
    """
    Make the first few steps, unless they exist, and end.
    """
    with Studio.from_env(quality="low", size="1024x1536") as studio:
        session = studio.session("A travel poster", name=NAME, resume=True)
        print(f"{session}: with a key, the next image costs {session.estimate()}")
        for step in STEPS[:steps]:
            # Each step has an idempotency key: an existing image is not requested again.
            image = session.generate(step, idempotency_key=f"{NAME}: {step}")
            print(f"  {step}: {image.path.name}")


program(steps=2)
program(steps=4)

with Studio.from_env() as studio:
    print(f"\nImages come from {studio.provider}.")
    print(f"They are saved in {studio.library}\n")
    session = studio.open(NAME)
    print(session.tree(), "\n")
    for image in session.images():
        print(image.path)
    print(f"\nAt a model's prices, all of it cost {session.cost()}.")

    # For another computer: one file contains the whole session.
    with tempfile.TemporaryDirectory() as folder:
        archive = session.export(Path(folder, "cape-faro.zip"))
        with Studio.from_env(Path(folder, "another library")) as elsewhere:
            copy = elsewhere.sessions.import_archive(archive)
            print(f"\n{archive.name} brought {len(copy.images())} images along:\n{copy.tree()}")
