"""
Design consistent images for an app: hero, icons, button and background in one session.

    python examples/ui_design_system.py

With OPENAI_API_KEY set this uses OpenAI (seven images, about $0.20, billed to that key); without
it, sketches are drawn on this computer.
"""

from imagesession import Studio

# Sent to the model with every turn.
STYLE = (
    "Interface of a plant-care app. All of it is one family: "
    "flat, friendly shapes, leaf green and coral on cream."
)

with Studio.from_env(quality="low") as studio:
    print(f"Images come from {studio.provider}.")
    print(f"They are saved in {studio.library}")
    print(f"With a key, a hero costs {studio.estimate(size='1536x864')}.\n")

    heroes = studio.session(STYLE, name="Plant care")
    # A branch for each kind, before the first image, so that an icon refines icons, not the hero.
    icons = heroes.branch("icons")
    button = heroes.branch("button")
    background = heroes.branch("background")

    heroes.ui_asset("hero", "a coral flower and a butterfly in green hills", theme="playful")
    heroes.ui_asset("hero", "the same scene at night, for the dark theme", theme="playful")

    icons.ui_asset("icon", "a bell, with green accents", theme="playful")
    icons.ui_asset("icon", "a heart, the next icon of the set", theme="playful")
    icons.ui_asset("icon", "a gear, the next icon of the set", theme="playful")

    button.ui_asset("button", "a green button", theme="playful")
    background.ui_asset(
        "background", "a pattern of green leaves and coral flowers on cream", theme="playful"
    )

    for image in heroes.images():
        kind = image.turn.parameters["asset_type"]
        print(f"{kind:<10}  {image.size[0]}x{image.size[1]}  {image.path}")
    print(f"\nAt a model's prices, all of it cost {heroes.cost()}.")
