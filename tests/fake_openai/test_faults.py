"""
Failing on purpose.
"""

import base64
import math
import time
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
from imagesession.testing.command import main

if TYPE_CHECKING:
    from tests.fake_openai.conftest import Talk


def test_next_call_fails_once(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A planned error answers the next call, with its headers, and only that.
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


def test_client_retries_over_failures(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    Two planned errors and a patient client make three calls and one reply.
    """
    provider.fail_next(status=503, headers={"retry-after-ms": "1"}, path="/responses", times=2)
    patient = talk.client.with_options(max_retries=2)

    assert patient.responses.create(model="gpt-5.4", input="x").status == "completed"
    assert [call.headers["x-stainless-retry-count"] for call in provider.requests] == [
        "0",
        "1",
        "2",
    ]


def test_faults_wait_for_their_calls(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A fault waits until a call fits its method and path.
    """
    provider.fail_next(status=500, method="GET", path="/responses/*")
    made = talk.make()

    with pytest.raises(openai.InternalServerError):
        talk.get(f"/responses/{made['id']}")
    assert made["id"] == talk.get(f"/responses/{made['id']}")["id"]


def test_fault_strikes_the_picture(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A fault with no method and no path is for the next picture, not for the free calls before it.
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
def test_fault_strikes_pictures_of_the_images_api(
    provider: FakeOpenAI, talk: "Talk", path: str
) -> None:
    """
    Pictures of the Images API are struck too.
    """
    provider.fail_next(status=500)

    with pytest.raises(openai.InternalServerError):
        talk.post({"model": "gpt-image-2", "prompt": "tea"}, path)


@pytest.mark.parametrize("position", [{"method": "*"}, {"path": "*"}, {"method": "GET"}])
def test_fault_strikes_any_call_if_so_told(
    provider: FakeOpenAI, talk: "Talk", position: dict[str, Any]
) -> None:
    """
    With a method or a path a fault is for the next call that fits, whatever it asks for.
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
def test_planned_errors_have_the_type_of_their_status(
    provider: FakeOpenAI, talk: "Talk", status: int, kind: str
) -> None:
    """
    An error that is planned without a body has the type that its status has.
    """
    provider.fail_next(status=status)

    assert talk.refused()[1]["type"] == kind


def test_refusal_has_words_and_no_picture(provider: FakeOpenAI, talk: "Talk") -> None:
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
    What follows a refusal goes on from the picture before it.
    """
    first = talk.make("a red kite")
    provider.refuse_next("No.")
    refused = talk.make("something else", previous_response_id=first["id"])

    after = talk.make("bluer", previous_response_id=refused["id"])
    direct = talk.make("bluer", previous_response_id=first["id"])
    assert talk.pixels(direct) == talk.pixels(after)


def test_blocked_as_error(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A blocked request is a 400 with the stage and the categories.
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


def test_blocked_as_item(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A blocked picture can come with status 200, as an item that failed, streamed or not.
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


def test_broken_generation(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A generation that breaks ends its stream with `response.failed`.
    """
    provider.fail_generation_next(message="Out of paint.")
    events = talk.events()
    provider.fail_generation_next()

    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["error"]["message"] == "Out of paint."
    assert talk.make()["status"] == "failed"


@pytest.mark.parametrize("count", [0, 1, 4])
def test_cut_stream_ends_silently(provider: FakeOpenAI, talk: "Talk", count: int) -> None:
    """
    A cut stream ends after so many events, without a last word; plain calls are left alone.
    """
    whole = [event["type"] for event in talk.events()]
    provider.truncate_stream_after(count)
    talk.make()

    assert whole[:count] == [event["type"] for event in talk.events()]
    assert whole == [event["type"] for event in talk.events()]


@pytest.mark.parametrize("model", ["gpt-5.4", "gpt-5"])
def test_stream_can_end_after_the_picture(provider: FakeOpenAI, talk: "Talk", model: str) -> None:
    """
    Cut after `output_item.done`, a stream ends when the picture's has come, not a reasoning's.
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
    Cut after a type of event, a stream ends with the first of them.
    """
    provider.truncate_stream_after(event)
    types = [item["type"] for item in talk.events(tool={"partial_images": 2})]

    assert types.index(event) == len(types) - 1
    provider.truncate_stream_after("response.failed")
    assert talk.events()[-1]["type"] == "response.completed"


def test_cut_background_stream_is_resumed(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    What a cut took from a background stream can be had later.
    """
    provider.truncate_stream_after(3)
    events = talk.events(background=True)
    rest = talk.resume(events[0]["response"]["id"], starting_after=events[-1]["sequence_number"])

    assert list(range(len(events) + len(rest))) == [
        event["sequence_number"] for event in (*events, *rest)
    ]
    assert rest[-1]["type"] == "response.completed"


def test_forgotten_responses_are_not_continued(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    After forgetting, nothing can go on from what was.
    """
    made = talk.make()
    provider.reset_memory()

    assert talk.refused(previous_response_id=made["id"])[1]["code"] == "previous_response_not_found"
    item = {"type": "image_generation_call", "id": talk.pictures(made)[0]["id"]}
    assert talk.refused([item, {"role": "user", "content": "bluer"}])[0] == 404


def test_scripts_can_bend_any_answer(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A script of one's own can change what the provider answers: here it breaks the connection.
    """

    def reset(answer: FakeResponse) -> FakeResponse:
        return attrs.evolve(answer, parts=iter((Delay(0.0), b"{", ConnectionReset())))

    provider.enqueue_fault(Fault(bend=reset))
    with pytest.raises(openai.APIConnectionError):
        talk.make()


def test_unknown_statuses_have_a_body(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    An error planned without a body gets a plain one.
    """
    provider.fail_next(status=500)

    with pytest.raises(openai.InternalServerError, match="Internal Server Error"):
        talk.make()


def test_cut_behind_the_end_cuts_nothing(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A stream shorter than the cut ends as it would.
    """
    provider.truncate_stream_after(1000)

    assert talk.events()[-1]["type"] == "response.completed"


def test_nothing_in_a_prompt_fails(talk: "Talk") -> None:
    """
    Words are never commands to the provider: only a script makes it fail.
    """
    for prompt in ("error 500", "moderation_blocked", "timeout", "refuse", "fail"):
        assert talk.pictures(talk.make(prompt))


# --- by chance ---------------------------------------------------------------------------------


@pytest.fixture(params=["in this process", "over loopback"])
def impatient(request: pytest.FixtureRequest) -> "Talk":
    """
    Connect in either way, by a client that waits for little more than a moment.
    """
    way = "talk" if request.param == "in this process" else "loopback"
    talk: Talk = request.getfixturevalue(way)
    talk.client = talk.client.with_options(timeout=0.3)
    talk.make()
    return talk


@pytest.mark.parametrize(
    "kind,error,status,code",
    [
        ("429", openai.RateLimitError, 429, "rate_limit_exceeded"),
        ("429 hinted", openai.RateLimitError, 429, "rate_limit_exceeded"),
        ("quota", openai.RateLimitError, 429, "insufficient_quota"),
        ("500", openai.InternalServerError, 500, "server_error"),
        ("503", openai.InternalServerError, 503, "server_is_overloaded"),
        ("529", openai.InternalServerError, 529, None),
        ("moderation", openai.BadRequestError, 400, "moderation_blocked"),
    ],
)
def test_error_by_chance(
    provider: FakeOpenAI,
    impatient: "Talk",
    *,
    kind: str,
    error: type[openai.APIStatusError],
    status: int,
    code: str | None,
) -> None:
    """
    Errors come with their status and code, plain or streamed, and each call tells what it met.
    """
    provider.inject_faults({kind: 1.0})
    for make in (impatient.make, impatient.events):
        with pytest.raises(error) as caught:
            make()
        assert (caught.value.status_code, caught.value.code) == (status, code)
    hint = caught.value.response.headers.get("retry-after-ms")
    assert hint == ("250" if kind == "429 hinted" else None)
    assert [call.fault for call in provider.requests] == [None, kind, kind]


@pytest.mark.parametrize("kind", ["reset before", "reset within", "reset after", "hang", "slow"])
@pytest.mark.parametrize("streamed", [False, True])
def test_broken_connection_by_chance(
    provider: FakeOpenAI, impatient: "Talk", kind: str, *, streamed: bool
) -> None:
    """
    Connections break or fall silent, and soon; what was asked for was carried out all the same.
    """
    provider.inject_faults({kind: 1.0})
    start = time.monotonic()
    with pytest.raises(openai.APIConnectionError):
        impatient.events() if streamed else impatient.make(background=True)
    assert time.monotonic() - start < 5
    assert len(provider.requests) == 2


@pytest.mark.parametrize(
    "kind,least", [("reset before", 0), ("reset within", 1), ("reset after", 100), ("slow", 1)]
)
def test_so_much_comes_before_it_breaks(
    provider: FakeOpenAI, impatient: "Talk", kind: str, least: int
) -> None:
    """
    Nothing, a part or all of the body comes before the connection fails.
    """
    provider.inject_faults({kind: 1.0}, seed=1)
    came: list[bytes] = []
    body = impatient.body("x", None, {"background": True})
    with pytest.raises((httpx2.TransportError, openai.APIConnectionError)):
        _take(impatient.client, body, came)
    whole = b"".join(came)
    assert len(whole) >= least
    assert whole.endswith(b"}") == (kind == "reset after")


def _take(client: openai.OpenAI, body: dict[str, object], came: list[bytes]) -> None:
    """
    Take up an answer's body piece by piece.
    """
    post: Any = client.post
    answer: httpx2.Response = post(
        "/responses",
        body=body,
        cast_to=httpx2.Response,
        stream=True,
        stream_cls=openai.Stream[object],
    )
    came.extend(answer.iter_raw())


def test_cut_by_chance(provider: FakeOpenAI, impatient: "Talk") -> None:
    """
    Streams end silently somewhere; plain answers are left alone.
    """
    whole = impatient.events()
    provider.inject_faults({"cut": 1.0}, seed=4)
    lengths = [len(impatient.events()) for _ in range(6)]
    assert len(set(lengths)) > 1
    assert all(0 <= length <= len(whole) for length in lengths)
    assert impatient.make()["status"] == "completed"
    assert provider.requests[-1].fault is None


def test_cut_after_the_picture_by_chance(provider: FakeOpenAI, impatient: "Talk") -> None:
    """
    Streams end silently right after the picture; plain answers are left alone.
    """
    provider.inject_faults({"cut after picture": 1.0})

    assert impatient.events()[-1]["item"]["result"]
    assert impatient.make()["status"] == "completed"


@pytest.mark.parametrize("kind", ["truncated", "html"])
def test_no_json_by_chance(provider: FakeOpenAI, impatient: "Talk", kind: str) -> None:
    """
    Answers with status 200 are no JSON.
    """
    provider.inject_faults({kind: 1.0})
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        impatient.make()


def test_garbled_by_chance(provider: FakeOpenAI, impatient: "Talk") -> None:
    """
    Pictures are no base64, in answers and in streams.
    """
    provider.inject_faults({"garbled": 1.0})
    for response in (impatient.make(), impatient.events()[-1]["response"]):
        (item,) = impatient.pictures(response)
        assert item["result"].count("%") == 1
        with pytest.raises(ValueError, match="base64"):
            base64.b64decode(item["result"], validate=True)


def test_moderation_item_by_chance(provider: FakeOpenAI, impatient: "Talk") -> None:
    """
    A picture can be withheld in an answer that is otherwise a success.
    """
    provider.inject_faults({"moderation item": 1.0})
    (item,) = impatient.pictures(impatient.make())
    assert (item["status"], item["error"]["code"]) == ("failed", "moderation_blocked")


def test_unknown_previous_by_chance(provider: FakeOpenAI, impatient: "Talk") -> None:
    """
    What goes on from a response may be told that it is not known; anything else is left alone.
    """
    provider.inject_faults({"unknown previous": 1.0})
    made = impatient.make()
    _, error = impatient.refused(previous_response_id=made["id"])
    assert error["code"] == "previous_response_not_found"


def test_late_by_chance(connect: "Callable[[FakeOpenAI], Talk]") -> None:
    """
    A new response cannot be found for half a second, however often it is looked for; then it can.
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


def test_late_is_over_by_itself(connect: "Callable[[FakeOpenAI], Talk]") -> None:
    """
    Once it can be found it stays so.
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


def test_the_same_seed_strikes_the_same_calls() -> None:
    """
    A seed makes it happen in the same way again; another in another way.
    """
    struck: list[list[str | None]] = []
    for seed in (3, 3, 4):
        provider = FakeOpenAI()
        provider.inject_faults({"429": 0.2, "500": 0.2}, seed=seed)
        struck.append(_faults_met(provider, 50))
    assert struck[0] == struck[1] != struck[2]


def test_rates_are_kept() -> None:
    """
    Each kind strikes about as often as it should.
    """
    provider = FakeOpenAI()
    provider.inject_faults({"429": 0.1, "503": 0.3})
    counts = Counter(_faults_met(provider, 1000))
    assert 70 <= counts["429"] <= 130
    assert 250 <= counts["503"] <= 350


def test_planned_faults_come_first() -> None:
    """
    What is planned for a call happens to it; misbehaving keeps to its place, and ends.
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
        ({"flood": 0.1}, "no trouble 'flood'; there are 429, "),
        ({"429": -0.1}, "not from 0 to 1"),
        ({"429": math.nan}, "not from 0 to 1"),
        ({"429": 0.6, "500": 0.6}, "more than 1 together"),
    ],
)
def test_rates_that_are_none(rates: dict[str, float], words: str) -> None:
    """
    A kind that does not exist and a rate that is none are refused in words.
    """
    with pytest.raises(ValueError, match=words):
        FakeOpenAI().inject_faults(rates)


@pytest.mark.parametrize("option", ["429", "429=often", "flood=0.1", "500=2"])
def test_rates_on_the_command_line_are_checked(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The command says what is wrong with a rate.
    """
    with pytest.raises(SystemExit):
        main(["serve", "--fault", option])
    assert "error:" in capsys.readouterr().err


def test_every_kind_is_documented() -> None:
    """
    What the public documentation names is what there is.
    """
    for text in (offline.__doc__, FakeOpenAI.inject_faults.__doc__):
        words = " ".join((text or "").split())
        assert all(kind in words for kind in FAULT_KINDS)


@given(
    st.sampled_from(sorted(FAULT_KINDS)), st.floats(0, 1, exclude_max=True), st.binary(max_size=60)
)
def test_any_body_can_be_bent(kind: str, share: float, body: bytes) -> None:
    """
    Wherever a fault strikes, it makes an answer of whatever the provider says.
    """
    fault = FAULT_KINDS[kind](share)
    call = FakeRequest(method="GET", path="/responses/x")
    answer = FakeResponse(headers={"content-type": "application/json"}, parts=iter((body,)))
    if fault.instead is not None:
        answer = fault.instead(call)
    elif fault.bend is not None:
        answer = fault.bend(answer)
    parts = list(answer.parts)
    assert all(isinstance(part, bytes | Delay | ConnectionReset) for part in parts)
