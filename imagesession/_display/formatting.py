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
from imagesession._domain.sessions import SessionRecord
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
    names: defaultdict[str, list[str]] = defaultdict(list)
    for branch in tree.branches():
        head = tree.head(branch)
        if head is not None:
            names[head.id].append(shorten(branch, max_length))
    return names


def is_sketch(turn: Turn) -> bool:
    return _OFFLINE_HOST in turn.provider


def format_size(image: ImageRecord) -> str:
    name = image.format.upper()
    return f"{image.width}×{image.height} {name}" if image.width and image.height else name


def format_price(cost: Cost | None) -> str:
    if cost is None:
        return ""
    if cost.total is not None:
        return format_usd(cost.total)
    return f"{format_usd(cost.known)} or more" if cost.known else "price unknown"


def format_facts(image: ImageRecord | None, cost: Cost | None) -> str:
    size = format_size(image) if image else ""
    return " · ".join(filter(None, (size, format_price(cost))))


def format_title(record: SessionRecord, max_length: int) -> str:
    return shorten(record.name or record.description, max_length) or "Untitled session"


def add_costs(costs: Iterable[Cost | None]) -> Cost | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known[1:], start=known[0]) if known else None


def format_total_price(turns: Iterable[Turn]) -> str:
    return format_price(add_costs(turn.cost for turn in turns))


def pluralize(number: int, text: str) -> str:
    return f"{number:,} {text}{'' if number == 1 else 's'}"


def format_day(time: dt.datetime) -> str:
    at = time.astimezone(dt.UTC)
    return f"{at.day} {at:%B %Y}"
