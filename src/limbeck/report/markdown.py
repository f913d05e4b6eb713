"""The report in brief as Markdown, for copying into other documents."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from limbeck.report.answers import write_headline
from limbeck.report.inputs import read_study
from limbeck.report.tables import (
    Table,
    tabulate_rounds,
    tabulate_savings,
    tabulate_techniques,
    tabulate_worth,
)

SPECIAL = str.maketrans({"|": "\\|", "<": "&lt;", ">": "&gt;", "\n": " "})


def summary_markdown(folder: Path) -> str:
    """The headline, the technique table, what tuning was worth and the rounds to each target.

    Args:
        folder: A study's folder, as for `build`.

    Returns:
        Markdown that ends with a newline. A part that the study does not have is left out.

    Raises:
        InputError: When one of the folder's files is missing or damaged.
    """
    study = read_study(Path(folder))
    tables = []
    if study.results.height:
        tables += [tabulate_techniques(study), tabulate_worth(study)]
    if len(study.strategies) > 1:
        tables.append(tabulate_savings(study))
    if study.federation.height:
        tables += [tabulate_rounds(study, target) for target in study.about["targets"]]
    return join_markdown(write_headline(study), tables)


def join_markdown(sentences: Sequence[str], tables: Iterable[Table]) -> str:
    """Sentences as a list, then the tables that have rows; ends with a newline."""
    listed = [f"* {sentence.translate(SPECIAL)}" for sentence in sentences]
    blocks = ["\n".join(listed), *(render_markdown(table) for table in tables if table.rows)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def render_markdown(table: Table) -> str:
    """A table as Markdown with its caption above; emphasised cells are bold."""
    rule = ["---" if column < table.num_labels else "---:" for column in range(len(table.columns))]
    rows = [
        [
            f"**{text.translate(SPECIAL)}**" if (i, j) in table.strong else text.translate(SPECIAL)
            for j, text in enumerate(row)
        ]
        for i, row in enumerate(table.rows)
    ]
    header = [text.translate(SPECIAL) for text in table.columns]
    lines = [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]
    return f"{table.caption.translate(SPECIAL)}\n\n" + "\n".join(lines)
