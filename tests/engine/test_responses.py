"""
Replies are parsed tolerantly into values or typed errors.
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
from imagesession._engine.outcomes import (
    ResponseOutcome,
    parse_response_object,
    read_images_object,
    without_urls,
)
from imagesession._engine.provider_errors import (
    FeatureUnsupportedError,
    PreviousResponseNotFoundError,
)
from imagesession._engine.responses import (
    find_response_id,
    parse_response,
    parse_text_response,
    recover_complete_body,
)
from imagesession._engine.retry_after import read_retry_after
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


def image_item(**members: Any) -> dict[str, Any]:
    """
    Build an image item.
    """
    return {"id": "ig_1", "type": "image_generation_call", "result": B64, **members}


def message(**part: Any) -> dict[str, Any]:
    """
    Build a message item.
    """
    return {"type": "message", "content": [part]}


def response(*output: Any, **members: Any) -> dict[str, Any]:
    """
    Build a response.
    """
    return {"id": "resp_1", "status": "completed", "output": list(output), **members}


def reply(body: object, status: int = 200, **headers: str) -> HttpResponse:
    """
    Build an HTTP reply.
    """
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    dashed = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(status=status, headers=dashed, body=raw)


def parse_or_raise(answer: HttpResponse) -> ResponseOutcome:
    """
    Parse a reply; raise its outcome's error.
    """
    outcome = parse_response(answer)
    if outcome.error is not None:
        raise outcome.error
    return outcome


def error(status: int = 400, **members: Any) -> HttpResponse:
    """
    Build an HTTP error.
    """
    return reply({"error": members}, status)


def test_all_images_of_reply_are_parsed() -> None:
    """
    Every image item is parsed, at any position, and so are the texts beside them.
    """
    items: tuple[Any, ...] = (
        {"type": "reasoning", "summary": []},
        image_item(revised_prompt="A teapot"),
        message(type="output_text", text="Here it is."),
        image_item(id="ig_2"),
    )
    usage = {"input_tokens": 7}
    outcome = parse_response(
        reply(response(*items, model="m", usage=usage, tool_usage={"image_gen": {"x": 1}}))
    )
    assert [image.call_id for image in outcome.images] == ["ig_1", "ig_2"]
    assert outcome.images[0].data == PNG
    assert outcome.images[0].revised_prompt == "A teapot"
    assert (outcome.text, outcome.model, outcome.response_id) == ("Here it is.", "m", "resp_1")
    assert (outcome.usage.mainline, outcome.usage.image) == (usage, {"x": 1})


def test_unreadable_image_does_not_affect_others() -> None:
    """
    If one of several images cannot be read, the others are kept, and it is counted.
    """
    outcome = parse_response(reply(response(image_item(result="%"), image_item(id="ig_2"))))
    assert [image.call_id for image in outcome.images] == ["ig_2"]
    assert (outcome.unreadable, outcome.error) == (1, None)


def test_truncated_emoji_does_not_lose_image() -> None:
    """
    A reply whose text was cut within a character is parsed like any other.
    """
    body = json.dumps(response(image_item(revised_prompt="a tea \ud83c"))).encode()
    assert parse_response(reply(body)).images[0].data == PNG


@pytest.mark.parametrize("status", ["queued", "in_progress", "pending_review"])
def test_running_response_is_not_finished(status: str) -> None:
    """
    A background response is recognised by its status, and its id is kept.
    """
    outcome = parse_response(reply({"id": "resp_1", "status": status, "output": []}))
    assert outcome == ResponseOutcome(response_id="resp_1", finished=False, status=status)


def test_image_overrides_item_status() -> None:
    """
    An item with a whole image is parsed even if its status is still "generating".
    """
    assert parse_response(reply(response(image_item(status="generating")))).images


@pytest.mark.parametrize(
    "body",
    [
        {"output": [image_item()]},
        response(image_item(revised_prompt=7, id=None), None, "?", [], usage=[], tool_usage=5),
        response(image_item(result=f"data:image/png;base64,{B64}"), message(), model=None),
    ],
)
def test_compatible_servers_replies_are_parsed(body: object) -> None:
    """
    Optional fields that are missing, null or of another type do not affect the image.
    """
    assert parse_response(reply(body)).images[0].data == PNG


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>sign in</html>",
        b"[]",
        b'{"id": "resp',
        {},
        {"id": 7},
        response(image_item(result="%")),
    ]
    + [response(image_item(result=base64.b64encode(data).decode())) for data in (b"no", PNG[:-9])],
)
def test_invalid_reply_is_invalid_response_error(body: object) -> None:
    """
    HTML, truncated JSON, bad base64 and half an image raise an `InvalidResponseError`.
    """
    with pytest.raises(InvalidResponseError):
        parse_or_raise(reply(body))


def test_text_instead_of_image_is_refusal() -> None:
    """
    If the model answers with text, the error contains it.
    """
    for part in ({"type": "refusal", "refusal": "No."}, {"type": "output_text", "text": "No."}):
        with pytest.raises(RefusalError, match=r"No\.") as caught:
            parse_or_raise(reply(response(message(**part))))
        assert caught.value.text == "No."


DETAILS = {"moderation_stage": "output", "categories": ["a", "b"]}
BLOCKED = {"code": "moderation_blocked", "message": "rejected", "moderation_details": DETAILS}


@pytest.mark.parametrize(
    "answer",
    [
        reply({"error": BLOCKED}, 400),
        reply(response(image_item(result=None, status="failed", error=BLOCKED))),
        reply(response(status="failed", error=BLOCKED)),
    ],
)
def test_moderation_is_same_error_in_all_forms(answer: HttpResponse) -> None:
    """
    An HTTP error, a failed item and a failed response give the same error, with its details.
    """
    with pytest.raises(ContentBlockedError, match="Rephrase") as caught:
        parse_or_raise(answer)
    assert (caught.value.stage, caught.value.categories) == ("output", ("a", "b"))


def test_moderation_categories_are_found_in_message() -> None:
    """
    Categories that a server names only in the message are found.
    """
    text = "Your request was rejected. safety_violations=[sexual, violence]."
    with pytest.raises(ContentBlockedError) as caught:
        parse_response(error(code="moderation_blocked", message=text))
    assert caught.value.categories == ("sexual", "violence")
    assert caught.value.stage == "unknown"


@pytest.mark.parametrize(
    "answer,kind,text",
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
            "Add credit",
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
    answer: HttpResponse, kind: type[Exception], text: str | None
) -> None:
    """
    Each status and code becomes the error that says what to do next.
    """
    with pytest.raises(kind, match=text):
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
def test_finished_reply_without_image_has_reason(body: object, kind: type[Exception]) -> None:
    """
    Incomplete, cancelled, failed and empty replies are errors, never an empty success.
    """
    with pytest.raises(kind):
        parse_or_raise(reply(body))


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
def test_retry_after_is_parsed(headers: dict[str, str], seconds: float | None) -> None:
    """
    How long to wait is read from the headers, if it is valid.
    """
    answer = reply({"error": {"message": "slow"}}, 429, **headers)
    assert read_retry_after(answer) == seconds
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
def test_any_response_object_is_value_or_typed_error(body: dict[str, Any]) -> None:
    """
    No response object breaks the parser, and only images are kept.
    """
    try:
        outcome = parse_response_object(body)
    except ImageSessionError:
        return
    assert all(image.data == PNG for image in outcome.images)
    ends = (bool(outcome.images), outcome.error is not None, outcome.withheld)
    assert sum(ends) == outcome.finished


@given(st.binary(max_size=200), st.integers(100, 599))
def test_any_http_body_is_typed_error(body: bytes, status: int) -> None:
    """
    No reply breaks the parser.
    """
    with pytest.raises((ImageSessionError, PreviousResponseNotFoundError, FeatureUnsupportedError)):
        parse_response(HttpResponse(status=status, body=body))


# --- bodies of other forms ----------------------------------------------------------------------


def event_stream(*events: dict[str, Any]) -> bytes:
    """
    Build a body of events.
    """
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


CREATED = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}
DONE = {"type": "response.output_item.done", "item": image_item()}
IMAGES_REPLY = {"created": 1, "data": [{"b64_json": B64}], "usage": {"output_tokens": 9}}
PARTIAL = {"type": "image_generation.partial_image", "partial_image_index": 0, "b64_json": B64}
COMPLETED = {"type": "image_generation.completed", "b64_json": B64, "usage": {"output_tokens": 9}}


@pytest.mark.parametrize(
    "body",
    [
        event_stream(
            CREATED, DONE, {"type": "response.completed", "response": response(image_item())}
        ),
        event_stream(CREATED, DONE),
        event_stream(DONE)[:-4],
        b": hello\r\n\r\nevent: x\r\n" + event_stream(CREATED, DONE),
        event_stream({"type": "error", "message": "x"}, DONE),
        json.dumps(response(image_item())).encode()[:-3],
        b"<html>" + json.dumps(response(image_item())).encode(),
        json.dumps([CREATED, DONE]).encode(),
        b"\n".join(json.dumps(item).encode() for item in (CREATED, DONE)),
        json.dumps(IMAGES_REPLY).encode(),
        b"\xef\xbb\xbf" + json.dumps(response(image_item())).encode(),
        json.dumps(response(image_item(revised_prompt="?"))).encode().replace(b"?", b"\xe9"),
        b'{"x":' * 9_000 + json.dumps(response(image_item())).encode(),
    ],
)
def test_image_is_parsed_from_any_body(body: bytes) -> None:
    """
    The image is found in events, truncated JSON, HTML around JSON, lists, lines, another API's
    object and other encodings, whatever the content type.
    """
    for content_type in ("application/json", "text/event-stream", "text/html"):
        outcome = parse_response(reply(body, content_type=content_type))
        assert [image.data for image in outcome.images] == [PNG]
        assert (outcome.error, outcome.finished) == (None, True)
    recovered = recover_complete_body(body)
    assert recovered is not None
    assert [image.data for image in parse_response(recovered).images] == [PNG]


@pytest.mark.parametrize(
    "body",
    [
        event_stream(COMPLETED),
        event_stream(PARTIAL, COMPLETED, {"type": "x"}) + b"data: [DONE]\n\n",
        event_stream(IMAGES_REPLY),
        json.dumps(IMAGES_REPLY).encode()[:-20],
        json.dumps({"data": [{"b64_json": base64.encodebytes(PNG).decode()}]}).encode(),
        json.dumps({"data": [{"b64_json": None, "url": f"data:image/png;base64,{B64}"}]}).encode(),
        b"<p>" + json.dumps(IMAGES_REPLY).encode(),
    ],
)
def test_images_api_is_parsed_from_any_body(body: bytes) -> None:
    """
    The Images API is parsed as tolerantly: events, truncated JSON, line ends, data URLs.
    """
    outcome = parse_images_response(reply(body))
    assert [image.data for image in outcome.images] == [PNG]
    assert (outcome.used_mainline, outcome.error, outcome.finished) == (False, None, True)


def test_images_api_usage_is_parsed_from_events() -> None:
    """
    The usage is parsed from events of the Images API, as from its object.
    """
    for body in (
        event_stream(PARTIAL, COMPLETED),
        event_stream(IMAGES_REPLY),
        json.dumps(IMAGES_REPLY).encode(),
    ):
        usage = parse_images_response(reply(body)).usage
        assert (usage.mainline, usage.image) == (None, {"output_tokens": 9})


def test_svg_usage_is_separate() -> None:
    """
    The usage of an SVG's author is kept beside the image model's.
    """
    outcome = read_images_object({"data": [{"b64_json": B64}], "svg_usage": {"x": 1}})
    assert outcome.usage.image == {"svg_usage": {"x": 1}}


@pytest.mark.parametrize("data", [[{}], [None], [], None, 7])
def test_images_without_bytes_are_an_error(data: object) -> None:
    """
    An empty item and no item at all are errors.
    """
    outcome = read_images_object({"data": data})
    assert isinstance(outcome.error, InvalidResponseError | GenerationFailedError)


def test_images_by_url_are_not_an_error_until_they_cannot_be_fetched() -> None:
    """
    A URL is kept to be fetched; where nothing is fetched, the error names it.
    """
    outcome = read_images_object({"data": [{"url": "https://example.test/a"}]})
    assert (outcome.urls, outcome.error) == (("https://example.test/a",), None)
    error = without_urls(outcome).error
    assert isinstance(error, InvalidResponseError)
    assert "https://example.test/a" in error.message


@pytest.mark.parametrize(
    "body",
    [
        event_stream(CREATED)[:9],
        event_stream({"type": "x"}),
        event_stream(PARTIAL),
        b"data: {",
        b": only a comment",
        b"data: [DONE]\n\n",
        json.dumps(response(image_item())).encode()[:150],
        b'{"id":' * 100_000,
        b'{"output":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[" * 100_000,
        b'{"status":"completed","output":[{"x":' + b"9" * 9_000,
    ],
)
def test_unreadable_body_is_short_error(body: bytes) -> None:
    """
    Empty streams, partial images, half an image and endless nesting are one typed error.
    """
    for read in (parse_response, parse_text_response, parse_images_response):
        with pytest.raises(InvalidResponseError) as caught:
            read(reply(body, content_type="x" * 9_000))
        assert len(caught.value.message) < 250
    assert recover_complete_body(body) is None


def test_stream_with_only_an_id_is_not_finished() -> None:
    """
    A body of events that breaks before the image gives the id to poll.
    """
    assert parse_response(reply(event_stream(CREATED, PARTIAL))) == ResponseOutcome(
        response_id="resp_1", finished=False, status="in_progress"
    )


def test_error_event_in_body_is_raised() -> None:
    """
    An error event without an image raises its error.
    """
    with pytest.raises(RateLimitError):
        parse_response(
            reply(event_stream(CREATED, {"type": "error", "code": "rate_limit_exceeded"}))
        )


@pytest.mark.parametrize("result", [{"result": None}, {"result": ""}, {}])
@pytest.mark.parametrize("status", ["completed", "generating", None])
def test_completed_call_without_bytes_is_withheld(result: Any, status: str | None) -> None:
    """
    A completed call whose bytes are not in the reply is not a failure, as a replay may have them.
    """
    call = {"type": "image_generation_call", "id": "ig_1", "status": status, **result}
    text = message(type="output_text", text="Here it is.")
    for output in ([call], [{"id": "rs_1"}, call, text]):
        outcome = parse_response(reply(response(*output)))
        assert (outcome.withheld, outcome.error, outcome.finished) == (True, None, True)
        assert outcome.images == ()
        assert "ig_1" in outcome.item_ids


@pytest.mark.parametrize(
    "body",
    [
        response(),
        response(message(type="output_text", text="No.")),
        response(image_item(result=None), message(type="refusal", refusal="No.")),
        response(image_item(result=None, status="failed")),
        response(image_item(result=None, error="blocked")),
        response(image_item(result=None), status="incomplete"),
        response(image_item(result=None), error={"code": "x"}),
        response(image_item(result="%")),
        response(image_item(), image_item(id="ig_2", result=None)),
    ],
)
def test_only_missing_bytes_are_withheld(body: object) -> None:
    """
    Failed, refused and unreadable images have their own errors, and received ones are kept.
    """
    outcome = parse_response(reply(body))
    assert not outcome.withheld
    assert bool(outcome.error) != bool(outcome.images)


def test_item_ids_are_listed() -> None:
    """
    The ids of all output items are listed in order, without invalid ones.
    """
    odd = [{"id": item} for item in (None, 7, "", "a\nb", "x" * 1025, ["y"])]
    outcome = parse_response(reply(response({"id": "rs_1"}, image_item(), *odd, {"id": "msg_1"})))
    assert outcome.item_ids == ("rs_1", "ig_1", "msg_1")


def test_half_a_character_becomes_a_whole_one() -> None:
    """
    Texts with half a character, which JSON can hold and no file or database, are kept as U+FFFD.
    """
    text = message(type="output_text", text="kite\ude00 😀")
    body = response(image_item(revised_prompt="a \ud83d"), text)
    outcome = parse_response(reply(body))
    assert outcome.images[0].revised_prompt == "a \ufffd"
    assert outcome.text == "kite\ufffd 😀"


@pytest.mark.parametrize(
    "odd", ["x" * 1025, "a\nb", "a\x00", "\ud83c", "", 7, None, ["resp_1"], {}]
)
def test_invalid_ids_are_none(odd: object) -> None:
    """
    An id that is too long, has control characters or is not text becomes None.
    """
    body = json.dumps(response(image_item(id=odd), id=odd)).encode()
    outcome = parse_response(reply(body))
    assert (outcome.response_id, outcome.images[0].call_id) == (None, None)
    assert find_response_id(body) is None
    assert (
        parse_response(reply(event_stream({"response": json.loads(body), **DONE}))).response_id
        is None
    )


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(response(image_item())).encode()[:40],
        event_stream(CREATED)[:80],
        b"event: response.created\n" + event_stream(CREATED)[:80],
        b'{"background": true, "object": "response", "id": "resp_1", "output": [{"id": "ig_2',
    ],
)
def test_response_id_is_found_in_truncated_body(body: bytes) -> None:
    """
    The start of a body gives the id of the response to poll.
    """
    assert find_response_id(body) == "resp_1"


def test_item_ids_are_not_response_ids() -> None:
    """
    Other ids in a truncated body are not used as the response's.
    """
    body = b'{"object": "response", "previous_response_id": "resp_0", "output": [{"id": "ig_1"'
    assert find_response_id(body) is None


def test_text_response_is_parsed_from_events() -> None:
    """
    A reply to a request for text may be events.
    """
    text = message(type="output_text", text="A teapot.")
    body = event_stream(CREATED, {"type": "response.completed", "response": response(text)})
    assert (parse_text_response(reply(body)).text, parse_text_response(reply(body)).error) == (
        "A teapot.",
        None,
    )
    refused = response(text, message(type="refusal", refusal="No."))
    assert isinstance(parse_text_response(reply(refused)).error, RefusalError)


# --- damage -------------------------------------------------------------------------------------

RECORDED = response(
    {"id": "rs_1", "type": "reasoning", "summary": []},
    image_item(status="completed", revised_prompt="A teapot", svg_usage={"x": 1}),
    {"id": "msg_1", **message(type="output_text", text="Here.", annotations=[])},
    error=None,
    incomplete_details=None,
    model="gpt-6-luna",
    usage={"input_tokens": 7, "output_tokens_details": {"reasoning_tokens": 0}},
    tool_usage={"image_gen": {"input_tokens": 9}},
)
ODD: list[Any] = [None, True, 7, -1.5, "", "x", [], {}, [[]], {"id": []}, ["x", 7], {"error": "x"}]
PARSERS = (parse_response, parse_text_response, parse_images_response)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """
    List the paths in a JSON value.
    """
    members: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        members = list(cast("dict[str, Any]", value).items())
    elif isinstance(value, list):
        items: list[Any] = value
        members = list(enumerate(items))
    return [path, *(item for name, inner in members for item in paths(inner, (*path, name)))]


def with_value_at(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    """
    Return a JSON value with another value at a path.
    """
    if not path:
        return odd
    copy = json.loads(json.dumps(value))
    container = copy
    for name in path[:-1]:
        container = container[name]
    container[path[-1]] = odd
    return copy


def parse_with_every_parser(body: bytes) -> list[ResponseOutcome]:
    """
    Parse a body with every parser; ignore typed errors.
    """
    outcomes: list[ResponseOutcome] = []
    for read in PARSERS:
        with contextlib.suppress(ImageSessionError):
            outcomes.append(read(reply(body)))
    return outcomes


@pytest.mark.parametrize("recorded", [RECORDED, IMAGES_REPLY, CREATED, DONE, COMPLETED])
def test_wrong_type_at_any_path_is_value_or_typed_error(recorded: dict[str, Any]) -> None:
    """
    Any value at any path of a reply or an event gives a value or a typed error.
    """
    for path in paths(recorded):
        for odd in ODD:
            damaged = with_value_at(recorded, path, odd)
            for outcome in parse_with_every_parser(json.dumps(damaged).encode()):
                assert all(image.data == PNG for image in outcome.images)
                json.dumps([outcome.usage.mainline, outcome.usage.image])
            ended = {"type": "response.completed", "response": RECORDED}
            for events in ([damaged], [damaged, ended], [ended, damaged]):
                for outcome in parse_with_every_parser(event_stream(*events)):
                    assert all(image.data == PNG for image in outcome.images)
                    assert len(outcome.images) == 1 or ended not in events


def test_deep_nesting_at_any_path_is_harmless() -> None:
    """
    A value nested 100,000 deep does no harm, and loses no image.
    """
    deep = b"[" * 100_000 + b"]" * 100_000
    for path in paths(RECORDED):
        body = json.dumps(with_value_at(RECORDED, path, "DEEP")).encode().replace(b'"DEEP"', deep)
        for outcome in parse_with_every_parser(body):
            assert [image.data for image in outcome.images] == [PNG]
        with contextlib.suppress(ImageSessionError):
            parse_response(reply(b"data: " + body))


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(RECORDED).encode(),
        json.dumps(IMAGES_REPLY).encode(),
        event_stream(CREATED, DONE, {"type": "response.completed", "response": RECORDED}),
        event_stream(PARTIAL, COMPLETED),
    ],
)
def test_truncation_at_any_byte_keeps_complete_image(body: bytes) -> None:
    """
    A reply cut at any byte gives an error, an id to poll, or the whole image; always the image,
    once all of it was received.
    """
    start = (
        body.rindex(B64.encode()[-40:]) if b"partial_image" in body else body.index(B64.encode())
    )
    image_end = start + len(B64) if b"partial_image" not in body else start + 40
    for end in range(len(body)):
        outcomes = parse_with_every_parser(body[:end])
        assert all(image.data == PNG for outcome in outcomes for image in outcome.images)
        if end >= image_end:
            assert len([outcome for outcome in outcomes if outcome.images]) == len(PARSERS)


@given(st.data())
def test_changed_bytes_are_value_or_typed_error(data: st.DataObject) -> None:
    """
    Changed, removed and inserted bytes give a value or a typed error.
    """
    body = bytearray(
        data.draw(st.sampled_from([json.dumps(RECORDED).encode(), event_stream(CREATED, DONE)]))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    parse_with_every_parser(bytes(body))
