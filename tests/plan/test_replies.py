"""
Answers become values or typed errors in one place, tolerantly.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._plan.failures import BackgroundRefusedError, ContextLostError, retry_after
from imagesession._plan.replies import Outcome, read_reply, read_response
from imagesession._plan.wire import Reply
from imagesession.errors import (
    AccessError,
    GenerationError,
    ImageSessionError,
    ModerationError,
    ProviderError,
    QuotaError,
    RateLimitError,
    RefusedError,
    RejectedError,
    ReplyError,
    UnavailableError,
)
from imagesession.testing import tiny_image

PNG = tiny_image()
B64 = base64.b64encode(PNG).decode()


def picture(**members: Any) -> dict[str, Any]:
    """
    Make an image item.
    """
    return {"id": "ig_1", "type": "image_generation_call", "result": B64, **members}


def message(**part: Any) -> dict[str, Any]:
    """
    Make a message item.
    """
    return {"type": "message", "content": [part]}


def response(*output: Any, **members: Any) -> dict[str, Any]:
    """
    Make a response.
    """
    return {"id": "resp_1", "status": "completed", "output": list(output), **members}


def reply(body: object, status: int = 200, **headers: str) -> Reply:
    """
    Make an HTTP answer.
    """
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers=named, body=raw)


def finish(answer: Reply) -> Outcome:
    """
    Read an answer; raise what it says of itself.
    """
    outcome = read_reply(answer)
    if outcome.error is not None:
        raise outcome.error
    return outcome


def error(status: int = 400, **members: Any) -> Reply:
    """
    Make an HTTP error.
    """
    return reply({"error": members}, status)


def test_all_pictures_of_a_reply_are_read() -> None:
    """
    Every image item counts, wherever it stands, and so do the words beside them.
    """
    items: tuple[Any, ...] = (
        {"type": "reasoning", "summary": []},
        picture(revised_prompt="A teapot"),
        message(type="output_text", text="Here it is."),
        picture(id="ig_2"),
    )
    usage = {"input_tokens": 7}
    outcome = read_reply(
        reply(response(*items, model="m", usage=usage, tool_usage={"image_gen": {"x": 1}}))
    )
    assert [one.call_id for one in outcome.pictures] == ["ig_1", "ig_2"]
    assert outcome.pictures[0].data == PNG
    assert outcome.pictures[0].revised_prompt == "A teapot"
    assert (outcome.text, outcome.model, outcome.response_id) == ("Here it is.", "m", "resp_1")
    assert (outcome.usage.mainline, outcome.usage.image) == (usage, {"x": 1})


def test_a_spoilt_picture_does_not_take_the_others_with_it() -> None:
    """
    When one of several pictures cannot be read, the others are, and it is counted.
    """
    outcome = read_reply(reply(response(picture(result="%"), picture(id="ig_2"))))
    assert [one.call_id for one in outcome.pictures] == ["ig_2"]
    assert (outcome.spoilt, outcome.error) == (1, None)


def test_half_an_emoji_does_not_cost_the_picture() -> None:
    """
    A text that was cut within a character is read like any other.
    """
    body = json.dumps(response(picture(revised_prompt="a tea \ud83c"))).encode()
    assert read_reply(reply(body)).pictures[0].data == PNG


@pytest.mark.parametrize("status", ["queued", "in_progress", "pending_review"])
def test_what_is_not_finished_is_not_finished(status: str) -> None:
    """
    A reply in the background is told by its status, and its id is kept.
    """
    outcome = read_reply(reply({"id": "resp_1", "status": status, "output": []}))
    assert outcome == Outcome(response_id="resp_1", finished=False)


def test_the_picture_counts_more_than_its_status() -> None:
    """
    Items were seen that still say "generating" beside a whole picture.
    """
    assert read_reply(reply(response(picture(status="generating")))).pictures


@pytest.mark.parametrize(
    "body",
    [
        {"output": [picture()]},
        response(picture(revised_prompt=7, id=None), None, "?", [], usage=[], tool_usage=5),
        response(picture(result=f"data:image/png;base64,{B64}"), message(), model=None),
    ],
)
def test_other_servers_are_read(body: object) -> None:
    """
    What may be missing, null or of another type does not keep a picture from being read.
    """
    assert read_reply(reply(body)).pictures[0].data == PNG


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>sign in</html>",
        b"[]",
        b'{"id": "resp',
        {},
        {"id": 7},
        response(picture(result="%")),
    ]
    + [response(picture(result=base64.b64encode(data).decode())) for data in (b"no", PNG[:-9])],
)
def test_a_reply_without_sense_is_an_error_of_its_own(body: object) -> None:
    """
    HTML, truncated JSON, bad base64 and half a picture are not taken for a picture.
    """
    with pytest.raises(ReplyError):
        finish(reply(body))


def test_words_instead_of_a_picture_are_a_refusal() -> None:
    """
    When the model answers in words, they are in the error.
    """
    for part in ({"type": "refusal", "refusal": "No."}, {"type": "output_text", "text": "No."}):
        with pytest.raises(RefusedError, match=r"No\.") as caught:
            finish(reply(response(message(**part))))
        assert caught.value.text == "No."


DETAILS = {"moderation_stage": "output", "categories": ["a", "b"]}
BLOCKED = {"code": "moderation_blocked", "message": "rejected", "moderation_details": DETAILS}


@pytest.mark.parametrize(
    "answer",
    [
        reply({"error": BLOCKED}, 400),
        reply(response(picture(result=None, status="failed", error=BLOCKED))),
        reply(response(status="failed", error=BLOCKED)),
    ],
)
def test_moderation_is_one_error_in_all_its_forms(answer: Reply) -> None:
    """
    An HTTP error, a failed item and a failed response give the same error, with its facts.
    """
    with pytest.raises(ModerationError, match="Rephrase") as caught:
        finish(answer)
    assert (caught.value.stage, caught.value.categories) == ("output", ("a", "b"))


def test_categories_are_found_in_the_message() -> None:
    """
    Servers that name the categories in words only are understood too.
    """
    words = "Your request was rejected. safety_violations=[sexual, violence]."
    with pytest.raises(ModerationError) as caught:
        read_reply(error(code="moderation_blocked", message=words))
    assert caught.value.categories == ("sexual", "violence")
    assert caught.value.stage == "unknown"


@pytest.mark.parametrize(
    "answer,kind,words",
    [
        (error(401, code="invalid_api_key", message="Incorrect key"), AccessError, "Incorrect"),
        (error(403, message="must be verified"), AccessError, "must be verified"),
        (error(429, code="rate_limit_exceeded", message="slow"), RateLimitError, "slow"),
        (error(429, code="insufficient_quota", message="pay"), QuotaError, "add credit"),
        (error(429, type="insufficient_quota", code="x", message="pay"), QuotaError, "pay"),
        (error(429, code="project_spend_limit_exceeded"), QuotaError, "limit"),
        (error(503, code="server_is_overloaded", message="busy"), UnavailableError, "busy"),
        (error(500, message="oops"), ProviderError, "HTTP 500: oops"),
        (error(500, param="previous_response_id", message="x"), ProviderError, "HTTP 500"),
        (error(408, message="late"), ProviderError, "HTTP 408"),
        (error(400, code="invalid_value", param="size", message="bad"), RejectedError, "size"),
        (error(404, message="no such model"), RejectedError, "no such model"),
        (reply({"error": "plain words"}, 400), RejectedError, "plain words"),
        (reply(b"<html>gateway</html>", 502), ProviderError, "gateway"),
        (reply({"message": "odd"}, 418), RejectedError, "odd"),
        (error(400, param="previous_response_id", message="gone"), ContextLostError, "gone"),
        (error(400, code="previous_response_not_found"), ContextLostError, None),
        (error(400, param="background", message="no"), BackgroundRefusedError, "no"),
    ],
)
def test_http_errors_are_typed(answer: Reply, kind: type[Exception], words: str | None) -> None:
    """
    Each status and code becomes the error that says what to do next.
    """
    with pytest.raises(kind, match=words):
        read_reply(answer)


@pytest.mark.parametrize(
    "body,kind",
    [
        (response(status="incomplete", incomplete_details={"reason": "max"}), GenerationError),
        (response(status="cancelled"), GenerationError),
        (response(), GenerationError),
        (
            response(status="failed", error={"code": "server_error", "message": "x"}),
            GenerationError,
        ),
        (response(status="failed", error={"code": "rate_limit_exceeded"}), RateLimitError),
        (response(status="failed", error={"code": "insufficient_quota"}), QuotaError),
    ],
)
def test_a_finished_reply_without_a_picture_says_why(body: object, kind: type[Exception]) -> None:
    """
    Incomplete, cancelled, failed and empty replies are errors, never an empty success.
    """
    with pytest.raises(kind):
        finish(reply(body))


@pytest.mark.parametrize(
    "headers,seconds",
    [
        ({"retry_after": "3"}, 3.0),
        ({"retry_after_ms": "250", "retry_after": "9"}, 0.25),
        ({"retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry_after": "-1"}, None),
        ({"retry_after": "inf"}, None),
        ({}, None),
    ],
)
def test_the_providers_hint_is_read(headers: dict[str, str], seconds: float | None) -> None:
    """
    How long to wait is taken from the headers, if it makes sense.
    """
    answer = reply({"error": {"message": "slow"}}, 429, **headers)
    assert retry_after(answer) == seconds
    with pytest.raises(RateLimitError) as caught:
        read_reply(answer)
    assert caught.value.retry_after == seconds


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(B64),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(
            ["id", "status", "output", "type", "result", "error", "code", "message", "content",
             "text", "refusal", "moderation_details", "categories", "usage", "tool_usage",
             "image_gen", "incomplete_details", "reason"]
        ), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["id", "status", "output", "error", "usage"]), json_values))
def test_whatever_is_said_is_a_value_or_a_typed_error(body: dict[str, Any]) -> None:
    """
    No reply breaks the reader, and nothing is kept that is not a picture.
    """
    try:
        outcome = read_response(body)
    except ImageSessionError:
        return
    assert all(one.data == PNG for one in outcome.pictures)
    assert not outcome.finished or bool(outcome.pictures) != bool(outcome.error)


@given(st.binary(max_size=200), st.integers(100, 599))
def test_whatever_comes_over_http_is_a_value_or_a_typed_error(body: bytes, status: int) -> None:
    """
    No answer breaks the reader.
    """
    with pytest.raises((ImageSessionError, ContextLostError, BackgroundRefusedError)):
        read_reply(Reply(status=status, body=body))
