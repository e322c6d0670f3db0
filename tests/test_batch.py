"""
Batches: many images at half the price, collected later by any program; none is paid for twice.
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
from imagesession._engine import acceptance
from imagesession._engine.batches import payloads, poll
from imagesession._engine.batches import submit as engine_submit
from imagesession._fake_openai.faults import Fault
from imagesession._fake_openai.http import (
    ConnectionReset,
    FakeRequest,
    FakeResponse,
    Part,
    json_response,
)
from imagesession._store.batches import BatchStore
from imagesession._store.disk import blobs
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
    Poll batches a hundred times a second.
    """
    monkeypatch.setattr(poll, "poll_delays", lambda: itertools.count(0.0, 0.01))


def count_requests(provider: FakeOpenAI, path: str = "/batches") -> int:
    """
    Return how often a path was requested.
    """
    return sum(call.method == "POST" and call.path == path for call in provider.requests)


def lose_next_response(
    provider: FakeOpenAI, *, path: str = "/batches", arrives: bool = True
) -> None:
    """
    Lose the response to the next request, after or before the request arrives.
    """

    def transform(answer: FakeResponse) -> FakeResponse:
        return attrs.evolve(answer, parts=iter([ConnectionReset()]))

    def respond(_: FakeRequest) -> FakeResponse:
        return FakeResponse(headers={}, parts=iter([ConnectionReset()]))

    if arrives:
        provider.enqueue_fault(Fault(method="POST", path=path, transform=transform))
    else:
        provider.enqueue_fault(Fault(method="POST", path=path, response=respond))


def override_next_status(provider: FakeOpenAI, change: Callable[[dict[str, Any]], object]) -> None:
    """
    Replace fields of the next response to a batch's status request.
    """

    def transform(answer: FakeResponse) -> FakeResponse:
        reply = json.loads(b"".join(part for part in answer.parts if isinstance(part, bytes)))
        change(reply)
        return json_response(reply)

    provider.enqueue_fault(Fault(method="GET", path="/batches/*", transform=transform))


def rewrite_next_file(provider: FakeOpenAI, change: Callable[[list[bytes]], list[Part]]) -> None:
    """
    Replace the lines of the next downloaded file.
    """

    def transform(answer: FakeResponse) -> FakeResponse:
        content = b"".join(part for part in answer.parts if isinstance(part, bytes))
        headers = {"content-type": "application/octet-stream", "content-length": str(len(content))}
        rows = change(content.splitlines(keepends=True))
        lost = sum(len(row) for row in rows if isinstance(row, bytes)) != len(content)
        return attrs.evolve(answer, headers={} if lost else headers, parts=iter(rows))

    provider.enqueue_fault(Fault(method="GET", path="/files/*/content", transform=transform))


def result_kinds(results: Any) -> list[str]:
    """
    Return "picture" or an error's name for each result.
    """
    return [
        type(result).__name__ if isinstance(result, ImageSessionError) else "picture"
        for result in results
    ]


# --- submit and collect ---------------------------------------------------------------------------


def test_batch_is_submitted_and_collected(studio: Any, provider: FakeOpenAI) -> None:
    """
    Submitting returns immediately. Results have the order and the keys of the prompts, whatever the
    order in which the provider finished them.
    """
    provider.set_batch_speed(backwards=True)
    batch = studio.batches.create(ZOO, **SMALL)

    assert provider.generated == ()
    assert (batch.keys, len(studio.requests.pending())) == (("fox", "owl", "cat"), 3)
    with pytest.raises(BatchNotReadyError, match="in_progress, 1 of 3 made"):
        batch.results()
    results = batch.results()

    assert [image.prompt for image in results] == list(ZOO.values())
    assert (results.ok, results.get("owl").prompt) == (True, "an owl")
    assert {image.path.parent.name for image in results} == {"batch_generations"}
    assert {image.id for image in studio.images.list(kind="batch")} == {item.id for item in results}
    assert {image.turn.batch for image in results} == {batch.id}
    assert studio.requests.pending() == ()
    provider.assert_generated(3, quality="low", model="gpt-image-2.5-sunburst")


def test_batch_images_know_their_requests(studio: Any, provider: FakeOpenAI) -> None:
    """
    Each image of a batch has the id of its own request, and an error has that of its line.
    """
    provider.fail_next(status=402, error={"message": "no credit"})
    provider.set_batch_speed(looks=1)
    results = studio.batches.create(["a cup", "a bowl", "a jug"]).results()
    ids = {image.turn.request_id for image in results.images}
    ids |= {error.request_id for error in results.errors}
    assert len(ids) == 3
    assert all(request_id.startswith("req_") for request_id in ids)


def test_batch_images_cost_half(studio: Any) -> None:
    """
    The estimate uses half the price and covers the cost from the provider's usage.
    """
    batch = studio.batches.create(ZOO, **SMALL)
    batch.status()
    results = batch.results()
    single = studio.generate("a fox", image_model="gpt-image-2.5-sunburst", **SMALL)

    costs = [image.cost.total for image in results]
    assert costs[0] == pytest.approx(single.cost.image / 2, rel=0.1)
    assert batch.estimate.low <= sum(costs) <= batch.estimate.high
    assert studio.costs(group_by="kind").groups["batch"].dollars == pytest.approx(sum(costs))
    assert batch.status(live=False).cost.total == pytest.approx(sum(costs))


def test_batch_is_estimated_before_submission(studio: Any) -> None:
    """
    `estimate(batch=True)` returns what a batch could cost; a session has no batch estimate.
    """
    batch = studio.batches.create(["a fox"] * 3, **SMALL)
    estimate = studio.estimate("a fox", n=3, batch=True, **SMALL)
    assert (estimate.low, estimate.high) == pytest.approx((batch.estimate.low, batch.estimate.high))
    assert estimate.high < studio.estimate("a fox", n=3, **SMALL).high
    with pytest.raises(InvalidOptionError, match="takes no batches"):
        studio.estimate(batch=True, image_model="gpt-image-2.6-flare")
    with pytest.raises(InvalidOptionError, match="session's turns"):
        studio.session("a zoo").estimate("a fox", batch=True)


def test_another_program_collects_a_batch(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Any program on the library lists a batch and opens it by its id, its name or the provider's id.
    """
    provider = FakeOpenAI()
    first_studio = make_studio(tmp_path / "library", provider=provider)
    batch = first_studio.batches.create(ZOO, name="zoo", **SMALL)
    status = batch.status()
    first_studio.close()

    second_studio = make_studio(tmp_path / "library", provider=provider)
    for name_or_id in (batch.id, "zoo", status.provider_id):
        assert second_studio.batches.get(name_or_id).id == batch.id
    assert [listed.name for listed in second_studio.batches.list()] == ["zoo"]
    assert second_studio.batches.get("zoo").results().ok
    with pytest.raises(NotFoundError, match="there are: zoo"):
        second_studio.batches.get("barn")


def test_wait_reports_progress(studio: Any, provider: FakeOpenAI) -> None:
    """
    `wait` polls until the provider is done, reports each poll, and returns the results.
    """
    provider.set_batch_speed(looks=3)
    statuses: list[BatchStatus] = []
    results = studio.batches.create(ZOO, **SMALL).wait(progress=False, on_progress=statuses.append)

    assert results.ok
    assert [(status.state, status.completed, status.saved) for status in statuses] == [
        ("in_progress", 1, 0),
        ("in_progress", 2, 0),
        ("completed", 3, 3),
    ]
    assert str(statuses[0]) == "in_progress, 1 of 3 made, 0 saved"
    assert [status.ended for status in statuses] == [False, False, True]


def test_wait_times_out(
    studio: Any, provider: FakeOpenAI, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A `wait` that times out raises an error with the status, and the batch continues. A bar shows
    how many images are made.
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


def test_failed_poll_does_not_end_the_wait(studio: Any, provider: FakeOpenAI) -> None:
    """
    A provider that is briefly unavailable is polled again.
    """
    batch = studio.batches.create(ZOO, **SMALL)
    provider.fail_next(status=503, path="/batches/*")
    provider.fail_next(status=500, path="/batches/*")
    assert batch.wait().ok


def test_batch_inputs_are_uploaded_once(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    Edits, references and masks are sent as file ids, each uploaded once.
    """
    studio = make_studio(tmp_path / "library", provider=provider)
    jobs = [
        ImageRequest("warmer", image=tiny_image()),
        ImageRequest("bluer", image=tiny_image(), mask=tiny_mask()),
        ImageRequest("a shop in this style", references=tiny_image()),
    ]
    results = studio.batches.create(jobs, **SMALL).wait()

    assert results.ok, results.errors
    assert [image.kind for image in results] == ["edit", "edit", "batch"]
    lines = [call.body for call in provider.requests if call.path == "/images/edits"]
    assert len({body["images"][0]["file_id"] for body in lines}) == 1
    assert lines[1]["mask"]["file_id"]
    assert count_requests(provider, "/files") == 3  # the picture, the mask, the batch


def test_batch_accepts_presets(studio: Any) -> None:
    """
    An `ImageRequest` may name a preset, as for `map`.
    """
    job = ImageRequest("wireless headphones", preset="product", params={"angle": "top"})
    (image,) = studio.batches.create([job], **SMALL).wait()
    assert image.turn.parameters["angle"] == "top"


# --- refused before sending -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "jobs,options,error,text",
    [
        ([], {}, InvalidRequestError, "no prompts"),
        ("a fox", {}, InvalidRequestError, r"batches.create\(\) takes many prompts"),
        (["a fox", ""], {}, InvalidPromptError, "Image 2 of 2: The prompt is empty"),
        ({"fox": ""}, {}, InvalidPromptError, r"Image 1 of 1 \('fox'\)"),
        (["a fox"], {"quality": "superb"}, InvalidOptionError, "quality"),
        (
            ["a fox"],
            {"image_model": "gpt-image-2.6-flare"},
            InvalidOptionError,
            "takes no batches",
        ),
        (
            ["a fox", ImageRequest("bluer", image=tiny_image())],
            {},
            InvalidRequestError,
            "1 of 2 images have input images",
        ),
        (
            ["a", ImageRequest("b", options={"image_model": "gpt-image-2"})],
            {},
            InvalidOptionError,
            "one image mod",
        ),
        ([ImageRequest("bluer", image="nowhere.png")], {}, InvalidImageError, "Image 1 of 1"),
        ([ImageRequest("a", preset="nope")], {}, InvalidRequestError, "Image 1 of 1"),
        (["a"] * 50_001, {}, InvalidRequestError, "50,001 images, and a batch takes 50,000"),
    ],
)
def test_invalid_request_rejects_the_batch_before_sending(  # noqa: PLR0917 - a case of many parts
    studio: Any,
    provider: FakeOpenAI,
    jobs: Any,
    options: dict[str, Any],
    error: type[ImageSessionError],
    text: str,
) -> None:
    """
    A batch with an invalid request is refused as a whole, and the error names the request.
    """
    with pytest.raises(error, match=text):
        studio.batches.create(jobs, **options)
    assert count_requests(provider) == count_requests(provider, "/files") == 0
    assert (studio.requests.pending(), studio.batches.list()) == ((), ())


def test_oversized_file_is_refused(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A file above the provider's limit is not sent, and nothing is left behind.
    """
    monkeypatch.setattr(engine_submit, "MAX_BYTES", 400)
    with pytest.raises(InvalidRequestError, match="images make a file of more than"):
        studio.batches.create(ZOO)
    assert count_requests(provider, "/files") == 0
    assert (studio.requests.pending(), studio.batches.list()) == ((), ())


@pytest.mark.parametrize("lacking", ["files", "batches"])
def test_missing_batch_support_is_reported(
    make_studio: MakeStudio, tmp_path: Path, lacking: str
) -> None:
    """
    If the server has no batches, the error says so and names `map`; nothing is left behind.
    """
    provider = FakeOpenAI(**{lacking: False})  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - a flag by its name
    studio = make_studio(tmp_path / "library", provider=provider)
    with pytest.raises(BadRequestError, match=r"does not take batches.*studio\.map"):
        studio.batches.create(ZOO)
    assert (studio.requests.pending(), studio.batches.list()) == ((), ())
    assert studio.map(["a fox"], quality="low").ok


@pytest.mark.parametrize("path", ["/files", "/batches"])
def test_rejected_batch_leaves_nothing(studio: Any, provider: FakeOpenAI, path: str) -> None:
    """
    A batch that the provider rejected is removed, and can be submitted again.
    """
    provider.fail_next(status=429, path=path, method="POST", headers={"retry-after": "0"})
    with pytest.raises(RateLimitError):
        studio.batches.create(ZOO, name="zoo", **SMALL)
    assert (studio.requests.pending(), studio.batches.list()) == ((), ())
    assert studio.batches.create(ZOO, name="zoo", **SMALL).wait().ok
    assert len(provider.generated) == 3


# --- idempotency ----------------------------------------------------------------------------------


def test_named_batch_is_submitted_once(studio: Any, provider: FakeOpenAI) -> None:
    """
    A repeated call with the same name returns the same batch, before and after it is done; with
    other prompts the name is refused.
    """
    first = studio.batches.create(ZOO, name="zoo", **SMALL)
    repeated = studio.batches.create(ZOO, name="zoo", **SMALL)
    results = repeated.wait()
    once_more = studio.batches.create(ZOO, name="zoo", **SMALL)

    assert first.id == repeated.id == once_more.id
    assert [result.id for result in once_more.results()] == [image.id for image in results]
    with pytest.raises(InvalidRequestError, match="another batch"):
        studio.batches.create(["a dog"], name="zoo")
    with pytest.raises(InvalidRequestError, match="name"):
        studio.batches.create(["a dog"], name=" ")
    assert (count_requests(provider), len(provider.generated)) == (1, 3)


def test_concurrent_submissions_of_a_name_submit_once(
    make_studio: MakeStudio,
    tmp_path: Path,
    in_threads: Callable[[list[Callable[[], Any]]], None],
) -> None:
    """
    Programs that submit the same batch under one name concurrently submit it once and all get it; a
    different batch is refused.
    """
    provider = FakeOpenAI()
    studios = [make_studio(tmp_path / "library", provider=provider) for _ in range(4)]
    batch_ids: list[str] = []

    def submit(studio: Any) -> Callable[[], None]:
        return lambda: batch_ids.append(studio.batches.create(ZOO, name="zoo", **SMALL).id)

    in_threads([submit(studio) for studio in studios])
    assert len(batch_ids) == 4
    assert len(set(batch_ids)) == count_requests(provider) == 1
    assert studios[0].batches.get("zoo").wait().ok
    dear = make_studio(tmp_path / "library", provider=provider, quality="high")
    with pytest.raises(InvalidRequestError, match="another batch"):
        dear.batches.create(ZOO, name="zoo", size="1024x1024")


def test_existing_images_are_not_made_again(studio: Any, provider: FakeOpenAI) -> None:
    """
    Keys are shared with `map`: only missing images are submitted, and the rest come from the
    library.
    """
    owl = studio.map({"owl": "an owl"}, **SMALL).get("owl")
    batch = studio.batches.create(ZOO, **SMALL)
    status = batch.status()
    results = batch.wait()

    assert (status.total, status.completed) == (3, 2)
    assert results.get("owl").id == owl.id
    assert [image.prompt for image in results] == list(ZOO.values())
    assert len(provider.generated) == 3
    complete = studio.batches.create(ZOO, **SMALL)
    assert [result.id for result in complete.results()] == [image.id for image in results]
    assert complete.status().state == "completed"
    assert (count_requests(provider), len(provider.generated)) == (1, 3)


def test_pending_key_is_not_submitted_again(studio: Any, provider: FakeOpenAI) -> None:
    """
    A key that is part of a pending batch is refused, and the error names the batch.
    """
    batch = studio.batches.create(ZOO, **SMALL)
    with pytest.raises(OutcomeUnknownError, match=batch.id):
        studio.batches.create({"fox": "a fox", "dog": "a dog"}, **SMALL)
    (error,) = studio.map({"fox": "a fox"}, **SMALL).errors
    assert batch.id in error.message
    assert (count_requests(provider), len(provider.generated)) == (1, 0)


def test_batch_with_lost_response_is_found(studio: Any, provider: FakeOpenAI) -> None:
    """
    If the response to the submission is lost, the batch is found in the provider's list.
    """
    for number in range(3):
        studio.batches.create([f"before {number}"], **SMALL)
    lose_next_response(provider)
    batch = studio.batches.create(ZOO, **SMALL)

    assert batch.wait().ok
    assert (count_requests(provider), len(provider.generated)) == (4, 3)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 503])
def test_batch_is_kept_when_the_lookup_fails(
    studio: Any, provider: FakeOpenAI, status: int
) -> None:
    """
    A batch whose response was lost is kept if the lookup fails too.
    """
    lose_next_response(provider)
    provider.fail_next(status=status, method="GET", path="/batches", headers={"retry-after": "0"})
    with pytest.raises(OutcomeUnknownError):
        studio.batches.create(ZOO, name="zoo", **SMALL)
    assert studio.batches.create(ZOO, name="zoo", **SMALL).wait().ok
    assert (count_requests(provider), len(provider.generated)) == (1, 3)


@pytest.mark.parametrize("verb", ["found", "told"])
def test_batch_is_found_when_its_id_could_not_be_written(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """
    If the provider's id cannot be written, the batch is found again by the library's mark on it.
    """
    note, calls = BatchStore.update, iter(range(100))

    def fail_write(self: BatchStore, record: Any, news: Any) -> Any:
        if next(calls) == 1:
            raise StorageIOError("The disk is full.")
        return note(self, record, news)

    monkeypatch.setattr(BatchStore, "update", fail_write)
    if verb == "found":
        lose_next_response(provider)
    batch = studio.batches.create(ZOO, name="zoo", **SMALL)
    assert studio.batches.get("zoo").status(live=False).state == "submitting"
    assert batch.wait().ok
    assert (count_requests(provider), len(provider.generated)) == (1, 3)


@pytest.mark.parametrize("failure", ["lost", "500", "nonsense"])
def test_batch_missing_from_the_list_is_found_later(
    studio: Any, provider: FakeOpenAI, failure: str
) -> None:
    """
    As long as it is unknown whether a batch was accepted, it is not submitted again; opening it
    later finds it.
    """
    if failure == "nonsense":
        provider.enqueue_fault(
            Fault(
                method="POST",
                path="/batches",
                transform=lambda answer: attrs.evolve(answer, parts=iter([b"<html>"])),
            )
        )
    elif failure == "500":
        provider.enqueue_fault(
            Fault(
                method="POST",
                path="/batches",
                transform=lambda answer: attrs.evolve(answer, status=500),
            )
        )
    else:
        lose_next_response(provider)
    provider.fail_next(status=500, method="GET", path="/batches")
    with pytest.raises(OutcomeUnknownError, match=r"batches\.get") as caught:
        studio.batches.create(ZOO, name="zoo", **SMALL)

    resubmitted = studio.batches.create(ZOO, name="zoo", **SMALL)
    assert resubmitted.id == caught.value.turn_id == studio.batches.get("zoo").id
    assert resubmitted.status(live=False).state == "submitting"
    assert resubmitted.wait().ok
    assert (count_requests(provider), len(provider.generated)) == (1, 3)


def test_another_account_does_not_expire_a_batch(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A key that cannot see the batch's file cannot see the batch either, so its list proves nothing.
    """
    lose_next_response(provider)
    provider.fail_next(status=500, method="GET", path="/batches")
    with pytest.raises(OutcomeUnknownError):
        studio.batches.create(ZOO, name="zoo", **SMALL)
    monkeypatch.setattr(acceptance, "ACCEPTANCE_TIMEOUT", dt.timedelta(0))
    nothing: dict[str, Any] = {"object": "list", "data": [], "has_more": False}
    provider.enqueue_fault(
        Fault(method="GET", path="/batches", response=lambda _: json_response(nothing))
    )
    provider.fail_next(status=404, method="GET", path="/files/*")

    batch = studio.batches.get("zoo")
    assert batch.status().state == "submitting"
    assert batch.wait().ok


def test_list_in_ascending_order_is_read_to_the_end(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Old batches at the start of a list do not hide newer ones.
    """
    lose_next_response(provider)
    provider.fail_next(status=500, method="GET", path="/batches")
    with pytest.raises(OutcomeUnknownError):
        studio.batches.create(ZOO, name="zoo", **SMALL)
    monkeypatch.setattr(acceptance, "ACCEPTANCE_TIMEOUT", dt.timedelta(0))
    old = [{"id": f"batch_{day}", "status": "completed", "created_at": day} for day in (1, 2)]
    page = {"object": "list", "data": old, "has_more": True}
    provider.enqueue_fault(
        Fault(method="GET", path="/batches", response=lambda _: json_response(page))
    )
    cursors: list[str] = []

    def listed(call: FakeRequest) -> FakeResponse:
        cursors.append(call.query["after"])
        rest = FakeRequest(method="GET", path="/batches", headers=call.headers)
        return provider.handle(rest)

    provider.enqueue_fault(Fault(method="GET", path="/batches", response=listed))
    assert studio.batches.get("zoo").wait().ok
    assert cursors == ["batch_2"]


def test_unaccepted_batch_is_settled_and_can_be_resubmitted(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    If the provider does not list a batch 15 minutes later, it was not accepted: its images are
    settled as not billed, and its name is free again.
    """
    lose_next_response(provider, arrives=False)
    with pytest.raises(OutcomeUnknownError):
        studio.batches.create(ZOO, name="zoo", **SMALL)
    batch = studio.batches.get("zoo")
    with pytest.raises(BatchNotReadyError, match="submitting"):
        batch.results()
    with pytest.raises(OutcomeUnknownError, match="does not list"):
        batch.cancel()

    monkeypatch.setattr(acceptance, "ACCEPTANCE_TIMEOUT", dt.timedelta(0))
    assert result_kinds(batch.results()) == ["ProviderUnavailableError"] * 3
    assert (batch.status().state, studio.requests.pending()) == ("unsent", ())
    assert studio.costs().total.dollars == 0
    resubmitted = studio.batches.create(ZOO, name="zoo", **SMALL)
    assert resubmitted.id != batch.id
    assert resubmitted.wait().ok
    assert len(provider.generated) == 3


def test_long_list_is_searched_page_by_page(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A batch is found behind others that were created since.
    """
    lose_next_response(provider)
    provider.fail_next(status=500, method="GET", path="/batches")
    with pytest.raises(OutcomeUnknownError):
        studio.batches.create(ZOO, name="zoo", **SMALL)
    with Studio.offline(studio.library.parent / "other", provider=provider) as other:
        for number in range(5):
            other.batches.create([f"{number}"])
    monkeypatch.setattr(payloads, "_PAGE_SIZE", 2)
    assert studio.batches.get("zoo").wait().ok


# --- failures -------------------------------------------------------------------------------------


def test_failed_items_have_errors_in_the_results(studio: Any, provider: FakeOpenAI) -> None:
    """
    A failed image has its typed error in the results, on every call; it cost nothing, and the other
    images are saved.
    """
    provider.moderate_next()
    provider.fail_next(status=500, path="/images/generations")
    batch = studio.batches.create(ZOO, **SMALL)
    results = batch.wait()

    assert result_kinds(results) == ["ContentBlockedError", "ProviderError", "picture"]
    assert isinstance(results[0], ContentBlockedError)
    assert isinstance(results[1], ProviderError)
    assert result_kinds(studio.batches.get(batch.id).results()) == result_kinds(results)
    status = batch.status()
    assert (status.state, status.completed, status.failed, status.saved) == (
        "completed",
        1,
        2,
        1,
    )
    assert "2 failed" in str(status)
    assert status.cost.total == results[2].cost.total
    assert studio.requests.pending() == ()


@pytest.mark.parametrize("end", ["expired", "cancelled"])
def test_images_of_an_incomplete_batch_are_kept(
    studio: Any, provider: FakeOpenAI, end: Any
) -> None:
    """
    Of an expired or cancelled batch the finished images are saved; the rest was not billed and can
    be submitted again.
    """
    provider.set_batch_speed(looks=1, end=end, done=1)
    batch = studio.batches.create(ZOO, **SMALL)
    results = batch.results()

    assert result_kinds(results) == [
        "picture",
        "ProviderUnavailableError",
        "ProviderUnavailableError",
    ]
    assert batch.status().state == end
    assert studio.costs().total.turns == 3
    assert studio.costs().total.dollars == pytest.approx(results[0].cost.total)
    provider.set_batch_speed()
    assert studio.batches.create(ZOO, **SMALL).wait().ok
    assert len(provider.generated) == 3


def test_batch_is_cancelled(studio: Any, provider: FakeOpenAI) -> None:
    """
    Cancelling stops unfinished images and keeps finished ones. A batch that has ended is not
    cancelled.
    """
    provider.set_batch_speed(looks=3)
    batch = studio.batches.create(ZOO, **SMALL)
    batch.status()
    assert batch.cancel().ended

    assert result_kinds(batch.results()) == ["picture", "picture", "ProviderUnavailableError"]
    assert batch.cancel().state == "cancelled"
    assert len(provider.generated) == 2


def test_failed_batch_reports_its_error(studio: Any, provider: FakeOpenAI) -> None:
    """
    An error of the whole batch is the result of each item; nothing was billed, and the name is free
    again.
    """
    problem = {"code": "token_limit_exceeded", "message": "Too many.", "line": None, "param": None}

    def change(reply: dict[str, Any]) -> None:
        reply.update(status="failed", errors={"object": "list", "data": [problem] * 5})

    override_next_status(provider, change)
    batch = studio.batches.create(ZOO, name="zoo", **SMALL)
    results = batch.results()

    assert result_kinds(results) == ["RateLimitError"] * 3
    assert "and 2 more" in batch.status().problem
    assert "Too many." in str(batch.status())
    assert studio.costs().total.dollars == 0
    assert studio.batches.create(ZOO, name="zoo", **SMALL).id != batch.id


def test_unsupported_batch_model_fails_with_its_line(studio: Any, provider: FakeOpenAI) -> None:
    """
    A model that the provider does not support in batches fails the batch, and the error names the
    line.
    """

    def change(reply: dict[str, Any]) -> None:
        problem = {"code": "model_not_found", "message": "not supported", "line": 1, "param": None}
        reply.update(status="failed", errors={"data": [problem]})

    override_next_status(provider, change)
    results = studio.batches.create(ZOO, image_model="somebody-elses").results()
    assert result_kinds(results) == ["BadRequestError"] * 3
    assert r"line 1: not supported (model_not_found)" in results[0].message


def test_unreadable_image_is_quarantined(studio: Any, provider: FakeOpenAI) -> None:
    """
    An unreadable image was paid for: its bytes are quarantined, its cost counts, and the other
    images are saved.
    """

    def corrupt_image(rows: list[bytes]) -> list[Part]:
        row = json.loads(rows[1])
        row["response"]["body"]["data"][0]["b64_json"] = "AAAA"
        return [rows[0], json.dumps(row).encode() + b"\n", b"<what>\n", rows[2]]

    batch = studio.batches.create(ZOO, **SMALL)
    batch.status(live=True)
    rewrite_next_file(provider, corrupt_image)
    results = batch.results()

    assert result_kinds(results) == ["picture", "InvalidResponseError", "picture"]
    assert isinstance(results[1], InvalidResponseError)
    quarantined = list((studio.library / ".imagesession" / "quarantine").iterdir())
    assert len(quarantined) == 2
    assert studio.costs().total.dollars > 0.002 * 3


def test_interrupted_file_is_read_again(studio: Any, provider: FakeOpenAI) -> None:
    """
    Images before an interruption are saved; the file is read again for the others, and each is
    saved once.
    """
    batch = studio.batches.create(ZOO, **SMALL)
    with pytest.raises(BatchNotReadyError):
        batch.results()
    rewrite_next_file(provider, lambda rows: [rows[0], rows[1][:100], ConnectionReset()])

    assert batch.results().ok
    assert len(list(studio.library.glob("batch_generations/*.png"))) == 3


def test_incomplete_download_loses_nothing(studio: Any, provider: FakeOpenAI) -> None:
    """
    If the download is incomplete, the received images are saved, and the next call fetches the
    others.
    """
    batch = studio.batches.create(ZOO, **SMALL)
    batch.status()
    for _ in range(3):
        rewrite_next_file(provider, lambda rows: [rows[0], rows[1][:100], ConnectionReset()])
    with pytest.raises(ProviderUnavailableError, match="2 are left"):
        batch.results()
    assert batch.status(live=False).saved == 1
    provider.fail_next(status=404, method="GET", path="/files/*/content")
    with pytest.raises(OutcomeUnknownError, match="no longer has the file"):
        batch.results()
    assert batch.results().ok
    assert len(list(studio.library.glob("batch_generations/*.png"))) == 3


def test_full_disk_loses_nothing(studio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An image that does not fit on the disk stays with the provider; with space again, the next call
    fetches it.
    """
    batch = studio.batches.create(ZOO, **SMALL)
    batch.status()
    put, calls = blobs._write, iter(range(10))  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - to fail once

    def fail_write(*args: Any, **named: Any) -> Any:
        if next(calls) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return put(*args, **named)

    monkeypatch.setattr(blobs, "_write", fail_write)
    with pytest.raises(StorageIOError):
        batch.results()
    assert len(studio.requests.pending()) == 2
    assert batch.results().ok
    assert len(list(studio.library.glob("batch_generations/*.png"))) == 3


def test_missing_line_stays_pending(studio: Any, provider: FakeOpenAI) -> None:
    """
    An image that is missing from a finished batch may have been billed: it stays pending, its
    result says so, and it is saved when it appears.
    """
    batch = studio.batches.create(ZOO, **SMALL)
    batch.status()
    rewrite_next_file(provider, lambda rows: [rows[0], rows[2]])
    results = batch.results()

    assert result_kinds(results) == ["picture", "OutcomeUnknownError", "picture"]
    assert [request.turn.prompt for request in studio.requests.pending()] == ["an owl"]
    assert batch.results().ok
    assert studio.requests.pending() == ()


def test_forgotten_batch_leaves_images_pending(studio: Any, provider: FakeOpenAI) -> None:
    """
    If the provider no longer knows a batch, its images stay pending.
    """
    batch = studio.batches.create(ZOO, **SMALL)
    provider.fail_next(status=404, method="GET", path="/batches/*")
    with pytest.raises(OutcomeUnknownError, match="does not know the batch"):
        batch.status()
    assert len(studio.requests.pending()) == 3


def test_batch_is_requested_from_its_own_provider_only(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A batch is polled at the provider that has it, and at no other.
    """
    studio = make_studio(tmp_path / "library", provider=provider)
    batch = studio.batches.create(ZOO, **SMALL)
    other_studio = make_studio(
        tmp_path / "library", online=True, api_key="x", base_url="http://127.0.0.1:9/v1"
    )
    with pytest.raises(OutcomeUnknownError, match=r"not to 127\.0\.0\.1:9"):
        other_studio.batches.get(batch.id).status()


# --- costs ----------------------------------------------------------------------------------------


def test_budget_counts_a_batch_from_submission(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    The estimated cost is reserved until each image is settled; a batch that could exceed the rest
    of the budget is not sent.
    """
    library = tmp_path / "library"
    open_ = make_studio(library, provider=provider)
    most = open_.batches.create(ZOO, **SMALL).estimate.high
    provider.moderate_next()
    tight = make_studio(library, provider=provider, budget=Budget(per_day=1.5 * most))
    batch = tight.batches.create(["a dog", "a hen", "a cow"], **SMALL)

    with pytest.raises(BudgetExceededError):
        tight.batches.create(["an ape", "a bee", "a yak"], **SMALL)
    assert count_requests(provider) == 2
    results = batch.wait()
    assert result_kinds(results).count("picture") == 2
    assert tight.batches.create(["an ape"], **SMALL).wait().ok


def test_limit_per_call_applies_to_each_image(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    The limit `per_call` applies to each image of a batch.
    """
    free = make_studio(tmp_path / "a", provider=provider)
    item = free.batches.create(["a fox"], **SMALL).estimate.high
    studio = make_studio(tmp_path / "b", provider=provider, budget=Budget(per_call=1.1 * item))
    assert studio.batches.create(ZOO, **SMALL).wait().ok
    with pytest.raises(BudgetExceededError, match="for one call"):
        studio.batches.create(["a fox"], quality="high", size="1024x1024")


# --- concurrent programs --------------------------------------------------------------------------


def test_recover_collects_batches(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    `recover` settles finished batches, and reports why others are not settled. A single line of a
    batch cannot be cancelled.
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


def test_pending_batch_does_not_block_other_requests(studio: Any, provider: FakeOpenAI) -> None:
    """
    A pending batch does not delay other images, and `doctor` does not report it as a problem.
    """
    studio.batches.create(ZOO, **SMALL)
    looked = len(provider.requests)
    assert studio.generate("a teapot", quality="low").bytes
    assert not [c for c in provider.requests[looked:] if c.path.startswith("/batches")]
    (check,) = [check for check in studio.doctor().checks if check.name == "requests"]
    assert check.state == "ok"
    assert "3 wait for their batches" in check.message


def test_concurrent_collectors_save_each_image_once(
    make_studio: MakeStudio,
    tmp_path: Path,
    in_threads: Callable[[list[Callable[[], Any]]], None],
) -> None:
    """
    Programs that collect a batch concurrently save each image once, and all get the same results.
    """
    provider = FakeOpenAI()
    library = tmp_path / "library"
    prompts = [f"a kite, number {number}" for number in range(12)]
    batch = make_studio(library, provider=provider).batches.create(prompts, **SMALL)
    with pytest.raises(BatchNotReadyError):
        batch.results()
    handles = [make_studio(library, provider=provider).batches.get(batch.id) for _ in range(3)]
    collected: list[list[str]] = []

    def collect(handle: Any) -> Callable[[], None]:
        return lambda: collected.append([image.id for image in handle.results().raise_any()])

    in_threads([collect(handle) for handle in (*handles, batch)])
    assert len({tuple(ids) for ids in collected}) == 1
    assert len(list(library.glob("batch_generations/*.png"))) == 12
    assert (count_requests(provider), len(provider.generated)) == (1, 12)


@pytest.mark.anyio
async def test_cancelled_wait_loses_nothing(tmp_path: Path) -> None:
    """
    Cancelling `wait` during a poll or while saving leaves the batch as it was.
    """
    provider = FakeOpenAI()
    provider.set_batch_speed(looks=5)
    prompts = [f"a kite, number {number}" for number in range(8)]
    async with AsyncStudio.offline(tmp_path / "library", provider=provider) as studio:
        batch = await studio.batches.create(prompts, name="kites", **SMALL)
        for seconds in (0.0, 0.01, 0.03, 0.05, 0.08, 0.1, 0.15):
            with anyio.move_on_after(seconds):
                await batch.wait()
        results = await (await studio.batches.get("kites")).wait()
    assert results.ok
    assert len(list((tmp_path / "library").glob("batch_generations/*.png"))) == 8
    assert (count_requests(provider), len(provider.generated)) == (1, 8)


def test_batch_prepared_but_not_submitted_is_dropped(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A batch that was recorded but not submitted is dropped by the next program.
    """
    studio = make_studio(tmp_path / "library", provider=provider)
    studio.batches.create(ZOO, name="zoo", **SMALL)
    record = next((studio.library / ".imagesession" / "batches").iterdir())
    record.write_bytes(record.read_bytes().splitlines()[0] + b'\n{"owner": null}\n')
    handle = studio.batches.get("zoo")

    other_studio = make_studio(tmp_path / "library", provider=provider)
    assert other_studio.recover().failed == ()
    assert (other_studio.requests.pending(), other_studio.batches.list()) == ((), ())
    assert handle.status().state == "unsent"
    assert result_kinds(handle.results()) == ["ProviderUnavailableError"] * 3


@pytest.mark.parametrize("damage", [None, b"?\n"], ids=["gone", "damaged"])
def test_batch_without_its_record_is_found_at_the_provider(
    studio: Any, damage: bytes | None
) -> None:
    """
    If a batch's record is gone, or damaged and set aside, the batch is found in the provider's list
    by its mark, and its images are kept.
    """
    batch = studio.batches.create(ZOO, **SMALL)
    record = next((studio.library / ".imagesession" / "batches").iterdir())
    record.write_bytes(damage) if damage else record.unlink()
    studio.recover()
    found = studio.batches.get(batch.id)
    found.wait()
    assert {image.prompt for image in studio.images.list()} == set(ZOO.values())
    assert (found.status().saved, studio.requests.pending()) == (3, ())


def test_batch_that_nobody_knows_ends(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    If a batch's record is gone and the provider does not list it, its images wait for a quarter of
    an hour; then their outcome is unknown, and says so.
    """
    studio.batches.create(ZOO, **SMALL)
    next((studio.library / ".imagesession" / "batches").iterdir()).unlink()
    page: dict[str, Any] = {"object": "list", "data": [], "has_more": False}
    nothing = Fault(method="GET", path="/batches", response=lambda _: json_response(page))
    provider.enqueue_fault(nothing, times=9)
    assert len(studio.requests.pending()) == 3
    assert studio.recover().still_pending
    monkeypatch.setattr(acceptance, "ACCEPTANCE_TIMEOUT", dt.timedelta(0))
    report = studio.recover()
    assert (report.still_pending, studio.requests.pending()) == ({}, ())
    assert "may have been billed" in str(report.failed[0].failure)


def test_corrupt_batch_record_is_skipped(studio: Any) -> None:
    """
    A corrupt batch record does not hide the other batches.
    """
    batch = studio.batches.create(ZOO, **SMALL)
    folder = studio.library / ".imagesession" / "batches"
    (folder / "01K00000000000000000000000.jsonl").write_bytes(b"{}\n")
    assert [listed.id for listed in studio.batches.list()] == [batch.id]


def test_handle_has_a_readable_repr(studio: Any) -> None:
    """
    A handle's repr has its name, the number of images, and its last known status.
    """
    batch = studio.batches.create(ZOO, name="zoo", **SMALL)
    assert "ImageBatch 'zoo', 3 images" in repr(batch)
    assert (batch.__len__(), batch.name) == (3, "zoo")
    assert batch.created.tzinfo is not None


def _rows(count: int) -> Iterator[str]:
    for number in range(count):
        yield f"a kite, number {number}"


def test_prompts_may_be_any_iterable(studio: Any) -> None:
    """
    Any iterable of prompts is accepted.
    """
    assert len(studio.batches.create(_rows(4), **SMALL).wait().images) == 4
