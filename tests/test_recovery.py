"""
Intents of stopped programs and of calls that timed out are settled once, and their requests never
sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import attrs
import pytest

from imagesession import AsyncStudio, Budget, Studio
from imagesession._domain.model_catalog import load_catalogue
from imagesession._domain.options import GenerateOptions
from imagesession._domain.turn import Turn
from imagesession._engine import acceptance, recovery
from imagesession._engine.effects import (
    GetProviderName,
    MonotonicTime,
    NewId,
    Send,
    Sleep,
    StoreCall,
)
from imagesession._engine.http import TransportError
from imagesession._engine.poll import IMAGE_POLL_TIMEOUT, MIN_REQUEST_TIMEOUT
from imagesession._engine.request import StudioConfig
from imagesession._store.disk.library import DiskLibrary, open_library
from imagesession._store.library import LibraryStore
from imagesession._store.view import IntentLease
from imagesession.errors import BudgetExceededError, NotFoundError, OutcomeUnknownError
from imagesession.testing import (
    ConnectionReset,
    FakeOpenAI,
    FakeRequest,
    FakeResponse,
    Fault,
    serve,
)
from tests.clock import HoldingProvider, hurried, wait_for
from tests.conftest import MakeStudio
from tests.unsettled import unsettled

pytestmark = pytest.mark.usefixtures("looking_often")
CHILD = """
import sys
from imagesession import Studio
library, url, session = sys.argv[1:]
studio = Studio(library, api_key="x", base_url=url)
studio.open(session).generate("bluer, with a sun")
"""


def posts(provider: FakeOpenAI) -> int:
    """
    Return the number of paid requests.
    """
    return sum((call.method, call.path) == ("POST", "/responses") for call in provider.requests)


@contextlib.contextmanager
def program(
    library: Path, url: str, session: str
) -> Generator[subprocess.Popen[bytes], None, None]:
    """
    Run a program that refines a session's image, and kill it at the end if it still runs.
    """
    arguments = [sys.executable, "-c", CHILD, str(library), url, session]
    child = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def is_recorded(library: Path) -> bool:
    """
    Return whether a response id is in the journal.
    """
    return any(b'\n{"response_id"' in file.read_bytes() for file in unsettled(library))


def test_image_of_a_killed_program_is_recovered(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    If a program is killed during a generation, the next one fetches the image, pays nothing again,
    and the session continues from there.
    """
    provider = HoldingProvider()
    with serve(provider) as served:
        access = {"online": True, "api_key": "x", "base_url": served.base_url}
        studio = make_studio(tmp_path, **access)
        session = studio.session("a logo")
        first = session.generate("a teapot")
        provider.hold()
        with program(tmp_path, served.base_url, session.id) as child:
            wait_for(lambda: is_recorded(tmp_path))
            os.kill(child.pid, signal.SIGKILL)
        provider.finish()
        recovery = studio.recover()
        (image,) = recovery.images
        assert (recovery.failed, recovery.still_pending) == ((), {})
        assert (image.prompt, image.parent) == ("bluer, with a sun", first.turn.id)
        assert session.head() == image
        assert image.cost.total > 0
        assert posts(provider) == 2
        assert studio.recover() == type(recovery)()
        assert session.generate("redder").turn.context == "continued"
        assert posts(provider) == 3
    assert unsettled(tmp_path) == []


def test_intents_are_reconciled_before_the_next_image(
    make_studio: MakeStudio, tmp_path: Path
) -> None:
    """
    No call of `recover` is needed: a studio reconciles intents before its first request.
    """
    provider = HoldingProvider()
    with serve(provider) as served:
        access = {"online": True, "api_key": "x", "base_url": served.base_url}
        session = make_studio(tmp_path, **access).session("a logo")
        session.generate("a teapot")
        provider.hold()
        with program(tmp_path, served.base_url, session.id) as child:
            wait_for(lambda: is_recorded(tmp_path))
            os.kill(child.pid, signal.SIGKILL)
        provider.finish()
        later = make_studio(tmp_path, **access).open(session.id)
        third = later.generate("redder")
        assert [turn.prompt for turn in later.turns()] == [
            "a teapot",
            "bluer, with a sun",
            "redder",
        ]
        assert third.parent == later.turns()[1].id
    assert posts(provider) == 3


def test_intent_of_a_running_program_is_left(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    The intent of a running program is left to it, and reported.
    """
    provider = HoldingProvider()
    provider.hold()
    with serve(provider) as served:
        access = {"online": True, "api_key": "x", "base_url": served.base_url}
        studio = make_studio(tmp_path, **access)
        session = studio.session("a logo")
        with program(tmp_path, served.base_url, session.id) as child:
            wait_for(lambda: is_recorded(tmp_path))
            recovery = studio.recover(timeout=0)
            assert (recovery.images, recovery.failed) == ((), ())
            assert list(recovery.still_pending.values()) == ["a running program holds it"]
            provider.finish()
            assert child.wait(timeout=60) == 0
        assert studio.recover() == type(recovery)()
        assert len(session.images()) == 1


@pytest.mark.usefixtures("hurried")
def test_timed_out_call_is_recovered(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    An image that was not finished in time is fetched later, by the same program.
    """
    provider = HoldingProvider()
    provider.hold()
    studio = make_studio(tmp_path, provider=provider, timeout=60)
    with pytest.raises(OutcomeUnknownError) as caught:
        studio.generate("a teapot")
    early = studio.recover(timeout=0)
    assert list(early.still_pending) == [caught.value.turn_id]
    provider.finish()
    (image,) = studio.recover().images
    assert image.turn.id == caught.value.turn_id
    assert posts(provider) == 1


def test_cancelled_task_is_recoverable(tmp_path: Path) -> None:
    """
    A task that is cancelled during a generation loses nothing: the image is fetched later.
    """
    provider = HoldingProvider()
    provider.hold()

    async def run() -> None:
        async with AsyncStudio.offline(tmp_path, provider=provider) as studio:
            task = asyncio.create_task(studio.generate("a teapot"))
            while not is_recorded(tmp_path):  # noqa: ASYNC110 - a file on the disk raises no event
                await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            provider.finish()
            recovery = await studio.recover()
            assert [image.prompt for image in recovery.images] == ["a teapot"]

    asyncio.run(run())
    assert posts(provider) == 1


def lose_next_response(provider: FakeOpenAI, path: str = "/responses") -> None:
    """
    Lose the response to the next paid request.
    """
    provider.enqueue_fault(
        Fault(
            method="POST",
            path=path,
            transform=lambda answer: attrs.evolve(answer, parts=iter([ConnectionReset()])),
        )
    )


def test_request_without_an_id_is_settled_as_unknown(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A request whose response was lost before its id was known, outside of a conversation, is settled
    as unknown, never sent again, and counted by a budget.
    """
    studio = make_studio(tmp_path, provider=provider, budget=Budget(per_day=0.1), quality="high")
    lose_next_response(provider)
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot", size="1024x1024")
    recovery = studio.recover()
    (turn,) = recovery.failed
    assert turn.failure.error == "OutcomeUnknownError"
    assert (turn.cost.total, turn.cost.known) == (None, 0)
    with pytest.raises(BudgetExceededError):
        studio.generate("another", size="1024x1024")
    assert posts(provider) == 1
    assert studio.costs().total.uncertain == 1


def cut_next_stream(provider: FakeOpenAI) -> None:
    """
    Cut the connection of the next stream after its first event, which has the response id.
    """

    def cut(answer: FakeResponse) -> FakeResponse:
        parts = itertools.chain(itertools.islice(answer.parts, 1), [ConnectionReset()])
        return attrs.evolve(answer, parts=parts)

    provider.enqueue_fault(Fault(method="POST", path="/responses", transform=cut))


def drop_next_request(provider: FakeOpenAI) -> None:
    """
    Drop the next paid request before it reaches the provider.
    """

    def respond(_: FakeRequest) -> FakeResponse:
        return FakeResponse(headers={}, parts=iter([ConnectionReset()]))

    provider.enqueue_fault(Fault(method="POST", path="/responses", response=respond))


def fail_lookups(provider: FakeOpenAI, times: int = 1) -> None:
    """
    Fail the next lookups in a conversation.
    """
    provider.fail_next(status=500, method="GET", path="/conversations/*", times=times)


def settle_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Let 15 minutes pass.
    """
    monkeypatch.setattr(acceptance, "ACCEPTANCE_TIMEOUT", dt.timedelta(0))


def test_request_without_an_id_is_found_in_its_conversation(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    An image whose response was lost is found later by the recorded conversation, in a new branch
    and in a continued one, and not confused with an earlier image.
    """
    studio = make_studio(tmp_path, provider=provider, provider_state="conversation")
    session = studio.session("a logo")
    for number, prompt in enumerate(("a teapot", "bluer", "with a sun"), 1):
        lose_next_response(provider)
        fail_lookups(provider)
        with pytest.raises(OutcomeUnknownError) as caught:
            session.generate(prompt)
        assert caught.value.response_id is None
        (image,) = studio.recover(timeout=0).images
        assert (image.prompt, image.turn.id) == (prompt, caught.value.turn_id)
        assert session.head() == image
        assert image.turn.cost.total is None
        assert posts(provider) == 2 * number - 1
        session.generate(f"a sign {number}")
    assert len({image.sha256 for image in session.images()}) == 6
    assert unsettled(tmp_path) == []


def test_unaccepted_request_is_settled_in_time(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A request that never arrived is left alone for 15 minutes, and then settled as not accepted: a
    budget no longer counts it, and its idempotency key can be used again.
    """
    terms = {"budget": Budget(per_day=0.3), "quality": "high", "size": "1024x1024"}
    studio = make_studio(tmp_path, provider=provider, provider_state="conversation", **terms)
    drop_next_request(provider)
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot", idempotency_key="teapot")
    early = studio.recover(timeout=0)
    assert (early.images, early.failed) == ((), ())
    assert "nothing of it yet" in next(iter(early.still_pending.values()))
    with pytest.raises(OutcomeUnknownError, match="in use and not settled"):
        studio.generate("a teapot", idempotency_key="teapot")
    settle_at_once(monkeypatch)
    (turn,) = studio.recover(timeout=0).failed
    assert (turn.failure.error, turn.cost) == ("ProviderUnavailableError", None)
    assert "not accepted" in turn.failure.message
    assert studio.costs().total.uncertain == 0
    assert studio.generate("a teapot", idempotency_key="teapot").bytes
    assert posts(provider) == 2


def test_unreadable_conversation_proves_nothing(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    While a conversation cannot be read, its request stays pending; if it was deleted, the outcome
    is unknown permanently, and a budget keeps counting it.
    """
    studio = make_studio(
        tmp_path, provider=provider, provider_state="conversation", budget=Budget(per_day=1.0)
    )
    lose_next_response(provider)
    fail_lookups(provider, 2)
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot")
    settle_at_once(monkeypatch)
    assert len(studio.recover(timeout=0).still_pending) == 1
    provider.reset_memory()
    (turn,) = studio.recover(timeout=0).failed
    assert turn.failure.error == "OutcomeUnknownError"
    assert studio.costs().total.uncertain == 1
    assert posts(provider) == 1


@pytest.mark.usefixtures("hurried")
def test_request_of_another_provider_is_left(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    Ids are valid only at their provider; a request at another one is left pending and reported.
    """
    other = FakeOpenAI()
    cut_next_stream(other)
    other.fail_next(status=500, method="GET", path="/responses/*|/conversations/*", times=9999)
    with serve(other) as served:
        elsewhere = make_studio(
            tmp_path, online=True, api_key="x", base_url=served.base_url, timeout=60
        )
        with pytest.raises(OutcomeUnknownError):
            elsewhere.generate("a teapot")
    recovery = make_studio(tmp_path, provider=provider).recover(timeout=0)
    assert "it was sent to 127.0.0.1" in next(iter(recovery.still_pending.values()))
    assert posts(provider) == 0


def test_only_one_program_settles_an_intent(
    tmp_path: Path, in_threads: Callable[[list[Callable[[], Any]]], None]
) -> None:
    """
    If many programs recover at once, an image is saved once.
    """
    provider = HoldingProvider()
    provider.hold()
    studios = [Studio.offline(tmp_path, provider=provider, timeout=60) for _ in range(4)]
    with hurried(), pytest.raises(OutcomeUnknownError):
        studios[0].generate("a teapot")
    provider.finish()
    in_threads([studio.recover for studio in studios])
    assert len(studios[0].images.list()) == 1
    assert len(list((tmp_path / "general").glob("*.png"))) == 1


@pytest.mark.usefixtures("hurried")
def test_truncated_journal_line_is_ignored(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A power cut during the last line of the journal loses that line only.
    """
    provider = HoldingProvider()
    provider.hold()
    with pytest.raises(OutcomeUnknownError):
        make_studio(tmp_path, provider=provider, timeout=60).generate("a teapot")
    (intent,) = unsettled(tmp_path)
    with intent.open("ab") as file:
        file.write(json.dumps({"owner": "x"}).encode()[:7])
    provider.finish()
    assert len(make_studio(tmp_path, provider=provider).recover().images) == 1


@pytest.mark.usefixtures("hurried")
def test_pending_request_can_be_cancelled(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A request whose call timed out is listed, cancelled at the provider, and settled as such.
    """
    provider = HoldingProvider()
    provider.hold()
    studio = make_studio(tmp_path, provider=provider, timeout=60)
    with pytest.raises(OutcomeUnknownError) as caught:
        studio.generate("a teapot")
    (pending,) = studio.requests.pending()
    assert (pending.turn.id, pending.running) == (caught.value.turn_id, False)
    assert pending.response_id == caught.value.response_id
    (turn,) = studio.requests.cancel(pending.turn.id).failed
    assert (turn.status, turn.failure.error) == ("failed", "GenerationFailedError")
    assert "cancelled" in turn.failure.message
    assert studio.requests.pending() == ()
    with pytest.raises(NotFoundError, match="may be settled"):
        studio.requests.cancel(pending.turn.id)
    assert studio.recover() == type(studio.recover())()


def test_request_of_another_program_can_be_cancelled(
    make_studio: MakeStudio, tmp_path: Path
) -> None:
    """
    The program that waits for it gets an error, and settles it.
    """
    provider = HoldingProvider()
    provider.hold()
    with serve(provider) as served:
        access = {"online": True, "api_key": "x", "base_url": served.base_url}
        studio = make_studio(tmp_path, **access)
        session = studio.session("a logo")
        with program(tmp_path, served.base_url, session.id) as child:
            wait_for(lambda: is_recorded(tmp_path))
            (pending,) = studio.requests.pending()
            assert pending.running
            recovery = studio.requests.cancel(pending.turn.id)
            assert recovery.images == ()
            provider.finish()
            assert child.wait(timeout=60) != 0
        (turn,) = session.turns()
        assert (turn.status, turn.failure.error) == ("failed", "GenerationFailedError")
        assert studio.requests.pending() == ()


@pytest.mark.usefixtures("hurried")
def test_finished_request_is_not_cancelled(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    If the image is finished, it is saved instead.
    """
    provider = HoldingProvider()
    provider.hold()
    studio = make_studio(tmp_path, provider=provider, timeout=60)
    with pytest.raises(OutcomeUnknownError) as caught:
        studio.generate("a teapot")
    provider.finish()
    (image,) = studio.requests.cancel(caught.value.turn_id).images
    assert image.prompt == "a teapot"


def test_unknown_outcome_blocks_its_idempotency_key(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    An image with an idempotency key is not paid for twice, even if the outcome of the first request
    is unknown; with another key it is made.
    """
    studio = make_studio(tmp_path, provider=provider)
    provider.fail_next(status=404, path="/conversations", times=9)
    lose_next_response(provider)
    with pytest.raises(OutcomeUnknownError):
        studio.generate("a teapot", idempotency_key="teapot")
    with pytest.raises(OutcomeUnknownError, match="in use and not settled"):
        studio.generate("a teapot", idempotency_key="teapot")
    later = make_studio(tmp_path, provider=provider)
    for either_studio in (later, studio):
        with pytest.raises(OutcomeUnknownError, match="use another key"):
            either_studio.generate("a teapot", idempotency_key="teapot")
    assert posts(provider) == 1
    results = later.map({"a": "a", "b": "b"})
    assert results.ok
    later.generate("a teapot", idempotency_key="teapot, once more")
    assert posts(provider) == 4


def test_threads_of_one_program_settle_once(
    tmp_path: Path, in_threads: Callable[[list[Callable[[], Any]]], None]
) -> None:
    """
    If threads of one program settle the same intent, one of them does it.
    """
    provider = HoldingProvider()
    provider.hold()
    with Studio.offline(tmp_path, provider=provider, timeout=60) as studio:
        for number in range(4):
            with hurried(), pytest.raises(OutcomeUnknownError):
                studio.generate(f"a teapot {number}")
        provider.finish()
        in_threads([studio.recover] * 8)
        assert len(studio.images.list()) == 4
        assert studio.recover() == type(studio.recover())()


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    "poison",
    ["r" * 70_000, "r\n\r\nGET /", {"r": 1}, b"[" * 100_000],
    ids=["too long", "control characters", "no text", "nested"],
)
@pytest.mark.parametrize("by", ["recover", "generate"])
def test_poisoned_intent_holds_nobody_up(
    make_studio: MakeStudio, tmp_path: Path, poison: object, by: str
) -> None:
    """
    An intent whose id or reply cannot be read is told of, and the image behind it is recovered, by
    `recover` and before the next program's first request.
    """
    provider = HoldingProvider()
    provider.hold()
    studio = make_studio(tmp_path, provider=provider, timeout=60)
    for prompt in ("poisoned", "sound"):
        with pytest.raises(OutcomeUnknownError):
            studio.generate(prompt)
    provider.finish()
    studio.close()
    if isinstance(poison, bytes):
        provider.enqueue_fault(
            Fault(method="GET", path="/responses/*", response=lambda _: _json(poison)), times=1
        )
    else:
        with min(unsettled(tmp_path)).open("a") as journal:
            journal.write(json.dumps({"response_id": poison}) + "\n")
    after = make_studio(tmp_path, provider=provider)
    if by == "recover":
        recovery = after.recover(timeout=0)
        assert [image.prompt for image in recovery.images] == ["sound"]
        assert len(recovery.failed) + len(recovery.still_pending) == 1
    else:
        after.generate("next")
        assert "sound" in {image.prompt for image in after.images.list()}


@pytest.mark.parametrize("kind", ["journal", "batches"])
@pytest.mark.parametrize("damage", [b"?", b"[1]", b"[" * 70_000, b'{"turn": 1, "id": 1}'])
def test_damaged_record_is_set_aside_once(
    make_studio: MakeStudio, tmp_path: Path, kind: str, damage: bytes
) -> None:
    """
    A damaged record of a request or batch is moved into quarantine with all its bytes: the report
    of a recovery names it once, the doctor names it from then on, and the image behind it is kept.
    """
    provider = HoldingProvider()
    with make_studio(tmp_path, provider=provider, timeout=60) as studio:
        studio.batches.create(["batched"])
        provider.hold()
        for prompt in ("damaged", "sound"):
            with hurried(), pytest.raises(OutcomeUnknownError):
                studio.generate(prompt)
        provider.finish()
    inner = tmp_path / ".imagesession"
    record = min((inner / kind).glob("*.jsonl"), key=lambda file: file.stat().st_mtime_ns)
    record.write_bytes(damage + b"\nmore\n")
    after = make_studio(tmp_path, provider=provider)
    recovery = after.recover(timeout=0)
    ((request_id, where),) = recovery.quarantined.items()
    assert request_id in record.name
    assert f"{request_id}: its record is now {where}" in str(recovery)
    kept = json.loads(Path(where).read_bytes())
    assert (damage.decode() in kept["damaged_lines"]) or json.loads(damage).items() < kept.items()
    assert "more" in kept["damaged_lines"]
    # A batch's record is made again, as its requests are known.
    assert record.exists() == (kind == "batches")
    assert "sound" in {image.prompt for image in recovery.images}
    assert after.recover(timeout=0).quarantined == {}
    replies = after.doctor().check("replies")
    assert (replies.state, request_id in replies.message) == ("warning", True)


@pytest.mark.parametrize("damage", [b"?", b"[1]", b"{}", b"[" * 70_000])
def test_damaged_removal_holds_nobody_up(
    make_studio: MakeStudio, tmp_path: Path, damage: bytes
) -> None:
    """
    A damaged record of a removal that was not finished is moved into quarantine; what is removed
    next is removed, and the doctor names the record.
    """
    studio = make_studio(tmp_path)
    image = studio.generate("a", quality="low")
    record = tmp_path / ".imagesession" / "removals" / f"{image.turn.id}.json"
    record.write_bytes(damage)
    image.delete()
    assert studio.images.list() == ()
    assert not record.exists()
    replies = studio.doctor().check("replies")
    assert replies.state == "warning"
    assert f"1 records of removals that may be half done are damaged: {record.stem}" in str(replies)


@pytest.mark.parametrize("why", ["newer", "unfinished", "held"])
def test_record_that_may_be_whole_stays(make_studio: MakeStudio, tmp_path: Path, why: str) -> None:
    """
    A record that a newer release wrote, that is not finished, or that a program works on, is not
    taken for damaged.
    """
    provider = HoldingProvider()
    provider.hold()
    with (
        make_studio(tmp_path, provider=provider, timeout=60) as studio,
        hurried(),
        pytest.raises(OutcomeUnknownError),
    ):
        studio.generate("whole")
    (journal,) = unsettled(tmp_path)
    data = journal.read_bytes()
    changed = {
        "newer": data.replace(b'"format": 2', b'"format": 99', 1),
        "unfinished": data[:-9],
        "held": b"?\n",
    }[why]
    assert changed != data
    journal.write_bytes(changed)
    rights = DiskLibrary(tmp_path).rights
    lease = rights.hold(f"intent {journal.name.partition('.')[0]}") if why == "held" else None
    assert make_studio(tmp_path, provider=provider).recover(timeout=0).quarantined == {}
    assert journal.read_bytes() == changed
    if lease is not None:
        lease.release()


def _json(body: bytes) -> FakeResponse:
    return FakeResponse(headers={"content-type": "application/json"}, parts=iter((body,)))


@attrs.define
class TricklingWorld:
    """
    Performs the effects of a recovery with a simulated clock. The provider sends a byte now and
    then, so each of its answers takes all the time that it is given.

    Attributes:
        store: The library.
        clock: Seconds since the start.
        polled: The ids that were asked for.
    """

    store: LibraryStore
    clock: float = 0.0
    polled: set[str] = attrs.field(factory=set[str])

    def run(self, workflow: Any) -> Any:
        """
        Run a workflow.
        """
        answer: Any = None
        problem: Exception | None = None
        while True:
            try:
                effect = workflow.send(answer) if problem is None else workflow.throw(problem)
            except StopIteration as stop:
                return stop.value
            answer = problem = None
            match effect:
                case MonotonicTime():
                    answer = self.clock
                case Sleep(seconds=seconds):
                    self.clock += seconds
                case NewId():
                    answer = self.store.new_id()
                case GetProviderName():
                    answer = "p"
                case StoreCall(do=do):
                    answer = do(self.store)
                case Send(request=request):
                    self.clock += request.timeout
                    self.polled.add(request.path.split("/")[2])
                    problem = TransportError(sent=True, reason="it trickles")
                case _:
                    raise AssertionError(effect)


@pytest.mark.parametrize("timeout", [0.0, 100.0])
@pytest.mark.parametrize("state", ["responses", "conversation"])
def test_recovery_is_bounded_in_all(tmp_path: Path, timeout: float, state: Any) -> None:
    """
    However many intents wait for answers that trickle, recovery takes its timeout and one poll, and
    several of them get their turn.
    """
    store = open_library(tmp_path)
    for number in range(12):
        begun = store.new_id()
        turn = Turn(
            id=begun.id, prompt="x", options=GenerateOptions(), started=begun.at, provider="p",
            provider_state=state, conversation=f"c{number}" if state == "conversation" else None,
        )  # fmt: skip
        lease = store.intents.write(turn)
        assert isinstance(lease, IntentLease)
        if state == "responses":
            store.intents.record_response_id(turn, f"r{number}")
        lease.release()
    world = TricklingWorld(store)
    config = StudioConfig(catalogue=load_catalogue())
    settled, _ = world.run(recovery.reconcile_all(config, timeout))
    assert len(settled) == 12
    assert all(intent.pending_reason for intent in settled)
    assert world.clock <= timeout + IMAGE_POLL_TIMEOUT + 2 * MIN_REQUEST_TIMEOUT
    assert len(world.polled) >= 4
