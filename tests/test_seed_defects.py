"""
Defects of openai-image-mcp, each prevented by the test of its name.

Left out is what only an MCP server can have: its number of tools (part of B24), and answers to its
client's pings (part of B7; here the event loop is measured instead).
"""

from __future__ import annotations

import datetime as dt
import io
import json
import subprocess
import sys
import time
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import anyio
import pytest
from PIL import Image

import imagesession
from imagesession import AsyncStudio
from imagesession._api.guide import guide
from imagesession._domain.model_catalog import load_catalogue
from imagesession._domain.sizes import is_supported
from imagesession.errors import (
    ContentBlockedError,
    GenerationFailedError,
    ImageSessionError,
    InvalidImageError,
    InvalidOptionError,
    OutcomeUnknownError,
    RateLimitError,
    RefusalError,
    SessionClosedError,
    StorageIOError,
    TooManySessionsError,
)
from imagesession.testing import (
    ConnectionReset,
    FakeOpenAI,
    FakeResponse,
    Fault,
    tiny_image,
    tiny_mask,
)
from tests.clock import DAY, HoldingProvider, ago
from tests.conftest import MakeStudio
from tests.conversing import Known, known
from tests.faults.tiny import TinySketcher

MINUTE = dt.timedelta(minutes=1)
# Without a cooldown, so that other requests are not delayed.
AT_ONCE = {"retry-after": "0"}


def paid_bodies(provider: FakeOpenAI) -> list[Any]:
    """
    Return the bodies of the paid requests, which are those for images.
    """
    draws = ("/responses", "/images/generations", "/images/edits")
    return [call.body for call in provider.requests if call.method == "POST" and call.path in draws]


def user_texts(body: Any) -> list[str]:
    """
    Return the user's messages in a request, in order.
    """
    content = [
        part
        for message in body["input"]
        if message["role"] == "user"
        for part in message["content"]
    ]
    return [part["text"] for part in content if part["type"] == "input_text"]


def noise(size: tuple[int, int]) -> bytes:
    """
    Make a PNG that does not compress: three bytes a pixel.
    """
    buffer = io.BytesIO()
    Image.effect_noise(size, 100).convert("RGB").save(buffer, "png", compress_level=0)
    return buffer.getvalue()


def test_b01_saved_image_has_its_prompt_and_is_promoted(studio: Any) -> None:
    """
    The prompt is in the record and beside the image, and any image of the library starts a session:
    by itself, by its id and by its path.
    """
    image = studio.generate("a teapot")
    beside = json.loads(image.path.with_suffix(".json").read_text())
    assert image.prompt == beside["original_prompt"] == "a teapot"
    for source in (image, image.id, image.path):
        session = studio.promote(source)
        assert session.description == "a teapot"
        assert session.head().sha256 == image.sha256


def test_b02_promoted_image_uses_no_invented_id(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Requests after a promotion contain only ids from the provider; an image that it does not know is
    sent.
    """
    first, second = FakeOpenAI(), FakeOpenAI()
    image = make_studio(tmp_path / "a", provider=first).generate("a teapot")
    session = make_studio(tmp_path / "a", provider=first).promote(image.id, "Teapots")
    refined = session.generate("bluer")
    assert known(paid_bodies(first)[-1]) == Known(previous=image.turn.response_id)
    assert session.generate("warmer").parent == refined.turn.id
    elsewhere = make_studio(tmp_path / "b", provider=second).promote(image.path, "Teapots")
    refined = elsewhere.generate("bluer")
    assert refined.turn.context == "rebuilt"
    sent = known(paid_bodies(second)[0])
    assert (sent.conversation, sent.previous, sent.items) == (None, None, ())
    assert "input_image" in json.dumps(paid_bodies(second)[0])
    assert elsewhere.generate("warmer").turn.context == "continued"


def test_b03_every_turn_is_sent_once(studio: Any, provider: FakeOpenAI) -> None:
    """
    A prompt and a reference occur once in their request, in a first, a later and a rebuilt turn.
    """
    session = studio.session("Teapots")
    for number in range(3):
        if number == 2:
            provider.reset_memory()
        session.generate(f"turn number {number}", references=tiny_image(colour=(number, 0, 0)))
        assert user_texts(paid_bodies(provider)[-1]).count(f"turn number {number}") == 1
        assert json.dumps(paid_bodies(provider)[-1]).count("file_id") == 1
    assert user_texts(paid_bodies(provider)[-1]) == [f"turn number {number}" for number in range(3)]


def test_b04_description_reaches_the_model(studio: Any, provider: FakeOpenAI) -> None:
    """
    The description is sent with every turn, also when the full history is sent.
    """
    session = studio.session("Everything MUST_BE_BLUE")
    session.generate("a teapot")
    session.generate("rounder")
    provider.reset_memory()
    session.generate("taller")
    # By the id of its parent, and finally with the full history.
    assert len(paid_bodies(provider)) == 4
    assert all("MUST_BE_BLUE" in body["instructions"] for body in paid_bodies(provider))


def test_b05_references_are_not_sent_again(studio: Any, provider: FakeOpenAI) -> None:
    """
    In a loop that edits the last image with a reference of 2 MB, the reference is uploaded once and
    then named by its id; requests do not grow with the turns.
    """
    photo = noise((840, 840))
    assert len(photo) > 2_000_000
    session = studio.session("Edit loop")
    for number in range(6):
        session.edit(
            f"edit number {number}", image=photo if number == 0 else None, references=photo
        )
    calls = [call for call in provider.requests if call.method == "POST"]
    assert [call.path for call in calls].count("/files") == 1
    assert max(call.length for call in calls if call.path == "/responses") < 2_000
    assert sum(call.length for call in calls) < len(photo) + 20_000


def test_b06_failed_turn_does_not_poison_the_session(studio: Any, provider: FakeOpenAI) -> None:
    """
    After a refusal, a moderation block and a failure, later turns succeed without them in the
    history.
    """
    session = studio.session("Teapots")
    first = session.generate("a teapot")
    provider.refuse_next("I would rather not.")
    provider.moderate_next()
    provider.fail_generation_next()
    for error in (RefusalError, ContentBlockedError, GenerationFailedError):
        with pytest.raises(error):
            session.generate("POISON")
    assert session.generate("bluer").parent == first.turn.id
    provider.reset_memory()
    assert session.generate("warmer").turn.context == "rebuilt"
    for body in paid_bodies(provider)[4:]:
        assert "POISON" not in json.dumps(body)
        assert "rather not" not in json.dumps(body)


@pytest.mark.anyio
async def test_b07_images_are_made_in_parallel_without_blocking(tmp_path: Path) -> None:
    """
    16 images are under way at once, and the library answers meanwhile.
    """
    provider = HoldingProvider(sketcher=TinySketcher())
    provider.hold()
    async with AsyncStudio.offline(tmp_path, provider=provider, timeout=60) as studio:
        async with anyio.create_task_group() as group:
            for number in range(16):
                group.start_soon(studio.generate, f"teapot number {number}")
            while provider.posts < 16:
                assert (await studio.stats()).total_images == 0
            provider.finish()
        assert (await studio.stats()).total_images == 16


@pytest.mark.anyio
async def test_b07_generation_can_be_cancelled(tmp_path: Path) -> None:
    """
    Waiting for an image can be cancelled immediately, and the studio continues to work.
    """
    provider = FakeOpenAI(latency=DAY)
    async with AsyncStudio.offline(tmp_path, provider=provider, timeout=DAY) as studio:
        start = time.monotonic()
        with anyio.move_on_after(0.2) as scope:
            await studio.generate("a teapot")
        assert scope.cancelled_caught
        assert time.monotonic() - start < DAY / 2
        provider.latency = 0
        assert (await studio.generate("another")).bytes


@pytest.mark.parametrize("status", [429, 500, 502, 503, 408])
def test_b08_one_failure_is_one_request(studio: Any, provider: FakeOpenAI, status: int) -> None:
    """
    Without a retry timeout a request is sent once, whatever the provider answers: the client does
    not repeat it.
    """
    provider.fail_next(
        status=status, headers={"retry-after": "7"}, method="POST", path="/responses"
    )
    with pytest.raises(ImageSessionError) as caught:
        studio.generate("a teapot")
    assert len(paid_bodies(provider)) == 1
    if status == 429:
        assert isinstance(caught.value, RateLimitError)
        assert caught.value.retry_after == 7.0


def test_b08_retries_are_not_multiplied(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    With a retry timeout, each rejection by the provider leads to one more request.
    """
    provider = FakeOpenAI()
    provider.fail_next(status=429, headers=AT_ONCE, method="POST", path="/responses", times=2)
    make_studio(tmp_path, provider=provider, retry_timeout=5).generate("a teapot")
    assert len(paid_bodies(provider)) == 3


def break_connection(*_: object) -> FakeResponse:
    """
    Break the connection before the first byte of a response.
    """
    return FakeResponse(headers={}, parts=iter((ConnectionReset(),)))


def test_b08_lost_response_is_not_requested_again(studio: Any, provider: FakeOpenAI) -> None:
    """
    If the connection breaks after the request was sent, it may have been billed: it is not
    repeated, and the error says so.
    """
    provider.enqueue_fault(Fault(method="POST", path="/responses", response=break_connection))
    with pytest.raises(OutcomeUnknownError, match="billed"):
        studio.generate("a teapot")
    assert len(paid_bodies(provider)) == 1


def test_b08_lost_response_is_found(
    make_studio: MakeStudio, tmp_path: Path, provider: FakeOpenAI
) -> None:
    """
    If the response was lost but processed, its image is found, not requested again.
    """
    studio = make_studio(tmp_path, provider=provider, provider_state="conversation")
    provider.enqueue_fault(Fault(method="POST", path="/responses", transform=break_connection))
    image = studio.generate("a teapot")
    assert len(paid_bodies(provider)) == 1
    assert studio.images.list() == (image,)
    assert image.bytes == image.path.read_bytes()


def test_b08_lost_response_without_a_conversation(studio: Any, provider: FakeOpenAI) -> None:
    """
    Outside of a conversation, a response that was lost before its first event cannot be found: the
    error says so, and the request is not repeated.
    """
    provider.enqueue_fault(Fault(method="POST", path="/responses", transform=break_connection))
    with pytest.raises(OutcomeUnknownError, match="billed"):
        studio.generate("a teapot")
    assert len(paid_bodies(provider)) == 1
    assert studio.images.list() == ()


def test_b09_sessions_outlive_the_process(studio: Any) -> None:
    """
    Another process finds the session and continues it, and this one sees the new turn.
    """
    session = studio.session("Teapots", name="Tea")
    first = session.generate("a teapot")
    script = (
        "import sys\n"
        "from imagesession import Studio\n"
        "session = Studio.offline(sys.argv[1]).open('Tea')\n"
        "print(session.head().id, session.generate('bluer').id)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", script, str(studio.library)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found_id, image_id = process.stdout.split()
    assert found_id == first.id
    assert session.head().id == image_id


@pytest.mark.parametrize("seconds,hours", [(1800, 0.5), (5400, 1.5)])
def test_b10_idle_times_are_exact_to_the_second(
    make_studio: MakeStudio, tmp_path: Path, seconds: float, hours: float
) -> None:
    """
    Half an hour is half an hour, neither zero nor an hour.
    """
    studio = make_studio(tmp_path, session_idle_timeout=seconds)
    with ago(dt.timedelta(seconds=seconds) - MINUTE, tmp_path):
        younger = studio.session("A minute younger")
    with ago(dt.timedelta(seconds=seconds) + MINUTE, tmp_path):
        older = studio.session("A minute older")
    assert (younger.status().state, older.status().state) == ("active", "idle")
    assert studio.stats().active_sessions == 1
    assert studio.stats().session_timeout_hours == hours


def test_b11_idle_sessions_do_not_vanish(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    A session without activity is idle and listed; listing and creating others does not remove it,
    and continuing it makes it active.
    """
    studio = make_studio(tmp_path, session_idle_timeout=1800)
    with ago(60 * MINUTE, tmp_path):
        session = studio.session("Teapots")
        first = session.generate("a teapot")
    assert session.status().state == "idle"
    second_session = studio.session("Another")
    assert [listed.id for listed in studio.sessions.list()] == [second_session.id, session.id]
    assert studio.open(session.id).generate("bluer").parent == first.turn.id
    assert session.status().state == "active"


def test_b12_image_that_cannot_be_saved_is_an_error(
    studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    If the disk fails after the image was paid for, there is an error and no empty path; the
    response id stays in the journal.
    """

    def fail_write(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("imagesession._store.disk.blobs.link_into_place", fail_write)
        with pytest.raises(StorageIOError, match="disk is full"):
            studio.generate("a teapot")
    (intent,) = (studio.library / ".imagesession" / "journal").iterdir()
    assert '{"response_id": "resp_' in intent.read_text()
    assert studio.images.list() == ()
    assert studio.generate("another").path.stat().st_size > 0


def test_b13_every_image_and_text_of_a_response_is_kept(studio: Any, provider: FakeOpenAI) -> None:
    """
    Every image of a response is saved, and the text with them.
    """
    provider.images_per_reply = 3
    image = studio.session("Teapots").generate("three teapots")
    assert len(image.turn.images) == 3
    files = [studio.images.get(record.id).path for record in image.turn.images]
    assert len(set(files)) == 3
    assert all(file.exists() and file.with_suffix(".json").exists() for file in files)
    assert image.turn.text == image.metadata["text"]


def test_b13_refusal_has_the_models_text(studio: Any, provider: FakeOpenAI) -> None:
    """
    A refusal error has the model's text, and so does the record.
    """
    provider.refuse_next("I cannot draw a living person.")
    session = studio.session("Portraits")
    with pytest.raises(RefusalError, match="living person") as caught:
        session.generate("a portrait")
    assert caught.value.text == "I cannot draw a living person."
    assert "living person" in session.turns()[0].failure.message


def test_b14_every_purpose_has_its_folder(studio: Any, tmp_path: Path) -> None:
    """
    Images are saved in the folder of their purpose.
    """
    (tmp_path / "photo.png").write_bytes(tiny_image())
    plain = studio.generate("a teapot")
    images = {
        "general": plain,
        "products/a_blue_mug": studio.product("a blue mug"),
        "ui_assets/icons": studio.ui_asset("icon", "a cart"),
        "edited_images": studio.edit("bluer", image=plain),
        "variations": studio.variations("a teapot", n=1)[0],
        "batch_generations": studio.map(["a teapot"])[0],
        "imported": studio.images.import_file(tmp_path / "photo.png"),
    }
    improved = studio.improve("more contrast", image=plain).image
    folders = {
        name: str(image.path.parent.relative_to(studio.library)) for name, image in images.items()
    }
    assert folders == {name: name for name in images}
    assert improved.path.parent.name == "edited_images"


def test_b15_guide_is_in_the_package() -> None:
    """
    The guide is found wherever the package is installed and from any working folder.
    """
    assert (resources.files("imagesession._api") / "guide.md").is_file()
    for verb in ("generate", "edit", "promote", "session", "product", "ui_asset", "variations"):
        assert verb in guide()
    script = "from imagesession._api.guide import guide\nprint(len(guide()))"
    process = subprocess.run(
        [sys.executable, "-c", script], cwd="/", check=True, capture_output=True, text=True
    )
    assert int(process.stdout) > 1_000


def test_b16_values_of_the_old_guide_are_accepted(studio: Any, provider: FakeOpenAI) -> None:
    """
    The values in openai-image-mcp's guide are accepted: the model "auto", buttons, and angles in
    degrees.
    """
    assert studio.session("x", model="auto").generate("a teapot", model="auto").bytes
    assert "model" not in paid_bodies(provider)[0]["tools"][0]
    assert studio.ui_asset("button", "a call to action").path.parent.name == "buttons"
    angled, named = (studio.product("a mug", angle=way) for way in ("45deg", "three-quarter"))
    assert angled.prompt == named.prompt
    assert angled.turn.parameters["angle"] == "three-quarter"


@pytest.mark.parametrize("size_preset", ["small", "standard", "large"])
def test_b17_assets_have_supported_sizes(
    studio: Any, provider: FakeOpenAI, size_preset: str
) -> None:
    """
    Every kind and size of an asset requests a size that the model supports.
    """
    catalogue = load_catalogue()
    model = catalogue.find(catalogue.image)
    assert model is not None
    assert model.sizes is not None
    for asset_type in ("icon", "illustration", "background", "hero", "button"):
        provider.refuse_next("Only the request counts here.")
        with pytest.raises(RefusalError):
            studio.ui_asset(asset_type, "a cart", size_preset=size_preset)
        width, height = map(int, paid_bodies(provider)[-1]["tools"][0]["size"].split("x"))
        assert is_supported(model.sizes, width, height)


def test_b18_batch_reports_each_item(studio: Any, provider: FakeOpenAI) -> None:
    """
    If some items fail, the others are returned and each error is in its place.
    """
    provider.fail_next(status=429, headers=AT_ONCE, method="POST", path="/responses", times=2)
    results = studio.product("a mug", n=4)
    assert (len(results), len(results.images), len(results.errors)) == (4, 2, 2)
    assert not results.ok
    assert all(isinstance(error, RateLimitError) for error in results.errors)
    provider.fail_next(status=429, headers=AT_ONCE, method="POST", path="/responses", times=4)
    everything_failed = studio.product("a mug", n=4)
    assert not everything_failed.ok
    assert everything_failed.images == ()
    with pytest.raises(RateLimitError):
        everything_failed.raise_any()


def test_b18_batch_runs_in_parallel(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    Four images of one call are under way at once.
    """
    provider = HoldingProvider()
    provider.hold(until=4)
    studio = make_studio(tmp_path, provider=provider, timeout=60)
    assert studio.product("a mug", n=4).ok


@pytest.mark.parametrize(
    "wrong",
    [{"quality": "ultra"}, {"size": "1x1"}, {"background": "plaid"}, {"output_format": "bmp"}],
)
def test_b19_options_are_checked_before_sending(
    studio: Any, provider: FakeOpenAI, wrong: dict[str, str]
) -> None:
    """
    An invalid value is refused with its option's name before anything is sent.
    """
    for verb in (studio.generate, studio.session("x").generate):
        with pytest.raises(InvalidOptionError) as caught:
            verb("a teapot", **wrong)
        assert caught.value.option == next(iter(wrong))
    assert provider.requests == ()


@pytest.mark.parametrize("where", ["references", "image", "mask"])
def test_b20_images_are_checked_by_content(
    studio: Any, provider: FakeOpenAI, tmp_path: Path, where: str
) -> None:
    """
    A text with an image suffix is not sent; an image with a text suffix is.
    """
    secret = tmp_path / "secret.png"
    secret.write_text("my-host-name\n")
    photo = tmp_path / "photo.txt"
    photo.write_bytes(tiny_image())
    arguments: dict[str, Any] = {"image": photo, where: secret}
    with pytest.raises(InvalidImageError, match="not a whole image"):
        studio.edit("bluer", **arguments)
    assert provider.requests == ()
    assert studio.edit("bluer", image=photo).bytes


@pytest.mark.parametrize("mask", [tiny_mask((32, 32)), tiny_image()])
def test_b20_masks_are_checked(studio: Any, provider: FakeOpenAI, mask: bytes) -> None:
    """
    A mask of another size, or an empty one, is refused before anything is sent.
    """
    with pytest.raises(InvalidImageError):
        studio.edit("bluer", image=tiny_image(), mask=mask)
    assert provider.requests == ()


@pytest.mark.parametrize("name", ["photo.webp", "my.png.d/photo.png", "no-suffix", "a.json.webp"])
def test_b21_any_path_is_promoted(studio: Any, tmp_path: Path, name: str) -> None:
    """
    The names of a file and its folders do not matter, only its content.
    """
    path = tmp_path / "elsewhere" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(tiny_image("webp"))
    session = studio.promote(path, "Photographs")
    assert session.head().bytes == path.read_bytes()
    assert session.generate("bluer").bytes


def test_b22_standalone_images_use_no_session(make_studio: MakeStudio, tmp_path: Path) -> None:
    """
    With the maximum number of active sessions, standalone images of every kind are still made.
    """
    studio = make_studio(tmp_path, max_active_sessions=1)
    session = studio.session("The only one")
    with pytest.raises(TooManySessionsError):
        studio.session("One more")
    image = studio.generate("a teapot")
    assert studio.edit("bluer", image=image).bytes
    assert studio.product("a mug").bytes
    assert studio.map(["one", "two"]).ok
    assert session.generate("still works").bytes
    assert studio.stats().active_sessions == 1


def test_b23_closing_leaves_nothing_behind_and_loses_nothing(
    studio: Any, provider: FakeOpenAI
) -> None:
    """
    Uploads expire, no temporary file remains, and a closed session can be read and reopened.
    """
    session = studio.session("Masks")
    first = session.generate("a teapot")
    session.edit("a red heart", mask=tiny_mask(first.size, (100, 100, 300, 300)))
    session.close()
    uploads = [call for call in provider.requests if call.path == "/files"]
    assert uploads
    assert all("expires_after" in repr(call.body) for call in uploads)
    assert list((studio.library / ".imagesession" / "tmp").iterdir()) == []
    assert session.status().state == "closed"
    assert [listed.id for listed in studio.sessions.list()] == [session.id]
    with pytest.raises(SessionClosedError):
        session.generate("bluer")
    assert studio.open(session.id, reopen=True).generate("bluer").bytes


def test_b24_facts_have_the_right_values_and_types(studio: Any) -> None:
    """
    The version is the installed one, counts are numbers, and every time has a zone.
    """
    session = studio.session("Teapots")
    image = session.generate("a teapot")
    status, stats = session.status(), studio.stats()
    assert imagesession.__version__ == stats.version == metadata.version("imagesession")
    assert (status.total_generations, stats.total_images, stats.total_turns) == (1, 1, 1)
    assert all(type(count) is int for count in (status.total_generations, stats.total_images))
    times = (status.created_at, status.last_activity, image.turn.started, image.turn.finished)
    assert all(time.utcoffset() == dt.timedelta() for time in times)
    written = dt.datetime.fromisoformat(image.metadata["timestamp"])
    assert written.utcoffset() == dt.timedelta()


def test_b25_tests_drive_the_real_client(studio: Any, provider: FakeOpenAI) -> None:
    """
    No library behaviour can be tested against tests that only import and mock; instead these tests
    send real requests through the openai package, as this one shows.
    """
    studio.generate("a teapot")
    assert len(paid_bodies(provider)) == 1
    for call in provider.requests:
        assert call.headers["x-stainless-lang"] == "python"
        assert call.headers["user-agent"].startswith(("OpenAI/Python", "AsyncOpenAI/Python"))
