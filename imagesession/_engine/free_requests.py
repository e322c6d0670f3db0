"""
Send free requests whose reply is needed at once, and whose failure is the caller's to know.
"""

from __future__ import annotations

from .coerce import Json
from .effects import Send, Workflow
from .http import HttpRequest, HttpResponse, TransportError
from .provider_errors import map_final_error, unreachable_error
from .responses import is_success, parse_json_object


def send_free(request: HttpRequest) -> Workflow[HttpResponse]:
    """
    Send a free request, and return its reply, whatever it says.
    """
    try:
        return (yield from Send(request))
    except TransportError as error:
        raise unreachable_error(error) from error


def read_object(reply: HttpResponse) -> Json:
    if not is_success(reply):
        raise map_final_error(reply)
    return parse_json_object(reply)
