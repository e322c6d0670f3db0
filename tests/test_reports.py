"""
Status reports of sessions and studios, and the rules for active, idle and closed sessions.

Every test runs over the sync and the async twin.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import imagesession
from imagesession.errors import (
    ContentBlockedError,
    GenerationFailedError,
    InvalidOptionError,
    InvalidPromptError,
    InvalidRequestError,
    RefusalError,
    SessionClosedError,
    TooManySessionsError,
)
from imagesession.testing import FakeOpenAI
from tests.clock import ago
from tests.conftest import MakeStudio

MINUTE = dt.timedelta(minutes=1)


def paid_bodies(provider: FakeOpenAI) -> list[Any]:
    """
    Return the bodies of the paid requests, which are those for images.
    """
    return [
        call.body
        for call in provider.requests
        if call.method == "POST" and call.path == "/responses"
    ]


def paths(provider: FakeOpenAI) -> list[str]:
    """
    Return the paths of all requests.
    """
    return [call.path for call in provider.requests]


@pytest.fixture
def session(studio: Any) -> Any:
    """
    A new session.
    """
    return studio.session("A logo for a tea shop", name="Tea logo", quality="low")


def test_new_session_reports_its_settings(session: Any) -> None:
    """
    Before the first turn a session reports its name, description and options, and no images.
    """
    status = session.status()
    assert (status.session_id, status.session_name) == (session.id, "Tea logo")
    assert status.description == "A logo for a tea shop"
    assert (status.state, status.active) == ("active", True)
    assert (status.model, status.options) == ("auto", {"quality": "low"})
    assert (status.branch, status.branches, status.head) == ("main", ("main",), None)
    assert (status.total_generations, status.turns, status.recent_images) == (0, {}, ())
    assert status.cost.total == 0
    assert status.conversation_summary == "0 user interactions, 0 images generated"
    assert status.last_activity == status.created_at
    assert status.created_at.utcoffset() == dt.timedelta()


def test_session_counts_turns_and_images(session: Any, provider: FakeOpenAI) -> None:
    """
    The status has the numbers of images and of turns by outcome, the latest five paths and the
    head.
    """
    provider.images_per_reply = 2
    images = [session.generate(f"number {number}") for number in range(3)]
    provider.refuse_next("No.")
    with pytest.raises(RefusalError):
        session.generate("something else")
    branch = session.branch("other")
    status = branch.status()
    assert status.total_generations == 6
    assert status.turns == {"completed": 3, "refused": 1}
    assert [Path(path).name for path in status.recent_images] == [
        image.path.name for image in session.images()[:0:-1]
    ]
    assert all(Path(path).is_file() for path in status.recent_images)
    assert status.head == images[-1].id
    assert (status.branch, status.branches) == ("other", ("main", "other"))
    assert status.conversation_summary == "4 user interactions, 6 images generated"
    assert status.last_activity > status.created_at
    costs = [turn.cost.total for turn in session.turns()]
    assert costs[-1] > 0, "the words of a refusal are billed"
    assert status.cost.total == pytest.approx(sum(costs))


def test_closed_session_reports_its_state(session: Any) -> None:
    """
    A closed session says so, still reports its status, and is active again when it is reopened.
    """
    session.generate("a teapot")
    session.close()
    assert (session.status().state, session.status().active) == ("closed", False)
    assert session.status().total_generations == 1


def test_idle_sessions_free_their_place(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A session without recent activity is idle and not counted as active; when it is continued it
    counts again.
    """
    studio = make_studio(tmp_path, max_active_sessions=1, session_idle_timeout=1800)
    with ago(31 * MINUTE, tmp_path):
        old = studio.session("Old")
    for file in (tmp_path / ".imagesession" / "sessions").iterdir():
        file.touch()  # like a restored backup
    new = studio.session("New")
    assert (old.status().state, new.status().state) == ("idle", "active")
    old.generate("going on")
    assert old.status().state == "active"
    assert studio.stats().active_sessions == 2
    with pytest.raises(TooManySessionsError):
        studio.session("One more")


def test_activity_keeps_a_session_active(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    The last activity counts, a turn or a move of the head, and not the start.
    """
    studio = make_studio(tmp_path, session_idle_timeout=1800)
    with ago(60 * MINUTE, tmp_path):
        first, second = studio.session("One"), studio.session("Two")
        first.generate("a teapot")
        second.generate("a teapot")
    with ago(20 * MINUTE, tmp_path):
        first.generate("bluer")
        second.undo()
    assert (first.status().state, second.status().state) == ("active", "active")
    assert studio.stats().active_sessions == 2
    since = dt.datetime.now(dt.UTC) - first.status().last_activity
    assert 19 * MINUTE < since < 22 * MINUTE


def test_too_many_sessions_error_names_the_idlest(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    The error names the session that was idle longest, and closing that one frees a place; closed
    and promoted sessions do not bypass the limit.
    """
    studio = make_studio(tmp_path, max_active_sessions=2, session_idle_timeout=3600)
    with ago(30 * MINUTE, tmp_path):
        first = studio.session("First", name="the first")
    with ago(20 * MINUTE, tmp_path):
        second = studio.session("Second")
    first.generate("still at it")
    for verb, image in (("session", ()), ("promote", (first.head(),))):
        with pytest.raises(TooManySessionsError, match=second.id) as caught:
            getattr(studio, verb)(*image, "Third")
        assert (caught.value.limit, caught.value.idlest) == (2, second.id)
    assert "20 minutes" in str(caught.value)
    studio.open(caught.value.idlest).close()
    third = studio.session("Third")
    assert {listed.id for listed in studio.sessions.list()} == {first.id, second.id, third.id}


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_active_sessions": 0},
        {"max_active_sessions": True},
        {"max_active_sessions": 2.0},
        {"session_idle_timeout": 0},
        {"session_idle_timeout": -1},
        {"session_idle_timeout": "an hour"},
        {"session_idle_timeout": True},
    ],
)
def test_limits_are_validated(
    make_studio: MakeStudio, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    """
    An invalid number of sessions or seconds is refused when the studio is created.
    """
    with pytest.raises(InvalidRequestError, match=next(iter(wrong))):
        make_studio(tmp_path, **wrong)


def test_session_changes_its_model(studio: Any, session: Any, provider: FakeOpenAI) -> None:
    """
    A session's options can be changed: later turns use that model, also in other programs; a single
    call can use another one, for that call only.
    """
    session.generate("a teapot")
    changed = session.update(model="gpt-6-sol", image_model="gpt-image-2")
    changed.generate("bluer")
    session.generate("warmer", model="gpt-6-luna")
    studio.open(session.id).generate("taller")
    models = [(body["model"], body["tools"][0].get("model")) for body in paid_bodies(provider)]
    auto = models[0][0]
    assert models == [
        (auto, None),
        ("gpt-6-sol", "gpt-image-2"),
        ("gpt-6-luna", "gpt-image-2"),
        ("gpt-6-sol", "gpt-image-2"),
    ]
    assert [body["tools"][0]["quality"] for body in paid_bodies(provider)] == ["low"] * 4
    status = session.status()
    assert status.model == "gpt-6-sol"
    assert status.options == {
        "quality": "low",
        "model": "gpt-6-sol",
        "image_model": "gpt-image-2",
    }
    assert [image.turn.context for image in session.images()] == ["fresh"] + ["continued"] * 3


def test_session_changes_its_description(session: Any, provider: FakeOpenAI) -> None:
    """
    A new description is sent from the next turn on; a new name is a label that is never sent.
    """
    session.generate("a teapot")
    changed = session.update(description="Round things only", name="Round")
    assert (changed.name, changed.description) == ("Round", "Round things only")
    session.generate("rounder")
    session.update()
    session.generate("roundest")
    instructions = [body["instructions"] for body in paid_bodies(provider)]
    assert instructions == ["A logo for a tea shop", "Round things only", "Round things only"]
    assert '"Round"' not in str(paid_bodies(provider))


@pytest.mark.parametrize(
    "change,error",
    [
        ({"quality": "ultra"}, InvalidOptionError),
        ({"qality": "low"}, InvalidOptionError),
        ({"name": 7}, InvalidRequestError),
        ({"description": "half a \ud83c"}, InvalidRequestError),
    ],
)
def test_invalid_update_changes_nothing(
    session: Any, change: dict[str, Any], error: type[Exception]
) -> None:
    """
    An invalid update is refused and leaves the session as it was.
    """
    before = session.status()
    with pytest.raises(error):
        session.update(**change)
    after = session.status()
    assert (after.options, after.session_name) == (before.options, before.session_name)
    assert after.description == before.description
    session.close()
    with pytest.raises(SessionClosedError):
        session.update(quality="high")


def test_concurrent_updates_are_all_kept(
    make_studio: MakeStudio,
    tmp_path: Path,
    in_threads: Callable[[list[Callable[[], Any]]], None],
) -> None:
    """
    Concurrent updates of different fields are all kept.
    """
    session = make_studio(tmp_path).session("x")
    studios = [make_studio(tmp_path) for _ in range(4)]
    changes: list[dict[str, Any]] = [
        {"quality": "low"},
        {"size": "1536x1024"},
        {"name": "N"},
        {"description": "D"},
    ]
    in_threads(
        [
            lambda studio=studio, change=change: studio.open(session.id).update(**change)  # type: ignore[misc]
            for studio, change in zip(studios, changes, strict=True)
        ]
    )
    status = session.status()
    assert status.options == {"quality": "low", "size": "1536x1024"}
    assert (status.session_name, status.description) == ("N", "D")


WRONG = {"message": "no", "code": "invalid_value", "param": "prompt"}


def test_failed_turn_does_not_affect_the_next(session: Any, provider: FakeOpenAI) -> None:
    """
    However a turn fails, the next one continues the last completed turn, and the failed one is
    never part of the history.
    """
    last = session.generate("a teapot")
    failures: list[tuple[Callable[[], None], type[Exception]]] = [
        (lambda: provider.refuse_next("I would rather not."), RefusalError),
        (lambda: provider.moderate_next(stage="input"), ContentBlockedError),
        (lambda: provider.moderate_next(stage="output", as_item=True), ContentBlockedError),
        (provider.fail_generation_next, GenerationFailedError),
        (
            lambda: provider.fail_next(status=400, error=WRONG, path="/responses"),
            InvalidRequestError,
        ),
    ]
    for number, (plan, error) in enumerate(failures):
        for forgotten in (False, True):
            plan()
            with pytest.raises(error):
                session.generate("POISON")
            if forgotten:
                provider.reset_memory()
            image = session.generate(f"number {number}, forgotten: {forgotten}")
            assert image.parent == last.turn.id
            assert image.turn.context == ("rebuilt" if forgotten else "continued")
            assert "POISON" not in str(paid_bodies(provider)[-1])
            last = image
    with pytest.raises(InvalidPromptError):
        session.generate(" ")
    assert session.head().id == last.id


def test_studio_reports_its_library(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    The numbers of a library count everything in it, whichever program made it.
    """
    studio = make_studio(
        tmp_path, provider=provider, max_active_sessions=7, session_idle_timeout=5400
    )
    empty = studio.stats()
    assert (empty.total_images, empty.total_turns, empty.total_sessions) == (0, 0, 0)
    assert (empty.spent, empty.spent_today, empty.models_in_use) == (0, 0, ())
    named = studio.session("One", model="gpt-6-sol")
    named.generate("a teapot")
    studio.session("Two").close()
    studio.session("Three")
    provider.refuse_next("No.")
    with pytest.raises(RefusalError):
        studio.generate("something")
    image = studio.generate("a cup")
    stats = make_studio(tmp_path, max_active_sessions=7, session_idle_timeout=5400).stats()
    assert (stats.version, stats.library) == (imagesession.__version__, str(tmp_path))
    assert stats.provider == studio.provider
    assert (stats.active_sessions, stats.max_active_sessions, stats.total_sessions) == (2, 7, 3)
    assert stats.session_timeout_hours == 1.5
    assert (stats.total_images, stats.total_turns) == (2, 3)
    assert set(stats.models_in_use) == {"gpt-6-sol", "auto"}
    assert stats.spent_today == stats.spent >= image.cost.total


def test_models_are_listed(studio: Any, provider: FakeOpenAI) -> None:
    """
    Models are listed by kind without a request, and with one those that the provider has.
    """
    models = studio.models.list()
    assert paths(provider) == []
    assert models == (*studio.models.list(kind="image"), *studio.models.list(kind="mainline"))
    assert all(model.kind == "image" for model in studio.models.list(kind="image"))
    live = studio.models.list(live=True)
    assert paths(provider) == ["/models"]
    assert {model.id for model in live} <= {model.id for model in models}
    assert live
