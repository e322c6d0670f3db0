"""
Analyze an image, and plan an edit that fixes the findings.
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
    InvalidRequestError,
    InvalidResponseError,
)

from . import generation, uploads
from .coerce import as_list, as_mapping, as_text
from .effects import MonotonicTime, NewId, StoreCall, Workflow
from .http import HttpRequest
from .input_images import load_input_image
from .outcomes import ResponseOutcome
from .payloads import Item, PreparedRequest, input_image, user_message
from .prepare import new_turn, reserve_budget, resolve_options
from .provider_errors import (
    FeatureUnsupportedError,
    RequestNotProcessedError,
    require_responses_api,
)
from .request import GenerateRequest, StudioConfig
from .responses import parse_text_response
from .retry import acquire_slot
from .sessions import BranchHead, session_config
from .store import BudgetReservation
from .transmit import parse_paid, send, with_request_id
from .validate import MAX_PROMPT, validate_label, validate_options, validate_prompt

_SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_MEMBERS = ("issue", "where", "severity", "remedy")
_INSTRUCTIONS = (
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


_NEEDS_RESPONSES = (
    "This server does not support the Responses API, which analysis needs. Describe the change "
    "yourself with edit()."
)


def analyze(
    request: GenerateRequest, config: StudioConfig, branch_head: BranchHead | None = None
) -> Workflow[Analysis]:
    """
    Analyze an image with one request that makes no image. Its turn is recorded, and is never sent
    as context.
    """
    if "responses" in config.server.lacks:
        raise InvalidRequestError(_NEEDS_RESPONSES)
    config = session_config(config, branch_head).for_call(request.settings)
    prepared, reservation = yield from _prepare(request, config, branch_head)
    slot = yield from acquire_slot(prepared.turn.provider, config)
    try:
        return (yield from _send_with_intent(prepared, reservation, config))
    finally:
        if slot is not None:
            slot.release()


def _send_with_intent(
    prepared: PreparedRequest, reservation: BudgetReservation | None, config: StudioConfig
) -> Workflow[Analysis]:
    lease = yield from StoreCall(lambda store: store.intents.write(prepared.turn, reservation))
    # Without an idempotency key, no earlier turn can be returned.
    assert not isinstance(lease, Turn)  # noqa: S101 - for the type checkers
    try:
        return (yield from _send_and_commit(prepared, config))
    finally:
        lease.release()


def _send_and_commit(prepared: PreparedRequest, config: StudioConfig) -> Workflow[Analysis]:
    if config.provider_state != "none":
        prepared = yield from generation.upload_inputs(prepared, config)
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


def _prepare(
    request: GenerateRequest, config: StudioConfig, branch_head: BranchHead | None
) -> Workflow[tuple[PreparedRequest, BudgetReservation | None]]:
    new = yield from NewId(after=branch_head.tree.latest_id() if branch_head else "")
    if request.prompt:
        validate_prompt(request.prompt)
    options = resolve_options(request.choices, config, branch_head)
    mainline = validate_options(options, config.catalogue, new.at.date())
    last = branch_head.head.images[-1] if branch_head and branch_head.head else None
    source = last if request.image is None else request.image
    if source is None:
        raise InvalidImageError(
            "There is no image to analyze. Pass one with image=; a session's own last image "
            "is taken once there is one."
        )
    image = yield from load_input_image(source)
    turn = attrs.evolve(
        (yield from new_turn(new, branch_head, request.prompt, options, [image])),
        kind="analysis",
        provider_state=config.provider_state,
        parents=() if image.image_id is None else (image.image_id,),
    )
    description = branch_head.record.description if branch_head else ""
    prepared = PreparedRequest(
        turn=turn, mainline=mainline, session_description=description, references=(image,)
    )
    return reserve_budget(prepared, config, draws=False)


def _send_with_file_fallback(
    prepared: PreparedRequest, config: StudioConfig
) -> Workflow[ResponseOutcome]:
    """
    Send the request; if the provider lacks a feature or a file, send it once more without that.
    """
    store = config.provider_state != "none"
    try:
        return (yield from _send(prepared, _request(prepared, config, store=store), config))
    except FeatureUnsupportedError as error:
        if error.feature in {"responses", "image_tool"}:
            raise BadRequestError(_NEEDS_RESPONSES) from error
        store = store and error.feature != "store"
    except RequestNotProcessedError:
        yield from uploads.invalidate_uploads(prepared.files, prepared.turn.provider)
    in_full = attrs.evolve(prepared, files={})
    try:
        return (yield from _send(in_full, _request(in_full, config, store=store), config))
    except RequestNotProcessedError as error:
        raise error.to_error() from error


def _send(
    prepared: PreparedRequest, request: HttpRequest, config: StudioConfig
) -> Workflow[ResponseOutcome]:
    deadline = (yield from MonotonicTime()) + config.timeout
    reply = yield from send(prepared.turn, request, config, deadline)
    require_responses_api(reply)
    answer = parse_paid(prepared.turn, reply, parse_text_response)
    return (yield from with_request_id(reply, answer))


def _request(prepared: PreparedRequest, config: StudioConfig, *, store: bool) -> HttpRequest:
    # https://developers.openai.com/api/docs/guides/structured-outputs
    goals = f" It is to be: {prepared.turn.prompt}" if prepared.turn.prompt else ""
    images = (input_image(reference, prepared.files) for reference in prepared.references)
    schema_format = {"type": "json_schema", "name": "findings", "strict": True, "schema": SCHEMA}
    body: Item = {
        "model": prepared.mainline,
        "input": [user_message(_INSTRUCTIONS + goals, images)],
        "text": {"format": schema_format},
        "store": store,
        "metadata": {"imagesession_turn": prepared.turn.id},
    }
    if prepared.turn.options.service_tier != "auto":
        body["service_tier"] = prepared.turn.options.service_tier
    if prepared.session_description:
        body["instructions"] = prepared.session_description
    return HttpRequest(method="POST", path="/responses", body=body, timeout=config.timeout)


def read_analysis(text: str, turn: Turn) -> Analysis:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    answer = as_mapping(parsed)
    if not isinstance(answer.get("findings"), list):
        raise InvalidResponseError(
            f"The model's answer does not follow the schema: {text[:200]!r} Try another mainline "
            "model with model=."
        )
    findings = [_finding(as_mapping(item)) for item in as_list(answer.get("findings"))]
    ordered = sorted(
        (finding for finding in findings if finding.issue or finding.remedy),
        key=lambda finding: _SEVERITIES.index(finding.severity),
        reverse=True,
    )
    return Analysis(
        summary=as_text(answer.get("summary")).strip(), findings=tuple(ordered), turn=turn
    )


def _finding(fields: Mapping[str, Any]) -> Finding:
    issue, where, severity, remedy = (as_text(fields.get(name)).strip() for name in _MEMBERS)
    return Finding(
        issue=issue,
        where=where or "whole image",
        severity=severity if severity in _SEVERITIES else "medium",
        remedy=remedy,
    )


def validate_improvement(goals: object, preserve_elements: object) -> None:
    """
    Validate the arguments of an improvement before the analysis is paid for.
    """
    preserved = validate_label("preserve_elements", preserve_elements)
    validate_prompt(_edit_prompt(validate_prompt(goals), (), preserved))


def build_edit_prompt(analysis: Analysis, goals: str, preserve_elements: str) -> str:
    """
    Build the prompt of the edit that fixes the findings, the most severe first, as many as the
    provider takes.
    """
    room = MAX_PROMPT - len(_edit_prompt(goals, ("",), preserve_elements))
    lines: list[str] = []
    for finding in analysis.findings:
        line = f"- {finding.issue} ({finding.where}): {finding.remedy}"
        room -= len(line) + 1
        if room < 0:
            break
        lines.append(line)
    return _edit_prompt(goals, lines, preserve_elements)


def _edit_prompt(goals: str, findings: Sequence[str], preserve_elements: str) -> str:
    lines = [f"Improve this picture: {goals.strip().rstrip('.')}."]
    if findings:
        lines += ["Mend:", *findings]
    if preserve_elements.strip():
        lines.append(f"Keep unchanged: {preserve_elements.strip().rstrip('.')}.")
    return "\n".join(lines)


def to_edit_request(
    request: GenerateRequest, analysis: Analysis, preserve_elements: str
) -> GenerateRequest:
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
