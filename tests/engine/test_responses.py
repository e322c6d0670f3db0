"""
Answers become values or typed errors in one place, tolerantly.
"""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._engine.http import HttpResponse
from imagesession._engine.images_api import parse_images_response
from imagesession._engine.outcomes import ResponseOutcome, parse_response_object, read_images_object
from imagesession._engine.provider_errors import (
    FeatureUnsupportedError,
    PreviousResponseNotFoundError,
    parse_retry_after,
)
from imagesession._engine.responses import (
    find_response_id,
    parse_response,
    parse_text_response,
    recover_complete_body,
)
from imagesession.errors import (
    AuthenticationError,
    BadRequestError,
    ContentBlockedError,
    GenerationFailedError,
    ImageSessionError,
    InsufficientQuotaError,
    InvalidResponseError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
    RefusalError,
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


def reply(body: object, status: int = 200, **headers: str) -> HttpResponse:
    """
    Make an HTTP answer.
    """
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(status=status, headers=named, body=raw)


def finish(answer: HttpResponse) -> ResponseOutcome:
    """
    Read an answer; raise what it says of itself.
    """
    outcome = parse_response(answer)
    if outcome.error is not None:
        raise outcome.error
    return outcome


def error(status: int = 400, **members: Any) -> HttpResponse:
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
    outcome = parse_response(
        reply(response(*items, model="m", usage=usage, tool_usage={"image_gen": {"x": 1}}))
    )
    assert [image.call_id for image in outcome.pictures] == ["ig_1", "ig_2"]
    assert outcome.pictures[0].data == PNG
    assert outcome.pictures[0].revised_prompt == "A teapot"
    assert (outcome.text, outcome.model, outcome.response_id) == ("Here it is.", "m", "resp_1")
    assert (outcome.usage.mainline, outcome.usage.image) == (usage, {"x": 1})


def test_a_spoilt_picture_does_not_take_the_others_with_it() -> None:
    """
    When one of several pictures cannot be read, the others are, and it is counted.
    """
    outcome = parse_response(reply(response(picture(result="%"), picture(id="ig_2"))))
    assert [image.call_id for image in outcome.pictures] == ["ig_2"]
    assert (outcome.unreadable, outcome.error) == (1, None)


def test_half_an_emoji_does_not_cost_the_picture() -> None:
    """
    A text that was cut within a character is read like any other.
    """
    body = json.dumps(response(picture(revised_prompt="a tea \ud83c"))).encode()
    assert parse_response(reply(body)).pictures[0].data == PNG


@pytest.mark.parametrize("status", ["queued", "in_progress", "pending_review"])
def test_what_is_not_finished_is_not_finished(status: str) -> None:
    """
    A reply in the background is told by its status, and its id is kept.
    """
    outcome = parse_response(reply({"id": "resp_1", "status": status, "output": []}))
    assert outcome == ResponseOutcome(response_id="resp_1", finished=False, status=status)


def test_the_picture_counts_more_than_its_status() -> None:
    """
    Items were seen that still say "generating" beside a whole picture.
    """
    assert parse_response(reply(response(picture(status="generating")))).pictures


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
    assert parse_response(reply(body)).pictures[0].data == PNG


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
    with pytest.raises(InvalidResponseError):
        finish(reply(body))


def test_words_instead_of_a_picture_are_a_refusal() -> None:
    """
    When the model answers in words, they are in the error.
    """
    for part in ({"type": "refusal", "refusal": "No."}, {"type": "output_text", "text": "No."}):
        with pytest.raises(RefusalError, match=r"No\.") as caught:
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
def test_moderation_is_one_error_in_all_its_forms(answer: HttpResponse) -> None:
    """
    An HTTP error, a failed item and a failed response give the same error, with its facts.
    """
    with pytest.raises(ContentBlockedError, match="Rephrase") as caught:
        finish(answer)
    assert (caught.value.stage, caught.value.categories) == ("output", ("a", "b"))


def test_categories_are_found_in_the_message() -> None:
    """
    Servers that name the categories in words only are understood too.
    """
    words = "Your request was rejected. safety_violations=[sexual, violence]."
    with pytest.raises(ContentBlockedError) as caught:
        parse_response(error(code="moderation_blocked", message=words))
    assert caught.value.categories == ("sexual", "violence")
    assert caught.value.stage == "unknown"


@pytest.mark.parametrize(
    "answer,kind,words",
    [
        (
            error(401, code="invalid_api_key", message="Incorrect key"),
            AuthenticationError,
            "Incorrect",
        ),
        (error(403, message="must be verified"), AuthenticationError, "must be verified"),
        (error(429, code="rate_limit_exceeded", message="slow"), RateLimitError, "slow"),
        (
            error(429, code="insufficient_quota", message="pay"),
            InsufficientQuotaError,
            "add credit",
        ),
        (
            error(429, type="insufficient_quota", code="x", message="pay"),
            InsufficientQuotaError,
            "pay",
        ),
        (error(429, code="project_spend_limit_exceeded"), InsufficientQuotaError, "limit"),
        (error(503, code="server_is_overloaded", message="busy"), ProviderUnavailableError, "busy"),
        (error(500, message="oops"), ProviderError, "HTTP 500: oops"),
        (error(500, param="previous_response_id", message="x"), ProviderError, "HTTP 500"),
        (error(408, message="late"), ProviderError, "HTTP 408"),
        (error(400, code="invalid_value", param="size", message="bad"), BadRequestError, "size"),
        (error(404, message="no such model"), BadRequestError, "no such model"),
        (reply({"error": "plain words"}, 400), BadRequestError, "plain words"),
        (reply(b"<html>gateway</html>", 502), ProviderError, "gateway"),
        (reply({"message": "odd"}, 418), BadRequestError, "odd"),
        (
            error(400, param="previous_response_id", message="gone"),
            PreviousResponseNotFoundError,
            "gone",
        ),
        (error(400, code="previous_response_not_found"), PreviousResponseNotFoundError, None),
        (error(400, param="background", message="no"), FeatureUnsupportedError, "no"),
    ],
)
def test_http_errors_are_typed(
    answer: HttpResponse, kind: type[Exception], words: str | None
) -> None:
    """
    Each status and code becomes the error that says what to do next.
    """
    with pytest.raises(kind, match=words):
        parse_response(answer)


@pytest.mark.parametrize(
    "body,kind",
    [
        (
            response(status="incomplete", incomplete_details={"reason": "max"}),
            GenerationFailedError,
        ),
        (response(status="cancelled"), GenerationFailedError),
        (response(), GenerationFailedError),
        (
            response(status="failed", error={"code": "server_error", "message": "x"}),
            GenerationFailedError,
        ),
        (response(status="failed", error={"code": "rate_limit_exceeded"}), RateLimitError),
        (response(status="failed", error={"code": "insufficient_quota"}), InsufficientQuotaError),
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
    assert parse_retry_after(answer) == seconds
    with pytest.raises(RateLimitError) as caught:
        parse_response(answer)
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
        outcome = parse_response_object(body)
    except ImageSessionError:
        return
    assert all(picture.data == PNG for picture in outcome.pictures)
    ends = (bool(outcome.pictures), outcome.error is not None, outcome.withheld)
    assert sum(ends) == outcome.finished


@given(st.binary(max_size=200), st.integers(100, 599))
def test_whatever_comes_over_http_is_a_value_or_a_typed_error(body: bytes, status: int) -> None:
    """
    No answer breaks the reader.
    """
    with pytest.raises((ImageSessionError, PreviousResponseNotFoundError, FeatureUnsupportedError)):
        parse_response(HttpResponse(status=status, body=body))


# --- bodies that are not what was asked for -----------------------------------------------------


def sent(*events: dict[str, Any]) -> bytes:
    """
    Make a body of events.
    """
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


CREATED = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}
DONE = {"type": "response.output_item.done", "item": picture()}
DRAWN = {"created": 1, "data": [{"b64_json": B64}], "usage": {"output_tokens": 9}}
PARTIAL = {"type": "image_generation.partial_image", "partial_image_index": 0, "b64_json": B64}
COMPLETED = {"type": "image_generation.completed", "b64_json": B64, "usage": {"output_tokens": 9}}


@pytest.mark.parametrize(
    "body",
    [
        sent(CREATED, DONE, {"type": "response.completed", "response": response(picture())}),
        sent(CREATED, DONE),
        sent(DONE)[:-4],
        b": hello\r\n\r\nevent: x\r\n" + sent(CREATED, DONE),
        sent({"type": "error", "message": "x"}, DONE),
        json.dumps(response(picture())).encode()[:-3],
        b"<html>" + json.dumps(response(picture())).encode(),
        json.dumps([CREATED, DONE]).encode(),
        b"\n".join(json.dumps(item).encode() for item in (CREATED, DONE)),
        json.dumps(DRAWN).encode(),
        b"\xef\xbb\xbf" + json.dumps(response(picture())).encode(),
        json.dumps(response(picture(revised_prompt="?"))).encode().replace(b"?", b"\xe9"),
        b'{"x":' * 9_000 + json.dumps(response(picture())).encode(),
    ],
)
def test_a_whole_picture_is_read_from_any_body(body: bytes) -> None:
    """
    Events, truncated JSON, HTML around JSON, lists, lines, another API's object, other encodings:
    the picture counts, whatever the label says.
    """
    for label in ("application/json", "text/event-stream", "text/html"):
        outcome = parse_response(reply(body, content_type=label))
        assert [image.data for image in outcome.pictures] == [PNG]
        assert (outcome.error, outcome.finished) == (None, True)
    came = recover_complete_body(body)
    assert came is not None
    assert [image.data for image in parse_response(came).pictures] == [PNG]


@pytest.mark.parametrize(
    "body",
    [
        sent(COMPLETED),
        sent(PARTIAL, COMPLETED, {"type": "x"}) + b"data: [DONE]\n\n",
        sent(DRAWN),
        json.dumps(DRAWN).encode()[:-20],
        json.dumps({"data": [{"b64_json": base64.encodebytes(PNG).decode()}]}).encode(),
        json.dumps({"data": [{"b64_json": None, "url": f"data:image/png;base64,{B64}"}]}).encode(),
        b"<p>" + json.dumps(DRAWN).encode(),
    ],
)
def test_images_are_read_from_any_body(body: bytes) -> None:
    """
    The Images API is read as tolerantly: events, truncated JSON, line ends, data URLs.
    """
    outcome = parse_images_response(reply(body))
    assert [picture.data for picture in outcome.pictures] == [PNG]
    assert (outcome.used_mainline, outcome.error, outcome.finished) == (False, None, True)


def test_usage_of_images_is_read_from_events_too() -> None:
    """
    Events of the Images API tell what was used, as its object does.
    """
    for body in (sent(PARTIAL, COMPLETED), sent(DRAWN), json.dumps(DRAWN).encode()):
        usage = parse_images_response(reply(body)).usage
        assert (usage.mainline, usage.image) == (None, {"output_tokens": 9})


def test_what_an_svg_cost_is_told_apart() -> None:
    """
    The usage of an SVG's author is kept beside the image model's.
    """
    outcome = read_images_object({"data": [{"b64_json": B64}], "svg_usage": {"x": 1}})
    assert outcome.usage.image == {"svg_usage": {"x": 1}}


@pytest.mark.parametrize("data", [[{"url": "https://example.test/a"}], [{}], [None], [], None, 7])
def test_images_without_bytes_are_an_error(data: object) -> None:
    """
    An address, an empty member and no member at all are errors that name what happened.
    """
    outcome = read_images_object({"data": data})
    assert isinstance(outcome.error, InvalidResponseError | GenerationFailedError)
    assert ("address" in outcome.error.message) == ("url" in str(data))


@pytest.mark.parametrize(
    "body",
    [
        sent(CREATED)[:9],
        sent({"type": "x"}),
        sent(PARTIAL),
        b"data: {",
        b": only a comment",
        b"data: [DONE]\n\n",
        json.dumps(response(picture())).encode()[:150],
        b'{"id":' * 100_000,
        b'{"output":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[" * 100_000,
        b'{"status":"completed","output":[{"x":' + b"9" * 9_000,
    ],
)
def test_what_makes_no_sense_is_a_short_error(body: bytes) -> None:
    """
    Empty streams, partial images, half a picture and nesting without end are one typed error.
    """
    for read in (parse_response, parse_text_response, parse_images_response):
        with pytest.raises(InvalidResponseError) as caught:
            read(reply(body, content_type="x" * 9_000))
        assert len(caught.value.message) < 250
    assert recover_complete_body(body) is None


def test_a_stream_that_only_names_its_reply_is_not_finished() -> None:
    """
    A body of events that breaks before the picture leaves the id to look up.
    """
    assert parse_response(reply(sent(CREATED, PARTIAL))) == ResponseOutcome(
        response_id="resp_1", finished=False, status="in_progress"
    )


def test_a_failure_in_a_body_of_events_is_told() -> None:
    """
    An error event without a picture is the error that it names.
    """
    with pytest.raises(RateLimitError):
        parse_response(reply(sent(CREATED, {"type": "error", "code": "rate_limit_exceeded"})))


@pytest.mark.parametrize("result", [{"result": None}, {"result": ""}, {}])
@pytest.mark.parametrize("status", ["completed", "generating", None])
def test_completed_picture_without_bytes_is_withheld(result: Any, status: str | None) -> None:
    """
    A completed call whose bytes are not in the reply is no failure: they may be elsewhere.
    """
    call = {"type": "image_generation_call", "id": "ig_1", "status": status, **result}
    said = message(type="output_text", text="Here it is.")
    for output in ([call], [{"id": "rs_1"}, call, said]):
        outcome = parse_response(reply(response(*output)))
        assert (outcome.withheld, outcome.error, outcome.finished) == (True, None, True)
        assert outcome.pictures == ()
        assert "ig_1" in outcome.item_ids


@pytest.mark.parametrize(
    "body",
    [
        response(),
        response(message(type="output_text", text="No.")),
        response(picture(result=None), message(type="refusal", refusal="No.")),
        response(picture(result=None, status="failed")),
        response(picture(result=None, error="blocked")),
        response(picture(result=None), status="incomplete"),
        response(picture(result=None), error={"code": "x"}),
        response(picture(result="%")),
        response(picture(), picture(id="ig_2", result=None)),
    ],
)
def test_only_missing_bytes_are_withheld(body: object) -> None:
    """
    What failed, was refused or is spoilt has its own error, and what came is not missed.
    """
    outcome = parse_response(reply(body))
    assert not outcome.withheld
    assert bool(outcome.error) != bool(outcome.pictures)


def test_the_items_of_a_reply_are_listed() -> None:
    """
    All output items are named in their order, but for ids that cannot be some.
    """
    odd = [{"id": item} for item in (None, 7, "", "a\nb", "x" * 257, ["y"])]
    outcome = parse_response(reply(response({"id": "rs_1"}, picture(), *odd, {"id": "msg_1"})))
    assert outcome.item_ids == ("rs_1", "ig_1", "msg_1")


@pytest.mark.parametrize("odd", ["x" * 257, "a\nb", "a\x00", "\ud83c", "", 7, None, ["resp_1"], {}])
def test_odd_ids_are_none(odd: object) -> None:
    """
    An id that is too long, has control characters or is no text is no id.
    """
    body = json.dumps(response(picture(id=odd), id=odd)).encode()
    outcome = parse_response(reply(body))
    assert (outcome.response_id, outcome.pictures[0].call_id) == (None, None)
    assert find_response_id(body) is None
    assert parse_response(reply(sent({"response": json.loads(body), **DONE}))).response_id is None


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(response(picture())).encode()[:40],
        sent(CREATED)[:80],
        b"event: response.created\n" + sent(CREATED)[:80],
        b'{"background": true, "object": "response", "id": "resp_1", "output": [{"id": "ig_2',
    ],
)
def test_the_id_of_a_broken_body_is_found(body: bytes) -> None:
    """
    A body of which only the beginning came names the reply to look up.
    """
    assert find_response_id(body) == "resp_1"


def test_ids_of_items_are_not_taken_for_the_replys() -> None:
    """
    Other ids in a broken body are no reply to look up.
    """
    body = b'{"object": "response", "previous_response_id": "resp_0", "output": [{"id": "ig_1"'
    assert find_response_id(body) is None


def test_words_are_read_from_events_too() -> None:
    """
    A request for words that is answered with events is understood.
    """
    said = message(type="output_text", text="A teapot.")
    body = sent(CREATED, {"type": "response.completed", "response": response(said)})
    assert (parse_text_response(reply(body)).text, parse_text_response(reply(body)).error) == (
        "A teapot.",
        None,
    )
    refused = response(said, message(type="refusal", refusal="No."))
    assert isinstance(parse_text_response(reply(refused)).error, RefusalError)


# --- damage -------------------------------------------------------------------------------------

RECORDED = response(
    {"id": "rs_1", "type": "reasoning", "summary": []},
    picture(status="completed", revised_prompt="A teapot", svg_usage={"x": 1}),
    {"id": "msg_1", **message(type="output_text", text="Here.", annotations=[])},
    error=None,
    incomplete_details=None,
    model="gpt-6-luna",
    usage={"input_tokens": 7, "output_tokens_details": {"reasoning_tokens": 0}},
    tool_usage={"image_gen": {"input_tokens": 9}},
)
ODD: list[Any] = [None, True, 7, -1.5, "", "x", [], {}, [[]], {"id": []}, ["x", 7], {"error": "x"}]
READERS = (parse_response, parse_text_response, parse_images_response)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """
    List the places in a JSON value.
    """
    members: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        members = list(cast("dict[str, Any]", value).items())
    elif isinstance(value, list):
        items: list[Any] = value
        members = list(enumerate(items))
    return [path, *(item for name, inner in members for item in paths(inner, (*path, name)))]


def put(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    """
    Return a JSON value with another in one of its places.
    """
    if not path:
        return odd
    copy = json.loads(json.dumps(value))
    position = copy
    for name in path[:-1]:
        position = position[name]
    position[path[-1]] = odd
    return copy


def read_in_every_way(body: bytes) -> list[ResponseOutcome]:
    """
    Read a body as whatever it may be; let typed errors pass.
    """
    outcomes: list[ResponseOutcome] = []
    for read in READERS:
        with contextlib.suppress(ImageSessionError):
            outcomes.append(read(reply(body)))
    return outcomes


@pytest.mark.parametrize("recorded", [RECORDED, DRAWN, CREATED, DONE, COMPLETED])
def test_wrong_types_at_any_path(recorded: dict[str, Any]) -> None:
    """
    Whatever stands in any place of a reply or of an event: a value or a typed error.
    """
    for path in paths(recorded):
        for odd in ODD:
            damaged = put(recorded, path, odd)
            for outcome in read_in_every_way(json.dumps(damaged).encode()):
                assert all(picture.data == PNG for picture in outcome.pictures)
                json.dumps([outcome.usage.mainline, outcome.usage.image])
            ended = {"type": "response.completed", "response": RECORDED}
            for events in ([damaged], [damaged, ended], [ended, damaged]):
                for outcome in read_in_every_way(sent(*events)):
                    assert all(picture.data == PNG for picture in outcome.pictures)
                    assert len(outcome.pictures) == 1 or ended not in events


def test_nesting_at_any_path() -> None:
    """
    A value that is nested 100,000 deep does no harm, and takes no picture away.
    """
    deep = b"[" * 100_000 + b"]" * 100_000
    for path in paths(RECORDED):
        body = json.dumps(put(RECORDED, path, "DEEP")).encode().replace(b'"DEEP"', deep)
        for outcome in read_in_every_way(body):
            assert [picture.data for picture in outcome.pictures] == [PNG]
        with contextlib.suppress(ImageSessionError):
            parse_response(reply(b"data: " + body))


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(RECORDED).encode(),
        json.dumps(DRAWN).encode(),
        sent(CREATED, DONE, {"type": "response.completed", "response": RECORDED}),
        sent(PARTIAL, COMPLETED),
    ],
)
def test_truncation_at_every_byte(body: bytes) -> None:
    """
    Wherever a reply was cut: an error, an id to look up, or the whole picture; and never less than
    the picture once all of it came.
    """
    held = body.rindex(B64.encode()[-40:]) if b"partial_image" in body else body.index(B64.encode())
    came = held + len(B64) if b"partial_image" not in body else held + 40
    for end in range(len(body)):
        outcomes = read_in_every_way(body[:end])
        assert all(picture.data == PNG for outcome in outcomes for picture in outcome.pictures)
        if end >= came:
            assert len([outcome for outcome in outcomes if outcome.pictures]) == len(READERS)


@given(st.data())
def test_bytes_that_are_changed(data: st.DataObject) -> None:
    """
    Bytes that are changed, cut out or put in give a value or a typed error.
    """
    body = bytearray(
        data.draw(st.sampled_from([json.dumps(RECORDED).encode(), sent(CREATED, DONE)]))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    read_in_every_way(bytes(body))
