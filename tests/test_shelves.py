"""
Where images are saved, their metadata files, and how they are listed.

Every test runs over the sync and the async twin.
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from imagesession import ImageRequest
from imagesession._store.disk.blobs import DiskBlobs
from imagesession._store.disk.database import INDEX_VERSION
from imagesession.errors import InvalidRequestError, NotFoundError
from imagesession.testing import FakeOpenAI, tiny_image, tiny_mask
from tests.clock import ago
from tests.conftest import MakeStudio

DAY = dt.timedelta(days=1)
BAD_TEMPLATES = {
    "no text": "",
    "no string": 5,
    "unknown field": "{x}_{n}",
    "no field": "{}",
    "attribute": "{slug.__class__}",
    "conversion": "{slug!r}",
    "another folder": "../{slug}",
    "a folder": "{kind}/{slug}",
    "a folder of Windows": "{kind}\\{slug}",
    "a drive": "c:{slug}",
    "reserved": "con",
    "reserved with a suffix": "NUL.{n}",
    "hidden": ".{slug}",
    "trailing dot": "{slug}.",
    "unclosed": "{slug",
    "format of a text": "{slug:>900}",
    "format of a format": "{n:{slug}}",
    "spaces": "{n:9}",
    "too long": "x" * 250,
    "too long when filled": "{slug}{slug}{slug}",
    "half a character": "\ud800",
}
# One provider for the images of many tests, which draws each of them once.
PAINTED_ONCE = FakeOpenAI()
# The metadata fields of openai-image-mcp, which its users' programs read.
OLDER = {
    "timestamp",
    "image_path",
    "session_id",
    "session_name",
    "generation_call_id",
    "request_id",
    "original_prompt",
    "revised_prompt",
    "model",
    "generation_params",
    "created_at",
    "conversation_length",
}
OURS = {
    "format_version",
    *("status", "label", "failure", "parent", "item_ids", "provider_state", "conversation"),
    *("batch", "within", "idempotency_key", "reserved", "context_turns", "mask_coverage"),
    "request_id",
    "image_id",
    "turn_id",
    "position",
    "kind",
    "branch",
    "parents",
    "references",
    "received_sha256",
    "masked",
    "mask_coverage",
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
    "batch",
    "context_turns",
    "conversation",
    "failure",
    "idempotency_key",
    "item_ids",
    "label",
    "parent",
    "provider_state",
    "reserved",
    "status",
    "within",
}


def read_sidecar(image: Any) -> dict[str, Any]:
    """
    Read the JSON file beside an image.
    """
    facts: dict[str, Any] = json.loads(image.path.with_suffix(".json").read_text("utf-8"))
    return facts


def prompts_of(images: Any) -> list[str]:
    """
    Return the prompts of images, in order.
    """
    return [image.prompt for image in images]


# --- folders --------------------------------------------------------------------------------------


def test_assets_have_a_folder_for_each_type(studio: Any) -> None:
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


def test_sessions_use_the_same_folders(studio: Any) -> None:
    """
    A session's images are saved in the same folders, by purpose.
    """
    session = studio.session("An app")
    images = (
        session.generate("a cart"),
        session.edit("bluer"),
        session.ui_asset("icon", "a cart"),
        session.product("a cart"),
        session.variations("a cart", n=1)[0],
    )
    folders = ["general", "edited_images", "ui_assets", "products", "variations"]
    assert [image.path.relative_to(studio.library).parts[0] for image in images] == folders


def test_products_have_a_folder_for_each_name(studio: Any) -> None:
    """
    All images of a product are in its folder; two products whose names differ only in case are
    distinguished by the name alone.
    """
    first = studio.product("Blue mug")
    variations = studio.product("Blue mug", n=2)
    job = studio.map([ImageRequest("Blue mug", preset="product")])[0]
    folder = studio.library / "products" / "Blue_mug"
    assert {image.path.parent for image in (first, *variations, job)} == {folder}
    assert len(list(folder.glob("*.png"))) == len(list(folder.glob("*.json"))) == 4
    assert studio.product("青い花瓶").path.parent.name == "青い花瓶"


def test_file_is_named_by_session_and_time(studio: Any, provider: FakeOpenAI) -> None:
    """
    The name has the session, the second and a number, so that a folder is sorted by them;
    standalone images are distinguished.
    """
    provider.images_per_reply = 2
    session = studio.session("Teapots")
    image = session.generate("a teapot")
    stamp = f"{image.turn.finished:%Y%m%dT%H%M%SZ}"
    owner = session.id[-8:].lower()
    stored = [studio.images.get(record.id).path.name for record in image.turn.images]
    assert stored == [f"session_{owner}_{stamp}_{number:02}.png" for number in (1, 2)]
    first, second = studio.generate("a cup"), studio.generate("a cup")
    assert first.path != second.path


def test_files_of_a_turn_have_the_same_time(
    studio: Any, provider: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    All files of a turn are named by the time of its first image, however much later the others
    come; the turn's record has the same time.
    """
    moments: list[dt.datetime] = []
    put = DiskBlobs.put_new

    def noting(blobs: Any, turn: Any, now: dt.datetime, *args: Any) -> Any:
        moments.append(now)
        return put(blobs, turn, now, *args)

    monkeypatch.setattr(DiskBlobs, "put_new", noting)
    provider.images_per_reply = 3
    turn = studio.generate("a teapot").turn
    assert moments == [turn.finished] * 3


# --- sidecars -------------------------------------------------------------------------------------


def test_sidecar_has_old_and_new_fields(studio: Any) -> None:
    """
    The fields of openai-image-mcp are there under their names, filled if known, with those that it
    left out; the contents equal the image's metadata.
    """
    session = studio.session("Teapots", name="Tea")
    session.generate("a teapot")
    photo = tiny_image()
    image = session.generate("like this", references=photo, quality="high", size="1024x1024")
    facts = read_sidecar(image)
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


def test_every_image_has_its_sidecar(studio: Any) -> None:
    """
    Whatever made an image, the JSON file beside it has its metadata and its kind.
    """
    saved = studio.generate("a teapot")
    images = {
        "general": saved,
        "edit": studio.edit("bluer", image=saved),
        "product": studio.product("a mug", angle="top"),
        "ui_asset": studio.ui_asset("icon", "a cart"),
        "variation": studio.variations("a teapot", n=1)[0],
        "batch": studio.map(["a teapot"])[0],
        "improvement": studio.improve("more contrast", image=saved).image,
        "import": studio.images.import_file(tiny_image(), prompt="a tile"),
    }
    for kind, image in images.items():
        assert read_sidecar(image) == json.loads(json.dumps(image.metadata))
        assert set(read_sidecar(image)) == OLDER | OURS
        assert read_sidecar(image)["kind"] == image.kind == kind
        assert read_sidecar(image)["original_prompt"] == image.prompt != ""
    assert read_sidecar(images["product"])["parameters"]["angle"] == "top"


def test_each_image_of_a_response_has_its_sidecar(studio: Any, provider: FakeOpenAI) -> None:
    """
    Each image of a response has its own metadata, also the model's image and the composite.
    """
    provider.images_per_reply = 2
    saved = studio.generate("two teapots")
    mask = tiny_mask(saved.size, (0, 0, 300, 300))
    edited = studio.edit("a red heart", image=saved, mask=mask, preserve_unmasked=True)
    for image in (saved, edited):
        saved_images = [studio.images.get(record.id) for record in image.turn.images]
        facts = [read_sidecar(saved_image) for saved_image in saved_images]
        assert [sidecar["position"] for sidecar in facts] == list(range(len(saved_images)))
        assert [sidecar["image_id"] for sidecar in facts] == [item.id for item in saved_images]
        assert [sidecar["sha256"] for sidecar in facts] == [item.sha256 for item in saved_images]
    assert [record.source for record in edited.turn.images][-1] == "composite"


def test_missing_sidecar_changes_nothing(studio: Any) -> None:
    """
    The JSON file is a copy: without it, or with another image's file, the image is found and
    described as before.
    """
    image = studio.generate("a teapot")
    expected = image.metadata
    for damage in (None, "{", '{"original_prompt": "something else"}'):
        path = image.path.with_suffix(".json")
        path.unlink()
        if damage is not None:
            path.write_text(damage)
        assert studio.images.get(image.id).metadata == expected
        assert prompts_of(studio.images.list(text="teapot")) == ["a teapot"]
        path.touch()


# --- listing --------------------------------------------------------------------------------------


@pytest.fixture
def shelf(make_studio: MakeStudio, tmp_path: Path) -> Any:
    """
    A studio on a library of six images: three days, two sessions, several kinds and scripts.
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


def find(studio: Any, **filters: Any) -> list[str]:
    """
    Return the images that match, each by a distinctive text of its prompt.
    """
    prompts = prompts_of(studio.images.list(**filters))
    return [next(text for text in ALL if text in prompt) for prompt in prompts]


def test_all_images_are_listed_newest_first(shelf: Any) -> None:
    """
    Without a filter all images are listed, whatever made them.
    """
    assert find(shelf) == ALL


def test_images_are_found_by_text(shelf: Any) -> None:
    """
    Text is searched in prompts, revised prompts and names, in any case and script; no character is
    a pattern.
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
    results = {text: find(shelf, text=text) for text in expected}
    assert results == {text: [ALL[number] for number in expected[text]] for text in expected}


def test_images_are_found_by_session(shelf: Any) -> None:
    """
    A session is given by itself, its id or its name; an unknown one is an error that lists others.
    """
    tea = shelf.open("Tea")
    assert find(shelf, session=tea) == find(shelf, session=tea.id) == ALL[4:]
    assert find(shelf, session="Tea") == ALL[4:]
    with pytest.raises(NotFoundError, match="no session") as caught:
        shelf.images.list(session="0" * 26)
    assert tea.id in caught.value.known


def test_images_are_found_by_kind(shelf: Any) -> None:
    """
    Each kind lists its own images.
    """
    expected = {
        "general": [2, 5],
        "edit": [4],
        "product": [3],
        "ui_asset": [0],
        "batch": [1],
        "variation": [],
    }
    results = {kind: find(shelf, kind=kind) for kind in expected}
    assert results == {kind: [ALL[number] for number in expected[kind]] for kind in expected}


def test_images_are_found_by_day(shelf: Any) -> None:
    """
    Days are complete, from and up to both included; times are exact.
    """
    today = dt.datetime.now(dt.UTC).date()
    assert find(shelf, since=today) == ALL[:2]
    assert find(shelf, until=today - DAY) == ALL[2:]
    assert find(shelf, since=today - DAY, until=(today - DAY).isoformat()) == ALL[2:4]
    assert find(shelf, since="0001-01-01", until="9999-12-31") == ALL
    newest = shelf.images.list(limit=1)[0]
    assert find(shelf, since=newest.turn.started) == ALL[:1]
    assert find(shelf, until=newest.turn.started) == ALL[1:]
    assert find(shelf, since=today + DAY) == []


def test_filters_are_combined(shelf: Any) -> None:
    """
    Filters must all match, on every page.
    """
    yesterday = dt.datetime.now(dt.UTC).date() - DAY
    assert find(shelf, text="teapot made", until=yesterday) == ALL[5:]
    assert find(shelf, session=shelf.open("Tea"), kind="edit", text="café") == [ALL[4]]
    assert find(shelf, session=shelf.open("Tea"), kind="product") == []
    pages: list[str] = []
    before = None
    while page := shelf.images.list(until=yesterday, limit=3, before=before):
        pages += prompts_of(page)
        before = page[-1]
    assert pages == prompts_of(shelf.images.list(until=yesterday))
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
def test_invalid_filter_is_refused(studio: Any, wrong: dict[str, Any]) -> None:
    """
    An invalid filter is refused by its name.
    """
    with pytest.raises(InvalidRequestError, match=next(iter(wrong))):
        studio.images.list(**wrong)


@pytest.mark.parametrize("version", [0, 1, INDEX_VERSION - 1])
def test_old_index_is_rebuilt(shelf: Any, make_studio: MakeStudio, version: int) -> None:
    """
    A library whose index was written by an older version opens without a message: everything is
    found, counted and searched as before.
    """
    spent = shelf.stats().spent
    index = shelf.library / ".imagesession" / "index.sqlite"
    with sqlite3.connect(index) as connection:
        connection.execute("DROP TABLE images")
        connection.execute("CREATE TABLE images (id TEXT PRIMARY KEY, turn TEXT, position INTEGER)")
        connection.execute("DELETE FROM turns")
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    reopened = make_studio(shelf.library)
    assert find(reopened) == ALL
    assert find(reopened, text="чайник") == [ALL[3]]
    assert reopened.stats().total_images == 6
    assert reopened.stats().spent == pytest.approx(spent)


def test_unknown_ids_are_errors(shelf: Any) -> None:
    """
    The error for an unknown image lists some that exist.
    """
    with pytest.raises(NotFoundError) as caught:
        shelf.images.get("0" * 26)
    assert caught.value.known[0] == shelf.images.list(limit=1)[0].id


def test_template_names_files(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A template's fields are filled in; names that are taken get the next number, appended if the
    template has none. Folders are by kind as ever, and all of it is found again.
    """
    studio = make_studio(
        tmp_path, provider=PAINTED_ONCE, filename="{slug}-{kind}_{n:02}", quality="low"
    )
    session = studio.session("x")
    images = [session.generate("A red fox, sitting") for _ in range(2)]
    images += [studio.product("mug"), session.generate("con"), session.generate("???")]
    assert [image.path.relative_to(tmp_path).as_posix() for image in images] == [
        "general/A_red_fox_sitting-general_01.png",
        "general/A_red_fox_sitting-general_02.png",
        "products/mug/mug-product_01.png",
        "general/con-general_01.png",
        "general/unnamed-general_01.png",
    ]
    plain = make_studio(tmp_path, provider=PAINTED_ONCE, filename="con_{date}", quality="low")
    names = [plain.generate("a fox").path.stem for _ in range(2)]
    assert names[1] == f"{names[0]}_02"
    for image in images:
        image.path.with_suffix(".json").unlink()
    assert studio.doctor(verify=True).ok
    assert len(studio.images.list()) == 7


def test_lost_records_of_named_files_are_restored(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    The doctor knows files of any template by the metadata beside them, whatever template the
    studio has that looks.
    """
    named = make_studio(tmp_path, provider=PAINTED_ONCE, filename="{slug}")
    image = named.generate("a fox")
    (tmp_path / ".imagesession/turns/one-shots" / f"{image.turn.id}.json").unlink()
    (tmp_path / ".imagesession/index.sqlite").unlink(missing_ok=True)
    studio = make_studio(tmp_path, provider=PAINTED_ONCE)
    assert not studio.doctor().ok
    studio.doctor(repair=True)
    assert studio.images.get(image.id).path == tmp_path / "general/a_fox.png"


@pytest.mark.parametrize("name", BAD_TEMPLATES)
def test_bad_templates_are_refused(make_studio: MakeStudio, tmp_path: Path, name: str) -> None:
    """
    A template that leaves the folder, or makes names that a system does not take, is refused when
    the studio is made, before it makes a folder.
    """
    with pytest.raises(InvalidRequestError) as raised:
        make_studio(tmp_path / "new", filename=BAD_TEMPLATES[name])
    assert len(raised.value.message) <= 300
    assert not (tmp_path / "new").exists()
