"""Two models trained apart on different classes of scikit-learn's digits."""

import pytest
import torch

from limbeck import data, models
from limbeck.engine import Training, pretrain


@pytest.fixture(scope="session")
def digits():
    return data.load("digits")


@pytest.fixture(scope="session")
def normalization(digits):
    return data.measure_normalization(digits.train)


@pytest.fixture(scope="session")
def make_model(digits, normalization):
    """A model that learned some of the classes, with its normalization."""
    inputs = data.normalize(digits.train.inputs, normalization)

    def make(classes, arch="mlp", seed=0, epochs=4):
        model = models.build(arch, input_shape=(1, 8, 8), num_classes=10, seed=seed)
        kept = torch.isin(digits.train.labels, torch.tensor(list(classes)))
        training = Training(epochs=epochs, batch_size=32)
        pretrain(model, inputs[kept], digits.train.labels[kept], training=training, seed=0)
        return models.adapt(model, normalize=normalization)

    return make


@pytest.fixture(scope="session")
def student(make_model):
    return make_model(range(7))


@pytest.fixture(scope="session")
def teacher(make_model):
    return make_model(range(3, 10), arch="cnn", seed=1, epochs=8)
