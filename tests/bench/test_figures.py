"""
The library's benchmarks, run by `pytest --figures`.
"""

from __future__ import annotations

import pytest

from tests.bench.figures import FIGURES, exceeding, measure_best


@pytest.mark.figures
@pytest.mark.parametrize("name", FIGURES)
def test_figures_hold(
    name: str, capsys: pytest.CaptureFixture[str], pytestconfig: pytest.Config
) -> None:
    """
    No figure exceeds its maximum; the best of three runs counts, because machines are noisy.
    """
    figures = measure_best(name)
    with capsys.disabled():
        print("", *figures, sep="\n  ")
        assert exceeding(figures, pytestconfig) == []
