"""A report's table as a file: CSV for programs, LaTeX for papers."""

import csv
import io
import re
from collections.abc import Callable, Sequence

from limbeck.report.tables import Table
from limbeck.report.wording import ABSENT, MINUS

# A table with more rows than fit on a page is broken over several.
MOST_ROWS = 40
PREAMBLE = "% needs \\usepackage{booktabs} and \\usepackage{longtable}\n"
LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": "$<$",
        ">": "$>$",
        "|": "$|$",
        '"': "''",
        "\n": " ",
        MINUS: "$-$",
        ABSENT: "--",
        "±": r"$\pm$",
        "≥": r"$\geq$",
        "≤": r"$\leq$",
        "≈": r"$\approx$",
        "→": r"$\to$",
        "·": r"$\cdot$",
        "×": r"$\times$",
        "²": "$^2$",
        "…": r"\dots{}",
        "“": "``",
        "”": "''",
        "\N{NARROW NO-BREAK SPACE}": r"\,",
    }
)
NUMBER = r"[+-]?\d+(?:\.\d+)?"


def render_csv(table: Table) -> str:
    """A table as CSV with a heading line, as RFC 4180 has it.

    Numbers are plain: a column of percentages says so in its heading, one of means and deviations becomes
    two columns, and so does one of intervals. Cells that say nothing are empty.
    """
    columns = [column for place in range(len(table.columns)) for column in _plain_columns(table, place)]
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow([heading for heading, _ in columns])
    writer.writerows(zip(*(texts for _, texts in columns), strict=True))
    return stream.getvalue()


def render_latex(table: Table) -> str:
    """A table as LaTeX for the packages booktabs and longtable, with the texts of the page.

    Emphasised cells are bold. More than `MOST_ROWS` rows become a longtable.
    """
    first = 1 if table.is_grouped else 0
    letters = ("l" if place < table.num_labels else "r" for place in range(first, len(table.columns)))
    layout = f"{{{''.join(letters)}}}"
    heading = _join([escape_latex(text) for text in table.columns[first:]])
    caption = f"\\caption{{{escape_latex(table.caption)}}}"
    label = f"\\label{{tab:{re.sub(r'[^A-Za-z0-9]+', '-', table.name)}}}"
    body = _write_rows(table, first)
    if len(table.rows) > MOST_ROWS:
        lines = [
            rf"\begin{{longtable}}{layout}",
            rf"{caption}{label}\\",
            r"\toprule",
            heading,
            r"\midrule",
            r"\endhead",
            *body,
            r"\bottomrule",
            r"\end{longtable}",
        ]
    else:
        lines = [
            r"\begin{table}",
            caption,
            label,
            r"\centering",
            rf"\begin{{tabular}}{layout}",
            r"\toprule",
            heading,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    return PREAMBLE + "\n".join(lines) + "\n"


def escape_latex(text: str) -> str:
    """`text` so that LaTeX sets it as it is."""
    return text.translate(LATEX)


def _plain_columns(table: Table, place: int) -> list[tuple[str, list[str]]]:
    """The one or two columns of plain texts that a column of the table becomes, with their headings."""
    heading = table.columns[place]
    if place < table.num_labels:
        return [(heading, [_plain(row[place]) for row in table.rows])]
    texts = [_plain(row[place]) for row in table.rows]
    forms: tuple[tuple[str, Sequence[str]], ...] = (
        (rf"({NUMBER}) %", (f"{heading}, %",)),
        (rf"({NUMBER})(?: ± ({NUMBER}))?", (heading, f"{heading}, standard deviation")),
        (rf"({NUMBER}) to ({NUMBER})", (f"{heading}, low", f"{heading}, high")),
    )
    for form, headings in forms:
        matches = [re.fullmatch(form, text) for text in texts if text]
        if matches and all(matches):
            values = _take_apart(form, texts, len(headings))
            return [pair for pair in zip(headings, values, strict=True) if any(pair[1])]
    return [(heading, texts)]


def _take_apart(form: str, texts: Sequence[str], num_parts: int) -> list[list[str]]:
    """The parts of each text, one list per part; empty where a text is or lacks one."""
    found = [re.fullmatch(form, text) for text in texts]
    return [[(match[part + 1] or "") if match else "" for match in found] for part in range(num_parts)]


def _plain(text: str) -> str:
    """`text` with the signs and spaces of a keyboard, and without the commas of a large number."""
    plain = text.replace(MINUS, "-").replace("\N{NARROW NO-BREAK SPACE}", " ")
    if plain == ABSENT:
        return ""
    return plain.replace(",", "") if re.fullmatch(r"\d{1,3}(,\d{3})+", plain) else plain


def _write_rows(table: Table, first: int) -> list[str]:
    if not table.is_grouped:
        return [_write_row(table, place, row, first) for place, row in enumerate(table.rows)]
    width = len(table.columns) - first
    lines = []
    for name, rows in table.groups:
        lines.append(rf"\multicolumn{{{width}}}{{l}}{{\textit{{{escape_latex(name)}}}}} \\")
        lines += [_write_row(table, place, row, first) for place, row in rows]
        lines.append(r"\addlinespace")
    return lines[:-1]


def _write_row(table: Table, place: int, row: Sequence[str], first: int) -> str:
    cells = [
        rf"\textbf{{{escape_latex(text)}}}" if (place, column) in table.strong else escape_latex(text)
        for column, text in enumerate(row)
    ]
    return _join(cells[first:])


def _join(cells: Sequence[str]) -> str:
    # A row that begins with a bracket would be read as the space asked for after the row before it.
    return " & ".join(f"{{}}{cell}" if cell.startswith("[") else cell for cell in cells) + r" \\"


TABLE_FORMATS: dict[str, Callable[[Table], str]] = {"csv": render_csv, "tex": render_latex}
