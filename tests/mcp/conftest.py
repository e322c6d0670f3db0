"""
Every test of the server runs over both eras of the protocol.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mcp.serving import ERAS, Era, Room


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> Era:
    """
    Parametrize over both eras.
    """
    chosen: Era = request.param
    return chosen


@pytest.fixture(autouse=True)
def _looking_often(looking_often: None) -> None:
    """
    Poll without delay; the library's own tests cover the polling intervals.
    """


@pytest.fixture
def room(tmp_path: Path, era: Era) -> Room:
    """
    An empty library with its own provider.
    """
    return Room(tmp_path / "library", era)
