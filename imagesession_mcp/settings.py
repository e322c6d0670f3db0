"""
What the person who runs the server decides; agents cannot change any of it.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal, TypeAlias

import attrs

ProviderState: TypeAlias = Literal["responses", "conversation", "none"]


@attrs.frozen(kw_only=True)
class Settings:
    """
    How the server runs.

    Attributes:
        library: The folder where pictures are kept; None is imagesession's own choice.
        offline: Whether sketches are drawn on this computer, without a key and without cost.
        allow_dirs: Folders, beside the library, from which files named in calls are read.
        daily_budget: US dollars that may be spent from midnight to midnight UTC; None is no limit.
        provider_state: What the provider keeps of each turn.
        wait_seconds: Seconds after which a call answers with a handle while the picture is made.
        preview_bytes: The most that a result's preview may weigh, before base64; 0 for none.
        patience: Seconds for which to ask again while the provider turns requests away.
        http: Whether it is reached over HTTP.
        alone: Whether its process does nothing else.
    """

    library: Path | None = None
    offline: bool = False
    allow_dirs: tuple[Path, ...] = ()
    daily_budget: float | None = 5.0
    provider_state: ProviderState = "responses"
    wait_seconds: float = 45.0
    preview_bytes: int = 75_000
    patience: float = 60.0
    http: bool = False
    alone: bool = False


@attrs.frozen
class Principal:
    """
    Somebody who may call over HTTP.

    Attributes:
        name: Who it is; their pictures are kept apart from everybody else's.
        token: What they show.
    """

    name: str
    token: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Doors:
    """
    Where the server is reached over HTTP, and by whom.

    Attributes:
        host: The address that it listens on.
        port: The port; 0 for any that is free.
        principals: Who may call; nobody has to say who they are where there are none.
        allow_hosts: Names by which clients may call it, beside those of this computer.
        allow_origins: Origins of web pages that may call it, beside those of this computer.
        stateless: Whether each request stands alone, so that any copy of the server answers it.
            Otherwise clients of 2025-11-25 have sessions, in which a server can ask them
            questions; no tool of ours does.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    principals: tuple[Principal, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    allow_origins: tuple[str, ...] = ()
    stateless: bool = True

    @property
    def is_local(self) -> bool:
        """
        Whether only this computer can call.
        """
        address = _address(self.host)
        return self.host == "localhost" if address is None else address.is_loopback

    @property
    def is_everywhere(self) -> bool:
        """
        Whether it listens on every address that this computer has.
        """
        address = _address(self.host)
        return address is not None and address.is_unspecified


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
