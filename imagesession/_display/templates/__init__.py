"""
Jinja templates of pages and fragments, with automatic escaping.
"""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2


def render(name: str, **variables: Any) -> str:  # noqa: ANN401 - template variables are of any type
    """
    Render a template: a file in this folder, or a path below `_display` such as
    `gallery/page.html`.
    """
    return _templates().get_template(name).render(variables)


def source(name: str) -> str:
    folder = files("imagesession._display")
    file = folder / name if "/" in name else folder / "templates" / name
    return file.read_text("utf-8").replace("\r\n", "\n")


@functools.cache
def _templates() -> jinja2.Environment:
    import jinja2  # noqa: PLC0415 - slow to import, and needed only when rendering

    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.FunctionLoader(source),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment
