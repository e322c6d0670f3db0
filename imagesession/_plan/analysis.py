"""
Have a picture looked at, and mend what is found.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import attrs

from imagesession._model.analysis import Analysis, Finding, Severity
from imagesession._model.turns import Turn
from imagesession.errors import ImageSessionError, PictureError, RejectedError, ReplyError

from . import flows, uploads
from .checks import MAX_PROMPT, check_label, check_options, check_prompt
from .failures import FeatureUnsupportedError, RequestNotProcessedError, check_speaks_responses
from .leases import Reservation
from .ordering import chosen, fetch, new_turn, reserve
from .outcomes import Outcome
from .replies import read_words
from .requests import Item, Order, input_image, user_message
from .retry import acquire_slot
from .sessions import Place, session_config
from .steps import Begin, Flow, Now
from .tolerance import as_list, as_mapping, as_text
from .transmit import parse_paid, send
from .wire import Request
from .wishes import Terms, Wish

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


def analyze(wish: Wish, terms: Terms, place: Place | None = None) -> Flow[Analysis]:
    """
    Have a picture looked at. It is one request that draws nothing; its turn is kept as a fact and
    is never told to a model as part of the conversation.

    Args:
        wish: The picture, the goals as its prompt (may be empty), and options; of these only the
            model counts.
        terms: What holds for everything that is asked.
        place: Where in a session; None for a picture on its own.

    Raises:
        ImageSessionError: It was not looked at, and the error says why.
    """
    terms = session_config(terms, place)
    order, reservation = yield from _plan(wish, terms, place)
    slot = yield from acquire_slot(order.turn.provider, terms)
    try:
        return (yield from _intend(order, reservation, terms))
    finally:
        if slot is not None:
            slot.release()


def _intend(order: Order, reservation: Reservation | None, terms: Terms) -> Flow[Analysis]:
    """
    Write down what is about to be asked, and ask.
    """
    lease = yield from flows.write_intent(order.turn, reservation)
    # It has no name of its own, under which it could have been made before.
    assert not isinstance(lease, Turn)  # noqa: S101 - told to the type checkers
    try:
        return (yield from _analyze(order, terms))
    finally:
        lease.release()


def _analyze(order: Order, terms: Terms) -> Flow[Analysis]:
    """
    Ask, and keep what is said.
    """
    if terms.provider_state != "none":
        order = yield from flows.upload_inputs(order)
    try:
        outcome = yield from _look(order, terms)
    except ImageSessionError as error:
        yield from flows.finalize_failed(order.turn, error)
        raise
    turn = flows.apply_response(order, outcome, terms)
    try:
        if outcome.error is not None:
            raise outcome.error
        analysis = read_analysis(outcome.text, turn)
    except ImageSessionError as error:
        yield from flows.commit_failure(turn, error)
        raise
    settled = attrs.evolve(turn, status="completed")
    return attrs.evolve(analysis, turn=(yield from flows.commit_turn(settled, ())))


def _plan(wish: Wish, terms: Terms, place: Place | None) -> Flow[tuple[Order, Reservation | None]]:
    begun = yield from Begin(after=place.tree.latest_id() if place else "")
    if wish.prompt:
        check_prompt(wish.prompt)
    options = chosen(wish.choices, terms, place)
    mainline = check_options(options, terms.catalogue, begun.at.date())
    last = place.head.images[-1] if place and place.head else None
    source = last if wish.image is None else wish.image
    if source is None:
        raise PictureError(
            "There is no picture to look at: give one with image=, or generate one in this "
            "session first."
        )
    picture = yield from fetch(source)
    turn = attrs.evolve(
        (yield from new_turn(begun, place, wish.prompt, options, [picture])),
        kind="analysis",
        provider_state=terms.provider_state,
        parents=() if picture.image_id is None else (picture.image_id,),
    )
    brief = place.record.description if place else ""
    order = Order(turn=turn, mainline=mainline, brief=brief, references=(picture,))
    return reserve(order, terms, draws=False)


def _look(order: Order, terms: Terms) -> Flow[Outcome]:
    """
    Ask, and ask once more without what the provider no longer holds or does not take.
    """
    store = terms.provider_state != "none"
    try:
        return (yield from _send(order, _request(order, terms, store=store), terms))
    except FeatureUnsupportedError as error:
        if error.feature == "responses":
            raise RejectedError(
                "This server does not speak Responses, without which no picture can be looked at. "
                "Say what to change yourself, with edit()."
            ) from error
        store = store and error.feature != "store"
    except RequestNotProcessedError:
        yield from uploads.invalidate_uploads(order.files, order.turn.provider)
    in_full = attrs.evolve(order, files={})
    try:
        return (yield from _send(in_full, _request(in_full, terms, store=store), terms))
    except RequestNotProcessedError as error:
        raise error.rejection or RejectedError(f"The provider rejects it: {error}") from error


def _send(order: Order, request: Request, terms: Terms) -> Flow[Outcome]:
    deadline = (yield from Now()) + terms.timeout
    reply = yield from send(order.turn, request, terms, deadline)
    check_speaks_responses(reply)
    return (yield from parse_paid(order.turn, reply, read_words))


def _request(order: Order, terms: Terms, *, store: bool) -> Request:
    """
    Build the request.

    Source: https://developers.openai.com/api/docs/guides/structured-outputs
    """
    goals = f" It is to be: {order.turn.prompt}" if order.turn.prompt else ""
    pictures = (input_image(one, order.files) for one in order.references)
    form = {"type": "json_schema", "name": "findings", "strict": True, "schema": SCHEMA}
    body: Item = {
        "model": order.mainline,
        "input": [user_message(_LOOK + goals, pictures)],
        "text": {"format": form},
        "store": store,
        "metadata": {"imagesession_turn": order.turn.id},
    }
    if order.brief:
        body["instructions"] = order.brief
    return Request(method="POST", path="/responses", body=body, timeout=terms.timeout)


def read_analysis(text: str, turn: Turn) -> Analysis:
    """
    Read what a model found.

    Args:
        text: Its answer.
        turn: The turn that asked.

    Raises:
        ReplyError: It is not in the form that was asked for.
    """
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = None
    answer = as_mapping(said)
    if not isinstance(answer.get("findings"), list):
        raise ReplyError(
            "The model's answer is not in the form that was asked for; another mainline model may "
            f"do better (model=). It says: {text[:200]!r}"
        )
    findings = [_finding(as_mapping(one)) for one in as_list(answer.get("findings"))]
    ordered = sorted(
        (one for one in findings if one.issue or one.remedy),
        key=lambda one: _SEVERITIES.index(one.severity),
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


def check_improvement(goals: object, preserve_elements: object) -> None:
    """
    Refuse what no edit could be planned from, before a look is paid for.

    Raises:
        CallError: Goals or what is to stay are no texts, or longer than the provider takes.
    """
    kept = check_label("preserve_elements", preserve_elements)
    check_prompt(_edit(check_prompt(goals), (), kept))


def plan_edit(analysis: Analysis, goals: str, preserve_elements: str) -> str:
    """
    Write the prompt of the edit that mends what was found: as much of it as the provider takes,
    the most severe first.
    """
    room = MAX_PROMPT - len(_edit(goals, ("",), preserve_elements))
    lines: list[str] = []
    for one in analysis.findings:
        line = f"- {one.issue} ({one.where}): {one.remedy}"
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


def mend(wish: Wish, analysis: Analysis, preserve_elements: str) -> Wish:
    """
    Turn a wish for improvement into one for the edit that was planned from what was found.
    """
    return attrs.evolve(
        wish,
        prompt=plan_edit(analysis, wish.prompt, preserve_elements),
        edits=True,
        kind="improvement",
        parameters={
            "improvement_goals": wish.prompt,
            "preserve_elements": preserve_elements,
            "analysis": analysis.turn.id,
            "summary": analysis.summary,
            "findings": [attrs.asdict(one) for one in analysis.findings],
        },
    )
