"""The order of runs: never before what they need, and the longest chain of work first."""

import hypothesis
from hypothesis import strategies as st

from limbeck.study import Run
from limbeck.study.agenda import Agenda


def make_run(name, *needs, cost=1.0):
    return Run(id=name, kind="pretrain", config={}, needs=needs, cost=cost)


def pop_all(agenda):
    return [run.id for run in iter(agenda.pop, None)]


def test_the_run_that_holds_up_the_most_work_comes_first():
    runs = [
        make_run("short", cost=5),
        make_run("first", cost=1),
        make_run("long", cost=7),
        make_run("after", "first", cost=10),
    ]
    agenda = Agenda(runs, ())
    assert pop_all(agenda) == ["first", "long", "short"]
    agenda.finish(runs[1])
    assert pop_all(agenda) == ["after"]


def test_equal_runs_keep_the_order_of_the_plan():
    agenda = Agenda([make_run(name) for name in "bca"], ())
    assert pop_all(agenda) == ["b", "c", "a"]


def test_needs_that_are_finished_already_are_not_waited_for():
    assert pop_all(Agenda([make_run("b", "a")], ["a"])) == ["b"]


def test_a_failure_hands_out_what_needs_it_as_hopeless():
    runs = [make_run("a"), make_run("b"), make_run("c", "a", "b"), make_run("d", "c"), make_run("e", "b")]
    agenda = Agenda(runs, ())
    assert pop_all(agenda) == ["a", "b"]
    agenda.fail(runs[0])
    hopeless = agenda.pop()
    assert hopeless is runs[2]
    assert agenda.is_hopeless(hopeless)
    agenda.fail(hopeless)
    assert agenda.pop() is runs[3]
    agenda.fail(runs[3])
    agenda.finish(runs[1])
    last = agenda.pop()
    assert last is runs[4]
    assert not agenda.is_hopeless(last)
    assert agenda.pop() is None
    assert not agenda.is_over
    agenda.finish(last)
    assert agenda.is_over


@hypothesis.given(st.data())
def test_every_run_comes_once_and_after_what_it_needs(data):
    size = data.draw(st.integers(0, 12))
    runs = []
    for number in range(size):
        earlier = [run.id for run in runs]
        needs = data.draw(st.lists(st.sampled_from(earlier), unique=True, max_size=3)) if earlier else []
        runs.append(make_run(str(number), *needs, cost=data.draw(st.floats(0, 9))))
    agenda, in_hand, seen = Agenda(runs, ()), [], []
    while not agenda.is_over:
        run = agenda.pop()
        if run is not None:
            assert set(run.needs) <= {done.id for done in seen}
            in_hand.append(run)
            continue
        run = in_hand.pop(data.draw(st.integers(0, len(in_hand) - 1)))
        seen.append(run)
        agenda.finish(run)
    assert sorted(run.id for run in seen) == sorted(run.id for run in runs)
