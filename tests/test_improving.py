"""
Pictures are really looked at, and mended by what was found. Every test runs over the sync and the
async twin.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageStat

from imagesession import Budget
from imagesession._domain.analysis import Finding
from imagesession._domain.options import GenerateOptions
from imagesession._domain.turn import Turn
from imagesession._engine.analysis import SCHEMA, build_edit_prompt, read_analysis, to_edit_request
from imagesession._engine.request import GenerateRequest
from imagesession._engine.validate import MAX_PROMPT, validate_prompt
from imagesession._fake_openai.sketch import render, start
from imagesession.errors import (
    BudgetExceededError,
    ContentBlockedError,
    GenerationFailedError,
    ImageSessionError,
    InvalidImageError,
    InvalidOptionError,
    InvalidPromptError,
    InvalidRequestError,
    InvalidResponseError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitError,
    RefusalError,
)
from imagesession.testing import FakeOpenAI, FakeRequest, FakeResponse, Fault, tiny_image
from tests.conftest import MakeStudio
from tests.conversing import EITHER_WAY, Known, converse, known, straight_from
from tests.sent import asked, opened, posts, shown, uploads

SIZE = (512, 512)
FOUND = {
    "summary": "It is flat.",
    "findings": [
        {"issue": "Empty sky", "where": "top", "severity": "low", "remedy": "Add a small sun."},
        {
            "issue": "Low contrast",
            "where": "whole picture",
            "severity": "high",
            "remedy": "Increase the contrast.",
        },
    ],
}


@pytest.fixture
def studio(make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI) -> Any:
    """
    A studio whose pictures are as small as the wire allows.
    """
    return make_studio(tmp_path / "library", provider=provider, size="1024x640")


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """
    Give a picture with which nothing is wrong.
    """
    return opened(render(start("a cat and a house in a garden", size=SIZE))).convert("RGB")


@pytest.fixture(scope="module")
def flat(photo: Image.Image) -> Image.Image:
    """
    Give the picture with hardly any contrast.
    """
    return ImageEnhance.Contrast(photo).enhance(0.2)


@pytest.fixture(scope="module")
def dark(photo: Image.Image) -> Image.Image:
    """
    Give the picture taken in too little light.
    """
    return ImageEnhance.Brightness(photo).enhance(0.2)


def brightness(picture: Image.Image) -> float:
    """
    Return the mean luminance, 0 to 255.
    """
    return ImageStat.Stat(picture.convert("L")).mean[0]


def contrast(picture: Image.Image) -> float:
    """
    Return the standard deviation of luminance.
    """
    return ImageStat.Stat(picture.convert("L")).stddev[0]


def saying(text: str) -> Fault:
    """
    Let the model that looks answer in words of one's own.
    """
    message = {"type": "message", "content": [{"type": "output_text", "text": text}]}
    return replying({"id": "resp_x", "status": "completed", "output": [message]})


def replying(body: dict[str, Any]) -> Fault:
    """
    Plan the answer to the next request to Responses.
    """

    def instead(_: FakeRequest) -> FakeResponse:
        whole = {"usage": {"input_tokens": 9, "output_tokens": 9}, **body}
        headers = {"content-type": "application/json"}
        return FakeResponse(headers=headers, parts=iter((json.dumps(whole).encode(),)))

    return Fault(method="POST", path="/responses", instead=instead)


def turn_away(provider: FakeOpenAI, status: int) -> None:
    """
    Plan an error to the next request to Responses, after which there need be no waiting.
    """
    headers = {"retry-after": "0"}
    provider.fail_next(status=status, headers=headers, method="POST", path="/responses")


ENDS: dict[str, Callable[[FakeOpenAI], None]] = {
    "refused": lambda item: item.refuse_next("I would rather not."),
    "blocked": lambda item: item.moderate_next(),
    "broken": lambda item: item.fail_generation_next(),
    "incomplete": lambda item: item.enqueue_fault(replying({"status": "incomplete"})),
    "unfinished": lambda item: item.enqueue_fault(replying({"status": "in_progress"})),
    "429": lambda item: turn_away(item, 429),
    "500": lambda item: turn_away(item, 500),
}


# --- looking -----------------------------------------------------------------------------------


def test_a_picture_is_really_looked_at(
    studio: Any, provider: FakeOpenAI, flat: Image.Image, dark: Image.Image
) -> None:
    """
    Findings are about the picture that was given: a flat one is found flat, a dark one dark. Each
    takes one request, which shows the picture and asks for an answer in a form.
    """
    for picture, issue in ((flat, "contrast"), (dark, "dark")):
        found = studio.analyze(picture)
        assert any(issue in finding.issue.lower() for finding in found.findings)
        body = asked(provider)[-1]
        assert opened(shown(provider, body)[0]).tobytes() == picture.tobytes()
        form = body["text"]["format"]
        assert (form["type"], form["strict"], form["schema"]) == ("json_schema", True, SCHEMA)
        assert "tools" not in body
        assert found.summary
        assert str(found).startswith(found.summary)
    assert posts(provider) == ["/files", "/responses"] * 2


def test_nothing_is_found_where_nothing_is(studio: Any, photo: Image.Image) -> None:
    """
    A picture with which nothing is wrong has no findings.
    """
    assert studio.analyze(photo).findings == ()


def test_findings_come_in_their_form_the_most_severe_first(
    studio: Any, provider: FakeOpenAI
) -> None:
    """
    What the model says is read into findings, ordered by how much they matter.
    """
    provider.enqueue_fault(saying(json.dumps(FOUND)))
    found = studio.analyze(tiny_image(), goals="fit for a shop window")
    assert found.summary == "It is flat."
    assert found.findings == (
        Finding(
            issue="Low contrast",
            where="whole picture",
            severity="high",
            remedy="Increase the contrast.",
        ),
        Finding(issue="Empty sky", where="top", severity="low", remedy="Add a small sun."),
    )
    assert "fit for a shop window" in asked(provider)[0]["input"][0]["content"][-1]["text"]


def test_looking_is_recorded_with_what_it_cost(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, flat: Image.Image
) -> None:
    """
    A look is a turn of its own kind with usage and cost; it brings no picture.
    """
    studio = make_studio(tmp_path, provider=provider)
    session = studio.session("x")
    found = session.analyze(flat, model="gpt-6-sol")
    (turn,) = session.turns()
    assert turn == found.turn
    assert (turn.kind, turn.status, turn.images, turn.model) == (
        "analysis",
        "completed",
        (),
        "gpt-6-sol",
    )
    assert turn.usage.mainline["output_tokens"] > 0
    assert turn.cost.image == 0
    assert 0 < turn.cost.total == session.cost().total
    assert studio.images.list() == ()
    assert make_studio(tmp_path, provider=provider).open(session.id).turns() == (turn,)


@pytest.mark.parametrize("conversing", EITHER_WAY)
def test_a_sessions_last_picture_is_looked_at(
    studio: Any, provider: FakeOpenAI, conversing: object
) -> None:
    """
    On a session the last picture is looked at; the look is neither its head nor ever told to a
    model, and the next turn goes on from the picture.
    """
    session = converse(studio.session("A brief"), conversing)
    first = session.generate("a teapot")
    found = session.analyze()
    assert shown(provider, asked(provider)[-1]) == [first.bytes]
    assert asked(provider)[-1]["instructions"] == "A brief"
    assert known(asked(provider)[-1]) == Known()
    assert (found.turn.parents, found.turn.parent) == ((first.id,), first.turn.id)
    assert session.head().id == first.id
    assert found.turn.response_id
    second = session.generate("bluer")
    assert known(asked(provider)[-1]) == straight_from(first, conversing=conversing)
    assert second.parent == first.turn.id
    provider.reset_memory()
    session.generate("warmer")
    assert "amiss" not in json.dumps(asked(provider)[-1])
    assert [len(image.lineage()) for image in session.images()] == [1, 2, 3]
    session.undo(2)
    assert session.head().id == first.id


def test_a_file_that_the_provider_lost_is_shown_in_full(
    studio: Any, provider: FakeOpenAI, flat: Image.Image
) -> None:
    """
    A look at a picture that the provider does not hold any more sends it along.
    """
    error = {"message": "No such File object: file-abcdef123456", "param": None, "code": "x"}
    provider.fail_next(status=404, error=error, method="POST", path="/responses")
    assert studio.analyze(flat).findings
    assert len(asked(provider)) == 2
    assert "image_url" in asked(provider)[1]["input"][0]["content"][0]
    provider.fail_next(status=404, error=error, method="POST", path="/responses", times=2)
    with pytest.raises(ImageSessionError, match="file-abcdef123456"):
        studio.analyze(flat)


@pytest.mark.parametrize(
    "text",
    [
        "It looks nice.",
        "",
        "[]",
        "null",
        "{}",
        '{"summary": "x"}',
        '{"findings": 7',
        "```json\n{}\n```",
        "[" * 20_000,
        '{"findings": "many"}',
        '{"findings": null, "summary": 7}',
    ],
    ids=range(11),
)
def test_an_answer_of_another_form_is_a_typed_error(
    studio: Any, provider: FakeOpenAI, text: str
) -> None:
    """
    An answer that is no JSON, or not of the form, is an error that says so; the look was paid
    for, and is kept as a failed turn with what it cost.
    """
    session = studio.session("x")
    provider.enqueue_fault(saying(text))
    with pytest.raises(ImageSessionError) as caught:
        session.analyze(tiny_image())
    assert isinstance(caught.value, (InvalidResponseError, GenerationFailedError))
    (turn,) = session.turns()
    assert (turn.status, turn.kind) == ("failed", "analysis")
    assert turn.failure.error == type(caught.value).__name__
    assert turn.usage.mainline["output_tokens"] == 9
    assert session.head() is None


def test_findings_are_read_tolerantly(studio: Any, provider: FakeOpenAI) -> None:
    """
    What is missing in a finding, or of another type, does not lose the others; half a character
    in it is no harm to the edit that follows.
    """
    odd = [
        7,
        {},
        {"issue": "a", "severity": "awful", "where": ""},
        {"remedy": "Brighten the picture.", "issue": None},
        {"issue": "half a \ud83c", "remedy": "b", "severity": "high"},
    ]
    provider.enqueue_fault(saying(json.dumps({"findings": odd, "summary": []})))
    result = studio.improve("better", image=tiny_image())
    found = result.analysis.findings
    assert [(item.issue, item.severity) for item in found] == [
        ("half a ?", "high"),
        ("a", "medium"),
        ("", "medium"),
    ]
    assert found[1].where == "whole picture"
    assert "half a ?" in result.image.prompt


@pytest.mark.parametrize(
    "end,kind,status",
    [
        ("refused", RefusalError, "refused"),
        ("blocked", ContentBlockedError, "refused"),
        ("broken", GenerationFailedError, "failed"),
        ("incomplete", GenerationFailedError, "failed"),
        ("unfinished", InvalidResponseError, "failed"),
        ("429", RateLimitError, None),
        ("500", OutcomeUnknownError, None),
    ],
)
def test_a_look_that_fails_is_a_typed_error(
    studio: Any, provider: FakeOpenAI, end: str, kind: type[Exception], status: str | None
) -> None:
    """
    A look that is declined or fails is an error as of any turn, is asked for once, is kept where
    there was a reply, and no edit follows it.
    """
    session = studio.session("x")
    first = session.generate("a teapot")
    ENDS[end](provider)
    with pytest.raises(kind):
        session.improve("more contrast")
    assert len(asked(provider)) == 2
    assert [turn.status for turn in session.turns()[1:]] == ([status] if status else [])
    assert session.head().id == first.id
    assert session.generate("bluer").parent == first.turn.id


@pytest.mark.parametrize(
    "arguments,kind,words",
    [
        ({"image": None}, InvalidImageError, "no picture to look at"),
        ({"image": b"garbage"}, InvalidImageError, "not a whole picture"),
        ({"goals": 7}, InvalidPromptError, "not text"),
        ({"goals": "x" * 32_001}, InvalidPromptError, "32,001"),
        ({"model": "gpt-image-2"}, InvalidOptionError, "image_model"),
        ({"image": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, NotFoundError, "no picture"),
    ],
    ids=range(6),
)
def test_a_look_that_cannot_be_is_refused_before(
    studio: Any, provider: FakeOpenAI, arguments: dict[str, Any], kind: type[Exception], words: str
) -> None:
    """
    A look at nothing, or asked for in a way that makes no sense, is refused; nothing is sent.
    """
    with pytest.raises(kind, match=words):
        studio.analyze(**{"image": tiny_image(), **arguments})
    assert provider.requests == ()


# --- mending -----------------------------------------------------------------------------------


def test_a_flat_photo_gets_contrast(studio: Any, provider: FakeOpenAI, flat: Image.Image) -> None:
    """
    A flat photo is found flat, and its contrast rises; the result says what was found and holds
    the picture that came of it.
    """
    result = studio.improve("crisp and clear", image=flat)
    assert contrast(result.image.open()) > 1.5 * contrast(flat)
    assert any("contrast" in finding.issue.lower() for finding in result.analysis.findings)
    look, edit = asked(provider)
    assert "text" in look
    assert edit["tools"][0]["action"] == "edit"
    assert [opened(data).tobytes() for data in shown(provider, edit)] == [flat.tobytes()]
    assert len(uploads(provider)) == 1
    assert (result.image.kind, result.image.path.parent.name) == ("improvement", "edited_images")


def test_a_dark_photo_gets_light(studio: Any, dark: Image.Image) -> None:
    """
    A dark photo is found dark, and gets brighter.
    """
    result = studio.improve("fit for a catalogue", image=dark)
    assert brightness(result.image.open()) > 1.5 * brightness(dark)


def test_the_edit_is_planned_from_what_was_found(studio: Any, provider: FakeOpenAI) -> None:
    """
    Findings, goals and what is to stay all reach the model that edits, and stand in the record.
    """
    provider.enqueue_fault(saying(json.dumps(FOUND)))
    result = studio.improve(
        "fit for a shop window",
        image=tiny_image(),
        preserve_elements="the logo",
        size="1536x1024",
        quality="low",
    )
    look, edit = asked(provider)
    words = edit["input"][-1]["content"][-1]["text"]
    assert words == result.image.prompt
    for said in ("fit for a shop window", "Increase the contrast.", "Add a small sun."):
        assert said in words
    assert words.index("Low contrast") < words.index("Empty sky")
    assert "Keep unchanged: the logo." in words
    assert (edit["tools"][0]["size"], edit["tools"][0]["quality"]) == ("1536x1024", "low")
    assert "fit for a shop window" in look["input"][0]["content"][-1]["text"]
    reported = result.image.metadata["parameters"]
    assert reported["improvement_goals"] == "fit for a shop window"
    assert reported["preserve_elements"] == "the logo"
    assert reported["analysis"] == result.analysis.turn.id
    assert [item["issue"] for item in reported["findings"]] == ["Low contrast", "Empty sky"]


def test_what_is_to_stay_is_not_touched(studio: Any, flat: Image.Image) -> None:
    """
    Naming what is to stay brings none of it in: the picture is the same as without.
    """
    plain = studio.improve("crisp and clear", image=flat)
    kept = studio.improve("crisp and clear", image=flat, preserve_elements="the big yellow sun")
    assert kept.image.open().tobytes() == plain.image.open().tobytes()


def test_a_good_picture_is_improved_by_its_goals(studio: Any, photo: Image.Image) -> None:
    """
    Where nothing is found the goals alone say what to do.
    """
    result = studio.improve("much darker", image=photo)
    assert result.analysis.findings == ()
    assert "Mend" not in result.image.prompt
    assert brightness(result.image.open()) < brightness(photo)


@pytest.mark.parametrize("conversing", EITHER_WAY)
def test_improving_in_a_session(studio: Any, provider: FakeOpenAI, conversing: object) -> None:
    """
    On a session the last picture is looked at and mended in its conversation; both turns are
    there, and the mended picture is the head that the next one refines.
    """
    session = converse(studio.session("A brief"), conversing)
    first = session.generate("a teapot")
    result = session.improve("more contrast")
    assert [turn.kind for turn in session.turns()] == ["general", "analysis", "improvement"]
    assert result.image.parent == first.turn.id
    assert session.head().id == result.image.id
    edit = asked(provider)[-1]
    assert known(edit) == straight_from(first, conversing=conversing)
    assert shown(provider, edit) == []
    session.generate("bluer")
    assert known(asked(provider)[-1]) == straight_from(result.image, conversing=conversing)
    found = result.analysis.turn
    assert session.cost().total == pytest.approx(sum(turn.cost.total for turn in session.turns()))
    assert 0 < found.cost.total < result.image.cost.total


def test_an_edit_that_fails_keeps_what_was_found(
    studio: Any, provider: FakeOpenAI, flat: Image.Image
) -> None:
    """
    If the edit is declined, what was found stays in the library, and so does the fact.
    """
    session = studio.session("x")
    provider.enqueue_fault(saying(json.dumps(FOUND)))
    provider.refuse_next("I would rather not.")
    with pytest.raises(RefusalError):
        session.improve("crisp", image=flat)
    look, edit = session.turns()
    assert (look.kind, look.status, edit.kind, edit.status) == (
        "analysis",
        "completed",
        "improvement",
        "refused",
    )
    assert "Low contrast" in look.text


@pytest.mark.parametrize(
    "arguments,kind,words",
    [
        ({"goals": ""}, InvalidPromptError, "empty"),
        ({"goals": 7}, InvalidPromptError, "not text"),
        ({"image": None}, InvalidImageError, "no picture"),
        ({"image": b"garbage"}, InvalidImageError, "not a whole picture"),
        ({"preserve_elements": 7}, InvalidRequestError, "preserve_elements"),
        ({"preserve_elements": "half a \ud83c"}, InvalidRequestError, "preserve_elements"),
        ({"preserve_elements": "x" * 32_001}, InvalidRequestError, "32,0"),
        ({"size": "1x1"}, InvalidOptionError, "size"),
        ({"quality": "ultra"}, InvalidOptionError, "quality"),
        ({"output_format": "gif", "background": "transparent"}, InvalidOptionError, "background"),
    ],
    ids=range(10),
)
def test_what_cannot_be_improved_is_refused_before(
    studio: Any, provider: FakeOpenAI, arguments: dict[str, Any], kind: type[Exception], words: str
) -> None:
    """
    What would make the edit fail is found before the look is paid for; nothing is sent.
    """
    given = {"goals": "crisp", "image": tiny_image(), **arguments}
    with pytest.raises(kind, match=words):
        studio.improve(given.pop("goals"), **given)
    assert provider.requests == ()


def test_many_findings_are_cut_to_what_can_be_asked(studio: Any, provider: FakeOpenAI) -> None:
    """
    However much a model finds, the edit is asked for: the least severe findings give way, never
    the goals or what is to stay.
    """
    many = [
        {"issue": f"number {n}", "where": "x", "severity": "low", "remedy": "mend " * 40}
        for n in range(500)
    ]
    bad = {"issue": "the worst", "where": "x", "severity": "high", "remedy": "mend it"}
    provider.enqueue_fault(saying(json.dumps({"summary": "", "findings": [*many, bad]})))
    result = studio.improve("crisp", image=tiny_image(), preserve_elements="the logo")
    assert len(result.analysis.findings) == 501
    prompt = result.image.prompt
    assert len(prompt) <= MAX_PROMPT
    assert "number 400" not in prompt
    for words in ("crisp", "the worst", "number 0 ", "Keep unchanged: the logo."):
        assert words in prompt


# --- money -------------------------------------------------------------------------------------


def test_a_budget_counts_both(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, flat: Image.Image
) -> None:
    """
    What is left after the look has to be enough for the edit: a budget for a look alone lets it
    through and sends no edit; one for neither sends nothing.
    """
    small = make_studio(tmp_path / "a", provider=provider, budget=Budget(per_call=0.000001))
    with pytest.raises(BudgetExceededError):
        small.improve("crisp", image=flat)
    assert provider.requests == ()
    some = make_studio(tmp_path / "b", provider=provider, budget=Budget(per_day=0.02))
    with pytest.raises(BudgetExceededError) as caught:
        some.improve("crisp", image=flat)
    assert caught.value.spent > 0
    assert len(asked(provider)) == 1
    enough = make_studio(tmp_path / "c", provider=provider, budget=Budget(per_day=5))
    result = enough.improve("crisp", image=flat)
    spent = sum(group.dollars for group in enough.costs().groups.values())
    assert spent == pytest.approx(result.analysis.turn.cost.total + result.image.cost.total)


# --- the reader --------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
ODD = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("issue", "where", "severity", "remedy"), JSON)
)
SAID = JSON | st.fixed_dictionaries({"findings": st.lists(ODD | JSON) | JSON, "summary": JSON})
LOOK = Turn(
    id="t",
    kind="analysis",
    prompt="",
    options=GenerateOptions(),
    started=dt.datetime(2026, 11, 24, tzinfo=dt.UTC),
)


@given(st.text() | SAID.map(json.dumps), st.text(min_size=1).filter(str.strip), st.text())
def test_whatever_a_model_says_is_read_or_refused(text: str, goals: str, kept: str) -> None:
    """
    Any answer is read into findings or is a typed error, and what was read can be asked for.
    """
    try:
        found = read_analysis(text, LOOK)
    except InvalidResponseError:
        return
    assert all(finding.issue or finding.remedy for finding in found.findings)
    ranks = [("low", "medium", "high").index(finding.severity) for finding in found.findings]
    assert ranks == sorted(ranks, reverse=True)
    assert validate_prompt(build_edit_prompt(found, goals, kept))
    assert to_edit_request(GenerateRequest(prompt=goals), found, kept).edits
