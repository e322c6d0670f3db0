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
    Give each era in turn.
    """
    chosen: Era = request.param
    return chosen


@pytest.fixture(autouse=True)
def _looking_often(looking_often: None) -> None:
    """
    Have pictures be found as soon as they are there: the library's own tests say when it looks.
    """


@pytest.fixture
def room(tmp_path: Path, era: Era) -> Room:
    """
    Give an empty library and a provider of its own.
    """
    return Room(tmp_path / "library", era)
