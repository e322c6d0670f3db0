"""
Unsupported features: each request that uses one is refused until it is accepted again, as by
gateways and compatible servers that have only a part of the API.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal, TypeAlias, cast, get_args

from imagesession._fake_openai.http import FakeRequest
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
# The parameters of a response that use a feature, and the values that do.
_PARAMS: Final[Mapping[Feature, Callable[[object], bool]]] = {
    "background": lambda value: value is True,
    "store": lambda value: value is not False,  # responses are stored by default
    "conversation": lambda value: value is not None,
    "previous_response_id": lambda value: value is not None,
    "prompt_cache_key": lambda value: value is not None,
}


def known_feature(feature: Feature) -> Feature:
    if feature not in FEATURES:
        raise ValueError(f"Unknown feature {feature!r}; there are {', '.join(FEATURES)}.")
    return feature


def used_features(call: FakeRequest) -> Iterator[Feature]:
    if streams(call):
        yield "stream"
    if call.method != "POST":
        return
    body = call.members
    if any(_holds_file(body.get(param)) for param in _FILE_PARAMS):
        yield "files"
    if call.path == "/responses":
        for feature, uses in _PARAMS.items():
            if uses(body.get(feature)):
                yield feature


def _holds_file(value: object) -> bool:
    if isinstance(value, list):
        return any(_holds_file(item) for item in cast("list[object]", value))
    if not isinstance(value, dict):
        return False
    members = cast("dict[str, object]", value)
    if members.get("type") == "input_file":
        return False
    return members.get("file_id") is not None or any(map(_holds_file, members.values()))
