"""
What a turn sends of the history, and what the provider stores, for each `provider_state`.

Every test runs over the sync and the async twin.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imagesession.errors import BadRequestError, ContentBlockedError, InvalidRequestError
from imagesession.testing import FakeOpenAI, FakeRequest, FakeResponse, Fault, serve, tiny_image
from tests.conftest import MakeStudio
from tests.conversing import Known, known

MOST_BYTES = 700
REASONING_MODEL = "gpt-6-luna"


def paid_requests(provider: FakeOpenAI) -> list[Any]:
    """
    Return the requests to Responses, the oldest first.
    """
    posts = (call for call in provider.requests if call.method == "POST")
    return [call for call in posts if call.path == "/responses"]


def last_known(provider: FakeOpenAI) -> Known:
    """
    Return how the last request refers to the history.
    """
    return known(paid_requests(provider)[-1].body)


@pytest.fixture
def session(studio: Any) -> Any:
    """
    A new session on a model that reasons.
    """
    return studio.session("A tea shop", name="Tea logo", model=REASONING_MODEL)


# --- "responses" --------------------------------------------------------------------------------


def test_every_turn_names_its_parents_response(
    session: Any, make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A refinement, a branch, an undo, a checkout, another program and a turn after a failure all name
    the parent's response and send no other history: one small request each.
    """
    first = session.generate("a teapot")
    second = session.generate("bluer")
    assert last_known(provider) == Known(previous=first.turn.response_id)
    session.branch("warm", at=first).generate("warmer")
    assert last_known(provider) == Known(previous=first.turn.response_id)
    session.undo()
    session.generate("greener")
    assert last_known(provider) == Known(previous=first.turn.response_id)
    session.checkout(second)
    provider.moderate_next()
    with pytest.raises(ContentBlockedError):
        session.generate("blocked")
    session.generate("with a sun")
    assert last_known(provider) == Known(previous=second.turn.response_id)
    elsewhere = make_studio(tmp_path / "library", provider=provider).open("Tea logo")
    image = elsewhere.generate("with a leaf")
    assert last_known(provider).previous == session.turns()[-2].response_id
    assert (image.turn.context, image.turn.provider_state) == ("continued", "responses")
    assert max(call.length for call in paid_requests(provider)) <= MOST_BYTES
    assert {call.path for call in provider.requests} == {"/responses"}
    assert {call.method for call in provider.requests} == {"POST"}


def test_standalone_image_needs_one_request(studio: Any, provider: FakeOpenAI) -> None:
    """
    A standalone image needs one request: none before and none after.
    """
    studio.generate("a teapot")
    assert [(call.method, call.path) for call in provider.requests] == [("POST", "/responses")]


def test_late_turn_is_as_small_as_the_second(session: Any, provider: FakeOpenAI) -> None:
    """
    Requests do not grow with the session, whatever the size of the images.
    """
    for number in range(12):
        session.generate(f"change {number:02}", size="1536x1024")
    lengths = [call.length for call in paid_requests(provider)]
    assert len(set(lengths[1:])) == 1


def test_history_is_sent_once_after_the_provider_forgot(
    session: Any, make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    If the provider no longer knows the parent, the history is sent from the library once: the next
    turn continues by id, and another turn on the same parent, also in another program, does not try
    that id again.
    """
    first = session.generate("a teapot")
    provider.reset_memory()
    second = session.generate("bluer")
    assert second.turn.context == "rebuilt"
    assert len(paid_requests(provider)) == 3
    session.generate("greener")
    assert last_known(provider) == Known(previous=second.turn.response_id)
    elsewhere = make_studio(tmp_path / "library", provider=provider).open("Tea logo")
    branch = elsewhere.branch("other", at=first)
    before = len(paid_requests(provider))
    image = branch.generate("warmer")
    assert (len(paid_requests(provider)) - before, image.turn.context) == (1, "rebuilt")


# --- "none" -------------------------------------------------------------------------------------


def test_provider_state_none_stores_nothing(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    With "none" each request sets `store=false`, names nothing at the provider, and sends the
    earlier prompts and the last image; nothing can be retrieved, and nothing was uploaded.
    """
    studio = make_studio(tmp_path, provider=provider, provider_state="none")
    session = studio.session("A tea shop")
    session.generate("a teapot", references=tiny_image())
    image = session.generate("bluer")
    for call in paid_requests(provider):
        assert call.body["store"] is False
        assert not {"background", "conversation", "previous_response_id"} & call.body.keys()
    assert {call.path for call in provider.requests} == {"/responses"}
    assert "a teapot" in json.dumps(paid_requests(provider)[1].body)
    assert "data:image/png;base64," in json.dumps(paid_requests(provider)[1].body)
    assert (image.turn.provider_state, image.turn.context) == ("none", "rebuilt")
    key = {"authorization": "Bearer x"}
    stored = provider.handle(
        FakeRequest(method="GET", path=f"/responses/{image.turn.response_id}", headers=key)
    )
    assert stored.status == 404


def test_session_overrides_the_studios_provider_state(
    studio: Any, make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A session's setting overrides its studio's, in every program that opens it, until it is changed.
    """
    session = studio.session("x", name="private", provider_state="none")
    session.generate("a teapot")
    elsewhere = make_studio(tmp_path / "library", provider=provider).open("private")
    assert elsewhere.generate("bluer").turn.provider_state == "none"
    elsewhere.update(provider_state="responses")
    rebuilt = session.generate("greener")
    # The provider does not store the parent, so the history is sent again.
    assert (rebuilt.turn.provider_state, rebuilt.turn.context) == ("responses", "rebuilt")
    session.generate("warmer")
    assert last_known(provider) == Known(previous=rebuilt.turn.response_id)


def test_account_that_stores_nothing_is_detected(session: Any, provider: FakeOpenAI) -> None:
    """
    If the response says that it is not stored, the next turn does not name it, whatever was
    requested.
    """

    def forget(answer: FakeResponse) -> FakeResponse:
        parts = [
            part.replace(b'"store":true', b'"store":false') if isinstance(part, bytes) else part
            for part in answer.parts
        ]
        return FakeResponse(headers=answer.headers, parts=iter(parts))  # fmt: skip

    provider.enqueue_fault(Fault(method="POST", path="/responses", transform=forget))
    first = session.generate("a teapot")
    assert first.turn.provider_state == "none"
    session.generate("bluer")
    assert last_known(provider).previous is None
    assert len(paid_requests(provider)) == 2


# --- "conversation" -----------------------------------------------------------------------------


def test_conversation_names_complete_groups_of_items(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A branch creates its own conversation, and names each answer by all of its items: a model that
    reasons refuses an image without its reasoning.
    """
    studio = make_studio(tmp_path, provider=provider, provider_state="conversation")
    session = studio.session("A tea shop", model=REASONING_MODEL)
    first = session.generate("a teapot")
    second = session.generate("bluer")
    assert last_known(provider) == Known(conversation=first.turn.conversation)
    session.generate("with a sun")
    branch = session.branch("warm", at=second).generate("warmer")
    assert len(paid_requests(provider)) == 4
    known_items = last_known(provider)
    assert known_items.items == (*first.turn.item_ids, *second.turn.item_ids)
    assert len(first.turn.item_ids) == 3
    assert known_items.conversation == branch.turn.conversation != second.turn.conversation
    assert (branch.turn.context, branch.turn.provider_state) == ("continued", "conversation")


def test_change_of_provider_state_sends_history_once(session: Any, provider: FakeOpenAI) -> None:
    """
    A session that leaves its conversation sends that history from the library, once.
    """
    session.update(provider_state="conversation")
    session.generate("a teapot")
    session.update(provider_state="responses")
    continued = session.generate("bluer")
    assert (continued.turn.context, continued.turn.conversation) == ("rebuilt", None)
    session.generate("greener")
    assert last_known(provider) == Known(previous=continued.turn.response_id)


# --- length of the history ------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["responses", "conversation", "none"])
@pytest.mark.parametrize("cap", [1, 4])
def test_remember_limits_the_history(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, state: str, cap: int
) -> None:
    """
    With `remember=` a turn gets at most that many earlier ones, including the last image, and
    records how many.
    """
    studio = make_studio(tmp_path, provider=provider, provider_state=state, remember=cap)
    session = studio.session("A tea shop")
    images = [session.generate(f"change {number}") for number in range(8)]
    counts = [image.turn.context_turns for image in images]
    assert counts[0] == 0
    assert all(0 < number <= cap for number in counts[1:])
    assert len(paid_requests(provider)) == 8
    for image, call in zip(images, paid_requests(provider), strict=True):
        if image.turn.context == "rebuilt":
            text = json.dumps(call.body["input"])
            prompts = [item for item in call.body["input"] if item["role"] == "user"]
            assert len(prompts) <= cap + 1
            assert "data:image" in text


@pytest.mark.parametrize("wrong", [0, -1, True, 2.0, "3"])
def test_invalid_remember_is_refused(studio: Any, wrong: Any) -> None:
    """
    Invalid values are refused before anything is written.
    """
    with pytest.raises(InvalidRequestError, match="remember="):
        studio.session("x", remember=wrong)
    with pytest.raises(InvalidRequestError, match="provider_state="):
        studio.session("x", provider_state="everything")
    assert studio.sessions.list() == ()


def test_history_is_shortened_to_the_context_window(session: Any, provider: FakeOpenAI) -> None:
    """
    If the history exceeds the model's context window, a shorter one is sent, the turn records its
    length, and the session continues from there by id.
    """
    for number in range(4):
        session.generate(f"change {number}")
    grown = session.images()[-1].turn.usage.mainline["input_tokens"]
    provider.context_tokens = grown + 1000
    image = session.generate("one more")
    assert (image.turn.context, image.turn.context_turns) == ("rebuilt", 2)
    provider.context_tokens = None
    session.generate("and another")
    assert last_known(provider) == Known(previous=image.turn.response_id)


def test_prompt_exceeding_the_context_window_is_rejected(
    session: Any, provider: FakeOpenAI
) -> None:
    """
    If leaving out the history does not help, the provider's error is raised after a few free
    requests.
    """
    session.generate("a teapot")
    provider.context_tokens = 10
    with pytest.raises(BadRequestError, match="context window"):
        session.generate("bluer")
    assert len(paid_requests(provider)) <= 4


def test_turns_of_a_session_share_a_cache_key(
    studio: Any, make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    All turns of a session name the same cache key, on every branch and in the next program;
    another session has its own, and a standalone image none.
    """
    session = studio.session("A tea shop")
    first = session.generate("a teapot")
    first.branch("warm").generate("warmer")
    make_studio(tmp_path / "library", provider=provider).open(session.id).generate("bluer")
    studio.session("A bakery").generate("a loaf")
    studio.generate("a cup")
    keys = [call.body.get("prompt_cache_key") for call in paid_requests(provider)]
    assert keys[:3] == [session.id] * 3
    assert keys[3] not in {None, session.id}
    assert keys[4] is None


@pytest.mark.parametrize("state", ["responses", "conversation", "none"])
def test_long_session_is_compacted_by_the_provider(
    studio: Any, provider: FakeOpenAI, state: Any
) -> None:
    """
    With a threshold the provider replaces earlier turns by a summary once a request exceeds it, so
    that the input of a long session stays bounded; the session goes on as before.
    """
    session = studio.session("A shop", compact_threshold=20_000, provider_state=state)
    turns = [session.generate(f"change {number}").turn for number in range(16)]
    tokens = [turn.usage.mainline["input_tokens"] for turn in turns]
    assert max(tokens) < 25_000
    assert all(
        call.body["context_management"] == [{"type": "compaction", "compact_threshold": 20_000}]
        for call in paid_requests(provider)
    )
    mode = "rebuilt" if state == "none" else "continued"
    assert {turn.context for turn in turns[1:]} == {mode}
    if state != "none":
        assert sum(earlier > later for earlier, later in itertools.pairwise(tokens)) == 1
    assert session.branch("warm", at=turns[10].images[0].id).generate("warmer").bytes


# --- unsupported features -------------------------------------------------------------------------

WORDS: dict[str, list[dict[str, Any]]] = {
    "background": [
        {"message": "no background here", "param": "background", "code": "x"},
        {"message": "The image_generation tool is not supported in background mode.",
         "param": "tools", "code": None},
        {"message": "Unsupported parameter: 'background'", "param": None, "code": None},
        {"message": "background: extra fields not permitted", "param": None, "code": "422"},
        {"message": "此模型不支持该请求", "param": None, "code": None},
    ],
    "stream": [
        {"message": "Your organization must be verified to stream this model.",
         "param": "stream", "code": "unsupported_value"},
        {"message": "Streaming is not available.", "param": None, "code": None},
    ],
    "store": [
        {"message": "Responses cannot be stored for this organization.", "param": "store",
         "code": None},
        {"message": "Zero data retention is enforced.", "param": None, "code": None},
        {"message": "Store must be set to false", "param": "store", "code": None},
    ],
    "files": [
        {"message": "input_image.file_id is not supported", "param": None, "code": None},
        {"message": "Invalid input: Expected file type to be a supported format: .pdf but got "
         ".png.", "param": "input", "code": None},
    ],
    "previous_response_id": [
        {"message": "Unknown parameter: 'previous_response_id'.", "param": "previous_response_id",
         "code": "unknown_parameter"},
        {"message": "Previous response cannot be used for this organization due to Zero Data "
         "Retention.", "param": "previous_response_id", "code": None},
    ],
    "prompt_cache_key": [
        {"message": "Unrecognized request argument supplied: prompt_cache_key", "param": None,
         "code": None},
        {"message": "Unknown parameter: 'prompt_cache_key'.", "param": "prompt_cache_key",
         "code": "unknown_parameter"},
        {"message": "body.prompt_cache_key: Extra inputs are not permitted", "param": None,
         "code": "422"},
    ],
}  # fmt: skip
CASES = [(feature, error) for feature, errors in WORDS.items() for error in errors]


@pytest.mark.parametrize(
    "feature,error", CASES, ids=[f"{text}-{n}" for n, (text, _) in enumerate(CASES)]
)
def test_unsupported_feature_is_avoided_for_a_day(
    make_studio: MakeStudio,
    tmp_path: Path,
    provider: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
    *,
    feature: Any,
    error: dict[str, Any],
) -> None:
    """
    Whatever the error message, the next strategy is used, and remembered for a day by all programs
    on the library: one request is refused, once.
    """
    provider.refuse(feature, error={"type": "invalid_request_error", **error})
    refused = refusals(provider)

    def draw_twice() -> None:
        session = make_studio(tmp_path, provider=provider).session("x")
        session.generate("a teapot", references=tiny_image())
        assert session.generate("bluer").bytes

    draw_twice()
    assert refused() == 1
    draw_twice()
    assert refused() == 1
    later = time.time() + 86_500
    monkeypatch.setattr(time, "time", lambda: later)
    draw_twice()
    assert refused() == 2


def refusals(provider: FakeOpenAI) -> Callable[[], int]:
    """
    Count the paid requests that get a status of 400 to 499 from now on.
    """
    statuses: list[int] = []
    handle = provider.handle

    def watch(call: FakeRequest) -> FakeResponse:
        answer = handle(call)
        if (call.method, call.path) == ("POST", "/responses") and answer.status >= 400:
            statuses.append(answer.status)
        return answer

    provider.handle = watch  # type: ignore[method-assign]
    return lambda: len(statuses)


def test_invalid_request_costs_one_request(session: Any, provider: FakeOpenAI) -> None:
    """
    A request that is invalid in itself is not sent again in another form.
    """
    error = {"message": "no", "code": "invalid_value", "param": "tools[0].size"}
    provider.fail_next(status=400, error=error)
    with pytest.raises(BadRequestError):
        session.generate("a teapot")
    assert len(paid_requests(provider)) == 1


def test_refused_image_background_is_not_an_unsupported_feature(
    session: Any, provider: FakeOpenAI
) -> None:
    """
    If the image's own background is refused, no feature is given up.
    """
    error = {
        "message": "Transparent backgrounds are not supported by this model.",
        "param": "tools[0].background",
        "code": "invalid_value",
    }
    provider.fail_next(status=400, error=error)
    with pytest.raises(BadRequestError, match="Transparent"):
        session.generate("a teapot")
    assert len(paid_requests(provider)) == 1
    assert session.generate("a teapot").bytes
    assert paid_requests(provider)[-1].body["background"] is True


@pytest.mark.parametrize("state", ["responses", "conversation"])
def test_ids_of_another_organization_are_replaced_by_history(
    make_studio: MakeStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """
    With the key of another organization, whose provider does not find the ids of earlier turns, a
    session goes on with the history from the library.
    """
    with serve(FakeOpenAI()) as served:
        access = {"online": True, "api_key": "k", "base_url": served.base_url}
        first = make_studio(tmp_path, provider_state=state, **access)
        session = first.session("a tea shop", name="tea")
        session.generate("a teapot")
        monkeypatch.setenv("OPENAI_ORG_ID", "org-other")
        other = make_studio(tmp_path, provider_state=state, **access).open("tea")
        assert other.generate("bluer").turn.context == "rebuilt"
        assert other.generate("smaller").turn.context == "continued"
