"""Rate and time left, by hand."""

import io

from rich.console import Console

from limbeck.cli.progress import ProgressDisplay, describe_duration, describe_pace
from limbeck.study import Progress


def make_progress(**changes):
    values = {"total": 10, "skipped": 2, "done": 0, "failed": 0, "cost_total": 100.0, "cost_done": 0.0}
    return Progress(**{**values, "label": "uniform seed 0: transfer kd", **changes})


def test_the_pace_counts_work_not_runs():
    # 4 runs in 8 s are 0.5 runs/s; 20 of 100 units took 8 s, so 80 take 32 s.
    assert describe_pace(make_progress(done=4, cost_done=20.0), 8.0) == "0.5 runs/s, 0:00:32 left"
    assert describe_pace(make_progress(), 3.0) == "starting up"
    assert describe_pace(make_progress(cost_total=0.0), 3.0) == "nothing left to do"


def test_durations_are_hours_minutes_and_seconds():
    assert describe_duration(3723.4) == "1:02:03"
    assert describe_duration(-1) == "0:00:00"


def test_lines_are_plain_where_there_is_no_terminal():
    stream = io.StringIO()
    with ProgressDisplay(Console(file=stream, force_terminal=False), "tiny") as display:
        display.show(make_progress())
        display.show(make_progress(done=1, cost_done=1.0))
        display.show(make_progress(done=8, cost_done=100.0))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2  # the first and the last: nothing in between within ten seconds
    assert lines[0].startswith("tiny: 2 of 10 runs, starting up")
    assert lines[1].startswith("tiny: 10 of 10 runs, ")
    assert "\x1b" not in stream.getvalue()
