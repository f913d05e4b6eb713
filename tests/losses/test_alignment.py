"""Teachers of other classes, by hand and by their laws."""

import math

import pytest
import torch

from limbeck.losses import align_logits

TEACHER = torch.tensor([[math.log(3), 0.0, 5.0]], dtype=torch.float64)  # 3 : 1 between its first two classes
INITIAL = torch.tensor([[0.2, 0.3, 0.5]], dtype=torch.float64).log()


def test_a_teacher_with_all_classes_is_only_reordered():
    aligned = align_logits(TEACHER, INITIAL, (2, 0, 1))
    assert torch.equal(aligned, TEACHER[:, [2, 0, 1]])


def test_without_labels_the_student_says_how_much_the_shared_classes_weigh():
    # Shared are the student's classes 0 and 2, with 0.7 of its probability, which the teacher divides 3 : 1.
    aligned = align_logits(TEACHER, INITIAL, (0, None, 1)).softmax(dim=1)
    torch.testing.assert_close(aligned[0], torch.tensor([0.525, 0.3, 0.175], dtype=torch.float64))


@pytest.mark.parametrize(
    ("label", "expected"), [(0, [0.75, 0, 0.25]), (2, [0.75, 0, 0.25]), (1, [0.2, 0.3, 0.5])]
)
def test_with_labels_the_teacher_speaks_only_of_samples_it_can_know(label, expected):
    aligned = align_logits(TEACHER, INITIAL, (0, None, 1), torch.tensor([label])).softmax(dim=1)
    torch.testing.assert_close(aligned[0], torch.tensor(expected, dtype=torch.float64), atol=1e-12, rtol=0)


def test_half_precision_stays_finite():
    teacher = torch.tensor([[3e4, -3e4, 0.0]], dtype=torch.float16)
    for labels in (None, torch.tensor([0]), torch.tensor([1])):
        aligned = align_logits(teacher, -teacher, (0, None, 1), labels)
        assert aligned.dtype == torch.float32
        assert torch.isfinite(aligned).all()
