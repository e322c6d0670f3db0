"""
Unsupported features: each request that uses one is refused until it is accepted again, as by
gateways and compatible servers that have only a part of the API.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Final, Literal, TypeAlias, cast, get_args

import attrs

from imagesession._fake_openai.errors import error_answer
from imagesession._fake_openai.http import FakeRequest, FakeResponse, Json
from imagesession._fake_openai.images_request import streams

Feature: TypeAlias = Literal[
    "background",
    "stream",
    "store",
    "files",
    "conversation",
    "previous_response_id",
    "prompt_cache_key",
]
FEATURES: Final[tuple[Feature, ...]] = get_args(Feature)
_FILE_PARAMS = ("input", "tools", "images", "mask", "markup")


def _error(message: str, param: str, code: str | None = None) -> Json:
    return {"message": message, "type": "invalid_request_error", "param": param, "code": code}


# Errors that services, gateways and compatible servers have been seen to send. None was found for
# a conversation; its message is a gateway's for another parameter.
_WORDS: Final[Mapping[Feature, Json]] = {
    "background": _error("The image_generation tool is not supported in background mode.", "tools"),
    "stream": _error(
        "Your organization must be verified to stream this model. Please go to: "
        "https://platform.openai.com/settings/organization/general and click on Verify "
        "Organization. If you just verified, it can take up to 15 minutes for access to propagate.",
        "stream",
        "unsupported_value",
    ),
    "store": _error("Store must be set to false", "store"),
    "files": _error(
        "Invalid input: Expected file type to be a supported format: .pdf but got .png.", "input"
    ),
    "conversation": _error("Unsupported parameter: conversation", "conversation"),
    "previous_response_id": _error(
        "Previous response cannot be used for this organization due to Zero Data Retention.",
        "previous_response_id",
    ),
    "prompt_cache_key": _error(
        "Unrecognized request argument supplied: prompt_cache_key", "prompt_cache_key"
    ),
}


@attrs.frozen(kw_only=True)
class Refusal:
    """
    The error for a feature.
    """

    status: int
    error: Mapping[str, object]


class Refusals:
    """
    The features that are refused.
    """

    def __init__(self) -> None:
        self._refused: dict[Feature, Refusal] = {}

    def refuse(self, feature: Feature, status: int, error: Mapping[str, object] | None) -> None:
        """
        Refuse a feature from now on.

        Raises:
            ValueError: The feature is unknown.

        """
        known = _known(feature)
        self._refused[known] = Refusal(status=status, error=error or _WORDS[known])

    def accept(self, feature: Feature) -> None:
        """
        Accept a feature again.

        Raises:
            ValueError: The feature is unknown.

        """
        self._refused.pop(_known(feature), None)

    def answer(self, call: FakeRequest) -> FakeResponse | None:
        """
        Return the error response for a request that uses a refused feature.
        """
        if not self._refused:
            return None
        for feature in _used_features(call):
            refusal = self._refused.get(feature)
            if refusal is not None:
                return error_answer(HTTPStatus(refusal.status), refusal.error)
        return None


def _known(feature: Feature) -> Feature:
    if feature not in FEATURES:
        raise ValueError(f"Unknown feature {feature!r}; there are {', '.join(FEATURES)}.")
    return feature


def _used_features(call: FakeRequest) -> Iterator[Feature]:
    if streams(call):
        yield "stream"
    if call.method != "POST":
        return
    body = _body(call)
    if any(_holds_file(body.get(param)) for param in _FILE_PARAMS):
        yield "files"
    if call.path != "/responses":
        return
    if body.get("background") is True:
        yield "background"
    # Requests are stored by default.
    if body.get("store") is not False:
        yield "store"
    if body.get("conversation") is not None:
        yield "conversation"
    if body.get("previous_response_id") is not None:
        yield "previous_response_id"
    if body.get("prompt_cache_key") is not None:
        yield "prompt_cache_key"


def _body(call: FakeRequest) -> Json:
    """
    Read a request's JSON body; forms have no file ids.
    """
    try:
        body: object = call.json
    except ValueError:
        return {}
    return cast("Json", body) if isinstance(body, dict) else {}


def _holds_file(value: object) -> bool:
    """
    Tell whether an image is given by the id of an uploaded file, at any depth.
    """
    if isinstance(value, list):
        return any(_holds_file(item) for item in cast("list[object]", value))
    if not isinstance(value, dict):
        return False
    members = cast("Json", value)
    if members.get("type") == "input_file":
        return False
    return members.get("file_id") is not None or any(
        _holds_file(member) for member in members.values()
    )
