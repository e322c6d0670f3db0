"""
What a studio is made from: who is asked, where pictures are kept, and on which terms.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

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

TIMEOUT = 600.0
"""Seconds after which a picture that was accepted is no longer waited for."""
PATIENCE = 60.0
"""Seconds for which to ask again while the provider turns requests away."""
MAX_SESSIONS = 100
"""How many sessions may be active at once."""
IDLE_AFTER = 3600.0
"""Seconds after which a session in which nothing happens is idle."""
OFFLINE = "offline: sketches drawn on this computer, not a model's work"


def check_terms(
    options: OptionKeywords,
    *,
    budget: Budget | None,
    provider_state: object,
    remember: object,
    max_sessions: object,
    idle_after: object,
    timeout: object,
    patience: object,
    images_per_minute: object,
    max_in_flight: object,
) -> Terms:
    """
    Return what holds for everything that a studio asks, if it makes sense.

    Raises:
        CallError: It does not.
    """
    per_minute = check_per_minute(images_per_minute)
    check_memory(provider_state, remember)
    return Terms(
        catalogue=load_catalogue(),
        options=Options().updated(options),
        budget=budget,
        provider_state=cast("ProviderState | None", provider_state) or "responses",
        remember=cast("int | None", remember),
        timeout=_seconds("timeout", timeout),
        patience=_seconds("patience", patience, zero=True),
        interval=0.0 if per_minute is None else 60.0 / per_minute,
        in_flight=None if max_in_flight is None else _count("max_in_flight", max_in_flight),
        max_sessions=_count("max_sessions", max_sessions),
        idle_after=_seconds("idle_after", idle_after),
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
    Tell whether the environment names a key.
    """
    return bool(os.environ.get("OPENAI_API_KEY", "").strip())


def find_access(api_key: str | None, base_url: str | None) -> Access:
    """
    Return how to reach the provider: as the caller says, else as the environment does.
    """
    return Access(
        api_key=api_key or os.environ.get("OPENAI_API_KEY"),
        base_url=base_url or os.environ.get("OPENAI_BASE_URL") or None,
    )


def name_provider(access: Access, client: openai.OpenAI | openai.AsyncOpenAI | None) -> str:
    """
    Say in words who will answer.
    """
    if client is not None:
        host = getattr(getattr(client, "base_url", None), "host", "an unknown place")
        return f"{type(client).__name__} at {host}"
    if access.base_url is not None:
        return f"the server at {access.base_url.split('//')[-1].split('@')[-1].split('/')[0]}"
    return "OpenAI"


def choose_folder(library: str | os.PathLike[str] | None, *, offline: bool = False) -> Path:
    """
    Return where the library is: where the caller says, else the environment, else among the
    user's pictures.
    """
    chosen = library or os.environ.get("IMAGESESSION_LIBRARY")
    if chosen:
        return Path(chosen)
    import platformdirs  # noqa: PLC0415 - not everybody leaves the choice to it

    pictures = platformdirs.user_pictures_path()
    return pictures / ("imagesession offline" if offline else "imagesession")
