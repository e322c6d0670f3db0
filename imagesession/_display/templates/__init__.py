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
        name: Its file in this folder, or beneath the one above as `gallery/page.html` is.
        **facts: What it shows.
    """
    return _templates().get_template(name).render(facts)


def source(name: str) -> str:
    """
    Read a template, script or style sheet.

    Args:
        name: As for `render`.
    """
    folder = files("imagesession._display")
    file = folder / name if "/" in name else folder / "templates" / name
    return file.read_text("utf-8").replace("\r\n", "\n")


@functools.cache
def _templates() -> jinja2.Environment:
    import jinja2  # noqa: PLC0415 - slow to import, and only needed where something is shown

    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.FunctionLoader(source),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment
