"""
The figures that the library promises, measured when pytest is called with `--figures`.
"""

from __future__ import annotations

import pytest

from tests.bench.figures import FIGURES, best


@pytest.mark.figures
@pytest.mark.parametrize("name", FIGURES)
def test_figures_hold(
    name: str, capsys: pytest.CaptureFixture[str], pytestconfig: pytest.Config
) -> None:
    """
    No figure is above what it may be; the best of three runs counts, for machines are noisy.
    """
    slack = float(pytestconfig.getoption("--figures") or 1.0)
    figures = best(name)
    with capsys.disabled():
        print("", *figures, sep="\n  ")
    assert [str(figure) for figure in figures if figure.value > slack * figure.most] == []
