"""
Settle what the provider's webhooks tell of, so that nobody has to poll for it.

Source: openai 3.54, `types/webhooks/` and `resources/webhooks/webhooks.py`.
"""

from __future__ import annotations

import attrs

from .batches import poll
from .effects import MonotonicTime, StoreCall, Workflow
from .recovery import RecoveredIntent, reconcile_each
from .request import StudioConfig


@attrs.frozen(kw_only=True)
class WebhookEvent:
    """
    An event that the provider delivered, whose signature was verified.

    Attributes:
        subject: The id of the response or batch that it is about.
    """

    type: str
    subject: str


def settle_event(
    event: WebhookEvent, config: StudioConfig
) -> Workflow[tuple[RecoveredIntent, ...]]:
    """
    Settle the requests that an event is about; none if they are settled, or not of this library.
    An event is delivered at least once, and this may run any number of times.
    """
    pending = yield from StoreCall(lambda store: store.intents.pending())
    if event.type.startswith("batch."):
        lines = yield from poll.reconcile_all(pending, config)
        return tuple(RecoveredIntent(turn=turn, pending_reason=why) for turn, why in lines)
    own = [request for request in pending if request.response_id == event.subject]
    return tuple((yield from reconcile_each(own, config, (yield from MonotonicTime()))))
