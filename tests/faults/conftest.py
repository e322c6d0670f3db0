"""
Fixtures for tests of rare faults.
"""

from __future__ import annotations

import datetime as dt

import pytest

from imagesession._engine import acceptance
from imagesession._engine.conversation_lookup import LookupResult
from imagesession._engine.effects import Workflow


@pytest.fixture
def no_acceptance_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Count a request as not accepted at once, instead of after 15 minutes.
    """
    monkeypatch.setattr(acceptance, "ACCEPTANCE_TIMEOUT", dt.timedelta(0))


@pytest.fixture
def without_conversation_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Find nothing in any conversation during recovery: a broken twin that must be caught.
    """

    def blind(*_: object) -> Workflow[LookupResult]:
        return LookupResult(is_complete=True, date=dt.datetime.now(dt.UTC))
        yield

    monkeypatch.setattr(acceptance, "look_up", blind)
