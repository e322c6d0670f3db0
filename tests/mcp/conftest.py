"""
Tests of the server run over the newest era of the protocol, and with --faults over both.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mcp.serving import LEGACY, Era, Room


@pytest.fixture(params=["auto", LEGACY])
def era(request: pytest.FixtureRequest) -> Era:
    """
    Parametrize over the eras; `@BOTH_ERAS` is for tests of what differs between them.
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
