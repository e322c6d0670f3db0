"""
Format prompts, sizes, prices and dates as short texts.

Nothing here returns markup: templates escape these texts, and so does other code that writes HTML.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping

from imagesession._domain.cost import Cost, format_usd
from imagesession._domain.tree import Tree
from imagesession._domain.turn import ImageRecord, Turn

# Zero-width joiners, which join emoji and letters and do not change the writing direction.
_JOINERS = "\u200c\u200d"
_OFFLINE_HOST = "offline.imagesession"
SKETCHES = (
    "Sketches drawn on a computer, not a model's work: nothing was billed, prices are a model's."
)


def sanitize_text(text: str) -> str:
    """
    Return a text on one line, without lone surrogates, control characters and marks that change
    the writing direction.
    """
    printable = (char if char.isprintable() or char in _JOINERS else " " for char in text)
    return " ".join("".join(printable).split())


def shorten(text: str, max_length: int) -> str:
    """
    Return a text on one line of at most `max_length` characters; an ellipsis marks a cut.
    """
    line = sanitize_text(text[: max_length * 8])
    if len(line) <= max_length and len(text) <= max_length * 8:
        return line
    head = line[: max_length - 1].rstrip()
    # Cut between words, unless that would leave too little.
    complete_words, _, rest = head.rpartition(" ")
    return f"{complete_words if len(rest) < max_length // 3 and complete_words else head}…"


def display_prompt(turn: Turn) -> str:
    """
    Return the caller's words: the prompt; of a preset, the description that was put into its
    template; of an improvement, its goals.
    """
    for name in ("description", "improvement_goals"):
        words = turn.parameters.get(name)
        if isinstance(words, str) and words.strip():
            return words
    number, count = turn.parameters.get("take"), turn.parameters.get("takes")
    if isinstance(number, int) and isinstance(count, int):
        return f"{turn.prompt} (take {number} of {count})"
    if not turn.prompt.strip() and turn.origin is not None:
        return f"({turn.origin.file or 'an image'} was imported)"
    return turn.prompt if turn.prompt.strip() else f"({turn.kind})"


def display_text(turn: Turn) -> str:
    """
    Return what a model wrote in place of an image; of an analysis, which is JSON, its summary.
    """
    if turn.kind == "analysis":
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return str(json.loads(turn.text)["summary"])
    return turn.text


def branches_by_head(tree: Tree, max_length: int) -> Mapping[str, list[str]]:
    """
    Map turn ids to the branches whose head they are, each name at most `max_length` characters.
    """
    names: defaultdict[str, list[str]] = defaultdict(list)
    for branch in tree.branches():
        head = tree.head(branch)
        if head is not None:
            names[head.id].append(shorten(branch, max_length))
    return names


def is_sketch(turn: Turn) -> bool:
    return _OFFLINE_HOST in turn.provider


def format_size(image: ImageRecord) -> str:
    """
    Format an image's size and format, such as "1536×864 PNG".
    """
    name = image.format.upper()
    return f"{image.width}×{image.height} {name}" if image.width and image.height else name


def format_price(cost: Cost | None) -> str:
    """
    Format a cost; empty if no request was sent.
    """
    if cost is None:
        return ""
    if cost.total is not None:
        return format_usd(cost.total)
    return f"{format_usd(cost.known)} or more" if cost.known else "price unknown"


def format_total_price(turns: Iterable[Turn]) -> str:
    costs = [turn.cost for turn in turns if turn.cost is not None]
    return format_price(sum(costs[1:], start=costs[0])) if costs else ""


def pluralize(number: int, text: str, plural: str = "") -> str:
    """
    Format a count, such as "1 image" and "2 images".
    """
    return f"{number:,} {text if number == 1 else plural or f'{text}s'}"


def format_day(time: dt.datetime) -> str:
    """
    Format a date, such as "24 November 2026" (UTC).
    """
    at = time.astimezone(dt.UTC)
    return f"{at.day} {at:%B %Y}"
