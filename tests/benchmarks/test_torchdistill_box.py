"""torchdistill's box makes the student the usual loop makes, where torchdistill is there."""

import copy

import pytest
import torch
from torch.utils.data import TensorDataset

from benchmarks import torchdistill_box, usual_loop
from limbeck import models

NUM_SAMPLES = 48
RECIPE = usual_loop.Recipe(temperature=4, weight=0.7, epochs=3, batch_size=NUM_SAMPLES, lr=0.05)


def test_its_student_is_that_of_the_usual_loop():
    pytest.importorskip("torchdistill", reason=torchdistill_box.REMEDY)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(NUM_SAMPLES, 3, 16, 16, generator=generator)
    samples = TensorDataset(images, torch.arange(NUM_SAMPLES) % 10)
    student, teacher = (
        models.build("resnet8", input_shape=(3, 16, 16), num_classes=10, seed=seed) for seed in (0, 1)
    )
    other = copy.deepcopy(student)
    expected = usual_loop.distil(student, [teacher], samples, samples, RECIPE)
    found = torchdistill_box.distil(other, teacher, samples, samples, RECIPE)
    assert found == pytest.approx(expected)
    for value, wanted in zip(other.state_dict().values(), student.state_dict().values(), strict=True):
        torch.testing.assert_close(value, wanted, rtol=1e-3, atol=1e-4)
    assert all(weight.requires_grad for weight in teacher.parameters())


def test_what_is_missing_is_said_with_its_remedy():
    version, missing = torchdistill_box.find_torchdistill()
    assert (version is None) == (missing is not None)
    assert missing is None or torchdistill_box.REMEDY in missing


def test_the_teachers_share_becomes_the_rest_of_alpha():
    config = torchdistill_box.configure(RECIPE, num_steps=3)
    loss = config["criterion"]["kwargs"]["sub_terms"]["kd"]["criterion"]["kwargs"]
    assert loss["alpha"] == pytest.approx(0.3)
    assert loss["temperature"] == 4
    assert loss["student_module_path"] == loss["teacher_module_path"] == "."


def test_labels_among_the_largest_logits_are_counted():
    said = torch.tensor([[0.1, 0.9, 0.5], [0.9, 0.1, 0.5], [0.2, 0.3, 0.4]])
    first, second = torchdistill_box.count_right(said, torch.tensor([1, 2, 0]), ranks=(1, 2))
    assert (first.item(), second.item()) == (1, 2)
