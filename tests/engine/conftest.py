"""Small real data: scikit-learn's digits, and models for them."""

import pytest

from limbeck import data, models
from limbeck.engine import Case


@pytest.fixture(scope="session")
def digits():
    data_set = data.load("digits")
    inputs = data.normalize(data_set.train.inputs, data.measure_normalization(data_set.train))
    return inputs[:300], data_set.train.labels[:300]


@pytest.fixture
def case(digits):
    inputs, labels = digits
    student, teacher = (
        models.build("cnn", input_shape=(1, 8, 8), num_classes=10, seed=seed) for seed in (0, 1)
    )
    return Case(student=student, teachers=[teacher], inputs=inputs, labels=labels)


@pytest.fixture
def make_model():
    def make(arch="mlp", seed=0):
        return models.build(arch, input_shape=(1, 8, 8), num_classes=10, seed=seed)

    return make
