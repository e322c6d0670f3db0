"""
Submit images in the evening, at half the price, and collect them in the morning.

    python examples/overnight.py

With OPENAI_API_KEY set this uses OpenAI (four images, about $0.02, billed to that key; they may
take up to a day); without it, sketches are drawn on this computer. You can run it repeatedly: it
submits once, and collects whatever is finished.
"""

from imagesession import SavedImage, Studio
from imagesession.errors import BatchNotReadyError

TILES = "Seamless ceramic tile, hand painted, blue on white:"
MOTIFS = ("a swallow", "a sailing boat", "a lemon branch", "a carp")
SECONDS = 60  # the batch continues after this timeout

with Studio.from_env(quality="low", size="1024x1024") as studio:
    print(f"Images come from {studio.provider}.")
    print(f"They are saved in {studio.library}")
    print(f"With a key, they cost {studio.estimate(n=len(MOTIFS), batch=True)}.\n")

    # A second run with this name gets the same batch.
    batch = studio.batches.create({motif: f"{TILES} {motif}" for motif in MOTIFS}, name="tiles")
    print(f"{batch}\nAny program opens it as {batch.name!r}, or by its id: {batch.id}")

    try:
        results = batch.wait(SECONDS, on_progress=lambda status: print(f"  {status}"))
    except BatchNotReadyError:
        print("\nIt is not finished yet. Run this again later; nothing is submitted twice.")
    else:
        print()
        for motif, result in results.by_key.items():
            print(f"  {motif}: {result.path if isinstance(result, SavedImage) else result}")
        print(f"\n{batch.status(live=False)}; that came to {batch.status(live=False).cost}")
