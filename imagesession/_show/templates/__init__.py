"""
Pages and pieces of pages, which escape whatever is put into them.
"""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2


def render(name: str, **facts: Any) -> str:  # noqa: ANN401 - templates take whatever they show
    """
    Fill a template.

    Args:
        name: Its file in this folder.
        **facts: What it shows.
    """
    return _templates().get_template(name).render(facts)


@functools.cache
def _templates() -> jinja2.Environment:
    import jinja2  # noqa: PLC0415 - slow to import, and only needed where something is shown

    return jinja2.Environment(
        autoescape=True,
        loader=jinja2.FunctionLoader(_source),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def _source(name: str) -> str:
    return files(__name__).joinpath(name).read_text("utf-8")
