"""
Images in a bucket: objects that are named by their turn and content, and so written twice without
harm. An image counts once a fact names it; nothing rests on conditions that a server may ignore.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import hashlib
import json
import os
import re
import time
import uuid
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import obstore
import platformdirs
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from imagesession._domain.image_header import MIME_TYPES, SUFFIXES
from imagesession._domain.turn import ImageRecord, Turn
from imagesession._engine.http import ReceivedImage
from imagesession._store.ports import Blobs
from imagesession._store.strict_reader import parse_object
from imagesession.errors import StorageIOError

from .address import TeamAddress
from .local_copies import LocalCopies

IMAGES = "images/"
_INNER = ".imagesession/"
_RETRY: Any = {"max_retries": 6, "retry_timeout": dt.timedelta(seconds=30)}
_CLIENT: Any = {"timeout": "60s", "connect_timeout": "5s", "allow_http": True}
_CODE = re.compile(r"<Code>(\w+)</Code>\s*(?:<Message>([^<]*)</Message>)?")
# The client repeats what was lost or failed at the server, but not what met another write:
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html (OperationAborted)
_CONFLICT = "409 Conflict"
_PAUSES = (0.1, 0.5, 2.0, 0.0)
_first_process: set[int] = set()
_writers = ThreadPoolExecutor(4, "metadata")
_unfinished: dict[str, Future[None]] = {}
_TYPES: Any = {suffix: MIME_TYPES[kind] for kind, suffix in SUFFIXES.items()}


class TeamBlobs(Blobs):
    def __init__(self, address: TeamAddress) -> None:
        self.name = address.blobs
        self._prefix = f"{address.prefix}/" if address.prefix else ""
        self._bucket = address.bucket
        self._client: S3Store | None = None
        self._is_writable = False
        digest = hashlib.sha256(address.public.encode()).hexdigest()[:16]
        folder = platformdirs.user_cache_path("imagesession") / "images" / digest
        self._copies = LocalCopies(folder)

    def check_room(self, turns: Collection[Turn], pending: int) -> None:  # noqa: ARG002 - a bucket is never full
        """
        Write a small object, once a process: those who may not write learn it before they pay.
        """
        if not self._is_writable:
            self.write(f"{_INNER}writable", b"")
            self._is_writable = True

    def put_new(
        self,
        turn: Turn,
        at: dt.datetime,  # noqa: ARG002 - names are contents
        image: ReceivedImage,
        recorded: Collection[str] | None = None,  # noqa: ARG002 - the same image has the same name
    ) -> str:
        digest = hashlib.sha256(image.data).hexdigest()
        key = f"{IMAGES}{turn.id}/{digest}{SUFFIXES[image.facts.format]}"
        self.write(key, image.data, MIME_TYPES[image.facts.format])
        return key

    def get(self, key: str) -> bytes:
        with _os_errors():
            return obstore.get(self._store, key).bytes().to_bytes()

    def version(self, key: str) -> object:  # noqa: ARG002 - each answer is compared with its record
        return object()

    def drop(self, key: str) -> None:
        self.finish(key)
        with self._storage_errors():
            for name in (key, _beside(key)):  # some servers cannot delete several at once
                obstore.delete(self._store, name)
        self._copies.drop(key)

    def set_aside(self, key: str) -> None:
        """
        Do nothing: people do not come upon images in a bucket.
        """

    def put_back(self, key: str) -> None:
        """
        Do nothing: it is where it was.
        """

    def find_moved(self, images: Iterable[ImageRecord]) -> dict[str, str]:  # noqa: ARG002 - as on disk
        """
        Find nothing: people rename no objects, whose names are their contents.
        """
        return {}

    def address(self, key: str) -> str:
        return f"{self.name}/{key}"

    def local_file(self, key: str) -> str:
        """
        Return the path of a copy on this machine, which is fetched if there is none, and may be
        removed once others were used later.
        """
        return self._copies.path_of(key, lambda: self.get(key))

    def url(self, key: str, seconds: float) -> str:
        with self._storage_errors():
            return obstore.sign(self._store, "GET", key, dt.timedelta(seconds=seconds))

    def annotate(self, key: str, metadata: Mapping[str, Any]) -> None:
        """
        Write metadata in a thread: nobody waits for a copy. Who reads it in this process does.
        """
        data = json.dumps(metadata, indent=1).encode("ascii")
        name = self.address(key)

        def write() -> None:
            with contextlib.suppress(StorageIOError):
                self.write(_beside(key), data, "application/json")
            _unfinished.pop(name, None)

        with contextlib.suppress(RuntimeError):  # the interpreter is shutting down
            _unfinished[name] = _writers.submit(write)

    def finish(self, key: str | None = None) -> None:
        names = list(_unfinished) if key is None else [self.address(key)]
        futures = [_unfinished.get(name) for name in names]
        wait([future for future in futures if future is not None])

    def annotation(self, key: str) -> dict[str, Any] | None:
        self.finish(key)
        with contextlib.suppress(OSError, ValueError, TypeError):
            return parse_object(self.get(_beside(key)))
        return None

    def keys(self) -> Iterator[str]:
        for key, _, _ in self.objects():
            if Path(key).suffix in _TYPES:
                yield key

    def objects(self) -> Iterator[tuple[str, int, dt.datetime]]:
        self.finish()
        with self._storage_errors():
            for chunk in obstore.list(self._store, IMAGES, chunk_size=1000):  # pyright: ignore[reportUnknownMemberType] - of another overload
                for item in chunk:
                    yield item["path"], item["size"], item["last_modified"]

    def write(self, name: str, data: bytes, media_type: str = "application/octet-stream") -> None:
        with self._storage_errors():
            for pause in _PAUSES:
                try:
                    obstore.put(self._store, name, data, attributes={"Content-Type": media_type})
                except BaseError as error:
                    if _CONFLICT not in str(error) or not pause:
                        raise
                    time.sleep(pause)
                else:
                    return

    def owner(self) -> str | None:
        try:
            with _os_errors():
                return obstore.get(self._store, f"{_INNER}library").bytes().to_bytes().decode()
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._failed(error) from error
            return None
        except OSError as error:
            raise self._failed(error) from error

    def set_owner(self, library: str) -> None:
        self.write(f"{_INNER}library", library.encode(), "text/plain")

    def honours_conditions(self) -> bool:
        name = f"{_INNER}probe/{uuid.uuid4().hex}"
        with self._storage_errors():
            try:
                for _ in range(2):
                    obstore.put(self._store, name, b"", mode="create")
            except AlreadyExistsError:
                return True
            finally:
                obstore.delete(self._store, name)
        return False

    @property
    def _store(self) -> S3Store:
        if _first_process and _first_process != {os.getpid()}:
            # The client's threads are the parent's, and calls would never return.
            raise OSError(
                errno.ENOTSUP,
                "this process was forked from one that used S3; start processes with 'spawn', or "
                "open the library after the fork",
            )
        if self._client is None:
            _first_process.add(os.getpid())
            self._client = S3Store(
                self._bucket,
                prefix=self._prefix or None,
                client_options=_CLIENT,
                retry_config=_RETRY,
            )
        return self._client

    @contextlib.contextmanager
    def _storage_errors(self) -> Generator[None, None, None]:
        try:
            with _os_errors():
                yield
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> StorageIOError:
        reason = (error.strerror or str(error)).rstrip(".")
        return StorageIOError(
            f"The bucket of {self.name} cannot be used: {reason}. Check its name and region, and "
            "the keys in the environment (AWS_ACCESS_KEY_ID, AWS_REGION, AWS_ENDPOINT_URL)."
        )


@contextlib.contextmanager
def _os_errors() -> Generator[None, None, None]:
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, _reason(error)) from None
    except (BaseError, PermissionError) as error:
        raise OSError(errno.EIO, _reason(error)) from None


def _reason(error: Exception) -> str:
    text = str(error)
    code = _CODE.search(text)
    if code is not None:
        return ": ".join(filter(None, code.groups())).rstrip(".")
    return (
        text.rsplit(" - ", maxsplit=1)[-1].split("\n", maxsplit=1)[0][:200] or type(error).__name__
    )


def _beside(key: str) -> str:
    return f"{key.rpartition('.')[0]}.json"
