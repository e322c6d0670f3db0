"""
Read a request body strictly: every error names the parameter's path, as the API's errors do.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import attrs

from imagesession._fake_openai.errors import RefusalError
from imagesession._fake_openai.http import FakeRequest, Json

_MAX_PAIRS, _MAX_KEY, _MAX_VALUE = 16, 64, 512
_MAX_LISTED = 100
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
    """
    A value of the body and its path.
    """

    value: Any = attrs.field(repr=False)
    path: str = ""

    def get(self, key: str) -> "JsonNode | None":
        """
        Return a member of an object; null counts as absent, as in the API.
        """
        value = self.object().get(key)
        return None if value is None else JsonNode(value, self.at(key))

    def require(self, key: str) -> "JsonNode":
        """
        Return a required member of an object.
        """
        node = self.get(key)
        if node is None:
            raise RefusalError("missing_parameter", self.at(key))
        return node

    def get_text(self, key: str) -> str | None:
        """
        Return a string in an object, if it is there.
        """
        node = self.get(key)
        return None if node is None else node.text()

    def at(self, key: str) -> str:
        """
        Return the path of a member of an object.
        """
        return f"{self.path}.{key}" if self.path else key

    def __iter__(self) -> Iterator["JsonNode"]:
        for index, value in enumerate(self.array()):
            yield JsonNode(value, f"{self.path}[{index}]")

    def only(self, known: Collection[str]) -> None:
        """
        Reject names that the API does not know.
        """
        for key in self.object():
            if key not in known:
                raise RefusalError("unknown_parameter", self.at(key))

    def object(self) -> Json:
        """
        Read an object.
        """
        value: Any = self.value
        if not isinstance(value, dict):
            raise self.mistyped("an object")
        members: Json = self.value
        return members

    def array(self) -> list[Any]:
        """
        Read an array.
        """
        value: Any = self.value
        if not isinstance(value, list):
            raise self.mistyped("an array")
        items: list[Any] = self.value
        return items

    def text(self) -> str:
        """
        Read a string.
        """
        if not isinstance(self.value, str):
            raise self.mistyped("a string")
        return self.value

    def flag(self) -> bool:
        """
        Read a boolean.
        """
        if not isinstance(self.value, bool):
            raise self.mistyped("a boolean")
        return self.value

    def number(self, low: int, high: int) -> int:
        """
        Read an integer within bounds.
        """
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.mistyped("an integer")
        if self.value < low:
            raise RefusalError("below_minimum", self.path, bound=low, value=self.value)
        if self.value > high:
            raise RefusalError("above_maximum", self.path, bound=high, value=self.value)
        return self.value

    def choice(self, allowed: Iterable[str]) -> str:
        """
        Read one of a closed set of strings.
        """
        options = tuple(allowed)
        if self.text() not in options:
            *names, last = (f"'{option}'" for option in options)
            listed = f"{', '.join(names)}, and {last}" if names else last
            raise RefusalError("unsupported_value", self.path, value=self.value, allowed=listed)
        return self.text()

    def within(self, limit: int) -> str:
        """
        Read a string of limited length.
        """
        if len(self.text()) > limit:
            raise RefusalError("too_long", self.path, limit=limit, length=len(self.text()))
        return self.text()

    def mistyped(self, expected: str) -> RefusalError:
        """
        Return the error for a value of the wrong type.
        """
        got = next((name for kind, name in _NAMES if isinstance(self.value, kind)), "null")
        return RefusalError("invalid_type", self.path or None, expected=expected, got=got)

    def wrong(self, message: str) -> RefusalError:
        """
        Return the error for a value that is not allowed.
        """
        return RefusalError("invalid_value", self.path, message=message)


def parse(call: FakeRequest) -> JsonNode:
    """
    Read the body of a request as JSON.
    """
    try:
        return JsonNode(call.json)
    except ValueError:
        raise RefusalError("not_json") from None


def page_limit(call: FakeRequest) -> int:
    """
    Return how many objects a list request asks for.

    Raises:
        RefusalError: The API would reject the number.

    """
    limit = call.query.get("limit", "20")
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit) <= _MAX_LISTED:
        raise RefusalError("bad_limit", limit=limit, most=_MAX_LISTED)
    return int(limit)


def words(text: str) -> frozenset[str]:
    """
    Split a text into a set of names.
    """
    return frozenset(text.split())


def check_metadata(node: JsonNode) -> None:
    """
    Reject metadata with too many pairs, or too long ones.
    """
    metadata = node.get("metadata")
    if metadata is None:
        return
    count = len(metadata.object())
    if count > _MAX_PAIRS:
        raise RefusalError("too_many_properties", limit=_MAX_PAIRS, count=count)
    for key in metadata.object():
        JsonNode(key, metadata.at(key)).within(_MAX_KEY)
        if value := metadata.get(key):
            value.within(_MAX_VALUE)
