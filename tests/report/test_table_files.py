"""Tables as files: CSV that programs can read, LaTeX that compiles."""

import csv
import io
import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.report.table_files import MOST_ROWS, render_csv, render_latex
from limbeck.report.tables import Table

TABLE = Table(
    name="techniques",
    caption="Gain, 100 % of it.",
    columns=("Scenario", "Before", "Gain", "95 % interval", "Samples", "Bytes"),
    rows=(
        ("a & b", "71.4\N{NARROW NO-BREAK SPACE}%", "+3.2 ± 0.4", "−0.4 to +2.1", "1,200", "12.4 MB"),
        ("c, d", "–", "0.0", "–", "90", "–"),
    ),
    strong=frozenset({(0, 2)}),
)
PDFLATEX = shutil.which("pdflatex")


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def cells(line: str) -> list[str]:
    return re.split(r"(?<!\\)&", line)


def check_latex(text: str) -> None:
    """Braces and environments are balanced, and every row has as many cells as the layout has columns."""
    plain = re.sub(r"\\\\", " ", text)
    level = 0
    for brace in re.findall(r"(?<!\\)[{}]", plain):
        level += 1 if brace == "{" else -1
        assert level >= 0
    assert level == 0
    opened = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    layout = re.search(r"\\begin\{(?:tabular|longtable)\}\{([lr]+)\}", text)
    assert layout is not None
    lines = text.splitlines()
    begin = next(place for place, line in enumerate(lines) if line == r"\toprule")
    for line in lines[begin:]:
        if line.endswith(r" \\") and not line.startswith(r"\multicolumn"):
            assert len(cells(line)) == len(layout[1])
    assert not re.search(r"(?<!\\)[#_%]", "\n".join(lines[1:]).replace(r"\%", ""))


def test_numbers_in_csv_are_plain_and_means_are_apart_from_deviations():
    assert read(render_csv(TABLE)) == [
        [
            "Scenario",
            "Before, %",
            "Gain",
            "Gain, standard deviation",
            "95 % interval, low",
            "95 % interval, high",
            "Samples",
            "Bytes",
        ],
        ["a & b", "71.4", "+3.2", "0.4", "-0.4", "+2.1", "1200", "12.4 MB"],
        ["c, d", "", "0.0", "", "", "", "90", ""],
    ]


def test_a_column_of_single_numbers_stays_one_column():
    table = Table(caption="", columns=("a", "n"), rows=(("x", "1"), ("y", "−2.5")))
    assert read(render_csv(table)) == [["a", "n"], ["x", "1"], ["y", "-2.5"]]


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1))
def test_labels_come_back_from_csv_as_they_went_in(rows):
    wanted = [
        [
            ""
            if text == "–"
            else text.replace("\N{MINUS SIGN}", "-").replace("\N{NARROW NO-BREAK SPACE}", " ")
            for text in row
        ]
        for row in rows
    ]
    table = Table(caption="", columns=("a", "b"), rows=tuple(rows), num_labels=2)
    found = read(render_csv(table))[1:]
    assert [[text.replace(",", "") for text in row] for row in found] == [
        [text.replace(",", "") for text in row] for row in wanted
    ]


def test_latex_has_rules_bold_cells_and_escaped_signs():
    text = render_latex(TABLE)
    check_latex(text)
    assert r"a \& b & 71.4\,\% & \textbf{+3.2 $\pm$ 0.4} & $-$0.4 to +2.1 & 1,200 & 12.4 MB \\" in text
    assert re.findall(r"\\(\w+rule)", text) == ["toprule", "midrule", "bottomrule"]
    assert r"\caption{Gain, 100 \% of it.}" in text
    assert r"\label{tab:techniques}" in text


def test_groups_get_a_line_of_their_own_and_many_rows_a_longtable():
    grouped = Table(
        caption="",
        columns=("Scenario", "Technique", "n"),
        rows=(("one", "kd", "1"), ("one", "dml", "2"), ("two", "kd", "3")),
        num_labels=2,
        is_grouped=True,
    )
    text = render_latex(grouped)
    check_latex(text)
    assert text.count(r"\multicolumn{2}{l}") == 2
    assert r"kd & 1 \\" in text
    many = Table(caption="", columns=("a", "n"), rows=(("[x]", "1"),) * (MOST_ROWS + 1))
    text = render_latex(many)
    check_latex(text)
    assert r"\begin{longtable}{lr}" in text
    assert "{}[x] & 1" in text


@given(st.text(max_size=30))
def test_any_text_gives_sound_latex(text):
    check_latex(render_latex(Table(caption=text, columns=("a", "b"), rows=((text, "1"),))))


@pytest.mark.skipif(PDFLATEX is None, reason="needs pdflatex")
def test_latex_compiles(tmp_path):
    document = (
        "\\documentclass{article}\\usepackage{booktabs,longtable}\\begin{document}\n"
        + render_latex(TABLE)
        + "\\end{document}\n"
    )
    (tmp_path / "a.tex").write_text(document, encoding="utf-8")
    command = [str(PDFLATEX), "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
    assert (
        subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, check=False).returncode == 0
    )
