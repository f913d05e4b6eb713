"""Pages that need nothing from elsewhere: templates, scripts and figures put into one file."""

import json
from functools import cache
from html import unescape
from importlib.resources import files
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs

from limbeck.core.files import write_text
from limbeck.report.table_files import render_csv
from limbeck.report.tables import Table


def render(template: str, **values: Any) -> str:
    """The page that a template of this folder makes; every text is escaped."""
    shared = {
        "colours": read_asset("colours.css"),
        "style": read_asset("report.css"),
        "theme": read_asset("theme.js"),
        "script": read_asset("plots.js"),
        "plotly": read_plotly(),
    }
    return _environment().get_template(template).render(**shared, **values)


def embed_figure(figure: go.Figure, *, shows_legend: bool = True) -> Markup:
    """A figure as JSON for a script element, without its legend unless that is to be shown."""
    content = _round_numbers(figure.to_plotly_json())
    if not shows_legend:
        content["layout"]["showlegend"] = False
    text = to_json_plotly(content)
    assert text is not None
    return _within_script(text)


def embed_csv(table: Table) -> Markup:
    """A table's CSV as a JSON string for a script element."""
    return _within_script(json.dumps(render_csv(table), ensure_ascii=False))


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
    environment = Environment(
        loader=PackageLoader("limbeck.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["csv"] = embed_csv
    return environment


def _round_numbers(content: Any) -> Any:
    """A figure's content with numbers of six digits: more than a screen shows, in a third of the bytes."""
    if isinstance(content, dict):
        return {name: _round_numbers(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_round_numbers(value) for value in content]
    return float(f"{content:.6g}") if isinstance(content, float) else content


def _within_script(text: str) -> Markup:
    """JSON that can stand inside a script element: no text of it can close that element."""
    return Markup(text.replace("<", "\\u003c"))
