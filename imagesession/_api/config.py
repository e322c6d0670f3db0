"""
The configuration of a studio: credentials, the library's path, and settings of all requests.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from imagesession._api.signatures import expand_signature
from imagesession._domain.model_catalog import load_catalogue
from imagesession._domain.options import GenerateOptions, OptionParams
from imagesession._domain.wording import quote
from imagesession._engine.bulk import validate_per_minute
from imagesession._engine.request import StudioConfig
from imagesession._engine.sessions import validate_memory
from imagesession._runtime.lazy_client import Credentials
from imagesession.errors import InvalidRequestError

if TYPE_CHECKING:
    import openai

    from imagesession._domain.budget import Budget
    from imagesession._domain.turn import ProviderState

DEFAULT_TIMEOUT = 600.0
"""Seconds after which a call gives up waiting for an accepted image."""
DEFAULT_RETRY_TIMEOUT = 60.0
"""Seconds for which a request is retried while the provider rejects it."""
DEFAULT_MAX_SESSIONS = 100
"""How many sessions may be active at once."""
DEFAULT_SESSION_IDLE_TIMEOUT = 3600.0
"""Seconds without activity after which a session is idle."""
OFFLINE = "offline: sketches drawn on this computer, not a model's work"


class StudioParams(OptionParams, total=False):
    """
    The keyword arguments of all constructors of a studio.
    """

    budget: Budget | None
    provider_state: ProviderState
    remember: int | None
    max_active_sessions: int
    session_idle_timeout: float
    timeout: float
    retry_timeout: float
    images_per_minute: float | None
    max_concurrency: int | None


_DEFAULTS: dict[str, Any] = {
    "budget": None,
    "provider_state": "responses",
    "remember": None,
    "max_active_sessions": DEFAULT_MAX_SESSIONS,
    "session_idle_timeout": DEFAULT_SESSION_IDLE_TIMEOUT,
    "timeout": DEFAULT_TIMEOUT,
    "retry_timeout": DEFAULT_RETRY_TIMEOUT,
    "images_per_minute": None,
    "max_concurrency": None,
}
takes_studio_params = expand_signature(StudioParams, **_DEFAULTS)


def build_config(keywords: Mapping[str, object]) -> StudioConfig:
    """
    Build the settings of all requests of a studio.

    Args:
        keywords: The keywords of `StudioParams`.

    Raises:
        InvalidRequestError: A keyword is unknown, or its value is not valid.
    """
    values: dict[str, Any] = {**_DEFAULTS, **keywords}
    options = {name: keywords[name] for name in keywords if name not in _DEFAULTS}
    per_minute, in_flight = (
        validate_per_minute(values["images_per_minute"]),
        values["max_concurrency"],
    )
    validate_memory(values["provider_state"], values["remember"])
    _check_budget(values["budget"])
    return StudioConfig(
        catalogue=load_catalogue(),
        options=GenerateOptions().updated(options),
        budget=values["budget"],
        provider_state=values["provider_state"] or "responses",
        remember=values["remember"],
        timeout=_seconds("timeout", values["timeout"]),
        retry_timeout=_seconds("retry_timeout", values["retry_timeout"], zero=True),
        interval=0.0 if per_minute is None else 60.0 / per_minute,
        in_flight=None if in_flight is None else _count("max_concurrency", in_flight),
        max_active_sessions=_count("max_active_sessions", values["max_active_sessions"]),
        session_idle_timeout=_seconds("session_idle_timeout", values["session_idle_timeout"]),
    )


def _check_budget(budget: object) -> None:
    if budget is None:
        return
    from imagesession._domain.budget import Budget  # noqa: PLC0415 - rarely needed

    if not isinstance(budget, Budget):
        raise InvalidRequestError(
            f"budget={quote(budget)} does not say for what. Write Budget(per_day=5.0), with "
            "per_call=, per_session= or per_day= in US dollars."
        )


def _count(name: str, value: object) -> int:
    if type(value) is int and value >= 1:
        return value
    raise InvalidRequestError(f"{name}={quote(value)} is not a whole number from 1.")


def _seconds(name: str, value: object, *, zero: bool = False) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    amount = float(cast("float", value)) if is_number else -1.0
    if amount > 0 or (zero and amount == 0):
        return amount
    raise InvalidRequestError(
        f"{name}={quote(value)} is not a number of seconds {'from' if zero else 'greater than'} 0."
    )


def has_key() -> bool:
    """
    Return whether OPENAI_API_KEY is set.
    """
    return bool(os.environ.get("OPENAI_API_KEY", "").strip())


def resolve_credentials(api_key: str | None, base_url: str | None) -> Credentials:
    """
    Return the key and address of the provider: the caller's, else the environment's.
    """
    return Credentials(
        api_key=api_key or os.environ.get("OPENAI_API_KEY"),
        base_url=base_url or os.environ.get("OPENAI_BASE_URL") or None,
    )


def describe_provider(
    access: Credentials, client: openai.OpenAI | openai.AsyncOpenAI | None
) -> str:
    """
    Describe the provider.
    """
    if client is not None:
        host = getattr(getattr(client, "base_url", None), "host", "an unknown address")
        return f"{type(client).__name__} at {host}"
    if access.base_url is not None:
        return f"the server at {access.base_url.split('//')[-1].split('@')[-1].split('/')[0]}"
    return "OpenAI"


def resolve_library_path(library: str | os.PathLike[str] | None, *, offline: bool = False) -> Path:
    """
    Return the library's path: the caller's, else the environment's, else one in the user's Pictures
    folder.
    """
    # Its text is a secret, which must not become the name of a folder, nor stand in a message.
    if isinstance(library, str) and library.startswith("sk-") and not Path(library).exists():
        raise InvalidRequestError(
            "The library's folder is named like an API key. Write Studio(api_key=…); the first "
            "argument is the folder in which images are saved."
        )
    chosen = library or os.environ.get("IMAGESESSION_LIBRARY")
    if chosen:
        return Path(chosen)
    import platformdirs  # noqa: PLC0415 - only needed without an explicit path

    pictures = platformdirs.user_pictures_path()
    return pictures / ("imagesession offline" if offline else "imagesession")
