"""Targets kept on disk are the ones a model gives, whatever happens to the folder."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from limbeck.core.errors import InputError
from limbeck.core.fingerprint import hash_state
from limbeck.data import StoredImages, Texts, Tokens
from limbeck.engine import TargetCache, Training, apply_technique, identify_logits
from limbeck.engine.target_cache import NUM_PROBES, hash_inputs
from limbeck.techniques import TECHNIQUES

CPU = torch.device("cpu")


@pytest.fixture
def cache(tmp_path):
    return TargetCache(tmp_path / "targets")


def forbidden():
    raise AssertionError("this must come from disk")


def test_what_is_read_is_bit_for_bit_what_was_computed(cache):
    logits = torch.randn(50, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(cache.get("key", lambda: logits, device=CPU), logits)
    assert torch.equal(cache.get("key", forbidden, device=CPU), logits)


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_technique_gives_the_same_student_with_and_without(case, cache, name):
    technique = TECHNIQUES[name]
    cached, again = replace(case, cache=cache), replace(case, cache=cache)
    students = [
        apply_technique(
            one,
            technique=technique,
            settings=technique.defaults,
            training=Training(epochs=1, batch_size=32),
            seed=0,
        ).student
        for one in (case, cached, again)
    ]
    assert len({hash_state(student.state_dict()) for student in students}) == 1


def test_a_second_case_asks_no_teacher(case, cache):
    def make():
        return replace(case, cache=cache)

    first = make().teacher_logits
    asked = []
    case.teachers[0].register_forward_hook(lambda model, args, output: asked.append(len(output)))
    assert torch.equal(make().teacher_logits, first)
    assert sum(asked) == NUM_PROBES < len(case.inputs)


@pytest.mark.parametrize("damage", [b"", b"not safetensors at all", None])
def test_a_damaged_entry_is_computed_again(cache, damage):
    logits = torch.ones(10, 3)
    cache.get("key", lambda: logits, device=CPU)
    (path, _), *_ = cache.list_entries()
    path.write_bytes(path.read_bytes()[:-8] if damage is None else damage)
    assert torch.equal(cache.get("key", lambda: logits, device=CPU), logits)
    assert torch.equal(cache.get("key", forbidden, device=CPU), logits)


def test_the_entry_unused_for_longest_makes_room(tmp_path):
    size = torch.zeros(100, 10).numel() * 4
    cache = TargetCache(tmp_path, limit_bytes=int(2.5 * size) + 1000)
    for age, key in ((300, "old"), (200, "middle")):
        cache.get(key, lambda: torch.zeros(100, 10), device=CPU)
        past = (tmp_path / f"{key}.safetensors").stat().st_mtime - age
        os.utime(tmp_path / f"{key}.safetensors", (past, past))
    cache.get("old", forbidden, device=CPU)  # now the most recently used
    cache.get("new", lambda: torch.zeros(100, 10), device=CPU)
    assert sorted(path.stem for path, _ in cache.list_entries()) == ["new", "old"]
    assert cache.count_bytes() <= cache.limit_bytes


def test_an_entry_larger_than_the_limit_is_not_kept(tmp_path):
    cache = TargetCache(tmp_path, limit_bytes=10)
    assert cache.get("key", lambda: torch.zeros(100, 10), device=CPU).shape == (100, 10)
    assert cache.list_entries() == []


def test_a_folder_that_cannot_be_written_costs_no_result(tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = TargetCache(tmp_path / "file" / "targets")
    assert cache.get("key", lambda: torch.zeros(2, 2), device=CPU).shape == (2, 2)


def test_a_negative_limit_is_refused(tmp_path):
    with pytest.raises(InputError, match="limit_bytes >= 0"):
        TargetCache(tmp_path, limit_bytes=-1)


WRITER = """
import sys, torch
from pathlib import Path
from limbeck.engine.target_cache import NUM_PROBES, hash_inputs
from limbeck.engine import TargetCache
cache = TargetCache(Path(sys.argv[1]), limit_bytes=60_000)
for round_number in range(30):
    for key in range(5):
        value = torch.full((1000, 5), float(key))
        found = cache.get(f"key{key}", lambda: value, device=torch.device("cpu"))
        assert torch.equal(found, value), key
"""


@pytest.mark.slow
def test_two_processes_write_and_make_room_at_once(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [writer.communicate(timeout=120)[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0], errors


def test_anything_the_logits_depend_on_gives_another_key(case, make_model):
    teacher, inputs = case.teachers[0], case.inputs
    keys = {identify_logits(teacher, inputs), identify_logits(teacher, inputs[:-1])}
    keys |= {identify_logits(make_model("cnn", 5), inputs), identify_logits(nn.Sequential(teacher), inputs)}
    with torch.no_grad():
        next(teacher.parameters()).view(-1)[0] += 1
    keys.add(identify_logits(teacher, inputs))
    assert len(keys) == 5


def test_preprocessing_is_part_of_the_key(case):
    from limbeck.models import adapt

    keys = {
        identify_logits(adapt(case.teachers[0], normalize=((mean,), (1.0,))), case.inputs)
        for mean in (0.0, 0.5)
    }
    assert len(keys) == 2


def test_what_no_weight_and_no_printed_structure_shows_is_part_of_the_key(case):
    class Shifted(nn.Sequential):
        shift = 0

        def forward(self, inputs):
            return super().forward(inputs).roll(self.shift, dims=1)

    one, other = Shifted(case.teachers[0]), Shifted(case.teachers[0])
    assert identify_logits(one, case.inputs) == identify_logits(other, case.inputs)
    other.shift = 1
    assert str(one) == str(other)
    assert identify_logits(one, case.inputs) != identify_logits(other, case.inputs)


def test_every_kind_of_inputs_has_a_hash(case, tmp_path):
    (tmp_path / "raw").write_bytes(bytes(range(64)))
    stored = StoredImages(file=tmp_path / "raw", file_shape=(1, 1, 8, 8))
    kinds = [
        case.inputs[:1],
        case.inputs[1:2],
        Texts(strings=("a", "b")),
        Texts(strings=("a", "c")),
        Tokens(columns={"input_ids": torch.tensor([[1, 2]])}),
        Tokens(columns={"input_ids": torch.tensor([[1, 3]])}),
        stored,
        stored.take([0, 0]),
    ]
    assert len({hash_inputs(inputs) for inputs in kinds}) == len(kinds)
