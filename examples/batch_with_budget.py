"""
Make many images within a budget; fix what was refused, and make only that.

    python examples/batch_with_budget.py

With OPENAI_API_KEY set this uses OpenAI (five images, about $0.10, billed to that key); without
it, sketches are drawn on this computer. A second run makes nothing and costs nothing.
"""

from imagesession import Budget, ImageRequest, Results, SavedImage, Studio

POSTER = "Vintage travel poster:"
# The keys identify the images: an image that exists under a key is not made again.
JOBS: dict[str, str | ImageRequest] = {
    "posters/forest": f"{POSTER} a fox in an autumn forest",
    "posters/night": f"{POSTER} an owl in a forest at night",
    "posters/deep": f"{POSTER} a whale in the sea",
    "posters/lake": f"{POSTER} a hot air balloon over a lake at dawn",
    "posters/alps": ImageRequest(
        f"{POSTER} a train in the mountains",
        options={"size": "2048x3072", "quality": "high"},  # costs more than the budget allows
    ),
}


def show(results: Results[SavedImage]) -> None:
    """
    Print each image, or its error.
    """
    for key, result in zip(results.keys, results, strict=True):
        print(f"  {key}: {result.path if isinstance(result, SavedImage) else result}")


budget = Budget(per_call=0.06, per_day=5.00)
with Studio.from_env(budget=budget, quality="low", size="1024x1536") as studio:
    print(f"Images come from {studio.provider}.")
    print(f"They are saved in {studio.library}")
    print(f"With a key, {len(JOBS)} of them cost {studio.estimate(n=len(JOBS))}.\n")

    first = studio.map(JOBS)
    print(first)
    show(first)

    # The error says what to do. After the fix, the same call makes what is missing. A key stands
    # for one request, so a smaller image has a key of its own.
    fixed = {key: job for key, job in JOBS.items() if key != "posters/alps"}
    fixed["posters/alps, small"] = f"{POSTER} a train in the mountains"
    known = set(studio.images.list())
    second = studio.map(fixed)
    new = set(second.images) - known
    print(f"\n{second}, {len(new)} of them new")
    show(second)

    print(f"\nToday on this library:\n{studio.costs(group_by='day')}")
