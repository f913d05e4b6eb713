"""`limbeck report`: build or open the report of a study or a federation, or compare two studies."""

import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.output import explain_interrupt, make_console, print_json, print_paths
from limbeck.core.errors import InputError

DEFAULT_PAGE = Path("limbeck-report/report.html")
MOST_FOLDERS = 2


def report(
    folders: Annotated[
        list[Path], typer.Argument(help="Folder of a study or a federation, or of two studies to compare.")
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(help=f"Page of two studies, or a folder for it. [default: {DEFAULT_PAGE}]"),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            help="Also write each table as CSV and LaTeX and each figure as SVG and PNG into this folder."
        ),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> int:
    """Build the report of a study or a federation again, or compare two studies on one page.

    Two studies are compared run by run where scenario, seed, clients, architectures and technique agree.
    Figures are drawn by a Chromium, Chrome or Edge of this machine.
    """
    from limbeck import report as reports

    _require_sense(folders, out)
    with explain_interrupt(folders[0]):
        page = _build(folders, out)
    print_paths(make_console(), {"Report": page})
    answer: dict[str, object] = {"report": str(page)}
    if export is not None:
        with explain_interrupt(export):
            paths = reports.export_report(folders, export)
        print_paths(make_console(), {"Tables and figures": export})
        answer["files"] = [str(path) for path in paths]
    if as_json:
        print_json(answer)
    if open_page:
        webbrowser.open(page.resolve().as_uri())
    return 0


def _require_sense(folders: Sequence[Path], out: Path | None) -> None:
    from limbeck import report as reports

    if len(folders) > MOST_FOLDERS:
        raise InputError(f"One or two folders must be given, but got {len(folders)}. Compare two at a time.")
    if len(folders) < MOST_FOLDERS:
        if out is not None:
            raise InputError(
                f"`--out` must go with two studies, but got one and `--out {out}`. The report of one is "
                f"`{folders[0] / DEFAULT_PAGE.name}`."
            )
        return
    for folder in folders:
        if reports.holds_federation(folder):
            raise InputError(
                f"Two folders must both hold a study, but `{folder}` holds a federation. Run the federations "
                "as one study with several starts or strategies to compare them."
            )


def _build(folders: Sequence[Path], out: Path | None) -> Path:
    from limbeck import report as reports

    if len(folders) == MOST_FOLDERS:
        page = DEFAULT_PAGE if out is None else out
        page = page if page.suffix == DEFAULT_PAGE.suffix else page / DEFAULT_PAGE.name
        return reports.build_two_studies_page(folders[0], folders[1], page)
    build = reports.build_federation_page if reports.holds_federation(folders[0]) else reports.build
    return build(folders[0])
