"""The zoo: sizes known from the literature, seeds, shapes, and strangers' checkpoints."""

from pathlib import Path

import pytest
import torch

from limbeck.core.errors import InputError
from limbeck.core.fingerprint import hash_state
from limbeck.models import ARCHITECTURES, build, count_parameters

CHECKPOINTS = Path(__file__).resolve().parents[3] / "shared" / "models"
every_arch = pytest.mark.parametrize("arch", ARCHITECTURES)


@every_arch
@pytest.mark.parametrize("input_shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 31, 17)])
def test_every_architecture_takes_every_image_size(arch, input_shape):
    model = build(arch, input_shape=input_shape, num_classes=7, seed=0)
    assert model(torch.randn(2, *input_shape)).shape == (2, 7)


@every_arch
def test_the_seed_alone_decides_the_weights(arch):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first, again, other = (
        hash_state(build(arch, input_shape=(1, 8, 8), num_classes=3, seed=seed).state_dict())
        for seed in (0, 0, 1)
    )
    assert first == again != other
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(("arch", "millions"), [("resnet20", 0.27), ("resnet32", 0.46), ("resnet56", 0.85)])
def test_cifar_resnets_have_the_published_sizes(arch, millions):
    """He et al. 2015, table 6."""
    model = build(arch, input_shape=(3, 32, 32), num_classes=10, seed=0)
    assert count_parameters(model) / 1e6 == pytest.approx(millions, abs=0.005)


def test_a_perceptron_takes_any_shape():
    assert build("mlp", input_shape=(13,), num_classes=2, seed=0)(torch.randn(4, 13)).shape == (4, 2)


def test_an_unknown_architecture_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="Did you mean `resnet20`"):
        build("resnt20", input_shape=(3, 32, 32), num_classes=10, seed=0)


def test_images_are_needed_where_there_are_convolutions():
    with pytest.raises(InputError, match="takes images"):
        build("cnn", input_shape=(13,), num_classes=2, seed=0)


@pytest.mark.parametrize(("arch", "digest"), [("resnet20", "12fca82f"), ("resnet32", "d509ac18")])
def test_published_checkpoints_fit_the_resnets_key_by_key(arch, digest):
    path = CHECKPOINTS / f"{arch}-{digest}.th"
    if not path.exists():
        pytest.skip(f"no published checkpoint at {path}")
    content = torch.load(path, map_location="cpu", weights_only=True)
    state = {key.removeprefix("module."): tensor for key, tensor in content["state_dict"].items()}
    build(arch, input_shape=(3, 32, 32), num_classes=10, seed=0).load_state_dict(state, strict=True)
