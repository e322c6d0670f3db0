"""
Where pictures lie, what lies beside them, and how they are found again. Every test runs over the
sync and the async twin.
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from imagesession import ImageRequest
from imagesession._store import image_files as files
from imagesession._store.index import INDEX_VERSION
from imagesession.errors import InvalidRequestError, NotFoundError
from imagesession.testing import FakeOpenAI, tiny_image, tiny_mask
from tests.clock import ago
from tests.conftest import MakeStudio

DAY = dt.timedelta(days=1)
# One provider for the pictures that many tests look at: it paints each of them once.
PAINTED_ONCE = FakeOpenAI()
# What older tools write beside their pictures, and so what their users' programs read.
OLDER = {
    "timestamp",
    "image_path",
    "session_id",
    "session_name",
    "generation_call_id",
    "original_prompt",
    "revised_prompt",
    "model",
    "generation_params",
    "created_at",
    "conversation_length",
}
OURS = {
    "format_version",
    "image_id",
    "turn_id",
    "position",
    "kind",
    "branch",
    "parents",
    "references",
    "masked",
    "source",
    "origin",
    "parameters",
    "width",
    "height",
    "format",
    "bytes",
    "sha256",
    "usage",
    "cost",
    "response_id",
    "provider",
    "context",
    "text",
    "library_version",
}


def beside(image: Any) -> dict[str, Any]:
    """
    Read what lies beside a picture.
    """
    facts: dict[str, Any] = json.loads(image.path.with_suffix(".json").read_text("utf-8"))
    return facts


def names(images: Any) -> list[str]:
    """
    Return what pictures were asked to be, in order.
    """
    return [image.prompt for image in images]


# --- folders -------------------------------------------------------------------------------------


def test_assets_lie_by_their_type(studio: Any) -> None:
    """
    Each type of asset has its folder.
    """
    folders = {
        "icon": "icons",
        "illustration": "illustrations",
        "background": "backgrounds",
        "hero": "heroes",
        "button": "buttons",
    }
    for asset_type, folder in folders.items():
        image = studio.ui_asset(asset_type, "a cart", size_preset="small")
        assert image.path.parent == studio.library / "ui_assets" / folder
        assert image.turn.label == asset_type


def test_sessions_share_the_folders(studio: Any) -> None:
    """
    What a session makes lies in the same folders, by its purpose.
    """
    session = studio.session("An app")
    made = (
        session.generate("a cart"),
        session.edit("bluer"),
        session.ui_asset("icon", "a cart"),
        session.product("a cart"),
        session.variations("a cart", n=1)[0],
    )
    folders = ["general", "edited_images", "ui_assets", "products", "variations"]
    assert [item.path.relative_to(studio.library).parts[0] for item in made] == folders


def test_products_lie_by_their_name(studio: Any) -> None:
    """
    All pictures of a product lie in its folder, and of two products that are called alike in
    another case the folders are told apart by the name alone.
    """
    first = studio.product("Blue mug")
    takes = studio.product("Blue mug", n=2)
    job = studio.map([ImageRequest("Blue mug", preset="product")])[0]
    folder = studio.library / "products" / "Blue_mug"
    assert {item.path.parent for item in (first, *takes, job)} == {folder}
    assert len(list(folder.glob("*.png"))) == len(list(folder.glob("*.json"))) == 4
    assert studio.product("青い花瓶").path.parent.name == "青い花瓶"


def test_a_file_is_named_by_session_and_time(studio: Any, provider: FakeOpenAI) -> None:
    """
    The name tells session, second and number, so that a folder sorts by them; one-shots are told
    apart.
    """
    provider.pictures_per_reply = 2
    session = studio.session("Teapots")
    image = session.generate("a teapot")
    stamp = f"{image.turn.finished:%Y%m%dT%H%M%SZ}"
    owner = session.id[-8:].lower()
    stored = [studio.images.get(item.id).path.name for item in image.turn.images]
    assert stored == [f"session_{owner}_{stamp}_{number:02}.png" for number in (1, 2)]
    item, two = studio.generate("a cup"), studio.generate("a cup")
    assert item.path != two.path


def test_all_files_of_a_turn_bear_one_second(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    However far apart the pictures of a turn come, their files are named by one moment, which is
    when the first of them came; the turn's record names it too.
    """
    moments: list[dt.datetime] = []
    put = files.store_image

    def noting(layout: Any, turn: Any, now: dt.datetime, *args: Any, **settings: Any) -> Any:
        moments.append(now)
        return put(layout, turn, now, *args, **settings)

    monkeypatch.setattr(files, "store_image", noting)
    provider.pictures_per_reply = 3
    turn = studio.generate("a teapot").turn
    assert moments == [turn.finished] * 3


# --- what lies beside ----------------------------------------------------------------------------


def test_a_sidecar_has_the_older_words_and_ours(studio: Any) -> None:
    """
    What older tools wrote is there under their words, never empty where it is known, and what they
    left out is there too; it is the same as the picture's own metadata.
    """
    session = studio.session("Teapots", name="Tea")
    session.generate("a teapot")
    photo = tiny_image()
    image = session.generate("like this", references=photo, quality="high", size="1024x1024")
    facts = beside(image)
    assert set(facts) == OLDER | OURS
    assert facts == json.loads(json.dumps(image.metadata))
    assert (facts["session_id"], facts["session_name"]) == (session.id, "Tea")
    assert (facts["original_prompt"], facts["conversation_length"]) == ("like this", 2)
    assert studio.library / facts["image_path"] == image.path
    assert facts["generation_call_id"].startswith("ig_")
    assert facts["revised_prompt"] == image.revised_prompt
    assert facts["model"] == image.model
    params = {"quality": "high", "size": "1024x1024", "background": "auto"}
    assert facts["generation_params"] == params
    assert (facts["width"], facts["height"]) == image.size
    assert facts["bytes"] == image.path.stat().st_size
    assert facts["sha256"] == image.sha256
    assert facts["parents"] == list(image.parents)
    assert len(facts["references"]) == 1
    assert facts["usage"]["image"]["output_tokens"] > 0
    assert facts["cost"]["image"] > 0
    assert dt.datetime.fromisoformat(facts["created_at"]) == image.turn.started


def test_every_picture_has_its_sidecar(studio: Any) -> None:
    """
    Whatever made a picture, what lies beside it is its metadata, and names its kind.
    """
    kept = studio.generate("a teapot")
    made = {
        "general": kept,
        "edit": studio.edit("bluer", image=kept),
        "product": studio.product("a mug", angle="top"),
        "ui_asset": studio.ui_asset("icon", "a cart"),
        "variation": studio.variations("a teapot", n=1)[0],
        "batch": studio.map(["a teapot"])[0],
        "improvement": studio.improve("more contrast", image=kept).image,
        "import": studio.images.import_file(tiny_image(), prompt="a tile"),
    }
    for kind, image in made.items():
        assert beside(image) == json.loads(json.dumps(image.metadata))
        assert set(beside(image)) == OLDER | OURS
        assert beside(image)["kind"] == image.kind == kind
        assert beside(image)["original_prompt"] == image.prompt != ""
    assert beside(made["product"])["parameters"]["angle"] == "top"


def test_all_of_a_reply_have_their_own_sidecar(studio: Any, provider: FakeOpenAI) -> None:
    """
    Pictures of one reply are described each by itself, the untouched and the composed one too.
    """
    provider.pictures_per_reply = 2
    kept = studio.generate("two teapots")
    mask = tiny_mask(kept.size, (0, 0, 300, 300))
    edited = studio.edit("a red heart", image=kept, mask=mask, preserve_unmasked=True)
    for image in (kept, edited):
        found = [studio.images.get(item.id) for item in image.turn.images]
        facts = [beside(item) for item in found]
        assert [item["position"] for item in facts] == list(range(len(found)))
        assert [item["image_id"] for item in facts] == [item.id for item in found]
        assert [item["sha256"] for item in facts] == [item.sha256 for item in found]
    assert [item.source for item in edited.turn.images][-1] == "composite"


def test_a_lost_sidecar_changes_nothing(studio: Any) -> None:
    """
    What lies beside a picture is a copy: without it, or with another's in its place, the picture
    is found and known as before.
    """
    image = studio.generate("a teapot")
    expected = image.metadata
    for damage in (None, "{", '{"original_prompt": "something else"}'):
        path = image.path.with_suffix(".json")
        path.unlink()
        if damage is not None:
            path.write_text(damage)
        assert studio.images.get(image.id).metadata == expected
        assert names(studio.images.list(text="teapot")) == ["a teapot"]
        path.touch()


# --- found again ---------------------------------------------------------------------------------


@pytest.fixture
def shelf(make_studio: MakeStudio, tmp_path: Path) -> Any:
    """
    A studio on a library of six pictures: three days, two sessions, several kinds and scripts.
    """
    studio = make_studio(tmp_path / "library", provider=PAINTED_ONCE)
    with ago(2 * DAY, studio.library):
        tea = make_studio(studio.library, provider=PAINTED_ONCE).session("Tea", name="Tea")
        tea.generate("a TEAPOT made of Straße cobbles")
        tea.edit("Ein Café, rot")
    with ago(DAY, studio.library):
        past = make_studio(studio.library, provider=PAINTED_ONCE)
        past.product("Чайник №5")
        past.session("Mugs").generate("a mug with 50% off")
    studio.map(["a teapot in the rain"])
    studio.ui_asset("icon", "a cup")
    return studio


ALL = [
    "a cup",
    "a teapot in the rain",
    "a mug with 50% off",
    "Чайник №5",
    "Ein Café, rot",
    "a TEAPOT made of Straße cobbles",
]


def seen(studio: Any, **wanted: Any) -> list[str]:
    """
    Return which of the pictures are found, by the words that tell them apart.
    """
    prompts = names(studio.images.list(**wanted))
    return [next(words for words in ALL if words in prompt) for prompt in prompts]


def test_all_are_listed_the_newest_first(shelf: Any) -> None:
    """
    Without a wish all are given, whatever made them.
    """
    assert seen(shelf) == ALL


def test_pictures_are_found_by_words(shelf: Any) -> None:
    """
    Words are found in prompts, in what the model made of them, and in names, whatever their case
    and script; no sign is a pattern.
    """
    expected: dict[str, list[int]] = {
        "teapot in": [1],
        "TEAPOT": [1, 4, 5],
        "strasse": [4, 5],  # one of which is drawn over the other
        "sketch of a teapot and": [4],
        "CAFÉ": [4],
        "cafe\u0301": [4],
        "чайник": [3],
        "ЧАЙНИК №5": [3],
        "50%": [2],
        "%": [2],
        "a_mug": [],
        "nowhere": [],
        "": [0, 1, 2, 3, 4, 5],
        "icon": [0],
    }
    found = {text: seen(shelf, text=text) for text in expected}
    assert found == {text: [ALL[number] for number in expected[text]] for text in expected}


def test_pictures_are_found_by_session(shelf: Any) -> None:
    """
    A session is meant by itself, its id or its name; an unknown one is an error that names others.
    """
    tea = shelf.open("Tea")
    assert seen(shelf, session=tea) == seen(shelf, session=tea.id) == ALL[4:]
    assert seen(shelf, session="Tea") == ALL[4:]
    with pytest.raises(NotFoundError, match="no session") as caught:
        shelf.images.list(session="0" * 26)
    assert tea.id in caught.value.known


def test_pictures_are_found_by_kind(shelf: Any) -> None:
    """
    Each kind finds its own.
    """
    expected = {
        "general": [2, 5],
        "edit": [4],
        "product": [3],
        "ui_asset": [0],
        "batch": [1],
        "variation": [],
    }
    found = {kind: seen(shelf, kind=kind) for kind in expected}
    assert found == {kind: [ALL[number] for number in expected[kind]] for kind in expected}


def test_pictures_are_found_by_day(shelf: Any) -> None:
    """
    Days count whole, from and up to both included; times count to the instant.
    """
    today = dt.datetime.now(dt.UTC).date()
    assert seen(shelf, since=today) == ALL[:2]
    assert seen(shelf, until=today - DAY) == ALL[2:]
    assert seen(shelf, since=today - DAY, until=(today - DAY).isoformat()) == ALL[2:4]
    assert seen(shelf, since="0001-01-01", until="9999-12-31") == ALL
    newest = shelf.images.list(limit=1)[0]
    assert seen(shelf, since=newest.turn.started) == ALL[:1]
    assert seen(shelf, until=newest.turn.started) == ALL[1:]
    assert seen(shelf, since=today + DAY) == []


def test_wishes_go_together(shelf: Any) -> None:
    """
    What is wished for together must all hold, page by page.
    """
    yesterday = dt.datetime.now(dt.UTC).date() - DAY
    assert seen(shelf, text="teapot made", until=yesterday) == ALL[5:]
    assert seen(shelf, session=shelf.open("Tea"), kind="edit", text="café") == [ALL[4]]
    assert seen(shelf, session=shelf.open("Tea"), kind="product") == []
    pages: list[str] = []
    before = None
    while page := shelf.images.list(until=yesterday, limit=3, before=before):
        pages += names(page)
        before = page[-1]
    assert pages == names(shelf.images.list(until=yesterday))
    assert len(pages) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "photo"},
        {"since": "yesterday"},
        {"until": 7},
        {"text": 7},
        {"session": 7},
        {"limit": -1},
        {"limit": True},
    ],
)
def test_a_wish_that_makes_no_sense_is_told(studio: Any, wrong: dict[str, Any]) -> None:
    """
    What is not of its form is refused by its name.
    """
    with pytest.raises(InvalidRequestError, match=next(iter(wrong))):
        studio.images.list(**wrong)


@pytest.mark.parametrize("version", [0, 1, INDEX_VERSION - 1])
def test_an_older_index_is_made_anew(shelf: Any, make_studio: MakeStudio, version: int) -> None:
    """
    A library whose index an older version wrote is opened without a word: all is found, counted
    and searched as before.
    """
    spent = shelf.stats().spent
    index = shelf.library / ".imagesession" / "index.sqlite"
    with sqlite3.connect(index) as connection:
        connection.execute("DROP TABLE images")
        connection.execute("CREATE TABLE images (id TEXT PRIMARY KEY, turn TEXT, position INTEGER)")
        connection.execute("DELETE FROM turns")
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    again = make_studio(shelf.library)
    assert seen(again) == ALL
    assert seen(again, text="чайник") == [ALL[3]]
    assert again.stats().total_images == 6
    assert again.stats().spent == pytest.approx(spent)


def test_ids_that_are_not_there_are_told(shelf: Any) -> None:
    """
    An unknown picture is an error that names some that exist.
    """
    with pytest.raises(NotFoundError) as caught:
        shelf.images.get("0" * 26)
    assert caught.value.known[0] == shelf.images.list(limit=1)[0].id
