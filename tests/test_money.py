"""
What pictures cost: told before, recorded after, added up, and held within a budget by all programs
that share a library.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from imagesession import Budget, Studio
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
from tests.clock import ago
from tests.conftest import MakeStudio
from tests.unsettled import unsettled

# A named size and quality, so that what a picture could cost lies close to what it does.
PLAIN: dict[str, Any] = {"size": "1024x1024", "quality": "low"}
DAY = dt.timedelta(days=1)


def asked(provider: FakeOpenAI) -> list[Any]:
    """
    Return the bodies of the requests that draw, which are those that are paid for.
    """
    return [
        call.body
        for call in provider.requests
        if call.method == "POST" and call.path.startswith(("/responses", "/images"))
    ]


def nothing_was_sent(provider: FakeOpenAI) -> bool:
    """
    Tell whether the provider was asked for nothing; a conversation, which is free and says
    nothing of what will be asked in it, may have been begun.
    """
    for call in provider.requests:
        assert (call.method, call.path) == ("POST", "/conversations")
        assert call.body.keys() == {"metadata"}
    return len(provider.requests) <= 1


@pytest.fixture
def most(tmp_path: Path) -> float:
    """
    The most that a plain picture could cost, in US dollars.
    """
    with Studio.offline(tmp_path / "elsewhere") as studio:
        high = studio.estimate("a teapot", **PLAIN).high
    assert high is not None
    return high


# --- told before and after -----------------------------------------------------------------------


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
def test_an_estimate_holds_what_it_costs(
    studio: Any, provider: FakeOpenAI, options: dict[str, Any]
) -> None:
    """
    What is told before holds what is billed after; telling it asks nobody.
    """
    reported = studio.estimate("a teapot", **options)
    assert provider.requests == ()
    cost = studio.generate("a teapot", **options).cost
    assert reported.low <= cost.total <= reported.high
    assert studio.estimate("a teapot", n=3, **options).high == pytest.approx(3 * reported.high)


def test_an_estimate_without_a_bound_says_why(studio: Any) -> None:
    """
    Where a model's price is not known there is no most, and the grounds say of which model.
    """
    reported = studio.estimate("a teapot", image_model="my-own-model")
    assert reported.high is None
    assert any("my-own-model" in ground for ground in reported.assumptions)
    assert "or more" in str(reported)


@pytest.mark.parametrize(
    "wrong", [{"n": 0}, {"n": True}, {"quality": "ultra"}, {"partial_images": 9}, {"image": b"x"}]
)
def test_an_estimate_of_nonsense_is_refused(studio: Any, wrong: dict[str, Any]) -> None:
    """
    What could not be asked for has no price.
    """
    with pytest.raises(InvalidRequestError):
        studio.estimate("a teapot", **wrong)


def test_costs_add_up(studio: Any) -> None:
    """
    A picture, its session, the library and the file beside the picture agree on the money.
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


def test_spending_is_grouped(studio: Any) -> None:
    """
    By session, kind, model, provider and day, each picture is counted once.
    """
    session = studio.session("Teapots")
    session.generate("a teapot", **PLAIN)
    session.generate("bluer", **PLAIN)
    studio.product("a mug", model="gpt-6-sol")
    studio.map(["one", "two"])
    groups = {by: studio.costs(group_by=by).groups for by in ("session", "kind", "model", "day")}
    counts = {by: {name: item.images for name, item in groups[by].items()} for by in groups}
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


def test_spending_of_days(studio: Any) -> None:
    """
    Days are asked for from and up to, both included; printed, each has its line.
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


def without_usage(answer: FakeResponse) -> FakeResponse:
    """
    Bend an answer so that it does not say what was used.
    """
    return attrs.evolve(answer, parts=map(_silent, answer.parts))


def _silent(part: Any) -> Any:
    if not isinstance(part, bytes) or b"event: response.completed" not in part:
        return part
    head, _, data = part.partition(b"data: ")
    event = json.loads(data)
    del event["response"]["usage"], event["response"]["tool_usage"]
    return head + b"data: " + json.dumps(event).encode() + b"\n\n"


def reset(*_: object) -> FakeResponse:
    """
    Break the connection before the first byte of an answer.
    """
    return FakeResponse(headers={}, parts=iter((ConnectionReset(),)))


def silent_on_usage() -> Fault:
    """
    Plan an answer that does not say what was used.
    """
    return Fault(method="POST", path="/responses", bend=without_usage)


def test_what_is_not_known_is_said(studio: Any, provider: FakeOpenAI) -> None:
    """
    Where the provider does not say what was used, the cost is not called nothing: it is unknown,
    with the reason, in the picture, the session and the spending.
    """
    session = studio.session("Teapots")
    provider.enqueue_fault(silent_on_usage())
    image = session.generate("a teapot", **PLAIN)
    assert image.cost.total is None
    assert image.cost.unknown
    assert session.cost().total is None
    session.generate("bluer", **PLAIN)
    assert session.cost().total is None
    assert session.cost().known > 0
    assert studio.costs().total.uncertain == 1
    assert "1 turns at an unknown price" in str(studio.costs())


# --- held within a budget ------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["per_call", "per_session", "per_day"])
def test_what_could_exceed_a_budget_is_not_sent(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, most: float, limit: str
) -> None:
    """
    The request is refused before it is sent, the error says by how much, and nothing is left of
    it; a call that fits is made.
    """
    allowed = most * 1.01  # a session tells the model its description too
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
    assert most < session.generate("a teapot", **PLAIN).turn.reserved < allowed


def test_what_was_told_before_is_enough(
    make_studio: MakeStudio, tmp_path: Path, most: float
) -> None:
    """
    A budget of exactly what a call was said to cost at most lets it through.
    """
    assert make_studio(tmp_path, budget=Budget(per_day=most)).generate("a teapot", **PLAIN).bytes


def test_a_session_and_a_day_are_used_up(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, most: float
) -> None:
    """
    What was spent counts, in this studio and the next; another session and another day have room.
    """
    limits = {"per_session": most * 1.5, "per_day": most * 2.1}
    studio = make_studio(tmp_path, provider=provider, budget=Budget(**limits))
    session = studio.session("x")
    cost = session.generate("a teapot", **PLAIN).cost.total
    again = make_studio(tmp_path, provider=provider, budget=Budget(**limits))
    with pytest.raises(BudgetExceededError) as caught:
        again.open(session.id).generate("bluer", **PLAIN)
    assert caught.value.limit == "per_session"
    assert caught.value.spent == pytest.approx(cost)
    second = again.session("y").generate("a teapot", **PLAIN).cost.total
    with pytest.raises(BudgetExceededError) as caught:
        again.generate("a teapot", **PLAIN)
    assert caught.value.limit == "per_day"
    assert caught.value.spent == pytest.approx(cost + second)
    assert len(asked(provider)) == 2
    with ago(DAY, studio.library):
        yesterday = make_studio(tmp_path, provider=provider, budget=Budget(**limits))
        assert yesterday.generate("a teapot", **PLAIN).bytes


def test_prices_without_a_bound_are_not_let_through(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    What a call could cost must be known to be held within a budget.
    """
    studio = make_studio(tmp_path, provider=provider, budget=Budget(per_day=1000.0))
    with pytest.raises(BudgetExceededError, match="no upper bound") as caught:
        studio.generate("a teapot", image_model="my-own-model")
    assert caught.value.needed == math.inf
    assert nothing_was_sent(provider)


@pytest.mark.parametrize("verb", ["edit", "product", "stream", "improve", "analyze"])
def test_every_verb_is_held_to_the_budget(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, verb: str
) -> None:
    """
    No way of asking leads past the budget.
    """
    studio = make_studio(tmp_path, provider=provider, budget=Budget(per_day=0.000001))
    photo = {} if verb in {"product", "stream"} else {"image": tiny_image()}
    words = () if verb == "analyze" else ("more contrast",)
    with pytest.raises(BudgetExceededError):
        list(getattr(studio, verb)(*words, **photo))
    assert asked(provider) == []


@pytest.mark.usefixtures("looking_often")
def test_many_are_held_to_the_budget_one_by_one(
    make_studio: MakeStudio, tmp_path: Path, most: float
) -> None:
    """
    Of many that are under way at once, as many are made as the budget holds; the others are
    errors in their places.
    """
    provider = FakeOpenAI(latency=0.4)
    studio = make_studio(tmp_path, provider=provider, budget=Budget(per_day=most * 3.5), **PLAIN)
    results = studio.map(["a teapot"] * 8, concurrency=8)
    assert (len(results.images), len(results.errors)) == (3, 5)
    assert all(isinstance(error, BudgetExceededError) for error in results.errors)
    assert len(asked(provider)) == 3


def test_what_was_not_billed_is_given_back(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, most: float
) -> None:
    """
    What was set aside for a request that was turned away or blocked is there for the next.
    """
    studio = make_studio(tmp_path, provider=provider, budget=Budget(per_day=most), **PLAIN)
    provider.fail_next(status=429, headers={"retry-after": "0"}, method="POST", path="/responses")
    provider.moderate_next()
    for error in (RateLimitError, ContentBlockedError):
        with pytest.raises(error):
            studio.generate("a teapot")
    assert studio.generate("a teapot").bytes
    assert len(asked(provider)) == 3


def test_what_may_have_been_billed_stays_set_aside(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, most: float
) -> None:
    """
    While nobody knows whether a request was carried out, its reservation counts; and so it does
    in the next program.
    """
    budget = Budget(per_day=most * 1.5)
    studio = make_studio(tmp_path, provider=provider, budget=budget, **PLAIN)
    provider.enqueue_fault(Fault(method="POST", path="/responses", instead=reset))
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot")
    for item in (studio, make_studio(tmp_path, provider=provider, budget=budget, **PLAIN)):
        with pytest.raises(BudgetExceededError) as caught:
            item.generate("a teapot")
        assert caught.value.spent == pytest.approx(most)
    assert len(asked(provider)) == 1


def test_what_was_found_counts_with_the_most(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, most: float
) -> None:
    """
    A picture whose answer was lost, and which was found in its conversation, comes without its
    usage: its reservation goes on counting, in the next program too.
    """
    budget = Budget(per_day=most * 1.5)
    studio = make_studio(
        tmp_path, provider=provider, provider_state="conversation", budget=budget, **PLAIN
    )
    provider.enqueue_fault(Fault(method="POST", path="/responses", bend=reset))
    assert studio.generate("a teapot").cost.total is None
    for item in (studio, make_studio(tmp_path, provider=provider, budget=budget, **PLAIN)):
        with pytest.raises(BudgetExceededError) as caught:
            item.generate("a teapot")
        assert caught.value.spent == pytest.approx(most)
    assert len(asked(provider)) == 1


def test_what_a_budget_leaves(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, most: float
) -> None:
    """
    Costs say what the budget leaves today, and in a session that is named: what was spent and what
    is set aside is gone. Without such a limit there is nothing to say.
    """
    assert make_studio(tmp_path, provider=provider, **PLAIN).costs().remaining is None
    per_call = make_studio(tmp_path, provider=provider, budget=Budget(per_call=1.0), **PLAIN)
    assert per_call.costs().remaining is None
    budget = Budget(per_session=most * 3, per_day=most * 5)
    studio = make_studio(tmp_path, provider=provider, retry_timeout=0, budget=budget, **PLAIN)
    assert studio.costs().remaining == pytest.approx(most * 5)
    session = studio.session("Teapots")
    assert studio.costs(session=session).remaining == pytest.approx(most * 3)
    spent = session.generate("a teapot").cost.total
    assert studio.costs().remaining == pytest.approx(most * 5 - spent)
    assert studio.costs(session=session.id).remaining == pytest.approx(most * 3 - spent)
    assert studio.costs(until="2000-01-01").remaining == pytest.approx(most * 5 - spent)
    provider.enqueue_fault(Fault(method="POST", path="/responses", instead=reset))
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot")
    assert studio.costs().remaining == pytest.approx(most * 4 - spent)
    assert make_studio(tmp_path, budget=Budget(per_day=most)).costs().remaining == 0.0


def test_costs_of_an_unknown_session_are_an_error(studio: Any) -> None:
    """
    A session is meant by itself, its id or its name; one that is not there is an error.
    """
    session = studio.session("Teapots", name="Pots")
    session.generate("a teapot", **PLAIN)
    by_name = studio.costs(group_by="kind", session="Pots")
    assert by_name == studio.costs(group_by="kind", session=session)
    assert by_name.total.images == 1
    with pytest.raises(NotFoundError, match="no session"):
        studio.costs(session="Pans")


def test_an_unknown_price_stays_set_aside(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, most: float
) -> None:
    """
    A picture whose price nobody knows counts with the most that it could have cost.
    """
    studio = make_studio(tmp_path, provider=provider, budget=Budget(per_day=most * 1.9), **PLAIN)
    provider.enqueue_fault(silent_on_usage())
    assert studio.generate("a teapot").cost.total is None
    with pytest.raises(BudgetExceededError) as caught:
        studio.generate("a cup")
    assert caught.value.spent == pytest.approx(most)
    assert len(asked(provider)) == 1


# --- held by all processes -----------------------------------------------------------------------

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
def requesters(
    count: int, *arguments: object
) -> Generator[list[subprocess.Popen[str]], None, None]:
    """
    Start processes that are ready to ask for a picture each.
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


def answers(running: list[subprocess.Popen[str]]) -> Iterator[str]:
    """
    Let all processes ask at once; yield what became of each.
    """
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


def test_processes_that_race_stay_within_the_budget(tmp_path: Path, most: float) -> None:
    """
    Of six programs that ask at the same moment on one library, exactly as many are let through as
    the budget holds.
    """
    provider = FakeOpenAI(latency=1.5)
    with serve(provider) as served, requesters(
        6, tmp_path / "library", served.base_url, most * 3.5
    ) as running:  # fmt: skip
        reported = sorted(answers(running))
    assert reported == ["made"] * 3 + ["refused"] * 3
    assert len(asked(provider)) == 3
    with Studio.offline(tmp_path / "library") as studio:
        assert studio.costs().total.images == 3
        assert studio.costs().total.dollars <= most * 3.5


def is_accepted(library: Path) -> bool:
    """
    Tell whether a library's journal knows the provider's id of something.
    """
    files = (library / ".imagesession" / "journal").glob("*")
    return any(b'response_id": "' in file.read_bytes().partition(b"\n")[2] for file in files)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_process_keeps_what_it_set_aside(tmp_path: Path, most: float) -> None:
    """
    What a program had set aside when it was killed stays counted until it is known what became of
    its request; then what that cost counts.
    """
    ahead = 0.0
    provider = FakeOpenAI(latency=60, clock=lambda: time.time() + ahead)
    library, limit = tmp_path / "library", most * 1.8
    with serve(provider) as served:
        with requesters(1, library, served.base_url, limit) as (process,):
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
            assert caught.value.spent == pytest.approx(most)
            assert len(asked(provider)) == 1
            ahead, provider.latency = 3600.0, 0
            studio.recover()
            assert studio.images.list()[0].prompt == "a teapot"
            assert studio.generate("a cup", **PLAIN).bytes
            assert len(asked(provider)) == 2
