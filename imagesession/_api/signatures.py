"""
Spell out all keywords in the verbs' signatures, though the source defines them once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from imagesession._domain.options import OPTION_NAMES

Verb = TypeVar("Verb", bound=Callable[..., object])
Class = TypeVar("Class", bound=type)


class _Inherited:
    """
    The shown default of an option: the session's value, else the studio's, else the option's.
    """

    def __repr__(self) -> str:
        return "inherited"


INHERITED = _Inherited()


def expand_signature(keywords: type[Any], **defaults: object) -> Callable[[Verb], Verb]:
    """
    Return a decorator that spells out a verb's `**keywords` for `help()`, notebooks and the guide.

    Args:
        keywords: The TypedDict of the keywords.
        **defaults: The shown defaults of keywords other than options.
    """
    annotations = keywords.__annotations__
    names = (*defaults, *OPTION_NAMES)
    expanded = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=defaults.get(name, INHERITED),
            annotation=annotations[name].__forward_arg__,
        )
        for name in names
    ]

    def decorate(verb: Verb) -> Verb:
        signature = inspect.signature(verb)
        explicit = [
            parameter
            for parameter in signature.parameters.values()
            if parameter.kind is not parameter.VAR_KEYWORD
        ]
        # The type variable of images stands for one of these two, on studios and sessions.
        image = "AsyncSavedImage" if verb.__qualname__.startswith("Async") else "SavedImage"
        spelled_out = signature.replace(
            parameters=[*explicit, *expanded],
            return_annotation=signature.return_annotation.replace("ImageT", image),
        )
        verb.__signature__ = spelled_out  # type: ignore[attr-defined] # pyright: ignore[reportFunctionMemberAccess] - inspect reads it
        return verb

    return decorate


def public_base(kind: Class) -> Class:
    """
    Hide the name of a private base class in `help()` and in Python's own errors, such as
    "generate() missing 1 required positional argument".
    """
    kind.__module__ = "imagesession"
    for member in vars(kind).values():
        if inspect.isfunction(member):
            member.__qualname__ = member.__name__
    return kind
