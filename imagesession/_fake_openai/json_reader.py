"""
Reading a request body strictly: every refusal names the place, as the API's do.
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
    Hold a value of the body and the place where it stands.
    """

    value: Any = attrs.field(repr=False)
    path: str = ""

    def get(self, key: str) -> "JsonNode | None":
        """
        Step into an object; a null counts as absent, as it does for the API.
        """
        value = self.object().get(key)
        return None if value is None else JsonNode(value, self.at(key))

    def require(self, key: str) -> "JsonNode":
        """
        Step into an object where a value has to stand.
        """
        node = self.get(key)
        if node is None:
            raise missing_parameter(self.at(key))
        return node

    def at(self, key: str) -> str:
        """
        Tell the place of a member of an object.
        """
        return f"{self.path}.{key}" if self.path else key

    def __iter__(self) -> Iterator["JsonNode"]:
        for index, value in enumerate(self.array()):
            yield JsonNode(value, f"{self.path}[{index}]")

    def only(self, known: Collection[str]) -> None:
        """
        Refuse names that the API does not know.
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
        Read an integer that lies within bounds.
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
        Say that a value of another type should stand here.
        """
        got = next((name for kind, name in _NAMES if isinstance(self.value, kind)), "null")
        return RefusalError(
            f"Invalid type for '{self.path}': expected {expected}, but got {got} instead.",
            param=self.path or None,
            code="invalid_type",
        )

    def wrong(self, message: str) -> RefusalError:
        """
        Say in the given words that the value here is not allowed.
        """
        return invalid_value(message, self.path)


def parse(call: FakeRequest) -> JsonNode:
    """
    Read the body of a call as JSON.
    """
    try:
        return JsonNode(call.json)
    except ValueError:
        raise RefusalError(
            "We could not parse the JSON body of your request. (HINT: This likely means you "
            "aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, "
            "but what was sent was not valid JSON.)"
        ) from None


def words(text: str) -> frozenset[str]:
    """
    Make a set of names from a text that lists them.
    """
    return frozenset(text.split())


def check_metadata(node: JsonNode) -> None:
    """
    Refuse metadata with too many pairs, or too long ones.
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
