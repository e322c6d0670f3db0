"""
One library for several people: each sees and spends their own, and goes as a whole; and what is old
goes by its age.
"""

from __future__ import annotations

import copy
import datetime as dt
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from imagesession import Budget
from imagesession._engine import removal
from imagesession._engine.effects import Workflow
from imagesession.errors import BudgetExceededError, InvalidRequestError, NotFoundError
from imagesession.testing import FakeOpenAI, tiny_image
from tests.conftest import MakeStudio
from tests.sent import posts
from tests.test_removing import files_with

CHEAP: dict[str, Any] = {"quality": "low", "size": "1024x1024"}
LOW = 0.04
"""More than one such image costs, and less than two."""


def names_of(items: Any) -> list[str]:
    """
    Return the prompts of images, or the names of sessions.
    """
    return [getattr(item, "prompt", None) or item.name for item in items]


def test_each_owner_sees_their_own(studio: Any, tmp_path: Path) -> None:
    """
    Two owners use the same names and idempotency keys, and each lists, finds, exports and shows
    what is theirs. A studio without an owner sees everything.
    """
    ann, bob = studio.as_owner("ann"), studio.as_owner("bob")
    assert (studio.owner, ann.owner, ann.library) == (None, "ann", studio.library)
    made = {
        owner.owner: (
            owner.generate(f"a teapot of {owner.owner}", idempotency_key="poster"),
            owner.session("Logos", name="logo").generate(f"a fox of {owner.owner}"),
        )
        for owner in (ann, bob)
    }
    for owner in (ann, bob):
        pot, fox = made[owner.owner]
        other_pot, other_fox = made["bob" if owner is ann else "ann"]
        fox.star()
        assert names_of(owner.images.list()) == [fox.prompt, pot.prompt]
        assert names_of(owner.images.list(text="fox", starred=True)) == [fox.prompt]
        assert owner.images.list(deleted=True) == ()
        assert names_of(owner.sessions.list()) == ["logo"]
        assert owner.open("logo").id == fox.turn.session
        assert owner.generate(pot.prompt, idempotency_key="poster").id == pot.id
        assert owner.session("x", name="logo", resume=True).id == fox.turn.session
        assert owner.costs().total.images == owner.stats().total_images == 2
        assert list(owner.costs(group_by="owner").groups) == [owner.owner]
        page = Path(owner.gallery(tmp_path / f"{owner.owner}.html")).read_text("utf-8")
        assert fox.prompt in page
        assert other_fox.prompt not in page
        for wanted in (other_pot.id, other_pot.id[-10:].lower(), other_fox.id):
            with pytest.raises(NotFoundError) as caught:
                owner.images.get(wanted)
            assert set(caught.value.known) <= {pot.id, fox.id}
        with pytest.raises(NotFoundError):
            owner.open(other_fox.turn.session)
        for remove in (owner.images.delete, owner.images.erase):
            with pytest.raises(NotFoundError):
                remove(other_pot.id)
        with pytest.raises(NotFoundError):
            owner.sessions.erase(other_fox.turn.session)
        with pytest.raises(NotFoundError):
            owner.promote(other_pot.id)
        with pytest.raises(InvalidRequestError, match="without owner="):
            owner.doctor()
    assert len(studio.images.list()) == len(studio.sessions.list()) * 2 == 4
    assert list(studio.costs(group_by="owner").groups) == ["ann", "bob"]
    assert all(check.state == "ok" for check in studio.doctor(verify=True).checks)


def test_bin_is_an_owners_own(studio: Any) -> None:
    """
    An owner's bin has what the owner has deleted, and emptying it leaves the others' alone.
    """
    ann, bob = studio.as_owner("ann"), studio.as_owner("bob")
    for owner in (ann, bob):
        owner.images.delete(owner.generate("a teapot"))
        session = owner.session("x", name="x")
        session.generate("a fox")
        owner.sessions.delete(session)
        assert len(owner.images.list(deleted=True)) == 2
        assert names_of(owner.sessions.list(deleted=True)) == ["x"]
    assert len(ann.empty_bin().erased) == 2
    assert ann.images.list(deleted=True) == ()
    assert len(bob.images.list(deleted=True)) == 2
    bob.sessions.restore("x")
    assert names_of(bob.sessions.list()) == ["x"]


def test_batches_and_requests_are_an_owners_own(studio: Any) -> None:
    """
    Batches of two owners have the same name; requests under way are seen by their owner.
    """
    ann, bob = studio.as_owner("ann"), studio.as_owner("bob")
    batches = {
        owner.owner: owner.batches.create(["a teapot"], name="night") for owner in (ann, bob)
    }
    for owner in (ann, bob):
        assert [batch.id for batch in owner.batches.list()] == [batches[owner.owner].id]
        assert owner.batches.get("night").id == batches[owner.owner].id
        assert len(owner.requests.pending()) == 1
    with pytest.raises(NotFoundError):
        ann.batches.get(batches["bob"].id)
    with pytest.raises(InvalidRequestError, match="under way"):
        studio.erase_owner("ann")
    assert len(studio.batches.list()) == len(studio.requests.pending()) == 2
    assert studio.batches.create(["a teapot"], name="night").id not in {
        batch.id for batch in batches.values()
    }


def test_names_of_others_are_not_taken(studio: Any) -> None:
    """
    What a studio without an owner makes is nobody's: it does not go on with an owner's session of
    that name, nor return what an owner made under that key; but in an owner's session, it is the
    owner's.
    """
    ann = studio.as_owner("ann")
    session = ann.session("x", name="logo")
    image = ann.generate("a teapot", idempotency_key="poster")
    own = studio.session("y", name="logo", resume=True)
    assert own.id != session.id
    assert studio.generate("a cup", idempotency_key="poster").id != image.id
    board = studio.open(session.id)
    board.update(references={"logo": tiny_image()})
    board.generate("a fox")
    assert names_of(ann.images.list()) == ["a fox", "logo", "a teapot"]
    assert len(ann.open("logo").references()) == 1
    assert len(ann.open("logo").turns()) == 1
    assert studio.promote(image, name="pot").id not in {item.id for item in ann.sessions.list()}


def test_quota_refuses_before_a_request_is_sent(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    An owner who has spent the day's quota is refused before anything is sent, and told what to do;
    others are not, and erasing what was made gives nothing back.
    """
    budget = Budget(per_owner_per_day=LOW)
    studio = make_studio(tmp_path / "library", provider=provider, budget=budget, **CHEAP)
    ann, bob = studio.as_owner("ann"), studio.as_owner("bob")
    ann.images.erase(ann.generate("a teapot"))
    sent = len(posts(provider))
    for _ in range(2):
        with pytest.raises(BudgetExceededError, match="raise the Budget's per_owner_per_day") as no:
            ann.generate("a cup")
        assert (no.value.limit, no.value.allowed) == ("per_owner_per_day", LOW)
    assert len(posts(provider)) == sent
    assert 0 < ann.costs().remaining < LOW
    assert bob.costs().remaining == LOW
    assert studio.costs().remaining is None
    bob.generate("a cup")
    for _ in range(2):
        studio.generate("a cup")
    with pytest.raises(BudgetExceededError, match="for one owner and day"):
        ann.batches.create(["a cup"] * 5)


def test_owner_is_erased_as_a_whole(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    Nothing in the library says what an erased owner made or who it was, whatever state it was in,
    and the provider's copies are gone; what it cost stays in the totals, and others keep theirs.
    """
    root = tmp_path / "library"
    studio = make_studio(root, provider=provider)
    ann, bob = studio.as_owner("annabella"), studio.as_owner("bob")
    kept = bob.generate("a cup")
    session = ann.session("Herons", name="quicksilver")
    session.generate("a heron of quicksilver").star()
    ann.images.delete(session.generate("quicksilver in the bin"))
    ann.images.erase(ann.generate("quicksilver that is erased"))
    ann.generate("quicksilver alone").tag("quicksilver")
    binned = ann.session("y", name="quicksilver 2")
    binned.generate("quicksilver")
    ann.sessions.delete(binned)
    ann.batches.create(["quicksilver in a batch"], name="quicksilver").wait()
    provider.refuse_next("quicksilver is not allowed")
    with pytest.raises(Exception, match="not allowed"):
        ann.generate("quicksilver refused")
    total = studio.costs().total
    report = studio.erase_owner("annabella")
    assert report.remaining == {}
    assert files_with(root, "quicksilver", "annabella") == []
    assert studio.costs().total == total
    assert set(studio.costs(group_by="owner").groups) == {"", "bob"}
    assert names_of(ann.images.list()) == names_of(ann.sessions.list()) == []
    assert ann.batches.list() == ()
    assert names_of(studio.images.list()) == ["a cup"]
    assert kept.bytes
    assert all(check.state == "ok" for check in studio.doctor(verify=True).checks)
    assert studio.erase_owner("annabella").erased == ()
    ann.generate("a new start")
    assert len(ann.images.list()) == 1


def test_owner_erases_nobody_else(studio: Any) -> None:
    """
    An owner may erase all that is their own, and nothing of another's.
    """
    ann, bob = studio.as_owner("ann"), studio.as_owner("bob")
    image = bob.generate("a cup")
    ann.generate("a cup")
    with pytest.raises(NotFoundError, match="no other"):
        ann.erase_owner("bob")
    assert len(ann.erase_owner("ann").erased) == 1
    assert image.bytes


def test_what_is_old_is_pruned(studio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What is older than an age goes, with its words, but for what has a star, and sessions in which
    something happened since; a dry run lists the same and leaves it there.
    """
    idle, starred, busy = (studio.session("x", name=name) for name in ("idle", "starred", "busy"))
    for session in (idle, starred, busy):
        session.generate("a fox")
    starred.generate("a heron").star()
    alone, star = studio.generate("a teapot"), studio.generate("a cup")
    star.star()
    binned = studio.generate("a mug")
    studio.images.delete(binned)
    time = dt.datetime.now(dt.UTC)
    busy.generate("an owl")
    new = studio.generate("a bowl")

    def ago(_: object) -> Workflow[dt.datetime]:
        yield from ()
        return time

    def prune(**options: Any) -> Any:
        return studio.prune(older_than=dt.timedelta(days=1), **options)

    monkeypatch.setattr(removal, "_ago", ago)
    total = studio.costs().total
    planned = prune(dry_run=True)
    assert len(studio.images.list()) == 8
    assert str(planned) == "5 would be erased; this was a dry run, and nothing was"
    report = prune()
    assert set(report.erased) == set(planned.erased)
    assert {idle.id, alone.id, binned.id} <= set(report.erased)
    assert str(report).startswith("5 erased, ")
    assert set(names_of(studio.images.list())) == {"an owl", "a heron", "a bowl", "a cup"}
    assert set(names_of(studio.sessions.list())) == {"starred", "busy"}
    assert studio.images.list(deleted=True) == ()
    assert studio.costs().total == total
    assert new.bytes
    assert prune(dry_run=True).erased == prune().erased == ()
    assert all(check.state == "ok" for check in studio.doctor(verify=True).checks)


def test_owner_prunes_their_own(studio: Any) -> None:
    """
    An owner's studio prunes what is the owner's.
    """
    ann, bob = studio.as_owner("ann"), studio.as_owner("bob")
    for owner in (ann, bob):
        owner.session("x").generate("a fox")
        owner.generate("a cup")
    assert len(ann.prune(older_than=dt.timedelta(0)).erased) == 2
    assert len(bob.images.list()) == 2


@pytest.mark.parametrize("age", [30, "30 days", None, dt.timedelta(days=-1)])
def test_age_has_to_be_a_duration(studio: Any, age: Any) -> None:
    """
    An age that is no duration is refused, and nothing is erased.
    """
    image = studio.generate("a cup")
    with pytest.raises(InvalidRequestError, match="timedelta"):
        studio.prune(older_than=age)
    assert image.bytes
    assert studio.prune(older_than=dt.timedelta.max).erased == ()


@pytest.mark.parametrize("owner", ["", " ", "a" * 201, "a\nb", "a\0b", "\ud800", 7, b"x"])
def test_owner_has_to_be_a_name(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, owner: Any
) -> None:
    """
    What is no name of an owner is refused, however it is passed.
    """
    studio = make_studio(tmp_path / "library", provider=provider)
    for use in (studio.as_owner, studio.erase_owner):
        with pytest.raises(InvalidRequestError, match="owner"):
            use(owner)
    with pytest.raises(InvalidRequestError, match="owner"):
        make_studio(tmp_path / "library", provider=provider, owner=owner)


def test_view_of_an_owner_is_the_studio(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    `Studio(owner=)` is the same as `as_owner`; closing a view closes nothing, and it leads to no
    other owner.
    """
    studio = make_studio(tmp_path / "library", provider=provider)
    ann = studio.as_owner("ann")
    image = make_studio(tmp_path / "library", provider=provider, owner="ann").generate("a cup")
    assert names_of(ann.images.list()) == ["a cup"]
    ann.close()
    assert studio.as_owner("ann").generate("a mug").turn.owner == "ann"
    assert ann.as_owner("ann").images.get(image.id).id == image.id
    with pytest.raises(InvalidRequestError, match="another owner"):
        ann.as_owner("bob")


def test_pickled_image_stays_an_owners(tmp_path: Path) -> None:
    """
    An owner's image finds the owner's studio after it was pickled, though no studio of the owner is
    open, and after a copy.
    """
    from imagesession import Studio  # noqa: PLC0415 - one twin is enough

    with Studio.offline(tmp_path / "library") as studio:
        image = studio.as_owner("ann").session("x").generate("a cup")
        data = pickle.dumps(image)
        for other in (pickle.loads(data), copy.deepcopy(image)):  # noqa: S301 - our own
            assert other.bytes == image.bytes
            assert other.refine("with steam").turn.owner == "ann"
    again = pickle.loads(data)  # noqa: S301 - our own
    assert again.refine("without a studio").turn.owner == "ann"


def test_export_does_not_say_whose_it_was(studio: Any, tmp_path: Path) -> None:
    """
    An exported session belongs to whoever imports it, and names no owner; one that another owner
    has is not taken from them.
    """
    ann, bob = studio.as_owner("annabella"), studio.as_owner("bob")
    session = ann.session("x", name="logo")
    session.generate("a fox")
    path = session.export(tmp_path / "logo")
    assert files_with(Path(path), "annabella") == []
    with pytest.raises(InvalidRequestError, match="another owner"):
        bob.sessions.import_archive(path)
    studio.erase_owner("annabella")
    assert names_of(bob.sessions.list()) == []


def test_imported_session_is_the_importers(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A session that an owner imports is the owner's, with all its turns.
    """
    with_fox = make_studio(tmp_path / "a", provider=provider, owner="ann").session("x", name="logo")
    with_fox.generate("a fox")
    path = with_fox.export(tmp_path / "logo.zip")
    target = make_studio(tmp_path / "b", provider=provider)
    bob = target.as_owner("bob")
    bob.sessions.import_archive(path)
    assert names_of(bob.images.list()) == ["a fox"]
    assert list(target.costs(group_by="owner").groups) == ["bob"]


def test_lost_records_come_back_to_their_owner(studio: Any) -> None:
    """
    Records that are made again from the metadata beside images have their owner.
    """
    root = Path(studio.library)
    ann = studio.as_owner("ann")
    image = ann.session("x", name="logo").generate("a fox")
    sidecar = json.loads(Path(image.path).with_suffix(".json").read_text("utf-8"))
    assert sidecar["owner"] == "ann"
    assert "owner" not in json.loads(
        Path(studio.generate("a cup").path).with_suffix(".json").read_text("utf-8")
    )
    for file in (root / ".imagesession").rglob(f"*{image.turn.session}*.json"):
        file.unlink()
    for file in (root / ".imagesession" / "turns" / image.turn.session).iterdir():
        file.unlink()
    studio.doctor(repair=True)
    assert names_of(ann.images.list()) == ["a fox"]
    assert names_of(ann.sessions.list()) == ["logo"]
