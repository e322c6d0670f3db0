"""
How Sphinx builds this documentation: `sphinx-build -n -W docs build/docs`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from _sphinx import register

import imagesession

project = "imagesession"
author = "The imagesession authors"
copyright = "2026, the imagesession authors"  # noqa: A001 - Sphinx's own name for it
version = re.sub(r"^(\d+\.\d+).*", r"\1", imagesession.__version__)
release = imagesession.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
nitpicky = True
# Dashes only: values in quotation marks must stay copyable.
smartquotes_action = "D"

html_theme = "furo"
html_title = "imagesession"
html_static_path = ["_static"]
html_logo = html_favicon = "_static/logo.svg"
html_css_files = ["own.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b6b5d", "color-brand-content": "#0b6b5d"},
    "dark_css_variables": {"color-brand-primary": "#5cc7b4", "color-brand-content": "#5cc7b4"},
}
pygments_style = "friendly"
pygments_dark_style = "native"

myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_display_short_literal_types = True
python_use_unqualified_type_names = True
# Type aliases that are shown by name; reference/images.md explains them.
autodoc_type_aliases = {
    name: name for name in ("ImageInput", "ImageInputs", "ImageOrTurn", "ImageRequests")
}

setup = register
