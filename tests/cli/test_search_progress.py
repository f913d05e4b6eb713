"""The progress of a search on a terminal and elsewhere, by hand."""

import io

import pytest
from rich.console import Console

from limbeck.cli.search_progress import SearchDisplay, describe_search
from limbeck.tune import Tried


def make_trials(*accuracies):
    return [
        Tried(
            settings={"temperature": float(number), "weight": 0.5},
            validation=validation,
            epochs=3,
            accuracy_after=0.5,
            gain=0.0,
            forgetting=0.0,
            positive_flips=0,
            negative_flips=0,
            kept_epoch=1,
            seconds=2.0,
        )
        for number, validation in enumerate(accuracies, start=1)
    ]


def show_all(console, num_trials):
    trials = make_trials(*(0.5 + number / 100 for number in range(num_trials)))
    with SearchDisplay(console, "kd", num_trials=num_trials) as display:
        for number in range(1, num_trials + 1):
            display.show(trials[:number])
            display.note_share(number / num_trials)
    return display


def test_the_time_left_is_that_of_the_steps_that_are_missing():
    # 40 % took 40 s, so 60 % take 60 s.
    text = describe_search(make_trials(0.5, 0.8472, 0.7), num_trials=20, share=0.4, elapsed_seconds=40)
    assert text == "40 %, 3 of 20 trials, best 0.8472, 0:01:00 left"
    assert describe_search([], num_trials=2, share=0.0, elapsed_seconds=3) == "0 %, 0 of 2 trials"


def test_a_terminal_shows_the_ten_best_trials():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80, height=50, highlight=False)
    show_all(console, 12)
    shown = stream.getvalue().rsplit("The best so far", 1)[-1]
    assert "100 %, 12 of 12 trials, best 0.6100" in shown
    assert "61.0" in shown
    assert "52.0" in shown
    assert "51.0" not in shown


def test_lines_are_plain_where_there_is_no_terminal():
    stream = io.StringIO()
    show_all(Console(file=stream, force_terminal=False), 12)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2  # the first and the last: nothing in between within ten seconds
    assert lines[0].startswith("kd: 8 %, 1 of 12 trials, best 0.5000")
    assert lines[1].startswith("kd: 100 %, 12 of 12 trials, best 0.6100")
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize(
    ("num_shown", "words"),
    [
        (0, "Interrupted: finished trials are kept. Run the same command again"),
        (3, "Interrupted: 3 of 3 trials are finished and kept. Run the same command again"),
    ],
)
def test_an_interrupt_says_what_is_kept(num_shown, words):
    console = Console(file=io.StringIO(), force_terminal=False)
    assert show_all(console, num_shown).describe_interrupt().startswith(words)
