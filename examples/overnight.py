"""
Submit pictures in the evening, at half the price, and collect them in the morning.

    python examples/overnight.py

With OPENAI_API_KEY set this uses OpenAI (four pictures, some $0.02, billed to that key; they may
take up to a day); without it, sketches are drawn on this computer. Run it again as often as you
like: it submits once, and collects whatever is finished.
"""

from imagesession import SavedImage, Studio
from imagesession.errors import BatchNotReadyError

TILES = "Seamless ceramic tile, hand painted, blue on white:"
MOTIFS = ("a swallow", "a sailing boat", "a lemon branch", "a carp")
SECONDS = 60  # to wait; what is not finished then goes on by itself

with Studio.from_env(quality="low", size="1024x1024") as studio:
    print(f"Pictures come from {studio.provider}.")
    print(f"They are kept in {studio.library}")
    print(f"With a key, they cost {studio.estimate(n=len(MOTIFS), batch=True)}.\n")

    # Under this name the same batch is given whenever the program is run again.
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
