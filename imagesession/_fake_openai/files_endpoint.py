"""
The Files endpoints: upload, list, retrieve, download, delete.

Reference: https://platform.openai.com/docs/api-reference/files
"""

import contextlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TypeAlias

import attrs

from imagesession._fake_openai.errors import RefusalError
from imagesession._fake_openai.http import FakeRequest, FakeResponse, Json, json_response
from imagesession._fake_openai.json_reader import JsonNode, page
from imagesession._fake_openai.memory import current_organization, new_id

# At least _MIN_KEPT files are kept, and more until a number or a size is reached.
_MIN_KEPT, _MAX_KEPT, _KEPT_BYTES = 256, 10_000, 512 * 1024 * 1024
_MAX_BATCH_BYTES = 200_000_000
_PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
_MAX_LISTED = 10_000
_MIN_LIFETIME, _MAX_LIFETIME = 3_600, 2_592_000


@attrs.frozen(kw_only=True)
class Field:
    name: str
    filename: str | None
    content: bytes = attrs.field(repr=False)

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")


Form: TypeAlias = tuple[Field, ...]


def read_form(call: FakeRequest) -> Form:
    match = re.search(
        r'multipart/form-data;.*boundary="?([^";]+)', call.headers.get("content-type", "")
    )
    if match is None:
        raise RefusalError("not_a_form")
    delimiter = b"\r\n--" + match[1].encode()
    pieces = (b"\r\n" + call.body).split(delimiter)
    return tuple(_fields(pieces[1:]))


def _fields(pieces: list[bytes]) -> Iterator[Field]:
    for piece in pieces:
        head, blank, content = piece.partition(b"\r\n\r\n")
        if not blank or head.startswith(b"--"):
            continue
        names = dict(
            re.findall(r'\b(name|filename)="((?:[^"\\]|\\.)*)"', head.decode(errors="replace"))
        )
        yield Field(name=names.get("name", ""), filename=names.get("filename"), content=content)


@attrs.frozen(kw_only=True)
class File:
    id: str = attrs.field(factory=lambda: new_id("file-"))
    name: str
    purpose: str
    created: float
    lifetime: int | None = None
    content: bytes = attrs.field(repr=False)
    organization: str = attrs.field(factory=current_organization)  # whose file it is

    def is_visible(self, now: float) -> bool:
        alive = self.lifetime is None or now < self.created + self.lifetime
        return alive and self.organization == current_organization()

    def as_json(self) -> Json:
        return {
            "id": self.id,
            "object": "file",
            "bytes": len(self.content),
            "created_at": int(self.created),
            "expires_at": None if self.lifetime is None else int(self.created) + self.lifetime,
            "filename": self.name,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
        }


class FilesEndpoint:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._files: OrderedDict[str, File] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def answer(self, call: FakeRequest) -> FakeResponse:
        match (call.method, *call.path.split("/")[2:]):
            case ("POST",):
                return self._upload(read_form(call))
            case ("GET",):
                return self._list(call)
            case ("GET", file_id):
                return json_response(self._find(file_id).as_json())
            case ("DELETE", file_id):
                return self._delete(file_id)
            case ("GET", file_id, "content"):
                return FakeResponse(
                    headers={"content-type": "application/octet-stream"},
                    parts=iter((self._find(file_id).content,)),
                )
            case _:
                raise RefusalError("no_such_url", method=call.method, path=call.path)

    def content(self, file_id: str) -> bytes | None:
        with contextlib.suppress(RefusalError):
            return self._find(file_id).content
        return None

    def _find(self, file_id: str) -> File:
        with self._lock:
            file = self._files.get(file_id)
        if file is None or not file.is_visible(self._clock()):
            raise RefusalError("no_such_file", id=file_id)
        return file

    def _upload(self, form: Form) -> FakeResponse:
        fields = {field.name: field for field in form}
        for name in ("file", "purpose"):
            if name not in fields:
                raise RefusalError("missing_parameter", name)
        purpose = JsonNode(fields["purpose"].text, "purpose").choice(_PURPOSES)
        file = File(
            name=fields["file"].filename or "upload",
            purpose=purpose,
            created=self._clock(),
            lifetime=_lifetime(fields),
            content=fields["file"].content,
        )
        if file.purpose == "batch":
            _check_batch(file)
        self._add(file)
        return json_response(file.as_json())

    def _add(self, file: File) -> None:
        with self._lock:
            self._files[file.id] = file
            self._bytes += len(file.content)
            while len(self._files) > _MIN_KEPT and (
                len(self._files) > _MAX_KEPT or self._bytes > _KEPT_BYTES
            ):
                self._drop(next(iter(self._files)))

    def _drop(self, file_id: str) -> None:
        file = self._files.pop(file_id, None)
        self._bytes -= len(file.content) if file else 0

    def keep_output(self, name: str, content: bytes) -> str:
        now = self._clock()
        file = File(name=name, purpose="batch_output", created=now, content=content)
        self._add(file)
        return file.id

    def _list(self, call: FakeRequest) -> FakeResponse:
        now = self._clock()
        purpose = call.query.get("purpose")
        with self._lock:
            every = list(self._files.values())
        visible = [
            file.as_json()
            for file in (every if call.query.get("order") == "asc" else reversed(every))
            if file.is_visible(now) and purpose in {None, file.purpose}
        ]
        return page(call, visible, most=_MAX_LISTED, usual=_MAX_LISTED)

    def _delete(self, file_id: str) -> FakeResponse:
        self._find(file_id)
        with self._lock:
            self._drop(file_id)
        return json_response({"id": file_id, "object": "file", "deleted": True})


def _check_batch(file: File) -> None:
    if not file.name.endswith(".jsonl"):
        raise RefusalError("not_jsonl")
    if len(file.content) > _MAX_BATCH_BYTES:
        raise RefusalError("file_too_large")


def _lifetime(fields: dict[str, Field]) -> int | None:
    seconds = fields.get("expires_after[seconds]")
    if seconds is None:
        return None
    try:
        lifetime = int(seconds.text)
    except ValueError:
        lifetime = 0
    if not _MIN_LIFETIME <= lifetime <= _MAX_LIFETIME:
        raise RefusalError(
            "bad_lifetime", low=_MIN_LIFETIME, high=_MAX_LIFETIME, seconds=seconds.text
        )
    return lifetime
