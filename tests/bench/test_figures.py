"""
The library's benchmarks, run by `pytest --figures`.
"""

from __future__ import annotations

import pytest

from tests.bench.figures import FIGURES, measure_best


@pytest.mark.figures
@pytest.mark.parametrize("name", FIGURES)
def test_figures_hold(
    name: str, capsys: pytest.CaptureFixture[str], pytestconfig: pytest.Config
) -> None:
    """
    No figure exceeds its maximum; the best of three runs counts, because machines are noisy.
    """
    slack = float(pytestconfig.getoption("--figures") or 1.0)
    figures = measure_best(name)
    with capsys.disabled():
        print("", *figures, sep="\n  ")
    assert [str(figure) for figure in figures if figure.value > slack * figure.maximum] == []
