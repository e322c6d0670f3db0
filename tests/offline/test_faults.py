"""
Failing on purpose.
"""

from typing import TYPE_CHECKING

import attrs
import openai
import pytest

from imagesession.testing import Answer, Fault, OfflineProvider, Pause, Reset

if TYPE_CHECKING:
    from tests.offline.conftest import Talk


def test_next_call_fails_once(provider: OfflineProvider, talk: "Talk") -> None:
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


def test_client_retries_over_failures(provider: OfflineProvider, talk: "Talk") -> None:
    """
    Two planned errors and a patient client make three calls and one reply.
    """
    provider.fail_next(status=503, headers={"retry-after-ms": "1"}, times=2)
    patient = talk.client.with_options(max_retries=2)

    assert patient.responses.create(model="gpt-5.4", input="x").status == "completed"
    assert [call.headers["x-stainless-retry-count"] for call in provider.calls] == ["0", "1", "2"]


def test_faults_wait_for_their_calls(provider: OfflineProvider, talk: "Talk") -> None:
    """
    A fault waits until a call fits its method and path.
    """
    provider.fail_next(status=500, method="GET", path="/responses/*")
    made = talk.make()

    with pytest.raises(openai.InternalServerError):
        talk.get(f"/responses/{made['id']}")
    assert made == talk.get(f"/responses/{made['id']}")


def test_refusal_has_words_and_no_picture(provider: OfflineProvider, talk: "Talk") -> None:
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


def test_conversation_survives_a_refusal(provider: OfflineProvider, talk: "Talk") -> None:
    """
    What follows a refusal goes on from the picture before it.
    """
    first = talk.make("a red kite")
    provider.refuse_next("No.")
    refused = talk.make("something else", previous_response_id=first["id"])

    after = talk.make("bluer", previous_response_id=refused["id"])
    direct = talk.make("bluer", previous_response_id=first["id"])
    assert talk.pixels(direct) == talk.pixels(after)


def test_blocked_as_error(provider: OfflineProvider, talk: "Talk") -> None:
    """
    A blocked request is a 400 with the stage and the categories.
    """
    provider.block_next(stage="input", categories=("violence", "hate"))
    status, error = talk.refused()

    assert (status, error["code"]) == (400, "moderation_blocked")
    assert error["type"] == "image_generation_user_error"
    assert error["moderation_details"] == {
        "moderation_stage": "input",
        "categories": ["violence", "hate"],
    }
    assert "safety_violations=[violence, hate]" in error["message"]


def test_blocked_as_item(provider: OfflineProvider, talk: "Talk") -> None:
    """
    A blocked picture can come with status 200, as an item that failed, streamed or not.
    """
    provider.block_next(as_item=True)
    plain = talk.make()
    provider.block_next(as_item=True)
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


def test_broken_generation(provider: OfflineProvider, talk: "Talk") -> None:
    """
    A generation that breaks ends its stream with `response.failed`.
    """
    provider.break_next(message="Out of paint.")
    events = talk.events()
    provider.break_next()

    assert events[-1]["type"] == "response.failed"
    assert events[-1]["response"]["error"]["message"] == "Out of paint."
    assert talk.make()["status"] == "failed"


@pytest.mark.parametrize("count", [0, 1, 4])
def test_cut_stream_ends_silently(provider: OfflineProvider, talk: "Talk", count: int) -> None:
    """
    A cut stream ends after so many events, without a last word; plain calls are left alone.
    """
    whole = [event["type"] for event in talk.events()]
    provider.cut_stream_after(count)
    talk.make()

    assert whole[:count] == [event["type"] for event in talk.events()]
    assert whole == [event["type"] for event in talk.events()]


def test_cut_background_stream_is_resumed(provider: OfflineProvider, talk: "Talk") -> None:
    """
    What a cut took from a background stream can be had later.
    """
    provider.cut_stream_after(3)
    events = talk.events(background=True)
    rest = talk.resume(events[0]["response"]["id"], starting_after=events[-1]["sequence_number"])

    assert list(range(len(events) + len(rest))) == [
        event["sequence_number"] for event in (*events, *rest)
    ]
    assert rest[-1]["type"] == "response.completed"


def test_forgotten_responses_are_not_continued(provider: OfflineProvider, talk: "Talk") -> None:
    """
    After forgetting, nothing can go on from what was.
    """
    made = talk.make()
    provider.forget()

    assert talk.refused(previous_response_id=made["id"])[1]["code"] == "previous_response_not_found"
    item = {"type": "image_generation_call", "id": talk.pictures(made)[0]["id"]}
    assert talk.refused([item, {"role": "user", "content": "bluer"}])[0] == 404


def test_scripts_can_bend_any_answer(provider: OfflineProvider, talk: "Talk") -> None:
    """
    A script of one's own can change what the provider answers: here it breaks the connection.
    """

    def reset(answer: Answer) -> Answer:
        return attrs.evolve(answer, parts=iter((Pause(0.0), b"{", Reset())))

    provider.script(Fault(bend=reset))
    with pytest.raises(openai.APIConnectionError):
        talk.make()


def test_unknown_statuses_have_a_body(provider: OfflineProvider, talk: "Talk") -> None:
    """
    An error planned without a body gets a plain one.
    """
    provider.fail_next(status=500)

    with pytest.raises(openai.InternalServerError, match="Internal Server Error"):
        talk.make()


def test_cut_behind_the_end_cuts_nothing(provider: OfflineProvider, talk: "Talk") -> None:
    """
    A stream shorter than the cut ends as it would.
    """
    provider.cut_stream_after(1000)

    assert talk.events()[-1]["type"] == "response.completed"


def test_nothing_in_a_prompt_fails(talk: "Talk") -> None:
    """
    Words are never commands to the provider: only a script makes it fail.
    """
    for prompt in ("error 500", "moderation_blocked", "timeout", "refuse", "fail"):
        assert talk.pictures(talk.make(prompt))
