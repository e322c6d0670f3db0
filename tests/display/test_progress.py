"""
The progress bar is shown in terminals and notebooks, or on request.
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
        for _ in range(3):
            report()
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


@pytest.mark.parametrize("kernel,expected", [("ZMQInteractiveShell", True), ("Terminal", False)])
def test_bar_is_shown_in_a_notebook(
    monkeypatch: pytest.MonkeyPatch, kernel: str, *, expected: bool
) -> None:
    """
    A notebook shows a bar although standard error is no terminal; IPython in a pipe does not.
    """
    shell = types.ModuleType("IPython")
    vars(shell)["get_ipython"] = type(kernel, (), {})
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
            report()
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
        "with bar(3, enabled=None) as report: report()\n"
        "assert 'tqdm' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stderr=subprocess.PIPE)
