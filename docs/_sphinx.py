"""
What this documentation needs of Sphinx beyond its own: names in docstrings that lead to their
places, and tables that the library writes of itself.
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

# What a docstring calls by a name that is shorter than its own.
_ROOMS = ("imagesession", "imagesession.errors", "imagesession.presets", "imagesession.testing")
# A name in a docstring that claims to be ours, such as `Studio.open` or `imagesession.errors`.
_OURS = re.compile(
    rf"(?:imagesession(?:\.[a-zA-Z]\w*)+|(?:errors|presets|testing|{'|'.join(imagesession.__all__)})\.\w+)"
)
_SECTION = re.compile(r"(?:Args|Attributes|Returns|Yields|Raises):")


class GuideTable(SphinxDirective):
    """
    Show a table of `imagesession.guide()`, which the library writes from its own code.

    The argument is how the table's head begins.
    """

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """
        Find the table and have it parsed as part of the page.
        """
        text = imagesession.guide()
        start = text.find(f"| {self.arguments[0]}")
        if start < 0:
            raise self.error(f"The guide has no table that begins with {self.arguments[0]!r}.")
        return self.parse_text_to_nodes(text[start:].partition("\n\n")[0])


def as_restructured(
    _app: Sphinx, what: str, _name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    """
    Say in Sphinx's markup what a docstring says in fewer signs.
    """
    for at in range(len(lines) - 1, -1, -1):
        # A plural's s would keep the backtick before it from closing.
        lines[at] = re.sub(r"(`[\w.]+`)(?=s\b)", r"\1\\ ", lines[at])
        before = lines[at - 1].strip() if at else what
        if before in {"Returns:", "Yields:", "property", "attribute"}:
            # With a colon in it, a sentence would be taken for a type.
            indent = len(lines[at]) - len(lines[at].lstrip())
            lines[at] = f"{' ' * indent}: {lines[at].strip()}"
    first = next((at for at, line in enumerate(lines) if _SECTION.fullmatch(line)), len(lines))
    for at in range(first - 1, 0, -1):
        if lines[at].startswith("    ") and not lines[at - 1].strip():
            lines[at:at] = [".. code-block:: python", ""]


def hide_own_business(
    _app: Sphinx, what: str, _name: str, made: object, _options: object, args: str, returns: str
) -> tuple[str, str]:
    """
    Leave out how a class is made that only the library makes.
    """
    fields = getattr(made, "__attrs_attrs__", ())
    own = what == "class" and any(field.name.startswith("_") for field in fields)
    return ("", "") if own else (args, returns)


def spare_builtins(_app: Sphinx, page: nodes.document) -> None:
    """
    Keep the language's own types from leading to members of ours of the same name, as `bytes` to
    a picture's.
    """
    for node in list(page.findall(pending_xref)):
        own = getattr(builtins, node.get("reftarget", ""), None)
        if node.get("reftype") == "class" and isinstance(own, type):
            short = find_pending_xref_condition(node, "resolved")
            node.replace_self((node if short is None else short).children)


def lead_or_show(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.Element
) -> nodes.Element | None:
    """
    Decide on a name that leads nowhere by itself.

    Backticks in docstrings hold values, parameters and names of the language too, and there is no
    network to look the latter up: these are shown as code. Only what claims to be this library's
    own must be in the reference; None tells Sphinx to warn.
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


def extend(app: Sphinx) -> dict[str, bool]:
    """
    Tell Sphinx of all this.
    """
    app.add_directive("guide-table", GuideTable)
    app.connect("autodoc-process-docstring", as_restructured, priority=100)
    app.connect("autodoc-process-signature", hide_own_business)
    app.connect("doctree-read", spare_builtins)
    app.connect("missing-reference", lead_or_show)
    app.config.default_role = "py:obj"
    return {"parallel_read_safe": True}
