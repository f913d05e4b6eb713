"""The tables and figures of a report as files: CSV and LaTeX, SVG and PNG."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from limbeck.core.files import write_atomically, write_text
from limbeck.report.browser import draw_images
from limbeck.report.canvas import escape_markup
from limbeck.report.federation import holds_federation, read_federation
from limbeck.report.federation_page import describe_federation_page
from limbeck.report.inputs import read_study
from limbeck.report.page import Trace, describe_page
from limbeck.report.pictures import Picture
from limbeck.report.table_files import TABLE_FORMATS
from limbeck.report.tables import Table
from limbeck.report.two_studies import read_two_studies
from limbeck.report.two_studies_page import describe_two_studies

WIDTH = 640
TITLE_HEIGHT = 58
LEGEND_HEIGHT = 58


def export_report(folders: Sequence[Path], target: Path) -> list[Path]:
    """Write every table and figure of a report as files.

    Args:
        folders: One, as for `build` or `build_federation_page`, or two, as for `build_two_studies_page`.
        target: Where to: ``tables`` with ``.csv`` and ``.tex``, ``figures`` with ``.svg`` and ``.png``.

    Returns:
        The files' paths, the tables first.

    Raises:
        InputError: When one of the folder's files is missing or damaged.
        RunError: When a file cannot be written, or no browser is there to draw the figures; the tables are
            written then.
    """
    return export_parts(_describe(list(map(Path, folders))), target)


def export_parts(shown: Mapping[str, Any], target: Path) -> list[Path]:
    """Write the tables and figures among what a page's template shows; see `export_report`."""
    tables, pictures = [], []
    for part in _list_parts(shown.values()):
        (tables if isinstance(part, Table) else pictures).append(part)
    return [
        *_export_tables([table for table in tables if table.rows], Path(target) / "tables"),
        *_export_figures(pictures, Path(target) / "figures"),
    ]


def list_figures(pictures: Iterable[Picture]) -> dict[str, go.Figure]:
    """The figures of pictures by file name, each with its heading and legend.

    A picture whose curves belong to several federated strategies gives one figure for each.
    """
    figures: dict[str, go.Figure] = {}
    for picture in pictures:
        heading = f"-{picture.heading}" if picture.scenario else ""
        name = _slug(f"{picture.kind}{heading}") if picture.scenario else _slug(picture.id)
        for strategy in _list_strategies(picture.figure) or [""]:
            own = _slug(f"{name}-{strategy}") if strategy else name
            figures[_unique(own, figures)] = _finish(picture, strategy)
    return figures


def _describe(folders: Sequence[Path]) -> Mapping[str, Any]:
    if len(folders) > 1:
        return describe_two_studies(read_two_studies(*folders))
    if holds_federation(folders[0]):
        return describe_federation_page(read_federation(folders[0]))
    return describe_page(read_study(folders[0]))


def _export_tables(tables: Iterable[Table], folder: Path) -> list[Path]:
    written: dict[str, Table] = {}
    paths = []
    for table in tables:
        name = _unique(table.file_name, written)
        written[name] = table
        for ending, render_fn in TABLE_FORMATS.items():
            path = folder / f"{name}.{ending}"
            write_text(path, render_fn(table))
            paths.append(path)
    return paths


def _export_figures(pictures: Iterable[Picture], folder: Path) -> list[Path]:
    figures = list_figures(pictures)
    paths = []
    for name, images in draw_images(figures, width=WIDTH).items() if figures else ():
        paths += [folder / f"{name}.svg", folder / f"{name}.png"]
        write_text(paths[-2], images.svg)
        with write_atomically(paths[-1]) as temporary:
            temporary.write_bytes(images.png)
    return paths


def _list_parts(values: Iterable[Any]) -> Iterator[Table | Picture]:
    for value in values:
        if isinstance(value, Table | Picture):
            yield value
        elif isinstance(value, Trace):
            yield from value.tables
        elif isinstance(value, list | tuple):
            yield from _list_parts(value)


def _list_strategies(figure: go.Figure) -> list[str]:
    """The federated strategies that the traces of a figure name, in their order."""
    traces: Any = figure.data
    named = (trace.meta.get("strategy", "") for trace in traces if isinstance(trace.meta, dict))
    return [name for name in dict.fromkeys(named) if name]


def _finish(picture: Picture, strategy: str) -> go.Figure:
    """The figure with its heading, and with the curves of one strategy where it has several."""
    figure = go.Figure(picture.figure)
    if strategy:
        figure.update_layout(template=None)
        figure.for_each_trace(
            lambda trace: trace.update(visible=not trace.meta or trace.meta.get("strategy") == strategy)
        )
    traces: Any = figure.data
    shows_legend = figure.layout.showlegend is not False and len(traces) > 1
    height = int(figure.layout.height)
    if picture.heading:
        title = {"text": escape_markup(picture.heading), "x": 0, "xref": "paper", "y": 1, "yref": "container"}
        title |= {"yanchor": "top", "pad": {"t": 12}, "subtitle": {"text": escape_markup(picture.note)}}
        figure.update_layout(title=title, margin_t=TITLE_HEIGHT + figure.layout.margin.t)
        height += TITLE_HEIGHT
    return figure.update_layout(height=height + (LEGEND_HEIGHT if shows_legend else 0))


def _unique(name: str, taken: Mapping[str, Any]) -> str:
    number, chosen = 1, name
    while chosen in taken:
        number += 1
        chosen = f"{name}-{number}"
    return chosen


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-").lower()
