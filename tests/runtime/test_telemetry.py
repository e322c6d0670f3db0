"""
OpenTelemetry's real SDK learns of every request, over both twins.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from imagesession.errors import ContentBlockedError, InvalidRequestError, OutcomeUnknownError
from imagesession.testing import FakeOpenAI
from tests.clock import HoldingProvider, hurried

SECRET = "a fox with a secret name"  # noqa: S105 - a prompt


class Seen:
    """
    What OpenTelemetry exports in this process.
    """

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracing = TracerProvider()
        tracing.add_span_processor(SimpleSpanProcessor(self.exporter))
        trace.set_tracer_provider(tracing)
        metrics.set_meter_provider(MeterProvider([self.reader]))

    def spans(self) -> list[ReadableSpan]:
        """
        Return the library's spans.
        """
        spans = self.exporter.get_finished_spans()
        return [span for span in spans if span.name.startswith("generate_content")]

    def points(self, name: str) -> list[Any]:
        """
        Return the data points of a metric.
        """
        data: Any = self.reader.get_metrics_data()
        scopes = [
            scope
            for part in (data.resource_metrics if data else ())
            for scope in part.scope_metrics
        ]
        metrics = [metric for scope in scopes for metric in scope.metrics if metric.name == name]
        return [point for metric in metrics for point in metric.data.data_points]

    def total(self, name: str, part: str = "sum") -> float:
        """
        Return the sum over all data points of a metric.
        """
        return float(sum(getattr(point, part) for point in self.points(name)))


@pytest.fixture(scope="module")
def process() -> Seen:
    """
    A process may choose its providers once.
    """
    return Seen()


@pytest.fixture
def seen(process: Seen) -> Iterator[Seen]:
    """
    An empty exporter.
    """
    process.exporter.clear()
    yield process
    process.exporter.clear()


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    """
    Return a span's attributes.
    """
    return span.attributes or {}


def test_a_turn_is_a_span_by_the_conventions(make_studio: Any, seen: Seen) -> None:
    """
    A span has the operation, models, tokens, cost and ids of its turn, takes as long as it, and
    belongs to the span around the call.
    """
    session = make_studio(telemetry=True).session("Fox")
    with trace.get_tracer("a program").start_as_current_span("around") as around:
        image = session.generate(SECRET)
    (span,) = seen.spans()
    turn, values = image.turn, attributes(span)
    assert span.name == f"generate_content {turn.options.image_model}"
    assert span.kind is trace.SpanKind.CLIENT
    assert span.parent is not None
    assert span.parent.span_id == around.get_span_context().span_id
    assert values["gen_ai.operation.name"] == "generate_content"
    assert values["gen_ai.output.type"] == "image"
    assert values["gen_ai.response.model"] == turn.model
    assert values["gen_ai.response.id"] == turn.response_id
    assert values["gen_ai.conversation.id"] == session.id
    reported = turn.usage.mainline["input_tokens"] + turn.usage.image["input_tokens"]
    assert values["gen_ai.usage.input_tokens"] == reported
    assert values["imagesession.cost"] == turn.cost.known
    assert values["imagesession.recovered"] is False
    assert span.start_time == pytest.approx(turn.started.timestamp() * 1e9, abs=1e4)
    assert span.end_time == pytest.approx(turn.finished.timestamp() * 1e9, abs=1e4)


def test_images_that_are_made_side_by_side_belong_to_their_call(
    make_studio: Any, seen: Seen
) -> None:
    """
    The spans of `map` have the caller's span as parent, whichever threads they run in.
    """
    studio = make_studio(telemetry=True)
    with trace.get_tracer("a program").start_as_current_span("around") as around:
        studio.map(["a fox", "an owl"], progress=False)
    parents = [span.parent and span.parent.span_id for span in seen.spans()]
    assert parents == [around.get_span_context().span_id] * 2


def test_a_failed_turn_is_a_span_with_its_error_and_without_words(
    make_studio: Any, seen: Seen
) -> None:
    """
    A refusal has the error's name as type and status; neither prompt nor message is told.
    """
    provider = FakeOpenAI()
    provider.moderate_next()
    studio = make_studio(provider=provider, telemetry=True)
    with contextlib.suppress(ContentBlockedError):
        studio.generate(SECRET)
    (span,) = seen.spans()
    assert attributes(span)["error.type"] == "ContentBlockedError"
    assert span.status.status_code is trace.StatusCode.ERROR
    assert "secret" not in span.to_json()


def test_prompts_are_told_only_when_asked_for(make_studio: Any, seen: Seen) -> None:
    """
    `telemetry="prompts"` puts the prompt into the span, True does not, and False makes no span.
    """
    for telemetry, spans, words in ((False, 0, False), (True, 1, False), ("prompts", 1, True)):
        seen.exporter.clear()
        make_studio(telemetry=telemetry).generate(SECRET)
        assert len(seen.spans()) == spans
        assert any(SECRET in span.to_json() for span in seen.spans()) is words


def test_metrics_count_seconds_tokens_and_dollars(make_studio: Any, seen: Seen) -> None:
    """
    The metrics add up to what the turns say.
    """
    before = [seen.total(name) for name in ("imagesession.cost", "gen_ai.client.token.usage")]
    durations = seen.total("gen_ai.client.operation.duration", "count")
    image = make_studio(telemetry=True).generate("a fox")
    assert seen.total("imagesession.cost") - before[0] == pytest.approx(image.cost.known)
    usage = image.turn.usage
    tokens = usage.mainline["total_tokens"] + usage.image["total_tokens"]
    assert seen.total("gen_ai.client.token.usage") - before[1] == tokens
    assert seen.total("gen_ai.client.operation.duration", "count") == durations + 1


def test_a_recovered_turn_counts_as_taken_over(
    make_studio: Any, seen: Seen, tmp_path: Path
) -> None:
    """
    What another program began has a span that says so, counts as a takeover and in the lateness,
    and not in the durations.
    """
    provider = HoldingProvider()
    provider.hold()
    with hurried(), pytest.raises(OutcomeUnknownError):
        make_studio(tmp_path, provider=provider, timeout=60).generate("a fox")
    provider.finish()
    before = seen.total("imagesession.lease.takeovers", "value")
    (image,) = make_studio(tmp_path, provider=provider, telemetry=True).recover().images
    (span,) = seen.spans()
    assert attributes(span)["imagesession.turn.id"] == image.turn.id
    assert attributes(span)["imagesession.recovered"] is True
    assert seen.total("imagesession.lease.takeovers", "value") == before + 1
    assert seen.points("imagesession.recovery.lateness")


def test_a_broken_exporter_loses_no_image(
    make_studio: Any, seen: Seen, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """
    An exporter that raises costs its span, which is logged.
    """

    def broken(*_: object) -> None:
        raise RuntimeError("no collector")

    monkeypatch.setattr(seen.exporter, "export", broken)
    monkeypatch.setattr(SimpleSpanProcessor, "on_end", broken)
    assert make_studio(telemetry=True).generate("a fox").path.exists()
    assert "could not record" in caplog.text


def test_wrong_values_are_refused(make_studio: Any) -> None:
    """
    Another value is refused when the studio is made.
    """
    with pytest.raises(InvalidRequestError, match="telemetry='all' is none of"):
        make_studio(telemetry="all")
