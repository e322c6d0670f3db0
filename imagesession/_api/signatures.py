"""
Show people every keyword in a verb's signature, though the source names them once.
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
    The default of an option in signatures: what the session says, else the studio, else the option.
    """

    def __repr__(self) -> str:
        return "inherited"


INHERITED = _Inherited()


def expand_signature(keywords: type[Any], **defaults: object) -> Callable[[Verb], Verb]:
    """
    Return a decorator that spells out a verb's `**keywords` for `help()`, notebooks and the guide.

    Args:
        keywords: The TypedDict that names them.
        **defaults: What is shown as the default of those that are no options.
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
        own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
        # On a studio and on a session alike, an image is one of these two.
        image = "AsyncSavedImage" if verb.__qualname__.startswith("Async") else "SavedImage"
        spelled_out = signature.replace(
            parameters=[*own, *expanded],
            return_annotation=signature.return_annotation.replace("ImageT", image),
        )
        verb.__signature__ = spelled_out  # type: ignore[attr-defined] # pyright: ignore[reportFunctionMemberAccess] - inspect reads it
        return verb

    return decorate


def public_base(kind: Class) -> Class:
    """
    Let a base class of public ones look like a part of them, in `help()` and in Python's own
    errors: "generate() missing 1 required positional argument" names no class that is not public.
    """
    kind.__module__ = "imagesession"
    for member in vars(kind).values():
        if inspect.isfunction(member):
            member.__qualname__ = member.__name__
    return kind
