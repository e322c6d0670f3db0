"""
Progress on one line that renews itself, in terminals and notebooks.
"""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import sys
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import attrs

from imagesession._domain.cost import format_usd

from .ipython import get_shell

if TYPE_CHECKING:
    from tqdm import tqdm

    from imagesession._domain.progress import OnProgress, ProgressCallback, ProgressEvent

_ENDED = frozenset({"completed", "failed"})
_ONE = "{desc}"
_MANY = "{n_fmt}/{total_fmt} |{bar}| {elapsed}{postfix}"


@attrs.define
class ProgressLine:
    """
    Shows the events of a call: in a terminal or notebook on one line that renews itself, with the
    cost so far; elsewhere each stage on a line of its own, of several images only their ends.
    """

    _events: dict[int, ProgressEvent] = attrs.field(factory=lambda: {}, init=False)  # noqa: PIE807 - typed
    _bar: tqdm[Any] | None = attrs.field(default=None, init=False)

    def __call__(self, event: ProgressEvent) -> None:
        before = self._events.get(event.position)
        self._events[event.position] = event
        if not is_interactive():
            is_news = before is None or before.stage != event.stage
            if event.stage in _ENDED or (is_news and event.total == 1):
                _write_line(_describe(event))
            return
        if self._bar is None:
            self._bar = open_bar(event.total, _ONE if event.total == 1 else _MANY)
        self._show(self._bar, event)

    def _show(self, line: tqdm[Any], event: ProgressEvent) -> None:
        ended = sum(known.stage in _ENDED for known in self._events.values())
        if event.total == 1:
            line.set_description_str(_describe(event), refresh=False)
        else:
            line.set_postfix_str(", ".join(self._totals()), refresh=False)
        line.n = ended
        line.refresh()
        if ended == event.total:
            line.close()

    def _totals(self) -> list[str]:
        failed = sum(event.stage == "failed" for event in self._events.values())
        cost = sum(event.cost for event in self._events.values())
        return [f"{failed} failed"] * bool(failed) + [format_usd(cost)] * bool(cost)


def _write_line(text: str) -> None:
    # Programs without a console have no standard error, and a service may have closed it.
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stderr.write(f"{text}\n")


def _describe(event: ProgressEvent) -> str:
    # The error says why, on the next line.
    text = str(attrs.evolve(event, message="") if event.stage == "failed" else event)
    return f"{text}, {format_usd(event.cost)}" if event.cost else text


def for_many(*, enabled: bool | None, on_progress: OnProgress | None) -> ProgressCallback | None:
    """
    Return the callback of a call for many images: a line, the caller's own, both, or none. If
    `enabled` is None, the line is shown in a terminal or notebook only.
    """
    own = None if isinstance(on_progress, bool) else on_progress
    if not (enabled or on_progress is True or (enabled is None and is_interactive())):
        return own
    line = ProgressLine()
    if own is None:
        return line

    def both(event: ProgressEvent) -> None:
        line(event)
        own(event)

    return both


@contextlib.contextmanager
def bar(total: int, *, enabled: bool | None) -> Generator[Callable[[int, float], object]]:
    """
    Show a progress bar on standard error while the block runs, as `for_many` says; yield a function
    to call with the number of images that are done, and their cost.
    """
    if not (is_interactive() if enabled is None else enabled):
        yield lambda _done, _cost: None
        return
    with open_bar(total, _MANY) as line:

        def show(done: int, cost: float) -> None:
            line.set_postfix_str(format_usd(cost) if cost else "", refresh=False)
            line.n = done
            line.refresh()

        yield show


def open_bar(total: int, form: str) -> tqdm[Any]:
    # Without widgets, tqdm's own choice would warn in red.
    if get_shell() is not None and importlib.util.find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm as widget  # noqa: PLC0415 - needs a notebook

        return widget(total=total, bar_format=form)
    from tqdm.std import tqdm as line  # noqa: PLC0415 - slow to import, and hardly ever needed

    # Some terminals say that they have no columns and lines.
    columns, rows = shutil.get_terminal_size()
    return line(total=total, bar_format=form, ncols=columns, nrows=rows)


def is_interactive() -> bool:
    with contextlib.suppress(AttributeError, ValueError):  # none, not a file, or closed
        if sys.stderr.isatty():
            return True
    return get_shell() is not None
