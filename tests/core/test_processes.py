"""Forked processes: answers, errors, lost workers and shared memory."""

import os
import signal
from pathlib import Path

import pytest
import torch

from limbeck.core.errors import InputError, RunError
from limbeck.core.processes import can_fork, run_forked

pytestmark = pytest.mark.skipif(not can_fork(), reason="processes cannot be forked here")


def test_every_task_is_answered_by_its_place():
    answers = dict(run_forked([1, 2, 3, 4, 5], lambda task, _: task**2, num_workers=2))
    assert answers == {0: 1, 1: 4, 2: 9, 3: 16, 4: 25}


def test_tasks_are_done_by_other_processes_with_one_thread_each():
    def look(task, report):
        del task, report
        return [os.getpid(), torch.get_num_threads()]

    answers = [answer for _, answer in run_forked([0, 1], look, num_workers=2)]
    assert all(process != os.getpid() for process, _ in answers)
    assert [threads for _, threads in answers] == [1, 1]


def test_a_backward_pass_works_after_one_in_the_parent():
    weight = torch.randn(64, 64, requires_grad=True)
    (torch.randn(512, 64) @ weight).square().mean().backward()

    def train(task, report):
        del report
        inputs = torch.full((256, 64), float(task))
        (gradient,) = torch.autograd.grad((inputs @ weight).sum(), weight)
        return float(gradient[0, 0])

    assert dict(run_forked([1, 2], train, num_workers=2)) == {0: 256.0, 1: 512.0}


@pytest.mark.parametrize("kind", [InputError, RunError])
def test_errors_for_users_come_back_as_they_are(kind):
    def fail(task, report):
        del report
        raise kind(f"`lr > 0` must hold, but got lr={task}.")

    with pytest.raises(kind, match="but got lr=-1"):
        list(run_forked([-1], fail, num_workers=1))


def test_any_other_error_brings_its_traceback():
    with pytest.raises(RunError, match="ZeroDivisionError"):
        list(run_forked([0], lambda task, _: 1 / task, num_workers=1))


def test_a_task_whose_process_is_killed_is_tried_once_more(tmp_path):
    def die_once(task, report):
        del report
        mark = Path(tmp_path) / str(task)
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return "done"

    assert dict(run_forked([0, 1], die_once, num_workers=2)) == {0: "done", 1: "done"}


def test_a_task_that_kills_two_processes_is_an_error_that_names_the_remedy():
    def die(task, report):
        del task, report
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(RunError, match=r"signal 9 twice.*fewer workers"):
        list(run_forked([0], die, num_workers=1))


def test_steps_are_reported_and_none_is_lost():
    def step(task, report):
        for _ in range(task):
            report(1)

    seen = []
    list(run_forked([30, 12], step, num_workers=2, after_steps=seen.append))
    assert sum(seen) == 42


def test_leaving_early_ends_the_processes():
    def wait_for_a_signal(task, report):
        del report
        if task:
            signal.pause()
        return os.getpid()

    answers = run_forked([0, 1], wait_for_a_signal, num_workers=2)
    next(answers)
    answers.close()  # hangs, unless the waiting process is ended
