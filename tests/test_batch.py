"""
Batches: many pictures at half the price, fetched later by whoever comes; none is paid for twice.
"""

from __future__ import annotations

import datetime as dt
import errno
import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from imagesession import AsyncStudio, BatchStatus, Budget, ImageRequest, Studio
from imagesession._engine.batches import lookup, payloads, poll
from imagesession._engine.batches import submit as engine_submit
from imagesession._fake_openai.faults import Fault
from imagesession._fake_openai.http import (
    ConnectionReset,
    FakeRequest,
    FakeResponse,
    Part,
    json_response,
)
from imagesession._store import image_files
from imagesession._store.batches import BatchStore
from imagesession.errors import (
    BadRequestError,
    BatchNotReadyError,
    BudgetExceededError,
    ContentBlockedError,
    ImageSessionError,
    InvalidImageError,
    InvalidOptionError,
    InvalidPromptError,
    InvalidRequestError,
    InvalidResponseError,
    NotFoundError,
    OutcomeUnknownError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
    StorageIOError,
)
from imagesession.testing import FakeOpenAI, tiny_image, tiny_mask
from tests.conftest import MakeStudio

ZOO = {"fox": "a fox", "owl": "an owl", "cat": "a cat"}
SMALL: dict[str, Any] = {"quality": "low", "size": "1024x1024"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Look at batches a hundred times a second.
    """
    monkeypatch.setattr(poll, "poll_delays", lambda: itertools.count(0.0, 0.01))


def posted(provider: FakeOpenAI, path: str = "/batches") -> int:
    """
    Return how often something was asked for.
    """
    return sum(call.method == "POST" and call.path == path for call in provider.requests)


def lose(provider: FakeOpenAI, *, path: str = "/batches", arrives: bool = True) -> None:
    """
    Let the answer to the next request be lost, after it arrived or before.
    """

    def bend(answer: FakeResponse) -> FakeResponse:
        return attrs.evolve(answer, parts=iter([ConnectionReset()]))

    def instead(_: FakeRequest) -> FakeResponse:
        return FakeResponse(headers={}, parts=iter([ConnectionReset()]))

    if arrives:
        provider.enqueue_fault(Fault(method="POST", path=path, bend=bend))
    else:
        provider.enqueue_fault(Fault(method="POST", path=path, instead=instead))


def report(provider: FakeOpenAI, change: Callable[[dict[str, Any]], object]) -> None:
    """
    Let the next look at a batch show something else.
    """

    def bend(answer: FakeResponse) -> FakeResponse:
        said = json.loads(b"".join(part for part in answer.parts if isinstance(part, bytes)))
        change(said)
        return json_response(said)

    provider.enqueue_fault(Fault(method="GET", path="/batches/*", bend=bend))


def rewrite(provider: FakeOpenAI, change: Callable[[list[bytes]], list[Part]]) -> None:
    """
    Let the next file that is fetched have other lines.
    """

    def bend(answer: FakeResponse) -> FakeResponse:
        whole = b"".join(part for part in answer.parts if isinstance(part, bytes))
        headers = {"content-type": "application/octet-stream", "content-length": str(len(whole))}
        rows = change(whole.splitlines(keepends=True))
        lost = sum(len(row) for row in rows if isinstance(row, bytes)) != len(whole)
        return attrs.evolve(answer, headers={} if lost else headers, parts=iter(rows))

    provider.enqueue_fault(Fault(method="GET", path="/files/*/content", bend=bend))


def kinds(results: Any) -> list[str]:
    """
    Return what stands in each place: "picture", or an error's name.
    """
    return [
        type(result).__name__ if isinstance(result, ImageSessionError) else "picture"
        for result in results
    ]


# --- a day with a batch ---------------------------------------------------------------------------


def test_a_batch_is_submitted_and_collected(studio: Any, provider: FakeOpenAI) -> None:
    """
    Submitting returns at once; when the provider is done, the pictures come in the order and under
    the names in which they were asked, whatever the order in which they were made.
    """
    provider.set_batch_speed(backwards=True)
    batch = studio.batches.create(ZOO, **SMALL)

    assert provider.generated == ()
    assert (batch.keys, len(studio.requests.pending())) == (("fox", "owl", "cat"), 3)
    with pytest.raises(BatchNotReadyError, match="in_progress, 1 of 3 made"):
        batch.results()
    found = batch.results()

    assert [item.prompt for item in found] == list(ZOO.values())
    assert (found.ok, found.get("owl").prompt) == (True, "an owl")
    assert {item.path.parent.name for item in found} == {"batch_generations"}
    assert {item.id for item in studio.images.list(kind="batch")} == {item.id for item in found}
    assert {item.turn.batch for item in found} == {batch.id}
    assert studio.requests.pending() == ()
    provider.assert_generated(3, quality="low", model="gpt-image-2.5-sunburst")


def test_pictures_of_a_batch_cost_half(studio: Any) -> None:
    """
    The estimate is at half the price and holds the bill, as the provider's usage tells it.
    """
    batch = studio.batches.create(ZOO, **SMALL)
    batch.status()
    found = batch.results()
    item = studio.generate("a fox", image_model="gpt-image-2.5-sunburst", **SMALL)

    costs = [image.cost.total for image in found]
    assert costs[0] == pytest.approx(item.cost.image / 2, rel=0.1)
    assert batch.estimate.low <= sum(costs) <= batch.estimate.high
    assert studio.costs(group_by="kind").groups["batch"].dollars == pytest.approx(sum(costs))
    assert batch.status(live=False).cost.total == pytest.approx(sum(costs))


def test_a_batch_is_estimated_before_it_is_submitted(studio: Any) -> None:
    """
    `estimate(batch=True)` tells what a batch could cost; a session has none.
    """
    batch = studio.batches.create(["a fox"] * 3, **SMALL)
    reported = studio.estimate("a fox", n=3, batch=True, **SMALL)
    assert (reported.low, reported.high) == pytest.approx((batch.estimate.low, batch.estimate.high))
    assert reported.high < studio.estimate("a fox", n=3, **SMALL).high
    with pytest.raises(InvalidOptionError, match="not made in batches"):
        studio.estimate(batch=True, image_model="gpt-image-2.6-flare")
    with pytest.raises(InvalidOptionError, match="session's turns"):
        studio.session("a zoo").estimate("a fox", batch=True)


def test_another_program_collects(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A batch is opened again by its id, its name or the provider's id of it, in any program on the
    library, and is listed there.
    """
    provider = FakeOpenAI()
    here = make_studio(tmp_path / "library", provider=provider)
    batch = here.batches.create(ZOO, name="zoo", **SMALL)
    reported = batch.status()
    here.close()

    there = make_studio(tmp_path / "library", provider=provider)
    for wanted in (batch.id, "zoo", reported.provider_id):
        assert there.batches.get(wanted).id == batch.id
    assert [item.name for item in there.batches.list()] == ["zoo"]
    assert there.batches.get("zoo").results().ok
    with pytest.raises(NotFoundError, match="there are: zoo"):
        there.batches.get("barn")


def test_waiting_tells_how_far_it_is(studio: Any, provider: FakeOpenAI) -> None:
    """
    Waiting looks until the provider is done, tells of every look, and returns the results.
    """
    provider.set_batch_speed(looks=3)
    reported: list[BatchStatus] = []
    found = studio.batches.create(ZOO, **SMALL).wait(progress=False, on_progress=reported.append)

    assert found.ok
    assert [(item.state, item.completed, item.saved) for item in reported] == [
        ("in_progress", 1, 0),
        ("in_progress", 2, 0),
        ("completed", 3, 3),
    ]
    assert str(reported[0]) == "in_progress, 1 of 3 made, 0 saved"
    assert [item.ended for item in reported] == [False, False, True]


def test_waiting_has_an_end(
    studio: Any, provider: FakeOpenAI, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Whoever waits for some time only is told where the batch stands then; it goes on by itself. A
    bar shows how many pictures are made.
    """
    provider.set_batch_speed(looks=3)
    batch = studio.batches.create(ZOO, **SMALL)
    with pytest.raises(BatchNotReadyError, match="not finished after 0 seconds"):
        batch.wait(0, progress=True)
    assert "1/3" in capsys.readouterr().err
    with pytest.raises(InvalidRequestError, match="timeout=-1"):
        batch.wait(-1)
    with pytest.raises(InvalidRequestError, match="cannot be called"):
        batch.wait(on_progress=1)
    assert batch.wait().ok


def test_a_look_that_fails_does_not_end_the_wait(studio: Any, provider: FakeOpenAI) -> None:
    """
    A provider that is away for a moment is looked at again.
    """
    batch = studio.batches.create(ZOO, **SMALL)
    provider.fail_next(status=503, path="/batches/*")
    provider.fail_next(status=500, path="/batches/*")
    assert batch.wait().ok


def test_pictures_to_go_by_are_sent_up_once(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    Edits, references and masks go along by the ids of files, each sent up once.
    """
    studio = make_studio(tmp_path / "library", provider=provider)
    jobs = [
        ImageRequest("warmer", image=tiny_image()),
        ImageRequest("bluer", image=tiny_image(), mask=tiny_mask()),
        ImageRequest("a shop in this style", references=tiny_image()),
    ]
    found = studio.batches.create(jobs, **SMALL).wait()

    assert found.ok, found.errors
    assert [item.kind for item in found] == ["edit", "edit", "batch"]
    lines = [call.body for call in provider.requests if call.path == "/images/edits"]
    assert len({body["images"][0]["file_id"] for body in lines}) == 1
    assert lines[1]["mask"]["file_id"]
    assert posted(provider, "/files") == 3  # the picture, the mask, the batch


def test_presets_stand_in_batches(studio: Any) -> None:
    """
    A job may name a preset, as for `map`.
    """
    job = ImageRequest("wireless headphones", preset="product", params={"angle": "top"})
    (image,) = studio.batches.create([job], **SMALL).wait()
    assert image.turn.parameters["angle"] == "top"


# --- what is refused before it is sent ------------------------------------------------------------


@pytest.mark.parametrize(
    "jobs,options,error,text",
    [
        ([], {}, InvalidRequestError, "nothing to ask for"),
        ("a fox", {}, InvalidRequestError, r"batches.create\(\) takes many prompts"),
        (["a fox", ""], {}, InvalidPromptError, "Picture 2 of 2: The prompt is empty"),
        ({"fox": ""}, {}, InvalidPromptError, r"Picture 1 of 1 \('fox'\)"),
        (["a fox"], {"quality": "superb"}, InvalidOptionError, "quality"),
        (
            ["a fox"],
            {"image_model": "gpt-image-2.6-flare"},
            InvalidOptionError,
            "not made in batches",
        ),
        (
            ["a fox", ImageRequest("bluer", image=tiny_image())],
            {},
            InvalidRequestError,
            "1 of 2 pictures go by",
        ),
        (
            ["a", ImageRequest("b", options={"image_model": "gpt-image-2"})],
            {},
            InvalidOptionError,
            "one image mod",
        ),
        ([ImageRequest("bluer", image="nowhere.png")], {}, InvalidImageError, "Picture 1 of 1"),
        ([ImageRequest("a", preset="nope")], {}, InvalidRequestError, "Picture 1 of 1"),
        (["a"] * 50_001, {}, InvalidRequestError, "50,001 pictures, and a batch takes 50,000"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_sent(  # noqa: PLR0917 - a case of many parts
    studio: Any,
    provider: FakeOpenAI,
    jobs: Any,
    options: dict[str, Any],
    error: type[ImageSessionError],
    text: str,
) -> None:
    """
    A batch of which any picture cannot be asked for is refused as a whole, and says which.
    """
    with pytest.raises(error, match=text):
        studio.batches.create(jobs, **options)
    assert posted(provider) == posted(provider, "/files") == 0
    assert (studio.requests.pending(), studio.batches.list()) == ((), ())


def test_a_file_that_is_too_large_is_refused(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A file of more than the provider takes is not sent, and nothing is left behind.
    """
    monkeypatch.setattr(engine_submit, "MAX_BYTES", 400)
    with pytest.raises(InvalidRequestError, match="pictures make a file of more than"):
        studio.batches.create(ZOO)
    assert posted(provider, "/files") == 0
    assert (studio.requests.pending(), studio.batches.list()) == ((), ())


@pytest.mark.parametrize("lacking", ["files", "batches"])
def test_a_provider_without_batches_says_so(
    make_studio: MakeStudio, tmp_path: Path, lacking: str
) -> None:
    """
    Where there are no batches the error says so and names `map`; nothing is left behind.
    """
    provider = FakeOpenAI(**{lacking: False})  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - a flag by its name
    studio = make_studio(tmp_path / "library", provider=provider)
    with pytest.raises(BadRequestError, match=r"does not take batches.*studio\.map"):
        studio.batches.create(ZOO)
    assert (studio.requests.pending(), studio.batches.list()) == ((), ())
    assert studio.map(["a fox"], quality="low").ok


@pytest.mark.parametrize("path", ["/files", "/batches"])
def test_a_batch_that_is_turned_away_leaves_nothing(
    studio: Any, provider: FakeOpenAI, path: str
) -> None:
    """
    A batch that the provider turned away is forgotten, and may be submitted again.
    """
    provider.fail_next(status=429, path=path, method="POST", headers={"retry-after": "0"})
    with pytest.raises(RateLimitError):
        studio.batches.create(ZOO, name="zoo", **SMALL)
    assert (studio.requests.pending(), studio.batches.list()) == ((), ())
    assert studio.batches.create(ZOO, name="zoo", **SMALL).wait().ok
    assert len(provider.generated) == 3


# --- nothing is paid for twice --------------------------------------------------------------------


def test_a_named_batch_is_submitted_once(studio: Any, provider: FakeOpenAI) -> None:
    """
    A program that is run again under a name gets the same batch, before and after it is done; for
    other pictures the name is refused.
    """
    first = studio.batches.create(ZOO, name="zoo", **SMALL)
    again = studio.batches.create(ZOO, name="zoo", **SMALL)
    found = again.wait()
    once_more = studio.batches.create(ZOO, name="zoo", **SMALL)

    assert first.id == again.id == once_more.id
    assert [result.id for result in once_more.results()] == [item.id for item in found]
    with pytest.raises(InvalidRequestError, match="another batch"):
        studio.batches.create(["a dog"], name="zoo")
    with pytest.raises(InvalidRequestError, match="name"):
        studio.batches.create(["a dog"], name=" ")
    assert (posted(provider), len(provider.generated)) == (1, 3)


def test_a_name_is_submitted_once_by_several_at_once(
    make_studio: MakeStudio,
    tmp_path: Path,
    in_threads: Callable[[list[Callable[[], Any]]], None],
) -> None:
    """
    However many programs submit the same under a name at the same time, it is asked for once, and
    all of them are given the same batch; one that would ask for something else is refused.
    """
    provider = FakeOpenAI()
    studios = [make_studio(tmp_path / "library", provider=provider) for _ in range(4)]
    found: list[str] = []

    def submit(studio: Any) -> Callable[[], None]:
        return lambda: found.append(studio.batches.create(ZOO, name="zoo", **SMALL).id)

    in_threads([submit(studio) for studio in studios])
    assert len(found) == 4
    assert len(set(found)) == posted(provider) == 1
    assert studios[0].batches.get("zoo").wait().ok
    dear = make_studio(tmp_path / "library", provider=provider, quality="high")
    with pytest.raises(InvalidRequestError, match="another batch"):
        dear.batches.create(ZOO, name="zoo", size="1024x1024")


def test_what_was_made_under_a_name_is_not_made_again(studio: Any, provider: FakeOpenAI) -> None:
    """
    Names are shared with `map`: only what is missing is asked for, and the rest is given.
    """
    owl = studio.map({"owl": "an owl"}, **SMALL).get("owl")
    batch = studio.batches.create(ZOO, **SMALL)
    reported = batch.status()
    found = batch.wait()

    assert (reported.total, reported.completed) == (3, 2)
    assert found.get("owl").id == owl.id
    assert [item.prompt for item in found] == list(ZOO.values())
    assert len(provider.generated) == 3
    done = studio.batches.create(ZOO, **SMALL)
    assert [result.id for result in done.results()] == [item.id for item in found]
    assert done.status().state == "completed"
    assert (posted(provider), len(provider.generated)) == (1, 3)


def test_what_is_under_way_is_not_asked_for_again(studio: Any, provider: FakeOpenAI) -> None:
    """
    A name that stands in a batch which is not settled is refused, and the error names the batch.
    """
    batch = studio.batches.create(ZOO, **SMALL)
    with pytest.raises(OutcomeUnknownError, match=batch.id):
        studio.batches.create({"fox": "a fox", "dog": "a dog"}, **SMALL)
    (error,) = studio.map({"fox": "a fox"}, **SMALL).errors
    assert batch.id in error.message
    assert (posted(provider), len(provider.generated)) == (1, 0)


def test_a_batch_whose_answer_is_lost_is_found(studio: Any, provider: FakeOpenAI) -> None:
    """
    When the answer to the paid request is lost, the batch is found in the provider's list.
    """
    for number in range(3):
        studio.batches.create([f"before {number}"], **SMALL)
    lose(provider)
    batch = studio.batches.create(ZOO, **SMALL)

    assert batch.wait().ok
    assert (posted(provider), len(provider.generated)) == (4, 3)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 503])
def test_a_batch_is_not_forgotten_because_nobody_may_look(
    studio: Any, provider: FakeOpenAI, status: int
) -> None:
    """
    Whatever keeps us from looking for a batch whose answer was lost, it is known still.
    """
    lose(provider)
    provider.fail_next(status=status, method="GET", path="/batches", headers={"retry-after": "0"})
    with pytest.raises(OutcomeUnknownError):
        studio.batches.create(ZOO, name="zoo", **SMALL)
    assert studio.batches.create(ZOO, name="zoo", **SMALL).wait().ok
    assert (posted(provider), len(provider.generated)) == (1, 3)


@pytest.mark.parametrize("verb", ["found", "told"])
def test_a_disk_that_is_full_then_forgets_no_batch(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """
    When the provider's id of a batch cannot be written down, it is found again by our own mark.
    """
    note, calls = BatchStore.update_batch, iter(range(100))

    def full(self: BatchStore, record: Any, news: Any) -> Any:
        if next(calls) == 1:
            raise StorageIOError("The disk is full.")
        return note(self, record, news)

    monkeypatch.setattr(BatchStore, "update_batch", full)
    if verb == "found":
        lose(provider)
    batch = studio.batches.create(ZOO, name="zoo", **SMALL)
    assert studio.batches.get("zoo").status(live=False).state == "submitting"
    assert batch.wait().ok
    assert (posted(provider), len(provider.generated)) == (1, 3)


@pytest.mark.parametrize("failure", ["lost", "500", "nonsense"])
def test_a_batch_that_is_not_found_at_once_is_found_later(
    studio: Any, provider: FakeOpenAI, failure: str
) -> None:
    """
    As long as nobody can tell whether it was taken up, it is not asked for again; whoever opens it
    later finds it.
    """
    if failure == "nonsense":
        provider.enqueue_fault(
            Fault(
                method="POST",
                path="/batches",
                bend=lambda answer: attrs.evolve(answer, parts=iter([b"<html>"])),
            )
        )
    elif failure == "500":
        provider.enqueue_fault(
            Fault(
                method="POST",
                path="/batches",
                bend=lambda answer: attrs.evolve(answer, status=500),
            )
        )
    else:
        lose(provider)
    provider.fail_next(status=500, method="GET", path="/batches")
    with pytest.raises(OutcomeUnknownError, match=r"batches\.get") as caught:
        studio.batches.create(ZOO, name="zoo", **SMALL)

    again = studio.batches.create(ZOO, name="zoo", **SMALL)
    assert again.id == caught.value.turn_id == studio.batches.get("zoo").id
    assert again.status(live=False).state == "submitting"
    assert again.wait().ok
    assert (posted(provider), len(provider.generated)) == (1, 3)


def test_another_account_does_not_give_a_batch_up(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A key that does not see the batch's file does not see the batch either, so that its list proves
    nothing.
    """
    lose(provider)
    provider.fail_next(status=500, method="GET", path="/batches")
    with pytest.raises(OutcomeUnknownError):
        studio.batches.create(ZOO, name="zoo", **SMALL)
    monkeypatch.setattr(lookup, "ACCEPTANCE_TIMEOUT", dt.timedelta(0))
    nothing: dict[str, Any] = {"object": "list", "data": [], "has_more": False}
    provider.enqueue_fault(
        Fault(method="GET", path="/batches", instead=lambda _: json_response(nothing))
    )
    provider.fail_next(status=404, method="GET", path="/files/*")

    batch = studio.batches.get("zoo")
    assert batch.status().state == "submitting"
    assert batch.wait().ok


def test_a_list_that_begins_with_the_oldest_is_read_to_its_end(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Old batches at the head of a list do not hide ours further down.
    """
    lose(provider)
    provider.fail_next(status=500, method="GET", path="/batches")
    with pytest.raises(OutcomeUnknownError):
        studio.batches.create(ZOO, name="zoo", **SMALL)
    monkeypatch.setattr(lookup, "ACCEPTANCE_TIMEOUT", dt.timedelta(0))
    old = [{"id": f"batch_{day}", "status": "completed", "created_at": day} for day in (1, 2)]
    page = {"object": "list", "data": old, "has_more": True}
    provider.enqueue_fault(
        Fault(method="GET", path="/batches", instead=lambda _: json_response(page))
    )
    asked: list[str] = []

    def listed(call: FakeRequest) -> FakeResponse:
        asked.append(call.query["after"])
        rest = FakeRequest(method="GET", path="/batches", headers=call.headers)
        return provider.handle(rest)

    provider.enqueue_fault(Fault(method="GET", path="/batches", instead=listed))
    assert studio.batches.get("zoo").wait().ok
    assert asked == ["batch_2"]


def test_a_batch_that_never_arrived_is_settled_and_may_be_submitted_again(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A batch that the provider does not list a quarter of an hour later was not taken up: its
    pictures are settled as not billed, and its name is free again.
    """
    lose(provider, arrives=False)
    with pytest.raises(OutcomeUnknownError):
        studio.batches.create(ZOO, name="zoo", **SMALL)
    batch = studio.batches.get("zoo")
    with pytest.raises(BatchNotReadyError, match="submitting"):
        batch.results()
    with pytest.raises(OutcomeUnknownError, match="does not list"):
        batch.cancel()

    monkeypatch.setattr(lookup, "ACCEPTANCE_TIMEOUT", dt.timedelta(0))
    assert kinds(batch.results()) == ["ProviderUnavailableError"] * 3
    assert (batch.status().state, studio.requests.pending()) == ("unsent", ())
    assert studio.costs().total.dollars == 0
    again = studio.batches.create(ZOO, name="zoo", **SMALL)
    assert again.id != batch.id
    assert again.wait().ok
    assert len(provider.generated) == 3


def test_a_long_list_is_searched(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A batch is found behind others that were made since, page by page.
    """
    lose(provider)
    provider.fail_next(status=500, method="GET", path="/batches")
    with pytest.raises(OutcomeUnknownError):
        studio.batches.create(ZOO, name="zoo", **SMALL)
    with Studio.offline(studio.library.parent / "other", provider=provider) as other:
        for number in range(5):
            other.batches.create([f"{number}"])
    monkeypatch.setattr(payloads, "_PAGE", 2)
    assert studio.batches.get("zoo").wait().ok


# --- what fails -----------------------------------------------------------------------------------


def test_failures_stand_in_their_places(studio: Any, provider: FakeOpenAI) -> None:
    """
    A picture that failed has its typed error in its place, now and whenever it is asked again; it
    cost nothing, and the others are kept.
    """
    provider.moderate_next()
    provider.fail_next(status=500, path="/images/generations")
    batch = studio.batches.create(ZOO, **SMALL)
    found = batch.wait()

    assert kinds(found) == ["ContentBlockedError", "ProviderError", "picture"]
    assert isinstance(found[0], ContentBlockedError)
    assert isinstance(found[1], ProviderError)
    assert kinds(studio.batches.get(batch.id).results()) == kinds(found)
    reported = batch.status()
    assert (reported.state, reported.completed, reported.failed, reported.saved) == (
        "completed",
        1,
        2,
        1,
    )
    assert "2 failed" in str(reported)
    assert reported.cost.total == found[2].cost.total
    assert studio.requests.pending() == ()


@pytest.mark.parametrize("end", ["expired", "cancelled"])
def test_what_was_made_of_a_batch_that_ended_early_is_kept(
    studio: Any, provider: FakeOpenAI, end: Any
) -> None:
    """
    Of a batch that ran out of time or was cancelled, what is made is kept; the rest was not
    billed, and may be asked for again.
    """
    provider.set_batch_speed(looks=1, end=end, done=1)
    batch = studio.batches.create(ZOO, **SMALL)
    found = batch.results()

    assert kinds(found) == ["picture", "ProviderUnavailableError", "ProviderUnavailableError"]
    assert batch.status().state == end
    assert studio.costs().total.turns == 3
    assert studio.costs().total.dollars == pytest.approx(found[0].cost.total)
    provider.set_batch_speed()
    assert studio.batches.create(ZOO, **SMALL).wait().ok
    assert len(provider.generated) == 3


def test_a_batch_is_cancelled(studio: Any, provider: FakeOpenAI) -> None:
    """
    Cancelling stops what is not made yet; what is made is kept. What has ended is not cancelled.
    """
    provider.set_batch_speed(looks=3)
    batch = studio.batches.create(ZOO, **SMALL)
    batch.status()
    assert batch.cancel().ended

    assert kinds(batch.results()) == ["picture", "picture", "ProviderUnavailableError"]
    assert batch.cancel().state == "cancelled"
    assert len(provider.generated) == 2


def test_a_batch_that_fails_as_a_whole_says_why(studio: Any, provider: FakeOpenAI) -> None:
    """
    What the provider finds wrong with all of it stands in every place; nothing was billed, and the
    name is free again.
    """
    problem = {"code": "token_limit_exceeded", "message": "Too many.", "line": None, "param": None}

    def change(said: dict[str, Any]) -> None:
        said.update(status="failed", errors={"object": "list", "data": [problem] * 5})

    report(provider, change)
    batch = studio.batches.create(ZOO, name="zoo", **SMALL)
    found = batch.results()

    assert kinds(found) == ["RateLimitError"] * 3
    assert "and 2 more" in batch.status().problem
    assert "Too many." in str(batch.status())
    assert studio.costs().total.dollars == 0
    assert studio.batches.create(ZOO, name="zoo", **SMALL).id != batch.id


def test_a_file_that_the_provider_refuses_is_told(studio: Any, provider: FakeOpenAI) -> None:
    """
    A model that the provider does not make in batches fails the batch, with its line.
    """

    def change(said: dict[str, Any]) -> None:
        problem = {"code": "model_not_found", "message": "not supported", "line": 1, "param": None}
        said.update(status="failed", errors={"data": [problem]})

    report(provider, change)
    found = studio.batches.create(ZOO, image_model="somebody-elses").results()
    assert kinds(found) == ["BadRequestError"] * 3
    assert r"line 1: not supported (model_not_found)" in found[0].message


def test_a_picture_that_cannot_be_read_is_put_aside(studio: Any, provider: FakeOpenAI) -> None:
    """
    A picture that came spoilt was paid for: its bytes are kept, its price counts, and the others
    are kept as usual.
    """

    def spoil(rows: list[bytes]) -> list[Part]:
        row = json.loads(rows[1])
        row["response"]["body"]["data"][0]["b64_json"] = "AAAA"
        return [rows[0], json.dumps(row).encode() + b"\n", b"<what>\n", rows[2]]

    batch = studio.batches.create(ZOO, **SMALL)
    batch.status(live=True)
    rewrite(provider, spoil)
    found = batch.results()

    assert kinds(found) == ["picture", "InvalidResponseError", "picture"]
    assert isinstance(found[1], InvalidResponseError)
    quarantined = list((studio.library / ".imagesession" / "quarantine").iterdir())
    assert len(quarantined) == 2
    assert studio.costs().total.dollars > 0.002 * 3


def test_a_file_that_breaks_off_is_read_again(studio: Any, provider: FakeOpenAI) -> None:
    """
    Pictures that came before a cut are kept; the file is read again for the others, and each is
    kept once.
    """
    batch = studio.batches.create(ZOO, **SMALL)
    with pytest.raises(BatchNotReadyError):
        batch.results()
    rewrite(provider, lambda rows: [rows[0], rows[1][:100], ConnectionReset()])

    assert batch.results().ok
    assert len(list(studio.library.glob("batch_generations/*.png"))) == 3


def test_a_file_that_does_not_come_is_no_loss(studio: Any, provider: FakeOpenAI) -> None:
    """
    When the pictures do not come whole, those that came are kept, and the next call brings the
    others.
    """
    batch = studio.batches.create(ZOO, **SMALL)
    batch.status()
    for _ in range(3):
        rewrite(provider, lambda rows: [rows[0], rows[1][:100], ConnectionReset()])
    with pytest.raises(ProviderUnavailableError, match="2 are left"):
        batch.results()
    assert batch.status(live=False).saved == 1
    provider.fail_next(status=404, method="GET", path="/files/*/content")
    with pytest.raises(OutcomeUnknownError, match="has no file"):
        batch.results()
    assert batch.results().ok
    assert len(list(studio.library.glob("batch_generations/*.png"))) == 3


def test_a_full_disk_loses_nothing(studio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A picture that the disk does not take stays with the provider; with room made, the next call
    brings it.
    """
    batch = studio.batches.create(ZOO, **SMALL)
    batch.status()
    put, calls = image_files.store_image, iter(range(10))

    def full(*args: Any, **named: Any) -> Any:
        if next(calls) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return put(*args, **named)

    monkeypatch.setattr(image_files, "store_image", full)
    with pytest.raises(StorageIOError):
        batch.results()
    assert len(studio.requests.pending()) == 2
    assert batch.results().ok
    assert len(list(studio.library.glob("batch_generations/*.png"))) == 3


def test_a_line_that_is_missing_is_not_given_up(studio: Any, provider: FakeOpenAI) -> None:
    """
    A picture that a finished batch does not show may have been billed: it stays unsettled, its
    place says so, and it is kept when it shows.
    """
    batch = studio.batches.create(ZOO, **SMALL)
    batch.status()
    rewrite(provider, lambda rows: [rows[0], rows[2]])
    found = batch.results()

    assert kinds(found) == ["picture", "OutcomeUnknownError", "picture"]
    assert [item.turn.prompt for item in studio.requests.pending()] == ["an owl"]
    assert batch.results().ok
    assert studio.requests.pending() == ()


def test_a_batch_that_the_provider_forgot_is_told(studio: Any, provider: FakeOpenAI) -> None:
    """
    A batch that the provider does not know any more leaves its pictures unsettled.
    """
    batch = studio.batches.create(ZOO, **SMALL)
    provider.fail_next(status=404, method="GET", path="/batches/*")
    with pytest.raises(OutcomeUnknownError, match="does not know the batch"):
        batch.status()
    assert len(studio.requests.pending()) == 3


def test_another_provider_is_not_asked(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A batch is asked of the provider that has it, and of no other.
    """
    studio = make_studio(tmp_path / "library", provider=provider)
    batch = studio.batches.create(ZOO, **SMALL)
    other = make_studio(
        tmp_path / "library", online=True, api_key="x", base_url="http://127.0.0.1:9/v1"
    )
    with pytest.raises(OutcomeUnknownError, match=r"not of 127\.0\.0\.1:9"):
        other.batches.get(batch.id).status()


# --- money ----------------------------------------------------------------------------------------


def test_a_budget_counts_a_batch_from_when_it_is_submitted(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    What a batch may cost is set aside until each of its pictures is settled; a batch that may cost
    more than is left is not sent.
    """
    library = tmp_path / "library"
    open_ = make_studio(library, provider=provider)
    most = open_.batches.create(ZOO, **SMALL).estimate.high
    provider.moderate_next()
    tight = make_studio(library, provider=provider, budget=Budget(per_day=1.5 * most))
    batch = tight.batches.create(["a dog", "a hen", "a cow"], **SMALL)

    with pytest.raises(BudgetExceededError):
        tight.batches.create(["an ape", "a bee", "a yak"], **SMALL)
    assert posted(provider) == 2
    found = batch.wait()
    assert kinds(found).count("picture") == 2
    assert tight.batches.create(["an ape"], **SMALL).wait().ok


def test_a_limit_for_a_call_holds_for_each_picture(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    What one call may cost is what one picture of a batch may cost.
    """
    free = make_studio(tmp_path / "a", provider=provider)
    item = free.batches.create(["a fox"], **SMALL).estimate.high
    studio = make_studio(tmp_path / "b", provider=provider, budget=Budget(per_call=1.1 * item))
    assert studio.batches.create(ZOO, **SMALL).wait().ok
    with pytest.raises(BudgetExceededError, match="for one call"):
        studio.batches.create(["a fox"], quality="high", size="1024x1024")


# --- others on the library ------------------------------------------------------------------------


def test_recovering_collects_batches(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    `recover` settles what batches have finished, and says of those that are not why. A line of a
    batch is not cancelled alone.
    """
    provider = FakeOpenAI()
    studio = make_studio(tmp_path / "library", provider=provider)
    batch = studio.batches.create(ZOO, **SMALL)
    first = studio.recover()
    assert (first.images, list(first.still_pending)) == ((), [batch.id])
    assert "in_progress" in str(first)
    with pytest.raises(InvalidRequestError, match=r"batches\.get"):
        studio.requests.cancel(studio.requests.pending()[0].turn.id)

    second = make_studio(tmp_path / "library", provider=provider).recover()
    assert [image.prompt for image in second.images] == list(ZOO.values())
    assert second.still_pending == {}


def test_a_batch_waits_in_peace(studio: Any, provider: FakeOpenAI) -> None:
    """
    A batch that is under way keeps nobody from making pictures, and is no trouble to the doctor.
    """
    studio.batches.create(ZOO, **SMALL)
    looked = len(provider.requests)
    assert studio.generate("a teapot", quality="low").bytes
    assert not [c for c in provider.requests[looked:] if c.path.startswith("/batches")]
    (check,) = [item for item in studio.doctor().checks if item.name == "requests"]
    assert check.state == "ok"
    assert "3 wait for their batches" in check.message


def test_a_batch_is_collected_by_several_at_once(
    make_studio: MakeStudio,
    tmp_path: Path,
    in_threads: Callable[[list[Callable[[], Any]]], None],
) -> None:
    """
    However many programs collect a batch at the same time, each picture is kept once, and all of
    them are given the same.
    """
    provider = FakeOpenAI()
    library = tmp_path / "library"
    prompts = [f"a kite, number {number}" for number in range(12)]
    batch = make_studio(library, provider=provider).batches.create(prompts, **SMALL)
    with pytest.raises(BatchNotReadyError):
        batch.results()
    handles = [make_studio(library, provider=provider).batches.get(batch.id) for _ in range(3)]
    found: list[list[str]] = []

    def collect(handle: Any) -> Callable[[], None]:
        return lambda: found.append([item.id for item in handle.results().raise_any()])

    in_threads([collect(handle) for handle in (*handles, batch)])
    assert len({tuple(ids) for ids in found}) == 1
    assert len(list(library.glob("batch_generations/*.png"))) == 12
    assert (posted(provider), len(provider.generated)) == (1, 12)


@pytest.mark.anyio
async def test_a_wait_that_is_cancelled_loses_nothing(tmp_path: Path) -> None:
    """
    Whoever stops waiting, in the middle of a look or of saving, finds the batch as it was.
    """
    provider = FakeOpenAI()
    provider.set_batch_speed(looks=5)
    prompts = [f"a kite, number {number}" for number in range(8)]
    async with AsyncStudio.offline(tmp_path / "library", provider=provider) as studio:
        batch = await studio.batches.create(prompts, name="kites", **SMALL)
        for seconds in (0.0, 0.01, 0.03, 0.05, 0.08, 0.1, 0.15):
            with anyio.move_on_after(seconds):
                await batch.wait()
        found = await (await studio.batches.get("kites")).wait()
    assert found.ok
    assert len(list((tmp_path / "library").glob("batch_generations/*.png"))) == 8
    assert (posted(provider), len(provider.generated)) == (1, 8)


def test_a_program_that_stopped_before_it_submitted_left_nothing(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A batch that was written down and not submitted is dropped by whoever comes next.
    """
    studio = make_studio(tmp_path / "library", provider=provider)
    studio.batches.create(ZOO, name="zoo", **SMALL)
    record = next((studio.library / ".imagesession" / "batches").iterdir())
    record.write_bytes(record.read_bytes().splitlines()[0] + b'\n{"owner": null}\n')
    handle = studio.batches.get("zoo")

    other = make_studio(tmp_path / "library", provider=provider)
    assert other.recover().failed == ()
    assert (other.requests.pending(), other.batches.list()) == ((), ())
    assert handle.status().state == "unsent"
    assert kinds(handle.results()) == ["ProviderUnavailableError"] * 3


def test_pictures_whose_batch_is_gone_are_told(studio: Any) -> None:
    """
    When a batch's record was deleted, nobody knows any more what became of its pictures: that is
    said, and they are not given up.
    """
    batch = studio.batches.create(ZOO, **SMALL)
    next((studio.library / ".imagesession" / "batches").iterdir()).unlink()
    found = studio.recover()
    assert list(found.still_pending) == [batch.id]
    assert "record of its batch is gone" in str(found)
    assert len(studio.requests.pending()) == 3


def test_a_damaged_batch_is_left_out(studio: Any) -> None:
    """
    A record of a batch that cannot be read does not keep the others from being listed.
    """
    batch = studio.batches.create(ZOO, **SMALL)
    folder = studio.library / ".imagesession" / "batches"
    (folder / "01K00000000000000000000000.jsonl").write_bytes(b"{}\n")
    assert [item.id for item in studio.batches.list()] == [batch.id]


def test_a_handle_shows_itself(studio: Any) -> None:
    """
    A handle tells its name, how many pictures it is about, and where it stood.
    """
    batch = studio.batches.create(ZOO, name="zoo", **SMALL)
    assert "ImageBatch 'zoo', 3 pictures" in repr(batch)
    assert (batch.__len__(), batch.name) == (3, "zoo")
    assert batch.created.tzinfo is not None


def _rows(count: int) -> Iterator[str]:
    for number in range(count):
        yield f"a kite, number {number}"


def test_prompts_may_come_from_anywhere(studio: Any) -> None:
    """
    Any iterable of prompts will do.
    """
    assert len(studio.batches.create(_rows(4), **SMALL).wait().images) == 4
