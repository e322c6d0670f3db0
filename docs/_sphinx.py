"""
Sphinx extension of this documentation: links from names in docstrings, and tables from the guide.
"""

from __future__ import annotations

import builtins
import re
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import find_pending_xref_condition

import imagesession

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

# Modules whose names a docstring may shorten.
_ROOMS = ("imagesession", "imagesession.errors", "imagesession.presets", "imagesession.testing")
# A name in a docstring that belongs to this library, such as `Studio.open`.
_OURS = re.compile(
    rf"(?:imagesession(?:\.[a-zA-Z]\w*)+|(?:errors|presets|testing|{'|'.join(imagesession.__all__)})\.\w+)"
)
_SECTION = re.compile(r"(?:Args|Attributes|Returns|Yields|Raises):")


class GuideTable(SphinxDirective):
    """
    Show a table of `imagesession.guide()`. The argument is how the table's head begins.
    """

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """
        Find the table and parse it as part of the page.
        """
        text = imagesession.guide()
        start = text.find(f"| {self.arguments[0]}")
        if start < 0:
            raise self.error(f"The guide has no table that begins with {self.arguments[0]!r}.")
        return self.parse_text_to_nodes(text[start:].partition("\n\n")[0])


def convert_docstring(
    _app: Sphinx, what: str, _name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    """
    Convert a docstring to Sphinx's markup.
    """
    for at in range(len(lines) - 1, -1, -1):
        # A plural s directly after a backtick would prevent it from closing.
        lines[at] = re.sub(r"(`[\w.]+`)(?=s\b)", r"\1\\ ", lines[at])
        before = lines[at - 1].strip() if at else what
        if before in {"Returns:", "Yields:", "property", "attribute"}:
            # A sentence with a colon would be parsed as a type.
            indent = len(lines[at]) - len(lines[at].lstrip())
            lines[at] = f"{' ' * indent}: {lines[at].strip()}"
    first = next((at for at, line in enumerate(lines) if _SECTION.fullmatch(line)), len(lines))
    for at in range(first - 1, 0, -1):
        if lines[at].startswith("    ") and not lines[at - 1].strip():
            lines[at:at] = [".. code-block:: python", ""]


def hide_private_constructor(
    _app: Sphinx, what: str, _name: str, made: object, _options: object, args: str, returns: str
) -> tuple[str, str]:
    """
    Omit the constructor's arguments of a class that only the library creates.
    """
    fields = getattr(made, "__attrs_attrs__", ())
    own = what == "class" and any(field.name.startswith("_") for field in fields)
    return ("", "") if own else (args, returns)


def unlink_builtins(_app: Sphinx, page: nodes.document) -> None:
    """
    Keep builtin types from linking to members of the same name, such as `bytes` to
    `SavedImage.bytes`.
    """
    for node in list(page.findall(pending_xref)):
        own = getattr(builtins, node.get("reftarget", ""), None)
        if node.get("reftype") == "class" and isinstance(own, type):
            short = find_pending_xref_condition(node, "resolved")
            node.replace_self((node if short is None else short).children)


def resolve_or_show(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.Element
) -> nodes.Element | None:
    """
    Resolve a name that has no target by itself. Backticks in docstrings also contain values,
    parameters and Python names, which are shown as code. Only names that belong to this library
    must be in the reference; None makes Sphinx warn.
    """
    target: Any = node.get("reftarget", "")
    if node.get("refdomain") != "py":
        return None
    domain = env.domains.python_domain
    for room in _ROOMS:
        for name in (f"{room}.{target}", f"imagesession.{target}"):
            if name in domain.objects:
                return domain.resolve_xref(
                    env, node["refdoc"], app.builder, "obj", name, node, shown
                )
    return None if _OURS.fullmatch(target) else shown


def register(app: Sphinx) -> dict[str, bool]:
    """
    Register the directive and the handlers.
    """
    app.add_directive("guide-table", GuideTable)
    app.connect("autodoc-process-docstring", convert_docstring, priority=100)
    app.connect("autodoc-process-signature", hide_private_constructor)
    app.connect("doctree-read", unlink_builtins)
    app.connect("missing-reference", resolve_or_show)
    app.config.default_role = "py:obj"
    return {"parallel_read_safe": True}
