"""The two sides of the grid's benchmark train on the same samples, and limbeck's side finishes its grid."""

from pathlib import Path

import pytest
from benchmarks.grid import NUM_SETTINGS, search_grid
from benchmarks.sides import make_sides

from limbeck import data


@pytest.fixture(scope="module")
def sides():
    return make_sides(
        source="fashion-mnist",
        student="cnn",
        teachers=["cnn"],
        num_samples=200,
        validation_share=0.1,
        data_dir=Path("unused"),
        device="cpu",
    )


def has_fashion_mnist() -> bool:
    try:
        data.load("fashion-mnist", download=False)
    except ValueError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.skipif(not has_fashion_mnist(), reason="Fashion-MNIST is not on this machine")
@pytest.mark.parametrize(("driver", "num_whole"), [("grid", 36), ("halving", 3)])
def test_limbecks_side_tries_every_setting(sides, tmp_path, driver, num_whole):
    tuned = search_grid(sides, driver, tmp_path, device="cpu")
    assert len(tuned.trials) == NUM_SETTINGS
    assert sum(tried.accuracy_after is not None for tried in tuned.trials) == num_whole
    assert tuned.record.num_train == len(sides.train_set)
    assert tuned.record.num_validation == len(sides.validation_set)
