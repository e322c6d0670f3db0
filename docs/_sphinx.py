"""
Sphinx extension of this documentation: links from names in docstrings, and tables from the guide.
"""

from __future__ import annotations

import builtins
import datetime as dt
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import find_pending_xref_condition

import imagesession
from imagesession._domain.model_catalog import ModelCatalog, ModelInfo, load_catalogue

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


class PriceTable(SphinxDirective):
    """
    Show the catalogue's prices: of an "image", or of a million "tokens".
    """

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """
        Write the table and parse it as part of the page.
        """
        catalogue = load_catalogue()
        rows = {"image": image_prices, "tokens": token_prices}[self.arguments[0]](catalogue)
        lines = [f"| {' | '.join(row)} |" for row in rows]
        lines.insert(1, f"|{' --- |' * len(rows[0])}")
        return self.parse_text_to_nodes(f"As of {catalogue.dated}:\n\n" + "\n".join(lines))


def image_prices(catalogue: ModelCatalog) -> Sequence[Sequence[str]]:
    """
    Return the prices of images by model and quality, models with the same prices together.
    """
    qualities = ("low", "medium", "high", "xhigh", "max")
    same: dict[tuple[str, ...], list[str]] = {}
    for model in available(catalogue, "image"):
        for width, height in ((1024, 1024), (1536, 1024)):
            cells = [image_price(model, quality, (width, height)) for quality in qualities]
            same.setdefault((f"{width}x{height}", *cells), []).append(f"`{model.id}`")
    rows = [(", ".join(names), *facts) for facts, names in same.items()]
    return [("image model", "size", *qualities), *rows]


def available(catalogue: ModelCatalog, kind: Literal["image", "mainline"]) -> Iterator[ModelInfo]:
    """
    Yield the models that can be used today, without the dated names of others.
    """
    for model in catalogue.available(kind, dt.datetime.now(dt.UTC).date()):
        if not re.search(r"-\d{4}-\d\d-\d\d$", model.id):
            yield model


def image_price(model: ModelInfo, quality: str, size: tuple[int, int]) -> str:
    """
    Return the price of an image in US dollars, after "≈" if its tokens are extrapolated.
    """
    tokens, price = model.output.lookup(quality, *size), model.prices.image_out
    if tokens is None or price is None:
        return "-"
    mark = "≈" if model.output.marks.get(quality) == "scaled" else ""
    return f"{mark}{tokens * price / 1e6:.4f}"


def token_prices(catalogue: ModelCatalog) -> Sequence[Sequence[str]]:
    """
    Return the prices of a million tokens by model, models with the same prices together.
    """
    same: dict[tuple[str, ...], list[str]] = {}
    kinds: tuple[Literal["image", "mainline"], ...] = ("image", "mainline")
    for kind in kinds:
        for model in available(catalogue, kind):
            price = model.prices
            facts = (price.text_in, price.text_in_cached, price.image_in, price.image_in_cached)
            facts += (price.text_out, price.image_out)
            tiers = (model.tiers.get("flex"), model.tiers.get("priority"))
            cells = tuple(map(show_number, (*facts, *tiers)))
            same.setdefault(cells, []).append(f"`{model.id}`")
    head = ("model", "text in", "cached", "image in", "cached", "text out", "image out")
    rows = [(", ".join(names), *cells) for cells, names in same.items()]
    return [(*head, "flex", "priority"), *rows]


def show_number(number: float | None) -> str:
    """
    Return a number as text, or a dash if it is not known.
    """
    return "-" if number is None else f"{number:g}"


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
    app.add_directive("price-table", PriceTable)
    app.connect("autodoc-process-docstring", convert_docstring, priority=100)
    app.connect("autodoc-process-signature", hide_private_constructor)
    app.connect("doctree-read", unlink_builtins)
    app.connect("missing-reference", resolve_or_show)
    app.config.default_role = "py:obj"
    return {"parallel_read_safe": True}
