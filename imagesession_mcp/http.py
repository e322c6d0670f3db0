"""
The server over streamable HTTP: who may call it, and from where.
"""

from __future__ import annotations

import hashlib
import hmac
import socket
import sys

import uvicorn
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse

import imagesession
from imagesession_mcp.lifespan import Lifespan
from imagesession_mcp.server import build_server
from imagesession_mcp.settings import Doors, Principal, Settings
from imagesession_mcp.tasks import Tasks

_LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
_GRACE = 2
"""Seconds for which calls that are being answered may go on when the server is told to stop."""


class Tokens:
    """
    Tells by a token who calls.
    """

    def __init__(self, principals: tuple[Principal, ...]) -> None:
        self._names = {_digest(one.token): one.name for one in principals}

    async def verify_token(self, token: str) -> AccessToken | None:
        """
        Find out whose token it is, in a time that does not tell how much of it is right.

        Args:
            token: What the caller showed.

        Returns:
            Who calls, without the token, for it is nobody else's business; None for nobody known.
        """
        shown = _digest(token)
        known = [name for digest, name in self._names.items() if hmac.compare_digest(digest, shown)]
        return AccessToken(token="", client_id=known[0], scopes=[]) if known else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def security(doors: Doors) -> TransportSecuritySettings:
    """
    List the hosts and origins that may be named in requests; all others are turned away.

    Args:
        doors: Where the server is reached.
    """
    given = (
        doors.allow_hosts if doors.is_everywhere else (_bracketed(doors.host), *doors.allow_hosts)
    )
    names = (*_LOCAL_NAMES, *(name for name in given if name not in _LOCAL_NAMES))
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[pattern for name in names for pattern in (name, f"{name}:*")],
        allowed_origins=[
            *(f"http://{name}{port}" for name in _LOCAL_NAMES for port in ("", ":*")),
            *doors.allow_origins,
        ],
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def guarded(settings: Settings, doors: Doors, tasks: Tasks | None = None) -> MCPServer[Lifespan]:
    """
    Make a server that lets in only those who may call.

    Args:
        settings: How it runs.
        doors: Where it is reached.
        tasks: How it answers calls that take long; None for the usual.
    """
    extensions = [tasks or Tasks()]
    if not doors.principals:
        return build_server(settings, extensions=extensions)
    issuer = AnyHttpUrl(f"http://{_bracketed(doors.host)}:{doors.port}")
    auth = AuthSettings(issuer_url=issuer, resource_server_url=None)
    verifier = Tokens(doors.principals)
    return build_server(settings, extensions=extensions, auth=auth, token_verifier=verifier)


def mount(server: MCPServer[Lifespan], doors: Doors) -> Starlette:
    """
    Make the web application: the server at /mcp, and /healthz for whoever watches over it.

    Args:
        server: The server.
        doors: Where it is reached.
    """
    server.custom_route("/healthz", methods=["GET"], include_in_schema=False)(_healthy)
    return server.streamable_http_app(
        stateless_http=doors.stateless,
        # Plain JSON has no room for progress.
        json_response=False,
        transport_security=security(doors),
        host=doors.host,
    )


async def _healthy(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok", "version": imagesession.__version__})


def build_app(settings: Settings, doors: Doors) -> Starlette:
    """
    Make the web application of a server.

    Args:
        settings: How the server runs.
        doors: Where it is reached.
    """
    return mount(guarded(settings, doors), doors)


async def serve(settings: Settings, doors: Doors) -> None:
    """
    Serve until told to stop by a signal.

    Args:
        settings: How the server runs.
        doors: Where it is reached.

    Raises:
        SystemExit: The address cannot be listened on; a sentence was written to stderr.
    """
    await listen(build_app(settings, doors), doors)


async def listen(app: Starlette, doors: Doors) -> None:
    """
    Listen for an application's callers, and say on stderr where.

    Args:
        app: The application.
        doors: Where it is reached.

    Raises:
        SystemExit: As for `serve`.
    """
    with _bound(doors) as listening:
        port = listening.getsockname()[1]
        host = _bracketed(doors.host)
        sys.stderr.write(f"imagesession-mcp listens on http://{host}:{port}/mcp\n")
        sys.stderr.flush()
        config = uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=_GRACE
        )
        await uvicorn.Server(config).serve(sockets=[listening])


def _bound(doors: Doors) -> socket.socket:
    family = socket.AF_INET6 if ":" in doors.host else socket.AF_INET
    try:
        return socket.create_server((doors.host, doors.port), family=family)
    except OSError as error:
        reason = error.strerror or "the name is not known"
        where = f"{_bracketed(doors.host)}:{doors.port}"
        sys.exit(f"imagesession-mcp: it cannot listen on {where}: {reason}. Choose another --port.")
