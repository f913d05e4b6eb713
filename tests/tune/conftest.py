"""Two models trained apart on different classes of scikit-learn's digits."""

import pytest
import torch

from limbeck import data, models
from limbeck.engine import Training, pretrain


@pytest.fixture(scope="session")
def digits():
    return data.load("digits")


@pytest.fixture(scope="session")
def pair(digits):
    """A student that knows the classes below 7 and a teacher that knows those above 2."""
    normalization = data.measure_normalization(digits.train)
    inputs = data.normalize(digits.train.inputs, normalization)

    def make(arch, classes, seed):
        model = models.build(arch, input_shape=(1, 8, 8), num_classes=10, seed=seed)
        kept = torch.isin(digits.train.labels, torch.tensor(list(classes)))
        training = Training(epochs=4, batch_size=32)
        pretrain(model, inputs[kept], digits.train.labels[kept], training=training, seed=0)
        return models.adapt(model, normalize=normalization)

    return make("mlp", range(7), 0), make("cnn", range(3, 10), 1)
