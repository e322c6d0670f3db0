"""
Make many pictures within a budget; what was refused is mended, and only that is made.

    python examples/batch_with_budget.py

With OPENAI_API_KEY set this uses OpenAI (five pictures, some $0.10, billed to that key); without
it, sketches are drawn on this computer. Run again, it makes nothing and costs nothing.
"""

from imagesession import Budget, ImageRequest, Results, SavedImage, Studio

POSTER = "Vintage travel poster:"
# The keys name the pictures: what is there under a key is not made again.
JOBS: dict[str, str | ImageRequest] = {
    "posters/forest": f"{POSTER} a fox in an autumn forest",
    "posters/night": f"{POSTER} an owl in a forest at night",
    "posters/deep": f"{POSTER} a whale in the sea",
    "posters/lake": f"{POSTER} a hot air balloon over a lake at dawn",
    "posters/alps": ImageRequest(
        f"{POSTER} a train in the mountains",
        options={"size": "2048x3072", "quality": "high"},  # dearer than the budget allows
    ),
}


def show(results: Results[SavedImage]) -> None:
    """
    Print each picture, or what kept it from being made.
    """
    for key, result in zip(results.keys, results, strict=True):
        print(f"  {key}: {result.path if isinstance(result, SavedImage) else result}")


budget = Budget(per_call=0.06, per_day=5.00)
with Studio.from_env(budget=budget, quality="low", size="1024x1536") as studio:
    print(f"Pictures come from {studio.provider}.")
    print(f"They are kept in {studio.library}")
    print(f"With a key, {len(JOBS)} of them cost {studio.estimate(n=len(JOBS))}.\n")

    first = studio.map(JOBS)
    print(first)
    show(first)

    # The error says what to do. With that done, the same call makes what is missing.
    mended = {**JOBS, "posters/alps": f"{POSTER} a train in the mountains"}
    second = studio.map(mended)
    new = set(second.images) - set(first.images)
    print(f"\n{second}, {len(new)} of them new")
    show(second)

    print(f"\nToday on this library:\n{studio.costs(group_by='day')}")
