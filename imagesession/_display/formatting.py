"""
Words for eyes: what people and models wrote, made fit to be shown in little room.

Nothing here makes markup: templates escape, and so does whoever writes HTML.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping

from imagesession._domain.cost import Cost, format_usd
from imagesession._domain.tree import Tree
from imagesession._domain.turn import ImageRecord, Turn
from imagesession._engine.variations import variation_prompt

# They join emoji and letters, and turn nothing around.
_JOINERS = "\u200c\u200d"
_OFFLINE = "offline.imagesession"
SKETCHES = (
    "Sketches drawn on a computer, not a model's work: nothing was billed, prices are a model's."
)


def sanitize_text(text: str) -> str:
    """
    Write a text on one line, without what cannot be written or seen: halves of characters,
    control characters, and marks that turn the direction of what follows.
    """
    seen = (char if char.isprintable() or char in _JOINERS else " " for char in text)
    return " ".join("".join(seen).split())


def shortened(text: str, most: int) -> str:
    """
    Write a text on one line of at most so many characters; an ellipsis tells that it goes on.
    """
    line = sanitize_text(text[: most * 8])
    if len(line) <= most and len(text) <= most * 8:
        return line
    head = line[: most - 1].rstrip()
    # Broken between words, unless that would leave little.
    whole, _, rest = head.rpartition(" ")
    return f"{whole if len(rest) < most // 3 and whole else head}…"


def display_prompt(turn: Turn) -> str:
    """
    Return what a caller said; of a preset's prompt, what was put into its frame.
    """
    description = turn.parameters.get("description")
    if isinstance(description, str) and description.strip():
        return description
    number, count = turn.parameters.get("take"), turn.parameters.get("takes")
    if isinstance(number, int) and isinstance(count, int):
        # Of several takes, each was told which one it is.
        prompt = turn.prompt.removesuffix(variation_prompt("", number, count))
        return f"{prompt} (take {number} of {count})"
    if not turn.prompt.strip() and turn.origin is not None:
        return f"({turn.origin.file or 'a picture'} was brought in)"
    return turn.prompt if turn.prompt.strip() else f"({turn.kind})"


def branches_by_head(tree: Tree, most: int) -> Mapping[str, list[str]]:
    """
    Return the branches whose head a turn is, by the turn's id; each name in so many characters.
    """
    names: defaultdict[str, list[str]] = defaultdict(list)
    for branch in tree.branches():
        head = tree.head(branch)
        if head is not None:
            names[head.id].append(shortened(branch, most))
    return names


def is_sketch(turn: Turn) -> bool:
    """
    Tell whether a turn was asked of the offline provider, whose pictures are not a model's work.
    """
    return _OFFLINE in turn.provider


def size_of(image: ImageRecord) -> str:
    """
    Write a picture's size and format, such as "1536×864 PNG".
    """
    form = image.format.upper()
    return f"{image.width}×{image.height} {form}" if image.width and image.height else form


def price(cost: Cost | None) -> str:
    """
    Write a cost in little room; empty where nothing was asked of a provider.
    """
    if cost is None:
        return ""
    if cost.total is not None:
        return format_usd(cost.total)
    return f"{format_usd(cost.known)} or more" if cost.known else "price unknown"


def total_price(turns: Iterable[Turn]) -> str:
    """
    Write what turns cost together; empty where nothing was asked of a provider.
    """
    costs = [turn.cost for turn in turns if turn.cost is not None]
    return price(sum(costs[1:], start=costs[0])) if costs else ""


def pluralize(number: int, text: str, many: str = "") -> str:
    """
    Write a number of things, such as "1 picture" and "2 pictures".
    """
    return f"{number:,} {text if number == 1 else many or f'{text}s'}"


def day(moment: dt.datetime) -> str:
    """
    Write a day, such as "24 November 2026" (UTC).
    """
    at = moment.astimezone(dt.UTC)
    return f"{at.day} {at:%B %Y}"
