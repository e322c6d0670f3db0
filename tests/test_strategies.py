"""
The strategies of a request: the depth of the call stack, and that the table always ends.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession import ProgressEvent, Studio
from imagesession._domain.model_catalog import load_catalogue
from imagesession._domain.options import GenerateOptions
from imagesession._domain.servers import Feature
from imagesession._domain.turn import ProviderState, Turn
from imagesession._engine import deliver
from imagesession._engine.effects import MonotonicTime, Sleep, StoreCall, Workflow
from imagesession._engine.payloads import PreparedRequest
from imagesession._engine.provider_errors import (
    ContextLengthExceededError,
    ConversationLockedError,
    ConversationNotFoundError,
    FeatureUnsupportedError,
    PreviousResponseNotFoundError,
    ProviderFileNotFoundError,
    RequestNotProcessedError,
)
from imagesession._engine.request import StudioConfig
from imagesession._engine.strategies import STRATEGIES, Delivery
from imagesession._runtime import runtime
from imagesession.errors import ImageSessionError
from imagesession.testing import FakeOpenAI, FakeRequest, FakeResponse

MOST_GENERATORS = 9
NOW = dt.datetime(2026, 11, 29, tzinfo=dt.UTC)


def suspended(workflow: Any) -> int:
    """
    Count the suspended generators of a workflow, including the effect's own.
    """
    count = 0
    while workflow is not None:
        count += 1
        workflow = getattr(workflow, "gi_yieldfrom", None)
    return count


@pytest.mark.parametrize("observed", [False, True])
def test_few_generators_are_suspended_at_the_paid_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, observed: bool
) -> None:
    """
    At most nine generators are suspended between `session.generate` and the paid request, with and
    without a progress callback.
    """
    running: list[Any] = []
    events: list[ProgressEvent] = []
    counts: list[int] = []
    real = vars(runtime)["run_workflow"]

    def drive(flow: Workflow[Any], *args: Any, **kwargs: Any) -> Any:
        running.append(flow)
        return real(flow, *args, **kwargs)

    class Counting(FakeOpenAI):
        def handle(self, call: FakeRequest) -> FakeResponse:
            counts.append(suspended(running[-1]))
            return super().handle(call)

    monkeypatch.setattr(runtime, "run_workflow", drive)
    with Studio.offline(tmp_path, provider=Counting()) as studio:
        session = studio.session("x")
        on_progress = events.append if observed else None
        session.generate("a teapot", on_progress=on_progress)
        session.generate("bluer", on_progress=on_progress)
    assert len(counts) == 2
    assert max(counts) <= MOST_GENERATORS


# --- the table --------------------------------------------------------------------------------

FEATURES: tuple[Feature, ...] = get_args(Feature)
REASONS = st.one_of(
    st.sampled_from(FEATURES).map(lambda feature: FeatureUnsupportedError(feature, "no")),
    st.sampled_from(
        [
            PreviousResponseNotFoundError("gone"),
            ConversationNotFoundError("gone"),
            ConversationLockedError("busy"),
            ProviderFileNotFoundError("gone"),
            ContextLengthExceededError("full"),
        ]
    ),
)


def make_turn(number: int, **facts: Any) -> Turn:
    """
    Make a turn of a branch.
    """
    return Turn(
        id=f"{number:026}", session="s", parent=f"{number - 1:026}" if number else None,
        depth=number + 1, prompt=f"change {number}", options=GenerateOptions(), provider="p",
        started=NOW, **facts,
    )  # fmt: skip


@attrs.define
class World:
    """
    Answers effects for a provider that cannot create conversations.
    """

    def run(self, flow: Workflow[Any]) -> Any:
        """
        Run a workflow that only uses the library.
        """
        answer: Any = None
        while True:
            try:
                step = flow.send(answer)
            except StopIteration as stop:
                return stop.value
            match step:
                case MonotonicTime():
                    answer = 0.0
                case Sleep():
                    answer = None
                case StoreCall():
                    answer = frozenset[Feature]({"conversation"})
                case _:
                    raise AssertionError(step)


@given(
    st.sampled_from(get_args(ProviderState)),
    st.integers(0, 6),
    st.none() | st.integers(1, 5),
    st.booleans(),
    st.lists(REASONS, min_size=60, max_size=60),
)
def test_every_chain_of_refusals_ends(
    state: ProviderState,
    count: int,
    remember: int | None,
    talks: bool,  # noqa: FBT001 - hypothesis gives it by its place
    reasons: list[RequestNotProcessedError],
) -> None:
    """
    Each refusal leads to a different request, and after a few there is none left: the call ends
    with an error.
    """
    conversation = "conv_1" if talks and state == "conversation" else None
    past = tuple(
        make_turn(n, response_id=f"resp_{n}", conversation=conversation, provider_state=state)
        for n in range(count)
    )
    prepared = PreparedRequest(
        turn=make_turn(count, conversation=conversation), mainline="m", files={"digest": "file-1"}
    )
    delivery = Delivery(
        prepared=prepared, past=past, deadline=100.0, history_turns=len(past),
        config=StudioConfig(catalogue=load_catalogue(), provider_state=state, remember=remember),
    )  # fmt: skip
    requests: set[tuple[Any, ...]] = set()
    for reason in reasons:
        strategy = delivery.strategy
        assert strategy in STRATEGIES
        turns_sent = strategy.turns_sent(delivery) if past else 0
        assert (
            remember is None or turns_sent <= max(remember, 1) or strategy.context_mode == "rebuilt"
        )
        request = (
            strategy.name, delivery.mode, delivery.supports("store"), bool(delivery.prepared.files),
            delivery.prepared.turn.conversation, delivery.history_turns, delivery.lock_retries,
            delivery.supports("prompt_cache_key"),
        )  # fmt: skip
        assert request not in requests
        requests.add(request)
        try:
            delivery = World().run(deliver._fall_back(delivery, strategy, reason))  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the table itself
        except ImageSessionError:
            return
    raise AssertionError("it went on for ever")
