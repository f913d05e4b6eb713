"""Sphinx configuration. The site is built and read offline: no fonts or scripts from elsewhere."""

from importlib.metadata import version as installed_version
from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.application import Sphinx

project = "limbeck"
author = "the limbeck authors"
copyright = "the limbeck authors"
release = version = installed_version("limbeck")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
default_role = "literal"  # docstrings put code between single backticks

html_theme = "furo"
html_title = f"limbeck {release}"
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
napoleon_use_ivar = True
napoleon_use_rtype = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88


def escape_bars(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep the bars of formulas, as in ``KL(p || q)``, which reStructuredText takes for substitutions."""
    del app, what, name, obj, options
    lines[:] = [line if "``" in line or "`" in line else line.replace("|", r"\|") for line in lines]


def visit_math(self: Any, node: nodes.math) -> None:
    """Inline TeX as MathML, which browsers draw themselves."""
    self.body.append(latex2mathml.tex2mathml(node.astext()))
    raise nodes.SkipNode


def visit_math_block(self: Any, node: nodes.math_block) -> None:
    """Displayed TeX as MathML."""
    self.body.append(f"<p>{latex2mathml.tex2mathml(node.astext(), as_block=True)}</p>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Register the two extensions of this file."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.connect("autodoc-process-docstring", escape_bars)
