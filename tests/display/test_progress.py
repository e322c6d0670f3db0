"""
The progress bar is shown in terminals and notebooks, or on request.
"""

from __future__ import annotations

import io
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imagesession._display.progress import ProgressLine, bar
from imagesession._domain.progress import ProgressEvent, Stage
from tests.conftest import MakeStudio


class Terminal(io.StringIO):
    """
    A fake terminal.
    """

    def isatty(self) -> bool:
        """
        Claim to be a terminal.
        """
        return True


def render_bar(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, *, enabled: bool | None
) -> str:
    """
    Return what a bar over three images writes to standard error.
    """
    monkeypatch.setattr(sys, "stderr", stream)
    with bar(3, enabled=enabled) as report:
        for done in range(1, 4):
            report(done, 0.01 * done)
    return stream.getvalue()


@pytest.mark.parametrize(
    "stream,enabled,expected",
    [
        (Terminal, None, True),
        (Terminal, False, False),
        (Terminal, True, True),
        (io.StringIO, None, False),
        (io.StringIO, False, False),
        (io.StringIO, True, True),
    ],
)
def test_bar_is_shown_in_a_terminal_or_on_request(
    monkeypatch: pytest.MonkeyPatch,
    stream: type[io.StringIO],
    *,
    enabled: bool | None,
    expected: bool,
) -> None:
    """
    By default the bar is shown in a terminal only; `enabled` overrides it. The bar completes.
    """
    output = render_bar(stream(), monkeypatch, enabled=enabled)
    assert ("3/3" in output) == expected
    assert bool(output) == expected


ZMQ = type("ZMQInteractiveShell", (), {})


@pytest.mark.parametrize(
    "kernel,expected",
    [(ZMQ, True), (type("Shell", (ZMQ,), {}), True), (type("Terminal", (), {}), False)],
)
def test_bar_is_shown_in_a_notebook(
    monkeypatch: pytest.MonkeyPatch, kernel: type, *, expected: bool
) -> None:
    """
    A notebook, Colab's too, shows a bar although standard error is no terminal; IPython in a pipe
    does not.
    """
    shell = types.ModuleType("IPython")
    vars(shell)["get_ipython"] = kernel
    monkeypatch.setitem(sys.modules, "IPython", shell)
    assert bool(render_bar(io.StringIO(), monkeypatch, enabled=None)) == expected


def test_bar_is_closed_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An error propagates, and the bar is closed at its current count.
    """
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)

    def interrupted() -> None:
        with bar(3, enabled=True) as report:
            report(1, 0.0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "1/3" in stream.getvalue()
    assert stream.getvalue().endswith("\n")


def test_tqdm_is_imported_only_for_a_bar() -> None:
    """
    If no bar is shown, tqdm is not imported.
    """
    script = (
        "import sys\n"
        "from imagesession._display.progress import bar\n"
        "with bar(3, enabled=None) as report: report(1, 0.0)\n"
        "assert 'tqdm' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stderr=subprocess.PIPE)


@pytest.mark.parametrize("stream", [None, io.StringIO(), types.SimpleNamespace()])
def test_progress_needs_no_standard_error(
    make_studio: MakeStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: Any
) -> None:
    """
    Where standard error is missing, closed or no file, images are made all the same.
    """
    studio = make_studio(tmp_path / "library", quality="low", size="1024x1024")
    monkeypatch.setattr(sys, "stderr", stream)
    if stream is not None and hasattr(stream, "close"):
        stream.close()
    assert studio.generate("a fox", on_progress=True).bytes
    assert len(studio.map(["a fox", "a cat"], on_progress=True).images) == 2
    assert len(studio.map(["an owl"]).images) == 1


def show_events(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, total: int) -> list[str]:
    """
    Show the events of a call that makes images one after the other, of which the last one fails;
    return what was written between line feeds and carriage returns.
    """
    monkeypatch.setattr(sys, "stderr", stream)
    line = ProgressLine()
    for position in range(total):
        ending: Stage = "failed" if position == total - 1 else "completed"
        for seconds, stage in enumerate(("preparing", "generating", "generating", ending)):
            line(
                ProgressEvent(
                    stage=stage,
                    elapsed=float(seconds),
                    message="it was refused" if stage == "failed" else "",
                    position=position,
                    total=total,
                    cost=0.02 if stage == ending else 0.0,
                )
            )
    return [text.rstrip() for text in stream.getvalue().replace("\r", "\n").split("\n")]


def test_line_renews_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    In a terminal one line shows stage, seconds and in the end the cost; the reason of a failure is
    left to the error.
    """
    stream = Terminal()
    shown = show_events(stream, monkeypatch, 1)
    assert [text for text in dict.fromkeys(shown) if text] == [
        "preparing, 0 s",
        "generating, 1 s",
        "generating, 2 s",
        "failed, 3 s, $0.0200",
    ]
    assert stream.getvalue().count("\n") == 1


def test_line_of_many_counts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    For several images, the line counts those that are done and failed, and sums their costs.
    """
    stream = Terminal()
    shown = [text for text in show_events(stream, monkeypatch, 3) if text]
    assert shown[0].startswith("0/3 ")
    assert shown[-1].startswith("3/3 ")
    assert shown[-1].endswith(", 1 failed, $0.0600")
    assert stream.getvalue().count("\n") == 1


def test_log_gets_each_stage_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What is no terminal gets a line for each stage, and of several images for their ends only.
    """
    shown = show_events(io.StringIO(), monkeypatch, 1)
    assert shown == ["preparing, 0 s", "generating, 1 s", "failed, 3 s, $0.0200", ""]
    shown = show_events(io.StringIO(), monkeypatch, 2)
    assert shown == ["1 of 2: completed, 3 s, $0.0200", "2 of 2: failed, 3 s, $0.0200", ""]


def test_notebook_without_widgets_gets_a_plain_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A notebook that lacks ipywidgets shows a line of text, and no warning.
    """
    shell = types.ModuleType("IPython")
    vars(shell)["get_ipython"] = type("ZMQInteractiveShell", (), {})
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    shown = show_events(io.StringIO(), monkeypatch, 1)
    assert "failed, 3 s, $0.0200" in shown


def test_true_shows_the_line(
    make_studio: MakeStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    `on_progress=True` is enough for every verb, and for `map` and batches as well; False is none.
    """
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    studio = make_studio(tmp_path / "library", quality="low")
    fox = studio.generate("a fox", on_progress=False)
    assert stream.getvalue() == ""
    calls: dict[str, Callable[[], Any]] = {
        "generate": lambda: studio.generate("a fox", on_progress=True),
        "stream": lambda: list(studio.stream("a fox", on_progress=True)),
        "variations": lambda: studio.variations("a fox", n=2, on_progress=True),
        "map": lambda: studio.map(["a fox", "a cat"], on_progress=True),
        "improve": lambda: studio.improve("brighter", image=fox, on_progress=True),
    }
    for name, call in calls.items():
        stream.truncate(0)
        call()
        assert "completed" in stream.getvalue(), name
        assert "$0.0" in stream.getvalue(), name
    batch = studio.batches.create(["a fox"])
    stream.truncate(0)
    batch.wait(on_progress=True)
    assert "1/1" in stream.getvalue()
