"""
Batches: many requests in a file, with their results in files.
"""

import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import openai
import pytest

from imagesession.testing import FakeOpenAI, tiny_image

if TYPE_CHECKING:
    from openai.types import Batch

    from tests.fake_openai.conftest import Talk

Json = dict[str, Any]
DRAWS, EDITS = "/v1/images/generations", "/v1/images/edits"


def line(name: str, *, url: str = DRAWS, method: str = "POST", **body: object) -> Json:
    """
    Build a line that requests an image.
    """
    request = {"model": "gpt-image-2", "prompt": f"a kite, {name}", "size": "1024x1024", **body}
    return {"custom_id": name, "method": method, "url": url, "body": request}


def submit(talk: "Talk", *lines: object, endpoint: Any = DRAWS, **more: Any) -> "Batch":
    """
    Upload lines and create a batch of them.
    """
    rows = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    file = talk.client.files.create(file=("in.jsonl", b"\n".join(rows)), purpose="batch")
    return talk.client.batches.create(
        input_file_id=file.id, endpoint=endpoint, completion_window="24h", **more
    )


def poll(talk: "Talk", batch: "Batch", times: int = 1) -> "Batch":
    """
    Retrieve a batch a number of times.
    """
    for _ in range(times):
        batch = talk.client.batches.retrieve(batch.id)
    return batch


def rows(talk: "Talk", file_id: str | None) -> list[Json]:
    """
    Read an output file.
    """
    if file_id is None:
        return []
    return [json.loads(row) for row in talk.client.files.content(file_id).text.splitlines()]


def counts(batch: "Batch") -> tuple[int, int, int]:
    """
    Return how many lines there are, how many completed, and how many failed.
    """
    assert batch.request_counts is not None
    found = batch.request_counts
    return found.total, found.completed, found.failed


def test_batch_ends_at_the_second_poll(talk: "Talk") -> None:
    """
    A batch is validated, in progress when retrieved once, and completed when retrieved again; its
    images are in its output file under the custom ids of their lines.
    """
    made = submit(talk, line("one"), line("two"), metadata={"mine": "yes"})
    first, second = poll(talk, made), poll(talk, made)

    assert [item.status for item in (made, first, second)] == [
        "validating",
        "in_progress",
        "completed",
    ]
    assert [counts(item) for item in (made, first, second)] == [(0, 0, 0), (2, 1, 0), (2, 2, 0)]
    assert (second.model, second.metadata, second.error_file_id) == (
        "gpt-image-2",
        {"mine": "yes"},
        None,
    )
    answers = rows(talk, second.output_file_id)
    assert [answer["custom_id"] for answer in answers] == ["one", "two"]
    for answer in answers:
        response = answer["response"]
        assert (answer["error"], response["status_code"]) == (None, 200)
        assert response["request_id"]
        assert base64.b64decode(response["body"]["data"][0]["b64_json"]).startswith(b"\x89PNG")
        assert response["body"]["usage"]["output_tokens"] > 0


def test_lines_can_be_edits_and_responses(talk: "Talk") -> None:
    """
    A line may edit an uploaded image by its id, or create a response.
    """
    sent = talk.client.files.create(file=("a.png", tiny_image()), purpose="vision").id
    edit = submit(talk, line("warmer", url=EDITS, images=[{"file_id": sent}]), endpoint=EDITS)
    tool = {"type": "image_generation"}
    request = {"model": "gpt-5.4", "input": "a kite", "tools": [tool]}
    responses = submit(
        talk,
        {"custom_id": "r", "method": "POST", "url": "/v1/responses", "body": request},
        endpoint="/v1/responses",
    )

    (edited,) = rows(talk, poll(talk, edit, 2).output_file_id)
    (created,) = rows(talk, poll(talk, responses, 2).output_file_id)
    assert edited["response"]["body"]["data"][0]["b64_json"]
    assert created["response"]["body"]["object"] == "response"


@pytest.mark.parametrize(
    "lines,code,number",
    [
        ((b"",), "empty_file", None),
        ((line("a"), b"{not json"), "invalid_json_line", 2),
        ((line("a"), b"[]"), "invalid_json_line", 2),
        ((line("a"), {"custom_id": "b"}), "missing_required_parameter", 2),
        ((line("a"), line("a")), "duplicate_custom_id", 2),
        ((line("a", url=EDITS),), "url_mismatch", 1),
        ((line("a", method="GET"),), "invalid_method", 1),
        ((line("a"), line("b", model="gpt-image-2.5-flare")), "model_mismatch", 2),
        ((line("a", model="gpt-image-2.6-flare"),), "model_not_found", 1),
    ],
)
def test_invalid_file_fails_the_batch(
    talk: "Talk", lines: tuple[Any, ...], code: str, number: int | None
) -> None:
    """
    The batch reports the error of an invalid file with its line; no line is executed.
    """
    made = submit(talk, *lines)
    failed = poll(talk, made)

    assert (made.status, failed.status) == ("validating", "failed")
    assert failed.errors is not None
    assert failed.errors.data is not None
    assert (failed.errors.data[0].code, failed.errors.data[0].line) == (code, number)
    assert (failed.output_file_id, failed.error_file_id) == (None, None)
    assert poll(talk, made) == failed


def test_too_many_lines_fail(talk: "Talk") -> None:
    """
    A file of more than 50,000 lines is rejected as a whole.
    """
    failed = poll(talk, submit(talk, b"\n".join([b"{}"] * 50_001)))

    assert failed.errors is not None
    assert failed.errors.data is not None
    assert failed.errors.data[0].code == "too_many_tasks"


def test_invalid_request_is_rejected_at_once(talk: "Talk") -> None:
    """
    An unknown endpoint, window or file, and a file that is not JSONL, are rejected; an unknown
    batch is not found.
    """
    create = talk.client.batches.create
    file = talk.client.files.create(file=("in.jsonl", b"{}"), purpose="batch").id
    wrong: list[dict[str, Any]] = [
        {"endpoint": "/v1/audio"},
        {"completion_window": "1h"},
        {"metadata": {"key": "x" * 513}},
    ]
    usual: dict[str, Any] = {"input_file_id": file, "endpoint": DRAWS, "completion_window": "24h"}
    for item in wrong:
        with pytest.raises(openai.BadRequestError):
            create(**{**usual, **item})
    unknown: dict[str, Any] = {**usual, "input_file_id": "file-gone"}
    with pytest.raises(openai.NotFoundError):
        create(**unknown)
    with pytest.raises(openai.BadRequestError, match=r"Must be \.jsonl"):
        talk.client.files.create(file=("in.txt", b"{}"), purpose="batch")
    for ask in (talk.client.batches.retrieve, talk.client.batches.cancel):
        with pytest.raises(openai.NotFoundError):
            ask("batch_gone")


def test_faults_apply_to_lines(talk: "Talk", provider: FakeOpenAI) -> None:
    """
    Queued faults apply to the lines in order; failed lines are in the error file.
    """
    provider.moderate_next()
    provider.fail_next(status=500, path="/images/generations")
    done = poll(talk, submit(talk, line("bad"), line("worse"), line("good")), 2)

    assert counts(done) == (3, 1, 2)
    assert [row["custom_id"] for row in rows(talk, done.output_file_id)] == ["good"]
    bad, worse = rows(talk, done.error_file_id)
    assert (bad["custom_id"], worse["custom_id"]) == ("bad", "worse")
    assert bad["response"]["status_code"] == 400
    assert bad["response"]["body"]["error"]["code"] == "moderation_blocked"
    assert (worse["response"]["status_code"], worse["error"]) == (500, None)


def test_executed_lines_are_recorded(talk: "Talk", provider: FakeOpenAI) -> None:
    """
    An executed line is recorded once as a request for an image.
    """
    made = submit(talk, line("one"), line("two"))
    poll(talk, made)
    provider.assert_generated(0)
    poll(talk, made, 3)

    provider.assert_generated(2)
    provider.assert_generated(1, prompt="two", size="1024x1024")


@pytest.mark.parametrize("end", ["expired", "cancelled"])
def test_batch_can_end_early(talk: "Talk", provider: FakeOpenAI, end: Any) -> None:
    """
    When a batch expires or is cancelled, the executed lines have results and the others an error.
    """
    provider.set_batch_speed(looks=1, end=end, done=1)
    ended = poll(talk, submit(talk, line("one"), line("two"), line("three")))

    assert ended.status == end
    assert counts(ended) == (3, 1, 0)
    assert [row["custom_id"] for row in rows(talk, ended.output_file_id)] == ["one"]
    left = rows(talk, ended.error_file_id)
    assert [(item["custom_id"], item["response"]) for item in left] == [
        ("two", None),
        ("three", None),
    ]
    assert {item["error"]["code"] for item in left} == {f"batch_{end}"}


def test_batch_can_be_cancelled(talk: "Talk", provider: FakeOpenAI) -> None:
    """
    Cancelling takes one retrieval, and keeps what was executed. A batch that has ended cannot be
    cancelled.
    """
    provider.set_batch_speed(looks=4)
    made = submit(talk, *(line(str(number)) for number in range(4)))
    poll(talk, made)
    assert talk.client.batches.cancel(made.id).status == "cancelling"

    ended = poll(talk, made)
    assert ended.status == "cancelled"
    assert len(rows(talk, ended.output_file_id)) == 1
    assert len(rows(talk, ended.error_file_id)) == 3
    with pytest.raises(openai.ConflictError):
        talk.client.batches.cancel(made.id)


def test_output_lines_may_be_in_any_order(talk: "Talk", provider: FakeOpenAI) -> None:
    """
    The lines of an output file need not be in the order of the input file.
    """
    provider.set_batch_speed(looks=1, backwards=True)
    done = poll(talk, submit(talk, line("one"), line("two")))

    assert [row["custom_id"] for row in rows(talk, done.output_file_id)] == ["two", "one"]


def test_batches_are_listed_in_pages(talk: "Talk") -> None:
    """
    Batches are listed newest first, page by page; listing does not advance them.
    """
    made = [submit(talk, line(str(number))).id for number in range(3)]

    assert [item.id for item in talk.client.batches.list(limit=2)] == made[::-1]
    assert talk.client.batches.list(limit=2).has_more
    assert {item.status for item in talk.client.batches.list()} == {"validating"}
    with pytest.raises(openai.NotFoundError):
        talk.client.batches.list(after="batch_gone")
    with pytest.raises(openai.BadRequestError):
        talk.client.batches.list(limit=0)


def test_provider_without_batches(connect: "Callable[[FakeOpenAI], Talk]") -> None:
    """
    A provider without Batches answers 404.
    """
    talk = connect(FakeOpenAI(batches=False))
    with pytest.raises(openai.NotFoundError):
        submit(talk, line("one"))
