"""
What earlier turns take as input: expected of the next request, and found in a settled one.

A provider bills all earlier turns again with each turn, so a session's own reported usage says how
many tokens they take.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import attrs

from .token_counts import TokenCounts, parse_image_usage, parse_text_model_usage
from .turn import Turn

Role = Literal["mainline", "image"]


@attrs.frozen(kw_only=True)
class ReportedContext:
    """
    The input that earlier turns took of a model, as last reported.

    Attributes:
        text: Text tokens; of a mainline model all tokens, its own answer included.
        image: Image tokens of an image model.
        unreported: How many later turns have no usage of this model.
    """

    text: int = 0
    image: int = 0
    unreported: int = 0


def reported_context(past: Sequence[Turn], role: Role, **options: object) -> ReportedContext:
    """
    Return what the latest turn with a usage of the same model took, from which the next turn grows.
    The turns are the oldest first; usages are comparable if these options are the same.
    """
    for unreported, turn in enumerate(reversed(past)):
        same = all(getattr(turn.options, name) == value for name, value in options.items())
        tokens = reported_tokens(turn, role) if same else None
        if tokens is None or "input" in tokens.missing:
            continue
        if role == "mainline":
            return ReportedContext(text=tokens.input + tokens.text_out, unreported=unreported)
        image = tokens.image_in + tokens.image_in_cached
        return ReportedContext(text=tokens.input - image, image=image, unreported=unreported)
    return ReportedContext(unreported=len(past))


def context_tokens(turn: Turn, past: Sequence[Turn]) -> int:
    """
    Return how many of a turn's mainline input tokens its earlier turns, the oldest first, took:
    what exceeds the input of the first of them on the same model, so rather too few than too many.
    """
    same = (earlier for earlier in past if earlier.options.model == turn.options.model)
    reported = (reported_tokens(earlier, "mainline") for earlier in same)
    first = next((tokens.input for tokens in reported if tokens and tokens.input), None)
    own = reported_tokens(turn, "mainline")
    return 0 if first is None or own is None else max(own.input - first, 0)


def reported_tokens(turn: Turn, role: Role) -> TokenCounts | None:
    if role == "mainline":
        return parse_text_model_usage(turn.usage.mainline)
    return parse_image_usage(turn.usage.image)
