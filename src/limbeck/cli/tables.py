"""A report's table on a terminal."""

import textwrap
from typing import TYPE_CHECKING

import rich.table
from rich import box
from rich.text import Text

if TYPE_CHECKING:
    from limbeck.report.tables import Table

# Nine columns of numbers under such headings fit into 80 characters.
HEADING_WIDTH = 10
# A cell of a number column may be this wide before it is wrapped likewise.
CELL_WIDTH = 14
# A single word may be this wide before it is broken.
WORD_WIDTH = 12


def make_table(table: "Table") -> rich.table.Table:
    """The table with its caption above; texts are shown as they are, and only words are wrapped."""
    shown = rich.table.Table(
        title=Text(table.caption),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for place, heading in enumerate(table.columns):
        is_label = place < table.num_labels
        lines = [heading] if is_label else _wrap(heading)
        shown.add_column(
            Text("\n".join(lines)),
            justify="left" if is_label else "right",
            no_wrap=not is_label,
            overflow="fold",
        )
    for row in table.rows:
        shown.add_row(*map(Text, row[: table.num_labels]), *map(_fold, row[table.num_labels :]))
    return shown


def _fold(cell: str) -> Text:
    return Text(cell if len(cell) <= CELL_WIDTH else "\n".join(_wrap(cell)))


def _wrap(heading: str) -> list[str]:
    longest = max(map(len, heading.split()), default=0)
    return textwrap.wrap(heading, max(HEADING_WIDTH, min(WORD_WIDTH, longest)))
