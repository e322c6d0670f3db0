"""
Fault injection.
"""

import base64
import math
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

import imagesession.testing as offline
from imagesession.testing import (
    FAULT_KINDS,
    ConnectionReset,
    Delay,
    FakeOpenAI,
    FakeRequest,
    FakeResponse,
    Fault,
    tiny_image,
)
from imagesession.testing.__main__ import main

if TYPE_CHECKING:
    from tests.fake_openai.conftest import Talk


def test_next_request_fails_once(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A queued error, with its headers, answers the next request and no other.
    """
    error = {"message": "Slow down.", "type": "requests", "param": None, "code": "slow_down"}
    provider.fail_next(status=429, error=error, headers={"retry-after": "7"})

    with pytest.raises(openai.RateLimitError) as caught:
        talk.make()
    assert ("7", error) == (
        caught.value.response.headers["retry-after"],
        caught.value.response.json()["error"],
    )
    assert caught.value.request_id
    assert talk.make()["status"] == "completed"


def test_client_retries_failed_requests(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    With two queued errors and retries, a client sends three requests and gets one response.
    """
    provider.fail_next(status=503, headers={"retry-after-ms": "1"}, path="/responses", times=2)
    client = talk.client.with_options(max_retries=2)

    assert client.responses.create(model="gpt-5.4", input="x").status == "completed"
    assert [call.headers["x-stainless-retry-count"] for call in provider.requests] == [
        "0",
        "1",
        "2",
    ]


def test_fault_waits_for_a_matching_request(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A fault waits until a request matches its method and path.
    """
    provider.fail_next(status=500, method="GET", path="/responses/*")
    made = talk.make()

    with pytest.raises(openai.InternalServerError):
        talk.get(f"/responses/{made['id']}")
    assert made["id"] == talk.get(f"/responses/{made['id']}")["id"]


def test_fault_applies_to_image_requests(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A fault without method and path applies to the next request for an image, not to free requests
    before it.
    """
    provider.fail_next(status=500)
    talk.client.models.list()
    talk.client.conversations.create()
    talk.client.files.create(file=("in.png", tiny_image()), purpose="vision")
    made = talk.make("no picture", tools=[])
    talk.make("nor this", tools=[{"type": "web_search"}])
    talk.get(f"/responses/{made['id']}")
    bodies: list[object] = [[], {}, {"tools": {}}, {"tools": [3]}]
    for body in bodies:
        with pytest.raises(openai.BadRequestError):
            talk.client.post("/responses", body=body, cast_to=httpx2.Response)

    assert talk.refused()[0] == 500
    assert talk.pictures(talk.make())


@pytest.mark.parametrize("path", ["/images/generations", "/images/edits"])
def test_fault_applies_to_the_images_api(provider: FakeOpenAI, talk: "Talk", path: str) -> None:
    """
    Images API requests are requests for an image too.
    """
    provider.fail_next(status=500)

    with pytest.raises(openai.InternalServerError):
        talk.post({"model": "gpt-image-2", "prompt": "tea"}, path)


@pytest.mark.parametrize("position", [{"method": "*"}, {"path": "*"}, {"method": "GET"}])
def test_fault_with_method_or_path_applies_to_any_request(
    provider: FakeOpenAI, talk: "Talk", position: dict[str, Any]
) -> None:
    """
    With a method or a path, a fault applies to the next matching request, whatever it is for.
    """
    provider.fail_next(status=500, **position)

    with pytest.raises(openai.InternalServerError):
        talk.client.models.list()


@pytest.mark.parametrize(
    "status,kind",
    [
        (400, "invalid_request_error"),
        (404, "invalid_request_error"),
        (429, "requests"),
        (500, "server_error"),
        (503, "server_error"),
    ],
)
def test_default_error_type_follows_from_the_status(
    provider: FakeOpenAI, talk: "Talk", status: int, kind: str
) -> None:
    """
    A queued error without a body has the error type that belongs to its status.
    """
    provider.fail_next(status=status)

    assert talk.refused()[1]["type"] == kind


def test_refusal_has_text_and_no_image(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A refused generation is a message with a refusal, streamed or not.
    """
    provider.refuse_next("I won't.")
    plain = talk.make()
    provider.refuse_next("I won't.")
    events = talk.events()

    for response in (plain, events[-1]["response"]):
        assert not talk.pictures(response)
        assert response["output"][-1]["content"] == [{"type": "refusal", "refusal": "I won't."}]
        assert response["tool_usage"]["image_gen"]["total_tokens"] == 0
    deltas = [event["delta"] for event in events if event["type"] == "response.refusal.delta"]
    assert "".join(deltas) == "I won't."


def test_conversation_survives_a_refusal(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A turn after a refusal continues from the image before it.
    """
    first = talk.make("a red kite")
    provider.refuse_next("No.")
    refused = talk.make("something else", previous_response_id=first["id"])

    after = talk.make("bluer", previous_response_id=refused["id"])
    direct = talk.make("bluer", previous_response_id=first["id"])
    assert talk.pixels(direct) == talk.pixels(after)


def test_moderation_as_an_error(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A request blocked by moderation gets a 400 with the stage and the categories.
    """
    provider.moderate_next(stage="input", categories=("violence", "hate"))
    status, error = talk.refused()

    assert (status, error["code"]) == (400, "moderation_blocked")
    assert error["type"] == "image_generation_user_error"
    assert error["moderation_details"] == {
        "moderation_stage": "input",
        "categories": ["violence", "hate"],
    }
    assert "safety_violations=[violence, hate]" in error["message"]


def test_moderation_as_a_failed_item(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A blocked image can come with status 200, as a failed item, streamed or not.
    """
    provider.moderate_next(as_item=True)
    plain = talk.make()
    provider.moderate_next(as_item=True)
    events = talk.events(tool={"partial_images": 1})

    for response in (plain, events[-1]["response"]):
        (item,) = talk.pictures(response)
        assert (
            response["status"],
            item["status"],
            item["result"],
        ) == ("completed", "failed", None)
        assert item["error"]["code"] == "moderation_blocked"
        assert item["error"]["moderation_details"]["categories"] == ["sexual"]
    assert not any("partial_image" in event["type"] for event in events)
    assert plain == talk.get(f"/responses/{plain['id']}")
    provider.inject_faults({"garbled": 1.0})
    assert plain == talk.get(f"/responses/{plain['id']}")


def test_failed_generation(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A generation that fails ends its stream with `response.failed`.
    """
    provider.fail_generation_next(message="Out of paint.")
    events = talk.events()
    provider.fail_generation_next()

    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["error"]["message"] == "Out of paint."
    assert talk.make()["status"] == "failed"


@pytest.mark.parametrize("count", [0, 1, 4])
def test_truncated_stream_ends_silently(provider: FakeOpenAI, talk: "Talk", count: int) -> None:
    """
    A truncated stream ends after the given number of events, without a final event; plain requests
    are not affected.
    """
    whole = [event["type"] for event in talk.events()]
    provider.truncate_stream_after(count)
    talk.make()

    assert whole[:count] == [event["type"] for event in talk.events()]
    assert whole == [event["type"] for event in talk.events()]


@pytest.mark.parametrize("model", ["gpt-5.4", "gpt-5"])
def test_stream_can_end_after_the_image(provider: FakeOpenAI, talk: "Talk", model: str) -> None:
    """
    Truncated after `output_item.done`, a stream ends after the image's event, not the reasoning's.
    """
    provider.truncate_stream_after("response.output_item.done")
    *_, last = talk.events(model=model)

    assert last["type"] == "response.output_item.done"
    assert last["item"]["result"] == talk.pictures(talk.make())[0]["result"]


@pytest.mark.parametrize(
    "event", ["response.created", "response.image_generation_call.partial_image"]
)
def test_stream_can_end_after_any_event(provider: FakeOpenAI, talk: "Talk", event: str) -> None:
    """
    Truncated after a type of event, a stream ends after the first event of that type.
    """
    provider.truncate_stream_after(event)
    types = [item["type"] for item in talk.events(tool={"partial_images": 2})]

    assert types.index(event) == len(types) - 1
    provider.truncate_stream_after("response.failed")
    assert talk.events()[-1]["type"] == "response.completed"


def test_truncated_background_stream_is_resumed(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    The missing events of a truncated background stream can be fetched later.
    """
    provider.truncate_stream_after(3)
    events = talk.events(background=True)
    rest = talk.resume(events[0]["response"]["id"], starting_after=events[-1]["sequence_number"])

    assert list(range(len(events) + len(rest))) == [
        event["sequence_number"] for event in (*events, *rest)
    ]
    assert rest[-1]["type"] == "response.completed"


def test_reset_memory_drops_responses(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    After `reset_memory` no earlier response can be continued.
    """
    made = talk.make()
    provider.reset_memory()

    assert talk.refused(previous_response_id=made["id"])[1]["code"] == "previous_response_not_found"
    item = {"type": "image_generation_call", "id": talk.pictures(made)[0]["id"]}
    assert talk.refused([item, {"role": "user", "content": "bluer"}])[0] == 404


def test_custom_fault_can_change_any_response(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A custom fault can change the provider's response: here it resets the connection.
    """

    def reset(answer: FakeResponse) -> FakeResponse:
        return attrs.evolve(answer, parts=iter((Delay(0.0), b"{", ConnectionReset())))

    provider.enqueue_fault(Fault(transform=reset))
    with pytest.raises(openai.APIConnectionError):
        talk.make()


def test_error_without_a_body_gets_a_default(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    An error queued without a body gets a default one.
    """
    provider.fail_next(status=500)

    with pytest.raises(openai.InternalServerError, match="Internal Server Error"):
        talk.make()


def test_truncation_after_the_end_changes_nothing(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A stream with fewer events than the truncation ends normally.
    """
    provider.truncate_stream_after(1000)

    assert talk.events()[-1]["type"] == "response.completed"


def test_prompts_cause_no_failures(talk: "Talk") -> None:
    """
    No prompt makes the provider fail; only faults do.
    """
    for prompt in ("error 500", "moderation_blocked", "timeout", "refuse", "fail"):
        assert talk.pictures(talk.make(prompt))


# --- random faults ------------------------------------------------------------------------------


@pytest.fixture(params=["in this process", "over loopback"])
def hasty(request: pytest.FixtureRequest) -> "Talk":
    """
    Connect in either way, with a client whose timeout is short.
    """
    fixture = "talk" if request.param == "in this process" else "loopback"
    talk: Talk = request.getfixturevalue(fixture)
    talk.make()
    talk.client = talk.client.with_options(timeout=0.3)
    return talk


@pytest.mark.parametrize(
    "kind,error,status,code",
    [
        ("429", openai.RateLimitError, 429, "rate_limit_exceeded"),
        ("429-retry-after", openai.RateLimitError, 429, "rate_limit_exceeded"),
        ("quota", openai.RateLimitError, 429, "insufficient_quota"),
        ("500", openai.InternalServerError, 500, "server_error"),
        ("503", openai.InternalServerError, 503, "server_is_overloaded"),
        ("529", openai.InternalServerError, 529, None),
        ("moderation", openai.BadRequestError, 400, "moderation_blocked"),
    ],
)
def test_random_error(
    provider: FakeOpenAI,
    hasty: "Talk",
    *,
    kind: str,
    error: type[openai.APIStatusError],
    status: int,
    code: str | None,
) -> None:
    """
    Errors come with their status and code, plain or streamed, and each recorded request names its
    fault.
    """
    provider.inject_faults({kind: 1.0})
    for make in (hasty.make, hasty.events):
        with pytest.raises(error) as caught:
            make()
        assert (caught.value.status_code, caught.value.code) == (status, code)
    hint = caught.value.response.headers.get("retry-after-ms")
    assert hint == ("250" if kind == "429-retry-after" else None)
    assert [call.fault for call in provider.requests] == [None, kind, kind]


@pytest.mark.parametrize(
    "kind",
    [
        "reset-before-response",
        "reset-within-response",
        "reset-after-response",
        "no-response",
        "slow",
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_random_connection_failure(
    provider: FakeOpenAI, hasty: "Talk", kind: str, *, streamed: bool
) -> None:
    """
    Connections are reset or stall; the request was processed all the same.
    """
    provider.inject_faults({kind: 1.0})
    with pytest.raises(openai.APIConnectionError):
        hasty.events() if streamed else hasty.make(background=True)
    assert len(provider.requests) == 2


@pytest.mark.parametrize(
    "kind,min_bytes",
    [
        ("reset-before-response", 0),
        ("reset-within-response", 1),
        ("reset-after-response", 100),
        ("slow", 1),
    ],
)
def test_bytes_before_a_connection_failure(
    provider: FakeOpenAI, hasty: "Talk", kind: str, min_bytes: int
) -> None:
    """
    No bytes, some or all of the body arrive before the connection fails.
    """
    provider.inject_faults({kind: 1.0}, seed=1)
    chunks: list[bytes] = []
    body = hasty.body("x", None, {"background": True})
    with pytest.raises((httpx2.TransportError, openai.APIConnectionError)):
        _read_raw(hasty.client, body, chunks)
    whole = b"".join(chunks)
    assert len(whole) >= min_bytes
    assert whole.endswith(b"}") == (kind == "reset-after-response")


def _read_raw(client: openai.OpenAI, body: dict[str, object], chunks: list[bytes]) -> None:
    """
    Read a response's body chunk by chunk.
    """
    post: Any = client.post
    answer: httpx2.Response = post(
        "/responses",
        body=body,
        cast_to=httpx2.Response,
        stream=True,
        stream_cls=openai.Stream[object],
    )
    chunks.extend(answer.iter_raw())


def test_random_truncated_stream(provider: FakeOpenAI, hasty: "Talk") -> None:
    """
    Streams end silently after some event; plain responses are not affected.
    """
    whole = hasty.events()
    provider.inject_faults({"cut": 1.0}, seed=4)
    lengths = [len(hasty.events()) for _ in range(6)]
    assert len(set(lengths)) > 1
    assert all(0 <= length <= len(whole) for length in lengths)
    assert hasty.make()["status"] == "completed"
    assert provider.requests[-1].fault is None


def test_random_truncation_after_the_image(provider: FakeOpenAI, hasty: "Talk") -> None:
    """
    Streams end silently right after the image; plain responses are not affected.
    """
    provider.inject_faults({"cut-after-image": 1.0})

    assert hasty.events()[-1]["item"]["result"]
    assert hasty.make()["status"] == "completed"


@pytest.mark.parametrize("kind", ["truncated", "html"])
def test_random_invalid_json(provider: FakeOpenAI, hasty: "Talk", kind: str) -> None:
    """
    Responses with status 200 are not JSON.
    """
    provider.inject_faults({kind: 1.0})
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        hasty.make()


def test_random_garbled_image(provider: FakeOpenAI, hasty: "Talk") -> None:
    """
    Images are invalid base64, in responses and in streams.
    """
    provider.inject_faults({"garbled": 1.0})
    for response in (hasty.make(), hasty.events()[-1]["response"]):
        (item,) = hasty.pictures(response)
        assert item["result"].count("%") == 1
        with pytest.raises(ValueError, match="base64"):
            base64.b64decode(item["result"], validate=True)


def test_random_moderation_item(provider: FakeOpenAI, hasty: "Talk") -> None:
    """
    An image can be blocked in a response that is otherwise a success.
    """
    provider.inject_faults({"moderation-item": 1.0})
    (item,) = hasty.pictures(hasty.make())
    assert (item["status"], item["error"]["code"]) == ("failed", "moderation_blocked")


def test_random_unknown_previous_response(provider: FakeOpenAI, hasty: "Talk") -> None:
    """
    A request that continues a response may be told that it does not exist; others are not affected.
    """
    provider.inject_faults({"unknown-previous-response": 1.0})
    made = hasty.make()
    _, error = hasty.refused(previous_response_id=made["id"])
    assert error["code"] == "previous_response_not_found"


def test_random_late_response(connect: "Callable[[FakeOpenAI], Talk]") -> None:
    """
    A new response is not found for half a second, however often it is requested; then it is.
    """
    now = 1000.0
    provider = FakeOpenAI(clock=lambda: now)
    talk = connect(provider)
    provider.inject_faults({"late": 1.0})
    made = talk.make()
    for _ in range(2):
        with pytest.raises(openai.NotFoundError):
            talk.get(f"/responses/{made['id']}")
    now += 0.6
    provider.inject_faults({})
    assert talk.get(f"/responses/{made['id']}")["id"] == made["id"]


def test_late_response_stays_found(connect: "Callable[[FakeOpenAI], Talk]") -> None:
    """
    A response that was found once stays found.
    """
    now = 1000.0
    provider = FakeOpenAI(clock=lambda: now)
    talk = connect(provider)
    provider.inject_faults({"late": 0.5}, seed=1)
    made = [talk.make()["id"] for _ in range(12)]
    found = [_is_found(talk, item) for item in made]
    assert {True, False} == set(found)
    now += 0.6
    provider.inject_faults({"late": 0.0})
    assert all(_is_found(talk, item) for item in made)


def _is_found(talk: "Talk", response_id: str) -> bool:
    try:
        talk.get(f"/responses/{response_id}")
    except openai.NotFoundError:
        return False
    return True


def _faults_met(provider: FakeOpenAI, calls: int, path: str = "/models") -> list[str | None]:
    for _ in range(calls):
        provider.handle(FakeRequest(method="GET", path=path, headers={"authorization": "Bearer x"}))
    return [call.fault for call in provider.requests]


def test_same_seed_gives_the_same_faults() -> None:
    """
    The same seed gives the same faults; another seed gives others.
    """
    faults: list[list[str | None]] = []
    for seed in (3, 3, 4):
        provider = FakeOpenAI()
        provider.inject_faults({"429": 0.2, "500": 0.2}, seed=seed)
        faults.append(_faults_met(provider, 50))
    assert faults[0] == faults[1] != faults[2]


def test_faults_follow_their_rates() -> None:
    """
    Each kind of fault occurs about as often as its rate says.
    """
    provider = FakeOpenAI()
    provider.inject_faults({"429": 0.1, "503": 0.3})
    counts = Counter(_faults_met(provider, 1000))
    assert 70 <= counts["429"] <= 130
    assert 250 <= counts["503"] <= 350


def test_queued_faults_come_first() -> None:
    """
    Queued faults precede random ones, which keep to their method and path, and can be ended.
    """
    provider = FakeOpenAI()
    provider.inject_faults({"500": 1.0}, path="/models", method="GET")
    provider.enqueue_fault(Fault(name="mine"))
    assert _faults_met(provider, 2) == ["mine", "500"]
    assert _faults_met(provider, 1, "/files")[-1] is None
    provider.inject_faults({})
    assert _faults_met(provider, 1)[-1] is None


@pytest.mark.parametrize(
    "rates,words",
    [
        ({"flood": 0.1}, "Unknown fault 'flood'; there are 429, "),
        ({"429": -0.1}, "not from 0 to 1"),
        ({"429": math.nan}, "not from 0 to 1"),
        ({"429": 0.6, "500": 0.6}, "add up to more than 1"),
    ],
)
def test_invalid_rates_are_rejected(rates: dict[str, float], words: str) -> None:
    """
    An unknown kind and a rate out of range raise a ValueError.
    """
    with pytest.raises(ValueError, match=words):
        FakeOpenAI().inject_faults(rates)


@pytest.mark.parametrize("option", ["429", "429=often", "flood=0.1", "500=2"])
def test_rates_on_the_command_line_are_checked(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The command reports an invalid rate.
    """
    with pytest.raises(SystemExit):
        main(["serve", "--fault", option])
    assert "error:" in capsys.readouterr().err


def test_every_kind_is_documented() -> None:
    """
    The public documentation names every kind of fault.
    """
    for text in (offline.__doc__, FakeOpenAI.inject_faults.__doc__):
        words = " ".join((text or "").split())
        assert all(kind in words for kind in FAULT_KINDS)


@given(
    st.sampled_from(sorted(FAULT_KINDS)), st.floats(0, 1, exclude_max=True), st.binary(max_size=60)
)
def test_any_body_can_be_changed(kind: str, share: float, body: bytes) -> None:
    """
    Every kind of fault makes a response out of any body.
    """
    fault = FAULT_KINDS[kind](share)
    call = FakeRequest(method="GET", path="/responses/x")
    answer = FakeResponse(headers={"content-type": "application/json"}, parts=iter((body,)))
    if fault.response is not None:
        answer = fault.response(call)
    elif fault.transform is not None:
        answer = fault.transform(answer)
    parts = list(answer.parts)
    assert all(isinstance(part, bytes | Delay | ConnectionReset) for part in parts)
