"""
Make an image first and decide later: turn a standalone image, or any file, into a session.

    python examples/promote.py [PHOTO]

With OPENAI_API_KEY set this uses OpenAI (five images, about $0.15, billed to that key); without
it, sketches are drawn on this computer.
"""

import sys
import tempfile
from pathlib import Path

from imagesession import SavedImage, Studio


def from_elsewhere(folder: str, stand_in: SavedImage) -> Path:
    """
    Return the photo from the command line, or a file in its place.
    """
    if len(sys.argv) > 1:
        return Path(sys.argv[1])
    path = Path(folder, "photo.jpg")
    photo = stand_in.open().convert("RGB")
    photo.thumbnail((1200, 1200))
    photo.save(path, quality=90)
    return path


with Studio.from_env(quality="low", size="1536x1024") as studio:
    print(f"Images come from {studio.provider}.")
    print(f"They are saved in {studio.library}")
    print(f"With a key, one of them costs {studio.estimate()}.\n")

    single = studio.generate("modern office workspace")

    # The session continues with the model's context of the image.
    session = studio.promote(single, "Refine the office for a website", name="Office")
    session.generate("add plants")
    session.generate("in warm evening light")
    print(session.tree(), "\n")

    # Any file: it is copied, and the session starts with it.
    with tempfile.TemporaryDirectory() as folder:
        photo = from_elsewhere(folder, single)
        postcard = studio.promote(photo, "An old postcard of this image", name="Postcard")
    postcard.generate("in sepia, like an old photograph")
    postcard.generate("add a hot air balloon")

    for image in (*session.images(), *postcard.images()):
        print(f"{image.kind:<9}  {image.path}")
