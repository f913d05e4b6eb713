"""A report's table on a terminal."""

import io

from rich.console import Console
from tests.report.pair_records import make_record

from limbeck.cli.tables import make_table
from limbeck.report.tables import Table
from limbeck.report.transfer import tabulate_attempts


def show(table: Table, width: int) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(make_table(table))
    return stream.getvalue()


def test_a_transfer_fits_into_eighty_characters_without_cutting_a_word():
    text = show(tabulate_attempts(make_record()), 80)
    for words in ("Technique", "Forgetting", "finetune", "+10.0", "12.3 s"):
        assert words in text
    assert max(map(len, text.splitlines())) <= 80


def test_headings_wrap_between_words_and_break_only_long_names():
    columns = ("Model", "Calibration error", "mobilenetv2_x1_0")
    text = show(Table(caption="", columns=columns, rows=(("a", "1", "2"),)), 80)
    assert [line.split() for line in text.splitlines()[1:3]] == [
        ["Calibration", "mobilenetv2_"],
        ["Model", "error", "x1_0"],
    ]


def test_texts_are_shown_as_they_are():
    table = Table(caption="[bold]", columns=("[red]", "n"), rows=(("[/red] a", "1"),))
    assert all(text in show(table, 80) for text in ("[bold]", "[red]", "[/red] a"))
