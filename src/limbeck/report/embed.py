"""Pages that need nothing from elsewhere: templates, scripts and figures put into one file."""

from functools import cache
from html import unescape
from importlib.resources import files
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from limbeck.core.files import write_text


def render(template: str, **values: Any) -> str:
    """The page that a template of this folder makes; every text is escaped."""
    shared = {
        "colours": read_asset("colours.css"),
        "style": read_asset("report.css"),
        "script": read_asset("plots.js"),
        "plotly": read_plotly(),
    }
    return _environment().get_template(template).render(**shared, **values)


def embed_figure(figure: go.Figure) -> Markup:
    """A figure as JSON that can stand inside a script element: no text of it can close that element."""
    text = figure.to_json()
    assert text is not None
    return Markup(text.replace("<", "\\u003c"))


def read_asset(name: str) -> Markup:
    """One of our own style sheets or scripts, to be put into a page as it is."""
    return Markup(files("limbeck.report").joinpath("templates", name).read_text("utf-8"))


@cache
def read_plotly() -> Markup:
    """The plotly.js library that the installed plotly brings along."""
    return Markup(get_plotlyjs())


def write_figure_html(figure: go.Figure, path: Path) -> None:
    """Write one figure as a self-contained page that works offline, in light and dark.

    Raises:
        RunError: When `path` cannot be written.
    """
    title = unescape(figure.layout.title.text or "limbeck figure")
    page = render(
        "figure.html.j2", title=title, figure=embed_figure(figure), height=figure.layout.height or 420
    )
    write_text(path, page)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("limbeck.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
