"""
Connect to the provider only when it is needed.

Importing the openai package takes most of a second, and browsing a library does not need it. So
this module does not import it; `openai_clients` does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import attrs

from imagesession._domain.turn import Turn
from imagesession._store.forks import abandoned_in_forks
from imagesession.errors import AuthenticationError, InvalidRequestError

from .transport import AsyncTransport, Transport

_NO_KEY = (
    "There is no API key. Set the environment variable OPENAI_API_KEY, or pass api_key= or "
    "client=. Studio.offline() needs none and draws sketches."
)


class ClosableTransport(Transport, Protocol):
    """
    A transport that can be closed. If it is `owned`, it closes its client, and another one can be
    made.
    """

    @property
    def owned(self) -> bool: ...
    def close(self) -> None: ...


class AsyncClosableTransport(AsyncTransport, Protocol):
    """
    Same as `ClosableTransport`, but awaits.
    """

    @property
    def owned(self) -> bool: ...
    async def close(self) -> None: ...


AnyTransport = TypeVar("AnyTransport", bound=ClosableTransport | AsyncClosableTransport)


@attrs.define(eq=False)
class ProcessMemory:
    """
    What a studio remembers about its provider while it runs: whether it accepted a request, and the
    last turns of conversations. Another program, a copy of the library or a fork cannot know
    whether a conversation went on, and so starts a new one.
    """

    _accepted_by: set[str] = attrs.field(factory=set[str], init=False)
    _heads: dict[str, str] = attrs.field(factory=dict[str, str], init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def has_accepted(self, provider: str) -> bool:
        return provider in self._accepted_by

    def mark_accepted(self, provider: str) -> None:
        self._accepted_by.add(provider)

    def acquire_conversation(self, head: Turn) -> str | None:
        """
        Return the conversation of a turn, and the right to continue it. None if the turn is not
        the conversation's last one in this program, or another call has that right.
        """
        conversation = head.conversation
        with self._lock:
            if conversation is None or self._heads.get(conversation) != _head_key(head):
                return None
            del self._heads[conversation]
        return conversation

    def release_conversation(self, turn: Turn) -> None:
        if turn.conversation is not None:
            with self._lock:
                self._heads[turn.conversation] = _head_key(turn)


def _head_key(turn: Turn) -> str:
    return f"{turn.id} {os.getpid()}"


class LazyClient(Generic[AnyTransport]):
    """
    Makes a transport on first use, from any thread; and another one in a forked process, which must
    not write into its parent's connections.
    """

    def __init__(self, make: Callable[[], AnyTransport]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._closed = False
        self._is_parents = False
        self.made: AnyTransport | None = None
        self.memory = ProcessMemory()
        _clients.add(self)

    def __call__(self) -> AnyTransport:
        with self._lock:
            if self._closed:
                raise InvalidRequestError("This studio was closed; make another one.")
            if self._is_parents:
                raise InvalidRequestError(
                    "The parent process has used client=, whose connections cannot be shared. Make "
                    "client and studio after the fork."
                )
            if self.made is None:
                self.made = self._make()
            return self.made

    def close(self) -> AnyTransport | None:
        """
        Refuse further use; return the transport to be closed, if there is one.
        """
        with self._lock:
            self._closed = True
            return self.made

    def forget_parents_client(self) -> None:
        """
        Drop the transport that a forked process inherited. It is not closed, as that would end the
        parent's connections; and another thread of the parent may have held the lock.
        """
        self._lock = threading.Lock()
        self._is_parents = self.made is not None and not self.made.owned
        self.made = None


_clients = abandoned_in_forks(LazyClient[Any].forget_parents_client)


@attrs.frozen(kw_only=True)
class Credentials:
    """
    The key and address of the provider.

    Attributes:
        api_key: The key; None if there is none.
        base_url: The provider's address; None for the openai package's default.
    """

    api_key: str | None = attrs.field(default=None, repr=False)
    # It may contain a user name and a password.
    base_url: str | None = attrs.field(default=None, repr=False)

    def key(self) -> str:
        key = (self.api_key or "").strip()
        if not key:
            raise AuthenticationError(_NO_KEY)
        if not (key.isascii() and key.isprintable()):
            raise AuthenticationError(
                "The API key contains characters that are not valid in a key; copy it again."
            )
        return key
