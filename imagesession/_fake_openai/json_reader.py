"""
Read a request body strictly: every error names the parameter's path, as the API's errors do.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import attrs

from imagesession._fake_openai.errors import (
    RefusalError,
    invalid_value,
    missing_parameter,
    too_long,
    unknown_parameter,
    unsupported_value,
)
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
            raise missing_parameter(self.at(key))
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
                raise unknown_parameter(self.at(key))

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
        for outside, name, word, sign, bound in (
            (self.value < low, "below_min", "below minimum", ">=", low),
            (self.value > high, "above_max", "above maximum", "<=", high),
        ):
            if outside:
                raise RefusalError(
                    f"Invalid '{self.path}': integer {word} value. Expected a value "
                    f"{sign} {bound}, but got {self.value} instead.",
                    param=self.path,
                    code=f"integer_{name}_value",
                )
        return self.value

    def choice(self, allowed: Iterable[str]) -> str:
        """
        Read one of a closed set of strings.
        """
        options = tuple(allowed)
        if self.text() not in options:
            raise unsupported_value(self.value, options, self.path)
        return self.text()

    def mistyped(self, expected: str) -> RefusalError:
        """
        Return the error for a value of the wrong type.
        """
        got = next((name for kind, name in _NAMES if isinstance(self.value, kind)), "null")
        return RefusalError(
            f"Invalid type for '{self.path}': expected {expected}, but got {got} instead.",
            param=self.path or None,
            code="invalid_type",
        )

    def wrong(self, message: str) -> RefusalError:
        """
        Return the error for a value that is not allowed.
        """
        return invalid_value(message, self.path)


def parse(call: FakeRequest) -> JsonNode:
    """
    Read the body of a request as JSON.
    """
    try:
        return JsonNode(call.json)
    except ValueError:
        raise RefusalError(
            "We could not parse the JSON body of your request. (HINT: This likely means you "
            "aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, "
            "but what was sent was not valid JSON.)"
        ) from None


def page_limit(call: FakeRequest) -> int:
    """
    Return how many objects a list request asks for.

    Raises:
        RefusalError: The API would reject the number.

    """
    limit = call.query.get("limit", "20")
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit) <= _MAX_LISTED:
        raise invalid_value(
            f"Invalid value for 'limit': '{limit}' is not a number from 1 to {_MAX_LISTED}.",
            "limit",
        )
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
        raise RefusalError(
            f"Invalid 'metadata': too many properties. Expected an object with at most "
            f"{_MAX_PAIRS} properties, but got an object with {count} properties instead.",
            param="metadata",
            code="object_above_max_properties",
        )
    for key in metadata.object():
        value = metadata.get(key)
        for text, limit in ((key, _MAX_KEY), (value.text() if value else "", _MAX_VALUE)):
            if len(text) > limit:
                raise too_long(f"metadata.{key}", limit, len(text))
