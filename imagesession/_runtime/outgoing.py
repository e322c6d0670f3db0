"""
The arguments of outgoing requests: time limits, headers, and where a redirect may lead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import openai

from imagesession._domain.servers import is_same_origin
from imagesession._engine.http import HttpRequest

from .deadlines import RemainingTimeout

_CONNECT_SECONDS = 10.0
# LiteLLM repeats a failed request by itself, which may be billed each time, unless this header says
# otherwise (litellm 1.108.7, tried 2026-11-29: three paid requests became one). Others ignore it.
_NO_PROXY_RETRIES = {"x-litellm-num-retries": "0"}
_SAME_METHOD = frozenset({307, 308})


def redirect_target(response: httpx2.Response) -> str | None:
    """
    Return the URL that a request is sent to once more: a redirect within the same origin, which
    keeps the method. A redirect to another origin would take the key, the prompt and the images
    there, and one that turns a POST into a GET would lose them: both are errors.
    """
    keeps_method = response.status_code in _SAME_METHOD or response.request.method == "GET"
    if not (response.is_redirect and keeps_method):
        return None
    try:
        target = str(response.request.url.join(response.headers["location"]))
    except httpx2.InvalidURL:
        return None
    return target if is_same_origin(target, str(response.request.url)) else None


def http_client_of(client: openai.OpenAI | openai.AsyncOpenAI) -> Any:  # noqa: ANN401 - either twin
    return client._client  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the only way around its key


def plain_request(
    request: HttpRequest, url: str, deadline: RemainingTimeout, record: Callable[..., Any]
) -> httpx2.Request:
    """
    Build a request for another host, which gets neither key nor cookies nor the client's headers.
    """
    timeout = _timeout(request, deadline).as_dict()
    return httpx2.Request(
        request.method,
        url,
        headers={"Accept": "image/*"},
        extensions={"timeout": timeout, "trace": record},
    )


PLAIN: dict[str, Any] = {"stream": True, "auth": None, "follow_redirects": False}


def _timeout(request: HttpRequest, deadline: RemainingTimeout) -> httpx2.Timeout:
    connect = RemainingTimeout(min(_CONNECT_SECONDS, request.timeout))
    connect.end = deadline.end
    return httpx2.Timeout(deadline, connect=connect)


def call_arguments(request: HttpRequest, deadline: RemainingTimeout) -> dict[str, Any]:
    timeout, headers = _timeout(request, deadline), {**_NO_PROXY_RETRIES, **request.headers}
    # A client follows up to twenty redirects, to any host, with the whole body.
    options = {"timeout": timeout, "headers": headers, "follow_redirects": False}
    arguments: dict[str, Any] = {"options": options}
    if request.body is not None:
        arguments["body"] = request.body
    if request.files:
        arguments["files"] = [
            (part.field, (part.name, part.data, part.mime)) for part in request.files
        ]
        headers["Content-Type"] = "multipart/form-data"
    return arguments
