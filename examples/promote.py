"""
Make a picture first and decide later: a one-shot becomes a session, and so does any file.

    python examples/promote.py [PHOTO]

With OPENAI_API_KEY set this uses OpenAI (five pictures, some $0.15, billed to that key); without
it, sketches are drawn on this computer.
"""

import sys
import tempfile
from pathlib import Path

from imagesession import SavedImage, Studio


def from_elsewhere(folder: str, stand_in: SavedImage) -> Path:
    """
    Return the photo that was named, or a file that stands in for one.
    """
    if len(sys.argv) > 1:
        return Path(sys.argv[1])
    path = Path(folder, "photo.jpg")
    photo = stand_in.open().convert("RGB")
    photo.thumbnail((1200, 1200))
    photo.save(path, quality=90)
    return path


with Studio.from_env(quality="low", size="1536x1024") as studio:
    print(f"Pictures come from {studio.provider}.")
    print(f"They are kept in {studio.library}")
    print(f"With a key, one of them costs {studio.estimate()}.\n")

    single = studio.generate("modern office workspace")

    # It was good. What the model knows of it is carried over.
    session = studio.promote(single, "Refine the office for a website", name="Office")
    session.generate("add plants")
    session.generate("in warm evening light")
    print(session.tree(), "\n")

    # A file from anywhere: a copy is kept, and the conversation begins with it.
    with tempfile.TemporaryDirectory() as folder:
        photo = from_elsewhere(folder, single)
        postcard = studio.promote(photo, "An old postcard of this picture", name="Postcard")
    postcard.generate("in sepia, like an old photograph")
    postcard.generate("add a hot air balloon")

    for image in (*session.images(), *postcard.images()):
        print(f"{image.kind:<9}  {image.path}")
