"""
Photograph a catalogue: each product from the front, at an angle and in use, in its own folder.

    python examples/product_catalogue.py

With OPENAI_API_KEY set this uses OpenAI (nine images, about $0.30, billed to that key); without
it, sketches are drawn on this computer.
"""

from imagesession import SavedImage, Studio

PRODUCTS = ("blue guitar", "red ceramic mug", "green backpack")


def photograph(studio: Studio, product: str) -> tuple[SavedImage, ...]:
    """
    Make three images of a product; the first is a reference for the others.
    """
    front = studio.product(product, lighting="dramatic")
    angled = studio.product(product, angle="three-quarter", lighting="dramatic", references=front)
    in_use = studio.product(
        product, background_type="lifestyle", lighting="natural", references=front
    )
    return front, angled, in_use


with Studio.from_env(quality="low", size="1024x1024") as studio:
    print(f"Images come from {studio.provider}.")
    print(f"They are saved in {studio.library}")
    count = 3 * len(PRODUCTS)
    print(f"With a key, {count} of them cost {studio.estimate(n=count)}.\n")

    for product in PRODUCTS:
        images = photograph(studio, product)
        print(f"{product}: {images[0].path.parent}")
        for image in images:
            chosen = image.turn.parameters
            print(f"  {chosen['background_type']}, {chosen['angle']}: {image.path}")

    print(f"\n{studio.costs(group_by='kind')}")
