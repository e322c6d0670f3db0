"""
Images are analyzed, and improved by the findings.

Every test runs over the sync and the async twin.
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
            "where": "whole image",
            "severity": "high",
            "remedy": "Increase the contrast.",
        },
    ],
}


@pytest.fixture
def studio(make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI) -> Any:
    """
    A studio that makes the smallest images that the provider accepts.
    """
    return make_studio(tmp_path / "library", provider=provider, size="1024x640")


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """
    Return an image without defects.
    """
    return opened(render(start("a cat and a house in a garden", size=SIZE))).convert("RGB")


@pytest.fixture(scope="module")
def flat(photo: Image.Image) -> Image.Image:
    """
    Return an image with hardly any contrast.
    """
    return ImageEnhance.Contrast(photo).enhance(0.2)


@pytest.fixture(scope="module")
def dark(photo: Image.Image) -> Image.Image:
    """
    Return an underexposed image.
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


def respond_with_text(text: str) -> Fault:
    """
    Set the text of the model's next answer.
    """
    message = {"type": "message", "content": [{"type": "output_text", "text": text}]}
    return respond_with({"id": "resp_x", "status": "completed", "output": [message]})


def respond_with(body: dict[str, Any]) -> Fault:
    """
    Set the next answer of the Responses endpoint.
    """

    def respond(_: FakeRequest) -> FakeResponse:
        response = {"usage": {"input_tokens": 9, "output_tokens": 9}, **body}
        headers = {"content-type": "application/json"}
        return FakeResponse(headers=headers, parts=iter((json.dumps(response).encode(),)))

    return Fault(method="POST", path="/responses", response=respond)


def reject_next(provider: FakeOpenAI, status: int) -> None:
    """
    Reject the next request to Responses, with a delay of zero.
    """
    headers = {"retry-after": "0"}
    provider.fail_next(status=status, headers=headers, method="POST", path="/responses")


ENDS: dict[str, Callable[[FakeOpenAI], None]] = {
    "refused": lambda provider: provider.refuse_next("I would rather not."),
    "blocked": lambda provider: provider.moderate_next(),
    "broken": lambda provider: provider.fail_generation_next(),
    "incomplete": lambda provider: provider.enqueue_fault(respond_with({"status": "incomplete"})),
    "unfinished": lambda provider: provider.enqueue_fault(respond_with({"status": "in_progress"})),
    "429": lambda provider: reject_next(provider, 429),
    "500": lambda provider: reject_next(provider, 500),
}


# --- analyze --------------------------------------------------------------------------------------


def test_image_is_analyzed(
    studio: Any, provider: FakeOpenAI, flat: Image.Image, dark: Image.Image
) -> None:
    """
    Findings describe the given image: a flat one is found flat, a dark one dark. Each analysis is
    one request that shows the image and asks for a structured answer.
    """
    for picture, issue in ((flat, "contrast"), (dark, "dark")):
        analysis = studio.analyze(picture)
        assert any(issue in finding.issue.lower() for finding in analysis.findings)
        body = asked(provider)[-1]
        assert opened(shown(provider, body)[0]).tobytes() == picture.tobytes()
        form = body["text"]["format"]
        assert (form["type"], form["strict"], form["schema"]) == ("json_schema", True, SCHEMA)
        assert "tools" not in body
        assert analysis.summary
        assert str(analysis).startswith(analysis.summary)
    assert posts(provider) == ["/files", "/responses"] * 2


def test_good_image_has_no_findings(studio: Any, photo: Image.Image) -> None:
    """
    An image without defects has no findings.
    """
    assert studio.analyze(photo).findings == ()


def test_findings_are_parsed_and_sorted_by_severity(studio: Any, provider: FakeOpenAI) -> None:
    """
    The model's answer is parsed into findings, the most severe first.
    """
    provider.enqueue_fault(respond_with_text(json.dumps(FOUND)))
    analysis = studio.analyze(tiny_image(), goals="fit for a shop window")
    assert analysis.summary == "It is flat."
    assert analysis.findings == (
        Finding(
            issue="Low contrast",
            where="whole image",
            severity="high",
            remedy="Increase the contrast.",
        ),
        Finding(issue="Empty sky", where="top", severity="low", remedy="Add a small sun."),
    )
    assert "fit for a shop window" in asked(provider)[0]["input"][0]["content"][-1]["text"]


def test_analysis_is_recorded_with_its_cost(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, flat: Image.Image
) -> None:
    """
    An analysis is a turn of its own kind with usage and cost, and without an image.
    """
    studio = make_studio(tmp_path, provider=provider)
    session = studio.session("x")
    analysis = session.analyze(flat, model="gpt-6-sol")
    (turn,) = session.turns()
    assert turn == analysis.turn
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
def test_session_analyzes_its_last_image(
    studio: Any, provider: FakeOpenAI, conversing: object
) -> None:
    """
    On a session the last image is analyzed; the analysis is neither its head nor part of later
    history, and the next turn refines the image.
    """
    session = converse(studio.session("A brief"), conversing)
    first = session.generate("a teapot")
    analysis = session.analyze()
    assert shown(provider, asked(provider)[-1]) == [first.bytes]
    assert asked(provider)[-1]["instructions"] == "A brief"
    assert known(asked(provider)[-1]) == Known()
    assert (analysis.turn.parents, analysis.turn.parent) == ((first.id,), first.turn.id)
    assert session.head().id == first.id
    assert analysis.turn.response_id
    second = session.generate("bluer")
    assert known(asked(provider)[-1]) == straight_from(first, conversing=conversing)
    assert second.parent == first.turn.id
    provider.reset_memory()
    session.generate("warmer")
    assert "amiss" not in json.dumps(asked(provider)[-1])
    assert [len(image.lineage()) for image in session.images()] == [1, 2, 3]
    session.undo(2)
    assert session.head().id == first.id


def test_file_lost_by_the_provider_is_sent_in_full(
    studio: Any, provider: FakeOpenAI, flat: Image.Image
) -> None:
    """
    The analysis of an image that the provider no longer has sends the image.
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
def test_unexpected_answer_is_a_typed_error(studio: Any, provider: FakeOpenAI, text: str) -> None:
    """
    An answer that is not JSON, or has another schema, is a typed error; it was paid for, and is
    recorded as a failed turn with its cost.
    """
    session = studio.session("x")
    provider.enqueue_fault(respond_with_text(text))
    with pytest.raises(ImageSessionError) as caught:
        session.analyze(tiny_image())
    assert isinstance(caught.value, (InvalidResponseError, GenerationFailedError))
    (turn,) = session.turns()
    assert (turn.status, turn.kind) == ("failed", "analysis")
    assert turn.failure.error == type(caught.value).__name__
    assert turn.usage.mainline["output_tokens"] == 9
    assert session.head() is None


def test_findings_are_parsed_tolerantly(studio: Any, provider: FakeOpenAI) -> None:
    """
    A missing or wrong field of a finding does not lose the others; a lone surrogate in it does not
    break the edit that follows.
    """
    odd = [
        7,
        {},
        {"issue": "a", "severity": "awful", "where": ""},
        {"remedy": "Brighten the picture.", "issue": None},
        {"issue": "half a \ud83c", "remedy": "b", "severity": "high"},
    ]
    provider.enqueue_fault(respond_with_text(json.dumps({"findings": odd, "summary": []})))
    result = studio.improve("better", image=tiny_image())
    findings = result.analysis.findings
    assert [(finding.issue, finding.severity) for finding in findings] == [
        ("half a \ufffd", "high"),
        ("a", "medium"),
        ("", "medium"),
    ]
    assert findings[1].where == "whole image"
    assert "half a \ufffd" in result.image.prompt


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
def test_failed_analysis_is_a_typed_error(
    studio: Any, provider: FakeOpenAI, end: str, kind: type[Exception], status: str | None
) -> None:
    """
    A refused or failed analysis is an error as of any turn, is requested once, is recorded if there
    was a response, and no edit follows.
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
    "arguments,kind,message",
    [
        ({"image": None}, InvalidImageError, "no image to analyze"),
        ({"image": b"garbage"}, InvalidImageError, "not a whole image"),
        ({"goals": 7}, InvalidPromptError, "not text"),
        ({"goals": "x" * 32_001}, InvalidPromptError, "32,001"),
        ({"model": "gpt-image-2"}, InvalidOptionError, "image_model"),
        ({"image": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, NotFoundError, "no image"),
    ],
    ids=range(6),
)
def test_invalid_analysis_is_refused_before_sending(
    studio: Any,
    provider: FakeOpenAI,
    arguments: dict[str, Any],
    kind: type[Exception],
    message: str,
) -> None:
    """
    An analysis without an image or with invalid arguments is refused; nothing is sent.
    """
    with pytest.raises(kind, match=message):
        studio.analyze(**{"image": tiny_image(), **arguments})
    assert provider.requests == ()


# --- improve --------------------------------------------------------------------------------------


def test_flat_photo_gets_contrast(studio: Any, provider: FakeOpenAI, flat: Image.Image) -> None:
    """
    A flat photo is found flat, and its contrast rises; the result has the findings and the improved
    image.
    """
    result = studio.improve("crisp and clear", image=flat)
    assert contrast(result.image.open()) > 1.5 * contrast(flat)
    assert any("contrast" in finding.issue.lower() for finding in result.analysis.findings)
    analysis, edit = asked(provider)
    assert "text" in analysis
    assert edit["tools"][0]["action"] == "edit"
    assert [opened(data).tobytes() for data in shown(provider, edit)] == [flat.tobytes()]
    assert len(uploads(provider)) == 1
    assert (result.image.kind, result.image.path.parent.name) == ("improvement", "edited_images")


def test_dark_photo_gets_brighter(studio: Any, dark: Image.Image) -> None:
    """
    A dark photo is found dark, and gets brighter.
    """
    result = studio.improve("fit for a catalogue", image=dark)
    assert brightness(result.image.open()) > 1.5 * brightness(dark)


def test_edit_is_planned_from_the_findings(studio: Any, provider: FakeOpenAI) -> None:
    """
    Findings, goals and preserved elements reach the model that edits, and are recorded.
    """
    provider.enqueue_fault(respond_with_text(json.dumps(FOUND)))
    result = studio.improve(
        "fit for a shop window",
        image=tiny_image(),
        preserve_elements="the logo",
        size="1536x1024",
        quality="low",
    )
    analysis, edit = asked(provider)
    prompt = edit["input"][-1]["content"][-1]["text"]
    assert prompt == result.image.prompt
    for text in ("fit for a shop window", "Increase the contrast.", "Add a small sun."):
        assert text in prompt
    assert prompt.index("Low contrast") < prompt.index("Empty sky")
    assert "Keep unchanged: the logo." in prompt
    assert (edit["tools"][0]["size"], edit["tools"][0]["quality"]) == ("1536x1024", "low")
    assert "fit for a shop window" in analysis["input"][0]["content"][-1]["text"]
    parameters = result.image.metadata["parameters"]
    assert parameters["improvement_goals"] == "fit for a shop window"
    assert parameters["preserve_elements"] == "the logo"
    assert parameters["analysis"] == result.analysis.turn.id
    assert [finding["issue"] for finding in parameters["findings"]] == ["Low contrast", "Empty sky"]


def test_preserved_elements_are_not_added(studio: Any, flat: Image.Image) -> None:
    """
    Naming elements to preserve does not draw them: the image is the same as without.
    """
    plain = studio.improve("crisp and clear", image=flat)
    preserved = studio.improve(
        "crisp and clear", image=flat, preserve_elements="the big yellow sun"
    )
    assert preserved.image.open().tobytes() == plain.image.open().tobytes()


def test_good_image_is_improved_by_its_goals(studio: Any, photo: Image.Image) -> None:
    """
    Without findings the edit uses the goals alone.
    """
    result = studio.improve("much darker", image=photo)
    assert result.analysis.findings == ()
    assert "Mend" not in result.image.prompt
    assert brightness(result.image.open()) < brightness(photo)


@pytest.mark.parametrize("conversing", EITHER_WAY)
def test_session_is_improved(studio: Any, provider: FakeOpenAI, conversing: object) -> None:
    """
    On a session the last image is analyzed and improved in its conversation; both turns are
    recorded, and the improved image is the head that the next turn refines.
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
    analysis_turn = result.analysis.turn
    assert session.cost().total == pytest.approx(sum(turn.cost.total for turn in session.turns()))
    assert 0 < analysis_turn.cost.total < result.image.cost.total


def test_failed_edit_keeps_the_findings(
    studio: Any, provider: FakeOpenAI, flat: Image.Image
) -> None:
    """
    If the edit is refused, the findings stay in the library, and so does the failed turn.
    """
    session = studio.session("x")
    provider.enqueue_fault(respond_with_text(json.dumps(FOUND)))
    provider.refuse_next("I would rather not.")
    with pytest.raises(RefusalError):
        session.improve("crisp", image=flat)
    analysis, edit = session.turns()
    assert (analysis.kind, analysis.status, edit.kind, edit.status) == (
        "analysis",
        "completed",
        "improvement",
        "refused",
    )
    assert "Low contrast" in analysis.text


@pytest.mark.parametrize(
    "arguments,kind,message",
    [
        ({"goals": ""}, InvalidPromptError, "empty"),
        ({"goals": 7}, InvalidPromptError, "not text"),
        ({"image": None}, InvalidImageError, "no image to analyze"),
        ({"image": b"garbage"}, InvalidImageError, "not a whole image"),
        ({"preserve_elements": 7}, InvalidRequestError, "preserve_elements"),
        ({"preserve_elements": "half a \ud83c"}, InvalidRequestError, "preserve_elements"),
        ({"preserve_elements": "x" * 32_001}, InvalidRequestError, "32,0"),
        ({"size": "1x1"}, InvalidOptionError, "size"),
        ({"quality": "ultra"}, InvalidOptionError, "quality"),
        ({"output_format": "gif", "background": "transparent"}, InvalidOptionError, "background"),
    ],
    ids=range(10),
)
def test_invalid_improvement_is_refused_before_sending(
    studio: Any,
    provider: FakeOpenAI,
    arguments: dict[str, Any],
    kind: type[Exception],
    message: str,
) -> None:
    """
    What would make the edit fail is detected before the analysis is paid for; nothing is sent.
    """
    arguments = {"goals": "crisp", "image": tiny_image(), **arguments}
    with pytest.raises(kind, match=message):
        studio.improve(arguments.pop("goals"), **arguments)
    assert provider.requests == ()


def test_many_findings_are_cut_to_the_prompt_limit(studio: Any, provider: FakeOpenAI) -> None:
    """
    If there are too many findings for the prompt, the least severe are left out, never the goals or
    the preserved elements.
    """
    many = [
        {"issue": f"number {n}", "where": "x", "severity": "low", "remedy": "mend " * 40}
        for n in range(500)
    ]
    bad = {"issue": "the worst", "where": "x", "severity": "high", "remedy": "mend it"}
    provider.enqueue_fault(respond_with_text(json.dumps({"summary": "", "findings": [*many, bad]})))
    result = studio.improve("crisp", image=tiny_image(), preserve_elements="the logo")
    assert len(result.analysis.findings) == 501
    prompt = result.image.prompt
    assert len(prompt) <= MAX_PROMPT
    assert "number 400" not in prompt
    for text in ("crisp", "the worst", "number 0 ", "Keep unchanged: the logo."):
        assert text in prompt


# --- costs ----------------------------------------------------------------------------------------


def test_budget_covers_both_requests(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, flat: Image.Image
) -> None:
    """
    The rest of the budget after the analysis must cover the edit: a budget for the analysis alone
    sends no edit; a smaller one sends nothing.
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


# --- parsing --------------------------------------------------------------------------------------

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
def test_any_answer_is_parsed_or_refused(text: str, goals: str, kept: str) -> None:
    """
    Any answer is parsed into findings that can be used in a prompt, or is a typed error.
    """
    try:
        analysis = read_analysis(text, LOOK)
    except InvalidResponseError:
        return
    assert all(finding.issue or finding.remedy for finding in analysis.findings)
    ranks = [("low", "medium", "high").index(finding.severity) for finding in analysis.findings]
    assert ranks == sorted(ranks, reverse=True)
    assert validate_prompt(build_edit_prompt(analysis, goals, kept))
    assert to_edit_request(GenerateRequest(prompt=goals), analysis, kept).edits
