"""
Files and models.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest

from imagesession.testing import FakeOpenAI, tiny_image

if TYPE_CHECKING:
    from tests.fake_openai.conftest import Talk


@pytest.mark.parametrize(
    "content", [b"", b"\r\n", b"--", b"a\r\n--b\r\n\r\nc", bytes(range(256)) * 64, tiny_image()]
)
def test_file_roundtrip(talk: "Talk", content: bytes) -> None:
    """
    A file's bytes survive the form, whatever they are.
    """
    file = talk.client.files.create(file=("a b.png", content), purpose="vision")

    assert ("a b.png", len(content), "vision", "processed") == (
        file.filename,
        file.bytes,
        file.purpose,
        file.status,
    )
    assert content == talk.client.files.content(file.id).read()
    assert file == talk.client.files.retrieve(file.id)


def test_files_are_listed_and_deleted(talk: "Talk") -> None:
    """
    Files are listed newest first, by purpose and in pages, until they are deleted.
    """
    create = talk.client.files.create
    first = create(file=("1", b"x"), purpose="vision").id
    second = create(file=("2", b"x"), purpose="user_data").id
    third = create(file=("3", b"x"), purpose="vision").id

    listed = talk.client.files.list
    assert [third, second, first] == [file.id for file in listed()]
    assert [first, second, third] == [file.id for file in listed(order="asc")]
    assert [third, first] == [file.id for file in listed(purpose="vision")]
    assert [third, second, first] == [file.id for file in listed(limit=1)]
    assert talk.client.files.delete(second).deleted
    assert [third, first] == [file.id for file in listed()]


def test_files_and_batches_of_another_organization_are_not_found(talk: "Talk") -> None:
    """
    Another organization finds and lists neither a file nor a batch, and cannot use the file.
    """
    line = {"custom_id": "1", "method": "POST", "url": "/v1/responses", "body": {"input": "a kite"}}
    sent = ("kites.jsonl", json.dumps(line).encode())
    file = talk.client.files.create(file=sent, purpose="batch").id
    given: Any = {"endpoint": "/v1/responses", "completion_window": "24h"}
    batch = talk.client.batches.create(input_file_id=file, **given).id
    foreign = talk.client.with_options(organization="org-other")
    assert (foreign.files.list().data, foreign.batches.list().data) == ([], [])
    requests: tuple[Callable[[], object], ...] = (
        lambda: foreign.files.retrieve(file),
        lambda: foreign.files.delete(file),
        lambda: foreign.batches.create(input_file_id=file, **given),
        lambda: foreign.batches.retrieve(batch),
        lambda: foreign.batches.cancel(batch),
    )
    for request in requests:
        with pytest.raises(openai.APIStatusError, match=r"No such|found"):
            request()
    assert talk.client.batches.retrieve(batch).id == batch


def test_file_expires(connect: "Callable[[FakeOpenAI], Talk]") -> None:
    """
    An expired file is not found.
    """
    times = [1000.0]
    talk = connect(FakeOpenAI(clock=lambda: times[-1]))
    file = talk.client.files.create(
        file=("a", b"x"),
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert file.expires_at == 4600

    times.append(4600.0)
    with pytest.raises(openai.NotFoundError, match="No such File object"):
        talk.client.files.retrieve(file.id)
    assert list(talk.client.files.list()) == []


@pytest.mark.parametrize("seconds", ["60", "2592001", "soon"])
def test_expiry_has_bounds(talk: "Talk", seconds: str) -> None:
    """
    An expiry below an hour or above 30 days is rejected.
    """
    with pytest.raises(openai.BadRequestError, match="expires_after"):
        talk.client.post(
            "/files",
            cast_to=httpx2.Response,
            files={"file": b"x"},
            body={"purpose": "vision", "expires_after": {"seconds": seconds}},
            options={"headers": {"Content-Type": "multipart/form-data"}},
        )


@pytest.mark.parametrize(
    "files,purpose,words",
    [
        ({}, "vision", "multipart"),
        ({"file": b"x"}, None, "'purpose'"),
        ({"other": b"x"}, "vision", "'file'"),
        ({"file": b"x"}, "fun", "'user_data'"),
    ],
)
def test_uploads_are_checked(
    talk: "Talk", files: dict[str, bytes], purpose: str | None, words: str
) -> None:
    """
    An upload needs a form, a file and a known purpose.
    """
    with pytest.raises(openai.BadRequestError, match=words):
        talk.client.post(
            "/files",
            cast_to=httpx2.Response,
            body={"purpose": purpose} if purpose else {},
            files=files or None,
            options={"headers": {"Content-Type": "multipart/form-data"} if files else {}},
        )


def test_recorded_requests_have_form_fields(provider: FakeOpenAI, talk: "Talk") -> None:
    """
    A recorded request has the fields of a form.
    """
    talk.client.files.create(file=("a.png", b"x"), purpose="vision")

    fields = {field.name: (field.filename, field.text) for field in provider.requests[0].body}
    assert fields == {"purpose": (None, "vision"), "file": ("a.png", "x")}


@pytest.mark.parametrize("bound,kept", [("_MAX_KEPT", 300), ("_KEPT_BYTES", 2 * 300)])
def test_oldest_files_are_dropped(
    talk: "Talk", monkeypatch: pytest.MonkeyPatch, bound: str, kept: int
) -> None:
    """
    The number and the bytes of stored files are limited.
    """
    monkeypatch.setattr(f"imagesession._fake_openai.files_endpoint.{bound}", kept)
    create = talk.client.files.create
    first, second, *_ = [create(file=("a", b"xx"), purpose="vision") for _ in range(301)]

    with pytest.raises(openai.NotFoundError):
        talk.client.files.retrieve(first.id)
    assert talk.client.files.retrieve(second.id).id == second.id


def test_latest_files_are_kept_whatever_their_size(
    talk: "Talk", monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A minimum of files is kept, however large they are; deleted files do not count.
    """
    monkeypatch.setattr("imagesession._fake_openai.files_endpoint._KEPT_BYTES", 10)
    monkeypatch.setattr("imagesession._fake_openai.files_endpoint._MIN_KEPT", 2)
    create = talk.client.files.create
    first, second = (create(file=("a", b"x" * 9), purpose="vision") for _ in range(2))
    talk.client.files.delete(first.id)
    third = create(file=("a", b"x"), purpose="vision")
    fourth = create(file=("a", b""), purpose="vision")

    for file in (second, third, fourth):
        assert talk.client.files.retrieve(file.id).id == file.id


def test_models_have_shutdown_dates(talk: "Talk") -> None:
    """
    Available models are listed, with the date of their shutdown if one is announced.
    """
    models = {model.id: model for model in talk.client.models.list()}

    assert {"gpt-6-luna", "gpt-5.4", "gpt-image-2", "gpt-image-2.6-sunburst"} <= set(models)
    assert not {"gpt-image-1", "dall-e-3", "o4-mini"} & set(models)
    assert models["gpt-image-1.5"].shutdown_date == "2026-12-01"
    assert models["gpt-image-2"].shutdown_date is None
    assert models["gpt-5"] == talk.client.models.retrieve("gpt-5")
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        talk.client.models.retrieve("gpt-image-1")
