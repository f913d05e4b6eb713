"""Files are whole or absent; devices exist or are refused."""

import os
import stat
from pathlib import Path

import pytest
import torch

from limbeck.core.device import count_cores, describe_device, pick_device
from limbeck.core.errors import InputError, RunError
from limbeck.core.files import write_atomically, write_text


def test_a_file_is_replaced_only_when_the_block_ends_well(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    write_text(path, "old")

    def fail_halfway():
        with write_atomically(path) as temporary:
            temporary.write_text("half of the new")
            raise KeyError("interrupted")

    with pytest.raises(KeyError):
        fail_halfway()
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == ["file.txt"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_folder_that_refuses_files_is_named_in_one_sentence():
    with pytest.raises(RunError, match="`/proc/nowhere/file` must be writable"):
        write_text(Path("/proc/nowhere/file"), "text")


def test_auto_is_a_device_that_is_here():
    assert pick_device("auto").type in ("cpu", "cuda")
    assert str(count_cores()) in describe_device(torch.device("cpu"))


@pytest.mark.parametrize("name", ["gpu", "tpu", "meta"])
def test_a_device_that_is_not_here_is_refused(name):
    with pytest.raises(InputError, match=f"device={name}"):
        pick_device(name)
