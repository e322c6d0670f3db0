"""
What is kept can go: into a bin, out of it again, or for good. Stars and tags find images again.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from imagesession import Budget
from imagesession.errors import (
    BudgetExceededError,
    InvalidImageError,
    InvalidRequestError,
    KeyReusedError,
    NotFoundError,
    StorageIOError,
)
from imagesession.testing import (
    ConnectionReset,
    FakeOpenAI,
    FakeRequest,
    FakeResponse,
    Fault,
    serve,
    tiny_image,
)
from tests.clock import HoldingProvider
from tests.conftest import MakeStudio

PROMPTS = ("a heron of quicksilver", "the zebra shall yodel", "umbrellas of basalt")


def files_with(root: Path, *words: str) -> list[str]:
    """
    Name the files below a folder that contain one of some words.
    """
    return [
        str(path.relative_to(root))
        for path in sorted(root.rglob("*"))
        if path.is_file() and any(word.encode() in path.read_bytes() for word in words)
    ]


def draw(studio: Any, **options: Any) -> tuple[Any, list[Any]]:
    """
    Make a session of three turns.
    """
    session = studio.session("Herons for a bank", name="Herons", **options)
    return session, [session.generate(prompt) for prompt in PROMPTS]


def ids(images: Any) -> list[str]:
    """
    Return the ids of images.
    """
    return [image.id for image in images]


def healthy(studio: Any) -> bool:
    """
    Tell whether the doctor finds nothing, not even a warning.
    """
    return all(check.state == "ok" for check in studio.doctor(verify=True).checks)


# --- stars and tags ---------------------------------------------------------------------------


def test_images_are_found_by_stars_and_tags(studio: Any) -> None:
    """
    Images with a star, or with all of some tags in whatever case, are listed by them, in sessions
    and alone; each image tells its own.
    """
    _, images = draw(studio)
    alone = studio.generate("a fox")
    images[0].star()
    alone.star()
    images[0].tag("Bank", "grey")
    images[1].tag("GREY", "bank", "bank")
    alone.tag("größe")
    assert ids(studio.images.list(starred=True)) == [alone.id, images[0].id]
    assert ids(studio.images.list(starred=False)) == [images[2].id, images[1].id]
    assert ids(studio.images.list(tags=["bank", "Grey"])) == ids((images[1], images[0]))
    assert ids(studio.images.list(tags=["GRÖSSE"], starred=True)) == [alone.id]
    assert ids(studio.images.list(tags=["ban"])) == []
    assert (images[0].starred, images[0].tags) == (True, ("Bank", "grey"))
    assert (images[2].starred, images[2].tags) == (False, ())
    images[0].unstar()
    images[0].untag("BANK", "never there")
    assert (images[0].starred, images[0].tags) == (False, ("grey",))
    assert ids(studio.images.list(starred=True)) == [alone.id]


@pytest.mark.parametrize("tag", ["", "  ", "two\nlines", "x" * 81, 7, None])
def test_tag_that_is_no_line_of_text_is_refused(studio: Any, tag: Any) -> None:
    """
    A tag is a short line of text; anything else is refused, and no tag is added.
    """
    image = studio.generate("a fox")
    with pytest.raises(InvalidRequestError, match="tag"):
        image.tag("fine", tag)
    assert image.tags == ()


def test_too_many_tags_are_refused(studio: Any) -> None:
    """
    An image has a hundred tags at most.
    """
    image = studio.generate("a fox")
    image.tag(*map(str, range(100)))
    with pytest.raises(InvalidRequestError, match="at most 100"):
        image.tag("one more")
    assert len(image.tags) == 100


def test_stars_and_tags_survive_a_new_index_and_other_programs(
    make_studio: MakeStudio, tmp_path: Path
) -> None:
    """
    Stars, tags and the bin are in the records: another program sees them, and so does a new index.
    """
    studio, other = (make_studio(tmp_path / "library") for _ in range(2))
    _, images = draw(studio)
    other.images.list()
    images[0].star()
    images[1].tag("grey")
    images[2].delete()
    for _ in range(2):
        assert ids(other.images.list(starred=True)) == [images[0].id]
        assert ids(other.images.list(tags=["grey"])) == [images[1].id]
        assert ids(other.images.list(deleted=True)) == [images[2].id]
        assert ids(other.images.list()) == [images[1].id, images[0].id]
        (tmp_path / "library" / ".imagesession" / "index.sqlite").unlink()


def test_deleted_turn_is_no_context_any_more(studio: Any, provider: FakeOpenAI) -> None:
    """
    If the provider's state has a deleted turn, the history is sent anew without it, once.
    """
    session, images = draw(studio)
    images[1].delete()
    turns = [session.generate(prompt).turn for prompt in ("at night", "in the rain")]
    assert [turn.context for turn in turns] == ["rebuilt", "continued"]
    anew, then = (call.body for call in provider.requests[-2:])
    assert "previous_response_id" not in anew
    assert repr(PROMPTS[0]) in str(anew)
    assert repr(PROMPTS[1]) not in str(anew)
    assert then["previous_response_id"] == turns[0].response_id


# --- the bin ----------------------------------------------------------------------------------


def test_deleted_image_is_nowhere_but_in_the_bin(studio: Any) -> None:
    """
    A deleted image is in no list, session, tree or folder, with its words; the bin has it until it
    is restored as it was.
    """
    session, images = draw(studio)
    before = [file for file in studio.library.glob("*/*") if file.is_file()]
    data, tree = images[1].bytes, str(session.tree())
    images[1].delete()
    assert ids(session.images()) == [images[0].id, images[2].id]
    assert ids(studio.images.list()) == [images[2].id, images[0].id]
    assert PROMPTS[1] not in str(session.tree())
    assert len([file for file in studio.library.glob("*/*") if file.is_file()]) == len(before) - 2
    assert ids(studio.images.list(deleted=True)) == [images[1].id]
    assert studio.images.list(deleted=True)[0].bytes == data
    with pytest.raises(NotFoundError, match="in the bin"):
        studio.images.get(images[1].id)
    assert healthy(studio)
    studio.images.restore(images[1])
    assert str(session.tree()) == tree
    assert [file for file in studio.library.glob("*/*") if file.is_file()] == before
    assert studio.images.get(images[1].id).bytes == data
    assert studio.images.list(deleted=True) == ()
    assert healthy(studio)


def test_session_goes_on_from_the_turn_before_a_deleted_head(studio: Any) -> None:
    """
    The next turn continues the nearest turn that is left; without any, the session begins anew.
    """
    session, images = draw(studio)
    session.undo()
    branch_end = session.generate("a lighthouse")
    branch_end.delete()
    assert session.head().id == images[1].id
    assert session.generate("a pier").parent == images[1].turn.id
    session.delete(*session.images())
    assert session.head() is None
    assert session.generate("a buoy").parent is None


def test_children_of_a_deleted_turn_keep_it_as_parent(studio: Any, provider: FakeOpenAI) -> None:
    """
    A deleted turn keeps its place, so the tree is whole, and the words are not sent any more.
    """
    session, images = draw(studio, provider_state="none")
    images[1].delete()
    last = session.generate("at night")
    assert [turn.parent for turn in session.turns()[1:]] == [turn.id for turn in session.turns()][
        :3
    ]
    assert repr(PROMPTS[1]) not in str(provider.requests[-1].body)
    assert repr(PROMPTS[0]) in str(provider.requests[-1].body)
    assert last.turn.depth == 4
    with pytest.raises(InvalidRequestError, match="was deleted"):
        session.checkout(images[1].turn)


def test_turn_is_deleted_with_its_last_image(studio: Any, provider: FakeOpenAI) -> None:
    """
    Images of one turn go one by one, and its words with the last of them; a turn goes as a whole.
    """
    provider.images_per_reply = 3
    session = studio.session("x")
    turn = session.generate("three foxes").turn
    for left in (2, 1):
        session.images()[0].delete()
        assert [(item.prompt, len(item.images)) for item in session.turns()] == [
            ("three foxes", left)
        ]
    session.images()[0].delete()
    assert [(item.prompt, item.images) for item in session.turns()] == [("", ())]
    assert studio.costs().total.images == 3
    studio.images.restore(turn)
    assert session.turns() == (turn,)
    session.delete(turn.id)
    assert session.images() == ()
    assert len(studio.images.list(deleted=True)) == 3
    studio.images.restore(turn)
    studio.images.erase(turn.images[1].id)
    assert ids(session.images()) == [turn.images[0].id, turn.images[2].id]
    assert session.turns()[0].response_id is None
    assert session.images()[0].metadata == json.loads(
        session.images()[0].path.with_suffix(".json").read_text("utf-8")
    )
    assert session.generate("a hat").turn.context == "rebuilt"
    assert studio.costs().total.images == 6
    assert healthy(studio)


def test_deleted_session_is_in_no_list_until_it_is_restored(studio: Any) -> None:
    """
    A deleted session takes its images along, cannot be opened, and comes back with everything,
    without what was deleted before.
    """
    session, images = draw(studio)
    images[0].delete()
    session.delete()
    assert studio.sessions.list() == studio.images.list() == ()
    assert [item.id for item in studio.sessions.list(deleted=True)] == [session.id]
    assert studio.stats().total_sessions == studio.stats().active_sessions == 0
    for wanted in (session.id, "Herons"):
        with pytest.raises(NotFoundError):
            studio.open(wanted)
    with pytest.raises(NotFoundError, match="in the bin"):
        session.generate("more")
    assert healthy(studio)
    studio.sessions.restore("Herons")
    assert ids(studio.open("Herons").images()) == ids(images[1:])
    assert ids(studio.images.list(deleted=True)) == [images[0].id]


def test_restored_session_may_have_a_name_that_was_given_again(studio: Any) -> None:
    """
    Two sessions may have one name; after a restore, the latest is opened by it and both by id.
    """
    session, _ = draw(studio)
    session.delete()
    again = studio.session("x", name="Herons")
    studio.sessions.restore(session)
    assert studio.open(session.id).name == studio.open(again.id).name == "Herons"


def test_file_in_the_place_of_a_restored_image_is_kept(studio: Any) -> None:
    """
    If another file has the name, nothing is restored, and the error names it.
    """
    images = draw(studio)[1]
    path = images[1].path
    images[0].delete()
    images[1].delete()
    path.write_bytes(b"mine")
    with pytest.raises(StorageIOError, match=path.name):
        studio.images.restore(images[0], images[1])
    assert path.read_bytes() == b"mine"
    assert ids(studio.images.list(deleted=True)) == ids((images[1], images[0]))
    assert images[0].path.parent != path.parent
    path.unlink()
    studio.images.restore(images[0], images[1])
    assert len(studio.images.list()) == 3


@pytest.mark.parametrize(
    "verb, kind",
    [("delete", "deleted"), ("restore", "present"), ("restore", "erased"), ("erase", "erased")],
)
def test_removal_that_changes_nothing_is_an_error(studio: Any, verb: str, kind: str) -> None:
    """
    To delete what is in the bin, to restore what is not, and to erase twice is a short error.
    """
    session, (image, *_) = draw(studio)
    if kind == "erased":
        studio.images.erase(image)
        studio.sessions.erase(studio.session("x", name="empty"))
    elif kind == "deleted":
        image.delete()
    for resource, target in ((studio.images, image), (studio.images, image.turn)):
        with pytest.raises(InvalidRequestError) as raised:
            getattr(resource, verb)(target)
        assert len(str(raised.value)) < 300
    if kind == "deleted":
        session.delete()
        with pytest.raises(NotFoundError, match="in the bin"):
            session.delete()
    for wrong in ("01M8N7WWSQNTKYMH0C24WE5DJ6", "nothing", ""):
        with pytest.raises(InvalidRequestError):
            getattr(studio.images, verb)(wrong)


def test_image_that_others_refer_to_can_be_erased(studio: Any) -> None:
    """
    A turn that had the image as a reference stays, and can be continued; a session that was begun
    from it keeps its own copy.
    """
    original = studio.generate("a fox")
    session = studio.session("x")
    edited = session.edit("a hat", image=original)
    promoted = studio.promote(original)
    studio.images.erase(original)
    assert edited.bytes
    assert session.generate("a red hat").parent == edited.turn.id
    assert promoted.head().bytes
    assert promoted.generate("a scarf").bytes
    assert healthy(studio)
    studio.sessions.erase(promoted)
    assert files_with(studio.library, "a scarf") == []
    assert ids(studio.images.list()) == ids(session.images()[::-1])


def test_key_of_a_deleted_image_is_not_sent_again(studio: Any, provider: FakeOpenAI) -> None:
    """
    The idempotency key of an image in the bin makes no second one; that of an erased one does.
    """
    image = studio.generate("a fox", idempotency_key="job 7")
    image.delete()
    sent = len(provider.requests)
    with pytest.raises(KeyReusedError, match="in the bin"):
        studio.generate("a fox", idempotency_key="job 7")
    assert len(provider.requests) == sent
    studio.images.restore(image)
    assert studio.generate("a fox", idempotency_key="job 7").id == image.id
    studio.images.erase(image)
    assert studio.generate("a fox", idempotency_key="job 7").id != image.id


# --- erasing ----------------------------------------------------------------------------------


def test_erased_session_leaves_no_word(studio: Any) -> None:
    """
    No file of the library has a word of what was erased, not even the index; the cost stays.
    """
    session, images = draw(studio)
    images[0].tag("zanzibar")
    studio.images.list()
    costs = studio.costs()
    report = studio.sessions.erase(session)
    assert report.erased == (session.id,)
    assert files_with(studio.library, *PROMPTS, "Herons", "zanzibar") == []
    assert list(studio.library.rglob("session_*")) == []
    assert studio.sessions.list(deleted=True) == studio.images.list(deleted=True) == ()
    assert studio.costs() == costs
    assert costs.total.images == len(images)
    with pytest.raises(NotFoundError, match="was erased"):
        studio.open(session.id)
    assert healthy(studio)


def test_erased_turn_leaves_its_place_and_cost(studio: Any) -> None:
    """
    An erased turn is a turn without words in the tree; its session goes on, and costs as much.
    """
    session, images = draw(studio)
    cost, costs = session.cost().total, studio.costs(group_by="session")
    studio.images.erase(images[1])
    (middle,) = (turn for turn in session.turns() if turn.deleted)
    assert (middle.id, middle.prompt, middle.images) == (images[1].turn.id, "", ())
    record = next(studio.library.rglob(f"{middle.id}.json"))
    assert PROMPTS[1] not in record.read_text("utf-8")
    assert session.cost().total == cost
    assert studio.costs(group_by="session") == costs
    assert ids(session.images()) == [images[0].id, images[2].id]
    assert session.generate("at night").parent == images[2].turn.id
    assert healthy(studio)


def test_budget_counts_what_was_erased(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Erasing gives no money back.
    """
    studio = make_studio(tmp_path / "library")
    image = studio.generate("a fox")
    spent = studio.costs().total.dollars
    thrifty = make_studio(tmp_path / "library", budget=Budget(per_day=1.5 * spent))
    for remove in (image.delete, studio.empty_bin):
        remove()
        with pytest.raises(BudgetExceededError):
            thrifty.generate("a fox")
    assert studio.costs().total.dollars == spent


def test_bin_is_emptied_by_age(studio: Any) -> None:
    """
    Emptying the bin erases what is in it, or only what has been there for long.
    """
    session, images = draw(studio)
    alone = studio.generate("a fox")
    images[0].delete()
    alone.delete()
    assert studio.empty_bin(older_than=dt.timedelta(days=1)).erased == ()
    assert len(studio.images.list(deleted=True)) == 2
    assert set(studio.empty_bin().erased) == {images[0].id, alone.id}
    assert studio.images.list(deleted=True) == ()
    assert ids(session.images()) == ids(images[1:])
    for wrong in (30, "30 days"):
        with pytest.raises(InvalidRequestError, match="timedelta"):
            studio.empty_bin(older_than=wrong)


def test_other_program_does_not_send_erased_words(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    A program that had read a turn before another one erased it forgets its words too.
    """
    studio, other = (make_studio(tmp_path / "library", provider=provider) for _ in range(2))
    session, images = draw(studio, provider_state="none")
    elsewhere = other.open(session.id)
    assert len(elsewhere.images()) == 3
    studio.images.erase(images[1])
    elsewhere.generate("at night")
    assert repr(PROMPTS[1]) not in str(provider.requests[-1].body)
    assert PROMPTS[1] not in str(elsewhere.tree())


# --- bad places and times ---------------------------------------------------------------------


def test_session_with_a_request_under_way_is_not_deleted(
    make_studio: MakeStudio, tmp_path: Path
) -> None:
    """
    While a program draws in a session, the session cannot be deleted or erased; an image of it can.
    """
    provider = HoldingProvider()
    studio, other = (make_studio(tmp_path / "library", provider=provider) for _ in range(2))
    session, images = draw(studio)
    sent = provider.posts
    provider.hold()
    drawing = threading.Thread(target=session.generate, args=("at night",))
    drawing.start()
    while provider.posts == sent:
        time.sleep(0.01)
    for call in (other.sessions.delete, other.sessions.erase):
        with pytest.raises(InvalidRequestError, match="under way"):
            call(session.id)
    other.images.delete(images[2].id)
    provider.finish()
    drawing.join()
    assert session.images()[-1].parent == images[2].turn.id
    assert len(session.images()) == 3
    other.sessions.delete(session.id)
    assert healthy(other)


@pytest.mark.skipif(
    sys.platform == "win32" or (hasattr(os, "geteuid") and os.geteuid() == 0),
    reason="everything can be written",
)
def test_read_only_library_keeps_everything(studio: Any) -> None:
    """
    In a library that cannot be written, removals are errors, and nothing is half done.
    """
    session, images = draw(studio)
    folders = [path for path in studio.library.rglob("*") if path.is_dir()]
    for folder in folders:
        folder.chmod(0o500)
    try:
        for call in (images[0].delete, session.delete, lambda: studio.images.erase(images[0])):
            with pytest.raises(StorageIOError):
                call()
        assert len(session.images()) == 3
    finally:
        for folder in folders:
            folder.chmod(0o700)
    assert healthy(studio)


# --- the provider's copies --------------------------------------------------------------------


def read(provider: FakeOpenAI, path: str, **query: str) -> str:
    """
    Return what the provider has under a path.
    """
    answer = provider.handle(
        FakeRequest(method="GET", path=path, query=query, headers={"authorization": "Bearer x"})
    )
    parts = [part for part in answer.parts if isinstance(part, bytes)]
    return b"".join(parts).decode()


def deleted_at_provider(provider: FakeOpenAI) -> list[str]:
    """
    Return the paths that were deleted.
    """
    return [call.path for call in provider.requests if call.method == "DELETE"]


@pytest.mark.parametrize("verb", ["responses", "sessions", "bin"])
def test_responses_and_files_are_erased_at_the_provider(
    studio: Any, provider: FakeOpenAI, tmp_path: Path, verb: str
) -> None:
    """
    The response of an erased turn and the files that were uploaded for it are deleted there; what
    other turns use is not.
    """
    photo, shared = tmp_path / "photo.png", tmp_path / "shared.png"
    photo.write_bytes(tiny_image(colour=(250, 0, 0)))
    shared.write_bytes(tiny_image(colour=(0, 0, 250)))
    session = studio.session("x")
    first = session.generate("a fox", references=[photo, shared])
    second = session.generate("a hat", references=[shared])
    sent = session.turns()[0].references
    if verb == "responses":
        report = studio.images.erase(first)
    elif verb == "sessions":
        report = studio.sessions.erase(session)
    else:
        first.delete()
        assert deleted_at_provider(provider) == []
        report = studio.empty_bin()
    assert report.remaining == {}
    paths = deleted_at_provider(provider)
    assert f"/responses/{first.turn.response_id}" in paths
    files = [path for path in paths if path.startswith("/files/")]
    assert len(files) == (2 if verb == "sessions" else 1), sent
    assert (f"/responses/{second.turn.response_id}" in paths) == (verb == "sessions")
    assert len(paths) == len(set(paths))
    assert list((studio.library / ".imagesession" / "removals").iterdir()) == []
    if verb != "sessions":
        assert session.generate("blue").parent == second.turn.id


def test_items_of_a_conversation_are_erased(studio: Any, provider: FakeOpenAI) -> None:
    """
    Of a turn in a conversation, prompt and answer are deleted; with its last turn, the conversation
    is deleted too.
    """
    session, images = draw(studio, provider_state="conversation")
    conversation = images[0].turn.conversation
    assert images[2].turn.conversation == conversation
    studio.images.erase(images[2])
    items = read(provider, f"/conversations/{conversation}/items", limit="100")
    assert [prompt for prompt in PROMPTS if f'"{prompt}"' in items] == list(PROMPTS[:2])
    assert images[2].turn.item_ids
    assert not any(item in items for item in images[2].turn.item_ids)
    assert f"/conversations/{conversation}" not in deleted_at_provider(provider)
    studio.sessions.erase(session)
    assert f"/conversations/{conversation}" in deleted_at_provider(provider)
    assert len(deleted_at_provider(provider)) == len(set(deleted_at_provider(provider)))


@pytest.mark.parametrize("status", [401, 403, 429, 500, 0])
def test_what_the_provider_keeps_is_tried_again(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI, status: int
) -> None:
    """
    If the provider is down, the library is erased all the same; what remains there is reported, the
    doctor tells, and another program's recovery erases it.
    """
    studio = make_studio(tmp_path / "library", provider=provider)
    image = studio.generate("a fox")
    if status:
        provider.fail_next(status=status, method="DELETE")
    else:
        lost = FakeResponse(headers={}, parts=iter([ConnectionReset()]))
        provider.enqueue_fault(Fault(method="DELETE", response=lambda _: lost))
    report = studio.images.erase(image)
    copy = f"response {image.turn.response_id}"
    assert list(report.remaining) == [copy]
    assert copy in str(report)
    assert files_with(studio.library, "a fox") == []
    check = studio.doctor().check("erasures")
    assert (check.state, copy in check.message) == ("warning", True)
    other = make_studio(tmp_path / "library", provider=provider)
    other.recover()
    assert f"/responses/{image.turn.response_id}" in deleted_at_provider(provider)
    assert healthy(studio)


def test_copy_at_another_provider_remains_there(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Ids are sent to the provider that gave them, and to no other one.
    """
    elsewhere = FakeOpenAI()
    with serve(elsewhere) as there:
        first = make_studio(tmp_path / "library", online=True, api_key="x", base_url=there.base_url)
        image = first.generate("a fox")
        provider = FakeOpenAI()
        second = make_studio(tmp_path / "library", provider=provider)
        report = second.images.erase(image.id)
        assert "not at" in next(iter(report.remaining.values()))
        assert deleted_at_provider(provider) == []
        first.recover()
        assert len(deleted_at_provider(elsewhere)) == 1


def test_batch_goes_with_its_images_and_files(studio: Any, provider: FakeOpenAI) -> None:
    """
    A batch is deleted, restored and erased with its images, and its files at the provider.
    """
    batch = studio.batches.create({"a": "a fox", "b": "a hat"}, name="two")
    with pytest.raises(InvalidRequestError, match="not settled"):
        studio.batches.delete(batch)
    batch.wait()
    images = studio.images.list()
    assert len(images) == 2
    assert studio.batches.list(deleted=True) == ()
    studio.batches.delete("two")
    assert studio.batches.list() == studio.images.list() == ()
    assert ids(studio.batches.list(deleted=True)) == [batch.id]
    with pytest.raises(NotFoundError, match="in the bin"):
        studio.batches.get(batch.id)
    studio.batches.restore(batch)
    assert studio.batches.get("two").id == batch.id
    assert studio.images.list() == images
    report = studio.batches.erase(batch)
    assert report.remaining == {}
    assert {batch.id, *ids(images)} == set(report.erased)
    assert len([path for path in deleted_at_provider(provider) if "/files/" in path]) == 2
    assert files_with(studio.library, "a fox", "a hat", "two") == []
    assert healthy(studio)


# --- files that a person moved or removed -----------------------------------------------------


def test_renamed_file_is_recognised(studio: Any) -> None:
    """
    A file that was renamed or moved in a file manager is recognised by its bytes: errors and doctor
    name it, and a repair records its new name, for good.
    """
    images = draw(studio)[1]
    twin = images[0].save(studio.library / "general" / "copy.png")
    data = images[1].bytes
    new = studio.library / "Tea, the best one.png"
    images[1].path.rename(new)
    with pytest.raises(InvalidImageError, match=r"is now .*Tea, the best one\.png"):
        _ = images[1].bytes
    check = studio.doctor().check("images")
    assert (check.state, "backup" in str(check)) == ("warning", False)
    assert new.name in check.message
    repaired = studio.doctor(repair=True)
    assert images[1].id in repaired.check("repair").message
    assert healthy(studio)
    assert studio.images.get(images[1].id).path == new
    assert studio.images.get(images[1].id).bytes == data
    (studio.library / ".imagesession" / "index.sqlite").unlink()
    assert studio.images.get(images[1].id).path == new
    assert twin.exists()


def test_removed_file_is_offered_for_deletion(studio: Any) -> None:
    """
    A file that was removed in a file manager is a problem until it is put back, or its image is
    deleted; then the library is sound.
    """
    session, images = draw(studio)
    images[1].path.unlink()
    with pytest.raises(InvalidImageError, match=r"studio.images.delete\('"):
        _ = images[1].bytes
    check = studio.doctor().check("images")
    assert check.state == "problem"
    assert f"studio.images.delete({images[1].id!r})" in check.remedy
    studio.images.delete(images[1].id)
    assert healthy(studio)
    studio.empty_bin()
    assert healthy(studio)
    assert ids(session.images()) == [images[0].id, images[2].id]


def test_stars_and_tags_go_along_with_an_export(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    An exported session has its stars and tags in another library, and nothing of what was deleted.
    """
    studio, other = make_studio(tmp_path / "a"), make_studio(tmp_path / "b")
    session, images = draw(studio)
    images[0].star()
    images[0].tag("Grey", "bank")
    images[2].tag("lost")
    images[2].delete()
    path = session.export(tmp_path / "herons.zip")
    folder = session.export(tmp_path / "herons")
    assert files_with(folder, PROMPTS[2], "lost") == []
    imported = other.sessions.import_archive(path)
    assert ids(imported.images()) == ids(images[:2])
    assert ids(other.images.list(starred=True)) == [images[0].id]
    assert other.images.get(images[0].id).tags == ("bank", "Grey")
    assert imported.head().id == images[1].id
    assert healthy(other)
    other.sessions.erase(imported)
    with pytest.raises(NotFoundError, match="erased"):
        other.sessions.import_archive(path)
