"""
Let saved images and sessions go to other processes: pickled by library and id, without secrets.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, cast

import attrs

from imagesession._domain.options import OPTION_NAMES
from imagesession._engine.validate import validate_owner
from imagesession._runtime.lazy_client import LazyClient
from imagesession._runtime.runtime import AnyRuntime, AsyncRuntime, Runtime
from imagesession._store.team.address import is_team_address
from imagesession.errors import AuthenticationError, InvalidRequestError, NotFoundError

# By identity, as several studios may be open on a library; the latest is the last.
_open: weakref.WeakValueDictionary[int, Runtime | AsyncRuntime] = weakref.WeakValueDictionary()
# What a request may need of its studio; neither keys nor addresses, which another process takes
# from its own environment.
_SETTINGS = frozenset(
    {
        "owner",
        "budget",
        "provider_state",
        "remember",
        "max_active_sessions",
        "session_idle_timeout",
        "timeout",
        "retry_timeout",
        "images_per_minute",
        "max_concurrency",
        "telemetry",
        "filename",
        "embed_metadata",
        "mode",
    }
)


def public_settings(keywords: Mapping[str, Any]) -> dict[str, Any]:
    options = {name for name in OPTION_NAMES if not name.startswith("extra_")}
    return {name: value for name, value in keywords.items() if name in _SETTINGS | options}


def remember_open(runtime: Runtime | AsyncRuntime) -> None:
    _open[id(runtime)] = runtime


def forget_open(runtime: Runtime | AsyncRuntime) -> None:
    _open.pop(id(runtime), None)


def as_owner(runtime: AnyRuntime, owner: str) -> AnyRuntime:
    """
    Return a runtime that sees what belongs to an owner, on the same connections.
    """
    validate_owner(owner)
    if not runtime.library.sees(owner):
        raise InvalidRequestError(
            "This studio is of another owner. Call as_owner() on a studio without owner=."
        )
    reopener, (library, provider, settings) = runtime.reopen
    whose = {**cast("dict[str, Any]", settings), "owner": owner}
    seen = runtime.library.seen_by(owner)
    reopens = (reopener, (library, provider, whose))
    return attrs.evolve(runtime, library=seen, whole=runtime, reopen=reopens)


def reopen(
    kind: type[AnyRuntime],
    library: str,
    provider: str,
    owner: str | None,
    make: Callable[[], AnyRuntime],
) -> AnyRuntime:
    """
    Return the runtime of an open studio on a library; else that of a new one, which `make` opens
    from the environment.
    """
    known = _find_open(kind, library, provider, owner)
    if known is not None:
        return known
    whole = _find_open(kind, library, provider, None)
    if whole is not None and owner is not None:
        return as_owner(whole, owner)
    if not is_team_address(library) and not Path(library, ".imagesession").is_dir():
        raise NotFoundError(
            f"There is no library at {library} on this computer. Pickled images are found by their "
            "library and id; make that folder available under the same path.",
            library,
        )
    made = make()
    if made.provider == provider:
        return made

    def refuse() -> NoReturn:
        raise AuthenticationError(
            f"This image was pickled in a studio of {provider}, and this process has none. Open "
            f"Studio({library!r}, …) with the same api_key=, base_url= or client= before it is "
            "unpickled."
        )

    return attrs.evolve(made, provider=provider, connect=LazyClient[Any](refuse))


def _find_open(
    kind: type[AnyRuntime], library: str, provider: str, owner: str | None
) -> AnyRuntime | None:
    wanted = (library, provider, owner)
    for reference in reversed(_open.valuerefs()):
        known = reference()
        if isinstance(known, kind) and wanted == (
            known.library.address,
            known.provider,
            known.library.owner,
        ):
            return known
    return None
