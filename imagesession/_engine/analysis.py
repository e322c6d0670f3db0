"""
Have a picture looked at, and mend what is found.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import attrs

from imagesession._domain.analysis import Analysis, Finding, Severity
from imagesession._domain.turn import Turn
from imagesession.errors import (
    BadRequestError,
    ImageSessionError,
    InvalidImageError,
    InvalidResponseError,
)

from . import generation, uploads
from .coerce import as_list, as_mapping, as_text
from .effects import MonotonicTime, NewId, Workflow
from .http import HttpRequest
from .leases import BudgetReservation
from .outcomes import ResponseOutcome
from .payloads import Item, PreparedRequest, input_image, user_message
from .prepare import load_input_image, new_turn, reserve_budget, resolve_options
from .provider_errors import (
    FeatureUnsupportedError,
    RequestNotProcessedError,
    check_speaks_responses,
)
from .request import GenerateRequest, StudioConfig
from .responses import parse_text_response
from .retry import acquire_slot
from .sessions import BranchHead, session_config
from .transmit import parse_paid, send
from .validate import MAX_PROMPT, validate_label, validate_options, validate_prompt

_SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_MEMBERS = ("issue", "where", "severity", "remedy")
_LOOK = (
    "Look at this picture as an art director would before it is published. Report what is really "
    "to be seen and would be worth mending: in light, contrast, colour, sharpness, noise, "
    "composition, margins, lettering and drawing errors. Each remedy is one instruction for an "
    "image editor. Report nothing where there is nothing; do not praise."
)
SCHEMA: Item = {
    "type": "object",
    "additionalProperties": False,
    "required": ["summary", "findings"],
    "properties": {
        "summary": {"type": "string"},
        "findings": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": list(_MEMBERS),
                "properties": {
                    "issue": {"type": "string"},
                    "where": {"type": "string"},
                    "severity": {"type": "string", "enum": list(_SEVERITIES)},
                    "remedy": {"type": "string"},
                },
            },
        },
    },
}


def analyze(
    request: GenerateRequest, config: StudioConfig, branch_head: BranchHead | None = None
) -> Workflow[Analysis]:
    """
    Have a picture looked at. It is one request that draws nothing; its turn is kept as a fact and
    is never told to a model as part of the conversation.

    Args:
        request: The picture, the goals as its prompt (may be empty), and options; of these only the
            model counts.
        config: What holds for everything that is asked.
        branch_head: Where in a session; None for a picture on its own.

    Raises:
        ImageSessionError: It was not looked at, and the error says why.
    """
    config = session_config(config, branch_head)
    prepared, reservation = yield from _plan(request, config, branch_head)
    slot = yield from acquire_slot(prepared.turn.provider, config)
    try:
        return (yield from _intend(prepared, reservation, config))
    finally:
        if slot is not None:
            slot.release()


def _intend(
    prepared: PreparedRequest, reservation: BudgetReservation | None, config: StudioConfig
) -> Workflow[Analysis]:
    """
    Write down what is about to be asked, and ask.
    """
    lease = yield from generation.write_intent(prepared.turn, reservation)
    # It has no name of its own, under which it could have been made before.
    assert not isinstance(lease, Turn)  # noqa: S101 - told to the type checkers
    try:
        return (yield from _analyze(prepared, config))
    finally:
        lease.release()


def _analyze(prepared: PreparedRequest, config: StudioConfig) -> Workflow[Analysis]:
    """
    Ask, and keep what is said.
    """
    if config.provider_state != "none":
        prepared = yield from generation.upload_inputs(prepared)
    try:
        outcome = yield from _send_with_file_fallback(prepared, config)
    except ImageSessionError as error:
        yield from generation.finalize_failed(prepared.turn, error)
        raise
    turn = generation.apply_response(prepared, outcome, config)
    try:
        if outcome.error is not None:
            raise outcome.error
        analysis = read_analysis(outcome.text, turn)
    except ImageSessionError as error:
        yield from generation.commit_failure(turn, error)
        raise
    settled = attrs.evolve(turn, status="completed")
    return attrs.evolve(analysis, turn=(yield from generation.commit_turn(settled, ())))


def _plan(
    request: GenerateRequest, config: StudioConfig, branch_head: BranchHead | None
) -> Workflow[tuple[PreparedRequest, BudgetReservation | None]]:
    begun = yield from NewId(after=branch_head.tree.latest_id() if branch_head else "")
    if request.prompt:
        validate_prompt(request.prompt)
    options = resolve_options(request.choices, config, branch_head)
    mainline = validate_options(options, config.catalogue, begun.at.date())
    last = branch_head.head.images[-1] if branch_head and branch_head.head else None
    source = last if request.image is None else request.image
    if source is None:
        raise InvalidImageError(
            "There is no picture to look at: give one with image=, or generate one in this "
            "session first."
        )
    picture = yield from load_input_image(source)
    turn = attrs.evolve(
        (yield from new_turn(begun, branch_head, request.prompt, options, [picture])),
        kind="analysis",
        provider_state=config.provider_state,
        parents=() if picture.image_id is None else (picture.image_id,),
    )
    brief = branch_head.record.description if branch_head else ""
    prepared = PreparedRequest(turn=turn, mainline=mainline, brief=brief, references=(picture,))
    return reserve_budget(prepared, config, draws=False)


def _send_with_file_fallback(
    prepared: PreparedRequest, config: StudioConfig
) -> Workflow[ResponseOutcome]:
    """
    Ask, and ask once more without what the provider no longer holds or does not take.
    """
    store = config.provider_state != "none"
    try:
        return (yield from _send(prepared, _request(prepared, config, store=store), config))
    except FeatureUnsupportedError as error:
        if error.feature == "responses":
            raise BadRequestError(
                "This server does not speak Responses, without which no picture can be looked at. "
                "Say what to change yourself, with edit()."
            ) from error
        store = store and error.feature != "store"
    except RequestNotProcessedError:
        yield from uploads.invalidate_uploads(prepared.files, prepared.turn.provider)
    in_full = attrs.evolve(prepared, files={})
    try:
        return (yield from _send(in_full, _request(in_full, config, store=store), config))
    except RequestNotProcessedError as error:
        raise error.rejection or BadRequestError(f"The provider rejects it: {error}") from error


def _send(
    prepared: PreparedRequest, request: HttpRequest, config: StudioConfig
) -> Workflow[ResponseOutcome]:
    deadline = (yield from MonotonicTime()) + config.timeout
    reply = yield from send(prepared.turn, request, config, deadline)
    check_speaks_responses(reply)
    return (yield from parse_paid(prepared.turn, reply, parse_text_response))


def _request(prepared: PreparedRequest, config: StudioConfig, *, store: bool) -> HttpRequest:
    """
    Build the request.

    Source: https://developers.openai.com/api/docs/guides/structured-outputs
    """
    goals = f" It is to be: {prepared.turn.prompt}" if prepared.turn.prompt else ""
    pictures = (input_image(reference, prepared.files) for reference in prepared.references)
    form = {"type": "json_schema", "name": "findings", "strict": True, "schema": SCHEMA}
    body: Item = {
        "model": prepared.mainline,
        "input": [user_message(_LOOK + goals, pictures)],
        "text": {"format": form},
        "store": store,
        "metadata": {"imagesession_turn": prepared.turn.id},
    }
    if prepared.brief:
        body["instructions"] = prepared.brief
    return HttpRequest(method="POST", path="/responses", body=body, timeout=config.timeout)


def read_analysis(text: str, turn: Turn) -> Analysis:
    """
    Read what a model found.

    Args:
        text: Its answer.
        turn: The turn that asked.

    Raises:
        InvalidResponseError: It is not in the form that was asked for.
    """
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = None
    answer = as_mapping(said)
    if not isinstance(answer.get("findings"), list):
        raise InvalidResponseError(
            "The model's answer is not in the form that was asked for; another mainline model may "
            f"do better (model=). It says: {text[:200]!r}"
        )
    findings = [_finding(as_mapping(item)) for item in as_list(answer.get("findings"))]
    ordered = sorted(
        (finding for finding in findings if finding.issue or finding.remedy),
        key=lambda finding: _SEVERITIES.index(finding.severity),
        reverse=True,
    )
    return Analysis(summary=_words(answer.get("summary")), findings=tuple(ordered), turn=turn)


def _finding(facts: Mapping[str, Any]) -> Finding:
    issue, where, severity, remedy = (_words(facts.get(name)) for name in _MEMBERS)
    return Finding(
        issue=issue,
        where=where or "whole picture",
        severity=severity if severity in _SEVERITIES else "medium",
        remedy=remedy,
    )


def _words(value: object) -> str:
    # JSON may hold half a character (a lone surrogate), which can be neither kept nor sent.
    return as_text(value).encode("utf-8", "replace").decode("utf-8").strip()


def validate_improvement(goals: object, preserve_elements: object) -> None:
    """
    Refuse what no edit could be planned from, before a look is paid for.

    Raises:
        InvalidRequestError: Goals or what is to stay are no texts, or longer than the provider
            takes.
    """
    kept = validate_label("preserve_elements", preserve_elements)
    validate_prompt(_edit(validate_prompt(goals), (), kept))


def build_edit_prompt(analysis: Analysis, goals: str, preserve_elements: str) -> str:
    """
    Write the prompt of the edit that mends what was found: as much of it as the provider takes,
    the most severe first.
    """
    room = MAX_PROMPT - len(_edit(goals, ("",), preserve_elements))
    lines: list[str] = []
    for finding in analysis.findings:
        line = f"- {finding.issue} ({finding.where}): {finding.remedy}"
        room -= len(line) + 1
        if room < 0:
            break
        lines.append(line)
    return _edit(goals, lines, preserve_elements)


def _edit(goals: str, findings: Sequence[str], preserve_elements: str) -> str:
    lines = [f"Improve this picture: {goals.strip().rstrip('.')}."]
    if findings:
        lines += ["Mend:", *findings]
    if preserve_elements.strip():
        lines.append(f"Keep unchanged: {preserve_elements.strip().rstrip('.')}.")
    return "\n".join(lines)


def to_edit_request(
    request: GenerateRequest, analysis: Analysis, preserve_elements: str
) -> GenerateRequest:
    """
    Turn a wish for improvement into one for the edit that was planned from what was found.
    """
    return attrs.evolve(
        request,
        prompt=build_edit_prompt(analysis, request.prompt, preserve_elements),
        edits=True,
        kind="improvement",
        parameters={
            "improvement_goals": request.prompt,
            "preserve_elements": preserve_elements,
            "analysis": analysis.turn.id,
            "summary": analysis.summary,
            "findings": [attrs.asdict(finding) for finding in analysis.findings],
        },
    )
