"""Tiny models of scikit-learn's digits in folders, and what the tests of commands ask of what they wrote."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from limbeck import data, models
from limbeck.engine import accuracy, predict


def save_model(digits, classes, folder: Path, *, seed: int) -> str:
    normalization = data.measure_normalization(digits.train)
    samples = digits.subset(np.flatnonzero(np.isin(digits.labels, classes)))
    model = models.build("mlp", input_shape=digits.input_shape, num_classes=10, seed=seed)
    inputs = data.normalize(samples.inputs, normalization)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(20):  # whole-batch steps: enough to tell the digits apart
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), samples.labels).backward()
        optimizer.step()
    classifier = models.Classifier(
        model,
        class_names=digits.class_names,
        preprocessing=models.Preprocessing(normalization=normalization),
        arch="mlp",
    )
    models.save_classifier(
        classifier,
        folder,
        training={},
        accuracies={},
        data_fingerprint=digits.fingerprint,
        input_shape=digits.input_shape,
    )
    return str(folder)


# A model of a user's own file that says so on stdout whenever it is built or asked.


def complaint(capsys):
    output = capsys.readouterr()
    assert output.out == ""
    assert "Traceback" not in output.err
    return output.err.strip().splitlines()[-1]


def measure(folder, digits) -> float:
    """The accuracy of a saved model on the digits' test part."""
    model = models.load_classifier(folder)
    return accuracy(predict(model, digits.test.inputs), digits.test.labels.numpy())
