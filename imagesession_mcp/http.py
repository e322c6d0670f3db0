"""
The server over streamable HTTP, with authentication and checks of host and origin.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import socket
import sys
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import uvicorn
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

import imagesession
from imagesession.errors import ImageSessionError
from imagesession_mcp.downloads import DownloadAddresses
from imagesession_mcp.errors import in_words_of_tools
from imagesession_mcp.option_values import Principal
from imagesession_mcp.server import Server, build_server
from imagesession_mcp.settings import Settings
from imagesession_mcp.tasks_extension import TasksExtension

# An image of the largest size that upload_image takes, in base64, and what is around it.
_MAX_BODY = 14_500_000
# A downloaded SVG must not run in a browser, and an address must not travel on.
_SAFE = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "sandbox",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_LEFT = "A client left before its request ended"
_LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
GRACE_SECONDS = 2
"""Seconds that running calls have to finish when the server stops."""


class BearerTokens:
    """
    Verifies bearer tokens.
    """

    def __init__(self, principals: tuple[Principal, ...]) -> None:
        self._principals = principals

    async def verify_token(self, token: str) -> AccessToken | None:
        """
        Return the access of a token's principal, without the token, which is not needed further;
        None if it is unknown. The comparison tells nothing by its time but a token's length.
        """
        given = token.encode("utf-8", "surrogatepass")
        for principal in self._principals:
            if hmac.compare_digest(principal.token.encode(), given):
                return AccessToken(token="", client_id=principal.name, scopes=[])
        return None


def transport_security(settings: Settings) -> TransportSecuritySettings:
    """
    Return the hosts and origins that requests may name; all others are rejected.
    """
    own = () if settings.is_everywhere else (_bracketed(settings.host),)
    names = dict.fromkeys((*_LOCAL_NAMES, *own, *settings.allow_hosts))
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[pattern for name in names for pattern in (name, f"{name}:*")],
        allowed_origins=[
            *(f"http://{name}{port}" for name in _LOCAL_NAMES for port in ("", ":*")),
            *settings.allow_origins,
        ],
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def build_authenticated_server(settings: Settings, tasks: TasksExtension | None = None) -> Server:
    """
    Build a server that accepts calls only from its principals, if it has any.
    """
    principals, auth = settings.principals, dict[str, Any]()
    if principals:
        issuer = AnyHttpUrl(f"http://{_bracketed(settings.host)}:{settings.port}")
        auth["auth"] = AuthSettings(issuer_url=issuer, resource_server_url=None)
        auth["token_verifier"] = BearerTokens(principals)
    extensions, downloads = [tasks or TasksExtension()], DownloadAddresses(principals)
    return build_server(settings, extensions=extensions, downloads=downloads, **auth)


def build_asgi_app(server: Server, settings: Settings, *, stateless: bool = True) -> Starlette:
    """
    Build the web application: the server at /mcp, /healthz for monitoring, and the addresses of
    images under /images. Stateless, any instance can answer any request; otherwise clients of
    protocol 2025-11-25 have sessions, in which a server can send them requests, as no tool here
    does.
    """
    server.custom_route("/healthz", methods=["GET"])(_health)
    server.custom_route("/images/{image_id}", methods=["GET"])(partial(_download, server))
    return server.streamable_http_app(
        stateless_http=stateless,
        # A plain JSON response cannot carry progress notifications.
        json_response=False,
        max_request_body_size=_MAX_BODY,
        transport_security=transport_security(settings),
        host=settings.host,
    )


async def _health(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok", "version": imagesession.__version__})


async def _download(server: Server, request: Request) -> Response:
    state, image_id = server.state, str(request.path_params["image_id"])
    if state is None or state.downloads is None:
        return JSONResponse({"error": "The server is starting or stopping."}, 503)
    principal = state.downloads.check(image_id, request.query_params)
    if principal is None:
        why = "The address is altered or has expired; view_image returns another."
        return JSONResponse({"error": why}, 403)
    try:
        image = await state.studio(principal).images.get(image_id)
        data = await asyncio.to_thread(lambda: image.bytes)
    except ImageSessionError as error:
        return JSONResponse({"error": in_words_of_tools(error.message)}, 404)
    name = PurePosixPath(image.record.file).name
    headers = {**_SAFE, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(data, media_type=image.mime_type, headers=headers)


async def serve(settings: Settings) -> None:
    """
    Serve until a signal stops the process.

    Raises:
        SystemExit: The server cannot listen on the address; a message was written to stderr.
    """
    logging.getLogger("mcp.server.streamable_http").addFilter(_shorten_disconnect)
    server = build_authenticated_server(settings)
    await run_uvicorn(build_asgi_app(server, settings), settings)


def _shorten_disconnect(record: logging.LogRecord) -> bool:
    """
    Log a client that left in mid-request in one line; it is no error of the server.
    """
    if record.exc_info and isinstance(record.exc_info[1], ClientDisconnect):
        record.msg, record.args, record.exc_info = _LEFT, (), None
    return True


async def run_uvicorn(app: Starlette, settings: Settings) -> None:
    """
    Serve an application with uvicorn, and write its URL to stderr.
    """
    with bind(settings) as listener:
        port = listener.getsockname()[1]
        host = _bracketed(settings.host)
        sys.stderr.write(f"imagesession-mcp listens on http://{host}:{port}/mcp\n")
        sys.stderr.flush()
        config = uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE_SECONDS
        )
        await uvicorn.Server(config).serve(sockets=[listener])


def bind(settings: Settings) -> socket.socket:
    """
    Return a socket that listens on the server's address; exit if there can be none.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        reason = error.strerror or "the name is not known"
        where = f"{_bracketed(settings.host)}:{settings.port}"
        sys.exit(f"imagesession-mcp: cannot listen on {where}: {reason}. Choose another --port.")
    # Connections inherit it. asyncio sets it only on sockets that name their protocol, and without
    # it each answer waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
