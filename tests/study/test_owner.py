"""Owners: whether a process that has runs in hand still lives."""

import os
import subprocess
import sys

from limbeck.study.owner import host_of, is_gone, name_owner


def test_every_name_is_new_and_says_the_host():
    first, second = name_owner(), name_owner()
    assert first != second
    assert host_of(first) == os.uname().nodename


def test_a_process_that_runs_is_not_gone_and_one_that_ended_is():
    assert not is_gone(name_owner())
    command = [sys.executable, "-c", "from limbeck.study.owner import name_owner; print(name_owner())"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout.strip()
    assert is_gone(ended)


def test_a_process_of_another_machine_may_live():
    process, machine, *rest = name_owner().split("-", 3)
    elsewhere = "-".join([process, machine[::-1] + "0", *rest])
    assert not is_gone(elsewhere)
