"""
Reading `text.format`: the JSON schema that an answer is to fit.

Formats: https://platform.openai.com/docs/guides/structured-outputs
"""

import re
from collections.abc import Iterator
from typing import cast

from imagesession._offline.errors import RefusedError
from imagesession._offline.exchange import Json
from imagesession._offline.reading import Node, words

_KNOWN = words("type name schema strict description")
_FORMATS = ("text", "json_object", "json_schema")
_TYPES = ("string", "number", "boolean", "integer", "object", "array", "null")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)
# What says something about a value, not what it may be.
_REMARKS = frozenset({"description", "title", "$schema"})
_TEXT: Json = {"type": "string"}
_FINDING: Json = {
    "issue": _TEXT,
    "where": _TEXT,
    "severity": {"type": "string", "enum": ["high", "low", "medium"]},
    "remedy": _TEXT,
}


def _object(properties: Json) -> Json:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": sorted(properties),
        "properties": properties,
    }


_FINDINGS = _object({"summary": _TEXT, "findings": {"type": "array", "items": _object(_FINDING)}})


def wants_findings(text: Node | None, *, draws: bool) -> bool:
    """
    Read the `text` of a request, and tell whether it asks for findings about a picture.

    Args:
        text: The settings for text, if the request has any.
        draws: Whether the request draws, so that its text does not matter.

    Raises:
        RefusedError: The API would not take it, or asks for another form of answer.

    """
    form = None if text is None else text.get("format")
    if form is None:
        return False
    kind = form.need("type").choice(_FORMATS)
    if kind == "text" or (draws and kind == "json_object"):
        return False
    if kind == "json_object":
        raise form.wrong(_only_findings())
    schema = _read_schema(form)
    if draws:
        return False
    if _bare(schema.value) != _FINDINGS:
        raise schema.wrong(_only_findings())
    return True


def _only_findings() -> str:
    return (
        "This is imagesession's offline provider. As structured output it can only report findings "
        "about a picture: a `summary` and `findings`, each with `issue`, `where`, `severity` (low, "
        "medium or high) and `remedy`. For another schema use a real model."
    )


def _read_schema(form: Node) -> Node:
    form.only(_KNOWN)
    name = form.need("name")
    if not _NAME.fullmatch(name.text()):
        raise RefusedError(
            f"Invalid '{name.path}': string does not match pattern. Expected a string that matches "
            "the pattern '^[a-zA-Z0-9_-]+$'.",
            param=name.path,
            code="invalid_value",
        )
    schema = form.need("schema")
    schema.object()
    strict = form.get("strict")
    if strict is not None and strict.flag():
        fault = next(_faults(schema.value, ()), None)
        if fault is not None:
            raise RefusedError(
                f"Invalid schema for response_format '{name.text()}': {fault}",
                param=schema.path,
                code="invalid_json_schema",
            )
    return schema


def _faults(schema: object, place: tuple[str, ...]) -> Iterator[str]:
    """
    Name what strict schemas may not do; everything must be typed, closed and required.
    """
    where = f"In context={place!r}, "
    facts = _members(schema)
    if facts is None:
        yield f"{where}schema must be an object."
        return
    kind = facts.get("type")
    if not place and kind != "object":
        yield f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
    elif not {"type", "$ref", "anyOf", "enum", "const"} & facts.keys():
        yield f"{where}schema must have a 'type' key."
    elif isinstance(kind, str) and kind not in _TYPES:
        yield f"{where}'{kind}' is not a valid type."
    elif kind == "object":
        yield from _faults_of_object(facts, place, where)
    elif kind == "array" and "items" not in facts:
        yield f"{where}array schema missing items."
    elif kind == "array":
        yield from _faults(facts["items"], (*place, "items"))


def _faults_of_object(facts: Json, place: tuple[str, ...], where: str) -> Iterator[str]:
    properties = _members(facts.get("properties", {}))
    if facts.get("additionalProperties") is not False:
        yield f"{where}'additionalProperties' is required to be supplied and to be false."
    if properties is None:
        yield f"{where}'properties' must be an object."
        return
    required = _listed(facts.get("required"))
    missing = next((name for name in properties if name not in required), None)
    if missing is not None:
        yield (
            f"{where}'required' is required to be supplied and to be an array including every key "
            f"in properties. Missing '{missing}'."
        )
    for name, member in properties.items():
        yield from _faults(member, (*place, "properties", name))


def _bare(schema: object) -> object:
    """
    Leave out remarks, and put in one order what has none.
    """
    facts = _members(schema)
    if facts is None:
        return sorted(_listed(schema), key=str) or schema
    return {key: _bare_part(key, value) for key, value in facts.items() if key not in _REMARKS}


def _bare_part(key: str, value: object) -> object:
    # The names of properties are the schema's own: a property may be called "title".
    properties = _members(value) if key == "properties" else None
    if properties is None:
        return _bare(value)
    return {name: _bare(member) for name, member in properties.items()}


def _members(value: object) -> Json | None:
    return cast("Json", value) if isinstance(value, dict) else None


def _listed(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []
