"""Two CIFAR-10 checkpoints that somebody else published load, evaluate to what was measured, and transfer."""

from pathlib import Path

import pytest

import limbeck
from limbeck import data, models

SHARED = Path(__file__).resolve().parents[3] / "shared"
CHECKPOINTS = {"resnet20": "resnet20-12fca82f.th", "resnet32": "resnet32-d509ac18.th"}
IMAGES = SHARED / "data" / "cifar10-jpeg"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not IMAGES.exists(), reason="the published checkpoints and images are not here"),
]


@pytest.fixture(scope="module")
def cifar():
    return data.load(IMAGES)


@pytest.fixture(scope="module")
def classifiers():
    return {
        arch: models.load_classifier(SHARED / "models" / name, arch=arch, normalize="imagenet")
        for arch, name in CHECKPOINTS.items()
    }


def test_they_evaluate_to_the_measured_accuracies(classifiers, cifar):
    comparison = limbeck.compare(classifiers["resnet20"], classifiers["resnet32"], cifar)
    assert round(100 * comparison.first.accuracy, 1) == 81.0
    assert round(100 * comparison.second.accuracy, 1) == 82.6
    assert comparison.warnings == ()


def test_one_learns_from_the_other(classifiers, cifar):
    few = data.make_data_set(
        "few", cifar.subset(range(600)), cifar.test.subset(range(1000)), cifar.class_names
    )
    record = limbeck.transfer(
        classifiers["resnet20"],
        classifiers["resnet32"],
        few,
        technique="dp-kd",
        epochs=1,
        lr=0.001,
        baseline=False,
        progress=False,
    ).record
    assert record.attempt.validation[record.attempt.kept_epoch] >= record.attempt.validation[0]
    assert 0.2 < record.attempt.share_from_teacher < 0.8
    assert record.attempt.change.accuracy_before > 0.78


def test_the_wrong_normalization_shows(classifiers, cifar):
    few = cifar.test.subset(range(500))
    raw = models.adapt(classifiers["resnet20"], normalize="none")
    comparison = limbeck.compare(classifiers["resnet20"], raw, few)
    assert comparison.first.accuracy > comparison.second.accuracy + 0.2
