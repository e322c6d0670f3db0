"""
What a studio is made from: credentials, where images are stored, and what holds for all requests.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from imagesession._api.signatures import expand_signature
from imagesession._drive.connection import Access
from imagesession._model.catalogue import load_catalogue
from imagesession._model.options import OptionKeywords, Options
from imagesession._plan.jobs import check_per_minute
from imagesession._plan.sessions import check_memory
from imagesession._plan.wishes import Terms
from imagesession.errors import CallError

if TYPE_CHECKING:
    import openai

    from imagesession._model.budgets import Budget
    from imagesession._model.turns import ProviderState

DEFAULT_TIMEOUT = 600.0
"""Seconds after which a picture that was accepted is no longer waited for."""
DEFAULT_RETRY_TIMEOUT = 60.0
"""Seconds for which a request is retried while the provider turns it away."""
DEFAULT_MAX_SESSIONS = 100
"""How many sessions may be active at once."""
DEFAULT_SESSION_IDLE_TIMEOUT = 3600.0
"""Seconds after which a session in which nothing happens is idle."""
OFFLINE = "offline: sketches drawn on this computer, not a model's work"


class StudioParams(OptionKeywords, total=False):
    """
    The keywords of every way to make a studio.
    """

    budget: Budget | None
    provider_state: ProviderState
    remember: int | None
    max_sessions: int
    idle_after: float
    timeout: float
    patience: float
    images_per_minute: float | None
    max_in_flight: int | None


_DEFAULTS: dict[str, Any] = {
    "budget": None,
    "provider_state": "responses",
    "remember": None,
    "max_sessions": DEFAULT_MAX_SESSIONS,
    "idle_after": DEFAULT_SESSION_IDLE_TIMEOUT,
    "timeout": DEFAULT_TIMEOUT,
    "patience": DEFAULT_RETRY_TIMEOUT,
    "images_per_minute": None,
    "max_in_flight": None,
}
takes_studio_params = expand_signature(StudioParams, **_DEFAULTS)


def build_config(keywords: Mapping[str, object]) -> Terms:
    """
    Return what holds for all requests of a studio.

    Args:
        keywords: Those of `StudioParams`.

    Raises:
        CallError: A keyword is unknown, or its value is wrong.
    """
    given: dict[str, Any] = {**_DEFAULTS, **keywords}
    options = {name: keywords[name] for name in keywords if name not in _DEFAULTS}
    per_minute, in_flight = check_per_minute(given["images_per_minute"]), given["max_in_flight"]
    check_memory(given["provider_state"], given["remember"])
    return Terms(
        catalogue=load_catalogue(),
        options=Options().updated(options),
        budget=given["budget"],
        provider_state=given["provider_state"] or "responses",
        remember=given["remember"],
        timeout=_seconds("timeout", given["timeout"]),
        patience=_seconds("patience", given["patience"], zero=True),
        interval=0.0 if per_minute is None else 60.0 / per_minute,
        in_flight=None if in_flight is None else _count("max_in_flight", in_flight),
        max_sessions=_count("max_sessions", given["max_sessions"]),
        idle_after=_seconds("idle_after", given["idle_after"]),
    )


def _count(name: str, value: object) -> int:
    if type(value) is int and value >= 1:
        return value
    raise CallError(f"{name}={value!r} is not a whole number from 1.")


def _seconds(name: str, value: object, *, zero: bool = False) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    amount = float(cast("float", value)) if is_number else -1.0
    if amount > 0 or (zero and amount == 0):
        return amount
    raise CallError(
        f"{name}={value!r} is not a number of seconds {'from' if zero else 'greater than'} 0."
    )


def has_key() -> bool:
    """
    Return whether the environment has a key.
    """
    return bool(os.environ.get("OPENAI_API_KEY", "").strip())


def resolve_credentials(api_key: str | None, base_url: str | None) -> Access:
    """
    Return how to reach the provider: as the caller says, else as the environment does.
    """
    return Access(
        api_key=api_key or os.environ.get("OPENAI_API_KEY"),
        base_url=base_url or os.environ.get("OPENAI_BASE_URL") or None,
    )


def describe_provider(access: Access, client: openai.OpenAI | openai.AsyncOpenAI | None) -> str:
    """
    Name in words the provider that will answer.
    """
    if client is not None:
        host = getattr(getattr(client, "base_url", None), "host", "an unknown place")
        return f"{type(client).__name__} at {host}"
    if access.base_url is not None:
        return f"the server at {access.base_url.split('//')[-1].split('@')[-1].split('/')[0]}"
    return "OpenAI"


def resolve_library_path(library: str | os.PathLike[str] | None, *, offline: bool = False) -> Path:
    """
    Return where the library is: where the caller says, else the environment, else among the
    user's images.
    """
    chosen = library or os.environ.get("IMAGESESSION_LIBRARY")
    if chosen:
        return Path(chosen)
    import platformdirs  # noqa: PLC0415 - not everybody leaves the choice to it

    pictures = platformdirs.user_pictures_path()
    return pictures / ("imagesession offline" if offline else "imagesession")
