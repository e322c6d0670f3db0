"""
Read a request body strictly: every error names the parameter's path, as the API's errors do.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import attrs

from imagesession._fake_openai.errors import RefusalError
from imagesession._fake_openai.http import FakeRequest, FakeResponse, Json, list_response

_MAX_PAIRS, _MAX_KEY, _MAX_VALUE = 16, 64, 512
_MAX_LISTED, _USUAL = 100, 20
# A boolean is an integer to Python, so it comes first.
_NAMES: tuple[tuple[type[object], str], ...] = (
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a decimal"),
    (str, "a string"),
    (list, "an array"),
    (dict, "an object"),
)


@attrs.frozen
class JsonNode:
    value: Any = attrs.field(repr=False)
    path: str = ""

    def get(self, key: str) -> "JsonNode | None":
        # Return a member of an object; null counts as absent, as in the API.
        value = self.object().get(key)
        return None if value is None else JsonNode(value, self.at(key))

    def require(self, key: str) -> "JsonNode":
        node = self.get(key)
        if node is None:
            raise RefusalError("missing_parameter", self.at(key))
        return node

    def get_text(self, key: str) -> str | None:
        node = self.get(key)
        return None if node is None else node.text()

    def get_flag(self, key: str, *, default: bool = False) -> bool:
        node = self.get(key)
        return default if node is None else node.flag()

    def get_choice(self, key: str, allowed: Iterable[str], default: str) -> str:
        node = self.get(key)
        return default if node is None else node.choice(allowed)

    def get_number(self, key: str, low: int, high: int, default: int) -> int:
        node = self.get(key)
        return default if node is None else node.number(low, high)

    def at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def __iter__(self) -> Iterator["JsonNode"]:
        for index, value in enumerate(self.array()):
            yield JsonNode(value, f"{self.path}[{index}]")

    def only(self, known: Collection[str]) -> None:
        for key in self.object():
            if key not in known:
                raise RefusalError("unknown_parameter", self.at(key))

    def object(self) -> Json:
        value: Any = self.value
        if not isinstance(value, dict):
            raise self.mistyped("an object")
        members: Json = self.value
        return members

    def array(self) -> list[Any]:
        value: Any = self.value
        if not isinstance(value, list):
            raise self.mistyped("an array")
        items: list[Any] = self.value
        return items

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.mistyped("a string")
        return self.value

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.mistyped("a boolean")
        return self.value

    def number(self, low: int, high: int) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.mistyped("an integer")
        if self.value < low:
            raise RefusalError("below_minimum", self.path, bound=low, value=self.value)
        if self.value > high:
            raise RefusalError("above_maximum", self.path, bound=high, value=self.value)
        return self.value

    def choice(self, allowed: Iterable[str]) -> str:
        options = tuple(allowed)
        if self.text() not in options:
            *names, last = (f"'{option}'" for option in options)
            listed = f"{', '.join(names)}, and {last}" if names else last
            raise RefusalError("unsupported_value", self.path, value=self.value, allowed=listed)
        return self.text()

    def within(self, limit: int) -> str:
        if len(self.text()) > limit:
            raise RefusalError("too_long", self.path, limit=limit, length=len(self.text()))
        return self.text()

    def mistyped(self, expected: str) -> RefusalError:
        got = next((name for kind, name in _NAMES if isinstance(self.value, kind)), "null")
        return RefusalError("invalid_type", self.path or None, expected=expected, got=got)

    def wrong(self, message: str) -> RefusalError:
        return RefusalError("invalid_value", self.path, message=message)


def parse(call: FakeRequest) -> JsonNode:
    try:
        return JsonNode(call.json)
    except ValueError:
        raise RefusalError("not_json") from None


def page_limit(call: FakeRequest, most: int = _MAX_LISTED, usual: int = _USUAL) -> int:
    limit = call.query.get("limit", str(usual))
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit) <= most:
        raise RefusalError("bad_limit", limit=limit, most=most)
    return int(limit)


def page(
    call: FakeRequest,
    items: list[Json],
    *,
    missing: str | None = None,
    most: int = _MAX_LISTED,
    usual: int = _USUAL,
) -> FakeResponse:
    """
    Answer with the page that a request asks for, of all objects in the requested order; `missing`
    is the error if its `after` is not among them, and None ignores that.
    """
    limit, after = page_limit(call, most, usual), call.query.get("after")
    if after is not None:
        ids = [item["id"] for item in items]
        if after in ids:
            items = items[ids.index(after) + 1 :]
        elif missing:
            raise RefusalError(missing, id=after)
    return list_response(items[:limit], has_more=len(items) > limit)


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def read_metadata(node: JsonNode) -> Json | None:
    metadata = node.get("metadata")
    if metadata is None:
        return None
    count = len(metadata.object())
    if count > _MAX_PAIRS:
        raise RefusalError("too_many_properties", limit=_MAX_PAIRS, count=count)
    for key in metadata.object():
        JsonNode(key, metadata.at(key)).within(_MAX_KEY)
        if value := metadata.get(key):
            value.within(_MAX_VALUE)
    return metadata.object()
