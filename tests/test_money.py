"""
Costs: estimated before, recorded after, summed up, and limited by a budget that all programs on a
library share.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import math
import os
import random
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from imagesession import Budget, ProgressEvent, Studio
from imagesession.errors import (
    BudgetExceededError,
    ContentBlockedError,
    InvalidOptionError,
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitError,
)
from imagesession.testing import ConnectionReset, FakeOpenAI, FakeResponse, Fault, serve, tiny_image
from tests.clock import HoldingProvider, ago
from tests.conftest import MakeStudio
from tests.unsettled import unsettled

# A specific size and quality, so that the estimate is close to the cost.
PLAIN: dict[str, Any] = {"size": "1024x1024", "quality": "low"}
DAY = dt.timedelta(days=1)


def paid_bodies(provider: FakeOpenAI) -> list[Any]:
    """
    Return the bodies of the paid requests, which are those for images.
    """
    return [
        call.body
        for call in provider.requests
        if call.method == "POST" and call.path.startswith(("/responses", "/images"))
    ]


def nothing_was_sent(provider: FakeOpenAI) -> bool:
    """
    Return whether the provider got no request, other than for the creation of a conversation, which
    is free.
    """
    for call in provider.requests:
        assert (call.method, call.path) == ("POST", "/conversations")
        assert call.body.keys() == {"metadata"}
    return len(provider.requests) <= 1


@pytest.fixture
def upper_bound(tmp_path: Path) -> float:
    """
    Return the most that a plain image could cost, in US dollars.
    """
    with Studio.offline(tmp_path / "elsewhere") as studio:
        high = studio.estimate("a teapot", **PLAIN).high
    assert high is not None
    return high


# --- estimates and costs --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        PLAIN,
        {"quality": "high"},
        {"quality": "max"},
        {"size": "1536x864", "quality": "high"},
        {"size": "832x832"},
        {"image_model": "gpt-image-2", "size": "1024x1024", "quality": "high"},
        {"model": "gpt-6-sol"},
        {"output_format": "webp", "output_compression": 50},
        {"output_format": "gif", "frames": 4},
        {"output_format": "svg"},
        {"references": tiny_image()},
        {"references": [tiny_image()] * 3, "quality": "low"},
    ],
    ids=str,
)
def test_estimate_covers_the_cost(
    studio: Any, provider: FakeOpenAI, options: dict[str, Any]
) -> None:
    """
    The estimate covers the later cost; estimating sends nothing.
    """
    estimate = studio.estimate("a teapot", **options)
    assert provider.requests == ()
    cost = studio.generate("a teapot", **options).cost
    assert estimate.low <= cost.total <= estimate.high
    assert studio.estimate("a teapot", n=3, **options).high == pytest.approx(3 * estimate.high)


def test_estimate_without_a_bound_says_why(studio: Any) -> None:
    """
    If a model's price is not known there is no upper bound, and the assumptions name the model.
    """
    estimate = studio.estimate("a teapot", image_model="my-own-model")
    assert estimate.high is None
    assert any("my-own-model" in ground for ground in estimate.assumptions)
    assert "or more" in str(estimate)


@pytest.mark.parametrize(
    "wrong", [{"n": 0}, {"n": True}, {"quality": "ultra"}, {"partial_images": 9}, {"image": b"x"}]
)
def test_invalid_estimate_is_refused(studio: Any, wrong: dict[str, Any]) -> None:
    """
    An invalid request has no estimate.
    """
    with pytest.raises(InvalidRequestError):
        studio.estimate("a teapot", **wrong)


def test_costs_add_up(studio: Any) -> None:
    """
    An image, its session, the library and the JSON file beside the image agree on the cost.
    """
    session = studio.session("Teapots")
    images = [session.generate("a teapot", **PLAIN), session.generate("bluer", quality="high")]
    alone = studio.generate("a cup", **PLAIN)
    of_session = math.fsum(image.cost.total for image in images)
    assert session.cost().total == pytest.approx(of_session)
    assert session.status().cost.total == pytest.approx(of_session)
    assert studio.costs().total.dollars == pytest.approx(of_session + alone.cost.total)
    assert studio.stats().spent == pytest.approx(of_session + alone.cost.total)
    beside = json.loads(alone.path.with_suffix(".json").read_text())["cost"]
    assert beside["mainline"] + beside["image"] == pytest.approx(alone.cost.total)
    assert alone.cost.mainline > 0
    assert alone.cost.image > 0
    assert studio.session("Empty").cost().total == 0.0


def test_cost_of_earlier_turns_is_shown(studio: Any) -> None:
    """
    Earlier turns are billed as input again: the image, its session, each group of the report and
    its text say how many tokens that is and what they cost. Standalone
    images have none.
    """
    session = studio.session("Teapots")
    images = [session.generate(f"change {number}", **PLAIN) for number in range(3)]
    studio.generate("a cup", **PLAIN)
    inputs = [image.turn.usage.mainline["input_tokens"] for image in images]
    expected = [number - inputs[0] for number in inputs]
    assert [image.cost.context_tokens for image in images] == expected
    assert all(0 < image.cost.context < image.cost.mainline for image in images[1:])
    assert images[2].cost.context > images[1].cost.context
    assert session.cost().context_tokens == sum(expected)
    groups = studio.costs(group_by="session").groups
    assert groups[session.id].context_tokens == sum(expected)
    assert groups[session.id].context_dollars == pytest.approx(session.cost().context)
    assert groups[""].context_tokens == 0
    assert f"{sum(expected):,} tokens" in str(studio.costs())
    assert any("billed in every turn" in line for line in session.estimate("x").assumptions)


def test_costs_are_grouped(studio: Any) -> None:
    """
    Grouped by session, kind, model, provider or day, each image is counted once.
    """
    session = studio.session("Teapots")
    session.generate("a teapot", **PLAIN)
    session.generate("bluer", **PLAIN)
    studio.product("a mug", model="gpt-6-sol")
    studio.map(["one", "two"])
    groups = {by: studio.costs(group_by=by).groups for by in ("session", "kind", "model", "day")}
    counts = {by: {name: group.images for name, group in groups[by].items()} for by in groups}
    today = dt.datetime.now(dt.UTC).date().isoformat()
    assert counts["session"] == {session.id: 2, "": 3}
    assert counts["kind"] == {"general": 2, "product": 1, "batch": 2}
    assert sorted(counts["model"].values()) == [1, 4]
    assert counts["model"]["gpt-6-sol"] == 1
    assert counts["day"] == {today: 5}
    (host,) = studio.costs(group_by="provider").groups
    assert "offline" in host
    totals = [studio.costs(group_by=by).total for by in ("session", "kind", "model", "provider")]
    for total in totals:
        assert (total.images, total.turns, total.uncertain) == (5, 5, 0)
        assert total.dollars == pytest.approx(studio.costs().total.dollars)
    assert studio.costs(session=session.id).total.images == 2
    assert studio.costs(group_by="kind", session=session.id).groups.keys() == {"general"}


def test_costs_are_selected_by_day(studio: Any) -> None:
    """
    Days are selected from and up to both included; each has its line when printed.
    """
    today = dt.datetime.now(dt.UTC).date()
    for back in (2, 1):
        with ago(back * DAY, studio.library):
            studio.generate("a teapot", **PLAIN)
    studio.generate("a cup", **PLAIN)
    days = [(today - back * DAY).isoformat() for back in (2, 1, 0)]
    assert list(studio.costs().groups) == days
    assert list(studio.costs(since=days[1]).groups) == days[1:]
    assert list(studio.costs(until=days[1]).groups) == days[:2]
    assert list(studio.costs(since=today - DAY, until=today - DAY).groups) == [days[1]]
    assert studio.costs(since="2999-01-01").groups == {}
    assert studio.costs(since="2999-01-01").total.dollars == 0
    printed = str(studio.costs()).splitlines()
    assert [line.split()[0] for line in printed[:4]] == [*days, "total"]
    assert "offline" in printed[-1]
    assert studio.stats().spent_today < studio.stats().spent
    with pytest.raises(InvalidOptionError, match="by="):
        studio.costs(group_by="week")


def remove_usage(answer: FakeResponse) -> FakeResponse:
    """
    Remove the usage from a response.
    """
    return attrs.evolve(answer, parts=map(_silent, answer.parts))


def _silent(part: Any) -> Any:
    if not isinstance(part, bytes) or b"event: response.completed" not in part:
        return part
    head, _, data = part.partition(b"data: ")
    event = json.loads(data)
    del event["response"]["usage"], event["response"]["tool_usage"]
    return head + b"data: " + json.dumps(event).encode() + b"\n\n"


def break_connection(*_: object) -> FakeResponse:
    """
    Break the connection before the first byte of a response.
    """
    return FakeResponse(headers={}, parts=iter((ConnectionReset(),)))


def omit_usage() -> Fault:
    """
    Omit the usage from the next response.
    """
    return Fault(method="POST", path="/responses", transform=remove_usage)


def test_unknown_cost_is_reported(studio: Any, provider: FakeOpenAI) -> None:
    """
    If the provider reports no usage, the cost is not zero but unknown, with the reason, for the
    image, the session and the report.
    """
    session = studio.session("Teapots")
    provider.enqueue_fault(omit_usage())
    image = session.generate("a teapot", **PLAIN)
    assert image.cost.total is None
    assert image.cost.unknown
    assert session.cost().total is None
    session.generate("bluer", **PLAIN)
    assert session.cost().total is None
    assert session.cost().known > 0
    assert studio.costs().total.uncertain == 1
    assert "1 turns at an unknown price" in str(studio.costs())


# --- budget ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["per_call", "per_session", "per_day"])
def test_call_that_could_exceed_the_budget_is_not_sent(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, upper_bound: float, limit: str
) -> None:
    """
    The request is refused before it is sent, the error has the excess, and nothing remains of it; a
    call that fits is made.
    """
    allowed = upper_bound * 1.01  # a session also sends its description
    studio = make_studio(tmp_path, provider=provider, budget=Budget(**{limit: allowed}))
    session = studio.session("x")
    with pytest.raises(BudgetExceededError, match=limit) as caught:
        session.generate("a teapot", size="1024x1024", quality="high")
    error = caught.value
    assert (error.limit, error.allowed, error.spent) == (limit, allowed, 0.0)
    assert error.needed > allowed
    assert nothing_was_sent(provider)
    assert unsettled(studio.library) == []
    assert session.turns() == ()
    assert upper_bound < session.generate("a teapot", **PLAIN).turn.reserved < allowed


def test_budget_of_the_estimate_is_sufficient(
    make_studio: MakeStudio, tmp_path: Path, upper_bound: float
) -> None:
    """
    A budget that equals the upper bound of the estimate permits the call.
    """
    assert (
        make_studio(tmp_path, budget=Budget(per_day=upper_bound))
        .generate("a teapot", **PLAIN)
        .bytes
    )


def test_budget_per_session_and_day_is_used_up(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, upper_bound: float
) -> None:
    """
    Earlier costs count, in this studio and the next; another session and another day are not
    affected.
    """
    limits = {"per_session": upper_bound * 1.5, "per_day": upper_bound * 2.1}
    studio = make_studio(tmp_path, provider=provider, budget=Budget(**limits))
    session = studio.session("x")
    cost = session.generate("a teapot", **PLAIN).cost.total
    second_studio = make_studio(tmp_path, provider=provider, budget=Budget(**limits))
    with pytest.raises(BudgetExceededError) as caught:
        second_studio.open(session.id).generate("bluer", **PLAIN)
    assert caught.value.limit == "per_session"
    assert caught.value.spent == pytest.approx(cost)
    second = second_studio.session("y").generate("a teapot", **PLAIN).cost.total
    with pytest.raises(BudgetExceededError) as caught:
        second_studio.generate("a teapot", **PLAIN)
    assert caught.value.limit == "per_day"
    assert caught.value.spent == pytest.approx(cost + second)
    assert len(paid_bodies(provider)) == 2
    with ago(DAY, studio.library):
        yesterday = make_studio(tmp_path, provider=provider, budget=Budget(**limits))
        assert yesterday.generate("a teapot", **PLAIN).bytes


def test_unbounded_prices_are_refused_by_a_budget(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    With a budget, a call whose cost has no known bound is refused.
    """
    studio = make_studio(tmp_path, provider=provider, budget=Budget(per_day=1000.0))
    with pytest.raises(BudgetExceededError, match="no upper bound") as caught:
        studio.generate("a teapot", image_model="my-own-model")
    assert caught.value.needed == math.inf
    assert nothing_was_sent(provider)


@pytest.mark.parametrize("verb", ["edit", "product", "stream", "improve", "analyze"])
def test_every_method_respects_the_budget(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, verb: str
) -> None:
    """
    No method bypasses the budget.
    """
    studio = make_studio(tmp_path, provider=provider, budget=Budget(per_day=0.000001))
    photo = {} if verb in {"product", "stream"} else {"image": tiny_image()}
    prompts = () if verb == "analyze" else ("more contrast",)
    with pytest.raises(BudgetExceededError):
        list(getattr(studio, verb)(*prompts, **photo))
    assert paid_bodies(provider) == []


@pytest.mark.usefixtures("looking_often")
def test_concurrent_requests_respect_the_budget(
    make_studio: MakeStudio, tmp_path: Path, upper_bound: float
) -> None:
    """
    Of many concurrent requests as many are made as the budget permits; the others are errors in the
    results.
    """
    provider = HoldingProvider()
    provider.hold()
    budget = Budget(per_day=upper_bound * 3.5)
    studio = make_studio(tmp_path, provider=provider, budget=budget, timeout=120, **PLAIN)
    failed: list[ProgressEvent] = []

    def on_progress(event: ProgressEvent) -> None:
        failed.extend([event] * (event.stage == "failed"))
        if len(failed) == 5:
            provider.finish()

    results = studio.map(["a teapot"] * 8, max_concurrency=8, on_progress=on_progress)
    assert (len(results.images), len(results.errors)) == (3, 5)
    assert all(isinstance(error, BudgetExceededError) for error in results.errors)
    assert len(paid_bodies(provider)) == 3


def test_unbilled_reservation_is_released(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, upper_bound: float
) -> None:
    """
    The reservation of a rejected or blocked request is available to the next one.
    """
    studio = make_studio(tmp_path, provider=provider, budget=Budget(per_day=upper_bound), **PLAIN)
    provider.fail_next(status=429, headers={"retry-after": "0"}, method="POST", path="/responses")
    provider.moderate_next()
    for error in (RateLimitError, ContentBlockedError):
        with pytest.raises(error):
            studio.generate("a teapot")
    assert studio.generate("a teapot").bytes
    assert len(paid_bodies(provider)) == 3


def test_reservation_of_an_unknown_outcome_is_kept(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, upper_bound: float
) -> None:
    """
    While the outcome of a request is unknown, its reservation counts, in the next program too.
    """
    budget = Budget(per_day=upper_bound * 1.5)
    studio = make_studio(tmp_path, provider=provider, budget=budget, **PLAIN)
    provider.enqueue_fault(Fault(method="POST", path="/responses", response=break_connection))
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot")
    for either_studio in (studio, make_studio(tmp_path, provider=provider, budget=budget, **PLAIN)):
        with pytest.raises(BudgetExceededError) as caught:
            either_studio.generate("a teapot")
        assert caught.value.spent == pytest.approx(upper_bound)
    assert len(paid_bodies(provider)) == 1


def test_found_image_keeps_its_reservation(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, upper_bound: float
) -> None:
    """
    An image that was found in its conversation has no usage: its reservation keeps counting, in the
    next program too.
    """
    budget = Budget(per_day=upper_bound * 1.5)
    studio = make_studio(
        tmp_path, provider=provider, provider_state="conversation", budget=budget, **PLAIN
    )
    provider.enqueue_fault(Fault(method="POST", path="/responses", transform=break_connection))
    assert studio.generate("a teapot").cost.total is None
    for either_studio in (studio, make_studio(tmp_path, provider=provider, budget=budget, **PLAIN)):
        with pytest.raises(BudgetExceededError) as caught:
            either_studio.generate("a teapot")
        assert caught.value.spent == pytest.approx(upper_bound)
    assert len(paid_bodies(provider)) == 1


def test_remaining_budget_is_reported(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, upper_bound: float
) -> None:
    """
    Cost reports have the rest of the budget today, and in a given session, after costs and
    reservations. Without a limit there is none.
    """
    assert make_studio(tmp_path, provider=provider, **PLAIN).costs().remaining is None
    per_call = make_studio(tmp_path, provider=provider, budget=Budget(per_call=1.0), **PLAIN)
    assert per_call.costs().remaining is None
    budget = Budget(per_session=upper_bound * 3, per_day=upper_bound * 5)
    studio = make_studio(tmp_path, provider=provider, retry_timeout=0, budget=budget, **PLAIN)
    assert studio.costs().remaining == pytest.approx(upper_bound * 5)
    session = studio.session("Teapots")
    assert studio.costs(session=session).remaining == pytest.approx(upper_bound * 3)
    spent = session.generate("a teapot").cost.total
    assert studio.costs().remaining == pytest.approx(upper_bound * 5 - spent)
    assert studio.costs(session=session.id).remaining == pytest.approx(upper_bound * 3 - spent)
    assert studio.costs(until="2000-01-01").remaining == pytest.approx(upper_bound * 5 - spent)
    provider.enqueue_fault(Fault(method="POST", path="/responses", response=break_connection))
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot")
    assert studio.costs().remaining == pytest.approx(upper_bound * 4 - spent)
    assert make_studio(tmp_path, budget=Budget(per_day=upper_bound)).costs().remaining == 0.0


def test_costs_of_an_unknown_session_are_an_error(studio: Any) -> None:
    """
    A session is given by itself, its id or its name; an unknown one is an error.
    """
    session = studio.session("Teapots", name="Pots")
    session.generate("a teapot", **PLAIN)
    by_name = studio.costs(group_by="kind", session="Pots")
    assert by_name == studio.costs(group_by="kind", session=session)
    assert by_name.total.images == 1
    with pytest.raises(NotFoundError, match="no session"):
        studio.costs(session="Pans")


def test_unknown_price_keeps_its_reservation(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, upper_bound: float
) -> None:
    """
    An image without a known price counts with its reservation.
    """
    studio = make_studio(
        tmp_path, provider=provider, budget=Budget(per_day=upper_bound * 1.9), **PLAIN
    )
    provider.enqueue_fault(omit_usage())
    assert studio.generate("a teapot").cost.total is None
    with pytest.raises(BudgetExceededError) as caught:
        studio.generate("a cup")
    assert caught.value.spent == pytest.approx(upper_bound)
    assert len(paid_bodies(provider)) == 1


@pytest.mark.parametrize("late", [20, pytest.param(50, marks=pytest.mark.faults)])
@pytest.mark.parametrize("state", ["responses", "none"])
def test_late_turn_reserves_little_more_than_an_early_one(
    make_studio: MakeStudio, tmp_path: Path, state: Any, late: int
) -> None:
    """
    A session's own reported usage bounds what its next turn needs: turn 20, and with --faults turn
    50, reserves at most twice as much as turn 5 for the same image, and never less than it costs.
    """
    studio = make_studio(tmp_path, budget=Budget(per_day=100.0), **PLAIN)
    session = studio.session("Teapots", provider_state=state)
    turns = [session.generate(f"change {number}").turn for number in range(late)]
    assert turns[-1].reserved <= 2 * turns[4].reserved
    assert all(turn.cost.total <= turn.reserved for turn in turns)


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.faults) for seed in range(2, 10))]
)
def test_reservation_covers_the_cost_of_any_turn(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, seed: int
) -> None:
    """
    Whatever a session's turns are (long or short, with references, on other models, after an undo,
    after the provider forgot it, with a limited context), each reserves at least what it costs.
    """
    choose = random.Random(seed)  # noqa: S311 - no secret
    studio = make_studio(tmp_path, provider=provider, budget=Budget(per_day=1000.0))
    session = studio.session("Teapots " * 100, remember=choose.choice([None, 3]))
    for _ in range(choose.randint(5, 12)):
        before = choose.choice(["undo", "reset", "", "", ""])
        if before == "undo":
            with contextlib.suppress(InvalidRequestError):  # it is at its start
                session.undo()
        elif before == "reset":
            provider.reset_memory()
        turn = session.generate(
            "a bluer teapot" + " for a shop of teas" * choose.choice([0, 100]),
            references=[tiny_image()] * choose.choice([0, 0, 1, 4]),
            quality=choose.choice(["low", "low", "high", "auto"]),
            model=choose.choice(["auto", "auto", "gpt-6.2-sol", "gpt-5.4"]),
            image_model=choose.choice(["auto", "auto", "gpt-image-2"]),
        ).turn
        assert turn.cost.total <= turn.reserved


# --- budget in processes --------------------------------------------------------------------------

REQUESTER = """
import sys
from imagesession import Budget, Studio
from imagesession.errors import BudgetExceededError
library, url, limit = sys.argv[1], sys.argv[2], float(sys.argv[3])
studio = Studio(library, api_key="x", base_url=url, budget=Budget(per_day=limit),
                size="1024x1024", quality="low")
studio.stats()
print("ready", flush=True)
sys.stdin.readline()
try:
    studio.generate("a teapot")
except BudgetExceededError:
    print("refused", flush=True)
else:
    print("made", flush=True)
"""


@contextlib.contextmanager
def start_requesters(
    count: int, *arguments: object
) -> Generator[list[subprocess.Popen[str]], None, None]:
    """
    Start processes that are ready to request an image each.
    """
    command = [sys.executable, "-c", REQUESTER, *map(str, arguments)]
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(count)
        ]
        try:
            for process in running:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
            yield running
        finally:
            for process in running:
                process.kill()


def collect_answers(running: list[subprocess.Popen[str]]) -> Iterator[str]:
    """
    Let all processes send their request at once; yield the outcome of each, the earliest first.
    """
    with selectors.DefaultSelector() as selector:
        for process in running:
            assert process.stdin is not None
            assert process.stdout is not None
            selector.register(process.stdout, selectors.EVENT_READ, process.stdout)
            process.stdin.write("go\n")
            process.stdin.flush()
        while selector.get_map():
            ready = selector.select(60)
            assert ready, "no answer came for a minute"
            for key, _ in ready:
                selector.unregister(key.fileobj)
                yield key.data.readline().strip()


def test_racing_processes_stay_within_the_budget(tmp_path: Path, upper_bound: float) -> None:
    """
    Of four programs that send requests on one library at the same time, exactly as many succeed as
    the budget permits.
    """
    provider = HoldingProvider()
    provider.hold()
    with serve(provider) as served, start_requesters(
        4, tmp_path / "library", served.base_url, upper_bound * 2.5
    ) as running:  # fmt: skip
        answers = collect_answers(running)
        # Images under way are reserved at their highest price.
        assert [next(answers), next(answers)] == ["refused"] * 2
        provider.finish()
        assert list(answers) == ["made"] * 2
    assert len(paid_bodies(provider)) == 2
    with Studio.offline(tmp_path / "library") as studio:
        assert studio.costs().total.images == 2
        assert studio.costs().total.dollars <= upper_bound * 2.5


def is_accepted(library: Path) -> bool:
    """
    Return whether a library's journal has a response id.
    """
    files = (library / ".imagesession" / "journal").glob("*")
    return any(b'response_id": "' in file.read_bytes().partition(b"\n")[2] for file in files)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed_process_keeps_its_reservation(tmp_path: Path, upper_bound: float) -> None:
    """
    The reservation of a killed program counts until the outcome of its request is known; then the
    actual cost counts.
    """
    ahead = 0.0
    provider = FakeOpenAI(latency=60, clock=lambda: time.time() + ahead)
    library, limit = tmp_path / "library", upper_bound * 1.8
    with serve(provider) as served:
        with start_requesters(1, library, served.base_url, limit) as (process,):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
            while not is_accepted(library):
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
        budget = Budget(per_day=limit)
        with Studio(library, api_key="x", base_url=served.base_url, budget=budget) as studio:
            with pytest.raises(BudgetExceededError) as caught:
                studio.generate("a cup", **PLAIN)
            assert caught.value.spent == pytest.approx(upper_bound)
            assert len(paid_bodies(provider)) == 1
            ahead, provider.latency = 3600.0, 0
            studio.recover()
            assert studio.images.list()[0].prompt == "a teapot"
            assert studio.generate("a cup", **PLAIN).bytes
            assert len(paid_bodies(provider)) == 2
