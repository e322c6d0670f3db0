"""
Edit a part of an image, and verify that all other pixels are unchanged.

    python examples/inpainting.py

With OPENAI_API_KEY set this uses OpenAI (three images, about $0.10, billed to that key); without
it, sketches are drawn on this computer.
"""

from PIL import ImageChops

from imagesession import Mask, SavedImage, Studio


def report(before: SavedImage, after: SavedImage, mask: Mask) -> None:
    """
    Print how many pixels are outside a mask, and whether any of them changed.
    """
    soft = mask.alpha(before.size)
    # White wherever anything may change.
    opening = ImageChops.add(soft, soft, scale=1 / 255)
    difference = ImageChops.difference(before.open().convert("RGB"), after.open().convert("RGB"))
    difference.paste((0, 0, 0), mask=opening)
    verdict = "are identical" if difference.getbbox() is None else "have CHANGED"
    print(f"{after.prompt}: the {opening.histogram()[0]:,} pixels outside {mask} {verdict}")


with Studio.from_env(quality="low", size="1536x1024") as studio:
    print(f"Images come from {studio.provider}.")
    print(f"They are saved in {studio.library}")
    print(f"With a key, one of them costs {studio.estimate()}.\n")

    session = studio.session("A reading corner", name="Reading corner")
    room = session.generate("a living room with a blue armchair")

    # In pixels.
    wall = Mask.rectangle((120, 140, 440, 420))
    painting = session.edit(
        "a framed painting of a mountain lake at sunset", mask=wall, preserve_unmasked=True
    )
    # In fractions of the image, with a soft edge of two pixels.
    porthole = Mask.ellipse((0.73, 0.1, 0.93, 0.4)).feather(2)
    window = session.edit(
        "a round window with a view of the sea", mask=porthole, preserve_unmasked=True
    )

    report(room, painting, wall)
    report(painting, window, porthole)

    # The model's own image is saved beside each of them.
    print()
    for image in session.images():
        print(image.path)
