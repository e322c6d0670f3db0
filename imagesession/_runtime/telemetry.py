"""
Tell OpenTelemetry of settled turns, by its conventions for generative AI.

Source: opentelemetry-semantic-conventions 0.66b2, `_incubating/attributes/gen_ai_attributes.py` and
`_incubating/metrics/gen_ai_metrics.py`, 2026-11-30. They are marked as experimental, so their names
stand here once.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from imagesession._domain.extras import needs_extra
from imagesession._domain.token_counts import TokenCounts, parse_image_usage, parse_text_model_usage
from imagesession._domain.turn import Turn
from imagesession._domain.wording import quote
from imagesession._version import __version__
from imagesession.errors import InvalidRequestError

from .reporting import log

Telemetry: TypeAlias = Literal["prompts"] | bool
"""Whether spans and metrics are made; "prompts" puts the prompts into the spans as well."""
OnSettled: TypeAlias = Callable[[Turn, bool], object]

# Images take seconds to minutes; the boundaries of the conventions end at 82 seconds.
_SECONDS = (1, 2.5, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600)
_DOLLARS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2)


def recorder(telemetry: Telemetry) -> OnSettled | None:
    """
    Return what records a settled turn, which is called with whether another program began it.

    It uses the process's tracer and meter providers; without any, OpenTelemetry does nothing.
    """
    if telemetry is False:
        return None
    if telemetry not in {True, "prompts"}:
        raise InvalidRequestError(
            f'telemetry={quote(telemetry)} is none of True, False and "prompts".'
        )
    with needs_extra("otel", "telemetry="):
        return _Recorder(prompts=telemetry == "prompts").record


class _Recorder:
    """
    Args:
        prompts: Whether spans have the prompts.

    Raises:
        ImportError: OpenTelemetry is not installed.
    """

    def __init__(self, *, prompts: bool) -> None:
        from opentelemetry import metrics, trace  # noqa: PLC0415 - an extra

        self._trace = trace
        self._prompts = prompts
        self._tracer = trace.get_tracer("imagesession", __version__)
        meter = metrics.get_meter("imagesession", __version__)
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration", "s", "How long a request took until it was settled",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )  # fmt: skip
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", "Tokens by model and direction"
        )
        self._cost = meter.create_histogram(
            "imagesession.cost", "{USD}", "What a request cost, as far as it is known",
            explicit_bucket_boundaries_advisory=_DOLLARS,
        )  # fmt: skip
        self._lateness = meter.create_histogram(
            "imagesession.recovery.lateness", "s",
            "How long after its start a request was settled by another program",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )  # fmt: skip
        self._takeovers = meter.create_counter(
            "imagesession.lease.takeovers", "{request}", "Requests that another program settled"
        )

    def record(self, turn: Turn, recovered: bool) -> None:  # noqa: FBT001 - the callback's form
        """
        Make a span of a settled turn, and count it. What an exporter raises is only logged: the
        turn is settled, and must not look like a failure.
        """
        if not turn.provider or turn.finished is None:
            return  # an import or a promotion
        try:
            self._record(turn, turn.finished, recovered=recovered)
        except Exception:  # noqa: BLE001 - whatever an exporter raises
            log.exception("OpenTelemetry could not record a request.")

    def _record(self, turn: Turn, finished: dt.datetime, *, recovered: bool) -> None:
        self._add_span(turn, finished, recovered=recovered)
        common = _common(turn)
        seconds = (finished - turn.started).total_seconds()
        if turn.batch is not None or turn.within != "soonest":
            pass  # these take hours on purpose
        elif recovered:
            self._takeovers.add(1, common)
            self._lateness.record(seconds, common)
        else:
            self._duration.record(seconds, {**common, **_error(turn)})
        for model, kind, count in _token_counts(turn):
            attributes = {**common, "gen_ai.response.model": model, "gen_ai.token.type": kind}
            self._tokens.record(count, attributes)
        if turn.cost is not None:
            self._cost.record(turn.cost.known, common)

    def _add_span(self, turn: Turn, finished: dt.datetime, *, recovered: bool) -> None:
        name = f"{_operation(turn)} {turn.options.image_model}"
        attributes = {**_span_attributes(turn), "imagesession.recovered": recovered}
        if self._prompts:
            part = {"type": "text", "content": turn.prompt}
            attributes["gen_ai.input.messages"] = json.dumps([{"role": "user", "parts": [part]}])
        span = self._tracer.start_span(
            name,
            kind=self._trace.SpanKind.CLIENT,
            attributes=attributes,
            start_time=_nanoseconds(turn.started),
        )
        if turn.failure is not None:
            span.set_status(self._trace.StatusCode.ERROR, turn.failure.error)
        span.end(_nanoseconds(finished))


def _operation(turn: Turn) -> str:
    return "chat" if turn.kind == "analysis" else "generate_content"


def _common(turn: Turn) -> dict[str, Any]:
    """
    Return the attributes of spans and metrics alike, which have few values.
    """
    return {
        "gen_ai.operation.name": _operation(turn),
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": turn.options.image_model,
        "server.address": urlsplit(turn.provider).hostname or turn.provider,
    }


def _error(turn: Turn) -> dict[str, str]:
    return {} if turn.failure is None else {"error.type": turn.failure.error}


def _span_attributes(turn: Turn) -> dict[str, Any]:
    text, image = _counts(turn)
    known = [count for _, count in (text, image) if count is not None]
    values = {
        **_common(turn),
        **_error(turn),
        "gen_ai.output.type": "text" if turn.kind == "analysis" else "image",
        "gen_ai.response.model": turn.model,
        "gen_ai.response.id": turn.response_id,
        "gen_ai.conversation.id": turn.session,
        "gen_ai.usage.input_tokens": sum(count.input for count in known) if known else None,
        "gen_ai.usage.output_tokens": sum(map(_output, known)) if known else None,
        "imagesession.turn.id": turn.id,
        "imagesession.turn.kind": turn.kind,
        "imagesession.images": len(turn.images),
        "imagesession.cost": None if turn.cost is None else turn.cost.known,
        "imagesession.batch": turn.batch,
    }
    return {name: value for name, value in values.items() if value is not None}


def _counts(turn: Turn) -> tuple[tuple[str, TokenCounts | None], ...]:
    return (
        (turn.model or "unknown", parse_text_model_usage(turn.usage.mainline)),
        (turn.options.image_model, parse_image_usage(turn.usage.image)),
    )


def _output(count: TokenCounts) -> int:
    return count.text_out + count.image_out


def _token_counts(turn: Turn) -> Iterator[tuple[str, str, int]]:
    for model, count in _counts(turn):
        if count is not None:
            yield model, "input", count.input
            yield model, "output", _output(count)


def _nanoseconds(time: dt.datetime) -> int:
    return int(time.timestamp() * 1_000_000) * 1_000
