"""
A session told for people, in Markdown: what was asked, what came, and what it cost.

Whatever users and models wrote is quoted so that it cannot become markup or HTML.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import json
import operator
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from imagesession._model.costs import Cost
from imagesession._model.sessions import SessionRecord
from imagesession._model.tree import Tree
from imagesession._model.turns import ImageRecord, Turn

# What begins something inside a line: https://spec.commonmark.org/0.31.2/#inlines, and the tables,
# formulas and bare addresses of GitHub's.
_INLINE = re.compile(r"[\\`*_\[\]|~$^#]|:(?=//)|(?<=www)\.", re.IGNORECASE)
# What begins a block when a line begins with it.
_BLOCK = re.compile(r"([+=:-])|([0-9]+)([.)])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_NO_BREAK = "\u00a0"
_STATES = {
    "completed": "completed",
    "failed": "FAILED, no picture",
    "refused": "REFUSED, no picture",
    "pending": "not settled",
}


def write(record: SessionRecord, tree: Tree, missing: Collection[str] = ()) -> str:
    """
    Tell a session.

    Args:
        record: The session.
        tree: Its turns, whose pictures' files are named as they lie beside the transcript.
        missing: Those of these files that are gone.
    """
    turns = tuple(tree.turns.values())
    parts = [
        f"# {line(record.name or record.description or 'Untitled session')}",
        *([quoted(record.description)] if record.name and record.description.strip() else []),
        "\n".join(_facts(_about(record, turns))),
        "## Branches",
        _as_code(str(tree)),
        *(_turn(number, turn, missing) for number, turn in enumerate(turns, 1)),
    ]
    return "\n\n".join(parts) + "\n"


def line(text: str) -> str:
    """
    Write a text on one line, so that Markdown shows it as it is.
    """
    return _escaped(" ".join(_readable(text).split()))


def quoted(text: str) -> str:
    """
    Write a text of any number of lines as a quotation, so that Markdown shows it as it is.
    """
    lines = [_escaped(one) for one in _readable(text).strip("\n").splitlines()]
    pairs = itertools.pairwise([*lines, ""])
    return "\n".join(
        # A backslash at its end keeps a line apart from the next of the same paragraph.
        f"> {one}".rstrip() + ("\\" if one and after else "")
        for one, after in pairs
    )


def _readable(text: str) -> str:
    """
    Replace what cannot be written or seen: halves of characters and control characters.
    """
    written = text.encode("utf-8", "replace").decode("utf-8")
    lined = "\n".join(written.splitlines())
    return "".join(char if char.isprintable() or char in "\n\t " else " " for char in lined)


def _escaped(text: str) -> str:
    body = text.lstrip(" \t")
    # Indented by characters that are no spaces to Markdown, else it would be code.
    margin = _NO_BREAK * len(text[: len(text) - len(body)].expandtabs(4)) if body else ""
    marked = _INLINE.sub(lambda found: f"\\{found[0]}", body.rstrip())
    if not margin:
        marked = _BLOCK.sub(_escape_block, marked, count=1) if _BLOCK.match(marked) else marked
    return margin + re.sub(r"[&<>]", lambda found: _ENTITIES[found[0]], marked)


def _escape_block(found: re.Match[str]) -> str:
    return f"\\{found[1]}" if found[1] else f"{found[2]}\\{found[3]}"


def _as_code(text: str) -> str:
    return "\n".join(f"    {one}" for one in _readable(text).splitlines())


def _facts(facts: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, value in facts:
        if value:
            yield f"* {name}: {value}"


def _about(record: SessionRecord, turns: tuple[Turn, ...]) -> Iterator[tuple[str, str]]:
    pictures = sum(len(turn.images) for turn in turns)
    yield "Session", line(record.id)
    yield "Started", _time(record.created)
    yield "Closed", _time(record.closed) if record.closed else ""
    yield "Every turn asks for", _pairs(record.choices)
    yield "Turns", f"{_ends(turns)}; {pictures} {'picture' if pictures == 1 else 'pictures'}"
    yield "Cost", _cost(turns)


def _ends(turns: tuple[Turn, ...]) -> str:
    counts = {turn.status: 0 for turn in turns}
    for turn in turns:
        counts[turn.status] += 1
    return ", ".join(f"{count} {status}" for status, count in counts.items()) or "none yet"


def _turn(number: int, turn: Turn, missing: Collection[str]) -> str:
    parts = [
        f"## {number}. {line(turn.branch)}: {_STATES[turn.status]}",
        quoted(turn.prompt) if turn.prompt.strip() else "(no prompt)",
        *(_picture(image, missing) for image in turn.images),
        *([f"The model said:\n\n{quoted(turn.text)}"] if turn.text.strip() else []),
        "\n".join(_facts(_details(turn))),
    ]
    return "\n\n".join(parts)


def _picture(image: ImageRecord, missing: Collection[str]) -> str:
    size = f"{image.width}×{image.height} {image.format}"
    shown = (
        f"(The picture {line(image.file)} is missing.)"
        if image.file in missing
        else f"![{size}](<{quote(image.file)}>)"
    )
    revised = image.revised_prompt or ""
    told = f"\n\nThe image model was told:\n\n{quoted(revised)}" if revised.strip() else ""
    return shown + told


def _details(turn: Turn) -> Iterator[tuple[str, str]]:
    yield "Time", _time(turn.finished or turn.started)
    yield "Turn", line(turn.id)
    yield "Grew on", line(turn.parent or "")
    yield "Kind", line(": ".join(filter(None, (turn.kind, turn.label))))
    yield "Asked with", _pairs(turn.parameters)
    yield "Options", _pairs(turn.options.changed())
    yield "References", str(len(turn.references) or "")
    yield "Mask", "yes" if turn.masked else ""
    yield "Origin", line((turn.origin.image_id or turn.origin.file or "") if turn.origin else "")
    yield "Why there is no picture", _failure(turn)
    yield "Model", line(turn.model or "")
    yield "Provider", line(turn.provider)
    yield "Context", "told again, as the provider did not know it" * (turn.context == "rebuilt")
    yield "Cost", _money(turn.cost) if turn.cost else ""


def _failure(turn: Turn) -> str:
    failure = turn.failure
    return line(f"{failure.error}: {failure.message}") if failure else ""


def _time(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(
        line(f"{name}={value if isinstance(value, str) else json.dumps(value, default=str)}")
        for name, value in values.items()
    )


def _cost(turns: tuple[Turn, ...]) -> str:
    costs = [turn.cost for turn in turns if turn.cost]
    return _money(functools.reduce(operator.add, costs)) if costs else ""


def _money(cost: Cost) -> str:
    # One sign of a currency makes no formula, which takes two.
    return line(str(cost)).replace("\\$", "$", 1)
