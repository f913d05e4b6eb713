"""A comparison in words, tables and pictures, against numbers counted by hand."""

import re

import pytest
from plotly.offline import get_plotlyjs
from tests.report.pair_records import make_comparison, make_wide_comparison

from limbeck.core.errors import RunError
from limbeck.report import build_comparison_page, comparison_markdown, draw_comparison
from limbeck.report.comparison import (
    describe_comparison,
    tabulate_classes,
    tabulate_parts,
    tabulate_standings,
    tile_comparison,
)
from limbeck.report.draw_pairs import MAX_CLASSES, pair_classes

THIN = "\N{NARROW NO-BREAK SPACE}"


def test_the_findings_say_what_each_knows_that_the_other_does_not():
    gained, lost, overall, classes = describe_comparison(make_comparison())
    assert f"B is right where A is wrong on 40.0{THIN}% of all samples (4 of 10)" in gained
    assert f"A's accuracy of 60.0{THIN}%" in gained
    assert f"A is right where B is wrong on 20.0{THIN}% of all samples (2 of 10)" in lost
    assert f"right on 80.0{THIN}%, 20.0 points more than A" in overall
    assert classes == "Most of what only B knows is in dog (3) and cat (1)."


def test_equal_models_are_called_so():
    comparison = make_comparison()
    same = make_comparison(second=comparison.first, positive_flips=0, class_positive_flips=(0, 0, 0))
    sentences = describe_comparison(same)
    assert len(sentences) == 3
    assert "as is A" in sentences[2]


def test_tiles_hold_both_accuracies_and_what_only_one_knows():
    assert [tile.value for tile in tile_comparison(make_comparison())] == ["60.0", "80.0", "40.0", "20.0"]


def test_the_tables_hold_the_counts():
    comparison = make_comparison()
    assert tabulate_standings(comparison).rows == (
        ("A", f"60.0{THIN}%", f"75.0{THIN}%", f"15.0{THIN}%"),
        ("B", f"80.0{THIN}%", f"85.0{THIN}%", f"5.0{THIN}%"),
    )
    assert [(part, count) for part, count, _ in tabulate_parts(comparison).rows] == [
        ("both right", "4"),
        ("only B right", "4"),
        ("only A right", "2"),
        ("both wrong", "0"),
        ("the same class", "5"),
    ]
    assert tabulate_classes(comparison).rows == (
        ("cat", "6", f"83.3{THIN}%", f"66.7{THIN}%", "−16.7", "1", "2"),
        ("dog", "4", f"25.0{THIN}%", f"100.0{THIN}%", "+75.0", "3", "0"),
        ("owl", "0", "–", "–", "–", "0", "0"),
    )


def test_a_short_class_table_keeps_the_classes_with_most_flips_in_their_order():
    table = tabulate_classes(make_wide_comparison(30), most=2)
    assert [row[0][-2:] for row in table.rows] == ["28", "29"]
    assert "for the 2 classes with the most flips" in table.caption


def test_classes_are_drawn_from_the_one_the_second_is_furthest_ahead_in():
    pairs = pair_classes(make_comparison())
    assert [pair.name for pair in pairs] == ["dog", "cat"]  # owl has no samples
    figure = draw_comparison(make_comparison())["classes"]
    first, second = figure.data[-2:]
    assert (first.name, second.name) == ("A", "B")
    assert list(first.x) == pytest.approx([25, 250 / 3])
    assert list(second.x) == pytest.approx([100, 200 / 3])
    gains, losses = figure.data[:2]
    assert list(gains.y) == [0, 0, None]
    assert list(losses.y) == [1, 1, None]


def test_parts_and_flips_are_drawn_with_their_numbers():
    figures = draw_comparison(make_comparison())
    assert list(figures["parts"].data[0].x) == [40, 40, 20, 0]
    only_first, only_second = figures["flips"].data
    assert list(only_first.x) == [0, -2]
    assert list(only_second.x) == [3, 1]
    assert list(only_second.text) == ["3", "1"]


def test_of_many_classes_those_with_most_flips_are_drawn():
    figure = draw_comparison(make_wide_comparison(MAX_CLASSES + 20))["flips"]
    assert list(figure.data[1].x) == list(range(MAX_CLASSES + 19, 19, -1))


def test_markdown_holds_sentences_warnings_and_tables():
    text = comparison_markdown(make_comparison())
    assert text.startswith("* B is right where A is wrong")
    assert "* B has no class owl: &lt;none&gt; of its samples count." in text
    assert f"| dog | 4 | 25.0{THIN}% | 100.0{THIN}% | +75.0 | 3 | 0 |" in text


def test_the_page_loads_nothing_and_escapes_names(tmp_path):
    path = build_comparison_page(make_comparison(), tmp_path / "new" / "report.html")
    page = path.read_text(encoding="utf-8").replace(get_plotlyjs(), "")
    assert not re.search(r"(?:src|href|action)\s*=\s*[\"'](?:https?:)?//", page)
    assert "&lt;none&gt; of its samples" in page
    assert page.count("data-figure=") == 3


def test_a_page_that_cannot_be_written_is_a_run_error():
    from pathlib import Path

    with pytest.raises(RunError, match="must be writable"):
        build_comparison_page(make_comparison(), Path("/proc/nowhere/report.html"))
