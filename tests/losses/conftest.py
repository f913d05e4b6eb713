"""The check values' inputs, computed elsewhere with plain float64 Python from the formulas."""

import pytest
import torch
from torch import Tensor


def as_rows(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


@pytest.fixture
def student_logits() -> Tensor:
    return as_rows([2, 0.5, -1, 0], [0.1, 1.2, 0.3, -0.5], [-0.3, 0.8, 1.5, 0.2])


@pytest.fixture
def teacher_logits() -> Tensor:
    return as_rows([3, 1, -2, 0.5], [0, 2, 1, -1], [1, -0.5, 2.5, 0])


@pytest.fixture
def initial_logits() -> Tensor:
    return as_rows([2.2, 0.4, -0.8, 0.1], [0.3, 0.9, 0.2, -0.4], [0.9, 0.6, 0.7, 0.1])


@pytest.fixture
def labels() -> Tensor:
    return torch.tensor([0, 1, 0])
