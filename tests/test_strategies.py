"""
The way of a request: how deep it lies, and that the table of strategies always comes to an end.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession import Progress, Studio
from imagesession._drive import desk
from imagesession._model.catalogue import load_catalogue
from imagesession._model.options import Options
from imagesession._model.turns import ProviderState, Turn
from imagesession._plan import deliver
from imagesession._plan.failures import (
    ContextLengthExceededError,
    ConversationLockedError,
    ConversationNotFoundError,
    FeatureUnsupportedError,
    PreviousResponseNotFoundError,
    ProviderFileNotFoundError,
    RequestNotProcessedError,
)
from imagesession._plan.requests import Order
from imagesession._plan.steps import Flow, Now, OnDisk, Wait
from imagesession._plan.strategies import STRATEGIES, Delivery
from imagesession._plan.wire import Feature
from imagesession._plan.wishes import Terms
from imagesession.errors import ImageSessionError
from imagesession.testing import Answer, Call, OfflineProvider

MOST_GENERATORS = 9
NOW = dt.datetime(2026, 11, 29, tzinfo=dt.UTC)


def suspended(workflow: Any) -> int:
    """
    Count the generators that are suspended in a workflow, the effect's own among them.
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
    A reader who stands where the paid request goes out finds at most nine functions between there
    and `session.generate`, whether somebody observes the progress or not.
    """
    running: list[Any] = []
    seen: list[Progress] = []
    counts: list[int] = []
    real = vars(desk)["drive"]

    def drive(flow: Flow[Any], *args: Any, **kwargs: Any) -> Any:
        running.append(flow)
        return real(flow, *args, **kwargs)

    class Counting(OfflineProvider):
        def handle(self, call: Call) -> Answer:
            counts.append(suspended(running[-1]))
            return super().handle(call)

    monkeypatch.setattr(desk, "drive", drive)
    with Studio.offline(tmp_path, provider=Counting()) as studio:
        session = studio.session("x")
        on_progress = seen.append if observed else None
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


def turn(number: int, **facts: Any) -> Turn:
    """
    Make a turn of a line.
    """
    return Turn(
        id=f"{number:026}", session="s", parent=f"{number - 1:026}" if number else None,
        depth=number + 1, prompt=f"change {number}", options=Options(), provider="p",
        started=NOW, **facts,
    )  # fmt: skip


@attrs.define
class World:
    """
    Answers the steps of a fallback, of a provider that begins no conversation.
    """

    def run(self, flow: Flow[Any]) -> Any:
        """
        Carry out a workflow that touches nothing but the library.
        """
        answer: Any = None
        while True:
            try:
                step = flow.send(answer)
            except StopIteration as stop:
                return stop.value
            match step:
                case Now():
                    answer = 0.0
                case Wait():
                    answer = None
                case OnDisk():
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
    However a provider goes on refusing, each refusal leads to another request than before, and
    after a few there is none left: the call ends with an error.
    """
    conversation = "conv_1" if talks and state == "conversation" else None
    past = tuple(
        turn(n, response_id=f"resp_{n}", conversation=conversation, provider_state=state)
        for n in range(count)
    )
    order = Order(
        turn=turn(count, conversation=conversation), mainline="m", files={"digest": "file-1"}
    )
    delivery = Delivery(
        order=order, past=past, deadline=100.0, history=len(past),
        config=Terms(catalogue=load_catalogue(), provider_state=state, remember=remember),
    )  # fmt: skip
    seen: set[tuple[Any, ...]] = set()
    for reason in reasons:
        strategy = delivery.strategy
        assert strategy in STRATEGIES
        told = strategy.told(delivery) if past else 0
        assert remember is None or told <= max(remember, 1) or strategy.knowing == "rebuilt"
        request = (
            strategy.name, delivery.mode, delivery.takes("store"), bool(delivery.order.files),
            delivery.order.turn.conversation, delivery.history, delivery.locked,
        )  # fmt: skip
        assert request not in seen
        seen.add(request)
        try:
            delivery = World().run(deliver._fall_back(delivery, strategy, reason))  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the table itself
        except ImageSessionError:
            return
    raise AssertionError("it went on for ever")
