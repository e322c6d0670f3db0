"""
The settings of one call: how long it may take, and what goes out in addition to the library's own.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final, cast

import attrs

from imagesession.errors import InvalidRequestError

from .wording import quote

_OWN_FIELDS: Final = re.compile(
    r"model|input|tools|tool_choice|store|stream|background|conversation|previous_response_id"
    r"|instructions|metadata|prompt|n|images?|mask|markup|partial_images"
)
_OWN_HEADERS: Final = re.compile(
    r"(proxy-)?authorization|(x-)?api-key|host|connection|content-(type|length)|transfer-encoding",
    re.IGNORECASE,
)
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _check_timeout(_: object, __: attrs.Attribute[Any], value: object) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is None or (is_number and 0 < cast("float", value) < math.inf):
        return
    raise InvalidRequestError(f"timeout={quote(value)} is not a number of seconds greater than 0.")


def _check_headers(_: object, __: attrs.Attribute[Any], value: object) -> None:
    """
    Check extra headers. Messages do not show their values, which may be secret.
    """
    for name, text in _items("extra_headers", value):
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise InvalidRequestError(f"extra_headers has {quote(name)}, which names no header.")
        if _OWN_HEADERS.fullmatch(name):
            raise InvalidRequestError(
                f"extra_headers cannot replace {quote(name)}, which the client sends. Use "
                "api_key=, or client= with a client of your own."
            )
        if not isinstance(text, str) or not (text.isascii() and text.isprintable()):
            raise InvalidRequestError(
                f"The value of {quote(name)} in extra_headers is not one line of ASCII text."
            )


def _check_body(_: object, __: attrs.Attribute[Any], value: object) -> None:
    for name, _value in _items("extra_body", value):
        if not isinstance(name, str) or _OWN_FIELDS.fullmatch(name):
            raise InvalidRequestError(
                f"extra_body cannot replace {quote(name)}, which this library sends. Use the "
                "arguments and options of the call."
            )
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(f"extra_body cannot be sent as JSON: {error}.") from error


def _items(argument: str, value: object) -> tuple[tuple[object, object], ...]:
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise InvalidRequestError(f"{argument}={quote(value)} is not a mapping by name.")
    return tuple(cast("Mapping[object, object]", value).items())


@attrs.frozen(kw_only=True)
class CallSettings:
    """
    How the paid requests of a call are sent: the seconds to wait for the image, None for the
    studio's, and what goes out in addition to the client's headers and the library's fields.
    """

    timeout: float | None = attrs.field(default=None, validator=_check_timeout)
    extra_headers: Mapping[str, str] | None = attrs.field(
        default=None, validator=_check_headers, repr=False
    )
    extra_body: Mapping[str, Any] | None = attrs.field(
        default=None, validator=_check_body, repr=False
    )
