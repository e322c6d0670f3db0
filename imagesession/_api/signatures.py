"""
Spell out all keywords in the verbs' signatures, though the source defines them once.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from imagesession._domain.options import OPTION_NAMES
from imagesession.errors import InvalidRequestError

Verb = TypeVar("Verb", bound=Callable[..., object])
Class = TypeVar("Class", bound=type)
Public = TypeVar("Public", bound="type | Callable[..., object]")


class _Inherited:
    """
    The shown default of an option: the session's value, else the studio's, else the option's.
    """

    def __repr__(self) -> str:
        return "inherited"


INHERITED = _Inherited()


def expand_signature(keywords: type[Any], **defaults: object) -> Callable[[Verb], Verb]:
    """
    Return a decorator that spells out a verb's `**keywords` for `help()`, notebooks and the guide:
    those of a TypedDict, with defaults of those that are no options.
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

    def decorate(function: Verb) -> Verb:
        signature = inspect.signature(function)
        verb = _checked(function, signature)
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


def _checked(verb: Verb, signature: inspect.Signature) -> Verb:
    """
    Answer more positional arguments than a verb takes with what to write instead, and let the
    traceback of a wrong argument end here: the message explains it, and not the frames of a check.
    """
    positional = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}
    ]

    def check(args: tuple[object, ...]) -> None:
        if len(args) > len(positional):
            shown = ", ".join((*positional[1:], "…=…"))
            raise InvalidRequestError(
                f"{verb.__name__}() has {len(args) - 1} arguments without a name and takes "
                f"{len(positional) - 1}. Write {verb.__name__}({shown}): the others have names, "
                "such as image= or references=."
            )

    @functools.wraps(verb)
    def checked(*args: object, **keywords: object) -> object:
        try:
            check(args)
            return verb(*args, **keywords)
        except InvalidRequestError as error:
            raise error.with_traceback(None) from error.__cause__

    @functools.wraps(verb)
    async def checked_async(*args: object, **keywords: object) -> object:
        try:
            check(args)
            return await cast("Awaitable[object]", verb(*args, **keywords))
        except InvalidRequestError as error:
            raise error.with_traceback(None) from error.__cause__

    return cast("Verb", checked_async if inspect.iscoroutinefunction(verb) else checked)


def public(value: Public) -> Public:
    """
    Let a class or function say that it is of the package that exports it.
    """
    value.__module__ = "imagesession"
    return value


def public_base(kind: Class) -> Class:
    """
    Hide the name of a private base class in `help()` and in Python's own errors, such as
    "generate() missing 1 required positional argument".
    """
    for member in vars(kind).values():
        if inspect.isfunction(member):
            for function in (member, inspect.unwrap(member)):
                function.__qualname__ = member.__name__
    return public(kind)
