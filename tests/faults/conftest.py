"""
What tests of rare faults share.
"""

from __future__ import annotations

import datetime as dt

import pytest

from imagesession._engine import recovery
from imagesession._engine.conversation_lookup import LookupResult
from imagesession._engine.effects import Workflow


@pytest.fixture
def much_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Settle as not taken up at once what would be so after a quarter of an hour.
    """
    monkeypatch.setattr(recovery, "ACCEPTANCE_TIMEOUT", dt.timedelta(0))


@pytest.fixture
def looks_into_no_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Recover as somebody who sees nothing in any conversation; a twin that must be caught.
    """

    def blind(*_: object) -> Workflow[LookupResult]:
        return LookupResult(whole=True)
        yield

    monkeypatch.setattr(recovery, "_look_up", blind)
