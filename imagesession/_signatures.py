"""
Show people every option in a verb's signature, though the source names them once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TypeVar

from imagesession._model.options import OPTION_NAMES, OptionKeywords

Verb = TypeVar("Verb", bound=Callable[..., object])


class _Inherited:
    """
    Stands in signatures for: the session's choice, then the studio's, then the default.
    """

    def __repr__(self) -> str:
        return "inherited"


INHERITED = _Inherited()


def takes_options(verb: Verb) -> Verb:
    """
    Spell out `**options` in the signature that `help()` and notebooks show.
    """
    signature = inspect.signature(verb)
    own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=INHERITED,
            annotation=OptionKeywords.__annotations__[name].__forward_arg__,
        )
        for name in OPTION_NAMES
    ]
    spelled_out = signature.replace(parameters=[*own, *options])
    verb.__signature__ = spelled_out  # type: ignore[attr-defined] # pyright: ignore[reportFunctionMemberAccess] - inspect reads it
    return verb
