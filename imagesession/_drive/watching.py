"""
Have a flow watched: the driver that carries it out tells how far it is.

Whoever does not ask for it pays nothing: what watches is loaded when it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from imagesession._plan.steps import Flow, Step

if TYPE_CHECKING:
    from imagesession._model.progress import OnProgress

    from .progress import Watch

T = TypeVar("T")


class Attend(Step[None]):
    """
    Have this flow watched from now on; nothing is waited for.

    Attributes:
        watch: What watches it.
    """

    def __init__(self, watch: Watch) -> None:
        self.watch = watch


def watched(flow: Flow[T], on_progress: OnProgress | None) -> Flow[T]:
    """
    Have somebody told how far a flow is.

    Args:
        flow: What is done.
        on_progress: Who is told; None for nobody.

    Raises:
        CallError: It cannot be called.
    """
    return watched_each([flow], on_progress)[0]


def watched_each(flows: Sequence[Flow[T]], on_progress: OnProgress | None) -> list[Flow[T]]:
    """
    Have somebody told how far each of several flows is, by one thread at a time.

    Args:
        flows: What is done.
        on_progress: Who is told; None for nobody.

    Raises:
        CallError: It cannot be called.
    """
    if on_progress is None:
        return list(flows)
    from .progress import watches  # noqa: PLC0415 - not everybody asks

    pairs = zip(flows, watches(on_progress, len(flows)), strict=True)
    return [_attended(flow, watch) for flow, watch in pairs]


def _attended(flow: Flow[T], watch: Watch) -> Flow[T]:
    yield from Attend(watch)
    return (yield from flow)
