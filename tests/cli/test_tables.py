"""A report's table on a terminal."""

import io

from rich.console import Console
from tests.report.pair_records import make_attempt, make_record

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


def test_a_transfer_that_diverged_fits_into_eighty_characters():
    attempt = make_attempt(validation=(0.6,), kept_epoch=0, diverged_in_epoch=1)
    lines = show(tabulate_attempts(make_record(attempt=attempt)), 80).splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(line[45:].split()) for line in lines)
    assert "0 of 3" in text
    assert "diverged" in text


def test_names_of_classes_are_broken_and_never_cut():
    name = "a" * 30
    columns = ("Class", *(f"Number {letter}" for letter in "ABCDEFG"))
    text = show(Table(caption="", columns=columns, rows=((name, *["100.0 %"] * 7),)), 80)
    assert text.count("a") == len(name) + 1  # one in the heading
    assert "…" not in text


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
