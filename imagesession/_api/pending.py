"""
The requests that are under way: `studio.requests`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import attrs

from imagesession._api.async_session import AsyncSavedImage, async_last_image
from imagesession._api.resource_base import Resource
from imagesession._api.session import SavedImage, last_image
from imagesession._api.signatures import public
from imagesession._api.workflows import ImageT
from imagesession._domain.reports import PendingRequest, RecoveryReport
from imagesession._domain.turn import Turn
from imagesession._engine import recovery
from imagesession._engine.effects import Workflow
from imagesession._engine.recovery import RecoveredIntent
from imagesession._runtime.runtime import AsyncRuntime, Runtime


@public
@attrs.frozen(eq=False, repr=False)
class RequestsResource(Resource[Runtime]):
    """
    The requests that are under way: `studio.requests`.
    """

    def pending(self) -> tuple[PendingRequest, ...]:
        """
        Return the pending requests: under way in any program, or left by a stopped one.
        """
        return self._runtime.call_store(lambda store: store.intents.pending())

    def cancel(self, turn_id: str) -> RecoveryReport[SavedImage]:
        """
        Cancel a pending request at the provider, from any program.

        Args:
            turn_id: The turn's id, from `pending` or from `OutcomeUnknownError.turn_id`.

        Returns:
            The result: in `images` if it was finished already, in `failed` if it was cancelled, in
            `still_pending` if a running program waits for it, which then settles it.

        Raises:
            NotFoundError: There is no such pending request.
            ProviderUnavailableError: The provider cannot be reached.
        """
        settled = self._runtime.run(recovery.cancel(turn_id, self._runtime.config))
        return to_recovery_report((settled,), self._wrap)

    def handle_webhook(
        self, body: str | bytes, headers: Mapping[str, str], *, secret: str | None = None
    ) -> RecoveryReport[SavedImage]:
        """
        Settle the requests that a webhook of the provider is about, as soon as it is delivered.

        Without webhooks, submitted images and batches are found when a program asks for them. The
        same event may be delivered and handled several times.

        Args:
            body: The HTTP request's body, as it arrived.
            headers: The HTTP request's headers.
            secret: The webhook endpoint's secret. Default: the environment's OPENAI_WEBHOOK_SECRET.

        Returns:
            What was settled; nothing for requests that are settled already, that a running program
            waits for, or that are not of this library.

        Raises:
            AuthenticationError: There is no secret, or the signature does not match.
            InvalidRequestError: The body is not an event.
        """
        workflow = _webhook_workflow(body, headers, secret, self._runtime)
        return to_recovery_report(self._runtime.run(workflow), self._wrap)

    def _wrap(self, turn: Turn) -> SavedImage:
        return last_image(turn, self._runtime)


@public
@attrs.frozen(eq=False, repr=False)
class AsyncRequestsResource(Resource[AsyncRuntime]):
    """
    Same as `RequestsResource`, but awaits.
    """

    async def pending(self) -> tuple[PendingRequest, ...]:
        """
        Same as `RequestsResource.pending`, but awaits.
        """
        return await self._runtime.call_store(lambda store: store.intents.pending())

    async def cancel(self, turn_id: str) -> RecoveryReport[AsyncSavedImage]:
        """
        Same as `RequestsResource.cancel`, but awaits.
        """
        settled = await self._runtime.run(recovery.cancel(turn_id, self._runtime.config))
        return to_recovery_report((settled,), self._wrap)

    async def handle_webhook(
        self, body: str | bytes, headers: Mapping[str, str], *, secret: str | None = None
    ) -> RecoveryReport[AsyncSavedImage]:
        """
        Same as `RequestsResource.handle_webhook`, but awaits.
        """
        workflow = _webhook_workflow(body, headers, secret, self._runtime)
        return to_recovery_report(await self._runtime.run(workflow), self._wrap)

    def _wrap(self, turn: Turn) -> AsyncSavedImage:
        return async_last_image(turn, self._runtime)


def _webhook_workflow(
    body: str | bytes,
    headers: Mapping[str, str],
    secret: str | None,
    runtime: Runtime | AsyncRuntime,
) -> Workflow[tuple[RecoveredIntent, ...]]:
    from imagesession._engine.webhooks import settle_event  # noqa: PLC0415 - rarely needed
    from imagesession._runtime.webhooks import read_event  # noqa: PLC0415 - loads openai

    return settle_event(read_event(body, headers, secret), runtime.config)


def to_recovery_report(
    settled: Iterable[RecoveredIntent],
    wrap: Callable[[Turn], ImageT],
    damaged: Mapping[str, str] | None = None,
) -> RecoveryReport[ImageT]:
    outcomes = tuple(settled)
    return RecoveryReport(
        images=tuple(wrap(outcome.turn) for outcome in outcomes if outcome.has_image),
        failed=tuple(outcome.turn for outcome in outcomes if outcome.failed),
        still_pending={
            outcome.turn.batch or outcome.turn.id: outcome.pending_reason
            for outcome in outcomes
            if outcome.pending_reason
        },
        quarantined=damaged or {},
    )
