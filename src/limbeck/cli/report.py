"""`limbeck report`: build or open the report of a study or a federation."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.output import explain_interrupt, make_console, print_json, print_paths


def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a study or a federation.")],
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> int:
    """Build the report of a study or a federation again, and open it."""
    from limbeck import report as reports

    with explain_interrupt(folder):
        build = reports.build_federation_page if reports.holds_federation(folder) else reports.build
        page = build(folder)
    print_paths(make_console(), {"Report": page})
    if as_json:
        print_json({"report": str(page)})
    if open_page:
        webbrowser.open(page.resolve().as_uri())
    return 0
