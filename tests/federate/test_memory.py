"""What a client keeps is there under the round it was made in, in this process and in the next."""

import subprocess
import sys

import pytest
import torch

from limbeck.core.errors import RunError
from limbeck.federate.memory import NUM_VERSIONS, FolderMemory, RamMemory


@pytest.fixture(params=["ram", "folder"])
def memory(request, tmp_path):
    return RamMemory() if request.param == "ram" else FolderMemory(tmp_path / "site")


def state_of_round(number):
    return {"value": torch.tensor([float(number), 1 / 3]), "count": torch.tensor(number)}


def read_round(memory, name="own", *, before):
    state = memory.read(name, before=before)
    return None if state is None else int(state["count"])


def test_nothing_is_remembered_at_first(memory):
    assert memory.read("own", before=100) is None


def test_a_value_comes_back_bit_for_bit(memory):
    memory.write("own", state_of_round(3), round_number=3)
    state = memory.read("own", before=4)
    assert state.keys() == {"value", "count"}
    assert torch.equal(state["value"], torch.tensor([3.0, 1 / 3]))


def test_the_newest_value_before_a_round_is_read(memory):
    for number in (0, 3):
        memory.write("own", state_of_round(number), round_number=number)
    assert [read_round(memory, before=number) for number in (0, 1, 3, 4, 9)] == [None, 0, 0, 3, 3]


def test_two_versions_are_kept(memory):
    assert NUM_VERSIONS == 2
    for number in (1, 2, 5):
        memory.write("own", state_of_round(number), round_number=number)
    assert [read_round(memory, before=number) for number in (2, 3, 6)] == [None, 2, 5]


def test_a_round_done_again_replaces_itself_and_forgets_what_came_after(memory):
    for number in (1, 2, 3):
        memory.write("own", state_of_round(number), round_number=number)
    memory.write("own", state_of_round(20), round_number=2)
    assert [read_round(memory, before=number) for number in (2, 3, 9)] == [None, 20, 20]


def test_names_that_begin_alike_are_kept_apart(memory):
    memory.write("own-shared", state_of_round(7), round_number=7)
    memory.write("own", state_of_round(1), round_number=1)
    memory.write("own-2", state_of_round(2), round_number=2)
    assert read_round(memory, before=9) == 1
    assert read_round(memory, "own-shared", before=9) == 7
    assert read_round(memory, "own-2", before=9) == 2


def test_what_happens_to_a_tensor_later_does_not_change_what_is_kept(memory):
    state = state_of_round(1)
    memory.write("own", state, round_number=1)
    state["value"].zero_()
    assert memory.read("own", before=2)["value"][0] == 1


READ_IN_A_NEW_PROCESS = """
import sys
from pathlib import Path
from limbeck.federate.memory import FolderMemory
print(FolderMemory(Path(sys.argv[1])).read("own", before=2)["value"].tolist())
"""


@pytest.mark.slow
def test_a_folder_survives_the_process(tmp_path):
    FolderMemory(tmp_path).write("own", {"value": torch.tensor([1.5, -2.0])}, round_number=1)
    command = [sys.executable, "-c", READ_IN_A_NEW_PROCESS, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.strip() == "[1.5, -2.0]"


def test_a_folder_holds_whole_files_only(tmp_path):
    for number in (1, 2, 3):
        FolderMemory(tmp_path).write("own", state_of_round(number), round_number=number)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own-2.safetensors", "own-3.safetensors"]


def test_a_damaged_file_is_named_and_read_as_no_other(tmp_path):
    (tmp_path / "own-1.safetensors").write_bytes(b"half a fi")
    with pytest.raises(RunError, match=r"own-1\.safetensors` must be a whole safetensors file") as caught:
        FolderMemory(tmp_path).read("own", before=2)
    assert f"Remove `{tmp_path}`" in str(caught.value)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "site").write_text("a file in the way")
    with pytest.raises(RunError, match="must be writable"):
        FolderMemory(tmp_path / "site").write("own", state_of_round(1), round_number=1)
