"""Progress where there is no terminal; a bar in a terminal is `rich`'s own."""

import pytest

from limbeck.pairs import progress
from limbeck.pairs.progress import StepBar


def test_nothing_is_shown_unless_asked_for(capsys):
    with StepBar("kd", 3, is_shown=False) as bar:
        bar.advance()
    assert capsys.readouterr() == ("", "")


def test_elsewhere_the_first_line_says_how_much_there_is(capsys):
    with StepBar("kd", 1200, is_shown=True) as bar:
        bar.advance()
        bar.note("epoch 1: validation accuracy 0.5000")
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == ["kd: 1200 steps"]


def test_after_a_while_a_line_says_how_far_it_is(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    with StepBar("kd", 2, is_shown=True) as bar:
        bar.advance()
        bar.note("epoch 1: validation accuracy 0.5000")
        bar.advance()
    assert capsys.readouterr().err.splitlines()[1:] == [
        "kd: 1 of 2 steps",
        "kd: 2 of 2 steps, epoch 1: validation accuracy 0.5000",
    ]


def test_an_error_inside_leaves_it(capsys):
    with pytest.raises(ZeroDivisionError), StepBar("kd", 2, is_shown=True):
        _ = 1 / 0
