"""
The configuration of a studio: credentials, the library, and settings of all requests.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import urlsplit

import attrs

from imagesession._api.signatures import expand_signature
from imagesession._domain.call_settings import CallSettings
from imagesession._domain.extras import needs_extra
from imagesession._domain.foreign_words import unknown_option
from imagesession._domain.model_catalog import ModelCatalog, load_catalogue
from imagesession._domain.options import OPTION_NAMES, GenerateOptions, OptionParams
from imagesession._domain.prices import read_prices
from imagesession._domain.servers import (
    ServerProfile,
    builtin_servers,
    find_server,
    named_server,
    read_profile,
    read_servers,
)
from imagesession._domain.wording import quote
from imagesession._engine.bulk import validate_per_minute
from imagesession._engine.request import StudioConfig
from imagesession._engine.validate import validate_api, validate_memory, validate_owner
from imagesession._runtime.lazy_client import Credentials
from imagesession._store.disk.library import open_library
from imagesession._store.library import LibraryStore
from imagesession._store.team.address import is_team_address
from imagesession.errors import InvalidRequestError

if TYPE_CHECKING:
    import openai

    from imagesession._domain.budget import Budget
    from imagesession._domain.prices import Price
    from imagesession._domain.turn import Api, ProviderState
    from imagesession._runtime.telemetry import Telemetry

Server: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any]"
"""A server's name in the built-in table, the path of a table of your own, or a server's facts."""
DEFAULT_TIMEOUT = 600.0
"""Seconds after which a call gives up waiting for an accepted image."""
DEFAULT_RETRY_TIMEOUT = 60.0
"""Seconds for which a request is retried while the provider rejects it."""
DEFAULT_MAX_SESSIONS = 100
"""How many sessions may be active at once."""
DEFAULT_SESSION_IDLE_TIMEOUT = 3600.0
"""Seconds without activity after which a session is idle."""
OFFLINE_HOST = "offline.imagesession"
_OPENAI_URL = "https://api.openai.com/v1"
OFFLINE = "offline: sketches drawn on this computer, not a model's work"


class StudioParams(OptionParams, total=False):
    owner: str | None
    budget: Budget | None
    server: Server | None
    api: Api
    prices: Mapping[str, Price] | None
    provider_state: ProviderState
    remember: int | None
    max_active_sessions: int
    session_idle_timeout: float
    timeout: float
    retry_timeout: float
    images_per_minute: float | None
    max_concurrency: int | None
    telemetry: Telemetry
    extra_headers: Mapping[str, str] | None
    extra_body: Mapping[str, Any] | None
    filename: str | None
    embed_metadata: bool
    mode: int | None


_DEFAULTS: dict[str, Any] = {
    "owner": None,
    "budget": None,
    "server": None,
    "api": "responses",
    "prices": None,
    "provider_state": "responses",
    "remember": None,
    "max_active_sessions": DEFAULT_MAX_SESSIONS,
    "session_idle_timeout": DEFAULT_SESSION_IDLE_TIMEOUT,
    "timeout": DEFAULT_TIMEOUT,
    "retry_timeout": DEFAULT_RETRY_TIMEOUT,
    "images_per_minute": None,
    "max_concurrency": None,
    "telemetry": False,
    "extra_headers": None,
    "extra_body": None,
    "filename": None,
    "embed_metadata": False,
    "mode": None,
}
_OF_LIBRARY = ("filename", "embed_metadata", "mode")
takes_studio_params = expand_signature(StudioParams, **_DEFAULTS)


def build_config(
    keywords: Mapping[str, object], host: str, headers: Mapping[str, object] = MappingProxyType({})
) -> StudioConfig:
    """
    Build the settings of all requests of a studio: from its keywords, the host of its provider, and
    the headers that its client sends by itself.
    """
    values: dict[str, Any] = {**_DEFAULTS, **keywords}
    options = {name: keywords[name] for name in keywords if name not in _DEFAULTS}
    for name in options.keys() - {*OPTION_NAMES, "aspect_ratio"}:
        raise unknown_option(name, options[name], (*_DEFAULTS, *OPTION_NAMES))
    per_minute = validate_per_minute(values["images_per_minute"])
    in_flight = values["max_concurrency"]
    validate_memory(values["provider_state"], values["remember"])
    server = resolve_server(values["server"], host)
    if server.model_header in {name.lower() for name in headers}:
        server = attrs.evolve(server, model_header=None)
    _check_budget(values["budget"])
    return StudioConfig(
        catalogue=_build_catalogue(server, values["prices"]),
        server=server,
        api=validate_api(values["api"]),
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
    ).for_call(CallSettings(extra_headers=values["extra_headers"], extra_body=values["extra_body"]))


def _build_catalogue(server: ServerProfile, prices: Mapping[str, Price] | None) -> ModelCatalog:
    """
    Return the catalogue for a server: its own default for images, and prices given by hand.
    """
    catalogue = load_catalogue()
    chosen = server.image_model
    image = catalogue.image if chosen is None else chosen or f"the model of {server.name}"
    own = {} if server.price is None else dict.fromkeys(("*", image), server.price)
    return attrs.evolve(
        catalogue, image=image, own_prices={**read_prices(own), **read_prices(prices)}
    )


def resolve_server(server: Server | None, host: str) -> ServerProfile:
    """
    Return the profile of the server that the user names, or that its host tells.
    """
    if server is None:
        return find_server(builtin_servers(), host) or ServerProfile(name=host)
    if isinstance(server, Mapping):
        facts = {name: value for name, value in server.items() if name != "name"}
        return read_profile(str(server.get("name", host)), facts, "server=")
    if isinstance(server, str) and not server.lower().endswith(".toml"):
        return named_server(server)
    if not isinstance(server, (str, os.PathLike)):  # pyright: ignore[reportUnnecessaryIsInstance] - what a caller passes
        raise InvalidRequestError(
            f"server={server!r} is neither a name, nor a path, nor a mapping of facts."
        )
    profiles = _read_servers_file(Path(server))
    found = find_server(profiles, host)
    if found is None and len(profiles) != 1:
        raise InvalidRequestError(
            f"{server} has {len(profiles)} servers, and none has {host!r} among its hosts. Add it "
            "to the hosts of one."
        )
    return found or next(iter(profiles.values()))


def _read_servers_file(path: Path) -> Mapping[str, ServerProfile]:
    try:
        data = tomllib.loads(path.expanduser().read_text("utf-8"))
    except (OSError, ValueError, RuntimeError) as error:
        raise InvalidRequestError(f"The table of servers {path} cannot be read: {error}.") from None
    return read_servers(data, str(path))


def _check_budget(budget: object) -> None:
    if budget is None:
        return
    from imagesession._domain.budget import Budget  # noqa: PLC0415 - rarely needed

    if not isinstance(budget, Budget):
        raise InvalidRequestError(
            f"budget={quote(budget)} does not say for what. Write Budget(per_day=5.0), with "
            "per_call=, per_session=, per_day= or per_owner_per_day= in US dollars."
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
    return bool(os.environ.get("OPENAI_API_KEY", "").strip())


def resolve_credentials(api_key: str | None, base_url: str | None) -> Credentials:
    """
    Return the caller's key and address, else the environment's.
    """
    return Credentials(
        api_key=_pasted(api_key) or _pasted(os.environ.get("OPENAI_API_KEY")),
        base_url=_pasted(base_url) or _pasted(os.environ.get("OPENAI_BASE_URL")),
    )


def _pasted(setting: object) -> str | None:
    """
    Return a setting without the blanks, line ends and quotation marks that come along when it is
    copied; None if nothing is left.
    """
    return str(setting or "").strip().strip("\"'").strip() or None


def host_of(access: Credentials, client: openai.OpenAI | openai.AsyncOpenAI | None) -> str:
    if client is not None:
        return str(getattr(getattr(client, "base_url", None), "host", ""))
    try:
        return urlsplit(access.base_url or _OPENAI_URL).hostname or ""
    except ValueError:
        return ""  # the client says what is wrong with it


def headers_of(client: openai.OpenAI | openai.AsyncOpenAI | None) -> Mapping[str, object]:
    if isinstance(client, type):
        return {}  # a class, which is refused when it is to send
    return cast("Mapping[str, object]", getattr(client, "default_headers", {}))


def describe_provider(
    access: Credentials, client: openai.OpenAI | openai.AsyncOpenAI | None
) -> str:
    if client is not None:
        host = getattr(getattr(client, "base_url", None), "host", "an unknown address")
        return f"{type(client).__name__} at {host}"
    if access.base_url is not None:
        return f"the server at {access.base_url.split('//')[-1].split('@')[-1].split('/')[0]}"
    return "OpenAI"


def open_store(
    library: str | os.PathLike[str] | None,
    keywords: Mapping[str, Any],
    *,
    offline: bool = False,
) -> LibraryStore:
    """
    Open the library of a studio, as its owner sees it: in the folder or under the URL that the
    caller names, else the environment's, else one in the user's Pictures folder.
    """
    chosen = _resolve_library(library, offline=offline)
    given = {name: keywords[name] for name in _OF_LIBRARY if keywords.get(name) is not None}
    if isinstance(chosen, Path):
        store = open_library(chosen, **given)
    else:
        store = _open_team_library(chosen, **given)
    if keywords.get("telemetry"):
        from imagesession._runtime import telemetry  # noqa: PLC0415 - rarely needed

        store.state.on_settled = telemetry.recorder(keywords["telemetry"])
    owner = keywords.get("owner")
    return store if owner is None else store.seen_by(validate_owner(owner))


def _open_team_library(url: str, *, embed_metadata: bool = False, **unused: object) -> LibraryStore:
    if unused:
        raise InvalidRequestError(
            f"{next(iter(unused))}= is for libraries in folders. In a bucket, images are named by "
            "their content, and its policy says who may read them."
        )
    with needs_extra("team", "A library on PostgreSQL"):
        from imagesession._store.team.library import open_library as open_on_servers  # noqa: PLC0415 - an extra

    store = open_on_servers(url)
    store.state.embeds_metadata = bool(embed_metadata)
    return store


def _as_folder(library: str | os.PathLike[str]) -> Path:
    try:
        return Path(library)
    except TypeError:
        raise InvalidRequestError(
            f"The library is {quote(library)}; give the path of a folder as text or as a Path."
        ) from None


def _resolve_library(library: str | os.PathLike[str] | None, *, offline: bool) -> Path | str:
    # Its text is a secret, which must not become the name of a folder, nor stand in a message.
    if isinstance(library, str) and library.startswith("sk-") and not Path(library).exists():
        raise InvalidRequestError(
            "The library's folder is named like an API key. Write Studio(api_key=…); the first "
            "argument is the folder in which images are saved."
        )
    chosen = library or _pasted(os.environ.get("IMAGESESSION_LIBRARY"))
    if isinstance(chosen, str) and is_team_address(chosen):
        return chosen
    if chosen:
        return _as_folder(chosen)
    import platformdirs  # noqa: PLC0415 - only needed without an explicit path

    pictures = platformdirs.user_pictures_path()
    return pictures / ("imagesession offline" if offline else "imagesession")
