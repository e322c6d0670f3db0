"""
A bar is shown where somebody looks, and nowhere else.
"""

from __future__ import annotations

import io
import subprocess
import sys
import types

import pytest

from imagesession._display.progress import bar


class Terminal(io.StringIO):
    """
    Stands for a terminal.
    """

    def isatty(self) -> bool:
        """
        Be one.
        """
        return True


def shown(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, *, wanted: bool | None) -> str:
    """
    Return what a bar over three things writes to a standard error of one's own.
    """
    monkeypatch.setattr(sys, "stderr", stream)
    with bar(3, wanted=wanted) as report:
        for _ in range(3):
            report()
    return stream.getvalue()


@pytest.mark.parametrize(
    "stream,wanted,expected",
    [
        (Terminal, None, True),
        (Terminal, False, False),
        (Terminal, True, True),
        (io.StringIO, None, False),
        (io.StringIO, False, False),
        (io.StringIO, True, True),
    ],
)
def test_a_bar_is_shown_in_a_terminal_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
    stream: type[io.StringIO],
    *,
    wanted: bool | None,
    expected: bool,
) -> None:
    """
    Left open, a terminal decides; what is wanted outweighs it. The bar goes to the end.
    """
    written = shown(stream(), monkeypatch, wanted=wanted)
    assert ("3/3" in written) == expected
    assert bool(written) == expected


@pytest.mark.parametrize("kernel,expected", [("ZMQInteractiveShell", True), ("Terminal", False)])
def test_a_bar_is_shown_in_a_notebook(
    monkeypatch: pytest.MonkeyPatch, kernel: str, *, expected: bool
) -> None:
    """
    A notebook shows a bar though its standard error is no terminal; IPython in a pipe does not.
    """
    shell = types.ModuleType("IPython")
    vars(shell)["get_ipython"] = type(kernel, (), {})
    monkeypatch.setitem(sys.modules, "IPython", shell)
    assert bool(shown(io.StringIO(), monkeypatch, wanted=None)) == expected


def test_a_bar_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An error in the middle passes, and the bar is closed where it was.
    """
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)

    def interrupted() -> None:
        with bar(3, wanted=True) as report:
            report()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "1/3" in stream.getvalue()
    assert stream.getvalue().endswith("\n")


def test_no_bar_loads_nothing() -> None:
    """
    Where no bar is shown its package is not loaded.
    """
    script = (
        "import sys\n"
        "from imagesession._display.progress import bar\n"
        "with bar(3, wanted=None) as report: report()\n"
        "assert 'tqdm' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stderr=subprocess.PIPE)
